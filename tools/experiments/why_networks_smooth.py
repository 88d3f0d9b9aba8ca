"""Train the networks of the chapter "Why networks smooth" and record their weights.

    python tools/experiments/why_networks_smooth.py

One two-layer ReLU network for each weight decay and noise level, on the exact score of
the points -1 and 1; each level starts from the weights of the level above. Some minutes
on one core. The record beside this script (NumPy arrays, float32, no pickle) holds the
networks ``F(x) = sum_i outer_i max(inner_i x + bias_i, 0) + offset``, and nothing that
could be computed from them: the chapter measures, and trains one of them again.
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))
import empirical_score as es

RECORD = Path(__file__).with_suffix(".npz")
PENALTIES = (0.05, 0.1, 0.2)
LEVELS = es.geometric_levels(20, 0.45, 0.03)
WIDTH, SEED = 80, 7
FIRST, STEPS = 6000, 4000


def quadrature(reach=6.0, count=321):
    """Noises and weights that integrate against the standard normal density."""
    z = np.linspace(-reach, reach, count)
    weight = np.exp(-(z**2) / 2)
    return z[:, None], weight / weight.sum()


def falling(fraction):
    """Adam's step size: a half cosine from 0.01 to 0."""
    return 0.005 * (1 + np.cos(np.pi * fraction))


def descend(penalty, levels=LEVELS, steps=STEPS, seed=SEED):
    """Yield the level and the trained network, from much noise to little."""
    points = np.array([[-1.0], [1.0]])
    rng = np.random.default_rng(seed)
    network = es.Denoiser(1, rng, hidden=(WIDTH,), conditional=False)
    noise, weights = quadrature()
    for sigma in levels:
        *_, record = es.train(
            network,
            points,
            float(sigma),
            rng,
            steps=FIRST if sigma == levels[0] else steps,
            rate=falling,
            target=es.EmpiricalScore(points),
            noise=noise,
            noise_weights=weights,
            weight_decay=penalty,
        )
        yield float(sigma), network, record


def main():
    torch.set_num_threads(1)
    parts = {"inner": [], "bias": [], "outer": [], "offset": []}
    for penalty in PENALTIES:
        for sigma, network, record in descend(penalty):
            print(f"{penalty:5} {sigma:6.3f} {record.loss:.5f} {record.penalty:.5f}")
            inner, bias, outer, offset = network.state().values()
            values = inner[:, 0], bias, outer[0], offset[0]
            for name, value in zip(parts, values, strict=True):
                parts[name].append(value)
    shape = len(PENALTIES), len(LEVELS)
    arrays = {
        name: np.reshape(values, (*shape, *np.shape(values[0]))).astype("float32")
        for name, values in parts.items()
    }
    np.savez_compressed(RECORD, sigma=LEVELS, penalty=PENALTIES, **arrays)


if __name__ == "__main__":
    main()
