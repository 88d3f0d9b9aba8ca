"""What the usual criteria say of splits such as the audit is tried on.

    EMPIRICAL_SCORE_DATA=... \\
        python tools/experiments/why_you_can_believe_the_audit.peers.py

Splits and copies as in why_you_can_believe_the_audit.py, a few of each and with
training sets of 5,000 images.  Five criteria, each restated in a few lines from its
paper's definition:

two       d1 / d2 < 1/3 (Yoon et al. 2023, Gu et al. 2023)
fifty     d1 < 0.5 times the mean distance of the 50 nearest (after Carlini et al. 2023)
inauthentic  d1 below the distance of the nearest training point to its own nearest
          (Alaa et al. 2022: not authentic)
near      d1 / sqrt(d) < 0.1, a threshold as one might choose it by eye
C_T       Mann and Whitney's z of d1 in each of three cells (k-means), averaged with the
          held-out shares as weights (Meehan et al. 2020); here divided by the standard
          deviation of that average, so that it is standard normal if nothing is copied

The record beside this script (NumPy arrays, no pickle) has, for every SET, the counts
of the first four among generated and held-out samples and the fifth:

SET/sizes          train, generated, held-out, dimension, number of splits
SET/clean          (splits, 4, 2) counts, nothing copied
SET/clean/C_T      (splits,)
SET/KIND/RATE      (plantings, 4, 2) counts with copies; SET/KIND/RATE/C_T (plantings,)

KIND is exact, noisy or flipped and RATE the share planted, 5 times in each split.
About five minutes on one core.
"""

import sys
import time
from pathlib import Path
from runpy import run_path

import numpy as np
from scipy.stats import rankdata
from sklearn.cluster import KMeans

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))
import empirical_score as es
from empirical_score.auditing.copy_statistics import flip

RECORD = Path(__file__).with_suffix(".npz")
AUDIT = run_path(str(Path(__file__).with_name("why_you_can_believe_the_audit.py")))
NAMES = ("two", "fifty", "inauthentic", "near")
RATES, TIMES = (0.001, 0.01, 0.05), 5
SPLITS = {"digits": 40, "cifar10": 3}  # 6 of each of the other two
SIZES = {"digits": (797, 500, 500)}  # of the others 5,000 of each kind


def describe(x, train):
    """Distances to the 50 nearest training points, and the own gap of the nearest."""
    d, index = es.neighbors.nearest(x, train, 50)
    used, place = np.unique(index[:, 0], return_inverse=True)
    own = es.neighbors.nearest(train[used], train, 2)[0][:, 1]
    return d, own[place]


def flags(d, own, dimension):
    """The four criteria that look at one sample, ``(4, m)``."""
    first, second = d[:, 0], d[:, 1]
    return np.stack(
        [
            first < second / 3,  # two copies at distance 0 are 0 < 0: not memorized
            first < 0.5 * d.mean(axis=1),
            first < own,
            first < 0.1 * np.sqrt(dimension),
        ]
    )


def mann_whitney(generated, holdout):
    """z of the rank sum of generated distances: negative if they are smaller."""
    m, h = len(generated), len(holdout)
    ranks = rankdata(np.concatenate([generated, holdout]))
    u = ranks[:m].sum() - m * (m + 1) / 2
    return (u - m * h / 2) / np.sqrt(m * h * (m + h + 1) / 12)


def c_t(generated, holdout, cells):
    """The cell-weighted z of Meehan et al., over its own standard deviation."""
    ours, theirs = cells
    z, weight = [], []
    for cell in np.unique(theirs):
        a, b = generated[ours == cell], holdout[theirs == cell]
        if len(a) >= 20 and len(b) >= 20:
            z.append(mann_whitney(a, b))
            weight.append(len(b))
    return float(np.dot(z, weight) / np.linalg.norm(weight))


class Cells:
    """Three cells of the training set: k-means on its leading 64 components."""

    def __init__(self, train):
        self.mean = train.mean(axis=0)
        gram = np.cov(train[:5000].T)
        self.axes = np.linalg.eigh(gram)[1][:, -64:].astype(train.dtype)
        self.means = KMeans(3, n_init=2, random_state=0).fit(self(train, raw=True))

    def __call__(self, x, raw=False):
        x = (x - self.mean) @ self.axes
        return x if raw else self.means.predict(x)


def study(name, every, shape, sizes, number, seed=0):
    """Yield the name and value of every entry of one split."""
    n, m, h = sizes
    rng = np.random.default_rng([seed, number])
    rows = rng.permutation(every.shape[0])[: n + m + h]
    train, x = every[rows[:n]], every[rows[n:]]
    sources = train[rng.choice(n, size=min(AUDIT["POOL"], n // 4), replace=False)]
    noise = AUDIT["NOISE"] * rng.standard_normal(sources.shape)
    pools = {
        "exact": sources,
        "noisy": np.clip(sources + noise, -1, 1).astype(train.dtype),
        "flipped": flip(sources, shape),
    }
    cells = Cells(train)
    yield from judged(name, x, pools, train, sizes, cells, rng)


def judged(name, x, pools, train, sizes, cells, rng):
    """Yield what the criteria say of a split, clean and with each kind of copy."""
    _, m, _ = sizes
    every = np.concatenate([x, *pools.values()])
    d, own = describe(every, train)
    flagged, cell, d = flags(d, own, train.shape[1]), cells(every), d[:, 0]
    ours, theirs, start = slice(0, m), slice(m, len(x)), len(x)

    def entry(rows):
        counts = flagged[:, rows].sum(axis=1), flagged[:, theirs].sum(axis=1)
        score = c_t(d[rows], d[theirs], (cell[rows], cell[theirs]))
        return np.stack(counts, axis=1), score

    yield from zip((f"{name}/clean", f"{name}/clean/C_T"), entry(ours), strict=True)
    for kind, pool in pools.items():
        own_rows = start + np.arange(len(pool))
        start += len(pool)
        for rate in RATES:
            count = round(rate * m)
            if count == 0 or count > len(pool):
                continue
            for _ in range(TIMES):
                chosen = rng.choice(own_rows, size=count, replace=False)
                rows = np.concatenate([chosen, np.arange(count, m)])
                key = f"{name}/{kind}/{rate:g}"
                yield from zip((key, f"{key}/C_T"), entry(rows), strict=True)


def main(sets=None, splits=None):
    record = dict(np.load(RECORD)) if RECORD.exists() else {}
    for name in sets or AUDIT["SETS"]:
        sizes = SIZES.get(name, (5000, 5000, 5000))
        most = splits or SPLITS.get(name, 6)
        every, shape = AUDIT["images"](name)
        found, began = {}, time.perf_counter()
        for number in range(most):
            for key, value in study(name, every, shape, sizes, number):
                found.setdefault(key, []).append(value)
            seconds = time.perf_counter() - began
            print(f"{name:14} {number + 1:3} of {most} {seconds:7.0f} s")
            sys.stdout.flush()
            record = {k: v for k, v in record.items() if not k.startswith(f"{name}/")}
            for key, values in found.items():
                kind = np.float32 if key.endswith("C_T") else np.int32
                record[key] = np.array(values).astype(kind)
            shape_row = np.array([*sizes, every.shape[1], number + 1])
            record[f"{name}/sizes"] = shape_row
            np.savez_compressed(RECORD, **record)


if __name__ == "__main__":
    main(sys.argv[1:])
