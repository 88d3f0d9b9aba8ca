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
them, too, by the same rule; if the generator draws from the distribution of the data,
the two sets of values are exchangeable, and every test of
:mod:`~empirical_score.copy_tests` is exact, whatever that distribution.  Without
``holdout`` a fifth of the training set plays its part.  On the command line:
``empirical-score audit --help``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._support.arrays import as_count, as_number, as_positive_number
from .._support.types import Array
from . import copy_statistics
from .inputs import as_sets, as_shape, as_share, first_equal_rows
from .judge import judge
from .result import Audit

__all__ = ["audit"]

LARGEST_SPLIT = 10_000


def audit(
    train: Array,
    generated: Array,
    holdout: Array | None = None,
    *,
    features: Callable[[Array], Array] | Sequence[Array] | None = None,
    neighbors: int = 5,
    threshold: float = 1 / 3,
    tolerance: float | None = None,
    flips: bool = False,
    shape: tuple[int, ...] | None = None,
    level: float = 0.01,
    confidence: float = 0.95,
    false_discoveries: float = 0.1,
    permutations: int = 9999,
    seed: int = 0,
    memory: int = 2**28,
    progress: Callable[[float], object] | None = None,
) -> Audit:
    """Test generated samples for copies of training data: a memorization audit.

    The verdict is Fisher's exact test of two counts: of generated and of held-out
    samples that are much nearer to one training point than to the k-th nearest one.

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
    threshold : number in (0, 1)
        A copy is at most so much farther from its nearest training point than from the
        k-th: the usual criterion says 1/3.
    tolerance : number, optional
        Distance within which two training points count as one image.  By default a
        third of the median distance between nearest training points.
    flips : bool
        Whether a mirror image of a training image is a copy, too.
    shape : tuple of int, optional
        The shape of one image: ``(rows, columns)``, ``(rows, columns, channels)`` or
        ``(channels, rows, columns)``.
    level : number in (0, 1)
        Chance of a wrong verdict ``copying``, if the generator draws from the
        distribution of the held-out data.
    confidence, false_discoveries : numbers in (0, 1)
        Of the intervals; of the list of flagged samples.
    permutations, seed : int
        Of the joint test, of ties and of splits: the same seed, the same report.
    memory : int
        Bound, in bytes, on the temporary arrays of the search for neighbors.
    progress : function, optional
        Called now and then with a share of the work; the shares add up to at most 1.

    Returns
    -------
    Audit
        ``print`` it to read it.

    Raises
    ------
    TypeError, ValueError
        For bad arrays or settings, unequal dimensions, a training set of too few
        distinct points, held-out data that are training data or the samples themselves.

    Notes
    -----
    ``thm-exact-comparison``, ``prop-rule-of-three`` and ``prop-conformal`` in the book.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> train, fresh, holdout = np.random.default_rng(0).standard_normal((3, 300, 12))
    >>> es.audit(train, train[:100], holdout, permutations=99)
    Audit(copying=True, generated=100, holdout=300, train=300, flagged=100)
    >>> es.audit(train, fresh, holdout, permutations=99).copying
    False
    """
    neighbors = as_count(neighbors, "neighbors", 2)
    permutations = as_count(permutations, "permutations", 99)
    seed = as_count(seed, "seed", 0)
    memory = as_positive_number(memory, "memory")
    threshold = as_share(threshold, "threshold")
    level, confidence = as_share(level, "level"), as_share(confidence, "confidence")
    rate = as_share(false_discoveries, "false_discoveries")
    rng = np.random.default_rng(seed)
    sets, found_shape = as_sets(train, generated, holdout, features)
    shape = as_shape(shape, found_shape, flips, features)
    train, generated, holdout = sets

    kept = first_equal_rows(train)
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
    if holdout.shape[0] == 0:
        raise ValueError(
            "train must hold at least 5 distinct points to split a fifth off as "
            f"held-out data, got {first.shape[0]} in {train.shape[0]} rows; or give "
            "holdout"
        )
    if holdout.shape == generated.shape and np.array_equal(holdout, generated):
        raise ValueError("generated and holdout are the same data")
    data = train if reference.shape[0] == train.shape[0] else train[reference]

    m, h = generated.shape[0], holdout.shape[0]
    options: dict[str, Any] = {"memory": memory}
    if tolerance is None:
        tolerance = copy_statistics.estimate_tolerance(data, rng, **options)
    elif not 0 <= as_number(tolerance, "tolerance") < np.inf:
        raise ValueError(f"tolerance must be finite and at least 0, got {tolerance}")
    options |= {"neighbors": neighbors, "tolerance": float(tolerance)}
    width = copy_statistics.estimate_bandwidth(data, rng, **options)
    options |= {"bandwidth": width, "shape": shape if flips else None}
    both = copy_statistics.measure(
        np.concatenate([generated, holdout]), data, progress=progress, **options
    )
    both = both._replace(nearest=reference[both.nearest])
    ours, theirs = both.part(slice(0, m)), both.part(slice(m, None))
    if np.all(theirs.distance == 0):
        raise ValueError(
            f"all {h} rows of holdout are rows of train; expected data that the "
            "generator has not seen"
        )

    settings = {
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
        "threshold": threshold,
        "tolerance": float(tolerance),
        "bandwidth": width,
        "level": level,
        "confidence": confidence,
        "false_discoveries": rate,
        "permutations": permutations,
        "seed": seed,
    }
    return judge(ours, theirs, settings, rng, split=split)
