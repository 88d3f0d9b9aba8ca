"""Measure tempered generators on curves for "Turning up the temperature".

    python tools/experiments/turning_up_the_temperature.py

For each curve and each of some draws of a training set: samples of the tempered
probability-flow ODE at several temperatures, samples of kernel density estimates and
fresh samples of the curve. The record beside this script holds for each curve an array
``(draws, settings, 5)``: the memorized shares at two reaches, the mean distance to the
curve, and the shares of the curve that are covered, coarsely and finely. Some minutes
on one core.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))
import empirical_score as es
from empirical_score import curves, neighbors

RECORD = Path(__file__).with_suffix(".npz")
DRAWS, SAMPLES = 12, 600
REACHES, COVERS = (0.1, 0.5), (0.1, 0.02)
COUNT, HIGHEST = 80, 3.0
SETTINGS = [
    ("fresh", 0.0),
    *[("constant", t) for t in (1.0, 4.0, 16.0, 64.0, 256.0, 1024.0)],
    *[("g = 1", level) for level in (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)],
    *[("g = 2", level) for level in (0.05, 0.1, 0.15, 0.2, 0.3)],
    *[("kernel", level) for level in (0.002, 0.005, 0.01, 0.02, 0.05, 0.1)],
]


def figure_eight():
    """A curve in the plane that crosses itself, two units wide."""

    def arc(u):
        angle = 2 * np.pi * np.asarray(u)
        return np.stack([np.sin(angle), np.sin(2 * angle) / 2], axis=-1)

    return curves.Curve(arc, closed=True)


def trefoil(dimension=20):
    """The trefoil knot, two units wide, in a random subspace of many dimensions."""
    rng = np.random.default_rng(20)
    frame, _ = np.linalg.qr(rng.standard_normal((dimension, 3)))

    def arc(u):
        angle = 2 * np.pi * np.asarray(u)
        parts = [
            np.sin(angle) + 2 * np.sin(2 * angle),
            np.cos(angle) - 2 * np.cos(2 * angle),
            -np.sin(3 * angle),
        ]
        return np.stack(parts, axis=-1) / 3 @ frame.T

    return curves.Curve(arc, closed=True)


# The last noise level has to leave less than a tenth of a spacing, in all dimensions.
CURVES = {
    "moons": (curves.two_moons(), 60, 1e-3),
    "eight": (figure_eight(), 60, 1e-3),
    "trefoil": (trefoil(), 120, 2e-4),
    "circle, even": (curves.circle(), 24, 1e-3),
    "circle": (curves.circle(), 24, 1e-3),
    "roll": (curves.swiss_roll(), 80, 1e-3),
}


def generate(data, kind, value, rng, last=1e-3):
    """Draw ``SAMPLES`` samples of one setting, ``(SAMPLES, d)``."""
    chosen = data[rng.integers(len(data), size=SAMPLES)]
    z = rng.standard_normal(chosen.shape)
    if kind == "kernel":
        return chosen + value * z
    powers = {"g = 1": 1, "g = 2": 2}
    if kind in powers:
        value = es.PowerTemperature(value, powers[kind])
    levels = es.geometric_levels(COUNT, HIGHEST, last)
    return es.sample_ode(es.TemperedScore(data, value), chosen + levels[0] * z, levels)


def measure(name, draw, settings=SETTINGS):
    """Return the five measures of each setting for one training set, ``(k, 5)``.

    A sample counts as memorized within a tenth, or a half, of the median distance
    between nearest training points; a place of the curve is covered within 0.1, or
    0.02, of a sample.
    """
    curve, n, last = CURVES[name]
    rng = np.random.default_rng(draw)
    even = name.endswith("even")
    data = es.datasets.circle(n) if even else curve.sample(n, rng)
    spacing = np.median(neighbors.nearest(data, data, 2)[0][:, 1])
    rows = []
    for kind, value in settings:
        rng = np.random.default_rng([draw, 1])
        if kind == "fresh":
            x = curve.sample(SAMPLES, rng)
        else:
            x = generate(data, kind, value, rng, last)
        near = neighbors.nearest(x, data)[0]
        shares = [np.mean(near < reach * spacing) for reach in REACHES]
        covered = [curve.coverage(x, radius) for radius in COVERS]
        rows.append([*shares, np.mean(curve.distance(x)), *covered])
    return np.array(rows)


def main():
    """Measure every curve and write the record."""
    record = {}
    for name in CURVES:
        record[name] = np.array([measure(name, draw) for draw in range(DRAWS)])
        print(name, np.round(record[name].mean(axis=0), 3).tolist(), flush=True)
        np.savez_compressed(RECORD, **record)


if __name__ == "__main__":
    main()
