"""The words of the annotations: what an array, a noise level, a generator may be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

if TYPE_CHECKING:  # nothing here imports torch
    import torch

__all__ = [
    "Array",
    "Callback",
    "Denoise",
    "HasLogDensity",
    "Level",
    "LogDensity",
    "Numbers",
    "NumpyRng",
    "Points",
    "Rng",
    "ScoreFunction",
]

Array: TypeAlias = "np.ndarray | torch.Tensor"
"""Real numbers in NumPy or torch."""

Numbers: TypeAlias = "Array | float | Sequence[float] | Sequence[Sequence[float]]"
"""What an array is made of: an array, a number, or lists of numbers."""

Points: TypeAlias = "Array | Sequence[Sequence[float]]"
"""Points as rows: an array ``(n, d)``, or lists of numbers."""

Level: TypeAlias = "Array | float"
"""A noise level: one positive number, or one for each row of ``x``."""

Rng: TypeAlias = "np.random.Generator | torch.Generator | int"
"""A generator of random numbers, or the seed of a NumPy one."""

NumpyRng: TypeAlias = "np.random.Generator | int"
"""A NumPy generator of random numbers, or the seed of one."""

ScoreFunction: TypeAlias = "Callable[[Array, float], Array]"
"""A score ``(x, sigma) -> (m, d)``: every ``Score`` is one."""

LogDensity: TypeAlias = "Callable[[np.ndarray], np.ndarray]"
"""A log density on a line, in nats."""

Denoise: TypeAlias = "Callable[[Array], Array]"
"""A guess of the clean points, ``x -> (m, d)``."""

Callback: TypeAlias = "Callable[[int, Array], object]"
"""What a sampler calls after each step, with its number and the states."""


class HasLogDensity(Protocol):
    """Anything with a log density at every noise level, such as a ``Density``."""

    def log_density(self, x: Array, sigma: Level) -> Array:
        """Return ``log p_sigma(x)``, shape ``(m,)``."""
        ...
