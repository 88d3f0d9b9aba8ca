"""The tempered score: against 60 digits, direct sums, autograd and limits."""

import copy

import numpy as np
import pytest
import torch
from oracles import exact_posterior
from scipy.special import softmax
from scipy.stats import entropy

import empirical_score as es
from empirical_score import EmpiricalScore, PowerTemperature, TemperedScore

RNG = np.random.default_rng
SIGMAS = 10.0 ** np.arange(-8, 9)
METHODS = ["score", "denoise", "weights", "log_weights", "effective_points"]


def direct(data, x, sigma, temperature, keep=None):
    """Weights and denoiser at one x by direct differences, sorted neighbors."""
    squares = np.sum((data - x) ** 2, axis=1)
    kept = np.argsort(squares, kind="stable")[:keep]
    weights = np.zeros(len(data))
    weights[kept] = softmax(
        -(squares[kept] - squares.min()) / (2 * temperature) / sigma**2
    )
    return weights, weights @ data


def cloud(n=30, d=3, m=12, seed=0):
    rng = RNG(seed)
    return rng.standard_normal((n, d)), rng.standard_normal((m, d))


# --- the equation --------------------------------------------------------------------


@pytest.mark.parametrize("keep", [None, 1, 7, 30])
@pytest.mark.parametrize("temperature", [0.3, 1.0, 40.0])
def test_weights_and_denoiser_against_direct_sums(temperature, keep):
    data, x = cloud()
    sigma = np.geomspace(0.2, 3.0, len(x))
    law = TemperedScore(data, temperature, neighbors=keep)
    wanted = [
        direct(data, at, level, temperature, keep)
        for at, level in zip(x, sigma, strict=True)
    ]
    weights = np.array([w for w, _ in wanted])
    mean = np.array([d for _, d in wanted])
    np.testing.assert_allclose(law.weights(x, sigma), weights, atol=1e-13)
    np.testing.assert_allclose(np.exp(law.log_weights(x, sigma)), weights, atol=1e-13)
    np.testing.assert_allclose(law.denoise(x, sigma), mean, atol=1e-13)
    score = (mean - x) / sigma[:, None] ** 2
    np.testing.assert_allclose(law.score(x, sigma), score, rtol=1e-11, atol=1e-11)
    np.testing.assert_array_equal(law(x, sigma), law.score(x, sigma))
    count = np.exp(entropy(weights, axis=1))
    np.testing.assert_allclose(law.effective_points(x, sigma), count, rtol=1e-12)


@pytest.mark.parametrize("g", [0.0, 1.0, 2.0, 3.0])
def test_the_whole_range_of_levels_against_60_digits(g):
    """The denoiser is the exact one at ``sqrt(T) sigma``; nothing overflows."""
    data, _ = cloud(12, 4)
    law = TemperedScore(data, PowerTemperature(0.5, g))
    for sigma in SIGMAS:
        x = data[:1] + min(sigma, 1.0) * RNG(1).standard_normal((1, 4))
        level = float(law.effective_level(sigma))
        true = exact_posterior(data, x[0], level)
        score = true.shift / sigma**2
        where = f"sigma={sigma:g}"
        gap = np.linalg.norm(law.denoise(x, sigma)[0] - true.denoise)
        assert gap < 1e-10 * np.linalg.norm(true.denoise), where
        gap = np.linalg.norm(law(x, sigma)[0] - score)
        assert gap < 1e-9 * np.linalg.norm(score), where


def test_the_score_is_temperature_times_the_gradient_of_the_kernel_density():
    """Autograd through a log-sum-exp that shares no code."""
    data, x = (torch.tensor(a) for a in cloud())
    sigma, temperature = 0.4, 6.0
    x.requires_grad_(True)
    squares = ((x[:, None, :] - data[None]) ** 2).sum(dim=2)
    total = torch.logsumexp(-squares / (2 * temperature * sigma**2), dim=1).sum()
    (slope,) = torch.autograd.grad(total, x)
    found = TemperedScore(data, temperature)(x.detach(), sigma)
    torch.testing.assert_close(found, temperature * slope, rtol=1e-10, atol=1e-10)


def test_temperature_one_is_the_empirical_score():
    data, x = cloud()
    for sigma in (1e-8, 0.3, 1e8):
        one, law = TemperedScore(data, 1.0), EmpiricalScore(data)
        for method in METHODS:
            found, wanted = (
                getattr(one, method)(x, sigma),
                getattr(law, method)(x, sigma),
            )
            np.testing.assert_array_equal(found, wanted)


