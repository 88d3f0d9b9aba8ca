"""Tests of tests: exact values by counting, levels and power by simulation."""

import itertools
import math

import audit_oracle
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


# Of 1,000 trials more than 24 are wrong with a chance below 1e-4 at 1 %, and 24 or
# fewer with one below 1e-4 at 5 %.
TRIALS, MOST = 1000, 24


@pytest.mark.parametrize("discrete", [False, True])
def test_the_joint_test_keeps_its_level(discrete):
    """Dependent statistics, with and without ties, nothing to find."""
    assert stats.binom.sf(MOST, TRIALS, 0.01) < 1e-4
    assert stats.binom.cdf(MOST, TRIALS, 0.05) < 1e-4
    rng, p_values = RNG(1), []
    for _ in range(TRIALS):
        x = rng.standard_normal((2, 40))
        x[1] += x[0]
        x = np.round(2 * x) if discrete else x
        tails = copy_tests.tail_test(x[:, :25], x[:, 25:], rng, permutations=99)
        p_values.append(min(tail.p_value for tail in tails))
    assert np.sum(np.array(p_values) <= 0.01) <= MOST
    for level in (0.05, 0.2, 0.5):
        wrong = int(np.sum(np.array(p_values) <= level))
        assert stats.binom.sf(wrong - 1, TRIALS, level) > 1e-4
        assert wrong > TRIALS * level / 2  # not far below: there is power


@pytest.mark.parametrize("block", [1, 1000])
def test_permutations_in_blocks_are_the_same_permutations(monkeypatch, block):
    ours, theirs = RNG(2).random((3, 60)), RNG(3).random((3, 90)) ** 0.9
    whole = copy_tests.tail_test(ours, theirs, RNG(4), permutations=99)
    monkeypatch.setattr(copy_tests, "BLOCK", block)
    assert copy_tests.tail_test(ours, theirs, RNG(4), permutations=99) == whole
    assert whole[0].p_value != whole[1].p_value


@pytest.mark.parametrize(
    ("m", "h", "deepest"),
    [(100, 100, 50), (300, 500, 80), (8000, 13_000, 2000)],
)
def test_how_deep_a_tail_can_be(m, h, deepest):
    """A slight excess all along is the less likely the deeper one looks."""
    ours = (np.arange(m) + 0.5) / m
    theirs = (np.arange(h) + 0.5) / h * 1.7
    (tail,) = copy_tests.tail_test(ours[None], theirs[None], RNG(0), permutations=99)
    assert tail.depth == deepest
    found, log_p = audit_oracle.tail(ours, theirs, deepest)
    assert tail.generated == found and tail.expected == deepest * m / (m + h)
    assert tail.log_p == pytest.approx(log_p, rel=1e-9)


@pytest.mark.parametrize("copies", [1, 2, 5, 31, 32, 33, 90, 200, 399])
def test_a_tail_ends_where_the_copies_do(copies):
    """At each of the first 32 depths exactly, then up to a factor of 2^(1/4)."""
    ours, theirs = 1 + RNG(0).random((1, 2000)), 1 + RNG(1).random((1, 2000))
    ours[0, :copies] = RNG(2).random(copies)
    (tail,) = copy_tests.tail_test(ours, theirs, RNG(3), permutations=99)
    least = audit_oracle.tail(ours[0], theirs[0], copies)[1]
    if copies <= 32:
        assert tail.log_p <= least + 1e-9
    # The next smaller depth that is looked at would do nearly as well.
    assert tail.log_p <= least / 2**0.25 + 1e-9
    found, log_p = audit_oracle.tail(ours[0], theirs[0], tail.depth)
    assert tail.generated == found
    assert tail.log_p == pytest.approx(log_p, rel=1e-9)


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
    assert tail.p_value == pytest.approx(1 / 6, abs=4 * np.sqrt(5 / 36 / 9999))
    assert copy_tests.detectable_copies(1, 5, 0, 0.01) is None
    assert copy_tests.detectable_copies(1, 98, 0, 0.01) is None
    assert copy_tests.detectable_copies(1, 99, 0, 0.01) == 1
    (coarse,) = copy_tests.tail_test(
        np.zeros((1, 50)), np.ones((1, 50)), RNG(0), permutations=99
    )
    assert coarse.p_value == 0.01


