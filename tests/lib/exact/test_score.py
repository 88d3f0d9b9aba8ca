"""The exact score of a training set: against 60 digits, itself, autograd and bounds."""

import copy
import subprocess
import sys

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from oracles import exact_posterior, traced_peak
from scipy import stats

import empirical_score as es
from empirical_score import EmpiricalScore

SIGMAS = 10.0 ** np.arange(-8, 9)
METHODS = ["score", "denoise", "log_density", "weights", "effective_points"]


def relative(found, wanted):
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


def training_set(d, n, offset, seed=0):
    """Standard normal points, with duplicates and neighbors closer than 1e-9."""
    rng = np.random.default_rng(seed)
    data = rng.standard_normal((n, d)) + offset
    data[1] = data[0] * (1 + 1e-9)  # near-duplicate
    data[3] = data[2]  # duplicate
    data[4] = np.nextafter(data[2], np.inf)  # the closest that a float can be
    return data, rng


def places(data, sigma, rng):
    d = data.shape[1]
    return {
        "noised, near-duplicate": data[0] + sigma * rng.standard_normal(d),
        "noised, duplicate": data[2] + sigma * rng.standard_normal(d),
        "noised": data[5] + sigma * rng.standard_normal(d),
        "between": 0.3 * data[0] + 0.7 * data[5],
        "far away": 1e4 * rng.standard_normal(d),
    }


# --- 60 digits ---------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0.0, 1e3])
@pytest.mark.parametrize(("d", "n"), [(1, 12), (2, 12), (64, 12), (3072, 6)])
def test_denoiser_score_and_log_density_against_60_digits(d, n, offset):
    """Relative errors below 1e-10 from sigma = 1e-8 to 1e8."""
    data, rng = training_set(d, n, offset)
    law = EmpiricalScore(data)
    for sigma in SIGMAS:
        for place, x in places(data, sigma, rng).items():
            true = exact_posterior(data, x, sigma)
            where = f"sigma={sigma:g}, x {place}"
            x = x[None]
            assert relative(law.denoise(x, sigma)[0], true.denoise) < 1e-10, where
            assert relative(law(x, sigma)[0], true.score) < 1e-10, where
            log_density = law.log_density(x, sigma)[0]
            assert abs(log_density / true.log_density - 1) < 1e-10, where


@pytest.mark.parametrize("rounded", [True, False], ids=["exact", "rounded"])
@pytest.mark.parametrize(("d", "n"), [(1, 8), (2, 8), (64, 8), (3072, 6)])
def test_midpoints_against_60_digits(d, n, rounded):
    """Exact midpoints of two points (eighths) and midpoints as floats round them.

    There the score is the small rest of two pulls that cancel: its error is measured
    against the stronger pull ``max_j |y_j - x| / sigma^2``.
    """
    data = np.random.default_rng(1).standard_normal((n, d))
    if not rounded:
        data += 1e3
    else:
        data = np.round(8 * data) / 8
        data[1] = data[0]  # a tie of three
    law, x = EmpiricalScore(data), (data[0] + data[5]) / 2
    for sigma in SIGMAS:
        true = exact_posterior(data, x, sigma)
        where = f"sigma={sigma:g}"
        assert relative(law.denoise(x[None], sigma)[0], true.denoise) < 1e-10, where
        weights = law.weights(x[None], sigma)[0]
        assert np.max(np.abs(weights - true.weights)) < 1e-10, where
        error = np.linalg.norm(law(x[None], sigma)[0] - true.score)
        assert error < 1e-10 * true.largest_pull, where


def test_a_thousandth_of_a_nat_beside_a_midpoint_is_seen():
    """sigma = 1e-8: moving x by 1e-19 to one side tips the weights by 1e-3 nats."""
    data = np.array([[0.0, -1.0], [0.0, 1.0], [0.0, 3.0]])
    sigma, step = 1e-8, 5e-20
    log_weights = EmpiricalScore(data).log_weights(np.array([[0.0, step]]), sigma)[0]
    assert log_weights[1] - log_weights[0] == pytest.approx(2 * step / sigma**2)


