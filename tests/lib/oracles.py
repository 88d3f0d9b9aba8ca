"""Independent references for the tests: no line here uses the library.

Sums over a training set are done in exact integer arithmetic, exponentials and
logarithms in mpmath at 60 digits; everything else is textbook linear algebra.
"""

import math
import tracemalloc
from types import SimpleNamespace

import mpmath
import numpy as np

DIGITS = 60
FIXED = 2**400  # weights as fixed-point numbers, right to 1e-120


def exact_posterior(data, x, sigma):
    """Everything about one ``x`` under ``(1/n) sum_j N(y_j, sigma^2 I)``, exactly.

    ``data`` ``(n, d)``, ``x`` ``(d,)`` and ``sigma`` are taken as the binary fractions
    that they are.  Squared distances and weighted sums have no rounding at all; the
    rest has 60 digits.  Returned vectors are rounded once, to float64.
    """
    data, x = np.asarray(data, float), np.asarray(x, float)
    n, d = data.shape
    shift = _shift(data, x)
    points, place = _integers(data, shift), _integers(x[None], shift)[0]
    gaps = points - place
    with mpmath.workdps(DIGITS):
        sigma = mpmath.mpf(float(sigma))
        unit = mpmath.mpf(2) ** (-2 * shift)
        logs = [-(unit * int(s)) / (2 * sigma**2) for s in np.sum(gaps**2, axis=1)]
        top = max(logs)
        total = mpmath.fsum(mpmath.exp(v - top) for v in logs)
        log_weights = [v - top - mpmath.log(total) for v in logs]
        weights = [mpmath.exp(v) for v in log_weights]
        normalizer = mpmath.log(n) + d * mpmath.log(2 * mpmath.pi * sigma**2) / 2
        entropy = -mpmath.fsum(w * v for w, v in zip(weights, log_weights, strict=True))
        fixed = np.array([int(w * FIXED) for w in weights], dtype=object)
        log_density = top + mpmath.log(total) - normalizer
        effective_points = mpmath.exp(entropy)
    mean, move = fixed @ points, fixed @ gaps
    scale = FIXED << shift
    jumps = np.sqrt((np.sum(gaps**2, axis=1) / (1 << 2 * shift)).astype(float))
    shift_vector = _floats(move, scale)

    def covariance_product(v):
        level = _shift(v[None], v)
        along = (gaps * FIXED - move) @ _integers(v[None], level)[0] * fixed // FIXED
        centered = gaps * FIXED - move
        return _floats(along @ centered // FIXED, (FIXED << (2 * shift)) << level)

    return SimpleNamespace(
        denoise=_floats(mean, scale),
        shift=shift_vector,
        score=shift_vector / float(sigma) ** 2,
        largest_pull=float(jumps.max()) / float(sigma) ** 2,
        log_density=float(log_density),
        log_weights=np.array(log_weights, dtype=float),
        weights=np.array(weights, dtype=float),
        effective_points=float(effective_points),
        covariance_product=covariance_product,
    )


def _shift(*arrays):
    lowest = min(int(np.frexp(a)[1][a != 0].min(initial=0)) for a in arrays)
    return max(0, 53 - lowest)


def _integers(array, shift):
    """``array * 2^shift`` in exact Python integers."""
    mantissa, exponent = np.frexp(array)
    whole = np.ldexp(mantissa, 53).astype(np.int64).astype(object)
    return whole * (2 ** (exponent.astype(object) - 53 + shift))


def _floats(integers, denominator):
    """Python's true division of integers rounds once, correctly."""
    return np.array([int(i) / denominator for i in integers])


def deviations(found, data, x, sigma):
    """Root mean square a coordinate of ``found - D(x, sigma)``, row by row, ``(m,)``.

    All arguments are taken as the binary fractions that they are.  Measured from the
    nearest point; where extended precision is not enough for the weights (they may be
    off by a share of 1e-17 a point), those that have any are compared in integers.
    """
    data, x = np.asarray(data, float), np.asarray(x, float)
    levels = np.broadcast_to(np.asarray(sigma, float), x.shape[:1])
    gaps = []
    for row, place, level in zip(np.asarray(found, float), x, levels, strict=True):
        nearest, offset = _mean_from_nearest(data, place, level)
        gaps.append((row.astype(LONG) - nearest) - offset)
    return np.sqrt(np.mean(np.array(gaps) ** 2, axis=1)).astype(float)


LONG = np.longdouble


def _mean_from_nearest(data, x, sigma):
    """The nearest point and the denoiser minus it, in extended precision."""
    squares = np.sum((data.astype(LONG) - x.astype(LONG)) ** 2, axis=1)
    logs = -(squares / sigma) / (2 * LONG(sigma))
    # NumPy adds pairwise: 16 terms in a chain, three levels, and one for each doubling.
    doubt = (24 + math.log2(data.shape[1])) * np.finfo(LONG).eps
    some = np.flatnonzero(logs >= logs.max() * (1 + doubt) - 60)
    if len(some) == 1 or -doubt * logs.max() < 1e-17 * (8 + len(some)):
        weights = np.exp(logs[some] - logs.max())
        nearest = data[np.argmin(squares)].astype(LONG)
        offset = weights @ (data[some].astype(LONG) - nearest)
        return nearest, offset / np.sum(weights)
    shift = _shift(data[some], x)
    points, place = _integers(data[some], shift), _integers(x[None], shift)[0]
    squares = np.sum((points - place) ** 2, axis=1)
    first = int(np.argmin(squares))
    with mpmath.workdps(DIGITS):
        unit = mpmath.mpf(2) ** (-2 * shift) / (2 * mpmath.mpf(float(sigma)) ** 2)
        behind = [mpmath.exp(-unit * int(s)) for s in squares - squares[first]]
        weights = np.array([int(w * FIXED) for w in behind], dtype=object)
    offset = weights @ (points - points[first])
    nearest = data[some][first].astype(LONG)
    return nearest, _floats(offset, int(np.sum(weights)) << shift).astype(LONG)


def direct_posterior(data, x, sigma, v=None):
    """What ``exact_posterior`` gives, for all rows of ``x`` at once and many points.

    In extended precision, log weights from differences with the nearest point; right to
    about ``1e-18 |y_j - y_a|^2 / sigma^2`` nats.  ``v`` ``(m, d)`` is what covariances
    are multiplied with.
    """
    data, x = np.asarray(data, float), np.asarray(x, float)
    levels = np.broadcast_to(np.asarray(sigma, float), x.shape[:1])
    v = np.zeros_like(x) if v is None else np.asarray(v, float)
    rows = [_direct_row(data, *row) for row in zip(x, levels, v, strict=True)]
    parts = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return SimpleNamespace(**parts)


def _direct_row(data, x, sigma, v):
    nearest = data[np.argmin(np.sum((data - x) ** 2, axis=1))].astype(LONG)
    gaps, way, level = data - nearest, x - nearest, LONG(sigma)
    logs = np.sum(gaps * (2 * way - gaps), axis=1) / (2 * level**2)
    top, (n, d) = logs.max(), data.shape
    total = np.sum(np.exp(logs - top))
    log_weights = logs - top - np.log(total)
    weights = np.exp(log_weights)
    mean = weights @ gaps
    kernel = top + np.log(total) - np.sum(way**2) / (2 * level**2)
    normalizer = np.log(LONG(n)) + d * np.log(2 * LONG(np.pi) * level**2) / 2
    along = (gaps - mean) @ v
    squares = np.mean((gaps - mean) ** 2, axis=1)
    found = {
        "denoise": nearest + mean,
        "shift": mean - way,
        "log_density": kernel - normalizer,
        "log_weights": log_weights,
        "weights": weights,
        "effective_points": np.exp(-np.sum(weights * log_weights)),
        "covariance_product": (weights * along) @ (gaps - mean),
        "deviation": np.sqrt(weights @ squares),  # of the posterior, a coordinate
    }
    return {name: value.astype(float) for name, value in found.items()}


def traced_peak(call):
    """Return the most bytes that were allocated during a call, and what it returns."""
    tracemalloc.start()
    try:
        result = call()
        return tracemalloc.get_traced_memory()[1], result
    finally:
        tracemalloc.stop()
