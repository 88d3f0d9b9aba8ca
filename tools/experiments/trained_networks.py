"""Train the networks of the chapter "Trained networks cross over too", and record.

    python tools/experiments/trained_networks.py [part ...]

Some twenty-five minutes on one core, in parts that can be stopped and taken up again;
without arguments all of them.  The record beside this script (NumPy arrays, no pickle)
holds what was measured on the way, under keys ``part/case/quantity``.  The chapter
draws the figures from it, fits the exponents, and trains some networks again.
"""

import os
import sys
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import silu

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))
import empirical_score as es

RECORD = Path(__file__).with_suffix(".npz")
BATCH, RATE = 128, 2e-3

# Four round clusters in eight dimensions.
CENTERS = 2.2 * np.vstack([np.eye(8)[:2], -np.eye(8)[:2]])
CLUSTERS = es.GaussianMixture(CENTERS, np.full(4, 0.25), np.full(4, 0.25))
SPREAD = float(np.sqrt((2 * 2.2**2 / 2 + 8 * 0.25) / 8))
REACH = 1.97  # holds 95 percent of a cluster
LOW, HIGH = 0.05, 4.0
GRID = np.geomspace(LOW, HIGH, 16)


class SideBySide(torch.nn.Module):
    """``count`` separate networks, each with its own block of columns and weights."""

    def __init__(self, count, widths, rng):
        super().__init__()
        self.count, self.layers = count, torch.nn.ParameterList()
        for inputs, outputs in zip(widths[:-1], widths[1:], strict=True):
            for rows in (inputs, 1):
                draw = 2 * rng.random((count, rows, outputs)) - 1
                self.layers.append(torch.as_tensor(draw / np.sqrt(inputs)))

    def forward(self, x, noise):
        m = x.shape[0]
        x = x.reshape(m, self.count, -1).transpose(0, 1)
        x = torch.cat([x, noise.expand(self.count, m, 1)], dim=2)
        for k in range(0, len(self.layers), 2):
            x = silu(x) if k else x
            x = torch.baddbmm(self.layers[k + 1], x, self.layers[k])
        return x.transpose(0, 1).reshape(m, -1)


def networks(count, dimension, width, rng, scale):
    """``count`` networks of two hidden layers as one denoiser, side by side."""
    module = SideBySide(count, [dimension + 1, width, width, dimension], rng)
    return es.Denoiser(
        count * dimension, rng, form="edm", scale=scale, module=module, dtype="float32"
    )


def checkpoints(last, first=3, factor=1.35):
    """Steps in nearly geometric progression."""
    count = int(np.log(last / first) / np.log(factor)) + 2
    return np.unique(np.geomspace(first, last, count).round().astype(int))


def copied(x, data):
    """Share of rows of x nearer to one row of data than to a third of the next."""
    near = es.neighbors.nearest(x, data, 2)[0]
    return float(np.mean(near[:, 0] < near[:, 1] / 3))


def blocks(x, count):
    return np.split(np.asarray(x, dtype=np.float64), count, axis=1)


