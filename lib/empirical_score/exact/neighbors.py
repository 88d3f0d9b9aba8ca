"""Exact nearest training points, and the share of samples that lie on one.

A matrix product gives all squared distances at once, but where two points agree it
leaves only rounding: of exact copies it would say that they are a little apart, or have
a negative squared distance.  Here it only proposes candidates, with a bound on its
error; the distances that count are recomputed by direct differences in float64, so that
the distance of a copy is exactly 0.

The bound.  With centered points, ``s_ij = x_i . y_j - |y_j|^2 / 2`` is the larger the
nearer ``y_j`` is to ``x_i``: ``|x_i - y_j|^2 = |x_i|^2 - 2 s_ij``.  A dot product of
length d is off by at most ``g |x_i||y_j|``, g being about ``d u`` with the unit
roundoff u (Higham, *Accuracy and Stability of Numerical Algorithms*, 2002, section
3.1).  So the product computes ``s_ij + g (|x_i||y_j| + |y_j|^2 / 2)``, two more columns
and no more passes: an upper bound of every true score.  A row is done when the exact
score of its k-th candidate exceeds the bounds of all points that are no candidates; the
few rows that are not go through again with more digits and more candidates.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._support.arrays import (
    as_count,
    as_number,
    as_points,
    as_positive_number,
    is_torch_array,
    row_blocks,
)
from .._support.types import Points

__all__ = ["distinct_nearest", "first_distinct", "memorized", "nearest"]

_SPARE = 8  # candidates beyond the k that are asked for
_DIRECT = 2**20  # numbers in one block of direct differences


def nearest(
    x: Points,
    data: Points,
    k: int = 1,
    *,
    memory: int = 2**28,
    progress: Callable[[float], object] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the ``k`` nearest neighbors of each row of ``x`` in ``data``, exactly.

    Parameters
    ----------
    x : array ``(m, d)``
        Where to look from.
    data : array ``(n, d)``
        The training points, in the units of ``x``.
    k : int, at most n
        How many neighbors.
    memory : int
        Bound, in bytes, on the temporary arrays of one block.
    progress : function, optional
        Called with the share of the work done since its last call.

    Returns
    -------
    distances, index : NumPy arrays ``(m, k)``
        Euclidean distances in rising order, and row numbers of ``data``; among equal
        distances the smaller row number comes first.

    Raises
    ------
    TypeError, ValueError
        For bad arrays, unequal dimensions, or k above the number of rows of data.

    Notes
    -----
    A matrix product proposes, with a bound on its rounding (Higham 2002, section 3.1);
    direct differences in float64 decide, so that a copy has distance 0 exactly.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> distances, index = es.neighbors.nearest([[0.0]], [[5.0], [1.0], [-2.0]], 2)
    >>> distances, index
    (array([[1., 2.]]), array([[1, 2]]))
    """
    data = _as_numpy(as_points(data, "data"))
    n, d = data.shape
    x = _as_numpy(as_points(x, "x", d))
    k, memory = as_count(k, "k"), as_positive_number(memory, "memory")
    if k > n:
        raise ValueError(f"k must be at most the {n} rows of data, got {k}")
    center, scale = _frame(data, x)
    distances, index = np.empty((x.shape[0], k)), np.empty((x.shape[0], k), np.int64)
    todo = np.arange(x.shape[0])
    first = np.float32 if d >= 64 else np.float64  # few columns: digits cost nothing
    for dtype, spare in ((first, _SPARE), (np.float64, 8 * _SPARE), (None, n)):
        if dtype is None or k + spare >= n:
            _direct(x, todo, data, scale, distances, index)
            break
        search = _Search(data, center, scale, dtype, memory)
        candidates, bounds, bar = search.candidates(x[todo], k + spare, progress)
        done = search.finish(x, todo, candidates, bounds, bar, distances, index)
        todo, progress = todo[~done], None
        if todo.shape[0] == 0:
            break
    return distances, index


