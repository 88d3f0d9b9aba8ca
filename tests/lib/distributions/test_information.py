"""Information, its bounds and its constants against quadrature, algebra and chance."""

import mpmath
import numpy as np
import pytest
import sympy as sp
from scipy.stats import multivariate_normal, norm

from empirical_score import (
    Gaussian,
    GaussianMixture,
    LeakageBounds,
    collapse_level,
    information_density,
    leakage_bounds,
    log_wills_functional,
    mutual_information,
    renyi_information,
    score_error_constant,
)


def plane(function, wide, high=9.0, points=1501):
    """Integrate over ``[-wide, wide] x [-high, high]``: trapezoids, no mass outside."""
    a, b = np.linspace(-wide, wide, points), np.linspace(-high, high, points)
    values = function(a[:, None], b[None, :])
    return np.trapezoid(np.trapezoid(values, b, axis=1), a)


def pair_integral(function, variance, sigma):
    """Return ``E function(log p(X | Y) - log p(X))``, Y Gaussian, X = Y + sigma Z."""
    spread = np.sqrt(variance)
    total = norm(0, np.sqrt(variance + sigma**2))

    def integrand(y, z):
        ratio = norm.logpdf(z) - np.log(sigma) - total.logpdf(spread * y + sigma * z)
        return norm.pdf(y) * norm.pdf(z) * function(ratio)

    return plane(integrand, wide=14, high=14)


@pytest.mark.parametrize(("variance", "sigma"), [(1.0, 1.0), (2.0, 0.6)])
def test_mutual_information_is_the_mean_log_ratio(variance, sigma):
    found = mutual_information([variance], sigma)
    assert found == pytest.approx(
        pair_integral(lambda i: i, variance, sigma), rel=1e-10
    )


def test_information_adds_over_axes_and_is_the_log_determinant():
    root = np.random.default_rng(0).standard_normal((5, 5))
    cov, sigma = root @ root.T, 0.3
    whole = np.linalg.slogdet(np.eye(5) + cov / sigma**2)[1] / 2
    variances = np.linalg.eigvalsh(cov)
    assert mutual_information(variances, sigma) == pytest.approx(whole, rel=1e-12)
    for order in (0.4, 1.5, 2.0):
        each = sum(renyi_information([v], sigma, order) for v in variances)
        assert renyi_information(variances, sigma, order) == pytest.approx(each)


@pytest.mark.parametrize("order", [0.5, 1.3, 2.0])
def test_renyi_information_is_the_moment_of_the_ratio(order):
    s = order - 1
    moment = pair_integral(lambda i: np.exp(s * i), 0.8, 0.9)
    found = renyi_information([0.8], 0.9, order)
    assert found == pytest.approx(np.log(moment) / s, rel=1e-9)


def test_renyi_information_by_symbolic_gaussian_integrals():
    """``int p_xy^(1+s) (p_x p_y)^-s`` is a ratio of determinants."""
    s, snr = sp.symbols("s S", positive=True)
    joint = sp.Matrix([[1 + snr, snr], [snr, snr]])  # (X, Y) in units of sigma
    product = sp.diag(1 + snr, snr)
    mixed = (1 + s) * joint.inv() - s * product.inv()
    square = joint.det() ** -(1 + s) * product.det() ** s / mixed.det()
    for order, value in [(1.2, 3.0), (1.9, 0.4), (2.0, 10.0), (2.04, 11.0)]:
        exact = sp.log(square.subs({s: sp.Rational(order - 1), snr: value})) / 2
        found = renyi_information([value], 1.0, order)
        assert found == pytest.approx(float(exact) / (order - 1), rel=1e-9)


def test_renyi_information_is_continuous_at_one_and_infinite_beyond_its_range():
    variances = [3.0, 0.5]
    limit = mutual_information(variances, 0.7)
    assert renyi_information(variances, 0.7, 1) == limit
    for step in (1e-4, 1e-9, -1e-9):
        found = renyi_information(variances, 0.7, 1 + step)
        assert found == pytest.approx(limit, abs=2 * abs(step))
    assert renyi_information([1.0], 1.0, 1 + np.sqrt(2) - 1e-9) < np.inf
    assert renyi_information([1.0], 1.0, 1 + np.sqrt(2) + 1e-9) == np.inf
    assert renyi_information([0.0], 1.0, 3.0) == 0.0


