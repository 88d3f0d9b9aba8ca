"""Averages with weights that are known up to bounds: their sums, and what is sure.

The bound is that of the sandwich in ``_certified``.
"""

import math

from ._arrays import clipped_exp, double
from ._products import weighted
from ._streaming import FLOOR

SINGLE = 2.0**-23  # rounding of float32: it is in every bound


class Weighed:
    """Running sums of weights out of approximate scores, and what bounds their error.

    ``moments`` ``(n, 4)`` holds 1, the squared length, the rest and the squared rest of
    each point.  The average is taken over the points themselves, or, with ``along``,
    over their coordinates in the panels up to that one.
    """

    def __init__(self, certified, moments, along):
        xp, m = certified.engine.xp, certified.x.shape[0]
        self.owner, self.moments, self.along = certified, moments, along
        self.noise = xp.astype(certified.noise, xp.float32)[:, None]
        self.top = xp.zeros_like(self.noise[:, 0]) - math.inf
        self.sums = xp.zeros_like(moments[:1, :] + self.noise * 0)
        self.squares = 0 * self.noise[:, 0]
        panels = 1 if along is None else along + 1
        self.vectors = [0.0] * panels
        self.m = m

    def add(self, columns, base, scores):
        """Take in one block of points with their scores, which are overwritten."""
        xp, axes = self.owner.engine.xp, self.owner.axes
        scores /= self.noise
        top = xp.maximum(self.top, xp.max(scores, axis=1))
        scores -= top[:, None]
        weights = clipped_exp(scores, FLOOR[4])
        shrink = xp.exp(self.top - top)
        self.sums = self.sums * shrink[:, None] + weights @ self.moments[columns]
        self.squares = self.squares * shrink**2 + xp.sum(weights * weights, axis=1)
        self.top = top
        if self.along is None:
            parts = [base]
        else:
            parts = [each[columns] for each in axes.coordinates[: self.along + 1]]
        for number, part in enumerate(parts):
            some = weighted(xp.astype(weights, part.dtype, copy=False), part)
            old = self.vectors[number]
            self.vectors[number] = old * xp.astype(shrink, some.dtype)[:, None] + some
            self.owner.work += part.shape[0] * part.shape[1]

    def error(self, tail, slack):
        """Return a bound on the error of the average, and ``|v - 1/n|``, ``(m,)``."""
        owner = self.owner
        xp, n = owner.engine.xp, self.moments.shape[0]
        sums = double(self.sums)
        moments = sums / sums[:, :1]
        slope, own = tail / owner.noise, slack / owner.noise
        first = slope * moments[:, 2] + own
        second = slope**2 * moments[:, 3] + 2 * slope * own * moments[:, 2] + own**2
        most = slope * float(xp.max(self.moments[:, 2])) + own
        most = xp.clip(most, 1e-300, None)
        growth = xp.expm1(xp.clip(2 * most, None, 500.0)) / (2 * most)
        shift = growth * first
        factor = growth * xp.sqrt(second + 2 * shift * first + shift**2)
        error = factor * xp.sqrt(moments[:, 1]) * 1.001
        uneven = double(self.squares) / sums[:, 0] ** 2 - 1 / n
        uneven = (xp.clip(uneven, 0.0, None) + 1e-6 / n) ** 0.5
        return error + 8 * SINGLE * owner.engine.reach, uneven

    def mean(self):
        """Return the average, ``(m, d)``, in float64."""
        engine, axes = self.owner.engine, self.owner.axes
        total = double(self.sums[:, :1])
        if self.along is None:
            return double(self.vectors[0]) / total + double(engine.origin)
        ahead = zip(self.vectors, axes.directions, strict=False)
        mean = sum(vector @ direction.T for vector, direction in ahead)
        return double(mean) / total + double(engine.center)
