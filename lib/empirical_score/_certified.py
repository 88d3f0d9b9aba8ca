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

from ._arrays import double
from ._engine import MARGIN
from ._pairs import Pairs
from ._products import product
from ._streaming import streamed_blocks
from ._weighed import SINGLE, Weighed

# Errors of log weights that are left alone if the tolerance allows them.
NATS = {4: 1e-3, 8: 1e-9}
PRUNED = 0.5  # pruning pays when at most this share of the points is left
FEW = 0.05  # sum of squared weights from which on pruning is tried first


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


class Certified:
    """The posterior mean at a block of rows, by the cheapest way that is certain.

    ``prune`` may be ``True``, ``False`` or ``"first"``: before the sandwich.  After the
    run ``mean`` ``(m, d)`` is the denoiser, in float64, and ``certificate`` what is
    known of it; ``lone`` ``(m,)`` is the number of the one point that is left in, or
    -1; ``way`` names what was done, ``few`` says whether few points share the weight,
    and ``fresh`` is the part of ``x`` whose products were added to ``known``, or None.
    """

    def __init__(self, engine, axes, x, sigma, tolerance, known=None, prune=True):
        xp, (n, d) = engine.xp, engine.points.shape
        self.engine, self.axes, self.x, self.sigma = engine, axes, x, sigma
        self.noise = double(sigma) ** 2
        centered = double(x) - double(engine.center)
        self.squares = xp.sum(centered**2, axis=1)
        self.budget = tolerance * math.sqrt(d)
        self.cut = math.log(n) + math.log(max(4 * engine.radius / self.budget, 1.0))
        self.known, self.rest = known, centered
        self.scores = self.columns = self.fresh = None
        self.slack, self.done, self.work = 0 * self.noise, 0, 0.0
        self.discarded = 0 * self.noise
        self.few = False
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
        if prune == "first" and self._prune():
            self._sum_left()
            return "pruned"
        for panel in range(len(self.axes.depths)):
            if self._promising(panel) and self._sandwich(panel):
                return "sandwich"
        if prune is True and self._prune():
            self._sum_left()
            return "pruned"
        if self.known is not None and self.known.useful and self._sandwich(None):
            return "all"
        self._sum_all()
        return "summed"

    def _project(self):
        """Find the coordinates of what is not known, and the lengths of its rests."""
        xp, axes = self.engine.xp, self.axes
        single = xp.astype(self.rest, xp.float32)
        self.length = xp.sum(self.rest**2, axis=1)
        self.inside = [single @ directions for directions in axes.directions]
        self.tails, left = [], self.length
        for inside in self.inside:
            left = left - xp.sum(double(inside) ** 2, axis=1)
            self.tails.append((xp.clip(left, 0.0, None) + 1e-6 * self.length) ** 0.5)

    def _promising(self, panel):
        """Return whether the sandwich after a panel is likely to close."""
        xp, engine = self.engine.xp, self.engine
        typical = float(xp.mean(self.axes.rests[panel]))
        spread = float(xp.mean(engine.half_squares) * 2) ** 0.5
        bound = self.tails[panel] * typical + self.slack + self._rounding(panel)
        self.guess = float(xp.max(bound / self.noise)) * 2 * spread
        return self.guess * self.axes.ratio < 0.95 * self.budget

    def _rounding(self, panel):
        """Return a bound on what the sums up to a panel add to the error, ``(m,)``."""
        depth, radius = self.axes.depths[panel], self.engine.radius
        own = (4 * math.sqrt(depth) + 8) * self.length**0.5 * radius
        return SINGLE * (own + 2 * radius**2)

    def _sandwich(self, panel):
        """Average with weights out of the scores, if that is certainly good enough.

        The scores come from the panels up to one, or (``panel=None``) from the products
        of all that was not known, which are known from then on.
        """
        xp, engine, axes = self.engine.xp, self.engine, self.axes
        sums = Weighed(self, axes.moments[-1 if panel is None else panel], axes.along)
        single = xp.astype(self.rest, engine.base.dtype)
        shift = xp.astype(self.rest @ double(engine.origin - engine.center), xp.float32)
        for columns, base, half in streamed_blocks(engine, self.x.shape[0]):
            scores = 0.0 if self.known is None else self.known.block(columns)
            scores = scores - xp.astype(half, xp.float32, copy=False)
            if panel is None:
                fresh = xp.astype(product(single, base), xp.float32, copy=False)
                fresh = fresh + shift[:, None]
                self.known.add(columns, fresh)
                scores = scores + fresh
                self.work += base.shape[0] * base.shape[1]
            else:
                for number in range(panel + 1):
                    coordinates = axes.coordinates[number][columns]
                    scores = scores + product(self.inside[number], coordinates)
                    self.work += coordinates.shape[0] * coordinates.shape[1]
            sums.add(columns, base, scores)
        if panel is None:
            tail = 0 * self.noise
            self.fresh, self.slack = self.rest, self._product_error()
            self.known.slack = self.slack
            self.slack = self.slack + SINGLE * self.engine.radius**2
        else:
            tail = self.tails[panel]
            self.slack = self._start_slack() + self._rounding(panel)
        error, uneven = sums.error(tail, self.slack)
        if panel is not None and self.guess > 0:
            axes.ratio = min(max(float(xp.max(error)) / self.guess, 0.1), 10.0)
        if bool(xp.any(error > self.budget)):
            return False
        deviations = [float(xp.max(error + norm * uneven)) for norm in axes.norms]
        enough = [k for k, most in enumerate(deviations) if most <= self.budget]
        if sums.along is not None:
            error = error + axes.norms[sums.along] * uneven
        along, axes.along = sums.along, enough[0] if enough else None
        if along is not None and bool(xp.any(error > self.budget)):
            return self._sandwich(panel) if panel is not None else self._again()
        self.error, self.mean = error, sums.mean()
        self.few = bool(xp.all(uneven**2 > FEW))
        return True

    def _again(self):
        """Repeat the sandwich once all products are known."""
        xp = self.engine.xp
        self.rest, self.length = 0 * self.rest, 0 * self.length
        self.inside = [0 * inside for inside in self.inside]
        self.tails = [xp.zeros_like(tail) for tail in self.tails]
        return self._sandwich(0)

    def _start_slack(self):
        """Return a bound on the error of the scores before any panel, ``(m,)``."""
        if self.known is None:
            return SINGLE * self.engine.radius**2 + 0 * self.noise
        return self.known.slack + 2 * SINGLE * (self.known.size + self.engine.radius**2)

    def _advance(self, panel):
        """Add the products in all panels up to one to the scores of all points."""
        xp, axes = self.engine.xp, self.axes
        if self.scores is None:
            half = xp.astype(self.engine.half_squares, xp.float32)
            start = 0.0 if self.known is None else self.known.block(slice(None))
            self.scores = start - half
        for number in range(self.done, panel + 1):
            coordinates = self._left(axes.coordinates[number])
            self.scores = self.scores + self.inside[number] @ coordinates.T
            self.work += coordinates.shape[0] * coordinates.shape[1]
        self.done = max(self.done, panel + 1)
        self.slack = self._start_slack() + self._rounding(panel)

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
        gap = xp.sum((self.mean - double(engine.center)) ** 2, axis=1) ** 0.5
        self.error = self.error + self.discarded * (engine.radius + gap)

    def _from_pairs(self, counts):
        """Redo each row's own points from direct differences."""
        xp, engine, n = self.engine.xp, self.engine, self.engine.points.shape[0]
        rows, places = xp.nonzero(self.alive)
        columns = places if self.columns is None else self.columns[places]
        pairs = Pairs(engine, self.x, self.sigma, 0 * self.sigma + math.inf)
        pairs.found = [(rows, columns, self.scores[rows, places])]
        pairs.finish()
        self.mean = pairs.mean()
        self.error = 8 * 2.0**-52 * engine.reach + 0 * self.noise
        self.discarded = double(n - counts) * math.exp(-self.cut)
        others = pairs.total - 1
        alone = others <= math.exp(-self.cut)
        self.lone = xp.where(alone, pairs.anchor, self.lone)
        self.discarded = self.discarded + xp.where(alone, others, 0 * others)

    def _product_error(self):
        """Return the error of the products, seen at some points, with a margin."""
        xp, engine = self.engine.xp, self.engine
        some = engine.sampled()
        center = double(engine.center)
        gaps = double(engine.points[some]) - center
        exact = (double(self.x) - center) @ gaps.T
        off = xp.abs(exact - double(self.known.block(some)))
        return MARGIN * xp.max(off, axis=1)

    def _sum_all(self):
        self._streamed(self.engine)
        self.discarded = 0 * self.noise

    def _streamed(self, engine):
        self.mean, self.error = summed(engine, self.x, self.sigma, self.budget)
        self.work += 2 * engine.points.shape[0] * engine.points.shape[1]

    def _exact(self, places):
        """Return the exact score of one point for each row, ``(m,)``."""
        xp, engine = self.engine.xp, self.engine
        columns = places if self.columns is None else self.columns[places]
        gaps = double(self.x) - double(engine.points[columns])
        return (self.squares - xp.sum(gaps**2, axis=1)) / 2

    def _left(self, values):
        return values if self.columns is None else values[self.columns]


def summed(engine, x, sigma, budget):
    """Return the denoiser over all points of an engine, and a bound on its error.

    An error of e nats in the log weights moves it by at most ``exp(2 e) - 1`` times the
    posterior standard deviation.
    """
    xp = engine.xp
    typical = float(xp.mean(engine.half_squares) * 2) ** 0.5
    nats = budget / max(4 * typical, 2.2 * engine.radius, 1e-300)
    nats = min(NATS[engine.itemsize], nats)
    parts = [part for _, part in engine.streamed(x, sigma, nats)]
    mean = double(xp.concat([part.mean() for part in parts]))
    error = double(xp.concat([part.error for part in parts]))
    spread = double(xp.concat([part.spread() for part in parts]))
    return mean, xp.expm1(2 * error) * spread + 8 * engine.eps * engine.reach
