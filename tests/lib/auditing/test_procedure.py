"""The audit: what it says of copies and of their absence, and what it refuses."""

import dataclasses
import inspect
import json

import audit_oracle
import numpy as np
import pytest
import torch
from scipy import stats

import empirical_score as es
from empirical_score import copy_statistics, copy_tests
from empirical_score.auditing import procedure as auditing

RNG = np.random.default_rng
FEW = {"permutations": 199}


def draw(rng, n, d=12):
    return rng.standard_normal((n, d))


@pytest.fixture
def sets():
    """Training, generated and held-out points of one law."""
    rng = RNG(0)
    return draw(rng, 400), draw(rng, 300), draw(rng, 300)


def planted(sets, count, noise=0.0):
    train, generated, holdout = sets
    generated = generated.copy()
    generated[:count] = train[:count] + noise * draw(RNG(1), count)
    return train, generated, holdout


# ---- Every number, by brute force ------------------------------------------------

OTHER = {
    "neighbors": 4,
    "threshold": 0.4,
    "level": 0.02,
    "confidence": 0.9,
    "false_discoveries": 0.3,
    "permutations": 999,
    "seed": 7,
}
DEFAULTS = {
    "neighbors": 5,
    "threshold": 1 / 3,
    "level": 0.01,
    "confidence": 0.95,
    "false_discoveries": 0.1,
    "permutations": 9999,
    "seed": 0,
    "flips": False,
    "features": False,
}


def record_of(audit, truth, settings):
    """What the record must hold, but for words and p-values by permutations."""
    m, h, rate = truth.m, truth.h, settings["false_discoveries"]
    interval = ("value", "low", "high")
    out = {
        "detectable_copies": truth.copies,
        "detectable_rate": truth.detectable,
        "fewest_flags": next(k for k in range(1, 999) if m / (h + 1) <= rate * k),
        "exact_copies": [truth.exact[0], m],
        "exact_holdout": [truth.exact[1], h],
        "p_value": truth.statistics["ratio"].fisher,
        "copy_rate": dict(zip(interval, truth.rate, strict=True)),
        "settings": settings
        | {
            "distinct": truth.distinct,
            "compared_with": truth.kept,
            "generated": m,
            "holdout": h,
            "dimension": truth.d,
            "tolerance": truth.tolerance,
            "bandwidth": audit.settings["bandwidth"],
            "power": 0.9,
        },
        "flagged": [
            {
                "sample": row,
                "training": int(truth.ours.nearest[row]),
                "distance": truth.ours.distance[row],
                "ratio": truth.ours.ratio[row],
                "p_value": truth.p_values[row],
                "adjusted": truth.adjusted[row],
                "flipped": bool(truth.ours.flipped[row]),
            }
            for row in truth.flagged
        ],
        "statistics": {},
    }
    for name, s in truth.statistics.items():
        told = audit.statistics[name]
        ours, theirs = getattr(truth.ours, name), getattr(truth.theirs, name)
        found, log_p = audit_oracle.tail(ours, theirs, told.tail.depth)
        # No depth that is looked at for certain is less likely than the one told.
        every = [audit_oracle.tail(ours, theirs, r)[1] for r in range(1, 33)]
        assert log_p <= min(every) + 1e-9
        tail = {"depth": told.tail.depth, "generated": found, "log_p": log_p}
        tail |= {"expected": told.tail.depth * m / (m + h), "p_value": told.p_value}
        out["statistics"][name] = {
            "name": name,
            "p_value": told.p_value,
            "tail": tail,
            "threshold": s.threshold,
            "generated_below": [int(s.below[0]), m],
            "holdout_below": [int(s.below[1]), h],
            "generated_share": dict(zip(interval, s.shares[0], strict=True)),
            "holdout_share": dict(zip(interval, s.shares[1], strict=True)),
            "fisher_p_value": s.fisher,
            "overall": s.overall,
            "overall_p_value": s.overall_p,
            "generated_median": s.medians[0],
            "holdout_median": s.medians[1],
        }
    return out


def flat(value, name=""):
    """Nested dictionaries and lists as one dictionary."""
    if isinstance(value, dict):
        parts = value.items()
    elif isinstance(value, list):
        parts = enumerate(value)
    else:
        return {name: value}
    return {k: v for key, part in parts for k, v in flat(part, f"{name}.{key}").items()}