def test_ties_are_broken_at_random():
    """All values are equal: which of them come first says nothing."""
    first = {
        copy_tests.tail_test(np.ones((1, 6)), np.ones((1, 6)), rng, permutations=99)[0]
        for rng in map(RNG, range(8))
    }
    assert len({tail.generated / tail.depth for tail in first}) > 2


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
@pytest.mark.parametrize("power", [0.5, 0.9])
def test_the_detectable_rate_is_found_with_the_promised_chance(reference, power):
    m, h = 800, 1000
    copies = copy_tests.detectable_copies(m, h, reference, 0.01)
    rate = copy_tests.detectable_rate(m, copies, reference, h, power=power)
    below = rate + (1 - rate) * reference / h
    assert stats.binom.sf(copies - 1, m, below) == pytest.approx(power, rel=1e-9)
    if power == 0.9:
        assert copy_tests.detectable_rate(m, copies, reference, h) == rate


def test_a_detectable_rate_at_the_ends():
    """The held-out share alone is enough; all held-out values are below."""
    assert copy_tests.detectable_rate(100, 3, 20, 100) == 0
    assert copy_tests.detectable_rate(100, 3, 100, 100) == 1


def test_fisher_by_counting_and_proportions_by_roots():
    tables = [(5, 100, 1, 90), (0, 10, 3, 20), (7, 7, 0, 30), (3, 40, 30, 50)]
    for a, m, b, h in tables:
        exact = audit_oracle.fisher(a, m, b, h)
        found = copy_tests.fisher_p_value(a, m, b, h)
        assert found == pytest.approx(exact, rel=1e-9)
    for count, total in [(1, 10), (50, 5000), (9, 10), (0, 7), (7, 7)]:
        expected = audit_oracle.one_sided_at_the_ends(count, total, 0.9)
        found = copy_tests.proportion(count, total, 0.9)
        assert found == pytest.approx(expected, rel=1e-9)


def test_the_level_of_fisher_by_all_tables():
    """Whatever number lies below: how many of them are generated is hypergeometric."""
    (m, h), levels = (30, 45), (0.01, 0.05, 0.2)
    wrong = {level: [] for level in levels}
    for below in range(1, m + h):
        counts = range(max(0, below - h), min(m, below) + 1)
        chances = [
            math.comb(m, c) * math.comb(h, below - c) / math.comb(m + h, below)
            for c in counts
        ]
        p = [copy_tests.fisher_p_value(c, m, below - c, h) for c in counts]
        for level in levels:
            said = [x for x, q in zip(chances, p, strict=True) if q <= level]
            wrong[level].append(sum(said))
    for level in levels:
        assert 0.8 * level < max(wrong[level]) <= level * (1 + 1e-9)


def test_the_rule_of_three():
    found = copy_tests.proportion(0, 10_000)
    assert found.low == 0 and found.high == pytest.approx(3 / 10_000, rel=2e-3)
    # Exactly the rate at which nothing is seen with chance 5 %.
    assert (1 - found.high) ** 10_000 == pytest.approx(0.05, rel=1e-9)
    assert copy_tests.proportion(7, 7).low == pytest.approx(0.05 ** (1 / 7))


