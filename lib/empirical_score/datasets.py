"""Data to look at: toys in the plane, and real images that need no download.

Every toy takes the number of points and an explicit generator and returns ``(n, d)``;
images come as rows with pixels in [-1, 1], ready for ``EmpiricalScore``.
"""

import numpy as np

from ._arrays import as_count, as_number, require_generator

__all__ = [
    "circle",
    "color_patches",
    "digits",
    "gaussian",
    "mixture",
    "segments",
    "swiss_roll",
    "two_moons",
]


def gaussian(n, rng, *, dimension=2, mean=0.0, scale=1.0):
    """Draw from ``N(mean, scale^2 I)``; ``mean`` is a number or ``(dimension,)``."""
    _check(n, rng, scale=scale)
    as_count(dimension, "dimension")
    return mean + scale * rng.standard_normal((n, dimension))


def mixture(n, rng, *, components=5, radius=2.0, scale=0.15):
    """Draw from equal Gaussians of one scale, centers evenly spaced on a circle."""
    _check(n, rng, radius=radius, scale=scale)
    as_count(components, "components")
    angle = 2 * np.pi * rng.integers(components, size=n) / components
    return radius * _on_circle(angle) + scale * rng.standard_normal((n, 2))


def two_moons(n, rng, *, noise=0.05):
    """Draw from two interleaved half circles of radius 1, with Gaussian noise."""
    _check(n, rng, noise=noise)
    upper = rng.integers(2, size=n).astype(bool)
    moon = _on_circle(np.pi * rng.random(n))
    moon = np.where(upper[:, None], moon, np.array([1.0, 0.5]) - moon)
    return moon - np.array([0.5, 0.25]) + noise * rng.standard_normal((n, 2))


def circle(n, rng=None, *, radius=1.0, noise=0.0):
    """Return points on a circle: evenly spaced without ``rng``, uniform with it."""
    if rng is None:
        if noise:
            raise ValueError("noise > 0 needs rng, a numpy.random.Generator")
        n = as_count(n, "n")
        return radius * _on_circle(2 * np.pi * np.arange(n) / n)
    _check(n, rng, radius=radius, noise=noise)
    points = radius * _on_circle(2 * np.pi * rng.random(n))
    return points + noise * rng.standard_normal((n, 2))


def swiss_roll(n, rng, *, noise=0.0, turns=1.5):
    """Draw from the plane spiral ``s (cos s, sin s)``, scaled to radius 1.

    ``s`` is uniform from half a turn on, over ``turns`` further turns.
    """
    _check(n, rng, noise=noise, turns=turns)
    end = 2 * np.pi * (0.5 + turns)
    angle = rng.uniform(np.pi, end, size=n)
    points = _on_circle(angle) * (angle / end)[:, None]
    return points + noise * rng.standard_normal((n, 2))


def segments(n, rng, *, count=3, gap=0.5, noise=0.0):
    """Draw from ``count`` parallel segments of length 2, ``gap`` apart."""
    _check(n, rng, noise=noise)
    as_count(count, "count")
    height = gap * (rng.integers(count, size=n) - (count - 1) / 2)
    points = np.stack([rng.uniform(-1, 1, size=n), height], axis=1)
    return points + noise * rng.standard_normal((n, 2))


def digits():
    """Return the 1,797 handwritten digits of scikit-learn and their labels.

    Images ``(1797, 64)`` of 8 x 8 pixels in [-1, 1] and labels ``(1797,)``; from the
    test set of the UCI repository (Alpaydin & Kaynak 1998), shipped with scikit-learn.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return bunch.data / 8.0 - 1.0, bunch.target


def color_patches(n, rng, *, size=32):
    """Cut ``n`` color patches from scikit-learn's two photographs, without overlap.

    Returns ``(n, 3 size^2)``, pixels in [-1, 1], laid out row, column, channel:
    natural images of dimension 3,072 at ``size=32``.  The patches lie on a grid and
    are drawn without replacement; there are 520 of them at ``size=32``.
    """
    from sklearn.datasets import load_sample_images

    _check(n, rng)
    as_count(size, "size")
    patches = []
    for photo in load_sample_images().images:
        rows, columns = photo.shape[0] // size, photo.shape[1] // size
        photo = photo[: rows * size, : columns * size]
        grid = photo.reshape(rows, size, columns, size, 3).swapaxes(1, 2)
        patches.append(grid.reshape(rows * columns, -1))
    patches = np.concatenate(patches) / 127.5 - 1.0
    if n > patches.shape[0]:
        raise ValueError(
            f"n must be at most the {patches.shape[0]} patches of size {size}, got {n}"
        )
    return patches[rng.permutation(patches.shape[0])[:n]]


def _on_circle(angle):
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _check(n, rng, **sizes):
    as_count(n, "n")
    require_generator(rng)
    for name, value in sizes.items():
        if not 0 <= as_number(value, name) < np.inf:
            raise ValueError(f"{name} must be finite and at least 0, got {value}")