@pytest.mark.parametrize(("d", "n"), [(1, 12), (2, 12), (64, 12)])
def test_weights_effective_points_and_covariance_against_60_digits(d, n):
    data, rng = training_set(d, n, 0.0)
    law, v = EmpiricalScore(data), rng.standard_normal(d)
    for sigma in 10.0 ** np.arange(-8, 8.5, 0.5):
        everywhere = places(data, sigma, rng) | {"midpoint": (data[5] + data[6]) / 2}
        for place, x in everywhere.items():
            true = exact_posterior(data, x, sigma)
            where, x = f"sigma={sigma:g}, x {place}", x[None]
            log_weights, weights = law.log_weights(x, sigma)[0], law.weights(x, sigma)
            matter = true.log_weights > -40
            gap = np.abs(log_weights - true.log_weights)
            assert np.max(gap[matter]) < 1e-10, where
            assert np.max(np.abs(weights[0] - true.weights)) < 1e-10, where
            assert abs(weights.sum() - 1) < 1e-14, where
            effective = law.effective_points(x, sigma)[0]
            assert abs(effective / true.effective_points - 1) < 1e-10, where
            product = law.covariance_product(x, sigma, v[None])[0]
            wanted = true.covariance_product(v)
            size = max(sigma**2 * np.linalg.norm(v), np.linalg.norm(wanted))
            assert np.linalg.norm(product - wanted) < 1e-10 * size, where


@pytest.mark.parametrize("sigma", [1e-3, 0.3, 30.0])
def test_covariance_product_to_ten_digits_where_points_share_the_weight(sigma):
    """Relative to itself, also where it is far smaller than ``sigma^2``."""
    rng = np.random.default_rng(5)
    data = np.concatenate([1e-2 * sigma * rng.standard_normal((8, 3)), [[50.0] * 3]])
    x, v = 0.5 * sigma * rng.standard_normal((1, 3)), rng.standard_normal((1, 3))
    wanted = exact_posterior(data, x[0], sigma).covariance_product(v[0])
    found = EmpiricalScore(data).covariance_product(x, sigma, v)[0]
    assert relative(found, wanted) < 1e-10


def test_covariance_product_of_many_points_far_from_the_center():
    """Relative to itself; the squared distance from there is a hundred million."""
    rng = np.random.default_rng(8)
    away = 1e4 * np.array([[0.6, -0.8, 0.0]])
    near, other = away + rng.standard_normal((60, 3)), rng.standard_normal((60, 3))
    data, v = np.concatenate([near, other - away]), rng.standard_normal((1, 3))
    v += away / 1e4
    law, x = EmpiricalScore(data), away + 0.1
    assert np.sum(law.weights(x, 2.0) > 1e-3) > 20  # so that all points are summed
    wanted = exact_posterior(data, x[0], 2.0).covariance_product(v[0])
    found = law.covariance_product(x, 2.0, v)[0]
    assert relative(found, wanted) < 1e-11


def test_oracle_agrees_with_a_plain_mpmath_sum():
    rng = np.random.default_rng(0)
    data, x, sigma, v = rng.standard_normal((4, 2)), [0.3, -0.1], 0.7, [1.0, 2.0]
    true = exact_posterior(data, x, sigma)
    with mpmath.workdps(60):
        points = [mpmath.matrix(y.tolist()) for y in data]
        place, along = mpmath.matrix(x), mpmath.matrix(v)
        kernels = [
            mpmath.exp(-(mpmath.norm(y - place) ** 2) / (2 * mpmath.mpf(sigma) ** 2))
            for y in points
        ]
        total, zero = mpmath.fsum(kernels), mpmath.zeros(2, 1)
        pairs = [(k / total, y) for k, y in zip(kernels, points, strict=True)]
        mean = sum((w * y for w, y in pairs), zero)
        product = [w * (y - mean) * ((y - mean).T * along)[0] for w, y in pairs]
        product = np.array(sum(product, zero), float)
        log_density = float(mpmath.log(total / 4 / (2 * mpmath.pi * sigma**2)))
        mean = np.array(mean, float)
    assert relative(true.denoise, mean) < 1e-15
    assert relative(true.covariance_product(np.array(v)), product) < 1e-15
    assert true.log_density == pytest.approx(log_density, rel=1e-15)


# --- float32 -----------------------------------------------------------------------


