"""Approximate log weights with what is sure about them.

Count everything from the center ``c`` of the data and let ``x = k + u``: the products
of ``k`` with all points are remembered (``_recalled``; 0 if nothing is), and ``u`` is
looked at along a few principal axes (``_axes``), panel by panel.  Then

    sigma^2 l_j = a_j +- (t t_j + slack),  a_j = <k, y_j> + <h, h_j> - |y_j|^2 / 2,

the *scores* ``a_j`` in float32, with everything that rounding may do in the slack.
"""

import math

from ._arrays import add_product, device, double
from ._engine import MARGIN
from ._products import product
from ._streaming import streamed_blocks

SINGLE = 2.0**-23  # rounding of float32: it is in every bound


def rooms(engine, m):
    """Return two arrays for a number a row and point each, in float32."""
    shape, where = (m, engine.points.shape[0]), device(engine.points)
    return tuple(
        engine.xp.empty(shape, dtype=engine.xp.float32, device=where) for _ in range(2)
    )


class Scores:
    """The scores over ``sigma^2`` of all points, or of those left, for some rows.

    They are written into the first array of a ``room``; the second holds what is
    added to them, and is free afterwards.

    Attributes
    ----------
    values : ``(m, n)``, float32; columns : the points left, or None for all
    noise : ``(m,)``, ``sigma^2``
    tail : ``(m,)``, the length of what no panel has seen of ``u``
    slack : ``(m,)``, bound on the error of the scores ``a_j`` beside the tail's
    panels : how many panels were added; work : products computed
    """

    def __init__(self, engine, axes, x, noise, room, products=None):
        xp = self.xp = engine.xp
        self.engine, self.axes, self.x, self.products = engine, axes, x, products
        self.room = room
        self.noise, self.scale = noise, xp.astype(1 / noise, xp.float32)[:, None]
        self.centered = double(x) - double(engine.center)
        self.columns, self.panels, self.work = None, 0, 0.0
        if products is None:
            self.rest, self.known = self.centered, 0 * noise
            self.values = xp.multiply(-self.scale, self._halves, out=room[0])
        else:
            self.coefficients, self.rest = products.split(self.centered)
            self._recall()
        self.length = xp.sum(self.rest**2, axis=1)
        self.inside, self.lefts = None, [self.length + 0]
        self._bound(0)

    def deepen(self, panels):
        """Add all panels up to a number of them."""
        xp, axes = self.xp, self.axes.panel(self.panels, panels)
        coordinates = self._of(self.axes.coordinates[:, axes])
        inside = self._inside(panels)[:, axes] * self.scale
        self.values += xp.matmul(inside, coordinates.T, out=self._spare)
        self.work += coordinates.shape[0] * coordinates.shape[1]
        self.panels = panels
        self._bound(panels)

    def outlook(self, panels):
        """Return the tail and the slack, ``(m,)``, after a number of panels."""
        self._inside(panels)
        radius, length = self.engine.radius, self.length**0.5
        own = (4 * math.sqrt(self.axes.depths[panels]) + 8) * length * radius
        slack = self.known + SINGLE * (own + 4 * radius**2)
        left = self.xp.clip(self.lefts[panels], 0.0, None) + 1e-6 * self.length
        return left**0.5, slack

    def complete(self):
        """Compute all products of what is not remembered, and remember them.

        Their error is that seen at some points, with a margin.
        """
        xp, engine, (n, d) = self.xp, self.engine, self.engine.points.shape
        more, rest = self.products.split(self.rest)
        self.coefficients = self.coefficients + more
        single = xp.astype(rest, engine.base.dtype)
        shift = rest @ (double(engine.origin) - double(engine.center))
        fresh = self.room[1]
        for columns, base, _ in streamed_blocks(engine, rest.shape[0]):
            found = product(single, base)
            fresh[:, columns] = xp.astype(found, xp.float32, copy=False)
        fresh += xp.astype(shift, xp.float32)[:, None]
        some = engine.sampled
        gaps = double(engine.points[some]) - double(engine.center)
        off = MARGIN * xp.max(xp.abs(rest @ gaps.T - double(fresh[:, some])), axis=1)
        self.columns, self.panels, self.work = None, 0, self.work + n * d
        self._recall()
        add_product(self.values, fresh, self.scale)
        self.known = self.known + off
        self.products.add(rest, fresh, off, self.coefficients)
        self.rest, self.length = 0 * self.rest, 0 * self.length
        self.inside, self.lefts = None, [self.length + 0]
        self._bound(0)

    def exact(self, columns):
        """Return the values of some columns of each row with nothing left out.

        ``columns`` and the values are ``(m, k)``.
        """
        xp, engine = self.xp, self.engine
        base = engine.base[columns]
        shift = self.rest @ (double(engine.origin) - double(engine.center))
        found = (base @ xp.astype(self.rest, base.dtype)[:, :, None])[:, :, 0]
        found = xp.astype(found, xp.float32) + xp.astype(shift, xp.float32)[:, None]
        found -= xp.astype(engine.half_squares[columns], xp.float32)
        if self.products is not None:
            found += self.products.value_at(self.coefficients, columns)
        self.work += base.shape[1] * base.shape[2]
        own = (4 * math.sqrt(base.shape[2]) + 8) * self.length**0.5
        more = SINGLE * own * engine.radius
        self.slack = xp.maximum(self.slack, self.known + more)
        return found * self.scale

    def nearest(self, places):
        """Return the exact value of one column for each row, ``(m,)``, in float64."""
        points = double(self.engine.points[self.numbers(places)])
        gaps = points - double(self.engine.center)
        return self.xp.sum((self.centered - gaps / 2) * gaps, axis=1) / self.noise

    def keep(self, places):
        """Drop all columns but some."""
        self.columns = self.numbers(places)
        self.values = self.values[:, places]

    def numbers(self, places):
        """Return the numbers of the points in some columns."""
        return places if self.columns is None else self.columns[places]

    def upper(self):
        """Return the scores with the most that panels do not see, ``t t_j``, added."""
        xp, rests = self.xp, self._of(self.axes.rests[self.panels - 1])
        tail = xp.astype(self.tail / self.noise, rests.dtype)[:, None]
        upper = xp.multiply(tail, rests, out=self._spare)
        upper += self.values
        return upper

    def _recall(self):
        """Make the scores those of what is remembered; bound their error."""
        products, c = self.products, self.coefficients
        sizes = abs(c) * products.sizes[:, : products.count]
        terms = 2 * sizes[:, 0] + products.count * self.xp.sum(sizes[:, 1:], axis=1)
        self.known = products.error(c) + SINGLE * terms
        self.values = products.value(c / self.noise[:, None], out=self.room[0])
        add_product(self.values, self._halves, -self.scale)

    @property
    def _spare(self):
        return self.room[1] if self.columns is None else None

    @property
    def _halves(self):
        return self.xp.astype(self.engine.half_squares, self.xp.float32, copy=False)

    def _inside(self, panels):
        """Return the coordinates of ``u`` in the first panels, ``(m, k)``, and more."""
        xp, axes, seen = self.xp, self.axes, len(self.lefts) - 1
        if seen < panels:
            some = double(axes.directions[:, axes.panel(seen, panels)])
            fresh = xp.astype(self.rest @ some, xp.float32)
            for panel in range(seen, panels):
                start = axes.depths[seen]
                part = fresh[
                    :, axes.depths[panel] - start : axes.depths[panel + 1] - start
                ]
                self.lefts.append(self.lefts[-1] - xp.sum(double(part) ** 2, axis=1))
            old = self.inside
            self.inside = fresh if old is None else xp.concat([old, fresh], axis=1)
        return self.inside

    def _bound(self, panels):
        self.tail, self.slack = self.outlook(panels)

    def _of(self, values):
        return values if self.columns is None else values[self.columns]
