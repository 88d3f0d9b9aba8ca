"""Distributions with a smoothed score in closed form: Gaussians and their mixtures.

Each ``p`` stands for the family ``p_sigma = p * N(0, sigma^2 I)`` and answers the same
questions as :class:`empirical_score.EmpiricalScore`.
"""

from __future__ import annotations

import numpy as np

from .._support.arrays import (
    array_namespace,
    as_count,
    as_points,
    as_rows,
    like,
)
from .._support.draws import as_generator, choose
from .._support.show import described
from .._support.types import Array, Level, Numbers, Points, Rng
from .gaussian import Gaussian, as_real_array, as_vector
from .score import Density, check_end_level

__all__ = ["Gaussian", "GaussianMixture"]


class GaussianMixture(Density):
    """The mixture of normal distributions ``sum_k weights_k N(means_k, covs_k)``.

    Parameters
    ----------
    means : array ``(k, d)``
        In units of the data, as all points and noise levels.
    covs : number, array ``(k,)``, array ``(d, d)`` or array ``(k, d, d)``
        Covariances: one variance for all, one for each component, one matrix for all,
        or one for each.
    weights : array ``(k,)``, optional
        Positive, summing to one; equal by default.

    Attributes
    ----------
    dimension : int
        The number d of coordinates.
    components : list of Gaussian
        The k normal distributions.

    Raises
    ------
    ValueError
        For wrong shapes, NaN, a bad covariance, or weights that do not sum to one.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> p = es.GaussianMixture([[-1.0], [1.0]], 0.0)  # two points
    >>> p.denoise(np.array([[0.5]]), 1.0).round(4)  # tanh(x / sigma^2)
    array([[0.4621]])
    >>> p
    GaussianMixture(2 components, dimension=1)
    """

    def __init__(
        self, means: Numbers, covs: Numbers = 1.0, weights: Numbers | None = None
    ) -> None:
        self.means = np.asarray(like(as_points(means, "means"), np.empty(0)))
        count, self.dimension = self.means.shape
        self.component_weights = _mixture_weights(weights, count)
        covs = _each_covariance(covs, count, self.dimension)
        self.components = [
            Gaussian(mean, cov) for mean, cov in zip(self.means, covs, strict=True)
        ]

    def __repr__(self):
        count = f"{len(self.components)} components"
        return described(self, count, dimension=self.dimension)

    def log_weights(self, x: Points, sigma: Level) -> Array:
        """Return the log posterior probability of each component.

        Parameters
        ----------
        x : array ``(m, d)``
        sigma : positive number or array ``(m,)``

        Returns
        -------
        array ``(m, k)``
        """
        joint = self._joint(x, sigma)
        return joint - _logsumexp(joint)[:, None]

    def weights(self, x: Points, sigma: Level) -> Array:
        """Return the posterior probability of each component.

        Parameters
        ----------
        x : array ``(m, d)``
        sigma : positive number or array ``(m,)``

        Returns
        -------
        array ``(m, k)``
            Each row sums to one.
        """
        log_weights = self.log_weights(x, sigma)
        return array_namespace(log_weights).exp(log_weights)

    def log_density(self, x: Points, sigma: Level) -> Array:
        """Return ``log sum_k w_k N(x; means_k, covs_k + sigma^2 I)`` in nats.

        Parameters
        ----------
        x : array ``(m, d)``
        sigma : positive number or array ``(m,)``

        Returns
        -------
        array ``(m,)``
        """
        return _logsumexp(self._joint(x, sigma))

    def covariance_product(self, x: Points, sigma: Level, v: Points) -> Array:
        """Multiply by the posterior covariance: ``Cov[Y | Y + sigma Z = x] v``.

        By the law of total covariance: within the components and between their means.

        Parameters
        ----------
        x : array ``(m, d)``
        sigma : positive number or array ``(m,)``
        v : array ``(m, d)``
            One vector for each row of ``x``.

        Returns
        -------
        array ``(m, d)``
        """
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

    def sample(self, n: int, rng: Rng) -> np.ndarray:
        """Draw independent points without added noise.

        Parameters
        ----------
        n : int
            The number of points.
        rng : numpy.random.Generator, torch.Generator or int seed

        Returns
        -------
        array ``(n, d)``
        """
        rng = as_generator(rng)
        weights = np.broadcast_to(
            self.component_weights, (as_count(n, "n"), len(self.components))
        )
        return self._sample_components(
            choose(rng, weights), lambda k, rows: self.components[k].sample(rows, rng)
        )

    def sample_posterior(
        self, x: Points, sigma: Level, sigma_end: float, rng: Rng
    ) -> Array:
        """Draw ``X_end`` given ``X_sigma = x`` exactly: one reverse step, however long.

        First the component, by its posterior weight, then its Gaussian posterior.

        Parameters
        ----------
        x : array ``(m, d)``
        sigma : positive number or array ``(m,)``
        sigma_end : number
            The level to go to, at least 0 and below ``sigma``.
        rng : numpy.random.Generator, torch.Generator or int seed

        Returns
        -------
        array ``(m, d)``
        """
        x, sigma = self._arguments(x, sigma)
        check_end_level(sigma_end, sigma)
        rng = as_generator(rng)
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


def _each_covariance(covs, count, dimension):
    covs = as_real_array(covs, "covs")
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
    weights = as_vector(weights, "weights")
    if weights.shape != (count,):
        raise ValueError(f"weights must have shape ({count},), got {weights.shape}")
    if np.any(weights <= 0) or abs(weights.sum() - 1) > 1e-9:
        raise ValueError(
            f"weights must be positive and sum to 1, got minimum {weights.min():.3g} "
            f"and sum {weights.sum():.6g}"
        )
    return weights / weights.sum()
