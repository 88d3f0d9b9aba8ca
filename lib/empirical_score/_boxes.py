"""Few dimensions: a tree of boxes, each of which stands for its points where it may.

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

from ._arrays import EPS, double, row_blocks, row_maxima, row_sums
from ._certified import Certificate, summed
from ._fused import FASTER, can_fuse
from ._pairs import Crowded

HIGHEST = 8  # dimensions in which boxes are small enough to help
LEAF, ROOTS = 64, 32  # points of the smallest nodes; nodes to begin with
CACHED = 2**16  # points in leaves that are looked at together
PAIR = 256  # bytes for a row and a node that are looked at together
NODE = 40  # a node takes as long as so many points in a plain sum
PROBED = 16  # rows that go first
DROPPED, STANDING = 0.25, 0.6  # shares of the tolerance


class Boxes:
    """Training points in the order of a k-d tree, and what the nodes stand for."""

    def __init__(self, engine):
        xp = self.xp = engine.xp
        self.engine = engine
        points = xp.astype(engine.points, xp.float64, copy=False)
        self.points = points[halved(points, LEAF, xp)]
        n, size = self.points.shape[0], LEAF
        self.levels = [_nodes(engine, self.points, size)]
        while self.levels[-1].count.shape[0] > ROOTS:
            size *= 2
            self.levels.append(_nodes(engine, self.points, size))
        self.terms = LEAF + 2 * self.levels[0].count.shape[0]  # in the sums of a row
        leaves = self.levels[0].count.shape[0]
        places = xp.arange(leaves * LEAF, device=_device(points))
        last = xp.clip(places, None, n - 1)
        # One coordinate after the other: sums over two or three numbers are slow.
        sides = range(points.shape[1])
        self.sides = [self.points[last, k].reshape(leaves, LEAF) for k in sides]
        there = xp.where(places < n, 0.0, -math.inf)
        self.there = xp.astype(there, xp.float64).reshape(leaves, LEAF)

    def evaluate(self, x, sigma, tolerance):
        """Return the denoiser and its certificate for all rows of ``x``.

        A few rows go first: where the tree takes them longer than a plain sum would,
        all rows are summed.
        """
        xp, (n, d) = self.xp, self.points.shape
        x, sigma = xp.astype(x, xp.float64), xp.astype(sigma, xp.float64)
        mean, error, mass = xp.zeros_like(x), 0 * sigma, 0 * sigma
        proved = sigma > 0
        budget, pairs = tolerance * math.sqrt(d), 0
        every = xp.arange(x.shape[0], device=_device(x))
        first = every % max(1, x.shape[0] // PROBED) == 0
        todo = [(xp.nonzero(~first)[0], budget), (xp.nonzero(first)[0], budget)]
        while todo:
            rows, goal = todo.pop()
            if rows.shape[0] == 0:
                continue
            try:
                part = Descent(self, x[rows], sigma[rows], goal)
            except TooMany:
                rows = xp.concat([rows, *(more for more, _ in todo)])
                found = self._sum_all(x[rows], sigma[rows], budget)
                mean[rows], error[rows], proved[rows] = found
                mass[rows] = 0.0
                pairs += rows.shape[0] * n
                break
            except Crowded:
                half = rows.shape[0] // 2
                todo += [(rows[half:], goal), (rows[:half], goal)]
                continue
            mean[rows], error[rows], mass[rows] = part.mean, part.error, part.discarded
            pairs += part.pairs
            coarse = rows[part.rounding > budget / 8]
            if coarse.shape[0]:
                # Log weights so large have to be taken from differences.
                found = self._sum_all(x[coarse], sigma[coarse], budget)
                mean[coarse], error[coarse], proved[coarse] = found
                mass[coarse] = 0.0
                pairs += coarse.shape[0] * n
            over = xp.nonzero((part.error > budget) & (part.rounding <= budget / 8))[0]
            if over.shape[0] and goal > 0:
                # Only the end tells how far the mean lies from x: ask for more.
                goal = goal / 4 if goal > budget / 100 else 0.0
                todo.append((rows[over], goal))
        share = pairs / (n * x.shape[0])
        return mean, Certificate(error / math.sqrt(d), mass, share, proved)

    def _sum_all(self, x, sigma, budget):
        """Return the means over all points, bounds on their errors, if these hold."""
        xp, dtype = self.xp, self.engine.points.dtype
        x, sigma = (xp.astype(value, dtype, copy=False) for value in (x, sigma))
        return summed(self.engine, x, sigma, budget)


class TooMany(Exception):
    """Summing over all points is cheaper."""


class Nodes:
    """The nodes of one level: number, mean, radius and variance of their points.

    The mean is rounded, by at most ``blur``.
    """

    def __init__(self, size, count, mean, blur, radius, variance):
        self.size, self.count, self.mean, self.blur = size, count, mean, blur
        self.radius, self.variance = radius, variance


class Descent:
    """All rows go down the tree together; what is settled is added up on the way."""

    def __init__(self, boxes, x, sigma, budget):
        xp, m = boxes.xp, x.shape[0]
        self.boxes, self.x, self.sigma, self.budget = boxes, x, sigma, budget
        self.noise = 2 * sigma**2
        self.faster = FASTER if can_fuse(boxes.engine, x, sigma) else 1
        zero = 0 * sigma
        self.top = zero - 1e300  # below every log weight, and finite
        self.sums = xp.zeros((m, x.shape[1] + 4), dtype=x.dtype, device=_device(x))
        self.settled, self.lost, self.mass = zero, zero, zero
        self.pairs = self.work = 0
        self.highest = zero
        nodes = boxes.levels[-1].count.shape[0]
        rows = xp.arange(m * nodes, device=_device(x)) // nodes
        places = xp.arange(m * nodes, device=_device(x)) % nodes
        for level in range(len(boxes.levels) - 1, -1, -1):
            self._count(rows.shape[0], 1)
            rows, places = self._visit(level, rows, places)
            if level > 0:
                rows, places = self._halves(level, rows, places)
        self._count(rows.shape[0], LEAF)
        self._look(rows, places)
        self._finish()

    def _visit(self, level, rows, places):
        """Settle or leave out nodes of one level; return the others."""
        xp, nodes, m = self.boxes.xp, self.boxes.levels[level], self.x.shape[0]
        center, noise = nodes.mean[places], self.noise[rows]
        offsets = center - self.x[rows]
        squares = xp.sum(offsets**2, axis=1)
        count, radius = nodes.count[places], nodes.radius[places]
        variance, distance = nodes.variance[places], squares**0.5
        logs = xp.log(count)
        lower = logs - (distance + radius) ** 2 / noise
        best = xp.maximum(row_maxima(lower, rows, m), self.top)
        total = row_sums(xp.exp(lower - best[rows]), rows, m)
        total = total + self.settled * xp.exp(self.top - best)
        upper = logs - xp.clip(distance - radius, 0.0, None) ** 2 / noise
        upper = upper - (best + xp.log(total))[rows]
        most = xp.exp(xp.clip(upper, None, 0.0))  # no share of the weight exceeds 1
        slope = (2 * distance + radius) / noise
        change = xp.clip(radius * slope, 1e-4, 50.0)
        growth = xp.expm1(change) / change
        blur = nodes.blur[places]
        weight = variance / noise + variance * slope**2 * (growth - 1) / change
        weight, place = weight + blur * slope, variance * slope * growth + blur
        near = -row_maxima(-(distance + radius), rows, m)
        reach = distance + radius + near[rows]
        # A node may err by its part of the tolerance, or by that of its weight.
        part = self.budget * count / self.boxes.points.shape[0]
        error = weight * reach + place
        inside = (error <= STANDING * self.budget) | (most * error <= STANDING * part)
        inside = inside & (weight < 0.5) & (change < 50.0)
        out = ~inside & (most * reach <= DROPPED * part)
        dropped = xp.where(out, most, 0 * most)
        self.mass = self.mass + row_sums(dropped, rows, m)
        self.lost = self.lost + row_sums(dropped * reach, rows, m)
        some = xp.nonzero(inside)[0]
        logs = logs - squares / noise
        far = weight * distance
        settled = (rows, logs, offsets, weight, place, far)
        self._settle(*(value[some] for value in settled))
        left = xp.nonzero(~(out | inside))[0]
        return rows[left], places[left]

    def _look(self, rows, places):
        """Settle what is in leaves, point by point."""
        xp = self.boxes.xp
        if rows.shape[0] == 0:
            return
        blocks = row_blocks(rows.shape[0], LEAF, CACHED)
        parts = [self._leaves(rows[some], places[some]) for some in blocks]
        logs, offsets = (xp.concat(part) for part in zip(*parts, strict=True))
        zero = 0 * logs
        self._settle(rows, logs, offsets, zero, zero, zero)

    def _leaves(self, rows, places):
        """Return the log weights of leaves, and their averages of ``y - x``."""
        xp, boxes = self.boxes.xp, self.boxes
        gaps = [
            side[places] - self.x[rows, k][:, None]
            for k, side in enumerate(boxes.sides)
        ]
        logits = sum(gap**2 for gap in gaps) / -self.noise[rows][:, None]
        logits = logits + boxes.there[places]
        top = xp.max(logits, axis=1)
        weights = xp.exp(logits - top[:, None])
        total = xp.sum(weights, axis=1)
        offsets = [xp.sum(weights * gap, axis=1) / total for gap in gaps]
        return top + xp.log(total), xp.stack(offsets, axis=1)

    def _count(self, pairs, points):
        """Count pairs of rows and nodes; stop where a plain sum would be faster."""
        self.pairs += pairs * points
        self.work += pairs * (NODE + points - 1)
        if pairs * PAIR > self.boxes.engine.memory and self.x.shape[0] > 1:
            raise Crowded
        if self.work > self.x.shape[0] * self.boxes.points.shape[0] / 2 / self.faster:
            raise TooMany

    def _halves(self, level, rows, places):
        """Return the two children of each node, in the rows' order."""
        xp, fan = self.boxes.xp, 2
        below = self.boxes.levels[level - 1].count.shape[0]
        child = (fan * places)[:, None] + xp.arange(fan, device=_device(places))
        rows = xp.broadcast_to(rows[:, None], child.shape)
        there = child < below
        return rows[there], child[there]

    def _settle(self, rows, logs, offsets, weight, place, far):
        """Add nodes, each as one heavy point, to the running sums of their rows."""
        xp, m = self.boxes.xp, self.x.shape[0]
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

    def _finish(self):
        xp, (n, d) = self.boxes.xp, self.boxes.points.shape
        total = self.sums[:, -1]
        shift = self.sums[:, :d] / total[:, None]
        self.mean = self.x + shift
        far, weight, place = (self.sums[:, d + k] / total for k in range(3))
        moved = xp.sum(shift**2, axis=1) ** 0.5
        standing = (far + weight * moved + place) / (1 - self.highest)
        # What rounding does to log weights, each a sum of d squares, and to the sums.
        nats = (d + 8) * EPS[8] * (xp.abs(self.top) + 60 + math.log(n))
        growth, radius = (
            xp.expm1(xp.clip(2 * nats, None, 50.0)),
            self.boxes.engine.radius,
        )
        self.rounding = growth * radius + self.boxes.terms * EPS[8] * (moved + radius)
        # Left-out nodes were weighed at ``reach``, with a bound on ``|x - D|``.
        self.discarded = (1 + growth) * self.mass
        proved = standing + self.lost + self.mass * moved
        self.error = (1 + growth) * proved + self.rounding


def halved(points, leaf, xp):
    """Return an order in which each ``leaf 2^k`` consecutive points lie together."""
    order = xp.arange(points.shape[0], device=_device(points))
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


def _nodes(engine, points, size):
    """Return the nodes of ``size`` consecutive points each; the last may be smaller."""
    xp, n, center = engine.xp, points.shape[0], double(engine.center)
    number = xp.arange(n, device=_device(points)) // size
    nodes = -(-n // size)
    count = row_sums(xp.ones_like(points[:, 0]), number, nodes)
    mean = row_sums(points - center, number, nodes) / count[:, None] + center
    blur = EPS[8] * ((count + 4) * engine.radius + xp.sum(mean**2, axis=1) ** 0.5)
    squares = xp.sum((points - mean[number]) ** 2, axis=1)
    variance = row_sums(squares, number, nodes) / count
    radius = row_maxima(squares, number, nodes) ** 0.5
    variance = variance * (1 + 1e-12) + radius * blur
    return Nodes(size, count, mean, blur, radius * (1 + 1e-12) + blur, variance)


def _device(array):
    return getattr(array, "device", None)
