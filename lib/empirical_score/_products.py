"""Matrix products of rows and points, in the order in which each library is fastest."""

from ._arrays import add_product, is_numpy_array


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


def weighted(weights, block):
    """Return ``weights @ block``, in the order in which the library is fastest."""
    few = weights.shape[0] < 16  # for which torch needs up to five times as long
    if few or is_numpy_array(weights):
        return weights @ block
    return (block.T @ weights.T).T
