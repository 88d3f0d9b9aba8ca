"""When does a training set give itself away?  Information, and the level of collapse.

A noised point ``x = y + sigma z`` carries ``I(X; Y)`` nats about the point behind it.
Against ``log n``, the logarithm of the number of training points, that decides whether
the softmax weights settle on one point (``I > log n``) or are shared by many: the
condensation of Biroli, Bonnaire, De Bortoli & Mezard (2024).  It also decides how far
the empirical distribution is from the truth, ``E KL(p_hat || p)``, and with it the
error of the empirical score.  All information is in nats.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import gammaln, logsumexp

from .._support.arrays import (
    as_count,
    as_points,
    as_positive_number,
    as_rows,
    as_sigma,
    like,
)
from .._support.draws import as_numpy_generator
from .._support.types import HasLogDensity, Level, Numbers, NumpyRng, Points
from .estimate import Estimate
from .gaussian_information import (
    collapse_level,
    mutual_information,
    renyi_information,
    score_error_constant,
    signal_to_noise,
)
from .score import Density

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
    """A lower and an upper bound, each a number and its standard error.

    Attributes
    ----------
    lower, upper : Estimate
        In nats.

    Examples
    --------
    >>> import empirical_score as es
    >>> es.leakage_bounds([0.0], 1.0, 10).lower  # no variance, no information
    Estimate(value=0.0, standard_error=0.0)
    """

    lower: Estimate
    upper: Estimate


def information_density(
    law: HasLogDensity, x: Points, y: Points, sigma: Level
) -> np.ndarray:
    """Compute ``i(x; y) = log N(x; y, sigma^2 I) - log p_sigma(x)`` in nats.

    What noised point ``x`` says for having come from ``y`` rather than from anywhere:
    its mean over pairs ``x = y + sigma z`` is ``I(X; Y)``.

    Parameters
    ----------
    law : Density, or anything with ``log_density(x, sigma)``
        The distribution of the clean points.
    x, y : arrays ``(m, d)``
        Noised and clean points, row by row, in units of the data.
    sigma : positive number or array ``(m,)``
        Noise level, in units of the data.

    Returns
    -------
    array ``(m,)``

    Raises
    ------
    TypeError, ValueError
        For bad arrays or levels, or shapes that differ.

    Notes
    -----
    It bounds ``E KL(p_hat || p)`` from both sides: ``thm-information-sandwich``.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> origin = np.zeros((1, 1))
    >>> es.information_density(es.Gaussian([0.0], 3.0), origin, origin, 1.0).round(4)
    array([0.6931])
    """
    x = like(as_points(x, "x"), np.empty(0))
    m, d = x.shape
    y = as_rows(y, "y", m, d, x)
    sigma = as_sigma(sigma, m, x)
    squares = np.sum(((x - y) / sigma[:, None]) ** 2, axis=1)
    log_kernel = -0.5 * squares - d * np.log(np.sqrt(2 * np.pi) * sigma)
    return log_kernel - law.log_density(x, sigma)


def leakage_bounds(
    law: Numbers | Density,
    sigma: float,
    n: float,
    rng: NumpyRng | None = None,
    *,
    draws: int = 100_000,
) -> LeakageBounds:
    """Bound ``E KL(p_hat || p)`` at a noise level for n training points, in nats.

    The expectation is over training sets of n independent points; it equals the mutual
    information of one draw of the kernel density estimate ``p_hat`` and the whole
    training set.  With ``i = i(X; Y)`` of :func:`information_density` and ``I = E i``,

        max(0, I - log n)  <=  E KL(p_hat || p)  <=  E log(1 + e^i / n).

    Parameters
    ----------
    law : array ``(d,)`` or Density
        The distribution of the clean points.  Variances of a Gaussian: both bounds are
        exact to about 1e-9, with standard error 0, and ``rng`` is not used.  Otherwise
        anything with ``sample(m, rng)`` and ``log_density(x, sigma)``.
    sigma : positive number
        Noise level, in units of the data.
    n : positive number
        Number of training points.
    rng : numpy.random.Generator or int seed
        For the Monte Carlo means.
    draws : int
        Number of Monte Carlo pairs.

    Returns
    -------
    LeakageBounds
        ``lower`` and ``upper``, each an ``Estimate(value, standard_error)``.

    Raises
    ------
    TypeError, ValueError
        For bad variances, ``sigma``, ``n``, or a distribution that is no Gaussian
        without ``rng``.

    Notes
    -----
    ``thm-information-sandwich`` in the book.

    Examples
    --------
    >>> import empirical_score as es
    >>> bounds = es.leakage_bounds([3.0], 1.0, 10)
    >>> round(bounds.lower.value, 4), round(bounds.upper.value, 4)
    (0.0, 0.2343)
    """
    sigma = as_positive_number(sigma, "sigma")
    log_n = math.log(as_positive_number(n, "n"))
    if hasattr(law, "log_density"):
        return _sampled_bounds(law, sigma, log_n, as_numpy_generator(rng), draws)
    excess = mutual_information(law, sigma) - log_n
    upper = _mean_log1p_exp(excess, signal_to_noise(law, sigma))
    return LeakageBounds(Estimate(max(0.0, excess), 0.0), Estimate(upper, 0.0))


def log_wills_functional(dimension: int, radius: float, sigma: float) -> float:
    """Compute ``log W``, ``W = int sup_y N(x; y, sigma^2 I) dx`` over a ball of y's.

    ``W`` is the Wills functional of the ball of this radius in units of ``sqrt(2 pi)
    sigma``: ``sum_k V_k (2 pi sigma^2)^{-k/2}`` with the intrinsic volumes ``V_k =
    binom(d, k) kappa_d / kappa_{d-k} radius^k``, ``kappa_j`` the volume of the unit
    ball in j dimensions (Steiner's formula).

    Parameters
    ----------
    dimension : int
        The number d of coordinates.
    radius, sigma : positive numbers
        In units of the data.

    Returns
    -------
    float
        The logarithm, since W grows like ``sigma^{-d}``.

    Raises
    ------
    TypeError, ValueError
        For arguments that are not positive.

    Notes
    -----
    For any distribution with support in the ball, ``n E chi^2(p_hat || p) <= W - 1``
    (``thm-bounded-support``).

    Examples
    --------
    >>> import math, empirical_score as es
    >>> w = math.exp(es.log_wills_functional(1, 1.0, 1.0))
    >>> round(w, 4)  # 1 + length / sqrt(2 pi)
    1.7979
    """
    d = as_count(dimension, "dimension")
    ratio = as_positive_number(radius, "radius") / as_positive_number(sigma, "sigma")
    k = np.arange(1, d + 1)
    log_volumes = gammaln(d + 1) - gammaln(k + 1) - gammaln(d - k + 1)
    log_volumes += gammaln((d - k) / 2 + 1) - gammaln(d / 2 + 1)  # pi^{k/2} cancels
    terms = log_volumes + k * np.log(ratio / np.sqrt(2))
    return float(np.logaddexp(0, logsumexp(terms)))


def _sampled_bounds(law, sigma, log_n, rng, draws):
    """Return the bounds as means over ``draws`` noised points."""
    y = law.sample(as_count(draws, "draws", 2), rng)
    x = y + sigma * rng.standard_normal(y.shape)
    gap = information_density(law, x, y, sigma) - log_n
    (low, low_error), (high, high_error) = (
        (float(np.mean(v)), float(np.std(v, ddof=1) / np.sqrt(draws)))
        for v in (gap, np.logaddexp(0, gap))
    )
    return LeakageBounds(Estimate(max(0.0, low), low_error), Estimate(high, high_error))


def _mean_log1p_exp(a, snr):
    """Return ``E log(1 + e^{a + Q})`` for ``Q = i(X; Y) - I`` of a Gaussian.

    ``Q`` is distributed as ``sum_k rho_k g_k h_k`` with independent standard normals:
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
