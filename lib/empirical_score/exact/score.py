"""The exact score of a training set: the best score for a finite sample.

For training points ``y_1 .. y_n`` and noise level ``sigma`` the minimizer of the
denoising score matching loss is the score of a Gaussian kernel density estimate,

    p_sigma(x) = (1/n) sum_j N(x; y_j, sigma^2 I),
    grad log p_sigma(x) = ( sum_j w_j(x) y_j - x ) / sigma^2,

with softmax weights ``w_j``.  This module is its face; ``exact`` does the sums.
"""

from __future__ import annotations

import math

from .._support.arrays import (
    EPS,
    array_namespace,
    as_count,
    as_points,
    as_positive_number,
    as_rows,
    as_sigma,
    double,
    is_torch_array,
    itemsize,
    like,
    plain,
    row_blocks,
)
from .._support.draws import as_generator, choose, normal, uniform
from .._support.show import described
from .._support.types import Array, Level, Rng
from .._support.types import Points as PointRows
from ..distributions.score import Density, Score, check_end_level
from . import dense, weights
from .certified import Certificate, certificate, within
from .paths import State, path_step
from .points import Points
from .tree import HIGHEST, build, tree_average

__all__ = ["EmpiricalScore", "as_empirical"]

LOW_DIMENSION = 64


