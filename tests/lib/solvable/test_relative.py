"""Relative distances: quadrature, Monte Carlo, mpmath and simulation as oracles."""

import math

import mpmath
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm

import empirical_score as es
from empirical_score import relative
from empirical_score.solvable.relative import RelativeDistance, kernel_width


def density(x, centers, widths):
    """Equal mixture of Gaussians on a line, from scipy."""
    return norm.pdf(np.asarray(x)[..., None], centers[:, 0], widths).mean(axis=-1)


@pytest.mark.parametrize("spread", [0.3, 1.0, 4.0])
def test_delta_is_a_difference_of_two_integrals_on_a_line(spread):
    rng = np.random.default_rng(0)
    train, fresh = spread * rng.standard_normal((4, 1)), rng.standard_normal((9, 1))
    fresh *= spread
    law = es.Gaussian([0.3 * spread], 0.5 * spread**2)

    def gap(data):
        width = spread / len(data)

        def integrand(x):
            generated = norm.pdf(x, 0.3 * spread, math.sqrt(0.5) * spread)
            return (generated - density(x, data, width)) ** 2

        ends = np.sort(data[:, 0])
        edges = [-9 * spread, *ends, 9 * spread]
        pieces = zip(edges[:-1], edges[1:], strict=True)
        return sum(quad(integrand, a, b, limit=200)[0] for a, b in pieces)

    exact = (gap(train) - gap(fresh)) * math.sqrt(4 * math.pi) * spread
    delta = RelativeDistance(fresh, spread)(law, train)
    assert delta.sign * math.exp(delta.log_size) == pytest.approx(exact, rel=1e-8)


def test_delta_in_the_plane_on_a_grid():
    rng = np.random.default_rng(1)
    train, fresh = rng.standard_normal((6, 2)), rng.standard_normal((12, 2))
    cov = np.array([[0.8, 0.3], [0.3, 0.4]])
    axis = np.linspace(-8, 8, 601)
    points = np.stack(np.meshgrid(axis, axis), axis=-1)
    generated = multivariate_normal([0.2, -0.1], cov).pdf(points)

    def gap(data):
        width = len(data) ** -0.5
        parts = [multivariate_normal(y, width**2 * np.eye(2)).pdf(points) for y in data]
        return np.sum((generated - np.mean(parts, axis=0)) ** 2) * (16 / 600) ** 2

    delta = RelativeDistance(fresh)(es.Gaussian([0.2, -0.1], cov), train)
    exact = (gap(train) - gap(fresh)) * 4 * math.pi
    assert delta.sign * math.exp(delta.log_size) == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("sigma", [0.0, 0.4])
def test_overlap_by_monte_carlo_in_eight_dimensions(sigma):
    rng = np.random.default_rng(2)
    data = rng.standard_normal((15, 8))
    width = kernel_width(15, 8)
    kernel = es.EmpiricalScore(data)
    factor = rng.standard_normal((8, 8)) / 3
    for law in (es.Gaussian(np.full(8, 0.2), factor @ factor.T), kernel):
        if law is kernel and sigma == 0:
            continue  # atoms: covered by the closed form below
        draws = law.sample(60_000, rng) + sigma * rng.standard_normal((60_000, 8))
        values = np.exp(kernel.log_density(draws, width))
        exact = math.exp(relative.log_overlap(law, data, width, sigma))
        error = values.std() / math.sqrt(len(values))
        assert abs(values.mean() - exact) < 4 * error < 0.2 * exact


def test_overlap_of_copies_and_pairs_by_mpmath_where_floats_would_underflow():
    data = 60 * np.random.default_rng(3).standard_normal((5, 3))
    width, total = 0.4, mpmath.mpf(0)
    copies = relative.log_overlap(es.EmpiricalScore(data), data, width)
    apart = mpmath.mpf(0)
    with mpmath.workdps(60):
        for k, y in enumerate(data):
            for j, z in enumerate(data):
                square = sum(mpmath.mpf(a) ** 2 for a in (y - z))
                v = mpmath.mpf(width) ** 2
                total += mpmath.exp(-square / (2 * v)) / (2 * mpmath.pi * v) ** 1.5
                if j != k:
                    part = mpmath.exp(-square / (4 * v))
                    apart += part / (4 * mpmath.pi * v) ** 1.5
        assert copies == pytest.approx(float(mpmath.log(total / 25)), rel=1e-12)
        exact = float(mpmath.log(apart / 25))
    assert exact < -800  # exp(exact) is zero in float64
    assert relative.log_pairs(data, width) == pytest.approx(exact, rel=1e-12)


