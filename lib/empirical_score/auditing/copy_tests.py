"""Calibrated answers from two samples of a statistic that is small for copies.

The null hypothesis is always that generated and held-out samples come from one law,
given the training set.  Then which of the pooled values are the generated ones is a
random draw without replacement, whatever the law: every p-value here is exact, or, for
permutations, valid at any number of them.  Ties are broken at random, or against
finding copies.
"""

from typing import NamedTuple

import numpy as np
import scipy  # its stats are slow to load: only when they are first used

__all__ = [
    "Interval",
    "Tail",
    "conformal_p_values",
    "copy_rate",
    "detectable_copies",
    "detectable_rate",
    "discoveries",
    "fisher_p_value",
    "proportion",
    "shift",
    "tail_test",
]

DEEPEST = 2000  # the tails that are looked at reach at most so deep
BLOCK = 2**24  # labels that are permuted together


class Interval(NamedTuple):
    """A number and the ends of its confidence interval."""

    value: float
    low: float
    high: float


class Tail(NamedTuple):
    """The tail of one statistic in which generated samples are most over-represented.

    Of the ``depth`` smallest pooled values ``generated`` are of generated samples,
    where ``expected`` were expected; ``log_p`` is the logarithm of the exact chance of
    so many at this depth, and ``p_value`` accounts for all depths and all statistics.
    """

    depth: int
    generated: int
    expected: float
    log_p: float
    p_value: float


