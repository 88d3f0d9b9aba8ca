"""A smoothed score on a line that can be solved: Chen's ramp between training points.

With ``c = kappa sigma`` the denoiser is a training point within ``c`` of it (the
*collar*) and a straight ramp in between.  For a gap with midpoint m and half gap h > c,

    D(x, sigma) = m + h clip((x - m) / (h - c), -1, 1),    score = (D - x) / sigma^2,

and the nearest training point where ``c >= h``.  ``kappa = 0`` interpolates everywhere
(D is x itself between the points); ``kappa = inf`` is the nearest-point limit of the
exact score.  The probability-flow ODE of this score has a closed form, and so has the
law at its end: atoms on the training points and a density between them.
"""

import numpy as np
from scipy.special import erfcx, ndtr

from .._support.arrays import (
    array_namespace,
    as_number,
    as_points,
    as_positive_number,
    as_real,
    like,
)
from ..distributions.densities import Gaussian, GaussianMixture
from ..distributions.score import Score, check_end_level
from ..exact.score import EmpiricalScore

__all__ = ["RampScore", "TerminalLaw", "ramp_loss"]


class RampScore(Score):
    """The piecewise-linear smoothed score of points on a line, ``score(x, sigma)``.

    Parameters
    ----------
    points : array ``(n, 1)``
        Training points in any order.  Repeated points count once: the nearest-point
        limit does not see how often a point occurs.
    kappa : number, at least 0, may be infinite
        Half width of the collars in units of ``sigma``.

    Attributes
    ----------
    points : ``(n,)``, sorted;  midpoints, half_gaps : ``(n - 1,)``

    In all methods ``x`` is ``(m, 1)`` and ``sigma`` a positive number or ``(m,)``; the
    result has the kind, device and precision of ``x``.  There is no ``log_density``:
    for different ``sigma`` these scores do not belong to one noised law.

    Raises
    ------
    TypeError, ValueError
        For points, ``x`` or ``sigma`` of a wrong type or shape, empty, NaN, infinite;
        for a negative or NaN ``kappa``.

    Notes
    -----
    Chen (2026), with two points and a collar ``delta_t = kappa sqrt(t)``,
    ``t = sigma^2``; the form for any spacing is the same rule gap by gap.
    """

    dimension = 1

    def __init__(self, points, kappa):
        given = like(as_points(points, "points", 1), np.empty(0))[:, 0]
        self.points = np.unique(given)
        self.kappa = as_number(kappa, "kappa")
        if not self.kappa >= 0:
            raise ValueError(f"kappa must be at least 0, got {self.kappa}")
        self.half_gaps = np.diff(self.points) / 2
        self.midpoints = self.points[:-1] + self.half_gaps

    def denoise(self, x, sigma):
        """Return ``D(x, sigma)``: a point, or a clipped linear ramp, ``(m, 1)``.

        A place exactly between two points whose collars meet gives their midpoint.
        """
        gap = self._locate(x, sigma)
        xp = array_namespace(gap.x)
        ramp = gap.middle + gap.offset * (gap.half / gap.room)
        return xp.where(gap.on_ramp, ramp, gap.nearest)[:, None]

    def flow(self, x, sigma, sigma_end=0.0):
        """Return where the probability-flow ODE takes ``x``, exactly, ``(m, 1)``.

        ``dx/dsigma = (x - D) / sigma`` from ``sigma`` down to ``sigma_end >= 0``.  On a
        ramp ``(x - m) / (h - kappa sigma)`` is constant, elsewhere ``(x - y) / sigma``
        with y the nearest point: straight lines in the plane of ``(x, sigma)``.  At
        ``sigma_end = 0`` it is the denoiser.
        """
        gap = self._locate(x, sigma)
        xp = array_namespace(gap.x)
        end = check_end_level(sigma_end, gap.sigma)
        left = gap.half - self._collar(end)
        ramp = gap.middle + gap.offset * (left / gap.room)
        side = gap.nearest + (gap.x - gap.nearest) * (end / gap.sigma)
        return xp.where(gap.on_ramp, ramp, side)[:, None]

    def kinks(self, sigma):
        """Return the places and sizes of the changes of slope, two arrays ``(k,)``.

        ``score(x) = -(x - y_1) / sigma^2 + sum_i size_i max(x - place_i, 0)``: a
        two-layer ReLU network, with k = 2 (n - 1).  The sum of the absolute sizes is
        the total variation of the slope.  Raises ``ValueError`` if a gap is closed,
        ``kappa sigma >= h``, where the score jumps.
        """
        sigma = as_positive_number(sigma, "sigma")
        collar, half = self._collar(sigma), self.half_gaps
        if np.any(collar >= half):
            raise ValueError(
                f"sigma={sigma:g} closes a gap: kappa sigma={collar:g} must be below "
                f"the smallest half gap, {half.min():g}"
            )
        places = self.points[:-1] + collar, self.points[1:] - collar
        size = half / (half - collar) / sigma**2
        return np.stack(places, 1).ravel(), np.stack([size, -size], 1).ravel()

    def switch_levels(self):
        """Return for each gap the level at which to switch to the ramp, ``(n - 1,)``.

        At ``sigma = h (sqrt(kappa^2 + 4) - kappa) / 2`` the ramp is as steep in the
        middle of the gap as the exact denoiser of its two points, and is still open:
        ``(sigma / h)^2 = 1 - kappa sigma / h``.
        """
        # The usual form of the root would cancel for large kappa.
        return self.half_gaps * 2 / (np.hypot(self.kappa, 2.0) + self.kappa)

    def terminal_law(self, start, sigma):
        """Return the law at level 0 of the flow from ``start``: a :class:`TerminalLaw`.

        ``start`` is the law of x at level ``sigma``: a Gaussian, GaussianMixture or
        EmpiricalScore on a line, which is taken *with noise of level sigma*, or any
        object with ``cdf`` and ``pdf`` of x itself (scipy's distributions).
        """
        sigma = as_positive_number(sigma, "sigma")
        return TerminalLaw(self.points, self._collar(sigma), *_noised(start, sigma))

    def _shift(self, x, sigma):
        gap = self._locate(x, sigma)
        xp = array_namespace(gap.x)
        ramp = gap.offset * (gap.collar / gap.room)
        return xp.where(gap.on_ramp, ramp, gap.nearest - gap.x)[:, None]

    def _collar(self, sigma):
        # inf * 0 would be NaN; at level 0 there is no collar left.
        return self.kappa * sigma if sigma > 0 else 0.0

    def _locate(self, x, sigma):
        return _Gap(self, *self._arguments(x, sigma))