class EmpiricalScore(Density):
    """The score of a Gaussian kernel density estimate, exactly: ``score(x, sigma)``.

    With training points ``y_1 .. y_n`` it is the score of
    ``p_sigma = (1/n) sum_j N(y_j, sigma^2 I)``,

        grad log p_sigma(x) = (D(x, sigma) - x) / sigma^2,    D = sum_j w_j y_j,
        w = softmax_j( -|x - y_j|^2 / (2 sigma^2) ),

    and the minimizer of the denoising score matching loss over all functions.

    In all methods ``x`` is ``(m, d)`` and ``sigma`` a positive number or ``(m,)``;
    the result has the kind and device of ``x`` and the precision of ``data``.

    Parameters
    ----------
    data : array ``(n, d)``
        The training points, NumPy or torch; float32 stays float32, all else is
        computed in float64.
    memory : int, optional
        Bound, in bytes, on the temporary arrays of one block of rows.  By default
        small enough for a processor's cache in low dimension, where passes over the
        weights cost most, and 128 MiB in high, where the matrix product does.
    tolerance : float, optional
        Denoiser and score may leave out what certainly changes the denoiser by at most
        this much, root mean square a coordinate, in units of the data; see
        :meth:`certified`.  By default all points are summed.

    Raises
    ------
    TypeError, ValueError
        For data, ``x`` or ``sigma`` of a wrong type or shape, empty, NaN, infinite,
        or a noise level that is not positive; the message names the argument.

    Notes
    -----
    Vincent (2011) for the loss; the minimizer over all functions is standard, and is
    Section 3 of Li, Chen & Li (2024).  ``thm-empirical-score`` in the book.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> score = es.EmpiricalScore([[0.0], [2.0]])
    >>> score(np.array([[1.0], [5.0]]), 1.0).round(3)
    array([[ 0.   ],
           [-3.001]])
    >>> score
    EmpiricalScore(n=2, dimension=1, tolerance=None)
    """

    def __init__(
        self,
        data: PointRows,
        *,
        memory: int | None = None,
        tolerance: float | None = None,
    ) -> None:
        self.data = as_points(data, "data")
        self.dimension = self.data.shape[1]
        if memory is None:
            memory = 2**24 if self.dimension <= LOW_DIMENSION else 2**27
        self.memory = int(as_positive_number(memory, "memory"))
        if tolerance is not None:
            tolerance = as_positive_number(tolerance, "tolerance")
        self.tolerance = tolerance
        self._prepared: dict = {}
        self._trees: dict = {}

    def __repr__(self):
        n, d = self.data.shape
        return described(self, n=n, dimension=d, tolerance=self.tolerance)

    def __getstate__(self):
        """Copy and pickle the data, not what was prepared from them."""
        return {**self.__dict__, "_prepared": {}, "_trees": {}}

    def denoise(self, x: PointRows, sigma: Level) -> Array:
        """Return the denoiser ``D(x, sigma) = sum_j w_j y_j``, the posterior mean.

        Parameters
        ----------
        x : array ``(m, d)``
            Noised points, in units of the data.
        sigma : positive number or array ``(m,)``
            Noise level, in units of the data.

        Returns
        -------
        array ``(m, d)``
            In units of the data; to the tolerance where there is one.

        Examples
        --------
        >>> import numpy as np, empirical_score as es
        >>> es.EmpiricalScore([[0.0], [2.0]]).denoise(np.array([[1.0]]), 0.3)
        array([[1.]])
        """
        if self.tolerance is not None:
            return self.certified(x, sigma)[0]
        x, sigma = self._arguments(x, sigma)
        if _has_history(x, sigma):
            return self._weights(x, sigma) @ like(self.data, x)
        return like(self._average(x, sigma).mean(), x)

    def certified(self, x: PointRows, sigma: Level) -> tuple[Array, Certificate]:
        """Return the denoiser to the tolerance, and a certificate of its error.

        Parameters
        ----------
        x : array ``(m, d)``
            Noised points, in units of the data.
        sigma : positive number or array ``(m,)``
            Noise level, in units of the data.

        Returns
        -------
        denoiser : array ``(m, d)``
        certificate : Certificate
            The bounds ``error`` ``(m,)``, on the root mean square deviation a
            coordinate of what is returned from the denoiser over all points, at ``x``
            and ``sigma`` in the precision of ``data``, and ``discarded`` ``(m,)``, on
            the weight of the points left out; ``share``, the work done as a share of
            that over all points; ``rigorous`` ``(m,)``, whether ``error`` is proved in
            every term; and ``method`` ``(m,)``, how the row was computed.

        Raises
        ------
        ValueError
            Without a tolerance.

        Notes
        -----
        Where ``rigorous`` is false, rounding is bounded as libraries are seen to round:
        that of float32 products is taken as four times what is seen at some points.  An
        error above the tolerance says that the precision of ``data`` allows no less.
        ``prop-pruning`` and ``prop-node`` in the book.

        Examples
        --------
        >>> import numpy as np, empirical_score as es
        >>> score = es.EmpiricalScore(10 * np.eye(20), tolerance=1e-3)
        >>> found, certificate = score.certified(np.zeros((2, 20)) + 0.1, 0.5)
        >>> bool(np.all(certificate.error <= 1e-3))
        True
        """
        x, sigma = self._arguments(x, sigma)
        mean, found = self._certified(x, sigma)
        return _returned(mean, found, x)

    def along_path(self, x: PointRows) -> EmpiricalScore | PathScore:
        """Return this score for use along deterministic paths that start at ``x``.

        With a tolerance, what former states of the path tell is not computed again;
        :func:`~empirical_score.sample_ode` asks for this by itself.

        Parameters
        ----------
        x : array ``(m, d)``
            Where the paths start; all later states have one row for each.

        Returns
        -------
        score
            The score itself without a tolerance, or in few dimensions.

        Notes
        -----
        ``thm-lock`` and ``prop-reused`` in the book.

        Examples
        --------
        >>> import numpy as np, empirical_score as es
        >>> score = es.EmpiricalScore(np.eye(20), tolerance=1e-3)
        >>> path = score.along_path(np.zeros((3, 20)))
        >>> path
        PathScore(EmpiricalScore(n=20, dimension=20, tolerance=0.001), paths=3)
        """
        x, _ = self._arguments(x, 1.0)
        if self.tolerance is None or self.dimension <= HIGHEST:
            return self
        return PathScore(self, x.shape[0])

    starting_from = along_path  # the former name

    def log_weights(self, x: PointRows, sigma: Level) -> Array:
        """Return the log posterior probabilities of the training points.

        ``log softmax_j(-|x - y_j|^2 / (2 sigma^2))``.

        Parameters
        ----------
        x : array ``(m, d)``
            Noised points, in units of the data.
        sigma : positive number or array ``(m,)``
            Noise level, in units of the data.

        Returns
        -------
        array ``(m, n)``

        Examples
        --------
        >>> import numpy as np, empirical_score as es
        >>> score = es.EmpiricalScore([[0.0], [10.0]])
        >>> score.log_weights(np.array([[0.0]]), 1.0)  # the second is 100 / 2 behind
        array([[  0., -50.]])
        """
        x, sigma = self._arguments(x, sigma)
        return self._log_weights(x, sigma)

    def weights(self, x: PointRows, sigma: Level) -> Array:
        """Return the posterior probability of each training point: a softmax.

        Parameters
        ----------
        x : array ``(m, d)``
            Noised points, in units of the data.
        sigma : positive number or array ``(m,)``
            Noise level, in units of the data.

        Returns
        -------
        array ``(m, n)``
            Each row sums to one.

        Notes
        -----
        ``thm-empirical-score`` in the book.

        Examples
        --------
        >>> import numpy as np, empirical_score as es
        >>> score = es.EmpiricalScore([[0.0], [2.0]])
        >>> score.weights(np.array([[1.0], [2.0]]), 1.0).round(3)
        array([[0.5  , 0.5  ],
               [0.119, 0.881]])
        """
        x, sigma = self._arguments(x, sigma)
        return self._weights(x, sigma)

    def effective_points(self, x: PointRows, sigma: Level) -> Array:
        """Return the effective number of training points, ``exp(-sum_j w_j log w_j)``.

        The perplexity of the weights, between 1 and n.

        Parameters
        ----------
        x : array ``(m, d)``
            Noised points, in units of the data.
        sigma : positive number or array ``(m,)``
            Noise level, in units of the data.

        Returns
        -------
        array ``(m,)``

        Notes
        -----
        ``def-effective-points`` in the book.

        Examples
        --------
        >>> import numpy as np, empirical_score as es
        >>> score = es.EmpiricalScore([[0.0], [2.0]])
        >>> score.effective_points(np.array([[1.0], [9.0]]), 1.0).round(3)
        array([2., 1.])
        """
        x, sigma = self._arguments(x, sigma)
        xp, parts = array_namespace(x), []
        for rows in self._row_blocks(x):
            logs = self._log_weights(x[rows], sigma[rows])
            # exp(-800) is 0: the clip keeps 0 * infinity away.
            clipped = xp.clip(logs, -800.0, None)
            parts.append(xp.exp(-xp.sum(xp.exp(logs) * clipped, axis=1)))
        return xp.concat(parts)

    def log_density(self, x: PointRows, sigma: Level) -> Array:
        """Return the log of the Gaussian kernel density estimate, ``log p_sigma(x)``.

        Parameters
        ----------
        x : array ``(m, d)``
            Noised points, in units of the data.
        sigma : positive number or array ``(m,)``
            Noise level, in units of the data.

        Returns
        -------
        array ``(m,)``
            In nats.

        Examples
        --------
        >>> import numpy as np, empirical_score as es
        >>> es.EmpiricalScore([[0.0]]).log_density(np.array([[0.0]]), 1.0).round(3)
        array([-0.919])
        """
        x, sigma = self._arguments(x, sigma)
        (n, d), xp = self.data.shape, array_namespace(x)
        found, (values, level) = self._average(x, sigma), _numbers(x, sigma)
        total = like(found.log_kernel_sum(values, level, self._points(x).xp), x)
        if _has_history(x, sigma):
            logs, score = self._log_weights(x, sigma), found.shift(values)
            score = like(score / level[:, None] ** 2, x)
            own = weights.differentiable_log_sum(
                like(self.data, x), x, sigma, logs, score
            )
            total = total + (own - own.detach())
        return total - math.log(n) - d * (xp.log(sigma) + math.log(2 * math.pi) / 2)

    def covariance_product(self, x: PointRows, sigma: Level, v: PointRows) -> Array:
        """Return the posterior covariance times vectors, ``Cov[Y | X = x] v``.

        ``Cov[Y | X = x] = sum_j w_j (y_j - D)(y_j - D)^T``, D the denoiser, which is
        ``sigma^2 (I + sigma^2 Hessian log p_sigma(x))``.  No matrix is formed.

        Parameters
        ----------
        x : array ``(m, d)``
            Noised points, in units of the data.
        sigma : positive number or array ``(m,)``
            Noise level, in units of the data.
        v : array ``(m, d)`` or ``(d,)``
            One vector for each row of ``x``, or one for all.

        Returns
        -------
        array ``(m, d)``
            In units of the data, squared, times those of ``v``.

        Notes
        -----
        ``prop-hessian`` in the book.

        Examples
        --------
        >>> import numpy as np, empirical_score as es
        >>> score = es.EmpiricalScore([[-1.0], [1.0]])
        >>> score.covariance_product(np.array([[0.0]]), 1.0, np.array([[1.0]])).round(3)
        array([[1.]])
        """
        x, sigma = self._arguments(x, sigma)
        v = as_rows(v, "v", x.shape[0], self.dimension, x)
        points, parts = self._points(x), []
        for rows in self._row_blocks(x):
            own = _numbers(x[rows], sigma[rows], v[rows])
            parts.append(like(weights.covariance_product(points, *own), x))
        return array_namespace(x).concat(parts)

    def sample(self, n: int, rng: Rng) -> Array:
        """Draw ``n`` training points with replacement: the empirical distribution.

        Parameters
        ----------
        n : int
            How many.
        rng : numpy.random.Generator, torch.Generator or int seed
            The only source of randomness.

        Returns
        -------
        array ``(n, d)``

        Examples
        --------
        >>> import empirical_score as es
        >>> es.EmpiricalScore([[3.0]]).sample(2, 0)
        array([[3.],
               [3.]])
        """
        rng = as_generator(rng)
        xp, count = array_namespace(self.data), self.data.shape[0]
        places = xp.astype(self.data[:1, 0], xp.float64)
        places = uniform(rng, (as_count(n, "n"),), places) * count
        return self.data[xp.astype(places, xp.int64)]

    def sample_posterior(
        self, x: PointRows, sigma: Level, sigma_end: float, rng: Rng
    ) -> Array:
        """Draw from the posterior of ``X_end`` given ``X_sigma = x``, exactly.

        A training point ``y`` is drawn by its weight at ``(x, sigma)``; given it,
        ``X_end`` is Gaussian with mean ``y + r (x - y)``, ``r = sigma_end^2 /
        sigma^2``, and variance ``sigma_end^2 (1 - r)``: the reverse diffusion with the
        exact empirical score, in one step and without error.

        Parameters
        ----------
        x : array ``(m, d)``
            Noised points, in units of the data.
        sigma : positive number or array ``(m,)``
            Noise level, in units of the data.
        sigma_end : number, at least 0 and below ``sigma``
            The level to which to go; at 0 the draws are training points.
        rng : numpy.random.Generator, torch.Generator or int seed
            The only source of randomness.

        Returns
        -------
        array ``(m, d)``

        Raises
        ------
        ValueError
            Unless ``0 <= sigma_end < sigma``.

        Notes
        -----
        ``thm-exact-reverse-law`` in the book.

        Examples
        --------
        >>> import numpy as np, empirical_score as es
        >>> score = es.EmpiricalScore([[0.0], [2.0]])
        >>> score.sample_posterior(np.array([[0.1], [1.9]]), 0.1, 0.0, 0)
        array([[0.],
               [2.]])
        """
        rng = as_generator(rng)
        x, sigma = self._arguments(x, sigma)
        end = check_end_level(sigma_end, sigma)
        xp = array_namespace(x)
        chosen = [
            choose(rng, self._weights(_detached(x[rows]), _detached(sigma[rows])))
            for rows in self._row_blocks(x)
        ]
        y = like(self.data, x)[xp.concat(chosen)]
        ratio = (end / sigma[:, None]) ** 2
        noise = normal(rng, tuple(x.shape), x)
        return y + ratio * (x - y) + end * (1 - ratio) ** 0.5 * noise

    def _shift(self, x, sigma):
        if self.tolerance is not None:
            return _minus(self._certified(x, sigma)[0], x)
        if _has_history(x, sigma):
            return self._weights(x, sigma) @ like(self.data, x) - x
        return like(self._average(x, sigma).shift(double(plain(x))), x)

    def _average(self, x, sigma):
        """Return the averages over all points, in float64."""
        return dense.average(self._points(x), *_numbers(x, sigma))

    def _log_weights(self, x, sigma):
        """Return log weights ``(m, n)``, with their history where ``x`` has one."""
        points = self._points(x)
        parts = [
            like(weights.log_weights(points, *_numbers(x[rows], sigma[rows])), x)
            for rows in self._row_blocks(x)
        ]
        logs = parts[0] if len(parts) == 1 else array_namespace(x).concat(parts)
        if _has_history(x, sigma):
            return weights.differentiable_log_weights(
                like(self.data, x), x, sigma, logs
            )
        return logs

    def _weights(self, x, sigma):
        return array_namespace(x).exp(self._log_weights(x, sigma))

    def _row_blocks(self, x):
        """Yield slices of rows of which all weights fit into the memory."""
        n = self.data.shape[0]
        yield from row_blocks(x.shape[0], 80 * n, self.memory)

    def _arguments(self, x, sigma):
        x = as_points(x, "x", self.dimension)
        xp = array_namespace(x)
        x = xp.astype(x, getattr(xp, f"float{8 * itemsize(self.data)}"), copy=False)
        sigma = as_sigma(sigma, x.shape[0], x)
        self._points(x).check(*_numbers(x, sigma))
        return x, sigma

    def _certified(self, x, sigma):
        """Return the denoiser to the tolerance, in float64, and its certificate."""
        budget, points = self._budget(), self._points(x)
        own = *_numbers(x, sigma), budget
        if self.dimension <= HIGHEST:
            kind = _kind(x)
            if kind not in self._trees:
                self._trees[kind] = build(points)
            found = tree_average(self._trees[kind], *own)
        else:
            found = within(points, *own)
        return found.mean, certificate(points, found)

    def _budget(self):
        """Return the largest distance from the exact denoiser that is allowed."""
        if self.tolerance is None:
            raise ValueError(
                "tolerance must be given to EmpiricalScore for a certified denoiser"
            )
        return self.tolerance * math.sqrt(self.dimension)

    def _points(self, x):
        """Return the points prepared for the device of ``x``, once for each."""
        kind = _kind(x)
        if kind not in self._prepared:
            self._prepared[kind] = Points(plain(like(self.data, x)), self.memory)
        return self._prepared[kind]


