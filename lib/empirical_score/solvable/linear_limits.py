"""The solvable model in the limit of many points in high dimension."""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import brentq

from .._support.arrays import as_positive_number
from .._support.types import Numbers

__all__ = [
    "best_ratio",
    "critical_noise",
    "kl_limit",
    "log_det_limit",
    "many_draws_kl_limit",
    "population_kl",
]


def best_ratio(nu: float) -> tuple[float, float]:
    """Find the valley and the hill of :func:`kl_limit` in gamma.

    The roots ``u = gamma - 1`` of ``c / u^2 = log(c (1 + u) / u)``, c = 1 - rho^2.

    Parameters
    ----------
    nu : number
        The noise-to-signal ratio ``sigma^2 / s^2``, above :func:`critical_noise`.

    Returns
    -------
    valley, hill : float
        The values of gamma.

    Raises
    ------
    TypeError, ValueError
        Unless ``nu`` is above :func:`critical_noise`.

    Notes
    -----
    ``prop-more-data-hurts`` in the book.

    Examples
    --------
    >>> import empirical_score as es
    >>> valley, hill = es.linear.best_ratio(20.0)
    >>> round(valley, 3), round(hill, 3)
    (2.389, 19.943)
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


def critical_noise() -> float:
    """Compute ``nu_c``, above which :func:`kl_limit` is not monotone in gamma.

    ``nu_c = c / (1 - c)`` with ``c = u^2 / (2 (1 + u))`` and u the root of ``log(u /
    2) = 1 / (2 (1 + u))``.

    Returns
    -------
    float

    Notes
    -----
    ``prop-more-data-hurts`` in the book.

    Examples
    --------
    >>> import empirical_score as es
    >>> round(es.linear.critical_noise(), 4)
    4.3387
    """
    u = brentq(lambda u: np.log(u / 2) - 0.5 / (1 + u), 2, 3, xtol=1e-15)
    c = u**2 / (2 * (1 + u))
    return float(c / (1 - c))


def kl_limit(gamma: Numbers, nu: Numbers) -> Numbers:
    """Compute the limit of KL over d as n and d grow with ``n / d`` tending to gamma.

    ``1/2 [rho^2 + (1 - rho^2) / (gamma - 1) - 1 - l(gamma)]``, l that of
    :func:`log_det_limit`.

    Parameters
    ----------
    gamma : number or array, at least 1
        Degrees of freedom for each dimension.
    nu : positive number or array
        The noise-to-signal ratio ``sigma^2 / s^2``; broadcasts with ``gamma``.

    Returns
    -------
    number or array
        In nats; infinite at gamma = 1.

    Raises
    ------
    ValueError
        For a ``gamma`` below 1, or a ratio that is not positive.

    Notes
    -----
    ``prop-more-data-hurts`` in the book.

    Examples
    --------
    >>> import empirical_score as es
    >>> round(float(es.linear.kl_limit(3.0, 1.0)), 4)  # (1/2 + 1/4 - 1 + log 2) / 2
    0.2216
    """
    gamma, nu = _positive(gamma, "gamma", 1), _positive(nu, "nu")
    with np.errstate(divide="ignore"):
        trace = 1 / (1 + nu) + nu / (1 + nu) / (gamma - 1)
    return 0.5 * (trace - 1 - log_det_limit(gamma, nu))


def log_det_limit(gamma: Numbers, nu: Numbers) -> Numbers:
    """Compute ``lim E log det(C / s^2) / d`` as ``(n - 1) / d`` tends to gamma.

    ``(gamma - 1) log((gamma - 1) / (1 - rho^2)) - gamma log gamma`` for gamma below
    ``1 + nu``, and ``log rho^2`` from there on.

    Parameters
    ----------
    gamma : number or array, at least 1
        Degrees of freedom for each dimension.
    nu : positive number or array
        The noise-to-signal ratio ``sigma^2 / s^2``; broadcasts with ``gamma``.

    Returns
    -------
    number or array

    Raises
    ------
    ValueError
        For a ``gamma`` below 1, or a ratio that is not positive.

    Notes
    -----
    ``prop-freezing`` and ``thm-log-det`` in the book.

    Examples
    --------
    >>> import empirical_score as es
    >>> round(float(es.linear.log_det_limit(4.0, 1.0)), 4)  # frozen at log(1/2)
    -0.6931
    """
    gamma, nu = _positive(gamma, "gamma", 1), _positive(nu, "nu")
    free = np.minimum(gamma, 1 + nu)
    rest = free - 1
    safe = np.where(rest > 0, rest, 1.0)
    value = rest * np.log(safe * (1 + nu) / nu) - free * np.log(free)
    return np.where(gamma < 1 + nu, value, -np.log1p(nu))[()]


def many_draws_kl_limit(gamma: Numbers, nu: Numbers, *, steps: float = 1) -> Numbers:
    """Compute :func:`kl_limit` for infinitely many noise draws for each point.

    Least squares is then ridge regression, ``B = S (S + sigma^2 I)^{-1}`` with the
    sample covariance S, and ``C = (s^2 + sigma^2) B^2``.

    Parameters
    ----------
    gamma : number or array, at least 1
        Degrees of freedom for each dimension.
    nu : positive number or array
        The noise-to-signal ratio ``sigma^2 / s^2``; broadcasts with ``gamma``.
    steps : 1 or infinity
        ``math.inf`` is the limit of many DDIM steps from the same start,
        ``C = (s^2 + sigma^2) B``.

    Returns
    -------
    number or array
        In nats.

    Raises
    ------
    ValueError
        For a ``gamma`` below 1, a ratio that is not positive, or other ``steps``.

    Notes
    -----
    ``prop-many-draws`` and ``prop-steps`` in the book.  Trace and log-determinant are
    integrals of the distribution of Marchenko & Pastur (1967) through
    ``m = 1 / (z + gamma / (1 + m))`` at ``z = gamma nu``.

    Examples
    --------
    >>> import empirical_score as es
    >>> many_draws = es.linear.many_draws_kl_limit(1.5, 1.0)
    >>> bool(many_draws < es.linear.kl_limit(1.5, 1.0))
    True
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


def population_kl(nu: Numbers) -> Numbers:
    """Compute the limit of KL over d for many points in a fixed dimension.

    ``(log(1 + nu) - nu / (1 + nu)) / 2``.

    Parameters
    ----------
    nu : positive number or array
        The noise-to-signal ratio ``sigma^2 / s^2``.

    Returns
    -------
    number or array of the shape of ``nu``
        In nats.

    Raises
    ------
    ValueError
        Unless ``nu`` is positive and finite.

    Examples
    --------
    >>> import empirical_score as es
    >>> round(float(es.linear.population_kl(1.0)), 4)  # (log 2 - 1/2) / 2
    0.0966
    """
    nu = _positive(nu, "nu")
    return 0.5 * (np.log1p(nu) - nu / (1 + nu))


def _positive(value, name, low=5e-324):
    value = np.asarray(value, dtype=np.float64)
    if not np.all((value >= low) & (value < np.inf)):
        least = "positive" if low < 1 else f"at least {low}"
        raise ValueError(f"{name} must be finite and {least}, got {value}")
    return value
