"""Exact neighbors against brute force in float64, copies and ties included."""

import tracemalloc

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

import empirical_score as es
from empirical_score import neighbors


@pytest.mark.parametrize("d", [1, 3, 64])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_equal_to_brute_force(d, offset):
    rng = np.random.default_rng(d)
    data, x = rng.standard_normal((200, d)) + offset, rng.standard_normal((50, d))
    x += offset
    distances, index = neighbors.nearest(x, data, 7, memory=2**15)
    brute = cdist(x, data)
    order = np.argsort(brute, axis=1)[:, :7]
    assert np.array_equal(index, order)
    assert np.allclose(distances, np.take_along_axis(brute, order, 1), rtol=1e-12)


def test_a_copy_is_at_distance_zero():
    rng = np.random.default_rng(0)
    data = (rng.random((300, 3072)) * 2 - 1).astype(np.float32)
    distances, index = neighbors.nearest(data[::-1], data)
    assert np.all(distances == 0)
    assert np.array_equal(index[:, 0], np.arange(300)[::-1])


def test_ties_come_in_order():
    data = np.array([[1.0], [-1.0], [1.0], [3.0]])
    distances, index = neighbors.nearest([[0.0]], data, 4)
    assert index.tolist() == [[0, 1, 2, 3]]
    assert distances.tolist() == [[1.0, 1.0, 1.0, 3.0]]


def test_torch_arrays():
    data = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    distances, index = neighbors.nearest(torch.tensor([[0.0, 1.0]]), data, 2)
    assert index.tolist() == [[0, 1]] and np.allclose(distances, [[1, 18**0.5]])


