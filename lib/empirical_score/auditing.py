"""Does a generator copy its training set?  Which samples, how sure, how little?

    import empirical_score as es

    report = es.audit(train, generated, holdout)  # arrays (n, d), or images (n, ...)
    print(report)                  # the verdict, and what it rests on, in words
    report.copying                 # True, False or "undetermined"
    report.flagged[:5]             # samples that are copies, and of what, surest first
    report.copy_rate               # value, low, high
    report.detectable_rate         # what would have been found with chance 90 %
    report.statistics["ratio"]     # one statistic's tests
    report.generated.ratio         # the statistic of every sample; .holdout likewise
    report.to_dict()               # plain numbers and words, for JSON

``holdout`` are real data that the generator has never seen: what copying is measured
against.  Every statistic of :mod:`~empirical_score.copy_statistics` is computed for
them, too, by the same rule; if the generator draws from the law of the data, the two
sets of values are exchangeable, and every test of :mod:`~empirical_score.copy_tests`
is exact, whatever that law.  Without ``holdout`` a fifth of the training set plays its
part.  On the command line: ``empirical-score audit --help``.
"""

import hashlib

import numpy as np

from . import copy_statistics, copy_tests
from ._arrays import (
    as_count,
    as_number,
    as_points,
    as_positive_number,
    as_real,
    is_torch_array,
)
from .audit_result import Audit, Flag, Statistic
from .audit_words import notes_of, verdict_of

__all__ = ["audit"]

SMALL = ("int8", "uint8", "int16", "uint16", "float16")  # exact in float32
LARGEST_SPLIT = 10_000
POWER = 0.9


