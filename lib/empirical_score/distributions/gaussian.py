"""The normal distribution, with its score at every noise level."""

from __future__ import annotations

import numpy as np

from .._support.arrays import (
    array_namespace,
    as_count,
    as_points,
    as_real,
    as_rows,
    like,
)
from .._support.draws import as_generator, normal
from .._support.show import described
from .._support.types import Array, Level, Numbers, Points, Rng
from .score import Density, check_end_level

__all__ = ["Gaussian"]


class Gaussian(Density):
    """The normal distribution ``N(mean, cov)``: ``p_sigma = N(mean, cov + sigma^2 I)``.

    Parameters
    ----------
    mean : array ``(d,)``
        In units of the data, as all points and noise levels.
    cov : number, array ``(d,)`` or array ``(d, d)``
        The covariance matrix: a multiple of the identity, a diagonal, or all of it,
        symmetric and positive semidefinite; 0 is a point mass.

    Attributes
    ----------
    dimension : int
        The number d of coordinates.
    variances : array ``(d,)``
        The eigenvalues of the covariance matrix.
    axes : array ``(d, d)`` or None
        Its eigenvectors, as columns; None where they are the coordinate axes.

    Raises
    ------
    ValueError
        For wrong shapes, NaN, an asymmetric matrix or a negative variance.

    Notes
    -----
    Along an axis of variance v the denoiser is ``mean + v / (v + sigma^2) (x - mean)``;
    its probability flow is ``prop-gaussian-flow`` in the book.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> p = es.Gaussian([0.0, 0.0], [1.0, 3.0])
    >>> p.score(np.array([[2.0, 2.0]]), 1.0)  # -x / (variance + sigma^2)
    array([[-1. , -0.5]])
    >>> p
    Gaussian(mean=[0., 0.], variances=[1., 3.])
    """

    def __init__(self, mean: Numbers, cov: Numbers = 1.0) -> None:
        self.mean = as_vector(mean, "mean")
        self.dimension = self.mean.shape[0]
        self.variances, self.axes = _principal_axes(cov, self.dimension, "cov")

    def __repr__(self):
        axes = () if self.axes is None else ("along its own axes",)
        return described(self, *axes, mean=self.mean, variances=self.variances)

    @property
    def cov(self) -> np.ndarray:
        """The covariance matrix, ``(d, d)``."""
        if self.axes is None:
            return np.diag(self.variances)
        return (self.axes * self.variances) @ self.axes.T

    def log_density(self, x: Points, sigma: Level) -> Array:
        """Return ``log N(x; mean, cov + sigma^2 I)`` in nats.

        Parameters
        ----------
        x : array ``(m, d)``
        sigma : positive number or array ``(m,)``

        Returns
        -------
        array ``(m,)``
        """
        x, sigma = self._arguments(x, sigma)
        xp = array_namespace(x)
        z, variances = self._coordinates(x), self._variances(x)
        total = variances + sigma[:, None] ** 2
        return -0.5 * xp.sum(z**2 / total + xp.log(2 * np.pi * total), axis=1)

    def covariance_product(self, x: Points, sigma: Level, v: Points) -> Array:
        """Multiply by the posterior covariance: ``Cov[Y | Y + sigma Z = x] v``.

        The posterior covariance is ``cov (cov + sigma^2 I)^{-1} sigma^2``, the same
        at every ``x``.

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
        variances, noise = self._variances(x), sigma[:, None] ** 2
        return self._rotate_back(
            self._rotate(v) * (variances * noise / (variances + noise)), x
        )

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
        z = normal(as_generator(rng), (as_count(n, "n"), self.dimension), self.mean)
        return self.mean + self._rotate_back(z * np.sqrt(self.variances), z)

    def sample_posterior(
        self, x: Points, sigma: Level, sigma_end: float, rng: Rng
    ) -> Array:
        """Draw ``X_end`` given ``X_sigma = x`` exactly: one reverse step, however long.

        Along an axis of variance v the posterior of ``Y + sigma_end Z`` has mean
        ``mean + (v + sigma_end^2) / (v + sigma^2) (x - mean)`` and variance
        ``(v + sigma_end^2) (sigma^2 - sigma_end^2) / (v + sigma^2)``.

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
        xp = array_namespace(x)
        end = check_end_level(sigma_end, sigma)
        variances, noise = self._variances(x), sigma[:, None] ** 2
        left, total = variances + end**2, variances + noise
        z = normal(as_generator(rng), tuple(x.shape), x)
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


def as_vector(value, name):
    array = as_real_array(value, name)
    if array.ndim != 1:
        raise ValueError(f"{name} must have shape (d,), got shape {array.shape}")
    return as_points(array[None, :], name)[0]


def as_real_array(value, name):
    array = np.asarray(like(as_real(value, name), np.empty(0)))
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{name} holds NaN or infinity")
    return array


def _principal_axes(cov, dimension, name):
    """Return the variances ``(d,)`` and axes ``(d, d)``, None for the coordinates."""
    cov = as_real_array(cov, name)
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
