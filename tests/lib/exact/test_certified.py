"""The denoiser to a tolerance: its certificate against sums over all points."""

import numpy as np
import pytest
import torch
from oracles import exact_posterior
from scipy import stats

import empirical_score as es
from empirical_score import EmpiricalScore
from empirical_score.exact import certified, dense
from empirical_score.exact.points import Points
from empirical_score.exact.score import PathScore

LEVELS = np.geomspace(30.0, 0.01, 12)


def smooth_set(n, d, rng, kind=np.float64):
    """Points whose variance falls from axis to axis, in turned coordinates, clustered.

    Like images: a few directions carry most of the spread.
    """
    scales = 3.0 / np.arange(1, d + 1)  # as in images
    centers = scales * rng.standard_normal((8, d))
    points = centers[rng.integers(8, size=n)] + 0.3 * scales * rng.standard_normal(
        (n, d)
    )
    turn = stats.ortho_group.rvs(d, random_state=rng) if d > 1 else np.eye(1)
    return (points @ turn + 0.5).astype(kind)


def deviation(law, data, x, sigma):
    """Root mean square deviation a coordinate from the sum over all points, by row.

    The noise level counts as the law takes it: in the precision of its data.
    """
    exact = EmpiricalScore(np.asarray(data, np.float64))
    level = np.asarray(sigma, data.dtype).astype(np.float64)
    exact = exact.denoise(np.asarray(x, np.float64), level)
    found, certificate = law.certified(x, sigma)
    return np.sqrt(np.mean((np.asarray(found) - exact) ** 2, axis=1)), certificate


@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("d", [1, 2, 3, 40, 128])
@pytest.mark.parametrize("tolerance", [1e-1, 1e-3, 1e-6])
def test_the_error_is_below_its_certificate_and_that_below_the_tolerance(
    d, kind, tolerance
):
    rng = np.random.default_rng(d)
    data = smooth_set(3000, d, rng, kind)
    law = EmpiricalScore(data, tolerance=tolerance)
    for sigma in LEVELS:
        x = (data[:20] + sigma * rng.standard_normal((20, d))).astype(kind)
        error, certificate = deviation(law, data, x, sigma)
        rounding = 2e-5 if kind is np.float32 else 1e-12
        assert np.all(error <= certificate.error + 1e-14), sigma
        assert np.all(certificate.error <= max(tolerance, rounding)), sigma


@pytest.mark.parametrize("d", [2, 40, 128])
@pytest.mark.parametrize("tolerance", [1e-3, 1e-6])
def test_what_float32_errs_over_many_points_is_in_the_certificate(d, tolerance):
    rng = np.random.default_rng(d)
    data = smooth_set(40_000, d, rng, np.float32)
    law, exact = (
        EmpiricalScore(torch.as_tensor(data), tolerance=tolerance),
        EmpiricalScore(data.astype(np.float64)),
    )
    for sigma in LEVELS:
        x = np.float32(data[:20] + sigma * rng.standard_normal((20, d)))
        found, certificate = law.certified(torch.as_tensor(x), sigma)
        level = float(np.float32(sigma))
        gap = found.numpy() - exact.denoise(x.astype(np.float64), level)
        error = np.sqrt(np.mean(gap**2, axis=1))
        assert np.all(error <= certificate.error.numpy() + 1e-14), sigma
        assert np.all(certificate.error.numpy() <= max(tolerance, 2e-5)), sigma


def test_low_noise_costs_little_and_high_noise_no_more_than_all():
    rng = np.random.default_rng(0)
    for d, n, m in ((2, 40_000, 512), (128, 4_000, 16)):
        data = smooth_set(n, d, rng)
        law = EmpiricalScore(data, tolerance=1e-3)
        x = data[:m] + 0.01 * rng.standard_normal((m, d))
        share = law.certified(x, 0.01)[1].share
        assert share < 0.1 if d == 2 else 0.5 <= share < 0.51  # no second product
        x = data[:m] + 30 * rng.standard_normal((m, d))
        assert law.certified(x, 30.0)[1].share < 1.3
        assert law.certified(x, 30.0)[1].share <= 1.0


