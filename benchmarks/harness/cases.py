"""The six cases.  Each yields *settings*: a title, what was asked, and its rows.

A case has two parts: ``memory``, in child processes and before anything is computed
here, and ``timing``.  Both take the options of the run and yield records.
"""

import shutil
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

import empirical_score as es

from . import exact, problems, timing
from .peers import PEERS

LOG = "ours-log", "scipy-kde", "sklearn-kde"
OURS = "ours", "ours-certified"
BEST = *OURS, "torch-attention", "torch"


@dataclass
class Options:
    """How a run measures: rounds, seconds for each competitor, and reduced sizes.

    ``peers`` are the competitors to measure, of those that a case has.
    """

    rounds: int | None = None
    patience: float = 8.0
    reduce: int = 1
    peers: tuple = tuple(PEERS)

    def among(self, names):
        """Return those of ``names`` that are to be measured."""
        return [name for name in names if name in self.peers]


class Dense:
    """One call each of every competitor, at one noise level a training set."""

    title = "Dense evaluation, one call"
    sets = problems.DIGITS, problems.MOONS, problems.BLOBS, problems.FASHION
    peers = tuple(PEERS)
    weighed = problems.BLOBS, problems.FASHION

    def memory(self, options):
        # The two kernel density estimates take half a minute a call at these sizes.
        names = [name for name in self.peers if name not in LOG[1:]]
        return weigh(self.weighed, names, options)

    def timing(self, options):
        for problem in self.sets:
            yield from at_levels(problem, [problem.sigma], self.peers, options)


class Plane(Dense):
    """Many points in the plane, in small clusters."""

    title = "Many points in the plane"
    peers = *OURS, "ours-certified-numpy", "torch-attention", "torch", "jax", "keops"
    large = *OURS, "ours-certified-numpy", "torch-attention"
    weighed = ()

    def timing(self, options):
        yield from at_levels(problems.PLANE, [0.01, 0.1, 1.0], self.peers, options)
        yield from at_levels(problems.LARGE_PLANE, [0.01], self.large, options)


class Sweep(Dense):
    """The cost of one call against the noise level."""

    title = "Cost against the noise level"
    peers = BEST
    weighed = ()

    def timing(self, options):
        levels = es.geometric_levels(12)
        yield from at_levels(problems.DIGITS, levels, self.peers, options)
        yield from at_levels(problems.FASHION_RUN, levels, self.peers, options)


class Runs:
    """A whole run of 40 noise levels, each competitor's time added up."""

    title = "A whole run of 40 noise levels"
    sets = problems.CIFAR_RUN, problems.FASHION_RUN
    peers = *BEST, "smalldiffusion"

    def memory(self, options):
        return ()

    def timing(self, options):
        for problem in self.sets:
            yield guarded(problem, lambda p=problem: self.run(p, options))

    def run(self, problem, options):
        data = problem.data(options.reduce)
        ready, rows = prepare(data, problem.m, options.among(self.peers))
        scale, totals, errors = exact.spread(data), {}, {}
        rounds, patience = options.rounds or 3, options.patience
        levels = es.karras_levels(40 if options.reduce == 1 else 5)
        for sigma in levels:
            x = problem.queries(data, sigma, mixed=True, reduce=options.reduce)
            truth, _ = exact.posterior(data, x, sigma)
            # Each level is a small round robin of its own: three rounds of 40 levels
            # are 120 interleaved calls of each.
            truths = {"denoise": truth}
            found = measured(ready, rows, x, sigma, truths, scale, rounds, patience)
            for name, (each, error) in found.items():
                each = np.resize(each, rounds)  # repeats those of one that dropped out
                totals[name] = np.add(totals.get(name, 0.0), each)
                errors[name] = worse(errors.get(name), error)
        for name in ready:
            if "skipped" not in rows[name]:
                rows[name] |= timing.summary(list(totals[name]))
                rows[name] |= judged(name, errors[name])
        return setting(problem, data, x, None, rows, levels=len(levels))


