"""Weights that depend on each distance's size, not on a difference of squares.

``log w_j`` is ``log K(r_j) / T`` up to a constant, K falling like a power of the
distance: what must be right is the *relative* error of each ``r_j``.  A matrix product
gives ``r_j^2`` up to the rounding of the squared radius, which is plenty for far points
and worthless for near ones.  The points whose log weight that rounding would change are
redone from direct differences, in which nothing cancels.
"""

import math

from .._support.arrays import EPS, double, largest, row_blocks
from ..exact.differences import NEGLIGIBLE

# Largest error, in nats, that a log weight may carry out of the matrix product.
TOLERANCE = {4: 2e-4, 8: 1e-9}
# In so few dimensions direct differences cost no more than the matrix product.
DIRECT_DIMENSION = 8


class DistanceWeights:
    """The weights at a block of rows of ``x``, in float64, and averages under them.

    Attributes
    ----------
    squares : ``(m, n)``, ``r_j^2``
    log_weights : ``(m, n)``, normalized
    log_sum : ``(m,)``, ``log sum_j K(r_j)^(1/T)``, infinite on a pole
    pole : ``(m,)``, whether the row is a training point at which K is infinite
    """

    def __init__(self, points, x, kernel, temperature):
        xp = points.xp
        self.points, self.x, self.kernel, self.close = points, x, kernel, []
        self.squares = self._measure(temperature)
        scaled = kernel.log_kernel(self.squares, xp) / temperature
        top = xp.max(scaled, axis=1)
        self.pole = top == math.inf
        base = xp.where(self.pole, xp.zeros_like(top), top)[:, None]
        alone = xp.where(scaled == math.inf, 0 * self.squares, -math.inf)
        scaled = xp.where(self.pole[:, None], alone, scaled)
        log_sum = base + xp.log(xp.sum(xp.exp(scaled - base), axis=1))[:, None]
        self.log_weights = scaled - log_sum
        self.log_sum = xp.where(self.pole, top, log_sum[:, 0])

    def implied_level(self):
        """Return ``(sum_j w_j E_j[1/sigma^2])^{-1/2}``, 0 on a pole, ``(m,)``."""
        xp = self.points.xp
        precision = xp.sum(xp.exp(self.log_weights) * self._precision(), axis=1)
        return xp.where(self.pole, 0 * precision, precision**-0.5)

    def pull(self):
        """Return ``sum_j w_j E_j[1/sigma^2] (y_j - x)``, shape ``(m, d)``."""
        xp = self.points.xp
        if bool(xp.any(self.pole)):
            raise ValueError(
                "x has a row that is a training point, where the unconditional "
                "density has a pole and no gradient; give levels=(low, high)"
            )
        return self._weighted_gaps(xp.exp(self.log_weights) * self._precision())

    def shift(self):
        """Return ``sum_j w_j (y_j - x)``, shape ``(m, d)``."""
        return self._weighted_gaps(self.points.xp.exp(self.log_weights))

    def _precision(self):
        xp = self.points.xp
        safe = xp.where(self.pole[:, None], 1 + 0 * self.squares, self.squares)
        return self.kernel.precision(safe, xp)

    def _weighted_gaps(self, factors):
        xp, points = self.points.xp, self.points
        inner = xp.zeros_like(double(self.x))
        for rows, nearest in self.close:
            for columns in self._pieces(nearest):
                some = nearest[:, columns]
                chosen = factors[rows[:, None], some][:, :, None]
                inner[rows] += xp.sum(chosen * self._gaps(rows, some), axis=1)
            factors[rows[:, None], nearest] = 0.0
        dtype = self.keys.dtype
        sums = double(xp.astype(factors, dtype, copy=False) @ self.keys)
        start = double(self.x) - points.center
        return inner + sums[:, : points.d] - sums[:, points.d + 1 :][:, :1] * start

    def _measure(self, temperature):
        xp, points, x = self.points.xp, self.points, double(self.x)
        dtype = points.working_dtype(x, 1 + 0 * x[:, 0])
        left, scale, length = points.queries(x, 1 + 0 * x[:, 0], dtype)
        blocks = points.key_blocks(points.n, dtype)
        self.keys = next(iter(blocks))[1]
        inner = double(left @ self.keys.T) / scale[:, None]
        squares = length[:, None] ** 2 - 2 * inner
        error = 2 * points.proved_rounding(length, scale, dtype) / scale
        error = error + 4 * EPS[8] * length**2
        needed = self._needed(squares, error[:, None], temperature)
        squares = xp.clip(squares, 0.0, None)
        counts = xp.sum(xp.astype(needed, xp.int64), axis=1)
        rows = xp.nonzero(counts > 0)[0]
        preference = xp.where(needed, -squares, -math.inf)
        for group, most in row_groups(
            rows, counts[rows], points.d, points.memory // 8, xp
        ):
            nearest = largest(preference[group], most)
            for columns in self._pieces(nearest):
                some = nearest[:, columns]
                exact = xp.sum(self._gaps(group, some) ** 2, axis=2)
                squares[group[:, None], some] = exact
            self.close.append((group, nearest))
        return squares

    def _needed(self, squares, error, temperature):
        """Return which points carry weight that ``error`` in ``r^2`` would change."""
        xp, (n, d) = self.points.xp, self.points.data.shape
        if d <= DIRECT_DIMENSION:
            return xp.ones_like(squares) > 0
        least = xp.clip(squares - error, 0.0, None)
        most = xp.clip(xp.clip(squares, 0.0, None) + error, 1e-300, None)
        upper = self.kernel.log_kernel(least, xp) / temperature
        lower = self.kernel.log_kernel(most, xp) / temperature
        floor = xp.max(lower, axis=1)[:, None] - (math.log(n) + NEGLIGIBLE)
        itemsize = 4 if str(self.x.dtype).endswith("float32") else 8
        return (upper > floor) & (upper - lower > TOLERANCE[itemsize])

    def _gaps(self, rows, nearest):
        """Return ``y_j - x``, ``(r, k, d)``, in float64."""
        points = double(self.points.values[nearest])
        return points - double(self.x[rows])[:, None, :]

    def _pieces(self, nearest):
        (r, k), d = nearest.shape, self.points.data.shape[1]
        return row_blocks(k, 16 * r * d, self.points.memory // 8)


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