def test_memorized_is_nearer_than_the_radius():
    found = neighbors.memorized([[0.0], [0.4], [1.5]], [[0.1], [2.0]], 0.3)
    assert found.tolist() == [True, False, False]
    assert not neighbors.memorized([[0.0]], [[0.5]], 0.5)[0]
    with pytest.raises(ValueError, match="radius must be finite and positive, got 0"):
        neighbors.memorized([[0.0]], [[0.5]], 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0.0]], [[0.0, 1.0]]), "x must have 2 columns"),
        (([[0.0]], [[0.0]], 2), "k must be at most the 1 rows"),
        (([[0.0]], [[0.0]], 0), "k must be a positive integer"),
        (([[np.nan]], [[0.0]]), "x holds NaN"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        es.neighbors.nearest(*arguments)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("d", [2, 70])
def test_outliers_and_scales_do_not_hide_a_neighbor(dtype, d):
    rng = np.random.default_rng(1)
    data = rng.standard_normal((400, d)).astype(dtype)
    data[::50] *= 1e6
    x = np.concatenate([data[:30] + dtype(1e-3), data[50:51] * dtype(1 + 1e-6)])
    brute = cdist(x.astype(float), data.astype(float))
    order = np.argsort(brute, axis=1, kind="stable")[:, :5]
    for scale in (1.0, 2.0**-60, 2.0**60):
        found, index = neighbors.nearest(x * dtype(scale), data * dtype(scale), 5)
        assert np.array_equal(index, order)
        expected = scale * np.take_along_axis(brute, order, 1)
        assert np.allclose(found, expected, rtol=1e-12, atol=0)


def test_blocks_smaller_than_k_and_many_equal_points():
    data = np.repeat(np.arange(40.0)[:, None] * np.ones(70), 30, axis=0)
    distances, index = neighbors.nearest(data[[0, 600]], data, 35, memory=2**12)
    assert index[0].tolist() == list(range(35))
    assert index[1].tolist() == [*range(600, 630), *range(570, 575)]
    assert distances[1].tolist() == pytest.approx([0.0] * 30 + [70**0.5] * 5)


def test_the_bound_on_rounding_is_what_makes_float32_exact():
    """Far from the origin of a tight cluster, float32 alone would pick wrongly."""
    rng = np.random.default_rng(2)
    far = 1e3 * np.ones((1, 80))
    data = np.concatenate([far + 1e-3 * rng.standard_normal((300, 80)), -far])
    x = far + 1e-3 * rng.standard_normal((40, 80))
    rough = np.argmin(
        np.sum(data.astype(np.float32) ** 2, axis=1)
        - 2 * x.astype(np.float32) @ data.astype(np.float32).T,
        axis=1,
    )
    exact = np.argmin(cdist(x, data), axis=1)
    assert np.any(rough != exact)
    assert np.array_equal(neighbors.nearest(x, data)[1][:, 0], exact)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("d", [1, 2, 64, 70])
def test_tight_clusters_far_from_each_other(dtype, d):
    """Two clusters, so that their middle is no good origin for either.

    From spreads that single precision resolves to such as double does not.
    """
    rng = np.random.default_rng(d)
    for spread in 10.0 ** np.arange(0, -16, -1):
        signs = np.sign(rng.standard_normal((120, 1)))
        data = (3 * signs + spread * rng.standard_normal((120, d))).astype(dtype)
        x = (3 + spread * rng.standard_normal((9, d))).astype(dtype)
        gaps = x.astype(float)[:, None] - data.astype(float)
        exact = np.sqrt(np.sum(gaps**2, axis=2))
        for k in (1, 5):
            distances, index = neighbors.nearest(x, data, k, memory=2**14)
            order = np.argsort(exact, axis=1, kind="stable")[:, :k]
            expected = np.take_along_axis(exact, order, 1)
            np.testing.assert_allclose(distances, expected, rtol=1e-12, atol=0)
            found = np.take_along_axis(exact, index, 1)
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("far", [1e200, -1e200])
def test_far_points_do_not_overflow(far):
    data = np.random.default_rng(6).standard_normal((40, 70))
    distances, index = neighbors.nearest(np.full((1, 70), far), data)
    assert distances[0, 0] == pytest.approx(abs(far) * 70**0.5, rel=1e-12)
    distances, index = neighbors.nearest(data[:1], np.full((1, 70), far))
    assert distances[0, 0] == pytest.approx(abs(far) * 70**0.5, rel=1e-12)


def test_memory_bounds_the_arrays_of_a_block():
    rng = np.random.default_rng(5)
    data, x = rng.standard_normal((20_000, 64)), rng.standard_normal((3000, 64))
    data, x = data.astype(np.float32), x.astype(np.float32)
    memory = 2**25
    tracemalloc.start()
    try:
        neighbors.nearest(x, data, memory=memory)
        assert tracemalloc.get_traced_memory()[1] < memory
    finally:
        tracemalloc.stop()


def test_progress_adds_up_to_one():
    """However many rows go through again with more digits: here none, and all."""
    rng = np.random.default_rng(3)
    easy = rng.standard_normal((500, 70))
    hard = np.concatenate([1e3 + 1e-3 * easy, -1e3 - 1e-3 * easy])
    for data in (easy, hard):
        for search, more in (
            (neighbors.nearest, ()),
            (neighbors.distinct_nearest, (0,)),
        ):
            shares = []
            x = data[:40] + 1e-4
            search(x, data, 2, *more, memory=2**18, progress=shares.append)
            assert len(shares) > 4 and sum(shares) == pytest.approx(1)
            assert min(shares) > 0


def test_distinct_neighbors_skip_near_duplicates():
    line = np.array([0.0, 0.05, 0.1, 1.0, 1.0, 2.0, 2.02, 7.0])[:, None]
    distances, index = neighbors.distinct_nearest([[0.0]], line, 4, 0.07)
    # 0.05 is a near-duplicate of 0, so it cannot make 0.1 one.
    assert index.tolist() == [[0, 2, 3, 5]]
    assert np.allclose(distances, [[0, 0.1, 1, 2]])
    assert neighbors.distinct_nearest([[0.0]], line, 4, 0)[1].tolist() == [[0, 1, 2, 3]]
    short = neighbors.distinct_nearest([[0.0]], line, 6, 0.5)
    assert short[1].tolist() == [[0, 3, 5, 7, 7, 7]]


def test_distinct_neighbors_behind_many_copies_by_brute_force():
    rng = np.random.default_rng(4)
    base = rng.standard_normal((30, 5))
    data = np.repeat(base, 20, axis=0) + 1e-4 * rng.standard_normal((600, 5))
    x = base[:6] + 0.01
    distances, index = neighbors.distinct_nearest(x, data, 4, 0.05)
    expected = np.sort(cdist(x, data).reshape(6, 30, 20).min(axis=2), axis=1)[:, :4]
    assert np.allclose(distances, expected, rtol=1e-12)
    assert all(len(set(row // 20)) == 4 for row in index)


@pytest.mark.parametrize("tolerance", [-1.0, np.nan, np.inf])
def test_a_tolerance_is_a_finite_distance(tolerance):
    with pytest.raises(ValueError, match="tolerance must be finite and at least 0"):
        neighbors.distinct_nearest([[0.0]], [[0.0]], 1, tolerance)