class Watch:
    """Losses of networks side by side on a grid of noise levels, always the same rows.

    ``fixed`` are denoisers to compare with, one for each network: the empirical one
    and, where it is known, the true one.
    """

    def __init__(self, data, fresh, levels, rows, rng, truth=None):
        self.count, self.levels = len(data), levels
        self.sigma = np.repeat(levels, rows)
        m, shape = self.sigma.size, (self.sigma.size, data[0].shape[1])
        self.aims = [[y[rng.integers(len(y), size=m)] for y in data]]
        self.aims += [[y[rng.integers(len(y), size=m)] for y in fresh]]
        noise = [rng.standard_normal(shape) for _ in data]
        self.inputs = [
            [y + self.sigma[:, None] * z for y, z in zip(aim, noise, strict=True)]
            for aim in self.aims
        ]
        empirical = [es.EmpiricalScore(y) for y in data]
        self.copier = self._apply(empirical)
        self.truth = self._apply([truth] * self.count) if truth else None

    def _apply(self, denoisers):
        return [
            [d.denoise(x, self.sigma) for d, x in zip(denoisers, xs, strict=True)]
            for xs in self.inputs
        ]

    def gap(self, first, second):
        """Mean square difference per coordinate, ``(count, levels)``."""
        return np.array(
            [
                np.mean((a - b) ** 2, axis=1).reshape(len(self.levels), -1).mean(axis=1)
                for a, b in zip(first, second, strict=True)
            ]
        )

    def references(self):
        """What does not change in training: losses of the exact denoisers."""
        out = {
            "copier_train": self.gap(self.copier[0], self.aims[0]),
            "copier_test": self.gap(self.copier[1], self.aims[1]),
        }
        if self.truth:
            out |= {
                "truth_train": self.gap(self.truth[0], self.aims[0]),
                "truth_test": self.gap(self.truth[1], self.aims[1]),
                "truth_to_copier": self.gap(self.truth[0], self.copier[0]),
            }
        return out

    def look(self, network):
        """Losses on noised training points and on noised fresh points."""
        out = [
            blocks(network.denoise(np.hstack(xs), self.sigma), self.count)
            for xs in self.inputs
        ]
        found = {
            "train": self.gap(out[0], self.aims[0]),
            "test": self.gap(out[1], self.aims[1]),
            "to_copier": self.gap(out[0], self.copier[0]),
        }
        if self.truth:
            found["to_truth"] = self.gap(out[1], self.truth[1])
        return found


def cluster_run(n, steps, *, stops=(), width=128, batch=BATCH, seeds=5, samples=256):
    """Yield step and measurements of networks on n points of the four clusters.

    First come the references, as step 0.  The measurements leave the training alone:
    with other ``stops`` the networks are the same.
    """
    rng = np.random.default_rng([0, n])
    data = [CLUSTERS.sample(n, rng) for _ in range(seeds)]
    fresh = [CLUSTERS.sample(4000, rng) for _ in range(seeds)]
    watch = Watch(data, fresh, GRID, 128, rng, CLUSTERS)
    start = HIGH * rng.standard_normal((samples, 8 * seeds))
    levels = es.karras_levels(16, HIGH, LOW, zero=True)
    network = networks(seeds, 8, width, rng, SPREAD)
    baseline = [copied(x, y) for x, y in zip(fresh, data, strict=True)]
    yield 0, watch.references() | {"baseline": np.array(baseline)}
    stops = set(stops or checkpoints(steps))
    for record in es.train(
        network, np.hstack(data), (LOW, HIGH), rng, steps=steps, batch=batch, rate=RATE
    ):
        if record.step in stops:
            x = blocks(es.sample_ode(network, start, levels), seeds)
            off = [np.linalg.norm(a[:, None] - CENTERS, axis=2).min(axis=1) for a in x]
            found = {
                "copied": [copied(a, y) for a, y in zip(x, data, strict=True)],
                "placed": [np.mean(r < REACH) for r in off],
            }
            yield record.step, watch.look(network) | found


