"""Random numbers out of an explicit generator, alike for NumPy, torch and devices."""

import sys

import numpy as np

from .arrays import array_namespace, device, like


def require_generator(rng):
    """Raise ``TypeError`` unless ``rng`` is a ``numpy.random.Generator``."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            "rng must be a numpy.random.Generator (numpy.random.default_rng(seed)), "
            f"got {type(rng).__name__}"
        )


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
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(rng, torch.Generator):
        draw = getattr(torch, torch_function)
        numbers = draw(shape, generator=rng, dtype=torch.float64, device=rng.device)
        return like(numbers, reference)
    raise TypeError(
        "rng must be a numpy.random.Generator (numpy.random.default_rng(seed)) "
        f"or a torch.Generator, got {type(rng).__name__}"
    )
