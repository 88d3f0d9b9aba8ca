"""The denoiser to a stated tolerance, with a certificate, without all the products.

Count everything from the center ``c`` of the data, and let ``x = k + u`` with a part
``k`` whose products with all points are known (0 if nothing is).  Along a few principal
axes (``_axes``) the log weights are bounded from both sides,

    sigma^2 l_j = a_j +- t t_j,   a_j = <k, y_j> + <h, h_j> - |y_j|^2 / 2.

Two facts then replace products that are never computed.

1. *Sandwich.*  With weights ``v_j`` out of the ``a_j``, ``d_j = t t_j / sigma^2``, the
   true ones are at most ``v_j exp(d_j + b)``, ``b = log sum_j v_j exp(d_j)``, and at
   least ``v_j exp(-d_j - b)``.  So the denoiser moves by at most the root of
   ``sum_j v_j (exp(d_j + b) - 1)^2`` times the standard deviation of ``v``.
2. *Pruning.*  If the exact log weight of one good candidate exceeds the upper bound of
   ``l_j`` by ``log(n / eps)`` for every j that is left out, all that is left out has at
   most the weight ``eps``, and the denoiser moves by at most ``eps (R + |D - c|)``.

Where neither closes, the products with all points are computed after all.
"""

import math
from typing import NamedTuple

from ._engine import MARGIN
from ._streaming import Pairs

SINGLE = 2.0**-23  # rounding of float32: it is in every bound
PRUNED = 0.5  # pruning pays when at most this share of the points is left


class Certificate(NamedTuple):
    """What is known for sure about a denoiser computed to a tolerance.

    Attributes
    ----------
    error : ``(m,)``, bound on ``|D' - D| / sqrt(d)``, root mean square a coordinate
    discarded : ``(m,)``, bound on the weight of all points that were left out
    share : float, products computed, as a share of those that a sum over all points
        takes
    """

    error: object
    discarded: object
    share: float


class Known(NamedTuple):
    """A part of ``x``, counted from the center, and its products with the points."""

    part: object  # (m, d), float64
    products: object  # (m, n), float32
    slack: object  # (m,), bound on the error of the products