def as_empirical(
    data: PointRows | Score, *, memory: int | None = None
) -> EmpiricalScore:
    """Return the empirical score of ``data``, or ``data`` itself where it is a score.

    So what is made of a training set can be made of an :class:`EmpiricalScore` with a
    tolerance or a memory of its own.  Raises ``TypeError`` for any other score.
    """
    if isinstance(data, EmpiricalScore):
        if memory is not None:
            raise ValueError("memory is that of the score which is given as data")
        return data
    if isinstance(data, Score):
        raise TypeError(
            "data must be training points or an EmpiricalScore, whose weights are "
            f"needed; got {type(data).__name__}"
        )
    return EmpiricalScore(data, memory=memory)


class PathScore(Density):
    """An empirical score to a tolerance, for the states of deterministic paths.

    ``certificates`` holds one certificate for each evaluation, in order.
    """

    def __init__(self, base: EmpiricalScore, count: int) -> None:
        self._base, self._count, self._state = base, count, State()
        self.dimension = base.dimension
        self.certificates: list[Certificate] = []

    def __repr__(self):
        return described(self, repr(self._base), paths=self._count)

    def denoise(self, x: PointRows, sigma: Level) -> Array:
        """Return the posterior mean to the tolerance, ``(m, d)``."""
        x, sigma = self._arguments(x, sigma)
        mean, found = self._evaluate(x, sigma)
        mean, certificate = _returned(mean, found, x)
        self.certificates.append(certificate)
        return mean

    def log_density(self, x: PointRows, sigma: Level) -> Array:
        """Return ``log p_sigma(x)``, ``(m,)``, over all points."""
        return self._base.log_density(x, sigma)

    def _shift(self, x, sigma):
        mean, certificate = self._evaluate(x, sigma)
        self.certificates.append(_returned(mean, certificate, x)[1])
        return _minus(mean, x)

    def _evaluate(self, x, sigma):
        if x.shape[0] != self._count:
            raise ValueError(
                f"x must have one row for each of the {self._count} starting points, "
                f"got {x.shape[0]}"
            )
        points = self._base._points(x)
        own = *_numbers(x, sigma), self._base._budget()
        found, self._state = path_step(points, self._state, *own)
        return found.mean, certificate(points, found)

    def _arguments(self, x, sigma):
        return self._base._arguments(x, sigma)


