"""Averages and weights over all points: matrix products propose, differences decide.

A product of float32 numbers gives every log weight, with a rounding error that grows
like ``1 / sigma^2``.  What is done about it depends on how many points matter:

*few* (little noise): the product only says which; these are redone from differences in
float64, and the average is theirs alone.  No second product is needed.

*many*: a second product of the weights with the keys averages all points.  Errors of
single weights average out; where they may not, the heaviest points are redone from
differences, with the share that they have of the weight left as it is.

Parts of the data merge: each gives an anchor, the sum of its weights against that of
the anchor, and its average, and two parts make one by the same formulas whether they
are blocks of a file or shards of machines (:func:`merge`).
"""

import math
from typing import NamedTuple

from .._support.arrays import (
    EPS,
    clipped_exp,
    device,
    double,
    row_blocks,
    row_maxima,
    row_sums,
)
from .differences import EXACT, NEGLIGIBLE, relative_log_weights

# Weights below exp(-LEAST) / n change no digit of an average in that precision.
LEAST = {4: 17.0, 8: NEGLIGIBLE}
# No exponent is below: numbers too small to be normal slow products down.
FLOOR = {4: -45.0, 8: -700.0}
# Typical rounding in nats: below the first all points are summed; above the second the
# points that matter are redone, however many they are.
CLEAN = {4: 1e-6, 8: 1e-13}
NATS = {4: 4e-4, 8: 5e-11}
# Largest error that rounding of weights may bring, in units of the spread.
GOAL = {4: 1e-6, 8: 5e-13}
# A row is averaged over a list if that has no more than a part of all points, one in
# SHARE, or no more than SHORT.
SHARE, SHORT = 128, 8
# Columns of a row that are looked at to tell whether few points matter.
GLANCE = 512
# Heavy points of a tile that are redone where they need not be: one in REDONE.
REDONE = 200
# How many units of rounding larger than seen the rounding elsewhere is taken to be.
MARGIN = 4.0
# Points whose weighted sum is left to float32 where its error has to be proved.
CHUNK = 1024
# Bytes that a pair of row and point takes until its weight is known; numbers of
# differences that are looked at together.
PAIR, CACHED = 160, 2**18
# Bytes that a number of a key takes while it is made.
MADE = 64
# Rows of a tile, if memory allows.
ROWS = 64
# What rounding may hide of a variance, as a part of the second moment.
SLACK = {4: 2.0**-20, 8: 2.0**-45}


class Average(NamedTuple):
    """Averages over some points at ``m`` rows, in float64.

    Attributes
    ----------
    anchor : ``(m, d)``, a place near the row, from which the others are measured
    log_sum : ``(m,)``, ``log sum_j w_j`` if a point at the anchor had weight 1
    inner : ``(m, d)``, the average minus the anchor
    variance : ``(m,)``, ``sum_j w_j |y_j - D|^2``, a little more where rounded
    nats, rest : ``(m,)``, bounds on errors of log weights, and of the average from
        other causes; 0 where no certificate was asked for
    discarded : ``(m,)``, bound on the weight of points that were left out
    proved : ``(m,)``, whether the bounds are proved in every term
    listed : ``(m,)``, whether the average is that of a list of points
    pairs : numbers of rows, rising, and of the points in these lists
    work : how many products of rows with points were computed
    """

    anchor: object
    log_sum: object
    inner: object
    variance: object
    nats: object
    rest: object
    discarded: object
    proved: object
    listed: object
    pairs: tuple
    work: float

    def mean(self):
        """Return the averages, ``(m, d)``."""
        return self.anchor + self.inner

    def shift(self, x):
        """Return the averages minus ``x``, ``(m, d)``."""
        return self.inner + (self.anchor - x)

    def log_kernel_sum(self, x, sigma, xp):
        """Return ``log sum_j exp(-|x - y_j|^2 / (2 sigma^2))``, ``(m,)``."""
        squares = xp.sum(((x - self.anchor) / sigma[:, None]) ** 2, axis=1)
        return self.log_sum - squares / 2

    def error(self, radius, xp):
        """Return the bound on the distance from the exact average, ``(m,)``.

        Log weights off by at most e change each weight by a factor within
        ``exp(2 e)`` of 1, and so the average by at most ``exp(2 e) - 1`` times the
        standard deviation under the weights that were used; and two averages of points
        within a ``radius`` are no further apart than twice that.
        """
        moved = (growth(self.nats, xp) - 1) * xp.sqrt(self.variance)
        return xp.minimum(moved, 2 * radius + 0 * moved) + self.rest


