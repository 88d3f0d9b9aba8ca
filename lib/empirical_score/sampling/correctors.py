"""Samplers that do not rely on the noise level that the schedule says.

A score without a noise level answers for the level that ``x`` itself implies.  A
sampler that takes its steps from a schedule drifts away from it; what keeps the two
together is a corrector (Song et al. 2021, Algorithm 4) or steps that need no level.
"""

import math

from .._support.arrays import array_namespace, as_count, as_points, as_positive_number
from .._support.draws import normal
from .samplers import walk

__all__ = ["sample_corrected", "sample_fixed_point"]


def sample_corrected(
    score,
    x,
    levels,
    rng,
    *,
    predictor="sde",
    corrector="annealed",
    size=0.16,
    temperature=1.0,
    trajectory=False,
    callback=None,
):
    """Alternate a corrector at each level with a predictor to the next.

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
    x : array ``(m, d)``, states at ``levels[0]``
    levels : sequence of floats, strictly falling noise levels; the last may be 0
    rng : ``numpy.random.Generator`` or ``torch.Generator``
    predictor : ``"ode"``, ``"sde"`` or None
    corrector : ``"langevin"``, ``"annealed"`` or None
    size : positive number, the ``size`` above
    temperature : positive number, 1 for Langevin dynamics of the score's own law
    trajectory, callback : as in :func:`empirical_score.sample_ode`

    Raises
    ------
    ValueError, TypeError
        For bad levels, an unknown method, or a size or temperature not positive.
    FloatingPointError
        If a step leaves the finite numbers.
    """
    if predictor not in ("ode", "sde", None):
        raise ValueError(f"predictor must be 'ode', 'sde' or None, got {predictor!r}")
    if corrector not in ("langevin", "annealed", None):
        raise ValueError(
            f"corrector must be 'langevin', 'annealed' or None, got {corrector!r}"
        )
    size = as_positive_number(size, "size")
    temperature = as_positive_number(temperature, "temperature")

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


def sample_fixed_point(denoise, x, steps, rate=0.2, *, trajectory=False, callback=None):
    """Repeat ``x <- x + rate (D(x) - x)``: a sampler that never asks for a level.

    With ``D(x) = x + sigma*(x)^2 score(x)``, ``sigma*`` the level that x implies, it
    climbs the log density in steps of the right size (the adaptive rule of Zhou, Zhang
    & Wright 2026); each step shrinks the distance to the guess by ``1 - rate``.

    Parameters
    ----------
    denoise : callable ``x -> (m, d)``
        A guess of the clean point, for instance ``UnconditionalScore.denoise``.
    x : array ``(m, d)``
    steps : int, at least 1
    rate : number in (0, 1]
    trajectory : bool
        Return all states, ``(steps + 1, m, d)``, in place of the last, ``(m, d)``.
    callback : callable ``(step, x)``, optional

    Raises
    ------
    ValueError, TypeError
        For a bad ``x``, number of steps or rate.
    FloatingPointError
        If a step leaves the finite numbers.
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
