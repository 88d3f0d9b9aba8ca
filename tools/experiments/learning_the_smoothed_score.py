"""Train the networks of the chapter "Learning the smoothed score" and record results.

    python tools/experiments/learning_the_smoothed_score.py toys images clothes

Twenty minutes on one core; clothes need Fashion-MNIST, the others no data set.  What a
run found is recorded when it ends, and a run that the record has is not repeated.  The
record beside this script (NumPy arrays, no pickle) holds under ``case/method/`` what
was measured (toys: at checkpoints), and samples.
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))
import empirical_score as es
from empirical_score import curves, datasets

RECORD = Path(__file__).with_suffix(".npz")
MEMBERS = 5  # networks of each kind in the plane
LOW, HIGH = 0.01, 3.0
METHODS = {
    "five": ("informed", "blind", "g2", "exact", "raw"),
    "seven": ("informed", "blind", "g1", "g2", "blind_g1", "raw"),
    "moons": ("informed", "blind", "g1", "g2"),
}


class Layer(torch.nn.Module):
    """A linear layer for each of several networks, on rows ``(members, m, in)``."""

    def __init__(self, inputs, outputs, members, rng):
        super().__init__()
        reach = inputs**-0.5
        matrix = rng.uniform(-reach, reach, (members, inputs, outputs))
        offset = rng.uniform(-reach, reach, (members, 1, outputs))
        self.matrix = torch.nn.Parameter(torch.from_numpy(matrix))
        self.offset = torch.nn.Parameter(torch.from_numpy(offset))

    def forward(self, rows):
        return torch.baddbmm(self.offset, rows, self.matrix)


class Ensemble(torch.nn.Module):
    """Several networks as one module: each gets its own share of the rows.

    Adam does not care for the scale of a gradient, so that trained on the mean loss
    every member learns from its own start and its own noises as if alone.  With
    ``scaled`` they see x over its own root mean square, and the logarithm of that.
    With ``gated`` one more output scales what they see and is added to the others, so
    that noise in many dimensions can be taken away past a narrow layer.
    """

    def __init__(self, inputs, outputs, hidden, members, rng, scaled, gated):
        super().__init__()
        sizes = [inputs + scaled, *hidden, outputs + gated]
        pairs = zip(sizes[:-1], sizes[1:], strict=True)
        self.layers = torch.nn.ModuleList(Layer(*p, members, rng) for p in pairs)
        self.members, self.scaled, self.gated = members, scaled, gated

    def forward(self, x, noise=None):
        rows, size = x if noise is None else torch.cat([x, noise], dim=1), 1.0
        if self.scaled:
            size = (x.square().mean(dim=1, keepdim=True) + 0.01).sqrt()
            rows = torch.cat([x / size, size.log() / 4], dim=1)
        rows = rows.reshape(self.members, -1, rows.shape[1])
        for layer in self.layers[:-1]:
            rows = torch.nn.functional.silu(layer(rows))
        out = self.layers[-1](rows).reshape(len(x), -1)
        if self.gated:
            out = out[:, :-1] + out[:, -1:] * x / size
        return size * out


class Toy:
    """Points on a curve, and how networks are trained on them.

    ``level`` is the noise level at which tempering with g = 2 starts; with g = 1 it
    starts at 1.  Lists hold ``neighbors`` points.
    """

    def __init__(self, points, curve, level, neighbors, width, batch, steps):
        self.points, self.curve, self.level = points, curve, level
        self.neighbors, self.width = neighbors, width
        self.batch, self.steps = batch, steps
        apart = es.neighbors.nearest(points, points, 2)[0][:, 1]
        self.radius = 0.1 * float(np.median(apart))
        self.checkpoints = [steps * k // 16 for k in (1, 2, 4, 6, 8, 12, 16)]

    def measure(self, x):
        """Memorized share, distance to the curve, covered share of the curve."""
        return (
            np.mean(es.neighbors.memorized(x, self.points, self.radius)),
            np.mean(self.curve.distance(x)),
            self.curve.coverage(x, 0.1),
        )


def toys():
    """Return the training sets in the plane by name."""
    rng = np.random.default_rng(0)
    moons = datasets.two_moons(60, rng, noise=0.0)
    return {
        "five": Toy(datasets.circle(5), curves.circle(), 0.6, 5, 64, 128, 2400),
        "seven": Toy(datasets.circle(7), curves.circle(), 0.45, 7, 64, 128, 4000),
        "moons": Toy(moons, curves.two_moons(), 0.15, 10, 96, 128, 4000),
    }


def target(points, neighbors, level, exponent, **options):
    """The neighbor target with T = (level / sigma)^exponent below ``level``."""
    heat = es.PowerTemperature(level, exponent)
    return es.NeighborTarget(points, neighbors, heat, below=level, **options)


def method(name, toy):
    """Return the network's options and the target for each way to train."""
    informed = {"form": "edm", "scale": float(np.sqrt(np.mean(toy.points**2)))}
    blind = {"form": "residual", "conditional": False}
    return {
        "informed": (informed, None),
        "raw": ({"form": "residual"}, None),
        "blind": (blind, None),
        "exact": (informed, es.EmpiricalScore(toy.points)),
        "g1": (informed, target(toy.points, toy.neighbors, 1.0, 1)),
        "g2": (informed, target(toy.points, toy.neighbors, toy.level, 2)),
        "blind_g1": (blind, target(toy.points, toy.neighbors, 1.0, 1)),
    }[name]


