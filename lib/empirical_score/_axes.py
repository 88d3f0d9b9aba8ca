"""Points seen along a few principal axes first: cheap bounds of all log weights.

With an orthonormal ``Q`` ``(d, k)`` every point, counted from the center of the data,
splits into its coordinates ``h_j = Q^T y_j`` and a rest of length ``t_j``.  For ``u``
with coordinates ``h`` and a rest of length ``t`` the Cauchy-Schwarz inequality gives

    | <u, y_j> - <h, h_j> | <= t t_j,

one matrix product in k columns in place of d; and the rests of a weighted sum of
points add up to at most ``|w| s``, ``s`` being the largest singular value of all rests
together.  The axes are those along which the data vary most: the rests are short.
"""

import math

import numpy as np

from ._arrays import double, like

# The first panels hold these shares of the axes together.
SHARES, SHALLOW = (1 / 96, 1 / 24, 1 / 8, 1 / 3, 1 / 2), 0.13


class Axes:
    """The points' coordinates along principal axes, in float32, panel by panel.

    Attributes
    ----------
    depths : how many axes the first panels hold together, from no panel on
    shallow : how many of the first panels are a small part of all coordinates
    directions : ``(d, k)``, orthonormal columns; coordinates : ``(n, k)``
    rests : one ``(n,)`` array a panel, bounds on the lengths left over after it
    norms : bounds on the largest singular value of the rests, from no panel on
    longest : the largest rest after each of the first panels
    even : ``(d,)``, the mean of the points, from the center: that is rounded
    table : ``(n, ...)``, whose averages bound errors: the squared length of a point,
        rest and squared rest after each of the first panels, coordinates in the first
    """

    def __init__(self, engine):
        n, d = engine.points.shape
        depths = {min(d, max(8, round(share * d))) for share in SHARES}
        self.depths = [0, *sorted(depths)]
        self.shallow = max(1, sum(depth <= SHALLOW * d for depth in depths))
        self.even, covariance = _moments(engine)
        variances, axes = np.linalg.eigh(covariance)
        variances, axes = np.append(variances[::-1], 0.0), axes[:, ::-1]
        single = engine.xp.astype(engine.points[:1], engine.xp.float32)
        axes = np.ascontiguousarray(axes[:, : self.depths[-1]])
        self.directions = like(axes, single)
        # Rounding of the axes to float32 tilts them by 1e-7.
        self.norms = [
            math.sqrt(n * max(variances[depth], 0.0) + n * 1e-12 * variances[0]) * 1.001
            for depth in self.depths
        ]
        self._project(engine)

    @property
    def panels(self):
        """How many panels there are."""
        return len(self.depths) - 1

    def panel(self, first, last=None):
        """Return the slice of the axes in one panel, or in those up to another."""
        last = first + 1 if last is None else last
        return slice(self.depths[first], self.depths[last])

    def _project(self, engine):
        xp, parts = engine.xp, []
        rests = [[] for _ in range(self.panels)]
        for columns, block in engine.blocks():
            # Products of float32 may round the long coordinates alike for many axes.
            inside = _gaps(engine, block) @ double(self.directions)
            inside = xp.astype(inside, xp.float32)
            squares = 2 * xp.astype(engine.half_squares[columns], xp.float64)
            left = squares
            for panel, rest in enumerate(rests):
                some = xp.astype(inside[:, self.panel(panel)], xp.float64)
                left = left - xp.sum(some**2, axis=1)
                # Rounding of the product and of the axes, relative to |y|^2.
                upper = xp.clip(left, 0.0, None) + 1e-6 * squares
                rest.append(xp.astype(upper**0.5, xp.float32))
            parts.append(inside)
        self.coordinates = xp.concat(parts)
        self.rests = [xp.concat(rest) for rest in rests]
        shallow = self.rests[: self.shallow]
        columns = [2 * xp.astype(engine.half_squares, xp.float32)]
        columns += [power for rest in shallow for power in (rest, rest**2)]
        first = self.coordinates[:, self.panel(0)]
        self.table = xp.concat(
            [*(column[:, None] for column in columns), first], axis=1
        )
        self.longest = [float(xp.max(rest)) for rest in shallow]


def _moments(engine):
    """Return the mean of the points and that of their squares, from the center.

    In float64, the second as a NumPy array ``(d, d)``: small variances would drown in
    what float32 rounds of large ones.
    """
    first, second, n = 0.0, 0.0, engine.points.shape[0]
    for _, block in engine.blocks():
        gaps = _gaps(engine, block)
        first = first + engine.xp.sum(gaps, axis=0)
        second = second + gaps.T @ gaps
    return first / n, like(second / n, np.empty(0))


def _gaps(engine, block):
    return double(block) - double(engine.center)
