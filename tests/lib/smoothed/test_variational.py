"""The smoothest denoiser: quadrature, optimality conditions, random rivals."""

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad

import empirical_score as es

PAIR = np.array([[-1.0], [1.0]])
THREE = np.array([0.2, -1.0, 1.5, 0.2])  # unsorted, unequal gaps, one point twice


def exact(x, sigma, points):
    """The density of the noised points and the exact denoiser, by plain sums."""
    kernels = stats.norm.pdf(np.asarray(x)[..., None], points, sigma)
    density = kernels.mean(axis=-1)
    return density, (kernels * points).mean(axis=-1) / density


def expect(function, sigma, points, breaks=()):
    """``E function(X)`` by adaptive quadrature between the breaks."""
    low, high = min(points) - 8 * sigma, max(points) + 8 * sigma
    inner = [v for v in (*points, *breaks) if low < v < high]
    edges = np.unique([low, *inner, high])
    return sum(
        quad(lambda x: function(x) * exact(x, sigma, points)[0], a, b, limit=200)[0]
        for a, b in zip(edges[:-1], edges[1:], strict=True)
    )


def kinked(solution):
    """A solution's denoiser written out, for one number."""
    pairs = list(zip(solution.places, solution.sizes, strict=True))

    def denoise(x):
        bends = sum(size * max(x - place, 0.0) for place, size in pairs)
        return solution.intercept + solution.slope * x + bends

    return denoise


# --- the convex program --------------------------------------------------------------

PROGRAMS = [
    (PAIR[:, 0], 0.3, 0.1),
    (PAIR[:, 0], 0.1, 0.02),
    (THREE, 0.25, 0.05),
    (THREE, 1.0, 0.01),
]


@pytest.mark.parametrize(("points", "sigma", "penalty"), PROGRAMS)
def test_optimality_conditions(points, sigma, penalty):
    """For this convex problem they are sufficient; all expectations by quadrature.

    With the residual r = D-hat - D and ``psi(k) = 2 E r (X - k)_+ / (penalty
    sigma^2)``: ``E r = E r X = 0``, ``|psi| <= 1``, and psi is the kink's sign there.
    """
    best = es.SmoothestScore(points[:, None], penalty).solve(sigma)
    denoise = kinked(best)

    def residual(x):
        return exact(x, sigma, points)[1] - denoise(x)

    def psi(k):
        part = expect(lambda x: residual(x) * max(x - k, 0.0), sigma, points, [k])
        return 2 * part / (penalty * sigma**2)

    assert abs(expect(residual, sigma, points, best.places)) < 1e-6
    assert abs(expect(lambda x: x * residual(x), sigma, points, best.places)) < 1e-6
    at_kinks = [psi(k) for k in best.places]
    np.testing.assert_allclose(at_kinks, np.sign(best.sizes), atol=2e-3)
    elsewhere = np.linspace(points.min() - 3 * sigma, points.max() + 3 * sigma, 9)
    assert max(abs(psi(k)) for k in elsewhere) < 1 + 2e-3


@pytest.mark.parametrize(("points", "sigma", "penalty"), PROGRAMS[:3])
def test_reported_costs(points, sigma, penalty):
    best = es.SmoothestScore(points[:, None], penalty).solve(sigma)
    denoise = kinked(best)

    def square(x):
        return ((exact(x, sigma, points)[1] - denoise(x)) / sigma) ** 2

    loss = expect(square, sigma, points, best.places)
    assert best.loss == pytest.approx(loss, rel=1e-5)
    corners = [-50.0, *np.sort(best.places), 50.0]
    middles = (np.array(corners[1:]) + corners[:-1]) / 2
    slopes = [(denoise(m + 1e-4) - denoise(m - 1e-4)) / 2e-4 for m in middles]
    assert best.variation == pytest.approx(np.abs(np.diff(slopes)).sum(), rel=1e-6)
    assert best.lower <= best.variation * (1 + 1e-12)
    assert best.lower == pytest.approx(best.variation, rel=1e-6)


