"""Smoothed scores against quadrature, normal cells and finite differences."""

import numpy as np
import pytest
import torch
from scipy.special import ndtr, ndtri

import empirical_score as es
from empirical_score import smoothers

RNG = np.random.default_rng(3)
DATA, X = RNG.standard_normal((12, 3)), RNG.standard_normal((40, 3))
DRAWS = smoothers.antithetic_draws(10, 3, np.random.default_rng(1))


@pytest.mark.parametrize("sigma", [1e-8, 1e-3, 0.3, 5.0, 1e8])
def test_convolution_is_the_mean_over_moved_places(sigma):
    # Blocks of seven rows: the last one is short.
    smooth = es.ConvolvedScore(DATA, 0.4, DRAWS, memory=8 * 7 * 3 * 12 * 10)
    assert [len(x) for *_, x in smooth._blocks(X, np.ones(40))] == [7] * 5 + [5]
    plain = es.EmpiricalScore(DATA)
    mean = np.mean([plain.denoise(X + 0.4 * z, sigma) for z in DRAWS], axis=0)
    assert np.allclose(smooth.denoise(X, sigma), mean, rtol=0, atol=1e-9)
    assert np.allclose(smooth(X, sigma) * sigma**2, mean - X, rtol=0, atol=1e-9)
    weights = smooth.mean_weights(X, sigma)
    assert np.allclose(weights.sum(axis=1), 1) and np.allclose(weights @ DATA, mean)


def test_one_level_and_width_for_each_row():
    levels = np.linspace(0.1, 1, len(X))
    smooth = es.ConvolvedScore(DATA, lambda s: 2 * s, DRAWS)
    single = [
        es.ConvolvedScore(DATA, 2 * s, DRAWS).denoise(x[None], s)[0]
        for x, s in zip(X, levels, strict=True)
    ]
    assert np.allclose(smooth.denoise(X, levels), single)


def test_small_noise_gives_the_masses_of_cells():
    points, tau = np.array([[-1.0], [0.2], [2.0]]), 0.3
    x = np.linspace(-2, 3, 41)[:, None]
    quantiles = ndtri((np.arange(2000) + 0.5) / 2000)[:, None]
    smooth = es.ConvolvedScore(points, tau, quantiles)
    walls = (points[1:, 0] + points[:-1, 0]) / 2
    below = ndtr((walls - x) / tau)
    masses = np.diff(below, prepend=0.0, append=1.0, axis=1)
    assert np.max(np.abs(smooth.mean_weights(x, 1e-6) - masses)) < 1 / 2000
    nodes, weights = smoothers.hermite_draws(200)
    smooth = es.ConvolvedScore(points, tau, nodes, weights=7 * weights)
    # At a level of the size of tau the integrand is smooth and the rule is exact.
    level = 0.5
    fine = np.linspace(-9, 9, 40_001)
    density = np.exp(-(fine**2) / 2) / np.exp(-(fine**2) / 2).sum()
    plain = es.EmpiricalScore(points)
    grid = [plain.denoise(place + tau * fine[:, None], level)[:, 0] for place in x]
    assert np.allclose(smooth.denoise(x, level)[:, 0], grid @ density, atol=1e-6)


def test_convolution_keeps_linear_scores():
    """On a line in space the part across the line is that of the exact score."""
    line = np.zeros((5, 3))
    line[:, 0] = [-1, -0.4, 0, 0.7, 2]
    smooth = es.ConvolvedScore(line, 0.5, DRAWS)
    assert np.allclose(smooth(X, 0.2)[:, 1:], -X[:, 1:] / 0.2**2, rtol=1e-10)


def test_spiral_draws():
    draws = smoothers.spiral_draws(2000)
    assert draws.shape == (2000, 2) and np.allclose(draws.mean(axis=0), 0)
    assert np.allclose(np.cov(draws.T), np.eye(2), atol=0.02)
    for turn in (0.0, 0.7, 2.0):
        shadow = draws @ [np.cos(turn), np.sin(turn)]
        grid = np.linspace(-2, 2, 21)
        share = np.searchsorted(np.sort(shadow), grid) / 2000
        assert np.max(np.abs(share - ndtr(grid))) < 0.01  # random ones: about 0.02


