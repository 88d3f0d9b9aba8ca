"""The score of a training set with the noise level integrated out.

A network that is not told the noise level can only learn one field for all of them.
With levels uniform in ``log sigma`` and loss weight ``lambda(sigma) = sigma^a`` the
best such field is the score of one static mixture,

    p_MN(x)  proportional to  sum_j int sigma^a N(x; y_j, sigma^2 I) dsigma / sigma
             proportional to  sum_j |x - y_j|^{-(d - a)}          (all levels, a < d),

so the softmax over the training points becomes a ratio of powers of the distance.
For ``a = 2`` it is the Coulomb potential of equal charges on the training points.
"""

from __future__ import annotations

import math

import numpy as np

from .._support.arrays import (
    array_namespace,
    as_number,
    as_points,
    as_positive_number,
    as_real,
    as_sigma,
    like,
    plain,
    row_blocks,
)
from .._support.show import described
from .._support.types import Array, Level
from .._support.types import Points as PointRows
from ..distributions.score import Score
from ..exact.points import Points
from ..exact.score import EmpiricalScore, as_empirical
from .distance_weights import DistanceWeights
from .levels import AllLevels, LevelsBetween

__all__ = ["UnconditionalScore"]


class UnconditionalScore(Score):
    """The best score that is not told the noise level, as ``score(x)``.

    With levels uniform in ``log sigma`` and the loss weight ``sigma^a`` it is the score
    of a static mixture,

        p(x)  proportional to  sum_j int sigma^a N(x; y_j, sigma^2 I) dsigma / sigma,

    which over all levels is ``sum_j |x - y_j|^(a - d)``, for ``a < d``.

    In all methods ``x`` is ``(m, d)``, ``sigma`` a positive number, ``(m,)`` or None;
    the result has the kind and device of ``x`` and the precision of ``data``.

    Parameters
    ----------
    data : array ``(n, d)`` or EmpiricalScore
        The training points, NumPy or torch, or their score.
    weight_power : number
        The ``a`` of the loss weight ``lambda(sigma) = sigma^a``; 2 is the usual weight
        of denoising score matching.
    temperature : positive number
        ``w_j`` proportional to ``K(r_j)^(1/temperature)``.
    levels : ``(low, high)``, optional
        The range of the noise levels, in units of the data; all of them, 0 to infinity,
        by default.
    component : ``"implied"`` or ``"shared"``
        ``"implied"``: each training point pulls with the precision that its own
        distance implies, ``score = -sum_j w_j (x - y_j) E_j[1/sigma^2]``, which is
        ``w_j (d - a) / r_j^2`` over all levels.  It is the gradient of
        :meth:`log_density`, for every temperature.
        ``"shared"``: ``score = (sum_j w_j y_j - x) / sigma^2`` with the noise level of
        the caller, a mean shift.
    memory : int, optional
        Bound, in bytes, on the temporary arrays of one block of rows.

    Raises
    ------
    TypeError, ValueError
        For bad data, ``x``, ``sigma`` or options; for ``d <= weight_power`` without
        ``levels``: the integral then diverges at large noise levels, and the power
        ``r^(a - d)`` that would be left repels.  Without ``levels`` the
        ``"implied"`` score refuses an ``x`` that is a training point, a pole.

    Notes
    -----
    Zhou, Zhang & Wright (2026) for the target and the tempered softmax, with each
    integral over sigma replaced by its largest term; over log-uniform levels that term
    is exact up to a constant.  Sun et al. (2025) for denoising without a noise level.
    ``thm-unconditional-score`` and ``thm-power-weights`` in the book.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> score = es.UnconditionalScore([[0.0, 0.0, 0.0]])
    >>> score(np.array([[2.0, 0.0, 0.0]])) + 0.0  # -(d - a) x / |x|^2
    array([[-0.5,  0. ,  0. ]])
    >>> score  # doctest: +NORMALIZE_WHITESPACE
    UnconditionalScore(n=1, dimension=3, weight_power=2.0, temperature=1.0,
                       levels=None, component='implied')
    """

    def __init__(
        self,
        data: PointRows | EmpiricalScore,
        *,
        weight_power: float = 2.0,
        temperature: float = 1.0,
        levels: tuple[float, float] | None = None,
        component: str = "implied",
        memory: int | None = None,
    ) -> None:
        self._base = as_empirical(data, memory=memory)
        self.data, self.dimension = self._base.data, self._base.dimension
        self.weight_power = as_number(weight_power, "weight_power")
        if not math.isfinite(self.weight_power):
            raise ValueError(f"weight_power must be finite, got {self.weight_power}")
        self.temperature = as_positive_number(temperature, "temperature")
        if component not in ("implied", "shared"):
            raise ValueError(
                f"component must be 'implied' or 'shared', got {component!r}"
            )
        self.component = component
        self.levels = _as_levels(levels)
        self._kernel = _kernel(self.dimension, self.weight_power, self.levels)

    def __repr__(self):
        n, d = self.data.shape
        names = ("weight_power", "temperature", "levels", "component")
        own = {name: getattr(self, name) for name in names}
        return described(self, n=n, dimension=d, **own)

    def __call__(self, x: PointRows, sigma: Level | None = None) -> Array:
        """Return the score, ``(m, d)``; the same as :meth:`score`."""
        return self.score(x, sigma)

    def score(self, x: PointRows, sigma: Level | None = None) -> Array:
        """Return the score of the chosen ``component``, shape ``(m, d)``.

        The ``"implied"`` score does not use ``sigma``; the ``"shared"`` one needs it.

        Parameters
        ----------
        x : array ``(m, d)``
            Noised points, in units of the data.
        sigma : positive number, array ``(m,)`` or None
            Noise level, in units of the data.

        Returns
        -------
        array ``(m, d)``

        Raises
        ------
        ValueError
            For the ``"shared"`` score without ``sigma``, or a row of x at a pole.
        """
        if self.component == "implied":
            self._arguments(x, sigma)
            return self._collect(x, lambda block: block.pull())
        if sigma is None:
            raise ValueError("sigma must be given: the 'shared' score divides by it")
        x, levels = self._arguments(x, sigma)
        shift = self._collect(x, lambda block: block.shift())
        return shift / levels[:, None] ** 2

    def denoise(self, x: PointRows, sigma: Level | None = None) -> Array:
        """Return the blind denoiser ``sum_j w_j y_j``, ``(m, d)``, whatever ``sigma``.

        The best guess of the training point behind ``x`` when the noise level is not
        known: ``x + sigma^2 score(x, sigma)`` for the ``"shared"`` component.
        """
        x, _ = self._arguments(x, sigma)
        return x + self._collect(x, lambda block: block.shift())

    def log_weights(self, x: PointRows) -> Array:
        """Return the log weights, ``(m, n)``: over all levels powers of distances.

        ``log w_j = -(d - a) / T log r_j`` up to a constant of the row.
        """
        return self._collect(x, lambda block: block.log_weights)

    def weights(self, x: PointRows) -> Array:
        """Return the weight of each training point, ``(m, n)``; rows sum to one.

        Notes
        -----
        ``thm-power-weights`` in the book.

        Examples
        --------
        >>> import numpy as np, empirical_score as es
        >>> score = es.UnconditionalScore([[0.0, 0.0, 0.0], [3.0, 0.0, 0.0]])
        >>> score.weights(np.array([[1.0, 0.0, 0.0]])).round(3)  # as 1 / r
        array([[0.667, 0.333]])
        """
        log_weights = self.log_weights(x)
        return array_namespace(log_weights).exp(log_weights)

    def log_density(self, x: PointRows) -> Array:
        """Return the static log density ``T log sum_j K(r_j)^(1/T) / n``, ``(m,)``.

        Over all levels ``K = r^{-(d - a)}`` and it is up to a constant (infinite on
        the training points).  Between two levels and for T = 1 it is the log of the
        normalized density, ``sigma`` having density proportional to
        ``sigma^(a - 1)``.

        Parameters
        ----------
        x : array ``(m, d)``
            Noised points, in units of the data.

        Returns
        -------
        array ``(m,)``
            In nats.
        """
        total = self._collect(x, lambda block: block.log_sum)
        mean = total - math.log(self.data.shape[0])
        return self.temperature * mean - self._kernel.log_total

    def implied_level(self, x: PointRows) -> Array:
        """Return the noise level that ``x`` itself implies, in units of the data.

        ``(sum_j w_j E_j[1/sigma^2])^{-1/2}``, which is ``r / sqrt(d - a)`` where one
        training point at distance r has all the weight; 0 on a training point.

        Parameters
        ----------
        x : array ``(m, d)``
            Noised points, in units of the data.

        Returns
        -------
        array ``(m,)``

        Notes
        -----
        ``thm-level-posterior`` in the book.

        Examples
        --------
        >>> import numpy as np, empirical_score as es
        >>> score = es.UnconditionalScore(np.zeros((1, 6)))
        >>> score.implied_level(np.ones((1, 6))).round(3)  # sqrt(6) / sqrt(6 - 2)
        array([1.225])
        """
        return self._collect(x, lambda block: block.implied_level())

    def _arguments(self, x, sigma):
        x = as_points(x, "x", self.dimension)
        if sigma is not None:
            sigma = as_sigma(sigma, x.shape[0], x)
        xp = array_namespace(x)
        dtype = xp.float32 if str(self.data.dtype).endswith("float32") else xp.float64
        return xp.astype(x, dtype, copy=False), sigma

    def _collect(self, x, value):
        x, _ = self._arguments(x, None)
        points, inner = self._base._points(x), plain(x)
        if getattr(x, "requires_grad", False):
            points, inner = Points(like(self.data, x), self._base.memory), x
        # About ten arrays (rows, n) in float64 live at once.
        rows = row_blocks(x.shape[0], 10 * self.data.shape[0], points.memory // 8)
        blocks = [
            value(DistanceWeights(points, inner[part], self._kernel, self.temperature))
            for part in rows
        ]
        out = blocks[0] if len(blocks) == 1 else points.xp.concat(blocks)
        return like(out, x)


def _as_levels(levels):
    if levels is None:
        return None
    bounds = like(as_real(levels, "levels"), np.empty(0))
    if bounds.shape != (2,) or not 0 < bounds[0] < bounds[1] < math.inf:
        raise ValueError(
            f"levels must be a pair 0 < low < high of finite noise levels, got {levels}"
        )
    return float(bounds[0]), float(bounds[1])


def _kernel(dimension, weight_power, levels):
    exponent = dimension - weight_power
    if levels is not None:
        return LevelsBetween(exponent, dimension, *levels)
    if exponent <= 0:
        raise ValueError(
            f"weight_power={weight_power:g} must be below the dimension of data, "
            f"{dimension}: the integral over all noise levels diverges, and its formal "
            "value r^(weight_power - d) does not attract; give levels=(low, high), a "
            "smaller weight_power, or data in more dimensions"
        )
    return AllLevels(exponent)
