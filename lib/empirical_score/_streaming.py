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
from ._arrays import clipped_exp, is_numpy_array, largest_of, row_maxima, row_sums
from ._direct import NEGLIGIBLE, relative_log_weights

# exp(-87) is the smallest normal float32; 8 of float64 are far below any digit.
FLOOR = {4: -45.0, 8: -700.0}
# Largest error of a log weight, in nats, with which a product of float64 is content.
FINE = 2e-10
# Weights below exp(-LEAST) / n change no digit of an average in that precision.
LEAST = {4: 22.0, 8: NEGLIGIBLE}


class Streamed:
    """Averages at a block of rows of ``x``, in memory that does not grow with n.

    It answers as ``_posterior.Posterior`` does: ``mean``, ``shift`` and
    ``log_kernel_sum``.  Rows whose log weights may be wrong by more than ``nats`` are
    redone; ``error`` ``(m,)`` bounds what is left.
    """

    def __init__(self, engine, x, sigma, nats=None):
        xp = engine.xp
        self.engine, self.x, self.sigma = engine, x, sigma
        nats = engine.tolerance if nats is None else nats
        error = engine.error(x, sigma)
        sharp = error > nats
        fine = sharp & (engine.error_in_double(x, sigma) <= FINE)
        self.error = xp.where(sharp, 0 * error, error)
        rows = [xp.nonzero(some)[0] for some in (~sharp, fine, sharp & ~fine)]
        self.places = [part for part in rows if part.shape[0]]
        self.parts = []
        for kind, part in zip((RunningSums, FineSums, Pairs), rows, strict=True):
            if part.shape[0]:
                self.parts.append(kind(engine, x[part], sigma[part], error[part]))
        for columns, block, half_squares in streamed_blocks(engine, x.shape[0]):
            for part in self.parts:
                part.add(columns, block, half_squares)
        for part in self.parts:
            part.finish()

    @staticmethod
    def rows(engine):
        """Return how many rows of ``x`` to take at a time."""
        entries = _entries(engine)
        return max(1, min(1024, entries // min(engine.points.shape[0], 1024)))

    def mean(self):
        """Return the posterior mean, ``(m, d)``."""
        return self._join([part.mean() for part in self.parts])

    def shift(self):
        """Return the posterior mean minus ``x``, ``(m, d)``."""
        return self._join([part.shift() for part in self.parts])

    def log_kernel_sum(self):
        """Return ``log sum_j exp(-|x - y_j|^2 / (2 sigma^2))``, ``(m,)``."""
        return self._join([part.log_kernel_sum() for part in self.parts])

    def spread(self):
        """Return upper bounds on the posterior standard deviation, ``(m,)``."""
        return self._join([part.spread() for part in self.parts])

    def anchored(self):
        """Return the anchors ``(m, d)`` and the log sum of weights against them."""
        xp = self.engine.xp
        anchors = [_double(part.anchors, xp) for part in self.parts]
        totals = [_double(part.total, xp) for part in self.parts]
        return self._join(anchors, xp.float64), xp.log(self._join(totals, xp.float64))

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
        self.floor = FLOOR[4 if x.dtype == xp.float32 else 8]
        self.top = xp.zeros_like(sigma) - math.inf
        self.total, self.vector = xp.zeros_like(sigma), xp.zeros_like(x)
        self.second = xp.zeros_like(sigma)
        self.anchor = xp.zeros_like(sigma, dtype=xp.int64)

    def add(self, columns, block, half_squares):
        """Take in one block of points."""
        xp = self.engine.xp
        logits = product(self.left, block)
        logits -= half_squares / self.sigma[:, None] ** 2
        top = self.top + 0  # its own copy
        nearer = xp.nonzero(largest_of(logits) > self.top)[0]
        if nearer.shape[0]:
            places = xp.argmax(logits[nearer], axis=1)
            top[nearer] = logits[nearer, places]
            self.anchor[nearer] = places + columns.start
        logits -= top[:, None]
        weights = clipped_exp(logits, self.floor)
        shrink = xp.exp(self.top - top)
        self.total = self.total * shrink + xp.sum(weights, axis=1)
        self.vector = self.vector * shrink[:, None] + weighted(weights, block)
        self.second = self.second * shrink + weights @ half_squares
        self.top = top

    def finish(self):
        """Look up the anchors once all blocks were taken in."""
        self.anchors = self.engine.points[self.anchor]

    def mean(self):
        """Return the average of the points taken in, ``(m, d)``."""
        return self.vector / self.total[:, None] + self.engine.origin

    def shift(self):
        """Return the average minus ``x``, ``(m, d)``."""
        return self.mean() - self.x

    def spread(self):
        """Return ``(sum_j w_j |y_j - c|^2)^{1/2}``, above the standard deviation."""
        return (2 * self.second / self.total) ** 0.5

    def log_kernel_sum(self):
        """Return ``log sum_j exp(-|x - y_j|^2 / (2 sigma^2))``, ``(m,)``."""
        xp = self.engine.xp
        offset = (self.x - self.engine.points[self.anchor]) / self.sigma[:, None]
        return xp.log(self.total) - xp.sum(offset**2, axis=1) / 2


class FineSums(RunningSums):
    """The same in float64, for rows at which float32 is too coarse."""

    def __init__(self, engine, x, sigma, error=None):
        xp = engine.xp
        super().__init__(engine, _double(x, xp), _double(sigma, xp))

    def add(self, columns, block, half_squares):
        """Take in one block of points."""
        xp, engine = self.engine.xp, self.engine
        block = _double(block, xp)
        gaps = block + (_double(engine.origin, xp) - _double(engine.center, xp))
        super().add(columns, block, xp.sum(gaps**2, axis=1) / 2)


class Pairs:
    """The points that can carry weight in each row, redone from direct differences.

    ``error`` ``(m,)`` bounds that of the matrix product's log weights: a point whose
    log weight so lies far enough below the largest one does not count.
    """

    def __init__(self, engine, x, sigma, error):
        xp = engine.xp
        least = math.log(engine.points.shape[0]) + LEAST[engine.itemsize]
        self.engine, self.cut = engine, least + 2 * error
        self.left, self.coarse = engine.scaled(x, sigma), sigma
        self.x, self.sigma = _double(x, xp), _double(sigma, xp)
        self.top = xp.zeros_like(sigma) - math.inf
        self.found, self.size = [], 0

    def add(self, columns, block, half_squares):
        """Collect from one block of points those that may count."""
        xp = self.engine.xp
        logits = product(self.left, block)
        logits -= half_squares / self.coarse[:, None] ** 2
        self.top = xp.maximum(self.top, xp.max(logits, axis=1))
        rows, places = xp.nonzero(logits >= (self.top - self.cut)[:, None])
        self.found.append((rows, places + columns.start, logits[rows, places]))
        self.size += rows.shape[0]
        if 48 * self.size > self.engine.memory:
            self._prune()

    def finish(self):
        """Settle anchors and weights once all blocks were offered."""
        xp = self.engine.xp
        if not self.found:
            self.found = [(xp.astype(self.top, xp.int64),) * 2 + (self.top,)]
        self._prune()
        rows, columns, logits = self.found[0]
        order = xp.argsort(rows, stable=True)
        self.rows, self.columns = rows[order], columns[order]
        self._anchor_at(logits[order])
        exact = self._exact()
        if bool(xp.any(exact > 0)):
            # The matrix product missed the nearest point: measure from the true one.
            self._anchor_at(exact)
            exact = self._exact()
        self.weights = xp.exp(exact)
        count = self.x.shape[0]
        self.total = row_sums(self.weights, self.rows, count)
        self.start = self.x - self.anchors
        inner = 0.0 * self.x
        for part in self._parts():
            offsets = self._points(part) - self.anchors[self.rows[part]]
            weighted = self.weights[part][:, None] * offsets
            inner = inner + row_sums(weighted, self.rows[part], count)
        self.inner = inner / self.total[:, None]

    def mean(self):
        """Return the average of the points, ``(m, d)``, in float64."""
        return self.anchors + self.inner

    def spread(self):
        """Return an upper bound on the standard deviation, the radius."""
        return 0 * self.sigma + self.engine.radius

    def shift(self):
        """Return the average minus ``x``, ``(m, d)``, in float64."""
        return self.inner - self.start

    def log_kernel_sum(self):
        """Return ``log sum_j exp(-|x - y_j|^2 / (2 sigma^2))``, ``(m,)``."""
        xp = self.engine.xp
        squares = xp.sum((self.start / self.sigma[:, None]) ** 2, axis=1)
        return xp.log(self.total) - squares / 2

    def _prune(self):
        xp = self.engine.xp
        rows, columns, logits = (
            xp.concat(part) for part in zip(*self.found, strict=True)
        )
        keep = logits >= (self.top - self.cut)[rows]
        self.found = [(rows[keep], columns[keep], logits[keep])]
        self.size = self.found[0][0].shape[0]
        if 48 * self.size > self.engine.memory and self.x.shape[0] > 1:
            raise Crowded

    def _anchor_at(self, values):
        """Take as anchor of each row the point with the largest of ``values``."""
        xp, count = self.engine.xp, self.x.shape[0]
        best = row_maxima(values, self.rows, count)
        chosen = xp.nonzero(values == best[self.rows])[0]
        anchor = xp.zeros_like(self.top, dtype=xp.int64)
        anchor[self.rows[chosen]] = self.columns[chosen]
        self.anchor, self.anchors = anchor, _double(self.engine.points[anchor], xp)

    def _exact(self):
        xp, parts = self.engine.xp, []
        for part in self._parts():
            rows = self.rows[part]
            logits = relative_log_weights(
                self.x[rows],
                self.anchors[rows],
                self._points(part)[:, None, :],
                self.sigma[rows],
                xp,
            )
            parts.append(logits[:, 0])
        return xp.concat(parts) if parts else self.sigma[:0]

    def _points(self, part):
        xp = self.engine.xp
        return _double(self.engine.points[self.columns[part]], xp)

    def _parts(self):
        """Yield slices of the pairs whose differences fit into the memory."""
        step = max(1, self.engine.budget // (16 * self.x.shape[1]))
        for start in range(0, self.rows.shape[0], step):
            yield slice(start, min(start + step, self.rows.shape[0]))


class Crowded(Exception):
    """Too many points can carry weight: take fewer rows at a time."""


def product(left, block):
    """Return ``left @ block.T``, in the order in which the library is fastest."""
    return left @ block.T if is_numpy_array(left) else (block @ left.T).T


def weighted(weights, block):
    """Return ``weights @ block``, in the order in which the library is fastest."""
    return weights @ block if is_numpy_array(weights) else (block.T @ weights.T).T


def streamed_blocks(engine, rows):
    """Yield the columns, the points and the half squares of each block."""
    size = max(1, min(engine.block, _entries(engine) // max(1, rows)))
    for columns, block in _mapped.blocks(engine.base, size):
        yield columns, block, engine.half_squares[columns]


def _entries(engine):
    """Return how many weights of one block are held: four arrays of them live."""
    return max(1, engine.budget // 4)


def _double(array, xp):
    return xp.astype(array, xp.float64, copy=False)
