"""When does a training set give itself away?  Information, and the level of collapse.

A noised point ``x = y + sigma z`` carries ``I(X; Y)`` nats about the point behind it.
Against ``log n``, the logarithm of the number of training points, that decides whether
the softmax weights settle on one point (``I > log n``) or are shared by many: the
condensation of Biroli, Bonnaire, De Bortoli & Mezard (2024).  It also decides how far
the empirical law is from the truth, ``E KL(p_hat || p)``, and with it the error of the
empirical score.  All information is in nats.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import gammaln, logsumexp

from .._support.arrays import (
    as_count,
    as_points,
    as_positive_number,
    as_rows,
    as_sigma,
    like,
)
from .._support.draws import require_generator
from .divergences import Estimate

__all__ = [
    "LeakageBounds",
    "collapse_level",
    "information_density",
    "leakage_bounds",
    "log_wills_functional",
    "mutual_information",
    "renyi_information",
    "score_error_constant",
]


class LeakageBounds(NamedTuple):
    """A lower and an upper bound, each a number and its standard error."""

    lower: Estimate
    upper: Estimate


def information_density(law, x, y, sigma):
    """Return ``i(x; y) = log N(x; y, sigma^2 I) - log p_sigma(x)``, shape ``(m,)``.

    What noised point ``x`` says, in nats, for having come from ``y`` rather than from
    anywhere: its mean over pairs ``x = y + sigma z`` is ``I(X; Y)``.  ``law`` has
    ``log_density(x, sigma)``; ``x`` and ``y`` are ``(m, d)``, row by row, ``sigma`` is
    positive, a number or ``(m,)``.  Raises ``ValueError`` for unequal shapes.
    """
    x = like(as_points(x, "x"), np.empty(0))
    m, d = x.shape
    y = as_rows(y, "y", m, d, x)
    sigma = as_sigma(sigma, m, x)
    squares = np.sum(((x - y) / sigma[:, None]) ** 2, axis=1)
    log_kernel = -0.5 * squares - d * np.log(np.sqrt(2 * np.pi) * sigma)
    return log_kernel - law.log_density(x, sigma)


def mutual_information(variances, sigma):
    """Return ``I(Y + sigma Z; Y)`` in nats for a Gaussian Y.

    ``1/2 sum_k log(1 + variances_k / sigma^2)``, the variances being the eigenvalues
    of the covariance, shape ``(d,)``.  For any law with this covariance it is an upper
    bound.  Raises ``ValueError`` for negative or missing variances.
    """
    return float(0.5 * np.sum(np.log1p(_signal_to_noise(variances, sigma))))


def renyi_information(variances, sigma, order):
    """Return the Renyi divergence of given order of the pair (X, Y) from independence.

    For a Gaussian Y with these variances, shape ``(d,)``, and ``X = Y + sigma Z``; with
    ``S_k = variances_k / sigma^2``, ``rho_k^2 = S_k / (1 + S_k)``, ``s = order - 1``

        D_{1+s} = sum_k [1/2 log(1 + S_k) - 1/(2s) log(1 - s^2 rho_k^2)]   (nats),

    infinite where ``|s| rho_k >= 1``.  Order 1 is :func:`mutual_information`; order 2
    gives the exact ``n E chi^2(p_hat || p) = exp(D_2) - 1 = prod_k (1 + S_k) - 1``.
    Raises ``ValueError`` unless ``order`` is positive and finite.
    """
    s = as_positive_number(order, "order") - 1
    snr = _signal_to_noise(variances, sigma)
    if s == 0:
        return mutual_information(variances, sigma)
    rest = (1 + (1 - s) * (1 + s) * snr) / (1 + snr)  # 1 - s^2 rho^2, also near 0
    if np.any(rest <= 0):
        return float("inf")
    squares = s * s * snr / (1 + snr)
    small = np.log1p(-np.minimum(squares, 0.5))
    logs = np.where(squares < 0.5, small, np.log(rest))
    return float(0.5 * np.sum(np.log1p(snr) - logs / s))


def leakage_bounds(law, sigma, n, rng=None, *, draws=100_000):
    """Return bounds on ``E KL(p_hat || p)`` at noise level ``sigma`` for n points.

    The expectation is over training sets of n independent points of ``law``; it equals
    the mutual information of one draw of the kernel density estimate ``p_hat`` and the
    whole training set.  With ``i = i(X; Y)`` and ``I = E i``, in nats,

        max(0, I - log n)  <=  E KL(p_hat || p)  <=  E log(1 + e^i / n).

    Parameters
    ----------
    law : array ``(d,)``, or a law of this library
        Variances of a Gaussian: both bounds are then exact to about 1e-9, with
        standard error 0, and ``rng`` is not used.  Otherwise anything with
        ``sample(m, rng)`` and ``log_density(x, sigma)``: Monte Carlo.
    sigma : positive number
    n : positive number
    rng : numpy.random.Generator
    draws : int
        Number of Monte Carlo pairs.

    Returns
    -------
    LeakageBounds
        ``lower`` and ``upper``, each an ``Estimate(value, standard_error)``.

    Raises
    ------
    TypeError, ValueError
        For bad variances, ``sigma``, ``n``, or a law that is no Gaussian without rng.
    """
    sigma = as_positive_number(sigma, "sigma")
    log_n = math.log(as_positive_number(n, "n"))
    if not hasattr(law, "log_density"):
        excess = mutual_information(law, sigma) - log_n
        upper = _mean_log1p_exp(excess, _signal_to_noise(law, sigma))
        return LeakageBounds(Estimate(max(0.0, excess), 0.0), Estimate(upper, 0.0))
    require_generator(rng)
    y = law.sample(as_count(draws, "draws", 2), rng)
    x = y + sigma * rng.standard_normal(y.shape)
    gap = information_density(law, x, y, sigma) - log_n
    (low, low_error), (high, high_error) = (
        (float(np.mean(v)), float(np.std(v, ddof=1) / np.sqrt(draws)))
        for v in (gap, np.logaddexp(0, gap))
    )
    return LeakageBounds(Estimate(max(0.0, low), low_error), Estimate(high, high_error))


def collapse_level(variances, n):
    """Return the noise level at which ``mutual_information`` equals ``log n``.

    Below it the posterior over n training points of a Gaussian with these variances
    condenses on one of them.  For equal variances ``v`` it is ``sqrt(v / (n^{2/d} -
    1))``.  Raises ``ValueError`` unless ``n > 1`` and some variance is positive.
    """
    variances = _variances(variances)
    if not (np.isfinite(n) and n > 1):
        raise ValueError(f"n must be a finite number above 1, got {n}")
    if not np.any(variances > 0):
        raise ValueError("variances must not all be 0")
    # One axis alone gives a lower bound on the level, all at the largest an upper one.
    top, d = float(np.max(variances)), variances.shape[0]
    low = np.sqrt(top / np.expm1(2 * np.log(n)))
    high = np.sqrt(top / np.expm1(2 * np.log(n) / d))

    def excess(log_sigma):
        return mutual_information(variances, np.exp(log_sigma)) - np.log(n)

    low, high = np.log(low) - 1e-9, np.log(high) + 1e-9
    return float(np.exp(brentq(excess, low, high, xtol=1e-13, rtol=1e-14)))


def score_error_constant(variances, sigma):
    """Return the limit of ``n E |s_hat - s|^2`` over x ~ p_sigma as n grows.

    For a Gaussian with these variances, shape ``(d,)``, and ``S_k = variances_k /
    sigma^2`` it is ``-d/d(sigma^2) prod_k (1 + S_k) = prod_k (1 + S_k) sum_k S_k /
    (variances_k + sigma^2)``, in units of ``1 / x^2``.  For the Ornstein-Uhlenbeck
    process at time t multiply by ``e^{2t}``.
    """
    snr = _signal_to_noise(variances, sigma)
    with np.errstate(over="ignore"):  # beyond the largest number: infinite
        return float(np.prod(1 + snr) * np.sum(snr / (1 + snr)) / sigma / sigma)


def log_wills_functional(dimension, radius, sigma):
    """Return ``log W``, ``W = int sup_y N(x; y, sigma^2 I) dx`` over a ball of y's.

    ``W`` is the Wills functional of the ball of this radius in units of ``sqrt(2 pi)
    sigma``: ``sum_k V_k (2 pi sigma^2)^{-k/2}`` with the intrinsic volumes ``V_k =
    binom(d, k) kappa_d / kappa_{d-k} radius^k``, ``kappa_j`` the volume of the unit
    ball in j dimensions (Steiner's formula).  For any law with support in the ball,
    ``n E chi^2(p_hat || p) <= W - 1``.  Given as a logarithm: W grows like
    ``sigma^{-d}``.
    """
    d = as_count(dimension, "dimension")
    ratio = as_positive_number(radius, "radius") / as_positive_number(sigma, "sigma")
    k = np.arange(1, d + 1)
    log_volumes = gammaln(d + 1) - gammaln(k + 1) - gammaln(d - k + 1)
    log_volumes += gammaln((d - k) / 2 + 1) - gammaln(d / 2 + 1)  # pi^{k/2} cancels
    terms = log_volumes + k * np.log(ratio / np.sqrt(2))
    return float(np.logaddexp(0, logsumexp(terms)))


def _mean_log1p_exp(a, snr):
    """Return ``E log(1 + e^{a + Q})`` for ``Q = i(X; Y) - I`` of a Gaussian.

    In law ``Q = sum_k rho_k g_k h_k`` with independent standard normals, so that
    ``M(s) = E e^{sQ} = prod_k (1 - s^2 rho_k^2)^{-1/2}``, and by Mellin's inversion

        E log(1 + e^{a + Q}) = 1/(2 pi i) int M(s) e^{sa} pi / (s sin(pi s)) ds

    along a vertical line with 0 < Re s < 1, here the one through the saddle point.
    """
    if a > 0:  # Q is symmetric
        return a + _mean_log1p_exp(-a, snr)
    squares = snr / (1 + snr)
    if not np.any(squares > 0):
        return float(np.log1p(np.exp(a)))

    def exponent(s):
        logs = np.sum(np.log1p(-np.multiply.outer(s * s, squares)), axis=-1)
        return s * a - 0.5 * logs + np.log(np.pi / (s * np.sin(np.pi * s)))

    saddle = minimize_scalar(exponent, bounds=(1e-9, 1 - 1e-9), method="bounded").x
    tilted = squares / (1 - saddle**2 * squares) ** 2
    curvature = np.sum(tilted * (1 + saddle**2 * squares))
    curvature += saddle**-2 + (np.pi / np.sin(np.pi * saddle)) ** 2
    width = curvature**-0.5
    # Trapezoid rule in u with Im s = width sinh(u): the error falls exponentially.
    u = np.linspace(0, np.arcsinh(12 / width), 401)
    along = np.exp(exponent(saddle + 1j * width * np.sinh(u))).real * np.cosh(u)
    along[0] /= 2
    return float(width * u[1] * np.sum(along) / np.pi)


def _signal_to_noise(variances, sigma):
    sigma = as_positive_number(sigma, "sigma")
    return _variances(variances) / sigma / sigma


def _variances(value):
    variances = np.atleast_1d(np.asarray(value, dtype=np.float64))
    if variances.ndim != 1 or variances.shape[0] == 0:
        raise ValueError(
            f"variances must have shape (d,), d >= 1, got shape {variances.shape}"
        )
    if not np.all(np.isfinite(variances)) or np.any(variances < 0):
        raise ValueError(
            "variances must be finite and not negative, "
            f"got minimum {np.min(variances):.3g}"
        )
    return variances
