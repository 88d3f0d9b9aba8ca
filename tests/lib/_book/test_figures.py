"""Helpers of the chapters: glued numbers, checks, sources, small repeatable figures."""

import io
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from empirical_score import EmpiricalScore, datasets
from empirical_score._book import figures


@pytest.fixture
def notebook(monkeypatch, tmp_path):
    """A stand-in for a notebook: what cells display is kept, and can be written."""
    shown = []
    monkeypatch.setattr(figures, "_shell", lambda: SimpleNamespace())
    monkeypatch.setattr(
        "IPython.display.display",
        lambda data, raw, metadata: shown.append((data, metadata)),
    )

    def write(extra=()):
        outputs = [
            {"output_type": "display_data", "data": data, "metadata": metadata}
            for data, metadata in shown
        ]
        cells = [{"cell_type": "markdown", "source": ["x"]}]
        cells += [{"cell_type": "code", "outputs": [*extra, *outputs]}]
        path = tmp_path / "chapter.ipynb"
        path.write_text(json.dumps({"cells": cells}), encoding="utf-8")
        return path

    return write


def test_records_returns_what_was_glued(notebook):
    figures.glue("count", 12)
    figures.glue("array_count", np.int64(3))
    figures.glue("text", "two words")
    figures.glue("short", 2 / 3, digits=3)
    other = {"output_type": "stream", "text": "hello"}
    picture = {"output_type": "display_data", "data": {"image/png": "x"}}
    assert figures.records(notebook([other, picture])) == {
        "count": 12.0,
        "array_count": 3.0,
        "text": "two words",
        "short": "0.667",
    }


@pytest.mark.parametrize("value", [0.25, np.float32(0.25), np.float64(3), None, [1]])
def test_glue_refuses_numbers_without_digits(value, notebook):
    with pytest.raises(TypeError, match="glue: number is .*digits=3"):
        figures.glue("number", value)
    assert figures.records(notebook()) == {}


def test_glue_displays_in_the_format_of_myst_nb(notebook):
    figures.glue("name", 15)
    output = json.loads(notebook().read_text())["cells"][1]["outputs"][0]
    mime = "application/papermill.record/"
    assert output["data"] == {f"{mime}text/plain": "15"}
    assert output["metadata"] == {"scrapbook": {"name": "name", "mime_prefix": mime}}


def test_verify_records_the_pair_and_says_it(notebook, capsys):
    figures.verify("slope", 1.98765, 2, 0.05)
    assert capsys.readouterr().out == "slope: measured 1.99, predicted 2.00\n"
    assert figures.records(notebook()) == {
        "slope_measured": "1.99",
        "slope_predicted": "2.00",
        "slope_tolerance": "0.050",
    }


@pytest.mark.parametrize(
    ("measured", "predicted"), [(1.0, 1.2), (np.nan, 1.0), (1.0, np.nan), (np.inf, 1)]
)
def test_verify_raises_and_records_nothing_on_a_mismatch(
    notebook, measured, predicted, capsys
):
    with pytest.raises(AssertionError, match=r"slope: measured .* allowed 0.1"):
        figures.verify("slope", measured, predicted, 0.1)
    assert figures.records(notebook()) == {} and capsys.readouterr().out == ""


def test_verify_allows_a_gap_of_exactly_the_tolerance(notebook):
    figures.verify("half", 1.5, 1.0, 0.5)


def test_outside_a_notebook_glue_is_silent(capsys):
    figures.glue("x", 1)
    assert capsys.readouterr().out == ""


# --- numbers as text ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.0, 3, "0"),
        (1.0, 3, "1.00"),
        (9.996, 3, "10.0"),
        (0.09996, 3, "0.100"),
        (-0.012345, 2, "-0.012"),
        (123.0, 2, "123"),
        (123456.0, 3, "123456"),
        (1.5e7, 3, "1.50e+07"),
        (1.234e-5, 3, "1.23e-05"),
        (1.234e-4, 3, "0.000123"),
        (np.nan, 3, "nan"),
        (np.inf, 3, "inf"),
        (-np.inf, 2, "-inf"),
    ],
)
def test_significant_digits(value, digits, text):
    assert figures._significant(value, digits) == text


@given(
    st.floats(1e-4, 9e6).flatmap(lambda v: st.sampled_from([v, -v])), st.integers(1, 6)
)
def test_significant_is_within_half_a_unit_of_the_last_digit(value, digits):
    text = figures._significant(value, digits)
    assert "e" not in text
    step = 10.0 ** (np.floor(np.log10(abs(value))) + 1 - digits)
    assert abs(float(text) - value) <= 0.5000001 * step
    decimals = len(text.partition(".")[2])
    significant = text.replace("-", "").replace(".", "").lstrip("0")
    assert len(significant) == digits or decimals == 0


# --- sources, grids, images ---------------------------------------------------------


def test_show_source_shows_functions_methods_and_classes():
    code = figures.show_source(datasets.circle, EmpiricalScore.denoise).data
    assert code.startswith("def circle(")
    assert "\n\ndef denoise(self, x: PointRows, sigma: Level) -> Array:\n    " in code
    compile(code, "source", "exec")
    whole = figures.show_source(EmpiricalScore).data
    assert whole.startswith("class EmpiricalScore(") and "def denoise" in whole


