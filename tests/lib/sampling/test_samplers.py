"""Samplers against closed-form flows, exact recursions and the one-step exact law."""

import numpy as np
import pytest
import torch
from scipy import stats

from empirical_score import (
    EmpiricalScore,
    Gaussian,
    OrnsteinUhlenbeck,
    VarianceExploding,
    energy_test,
    geometric_levels,
    karras_levels,
    sample_ode,
    sample_sde,
)

OU = OrnsteinUhlenbeck()
LAW = Gaussian([1.0, -2.0], [0.25, 4.0])


def flow(x, start, end):
    """The exact flow of LAW: each axis keeps its standardized coordinate."""
    mean, variance = np.array([1.0, -2.0]), np.array([0.25, 4.0])
    return mean + (x - mean) * np.sqrt((variance + end**2) / (variance + start**2))


def start_points(m=6):
    return 3 * np.random.default_rng(0).standard_normal((m, 2))


def order(errors):
    return np.log2(np.array(errors[:-1]) / np.array(errors[1:]))


# --- the ODE ------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "wanted"), [("euler", 1), ("heun", 2)])
def test_order_of_convergence_on_a_gaussian(method, wanted):
    x, errors = start_points(), []
    for count in (32, 64, 128, 256):
        found = sample_ode(LAW, x, geometric_levels(count + 1, 3.0, 0.2), method)
        errors.append(np.abs(found - flow(x, 3.0, 0.2)).max())
    assert np.all(np.abs(order(errors) - wanted) < 0.1)


@pytest.mark.parametrize(("method", "wanted"), [("euler", 1), ("heun", 2)])
def test_order_of_convergence_of_the_ornstein_uhlenbeck_flow(method, wanted):
    """The exact flow is the variance-exploding one between mapped states."""
    x, errors, start, end = start_points(), [], 1.5, 0.1
    place, sigma = OU.to_noise_level(x, start)
    exact = flow(place, sigma, OU.noise_level(end)) * np.exp(-end)
    for count in (32, 64, 128, 256):
        times = np.linspace(start, end, count + 1)
        found = sample_ode(LAW, x, times, method, process=OU)
        errors.append(np.abs(found - exact).max())
    assert np.all(np.abs(order(errors) - wanted) < 0.1)


def test_heun_is_the_trapezoidal_step_of_karras_and_others():
    """Algorithm 1 without churn, written out for three levels."""
    x, levels = start_points(), [2.0, 1.0, 0.0]
    slope = -2.0 * LAW(x, 2.0)
    guess = x - slope
    middle = x - (slope - 1.0 * LAW(guess, 1.0)) / 2
    wanted = middle + 1.0 * LAW(middle, 1.0)  # Euler into level 0
    np.testing.assert_allclose(sample_ode(LAW, x, levels), wanted, rtol=1e-14)


def test_the_score_is_never_asked_at_level_0():
    asked = []

    def score(x, sigma):
        asked.append(sigma)
        return LAW(x, sigma)

    levels = karras_levels(5, 3.0, 0.1, zero=True)
    for method in ("euler", "heun"):
        sample_ode(score, start_points(), levels, method)
    sample_sde(score, start_points(), levels, np.random.default_rng(0))
    sample_sde(score, start_points(), levels, np.random.default_rng(0), "ancestral")
    assert min(asked) == pytest.approx(0.1) and len(asked) == 5 + 9 + 5 + 5


def test_ode_to_level_0_ends_on_training_points():
    data = np.array([[0.0, 0.0], [3.0, 1.0], [-2.0, 2.0]])
    x = 5 * np.random.default_rng(1).standard_normal((40, 2))
    out = sample_ode(EmpiricalScore(data), x, karras_levels(60, 5.0, 1e-3, zero=True))
    gaps = np.linalg.norm(out[:, None] - data, axis=2).min(1)
    assert np.mean(gaps < 1e-8) > 0.95


# --- the SDE ------------------------------------------------------------------------


