"""Averages with weights that are known up to bounds, and with few products.

``Weighed`` makes weights ``v`` out of scores (``_scores``) and bounds what the true
ones change: the *sandwich*.  With ``d_j = (t t_j + slack) / sigma^2`` the true weights
are at most ``v_j exp(d_j + b)``, ``b = log sum_j v_j exp(d_j)``, and at least
``v_j exp(-d_j - b)``: the average moves by at most the root of
``sum_j v_j (exp(d_j + b) - 1)^2`` times the standard deviation of ``v``.  The scores of
the heaviest points may be computed exactly, which leaves ``t t_j`` for light ones only.

``average`` subtracts what remembered weights explain (``_recalled``).  Of the rest
``r`` the heaviest points are summed exactly, all others along some axes only, beyond
which they add up to at most ``s |r|``, ``s`` being the norm of ``_axes``.
"""

import math

from ._arrays import (
    array_namespace,
    clipped_exp,
    device,
    double,
    largest,
    largest_of,
    squared_lengths,
)
from ._engine import MARGIN
from ._products import weighted
from ._scores import SINGLE
from ._streaming import FLOOR, streamed_blocks

# How many heavy points a row may have summed exactly; as how many in a matrix product
# one of them counts; and the largest share of all products that is worth computing when
# with all of them the weights could be remembered.
HEAVY, GATHERED, WORTH = (0, 4, 16, 64, 256), 25, 0.3
LIGHT = 0.1  # heavy points are of no help if they can hold no more than that together


