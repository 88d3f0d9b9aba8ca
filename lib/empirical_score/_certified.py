"""The denoiser to a stated tolerance, with a certificate, without all the products.

Approximate log weights with bounds (``_scores``) save products in two ways.

1. *Pruning.*  If the exact log weight of one good candidate exceeds the upper bound of
   ``l_j`` by ``log(n / eps)`` for every j that is left out, all that is left out has at
   most the weight ``eps``, and the denoiser moves by at most ``eps (R + |D - c|)``.
2. *Sandwich.*  Where the bounds are narrow, the weights that they give move the
   denoiser by little (``_weighed``).  That takes a path that remembers products.

Where neither closes, the products with all points are computed after all.
"""

import math
from typing import NamedTuple

from ._arrays import double
from ._fused import rounding
from ._kept import SPARE, Found, Kept, average
from ._scores import Scores, rooms
from ._weighed import Weighed

# Errors of log weights that are left alone if the tolerance allows them.
NATS = {4: 1e-3, 8: 1e-9}
NOTHING = -1.0  # less than any error
PRUNED = 0.5  # pruning pays when at most this share of the points is left
LISTED = 50  # as many weights in a sum over all one in a list of points counts
FEW = 0.7  # pruning is tried first where the heaviest weights are all above this


class Certificate(NamedTuple):
    """What is known for sure about a denoiser computed to a tolerance.

    Attributes
    ----------
    error : ``(m,)``, bound on ``|D' - D| / sqrt(d)``, root mean square a coordinate
    discarded : ``(m,)``, bound on the weight of all points that were left out
    share : float, products computed, as a share of those that a sum over all points
        takes
    rigorous : ``(m,)``, whether ``error`` is proved in every term, rounding included;
        where it is not, rounding is bounded as libraries are seen to round
    """

    error: object
    discarded: object
    share: float
    rigorous: object


class Memory(NamedTuple):
    """What a path remembers: products of states, averages of weights (``_recalled``).

    ``room`` is that of the scores, ``moments`` are those of the last weights
    (``_weighed``), or None; ``pays`` says whether weights out of it are worth a try.
    """

    products: object
    averages: object
    room: object
    moments: object = None
    pays: bool = True


