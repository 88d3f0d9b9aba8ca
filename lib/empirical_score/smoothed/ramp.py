"""A smoothed score on a line that can be solved: Chen's ramp between training points.

With ``c = kappa sigma`` the denoiser is a training point within ``c`` of it (the
*collar*) and a straight ramp in between.  For a gap with midpoint m and half gap h > c,

    D(x, sigma) = m + h clip((x - m) / (h - c), -1, 1),    score = (D - x) / sigma^2,

and the nearest training point where ``c >= h``.  ``kappa = 0`` interpolates everywhere
(D is x itself between the points); ``kappa = inf`` is the nearest-point limit of the
exact score.  The probability-flow ODE of this score has a closed form, and so has the
distribution at its end: atoms on the training points and a density between them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

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
from .._support.show import described
from .._support.types import Array, Level, Numbers, Points
from ..distributions.densities import Gaussian, GaussianMixture
from ..distributions.score import Score, check_end_level
from ..exact.score import EmpiricalScore

__all__ = ["RampScore", "TerminalLaw", "ramp_loss"]


class HasCdf(Protocol):
    """A distribution on a line, such as those of ``scipy.stats``."""

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """Return the probability of ``x`` and what lies left of it."""
        ...

    def pdf(self, x: np.ndarray) -> np.ndarray:
        """Return the density."""
        ...


class RampScore(Score):
    """A piecewise-linear smoothed score of points on a line: Chen's ramp.

    With ``c = kappa sigma``, in a gap with midpoint m and half width ``h > c``,

        D(x, sigma) = m + h clip((x - m) / (h - c), -1, 1),
        score(x, sigma) = (D(x, sigma) - x) / sigma^2,

    and D is the nearest training point where ``c >= h``.

    In all methods ``x`` is ``(m, 1)`` and ``sigma`` a positive number or ``(m,)``; the
    result has the kind, device and precision of ``x``.  There is no ``log_density``:
    for different ``sigma`` these scores do not belong to one noised distribution.

    Parameters
    ----------
    points : array ``(n, 1)``
        Training points in any order.  Repeated points count once: the nearest-point
        limit does not see how often a point occurs.
    kappa : number, at least 0, may be infinite
        Half width of the collars around the points, in units of ``sigma``.

    Attributes
    ----------
    points : array ``(n,)``
        The points, sorted.
    midpoints, half_gaps : arrays ``(n - 1,)``
        The middle and half the width of each gap between neighbors.

    Raises
    ------
    TypeError, ValueError
        For points, ``x`` or ``sigma`` of a wrong type or shape, empty, NaN, infinite;
        for a negative or NaN ``kappa``.

    Notes
    -----
    Chen (2026), with two points and a collar ``delta_t = kappa sqrt(t)``,
    ``t = sigma^2``; the form for any spacing is the same rule gap by gap.  ``def-ramp``
    and ``prop-three-readings`` in the book.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> ramp = es.RampScore([[-1.0], [1.0]], kappa=1.0)
    >>> ramp.denoise(np.array([[0.2], [0.9]]), 0.5)  # collars of half width 0.5
    array([[0.4],
           [1. ]])
    >>> ramp
    RampScore(n=2, kappa=1.0)
    """

    dimension = 1

    def __init__(self, points: Points, kappa: float) -> None:
        given = like(as_points(points, "points", 1), np.empty(0))[:, 0]
        self.points = np.unique(given)
        self.kappa = as_number(kappa, "kappa")
        if not self.kappa >= 0:
            raise ValueError(f"kappa must be at least 0, got {self.kappa}")
        self.half_gaps = np.diff(self.points) / 2
        self.midpoints = self.points[:-1] + self.half_gaps

    def __repr__(self):
        return described(self, n=self.points.size, kappa=self.kappa)

    def denoise(self, x: Points, sigma: Level) -> Array:
        """Return the denoiser ``D(x, sigma)``: a point, or a clipped linear ramp.

        A place exactly between two points whose collars meet gives their midpoint.

        Parameters
        ----------
        x : array ``(m, 1)``
            Noised points, in units of the data.
        sigma : positive number or array ``(m,)``
            Noise level, in units of the data.

        Returns
        -------
        array ``(m, 1)``
        """
        gap = self._locate(x, sigma)
        xp = array_namespace(gap.x)
        ramp = gap.middle + gap.offset * (gap.half / gap.room)
        return xp.where(gap.on_ramp, ramp, gap.nearest)[:, None]

    def flow(self, x: Points, sigma: Level, sigma_end: float = 0.0) -> Array:
        """Return where the probability-flow ODE takes ``x``, in closed form.

        ``dx/dsigma = (x - D) / sigma`` from ``sigma`` down to ``sigma_end >= 0``.  On a
        ramp ``(x - m) / (h - kappa sigma)`` is constant, elsewhere ``(x - y) / sigma``
        with y the nearest point: straight lines in the plane of ``(x, sigma)``.  At
        ``sigma_end = 0`` it is the denoiser.

        Parameters
        ----------
        x : array ``(m, 1)``
            Noised points, in units of the data.
        sigma : positive number or array ``(m,)``
            Noise level, in units of the data.
        sigma_end : number, at least 0 and below ``sigma``
            The level at which the flow stops.

        Returns
        -------
        array ``(m, 1)``

        Raises
        ------
        ValueError
            Unless ``0 <= sigma_end < sigma``.

        Notes
        -----
        ``thm-ramp-flow`` in the book.

        Examples
        --------
        >>> import numpy as np, empirical_score as es
        >>> ramp = es.RampScore([[-1.0], [1.0]], kappa=1.0)
        >>> ramp.flow(np.array([[0.2]]), 0.5, 0.25).round(3)
        array([[0.3]])
        """
        gap = self._locate(x, sigma)
        xp = array_namespace(gap.x)
        end = check_end_level(sigma_end, gap.sigma)
        left = gap.half - self._collar(end)
        ramp = gap.middle + gap.offset * (left / gap.room)
        side = gap.nearest + (gap.x - gap.nearest) * (end / gap.sigma)
        return xp.where(gap.on_ramp, ramp, side)[:, None]

    def kinks(self, sigma: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the places and sizes of the changes of the score's slope.

        ``score(x) = -(x - y_1) / sigma^2 + sum_i size_i max(x - place_i, 0)``: a
        two-layer ReLU network, with k = 2 (n - 1).  The sum of the absolute sizes is
        the total variation of the slope.

        Parameters
        ----------
        sigma : positive number
            Noise level, in units of the data.

        Returns
        -------
        places, sizes : arrays ``(k,)``
            In units of the data, and of one over their square.

        Raises
        ------
        ValueError
            If a gap is closed, ``kappa sigma >= h``, where the score jumps.

        Examples
        --------
        >>> import empirical_score as es
        >>> places, sizes = es.RampScore([[-1.0], [1.0]], kappa=1.0).kinks(0.5)
        >>> places, sizes
        (array([-0.5,  0.5]), array([ 8., -8.]))
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

    def switch_levels(self) -> np.ndarray:
        """Return for each gap the noise level at which to switch to the ramp.

        At ``sigma = h (sqrt(kappa^2 + 4) - kappa) / 2`` the ramp is as steep in the
        middle of the gap as the exact denoiser of its two points, and is still open:
        ``(sigma / h)^2 = 1 - kappa sigma / h``.

        Returns
        -------
        array ``(n - 1,)``
            In units of the data.

        Examples
        --------
        >>> import empirical_score as es
        >>> es.RampScore([[0.0], [2.0], [6.0]], kappa=0.0).switch_levels()
        array([1., 2.])
        """
        # The usual form of the root would cancel for large kappa.
        return self.half_gaps * 2 / (np.hypot(self.kappa, 2.0) + self.kappa)

    def terminal_law(
        self, start: Gaussian | GaussianMixture | EmpiricalScore | HasCdf, sigma: float
    ) -> TerminalLaw:
        """Return the distribution in which the flow from ``start`` ends at level 0.

        Parameters
        ----------
        start : Gaussian, GaussianMixture, EmpiricalScore or object with cdf and pdf
            The distribution of x at level ``sigma``: one of the library's on a line,
            which is taken *with noise of level sigma*, or any object with ``cdf`` and
            ``pdf`` of x itself (scipy's distributions).
        sigma : positive number
            Noise level at which the flow starts, in units of the data.

        Returns
        -------
        TerminalLaw

        Raises
        ------
        TypeError, ValueError
            For a start of another kind or not on a line.

        Notes
        -----
        ``thm-ramp-flow`` in the book.

        Examples
        --------
        >>> import empirical_score as es
        >>> ramp = es.RampScore([[-1.0], [1.0]], kappa=1.0)
        >>> end = ramp.terminal_law(es.EmpiricalScore([[-1.0], [1.0]]), 0.5)
        >>> round(end.memorized, 3)
        0.843
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
    """The distribution where a ramp's flow ends: atoms and a density between them.

    A start density p in a gap with ``rho = collar / h < 1`` comes out magnified,
    ``(1 - rho) p(m + (1 - rho)(x - m))``; a gap with ``rho >= 1`` comes out empty.
    :meth:`RampScore.terminal_law` makes it.

    Parameters
    ----------
    points : array ``(n,)``, rising
        The training points, where the atoms are.
    collar : number, at least 0
        Half width of the collars at the start level, in units of the data.
    cdf, pdf : functions ``(m,)`` to ``(m,)``
        Of the distribution at the start level.

    Attributes
    ----------
    atoms : array ``(n,)``
        The masses on the points.
    gap_masses : array ``(n - 1,)``
        The masses between neighbors.
    memorized : float
        The sum of the atoms.

    Notes
    -----
    Chen (2026) for two points; ``thm-ramp-flow`` in the book.

    Examples
    --------
    >>> import empirical_score as es
    >>> ramp = es.RampScore([[-1.0], [1.0]], kappa=1.0)
    >>> end = ramp.terminal_law(es.EmpiricalScore([[-1.0], [1.0]]), 0.5)
    >>> end.atoms.round(2), end.gap_masses.round(2)
    (array([0.42, 0.42]), array([0.16]))
    >>> end
    TerminalLaw(n=2, memorized=0.8427)
    """

    def __init__(
        self,
        points: np.ndarray,
        collar: float,
        cdf: Callable[[np.ndarray], np.ndarray],
        pdf: Callable[[np.ndarray], np.ndarray],
    ) -> None:
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

    def __repr__(self):
        share = round(self.memorized, 4)
        return described(self, n=self.points.size, memorized=share)

    @property
    def memorized(self) -> float:
        """The probability of ending on a training point."""
        return float(np.sum(self.atoms))

    def density(self, x: Points) -> Array:
        """Return the density between the points, without the atoms.

        Parameters
        ----------
        x : array ``(m, 1)``
            Places, in units of the data.

        Returns
        -------
        array ``(m,)``
            In inverse units of the data.

        Examples
        --------
        >>> import numpy as np, empirical_score as es
        >>> ramp = es.RampScore([[-1.0], [1.0]], kappa=1.0)
        >>> end = ramp.terminal_law(es.EmpiricalScore([[-1.0], [1.0]]), 0.5)
        >>> end.density(np.array([[0.0], [2.0]])).round(3)
        array([0.054, 0.   ])
        """
        places, inside, gap = self._find(x)
        scale = self._scale[gap]
        value = scale * self._pdf(self._source(places, gap))
        return like(np.where(inside, value, 0.0), as_points(x, "x", 1))

    def cdf(self, x: Points) -> Array:
        """Return the cumulative distribution: of ending at ``x`` or to its left.

        Parameters
        ----------
        x : array ``(m, 1)``
            Places, in units of the data.

        Returns
        -------
        array ``(m,)``

        Examples
        --------
        >>> import numpy as np, empirical_score as es
        >>> ramp = es.RampScore([[-1.0], [1.0]], kappa=1.0)
        >>> end = ramp.terminal_law(es.EmpiricalScore([[-1.0], [1.0]]), 0.5)
        >>> end.cdf(np.array([[-2.0], [0.0], [1.0]])).round(3)
        array([0. , 0.5, 1. ])
        """
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


def ramp_loss(kappa: Numbers) -> np.ndarray | float:
    """Return the limiting loss of a ramp, ``E[(z + kappa)^2; z < -kappa]``, z normal.

    The loss ``sigma^2 E|score - exact score|^2`` that one ramp beside a training point
    costs as ``sigma -> 0`` (Chen's ``L_t``, ``t = sigma^2``): 1/2 at kappa 0, falling
    to 0.  Two points have one ramp each; n equally spaced ones ``2 (n - 1) / n`` on
    average.

    Parameters
    ----------
    kappa : number or array, at least 0
        Half width of the collar in units of the noise level.

    Returns
    -------
    float or array of the shape of ``kappa``

    Raises
    ------
    ValueError
        For a kappa that is negative or NaN.

    Notes
    -----
    ``(1 + kappa^2) Phi(-kappa) - kappa phi(kappa)``.  Chen (2026); ``thm-ramp-cost`` in
    the book.

    Examples
    --------
    >>> import empirical_score as es
    >>> es.ramp_loss([0.0, 1.0, 2.0]).round(4)
    array([0.5   , 0.0753, 0.0058])
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
            f"start must be a distribution on a line, got {start.dimension} columns"
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
