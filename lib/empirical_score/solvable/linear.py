"""The solvable diffusion model: one linear denoising step, fitted by least squares.

Data are Gaussian, ``y ~ N(mu, s^2 I)`` in d dimensions; each of n training points gets
one noisy copy ``x = y + sigma z``.  The denoiser is the least-squares line from x to y,
and the generator applies it once to a Gaussian start (Halder 2024).  Up to the units of
the data everything depends on n, d and the noise-to-signal ratio ``nu = sigma^2 / s^2``
alone; ``rho^2 = 1 / (1 + nu)`` is the squared correlation of x and y.  For the process
``dX = -X dt + sqrt(2 lambda) dB`` up to T, ``sigma^2 = lambda (e^{2T} - 1)``.

Divergences are ``KL(generated || p)`` in nats for each dimension, C is the generated
covariance, and ``gamma = (n - 1) / d``, the degrees of freedom for each dimension.
"""

from __future__ import annotations

import numpy as np

from .._support.arrays import as_points, as_positive_number, like
from .._support.draws import as_numpy_generator
from .._support.show import described
from .._support.types import NumpyRng, Points
from ..distributions.densities import Gaussian
from .linear_limits import (
    best_ratio,
    critical_noise,
    kl_limit,
    log_det_limit,
    many_draws_kl_limit,
    population_kl,
)
from .linear_sizes import expected_trace, kl, log_det_bound, log_det_estimate, span_kl

__all__ = [
    "LinearDenoiser",
    "best_ratio",
    "critical_noise",
    "expected_trace",
    "generator",
    "kl",
    "kl_limit",
    "log_det_bound",
    "log_det_estimate",
    "log_det_limit",
    "many_draws_kl_limit",
    "population_kl",
    "span_kl",
]


class LinearDenoiser:
    """The affine denoiser ``x -> y_mean + slope (x - x_mean)`` of least squares.

    Parameters
    ----------
    x, y : arrays ``(n, d)``, n >= 2
        Noisy points and the clean points behind them, row by row, in units of the data.

    Attributes
    ----------
    dimension : int
        The number d of coordinates.
    slope : array ``(d, d)``
        The fitted matrix.
    x_mean, y_mean : arrays ``(d,)``
        The means of the rows.
    rank : int
        The numerical rank of the slope.

    Raises
    ------
    TypeError, ValueError
        For bad arrays, shapes that differ or a single row.

    Notes
    -----
    Halder (2024); ``def-linear-denoiser`` in the book.  The fit is on centered data in
    float64, of minimum norm where n <= d (where it passes through every pair).

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> x = np.array([[0.0], [2.0], [4.0]])
    >>> denoiser = es.LinearDenoiser(x, x / 2)
    >>> denoiser([[6.0]]).round(6)
    array([[3.]])
    >>> denoiser
    LinearDenoiser(dimension=1, rank=1)
    """

    def __init__(self, x: Points, y: Points) -> None:
        x = like(as_points(x, "x"), np.empty(0))
        y = like(as_points(y, "y", x.shape[1]), np.empty(0))
        if x.shape != y.shape or x.shape[0] < 2:
            raise ValueError(
                "x and y must be equally many rows, at least 2, "
                f"got shapes {x.shape} and {y.shape}"
            )
        self.dimension = x.shape[1]
        (self.x_mean, x), (self.y_mean, y) = _centered(x), _centered(y)
        fit = np.linalg.lstsq(x, y, rcond=None)
        self.slope, self.rank = fit[0].T, int(fit[2])

    def __repr__(self):
        return described(self, dimension=self.dimension, rank=self.rank)

    def __call__(self, x: Points) -> np.ndarray:
        """Denoise points.

        Parameters
        ----------
        x : array ``(m, d)``
            In units of the data.

        Returns
        -------
        array ``(m, d)``
        """
        x = like(as_points(x, "x", self.dimension), np.empty(0))
        return self.y_mean + (x - self.x_mean) @ self.slope.T

    def generated(self, start_variance: float) -> Gaussian:
        """Return the distribution of ``self(x)``, x ~ N(y_mean, start_variance I).

        Parameters
        ----------
        start_variance : positive number
            In squared units of the data.

        Returns
        -------
        Gaussian
            Of mean ``self(y_mean)`` and covariance ``start_variance * slope slope^T``;
            singular where ``rank < d``.
        """
        variance = as_positive_number(start_variance, "start_variance")
        axes, scales, _ = np.linalg.svd(self.slope)
        distribution = Gaussian(self(self.y_mean[None])[0], 0.0)
        # Singular values, not eigenvalues of a product: small ones keep their digits.
        distribution.axes = axes
        distribution.variances = np.where(
            np.arange(self.dimension) < self.rank, variance * scales**2, 0.0
        )
        return distribution


def generator(
    data: Points, sigma: float, rng: NumpyRng, *, start_variance: float | None = None
) -> Gaussian:
    """Train the one-step model on data, and return the distribution that it generates.

    One noise draw for each point, a :class:`LinearDenoiser`, and a start ``N(y_mean,
    start_variance I)``.

    Parameters
    ----------
    data : array ``(n, d)``, n >= 2
        The training points.
    sigma : positive number
        Noise level, in units of the data.
    rng : numpy.random.Generator or int seed
    start_variance : positive number, optional
        By default the variance of the noisy data: the average unbiased variance of a
        coordinate plus ``sigma^2``.

    Returns
    -------
    Gaussian

    Raises
    ------
    TypeError, ValueError
        For bad arrays, numbers or generators.

    Notes
    -----
    Halder (2024); ``def-linear-denoiser`` in the book.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> data = np.random.default_rng(0).standard_normal((3, 5))
    >>> generated = es.linear.generator(data, 1.0, 1)  # n <= d: rank n - 1
    >>> int((generated.variances > 0).sum())
    2
    """
    data = like(as_points(data, "data"), np.empty(0))
    sigma = as_positive_number(sigma, "sigma")
    noisy = data + sigma * as_numpy_generator(rng).standard_normal(data.shape)
    if start_variance is None:
        start_variance = np.mean(np.var(data, axis=0, ddof=1)) + sigma**2
    return LinearDenoiser(noisy, data).generated(start_variance)


def _centered(points):
    mean = points.mean(axis=0)
    rest = points - mean
    # Twice: the rounding of a large mean would count as one more direction.
    again = rest.mean(axis=0)
    return mean + again, rest - again
