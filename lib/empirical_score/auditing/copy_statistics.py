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

from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from ..exact.neighbors import distinct_nearest, nearest

__all__ = [
    "NAMES",
    "Measures",
    "channels_first",
    "estimate_bandwidth",
    "estimate_tolerance",
    "flip",
    "from_distances",
    "measure",
    "thresholds",
]

NAMES = ("ratio", "relative", "authenticity", "density")


class Measures(NamedTuple):
    """The statistics of some samples, each ``(m,)``, and what they rest on."""

    ratio: np.ndarray
    relative: np.ndarray
    authenticity: np.ndarray
    density: np.ndarray
    distance: np.ndarray  # e_1
    nearest: np.ndarray  # row number of the nearest training point
    flipped: np.ndarray  # whether the sample's mirror image was the nearer one

    def values(self):
        """Return the four statistics as one array ``(4, m)``."""
        return np.stack([getattr(self, name) for name in NAMES])

    def part(self, rows):
        """Return the measures of some of the samples."""
        return Measures(*(value[rows] for value in self))


def thresholds(dimension):
    """Return a threshold for each statistic, fixed in advance, to count copies with.

    1/3, 1/2 and 1 are those of the literature.  A copy gains about d/2 nats of log
    density over the point that it copies; half of that is the threshold.
    """
    return dict(zip(NAMES, (1 / 3, 1 / 2, 1.0, -dimension / 4), strict=True))


def estimate_tolerance(data, rng, *, share=1 / 3, draws=1000, **options):
    """Return the distance within which two training points count as one image.

    ``share`` of the median distance between a training point and its nearest other one,
    over at most ``draws`` points: what is that much closer than usual is a second copy.
    Rows that are equal byte by byte should be taken out before.
    """
    rows = _some(data.shape[0], rng, draws)
    distances = nearest(data[rows], data, min(2, data.shape[0]), **options)[0]
    return float(share * np.median(distances[:, -1]))


def estimate_bandwidth(data, rng, *, neighbors, tolerance, draws=1000, **options):
    """Return the kernel bandwidth that maximizes the left-out likelihood of the data.

    A fixed point of ``h^2 = (1/d) mean_i sum_j w_ij o_ij^2``, the weights w being the
    softmax of ``-o_ij^2 / 2 h^2`` over the neighbors of point i (expectation
    maximization for one shared variance).
    """
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
    x, data, *, neighbors, tolerance, bandwidth, shape=None, progress=None, **options
):
    """Return the :class:`Measures` of the rows of ``x`` against a training set.

    ``neighbors`` is k, at least 2; for ``tolerance`` and ``bandwidth`` there are
    :func:`estimate_tolerance` and :func:`estimate_bandwidth`.  With ``shape``, the
    shape of one image, each sample is also tried mirrored left to right, and the nearer
    of the two counts: for held-out samples just the same.  ``options`` go to
    :func:`~empirical_score.neighbors.distinct_nearest`; ``progress`` is called with
    shares of the work.
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


def from_distances(e, o, bandwidth, nearest, flipped):
    """Return the :class:`Measures` of samples with distances ``e``, ``o`` (m, k)."""
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


def flip(x, shape):
    """Return images ``(m, d)``, each of ``shape``, mirrored left to right.

    ``shape`` is (rows, columns), (rows, columns, channels) or (channels, rows, columns)
    with one or three channels.
    """
    axis = 2 if channels_first(shape) else 1
    return np.flip(x.reshape(x.shape[0], *shape), axis + 1).reshape(x.shape)


def channels_first(shape):
    """Return whether a shape of three sizes is (channels, rows, columns)."""
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
