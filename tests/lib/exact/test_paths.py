"""Along paths: what is kept, what is reused, and the bounds by which both hold."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.special import softmax

from empirical_score import EmpiricalScore
from empirical_score.exact import paths
from empirical_score.exact.paths import Kept, State, path_step
from empirical_score.exact.points import Points


def leads_of(data, anchor, x, sigma):
    """By how much one point leads all others, in nats, ``(r, n)``."""
    squares = ((x[:, None, :] - data[None]) ** 2).sum(2)
    own = np.take_along_axis(squares, anchor[:, None], axis=1)
    return (squares - own) / (2 * sigma[:, None] ** 2)


def direct(data, x, sigma):
    logs = -cdist(x, data, "sqeuclidean") / (2 * sigma[:, None] ** 2)
    return softmax(logs, axis=1) @ data


def test_what_was_left_out_is_behind_as_far_as_is_said():
    """Brute force: down, up, sideways and on the spot, from a point that leads."""
    rng = np.random.default_rng(6)
    close = []
    for _ in range(300):
        data = rng.standard_normal((50, 4)) * rng.uniform(0.1, 3)
        radius = np.linalg.norm(data - data.mean(0), axis=1).max()
        x = data[:8] + rng.uniform(0, 1) * rng.standard_normal((8, 4))
        sigma = rng.uniform(0.1, 2, 8)
        anchor = np.argmin(((x[:, None] - data[None]) ** 2).sum(2), axis=1)
        leads = leads_of(data, anchor, x, sigma)
        out = leads >= 2.0
        y = data[anchor]
        least = np.min(leads, axis=1, where=out, initial=1e9)
        kept = Kept(np.arange(8), anchor, y, x - y, sigma, least, *np.nonzero(~out))
        ratio = rng.choice([0.05, 0.5, 0.9, 1.0, 1.3])
        e = rng.standard_normal((8, 4)) * rng.choice([0.0, 0.01, 0.3])
        moved = y + ratio * (x - y) + e
        told = paths.lead(kept, moved, ratio * sigma, radius, np)
        later = leads_of(data, anchor, moved, ratio * sigma)
        true = np.min(later, axis=1, where=out, initial=1e9)
        some = np.any(out, axis=1)
        assert np.all((true >= told - 1e-9 * (1 + abs(told)))[some])
        close.append(np.min((true - told)[some] / (1 + abs(true[some])), initial=1.0))
    assert min(close) < 1e-6  # and the bound is reached


def test_the_lead_is_lost_as_fast_as_is_said():
    """One rival straight ahead, at the distance at which it gains most."""
    close = []
    for ratio in (0.3, 0.7, 0.95, 1.0):
        for e in (0.01, 0.1, 0.4):
            q = min(e / max(1 - ratio, 1e-9), 2.0)
            data = np.array([[0.0, 0.0], [q, 0.0], [-0.5, 0.0]])
            sigma, x = np.array([0.3]), np.array([[0.05, 0.2]])
            lead = leads_of(data, np.array([0]), x, sigma)[0, 1]
            none = np.zeros(1, int)
            own = data[:1], x - data[:1], sigma, np.array([lead]), none, none
            kept = Kept(none, none, *own)
            moved = ratio * x + np.array([[e, 0.0]])
            told = paths.lead(kept, moved, ratio * sigma, 1.0, np)[0]
            true = leads_of(data, np.array([0]), moved, ratio * sigma)[0, 1]
            assert true >= told - 1e-9
            close.append(true - told)
    assert np.median(close) < 1e-3


def test_the_denoiser_moves_by_no_more_than_is_said():
    """Two points and a step along their line, from where they tie: almost equality."""
    rng, close = np.random.default_rng(7), []
    for _ in range(400):
        half, sigma = rng.uniform(0.1, 2), rng.uniform(0.2, 2)
        data = np.array([[half, 0.0], [-half, 0.0]])
        at = np.array([[rng.choice([0.0, rng.normal()]), 0.0]])
        delta = rng.choice([1e-4, 1e-2, 0.1]) * np.array([[1.0, 0.0]])
        level = np.array([sigma])
        before, after = direct(data, at, level), direct(data, at + delta, level)
        variance = half**2 - before[:, 0] ** 2
        told = paths.moved_by(np.linalg.norm(delta), level, half, variance, np)
        moved = np.linalg.norm(after - before)
        assert moved <= told[0] * (1 + 1e-9) + 1e-15
        close.append(moved / max(told[0], 1e-300))
    assert max(close) > 0.99
    # Lots of points, any step.
    data = rng.standard_normal((60, 5))
    radius = np.linalg.norm(data - data.mean(0), axis=1).max()
    for _ in range(200):
        sigma = rng.uniform(0.3, 3, 4)
        x = data[:4] + sigma[:, None] * rng.standard_normal((4, 5))
        delta = rng.uniform(0.001, 0.5) * rng.standard_normal((4, 5))
        before = direct(data, x, sigma)
        logs = -cdist(x, data, "sqeuclidean") / (2 * sigma[:, None] ** 2)
        variance = np.sum(softmax(logs, 1) * cdist(before, data, "sqeuclidean"), axis=1)
        length = np.linalg.norm(delta, axis=1)
        told = paths.moved_by(length, sigma, radius, variance, np)
        moved = np.linalg.norm(direct(data, x + delta, sigma) - before, axis=1)
        assert np.all(moved <= told + 1e-15)


def test_one_place_may_be_given_in_plain_numbers():
    """Python's floats: the bound, to first order and beyond; none where it is huge."""
    for delta in (0.0, 1e-9, 0.1, 3.0):
        told = paths.moved_by(delta, 0.5, 1.5, 0.3, np)
        slope = delta / 0.25
        assert told == pytest.approx(0.3 * slope * np.exp(3.0 * slope), rel=1e-12)
        many = np.array([delta]), np.array([0.5]), 1.5, np.array([0.3])
        np.testing.assert_array_equal(paths.moved_by(*many, np), [told])
    assert paths.moved_by(9.0, 0.5, 1.5, 0.3, np) == np.inf  # 108 nats
    assert paths.moved_by(1e-3, 0.5, 1e9, 0.0, np) == np.inf


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_lists_are_taken_apart_and_joined(kind):
    rng = np.random.default_rng(12)
    points = Points(kind(rng.standard_normal((20, 3))), 2**20)
    xp, sigma = points.xp, kind(np.full(4, 0.5))
    x = kind(rng.standard_normal((4, 3)))
    places, columns = kind(np.array([0, 0, 1, 2, 2, 2, 3])), kind(np.arange(7))
    rows, first = kind(np.arange(4)), kind(np.array([0, 2, 3, 6]))
    y = points.values[first]
    kept = Kept(rows, first, y, x - y, sigma, 0 * sigma + 9, places, columns)
    good = kind(np.array([False, True, True, False]))
    again = paths.joined(
        paths._taken(kept, good, xp), paths._taken(kept, ~good, xp), xp
    )
    assert again.rows.tolist() == [1, 2, 0, 3]
    assert again.places.tolist() == [0, 1, 1, 1, 2, 2, 3]
    assert again.columns.tolist() == [2, 3, 4, 5, 0, 1, 6]
    assert paths.joined(None, kept, xp) is kept


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_a_single_point_that_is_left_stays_until_the_path_strays(kind):
    rng = np.random.default_rng(5)
    data = rng.standard_normal((500, 40))
    points, budget = Points(kind(data), 2**27), 1e-6 * np.sqrt(40)
    x = data[:2] + 0.01 * rng.standard_normal((2, 40))
    state = State()
    for factor, method in ((1.0, "few"), (0.5, "kept"), (0.1, "kept")):
        place = data[:2] + factor * (x - data[:2])
        level = kind(np.full(2, factor * 0.01))
        found, state = path_step(points, state, kind(place), level, budget)
        assert state.later.anchor.tolist() == [0, 1]
        assert list(found.method) == [method] * 2
        np.testing.assert_allclose(found.mean, data[:2], atol=1e-12)
        assert np.all(np.asarray(found.error) <= budget)
    assert found.work == 0
    x = data[2:4] + 0.005 * rng.standard_normal((2, 40))  # elsewhere altogether
    found, state = path_step(points, state, kind(x), kind(np.full(2, 5e-4)), budget)
    np.testing.assert_allclose(found.mean, direct(data, x, np.full(2, 5e-4)), atol=1e-9)
    assert list(found.method) == ["few"] * 2


