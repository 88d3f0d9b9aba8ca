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
from ._certified import Certificate, Certified, entire
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
        self.step = max(1, engine.budget // (3 * engine.points.shape[0]))

    @cached_property
    def index(self):
        """What bounds the weights: boxes of points, or principal axes."""
        return Boxes(self.engine) if self.low else Axes(self.engine)

    def evaluate(self, x, sigma):
        """Return the denoiser, in float64, and its :class:`Certificate`."""
        if self.low:
            return self.index.evaluate(x, sigma, self.tolerance)
        xp, (m, d) = self.engine.xp, x.shape
        mean = xp.zeros_like(x, dtype=xp.float64)
        error, mass, products = 0 * mean[:, 0], 0 * mean[:, 0], 0
        proved = error < 0
        for rows, level in self._groups(sigma):
            found = self._found(x[rows], sigma[rows], level)
            mean[rows], error[rows], mass[rows] = found[:3]
            proved[rows] = found.proved
            products += found.products
        share = products / (2 * m * self.engine.points.shape[0])
        return mean, Certificate(error / d**0.5, mass, share, proved)

    def trajectory(self, start):
        """Return the :class:`Trajectory` from ``start``, or None if it is no help."""
        most = None if self.low else slots(self.engine, start.shape[0])
        if most is None or not self.engine.moderate(start, 1 + 0 * start[:, 0]):
            return None
        return Trajectory(self.engine, self.index, start, self.tolerance, most)

    def _found(self, x, sigma, level):
        """Return what is found at rows of like levels, the highest being ``level``."""
        if level >= self.hope or not self.engine.moderate(x, sigma):
            return entire(self.engine, x, sigma, self.tolerance)
        used = Certified(self.engine, self.index, x, sigma, self.tolerance)
        if used.way == "summed":
            self.hope = level / PATIENCE
        return used.found

    def _groups(self, sigma):
        """Yield the numbers of rows of like noise levels, and the highest of these.

        As many at once as fit into the memory where weights have to be held.
        """
        order = self.engine.xp.argsort(sigma)
        levels = sigma[order].tolist()
        start = 0
        for stop in range(1, len(levels) + 1):
            if stop == len(levels) or levels[stop] > ALIKE * levels[start]:
                level = levels[stop - 1]
                step = stop if level >= self.hope else self.step
                for first in range(start, stop, step):
                    yield order[first : min(first + step, stop)], level
                start = stop
