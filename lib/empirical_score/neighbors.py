"""Exact nearest training points, and the share of samples that lie on one.

A matrix product gives all squared distances at once, but where two points agree it
leaves only rounding: of exact copies it would say that they are a little apart, or have
a negative squared distance.  Here it only proposes candidates, with a bound on its
error; the distances that count are recomputed by direct differences in float64, so that
the distance of a copy is exactly 0.
"""

import numpy as np

from ._arrays import as_count, as_points, as_positive_number, like, row_blocks

__all__ = ["memorized", "nearest"]

_EPS = np.finfo(np.float64).eps


def nearest(x, data, k=1, *, memory=2**27):
    """Return distances to the ``k`` nearest rows of ``data``, and which they are.

    Parameters
    ----------
    x : array ``(m, d)``
    data : array ``(n, d)``
    k : int, at most n
    memory : int
        Bound, in bytes, on the temporary arrays of one block of rows.

    Returns
    -------
    distances, index : NumPy arrays ``(m, k)``
        Euclidean distances in rising order, and row numbers of ``data``; among equal
        distances the smaller row number comes first.

    Raises
    ------
    TypeError, ValueError
        For bad arrays, unequal dimensions, or k above the number of rows of data.
    """
    data = like(as_points(data, "data"), np.empty(0))
    n, d = data.shape
    x = like(as_points(x, "x", d), np.empty(0))
    k, memory = as_count(k, "k"), as_positive_number(memory, "memory")
    if k > n:
        raise ValueError(f"k must be at most the {n} rows of data, got {k}")
    center = data.mean(axis=0)
    centered = data - center
    squares = np.sum(centered**2, axis=1)
    distances, index = np.empty((x.shape[0], k)), np.empty((x.shape[0], k), int)
    for rows in row_blocks(x.shape[0], 4 * n, memory / 8):
        block = x[rows] - center
        own = np.sum(block**2, axis=1)[:, None]
        rough = own - 2 * block @ centered.T + squares
        error = 8 * d**0.5 * _EPS * (own[:, 0] + squares.max())
        bar = np.partition(rough, k - 1, axis=1)[:, k - 1] + 2 * error
        for i, row in enumerate(range(*rows.indices(x.shape[0]))):
            near = np.flatnonzero(rough[i] <= bar[i])
            exact = np.sum((data[near] - x[row]) ** 2, axis=1) ** 0.5
            best = np.lexsort((near, exact))[:k]
            distances[row], index[row] = exact[best], near[best]
    return distances, index


def memorized(x, data, radius):
    """Return for each row of ``x`` whether it lies within ``radius`` of ``data``.

    A boolean array ``(m,)``; its mean is the memorized share.  That share says nothing
    without its *baseline*, the same share of fresh samples of the data's law.
    """
    return nearest(x, data)[0][:, 0] < as_positive_number(radius, "radius")
