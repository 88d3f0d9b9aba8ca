"""What one process of a sharded run does in the tests: write its answers to a file."""

import sys

import numpy as np
import torch.distributed as dist

import empirical_score as es
from empirical_score.sharding import shard

folder = sys.argv[1]
dist.init_process_group("gloo")
rank, size = dist.get_rank(), dist.get_world_size()
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
try:
    es.ShardedScore(data[:5, : 2 + rank])
except ValueError as error:
    assert "agree in dimension" in str(error)
else:
    raise AssertionError("shards of unequal dimension were taken")
dist.destroy_process_group()