class _Gap:
    """Where each x lies: its gap, the nearest point, and whether on a ramp, ``(m,)``.

    Off the ramps ``collar`` is 0 and ``room``, which is ``h - c`` on them, is 1.
    """

    def __init__(self, ramp, x, sigma):
        xp = array_namespace(x)
        # A sum of one column is dense; torch warns about looking up a strided one.
        self.x, self.sigma = xp.sum(x, axis=1), sigma
        points = ramp.points if ramp.points.size > 1 else np.repeat(ramp.points, 2)
        points = like(points, x)
        index = xp.searchsorted(points[1:-1], self.x)
        lower, upper = points[index], points[index + 1]
        self.half = (upper - lower) / 2
        self.middle = lower + self.half
        self.offset = self.x - self.middle
        collar = ramp.kappa * sigma
        self.on_ramp = xp.abs(self.offset) < self.half - collar
        self.collar = xp.where(self.on_ramp, collar, 0 * sigma)
        self.room = xp.where(self.on_ramp, self.half - collar, 1 + 0 * sigma)
        right = xp.where(self.offset > 0, upper, self.middle)
        self.nearest = xp.where(self.offset < 0, lower, right)


class TerminalLaw:
    """Atoms on the points and a density between them, where a ramp's flow ends.

    Attributes
    ----------
    atoms : ``(n,)``, the masses on the points
    gap_masses : ``(n - 1,)``, the masses between neighbors
    memorized : the sum of the atoms

    A start density p in a gap with ``rho = collar / h < 1`` comes out magnified,
    ``(1 - rho) p(m + (1 - rho)(x - m))``; a gap with ``rho >= 1`` comes out empty.
    """

    def __init__(self, points, collar, cdf, pdf):
        self.points, self._cdf, self._pdf = points, cdf, pdf
        half = np.diff(points) / 2
        self._middle = points[:-1] + half
        self._scale = np.maximum(1 - collar / half, 0.0)
        reach = self._scale * half
        low = cdf(np.append(self._middle - reach, np.inf))
        high = cdf(np.append(-np.inf, self._middle + reach))
        self.atoms = low - high
        self.gap_masses = high[1:] - low[:-1]
        if points.size == 1:  # one empty gap, so that every place has a gap
            self._middle, self._scale = points, np.zeros(1)

    @property
    def memorized(self):
        """The probability of ending on a training point."""
        return float(np.sum(self.atoms))

    def density(self, x):
        """Return the density between the points, without the atoms, shape ``(m,)``."""
        places, inside, gap = self._find(x)
        scale = self._scale[gap]
        value = scale * self._pdf(self._source(places, gap))
        return like(np.where(inside, value, 0.0), as_points(x, "x", 1))

    def cdf(self, x):
        """Return the probability of ending at ``x`` or to its left, shape ``(m,)``."""
        places, inside, gap = self._find(x)
        value = np.where(places < self.points[0], 0.0, 1.0)
        value = np.where(inside, self._cdf(self._source(places, gap)), value)
        return like(value, as_points(x, "x", 1))

    def _find(self, x):
        places = like(as_points(x, "x", 1), np.empty(0))[:, 0]
        gap = np.searchsorted(self.points, places, side="right") - 1
        last = self.points.size - 1
        inside = (gap >= 0) & (gap < last)
        return places, inside, np.clip(gap, 0, max(last - 1, 0))

    def _source(self, places, gap):
        """Where on the line at the start level the flow to ``places`` began."""
        return self._middle[gap] + self._scale[gap] * (places - self._middle[gap])