def test_rows_at_many_noise_levels_are_certified_together():
    rng = np.random.default_rng(1)
    data = smooth_set(2000, 60, rng)
    sigma = rng.permutation(np.geomspace(20, 0.02, 40))
    x = data[:40] + sigma[:, None] * rng.standard_normal((40, 60))
    law = EmpiricalScore(data, tolerance=1e-3)
    error, certificate = deviation(law, data, x, sigma)
    assert np.all(error <= certificate.error)
    assert np.all(certificate.error <= 1e-3)
    exact = EmpiricalScore(data)(x, sigma)
    slack = 1e-3 * np.sqrt(60) / sigma[:, None] ** 2
    assert np.all(np.abs(law(x, sigma) - exact) <= slack)
    close = np.abs(law(x, sigma) - exact)[sigma < 0.05]
    assert np.max(close) < 1e-6  # where one point is left the score is exact


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_a_path_is_certified_at_every_step_and_ends_on_the_same_points(kind):
    rng = np.random.default_rng(3)
    data = smooth_set(3000, 64, rng, kind)
    levels = es.karras_levels(30, 20.0, 0.01)
    start = (20 * rng.standard_normal((12, 64))).astype(kind)
    law = EmpiricalScore(data, tolerance=1e-3)
    path = law.starting_from(start)
    exact = EmpiricalScore(data.astype(np.float64))
    gaps = []

    def score(x, sigma):
        level = float(kind(sigma))
        found, wanted = path.denoise(x, sigma), exact.denoise(x.astype(float), level)
        gap = np.sqrt(np.mean((found - wanted) ** 2, axis=1))
        gaps.append(np.max(gap - path.certificates[-1].error))
        return (found - x) / np.asarray(sigma, kind) ** 2

    found = es.sample_ode(score, start, levels)
    assert max(gaps) <= 1e-14
    assert all(np.all(c.error <= 1e-3 * 1.0001) for c in path.certificates)
    wanted = es.sample_ode(exact, start.astype(np.float64), levels)
    same = [np.argmin(((y - data) ** 2).sum(1)) for y in found]
    true = [np.argmin(((y - data) ** 2).sum(1)) for y in wanted]
    assert same == true
    assert path.certificates[-1].share == 0  # every path is locked on its point


def test_samplers_use_the_path_by_themselves():
    rng = np.random.default_rng(4)
    data = smooth_set(2000, 40, rng)
    start, levels = 10 * rng.standard_normal((6, 40)), es.karras_levels(20, 10, 0.01)
    exact = es.sample_ode(EmpiricalScore(data), start, levels)
    law, made = EmpiricalScore(data, tolerance=1e-6), []

    def watched(x):
        made.append(PathScore(law, len(x)))
        return made[-1]

    law.along_path = watched
    np.testing.assert_allclose(es.sample_ode(law, start, levels), exact, atol=1e-4)
    assert len(made) == 1 and len(made[0].certificates) == 2 * 19
    process, times = es.OrnsteinUhlenbeck(), np.geomspace(2.0, 0.01, 20)
    start = rng.standard_normal((6, 40))
    found, exact = (
        es.sample_ode(score, start, times, process=process)
        for score in (law, EmpiricalScore(data))
    )
    np.testing.assert_allclose(found, exact, atol=1e-4)


def test_a_path_in_little_memory_gives_the_same():
    rng = np.random.default_rng(11)
    data, x = smooth_set(800, 40, rng), rng.standard_normal((6, 40))
    for memory in (6_000, 40_000, 2**27):
        law = EmpiricalScore(data, tolerance=1e-3, memory=memory)
        for sigma in (3.0, 0.3, 0.02):
            error, certificate = deviation(law, data, sigma * x + data[:6], sigma)
            assert np.all(error <= certificate.error + 1e-14)
        path = law.starting_from(x)
        assert isinstance(path, PathScore)
        exact = EmpiricalScore(data)
        for sigma in (3.0, 0.3, 0.02):
            found = path.denoise(sigma * x + data[:6], sigma)
            gap = found - exact.denoise(sigma * x + data[:6], sigma)
            error = np.sqrt(np.mean(gap**2, axis=1))
            assert np.all(error <= path.certificates[-1].error + 1e-14)


