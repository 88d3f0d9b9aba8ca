"""Sequences of noise levels for the samplers, from much noise to little."""

from __future__ import annotations

import numpy as np

from .._support.arrays import (
    as_count,
    as_positive_number,
    as_real,
    like,
)

__all__ = ["check_decreasing", "geometric_levels", "karras_levels"]


def geometric_levels(
    count: int,
    sigma_max: float = 80.0,
    sigma_min: float = 0.002,
    *,
    zero: bool = False,
) -> np.ndarray:
    """Make noise levels that fall by one common factor.

    ``sigma_k = sigma_max (sigma_min / sigma_max)^{k / (count - 1)}``, k from 0.

    Parameters
    ----------
    count : int
        The number of positive levels, at least 2.
    sigma_max, sigma_min : positive numbers
        The first and the last of them, in units of the data.
    zero : bool
        Whether a final level 0 follows.

    Returns
    -------
    array ``(count,)`` or ``(count + 1,)``

    Raises
    ------
    TypeError, ValueError
        Unless ``count >= 2`` and ``sigma_max > sigma_min > 0``.

    Examples
    --------
    >>> import empirical_score as es
    >>> es.geometric_levels(3, 4.0, 1.0, zero=True).round(6)
    array([4., 2., 1., 0.])
    """
    _check_levels(count, sigma_max, sigma_min)
    levels = np.geomspace(sigma_max, sigma_min, count)
    return np.append(levels, 0.0) if zero else levels


def karras_levels(
    count: int,
    sigma_max: float = 80.0,
    sigma_min: float = 0.002,
    *,
    rho: float = 7.0,
    zero: bool = False,
) -> np.ndarray:
    """Make the noise levels of Karras et al. (2022), which crowd toward the end.

    ``sigma_k = (sigma_max^{1/rho} + k/(count-1) (sigma_min^{1/rho} -
    sigma_max^{1/rho}))^rho``, k from 0.

    Parameters
    ----------
    count : int
        The number of positive levels, at least 2.
    sigma_max, sigma_min : positive numbers
        The first and the last of them, in units of the data.
    rho : positive number
        1 is even spacing; the larger, the shorter are the last steps.
    zero : bool
        Whether a final level 0 follows.

    Returns
    -------
    array ``(count,)`` or ``(count + 1,)``

    Raises
    ------
    TypeError, ValueError
        Unless ``count >= 2``, ``sigma_max > sigma_min > 0`` and ``rho > 0``.

    Notes
    -----
    Karras, Aittala, Aila & Laine (2022), equation 5.

    Examples
    --------
    >>> import empirical_score as es
    >>> es.karras_levels(3, 9.0, 1.0, rho=2.0).round(6)
    array([9., 4., 1.])
    """
    _check_levels(count, sigma_max, sigma_min)
    rho = as_positive_number(rho, "rho")
    roots = np.linspace(sigma_max ** (1 / rho), sigma_min ** (1 / rho), count)
    levels = roots**rho
    levels[0], levels[-1] = sigma_max, sigma_min
    return np.append(levels, 0.0) if zero else levels


def check_decreasing(levels, name="levels"):
    """Return ``levels`` as a float64 array; raise unless it falls strictly to >= 0."""
    levels = np.asarray(like(as_real(levels, name), np.empty(0)))
    if levels.ndim != 1 or levels.shape[0] < 2:
        raise ValueError(
            f"{name} must be a sequence of at least two noise levels, "
            f"got shape {levels.shape}"
        )
    if not np.all(np.isfinite(levels)) or levels[-1] < 0:
        raise ValueError(
            f"{name} must be finite and not negative, got {levels[0]} to {levels[-1]}"
        )
    rises = np.flatnonzero(np.diff(levels) >= 0)
    if rises.size:
        before, after = levels[rises[0]], levels[rises[0] + 1]
        raise ValueError(
            f"{name} must fall strictly, from much noise to little, "
            f"got {after} after {before}"
        )
    return levels


def _check_levels(count, sigma_max, sigma_min):
    as_count(count, "count", 2)
    sigma_max = as_positive_number(sigma_max, "sigma_max")
    sigma_min = as_positive_number(sigma_min, "sigma_min")
    if not sigma_max > sigma_min:
        raise ValueError(
            "expected sigma_max > sigma_min > 0, got "
            f"sigma_max={sigma_max}, sigma_min={sigma_min}"
        )
