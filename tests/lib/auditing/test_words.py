"""The verdict and the notes of an audit: each branch, both ways, with its numbers.

The statistics are made up, so that every count is known.
"""

import audit_oracle
import numpy as np
import pytest

from empirical_score import copy_tests
from empirical_score.auditing import judge as audit_judge
from empirical_score.auditing import words as audit_words
from empirical_score.auditing.copy_statistics import Measures
from empirical_score.auditing.words import percent

NAMES = ("ratio", "relative", "authenticity", "density")


def spread(n, low=0.5, high=1.0):
    """Numbers evenly spaced in between, in an order that means nothing."""
    values = low + (high - low) * (np.arange(n) + 0.5) / n
    return np.random.default_rng(n).permutation(values)


def sample(n, *, below=0, exact=0, far=1.0, **others):
    """``n`` samples: ``below`` have a small ratio, ``exact`` of these a distance of 0.

    Other statistics are spread alike in all samples, unless they are given.
    """
    ratio = spread(n)
    ratio[:below] = np.linspace(0.05, 0.3, below)
    ratio[:exact] = 0
    distance = far * spread(n, 0.9, 1.1)
    distance[:exact] = 0
    values = {name: spread(n) for name in NAMES} | {"ratio": ratio} | others
    rows = np.arange(n)
    return Measures(**values, distance=distance, nearest=rows, flipped=rows < 0)


def judged(ours, theirs, **settings):
    m, h = len(ours.ratio), len(theirs.ratio)
    settings = {
        "train": 1000,
        "distinct": 1000,
        "generated": m,
        "holdout": h,
        "holdout_given": True,
        "dimension": 4,
        "neighbors": 5,
        "threshold": 1 / 3,
        "level": 0.01,
        "confidence": 0.95,
        "false_discoveries": 0.1,
        "permutations": 999,
    } | settings
    return audit_judge.judge(ours, theirs, settings, np.random.default_rng(0))


def counts(a, m, b, h):
    return (
        f"{a} of {m} samples and {b} of {h} held-out points are at least 3 times "
        "nearer to one training point than to the 5th nearest"
    )


def notes_of(found):
    """Without the one on the fewest flags, which has its own test."""
    return [note for note in found.notes if "single samples have p-values" not in note]


# ---- Verdicts --------------------------------------------------------------------


@pytest.mark.parametrize(("b", "h"), [(0, 300), (2, 250)])
def test_no_copying(b, h):
    found = judged(sample(300, below=2), sample(h, below=b))
    _, rate = audit_oracle.detectable(300, h, b, 0.01, 0.9)
    assert found.copying is False
    assert found.verdict == (
        f"No copying found: {counts(2, 300, b, h)}, which is no more than chance. A "
        f"rate of copies of {percent(rate)} or more would have been found with a "
        "chance of 90 %."
    )
    assert notes_of(found) == []


def test_at_a_threshold_is_not_below_it():
    ours, theirs = sample(300, below=4), sample(200, below=3)
    ours.ratio[:2] = theirs.ratio[:2] = 1 / 3
    ours.relative[:5] = theirs.relative[:7] = 1 / 2
    found = judged(ours, theirs)
    assert found.statistics["ratio"].generated_below == (2, 300)
    assert found.statistics["ratio"].holdout_below == (1, 200)
    assert found.statistics["relative"].generated_below == (0, 300)
    assert found.statistics["relative"].holdout_below == (0, 200)
    assert not {flag.sample for flag in found.flagged} & {0, 1}


@pytest.mark.parametrize(
    ("exact", "words"),
    [
        (0, ""),
        (1, "1 of 300 is equal to a training point. "),
        (20, "20 of 300 are equal to a training point. "),
    ],
)
def test_copying(exact, words):
    found = judged(sample(300, below=40, exact=exact), sample(400, below=3))
    _, low, high = audit_oracle.copy_rate(40, 300, 3, 400, 0.95)
    value = (40 / 300 - 3 / 400) / (1 - 3 / 400)
    p = audit_oracle.fisher(40, 300, 3, 400)
    assert found.copying is True
    assert found.verdict == (
        f"Copying found: {counts(40, 300, 3, 400)} (p = {p:.2g}). About "
        f"{percent(value)} of the samples are copies (95 % interval {percent(low)} to "
        f"{percent(high)}). {words}{len(found.flagged)} are flagged at a false "
        "discovery rate of 10 %."
    )
    assert len(found.flagged) > 20


def test_copying_of_which_no_single_one_is_certain():
    """Neither flags nor a rate above 0, in spite of a small p-value."""
    found = judged(sample(60, below=12), sample(60, below=2))
    p = audit_oracle.fisher(12, 60, 2, 60)
    assert p < 0.01 and audit_oracle.copy_rate(12, 60, 2, 60, 0.95)[1] == 0
    assert found.verdict == (
        f"Copying found: {counts(12, 60, 2, 60)} (p = {p:.2g}). No single one can be "
        "flagged at a false discovery rate of 10 %."
    )
    found = judged(sample(60, below=12), sample(60, below=2), confidence=0.6)
    assert "% of the samples are copies (60 % interval" in found.verdict


