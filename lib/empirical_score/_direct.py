"""Log weights from direct differences, in which nothing cancels.

Measured against an *anchor* ``a``, a training point near ``x``, the log weight of ``y``
is

    l = log w_y - log w_a = (y - a) . (2 (x - a) - (y - a)) / (2 sigma^2),

whose terms are as small as the distances themselves.  Near a Voronoi boundary even they
cancel, ``|y - a|`` being large against sigma while ``y`` and ``a`` are almost equally
near; there the sum is carried in twice the precision.
"""

from ._doubled import squared_distance_gap

# Largest error, in nats, that a log weight of these may have.
EXACT = 1e-11
# Weights below exp(-NEGLIGIBLE) / n change no digit of an average.
NEGLIGIBLE = 40.0


def relative_log_weights(x, anchors, points, sigma, xp):
    """Return the log weights of ``points`` against those of ``anchors``, ``(r, k)``.

    All in float64: ``x`` and ``anchors`` are ``(r, d)``, ``points`` ``(r, k, d)``,
    ``sigma`` ``(r,)``.
    """
    sigma = sigma[:, None]
    offsets = points - anchors[:, None, :]
    twice = 2 * (x - anchors)[:, None, :]
    exact = xp.vecdot(offsets, twice - offsets) / sigma / (2 * sigma)
    length = xp.linalg.vector_norm(offsets, axis=2)
    size = length * (xp.linalg.vector_norm(twice, axis=2) + length)
    rounding = 2.0**-50 * size / (2 * sigma**2)
    lost = (rounding > EXACT) & (xp.abs(exact) < NEGLIGIBLE + rounding)
    tied = xp.nonzero(xp.any(lost, axis=1))[0]
    if tied.shape[0]:
        gap = squared_distance_gap(
            x[tied][:, None, :], anchors[tied][:, None, :], points[tied], xp
        )
        exact[tied] = (gap / sigma[tied]) / (2 * sigma[tied])
    return exact
