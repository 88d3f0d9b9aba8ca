"""One pass over the points with running sums: the softmax average of any data set.

Sums over two parts of the data merge: with the largest log weight ``t``, the sum
``S = sum_j exp(l_j - t)`` and the vector ``V = sum_j exp(l_j - t) y_j`` of each part,

    t = max(t1, t2),   S = S1 exp(t1 - t) + S2 exp(t2 - t),   V likewise,

and the average is ``V / S`` (the *online softmax* of Milakov & Gimelshein 2018, which
FlashAttention made famous).  So a block of points is enough at a time.

Rows for which the matrix product is too coarse take another way: the pass only collects
the points that can carry weight, and these are redone from direct differences.
"""

import math

from . import _mapped
from ._arrays import EPS, clipped_exp, double, itemsize, largest_of
from ._direct import EXACT
from ._fused import FusedAverage, can_fuse
from ._pairs import Pairs
from ._products import log_weights, units, weighted

# exp(-87) is the smallest normal float32; 8 of float64 are far below any digit.
FLOOR = {4: -45.0, 8: -700.0}
# Largest error of a log weight, in nats, with which a product of float64 is content.
FINE = 2e-10


class Streamed:
    """Averages at a block of rows of ``x``, in memory that does not grow with n.

    It answers as ``_posterior.Posterior`` does: ``mean``, ``shift`` and
    ``log_kernel_sum``, the last one only if ``sums`` are kept.  Rows whose log weights
    may be wrong by more than ``nats`` are redone; ``error`` ``(m,)`` bounds what is
    left, in nats.
    """

    def __init__(self, engine, x, sigma, nats=None, sums=True):
        xp = engine.xp
        self.engine, self.x, self.sigma = engine, x, sigma
        nats = engine.tolerance if nats is None else nats
        error = engine.error(x, sigma)
        sharp, double_error = error > nats, engine.error_in_double(x, sigma)
        fine = sharp & (double_error <= FINE)
        left = xp.where(fine, double_error, 0 * error + EXACT)
        self.error = xp.where(sharp, left, error)
        # Differences are summed in an order that only few terms leave no say in it.
        own = engine.itemsize == 8
        self.proved = (~sharp | fine | (x.shape[1] <= 8)) & own
        rows = [xp.nonzero(some)[0] for some in (~sharp, fine, sharp & ~fine)]
        self.places = [part for part in rows if part.shape[0]]
        fused = not sums and can_fuse(engine, x[rows[0]], sigma[rows[0]])
        kinds = FusedAverage if fused else RunningSums, FineSums, Pairs
        self.parts = [
            kind(engine, x[part], sigma[part], error[part])
            for kind, part in zip(kinds, rows, strict=True)
            if part.shape[0]
        ]
        self._pass(self.parts[1:] if fused else self.parts)

    @staticmethod
    def rows(engine):
        """Return how many rows of ``x`` to take at a time."""
        entries = _entries(engine)
        return max(1, min(1024, entries // min(engine.points.shape[0], 1024)))

    def mean(self, dtype=None):
        """Return the posterior mean, ``(m, d)``, in the precision of the points."""
        return self._join([part.mean() for part in self.parts], dtype)

    def shift(self):
        """Return the posterior mean minus ``x``, ``(m, d)``."""
        return self._join([part.shift() for part in self.parts])

    def log_kernel_sum(self):
        """Return ``log sum_j exp(-|x - y_j|^2 / (2 sigma^2))``, ``(m,)``."""
        return self._join([part.log_kernel_sum() for part in self.parts])

    def spread(self):
        """Return upper bounds on the posterior standard deviation, ``(m,)``."""
        parts = [part.spread() for part in self.parts]
        return self._join(parts, self.engine.xp.float64)

    def rounding(self):
        """Return bounds on the error of the means beside that of weights, ``(m,)``."""
        parts = [part.rounding() for part in self.parts]
        return self._join(parts, self.engine.xp.float64)

    def anchored(self):
        """Return the anchors ``(m, d)`` and the log sum of weights against them."""
        xp = self.engine.xp
        anchors = [double(part.anchors) for part in self.parts]
        totals = [double(part.total) for part in self.parts]
        return self._join(anchors, xp.float64), xp.log(self._join(totals, xp.float64))

    def _pass(self, parts):
        """Show all points to some parts, block by block."""
        if not parts:
            return
        for columns, block, half_squares in streamed_blocks(
            self.engine, self.x.shape[0]
        ):
            for part in parts:
                part.add(columns, block, half_squares)
        for part in parts:
            part.finish()

    def _join(self, values, dtype=None):
        """Return what the parts say, row by row in their order."""
        xp = self.engine.xp
        dtype = self.engine.points.dtype if dtype is None else dtype
        values = [xp.astype(value, dtype, copy=False) for value in values]
        if len(values) == 1:
            return values[0]
        return xp.concat(values)[xp.argsort(xp.concat(self.places))]


class RunningSums:
    """Largest log weight, sum of weights and weighted sum of points, row by row."""

    def __init__(self, engine, x, sigma, error=None):
        xp = engine.xp
        self.engine, self.x, self.sigma = engine, x, sigma
        self.left = engine.scaled(x, sigma)
        self.floor, self.eps = FLOOR[itemsize(x)], EPS[itemsize(x)]
        self.copied = engine.rounded
        self.top = xp.zeros_like(sigma) - math.inf
        self.total, self.vector = 0 * double(sigma), 0 * double(x)
        self.second = 0 * double(sigma)
        self.anchor = xp.zeros_like(sigma, dtype=xp.int64)

    def add(self, columns, block, half_squares):
        """Take in one block of points."""
        xp = self.engine.xp
        logits = log_weights(self.left, block, half_squares, self.sigma)
        top = self.top + 0  # its own copy
        nearer = xp.nonzero(largest_of(logits) > self.top)[0]
        if nearer.shape[0]:
            places = xp.argmax(logits[nearer], axis=1)
            top[nearer] = logits[nearer, places]
            self.anchor[nearer] = places + columns.start
        logits -= top[:, None]
        weights = clipped_exp(logits, self.floor)
        shrink = xp.exp(double(self.top - top))
        self.total = self.total * shrink + double(xp.sum(weights, axis=1))
        self.vector = self.vector * shrink[:, None] + weighted(weights, block)
        second = xp.sum(weights * half_squares, axis=1)
        self.second = self.second * shrink + double(second)
        self.top = top

    def finish(self):
        """Look up the anchors once all blocks were taken in."""
        self.anchors = self.engine.points[self.anchor]

    def mean(self):
        """Return the average of the points taken in, ``(m, d)``, in float64."""
        return self.vector / self.total[:, None] + double(self.engine.origin)

    def shift(self):
        """Return the average minus ``x``, ``(m, d)``, in float64."""
        return self.mean() - double(self.x)

    def spread(self):
        """Return ``(sum_j w_j |y_j - c|^2)^{1/2}``, above the standard deviation."""
        return 1.001 * (2 * self.second / self.total) ** 0.5

    def rounding(self):
        """Return a bound on the error of the sums, ``(m,)``."""
        engine = self.engine
        steps = units(engine.points.shape[0], itemsize(self.x))
        return steps * self.eps * (self.spread() + engine.away) + self.copied

    def log_kernel_sum(self):
        """Return ``log sum_j exp(-|x - y_j|^2 / (2 sigma^2))``, ``(m,)``."""
        xp = self.engine.xp
        offset = (self.x - self.engine.points[self.anchor]) / self.sigma[:, None]
        return xp.log(self.total) - xp.sum(offset**2, axis=1) / 2


class FineSums(RunningSums):
    """The same in float64, for rows at which float32 is too coarse."""

    def __init__(self, engine, x, sigma, error=None):
        super().__init__(engine, double(x), double(sigma))
        self.copied = 0.0

    def add(self, columns, block, half_squares):
        """Take in one block of points: themselves, not their rounded copy."""
        xp, engine = self.engine.xp, self.engine
        if engine.rounded:
            block = double(engine.points[columns]) - double(engine.origin)
        block = double(block)
        gaps = block + (double(engine.origin) - double(engine.center))
        super().add(columns, block, xp.sum(gaps**2, axis=1) / 2)


def streamed_blocks(engine, rows):
    """Yield the columns, the points and the half squares of each block."""
    widest = max(1, rows, engine.points.shape[1])
    size = max(1, min(engine.block, _entries(engine) // widest))
    for columns, block in _mapped.blocks(engine.base, size):
        yield columns, block, engine.half_squares[columns]


def _entries(engine):
    """Return how many weights of one block are held: four arrays of them live."""
    return max(1, engine.budget // 4)
