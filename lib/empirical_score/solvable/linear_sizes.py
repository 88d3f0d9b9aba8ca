"""The solvable model at n points in d dimensions: exact means, and bounds."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import digamma, gammaln, logsumexp

from .._support.arrays import as_count, as_positive_number
from .linear_limits import log_det_limit

__all__ = ["expected_trace", "kl", "log_det_bound", "log_det_estimate", "span_kl"]


def expected_trace(n: int, d: int, nu: float) -> float:
    """Compute ``E tr C / (d s^2)`` exactly, C the generated covariance.

    ``rho^2 + (1 - rho^2) d / (n - d - 2)`` for n >= d + 3; for n < d ``(n - 1) / d``
    times ``rho^2 + (1 - rho^2) d / (d - n)``; ``rho^2 = 1 / (1 + nu)``.

    Parameters
    ----------
    n : int
        Number of training points, at least 2.
    d : int
        Dimension.
    nu : positive number
        The noise-to-signal ratio ``sigma^2 / s^2``.

    Returns
    -------
    float
        Infinite for n = d, d + 1, d + 2.

    Raises
    ------
    TypeError, ValueError
        For bad sizes or a ratio that is not positive.

    Notes
    -----
    ``thm-linear-span`` and ``thm-linear-kl`` in the book.

    Examples
    --------
    >>> import empirical_score as es
    >>> round(es.linear.expected_trace(9, 3, 1.0), 6)  # (1 + 3 / 4) / 2
    0.875
    """
    n, d, nu, rho2 = _sizes(n, d, nu)
    if d <= n <= d + 2:
        return math.inf
    if n < d:
        return (n - 1) / d * (rho2 + (1 - rho2) * d / (d - n))
    return rho2 + (1 - rho2) * d / (n - d - 2)


def kl(
    n: int,
    d: int,
    nu: float,
    *,
    log_det: Callable[[int, int, float], float] | None = None,
) -> float:
    """Compute the expected ``KL(generated || p)`` over d for n >= d + 3, in nats.

    ``1/2 [x + (1 + (1 - rho^2) x) / n - 1 - l]`` with ``x = expected_trace`` and
    l the mean of ``log det(C / s^2) / d``; all but l is exact.

    Parameters
    ----------
    n : int
        Number of training points, at least 2.
    d : int
        Dimension.
    nu : positive number
        The noise-to-signal ratio ``sigma^2 / s^2``.
    log_det : callable ``(n, d, nu)``, optional
        The value of l, such as :func:`log_det_bound` (then this is a lower bound) or
        :func:`log_det_estimate`; by default the limit at ``gamma = (n - 1) / d``.

    Returns
    -------
    float
        Infinite for n < d + 3.

    Raises
    ------
    TypeError, ValueError
        For bad sizes or a ratio that is not positive.

    Notes
    -----
    Halder (2024); ``thm-linear-kl`` in the book.

    Examples
    --------
    >>> import empirical_score as es
    >>> round(es.linear.kl(90, 30, 1.0), 4)
    0.2335
    """
    trace = expected_trace(n, d, nu)
    n, d, nu, rho2 = _sizes(n, d, nu)
    if n < d + 3:
        return math.inf
    mean = (1 + (1 - rho2) * trace) / n
    volume = log_det(n, d, nu) if log_det else log_det_limit((n - 1) / d, nu)
    return float(0.5 * (trace + mean - 1 - volume))


def log_det_bound(n: int, d: int, nu: float) -> float:
    """Bound ``E log det(C / s^2) / d`` from above, for every n > d.

    With H the number of heads in n - 1 tosses of a coin of probability rho^2,

        log P(H <= d) + (d - n + 1) log(1 - rho^2) + log d!
            - sum_{k=1}^d [log 2 + digamma((n - k) / 2)],

    divided by d: Jensen's inequality and an exact mean determinant.

    Parameters
    ----------
    n : int
        Number of training points, above d.
    d : int
        Dimension.
    nu : positive number
        The noise-to-signal ratio ``sigma^2 / s^2``.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        For bad sizes or a ratio that is not positive.

    Notes
    -----
    ``thm-log-det`` (a) and ``lem-mean-determinant`` in the book.

    Examples
    --------
    >>> import empirical_score as es
    >>> round(es.linear.log_det_bound(9, 1, 1.0), 4)
    -0.4452
    """
    n, d, nu, rho2 = _sizes(n, d, nu)
    if n <= d:
        raise ValueError(f"n must be above d (C is singular), got n={n} and d={d}")
    k = np.arange(d + 1)
    choices = gammaln(n) - gammaln(k + 1) - gammaln(n - k)
    heads = logsumexp(choices + k * np.log(rho2) + (n - 1 - k) * np.log(1 - rho2))
    scatter = np.sum(np.log(2) + digamma((n - k[1:]) / 2))
    tails = (d - n + 1) * np.log(1 - rho2)
    return float((heads + tails + gammaln(d + 1) - scatter) / d)


def log_det_estimate(n: int, d: int, nu: float) -> float:
    """Estimate ``E log det(C / s^2) / d``: its bound less a gap that is not proved.

    As observed: below n = d (1 + nu) the gap of :func:`log_det_bound` is that of a
    square Gaussian matrix, exact for nu -> infinity; beyond, the estimate is
    ``log rho^2 + log(1 - nu / (gamma - 1)) / d``.

    Parameters
    ----------
    n : int
        Number of training points, above d.
    d : int
        Dimension.
    nu : positive number
        The noise-to-signal ratio ``sigma^2 / s^2``.

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
    >>> es.linear.log_det_estimate(90, 30, 1.0) < es.linear.log_det_bound(90, 30, 1.0)
    True
    """
    bound = log_det_bound(n, d, nu)
    n, d, nu, rho2 = _sizes(n, d, nu)
    square = np.sum(np.log(2) + digamma(np.arange(1, d + 1) / 2))
    value = bound - (gammaln(d + 1) - square) / d
    room = 1 - nu * d / (n - 1 - d) if n > d + 1 else -1.0
    if room > 0:
        value = max(value, np.log(rho2) + np.log(room) / d)
    return float(value)


def span_kl(n: int, d: int, nu: float) -> float:
    """Compute the exact expected KL on the affine span of n < d points, over d.

    Both distributions are seen in the n - 1 directions of the span: ``(1 - rho^2) n
    (n - 1) / (2 (d - n))`` nats from the covariance and ``((n - 1) + (1 - rho^2) E tr C
    / s^2) / (2 n)`` from the mean, divided by d.

    Parameters
    ----------
    n : int
        Number of training points, at least 2.
    d : int
        Dimension.
    nu : positive number
        The noise-to-signal ratio ``sigma^2 / s^2``.

    Returns
    -------
    float
        In nats; infinite for n >= d.

    Raises
    ------
    TypeError, ValueError
        For bad sizes or a ratio that is not positive.

    Notes
    -----
    ``thm-linear-span`` in the book.

    Examples
    --------
    >>> import empirical_score as es
    >>> round(es.linear.span_kl(2, 4, 1.0), 6)
    0.171875
    """
    trace = d * expected_trace(n, d, nu)
    n, d, nu, rho2 = _sizes(n, d, nu)
    if n >= d:
        return math.inf
    shape = (1 - rho2) * n * (n - 1) / (d - n)
    return (shape + (n - 1 + (1 - rho2) * trace) / n) / (2 * d)


def _sizes(n, d, nu):
    nu = as_positive_number(nu, "nu")
    return as_count(n, "n", 2), as_count(d, "d"), nu, 1 / (1 + nu)