def clusters(n, steps, **settings):
    """All of a run as arrays; what depends on time has it as the first axis."""
    run = cluster_run(n, steps, **settings)
    _, arrays = next(run)
    times, rows = zip(*run, strict=True)
    arrays |= {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return arrays | {"step": np.array(times)}


def summed(arrays):
    """Leave out the noise levels of a run: for the studies of width and batch."""
    weight = (GRID**2 + SPREAD**2) / (GRID * SPREAD) ** 2
    whole = {
        name: arrays[name] @ weight / weight.size
        for name in ("truth_to_copier", "to_copier", "to_truth")
    }
    return {k: arrays[k] for k in ("step", "copied", "placed", "baseline")} | whole


DIGIT_LOW, DIGIT_HIGH = 0.05, 8.0


def digit_pool():
    """Digits less their mean: 1,400 to train on, 397 held out; the mean; the scale."""
    images, _ = es.datasets.digits()
    mean = images.mean(axis=0)
    images = (images - mean)[np.random.default_rng(99).permutation(len(images))]
    return images[397:], images[:397], mean, float(np.sqrt(np.mean(images**2)))


def digit_start(count, rng, samples):
    return DIGIT_HIGH * rng.standard_normal((samples, 64 * count))


def digits(n, steps, *, width=128, seeds=3, samples=200, keep=24):
    """Networks on n digits: losses, copies, and some samples of the first of them."""
    pool, held, _, scale = digit_pool()
    rng = np.random.default_rng([7, n])
    chosen = [rng.permutation(len(pool))[:n] for _ in range(seeds)]
    data = [pool[rows] for rows in chosen]
    watch = Watch(
        data, [held] * seeds, np.geomspace(DIGIT_LOW, DIGIT_HIGH, 16), 64, rng
    )
    start = digit_start(seeds, rng, samples)
    levels = es.karras_levels(16, DIGIT_HIGH, DIGIT_LOW, zero=True)
    network = networks(seeds, 64, width, rng, scale)
    arrays = watch.references()
    arrays["baseline"] = np.array([copied(held, y) for y in data])
    arrays["rows"] = np.array(chosen[0], dtype=np.int16)
    stops, rows, times = set(checkpoints(steps, first=10, factor=1.45)), [], []
    bounds = DIGIT_LOW, DIGIT_HIGH
    for record in es.train(
        network, np.hstack(data), bounds, rng, steps=steps, batch=BATCH, rate=RATE
    ):
        if record.step in stops:
            x = blocks(es.sample_ode(network, start, levels), seeds)
            row = watch.look(network)
            row["copied"] = [copied(a, y) for a, y in zip(x, data, strict=True)]
            row["energy"] = [energy(a, held) for a in x]
            row["samples"] = x[0][:keep].astype(np.float16)
            rows.append(row)
            times.append(record.step)
    arrays |= {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return arrays | {"step": np.array(times)}


def energy(x, y):
    """Energy distance of two samples, without the diagonal: unbiased."""
    from scipy.spatial.distance import cdist, pdist

    return 2 * np.mean(cdist(x, y)) - np.mean(pdist(x)) - np.mean(pdist(y))


def halves(kind, n, *, pairs=3, samples=200):
    """Pairs of networks on disjoint sets of n points, asked with the same noise."""
    rng = np.random.default_rng([11, n])
    if kind == "digits":
        pool, held, _, scale = digit_pool()
        width, low, high = 128, DIGIT_LOW, DIGIT_HIGH
        data = []
        for _ in range(pairs):
            order = rng.permutation(len(pool))
            data += [pool[order[:n]], pool[order[n : 2 * n]]]
    elif kind == "clusters":
        held, scale, width, low, high = CLUSTERS.sample(400, rng), SPREAD, 64, LOW, HIGH
        data = [CLUSTERS.sample(n, rng) for _ in range(2 * pairs)]
    else:
        held, scale, width, low, high = moons(400, rng), 0.7, 64, 0.02, 4.0
        data = [moons(n, rng) for _ in range(2 * pairs)]
    steps, d = (1000 if kind == "digits" else 2000), held.shape[1]
    network = networks(2 * pairs, d, width, rng, scale)
    for _ in es.train(
        network, np.hstack(data), (low, high), rng, steps=steps, batch=BATCH, rate=RATE
    ):
        pass
    start = np.tile(high * rng.standard_normal((samples, d)), 2 * pairs)
    levels = es.karras_levels(16, high, low, zero=True)
    x = blocks(es.sample_ode(network, start, levels), 2 * pairs)
    out = {"scale": np.array(scale), "steps": np.array(steps)}
    first, second, own = x[::2], x[1::2], data[::2]
    near = es.neighbors.nearest
    out["apart"] = [rms(a - b) for a, b in zip(first, second, strict=True)]
    out["shuffled"] = [
        rms(a - np.roll(b, 1, axis=0)) for a, b in zip(first, second, strict=True)
    ]
    out["nearest"] = [rms(near(a, y)[0]) for a, y in zip(first, own, strict=True)]
    out["fresh_nearest"] = [rms(near(held, y)[0]) for y in own]
    out["copied"] = [copied(a, y) for a, y in zip(x, data, strict=True)]
    out["baseline"] = [copied(held, y) for y in data]
    if kind == "clusters":
        exact = es.sample_ode(CLUSTERS, start[:, :d], levels)
        out["to_truth"] = [rms(a - exact) for a in x]
    if kind == "moons":
        curve = es.curves.two_moons()
        out["off"] = [rms(curve.distance(a)) for a in x]
    return {name: np.array(value) for name, value in out.items()}


def moons(n, rng):
    return es.datasets.two_moons(n, rng, noise=0.0)


def rms(x):
    """Root mean square length of rows, or of numbers."""
    x = np.asarray(x)
    return float(np.sqrt(np.mean(np.sum(x.reshape(len(x), -1) ** 2, axis=1))))


PIXEL = 0.2  # standard deviation of a pixel once [0, 1] is stretched to [-1, 1]


def pair_term(x, y, widths):
    """Integral of the product of two kernel densities, averaged over the columns.

    In units of ``1 / (2 sqrt(pi) s)`` with s the standard deviation of a pixel.
    """
    variance = (widths[0] ** 2 + widths[1] ** 2) * PIXEL**2
    total = 0.0
    for a, b in zip(x.T, y.T, strict=True):
        squares = np.subtract.outer(a, b) ** 2
        total += np.mean(np.exp(-squares / (2 * variance)))
    return total / x.shape[1] * PIXEL * np.sqrt(2 / variance)


def kernel_distances(made, data, others, self_data, self_others):
    """Halder's two distances: of the made to the training set, and to fresh samples."""
    g, t, o = 1 / len(made), 1 / len(data), 1 / len(others)
    self_made = pair_term(made, made, (g, g))
    return (
        self_made + self_data - 2 * pair_term(made, data, (g, t)),
        self_made + self_others - 2 * pair_term(made, others, (g, o)),
    )


PIXEL_SIZES = 50, 150, 250, 450, 1050


def budget(n, mode):
    """Gradient steps: ten epochs in batches of 128, a tenth of the data held out."""
    return {"epochs": 10 * -(-9 * n // 1280), "fixed": 80, "long": 600}[mode]


def pixels(n, *, stacks=1, seeds=10):
    """The realistic experiment of Halder (2024), v1, by small networks."""
    others = PIXEL * np.random.default_rng(5).standard_normal((2000, 64))
    self_others = pair_term(others, others, (1 / 2000, 1 / 2000))
    bounds = 0.01, 2.54
    levels = es.karras_levels(24, bounds[1], bounds[0], zero=True)
    modes = ("epochs", "fixed", "long")
    out = {f"{mode}_{name}": [] for mode in modes for name in ("E", "sd", "copied")}
    for stack in range(stacks):
        rng = np.random.default_rng([13, n, stack])
        data = [PIXEL * rng.standard_normal((n, 64)) for _ in range(seeds)]
        selves = [pair_term(y, y, (1 / n, 1 / n)) for y in data]
        start = bounds[1] * rng.standard_normal((10, 64 * seeds))
        network = networks(seeds, 64, 128, rng, 1.0)
        stops = {budget(n, mode): [] for mode in modes}
        for mode in modes:
            stops[budget(n, mode)].append(mode)
        for record in es.train(
            network, np.hstack(data), bounds, rng, steps=600, batch=BATCH, rate=2e-3
        ):
            for mode in stops.get(record.step, []):
                made = blocks(es.sample_ode(network, start, levels), seeds)
                for x, y, own in zip(made, data, selves, strict=True):
                    pair = kernel_distances(x, y, others, own, self_others)
                    out[f"{mode}_E"].append(pair)
                    out[f"{mode}_sd"].append(np.sqrt(np.mean(x**2)) / PIXEL)
                    out[f"{mode}_copied"].append(copied(x, y))
    return {name: np.array(value) for name, value in out.items()}


LAW_STEPS = {20: 3000, 40: 6000, 80: 10_000, 160: 16_000, 320: 24_000}
DIGIT_STEPS = {20: 4000, 40: 6000, 80: 9000, 160: 14_000, 1000: 9000}
HALVES = {
    "digits": (10, 40, 160, 700),
    "clusters": (10, 40, 160, 640, 2560),
    "moons": (5, 20, 80, 320),
}


def cases(part):
    """Yield name, function and arguments of every case of a part."""
    if part == "laws":
        for n, steps in LAW_STEPS.items():
            yield f"{n}", lambda n=n, steps=steps: clusters(n, steps)
    if part == "width":
        for n, width in WIDTHS:
            yield (
                f"{n}_{width}",
                lambda n=n, width=width: summed(
                    clusters(n, WIDTH_STEPS[n], width=width, seeds=3)
                ),
            )
    if part == "batch":
        for batch, steps in BATCH_STEPS.items():
            yield (
                f"{batch}",
                lambda batch=batch, steps=steps: summed(
                    clusters(40, steps, batch=batch, seeds=3)
                ),
            )
    if part == "digits":
        for n, steps in DIGIT_STEPS.items():
            yield f"{n}", lambda n=n, steps=steps: digits(n, steps)
    if part == "halves":
        for kind, sizes in HALVES.items():
            pairs = 3 if kind == "digits" else 4
            for n in sizes:
                yield (
                    f"{kind}_{n}",
                    lambda kind=kind, n=n, pairs=pairs: halves(kind, n, pairs=pairs),
                )
    if part == "pixels":
        for n in PIXEL_SIZES:
            yield f"{n}", lambda n=n: pixels(n)


WIDTHS = (20, 64), (20, 256), (80, 64), (80, 256)
WIDTH_STEPS = {20: 1200, 80: 4000}
BATCH_STEPS = {32: 4000, 512: 1500}
PARTS = "laws", "width", "batch", "digits", "halves", "pixels"


def load(path):
    if not path.exists():
        return {}
    with np.load(path) as stored:
        return dict(stored)


def compact(value):
    """float32 for what is float64; all else as it is."""
    value = np.asarray(value)
    return value.astype(np.float32) if value.dtype == np.float64 else value


def slim(key, value):
    """What goes into the record: half precision for long arrays, few pictures."""
    _, name, quantity = key.split("/")
    if quantity == "done" or (quantity == "samples" and name not in ("20", "1000")):
        return None
    value = value[:, :8] if quantity == "samples" else value
    return key, value.astype(np.float16) if value.ndim > 2 else value


def main(parts):
    torch.set_num_threads(1)
    for part in parts:
        path = RECORD.with_suffix(f".{part}.npz")
        arrays = load(path)
        for name, run in cases(part):
            if f"{part}/{name}/done" in arrays:
                continue
            found = run() | {"done": np.array(1, dtype=np.int8)}
            arrays |= {f"{part}/{name}/{k}": compact(v) for k, v in found.items()}
            np.savez_compressed(path.with_suffix(".tmp.npz"), **arrays)
            os.replace(path.with_suffix(".tmp.npz"), path)
            print(part, name, flush=True)
    files = {part: RECORD.with_suffix(f".{part}.npz") for part in PARTS}
    if all(path.exists() for path in files.values()):
        arrays = {k: v for path in files.values() for k, v in load(path).items()}
        kept = filter(None, (slim(*item) for item in arrays.items()))
        np.savez_compressed(RECORD, **dict(kept))


if __name__ == "__main__":
    main(sys.argv[1:] or PARTS)
