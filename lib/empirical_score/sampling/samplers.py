"""Samplers: from noise back to data, driven by any score ``score(x, sigma)``.

For a forward process ``dX = f(X, t) dt + g(t) dB`` with score ``s`` the reverse SDE

    dX = [f - g^2 s] dt + g dB,  time running down,

and the probability-flow ODE ``dx/dt = f - g^2 s / 2`` have the same marginals
(Anderson 1982; Song et al. 2021).  The default process is the variance-exploding one,
in which the levels are the noise levels and the ODE is ``dx/dsigma = -sigma s``.
"""

from __future__ import annotations

from .._support.arrays import array_namespace, as_points
from .._support.draws import as_generator, normal
from .._support.types import Array, Callback, Numbers, Points, Rng, ScoreFunction
from .levels import check_decreasing
from .noise import VarianceExploding
from .process import Process

__all__ = ["sample_ode", "sample_sde"]


def sample_ode(
    score: ScoreFunction,
    x: Points,
    levels: Numbers,
    method: str = "heun",
    *,
    process: Process | None = None,
    trajectory: bool = False,
    callback: Callback | None = None,
) -> Array:
    """Integrate the probability-flow ODE from ``levels[0]`` down to ``levels[-1]``.

    ``dx/dt = f(x, t) - g(t)^2 / 2 grad log p_t(x)``; for the variance-exploding process
    ``dx/dsigma = -sigma score(x, sigma)``.

    Parameters
    ----------
    score : callable ``(x, sigma) -> (m, d)``
        Any score in the convention ``x = y + sigma z``.
    x : array ``(m, d)``
        States at ``levels[0]``.
    levels : sequence of floats, strictly falling
        Noise levels, or the times of ``process``.  The last may be 0; the score is
        never evaluated there.
    method : ``"euler"`` or ``"heun"``
        Order 1, or order 2 with an Euler step into level 0.
    process : VarianceExploding, OrnsteinUhlenbeck or FlowMatching, optional
        Variance-exploding by default.
    trajectory : bool
        Return all states in place of the last.
    callback : callable ``(step, x)``, optional
        Called after every step, for instance to show progress.

    Returns
    -------
    array ``(m, d)``, or ``(len(levels), m, d)`` with ``trajectory``

    Raises
    ------
    TypeError, ValueError
        For levels that do not fall strictly or are negative, or an unknown method.
    FloatingPointError
        If a step leaves the finite numbers.

    Notes
    -----
    Song et al. (2021); Heun's method as in Karras, Aittala, Aila & Laine (2022),
    Algorithm 1 without churn.  ``thm-probability-flow`` in the book.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> levels = es.karras_levels(40, 10.0, 0.01, zero=True)
    >>> x = np.array([[10.0], [-10.0]])
    >>> es.sample_ode(es.EmpiricalScore([[-1.0], [1.0]]), x, levels).round(3)
    array([[ 1.],
           [-1.]])
    """
    process = process or VarianceExploding()
    if method not in ("euler", "heun"):
        raise ValueError(f"method must be 'euler' or 'heun', got {method!r}")

    prepare = getattr(score, "along_path", None)
    if prepare is not None:
        # What all states of a deterministic path share is computed once.
        first = float(check_decreasing(levels)[0])
        score = prepare(process.to_noise_level(as_points(x, "x"), first)[0])

    def step(x, t, s):
        first = process.velocity(score, x, t)
        proposal = x + (s - t) * first
        if method == "euler" or s == 0:
            return proposal
        return x + (s - t) * (first + process.velocity(score, proposal, s)) / 2

    return walk(step, x, levels, trajectory, callback)


def sample_sde(
    score: ScoreFunction,
    x: Points,
    levels: Numbers,
    rng: Rng,
    method: str = "euler",
    *,
    process: Process | None = None,
    trajectory: bool = False,
    callback: Callback | None = None,
) -> Array:
    """Simulate the reverse SDE from ``levels[0]`` down to ``levels[-1]``.

    ``dX = [f - g^2 grad log p_t] dt + g dB``, time running down.

    Parameters
    ----------
    score : callable ``(x, sigma) -> (m, d)``
        Any score in the convention ``x = y + sigma z``.
    x : array ``(m, d)``
        States at ``levels[0]``.
    levels : sequence of floats, strictly falling
        Noise levels, or the times of ``process``; the last may be 0.
    rng : numpy.random.Generator, torch.Generator or int seed
        The only source of randomness.
    method : ``"euler"`` or ``"ancestral"``
        ``"euler"`` (Euler-Maruyama) draws ``x - (t - s) f + v score + sqrt(v) z``,
        with v the variance that the forward process adds from s to t.
        ``"ancestral"`` replaces the data behind ``x`` by the denoiser's one guess
        ``D`` and draws from the exact posterior of that single point,
        ``D + r (x - D) + sigma' sqrt(1 - r) z`` with ``r = (sigma' / sigma)^2``:
        exact for one training point, however few the steps.
    process : VarianceExploding, OrnsteinUhlenbeck or FlowMatching, optional
        Variance-exploding by default.
    trajectory : bool
        Return all states in place of the last.
    callback : callable ``(step, x)``, optional
        Called after every step, for instance to show progress.

    Returns
    -------
    array ``(m, d)``, or ``(len(levels), m, d)`` with ``trajectory``

    Raises
    ------
    TypeError, ValueError
        For levels that do not fall strictly or are negative, an unknown method, or
        what is no generator.
    FloatingPointError
        If a step leaves the finite numbers.

    Notes
    -----
    Anderson (1982); Song et al. (2021); ancestral steps are those of Ho, Jain & Abbeel
    (2020).  ``thm-time-reversal`` in the book.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> score = es.EmpiricalScore([[3.0]])  # one training point
    >>> es.sample_sde(score, np.zeros((2, 1)), [10.0, 1.0, 0.0], 0, "ancestral")
    array([[3.],
           [3.]])
    """
    process = process or VarianceExploding()
    if method not in ("euler", "ancestral"):
        raise ValueError(f"method must be 'euler' or 'ancestral', got {method!r}")
    rng = as_generator(rng)

    def euler(x, t, s):
        variance = process.added_variance(t, s)
        drift = variance * process.score(score, x, t) - (t - s) * process.drift(x, t)
        return x + drift + variance**0.5 * normal(rng, tuple(x.shape), x)

    def ancestral(x, t, s):
        x, sigma = process.to_noise_level(x, t)
        end = float(process.noise_level(s))
        ratio = (end / sigma) ** 2
        mean = x + (1 - ratio) * sigma**2 * score(x, sigma)
        noise = normal(rng, tuple(x.shape), x)
        return float(process.alpha(s)) * (mean + end * (1 - ratio) ** 0.5 * noise)

    step = euler if method == "euler" else ancestral
    return walk(step, x, levels, trajectory, callback)


def walk(step, x, levels, trajectory, callback):
    """Take ``step(x, t, s)`` from level to level; the states, or the last one."""
    levels = [float(level) for level in check_decreasing(levels)]
    x = as_points(x, "x")
    xp = array_namespace(x)
    states = [x]
    for number, (t, s) in enumerate(zip(levels[:-1], levels[1:], strict=True)):
        x = step(x, t, s)
        if not bool(xp.all(xp.isfinite(x))):
            raise FloatingPointError(
                f"the step from level {t:.6g} to {s:.6g} left the finite numbers: "
                "the score is too large there or the step too long"
            )
        if trajectory:
            states.append(x)
        if callback is not None:
            callback(number, x)
    return xp.stack(states) if trajectory else x