def audit(
    train,
    generated,
    holdout=None,
    *,
    features=None,
    neighbors=5,
    tolerance=None,
    flips=False,
    shape=None,
    level=0.01,
    confidence=0.95,
    false_discoveries=0.1,
    permutations=9999,
    seed=0,
    memory=2**28,
    progress=None,
):
    """Test whether ``generated`` holds copies of training points; return an `Audit`.

    Parameters
    ----------
    train, generated, holdout : arrays ``(n, d)``, ``(m, d)``, ``(h, d)``
        Points, or images ``(n, rows, columns, ...)``, all on one scale.  NumPy or
        torch; the work is done by NumPy.  Without ``holdout`` a fifth of the training
        set (at most 10,000 points) is split off to take its place: copies of those
        points are then not looked for.
    features : function or triple of arrays, optional
        Where to measure distances instead: a function from images, as given, to
        ``(n, p)``, or the three feature arrays (two, without ``holdout``).
    neighbors : int, at least 2
        k, the number of distinct neighbors that a statistic looks at.
    tolerance : number, optional
        Distance within which two training points count as one image.  By default a
        third of the median distance between nearest training points.
    flips : bool
        Whether a mirror image of a training image is a copy, too.
    shape : tuple of int, optional
        The shape of one image, ``(rows, columns)`` or ``(rows, columns, channels)``.
    level : number in (0, 1)
        Chance of a wrong verdict ``copying``, if the generator draws from the law of
        the held-out data.
    confidence, false_discoveries : numbers in (0, 1)
        Of the intervals; of the list of flagged samples.
    permutations, seed : int
        Of the joint test, of ties and of splits: the same seed, the same report.
    memory : int
        Bound, in bytes, on the temporary arrays of the search for neighbors.
    progress : function, optional
        Called with a share of the work, the shares adding up to about 1.

    Raises
    ------
    TypeError, ValueError
        For bad arrays or settings, unequal dimensions, a training set of too few
        distinct points, held-out data that are training data or the samples themselves.
    """
    neighbors = as_count(neighbors, "neighbors", 2)
    permutations = as_count(permutations, "permutations", 99)
    seed = as_count(seed, "seed", 0)
    memory = as_positive_number(memory, "memory")
    level, confidence = _share(level, "level"), _share(confidence, "confidence")
    rate = _share(false_discoveries, "false_discoveries")
    rng = np.random.default_rng(seed)
    sets, found_shape = _sets(train, generated, holdout, features)
    shape = _shape(shape, found_shape, sets[0].shape[1], flips, features)
    train, generated, holdout = sets

    kept = _distinct_rows(train)
    first = np.flatnonzero(kept == np.arange(kept.shape[0]))
    reference, split = first, None
    if holdout is None:
        count = min(first.shape[0] // 5, LARGEST_SPLIT)
        split = np.sort(rng.choice(first, size=count, replace=False))
        reference, holdout = np.setdiff1d(first, split), train[split]
    if reference.shape[0] <= neighbors:
        raise ValueError(
            f"train must hold more than {neighbors} distinct points, as neighbors is "
            f"{neighbors}, got {reference.shape[0]} in {train.shape[0]} rows"
            + ("" if split is None else ", a fifth of them split off as held-out data")
        )
    if holdout.shape == generated.shape and np.array_equal(holdout, generated):
        raise ValueError("generated and holdout are the same data")
    data = train if reference.shape[0] == train.shape[0] else train[reference]

    m, h = generated.shape[0], holdout.shape[0]
    report = _Progress(progress, reference.shape[0], m, h, flips)
    options = {"memory": memory}
    if tolerance is None:
        tolerance = copy_statistics.estimate_tolerance(data, rng, **options)
    elif not 0 <= as_number(tolerance, "tolerance") < np.inf:
        raise ValueError(f"tolerance must be finite and at least 0, got {tolerance}")
    options |= {"neighbors": neighbors, "tolerance": float(tolerance)}
    width = copy_statistics.estimate_bandwidth(data, rng, **options)
    options |= {"bandwidth": width, "shape": shape if flips else None}
    both = copy_statistics.measure(
        np.concatenate([generated, holdout]), data, progress=report, **options
    )
    both = both._replace(nearest=reference[both.nearest])
    ours, theirs = both.part(slice(0, m)), both.part(slice(m, None))
    if np.all(theirs.distance == 0):
        raise ValueError(
            f"all {h} rows of holdout are rows of train; expected data that the "
            "generator has not seen"
        )

    tested = copy_tests.tail_test(
        ours.values(), theirs.values(), rng, level=level, permutations=permutations
    )
    thresholds = copy_statistics.thresholds(train.shape[1])
    statistics = {
        name: _statistic(name, ours, theirs, tail, threshold, confidence)
        for (name, threshold), tail in zip(
            thresholds.items(), tested.tails, strict=True
        )
    }
    ratio = statistics["ratio"]
    below = ratio.generated_below[0], ratio.holdout_below[0]
    copies = copy_tests.detectable_copies(m, h, below[1], tested.critical)
    p_values = copy_tests.conformal_p_values(ours.ratio, theirs.ratio)
    adjusted = copy_tests.discoveries(p_values)
    result = {
        "statistics": statistics,
        "flagged": _flags(ours, p_values, adjusted, rate),
        "copy_rate": copy_tests.copy_rate(below[0], m, below[1], h, confidence),
        "detectable_copies": copies,
        "detectable_rate": copies
        and copy_tests.detectable_rate(m, copies, below[1], h, POWER),
        "fewest_flags": int(np.ceil(m / (rate * (h + 1)))),
        "exact_copies": (int(np.sum(ours.distance == 0)), m),
        "exact_holdout": (int(np.sum(theirs.distance == 0)), h),
        "generated": ours,
        "holdout": theirs,
        "split": split,
        "settings": {
            "train": train.shape[0],
            "distinct": first.shape[0],
            "compared_with": reference.shape[0],
            "generated": m,
            "holdout": h,
            "holdout_given": split is None,
            "dimension": train.shape[1],
            "features": features is not None,
            "shape": None if shape is None else list(shape),
            "flips": bool(flips),
            "neighbors": neighbors,
            "tolerance": float(tolerance),
            "bandwidth": width,
            "level": level,
            "confidence": confidence,
            "false_discoveries": rate,
            "power": POWER,
            "permutations": permutations,
            "seed": seed,
        },
    }
    notes = notes_of(result)
    copying, verdict = verdict_of(result)
    return Audit(copying=copying, verdict=verdict, notes=notes, **result)


def _statistic(name, ours, theirs, tail, threshold, confidence):
    a, b = getattr(ours, name), getattr(theirs, name)
    counts = int(np.sum(a < threshold)), int(np.sum(b < threshold))
    sizes = a.shape[0], b.shape[0]
    overall, overall_p = copy_tests.shift(a, b)
    return Statistic(
        name=name,
        p_value=tail.p_value,
        tail=tail,
        threshold=threshold,
        generated_below=(counts[0], sizes[0]),
        holdout_below=(counts[1], sizes[1]),
        generated_share=copy_tests.proportion(counts[0], sizes[0], confidence),
        holdout_share=copy_tests.proportion(counts[1], sizes[1], confidence),
        fisher_p_value=copy_tests.fisher_p_value(
            counts[0], sizes[0], counts[1], sizes[1]
        ),
        overall=overall,
        overall_p_value=overall_p,
        generated_median=float(np.median(a)),
        holdout_median=float(np.median(b)),
    )


def _flags(ours, p_values, adjusted, rate):
    """Return the flagged samples, surest first."""
    rows = np.flatnonzero(adjusted <= rate)
    rows = rows[np.lexsort((ours.distance[rows], ours.ratio[rows]))]
    return tuple(
        Flag(
            sample=int(row),
            training=int(ours.nearest[row]),
            distance=float(ours.distance[row]),
            ratio=float(ours.ratio[row]),
            p_value=float(p_values[row]),
            adjusted=float(adjusted[row]),
            flipped=bool(ours.flipped[row]),
        )
        for row in rows
    )


def _sets(train, generated, holdout, features):
    """Return the three sets as arrays ``(n, p)`` to measure in, and an image shape."""
    given = {"train": train, "generated": generated, "holdout": holdout}
    given = {name: value for name, value in given.items() if value is not None}
    arrays = {name: _array(value, name) for name, value in given.items()}
    shapes = {name: array.shape[1:] for name, array in arrays.items()}
    for name, shape in shapes.items():
        if shape != shapes["train"]:
            raise ValueError(
                f"{name} must have items of the shape of train's, "
                f"{shapes['train']}, got {shape}"
            )
    shape = shapes["train"] if len(shapes["train"]) > 1 else None
    if callable(features):
        arrays = {
            name: _array(features(array), f"features of {name}")
            for name, array in arrays.items()
        }
    elif features is not None:
        if len(features) != len(given):
            raise ValueError(
                f"features must be a function or {len(given)} arrays, one for each "
                f"of {', '.join(given)}, got {len(features)}"
            )
        named = dict(zip(given, features, strict=True))
        rows = {name: array.shape[0] for name, array in arrays.items()}
        arrays = {k: _array(v, f"features of {k}") for k, v in named.items()}
        for name, array in arrays.items():
            if array.shape[0] != rows[name]:
                raise ValueError(
                    f"features of {name} must have its {rows[name]} rows, "
                    f"got {array.shape[0]}"
                )
    flat = {}
    for name, array in arrays.items():
        label = name if features is None else f"features of {name}"
        array = as_points(array.reshape(array.shape[0], -1), label)
        if array.shape[1] != flat.get("train", array).shape[1]:
            raise ValueError(
                f"{label} must have {flat['train'].shape[1]} columns, as those of "
                f"train, got {array.shape[1]}"
            )
        flat[name] = array
    return [flat.get(name) for name in ("train", "generated", "holdout")], shape


def _array(value, name):
    """Return a NumPy array of at least two axes, small integers as float32."""
    if is_torch_array(value):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray) and value.dtype.name in SMALL:
        value = value.astype(np.float32)
    array = as_real(value, name)
    if array.ndim < 2 or array.size == 0:
        array = as_points(array, name)  # says what is wrong
    return array


