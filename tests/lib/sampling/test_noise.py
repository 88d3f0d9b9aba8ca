"""Noise levels and forward processes against mpmath, quadrature and autograd."""

import mpmath
import numpy as np
import pytest
import sympy
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from empirical_score import (
    EmpiricalScore,
    FlowMatching,
    Gaussian,
    OrnsteinUhlenbeck,
    VarianceExploding,
    geometric_levels,
    karras_levels,
    sample_ode,
    sample_sde,
)
from empirical_score.sampling.levels import check_decreasing

OU, VE, FM = OrnsteinUhlenbeck(), VarianceExploding(), FlowMatching()
TIMES = np.logspace(-12, np.log10(50), 60)
PART = np.append(np.logspace(-12, -0.3, 40), 1 - np.logspace(-0.31, -9, 20))


def relative(found, wanted):
    return np.max(np.abs(np.asarray(found, float) / np.asarray(wanted, float) - 1))


def exact(formula, values):
    with mpmath.workdps(60):
        return [float(formula(mpmath.mpf(float(v)))) for v in values]


def test_ou_formulas_agree_with_60_digits():
    assert relative(OU.alpha(TIMES), exact(lambda t: mpmath.exp(-t), TIMES)) < 1e-15
    sigma = exact(lambda t: mpmath.sqrt(1 - mpmath.exp(-2 * t)), TIMES)
    assert relative(OU.sigma(TIMES), sigma) < 1e-15
    level = exact(lambda t: mpmath.sqrt(mpmath.exp(2 * t) - 1), TIMES)
    assert relative(OU.noise_level(TIMES), level) < 1e-15
    times = exact(lambda s: mpmath.log(1 + s**2) / 2, level)
    assert relative(OU.time(np.array(level)), times) < 1e-15


def test_ou_time_and_noise_level_are_inverse_to_each_other():
    assert relative(OU.time(OU.noise_level(TIMES)), TIMES) < 1e-14
    levels = OU.noise_level(TIMES)
    assert relative(OU.noise_level(OU.time(levels)), levels) < 1e-14


@pytest.mark.parametrize("process", [OU, VE, FM], ids=["ou", "ve", "fm"])
def test_maps_between_conventions_are_inverse_to_each_other(process):
    x = np.random.default_rng(0).standard_normal((5, 3))
    for t in PART if process is FM else TIMES:
        back, time = process.from_noise_level(*process.to_noise_level(x, t))
        assert relative(back, x) < 1e-14
        assert relative(time, t) < 1e-14
        level = float(process.noise_level(t))
        assert relative(level, process.sigma(t) / process.alpha(t)) < 1e-14


@pytest.mark.parametrize("process", [OU, VE, FM], ids=["ou", "ve", "fm"])
def test_moments_solve_the_forward_sde(process):
    """``d alpha = f alpha dt`` and ``d sigma^2 = (2 f sigma^2 + g^2) dt``."""
    step = 1e-5
    for t in (0.01, 0.3, 0.9) if process is FM else (0.01, 0.3, 1.0, 2.5):
        rate = float(process.drift(np.ones(1), t)[0])
        slope = (process.alpha(t + step) - process.alpha(t - step)) / (2 * step)
        assert slope == pytest.approx(rate * process.alpha(t), abs=1e-9)
        rise = process.sigma(t + step) ** 2 - process.sigma(t - step) ** 2
        growth = 2 * rate * process.sigma(t) ** 2 + process.squared_diffusion(t)
        assert rise / (2 * step) == pytest.approx(growth, abs=1e-8)


@pytest.mark.parametrize("process", [OU, VE, FM], ids=["ou", "ve", "fm"])
def test_added_variance_is_the_integral_of_the_squared_diffusion(process):
    ends = ((0.9, 0.2), (0.99, 0.0)) if process is FM else ((1.0, 0.2), (3.0, 0.0))
    for t, s in (*ends, (0.5, 0.49)):
        integral, _ = quad(process.squared_diffusion, s, t)
        assert process.added_variance(t, s) == pytest.approx(integral, rel=1e-13)


def test_added_variance_does_not_cancel_for_close_levels():
    t, s = 1.0, 1.0 - 2.0**-40
    wanted = 2.0**-39 - 2.0**-80
    assert relative(VE.added_variance(t, s), wanted) < 1e-15