def test_draws_in_pairs():
    draws = smoothers.antithetic_draws(6, 2, np.random.default_rng(8))
    half = np.random.default_rng(8).standard_normal((3, 2))
    assert np.array_equal(draws, [*half, *-half])
    draws = smoothers.spiral_draws(8)
    assert np.array_equal(draws[4:], -draws[:4])
    # P(R < r) = 1 - exp(-r^2 / 2) at (k + 1/2) / 4, turned by the golden angle.
    quantiles = -np.expm1(-np.sum(draws[:4] ** 2, axis=1) / 2)
    assert np.allclose(quantiles, [0.125, 0.375, 0.625, 0.875])
    turns = np.diff(np.arctan2(draws[:4, 1], draws[:4, 0])) + np.pi * (3 - 5**0.5)
    assert np.allclose(np.cos(turns), 1)
    assert np.isclose(np.arctan2(*draws[0, ::-1]), np.pi * (5**0.5 - 1) / 2)


def test_hermite_moments():
    nodes, weights = smoothers.hermite_draws(6, 2)
    assert nodes.shape == (36, 2) and np.isclose(weights.sum(), 1)
    assert np.allclose((nodes.T * weights) @ nodes, np.eye(2))
    assert np.isclose(weights @ (nodes[:, 0] ** 4 * nodes[:, 1] ** 2), 3)


def test_log_smoothing_by_shifts_is_convolution():
    smooth = es.ConvolvedScore(DATA, 0.4, DRAWS)
    shifts = [lambda x, z=z: (x + 0.4 * z, lambda v: v) for z in DRAWS]
    other = es.LogSmoothedScore(es.EmpiricalScore(DATA), shifts)
    assert np.allclose(smooth(X, 0.3), other(X, 0.3), rtol=1e-9)


@pytest.mark.parametrize("pitch", [0.0, 0.15])
def test_log_smoothing_is_a_gradient(pitch):
    plain = es.EmpiricalScore(DATA[:, :2])
    angles, weights = smoothers.hermite_draws(5)
    center = np.array([0.3, -2.5])
    moves = smoothers.polar_moves(0.2 * angles[:, 0], center, pitch=pitch)
    smooth = es.LogSmoothedScore(plain, moves, weights=weights)
    x, sigma, step = X[:, :2], 0.5, 1e-5

    def potential(x):
        """The smoothed log density, with the moves written in polar coordinates."""
        radius = np.linalg.norm(x - center, axis=1)
        turn = np.arctan2(x[:, 1] - center[1], x[:, 0] - center[0])
        total = 0
        for delta, share in zip(0.2 * angles[:, 0], weights, strict=True):
            far = radius + pitch * delta
            places = np.stack([np.cos(turn + delta), np.sin(turn + delta)]) * far
            total = total + share * plain.log_density(places.T + center, sigma)
        return total

    for axis in range(2):
        move = step * np.eye(2)[axis]
        slope = (potential(x + move) - potential(x - move)) / (2 * step)
        assert np.allclose(smooth(x, sigma)[:, axis], slope, atol=1e-6)


@pytest.mark.parametrize(("angle", "pitch"), [(0.7, 0.3), (-1.1, 0.8)])
def test_a_move_by_hand_and_its_jacobian(angle, pitch):
    """By complex numbers; where the radius would be negative the center is reached."""
    middle = np.array([0.2, -0.1])

    def center(x):
        return np.broadcast_to(middle, x.shape)

    (move,) = smoothers.polar_moves([angle], center, pitch=pitch)
    (same,) = smoothers.polar_moves([angle], tuple(middle), pitch=pitch)

    def place(x):
        z = (x - middle) @ [1, 1j]
        far = np.maximum(np.abs(z) + pitch * angle, 0)
        out = far * np.exp(1j * (np.angle(z) + angle))
        return np.stack([out.real, out.imag], axis=1) + middle

    x, v, step = X[:, :2], X[:, 1:], 1e-6
    there, pullback = move(x)
    assert np.allclose(there, place(x)) and np.array_equal(there, same(x)[0])
    inside = np.hypot(*(x - middle).T) < -pitch * angle
    assert inside.any() == (angle < 0)
    for axis, unit in enumerate(np.eye(2)):
        column = (place(x + step * unit) - place(x - step * unit)) / (2 * step)
        assert np.allclose(pullback(v)[:, axis], np.sum(column * v, axis=1), atol=1e-7)


