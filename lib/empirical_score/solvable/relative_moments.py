"""The relative distance on average: means and deviations in closed form."""

from __future__ import annotations

import math

from .._support.arrays import as_count, as_number, as_positive_number
from .linear_sizes import expected_trace

__all__ = [
    "difference_deviation",
    "expected_difference",
    "overfit_covariance",
    "overlap_balance",
]


def difference_deviation(n: int, n0: float, d: int, *, width: float = 1.0) -> float:
    """Compute the standard deviation of Delta for the true distribution as generator.

    Setting and units of :func:`expected_difference`; exact.  For large n, with n0 much
    larger still, it is ``2^{1/2 - d/4} (width^d n)^{-1/2}``.

    Parameters
    ----------
    n : int
        Number of training points, at least 2.
    n0 : int or infinity
        Number of fresh points.
    d : int
        Dimension.
    width : positive number
        Kernel widths are ``width * s * n^{-1/d}``.

    Returns
    -------
    float
        In units of ``(4 pi s^2)^{-d/2}``.

    Raises
    ------
    TypeError, ValueError
        For bad sizes or numbers.

    Notes
    -----
    ``thm-known-generators`` (c) in the book.

    Examples
    --------
    >>> import math, empirical_score as es
    >>> round(es.relative.difference_deviation(10**4, math.inf, 2) * 100, 2)
    1.0
    """
    n, d = as_count(n, "n", 2), as_count(d, "d")
    n0 = math.inf if n0 == math.inf else as_count(n0, "n0", 2)
    width = as_positive_number(width, "width")
    return math.sqrt(sum(_variance(m, d, width) for m in (n, n0) if m < math.inf))


def expected_difference(
    n: int,
    n0: float,
    d: int,
    *,
    copied: float = 0.0,
    blur: float = 0.0,
    width: float = 1.0,
) -> float:
    """Compute the exact mean of Delta for Gaussian data and a generator that mixes.

    The generator draws a training point plus noise of standard deviation ``blur`` with
    probability ``copied`` and from the true distribution ``N(mu, s^2 I)`` otherwise;
    the n training and n0 fresh points are independent.  With
    ``u = (width n^{-1/d})^2``,

        E int rho_T^2       = width^{-d} + (1 - 1/n) (1 + u)^{-d/2},
        E int rho_true rho_T = (1 + u/2)^{-d/2},
        E int rho_copy rho_T = (1/n) ((blur^2 + u)/2)^{-d/2}
                               + (1 - 1/n) (1 + (blur^2 + u)/2)^{-d/2}.

    Parameters
    ----------
    n : int
        Number of training points.
    n0 : int or infinity
        Number of fresh points.
    d : int
        Dimension.
    copied : number in [0, 1]
        Probability of a copy.
    blur : number, at least 0
        Standard deviation of the noise on a copy, in units of s.
    width : positive number
        Kernel widths are ``width * s * n^{-1/d}``.

    Returns
    -------
    float
        In units of ``(4 pi s^2)^{-d/2}``.

    Raises
    ------
    TypeError, ValueError
        For bad sizes or numbers.

    Notes
    -----
    ``thm-known-generators`` (a) and (b) in the book.

    Examples
    --------
    >>> import math, empirical_score as es
    >>> for copied in (0.0, 0.5):
    ...     mean = es.relative.expected_difference(100, math.inf, 2, copied=copied)
    ...     print(round(mean, 4))
    -0.0099
    -1.9999
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


def overfit_covariance(n: int, d: int, nu: float) -> float:
    """Compute ``Cov((y_k - mu)_1^2, C_11) / s^4`` of the linear model exactly.

    ``(1 - rho^2) / n * [4 rho^2 + 2 ((1 - rho^2) d - rho^2) / (n - d - 2)]``: how far
    the generated covariance C leans toward its own training points.

    Parameters
    ----------
    n : int
        Number of training points, at least d + 3.
    d : int
        Dimension.
    nu : positive number
        The noise-to-signal ratio ``sigma^2 / s^2``; ``rho^2 = 1 / (1 + nu)``.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        For bad sizes or a ratio that is not positive.

    Notes
    -----
    ``lem-overfit-covariance`` in the book.

    Examples
    --------
    >>> import empirical_score as es
    >>> round(es.relative.overfit_covariance(10, 3, 1.0), 6)  # (2 + 2 / 5) / 20
    0.12
    """
    n, d, nu = as_count(n, "n"), as_count(d, "d"), as_positive_number(nu, "nu")
    if n < d + 3:
        raise ValueError(f"n must be at least d + 3, got n={n} and d={d}")
    r = 1 / (1 + nu)
    return (1 - r) / n * (4 * r + 2 * ((1 - r) * d - r) / (n - d - 2))


def overlap_balance(n: int, d: int, nu: float, n0: int) -> float:
    """Predict ``log(int rho_G rho_T / int rho_G rho_O)`` for the linear model.

    To second order in the cumulants of ``y - m`` and C, averaged over training sets:

        -(d/2) log(M_T / M_O) + overfit_covariance * d (d + 2) / (4 M_T^2),
        M_T = 1 - 1/n + c + n^{-2/d},   M_O = 1 + 1/n + c + n0^{-2/d},

    where ``c = x (1 + (1 - rho^2) / n)``, ``x = expected_trace``.  The first term is
    negative (fresh points have the narrower kernels), the second is overfitting.

    Parameters
    ----------
    n : int
        Number of training points, at least d + 3.
    d : int
        Dimension.
    nu : positive number
        The noise-to-signal ratio ``sigma^2 / s^2``.
    n0 : int
        Number of fresh points.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        For bad sizes or a ratio that is not positive.

    Examples
    --------
    >>> import empirical_score as es
    >>> round(es.relative.overlap_balance(40, 30, 20.0, 10**6), 4)
    0.4562
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
