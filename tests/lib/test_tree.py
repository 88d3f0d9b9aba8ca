"""The tree: its nodes, what they stand for, and averages against direct sums."""

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
    assert len(tree.levels) == 3 and tree.levels[-1].count.shape[0] <= trees.ROOTS
    for level, nodes in enumerate(tree.levels):
        size, spread = 64 * 2**level, []
        for k in range(len(nodes.count)):
            own = ordered[size * k : size * (k + 1)]
            gaps = own - np.asarray(nodes.mean[k])
            assert nodes.count[k] == len(own)
            np.testing.assert_allclose(nodes.mean[k], own.mean(0), atol=1e-12)
            far, mean = (gaps**2).sum(1).max(), (gaps**2).sum(1).mean()
            assert far <= nodes.radius[k] ** 2 <= far * (1 + 1e-9)
            assert mean <= nodes.variance[k] <= mean * (1 + 1e-9)
            spread.append(np.sum(gaps**2))
        assert sum(spread) < np.sum((points - points.mean(0)) ** 2) + 1e-9


def test_what_a_node_stands_for_is_bounded_as_proved():
    """Clouds with one point far out, where each bound comes close to what happens."""
    rng, close = np.random.default_rng(10), []
    for _ in range(600):
        sigma, size = rng.uniform(0.3, 2), rng.uniform(0.01, 0.5)
        cloud = size * rng.standard_normal((6, 2)) * rng.choice([0.1, 1], (6, 1))
        cloud -= cloud.mean(0)
        center = rng.uniform(-2, 2, 2)
        weights = np.exp(-((cloud + center) ** 2).sum(1) / (2 * sigma**2))
        alone = np.exp(-(center @ center) / (2 * sigma**2))
        radius = np.sqrt((cloud**2).sum(1).max())
        variance, distance = (cloud**2).sum(1).mean(), np.linalg.norm(center)
        own = (np.array([v]) for v in (distance, radius, variance, 0.0, 2 * sigma**2))
        weight, place, _ = trees.node_errors(*own, np)
        off = (
            abs(weights.mean() / alone - 1),
            np.linalg.norm(weights @ cloud / 6) / alone,
        )
        assert off[0] <= weight[0] and off[1] <= place[0]
        close.append((off[0] / weight[0], off[1] / place[0]))
    assert np.all(np.max(close, axis=0) > 0.5)


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
