"""The denoiser along deterministic paths, where much need be computed only once.

The probability-flow ODE from ``x_T`` adds nothing but denoised points, so its states
are ``g x_T + u`` with ``u`` in the span of the data: smooth where the data are, which
is what the bounds of ``_certified`` need, while the noise is all in ``x_T``.  The
products of ``x_T`` with the training points are computed once for the whole path; those
of ``u`` are kept from the last level at which they were needed.

Once a single point ``y`` is left in at ``(x, sigma)``, it stays the only one on the
rest of the path: with ``g_j`` the gap of log weights between ``y`` and ``y_j``, at
``x' = y + (s / sigma) (x - y) + e`` and level ``s < sigma`` the gap is at least

    (sigma / s) g_j - |e|^2 / (2 s^2 (1 - s / sigma)),

as completing the square in ``|y - y_j|`` shows.  So the denoiser is ``y`` from there
on, every step of a solver follows that exactly, and no point is looked at again.
"""

import math

from ._arrays import double
from ._certified import Certificate, Certified
from ._weighed import SINGLE

# How much the weight of discarded points may grow through rounding on a locked path.
GROWTH = 2.0
# After pruning failed it is tried again at a level lower by this factor.
PATIENCE = 1.3


class Known:
    """A part of ``x``, counted from the center, and its products with the points.

    ``part`` ``(m, d)`` is ``factor`` ``(m,)`` times a start, plus what was seen since;
    ``start`` and ``seen`` ``(k, n)`` hold the products of both in float32, and ``rows``
    says which of their rows are meant.  ``slack`` ``(m,)`` bounds the error of the
    products, ``size`` the products themselves.  ``useful`` says whether all products
    are worth computing: rounding may be too large for the tolerance even then.
    """

    useful = True

    def __init__(self, part, factor, start, seen, rows, slack, size):
        self.part, self.factor, self.rows = part, factor, rows
        self.start, self.seen, self.slack, self.size = start, seen, slack, size

    def block(self, columns):
        """Return the products with some points, ``(m, k)``, an array of its own."""
        start, seen = self.start[:, columns][self.rows], self.seen[:, columns]
        return self.factor[:, None] * start + seen[self.rows]

    def add(self, columns, products):
        """Take in the products of what was not known."""
        self.seen[self.rows, columns] += products


class Trajectory:
    """The certified denoiser for rows of ``x`` that all started at ``start``."""

    def __init__(self, engine, axes, start, tolerance):
        xp = engine.xp
        self.engine, self.axes, self.tolerance = engine, axes, tolerance
        self.z = double(start) - double(engine.center)
        self.products = self._multiply()
        self.largest = double(xp.max(xp.abs(self.products), axis=1))
        tail = self.z
        for directions in axes.directions:
            directions = double(directions)
            tail = tail - (tail @ directions) @ directions.T
        self.tail = tail / xp.sum(tail**2, axis=1)[:, None]
        self.seen = 0 * self.z  # the part beside a multiple of the start that is known
        self.seen_products = xp.zeros_like(self.products)
        self.seen_slack = 0 * self.z[:, 0]
        # Pruning is tried below ``hope``; rounding is too much up to ``coarse``.
        self.hope, self.few, self.coarse = math.inf, False, 0.0
        self.locked = xp.zeros_like(self.z[:, 0], dtype=xp.int64) - 1
        self.level = 0 * self.z[:, 0]
        self.gap, self.mass = 0 * self.z, 0 * self.z[:, 0]

    def evaluate(self, x, sigma):
        """Return the denoiser, in float64, and its certificate."""
        xp = self.engine.xp
        mean, mass = self._follow(x, sigma)
        error = mass * 2 * self.engine.radius / math.sqrt(x.shape[1])
        rows = xp.nonzero(self.locked < 0)[0]
        if rows.shape[0] == 0:
            return mean, Certificate(error, mass, 0.0)
        x, sigma = x[rows], sigma[rows]
        known, factor = self._known(rows, x)
        level = float(xp.max(sigma))
        known.useful = level > self.coarse
        found = Certified(
            self.engine,
            self.axes,
            x,
            sigma,
            self.tolerance,
            known,
            prune="first" if self.few else level < self.hope,
        )
        self.few = found.few or found.way == "pruned"
        if found.way == "summed":
            self.coarse = max(self.coarse, level)
        if found.way in ("all", "summed") and level < self.hope:
            self.hope = level / PATIENCE
        if found.fresh is not None:
            self.seen[rows] = self.seen[rows] + found.fresh
            self.seen_slack[rows] = known.slack + self._own_slack(rows, factor)
        self._lock(rows, found, x, sigma)
        mean[rows] = found.mean
        error[rows], mass[rows] = found.certificate.error, found.certificate.discarded
        share = found.certificate.share * rows.shape[0] / mean.shape[0]
        return mean, Certificate(error, mass, share)

    def _known(self, rows, x):
        """Return what is known of ``x``: a multiple of the start, and what was seen."""
        xp = self.engine.xp
        centered = double(x) - double(self.engine.center)
        factor = xp.sum(centered * self.tail[rows], axis=1)
        part = factor[:, None] * self.z[rows] + self.seen[rows]
        slack = self.seen_slack[rows] + self._own_slack(rows, factor)
        seen = xp.sum(self.seen[rows] ** 2, axis=1) ** 0.5
        size = xp.abs(factor) * self.largest[rows] + seen * self.engine.radius
        every = rows.shape[0] == self.z.shape[0]
        which = slice(None) if every else rows
        single = xp.astype(factor, xp.float32)
        products = self.products, self.seen_products
        return Known(part, single, *products, which, slack, size), factor

    def _own_slack(self, rows, factor):
        return 2 * SINGLE * self.engine.xp.abs(factor) * self.largest[rows]

    def _lock(self, rows, found, x, sigma):
        xp = self.engine.xp
        lone = xp.nonzero(found.lone >= 0)[0]
        if lone.shape[0] == 0:
            return
        where = rows[lone]
        self.locked[where] = found.lone[lone]
        self.level[where] = double(sigma[lone])
        self.gap[where] = double(x[lone]) - found.mean[lone]
        self.mass[where] = found.certificate.discarded[lone]

    def _follow(self, x, sigma):
        """Return point and mass of the locked rows; let go of those that strayed."""
        xp = self.engine.xp
        mean, mass = 0 * self.z, 0 * self.mass
        rows = xp.nonzero(self.locked >= 0)[0]
        if rows.shape[0] == 0:
            return mean, mass
        points = double(self.engine.points[self.locked[rows]])
        share = double(sigma[rows]) / self.level[rows]
        away = double(x[rows]) - points - share[:, None] * self.gap[rows]
        strayed = xp.sum(away**2, axis=1) / double(sigma[rows]) ** 2 / 2
        room = xp.clip(1 - share, 0.0, None)
        good = strayed <= math.log(GROWTH) * room
        self.locked[rows[~good]] = -1
        kept = rows[good]
        mean[kept], mass[kept] = points[good], GROWTH * self.mass[kept]
        return mean, mass

    def _multiply(self):
        """Return ``<z, y_j - c>``, ``(m, n)``, in float32, summed in float64."""
        xp, engine, parts = self.engine.xp, self.engine, []
        for _, block in engine.blocks():
            gaps = double(block) - double(engine.center)
            parts.append(xp.astype(self.z @ gaps.T, xp.float32))
        return xp.concat(parts, axis=1)
