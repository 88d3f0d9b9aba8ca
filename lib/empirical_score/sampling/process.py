"""What all forward processes share: the exact map between one and the other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._support.arrays import (
    as_points,
    as_real,
    as_sigma,
    like,
)
from .._support.show import described
from .._support.types import Array, Level, ScoreFunction

__all__ = ["Process", "column"]


class Process:
    """A linear forward process ``X_t | X_0 = y ~ N(alpha_t y, sigma_t^2 I)``.

    ``X_t / alpha_t`` is the variance-exploding ``y + s z`` at noise level
    ``s = sigma_t / alpha_t``, and the two scores differ by the factor ``1 / alpha_t``.
    As an equation ``dX = f(X, t) dt + g(t) dB``.  A process of one's own defines
    ``alpha``, ``sigma`` and what else raises ``NotImplementedError`` here.

    Examples
    --------
    >>> import empirical_score as es
    >>> process = es.FlowMatching()
    >>> isinstance(process, es.Process), round(float(process.noise_level(0.5)), 3)
    (True, 1.0)
    """

    def __repr__(self):
        return described(self)

    def alpha(self, t: Level) -> Level:
        """Return ``alpha_t``, the factor of the data.

        Parameters
        ----------
        t : number or array
            Time.

        Returns
        -------
        number or array of the shape of ``t``
        """
        raise NotImplementedError

    def sigma(self, t: Level) -> Level:
        """Return ``sigma_t``, the standard deviation of the noise.

        Parameters
        ----------
        t : number or array
            Time.

        Returns
        -------
        number or array of the shape of ``t``
        """
        raise NotImplementedError

    def time(self, sigma: Level) -> Level:
        """Return the time at which the noise level is ``sigma``.

        Parameters
        ----------
        sigma : number or array
            Noise level ``sigma_t / alpha_t``.

        Returns
        -------
        number or array of the shape of ``sigma``
        """
        raise NotImplementedError

    def drift(self, x: Array, t: Level) -> Array:
        """Return the forward drift ``f(x, t)``.

        Parameters
        ----------
        x : array ``(m, d)``
            States of this process.
        t : number
            Time.

        Returns
        -------
        array ``(m, d)``
        """
        raise NotImplementedError

    def squared_diffusion(self, t: Level) -> Level:
        """Return ``g(t)^2``.

        Parameters
        ----------
        t : number or array
            Time.

        Returns
        -------
        number or array of the shape of ``t``
        """
        raise NotImplementedError

    def added_variance(self, t: Level, s: Level) -> Level:
        """Return the integral of ``g^2`` from ``s`` up to ``t``.

        Parameters
        ----------
        t, s : numbers or arrays
            Times, ``s`` the earlier one.

        Returns
        -------
        number or array
        """
        raise NotImplementedError

    def noise_level(self, t: Level) -> Level:
        """Return ``sigma_t / alpha_t``, the noise level of ``X_t / alpha_t``.

        Parameters
        ----------
        t : number or array
            Time.

        Returns
        -------
        number or array of the shape of ``t``
        """
        return self.sigma(t) / self.alpha(t)

    def to_noise_level(self, x: Array, t: float) -> tuple[Array, float]:
        """Map ``(x_t, t)`` to ``(x, sigma)`` of the variance-exploding process.

        Parameters
        ----------
        x : array ``(m, d)``
            States of this process.
        t : number
            Time.

        Returns
        -------
        x : array ``(m, d)``
            ``x_t / alpha_t``.
        sigma : float
            The noise level.
        """
        sigma = float(self.noise_level(t))
        return x / float(self.alpha(t)), sigma

    def from_noise_level(self, x: Array, sigma: float) -> tuple[Array, Level]:
        """Map ``(x, sigma)`` of the variance-exploding process to ``(x_t, t)``.

        Parameters
        ----------
        x : array ``(m, d)``
            States of the variance-exploding process.
        sigma : number
            Their noise level.

        Returns
        -------
        x : array ``(m, d)``
            ``alpha_t x``.
        t : number
            The time at which the noise level is ``sigma``.
        """
        t = self.time(sigma)
        return x * float(self.alpha(t)), t

    def score(self, score: ScoreFunction, x: Array, t: float) -> Array:
        """Return ``grad log p_t(x_t)`` from a ``score(x, sigma)`` of this library.

        ``grad log p_t(x) = score(x / alpha_t, sigma_t / alpha_t) / alpha_t``.

        Parameters
        ----------
        score : callable ``(x, sigma) -> (m, d)``
            In the convention ``x = y + sigma z``.
        x : array ``(m, d)``
            States of this process.
        t : number
            Time.

        Returns
        -------
        array ``(m, d)``
        """
        return score(*self.to_noise_level(x, t)) / float(self.alpha(t))

    def velocity(self, score: ScoreFunction, x: Array, t: float) -> Array:
        """Return ``dx_t/dt`` of the probability flow from a ``score(x, sigma)``.

        ``f(x, t) - g(t)^2 / 2 grad log p_t(x)``, the mean of ``dX_t/dt`` over all
        data and noise that meet in ``x`` at time ``t > 0`` (``thm-probability-flow``).

        Parameters
        ----------
        score : callable ``(x, sigma) -> (m, d)``
            In the convention ``x = y + sigma z``.
        x : array ``(m, d)``
            States of this process.
        t : positive number
            Time.

        Returns
        -------
        array ``(m, d)``
        """
        slope = self.score(score, x, t)
        return self.drift(x, t) - self.squared_diffusion(t) / 2 * slope

    def from_velocity(
        self, velocity: Callable[[Array, Level], Array]
    ) -> Callable[[Array, Level], Array]:
        """Return the ``score(x, sigma)`` of which ``velocity(x_t, t)`` is the velocity.

        The inverse of :meth:`velocity`: it makes of a network that was trained to give
        the velocity a score like any other of this library.

        Parameters
        ----------
        velocity : callable ``(x_t, t) -> (m, d)``
            Called with ``x_t`` of shape ``(m, d)`` and ``t`` a float, or ``(m,)`` where
            ``sigma`` is an array.

        Returns
        -------
        callable ``(x, sigma) -> (m, d)``
        """

        def score(x, sigma):
            x = as_points(x, "x")
            sigma = sigma if np.ndim(sigma) == 0 else as_sigma(sigma, x.shape[0], x)
            t = self.time(like(as_real(sigma, "sigma"), np.empty(0)))
            alpha, half = self.alpha(t), self.squared_diffusion(t) / 2
            alpha, half = (column(part, x) for part in (alpha, half))
            x = x * alpha
            moves = velocity(x, float(t) if np.ndim(t) == 0 else like(t, x))
            return alpha / half * (self.drift(x, column(t, x)) - moves)

        return score


def column(value, x):
    """Return a number as a float, one number for each row of ``x`` as a column."""
    return float(value) if np.ndim(value) == 0 else like(value, x)[:, None]