def tail_test(generated, holdout, rng, *, permutations=9999):
    """Test whether small values of any of several statistics are too often generated.

    At depth r, the number of generated samples among the r smallest of all m + h pooled
    values is hypergeometric: that is Fisher's exact test.  Depths run from 1 to a tenth
    of the sample.  The smallest p-value over all depths and statistics is referred to
    its own permutation law (Westfall & Young 1993), which knows how strongly the
    statistics depend on each other: rejecting every statistic whose ``p_value`` is at
    most a, the chance of any wrong rejection is at most a.

    ``generated`` is ``(s, m)`` and ``holdout`` ``(s, h)``, one row for each statistic;
    ``rng`` a ``numpy.random.Generator``.  Returns a list of :class:`Tail`.
    """
    (s, m), h = generated.shape, holdout.shape[1]
    pooled = np.concatenate([generated, holdout], axis=1)
    depths = _depths(m + h)
    deepest = depths[-1]
    orders = [np.lexsort((rng.random(m + h), row))[:deepest] for row in pooled]
    union, places = np.unique(np.concatenate(orders), return_inverse=True)
    places = places.reshape(s, deepest)
    table = _tail_table(m, h, depths)
    best, log_p = _strongest((union < m)[:, None], places, depths, table)

    null = np.empty(permutations)
    block = max(1, BLOCK // union.shape[0])
    counts = rng.hypergeometric(m, h, union.shape[0], size=permutations)
    for start in range(0, permutations, block):
        count = counts[start : start + block]
        labels = rng.permuted(np.arange(union.shape[0]) < count[:, None], axis=1)
        labels = np.ascontiguousarray(labels.T)
        found = _strongest(labels, places, depths, table)[1]
        null[start : start + block] = found.min(axis=0)
    null.sort()
    below = np.searchsorted(null, log_p[:, 0] + 1e-9, side="right")
    p_values = (1 + below) / (permutations + 1)
    tails = []
    for row in range(s):
        depth = int(depths[best[row, 0]])
        found = int(np.sum(orders[row][:depth] < m))
        tails.append(
            Tail(
                depth,
                found,
                depth * m / (m + h),
                float(log_p[row, 0]),
                float(p_values[row]),
            )
        )
    return tails


def fisher_p_value(found, m, reference, h):
    """Return the chance of at least ``found`` of the found + reference in m of m + h.

    Fisher's exact test, one-sided: are ``found`` of m generated samples below a fixed
    threshold too many beside ``reference`` of h held-out ones?
    """
    return float(scipy.stats.hypergeom.sf(found - 1, m + h, m, found + reference))


def shift(generated, holdout):
    """Return ``P(generated < held-out) + P(equal) / 2`` and its one-sided p-value.

    The test of Mann & Whitney (1947): are generated samples smaller *overall*?
    """
    test = scipy.stats.mannwhitneyu(generated, holdout, alternative="less")
    pairs = generated.shape[0] * holdout.shape[0]
    return 1 - float(test.statistic) / pairs, float(test.pvalue)


def proportion(count, total, confidence=0.95):
    """Return a share and its exact interval (Clopper & Pearson 1934).

    At a count of 0 or ``total`` the interval is one-sided: 0 of n gives an upper end of
    about 3 / n at 95 %, the rule of three.
    """
    if 0 < count < total:
        return _two_sided(count, total, confidence)
    return _two_sided(count, total, 2 * confidence - 1)


def copy_rate(found, m, reference, h, confidence=0.95):
    """Return an interval for the rate of copies, held-out false alarms taken off.

    If copies, a share e of the generated samples, all fall below a threshold, and a
    share q of all others does as of held-out data, then ``e = (p - q) / (1 - q)`` with
    p the generated samples' share below it.  e rises with p and falls with q, so the
    ends of two exact intervals, at half the error each, bound it.
    """
    each = (1 + confidence) / 2
    p, q = (_two_sided(*counts, each) for counts in ((found, m), (reference, h)))

    def rate(above, base):
        return 1.0 if base >= 1 else max(0.0, (above - base) / (1 - base))

    low, high = rate(p.low, q.high), rate(p.high, q.low)
    return Interval(rate(p.value, q.value), low if q.high < 1 else 0.0, high)


def conformal_p_values(generated, holdout, threshold=np.inf):
    """Return for each generated value ``(1 + #{held-out <= it}) / (h + 1)``.

    For a sample of the held-out law it is at most t with chance at most t, for all t.
    None is below 1 / (h + 1): more held-out data resolve more.  Values that are not
    below ``threshold`` count as equal, and get 1.
    """
    rank = np.searchsorted(np.sort(holdout), generated, side="right")
    p_values = (1 + rank) / (holdout.shape[0] + 1)
    return np.where(generated < threshold, p_values, 1.0)


def discoveries(p_values):
    """Return p-values adjusted for many samples (Benjamini & Hochberg 1995).

    Those at most q are discoveries: of them at most a share q is false, on average.
    Valid although all p-values share the held-out set (Bates et al. 2023).
    """
    return scipy.stats.false_discovery_control(p_values)


def detectable_copies(m, h, reference, level):
    """Return the smallest count of m that is significant beside ``reference`` of h.

    By :func:`fisher_p_value`, at most ``level``.  None where even m is not.
    """
    if fisher_p_value(m, m, reference, h) > level:
        return None
    low, high = 0, m
    while high - low > 1:
        middle = (low + high) // 2
        enough = fisher_p_value(middle, m, reference, h) <= level
        low, high = (low, middle) if enough else (middle, high)
    return high


def detectable_rate(m, copies, reference, h, power=0.9):
    """Return the smallest rate of copies that is found with chance ``power``.

    ``copies`` as :func:`detectable_copies` returns it.  ``P(Bin(m, p) >= copies)`` is
    the beta distribution function with parameters copies and m - copies + 1 at p; the
    held-out share below the threshold is taken off as in :func:`copy_rate`.
    """
    share = float(scipy.stats.beta.ppf(power, copies, m - copies + 1))
    base = reference / h
    return max(0.0, (share - base) / (1 - base)) if base < 1 else 1.0


def _two_sided(count, total, confidence):
    """Return the interval that errs by (1 - confidence) / 2 at each end."""
    miss, quantile = (1 - confidence) / 2, scipy.stats.beta.ppf
    low = quantile(miss, count, total - count + 1) if count > 0 else 0.0
    high = quantile(1 - miss, count + 1, total - count) if count < total else 1.0
    return Interval(count / total, float(low), float(high))


def _depths(total):
    """Return the depths at which tails are counted: 1, 2, ..., 32, then sparser."""
    deepest = min(total, max(total // 10, 50), DEEPEST)
    sparse = 32 * 2.0 ** (np.arange(1, 26) / 4)
    depths = np.concatenate([np.arange(1, 33), np.round(sparse).astype(int)])
    return np.append(depths[depths < deepest], deepest)


def _tail_table(m, h, depths):
    """Return ``log P(at least c generated at depth r)``, one row for each depth."""
    counts = np.arange(depths[-1] + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_pmf = scipy.stats.hypergeom.logpmf(counts, m + h, m, depths[:, None])
    log_pmf = np.where(np.isnan(log_pmf), -np.inf, log_pmf)
    log_tail = np.logaddexp.accumulate(log_pmf[:, ::-1], axis=1)[:, ::-1]
    return np.minimum(log_tail, 0.0)


def _strongest(labels, places, depths, table):
    """Return the best depth's place and its log p, ``(s, b)``, of labels ``(u, b)``."""
    rows, starts = np.arange(depths.shape[0])[:, None], np.append(0, depths[:-1])
    best, log_p = [], []
    for place in places:
        steps = np.add.reduceat(labels[place], starts, axis=0, dtype=np.int32)
        values = table[rows, np.cumsum(steps, axis=0)]
        best.append(np.argmin(values, axis=0))
        log_p.append(np.min(values, axis=0))
    return np.stack(best), np.stack(log_p)