@pytest.mark.parametrize(("d", "n"), [(1, 20), (2, 20), (64, 20), (3072, 8)])
@pytest.mark.parametrize("offset", [0.0, 30.0])
def test_float32_log_weights_are_right_to_a_thousandth_of_a_nat(d, n, offset):
    """Among points that matter: within 20 nats of the best; kind float32 throughout."""
    rng = np.random.default_rng(d)
    data = (rng.standard_normal((n, d)) + offset).astype(np.float32)
    law = EmpiricalScore(data)
    for sigma in np.float32(10.0) ** np.arange(-6, 7):
        noised = data[0] + sigma * rng.standard_normal(d)
        for x in (noised, (data[0] + data[1]) / 2, 100 * rng.standard_normal(d)):
            x = x.astype(np.float32)
            true = exact_posterior(data, x, sigma)
            found = law.log_weights(x[None], sigma)[0]
            matter = true.log_weights > -20
            assert np.max(np.abs(found - true.log_weights)[matter]) < 1e-3, sigma
            shift = law(x[None], sigma)[0] - true.score
            assert np.linalg.norm(shift) < 1e-5 * true.largest_pull, sigma


@pytest.mark.parametrize("kind", [np.float32, torch.float32])
def test_float32_data_stay_float32(kind):
    make = np.asarray if kind is np.float32 else torch.as_tensor
    x = make([[0.5, 0.1], [3.0, 1.0]], dtype=kind)
    law = EmpiricalScore(make([[0.0, 1.0], [1.0, 0.0], [1.0, 3.0]], dtype=kind))
    for sigma in (1e-6, 0.7, 1e6):
        for method in [*METHODS, "log_weights"]:
            assert getattr(law, method)(x, sigma).dtype == kind
        assert law.covariance_product(x, sigma, x).dtype == kind
        drawn = law.sample_posterior(x, sigma, sigma / 2, np.random.default_rng(0))
        assert drawn.dtype == kind
    assert law.sample(3, np.random.default_rng(0)).dtype == kind


@pytest.mark.parametrize(
    ("kind", "gap", "sigma", "tolerance"),
    [(np.float32, 1e-9, 1e-4, 1e-6), (np.float64, 1e-17, 1e-8, 1e-12)],
)
def test_weights_are_shared_where_the_matrix_product_misses_the_best_point(
    kind, gap, sigma, tolerance
):
    """Four twins and a rival closer than rounding can tell, seen from 1e10 away.

    The twins win by 1e9 nats, found by direct differences only.  Measured against the
    rival, log weights that large would lose ``log 4`` in rounding.
    """
    twin, rival, other = [1.0, gap], [1.0, 0.0], [-1.0, 0.0]
    data = np.array([rival, twin, twin, twin, twin, other], kind)
    x = np.full((1, 2), 1e10, kind)
    true = exact_posterior(data, x[0], kind(sigma))
    np.testing.assert_allclose(true.weights, [0, 0.25, 0.25, 0.25, 0.25, 0])
    law = EmpiricalScore(data)
    np.testing.assert_allclose(law.weights(x, sigma)[0], true.weights, tolerance)
    assert law.log_weights(x, sigma)[0, 1] == pytest.approx(-np.log(4), rel=tolerance)
    assert law.effective_points(x, sigma)[0] == pytest.approx(4, rel=tolerance)


# --- the same question asked in another way -----------------------------------------


def close(found, wanted, tolerance=1e-13, name=""):
    np.testing.assert_allclose(
        found, wanted, rtol=tolerance, atol=tolerance, err_msg=name
    )


def rows_at_all_noise_levels(d, count=60, seed=0):
    rng = np.random.default_rng(seed)
    data = rng.standard_normal((50, d))
    sigma = 10.0 ** rng.uniform(-8, 8, count)
    x = data[rng.integers(50, size=count)]
    x[:20] = (x[:20] + data[rng.integers(50, size=20)]) / 2
    x[20:] += sigma[20:, None] * rng.standard_normal((count - 20, d))
    return data, x, sigma


def pull(data, x):
    """The largest distance to a training point, row by row: the scale of a shift."""
    return np.array([np.linalg.norm(p - data, axis=1).max() for p in x])[:, None]


