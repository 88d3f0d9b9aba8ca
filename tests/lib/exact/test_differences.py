"""Error-free transformations against exact fractions."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from empirical_score.exact.differences import (
    squared_distance_gap,
    two_difference,
    two_product,
    two_sum,
)

# No overflow in Veltkamp's splitting, no underflow in the error of a product.
NUMBER = st.floats(-1e60, 1e60).filter(lambda v: v == 0 or abs(v) > 1e-60)


def exact(*numbers):
    return sum((Fraction(float(v)) for v in numbers), Fraction(0))


@given(NUMBER, NUMBER)
def test_sum_difference_and_product_lose_nothing(a, b):
    assert exact(*two_sum(a, b)) == Fraction(a) + Fraction(b)
    assert exact(*two_difference(a, b)) == Fraction(a) - Fraction(b)
    product, error = two_product(a, b)
    assert product == a * b
    assert exact(product, error) == Fraction(a) * Fraction(b)


def fractions_gap(x, a, y):
    """The gap and the sum of its absolute terms, without rounding."""
    rows = [[Fraction(float(v)) for v in row] for row in (x, a, y)]
    terms = [(c - b) * (2 * p - b - c) for p, b, c in zip(*rows, strict=True)]
    return sum(terms), sum(abs(t) for t in terms)


def near_tie(seed, d):
    """Two points at almost equal distance from ``x``, in numbers of full length.

    Odd seeds put ``x`` at their midpoint, where every term is small; even ones
    anywhere on their bisector, where large terms cancel.
    """
    rng = np.random.default_rng(seed)
    a, y, x = rng.standard_normal((3, d))
    if seed % 2:
        return (a + y) / 2 + 1e-12 * rng.standard_normal(d), a, y
    return x - (y - a) * (((y - a) @ (2 * x - a - y)) / (2 * (y - a) @ (y - a))), a, y


@pytest.mark.parametrize("d", [1, 2, 3, 7, 64, 3072])
def test_gap_of_squared_distances_is_right_to_twice_the_precision(d):
    for seed in range(10):
        x, a, y = near_tie(seed, d)
        wanted, size = fractions_gap(x, a, y)
        found = squared_distance_gap(x, a, y, np)
        # The result is one rounded number: eps of itself and 1e-31 of the terms.
        slack = abs(wanted) * Fraction(2) ** -52 + size * Fraction(10) ** -31
        assert abs(exact(found) - wanted) <= slack


def test_plain_arithmetic_would_fail_here():
    """The comparison above can fail: ordinary differences lose every digit."""
    x, a, y = near_tie(0, 64)
    wanted, _ = fractions_gap(x, a, y)
    plain = np.sum((x - a) ** 2) - np.sum((x - y) ** 2)
    assert abs(exact(plain) / wanted - 1) > 1e-8


def test_gap_broadcasts_and_agrees_with_torch():
    rng = np.random.default_rng(3)
    x, a, y = (rng.standard_normal(s) for s in ((4, 1, 5), (4, 1, 5), (4, 6, 5)))
    found = squared_distance_gap(x, a, y, np)
    assert found.shape == (4, 6)
    tensors = (torch.tensor(v) for v in (x, a, y))
    np.testing.assert_array_equal(squared_distance_gap(*tensors, torch), found)
    single = squared_distance_gap(x[2, 0], a[2, 0], y[2, 3], np)
    assert single == found[2, 3]


def test_gap_has_the_gradient_of_the_plain_formula():
    """``d/dx (|x - a|^2 - |x - y|^2) = 2 (y - a)``: error terms add nothing."""
    x, a, y = (torch.tensor(v) for v in near_tie(1, 9))
    x.requires_grad_()
    squared_distance_gap(x, a, y, torch).backward()
    torch.testing.assert_close(x.grad, 2 * (y - a), rtol=1e-13, atol=0)