def test_flow_matching_formulas_agree_with_60_digits():
    level = exact(lambda t: t / (1 - t), PART)
    assert relative(FM.noise_level(PART), level) < 1e-15
    assert (
        relative(FM.time(np.array(level)), exact(lambda s: s / (1 + s), level)) < 1e-15
    )
    for s in (0.0, 1e-13, 0.3, 0.7):
        late = PART[s < PART]

        def added(t, s=s):
            return 2 * mpmath.log((1 - mpmath.mpf(s)) / (1 - t)) - 2 * (t - s)

        assert relative(FM.added_variance(late, s), exact(added, late)) < 1e-13


def test_flow_matching_velocity_is_the_mean_of_noise_minus_data():
    """Bayes' rule over the data, written out in mpmath: nothing of ``(x, sigma)``."""
    rng = np.random.default_rng(8)
    data = rng.standard_normal((5, 2))
    for t in (1e-3, 0.2, 0.5, 0.9, 0.999):
        x = (1 - t) * data + t * rng.standard_normal((5, 2))
        found = FM.velocity(EmpiricalScore(data), x, t)
        for place, velocity in zip(x, found, strict=True):
            with mpmath.workdps(40):
                noise = (place - (1 - t) * data) / t
                likely = [mpmath.exp(-sum(map(mpmath.mpf, z**2)) / 2) for z in noise]
                share = np.array([float(w / sum(likely)) for w in likely])
            np.testing.assert_allclose(velocity, share @ (noise - data), rtol=1e-9)


def test_flow_matching_velocity_of_a_gaussian_law_by_sympy():
    """Its flow multiplies ``x`` by the standard deviation of ``x_t``."""
    t, variance = sympy.symbols("t v", positive=True)
    spread = sympy.sqrt((1 - t) ** 2 * variance + t**2)
    rate = sympy.lambdify((t, variance), spread.diff(t) / spread)
    x = np.array([[1.0, -2.0]])
    law = Gaussian([0.0, 0.0], [0.3, 4.0])
    for time in (1e-6, 0.1, 0.5, 0.99, 1 - 1e-6):
        wanted = x * [rate(time, 0.3), rate(time, 4.0)]
        np.testing.assert_allclose(FM.velocity(law, x, time), wanted, rtol=1e-9)


def test_flow_matching_velocity_in_its_two_limits():
    """At t = 0 a path still knows its start; at t = 1 only the mean of the data."""
    data, z = np.array([[3.0, 0.0], [-1.0, 2.0]]), np.array([[0.5, -1.0], [2.0, 0.3]])
    score = EmpiricalScore(data)
    early = FM.velocity(score, (1 - 1e-6) * data + 1e-6 * z, 1e-6)
    np.testing.assert_allclose(early, z - data, rtol=1e-9)
    late = FM.velocity(score, z, 1 - 1e-6)
    np.testing.assert_allclose(late, z - data.mean(axis=0), rtol=2e-5)


@pytest.mark.parametrize("process", [OU, VE, FM], ids=["ou", "ve", "fm"])
def test_velocity_moves_the_density(process):
    """The continuity equation ``d/dt p = -(u p)'``, by differences of the density."""
    law, x, t, h = Gaussian([0.7], 0.2), np.linspace(-2, 2, 9)[:, None], 0.4, 1e-5

    def density(x, t):
        place, sigma = process.to_noise_level(x, t)
        return np.exp(law.log_density(place, sigma)) / process.alpha(t)

    def current(x):
        return process.velocity(law, x, t)[:, 0] * density(x, t)

    change = (density(x, t + h) - density(x, t - h)) / (2 * h)
    outflow = (current(x + h) - current(x - h)) / (2 * h)
    np.testing.assert_allclose(change, -outflow, atol=1e-8)


@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize("process", [OU, VE, FM], ids=["ou", "ve", "fm"])
def test_a_score_comes_back_from_its_velocity(process, kind):
    data = np.random.default_rng(3).standard_normal((6, 2))
    score = EmpiricalScore(data if kind == "numpy" else torch.tensor(data))
    x = score.data[:4] * 1.5
    for sigma in (1e-4, 0.3, 2.0, 1e3):
        back = process.from_velocity(lambda x, t: process.velocity(score, x, t))
        np.testing.assert_allclose(back(x, sigma), score(x, sigma), rtol=1e-7)


@pytest.mark.parametrize("process", [OU, VE, FM], ids=["ou", "ve", "fm"])
def test_a_velocity_is_asked_at_one_time_for_each_row(process):
    """As a network is: here the velocity of N(0, 1), with ``t`` of shape ``(m,)``."""
    sigma, x = np.array([0.2, 1.0, 5.0]), np.array([[1.0], [-2.0], [0.5]])
    law, asked = Gaussian([0.0]), []

    def network(x, t):
        asked.append(np.shape(t))
        rows = [process.velocity(law, x[k : k + 1], t[k]) for k in range(3)]
        return np.concatenate(rows)

    found = process.from_velocity(network)(x, sigma)
    np.testing.assert_allclose(found, law(x, sigma), rtol=1e-12)
    assert asked == [(3,)]


