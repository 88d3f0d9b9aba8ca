"""States that try to break a certificate, and a search for them.

    python tests/lib/adversary.py --minutes 5 --seed 1

A state is a training set, a way to ask for its denoiser to a tolerance, and the places
asked for.  All of it follows from a few numbers, so that a search can change them one
by one; places and noise levels are then moved uphill, row by row.  Each answer is
compared with an oracle that shares no code with the library (``oracles.deviations``): a
ratio of error to certificate above 1 is a certificate that was false.
"""

import argparse
import time
from dataclasses import dataclass, field, fields, replace

import numpy as np
import torch
from oracles import deviations

import empirical_score as es


def twins(z, rng):
    """Pairs of points, between all of the spread and 1e-12 of it apart."""
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


def outlier(z, rng):
    """One point far away."""
    z[0] *= 10 ** rng.uniform(1, 5)
    return z


def alike(z, rng):
    """Points on a diagonal, where all coordinates round alike; most of them equal."""
    values = 0.7 + z[:, :1] * (rng.random((len(z), 1)) < 0.3)
    return values + np.zeros_like(z)


def line(z, rng):
    """Points on one line, in no coordinate's direction."""
    return z[:, :1] * rng.standard_normal(z.shape[1])


def copies(z, rng):
    """Few different points, each many times."""
    return z[rng.integers(max(1, len(z) // 8), size=len(z))]


def halves(z, rng):
    """Two points, each many times: what is left out is as far away as can be."""
    first = np.arange(len(z)) < len(z) * rng.random()
    return z[np.where(first, 0, len(z) - 1)]


def normal(z, rng):
    """Nothing special."""
    return z


def lattice(z, rng):
    """Points on a lattice of halves: many ties."""
    return np.round(2 * z) / 2


CLOUDS = {
    made.__name__: made
    for made in (
        *(normal, lattice, twins, smooth, steep, clusters),
        *(far, outlier, alike, line, copies, halves),
    )
}
PLAYS = "calls", "path", "mixed"
KINDS = "float32", "float64"
LIBRARIES = {"numpy": np.asarray, "torch": torch.as_tensor}
DIMENSIONS = 1, 2, 3, 8, 9, 40, 200
# What sums of some thousand numbers may round, relative to the largest of these.
PRECISION = {"float32": 2e-5, "float64": 1e-11}
LOW = 8  # dimensions that a record counts as few


@dataclass(frozen=True)
class State:
    """All that a play depends on; lengths are relative to the spread of the data."""

    cloud: str = "normal"
    n: int = 40
    d: int = 9
    offset: float = 0.0  # of the mean from the origin
    kind: str = "float64"
    arrays: str = "numpy"
    play: str = "calls"
    tolerance: float = -3.0  # logarithms to base 10, here and below
    high: float = 1.0  # first noise level
    low: float = -2.0  # last noise level
    steps: int = 3
    rows: int = 4
    memory: float = 3.0  # bytes for each number of the data
    seed: int = 0

    def group(self):
        """What the record of a search tells apart."""
        few = f"d <= {LOW}" if self.d <= LOW else f"d > {LOW}"
        return self.play, few, self.kind, "far" if self.offset > 1 else "near"


# States at which an earlier search came close, or found a certificate that was false.
KNOWN = [
    State(
        cloud="outlier",
        n=2,
        d=40,
        offset=16.195168391830762,
        kind="float32",
        arrays="torch",
        play="calls",
        tolerance=-4.444244893622724,
        high=-0.13611647992981024,
        low=-0.8701836770067346,
        steps=4,
        rows=6,
        memory=0.30174120680200667,
        seed=3057729670,
    ),
    State(
        cloud="halves",
        n=2,
        d=9,
        offset=1.0,
        kind="float32",
        arrays="torch",
        play="calls",
        tolerance=-2.3046258811204443,
        high=-1.2084288545059712,
        low=-2.2719154901380776,
        steps=3,
        rows=5,
        memory=2.012713643230372,
        seed=4045127243,
    ),
    State(
        cloud="clusters",
        n=2,
        d=8,
        offset=61.15618539746738,
        kind="float32",
        arrays="torch",
        play="calls",
        tolerance=-1.5668036086008197,
        high=-1.934146576676983,
        low=-3.899036291918722,
        steps=4,
        rows=3,
        memory=6.0,
        seed=1557771139,
    ),
    State(
        cloud="line",
        n=10,
        d=9,
        offset=0.0,
        kind="float32",
        arrays="torch",
        play="path",
        tolerance=-0.8146610631311431,
        high=0.628773406715395,
        low=-1.8715442669178621,
        steps=31,
        rows=5,
        memory=0.3841437383570102,
        seed=50655984,
    ),
    State(
        cloud="far",
        n=9,
        d=40,
        offset=56.28474199239121,
        kind="float64",
        arrays="torch",
        play="path",
        tolerance=-1.853820363452197,
        high=3.986274526336002,
        low=1.9689789005410212,
        steps=4,
        rows=4,
        memory=2.757390298239672,
        seed=3476027162,
    ),
    State(
        cloud="clusters",
        n=77,
        d=40,
        offset=40.04111557947381,
        kind="float32",
        arrays="torch",
        play="path",
        tolerance=-1.4584597183473837,
        high=2.6155543526591134,
        low=1.5492816392058906,
        steps=2,
        rows=2,
        memory=2.995119436274826,
        seed=3819030641,
    ),
    State(
        cloud="far",
        n=3,
        d=200,
        offset=418.7481852652597,
        kind="float64",
        arrays="torch",
        play="path",
        tolerance=-1.2717682250281444,
        high=2.0839815594912983,
        low=0.9751050556676191,
        steps=31,
        rows=1,
        memory=2.3272616714078067,
        seed=3596769733,
    ),
    State(
        cloud="smooth",
        n=10,
        d=9,
        offset=1.0,
        kind="float64",
        arrays="torch",
        play="mixed",
        tolerance=-0.6461942912892038,
        high=2.0028575937734097,
        low=1.7372400400856494,
        steps=21,
        rows=6,
        memory=1.4050485019495578,
        seed=1407115075,
    ),
    State(
        cloud="outlier",
        n=9077,
        d=1,
        offset=0.0,
        kind="float64",
        arrays="torch",
        play="calls",
        tolerance=-2.477683567212003,
        high=0.5852965071300891,
        low=-1.4636985583273763,
        steps=4,
        rows=5,
        memory=2.305550996688763,
        seed=3815974365,
    ),
    State(
        cloud="normal",
        n=5670,
        d=2,
        offset=0.0,
        kind="float64",
        arrays="numpy",
        play="calls",
        tolerance=-0.5028835972722501,
        high=0.41668733003519165,
        low=-0.9290702517984597,
        steps=10,
        rows=1,
        memory=2.2605393260244195,
        seed=118365490,
    ),
    State(
        cloud="copies",
        n=8913,
        d=1,
        offset=145.6489462679002,
        kind="float64",
        arrays="torch",
        play="calls",
        tolerance=-0.865931162050559,
        high=-2.834169886350558,
        low=-3.762442740014783,
        steps=12,
        rows=4,
        memory=1.5326666533995992,
        seed=2188268148,
    ),
    State(
        cloud="halves",
        n=157,
        d=200,
        offset=0.0,
        kind="float64",
        arrays="torch",
        play="calls",
        tolerance=-3.320910833975344,
        high=0.5852965071300891,
        low=-1.4636985583273763,
        steps=4,
        rows=5,
        memory=2.305550996688763,
        seed=3815974365,
    ),
    State(
        cloud="alike",
        n=4090,
        d=9,
        offset=0.0,
        kind="float32",
        arrays="torch",
        play="calls",
        tolerance=-3.383413595926995,
        high=2.305132753491255,
        low=1.3051327534912551,
        steps=2,
        rows=5,
        memory=1.1414194923984073,
        seed=1669441892,
    ),
]


def drawn(rng, largest=3.7):
    """Return a state drawn at random, of up to ``10**largest`` points.

    In up to three dimensions there may be ten times more: boxes of them pay late.
    """
    low, way = rng.uniform(-4, 2), str(rng.choice(PLAYS))
    d = int(rng.choice(DIMENSIONS))
    return State(
        cloud=str(rng.choice(list(CLOUDS))),
        n=int(10 ** rng.uniform(0, largest + (d <= 3))),
        d=d,
        offset=float(rng.choice([0.0, 1.0, 10 ** rng.uniform(1, 4)])),
        kind=str(rng.choice(KINDS)),
        arrays=str(rng.choice(list(LIBRARIES))),
        play=way,
        tolerance=rng.uniform(-6, -0.5),
        high=low + rng.uniform(0.2, 3),
        low=low,
        steps=int(10 ** rng.uniform(0.31, 0.7 if way == "calls" else 1.6)),
        rows=int(rng.integers(1, 7)),
        memory=rng.uniform(0, 3),
        seed=int(rng.integers(2**32)),
    )


def changed(state, rng, largest=3.7):
    """Return a neighbor of a state: one or two of its numbers are others."""
    other = drawn(rng, largest)
    names = rng.choice([f.name for f in fields(State)], rng.integers(1, 3), False)
    keep = ("play", "kind")  # a search stays in its group
    new = {name: getattr(other, name) for name in map(str, names) if name not in keep}
    for name in ("tolerance", "high", "low", "memory"):
        if name in new:
            new[name] = getattr(state, name) + rng.normal(0, 0.3)
    state = replace(state, **new)
    return replace(state, high=max(state.high, state.low + 0.05))


@dataclass
class Answers:
    """What came out, row by row.

    ``ratio`` is that of error to certificate.  ``bite`` is the same where the error is
    more than rounding of what is returned, and 0 elsewhere: that rounding is known, so
    that its part of a certificate is no bound.  ``told`` is the certificate over the
    tolerance, or over what the precision of the data allows where that is more.
    """

    ratio: np.ndarray
    bite: np.ndarray
    told: np.ndarray


def play(state, climbs=3):
    """Yield :class:`Answers`; single calls are moved uphill ``climbs`` times."""
    rng = np.random.default_rng(state.seed)
    data = CLOUDS[state.cloud](rng.standard_normal((state.n, state.d)), rng)
    spread = max(np.std(data, axis=0).mean(), 1e-6 * np.abs(data).max()) or 1.0
    mean = rng.standard_normal(state.d) * state.offset * spread
    data = (data + mean).astype(state.kind)
    game = Game(state, data, spread, rng)
    yield from game.calls(climbs) if state.play == "calls" else game.path()


class Game:
    """One law, asked for denoisers again and again."""

    def __init__(self, state, data, spread, rng):
        self.state, self.data, self.spread, self.rng = state, data, spread, rng
        self.array = LIBRARIES[state.arrays]
        self.tolerance = spread * 10**state.tolerance
        self.reach = float(np.abs(data.astype(float)).max())
        self.law = es.EmpiricalScore(
            self.array(data),
            tolerance=self.tolerance,
            memory=int(1000 + 10**state.memory * data.size),
        )
        levels = np.logspace(state.high, state.low, state.steps)
        self.levels = (spread * levels).astype(state.kind)

    def calls(self, climbs):
        """Ask at unrelated places, at one level or at many; then move uphill."""
        for level in self.levels:
            sigma = np.full(self.state.rows, level)
            if self.rng.random() < 0.3:
                sigma = sigma * 10 ** self.rng.uniform(0, 1, len(sigma))
            sigma = sigma.astype(self.state.kind)
            x = self._places(sigma)
            best = self._asked(x, sigma)
            yield best
            for _ in range(climbs):
                there, levels = self._moved(x, sigma)
                found = self._asked(there, levels)
                yield found
                better = found.bite > best.bite
                x[better], sigma[better] = there[better], levels[better]
                best = replace(best, bite=np.maximum(best.bite, found.bite))

    def path(self):
        """Follow the flow; now and then a row strays or a single call comes between."""
        m, top = self.state.rows, float(self.levels[0])
        noise = self.rng.standard_normal((m, self.state.d))
        x = (self.data.mean(0) + top * noise).astype(self.state.kind)
        path = self.law.starting_from(self.array(x))
        stray = self.rng.choice([0.0, 0.1])
        for level, below in zip(self.levels[:-1], self.levels[1:], strict=True):
            for sigma in (level, below):
                if self.rng.random() < stray:
                    x = x.copy()
                    x[self.rng.integers(m)] = self._places(np.array([sigma]))[0]
                found, certificate = self._on(path, x, float(sigma))
                yield self._judged(found, certificate, x, sigma)
                if self.state.play == "mixed":
                    yield self._asked(x, np.full(m, sigma))
                found, ratio = np.asarray(found, float), float(below) / float(level)
                x = (found + ratio * (x - found)).astype(self.state.kind)

    def _on(self, path, x, sigma):
        """Return what a path answers: where none pays, it is the law itself."""
        if hasattr(path, "certificates"):
            return path.denoise(self.array(x), sigma), path.certificates[-1]
        return path.certified(self.array(x), sigma)

    def _asked(self, x, sigma):
        """Ask the law: with one number for equal levels, as most callers do."""
        level = float(sigma[0]) if np.all(sigma == sigma[0]) else self.array(sigma)
        return self._judged(*self.law.certified(self.array(x), level), x, sigma)

    def _judged(self, found, certificate, x, sigma):
        told = np.asarray(certificate.error, float)
        allowed = max(self.tolerance, PRECISION[self.state.kind] * self.reach)
        level = np.broadcast_to(np.asarray(sigma, float), told.shape)
        found = np.asarray(found)
        error = deviations(found, self.data, x, level)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(error == 0, 0.0, error / told)
        ratio[~(told >= 0) | ~np.isfinite(error)] = np.inf
        last = np.mean(np.spacing(np.abs(found)).astype(float) ** 2, axis=1) ** 0.5
        bite = np.where(error > 2 * last, ratio, 0.0)
        return Answers(ratio, bite, told / allowed)

    def _places(self, sigma):
        """Rows on and near points, between neighbors and strangers, and far away."""
        rng, data = self.rng, self.data.astype(float)
        places = np.empty((len(sigma), data.shape[1]))
        for place, level in zip(places, sigma, strict=True):
            one, other = data[rng.integers(len(data), size=2)]
            near, noise = self._neighbor(one), rng.standard_normal(len(one))
            place[:] = (
                one + level * noise,
                (one + near) / 2,
                (one + near) / 2 + level * rng.uniform(0, 1) * noise,
                (one + other) / 2,
                one,
                data.mean(0) + self.spread * 10 ** rng.uniform(0, 4) * noise,
            )[rng.integers(6)]
        return places.astype(self.data.dtype)

    def _neighbor(self, one):
        """Return the nearest other point."""
        data = self.data.astype(float)
        gaps = np.sum((data - one) ** 2, axis=1)
        return data[np.argmin(np.where(gaps > 0, gaps, np.inf))]

    def _moved(self, x, sigma):
        """Places and levels near by; where all levels are equal, they stay so."""
        rng, (m, d), kind = self.rng, x.shape, self.data.dtype
        y = self.data[rng.integers(len(self.data), size=m)].astype(float)
        noise = rng.standard_normal((m, d))
        step = 10 ** rng.uniform(-5, 0, (m, 1))
        ways = (
            x + step * sigma[:, None] * noise,
            x + step * self.spread * noise,
            x + step * (y - x),
            x[rng.integers(m, size=m)] + step * sigma[:, None] * noise,
        )
        there = np.choose(rng.integers(len(ways), size=(m, 1)), ways)
        change = 10 ** rng.normal(0, 0.2, m)
        if np.all(sigma == sigma[0]):
            change[:] = change[0]
        return there.astype(kind), (sigma * change).astype(kind)


@dataclass
class Record:
    """What a search has seen of one group."""

    states: int = 0
    worst: float = 0.0
    bite: float = 0.0
    told: float = 0.0
    at: State | None = None
    best: list = field(default_factory=list)  # the states to change, worst ratio first

    def add(self, state, answers):
        """Take in the answers of one play."""
        worst = max(float(a.ratio.max()) for a in answers)
        self.states += sum(len(a.ratio) for a in answers)
        bite = max(float(a.bite.max()) for a in answers)
        if worst > max(1.0, self.worst) or (bite > self.bite and self.worst <= 1):
            self.at = state
        self.worst, self.bite = max(self.worst, worst), max(self.bite, bite)
        self.told = max(self.told, max(float(a.told.max()) for a in answers))
        self.best = sorted([*self.best, (bite, state)], key=lambda b: -b[0])[:4]


class Search:
    """Random states, and neighbors of those that came closest, group by group."""

    def __init__(self, seed, largest=3.7, climbs=3):
        self.rng = np.random.default_rng(seed)
        self.largest, self.climbs, self.records = largest, climbs, {}

    def step(self, **given):
        """Play one more state: new, or near to one of the best of its group.

        ``given`` are numbers of the state that are not up to chance.
        """
        state = replace(drawn(self.rng, self.largest), **given)
        record = self.records.setdefault(state.group(), Record())
        if record.best and self.rng.random() < 0.6:
            _, state = record.best[self.rng.integers(len(record.best))]
            state = changed(replace(state, **given), self.rng, self.largest)
            record = self.records.setdefault(state.group(), Record())
        record.add(state, list(play(state, self.climbs)))
        return state

    def known(self):
        """Play the states at which earlier searches came closest."""
        for state in KNOWN:
            record = self.records.setdefault(state.group(), Record())
            record.add(state, list(play(state, 6)))

    @property
    def states(self):
        """How many rows were asked for."""
        return sum(record.states for record in self.records.values())

    @property
    def worst(self):
        """The worst ratio of all groups."""
        return max(record.worst for record in self.records.values())

    @property
    def bite(self):
        """The worst of those that are more than rounding of what is returned."""
        return max(record.bite for record in self.records.values())

    @property
    def told(self):
        """The largest certificate, over what the tolerance and precision allow."""
        return max(record.told for record in self.records.values())

    def table(self):
        """Return the record as lines of text."""
        lines = ["play   dims    kind     mean       rows   worst    bite  told  at"]
        for group in sorted(self.records):
            record, (way, few, kind, mean) = self.records[group], group
            numbers = f"{record.states:9d}  {record.worst:.4f}  {record.bite:.4f}"
            numbers += f"  {record.told:.3g}"
            lines.append(f"{way:6} {few:7} {kind:8} {mean:4}  {numbers}  {record.at}")
        lines.append(
            f"all {self.states} rows, worst {self.worst:.4f}, bite {self.bite:.4f}"
        )
        return "\n".join(lines)


def main():
    """Search for a while; end in an error if a certificate was false."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0, help="of a processor")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    search, limit = Search(options.seed), time.process_time() + 60 * options.minutes
    search.known()
    while time.process_time() < limit:
        state = search.step()
        record = search.records[state.group()]
        if record.worst > 1 and record.at == state:
            print(f"FALSE {record.worst:.4f} {state}", flush=True)
    print(search.table())
    raise SystemExit(search.worst > 1)


if __name__ == "__main__":
    main()
