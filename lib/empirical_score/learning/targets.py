"""What a network is asked to say: training targets that average over neighbors.

Denoising score matching asks for the clean point behind a noised one.  Zhou, Zhang &
Wright (2026, eq. 10) ask instead for an average of the training points around that
clean point, with weights at a temperature.  The *target* is what the network is
trained on at one noised point; least squares learns the mean of the targets that lead
to the same place.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .._support.arrays import (
    array_namespace,
    as_count,
    as_points,
    as_positive_number,
    as_real,
    as_sigma,
    is_numpy_array,
    like,
    row_blocks,
)
from .._support.show import described
from .._support.types import Array, Level, Numbers, Points
from ..distributions.score import Score
from ..exact.neighbors import nearest
from ..exact.score import EmpiricalScore, as_empirical

__all__ = ["NeighborTarget"]


class NeighborTarget(Score):
    """A weighted average of the neighbors of the clean point, as a training target.

    For ``x = y_i + sigma z`` and the list N of the ``K`` neighbors of ``y_i``

        target = x + sum_{j in N} v_j (y_j - x),
        v = softmax_j( -|x - y_j|^2 / (2 T sigma^2) ),    or, with ``power``,
        v = softmax_j( -(power / T) log |x - y_j| ),

    the sums and the softmax over N only.  With ``component="implied"`` each term is
    multiplied by ``sigma^2 / sigma_j*^2``, where ``sigma_j*^2 = |x - y_j|^2 / power``.

    Called as a score, ``target(x, sigma)``, or asked to ``denoise``, it answers what a
    perfect network learns from it: the mean of the target over the posterior of y_i,
    ``D(x, sigma) = sum_i w_i(x, sigma) target_i``, w the weights of ``EmpiricalScore``.

    Parameters
    ----------
    data : array ``(n, d)`` or EmpiricalScore
        The training points.
    neighbors : int K from 1 to n, or integer array ``(n, K)``
        How many neighbors; or for each point its list, for lists of your own.
    temperature : positive number, or callable ``(m,)`` to ``(m,)``
        T, a function of sigma.
    power : positive number, optional
        Power-law weights in place of Gaussian ones.  The paper's weighting of the
        levels gives ``d - 2``, its public code ``d``.
    component : ``"shared"`` or ``"implied"``
        ``"implied"`` needs ``power``.
    around : ``"clean"`` or ``"noised"``
        Whose neighbors: those of ``y_i`` or those of ``x``.
    features : array ``(n, f)``, optional
        Where to look for the neighbors of the clean points; ``data`` by default.
    below : positive number, optional
        At this level and above the target is the clean point itself.
    memory : int
        Bound, in bytes, on the temporary arrays of ``denoise``.

    Raises
    ------
    TypeError, ValueError
        For bad arrays, counts, lists or options; the message names the argument.

    Notes
    -----
    Zhou, Zhang & Wright (2026, eq. 10): ``"implied"`` is their score ``sum_j v_j
    (y_j - x) / sigma_j*^2`` as a target, their public code has ``"shared"``.  In the
    book ``thm-target-mean`` and ``cor-named-targets``: with one neighbor it is
    denoising score matching, with all n and Gaussian weights the tempered score.  There
    is no ``log_density``: the field need not be a gradient.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> target = es.NeighborTarget([[0.0], [2.0], [9.0]], 2)
    >>> target.target(np.array([[1.0]]), 1.0, [0])  # halfway between neighbors
    array([[1.]])
    >>> print(target)  # doctest: +NORMALIZE_WHITESPACE
    NeighborTarget(data of shape (3, 1), neighbors=2, temperature=1.0, power=None,
                   component='shared', around='clean')
    """

    def __init__(
        self,
        data: Points | EmpiricalScore,
        neighbors: int | Points,
        temperature: float | Callable[[Array], Array] = 1.0,
        *,
        power: float | None = None,
        component: str = "shared",
        around: str = "clean",
        features: Points | None = None,
        below: float | None = None,
        memory: int = 2**27,
    ) -> None:
        self._base = as_empirical(data)
        self.data, self.dimension = self._base.data, self._base.dimension
        _one_of(component, "component", ("shared", "implied"))
        _one_of(around, "around", ("clean", "noised"))
        if not callable(temperature):
            temperature = as_positive_number(temperature, "temperature")
        self.temperature = temperature
        self.power = None if power is None else as_positive_number(power, "power")
        if component == "implied" and power is None:
            raise ValueError("component 'implied' needs power, the weights' exponent")
        self.component, self.around = component, around
        self.below = math.inf if below is None else as_positive_number(below, "below")
        self.memory = as_positive_number(memory, "memory")
        self.lists = _neighbor_lists(self.data, neighbors, around, features)
        self._copies: dict[tuple[str, str, str], tuple[Array, Array]] = {}

    def __repr__(self):
        data = f"data of shape {tuple(self.data.shape)}"
        return described(
            self,
            data,
            neighbors=self.lists.shape[1],
            temperature=self.temperature,
            power=self.power,
            component=self.component,
            around=self.around,
        )

    def target(self, x: Points, sigma: Level, index: Numbers) -> Array:
        """Return the targets at noised points, ``(m, d)``.

        ``x`` is ``(m, d)``, ``sigma`` a positive number or ``(m,)``, and ``index``
        ``(m,)`` says of which training point each row is a noised copy.
        """
        x, sigma = self._arguments(x, sigma)
        points, lists = self._in_kind_of(x)
        index = _indices(index, x.shape[0], self.data.shape[0])
        if self.around == "noised":
            chosen = like(nearest(x, self.data, lists.shape[1])[1], lists)
        else:
            chosen = lists[index]
        plain = (sigma >= self.below)[:, None]
        pull = self._pull(points[chosen] - x[:, None, :], sigma)
        return x + array_namespace(x).where(plain, points[index] - x, pull)

    aim = target  # the former name

    def variance(self, x: Points, sigma: Level) -> Array:
        """Return ``E[ |target - D(x, sigma)|^2 | x ]``: what no network removes.

        It is the part of the loss at one noised point that the best network pays, and
        the noise of its gradients.

        Parameters
        ----------
        x : array ``(m, d)``
        sigma : positive number or array ``(m,)``

        Returns
        -------
        array ``(m,)``
            In squared units of the data.
        """
        x, sigma = self._arguments(x, sigma)
        spread = []
        for weights, shifts in self._outcomes(x, sigma):
            center = np.einsum("mn,mnd->md", weights, shifts)
            squares = np.sum((shifts - center[:, None, :]) ** 2, axis=2)
            spread.append(np.sum(weights * squares, axis=1))
        return like(np.concatenate(spread), x)

    def _shift(self, x, sigma):
        parts = self._outcomes(x, sigma)
        means = [np.einsum("mn,mnd->md", weights, shifts) for weights, shifts in parts]
        return like(np.concatenate(means), x)

    def _outcomes(self, x, sigma):
        """Yield ``w_i`` ``(m, n)``, ``target_i - x`` ``(m, n, d)``, by blocks of x."""
        number = np.empty(0)
        x, sigma, data = (like(array, number) for array in (x, sigma, self.data))
        weights = like(self._base.weights(x, sigma), number)
        (n, d), k = data.shape, self.lists.shape[1]
        for rows in row_blocks(x.shape[0], 3 * n * (k + d), self.memory / 8):
            here, level = x[rows], sigma[rows]
            ways = data - here[:, None, :]
            if self.around == "noised":
                near = data[nearest(here, data, k)[1]] - here[:, None, :]
                pulls = np.broadcast_to(self._pull(near, level)[:, None], ways.shape)
            else:
                squares = np.sum(ways**2, axis=2)[:, self.lists]
                share = self._shares(squares, level[:, None, None])
                pulls = np.einsum("mnk,nkd->mnd", share, data[self.lists])
                pulls -= np.sum(share, axis=2)[:, :, None] * here[:, None, :]
            plain = (level >= self.below)[:, None, None]
            yield weights[rows], np.where(plain, ways, pulls)

    def _pull(self, ways, sigma):
        """Return ``target - x``, ``(m, d)``, from the ways to the lists' points."""
        xp = array_namespace(ways)
        share = self._shares(xp.sum(ways**2, axis=2), sigma[:, None])
        return xp.sum(share[:, :, None] * ways, axis=1)

    def _shares(self, squares, sigma):
        """Return the factors of ``y_j - x`` in the target; the last axis is a list."""
        xp = array_namespace(squares)
        temperature = self._temperature(sigma.reshape(-1)).reshape(sigma.shape)
        squares = xp.clip(squares, xp.finfo(squares.dtype).tiny, None)
        if self.power is None:
            logs = -squares / (2 * temperature * sigma**2)
        else:
            logs = -self.power / (2 * temperature) * xp.log(squares)
        share = xp.exp(logs - xp.max(logs, axis=-1, keepdims=True))
        share = share / xp.sum(share, axis=-1, keepdims=True)
        if self.component == "implied":
            share = share * self.power * sigma**2 / squares
        return share

    def _temperature(self, sigma):
        value = self.temperature
        if callable(value):
            value = value(sigma)
        return as_sigma(value, sigma.shape[0], sigma, "temperature(sigma)")

    def _in_kind_of(self, x):
        """Return data and lists in the kind, dtype and device of x, made once."""
        key = (array_namespace(x).__name__, str(x.dtype), str(getattr(x, "device", "")))
        if key not in self._copies:
            lists = self.lists
            if not is_numpy_array(x):
                xp = array_namespace(x)
                lists = xp.asarray(lists, device=x.device)
            self._copies[key] = like(self.data, x), lists
        return self._copies[key]