def test_pairs_do_not_depend_on_blocks_or_order_and_vanish_for_one_point():
    data = np.random.default_rng(4).standard_normal((1100, 3))
    squares = np.sum((data[:, None] - data[None]) ** 2, axis=2)
    kernel = np.exp(-squares / (4 * 0.25)) - np.eye(1100)
    exact = np.log(kernel.sum() / 1100**2) - 1.5 * math.log(4 * math.pi * 0.25)
    assert relative.log_pairs(data, 0.5) == pytest.approx(exact, rel=1e-12)
    assert relative.log_pairs(data[::-1], 0.5) == pytest.approx(exact, rel=1e-12)
    assert relative.log_pairs([[1.0, 2.0]], 0.5) == -math.inf


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_delta_does_not_depend_on_units_or_origin(scale):
    rng = np.random.default_rng(5)
    train, fresh = rng.standard_normal((30, 12)), rng.standard_normal((200, 12))
    law = es.linear.generator(train, 1.0, rng)
    moved = es.Gaussian(scale * (law.mean + 5), 0.0)
    moved.axes, moved.variances = law.axes, scale**2 * law.variances
    first = RelativeDistance(fresh)(law, train)
    second = RelativeDistance(scale * (fresh + 5), scale)(moved, scale * (train + 5))
    np.testing.assert_allclose(second, first, rtol=1e-9)


def test_far_apart_terms_keep_their_sign_in_the_log_domain():
    rng = np.random.default_rng(6)
    train, fresh = rng.standard_normal((50, 900)), rng.standard_normal((400, 900))
    delta = RelativeDistance(fresh)(es.linear.generator(train, 1.0, rng), train)
    assert delta.log_pairs_train < delta.log_pairs_fresh < -350 and delta.sign == -1
    assert delta.log_size == pytest.approx(math.log(2) + delta.log_overlap_train)
    single = RelativeDistance(fresh.astype(np.float32))
    law = es.Gaussian(np.zeros(900), 0.5)
    assert single(law, train.astype(np.float32)).log_overlap_train == pytest.approx(
        RelativeDistance(fresh)(law, train).log_overlap_train, abs=1e-4
    )


def test_width_makes_the_self_term_the_unit_and_ends_at_collapse():
    for n, d in [(7, 1), (50, 20), (10**6, 3072)]:
        width = kernel_width(n, d, 2.5)
        log_self = -math.log(n) - d / 2 * math.log(4 * math.pi * width**2)
        unit = -d / 2 * math.log(4 * math.pi * 2.5**2)
        assert log_self == pytest.approx(unit, abs=1e-9 * d)
    n, d = 30, 5
    exact = es.collapse_level(np.ones(d), n)
    apart = (1 - 1 / n) * (1 + exact**2) ** (-d / 2)
    assert exact**-d / n * (1 - 1 / n) == pytest.approx(apart, rel=1e-12)


@pytest.mark.parametrize(
    ("n", "d", "copied", "blur", "width"),
    [(10, 1, 0, 0, 1), (20, 2, 0.3, 0, 1), (25, 4, 0, 0, 2), (15, 6, 0.1, 0.2, 0.8)],
)
def test_mean_and_deviation_of_delta_by_simulation(n, d, copied, blur, width):
    """Sums of Gaussian kernels over many pairs of sets, in units of (4 pi)^(-d/2)."""
    rng, n0, repeats = np.random.default_rng(n), 30, 4000

    def kernel(squares, variance):
        return (2 / variance) ** (d / 2) * np.exp(-squares / (2 * variance))

    def apart(a, b):
        return sum((a[:, :, None, k] - b[:, None, :, k]) ** 2 for k in range(d))

    def distance(y, copies):  # E_TG without the square of the generator
        w2 = (width * y.shape[1] ** (-1 / d)) ** 2
        truth = kernel(np.sum(y**2, axis=2), 1 + w2).mean(axis=1)
        pairs = kernel(apart(y, y), 2 * w2).mean(axis=(1, 2))
        if not copied:
            return pairs - 2 * truth
        copy = kernel(apart(y, copies), blur**2 + w2).mean(axis=(1, 2))
        return pairs - 2 * ((1 - copied) * truth + copied * copy)

    train, fresh = (rng.standard_normal((repeats, m, d)) for m in (n, n0))
    values = distance(train, train) - distance(fresh, train)
    mean = relative.expected_difference(n, n0, d, copied=copied, blur=blur, width=width)
    error = np.std(values) / math.sqrt(repeats)
    assert abs(np.mean(values) - mean) < 4 * error
    if copied == 0:
        deviation = relative.difference_deviation(n, n0, d, width=width)
        centered = (values - mean) ** 2
        error = centered.std() / math.sqrt(repeats)
        assert abs(centered.mean() - deviation**2) < 4 * error < 0.3 * deviation**2


