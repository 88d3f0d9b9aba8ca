"""Measure how often the audit is wrong, and how little copying it finds.

    EMPIRICAL_SCORE_DATA=... \\
        python tools/experiments/why_you_can_believe_the_audit.py [SET ...]

For each image set, real images are split at random into a training set, "generated"
samples and held-out data, so that nothing is copied: how often does the audit say that
something is?  Then a share of the generated samples is replaced by copies of training
images: how often does it notice, what rate does it state, whom does it flag?  The four
sets take about ten minutes on one core, most of it for distances.  Two runs on
different machines may differ in single p-values where distances tie in rounding.

The record beside this script (NumPy arrays, no pickle) has, for every SET:

SET/sizes            train, generated, held-out, dimension, number of splits
SET/p                (splits,) p-value of the verdict (Fisher), nothing copied
SET/joint            (splits, 4) joint p-values of the four statistics
SET/verdict          (splits,) 0 no copying, 1 copying, 2 undetermined, level 0.01
SET/flags            (splits,) flagged samples, all of them false
SET/detectable       (splits, 2) detectable number and rate of copies
SET/below            (splits, 4, 2) generated and held-out samples below the thresholds
SET/median           (splits, 4, 2) medians of the four statistics
SET/plain            (splits, 3) what is usually reported, nothing copied: the share of
                     d1/d2 < 1/3 (any two nearest neighbors), that of authentic samples
                     and the z of Mann and Whitney of distances ("C_T" with one cell)
SET/generated, SET/holdout   (size,) the ratios of the first split, for a figure

and for every KIND of copy (exact, noisy, flipped: audited without flips, mirrored: the
same with flips, repeated: copies of images that the training set holds five times) and
every RATE planted:

SET/KIND/RATE/p          (plantings,) p-value of the verdict
SET/KIND/RATE/verdict    (plantings,)
SET/KIND/RATE/rate       (plantings, 3) stated rate and its interval
SET/KIND/RATE/flags      (plantings, 3) flagged: copies, others; and copies planted
SET/KIND/RATE/plain      (plantings, 3) as above, with the copies
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))
import empirical_score as es
from empirical_score.auditing.copy_statistics import (
    Measures,
    estimate_bandwidth,
    estimate_tolerance,
    flip,
    from_distances,
    measure,
)
from empirical_score.auditing.copy_tests import shift
from empirical_score.auditing.judge import judge
from empirical_score.exact.neighbors import distinct_nearest, first_distinct, nearest

RECORD = Path(__file__).with_suffix(".npz")
NEIGHBORS, POOL, NOISE, REPEATS, LISTED = 5, 300, 0.05, 4, 48
VERDICT = {False: 0, True: 1, "undetermined": 2}
# Set: training, generated and held-out sizes, splits; splits that also try mirrors and
# repeated training images, which takes longer.
SETS = {
    "digits": ((797, 500, 500), 200, 0),
    "cifar10": ((5000, 5000, 5000), 20, 1),
    "fashion_mnist": ((10_000, 5000, 5000), 20, 1),
    "mnist": ((10_000, 5000, 5000), 20, 0),
}
# Kind: the rates planted, and how often in each split.
PLANTINGS = {
    "exact": {0.001: 2, 0.01: 5, 0.05: 1},
    "noisy": {0.001: 2, 0.01: 5, 0.05: 1},
    "flipped": {0.01: 5},
    "mirrored": {0.01: 5},
    "repeated": {0.01: 5},
}


def images(name):
    """All images of a set, shape (n, d), and the shape of one."""
    if name == "digits":
        return es.datasets.digits()[0], (8, 8)
    load = getattr(es.datasets, name)
    every = np.concatenate([load("train")[0], load("test")[0]])
    return every, (32, 32, 3) if name == "cifar10" else (28, 28)


def usual_ratio(x, train):
    """Distance to the nearest training point over that to the second nearest."""
    distances, _ = es.neighbors.nearest(x, train, 2)
    return distances[:, 0] / np.maximum(distances[:, 1], 1e-300)


class Pool:
    """Images of which all splits are made: neighbors among them are found once."""

    def __init__(self, images, count):
        self.images = images
        self.near, self.which = nearest(images, images, count)

    def neighbors(self, rows, member, k, tolerance):
        """Distances and pool rows of the k nearest distinct members of training."""
        near, which = self.near[rows], self.which[rows]
        inside = member[which]
        # Members first, in order; a few more than k, in case of near-duplicates.
        order = np.argsort(~inside, axis=1, kind="stable")[:, : k + 2]
        near, which, inside = (
            np.take_along_axis(array, order, axis=1) for array in (near, which, inside)
        )
        chosen, count = first_distinct(near, which, self.images, k, tolerance)
        e = np.take_along_axis(near, chosen, axis=1)
        index = np.take_along_axis(which, chosen, axis=1)
        few = np.flatnonzero((count < k) | ~inside.all(axis=1))
        if few.size:
            train = np.flatnonzero(member)
            x, data = self.images[rows[few]], self.images[train]
            e[few], found = distinct_nearest(x, data, k, tolerance)
            index[few] = train[found]
        return e, index


def join(*parts):
    """Measures of several sets of samples as one."""
    return Measures(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def plain(ours, theirs, usual):
    """The numbers that are usually reported, without a baseline."""
    nearer, p = shift(ours.distance, theirs.distance)
    m, h = ours.distance.shape[0], theirs.distance.shape[0]
    z = -(nearer - 0.5) * np.sqrt(12 * m * h / (m + h + 1))
    authentic = np.mean(ours.authenticity > 1)
    return np.mean(usual < 1 / 3), authentic, z


class Split:
    """One random split, its measures, and those of copies to plant."""

    def __init__(self, every, shape, sizes, rng, *, mirrors, repeated, pool=None):
        n, m, h = sizes
        rows = rng.permutation(every.shape[0])[: n + m + h]
        train, self.rng = every[rows[:n]], rng
        chosen = rng.choice(n, size=min(POOL, n // 4), replace=False)
        sources = train[chosen]
        if repeated:
            noise = 0.02 * rng.standard_normal((REPEATS, *sources.shape))
            again = np.clip(sources + noise, -1, 1).astype(train.dtype)
            train = np.concatenate([train, *again])
        tolerance = estimate_tolerance(train, rng)
        options = {"neighbors": NEIGHBORS, "tolerance": tolerance}
        width = estimate_bandwidth(train, rng, **options)
        self.options = options | {"bandwidth": width}
        noisy = sources + NOISE * rng.standard_normal(sources.shape)
        kinds = {"repeated": sources}
        if not repeated:
            kinds = {"exact": sources, "noisy": np.clip(noisy, -1, 1)}
        kinds |= {"flipped": flip(sources, shape)} if mirrors else {}
        kinds = {kind: x.astype(train.dtype) for kind, x in kinds.items()}
        self.sizes, self.dimension = (train.shape[0], m, h), train.shape[1]
        if pool is None:
            x = every[rows[n:]]
            self.ours, self.theirs, self.copies = self._measure(x, train, kinds)
            self.usual = usual_ratio(x[:m], train)
        else:
            self._look_up(pool, rows, kinds)
        self.usual_copies = {k: usual_ratio(v, train) for k, v in kinds.items()}
        self.mirrored = None
        if mirrors:
            x = every[rows[n:]]
            parts = self._measure(x, train, {"m": kinds["flipped"]}, shape=shape)
            self.mirrored = parts[0], parts[1], parts[2]["m"]

    def _measure(self, x, train, kinds, shape=None):
        """Measures of generated and held-out samples and of each kind of copy."""
        _, m, h = self.sizes
        x = np.concatenate([x, *kinds.values()])
        all_ = measure(x, train, shape=shape, **self.options)
        copies, start = {}, m + h
        for kind, value in kinds.items():
            copies[kind] = all_.part(slice(start, start + value.shape[0]))
            start += value.shape[0]
        return all_.part(slice(0, m)), all_.part(slice(m, m + h)), copies

    def _look_up(self, pool, rows, kinds):
        """The same measures from the neighbors that the pool knows."""
        n, m, h = self.sizes
        member = np.zeros(pool.images.shape[0], dtype=bool)
        member[rows[:n]] = True
        train, k = pool.images[rows[:n]], NEIGHBORS
        e, index = pool.neighbors(rows[n:], member, k, self.options["tolerance"])
        used, place = np.unique(index[:, 0], return_inverse=True)
        o, _ = pool.neighbors(used, member, k + 1, self.options["tolerance"])
        flipped = np.zeros(m + h, dtype=bool)
        width = self.options["bandwidth"]
        all_ = from_distances(e, o[place, 1:], width, index[:, 0], flipped)
        self.ours, self.theirs = all_.part(slice(0, m)), all_.part(slice(m, None))
        first = pool.neighbors(rows[n : n + m], member, 2, 0.0)[0]
        self.usual = first[:, 0] / np.maximum(first[:, 1], 1e-300)
        self.copies = {
            kind: measure(x, train, **self.options) for kind, x in kinds.items()
        }

    def audit(self, ours, theirs, permutations=999):
        """The audit of samples already measured; fewer permutations than usual."""
        settings = {
            "train": self.sizes[0],
            "distinct": self.sizes[0],
            "generated": self.sizes[1],
            "holdout": self.sizes[2],
            "holdout_given": True,
            "dimension": self.dimension,
            "neighbors": NEIGHBORS,
            "threshold": 1 / 3,
            "level": 0.01,
            "confidence": 0.95,
            "false_discoveries": 0.1,
            "permutations": permutations,
        }
        return judge(ours, theirs, settings, self.rng)

    def plant(self, kind, rate):
        """The audit after a share of the samples was replaced by copies."""
        ours, theirs = self.ours, self.theirs
        if kind == "mirrored":
            ours, theirs, pool = self.mirrored
        else:
            pool = self.copies[kind]
        m = self.sizes[1]
        count = round(rate * m)
        chosen = self.rng.choice(pool.ratio.shape[0], size=count, replace=False)
        ours = join(pool.part(chosen), ours.part(slice(count, None)))
        usual = self.usual_copies["flipped" if kind == "mirrored" else kind][chosen]
        usual = np.concatenate([usual, self.usual[count:]])
        found = self.audit(ours, theirs, permutations=99)
        flags = np.array([flag.sample for flag in found.flagged], dtype=int)
        return {
            "p": found.p_value,
            "verdict": VERDICT[found.copying],
            "rate": tuple(found.copy_rate),
            "flags": (np.sum(flags < count), np.sum(flags >= count), count),
            "plain": plain(ours, theirs, usual),
        }


def study(name, splits, sizes, mirrors, seed):
    """Yield the record of a set after each split."""
    every, shape = images(name)
    pool = None
    if name != "digits":
        chosen = np.random.default_rng(seed).permutation(every.shape[0])
        pool = Pool(every[chosen[: sum(sizes)]], LISTED)
        every = pool.images
    rows, planted, record = [], {}, {}
    for number in range(splits):
        rng = np.random.default_rng([seed, number])
        # Digits are too few for rates of copies.
        kinds = {} if name == "digits" else PLANTINGS
        options = {"mirrors": number < mirrors, "repeated": False, "pool": pool}
        split = Split(every, shape, sizes, rng, **options)
        found = split.audit(split.ours, split.theirs)
        every_statistic = found.statistics.values()
        rows.append(
            {
                "p": found.p_value,
                "joint": [s.p_value for s in every_statistic],
                "verdict": VERDICT[found.copying],
                "flags": len(found.flagged),
                "detectable": (found.detectable_copies, found.detectable_rate),
                "below": [
                    (s.generated_below[0], s.holdout_below[0]) for s in every_statistic
                ],
                "median": [
                    (s.generated_median, s.holdout_median) for s in every_statistic
                ],
                "plain": plain(split.ours, split.theirs, split.usual),
            }
        )
        if number == 0:
            record[f"{name}/generated"] = split.ours.ratio.astype(np.float32)
            record[f"{name}/holdout"] = split.theirs.ratio.astype(np.float32)
            record[f"{name}/sizes"] = np.array([*sizes, every.shape[1], splits])
        for kind, rates in kinds.items():
            source = split
            if kind in ("flipped", "mirrored") and number >= mirrors:
                continue
            if kind == "repeated":
                if number >= mirrors:
                    continue
                source = Split(every, shape, sizes, rng, mirrors=False, repeated=True)
            for rate, times in rates.items():
                for _ in range(times):
                    planted.setdefault((kind, rate), []).append(
                        source.plant(kind, rate)
                    )
        record |= {f"{name}/{key}": column(rows, key) for key in rows[0]}
        for (kind, rate), results in planted.items():
            for key in results[0]:
                record[f"{name}/{kind}/{rate:g}/{key}"] = column(results, key)
        yield number, record


def column(rows, key):
    """One entry of all rows as an array, as small as its kind allows."""
    values = np.array([row[key] for row in rows])
    return values.astype(np.int32 if values.dtype.kind in "iu" else np.float32)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="*", metavar="SET", help=", ".join(SETS))
    parser.add_argument("--splits", type=int, help="at most so many splits a set")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RECORD, help="the record (.npz)")
    options = parser.parse_args(arguments)
    record = dict(np.load(options.out)) if options.out.exists() else {}
    for name in options.sets or SETS:
        sizes, splits, mirrors = SETS[name]
        splits = min(splits, options.splits or splits)
        began = time.perf_counter()
        for number, found in study(name, splits, sizes, mirrors, options.seed):
            seconds = time.perf_counter() - began
            print(f"{name:14} {number + 1:3} of {splits} {seconds:7.0f} s", flush=True)
            kept = {k: v for k, v in record.items() if not k.startswith(f"{name}/")}
            np.savez_compressed(options.out, **kept, **found)
        record = dict(np.load(options.out))


if __name__ == "__main__":
    main()
