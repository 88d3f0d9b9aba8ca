"""Training points prepared for exact softmax averages in bounded memory.

Everything the empirical score needs is an average under the weights

    w_j(x) = softmax_j( -|x - y_j|^2 / (2 sigma^2) ).

Which code does the sums is a matter of size, and this module decides it.  Where all
weights of a block of rows fit into the memory, ``_posterior`` holds them; where they do
not, ``_streaming`` passes over the points once and keeps running sums.
"""

import copy
import math
from functools import cached_property

from . import _mapped
from ._arrays import (
    EPS,
    LEVELS,
    array_namespace,
    device,
    double,
    itemsize,
    largest,
    row_blocks,
)
from ._fused import FUSED, can_fuse
from ._pairs import Crowded
from ._posterior import Posterior
from ._products import log_weights
from ._streaming import Streamed

# Largest error, in nats, that a log weight may carry out of the matrix product.
TOLERANCE = {4: 4e-4, 8: 2e-10}
# Points at which a product of float32 is compared with one of float64, how many of them
# are the farthest, and the factor by which its error elsewhere is taken to be larger.
SAMPLED, FARTHEST, MARGIN = 32, 8, 4.0
# Lengths, their inverses and their ratios up to here have squares in float32.
MODERATE = 1e15
# Weights of a block of rows that are kept; larger problems are streamed.
KEPT = 2**20
# Numbers of one block of points: it stays in a processor's last cache.
POINTS = 2**22