def growth(nats, xp):
    """Return ``exp(2 nats)``, by which weights may be off at most, or a huge number."""
    return xp.exp(xp.clip(2 * nats, None, 600.0))


class Wanted(NamedTuple):
    """Whether errors are to be certified, and by how many nats a point is left out.

    ``least`` nats, on top of ``log n``; by default so many that no digit changes.
    ``lists`` averages all rows over lists of points, however long these are.
    """

    certified: bool = False
    least: float | None = None
    lists: bool = False


def average(points, x, sigma, wanted=None, dtype=None):
    """Return the :class:`Average` over all points at rows ``x`` ``(m, d)``.

    ``x`` and ``sigma`` ``(m,)`` are in float64; products are of ``dtype``, by default
    that of the data where it serves.
    """
    wanted = Wanted() if wanted is None else wanted
    if dtype is None:
        dtype = points.working_dtype(x, sigma)
    columns, rows = tile_sizes(points, x.shape[0], dtype)
    found = None
    for start, keys in points.key_blocks(columns, dtype):
        tiles = [
            _tile(points, start, keys, x[part], sigma[part], wanted)
            for part in row_blocks(x.shape[0], 1, rows)
        ]
        block = joined(tiles, points.xp)
        found = block if found is None else merge(found, block, x, sigma, points.xp)
    return found


