"""What comes into an audit: arrays checked, flattened, and told apart."""

import hashlib
from math import prod

import numpy as np

from .._support.arrays import (
    as_count,
    as_number,
    as_points,
    as_real,
    is_torch_array,
)

__all__ = ["as_share", "as_shape", "as_sets", "first_equal_rows"]

SMALL = ("int8", "uint8", "int16", "uint16", "float16")  # exact in float32


def as_sets(train, generated, holdout, features):
    """Return the three sets as arrays ``(n, p)`` to measure in, and an item's shape."""
    given = {"train": train, "generated": generated, "holdout": holdout}
    if holdout is None:
        del given["holdout"]
    arrays = {name: _array(value, name) for name, value in given.items()}
    shapes = {name: array.shape[1:] for name, array in arrays.items()}
    for name, shape in shapes.items():
        if shape != shapes["train"]:
            raise ValueError(
                f"{name} must have items of the shape of train's, "
                f"{shapes['train']}, got {shape}"
            )
    shape = shapes["train"]
    if callable(features):
        arrays = {
            name: _array(features(array), f"features of {name}")
            for name, array in arrays.items()
        }
    elif features is not None:
        if len(features) != len(given):
            raise ValueError(
                f"features must be a function or {len(given)} arrays, one for each "
                f"of {', '.join(given)}, got {len(features)}"
            )
        named = dict(zip(given, features, strict=True))
        rows = {name: array.shape[0] for name, array in arrays.items()}
        arrays = {k: _array(v, f"features of {k}") for k, v in named.items()}
        for name, array in arrays.items():
            if array.shape[0] != rows[name]:
                raise ValueError(
                    f"features of {name} must have its {rows[name]} rows, "
                    f"got {array.shape[0]}"
                )
    flat = {}
    for name, array in arrays.items():
        label = name if features is None else f"features of {name}"
        array = as_points(array.reshape(array.shape[0], -1), label)
        if array.shape[1] != flat.get("train", array).shape[1]:
            raise ValueError(
                f"{label} must have {flat['train'].shape[1]} columns, as those of "
                f"train, got {array.shape[1]}"
            )
        flat[name] = array
    return [flat.get(name) for name in ("train", "generated", "holdout")], shape


def _array(value, name):
    """Return a NumPy array of at least two axes, small integers as float32."""
    if is_torch_array(value):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray) and value.dtype.name in SMALL:
        value = value.astype(np.float32)
    array = as_real(value, name)
    if array.ndim < 2 or array.size == 0:
        array = as_points(array, name)  # says what is wrong
    return array


def as_shape(shape, found, flips, features):
    """Return the shape of one image, given or found, or None if items are none."""
    if flips and features is not None:
        raise ValueError("flips cannot be combined with features")
    if shape is None:
        shape = found if len(found) in (2, 3) else None
    else:
        shape = tuple(as_count(size, "shape") for size in np.atleast_1d(shape))
        dimension = prod(found)
        if prod(shape) != dimension or len(shape) not in (2, 3):
            raise ValueError(
                "shape must be two or three sizes, rows, columns and channels, whose "
                f"product is {dimension}, the dimension of the data, got {shape}"
            )
    if flips and shape is None:
        raise ValueError("flips needs shape, the shape of one image")
    return shape


def as_share(value, name):
    number = as_number(value, name)
    if not 0 < number < 1:
        raise ValueError(f"{name} must lie strictly between 0 and 1, got {number}")
    return number


def first_equal_rows(data):
    """Return for each row the number of the first row equal to it."""
    seen, first = {}, np.empty(data.shape[0], dtype=np.int64)
    for number, row in enumerate(data):
        digest = hashlib.blake2b((row + 0.0).tobytes(), digest_size=16).digest()
        first[number] = seen.setdefault(digest, number)
    return first
