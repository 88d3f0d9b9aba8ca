"""Distances between laws: exact where a formula exists, Monte Carlo with its error.

Every Monte Carlo value is an :class:`Estimate` with a standard error; every exact value
has standard error 0.  Densities enter as log densities at samples of the first law.
"""

import itertools
from typing import NamedTuple

import numpy as np
from scipy.integrate import cubature
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from .._support.arrays import (
    as_count,
    as_number,
    as_points,
    as_positive_number,
    as_real,
    like,
)
from .._support.draws import require_generator
from .densities import Gaussian

__all__ = [
    "Estimate",
    "energy_test",
    "gaussian_hellinger",
    "gaussian_kl",
    "gaussian_wasserstein",
    "hellinger",
    "kl_divergence",
    "total_variation",
    "total_variation_1d",
    "wasserstein",
]


class Estimate(NamedTuple):
    """A number and its standard error."""

    value: float
    standard_error: float


def kl_divergence(log_p, log_q):
    """Return ``KL(p || q) = E_p[log p - log q]``, an :class:`Estimate`.

    ``log_p`` and ``log_q`` are the two log densities at the same independent samples
    of p, shape ``(m,)``, m >= 2.  Two :class:`Gaussian` laws are also accepted and
    give the exact value.
    """
    if isinstance(log_p, Gaussian) and isinstance(log_q, Gaussian):
        return Estimate(gaussian_kl(log_p, log_q), 0.0)
    log_p, log_q = _pair(log_p, log_q)
    return _mean(log_p - log_q)


def total_variation(log_p, log_q):
    """Return ``TV(p, q) = E_p[(1 - q/p)_+]`` in [0, 1], an :class:`Estimate`.

    Arguments as in :func:`kl_divergence`; the integrand is bounded, so the standard
    error is at most ``1 / (2 sqrt(m))``.
    """
    log_p, log_q = _pair(log_p, log_q)
    return _mean(-np.expm1(np.minimum(log_q - log_p, 0.0)))


def hellinger(log_p, log_q):
    """Return the squared Hellinger distance ``1 - int sqrt(p q)``, an `Estimate`.

    Arguments as in :func:`kl_divergence`.  ``int sqrt(p q) = E_p[sqrt(q/p)]``, whose
    second moment is at most 1: the standard error is always finite.
    """
    log_p, log_q = _pair(log_p, log_q)
    return _mean(-np.expm1((log_q - log_p) / 2))


def total_variation_1d(log_p, log_q, low, high, *, breaks=(), tolerance=1e-8):
    """Return ``TV = 1/2 int |p - q|`` of two laws on a line by adaptive quadrature.

    ``log_p`` and ``log_q`` take an array ``(m,)`` and give one; ``[low, high]`` must
    hold all but a negligible mass.  ``breaks`` names points (peaks) at which to
    subdivide first.  Raises ``ArithmeticError`` if ``tolerance``, the absolute error,
    is not reached.
    """
    low, high = as_number(low, "low"), as_number(high, "high")
    tolerance = as_positive_number(tolerance, "tolerance")
    if not -np.inf < low < high < np.inf:
        raise ValueError(f"expected finite low < high, got low={low} and high={high}")

    def gap(x):
        x = x[:, 0]
        return np.abs(np.exp(log_p(x)) - np.exp(log_q(x))) / 2

    edges = [low, *sorted({float(b) for b in breaks if low < b < high}), high]
    share = tolerance / (len(edges) - 1)
    pieces = [
        cubature(gap, [a], [b], rule="gk21", rtol=0, atol=share)
        for a, b in itertools.pairwise(edges)
    ]
    if any(piece.status != "converged" for piece in pieces):
        error = sum(float(piece.error) for piece in pieces)
        raise ArithmeticError(
            f"quadrature reached an error of {error:.1e}, not {tolerance:.1e}; "
            "give breaks at the peaks of both densities"
        )
    return float(sum(piece.estimate for piece in pieces))


def gaussian_kl(p, q):
    """Return ``KL(p || q)`` of two :class:`Gaussian` laws, in closed form.

    ``1/2 [tr(C_q^{-1} C_p) - d + (m_p - m_q)^T C_q^{-1} (m_p - m_q)
    + log det C_q - log det C_p]``; infinite if p is not absolutely continuous.
    """
    _same_dimension(p, q)
    values = q.variances
    axes = np.eye(q.dimension) if q.axes is None else q.axes
    gap = axes.T @ (p.mean - q.mean)
    spread = np.einsum("ki,kl,li->i", axes, p.cov, axes)
    if np.any((values <= 0) & ((spread > 0) | (gap != 0))) or np.any(p.variances <= 0):
        return float("inf")
    logs = np.sum(np.log(values)) - np.sum(np.log(p.variances))
    return float(0.5 * (np.sum((spread + gap**2) / values) - p.dimension + logs))


def gaussian_hellinger(p, q):
    """Return the squared Hellinger distance ``1 - int sqrt(p q)`` of two Gaussians.

    ``int sqrt(p q) = det(C_p)^{1/4} det(C_q)^{1/4} det(C)^{-1/2} exp(-|g|_C^2 / 8)``,
    ``C = (C_p + C_q) / 2``, ``|g|_C^2 = (m_p - m_q)^T C^{-1} (m_p - m_q)``; 1 if one
    of them is singular.
    """
    _same_dimension(p, q)
    if np.any(p.variances <= 0) or np.any(q.variances <= 0):
        return 1.0
    middle = Gaussian(p.mean, (p.cov + q.cov) / 2)
    axes = np.eye(p.dimension) if middle.axes is None else middle.axes
    gap = axes.T @ (p.mean - q.mean)
    logs = (np.log(p.variances) + np.log(q.variances)) / 4
    spread = np.log(middle.variances) + gap**2 / (4 * middle.variances)
    return float(-np.expm1(min(0.0, np.sum(logs - spread / 2))))


