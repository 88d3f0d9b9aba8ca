"""Measure tempered generators on curves for "Turning up the temperature".

    python tools/experiments/turning_up_the_temperature.py

For each curve and each of some draws of a training set: samples of the tempered
probability-flow ODE at several temperatures, samples of kernel density estimates and
fresh samples of the curve. The record beside this script holds for each curve an array
``(draws, settings, 3)``: the memorized share, the mean distance to the curve, and the
share of the curve that is covered. About ten minutes on one core.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))
import empirical_score as es
from empirical_score import curves, neighbors

RECORD = Path(__file__).with_suffix(".npz")
DRAWS, SAMPLES, REACH = 16, 600, 0.1
LEVELS = 100, 3.0, 1e-3
SETTINGS = [
    ("fresh", 0.0),
    *[("constant", t) for t in (1.0, 4.0, 16.0, 64.0, 256.0, 1024.0)],
    *[("g = 1", level) for level in (0.1, 0.3, 1.0, 3.0)],
    *[("g = 2", level) for level in (0.05, 0.1, 0.15, 0.2, 0.3)],
    *[("kernel", level) for level in (0.01, 0.02, 0.05, 0.1)],
]


def figure_eight():
    """A curve in the plane that crosses itself, two units wide."""

    def arc(u):
        angle = 2 * np.pi * np.asarray(u)
        return np.stack([np.sin(angle), np.sin(2 * angle) / 2], axis=-1)

    return curves.Curve(arc, closed=True)


def trefoil():
    """The trefoil knot in space, two units wide."""

    def arc(u):
        angle = 2 * np.pi * np.asarray(u)
        parts = [
            np.sin(angle) + 2 * np.sin(2 * angle),
            np.cos(angle) - 2 * np.cos(2 * angle),
            -np.sin(3 * angle),
        ]
        return np.stack(parts, axis=-1) / 3

    return curves.Curve(arc, closed=True)


CURVES = {
    "circle, even": (curves.circle(), 24),
    "circle": (curves.circle(), 24),
    "moons": (curves.two_moons(), 60),
    "roll": (curves.swiss_roll(), 80),
    "eight": (figure_eight(), 60),
    "trefoil": (trefoil(), 120),
}


def generate(data, kind, value, rng):
    """Draw ``SAMPLES`` samples of one setting, ``(SAMPLES, d)``."""
    chosen = data[rng.integers(len(data), size=SAMPLES)]
    z = rng.standard_normal(chosen.shape)
    if kind == "kernel":
        return chosen + value * z
    powers = {"g = 1": 1, "g = 2": 2}
    if kind in powers:
        value = es.PowerTemperature(value, powers[kind])
    levels = es.geometric_levels(*LEVELS)
    return es.sample_ode(es.TemperedScore(data, value), chosen + levels[0] * z, levels)


def measure(name, draw, settings=SETTINGS):
    """Return the three measures of each setting for one training set, ``(k, 3)``.

    A sample counts as memorized within a tenth of the median distance between nearest
    training points.
    """
    curve, n = CURVES[name]
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
            x = generate(data, kind, value, rng)
        share = np.mean(neighbors.memorized(x, data, REACH * spacing))
        rows.append([share, np.mean(curve.distance(x)), curve.coverage(x, REACH)])
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