def _neighbor_lists(data, neighbors, around, features):
    n = data.shape[0]
    if np.ndim(neighbors) == 2:
        lists = like(as_real(neighbors, "neighbors"), np.empty(0))
        whole = np.array_equal(lists, np.round(lists))
        if lists.shape[0] != n or not whole or lists.min() < 0 or lists.max() >= n:
            raise ValueError(
                f"neighbors must hold row numbers of data, 0 to {n - 1}, one list for "
                f"each of its {n} rows, got shape {lists.shape} from "
                f"{lists.min():g} to {lists.max():g}"
            )
        if around == "noised" or features is not None:
            raise ValueError("neighbors as lists need around='clean' and no features")
        return lists.astype(int)
    count = as_count(neighbors, "neighbors")
    if count > n:
        raise ValueError(f"neighbors must be at most the {n} rows of data, got {count}")
    if features is None:
        return nearest(data, data, count)[1]
    if around == "noised":
        raise ValueError("features are of clean points: they need around='clean'")
    features = as_points(features, "features")
    lists = nearest(features, features, count)[1]
    if lists.shape[0] != n:
        raise ValueError(
            f"features must have one row for each of the {n} rows of data, "
            f"got {lists.shape[0]}"
        )
    return lists


def _indices(index, count, n):
    given = as_real(index, "index")
    xp = array_namespace(given)
    if tuple(given.shape) != (count,) or not bool(xp.all(given == xp.round(given))):
        raise ValueError(
            f"index must be {count} whole numbers, one for each row of x, got shape "
            f"{tuple(given.shape)}"
        )
    if not bool(xp.all((given >= 0) & (given < n))):
        raise ValueError(f"index must lie from 0 to {n - 1}, the rows of data")
    return index if hasattr(index, "dtype") else np.asarray(index)


def _one_of(value, name, known):
    if value not in known:
        names = ", ".join(map(repr, known))
        raise ValueError(f"{name} must be one of {names}, got {value!r}")