def gaussian_wasserstein(p, q):
    """Return the 2-Wasserstein distance of two Gaussians (Gelbrich 1990).

    ``W_2^2 = |m_p - m_q|^2 + tr(C_p + C_q - 2 (C_p^{1/2} C_q C_p^{1/2})^{1/2})``.
    """
    _same_dimension(p, q)
    values, axes = np.linalg.eigh(p.cov)
    root = axes * np.sqrt(np.clip(values, 0, None)) @ axes.T
    cross = np.linalg.eigvalsh(root @ q.cov @ root)
    trace = np.sum(p.variances) + np.sum(q.variances)
    trace -= 2 * np.sum(np.sqrt(np.clip(cross, 0, None)))
    return float(np.sqrt(max(0.0, np.sum((p.mean - q.mean) ** 2) + trace)))


def wasserstein(x, y, *, order=2, rng=None, resamples=0):
    """Return the Wasserstein distance of two samples of equal size, an `Estimate`.

    The optimal matching is exact: by sorting on a line, by linear assignment else
    (time grows as m^3: about 2,000 points).  The distance between samples of one law
    is not 0 but of order ``m^{-1/d}``; compare with two samples of the same law.
    With ``resamples`` > 0 and ``rng`` the standard error is that of the bootstrap
    (on a line only); otherwise it is NaN-free 0 by convention of an exact value.
    """
    x, y = _samples(x, y)
    if x.shape[0] != y.shape[0]:
        raise ValueError(
            f"x and y must have equally many rows, got {x.shape[0]} and {y.shape[0]}"
        )
    order = as_number(order, "order")
    if not 1 <= order < np.inf:
        raise ValueError(f"order must be finite and at least 1, got {order}")
    value = _matching(x, y, order)
    if not as_count(resamples, "resamples", 0):
        return Estimate(value, 0.0)
    require_generator(rng)
    m = x.shape[0]
    draws = [
        _matching(x[rng.integers(m, size=m)], y[rng.integers(m, size=m)], order)
        for _ in range(resamples)
    ]
    return Estimate(value, float(np.std(draws, ddof=1)))


def energy_test(x, y, rng, *, permutations=199):
    """Test whether two samples come from one law by the energy distance.

    Returns the statistic ``2 E|X - Y| - E|X - X'| - E|Y - Y'|`` (zero only for equal
    laws; Szekely & Rizzo 2004) and the p-value of a permutation test, exact at any
    sample size.
    """
    x, y = _samples(x, y)
    require_generator(rng)
    permutations = as_count(permutations, "permutations", 19)
    pooled = np.concatenate([x, y])
    distances = cdist(pooled, pooled)
    n, m = x.shape[0], y.shape[0]

    # One column of signs a labeling: +1/n for the first sample, -1/m for the second.
    labels = np.where(np.arange(n + m) < n, 1.0 / n, -1.0 / m)
    signs = np.tile(labels[:, None], permutations + 1)
    signs[:, 1:] = rng.permuted(signs[:, 1:], axis=0)
    statistics = -np.sum(signs * (distances @ signs), axis=0)
    observed = statistics[0]
    # Labelings that tie with the observed one count against rejecting it.
    at_least = np.sum(statistics[1:] >= observed * (1 - 1e-12))
    p_value = (1 + at_least) / (permutations + 1)
    return float(observed), float(p_value)


def _mean(values):
    if np.any(values == np.inf):  # p puts mass where q has none
        return Estimate(float("inf"), 0.0)
    error = np.std(values, ddof=1) / np.sqrt(values.shape[0])
    return Estimate(float(np.mean(values)), float(error))


def _pair(log_p, log_q):
    out = []
    for value, name in ((log_p, "log_p"), (log_q, "log_q")):
        value = np.asarray(like(as_real(value, name), np.empty(0)))
        if value.ndim != 1 or value.shape[0] < 2:
            raise ValueError(
                f"{name} must have shape (m,) with m >= 2, got shape {value.shape}"
            )
        if np.any(np.isnan(value)) or np.any(value == np.inf):
            raise ValueError(f"{name} holds NaN or plus infinity")
        out.append(value)
    if out[0].shape != out[1].shape:
        raise ValueError(
            "log_p and log_q must be taken at the same samples, got shapes "
            f"{out[0].shape} and {out[1].shape}"
        )
    if np.any(np.isneginf(out[0])):
        raise ValueError("log_p is minus infinity at a sample, which p cannot draw")
    return out


def _samples(x, y):
    x = like(as_points(x, "x"), np.empty(0))
    return x, like(as_points(y, "y", x.shape[1]), np.empty(0))


def _matching(x, y, order):
    if x.shape[1] == 1:
        gaps = np.abs(np.sort(x[:, 0]) - np.sort(y[:, 0]))
    else:
        cost = cdist(x, y)
        gaps = cost[linear_sum_assignment(cost**order)]
    return float(np.mean(gaps**order) ** (1 / order))


def _same_dimension(p, q):
    for law, name in ((p, "p"), (q, "q")):
        if not isinstance(law, Gaussian):
            raise TypeError(f"{name} must be a Gaussian, got {type(law).__name__}")
    if p.dimension != q.dimension:
        raise ValueError(
            f"the laws must share their dimension, got {p.dimension} and {q.dimension}"
        )