@pytest.mark.parametrize(("rate", "base"), [(0.0, 0.05), (0.1, 0.0), (0.3, 0.1)])
def test_the_interval_of_the_copy_rate_covers(rate, base):
    """The chance that it does, summed over all counts."""
    m, h, covered = 40, 30, 0.0
    chances = np.outer(
        stats.binom.pmf(range(m + 1), m, rate + (1 - rate) * base),
        stats.binom.pmf(range(h + 1), h, base),
    )
    for a, b in zip(*np.nonzero(chances > 1e-7), strict=True):
        found = copy_tests.copy_rate(a, m, b, h, 0.95)
        assert found.low <= found.value <= found.high
        covered += chances[a, b] * (found.low <= rate <= found.high)
    assert covered >= 0.95 - 1e-4


@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_copy_rates_by_their_formula(confidence):
    for table in [(20, 80, 3, 60), (5, 300, 9, 70), (0, 20, 0, 20), (20, 20, 19, 20)]:
        found = copy_tests.copy_rate(*table, confidence)
        expected = audit_oracle.copy_rate(*table, confidence)
        assert found == pytest.approx(expected, rel=1e-8)
    default = copy_tests.copy_rate(20, 80, 3, 60)
    assert default == copy_tests.copy_rate(20, 80, 3, 60, 0.95)


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


def test_flags_by_counting():
    """With ties, within and between the sets, and a threshold."""
    rng = RNG(8)
    for threshold in (np.inf, 0.3):
        ours = np.round(rng.random(70) ** 2, 2)
        theirs = np.round(rng.random(90), 2)
        p_values = copy_tests.conformal_p_values(ours, theirs, threshold)
        expected = audit_oracle.conformal(ours, theirs, threshold)
        np.testing.assert_allclose(p_values, expected, rtol=1e-12)
        np.testing.assert_allclose(
            copy_tests.discoveries(p_values), audit_oracle.adjusted(expected), rtol=1e-9
        )


def test_discoveries_keep_the_false_discovery_rate():
    """80 of 400 samples are copies, and 300 held-out ones calibrate all.

    The expected share of false ones is at most 0.1 times the 320 / 400 that are none.
    """
    rng, false = RNG(3), []
    for _ in range(600):
        ours, theirs = rng.random(400), rng.random(300)
        ours[:80] = rng.random(80) * 0.02
        p = copy_tests.conformal_p_values(ours, theirs)
        flagged = np.flatnonzero(copy_tests.discoveries(p) <= 0.1)
        false.append(np.mean(flagged >= 80) if flagged.size else 0.0)
    error = np.std(false) / np.sqrt(len(false))
    assert 0.05 < np.mean(false) < 0.08 + 4 * error and error < 0.0025


def test_benjamini_and_hochberg_on_their_example():
    p = np.array([0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344])
    p = np.concatenate([p, [0.0459, 0.324, 0.4262, 0.5719, 0.6528, 0.759, 1.0]])
    assert np.sum(copy_tests.discoveries(p) <= 0.05) == 4  # their section 3.2


def test_shift_by_counting_pairs():
    ours, theirs = RNG(4).integers(0, 6, 40) * 1.0, RNG(5).integers(0, 7, 30) * 1.0
    smaller, expected = audit_oracle.nearer(ours, theirs)
    found, p_value = copy_tests.shift(ours, theirs)
    assert found == pytest.approx(smaller, rel=1e-12)
    assert p_value == pytest.approx(expected, rel=1e-9)
    back, other = copy_tests.shift(theirs, ours)
    assert back == pytest.approx(1 - smaller, rel=1e-12)
    assert (p_value < 0.5) == (smaller > 0.5) == (other > 0.5)


def test_a_seed_is_the_generator_that_it_makes():
    ours, theirs = RNG(0).standard_normal((2, 1, 40))
    one, other = (
        copy_tests.tail_test(ours, theirs, rng, permutations=99) for rng in (7, RNG(7))
    )
    assert one == other
    with pytest.raises(TypeError, match=r"or an int seed, got NoneType$"):
        copy_tests.tail_test(ours, theirs, None)


def test_former_names_serve():
    assert copy_tests.shift is copy_tests.mann_whitney
    assert copy_tests.discoveries is copy_tests.benjamini_hochberg
