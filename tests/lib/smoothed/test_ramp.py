"""The ramp score against interpolation, ODE solvers, quadrature and a ReLU network."""

from fractions import Fraction
from itertools import pairwise

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad, solve_ivp
from scipy.optimize import brentq

import empirical_score as es

POINTS = np.array([0.7, -1.0, 2.0, -0.4])  # unsorted, unequal gaps
KAPPA = 0.5
OPEN = 0.4  # the noise level at which every gap is still open
WIDE = np.linspace(-2.5, 3.5, 241)[:, None]


def ramp(points=POINTS, kappa=KAPPA):
    return es.RampScore(np.asarray(points)[:, None], kappa)


def interpolated(x, sigma, points=POINTS, kappa=KAPPA):
    """The denoiser by np.interp through the corners, open gaps only."""
    y, c = np.sort(points), kappa * sigma
    corners = np.stack([y - c, y + c], axis=1).ravel()
    return np.interp(x, corners, np.repeat(y, 2))


def solved(x, sigma, sigma_end, points=POINTS, kappa=KAPPA):
    """The probability-flow ODE in ``log sigma`` by a tight Runge-Kutta method."""

    def velocity(level, x):
        return x - interpolated(x, np.exp(level), points, kappa)

    span = (np.log(sigma), np.log(sigma_end))
    run = solve_ivp(velocity, span, x, method="DOP853", rtol=1e-11, atol=1e-12)
    return run.y[:, -1]


# --- the denoiser and the score ----------------------------------------------------


@pytest.mark.parametrize("sigma", [1e-3, 0.1, OPEN])
def test_denoiser_is_linear_interpolation_through_the_corners(sigma):
    x = np.sort(np.concatenate([WIDE[:, 0], POINTS, POINTS + KAPPA * sigma]))
    found = ramp().denoise(x[:, None], sigma)[:, 0]
    np.testing.assert_allclose(found, interpolated(x, sigma), rtol=0, atol=1e-13)


@pytest.mark.parametrize("sigma", [1e-3, 0.1, OPEN, 5.0])
def test_score_is_tweedie_of_the_denoiser(sigma):
    law = ramp()
    wanted = (law.denoise(WIDE, sigma) - WIDE) / sigma**2
    np.testing.assert_allclose(law(WIDE, sigma), wanted, atol=1e-9 / sigma**2)
    np.testing.assert_array_equal(law(WIDE, sigma), law.score(WIDE, sigma))


def test_a_training_point_is_returned_to_the_last_digit_inside_its_collar():
    rng = np.random.default_rng(1)
    points = np.sort(rng.uniform(-1, 1, 9)) + 1e3
    law, sigma = ramp(points, 0.5), 1e-3
    x = points + 0.49 * sigma * rng.uniform(-1, 1, 9)
    np.testing.assert_array_equal(law.denoise(x[:, None], sigma)[:, 0], points)
    np.testing.assert_array_equal(law(x[:, None], sigma)[:, 0], (points - x) / sigma**2)


def test_a_gap_whose_collars_meet_gives_the_nearest_point():
    law, sigma = ramp(), 0.7  # closes the gap of half width 0.3 only
    x = np.array([-0.9, -0.71, -0.69, -0.5, 0.15])[:, None]
    wanted = [-1.0, -1.0, -0.4, -0.4, 0.15]
    np.testing.assert_allclose(law.denoise(x, sigma)[:, 0], wanted, atol=1e-15)


def test_infinite_kappa_is_the_limit_of_the_exact_score_at_little_noise():
    law, exact = ramp(kappa=np.inf), es.EmpiricalScore(POINTS[:, None])
    np.testing.assert_allclose(
        law.denoise(WIDE + 0.01, 0.004), exact.denoise(WIDE + 0.01, 0.004), atol=1e-9
    )
    # Exactly between two points both have the same weight.
    middle = law.midpoints[:, None]
    np.testing.assert_allclose(law.denoise(middle, 1.0), middle, atol=1e-15)
    assert np.all(np.isin(law.flow(WIDE + 0.01, 9.0), law.points))


