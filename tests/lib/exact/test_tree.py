"""The tree: its nodes, what they stand for, and averages against direct sums."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.special import softmax

from empirical_score import EmpiricalScore
from empirical_score.exact import tree as trees
from empirical_score.exact.points import Points


def direct(data, x, sigma):
    """Averages by direct sums in float64."""
    logs = -cdist(x, data, "sqeuclidean") / (2 * sigma[:, None] ** 2)
    return softmax(logs, axis=1) @ data


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_nodes_hold_their_points(kind):
    points = np.random.default_rng(9).standard_normal((5000, 3))
    order = trees.halved(kind(points), 64, Points(kind(points), 2**20).xp)
    assert sorted(np.asarray(order)) == list(range(5000))
    ordered = points[np.asarray(order)]
    tree = trees.build(Points(kind(points), 2**27))
    assert len(tree.levels) == 3 and tree.levels[-1].points.shape[0] <= trees.ROOTS
    for level, nodes in enumerate(tree.levels):
        size, spread = 64 * 2**level, []
        for k in range(len(nodes.points)):
            own = ordered[size * k : size * (k + 1)]
            gaps = own - np.asarray(nodes.mean[k])
            assert nodes.points[k] == len(own)
            np.testing.assert_allclose(nodes.mean[k], own.mean(0), atol=1e-12)
            far, mean = (gaps**2).sum(1).max(), (gaps**2).sum(1).mean()
            assert far <= nodes.radius[k] ** 2 <= far * (1 + 1e-9)
            assert mean <= nodes.variance[k] <= mean * (1 + 1e-9)
            spread.append(np.sum(gaps**2))
        assert sum(spread) < np.sum((points - points.mean(0)) ** 2) + 1e-9


@pytest.mark.parametrize("blur", [0.0, 1e-2])
def test_what_a_node_stands_for_is_bounded_as_proved(blur):
    """Clouds with one point far out, where each bound comes close to what happens.

    The mean may be off by the blur: then tiny clouds reach the bounds.
    """
    rng, close = np.random.default_rng(10), []
    for _ in range(600):
        sigma, size = rng.uniform(0.3, 2), rng.uniform(0.01, 0.5)
        size = size if blur == 0 else size * blur
        cloud = size * rng.standard_normal((6, 2)) * rng.choice([0.1, 1], (6, 1))
        cloud -= cloud.mean(0)
        center = rng.uniform(-2, 2, 2)
        cloud = cloud + blur * center / np.linalg.norm(center)  # off, away from x
        weights = np.exp(-((cloud + center) ** 2).sum(1) / (2 * sigma**2))
        alone = np.exp(-(center @ center) / (2 * sigma**2))
        radius = np.sqrt((cloud**2).sum(1).max())
        variance, distance = (cloud**2).sum(1).mean(), np.linalg.norm(center)
        own = (np.array([v]) for v in (distance, radius, variance, blur, 2 * sigma**2))
        weight, place, _ = trees.node_errors(*own, np)
        off = (
            abs(weights.mean() / alone - 1),
            np.linalg.norm(weights @ cloud / 6) / alone,
        )
        assert off[0] <= weight[0] and off[1] <= place[0]
        close.append((off[0] / weight[0], off[1] / place[0]))
    assert np.all(np.max(close, axis=0) > 0.5)


def corners(count):
    """All ways to choose signs."""
    return np.array(list(itertools.product([-1.0, 1.0], repeat=count)))


@pytest.mark.parametrize("top", [0.0, -3e12])
def test_errors_of_nodes_add_up_to_that_of_the_average(top):
    """The worst that three nodes and one that is left out can do, by brute force.

    True weights and moments are anywhere within the errors; log weights as large as
    ``top`` are off by a unit of rounding of each of the squares that they add.
    """
    rng, close, points = np.random.default_rng(11), [], Points(np.eye(2)[:, :1], 2**20)
    tree = SimpleNamespace(points=points, levels=(SimpleNamespace(points=np.ones(1)),))
    off = 2.0**-52 * abs(top)
    for _ in range(200):
        sums = trees._Sums(np.zeros((1, 1)), np.ones(1), np)
        logs = rng.uniform(-3, 3, 3) + top - top  # as they are rounded
        offsets = rng.uniform(-0.5, 0.5, 3)
        weight = rng.uniform(0, 0.49, 3) * rng.choice([0, 1e-3, 1])
        place = rng.uniform(0, 0.1, 3) * rng.choice([0, 1])
        for some in ([0, 1], [2]):
            far = weight[some] * abs(offsets[some])
            errors = weight[some], place[some], far
            own = logs[some] + top, offsets[some, None], *errors
            sums.settle(np.zeros(len(some), int), *own)
        shares = np.exp(logs)
        least = shares @ (1 - weight) * np.exp(top - sums.top[0])
        assert 0.999 * least <= sums.settled[0] <= (1 + 1e-3) * least
        other, gap = rng.choice([0.0, 0.02]), rng.uniform(0, 0.5)
        sums.mass, sums.lost = np.array([other]), np.array([other * gap])
        found = trees._finished(tree, sums, 0)
        mean = shares @ offsets / shares.sum()
        assert abs(found.mean[0, 0] - mean) < 1e-12
        signs = corners(7)
        own = shares * np.exp(off * signs[:, :3])
        heavy = own * (1 + weight * signs[:, 3:6])
        moments = heavy * offsets + own * place * signs[:, 6:]
        part = other * np.exp(off) * np.array([[0.0], [1.0]])
        more = heavy.sum(1) * part / (1 - part)
        total = heavy.sum(1) + more
        for side in (-gap, gap):
            worst = np.abs((moments.sum(1) + more * side) / total - mean).max()
            assert worst <= found.error[0] * (1 + 1e-12)
            close.append(worst / found.error[0])
        assert found.discarded[0] >= other * np.exp(off)
    assert max(close) > (0.5 if top == 0 else 0.02)


def test_what_a_level_leaves_out_weighs_no_more_than_is_said():
    """Shells: one around the row, so that all its points are as far as they can be."""
    rng, close = np.random.default_rng(12), []
    cross = np.vstack([np.eye(3), -np.eye(3)])
    for _ in range(300):
        count, sigma = 6, rng.uniform(0.1, 1)
        centers, sizes = rng.uniform(-4, 4, (count, 3)), 10 ** rng.uniform(-4, 0, count)
        centers[0], sizes[0] = 0, rng.uniform(0.1, 1.5)
        clouds = centers[:, None] + sizes[:, None, None] * cross
        whole = np.full(count, 6.0)
        nodes = trees.Nodes(whole, centers, 0 * sizes, sizes, sizes**2)
        x, level = np.zeros((1, 3)), np.array([sigma])
        sums, settled = trees._Sums(x, level, np), []
        sums.settle = lambda rows, *more, into=settled: into.extend(more[1].tolist())
        tree = SimpleNamespace(points=SimpleNamespace(xp=np, n=6 * count))
        budget = 10 ** rng.uniform(-3, 0)
        every = np.arange(count)
        _, left = trees._visit(tree, sums, nodes, 0 * every, every, budget)
        gone = [
            k for k in every if k not in left and centers[k].tolist() not in settled
        ]
        logs = -(clouds**2).sum(2) / (2 * sigma**2)
        weights = np.exp(logs - logs.max())
        weights /= weights.sum()
        away = np.linalg.norm(clouds, axis=2)
        assert weights[gone].sum() <= sums.mass[0] * (1 + 1e-9)
        assert np.sum((weights * away)[gone]) <= sums.lost[0] * (1 + 1e-9)
        if sums.mass[0] > 1e-99:
            close.append(weights[gone].sum() / sums.mass[0])
            far = np.sum(weights[gone]) * away.max()
            assert far <= budget  # no more than may be left out
    assert len(close) > 30 and max(close) > 0.3


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
@pytest.mark.parametrize("d", [1, 2, 3, 8])
@pytest.mark.parametrize("tolerance", [1e-1, 1e-3, 1e-6])
def test_averages_within_the_tolerance(kind, d, tolerance):
    rng = np.random.default_rng(d)
    data = rng.standard_normal((12_000, d)) * rng.uniform(0.2, 2, d) + 7
    law, methods = EmpiricalScore(kind(data), tolerance=tolerance), set()
    for sigma in np.geomspace(0.003, 10, 8):
        levels = np.full(70, sigma)
        x = data[:70] + sigma * rng.standard_normal((70, d))
        found, certificate = law.certified(kind(x), kind(levels))
        gap = np.asarray(found) - direct(data, x, levels)
        error = np.sqrt(np.mean(gap**2, axis=1))
        assert np.all(error <= np.asarray(certificate.error) + 1e-14)
        assert np.all(np.asarray(certificate.error) <= tolerance)
        methods |= set(certificate.method)
    assert "tree" in methods or d == 8


def test_on_training_points_at_little_noise():
    """Where all weight is on one point and nothing is settled above the leaves."""
    data = np.random.default_rng(3).standard_normal((3000, 2))
    law = EmpiricalScore(data, tolerance=1e-3)
    for sigma in (1e-2, 1e-4, 1e-6):
        found, certificate = law.certified(data[:300], sigma)
        np.testing.assert_allclose(
            found, direct(data, data[:300], np.full(300, sigma)), atol=1e-3
        )
        assert np.all(np.isfinite(certificate.error))


def test_many_rows_at_once_take_no_more_memory_than_allowed():
    data = np.random.default_rng(4).standard_normal((20_000, 3))
    sigma = np.full(400, 0.2)
    x = data[:400] + 0.2
    whole = EmpiricalScore(data, tolerance=1e-3).denoise(x, sigma)
    small = EmpiricalScore(data, tolerance=1e-3, memory=2**17).denoise(x, sigma)
    np.testing.assert_allclose(whole, small, atol=2e-3 * np.sqrt(3))


def test_sums_over_all_points_where_they_are_cheaper():
    rng = np.random.default_rng(5)
    data = rng.standard_normal((2000, 8))
    law = EmpiricalScore(data, tolerance=1e-6)
    x = data[:40] + rng.standard_normal((40, 8))
    found, certificate = law.certified(x, 1.0)
    assert set(certificate.method) == {"dense"}
    np.testing.assert_allclose(found, direct(data, x, np.full(40, 1.0)), atol=1e-10)


def test_a_larger_set_costs_hardly_more():
    """Work grows with the nodes within a few sigma, not with the points."""
    rng, shares = np.random.default_rng(6), []
    for n in (40_000, 320_000):
        data = rng.standard_normal((n, 2))
        certificate = EmpiricalScore(data, tolerance=0.05).certified(data[:64], 0.2)[1]
        assert set(certificate.method) == {"tree"}
        shares.append(certificate.share * n)
    assert shares[1] < 3 * shares[0]  # and 8 times the points


def test_the_share_is_that_of_what_is_looked_at(monkeypatch):
    """A node counts as one point, a leaf as all of its points."""
    rng, looked = np.random.default_rng(13), []
    data = rng.standard_normal((40_000, 2))
    visit, look = trees._visit, trees._look

    def visited(tree, sums, nodes, rows, *more):
        looked.append(len(rows))
        return visit(tree, sums, nodes, rows, *more)

    def in_leaves(tree, sums, rows, places):
        looked.append(trees.LEAF * len(rows))
        return look(tree, sums, rows, places)

    monkeypatch.setattr(trees, "_visit", visited)
    monkeypatch.setattr(trees, "_look", in_leaves)
    for sigma in (0.1, 0.12):
        looked.clear()
        law = EmpiricalScore(data, tolerance=1e-3)
        certificate = law.certified(data[:40], sigma)[1]
        assert set(certificate.method) == {"tree"}
        assert certificate.share * 40 * len(data) == pytest.approx(sum(looked))


def test_sums_over_all_points_count_as_such_in_the_share():
    """All rows summed: as much work as a sum over all points takes, and no more."""
    data = np.random.default_rng(14).standard_normal((2000, 8))
    told = EmpiricalScore(data, tolerance=1e-6).certified(data[:40] + 0.5, 1.0)[1]
    assert set(told.method) == {"dense"} and told.share == 1.0


def test_the_tree_gives_up_where_a_sum_over_all_points_takes_less(monkeypatch):
    """The time of a descent, counted apart: a little less than that is too little."""
    rng, spent, m = np.random.default_rng(15), [], 10
    data = rng.standard_normal((20_000, 2))
    visit, look = trees._visit, trees._look

    def visited(tree, sums, nodes, rows, *more):
        spent.append(trees.NODE * len(rows))
        return visit(tree, sums, nodes, rows, *more)

    def in_leaves(tree, sums, rows, places):
        spent.append((trees.NODE + trees.LEAF - 1) * len(rows))
        return look(tree, sums, rows, places)

    monkeypatch.setattr(trees, "_visit", visited)
    monkeypatch.setattr(trees, "_look", in_leaves)
    tree = trees.build(Points(data, 2**27))
    asked = tree, data[:m] + 0.1, np.full(m, 0.1), 1e-3
    found = trees._descend(*asked)
    assert np.all(found.error <= 1e-3) and len(spent) == len(tree.levels) + 1
    enough = sum(spent) / (m * len(data))
    monkeypatch.setattr(trees, "PLAIN", enough * (1 + 1e-9))
    np.testing.assert_array_equal(trees._descend(*asked).mean, found.mean)
    monkeypatch.setattr(trees, "PLAIN", enough * (1 - 1e-9))
    with pytest.raises(trees.TooMany):
        trees._descend(*asked)
