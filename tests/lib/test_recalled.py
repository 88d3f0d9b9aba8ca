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


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
@pytest.mark.parametrize("calls", [3, 12])
def test_errors_of_values_add_up_to_no_more_than_is_said(kind, calls):
    """They all point to one side, and so do what arguments are made of.

    Before anything was forgotten (3 calls) they then add up to just what is said.
    """
    rng = np.random.default_rng(3)
    m, side = 20, noise(rng, 1, 30)
    matrix, start, memory = remembered(np.asarray, rng, m=m, most=8)
    exact, start = start @ matrix, kind(start)
    size = 10.0 ** rng.uniform(-6, -3, (calls + 1, m))
    value = kind(exact + size[0][:, None] * side)
    memory = Recalled(8, start, value, kind(size[0]))
    for k in range(calls):
        coefficients, rest = memory.split(kind(rng.standard_normal((m, 40))))
        off = size[k + 1]
        value = kind(np.asarray(rest) @ matrix + off[:, None] * side)
        memory.add(rest, value, kind(off), coefficients)
    arguments = np.asarray(memory.arguments[:, : memory.count])
    one_sided = np.abs(rng.standard_normal((m, memory.count)))
    for parts, reached in ((one_sided, calls == 3), (-one_sided, calls == 3)):
        x = np.sum(parts[:, :, None] * arguments, axis=1)
        coefficients, rest = memory.split(kind(x))
        found = np.asarray(memory.value(coefficients)) + np.asarray(rest) @ matrix
        error = np.linalg.norm(found - x @ matrix, axis=1)
        told = np.asarray(memory.error(coefficients))
        assert np.all(error <= told * (1 + 1e-9) + 1e-12)
        if reached:
            np.testing.assert_allclose(error, told, rtol=1e-6)


def test_a_rest_of_nothing_is_remembered_as_nothing():
    """In as many dimensions as there are arguments, float32 has nothing left over."""
    rng = np.random.default_rng(8)
    start = rng.standard_normal((2, 3)).astype(np.float32)
    matrix = rng.standard_normal((3, 30)).astype(np.float32)
    memory = Recalled(8, start, start @ matrix, np.zeros(2))
    for scale in (1.0, 0.0, 1e-36):
        rest = (scale * rng.standard_normal((2, 3))).astype(np.float32)
        coefficients = np.zeros((2, memory.count))
        memory.add(rest, rest @ matrix, np.zeros(2), coefficients)
    coefficients, _ = memory.split(start)
    assert np.all(np.isfinite(memory.values[:, : memory.count]))
    assert np.all(np.isfinite(memory.errors[:, : memory.count]))
    assert np.all(coefficients[:, 2:] == 0)


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