def test_kappa_zero_leaves_the_convex_hull_alone():
    law = ramp(kappa=0)
    np.testing.assert_allclose(law.denoise(WIDE, 2.0), WIDE.clip(-1.0, 2.0), atol=1e-15)
    np.testing.assert_allclose(law.flow(WIDE, 2.0), WIDE.clip(-1.0, 2.0), atol=1e-15)


def test_one_point_and_repeated_points():
    one = ramp([2.0])
    np.testing.assert_array_equal(one.denoise(WIDE, 1.0), np.full_like(WIDE, 2.0))
    end = one.terminal_law(stats.norm(), 1.0)
    np.testing.assert_allclose(end.atoms, [1.0])
    assert end.gap_masses.shape == (0,)
    np.testing.assert_array_equal(end.cdf(WIDE), (WIDE[:, 0] >= 2).astype(float))
    np.testing.assert_array_equal(end.density(WIDE), 0.0)
    twice = ramp(np.concatenate([POINTS, POINTS]))
    np.testing.assert_array_equal(twice(WIDE, 0.3), ramp()(WIDE, 0.3))


def by_fractions(x, sigma, kappa, points=POINTS):
    """The denoiser at one x without any rounding."""
    x, *y = (Fraction(float(v)) for v in (x, *np.sort(points)))
    if not y[0] < x < y[-1]:
        return min(max(x, y[0]), y[-1])
    a, b = next(pair for pair in pairwise(y) if x <= pair[1])
    half, gap = (b - a) / 2, x - (a + b) / 2
    room = half - Fraction(kappa) * Fraction(sigma) if kappa < np.inf else 0
    return (a + b) / 2 + half * (
        min(max(gap / room, -1), 1) if room > 0 else (gap > 0) - (gap < 0)
    )


@pytest.mark.parametrize("sigma", [1e-8, 1e-3, 1.0, 1e8])
@pytest.mark.parametrize("kappa", [0.0, 1e-8, 1.0, 1e8, np.inf])
def test_extreme_levels_and_collars_by_fractions(sigma, kappa):
    law, x = ramp(kappa=kappa), WIDE[::5] + 0.003
    exact = [by_fractions(v, sigma, kappa) for v in x[:, 0]]
    wanted = np.array([float(v) for v in exact])
    np.testing.assert_allclose(law.denoise(x, sigma)[:, 0], wanted, rtol=1e-14)
    np.testing.assert_allclose(law.flow(x, sigma)[:, 0], wanted, rtol=1e-14)
    pairs = zip(exact, x[:, 0], strict=True)
    score = [float((d - Fraction(v)) / Fraction(sigma) ** 2) for d, v in pairs]
    np.testing.assert_allclose(law(x, sigma)[:, 0], score, rtol=1e-11)


def test_two_points_are_a_box_average_of_the_nearest_point_score():
    """Half window ``1 - kappa sigma``; the average by quadrature, jump at 0."""
    sigma, law = 0.6, ramp([-1.0, 1.0])
    width = 1 - KAPPA * sigma
    for x in (-1.6, -0.71, -0.3, 0.0, 0.5, 0.69, 1.2):

        def nearest(u):
            return (np.sign(u) - u) / sigma**2

        low, high = x - width, x + width
        edges = [low, 0.0, high] if low < 0 < high else [low, high]
        pairs = zip(edges[:-1], edges[1:], strict=True)
        area = sum(quad(nearest, a, b)[0] for a, b in pairs)
        found = law(np.array([[x]]), sigma)[0, 0]
        assert found == pytest.approx(area / (2 * width), abs=1e-10)


def test_kinks_build_the_score_as_a_relu_network():
    law, sigma = ramp(), OPEN
    places, sizes = law.kinks(sigma)
    hidden = torch.relu(torch.tensor(WIDE) - torch.tensor(places))
    network = hidden @ torch.tensor(sizes) - (torch.tensor(WIDE[:, 0]) + 1) / sigma**2
    np.testing.assert_allclose(law(WIDE, sigma)[:, 0], network, atol=1e-10)


def test_two_points_have_the_total_variation_of_the_closed_form():
    sigma = 0.3
    _, sizes = ramp([-1.0, 1.0], 0.8).kinks(sigma)
    wanted = 2 / sigma**2 / (1 - 0.8 * sigma)
    assert np.abs(sizes).sum() == pytest.approx(wanted, rel=1e-13)


