"""Relative distances: quadrature, Monte Carlo, mpmath and simulation as oracles."""

import math

import mpmath
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm

import empirical_score as es
from empirical_score import relative
from empirical_score.relative import RelativeDistance, kernel_width


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
    rng, n0 = np.random.default_rng(n), 30
    truth, values = es.Gaussian(np.zeros(d)), []
    for _ in range(600):
        train = rng.standard_normal((n, d))
        compare = RelativeDistance(rng.standard_normal((n0, d)), width)
        mix = (1 - copied) * value(compare(truth, train))
        if copied:
            copy = compare(es.EmpiricalScore(train), train, sigma=blur)
            mix += copied * value(copy)
        values.append(mix * width**-d)  # in units of (4 pi)^(-d/2)
    mean = relative.expected_difference(n, n0, d, copied=copied, blur=blur, width=width)
    error = np.std(values) / math.sqrt(len(values))
    assert abs(np.mean(values) - mean) < 4 * error
    if copied == 0:
        deviation = relative.difference_deviation(n, n0, d, width=width)
        centered = (np.array(values) - mean) ** 2
        error = centered.std() / math.sqrt(len(values))
        assert abs(centered.mean() - deviation**2) < 4 * error < 0.5 * deviation**2


def value(delta):
    return delta.sign * math.exp(delta.log_size)


def test_deviation_tends_to_its_leading_term_and_mean_to_minus_or_plus():
    for d in (1, 2, 4):
        n = 10**9
        leading = 2 ** (0.5 - d / 4) / math.sqrt(n)
        found = relative.difference_deviation(n, math.inf, d)
        assert found == pytest.approx(leading, rel=3e-3)
    assert relative.expected_difference(10**6, math.inf, 2) < 0
    power = relative.expected_difference(10**12, math.inf, 6) * 10**8
    assert power == pytest.approx(6 * 8 / 16, rel=0.02)
    assert relative.expected_difference(50, 50, 9) == 0


@pytest.mark.parametrize(("n", "d", "nu"), [(12, 4, 0.7), (30, 6, 4.0), (9, 2, 0.1)])
def test_overfit_covariance_by_simulation(n, d, nu):
    rng, rows = np.random.default_rng(n), []
    for _ in range(12_000):
        y = rng.standard_normal((n, d))
        x = y + math.sqrt(nu) * rng.standard_normal((n, d))
        slope = np.linalg.lstsq(x - x.mean(0), y - y.mean(0), rcond=None)[0].T
        cov = (1 + nu) * slope @ slope.T
        rows.append([np.mean(y[:, 0] ** 2), cov[0, 0]])
    a, b = (np.array(rows) - np.mean(rows, axis=0)).T
    error = (a * b).std() / math.sqrt(len(rows))
    exact = relative.overfit_covariance(n, d, nu)
    assert abs(np.mean(a * b) - exact) < 4 * error < 0.5 * exact


def test_balance_is_the_ratio_of_mean_overlaps():
    n, d, rng = 60, 6, np.random.default_rng(7)
    width, train, fresh = kernel_width(n, d), [], []
    for _ in range(2000):
        data = rng.standard_normal((n, d))
        law = es.linear.generator(data, 1.0, rng, start_variance=2.0)
        train.append(relative.log_overlap(law, data, width))
        # The mean over fresh sets of any size is an overlap of two Gaussians.
        fresh.append(law.log_density(np.zeros((1, d)), math.hypot(1, width))[0])
    train, fresh = np.exp(train), np.exp(fresh)
    ratio = train.mean() / fresh.mean()
    error = np.std(train - ratio * fresh) / math.sqrt(len(train)) / train.mean()
    balance = relative.overlap_balance(n, d, 1.0, n)
    # Equal widths: what is left is overfitting, known to relative order d / n.
    assert abs(math.log(ratio) - balance) < 4 * error + d / n * balance
    assert 4 * error < 0.3 * balance


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
