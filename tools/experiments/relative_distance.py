"""Measure Delta for the chapter "When is a generator far from its training set?".

    python tools/experiments/relative_distance.py

The linear model of `empirical_score.linear` at several dimensions, noise-to-signal
ratios and numbers of fresh points. A repetition draws a fresh set (in a hundred
dimensions, and for 5,000 points, several repetitions share one) and, for each n, a
training set and the model's noise. About a minute on one core. The record beside this
script (NumPy arrays, no pickle) holds, for each repetition and each n, the sign of
Delta and three logarithms of its terms: pairs of the training set, overlaps with the
training and with the fresh set. In the main case it also holds the sign that comes out
with the covariance transposed. The chapter counts signs, and runs some repetitions
again.
"""

import copy
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))
import empirical_score as es

RECORD = Path(__file__).with_suffix(".npz")
NU = 1 - np.exp(-4.0)  # T = 2, lambda exp(2 T) = 1
GRID = (5, 10, 15, 20, 25, 30, 35, 40, 50, 60, 80, 100, 140, 200)
WIDE = (25, 50, 70, 85, 100, 115, 130, 150, 175, 200, 250, 300, 400, 600, 1000)

# name: d, nu, number of fresh points, training set sizes, repetitions, of one fresh set
CASES = {
    "main": (20, NU, 2000, GRID, 100, 1),
    "wide": (100, NU, 10_000, WIDE, 20, 20),
    "d10": (10, NU, 2000, (12, 14, 16, 18, 20, 23, 27, 32), 40, 1),
    "d30": (30, NU, 2000, (40, 46, 52, 58, 66, 76, 90, 110), 40, 1),
    "d40": (40, NU, 2000, (60, 72, 84, 96, 110, 130, 155, 190), 40, 1),
    "d50": (50, NU, 2000, (90, 110, 135, 165, 200, 240, 290, 350), 40, 1),
    "nu01": (20, 0.1, 2000, (20, 22, 24, 26, 28, 31, 35, 40), 40, 1),
    "nu03": (20, 0.3, 2000, (22, 25, 28, 31, 34, 38, 43, 50), 40, 1),
    "nu3": (20, 3.0, 2000, (26, 30, 34, 38, 42, 47, 54, 62), 40, 1),
    "nu10": (20, 10.0, 2000, (28, 31, 34, 38, 43, 50, 58, 68), 40, 1),
    "n500": (20, NU, 500, (28, 34, 40, 47, 55, 65, 80, 100), 40, 1),
    "n5000": (20, NU, 5000, (24, 26, 28, 31, 34, 38, 44, 52), 40, 10),
}


@lru_cache(maxsize=1)
def fresh_set(name, block):
    """Return the relative distance to one fresh set."""
    d, _, fresh, *_ = CASES[name]
    rng = np.random.default_rng([list(CASES).index(name), 1, block])
    return es.RelativeDistance(rng.standard_normal((fresh, d)))


def repetition(name, index):
    """Return signs ``(sizes,)``, terms ``(sizes, 3)`` and signs with ``B^T B``."""
    d, nu, _, sizes, _, shared = CASES[name]
    compare = fresh_set(name, index // shared)
    rng = np.random.default_rng([list(CASES).index(name), 0, index])
    signs, terms, turned = [], [], []
    for n in sizes:
        data = rng.standard_normal((n, d))
        noisy = data + np.sqrt(nu) * rng.standard_normal((n, d))
        fit = es.LinearDenoiser(noisy, data)
        law = fit.generated(np.mean(np.var(data, axis=0, ddof=1)) + nu)
        delta = compare(law, data)
        signs.append(delta.sign)
        terms.append([delta.log_pairs_train, *delta[-2:]])
        if name == "main":
            law = copy.copy(law)
            law.axes = np.linalg.svd(fit.slope)[2].T  # of B^T B, with the same mean
            turned.append(compare(law, data).sign)
    return np.array(signs), np.array(terms), np.array(turned)


def main():
    arrays = {}
    for name, (*_, sizes, repeats, _) in CASES.items():
        runs = [repetition(name, index) for index in range(repeats)]
        signs, terms, turned = (np.array(part) for part in zip(*runs, strict=True))
        arrays |= {f"{name}/sizes": np.array(sizes), f"{name}/sign": np.int8(signs)}
        arrays[f"{name}/terms"] = np.float32(terms)
        if turned.size:
            arrays[f"{name}/turned"] = np.int8(turned)
        shares = np.mean(signs > 0, axis=0)
        print(name, dict(zip(sizes, shares.round(2).tolist(), strict=True)), flush=True)
    np.savez_compressed(RECORD, **arrays)


if __name__ == "__main__":
    main()
