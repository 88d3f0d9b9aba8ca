"""Run the benchmark of the chapter "A fair comparison" and record its numbers.

    python tools/experiments/a_fair_comparison.py [problem[:draws] ...] [options]

Every way of smoothing, at several strengths, on six training problems: ten training
draws of each curve and three of each image set, of the networks three throughout. One
call without arguments makes it all, in about an hour on one core. What is
recorded already is not computed again, so it can be run in portions (``--seconds``,
``--methods``). The record beside this script (NumPy arrays, no pickle) holds, for each
``problem/method``, the measures of every draw and strength, and the weights of small
networks; no more.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import ndtri

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))
import empirical_score as es

RECORD = Path(__file__).with_suffix(".npz")
TOYS = "circle_even", "circle", "moons", "roll"
IMAGES = "digits", "fashion"
DRAWS = {"digits": 3, "fashion": 3} | dict.fromkeys(TOYS, 10)
NETWORK_DRAWS = 3
DRAWN = {True: 24, False: 12}  # places to average over, for toys and for images
TOY_MEASURES = "copied", "distance", "coverage", "transport"
IMAGE_MEASURES = "copied", "fidelity", "coverage", "likelihood", "energy", "spread"


class Toy:
    """A training set on a plane curve, and how to judge samples by the curve."""

    count, levels = 600, es.geometric_levels(40, 3.0, 0.002, zero=True)
    radius_share, measures = 0.1, TOY_MEASURES

    def __init__(self, name, draw):
        self.name, self.draw, rng = name, draw, np.random.default_rng([draw, 17])
        if name == "circle_even":
            self.curve, self.data = es.curves.circle(), es.datasets.circle(24)
        elif name == "circle":
            self.curve, self.data = es.curves.circle(), es.datasets.circle(24, rng)
        elif name == "moons":
            self.curve = es.curves.two_moons()
            self.data = es.datasets.two_moons(60, rng, noise=0.0)
        else:
            self.curve, self.data = (
                es.curves.swiss_roll(),
                es.datasets.swiss_roll(80, rng),
            )
        self.unit = self.curve.length / len(self.data)
        self.copy_radius = self.radius_share * typical_gap(self.data)
        self.start = noised(self.data, self.levels[0], self.count, rng)
        self.fresh = self.curve.sample(20_000, rng)

    def measure(self, samples):
        """Return share of copies, mean distance, coverage and Wasserstein distance."""
        copied = es.neighbors.memorized(samples, self.data, self.copy_radius)
        some = samples[:400]
        return (
            copied.mean(),
            self.curve.distance(samples).mean(),
            self.curve.coverage(samples[: self.count], 0.1),
            es.wasserstein(some, self.fresh[-len(some) :]).value,
        )

    def order(self):
        """Return the edges between neighbors along the curve, which a user may know."""
        places = self.curve.spread(4000)
        _, index = es.neighbors.nearest(self.data, places)
        rank = np.argsort(index[:, 0], kind="stable")
        edges = rank[es.graph_ramp.chain(len(rank), closed=self.curve.closed)]
        if self.name == "moons":  # the first arc is the first half of the places
            half = index[edges, 0] < 2000
            edges = edges[half[:, 0] == half[:, 1]]
        return edges

    def moves(self, width):
        """Return moves along the curve by evenly spaced quantiles of N(0, width^2)."""
        angles = width * ndtri((np.arange(DRAWN[True]) + 0.5) / DRAWN[True])
        if self.name == "moons":
            return es.smoothers.polar_moves(angles, nearest_moon)
        if self.name == "roll":
            angles = angles / 0.625  # an arc length at the middle of the roll
            return es.smoothers.polar_moves(angles, pitch=1 / (4 * np.pi))
        return es.smoothers.polar_moves(angles)


class Pictures:
    """A training set of images, and held-out images to judge samples by."""

    radius_share, measures = 1 / 3, IMAGE_MEASURES

    def __init__(self, name, draw):
        self.name, self.draw, rng = name, draw, np.random.default_rng([draw, 29])
        if name == "digits":
            images, train, self.count = es.datasets.digits()[0], 1000, 398
            self.levels = es.geometric_levels(40, 20.0, 0.02, zero=True)
        else:
            images, _ = es.datasets.fashion_mnist(limit=3000)
            train, self.count = 500, 150
            self.levels = es.geometric_levels(25, 60.0, 0.05, zero=True)
        images = np.asarray(images, float)[rng.permutation(len(images))]
        self.data, rest = images[:train], images[train:]
        self.fresh = rest[: self.count]
        self.held_out = rest[self.count : 2 * self.count]
        self.unit = typical_gap(self.data)
        self.copy_radius = self.radius_share * self.unit
        self.start = noised(self.data, self.levels[0], self.count, rng)

    def measure(self, samples):
        """Return share of copies, fidelity, coverage and likelihood of held-out ones.

        Fidelity: median distance of a sample to the nearest held-out image; coverage:
        of a held-out image to the nearest sample; likelihood: nats per pixel of half of
        the held-out images under the kernel density estimate of the samples whose
        bandwidth suits the other half best, both ways, averaged; energy: the energy
        distance to the held-out images, unbiased; spread: the total variance of the
        samples over that of the training set.
        """
        copied = es.neighbors.memorized(samples, self.data, self.copy_radius)
        near = es.neighbors.nearest(samples, self.held_out)[0]
        back = es.neighbors.nearest(self.held_out, samples)[0]
        law = es.EmpiricalScore(np.asarray(samples, float))
        half = len(self.held_out) // 2
        first = np.asarray(self.held_out[:half], float)
        second = np.asarray(self.held_out[half : 2 * half], float)
        widths = self.unit / self.data.shape[1] ** 0.5 * np.geomspace(0.5, 3, 25)
        table = np.array(
            [
                [law.log_density(part, w).mean() for part in (first, second)]
                for w in widths
            ]
        )
        best = np.argmax(table, axis=0)
        likelihood = (table[best[1], 0] + table[best[0], 1]) / 2
        return (
            copied.mean(),
            np.median(near),
            np.median(back),
            likelihood / self.data.shape[1],
            energy(samples, self.held_out),
            np.var(samples, axis=0).sum() / np.var(self.data, axis=0).sum(),
        )


def problem(name, draw):
    """Return the training problem ``name`` with its training draw number ``draw``."""
    return (Toy if name in TOYS else Pictures)(name, draw)


def typical_gap(data):
    """The median distance from a training point to the nearest other one."""
    return float(np.median(es.neighbors.nearest(data, data, 2)[0][:, 1]))


def energy(x, y):
    """The energy distance of two samples, 0 in the mean for samples of one law."""
    within = [cdist(a, a).sum() / (len(a) * (len(a) - 1)) for a in (x, y)]
    return 2 * cdist(x, y).mean() - sum(within)


def noised(data, sigma, count, rng):
    """Draw from the empirical law at level ``sigma``: training points and noise."""
    noise = rng.standard_normal((count, data.shape[1]))
    return data[rng.integers(len(data), size=count)] + (sigma * noise).astype(
        data.dtype
    )


def stream(task):
    """A generator of a method's own, so that methods can run in any order."""
    return np.random.default_rng([task.draw, 3])


