"""Train the networks of the chapter "Onto the subspace" and record their weights.

    python tools/experiments/onto_the_subspace.py

Small networks in time-conditioned form, on points of a segment in the plane, of a
circle, and of a sphere in 20 dimensions. Some minutes on one core. The record beside
this script (NumPy arrays, float32, no pickle) holds the weights, under the keys
``case/layer``, and nothing that could be computed from them: the chapter samples from
the networks, measures, and trains one of them again.
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))
import empirical_score as es

RECORD = Path(__file__).with_suffix(".npz")
LEVELS = 0.02, 1.5
BATCH, SEED = 512, 1
WIDE, DEEP = {"hidden": (192,)}, {"hidden": (48, 48)}
CHECKPOINTS = 500, 1500, 4500


def falling(fraction):
    """Adam's step size: a half cosine from 0.003 to 0."""
    return 0.0015 * (1 + np.cos(np.pi * fraction))


def sphere(n, dimension=20, seed=0):
    """Points spread evenly over a 2-sphere of radius 1, turned into ``dimension``."""
    k = np.arange(n) + 0.5
    height, angle = 1 - 2 * k / n, np.pi * (1 + np.sqrt(5)) * k
    flat = np.sqrt(1 - height**2)
    points = np.stack([flat * np.cos(angle), flat * np.sin(angle), height], axis=1)
    rng = np.random.default_rng(seed)
    frame, _ = np.linalg.qr(rng.standard_normal((dimension, 3)))
    return points @ frame.T


def segment(n):
    """Equally spaced points on the first axis of the plane, from -1 to 1."""
    return np.stack([np.linspace(-1, 1, n), np.zeros(n)], axis=1)


def descend(points, steps, *, weight_decay=0.0, exact=False, **form):
    """Yield the network after each step.

    With ``exact`` it sees the logarithm of the noise level, scaled inputs, and the
    exact denoiser as its target; else raw inputs and the clean points.
    """
    if exact:
        form |= {"form": "edm", "scale": float(np.sqrt(np.mean(points**2)))}
    rng = np.random.default_rng(SEED)
    network = es.Denoiser(points.shape[1], rng, dtype="float32", **form)
    for record in es.train(
        network,
        points,
        LEVELS,
        rng,
        steps=steps,
        batch=BATCH,
        rate=falling,
        target=es.EmpiricalScore(points) if exact else None,
        weight_decay=weight_decay,
    ):
        yield record, network


def cases():
    """Yield name, points, steps to record, and settings of every network."""
    decay = {"weight_decay": 0.1}
    yield "segment", segment(4), (4000,), WIDE | decay
    for n in (8, 16):
        points = es.datasets.circle(n)
        yield f"circle_{n}_wide", points, CHECKPOINTS, WIDE
        yield f"circle_{n}_deep", points, CHECKPOINTS, DEEP
        yield f"circle_{n}_exact", points, CHECKPOINTS, DEEP | {"exact": True}
    yield "sphere_32_wide", sphere(32), (4000,), WIDE
    yield "sphere_32_deep", sphere(32), (4000,), {"hidden": (96, 96)}


def main():
    torch.set_num_threads(1)
    arrays = {}
    for name, points, steps, settings in cases():
        losses = []
        for record, network in descend(points, steps[-1], **settings):
            losses.append(record.loss)
            if record.step in steps:
                print(f"{name:16} {record.step:5} {np.mean(losses[-300:]):.4f}")
                case = f"{name}_{record.step}"
                arrays |= {f"{case}/{k}": v for k, v in network.state().items()}
    np.savez_compressed(RECORD, **arrays)


if __name__ == "__main__":
    main()
