"""Samplers that do not rely on the noise level that the schedule says.

A score without a noise level answers for the level that ``x`` itself implies.  A
sampler that takes its steps from a schedule drifts away from it; what keeps the two
together is a corrector (Song et al. 2021, Algorithm 4) or steps that need no level.
"""

from __future__ import annotations

import math

from .._support.arrays import array_namespace, as_count, as_points, as_positive_number
from .._support.draws import as_generator, normal
from .._support.types import (
    Array,
    Callback,
    Denoise,
    Numbers,
    Points,
    Rng,
    ScoreFunction,
)
from .samplers import walk

__all__ = ["sample_corrected", "sample_fixed_point"]


def sample_corrected(
    score: ScoreFunction,
    x: Points,
    levels: Numbers,
    rng: Rng,
    *,
    predictor: str | None = "sde",
    corrector: str | None = "annealed",
    size: float = 0.16,
    temperature: float = 1.0,
    trajectory: bool = False,
    callback: Callback | None = None,
) -> Array:
    """Sample with a corrector at each level and a predictor to the next.

    From level t to s, with ``v = t^2 - s^2``, the predictors are

        "ode":  x + v/2 score(x, t),
        "sde":  x + v score(x, t) + sqrt(v) z,

    and the corrector before it, with ``h = size t^2`` (``"annealed"``) or
    ``h = 2 (size |z| / |score|)^2`` for each row (``"langevin"``), is

        x + h score(x, t) + sqrt(2 h temperature) z,

    a step of Langevin dynamics at that temperature.

    Parameters
    ----------
    score : callable ``(x, sigma) -> (m, d)``
        Any score in the convention ``x = y + sigma z``.
    x : array ``(m, d)``
        States at ``levels[0]``.
    levels : sequence of floats, strictly falling
        Noise levels, in units of the data; the last may be 0.
    rng : numpy.random.Generator, torch.Generator or int seed
        The only source of randomness.
    predictor : ``"ode"``, ``"sde"`` or None
        The step to the next level.
    corrector : ``"langevin"``, ``"annealed"`` or None
        The step at a level.
    size : positive number
        The ``size`` above.
    temperature : positive number
        1 for Langevin dynamics of the score's own distribution.
    trajectory : bool
        Return all states in place of the last.
    callback : callable ``(step, x)``, optional
        Called after every step, for instance to show progress.

    Returns
    -------
    array ``(m, d)``, or ``(len(levels), m, d)`` with ``trajectory``

    Raises
    ------
    ValueError, TypeError
        For bad levels, an unknown method, or a size or temperature not positive.
    FloatingPointError
        If a step leaves the finite numbers.

    Notes
    -----
    Song et al. (2021), Algorithm 4.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> score, x = es.Gaussian([3.0], 0.0), np.zeros((1, 1))
    >>> es.sample_corrected(
    ...     score, x, [2.0, 0.0], 0, predictor="ode", corrector=None
    ... )  # x + v / 2 score = 0 + 2 * 3 / 4
    array([[1.5]])
    """
    if predictor not in ("ode", "sde", None):
        raise ValueError(f"predictor must be 'ode', 'sde' or None, got {predictor!r}")
    if corrector not in ("langevin", "annealed", None):
        raise ValueError(
            f"corrector must be 'langevin', 'annealed' or None, got {corrector!r}"
        )
    size = as_positive_number(size, "size")
    temperature = as_positive_number(temperature, "temperature")
    rng = as_generator(rng)

    def correct(x, t):
        xp = array_namespace(x)
        slope, noise = score(x, t), normal(rng, tuple(x.shape), x)
        step = size * t**2
        if corrector == "langevin":
            lengths = [xp.sum(v**2, axis=1)[:, None] for v in (noise, slope)]
            step = 2 * size**2 * lengths[0] / lengths[1]
        return x + step * slope + (2 * step * temperature) ** 0.5 * noise

    def step(x, t, s):
        if corrector is not None:
            x = correct(x, t)
        if predictor is None:
            return x
        variance = (t - s) * (t + s)
        if predictor == "ode":
            return x + variance / 2 * score(x, t)
        noise = normal(rng, tuple(x.shape), x)
        return x + variance * score(x, t) + math.sqrt(variance) * noise

    return walk(step, x, levels, trajectory, callback)


def sample_fixed_point(
    denoise: Denoise,
    x: Points,
    steps: int,
    rate: float = 0.2,
    *,
    trajectory: bool = False,
    callback: Callback | None = None,
) -> Array:
    """Repeat ``x <- x + rate (D(x) - x)``: a sampler that never asks for a level.

    With ``D(x) = x + sigma*(x)^2 score(x)``, ``sigma*`` the level that x implies, it
    climbs the log density in steps of the right size; each step shrinks the distance to
    the guess by ``1 - rate``.

    Parameters
    ----------
    denoise : callable ``x -> (m, d)``
        A guess of the clean point, for instance ``UnconditionalScore.denoise``.
    x : array ``(m, d)``
        The states to start from.
    steps : int
        At least 1.
    rate : number in (0, 1]
        The share of the way to the guess that a step takes.
    trajectory : bool
        Return all states in place of the last.
    callback : callable ``(step, x)``, optional
        Called after every step, for instance to show progress.

    Returns
    -------
    array ``(m, d)``, or ``(steps + 1, m, d)`` with ``trajectory``

    Raises
    ------
    ValueError, TypeError
        For a bad ``x``, number of steps or rate.
    FloatingPointError
        If a step leaves the finite numbers.

    Notes
    -----
    The adaptive rule of Zhou, Zhang & Wright (2026).

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> es.sample_fixed_point(lambda x: 0 * x + 8, np.zeros((1, 1)), 3, rate=0.5)
    array([[7.]])
    """
    rate = as_positive_number(rate, "rate")
    if rate > 1:
        raise ValueError(f"rate must be in (0, 1], got {rate}")
    steps = as_count(steps, "steps")
    x = as_points(x, "x")
    xp = array_namespace(x)
    states = [x]
    for number in range(steps):
        x = x + rate * (denoise(x) - x)
        if not bool(xp.all(xp.isfinite(x))):
            raise FloatingPointError(f"step {number} left the finite numbers")
        if trajectory:
            states.append(x)
        if callback is not None:
            callback(number, x)
    return xp.stack(states) if trajectory else x
