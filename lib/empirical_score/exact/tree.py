"""Few dimensions: a tree of nodes, each of which stands for its points where it may.

The points are halved along the longest side again and again (the order of a k-d tree);
a *node* is what is together after so many halvings.  For a node of N points with mean
``c``, largest distance ``r`` from it and mean squared distance ``v``, and a row ``x``
at distance ``D`` from ``c``, let ``g = D / sigma^2``, ``h = g + r / (2 sigma^2)`` and
``e = r h``, the largest change of a log weight within the node.  Taylor's formula,
whose first term vanishes at the mean, gives

    sum of the node's weights = N exp(-D^2 / (2 sigma^2)) (1 + a),
        |a| <= v / (2 sigma^2) + v h^2 (exp(e) - 1 - e) / e^2,
    their average of ``y - c``, times (1 + a), is at most ``v h (exp(e) - 1) / e``.

From the root down, a node is left out where its largest possible weight certainly does
not matter, stands for its points where these two errors are small, and is replaced by
its halves where neither holds; what is left of the smallest is summed point by point.
So the work is bounded by the nodes within a few sigma of ``x`` that are small against
sigma and the tolerance, however many points they hold.
"""

import math
from typing import NamedTuple

import numpy as np

from .._support.arrays import EPS, device, double, row_blocks, row_maxima, row_sums
from .certified import METHOD, Found, within

HIGHEST = 8  # dimensions in which nodes are small enough to help
LEAF, ROOTS = 64, 32  # points of the smallest nodes; nodes to begin with
CACHED = 2**16  # points in leaves that are looked at together
PAIR = 256  # bytes for a row and a node that are looked at together
NODE = 6  # a node takes as long as so many points in a leaf
PLAIN = 0.4  # the time of a point in a sum over all, in the same unit
PROBED = 16  # rows that go first
DROPPED, STANDING = 0.25, 0.6  # shares of the tolerance


class Nodes(NamedTuple):
    """The nodes of one level: number, mean, radius and variance of their ``points``.

    The mean is rounded, by at most ``blur``.
    """

    points: object
    mean: object
    blur: object
    radius: object
    variance: object


class Tree(NamedTuple):
    """Training points in the order of a k-d tree, and the nodes of all levels.

    ``levels`` begin with the leaves; ``sides`` are the leaves' points, one array
    ``(leaves, LEAF)`` a coordinate, and ``there`` is 0 for points, minus infinity for
    places that the last leaf leaves empty.
    """

    points: object
    levels: tuple
    sides: tuple
    there: object


class TooMany(Exception):
    """Summing over all points is cheaper."""


class Crowded(Exception):
    """Too many nodes for the memory: take fewer rows at a time."""


def build(points):
    """Return the :class:`Tree` of prepared points."""
    xp, values = points.xp, double(points.values)
    ordered = values[halved(values, LEAF, xp)]
    levels, size = [_nodes(points, ordered, LEAF)], LEAF
    while levels[-1].points.shape[0] > ROOTS:
        size *= 2
        levels.append(_nodes(points, ordered, size))
    leaves = levels[0].points.shape[0]
    places = xp.arange(leaves * LEAF, device=device(ordered))
    last = xp.clip(places, None, points.n - 1)
    # One coordinate after the other: sums over two or three numbers are slow.
    sides = tuple(ordered[last, k].reshape(leaves, LEAF) for k in range(points.d))
    there = xp.where(places < points.n, 0.0, -math.inf)
    there = xp.astype(there, xp.float64).reshape(leaves, LEAF)
    return Tree(points, tuple(levels), sides, there)


