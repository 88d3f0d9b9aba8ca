"""Exact neighbors against brute force in float64, copies and ties included."""

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


def test_memorized():
    assert neighbors.memorized([[0.0], [0.4]], [[0.1], [2.0]], 0.2).tolist() == [
        True,
        False,
    ]


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