def assert_true(audit, truth, settings):
    assert audit.settings["bandwidth"] == pytest.approx(truth.bandwidth, rel=1e-7)
    found = flat(audit.to_dict())
    for name in [n for n in found if n.startswith((".notes", ".verdict", ".copying"))]:
        del found[name]
    expected = flat(record_of(audit, truth, settings))
    numbers = {k: v for k, v in expected.items() if isinstance(v, float)}
    assert {k: found.pop(k) for k in numbers} == pytest.approx(numbers, rel=1e-8)
    assert found == {k: v for k, v in expected.items() if k not in numbers}
    assert list(audit.suspects(40)) == truth.suspects[:40]
    for name in ("ratio", "density", "distance", "nearest", "flipped"):
        np.testing.assert_allclose(
            getattr(audit.generated, name), getattr(truth.ours, name), rtol=1e-9
        )
        np.testing.assert_allclose(
            getattr(audit.holdout, name), getattr(truth.theirs, name), rtol=1e-9
        )


@pytest.mark.parametrize("flips", [False, True])
def test_every_number_about_pictures(flips):
    sets = audit_oracle.example()
    found = es.audit(*sets, flips=flips, **OTHER)
    settings = OTHER | {"flips": flips, "features": False, "shape": [8, 6]}
    settings |= {"train": 166, "holdout_given": True}
    assert_true(found, audit_oracle.audit(*sets, found.settings), settings)
    assert found.split is None and found.exact_copies == (9 if flips else 6, 90)


def test_every_number_with_the_defaults():
    """On points, in single precision; the seed is 0 and not another one."""
    sets = [x.reshape(-1, 48).astype(np.float32) for x in audit_oracle.example(seed=3)]
    found = es.audit(*sets)
    settings = DEFAULTS | {"train": 166, "shape": None, "holdout_given": True}
    assert_true(found, audit_oracle.audit(*sets, found.settings), settings)
    assert found.to_dict() == es.audit(*sets, seed=0).to_dict()
    assert found.statistics != es.audit(*sets, seed=1).statistics


def test_every_number_without_held_out_data(monkeypatch):
    train, generated, _ = audit_oracle.example()
    found = es.audit(train, generated, **OTHER)
    first = audit_oracle.first_of_equal(train)
    assert len(found.split) == len(set(found.split)) == 161 // 5
    assert set(found.split) < set(first) and sorted(found.split) == list(found.split)
    kept = np.array([row for row in first if row not in found.split])
    truth = audit_oracle.audit(
        train, generated, train[found.split], found.settings, kept=kept
    )
    settings = OTHER | {"flips": False, "features": False, "shape": [8, 6]}
    assert_true(found, truth, settings | {"train": 166, "holdout_given": False})
    other = es.audit(train, generated, **OTHER | {"seed": 8})
    assert set(other.split) != set(found.split)
    assert auditing.LARGEST_SPLIT == 10_000
    monkeypatch.setattr(auditing, "LARGEST_SPLIT", 20)
    assert len(es.audit(train, generated, **OTHER).split) == 20


def test_every_number_in_features():
    """A function of the pictures as they are, or what it returns; axes and all."""
    sets = audit_oracle.example()

    def edges(x):
        return np.diff(x, axis=2) + x[:, :, :1]

    found = es.audit(*sets, features=edges, **OTHER)
    arrays = tuple(edges(x) for x in sets)
    settings = OTHER | {"flips": False, "features": True, "shape": [8, 6]}
    settings |= {"train": 166, "holdout_given": True}
    assert_true(found, audit_oracle.audit(*arrays, found.settings), settings)
    assert found.settings["dimension"] == 40
    assert es.audit(*sets, features=arrays, **OTHER).to_dict() == found.to_dict()


def test_the_record_is_what_the_result_holds():
    def plain(value):
        if hasattr(value, "_asdict"):
            return plain(value._asdict())
        if isinstance(value, dict):
            return {name: plain(part) for name, part in value.items()}
        return list(map(plain, value)) if isinstance(value, (tuple, list)) else value

    found = es.audit(*audit_oracle.example(), **OTHER)
    record = found.to_dict()
    names = {field.name for field in dataclasses.fields(found)}
    assert names - set(record) == {"generated", "holdout", "split"}
    for name, value in record.items():
        held = getattr(found, name)
        if name == "statistics":
            held = {key: vars(statistic) for key, statistic in held.items()}
        assert plain(held) == value, name
    assert json.loads(json.dumps(record)) == record
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.copying = False
    assert len(found.suspects()) == 24 and len(found.suspects(0)) == 0
    with pytest.raises(ValueError, match="count must be an integer of at least 0"):
        found.suspects(-1)


