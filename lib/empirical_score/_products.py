"""Matrix products of rows and points, in the order in which each library is fastest."""

from ._arrays import CHUNK, add_product, double, is_numpy_array, itemsize

FEW = 16  # rows below which torch takes up to five times as long in the other order


def log_weights(left, block, half_squares, sigma):
    """Return log weights up to a constant per row, ``(m, k)``, a new array.

    ``left`` is ``(x - c) / sigma^2``: expanding the square leaves
    ``left . y_j - |y_j - c|^2 / (2 sigma^2)``.
    """
    logits = product(left, block)
    add_product(logits, half_squares, -1 / sigma[:, None] ** 2)
    return logits


def product(left, block):
    """Return ``left @ block.T``, in the order in which the library is fastest."""
    return left @ block.T if is_numpy_array(left) else (block @ left.T).T


def units(n, size, fused=False):
    """Return how many units of rounding a weighted average of ``n`` points may be off.

    Proved in float64 (``size`` 8 bytes).  In float32 such a bound is no use: it is what
    libraries do at worst in :func:`weighted`, or in tiles that a ``fused`` kernel adds.
    """
    if size == 8:
        return n + 8
    return CHUNK / 8 + 8 + (n / (2 * CHUNK) if fused else 0.0)


def weighted(weights, block):
    """Return ``weights @ block``, in float64: sums of short sums in their precision."""
    (m, n), d = weights.shape, block.shape[1]
    step = CHUNK if itemsize(block) == 4 else n
    if m < FEW:  # calls would take longer than sums
        many = n // step
        left = weights[:, : many * step].reshape(m, many, step).swapaxes(0, 1)
        right = block[: many * step].reshape(many, step, d)
        total, done = double(left @ right).sum(0), many * step
    else:
        total, done = 0.0, 0
    for start in range(done, n, step):
        left, right = weights[:, start : start + step], block[start : start + step]
        plain = m < FEW or is_numpy_array(left)
        total = total + double(left @ right if plain else (right.T @ left.T).T)
    return total