def ramp_loss(kappa):
    """Return ``E[(z + kappa)^2; z < -kappa]``, z standard normal, shape of ``kappa``.

    The loss ``sigma^2 E|score - exact score|^2`` that one ramp beside a training point
    costs as ``sigma -> 0`` (Chen's ``L_t``, ``t = sigma^2``): 1/2 at kappa 0, falling
    to 0.  Two points have one ramp each; n equally spaced ones ``2 (n - 1) / n`` on
    average.
    """
    kappa = like(as_real(kappa, "kappa"), np.empty(0))
    if not np.all(kappa >= 0):
        raise ValueError("kappa must be at least 0 and not NaN")
    k = np.minimum(kappa, 40.0)  # exp(-800) is 0 already
    mills = np.sqrt(np.pi / 2) * erfcx(k / np.sqrt(2))  # Phi(-k) / phi(k)
    loss = ((1 + k**2) * mills - k) * np.exp(-(k**2) / 2) / np.sqrt(2 * np.pi)
    return loss if loss.ndim else float(loss)


def _noised(start, sigma):
    """Return cdf and pdf of ``start`` at level ``sigma``, functions of ``(m,)``."""
    if all(callable(getattr(start, name, None)) for name in ("cdf", "pdf")):
        return start.cdf, start.pdf
    if not isinstance(start, EmpiricalScore | GaussianMixture | Gaussian):
        raise TypeError(
            "start must be a Gaussian, GaussianMixture or EmpiricalScore on a line, or "
            f"have cdf and pdf, got {type(start).__name__}"
        )
    if start.dimension != 1:
        raise ValueError(
            f"start must be a law on a line, got {start.dimension} columns"
        )
    if isinstance(start, EmpiricalScore):
        means, variances = like(start.data, np.empty(0))[:, 0], 0.0
        weights = np.full(means.shape, 1 / means.size)
    else:
        parts = getattr(start, "components", [start])
        means = np.array([part.mean[0] for part in parts])
        variances = np.array([part.variances[0] for part in parts])
        weights = getattr(start, "component_weights", np.ones(1))
    scale = np.sqrt(variances + sigma**2)

    def standard(x):
        return (np.asarray(x)[..., None] - means) / scale

    def pdf(x):
        return np.exp(-(standard(x) ** 2) / 2) / np.sqrt(2 * np.pi) @ (weights / scale)

    return lambda x: ndtr(standard(x)) @ weights, pdf