def tile_sizes(points, m, dtype):
    """Return how many points and rows the weights of a tile are of."""
    entries = points.memory // (8 * (4 if dtype == points.xp.float32 else 8))
    entries = min(entries, max(2**20, ROWS * points.n))
    columns = entries // min(m, ROWS)
    if not points.keeps(dtype):  # keys that are made take memory too
        columns = min(columns, points.memory // (MADE * points.width(dtype)))
    columns = min(points.n, max(64, columns))
    return columns, max(1, min(m, entries // columns))


def joined(parts, xp):
    """Return the averages of consecutive rows as one."""
    if len(parts) == 1:
        return parts[0]
    start, rows, columns = 0, [], []
    for part in parts:
        rows.append(part.pairs[0] + start)
        columns.append(part.pairs[1])
        start += part.inner.shape[0]
    values = [
        xp.concat(list(each))
        for each in zip(*(part[:-2] for part in parts), strict=True)
    ]
    pairs = xp.concat(rows), xp.concat(columns)
    return Average(*values, pairs, sum(part.work for part in parts))


def merge(a, b, x, sigma, xp):
    """Return the average over two disjoint parts of the data, at the same rows.

    With ``l`` the log weight of one anchor against the other, the sums ``S_a`` and
    ``S_b exp(l)`` are in the same units; the average is theirs, measured from the
    anchor with the larger weight.
    """
    gap = relative_log_weights(x, a.anchor, b.anchor[:, None, :], sigma, xp)[:, 0]
    first, second = a.log_sum, b.log_sum + gap
    top = xp.maximum(first, second)
    log_sum = top + xp.log(xp.exp(first - top) + xp.exp(second - top))
    own, other = xp.exp(first - log_sum), xp.exp(second - log_sum)
    nearer = gap > 0
    anchor = xp.where(nearer[:, None], b.anchor, a.anchor)
    left, right = (each.inner + (each.anchor - anchor) for each in (a, b))
    inner = own[:, None] * left + other[:, None] * right
    apart = xp.sum((left - right) ** 2, axis=1)
    nats = xp.maximum(a.nats, b.nats)
    rows, columns = (
        xp.concat(list(both)) for both in zip(a.pairs, b.pairs, strict=True)
    )
    order = xp.argsort(rows, stable=True)
    return Average(
        anchor,
        log_sum - xp.where(nearer, gap, 0 * gap),
        inner,
        own * a.variance + other * b.variance + own * other * apart,
        nats,
        growth(nats, xp) * (own * a.rest + other * b.rest),
        growth(nats, xp) * (own * a.discarded + other * b.discarded),
        a.proved & b.proved,
        a.listed & b.listed,
        (rows[order], columns[order]),
        a.work + b.work,
    )


def _tile(points, start, keys, x, sigma, wanted):
    """Return the average over one block of points at some rows."""
    xp, size = points.xp, 4 if keys.dtype == points.xp.float32 else 8
    left, scale, length = points.queries(x, sigma, keys.dtype)
    typical = points.typical_rounding(length, scale, keys.dtype)
    proved = points.proved_rounding(length, scale, keys.dtype)
    logits = left @ keys.T
    best = xp.argmax(logits, axis=1)
    every = xp.arange(x.shape[0], device=device(best))
    top = logits[every, best]
    tile = _Tile(points, start, keys, x, sigma, scale, logits, best, top, size)
    light, near, counts = _few(tile, typical, proved, wanted)
    few = xp.nonzero(light)[0]
    parts, places = [], []
    if few.shape[0]:
        parts.append(_listed(tile, few, near[few], counts[few], wanted))
        places.append(few)
    if few.shape[0] < x.shape[0]:
        many = xp.nonzero(~light)[0]
        some = tile.take(many) if few.shape[0] else tile
        parts.append(_summed(some, typical[many], proved[many], wanted))
        places.append(many)
    if len(parts) == 1:
        return parts[0]
    both = joined(parts, xp)
    order = xp.argsort(xp.concat(places))
    values = [value[order] for value in both[:-2]]
    return Average(*values, (few[both.pairs[0]], both.pairs[1]), both.work)


class _Tile(NamedTuple):
    """Log weights of a block of points at some rows, as a product gives them."""

    points: object
    start: int
    keys: object
    x: object
    sigma: object
    scale: object
    logits: object
    best: object
    top: object
    size: int

    def take(self, rows):
        """Return some of the rows."""
        parts = {name: getattr(self, name)[rows] for name in ROWWISE}
        return self._replace(**parts)


ROWWISE = ("x", "sigma", "scale", "logits", "best", "top")


def sharp(d, size):
    """Return the typical rounding, in nats, above which what matters is redone.

    The largest error is taken for typical; in float64 digits are kept as far as the
    root mean square, smaller by the root of the dimension, allows.
    """
    return NATS[size] / (d**0.5 if size == 8 else 1.0)


def _few(tile, typical, proved, wanted):
    """Return the rows where few points matter, ``(t,)``, which, and how many."""
    xp, b = tile.points.xp, tile.logits.shape[1]
    least = LEAST[tile.size] if wanted.least is None else wanted.least
    # Scales below 1 / sigma^2 make less of every difference.
    cut = (least + math.log(tile.points.n)) * tile.sigma**2 * tile.scale + 2 * proved
    floor = xp.astype(double(tile.top) - cut, tile.logits.dtype)
    # In few points a list saves nothing: it serves where it has to.
    clean = CLEAN[tile.size] if b > GLANCE else sharp(tile.points.d, tile.size)
    light = (typical > clean) | (b <= SHORT) | wanted.certified
    step = -(-b // GLANCE)
    if step > 1 and not wanted.lists:
        seen = tile.logits[:, ::step] >= floor[:, None]
        counts = xp.sum(xp.astype(seen, xp.int32), axis=1)
        light = light & (counts <= 4 + GLANCE // SHARE)
    if not bool(xp.any(light)):
        return light, None, None
    near = tile.logits >= floor[:, None]
    counts = xp.sum(xp.astype(near, xp.int32), axis=1)
    return light & (wanted.lists | (counts <= max(SHORT, b // SHARE))), near, counts


def _listed(tile, rows, near, counts, wanted):
    """Return the average at some rows over their near points, from differences."""
    points, xp, parts = tile.points, tile.points.xp, []
    for some in groups(counts, points.memory):
        places, columns = xp.nonzero(near[some])
        own = tile.x[rows[some]], tile.sigma[rows[some]]
        first = tile.best[rows[some]] + tile.start
        found = listed(points, *own, places, columns + tile.start, first)
        parts.append(found[0])
    found = joined(parts, xp)
    least = LEAST[tile.size] if wanted.least is None else wanted.least
    out = 0 * found.rest + math.exp(-least)
    gap = xp.sum((found.mean() - points.center) ** 2, axis=1) ** 0.5
    rest = found.rest + out * (points.radius + gap)
    work = rows.shape[0] * tile.keys.shape[0] + found.pairs[0].shape[0]
    return found._replace(rest=rest, discarded=out, work=work)


def listed(points, x, sigma, places, columns, first):
    """Return the average over a list of points of each row, and log weights ``(e,)``.

    They come from differences, and are measured against each row's heaviest point.
    ``places`` ``(e,)`` are row numbers, rising, ``columns`` those of the points, and
    ``first`` ``(r,)`` one point of each row's list.
    """
    xp, count = points.xp, x.shape[0]
    anchor = double(points.values[first])
    logs = exact_logs(points, x, sigma, places, columns, anchor)
    top = row_maxima(logs, places, count)
    weights = xp.exp(logs - top[places])
    total = row_sums(weights, places, count)
    weights = weights / total[places]
    inner, second = 0 * x, 0 * sigma
    for part, offsets in differences(points, places, columns, anchor):
        own = weights[part][:, None]
        inner = inner + row_sums(own * offsets, places[part], count)
        squares = xp.sum(offsets**2, axis=1)
        second = second + row_sums(weights[part] * squares, places[part], count)
    variance = xp.clip(second - xp.sum(inner**2, axis=1), 0.0, None) + 1e-12 * second
    several = row_sums(0 * weights + 1, places, count)
    rest = (several + 8) * EPS[8] * 2 * points.radius + 2 * EXACT * variance**0.5
    zero, sure = 0 * sigma, sigma > 0
    found = anchor, top + xp.log(total), inner, variance, zero, rest, zero, sure, sure
    work = places.shape[0]
    return Average(*found, (places, columns), work), logs - top[places]


def _summed(tile, typical, proved, wanted):
    """Return the average over all points of a block, by a second product."""
    points, xp, (t, b) = tile.points, tile.points.xp, tile.logits.shape
    zero, nats, sure = 0 * tile.sigma, 0 * tile.sigma, tile.sigma > 0
    if wanted.certified:
        seen = proved if tile.size == 8 else MARGIN * _rounding_seen(tile)
        nats, sure = xp.minimum(proved, seen), sure & (proved <= seen)
        nats = nats - FLOOR[4] * EPS[tile.size]  # rounding of exponents and of exp
    weights = tile.logits
    weights -= tile.top[:, None]
    clipped_exp(weights, FLOOR[tile.size])
    sums = _weighted(weights, tile.keys, CHUNK if wanted.certified else b)
    d, total = points.d, sums[:, points.d + 1]
    mean, second = sums[:, :d] / total[:, None], -2 * sums[:, d] / total
    units = 2 * (min(b, CHUNK) + 8) * (EPS[tile.size] / 2)
    slack = (2 * units if wanted.certified else SLACK[tile.size]) * second
    variance = xp.clip(second - xp.sum(mean**2, axis=1), 0.0, None) + slack
    anchor = double(points.values[tile.best + tile.start])
    inner, log_sum = mean - (anchor - points.center), xp.log(total)
    # Errors of many weights average out.
    error = typical / total**0.5
    nats_off = error / sharp(points.d, tile.size)
    usual = 2 * error / points.d**0.5  # seldom more, where the other is the largest
    doubt = usual * variance**0.5 / (GOAL[tile.size] * points.spread + 1e-300)
    doubt = xp.maximum(doubt, nats_off)
    redo = xp.nonzero(doubt > 1)[0]
    if redo.shape[0] and not wanted.certified:
        own = anchor, redo, nats_off[redo] > 1, doubt[redo]
        for rows, moved, log_ratio in _redone(tile, weights, log_sum, *own):
            inner[rows] += moved
            log_sum[rows] += log_ratio
    raised = points.n * math.exp(FLOOR[tile.size]) * 2 * points.radius
    rest = units * second**0.5 + raised if wanted.certified else zero
    none = tile.best[:0]
    return Average(
        anchor,
        log_sum,
        inner,
        variance,
        nats,
        rest,
        zero,
        sure,
        tile.sigma < 0,
        (none, none),
        2 * t * b,
    )


def _redone(tile, weights, log_sum, anchor, rows, must, doubt):
    """Yield rows, and what exact weights of their heaviest points change there.

    Unrelated errors of the points below a part ``1 / doubt^2`` of the heaviest weight
    bring less than is allowed.  Rows that must not be redone are, the most doubtful
    first, while they cost little.
    """
    points, xp, (t, b) = tile.points, tile.points.xp, tile.logits.shape
    floor = xp.astype(
        xp.clip(doubt**-2 / 4, math.exp(FLOOR[tile.size]), None), weights.dtype
    )
    near = weights[rows] >= floor[:, None]
    counts = xp.sum(xp.astype(near, xp.int64), axis=1)
    order = xp.argsort(xp.where(must, math.inf + 0 * doubt, doubt), descending=True)
    spent = xp.cumulative_sum(counts[order])
    good = must[order] | (spent <= max(2**12, t * b // REDONE))
    order = order[good]
    for some in groups(counts[order], points.memory):
        chosen = order[some]
        own = rows[chosen]
        places, columns = xp.nonzero(near[chosen])
        old = double(weights[own[places], columns])
        spot, place = (tile.x[own], tile.sigma[own]), anchor[own]
        columns = columns + tile.start
        logs = exact_logs(points, *spot, places, columns, place)
        count = own.shape[0]
        top = row_maxima(logs, places, count)
        new = xp.exp(logs - top[places])
        before, after = (row_sums(each, places, count) for each in (old, new))
        change = new * (before / after)[places] - old
        change = change * xp.exp(-log_sum[own])[places]
        moved = 0 * tile.x[own]
        for part, offsets in differences(points, places, columns, place):
            moved = moved + row_sums(
                change[part][:, None] * offsets, places[part], count
            )
        yield own, moved, top + xp.log(after) - xp.log(before)


def exact_logs(points, x, sigma, places, columns, anchor):
    """Return log weights of pairs against those of the anchors, ``(e,)``."""
    xp, parts = points.xp, []
    for part in _pieces(points, places.shape[0]):
        rows = places[part]
        own = double(points.values[columns[part]])[:, None, :]
        logs = relative_log_weights(x[rows], anchor[rows], own, sigma[rows], xp)
        parts.append(logs[:, 0])
    return parts[0] if len(parts) == 1 else xp.concat(parts)


def differences(points, places, columns, anchor):
    """Yield slices of pairs, and the points in them minus the anchors."""
    for part in _pieces(points, places.shape[0]):
        yield part, double(points.values[columns[part]]) - anchor[places[part]]


def _pieces(points, count):
    """Yield slices of pairs whose differences stay in the cache."""
    yield from row_blocks(count, points.d, min(CACHED, points.memory // 64))


def groups(counts, memory):
    """Yield slices of rows whose pairs, ``counts`` of them, fit into the memory."""
    room, start, held = max(1, memory // (4 * PAIR)), 0, 0
    every = counts.tolist()
    for stop, count in enumerate(every):
        if held + count > room and stop > start:
            yield slice(start, stop)
            start, held = stop, 0
        held += count
    if every:
        yield slice(start, len(every))


def _rounding_seen(tile):
    """Return the largest error of the product at some points, ``(t,)``, in nats.

    What all points of a row have in common changes no weight and is taken off.  It is
    at least a unit of rounding of the largest: few errors may be 0 by chance.
    """
    points, xp, (t, b) = tile.points, tile.points.xp, tile.logits.shape
    some = points.sampled() - tile.start
    some = some[(some >= 0) & (some < b)]
    every = xp.arange(b, device=device(some))[:: max(1, b // 16)]
    some = xp.concat([some, every])
    gaps = double(points.values[some + tile.start]) - points.center
    exact = (tile.x - points.center) @ gaps.T - xp.sum(gaps**2, axis=1) / 2
    off = double(tile.logits[:, some]) - exact * tile.scale[:, None]
    rows = xp.arange(t, device=device(tile.best))
    best = double(points.values[tile.best + tile.start]) - points.center
    own = xp.vecdot(tile.x - points.center, best) - xp.vecdot(best, best) / 2
    own = double(tile.logits[rows, tile.best]) - own * tile.scale
    off = xp.concat([off, own[:, None]], axis=1)
    off = xp.max(xp.abs(off - xp.mean(off, axis=1)[:, None]), axis=1)
    return xp.maximum(off, EPS[tile.size] * xp.abs(double(tile.top)))


def _weighted(weights, keys, chunk):
    """Return ``weights @ keys`` in float64, by sums of so many points at a time."""
    total = 0.0
    for start in range(0, keys.shape[0], chunk):
        some = slice(start, start + chunk)
        total = total + double(weights[:, some] @ keys[some])
    return total