def nearest_moon(x):
    """The center of the half circle that is nearest to each place, ``(m, 2)``."""
    upper, lower = np.array([-0.5, -0.25]), np.array([0.5, 0.25])

    def distance(offset):
        ends = np.hypot(np.abs(offset[:, 0]) - 1, offset[:, 1])
        ring = np.abs(np.hypot(offset[:, 0], offset[:, 1]) - 1)
        return np.where(offset[:, 1] >= 0, ring, ends)

    above = distance(x - upper) <= distance(lower - x)
    return np.where(above[:, None], upper, lower)


# --- the methods: each takes a problem and one strength, and returns samples ---------


def run(task, score):
    """Samples of the probability-flow ODE, from the same start for every score."""
    return es.sample_ode(score, task.start, task.levels)


def fresh(task, _):
    return task.fresh


def exact(task, _):
    return run(task, es.EmpiricalScore(task.data))


def stopped(task, strength):
    """Early stopping: the perfect sampler, stopped, is a kernel density estimate."""
    scale = task.unit / (1 if task.name in TOYS else task.data.shape[1] ** 0.5)
    return noised(task.data, strength * scale, task.count, stream(task))


def stopped_denoised(task, strength):
    """Early stopping, and one step of the denoiser from there."""
    sigma = strength * task.unit
    x = noised(task.data, sigma, task.count, stream(task))
    return es.EmpiricalScore(task.data).denoise(x, sigma)


