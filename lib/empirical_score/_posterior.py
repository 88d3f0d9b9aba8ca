"""The law of the training point behind ``x``, with all weights at hand.

Each row of ``x`` gets an *anchor*, its nearest training point, and all log weights are
measured against it.  A matrix product gives every one with an error of about
``eps (|x| R + R^2) / sigma^2``, R being the radius of the centered data.  Where that is
too much (*sharp* rows: little noise, few points that matter) the points that can carry
weight are found by the same error bound and redone from direct differences.  The log
weights of all points that can matter are therefore right at every noise level; those of
points whose weight is 0 in floating point keep the error of the matrix product.
"""

import math

from ._arrays import double, largest, row_blocks
from ._direct import NEGLIGIBLE, relative_log_weights
from ._products import weighted


class Posterior:
    """The law of the training point behind each row of ``x``, ``(m, d)``.

    Attributes
    ----------
    logits : ``(m, n)``, log weights relative to each row's anchor
    log_sum : ``(m,)``, ``log sum_j exp(logits_j)``
    """

    def __init__(self, engine, x, sigma):
        xp = engine.xp
        self.engine, self.x, self.sigma = engine, x, sigma
        logits, error = engine.matrix_log_weights(x, sigma), engine.error(x, sigma)
        self.anchor = xp.argmax(logits, axis=1)
        every = xp.arange(x.shape[0])
        self.logits = logits - logits[every, self.anchor][:, None]
        self.sharp = []
        self._sharpen(error)
        self.top = xp.max(self.logits, axis=1)
        self.log_sum = self.top + xp.log(
            xp.sum(xp.exp(self.logits - self.top[:, None]), axis=1)
        )

    def log_weights(self):
        """Return ``log w``, ``(m, n)``."""
        return self.logits - self.log_sum[:, None]

    def weights(self):
        """Return ``w``, ``(m, n)``."""
        return self.engine.xp.exp(self.log_weights())

    def anchored(self):
        """Return the anchors ``(m, d)``, in float64, and ``log_sum``, ``(m,)``."""
        every = slice(None)
        return self._anchors(every), double(self.log_sum)

    def log_kernel_sum(self):
        """Return ``log sum_j exp(-|x - y_j|^2 / (2 sigma^2))``, ``(m,)``."""
        offset = (self.x - self.engine.points[self.anchor]) / self.sigma[:, None]
        return self.log_sum - self.engine.xp.sum(offset**2, axis=1) / 2

    def entropy(self):
        """Return ``-sum_j w_j log w_j``, ``(m,)``."""
        log_weights = self.log_weights()
        xp = self.engine.xp
        # exp(-800) is 0: the clip keeps 0 * (-1e18) finite and exact.
        clipped = xp.clip(log_weights, -800.0, None)
        return -xp.sum(xp.exp(log_weights) * clipped, axis=1)

    def mean(self):
        """Return the posterior mean, ``(m, d)``."""
        engine = self.engine
        mean = weighted(self.weights(), engine.base) + double(engine.origin)
        out = self._cast(mean)
        for rows, nearest in self.sharp:
            inner, _ = self._mean_from_anchor(rows, nearest)
            out[rows] = self._cast(self._anchors(rows) + inner)
        return out

    def shift(self):
        """Return the posterior mean minus ``x``, ``(m, d)``."""
        engine = self.engine
        start = double(self.x) - double(engine.origin)
        out = self._cast(weighted(self.weights(), engine.base) - start)
        for rows, nearest in self.sharp:
            inner, start = self._mean_from_anchor(rows, nearest)
            out[rows] = self._cast(inner - start)
        return out

    def covariance_product(self, v):
        """Return the posterior covariance times ``v``, ``(m, d)``."""
        xp, engine = self.engine.xp, self.engine
        weights, base = self.weights(), engine.base
        mean = weights @ base
        along = v @ base.T - xp.sum(mean * v, axis=1)[:, None]
        weighted = weights * along
        out = weighted @ base - xp.sum(weighted, axis=1)[:, None] * mean
        for rows, nearest in self.sharp:
            mean, _ = self._mean_from_anchor(rows, nearest)
            total = 0.0
            for offsets, weights in self._around_anchor(rows, nearest):
                offsets = offsets - mean[:, None, :]
                along = xp.sum(offsets * double(v[rows])[:, None, :], axis=2)
                total = total + xp.sum((weights * along)[:, :, None] * offsets, axis=1)
            out[rows] = self._cast(total)
        return out

    def _sharpen(self, error):
        """Redo the decisive log weights of the rows whose error is too large."""
        xp, (n, d) = self.engine.xp, self.engine.points.shape
        sharp = xp.nonzero(error > self.engine.tolerance)[0]
        if sharp.shape[0] == 0:
            return
        cut = -(math.log(n) + NEGLIGIBLE + 2 * error[sharp])
        decisive = self.logits[sharp] >= cut[:, None]
        counts = xp.sum(xp.astype(decisive, xp.int64), axis=1)
        for rows, most in row_groups(sharp, counts, d, self.engine.budget, xp):
            nearest = largest(self.logits[rows], most)
            exact = self._exact_logits(rows, nearest)
            if bool(xp.any(exact > 1.0)):
                # The matrix product missed the nearest point by far: move the anchor,
                # or the digits of large log weights would be lost.
                best = xp.argmax(exact, axis=1)
                every = xp.arange(best.shape[0])
                self.anchor[rows] = nearest[every, best]
                top = self._cast(exact[every, best])
                self.logits[rows] = self.logits[rows] - top[:, None]
                exact = self._exact_logits(rows, nearest)
            self.logits[rows[:, None], nearest] = self._cast(exact)
            self.sharp.append((rows, nearest))

    def _exact_logits(self, rows, nearest):
        """Return the log weights of chosen points from direct differences."""
        pieces = [
            self._exact_piece(rows, nearest[:, columns])
            for columns in self._pieces(nearest)
        ]
        return pieces[0] if len(pieces) == 1 else self.engine.xp.concat(pieces, axis=1)

    def _exact_piece(self, rows, nearest):
        return relative_log_weights(
            double(self.x[rows]),
            self._anchors(rows),
            double(self.engine.points[nearest]),
            double(self.sigma[rows]),
            self.engine.xp,
        )

    def _pieces(self, nearest):
        """Return slices of the chosen points whose offsets fit into the memory."""
        (r, k), d = nearest.shape, self.engine.points.shape[1]
        return row_blocks(k, 16 * r * d, self.engine.budget)

    def _offsets(self, rows, nearest):
        """Return ``y_j - y_a`` ``(r, k, d)`` and ``x - y_a`` ``(r, d)`` in float64."""
        anchors = self._anchors(rows)
        offsets = double(self.engine.points[nearest]) - anchors[:, None, :]
        return offsets, double(self.x[rows]) - anchors

    def _anchors(self, rows):
        return double(self.engine.points[self.anchor[rows]])

    def _mean_from_anchor(self, rows, nearest):
        """Return the posterior mean and ``x``, both minus the anchor, ``(r, d)``."""
        inner = 0.0
        for offsets, weights in self._around_anchor(rows, nearest):
            inner = inner + self.engine.xp.sum(weights[:, :, None] * offsets, axis=1)
        return inner, double(self.x[rows]) - self._anchors(rows)

    def _around_anchor(self, rows, nearest):
        """Yield offsets ``(r, k, d)`` and weights ``(r, k)``, some points at a time."""
        log_sum = double(self.log_sum[rows])[:, None]
        for columns in self._pieces(nearest):
            offsets, _ = self._offsets(rows, nearest[:, columns])
            logits = double(self.logits[rows[:, None], nearest[:, columns]])
            yield offsets, self.engine.xp.exp(logits - log_sum)

    def _cast(self, array):
        return self.engine.xp.astype(array, self.engine.points.dtype, copy=False)


def row_groups(rows, counts, d, budget, xp):
    """Yield ``(rows, most)``: groups of rows that need about equally many points.

    ``counts`` says how many points each row needs, ``most`` is the largest count of
    the group; its offsets ``(rows, most, d)`` fit into the memory, or it is one row.
    """
    order = xp.argsort(counts)
    rows, counts = rows[order], counts[order]
    start = 0
    while start < rows.shape[0]:
        stop = start + 1
        while stop < rows.shape[0]:
            entries = (stop + 1 - start) * int(counts[stop]) * d
            if entries > budget // 16:
                break
            stop += 1
        yield rows[start:stop], int(counts[stop - 1])
        start = stop