def test_deviation_tends_to_its_leading_term_and_mean_to_minus_or_plus():
    for d in (1, 2, 4):
        for width in (1.0, 1.5):
            n = 10**15
            leading = 2 ** (0.5 - d / 4) / math.sqrt(width**d * n)
            found = relative.difference_deviation(n, math.inf, d, width=width)
            assert found == pytest.approx(leading, rel=3e-6)
    assert relative.expected_difference(10**6, math.inf, 2) < 0
    with mpmath.workdps(50):  # the terms cancel to 1e-8 of their size

        def mean(n, d):
            u = mpmath.mpf(n) ** (-mpmath.mpf(2) / d)
            pairs = (1 - 1 / mpmath.mpf(n)) * (1 + u) ** (-mpmath.mpf(d) / 2) - 1
            return float(pairs - 2 * ((1 + u / 2) ** (-mpmath.mpf(d) / 2) - 1))

        for n, d in [(10**4, 6), (50, 3), (7, 1)]:
            found = relative.expected_difference(n, math.inf, d)
            assert found == pytest.approx(mean(n, d), rel=1e-9)
        # For d > 4 it is d (d + 2) / 16 n^{-4/d} to leading order.
        assert mean(10**18, 6) * 10**12 == pytest.approx(6 * 8 / 16, rel=1e-5)
    assert relative.expected_difference(50, 50, 9) == 0


def linear_models(n, d, nu, count, rng):
    """Training points, means and covariances of many models, by normal equations.

    ``C = (1 + nu) B B^T`` and ``mean = y_mean + B (y_mean - x_mean)``.
    """
    y = rng.standard_normal((count, n, d))
    x = y + math.sqrt(nu) * rng.standard_normal(y.shape)
    x_mean, y_mean = x.mean(axis=1), y.mean(axis=1)
    xc, yc = x - x_mean[:, None], y - y_mean[:, None]
    xt = np.swapaxes(xc, 1, 2)
    slope = np.swapaxes(np.linalg.solve(xt @ xc, xt @ yc), 1, 2)
    mean = y_mean + np.einsum("rij,rj->ri", slope, y_mean - x_mean)
    return y, mean, (1 + nu) * slope @ np.swapaxes(slope, 1, 2)


CASES = [(12, 4, 0.7), (30, 6, 4.0), (9, 2, 0.1)]


@pytest.mark.parametrize(("n", "d", "nu"), CASES)
def test_overfit_covariance_by_simulation(n, d, nu):
    y, _, cov = linear_models(n, d, nu, 20_000, np.random.default_rng(n))
    squares, diagonal = np.mean(y**2, axis=1), np.einsum("rii->ri", cov)
    products = (squares - 1) * (diagonal - diagonal.mean())
    error = products.mean(axis=1).std() / math.sqrt(len(y))
    exact = relative.overfit_covariance(n, d, nu)
    assert abs(products.mean() - exact) < 4 * error < 0.3 * exact


