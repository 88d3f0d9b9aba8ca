"""Noised rows to train on: drawn anew at every step, or noised once and kept."""

import math

import numpy as np

from .._support.arrays import (
    as_count,
    as_points,
    as_positive_number,
    as_real,
    as_sigma,
    like,
)
from .._support.draws import normal, uniform

__all__ = ["fixed_rows", "fresh_rows", "noise_levels", "point_target"]


def noise_levels(sigma, rng, reference):
    """Return a function from a count to that many noise levels."""
    if callable(sigma):
        return lambda count: as_sigma(sigma(count, rng), count, reference)
    bounds = as_real(sigma, "sigma")
    if bounds.ndim == 0:
        level = as_positive_number(sigma, "sigma")
        return lambda count: reference.new_full((count,), level)
    low, high = (float(bound) for bound in bounds) if bounds.shape == (2,) else (1, 0)
    if not 0 < low < high < math.inf:
        raise ValueError(
            "sigma must be a positive number, a pair 0 < low < high or a function, "
            f"got {sigma}"
        )
    return lambda count: low * (high / low) ** uniform(rng, (count,), reference)


def fresh_rows(data, level, rng, batch, target):
    """Return a function that noises a batch of data anew: x, sigma, target, weights."""
    count = data.shape[0] if batch is None else as_count(batch, "batch")

    def rows():
        index = _every(data) if batch is None else _some(rng, count, data)
        y, sigma = data[index], level(count)
        x = y + sigma[:, None] * normal(rng, tuple(y.shape), y)
        wanted = _wanted(target, x, sigma, y, index)
        return x, sigma, wanted, y.new_full((count,), 1 / count)

    return rows


def fixed_rows(data, level, rng, batch, target, noise, noise_weights):
    """Return a function that gives rows noised once: all of them, or a batch."""
    n, d = data.shape
    if isinstance(noise, (int, np.integer)):
        count = as_count(noise, "noise")
        z = normal(rng, (n * count, d), data)
    else:
        z = like(as_points(noise, "noise", d), data)
        count = z.shape[0]
        z = z.repeat(n, 1)
    weights = np.full(count, 1 / count) if noise_weights is None else noise_weights
    weights = like(as_real(weights, "noise_weights"), data)
    if tuple(weights.shape) != (count,):
        raise ValueError(
            f"noise_weights must have shape ({count},), one for each row of noise, "
            f"got {tuple(weights.shape)}"
        )
    as_points(weights[:, None], "noise_weights")  # refuses NaN
    index = _every(data).repeat_interleave(count)
    y, sigma = data[index], level(n * count)
    x = y + sigma[:, None] * z
    every = x, sigma, _wanted(target, x, sigma, y, index), weights.repeat(n) / n
    if batch is None:
        return lambda: every
    batch = as_count(batch, "batch")

    def rows():
        chosen = _some(rng, batch, x)
        x_, sigma_, wanted, weight = (part[chosen] for part in every)
        return x_, sigma_, wanted, weight * (n * count / batch)

    return rows


def point_target(target):
    """Return the target as a function of ``(x, sigma, index)``, None for a score."""
    named = (getattr(target, name, None) for name in ("target", "aim"))
    return next(filter(callable, named), None)


def _wanted(target, x, sigma, y, index):
    if target is None:
        return y
    of_points = point_target(target)
    if of_points:
        return like(of_points(x, sigma, index), x).detach()
    return like(target.denoise(x, sigma), x).detach()


def _every(rows):
    return rows.new_ones(rows.shape[0]).cumsum(0).long() - 1


def _some(rng, count, rows):
    total = rows.shape[0]
    return (uniform(rng, (count,), rows) * total).long().clamp(max=total - 1)