def test_kinks_of_a_closed_gap_are_refused():
    with pytest.raises(
        ValueError, match="closes a gap: kappa sigma=0.35 must be .*half gap, 0.3"
    ):
        ramp().kinks(0.7)


# --- the flow ----------------------------------------------------------------------


@pytest.mark.parametrize(("sigma", "end"), [(OPEN, 0.1), (0.59, 1e-3), (0.05, 0.04)])
def test_flow_agrees_with_a_runge_kutta_solution(sigma, end):
    found = ramp().flow(WIDE, sigma, end)[:, 0]
    wanted = solved(WIDE[:, 0], sigma, end)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-7)


def test_one_euler_step_is_the_flow():
    """Trajectories are straight, so Euler's method makes no error."""
    law = ramp()
    for end in (0.3, 0.0):
        step = es.sample_ode(law, WIDE, [0.9, end], "euler")
        np.testing.assert_allclose(step, law.flow(WIDE, 0.9, end), atol=1e-14)


levels = st.floats(0.01, 3.0)


@given(x=st.floats(-4, 4), pair=st.tuples(levels, levels), kappa=st.floats(0, 3))
def test_flow_in_two_legs_is_the_flow_in_one(x, pair, kappa):
    sigma, middle = max(pair) + 0.01, min(pair)
    law, start = ramp(kappa=kappa), np.array([[x]])
    there = law.flow(law.flow(start, sigma, middle), middle, 0.0)
    np.testing.assert_allclose(there, law.flow(start, sigma), atol=1e-9)
    along = law.denoise(law.flow(start, sigma, middle), middle)
    np.testing.assert_allclose(along, law.denoise(start, sigma), atol=1e-9)


@given(shift=st.floats(-50, 50), scale=st.floats(0.1, 10))
def test_moving_scaling_and_reflecting_the_line(shift, scale):
    law, moved = ramp(), ramp(shift - scale * POINTS)
    x, sigma = WIDE[7::20], 0.35  # clear of every corner
    found = moved.flow(shift - scale * x, scale * sigma, scale * 0.1)
    np.testing.assert_allclose(
        found, shift - scale * law.flow(x, sigma, 0.1), atol=1e-9
    )


def test_flow_keeps_the_order_of_places():
    for sigma in (0.3, 0.9, 4.0):
        assert np.all(np.diff(ramp().flow(WIDE, sigma)[:, 0]) >= 0)


def test_started_at_much_noise_everything_is_memorized():
    x = np.random.default_rng(2).normal(0, 10.0, (1000, 1))
    assert np.all(np.isin(ramp().flow(x, 10.0), POINTS))


def test_slopes_agree_at_the_switch_level():
    for kappa in (0.0, 0.5, 2.0, 1e3):
        law = ramp([-0.7, 0.7], kappa)
        (level,) = law.switch_levels()
        pair = es.EmpiricalScore([[-0.7], [0.7]])
        x = torch.zeros((1, 1), dtype=torch.float64, requires_grad=True)
        slopes = [
            float(torch.autograd.grad(score.denoise(x, level).sum(), x)[0])
            for score in (law, pair)
        ]
        assert slopes[0] == pytest.approx(slopes[1], rel=1e-9)


# --- the law at the end ------------------------------------------------------------

STARTS = {
    "scipy": (stats.norm(0.3, 0.9), stats.norm(0.3, 0.9)),
    "gaussian": (es.Gaussian([0.3], 0.49), stats.norm(0.3, np.hypot(0.7, OPEN))),
    "empirical": (
        es.EmpiricalScore(POINTS[:, None]),
        stats.Mixture(
            [stats.Normal(mu=y, sigma=OPEN) for y in POINTS], weights=[0.25] * 4
        ),
    ),
    "mixture": (
        es.GaussianMixture([[-1.0], [1.5]], [0.2, 0.6], [0.3, 0.7]),
        stats.Mixture(
            [
                stats.Normal(mu=-1.0, sigma=np.hypot(OPEN, 0.2**0.5)),
                stats.Normal(mu=1.5, sigma=np.hypot(OPEN, 0.6**0.5)),
            ],
            weights=[0.3, 0.7],
        ),
    ),
}
both = pytest.mark.parametrize(("start", "law"), STARTS.values(), ids=STARTS.keys())