def test_an_answer_is_reused_nearby_at_the_same_level_alone():
    rng = np.random.default_rng(8)
    data = rng.standard_normal((3000, 12))
    points, budget = Points(data, 2**27), 1e-3
    x, level = data[:5] + 3 * rng.standard_normal((5, 12)), np.full(5, 3.0)
    found, state = path_step(points, State(), x, level, budget)
    assert set(found.method) == {"dense"}
    near = x + 1e-6
    found, again = path_step(points, state, near, level, budget)
    assert set(found.method) == {"reused"} and found.work == 0
    error = np.linalg.norm(found.mean - direct(data, near, level), axis=1)
    assert np.all(error <= found.error) and np.all(found.error <= budget)
    near[2] += 1.0
    found, _ = path_step(points, state, near, level, budget)
    assert list(found.method) == ["reused"] * 2 + ["dense"] + ["reused"] * 2
    found, _ = path_step(points, again, near, 0.999 * level, budget)
    assert set(found.method) == {"dense"}


def test_lists_grow_shorter_and_rows_leave_them():
    """Three rivals fall behind one after the other; one row strays and comes back."""
    rng = np.random.default_rng(9)
    data = np.vstack(
        [np.eye(12)[:4] * [[0.3], [0.35], [0.5], [0.8]], 5 + rng.random((500, 12))]
    )
    points, budget, state = Points(data, 2**27), 1e-3, State()
    counts = []
    for sigma in np.geomspace(0.3, 0.01, 12):
        x = np.zeros((2, 12)) + [[0.01], [0.0]]
        level = np.full(2, sigma)
        found, state = path_step(points, state, x, level, budget)
        error = np.linalg.norm(found.mean - direct(data, x, level), axis=1)
        assert np.all(error <= found.error + 1e-14)
        counts.append(np.bincount(state.later.places, minlength=2).tolist())
    assert counts[0] == [4, 4] and counts[-1] == [1, 1]
    assert all(a >= b for a, b in zip(counts, counts[1:], strict=False))
    x[1] = data[2]
    found, state = path_step(points, state, x, level, budget)
    assert list(found.method) == ["kept", "few"]
    np.testing.assert_allclose(found.mean[1], data[2], atol=1e-9)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_rows_with_short_lists_stand_among_others(kind):
    """In one call, after a row in a crowd: lists belong to their own rows."""
    rng = np.random.default_rng(13)
    data = np.vstack(
        [5 + rng.random((500, 12)), np.eye(12)[:3] * [[0.3], [0.5], [0.8]]]
    )
    points, budget, state = Points(kind(data), 2**27), 1e-3, State()
    away = np.full((4, 12), 5.5)
    away[[1, 3]] = [[0.01], [0.05]]
    for level, methods in ((0.3, ["dense", "few"]), (0.15, ["dense", "kept"])):
        x, sigma = away.copy(), np.full(4, level)
        found, state = path_step(points, state, kind(x), kind(sigma), budget)
        assert list(found.method) == methods * 2
        assert state.later.rows.tolist() == [1, 3]
        error = np.linalg.norm(np.asarray(found.mean) - direct(data, x, sigma), axis=1)
        assert np.all(error <= np.asarray(found.error) + 1e-14)
        assert np.all(np.asarray(found.error) <= budget)


def test_a_path_serves_files_and_small_memory(tmp_path):
    data = np.random.default_rng(10).standard_normal((3000, 20))
    np.save(tmp_path / "data.npy", data)
    mapped = np.load(tmp_path / "data.npy", mmap_mode="r", allow_pickle=False)
    x = data[:6] + 0.5
    for source, memory in ((mapped, 2**20), (data, 2**16)):
        path = EmpiricalScore(source, tolerance=1e-3, memory=memory).starting_from(x)
        for sigma in (2.0, 0.5, 0.1, 0.02):
            place = data[:6] + sigma
            gap = path.denoise(place, sigma) - direct(data, place, np.full(6, sigma))
            error = np.sqrt(np.mean(gap**2, axis=1))
            assert np.all(error <= path.certificates[-1].error)
        assert "kept" in path.certificates[-1].method or memory == 2**16