def test_an_euler_step_in_flow_matching_time_is_one_in_the_noise_level():
    law, rng = Gaussian([1.0, -1.0], [0.1, 3.0]), np.random.default_rng(5)
    times = np.array([0.95, 0.8, 0.3, 0.05])
    x = 20 * rng.standard_normal((7, 2))
    start, _ = FM.from_noise_level(x, FM.noise_level(times[0]))
    ours = sample_ode(law, x, FM.noise_level(times), "euler")
    theirs = sample_ode(law, start, times, "euler", process=FM)
    np.testing.assert_allclose(theirs / (1 - times[-1]), ours, rtol=1e-12)


def test_both_samplers_run_in_flow_matching_time():
    """The flow to its exact map; the walk to the mean and variance of ``x_t``."""
    law, rng = Gaussian([0.5], 0.3), np.random.default_rng(6)
    times = np.linspace(0.99, 0.1, 401)
    spread = np.sqrt((1 - times[[0, -1]]) ** 2 * 0.3 + times[[0, -1]] ** 2)
    x = (1 - 0.99) * 0.5 + spread[0] * rng.standard_normal((20_000, 1))
    flow = sample_ode(law, x, times, process=FM)
    wanted = 0.9 * 0.5 + spread[1] / spread[0] * (x - 0.01 * 0.5)
    np.testing.assert_allclose(flow, wanted, atol=2e-5)
    walk = sample_sde(law, x, times, rng, process=FM)
    assert abs(walk.mean() - 0.45) < 4 * spread[1] / np.sqrt(20_000)
    assert abs(walk.std() / spread[1] - 1) < 0.02


@pytest.mark.parametrize("t", [1e-3, 0.1, 1.0, 4.0])
def test_ou_score_is_the_gradient_of_the_ou_density(t):
    """Autograd on ``log mean_j N(x; e^-t y_j, (1 - e^-2t) I)`` written out in torch."""
    rng = np.random.default_rng(1)
    data = rng.standard_normal((6, 3))
    spread = np.sqrt(-np.expm1(-2 * t))
    x = torch.tensor(np.exp(-t) * data[:4] + spread * rng.standard_normal((4, 3)))
    x.requires_grad_()
    gaps = x[:, None] - np.exp(-t) * torch.tensor(data)
    log_p = torch.logsumexp(-(gaps**2).sum(2) / (2 * spread**2), 1)
    (gradient,) = torch.autograd.grad(log_p.sum(), x)
    score = OU.score(EmpiricalScore(data), x.detach().numpy(), t)
    np.testing.assert_allclose(score, gradient.numpy(), rtol=1e-10)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("process", [OU, VE, FM], ids=["ou", "ve", "fm"])
def test_conversions_keep_the_precision_of_x(process, kind):
    x = np.ones((2, 3), kind)
    score = EmpiricalScore(np.eye(3, dtype=kind))
    assert process.velocity(score, x, 0.7).dtype == kind
    for level in (0.7, np.array([0.7, 0.8])):
        assert process.from_velocity(lambda x, t: x)(x, level).dtype == kind
    assert process.to_noise_level(x, 0.7)[0].dtype == kind
    assert process.from_noise_level(x, 0.7)[0].dtype == kind
    assert process.score(score, x, 0.7).dtype == kind


def test_karras_levels_are_equation_5():
    for count, high, low, rho in ((18, 80.0, 0.002, 7.0), (5, 10.0, 0.1, 3.0)):
        with mpmath.workdps(60):
            a, b = (mpmath.mpf(v) ** (1 / mpmath.mpf(rho)) for v in (high, low))
            steps = [mpmath.mpf(k) / (count - 1) for k in range(count)]
            wanted = [float((a + k * (b - a)) ** rho) for k in steps]
        assert relative(karras_levels(count, high, low, rho=rho), wanted) < 1e-13


def test_karras_levels_of_the_paper_to_four_digits():
    """18 levels from 80 to 0.002, rho = 7: the paper's settings for CIFAR-10."""
    levels = karras_levels(18)[[0, 1, 2, 9, 17]]
    assert [f"{v:.4g}" for v in levels] == ["80", "57.59", "40.79", "1.923", "0.002"]