# ---- What is said of copies ------------------------------------------------------


def test_nothing_copied(sets):
    found = es.audit(*sets, **FEW)
    assert found.copying is False and found.flagged == ()
    assert found.copy_rate.low == 0 and found.exact_copies == (0, 300)
    assert found.verdict.startswith("No copying found: 0 of 300 samples and 0 of 300")
    # (1/2)^7 < 0.01: seven copies would do.
    assert found.detectable_copies == 7
    assert 7 / 300 < found.detectable_rate < 0.05
    assert found.split is None and found.settings["holdout_given"]


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_copies_are_found_counted_and_named(sets, noise):
    found = es.audit(*planted(sets, 30, noise), **FEW)
    assert found.copying is True
    assert found.copy_rate.low < 0.1 < found.copy_rate.high
    assert found.copy_rate.value == pytest.approx(0.1, abs=0.005)
    named = {(flag.sample, flag.training) for flag in found.flagged}
    assert named >= {(i, i) for i in range(30)} and len(named) <= 33
    assert sorted(found.suspects(30)) == list(range(30))
    assert found.exact_copies[0] == (30 if noise == 0 else 0)
    assert found.p_value == found.statistics["ratio"].fisher_p_value < 1e-8
    assert "10.0 % of the samples are copies" in found.verdict.replace("10 %", "10.0 %")


def test_seven_copies_of_300_are_enough_and_six_are_not(sets):
    assert es.audit(*planted(sets, 7, 0.01), **FEW).copying is True
    assert es.audit(*planted(sets, 6, 0.01), **FEW).copying is not True


def test_few_exact_copies_are_no_proof_but_are_told(sets):
    found = es.audit(*planted(sets, 3), **FEW)
    assert found.copying == "undetermined"
    assert found.verdict.startswith("Undetermined. 3 samples are equal to a training")


def test_copies_of_images_that_the_training_set_repeats(sets):
    train, generated, holdout = planted(sets, 30, 0.02)
    again = [train[:30] + 0.01 * draw(RNG(2 + i), 30) for i in range(6)]
    exact = [train[:30]] * 8
    found = es.audit(np.concatenate([train, *again, *exact]), generated, holdout, **FEW)
    assert found.copying is True and len(found.flagged) >= 30
    assert found.settings["distinct"] == 400 + 6 * 30
    assert any("240 training points repeat" in note for note in found.notes)
    assert {flag.training for flag in found.flagged} <= {
        *range(400 + 6 * 30)
    }  # the first of equal rows is named


def test_smooth_samples_are_not_called_copies():
    rng = RNG(3)
    train, generated, holdout = (draw(rng, n, 40) for n in (500, 400, 400))
    generated[:, 15:] = 0
    found = es.audit(train, generated, holdout, **FEW)
    assert found.copying == "undetermined" and found.flagged == ()
    assert "smooth samples" in found.verdict
    assert any("nearer to the training set overall" in note for note in found.notes)


def test_without_holdout_a_fifth_of_the_training_set_takes_its_place(sets):
    train, generated, _ = planted(sets, 60)
    found = es.audit(train, generated, **FEW)
    assert found.copying is True
    assert found.settings["holdout"] == 80 and found.settings["compared_with"] == 320
    # Copies of the points split off are not looked for, as the note says.
    seen = {flag.training for flag in found.flagged}
    assert not seen & set(found.split.tolist())
    assert all(flag.sample == flag.training for flag in found.flagged)
    assert "Copies of those points were not looked for" in found.notes[0]
    clean = es.audit(sets[0], sets[1], **FEW)
    assert clean.copying is False


def test_a_split_keeps_equal_points_together(sets):
    train, generated, _ = sets
    found = es.audit(np.concatenate([train, train]), generated, **FEW)
    assert found.copying is False and found.exact_holdout == (0, 80)


