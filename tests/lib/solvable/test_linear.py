"""The solvable model against quadrature, brute force, other algorithms and chance."""

import math

import mpmath
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from scipy.stats import binom, chi2, norm

from empirical_score import Gaussian, LinearDenoiser, gaussian_kl, linear


def pairs(n, d, nu, rng, offset=0.0):
    y = offset + rng.standard_normal((n, d))
    return y + np.sqrt(nu) * rng.standard_normal((n, d)), y


def marchenko_pastur(function, gamma):
    """Integrate over the limit law of H H^T / d, H with gamma d columns, gamma > 1."""
    low, high = (math.sqrt(gamma) - 1) ** 2, (math.sqrt(gamma) + 1) ** 2

    def integrand(angle):  # x runs over [low, high] without a singular density
        x = (low + high) / 2 - (high - low) / 2 * np.cos(angle)
        return function(x) * ((high - low) / 2 * np.sin(angle)) ** 2 / (2 * np.pi * x)

    return quad(integrand, 0, np.pi, epsabs=1e-12, limit=200)[0]


def laws(n, d, nu, repeats, rng):
    """Trace, log (pseudo-)determinant and squared mean, by pinv and eigvalsh."""
    rows = []
    for _ in range(repeats):
        x, y = pairs(n, d, nu, rng)
        xc, yc = x - x.mean(axis=0), y - y.mean(axis=0)
        slope = (np.linalg.pinv(xc) @ yc).T
        values = np.linalg.eigvalsh((1 + nu) * slope @ slope.T)[-min(n - 1, d) :]
        mean = y.mean(axis=0) - slope @ (x - y).mean(axis=0)
        if n <= d:
            mean = np.linalg.pinv(yc) @ (yc @ mean)
        rows.append([values.sum(), np.log(values).sum(), mean @ mean])
    return np.array(rows)


@pytest.mark.parametrize(("n", "d"), [(40, 7), (8, 7), (5, 7)])
def test_fit_is_the_limit_of_vanishing_ridge(n, d):
    x, y = pairs(n, d, 0.7, np.random.default_rng(n), offset=100.0)
    fit = LinearDenoiser(x, y)
    xc, yc = (a - 100 - (a - 100).mean(axis=0) for a in (x, y))
    ridge = np.linalg.solve(xc.T @ xc + 1e-10 * np.eye(d), xc.T @ yc)
    np.testing.assert_allclose(fit.slope, ridge.T, rtol=1e-3, atol=1e-3)
    assert fit.rank == min(d, n - 1)
    residual = y - fit(x)
    np.testing.assert_allclose(residual.mean(0), 0, atol=1e-10)
    np.testing.assert_allclose((x - x.mean(0)).T @ residual, 0, atol=1e-9)
    if n <= d + 1:
        np.testing.assert_allclose(residual, 0, atol=1e-9)


