"""Toy data in the plane: points drawn from simple distributions."""

import numpy as np

from .._support.arrays import as_count, as_number
from .._support.draws import as_numpy_generator

__all__ = ["circle", "gaussian", "mixture", "segments", "swiss_roll", "two_moons"]


def circle(n, rng=None, *, radius=1.0, noise=0.0):
    """Return points on a circle: evenly spaced without ``rng``, uniform with it."""
    if rng is None:
        check_sizes(n, radius=radius)
        if noise:
            raise ValueError("noise > 0 needs rng, a numpy.random.Generator")
        return radius * _on_circle(2 * np.pi * np.arange(n) / n)
    rng = check_draws(n, rng, radius=radius, noise=noise)
    points = radius * _on_circle(2 * np.pi * rng.random(n))
    return points + noise * rng.standard_normal((n, 2))


def gaussian(n, rng, *, dimension=2, mean=0.0, scale=1.0):
    """Draw from ``N(mean, scale^2 I)``; ``mean`` is a number or ``(dimension,)``."""
    rng = check_draws(n, rng, scale=scale)
    as_count(dimension, "dimension")
    return mean + scale * rng.standard_normal((n, dimension))


def mixture(n, rng, *, components=5, radius=2.0, scale=0.15):
    """Draw from equal Gaussians of one scale, centers evenly spaced on a circle."""
    rng = check_draws(n, rng, radius=radius, scale=scale)
    as_count(components, "components")
    angle = 2 * np.pi * rng.integers(components, size=n) / components
    return radius * _on_circle(angle) + scale * rng.standard_normal((n, 2))


def segments(n, rng, *, count=3, gap=0.5, noise=0.0):
    """Draw from ``count`` parallel segments of length 2, ``gap`` apart."""
    rng = check_draws(n, rng, gap=gap, noise=noise)
    as_count(count, "count")
    height = gap * (rng.integers(count, size=n) - (count - 1) / 2)
    points = np.stack([rng.uniform(-1, 1, size=n), height], axis=1)
    return points + noise * rng.standard_normal((n, 2))


def swiss_roll(n, rng, *, noise=0.0, turns=1.5):
    """Draw from the plane spiral ``s (cos s, sin s)``, scaled to radius 1.

    ``s`` is uniform from half a turn on, over ``turns`` further turns.
    """
    rng = check_draws(n, rng, noise=noise, turns=turns)
    end = 2 * np.pi * (0.5 + turns)
    angle = rng.uniform(np.pi, end, size=n)
    points = _on_circle(angle) * (angle / end)[:, None]
    return points + noise * rng.standard_normal((n, 2))


def two_moons(n, rng, *, noise=0.05):
    """Draw from two interleaved half circles of radius 1, with Gaussian noise."""
    rng = check_draws(n, rng, noise=noise)
    upper = rng.integers(2, size=n).astype(bool)
    moon = _on_circle(np.pi * rng.random(n))
    moon = np.where(upper[:, None], moon, np.array([1.0, 0.5]) - moon)
    return moon - np.array([0.5, 0.25]) + noise * rng.standard_normal((n, 2))


def _on_circle(angle):
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def check_draws(n, rng, **sizes):
    rng = as_numpy_generator(rng)
    check_sizes(n, **sizes)
    return rng


def check_sizes(n, **sizes):
    as_count(n, "n")
    for name, value in sizes.items():
        if not 0 <= as_number(value, name) < np.inf:
            raise ValueError(f"{name} must be finite and at least 0, got {value}")
