"""What the processes of a sharded run do in the tests: write their answers to files.

    python sharded_worker.py FOLDER COUNT

The processes are forks of this one, so that torch is loaded once for all of them.
"""

import multiprocessing
import sys

import numpy as np
import torch.distributed as dist

import empirical_score as es
from empirical_score.exact.sharding import shard


def answer(folder, rank, size):
    """What one process does."""
    place = {"init_method": f"file://{folder}/meeting", "rank": rank}
    dist.init_process_group("gloo", world_size=size, **place)
    given = np.load(f"{folder}/problem.npz", allow_pickle=False)
    data = given["data"]
    score = es.ShardedScore(data[shard(len(data), rank, size)])
    found = {}
    for number, sigma in enumerate(given["levels"]):
        x = given["x"][number]
        found[f"score {number}"] = score(x, sigma)
        found[f"denoise {number}"] = score.denoise(x, sigma)
        found[f"log_density {number}"] = score.log_density(x, sigma)
    found["samples"] = es.sample_ode(score, given["x"][-1], given["levels"][::-1])
    np.savez(f"{folder}/rank{rank}.npz", count=score.count, **found)
    other = np.float32 if rank % 2 else np.float64
    refused(data[:5, : 2 + rank], "agree in dimension, got 2 on rank 0, 3 on rank 1")
    refused(data[:5].astype(other), "in bytes a number, got 8 on rank 0, 4 on rank 1")
    dist.destroy_process_group()


def refused(data, words):
    """Shards that do not fit together are, on all processes."""
    try:
        es.ShardedScore(data)
    except ValueError as error:
        assert words in str(error)
    else:
        raise AssertionError("unequal shards were taken")


if __name__ == "__main__":
    folder, size = sys.argv[1], int(sys.argv[2])
    fork = multiprocessing.get_context("fork")
    team = [
        fork.Process(target=answer, args=(folder, rank, size)) for rank in range(size)
    ]
    for process in team:
        process.start()
    for process in team:
        process.join()
    sys.exit(any(process.exitcode for process in team))
