"""Independent references for the tests: no line here uses the library.

Sums over a training set are done in exact integer arithmetic, exponentials and
logarithms in mpmath at 60 digits; everything else is textbook linear algebra.
"""

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
    nearest point; where extended precision is not enough for the weights, the points
    that can have any are compared in integers.
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
    doubt = 4 * (data.shape[1] + 8) * np.finfo(LONG).eps
    some = np.flatnonzero(logs >= logs.max() * (1 + doubt) - 60)
    if len(some) == 1 or -doubt * logs.max() < 1e-16:
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