def test_one_flag():
    """The others have 40 of 1,999 held-out points before them."""
    ours = sample(50, below=8)
    ours.ratio[1:8] = 0.32
    theirs = sample(1999, below=40)
    theirs.ratio[:40] = 0.31
    found = judged(ours, theirs, false_discoveries=0.03)
    assert [flag.sample for flag in found.flagged] == [0]
    assert "1 is flagged at a false discovery rate of 3.0 %" in found.verdict


def test_copying_is_said_at_the_level_and_not_above():
    ours, theirs = sample(60, below=7), sample(80, below=1)
    level = copy_tests.fisher_p_value(7, 60, 1, 80)
    assert judged(ours, theirs, level=level).copying is True
    assert judged(ours, theirs, level=np.nextafter(level, 0)).copying is not True


def test_other_statistics_alone_do_not_say_copying():
    """The names of those that are significant, and the smallest of their p-values."""
    low, lower = spread(200), spread(200)
    low[:14], lower[:60] = spread(14, 0.3, 0.55), 0.1
    found = judged(sample(200, density=low, relative=lower), sample(200))
    p = {name: s.p_value for name, s in found.statistics.items()}
    assert p["relative"] == 0.001 < p["density"] <= 0.01 < min(p["ratio"], 0.02)
    assert found.copying == "undetermined"
    assert found.verdict == (
        "Undetermined. Samples lie too near to training points for held-out data "
        f"(relative, density: p < 0.002), but {counts(0, 200, 0, 200)}. Very noisy "
        "copies look like this; smooth samples and samples of little variety do, too."
    )
    alone = judged(sample(200, density=low), sample(200))
    p = alone.statistics["density"].p_value
    assert f"(density: p = {p:.2g})" in alone.verdict
    assert 0.002 < p <= 0.01
    assert judged(sample(200, density=low), sample(200), level=0.002).copying is False
    # Of 99 permutations the smallest p-value is the level itself.
    coarse = judged(sample(200, relative=lower), sample(200), permutations=99)
    assert "(relative: p < 0.02)" in coarse.verdict


def test_too_few_to_find_anything():
    found = judged(sample(1), sample(20))
    assert found.copying == "undetermined" and found.detectable_copies is None
    assert found.verdict == (
        "Undetermined: no number of copies among 1 samples would be significant at "
        "level 0.01 against 20 held-out points. Give more of both."
    )
    assert judged(sample(1), sample(99)).copying is False


@pytest.mark.parametrize(
    ("exact", "m", "equal", "h", "words"),
    [
        (1, 300, 0, 400, "1 sample is equal"),
        (3, 300, 0, 400, "3 samples are equal"),
        (6, 300, 1, 100, None),  # exactly twice as many, in proportion
        (7, 300, 1, 100, "7 samples are equal"),
        (2, 100, 1, 100, None),
        (0, 100, 0, 100, None),
    ],
)
def test_equal_points_too_few_to_be_significant(exact, m, equal, h, words):
    ours, theirs = (
        sample(m, below=exact, exact=exact),
        sample(h, below=equal, exact=equal),
    )
    found = judged(ours, theirs)
    if words is None:
        assert found.copying is False
        return
    assert found.copying == "undetermined"
    verb = "is" if equal == 1 else "are"
    assert found.verdict == (
        f"Undetermined. {words} to a training point, number for number, but so few of "
        f"{m} are not significant at level 0.01 against {h} held-out points, of which "
        f"{equal} {verb}. If equal points cannot be chance in your data, these are "
        "copies."
    )


@pytest.mark.parametrize(("equal", "copying"), [(1, False), (2, "undetermined")])
def test_held_out_data_that_are_training_data(equal, copying):
    """One percent is passed over."""
    found = judged(sample(100), sample(100, below=equal, exact=equal))
    assert found.copying == copying
    if copying:
        assert found.verdict == (
            "Undetermined: no more copying than among the held-out data, but 2.0 % "
            "of those are training points themselves, and would hide as much."
        )


@pytest.mark.parametrize(
    ("far", "copying"), [(1.9, False), (2.1, "undetermined"), (4.6, "undetermined")]
)
def test_samples_on_another_scale(far, copying):
    ours, theirs = sample(100, far=far), sample(100)
    found = judged(ours, theirs)
    assert found.copying == copying
    if copying is False:
        assert notes_of(found) == []
        return
    assert found.verdict == (
        f"Undetermined: no copies, but the samples are {far:.0f} times farther from "
        "the training set than held-out data are. Check that all data are on one scale "
        "and in one layout."
    )
    assert notes_of(found) == [
        "The samples are much farther from the training set than held-out data (median "
        f"distance {np.median(ours.distance):.3g} against "
        f"{np.median(theirs.distance):.3g}): another scale, another layout, or a poor "
        "generator."
    ]


