"""The audit: what it says of copies and of their absence, and what it refuses."""

import json

import numpy as np
import pytest
import torch

import empirical_score as es

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


def test_results_are_plain_json_and_text(sets):
    found = es.audit(*planted(sets, 30), **FEW)
    again = json.loads(json.dumps(found.to_dict()))
    assert again["copying"] is True and len(again["flagged"]) == len(found.flagged)
    assert again["statistics"]["ratio"]["generated_below"] == [30, 300]
    text = str(found)
    assert text.startswith("Copying found:") and "authenticity" in text
    assert max(map(len, text.splitlines())) <= 80
    with pytest.raises(AttributeError):
        found.copying = False


def test_progress_is_reported(sets):
    shares = []
    es.audit(*sets, progress=shares.append, **FEW)
    assert len(shares) >= 2 and sum(shares) == pytest.approx(1)


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


def test_discrete_data_with_many_ties():
    """Points of a small lattice repeat by chance, in all three sets alike."""
    rng = RNG(6)
    verdicts = [
        es.audit(*(rng.integers(0, 4, size=(n, 4)) for n in (300, 200, 200)), **FEW)
        for _ in range(20)
    ]
    assert sum(found.copying is True for found in verdicts) <= 2  # level 0.01
    assert all(found.exact_holdout[0] > 50 for found in verdicts)


def test_the_level_holds_on_fresh_data():
    rng, wrong, p_values = RNG(7), 0, []
    for _ in range(200):
        # In the plane ratios below 1/3 are common: the test has something to count.
        found = es.audit(*(draw(rng, n, 2) for n in (80, 60, 60)), permutations=99)
        wrong += found.copying is True
        p_values.append(found.p_value)
    for level in (0.01, 0.05, 0.2):
        share = np.mean(np.array(p_values) <= level)
        assert share < level + 4 * np.sqrt(level * (1 - level) / 200)
    assert np.mean(np.array(p_values) <= 0.2) > 0.05
    assert wrong == np.sum(np.array(p_values) <= 0.01)


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
