"""Divergences between distributions: exact where a formula exists, else Monte Carlo.

Every Monte Carlo value is an :class:`Estimate` with a standard error; every exact value
has standard error 0.  Densities enter as log densities at samples of the first
distribution.  All logarithms are natural: KL is in nats.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from scipy.integrate import cubature

from .._support.arrays import (
    as_number,
    as_positive_number,
    as_real,
    like,
)
from .._support.types import LogDensity, Numbers
from .estimate import Estimate
from .gaussian import Gaussian
from .gaussian_divergences import gaussian_hellinger, gaussian_kl, gaussian_wasserstein
from .two_samples import energy_test, wasserstein

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


def kl_divergence(log_p: Numbers | Gaussian, log_q: Numbers | Gaussian) -> Estimate:
    """Estimate ``KL(p || q) = E_p[log p - log q]`` in nats from samples of p.

    Parameters
    ----------
    log_p, log_q : arrays ``(m,)``, m >= 2, or two Gaussians
        The two log densities at the same independent samples of p, in nats.  Two
        :class:`Gaussian` distributions give the exact value.

    Returns
    -------
    Estimate
        The mean and its standard error; infinite where q is 0 at a sample.

    Raises
    ------
    TypeError, ValueError
        For shapes that differ, NaN, or samples that p cannot have drawn.

    Notes
    -----
    Divergences and the book's bounds on them: ``thm-close-law``.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> x = np.array([[-1.0], [0.0], [1.0]])  # samples of p
    >>> p, q = es.Gaussian([0.0]), es.Gaussian([1.0])
    >>> round(es.kl_divergence(p.log_density(x, 0.1), q.log_density(x, 0.1)).value, 4)
    0.495
    >>> round(es.kl_divergence(p, q).value, 4)
    0.5
    """
    if isinstance(log_p, Gaussian) and isinstance(log_q, Gaussian):
        return Estimate(gaussian_kl(log_p, log_q), 0.0)
    log_p, log_q = _pair(log_p, log_q)
    return _mean(log_p - log_q)


def total_variation(log_p: Numbers, log_q: Numbers) -> Estimate:
    """Estimate the total variation distance ``TV(p, q) = E_p[(1 - q/p)_+]``, in [0, 1].

    Parameters
    ----------
    log_p, log_q : arrays ``(m,)``, m >= 2
        The two log densities at the same independent samples of p, in nats.

    Returns
    -------
    Estimate
        The integrand is bounded: the standard error is at most ``1 / (2 sqrt(m - 1))``.

    Raises
    ------
    TypeError, ValueError
        As :func:`kl_divergence`.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> es.total_variation(np.log([0.5, 0.5]), np.log([0.25, 1.0])).value
    0.25
    """
    log_p, log_q = _pair(log_p, log_q)
    return _mean(-np.expm1(np.minimum(log_q - log_p, 0.0)))


def hellinger(log_p: Numbers, log_q: Numbers) -> Estimate:
    """Estimate the squared Hellinger distance ``1 - int sqrt(p q)``, in [0, 1].

    Parameters
    ----------
    log_p, log_q : arrays ``(m,)``, m >= 2
        The two log densities at the same independent samples of p, in nats.

    Returns
    -------
    Estimate
        ``int sqrt(p q) = E_p[sqrt(q/p)]``, whose second moment is at most 1: the
        standard error is always finite.

    Raises
    ------
    TypeError, ValueError
        As :func:`kl_divergence`.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> round(es.hellinger(np.log([0.5, 0.5]), np.log([0.125, 0.5])).value, 6)
    0.25
    """
    log_p, log_q = _pair(log_p, log_q)
    return _mean(-np.expm1((log_q - log_p) / 2))


def total_variation_1d(
    log_p: LogDensity,
    log_q: LogDensity,
    low: float,
    high: float,
    *,
    breaks: Sequence[float] = (),
    tolerance: float = 1e-8,
) -> float:
    """Compute ``TV(p, q) = 1/2 int |p - q|`` on a line by adaptive quadrature.

    Parameters
    ----------
    log_p, log_q : callables ``(m,)`` to ``(m,)``
        The two log densities, in nats.
    low, high : numbers
        An interval that holds all but a negligible mass of both.
    breaks : sequence of numbers
        Points (peaks) at which to subdivide first.
    tolerance : positive number
        Absolute error of the result.

    Returns
    -------
    float

    Raises
    ------
    ArithmeticError
        If the tolerance is not reached.
    TypeError, ValueError
        For bad numbers, or unless ``low < high``.

    Examples
    --------
    >>> import empirical_score as es
    >>> p, q = (lambda x: 0 * x), (lambda x: 0 * x - 1e9 * (x > 0.5))
    >>> round(es.total_variation_1d(p, q, 0, 1, breaks=[0.5]), 6)
    0.25
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