def test_fit_does_not_depend_on_units_and_takes_float32():
    x, y = pairs(20, 3, 1.0, np.random.default_rng(0))
    fit, scaled = LinearDenoiser(x, y), LinearDenoiser(7 * x + 2, y)
    np.testing.assert_allclose(scaled.slope, fit.slope / 7, rtol=1e-10)
    np.testing.assert_allclose(scaled(7 * x + 2), fit(x), rtol=1e-10)
    single = LinearDenoiser(x.astype(np.float32), y.astype(np.float32))
    assert single.slope.dtype == np.float64
    np.testing.assert_allclose(single.slope, fit.slope, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("n", [3, 5, 30])
def test_generated_law_is_the_law_of_what_is_generated(n):
    rng = np.random.default_rng(n)
    x, y = pairs(n, 4, 0.5, rng, offset=2.0)
    fit = LinearDenoiser(x, y)
    law = fit.generated(1.7)
    rank = min(4, n - 1)
    assert np.sum(law.variances > 0) == rank
    np.testing.assert_allclose(law.cov, 1.7 * fit.slope @ fit.slope.T, atol=1e-12)
    draws = fit(fit.y_mean + np.sqrt(1.7) * rng.standard_normal((40_000, 4)))
    scale = law.variances.max()
    np.testing.assert_allclose(draws.mean(0), law.mean, atol=5 * (scale / 4e4) ** 0.5)
    np.testing.assert_allclose(np.cov(draws.T), law.cov, atol=0.05 * scale)
    kl = gaussian_kl(law, Gaussian(np.full(4, 2.0)))
    assert (kl == np.inf) == (rank < 4)


def test_small_variances_keep_their_digits():
    x = np.array([[-1.0, 0.0], [1.0, 0.0], [0.0, -1.0], [0.0, 1.0]])
    law = LinearDenoiser(x, x * [1.0, 1e-9]).generated(4.0)
    np.testing.assert_allclose(np.sort(law.variances), [4e-18, 4.0], rtol=1e-10)


def test_generator_draws_noise_once_and_estimates_the_start():
    data = 3 + np.random.default_rng(5).standard_normal((12, 2))
    law = linear.generator(data, 0.8, np.random.default_rng(6))
    noise = np.random.default_rng(6).standard_normal((12, 2))
    start = np.trace(np.cov(data.T)) / 2 + 0.64
    expected = LinearDenoiser(data + 0.8 * noise, data).generated(start)
    np.testing.assert_allclose(law.cov, expected.cov, rtol=1e-12)
    np.testing.assert_allclose(law.mean, expected.mean, rtol=1e-12)
    known = linear.generator(data, 0.8, np.random.default_rng(6), start_variance=2.0)
    np.testing.assert_allclose(known.cov, law.cov * 2.0 / start, rtol=1e-12)


@pytest.mark.parametrize("nu", [1e-3, 0.98, 30.0])
def test_population_kl_is_that_of_two_gaussians(nu):
    narrow = norm(0, np.sqrt(1 / (1 + nu)))

    def integrand(x):
        return narrow.pdf(x) * (narrow.logpdf(x) - norm.logpdf(x))

    exact = quad(integrand, -12, 12, epsabs=1e-14, points=[-1, 0, 1])[0]
    assert linear.population_kl(nu) == pytest.approx(exact, rel=1e-7, abs=1e-12)


@pytest.mark.parametrize(("n", "d", "nu"), [(4, 12, 0.5), (8, 12, 3.0)])
def test_span_law_by_simulation(n, d, nu):
    rows = laws(n, d, nu, 1500, np.random.default_rng(n))
    kl = (rows[:, 0] - (n - 1) - rows[:, 1] + rows[:, 2]) / 2
    for values, exact in [
        (rows[:, 0], d * linear.expected_trace(n, d, nu)),
        (rows[:, 1], 0.0),
        (kl, d * linear.span_kl(n, d, nu)),
    ]:
        error = values.std() / np.sqrt(len(values))
        assert abs(values.mean() - exact) < 4 * error < 0.25 * max(1, exact)


@pytest.mark.parametrize(("n", "d", "nu"), [(30, 12, 0.3), (24, 8, 6.0), (60, 9, 1.0)])
def test_trace_volume_and_divergence_by_simulation(n, d, nu):
    rows = laws(n, d, nu, 1200, np.random.default_rng(n))
    kl = (rows[:, 0] - d - rows[:, 1] + rows[:, 2]) / 2
    estimate = linear.log_det_estimate
    for values, exact, slack in [
        (rows[:, 0], linear.expected_trace(n, d, nu), 0),
        (rows[:, 1], estimate(n, d, nu), 0.03),  # the correction is not exact
        (kl, linear.kl(n, d, nu, log_det=estimate), 0.015),
    ]:
        error = values.std() / np.sqrt(len(values)) / d
        assert abs(values.mean() / d - exact) < 4 * error + slack
        assert error < 0.03
    assert rows[:, 1].mean() < d * linear.log_det_bound(n, d, nu)


@pytest.mark.parametrize(("n", "nu"), [(4, 0.7), (6, 0.7), (25, 3.0)])
def test_one_coordinate_by_quadrature(n, nu):
    """B = rho^2 + rho sqrt(1 - rho^2) G / chi: moments and logarithm exactly."""
    rho2 = 1 / (1 + nu)

    def over_scatter(function):
        top = chi2(n - 1).isf(1e-14)
        return quad(lambda s: chi2(n - 1).pdf(s) * function(s), 0, top, limit=300)[0]

    def log_square(mean):  # E log (mean + G)^2 through Poisson's weights
        half, total, k = mean**2 / 2, 0.0, 0
        while k < 10 + 3 * half:
            weight = math.exp(-half + k * math.log(half) - math.lgamma(k + 1))
            total += weight * (math.log(2) + float(mpmath.digamma(k + 0.5)))
            k += 1
        return total

    second = over_scatter(lambda s: rho2**2 + rho2 * (1 - rho2) / s) / rho2
    assert linear.expected_trace(n, 1, nu) == pytest.approx(second, rel=1e-6)
    noise = rho2 * (1 - rho2)
    points = np.exp(np.linspace(np.log(1e-6), np.log(200), 600))
    density = chi2(n - 1).pdf(points) * points
    logs = [
        log_square(rho2 * np.sqrt(s / noise)) + np.log(noise / s / rho2) for s in points
    ]
    exact = np.trapezoid(density * logs, np.log(points))
    assert exact < linear.log_det_bound(n, 1, nu) < exact + 1.5


@pytest.mark.parametrize(("n", "d", "rho2"), [(6, 2, 0.3), (9, 3, 0.6), (4, 3, 0.5)])
def test_coin_by_brute_force(n, d, rho2):
    """The bound less its Wishart part is the log of a mean determinant."""
    rng = np.random.default_rng(n)
    x = rng.standard_normal((200_000, d, n - 1))
    y = np.sqrt(rho2) * x + np.sqrt(1 - rho2) * rng.standard_normal(x.shape)
    xt = np.swapaxes(x, 1, 2)
    draws = np.linalg.det(y @ xt) ** 2 / np.linalg.det(x @ xt)
    logs = sum(
        math.log(2) + float(mpmath.digamma((n - k) / 2)) for k in range(1, d + 1)
    )
    mean = math.exp(d * linear.log_det_bound(n, d, 1 / rho2 - 1) + logs)
    error = draws.std() / np.sqrt(len(draws))
    assert abs(draws.mean() - mean) < 4 * error < 0.1 * mean
    tail = math.factorial(d) * (1 - rho2) ** (d - n + 1) * binom.cdf(d, n - 1, rho2)
    assert mean == pytest.approx(tail, rel=1e-9)


@pytest.mark.parametrize("nu", [0.2, 1.0, 7.0])
def test_bound_and_estimate_tend_to_the_limit(nu):
    for gamma in (1.1, 1.7, 1 + nu, 4.0, 12.0):
        limit = linear.log_det_limit(gamma, nu)
        gaps = []
        for d in (100, 1000, 10_000):
            n = round(gamma * d) + 1
            bound = linear.log_det_bound(n, d, nu)
            gaps.append(bound - linear.log_det_limit((n - 1) / d, nu))
            assert linear.log_det_estimate(n, d, nu) < bound
        assert 0 < gaps[2] < gaps[1] / 5 < gaps[0] / 20 < 0.01
        assert abs(linear.log_det_estimate(n, d, nu) - limit) < 3e-3


def test_bound_without_signal_is_a_ratio_of_independent_determinants():
    """nu -> infinity: the estimate is exact, a sum of digamma functions."""
    n, d = 150, 80
    exact = sum(
        float(mpmath.digamma(k / 2) - mpmath.digamma((n - k) / 2))
        for k in range(1, d + 1)
    )
    found = linear.log_det_estimate(n, d, 1e9)
    assert found == pytest.approx(exact / d, rel=1e-6)


def test_bound_does_not_underflow():
    value = linear.log_det_bound(200_000, 5000, 0.1)
    assert value == pytest.approx(-math.log(1.1), abs=1e-3)


@pytest.mark.parametrize("gamma", [1.05, 1.6, 2.9, 6.0])
@pytest.mark.parametrize("nu", [0.3, 2.0, 40.0])
def test_log_det_limit_is_the_supremum_over_marchenko_pastur(gamma, nu):
    def objective(z):
        return z / nu - marchenko_pastur(lambda x: np.log(x + z), gamma)

    best = minimize_scalar(objective, bounds=(0, nu), method="bounded")
    supremum = -min(best.fun, objective(0.0))
    zero = marchenko_pastur(np.log, gamma)
    expected = supremum - zero - np.log1p(nu)
    assert linear.log_det_limit(gamma, nu) == pytest.approx(expected, abs=1e-7)


def test_log_det_limit_freezes_with_two_continuous_derivatives_less_one():
    nu, h = 1.6, 1e-4

    def second(side):
        gamma = 1 + nu + side * np.array([2 * h, h, 0.0])
        return np.diff(linear.log_det_limit(gamma, nu), 2)[0] / h**2

    assert second(-1) == pytest.approx(1 / (nu * (1 + nu)), rel=1e-3)
    assert second(+1) == 0
    assert linear.log_det_limit(1.0, nu) == 0
    grid = linear.log_det_limit(np.linspace(1, 9, 50), np.array([[0.1], [nu]]))
    assert grid.shape == (2, 50) and np.all(np.diff(grid, axis=1) <= 0)


def test_kl_limit_is_the_limit_of_the_finite_formula():
    for gamma, nu in [(1.4, 0.5), (3.0, 8.0), (20.0, 8.0)]:
        d = 200_000
        n = int(gamma * d) + 1
        assert linear.kl(n, d, nu) == pytest.approx(
            float(linear.kl_limit(gamma, nu)), abs=1e-4
        )
        assert linear.kl_limit(1e9, nu) == pytest.approx(linear.population_kl(nu))


def test_critical_noise_separates_monotone_from_not():
    nu_c = linear.critical_noise()
    assert nu_c == pytest.approx(4.3387, abs=5e-5)
    for nu, monotone in [(nu_c - 0.01, True), (nu_c + 0.01, False)]:
        grid = np.linspace(1.5, 1 + nu, 20_000)
        assert np.all(np.diff(linear.kl_limit(grid, nu)) < 0) == monotone


@pytest.mark.parametrize("nu", [4.4, 6.0, 50.0, 500.0])
def test_best_ratio_finds_the_valley_and_the_hill(nu):
    valley, hill = linear.best_ratio(nu)
    assert 2.3389 < valley < 3.325 < hill < 1 + nu
    for place, sign in [(valley, 1), (hill, -1)]:
        width = 0.2 * min(hill - valley, 1 + nu - hill)
        found = minimize_scalar(
            lambda g, sign=sign: sign * linear.kl_limit(g, nu),
            bounds=(place - width, place + width),
            method="bounded",
            options={"xatol": 1e-10},
        ).x
        assert place == pytest.approx(found, abs=2e-6 * max(1, nu))


@pytest.mark.parametrize("gamma", [1.02, 1.7, 5.0])
@pytest.mark.parametrize("nu", [0.2, 3.0])
def test_many_draws_by_integrals_over_marchenko_pastur(gamma, nu):
    for steps, power in [(1, 2), (math.inf, 1)]:

        def variance(x, power=power):
            return (1 + nu) * (x / (x + gamma * nu)) ** power

        trace = marchenko_pastur(variance, gamma)
        logs = marchenko_pastur(lambda x: np.log(variance(x)), gamma)
        found = linear.many_draws_kl_limit(gamma, nu, steps=steps)
        assert found == pytest.approx((trace - 1 - logs) / 2, rel=1e-6)


def test_many_draws_is_ridge_regression():
    """Least squares on many noisy copies of each point tends to ``S (S + nu)^{-1}``."""
    rng, copies, nu = np.random.default_rng(8), 150_000, 0.8
    y = rng.standard_normal((7, 2)) @ [[2.0, 0.0], [1.0, 0.3]]
    many = np.repeat(y, copies, axis=0)
    fit = LinearDenoiser(many + np.sqrt(nu) * rng.standard_normal(many.shape), many)
    scatter = np.cov(y.T, bias=True)
    ridge = scatter @ np.linalg.inv(scatter + nu * np.eye(2))
    np.testing.assert_allclose(fit.slope, ridge, atol=3e-3)


@pytest.mark.parametrize(("steps", "power"), [(1, 2), (math.inf, 1)])
def test_many_draws_limit_is_that_of_large_ridge_regressions(steps, power):
    rng, d, nu, found = np.random.default_rng(9), 200, 0.8, []
    for _ in range(8):
        scatter = np.cov(rng.standard_normal((2 * d + 1, d)).T)
        values = np.linalg.eigvalsh(scatter)
        variances = (1 + nu) * (values / (values + nu)) ** power
        found.append(np.mean(variances - 1 - np.log(variances)) / 2)
    limit = float(linear.many_draws_kl_limit(2.0, nu, steps=steps))
    assert np.mean(found) == pytest.approx(limit, abs=3e-3) and limit > 0.03
    assert linear.many_draws_kl_limit(1.0, nu) < 1.5 < linear.kl_limit(1.05, nu)


def test_estimate_at_many_points_has_the_second_order_of_the_noise():
    """``log rho^2 + log(1 - nu d / (n - 1 - d)) / d`` by simulation in the plane."""
    rng, n, nu, repeats = np.random.default_rng(10), 40, 1.0, 60_000
    y = rng.standard_normal((repeats, n, 2))
    x = y + np.sqrt(nu) * rng.standard_normal(y.shape)
    x -= x.mean(axis=1, keepdims=True)
    y -= y.mean(axis=1, keepdims=True)
    xt = np.swapaxes(x, 1, 2)
    slope = np.linalg.det(xt @ y) / np.linalg.det(xt @ x)
    logs = np.log((1 + nu) ** 2 * slope**2) / 2
    error = logs.std() / np.sqrt(repeats)
    found = linear.log_det_estimate(n, 2, nu)
    assert abs(logs.mean() - found) < 4 * error + 2e-3
    # The correction that is tested here is far larger.
    assert abs(found + np.log(1 + nu)) > 4 * (4 * error + 2e-3)
    assert found == pytest.approx(-np.log(2) + np.log(1 - 2 / 37) / 2, rel=1e-12)


def test_infinite_where_the_theory_says_so():
    for n in (10, 11, 12):
        assert linear.expected_trace(n, 10, 1.0) == np.inf
        assert linear.kl(n, 10, 1.0) == np.inf
    assert linear.kl(9, 10, 1.0) == np.inf > linear.kl(13, 10, 1.0)
    assert linear.span_kl(10, 10, 1.0) == np.inf > linear.span_kl(9, 10, 1.0)
    assert linear.expected_trace(22, 10, 3.0) == pytest.approx(1)  # n = 2 d + 2
    assert linear.kl_limit(1.0, 1.0) == np.inf


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: LinearDenoiser([[1.0]], [[1.0]]), "at least 2"),
        (lambda: LinearDenoiser(np.ones((3, 2)), np.ones((4, 2))), "equally many rows"),
        (lambda: LinearDenoiser(np.ones((3, 2)), np.ones((3, 1))), "y must have 2"),
        (lambda: LinearDenoiser(np.full((3, 2), np.nan), np.ones((3, 2))), "x holds"),
        (
            lambda: LinearDenoiser(np.eye(3), np.eye(3)).generated(0.0),
            "start_variance must be finite and positive",
        ),
        (
            lambda: linear.generator(np.eye(3), -1.0, np.random.default_rng()),
            "sigma must be finite and positive",
        ),
        (lambda: linear.expected_trace(1, 3, 1.0), "n must be an integer of at least"),
        (lambda: linear.expected_trace(5, 0, 1.0), "d must be a positive integer"),
        (lambda: linear.kl(9, 3, np.inf), "nu must be finite and positive"),
        (lambda: linear.log_det_bound(3, 3, 1.0), "n must be above d"),
        (lambda: linear.log_det_limit(0.9, 1.0), "gamma must be finite and at least 1"),
        (lambda: linear.kl_limit(2.0, [1.0, 0.0]), "nu must be finite and positive"),
        (lambda: linear.population_kl(-1.0), "nu must be finite and positive"),
        (lambda: linear.best_ratio(4.3), "nu must be above 4.3387"),
        (lambda: linear.many_draws_kl_limit(2.0, 1.0, steps=3), "steps must be 1 or"),
    ],
)
def test_bad_input_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()
