"""One place that checks what comes in and keeps NumPy and torch behind one face.

Nothing here imports torch: it is looked up only when a torch array arrives.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from array_api_compat import (
    array_namespace,
    device,
    is_numpy_array,
    is_torch_array,
)

from . import mapped
from .types import Array

__all__ = [
    "array_namespace",
    "as_count",
    "as_number",
    "as_points",
    "as_positive_number",
    "as_real",
    "as_rows",
    "as_sigma",
    "clipped_exp",
    "device",
    "double",
    "itemsize",
    "largest",
    "like",
    "plain",
    "row_blocks",
    "row_maxima",
    "row_sums",
]


BLOCK = 2**22  # numbers that are looked at together
# Noise levels whose squares are normal numbers, with room for what these divide, by the
# bytes of a number.
LEVELS = {4: (1e-18, 1e18), 8: (1e-150, 1e150)}
EPS = {4: 2.0**-23, 8: 2.0**-52}


def as_points(value: Any, name: str, dimension: int | None = None) -> Array:
    """Return ``value`` as a finite floating array of shape ``(n, d)``, n and d >= 1.

    float32 stays float32, every other real type becomes float64; torch arrays stay
    torch arrays on their device.  Raises ``TypeError`` for what is not real numbers
    and ``ValueError`` for a wrong shape, an empty array, NaN or infinity.
    """
    array = as_real(value, name)
    if array.ndim != 2:
        hint = ""
        if array.ndim == 1:
            hint = f"; write {name}[:, None] for points on a line or {name}[None, :]"
            hint += " for one point"
        raise ValueError(
            f"{name} must have shape (number of points, dimension), "
            f"got shape {tuple(array.shape)}{hint}"
        )
    if array.shape[0] == 0 or array.shape[1] == 0:
        raise ValueError(f"{name} is empty: it has shape {tuple(array.shape)}")
    if dimension is not None and array.shape[1] != dimension:
        raise ValueError(
            f"{name} must have {dimension} columns, one per dimension, "
            f"got shape {tuple(array.shape)}"
        )
    _require_finite(array, name)
    return array


def as_rows(
    value: Any, name: str, count: int, dimension: int, reference: Array
) -> Array:
    """Return ``value`` as ``(count, dimension)`` in the kind of ``reference``."""
    array = like(as_points(value, name, dimension), reference)
    if array.shape[0] != count:
        raise ValueError(
            f"{name} must have one row for each row of x ({count}), "
            f"got shape {tuple(array.shape)}"
        )
    return array


def as_sigma(sigma, count, reference, name="sigma"):
    """Return the noise level as a positive array of shape ``(count,)``.

    ``sigma`` is a positive scalar or one positive number for each of the ``count``
    rows; the result has the kind, dtype and device of ``reference``.  Raises
    ``ValueError`` for levels whose squares that dtype cannot hold.
    """
    array = as_real(sigma, name)
    if array.ndim > 1 or (array.ndim == 1 and array.shape[0] not in (1, count)):
        raise ValueError(
            f"{name} must be a scalar or have shape ({count},), one noise level for "
            f"each row of x, got shape {tuple(array.shape)}"
        )
    xp = array_namespace(array)
    if not bool(xp.all(xp.isfinite(array) & (array > 0))):
        raise ValueError(f"{name} must be finite and positive, got {_show(array)}")
    low, high = LEVELS[itemsize(reference)]
    inside = (double(array) >= low) & (double(array) <= high)
    if not bool(xp.all(inside)):
        more = "; data and x of float64 allow 1e-150 to 1e+150" if high == 1e18 else ""
        raise ValueError(
            f"{name} must be from {low:g} to {high:g}, so that float"
            f"{8 * itemsize(reference)} holds its square, got {_show(array)}{more}"
        )
    array = like(array, reference)
    return array_namespace(array).broadcast_to(array, (count,))


def as_positive_number(value, name):
    """Return ``value`` as a finite positive float."""
    number = as_number(value, name)
    if not np.isfinite(number) or number <= 0:
        raise ValueError(f"{name} must be finite and positive, got {number}")
    return number


def as_number(value, name):
    """Return ``value`` as a float, which may be NaN or infinite."""
    array = as_real(value, name)
    if array.ndim != 0:
        raise ValueError(f"{name} must be one number, got shape {tuple(array.shape)}")
    return float(array)


def as_count(value, name, low=1):
    """Return ``value`` as an int; raise unless it is an integer of at least ``low``."""
    number = as_number(value, name)
    if not (hasattr(value, "__index__") and number.is_integer() and number >= low):
        least = "a positive integer" if low == 1 else f"an integer of at least {low}"
        raise ValueError(f"{name} must be {least}, got {value}")
    return int(number)


def like(array: Any, reference: Array) -> Array:
    """Return ``array`` as the kind (NumPy or torch), dtype and device of another."""
    if is_torch_array(reference):
        torch = sys.modules["torch"]
        if is_numpy_array(array):
            array = np.require(array, requirements=["C", "W"])  # all that torch takes
        return torch.as_tensor(array, dtype=reference.dtype, device=reference.device)
    if is_torch_array(array):
        array = array.detach().cpu().numpy()
    return np.asarray(array, dtype=reference.dtype)


def plain(array):
    """Return the numbers of an array: in NumPy where they are on the processor.

    NumPy shares the memory of such a torch array, and takes as long or less for its
    passes over them.  A history is left behind.
    """
    if not is_torch_array(array):
        return array
    array = array.detach()
    return array.numpy() if array.device.type == "cpu" else array


def itemsize(array):
    """Return the bytes of one number of a floating array: 4 or 8."""
    return 4 if str(array.dtype).endswith("float32") else 8


def largest(values, count):
    """Return the columns of the ``count`` largest entries of each row (any order)."""
    if is_numpy_array(values):
        return np.argpartition(values, -count, axis=1)[:, -count:]
    return values.detach().topk(count, dim=1).indices


def double(array):
    """Return ``array`` in float64, itself where it is."""
    xp = array_namespace(array)
    return xp.astype(array, xp.float64, copy=False)


def clipped_exp(values, floor):
    """Overwrite ``values`` by their exponentials, none below ``exp(floor)``; return it.

    Numbers too small to be normal slow a matrix product down by up to ten times.
    """
    if is_numpy_array(values):
        np.maximum(values, floor, out=values)
        return np.exp(values, out=values)
    return values.clamp_(min=floor).exp_()


def row_sums(values, rows, count):
    """Return the sums of ``values`` ``(e, ...)`` by row number, ``(count, ...)``.

    ``rows`` ``(e,)`` is in rising order.
    """
    shape = (count, *values.shape[1:])
    if is_numpy_array(values):
        sums = np.zeros(shape, dtype=values.dtype)
        starts = _starts(rows)
        if starts.shape[0]:
            sums[rows[starts]] = np.add.reduceat(values, starts, axis=0)
        return sums
    return values.new_zeros(shape).index_add(0, rows, values)


def row_maxima(values, rows, count):
    """Return the largest of ``values`` ``(e,)`` by row number, ``(count,)``.

    ``rows`` ``(e,)`` is in rising order; a row without values has minus infinity.
    """
    if is_numpy_array(values):
        most = np.full(count, -np.inf, dtype=values.dtype)
        starts = _starts(rows)
        if starts.shape[0]:
            most[rows[starts]] = np.maximum.reduceat(values, starts)
        return most
    most = values.new_full((count,), -np.inf)
    return most.scatter_reduce(0, rows, values.detach(), "amax")


def row_blocks(count, entries_per_row, budget):
    """Yield slices over ``count`` rows that touch at most ``budget`` entries each."""
    step = max(1, int(budget // max(1, entries_per_row)))
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


def as_real(value, name):
    """Return ``value`` as a floating array of any shape; NaN and infinity may stay."""
    given = type(value).__name__
    if not is_torch_array(value):
        try:
            value = np.asarray(value)
        except ValueError as error:
            raise ValueError(
                f"{name} is ragged: its rows have different lengths"
            ) from error
    xp = array_namespace(value)
    if is_numpy_array(value):
        kind = value.dtype.kind
        real, complex_ = kind in "iuf", kind == "c"
    else:
        complex_ = xp.isdtype(value.dtype, "complex floating")
        real = xp.isdtype(value.dtype, ("integral", "real floating"))
    if complex_:
        raise TypeError(f"{name} is complex (dtype {value.dtype}); expected real")
    if not real:
        raise TypeError(
            f"{name} must hold real numbers, got {given} of dtype {value.dtype}"
        )
    if value.dtype == xp.float32:
        return value
    return xp.astype(value, xp.float64, copy=False)


def _starts(rows):
    """Return where in a rising array each new value begins."""
    change = np.ones(rows.shape[0], dtype=bool)
    change[1:] = rows[1:] != rows[:-1]
    return np.flatnonzero(change)


def _require_finite(array, name):
    xp, bad = array_namespace(array), 0
    for _, block in mapped.blocks(array, max(1, BLOCK // array.shape[1])):
        finite = xp.isfinite(block)
        if not bool(xp.all(finite)):
            bad += int(xp.sum(xp.astype(~xp.all(finite, axis=1), xp.int64)))
    if bad:
        raise ValueError(
            f"{name} holds NaN or infinity in {bad} of its {array.shape[0]} rows"
        )


def _show(array):
    if array.ndim == 0:
        return f"{float(array)}"
    xp = array_namespace(array)
    return f"an array from {float(xp.min(array))} to {float(xp.max(array))}"