def test_torch_gives_what_numpy_gives():
    rng = np.random.default_rng(7)
    for d in (2, 60):
        data = smooth_set(1500, d, rng, np.float32)
        ours = EmpiricalScore(data, tolerance=1e-3)
        theirs = EmpiricalScore(torch.as_tensor(data), tolerance=1e-3)
        for sigma in (10.0, 1.0, 0.05):
            x = (data[:8] + sigma * rng.standard_normal((8, d))).astype(np.float32)
            wanted, _ = ours.certified(x, sigma)
            found, certificate = theirs.certified(torch.as_tensor(x), sigma)
            assert found.dtype == torch.float32
            np.testing.assert_allclose(found, wanted, atol=1e-5)
            assert bool(torch.all(certificate.error <= 1e-3))


def test_duplicates_ties_and_a_single_point():
    for data in (np.ones((5, 2)), np.ones((1, 40)), np.zeros((300, 12))):
        law = EmpiricalScore(data, tolerance=1e-3)
        x = np.full((3, data.shape[1]), 0.3)
        np.testing.assert_allclose(law.denoise(x, 0.5), data[:1] + 0 * x, atol=1e-12)
        path = law.starting_from(x)
        np.testing.assert_allclose(path.denoise(x, 0.5), data[:1] + 0 * x, atol=1e-12)


@pytest.mark.parametrize("tolerance", [0, -1.0, np.nan, np.inf, "fine", [1e-3]])
def test_a_bad_tolerance_is_named(tolerance):
    with pytest.raises((TypeError, ValueError), match="tolerance"):
        EmpiricalScore(np.zeros((3, 2)), tolerance=tolerance)


def test_without_a_tolerance_nothing_is_certified():
    law, x = EmpiricalScore(np.zeros((3, 2))), np.zeros((1, 2))
    with pytest.raises(ValueError, match="tolerance must be given"):
        law.certified(x, 1.0)
    assert law.starting_from(x) is law


def test_a_path_refuses_other_rows():
    data = np.random.default_rng(0).standard_normal((50, 12))
    path = EmpiricalScore(data, tolerance=1e-3).starting_from(data[:4])
    with pytest.raises(ValueError, match="one row for each of the 4"):
        path.denoise(data[:3], 1.0)


def test_where_float32_does_not_do_float64_does(monkeypatch):
    """Half way between two points, at little noise, in a set far from one another."""
    rng = np.random.default_rng(14)
    data = np.float32(rng.standard_normal((2000, 30)))
    x = (data[:6] + data[6:12]) / 2
    prepared, seen, whole = Points(data, 2**26), [], certified.average
    monkeypatch.setattr(dense, "SHORT", 0)
    monkeypatch.setattr(dense, "SHARE", 10**9)  # no lists

    def watched(*arguments):
        seen.append(arguments[-1] if len(arguments) == 5 else None)
        return whole(*arguments)

    monkeypatch.setattr(certified, "average", watched)
    sigma = np.full(6, 0.02)
    found = certified.within(prepared, x.astype(float), sigma, 1e-4)
    assert seen == [None, np.float64]
    exact = EmpiricalScore(data.astype(float)).denoise(x.astype(float), sigma)
    error = np.linalg.norm(found.mean - exact, axis=1)
    assert np.all(error <= found.error + 1e-14) and np.all(found.error <= 1e-4)
    told = certified.certificate(prepared, found)
    np.testing.assert_allclose(told.error, found.error / np.sqrt(30))
    assert set(told.method) == {"dense"}


def test_rounding_that_is_proved_is_said_to_be():
    rng = np.random.default_rng(15)
    data = np.float32(smooth_set(3000, 60, rng))
    law = EmpiricalScore(data, tolerance=1e-3)
    for sigma, method, proved in ((0.02, "few", True), (5.0, "dense", False)):
        x = data[:8] + np.float32(sigma) * np.float32(rng.standard_normal((8, 60)))
        certificate = law.certified(x, sigma)[1]
        assert set(certificate.method) == {method}, sigma
        assert np.all(certificate.rigorous == proved)
    certificate = EmpiricalScore(data.astype(float), tolerance=1e-3).certified(x, 5.0)[
        1
    ]
    assert set(certificate.method) == {"dense"}