@pytest.mark.parametrize("process", [VarianceExploding(), OU], ids=["ve", "ou"])
def test_euler_maruyama_has_the_moments_of_its_linear_recursion(process):
    """For a Gaussian every step is affine: mean and variance are known exactly."""
    levels, m = [1.5, 1.0, 0.6, 0.3], 40_000
    mean0, variance0 = np.array([1.0, -2.0]), np.array([0.25, 4.0])
    x = np.tile([0.5, 0.7], (m, 1))
    mean, variance = x[0].copy(), np.zeros(2)
    for t, s in zip(levels[:-1], levels[1:], strict=True):
        if process is OU:
            alpha, noise, added, rate = np.exp(-t), -np.expm1(-2 * t), 2 * (t - s), -1
        else:
            alpha, noise, added, rate = 1.0, t**2, t**2 - s**2, 0
        total = alpha**2 * variance0 + noise
        gain = 1 - added / total - (t - s) * rate
        mean = gain * mean + added * alpha * mean0 / total
        variance = gain**2 * variance + added
    out = sample_sde(LAW, x, levels, np.random.default_rng(2), process=process)
    z = (out.mean(0) - mean) / np.sqrt(variance / m)
    assert np.all(np.abs(z) < 4)
    z = (out.var(0) / variance - 1) / np.sqrt(2 / m)
    assert np.all(np.abs(z) < 4)