def laplace_mean(a, rho):
    """``E log(1 + e^{a + rho L})``, L of density ``e^{-|q|}/2``: two equal axes."""
    with mpmath.workdps(30):
        a, rho = mpmath.mpf(a), mpmath.mpf(rho)
        places = sorted({-200, -30, 0, 30, 200, -a / rho})
        return float(
            mpmath.quad(
                lambda q: (
                    mpmath.exp(-abs(q)) / 2 * mpmath.log1p(mpmath.exp(a + rho * q))
                ),
                places,
            )
        )


@pytest.mark.parametrize("n", [1, 3, 26, 1e3, 1e6, 1e12])
@pytest.mark.parametrize("snr", [1e-4, 0.7, 25.0, 1e6])
def test_upper_bound_in_the_plane_to_nine_digits(snr, n):
    """On two equal axes ``i - I`` has a Laplace law; arbitrary precision, one axis."""
    exact = laplace_mean(np.log1p(snr) - np.log(n), np.sqrt(snr / (1 + snr)))
    _, upper = leakage_bounds([4 * snr, 4 * snr], 2.0, n)
    assert upper.value == pytest.approx(exact, rel=1e-9)
    assert upper.standard_error == 0


def test_upper_bound_on_a_line_by_quadrature_of_the_pair():
    exact = pair_integral(lambda i: np.logaddexp(0, i - np.log(7)), 1.7, 0.5)
    assert leakage_bounds([1.7], 0.5, 7).upper.value == pytest.approx(exact, rel=1e-7)