def answers(law, x, sigma):
    """Every answer about ``x``, in units in which rounding is about 1e-15.

    A shift is measured by the largest distance to a training point, a covariance by
    ``sigma^2 |x|``; log weights below -40 are as good as none.
    """
    noise = np.asarray(sigma).reshape(-1, 1) ** 2
    unit = pull(np.asarray(law.data), np.asarray(x)) / noise
    size = noise * np.linalg.norm(np.asarray(x), axis=1)[:, None]
    return {
        "score": np.asarray(law(x, sigma)) / unit,
        "denoise": np.asarray(law.denoise(x, sigma)),
        "log_density": np.asarray(law.log_density(x, sigma)),
        "weights": np.asarray(law.weights(x, sigma)),
        "log_weights": np.maximum(np.asarray(law.log_weights(x, sigma)), -40),
        "effective_points": np.asarray(law.effective_points(x, sigma)),
        "covariance_product": np.asarray(law.covariance_product(x, sigma, x)) / size,
    }


def same(found, wanted, tolerance=1e-13):
    for name, value in wanted.items():
        close(found[name], value, tolerance, name)


@pytest.mark.parametrize("d", [1, 2, 64])
def test_a_batch_gives_what_its_rows_give_one_by_one(d):
    data, x, sigma = rows_at_all_noise_levels(d)
    law = EmpiricalScore(data)
    batch = answers(law, x, sigma)
    for i in range(len(x)):
        row = {name: value[i : i + 1] for name, value in batch.items()}
        same(row, answers(law, x[i : i + 1], sigma[i]))


@pytest.mark.parametrize("d", [1, 2, 64])
@pytest.mark.parametrize("memory", [1, 4_000, 100_000])
def test_small_blocks_change_nothing(d, memory):
    data, x, sigma = rows_at_all_noise_levels(d)
    whole, blocked = EmpiricalScore(data), EmpiricalScore(data, memory=memory)
    same(answers(blocked, x, sigma), answers(whole, x, sigma))
    end = 0.1 * sigma.min()
    draws = [
        law.sample_posterior(x, sigma, end, np.random.default_rng(1))
        for law in (whole, blocked)
    ]
    close(*draws)


@pytest.mark.parametrize("method", ["denoise", "covariance_product"])
@pytest.mark.parametrize(
    ("n", "m", "d", "sigma", "kind", "memory"),
    [
        (200_000, 50, 2, 1e-3, np.float64, 2**25),
        (200_000, 10, 2, 0.3, np.float32, 2**25),
        (2_000, 4, 3072, 30.0, np.float32, 2**23),  # here every point matters
    ],
)
def test_memory_stays_bounded(n, m, d, sigma, kind, memory, method):
    """Peak below ``memory`` plus the output plus three copies of the data."""
    rng = np.random.default_rng(0)
    data = rng.standard_normal((n, d)).astype(kind)
    x = (data[:m] + sigma * rng.standard_normal((m, d))).astype(kind)
    more = (x,) if method == "covariance_product" else ()
    call = getattr(EmpiricalScore(data, memory=memory), method)
    peak, out = traced_peak(lambda: call(x, sigma, *more))
    assert peak < memory + out.nbytes + 3 * data.nbytes


def test_memory_stays_bounded_for_400_million_pairs():
    test_memory_stays_bounded(200_000, 2_000, 2, 0.3, np.float64, 2**27, "denoise")


def test_sampling_needs_no_table_of_all_pairs():
    law = EmpiricalScore(np.zeros((20_000, 2)))
    peak, _ = traced_peak(lambda: law.sample(20_000, np.random.default_rng(0)))
    assert peak < 2**21


# --- invariance ---------------------------------------------------------------------

SEEDS = st.integers(0, 2**32 - 1)
DIMENSIONS = st.integers(1, 64)
LEVELS = st.floats(-8, 8).map(lambda e: 10.0**e)


def example(seed, d, sigma, n=9):
    """Points on a lattice of eighths, ``x``: one of them, noised, and a midpoint."""
    rng = np.random.default_rng(seed)
    data = np.round(8 * rng.standard_normal((n, d))) / 8
    noised = data[0] + sigma * rng.standard_normal(d)
    return data, np.stack([noised, (data[1] + data[2]) / 2]), rng