def test_grid_points_reshape_row_by_row():
    x, y, points = figures.grid_points((-1, 0), (1, 4), 5)
    np.testing.assert_allclose(x, [-1, -0.5, 0, 0.5, 1])
    np.testing.assert_allclose(y, [0, 1, 2, 3, 4])
    assert points.shape == (25, 2)
    values = (10 * points[:, 0] + points[:, 1]).reshape(5, 5)
    np.testing.assert_allclose(values, 10 * x[None, :] + y[:, None])


def test_show_images_draws_every_image_with_its_pixels():
    rows = [np.linspace(-1, 1, 3 * 12).reshape(3, 12), np.full((2, 12), 5.0)]
    figure = figures.show_images(rows, ["first", "second"], shape=(3, 4))
    pictures = [a.get_images()[0].get_array() for a in figure.axes]
    assert len(pictures) == 5
    np.testing.assert_allclose(pictures[0], (rows[0][0].reshape(3, 4) + 1) / 2)
    np.testing.assert_allclose(pictures[4], 1.0)  # clipped
    assert [t.get_text() for t in figure.texts] == ["first", "second"]
    plt.close(figure)


@pytest.mark.parametrize("width", [6.4, 5.0])
def test_show_images_lays_out_squares_beside_their_labels(width):
    """Labels take 1.15 inches; each image has 92 percent of its square, from 4 on."""
    rows = [np.zeros((3, 4)), np.zeros((2, 4)), np.zeros((3, 4))]
    options = {} if width == 6.4 else {"width": width}
    figure = figures.show_images(rows, ["a", "b", "c"], shape=(2, 2), **options)
    side = (width - 1.15) / 3
    np.testing.assert_allclose(figure.get_size_inches(), [width, 3 * side])
    places = [(i, j) for i, row in enumerate(rows) for j in range(len(row))]
    for axes, (i, j) in zip(figure.axes, places, strict=True):
        inches = np.array(axes.get_position().bounds) * np.tile([width, 3 * side], 2)
        wanted = [1.15 + (j + 0.04) * side, (2 - i + 0.04) * side, *[0.92 * side] * 2]
        np.testing.assert_allclose(inches, wanted)
        assert not axes.axison and axes.images[0].get_clim() == (0, 1)
    for i, text in enumerate(figure.texts):
        np.testing.assert_allclose(text.get_position(), [0, (2.5 - i) / 3])
        assert text.get_ha() == "left" and text.get_va() == "center"
    plt.close(figure)


def colorful():
    figure, axes = plt.subplots(figsize=(4, 3))
    axes.imshow(np.random.default_rng(0).random((40, 40, 3)))
    axes.set_xlabel(r"$\sigma$")
    return figure


def test_figures_become_small_png_with_the_same_bytes():
    with plt.style.context(figures.STYLE):
        first, again = colorful(), colorful()
        (one, meta), (two, _) = map(figures._small_png, (first, again))
        raw = io.BytesIO()
        first.savefig(raw, format="png")
        plt.close(first), plt.close(again)
    assert one == two
    picture = Image.open(io.BytesIO(one))
    assert picture.format == "PNG" and picture.size == (800, 600)
    assert meta == {"width": 400}
    assert 64 < len(picture.convert("RGB").getcolors(10**6)) <= 256
    assert len(one) < len(raw.getvalue()) / 2
    corner = picture.convert("RGB").getpixel((0, 0))
    assert corner == (255, 255, 255)


def test_style_names_only_settings_that_exist():
    assert set(figures.STYLE) <= set(plt.rcParams)


def test_setup_makes_a_notebook_show_small_figures(tmp_path):
    """In a real IPython shell, from the first cell on."""
    code = """
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
import io
from PIL import Image
shell = InteractiveShell.instance()
with capture_output() as captured:
    for cell in (
        "import matplotlib.pyplot as plt, numpy as np\\n"
        "from empirical_score._book import figures\\nfigures.setup()",
        "plt.imshow(np.random.default_rng(0).random((30, 30, 3)))\\nplt.show()",
        "figures.glue('a', 2)\\nplt.plot([1, 2])\\nplt.show()",
    ):
        shell.run_cell(cell).raise_error()
pictures = [o for o in captured.outputs if "image/png" in o.data]
assert len(pictures) == 2, captured.outputs
for output, most in zip(pictures, (256, 64), strict=True):
    picture = Image.open(io.BytesIO(output.data["image/png"])).convert("RGB")
    assert len(picture.getcolors(10**6)) <= most
    assert picture.size == (1280, 720)
    assert output.metadata["image/png"] == {"width": 640}, output.metadata
(glued,) = [o for o in captured.outputs if "scrapbook" in o.metadata]
assert glued.metadata["scrapbook"]["name"] == "a"
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={
            "PATH": "",
            "HOME": str(tmp_path),
            "IPYTHONDIR": str(tmp_path),
            "PYTHONPATH": os.pathsep.join(sys.path),  # the library of this test
        },
    )
    assert done.returncode == 0, done.stderr


def test_photographs_come_out_alike_on_other_processors():
    """A change of one in 255 of a few pixels must not shift the colors of the rest."""
    rng = np.random.default_rng(0)
    patches = datasets.color_patches(24, rng)
    changed = patches + (rng.random(patches.shape) < 0.02) * rng.choice([-1, 1]) / 127.5

    def picture(images):
        fig = figures.show_images(
            [images[:12], images[12:]], ["", ""], shape=(32, 32, 3)
        )
        png, _ = figures._small_png(fig)
        plt.close(fig)
        return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=float)

    one, other = picture(patches), picture(changed)
    assert 0 < np.sqrt(np.mean((one - other) ** 2)) < 1.0  # what the comparison allows
    assert np.all(one[0, 0] == 255)