def test_temperatures_one_for_each_row():
    """A callable sees the levels of the rows, and gives each row its own T."""
    data, x = cloud()
    sigma = np.geomspace(0.1, 2.0, len(x))
    law = TemperedScore(data, lambda s: 1 + 1 / s)
    for i, level in enumerate(sigma):
        alone = TemperedScore(data, 1 + 1 / level).denoise(x[i : i + 1], level)
        np.testing.assert_allclose(law.denoise(x, sigma)[i], alone[0], rtol=1e-12)


# --- neighbors -----------------------------------------------------------------------


def test_infinite_temperature_gives_the_barycenter_of_the_neighbors():
    data, x = cloud()
    squares = np.sum((x[:, None, :] - data[None]) ** 2, axis=2)
    for keep in (1, 4, 30):
        nearest = np.argsort(squares, axis=1)[:, :keep]
        center = data[nearest].mean(axis=1)
        for sigma in (1.0, 1e8):
            law = TemperedScore(data, 1e20, neighbors=keep)
            np.testing.assert_allclose(law.denoise(x, sigma), center, atol=1e-12)
            points = law.effective_points(x, sigma)
            np.testing.assert_allclose(points, keep, rtol=1e-12)


def test_one_neighbor_is_the_nearest_point_at_every_level_and_temperature():
    data, x = cloud()
    nearest = data[np.argmin(np.sum((x[:, None] - data) ** 2, axis=2), axis=1)]
    for sigma in SIGMAS:
        law = TemperedScore(data, 5.0, neighbors=1)
        np.testing.assert_array_equal(law.denoise(x, sigma), nearest)
        np.testing.assert_allclose(law(x, sigma), (nearest - x) / sigma**2, rtol=1e-13)


def test_all_points_as_neighbors_change_nothing():
    data, x = cloud()
    for sigma in (1e-8, 1e-3, 0.5, 1e3, 1e8):
        every = TemperedScore(data, 4.0, neighbors=len(data))
        plain = TemperedScore(data, 4.0)
        for method in ("score", "denoise", "weights", "effective_points"):
            found, wanted = (
                getattr(every, method)(x, sigma),
                getattr(plain, method)(x, sigma),
            )
            np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


def test_log_weights_outside_the_neighbors_are_minus_infinity():
    data, x = cloud()
    law = TemperedScore(data, 4.0, neighbors=5)
    finite = np.isfinite(law.log_weights(x, 0.3))
    assert np.all(finite.sum(axis=1) == 5)
    np.testing.assert_allclose(law.weights(x, 0.3).sum(axis=1), 1.0, rtol=1e-14)
    assert np.all(law.weights(x, 0.3)[~finite] == 0)


# --- kinds, memory, levels -----------------------------------------------------------


@pytest.mark.parametrize("keep", [None, 6])
def test_torch_and_float32_follow_their_input(keep):
    data, x = cloud()
    law = TemperedScore(data, PowerTemperature(1.0, 1.0), neighbors=keep)
    wanted = {method: getattr(law, method)(x, 0.3) for method in METHODS}
    law = TemperedScore(torch.tensor(data), PowerTemperature(1.0, 1.0), neighbors=keep)
    for method in METHODS:
        found = getattr(law, method)(torch.tensor(x), 0.3)
        assert isinstance(found, torch.Tensor) and found.dtype == torch.float64
        np.testing.assert_allclose(
            found.numpy(), wanted[method], rtol=1e-10, atol=1e-12
        )
    single = data.astype(np.float32)
    law = TemperedScore(single, PowerTemperature(1.0, 1.0), neighbors=keep)
    for method in METHODS:
        found = getattr(law, method)(x, 0.3)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, wanted[method], rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize("keep", [None, 6])
@pytest.mark.parametrize("rows", [1, 10])  # 57 rows: the last block is short
def test_memory_does_not_change_the_result(keep, rows):
    data, x = cloud(200, 3, 57)
    memory = 8 * rows * 3 * (200 + 6 * 3)
    small = TemperedScore(data, 9.0, neighbors=keep, memory=memory)
    large = TemperedScore(data, 9.0, neighbors=keep)
    for method in METHODS:
        found, wanted = (getattr(s, method)(x, 0.2) for s in (small, large))
        np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-13)


def test_copies_work():
    data, x = cloud()
    law = TemperedScore(data, 3.0, neighbors=4)
    law.score(x, 1.0)
    np.testing.assert_array_equal(copy.deepcopy(law)(x, 1.0), law(x, 1.0))