@pytest.mark.parametrize(
    ("d", "sigma", "n"), [(5, 0.4, 200), (40, 1.0, 1e6), (300, 1.0, 1e38)]
)
def test_upper_bound_with_unequal_axes_within_monte_carlo_error(d, sigma, n):
    rng = np.random.default_rng(d)
    variances = rng.exponential(size=d)
    y = np.sqrt(variances) * rng.standard_normal((100_000 // d * 5, d))
    x = y + sigma * rng.standard_normal(y.shape)
    ratio = norm.logpdf(x, y, sigma) - norm.logpdf(x, 0, np.sqrt(variances + sigma**2))
    draws = np.logaddexp(0, ratio.sum(axis=1) - np.log(n))
    error = draws.std() / np.sqrt(len(draws))
    found = leakage_bounds(variances, sigma, n)
    assert abs(found.upper.value - draws.mean()) < 4 * error
    assert error < 0.06 * found.upper.value
    assert found.lower.value == max(0, mutual_information(variances, sigma) - np.log(n))


def leakage(n, sigma, rng, sets, points=4000):
    """``E KL(p_hat || p)``, standard normal data on a line, by the trapezoid rule."""
    values = []
    for _ in range(sets):
        data = rng.standard_normal(n)
        x = np.linspace(data.min() - 9 * sigma, data.max() + 9 * sigma, points)
        estimate = norm.pdf(x[:, None], data, sigma).mean(axis=1)
        p = norm.logpdf(x, 0, np.sqrt(1 + sigma**2))
        values.append(np.trapezoid(estimate * (np.log(estimate + 1e-300) - p), x))
    return np.mean(values), np.std(values) / np.sqrt(sets)


@pytest.mark.parametrize(("n", "sigma"), [(2, 0.05), (5, 0.2), (40, 0.3)])
def test_the_truth_lies_between_the_bounds(n, sigma):
    value, error = leakage(n, sigma, np.random.default_rng(n), sets=200)
    lower, upper = leakage_bounds([1.0], sigma, n)
    assert lower.value - 4 * error < value < upper.value + 4 * error
    assert upper.value - lower.value > 4 * error  # the test would notice a miss


def test_bounds_of_a_mixture_by_monte_carlo():
    weights, variances = np.array([0.25, 0.75]), np.array([0.3, 0.1])
    law, sigma = GaussianMixture([[-1.0], [2.0]], variances, weights), 0.4
    rng = np.random.default_rng(1)
    few, many = (leakage_bounds(law, sigma, n, rng, draws=40_000) for n in (1, 20))

    def integrand(y, z):  # y runs over the data, z over the noise
        x = y + sigma * z
        data = sum(w * norm.pdf(y, m, v**0.5) for w, m, v in parts)
        total = sum(w * norm.pdf(x, m, np.sqrt(v + sigma**2)) for w, m, v in parts)
        ratio = norm.logpdf(z) - np.log(sigma) - np.log(total)
        return (
            data * norm.pdf(z) * np.array([ratio, np.logaddexp(0, ratio - np.log(20))])
        )

    parts = list(zip(weights, [-1.0, 2.0], variances, strict=True))
    information = plane(lambda y, z: integrand(y, z)[0], wide=6)
    upper = plane(lambda y, z: integrand(y, z)[1], wide=6)
    assert isinstance(many, LeakageBounds)
    assert abs(few.lower.value - information) < 4 * few.lower.standard_error < 0.05
    assert many.lower.value == 0 > information - np.log(20)
    assert abs(many.upper.value - upper) < 4 * many.upper.standard_error < 0.01


def test_bounds_of_a_gaussian_law_agree_with_those_of_its_variances():
    rng = np.random.default_rng(3)
    gaussian = Gaussian([5.0, -1.0], [0.8, 2.0])
    found = leakage_bounds(gaussian, 0.2, 4, rng, draws=40_000)
    exact = leakage_bounds([0.8, 2.0], 0.2, 4)
    for one, other in zip(found, exact, strict=True):
        assert abs(one.value - other.value) < 4 * one.standard_error < 0.05


def test_few_draws_by_hand():
    """Means over the draws, with the standard errors of independent numbers."""
    law, sigma, n = Gaussian([1.0, 0.0], [2.0, 0.5]), 0.7, 5
    found = leakage_bounds(law, sigma, n, np.random.default_rng(5), draws=4)
    rng = np.random.default_rng(5)
    y = law.sample(4, rng)
    x = y + sigma * rng.standard_normal((4, 2))
    total = multivariate_normal([1.0, 0.0], np.diag([2.49, 0.99]))
    gap = norm.logpdf(x, y, sigma).sum(axis=1) - total.logpdf(x) - np.log(n)
    for bound, values in zip(found, (gap, np.log1p(np.exp(gap))), strict=True):
        assert bound.value == pytest.approx(max(0, np.mean(values)), rel=1e-12)
        error = np.std(values, ddof=1) / 2
        assert bound.standard_error == pytest.approx(error, rel=1e-12)


def test_information_density_is_a_log_ratio_of_densities():
    rng = np.random.default_rng(4)
    means = np.array([[0.0, 1.0], [2.0, -1.0]])
    law = GaussianMixture(means, 0.5)
    x, y, sigma = rng.standard_normal((6, 2)), rng.standard_normal((6, 2)), 0.3
    total = np.mean([multivariate_normal(m, 0.59).pdf(x) for m in means], axis=0)
    expected = [
        multivariate_normal(b, sigma**2).logpdf(a) - np.log(t)
        for a, b, t in zip(x, y, total, strict=True)
    ]
    found = information_density(law, x, y, sigma)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    levels = np.linspace(0.1, 2, 6)
    each = [information_density(law, x[[k]], y[[k]], levels[k])[0] for k in range(6)]
    np.testing.assert_allclose(information_density(law, x, y, levels), each)


@pytest.mark.parametrize(("d", "n"), [(1, 2), (2, 1000), (64, 1797), (3072, 5e4)])
def test_collapse_level_of_equal_variances_has_a_closed_form(d, n):
    exact = np.sqrt(2.5 / (n ** (2 / d) - 1))
    assert collapse_level([2.5] * d, n) == pytest.approx(exact, rel=1e-10)


def test_collapse_level_of_a_spectrum_solves_its_equation():
    variances = 1.0 / np.arange(1, 65) ** 2
    level = collapse_level(variances, 1797)
    _, logdet = np.linalg.slogdet(np.eye(64) + np.diag(variances) / level**2)
    assert logdet / 2 == pytest.approx(np.log(1797), rel=1e-10)


def test_score_error_constant_is_minus_the_slope_of_the_chi_squared_constant():
    noise = sp.symbols("w", positive=True)  # sigma^2
    variances = [sp.Rational(3, 2), sp.Rational(1, 4), sp.Integer(0)]
    slope = -sp.diff(sp.prod([1 + v / noise for v in variances]), noise)
    for level in (0.2, 1.0, 5.0):
        exact = float(slope.subs(noise, level**2))
        found = score_error_constant([float(v) for v in variances], level)
        assert found == pytest.approx(exact, rel=1e-7)


def test_score_error_constant_beyond_the_largest_number_is_infinite():
    assert score_error_constant([1.0] * 400, 1e-3) == np.inf


def test_score_error_constant_is_the_variance_of_one_kernels_score():
    """``n Var s_hat -> E_y int (p(x|y)^2 / p(x)) |grad log p(x|y)/p(x)|^2 dx``."""
    variance, sigma = 0.6, 1.1
    total = variance + sigma**2

    def integrand(x, y):
        kernel, law = norm.pdf(x, y, sigma), norm.pdf(x, 0, np.sqrt(total))
        gap = (y - x) / sigma**2 + x / total
        return norm.pdf(y, 0, np.sqrt(variance)) * kernel**2 / law * gap**2

    exact = plane(integrand, 15)
    assert score_error_constant([variance], sigma) == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("d", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("ratio", [1e-3, 0.5, 4.0, 1e3])
def test_wills_functional_by_the_radial_integral(d, ratio):
    """Inside the ball the supremum is the peak, outside the kernel of the border."""
    with mpmath.workdps(40):
        r = mpmath.mpf(ratio) / 2
        sphere = 2 * mpmath.pi ** (mpmath.mpf(d) / 2) / mpmath.gamma(mpmath.mpf(d) / 2)
        tail = mpmath.quad(
            lambda u: (r + u) ** (d - 1) * mpmath.exp(-2 * u**2),
            mpmath.linspace(0, 20, 9),
        )
        peak = (2 * mpmath.pi / 4) ** (-mpmath.mpf(d) / 2)
        exact = mpmath.log(peak * sphere * (r**d / d + tail))
    found = log_wills_functional(d, ratio / 2, 0.5)
    assert found == pytest.approx(float(exact), rel=1e-10)


@pytest.mark.parametrize("sigma", [0.1, 0.5, 2.0])
def test_wills_functional_bounds_chi_squared_of_a_law_in_the_ball(sigma):
    """The uniform law on ``[-1, 1]``: ``1 + n E chi^2`` by quadrature."""

    def ratio(z, y):
        x = y + sigma * z
        law = (norm.cdf((x + 1) / sigma) - norm.cdf((x - 1) / sigma)) / 2
        return norm.pdf(z) ** 2 / (sigma * law) / 2

    second_moment = plane(ratio, wide=7, high=1)
    assert 1 < second_moment < np.exp(log_wills_functional(1, 1.0, sigma))


@pytest.mark.parametrize("d", [2, 5, 50])
def test_wills_functional_is_at_most_the_exponential_of_its_first_term(d):
    """McMullen (1991); ``V_1 / sqrt(2 pi)`` is the mean length of a normal vector."""
    with mpmath.workdps(30):
        length = mpmath.sqrt(2) * mpmath.gamma((d + 1) / 2) / mpmath.gamma(d / 2)
    for radius in (0.01, 1.0, 30.0):
        assert 0 < log_wills_functional(d, radius, 1.0) < radius * float(length)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mutual_information([-1.0], 1.0), "variances must be finite and not"),
        (lambda: mutual_information([[1.0]], 1.0), r"variances must have shape \(d,\)"),
        (lambda: mutual_information([], 1.0), r"variances must have shape \(d,\)"),
        (lambda: mutual_information([1.0], 0.0), "sigma must be finite and positive"),
        (lambda: renyi_information([1.0], 1.0, 0), "order must be finite and positive"),
        (lambda: renyi_information([np.nan], 1.0, 2), "variances must be finite"),
        (lambda: collapse_level([1.0], 1), "n must be a finite number above 1"),
        (lambda: collapse_level([0.0], 5), "variances must not all be 0"),
        (lambda: leakage_bounds([1.0], 1.0, 0), "n must be finite and positive"),
        (lambda: leakage_bounds([1.0], np.inf, 2), "sigma must be finite and positive"),
        (
            lambda: score_error_constant([1.0], -1.0),
            "sigma must be finite and positive",
        ),
        (lambda: log_wills_functional(0, 1.0, 1.0), "dimension must be"),
        (lambda: log_wills_functional(2, -1.0, 1.0), "radius must be finite and posit"),
        (
            lambda: information_density(Gaussian([0.0]), [[1.0]], [[1.0], [2.0]], 1.0),
            "y must have one row for each row of x",
        ),
    ],
)
def test_bad_input_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_law_that_is_no_gaussian_needs_a_generator():
    with pytest.raises(TypeError, match="rng"):
        leakage_bounds(Gaussian([0.0]), 1.0, 5)