@pytest.mark.parametrize(("sigma", "loss"), [(0.3, 0.1), (0.05, 0.01), (0.2, 0.3)])
def test_loss_constraint_is_the_same_program(sigma, loss):
    bounded = es.SmoothestScore(PAIR, loss=loss).solve(sigma)
    assert bounded.loss == pytest.approx(loss, rel=1e-6)
    priced = es.SmoothestScore(PAIR, bounded.penalty).solve(sigma)
    assert priced.variation == pytest.approx(bounded.variation, rel=1e-6)


def test_no_random_rival_does_better():
    rng, sigma, penalty = np.random.default_rng(0), 0.3, 0.1
    best = es.SmoothestScore(PAIR, penalty).solve(sigma)
    x = np.linspace(-4, 4, 8001)
    density, target = exact(x, sigma, PAIR[:, 0])
    least = best.loss + penalty * best.variation
    corners = np.sort(rng.uniform(-1.5, 1.5, (300, 4)), axis=1)
    values = np.sign(corners) * rng.uniform(0.5, 1.1, corners.shape)
    for places, heights in zip(corners, values, strict=True):
        slopes = np.diff(heights) / np.diff(places)
        rival = np.interp(x, places, heights)  # flat outside
        loss = np.trapezoid(density * (rival - target) ** 2, x) / sigma**2
        variation = np.abs(np.diff([0.0, *slopes, 0.0])).sum()
        assert loss + penalty * variation > least


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 2.5), (3.0, 0.4), (-7.0, -1.0)])
def test_moving_scaling_and_reflecting_the_line(shift, scale):
    points, sigma = THREE[:, None], 0.3
    law = es.SmoothestScore(points, 0.05)
    moved = es.SmoothestScore(shift + scale * points, 0.05)
    x = np.linspace(-2, 2, 41)[:, None]
    found = moved.denoise(shift + scale * x, abs(scale) * sigma)
    # The grid of candidate kinks moves along, up to rounding.
    np.testing.assert_allclose(found, shift + scale * law.denoise(x, sigma), atol=1e-5)


def test_a_high_price_leaves_the_regression_line():
    """``Cov(Y, X) / Var X = 1 / (1 + sigma^2)``, and no kinks."""
    best = es.SmoothestScore(PAIR, 5.0).solve(0.7)
    assert best.sizes.size == 0 and best.variation == 0 and best.lower == 0
    assert best.slope == pytest.approx(1 / 1.49, rel=1e-9)
    assert best.intercept == pytest.approx(0, abs=1e-12)


def test_a_low_price_leaves_the_exact_denoiser():
    law, x = es.SmoothestScore(PAIR, 1e-7), np.linspace(-1.5, 1.5, 31)[:, None]
    np.testing.assert_allclose(law.denoise(x, 0.8), np.tanh(x / 0.64), atol=2e-3)


def test_face_of_a_score():
    law = es.SmoothestScore(PAIR, 0.1)
    x, sigma = np.linspace(-1.4, 1.4, 6)[:, None], np.array([0.3, 0.2] * 3)
    together = law.denoise(x, sigma)
    for row in range(6):
        alone = law.denoise(x[row : row + 1], sigma[row])
        np.testing.assert_allclose(together[row : row + 1], alone, atol=1e-12)
    np.testing.assert_allclose(law(x, 0.3), (law.denoise(x, 0.3) - x) / 0.09, atol=1e-9)
    assert law.solve(0.3) is law.solve(0.3) is not law.solve(0.2)
    inside = law.solve(0.3).denoise(x[:, 0])
    np.testing.assert_allclose(law.denoise(x, 0.3)[:, 0], inside, atol=1e-12)
    given = law(torch.tensor(x), 0.3)
    np.testing.assert_allclose(given.numpy(), law(x, 0.3), atol=1e-12)
    moved = es.sample_ode(law, x, [0.3, 0.2, 0.1], "euler")
    for level, end in ((0.3, 0.2), (0.2, 0.1)):
        guess = law.solve(level).denoise(x)
        x = guess + end / level * (x - guess)
    np.testing.assert_allclose(moved, x, atol=1e-12)


