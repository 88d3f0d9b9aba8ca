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

from ._arrays import is_torch_array, like

# The first panels hold these shares of the axes together.
SHARES = (1 / 96, 1 / 24, 1 / 8, 1 / 3, 1 / 2)


class Axes:
    """The points' coordinates along principal axes, in float32, panel by panel.

    Attributes
    ----------
    depths : how many axes the first panels hold together
    directions : one ``(d, w)`` array a panel, orthonormal columns
    coordinates : one ``(n, w)`` array a panel
    rests : one ``(n,)`` array a panel, bounds on the lengths left over after it
    norms : one number a panel, bound on the largest singular value of the rests
    moments : one ``(n, 4)`` array a panel: 1, squared length, rest, squared rest
    along : the panel up to which averages sufficed the last time, or None
    ratio : how the last error compared with its guess
    """

    def __init__(self, engine):
        n, d = engine.points.shape
        depths = {min(d, max(8, round(share * d))) for share in SHARES}
        self.depths = sorted(depths)
        variances, axes = np.linalg.eigh(_covariance(engine))
        variances, axes = np.append(variances[::-1], 0.0), axes[:, ::-1]
        self.along, self.ratio = None, 1.0
        starts = [0, *self.depths[:-1]]
        single = engine.xp.astype(engine.points[:1], engine.xp.float32)
        self.directions = [
            like(np.ascontiguousarray(axes[:, a:b]), single)
            for a, b in zip(starts, self.depths, strict=True)
        ]
        # Rounding of the axes to float32 tilts them by 1e-7.
        self.norms = [
            math.sqrt(n * max(variances[depth], 0.0) + n * 1e-12 * variances[0]) * 1.001
            for depth in self.depths
        ]
        self._project(engine)

    def _project(self, engine):
        xp, parts = engine.xp, [[] for _ in self.depths]
        rests = [[] for _ in self.depths]
        for columns, block in engine.blocks():
            block = xp.astype(block - engine.center, xp.float32, copy=False)
            squares = 2 * xp.astype(engine.half_squares[columns], xp.float64)
            left = squares
            for panel, directions in enumerate(self.directions):
                inside = block @ directions
                left = left - xp.sum(xp.astype(inside, xp.float64) ** 2, axis=1)
                # Rounding of the product and of the axes, relative to |y|^2.
                upper = xp.clip(left, 0.0, None) + 1e-6 * squares
                parts[panel].append(inside)
                rests[panel].append(xp.astype(upper**0.5, xp.float32))
        self.coordinates = [xp.concat(part) for part in parts]
        self.rests = [xp.concat(rest) for rest in rests]
        squares = 2 * xp.astype(engine.half_squares, xp.float32)
        self.moments = [
            xp.stack([0 * rest + 1, squares, rest, rest**2], axis=1)
            for rest in self.rests
        ]


def _covariance(engine):
    """Return the covariance matrix of the points, ``(d, d)``, NumPy float64."""
    total = 0.0
    for _, block in engine.blocks():
        gaps = block - engine.center
        total = total + _numpy(gaps.T @ gaps)
    return total / engine.points.shape[0]


def _numpy(array):
    if is_torch_array(array):
        array = array.detach().cpu().numpy()
    return np.asarray(array, np.float64)