@given(SEEDS, DIMENSIONS, LEVELS)
def test_order_of_the_data_does_not_matter(seed, d, sigma):
    data, x, rng = example(seed, d, sigma)
    order = rng.permutation(len(data))
    one, other = EmpiricalScore(data), EmpiricalScore(data[order])
    close(other.weights(x, sigma), one.weights(x, sigma)[:, order], 1e-11)
    scale = pull(data, x) / sigma**2
    close(other(x, sigma) / scale, one(x, sigma) / scale, 1e-11)
    close(other.log_density(x, sigma), one.log_density(x, sigma), 1e-11)


@given(SEEDS, DIMENSIONS, LEVELS, st.integers(-(2**20), 2**20))
def test_translation_moves_the_denoiser_and_nothing_else(seed, d, sigma, c):
    data, x, _ = example(seed, d, sigma)
    x = np.round(x * 2**20) / 2**20  # so that data + c and x + c are exact
    one, other = EmpiricalScore(data), EmpiricalScore(data + c)
    if not np.array_equal((x + c) - c, x):
        return
    close(other.weights(x + c, sigma), one.weights(x, sigma), 1e-11)
    scale = pull(data, x) / sigma**2
    close(other(x + c, sigma) / scale, one(x, sigma) / scale, 1e-11)
    close(other.denoise(x + c, sigma), one.denoise(x, sigma) + c, 1e-11)
    close(other.log_density(x + c, sigma), one.log_density(x, sigma), 1e-11)


@given(SEEDS, DIMENSIONS, st.floats(-1, 8).map(lambda e: 10.0**e))
def test_rotation_turns_the_score(seed, d, sigma):
    """For sigma >= 0.1: below, rounding the rotated data is itself seen."""
    data, x, rng = example(seed, d, sigma)
    turn = stats.ortho_group.rvs(d, random_state=rng) if d > 1 else -np.eye(1)
    one, other = EmpiricalScore(data), EmpiricalScore(data @ turn)
    scale = pull(data, x) / sigma**2
    close(other(x @ turn, sigma) / scale, one(x, sigma) @ turn / scale, 1e-11)
    close(other.weights(x @ turn, sigma), one.weights(x, sigma), 1e-11)
    close(other.log_density(x @ turn, sigma), one.log_density(x, sigma), 1e-11)


@given(SEEDS, DIMENSIONS, LEVELS, st.integers(-20, 20).map(lambda e: 2.0**e))
def test_scaling_everything_by_c_divides_the_score_by_c(seed, d, sigma, c):
    data, x, _ = example(seed, d, sigma)
    one, other = EmpiricalScore(data), EmpiricalScore(c * data)
    close(other.weights(c * x, c * sigma), one.weights(x, sigma), 1e-11)
    scale = pull(data, x) / sigma**2
    close(c * other(c * x, c * sigma) / scale, one(x, sigma) / scale, 1e-11)
    wanted = one.log_density(x, sigma) - d * np.log(c)
    close(other.log_density(c * x, c * sigma), wanted, 1e-11)


@given(SEEDS, DIMENSIONS, LEVELS)
def test_weights_and_denoiser_stay_where_they_must(seed, d, sigma):
    data, x, _ = example(seed, d, sigma)
    law = EmpiricalScore(data)
    weights = law.weights(x, sigma)
    assert np.all(weights >= 0)
    close(weights.sum(1), 1.0, 1e-14)
    effective = law.effective_points(x, sigma)
    assert np.all((effective >= 1 - 1e-14) & (effective <= len(data) * (1 + 1e-14)))
    mean = law.denoise(x, sigma)
    slack = 1e-12
    assert np.all(mean >= data.min(0) - slack) and np.all(mean <= data.max(0) + slack)
    close(mean, weights @ data, 1e-11)


def test_limits_of_little_and_much_noise():
    """The nearest point as sigma falls to 0, the mean of the data as it grows."""
    rng = np.random.default_rng(0)
    data, x = rng.standard_normal((30, 2)), rng.standard_normal((9, 2))
    nearest = np.argmin(np.linalg.norm(x[:, None] - data, axis=2), axis=1)
    law = EmpiricalScore(data)
    close(law.denoise(x, 1e-8), data[nearest], 1e-15)
    close(law.effective_points(x, 1e-8), 1.0, 1e-15)
    close(law.denoise(x, 1e8), np.broadcast_to(data.mean(0), (9, 2)), 1e-14)
    close(law.effective_points(x, 1e8), 30.0, 1e-14)


