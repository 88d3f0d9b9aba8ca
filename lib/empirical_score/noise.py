"""Noise levels and forward processes, and the exact map between them.

The book's own convention is the variance-exploding one, ``x = y + sigma z``: every
score is a function of ``(x, sigma)``.  Scaled processes are converted here and
nowhere else.
"""

import numpy as np

from ._arrays import as_count, as_positive_number, as_real, like

__all__ = [
    "OrnsteinUhlenbeck",
    "VarianceExploding",
    "geometric_levels",
    "karras_levels",
]


class _Process:
    """A linear forward process ``X_t | X_0 = y ~ N(alpha_t y, sigma_t^2 I)``.

    ``X_t / alpha_t`` is the variance-exploding ``y + s z`` at noise level
    ``s = sigma_t / alpha_t``, and the two scores differ by the factor ``1 / alpha_t``.
    """

    def noise_level(self, t):
        """Return ``sigma_t / alpha_t``, the noise level of ``X_t / alpha_t``."""
        return self.sigma(t) / self.alpha(t)

    def to_noise_level(self, x, t):
        """Map ``(x_t, t)`` to ``(x, sigma)`` of the variance-exploding process."""
        return x / float(self.alpha(t)), float(self.noise_level(t))

    def from_noise_level(self, x, sigma):
        """Map ``(x, sigma)`` of the variance-exploding process to ``(x_t, t)``."""
        t = self.time(sigma)
        return x * float(self.alpha(t)), t

    def score(self, score, x, t):
        """Return ``grad log p_t(x_t)`` from a ``score(x, sigma)`` of this library.

        ``grad log p_t(x) = score(x / alpha_t, sigma_t / alpha_t) / alpha_t``.
        """
        return score(*self.to_noise_level(x, t)) / float(self.alpha(t))


class VarianceExploding(_Process):
    """The process ``dX = sqrt(2 t) dB``: ``X_t = X_0 + t z``, time is noise level."""

    def alpha(self, t):
        """Return the factor of the data, 1 at every ``t``."""
        return 1.0

    def sigma(self, t):
        """Return the standard deviation of the noise, ``t`` itself."""
        return t

    def time(self, sigma):
        """Return the time at which the noise level is ``sigma``."""
        return sigma

    def drift(self, x, t):
        """Return the forward drift, 0."""
        return 0.0 * x

    def squared_diffusion(self, t):
        """Return ``g(t)^2 = d sigma^2 / dt = 2 t``."""
        return 2.0 * t

    def added_variance(self, t, s):
        """Return the integral of ``g^2`` from ``s`` up to ``t``: ``t^2 - s^2``."""
        return (t - s) * (t + s)


class OrnsteinUhlenbeck(_Process):
    """The process ``dX = -X dt + sqrt(2) dB`` of Li, Chen & Li (2024).

    ``X_t | X_0 = y ~ N(e^{-t} y, (1 - e^{-2t}) I)``; the standard normal is invariant.
    ``t`` is a positive number (an array too, where no ``x`` is involved).
    """

    def alpha(self, t):
        """Return ``e^{-t}``, the factor of the data."""
        return np.exp(-_time(t))

    def sigma(self, t):
        """Return ``sqrt(1 - e^{-2t})``, the standard deviation of the noise."""
        return np.sqrt(-np.expm1(-2 * _time(t)))

    def noise_level(self, t):
        """Return ``sqrt(e^{2t} - 1)``, the noise level of ``e^t X_t``."""
        return np.sqrt(np.expm1(2 * _time(t)))

    def time(self, sigma):
        """Return ``log(1 + sigma^2) / 2``, the time with noise level ``sigma``."""
        return 0.5 * np.log1p(np.square(_time(sigma, "sigma")))

    def drift(self, x, t):
        """Return the forward drift ``-x``."""
        return -x

    def squared_diffusion(self, t):
        """Return ``g(t)^2 = 2``."""
        return 2.0

    def added_variance(self, t, s):
        """Return the integral of ``g^2`` from ``s`` up to ``t``: ``2 (t - s)``."""
        return 2.0 * (t - s)


def geometric_levels(count, sigma_max=80.0, sigma_min=0.002, *, zero=False):
    """Return ``count`` noise levels that fall by one common factor.

    ``sigma_k = sigma_max (sigma_min / sigma_max)^{k / (count - 1)}``; with
    ``zero=True`` a final level 0 follows.  Raises ``ValueError`` unless
    ``count >= 2`` and ``sigma_max > sigma_min > 0``.
    """
    _check_levels(count, sigma_max, sigma_min)
    levels = np.geomspace(sigma_max, sigma_min, count)
    return np.append(levels, 0.0) if zero else levels


def karras_levels(count, sigma_max=80.0, sigma_min=0.002, *, rho=7.0, zero=False):
    """Return the noise levels of Karras, Aittala, Aila & Laine (2022), eq. 5.

    ``sigma_k = (sigma_max^{1/rho} + k/(count-1) (sigma_min^{1/rho} -
    sigma_max^{1/rho}))^rho``; with ``zero=True`` a final level 0 follows.
    """
    _check_levels(count, sigma_max, sigma_min)
    rho = as_positive_number(rho, "rho")
    roots = np.linspace(sigma_max ** (1 / rho), sigma_min ** (1 / rho), count)
    levels = roots**rho
    levels[0], levels[-1] = sigma_max, sigma_min
    return np.append(levels, 0.0) if zero else levels


def check_decreasing(levels, name="levels"):
    """Return ``levels`` as a float64 array; raise unless it falls strictly to >= 0."""
    levels = np.asarray(like(as_real(levels, name), np.empty(0)))
    if levels.ndim != 1 or levels.shape[0] < 2:
        raise ValueError(
            f"{name} must be a sequence of at least two noise levels, "
            f"got shape {levels.shape}"
        )
    if not np.all(np.isfinite(levels)) or levels[-1] < 0:
        raise ValueError(
            f"{name} must be finite and not negative, got {levels[0]} to {levels[-1]}"
        )
    rises = np.flatnonzero(np.diff(levels) >= 0)
    if rises.size:
        before, after = levels[rises[0]], levels[rises[0] + 1]
        raise ValueError(
            f"{name} must fall strictly, from much noise to little, "
            f"got {after} after {before}"
        )
    return levels


def _time(value, name="t"):
    value = like(as_real(value, name), np.empty(0))
    if not np.all((value >= 0) & (value < np.inf)):
        raise ValueError(f"{name} must be finite and at least 0, got {value}")
    return value


def _check_levels(count, sigma_max, sigma_min):
    as_count(count, "count", 2)
    sigma_max = as_positive_number(sigma_max, "sigma_max")
    sigma_min = as_positive_number(sigma_min, "sigma_min")
    if not sigma_max > sigma_min:
        raise ValueError(
            "expected sigma_max > sigma_min > 0, got "
            f"sigma_max={sigma_max}, sigma_min={sigma_min}"
        )
