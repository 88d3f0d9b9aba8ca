"""Sums carried in twice the working precision (error-free transformations).

Two training points can be almost equally near to ``x``; at little noise their log
weights then differ by less than the rounding of either squared distance.  Dekker's
product (1971) and Knuth's sum keep the rounding errors, so the difference survives.
Only elementwise operations are used: NumPy, torch and automatic differentiation all
see ordinary arithmetic.
"""

SPLITTER = 2.0**27 + 1  # halves the 53-bit significand of float64


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
