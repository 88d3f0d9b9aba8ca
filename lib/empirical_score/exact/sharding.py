"""A training set that is spread over many processes: its score by three all-reduces.

Every process holds some of the points (a *shard*), calls the score with the same ``x``,
and gets the same answer.  With the nearest point ``a`` of a shard, the sum ``S`` of its
weights against ``a`` and its own average ``D``, the shards merge around any reference
``p`` near ``x``:

    L = log S - |x - a|^2 / (2 sigma^2)                          (maximum over shards)
    p = the ``a`` of the shard with the largest L                (sum over shards)
    s = S exp(l(a)),  v = s (D - p),  l(a) = log w_a - log w_p   (sum over shards)

and ``p + v / s`` is the average over all.  Measured from ``p`` nothing cancels, so that
shards agree with one process at every noise level.

Start the processes with ``torchrun``; on processors they talk by gloo, on GPUs by nccl.
``python -m empirical_score.exact.sharded_sampling`` is a sampler made of this.
"""

from __future__ import annotations

import math

import torch
import torch.distributed as dist

from .._support.arrays import array_namespace, as_count, itemsize, like
from .._support.show import described
from .._support.types import Array, Level, Points
from ..distributions.score import Density
from .differences import relative_log_weights
from .score import EmpiricalScore

__all__ = ["ShardLost", "ShardedScore", "shard"]


class ShardLost(RuntimeError):
    """A process that holds a shard no longer answers."""


