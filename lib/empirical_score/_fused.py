"""The average alone, by the attention kernel that torch has for it.

With the training set as keys and values, attention is the denoiser:

    D(x, sigma) = sum_j softmax_j(q . y_j + b_j) y_j,
    q = (x - c) / sigma^2,   b_j = -|y_j - c|^2 / (2 sigma^2).

The kernel does for one tile of weights after the other what ``_streaming`` does for one
block of points after the other, and never writes them to memory.  It keeps the sums of
weights to itself, so it serves where nobody asks for them.
"""

import sys

from ._arrays import double, is_torch_array
from ._products import units

# Sums of narrower points are taken term by term: their rounding grows with n, to 1e-3
# at a million points in float32.  Columns of zeros help, where there is room for them.
NARROW = 16
# Rows that are taken together: the kernel holds no weights.
FUSED = 4096
# In few dimensions it is so many times faster than sums block by block.
FASTER = 3


def can_fuse(engine, x, sigma):
    """Return whether the kernel is there for these rows, and of use.

    It takes torch arrays on the processor and one noise level for all rows.
    """
    n, d = engine.points.shape
    if not is_torch_array(x) or x.device.type != "cpu" or x.shape[0] == 0:
        return False
    if any(array.requires_grad for array in (x, sigma, engine.base)):
        return False
    room = d >= NARROW or n * NARROW * engine.itemsize <= engine.memory
    return room and bool((sigma == sigma[0]).all())


class FusedAverage:
    """The posterior mean at rows with one noise level, ``(m, d)``."""

    def __init__(self, engine, x, sigma, error=None):
        attention = sys.modules["torch"].nn.functional.scaled_dot_product_attention
        self.engine, self.x, self.sigma = engine, x, sigma
        bias = -engine.half_squares / sigma[0] ** 2
        bias = bias.expand(1, 1, x.shape[0], -1)
        queries, points = _wide(engine.scaled(x, sigma)), _wide(engine.base)
        found = attention(queries, points, points, attn_mask=bias, scale=1.0)
        self._mean = double(found[0, 0, :, : x.shape[1]]) + double(engine.origin)

    def mean(self):
        """Return the average of all points, ``(m, d)``, in float64."""
        return self._mean

    def shift(self):
        """Return the average minus ``x``, ``(m, d)``, in float64."""
        return self._mean - double(self.x)

    def spread(self):
        """Return an upper bound on the standard deviation: all points are within R."""
        engine = self.engine
        gap = ((self._mean - double(engine.center)) ** 2).sum(1)
        return (engine.radius**2 - gap).clip(min=0.0) ** 0.5 + 1e-3 * engine.radius

    def rounding(self):
        """Return a bound on the error of the sums, ``(m,)``."""
        return 0 * self._mean[:, 0] + rounding(self.engine)


def rounding(engine):
    """Return a bound on the rounding of sums over all points, of the kernel or not."""
    steps = units(engine.points.shape[0], engine.itemsize, fused=True)
    return steps * engine.eps * engine.reach + engine.rounded


def _wide(rows):
    """Return ``(1, 1, n, d)`` with columns of zeros where there are too few."""
    more = max(0, NARROW - rows.shape[1])
    if more:
        rows = sys.modules["torch"].nn.functional.pad(rows, (0, more))
    return rows[None, None]
