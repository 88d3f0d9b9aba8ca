"""The denoiser along deterministic paths: what was computed before and still holds.

*Kept lists.*  Let a point ``y`` lead ``y_j`` by ``g`` nats at ``(x, sigma)``.  At a
level ``s = r sigma`` and ``x' = y + r (x - y) + e`` it leads by at least

    g / r - max_q (2 |e| q - (1 - r) q^2) / (2 s^2),   0 <= q = |y - y_j| <= 2 R,

and a path with little noise left runs nearly straight, so that ``e`` is small.  Where
few points matter they are listed; what was left out far enough behind stays out for a
while, and nothing of it is looked at.  A single point left in *is* the denoiser, which
every step of a solver follows exactly: it stays so to the end.

*Reused answers.*  Heun's method asks twice at each level, at places a small ``delta``
apart.  There no weight changes by more than ``exp(2 |delta| R / sigma^2)``, and the
denoiser's derivative is its covariance over ``sigma^2``, so that it moves by at most

    |delta| / sigma^2 exp(2 |delta| R / sigma^2) v,

``v`` being the posterior variance where it was computed.
"""

import math
from typing import NamedTuple

import numpy as np

from .._support.arrays import device, double, row_sums
from .certified import METHOD, Found, nats_behind, within
from .dense import growth, listed

MOST = 8  # points of a list
SPARE = 6.0  # nats by which a point is further behind than it need be when left out


class Kept(NamedTuple):
    """Lists of points that are left in at some rows, as seen at one place and level.

    Attributes
    ----------
    rows : ``(r,)``, numbers of the rows
    anchor, place : ``(r,)`` and ``(r, d)``, number and place of one point left in
    offset, level : ``(r, d)`` and ``(r,)``, where it was seen, from that point
    lead : ``(r,)``, the least by which it leads all that are left out
    places, columns : ``(e,)``, place among the rows, rising, and number of each point
    """

    rows: object
    anchor: object
    place: object
    offset: object
    level: object
    lead: object
    places: object
    columns: object


class Answer(NamedTuple):
    """The last answers that were computed from all points, at some rows."""

    rows: object
    x: object
    sigma: object
    mean: object
    error: object
    variance: object
    discarded: object
    rigorous: object


class State(NamedTuple):
    """What a path knows: ``kept`` from a higher level, ``later`` since, ``answer``."""

    kept: Kept | None = None
    later: Kept | None = None
    answer: Answer | None = None


def path_step(points, state, x, sigma, budget):
    """Return what is :class:`.certified.Found` at the rows, and the next state.

    ``x`` and ``sigma`` are in float64; rows are those of the path's start, in order.
    """
    xp, m = points.xp, x.shape[0]
    mean, error, mass = 0 * x, 0 * sigma, 0 * sigma
    proved, method, work = sigma > 0, np.full(m, "reused", METHOD), 0.0
    out = Found(mean, error, mass, proved, method, work)
    open_ = sigma > 0
    state, leads = _held(points, state, x, sigma, budget)
    if leads is not None:
        found, later = _from_lists(points, state.kept, x, sigma, leads, budget)
        out = _written(out, state.kept.rows, found)
        open_[state.kept.rows] = False
        state = state._replace(later=later)
    known, found = _reused(points, state.answer, open_, x, sigma, budget)
    if known.shape[0]:
        out = _written(out, known, found)
        open_[known] = False
    rows = xp.nonzero(open_)[0]
    if rows.shape[0]:
        found = within(points, x[rows], sigma[rows], budget, SPARE)
        out = _written(out, rows, found)
        state = _learned(points, state, rows, x[rows], sigma[rows], found, budget)
    return out, state


def lead(kept, x, sigma, radius, xp):
    """Return by how much all that are left out are behind at least, ``(r,)``."""
    r = sigma / kept.level
    away = x - kept.place - r[:, None] * kept.offset
    e = xp.sum(away**2, axis=1) ** 0.5
    most = 2.0001 * radius + 0 * e
    q = xp.where(r >= 1, most, xp.minimum(e / xp.clip(1 - r, 1e-300, None), most))
    return kept.lead / r - q * (2 * e - (1 - r) * q) / (2 * sigma**2)


def moved_by(delta, sigma, radius, variance, xp):
    """Return by how much the denoiser differs at most at a place ``delta`` away."""
    slope, zero = delta / sigma**2, 0 * variance
    far = xp.logical_not(2 * slope * radius < 100.0)
    near = xp.where(far, zero, slope)
    moved = near * xp.exp(2 * near * radius) * variance
    return xp.where(far, zero + math.inf, moved)


def behind_kept(points, budget):
    """Return by how many nats all points that are left out have to be behind."""
    return nats_behind(points, budget) + math.log(points.n)


def _held(points, state, x, sigma, budget):
    """Keep the lists that still hold; return the state and their leads, or None.

    What was listed at the last call counts once the level is below that.
    """
    xp, (kept, later, answer) = points.xp, state
    if later is not None and bool(xp.all(sigma[later.rows] < later.level)):
        kept = later
    if kept is None:
        return state, None
    leads = lead(kept, x[kept.rows], sigma[kept.rows], points.radius, xp)
    good = leads >= behind_kept(points, budget)
    if not bool(xp.any(good)):
        return State(None, None, answer), None
    if not bool(xp.all(good)):
        kept, later = _taken(kept, good, xp), None
    return State(kept, later, answer), leads[good]