def _has_history(*arrays):
    """Return whether derivatives are asked for: torch keeps a history of these."""
    return any(is_torch_array(x) and x.requires_grad for x in arrays)


def _detached(x):
    return x.detach() if is_torch_array(x) else x


def _numbers(*arrays):
    """Return arrays in float64 and in the library that computes with them."""
    return tuple(double(plain(array)) for array in arrays)


def _kind(x):
    """Return where ``x`` is: what is prepared on a processor serves NumPy and torch."""
    return str(x.device) if is_torch_array(x) else "cpu"


def _returned(mean, certificate, x):
    """Return a denoiser and its certificate in the kind of ``x``.

    What the denoiser loses in the precision of ``x`` is in the certificate; in float64
    that is what the last sum may have rounded.
    """
    found, exact = like(mean, x), double(_detached(x))
    xp, mean = array_namespace(x), like(mean, exact)
    gap = xp.abs(mean - double(found)) + EPS[8] * xp.abs(mean)
    error = like(certificate.error, exact) + xp.mean(gap**2, axis=1) ** 0.5
    return found, certificate._replace(
        error=error,
        discarded=like(certificate.discarded, exact),
        rigorous=like(certificate.rigorous, exact) > 0,
    )


def _minus(mean, x):
    return like(mean - double(plain(x)), x)
