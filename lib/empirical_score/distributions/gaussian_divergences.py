"""Divergences between two Gaussian distributions, in closed form."""

from __future__ import annotations

import numpy as np

from .gaussian import Gaussian

__all__ = ["gaussian_hellinger", "gaussian_kl", "gaussian_wasserstein"]


def gaussian_hellinger(p: Gaussian, q: Gaussian) -> float:
    """Compute the squared Hellinger distance ``1 - int sqrt(p q)`` of two Gaussians.

    ``int sqrt(p q) = det(C_p)^{1/4} det(C_q)^{1/4} det(C)^{-1/2} exp(-|g|_C^2 / 8)``,
    ``C = (C_p + C_q) / 2``, ``|g|_C^2 = (m_p - m_q)^T C^{-1} (m_p - m_q)``.

    Parameters
    ----------
    p, q : Gaussian
        Of the same dimension.

    Returns
    -------
    float
        In [0, 1]; 1 if one of them is singular.

    Raises
    ------
    TypeError, ValueError
        For other distributions, or dimensions that differ.

    Examples
    --------
    >>> import empirical_score as es
    >>> round(es.gaussian_hellinger(es.Gaussian([0.0]), es.Gaussian([2.0])), 4)
    0.3935
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


def gaussian_kl(p: Gaussian, q: Gaussian) -> float:
    """Compute ``KL(p || q)`` of two Gaussians in nats.

    ``1/2 [tr(C_q^{-1} C_p) - d + (m_p - m_q)^T C_q^{-1} (m_p - m_q)
    + log det C_q - log det C_p]``.

    Parameters
    ----------
    p, q : Gaussian
        Of the same dimension.

    Returns
    -------
    float
        Infinite where p is not absolutely continuous with respect to q, or singular.

    Raises
    ------
    TypeError, ValueError
        For other distributions, or dimensions that differ.

    Examples
    --------
    >>> import empirical_score as es
    >>> round(es.gaussian_kl(es.Gaussian([0.0]), es.Gaussian([2.0])), 6)
    2.0
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


def gaussian_wasserstein(p: Gaussian, q: Gaussian) -> float:
    """Compute the 2-Wasserstein distance of two Gaussians, in units of the data.

    ``W_2^2 = |m_p - m_q|^2 + tr(C_p + C_q - 2 (C_p^{1/2} C_q C_p^{1/2})^{1/2})``.

    Parameters
    ----------
    p, q : Gaussian
        Of the same dimension.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        For other distributions, or dimensions that differ.

    Notes
    -----
    Gelbrich (1990).

    Examples
    --------
    >>> import empirical_score as es
    >>> p, q = es.Gaussian([0.0, 0.0]), es.Gaussian([3.0, 4.0])
    >>> round(es.gaussian_wasserstein(p, q), 6)
    5.0
    """
    _same_dimension(p, q)
    values, axes = np.linalg.eigh(p.cov)
    root = axes * np.sqrt(np.clip(values, 0, None)) @ axes.T
    cross = np.linalg.eigvalsh(root @ q.cov @ root)
    trace = np.sum(p.variances) + np.sum(q.variances)
    trace -= 2 * np.sum(np.sqrt(np.clip(cross, 0, None)))
    return float(np.sqrt(max(0.0, np.sum((p.mean - q.mean) ** 2) + trace)))


def _same_dimension(p, q):
    for distribution, name in ((p, "p"), (q, "q")):
        if not isinstance(distribution, Gaussian):
            raise TypeError(
                f"{name} must be a Gaussian, got {type(distribution).__name__}"
            )
    if p.dimension != q.dimension:
        raise ValueError(
            f"p and q must share their dimension, got {p.dimension} and {q.dimension}"
        )
