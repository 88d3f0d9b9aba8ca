"""A training set prepared for exact sums: centered, and ready for matrix products.

With the center ``c`` of the data every log weight is one inner product,

    -|x - y_j|^2 / (2 sigma^2) = < q, k_j > + a constant of the row,
    q = (x - c, 1, 0) / sigma^2,   k_j = (y_j - c, -|y_j - c|^2 / 2, 1),

and a weighted sum of the *keys* ``k_j`` holds all that is asked for: the average of the
points, that of their squared lengths, and the sum of the weights.
"""

import math

from .._support import mapped
from .._support.arrays import (
    EPS,
    LEVELS,
    array_namespace,
    device,
    double,
    itemsize,
    largest,
)

# Keys of fewer numbers are filled up with zeros in float32: libraries add so narrow
# products term by term, and rounding would grow with the number of points.
NARROW = 16
# Keys are kept where they take at most so many times the data, or so many numbers.
KEPT, SMALL = 1.2, 2**20
# Numbers of one block of points that are looked at together.
BLOCK = 2**20
# Points at which rounding is looked at, and how many of them are the farthest.
SAMPLED, FARTHEST = 32, 8
# Lengths and their inverses up to here are left to float32.
MODERATE = 1e12
# Log weights are scaled so that rounding stays below so many nats: more is never asked.
COARSE = 2.0**17


