"""States that try to break a certificate: how one is made, played and judged.

A state is a training set, a way to ask for its denoiser to a tolerance, and the places
asked for.  All of it follows from a few numbers, so that a search can change them one
by one.  Playing it compares each answer with an oracle that shares no code with the
library (``oracles.deviations``): a ratio above 1 is a certificate that was false.
"""

from dataclasses import dataclass

import numpy as np
import torch
from oracles import deviations

import empirical_score as es


def twins(z, rng):
    """Pairs of points between a millionth of a millionth of the spread and all of it."""
    half = len(z) // 2
    apart = 10 ** rng.uniform(-12, 0, (half, 1))
    z[half : 2 * half] = z[:half] + apart * z[half : 2 * half]
    return z


def smooth(z, rng):
    """Clusters with few axes of large variance, in turned coordinates: like images."""
    scales = 3 / np.arange(1, z.shape[1] + 1)
    centers = scales * rng.standard_normal((8, z.shape[1]))
    turn = np.linalg.qr(rng.standard_normal((z.shape[1], z.shape[1])))[0]
    return (centers[rng.integers(8, size=len(z))] + 0.3 * scales * z) @ turn


def steep(z, rng):
    """Variances that fall by a factor of ten a coordinate, to nothing."""
    return z * 10.0 ** -np.minimum(np.arange(z.shape[1]) / 2, 15)


def clusters(z, rng):
    """Five tight groups."""
    places = rng.standard_normal((5, z.shape[1]))
    return places[rng.integers(5, size=len(z))] + 10 ** rng.uniform(-4, -0.5) * z


def far(z, rng):
    """A few points far away from all others, near to each other."""
    count = max(1, len(z) // 20)
    z[:count] = 10 ** rng.uniform(1, 4) * z[:1] + z[:count]
    return z


def alike(z, rng):
    """Points on a diagonal, where all coordinates round alike; most of them equal."""
    values = 0.7 + z[:, :1] * (rng.random((len(z), 1)) < 0.3)
    return values + np.zeros_like(z)


CLOUDS = {
    "normal": lambda z, rng: z,
    "lattice": lambda z, rng: np.round(2 * z) / 2,
    **{made.__name__: made for made in (twins, smooth, steep, clusters, far, alike)},
}
PLAYS = "calls", "path", "mixed"
KINDS = "float32", "float64"
LIBRARIES = {"numpy": np.asarray, "torch": torch.as_tensor}


@dataclass(frozen=True)
class State:
    """All that a play depends on; lengths are relative to the spread of the data."""

    cloud: str = "normal"
    n: int = 40
    d: int = 12
    offset: float = 0.0  # of the mean from the origin
    kind: str = "float64"
    library: str = "numpy"
    play: str = "calls"
    tolerance: float = -3.0  # logarithms to base 10, here and below
    high: float = 1.0  # first noise level
    low: float = -2.0  # last noise level
    steps: int = 6
    rows: int = 4
    memory: float = 7.0
    seed: int = 0

    def group(self):
        """What the record of a search tells apart."""
        play = "boxes" if self.d <= 8 else self.play
        return play, self.kind, "far" if self.offset > 1 else "near"


def play(state):
    """Yield ``(ratio, error, certificate, level)`` of the worst row of each answer."""
    rng = np.random.default_rng(state.seed)
    data = CLOUDS[state.cloud](rng.standard_normal((state.n, state.d)), rng)
    spread = float(np.std(data, axis=0).mean()) or 1.0
    mean = rng.standard_normal(state.d) * state.offset * spread
    data = (data + mean).astype(state.kind)
    game = _Game(state, data, spread, rng)
    asked = game.calls if state.play == "calls" or state.d <= 8 else game.path
    yield from asked()


class _Game:
    def __init__(self, state, data, spread, rng):
        self.state, self.data, self.spread, self.rng = state, data, spread, rng
        self.array = LIBRARIES[state.library]
        self.law = es.EmpiricalScore(
            self.array(data),
            tolerance=spread * 10**state.tolerance,
            memory=int(10**state.memory),
        )
        levels = np.logspace(state.high, state.low, state.steps)
        self.levels = (spread * levels).astype(state.kind)

    def calls(self):
        """Ask at unrelated places, at one level or at many."""
        for level in self.levels:
            x = self._places(float(level), self.state.rows)
            if self.rng.random() < 0.3:
                level = level * 10 ** self.rng.uniform(0, 1, len(x))
                level = level.astype(self.state.kind)
            answer = self.law.certified(self.array(x), self.array(np.asarray(level)))
            yield self._judged(*answer, x, level)

    def path(self):
        """Follow the flow; now and then a row strays, or a single call comes between."""
        m, top = self.state.rows, float(self.levels[0])
        noise = self.rng.standard_normal((m, self.state.d))
        x = (self.data.mean(0) + top * noise).astype(self.state.kind)
        path = self.law.starting_from(self.array(x))
        follows = hasattr(path, "certificates")
        for level, below in zip(self.levels[:-1], self.levels[1:], strict=True):
            for sigma in (level, below):
                if self.rng.random() < 0.1:
                    x = x.copy()
                    x[self.rng.integers(m)] = self._places(float(sigma), 1)[0]
                asked = self.array(x), float(sigma)
                if follows:
                    found = path.denoise(*asked)
                    certificate = path.certificates[-1]
                else:
                    found, certificate = path.certified(*asked)
                yield self._judged(found, certificate, x, sigma)
                if self.state.play == "mixed":
                    yield self._judged(*self.law.certified(*asked), x, sigma)
                found, ratio = np.asarray(found, float), float(below) / float(level)
                x = (found + ratio * (x - found)).astype(self.state.kind)

    def _judged(self, found, certificate, x, level):
        told = np.asarray(certificate.error, float)
        level = np.broadcast_to(np.asarray(level, float), told.shape)
        error = deviations(np.asarray(found), self.data, x, level)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(error > 0, error / told, np.where(told >= 0, 0, np.nan))
        worst = int(np.argmax(np.where(np.isnan(ratio), np.inf, ratio)))
        return tuple(float(v[worst]) for v in (ratio, error, told, level))

    def _places(self, level, count):
        """Rows on and near points, between neighbors and strangers, and far away."""
        rng, data = self.rng, self.data.astype(float)
        places = np.empty((count, data.shape[1]))
        for place in places:
            one, other = data[rng.integers(len(data), size=2)]
            gaps = np.sum((data - one) ** 2, axis=1)
            near = data[np.argmin(np.where(gaps > 0, gaps, np.inf))]
            noise = rng.standard_normal(len(one))
            place[:] = (
                one + level * noise,
                (one + near) / 2,
                (one + near) / 2 + level * rng.uniform(0, 1) * noise,
                (one + other) / 2,
                one,
                data.mean(0) + self.spread * 10 ** rng.uniform(0, 4) * noise,
            )[rng.integers(6)]
        return places.astype(self.data.dtype)
