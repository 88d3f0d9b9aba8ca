"""Shards over several processes against one process; a process that dies."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from empirical_score import EmpiricalScore, karras_levels, sample_ode
from empirical_score.exact.sharded_sampling import sample_batches
from empirical_score.exact.sharding import ShardedScore, shard

HERE = os.path.dirname(__file__)
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}


def launch(count, *command, **options):
    """Start ``count`` processes as torchrun does, on this machine only."""
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    run += ["--local-addr", "127.0.0.1", "--nproc-per-node", str(count), *command]
    return subprocess.Popen(
        run, env=ENVIRONMENT, text=True, stderr=subprocess.PIPE, **options
    )


def problem(rng):
    """Rows at five noise levels: noised points, midpoints of points, far away."""
    data = rng.standard_normal((300, 12))
    data[200] = data[3]  # equal points on different shards
    levels = np.array([1e-6, 1e-2, 0.3, 2.0, 50.0])
    places = data[:9].copy()
    places[3:6] = (data[3:6] + data[290:293]) / 2
    places[6:] *= 30
    x = places + levels[:, None, None] * rng.standard_normal((5, 9, 12))
    x[0, 3:6] = places[3:6]
    return data, x, levels


@pytest.mark.parametrize("processes", [2, 3])
def test_shards_agree_with_one_process(processes, tmp_path):
    """To 1e-12, scores in units of the largest pull; samples of an ODE, too."""
    data, x, levels = problem(np.random.default_rng(0))
    np.savez(tmp_path / "problem.npz", data=data, x=x, levels=levels)
    command = [sys.executable, f"{HERE}/sharded_worker.py", str(tmp_path)]
    run = subprocess.run(
        [*command, str(processes)],
        env=ENVIRONMENT,
        text=True,
        stderr=subprocess.PIPE,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    law = EmpiricalScore(data)
    for rank in range(processes):
        found = np.load(tmp_path / f"rank{rank}.npz", allow_pickle=False)
        assert found["count"] == 300
        for number, sigma in enumerate(levels):
            pull = np.linalg.norm(x[number][:, None] - data, axis=2).max() / sigma**2
            gap = found[f"score {number}"] - law(x[number], sigma)
            assert np.max(np.abs(gap)) < 1e-12 * pull
            gap = found[f"denoise {number}"] - law.denoise(x[number], sigma)
            assert np.max(np.abs(gap)) < 1e-12
            wanted = law.log_density(x[number], sigma)
            np.testing.assert_allclose(
                found[f"log_density {number}"], wanted, rtol=1e-12
            )
        wanted = sample_ode(law, x[-1], levels[::-1])
        np.testing.assert_allclose(found["samples"], wanted, rtol=1e-9, atol=1e-9)


def test_a_process_that_dies_leaves_an_error_and_the_finished_batches(tmp_path):
    rng = np.random.default_rng(1)
    data = rng.standard_normal((20_000, 64)).astype(np.float32)
    np.save(tmp_path / "train.npy", data)
    command = ["-m", "empirical_score.exact.sharded_sampling", "--data"]
    command += [str(tmp_path / "train.npy"), "--out", str(tmp_path / "out")]
    command += ["--count", "100000", "--batch", "16", "--timeout", "30"]
    run = launch(2, *command, stdout=subprocess.PIPE)
    finished = tmp_path / "out" / "samples-00001.npy"
    limit = time.monotonic() + 120
    while not finished.exists() and time.monotonic() < limit:
        time.sleep(0.1)
    assert finished.exists()
    os.kill(_worker(run.pid, "1"), signal.SIGKILL)
    _, errors = run.communicate(timeout=120)
    assert run.returncode != 0
    assert "a process has died or left" in errors
    assert "finished batches are in" in errors
    whole = sorted((tmp_path / "out").glob("samples-*.npy"))
    assert len(whole) >= 2
    law, levels = EmpiricalScore(data), karras_levels(40, 80.0, 0.002)
    start = 80 * np.random.default_rng([0, 1]).standard_normal((16, 64))
    wanted = sample_ode(law, start.astype(np.float32), levels)
    np.testing.assert_allclose(np.load(whole[1]), wanted, atol=1e-3)
    for path in whole:
        assert np.load(path).shape == (16, 64)


def _worker(parent, rank):
    """Return the process of one rank among the children of torchrun."""
    with open(f"/proc/{parent}/task/{parent}/children") as file:
        children = file.read().split()
    for child in children:
        with open(f"/proc/{child}/environ", "rb") as file:
            if f"\0RANK={rank}\0".encode() in b"\0" + file.read():
                return int(child)
    raise AssertionError(f"no process of rank {rank}")


def test_shards_cover_all_points_once():
    for count, size in ((10, 3), (7, 7), (1000, 6)):
        parts = [shard(count, rank, size) for rank in range(size)]
        assert [i for part in parts for i in range(count)[part]] == list(range(count))
    with pytest.raises(ValueError, match="rank must be below size"):
        shard(10, 3, 3)
    with pytest.raises(ValueError, match="size at most count"):
        shard(2, 0, 3)


def test_without_a_group_the_error_says_how_to_start():
    with pytest.raises(RuntimeError, match="torchrun"):
        ShardedScore(np.zeros((3, 2)))


def test_batches_start_from_the_normal_numbers_of_seed_0_by_default(tmp_path):
    """One process and no group: any score can be sampled from in batches."""
    law = EmpiricalScore(np.random.default_rng(2).standard_normal((30, 3)))
    levels = karras_levels(4, 5.0, 0.1)
    paths = list(sample_batches(law, levels, 7, tmp_path / "plain", batch=4))
    given = list(sample_batches(law, levels, 7, tmp_path / "one", batch=4, seed=1))
    assert [path.name for path in paths] == ["samples-00000.npy", "samples-00001.npy"]
    for number, size in ((0, 4), (1, 3)):
        for seed, path in ((0, paths[number]), (1, given[number])):
            start = 5.0 * np.random.default_rng([seed, number]).standard_normal(
                (size, 3)
            )
            wanted = sample_ode(law, start.astype(np.float32), levels)
            np.testing.assert_allclose(np.load(path), wanted, atol=1e-6)
