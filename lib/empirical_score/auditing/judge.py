"""From the statistics of both samples to an audit: tests, intervals, flags, words."""

import numpy as np

from . import copy_tests
from .copy_statistics import thresholds
from .result import Audit, Flag, Statistic
from .words import notes_of, verdict_of

__all__ = ["POWER", "judge"]

POWER = 0.9  # the chance with which the detectable rate is found


def judge(generated, holdout, settings, rng, *, split=None):
    """Return the :class:`Audit` of two samples whose :class:`Measures` are known.

    All of :func:`~empirical_score.audit` that comes after the distances.  ``settings``
    is the dictionary that the audit carries; of it, ``threshold``, ``level``,
    ``confidence``, ``false_discoveries``, ``permutations`` and ``dimension`` are used
    here, the others in words only.
    """
    m, h = generated.ratio.shape[0], holdout.ratio.shape[0]
    confidence, rate = settings["confidence"], settings["false_discoveries"]
    tails = copy_tests.tail_test(
        generated.values(),
        holdout.values(),
        rng,
        permutations=settings["permutations"],
    )
    threshold = settings["threshold"]
    fixed = (thresholds(settings["dimension"]) | {"ratio": threshold}).items()
    statistics = {
        name: _statistic(name, generated, holdout, tail, fixed_at, confidence)
        for (name, fixed_at), tail in zip(fixed, tails, strict=True)
    }
    found = statistics["ratio"].generated_below[0]
    reference = statistics["ratio"].holdout_below[0]
    copies = copy_tests.detectable_copies(m, h, reference, settings["level"])
    if copies is None:
        smallest = None
    else:
        smallest = copy_tests.detectable_rate(m, copies, reference, h, POWER)
    p_values = copy_tests.conformal_p_values(generated.ratio, holdout.ratio, threshold)
    adjusted = copy_tests.benjamini_hochberg(p_values)
    result = {
        "statistics": statistics,
        "flagged": _flags(generated, p_values, adjusted, rate),
        "copy_rate": copy_tests.copy_rate(found, m, reference, h, confidence),
        "detectable_copies": copies,
        "detectable_rate": smallest,
        "fewest_flags": int(np.ceil(m / (rate * (h + 1)))),
        "exact_copies": (int(np.sum(generated.distance == 0)), m),
        "exact_holdout": (int(np.sum(holdout.distance == 0)), h),
        "generated": generated,
        "holdout": holdout,
        "split": split,
        "settings": settings | {"power": POWER},
    }
    copying, verdict = verdict_of(result)
    return Audit(copying=copying, verdict=verdict, notes=notes_of(result), **result)


def _statistic(name, ours, theirs, tail, threshold, confidence):
    a, b = getattr(ours, name), getattr(theirs, name)
    counts = int(np.sum(a < threshold)), int(np.sum(b < threshold))
    sizes = a.shape[0], b.shape[0]
    overall, overall_p = copy_tests.mann_whitney(a, b)
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