def falling(fraction):
    """Adam's step size: a half cosine from 0.003 to 0."""
    return 0.0015 * (1 + np.cos(np.pi * fraction))


def descend(points, options, aims, levels, hidden, batch, steps, members=MEMBERS):
    """Yield the ensemble after each step."""
    rng, d = np.random.default_rng(1), points.shape[1]
    inputs = d + options.get("conditional", True)
    scaled = d > 2 and not options.get("conditional", True)
    module = Ensemble(inputs, d, hidden, members, rng, scaled, d > hidden[0])
    network = es.Denoiser(d, rng, module=module, dtype="float32", **options)
    batch = batch * members
    for record in es.train(
        network,
        points,
        levels,
        rng,
        steps=steps,
        batch=batch,
        rate=falling,
        target=aims,
    ):
        yield record, network


def descend_toy(toy, name):
    """Yield the ensemble after each step, for a training set in the plane."""
    hidden = (toy.width,) * 3
    options, aims = method(name, toy)
    levels = LOW, HIGH
    yield from descend(toy.points, options, aims, levels, hidden, toy.batch, toy.steps)


def generate(network, count, levels, seed=2):
    """Return samples ``(members, count, d)``.

    A blind network's by its fixed points, another's along the ODE.
    """
    members = network.module.members
    shape = members * count, network.dimension
    start = levels[0] * np.random.default_rng(seed).standard_normal(shape)
    if network.conditional:
        x = es.sample_ode(network, start, levels)
    else:
        x = es.sample_fixed_point(lambda x: network.denoise(x, 1.0), start, 80)
    return x.reshape(members, count, -1)


def toy_run(toy, name):
    """Train the networks; return measurements at checkpoints, and samples of one."""
    found, levels = [], es.geometric_levels(40, HIGH, LOW, zero=True)
    for record, network in descend_toy(toy, name):
        if record.step in toy.checkpoints:
            x = generate(network, 1000, levels)
            found.append([toy.measure(samples) for samples in x])
    return {"found": np.array(found, "float32"), "samples": x[0, :400].astype("f2")}


def keep(case, result):
    """Add what one run found to the record on disk."""
    known = dict(np.load(RECORD)) if RECORD.exists() else {}
    known |= {f"{case}/{name}": value for name, value in result.items()}
    np.savez_compressed(RECORD, **known)


def known(case):
    """Return whether the record has a run."""
    return RECORD.exists() and any(k.startswith(case + "/") for k in np.load(RECORD))


def run_toys(places=tuple(METHODS)):
    for place in places:
        toy = toys()[place]
        for name in METHODS[place]:
            case = f"{place}/{name}"
            if not known(case):
                result = toy_run(toy, name)
                keep(case, result)
                print(case, np.round(result["found"][-1], 3).tolist(), flush=True)


class Pictures:
    """Training pictures and fresh ones, centered, and how to judge samples.

    ``level`` is the noise level at which tempering starts.  A fresh picture is covered
    if a sample lies within ``radius``, so chosen that as many fresh pictures as there
    are samples cover one half of the others.
    """

    def __init__(self, pictures, count, level, steps, levels=(0.03, 5.0)):
        order = np.random.default_rng(0).permutation(len(pictures))
        pictures = pictures[order]
        self.mean = pictures[:count].mean(axis=0)
        self.points = pictures[:count] - self.mean
        self.fresh = pictures[count : count + 400] - self.mean
        self.others = pictures[count + 400 :] - self.mean
        self.level, self.steps, self.levels = level, steps, levels
        apart = es.neighbors.nearest(self.others[:1000], self.fresh[:300])[0]
        self.radius = np.median(apart)

    def covered(self, x):
        """Share of other pictures that lie near a sample."""
        apart = es.neighbors.nearest(self.others[:1000], x)[0]
        return np.mean(apart <= self.radius)

    def copies(self, x):
        """Share of samples far nearer to one training picture than to the next."""
        near = es.neighbors.nearest(x, self.points, 2)[0]
        return np.mean(near[:, 0] < near[:, 1] / 3)

    def without_grain(self, x):
        """What of samples lies in the span of the training pictures."""
        basis = np.linalg.svd(self.points, full_matrices=False)[2]
        basis = basis[: len(self.points) - 1]  # they are centered
        return x @ basis.T @ basis

    def measure(self, x):
        """Memorized share, distances to the nearest training and the nearest other
        picture, energy distance to the others."""
        near = es.neighbors.nearest(x, self.points)[0]
        other = es.neighbors.nearest(x, self.others[:1000])[0]
        rng = np.random.default_rng(0)
        energy, _ = es.energy_test(x, self.others[:300], rng, permutations=19)
        return self.copies(x), np.mean(near), np.mean(other), energy

    def error(self, denoiser, level=1.0):
        """Root mean square error of a pixel in denoising fresh pictures."""
        noise = np.random.default_rng(3).standard_normal(self.fresh.shape)
        guess = denoiser(self.fresh + level * noise)
        return np.sqrt(np.mean((guess - self.fresh) ** 2))


