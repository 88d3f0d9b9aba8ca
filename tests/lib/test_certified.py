"""The denoiser to a tolerance: its certificate against sums over all points."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats

import empirical_score as es
from empirical_score import EmpiricalScore
from empirical_score._axes import Axes
from empirical_score._boxes import Boxes, halved
from empirical_score._engine import Engine
from empirical_score._kept import Kept, average, joined
from empirical_score._trajectory import Trajectory

LEVELS = np.geomspace(30.0, 0.01, 12)


def smooth_set(n, d, rng, kind=np.float64):
    """Points whose variance falls from axis to axis, in turned coordinates, clustered.

    Like images: a few directions carry most of the spread.
    """
    scales = 3.0 / np.arange(1, d + 1)  # as in images
    centers = scales * rng.standard_normal((8, d))
    points = centers[rng.integers(8, size=n)] + 0.3 * scales * rng.standard_normal(
        (n, d)
    )
    turn = stats.ortho_group.rvs(d, random_state=rng) if d > 1 else np.eye(1)
    return (points @ turn + 0.5).astype(kind)


def deviation(law, data, x, sigma):
    """Root mean square deviation a coordinate from the sum over all points, by row.

    The noise level counts as the law takes it: in the precision of its data.
    """
    exact = EmpiricalScore(np.asarray(data, np.float64))
    level = np.asarray(sigma, data.dtype).astype(np.float64)
    exact = exact.denoise(np.asarray(x, np.float64), level)
    found, certificate = law.certified(x, sigma)
    return np.sqrt(np.mean((np.asarray(found) - exact) ** 2, axis=1)), certificate


@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("d", [1, 2, 3, 40, 128])
@pytest.mark.parametrize("tolerance", [1e-1, 1e-3, 1e-6])
def test_the_error_is_below_its_certificate_and_that_below_the_tolerance(
    d, kind, tolerance
):
    rng = np.random.default_rng(d)
    data = smooth_set(3000, d, rng, kind)
    law = EmpiricalScore(data, tolerance=tolerance)
    for sigma in LEVELS:
        x = (data[:20] + sigma * rng.standard_normal((20, d))).astype(kind)
        error, certificate = deviation(law, data, x, sigma)
        rounding = 2e-5 if kind is np.float32 else 1e-12
        assert np.all(error <= certificate.error + 1e-14), sigma
        assert np.all(certificate.error <= max(tolerance, rounding)), sigma


@pytest.mark.parametrize("d", [2, 40, 128])
@pytest.mark.parametrize("tolerance", [1e-3, 1e-6])
def test_what_the_attention_kernel_errs_is_in_the_certificate(d, tolerance):
    rng = np.random.default_rng(d)
    data = smooth_set(40_000, d, rng, np.float32)
    law, exact = (
        EmpiricalScore(torch.as_tensor(data), tolerance=tolerance),
        EmpiricalScore(data.astype(np.float64)),
    )
    for sigma in LEVELS:
        x = np.float32(data[:20] + sigma * rng.standard_normal((20, d)))
        found, certificate = law.certified(torch.as_tensor(x), sigma)
        level = float(np.float32(sigma))
        gap = found.numpy() - exact.denoise(x.astype(np.float64), level)
        error = np.sqrt(np.mean(gap**2, axis=1))
        assert np.all(error <= certificate.error.numpy() + 1e-14), sigma
        assert np.all(certificate.error.numpy() <= max(tolerance, 2e-5)), sigma


def test_low_noise_costs_little_and_high_noise_no_more_than_all():
    rng = np.random.default_rng(0)
    for d, n, m in ((2, 40_000, 512), (128, 4_000, 16)):
        data = smooth_set(n, d, rng)
        law = EmpiricalScore(data, tolerance=1e-3)
        x = data[:m] + 0.01 * rng.standard_normal((m, d))
        assert law.certified(x, 0.01)[1].share < 0.1
        x = data[:m] + 30 * rng.standard_normal((m, d))
        assert law.certified(x, 30.0)[1].share < 1.3
        assert law.certified(x, 30.0)[1].share <= 1.0


def test_rows_at_many_noise_levels_are_certified_together():
    rng = np.random.default_rng(1)
    data = smooth_set(2000, 60, rng)
    sigma = rng.permutation(np.geomspace(20, 0.02, 40))
    x = data[:40] + sigma[:, None] * rng.standard_normal((40, 60))
    law = EmpiricalScore(data, tolerance=1e-3)
    error, certificate = deviation(law, data, x, sigma)
    assert np.all(error <= certificate.error)
    assert np.all(certificate.error <= 1e-3)
    exact = (law.denoise(x, sigma) - x) / sigma[:, None] ** 2
    np.testing.assert_allclose(law(x, sigma), exact, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("forgotten", ["rests", "norms"])
def test_a_bound_that_is_too_small_is_seen(forgotten):
    """Were the rests of the points or of sums forgotten, errors would exceed bounds."""
    rng = np.random.default_rng(2)
    data = smooth_set(3000, 64, rng)
    law, exact = EmpiricalScore(data, tolerance=1e-3), EmpiricalScore(data)
    index = law._certifier(data).index
    if forgotten == "rests":
        index.table[:, 1 : 1 + 2 * index.shallow] = 0.0
        index.longest = [0.0 for _ in index.longest]
    else:
        index.norms = [0.0 for _ in index.norms]
    path, broken = law.starting_from(20 * rng.standard_normal((8, 64))), []

    def score(x, sigma):
        found, wanted = path.denoise(x, sigma), exact.denoise(x, sigma)
        error = np.sqrt(np.mean((found - wanted) ** 2, axis=1))
        broken.append(np.any(error > path.certificates[-1].error))
        return (wanted - x) / sigma**2

    es.sample_ode(score, path._trajectory.z + data.mean(0), es.karras_levels(30, 20.0))
    assert any(broken)


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_a_path_is_certified_at_every_step_and_ends_on_the_same_points(kind):
    rng = np.random.default_rng(3)
    data = smooth_set(3000, 64, rng, kind)
    levels = es.karras_levels(30, 20.0, 0.01)
    start = (20 * rng.standard_normal((12, 64))).astype(kind)
    law = EmpiricalScore(data, tolerance=1e-3)
    path = law.starting_from(start)
    exact = EmpiricalScore(data.astype(np.float64))
    gaps = []

    def score(x, sigma):
        level = float(kind(sigma))
        found, wanted = path.denoise(x, sigma), exact.denoise(x.astype(float), level)
        gap = np.sqrt(np.mean((found - wanted) ** 2, axis=1))
        gaps.append(np.max(gap - path.certificates[-1].error))
        return (found - x) / np.asarray(sigma, kind) ** 2

    found = es.sample_ode(score, start, levels)
    assert max(gaps) <= 1e-14
    assert all(np.all(c.error <= 1e-3 * 1.0001) for c in path.certificates)
    wanted = es.sample_ode(exact, start.astype(np.float64), levels)
    same = [np.argmin(((y - data) ** 2).sum(1)) for y in found]
    true = [np.argmin(((y - data) ** 2).sum(1)) for y in wanted]
    assert same == true
    assert path.certificates[-1].share == 0  # every path is locked on its point


def test_samplers_use_the_path_by_themselves():
    rng = np.random.default_rng(4)
    data = smooth_set(2000, 40, rng)
    start, levels = 10 * rng.standard_normal((6, 40)), es.karras_levels(20, 10, 0.01)
    exact = es.sample_ode(EmpiricalScore(data), start, levels)
    law = EmpiricalScore(data, tolerance=1e-6)
    np.testing.assert_allclose(es.sample_ode(law, start, levels), exact, atol=1e-4)
    process, times = es.OrnsteinUhlenbeck(), np.geomspace(2.0, 0.01, 20)
    start = rng.standard_normal((6, 40))
    found, exact = (
        es.sample_ode(score, start, times, process=process)
        for score in (law, EmpiricalScore(data))
    )
    np.testing.assert_allclose(found, exact, atol=1e-4)


def test_a_path_in_little_memory_gives_the_same():
    rng = np.random.default_rng(11)
    data, x = smooth_set(800, 40, rng), rng.standard_normal((6, 40))
    for memory in (6_000, 40_000, 2**27):
        law = EmpiricalScore(data, tolerance=1e-3, memory=memory)
        for sigma in (3.0, 0.3, 0.02):
            error, certificate = deviation(law, data, sigma * x + data[:6], sigma)
            assert np.all(error <= certificate.error + 1e-14)
        path = law.starting_from(x)
        for sigma in (3.0, 0.3, 0.02):
            path.denoise(sigma * x + data[:6], sigma)


def test_a_single_point_that_is_left_stays_until_the_path_strays():
    rng = np.random.default_rng(5)
    data = smooth_set(500, 40, rng)
    engine = Engine(data, 2**27)
    path = Trajectory(engine, Axes(engine), data[:2] + 1.0, 1e-6, 8)
    x = data[:2] + 0.01 * rng.standard_normal((2, 40))
    level = np.full(2, 0.01)
    for factor in (1.0, 0.5, 0.1):  # straight on: nothing is looked at
        place = data[:2] + factor * (x - data[:2])
        mean, certificate = path.evaluate(place, factor * level)
        np.testing.assert_array_equal(path.kept.anchor, [0, 1])
        np.testing.assert_array_equal(path.kept.counts, [1, 1])
        np.testing.assert_allclose(mean, data[:2], atol=1e-12)
        assert np.all(certificate.error <= 1e-6)
    assert certificate.share == 0
    x = data[2:4] + 0.005 * rng.standard_normal((2, 40))  # elsewhere altogether
    mean, certificate = path.evaluate(x, level / 2)
    np.testing.assert_allclose(mean, data[2:4], atol=1e-5)
    assert np.all(certificate.error <= 1e-6)


def leads_of(data, anchor, x, sigma):
    """By how much one point leads all others, in nats, ``(r, n)``."""
    squares = ((x[:, None, :] - data[None]) ** 2).sum(2)
    own = np.take_along_axis(squares, anchor[:, None], axis=1)
    return (squares - own) / (2 * sigma[:, None] ** 2)


def test_what_was_left_out_is_behind_as_far_as_is_said():
    """Brute force: down, up, sideways and on the spot, from a point that leads."""
    rng = np.random.default_rng(6)
    close = []
    for _ in range(200):
        data = rng.standard_normal((50, 4)) * rng.uniform(0.1, 3)
        radius = np.linalg.norm(data - data.mean(0), axis=1).max()
        x = data[:8] + rng.uniform(0, 1) * rng.standard_normal((8, 4))
        sigma = rng.uniform(0.1, 2, 8)
        anchor = np.argmin(((x[:, None] - data[None]) ** 2).sum(2), axis=1)
        leads = leads_of(data, anchor, x, sigma)
        out = leads >= 2.0
        kept = Kept.seen(
            SimpleNamespace(xp=np, points=data),
            *(x, sigma, anchor, np.min(leads, axis=1, where=out, initial=1e9)),
            *np.nonzero(~out),
        )
        ratio = rng.choice([0.05, 0.5, 0.9, 1.0, 1.3])
        y = data[anchor]
        e = rng.standard_normal((8, 4)) * rng.choice([0.0, 0.01, 0.3])
        moved = y + ratio * (x - y) + e
        told = kept.leads(moved, ratio * sigma, radius)
        later = leads_of(data, anchor, moved, ratio * sigma)
        true = np.min(later, axis=1, where=out, initial=1e9)
        some = np.any(out, axis=1)
        assert np.all((true >= told - 1e-9 * (1 + abs(told)))[some])
        close.append(np.min((true - told)[some] / (1 + abs(true[some])), initial=1.0))
    assert min(close) < 1e-6  # and the bound is reached


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_rows_that_are_kept_are_taken_apart_and_joined(kind):
    rng = np.random.default_rng(12)
    data = kind(rng.standard_normal((20, 3)))
    x = kind(rng.standard_normal((4, 3)))
    engine = Engine(data, 2**20)
    places, columns = kind(np.array([0, 0, 1, 2, 2, 2, 3])), kind(np.arange(7))
    sigma = kind(np.full(4, 0.5))
    first = kind(np.array([0, 2, 3, 6]))
    kept = Kept.seen(engine, x, sigma, first, 0 * sigma + 9, places, columns)
    good = kind(np.array([False, True, True, False]))
    again = joined(kept.take(good), kept.take(~good))
    assert again.rows.tolist() == [1, 2, 0, 3]
    assert again.counts.tolist() == [1, 3, 2, 1]
    assert again.places.tolist() == [1, 1, 1, 2, 2]  # a single point needs no list
    assert again.columns.tolist() == [3, 4, 5, 0, 1]
    leads = again.lead
    found = average(engine, again, x[again.rows], sigma, leads, 1e9, None)
    for place, own in enumerate(((2,), (3, 4, 5), (0, 1), (6,))):
        row = again.rows[place]
        points = np.asarray(data[list(own)])
        squares = np.sum((np.asarray(x[row]) - points) ** 2, axis=1)
        weights = np.exp(-squares / 0.5)
        mean = weights @ points / weights.sum()
        np.testing.assert_allclose(found.mean[place], mean, atol=1e-12)


def test_torch_gives_what_numpy_gives():
    rng = np.random.default_rng(7)
    for d in (2, 60):
        data = smooth_set(1500, d, rng, np.float32)
        ours = EmpiricalScore(data, tolerance=1e-3)
        theirs = EmpiricalScore(torch.as_tensor(data), tolerance=1e-3)
        for sigma in (10.0, 1.0, 0.05):
            x = (data[:8] + sigma * rng.standard_normal((8, d))).astype(np.float32)
            wanted, _ = ours.certified(x, sigma)
            found, certificate = theirs.certified(torch.as_tensor(x), sigma)
            assert found.dtype == torch.float32
            np.testing.assert_allclose(found, wanted, atol=2e-3)
            assert bool(torch.all(certificate.error <= 1e-3))


def test_axes_bound_every_product_and_every_sum():
    rng = np.random.default_rng(8)
    data = smooth_set(800, 50, rng)
    engine = Engine(data, 2**27)
    axes, u = Axes(engine), rng.standard_normal(50)
    centered, w = data - data.mean(0), rng.standard_normal(800) / 800
    assert np.linalg.norm(centered, 2) <= axes.norms[0]
    for panels in range(1, axes.panels + 1):
        some = axes.panel(0, panels)
        q = axes.directions[:, some]
        tail = u - q @ (q.T @ u)
        gap = np.abs(centered @ u - axes.coordinates[:, some] @ (q.T @ u))
        assert np.all(gap <= np.linalg.norm(tail) * axes.rests[panels - 1] + 1e-5)
        rest = w @ centered - q @ (q.T @ (w @ centered))
        assert np.linalg.norm(rest) <= np.linalg.norm(w) * axes.norms[panels] + 1e-5
    singular = np.linalg.norm(centered - centered @ q @ q.T, 2)
    assert singular <= axes.norms[-1] <= 1.02 * singular


def test_nodes_of_the_tree_hold_their_points():
    points = np.random.default_rng(9).standard_normal((5000, 3))
    order = halved(points, 64, np)
    assert sorted(order) == list(range(5000))
    boxes = Boxes(Engine(points, 2**27))
    for nodes in boxes.levels:
        spread = []
        for k in range(len(nodes.count)):
            own = boxes.points[nodes.size * k : nodes.size * (k + 1)]
            gaps = own - nodes.mean[k]
            assert nodes.count[k] == len(own)
            np.testing.assert_allclose(nodes.mean[k], own.mean(0), atol=1e-12)
            assert np.all((gaps**2).sum(1) <= nodes.radius[k] ** 2)
            spread.append(np.sum(gaps**2))
        assert sum(spread) < np.sum((points - points.mean(0)) ** 2) + 1e-9
    assert sum(spread) > 2 * np.sum(boxes.levels[0].variance * boxes.levels[0].count)


def test_what_a_node_stands_for_is_bounded_as_proved():
    """Brute force: weight and first moment of a cloud against those of its mean."""
    rng = np.random.default_rng(10)
    for _ in range(400):
        sigma, size = rng.uniform(0.3, 2), rng.uniform(0.01, 0.5)
        cloud = size * rng.standard_normal((6, 2))
        cloud -= cloud.mean(0)
        center = rng.uniform(-2, 2, 2)
        weights = np.exp(-((cloud + center) ** 2).sum(1) / (2 * sigma**2))
        alone = np.exp(-(center @ center) / (2 * sigma**2))
        radius = np.sqrt((cloud**2).sum(1).max())
        v, h = (cloud**2).sum(1).mean(), np.linalg.norm(center) / sigma**2
        h += radius / (2 * sigma**2)
        e = radius * h
        bound = v / (2 * sigma**2) + v * h**2 * (np.expm1(e) - e) / e**2
        assert abs(weights.mean() / alone - 1) <= bound
        moment = np.linalg.norm(weights @ cloud / 6) / alone
        assert moment <= v * h * np.expm1(e) / e


def test_duplicates_ties_and_a_single_point():
    for data in (np.ones((5, 2)), np.ones((1, 40)), np.zeros((300, 12))):
        law = EmpiricalScore(data, tolerance=1e-3)
        x = np.full((3, data.shape[1]), 0.3)
        np.testing.assert_allclose(law.denoise(x, 0.5), data[:1] + 0 * x, atol=1e-12)
        path = law.starting_from(x)
        np.testing.assert_allclose(path.denoise(x, 0.5), data[:1] + 0 * x, atol=1e-12)


@pytest.mark.parametrize("tolerance", [0, -1.0, np.nan, np.inf, "fine", [1e-3]])
def test_a_bad_tolerance_is_named(tolerance):
    with pytest.raises((TypeError, ValueError), match="tolerance"):
        EmpiricalScore(np.zeros((3, 2)), tolerance=tolerance)


def test_without_a_tolerance_nothing_is_certified():
    law, x = EmpiricalScore(np.zeros((3, 2))), np.zeros((1, 2))
    with pytest.raises(ValueError, match="tolerance must be given"):
        law.certified(x, 1.0)
    assert law.starting_from(x) is law


def test_a_path_refuses_other_rows():
    data = np.random.default_rng(0).standard_normal((50, 12))
    path = EmpiricalScore(data, tolerance=1e-3).starting_from(data[:4])
    with pytest.raises(ValueError, match="one row for each of the 4"):
        path.denoise(data[:3], 1.0)
