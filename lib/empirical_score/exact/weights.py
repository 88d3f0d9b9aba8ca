"""The weights of all points themselves, what is made of them, and their derivatives.

Values come from products that propose and differences that decide, as in ``dense``;
derivatives are those of the plain product, in which nothing has to be decided.
"""

import math
import sys

from .._support.arrays import device, double, row_maxima, row_sums
from .dense import SHARE, SHORT, differences, exact_logs, groups, sharp
from .differences import NEGLIGIBLE

# Points whose log weights are computed together.
BLOCK = 2**16


def log_weights(points, x, sigma):
    """Return the log weights of all points, ``(m, n)``, each row's sum of weights 1.

    Those of all points that can matter are right as far as ``dense.sharp`` says; of the
    others, whose weight is 0 in floating point, those of the product.
    """
    xp, dtype = points.xp, points.working_dtype(x, sigma)
    left, scale, length = points.queries(x, sigma, dtype)
    size, blocks = (4 if dtype == xp.float32 else 8), points.key_blocks(BLOCK, dtype)
    parts = [left @ keys.T for _, keys in blocks]
    logits = parts[0] if len(parts) == 1 else xp.concat(parts, axis=1)
    best = xp.argmax(logits, axis=1)
    logits -= logits[xp.arange(x.shape[0], device=device(best)), best][:, None]
    typical = points.typical_rounding(length, scale, dtype)
    proved = points.proved_rounding(length, scale, dtype)
    edge = xp.nonzero(typical > sharp(points.d, size))[0]
    cut = (NEGLIGIBLE + math.log(points.n)) * sigma**2 * scale + 2 * proved
    near = logits[edge] >= xp.astype(-cut, dtype)[edge][:, None]
    logits *= xp.astype(1 / (sigma**2 * scale), dtype)[:, None]
    counts = xp.sum(xp.astype(near, xp.int64), axis=1)
    for some in groups(counts, points.memory):
        rows = edge[some]
        places, columns = xp.nonzero(near[some])
        anchor = double(points.values[best[rows]])
        logs = exact_logs(points, x[rows], sigma[rows], places, columns, anchor)
        top = row_maxima(logs, places, rows.shape[0])
        logits[rows] -= xp.astype(top, dtype)[:, None]
        logits[rows[places], columns] = xp.astype(logs - top[places], dtype)
    top = xp.max(logits, axis=1)[:, None]
    total = xp.sum(double(xp.exp(logits - top)), axis=1)
    logits -= top + xp.astype(xp.log(total), dtype)[:, None]
    return logits


def covariance_product(points, x, sigma, v):
    """Return ``sum_j w_j (y_j - D) <y_j - D, v>``, ``(m, d)``, in float64."""
    xp, weights = points.xp, double(log_weights(points, x, sigma))
    top = xp.max(weights, axis=1)[:, None]
    near = weights >= top - NEGLIGIBLE - math.log(points.n)
    weights, best = xp.exp(weights), xp.argmax(weights, axis=1)
    counts = xp.sum(xp.astype(near, xp.int64), axis=1)
    light = counts <= max(SHORT, points.n // SHARE)
    out, few = 0 * x, xp.nonzero(light)[0]
    for some in groups(counts[few], points.memory):
        rows = few[some]
        places, columns = xp.nonzero(near[rows])
        own, anchor = weights[rows[places], columns], double(points.values[best[rows]])
        pairs, mean, total = (places, columns, anchor), 0 * out[rows], 0 * out[rows]
        for part, offsets in differences(points, *pairs):
            moved = own[part][:, None] * offsets
            mean = mean + row_sums(moved, places[part], rows.shape[0])
        for part, offsets in differences(points, *pairs):
            offsets = offsets - mean[places[part]]
            along = own[part] * xp.sum(offsets * v[rows][places[part]], axis=1)
            moved = along[:, None] * offsets
            total = total + row_sums(moved, places[part], rows.shape[0])
        out[rows] = total
    many = xp.nonzero(~light)[0]
    if many.shape[0]:
        own, mean, total = weights[many], 0 * x[many], 0 * x[many]
        for columns, block in points.blocks():
            mean = mean + own[:, columns] @ (double(block) - points.center)
        for columns, block in points.blocks():
            gaps = double(block) - points.center
            along = v[many] @ gaps.T - xp.sum(mean * v[many], axis=1)[:, None]
            along = own[:, columns] * along
            total = total + along @ gaps - xp.sum(along, axis=1)[:, None] * mean
        out[many] = total
    return out


def differentiable_log_weights(data, x, sigma, values):
    """Return log weights ``(m, n)`` equal to ``values``, with a history."""
    logs = values.detach() + _history(_products(data, x, sigma))
    return logs - logs.logsumexp(1, keepdim=True)


def differentiable_log_sum(data, x, sigma, logs, score):
    """Return ``log sum_j exp(-|x - y_j|^2 / (2 sigma^2))``, ``(m,)``, to differentiate.

    A sum whose terms have the right weights, ``logs``, has the right derivatives of all
    orders; the first, in which large terms cancel, is made that of the exact ``score``.
    """
    own = (logs.detach() + _history(_products(data, x, sigma))).logsumexp(1)
    own = own - ((x - data.detach().mean(0)) ** 2).sum(1) / (2 * sigma**2)
    if not x.requires_grad:
        return own
    (slope,) = sys.modules["torch"].autograd.grad(own.sum(), x, retain_graph=True)
    return own + ((score - slope.detach()) * (x - x.detach())).sum(1)


def _history(values):
    """Return zeros with the history of the values: no rounding comes with it."""
    return values - values.detach()


def _products(data, x, sigma):
    """Return log weights up to a constant of the row, ``(m, n)``."""
    center = data.detach().mean(0)
    gaps = data - center
    logs = (x - center) @ gaps.T - (gaps**2).sum(1) / 2
    return logs / sigma[:, None] ** 2
