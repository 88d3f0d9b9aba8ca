"""A linear map that remembers: against the map itself."""

import numpy as np
import pytest
import torch

from empirical_score._engine import Engine
from empirical_score._recalled import LEFT, MOST, Recalled, slots


def remembered(kind, rng, *, most=MOST, m=3, a=40, b=30):
    """A map, and a memory of it that starts with one argument a row."""
    matrix = rng.standard_normal((a, b))
    start = rng.standard_normal((m, a))
    error = np.full(m, 1e-3)
    arrays = kind(start), kind(start @ matrix), kind(error)
    return matrix, start, Recalled(most, *arrays)


def follow(memory, kind, matrix, arguments):
    """Ask for one argument after the other; yield what was found and its rest."""
    for x in arguments:
        coefficients, rest = memory.split(kind(x))
        value = np.asarray(memory.value(coefficients)) + np.asarray(rest) @ matrix
        yield value, np.asarray(rest)
        length = np.linalg.norm(rest, axis=1)
        fresh = kind(np.asarray(rest) @ matrix), kind(1e-3 * length)
        memory.add(rest, *fresh, coefficients)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_the_map_is_exact_however_much_was_forgotten(kind):
    rng = np.random.default_rng(0)
    matrix, start, memory = remembered(kind, rng)
    arguments = rng.standard_normal((3 * MOST, 3, 40))
    for x, (value, _) in zip(
        arguments, follow(memory, kind, matrix, arguments), strict=True
    ):
        np.testing.assert_allclose(value, x @ matrix, atol=1e-10)
    assert memory.count <= MOST
    _, rest = memory.split(kind(start))  # the first argument stays
    assert np.abs(np.asarray(rest)).max() < 1e-10
    for x in arguments[-LEFT + 1 :]:  # and so do the last ones
        _, rest = memory.split(kind(x))
        assert np.abs(np.asarray(rest)).max() < 1e-10


def test_a_smooth_path_leaves_ever_less_over():
    """What is left of an analytic curve falls by a factor with each step.

    Until rounding is all that is left.
    """
    rng = np.random.default_rng(1)
    matrix, _, memory = remembered(np.asarray, rng)
    rates = rng.uniform(0, 1, 40)
    path = [np.exp(-rates * t)[None] * np.ones((3, 1)) for t in 1 + 0.1 * np.arange(8)]
    lengths = [
        np.linalg.norm(rest) for _, rest in follow(memory, np.asarray, matrix, path)
    ]
    ratios = np.divide(lengths[2:5], lengths[1:4])
    assert np.all(ratios < 0.1)


def test_rest_and_arguments_are_orthonormal():
    rng = np.random.default_rng(2)
    matrix, _, memory = remembered(np.asarray, rng, most=8)
    for _ in follow(memory, np.asarray, matrix, rng.standard_normal((20, 3, 40))):
        some = memory.arguments[:, : memory.count]
        gram = some @ some.transpose(0, 2, 1)
        np.testing.assert_allclose(gram, np.eye(memory.count) + 0 * gram, atol=1e-9)


def test_errors_of_values_are_carried_along():
    """With independent errors of the values, what comes out is as far off as said."""
    rng = np.random.default_rng(3)
    matrix, _, memory = remembered(np.asarray, rng, m=400, most=8)
    memory.values[:, 0] += 1e-3 * noise(rng, 400, 30)
    memory.errors[:, 0] = 1e-3
    for _ in range(12):
        x = rng.standard_normal((400, 40))
        coefficients, rest = memory.split(x)
        length = np.linalg.norm(rest, axis=1)
        off = 1e-3 * length[:, None] * noise(rng, 400, 30)
        memory.add(rest, rest @ matrix + off, 1e-3 * length, coefficients)
    coefficients, rest = memory.split(x)
    error = np.linalg.norm(
        memory.value(coefficients) + rest @ matrix - x @ matrix, axis=1
    )
    told = memory.error(coefficients)
    assert 0.8 < np.sqrt(np.mean(error**2) / np.mean(told**2)) < 1.25


def test_rounding_of_the_arguments_is_in_the_errors():
    """With exact values of rounded arguments, forgetting is all that errs."""
    rng = np.random.default_rng(7)
    matrix = rng.standard_normal((40, 30))
    drift = 2.0**-23 * np.linalg.norm(matrix, 2)
    start = np.float32(rng.standard_normal((3, 40)))
    memory = Recalled(8, start, start.astype(float) @ matrix, np.zeros(3), drift)
    for _ in range(40):
        coefficients, rest = memory.split(np.float32(rng.standard_normal((3, 40))))
        memory.add(rest, rest.astype(float) @ matrix, np.zeros(3), coefficients)
        some = slice(1, memory.count)
        exact = memory.arguments[:, some].astype(float) @ matrix
        off = np.linalg.norm(memory.values[:, some] - exact, axis=2)
        assert np.all(off > 0)
        assert np.all(off <= memory.errors[:, some])


def noise(rng, m, b):
    """Directions drawn at random, of length 1."""
    z = rng.standard_normal((m, b))
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def test_rows_that_are_left_keep_start_and_last_argument():
    rng = np.random.default_rng(4)
    matrix, start, memory = remembered(np.asarray, rng)
    arguments = rng.standard_normal((5, 3, 40))
    list(follow(memory, np.asarray, matrix, arguments))
    memory.keep(np.array([0, 2]))
    assert memory.count == 2
    x = 0.3 * start[[0, 2]] + 2.0 * (arguments[-1][[0, 2]] - 0.7 * start[[0, 2]])
    coefficients, rest = memory.split(x)
    assert np.abs(rest).max() < 1e-10
    np.testing.assert_allclose(memory.value(coefficients), x @ matrix, atol=1e-10)
    list(follow(memory, np.asarray, matrix, rng.standard_normal((2 * MOST, 2, 40))))


def test_some_entries_are_those_of_the_whole_value():
    rng = np.random.default_rng(5)
    matrix, _, memory = remembered(np.asarray, rng)
    list(follow(memory, np.asarray, matrix, rng.standard_normal((4, 3, 40))))
    coefficients, _ = memory.split(rng.standard_normal((3, 40)))
    columns = np.array([[0, 5], [29, 2], [7, 7]])
    whole = memory.value(coefficients)
    some = memory.value_at(coefficients, columns)
    np.testing.assert_allclose(some, np.take_along_axis(whole, columns, 1), atol=1e-12)


def test_too_little_memory_is_none():
    engine = Engine(np.random.default_rng(6).standard_normal((1000, 12)), 2**16)
    assert slots(engine, 64) is None
    assert slots(engine, 1) == MOST
