"""Tests of tests: exact values by counting, levels and power by simulation."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from empirical_score import copy_tests

RNG = np.random.default_rng


def tail_by_counting(labels, m):
    """Smallest log P(at least so many generated at depth r), by binomials."""
    total, best = len(labels), 0.0
    for depth in range(1, total + 1):
        found = sum(labels[:depth])
        ways = sum(
            math.comb(m, c) * math.comb(total - m, depth - c)
            for c in range(found, min(depth, m) + 1)
            if depth - c <= total - m
        )
        best = min(best, math.log(ways / math.comb(total, depth)))
    return best


@pytest.mark.parametrize(("m", "h"), [(4, 5), (3, 7), (6, 2)])
def test_the_joint_test_against_all_labelings(m, h):
    """Two dependent statistics of a few samples: every labeling is enumerated."""
    rng = RNG(m)
    pooled = rng.random((2, m + h))
    pooled[1] += pooled[0]
    orders = np.argsort(pooled, axis=1)

    def smallest(chosen):
        return min(
            tail_by_counting([int(i in chosen) for i in order], m) for order in orders
        )

    null = [smallest(set(c)) for c in itertools.combinations(range(m + h), m)]
    tails = copy_tests.tail_test(pooled[:, :m], pooled[:, m:], rng, permutations=19_999)
    for tail, order in zip(tails, orders, strict=True):
        own = tail_by_counting([int(i < m) for i in order], m)
        assert tail.log_p == pytest.approx(own, abs=1e-9)
        exact = np.mean(np.array(null) <= own + 1e-9)
        error = np.sqrt(exact * (1 - exact) / 19_999)
        assert abs(tail.p_value - exact) <= 4 * error + 1 / 20_000


@pytest.mark.parametrize("discrete", [False, True])
def test_the_joint_test_keeps_its_level(discrete):
    """Dependent statistics, with and without ties, nothing to find."""
    rng, p_values = RNG(1), []
    for _ in range(400):
        x = rng.standard_normal((3, 150))
        x[1:] += x[0]
        x = np.round(2 * x) if discrete else x
        tails = copy_tests.tail_test(x[:, :60], x[:, 60:], rng, permutations=499)
        p_values.append(min(tail.p_value for tail in tails))
    for level in (0.02, 0.05, 0.2, 0.5):
        share = np.mean(np.array(p_values) <= level)
        error = np.sqrt(level * (1 - level) / 400)
        assert share < level + 4 * error
        assert share > level - 4 * error - 0.02 or discrete


def test_a_few_copies_are_found_and_where_they_are_is_told():
    rng = RNG(2)
    ours, theirs = rng.random((2, 1000)), rng.random((2, 2000))
    ours[0, :15] = 0
    first, second = copy_tests.tail_test(ours, theirs, rng)
    assert first.p_value <= 0.0002 and first.depth <= 18 and first.generated >= 15
    assert first.expected == pytest.approx(first.depth / 3)
    assert second.p_value > 0.01


def test_nothing_is_ever_significant_with_too_little_data():
    (tail,) = copy_tests.tail_test(np.zeros((1, 1)), np.ones((1, 5)), RNG(0))
    assert tail.p_value > 0.1
    assert copy_tests.detectable_copies(1, 5, 0, 0.01) is None
    assert copy_tests.detectable_copies(1, 99, 0, 0.01) == 1
    (coarse,) = copy_tests.tail_test(
        np.zeros((1, 50)), np.ones((1, 50)), RNG(0), permutations=99
    )
    assert coarse.p_value == 0.01


@pytest.mark.parametrize(("m", "h"), [(500, 500), (300, 2000), (2000, 300)])
@pytest.mark.parametrize("reference", [0, 4])
def test_the_detectable_number_of_copies(m, h, reference):
    """Two-by-two tables by Fisher, as SciPy computes it, one count at a time."""

    def significant(copies):
        table = [[copies, m - copies], [reference, h - reference]]
        return stats.fisher_exact(table, alternative="greater").pvalue <= 0.01

    found = copy_tests.detectable_copies(m, h, reference, 0.01)
    assert found == next(c for c in range(1, m + 1) if significant(c))


@pytest.mark.parametrize("reference", [0, 6])
def test_the_detectable_rate_is_found_with_the_promised_chance(reference):
    m, h, trials = 800, 1000, 20_000
    copies = copy_tests.detectable_copies(m, h, reference, 0.01)
    rate = copy_tests.detectable_rate(m, copies, reference, h, power=0.9)
    below = rate + (1 - rate) * reference / h
    found = np.mean(RNG(reference).binomial(m, below, size=trials) >= copies)
    assert abs(found - 0.9) < 4 * np.sqrt(0.09 / trials)
    assert copy_tests.detectable_rate(m, copies, reference, h, power=0.5) < rate


def test_fisher_and_proportions_agree_with_scipy():
    for a, m, b, h in [(5, 100, 1, 90), (0, 10, 3, 20), (7, 7, 0, 30)]:
        exact = stats.fisher_exact([[a, m - a], [b, h - b]], alternative="greater")
        found = copy_tests.fisher_p_value(a, m, b, h)
        assert found == pytest.approx(exact.pvalue, rel=1e-9)
    for count, total in [(1, 10), (50, 5000), (9, 10)]:
        expected = stats.binomtest(count, total).proportion_ci(0.9, "exact")
        found = copy_tests.proportion(count, total, 0.9)
        assert found[1:] == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_the_rule_of_three():
    found = copy_tests.proportion(0, 10_000)
    assert found.low == 0 and found.high == pytest.approx(3 / 10_000, rel=2e-3)
    # Exactly the rate at which nothing is seen with chance 5 %.
    assert (1 - found.high) ** 10_000 == pytest.approx(0.05, rel=1e-9)
    assert copy_tests.proportion(7, 7).low == pytest.approx(0.05 ** (1 / 7))


@pytest.mark.parametrize(("rate", "base"), [(0.0, 0.01), (0.02, 0.0), (0.3, 0.05)])
def test_the_interval_of_the_copy_rate_covers(rate, base):
    rng, hits = RNG(7), []
    for _ in range(1000):
        found = rng.binomial(400, rate + (1 - rate) * base)
        reference = rng.binomial(300, base)
        interval = copy_tests.copy_rate(found, 400, reference, 300)
        assert interval.low <= interval.value <= interval.high
        hits.append(interval.low <= rate <= interval.high)
    assert np.mean(hits) > 0.95 - 4 * np.sqrt(0.95 * 0.05 / 1000)


def test_copy_rate_at_the_ends():
    assert copy_tests.copy_rate(50, 50, 0, 100).value == 1
    assert copy_tests.copy_rate(50, 50, 100, 100) == (1.0, 0.0, 1.0)
    assert copy_tests.copy_rate(0, 50, 0, 100)[:2] == (0, 0)
    assert copy_tests.copy_rate(1, 50, 30, 100).value == 0


def test_conformal_p_values_by_counting():
    ours, theirs = np.array([0.0, 2.0, 2.5, 9.0]), np.array([2.0, 1.0, 3.0, 2.0])
    found = copy_tests.conformal_p_values(ours, theirs)
    assert found.tolist() == [0.2, 0.8, 0.8, 1.0]
    cut = copy_tests.conformal_p_values(ours, theirs, threshold=2.5)
    assert cut.tolist() == [0.2, 0.8, 1.0, 1.0]


def test_discoveries_keep_the_false_discovery_rate():
    """80 of 400 samples are copies, and 300 held-out ones calibrate all."""
    rng, false = RNG(3), []
    for _ in range(200):
        ours, theirs = rng.random(400), rng.random(300)
        ours[:80] = rng.random(80) * 0.02
        p = copy_tests.conformal_p_values(ours, theirs)
        flagged = np.flatnonzero(copy_tests.discoveries(p) <= 0.1)
        false.append(np.mean(flagged >= 80) if flagged.size else 0.0)
    assert np.mean(false) < 0.1 + 4 * np.std(false) / np.sqrt(200)
    assert np.mean(false) > 0.04  # or the list would be too short


def test_benjamini_and_hochberg_on_their_example():
    p = np.array([0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344])
    p = np.concatenate([p, [0.0459, 0.324, 0.4262, 0.5719, 0.6528, 0.759, 1.0]])
    assert np.sum(copy_tests.discoveries(p) <= 0.05) == 4  # their section 3.2


def test_shift_by_counting_pairs():
    ours, theirs = RNG(4).integers(0, 6, 40) * 1.0, RNG(5).integers(0, 7, 30) * 1.0
    smaller = np.mean(ours[:, None] < theirs) + np.mean(ours[:, None] == theirs) / 2
    found, p_value = copy_tests.shift(ours, theirs)
    assert found == pytest.approx(smaller, rel=1e-12)
    back, other = copy_tests.shift(theirs, ours)
    assert back == pytest.approx(1 - smaller, rel=1e-12)
    assert (p_value < 0.5) == (smaller > 0.5) == (other > 0.5)