# --- the bound -----------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [0.1, 0.4, 1.5])
@pytest.mark.parametrize("place", [-1.3, -0.8, 0.1, 1.0])
def test_certificate_is_the_double_integral_of_its_density(place, sigma):
    """``psi(k) = 2 E (D-hat + s-hat) (X - k)_+`` by 30-digit quadrature."""
    with mpmath.workdps(30):
        s = mpmath.mpf(sigma)

        def integrand(x):
            plus, minus = (mpmath.npdf(x, y, s) for y in (1, -1))
            mean = (plus - minus) / (plus + minus)
            return (plus + minus) * (mean + (mean - x) / s**2) * (x - place)

        edges = [v for v in (-1, 0, 1, 1 + 5 * s, 1 + 14 * s) if v > place]
        wanted = float(mpmath.quad(integrand, [mpmath.mpf(place), *edges]))
    assert es.dual_certificate(place, sigma) == pytest.approx(wanted, abs=1e-12)


@given(x=st.floats(-50, 50), sigma=st.floats(1e-3, 1e3))
def test_certificate_is_odd_and_at_most_one(x, sigma):
    value = float(es.dual_certificate(x, sigma))
    assert abs(value) <= 1 + 1e-9
    assert es.dual_certificate(-x, sigma) == pytest.approx(-value, abs=1e-9)
    assert value * x <= 1e-9  # positive on the left


@pytest.mark.parametrize("sigma", [0.05, 0.3, 1.0, 3.0])
@pytest.mark.parametrize("loss", [0.0, 1e-3, 0.1])
def test_bound_from_its_ingredients(sigma, loss):
    """``c = E D-hat g`` and ``|g|`` by quadrature, M on a grid."""
    y = PAIR[:, 0]

    def g(x):
        mean = exact(x, sigma, y)[1]
        return mean + (mean - x) / sigma**2

    gain = expect(lambda x: exact(x, sigma, y)[1] * g(x), sigma, y, [0.0])
    size = expect(lambda x: g(x) ** 2, sigma, y, [0.0]) ** 0.5
    x = np.linspace(-1 - 8 * sigma, 1e-9, 40001)
    left, right = stats.norm.cdf((x + 1) / sigma), stats.norm.cdf((x - 1) / sigma)
    slope = stats.norm.pdf(x, 1, sigma) + stats.norm.pdf(x, -1, sigma) - (left - right)
    peak = np.max(np.cumsum(slope)) * (x[1] - x[0])
    wanted = max(0.0, 2 * (gain - sigma * loss**0.5 * size) / peak)
    assert es.variation_bound(sigma, loss) == pytest.approx(wanted, rel=1e-3, abs=1e-9)


@pytest.mark.parametrize("sigma", [0.05, 0.2, 0.5, 1.0, 4.0])
def test_bound_holds_for_kinked_lines_at_random(sigma):
    rng = np.random.default_rng(3)
    x = np.linspace(-1 - 8 * sigma, 1 + 8 * sigma, 6001)
    density, target = exact(x, sigma, PAIR[:, 0])
    for _ in range(60):
        count = rng.integers(1, 6)
        places = rng.choice([-1, 1], count) + 3 * sigma * rng.standard_normal(count)
        bends = np.maximum(x[:, None] - places, 0)
        basis = np.column_stack([np.ones_like(x), x, bends])
        root = np.sqrt(density)
        fit, *_ = np.linalg.lstsq(
            root[:, None] * basis, root * target * rng.uniform(0.5, 1), rcond=None
        )
        loss = np.trapezoid(density * (basis @ fit - target) ** 2, x) / sigma**2
        assert np.abs(fit[2:]).sum() >= es.variation_bound(sigma, loss) - 1e-6