class Certified:
    """The posterior mean at a block of rows, by the cheapest way that is certain.

    ``prune`` may be ``True``, ``False`` or ``"first"``: before the sandwich.  After the
    run ``found`` holds the denoiser, in float64, what is certain of it, and the points
    left in if others were left out (``_kept.Found``); ``way`` names what was done, and
    ``few`` says whether few points share the weight.
    """

    def __init__(self, engine, axes, x, sigma, tolerance, memory=None, prune=True):
        xp, d = engine.xp, engine.points.shape[1]
        self.engine, self.axes, self.x, self.sigma = engine, axes, x, sigma
        self.noise = double(sigma) ** 2
        self.budget = tolerance * math.sqrt(d)
        self.memory, self.moments, self.kept = memory, None, None
        self.first = xp.zeros_like(sigma, dtype=xp.int64)
        self.least = cut(engine, tolerance) + (SPARE if memory else 0.0)
        self.few, self.overwritten, self.work = False, False, 0.0
        self.discarded, self.proved = 0 * self.noise, False
        room = memory.room if memory else rooms(engine, x.shape[0])
        products = memory.products if memory else None
        self.scores = Scores(engine, axes, x, self.noise, room, products)
        self.way = self._go(prune)
        products = (self.work + self.scores.work) / d * x.shape[0]
        self.found = Found(
            self.mean, self.error, self.discarded, products, self.kept, self.proved
        )

    def _go(self, prune):
        if prune == "first" and self._prune():
            self._sum_left()
            return "pruned"
        pays = self.memory and self.memory.pays
        if pays and self._foretold() and self._sandwich():
            return "sandwich"
        if prune is True and not self.overwritten and self._prune():
            self._sum_left()
            return "pruned"
        if pays and self._exact_enough():
            self.scores.complete()
            if self._sandwich():
                return "all"
        self._sum_all()
        return "summed"

    def _foretold(self):
        """Add the panels that are likely to do; return whether there are any."""
        if self.scores.columns is not None or self.scores.panels > self.axes.shallow:
            return False  # pruning has gone further
        panels = self.axes.shallow
        if self.memory.moments is not None:
            panels = self.memory.moments.cheapest(self.scores, self.budget / 2)
        if panels is not None and panels > self.scores.panels:
            self.scores.deepen(panels)
        return panels is not None

    def _exact_enough(self):
        """Return whether rounding leaves room for the sandwich at all."""
        moments, scores = self.memory.moments, self.scores
        if moments is None:
            return True
        error = moments.errors(0, scores, 0 * scores.tail)[0]
        return bool(self.engine.xp.all(error <= 0.9 * self.budget / 2))

    def _sandwich(self):
        """Average with weights out of the scores, if that is certainly good enough."""
        xp = self.engine.xp
        weighed = Weighed(self.engine, self.axes, self.scores)
        self.moments = weighed.moments
        if not weighed.sharpen(self.budget / 2):
            return False
        self.moments = weighed.moments
        room = self.budget - weighed.error
        self.few = bool(xp.all(weighed.total < 1 / FEW))
        self.overwritten = True
        self.mean, error = weighed.average(self.memory.averages, room)
        self.error = error + weighed.error
        return bool(xp.all(self.error <= self.budget))

    def _prune(self):
        """Leave out points whose upper bounds are too low; return whether it paid."""
        xp, scores, (n, d) = self.engine.xp, self.scores, self.engine.points.shape
        first = -math.inf + 0 * self.noise
        for panels in range(max(1, scores.panels), self.axes.panels + 1):
            if panels > scores.panels:
                scores.deepen(panels)
            upper = scores.upper()
            best = xp.argmax(upper, axis=1)
            own = scores.nearest(best)
            self.first = xp.where(own > first, scores.numbers(best), self.first)
            first = xp.where(own > first, own, first)
            floor = first - scores.slack / self.noise - self.least
            self.alive = upper >= xp.astype(floor, xp.float32)[:, None]
            self.alive[xp.arange(best.shape[0]), best] = True
            some = xp.any(self.alive, axis=0)
            left = int(xp.sum(xp.astype(some, xp.int64)))
            if left < 0.9 * some.shape[0]:
                kept = xp.nonzero(some)[0]
                scores.keep(kept)
                self.alive = self.alive[:, kept]
            if left * d <= 2**20 or (panels >= 3 and scores.columns is None):
                break
        return scores.values.shape[1] <= PRUNED * n

    def _sum_all(self):
        """Average over all points."""
        found = self._summed(self.engine, self.x, self.sigma)
        self.mean, self.error, self.proved = found
        self.discarded = 0 * self.noise
        self.work += 2 * self.engine.points.shape[0] * self.engine.points.shape[1]

    def _sum_left(self):
        """Average exactly over the points that are left in."""
        xp, engine, d = self.engine.xp, self.engine, self.engine.points.shape[1]
        m, size = self.scores.values.shape
        many, (places, some) = None, xp.nonzero(self.alive)
        pairs = places.shape[0]
        if pairs * LISTED > m * size and pairs * d > 2**20:
            many = engine.subset(self.scores.numbers(xp.arange(size)))
        seen = self.x, self.sigma, self.first, self.least + 0 * self.noise
        columns = self.scores.numbers(some)
        kept = Kept.seen(engine, *seen, places, columns, many)
        found = average(
            engine, kept, self.x, self.sigma, kept.lead, self.least, self._summed
        )
        self.mean, self.error, self.discarded = found[:3]
        self.kept = found.after
        self.work += found.products * d / m

    def _summed(self, engine, x, sigma):
        return summed(engine, x, sigma, self.budget)


def cut(engine, tolerance):
    """Return by how many nats a point has to be behind to be left out."""
    n, d = engine.points.shape
    budget = tolerance * math.sqrt(d)
    return math.log(n) + math.log(max(4 * engine.radius / budget, 1.0))


def entire(engine, x, sigma, tolerance):
    """Return what a sum over all points finds."""
    mean, error, proved = summed(engine, x, sigma, tolerance * math.sqrt(x.shape[1]))
    products = 2 * x.shape[0] * engine.points.shape[0]
    return Found(mean, error, 0 * error, products, None, proved)


def summed(engine, x, sigma, budget):
    """Return the denoiser over all points, bounds on its error, whether proved.

    An error of e nats in the log weights moves it by at most ``exp(2 e) - 1`` times the
    posterior standard deviation.
    """
    xp, found = engine.xp, []
    typical, sums = float(xp.mean(engine.half_squares) * 2) ** 0.5, rounding(engine)
    left = max(budget - sums, budget / 2)
    nats = left / max(4 * typical, 2.2 * engine.radius, 1e-300)
    nats = min(NATS[engine.itemsize], nats) / engine.caution
    if engine.itemsize == 4 and sums > budget / 3:
        nats = NOTHING  # float32 is too coarse for the sums themselves
    for _, part in engine.streamed(x, sigma, nats, sums=False):
        growth = xp.expm1(2 * engine.caution * double(part.error))
        error = growth * part.spread() + part.rounding()
        found.append((part.mean(xp.float64), error, part.proved))
    return tuple(xp.concat(each) for each in zip(*found, strict=True))