# --- derivatives, torch -------------------------------------------------------------


@pytest.mark.parametrize("d", [1, 2, 64])
def test_autograd_of_log_density_is_the_score(d):
    """At every noise level, at sharp rows and at midpoints."""
    data, x, sigma = rows_at_all_noise_levels(d)
    law = EmpiricalScore(torch.tensor(data))
    x = torch.tensor(x, requires_grad=True)
    log_density = law.log_density(x, torch.tensor(sigma))
    (gradient,) = torch.autograd.grad(log_density.sum(), x)
    x = x.detach()
    scale = torch.tensor(pull(data, x.numpy()) / sigma[:, None] ** 2)
    close(gradient / scale, law(x, sigma) / scale, 1e-12)


@pytest.mark.parametrize("sigma", [1e-6, 1e-3, 0.05, 0.3, 1.0, 30.0])
def test_covariance_product_is_the_hessian_of_log_density(sigma):
    """``Cov v = sigma^2 (v + sigma^2 Hessian v)``, with the Hessian from autograd."""
    rng = np.random.default_rng(2)
    data, v = torch.tensor(rng.standard_normal((20, 3))), rng.standard_normal((2, 3))
    law = EmpiricalScore(data)
    x = torch.stack([(data[0] + data[1]) / 2, data[2] + sigma])
    for i in range(2):
        hessian = torch.autograd.functional.hessian(
            lambda p: law.log_density(p[None], sigma)[0], x[i]
        )
        wanted = v[i] + sigma**2 * hessian.numpy() @ v[i]
        found = law.covariance_product(x[i : i + 1], sigma, torch.tensor(v[i : i + 1]))
        # At little noise sigma^2 Hessian is a sum of terms as large as (R / sigma)^2.
        size = 1 + float(torch.linalg.norm(hessian)) * sigma**2
        close(found[0].numpy() / sigma**2 / size, wanted / size, 1e-11)


@pytest.mark.parametrize("sigma", [1e-5, 1e-7])
def test_second_derivatives_where_a_product_rounds_the_weights(sigma):
    """Two points that share the weight three to one, as 60 digits say."""
    data = np.array([[0.0, -1.0], [0.0, 1.0], [7.0, 3.3], [-2.1, 9.0]])
    x, v = np.array([0.0, 0.55 * sigma**2]), np.array([0.3, 1.0])
    true = exact_posterior(data, x, sigma)
    assert 0.2 < true.weights[0] < 0.3  # where an error changes the covariance most
    law = EmpiricalScore(torch.tensor(data))
    hessian = torch.autograd.functional.hessian(
        lambda p: law.log_density(p[None], sigma)[0], torch.tensor(x)
    )
    found = sigma**2 * (v + sigma**2 * hessian.numpy() @ v)
    close(found, true.covariance_product(v), 1e-9)
    jacobian = torch.autograd.functional.jacobian(
        lambda p: law.denoise(p[None], sigma)[0], torch.tensor(x)
    )
    close(sigma**2 * jacobian.numpy() @ v, true.covariance_product(v), 1e-9)


def plain_log_weights(data, x, sigma):
    """``-|x - y_j|^2 / (2 sigma^2)`` as it is written, ``(n,)``."""
    return -((x - data) ** 2).sum(1) / (2 * sigma**2)


def plain_log_density(data, x, sigma):
    """The log of the kernel density estimate, as it is written."""
    n, d = data.shape
    constant = np.log(n) + d / 2 * np.log(2 * np.pi) + d * sigma.log()
    return plain_log_weights(data, x, sigma).logsumexp(0) - constant


