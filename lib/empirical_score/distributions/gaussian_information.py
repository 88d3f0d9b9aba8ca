"""Information about a Gaussian through Gaussian noise, in closed form (nats)."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

from .._support.arrays import (
    as_positive_number,
)
from .._support.types import Numbers

__all__ = [
    "collapse_level",
    "mutual_information",
    "renyi_information",
    "score_error_constant",
]


def collapse_level(variances: Numbers, n: float) -> float:
    """Compute the noise level at which :func:`mutual_information` equals ``log n``.

    Below it the posterior over n training points of a Gaussian with these variances
    condenses on one of them.

    Parameters
    ----------
    variances : array ``(d,)``
        The eigenvalues of the covariance, in squared units of the data.
    n : number above 1
        Number of training points.

    Returns
    -------
    float
        In units of the data; ``sqrt(v / (n^{2/d} - 1))`` for equal variances v.

    Raises
    ------
    ValueError
        Unless ``n > 1`` and some variance is positive.

    Notes
    -----
    Biroli, Bonnaire, De Bortoli & Mezard (2024); ``prop-collapse-time`` and
    ``prop-collapse-spectral`` in the book.

    Examples
    --------
    >>> import empirical_score as es
    >>> round(es.collapse_level([3.0, 3.0], 4), 6)  # sqrt(3 / (4 - 1))
    1.0
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


def mutual_information(variances: Numbers, sigma: float) -> float:
    """Compute ``I(Y + sigma Z; Y) = 1/2 sum_k log(1 + variances_k / sigma^2)`` in nats.

    Exact for a Gaussian Y, an upper bound for any other distribution with this
    covariance.

    Parameters
    ----------
    variances : array ``(d,)``
        The eigenvalues of the covariance of Y, in squared units of the data.
    sigma : positive number
        Noise level, in units of the data.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        For negative or missing variances, or a bad level.

    Examples
    --------
    >>> import empirical_score as es
    >>> round(es.mutual_information([3.0, 3.0], 1.0), 4)  # log 4
    1.3863
    """
    return float(0.5 * np.sum(np.log1p(signal_to_noise(variances, sigma))))


def renyi_information(variances: Numbers, sigma: float, order: float) -> float:
    """Compute the Renyi divergence of a Gaussian pair from independence, in nats.

    For ``X = Y + sigma Z``, with ``S_k = variances_k / sigma^2``,
    ``rho_k^2 = S_k / (1 + S_k)`` and ``s = order - 1``,

        D_{1+s} = sum_k [1/2 log(1 + S_k) - 1/(2s) log(1 - s^2 rho_k^2)].

    Parameters
    ----------
    variances : array ``(d,)``
        The eigenvalues of the covariance of Y, in squared units of the data.
    sigma : positive number
        Noise level, in units of the data.
    order : positive number
        Order 1 is :func:`mutual_information`.

    Returns
    -------
    float
        Infinite where ``|s| rho_k >= 1`` for some k.

    Raises
    ------
    TypeError, ValueError
        For bad variances, or a level or an order that is not positive and finite.

    Notes
    -----
    Order 2 gives the exact ``n E chi^2(p_hat || p) = exp(D_2) - 1``, that is
    ``prod_k (1 + S_k) - 1`` (``thm-gaussian-constants``).

    Examples
    --------
    >>> import math, empirical_score as es
    >>> round(math.exp(es.renyi_information([3.0, 1.0], 1.0, 2)), 6)  # (1 + 3) (1 + 1)
    8.0
    """
    s = as_positive_number(order, "order") - 1
    snr = signal_to_noise(variances, sigma)
    if s == 0:
        return mutual_information(variances, sigma)
    rest = (1 + (1 - s) * (1 + s) * snr) / (1 + snr)  # 1 - s^2 rho^2, also near 0
    if np.any(rest <= 0):
        return float("inf")
    squares = s * s * snr / (1 + snr)
    small = np.log1p(-np.minimum(squares, 0.5))
    logs = np.where(squares < 0.5, small, np.log(rest))
    return float(0.5 * np.sum(np.log1p(snr) - logs / s))


def score_error_constant(variances: Numbers, sigma: float) -> float:
    """Compute the limit of ``n E |s_hat - s|^2`` over x ~ p_sigma as n grows.

    For a Gaussian, with ``S_k = variances_k / sigma^2``, it is
    ``-d/d(sigma^2) prod_k (1 + S_k) = prod_k (1 + S_k) sum_k S_k / (variances_k +
    sigma^2)``.  For the Ornstein-Uhlenbeck process at time t multiply by ``e^{2t}``.

    Parameters
    ----------
    variances : array ``(d,)``
        The eigenvalues of the covariance, in squared units of the data.
    sigma : positive number
        Noise level, in units of the data.

    Returns
    -------
    float
        In units of one over the data's, squared.

    Raises
    ------
    TypeError, ValueError
        For negative or missing variances, or a bad level.

    Notes
    -----
    ``thm-score-error-identity`` and ``thm-gaussian-constants`` in the book.

    Examples
    --------
    >>> import empirical_score as es
    >>> round(es.score_error_constant([3.0], 1.0), 6)  # (1 + 3) 3 / (3 + 1)
    3.0
    """
    snr = signal_to_noise(variances, sigma)
    with np.errstate(over="ignore"):  # beyond the largest number: infinite
        return float(np.prod(1 + snr) * np.sum(snr / (1 + snr)) / sigma / sigma)


def signal_to_noise(variances, sigma):
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
