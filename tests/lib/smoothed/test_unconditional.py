"""The score without a noise level: 50 digits, sums over levels, autograd, Gauss."""

import math
import pickle

import mpmath
import numpy as np
import pytest
import torch
from scipy import integrate

import empirical_score as es
from empirical_score import UnconditionalScore
from empirical_score.smoothed.levels import LevelsBetween

RNG = np.random.default_rng


def relative(found, wanted):
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


def true_power_law(data, x, a, temperature):
    """Weights, implied score, mean, log density and level by plain sums, 50 digits."""
    with mpmath.workdps(50):
        q = mpmath.mpf(data.shape[1]) - mpmath.mpf(a)
        x = [mpmath.mpf(float(v)) for v in x]
        gaps = [
            [mpmath.mpf(float(v)) - u for v, u in zip(y, x, strict=True)] for y in data
        ]
        squares = [mpmath.fsum(g * g for g in gap) for gap in gaps]
        kernels = [s ** (-q / 2 / mpmath.mpf(temperature)) for s in squares]
        total = mpmath.fsum(kernels)
        weights = [k / total for k in kernels]
        pulls = [w * q / s for w, s in zip(weights, squares, strict=True)]
        d = range(len(x))
        score = [
            mpmath.fsum(p * g[k] for p, g in zip(pulls, gaps, strict=True)) for k in d
        ]
        shift = [
            mpmath.fsum(w * g[k] for w, g in zip(weights, gaps, strict=True)) for k in d
        ]
        log_density = temperature * mpmath.log(total / len(data))
        largest_pull = max(
            p * mpmath.sqrt(s) for p, s in zip(pulls, squares, strict=True)
        )
        level = mpmath.fsum(pulls) ** mpmath.mpf(-0.5)
        return {
            "log_weights": np.array([float(mpmath.log(w)) for w in weights]),
            "score": np.array([float(v) for v in score]),
            "shift": np.array([float(v) for v in shift]),
            "log_density": float(log_density),
            "largest_pull": float(largest_pull),
            "level": float(level),
        }


def places(data, rng):
    direction = rng.standard_normal(data.shape[1])
    direction /= np.linalg.norm(direction)
    yield "near", data[0] + 1e-8 * direction
    yield "beside a near-duplicate", data[3] + 2e-7 * direction
    yield "beside", data[2] + 0.1 * direction
    yield "middle", (data[2] + data[5]) / 2 + 1e-9 * direction
    yield "between", 0.4 * data[2] + 0.6 * data[5]
    yield "far", 1e5 * direction
    yield "noised", data[4] + rng.standard_normal(data.shape[1])


@pytest.mark.parametrize("temperature", [1.0, 7.0])
@pytest.mark.parametrize("offset", [0.0, 100.0])
@pytest.mark.parametrize(
    ("d", "n", "a"), [(3, 10, 2.0), (9, 10, 0.0), (64, 10, 2.0), (3072, 6, 2.0)]
)
def test_power_law_against_50_digits(d, n, a, offset, temperature):
    rng = RNG(0)
    data = rng.standard_normal((n, d)) + offset
    data[3] = data[1] + 1e-7 * rng.standard_normal(d) / math.sqrt(d)
    law = UnconditionalScore(data, weight_power=a, temperature=temperature)
    for name, x in places(data, rng):
        true, row = true_power_law(data, x, a, temperature), x[None]
        gap = law.log_weights(row)[0] - true["log_weights"]
        assert np.max(np.abs(gap[true["log_weights"] > -40])) < 1e-8, name
        error = np.linalg.norm(law(row)[0] - true["score"])
        assert error < 1e-8 * true["largest_pull"], name
        assert law.log_density(row)[0] == pytest.approx(true["log_density"], rel=1e-10)
        assert law.implied_level(row)[0] == pytest.approx(true["level"], rel=1e-8)
        shift = law.denoise(row)[0] - x
        scale = np.max(np.abs(x)) * math.sqrt(d) + np.linalg.norm(true["shift"])
        assert np.linalg.norm(shift - true["shift"]) < 1e-9 * scale, name


def test_shared_score_is_a_mean_shift_and_exact_beside_a_point():
    rng = RNG(1)
    data = rng.standard_normal((8, 5)) + 10
    law = UnconditionalScore(data, component="shared")
    x = data[:2] + 1e-9 * rng.standard_normal((2, 5))
    x[1] = rng.standard_normal(5) + 10
    sigma = np.array([1e-9, 2.0])
    for row, level in zip(range(2), sigma, strict=True):
        wanted = true_power_law(data, x[row], 2, 1)["shift"] / level**2
        assert relative(law(x, sigma)[row], wanted) < 1e-8
    by_hand = (law.weights(x) @ data - x)[1] / 4
    assert law(x, sigma)[1] == pytest.approx(by_hand, rel=1e-10)
    assert law.denoise(x, sigma) == pytest.approx(law.weights(x) @ data)


