"""Two samples compared: the Wasserstein distance and the energy test."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from .._support.arrays import (
    as_count,
    as_number,
    as_points,
    like,
)
from .._support.draws import as_numpy_generator
from .._support.types import NumpyRng, Points
from .estimate import Estimate

__all__ = ["energy_test", "wasserstein"]


def energy_test(
    x: Points, y: Points, rng: NumpyRng, *, permutations: int = 199
) -> tuple[float, float]:
    """Test by the energy distance whether two samples come from one distribution.

    The statistic is ``2 E|X - Y| - E|X - X'| - E|Y - Y'|`` with the samples' own means,
    the p-value that of a permutation test.

    Parameters
    ----------
    x : array ``(n, d)``
    y : array ``(m, d)``
    rng : numpy.random.Generator or int seed
    permutations : int
        The number of random relabelings, at least 19.

    Returns
    -------
    statistic : float
        In units of the data.
    p_value : float
        Exact at any sample size, at least ``1 / (permutations + 1)``.

    Raises
    ------
    TypeError, ValueError
        For bad arrays, numbers or generators.

    Notes
    -----
    Szekely & Rizzo (2004): the expected statistic is zero for equal distributions only.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> x = np.linspace(0, 1, 20)[:, None]
    >>> statistic, p_value = es.energy_test(x, x + 5, 0)
    >>> round(statistic, 2), p_value
    (9.3, 0.005)
    """
    x, y = _samples(x, y)
    generator = as_numpy_generator(rng)
    permutations = as_count(permutations, "permutations", 19)
    pooled = np.concatenate([x, y])
    distances = cdist(pooled, pooled)
    n, m = x.shape[0], y.shape[0]

    # One column of signs a labeling: +1/n for the first sample, -1/m for the second.
    labels = np.where(np.arange(n + m) < n, 1.0 / n, -1.0 / m)
    signs = np.tile(labels[:, None], permutations + 1)
    signs[:, 1:] = generator.permuted(signs[:, 1:], axis=0)
    statistics = -np.sum(signs * (distances @ signs), axis=0)
    observed = statistics[0]
    # Labelings that tie with the observed one count against rejecting it.
    at_least = np.sum(statistics[1:] >= observed * (1 - 1e-12))
    p_value = (1 + at_least) / (permutations + 1)
    return float(observed), float(p_value)


def wasserstein(
    x: Points,
    y: Points,
    *,
    order: float = 2,
    rng: NumpyRng | None = None,
    resamples: int = 0,
) -> Estimate:
    """Compute the Wasserstein distance of two samples of equal size.

    In units of the data.  The optimal matching is exact: by sorting on a line, by
    linear assignment else (time grows as m^3: about 2,000 points).

    Parameters
    ----------
    x, y : arrays ``(m, d)``
    order : number
        The exponent, finite and at least 1, of the distances that are averaged.
    rng : numpy.random.Generator or int seed, optional
        Needed for ``resamples`` > 0.
    resamples : int
        Bootstrap samples from which the standard error is taken; meant for points on
        a line.

    Returns
    -------
    Estimate
        Without ``resamples`` the standard error is 0.

    Raises
    ------
    TypeError, ValueError
        For bad arrays or numbers, unequal sizes, or no ``rng`` where it is needed.

    Notes
    -----
    The distance between two samples of one distribution is not 0 but of order
    ``m^{-1/d}``; compare with that of two samples of the same distribution.

    Examples
    --------
    >>> import empirical_score as es
    >>> es.wasserstein([[0.0], [1.0]], [[3.0], [2.0]]).value
    2.0
    """
    x, y = _samples(x, y)
    if x.shape[0] != y.shape[0]:
        raise ValueError(
            f"x and y must have equally many rows, got {x.shape[0]} and {y.shape[0]}"
        )
    order = as_number(order, "order")
    if not 1 <= order < np.inf:
        raise ValueError(f"order must be finite and at least 1, got {order}")
    value = _matching(x, y, order)
    if not as_count(resamples, "resamples", 0):
        return Estimate(value, 0.0)
    generator = as_numpy_generator(rng)
    m = x.shape[0]
    draws = [
        _matching(
            x[generator.integers(m, size=m)], y[generator.integers(m, size=m)], order
        )
        for _ in range(resamples)
    ]
    return Estimate(value, float(np.std(draws, ddof=1)))


def _matching(x, y, order):
    if x.shape[1] == 1:
        gaps = np.abs(np.sort(x[:, 0]) - np.sort(y[:, 0]))
    else:
        cost = cdist(x, y)
        gaps = cost[linear_sum_assignment(cost**order)]
    return float(np.mean(gaps**order) ** (1 / order))


def _samples(x, y):
    x = like(as_points(x, "x"), np.empty(0))
    return x, like(as_points(y, "y", x.shape[1]), np.empty(0))
