"""Log weights from direct differences, in which nothing cancels.

Measured against an *anchor* ``a``, a training point near ``x``, the log weight of ``y``
is

    l = log w_y - log w_a = (y - a) . (2 (x - a) - (y - a)) / (2 sigma^2),

whose terms are as small as the distances themselves.  Near a Voronoi boundary even they
cancel, ``|y - a|`` being large against sigma while ``y`` and ``a`` are almost equally
near; there the sum is carried in twice the working precision, by error-free
transformations (Dekker's product, 1971, and Knuth's sum).  Only elementwise operations
are used: NumPy, torch and automatic differentiation all see ordinary arithmetic.
"""

# Largest error, in nats, that a log weight of these may have.
EXACT = 1e-12
# Weights below exp(-NEGLIGIBLE) / n change no digit of an average.
NEGLIGIBLE = 40.0
SPLITTER = 2.0**27 + 1  # halves the 53-bit significand of float64


def relative_log_weights(x, anchors, points, sigma, xp):
    """Return the log weights of ``points`` against those of ``anchors``, ``(r, k)``.

    All in float64: ``x`` and ``anchors`` are ``(r, d)``, ``points`` ``(r, k, d)``,
    ``sigma`` ``(r,)``.
    """
    sigma = sigma[:, None]
    offsets = points - anchors[:, None, :]
    twice = 2 * (x - anchors)[:, None, :]
    exact = xp.vecdot(offsets, twice - offsets) / sigma / (2 * sigma)
    length = xp.linalg.vector_norm(offsets, axis=2)
    size = length * (xp.linalg.vector_norm(twice, axis=2) + length)
    rounding = 2.0**-50 * size / (2 * sigma**2)
    lost = (rounding > EXACT) & (xp.abs(exact) < NEGLIGIBLE + rounding)
    tied = xp.nonzero(xp.any(lost, axis=1))[0]
    if tied.shape[0]:
        gap = squared_distance_gap(
            x[tied][:, None, :], anchors[tied][:, None, :], points[tied], xp
        )
        exact[tied] = (gap / sigma[tied]) / (2 * sigma[tied])
    return exact


def squared_distance_gap(x, a, y, xp):
    """Return ``|x - a|^2 - |x - y|^2 = sum_k (y - a)_k (2x - a - y)_k``.

    Arrays of float64 that broadcast to ``(..., d)``; the sum over the last axis is
    accurate to about ``1e-32`` of the sum of absolute terms.
    """
    gap, gap_error = two_difference(y, a)
    to_a, to_a_error = two_difference(x, a)
    to_y, to_y_error = two_difference(x, y)
    both, both_error = two_sum(to_a, to_y)
    both_error = both_error + (to_a_error + to_y_error)
    term, term_error = two_product(gap, both)
    term_error = term_error + (gap * both_error + gap_error * both)
    return _sum_last_axis(term, term_error, xp)


def two_sum(a, b):
    """Return ``s, e`` with ``s = fl(a + b)`` and ``s + e = a + b`` exactly (Knuth)."""
    s = a + b
    part = s - a
    return s, (a - (s - part)) + (b - part)


def two_difference(a, b):
    """Return ``s, e`` with ``s = fl(a - b)`` and ``s + e = a - b`` exactly."""
    return two_sum(a, -b)


def two_product(a, b):
    """Return ``p, e`` with ``p = fl(a b)`` and ``p + e = a b`` exactly (Dekker)."""
    p = a * b
    a_high, a_low = _split(a)
    b_high, b_low = _split(b)
    error = ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low
    return p, error


def _split(a):
    scaled = SPLITTER * a
    high = scaled - (scaled - a)
    return high, a - high


def _sum_last_axis(values, errors, xp):
    """Add the last axis pairwise, keeping every rounding error."""
    errors = xp.sum(errors, axis=-1)
    while values.shape[-1] > 1:
        half = values.shape[-1] // 2
        rest = values[..., 2 * half :]
        values, lost = two_sum(values[..., :half], values[..., half : 2 * half])
        errors = errors + xp.sum(lost, axis=-1)
        values = xp.concat([values, rest], axis=-1)
    return values[..., 0] + errors