@pytest.mark.parametrize(("sigma", "loss"), [(0.02, 0.1), (0.1, 0.03), (0.3, 0.2)])
def test_bound_optimum_and_ramp_in_order(sigma, loss):
    best = es.SmoothestScore(PAIR, loss=loss).solve(sigma).variation
    assert es.variation_bound(sigma, loss) <= best
    kappa = 0.5
    ramp_loss = es.score_loss(es.RampScore(PAIR, kappa), PAIR, sigma)
    rival = es.SmoothestScore(PAIR, loss=ramp_loss).solve(sigma).variation
    assert rival <= 2 / (1 - kappa * sigma)


def test_small_noise_expansion():
    """``V / 2 = (1 - sqrt(loss)) (1 + sigma (k + 1/k)) + o(sigma)``, phi(k) = sigma."""
    sigma, loss = 1e-3, 0.04
    k = float(np.sqrt(2 * np.log(stats.norm.pdf(0) / sigma)))
    assert es.kink_place(sigma) == pytest.approx(k, rel=1e-12)
    assert stats.norm.pdf(es.kink_place(0.2)) == pytest.approx(0.2, rel=1e-12)
    wanted = 2 * 0.8 * (1 + sigma * (k + 1 / k))
    best = es.SmoothestScore(PAIR, loss=loss).solve(sigma)
    assert best.variation == pytest.approx(wanted, rel=2e-4)
    assert es.variation_bound(sigma, loss) == pytest.approx(wanted, rel=2e-4)
    offsets = 1 - np.abs(best.places)
    assert np.all(np.abs(offsets / sigma - k) < 0.2)
    assert best.slope == pytest.approx(0.2, abs=2e-3)


def test_loss_of_a_score_by_quadrature():
    sigma, kappa = 0.3, 0.8

    def square(x):
        ramp = np.clip(x / (1 - kappa * sigma), -1, 1)
        return ((ramp - np.tanh(x / sigma**2)) / sigma) ** 2

    wanted = expect(square, sigma, PAIR[:, 0], [-0.76, 0.76, 0.0])
    found = es.score_loss(es.RampScore(PAIR, kappa), PAIR, sigma)
    assert found == pytest.approx(wanted, rel=1e-5)
    assert es.score_loss(es.EmpiricalScore(PAIR), PAIR, sigma) == 0


# --- what is refused -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: es.SmoothestScore(PAIR), ValueError, "exactly one of penalty"),
        (lambda: es.SmoothestScore(PAIR, 0.1, loss=0.1), ValueError, "exactly one"),
        (lambda: es.SmoothestScore(PAIR, 0.0), ValueError, "^penalty must be"),
        (lambda: es.SmoothestScore(PAIR, loss=-1.0), ValueError, "^loss must be"),
        (lambda: es.SmoothestScore([1.0, 2.0], 0.1), ValueError, "^points must have"),
        (lambda: es.SmoothestScore([[np.nan]], 0.1), ValueError, "^points holds NaN"),
        (lambda: es.SmoothestScore(PAIR, 0.1, step=0), ValueError, "^step must be"),
        (lambda: es.SmoothestScore(PAIR, 0.1).solve(0.0), ValueError, "^sigma must"),
        (
            lambda: es.SmoothestScore(PAIR, loss=10.0).solve(0.5),
            ValueError,
            "^loss must be below .* straight line",
        ),
        (
            lambda: es.SmoothestScore(PAIR, loss=1e-30).solve(0.5),
            ValueError,
            "^loss is too small for kinks on this grid",
        ),
        (lambda: es.variation_bound(0.1, -1e-9), ValueError, "^loss must be at least"),
        (lambda: es.variation_bound(0.1, np.nan), ValueError, "^loss must be at least"),
        (lambda: es.variation_bound(-0.1, 0.1), ValueError, "^sigma must be finite"),
        (lambda: es.dual_certificate(0.0, 0.0), ValueError, "^sigma must be finite"),
        (lambda: es.kink_place(0.4), ValueError, "^sigma must be between"),
        (lambda: es.kink_place(0.0), ValueError, "^sigma must be between"),
        (lambda: es.score_loss(None, PAIR, 0), ValueError, "^sigma must be finite"),
    ],
)
def test_bad_input_is_refused(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
