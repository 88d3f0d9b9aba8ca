"""Curves that data lie on: how far samples are from one, and how much of it they cover.

The toys of :mod:`empirical_score.datasets` without noise lie on curves.  A
:class:`Curve` knows the whole of it, so that a generator can be asked not only whether
it repeats its training points but also whether what else it makes is right.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial import cKDTree

from .._support.arrays import as_count, as_points, as_positive_number, like
from .._support.draws import as_numpy_generator
from .._support.show import described
from .._support.types import NumpyRng, Points

__all__ = ["Curve", "circle", "swiss_roll", "two_moons"]


class Curve:
    """A union of arcs, each the image of [0, 1] under a smooth function.

    Parameters
    ----------
    *arcs : callables, ``(k,)`` numbers in [0, 1] to points ``(k, d)``
        The arcs' parametrizations.
    closed : bool
        Whether each arc ends where it began.
    count : int
        Points by which an arc is represented; between them it is taken as straight.

    Attributes
    ----------
    dimension : int
        The number d of coordinates.
    length : float
        The sum of the lengths of the arcs.

    Raises
    ------
    TypeError, ValueError
        For arcs that do not give points, or fewer than 2 points.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> diagonal = es.curves.Curve(lambda u: np.stack([u, u], axis=1))
    >>> diagonal
    Curve(1 arc, dimension=2, length=1.4142)
    >>> diagonal.distance([[1.0, 0.0]]).round(4)
    array([0.7071])
    """

    def __init__(
        self,
        *arcs: Callable[[np.ndarray], np.ndarray],
        closed: bool = False,
        count: int = 4000,
    ) -> None:
        self.arcs, self.closed = arcs, bool(closed)
        grid = np.linspace(0, 1, as_count(count, "count", 2))
        lines = [as_points(arc(grid), "arc") for arc in arcs]
        self._starts = np.concatenate([line[:-1] for line in lines])
        self._steps = np.concatenate([np.diff(line, axis=0) for line in lines])
        self._lengths = np.sum(self._steps**2, axis=1) ** 0.5
        self.dimension = self._starts.shape[1]
        self.length = float(np.sum(self._lengths))
        self._tree = cKDTree(self._starts + self._steps / 2)

    def __repr__(self):
        arcs = f"{len(self.arcs)} arc" + "s" * (len(self.arcs) != 1)
        length = round(self.length, 4)
        return described(self, arcs, dimension=self.dimension, length=length)

    def sample(self, n: int, rng: NumpyRng) -> np.ndarray:
        """Draw points of the curve: an arc, then its parameter, uniformly.

        This is the distribution of the toys in ``datasets`` without noise.

        Parameters
        ----------
        n : int
            Number of points.
        rng : numpy.random.Generator or int seed

        Returns
        -------
        array ``(n, d)``
        """
        draws = as_numpy_generator(rng)
        which = draws.integers(len(self.arcs), size=as_count(n, "n"))
        places = draws.random(n)
        points = [arc(places) for arc in self.arcs]
        return np.stack(points)[which, np.arange(n)]

    def equally_spaced(self, count: int) -> np.ndarray:
        """Return points equally spaced along the curve.

        Parameters
        ----------
        count : int
            Number of points.

        Returns
        -------
        array ``(count, d)``
        """
        ends = np.cumsum(self._lengths)
        places = (np.arange(as_count(count, "count")) + 0.5) * self.length / count
        piece = np.searchsorted(ends, places)
        rest = 1 - (ends[piece] - places) / self._lengths[piece]
        return self._starts[piece] + rest[:, None] * self._steps[piece]

    spread = equally_spaced  # the former name

    def distance(self, x: Points) -> np.ndarray:
        """Return the distance of each point to the curve.

        Parameters
        ----------
        x : array ``(m, d)``

        Returns
        -------
        array ``(m,)``
        """
        x = like(as_points(x, "x", self.dimension), np.empty(0))
        _, near = self._tree.query(x, k=min(4, self._starts.shape[0]))
        near = near.reshape(x.shape[0], -1)
        starts, steps = self._starts[near], self._steps[near]
        offset = x[:, None, :] - starts
        along = np.sum(offset * steps, axis=2) / self._lengths[near] ** 2
        foot = np.clip(along, 0, 1)[:, :, None] * steps
        return np.min(np.sum((offset - foot) ** 2, axis=2), axis=1) ** 0.5

    def coverage(self, x: Points, radius: float, *, count: int = 2000) -> float:
        """Return the share of the curve that lies within a radius of a sample.

        Parameters
        ----------
        x : array ``(m, d)``
            The samples.
        radius : positive number
        count : int
            Number of equally spaced points that represent the curve.

        Returns
        -------
        float
            In [0, 1].
        """
        x = like(as_points(x, "x", self.dimension), np.empty(0))
        radius = as_positive_number(radius, "radius")
        distance, _ = cKDTree(x).query(self.equally_spaced(count))
        return float(np.mean(distance <= radius))


def circle(*, radius: float = 1.0) -> Curve:
    """Return the circle of :func:`empirical_score.datasets.circle`.

    Parameters
    ----------
    radius : positive number

    Returns
    -------
    Curve

    Raises
    ------
    TypeError, ValueError
        For a radius that is not positive.

    Examples
    --------
    >>> import empirical_score as es
    >>> es.curves.circle()
    Curve(1 arc, dimension=2, length=6.2832)
    """
    radius = as_positive_number(radius, "radius")
    return Curve(lambda u: radius * _turn(2 * np.pi * u), closed=True)


def two_moons() -> Curve:
    """Return the two half circles of :func:`empirical_score.datasets.two_moons`.

    Returns
    -------
    Curve

    Examples
    --------
    >>> import empirical_score as es
    >>> es.curves.two_moons()
    Curve(2 arcs, dimension=2, length=6.2832)
    """
    center = np.array([0.5, 0.25])
    return Curve(
        lambda u: _turn(np.pi * u) - center,
        lambda u: np.array([1.0, 0.5]) - _turn(np.pi * u) - center,
    )


def swiss_roll(*, turns: float = 1.5) -> Curve:
    """Return the plane spiral of :func:`empirical_score.datasets.swiss_roll`.

    Parameters
    ----------
    turns : positive number
        Beyond the first half turn.

    Returns
    -------
    Curve

    Raises
    ------
    TypeError, ValueError
        For turns that are not positive.

    Examples
    --------
    >>> import empirical_score as es
    >>> es.curves.swiss_roll().coverage([[1.0, 0.0]], 3.0)
    1.0
    """
    end = 2 * np.pi * (0.5 + as_positive_number(turns, "turns"))

    def arc(u):
        angle = np.pi + (end - np.pi) * np.asarray(u)
        return _turn(angle) * (angle / end)[:, None]

    return Curve(arc)


def _turn(angle):
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)
