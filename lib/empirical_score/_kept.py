"""The points left in along a path, and how far behind all others are.

Let a point ``y`` lead ``y_j`` by ``g`` nats at ``(x, sigma)``.  At a level ``s = r
sigma`` and ``x' = y + r (x - y) + e`` it leads by at least

    g / r - max_q (2 |e| q - (1 - r) q^2) / (2 s^2),   0 <= q = |y - y_j| <= 2 R,

and a path with little noise left runs nearly straight, so that ``e`` is small.  What
was left out far enough behind stays out for a while, and nothing of it is looked at.  A
single point left in *is* the denoiser, which every step of a solver follows exactly: it
stays so to the end.
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

from ._arrays import array_namespace, device, double, row_sums
from ._direct import EXACT
from ._pairs import Pairs

SPARE = 6.0  # nats by which a point is further behind than it need be when left out


@dataclass(frozen=True)
class Kept:
    """What is left in for some rows of a path, as seen at one place and level each.

    Attributes
    ----------
    rows : ``(r,)``, numbers of the rows
    anchor, points : ``(r,)`` and ``(r, d)``, number and place of one point left in
    offset, level : ``(r, d)`` and ``(r,)``, where it was seen, from that point
    lead : ``(r,)``, the least by which it leads all that are left out
    counts : ``(r,)``, how many points are left in
    places, columns : ``(e,)``, place among the rows, rising, and number of each point
        that is left in for rows that have more than one
    many : the engine of all points left in where these are too many for such a list
    """

    rows: object
    anchor: object
    points: object
    offset: object
    level: object
    lead: object
    counts: object
    places: object
    columns: object
    many: object = None

    @classmethod
    def seen(cls, engine, x, sigma, anchor, lead, places=None, columns=None, many=None):
        """Return what is left in at ``(x, sigma)``: a list of points, or an engine."""
        xp, points = engine.xp, double(engine.points[anchor])
        rows = xp.arange(x.shape[0], device=device(anchor))
        if many is None:
            counts = row_sums(0 * places + 1, places, x.shape[0])
            several = counts[places] > 1
            places, columns = places[several], columns[several]
        else:
            counts = 0 * rows + many.points.shape[0]
            places = columns = rows[:0]
        offset, level = double(x) - points, double(sigma)
        own = rows, anchor, points, offset, level, lead, counts
        return cls(*own, places, columns, many)

    def leads(self, x, sigma, radius):
        """Return by how much all that are left out are behind at least, ``(r,)``."""
        xp, s = array_namespace(self.lead), double(sigma)
        r = s / self.level
        away = double(x) - self.points - r[:, None] * self.offset
        e = xp.sum(away**2, axis=1) ** 0.5
        most = 2.0001 * radius + 0 * e
        q = xp.where(r > 1, most, xp.minimum(e / xp.clip(1 - r, 1e-300, None), most))
        return self.lead / r - q * (2 * e - (1 - r) * q) / (2 * s**2)

    def take(self, good):
        """Return the same for some of the rows, ``(r,)`` of truth values."""
        xp = array_namespace(self.lead)
        some, left = xp.nonzero(good)[0], good[self.places]
        place = xp.cumulative_sum(xp.astype(good, xp.int64)) - 1
        own = {name: getattr(self, name)[some] for name in ROWS}
        places, columns = place[self.places[left]], self.columns[left]
        return replace(self, **own, places=places, columns=columns)


ROWS = ("rows", "anchor", "points", "offset", "level", "lead", "counts")


def joined(first, second):
    """Return what is kept of the rows of both; either may be None."""
    if first is None or second is None:
        return first or second
    xp, count = array_namespace(first.lead), first.rows.shape[0]
    parts = {
        name: xp.concat([getattr(first, name), getattr(second, name)])
        for name in (*ROWS, "columns")
    }
    places = xp.concat([first.places, second.places + count])
    return Kept(**parts, places=places, many=first.many or second.many)


class Found(NamedTuple):
    """An average over what is left in, what is certain of it, and what is left then.

    ``mean`` is ``(r, d)``, ``error`` and ``discarded`` ``(r,)``; ``products`` are those
    computed, in units of one row and point; ``proved`` says which errors are.
    """

    mean: object
    error: object
    discarded: object
    products: float
    after: Kept
    proved: object = False


def average(engine, kept, x, sigma, leads, least, summed):
    """Return the average of all points left in, at another place of the path.

    ``leads`` are those there; points ``least`` nats behind are left out from there on.
    ``summed`` averages over an engine.
    """
    xp, after, products = engine.xp, kept, 0
    several = kept.counts > 1
    # A single point is returned as it is.
    mean, error = kept.points + 0, 0 * leads
    some = xp.nonzero(several)[0]
    if some.shape[0]:
        own = x[some], sigma[some]
        if kept.many is None:
            part = kept.take(several)
            leading = double(part.columns == part.anchor[part.places])
            pairs = listed(engine, *own, part.places, part.columns, leading)
            mean[some], products = pairs.mean(), part.columns.shape[0]
            error[some] = pairs.rounding() + math.expm1(2 * EXACT) * pairs.spread()
            fewer = chosen(engine, *own, pairs, leads[some], least)
            fewer = replace(fewer, rows=part.rows)
            after = joined(kept.take(~several), fewer)
        else:
            mean[some], error[some], _ = summed(kept.many, *own)
            products = 2 * some.shape[0] * kept.many.points.shape[0]
    out = (engine.points.shape[0] - kept.counts) * xp.exp(-leads)
    gap = xp.sum((mean - double(engine.center)) ** 2, axis=1) ** 0.5
    return Found(mean, error + out * (engine.radius + gap), out, products, after)


def listed(engine, x, sigma, places, columns, values):
    """Return exact weights of the points in a list; the largest values lead it."""
    pairs = Pairs(engine, x, sigma, 0 * sigma + math.inf)
    pairs.found = [(places, columns, values)]
    pairs.finish()
    return pairs


def chosen(engine, x, sigma, pairs, lead, least):
    """Return what is kept of a list if points ``least`` nats behind are left out.

    ``lead`` ``(r,)`` is that of each row's first over what is not in the list.
    """
    xp = engine.xp
    left = pairs.weights >= math.exp(-least)
    behind = xp.zeros_like(lead, dtype=xp.int64)
    behind[pairs.rows[~left]] = 1
    lead = xp.where(behind > 0, xp.clip(lead, None, least), lead)
    some = pairs.rows[left], pairs.columns[left]
    return Kept.seen(engine, x, sigma, pairs.anchor, lead, *some)
