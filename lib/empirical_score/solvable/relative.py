"""Is a generator nearer to its training set than to fresh data?  Relative distances.

Halder (2024, version 1) compares three distributions on R^d in the squared L2 distance
of densities: the generated one rho_G, a kernel estimate rho_T of the n training points
and one rho_O of N >> n fresh points, each kernel of width ``s n^{-1/d}`` for its own
number of points.  With ``E_AB = int (rho_A - rho_B)^2``

    Delta = E_TG - E_OG = int rho_T^2 - int rho_O^2 - 2 int rho_G (rho_T - rho_O);

a negative Delta is read as memorization.  The integral of ``rho_G^2`` drops out, and so
do the self terms of ``rho_T^2`` and ``rho_O^2``, equal by the choice of the widths:
what is left is computed in the log domain, in units of ``(4 pi s^2)^{-d/2}``, of the
size of the self term.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

from .._support.arrays import as_count, as_number, as_points, as_positive_number, like
from .._support.show import described
from .._support.types import HasLogDensity, Points
from .relative_moments import (
    difference_deviation,
    expected_difference,
    overfit_covariance,
    overlap_balance,
)

__all__ = [
    "Relative",
    "RelativeDistance",
    "difference_deviation",
    "expected_difference",
    "kernel_width",
    "log_overlap",
    "log_pairs",
    "overfit_covariance",
    "overlap_balance",
]


class Relative(NamedTuple):
    """``Delta = sign * exp(log_size)`` and the logarithms of its four terms.

    In units of ``(4 pi s^2)^{-d/2}``.

    Attributes
    ----------
    sign, log_size : float
        Of Delta; a negative sign is read as memorization.
    log_pairs_train, log_pairs_fresh : float
        Pair terms of the training and of the fresh set, without the self terms.
    log_overlap_train, log_overlap_fresh : float
        The overlaps ``int rho_G rho_T`` and ``int rho_G rho_O``.

    Examples
    --------
    >>> import empirical_score as es
    >>> distance = es.RelativeDistance([[0.0], [5.0]])
    >>> found = distance(es.Gaussian([0.0]), [[0.0], [5.0]])  # the fresh set again
    >>> found.sign, found.log_pairs_train == found.log_pairs_fresh
    (0.0, True)
    """

    sign: float
    log_size: float
    log_pairs_train: float
    log_pairs_fresh: float
    log_overlap_train: float
    log_overlap_fresh: float


def kernel_width(n: int, d: int, spread: float = 1.0) -> float:
    """Compute ``spread n^{-1/d}``, the kernel width for n points in d dimensions.

    The self term of ``int rho^2``, ``(1/n) (4 pi width^2)^{-d/2}``, does then not
    depend on n.

    Parameters
    ----------
    n : int
        Number of points.
    d : int
        Dimension.
    spread : positive number
        Standard deviation of a coordinate, in units of the data.

    Returns
    -------
    float
        In units of the data.

    Raises
    ------
    TypeError, ValueError
        For bad sizes, or a spread that is not positive.

    Notes
    -----
    Halder (2024, version 1); ``def-relative-distance`` in the book.  The level of
    collapse ``es.collapse_level`` is ``spread (n^{2/d} - 1)^{-1/2}``
    (``prop-kernel-width``).

    Examples
    --------
    >>> import empirical_score as es
    >>> round(es.kernel_width(16, 2), 6)
    0.25
    """
    n, d = as_count(n, "n"), as_count(d, "d")
    return as_positive_number(spread, "spread") * math.exp(-math.log(n) / d)


def log_pairs(data: Points, width: float) -> float:
    """Compute ``log [(1/n^2) sum_{k != l} N(y_k - y_l; 0, 2 width^2 I)]``.

    That is ``int rho^2`` of the kernel estimate without its self term
    ``(1/n) (4 pi width^2)^{-d/2}``.

    Parameters
    ----------
    data : array ``(n, d)``
    width : positive number
        Standard deviation of the kernel, in units of the data.

    Returns
    -------
    float
        Minus infinity for a single point.

    Raises
    ------
    TypeError, ValueError
        For a bad array or width.

    Examples
    --------
    >>> import math, empirical_score as es
    >>> pairs = math.exp(es.relative.log_pairs([[0.0], [0.0]], 1.0))
    >>> round(pairs * math.sqrt(4 * math.pi), 6)  # two of the four pairs
    0.5
    """
    data = like(as_points(data, "data"), np.empty(0))
    width = as_positive_number(width, "width")
    (n, d), blocks = data.shape, []
    scaled = (data - data.mean(axis=0)) / (2 * width)
    for start in range(0, n, 512):
        squares = cdist(scaled[start : start + 512], scaled[start:], "sqeuclidean")
        own = np.arange(len(squares))
        square = squares[:, : len(squares)]  # each pair of the block twice
        square[own, own] = np.inf
        blocks += [_logsum(square), math.log(2) + _logsum(squares[:, len(squares) :])]
    size = 2 * math.log(n) + 0.5 * d * math.log(4 * math.pi) + d * math.log(width)
    return float(logsumexp(blocks) - size)


def log_overlap(
    law: HasLogDensity, data: Points, width: float, sigma: float = 0.0
) -> float:
    """Compute ``log int rho_G rho``, rho the kernel estimate on the data.

    ``(1/n) sum_k (rho_G * N(0, width^2 I))(y_k)``, where rho_G is ``law`` at noise
    level ``sigma``.

    Parameters
    ----------
    law : Density, or anything with ``log_density(x, sigma)``
        The generated distribution.  An ``EmpiricalScore`` at level ``sigma`` stands for
        its noised copies.
    data : array ``(n, d)``
    width : positive number
        Standard deviation of the kernel, in units of the data.
    sigma : number, at least 0
        Noise level; 0 for the distribution itself.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        For a bad array, width or level.

    Examples
    --------
    >>> import math, empirical_score as es
    >>> point = es.Gaussian([0.0], 0.0)
    >>> overlap = math.exp(es.relative.log_overlap(point, [[0.0]], 1.0))
    >>> round(overlap * math.sqrt(2 * math.pi), 6)
    1.0
    """
    data = like(as_points(data, "data"), np.empty(0))
    sigma = as_number(sigma, "sigma")
    if not 0 <= sigma < math.inf:
        raise ValueError(f"sigma must be finite and at least 0, got {sigma}")
    level = math.hypot(as_positive_number(width, "width"), sigma)
    return float(logsumexp(law.log_density(data, level)) - math.log(len(data)))


class RelativeDistance:
    """The relative distance Delta for a fixed fresh set.

    Called as ``RelativeDistance(fresh, spread)(law, train)``.

    Parameters
    ----------
    fresh : array ``(N, d)``
        Points that the generator has not seen.
    spread : positive number
        Standard deviation s of a coordinate; kernel widths are ``s n^{-1/d}``.

    Attributes
    ----------
    dimension : int
        The number d of coordinates.

    Raises
    ------
    TypeError, ValueError
        For a bad array or spread.

    Notes
    -----
    Halder (2024, version 1); ``def-relative-distance`` in the book.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> points = np.random.default_rng(0).standard_normal((2000, 2))
    >>> distance = es.RelativeDistance(points[100:])
    >>> copies = es.EmpiricalScore(points[:100])
    >>> distance(copies, points[:100], sigma=0.01).sign  # memorization
    -1.0
    >>> distance
    RelativeDistance(fresh of shape (1900, 2), spread=1.0)
    """

    def __init__(self, fresh: Points, spread: float = 1.0) -> None:
        self.fresh = like(as_points(fresh, "fresh"), np.empty(0))
        self.spread = as_positive_number(spread, "spread")
        self.dimension = self.fresh.shape[1]
        self._unit = 0.5 * math.log(4 * math.pi) + math.log(self.spread)
        self._pairs = self._in_units(log_pairs(self.fresh, self._width(self.fresh)))

    def __repr__(self):
        fresh = f"fresh of shape {self.fresh.shape}"
        return described(self, fresh, spread=self.spread)

    def __call__(
        self, law: HasLogDensity, train: Points, *, sigma: float = 0.0
    ) -> Relative:
        """Compute Delta for a generator that was trained on ``train``.

        Parameters
        ----------
        law : Density, or anything with ``log_density(x, sigma)``
            The generated distribution.
        train : array ``(n, d)``
            The training points.
        sigma : number, at least 0
            The noise level at which the generated distribution is taken.

        Returns
        -------
        Relative
        """
        train = like(as_points(train, "train", self.dimension), np.empty(0))
        logs = [self._in_units(log_pairs(train, self._width(train))), self._pairs]
        for data in (train, self.fresh):
            overlap = log_overlap(law, data, self._width(data), sigma)
            logs.append(self._in_units(overlap))
        # Delta can be far smaller than its terms, and than what exp can represent.
        size, sign = logsumexp(logs, b=[1, -1, -2, 2], return_sign=True)
        return Relative(float(sign), float(size), *logs)

    def _width(self, data):
        return kernel_width(len(data), self.dimension, self.spread)

    def _in_units(self, log_value):
        return float(log_value + self.dimension * self._unit)


def _logsum(squares):
    return logsumexp(-squares) if squares.size else -math.inf
