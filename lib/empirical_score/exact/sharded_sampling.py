"""Sample with the exact score of a data set that many processes hold together.

    torchrun --nproc-per-node 3 -m empirical_score.exact.sharded_sampling \\
        --data train.npy --out samples/ --count 256 --batch 64

Each process maps the file and holds its share of the rows.  Finished batches are
written one by one, each at once or not at all, and are not computed again when the
command is repeated; if a process dies, the others end with an error that says so.
"""

import argparse
import datetime
import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch.distributed as dist

from .._support.arrays import as_count, as_positive_number
from ..sampling.noise import karras_levels
from ..sampling.samplers import sample_ode
from .sharding import ShardedScore, ShardLost, shard

__all__ = ["main", "sample_batches"]


def sample_batches(score, levels, count, folder, *, batch=64, seed=0, write=True):
    """Sample ``count`` points in batches; yield the path of each finished one.

    Batch ``k`` starts from the normal numbers of seed ``(seed, k)`` and goes to
    ``samples-K.npy``, ``(batch, d)``; a file that is there is not computed again.
    All processes must call it; those with ``write=False`` leave the writing to others.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    count, batch = as_count(count, "count"), as_count(batch, "batch")
    for number, start in enumerate(range(0, count, batch)):
        path = folder / f"samples-{number:05d}.npy"
        size = min(batch, count - start)
        if not _there(path, (size, score.dimension)):
            rng = np.random.default_rng([seed, number])
            x = float(levels[0]) * rng.standard_normal((size, score.dimension))
            samples = sample_ode(score, x.astype(np.float32), levels)
            if write:
                draft = path.with_suffix(f".{os.getpid()}.part")
                with draft.open("wb") as file:
                    np.save(file, samples)
                os.replace(draft, path)
        yield path


def main(arguments=None):
    """Run the command line; return the exit status."""
    options = _parser().parse_args(arguments)
    # The launcher ends the others as soon as it sees one die: they still say why.
    signal.signal(signal.SIGTERM, _stopped)
    limit = datetime.timedelta(seconds=options.timeout)
    dist.init_process_group("gloo", timeout=limit)
    rank, size = dist.get_rank(), dist.get_world_size()
    done = []
    try:
        data = np.load(options.data, mmap_mode="r", allow_pickle=False)
        data = data.reshape(len(data), -1)
        score = ShardedScore(data[shard(len(data), rank, size)])
        levels = karras_levels(options.levels, options.high, options.low)
        for path in sample_batches(
            score,
            levels,
            options.count,
            options.out,
            batch=options.batch,
            seed=options.seed,
            write=rank == 0,
        ):
            done.append(path)
            if rank == 0:
                print(f"{path.name}: {len(done) * options.batch} asked", flush=True)
    except (ShardLost, RuntimeError, OSError, ValueError, TypeError) as error:
        print(
            f"empirical-score: {error}; {len(done)} finished batches are in "
            f"{options.out}",
            file=sys.stderr,
            flush=True,
        )
        # Other threads still wait for the lost process: leave without them.
        os._exit(2)
    dist.destroy_process_group()
    return 0


def _stopped(number, frame):
    raise ShardLost("told to stop: a process has died or left, or the run was ended")


def _there(path, shape):
    """Return whether a finished batch of this shape lies at ``path``."""
    if not path.exists():
        return False
    found = np.load(path, mmap_mode="r", allow_pickle=False).shape
    if found != shape:
        raise ValueError(f"{path} has shape {found}, expected {shape}: another run's?")
    return True


def _parser():
    parser = argparse.ArgumentParser(
        prog="torchrun -m empirical_score.exact.sharded_sampling", description=__doc__
    )
    add = parser.add_argument
    add("--data", required=True, metavar="FILE", help=".npy, (n, d) or (n, ...)")
    add("--out", required=True, metavar="FOLDER", help="where the samples go")
    add("--count", type=int, default=64, help="samples, default %(default)s")
    add("--batch", type=int, default=64, help="default %(default)s")
    add("--levels", type=int, default=40, help="default %(default)s")
    add("--high", type=float, default=80.0, help="first noise level, %(default)s")
    add("--low", type=float, default=0.002, help="last noise level, %(default)s")
    add("--seed", type=int, default=0, help="default %(default)s")
    add("--timeout", type=_seconds, default=600.0, help="of a lost process, seconds")
    return parser


def _seconds(text):
    return as_positive_number(float(text), "timeout")


if __name__ == "__main__":
    sys.exit(main())
