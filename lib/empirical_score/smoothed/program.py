"""The convex program behind :class:`SmoothestScore`: nonnegative least squares."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq, nnls

from ..exact.score import EmpiricalScore

__all__ = ["Program", "Solution", "lasso"]

_SMALL = 1e-4


class Solution(NamedTuple):
    """A piecewise-linear denoiser, what it costs, and a proof that it is the best.

    ``D(x) = intercept + slope x + sum_i sizes_i max(x - places_i, 0)``; ``places`` and
    ``sizes`` are ``(k,)``.  ``lower`` bounds from below the variation of every denoiser
    of this ``loss`` with kinks on the grid of candidates, by weak duality.

    Attributes
    ----------
    places, sizes : arrays ``(k,)``
        Where the slope changes, and by how much.
    intercept, slope : float
        Of the line left of the kinks.
    loss, variation : float
        ``L(D)`` and ``V(D)``.
    penalty : float
        The price of a unit of variation of which this is the minimizer.
    lower : float
        The lower bound on the variation.
    """

    places: np.ndarray
    sizes: np.ndarray
    intercept: float
    slope: float
    loss: float
    variation: float
    penalty: float
    lower: float

    def denoise(self, x: np.ndarray) -> np.ndarray:
        """Return ``D(x)``, the shape of ``x``."""
        x = np.asarray(x, dtype=float)
        kinks = np.maximum(x[..., None] - self.places, 0.0) @ self.sizes
        return self.intercept + self.slope * x + kinks


class Program:
    """The convex program at one noise level, on panels between candidate kinks.

    Two Gauss nodes a panel integrate what is polynomial times Gaussian there, since
    kinks sit on panel ends only.  Intercept and slope, which are free of charge, are
    projected out.
    """

    reach = 8.0

    def __init__(self, points, sigma, step):
        score, self.sigma = EmpiricalScore(points[:, None]), sigma
        left, right = points - self.reach * sigma, points + self.reach * sigma
        first = np.append(True, left[1:] > right[:-1])  # panels go on where these meet
        ends = zip(left[first], right[np.append(first[1:], True)], strict=True)
        grids = [
            np.linspace(a, b, int(np.ceil((b - a) / (step * sigma))) + 1)
            for a, b in ends
        ]
        half = np.concatenate([np.diff(grid) / 2 for grid in grids])
        middle = np.concatenate([grid[:-1] for grid in grids]) + half
        self.kinks = np.concatenate(grids)
        self.x = (middle[:, None] + half[:, None] * np.array([-1, 1]) / 3**0.5).ravel()
        density = np.exp(score.log_density(self.x[:, None], sigma))
        mass = density * np.repeat(half, 2)
        self.root = np.sqrt(mass / np.sum(mass)) / sigma
        self.exact = score.denoise(self.x[:, None], sigma)[:, 0]
        plane = np.stack([self.root, self.root * self.x], axis=1)
        self.basis, self.triangle = np.linalg.qr(plane)
        self.aim = self._project(self.root * self.exact)
        every = max(1, round(1 / step))
        self.active = set(range(every // 2, self.kinks.size, every))

    def at_penalty(self, penalty):
        """Minimize ``|aim - A c|^2 + penalty |c|_1`` over the sizes c of the kinks."""
        while True:
            index = np.array(sorted(self.active))
            columns = self._columns(self.kinks[index])
            sizes = lasso(columns, self.aim, penalty)
            residual = self.aim - columns @ sizes
            price = penalty + 2 * _SMALL**2 * np.abs(sizes).sum()
            slack = np.abs(self._certificate(residual)) * 2 / price
            inner = slack[1:-1]
            peaks = (inner >= slack[:-2]) & (inner >= slack[2:]) & (inner > 1 + 1e-9)
            new = set((np.flatnonzero(peaks) + 1).tolist()) - self.active
            if not new:
                return self._solution(index, sizes, residual, price, slack.max())
            self.active |= new

    def at_loss(self, loss):
        """Minimize the variation under a bound on the loss."""
        total = float(self.aim @ self.aim)
        if loss >= total:
            raise ValueError(
                f"loss must be below {total:.6g}, what a straight line reaches at "
                f"sigma={self.sigma:.6g}, got {loss}"
            )
        guess = np.log(loss) / 2  # L = penalty^2 as sigma -> 0

        def excess(log_penalty):
            return np.log(self.at_penalty(np.exp(log_penalty)).loss / loss)

        low, high = guess - 0.4, guess + 0.4
        while excess(low) > 0:
            low -= 1.0
            if low < guess - 20:
                raise ValueError(
                    f"loss is too small for kinks on this grid, got {loss}; a smaller "
                    "step allows less"
                )
        while excess(high) < 0:
            high += 1.0
        return self.at_penalty(np.exp(brentq(excess, low, high, xtol=1e-9)))

    def _solution(self, index, sizes, residual, penalty, slack):
        kept = np.abs(sizes) > 1e-9 * np.abs(sizes).sum()
        places, sizes = self.kinks[index][kept], sizes[kept]
        bent = np.maximum(self.x[:, None] - places, 0.0) @ sizes
        rest = self.basis.T @ (self.root * (self.exact - bent))
        intercept, slope = np.linalg.solve(self.triangle, rest)
        loss, variation = float(residual @ residual), float(np.abs(sizes).sum())
        # Weak duality with the residual r:  r.(A c) <= max |A^T r| |c|_1.
        gain = residual @ self.aim - loss
        lower = 2 * gain / (penalty * slack) if gain > 0 else 0.0
        return Solution(
            places, sizes, *map(float, (intercept, slope)), loss, variation, penalty,
            float(lower),
        )  # fmt: skip

    def _columns(self, kinks):
        bends = np.maximum(self.x[:, None] - kinks, 0.0) * self.root[:, None]
        return self._project(bends)

    def _project(self, columns):
        return columns - self.basis @ (self.basis.T @ columns)

    def _certificate(self, residual):
        """``A^T residual`` for every candidate at once: sums over the nodes beyond."""
        weight = residual * self.root
        beyond = np.searchsorted(self.x, self.kinks)
        tail = np.append(np.cumsum(weight[::-1])[::-1], 0.0)[beyond]
        moment = np.append(np.cumsum((weight * self.x)[::-1])[::-1], 0.0)[beyond]
        return moment - self.kinks * tail


def lasso(columns, aim, penalty):
    """Minimize ``|aim - columns c|^2 + penalty |c|_1`` by nonnegative least squares.

    With ``c = u - v``, ``u, v >= 0``, and one more row ``e (sum(u) + sum(v)) = -g``
    the square of that row is ``2 e g |c|_1`` plus ``e^2 |c|_1^2``, which e makes small.
    """
    rows = np.hstack([columns, -columns])
    rows = np.vstack([rows, np.full(rows.shape[1], _SMALL)])
    solution, _ = nnls(rows, np.append(aim, -penalty / (2 * _SMALL)), maxiter=10_000)
    return np.subtract(*np.split(solution, 2))