def test_float32_images_agree_with_float64():
    rng = RNG(2)
    data = rng.uniform(-1, 1, (40, 3072)).astype(np.float32)
    x = data[:3] + np.array([[1e-3], [0.3], [30]]) * rng.standard_normal((3, 3072))
    x = x.astype(np.float32)
    small, large = UnconditionalScore(data), UnconditionalScore(data.astype(float))
    assert small(x).dtype == np.float32
    gap = small.log_weights(x) - large.log_weights(x)
    assert np.max(np.abs(gap[large.log_weights(x) > -40])) < 5e-4
    for row in range(3):
        assert relative(small(x)[row], large(x)[row]) < 1e-4


@pytest.mark.parametrize("memory", [1, 30_000, 100_000])
def test_memory_changes_nothing(memory):
    rng = RNG(3)
    data, x = rng.standard_normal((50, 12)), rng.standard_normal((30, 12))
    x[:5] = data[:5] + 1e-7
    big, small = UnconditionalScore(data), UnconditionalScore(data, memory=memory)
    for method in ("score", "denoise", "log_weights", "log_density", "implied_level"):
        found, wanted = getattr(small, method)(x), getattr(big, method)(x)
        assert found == pytest.approx(wanted, rel=1e-12), method


# --- torch -------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [None, (0.05, 20.0)])
@pytest.mark.parametrize("d", [3, 12])
def test_torch_gives_the_same(d, levels):
    rng = RNG(4)
    data, x = rng.standard_normal((20, d)), rng.standard_normal((6, d))
    x[0] = data[0] + 1e-6
    here = UnconditionalScore(data, levels=levels)
    there = UnconditionalScore(torch.tensor(data), levels=levels)
    for method in ("score", "denoise", "log_weights", "log_density", "implied_level"):
        found = getattr(there, method)(torch.tensor(x))
        assert isinstance(found, torch.Tensor)
        assert found.numpy() == pytest.approx(getattr(here, method)(x), rel=1e-9)


@pytest.mark.parametrize("temperature", [1.0, 5.0])
@pytest.mark.parametrize("levels", [None, (0.3, 4.0)])
def test_score_is_the_gradient_of_the_log_density(levels, temperature):
    """By central differences, in d = 4, for every temperature."""
    rng = RNG(5)
    data, x = rng.standard_normal((6, 4)), rng.standard_normal((5, 4))
    law = UnconditionalScore(data, levels=levels, temperature=temperature)
    h = 1e-5
    for k in range(4):
        step = h * np.eye(4)[k]
        slope = (law.log_density(x + step) - law.log_density(x - step)) / (2 * h)
        assert slope == pytest.approx(law(x)[:, k], rel=1e-6, abs=1e-7)


# --- the integral over levels -------------------------------------------------------


def true_log_kernel(q, low, high, r):
    """``log K`` by incomplete gamma functions in 40 digits."""
    a, half = mpmath.mpf(q) / 2, mpmath.mpf(r) ** 2 / 2
    if r == 0:
        low, high = mpmath.mpf(low), mpmath.mpf(high)
        if q == 0:
            return mpmath.log(mpmath.log(high / low))
        return mpmath.log((low**-q - high**-q) / q)
    start, stop = half / mpmath.mpf(high) ** 2, half / mpmath.mpf(low) ** 2
    if q == 0:
        return mpmath.log((mpmath.e1(start) - mpmath.e1(stop)) / 2)
    return mpmath.log(mpmath.gammainc(a, start, stop) / 2) - a * mpmath.log(half)


@pytest.mark.parametrize("bounds", [(1e-8, 1e8), (0.01, 50), (1, 1.1)])
@pytest.mark.parametrize("q", [-1, 0, 1e-3, 1, 14, 3070])
def test_kernel_and_precision_between_levels_against_incomplete_gammas(q, bounds):
    kernel = LevelsBetween(q, 2, *bounds)
    with mpmath.workdps(40):
        for r in [0.0, 1e-12, 1e-8, 1e-4, 0.1, 1.0, 30.0, 1e3, 1e6, 1e10]:
            square = np.array([[r**2]])
            wanted = true_log_kernel(q, *bounds, r)
            precision = mpmath.exp(true_log_kernel(q + 2, *bounds, r) - wanted)
            found = kernel.log_kernel(square, np)[0, 0]
            assert abs(found - float(wanted)) < 1e-9 * max(1, abs(wanted)), r
            ratio = kernel.precision(square, np)[0, 0] / float(precision)
            assert ratio == pytest.approx(1, abs=1e-9), r


def test_truncated_log_density_is_normalized():
    data, levels = np.array([[-1.0], [0.5]]), (0.2, 3.0)
    for a in (-1.0, 0.0, 2.0):
        law = UnconditionalScore(data, weight_power=a, levels=levels)

        def density(x, law=law):
            return float(np.exp(law.log_density(np.array([[x]]))[0]))

        mass, _ = integrate.quad(density, -40, 40, points=[-1, 0.5], limit=400)
        assert mass == pytest.approx(1, abs=1e-7)


