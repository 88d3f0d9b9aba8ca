"""The convex program behind the smoothest denoiser: its integrals and its solutions."""

import numpy as np
import pytest
from scipy import stats

from empirical_score.smoothed import program as _program

POINTS = np.array([-1.0, 0.2, 0.2, 1.5])


def bend(k, points, sigma):
    """``E max(X - k, 0)`` for X one of the points with noise, in closed form."""
    z = (points - k) / sigma
    return np.mean(sigma * stats.norm.pdf(z) + (points - k) * stats.norm.cdf(z))


# ---- Integrals -------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [0.05, 0.3, 2.0])
def test_the_nodes_integrate_against_the_density(sigma):
    """Powers of x, and kinks at the ends of panels."""
    program = _program.Program(POINTS, sigma, 0.05)
    weights = (program.root * sigma) ** 2
    assert np.sum(weights) == pytest.approx(1, rel=1e-12)
    second = np.mean(POINTS**2) + sigma**2
    third = np.mean(POINTS**3 + 3 * POINTS * sigma**2)
    for power, moment in ((1, np.mean(POINTS)), (2, second), (3, third)):
        assert weights @ program.x**power == pytest.approx(moment, rel=2e-7)
    for k in program.kinks[:: program.kinks.size // 20]:
        found = weights @ np.maximum(program.x - k, 0)
        assert found == pytest.approx(bend(k, POINTS, sigma), rel=2e-6, abs=1e-9)


def test_two_nodes_a_panel_integrate_cubic_polynomials():
    program = _program.Program(POINTS, 0.3, 0.5)
    left, right = program.kinks[:-1], program.kinks[1:]
    nodes = program.x.reshape(-1, 2)
    for power in range(4):
        exact = (right ** (power + 1) - left ** (power + 1)) / (power + 1)
        found = (right - left) / 2 * np.sum(nodes**power, axis=1)
        np.testing.assert_allclose(found, exact, rtol=1e-9, atol=1e-12)


def test_the_grid_covers_what_is_within_reach_and_nothing_else():
    sigma, step = 0.01, 0.3
    for points, stretches in (
        (np.array([0.0, 0.1, 0.16]), [(-0.08, 0.24)]),
        (np.array([0.0, 0.1599]), [(-0.08, 0.2399)]),
        (np.array([0.0, 0.2]), [(-0.08, 0.08), (0.12, 0.28)]),
        (np.array([0.0, 0.2, 0.2, 5.0]), [(-0.08, 0.08), (0.12, 0.28), (4.92, 5.08)]),
    ):
        program = _program.Program(points, sigma, step)
        gaps = np.diff(program.kinks)
        wide = gaps > step * sigma * (1 + 1e-9)
        ends = np.append(program.kinks[:-1][wide], program.kinks[-1])
        starts = np.append(program.kinks[0], program.kinks[1:][wide])
        np.testing.assert_allclose(np.stack([starts, ends], axis=1), stretches)
        assert np.all(gaps > 0.9 * step * sigma)
        inside = [(a <= program.x) & (program.x <= b) for a, b in stretches]
        assert np.all(np.any(inside, axis=0))


# ---- Solutions -------------------------------------------------------------------


@pytest.mark.parametrize("penalty", [1e-3, 0.1, 3.0, 20.0])
def test_the_optimality_conditions_of_the_lasso(penalty):
    """``2 A^T r`` is the price times the sign, and no larger where nothing is.

    The price is the penalty and, for the small square that is added, ``2e-8 |c|_1``.
    """
    rng = np.random.default_rng(0)
    columns, aim = rng.standard_normal((40, 12)), rng.standard_normal(40)
    sizes = _program.lasso(columns, aim, penalty)
    slope = 2 * columns.T @ (aim - columns @ sizes)
    price = penalty + 2e-8 * np.sum(np.abs(sizes))
    there = sizes != 0
    np.testing.assert_allclose(slope[there], price * np.sign(sizes[there]), rtol=1e-8)
    assert np.all(np.abs(slope) <= price * (1 + 1e-8))
    assert there.all() == (penalty < 3) and there.any()


def test_a_lasso_of_which_nothing_is_left():
    rng = np.random.default_rng(1)
    columns, aim = rng.standard_normal((20, 5)), rng.standard_normal(20)
    most = np.max(np.abs(2 * columns.T @ aim))
    assert not np.any(_program.lasso(columns, aim, 1.001 * most))
    assert np.sum(np.abs(_program.lasso(columns, aim, 0.99 * most)) > 0) == 1


@pytest.mark.parametrize("penalty", [1e-4, 0.02, 0.5])
def test_no_kink_on_the_grid_would_pay(penalty):
    """The slope of the loss along each candidate, intercept and slope taken out."""
    sigma = 0.3
    program = _program.Program(POINTS, sigma, 0.05)
    best = program.at_penalty(penalty)
    misfit = (program.exact - best.denoise(program.x)) * program.root
    bends = np.maximum(program.x[:, None] - program.kinks, 0) * program.root[:, None]
    plane = np.stack([program.root, program.root * program.x], axis=1)
    assert np.abs(plane.T @ misfit).max() < 1e-9
    slopes = 2 * bends.T @ misfit
    price = penalty + 2e-8 * best.variation
    assert np.abs(slopes).max() <= price * (1 + 1e-6)
    chosen = np.isin(program.kinks, best.places)
    np.testing.assert_allclose(slopes[chosen], price * np.sign(best.sizes), rtol=1e-6)
    assert best.loss == pytest.approx(np.sum(misfit**2), rel=1e-9)
    assert best.variation == pytest.approx(np.sum(np.abs(best.sizes)), rel=1e-12)
    assert best.penalty == pytest.approx(price, rel=1e-9)
    assert best.lower == pytest.approx(best.variation, rel=1e-4)
    assert best.lower <= best.variation


def test_a_lower_bound_holds_for_other_prices():
    """Weak duality: no denoiser of this loss has less variation, whatever is best."""
    program = _program.Program(POINTS, 0.3, 0.05)
    curve = [program.at_penalty(p) for p in (1e-3, 1e-2, 1e-1, 1.0)]
    for one in curve:
        for other in curve:
            if other.loss <= one.loss:
                assert other.variation >= one.lower


def test_a_solution_takes_numbers_and_arrays():
    places, sizes = np.array([0.0, 1.0]), np.array([2.0, -1.0])
    best = _program.Solution(places, sizes, 0.5, 3.0, 0.1, 3.0, 0.1, 3.0)
    assert best.denoise(2) == 0.5 + 6 + 4 - 1
    x = np.array([[-1.0, 0.5], [1.0, 3.0]])
    expected = 0.5 + 3 * x + 2 * np.maximum(x, 0) - np.maximum(x - 1, 0)
    np.testing.assert_allclose(best.denoise(x), expected)


@pytest.mark.parametrize("sigma", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("share", [1e-4, 0.03, 0.9, 0.999])
def test_any_loss_between_the_line_and_nothing(sigma, share):
    """However far the penalty is from its first guess."""
    program = _program.Program(POINTS, sigma, 0.05)
    total = float(program.aim @ program.aim)
    assert program.at_loss(share * total).loss == pytest.approx(share * total, rel=1e-6)


def test_a_loss_that_no_penalty_gives_is_refused():
    """A straight line has the loss ``Var D - Cov(D, X)^2 / Var X``, over sigma^2."""
    points, sigma = np.array([-1.0, 1.0]), 0.7
    program = _program.Program(points, sigma, 0.05)
    density = sum(stats.norm.pdf(program.x, y, sigma) for y in points)
    density *= np.repeat(np.diff(program.kinks) / 2, 2) / 2
    mean = np.tanh(program.x / sigma**2)
    slope = 1 / (1 + sigma**2)  # Cov(Y, X) / Var X
    line = np.sum(density * (mean - slope * program.x) ** 2) / sigma**2
    message = (
        f"loss must be below {line:.6g}, what a straight line reaches at sigma=0.7"
    )
    for loss in (1.001 * line, 5.0):
        with pytest.raises(ValueError, match=f"{message}, got {loss}"):
            program.at_loss(loss)
    assert program.at_loss(0.999 * line).loss == pytest.approx(0.999 * line, rel=1e-6)
    with pytest.raises(ValueError, match="too small for kinks on this grid, got 1e-60"):
        program.at_loss(1e-60)