def test_mirror_images_count_with_flips():
    rng = RNG(4)
    train, generated, holdout = (rng.random((n, 6, 5)) for n in (300, 200, 200))
    generated[:25] = train[:25, :, ::-1]
    assert es.audit(train, generated, holdout, **FEW).copying is False
    found = es.audit(train, generated, holdout, flips=True, **FEW)
    assert found.copying is True and found.exact_copies[0] == 25
    assert all(flag.flipped for flag in found.flagged[:25])
    flat = [x.reshape(len(x), 30) for x in (train, generated, holdout)]
    again = es.audit(*flat, flips=True, shape=(6, 5), **FEW)
    assert again.to_dict() == found.to_dict()


def test_features_decide_what_a_copy_is(sets):
    train, generated, holdout = sets
    generated = generated.copy()
    generated[:30] = train[:30] + 5.0  # moved: far in the points themselves
    assert es.audit(train, generated, holdout, **FEW).copying is False

    def shape_only(x):
        return x - x.mean(axis=1, keepdims=True)

    found = es.audit(train, generated, holdout, features=shape_only, **FEW)
    assert found.copying is True and found.settings["features"]
    arrays = tuple(shape_only(x) for x in (train, generated, holdout))
    given = es.audit(train, generated, holdout, features=arrays, **FEW)
    assert given.to_dict() == found.to_dict()


def test_kinds_of_arrays_and_repetition(sets):
    narrow = [np.round(20 * x) for x in planted(sets, 30)]
    expected = es.audit(*narrow, **FEW).to_dict()
    for kind in (np.int8, np.int64, np.float32, np.float16):
        assert es.audit(*(x.astype(kind) for x in narrow), **FEW).to_dict() == expected
    tensors = [torch.tensor(x) for x in narrow]
    assert es.audit(*tensors, **FEW).to_dict() == expected
    assert es.audit(*narrow, seed=1, **FEW).to_dict() != expected


@pytest.mark.parametrize("flips", [False, True])
@pytest.mark.parametrize("memory", [2**28, 2**14])
def test_progress_is_reported(sets, flips, memory):
    shares, settings = [], {"flips": flips, "shape": (4, 3), "memory": memory}
    reported = es.audit(*sets, progress=shares.append, **settings, **FEW)
    assert sum(shares) == pytest.approx(1) and min(shares) > 0
    assert len(shares) >= (20 if memory == 2**14 else 2 + flips)
    assert reported.to_dict() == es.audit(*sets, **settings, **FEW).to_dict()
    if memory == 2**14:  # blocks change nothing
        settings["memory"] = 2**28
        assert reported.to_dict() == es.audit(*sets, **settings, **FEW).to_dict()


def test_rows_are_equal_whatever_the_sign_of_zero(sets):
    train, generated, holdout = (np.abs(np.round(x)) for x in sets)
    again = np.where(train[:50] == 0, -0.0, train[:50])
    assert np.any(np.signbit(again))
    found = es.audit(np.concatenate([train, again]), generated, holdout, **FEW)
    assert found.settings["distinct"] == len(np.unique(train, axis=0))
    assert {flag.training for flag in found.flagged} <= set(range(400))


# ---- Odd data: a stated verdict -------------------------------------------------


def test_generated_equal_to_train(sets):
    train, _, holdout = sets
    found = es.audit(train, train, holdout, **FEW)
    assert found.copying is True and found.copy_rate.low > 0.95
    assert found.exact_copies == (400, 400)


def test_one_sample_can_be_judged_only_with_enough_held_out_data():
    rng = RNG(5)
    train, many, few = draw(rng, 300), draw(rng, 150), draw(rng, 20)
    assert es.audit(train, train[:1], many, **FEW).copying is True
    assert es.audit(train, draw(rng, 1), many, **FEW).copying is False
    found = es.audit(train, draw(rng, 1), few, **FEW)
    assert found.copying == "undetermined" and found.detectable_rate is None
    assert "no number of copies among 1 samples" in found.verdict


def test_one_held_out_point(sets):
    found = es.audit(sets[0], sets[1][:20], sets[2][:1], **FEW)
    assert found.copying == "undetermined"


def test_held_out_data_that_were_trained_on(sets):
    train, generated, holdout = sets
    holdout = holdout.copy()
    holdout[:60] = train[:60]
    found = es.audit(train, generated, holdout, **FEW)
    assert found.copying == "undetermined"
    assert "20 % of those are training points" in found.verdict
    assert any("60 of 300 held-out points are equal" in note for note in found.notes)


def test_another_scale(sets):
    train, generated, holdout = planted(sets, 300)
    found = es.audit(train, 20 * generated + 30, holdout, **FEW)
    assert found.copying == "undetermined" and "on one scale" in found.verdict


