"""Noise levels and forward processes, and the exact map between them.

The book's own convention is the variance-exploding one, ``x = y + sigma z``: every
score is a function of ``(x, sigma)``.  Scaled processes are converted here and
nowhere else.
"""

from __future__ import annotations

import numpy as np

from .._support.arrays import (
    as_real,
    like,
)
from .._support.types import Array, Level
from .levels import geometric_levels, karras_levels
from .process import Process

__all__ = [
    "FlowMatching",
    "OrnsteinUhlenbeck",
    "VarianceExploding",
    "geometric_levels",
    "karras_levels",
]


class VarianceExploding(Process):
    """The process ``dX = sqrt(2 t) dB``: ``X_t = X_0 + t z``, time is noise level.

    Notes
    -----
    The book's own convention (Song et al. 2021; Karras, Aittala, Aila & Laine 2022).
    Time and ``sigma`` have the unit of the data.

    Examples
    --------
    >>> import empirical_score as es
    >>> process = es.VarianceExploding()
    >>> process.noise_level(3.0), process.added_variance(3.0, 1.0)
    (3.0, 8.0)
    """

    def alpha(self, t: Level) -> float:
        """Return the factor of the data, 1 at every ``t``."""
        return 1.0

    def sigma(self, t: Level) -> Level:
        """Return the standard deviation of the noise, ``t`` itself."""
        return t

    def time(self, sigma: Level) -> Level:
        """Return the time at which the noise level is ``sigma``."""
        return sigma

    def drift(self, x: Array, t: Level) -> Array:
        """Return the forward drift, 0."""
        return 0.0 * x

    def squared_diffusion(self, t: Level) -> Level:
        """Return ``g(t)^2 = d sigma^2 / dt = 2 t``."""
        return 2.0 * t

    def added_variance(self, t: Level, s: Level) -> Level:
        """Return the integral of ``g^2`` from ``s`` up to ``t``: ``t^2 - s^2``."""
        return (t - s) * (t + s)


class OrnsteinUhlenbeck(Process):
    """The process ``dX = -X dt + sqrt(2) dB`` of Li, Chen & Li (2024).

    ``X_t | X_0 = y ~ N(e^{-t} y, (1 - e^{-2t}) I)``; the standard normal is invariant.
    ``t`` is a positive number (an array too, where no ``x`` is involved).

    Notes
    -----
    At noise level ``sigma = sqrt(e^{2t} - 1)``, ``e^t X_t`` is the variance-exploding
    process: ``prop-ou-ve`` in the book.  Times have no unit.

    Examples
    --------
    >>> import math, empirical_score as es
    >>> process = es.OrnsteinUhlenbeck()
    >>> round(float(process.noise_level(math.log(2))) ** 2, 6)  # e^{2t} - 1
    3.0
    """

    def alpha(self, t: Level) -> Level:
        """Return ``e^{-t}``, the factor of the data."""
        return np.exp(-_time(t))

    def sigma(self, t: Level) -> Level:
        """Return ``sqrt(1 - e^{-2t})``, the standard deviation of the noise."""
        return np.sqrt(-np.expm1(-2 * _time(t)))

    def noise_level(self, t: Level) -> Level:
        """Return ``sqrt(e^{2t} - 1)``, the noise level of ``e^t X_t``."""
        return np.sqrt(np.expm1(2 * _time(t)))

    def time(self, sigma: Level) -> Level:
        """Return ``log(1 + sigma^2) / 2``, the time with noise level ``sigma``."""
        return 0.5 * np.log1p(np.square(_time(sigma, "sigma")))

    def drift(self, x: Array, t: Level) -> Array:
        """Return the forward drift ``-x``."""
        return -x

    def squared_diffusion(self, t: Level) -> Level:
        """Return ``g(t)^2 = 2``."""
        return 2.0

    def added_variance(self, t: Level, s: Level) -> Level:
        """Return the integral of ``g^2`` from ``s`` up to ``t``: ``2 (t - s)``."""
        return 2.0 * (t - s)


