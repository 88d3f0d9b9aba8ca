"""One pass with running sums: merges, files, float32, crowded rows."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from oracles import exact_posterior

from empirical_score import EmpiricalScore, _engine, _mapped
from empirical_score._engine import Engine
from empirical_score._fused import FusedAverage, can_fuse
from empirical_score._streaming import RunningSums, Streamed


@pytest.fixture(autouse=True)
def always_streamed(monkeypatch):
    monkeypatch.setattr(_engine, "KEPT", 0)


def points(n, d, kind=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((n, d)) + 0.3).astype(kind), rng


@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("sigma", [1e-8, 1e-3, 0.3, 3.0, 1e3, 1e8])
def test_streamed_rows_against_60_digits(kind, sigma):
    data, rng = points(40, 24, kind)
    places = np.stack([data[0], (data[1] + data[2]) / 2, 100 * data[3]])
    x = (places + sigma * rng.standard_normal(places.shape)).astype(kind)
    law = EmpiricalScore(data, memory=5_000)
    tolerance = 1e-10 if kind is np.float64 else 1e-5
    for row in x:
        true = exact_posterior(data, row, kind(sigma))
        gap = law.denoise(row[None], sigma)[0] - true.denoise
        assert np.linalg.norm(gap) < tolerance * np.linalg.norm(true.denoise)
        gap = law(row[None], sigma)[0] - true.score
        assert np.linalg.norm(gap) < tolerance * true.largest_pull
        found = law.log_density(row[None], sigma)[0]
        assert found == pytest.approx(true.log_density, rel=tolerance)


def test_blocks_merge_in_any_order():
    data, rng = points(700, 5)
    engine = Engine(data, 2**20)
    x, sigma = rng.standard_normal((6, 5)), np.full(6, 0.7)
    found = []
    for order in (range(7), reversed(range(7))):
        sums = RunningSums(engine, x, sigma)
        for k in order:
            part = slice(100 * k, 100 * (k + 1))
            sums.add(part, data[part], engine.half_squares[part])
        found.append((sums.mean(), sums.log_kernel_sum()))
    squares = ((x[:, None] - data) ** 2).sum(2) / (2 * 0.7**2)
    weights = np.exp(-squares)
    wanted = (weights / weights.sum(1, keepdims=True)) @ data
    for mean, log_sum in found:
        np.testing.assert_allclose(mean, wanted, atol=1e-13)
        np.testing.assert_allclose(log_sum, np.log(weights.sum(1)), atol=1e-12)


def test_plain_and_sharp_rows_come_back_in_their_order():
    data, rng = points(300, 8)
    sigma = rng.permutation(np.geomspace(1e-6, 10, 30))
    x = data[:30] + sigma[:, None] * rng.standard_normal((30, 8))
    engine = Engine(data, 2**20)
    streamed = Streamed(engine, x, sigma)
    assert [type(part).__name__ for part in streamed.parts] == ["RunningSums", "Pairs"]
    law = EmpiricalScore(data)
    one_by_one = [law.denoise(x[i : i + 1], sigma[i])[0] for i in range(30)]
    np.testing.assert_allclose(streamed.mean(), one_by_one, atol=1e-13)
    anchors, log_sums = streamed.anchored()
    squares = ((x - anchors) ** 2).sum(1) / (2 * sigma**2)
    np.testing.assert_allclose(
        log_sums - squares, streamed.log_kernel_sum(), rtol=1e-12, atol=1e-12
    )


def test_rows_in_which_too_many_points_matter_are_taken_one_by_one():
    """A thousand twins, all of which share the weight: pairs outgrow the memory."""
    data = np.repeat(np.array([[0.0, 1.0], [5.0, 2.0]]), 500, axis=0)
    x = np.tile([[1e5, 0.3]], (20, 1)) + np.arange(20)[:, None]
    law = EmpiricalScore(data, memory=20_000)
    rows = [rows for rows, _ in law._engine(x).averages(x, np.full(20, 1e-3))]
    assert len(rows) > 1
    np.testing.assert_allclose(law.denoise(x, 1e-3), np.tile([[5.0, 2.0]], (20, 1)))


def test_torch_streams_as_numpy_does_and_is_differentiable():
    data, rng = points(500, 6)
    x = torch.as_tensor(rng.standard_normal((4, 6))).requires_grad_()
    law = EmpiricalScore(torch.as_tensor(data), memory=20_000)
    value = law.log_density(x, 0.8)
    (slope,) = torch.autograd.grad(value.sum(), x)
    np.testing.assert_allclose(slope, law(x, 0.8).detach(), atol=1e-12)
    plain = EmpiricalScore(data, memory=20_000)
    np.testing.assert_allclose(
        law(x, 0.8).detach(), plain(x.detach().numpy(), 0.8), atol=1e-12
    )


def test_a_file_gives_what_the_array_gives(tmp_path):
    data, rng = points(3000, 7, np.float32)
    np.save(tmp_path / "data.npy", data)
    mapped = np.load(tmp_path / "data.npy", mmap_mode="r", allow_pickle=False)
    assert _mapped.is_mapped(mapped)
    assert _mapped.is_mapped(np.asarray(mapped)[10:])
    assert not _mapped.is_mapped(data)
    x = rng.standard_normal((5, 7)).astype(np.float32)
    for sigma in (0.01, 0.5, 20.0):
        wanted = EmpiricalScore(data, memory=20_000).denoise(x, sigma)
        found = EmpiricalScore(mapped, memory=20_000).denoise(x, sigma)
        np.testing.assert_allclose(found, wanted, atol=5e-6)


def test_what_was_read_from_a_file_is_let_go_of(tmp_path):
    """200 MB of points in a file cost far less than that of memory."""
    path = tmp_path / "data.npy"
    array = np.lib.format.open_memmap(path, "w+", np.float32, (400_000, 128))
    rng = np.random.default_rng(0)
    for start in range(0, 400_000, 50_000):
        array[start : start + 50_000] = rng.standard_normal((50_000, 128))
    array.flush()
    del array
    code = f"""
        import resource, numpy as np
        from empirical_score import EmpiricalScore
        data = np.load({str(path)!r}, mmap_mode="r", allow_pickle=False)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        law = EmpiricalScore(data, memory=2**25)
        x = np.array(data[:16]) + 3
        assert np.all(np.isfinite(law.denoise(x, 2.0)))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    grown = int(subprocess.run(command, check=True, capture_output=True).stdout)
    assert grown * 1024 < 120e6


