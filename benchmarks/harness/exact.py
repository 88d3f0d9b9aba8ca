"""The truth in float64, and what a result is worth against it."""

import math

import numpy as np
import torch

# Logits of one block take at most this many bytes.
BLOCK = 2**28


def posterior(data, x, sigma):
    """Return the denoiser ``(m, d)`` and log density ``(m,)`` in float64, as arrays.

    Data and points are centered, products are in float64, and blocks of rows keep
    their whole softmax: at the largest sizes here the log weights are right to 1e-6
    nats, far below the float32 rounding that is judged with them.
    """
    y, x = _double(data), _double(x)
    center = y.mean(0)
    y, x = y - center, x - center
    half = (y * y).sum(1) / 2
    rows = max(1, BLOCK // (8 * len(y)))
    means, logs = [], []
    for block in x.split(rows):
        logits = torch.addmm(half, block, y.T, beta=-1).div_(sigma**2)
        top = logits.amax(1, keepdim=True)
        weights = logits.sub_(top).exp_()
        total = weights.sum(1, keepdim=True)
        means.append(weights @ y / total + center)
        own = (block * block).sum(1) / (2 * sigma**2)
        logs.append((top + total.log())[:, 0] - own)
    n, d = y.shape
    constant = math.log(n) + d * (math.log(sigma) + math.log(2 * math.pi) / 2)
    return torch.cat(means).numpy(), (torch.cat(logs) - constant).numpy()


def spread(data):
    """Return the RMS distance of a coordinate of the data from its mean."""
    y = _double(data)
    return float((y - y.mean(0)).square().mean().sqrt())


def nearest(data, x):
    """Return the index of the training point nearest to each row, in float64."""
    y, x = _double(data), _double(x)
    center = y.mean(0)
    y, x = y - center, x - center
    return ((y * y).sum(1) / 2 - x @ y.T).argmin(1).numpy()


def error(value, truth, scale):
    """Return how far a result is off, as a record.

    For denoised points: the largest RMS over coordinates of any row (``rms``), and
    that over the spread of the data (``relative``); for log densities the largest
    difference (``nats``).  A result that is not finite is infinitely wrong.
    """
    value = _double(value).numpy()
    if value.shape != truth.shape:
        raise ValueError(f"expected shape {truth.shape}, got {value.shape}")
    gap = abs(value - truth)
    if truth.ndim == 1:
        return {"nats": _finite(gap.max())}
    rms = _finite(((gap**2).mean(1) ** 0.5).max())
    return {"rms": rms, "relative": rms / scale}


def verdict(peer, found):
    """Return ``"exact"``, ``"certified"``, ``"inexact"`` (by design) or ``"wrong"``.

    A peer says how far rounding may carry it (``tolerance``: relative, or in nats),
    or what error it certifies (``bound``: RMS of a coordinate).
    """
    if peer.bound is not None:
        return "certified" if found["rms"] <= peer.bound else "wrong"
    if not peer.exact:
        return "inexact"
    off = found["nats"] if "nats" in found else found["relative"]
    return "exact" if off <= peer.tolerance else "wrong"


def _double(array):
    if isinstance(array, torch.Tensor):
        return array.to(torch.float64)
    return torch.from_numpy(np.array(array, dtype=np.float64))


def _finite(value):
    return float(value) if math.isfinite(value) else math.inf
