"""Toy data in the plane: points drawn from simple distributions."""

from __future__ import annotations

import numpy as np

from .._support.arrays import as_count, as_number
from .._support.draws import as_numpy_generator
from .._support.types import Numbers, NumpyRng

__all__ = ["circle", "gaussian", "mixture", "segments", "swiss_roll", "two_moons"]


def circle(
    n: int, rng: NumpyRng | None = None, *, radius: float = 1.0, noise: float = 0.0
) -> np.ndarray:
    """Place points on a circle: evenly spaced without ``rng``, uniform with it.

    Parameters
    ----------
    n : int
        Number of points.
    rng : numpy.random.Generator or int seed, optional
    radius : number, at least 0
    noise : number, at least 0
        Standard deviation of the noise in each coordinate; needs ``rng``.

    Returns
    -------
    array ``(n, 2)``

    Raises
    ------
    TypeError, ValueError
        For what is no generator, numbers out of range, or noise without ``rng``.

    Examples
    --------
    >>> import empirical_score as es
    >>> es.datasets.circle(4, radius=2.0).round(6) + 0.0
    array([[ 2.,  0.],
           [ 0.,  2.],
           [-2.,  0.],
           [ 0., -2.]])
    """
    if rng is None:
        check_sizes(n, radius=radius)
        if noise:
            raise ValueError("noise > 0 needs rng, a numpy.random.Generator")
        return radius * _on_circle(2 * np.pi * np.arange(n) / n)
    draws = check_draws(n, rng, radius=radius, noise=noise)
    points = radius * _on_circle(2 * np.pi * draws.random(n))
    return points + noise * draws.standard_normal((n, 2))


def gaussian(
    n: int,
    rng: NumpyRng,
    *,
    dimension: int = 2,
    mean: Numbers = 0.0,
    scale: float = 1.0,
) -> np.ndarray:
    """Draw from the normal distribution ``N(mean, scale^2 I)``.

    Parameters
    ----------
    n : int
        Number of points.
    rng : numpy.random.Generator or int seed
    dimension : int
        Number d of coordinates.
    mean : number or array ``(d,)``
    scale : number, at least 0
        Standard deviation of a coordinate.

    Returns
    -------
    array ``(n, d)``

    Raises
    ------
    TypeError, ValueError
        For what is no generator, or numbers out of range.

    Examples
    --------
    >>> import empirical_score as es
    >>> es.datasets.gaussian(3, 0, dimension=2, mean=5.0, scale=0.0)
    array([[5., 5.],
           [5., 5.],
           [5., 5.]])
    """
    draws = check_draws(n, rng, scale=scale)
    as_count(dimension, "dimension")
    return mean + scale * draws.standard_normal((n, dimension))


def mixture(
    n: int,
    rng: NumpyRng,
    *,
    components: int = 5,
    radius: float = 2.0,
    scale: float = 0.15,
) -> np.ndarray:
    """Draw from equal Gaussians in the plane, centers evenly spaced on a circle.

    Parameters
    ----------
    n : int
        Number of points.
    rng : numpy.random.Generator or int seed
    components : int
        Number of Gaussians, of equal weight.
    radius : number, at least 0
        Of the circle of their centers.
    scale : number, at least 0
        Their standard deviation in each coordinate.

    Returns
    -------
    array ``(n, 2)``

    Raises
    ------
    TypeError, ValueError
        For what is no generator, or numbers out of range.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> points = es.datasets.mixture(100, 0, scale=0.0)
    >>> len(np.unique(points.round(6), axis=0))
    5
    """
    draws = check_draws(n, rng, radius=radius, scale=scale)
    as_count(components, "components")
    angle = 2 * np.pi * draws.integers(components, size=n) / components
    return radius * _on_circle(angle) + scale * draws.standard_normal((n, 2))


def segments(
    n: int, rng: NumpyRng, *, count: int = 3, gap: float = 0.5, noise: float = 0.0
) -> np.ndarray:
    """Draw from parallel segments of length 2.

    Parameters
    ----------
    n : int
        Number of points.
    rng : numpy.random.Generator or int seed
    count : int
        Number of segments.
    gap : number, at least 0
        Distance between neighboring segments.
    noise : number, at least 0
        Standard deviation of the noise in each coordinate.

    Returns
    -------
    array ``(n, 2)``

    Raises
    ------
    TypeError, ValueError
        For what is no generator, or numbers out of range.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> np.unique(es.datasets.segments(100, 0)[:, 1])
    array([-0.5,  0. ,  0.5])
    """
    draws = check_draws(n, rng, gap=gap, noise=noise)
    as_count(count, "count")
    height = gap * (draws.integers(count, size=n) - (count - 1) / 2)
    points = np.stack([draws.uniform(-1, 1, size=n), height], axis=1)
    return points + noise * draws.standard_normal((n, 2))


def swiss_roll(
    n: int, rng: NumpyRng, *, noise: float = 0.0, turns: float = 1.5
) -> np.ndarray:
    """Draw from the plane spiral ``s (cos s, sin s)``, scaled to radius 1.

    ``s`` is uniform from half a turn on, over ``turns`` further turns.

    Parameters
    ----------
    n : int
        Number of points.
    rng : numpy.random.Generator or int seed
    noise : number, at least 0
        Standard deviation of the noise in each coordinate.
    turns : number, at least 0

    Returns
    -------
    array ``(n, 2)``

    Raises
    ------
    TypeError, ValueError
        For what is no generator, or numbers out of range.

    Examples
    --------
    >>> import empirical_score as es
    >>> points = es.datasets.swiss_roll(50, 0)
    >>> bool(((points**2).sum(axis=1) <= 1).all())
    True
    """
    draws = check_draws(n, rng, noise=noise, turns=turns)
    end = 2 * np.pi * (0.5 + turns)
    angle = draws.uniform(np.pi, end, size=n)
    points = _on_circle(angle) * (angle / end)[:, None]
    return points + noise * draws.standard_normal((n, 2))


def two_moons(n: int, rng: NumpyRng, *, noise: float = 0.05) -> np.ndarray:
    """Draw from two interleaved half circles of radius 1, with Gaussian noise.

    Parameters
    ----------
    n : int
        Number of points.
    rng : numpy.random.Generator or int seed
    noise : number, at least 0
        Standard deviation of the noise in each coordinate.

    Returns
    -------
    array ``(n, 2)``

    Raises
    ------
    TypeError, ValueError
        For what is no generator, or numbers out of range.

    Examples
    --------
    >>> import empirical_score as es
    >>> points = es.datasets.two_moons(50, 0, noise=0.0)
    >>> bool((es.curves.two_moons().distance(points) < 1e-3).all())
    True
    """
    draws = check_draws(n, rng, noise=noise)
    upper = draws.integers(2, size=n).astype(bool)
    moon = _on_circle(np.pi * draws.random(n))
    moon = np.where(upper[:, None], moon, np.array([1.0, 0.5]) - moon)
    return moon - np.array([0.5, 0.25]) + noise * draws.standard_normal((n, 2))


def _on_circle(angle):
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def check_draws(n: int, rng: NumpyRng, **sizes: float) -> np.random.Generator:
    """Return ``rng`` as a generator; raise for a bad count or size."""
    generator = as_numpy_generator(rng)
    check_sizes(n, **sizes)
    return generator


def check_sizes(n, **sizes):
    as_count(n, "n")
    for name, value in sizes.items():
        if not 0 <= as_number(value, name) < np.inf:
            raise ValueError(f"{name} must be finite and at least 0, got {value}")
