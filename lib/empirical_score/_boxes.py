"""Few dimensions: points sorted into boxes, most of which lie too far away to count.

The points are halved along the longest side again and again until ``LEAF`` of them are
left (the order of a k-d tree), and so are the rows of ``x``.  For a tile of rows and a
box of points, with ``a`` and ``b`` the corners of the boxes around them, no distance is
shorter than that of the boxes; so with the exact log weight of one near point for each
row, all boxes whose best possible log weight lies ``log(n / eps)`` below it for every
row of the tile are left out.  The rest is summed exactly from direct differences.
"""

import math

from ._certified import Certificate

HIGHEST = 8  # dimensions in which boxes are small enough to help
LEAF, TILE = 128, 32


class Boxes:
    """Training points in the order of a k-d tree, with the corners of its leaves."""

    def __init__(self, engine):
        xp = self.xp = engine.xp
        self.engine = engine
        points = xp.astype(engine.points, xp.float64, copy=False)
        self.points = points[halved(points, LEAF, xp)]
        self.low, self.high = corners(self.points, LEAF, xp)

    def evaluate(self, x, sigma, tolerance):
        """Return the denoiser and its certificate for all rows of ``x``."""
        xp, (n, d) = self.xp, self.points.shape
        eps = min(1.0, tolerance * math.sqrt(d) / (4 * self.engine.radius or 1.0))
        cut = math.log(n / eps)
        x, sigma = xp.astype(x, xp.float64), xp.astype(sigma, xp.float64)
        order = halved(x, TILE, xp)
        mean, mass = xp.zeros_like(x), xp.zeros_like(sigma)
        seen = 0
        for start in range(0, x.shape[0], TILE):
            rows = order[start : start + TILE]
            mean[rows], kept = self._tile(x[rows], sigma[rows], cut)
            mass[rows] = (n - kept) * math.exp(-cut)
            seen += kept * rows.shape[0]
        gap = xp.sum((mean - xp.astype(self.engine.center, xp.float64)) ** 2, axis=1)
        error = mass * (self.engine.radius + gap**0.5) / math.sqrt(d)
        error = error + 2 * self.engine.eps * self.engine.reach
        return mean, Certificate(error, mass, seen / (n * x.shape[0]))

    def _tile(self, x, sigma, cut):
        """Return the means of a few rows, and how many points were left in."""
        xp, d = self.xp, self.points.shape[1]
        center = (xp.min(x, axis=0) + xp.max(x, axis=0)) / 2
        away = _outside(x[:, None, :], self.low, self.high, xp)
        best = xp.argmin(away, axis=1)
        near = self._squares(x, best)
        limit = near * (1 + 1e-12) + 2 * cut * sigma**2
        boxes = xp.nonzero(xp.any(away <= limit[:, None], axis=0))[0]
        columns = (boxes[:, None] * LEAF + xp.arange(LEAF)).reshape(-1)
        columns = columns[columns < self.points.shape[0]]
        points = self.points[columns] - center
        squares = sum(
            (x[:, k : k + 1] - center[k] - points[:, k]) ** 2 for k in range(d)
        )
        logits = squares / (-2 * sigma[:, None] ** 2)
        weights = xp.exp(logits - xp.max(logits, axis=1)[:, None])
        mean = (weights @ points) / xp.sum(weights, axis=1)[:, None]
        return mean + center, int(columns.shape[0])

    def _squares(self, x, boxes):
        """Return the squared distance of each row to the nearest point of its box."""
        xp, n = self.xp, self.points.shape[0]
        columns = boxes[:, None] * LEAF + xp.arange(LEAF)
        columns = xp.clip(columns, None, n - 1)
        gaps = self.points[columns] - x[:, None, :]
        return xp.min(xp.sum(gaps**2, axis=2), axis=1)


def halved(points, leaf, xp):
    """Return an order in which every ``leaf`` consecutive points lie together."""
    order = xp.arange(points.shape[0])
    todo = [(0, points.shape[0])]
    while todo:
        start, stop = todo.pop()
        if stop - start <= leaf:
            continue
        some = order[start:stop]
        block = points[some]
        side = int(xp.argmax(xp.max(block, axis=0) - xp.min(block, axis=0)))
        # Cut at a multiple of the leaf, so that leaves are full but for the last.
        half = leaf * math.ceil((stop - start) / leaf / 2)
        order[start:stop] = some[xp.argsort(block[:, side])]
        todo += [(start, start + half), (start + half, stop)]
    return order


def corners(points, leaf, xp):
    """Return the lowest and highest coordinates of each leaf, ``(boxes, d)``."""
    n = points.shape[0]
    full = n // leaf
    blocks = points[: full * leaf].reshape(full, leaf, points.shape[1])
    low, high = [], []
    if full:
        low.append(xp.min(blocks, axis=1))
        high.append(xp.max(blocks, axis=1))
    if full * leaf < n:
        low.append(xp.min(points[full * leaf :], axis=0)[None])
        high.append(xp.max(points[full * leaf :], axis=0)[None])
    return xp.concat(low), xp.concat(high)


def _outside(x, low, high, xp):
    """Return the squared distance from ``x`` to each box, 0 inside."""
    gap = xp.clip(low - x, 0.0, None) + xp.clip(x - high, 0.0, None)
    return xp.sum(gap**2, axis=2)