@pytest.mark.parametrize("levels", [[3.0, 0.5], [3.0, 2.0, 1.0, 0.5]])
def test_ancestral_is_exact_for_one_training_point(levels):
    """However few steps: ``X_end | X_3 = x`` is ``N(y + r (x - y), end^2 (1 - r))``."""
    y, x, m = np.array([1.0, -1.0]), np.array([4.0, 2.0]), 20_000
    rng = np.random.default_rng(3)
    law = EmpiricalScore(y[None])
    out = sample_sde(law, np.tile(x, (m, 1)), levels, rng, "ancestral")
    ratio = (0.5 / 3.0) ** 2
    cdf = stats.norm(y + ratio * (x - y), 0.5 * np.sqrt(1 - ratio)).cdf(out)
    for axis in (0, 1):
        assert stats.kstest(cdf[:, axis], "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(out.T)[0, 1]) < 4 / np.sqrt(m)


def test_ancestral_into_level_0_returns_the_denoiser():
    x, rng = start_points(), np.random.default_rng(4)
    out = sample_sde(LAW, x, [1.0, 0.0], rng, "ancestral")
    np.testing.assert_allclose(out, LAW.denoise(x, 1.0), rtol=1e-13)


def test_ancestral_is_the_same_in_both_processes():
    """Mapped levels, mapped states, the same random numbers: the same samples."""
    times, x = np.array([1.5, 0.8, 0.3, 0.05]), start_points()
    law = EmpiricalScore(np.random.default_rng(5).standard_normal((9, 2)))
    ou = sample_sde(law, x, times, np.random.default_rng(6), "ancestral", process=OU)
    place, _ = OU.to_noise_level(x, times[0])
    levels = OU.noise_level(times)
    ve = sample_sde(law, place, levels, np.random.default_rng(6), "ancestral")
    np.testing.assert_allclose(ou, np.exp(-times[-1]) * ve, rtol=1e-11)


class TestSimulationAgainstTheExactSampler:
    """Reverse SDE against one exact step, five points in five dimensions.

    The two laws are compared by the energy test on 600 against 600 samples at the
    level 0.05, in 20 independent repetitions.
    """

    data = 2 * np.random.default_rng(77).standard_normal((5, 5))

    def p_values(self, sampler):
        law, found = EmpiricalScore(self.data), []
        for seed in range(20):
            rng = np.random.default_rng(seed)
            start = self.data[rng.integers(5, size=(2, 600))]
            start = start + 10 * rng.standard_normal(start.shape)
            exact = law.sample_posterior(start[0], 10.0, 0.5, rng)
            other = sampler(start[1], rng)
            found.append(energy_test(exact, other, rng, permutations=99)[1])
        return np.array(found)

    def exact(self, x, rng, count=5):
        return EmpiricalScore(self.data[:count]).sample_posterior(x, 10.0, 0.5, rng)

    @pytest.mark.parametrize("process", ["ve", "ou"])
    def test_the_two_laws_agree(self, process):
        law = EmpiricalScore(self.data)
        levels = geometric_levels(150, 10.0, 0.5)

        def simulate(x, rng):
            if process == "ve":
                return sample_sde(law, x, levels, rng)
            times = OU.time(levels)
            x, _ = OU.from_noise_level(x, levels[0])
            x = sample_sde(law, x, times, rng, process=OU)
            return OU.to_noise_level(x, times[-1])[0]

        p_values = self.p_values(simulate)
        assert np.mean(p_values < 0.05) <= 0.15  # more in 2 % of such experiments
        assert stats.kstest(p_values, "uniform").pvalue > 1e-3

    def test_power_against_15_percent_more_spread(self):
        def spread(x, rng):
            out = self.exact(x, rng)
            return out.mean(0) + 1.15 * (out - out.mean(0))

        assert np.mean(self.p_values(spread) < 0.05) > 0.9

    def test_power_against_a_missing_cluster(self):
        p_values = self.p_values(lambda x, rng: self.exact(x, rng, count=4))
        assert np.mean(p_values < 0.05) > 0.9

    def test_power_against_coarse_steps(self):
        law, levels = EmpiricalScore(self.data), geometric_levels(5, 10.0, 0.5)
        p_values = self.p_values(lambda x, rng: sample_sde(law, x, levels, rng))
        assert np.mean(p_values < 0.05) > 0.9


# --- the machinery ------------------------------------------------------------------


def samplers(law, x, levels, seed=7, **more):
    yield sample_ode(law, x, levels, "euler", **more)
    yield sample_ode(law, x, levels, "heun", **more)
    for method in ("euler", "ancestral"):
        yield sample_sde(law, x, levels, np.random.default_rng(seed), method, **more)


def test_trajectory_holds_every_state():
    x, levels = start_points(), [2.0, 1.0, 0.5, 0.25]
    ends = samplers(LAW, x, levels)
    paths = samplers(LAW, x, levels, trajectory=True)
    shorter = samplers(LAW, x, levels[:2])
    for end, path, first in zip(ends, paths, shorter, strict=True):
        assert end.shape == (6, 2) and path.shape == (4, 6, 2)
        np.testing.assert_array_equal(path[0], x)
        np.testing.assert_array_equal(path[1], first)
        np.testing.assert_array_equal(path[-1], end)


def test_callback_sees_every_step_and_its_state():
    seen = []
    x, levels = start_points(), [2.0, 1.0, 0.5]
    for number, path in enumerate(
        samplers(
            LAW, x, levels, trajectory=True, callback=lambda k, x: seen.append((k, x))
        )
    ):
        steps = seen[2 * number :]
        assert [k for k, _ in steps] == [0, 1]
        for k, state in steps:
            np.testing.assert_array_equal(state, path[k + 1])


def test_the_start_is_not_changed():
    x = start_points()
    kept = x.copy()
    list(samplers(LAW, x, [2.0, 1.0, 0.0]))
    np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_leaving_the_finite_numbers_is_an_error_that_names_the_step(bad):
    def score(x, sigma):
        return np.where(sigma > 0.6, LAW(x, sigma), bad)

    with pytest.raises(FloatingPointError, match=r"from level 0.5 to 0.25"):
        sample_ode(score, start_points(), [1.0, 0.5, 0.25], "euler")
    with pytest.raises(FloatingPointError, match=r"from level 0.5 to 0.25"):
        rng = np.random.default_rng(0)
        sample_sde(score, start_points(), [1.0, 0.5, 0.25], rng)


@pytest.mark.parametrize("process", [None, OU], ids=["ve", "ou"])
def test_numpy_and_torch_give_the_same_numbers(process):
    """With a NumPy generator, which both kinds share."""
    law = EmpiricalScore(np.random.default_rng(8).standard_normal((9, 2)))
    x, levels = start_points(), [1.5, 0.7, 0.3]
    for kind in (np.float64, np.float32):
        place = x.astype(kind)
        wanted = samplers(law, place, levels, process=process)
        found = samplers(law, torch.tensor(place), levels, process=process)
        tolerance = 1e-11 if kind is np.float64 else 1e-4
        for a, b in zip(found, wanted, strict=True):
            assert isinstance(a, torch.Tensor) and isinstance(b, np.ndarray)
            np.testing.assert_allclose(a.numpy(), b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("process", [None, OU], ids=["ve", "ou"])
def test_float32_stays_float32(process):
    data, x = np.eye(2, dtype=np.float32), np.ones((3, 2), np.float32)
    for out in samplers(EmpiricalScore(data), x, [1.5, 0.7, 0.0], process=process):
        assert out.dtype == np.float32
    law = EmpiricalScore(torch.tensor(data))
    for out in samplers(law, torch.tensor(x), [1.5, 0.7], process=process):
        assert out.dtype == torch.float32


def test_a_torch_generator_is_repeatable_and_has_the_right_law():
    m, law = 20_000, EmpiricalScore(np.zeros((1, 1)))
    draws = [
        sample_sde(
            law,
            torch.zeros(m, 1, dtype=torch.float64),
            [2.0, 1.0],
            torch.Generator().manual_seed(0),
            "ancestral",
        )
        for _ in range(2)
    ]
    assert torch.equal(*draws)
    assert stats.kstest(draws[0][:, 0], stats.norm(0, 0.75**0.5).cdf).pvalue > 1e-3


def test_samples_do_not_depend_on_memory():
    data, levels = np.random.default_rng(9).standard_normal((30, 2)), [3.0, 1.0, 0.1]
    runs = [
        list(samplers(EmpiricalScore(data, memory=memory), start_points(40), levels))
        for memory in (2**27, 1)
    ]
    for a, b in zip(*runs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


# --- what the states of a path share ------------------------------------------------


class Prepared:
    """A score that must be asked only by way of ``along_path``."""

    def __init__(self):
        self.law, self.starts, self.calls = LAW, [], 0

    def along_path(self, x):
        self.starts.append(x)
        return self._score

    def _score(self, x, sigma):
        self.calls += 1
        return self.law(x, sigma)

    def __call__(self, x, sigma):
        raise AssertionError("the path was not used")


@pytest.mark.parametrize("method", ["euler", "heun"])
@pytest.mark.parametrize("process", [None, OU])
def test_the_ode_asks_a_score_for_the_path_from_its_start(method, process):
    """At the noise level of the start, and then the path alone, at every step."""
    score, x, levels = Prepared(), start_points(), np.geomspace(2.0, 0.1, 6)
    found = sample_ode(score, x, levels, method, process=process)
    np.testing.assert_array_equal(
        found, sample_ode(LAW, x, levels, method, process=process)
    )
    (start,) = score.starts
    place = x if process is None else process.to_noise_level(x, levels[0])[0]
    np.testing.assert_array_equal(start, place)
    assert score.calls == (5 if method == "euler" else 10)


@pytest.mark.parametrize("array", [np.asarray, torch.as_tensor])
@pytest.mark.parametrize("process", [None, OU])
def test_the_ode_of_an_exact_score_follows_a_path_to_the_tolerance(array, process):
    """And the path knows what is certain of each step: it was used, not the law."""
    rng, used = np.random.default_rng(4), []
    data = rng.standard_normal((601, 40)) / np.arange(1, 41)

    class Watched(EmpiricalScore):
        def along_path(self, x):
            used.append(super().along_path(x))
            return used[-1]

    law = Watched(array(data), tolerance=1e-6)
    x, levels = 10 * rng.standard_normal((4, 40)), np.geomspace(8.0, 0.01, 16)
    if process:
        x, levels = x / 10, np.geomspace(2.0, 0.01, 16)
    found = np.asarray(sample_ode(law, array(x), levels, process=process))
    wanted = sample_ode(EmpiricalScore(data), x, levels, process=process)
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    (path,) = used
    assert len(path.certificates) == 30
    assert all(np.all(np.asarray(c.error) <= 1.001e-6) for c in path.certificates)