def test_ties_of_many_points_in_float64_are_taken_from_differences():
    """Forty points almost equally near, at a level that products cannot see."""
    rng = np.random.default_rng(16)
    shell = rng.standard_normal((40, 20))
    shell /= np.linalg.norm(shell, axis=1, keepdims=True)
    data = np.vstack([shell, 3 + rng.random((300, 20))]) * (1 + 1e-13)
    x, sigma = np.zeros((3, 20)) + 1e-9 * rng.standard_normal((3, 20)), np.full(3, 1e-6)
    law = EmpiricalScore(data, tolerance=1e-4)
    found, certificate = law.certified(x, sigma)
    assert np.all(certificate.error <= 1e-4) and np.all(certificate.rigorous)
    assert set(certificate.method) == {"few"}
    for row in range(3):
        exact = exact_posterior(data, x[row], 1e-6).denoise
        gap = np.sqrt(np.mean((found[row] - exact) ** 2))
        assert gap <= certificate.error[row]


def test_an_error_just_above_the_budget_is_mended_and_one_below_is_left():
    """What float32 errs over many points, and budgets a little to either side of it."""
    rng, m = np.random.default_rng(18), 6
    data = np.float32(rng.standard_normal((2000, 30)))
    x, sigma = data[:m] + 5 * rng.standard_normal((m, 30)), np.full(m, 5.0)
    prepared = Points(data, 2**26)
    loose = certified.within(prepared, x, sigma, 1.0)
    assert set(loose.method) == {"dense"}  # so that nothing is left out
    wanted = EmpiricalScore(data.astype(float)).denoise(x, sigma)
    for below in (0.99, 0.4):
        budget = below * float(loose.error.min())
        found = certified.within(prepared, x, sigma, budget)
        assert np.all(found.error <= budget)
        gap = np.linalg.norm(found.mean - wanted, axis=1)
        assert np.all(gap <= found.error + 1e-14)
        assert found.work == 2 * loose.work
    budget = 1.01 * float(loose.error.max())
    assert certified.within(prepared, x, sigma, budget).work == loose.work


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_at_the_farthest_point_others_are_left_out_for_an_eighth_of_the_budget(kind):
    """There the average is as far from what is left out as it can be: twice the radius.

    An eighth, that of the tolerance which points left out may use up, is reached.
    """
    rng = np.random.default_rng(19)
    data = rng.standard_normal((400, 12))
    data[0] *= 1e3 / np.linalg.norm(data[0])
    data = data.astype(kind)
    prepared, x = Points(data, 2**26), data[:1].astype(float)
    twice = 2 * np.linalg.norm(data - data.mean(0, dtype=float), axis=1).max()
    for budget in (1e-1, 1e-2):
        for level in (3.0, 0.3):
            found = certified.within(prepared, x, np.array([level]), budget)
            assert set(found.method) == {"few"}
            left_out = found.discarded[0] * twice
            assert 0.99 * budget / 8 <= left_out <= budget / 8 * (1 + 1e-6)
            assert left_out * 0.99 <= found.error[0] <= 0.13 * budget
        spared = certified.within(prepared, x, np.array([3.0]), budget, 2.0)
        spared = spared.discarded[0] / found.discarded[0]
        assert spared == pytest.approx(np.exp(-2.0))


def test_what_is_told_of_a_row_is_what_its_last_computation_says():
    """Rows redone in lists beside others that are not: each has its own facts."""
    rng, m = np.random.default_rng(20), 8
    data = np.float32(rng.standard_normal((3000, 30)))
    x = data[:m].astype(float)
    x[1::2] += 5 * rng.standard_normal((m // 2, 30))
    sigma = np.where(np.arange(m) % 2, 5.0, 0.02)
    prepared = Points(data, 2**26)
    loose = certified.within(prepared, x, sigma, 1.0)
    assert list(loose.method) == ["few", "dense"] * (m // 2)
    np.testing.assert_array_equal(loose.rigorous, [True, False] * (m // 2))
    budget = 0.5 * float(loose.error[1::2].min())
    found = certified.within(prepared, x, sigma, budget)
    assert np.all(found.rigorous) and np.all(found.error <= budget)
    assert list(found.method) == ["few", "dense"] * (m // 2)
    np.testing.assert_array_equal(found.discarded > 0, [True, False] * (m // 2))
    wanted = EmpiricalScore(data.astype(float)).denoise(x, sigma)
    gap = np.linalg.norm(found.mean - wanted, axis=1)
    assert np.all(gap <= found.error + 1e-14)
    told = certified.certificate(prepared, found)
    assert told.share == found.work / (2 * 3000 * m)
    average = found.average  # of the first pass: what a path learns from
    np.testing.assert_array_equal(average.listed, [True, False] * (m // 2))
    np.testing.assert_array_equal(average.proved, [True, False] * (m // 2))