def test_held_out_data_most_of_which_are_training_data_have_no_scale():
    found = judged(sample(100, far=9), sample(100, below=60, exact=60))
    assert "60 % of those are training points" in found.verdict
    assert not any("farther" in note for note in found.notes)


# ---- Notes -----------------------------------------------------------------------


def test_a_note_on_absent_held_out_data():
    ours, theirs = sample(100), sample(100, below=1, exact=1)
    found = judged(ours, theirs, holdout_given=False, distinct=800, train=801)
    assert notes_of(found) == [
        "No held-out data were given: 100 training points (12 %) took their place and "
        "were left out of the comparison. Copies of those points were not looked for, "
        "the rate of copies is of the rest, and near-duplicates within the training "
        "set raise the baseline. Real held-out data are better.",
        "1 training point repeats an earlier one exactly; each point was counted once.",
    ]


def test_notes_on_points_that_are_equal():
    found = judged(sample(100), sample(200, below=1, exact=1), train=1240)
    assert notes_of(found) == [
        "240 training points repeat an earlier one exactly; each point was counted "
        "once.",
        "1 of 200 held-out points is equal to a training point. Unless that is chance, "
        "take them out: they hide copying.",
    ]
    found = judged(sample(100), sample(200, below=2, exact=2))
    assert notes_of(found)[0].startswith(
        "2 of 200 held-out points are equal to a training"
    )


@pytest.mark.parametrize(
    ("m", "h", "rate", "fewest"),
    [
        (100, 999, 0.1, 1),
        (101, 999, 0.1, 2),
        (300, 99, 0.1, 30),
        (300, 99, 0.5, 6),
        (2500, 999, 0.5, 5),
    ],
)
def test_the_fewest_flags(m, h, rate, fewest):
    found = judged(sample(m), sample(h), false_discoveries=rate)
    assert found.fewest_flags == fewest
    expected = (
        f"With {h} held-out points single samples have p-values of at least "
        f"1/{h + 1:,}, so that no fewer than {fewest} of {m:,} can be flagged at a "
        f"false discovery rate of {percent(rate)}."
    )
    assert found.notes == ((expected,) if fewest > 1 else ())
    # That many smallest p-values are a list, and one fewer are none.
    p = np.full(m, 1.0)
    p[:fewest] = 1 / (h + 1)
    assert np.sum(copy_tests.discoveries(p) <= rate) == fewest
    p[fewest - 1] = 1
    assert np.sum(copy_tests.discoveries(p) <= rate) == 0


def test_a_note_on_samples_that_are_nearer_overall():
    """At a quarter of the level, as there are four statistics."""
    theirs, settings = sample(200), {"permutations": 99, "level": 0.009}
    for shift, said in ((0.04, False), (0.045, True)):
        ours = sample(200, density=spread(200) - shift)
        found = judged(ours, theirs, **settings)
        share, p = audit_oracle.nearer(ours.density, theirs.density)
        assert (p <= 0.009 / 4) == said and p < 0.009
        note = (
            "The samples are nearer to the training set overall: of a random pair the "
            "generated one is the nearer in more than half of the cases (density "
            f"{percent(share)}). That is no copying of single points; smooth or little "
            "varied samples do it, and so does mild overfitting."
        )
        assert notes_of(found) == [note] * said
    ours = sample(200, density=spread(200) - 0.1, authenticity=spread(200) - 0.2)
    found = judged(ours, theirs, **settings)
    shares = [
        audit_oracle.nearer(getattr(ours, name), getattr(theirs, name))[0]
        for name in ("authenticity", "density")
    ]
    words = f"(authenticity {percent(shares[0])}, density {percent(shares[1])})"
    assert words in notes_of(found)[0]
    copied = ours._replace(ratio=sample(200, below=30).ratio)
    found = judged(copied, theirs, **settings)
    assert found.copying is True
    assert not any("overall" in note for note in found.notes)


# ---- Words for numbers -----------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "word"),
    [(2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (13, "13th")]
    + [(21, "21st"), (22, "22nd"), (30, "30th"), (101, "101st"), (112, "112th")],
)
def test_ordinal_numbers(number, word):
    found = judged(sample(9), sample(99), neighbors=number)
    assert f"than to the {word} nearest" in found.verdict


@pytest.mark.parametrize(
    ("p_value", "permutations", "words"),
    [
        (1e-4, 9999, "< 0.0002"),
        (2e-4, 9999, "= 0.0002"),
        (0.01, 99, "< 0.02"),
        (0.0347, 99, "= 0.035"),
    ],
)
def test_chances_of_permutations(p_value, permutations, words):
    assert audit_words.chance(p_value, {"permutations": permutations}) == words
