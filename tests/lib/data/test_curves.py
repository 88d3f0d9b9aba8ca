"""Distances to curves that are known, and the law of the toys on them."""

import numpy as np
import pytest
import torch
from scipy import stats

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


def test_spread_is_even_from_half_a_step_on():
    angle = (np.arange(9) + 0.5) * 2 * np.pi / 9
    wanted = 2 * np.stack([np.cos(angle), np.sin(angle)], 1)
    assert curves.circle(radius=2.0).equally_spaced(9) == pytest.approx(
        wanted, abs=1e-5
    )
    angle = (np.arange(4) + 0.5) * np.pi / 4
    arc = np.stack([np.cos(angle), np.sin(angle)], 1)
    wanted = np.concatenate([arc, [1.0, 0.5] - arc]) - [0.5, 0.25]
    assert curves.two_moons().equally_spaced(8) == pytest.approx(wanted, abs=1e-5)
    steps = np.hypot(*np.diff(curves.swiss_roll().equally_spaced(1000), axis=0).T)
    assert steps.max() / steps.min() < 1.001


@pytest.mark.parametrize("turns", [0.3, 1.5, 4.0])
def test_swiss_roll_is_an_archimedean_spiral(turns):
    """From angle pi on, radius proportional to it, 1 at the end; length by calculus."""
    curve, end = curves.swiss_roll(turns=turns), 2 * np.pi * (0.5 + turns)

    def primitive(a):
        return (a * np.sqrt(1 + a**2) + np.arcsinh(a)) / 2

    length = (primitive(end) - primitive(np.pi)) / end
    assert curve.length == pytest.approx(length, rel=1e-5)
    (arc,) = curve.arcs
    angle = np.pi + (end - np.pi) * np.array([0.0, 0.4, 1.0])
    wanted = angle[:, None] / end * np.stack([np.cos(angle), np.sin(angle)], 1)
    assert arc(np.array([0.0, 0.4, 1.0])) == pytest.approx(wanted)


def test_coverage():
    curve = curves.circle()
    half = curve.equally_spaced(1000)[:500]
    reach = 2 * np.arcsin(0.05) / np.pi  # both ends of the half reach this much further
    assert curve.coverage(half, 0.1) == pytest.approx(0.5 + reach, abs=1.1e-3)
    fine = curve.coverage(half, 0.1, count=20_000)
    assert fine == pytest.approx(0.5 + reach - 1e-3, abs=1.1e-4)
    assert curve.coverage(curve.equally_spaced(100), 0.1) == 1.0
    assert curve.coverage([[5.0, 5.0]], 0.1) == 0.0
    # A distance equal to the radius counts: on a straight line of 4 points.
    line = curves.Curve(lambda u: np.stack([8 * u, 0 * u], 1))
    assert line.coverage([[1.0, 0.0]], 2.0, count=4) == 0.5


def test_samples_take_an_arc_and_a_place_alike():
    draws = curves.two_moons().sample(4000, RNG(5)) + [0.5, 0.25]
    first = np.abs(np.hypot(*draws.T) - 1) < 1e-9
    assert abs(np.mean(first) - 0.5) < 4 * 0.5 / 4000**0.5
    for arc in (draws[first], [1.0, 0.5] - draws[~first]):
        assert stats.kstest(np.arccos(arc[:, 0]) / np.pi, "uniform").pvalue > 1e-3
    assert curves.circle().closed and not curves.two_moons().closed


def test_distance_to_segments_and_in_space():
    segment = curves.Curve(lambda u: np.stack([u, 2 * u, 2 * u], 1), count=2)
    assert segment.length == pytest.approx(3) and segment.dimension == 3
    x = np.array([[-1.0, 0.0, 0.0], [3.0, 2.0, 2.0], [0.5, 1.0, 3.0], [0.0, 0.0, 0.0]])
    line = np.linspace(0, 1, 9001)[:, None] * [1.0, 2.0, 2.0]
    brute = [np.min(np.linalg.norm(line - row, axis=1)) for row in x]
    assert segment.distance(x) == pytest.approx(brute, abs=1e-4)
    assert segment.distance(torch.tensor(x)) == pytest.approx(segment.distance(x))


def test_bad_input():
    curve = curves.circle()
    with pytest.raises(ValueError, match="x must have 2 columns"):
        curve.distance([[0.0]])
    with pytest.raises(ValueError, match="radius must be finite and positive"):
        curve.coverage([[0.0, 0.0]], 0.0)
    with pytest.raises(TypeError, match="rng must be"):
        curve.sample(3, None)
    with pytest.raises(ValueError, match="turns must be finite and positive"):
        curves.swiss_roll(turns=0)


def test_the_former_name_of_equally_spaced_stays():
    curve = curves.circle()
    np.testing.assert_array_equal(curve.spread(9), curve.equally_spaced(9))