@pytest.mark.parametrize("sigma", [0.2, 1.0, 6.0])
def test_derivatives_of_up_to_third_order_are_those_of_the_plain_sum(sigma):
    """In place and noise level together, of data whose mean is far from the origin."""
    rng = np.random.default_rng(6)
    data = torch.tensor(rng.standard_normal((20, 2)) + 7)
    law, level = EmpiricalScore(data), torch.tensor([sigma], dtype=torch.float64)
    there = torch.cat([(data[0] + data[1]) / 2 + 0.3 * sigma, level])
    probe = torch.tensor(rng.standard_normal((20, 2)))
    functional = torch.autograd.functional

    def ours(z):
        x, level = z[None, :2], z[2:]
        logs, mean = law.log_weights(x, level)[0], law.denoise(x, level)[0]
        return law.log_density(x, level)[0], (probe[:, 0] * logs).sum(), mean.sum()

    def theirs(z):
        logs = plain_log_weights(data, z[:2], z[2])
        logs = logs - logs.logsumexp(0)
        density = plain_log_density(data, z[:2], z[2])
        return density, (probe[:, 0] * logs).sum(), (logs.exp() @ data).sum()

    for k in range(3):
        slopes, bends, twists = [], [], []
        for made in (ours, theirs):

            def one(z, made=made, k=k):
                return made(z)[k]

            def bend(z, one=one):
                return functional.hessian(one, z, create_graph=True)

            slopes.append(functional.jacobian(one, there))
            bends.append(bend(there).detach())
            twists.append(functional.jacobian(bend, there))
        for found, wanted in (slopes, bends, twists):
            size = float(wanted.abs().max())
            assert size > 1e-6
            close(found / size, wanted / size, 1e-9)


@pytest.mark.parametrize("d", [1, 2, 64, 3072])
def test_torch_gives_what_numpy_gives(d):
    data, x, sigma = rows_at_all_noise_levels(d, 30)
    law, other = EmpiricalScore(data), EmpiricalScore(torch.tensor(data))
    wanted = answers(law, x, sigma)
    for source in (law, other):
        same(answers(source, torch.tensor(x), torch.tensor(sigma)), wanted, 1e-12)
    same(answers(other, x, sigma), wanted, 1e-12)


def test_the_kind_of_x_decides_the_kind_of_the_result():
    data, x, sigma = rows_at_all_noise_levels(2)
    for source in (data, torch.tensor(data)):
        law, rng = EmpiricalScore(source), np.random.default_rng(0)
        for place, kind in ((x, np.ndarray), (torch.tensor(x), torch.Tensor)):
            found = [getattr(law, name)(place, sigma) for name in METHODS]
            found += [law.log_weights(place, sigma)]
            found += [law.covariance_product(place, sigma, x)]
            found += [law.sample_posterior(place, sigma, 0.0, rng)]
            assert all(type(f) is kind and "float64" in str(f.dtype) for f in found)
        assert type(law.sample(2, rng)) is type(source)


def test_read_only_and_reversed_arrays_serve_torch_too():
    data = np.arange(6.0).reshape(3, 2)
    data.setflags(write=False)
    x = torch.zeros((1, 2), dtype=torch.float64)
    wanted = EmpiricalScore(data.copy())(x, 1.0)
    torch.testing.assert_close(EmpiricalScore(data)(x, 1.0), wanted)
    torch.testing.assert_close(EmpiricalScore(data[::-1])(x, 1.0), wanted)


def test_other_kinds_of_numbers_become_float64():
    for data in ([[0, 1], [2, 3]], np.ones((2, 2), np.float16), torch.ones(2, 2).int()):
        x = torch.zeros(1, 2, dtype=torch.float64)
        assert EmpiricalScore(data)(x, 1.0).dtype == torch.float64
        assert EmpiricalScore(data)([[0, 0]], 1).dtype == np.float64