def tempered(task, strength):
    return run(task, es.TemperedScore(task.data, strength))


def tempered_power(task, strength, exponent):
    schedule = es.PowerTemperature(strength * task.unit, exponent)
    return run(task, es.TemperedScore(task.data, schedule))


def tempered_1(task, strength):
    return tempered_power(task, strength, 1)


def tempered_2(task, strength):
    return tempered_power(task, strength, 2)


def convolved(task, strength):
    if task.name in TOYS:
        draws = es.smoothers.spiral_draws(DRAWN[True])
    else:
        rng = np.random.default_rng(task.draw)
        draws = es.smoothers.antithetic_draws(DRAWN[False], task.data.shape[1], rng)
    return run(task, es.ConvolvedScore(task.data, strength * task.unit, draws))


def along_curve(task, strength):
    """Log-domain smoothing by a kernel that follows the curve, which must be known."""
    plain = es.EmpiricalScore(task.data)
    smooth = es.LogSmoothedScore(plain, task.moves(strength * task.unit))
    return run(task, es.SwitchedScore(plain, smooth, 2 * task.unit))


def ramp_order(task, strength):
    return run(task, es.GraphRampScore(task.data, task.order(), strength))


def ramp_tree(task, strength):
    tree = es.graph_ramp.spanning_tree(task.data)
    return run(task, es.GraphRampScore(task.data, tree, strength))


def barycenters(task, strength):
    """The mean of the nearest training points, below the level of the spacing."""
    plain = es.EmpiricalScore(task.data)
    level = task.unit if task.name in TOYS else task.unit / 2
    flat = es.TemperedScore(task.data, 1e12, neighbors=strength)
    return run(task, es.SwitchedScore(plain, flat, level))


def unconditional(task, strength):
    """The score without a noise level, by repeated steps towards its guess.

    In the plane with the weight power a = 0: with the usual power 2 it would be the
    degenerate, logarithmic case. The strength is the temperature over d - a.
    """
    d = task.data.shape[1]
    power = 0.0 if task.name in TOYS else 2.0
    temperature = max(1.0, strength * (d - power))
    score = es.UnconditionalScore(
        task.data, weight_power=power, temperature=temperature
    )
    return es.sample_fixed_point(score.denoise, task.start, 150)


def fitted_gaussian(task):
    data = np.asarray(task.data, float)
    return es.Gaussian(data.mean(axis=0), np.cov(data.T, bias=True))


def gaussian(task, _):
    return run(task, fitted_gaussian(task))


def hybrid(task, strength):
    plain = es.EmpiricalScore(task.data)
    level = strength * task.unit
    return run(task, es.SwitchedScore(fitted_gaussian(task), plain, level))


def descend(task, steps):
    """Yield a small network after each step of training on the problem's points."""
    toy = task.name in TOYS
    wide = {"digits": (256, 256)}
    rng = np.random.default_rng([task.draw, 5])
    network = es.Denoiser(
        task.data.shape[1],
        rng,
        hidden=wide.get(task.name, (96, 96, 96)),
        activation="silu",
        form="edm",
        scale=float(np.std(task.data)),
        dtype="float32",
    )
    low, high = (0.003, 3.0) if toy else (0.03, task.levels[0])
    for record in es.train(
        network,
        task.data,
        (low, high),
        rng,
        steps=steps,
        batch=512 if toy else 256,
        rate=lambda done: (0.0015 if toy else 0.001) * (1 + np.cos(np.pi * done)),
    ):
        yield record.step, network