def test_a_collapsed_generator(sets):
    train, generated, holdout = sets
    found = es.audit(train, np.repeat(generated[:1], 200, axis=0), holdout, **FEW)
    assert found.copying is not True
    copied = es.audit(train, np.repeat(train[:1], 200, axis=0), holdout, **FEW)
    assert copied.copying is True


# ---- The level -------------------------------------------------------------------

# Of 1,000 trials more than 24 are wrong with a chance below 1e-4 at 1 %, and 24 or
# fewer with one below 1e-4 at 5 %.
TRIALS, MOST = 1000, 24


def test_the_number_of_trials_tells_one_percent_from_five():
    assert stats.binom.sf(MOST, TRIALS, 0.01) < 1e-4
    assert stats.binom.cdf(MOST, TRIALS, 0.05) < 1e-4


def verdicts(ratio, m, h):
    """Fisher's p-values of trials, from ratios ``(trials, m + h)``."""
    below = ratio < 1 / 3
    counts = zip(below[:, :m].sum(axis=1), below[:, m:].sum(axis=1), strict=True)
    known = {}
    for a, b in counts:
        if (a, b) not in known:
            known[a, b] = copy_tests.fisher_p_value(a, m, b, h)
        yield known[a, b]


def test_the_level_holds_on_fresh_data():
    """In the plane ratios below 1/3 are common: the test has something to count."""
    rng, m, h = RNG(7), 60, 40
    data, fresh = draw(rng, 80, 2), draw(rng, TRIALS * (m + h), 2)
    found = copy_statistics.measure(fresh, data, neighbors=5, tolerance=0, bandwidth=1)
    p_values = np.array(list(verdicts(found.ratio.reshape(TRIALS, -1), m, h)))
    assert np.sum(p_values <= 0.01) <= MOST
    for level in (0.05, 0.2, 0.5):
        wrong = np.sum(p_values <= level)
        assert stats.binom.sf(wrong - 1, TRIALS, level) > 1e-4
        assert wrong > TRIALS * level / 3  # not far below: there is power


def test_the_level_holds_on_discrete_data():
    """Points of a small lattice repeat by chance, in all three sets alike."""
    rng, m, h = RNG(6), 200, 150
    lattice = np.stack(np.meshgrid(*[np.arange(4.0)] * 4), axis=-1).reshape(-1, 4)
    data = np.unique(lattice[rng.integers(256, size=300)], axis=0)
    found = copy_statistics.measure(
        lattice, data, neighbors=5, tolerance=0.1, bandwidth=1
    )
    drawn = rng.integers(256, size=(TRIALS, m + h))
    p_values = np.array(list(verdicts(found.ratio[drawn], m, h)))
    assert np.sum(found.distance == 0) == len(data) > 100
    assert TRIALS * 0.002 < np.sum(p_values <= 0.01) <= MOST


def test_lattices_are_no_copies():
    """The same, by the audit itself: half of both sets are training points."""
    rng = RNG(6)
    found = es.audit(*(rng.integers(0, 4, size=(n, 4)) for n in (300, 200, 150)), **FEW)
    assert found.copying == "undetermined" and found.p_value > 0.01
    assert min(found.exact_holdout[0] / 150, found.exact_copies[0] / 200) > 0.5


def test_the_settings_are_documented_in_order():
    """Defaults as the record says."""
    named = inspect.signature(es.audit).parameters
    for name, value in DEFAULTS.items():
        given = named[name].default
        assert given == value or (name == "features" and given is None)
    assert named["memory"].default == 2**28 and named["tolerance"].default is None


# ---- Bad input: refused by name ---------------------------------------------------

T, G, H = draw(RNG(0), 60), draw(RNG(1), 20), draw(RNG(2), 30)


