"""The denoiser along deterministic paths, where much need be computed only once.

The probability-flow ODE from ``x_T`` adds nothing but denoised points, so its states
are ``g x_T + u`` with ``u`` in the span of the data: smooth where the data are, which
is what the bounds of ``_scores`` need, while the noise is all in ``x_T``.  The products
of ``x_T`` with the training points are computed once for the whole path; of ``u``, and
of the weights, only what is new costs anything (``_recalled``).

Once few points are left in they are kept, with no look at the others as long as these
are known to be far enough behind (``_kept``); a single one to the end.
"""

import math
from dataclasses import replace

from ._arrays import EPS, device, double
from ._certified import Certificate, Certified, Memory, cut, entire, summed
from ._kept import SPARE, average, joined
from ._recalled import Recalled
from ._scores import SINGLE, rooms

# After pruning failed it is tried again at a level lower by this factor.
PATIENCE = 1.3
# Memory is given up where the last calls took this share of all products on average.
WATCHED, DEAR = 4, 0.6
# Where many points are left in, they are chosen anew at a level lower by this factor.
MANY = 1.15


class Trajectory:
    """The certified denoiser for rows of ``x`` that all started at ``start``.

    ``kept`` is what is left in for some rows (``_kept``), as it was at a higher level;
    ``later`` as it is since the last call.  The others have a memory (``_recalled``) of
    ``most`` values, used as long as it pays.
    """

    def __init__(self, engine, axes, start, tolerance, most):
        self.engine, self.axes = engine, axes
        self.tolerance, self.most = tolerance, most
        self.cut = cut(engine, tolerance)
        self.least = self.cut + SPARE
        self.z = double(start) - double(engine.center)
        self.hope, self.few = math.inf, False  # pruning is tried below ``hope``
        self.kept = self.later = None
        self.shares, self.pays, self.moments = [], True, None
        self.rows, self._none = None, (self.z[:0, 0], None)

    def evaluate(self, x, sigma):
        """Return the denoiser, in float64, and its certificate."""
        n, mean = self.engine.points.shape[0], 0 * self.z
        error, mass = 0 * mean[:, 0], 0 * mean[:, 0]
        left, proved, products = error == 0, error < 0, 0
        for look in (self._keep, self._look):
            rows, found = look(left, x, sigma)
            if rows.shape[0]:
                mean[rows], error[rows], mass[rows] = found[:3]
                left[rows], proved[rows] = False, found.proved
                products += found.products
        m, d = mean.shape
        share = products / (2 * n * m)
        return mean, Certificate(error / math.sqrt(d), mass, share, proved)

    def _keep(self, left, x, sigma):
        """Answer for rows of which only the points left in need be looked at."""
        leads = self._hold(x, sigma)
        if leads is None:
            return self._none
        rows = self.kept.rows
        own = x[rows], sigma[rows], leads, self.least, self._summed
        found = average(self.engine, self.kept, *own)
        self.later = found.after
        return rows, found

    def _look(self, left, x, sigma):
        """Answer for all other rows."""
        rows = self.engine.xp.nonzero(left)[0]
        if rows.shape[0] == 0:
            return self._none
        x, sigma, level = x[rows], sigma[rows], float(self.engine.xp.max(sigma))
        prune = "first" if self.few else level < self.hope
        if not (prune or self.pays) or not self.engine.moderate(x, sigma):
            return rows, entire(self.engine, x, sigma, self.tolerance)
        self._remember(rows)
        known = self.products, self.averages, self.room, self.moments, self.pays
        used = Certified(
            self.engine, self.axes, x, sigma, self.tolerance, Memory(*known), prune
        )
        found, every = used.found, 2 * rows.shape[0] * self.engine.points.shape[0]
        self.shares = [*self.shares, found.products / every][-WATCHED:]
        self.pays &= sum(self.shares) <= DEAR * WATCHED
        self.moments = used.moments or self.moments
        self.few = used.few or used.way == "pruned"
        if used.way in ("all", "summed") and level < self.hope:
            self.hope = level / PATIENCE
        if found.after is not None:
            kept = replace(found.after, rows=rows[found.after.rows])
            self.kept, self.later = joined(self.kept, kept), joined(self.later, kept)
        return rows, found

    def _hold(self, x, sigma):
        """Keep what need not be looked at; return by how much the others are behind.

        What was left out at the last call counts once the level is below that.  Where
        one row has to be looked at, all that have more than one point left are.
        """
        xp, later = self.engine.xp, self.later
        if later is not None and bool(xp.all(sigma[later.rows] < later.level)):
            self.kept = later
        if self.kept is None:
            return None
        kept, rows = self.kept, self.kept.rows
        leads = kept.leads(x[rows], sigma[rows], self.engine.radius)
        good, lone = leads >= self.cut, kept.counts == 1
        seen = xp.where(lone, 0 * leads, kept.level / double(sigma[rows]))
        stale = kept.many is not None and float(xp.max(seen)) > MANY
        if stale or not bool(xp.all(good | lone)):
            good &= lone
        if not bool(xp.all(good)):
            self.kept, self.later = None, None
            if not bool(xp.any(good)):
                return None
            self.kept = kept.take(good)
        return leads[good]

    def _summed(self, engine, x, sigma):
        return summed(engine, x, sigma, self.tolerance * math.sqrt(x.shape[1]))

    def _remember(self, rows):
        """Make the memory one of these rows: anew where some of them were let go."""
        xp = self.engine.xp
        if self.rows is not None and rows.shape[0] == self.rows.shape[0]:
            if bool(xp.all(rows == self.rows)):
                return
        places = xp.zeros_like(self.z[:, 0], dtype=xp.int64) - 1
        if self.rows is not None:
            count = self.rows.shape[0]
            places[self.rows] = xp.arange(count, device=device(rows))
        if bool(xp.any(places[rows] < 0)):
            z, (even, uniform) = self.z[rows], self._even(rows)
            n = self.engine.points.shape[0]
            off = 0 * even[:, 0] + n * EPS[8] * self.engine.radius
            drift = SINGLE * self.engine.radius, SINGLE * self.axes.norms[0]
            self.products = Recalled(self.most, z, *self._multiply(z), drift[0])
            self.averages = Recalled(self.most, uniform, even, off, drift[1])
            self.room = rooms(self.engine, rows.shape[0])
        else:
            self.products.keep(places[rows])
            self.averages.keep(places[rows])
            self.room = tuple(part[: rows.shape[0]] for part in self.room)
        self.rows, self.moments = rows, None

    def _even(self, rows):
        """Return the mean under even weights, from the center, and the weights."""
        xp, half = self.engine.xp, self.engine.half_squares
        even = 0 * self.z[rows] + self.axes.even
        weights = xp.astype(0 * even[:, :1], xp.float32) + 1 / half.shape[0]
        return even, xp.zeros_like(half, dtype=xp.float32) + weights

    def _multiply(self, z):
        """Return ``<z, y_j - c>``, ``(m, n)``, in float32, and the rounding of that."""
        xp, engine, parts = self.engine.xp, self.engine, []
        for _, block in engine.blocks():
            gaps = double(block) - double(engine.center)
            parts.append(xp.astype(z @ gaps.T, xp.float32))
        products = xp.concat(parts, axis=1)
        largest = double(xp.max(xp.abs(products), axis=1))
        return products, SINGLE * largest