@pytest.mark.parametrize("d", [1, 2, 3, 16, 40])
def test_the_attention_kernel_is_as_exact_as_sums_however_many_points(d):
    data, rng = points(200_000, d, np.float32)
    x = 2 * rng.standard_normal((12, d)).astype(np.float32)
    sigma = np.float32(0.7 * d**0.25)
    law = EmpiricalScore(torch.as_tensor(data))
    engine = law._engine(torch.as_tensor(x))
    rows = torch.as_tensor(x), torch.full((12,), float(sigma))
    assert can_fuse(engine, *rows)
    wanted = EmpiricalScore(data.astype(np.float64)).denoise(
        x.astype(np.float64), sigma
    )
    np.testing.assert_allclose(law.denoise(rows[0], sigma), wanted, atol=2e-5)
    weights = EmpiricalScore(data).weights(x, sigma).astype(np.float64)
    squares = np.stack([((data - mean) ** 2).sum(1) for mean in wanted])
    true = np.sqrt(np.sum(weights * squares, axis=1))
    assert np.all(FusedAverage(engine, *rows).spread().numpy() >= 0.999 * true)


def test_the_attention_kernel_serves_one_level_and_averages_alone():
    data, rng = points(500, 20, seed=2)
    x = torch.as_tensor(rng.standard_normal((6, 20)))
    law = EmpiricalScore(torch.as_tensor(data))
    levels = torch.linspace(0.5, 2.0, 6, dtype=torch.float64)
    engine = law._engine(x)
    same, mixed = torch.full((6,), 0.5, dtype=torch.float64), levels
    assert can_fuse(engine, x, same)
    assert not can_fuse(engine, x, mixed)
    assert not can_fuse(engine, x.clone().requires_grad_(), same)
    assert not can_fuse(Engine(data, 2**20), x.numpy(), same.numpy())
    narrow = Engine(torch.zeros((1000, 2)) + torch.arange(1000.0)[:, None], 2**12)
    assert not can_fuse(narrow, torch.zeros((3, 2)), torch.ones(3))
    kinds = [
        type(Streamed(engine, x, same, sums=sums).parts[0]) for sums in (False, True)
    ]
    assert kinds == [FusedAverage, RunningSums]
    by_row = [law.denoise(x[i : i + 1], levels[i])[0] for i in range(6)]
    np.testing.assert_allclose(torch.stack(by_row), law.denoise(x, levels), atol=1e-12)
    wanted = EmpiricalScore(data).denoise(x.numpy(), 0.5)
    np.testing.assert_allclose(law.denoise(x, 0.5), wanted, atol=1e-12)
