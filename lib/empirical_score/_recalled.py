"""A linear map that remembers: only what is new in its argument asks for work.

Let ``f(q_k)`` be known for orthonormal ``q_k``.  With ``c_k = <q_k, x>``

    x = sum_k c_k q_k + r,   f(x) = sum_k c_k f(q_k) + f(r),

and the rest ``r`` is as small as it can be.  Where ``f(r)`` is computed, ``r / |r|``
is one more ``q_k``.  Along a path both products of the empirical score are such maps,
and their arguments change little from one evaluation to the next: states, ``u ->
(<u, y_j>)_j``, and weights, ``w -> sum_j w_j y_j``.
"""

import math

from ._arrays import (
    BLOCK,
    array_namespace,
    device,
    double,
    row_blocks,
    squared_lengths,
)

# Values that are remembered at most, how many are left when these are too many, and
# the memory for them, in units of that for a block.
MOST, LEFT, FOLD = 12, 6, 4
NOTHING = 1e-30  # its inverse is a number of float32


class Recalled:
    """Orthonormal arguments of a linear map and their values, row by row.

    ``arguments`` is ``(m, k, a)``, ``values`` ``(m, k, b)``; ``errors`` ``(m, k)`` are
    the errors of the values, ``sizes`` ``(m, k)`` their largest entries.  ``drift`` is
    how far rounding may take an argument of length 1 and its value apart.  The first
    argument stays; where there are ``most``, the others shrink to those that the last
    few calls asked for.
    """

    def __init__(self, most, argument, value, error, drift=0.0):
        self.drift = drift
        self.xp = array_namespace(argument)
        self.most, self.count, self.seen = most, 0, []
        self.arguments, self.values = _room(argument, most), _room(value, most)
        self.errors, self.sizes = _room(error, most), _room(error, most)
        self.add(argument, value, error)

    def split(self, argument, out=None):
        """Return coefficients ``(m, k)`` and the rest of an argument, ``(m, a)``.

        The rest is written to ``out`` where that is given.
        """
        some = self.arguments[:, : self.count]
        turned = self.xp.swapaxes(some, 1, 2)  # the faster order, by far, in torch
        coefficients = (argument[:, None, :] @ turned)[:, 0, :]
        rest = _combined(some, coefficients, out)
        self.xp.subtract(argument, rest, out=rest)
        return double(coefficients), rest

    def add(self, rest, value, error, coefficients=None):
        """Remember the value of a rest, and what else its argument was made of."""
        xp = self.xp
        if coefficients is not None and self.count == self.most:
            *self.seen, coefficients = self._shrink([*self.seen, coefficients][-LEFT:])
        length = squared_lengths(rest) ** 0.5
        # Nothing is to be remembered of a rest that is 0, or would be if squared.
        scale = xp.where(length > NOTHING, 1 / (length + NOTHING), 0 * length)
        slot, self.count = self.count, self.count + 1
        self.arguments[:, slot] = rest * xp.astype(scale, rest.dtype)[:, None]
        self.values[:, slot] = value * xp.astype(scale, value.dtype)[:, None]
        self.errors[:, slot] = error * scale + (self.drift if slot else 0.0)
        self.sizes[:, slot] = double(xp.max(xp.abs(value), axis=1)) * scale
        if coefficients is not None:
            made = xp.concat([coefficients, length[:, None]], axis=1)
            self.seen = [*self.seen, made][-LEFT:]

    def value(self, coefficients, out=None):
        """Return the value of what is remembered, ``(m, b)``, in ``out`` if given."""
        return _combined(self.values[:, : self.count], coefficients, out)

    def value_at(self, coefficients, columns):
        """Return some entries of each row of that, ``(m, k)``."""
        rows = self.xp.arange(columns.shape[0], device=device(columns))[:, None]
        some = [self.values[:, k][rows, columns] for k in range(self.count)]
        return _combined(self.xp.stack(some, axis=1), coefficients)

    def error(self, coefficients):
        """Return a bound on the error of that, ``(m,)``, in whatever way they add."""
        errors = abs(coefficients) * self.errors[:, : self.count]
        return self.xp.sum(errors, axis=1)

    def keep(self, rows):
        """Forget all rows but some, and of these all but the last argument."""
        if self.count > 2:
            self.seen = self._shrink(self.seen[-1:])
        for name in ("arguments", "values", "errors", "sizes"):
            some = getattr(self, name)[:, : self.count][rows]
            setattr(self, name, _room(some[:, 0], self.most))
            getattr(self, name)[:, : self.count] = some
        self.seen = [coefficients[rows] for coefficients in self.seen]

    def _shrink(self, made):
        """Leave the first argument, and of the others what some were made of.

        ``made`` are their coefficients; they are returned for what is left.
        """
        xp, count = self.xp, self.count
        made = [_longer(coefficients, count) for coefficients in made]
        turn = xp.linalg.qr(xp.stack([each[:, 1:] for each in made], axis=2)).Q
        turn = xp.swapaxes(turn, 1, 2)
        first = xp.zeros_like(turn[:, :1, :1]) + 1
        above = xp.concat([first, 0 * turn[:, :1, :]], axis=2)
        turn = xp.concat([above, xp.concat([0 * turn[:, :, :1], turn], axis=2)], axis=1)
        left = self.count = turn.shape[1]
        for name in ("arguments", "values"):
            array = getattr(self, name)
            for some in row_blocks(array.shape[2], array.shape[0] * count, BLOCK):
                part = xp.astype(turn, array.dtype) @ array[:, :count, some]
                array[:, :left, some] = part
        errors, sizes = self.errors[:, :count], self.sizes[:, :count]
        self.errors[:, :left] = (abs(turn) @ errors[:, :, None])[:, :, 0]
        self.errors[:, 1:left] += self.drift
        self.sizes[:, :left] = (abs(turn) @ sizes[:, :, None])[:, :, 0]
        return [(turn @ each[:, :, None])[:, :, 0] for each in made]


def slots(engine, rows):
    """Return how many values a path of ``rows`` rows may remember, or None for none.

    Each takes one float32 number a row and point, twice; so does the work.
    """
    arrays = FOLD * engine.memory / (4 * rows * engine.points.shape[0])
    most = min(MOST, math.floor((arrays - 6) / 2))
    return None if most < LEFT + 2 else most


def _combined(values, coefficients, out=None):
    xp = array_namespace(values)
    out = None if out is None else out[:, None, :]
    coefficients = xp.astype(coefficients, values.dtype)[:, None, :]
    return xp.matmul(coefficients, values, out=out)[:, 0, :]


def _room(array, most):
    xp, shape = array_namespace(array), (array.shape[0], most, *array.shape[1:])
    return xp.empty(shape, dtype=array.dtype, device=device(array))


def _longer(coefficients, count):
    xp, (m, k) = array_namespace(coefficients), coefficients.shape
    none = xp.zeros(
        (m, count - k), dtype=coefficients.dtype, device=device(coefficients)
    )
    return xp.concat([coefficients, none], axis=1)
