"""Chen's ramp from gap to gap of a graph: smoothing along edges between neighbors.

On a line the gaps are between neighbors.  In more dimensions someone must say who is a
neighbor of whom: an order that is known, a minimum spanning tree, or the graph of the
nearest neighbors.  Each edge is then a gap.  A place x belongs to the nearest edge;
along it the denoiser is the ramp of that gap, across it the exact one, which is the
foot of x on the edge.  Above a gap's own switch level the empirical score is in charge.
"""

import numpy as np

from .._support.arrays import as_count, as_points, as_real, like, row_blocks
from ..distributions.score import Score
from ..exact.neighbors import nearest
from ..exact.score import as_empirical
from .ramp import RampScore

__all__ = ["GraphRampScore", "chain", "neighbor_graph", "spanning_tree"]


class GraphRampScore(Score):
    """The ramp score along the edges of a graph of training points.

    For the nearest edge, with ends a and b, half length h, and the place u of x along
    it, measured from the middle m,

        D(x, sigma) = m + (b - a)/2 clip(u / (h - kappa sigma), -1, 1)

    while ``sigma <= h q``, ``q = (sqrt(kappa^2 + 4) - kappa) / 2``, and the empirical
    denoiser above.  At ``kappa = 0`` the samples end on the edges and no mass on their
    ends.

    Parameters
    ----------
    data : array ``(n, d)`` or EmpiricalScore
    edges : int array ``(e, 2)``
        Row numbers of ``data``.  A point without an edge is an edge of length 0.
    kappa : number, at least 0, may be infinite
    memory : int
        Bound, in bytes, on the temporary arrays of one block of rows.

    Raises
    ------
    TypeError, ValueError
        For bad data, x, sigma or kappa, or edges that are not pairs of row numbers.

    Notes
    -----
    Chen (2026) for equally spaced points on a line, in d dimensions with the exact
    normal part; the graph is ours.
    """

    def __init__(self, data, edges, kappa, *, memory=2**27):
        self._base = as_empirical(data)
        self.data, self.dimension = self._base.data, self._base.dimension
        self.kappa = RampScore([[0.0], [1.0]], kappa).kappa
        points, n = like(self.data, np.empty(0)), self.data.shape[0]
        self.edges = _all_points(_as_edges(edges, n), n)
        start, end = points[self.edges[:, 0]], points[self.edges[:, 1]]
        self.starts, self.ends, self.steps = start, end, end - start
        self.half_gaps = np.sum(self.steps**2, axis=1) ** 0.5 / 2
        self.memory = memory

    def switch_levels(self):
        """Return for each edge the level below which its ramp is used, ``(e,)``."""
        return self.half_gaps * 2 / (np.hypot(self.kappa, 2.0) + self.kappa)

    def nearest_edge(self, x):
        """Return the number of the nearest edge and the foot's place in [0, 1] on it.

        Two arrays ``(m,)``; of edges at equal distance (a shared end) any one.
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


def chain(count, *, closed=False):
    """Return the edges of ``count`` points in order, ``(e, 2)``; closed: a polygon."""
    here = np.arange(as_count(count, "count", 2))
    edges = np.stack([here, np.roll(here, -1)], axis=1)
    return edges if closed and count > 2 else edges[:-1]


def spanning_tree(data):
    """Return the edges of a minimum spanning tree of the points, ``(n - 1, 2)``.

    Prim's algorithm with direct differences: n passes over the data.
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


def neighbor_graph(data, k):
    """Return the edges from each point to its ``k`` nearest others, each edge once."""
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
