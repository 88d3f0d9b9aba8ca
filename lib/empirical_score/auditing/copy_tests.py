"""Calibrated answers from two samples of a statistic that is small for copies.

The null hypothesis is always that generated and held-out samples come from one
distribution, given the training set.  Then which of the pooled values are the generated
ones is a random draw without replacement, whatever the distribution: every p-value here
is exact, or, for permutations, valid at any number of them.  Ties are broken at random,
or against finding copies.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy  # its stats are slow to load: only when they are first used

from .._support.draws import as_numpy_generator
from .._support.types import NumpyRng

__all__ = [
    "Interval",
    "Tail",
    "benjamini_hochberg",
    "conformal_p_values",
    "copy_rate",
    "detectable_copies",
    "detectable_rate",
    "fisher_p_value",
    "mann_whitney",
    "proportion",
    "tail_test",
]

DEEPEST = 2000  # the tails that are looked at reach at most so deep
BLOCK = 2**24  # labels that are permuted together


class Interval(NamedTuple):
    """A number and the ends of its confidence interval.

    Attributes
    ----------
    value, low, high : float

    Examples
    --------
    >>> import empirical_score as es
    >>> es.copy_tests.Interval(0.5, 0.4, 0.6)
    Interval(value=0.5, low=0.4, high=0.6)
    """

    value: float
    low: float
    high: float


class Tail(NamedTuple):
    """The tail of one statistic in which generated samples are most over-represented.

    Attributes
    ----------
    depth : int
        How many of the smallest pooled values the tail has.
    generated : int
        How many of these are of generated samples.
    expected : float
        How many were expected.
    log_p : float
        Logarithm of the exact chance of so many at this depth.
    p_value : float
        Accounts for all depths and all statistics.

    Examples
    --------
    >>> import empirical_score as es
    >>> es.copy_tests.Tail(10, 9, 5.0, -4.5, 0.03).generated
    9
    """

    depth: int
    generated: int
    expected: float
    log_p: float
    p_value: float


def tail_test(
    generated: np.ndarray,
    holdout: np.ndarray,
    rng: NumpyRng,
    *,
    permutations: int = 9999,
) -> list[Tail]:
    """Test by permutations whether the tails of several statistics hold too many.

    At depth r, the number of generated samples among the r smallest of all m + h pooled
    values is hypergeometric: that is Fisher's exact test.  Depths run from 1 to a tenth
    of the sample.  The smallest p-value over all depths and statistics is referred to
    its own permutation distribution, which knows how strongly the statistics depend on
    each other: rejecting every statistic whose ``p_value`` is at most a, the chance of
    any wrong rejection is at most a.

    Parameters
    ----------
    generated : array ``(s, m)``
        Values of generated samples, one row for each statistic; small for copies.
    holdout : array ``(s, h)``
        The same of held-out samples.
    rng : numpy.random.Generator or int seed
        Breaks ties and permutes.
    permutations : int
        The smallest p-value is ``1 / (permutations + 1)``.

    Returns
    -------
    list of Tail
        One for each statistic.

    Notes
    -----
    Westfall & Young (1993); ``thm-exact-comparison`` in the book.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> generated, holdout = np.arange(50.0)[None], np.arange(50.0)[None] + 40.5
    >>> (tail,) = es.copy_tests.tail_test(generated, holdout, 0, permutations=99)
    >>> tail.generated, tail.expected, tail.p_value
    (43, 22.5, 0.01)
    """
    rng = as_numpy_generator(rng)
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


def fisher_p_value(found: int, m: int, reference: int, h: int) -> float:
    """Return the one-sided p-value of Fisher's exact test of two counts.

    Are ``found`` of m generated samples below a fixed threshold too many beside
    ``reference`` of h held-out ones?  The chance of at least ``found`` of
    ``found + reference`` in m draws without replacement of ``m + h``.

    Parameters
    ----------
    found, m : int
        Generated samples below the threshold, and all.
    reference, h : int
        Held-out samples below the threshold, and all.

    Returns
    -------
    float

    Notes
    -----
    ``thm-exact-comparison`` in the book.

    Examples
    --------
    >>> import empirical_score as es
    >>> round(es.copy_tests.fisher_p_value(5, 100, 0, 100), 4)
    0.0297
    """
    return float(scipy.stats.hypergeom.sf(found - 1, m + h, m, found + reference))


def mann_whitney(generated: np.ndarray, holdout: np.ndarray) -> tuple[float, float]:
    """Test whether generated samples are smaller *overall*: Mann and Whitney's test.

    Parameters
    ----------
    generated : array ``(m,)``
        Values of a statistic of generated samples.
    holdout : array ``(h,)``
        The same of held-out samples.

    Returns
    -------
    share : float
        ``P(generated < held-out) + P(equal) / 2`` over all pairs.
    p_value : float
        One-sided.

    Notes
    -----
    Mann & Whitney (1947).

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> share, p_value = es.copy_tests.mann_whitney(np.arange(9.0), np.arange(9.0) + 4)
    >>> round(share, 3), round(p_value, 3)
    (0.846, 0.007)
    """
    test = scipy.stats.mannwhitneyu(generated, holdout, alternative="less")
    pairs = generated.shape[0] * holdout.shape[0]
    return 1 - float(test.statistic) / pairs, float(test.pvalue)


shift = mann_whitney  # the former name


def proportion(count: int, total: int, confidence: float = 0.95) -> Interval:
    """Return a proportion and its exact confidence interval.

    At a count of 0 or ``total`` the interval is one-sided: 0 of n gives an upper end of
    about 3 / n at 95 %, the rule of three.

    Parameters
    ----------
    count, total : int
        How many of how many.
    confidence : number in (0, 1)

    Returns
    -------
    Interval

    Notes
    -----
    Clopper & Pearson (1934); ``prop-rule-of-three`` in the book.

    Examples
    --------
    >>> import empirical_score as es
    >>> round(es.copy_tests.proportion(0, 100).high, 4)
    0.0295
    """
    if 0 < count < total:
        return _two_sided(count, total, confidence)
    return _two_sided(count, total, 2 * confidence - 1)


def copy_rate(
    found: int, m: int, reference: int, h: int, confidence: float = 0.95
) -> Interval:
    """Return an interval for the rate of copies, held-out false alarms taken off.

    If copies, a share e of the generated samples, all fall below a threshold, and a
    share q of all others does as of held-out data, then ``e = (p - q) / (1 - q)`` with
    p the generated samples' share below it.  e rises with p and falls with q, so the
    ends of two exact intervals, at half the error each, bound it.

    Parameters
    ----------
    found, m : int
        Generated samples below the threshold, and all.
    reference, h : int
        Held-out samples below the threshold, and all.
    confidence : number in (0, 1)

    Returns
    -------
    Interval

    Notes
    -----
    ``prop-rule-of-three`` in the book.

    Examples
    --------
    >>> import empirical_score as es
    >>> rate = es.copy_tests.copy_rate(60, 100, 20, 100)
    >>> round(rate.value, 3), round(rate.low, 2), round(rate.high, 2)
    (0.5, 0.26, 0.67)
    """
    each = (1 + confidence) / 2
    p, q = (_two_sided(*counts, each) for counts in ((found, m), (reference, h)))

    def rate(above, base):
        return 1.0 if base >= 1 else max(0.0, (above - base) / (1 - base))

    low, high = rate(p.low, q.high), rate(p.high, q.low)
    return Interval(rate(p.value, q.value), low if q.high < 1 else 0.0, high)


def conformal_p_values(
    generated: np.ndarray, holdout: np.ndarray, threshold: float = np.inf
) -> np.ndarray:
    """Return the conformal p-value of each generated sample.

    ``(1 + #{held-out values <= it}) / (h + 1)``: for a sample of the held-out
    distribution it is at most t with chance at most t, for all t.

    Parameters
    ----------
    generated : array ``(m,)``
        Values of a statistic of generated samples, small for copies.
    holdout : array ``(h,)``
        The same of held-out samples.
    threshold : number
        Values that are not below it count as equal, and get 1.

    Returns
    -------
    array ``(m,)``
        None is below ``1 / (h + 1)``: more held-out data resolve more.

    Notes
    -----
    Bates et al. (2023); ``prop-conformal`` in the book.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> values = np.array([0.1, 2.5])
    >>> es.copy_tests.conformal_p_values(values, np.array([1.0, 2.0, 3.0]))
    array([0.25, 0.75])
    """
    rank = np.searchsorted(np.sort(holdout), generated, side="right")
    p_values = (1 + rank) / (holdout.shape[0] + 1)
    return np.where(generated < threshold, p_values, 1.0)


def benjamini_hochberg(p_values: np.ndarray) -> np.ndarray:
    """Return p-values adjusted for many samples by Benjamini and Hochberg's procedure.

    Those at most q are discoveries: of them at most a share q is false, on average.

    Parameters
    ----------
    p_values : array ``(m,)``
        One for each sample.

    Returns
    -------
    array ``(m,)``

    Notes
    -----
    Benjamini & Hochberg (1995).  Valid although conformal p-values share the held-out
    set (Bates et al. 2023); ``prop-conformal`` in the book.

    Examples
    --------
    >>> import numpy as np, empirical_score as es
    >>> es.copy_tests.benjamini_hochberg(np.array([0.01, 0.02, 0.5])).round(4)
    array([0.03, 0.03, 0.5 ])
    """
    return scipy.stats.false_discovery_control(p_values)


discoveries = benjamini_hochberg  # the former name


def detectable_copies(m: int, h: int, reference: int, level: float) -> int | None:
    """Return the smallest number of copies that Fisher's exact test calls significant.

    Parameters
    ----------
    m, h : int
        The numbers of generated and held-out samples.
    reference : int
        Held-out samples below the threshold.
    level : number in (0, 1)
        The p-value is to be at most this.

    Returns
    -------
    int or None
        None where even m are not significant.

    Examples
    --------
    >>> import empirical_score as es
    >>> es.copy_tests.detectable_copies(100, 100, 0, 0.01)
    7
    """
    if fisher_p_value(m, m, reference, h) > level:
        return None
    low, high = 0, m
    while high - low > 1:
        middle = (low + high) // 2
        enough = fisher_p_value(middle, m, reference, h) <= level
        low, high = (low, middle) if enough else (middle, high)
    return high


def detectable_rate(
    m: int, copies: int, reference: int, h: int, power: float = 0.9
) -> float:
    """Return the smallest rate of copies that is found with a given power.

    ``P(Bin(m, p) >= copies)`` is
    the beta distribution function with parameters copies and m - copies + 1 at p; the
    held-out share below the threshold is taken off as in :func:`copy_rate`.

    Parameters
    ----------
    m : int
        The number of generated samples.
    copies : int
        As :func:`detectable_copies` returns it.
    reference, h : int
        Held-out samples below the threshold, and all.
    power : number in (0, 1)
        The chance of finding copies.

    Returns
    -------
    float

    Examples
    --------
    >>> import empirical_score as es
    >>> round(es.copy_tests.detectable_rate(100, 7, 0, 100), 3)
    0.103
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
