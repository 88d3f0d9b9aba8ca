"""Smoothing the score itself, or the log density: averages over moved places.

The empirical score averaged over Gaussian perturbations of the place where it is asked,

    s(x, sigma) = sum_i q_i shat(x + tau z_i, sigma),

is the score of the empirical *log* density smoothed by the same kernel.  Draws with
mean zero leave every linear score as it is, and average the denoisers, too.  A kernel
that follows a curve moves x by maps that are not shifts; then each score comes back
through the transposed Jacobian of its map, and the average stays a gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from .._support.arrays import (
    array_namespace,
    as_count,
    as_number,
    as_points,
    as_positive_number,
    as_real,
    as_sigma,
    like,
    row_blocks,
)
from .._support.draws import as_numpy_generator
from .._support.show import described
from .._support.types import Array, Level, Numbers, NumpyRng, Points
from ..distributions.score import Score
from ..exact.score import EmpiricalScore, as_empirical

__all__ = [
    "ConvolvedScore",
    "LogSmoothedScore",
    "SwitchedScore",
    "antithetic_draws",
    "hermite_draws",
    "polar_moves",
    "spiral_draws",
]

Move: TypeAlias = "Callable[[Array], tuple[Array, Callable[[Array], Array]]]"
"""A map of places, with the transpose of its Jacobian."""


class ConvolvedScore(Score):
    """The empirical score convolved with a Gaussian: averaged over moved places.

    With draws ``z_i`` of weights ``q_i`` and mean zero, and the width ``tau``,

        D(x, sigma) = sum_i q_i Dhat(x + tau z_i, sigma) = sum_j w_j y_j,
        w_j = sum_i q_i softmax_j( -|x - y_j|^2 / (2 sigma^2) + tau z_i.y_j / sigma^2 ).

    As sigma falls to 0 it becomes the average of the training points nearest to the
    places ``x + tau z_i``: a barycenter of at most as many points as there are draws.

    Parameters
    ----------
    data : array ``(n, d)`` or EmpiricalScore
        The training points, or their score.
    width : positive number or function of ``sigma``, ``(m,)`` to ``(m,)``
        ``tau``, the standard deviation of the perturbations, in units of the data.
    draws : array ``(k, d)``
        :func:`antithetic_draws`, a Monte Carlo rule, or :func:`hermite_draws` or
        :func:`spiral_draws`.  They are fixed, so the score is a function.
    weights : array ``(k,)``, optional
        Positive numbers; equal by default, and scaled to sum 1.
    memory : int
        Bound, in bytes, on the temporary arrays of one block of rows.

    Raises
    ------
    TypeError, ValueError
        For bad data, x or sigma; for draws whose mean is not zero (their shift would
        be divided by ``sigma^2``), for weights or widths that are not positive.

    Notes
    -----
    Scarvelis, Borde & Solomon (2025).  Which point is nearest to ``x + tau z_i`` is
    decided up to the rounding of x.  ``prop-log-smoothing`` in the book.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> draws, weights = es.smoothers.hermite_draws(3)
    >>> score = es.ConvolvedScore([[-1.0], [1.0]], 0.5, draws, weights=weights)
    >>> score.denoise(np.array([[0.0], [0.2]]), 0.1).round(3) + 0.0
    array([[0.   ],
           [0.667]])
    >>> score
    ConvolvedScore(n=2, dimension=1, width=0.5, draws=3)
    """

    def __init__(
        self,
        data: Points | EmpiricalScore,
        width: float | Callable[[Array], Array],
        draws: Points,
        *,
        weights: Numbers | None = None,
        memory: int = 2**24,
    ) -> None:
        self._base = as_empirical(data)
        self.data, self.dimension = self._base.data, self._base.dimension
        self.width = width if callable(width) else as_positive_number(width, "width")
        draws = like(as_points(draws, "draws", self.dimension), np.empty(0))
        self.weights = _shares(weights, draws.shape[0])
        mean = np.abs(self.weights @ draws).max()
        if mean > 1e-9 * (1 + np.abs(draws).max()):
            raise ValueError(f"draws must have mean zero, got an entry of {mean:.2g}")
        self.draws, self.memory = draws, int(as_positive_number(memory, "memory"))

    def __repr__(self):
        (n, d), count = self.data.shape, self.draws.shape[0]
        return described(self, n=n, dimension=d, width=self.width, draws=count)

    def denoise(self, x: Points, sigma: Level) -> Array:
        """Return the average of the denoisers at the moved places, ``(m, d)``."""
        x, sigma = self._base._arguments(x, sigma)
        return array_namespace(x).concat(
            [weights @ points for weights, points, _ in self._blocks(x, sigma)]
        )

    def mean_weights(self, x: Points, sigma: Level) -> Array:
        """Return the averaged weight of each training point.

        Parameters
        ----------
        x : array ``(m, d)``
            Noised points, in units of the data.
        sigma : positive number or array ``(m,)``
            Noise level, in units of the data.

        Returns
        -------
        array ``(m, n)``
            Each row sums to one.
        """
        x, sigma = self._base._arguments(x, sigma)
        blocks = [weights for weights, _, _ in self._blocks(x, sigma)]
        return array_namespace(x).concat(blocks)

    def _shift(self, x, sigma):
        x, sigma = self._base._arguments(x, sigma)
        return array_namespace(x).concat(
            [
                weights @ points - part
                for weights, points, part in self._blocks(x, sigma)
            ]
        )

    def _blocks(self, x, sigma):
        """Yield averaged weights ``(r, n)``, the points, and their rows of x."""
        xp, n = array_namespace(x), self.data.shape[0]
        points, shares = like(self.data, x), like(self.weights, x)
        tilt = like(self.draws, x) @ (points - xp.mean(points, axis=0)).T
        scale = _widths(self.width, sigma) / sigma**2
        cost = 3 * n * self.draws.shape[0]
        for rows in row_blocks(x.shape[0], cost, self.memory // 8):
            logs = self._base.log_weights(x[rows], sigma[rows])[:, None, :]
            logs = logs + scale[rows][:, None, None] * tilt
            logs = xp.exp(logs - xp.max(logs, axis=2, keepdims=True))
            factor = shares / xp.sum(logs, axis=2)
            yield (factor[:, None, :] @ logs)[:, 0, :], points, x[rows]


class LogSmoothedScore(Score):
    """The gradient of a log density averaged over moved places, along a manifold.

        score(x, sigma) = grad_x sum_i q_i log p_sigma(g_i(x))
                        = sum_i q_i J_i(x)^T s(g_i(x), sigma),   J_i = dg_i/dx.

    Shifts ``g_i(x) = x + tau z_i`` have ``J_i = I``: then it is the convolved score.
    Maps that follow a manifold smooth along it only.

    Parameters
    ----------
    score : a score with ``dimension`` and ``denoise``
    moves : sequence of callables
        ``move(x)`` returns the places ``g(x)``, ``(m, d)``, and a function that takes
        vectors ``(m, d)`` there to ``J(x)^T v``, as :func:`polar_moves` makes them.
    weights : array, optional
        Positive numbers, one for each move; equal by default, and scaled to sum 1.

    Notes
    -----
    Farghly, Potaptchik, Howard, Deligiannidis & Pidstrigach (2025).
    ``prop-log-smoothing`` in the book.

    Raises
    ------
    TypeError, ValueError
        For no moves, weights that are not positive, or a score without a dimension.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> moves = es.smoothers.polar_moves([-np.pi / 2, np.pi / 2])
    >>> score = es.LogSmoothedScore(es.EmpiricalScore([[1.0, 0.0]]), moves)
    >>> score.denoise(np.array([[1.0, 0.0]]), 0.5).round(3) + 0.0
    array([[0., 0.]])
    >>> score
    LogSmoothedScore(EmpiricalScore(n=1, dimension=2, tolerance=None), moves=2)
    """

    def __init__(
        self, score: Score, moves: Sequence[Move], *, weights: Numbers | None = None
    ) -> None:
        self.base, self.dimension = score, as_count(score.dimension, "dimension")
        self.moves = list(moves)
        if not self.moves:
            raise ValueError("moves is empty: give at least one")
        self.weights = _shares(weights, len(self.moves))

    def __repr__(self):
        return described(self, repr(self.base), moves=len(self.moves))

    def _shift(self, x, sigma):
        xp, count, m = array_namespace(x), len(self.moves), x.shape[0]
        moved = [move(x) for move in self.moves]
        places = xp.concat([place for place, _ in moved])
        levels = xp.concat([sigma] * count)
        shift = self.base.denoise(places, levels) - places
        total = 0 * x
        for i, (share, (_, pullback)) in enumerate(
            zip(self.weights, moved, strict=True)
        ):
            total = total + float(share) * pullback(shift[i * m : (i + 1) * m])
        return total


class SwitchedScore(Score):
    """A hybrid score: one above a noise level, and another one at it and below.

    Parameters
    ----------
    above, below : scores with ``dimension`` and ``denoise``
        The score at high and at low noise.
    level : positive number
        The noise level at which they change, in units of the data.

    Raises
    ------
    TypeError, ValueError
        For unequal dimensions, or a level that is not positive.

    Notes
    -----
    The hybrid of Wang & Vastola (2024) is a Gaussian above and the empirical score
    below; a smoother that is meant for low noise has the empirical score above.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> ramp = es.RampScore([[-1.0], [1.0]], 0.0)
    >>> score = es.SwitchedScore(es.EmpiricalScore([[-1.0], [1.0]]), ramp, 0.5)
    >>> score.denoise(np.array([[0.3], [0.3]]), np.array([1.0, 0.1])).round(3)
    array([[0.291],
           [0.3  ]])
    >>> print(score)  # doctest: +NORMALIZE_WHITESPACE
    SwitchedScore(EmpiricalScore(n=2, dimension=1, tolerance=None),
                  RampScore(n=2, kappa=0.0), level=0.5)
    """

    def __init__(self, above: Score, below: Score, level: float) -> None:
        if above.dimension != below.dimension:
            raise ValueError(
                "above and below must have one dimension, got "
                f"{above.dimension} and {below.dimension}"
            )
        self.above, self.below, self.dimension = above, below, above.dimension
        self.level = as_positive_number(level, "level")

    def __repr__(self):
        return described(self, repr(self.above), repr(self.below), level=self.level)

    def denoise(self, x: Points, sigma: Level) -> Array:
        """Return the denoiser that is in charge at each level, ``(m, d)``."""
        x, sigma = self._arguments(x, sigma)
        high = sigma > self.level
        out = 0 * x
        for rows, score in ((high, self.above), (~high, self.below)):
            if bool(array_namespace(x).any(rows)):
                out[rows] = like(score.denoise(x[rows], sigma[rows]), x)
        return out


def antithetic_draws(count: int, dimension: int, rng: NumpyRng) -> np.ndarray:
    """Return antithetic standard normal draws: pairs ``z, -z``, whose mean is zero.

    Parameters
    ----------
    count : int, even
        How many rows.
    dimension : int
        The number ``d`` of columns.
    rng : numpy.random.Generator or int seed
        The only source of randomness.

    Returns
    -------
    array ``(count, dimension)``

    Raises
    ------
    TypeError, ValueError
        For an odd count, or what is no generator.

    Examples
    --------
    >>> import empirical_score as es
    >>> draws = es.smoothers.antithetic_draws(4, 2, 0)
    >>> draws.shape, float(abs(draws.sum()))
    ((4, 2), 0.0)
    """
    rng = as_numpy_generator(rng)
    if as_count(count, "count") % 2:
        raise ValueError(f"count must be even, for pairs z and -z, got {count}")
    half = rng.standard_normal((count // 2, as_count(dimension, "dimension")))
    return np.concatenate([half, -half])


def spiral_draws(count: int) -> np.ndarray:
    """Return places of the plane spread like a standard normal distribution.

    Radii at even quantiles along a spiral that turns by the golden angle, and their
    mirror images: on every line their shadows are spread more evenly than random ones.

    Parameters
    ----------
    count : int, even
        How many places.

    Returns
    -------
    array ``(count, 2)``
        With mean zero.

    Raises
    ------
    TypeError, ValueError
        For an odd count.

    Examples
    --------
    >>> import empirical_score as es
    >>> draws = es.smoothers.spiral_draws(1000)
    >>> (draws.T @ draws / 1000).round(1) + 0.0
    array([[1., 0.],
           [0., 1.]])
    """
    if as_count(count, "count") % 2:
        raise ValueError(f"count must be even, for pairs z and -z, got {count}")
    k = np.arange(count // 2) + 0.5
    radius, turn = np.sqrt(-2 * np.log1p(-2 * k / count)), np.pi * (5**0.5 - 1) * k
    half = radius[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    return np.concatenate([half, -half])


def hermite_draws(order: int, dimension: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights of Gauss-Hermite quadrature for the standard normal.

    Exact for polynomials of degree ``2 order - 1`` in each coordinate.

    Parameters
    ----------
    order : int
        The number of nodes in each coordinate.
    dimension : int
        The number of coordinates.

    Returns
    -------
    nodes : array ``(order^dimension, dimension)``
    weights : array ``(order^dimension,)``
        They sum to one.

    Examples
    --------
    >>> import empirical_score as es
    >>> nodes, weights = es.smoothers.hermite_draws(3)
    >>> weights.round(4), float((weights @ nodes**4).round(6)[0])  # E z^4 = 3
    (array([0.1667, 0.6667, 0.1667]), 3.0)
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(as_count(order, "order"))
    dimension = as_count(dimension, "dimension")
    grid = np.meshgrid(*[nodes] * dimension, indexing="ij")
    shares = np.meshgrid(*[weights / weights.sum()] * dimension, indexing="ij")
    product = np.prod([part.ravel() for part in shares], axis=0)
    return np.stack([part.ravel() for part in grid], axis=1), product


def polar_moves(
    angles: Numbers,
    center: Numbers | Callable[[Array], Array] = (0.0, 0.0),
    *,
    pitch: float = 0.0,
) -> list[Move]:
    """Return moves of the plane along circles or spirals about ``center``.

    In polar coordinates about the center, ``(r, theta)`` goes to
    ``(r + pitch delta, theta + delta)``, or to the center where that radius would be
    negative: along a circle, or along the spiral ``r = pitch theta`` and its parallels.

    Parameters
    ----------
    angles : array ``(k,)``
        The angles ``delta``, in radians.
    center : two numbers, or a function of x, ``(m, 2)`` to ``(m, 2)``
        The function must be constant where it is differentiable.
    pitch : number
        The change of the radius a radian, in units of the data.

    Returns
    -------
    list of callables
        As :class:`LogSmoothedScore` takes them, one for each angle.

    Raises
    ------
    TypeError, ValueError
        For angles that are not finite numbers ``(k,)``.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> (move,) = es.smoothers.polar_moves([np.pi / 2])
    >>> place, pullback = move(np.array([[2.0, 0.0]]))
    >>> place.round(3) + 0.0
    array([[0., 2.]])
    """
    angles = like(as_real(angles, "angles"), np.empty(0))
    if angles.ndim != 1 or not np.all(np.isfinite(angles)):
        raise ValueError("angles must be finite numbers, shape (k,)")
    pitch = as_number(pitch, "pitch")
    return [_turn(float(angle), center, pitch) for angle in angles]


def _turn(angle, center, pitch):
    cos, sin = np.cos(angle), np.sin(angle)

    def turned(v, sign=1.0):
        xp = array_namespace(v)
        across, up = v[:, 0], v[:, 1]
        rows = [cos * across - sign * sin * up, sign * sin * across + cos * up]
        return xp.stack(rows, axis=1)

    def move(x):
        xp = array_namespace(x)
        middle = like(center(x) if callable(center) else np.array([center], float), x)
        offset = x - middle
        radius = xp.sum(offset**2, axis=1, keepdims=True) ** 0.5
        radius = xp.clip(radius, 1e-300, None)
        out = offset / radius
        ratio = xp.clip(1 + pitch * angle / radius, 0.0, None)

        def pullback(v):
            back = turned(v, -1.0)
            along = xp.sum(back * out, axis=1, keepdims=True) * out
            return xp.where(ratio > 0, along, 0 * along) + ratio * (back - along)

        return middle + turned(offset * ratio), pullback

    return move


def _shares(weights, count):
    if weights is None:
        return np.full(count, 1 / count)
    weights = like(as_real(weights, "weights"), np.empty(0))
    if weights.shape != (count,) or not np.all((weights > 0) & (weights < np.inf)):
        raise ValueError(f"weights must be {count} positive numbers")
    return weights / weights.sum()


def _widths(width, sigma):
    if callable(width):
        return as_sigma(width(sigma), sigma.shape[0], sigma, "width(sigma)")
    return as_sigma(width, sigma.shape[0], sigma, "width")