def averaged(data, x, sigma):
    """Weights and score at one x over evenly spaced log levels, by EmpiricalScore."""
    conditional, rows = es.EmpiricalScore(data), np.repeat(x, len(sigma), axis=0)
    joint = conditional.log_weights(rows, sigma)
    joint += (2 * np.log(sigma) + conditional.log_density(rows, sigma))[:, None]
    joint = np.exp(joint - joint.max())
    joint[[0, -1]] /= 2  # trapezoids
    score = (joint.sum(axis=1) @ conditional(rows, sigma)) / joint.sum()
    return joint.sum(axis=0) / joint.sum(), score


@pytest.mark.parametrize("d", [3, 16, 300])
def test_many_discrete_levels_give_the_power_law(d):
    rng = RNG(6)
    data = rng.standard_normal((5, d))
    x = data[:1] + 0.7 * rng.standard_normal((1, d))
    weights, score = averaged(data, x, es.geometric_levels(4000, 1e6, 1e-3))
    law = UnconditionalScore(data)
    # The levels above 1e6 hold about (r / 1e6)^(d - 2) of the weight: 1e-6 in d = 3.
    assert law.weights(x)[0] == pytest.approx(weights, rel=1e-5)
    assert law(x)[0] == pytest.approx(score, rel=1e-5)


# --- poles and limits ----------------------------------------------------------------


def test_on_a_training_point():
    data = np.array([[0.0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 0]])
    law = UnconditionalScore(data)
    x = data[:1]
    assert law.weights(x).tolist() == [[0.5, 0, 0, 0.5]]
    assert law.log_density(x)[0] == math.inf
    assert law.implied_level(x)[0] == 0
    assert law.denoise(x).tolist() == x.tolist()
    with pytest.raises(ValueError, match="x has a row that is a training point"):
        law(x)
    finite = UnconditionalScore(data, levels=(0.1, 10))
    levels = np.geomspace(0.1, 10, 4001)
    levels_weights, score = averaged(data, x, levels)
    assert finite.weights(x)[0] == pytest.approx(levels_weights, rel=1e-5)
    assert finite(x)[0] == pytest.approx(score, rel=1e-5)
    one = UnconditionalScore(np.ones((1, 20)))
    assert one.denoise(np.ones((1, 20))).tolist() == np.ones((1, 20)).tolist()


@pytest.mark.parametrize("d", [3, 30])
@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_nothing_overflows_and_scale_does_not_matter(d, scale):
    rng = RNG(7)
    data, x = rng.standard_normal((7, d)), rng.standard_normal((4, d))
    law, scaled = UnconditionalScore(data), UnconditionalScore(scale * data)
    assert scaled.weights(scale * x) == pytest.approx(law.weights(x), rel=1e-9)
    assert scaled(scale * x) * scale == pytest.approx(law(x), rel=1e-9)


def test_sampler_takes_it_and_pickle_keeps_it():
    rng = RNG(8)
    data = rng.standard_normal((4, 3))
    law = pickle.loads(pickle.dumps(UnconditionalScore(data)))
    x = rng.standard_normal((3, 3))
    euler = [r + 0.05 * 0.1 * true_power_law(data, r, 2, 1)["score"] for r in x]
    assert es.sample_ode(law, x, [0.1, 0.05], "euler") == pytest.approx(np.array(euler))
    assert law(x, 0.3).tolist() == law(x).tolist()


# --- what is refused -----------------------------------------------------------------

DATA = np.eye(3)


@pytest.mark.parametrize(
    ("options", "kind", "fragment"),
    [
        ({"weight_power": math.nan}, ValueError, "weight_power must be finite"),
        ({"weight_power": "2"}, TypeError, "weight_power must hold real numbers"),
        ({"weight_power": 3}, ValueError, "below the dimension of data, 3"),
        ({"weight_power": 4.5}, ValueError, "give levels"),
        ({"temperature": 0}, ValueError, "temperature must be finite and positive"),
        ({"temperature": math.inf}, ValueError, "temperature"),
        ({"component": "both"}, ValueError, "component must be 'implied' or 'shared'"),
        ({"levels": 3.0}, ValueError, "levels must be a pair"),
        ({"levels": (1.0, 1.0)}, ValueError, "levels must be a pair"),
        ({"levels": (0.0, 1.0)}, ValueError, "levels must be a pair"),
        ({"levels": (0.1, math.inf)}, ValueError, "levels must be a pair"),
        ({"levels": (math.nan, 1.0)}, ValueError, "levels must be a pair"),
        ({"memory": -1}, ValueError, "memory"),
    ],
)
def test_options_are_refused(options, kind, fragment):
    with pytest.raises(kind, match=fragment):
        UnconditionalScore(DATA, **options)


def test_x_and_sigma_are_refused():
    law = UnconditionalScore(DATA)
    with pytest.raises(ValueError, match="x must have 3 columns"):
        law(np.zeros((2, 4)))
    with pytest.raises(ValueError, match="x holds NaN"):
        law.weights(np.full((1, 3), np.nan))
    with pytest.raises(ValueError, match="sigma must be finite and positive"):
        law(np.ones((2, 3)), -1.0)
    with pytest.raises(ValueError, match="sigma must be given"):
        UnconditionalScore(DATA, component="shared")(np.ones((2, 3)))
