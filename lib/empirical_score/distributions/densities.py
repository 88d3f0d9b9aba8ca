"""Distributions with a smoothed score in closed form: Gaussians and their mixtures.

Each ``p`` stands for the family ``p_sigma = p * N(0, sigma^2 I)`` and answers the same
questions as :class:`empirical_score.EmpiricalScore`.
"""

import numpy as np

from .._support.arrays import (
    array_namespace,
    as_count,
    as_points,
    as_real,
    as_rows,
    like,
)
from .._support.draws import choose, normal
from .score import Density, check_end_level

__all__ = ["Gaussian", "GaussianMixture"]


class Gaussian(Density):
    """The normal distribution ``N(mean, cov)``: ``p_sigma = N(mean, cov + sigma^2 I)``.

    Parameters
    ----------
    mean : array ``(d,)``
    cov : number (times the identity), array ``(d,)`` (a diagonal) or ``(d, d)``
        Symmetric and positive semidefinite; 0 is a point mass.

    Raises
    ------
    ValueError
        For wrong shapes, NaN, an asymmetric matrix or a negative variance.
    """

    def __init__(self, mean, cov=1.0):
        self.mean = _vector(mean, "mean")
        self.dimension = self.mean.shape[0]
        self.variances, self.axes = _principal_axes(cov, self.dimension, "cov")

    @property
    def cov(self):
        """The covariance matrix, ``(d, d)``."""
        if self.axes is None:
            return np.diag(self.variances)
        return (self.axes * self.variances) @ self.axes.T

    def log_density(self, x, sigma):
        """Return ``log N(x; mean, cov + sigma^2 I)``, shape ``(m,)``."""
        x, sigma = self._arguments(x, sigma)
        xp = array_namespace(x)
        z, variances = self._coordinates(x), self._variances(x)
        total = variances + sigma[:, None] ** 2
        return -0.5 * xp.sum(z**2 / total + xp.log(2 * np.pi * total), axis=1)

    def covariance_product(self, x, sigma, v):
        """Return ``Cov[Y | Y + sigma Z = x] v``, shape ``(m, d)``.

        The posterior covariance is ``cov (cov + sigma^2 I)^{-1} sigma^2``, the same
        at every ``x``.
        """
        x, sigma = self._arguments(x, sigma)
        v = as_rows(v, "v", x.shape[0], self.dimension, x)
        variances, noise = self._variances(x), sigma[:, None] ** 2
        return self._rotate_back(
            self._rotate(v) * (variances * noise / (variances + noise)), x
        )

    def sample(self, n, rng):
        """Draw ``n`` points without added noise, shape ``(n, d)``."""
        z = normal(rng, (as_count(n, "n"), self.dimension), self.mean)
        return self.mean + self._rotate_back(z * np.sqrt(self.variances), z)

    def sample_posterior(self, x, sigma, sigma_end, rng):
        """Draw ``X_end`` given ``X_sigma = x`` exactly, shape ``(m, d)``.

        Along an axis of variance v the posterior of ``Y + sigma_end Z`` has mean
        ``mean + (v + sigma_end^2) / (v + sigma^2) (x - mean)`` and variance
        ``(v + sigma_end^2) (sigma^2 - sigma_end^2) / (v + sigma^2)``: one exact step
        of the reverse process, however long.
        """
        x, sigma = self._arguments(x, sigma)
        xp = array_namespace(x)
        end = check_end_level(sigma_end, sigma)
        variances, noise = self._variances(x), sigma[:, None] ** 2
        left, total = variances + end**2, variances + noise
        z = normal(rng, tuple(x.shape), x)
        spread = xp.sqrt(left * (noise - end**2) / total)
        y = self._coordinates(x) * (left / total) + spread * z
        return like(self.mean, x) + self._rotate_back(y, x)

    def _shift(self, x, sigma):
        variances, noise = self._variances(x), sigma[:, None] ** 2
        z = self._coordinates(x)
        return self._rotate_back(-z * (noise / (variances + noise)), x)

    def _variances(self, x):
        return like(self.variances, x)

    def _coordinates(self, x):
        return self._rotate(x - like(self.mean, x))

    def _rotate(self, x):
        return x if self.axes is None else x @ like(self.axes, x)

    def _rotate_back(self, z, reference):
        return z if self.axes is None else z @ like(self.axes, reference).T