class ShardedScore(Density):
    """The exact score of a training set that many processes hold together.

    The score of :class:`~empirical_score.EmpiricalScore` over the points of all
    processes of a group, each of which holds its own part, a shard.

    ``denoise``, ``score`` and ``log_density`` must be called by all processes, with the
    same ``x`` and ``sigma``.

    Parameters
    ----------
    data : array ``(n, d)``
        This process's own points, NumPy (memory-mapped too) or torch, on its device.
    group : torch.distributed process group, optional
        The default group; it must be initialized.
    memory : int, optional
        As in :class:`empirical_score.EmpiricalScore`.

    Attributes
    ----------
    count : int
        The number of points of all shards.

    Raises
    ------
    RuntimeError
        If ``torch.distributed`` is not initialized.
    ValueError
        If the shards differ in dimension or precision; what ``EmpiricalScore`` raises.
    ShardLost
        If a process died or left; the state of this one is as before the call.

    Notes
    -----
    Three all-reduces merge the shards' averages: ``cor-shards`` in the book.

    Examples
    --------
    >>> import numpy as np, empirical_score as es, torch.distributed as dist
    >>> dist.init_process_group("gloo", rank=0, world_size=1, store=dist.HashStore())
    >>> score = es.ShardedScore(np.array([[0.0], [2.0]]))
    >>> score(np.array([[1.0]]), 1.0).round(3) + 0.0
    array([[0.]])
    >>> score
    ShardedScore(n=2, dimension=1, own=2)
    >>> dist.destroy_process_group()
    """

    def __init__(
        self,
        data: Points,
        *,
        group: dist.ProcessGroup | None = None,
        memory: int | None = None,
    ) -> None:
        if not dist.is_initialized():
            raise RuntimeError(
                "torch.distributed is not initialized: start with torchrun and call "
                "torch.distributed.init_process_group()"
            )
        self._base = EmpiricalScore(data, memory=memory)
        self._group, self.data = group, self._base.data
        self.dimension = self._base.dimension
        facts = [self.dimension, itemsize(self.data), len(self.data)]
        every = self._gather(facts)
        for fact, name in ((0, "dimension"), (1, "bytes a number")):
            if len({row[fact] for row in every}) > 1:
                raise ValueError(
                    f"the shards of data must agree in {name}, got "
                    + ", ".join(
                        f"{row[fact]} on rank {k}" for k, row in enumerate(every)
                    )
                )
        self.count = sum(row[2] for row in every)

    def __repr__(self):
        own = self.data.shape[0]
        return described(self, n=self.count, dimension=self.dimension, own=own)

    def log_density(self, x: Points, sigma: Level) -> Array:
        """Return ``log p_sigma(x)`` of all points, ``(m,)``, in nats."""
        x, sigma = self._arguments(x, sigma)
        place, total, _ = self._merge(x, sigma)
        noise: torch.Tensor = like(sigma, place)
        start = like(x, place) - place
        squares = ((start / noise[:, None]) ** 2).sum(1)
        constant = self.dimension * (noise.log() + math.log(2 * math.pi) / 2)
        log_sum = total.log() - squares / 2
        return like(log_sum - math.log(self.count) - constant, x)

    def _shift(self, x, sigma):
        place, total, vector = self._merge(x, sigma)
        return like(vector / total[:, None] - (like(x, place) - place), x)

    def _arguments(self, x, sigma):
        return self._base._arguments(x, sigma)

    def _merge(self, x, sigma):
        """Return the reference ``p``, the sum of weights and of weighted offsets."""
        anchors, log_sums, means = self._own(x, sigma)
        x, sigma = like(x, anchors), like(sigma, anchors)
        squares = (((x - anchors) / sigma[:, None]) ** 2).sum(1)
        own = log_sums - squares / 2
        best = self._reduce(own.clone(), dist.ReduceOp.MAX)
        first = (own >= best).double()
        chosen = torch.cat([first[:, None], first[:, None] * anchors], 1)
        chosen = self._reduce(chosen, dist.ReduceOp.SUM)
        place = chosen[:, 1:] / chosen[:, :1]
        xp = array_namespace(x)
        logs = relative_log_weights(x, place, anchors[:, None, :], sigma, xp)
        share = (logs[:, 0] + log_sums).exp()
        sums = torch.cat([share[:, None], share[:, None] * (means - place)], 1)
        sums = self._reduce(sums, dist.ReduceOp.SUM)
        return place, sums[:, 0], sums[:, 1:]

    def _own(self, x, sigma):
        """Return this shard's anchors, log sums and averages, in float64."""
        found = self._base._average(x, sigma)
        on = self.data.device if torch.is_tensor(self.data) else "cpu"
        reference = torch.empty(0, dtype=torch.float64, device=on)
        values = found.anchor, found.log_sum, found.mean()
        return [like(value, reference) for value in values]

    def _reduce(self, values, how):
        try:
            dist.all_reduce(values, op=how, group=self._group)
        except RuntimeError as error:
            raise ShardLost(self._lost(error)) from error
        return values

    def _gather(self, facts):
        size = dist.get_world_size(self._group)
        on = "cuda" if dist.get_backend(self._group) == "nccl" else "cpu"
        own = torch.tensor(facts, dtype=torch.int64, device=on)
        every = [torch.empty_like(own) for _ in range(size)]
        try:
            dist.all_gather(every, own, group=self._group)
        except RuntimeError as error:
            raise ShardLost(self._lost(error)) from error
        return [row.tolist() for row in every]

    def _lost(self, error):
        rank, size = dist.get_rank(self._group), dist.get_world_size(self._group)
        reason = str(error).strip().splitlines()[0]
        return (
            f"rank {rank} of {size} waits in vain for the others: a process has died "
            f"or left ({reason})"
        )


def shard(count: int, rank: int, size: int) -> slice:
    """Return the slice of ``count`` points that process ``rank`` of ``size`` holds.

    Parameters
    ----------
    count : int
        The number of all points.
    rank : int from 0 to ``size - 1``
        The number of the process.
    size : int, at most ``count``
        The number of processes.

    Returns
    -------
    slice
        Consecutive rows; the shards differ by at most one point in size.

    Raises
    ------
    TypeError, ValueError
        For numbers that are not integers, or out of these bounds.

    Examples
    --------
    >>> import empirical_score as es
    >>> [es.shard(10, rank, 3) for rank in range(3)]
    [slice(0, 3, None), slice(3, 6, None), slice(6, 10, None)]
    """
    size = as_count(size, "size")
    rank = as_count(rank, "rank", low=0)
    if rank >= size or as_count(count, "count") < size:
        raise ValueError(
            f"rank must be below size, and size at most count, got rank={rank}, "
            f"size={size}, count={count}"
        )
    return slice(count * rank // size, count * (rank + 1) // size)
