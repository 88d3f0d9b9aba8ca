"""Correctors against the recursions of one training point and of one Gaussian."""

import math

import numpy as np
import pytest
import torch

import empirical_score as es

RNG = np.random.default_rng


def point_score(x, sigma):
    """The unconditional score of one training point at the origin."""
    return -(x.shape[1] - 2) * x / np.sum(x**2, axis=1)[:, None]


def test_predictors_are_those_of_the_samplers():
    law = es.EmpiricalScore([[-1.0, 0.0], [1.0, 0.0]])
    x, levels = RNG(0).standard_normal((5, 2)), [2.0, 1.5, 1.0]
    found = es.sample_corrected(law, x, levels, RNG(1), corrector=None)
    assert found == pytest.approx(es.sample_sde(law, x, levels, RNG(1)))
    ode = es.sample_corrected(law, x, levels, RNG(1), predictor="ode", corrector=None)
    by_hand = x + (4 - 2.25) / 2 * law(x, 2.0)
    by_hand = by_hand + (2.25 - 1) / 2 * law(by_hand, 1.5)
    assert ode == pytest.approx(by_hand)


@pytest.mark.parametrize("predictor", ["ode", "sde", None])
@pytest.mark.parametrize("corrector", ["annealed", "langevin"])
def test_two_levels_by_hand(predictor, corrector):
    """Noise is drawn in order: for the corrector, then for the predictor."""
    x, rng, law = RNG(0).standard_normal((5, 3)), RNG(1), es.Gaussian([1.0, 0, 0], 2.0)
    found = es.sample_corrected(
        law,
        x,
        [2.0, 1.5, 0.0],
        RNG(1),
        predictor=predictor,
        corrector=corrector,
        size=0.2,
        temperature=0.7,
    )
    for t, s in ((2.0, 1.5), (1.5, 0.0)):
        z, slope = rng.standard_normal(x.shape), -(x - [1.0, 0, 0]) / (2 + t**2)
        h = 0.2 * t**2
        if corrector == "langevin":
            norms = [np.linalg.norm(v, axis=1)[:, None] for v in (z, slope)]
            h = 2 * (0.2 * norms[0] / norms[1]) ** 2
        x = x + h * slope + np.sqrt(2 * h * 0.7) * z
        slope, v = -(x - [1.0, 0, 0]) / (2 + t**2), t**2 - s**2
        if predictor == "ode":
            x = x + v / 2 * slope
        if predictor == "sde":
            x = x + v * slope + np.sqrt(v) * rng.standard_normal(x.shape)
    assert found == pytest.approx(x, rel=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_annealed_corrector_keeps_the_temperature_times_the_variance(temperature):
    """On a Gaussian of variance v: ``(1 - h/v)^2 E x^2 + 2 h temperature``."""
    law, m, v = es.Gaussian([0.0], 1.0), 200_000, 1 + 0.5**2
    x = np.sqrt(v) * RNG(2).standard_normal((m, 1))
    levels, h = [0.5, 0.4999999], 0.16 * 0.5**2
    out = es.sample_corrected(
        law, x, levels, RNG(3), predictor=None, temperature=temperature
    )
    wanted = (1 - h / v) ** 2 * v + 2 * h * temperature
    assert np.mean(out**2) == pytest.approx(wanted, abs=4 * wanted * math.sqrt(2 / m))


def test_langevin_step_follows_the_ratio_of_noise_to_score():
    x = RNG(4).standard_normal((3, 6))
    out = es.sample_corrected(
        point_score, x, [1, 0.5], RNG(5), predictor=None, corrector="langevin", size=0.1
    )
    z = RNG(5).standard_normal((3, 6))
    for row in range(3):
        slope = -4 * x[row] / (x[row] @ x[row])
        h = 2 * 0.01 * (z[row] @ z[row]) / (slope @ slope)
        wanted = x[row] + h * slope + math.sqrt(2 * h) * z[row]
        assert out[row] == pytest.approx(wanted, rel=1e-10)


def test_fixed_point_shrinks_the_distance_to_one_point():
    x = RNG(6).standard_normal((4, 5))
    path = es.sample_fixed_point(np.zeros_like, x, 12, 0.25, trajectory=True)
    assert path.shape == (13, 4, 5)
    assert path[-1] == pytest.approx(0.75**12 * x)
    seen = []
    last = es.sample_fixed_point(
        np.zeros_like, x, 12, 0.25, callback=lambda k, _: seen.append(k)
    )
    assert last.tolist() == path[-1].tolist() and seen == list(range(12))


def test_torch_walks_the_same_way():
    data, x = RNG(7).standard_normal((6, 4)), RNG(8).standard_normal((3, 4))
    levels = [2.0, 1.0, 0.5]
    for corrector in ("langevin", "annealed"):
        here = es.sample_corrected(
            es.UnconditionalScore(data), x, levels, RNG(9), corrector=corrector
        )
        there = es.sample_corrected(
            es.UnconditionalScore(torch.tensor(data)),
            torch.tensor(x),
            levels,
            RNG(9),
            corrector=corrector,
        )
        assert there.numpy() == pytest.approx(here, rel=1e-9)
    here = es.sample_fixed_point(es.UnconditionalScore(data).denoise, x, 9)
    law = es.UnconditionalScore(torch.tensor(data))
    there = es.sample_fixed_point(law.denoise, torch.tensor(x), 9)
    assert there.numpy() == pytest.approx(here, rel=1e-9)


@pytest.mark.parametrize(
    ("options", "kind", "fragment"),
    [
        ({"predictor": "heun"}, ValueError, "predictor must be"),
        ({"corrector": "mala"}, ValueError, "corrector must be"),
        ({"size": 0}, ValueError, "size must be finite and positive"),
        ({"size": "big"}, TypeError, "size"),
        ({"temperature": -1}, ValueError, "temperature must be finite and positive"),
        ({"rng": None}, TypeError, "rng must be"),
        ({"levels": [1.0, 2.0]}, ValueError, "levels"),
        ({"x": np.zeros(3)}, ValueError, "x must have shape"),
    ],
)
def test_bad_input_is_refused(options, kind, fragment):
    given = {"x": np.ones((2, 3)), "levels": [2.0, 1.0], "rng": RNG(0)} | options
    with pytest.raises(kind, match=fragment):
        es.sample_corrected(point_score, **given)


@pytest.mark.parametrize(
    ("steps", "rate", "fragment"),
    [(0, 0.2, "steps must be"), (1.5, 0.2, "steps"), (3, 0, "rate"), (3, 1.5, "rate")],
)
def test_bad_steps_are_refused(steps, rate, fragment):
    with pytest.raises(ValueError, match=fragment):
        es.sample_fixed_point(np.zeros_like, np.ones((2, 3)), steps, rate)


def test_leaving_the_finite_numbers_is_an_error():
    with pytest.raises(FloatingPointError, match="step 0"):
        es.sample_fixed_point(lambda x: x * np.inf, np.ones((1, 2)), 3)
    with pytest.raises(FloatingPointError, match="from level 2 to 1"):
        es.sample_corrected(
            lambda x, sigma: x * np.inf, np.ones((1, 2)), [2.0, 1.0], RNG(0)
        )