class Points:
    """Training points ``(n, d)``, NumPy or torch, in memory or in a file.

    Attributes
    ----------
    data : the points; values : the same without a history; xp : their namespace
    n, d : their number and dimension
    center : ``(d,)``, the mean, in float64 but a number of the data's precision
    radius, spread : the largest and the root mean square distance from the center
    half_squares : ``(n,)``, half the squared distances from the center
    itemsize, mapped : bytes of a number, and whether the points lie in a file
    memory : bytes that the temporary arrays of a call may take
    """

    def __init__(self, data, memory):
        xp = self.xp = array_namespace(data)
        self.data, self.memory = data, memory
        self.n, self.d = data.shape
        self.itemsize = itemsize(data)
        self.mapped = mapped.is_mapped(data)
        self.values = data.detach() if hasattr(data, "detach") else data
        total = 0.0
        for _, block in self.blocks():
            total = total + xp.sum(double(block), axis=0)
        self.center = double(xp.astype(total / self.n, data.dtype))
        halves = [
            xp.sum((double(block) - self.center) ** 2, axis=1) / 2
            for _, block in self.blocks()
        ]
        self.half_squares = halves[0] if len(halves) == 1 else xp.concat(halves)
        self.radius = (2 * float(xp.max(self.half_squares))) ** 0.5
        self.spread = (2 * float(xp.mean(self.half_squares))) ** 0.5
        if not self.radius <= LEVELS[self.itemsize][1]:
            raise ValueError(
                f"data must be within {LEVELS[self.itemsize][1]:g} of their mean, so "
                f"that float{8 * self.itemsize} holds squared distances, "
                f"got a distance of {self.radius:.3g}"
            )
        self._keys = None

    def blocks(self, size=None):
        """Yield ``(slice, points)``: consecutive points, a block at a time."""
        size = max(1, BLOCK // self.d) if size is None else size
        yield from mapped.blocks(self.values, size)

    def key_blocks(self, size, dtype):
        """Yield ``(start, keys)``: the keys ``(b, k)`` of ``size`` points at a time."""
        if self.keeps(dtype):
            if self._keys is None:
                parts = [self._made(*part, dtype) for part in self.blocks()]
                self._keys = parts[0] if len(parts) == 1 else self.xp.concat(parts)
            for start in range(0, self.n, size):
                yield start, self._keys[start : start + size]
            return
        for columns, block in self.blocks(size):
            yield columns.start, self._made(columns, block, dtype)

    def keeps(self, dtype):
        """Return whether the keys of all points are kept, once they were made."""
        width, own = self.width(dtype), dtype == self.values.dtype and not self.mapped
        return own and (width <= KEPT * self.d or self.n * width <= SMALL)

    def width(self, dtype):
        """Return how many numbers a key has."""
        return max(self.d + 2, NARROW if dtype == self.xp.float32 else 0)

    def queries(self, x, sigma, dtype):
        """Return left factors ``(m, k)``, their scales and ``|x - c|``, ``(m,)``.

        The scale is ``1 / sigma^2``, or less where rounding would exceed ``COARSE``
        nats at that: the few points that can matter then are told apart by less.
        """
        xp, gap, length = self.xp, x - self.center, self.length(x)
        unit = EPS[8 if dtype == xp.float64 else 4] / 2
        least = unit * self.radius * (length + self.radius) / COARSE
        scale = 1 / xp.maximum(sigma**2, least)
        out = xp.zeros((x.shape[0], self.width(dtype)), dtype=dtype, device=device(x))
        out[:, : self.d] = xp.astype(gap * scale[:, None], dtype)
        out[:, self.d] = xp.astype(scale, dtype)
        return out, scale, length

    def length(self, x):
        """Return the distances ``|x - c|`` from the center, ``(m,)``."""
        return self.xp.sum((x - self.center) ** 2, axis=1) ** 0.5

    def typical_rounding(self, length, scale, dtype):
        """Return about how many nats a product of keys is off at most, ``(m,)``."""
        unit = EPS[4 if dtype == self.xp.float32 else 8]
        return unit * self.radius * (length + self.radius) * scale

    def proved_rounding(self, length, scale, dtype):
        """Return how many nats a product of keys is off at the very most, ``(m,)``.

        A sum of ``d`` rounded products is off by ``d u`` of the sum of their sizes, in
        any order (Higham 2002, section 3.1), u being the unit of rounding; eight more
        are for what the factors were rounded before.
        """
        unit = EPS[4 if dtype == self.xp.float32 else 8] / 2
        terms = 1.01 * (self.width(dtype) + 8) * unit
        return terms * self.radius * (length + self.radius) * scale

    def working_dtype(self, x, sigma):
        """Return float32 where the data are and no square leaves its range."""
        xp, most = self.xp, float(self.xp.max(self.xp.abs(x - self.center)))
        low, high = float(xp.min(sigma)), float(xp.max(sigma))
        lengths = most, high, self.radius, 1 / low, 1 / max(self.radius, 1e-300)
        moderate = max(lengths) * math.sqrt(self.d) < MODERATE
        return xp.float32 if self.itemsize == 4 and moderate else xp.float64

    def check(self, x, sigma):
        """Raise ``ValueError`` where squares of distances over ``sigma`` overflow."""
        xp, sigma = self.xp, double(sigma)
        least = (self.length(double(x)) + self.radius) / LEVELS[self.itemsize][1]
        if bool(xp.any(sigma < least)):
            row = int(xp.argmax(least / sigma))
            raise ValueError(
                f"sigma must be at least {float(least[row]):.3g} in row {row}, so that "
                f"float{8 * self.itemsize} holds the square of a distance over sigma, "
                f"got {float(sigma[row]):.3g}"
            )

    def sampled(self):
        """Return the numbers of the points at which rounding is looked at.

        The farthest are among them: rounding grows with the length of a point.
        """
        xp, few = self.xp, SAMPLED - FARTHEST
        far = largest(self.half_squares[None, :], min(self.n, FARTHEST))[0]
        every = xp.arange(self.n, device=device(far))
        return xp.concat([far, every[:: max(1, self.n // few)]])

    def _made(self, columns, block, dtype):
        xp = self.xp
        shape = block.shape[0], self.width(dtype)
        out = xp.zeros(shape, dtype=dtype, device=device(block))
        out[:, : self.d] = xp.astype(double(block) - self.center, dtype)
        out[:, self.d] = xp.astype(-self.half_squares[columns], dtype)
        out[:, self.d + 1] = 1.0
        return out