class Certified:
    """The posterior mean at a block of rows, by the cheapest way that is certain.

    ``prune=False`` does not try to prune.  After the run ``mean`` ``(m, d)`` is the
    denoiser, in float64, and ``certificate`` what is known of it; ``lone`` ``(m,)`` is
    the number of the one point that is left in, or -1; ``products`` those of ``x``, if
    they had to be computed, with their ``slack``; ``way`` names what was done.
    """

    def __init__(self, engine, axes, x, sigma, tolerance, known=None, prune=True):
        xp, (n, d) = engine.xp, engine.points.shape
        self.engine, self.axes, self.x, self.sigma = engine, axes, x, sigma
        self.noise = _double(sigma, xp) ** 2
        centered = _double(x, xp) - _double(engine.center, xp)
        self.squares = xp.sum(centered**2, axis=1)
        self.budget = tolerance * math.sqrt(d)
        self.cut = math.log(n) + math.log(max(4 * engine.radius / self.budget, 1.0))
        self.known, self.rest = known, centered
        self.scores = self.columns = self.products = None
        self.slack, self.done, self.work = 0 * self.noise, 0, 0.0
        self.discarded = 0 * self.noise
        self.lone = xp.zeros_like(sigma, dtype=xp.int64) - 1
        if known is not None:
            self.rest = centered - known.part
            self.slack = known.slack
        self._project()
        self.way = self._go(prune)
        self.certificate = Certificate(
            self.error / math.sqrt(d), self.discarded, self.work / (2 * n * d)
        )

    def _go(self, prune):
        for panel in range(len(self.axes.depths)):
            if self._promising(panel):
                self._advance(panel)
                tail, rests = self.tails[panel], self.axes.rests[panel]
                if self._sandwich(tail, rests):
                    return "sandwich"
        if prune and self._prune():
            self._sum_left()
            return "pruned"
        if self.known is None:
            self._sum_all()
        else:
            self._complete()
            if not self._sandwich(0 * self.noise, self.axes.rests[-1]):
                self._sum_all()
        return "all"

    def _project(self):
        """Find the coordinates of what is not known, and the lengths of its rests."""
        xp, axes = self.engine.xp, self.axes
        single = xp.astype(self.rest, xp.float32)
        self.length = xp.sum(self.rest**2, axis=1)
        self.inside = [single @ directions for directions in axes.directions]
        self.tails, left = [], self.length
        for inside in self.inside:
            left = left - xp.sum(_double(inside, xp) ** 2, axis=1)
            self.tails.append((xp.clip(left, 0.0, None) + 1e-6 * self.length) ** 0.5)

    def _promising(self, panel):
        """Return whether the sandwich after a panel is likely to close."""
        xp, engine = self.engine.xp, self.engine
        typical = float(xp.mean(self.axes.rests[panel]))
        spread = float(xp.mean(engine.half_squares) * 2) ** 0.5
        bound = self.tails[panel] * typical + self.slack + self._rounding(panel)
        return float(xp.max(bound / self.noise)) * 2 * spread < 1.5 * self.budget

    def _rounding(self, panel):
        """Return a bound on what the sums up to a panel add to the error, ``(m,)``."""
        depth, radius = self.axes.depths[panel], self.engine.radius
        product = (4 * math.sqrt(depth) + 8) * self.length**0.5 * radius
        return SINGLE * (product + 2 * radius**2)

    def _advance(self, panel):
        """Add the products in all panels up to one to the scores."""
        xp, axes = self.engine.xp, self.axes
        if self.scores is None:
            half = xp.astype(self.engine.half_squares, xp.float32)
            start = 0.0 if self.known is None else self.known.products
            self.scores = start - half
            self.bottom = self.slack + SINGLE * _double(
                xp.max(xp.abs(self.scores), axis=-1), xp
            )
        for number in range(self.done, panel + 1):
            coordinates = self._left(axes.coordinates[number])
            product = self.inside[number] @ coordinates.T
            self.scores = self.scores + product
            self.work += coordinates.shape[0] * coordinates.shape[1]
        self.done = max(self.done, panel + 1)
        self.slack = self.bottom + self._rounding(panel)

    def _sandwich(self, tail, rests):
        """Average with weights out of the scores, if that is certainly good enough."""
        xp, engine, axes = self.engine.xp, self.engine, self.axes
        logits = self.scores / xp.astype(self.noise, xp.float32)[:, None]
        logits -= xp.max(logits, axis=1)[:, None]
        weights = xp.exp(logits)
        squares = 2 * xp.astype(engine.half_squares, xp.float32)
        moments = xp.stack([0 * rests + 1, squares, rests, rests**2], axis=1)
        moments = _double(weights @ moments, xp)
        total = moments[:, 0]
        moments = moments / total[:, None]
        slope, own = tail / self.noise, self.slack / self.noise
        first = slope * moments[:, 2] + own
        second = slope**2 * moments[:, 3] + 2 * slope * own * moments[:, 2] + own**2
        most = xp.clip(slope * float(xp.max(rests)) + own, 1e-300, None)
        growth = xp.expm1(2 * most) / (2 * most)
        shift = growth * first
        factor = growth * xp.sqrt(second + 2 * shift * first + shift**2)
        self.error = factor * xp.sqrt(moments[:, 1]) * 1.001 + 8 * SINGLE * engine.reach
        if bool(xp.any(self.error > self.budget)):
            return False
        weights = weights / xp.astype(total, xp.float32)[:, None]
        n = weights.shape[1]
        uneven = _double(xp.sum(weights**2, axis=1), xp) - 1 / n
        uneven = (xp.clip(uneven, 0.0, None) + 1e-6 / n) ** 0.5
        for panel, norm in enumerate(axes.norms):
            if not bool(xp.any(self.error + norm * uneven > self.budget)):
                self.error = self.error + norm * uneven
                self._average_along(weights, panel)
                return True
        base = engine.base
        mean = xp.astype(weights, base.dtype, copy=False) @ base
        self.mean = _double(mean, xp) + _double(engine.origin, xp)
        self.work += base.shape[0] * base.shape[1]
        return True

    def _average_along(self, weights, panel):
        """Take the mean along the axes up to a panel, and that of all points beyond."""
        xp, axes = self.engine.xp, self.axes
        mean = 0.0
        for number in range(panel + 1):
            coordinates = axes.coordinates[number]
            inside = weights @ coordinates
            mean = mean + inside @ axes.directions[number].T
            self.work += coordinates.shape[0] * coordinates.shape[1]
        self.mean = _double(mean, xp) + _double(self.engine.center, xp)

    def _prune(self):
        """Leave out points whose upper bounds are too low; return whether it paid."""
        xp, axes, (n, d) = self.engine.xp, self.axes, self.engine.points.shape
        for panel in range(len(axes.depths)):
            if panel < self.done - 1:
                continue
            self._advance(panel)
            rests = self._left(axes.rests[panel])
            spread = xp.astype(self.tails[panel], xp.float32)[:, None] * rests
            upper = self.scores + spread
            best = xp.argmax(upper, axis=1)
            floor = self._exact(best)
            floor = floor - self.slack - self.cut * self.noise
            self.alive = upper >= xp.astype(floor, xp.float32)[:, None]
            self.alive[xp.arange(best.shape[0]), best] = True
            some = xp.any(self.alive, axis=0)
            left = int(xp.sum(xp.astype(some, xp.int64)))
            if left < 0.9 * some.shape[0]:
                kept = xp.nonzero(some)[0]
                self.columns = kept if self.columns is None else self.columns[kept]
                self.scores, self.alive = self.scores[:, kept], self.alive[:, kept]
            if left * d <= 2**20 or (panel >= 2 and self.columns is None):
                break
        return self.scores.shape[1] <= PRUNED * n

    def _sum_left(self):
        """Average exactly over the points that are left in."""
        xp, engine, (n, d) = self.engine.xp, self.engine, self.engine.points.shape
        size, m = self.scores.shape[1], self.x.shape[0]
        counts = xp.sum(xp.astype(self.alive, xp.int64), axis=1)
        pairs = int(xp.sum(counts))
        if pairs * 50 <= m * size or pairs * d <= 2**20:
            self._from_pairs(counts)
            self.work += pairs * d / m
        else:
            self._streamed(engine.subset(self.columns))
            self.discarded = (n - size) * math.exp(-self.cut) + 0 * self.noise
        gap = xp.sum((self.mean - _double(engine.center, xp)) ** 2, axis=1) ** 0.5
        self.error = self.discarded * (engine.radius + gap)
        self.error = self.error + 8 * engine.eps * engine.reach

    def _from_pairs(self, counts):
        """Redo each row's own points from direct differences."""
        xp, engine, n = self.engine.xp, self.engine, self.engine.points.shape[0]
        rows, places = xp.nonzero(self.alive)
        columns = places if self.columns is None else self.columns[places]
        pairs = Pairs(engine, self.x, self.sigma, 0 * self.sigma + math.inf)
        pairs.found = [(rows, columns, self.scores[rows, places])]
        pairs.finish()
        self.mean = pairs.mean()
        self.discarded = _double(n - counts, xp) * math.exp(-self.cut)
        others = pairs.total - 1
        alone = others <= math.exp(-self.cut)
        self.lone = xp.where(alone, pairs.anchor, self.lone)
        self.discarded = self.discarded + xp.where(alone, others, 0 * others)

    def _complete(self):
        """Compute the products of all that was not known, with all points."""
        xp, engine, (n, d) = self.engine.xp, self.engine, self.engine.points.shape
        single = xp.astype(self.rest, engine.base.dtype)
        shift = self.rest @ _double(engine.origin - engine.center, xp)
        product = xp.astype(single @ engine.base.T, xp.float32)
        product += xp.astype(shift, xp.float32)[:, None]
        self.products = self.known.products + product
        self.work += n * d
        self.columns = None
        self.scores = self.products - xp.astype(engine.half_squares, xp.float32)
        largest = _double(xp.max(xp.abs(self.products), axis=1), xp)
        self.slack = self.products_slack = self._product_error()
        self.slack = self.slack + SINGLE * (largest + engine.radius**2)

    def _product_error(self):
        """Return the error of the products, seen at some points, with a margin."""
        xp, engine = self.engine.xp, self.engine
        some = engine.sampled()
        center = _double(engine.center, xp)
        gaps = _double(engine.points[some], xp) - center
        exact = (_double(self.x, xp) - center) @ gaps.T
        off = xp.abs(exact - _double(self.products[:, some], xp))
        return MARGIN * xp.max(off, axis=1)

    def _sum_all(self):
        self._streamed(self.engine)
        self.discarded = 0 * self.noise
        self.error = 8 * self.engine.eps * self.engine.reach + 0 * self.noise

    def _streamed(self, engine):
        xp = engine.xp
        parts = [part.mean() for _, part in engine.streamed(self.x, self.sigma)]
        self.mean = _double(xp.concat(parts), xp)
        self.work += 2 * engine.points.shape[0] * engine.points.shape[1]

    def _exact(self, places):
        """Return the exact score of one point for each row, ``(m,)``."""
        xp, engine = self.engine.xp, self.engine
        columns = places if self.columns is None else self.columns[places]
        gaps = _double(self.x, xp) - _double(engine.points[columns], xp)
        return (self.squares - xp.sum(gaps**2, axis=1)) / 2

    def _left(self, values):
        return values if self.columns is None else values[self.columns]


def _double(array, xp):
    return xp.astype(array, xp.float64, copy=False)
