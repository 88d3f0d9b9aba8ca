"""The report: every picture, figure and number beside the data that it comes from.

What a page, a printed result or a record must say is worked out anew by brute force
(``audit_oracle``).
"""

import base64
import dataclasses
import io
import json
import re
import sys
from types import SimpleNamespace

import audit_oracle
import numpy as np
import pytest
from bs4 import BeautifulSoup
from matplotlib.colors import to_rgb, to_rgba
from PIL import Image

import empirical_score as es
from empirical_score.auditing import pictures as audit_pictures
from empirical_score.auditing import report as audit_report
from empirical_score.auditing.words import percent

SETTINGS = {
    "neighbors": 4,
    "threshold": 0.4,
    "level": 0.02,
    "confidence": 0.9,
    "false_discoveries": 0.3,
    "permutations": 999,
    "seed": 7,
}
JOINT = (0.0011, 0.0222, 0.0333, 0.444)  # told apart: permutations give three alike
SHOWN = 30  # of them 22 are flagged


@pytest.fixture(scope="module")
def case():
    """An audit of the example, and what is true of it."""
    train, generated, holdout = audit_oracle.example()
    audit = es.audit(train, generated, holdout, flips=True, **SETTINGS)
    truth = audit_oracle.audit(train, generated, holdout, audit.settings)
    statistics = {
        name: dataclasses.replace(s, p_value=p)
        for (name, s), p in zip(audit.statistics.items(), JOINT, strict=True)
    }
    audit = dataclasses.replace(audit, statistics=statistics)
    return SimpleNamespace(audit=audit, truth=truth, train=train, generated=generated)


@pytest.fixture(scope="module")
def page(case):
    """The page as a tree; ``page.figure(uri)`` is what was drawn for a picture."""
    drawn = []

    def keep(figure, stream, **how):
        stream.write(f"figure {len(drawn)}".encode())
        size = figure.get_size_inches() * how["dpi"]
        drawn.append((figure.axes, tuple(size.round().astype(int)), how))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("matplotlib.figure.Figure.savefig", keep)
        text = audit_report.to_html(case.audit, case.train, case.generated, count=SHOWN)
    page = BeautifulSoup(text, "html.parser")
    page.figure = lambda uri: drawn[int(data_of(uri).decode().removeprefix("figure "))]
    return page