@both
def test_terminal_law_from_the_numerical_flow(start, law):
    """Push the start through an ODE solver: where it crosses a place is its cdf."""
    end = ramp().terminal_law(start, OPEN)
    for place in (-0.95, -0.7, -0.2, 0.5, 1.0, 1.99):

        def crossing(x, place=place):
            return solved(np.array([x]), OPEN, 1e-7)[0] - place

        wanted = law.cdf(brentq(crossing, -3, 4, xtol=1e-13))
        assert end.cdf([[place]])[0] == pytest.approx(wanted, abs=1e-6)


@both
def test_density_and_atoms_make_up_the_law(start, law):
    end = ramp().terminal_law(start, OPEN)
    y = np.sort(POINTS)
    masses = [
        quad(lambda x: end.density([[x]])[0], a, b, epsabs=1e-12)[0]
        for a, b in zip(y[:-1], y[1:], strict=True)
    ]
    np.testing.assert_allclose(end.gap_masses, masses, atol=1e-10)
    assert end.atoms.sum() + end.gap_masses.sum() == pytest.approx(1, abs=1e-14)
    assert end.memorized == pytest.approx(end.atoms.sum())
    jumps = end.cdf(y[:, None]) - end.cdf(y[:, None] - 1e-13)
    np.testing.assert_allclose(end.atoms, jumps, atol=1e-11)
    middle = [law.cdf(y[1] + 0.2) - law.cdf(y[1] - 0.2)]
    np.testing.assert_allclose(end.atoms[1:2], middle, atol=1e-13)
    outside = np.array([[-1.1], [2.1]])
    np.testing.assert_array_equal(end.density(outside), 0.0)
    np.testing.assert_array_equal(end.cdf(outside), [0.0, 1.0])


def test_terminal_law_agrees_with_samples_through_closed_and_open_gaps():
    sigma, rng = 0.8, np.random.default_rng(5)
    data = es.EmpiricalScore(POINTS[:, None])
    x = data.sample(200_000, rng) + sigma * rng.standard_normal((200_000, 1))
    out = ramp().flow(x, sigma)
    end = ramp().terminal_law(data, sigma)
    measured = [np.mean(out == y) for y in np.sort(POINTS)]
    np.testing.assert_allclose(end.atoms, measured, atol=5e-3)
    assert end.gap_masses[0] == 0 and end.density([[-0.7]])[0] == 0
    places = np.linspace(-1.2, 2.2, 18)[:, None]
    wanted = [np.mean(out <= place) for place in places[:, 0]]
    np.testing.assert_allclose(end.cdf(places), wanted, atol=5e-3)


def test_infinite_kappa_ends_on_the_training_points():
    end = ramp(kappa=np.inf).terminal_law(stats.norm(), 1.0)
    cells = np.diff(stats.norm.cdf([-np.inf, -0.7, 0.15, 1.35, np.inf]))
    np.testing.assert_allclose(end.atoms, cells, atol=1e-15)
    assert end.memorized == pytest.approx(1)


# --- the loss ----------------------------------------------------------------------


@pytest.mark.parametrize("kappa", [0.0, 0.3, 1.0, 4.0, 12.0, 30.0])
def test_ramp_loss_against_50_digits(kappa):
    with mpmath.workdps(50):
        wanted = mpmath.quad(
            lambda z: (z + kappa) ** 2 * mpmath.npdf(z),
            [-kappa - 60, -kappa - 8, -kappa - 1, -kappa],
        )
    assert es.ramp_loss(kappa) == pytest.approx(float(wanted), rel=1e-9)


def test_ramp_loss_takes_arrays_and_infinity():
    np.testing.assert_allclose(es.ramp_loss([0.0, np.inf]), [0.5, 0.0])
    assert isinstance(es.ramp_loss(1), float)


