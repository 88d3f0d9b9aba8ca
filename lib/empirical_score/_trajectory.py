"""The denoiser along deterministic paths, where much need be computed only once.

The probability-flow ODE from ``x_T`` adds nothing but denoised points, so its states
are ``g x_T + u`` with ``u`` in the span of the data: smooth where the data are, which
is what the bounds of ``_scores`` need, while the noise is all in ``x_T``.  The products
of ``x_T`` with the training points are computed once for the whole path; of ``u``, and
of the weights, only what is new costs anything (``_recalled``).

Once a single point ``y`` is left in at ``(x, sigma)``, it stays the only one on the
rest of the path: with ``g_j`` the gap of log weights between ``y`` and ``y_j``, at
``x' = y + (s / sigma) (x - y) + e`` and level ``s < sigma`` the gap is at least

    (sigma / s) g_j - |e|^2 / (2 s^2 (1 - s / sigma)),

as completing the square in ``|y - y_j|`` shows.  So the denoiser is ``y`` from there
on, every step of a solver follows that exactly, and no point is looked at again.
"""

import math

from ._arrays import device, double
from ._certified import Certificate, Certified, Memory
from ._recalled import Recalled
from ._scores import SINGLE, rooms

# How much the weight of discarded points may grow through rounding on a locked path.
GROWTH = 2.0
# After pruning failed it is tried again at a level lower by this factor.
PATIENCE = 1.3


class Trajectory:
    """The certified denoiser for rows of ``x`` that all started at ``start``."""

    def __init__(self, engine, axes, start, tolerance, most):
        xp = engine.xp
        self.engine, self.axes, self.tolerance, self.most = (
            engine,
            axes,
            tolerance,
            most,
        )
        self.z = double(start) - double(engine.center)
        self.hope, self.few = math.inf, False  # pruning is tried below ``hope``
        self.locked = xp.zeros_like(self.z[:, 0], dtype=xp.int64) - 1
        self.level = 0 * self.z[:, 0]
        self.gap, self.mass = 0 * self.z, 0 * self.z[:, 0]
        self.rows = None

    def evaluate(self, x, sigma):
        """Return the denoiser, in float64, and its certificate."""
        xp = self.engine.xp
        mean, mass = self._follow(x, sigma)
        error = mass * 2 * self.engine.radius / math.sqrt(x.shape[1])
        rows = xp.nonzero(self.locked < 0)[0]
        if rows.shape[0] == 0:
            return mean, Certificate(error, mass, 0.0)
        self._remember(rows)
        x, sigma = x[rows], sigma[rows]
        level = float(xp.max(sigma))
        found = Certified(
            self.engine,
            self.axes,
            x,
            sigma,
            self.tolerance,
            Memory(self.products, self.averages, self.room, self.moments),
            prune="first" if self.few else level < self.hope,
        )
        self.moments = found.moments or self.moments
        self.few = found.few or found.way == "pruned"
        if found.way in ("all", "summed") and level < self.hope:
            self.hope = level / PATIENCE
        self._lock(rows, found, x, sigma)
        mean[rows] = found.mean
        error[rows], mass[rows] = found.certificate.error, found.certificate.discarded
        share = found.certificate.share * rows.shape[0] / mean.shape[0]
        return mean, Certificate(error, mass, share)

    def _remember(self, rows):
        """Make the memory one of these rows: anew where some of them were let go."""
        xp = self.engine.xp
        if self.rows is not None and rows.shape[0] == self.rows.shape[0]:
            if bool(xp.all(rows == self.rows)):
                return
        places = xp.zeros_like(self.locked) - 1
        if self.rows is not None:
            count = self.rows.shape[0]
            places[self.rows] = xp.arange(count, device=device(rows))
        if bool(xp.any(places[rows] < 0)):
            z, (even, uniform) = self.z[rows], self._even(rows)
            off = self.engine.eps * self.engine.reach + 0 * even[:, 0]
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
        """Return the mean under even weights, from the center: 0; and the weights."""
        xp, half = self.engine.xp, self.engine.half_squares
        even = 0 * self.z[rows]
        weights = xp.astype(0 * even[:, :1], xp.float32) + 1 / half.shape[0]
        return even, xp.zeros_like(half, dtype=xp.float32) + weights

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

    def _multiply(self, z):
        """Return ``<z, y_j - c>``, ``(m, n)``, in float32, and the rounding of that."""
        xp, engine, parts = self.engine.xp, self.engine, []
        for _, block in engine.blocks():
            gaps = double(block) - double(engine.center)
            parts.append(xp.astype(z @ gaps.T, xp.float32))
        products = xp.concat(parts, axis=1)
        largest = double(xp.max(xp.abs(products), axis=1))
        return products, SINGLE * largest