def with_value(value):
    out = G.copy()
    out[3, 2] = value
    return out


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        ((T[:0], G, H), {}, "train is empty"),
        ((T, G[:0], H), {}, "generated is empty"),
        ((T, G, H[:0]), {}, "holdout is empty"),
        ((T[0], G, H), {}, "train must have shape"),
        (([[1.0, 2.0], [3.0]], G, H), {}, "train is ragged"),
        ((T, with_value(np.nan), H), {}, "generated holds NaN or infinity in 1 of"),
        ((T, G, -np.inf * H), {}, "holdout holds NaN or infinity in 30"),
        ((T, G[:, :5], H), {}, r"generated must have items of .* \(12,\), got \(5,\)"),
        ((T, G, H[:, :5]), {}, "holdout must have items"),
        ((T.reshape(60, 3, 4), G, H), {}, r"generated must have items of .* \(3, 4\)"),
        ((T, G, T), {}, "all 60 rows of holdout are rows of train"),
        ((T, G, T[::2]), {}, "all 30 rows of holdout are rows of train"),
        ((T, G, G), {}, "generated and holdout are the same data"),
        ((np.ones_like(T), G, H), {}, "more than 5 distinct points.*got 1 in 60 rows"),
        ((T[:6], G), {}, "train must hold more than 5 .*a fifth of them split off"),
        ((T[:1], G), {}, "train must hold more than 5"),
        ((T[:5], G, H), {}, "more than 5 distinct points.*got 5 in 5 rows$"),
        ((T[:4], G), {"neighbors": 2}, "at least 5 distinct points to split.*got 4 in"),
        ((T, G, H), {"shape": 12}, "shape must be two or three sizes.*12.*got .12,"),
        ((T, G, H), {"shape": (4, 4)}, "shape must be two or three sizes"),
        ((T, G, H), {"shape": (2, 2, 3, 1)}, "shape must be two or three sizes"),
        ((T, G, H), {"shape": (-4, -3)}, "shape must be a positive integer, got -4"),
        ((T, G, H), {"permutations": 98}, "permutations must be an integer of at le"),
        ((T, G, H), {"seed": -1}, "seed must be an integer of at least 0, got -1"),
        ((T, G, H), {"memory": 0}, "memory must be finite and positive, got 0"),
        ((T, G, H), {"tolerance": np.inf}, "tolerance must be finite and at least 0"),
        *(
            ((T, G, H), {name: value}, f"{name} must lie strictly between 0 and 1")
            for name in ("threshold", "level", "confidence", "false_discoveries")
            for value in (0, 1, np.nan)
        ),
        ((T, G, H), {"neighbors": 60}, "more than 60 distinct points"),
        ((T, G, H), {"neighbors": 1}, "neighbors must be an integer of at least 2"),
        ((T, G, H), {"tolerance": -1.0}, "tolerance must be finite and at least 0"),
        ((T, G, H), {"tolerance": np.nan}, "tolerance must be finite"),
        ((T, G, H), {"tolerance": 1e9}, "tolerance 1e.09 is so large"),
        ((T, G, H), {"threshold": 1.5}, "threshold must lie strictly between 0 and 1"),
        ((T, G, H), {"level": 0}, "level must lie strictly between 0 and 1"),
        ((T, G, H), {"confidence": 95}, "confidence must lie strictly between"),
        ((T, G, H), {"false_discoveries": np.nan}, "false_discoveries must lie"),
        (
            (T, G, H),
            {"permutations": 10},
            "permutations must be an integer of",
        ),
        ((T, G, H), {"seed": -1}, "seed must be an integer of at least 0"),
        ((T, G, H), {"memory": 0}, "memory must be finite and positive"),
        ((T, G, H), {"shape": (5, 5)}, "shape must be two or three sizes.* is 12"),
        ((T, G, H), {"shape": (12,)}, "shape must be two or three sizes"),
        (
            (T, G, H),
            {"shape": (9, 2), "features": np.abs},
            "shape must be two or three",
        ),
        ((T, G, H), {"flips": True}, "flips needs shape"),
        ((T, G, H), {"flips": True, "features": np.abs}, "flips cannot be combined"),
        ((T, G, H), {"features": (T, G)}, "features must be a function or 3 arrays"),
        (
            (T, G, H),
            {"features": (T, G, H[1:])},
            "features of holdout must have its",
        ),
        (
            (T, G, H),
            {"features": (T, G[:, 1:], H)},
            "features of generated must have",
        ),
    ],
)
def test_bad_input_is_refused_by_name(arguments, settings, message):
    with pytest.raises(ValueError, match=message):
        es.audit(*arguments, **settings)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (G > 0, "generated must hold real numbers"),
        (1j * G, "generated is complex"),
        (G.astype(str), "generated must hold real numbers"),
        ("samples.npy", "generated must hold real numbers"),
        (None, "generated must hold real numbers"),
    ],
)
def test_what_is_no_real_array_is_refused(value, message):
    with pytest.raises(TypeError, match=message):
        es.audit(T, value, H)