def test_loss_against_the_exact_score_tends_to_ramp_loss():
    sigma, kappa = 0.03, 0.7
    law, exact = ramp([-1.0, 1.0], kappa), es.EmpiricalScore([[-1.0], [1.0]])

    def integrand(z):
        x = np.array([[1 + sigma * z]])
        gap = law(x, sigma) - exact(x, sigma)
        return sigma**2 * gap[0, 0] ** 2 * stats.norm.pdf(z)

    loss = quad(integrand, -12, -kappa)[0] + quad(integrand, -kappa, 12)[0]
    factor = (1 - kappa * sigma) ** 2  # the ramp is a little steeper than its limit
    assert loss * factor == pytest.approx(es.ramp_loss(kappa), rel=1e-6)


# --- torch and bad input -----------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_torch_arrays_give_the_same_numbers(dtype):
    x = torch.tensor(np.hstack([WIDE, WIDE]), dtype=dtype)[:, :1]
    sigma = torch.full((len(x),), 0.31, dtype=dtype)
    law, tolerance = ramp(), 1e-12 if dtype == torch.float64 else 2e-5
    for name in ("score", "denoise", "flow"):
        found = getattr(law, name)(x, sigma)
        assert isinstance(found, torch.Tensor) and found.dtype == dtype
        wanted = getattr(law, name)(WIDE, 0.31)
        np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)
    end = law.terminal_law(stats.norm(), 0.31)
    for name in ("density", "cdf"):
        found = getattr(end, name)(x + 0.01)  # both jump at the training points
        assert isinstance(found, torch.Tensor) and found.dtype == dtype
        np.testing.assert_allclose(found, getattr(end, name)(WIDE + 0.01), atol=1e-5)


def test_one_level_for_each_row():
    law, sigma = ramp(), np.linspace(0.01, 2.0, len(WIDE))
    for name in ("score", "denoise", "flow"):
        rows = [getattr(law, name)(WIDE[i : i + 1], s) for i, s in enumerate(sigma)]
        np.testing.assert_array_equal(
            getattr(law, name)(WIDE, sigma), np.concatenate(rows)
        )


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: es.RampScore([], 1.0), ValueError, "^points must have shape"),
        (lambda: es.RampScore([0.0, 1.0], 1.0), ValueError, r"points\[:, None\]"),
        (lambda: es.RampScore([[0.0, 1.0]], 1.0), ValueError, "^points .*1 columns"),
        (lambda: es.RampScore([[np.nan]], 1.0), ValueError, "^points holds NaN"),
        (lambda: es.RampScore([["a"]], 1.0), TypeError, "^points must hold real"),
        (lambda: es.RampScore([[0.0]], -1.0), ValueError, "^kappa .*got -1.0"),
        (lambda: es.RampScore([[0.0]], np.nan), ValueError, "^kappa .*got nan"),
        (lambda: es.RampScore([[0.0]], [1.0]), ValueError, "^kappa must be one number"),
        (lambda: es.RampScore([[0.0]], None), TypeError, "^kappa must hold real"),
        (lambda: ramp()([0.0], 1.0), ValueError, "^x must have shape"),
        (lambda: ramp()([[0.0, 0.0]], 1.0), ValueError, "^x must have 1 columns"),
        (lambda: ramp()([[0.0]], 0.0), ValueError, "^sigma must be finite"),
        (lambda: ramp()([[0.0]], [1.0, 2.0]), ValueError, "^sigma must be a scalar"),
        (lambda: ramp().flow([[0.0]], 1.0, 1.0), ValueError, "^sigma_end must be"),
        (lambda: ramp().flow([[0.0]], 1.0, -0.1), ValueError, "^sigma_end must be"),
        (lambda: ramp().kinks(-1.0), ValueError, "^sigma must be finite and positive"),
        (lambda: ramp().terminal_law(stats.norm(), 0), ValueError, "^sigma must be"),
        (lambda: ramp().terminal_law("normal", 1.0), TypeError, "^start .*got str"),
        (lambda: ramp().terminal_law(ramp(), 1.0), TypeError, "^start .*RampScore"),
        (
            lambda: ramp().terminal_law(es.Gaussian([0.0, 0.0]), 1.0),
            ValueError,
            "^start must be a distribution on a line, got 2",
        ),
        (lambda: es.ramp_loss(-0.1), ValueError, "^kappa must be at least 0"),
        (lambda: es.ramp_loss(np.nan), ValueError, "^kappa must be at least 0"),
    ],
)
def test_bad_input_is_refused(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
