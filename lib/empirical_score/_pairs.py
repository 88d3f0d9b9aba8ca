"""The points that can carry weight, redone from direct differences.

Where noise is little, a matrix product is too coarse for log weights, but few points
matter: it only says which.  Near ties are carried in twice the precision (``_direct``).
"""

import math

from ._arrays import double, row_maxima, row_sums
from ._direct import NEGLIGIBLE, relative_log_weights
from ._products import log_weights

# Differences that are looked at together.
CACHED = 2**18
# Bytes that a pair of row and point takes until its weight is known.
PAIR = 128
# Weights below exp(-LEAST) / n change no digit of an average in that precision.
LEAST = {4: 22.0, 8: NEGLIGIBLE}


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
        self.x, self.sigma = double(x), double(sigma)
        self.top = xp.zeros_like(sigma) - math.inf
        self.found, self.size = [], 0

    def add(self, columns, block, half_squares):
        """Collect from one block of points those that may count."""
        xp = self.engine.xp
        logits = log_weights(self.left, block, half_squares, self.coarse)
        self.top = xp.maximum(self.top, xp.max(logits, axis=1))
        near = logits >= (self.top - self.cut)[:, None]
        self._make_room(int(xp.count_nonzero(near)))
        rows, places = xp.nonzero(near)
        self.found.append((rows, places + columns.start, logits[rows, places]))
        self.size += rows.shape[0]

    def finish(self):
        """Settle anchors and weights once all blocks were offered."""
        xp = self.engine.xp
        if not self.found:
            self.found = [(xp.astype(self.top, xp.int64),) * 2 + (self.top,)]
        if len(self.found) > 1:
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
            offsets = self.weights[part][:, None] * offsets
            inner = inner + row_sums(offsets, self.rows[part], count)
        self.inner = inner / self.total[:, None]

    def mean(self):
        """Return the average of the points, ``(m, d)``, in float64."""
        return self.anchors + self.inner

    def spread(self):
        """Return an upper bound on the standard deviation, the radius."""
        return 0 * self.sigma + self.engine.radius

    def rounding(self):
        """Return a bound on the error of the sums, ``(m,)``: all points are in 2 R."""
        n = self.engine.points.shape[0]
        return 0 * self.sigma + (n + 8) * 2.0**-52 * 2 * self.engine.radius

    def shift(self):
        """Return the average minus ``x``, ``(m, d)``, in float64."""
        return self.inner - self.start

    def log_kernel_sum(self):
        """Return ``log sum_j exp(-|x - y_j|^2 / (2 sigma^2))``, ``(m,)``."""
        xp = self.engine.xp
        squares = xp.sum((self.start / self.sigma[:, None]) ** 2, axis=1)
        return xp.log(self.total) - squares / 2

    def _make_room(self, more):
        """See that as many more pairs fit into the memory, or raise ``Crowded``."""
        room = self.engine.memory // PAIR - more
        if self.size > room and self.found:
            self._prune()
        if self.size > room and self.x.shape[0] > 1:
            raise Crowded

    def _prune(self):
        """Leave out what has fallen too far behind."""
        xp = self.engine.xp
        rows, columns, logits = (
            xp.concat(part) for part in zip(*self.found, strict=True)
        )
        keep = logits >= (self.top - self.cut)[rows]
        self.found = [(rows[keep], columns[keep], logits[keep])]
        self.size = self.found[0][0].shape[0]

    def _anchor_at(self, values):
        """Take as anchor of each row the point with the largest of ``values``."""
        xp, count = self.engine.xp, self.x.shape[0]
        best = row_maxima(values, self.rows, count)
        chosen = xp.nonzero(values == best[self.rows])[0]
        anchor = xp.zeros_like(self.top, dtype=xp.int64)
        anchor[self.rows[chosen]] = self.columns[chosen]
        self.anchor, self.anchors = anchor, double(self.engine.points[anchor])

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
        return double(self.engine.points[self.columns[part]])

    def _parts(self):
        """Yield slices of the pairs whose differences stay in the cache."""
        numbers = min(CACHED, self.engine.budget // 16)
        step = max(1, numbers // self.x.shape[1])
        for start in range(0, self.rows.shape[0], step):
            yield slice(start, min(start + step, self.rows.shape[0]))


class Crowded(Exception):
    """Too many points can carry weight: take fewer rows at a time."""
