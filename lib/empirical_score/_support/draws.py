"""Random numbers out of an explicit generator, alike for NumPy, torch and devices."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np

from .arrays import array_namespace, device, like
from .types import NumpyRng, Rng

if TYPE_CHECKING:
    import torch

__all__ = ["as_generator", "as_numpy_generator", "choose", "normal", "uniform"]

_EXPECTED = "rng must be a numpy.random.Generator (numpy.random.default_rng(seed))"


def as_generator(rng: Rng) -> np.random.Generator | torch.Generator:
    """Return ``rng`` as one generator: itself, or a NumPy one of an int seed.

    A function makes the generator once, before its first draw: an int that went on
    to several draws would give each of them the same numbers.

    Parameters
    ----------
    rng : numpy.random.Generator, torch.Generator or int
        An int is a seed of at least 0, of which ``numpy.random.default_rng`` makes a
        generator.

    Returns
    -------
    numpy.random.Generator or torch.Generator

    Raises
    ------
    TypeError
        For anything else: None is no seed, since results could not be repeated.
    ValueError
        For a negative seed.
    """
    if _is_torch_generator(rng):
        return rng
    return _numpy_generator(rng, ", a torch.Generator or an int seed")


def as_numpy_generator(rng: NumpyRng | None) -> np.random.Generator:
    """Return ``rng`` as :func:`as_generator` does, and refuse a torch generator."""
    return _numpy_generator(rng, " or an int seed")


def _numpy_generator(rng, others):
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, (int, np.integer)) and not isinstance(rng, bool):
        if rng < 0:
            raise ValueError(f"rng must be a generator or a seed >= 0, got {rng}")
        return np.random.default_rng(int(rng))
    raise TypeError(f"{_EXPECTED}{others}, got {type(rng).__name__}")


def _is_torch_generator(rng):
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(rng, torch.Generator)


def normal(rng, shape, reference):
    """Draw standard normals of ``shape`` in the kind and on the device of another.

    A ``numpy.random.Generator`` gives the same numbers for NumPy, torch and any
    device; a ``torch.Generator`` draws on its own device.
    """
    return _draw(rng, shape, reference, "standard_normal", "randn")


def uniform(rng, shape, reference):
    """Draw uniform numbers in [0, 1), as :func:`normal` draws normals."""
    return _draw(rng, shape, reference, "random", "rand")


def choose(rng, weights):
    """Draw one column index for each row of ``weights`` (rows sum to one)."""
    xp = array_namespace(weights)
    # In float32 the sum of many weights would favor some points by percents.
    weights = xp.astype(weights, xp.float64, copy=False)
    cumulative = xp.cumulative_sum(weights, axis=1)
    # Rounding may leave the last cumulative weight a little below one.
    target = uniform(rng, (weights.shape[0], 1), weights) * cumulative[:, -1:]
    index = xp.sum(xp.astype(cumulative <= target, xp.int64), axis=1)
    return xp.minimum(index, xp.asarray(weights.shape[1] - 1, device=device(index)))


def _draw(rng, shape, reference, numpy_method, torch_function):
    if isinstance(rng, np.random.Generator):
        return like(getattr(rng, numpy_method)(shape), reference)
    if _is_torch_generator(rng):
        torch = sys.modules["torch"]
        draw = getattr(torch, torch_function)
        numbers = draw(shape, generator=rng, dtype=torch.float64, device=rng.device)
        return like(numbers, reference)
    # A seed too: it is for the caller to make one generator of it for all its draws.
    raise TypeError(f"{_EXPECTED} or a torch.Generator, got {type(rng).__name__}")