class FlowMatching(Process):
    """The straight path ``x_t = (1 - t) x_0 + t z`` from data at 0 to noise at 1.

    With ``x_0 = y`` a data point and ``z`` standard normal,
    ``X_t | X_0 = y ~ N((1 - t) y, t^2 I)``.  Divided by ``1 - t`` this is the book's
    ``x = y + sigma z`` at ``sigma = t / (1 - t)``, so ``t = sigma / (1 + sigma)``.
    What flow matching learns is the mean velocity of these paths,

        u(x, t) = E[z - x_0 | x_t = x] = -(x + t grad log p_t(x)) / (1 - t)
                = (x - D) / t,

    with ``D`` the denoiser at ``(x / (1 - t), t / (1 - t))``.

    Times ``0 <= t < 1`` have no unit (an array too, where no ``x`` is involved;
    :meth:`alpha` and :meth:`sigma` take ``t = 1`` as well); ``x`` and ``sigma`` have
    the unit of the data.

    Raises
    ------
    ValueError
        For a time that is negative, not finite, or too late.

    Notes
    -----
    Lipman, Chen, Ben-Hamu, Nickel & Le (2023); Liu, Gong & Liu (2023);
    ``prop-flow-matching`` in the book.  Both papers let time run from noise to data:
    their ``t`` is ``1 - t``, their velocity ``-u``.

    ``X_t`` has the distribution of ``dX = f dt + g dB`` with ``f = -x / (1 - t)`` and
    ``g^2 = 2 t / (1 - t)``, so that samplers can run in this time too: from ``t`` below
    1, where the noise level is still finite, down to 0.

    Examples
    --------
    >>> import numpy as np
    >>> import empirical_score as es
    >>> flow, point = es.FlowMatching(), es.Gaussian([3.0], 0.0)
    >>> flow.noise_level(0.75), flow.time(3.0)
    (np.float64(3.0), np.float64(0.75))
    >>> x = np.array([[1.5]])  # (1 - t) y + t z for y = 3 and z = 0, at t = 1 / 2
    >>> flow.velocity(point, x, 0.5)
    array([[-3.]])
    >>> score = flow.from_velocity(lambda x, t: flow.velocity(point, x, t))
    >>> score(np.array([[1.0]]), 2.0), point(np.array([[1.0]]), 2.0)
    (array([[0.5]]), array([[0.5]]))
    """

    def alpha(self, t: Level) -> Level:
        """Return ``1 - t``, the factor of the data."""
        return 1.0 - _time(t, last=1.0)

    def sigma(self, t: Level) -> Level:
        """Return the standard deviation of the noise, ``t`` itself."""
        return _time(t, last=1.0)[()]

    def noise_level(self, t: Level) -> Level:
        """Return ``t / (1 - t)``, the noise level of ``X_t / (1 - t)``."""
        t = _time(t, below=1.0)
        return t / (1.0 - t)

    def time(self, sigma: Level) -> Level:
        """Return ``sigma / (1 + sigma)``, the time with noise level ``sigma``."""
        sigma = _time(sigma, "sigma")
        return sigma / (1.0 + sigma)

    def drift(self, x: Array, t: Level) -> Array:
        """Return the forward drift ``-x / (1 - t)``."""
        _time(t, below=1.0)
        return -x / (1.0 - t)

    def squared_diffusion(self, t: Level) -> Level:
        """Return ``g(t)^2 = 2 t / (1 - t)``."""
        return _plain(2.0 * self.noise_level(t))

    def added_variance(self, t: Level, s: Level) -> Level:
        """Return the integral of ``g^2`` from ``s`` up to ``t``.

        ``2 log((1 - s) / (1 - t)) - 2 (t - s)``, without cancellation.
        """
        t, s = _time(t, below=1.0), _time(s, "s", below=1.0)
        ratio = (t - s) / (1.0 - t)
        near = ratio * t + _log1p_minus(np.minimum(ratio, 0.5))
        return _plain(2.0 * np.where(ratio < 0.5, near, np.log1p(ratio) - (t - s)))


def _time(value, name="t", *, last=None, below=np.inf):
    value = like(as_real(value, name), np.empty(0))
    if not np.all((value >= 0) & (value < below)):
        upper = "finite" if below == np.inf else f"below {below:g}"
        raise ValueError(f"{name} must be {upper} and at least 0, got {value}")
    if last is not None and not np.all(value <= last):
        raise ValueError(f"{name} must be at most {last:g}, got {value}")
    return value


def _plain(value):
    """Return one number as a float, which leaves float32 arrays what they are."""
    return float(value) if np.ndim(value) == 0 else value


def _log1p_minus(w):
    """Return ``log(1 + w) - w`` for ``0 <= w <= 1 / 2``, to the last digits.

    ``log(1 + w) = 2 artanh(r)`` with ``r = w / (2 + w)``, and ``2 r - w = -r w``; what
    is left is a series in ``r^2``.
    """
    r = w / (2.0 + w)
    powers = r[..., None] ** np.arange(2, 26, 2) / np.arange(3, 27, 2)
    return r * (2.0 * np.sum(powers, axis=-1) - w)