def _shape(shape, found, dimension, flips, features):
    if features is not None:
        if flips:
            raise ValueError("flips cannot be combined with features")
        return shape if shape is not None else found
    if shape is not None:
        shape = tuple(as_count(size, "shape") for size in shape)
        if int(np.prod(shape)) != dimension or len(shape) not in (2, 3):
            raise ValueError(
                "shape must be (rows, columns) or (rows, columns, channels) with "
                f"product {dimension}, the dimension of the data, got {shape}"
            )
    shape = found if shape is None else shape
    if flips and (shape is None or len(shape) not in (2, 3)):
        raise ValueError("flips needs shape, the shape of one image")
    return shape


def _share(value, name):
    number = as_number(value, name)
    if not 0 < number < 1:
        raise ValueError(f"{name} must lie strictly between 0 and 1, got {number}")
    return number


def _distinct_rows(data):
    """Return for each row the number of the first row equal to it."""
    seen, first = {}, np.empty(data.shape[0], dtype=np.int64)
    for number, row in enumerate(data):
        digest = hashlib.blake2b((row + 0.0).tobytes(), digest_size=16).digest()
        first[number] = seen.setdefault(digest, number)
    return first


class _Progress:
    """Turns the shares of single searches into shares of the whole audit."""

    def __init__(self, report, n, m, h, flips):
        samples = (2 if flips else 1) * (m + h)
        self.report = report
        self.part = (m + h) / (samples + min(n, m + h))

    def __call__(self, share):
        if self.report is not None:
            self.report(share * self.part)