class Weighed:
    """Weights ``(m, n)`` out of scores, and how far the average may be off.

    They are written into the second array of the scores' room.  ``weights`` sum to
    ``moments.total``; ``heavy`` ``(m, k)`` are the heaviest points, sorted; ``error``
    ``(m,)`` is known after :meth:`sharpen`.
    """

    def __init__(self, engine, axes, scores):
        xp = self.xp = engine.xp
        self.engine, self.axes, self.scores = engine, axes, scores
        self.top = largest_of(scores.values)[:, None]
        self.weights = xp.subtract(scores.values, self.top, out=scores.room[1])
        clipped_exp(self.weights, FLOOR[4])
        self.total = double(xp.sum(self.weights, axis=1))
        self.sums = weighted(self.weights, axes.table)
        self.sizes = sizes(engine, float(xp.min(self.total)))
        self.heavy = self._heaviest()
        self.panels = scores.panels
        self.moments = Moments(self)

    def sharpen(self, budget):
        """Make as few scores exact as bring the error below a budget, if that helps.

        Returns whether the error is below it.
        """
        scores = self.scores
        errors = self.moments.errors(self.panels, scores)
        for place, size in enumerate(self.sizes):
            spare = budget if size == 0 else 0.9 * budget
            if bool(self.xp.all(errors[place] <= spare)):
                break
        else:
            return False
        if size:
            self._make_exact(self.heavy[:, :size])
            self.moments = Moments(self)
            errors = self.moments.errors(self.panels, scores)
        self.error = errors[place]
        return bool(self.xp.all(self.error <= budget))

    def _make_exact(self, some):
        """Replace some weights of each row by what their exact scores say."""
        exact = self.xp.exp(self.scores.exact(some) - self.top)
        change = exact - self.weights[self._rows, some]
        self.weights[self._rows, some] = exact
        self.total = self.total + double(self.xp.sum(change, axis=1))
        sums = (change[:, None, :] @ self.axes.table[some])[:, 0, :]
        self.sums = self.sums + double(sums)

    def average(self, averages, budget):
        """Return the average ``(m, d)`` and a bound on its error, to a budget ``(m,)``.

        What is computed over all points is remembered in ``averages``.  The scores are
        overwritten.
        """
        xp, engine, room = self.xp, self.engine, self.scores.room
        self.weights /= xp.astype(self.total, self.weights.dtype)[:, None]
        coefficients, rest = averages.split(self.weights, out=room[0])
        known = averages.error(coefficients) + 8 * SINGLE * engine.reach
        plan = self._plan(rest, budget - known)
        if plan is None:
            # As orthogonal as it can be.
            more, rest = averages.split(rest, out=room[1])
            coefficients = coefficients + more
            mean, found = averages.value(coefficients), self._whole(rest)
            error = self._rounding(rest, found)
            averages.add(rest, found, error, coefficients)
        else:
            panels, size, error = plan
            mean, found = averages.value(coefficients), self._partly(rest, panels, size)
        return mean + found + double(engine.center), error + known

    def _partly(self, rest, panels, size):
        """Return ``sum_j r_j (y_j - c)``: heavy points, and all others along panels."""
        xp, engine, found = self.xp, self.engine, 0.0
        if size:
            heavy = self.heavy[:, :size]
            own, base = rest[self._rows, heavy], engine.base[heavy]
            found = double((xp.astype(own, base.dtype)[:, None, :] @ base)[:, 0, :])
            shift = double(engine.origin) - double(engine.center)
            found = found + xp.sum(own, axis=1, dtype=xp.float64)[:, None] * shift
            rest[self._rows, heavy] = 0.0
            self.scores.work += base.shape[1] * base.shape[2]
        if panels:
            some = self.axes.panel(0, panels)
            coordinates = self.axes.coordinates[:, some]
            inside = weighted(rest, coordinates)
            found = found + inside @ double(self.axes.directions[:, some]).T
            self.scores.work += coordinates.shape[0] * coordinates.shape[1]
        return found

    def _plan(self, rest, budget):
        """Return panels, heavy points and error of the cheapest sum, or None."""
        xp, axes, (n, d) = self.xp, self.axes, self.engine.points.shape
        whole = squared_lengths(rest)
        parts = double(rest[self._rows, self.heavy]) ** 2
        lengths = 1.001 * left_of(whole, parts, self.sizes) ** 0.5
        longest = xp.max(lengths / xp.clip(budget, 1e-300, None), axis=1).tolist()
        for _, panels, size in plans(axes, self.sizes, n, d):
            place = self.sizes.index(size)
            if axes.norms[panels] * longest[place] <= 1:
                return panels, size, axes.norms[panels] * lengths[place]
        return None

    def _whole(self, rest):
        """Return ``sum_j r_j (y_j - c)``, over all points."""
        engine, xp, mean = self.engine, self.xp, 0.0
        for columns, base, _ in streamed_blocks(engine, rest.shape[0]):
            some = xp.astype(rest[:, columns], base.dtype, copy=False)
            mean = mean + weighted(some, base)
            self.scores.work += base.shape[0] * base.shape[1]
        shift = double(engine.origin) - double(engine.center)
        return mean + xp.sum(rest, axis=1, dtype=xp.float64)[:, None] * shift

    def _rounding(self, rest, found):
        """Return the error of a sum, seen in some rows and coordinates, with a margin.

        It is taken to be as large for all rows, in units of the rest.
        """
        xp, engine = self.xp, self.engine
        rows = slice(None, None, max(1, found.shape[0] // 8))
        some = slice(None, None, max(1, found.shape[1] // 16))
        gaps = double(engine.base[:, some])
        gaps = gaps + (double(engine.origin) - double(engine.center))[some]
        off = xp.mean((double(rest[rows]) @ gaps - found[rows, some]) ** 2, axis=1)
        length = squared_lengths(rest) ** 0.5 + 1e-300
        relative = float(xp.max(off**0.5 / length[rows])) + 1e-9
        return MARGIN * relative * length * math.sqrt(found.shape[1])

    def _heaviest(self):
        """Return the heaviest points of each row, sorted, ``(m, k)``.

        They are looked for among those that are heavy for some row.
        """
        xp, weights, most = self.xp, self.weights, self.sizes[-1]
        if most == 0:
            return xp.astype(weights[:, :0], xp.int64)
        count = max(most, weights.shape[1] // 16)
        columns = largest(xp.max(weights, axis=0)[None, :], count)[0]
        some = weights[:, columns]
        places = largest(some, most)
        order = xp.argsort(-some[self._rows, places], axis=1)
        return columns[places[self._rows, order]]

    @property
    def _rows(self):
        rows = self.xp.arange(self.weights.shape[0], device=device(self.weights))
        return rows[:, None]


class Moments:
    """What the bound of the sandwich needs of some weights, for any panels.

    So it also foretells how many panels the next, similar weights will ask for.
    """

    def __init__(self, weighed):
        xp, axes, self.sizes = weighed.xp, weighed.axes, weighed.sizes
        self.xp, self.axes = xp, axes
        found = weighed.sums / weighed.total[:, None]
        inside = found[:, 1 + 2 * axes.shallow :]
        spread = found[:, 0] - xp.sum(inside**2, axis=1)
        self.spread = xp.clip(spread, 0.0, None) + 1e-5 * found[:, 0]
        some = weighed.weights[weighed._rows, weighed.heavy]
        heavy = double(some) / weighed.total[:, None]
        self.parts = []
        for panel in range(axes.shallow):
            first, second = found[:, 1 + 2 * panel], found[:, 2 + 2 * panel]
            rests = double(axes.rests[panel][weighed.heavy])
            first = left_of(first, heavy * rests, self.sizes)
            self.parts.append((first, left_of(second, heavy * rests**2, self.sizes)))

    def errors(self, panels, scores, tail=None):
        """Return the bound of the sandwich for each number of exact scores, ``(k, m)``.

        The tail and the slack are those of ``scores`` after a number of panels.
        """
        xp, panel = self.xp, max(panels - 1, 0)
        seen, slack = scores.outlook(panels)
        tail = seen if tail is None else tail
        slope = tail / scores.noise
        own = xp.maximum(slack, scores.slack) / scores.noise
        first, second = self.parts[panel]
        second = slope**2 * second + 2 * slope * own * first + own**2
        first = slope * first + own
        most = xp.clip(slope * self.axes.longest[panel] + own, 1e-300, None)
        growth = xp.expm1(xp.clip(2 * most, None, 200.0)) / (2 * most)
        shift = growth * first
        factor = growth * xp.sqrt(second + 2 * shift * first + shift**2)
        return 1.001 * factor * xp.sqrt(self.spread)

    def cheapest(self, scores, budget):
        """Return how many panels are likely to do, or None if none."""
        n, d = scores.engine.points.shape
        do = {}
        for _, panels, size in plans(self.axes, self.sizes, n, d):
            if panels not in do:
                few = self.errors(panels, scores) <= 0.8 * budget
                do[panels] = self.xp.all(few, axis=1).tolist()
            if panels and do[panels][self.sizes.index(size)]:
                return panels
        return None


def sizes(engine, total):
    """Return how many heavy points it may pay to gather, in rising order.

    ``total`` is the least sum of weights of which the largest are 1.
    """
    n = engine.points.shape[0]
    if HEAVY[-1] <= LIGHT * total:
        return [0]
    return [size for size in HEAVY if size * GATHERED <= WORTH * n]


def plans(axes, some, n, d):
    """Return the cost, panels and heavy points of all sums that pay, by cost."""
    every = [
        (axes.depths[panels] / d + GATHERED * size / n, panels, size)
        for panels in range(axes.shallow + 1)
        for size in some
    ]
    return sorted(plan for plan in every if plan[0] <= WORTH)


def left_of(whole, parts, sizes):
    """Return what the first parts leave of a sum of float32 numbers, at least.

    ``parts`` are ``(m, k)``; there is a row ``(m,)`` for each of the sizes.
    """
    xp = array_namespace(whole)
    left = xp.stack([whole - xp.sum(parts[:, :size], axis=1) for size in sizes])
    return xp.clip(left, 0.0, None) + 2e-6 * whole