def test_karras_levels_with_rho_1_are_evenly_spaced():
    np.testing.assert_allclose(
        karras_levels(5, 9.0, 1.0, rho=1.0), [9, 7, 5, 3, 1], rtol=1e-15
    )


@given(
    count=st.integers(2, 60),
    low=st.floats(1e-6, 1e3),
    factor=st.floats(1.01, 1e6),
    make=st.sampled_from([geometric_levels, karras_levels]),
)
def test_levels_fall_strictly_between_their_ends(count, low, factor, make):
    levels = make(count, low * factor, low)
    assert levels.shape == (count,)
    assert levels[0] == low * factor and levels[-1] == low
    assert np.all(np.diff(levels) < 0)


def test_geometric_levels_fall_by_one_factor():
    levels = geometric_levels(9, 16.0, 1 / 16)
    assert relative(levels[1:] / levels[:-1], 0.5) < 1e-14


@pytest.mark.parametrize("make", [geometric_levels, karras_levels])
def test_zero_appends_one_level(make):
    levels = make(7, 5.0, 0.1, zero=True)
    assert levels.shape == (8,) and levels[-1] == 0
    np.testing.assert_array_equal(levels[:-1], make(7, 5.0, 0.1))


def test_time_zero_has_no_noise_and_all_of_the_data():
    assert FM.alpha(1.0) == 0 and FM.sigma(1.0) == 1
    for process in (OU, VE, FM):
        assert process.alpha(0.0) == 1 and process.sigma(0.0) == 0
        assert process.noise_level(0.0) == 0 and process.time(0.0) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: OU.alpha(-0.1), "^t must be finite and at least 0, got -0.1"),
        (lambda: OU.sigma(np.inf), "^t must be finite and at least 0, got inf"),
        (lambda: OU.noise_level([1.0, -1.0]), "^t must be finite and at least 0"),
        (lambda: OU.time(-1.0), "^sigma must be finite and at least 0, got -1.0"),
        (lambda: FM.alpha(1.1), "^t must be at most 1, got 1.1"),
        (lambda: FM.sigma(-0.1), "^t must be finite and at least 0, got -0.1"),
        (lambda: FM.noise_level(1.0), "^t must be below 1 and at least 0, got 1.0"),
        (lambda: FM.to_noise_level(np.eye(2), 1.0), "^t must be below 1"),
        (lambda: FM.velocity(Gaussian([0.0]), np.eye(1), 1.0), "^t must be below 1"),
        (lambda: FM.drift(np.eye(2), 1.0), "^t must be below 1"),
        (lambda: FM.added_variance(1.0, 0.5), "^t must be below 1"),
        (lambda: FM.added_variance(0.5, -0.5), "^s must be below 1"),
        (lambda: FM.time(-1.0), "^sigma must be finite and at least 0, got -1.0"),
        (lambda: FM.from_velocity(np.sin)(np.eye(2), -1.0), "^sigma must be finite"),
        (lambda: FM.from_velocity(np.sin)(np.eye(2), [1.0] * 3), "^sigma must be"),
        (lambda: geometric_levels(1), "^count must be an integer of at least 2"),
        (lambda: karras_levels(1), "^count must be an integer of at least 2"),
        (lambda: geometric_levels(3, 1.0, 1.0), "sigma_max=1.0, sigma_min=1.0"),
        (lambda: karras_levels(3, 1.0, 2.0), "sigma_max=1.0, sigma_min=2.0"),
        (lambda: karras_levels(3, 2.0, 0.0), "^sigma_min must be finite and positive"),
        (lambda: karras_levels(3, rho=0.0), "^rho must be finite and positive"),
        (lambda: check_decreasing([1.0]), r"^levels .* got shape \(1,\)"),
        (lambda: check_decreasing([[2.0, 1.0]]), r"^levels .* got shape \(1, 2\)"),
        (lambda: check_decreasing([2.0, -1.0]), "^levels .* got 2.0 to -1.0"),
        (lambda: check_decreasing([np.inf, 1.0]), "^levels must be finite"),
        (lambda: check_decreasing([3.0, 1.0, 2.0]), "^levels .* got 2.0 after 1.0"),
        (lambda: check_decreasing([3.0, 1.0, 1.0], "times"), "^times .* 1.0 after 1.0"),
    ],
)
def test_bad_times_and_levels_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_levels_may_end_at_zero_and_be_of_any_kind():
    for levels in ([2, 1, 0], (2.0, 1.0, 0.0), torch.tensor([2.0, 1.0, 0.0])):
        found = check_decreasing(levels)
        assert found.dtype == np.float64 and found.tolist() == [2.0, 1.0, 0.0]
