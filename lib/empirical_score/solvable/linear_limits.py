"""The solvable model in the limit of many points in high dimension."""

import math

import numpy as np
from scipy.optimize import brentq

from .._support.arrays import as_positive_number

__all__ = [
    "best_ratio",
    "critical_noise",
    "kl_limit",
    "log_det_limit",
    "many_draws_kl_limit",
    "population_kl",
]


def best_ratio(nu):
    """Return the valley and the hill of :func:`kl_limit` in gamma, two numbers.

    The roots ``u = gamma - 1`` of ``c / u^2 = log(c (1 + u) / u)``, c = 1 - rho^2.
    Raises ``ValueError`` unless ``nu`` is above :func:`critical_noise`.
    """
    nu = as_positive_number(nu, "nu")
    if nu <= critical_noise():
        raise ValueError(f"nu must be above {critical_noise():.4f}, got {nu}")
    c = nu / (1 + nu)

    def fall(u):  # minus twice the slope of the limit
        return c / u**2 - np.log1p((c - u / (1 + nu)) / u)  # c (1 + u) / u - 1

    middle = c + math.sqrt(c * (c + 2))  # where the slope is largest
    roots = brentq(fall, 0.5, middle), brentq(fall, middle, nu)
    return 1 + roots[0], 1 + roots[1]


def critical_noise():
    """Return ``nu_c``, above which :func:`kl_limit` is not monotone in gamma.

    ``nu_c = c / (1 - c)`` with ``c = u^2 / (2 (1 + u))`` and u the root of ``log(u /
    2) = 1 / (2 (1 + u))``: about 4.3387.
    """
    u = brentq(lambda u: np.log(u / 2) - 0.5 / (1 + u), 2, 3, xtol=1e-15)
    c = u**2 / (2 * (1 + u))
    return float(c / (1 - c))


def kl_limit(gamma, nu):
    """Return the limit of KL over d as n and d grow with ``n / d`` tending to gamma."""
    gamma, nu = _positive(gamma, "gamma", 1), _positive(nu, "nu")
    with np.errstate(divide="ignore"):
        trace = 1 / (1 + nu) + nu / (1 + nu) / (gamma - 1)
    return 0.5 * (trace - 1 - log_det_limit(gamma, nu))


def log_det_limit(gamma, nu):
    """Return ``lim E log det(C / s^2) / d`` as ``(n - 1) / d`` tends to gamma.

    ``(gamma - 1) log((gamma - 1) / (1 - rho^2)) - gamma log gamma`` for gamma below
    ``1 + nu``, and ``log rho^2`` from there on.  Broadcasts; ``gamma >= 1``.
    """
    gamma, nu = _positive(gamma, "gamma", 1), _positive(nu, "nu")
    free = np.minimum(gamma, 1 + nu)
    rest = free - 1
    safe = np.where(rest > 0, rest, 1.0)
    value = rest * np.log(safe * (1 + nu) / nu) - free * np.log(free)
    return np.where(gamma < 1 + nu, value, -np.log1p(nu))[()]


def many_draws_kl_limit(gamma, nu, *, steps=1):
    """Return :func:`kl_limit` for infinitely many noise draws for each point.

    Least squares is then ridge regression, ``B = S (S + sigma^2 I)^{-1}`` with the
    sample covariance S, and ``C = (s^2 + sigma^2) B^2``.  ``steps=math.inf`` is the
    limit of many DDIM steps from the same start, ``C = (s^2 + sigma^2) B``.  Trace and
    log-determinant are integrals of the law of Marchenko & Pastur (1967) through
    ``m = 1 / (z + gamma / (1 + m))`` at ``z = gamma nu``.
    """
    if steps not in (1, math.inf):
        raise ValueError(f"steps must be 1 or infinity, got {steps}")
    gamma, nu = _positive(gamma, "gamma", 1), _positive(nu, "nu")
    z = gamma * nu
    b = z + gamma - 1
    m = 2 / (b + np.sqrt(b * b + 4 * z))
    rest = gamma - 1
    at_zero = gamma * np.log(gamma) - rest * np.log(np.where(rest > 0, rest, 1)) - 1
    at_z = gamma * np.log1p(m) - np.log(m) - 1 + z * m
    trace, log_det = 1 - z * m, at_zero - at_z
    if steps == 1:
        slope = -m * (1 + m) / (2 * z * m + b)
        trace, log_det = 1 - 2 * z * m - z**2 * slope, 2 * log_det
    return 0.5 * ((1 + nu) * trace - 1 - np.log1p(nu) - log_det)


def population_kl(nu):
    """Return the limit of many data, ``(log(1 + nu) - nu / (1 + nu)) / 2``."""
    nu = _positive(nu, "nu")
    return 0.5 * (np.log1p(nu) - nu / (1 + nu))


def _positive(value, name, low=5e-324):
    value = np.asarray(value, dtype=np.float64)
    if not np.all((value >= low) & (value < np.inf)):
        least = "positive" if low < 1 else f"at least {low}"
        raise ValueError(f"{name} must be finite and {least}, got {value}")
    return value