def tree_average(tree, x, sigma, budget):
    """Return what is :class:`.certified.Found` at all rows of ``x``, in float64.

    A few rows go first: where the tree takes them longer than a plain sum would, all
    rows are summed.
    """
    points, xp, m = tree.points, tree.points.xp, x.shape[0]
    mean, error, mass = 0 * x, 0 * sigma, 0 * sigma
    proved, method, work = sigma > 0, np.full(m, "tree", METHOD), 0
    every = xp.arange(m, device=device(x))
    first = every % max(1, m // PROBED) == 0
    todo = [(xp.nonzero(~first)[0], budget), (xp.nonzero(first)[0], budget)]
    plain = []
    while todo:
        rows, goal = todo.pop()
        if rows.shape[0] == 0:
            continue
        try:
            part = _descend(tree, x[rows], sigma[rows], goal)
        except TooMany:
            plain += [rows, *(more for more, _ in todo)]
            break
        except Crowded:
            half = rows.shape[0] // 2
            todo += [(rows[half:], goal), (rows[:half], goal)]
            continue
        mean[rows], error[rows], mass[rows] = part.mean, part.error, part.discarded
        work += part.pairs
        # Log weights so large have to be taken from differences.
        rounded = part.rounding > budget / 8
        plain.append(rows[rounded])
        over = xp.nonzero((part.error > budget) & ~rounded)[0]
        if over.shape[0] and goal > 0:
            # Only the end tells how far the mean lies from x: ask for more.
            goal = goal / 4 if goal > budget / 100 else 0.0
            todo.append((rows[over], goal))
    rows = xp.concat(plain) if plain else every[:0]
    if rows.shape[0]:
        part = within(points, x[rows], sigma[rows], budget)
        mean[rows], error[rows], mass[rows] = part.mean, part.error, part.discarded
        proved[rows] = part.rigorous
        method[np.asarray(rows.tolist())] = part.method
        work += part.work / 2
    return Found(mean, error, mass, proved, method, 2 * work)


class _Descent(NamedTuple):
    """The averages of a descent, bounds on their errors, and pairs looked at."""

    mean: object
    error: object
    discarded: object
    rounding: object
    pairs: int


class _Sums:
    """Running sums of what is settled, row by row, against the largest log weight."""

    def __init__(self, x, sigma, xp):
        self.xp, self.x, self.noise = xp, x, 2 * sigma**2
        zero = 0 * sigma
        self.top = zero - 1e300  # below every log weight, and finite
        shape = x.shape[0], x.shape[1] + 4
        self.sums = xp.zeros(shape, dtype=x.dtype, device=device(x))
        self.settled, self.highest = zero, zero
        self.lost, self.mass = zero, zero  # what is left out

    def settle(self, rows, logs, offsets, weight, place, far):
        """Add nodes, each as one heavy point, to the running sums of their rows.

        ``weight``, ``place`` and ``far`` are errors: of a node's weight, relative, of
        its average, and the first times its distance.
        """
        xp, m = self.xp, self.x.shape[0]
        if rows.shape[0] == 0:
            return
        top = xp.maximum(row_maxima(logs, rows, m), self.top)
        share = xp.exp(logs - top[rows])
        errors = xp.stack([far, weight, place, xp.ones_like(share)], axis=1)
        values = xp.concat([offsets, errors], axis=1) * share[:, None]
        shrink = xp.where(self.settled > 0, xp.exp(self.top - top), 0 * top)
        self.sums = self.sums * shrink[:, None] + row_sums(values, rows, m)
        sure = row_sums(share * (1 - weight), rows, m)
        self.settled = self.settled * shrink + sure
        self.top = top
        self.highest = xp.maximum(self.highest, row_maxima(weight, rows, m))


def _descend(tree, x, sigma, budget):
    """Let all rows go down the tree together; add up what is settled on the way."""
    xp, m = tree.points.xp, x.shape[0]
    sums, pairs, work = _Sums(x, sigma, xp), 0, 0.0
    nodes = tree.levels[-1].points.shape[0]
    every = xp.arange(m * nodes, device=device(x))
    rows, places = every // nodes, every % nodes
    for level in range(len(tree.levels) - 1, -2, -1):
        size = LEAF if level < 0 else 1
        pairs += rows.shape[0] * size
        work += rows.shape[0] * (NODE + size - 1)
        if rows.shape[0] * PAIR > tree.points.memory and m > 1:
            raise Crowded
        if work > PLAIN * m * tree.points.n:
            raise TooMany
        if level < 0:
            _look(tree, sums, rows, places)
            break
        rows, places = _visit(tree, sums, tree.levels[level], rows, places, budget)
        if level > 0:
            below = tree.levels[level - 1].points.shape[0]
            rows, places = _halves(rows, places, below, xp)
    return _finished(tree, sums, pairs)


def _visit(tree, sums, nodes, rows, places, budget):
    """Settle or leave out nodes of one level; return the others."""
    xp, m = tree.points.xp, sums.x.shape[0]
    center, noise = nodes.mean[places], sums.noise[rows]
    offsets = center - sums.x[rows]
    squares = xp.sum(offsets**2, axis=1)
    count, radius = nodes.points[places], nodes.radius[places]
    distance, logs = squares**0.5, xp.log(count)
    lower = logs - (distance + radius) ** 2 / noise
    best = xp.maximum(row_maxima(lower, rows, m), sums.top)
    total = row_sums(xp.exp(lower - best[rows]), rows, m)
    total = total + sums.settled * xp.exp(sums.top - best)
    upper = logs - xp.clip(distance - radius, 0.0, None) ** 2 / noise
    upper = upper - (best + xp.log(total))[rows]
    most = xp.exp(xp.clip(upper, None, 0.0))  # no share of the weight exceeds 1
    weight, place, fits = node_errors(
        distance, radius, nodes.variance[places], nodes.blur[places], noise, xp
    )
    near = -row_maxima(-(distance + radius), rows, m)
    reach = distance + radius + near[rows]
    # A node may err by its part of the tolerance, or by that of its weight.
    part = budget * count / tree.points.n
    error = weight * reach + place
    inside = (error <= STANDING * budget) | (most * error <= STANDING * part)
    inside = inside & fits
    out = ~inside & (most * reach <= DROPPED * part)
    dropped = xp.where(out, most, 0 * most)
    sums.mass = sums.mass + row_sums(dropped, rows, m)
    sums.lost = sums.lost + row_sums(dropped * reach, rows, m)
    settled = rows, logs - squares / noise, offsets, weight, place, weight * distance
    some = xp.nonzero(inside)[0]
    sums.settle(*(value[some] for value in settled))
    left = xp.nonzero(~(out | inside))[0]
    return rows[left], places[left]


def node_errors(distance, radius, variance, blur, noise, xp):
    """Return the two errors of a node that stands for its points; whether they hold.

    ``noise`` is ``2 sigma^2``, ``blur`` what the node's mean may be rounded by.  The
    first error is that of its weight, relative; the second that of its average.
    """
    slope = (2 * distance + radius) / noise
    steep = ~(slope < 1e100)
    slope = xp.where(steep, 1 + 0 * slope, slope)
    change = xp.clip(radius * slope, 1e-4, 50.0)
    growth = xp.expm1(change) / change
    weight = variance / noise + variance * slope**2 * (growth - 1) / change
    weight, place = weight + blur * slope, variance * slope * growth + blur
    return weight, place, (weight < 0.5) & (change < 50.0) & ~steep


def _halves(rows, places, below, xp):
    """Return the two children of each node, in the rows' order."""
    child = (2 * places)[:, None] + xp.arange(2, device=device(places))
    rows = xp.broadcast_to(rows[:, None], child.shape)
    there = child < below
    return rows[there], child[there]


def _look(tree, sums, rows, places):
    """Settle what is in leaves, point by point."""
    xp = tree.points.xp
    if rows.shape[0] == 0:
        return
    logs, offsets = [], []
    for some in row_blocks(rows.shape[0], LEAF, CACHED):
        x, noise, leaves = sums.x[rows[some]], sums.noise[rows[some]], places[some]
        gaps = [side[leaves] - x[:, k][:, None] for k, side in enumerate(tree.sides)]
        logits = sum(gap**2 for gap in gaps) / -noise[:, None] + tree.there[leaves]
        top = xp.max(logits, axis=1)
        weights = xp.exp(logits - top[:, None])
        total = xp.sum(weights, axis=1)
        logs.append(top + xp.log(total))
        means = [xp.sum(weights * gap, axis=1) / total for gap in gaps]
        offsets.append(xp.stack(means, axis=1))
    logs, zero = xp.concat(logs), 0 * sums.noise[rows]
    sums.settle(rows, logs, xp.concat(offsets), zero, zero, zero)


def _finished(tree, sums, pairs):
    """Return the averages and their bounds, rounding included."""
    points, xp = tree.points, tree.points.xp
    d, total = points.d, sums.sums[:, -1]
    shift = sums.sums[:, :d] / total[:, None]
    far, weight, place = (sums.sums[:, d + k] / total for k in range(3))
    moved = xp.sum(shift**2, axis=1) ** 0.5
    standing = (far + weight * moved + place) / (1 - sums.highest)
    # What rounding does to log weights, each a sum of d squares, and to the sums.
    nats = (d + 8) * EPS[8] * (xp.abs(sums.top) + 60 + math.log(points.n))
    growth = xp.expm1(xp.clip(2 * nats, None, 50.0))
    terms = LEAF + 2 * tree.levels[0].points.shape[0]
    rounding = growth * points.radius + terms * EPS[8] * (moved + points.radius)
    # Left-out nodes were weighed at ``reach``, with a bound on ``|x - D|``.
    error = (1 + growth) * (standing + sums.lost + sums.mass * moved) + rounding
    mass = (1 + growth) * sums.mass
    return _Descent(sums.x + shift, error, mass, rounding, pairs)


def halved(points, leaf, xp):
    """Return an order in which each ``leaf 2^k`` consecutive points lie together."""
    order = xp.arange(points.shape[0], device=device(points))
    todo = [(0, points.shape[0])]
    while todo:
        start, stop = todo.pop()
        if stop - start <= leaf:
            continue
        some = order[start:stop]
        block = points[some]
        side = int(xp.argmax(xp.max(block, axis=0) - xp.min(block, axis=0)))
        half = leaf * 2 ** (math.ceil(math.log2((stop - start) / leaf)) - 1)
        order[start:stop] = some[xp.argsort(block[:, side])]
        todo += [(start, start + half), (start + half, stop)]
    return order


def _nodes(points, ordered, size):
    """Return the nodes of ``size`` consecutive points each; the last may be smaller."""
    xp, n = points.xp, points.n
    number = xp.arange(n, device=device(ordered)) // size
    nodes = -(-n // size)
    count = row_sums(xp.ones_like(ordered[:, 0]), number, nodes)
    mean = row_sums(ordered - points.center, number, nodes) / count[:, None]
    mean = mean + points.center
    blur = EPS[8] * ((count + 4) * points.radius + xp.sum(mean**2, axis=1) ** 0.5)
    squares = xp.sum((ordered - mean[number]) ** 2, axis=1)
    variance = row_sums(squares, number, nodes) / count
    radius = row_maxima(squares, number, nodes) ** 0.5
    variance = variance * (1 + 1e-12) + radius * blur
    return Nodes(count, mean, blur, radius * (1 + 1e-12) + blur, variance)