class Sampling:
    """Samples by the probability-flow ODE, and where they end."""

    title = "Sampling: 64 samples, 100 Heun levels"
    sets = problems.CIFAR_RUN, problems.FASHION_RUN
    peers = *OURS, "ours-numpy", "ours-certified-numpy", "torch-attention"

    def memory(self, options):
        return ()

    def timing(self, options):
        for problem in self.sets:
            yield guarded(problem, lambda p=problem: self.sample(p, options))

    def sample(self, problem, options):
        data = problem.data(options.reduce)
        ready, rows = prepare(data, problem.m, options.among(self.peers))
        levels = es.karras_levels(100 if options.reduce == 1 else 8)
        rng = np.random.default_rng(11)
        m = max(8, problem.m // options.reduce)
        start = levels[0] * rng.standard_normal((m, data.shape[1]), dtype=np.float32)
        start = np.float32(data.mean(0) + start)

        def truth(x, sigma):
            return (exact.posterior(data, x, sigma)[0] - x) / sigma**2

        end = es.sample_ode(truth, start.astype(np.float64), levels)
        goal, scale = exact.nearest(data, end), exact.spread(data)
        times = {name: [] for name in ready}
        for peer in ready.values():
            sampled(peer, start, levels[:2])  # one step, to warm up
        for _ in range(options.rounds or 1):
            for name, peer in ready.items():
                spent, found = timing.seconds(lambda p=peer: sampled(p, start, levels))
                times[name].append(spent)
                same = exact.nearest(data, found) == goal
                rows[name] |= exact.error(found, end, scale)
                rows[name]["same"] = [int(same.sum()), len(same)]
        for name in ready:
            rows[name] |= timing.summary(times[name])
        return setting(problem, data, start, None, rows, levels=len(levels))


class Mapped:
    """A training set larger than is kept in memory: a file, mapped."""

    title = "A memory-mapped training set"
    shape, m, sigma, block, limit = (1_000_000, 784), 64, 4.0, 50_000, 240
    peers = OURS

    def memory(self, options):
        n, d = self.shape[0] // options.reduce, self.shape[1]
        rng = np.random.default_rng(5)
        with tempfile.TemporaryDirectory() as folder:
            free, size = shutil.disk_usage(folder).free, 4 * n * d
            if free < 2 * size:
                yield {"skipped": f"memory-mapped: needs {2 * size / 2**30:.1f} GiB"}
                return
            path = Path(folder) / "data.npy"
            self._write(path, n, d, rng)
            data = np.load(path, mmap_mode="r")
            x = np.float32(
                data[: self.m] + self.sigma * rng.standard_normal((self.m, d))
            )
            # Everything is computed in children: this process must stay able to fork.
            truth = self._child(self._truth, path, x[:8])
            rows = {}
            for name in options.among(self.peers):
                kind = PEERS[name]
                rows[name] = {"label": kind.label.split(" (")[0]}
                if kind.missing():
                    rows[name]["skipped"] = kind.missing()
                    continue
                found = self._child(self._call, kind, path, x)
                rows[name] |= self._judged(name, found, truth)
            yield {
                "problem": "random pixels, memory-mapped",
                "size": [n, d, self.m],
                "sigma": self.sigma,
                "file": size,
                "rows": rows,
            }

    def timing(self, options):
        return ()

    def _child(self, work, *arguments):
        return timing.peak_memory(partial(work, *arguments), limit=self.limit)

    def _write(self, path, n, d, rng):
        data = np.lib.format.open_memmap(path, "w+", np.float32, (n, d))
        for start in range(0, n, self.block):
            part = data[start : start + self.block]
            part[:] = 2 * rng.random(part.shape, dtype=np.float32) - 1
        data.flush()

    def _call(self, kind, path, x):
        data = np.load(path, mmap_mode="r")
        options = {"tolerance": kind.bound}
        prepared, score = timing.seconds(lambda: es.EmpiricalScore(data, **options))
        spent, value = timing.seconds(lambda: score.denoise(x, self.sigma))
        return {"prepare": prepared, "seconds": spent, "value": value}

    def _truth(self, path, x):
        data, parts, logs = np.load(path, mmap_mode="r"), [], []
        for start in range(0, len(data), self.block):
            part = data[start : start + self.block]
            mean, log = exact.posterior(part, x, self.sigma)
            parts.append(mean)
            logs.append(log + np.log(len(part)))
        weights = np.exp(logs - np.max(logs, axis=0))
        weights /= weights.sum(0)
        return np.einsum("bm,bmd->md", weights, parts), exact.spread(part)

    def _judged(self, name, found, truth):
        if "failed" in found:
            return {"skipped": found["failed"]}
        result = found.pop("result")
        row = {"memory": found, "prepare": result["prepare"]}
        row |= timing.summary([result["seconds"]])
        if "failed" in truth:
            return row
        goal, scale = truth["result"]
        value = result["value"][: len(goal)]
        return row | judged(name, exact.error(value, goal, scale))


CASES = {
    "dense": Dense(),
    "run": Runs(),
    "sampling": Sampling(),
    "plane": Plane(),
    "sweep": Sweep(),
    "memory": Mapped(),
}


def at_levels(problem, levels, names, options):
    """Yield one setting for each noise level: the competitors of ``names``, timed."""
    try:
        data = problem.data(options.reduce)
    except problems.Missing as missing:
        yield {"skipped": str(missing)}
        return
    m = max(8, problem.m // options.reduce)
    ready, prepared = prepare(data, m, options.among(names))
    scale, rate = exact.spread(data), None
    for sigma in map(float, levels):
        rows = {name: dict(row) for name, row in prepared.items()}
        x = problem.queries(data, sigma, reduce=options.reduce)
        rate = rate or timing.product_rate(x, data)
        mean, log_density = exact.posterior(data, x, sigma)
        truths = {"denoise": mean, "log_density": log_density}
        rounds, patience = options.rounds or 5, options.patience
        found = measured(ready, rows, x, sigma, truths, scale, rounds, patience)
        for name, (times, error) in found.items():
            rows[name] |= timing.summary(times) | judged(name, error)
        yield setting(problem, data, x, sigma, rows, rate=rate)


def prepare(data, m, names):
    """Make the competitors; return those that run, and a row for every one."""
    ready, rows = {}, {}
    for name in names:
        kind = PEERS[name]
        row = rows[name] = {"label": kind.label}
        why = kind.missing() or kind.too_much(*data.shape, m)
        if why:
            row["skipped"] = why
            continue
        try:
            row["prepare"], ready[name] = timing.seconds(lambda k=kind: k(data))
        except Exception as error:  # a competitor that breaks is reported as broken
            row["skipped"] = f"failed: {type(error).__name__}"
    return ready, rows


def measured(ready, rows, x, sigma, truths, scale, rounds, patience):
    """Call all competitors in turn; return ``{name: (times, error)}``.

    A competitor that breaks has its reason put in its row instead.
    """
    calls, warm, errors = {}, {}, {}
    for name, peer in ready.items():
        try:
            call = caller(peer, x, sigma)
            warm[name], value = timing.seconds(call)
            errors[name] = exact.error(value, truths[peer.value], scale)
        except Exception as error:
            rows[name]["skipped"] = f"failed: {type(error).__name__}"
        else:
            calls[name] = call
    times = timing.interleaved(calls, warm, rounds, patience)
    return {name: (times[name], errors[name]) for name in calls}


def weigh(sets, names, options):
    """Yield each competitor's peak memory in a child process, for each problem."""
    for problem in sets:
        try:
            data = problem.data(options.reduce)
        except problems.Missing:
            continue
        x = problem.queries(data, problem.sigma, reduce=options.reduce)
        found = {}
        for name in options.among(names):
            kind = PEERS[name]
            if kind.missing() or kind.too_much(*data.shape, len(x)):
                continue
            few = partial(once, kind, data[: 4 * data.shape[1]], x[:2], problem.sigma)
            all_ = partial(once, kind, data, x, problem.sigma)
            found[name] = timing.peak_memory(all_, before=few)
            found[name].pop("result", None)
        yield {"problem": problem.name, "size": [*data.shape, len(x)], "memory": found}


def once(kind, data, x, sigma):
    """Prepare a competitor and call it once, for its memory."""
    peer = kind(data)
    peer(peer.adapt(x), sigma)


def caller(peer, x, sigma):
    """Return the call to be timed; ``x`` is in the peer's kind of array already."""
    x = peer.adapt(x)
    return lambda: peer(x, sigma)


def sampled(peer, start, levels):
    """Return the ends of the sampling run, from one competitor's score."""

    def score(x, sigma):
        return (peer(x, sigma) - x) / sigma**2

    own = getattr(peer, "score", score)
    return es.sample_ode(own, peer.adapt(start), levels)


def judged(name, found):
    """Return an error with its verdict."""
    return found | {"verdict": exact.verdict(PEERS[name], found)}


def worse(old, new):
    """Return the larger of two errors."""
    return new if old is None or new["rms"] > old["rms"] else old


def guarded(problem, work):
    """Return the record of ``work()``, or a line that says which data are missing."""
    try:
        return work()
    except problems.Missing as missing:
        return {"skipped": str(missing)}


def setting(problem, data, x, sigma, rows, **more):
    """Return the record of one setting."""
    size = [*data.shape, len(x)]
    return {"problem": problem.name, "size": size, "sigma": sigma, **more, "rows": rows}