def distinct_nearest(
    x: Points,
    data: Points,
    k: int,
    tolerance: float,
    *,
    memory: int = 2**28,
    progress: Callable[[float], object] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the ``k`` nearest *distinct* neighbors, near-duplicates counted once.

    Going outward from a row of ``x``, a neighbor counts unless it lies within
    ``tolerance`` of one that counted before: near-duplicates of an image are one image,
    and the first of them stands for all.

    Parameters
    ----------
    x, data, k, memory, progress
        As in :func:`nearest`.
    tolerance : number, at least 0
        Distance within which two rows of ``data`` count as one, in their units.

    Returns
    -------
    distances, index : NumPy arrays ``(m, k)``
        As in :func:`nearest`; where data have fewer than ``k`` distinct rows, the last
        one is repeated.

    Raises
    ------
    TypeError, ValueError
        As in :func:`nearest`, and for a tolerance that is negative or not finite.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> data = [[1.0], [1.001], [4.0]]
    >>> distances, index = es.neighbors.distinct_nearest([[0.0]], data, 2, 0.01)
    >>> distances, index
    (array([[1., 4.]]), array([[0, 2]]))
    """
    data = _as_numpy(as_points(data, "data"))
    x = _as_numpy(as_points(x, "x", data.shape[1]))
    k, tolerance = as_count(k, "k"), as_number(tolerance, "tolerance")
    if not 0 <= tolerance < np.inf:
        raise ValueError(f"tolerance must be finite and at least 0, got {tolerance}")
    n = data.shape[0]
    distances, index = np.empty((x.shape[0], k)), np.empty((x.shape[0], k), np.int64)
    todo, width = np.arange(x.shape[0]), min(k + 2, n)
    while todo.shape[0]:
        near, which = nearest(x[todo], data, width, memory=memory, progress=progress)
        chosen, count = first_distinct(near, which, data, k, tolerance)
        distances[todo] = np.take_along_axis(near, chosen, axis=1)
        index[todo] = np.take_along_axis(which, chosen, axis=1)
        if width == n:
            break
        todo, width, progress = todo[count < k], min(4 * width, n), None
    return distances, index


def first_distinct(
    near: np.ndarray, which: np.ndarray, data: np.ndarray, k: int, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Choose the first ``k`` distinct of neighbors that are in order of distance.

    Parameters
    ----------
    near, which : arrays ``(m, w)``
        Distances and row numbers, as :func:`nearest` returns them.
    data : array ``(n, d)``
        The training points.
    k : int
        How many neighbors.
    tolerance : number, at least 0
        Distance within which two rows of ``data`` count as one, in their units.

    Returns
    -------
    places : int array ``(m, k)``
        Columns of ``near``; the last distinct one stands for missing ones.
    count : int array ``(m,)``
        How many distinct ones there are.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> data = np.array([[1.0], [1.001], [4.0]])
    >>> near, which = es.neighbors.nearest([[0.0]], data, 3)
    >>> es.neighbors.first_distinct(near, which, data, 2, 0.01)
    (array([[0, 2]]), array([2]))
    """
    kept = _distinct(near, which, data, tolerance)
    count = kept.sum(axis=1)
    order = np.argsort(~kept, axis=1, kind="stable")
    place = np.minimum(np.arange(k), np.minimum(count, k)[:, None] - 1)
    return np.take_along_axis(order, place, axis=1), count


def memorized(x: Points, data: Points, radius: float) -> np.ndarray:
    """Tell which rows of ``x`` lie within ``radius`` of a training point.

    Their share says nothing without its *baseline*, the same share of fresh samples of
    the data's distribution.

    Parameters
    ----------
    x : array ``(m, d)``
        The samples.
    data : array ``(n, d)``
        The training points, in the units of ``x``.
    radius : positive number
        In the same units.

    Returns
    -------
    bool array ``(m,)``
        Its mean is the memorized share.

    Raises
    ------
    TypeError, ValueError
        For bad arrays or a radius that is not positive.

    Examples
    --------
    >>> import empirical_score as es
    >>> es.neighbors.memorized([[0.0], [0.5]], [[0.1], [2.0]], 0.2)
    array([ True, False])
    """
    return nearest(x, data)[0][:, 0] < as_positive_number(radius, "radius")


class _Search:
    """Upper bounds of all scores, block by block, in one precision."""

    def __init__(self, data, center, scale, dtype, memory):
        self.data, self.center, self.scale, self.dtype = data, center, scale, dtype
        self.unit = float(np.finfo(dtype).eps) / 2
        self.growth = 1.01 * (data.shape[1] + 10) * self.unit
        itemsize = np.dtype(dtype).itemsize
        # A quarter each: points and their float64 precursors, scores, masks and ranks.
        self.columns = int(np.clip(memory / 4 // (24 * (data.shape[1] + 2)), 1, 8192))
        self.rows = int(np.clip(memory / 4 // (itemsize * self.columns), 1, 4096))

    def candidates(self, x, count, progress):
        """Return row numbers ``(m, count)``, their bounds, and a bound on the rest."""
        m, n = x.shape[0], self.data.shape[0]
        left = np.empty((m, x.shape[1] + 2), dtype=self.dtype)
        for rows in row_blocks(m, x.shape[1], _DIRECT):
            block = (x[rows].astype(np.float64) - self.center) / self.scale
            left[rows, :-2], left[rows, -2] = block, 1
            left[rows, -1] = np.sqrt(np.sum(block**2, axis=1))
        index = np.zeros((m, count), dtype=np.int64)
        bounds = np.full((m, count), -np.inf, dtype=self.dtype)
        for columns in row_blocks(n, 1, self.columns):
            right = self._right(self.data[columns])
            for rows in row_blocks(m, 1, self.rows):
                scores = left[rows] @ right.T
                _merge(scores, columns.start, bounds[rows], index[rows])
            if progress is not None:
                progress((columns.stop - columns.start) / n)
        return index, bounds, bounds.min(axis=1)

    def finish(self, x, todo, candidates, bounds, bar, distances, index):
        """Write the exact neighbors of the rows ``todo``; return which are certain."""
        k, d = distances.shape[1], x.shape[1]
        done = np.empty(todo.shape[0], dtype=bool)
        for rows in row_blocks(todo.shape[0], candidates.shape[1] * d, _DIRECT):
            near = np.sort(candidates[rows], axis=1)
            own = x[todo[rows]].astype(np.float64)
            exact = _distances(own[:, None, :], self.data[near], self.scale)
            best = np.argsort(exact, axis=1, kind="stable")[:, :k]
            exact = np.take_along_axis(exact, best, axis=1)
            distances[todo[rows]] = exact
            index[todo[rows]] = np.take_along_axis(near, best, axis=1)
            squares = np.sum(((own - self.center) / self.scale) ** 2, axis=1)
            last = (exact[:, -1] / self.scale) ** 2
            slack = 8 * d * np.finfo(np.float64).eps * (squares + last) + d * 1e-35
            done[rows] = bar[rows] < (squares - last) / 2 - slack
        return done

    def _right(self, data):
        block = (data.astype(np.float64) - self.center) / self.scale
        squares = np.sum(block**2, axis=1)
        right = np.empty((block.shape[0], block.shape[1] + 2), dtype=self.dtype)
        right[:, :-2] = block
        right[:, -2] = -(1 - self.growth) * squares / 2
        right[:, -1] = self.growth * np.sqrt(squares)
        return right


def _merge(scores, start, bounds, index):
    """Keep the largest scores of each row and their columns, in place."""
    count = bounds.shape[1]
    if start == 0 and scores.shape[1] >= count:
        top = np.argpartition(scores, -count, axis=1)[:, -count:]
        bounds[:], index[:] = np.take_along_axis(scores, top, axis=1), top
        return
    rows, columns = np.nonzero(scores > bounds.min(axis=1)[:, None])
    touched, place = np.unique(rows, return_inverse=True)
    if touched.shape[0] == 0:
        return
    old = np.repeat(np.arange(touched.shape[0]), count)
    row = np.concatenate([old, place])
    value = np.concatenate([bounds[touched].ravel(), scores[rows, columns]])
    column = np.concatenate([index[touched].ravel(), columns + start])
    order = np.lexsort((-value, row))
    begin = np.searchsorted(row[order], np.arange(touched.shape[0]))
    chosen = order[begin[:, None] + np.arange(count)]
    bounds[touched], index[touched] = value[chosen], column[chosen]


def _direct(x, todo, data, scale, distances, index):
    """Write the neighbors of the rows ``todo`` from all direct differences."""
    (n, d), k = data.shape, distances.shape[1]
    for row in todo:
        own = x[row].astype(np.float64)
        parts = [
            _distances(own, data[rows], scale) for rows in row_blocks(n, d, _DIRECT)
        ]
        exact = np.concatenate(parts)
        best = np.argsort(exact, kind="stable")[:k]
        distances[row], index[row] = exact[best], best


def _distances(x, y, scale):
    """Return ``|x - y|`` over the last axis, safe from overflow."""
    gaps = (x - y.astype(np.float64)) / scale
    return scale * np.sqrt(np.sum(gaps**2, axis=-1))


def _distinct(near, which, data, tolerance):
    """Return which neighbors ``(m, w)`` are no near-duplicates of an earlier one."""
    (m, w), d = near.shape, data.shape[1]
    kept = np.ones((m, w), dtype=bool)
    # |y_i - y_j| is at least the difference of their distances: most pairs are clear.
    gaps = np.min(np.diff(near, axis=1), axis=1, initial=np.inf)
    for rows in row_blocks(m, w * d, _DIRECT):
        unclear = np.flatnonzero(gaps[rows] <= tolerance) + rows.start
        if unclear.shape[0] == 0:
            continue
        points = data[which[unclear]].astype(np.float64)
        for j in range(1, w):
            gap = np.sqrt(np.sum((points[:, :j] - points[:, j : j + 1]) ** 2, axis=2))
            same = (gap <= tolerance) & kept[unclear, :j]
            kept[unclear, j] = ~np.any(same, axis=1)
    return kept


def _frame(data, x):
    """Return the center of the data, and a power of two that bounds all entries."""
    center = np.mean(data, axis=0, dtype=np.float64)
    extremes = (np.max(data), -np.min(data), np.max(x), -np.min(x), 1e-300)
    return center, 2.0 ** np.ceil(np.log2(float(max(extremes))))


def _as_numpy(array):
    return array.detach().cpu().numpy() if is_torch_array(array) else array
