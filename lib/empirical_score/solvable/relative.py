"""Is a generator nearer to its training set than to fresh data?  Relative distances.

Halder (2024, version 1) compares three laws on R^d in the squared L2 distance of
densities: the generated law rho_G, a kernel estimate rho_T of the n training points and
one rho_O of N >> n fresh points, each kernel of width ``s n^{-1/d}`` for its own number
of points.  With ``E_AB = int (rho_A - rho_B)^2``

    Delta = E_TG - E_OG = int rho_T^2 - int rho_O^2 - 2 int rho_G (rho_T - rho_O);

a negative Delta is read as memorization.  The integral of ``rho_G^2`` drops out, and so
do the self terms of ``rho_T^2`` and ``rho_O^2``, equal by the choice of the widths:
what is left is computed in the log domain, in units of ``(4 pi s^2)^{-d/2}``, of the
size of the self term.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

from .._support.arrays import as_count, as_number, as_points, as_positive_number, like
from .linear import expected_trace

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

    In units of ``(4 pi s^2)^{-d/2}``: pair terms of the training and of the fresh set
    (without the self terms) and overlaps ``int rho_G rho_T`` and ``int rho_G rho_O``.
    """

    sign: float
    log_size: float
    log_pairs_train: float
    log_pairs_fresh: float
    log_overlap_train: float
    log_overlap_fresh: float


def kernel_width(n, d, spread=1.0):
    """Return ``spread n^{-1/d}``, the kernel width for n points in d dimensions.

    The self term of ``int rho^2``, ``(1/n) (4 pi width^2)^{-d/2}``, does then not
    depend on n.  Compare ``es.collapse_level``, ``spread (n^{2/d} - 1)^{-1/2}``.
    """
    n, d = as_count(n, "n"), as_count(d, "d")
    return as_positive_number(spread, "spread") * math.exp(-math.log(n) / d)


def log_pairs(data, width):
    """Return ``log [(1/n^2) sum_{k != l} N(y_k - y_l; 0, 2 width^2 I)]``.

    That is ``int rho^2`` of the kernel estimate on ``data``, ``(n, d)``, without its
    self term ``(1/n) (4 pi width^2)^{-d/2}``; minus infinity for a single point.
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


def log_overlap(law, data, width, sigma=0.0):
    """Return ``log int rho_G rho``, rho the kernel estimate on ``data``, ``(n, d)``.

    ``(1/n) sum_k (rho_G * N(0, width^2 I))(y_k)``, where rho_G is ``law`` at noise
    level ``sigma`` (0: the law itself), anything with ``log_density(x, sigma)``.  The
    overlap of an :class:`EmpiricalScore` at level ``sigma`` is that of its copies.
    """
    data = like(as_points(data, "data"), np.empty(0))
    sigma = as_number(sigma, "sigma")
    if not 0 <= sigma < math.inf:
        raise ValueError(f"sigma must be finite and at least 0, got {sigma}")
    level = math.hypot(as_positive_number(width, "width"), sigma)
    return float(logsumexp(law.log_density(data, level)) - math.log(len(data)))


class RelativeDistance:
    """Delta for a fixed fresh set: ``RelativeDistance(fresh, spread)(law, train)``.

    Parameters
    ----------
    fresh : array ``(N, d)``
        Points that the generator has not seen.
    spread : positive number
        Standard deviation s of a coordinate; kernel widths are ``s n^{-1/d}``.
    """

    def __init__(self, fresh, spread=1.0):
        self.fresh = like(as_points(fresh, "fresh"), np.empty(0))
        self.spread = as_positive_number(spread, "spread")
        self.dimension = self.fresh.shape[1]
        self._unit = 0.5 * math.log(4 * math.pi) + math.log(self.spread)
        self._pairs = self._in_units(log_pairs(self.fresh, self._width(self.fresh)))

    def __call__(self, law, train, *, sigma=0.0):
        """Return Delta as a :class:`Relative` for a law trained on ``train``, (n, d).

        The generated law is ``law`` at noise level ``sigma``, as in
        :func:`log_overlap`.
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


