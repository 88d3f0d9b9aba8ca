"""Distances to curves that are known, and the law of the toys on them."""

import numpy as np
import pytest

from empirical_score import curves, datasets

RNG = np.random.default_rng


def test_circle():
    curve = curves.circle(radius=2.0)
    x = 3 * RNG(0).standard_normal((500, 2))
    exact = np.abs(np.hypot(*x.T) - 2)
    assert np.max(np.abs(curve.distance(x) - exact)) < 1e-5
    assert curve.length == pytest.approx(4 * np.pi, rel=1e-6)


@pytest.mark.parametrize("name", ["circle", "two_moons", "swiss_roll"])
def test_toys_lie_on_their_curve(name):
    toy, curve = getattr(datasets, name), getattr(curves, name)()
    points = toy(400, RNG(1), noise=0.0)
    assert np.max(curve.distance(points)) < 1e-6
    assert np.max(curve.distance(curve.sample(400, RNG(2)))) < 1e-6
    # Both laws reach the same places: the energy distance is that of equal laws.
    from empirical_score import energy_test

    _, p_value = energy_test(points, curve.sample(400, RNG(3)), RNG(4))
    assert p_value > 0.001


def test_moons_distance_by_hand():
    curve = curves.two_moons()
    center = np.array([[-0.5, -0.25], [0.5, 0.25], [-0.5, 1.75]])
    # The first moon's center: 1 from its arc; the second's arc passes at (0.5, ...).
    angle = np.linspace(0, np.pi, 200_001)
    arc = np.stack([np.cos(angle), np.sin(angle)], 1)
    both = np.concatenate([arc, np.array([1.0, 0.5]) - arc]) - [0.5, 0.25]
    brute = [np.min(np.hypot(*(both - c).T)) for c in center]
    assert curve.distance(center) == pytest.approx(brute, abs=1e-6)


def test_spread_is_even():
    points = curves.swiss_roll().spread(1000)
    steps = np.hypot(*np.diff(points, axis=0).T)
    assert steps.max() / steps.min() < 1.001


def test_coverage():
    curve = curves.circle()
    half = curve.spread(1000)[:500]
    reach = 2 * np.arcsin(0.05) / np.pi  # both ends of the half reach this much further
    assert curve.coverage(half, 0.1) == pytest.approx(0.5 + reach, abs=0.003)
    assert curve.coverage(curve.spread(100), 0.1) == 1.0
    assert curve.coverage([[5.0, 5.0]], 0.1) == 0.0


def test_bad_input():
    curve = curves.circle()
    with pytest.raises(ValueError, match="x must have 2 columns"):
        curve.distance([[0.0]])
    with pytest.raises(ValueError, match="radius must be finite and positive"):
        curve.coverage([[0.0, 0.0]], 0.0)
    with pytest.raises(TypeError, match="rng must be"):
        curve.sample(3, 0)
    with pytest.raises(ValueError, match="turns must be finite and positive"):
        curves.swiss_roll(turns=0)
