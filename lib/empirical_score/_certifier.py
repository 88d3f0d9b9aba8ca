"""Which certified way is taken, and when none pays.

Low dimension has its boxes (``_boxes``), high dimension its principal axes
(``_certified``), a deterministic path its memory (``_trajectory``).  Where the last
attempt came down to summing all points, the next one is made only at a clearly lower
noise level, so that trying costs next to nothing.
"""

import math
from functools import cached_property

from ._axes import Axes
from ._boxes import HIGHEST, Boxes
from ._certified import Certificate, Certified, summed
from ._recalled import slots
from ._trajectory import PATIENCE, Trajectory

# Rows whose noise levels differ by no more than this factor are taken together.
ALIKE = 1.25
# In fewer dimensions passes over the weights cost more than the products they save.
DEEP = 100


class Certifier:
    """The denoiser of one training set to one tolerance, however it is asked for."""

    def __init__(self, engine, tolerance):
        self.engine, self.tolerance = engine, tolerance
        dimension = engine.points.shape[1]
        self.low = dimension <= HIGHEST
        # Single calls try to prune below this level only.
        self.hope = math.inf if dimension >= DEEP else 0.0

    @cached_property
    def index(self):
        """What bounds the weights: boxes of points, or principal axes."""
        return Boxes(self.engine) if self.low else Axes(self.engine)

    def evaluate(self, x, sigma):
        """Return the denoiser, in float64, and its :class:`Certificate`."""
        if self.low:
            return self.index.evaluate(x, sigma, self.tolerance)
        xp = self.engine.xp
        mean = xp.zeros_like(x, dtype=xp.float64)
        error, mass = 0 * mean[:, 0], 0 * mean[:, 0]
        done = 0.0
        for rows in self._groups(sigma):
            level = float(xp.max(sigma[rows]))
            if level >= self.hope:
                mean[rows], error[rows] = self._summed(x[rows], sigma[rows])
                done += rows.shape[0]
                continue
            step = max(1, self.engine.budget // (3 * self.engine.points.shape[0]))
            for start in range(0, rows.shape[0], step):
                some = rows[start : start + step]
                found = self._certified(x[some], sigma[some], level)
                mean[some], certificate = found.mean, found.certificate
                error[some], mass[some] = certificate.error, certificate.discarded
                done += certificate.share * some.shape[0]
        return mean, Certificate(error, mass, done / x.shape[0])

    def trajectory(self, start):
        """Return the :class:`Trajectory` from ``start``, or None if it is no help."""
        most = None if self.low else slots(self.engine, start.shape[0])
        if most is None:
            return None
        return Trajectory(self.engine, self.index, start, self.tolerance, most)

    def _certified(self, x, sigma, level):
        found = Certified(self.engine, self.index, x, sigma, self.tolerance)
        if found.way == "summed":
            self.hope = level / PATIENCE
        return found

    def _summed(self, x, sigma):
        root = x.shape[1] ** 0.5
        mean, error = summed(self.engine, x, sigma, self.tolerance * root)
        return mean, error / root

    def _groups(self, sigma):
        """Yield row numbers of like noise levels."""
        order = self.engine.xp.argsort(sigma)
        levels = [float(level) for level in sigma[order]]
        start = 0
        for stop in range(1, len(levels) + 1):
            if stop == len(levels) or levels[stop] > ALIKE * levels[start]:
                yield order[start:stop]
                start = stop
