"""The smoothest denoiser that still fits: total variation of the slope, minimized.

For training points on a line and noise level sigma, with D-hat the exact denoiser and
p-hat the distribution of the noised points, a denoiser D has

    loss       L(D) = (1 / sigma^2) E_{x ~ p-hat} (D(x) - D-hat(x))^2,
    variation  V(D) = total variation of D' = integral of |D''|.

V is what weight decay charges a two-layer ReLU network for D (Savarese, Evron, Soudry &
Srebro 2019).  In Chen's notation t = sigma^2, L is his loss and V = t R.  This module
minimizes V against L, a convex program, and knows closed bounds for the two points -1
and 1 (for half gap h replace sigma by sigma / h: neither L nor V changes).
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import ndtr

from .._support.arrays import as_points, as_positive_number, as_real, like
from .._support.show import described
from .._support.types import Array, Level, Numbers, Points, ScoreFunction
from ..distributions.score import Score
from ..exact.score import EmpiricalScore
from .program import Program, Solution, lasso

__all__ = [
    "SmoothestScore",
    "Solution",
    "dual_certificate",
    "kink_place",
    "lasso",
    "score_loss",
    "variation_bound",
]

_WIDE = 9.0  # standard deviations that count


class SmoothestScore(Score):
    """The denoiser of least total variation of the slope that still fits, on a line.

    At every noise level it minimizes ``L(D) + penalty V(D)``, with the loss
    ``L = E (D - D-hat)^2 / sigma^2`` and the total variation ``V = int |D''|``.

    A score like every other: ``score(x, sigma)`` and ``denoise``, with x ``(m, 1)``;
    each new sigma is solved once, in some hundredths of a second, and kept.

    Parameters
    ----------
    points : array ``(n, 1)``
        Training points in any order; repeated points count as often as they occur.
    penalty : positive number, optional
        Price of a unit of variation: the weight decay of a two-layer ReLU network.
    loss : positive number, optional
        In place of ``penalty``: minimize ``V(D)`` subject to ``L(D) <= loss``.
    step : number
        Spacing of the candidate kinks, in units of sigma, within 8 sigma of a point.

    Raises
    ------
    TypeError, ValueError
        For bad points, x or sigma, and unless exactly one of ``penalty`` and ``loss``
        is given.

    Notes
    -----
    A kinked line on a grid of kinks is linear in its coefficients, and V is the sum of
    their absolute values, so the program is a nonnegative least squares problem
    (``scipy.optimize.nnls``).  Candidates enter only when the dual certificate asks
    for them.  After Chen (2026), who minimizes V under a bound on L;
    ``prop-weight-decay-tv`` and ``thm-kink-law`` in the book.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> score = es.SmoothestScore([[-1.0], [1.0]], loss=0.01)
    >>> found = score.solve(0.3)
    >>> round(found.loss, 4), round(found.lower / found.variation, 2)  # no less will do
    (0.01, 1.0)
    >>> score
    SmoothestScore(n=2, loss=0.01, step=0.05)
    """

    dimension = 1

    def __init__(
        self,
        points: Points,
        penalty: float | None = None,
        *,
        loss: float | None = None,
        step: float = 0.05,
    ) -> None:
        self.points = np.sort(like(as_points(points, "points", 1), np.empty(0))[:, 0])
        if (penalty is None) == (loss is None):
            raise ValueError("give exactly one of penalty and loss")
        name, value = ("loss", loss) if penalty is None else ("penalty", penalty)
        self._aim = name, as_positive_number(value, name)
        self.step = as_positive_number(step, "step")
        self._solutions: dict[float, Solution] = {}

    def __repr__(self):
        name, value = self._aim
        own = {name: value, "step": self.step}
        return described(self, n=self.points.size, **own)

    def solve(self, sigma: float) -> Solution:
        """Return the minimizer at noise level ``sigma``: kinks, costs and a bound.

        Parameters
        ----------
        sigma : positive number
            Noise level, in units of the data.

        Returns
        -------
        Solution
            With ``places`` and ``sizes`` of the kinks ``(k,)``, ``loss``,
            ``variation``, and a lower bound ``lower`` on the variation.
        """
        sigma = as_positive_number(sigma, "sigma")
        if sigma not in self._solutions:
            program = Program(self.points, sigma, self.step)
            name, value = self._aim
            find = program.at_loss if name == "loss" else program.at_penalty
            self._solutions[sigma] = find(value)
        return self._solutions[sigma]

    def denoise(self, x: Points, sigma: Level) -> Array:
        """Return the denoiser ``D(x, sigma)``, ``(m, 1)``."""
        x, sigma = self._arguments(x, sigma)
        places, levels = like(x, np.empty(0)), like(sigma, np.empty(0))
        out = np.empty_like(places)
        for level in np.unique(levels):
            rows = levels == level
            out[rows] = self.solve(level).denoise(places[rows])
        return like(out, x)


def score_loss(score: ScoreFunction, points: Points, sigma: float) -> float:
    """Return the excess denoising score matching loss of a score on a line.

    ``L = sigma^2 E |score(x, sigma) - exact score|^2``, x being a training point with
    noise of level ``sigma``.

    Parameters
    ----------
    score : callable ``(x, sigma) -> (m, 1)``
        Any score.
    points : array ``(n, 1)``
        The training points.
    sigma : positive number
        Noise level, in units of the data.

    Returns
    -------
    float

    Notes
    -----
    By the trapezoidal rule: exact to about 1e-6 for kinked scores.  Chen's (2026)
    ``L_t``, ``t = sigma^2``.

    Examples
    --------
    >>> import empirical_score as es
    >>> ramp = es.RampScore([[-1.0], [1.0]], kappa=1.0)
    >>> round(es.score_loss(ramp, [[-1.0], [1.0]], 0.001), 3)  # near ramp_loss(1.0)
    0.075
    """
    points, sigma = as_points(points, "points", 1), as_positive_number(sigma, "sigma")
    z = np.linspace(-_WIDE, _WIDE, 4001)
    weight = np.exp(-(z**2) / 2)
    x = (like(points, np.empty(0)) + sigma * z).reshape(-1, 1)
    gap = score(x, sigma) - EmpiricalScore(points)(x, sigma)
    squares = np.mean((sigma * gap).reshape(-1, z.size) ** 2, axis=0)
    return float(squares @ weight / weight.sum())


def dual_certificate(x: Numbers, sigma: float) -> Array:
    """Return the dual certificate ``psi(x)`` of the points -1 and 1.

    ``psi(x) = sigma (phi_- - phi_+) - x (Phi_+ - Phi_-)``, with the normal density and
    cdf at ``(x - 1) / sigma`` and ``(x + 1) / sigma``.  It is odd, at most 1 in size,
    and ``psi'' = 2 p-hat (D-hat + s-hat)``, so that the integral of ``psi D''`` is
    ``2 E D (D-hat + s-hat)``: large for every D near the exact denoiser.

    Parameters
    ----------
    x : number or array
        Places, in units of half the gap.
    sigma : positive number
        Noise level, in the same units.

    Returns
    -------
    array of the shape of ``x``

    Notes
    -----
    ``thm-dual-certificate`` in the book.

    Examples
    --------
    >>> import empirical_score as es
    >>> es.dual_certificate([-0.5, 0.0, 0.5], 0.1).round(3) + 0.0
    array([ 0.5,  0. , -0.5])
    """
    x, sigma = as_real(x, "x"), as_positive_number(sigma, "sigma")
    right, left = (x - 1) / sigma, (x + 1) / sigma
    density = (np.exp(-(right**2) / 2) - np.exp(-(left**2) / 2)) / np.sqrt(2 * np.pi)
    return sigma * density - x * (ndtr(left) - ndtr(right))


def variation_bound(sigma: float, loss: Numbers) -> np.ndarray | float:
    """Return a lower bound on the total variation of every denoiser's slope.

    For the points -1 and 1, and every denoiser D of a given loss.

    With ``M = max psi``, ``eta = Var[Y | x] / sigma^2`` on average, and
    ``c = 1 - (1 + sigma^2) eta``,

        V(D) >= (2 / M) sqrt(c) (sqrt(c) - sqrt((1 + sigma^2) L(D))),   or 0.

    Parameters
    ----------
    sigma : positive number
        Noise level, in units of half the gap.
    loss : number or array, at least 0
        ``L(D)``.

    Returns
    -------
    float or array of the shape of ``loss``

    Raises
    ------
    TypeError, ValueError
        For a sigma that is not positive, or a loss below 0 or NaN.

    Notes
    -----
    ``thm-dual-certificate`` in the book, which sharpens a bound of Chen (2026).

    Examples
    --------
    >>> import empirical_score as es
    >>> es.variation_bound(0.1, [0.0, 0.01, 4.0]).round(2)
    array([2.55, 2.3 , 0.  ])
    """
    sigma, loss = as_positive_number(sigma, "sigma"), as_real(loss, "loss")
    if not np.all(loss >= 0):
        raise ValueError("loss must be at least 0 and not NaN")
    peak = minimize_scalar(
        lambda x: -dual_certificate(x, sigma),
        bounds=(-1 - _WIDE * sigma, 0.0),
        method="bounded",
        options={"xatol": 1e-10 * sigma},
    )
    certain = max(0.0, 1 - (1 + sigma**2) * _mean_variance(sigma) / sigma**2)
    fall = np.sqrt(certain) - np.sqrt((1 + sigma**2) * loss)
    bound = np.maximum(0.0, -2 / peak.fun * np.sqrt(certain) * fall)
    return bound if bound.ndim else float(bound)


def kink_place(sigma: Numbers) -> np.ndarray | float:
    """Return where the smoothest denoiser of the points -1 and 1 bends, as sigma falls.

    ``kappa* = sqrt(log(1 / (2 pi sigma^2)))``, where ``phi(kappa*) = sigma``: as sigma
    goes to 0 it bends at this distance from the points, whatever the loss.

    Parameters
    ----------
    sigma : number or array, ``0 < sigma < 1 / sqrt(2 pi) = 0.3989...``
        Noise level, in units of half the gap.

    Returns
    -------
    float or array of the shape of ``sigma``
        In units of sigma.

    Raises
    ------
    ValueError
        For a sigma out of these bounds.

    Notes
    -----
    ``thm-kink-law`` in the book.

    Examples
    --------
    >>> import empirical_score as es
    >>> round(es.kink_place(0.01), 3)
    2.715
    """
    sigma = as_real(sigma, "sigma")
    if not np.all((sigma > 0) & (sigma < 1 / np.sqrt(2 * np.pi))):
        raise ValueError(f"sigma must be between 0 and 0.398, got {sigma}")
    place = np.sqrt(-np.log(2 * np.pi * sigma**2))
    return place if place.ndim else float(place)


def _mean_variance(sigma):
    """``E Var[Y | x] = sigma phi(1/sigma) int exp(-sigma^2 u^2 / 2) / cosh(u) du``.

    The points are -1 and 1; the trapezoidal rule converges exponentially here.
    """
    u = np.linspace(-40, 40, 1601) / max(1.0, sigma)
    area = np.sum(np.exp(-((sigma * u) ** 2) / 2) / np.cosh(u)) * (u[1] - u[0])
    return sigma * np.exp(-0.5 / sigma**2) / np.sqrt(2 * np.pi) * area
