"""The empirical score at a temperature: smoothing by leveling the softmax weights.

At temperature T the log weights of the empirical score are divided by T,

    D_T(x, sigma) = sum_j w_j y_j,   w_j = softmax_j( -|x - y_j|^2 / (2 T sigma^2) ),
    score = (D_T(x, sigma) - x) / sigma^2,

so ``D_T(x, sigma) = D(x, sqrt(T) sigma)``: the exact denoiser at an *effective level*
``sqrt(T) sigma``, while the step size still belongs to ``sigma``.  At each level it is
``T grad log p`` of the kernel density estimate with that bandwidth.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from .._support.arrays import (
    array_namespace,
    as_count,
    as_number,
    as_positive_number,
    as_real,
    as_sigma,
    device,
    largest,
    like,
    row_blocks,
)
from .._support.show import described
from .._support.types import Array, Level, Numbers, Points
from ..distributions.score import Score
from ..exact.score import EmpiricalScore, as_empirical

__all__ = ["PowerTemperature", "TemperedScore"]


class PowerTemperature:
    """A temperature that rises as the noise falls: a power law, as a callable.

        T(sigma) = max(sigma_c / sigma, 1)^exponent

    Below ``sigma_c`` the effective level is ``sigma_c^{g/2} sigma^{1 - g/2}`` with
    ``g = exponent``: it falls with sigma for g < 2, stays at ``sigma_c`` for g = 2 and
    rises for g > 2.

    Parameters
    ----------
    sigma_c : positive number
        The noise level below which the temperature is above 1, in units of the data.
    exponent : number, at least 0

    Raises
    ------
    TypeError, ValueError
        Unless ``sigma_c`` is finite and positive and ``exponent`` finite and at
        least 0.

    Notes
    -----
    Zhou, Zhang & Wright (2026) use g = 1.  ``cor-exponent`` in the book.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> temperature = es.PowerTemperature(0.5, 1)
    >>> temperature(np.array([1.0, 0.5, 0.25]))
    array([1., 1., 2.])
    >>> temperature
    PowerTemperature(sigma_c=0.5, exponent=1)
    """

    def __init__(self, sigma_c: float, exponent: float) -> None:
        self.sigma_c = as_positive_number(sigma_c, "sigma_c")
        self.exponent = as_number(exponent, "exponent")
        if not 0 <= self.exponent < math.inf:
            raise ValueError(
                f"exponent must be finite and at least 0, got {self.exponent}"
            )

    def __repr__(self):
        return f"PowerTemperature(sigma_c={self.sigma_c:g}, exponent={self.exponent:g})"

    def __call__(self, sigma: Numbers) -> Array:
        """Return ``T(sigma)`` in the shape and kind of ``sigma``, positive numbers."""
        sigma = as_real(sigma, "sigma")
        flat = as_sigma(sigma.reshape(-1), math.prod(sigma.shape), sigma)
        ratio = array_namespace(flat).clip(self.sigma_c / flat, 1.0, None)
        return (ratio**self.exponent).reshape(sigma.shape)


class TemperedScore(Score):
    """The empirical score at a temperature: its log weights divided by T.

        D_T(x, sigma) = sum_j w_j y_j,
        w = softmax_j( -|x - y_j|^2 / (2 T sigma^2) ),
        score = (D_T(x, sigma) - x) / sigma^2.

    In all methods ``x`` is ``(m, d)`` and ``sigma`` a positive number or ``(m,)``; the
    result has the kind and device of ``x`` and the precision of ``data``.

    There is no ``log_density``.  At one ``sigma`` the score is ``T grad log p`` with p
    the kernel density estimate at the effective level, but for T other than 1 the
    family over ``sigma`` belongs to no one noised distribution: it does not solve
    the heat equation.  With ``neighbors`` it jumps where the neighbors change.

    Parameters
    ----------
    data : array ``(n, d)`` or EmpiricalScore
        The training points, NumPy or torch, or their score.
    temperature : positive number, or callable
        ``sigma -> T``, an array ``(m,)`` to an array ``(m,)`` of the same kind; 1 is
        :class:`EmpiricalScore`.
    neighbors : int, optional
        Keep only the weights of that many training points, those nearest to *x*; the
        softmax is over them.  All points by default.
    memory : int, optional
        Bound, in bytes, on temporary arrays, as in :class:`EmpiricalScore`.

    Raises
    ------
    TypeError, ValueError
        For bad data, x or sigma as in :class:`EmpiricalScore`; for a temperature that
        is not positive and finite or has a wrong shape; for ``neighbors`` that is not
        an integer from 1 to n.

    Notes
    -----
    Zhou, Zhang & Wright (2026), Section 4.2, where the neighbors are those of the
    clean point behind x.  ``prop-effective-level`` and ``thm-tempered-limits`` in the
    book.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> score, x = es.TemperedScore([[0.0], [2.0]], 4.0), np.array([[1.5]])
    >>> score.denoise(x, 0.5).round(3)  # the exact denoiser at level 2 * 0.5
    array([[1.462]])
    >>> score
    TemperedScore(n=2, dimension=1, temperature=4.0, neighbors=None)
    """

    def __init__(
        self,
        data: Points | EmpiricalScore,
        temperature: float | Callable[[Array], Array],
        *,
        neighbors: int | None = None,
        memory: int | None = None,
    ) -> None:
        self._base = as_empirical(data, memory=memory)
        self.data, self.dimension = self._base.data, self._base.dimension
        if not callable(temperature):
            temperature = as_positive_number(temperature, "temperature")
        self.temperature = temperature
        n = self.data.shape[0]
        if neighbors is not None and as_count(neighbors, "neighbors") > n:
            raise ValueError(
                f"neighbors must be at most the number of training points, {n}, "
                f"got {neighbors}"
            )
        self.neighbors = neighbors

    def __repr__(self):
        (n, d), kept = self.data.shape, self.neighbors
        own = {"temperature": self.temperature, "neighbors": kept}
        return described(self, n=n, dimension=d, **own)

    def effective_level(self, sigma: Level) -> Level:
        """Return the effective noise level, ``sqrt(T(sigma)) sigma``.

        Parameters
        ----------
        sigma : positive number or array ``(m,)``
            Noise level, in units of the data.

        Returns
        -------
        float or array ``(m,)``
            The level at which the exact denoiser is the tempered one.

        Notes
        -----
        ``prop-effective-level`` in the book.

        Examples
        --------
        >>> import empirical_score as es
        >>> es.TemperedScore([[0.0], [2.0]], 4.0).effective_level(0.5)
        1.0
        """
        array = as_real(sigma, "sigma")
        level = as_sigma(array, math.prod(array.shape), array.reshape(-1))
        level = self._effective(level)
        return float(level[0]) if array.ndim == 0 else level

    def denoise(self, x: Points, sigma: Level) -> Array:
        """Return the tempered denoiser ``D_T(x, sigma) = sum_j w_j y_j``.

        Parameters
        ----------
        x : array ``(m, d)``
            Noised points, in units of the data.
        sigma : positive number or array ``(m,)``
            Noise level, in units of the data.

        Returns
        -------
        array ``(m, d)``
        """
        x, level = self._tempered(x, sigma)
        if self.neighbors is None:
            return self._base.denoise(x, level)
        return self._average(x, level, lambda points, x: points)

    def log_weights(self, x: Points, sigma: Level) -> Array:
        """Return the log weights of the training points, at the temperature.

        ``log softmax_j(-|x - y_j|^2 / (2 T sigma^2))``.

        Parameters
        ----------
        x : array ``(m, d)``
            Noised points, in units of the data.
        sigma : positive number or array ``(m,)``
            Noise level, in units of the data.

        Returns
        -------
        array ``(m, n)``
            Minus infinity outside the neighbors.
        """
        x, level = self._tempered(x, sigma)
        if self.neighbors is None:
            return self._base.log_weights(x, level)
        xp, n = array_namespace(x), self.data.shape[0]
        blocks = []
        for part, nearest, logs in self._nearest(x, level):
            size = (part.shape[0], n)
            full = xp.full(size, -math.inf, dtype=x.dtype, device=device(x))
            full[_rows(nearest), nearest] = logs
            blocks.append(full)
        return xp.concat(blocks)

    def weights(self, x: Points, sigma: Level) -> Array:
        """Return the weight of each training point, ``(m, n)``; rows sum to one."""
        log_weights = self.log_weights(x, sigma)
        return array_namespace(log_weights).exp(log_weights)

    def effective_points(self, x: Points, sigma: Level) -> Array:
        """Return the effective number of training points, ``exp(-sum_j w_j log w_j)``.

        The perplexity of the weights, between 1 and n, shape ``(m,)``.
        """
        x, level = self._tempered(x, sigma)
        if self.neighbors is None:
            return self._base.effective_points(x, level)
        xp = array_namespace(x)
        entropies = []
        for _, _, logs in self._nearest(x, level):
            clipped = xp.clip(logs, -800.0, None)  # exp(-800) is 0: no 0 * infinity
            entropies.append(-xp.sum(xp.exp(logs) * clipped, axis=1))
        return xp.exp(xp.concat(entropies))

    def _shift(self, x, sigma):
        x, level = self._tempered(x, sigma)
        if self.neighbors is None:
            return self._base._shift(x, level)
        return self._average(x, level, lambda points, x: points - x[:, None, :])

    def _arguments(self, x, sigma):
        return self._base._arguments(x, sigma)

    def _tempered(self, x, sigma):
        x, sigma = self._arguments(x, sigma)
        return x, self._effective(sigma)

    def _effective(self, sigma):
        """Return the effective level for each noise level of an array ``(m,)``."""
        value = self.temperature
        if callable(value):
            value = as_sigma(value(sigma), sigma.shape[0], sigma, "temperature(sigma)")
        return value**0.5 * sigma

    def _average(self, x, level, value):
        """Return the weighted average of ``value(neighbors, x)``, ``(m, d)``."""
        xp = array_namespace(x)
        points = like(self.data, x)
        return xp.concat(
            [
                xp.sum(xp.exp(logs)[:, :, None] * value(points[nearest], part), axis=1)
                for part, nearest, logs in self._nearest(x, level)
            ]
        )

    def _nearest(self, x, level):
        """Yield blocks of x, the columns of their neighbors and their log weights."""
        xp, (n, d) = array_namespace(x), self.data.shape
        # Far above the radius of the data all weights round to 1/n and rank nothing.
        highest = self._base._points(x).radius or 1.0
        budget = self._base.memory // 8
        for rows in row_blocks(x.shape[0], 3 * (n + self.neighbors * d), budget):
            ranked_at = xp.clip(level[rows], None, highest)
            ranked = self._base.log_weights(x[rows], ranked_at)
            nearest = largest(ranked, self.neighbors)
            ratio = (ranked_at / level[rows])[:, None] ** 2
            logs = ranked[_rows(nearest), nearest] * ratio
            logs = logs - xp.max(logs, axis=1, keepdims=True)
            total = xp.sum(xp.exp(logs), axis=1, keepdims=True)
            yield x[rows], nearest, logs - xp.log(total)


def _rows(columns):
    """Return row indices ``(m, 1)`` that go with columns ``(m, k)``."""
    xp = array_namespace(columns)
    return xp.arange(columns.shape[0])[:, None]
