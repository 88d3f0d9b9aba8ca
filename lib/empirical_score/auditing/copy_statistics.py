"""Four measures of how much a sample looks like a copy of one training point.

Each is computed from the training set alone, by the same rule for generated and for
held-out samples, and each is small for a copy.  Let ``e_1 <= ... <= e_k`` be the
distances of sample x to its k nearest *distinct* training points, y the nearest, and
``o_1 <= ... <= o_k`` the distances of y to the others.  Then

- ``ratio         = e_1 / e_k``: nearer to one point than to the next ones (a test with
  k = 2 and the threshold 1/3 is the usual one in the literature);
- ``relative      = e_1 / mean(o)``: nearer to y than y's surroundings are;
- ``authenticity  = e_1 / o_1``: nearer to y than any training point is (Alaa et al.
  2022 call a sample authentic where this exceeds 1);
- ``density       = log q_y - log p_x``, with kernel sums ``p_x = sum_j exp(-e_j^2 / 2
  h^2)`` and ``q_y = sum_j exp(-o_j^2 / 2 h^2)``: minus the log ratio of the training
  set's kernel density at x to that at y, y itself left out.  Its bandwidth h maximizes
  the likelihood of training points, each left out in turn.

Only the first *singles out* a training point.  Blurred pictures, say, are nearer to all
training points at once: that lowers the other three, and hardly the first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.special import logsumexp

from .._support.draws import as_numpy_generator
from .._support.types import NumpyRng
from ..exact.neighbors import distinct_nearest, nearest

__all__ = [
    "NAMES",
    "STATISTICS",
    "CopyStatistic",
    "Measures",
    "channels_first",
    "estimate_bandwidth",
    "estimate_tolerance",
    "flip",
    "from_distances",
    "measure",
    "thresholds",
]


class CopyStatistic(NamedTuple):
    """A statistic of memorization: its name, what it says, where copies begin.

    ``threshold`` is a function of the dimension; it is fixed in advance.  The values
    are the field of :class:`Measures` with this name.

    Examples
    --------
    >>> import empirical_score as es
    >>> [each.name for each in es.copy_statistics.STATISTICS]
    ['ratio', 'relative', 'authenticity', 'density']
    """

    name: str
    meaning: str
    threshold: Callable[[int], float]


# 1/3, 1/2 and 1 are the thresholds of the literature.  A copy gains about d/2 nats of
# log density over the point that it copies; half of that is the last one.
STATISTICS = (
    CopyStatistic(
        "ratio",
        "distance to the nearest training point, over that to the k-th distinct one; "
        "singles out one training point",
        lambda dimension: 1 / 3,
    ),
    CopyStatistic(
        "relative",
        "the same distance, over the mean distance of that training point to its own "
        "k neighbors",
        lambda dimension: 1 / 2,
    ),
    CopyStatistic(
        "authenticity",
        "the same distance, over that of the training point to its own nearest "
        "neighbor",
        lambda dimension: 1.0,
    ),
    CopyStatistic(
        "density",
        "log kernel density of the training set at its own point, left out, minus that "
        "at the sample (nats)",
        lambda dimension: -dimension / 4,
    ),
)
NAMES = tuple(statistic.name for statistic in STATISTICS)


class Measures(NamedTuple):
    """Four statistics of memorization of each of m samples, and what they rest on.

    With the distances ``e`` of a sample to its k nearest distinct training points and
    ``o`` of the nearest one to the others; each is small for a copy.

    Attributes
    ----------
    ratio : array ``(m,)``
        ``e_1 / e_k``.
    relative : array ``(m,)``
        ``e_1 / mean(o)``.
    authenticity : array ``(m,)``
        ``e_1 / o_1``.
    density : array ``(m,)``
        Minus the log ratio of two kernel densities, in nats.
    distance : array ``(m,)``
        ``e_1``, in units of the data.
    nearest : int array ``(m,)``
        Row number of the nearest training point.
    flipped : bool array ``(m,)``
        Whether the sample's mirror image was the nearer one.

    Notes
    -----
    Alaa et al. (2022) for authenticity; ``prop-ratio-law`` in the book for the ratio.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> e, o = np.array([[1.0, 4.0]]), np.array([[5.0, 5.0]])
    >>> place, no = np.array([0]), np.array([False])
    >>> found = es.copy_statistics.from_distances(e, o, 1.0, place, no)
    >>> found.ratio, found.relative
    (array([0.25]), array([0.2]))
    """

    ratio: np.ndarray
    relative: np.ndarray
    authenticity: np.ndarray
    density: np.ndarray
    distance: np.ndarray
    nearest: np.ndarray
    flipped: np.ndarray

    def values(self) -> np.ndarray:
        """Return the statistics as one array ``(4, m)``, in the order of ``NAMES``."""
        return np.stack([getattr(self, name) for name in NAMES])

    def part(self, rows: slice | np.ndarray) -> Measures:
        """Return the measures of some of the samples."""
        return Measures(*(value[rows] for value in self))


def thresholds(dimension: int) -> dict[str, float]:
    """Return a threshold for each statistic, fixed in advance, to count copies with.

    Parameters
    ----------
    dimension : int
        The number ``d`` of columns of the data.

    Returns
    -------
    dict
        From the names of the statistics to numbers; below them lie copies.

    Examples
    --------
    >>> import empirical_score as es
    >>> es.copy_statistics.thresholds(12)["density"]  # in nats
    -3.0
    """
    return {known.name: known.threshold(dimension) for known in STATISTICS}


def estimate_tolerance(
    data: np.ndarray,
    rng: NumpyRng,
    *,
    share: float = 1 / 3,
    draws: int = 1000,
    **options: Any,
) -> float:
    """Estimate the distance within which training points are near-duplicates.

    ``share`` of the median distance between a training point and its nearest other one,
    over at most ``draws`` points: what is that much closer than usual is a second copy.

    Parameters
    ----------
    data : array ``(n, d)``
        The training points; rows that are equal byte by byte should be taken out
        before.
    rng : numpy.random.Generator or int seed
        Chooses the points that are looked at.
    share : positive number
        Of the median distance.
    draws : int
        At most so many points are looked at.
    options
        ``memory`` and ``progress`` of :func:`~empirical_score.neighbors.nearest`.

    Returns
    -------
    float
        In units of the data.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> data = np.array([[0.0], [3.0], [9.0]])
    >>> es.copy_statistics.estimate_tolerance(data, 0)  # of 3, 3, 6
    1.0
    """
    rng = as_numpy_generator(rng)
    rows = _some(data.shape[0], rng, draws)
    distances = nearest(data[rows], data, min(2, data.shape[0]), **options)[0]
    return float(share * np.median(distances[:, -1]))


def estimate_bandwidth(
    data: np.ndarray,
    rng: NumpyRng,
    *,
    neighbors: int,
    tolerance: float,
    draws: int = 1000,
    **options: Any,
) -> float:
    """Return the kernel bandwidth of largest leave-one-out likelihood.

    A fixed point of ``h^2 = (1/d) mean_i sum_j w_ij o_ij^2``, the weights w being the
    softmax of ``-o_ij^2 / 2 h^2`` over the neighbors of point i (expectation
    maximization for one shared variance).

    Parameters
    ----------
    data : array ``(n, d)``
        The training points.
    rng : numpy.random.Generator or int seed
        Chooses the points that are looked at.
    neighbors : int
        How many distinct neighbors of each point.
    tolerance : number, at least 0
        Distance of near-duplicates, in units of the data.
    draws : int
        At most so many points are looked at.
    options
        As in :func:`~empirical_score.neighbors.distinct_nearest`.

    Returns
    -------
    float
        In units of the data.

    Raises
    ------
    ValueError
        For a tolerance so large that a point has no neighbor left.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> data, options = np.array([[0.0], [2.0]]), {"neighbors": 1, "tolerance": 0.1}
    >>> es.copy_statistics.estimate_bandwidth(data, 0, **options)
    2.0
    """
    rng = as_numpy_generator(rng)
    rows = _some(data.shape[0], rng, draws)
    own = distinct_nearest(data[rows], data, neighbors + 1, tolerance, **options)[0]
    _require_others(own[:, 1], tolerance)
    squares = own[:, 1:] ** 2
    d = data.shape[1]
    variance = np.mean(squares[:, 0]) / d
    for _ in range(200):
        logits = -squares / (2 * variance)
        weights = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
        new = np.mean(np.sum(weights * squares, axis=1)) / d
        if abs(new - variance) <= 1e-10 * variance:
            break
        variance = new
    return float(np.sqrt(new))


def measure(
    x: np.ndarray,
    data: np.ndarray,
    *,
    neighbors: int,
    tolerance: float,
    bandwidth: float,
    shape: tuple[int, ...] | None = None,
    progress: Callable[[float], object] | None = None,
    **options: Any,
) -> Measures:
    """Return the memorization statistics of samples against a training set.

    Parameters
    ----------
    x : array ``(m, d)``
        The samples, generated or held out.
    data : array ``(n, d)``
        The training points, in the units of ``x``.
    neighbors : int, at least 2
        k, the number of distinct neighbors.
    tolerance : number, at least 0
        Distance of near-duplicates; see :func:`estimate_tolerance`.
    bandwidth : positive number
        Of the kernel; see :func:`estimate_bandwidth`.
    shape : tuple of int, optional
        The shape of one image: each sample is also tried mirrored left to right, and
        the nearer of the two counts.
    progress : function, optional
        Called with shares of the work.
    options
        ``memory``, as in :func:`~empirical_score.neighbors.distinct_nearest`.

    Returns
    -------
    Measures

    Raises
    ------
    ValueError
        For a tolerance so large that a point has no neighbor left.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> data = np.array([[0.0], [2.0], [6.0]])
    >>> options = {"neighbors": 2, "tolerance": 0.1, "bandwidth": 1.0}
    >>> found = es.copy_statistics.measure(np.array([[0.4]]), data, **options)
    >>> found.ratio, found.authenticity, found.nearest  # 0.4 / 1.6 and 0.4 / 2
    (array([0.25]), array([0.2]), array([0]))
    """
    passes = 1 if shape is None else 2
    part = x.shape[0] / (passes * x.shape[0] + min(x.shape[0], data.shape[0]))
    options["progress"] = _scaled(progress, part)
    e, index = distinct_nearest(x, data, neighbors, tolerance, **options)
    flipped = np.zeros(x.shape[0], dtype=bool)
    if shape is not None:
        other, mirror = distinct_nearest(
            flip(x, shape), data, neighbors, tolerance, **options
        )
        flipped = other[:, 0] < e[:, 0]
        e = np.where(flipped[:, None], other, e)
        index = np.where(flipped[:, None], mirror, index)
    options["progress"] = _scaled(progress, 1 - passes * part)
    used, place = np.unique(index[:, 0], return_inverse=True)
    own = distinct_nearest(data[used], data, neighbors + 1, tolerance, **options)[0]
    _require_others(own[:, 1], tolerance)
    return from_distances(e, own[place, 1:], bandwidth, index[:, 0], flipped)


def from_distances(
    e: np.ndarray,
    o: np.ndarray,
    bandwidth: float,
    nearest: np.ndarray,
    flipped: np.ndarray,
) -> Measures:
    """Return the memorization statistics of samples whose distances are known.

    Parameters
    ----------
    e : array ``(m, k)``
        Distances of the samples to their nearest distinct training points, rising.
    o : array ``(m, k)``
        Distances of the nearest training point to the others, rising.
    bandwidth : positive number
        Of the kernel, in the same units.
    nearest : int array ``(m,)``
        Row numbers of the nearest training points.
    flipped : bool array ``(m,)``
        Whether the sample's mirror image was the nearer one.

    Returns
    -------
    Measures

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> e, o = np.array([[1.0, 4.0]]), np.array([[5.0, 5.0]])
    >>> place, no = np.array([0]), np.array([False])
    >>> es.copy_statistics.from_distances(e, o, 1.0, place, no).density.round(2)
    array([-11.31])
    """
    kernel = -0.5 / bandwidth**2
    density = logsumexp(kernel * o**2, axis=1) - logsumexp(kernel * e**2, axis=1)
    return Measures(
        ratio=e[:, 0] / e[:, -1],
        relative=e[:, 0] / np.mean(o, axis=1),
        authenticity=e[:, 0] / o[:, 0],
        density=density,
        distance=e[:, 0],
        nearest=nearest,
        flipped=flipped,
    )


def flip(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return images mirrored left to right.

    Parameters
    ----------
    x : array ``(m, d)``
        Images as rows.
    shape : tuple of int
        The shape of one: (rows, columns), (rows, columns, channels) or
        (channels, rows, columns) with one or three channels.

    Returns
    -------
    array ``(m, d)``

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> es.copy_statistics.flip(np.array([[1, 2, 3, 4]]), (2, 2))
    array([[2, 1, 4, 3]])
    """
    axis = 2 if channels_first(shape) else 1
    return np.flip(x.reshape(x.shape[0], *shape), axis + 1).reshape(x.shape)


def channels_first(shape: tuple[int, ...]) -> bool:
    """Tell whether the shape of an image is (channels, rows, columns).

    Parameters
    ----------
    shape : tuple of int
        Two or three sizes.

    Returns
    -------
    bool
        True for three sizes, of which the first is 1 or 3 and the last is not.

    Examples
    --------
    >>> import empirical_score as es
    >>> [es.copy_statistics.channels_first(s) for s in ((3, 8, 8), (8, 8, 3), (8, 8))]
    [True, False, False]
    """
    return len(shape) == 3 and shape[0] in (1, 3) and shape[2] not in (1, 3)


def _require_others(distances, tolerance):
    if np.any(distances == 0):
        raise ValueError(
            f"tolerance {tolerance:.3g} is so large that training points have no "
            "neighbor that counts as another one"
        )


def _scaled(progress, part):
    return None if progress is None else lambda share: progress(share * part)


def _some(count, rng, draws):
    if count <= draws:
        return np.arange(count)
    return np.sort(rng.choice(count, size=draws, replace=False))