def digits():
    """Forty of scikit-learn's digits to train on."""
    return Pictures(datasets.digits()[0], 40, 2.0, 2400)


def clothes():
    """Forty of Fashion-MNIST's pictures to train on."""
    pictures = datasets.fashion_mnist(limit=3000)[0].astype(float)
    return Pictures(pictures, 40, 7.0, 1600, (0.1, 20.0))


def principal(points, count=8):
    """Whitened principal components: a feature space in which to look for neighbors."""
    parts, _, _ = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    return parts[:, :count]


def shuffled(points, count, rng):
    """Each point's list: itself and others at random."""
    n = len(points)
    others = [
        rng.permutation(np.delete(np.arange(n), i))[: count - 1] for i in range(n)
    ]
    return np.column_stack([np.arange(n), others])


def picture_method(name, pictures, neighbors=10):
    """Return the network's options and the target for each way to train."""
    points, level = pictures.points, pictures.level
    informed = {"form": "edm", "scale": float(points.std())}
    rng = np.random.default_rng(4)
    lists = {
        "g1": (neighbors, {}),
        "g2": (neighbors, {}),
        "features": (neighbors, {"features": principal(points)}),
        "random": (shuffled(points, neighbors, rng), {}),
    }
    if name in lists:
        which, options = lists[name]
        exponent = 1 if name == "g1" else 2
        return informed, target(points, which, level, exponent, **options)
    if name == "blind":
        return {"form": "residual", "conditional": False}, None
    return informed, None


def picture_run(pictures, name):
    """Train the networks; return what was measured at the end, and pictures of one."""
    options, aims = picture_method(name, pictures)
    *_, (_, network) = descend(
        pictures.points,
        options,
        aims,
        pictures.levels,
        (256, 256),
        96,
        pictures.steps,
        members=3,
    )
    low, high = pictures.levels
    x = generate(network, 300, es.geometric_levels(40, high, low, zero=True))
    errors = [pictures.error(guess) for guess in each(network)]
    found = [(*pictures.measure(s), e) for s, e in zip(x, errors, strict=True)]
    covered = np.array([pictures.covered(samples) for samples in x], "float32")
    clean = [pictures.copies(pictures.without_grain(samples)) for samples in x]
    near = es.neighbors.nearest(x[0, :8], pictures.points)[1][:, 0]
    shown = np.stack([x[0, :8], pictures.points[near]]) + pictures.mean
    shown = np.clip(np.round(127 * shown), -127, 127).astype("int8")
    return {
        "found": np.array(found, "f4"),
        "covered": covered,
        "clean": np.array(clean, "f4"),
        "shown": shown,
    }


def each(network, level=1.0):
    """Return the denoiser of each member at one level."""
    members = network.module.members

    def guess(x, member):
        rows = np.broadcast_to(x, (members, *x.shape)).reshape(-1, x.shape[1])
        return network.denoise(rows, level).reshape(members, *x.shape)[member]

    return [lambda x, k=k: guess(x, k) for k in range(members)]


def run_pictures(place, pictures, methods):
    fresh = (*pictures.measure(pictures.fresh[:300]), 0.0)
    level = np.broadcast_to(1.0, len(pictures.fresh))
    guess = partial(es.EmpiricalScore(pictures.points).denoise, sigma=level)
    base = {
        "fresh": np.array(fresh, "f4"),
        "perfect": np.float32(pictures.error(guess)),
        "copies": np.float32(pictures.covered(pictures.points)),
        "clean": np.float32(pictures.copies(pictures.without_grain(pictures.fresh))),
    }
    keep(f"{place}/base", base)
    for name in methods:
        case = f"{place}/{name}"
        if not known(case):
            result = picture_run(pictures, name)
            keep(case, result)
            print(case, np.round(result["found"], 3).tolist(), flush=True)


def run_images():
    kinds = "informed", "blind", "g1", "g2", "features", "random"
    run_pictures("digits", digits(), kinds)


def run_clothes():
    run_pictures("clothes", clothes(), ("informed", "blind", "g1", "g2"))


def main():
    torch.set_num_threads(1)
    parts = {"toys": run_toys, "images": run_images, "clothes": run_clothes}
    for part in sys.argv[1:] or parts:
        parts[part]()


if __name__ == "__main__":
    main()