def strengths(name):
    """Return each method with its strengths on a problem, from weak to strong."""
    even = [0.3, 0.45, 0.6, 0.9, 1.4]
    common = {
        "fresh": (fresh, [0]),
        "exact": (exact, [0]),
        "gaussian": (gaussian, [0]),
    }
    if name in TOYS:
        return common | {
            "stopped": (stopped, [0.05, 0.1, 0.2, 0.4, 0.8]),
            "stopped_denoised": (stopped_denoised, [0.2, 0.4, 0.6, 0.9, 1.4]),
            "tempered": (tempered, [4, 16, 64, 256, 1024]),
            "tempered_1": (tempered_1, [1, 3, 10, 30, 100]),
            "tempered_2": (tempered_2, even),
            "convolved": (convolved, even),
            "along_curve": (along_curve, [0.3, 0.6, 1.2, 2.4]),
            "ramp_order": (ramp_order, [4, 2, 1, 0.5, 0]),
            "ramp_tree": (ramp_tree, [4, 2, 1, 0.5, 0]),
            "barycenters": (barycenters, [2, 3, 4, 6, 8]),
            "unconditional": (unconditional, [0.5, 0.6, 0.7, 0.8]),
            "hybrid": (hybrid, [2]),
        }
    return common | {
        "stopped": (stopped, [0.2, 0.4, 0.6, 0.8, 1.0]),
        "stopped_denoised": (stopped_denoised, [0.2, 0.3, 0.4, 0.5, 0.7]),
        "tempered": (tempered, [4, 16, 64, 256, 1024]),
        "tempered_1": (tempered_1, [0.3, 1, 3, 10]),
        "tempered_2": (tempered_2, [0.2, 0.3, 0.4, 0.5, 0.7]),
        "convolved": (convolved, [0.15, 0.2, 0.3, 0.4]),
        "ramp_tree": (ramp_tree, [4, 2, 1, 0.5, 0]),
        "barycenters": (barycenters, [2, 3, 5, 10]),
        "unconditional": (unconditional, [0, 0.25, 0.5, 0.75, 0.9]),
        "hybrid": (hybrid, [0.5]),
    }


def checkpoints(name):
    """Return the numbers of training steps, from few (smooth) to many, reversed."""
    if name in TOYS:
        return [4000, 1500, 500]
    return [6000, 2000, 600]


def network_row(task, arrays):
    """Train one network; return its measures at each checkpoint, first the longest."""
    steps, rows = checkpoints(task.name), {}
    for step, network in descend(task, steps[0]):
        if step in steps:
            rows[step] = task.measure(run(task, network))
            if task.name == "moons" and step == steps[1]:
                weights = network.state()
                arrays |= {f"network_{task.draw}/{k}": v for k, v in weights.items()}
    return [rows[step] for step in steps]


def save(name, arrays):
    """Write the arrays of one problem, and keep what the record has of others."""
    own = {k: v for k, v in arrays.items() if k.split("/")[0] == name}
    if name == "moons":
        own |= {k: v for k, v in arrays.items() if k.startswith("network_")}
    kept = dict(np.load(RECORD)) if RECORD.exists() else {}
    own = {k: v for k, v in own.items() if len(v) >= len(kept.get(k, ()))}
    part = RECORD.with_suffix(f".{name}.part.npz")
    np.savez_compressed(part, **(kept | own))
    part.replace(RECORD)  # whole at every moment


def main(names, methods, seconds):
    import torch

    torch.set_num_threads(1)
    arrays = dict(np.load(RECORD)) if RECORD.exists() else {}
    for name in names or (*TOYS, *IMAGES):
        name, _, most = name.partition(":")
        table = strengths(name)
        for draw in range(int(most or DRAWS[name])):
            task = None
            for method, (make, values) in [*table.items(), ("network", (None, None))]:
                if methods and method not in methods:
                    continue
                key = f"{name}/{method}"
                done = arrays.get(key, np.empty((0, 0, 0)))
                trained = draw < NETWORK_DRAWS and name != "fashion"
                if len(done) > draw or (method == "network" and not trained):
                    continue
                if time.process_time() > seconds:
                    return
                task = task or problem(name, draw)
                if method == "network":
                    rows = network_row(task, arrays)
                else:
                    rows = [task.measure(make(task, value)) for value in values]
                rows = np.array(rows)[None]
                arrays[key] = np.concatenate([done, rows]) if len(done) else rows
                print(key, draw, np.round(rows[0], 3).tolist(), flush=True)
                save(name, arrays)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("problems", nargs="*")
    parser.add_argument("--methods", nargs="+")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    options = parser.parse_args()
    main(options.problems, options.methods, options.seconds)