class GaussianMixture(Density):
    """The mixture of normal distributions ``sum_k weights_k N(means_k, covs_k)``.

    Parameters
    ----------
    means : array ``(k, d)``
    covs : number, array ``(k,)`` (one variance each), ``(d, d)`` (shared) or
        ``(k, d, d)``
    weights : array ``(k,)``, optional
        Positive, summing to one; equal by default.
    """

    def __init__(self, means, covs=1.0, weights=None):
        self.means = np.asarray(like(as_points(means, "means"), np.empty(0)))
        count, self.dimension = self.means.shape
        self.component_weights = _mixture_weights(weights, count)
        covs = _each_covariance(covs, count, self.dimension)
        self.components = [
            Gaussian(mean, cov) for mean, cov in zip(self.means, covs, strict=True)
        ]

    def log_weights(self, x, sigma):
        """Return the log posterior probability of each component, ``(m, k)``."""
        joint = self._joint(x, sigma)
        return joint - _logsumexp(joint)[:, None]

    def weights(self, x, sigma):
        """Return the posterior probability of each component, ``(m, k)``."""
        log_weights = self.log_weights(x, sigma)
        return array_namespace(log_weights).exp(log_weights)

    def log_density(self, x, sigma):
        """Return ``log sum_k w_k N(x; means_k, covs_k + sigma^2 I)``, ``(m,)``."""
        return _logsumexp(self._joint(x, sigma))

    def covariance_product(self, x, sigma, v):
        """Return ``Cov[Y | Y + sigma Z = x] v``, ``(m, d)``, by total covariance."""
        x, sigma = self._arguments(x, sigma)
        v = as_rows(v, "v", x.shape[0], self.dimension, x)
        xp = array_namespace(x)
        weights, mean = self.weights(x, sigma), self._shift(x, sigma)
        total = xp.zeros_like(x)
        for k, component in enumerate(self.components):
            within = component.covariance_product(x, sigma, v)
            offset = component._shift(x, sigma) - mean
            between = offset * xp.sum(offset * v, axis=1)[:, None]
            total = total + weights[:, k : k + 1] * (within + between)
        return total

    def sample(self, n, rng):
        """Draw ``n`` points without added noise, shape ``(n, d)``."""
        weights = np.broadcast_to(
            self.component_weights, (as_count(n, "n"), len(self.components))
        )
        return self._sample_components(
            choose(rng, weights), lambda k, rows: self.components[k].sample(rows, rng)
        )

    def sample_posterior(self, x, sigma, sigma_end, rng):
        """Draw ``X_end`` given ``X_sigma = x`` exactly, shape ``(m, d)``.

        First the component, by its posterior weight, then its Gaussian posterior.
        """
        x, sigma = self._arguments(x, sigma)
        check_end_level(sigma_end, sigma)
        labels = choose(rng, self.weights(x, sigma))
        xp = array_namespace(x)
        out = xp.zeros_like(x)
        for k, component in enumerate(self.components):
            drawn = component.sample_posterior(x, sigma, sigma_end, rng)
            out = xp.where((labels == k)[:, None], drawn, out)
        return out

    def _sample_components(self, labels, draw):
        out = np.empty((labels.shape[0], self.dimension))
        for k in range(len(self.components)):
            rows = np.flatnonzero(labels == k)
            if rows.size:
                out[rows] = draw(k, rows.size)
        return out

    def _joint(self, x, sigma):
        x, sigma = self._arguments(x, sigma)
        xp = array_namespace(x)
        logs = [component.log_density(x, sigma) for component in self.components]
        prior = xp.log(like(self.component_weights, x))
        return xp.stack(logs, axis=1) + prior[None, :]

    def _shift(self, x, sigma):
        weights = self.weights(x, sigma)
        shifts = [component._shift(x, sigma) for component in self.components]
        return sum(weights[:, k : k + 1] * shift for k, shift in enumerate(shifts))


def _logsumexp(values):
    xp = array_namespace(values)
    top = xp.max(values, axis=1)
    return top + xp.log(xp.sum(xp.exp(values - top[:, None]), axis=1))


def _vector(value, name):
    array = _real_array(value, name)
    if array.ndim != 1:
        raise ValueError(f"{name} must have shape (d,), got shape {array.shape}")
    return as_points(array[None, :], name)[0]


def _real_array(value, name):
    array = np.asarray(like(as_real(value, name), np.empty(0)))
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{name} holds NaN or infinity")
    return array


def _principal_axes(cov, dimension, name):
    """Return the variances ``(d,)`` and axes ``(d, d)``, None for the coordinates."""
    cov = _real_array(cov, name)
    if cov.shape in ((), (dimension,)):
        variances, axes = np.broadcast_to(cov, (dimension,)).copy(), None
    elif cov.shape == (dimension, dimension):
        if not np.allclose(cov, cov.T, rtol=1e-10, atol=1e-12 * np.abs(cov).max()):
            gap = np.abs(cov - cov.T).max()
            raise ValueError(f"{name} must be symmetric, got entries {gap:.3g} apart")
        variances, axes = np.linalg.eigh((cov + cov.T) / 2)
        # eigh returns tiny negative numbers for singular matrices.
        rounding = 1e-12 * np.abs(variances).max()
        variances = np.where(np.abs(variances) < rounding, 0.0, variances)
    else:
        raise ValueError(
            f"{name} must be a number or have shape ({dimension},) or "
            f"({dimension}, {dimension}), got shape {cov.shape}"
        )
    if np.any(variances < 0):
        raise ValueError(
            f"{name} must be positive semidefinite, got variance {variances.min():.3g}"
        )
    return variances, axes


def _each_covariance(covs, count, dimension):
    covs = _real_array(covs, "covs")
    if covs.shape == (dimension, dimension) or covs.ndim == 0:
        return [covs] * count
    if covs.ndim in (1, 3) and covs.shape[0] == count:
        return list(covs)
    raise ValueError(
        f"covs must be a number or have shape ({count},), ({dimension}, {dimension}) "
        f"or ({count}, {dimension}, {dimension}), got shape {covs.shape}"
    )


def _mixture_weights(weights, count):
    if weights is None:
        return np.full(count, 1.0 / count)
    weights = _vector(weights, "weights")
    if weights.shape != (count,):
        raise ValueError(f"weights must have shape ({count},), got {weights.shape}")
    if np.any(weights <= 0) or abs(weights.sum() - 1) > 1e-9:
        raise ValueError(
            f"weights must be positive and sum to 1, got minimum {weights.min():.3g} "
            f"and sum {weights.sum():.6g}"
        )
    return weights / weights.sum()