def _from_lists(points, kept, x, sigma, leads, budget):
    """Return the averages over kept lists, and these lists as they are from here on.

    A point that is alone on its list is the average.
    """
    xp, rows = points.xp, kept.rows
    counts = row_sums(0 * kept.places + 1, kept.places, rows.shape[0])
    mean, rest, later = kept.place + 0, 0 * leads, kept
    some = xp.nonzero(counts > 1)[0]
    if some.shape[0]:
        part = _taken(kept, counts > 1, xp)
        own = x[part.rows], sigma[part.rows]
        found, logs = listed(points, *own, part.places, part.columns, part.anchor)
        mean[some], rest[some] = found.mean(), found.rest
        shorter = _lists(
            points, part.rows, *own, found.pairs, logs, leads[some], budget
        )
        later = joined(_taken(kept, counts == 1, xp), shorter, xp)
    out = (points.n - counts) * xp.exp(-leads)
    gap = xp.sum((mean - points.center) ** 2, axis=1) ** 0.5
    error = rest + out * (points.radius + gap)
    work = float(xp.sum(xp.where(counts > 1, counts, 0 * counts)))
    method = np.full(rows.shape[0], "kept", METHOD)
    return Found(mean, error, out, out >= 0, method, work), later


def _lists(points, rows, x, sigma, pairs, logs, leads, budget):
    """Return lists without the points that are far enough behind.

    ``logs`` ``(e,)`` are log weights against each row's heaviest, ``leads`` how far all
    that are on no list are behind.
    """
    xp, (places, columns) = points.xp, pairs
    least = behind_kept(points, budget) + SPARE
    near, most = logs >= -least, xp.nonzero(logs == 0)[0]
    behind = row_sums(xp.astype(~near, xp.int64), places, rows.shape[0]) > 0
    leads = xp.where(behind, xp.clip(leads, None, least), leads)
    anchor = 0 * rows
    anchor[places[most]] = columns[most]
    place = double(points.values[anchor])
    seen = rows, anchor, place, x - place, sigma, leads
    return Kept(*seen, places[near], columns[near])


def _reused(points, answer, open_, x, sigma, budget):
    """Return rows whose last answer still serves, and these answers."""
    xp = points.xp
    if answer is None:
        return xp.nonzero(~(open_ | True))[0], None
    rows = answer.rows
    delta = xp.sum((x[rows] - answer.x) ** 2, axis=1) ** 0.5
    more = moved_by(delta, answer.sigma, points.radius, answer.variance, xp)
    error = answer.error + more
    good = open_[rows] & (sigma[rows] == answer.sigma) & (error <= budget)
    some = xp.nonzero(good)[0]
    method = np.full(some.shape[0], "reused")
    own = answer.mean[some], error[some], answer.discarded[some], answer.rigorous[some]
    return rows[some], Found(*own, method, 0.0)


def _learned(points, state, rows, x, sigma, found, budget):
    """Return the state with what was found from all points at some rows."""
    xp, average = points.xp, found.average
    variance = growth(average.nats, xp) * average.variance
    variance = variance + found.discarded * (2 * points.radius) ** 2
    answer = Answer(rows, x, sigma, *found[:2], variance, *found[2:4])
    short = _short(points, average)
    if not short.shape[0]:
        return state._replace(answer=answer)
    places, columns = average.pairs
    spot = xp.zeros_like(rows) - 1
    spot[short] = xp.arange(short.shape[0], device=device(short))
    inside = spot[places] >= 0
    places, columns = spot[places[inside]], columns[inside]
    own = x[short], sigma[short]
    first = columns[xp.searchsorted(places, xp.arange(short.shape[0]))]
    _, logs = listed(points, *own, places, columns, first)
    leads = 0 * sigma[short] + behind_kept(points, budget) + SPARE
    new = _lists(points, rows[short], *own, (places, columns), logs, leads, budget)
    joint = (joined(each, new, xp) for each in (state.kept, state.later))
    return State(*joint, answer)


def _short(points, average):
    """Return the rows of which a list is short enough to keep."""
    xp, m = points.xp, average.inner.shape[0]
    counts = row_sums(0 * average.pairs[0] + 1, average.pairs[0], m)
    return xp.nonzero(average.listed & (counts <= MOST))[0]


def joined(first, second, xp):
    """Return the lists of the rows of both; the first may be None."""
    if first is None:
        return second
    parts = [xp.concat(list(both)) for both in zip(first, second, strict=True)]
    count = first.rows.shape[0]
    parts[-2] = xp.concat([first.places, second.places + count])
    return Kept(*parts)


def _taken(kept, good, xp):
    """Return the lists of some of the rows, ``(r,)`` of truth values."""
    some, left = xp.nonzero(good)[0], good[kept.places]
    spot = xp.cumulative_sum(xp.astype(good, xp.int64)) - 1
    own = [part[some] for part in kept[:-2]]
    return Kept(*own, spot[kept.places[left]], kept.columns[left])


def _written(out, rows, found):
    """Write what was found at some rows into the whole."""
    for whole, part in zip(out[:4], found[:4], strict=True):
        whole[rows] = part
    out.method[np.asarray(rows.tolist(), int)] = found.method
    return out._replace(work=out.work + found.work)
