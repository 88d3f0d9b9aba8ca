"""The denoiser to a stated tolerance, with a certificate of what is certain of it."""

import math
from typing import NamedTuple

import numpy as np

from .dense import Wanted, average

# The part of the tolerance that points left out may use up.
LEFT_OUT = 0.125
METHOD = "<U6"  # the names of methods


class Certificate(NamedTuple):
    """What is known for sure about a denoiser computed to a tolerance.

    Attributes
    ----------
    error : ``(m,)``, bound on ``|D' - D| / sqrt(d)``, root mean square a coordinate
    discarded : ``(m,)``, bound on the weight of all points that were left out
    share : float, products computed, as a share of those that a sum over all points
        takes
    rigorous : ``(m,)``, whether ``error`` is proved in every term; where it is not,
        rounding of float32 products is taken as four times what is seen at some points
    method : NumPy array of strings ``(m,)``: how the row was computed, ``"dense"`` (all
        points), ``"few"`` (a list of points), ``"tree"``, or along a path ``"kept"`` (a
        list known before) or ``"reused"`` (the answer at a place nearby)
    """

    error: object
    discarded: object
    share: float
    rigorous: object
    method: object


class Found(NamedTuple):
    """Averages ``(m, d)`` in float64, and bounds on their distance from the exact ones.

    ``average`` holds what was computed on the way (:class:`.dense.Average`), or None.
    """

    mean: object
    error: object
    discarded: object
    rigorous: object
    method: object
    work: float
    average: object = None


def nats_behind(points, budget):
    """Return by how many nats on top of ``log n`` a point may be left out."""
    return math.log(max(2 * points.radius / (LEFT_OUT * budget), 1.0))


def within(points, x, sigma, budget, spare=0.0):
    """Return the averages with errors below ``budget`` where the precision allows it.

    ``x`` and ``sigma`` are in float64.  Points that are left out are ``spare`` nats
    further behind than the budget asks for.  Where float32 products do not do, those of
    float64 are taken; where these do not, differences of all points that matter.
    """
    xp = points.xp
    wanted = Wanted(True, nats_behind(points, budget) + spare)
    found = average(points, x, sigma, wanted)
    mean, error = found.mean(), found.error(points.radius, xp)
    discarded, work = found.discarded + 0, found.work
    proved, listed = found.proved | False, found.listed | False  # their own copies
    for lists in (False, True):
        coarse = xp.nonzero((error > budget) & ~listed)[0]
        if coarse.shape[0] and (lists or points.itemsize == 4):
            own = x[coarse], sigma[coarse], wanted._replace(lists=lists), xp.float64
            again = average(points, *own)
            mean[coarse], error[coarse] = again.mean(), again.error(points.radius, xp)
            discarded[coarse], proved[coarse] = again.discarded, again.proved
            listed[coarse] = again.listed
            work += again.work
    method = np.where(np.asarray(listed.tolist(), bool), "few", "dense")
    return Found(mean, error, discarded, proved, method, work, found)


def certificate(points, found):
    """Return the :class:`Certificate` of what was found."""
    m = found.mean.shape[0]
    return Certificate(
        found.error / math.sqrt(points.d),
        found.discarded,
        found.work / (2 * points.n * m),
        found.rigorous,
        found.method,
    )