def test_turns_leave_a_ring_on_its_circle():
    """With every turn the denoiser of a ring points straight out, at any place."""
    ring = es.datasets.circle(7)
    moves = smoothers.polar_moves(2 * np.pi * np.arange(700) / 700)
    smooth = es.LogSmoothedScore(es.EmpiricalScore(ring), moves)
    out = X[:, :2] / np.linalg.norm(X[:, :2], axis=1)[:, None]
    shift = smooth.denoise(X[:, :2], 0.3) - X[:, :2]
    across = shift[:, 0] * out[:, 1] - shift[:, 1] * out[:, 0]
    assert np.max(np.abs(across)) < 1e-9


def test_switch():
    low, high = es.EmpiricalScore(DATA), es.Gaussian(np.zeros(3), np.eye(3))
    switched = es.SwitchedScore(high, low, 0.5)
    levels = np.where(np.arange(len(X)) % 2, 0.5, 0.7)
    want = np.where((levels > 0.5)[:, None], high(X, levels), low(X, levels))
    assert np.allclose(switched(X, levels), want)
    assert np.allclose(switched(X, 0.1), low(X, 0.1))


def test_torch_in_torch_out():
    x = torch.tensor(X)
    for score in (
        es.ConvolvedScore(DATA, 0.4, DRAWS),
        es.SwitchedScore(es.EmpiricalScore(DATA), es.Gaussian(np.zeros(3)), 0.2),
        es.LogSmoothedScore(
            es.EmpiricalScore(DATA), [lambda x: (x + 0.1, lambda v: v)]
        ),
    ):
        out = score(x, 0.3)
        assert isinstance(out, torch.Tensor)
        assert np.allclose(out.numpy(), score(X, 0.3))
    flat = es.EmpiricalScore(DATA[:, :2])
    turned = es.LogSmoothedScore(flat, smoothers.polar_moves([0.3, -0.1], pitch=0.1))
    assert np.allclose(turned(x[:, :2], 0.3).numpy(), turned(X[:, :2], 0.3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: es.ConvolvedScore(DATA, 0.1, DRAWS + 1), "draws must have mean zero"),
        (lambda: es.ConvolvedScore(DATA, 0.1, DRAWS[:, :2]), "draws must have 3 col"),
        (lambda: es.ConvolvedScore(DATA, -1, DRAWS), "width must be finite and pos"),
        (
            lambda: es.ConvolvedScore(DATA, 1, DRAWS, weights=np.zeros(10)),
            "weights must be 10 positive",
        ),
        (
            lambda: es.ConvolvedScore(DATA, lambda s: -s, DRAWS)(X, 0.3),
            r"width\(sigma\) must be finite and positive",
        ),
        (lambda: es.ConvolvedScore(DATA, 1, DRAWS)(X, 0.0), "sigma must be finite"),
        (lambda: es.LogSmoothedScore(es.EmpiricalScore(DATA), []), "moves is empty"),
        (
            lambda: es.SwitchedScore(
                es.EmpiricalScore(DATA), es.Gaussian(np.zeros(2)), 1
            ),
            "one dimension, got 3 and 2",
        ),
        (
            lambda: es.SwitchedScore(
                es.EmpiricalScore(DATA), es.Gaussian(np.zeros(3)), 0
            ),
            "level must be finite and positive",
        ),
        (lambda: smoothers.antithetic_draws(3, 1, RNG), "count must be even"),
        (lambda: smoothers.spiral_draws(5), "count must be even"),
        (lambda: smoothers.hermite_draws(0), "order must be a positive integer"),
        (lambda: smoothers.polar_moves([[0.1]]), "angles must be finite numbers"),
        (lambda: smoothers.polar_moves([np.nan]), "angles must be finite numbers"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_seed_is_the_generator_that_it_makes():
    draws = es.smoothers.antithetic_draws(4, 3, np.random.default_rng(5))
    np.testing.assert_array_equal(es.smoothers.antithetic_draws(4, 3, 5), draws)
    with pytest.raises(TypeError, match=r"or an int seed, got NoneType$"):
        es.smoothers.antithetic_draws(4, 3, None)