def test_power_temperature_and_effective_level():
    sigma = np.array([0.01, 0.5, 2.0])
    temperature = PowerTemperature(1.0, 1.0)
    np.testing.assert_allclose(temperature(sigma), [100.0, 2.0, 1.0])
    assert float(temperature(0.25)) == 4.0
    tensor = temperature(torch.tensor(sigma))
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_allclose(tensor.numpy(), temperature(sigma))
    for g, wanted in [(0, sigma), (1, [0.1, 0.5**0.5, 2]), (2, [1, 1, 2])]:
        law = TemperedScore([[0.0]], PowerTemperature(1.0, g))
        np.testing.assert_allclose(law.effective_level(sigma), wanted)
    assert law.effective_level(0.01) == pytest.approx(1.0)
    assert isinstance(law.effective_level(0.01), float)
    assert TemperedScore([[0.0]], 9.0).effective_level(2) == 6.0
    assert "sigma_c=1, exponent=2" in repr(PowerTemperature(1, 2))


def test_a_tempered_score_drives_the_samplers():
    """One training point: every temperature gives the same straight flow into it."""
    levels = es.geometric_levels(200, 2.0, 1e-3)
    x = RNG(0).standard_normal((5, 2))
    law = TemperedScore([[0.5, 0.5]], PowerTemperature(1.0, 2.0))
    wanted = 0.5 + (x - 0.5) * 1e-3 / 2
    np.testing.assert_allclose(es.sample_ode(law, x, levels), wanted, atol=1e-12)


# --- bad input -----------------------------------------------------------------------

DATA, X = cloud(4, 2, 3)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: TemperedScore([], 1.0), ValueError, "^data must have shape"),
        (
            lambda: TemperedScore(DATA, 0.0),
            ValueError,
            "^temperature must be .*got 0.0",
        ),
        (lambda: TemperedScore(DATA, -1), ValueError, "^temperature must be .*got -1"),
        (lambda: TemperedScore(DATA, np.nan), ValueError, "^temperature must be .*nan"),
        (
            lambda: TemperedScore(DATA, [1.0, 2.0]),
            ValueError,
            "^temperature .*one number",
        ),
        (lambda: TemperedScore(DATA, "hot"), TypeError, "^temperature must hold real"),
        (lambda: TemperedScore(DATA, None), TypeError, "^temperature must hold real"),
        (lambda: TemperedScore(DATA, 1, neighbors=0), ValueError, "^neighbors .*got 0"),
        (
            lambda: TemperedScore(DATA, 1, neighbors=5),
            ValueError,
            "^neighbors .*, 4, got 5",
        ),
        (lambda: TemperedScore(DATA, 1, neighbors=2.5), ValueError, "^neighbors .*2.5"),
        (lambda: TemperedScore(DATA, 1, memory=0), ValueError, "^memory must be"),
        (lambda: PowerTemperature(0.0, 1), ValueError, "^sigma_c must be"),
        (lambda: PowerTemperature("1", 1), TypeError, "^sigma_c must hold"),
        (lambda: PowerTemperature(1.0, -1), ValueError, "^exponent .*got -1"),
        (lambda: PowerTemperature(1.0, np.inf), ValueError, "^exponent .*got inf"),
        (lambda: PowerTemperature(1.0, np.nan), ValueError, "^exponent .*got nan"),
        (lambda: PowerTemperature(1.0, 1)(0.0), ValueError, "^sigma must be finite"),
        (
            lambda: PowerTemperature(1.0, 1)([1, -2]),
            ValueError,
            "^sigma must be finite",
        ),
        (lambda: PowerTemperature(1.0, 1)("1"), TypeError, "^sigma must hold real"),
    ],
)
def test_bad_arguments_are_refused(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize("keep", [None, 2])
@pytest.mark.parametrize("method", METHODS)
def test_bad_x_and_sigma_are_refused(method, keep):
    law = getattr(TemperedScore(DATA, 2.0, neighbors=keep), method)
    for x, kind in [
        ([0.0, 1.0], ValueError),
        ([[np.nan, 0]], ValueError),
        ("x", TypeError),
    ]:
        with pytest.raises(kind, match="^x "):
            law(x, 1.0)
    for sigma, kind in [(0.0, ValueError), ([1.0, 2.0], ValueError), (None, TypeError)]:
        with pytest.raises(kind, match="^sigma "):
            law(X, sigma)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0.0, "positive"),
        (np.nan, "positive"),
        (np.inf, "positive"),
        ([1, 2], r"\(3,\)"),
    ],
)
def test_a_callable_that_gives_no_temperature_is_refused(value, message):
    law = TemperedScore(DATA, lambda sigma: value)
    with pytest.raises(ValueError, match=rf"^temperature\(sigma\) must .*{message}"):
        law(X, 1.0)


def test_there_is_no_log_density():
    assert not hasattr(TemperedScore(DATA, 2.0), "log_density")
