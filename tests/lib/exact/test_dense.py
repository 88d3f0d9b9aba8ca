"""One dense path: against 60 digits, any blocks, files, lists, redone rows, float32."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from oracles import direct_posterior, exact_posterior, traced_peak
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

from empirical_score import EmpiricalScore
from empirical_score._support import mapped as _mapped
from empirical_score.exact import dense
from empirical_score.exact.dense import Wanted, average, joined, merge
from empirical_score.exact.points import Points


def points(n, d, kind=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((n, d)) + 0.3).astype(kind), rng


def truth(data, x, sigma):
    """Averages, log sums against the origin of log weights, and variances."""
    data, x = np.asarray(data, float), np.asarray(x, float)
    logs = -cdist(x, data, "sqeuclidean") / (2 * np.asarray(sigma)[:, None] ** 2)
    total = logsumexp(logs, axis=1)
    weights = np.exp(logs - total[:, None])
    mean = weights @ data
    return mean, total, np.sum(weights * cdist(mean, data, "sqeuclidean"), axis=1)


@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("sigma", [1e-8, 1e-3, 0.3, 3.0, 1e3, 1e8])
def test_blocks_of_points_against_60_digits(kind, sigma):
    data, rng = points(400, 24, kind)
    places = np.stack([data[0], (data[1] + data[2]) / 2, 100 * data[3]])
    x = (places + sigma * rng.standard_normal(places.shape)).astype(kind)
    law = EmpiricalScore(data, memory=5_000)
    columns, _ = dense.tile_sizes(law._points(x), 1, law._points(x).values.dtype)
    assert 400 % columns and columns < 200  # several blocks, the last one smaller
    tolerance = 1e-10 if kind is np.float64 else 1e-5
    for row in x:
        true = exact_posterior(data, row, kind(sigma))
        gap = law.denoise(row[None], sigma)[0] - true.denoise
        assert np.linalg.norm(gap) < tolerance * np.linalg.norm(true.denoise)
        gap = law(row[None], sigma)[0] - true.score
        assert np.linalg.norm(gap) < tolerance * true.largest_pull
        found = law.log_density(row[None], sigma)[0]
        assert found == pytest.approx(true.log_density, rel=tolerance)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_parts_merge_in_any_order(kind):
    data, rng = points(700, 5)
    x, sigma = rng.standard_normal((6, 5)), np.geomspace(0.05, 7.0, 6)
    mean, total, variance = truth(data, x, sigma)
    x, sigma = kind(x), kind(sigma)
    parts = [
        average(Points(kind(data[100 * k : 100 * (k + 1)]), 2**20), x, sigma)
        for k in range(7)
    ]
    xp = Points(kind(data), 2**20).xp
    for order in (range(7), reversed(range(7)), rng.permutation(7)):
        first, *others = (parts[k] for k in order)
        for other in others:
            first = merge(first, other, x, sigma, xp)
        np.testing.assert_allclose(first.mean(), mean, atol=1e-12)
        np.testing.assert_allclose(first.shift(x), mean - np.asarray(x), atol=1e-12)
        log_sum = first.log_kernel_sum(x, sigma, xp)
        np.testing.assert_allclose(log_sum, total, rtol=1e-12)
        np.testing.assert_allclose(first.variance, variance, rtol=1e-5, atol=1e-9)
        assert np.all(np.asarray(first.variance) >= variance * (1 - 1e-12))


def test_bounds_of_parts_merge():
    """Errors and weights left out count as much as their part of the weight."""
    data, x = np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[0.5, 0.0], [0.9, 3.0]])
    sigma = np.full(2, 0.6)
    wanted = Wanted(certified=True)
    one, two = (
        average(Points(data[k : k + 1], 2**20), x, sigma, wanted) for k in (0, 1)
    )
    one = one._replace(rest=np.full(2, 1.0), discarded=np.full(2, 0.1))
    two = two._replace(rest=np.full(2, 3.0), nats=np.full(2, 0.01))
    both = merge(one, two, x, sigma, np)
    share = 1 / (1 + np.exp((2 * x[:, 0] - 1) / (2 * 0.6**2)))  # of the first
    more = np.exp(0.02)
    np.testing.assert_allclose(both.rest, more * (share + 3 * (1 - share)), rtol=1e-9)
    lost = both.discarded - more * (1 - share) * two.discarded
    np.testing.assert_allclose(lost, more * 0.1 * share, rtol=1e-9)
    np.testing.assert_array_equal(both.nats, [0.01, 0.01])
    error = np.expm1(0.02) * np.sqrt(both.variance) + both.rest
    np.testing.assert_allclose(both.error(9.0, np), error, rtol=1e-12)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_listed_and_summed_rows_come_back_in_their_order(kind):
    data, rng = points(3000, 8)
    sigma = rng.permutation(np.geomspace(1e-6, 10, 30))
    x = data[:30] + sigma[:, None] * rng.standard_normal((30, 8))
    mean, total, variance = truth(data, x, sigma)
    prepared = Points(kind(data), 2**24)
    found = average(prepared, kind(x), kind(sigma))
    listed = np.asarray(found.listed)
    assert 5 < listed.sum() < 25
    np.testing.assert_allclose(found.mean(), mean, atol=1e-12)
    log_sum = found.log_kernel_sum(kind(x), kind(sigma), prepared.xp)
    np.testing.assert_allclose(log_sum, total, rtol=1e-10)
    np.testing.assert_allclose(found.variance, variance, rtol=1e-4, atol=1e-9)
    rows, columns = (np.asarray(part) for part in found.pairs)
    assert set(rows) == set(np.flatnonzero(listed)) and np.all(np.diff(rows) >= 0)
    nearest = np.argmin(cdist(x, data), axis=1)
    for row in np.flatnonzero(listed):
        assert nearest[row] in columns[rows == row]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_what_is_left_out_weighs_less_than_is_said(kind):
    """Levels at which a list leaves out as much as it may, and lists have gaps."""
    data, rng = points(4000, 3, kind)
    prepared, close = Points(data, 2**24), []
    for least in (1.0, 3.0, 6.0):
        sigma = np.geomspace(0.01, 0.3, 40)
        x = (data[:40] + sigma[:, None] * rng.standard_normal((40, 3))).astype(kind)
        x = x.astype(float)
        found = average(prepared, x, sigma, Wanted(True, least))
        logs = -cdist(x, data.astype(float), "sqeuclidean") / (2 * sigma[:, None] ** 2)
        weights = np.exp(logs - logsumexp(logs, axis=1, keepdims=True))
        rows, columns = found.pairs
        for row in np.flatnonzero(found.listed):
            left = 1 - weights[row, columns[rows == row]].sum()
            assert left <= found.discarded[row] + 1e-12
            close.append(left / found.discarded[row])
        mean = weights @ data.astype(float)
        error = np.linalg.norm(found.mean() - mean, axis=1)
        assert np.all(error <= found.error(prepared.radius, np) + 1e-13)
    assert max(close) > 1e-4


def test_what_is_left_out_may_weigh_almost_as_much_as_is_said():
    """All points but one on a sphere a little too far away: ``n - 1`` are left out."""
    rng, n, least, sigma = np.random.default_rng(7), 2000, 3.0, 0.5
    shell = rng.standard_normal((n - 1, 30))
    shell[:, 0] = 9 * abs(shell[:, 0])  # on one side of the point in the middle
    shell /= np.linalg.norm(shell, axis=1, keepdims=True)
    near = sigma * np.sqrt(2 * (least + np.log(n)) * (1 + 1e-6))
    data, x = np.vstack([0 * shell[:1], near * shell]), np.zeros((1, 30))
    prepared = Points(data, 2**24)
    found = average(prepared, x, np.array([sigma]), Wanted(True, least))
    assert found.listed[0] and found.pairs[1].tolist() == [0]
    mean, _, _ = truth(data, x, [sigma])
    left = (n - 1) / n * np.exp(-least)
    assert 0.9 * found.discarded[0] < left <= found.discarded[0]
    error = np.linalg.norm(found.mean() - mean)
    assert (
        0.3 * found.error(prepared.radius, np)[0]
        < error
        <= found.error(prepared.radius, np)[0]
    )


def test_rows_in_which_too_many_points_matter_fit_into_the_memory():
    """A thousand twins, all of which share the weight."""
    data = np.repeat(np.array([[0.0, 1.0], [5.0, 2.0]]), 500, axis=0)
    x = np.tile([[1e5, 0.3]], (20, 1)) + np.arange(20)[:, None]
    law = EmpiricalScore(data, memory=20_000)
    np.testing.assert_allclose(law.denoise(x, 1e-3), np.tile([[5.0, 2.0]], (20, 1)))
    assert [
        part.stop - part.start for part in dense.groups(np.full(5, 20), 20_000)
    ] == ([1, 1, 1, 1, 1])
    groups = list(dense.groups(np.array([3, 20, 4, 4, 40]), 160 * 4 * 31))
    assert groups == [slice(0, 4), slice(4, 5)]


def test_float32_redoes_the_rows_that_need_it(monkeypatch):
    """Half way between two points rounding of float32 decides, where it is left to."""
    data, rng = points(900, 30, np.float32, seed=4)
    gaps = cdist(data, data) + 1e9 * np.eye(900)
    x = (data[:200] + data[gaps.argmin(1)[:200]]) / 2
    error = {}
    for goal in (dense.GOAL, {4: 1e9, 8: 1e9}):
        monkeypatch.setattr(dense, "GOAL", goal)
        monkeypatch.setattr(dense, "NATS", {4: 4e-4 if goal[4] < 1 else 1e9, 8: 1e-12})
        monkeypatch.setattr(dense, "CLEAN", {4: 1e9, 8: 1e9})  # no lists
        prepared, levels = Points(data, 2**26), np.full(200, np.float32(0.02), float)
        found = average(prepared, x.astype(float), levels)
        mean, total, _ = truth(data, x, levels)
        log_sum = found.log_kernel_sum(x.astype(float), levels, np)
        spread = prepared.spread
        error[goal[4]] = (
            np.linalg.norm(found.mean() - mean, axis=1).max() / spread,
            np.abs(log_sum - total).max(),
        )
    (kept, nats), (left, off) = error[1e-6], error[1e9]
    assert kept < 2e-6 and nats < 1e-3
    assert left > 10 * kept and off > 10 * nats


def test_torch_sums_as_numpy_does_and_is_differentiable():
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


@pytest.mark.parametrize("sigma", [0.05, 0.5, 3.0])
def test_derivatives_of_the_denoiser_and_of_the_weights(sigma):
    """``dD/dx = Cov / sigma^2`` and ``dw_j/dx = w_j (y_j - D) / sigma^2``."""
    data, rng = points(50, 3)
    law = EmpiricalScore(torch.as_tensor(data))
    x = torch.as_tensor(data[:2] + sigma * rng.standard_normal((2, 3)))
    mean, weights = law.denoise(x, sigma), law.weights(x, sigma)
    jacobian = torch.autograd.functional.jacobian(lambda u: law.denoise(u, sigma), x)
    slopes = torch.autograd.functional.jacobian(lambda u: law.weights(u, sigma), x)
    for row in range(2):
        for k, v in enumerate(torch.eye(3, dtype=torch.float64)):
            wanted = law.covariance_product(x[row : row + 1], sigma, v[None])[0]
            found = jacobian[row, :, row, k] * sigma**2
            np.testing.assert_allclose(found, wanted, atol=1e-11)
        wanted = weights[row][:, None] * (torch.as_tensor(data) - mean[row])
        np.testing.assert_allclose(slopes[row, :, row] * sigma**2, wanted, atol=1e-11)
        assert np.all(np.asarray(jacobian[row, :, 1 - row]) == 0)


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


@pytest.mark.parametrize("rows", [1, 4, 200])
def test_a_file_takes_no_more_memory_than_allowed_for_any_rows(tmp_path, rows):
    path = tmp_path / "data.npy"
    array = np.lib.format.open_memmap(path, "w+", np.float32, (60_000, 96))
    array[:] = np.random.default_rng(1).standard_normal((60_000, 96))
    array.flush()
    x = np.array(array[:rows]) + 1
    del array
    law = EmpiricalScore(np.load(path, mmap_mode="r"), memory=2**22)
    law._points(x)  # what is prepared is kept
    peak, _ = traced_peak(lambda: [law.denoise(x, sigma) for sigma in (0.1, 2.0)])
    assert peak < 2**22 + 40 * x.size + 2**18


@pytest.mark.parametrize("d", [1, 2, 3, 16, 40])
def test_float32_sums_are_exact_however_many_points(d):
    data, rng = points(100_000, d, np.float32)
    x = 2 * rng.standard_normal((12, d)).astype(np.float32)
    sigma = np.float32(0.7 * d**0.25)
    found = EmpiricalScore(data).denoise(x, sigma)
    wanted, _, _ = truth(data, x, np.full(12, sigma, float))
    np.testing.assert_allclose(found, wanted, atol=2e-6 * np.sqrt(d))


def test_points_far_away_or_alone_leave_the_range_of_float32():
    """Squares of distances, and of their inverses, that float32 cannot hold."""
    rng = np.random.default_rng(5)
    for scale in (1e-15, 1e13):
        data = np.float32(scale * rng.standard_normal((30, 3)))
        x = data[:5] + np.float32(0.3 * scale)
        mean, _, _ = truth(data, x, np.full(5, np.float32(0.5 * scale), float))
        found = EmpiricalScore(data).denoise(x, np.float32(0.5 * scale))
        np.testing.assert_allclose(found, mean, rtol=1e-5, atol=1e-6 * scale)
    with pytest.raises(ValueError, match="data must be within 1e\\+18"):
        EmpiricalScore(np.float32([[-3e18], [3e18]])).denoise(np.float32([[1.0]]), 1.0)


def test_averages_of_consecutive_rows_are_joined():
    data, rng = points(60, 2)
    prepared, x = Points(data, 2**20), rng.standard_normal((7, 2))
    sigma = np.full(7, 0.05)
    whole = average(prepared, x, sigma)
    parts = [average(prepared, x[k : k + 2], sigma[k : k + 2]) for k in (0, 2, 4, 6)]
    again = joined(parts, np)
    for one, two in zip(whole[:-2], again[:-2], strict=True):
        np.testing.assert_allclose(one, two, atol=1e-13)
    for one, two in zip(whole.pairs, again.pairs, strict=True):
        np.testing.assert_array_equal(one, two)
    assert again.work == whole.work


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("d", [1, 3, 40, 500])
def test_products_are_rounded_by_no_more_than_is_proved(d, kind):
    """Against extended precision, far from and near to the mean, at many levels."""
    data, rng = points(300, d, kind)
    prepared, m = Points(data, 2**24), 40
    x = (data[:m] + 10.0 ** rng.uniform(-3, 3, (m, 1))).astype(kind).astype(float)
    sigma = 10.0 ** rng.uniform(-3, 2, m)
    left, scale, length = prepared.queries(x, sigma, data.dtype)
    (_, keys), *more = prepared.key_blocks(300, data.dtype)
    assert not more and keys.shape == (300, prepared.width(data.dtype))
    gaps, ask = (v.astype(np.longdouble) - prepared.center for v in (data, x))
    wanted = (ask @ gaps.T - (gaps**2).sum(1) / 2) * scale[:, None]
    off = np.abs(left @ keys.T - wanted).max(1)
    proved = prepared.proved_rounding(length, scale, data.dtype)
    assert np.all(off <= proved) and np.max(off / proved) > 1e-3
    typical = prepared.typical_rounding(length, scale, data.dtype)
    assert np.all(off <= 4 * typical) and np.max(off / typical) > 0.05
    np.testing.assert_allclose(length, np.linalg.norm(ask.astype(float), axis=1))
    assert np.all(scale <= (1 + 1e-12) / sigma**2)
    less = scale < (1 - 1e-12) / sigma**2  # where all but few points are far behind
    assert np.all(typical[less] > 1e5) and not np.all(less)


def test_rounding_seen_is_that_of_all_points(monkeypatch):
    """Where the points looked at happen to be exact it is that of the largest."""
    data, rng = points(5000, 30, np.float32, seed=2)
    prepared, seen, whole = Points(data, 2**26), [], dense._rounding_seen

    def watched(tile):
        seen.append((whole(tile), np.array(tile.logits, float), tile.scale))
        return seen[-1][0]

    monkeypatch.setattr(dense, "_rounding_seen", watched)
    x = (3 * rng.standard_normal((9, 30))).astype(np.float32).astype(float)
    sigma = np.geomspace(2.0, 200.0, 9)
    average(prepared, x, sigma, Wanted(certified=True))
    ((told, logits, scale),) = seen
    gaps, ask = data.astype(float) - prepared.center, x - prepared.center
    off = logits - (ask @ gaps.T - (gaps**2).sum(1) / 2) * scale[:, None]
    off = np.abs(off - off.mean(1, keepdims=True)).max(1)
    assert np.all(off <= dense.MARGIN * told) and np.all(told <= 4 * off)
    # A grid on which products are exact.
    data = np.float32(np.indices((20, 20)).reshape(2, -1).T)
    data = np.concatenate([data, -data])
    prepared, x = Points(data, 2**26), np.array([[512.0, 256.0]])
    average(prepared, x, np.array([32.0]), Wanted(certified=True))
    told, logits, _ = seen[-1]
    assert told[0] >= 2.0**-23 * logits.max()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_lists_looked_at_in_pieces_are_whole(monkeypatch, kind):
    """Three pairs at a time: of a row's list, which shares the weight, some."""
    rng, sigma, d = np.random.default_rng(3), 0.01, 5
    data = np.repeat(rng.standard_normal((300, d)), 4, axis=0).astype(kind)
    data[::2] += kind(0.01) * rng.standard_normal((600, d)).astype(kind)
    x = (data[:40:4] + kind(0.005)).astype(kind)
    v, level = rng.standard_normal(x.shape), kind(sigma)
    law = EmpiricalScore(data)
    monkeypatch.setattr(dense, "CACHED", 3 * d)
    true = direct_posterior(data, x, level, v.astype(kind))
    assert np.median(true.effective_points) > 2
    found = law.covariance_product(x, level, v.astype(kind))
    np.testing.assert_allclose(found, true.covariance_product, rtol=1e-3, atol=1e-8)
    last = 4 * np.finfo(kind).eps
    np.testing.assert_allclose(law.denoise(x, level), true.denoise, last, last)
    np.testing.assert_allclose(law.weights(x, level), true.weights, atol=2e-6)
    found = average(law._points(x), x.astype(float), np.full(len(x), float(level)))
    assert np.all(found.listed)
    spread = np.sum(true.weights * cdist(true.denoise, data, "sqeuclidean"), axis=1)
    np.testing.assert_allclose(found.variance, spread.astype(float), rtol=1e-4)