def rendered(audit, train, generated, **options):
    """The page as a tree, without figures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit_report, "figures", lambda audit: {})
        text = audit_report.to_html(audit, train, generated, **options)
    return BeautifulSoup(text, "html.parser")


def data_of(uri):
    kind, _, data = uri.partition(",")
    assert kind == "data:image/png;base64"
    return base64.b64decode(data)


def pixels_of(image):
    with Image.open(io.BytesIO(data_of(image["src"]))) as picture:
        return np.asarray(picture)


def lines_of(tag):
    """The texts of a cell, one for each line."""
    return list(tag.stripped_strings)


# ---- Words and headline figures --------------------------------------------------


def headline(truth):
    """The verdict of the example, with the numbers that are true of it."""
    below = truth.statistics["ratio"].below
    return (
        f"{below[0]} of 90 samples and {below[1]} of 70 held-out points are at least "
        "2.5 times nearer to one training point than to the 4th nearest (p = "
        f"{truth.statistics['ratio'].fisher:.2g}). About {percent(truth.rate[0])} of "
        f"the samples are copies (90 % interval {percent(truth.rate[1])} to "
        f"{percent(truth.rate[2])}). {truth.exact[0]} of 90 are equal to a training "
        f"point. {len(truth.flagged)} are flagged at a false discovery rate of 30 %."
    )


def test_the_example_tells_all_numbers_apart(case):
    """Or an exchange of two of them could not be seen."""
    truth, audit = case.truth, case.audit
    below = truth.statistics["ratio"].below
    counts = [*below, *truth.exact, len(truth.flagged), truth.copies, truth.m, truth.h]
    assert len({int(count) for count in counts}) == 8
    assert audit.fewest_flags not in counts
    shares = [percent(share) for share in (*truth.rate, truth.detectable)]
    assert len(set(shares)) == 4 and "0 %" not in shares


def test_the_verdict_on_the_page(case, page):
    section = page.find("section")
    assert section["class"] == ["verdict", "yes"]
    assert section.strong.text == "Copying found"
    assert page.title.text == "Copying found: a copy audit"
    assert section.p.text == headline(case.truth)
    assert case.audit.verdict == "Copying found: " + headline(case.truth)


def test_the_headline_figures(case, page):
    truth = case.truth
    value, low, high = truth.rate
    found = [[*lines_of(d.dt), *lines_of(d.dd)] for d in page.find(class_="facts")]
    assert found == [
        [
            "Copies beyond the baseline",
            percent(value),
            f"90 % interval {percent(low)} to {percent(high)}",
        ],
        ["Flagged samples", "22", "of 90, false discovery rate 30 %"],
        ["Equal to a training point", "9", "held-out: 1 of 70"],
        [
            "Would have been found",
            percent(truth.detectable),
            "of copies or more, with a chance of 90 %",
        ],
        [
            "Chance of so many by luck",
            f"{truth.statistics['ratio'].fisher:.2g}",
            "copying is said at 0.02 or less",
        ],
    ]
    assert (len(truth.flagged), *truth.exact) == (22, 9, 1)


@pytest.mark.parametrize(
    ("copying", "title", "kind"),
    [
        (True, "Copying found", "yes"),
        (False, "No copying found", "no"),
        ("undetermined", "Undetermined", "open"),
    ],
)
def test_each_verdict_has_its_title_and_color(case, copying, title, kind):
    verdict, none = f"{title}: so many.", {"detectable_rate": None, "notes": ()}
    audit = dataclasses.replace(case.audit, copying=copying, verdict=verdict, **none)
    page = rendered(audit, case.train, case.generated, count=1)
    section = page.find("section")
    assert section["class"] == ["verdict", kind]
    assert lines_of(section) == [title, "So many."]
    facts = [lines_of(d) for d in page.find(class_="facts")]
    assert facts[3][1:] == ["nothing", "these sets are too small"]
    assert lines_of(page.find("h2", string="About these data").find_next("ul")) == [
        "None."
    ]


# ---- Figures ---------------------------------------------------------------------


def light_and_dark(page, place):
    """Both versions of a figure of the page: what was drawn, for light and for dark."""
    picture = page.find(class_="figures").find_all("picture")[place]
    assert picture.source["media"] == "(prefers-color-scheme: dark)"
    both = page.figure(picture.img["src"]), page.figure(picture.source["srcset"])
    for _, size, how in both:
        assert (
            size
            == (960, 660)
            == (int(picture.img["width"]), int(picture.img["height"]))
        )
        assert how["transparent"] and how["format"] == "png"
    (light,), (dark,) = both[0][0], both[1][0]
    inks = [ink_of(axes) for axes in (light, dark)]
    assert sum(inks[0]) < 0.6 and sum(inks[1]) > 2.4  # of 3: dark on light, and back
    return light, dark


def ink_of(axes):
    """The one color of all lettering and of the frame."""
    texts = [axes.xaxis.label, axes.yaxis.label, *axes.get_legend().get_texts()]
    texts += [*axes.get_xticklabels(), *axes.get_yticklabels()]
    colors = {to_rgb(text.get_color()) for text in texts}
    colors |= {to_rgb(spine.get_edgecolor()) for spine in axes.spines.values()}
    (ink,) = colors
    return ink


def test_the_histograms_count_the_ratios(case, page):
    for axes in light_and_dark(page, 0):
        shapes = {patch.get_label(): patch for patch in axes.patches}
        assert set(shapes) == {"held-out", "generated"}
        for name, values in (
            ("held-out", case.truth.theirs.ratio),
            ("generated", case.truth.ours.ratio),
        ):
            corners, covered = shapes[name].get_xy(), 0
            for (left, height), (right, same) in zip(
                corners[:-1], corners[1:], strict=True
            ):
                if height == same and left < right:
                    inside = (values >= left) & (values < right)
                    inside |= (right == 1) & (values == 1)
                    assert height == pytest.approx(np.mean(inside))
                    covered += right - left
            assert covered == pytest.approx(1)
        assert shapes["held-out"].get_fill() and not shapes["generated"].get_fill()
        assert to_rgba(shapes["held-out"].get_facecolor())[3] < 0.5
        assert axes.get_xlabel() == "distance ratio" and axes.get_xlim() == (0, 1)
        assert axes.get_ylabel() == "share of samples"
    figure = page.find(class_="figures").find_all("figure")[0]
    medians = case.truth.statistics["ratio"].medians
    assert figure.img["alt"] == (
        "Two histograms of the distance ratio, held-out (filled, median "
        f"{medians[1]:.2f}) and generated (outlined, median {medians[0]:.2f})."
    )
    assert figure.figcaption.text.startswith("The bulk: share of samples by distance")


def test_the_curves_are_the_shares_at_or_below(case, page):
    for axes in light_and_dark(page, 1):
        rule, *curves = axes.lines
        assert list(rule.get_xdata()) == [0.4, 0.4] and rule.get_linestyle() == ":"
        curves = {curve.get_label(): curve for curve in curves}
        for name, values, style in (
            ("held-out", case.truth.theirs.ratio, "--"),
            ("generated", case.truth.ours.ratio, "-"),
        ):
            x, y = curves[name].get_data()
            assert curves[name].get_drawstyle() == "steps-post"
            assert curves[name].get_linestyle() == style
            for value in values:
                reached = y[np.flatnonzero(x <= value + 1e-9)[-1]]
                assert reached == pytest.approx(np.mean(values <= value + 1e-9))
            assert (x[-1], y[-1]) == (1, 1) and len(x) == len(values) + 1
        colors = {to_rgb(line.get_color()) for line in axes.lines}
        assert len(colors) == 3
        assert axes.get_yscale() == "log"
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        assert left < 0 and right == 1 and bottom < 1 / 90 < 1 < top
        assert axes.get_xlabel() == "distance ratio"
        assert axes.get_ylabel() == "share at or below"
        legend = [text.get_text() for text in axes.get_legend().get_texts()]
        assert legend == ["held-out", "generated"]
    below = case.truth.statistics["ratio"].below
    words = f"{below[0]} of 90 generated and {below[1]} of 70 held-out samples"
    figure = page.find(class_="figures").find_all("figure")[1]
    assert f"Below 0.4 (dotted) lie {words}." in figure.figcaption.text
    assert figure.img["alt"].endswith(f"Below 0.4: {words}.")
    assert "generated (solid) and held-out (dashed)" in figure.img["alt"]


def test_one_set_has_one_color_in_both_figures(page):
    for version in range(2):
        bulk, tail = (light_and_dark(page, place)[version] for place in range(2))
        curves = {line.get_label(): to_rgb(line.get_color()) for line in tail.lines}
        for patch in bulk.patches:
            color = patch.get_facecolor() if patch.fill else patch.get_edgecolor()
            assert to_rgb(color) == curves[patch.get_label()]


def test_without_matplotlib_the_page_has_words_for_the_figures(case, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    text = audit_report.to_html(case.audit, case.train, case.generated, count=2)
    figures = BeautifulSoup(text, "html.parser").find(class_="figures")
    below = case.truth.statistics["ratio"].below
    assert f"Below 0.4: {below[0]} of 90 generated" in figures.text
    assert "(No figures: matplotlib is absent.)" in figures.text
    assert figures.img is None


# ---- Pairs -----------------------------------------------------------------------


def grays(pictures, low, high):
    """Bytes as they are shown, by the definition of a linear scale."""
    return np.clip(np.rint((pictures - low) / (high - low) * 255), 0, 255)


def test_every_pair_shows_a_sample_and_its_training_image(case, page):
    truth = case.truth
    ours, entries = truth.ours, page.find(class_="pairs").find_all("li")
    assert len(entries) == SHOWN
    train, generated = (grays(x, -1, 1) for x in (case.train, case.generated))
    for row, entry in zip(truth.suspects, entries, strict=False):
        partner = ours.nearest[row]
        left, right = entry.find_all("img")
        np.testing.assert_array_equal(pixels_of(left), generated[row])
        np.testing.assert_array_equal(pixels_of(right), train[partner])
        assert left["alt"] == f"generated sample {row}"
        assert right["alt"] == f"its training image {partner}"
        flagged = row in truth.flagged
        assert entry.get("class", []) == ["flagged"] * flagged
        mirrored = " (mirrored)" if ours.flipped[row] else ""
        assert lines_of(entry.p) == [
            f"sample {row}, training {partner}{mirrored}",
            f"ratio {ours.ratio[row]:.3f}, distance {ours.distance[row]:.3g}",
            *["flagged"] * flagged,
        ]
    assert "mirrored" in page.text and len(truth.flagged) < SHOWN


def test_data_that_are_no_images_come_as_a_table(case):
    page = rendered(case.audit, case.train, case.generated, shape=False, count=SHOWN)
    table = page.find(class_="wide").table
    assert page.find(class_="pairs") is None
    header, *rows = [
        [cell.text for cell in row.find_all(["th", "td"])]
        for row in table.find_all("tr")
    ]
    assert header == ["sample", "training row", "ratio", "distance", ""]
    ours = case.truth.ours
    assert rows == [
        [
            str(i),
            str(ours.nearest[i]),
            f"{ours.ratio[i]:.3f}",
            f"{ours.distance[i]:.4g}",
            "flagged" if i in case.truth.flagged else "",
        ]
        for i in case.truth.suspects[:SHOWN]
    ]


@pytest.mark.parametrize(
    ("low", "high", "black", "white"),
    [
        (0, 1, 0, 1),
        (0.02, 0.9, 0, 1),
        (-1, 1, -1, 1),
        (-0.2, 0.9, -1, 1),
        (0, 255, 0, 255),
        (3, 250, 0, 255),
        (-3, 2, -3, 2),  # no usual scale
        (-1, 1.01, -1, 1.01),
        (0, 0.2, 0, 0.2),  # a small part of a usual one: its own, or it is all gray
        (-1, -0.6, -1, -0.6),
        (0, 40, 0, 40),
        (100, 140, 100, 140),
    ],
)
def test_pictures_are_shown_on_their_own_scale(case, low, high, black, white):
    def moved(x):
        return low + (high - low) * (x - case.train.min()) / np.ptp(case.train)

    train, generated = moved(case.train), moved(case.generated)
    train.flat[[case.train.argmin(), case.train.argmax()]] = low, high
    page = rendered(case.audit, train, generated, count=4)
    for row, entry in zip(case.truth.suspects, page.find(class_="pairs"), strict=False):
        left, right = map(pixels_of, entry.find_all("img"))
        np.testing.assert_array_equal(left, grays(generated[row], black, white))
        partner = case.truth.ours.nearest[row]
        np.testing.assert_array_equal(right, grays(train[partner], black, white))


def test_pictures_of_one_gray_are_no_reason_to_fail(case):
    page = rendered(case.audit, 0 * case.train, case.generated, count=1)
    assert not pixels_of(page.find(class_="pairs").find_all("img")[1]).any()


@pytest.mark.parametrize(
    ("stored", "given", "shown", "said"),
    [
        ((8, 6), None, (8, 6), "8x6"),
        ((48,), None, None, "[8, 6]"),  # no square
        ((48,), (6, 8), (6, 8), "6x8"),
        ((8, 6), (6, 8), (6, 8), "6x8"),
        ((8, 6), False, None, "[8, 6]"),
        ((8, 6, 1), None, (8, 6), "8x6x1"),
        ((1, 8, 6), None, (8, 6), "1x8x6"),
        ((4, 4, 3), None, (4, 4, 3), "4x4x3"),
        ((3, 4, 4), None, (3, 4, 4), "3x4x4"),
        ((2, 2, 3, 4), None, None, "[8, 6]"),
    ],
)
def test_the_shape_of_a_picture(case, stored, given, shown, said):
    train, generated = (x.reshape(-1, *stored) for x in (case.train, case.generated))
    page = rendered(case.audit, train, generated, shape=given, count=1)
    assert settings_of(page)["shape"] == said
    pairs, row = page.find(class_="pairs"), case.truth.suspects[0]
    if shown is None:
        assert pairs is None
        return
    expected = grays(generated[row], -1, 1).reshape(shown)
    if shown[0] == 3:
        expected = np.moveaxis(expected, 0, 2)
    np.testing.assert_array_equal(pixels_of(pairs.img), expected)


def test_the_shape_of_rows_is_inferred_and_said_to_be(case):
    """64 numbers are a square."""
    train, generated = (
        np.pad(x, ((0, 0), (0, 0), (0, 2))) for x in (case.train, case.generated)
    )
    rows = [x.reshape(len(x), -1) for x in (train, generated)]
    page = rendered(case.audit, *rows, count=1)
    assert settings_of(page)["shape"] == "8x8 (inferred)"
    picture = pixels_of(page.find(class_="pairs").img)
    expected = grays(generated[case.truth.suspects[0]], -1, 1)
    np.testing.assert_array_equal(picture, expected)


def test_which_shapes_are_inferred():
    infer = audit_pictures.infer_shape
    assert infer(64) == (8, 8) and infer(49) is None and infer(65) is None
    assert infer(784) == (28, 28) and infer(3072) == (32, 32, 3)
    assert infer(768) == (16, 16, 3) and infer(3 * 15 * 15) is None
    assert infer(1000) is None and infer(3 * 100) is None


@pytest.mark.parametrize("shape", [(9, 8), (9, 8, 3)])
def test_png_files_are_what_pillow_reads(shape, tmp_path):
    pixels = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    (tmp_path / "x.png").write_bytes(audit_pictures.png(pixels))
    with Image.open(tmp_path / "x.png") as image:
        image.verify()  # checksums, too
    with Image.open(tmp_path / "x.png") as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)


# ---- Tables ----------------------------------------------------------------------


def test_the_table_of_statistics(case, page):
    truth = case.truth
    table = page.find_all(class_="wide")[-1].table
    rows = [
        [lines_of(cell) for cell in row.find_all(["th", "td"])]
        for row in table.tbody.find_all("tr")
    ]
    expected = []
    for (name, s), p in zip(truth.statistics.items(), JOINT, strict=True):
        ours, theirs = getattr(truth.ours, name), getattr(truth.theirs, name)
        depth = case.audit.statistics[name].tail.depth
        found, _ = audit_oracle.tail(ours, theirs, depth)
        (_, low, high), (_, base_low, base_high) = s.shares
        expected.append(
            [
                [name],
                [f"{p:.2g}"],
                [f"{found} of {depth}", f"expected {depth * 90 / 160:.1f}"],
                [f"{s.threshold:.3g}"],
                [f"{s.below[0]} of 90", f"{percent(low)} to {percent(high)}"],
                [f"{s.below[1]} of 70", f"{percent(base_low)} to {percent(base_high)}"],
                [f"{s.fisher:.2g}"],
                [percent(s.overall), f"p {s.overall_p:.2g}"],
            ]
        )
    assert rows == expected
    header = [cell.text for cell in table.thead.find_all("th")]
    assert header == [
        "statistic",
        "p, joint test",
        "generated in tail",
        "threshold",
        "generated below",
        "held-out below",
        "p, Fisher",
        "generated nearer",
    ]
    meanings = page.find(class_="meanings")
    assert [term.text for term in meanings.find_all("dt")] == list(truth.statistics)
    texts = [text.text for text in meanings.find_all("dd")]
    for text, words in zip(
        texts,
        ("to the k-th distinct one", "mean distance", "own nearest", "log kernel dens"),
        strict=True,
    ):
        assert words in text


def settings_of(page):
    table = page.find(class_="settings").table
    return {row.th.text: row.td.text for row in table.find_all("tr")}


def test_notes_limits_and_settings(case):
    inputs = {"train files": "a<b.npy", "generated files": "<script>"}
    page = rendered(case.audit, case.train, case.generated, count=1, inputs=inputs)
    notes = page.find("h2", string="About these data").find_next("ul")
    assert [item.text for item in notes.find_all("li")] == list(case.audit.notes)
    assert len(case.audit.notes) == 3
    limits = page.find("h2", string="What this cannot show").find_next("ul")
    assert [item.text for item in limits.find_all("li")] == list(audit_report.LIMITS)
    assert settings_of(page) == {
        "train files": "a<b.npy",
        "generated files": "<script>",
        "train": "166",
        "distinct": "161",
        "compared with": "161",
        "generated": "90",
        "holdout": "70",
        "holdout given": "yes",
        "dimension": "48",
        "features": "no",
        "shape": "8x6",
        "flips": "yes",
        "neighbors": "4",
        "threshold": "0.4",
        "tolerance": f"{case.truth.tolerance:.6g}",
        "bandwidth": f"{case.audit.settings['bandwidth']:.6g}",
        "level": "0.02",
        "confidence": "0.9",
        "false discoveries": "0.3",
        "permutations": "999",
        "seed": "7",
        "power": "0.9",
    }


def test_large_numbers_are_grouped(case):
    settings = case.audit.settings | {
        "train": 1234567,
        "generated": 9090,
        "shape": None,
    }
    below = {"generated_below": (25_000, 50_000), "holdout_below": (3000, 70_000)}
    ratio = dataclasses.replace(case.audit.statistics["ratio"], **below)
    audit = dataclasses.replace(
        case.audit,
        settings=settings,
        statistics=case.audit.statistics | {"ratio": ratio},
        exact_copies=(4000, 9090),
        exact_holdout=(1000, 7000),
    )
    page = rendered(audit, case.train, case.generated, shape=False, count=1)
    facts = page.find(class_="facts").text
    for words in ("of 9,090,", "4,000", "held-out: 1,000 of 7,000"):
        assert words in facts
    row = page.find_all(class_="wide")[-1].tbody.tr.text
    assert "25,000 of 50,000" in row and "3,000 of 70,000" in row
    assert settings_of(page)["train"] == "1,234,567"
    assert settings_of(page)["shape"] == "none"
    text = str(audit)
    assert "samples 9,090," in text and "training 1,234,567," in text
    (row,) = [line for line in text.splitlines() if line.startswith("ratio ")]
    cells = re.split(" {2,}", row)
    assert cells[2:5] == ["0.4", "25,000 / 50,000", "3,000 / 70,000"]
    assert max(map(len, text.splitlines())) <= 80


# ---- The printed result and the record -------------------------------------------


def test_the_printed_result(case):
    truth, text = case.truth, str(case.audit)
    assert max(map(len, text.splitlines())) <= 80
    verdict, sizes, table, *notes = text.split("\n\n")
    assert verdict.replace("\n", " ") == "Copying found: " + headline(truth)
    value, low, high = truth.rate
    assert sizes.splitlines() == [
        "samples 90, held-out 70, training 166, dimension 48",
        f"copies beyond the baseline: {percent(value)} (90 % interval {percent(low)} "
        f"to {percent(high)}), flagged: 22",
    ]
    header, *rows = table.splitlines()
    assert header.split("  ") != [] and re.split(" {2,}", header) == [
        "statistic",
        "p (joint)",
        "below",
        "generated",
        "held-out",
        "nearer",
    ]
    assert [re.split(" {2,}", row) for row in rows] == [
        [
            name,
            f"{p:.2g}",
            f"{s.threshold:.3g}",
            f"{s.below[0]} / 90",
            f"{s.below[1]} / 70",
            f"{s.overall:.2f}",
        ]
        for (name, s), p in zip(truth.statistics.items(), JOINT, strict=True)
    ]
    said = [note.replace("\n", " ").removeprefix("- ") for note in notes]
    assert said == list(case.audit.notes)


def test_the_record_is_the_result_and_what_it_was_made_from(case):
    record = json.loads(audit_report.to_json(case.audit, {"train files": "t.npy"}))
    assert record == case.audit.to_dict() | {"inputs": {"train files": "t.npy"}}
    assert json.loads(audit_report.to_json(case.audit))["inputs"] == {}


# ---- The page as a whole ---------------------------------------------------------


def test_the_page_is_self_contained_and_accessible(case):
    """With its true figures, which matplotlib draws as PNG files."""
    inputs = {"a<b": "<script>"}
    text = audit_report.to_html(case.audit, case.train, case.generated, inputs=inputs)
    page = BeautifulSoup(text, "html.parser")
    links = [
        tag[k]
        for tag in page.find_all()
        for k in ("src", "href", "srcset")
        if k in tag.attrs
    ]
    for link in links:
        assert Image.open(io.BytesIO(data_of(link))).format == "PNG"
    for image in page.find(class_="figures").find_all("img"):
        size = int(image["width"]), int(image["height"])
        assert Image.open(io.BytesIO(data_of(image["src"]))).size == size
    assert page.script is None and "<script>" not in text
    assert "//" not in re.sub("base64,[A-Za-z0-9+/=]+", "", text)
    images = page.find_all("img")
    assert len(images) == 2 + 2 * 24 and len(links) == len(images) + 2
    assert all(image["alt"] for image in images)
    assert len(page.find_all("h1")) == 1 and page.html["lang"] == "en"
    assert "prefers-color-scheme: dark" in text and "width=device-width" in text
    closed = ("meta", "img", "br", "source")
    for tag in {tag.name for tag in page.find_all()} - {*closed}:
        assert len(re.findall(rf"<{tag}[\s>]", text)) == text.count(f"</{tag}>"), tag


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.5, "50 %"),
        (0.0996, "10 %"),
        (0.0994, "9.9 %"),
        (0.0123, "1.2 %"),
        (0.00096, "0.1 %"),
        (0.00094, "0.094 %"),
        (0.0000123, "0.0012 %"),
    ],
)
def test_shares_in_percent(share, words):
    assert percent(share) == words