class Engine:
    """Training points prepared for exact softmax averages in bounded memory.

    ``points`` is ``(n, d)``, NumPy or torch; ``memory`` bounds, in bytes, the
    temporary arrays of one block (at least one row of n numbers where all weights are
    asked for).

    Attributes
    ----------
    center : ``(d,)``, the mean; radius : the largest distance from it
    base, origin : ``points = base + origin``; the points themselves (and 0), or a
        centered copy where the mean is so far away that it would cost digits
    away, rounded, reach : distance of the center from the origin; how far rounding of
        the copy may move a point; bound on the length of ``base``
    half_squares : ``(n,)``, ``|y_j - center|^2 / 2``
    """

    def __init__(self, points, memory):
        xp = self.xp = array_namespace(points)
        self.points = points
        self.itemsize = itemsize(points)
        self.eps = EPS[self.itemsize]
        self.tolerance = TOLERANCE[self.itemsize]
        self.farthest = LEVELS[self.itemsize][1]
        self.block = max(1, POINTS // points.shape[1])
        self.center = self._mean()
        squares = self._squares()
        self.half_squares = xp.astype(squares / 2, points.dtype)
        self.radius = float(xp.max(squares)) ** 0.5
        offset = float(xp.sum(double(self.center) ** 2)) ** 0.5
        self.mapped = _mapped.is_mapped(points)
        if offset <= self.radius or self.mapped:
            self.base, self.origin = points, xp.zeros_like(self.center)
            self.away, self.rounded = offset, 0.0
        else:
            self.base, self.origin = points - self.center, self.center
            self.away, self.rounded = 0.0, self.eps * self.radius
        self.reach = self.radius + self.away
        self.memory = memory
        self.budget = memory // 8  # indices and redone points take 8 bytes in any case

    def check(self, x, sigma):
        """Raise ``ValueError`` where squares of distances over ``sigma`` overflow."""
        xp, sigma = self.xp, double(sigma)
        least = (self._most(x, "x") + self.radius) / self.farthest
        if bool(xp.any(sigma < least)):
            row = int(xp.argmax(least / sigma))
            raise ValueError(
                f"sigma must be at least {float(least[row]):.3g} in row {row}, so that "
                f"float{8 * self.itemsize} holds the square of a distance over sigma, "
                f"got {float(sigma[row]):.3g}"
            )

    def moderate(self, x, sigma):
        """Return whether float32 holds all log weights, and squares of all lengths."""
        most = self._most(x, "x") + self.radius
        inside = (most <= MODERATE) & (most <= MODERATE * double(sigma))
        return self.radius * MODERATE >= 1 and bool(self.xp.all(inside))

    def posteriors(self, x, sigma):
        """Yield ``(rows, Posterior)`` over blocks of the rows of ``x``."""
        # About six arrays (rows, n) live at once.
        for rows in row_blocks(x.shape[0], 6 * self.points.shape[0], self.budget):
            yield rows, Posterior(self, x[rows], sigma[rows])

    def averages(self, x, sigma, sums=True):
        """Yield ``(rows, average)``, which knows ``mean``, ``shift`` and the log sum.

        The same answers as a :class:`Posterior`, for data of any size; the log sum is
        there only where ``sums`` are asked for.
        """
        n = self.points.shape[0]
        if n * x.shape[0] <= KEPT and not self.mapped:
            yield from self.posteriors(x, sigma)
            return
        yield from self.streamed(x, sigma, sums=sums)

    def streamed(self, x, sigma, nats=None, sums=True):
        """Yield ``(rows, Streamed)`` over blocks of the rows of ``x``."""
        many = FUSED if not sums and can_fuse(self, x, sigma) else Streamed.rows(self)
        todo = list(row_blocks(x.shape[0], 1, many))[::-1]
        while todo:
            rows = todo.pop()
            try:
                yield rows, Streamed(self, x[rows], sigma[rows], nats, sums)
            except Crowded:
                middle = (rows.start + rows.stop) // 2
                todo += [slice(middle, rows.stop), slice(rows.start, middle)]

    def blocks(self):
        """Yield the columns and the points of blocks that stay in the cache."""
        yield from _mapped.blocks(self.points, self.block)

    def subset(self, columns):
        """Return an engine for some of the points around the same center."""
        some = copy.copy(self)
        some.points = self.points[columns]
        some.base = some.points if self.base is self.points else self.base[columns]
        some.half_squares = self.half_squares[columns]
        some.mapped = False
        vars(some).pop("sampled", None)
        return some

    def matrix_log_weights(self, x, sigma):
        """Return log weights up to a constant per row, ``(m, n)``."""
        left = self.scaled(x, sigma)
        return log_weights(left, self.base, self.half_squares, sigma)

    def scaled(self, x, sigma):
        """Return ``(x - center) / sigma^2``, the left factor of the matrix product."""
        return (x - self.center) / sigma[:, None] ** 2

    def error(self, x, sigma):
        """Return a bound on the error of the matrix product's log weights, ``(m,)``.

        What holds with all but certainty for every product (Higham 2002, section 2.8,
        with a factor of 4) is ten to a hundred times too large for data as they are;
        where that would cost time in float32, the largest error seen at some points,
        times a margin, takes its place.
        """
        xp, error = self.xp, self._bound(x, sigma, self.eps)
        rows = xp.nonzero(error > self.tolerance)[0]
        if self.itemsize == 4 and rows.shape[0]:
            seen = MARGIN * self._error_seen(x[rows], sigma[rows])
            error[rows] = xp.minimum(error[rows], seen)
        return error

    def error_in_double(self, x, sigma):
        """Return a bound on the error of log weights out of float64, ``(m,)``."""
        return self._bound(x, sigma, 2.0**-52)

    @cached_property
    def sampled(self):
        """The numbers of the points at which rounding is looked at.

        The farthest are among them: rounding grows with the length of a point.
        """
        xp, n = self.xp, self.points.shape[0]
        far = largest(self.half_squares[None, :], min(n, FARTHEST))[0]
        few = SAMPLED - FARTHEST
        return xp.concat([far, xp.arange(n, device=device(far))[:: max(1, n // few)]])

    def _bound(self, x, sigma, eps):
        length = self.xp.sum((x - self.center) ** 2, axis=1) ** 0.5
        reach = length * self.reach + self.radius**2
        return 4 * math.sqrt(x.shape[1]) * eps * reach / sigma**2

    @property
    def caution(self):
        """By what factor errors in float64 are to be taken larger to be proved.

        Rounding errors of a sum that all point to one side grow like the number of its
        terms, not like the root of that.
        """
        d = self.points.shape[1]
        return max(1.0, (d / 2 + 4) / (4 * math.sqrt(d))) if self.itemsize == 8 else 1.0

    def _error_seen(self, x, sigma):
        """Return the largest error of log weights at the sampled points, ``(m,)``."""
        xp, some = self.xp, self.sampled
        left = self.scaled(x, sigma)
        coarse = log_weights(left, self.base[some], self.half_squares[some], sigma)
        x, sigma, center = double(x), double(sigma), double(self.center)
        gaps = double(self.points[some]) - center
        fine = (x - center) @ gaps.T - xp.sum(gaps**2, axis=1) / 2
        off = coarse - fine / sigma[:, None] ** 2
        off = xp.abs(off - xp.mean(off, axis=1)[:, None])
        return xp.astype(xp.max(off, axis=1), self.points.dtype)

    def _mean(self):
        """Return the mean of the points, block by block."""
        xp, total = self.xp, 0.0
        for _, block in self.blocks():
            total = total + xp.sum(block, axis=0, dtype=xp.float64)
        return xp.astype(total / self.points.shape[0], self.points.dtype)

    def _squares(self):
        """Return the squared distances from the center, ``(n,)``, in float64."""
        xp, parts = self.xp, []
        for _, block in _mapped.blocks(self.points, max(1, self.block // 4)):
            self._most(block, "data")
            parts.append(xp.sum((double(block) - double(self.center)) ** 2, axis=1))
        return parts[0] if len(parts) == 1 else xp.concat(parts)

    def _most(self, rows, name):
        """Return bounds on the distances of rows from the center.

        Raises ``ValueError`` if these might have squares that overflow.
        """
        xp = self.xp
        gaps = xp.max(xp.abs(double(rows) - double(self.center)), axis=1)
        most = math.sqrt(rows.shape[1]) * gaps
        if not bool(xp.all(most <= self.farthest)):
            raise ValueError(
                f"{name} must lie within {self.farthest:g} of the mean of data, so "
                f"that float{8 * self.itemsize} holds squared distances, got a row as "
                f"far as {float(xp.max(most)):.3g}"
            )
        return most
