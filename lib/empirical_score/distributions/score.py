"""The base classes of all scores: Tweedie's formula and ``score(x, sigma)``."""

from __future__ import annotations

import numpy as np

from .._support.arrays import (
    array_namespace,
    as_number,
    as_points,
    as_sigma,
)
from .._support.show import described
from .._support.types import Array, Level, Points

__all__ = ["Density", "Score", "check_end_level"]


class Score:
    """A score ``s(x, sigma)``, made of a denoiser: the base class of all scores.

    A subclass sets ``dimension`` and defines ``denoise(x, sigma)``; the score follows
    by Tweedie's formula,

        s(x, sigma) = (D(x, sigma) - x) / sigma^2,

    and an instance can go wherever the library takes a score.  ``x`` has shape
    ``(m, d)`` and ``sigma`` is a positive number or has shape ``(m,)``; the result has
    the kind, the precision and the device of ``x``.

    Attributes
    ----------
    dimension : int
        The number ``d`` of columns of ``x``.

    Notes
    -----
    Robbins (1956), Miyasawa (1961), Efron (2011); ``thm-tweedie`` in the book.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> class Origin(es.Score):
    ...     dimension = 2
    ...     def denoise(self, x, sigma):
    ...         return 0 * x
    >>> Origin()(np.array([[2.0, 4.0]]), 2.0)
    array([[-0.5, -1. ]])
    >>> Origin()
    Origin(dimension=2)
    """

    dimension: int

    def __repr__(self):
        return described(self, dimension=getattr(self, "dimension", None))

    def __call__(self, x: Points, sigma: Level) -> Array:
        """Return the score, ``(m, d)``; the same as :meth:`score`."""
        return self.score(x, sigma)

    def score(self, x: Points, sigma: Level) -> Array:
        """Return ``(D(x, sigma) - x) / sigma^2``, shape ``(m, d)``.

        Raises ``TypeError`` and ``ValueError`` for an ``x`` that is not ``(m, d)`` of
        finite real numbers or a ``sigma`` that is not positive; the message names the
        argument, as in all methods.
        """
        x, sigma = self._arguments(x, sigma)
        return self._shift(x, sigma) / sigma[:, None] ** 2

    def denoise(self, x: Points, sigma: Level) -> Array:
        """Return the denoiser ``D(x, sigma)``.

        For a distribution it is the posterior mean ``E[Y | Y + sigma Z = x]``.

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
        x, sigma = self._arguments(x, sigma)
        return x + self._shift(x, sigma)

    def _shift(self, x, sigma):
        """Return ``D(x, sigma) - x``, ``(m, d)``, without cancellation where possible.

        The arguments have been checked.
        """
        if type(self).denoise is Score.denoise:
            raise NotImplementedError(
                f"{type(self).__name__} must define denoise(x, sigma)"
            )
        return self.denoise(x, sigma) - x

    def _arguments(self, x: Points, sigma: Level) -> tuple[Array, Array]:
        """Return ``x`` and ``sigma`` ``(m,)`` as checked arrays of one kind."""
        x = as_points(x, "x", self.dimension)
        return x, as_sigma(sigma, x.shape[0], x)


class Density(Score):
    """A score that is the gradient of a log density, at every noise level.

    It stands for the distributions ``p_sigma`` of ``Y + sigma Z``; a subclass of
    :class:`Score` that defines ``log_density`` as well.

    Examples
    --------
    >>> import empirical_score as es
    >>> isinstance(es.Gaussian([0.0]), es.Density)
    True
    """

    def log_density(self, x: Points, sigma: Level) -> Array:
        """Return ``log p_sigma(x)``, the log density at a noise level, in nats.

        Parameters
        ----------
        x : array ``(m, d)``
            Noised points, in units of the data.
        sigma : positive number or array ``(m,)``
            Noise level, in units of the data.

        Returns
        -------
        array ``(m,)``
        """
        raise NotImplementedError(
            f"{type(self).__name__} must define log_density(x, sigma)"
        )


def check_end_level(sigma_end, sigma):
    """Return ``sigma_end`` as a float; raise unless ``0 <= sigma_end < sigma``."""
    end = as_number(sigma_end, "sigma_end")
    xp = array_namespace(sigma)
    if not (np.isfinite(end) and end >= 0 and bool(xp.all(sigma > end))):
        raise ValueError(
            "sigma_end must be at least 0 and below sigma, got "
            f"sigma_end={end} and smallest sigma={float(xp.min(sigma))}"
        )
    return end
