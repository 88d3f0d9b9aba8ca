"""The solvable diffusion model: one linear denoising step, fitted by least squares.

Data are Gaussian, ``y ~ N(mu, s^2 I)`` in d dimensions; each of n training points gets
one noisy copy ``x = y + sigma z``.  The denoiser is the least-squares line from x to y,
and the generator applies it once to a Gaussian start (Halder 2024).  Up to the units of
the data everything depends on n, d and the noise-to-signal ratio ``nu = sigma^2 / s^2``
alone; ``rho^2 = 1 / (1 + nu)`` is the squared correlation of x and y.  For the process
``dX = -X dt + sqrt(2 lambda) dB`` up to T, ``sigma^2 = lambda (e^{2T} - 1)``.

Divergences are ``KL(generated || p)`` in nats for each dimension, C is the generated
covariance, and ``gamma = (n - 1) / d``, the degrees of freedom for each dimension.
"""

import math

import numpy as np
from scipy.optimize import brentq
from scipy.special import digamma, gammaln, logsumexp

from .._support.arrays import as_count, as_points, as_positive_number, like
from ..distributions.densities import Gaussian

__all__ = [
    "LinearDenoiser",
    "best_ratio",
    "critical_noise",
    "expected_trace",
    "generator",
    "kl",
    "kl_limit",
    "log_det_bound",
    "log_det_estimate",
    "log_det_limit",
    "many_draws_kl_limit",
    "population_kl",
    "span_kl",
]


class LinearDenoiser:
    """The affine map ``x -> y_mean + slope (x - x_mean)`` of least squares.

    Parameters
    ----------
    x, y : arrays ``(n, d)``, n >= 2
        Noisy points and the clean points behind them, row by row.

    The fit is on centered data in float64, of minimum norm where n <= d (where it
    passes through every pair).  ``slope`` is ``(d, d)``, ``rank`` its numerical rank.
    Raises ``ValueError`` for shapes that differ or a single row.
    """

    def __init__(self, x, y):
        x = like(as_points(x, "x"), np.empty(0))
        y = like(as_points(y, "y", x.shape[1]), np.empty(0))
        if x.shape != y.shape or x.shape[0] < 2:
            raise ValueError(
                "x and y must be equally many rows, at least 2, "
                f"got shapes {x.shape} and {y.shape}"
            )
        self.dimension = x.shape[1]
        (self.x_mean, x), (self.y_mean, y) = _centered(x), _centered(y)
        fit = np.linalg.lstsq(x, y, rcond=None)
        self.slope, self.rank = fit[0].T, int(fit[2])

    def __call__(self, x):
        """Return the denoised points, ``(m, d)``."""
        x = like(as_points(x, "x", self.dimension), np.empty(0))
        return self.y_mean + (x - self.x_mean) @ self.slope.T

    def generated(self, start_variance):
        """Return the law of ``self(x)``, x ~ N(y_mean, start_variance I).

        A :class:`Gaussian`, singular where ``rank < d``: mean ``self(y_mean)`` and
        covariance ``start_variance * slope slope^T``.
        """
        variance = as_positive_number(start_variance, "start_variance")
        axes, scales, _ = np.linalg.svd(self.slope)
        law = Gaussian(self(self.y_mean[None])[0], 0.0)
        # Singular values, not eigenvalues of a product: small ones keep their digits.
        law.axes = axes
        law.variances = np.where(
            np.arange(self.dimension) < self.rank, variance * scales**2, 0.0
        )
        return law


def generator(data, sigma, rng, *, start_variance=None):
    """Train the one-step model on ``data``, ``(n, d)``, and return the law it draws.

    One noise draw for each point, a :class:`LinearDenoiser`, and a start ``N(y_mean,
    start_variance I)``; by default the start has the variance of the noisy data, the
    average unbiased variance of a coordinate plus ``sigma^2``.
    """
    data = like(as_points(data, "data"), np.empty(0))
    sigma = as_positive_number(sigma, "sigma")
    noisy = data + sigma * rng.standard_normal(data.shape)
    if start_variance is None:
        start_variance = np.mean(np.var(data, axis=0, ddof=1)) + sigma**2
    return LinearDenoiser(noisy, data).generated(start_variance)


def population_kl(nu):
    """Return the limit of many data, ``(log(1 + nu) - nu / (1 + nu)) / 2``."""
    nu = _positive(nu, "nu")
    return 0.5 * (np.log1p(nu) - nu / (1 + nu))


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


def kl_limit(gamma, nu):
    """Return the limit of KL over d as n and d grow with ``n / d`` tending to gamma."""
    gamma, nu = _positive(gamma, "gamma", 1), _positive(nu, "nu")
    with np.errstate(divide="ignore"):
        trace = 1 / (1 + nu) + nu / (1 + nu) / (gamma - 1)
    return 0.5 * (trace - 1 - log_det_limit(gamma, nu))


def critical_noise():
    """Return ``nu_c``, above which :func:`kl_limit` is not monotone in gamma.

    ``nu_c = c / (1 - c)`` with ``c = u^2 / (2 (1 + u))`` and u the root of ``log(u /
    2) = 1 / (2 (1 + u))``: about 4.3387.
    """
    u = brentq(lambda u: np.log(u / 2) - 0.5 / (1 + u), 2, 3, xtol=1e-15)
    c = u**2 / (2 * (1 + u))
    return float(c / (1 - c))


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


def _centered(points):
    mean = points.mean(axis=0)
    rest = points - mean
    # Twice: the rounding of a large mean would count as one more direction.
    again = rest.mean(axis=0)
    return mean + again, rest - again


def _sizes(n, d, nu):
    nu = as_positive_number(nu, "nu")
    return as_count(n, "n", 2), as_count(d, "d"), nu, 1 / (1 + nu)


def _positive(value, name, low=5e-324):
    value = np.asarray(value, dtype=np.float64)
    if not np.all((value >= low) & (value < np.inf)):
        least = "positive" if low < 1 else f"at least {low}"
        raise ValueError(f"{name} must be finite and {least}, got {value}")
    return value
