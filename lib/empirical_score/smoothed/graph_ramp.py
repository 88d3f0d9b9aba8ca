"""Chen's ramp from gap to gap of a graph: smoothing along edges between neighbors.

On a line the gaps are between neighbors.  In more dimensions someone must say who is a
neighbor of whom: an order that is known, a minimum spanning tree, or the graph of the
nearest neighbors.  Each edge is then a gap.  A place x belongs to the nearest edge;
along it the denoiser is the ramp of that gap, across it the exact one, which is the
foot of x on the edge.  Above a gap's own switch level the empirical score is in charge.
"""

from __future__ import annotations

import numpy as np

from .._support.arrays import (
    as_count,
    as_points,
    as_positive_number,
    as_real,
    like,
    row_blocks,
)
from .._support.show import described
from .._support.types import Numbers, Points
from ..distributions.score import Score
from ..exact.neighbors import nearest
from ..exact.score import EmpiricalScore, as_empirical
from .ramp import RampScore

__all__ = [
    "GraphRampScore",
    "neighbor_graph",
    "path_graph",
    "spanning_tree",
]


class GraphRampScore(Score):
    """A piecewise-linear smoothed score along the edges of a graph of points.

    For the nearest edge, with ends a and b, half length h, and the place u of x along
    it, measured from the middle m,

        D(x, sigma) = m + (b - a)/2 clip(u / (h - kappa sigma), -1, 1)

    while ``sigma <= h q``, ``q = (sqrt(kappa^2 + 4) - kappa) / 2``, and the empirical
    denoiser above.  At ``kappa = 0`` the samples end on the edges and no mass on their
    ends.

    Parameters
    ----------
    data : array ``(n, d)`` or EmpiricalScore
        The training points, or their score.
    edges : int array ``(e, 2)``
        Row numbers of ``data``.  A point without an edge is an edge of length 0.
    kappa : number, at least 0, may be infinite
        Half width of the collars around the points, in units of ``sigma``.
    memory : int
        Bound, in bytes, on the temporary arrays of one block of rows.

    Raises
    ------
    TypeError, ValueError
        For bad data, x, sigma or kappa, or edges that are not pairs of row numbers.

    Notes
    -----
    Chen (2026) for equally spaced points on a line, in d dimensions with the exact
    normal part; the graph is ours.  ``prop-tangent-normal`` in the book.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> data, edges = [[0.0, 0.0], [2.0, 0.0]], es.graph_ramp.path_graph(2)
    >>> score = es.GraphRampScore(data, edges, kappa=0.0)
    >>> score.denoise(np.array([[0.5, 7.0]]), 0.1)  # the foot on the edge
    array([[0.5, 0. ]])
    >>> score
    GraphRampScore(n=2, dimension=2, edges=1, kappa=0.0)
    """

    def __init__(
        self,
        data: Points | EmpiricalScore,
        edges: Numbers,
        kappa: float,
        *,
        memory: int = 2**27,
    ) -> None:
        self._base = as_empirical(data)
        self.data, self.dimension = self._base.data, self._base.dimension
        self.kappa = RampScore([[0.0], [1.0]], kappa).kappa
        points, n = like(self.data, np.empty(0)), self.data.shape[0]
        self.edges = _all_points(_as_edges(edges, n), n)
        start, end = points[self.edges[:, 0]], points[self.edges[:, 1]]
        self.starts, self.ends, self.steps = start, end, end - start
        self.half_gaps = np.sum(self.steps**2, axis=1) ** 0.5 / 2
        self.memory = int(as_positive_number(memory, "memory"))

    def __repr__(self):
        (n, d), edges = self.data.shape, self.edges.shape[0]
        return described(self, n=n, dimension=d, edges=edges, kappa=self.kappa)

    def switch_levels(self) -> np.ndarray:
        """Return for each edge the noise level below which its ramp is used, ``(e,)``.

        In units of the data; see :meth:`RampScore.switch_levels`.
        """
        return self.half_gaps * 2 / (np.hypot(self.kappa, 2.0) + self.kappa)

    def nearest_edge(self, x: Points) -> tuple[np.ndarray, np.ndarray]:
        """Return the nearest edge of each row of ``x``, and the place of its foot.

        Parameters
        ----------
        x : array ``(m, d)``
            Places, in units of the data.

        Returns
        -------
        number : int array ``(m,)``
            Of edges at equal distance (a shared end) any one.
        place : array ``(m,)``
            From 0 at the edge's start to 1 at its end.
        """
        x = like(as_points(x, "x", self.dimension), np.empty(0))
        squares = np.maximum(4 * self.half_gaps**2, 1e-300)
        center = self.starts.mean(axis=0)
        starts, count = self.starts - center, min(4, len(squares))
        constant = np.sum(starts * self.steps, axis=1)
        length, number, place = np.sum(starts**2, axis=1), [], []
        for rows in row_blocks(x.shape[0], 4 * len(squares), self.memory // 8):
            block = x[rows] - center
            along = block @ self.steps.T - constant
            foot = np.clip(along / squares, 0, 1)
            rough = length - 2 * block @ starts.T + foot * (foot * squares - 2 * along)
            best = np.argpartition(rough, count - 1, axis=1)[:, :count]
            # The matrix product only proposes; direct differences decide.
            offset = x[rows][:, None, :] - self.starts[best]
            steps = self.steps[best]
            exact = np.clip(np.sum(offset * steps, axis=2) / squares[best], 0, 1)
            gap = np.sum((offset - exact[:, :, None] * steps) ** 2, axis=2)
            chosen = np.argmin(gap, axis=1)[:, None]
            number.append(np.take_along_axis(best, chosen, 1)[:, 0])
            place.append(np.take_along_axis(exact, chosen, 1)[:, 0])
        return np.concatenate(number), np.concatenate(place)

    def denoise(self, x, sigma):
        """Return the ramp of the nearest edge, or the exact denoiser, ``(m, d)``."""
        x, sigma = self._arguments(x, sigma)
        level = like(sigma, np.empty(0))
        edge, place = self.nearest_edge(x)
        half = self.half_gaps[edge]
        room = half - np.where(np.isinf(self.kappa), np.inf, self.kappa * level)
        offset = (2 * place - 1) * half
        inside = np.abs(offset) < room
        ramp = np.where(inside, offset / np.where(inside, room, 1.0), np.sign(offset))
        out = self.starts[edge] + (1 + ramp[:, None]) / 2 * self.steps[edge]
        out = np.where(ramp[:, None] == 1, self.ends[edge], out)  # not up to rounding
        high = level > self.switch_levels()[edge]
        out = like(out, x)
        if np.any(high):
            rows = like(high.astype(float), sigma) > 0
            out[rows] = like(self._base.denoise(x[rows], sigma[rows]), x)
        return out


def path_graph(count: int, *, closed: bool = False) -> np.ndarray:
    """Return the edges of a path through points in order, or of a polygon.

    Parameters
    ----------
    count : int, at least 2
        The number of points.
    closed : bool
        Whether the last point of at least three is joined to the first.

    Returns
    -------
    int array ``(count - 1, 2)``, or ``(count, 2)`` if closed

    Raises
    ------
    TypeError, ValueError
        For a count that is no integer of at least 2.

    Examples
    --------
    >>> import empirical_score as es
    >>> es.graph_ramp.path_graph(3, closed=True)
    array([[0, 1],
           [1, 2],
           [2, 0]])
    """
    here = np.arange(as_count(count, "count", 2))
    edges = np.stack([here, np.roll(here, -1)], axis=1)
    return edges if closed and count > 2 else edges[:-1]


chain = path_graph  # the former name


def spanning_tree(data: Points) -> np.ndarray:
    """Return the edges of a minimum spanning tree of the points.

    Parameters
    ----------
    data : array ``(n, d)``
        The points.

    Returns
    -------
    int array ``(n - 1, 2)``

    Notes
    -----
    Prim's algorithm with direct differences: n passes over the data.

    Examples
    --------
    >>> import empirical_score as es
    >>> es.graph_ramp.spanning_tree([[0.0], [5.0], [1.0]])
    array([[0, 2],
           [2, 1]])
    """
    data = like(as_points(data, "data"), np.empty(0))
    n = data.shape[0]
    distance, parent = np.full(n, np.inf), np.zeros(n, int)
    inside, last, edges = np.zeros(n, bool), 0, np.empty((n - 1, 2), int)
    inside[0] = True
    for step in range(n - 1):
        new = np.sum((data - data[last]) ** 2, axis=1)
        closer = new < distance
        distance[closer], parent[closer] = new[closer], last
        last = int(np.argmin(np.where(inside, np.inf, distance)))
        inside[last] = True
        edges[step] = parent[last], last
    return edges


def neighbor_graph(data: Points, k: int) -> np.ndarray:
    """Return the edges of the nearest-neighbor graph, each edge once.

    Parameters
    ----------
    data : array ``(n, d)``
        The points.
    k : int, at most n - 1
        To how many nearest others each point is joined.

    Returns
    -------
    int array ``(e, 2)``
        The smaller row number comes first in each edge.

    Raises
    ------
    TypeError, ValueError
        For a k that is no integer from 1 to n - 1.

    Examples
    --------
    >>> import empirical_score as es
    >>> es.graph_ramp.neighbor_graph([[0.0], [1.0], [5.0]], 1)
    array([[0, 1],
           [1, 2]])
    """
    n = as_points(data, "data").shape[0]
    if as_count(k, "k") > n - 1:
        raise ValueError(f"k must be at most the {n - 1} other points, got {k}")
    _, index = nearest(data, data, k + 1)
    own = np.arange(n)[:, None]
    # A point comes first among its neighbors unless it has twins.
    others = [row[row != i][:k] for i, row in zip(own[:, 0], index, strict=True)]
    pairs = np.stack([np.repeat(own, k, axis=1), np.stack(others)], axis=2)
    return np.unique(np.sort(pairs.reshape(-1, 2), axis=1), axis=0)


def _as_edges(edges, n):
    given = like(as_real(edges, "edges"), np.empty(0))
    if given.size == 0:
        return np.empty((0, 2), int)
    whole = given.ndim == 2 and given.shape[1] == 2 and np.all(given % 1 == 0)
    if not whole or not np.all((given >= 0) & (given < n)):
        raise ValueError(
            f"edges must be pairs (e, 2) of row numbers from 0 to {n - 1}, "
            f"got shape {given.shape}"
        )
    return given.astype(int)


def _all_points(edges, n):
    """Add an edge of length 0 for each point that has none."""
    alone = np.setdiff1d(np.arange(n), edges)
    return np.concatenate([edges, np.stack([alone, alone], axis=1)])
