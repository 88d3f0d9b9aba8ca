"""Samplers: from noise back to data, driven by any score ``score(x, sigma)``.

For a forward process ``dX = f(X, t) dt + g(t) dB`` with score ``s`` the reverse SDE

    dX = [f - g^2 s] dt + g dB,  time running down,

and the probability-flow ODE ``dx/dt = f - g^2 s / 2`` have the same marginals
(Anderson 1982; Song et al. 2021).  The default process is the variance-exploding one,
in which the levels are the noise levels and the ODE is ``dx/dsigma = -sigma s``.
"""

from .._support.arrays import array_namespace, as_points
from .._support.draws import normal
from .noise import VarianceExploding, check_decreasing

__all__ = ["sample_ode", "sample_sde"]


def sample_ode(
    score, x, levels, method="heun", *, process=None, trajectory=False, callback=None
):
    """Integrate the probability-flow ODE from ``levels[0]`` down to ``levels[-1]``.

    Parameters
    ----------
    score : callable ``(x, sigma) -> (m, d)``
        Any score in the convention ``x = y + sigma z``.
    x : array ``(m, d)``
        States at ``levels[0]``.
    levels : sequence of floats, strictly falling
        Noise levels, or the times of ``process``.  The last may be 0; the score is
        never evaluated there.
    method : ``"euler"`` (order 1) or ``"heun"`` (order 2; Euler into level 0)
        Karras, Aittala, Aila & Laine (2022), Algorithm 1 without churn.
    process : a process of ``empirical_score.sampling.noise``, optional
        Variance-exploding by default.
    trajectory : bool
        Return all states, ``(len(levels), m, d)``, in place of the last, ``(m, d)``.
    callback : callable ``(step, x)``, optional
        Called after every step, for instance to show progress.

    Raises
    ------
    ValueError
        For levels that do not fall strictly or are negative, or an unknown method.
    FloatingPointError
        If a step leaves the finite numbers.
    """
    process = process or VarianceExploding()
    if method not in ("euler", "heun"):
        raise ValueError(f"method must be 'euler' or 'heun', got {method!r}")

    prepare = getattr(score, "starting_from", None)
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
    score,
    x,
    levels,
    rng,
    method="euler",
    *,
    process=None,
    trajectory=False,
    callback=None,
):
    """Simulate the reverse SDE from ``levels[0]`` down to ``levels[-1]``.

    Parameters are those of :func:`sample_ode`, and

    rng : ``numpy.random.Generator`` or ``torch.Generator``
        The only source of randomness.
    method : ``"euler"`` or ``"ancestral"``
        ``"euler"`` (Euler-Maruyama) draws ``x - (t - s) f + v score + sqrt(v) z``,
        with v the variance that the forward process adds from s to t.
        ``"ancestral"`` replaces the data behind ``x`` by the denoiser's one guess
        ``D`` and draws from the exact posterior of that single point,
        ``D + r (x - D) + sigma' sqrt(1 - r) z`` with ``r = (sigma' / sigma)^2`` (Ho,
        Jain & Abbeel 2020): exact for one training point, however few the steps.
    """
    process = process or VarianceExploding()
    if method not in ("euler", "ancestral"):
        raise ValueError(f"method must be 'euler' or 'ancestral', got {method!r}")

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