def test_numpy_use_never_imports_torch_matplotlib_or_scikit_learn():
    code = """
import sys, numpy as np, empirical_score as es
rng = np.random.default_rng(0)
data = es.datasets.two_moons(40, rng)
for law in (es.EmpiricalScore(data), es.Gaussian([0.0, 0.0]), es.GaussianMixture(data)):
    x = law.sample(5, rng) + rng.standard_normal((5, 2))
    law.covariance_product(x, 0.5, x), law.log_density(x, 1e-6), law(x, 1e-6)
    law.sample_posterior(x, 0.5, 0.1, rng)
    es.sample_ode(law, x, es.karras_levels(3))
    es.sample_sde(law, x, [1.0, 0.5], rng, process=es.OrnsteinUhlenbeck())
es.energy_test(x, x + 1, rng), es.wasserstein(x, x + 1)
loaded = {"torch", "matplotlib", "sklearn"} & set(sys.modules)
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# --- sampling -----------------------------------------------------------------------


def test_sample_draws_training_points_uniformly():
    """Counts of 7 points in 70,000 draws: chi-square at the level 0.001."""
    data = np.arange(7.0)[:, None]
    for rng in (np.random.default_rng(0), torch.Generator().manual_seed(0)):
        drawn = EmpiricalScore(data).sample(70_000, rng)
        assert drawn.shape == (70_000, 1)
        counts = np.bincount(drawn[:, 0].astype(int), minlength=7)
        assert stats.chisquare(counts).pvalue > 1e-3


def test_posterior_at_level_0_returns_training_points_by_their_weights():
    rng = np.random.default_rng(3)
    data, m = rng.standard_normal((6, 2)), 40_000
    law, x, sigma = EmpiricalScore(data, memory=10_000), np.array([[0.3, -0.2]]), 0.8
    drawn = law.sample_posterior(np.repeat(x, m, 0), sigma, 0.0, rng)
    hits = np.all(drawn[:, None] == data, axis=2)
    assert np.all(hits.sum(1) == 1)
    weights = exact_posterior(data, x[0], sigma).weights
    assert stats.chisquare(hits.sum(0), m * weights).pvalue > 1e-3


def posterior_cdf(data, x, sigma, end):
    """Distribution function of one coordinate of ``X_end`` given ``X_sigma = x``.

    By the joint normal law of ``(X_end, X_sigma)`` given the training point:
    covariance ``end^2``, variances ``end^2`` and ``sigma^2``.
    """
    weights = exact_posterior(data, x, sigma).weights
    slope = end**2 / sigma**2
    spread = np.sqrt(end**2 - slope * end**2)

    def cdf(values):
        mean = data[:, 0] + slope * (x[0] - data[:, 0])
        return stats.norm.cdf(values[:, None], mean, spread) @ weights

    return cdf


def test_posterior_has_the_law_of_the_conditioned_joint_gaussian():
    """KS test of 20,000 draws at the level 0.001; half the spread is rejected."""
    rng = np.random.default_rng(4)
    data, sigma, end, m = rng.standard_normal((5, 2)), 0.9, 0.4, 20_000
    x = np.array([0.2, 0.1])
    drawn = EmpiricalScore(data).sample_posterior(np.tile(x, (m, 1)), sigma, end, rng)
    cdf = posterior_cdf(data, x, sigma, end)
    assert stats.kstest(drawn[:, 0], cdf).pvalue > 1e-3
    other = posterior_cdf(data, x, sigma, 0.9 * end)
    assert stats.kstest(drawn[:, 0], other).pvalue < 1e-6


def test_two_exact_steps_have_the_law_of_one():
    """sigma = 2 to 0.7 to 0.2, against the distribution function of one step."""
    rng = np.random.default_rng(5)
    data, m = rng.standard_normal((5, 2)), 20_000
    law, x = EmpiricalScore(data), np.array([0.5, -0.3])
    middle = law.sample_posterior(np.tile(x, (m, 1)), 2.0, 0.7, rng)
    drawn = law.sample_posterior(middle, 0.7, 0.2, rng)
    cdf = posterior_cdf(data, x, 2.0, 0.2)
    assert stats.kstest(drawn[:, 0], cdf).pvalue > 1e-3


def test_a_used_score_can_be_copied():
    rng = np.random.default_rng(3)
    score = es.EmpiricalScore(rng.standard_normal((5, 2)))
    x = rng.standard_normal((4, 2))
    before = score(x, 0.5)
    assert np.array_equal(copy.deepcopy(score)(x, 0.5), before)


def test_a_seed_is_the_generator_that_it_makes():
    score, x = es.EmpiricalScore([[0.0], [1.0], [2.0]]), np.array([[0.4], [1.7]])
    for draw in (
        lambda rng: score.sample(9, rng),
        lambda rng: score.sample_posterior(x, 1.0, 0.5, rng),
    ):
        np.testing.assert_array_equal(draw(3), draw(np.random.default_rng(3)))
        with pytest.raises(TypeError, match=r"or an int seed, got NoneType$"):
            draw(None)


def test_the_former_name_of_along_path_serves():
    assert es.EmpiricalScore.starting_from is es.EmpiricalScore.along_path