def expected_difference(n, n0, d, *, copied=0.0, blur=0.0, width=1.0):
    """Return the exact mean of Delta for data N(mu, s^2 I) and a generator that mixes.

    It draws a training point plus noise of standard deviation ``blur`` (in units of s)
    with probability ``copied`` and from the true law otherwise; the n training and n0
    fresh points are independent, kernel widths ``width * s * n^{-1/d}``; n0 may be
    infinite.  With ``u = (width n^{-1/d})^2``, in units of ``(4 pi s^2)^{-d/2}``,

        E int rho_T^2       = width^{-d} + (1 - 1/n) (1 + u)^{-d/2},
        E int rho_true rho_T = (1 + u/2)^{-d/2},
        E int rho_copy rho_T = (1/n) ((blur^2 + u)/2)^{-d/2}
                               + (1 - 1/n) (1 + (blur^2 + u)/2)^{-d/2}.
    """
    n, d = as_count(n, "n"), as_count(d, "d")
    n0 = math.inf if n0 == math.inf else as_count(n0, "n0")
    copied, blur = as_number(copied, "copied"), as_number(blur, "blur")
    if not (0 <= copied <= 1 and 0 <= blur < math.inf):
        raise ValueError(
            "copied must be between 0 and 1 and blur finite and at least 0, "
            f"got copied={copied} and blur={blur}"
        )
    width = as_positive_number(width, "width")
    ut, uo = (width**2 * m ** (-2 / d) for m in (n, n0))

    def power(base):
        return base ** (-d / 2)

    pairs = (1 - 1 / n) * power(1 + ut) - (1 - 1 / n0) * power(1 + uo)
    true = power(1 + ut / 2) - power(1 + uo / 2)
    b = blur**2
    copy = power((b + ut) / 2) / n + (1 - 1 / n) * power(1 + (b + ut) / 2)
    copy -= power(1 + (b + uo) / 2)
    return float(pairs - 2 * ((1 - copied) * true + copied * copy))


def difference_deviation(n, n0, d, *, width=1.0):
    """Return the exact standard deviation of Delta for the true law as generator.

    Setting and units of :func:`expected_difference`.  For large n, with n0 much larger
    still, ``2^{1/2 - d/4} (width^d n)^{-1/2}``.
    """
    n, d = as_count(n, "n", 2), as_count(d, "d")
    n0 = math.inf if n0 == math.inf else as_count(n0, "n0", 2)
    width = as_positive_number(width, "width")
    return math.sqrt(sum(_variance(m, d, width) for m in (n, n0) if m < math.inf))


def overfit_covariance(n, d, nu):
    """Return ``Cov((y_k - mu)_1^2, C_11) / s^4`` of the linear model, n >= d + 3.

    ``(1 - rho^2) / n * [4 rho^2 + 2 ((1 - rho^2) d - rho^2) / (n - d - 2)]``, exact:
    how far the generated covariance leans toward its own training points.
    """
    n, d, nu = as_count(n, "n"), as_count(d, "d"), as_positive_number(nu, "nu")
    if n < d + 3:
        raise ValueError(f"n must be at least d + 3, got n={n} and d={d}")
    r = 1 / (1 + nu)
    return (1 - r) / n * (4 * r + 2 * ((1 - r) * d - r) / (n - d - 2))


def overlap_balance(n, d, nu, n0):
    """Return the predicted ``log(int rho_G rho_T / int rho_G rho_O)``, linear model.

    To second order in the cumulants of ``y - m`` and C, averaged over training sets:

        -(d/2) log(M_T / M_O) + overfit_covariance * d (d + 2) / (4 M_T^2),
        M_T = 1 - 1/n + c + n^{-2/d},   M_O = 1 + 1/n + c + n0^{-2/d},

    where ``c = x (1 + (1 - rho^2) / n)``, ``x = expected_trace``.  The first term is
    negative (fresh points have the narrower kernels), the second is overfitting.
    """
    lean = overfit_covariance(n, d, nu)
    n0 = as_count(n0, "n0")
    c = expected_trace(n, d, nu) * (1 + nu / (1 + nu) / n)
    train = 1 - 1 / n + c + n ** (-2 / d)
    fresh = 1 + 1 / n + c + n0 ** (-2 / d)
    return -0.5 * d * math.log(train / fresh) + lean * d * (d + 2) / (4 * train**2)


def _variance(n, d, width):
    """Variance of int rho_T^2 - 2 int rho rho_T: moments of Gaussian kernels."""
    u = width**2 * n ** (-2 / d)

    def mean(scale, *exponents):  # E prod_i exp(-|y|^2 e_i / 2), times scale^{d/2}
        return (scale / (1 + sum(exponents))) ** (d / 2)

    # K_kl the kernel of a pair, its mean over y_l given y_k, and the overlap of y_k.
    given, one = (1 / (u + 0.5), 1 / (1 + 2 * u)), (2 / (1 + u), 1 / (1 + u))
    k, f = mean(1 / u, 1 / u), mean(*one)
    kk = mean(1 / u**2, 2 / u) - k**2
    gg = mean(given[0] ** 2, given[1], given[1]) - k**2
    gf = mean(given[0] * one[0], given[1], one[1]) - k * f
    ff = mean(one[0] ** 2, one[1], one[1]) - f**2
    pairs = 2 * (n - 1) / n**3 * kk + 4 * (n - 1) * (n - 2) / n**3 * gg
    return pairs - 8 * (n - 1) / n**2 * gf + 4 / n * ff


def _logsum(squares):
    return logsumexp(-squares) if squares.size else -math.inf