@pytest.mark.parametrize(("n", "d", "nu"), CASES)
def test_balance_has_the_moments_of_training_and_fresh_points(n, d, nu):
    """M_T and M_O are the mean squares of ``y_k - m`` and of a fresh ``y - m``, plus C.

    They come back out of the balance: it depends on n0 through M_O alone.
    """
    y, mean, cov = linear_models(n, d, nu, 20_000, np.random.default_rng(n + 1))
    trace = np.einsum("rii->r", cov) / d
    train = np.mean((y - mean[:, None]) ** 2, axis=(1, 2)) + trace
    fresh = 1 + np.mean(mean**2, axis=1) + trace
    errors = [4 * v.std() / math.sqrt(len(v)) for v in (train, fresh)]
    assert errors[0] < 0.02 * train.mean()

    few, many = (relative.overlap_balance(n, d, nu, n0) for n0 in (1, 10**9))
    ratio = math.exp(2 * (few - many) / d)  # (M + 1) / (M + w)
    small = (10**9) ** (-2 / d)
    apart = (1 - ratio * small) / (ratio - 1)
    assert abs(apart - fresh.mean()) < errors[1]

    def balance(m):
        lean = relative.overfit_covariance(n, d, nu) * d * (d + 2) / (4 * m**2)
        return -0.5 * d * math.log(m / (apart + small)) + lean

    m = train.mean() + n ** (-2 / d)
    slope = abs(balance(m + errors[0]) - balance(m - errors[0])) / 2
    assert abs(balance(m) - many) < slope


def test_balance_is_the_ratio_of_mean_overlaps():
    n, d, nu, rng = 60, 6, 1.0, np.random.default_rng(7)
    y, mean, cov = linear_models(n, d, nu, 5000, rng)

    def overlap(places, variance):  # of each law, blurred, at places (m, d) of its own
        total = cov + variance * np.eye(d)
        gaps = np.swapaxes(places - mean[:, None], 1, 2)
        squares = np.sum(gaps * np.linalg.solve(total, gaps), axis=1)
        return np.exp(-squares / 2).mean(axis=1) / np.sqrt(np.linalg.det(total))

    width = kernel_width(n, d)
    train = overlap(y, width**2)
    # The mean over fresh sets of any size is an overlap of two Gaussians.
    fresh = overlap(np.zeros((len(y), 1, d)), 1 + width**2)
    ratio = train.mean() / fresh.mean()
    error = np.std(train - ratio * fresh) / math.sqrt(len(y)) / train.mean()
    balance = relative.overlap_balance(n, d, nu, n)
    # Equal widths: what is left is overfitting, known to relative order d / n.
    assert abs(math.log(ratio) - balance) < 4 * error + d / n * balance
    assert 4 * error < 0.2 * balance


def test_balance_tips_from_training_set_to_fresh_points():
    signs = [relative.overlap_balance(n, 20, 0.98, 2000) > 0 for n in (25, 100, 1900)]
    assert signs == [True, False, True]


GAUSSIAN = es.Gaussian([0.0, 0.0])
DATA = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]])


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: kernel_width(0, 2), ValueError, "n must be"),
        (lambda: kernel_width(5, 2.5), ValueError, "d must be"),
        (lambda: kernel_width(5, 2, -1.0), ValueError, "spread"),
        (lambda: relative.log_pairs(DATA[0], 1.0), ValueError, "data must have shape"),
        (lambda: relative.log_pairs(DATA * np.nan, 1.0), ValueError, "data holds NaN"),
        (lambda: relative.log_pairs(DATA, 0.0), ValueError, "width"),
        (lambda: relative.log_pairs(DATA * 1j, 1.0), TypeError, "data is complex"),
        (
            lambda: relative.log_overlap(GAUSSIAN, DATA, 1.0, -0.1),
            ValueError,
            "sigma must be finite and at least 0",
        ),
        (
            lambda: relative.log_overlap(GAUSSIAN, DATA, 1.0, np.nan),
            ValueError,
            "sigma",
        ),
        (lambda: RelativeDistance([]), ValueError, "fresh"),
        (lambda: RelativeDistance(DATA, 0), ValueError, "spread"),
        (
            lambda: RelativeDistance(DATA)(GAUSSIAN, np.ones((3, 4))),
            ValueError,
            "train must have 2 columns",
        ),
        (
            lambda: relative.expected_difference(5, 9, 2, copied=1.5),
            ValueError,
            "copied must be between 0 and 1",
        ),
        (
            lambda: relative.expected_difference(5, 9, 2, blur=np.nan),
            ValueError,
            "blur",
        ),
        (lambda: relative.expected_difference(5, 9.5, 2), ValueError, "n0"),
        (lambda: relative.difference_deviation(1, 9, 2), ValueError, "n must be"),
        (lambda: relative.overfit_covariance(6, 4, 1.0), ValueError, "n must be at"),
        (lambda: relative.overlap_balance(9, 4, 1.0, 0), ValueError, "n0"),
    ],
)
def test_bad_input_is_refused_by_name(call, kind, words):
    with pytest.raises(kind, match=words):
        call()
