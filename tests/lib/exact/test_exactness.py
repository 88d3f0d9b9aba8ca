"""The exact score by every way that its size and kind can take, against oracles.

Small problems and large ones, in much memory and in little, NumPy and torch, one noise
level or many in a call, arrays and files: the answers are those of sums over all points
by direct differences, in extended precision.
"""

import functools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from oracles import deviations, direct_posterior, exact_posterior, traced_peak
from scipy import stats

import empirical_score as es

# Errors of denoisers and shifts in spreads of the data, of log weights in nats.
LIMITS = {"float32": (2e-6, 1e-3), "float64": (1e-11, 1e-9)}
OFFSETS = {"float32": (0.0, 32.0), "float64": (0.0, 1024.0)}
SIZES = {"small": (37, 7), "large": (4003, 263)}  # points, rows: 2**20 pairs and more
LEVELS = 30.0, 0.7, 0.03, 1e-4


def points(n, d, kind, offset, rng):
    """Normal points, one of them twice."""
    data = rng.standard_normal((n, d)) + offset
    data[n // 2] = data[0]
    return data.astype(kind)


def rows_at(data, m, sigma, rng):
    """On points, half way between points, noised points, and far away, in turn."""
    n, d = data.shape
    noise, mean = rng.standard_normal((m, d)), data.mean(0)
    x = data[rng.integers(n, size=m)].astype(float)
    other = data[rng.integers(n, size=m)].astype(float)
    x[1::4] = (x[1::4] + other[1::4]) / 2
    x[2::4] += (np.broadcast_to(sigma, m)[:, None] * noise)[2::4]
    x[3::4] = mean + 20 * noise[3::4]
    return x.astype(data.dtype)


@functools.cache
def problem(kind, size, d, offset):
    """Data, and rows at one noise level after the other and at many: (x, sigma)."""
    (n, m), rng = SIZES[size], np.random.default_rng(d)
    data = points(n, d, kind, offset, rng)
    many = 10 ** rng.uniform(-4, 1.5, m)
    levels = (*LEVELS, many) if size == "small" else (*LEVELS[:3], many)
    asked = [(rows_at(data, m, s, rng), np.asarray(s, kind)) for s in levels]
    some = slice(0, None, max(1, m // 12))  # a dozen rows are compared
    v = rng.standard_normal((m, d)).astype(kind)
    cases = [SimpleNamespace(x=x, sigma=sigma, some=some, v=v) for x, sigma in asked]
    for case in cases:
        case.level = np.broadcast_to(case.sigma, m)[some].astype(float)
        case.true = direct_posterior(data, case.x[some], case.level, v[some])
    return data, cases


def mapped(data, folder):
    np.save(folder / "data.npy", data)
    return np.load(folder / "data.npy", mmap_mode="r", allow_pickle=False)


WAYS = {
    "numpy": (lambda data, folder: data, None),
    "numpy in little memory": (lambda data, folder: data, 170),
    "torch": (lambda data, folder: torch.as_tensor(data), None),
    "torch in little memory": (lambda data, folder: torch.as_tensor(data), 170),
    "file": (mapped, 90),
}


def offsets(kind, way):
    """Means of the data; points in a file are summed as they are, so not too far."""
    return (0.0, 4.0) if way == "file" else OFFSETS[kind]


def law_by(way, data, folder):
    make, memory = WAYS[way]
    memory = None if memory is None else memory * len(data) + 11
    return es.EmpiricalScore(make(data, folder), memory=memory)


def ask(law, way, name, case, *more):
    """Ask for all rows in the way's kind of arrays; some of the answer, in float64."""
    arrays = (case.x, case.sigma, *more)
    if way.startswith("torch"):
        arrays = tuple(torch.as_tensor(a) for a in arrays)
    found = getattr(law, name)(*arrays)
    assert found.shape[0] == case.x.shape[0]
    assert str(found.dtype).endswith(str(case.x.dtype))
    return np.asarray(found)[case.some].astype(float)


def beyond_rounding(found, wanted, kind):
    """Root mean square a row of what is more than the rounding of a result."""
    last = np.finfo(kind).eps * np.abs(wanted)
    return np.mean(np.clip(np.abs(found - wanted) - last, 0, None) ** 2, axis=1) ** 0.5


def allowed(data, case):
    """A share of the spread; and what a product's rounding does to log weights."""
    gaps, kind = data - data.mean(0, dtype=float), str(data.dtype)
    radius = np.max(np.sum(gaps**2, axis=1)) ** 0.5
    length = np.sum((case.x[case.some] - data.mean(0, dtype=float)) ** 2, axis=1) ** 0.5
    nats = 2 * np.finfo(kind).eps * (length + radius) * radius / case.level**2
    nats = np.minimum(nats, LIMITS[kind][1] / 10)
    return LIMITS[kind][0] * np.std(gaps) + nats * case.true.deviation


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("d", [2, 18])
def test_denoiser_score_and_log_density(way, kind, size, d, tmp_path):
    ulp, nats = np.finfo(kind).eps, LIMITS[kind][1]
    for offset in offsets(kind, way):
        data, cases = problem(kind, size, d, offset)
        law = law_by(way, data, tmp_path)
        for case in cases:
            true, limit = case.true, allowed(data, case)
            where = f"offset {offset}, sigma {case.level[:2]}"
            found = ask(law, way, "denoise", case)
            assert np.all(beyond_rounding(found, true.denoise, kind) <= limit), where
            shift = ask(law, way, "score", case) * case.level[:, None] ** 2
            last = 4 * ulp * np.abs(true.shift).max(axis=1)
            off = beyond_rounding(shift, true.shift, kind)
            assert np.all(off <= limit + last), where
            found = ask(law, way, "log_density", case)
            off = np.abs(found - true.log_density)
            assert np.all(off <= nats + 16 * ulp * np.abs(true.log_density)), where


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.parametrize("size", SIZES)
def test_weights_and_what_is_made_of_them(way, kind, size, tmp_path):
    share, nats = LIMITS[kind]
    for offset in offsets(kind, way):
        data, cases = problem(kind, size, 2, offset)
        law = law_by(way, data, tmp_path)
        spread = float(np.std(data - data.mean(0)))
        for case in cases[1::2] if size == "large" else cases:
            true, where = case.true, f"offset {offset}, sigma {case.level[0]}"
            found = ask(law, way, "log_weights", case)
            matter = true.log_weights > -20
            assert np.abs(found - true.log_weights)[matter].max() <= nats, where
            found = ask(law, way, "weights", case)
            assert np.abs(found - true.weights).max() <= 2 * nats, where
            assert np.abs(found.sum(1) - 1).max() <= 50 * np.finfo(kind).eps, where
            found = ask(law, way, "effective_points", case)
            off = np.abs(np.log(found / true.effective_points))
            assert off.max() <= 8 * nats, where
            found = ask(law, way, "covariance_product", case, case.v)
            off = np.abs(found - true.covariance_product).max()
            assert off <= 8 * nats * spread * np.abs(case.v).max(), where


def slopes(found, x):
    """Return the gradient of a number by ``x``."""
    return torch.autograd.grad(found, x, retain_graph=True)[0]


def directly(data, x, sigma):
    """Denoiser and log density by plain operations that torch differentiates."""
    squares = ((x[:, None, :] - data) ** 2).sum(2)
    logs = -squares / (2 * sigma[:, None] ** 2)
    normalizer = x.shape[1] * torch.log(2 * torch.pi * sigma**2) / 2
    log_density = torch.logsumexp(logs, 1) - np.log(len(data)) - normalizer
    return torch.softmax(logs, 1) @ data, log_density


@pytest.mark.parametrize("memory", [None, 100_003])
@pytest.mark.parametrize("size", SIZES)
def test_gradients_by_x_are_those_of_a_direct_formula(size, memory):
    """Of random combinations of denoiser, score and log density: rows do not mix."""
    (n, m), rng = SIZES[size], np.random.default_rng(3)
    data = torch.as_tensor(points(n, 3, "float64", 0.0, rng))
    law = es.EmpiricalScore(data, memory=memory and memory * n // 1000)
    v, w = torch.as_tensor(rng.standard_normal((m, 3))), torch.linspace(-1, 1, m)
    levels = (30.0, 0.7, 0.05) if size == "small" else (0.7,)
    for level in (*levels, np.geomspace(0.04, 20, m)):
        sigma = torch.broadcast_to(torch.as_tensor(level, dtype=torch.float64), (m,))
        x = data[:m].repeat(1 + m // n, 1)[:m] + sigma[:, None] * v
        x.requires_grad_()
        mean, log_density = directly(data, x, sigma)
        shift = (mean - x) / sigma[:, None] ** 2
        wanted = {
            "denoise": slopes((v * mean).sum(), x),
            "score": slopes((v * (mean - x)).sum(), x),
            "log_density": slopes((w * log_density).sum(), x),
        }
        found = {
            "denoise": slopes((v * law.denoise(x, sigma)).sum(), x),
            "score": slopes((v * law(x, sigma) * sigma[:, None] ** 2).sum(), x),
            "log_density": slopes((w * law.log_density(x, sigma)).sum(), x),
        }
        for name, value in wanted.items():
            scale = value.abs().max(1, keepdim=True)[0] + 1e-3
            off = ((found[name] - value).abs() / scale).max()
            assert off < 1e-9, (name, float(sigma[0]))
        torch.testing.assert_close(law(x, sigma).detach(), shift.detach())


@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize("memory", [None, 40_000])
def test_posterior_draws_follow_the_weights_of_their_own_row(kind, memory):
    """Three kinds of rows in turn, at three levels: counts at the level 0.001."""
    rng = np.random.default_rng(8)
    data = rng.standard_normal((11, 2)).astype(np.float32)
    places = np.float32([[0.3, -0.2], [1.0, 0.5], [-2.0, 0.0]])
    levels = np.float32([0.8, 0.3, 5.0])
    x, sigma = np.tile(places, (3000, 1)), np.tile(levels, 3000)
    law = es.EmpiricalScore(data, memory=memory)
    if kind == "torch":
        x, sigma = torch.as_tensor(x), torch.as_tensor(sigma)
    drawn = np.asarray(law.sample_posterior(x, sigma, 0.0, rng))
    for row in range(3):
        hits = np.all(drawn[row::3, None] == data, axis=2)
        assert np.all(hits.sum(1) == 1)
        true = direct_posterior(data, places[row : row + 1], levels[row])
        expected = 3000 * true.weights[0]
        rare = expected < 5
        counts = [*hits.sum(0)[~rare], hits.sum(0)[rare].sum()]
        wanted = [*expected[~rare], expected[rare].sum()]
        if wanted[-1] == 0:
            counts, wanted = counts[:-1], wanted[:-1]
        assert stats.chisquare(counts, wanted).pvalue > 1e-3


@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.parametrize("tolerance", [None, 1e-3])
@pytest.mark.parametrize("d", [2, 24])
def test_extreme_noise_levels_are_answered_or_refused_by_name(kind, tolerance, d):
    """No NaN and no infinity, however little or much noise."""
    rng = np.random.default_rng(d)
    data = rng.standard_normal((300, d)).astype(kind)
    x = np.concatenate([data[:2], data[:2] + data[2:4], 50 * data[4:6]])
    law, answered = es.EmpiricalScore(data, tolerance=tolerance), []
    for power in (-160, -155, -150, -140, -80, -20, -19, -18, -10, 10, 17, 18, 20, 155):
        sigma = 10.0**power
        for name in ("denoise", "score", "log_density", "weights", "effective_points"):
            try:
                found = getattr(law, name)(x, sigma)
            except ValueError as error:
                assert "sigma" in str(error)
                assert kind == "float32" or abs(power) > 140
                continue
            assert np.all(np.isfinite(found)), (name, power)
            answered.append(power)
    least = {"float32": -10, "float64": -140}[kind]
    assert {least, 10} <= set(answered)
    assert set(answered) < set(range(-161, 156))
    found = law.denoise(x[:2], 10.0**least)
    np.testing.assert_allclose(found, x[:2], rtol=1e-6)


@pytest.mark.parametrize("array", [np.asarray, torch.as_tensor])
def test_points_themselves_at_little_noise_with_a_tolerance(array):
    rng = np.random.default_rng(4)
    data = rng.standard_normal((20_001, 2))
    law = es.EmpiricalScore(array(data), tolerance=1e-3)
    for sigma in (1e-4, 1e-9):
        x = data[::400] + 0
        found, certificate = law.certified(array(x), sigma)
        assert np.all(np.isfinite(np.asarray(certificate.error)))
        true = direct_posterior(data, x, sigma)
        assert np.abs(np.asarray(found) - true.denoise).max() <= 1e-3
        score = np.asarray(law(array(x), sigma)) * sigma**2
        assert np.abs(score - true.shift).max() <= 1e-3


@pytest.mark.parametrize("tolerance", [None, 1e-3])
def test_rows_crowded_with_points_stay_within_a_few_times_the_memory(tolerance):
    """Half of 6,000 points share the weight of each of 250 rows, seen from far away."""
    data = np.repeat(np.array([[0.0, 1.0], [5.0, 2.0]]), 3000, axis=0)
    x = np.tile([[1e5, 0.3]], (250, 1)) + np.arange(250)[:, None]
    law = es.EmpiricalScore(data, memory=2**21, tolerance=tolerance)
    law.denoise(x[:1], 1e-3)  # what is made once
    peak, found = traced_peak(lambda: law.denoise(x, 1e-3))
    np.testing.assert_allclose(found, np.tile([[5.0, 2.0]], (250, 1)), rtol=1e-12)
    assert peak < 4 * 2**21 + 4 * data.nbytes


@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.parametrize("d", [2, 60])
def test_numpy_and_torch_differ_by_no_more_than_their_certificates(kind, d):
    """And by rounding alone where nothing is left out."""
    rng = np.random.default_rng(d)
    data = (rng.standard_normal((1500, d)) / np.arange(1, d + 1)).astype(kind)
    exact = [es.EmpiricalScore(array(data)) for array in (np.asarray, torch.as_tensor)]
    loose = [es.EmpiricalScore(law.data, tolerance=1e-3) for law in exact]
    for sigma in (10.0, 1.0, 0.05):
        x = (data[:9] + sigma * rng.standard_normal((9, d))).astype(kind)
        (a, told), (b, other) = (
            law.certified(array(x), sigma)
            for law, array in zip(loose, (np.asarray, torch.as_tensor), strict=True)
        )
        assert b.dtype == getattr(torch, kind)
        off = np.mean((a - b.numpy()).astype(float) ** 2, axis=1) ** 0.5
        assert np.all(off <= told.error + other.error.numpy())
        assert np.all(told.error <= 1e-3) and bool(torch.all(other.error <= 1e-3))
        a, b = exact[0].denoise(x, sigma), exact[1].denoise(torch.as_tensor(x), sigma)
        limit = 1e-6 if kind == "float32" else 1e-12
        assert np.abs(a - b.numpy()).max() <= limit * np.std(data[:, 0])


@pytest.mark.parametrize("array", [np.asarray, torch.as_tensor])
@pytest.mark.parametrize("d", [2, 12])
def test_near_ties_at_hardly_any_noise_share_the_weight_as_they_must(array, d):
    """Leads of up to some nats, of points as far from ``x`` as rounding hides them."""
    rng = np.random.default_rng(6)
    for sigma in (2e-7, 3e-8):
        data, rows = rng.standard_normal((6, d)), []
        for k in range(12):
            one, gap = data[k % 6], data[(k + 1) % 6] - data[k % 6]
            step = rng.uniform(-4, 4) * sigma**2 / (gap @ gap)
            rows.append(one + (0.5 + step) * gap)
        x = np.array(rows)
        data = np.concatenate([data, np.roll(data, 1, 0) + 9])
        found = np.asarray(es.EmpiricalScore(array(data)).weights(array(x), sigma))
        wanted = [exact_posterior(data, row, sigma).weights for row in x]
        np.testing.assert_allclose(found, wanted, atol=1e-9)


@pytest.mark.parametrize("array", [np.asarray, torch.as_tensor])
@pytest.mark.parametrize(
    ("kind", "gap", "sigma", "tolerance"),
    [(np.float32, 1e-9, 1e-4, 1e-6), (np.float64, 1e-17, 1e-8, 1e-12)],
)
def test_best_points_closer_than_rounding_in_several_rows(
    array, kind, gap, sigma, tolerance
):
    """From either side far away: two twins win above a rival, three below."""
    twins = [[1.0, gap]] * 2 + [[1.0, -gap]] * 3
    data = np.array([[1.0, 0.0], *twins, [-1.0, 0.0]], kind)
    x = np.array([[1e10, 1e10], [1e10, -1e10], [3e10, 2e10]], kind)
    wanted = [[0, 0.5, 0.5, 0, 0, 0, 0], [0, 0, 0, 1 / 3, 1 / 3, 1 / 3, 0]]
    wanted.append(wanted[0])
    law = es.EmpiricalScore(array(data))
    found = np.asarray(law.weights(array(x), sigma))
    np.testing.assert_allclose(found, wanted, atol=tolerance)
    found = np.asarray(law.effective_points(array(x), sigma))
    np.testing.assert_allclose(found, [2, 3, 2], rtol=10 * tolerance)


def test_a_path_takes_no_more_than_is_said():
    """Four times the memory, that of a block, and what is made of the data once."""
    rng, memory = np.random.default_rng(2), 2**22
    data = rng.standard_normal((2003, 64)) / np.arange(1, 65)
    law, m = es.EmpiricalScore(data, memory=memory, tolerance=1e-3), 60
    x, levels = 20 * rng.standard_normal((m, 64)), np.geomspace(20, 0.1, 12)
    assert law.starting_from(x) is not law
    peak, _ = traced_peak(lambda: es.sample_ode(law, x, levels))
    assert peak < 5 * memory + 4 * data.nbytes


def test_oracles_agree():
    """Extended precision against 60 digits, and deviations from either."""
    rng = np.random.default_rng(5)
    data, v = rng.standard_normal((9, 3)) + 5, rng.standard_normal((4, 3))
    x = np.concatenate([data[:2] + 0.1, (data[2:3] + data[3:4]) / 2, 90 * data[:1]])
    for sigma in (1e-3, 0.4, 30.0):
        found = direct_posterior(data, x, sigma, v)
        for row in range(4):
            true = exact_posterior(data, x[row], sigma)
            for name in ("denoise", "shift", "weights", "effective_points"):
                value = getattr(found, name)[row]
                np.testing.assert_allclose(value, getattr(true, name), 1e-14, 1e-17)
            value = found.log_density[row]
            np.testing.assert_allclose(value, true.log_density, 1e-14)
            value = found.covariance_product[row]
            wanted = true.covariance_product(v[row])
            np.testing.assert_allclose(value, wanted, 1e-12, 1e-14 * sigma**2)
        size = 10.0 ** rng.uniform(-12, 0, (4, 1))
        off = deviations(found.denoise + size, data, x, sigma)
        np.testing.assert_allclose(off, size[:, 0], rtol=1e-3)


@pytest.mark.parametrize("array", [np.asarray, torch.as_tensor])
@pytest.mark.parametrize("memory", [None, 5_000])
def test_rows_at_little_noise_among_many_points(array, memory):
    """A hundred points within the noise share the weight, far from all others."""
    rng, sigma, m = np.random.default_rng(9), 1e-4, 5
    places = np.repeat(rng.standard_normal((3, 4)), 100, axis=0)
    data = places + 0.5 * sigma * rng.standard_normal((300, 4))
    x = data[::60] + sigma * rng.standard_normal((m, 4))
    v = rng.standard_normal((m, 4))
    true = direct_posterior(data, x, sigma, v)
    law = es.EmpiricalScore(array(data), memory=memory)
    found = np.asarray(law.covariance_product(array(x), sigma, array(v)))
    off = np.abs(found - true.covariance_product).max()
    assert off < 1e-10 * np.abs(true.covariance_product).max()
    off = np.abs(np.asarray(law.denoise(array(x), sigma)) - true.denoise).max()
    assert off < 1e-15 + 1e-9 * sigma
    off = np.abs(np.asarray(law(array(x), sigma)) * sigma**2 - true.shift).max()
    assert off < 1e-9 * sigma
    np.testing.assert_allclose(law.weights(array(x), sigma), true.weights, atol=1e-10)
    found = law.effective_points(array(x), sigma)
    np.testing.assert_allclose(found, true.effective_points, 1e-9)
