"""The solvable model at n points in d dimensions: exact means, and bounds."""

import math

import numpy as np
from scipy.special import digamma, gammaln, logsumexp

from .._support.arrays import as_count, as_positive_number
from .linear_limits import log_det_limit

__all__ = ["expected_trace", "kl", "log_det_bound", "log_det_estimate", "span_kl"]


def expected_trace(n, d, nu):
    """Return ``E tr C / (d s^2)``, exact, in d dimensions with n points.

    ``rho^2 + (1 - rho^2) d / (n - d - 2)`` for n >= d + 3; for n < d ``(n - 1) / d``
    times ``rho^2 + (1 - rho^2) d / (d - n)``; infinite for n = d, d + 1, d + 2.
    """
    n, d, nu, rho2 = _sizes(n, d, nu)
    if d <= n <= d + 2:
        return math.inf
    if n < d:
        return (n - 1) / d * (rho2 + (1 - rho2) * d / (d - n))
    return rho2 + (1 - rho2) * d / (n - d - 2)


def kl(n, d, nu, *, log_det=None):
    """Return the expected KL over d for n >= d + 3 (infinite below that).

    ``1/2 [x + (1 + (1 - rho^2) x) / n - 1 - l]`` with ``x = expected_trace`` and
    the mean term exact.  ``log_det`` is a function ``(n, d, nu)`` for l, such as
    :func:`log_det_bound` (then this is a lower bound) or :func:`log_det_estimate`; by
    default l is the limit at ``gamma = (n - 1) / d``.
    """
    trace = expected_trace(n, d, nu)
    n, d, nu, rho2 = _sizes(n, d, nu)
    if n < d + 3:
        return math.inf
    mean = (1 + (1 - rho2) * trace) / n
    volume = log_det(n, d, nu) if log_det else log_det_limit((n - 1) / d, nu)
    return float(0.5 * (trace + mean - 1 - volume))


def log_det_bound(n, d, nu):
    """Return an upper bound on ``E log det(C / s^2) / d`` for every n > d.

    With H the number of heads in n - 1 tosses of a coin of probability rho^2,

        log P(H <= d) + (d - n + 1) log(1 - rho^2) + log d!
            - sum_{k=1}^d [log 2 + digamma((n - k) / 2)],

    divided by d: Jensen's inequality and an exact mean determinant.
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


def log_det_estimate(n, d, nu):
    """Return :func:`log_det_bound` less its gap, as observed and not proved.

    Below n = d (1 + nu) the gap is that of a square Gaussian matrix, exact for nu ->
    infinity; beyond, ``log rho^2 + log(1 - nu / (gamma - 1)) / d``.
    """
    bound = log_det_bound(n, d, nu)
    n, d, nu, rho2 = _sizes(n, d, nu)
    square = np.sum(np.log(2) + digamma(np.arange(1, d + 1) / 2))
    value = bound - (gammaln(d + 1) - square) / d
    room = 1 - nu * d / (n - 1 - d) if n > d + 1 else -1.0
    if room > 0:
        value = max(value, np.log(rho2) + np.log(room) / d)
    return float(value)


def span_kl(n, d, nu):
    """Return the exact expected KL on the affine span of n < d points, over d.

    Both laws are seen in the n - 1 directions of the span: ``(1 - rho^2) n (n - 1) /
    (2 (d - n))`` nats from the covariance and ``((n - 1) + (1 - rho^2) E tr C / s^2) /
    (2 n)`` from the mean, divided by d.  Infinite for n >= d.
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
