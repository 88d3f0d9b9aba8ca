"""Divergences against closed forms, quadrature, brute force and repetition."""

from functools import partial
from itertools import permutations

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.integrate import cubature, quad
from scipy.linalg import sqrtm

from empirical_score import (
    Estimate,
    Gaussian,
    energy_test,
    gaussian_hellinger,
    gaussian_kl,
    gaussian_wasserstein,
    hellinger,
    kl_divergence,
    total_variation,
    total_variation_1d,
    wasserstein,
)
from empirical_score.distributions import divergences

# p = N(0, 1) and q = N(0.8, 1.5^2), by quadrature on the line.
P, Q = stats.norm(0, 1), stats.norm(0.8, 1.5)


def integral(function):
    return quad(function, -14, 14, epsabs=1e-13, epsrel=1e-13, limit=400)[0]


TRUE = {
    kl_divergence: integral(lambda x: P.pdf(x) * (P.logpdf(x) - Q.logpdf(x))),
    total_variation: integral(lambda x: max(0.0, P.pdf(x) - Q.pdf(x))),
    hellinger: 1 - integral(lambda x: np.sqrt(P.pdf(x) * Q.pdf(x))),
}


def estimate(measure, m, rng):
    x = rng.standard_normal(m)
    return measure(P.logpdf(x), Q.logpdf(x))


@pytest.mark.parametrize("measure", TRUE)
def test_estimates_are_within_four_standard_errors(measure):
    found = estimate(measure, 200_000, np.random.default_rng(0))
    assert isinstance(found, Estimate)
    assert abs(found.value - TRUE[measure]) < 4 * found.standard_error
    assert found.standard_error < 0.02 * TRUE[measure]


@pytest.mark.parametrize("measure", TRUE)
def test_two_standard_errors_cover_the_truth_95_percent_of_the_time(measure):
    """Of 300 repetitions 95.4 % are expected, give or take 1.2 %."""
    rng = np.random.default_rng(1)
    found = [estimate(measure, 500, rng) for _ in range(300)]
    inside = [abs(e.value - TRUE[measure]) < 2 * e.standard_error for e in found]
    assert 0.91 < np.mean(inside) < 0.99


def test_estimates_of_two_numbers_by_hand():
    log_p, log_q = np.log([0.5, 0.2]), np.log([0.25, 0.4])
    for measure, values in [
        (kl_divergence, [np.log(2), -np.log(2)]),
        (total_variation, [0.5, 0.0]),
        (hellinger, [1 - 0.5**0.5, 1 - 2**0.5]),
    ]:
        found = measure(log_p, log_q)
        assert found.value == pytest.approx(np.mean(values), abs=1e-15)
        error = abs(values[0] - values[1]) / 2  # std with ddof 1, over sqrt(2)
        assert found.standard_error == pytest.approx(error, rel=1e-14)
        assert measure(torch.tensor(log_p), list(log_q)) == found


def test_exact_extremes_of_the_estimates():
    same, apart = np.zeros(5), np.full(5, -800.0)
    for measure in TRUE:
        assert measure(same, same) == Estimate(0.0, 0.0)
    assert total_variation(same, apart).value == pytest.approx(1.0, abs=1e-15)
    assert hellinger(same, apart).value == pytest.approx(1.0, abs=1e-15)
    assert kl_divergence(same, apart).value == 800.0
    nowhere = np.array([0.0, 0.0, -np.inf, 0.0])
    assert kl_divergence(np.zeros(4), nowhere) == Estimate(np.inf, 0.0)
    assert total_variation(np.zeros(4), nowhere).value == 0.25
    assert hellinger(np.zeros(4), nowhere).value == 0.25


def test_bounds_on_the_standard_error_hold():
    """1/(2 sqrt m) for total variation, 1/sqrt m for Hellinger: far apart or close."""
    rng, m = np.random.default_rng(2), 1_000
    x = rng.standard_normal(m)
    for shift in (0.0, 0.5, 2.0, 6.0, 30.0):
        logs = P.logpdf(x), stats.norm(shift, 0.3).logpdf(x)
        assert total_variation(*logs).standard_error <= 0.502 / np.sqrt(m)
    for shift in (0.0, 0.5, 2.0):
        logs = P.logpdf(x), stats.norm(shift, 1.0).logpdf(x)
        assert hellinger(*logs).standard_error <= 1.1 / np.sqrt(m)


def test_torch_log_densities_are_accepted():
    logs = np.log(np.random.default_rng(3).random((2, 9)))
    for measure in TRUE:
        assert measure(*torch.tensor(logs)) == measure(*logs)


# --- on a line ----------------------------------------------------------------------


@pytest.mark.parametrize("shift", [0.0, 1e-6, 0.3, 2.0, 9.0])
def test_total_variation_of_shifted_gaussians(shift):
    """``TV(N(0, 1), N(d, 1)) = 2 Phi(d / 2) - 1``."""
    q = stats.norm(shift, 1)
    found = total_variation_1d(P.logpdf, q.logpdf, -12.0, 21.0, breaks=[0, shift])
    assert found == pytest.approx(2 * stats.norm.cdf(shift / 2) - 1, abs=1e-8)


def test_total_variation_of_unequal_scales_and_narrow_peaks():
    found = total_variation_1d(P.logpdf, Q.logpdf, -14.0, 14.0)
    assert found == pytest.approx(TRUE[total_variation], abs=1e-8)
    narrow = stats.norm(0.3, 1e-4)
    breaks = [0.3 - 1e-3, 0.3, 0.3 + 1e-3]
    found = total_variation_1d(P.logpdf, narrow.logpdf, -12.0, 12.0, breaks=breaks)
    # Where the peak stands above p: |x - 0.3| < r with both densities equal at r.
    r = 1e-4 * np.sqrt(2 * (narrow.logpdf(0.3) - P.logpdf(0.3)))
    mass = P.cdf(0.3 + r) - P.cdf(0.3 - r)
    wanted = narrow.cdf(0.3 + r) - narrow.cdf(0.3 - r) - mass
    assert found == pytest.approx(wanted, abs=1e-7)


def test_total_variation_1d_says_when_it_fails(monkeypatch):
    """A narrow peak that nobody named, and few subdivisions to find it."""
    few = partial(cubature, max_subdivisions=3)
    monkeypatch.setattr(divergences, "cubature", few)
    with pytest.raises(ArithmeticError, match=r"quadrature .* give breaks"):
        narrow = stats.norm(0.3, 1e-2)
        total_variation_1d(P.logpdf, narrow.logpdf, -12.0, 12.0)


def test_wasserstein_on_a_line_agrees_with_scipy():
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal(50), 2 * rng.standard_normal(50) + 1
    found = wasserstein(x[:, None], y[:, None], order=1)
    assert found.value == pytest.approx(stats.wasserstein_distance(x, y), rel=1e-12)
    assert found.standard_error == 0


@pytest.mark.parametrize("d", [1, 2, 5])
@pytest.mark.parametrize("order", [1, 2, 3.5])
def test_wasserstein_is_the_best_of_all_matchings(d, order):
    rng = np.random.default_rng(5)
    for m in (1, 2, 4, 6):
        x, y = rng.standard_normal((2, m, d))
        costs = np.linalg.norm(x[:, None] - y, axis=2) ** order
        best = min(costs[range(m), list(p)].mean() for p in permutations(range(m)))
        found = wasserstein(x, y, order=order).value
        assert found == pytest.approx(best ** (1 / order), rel=1e-12)


def test_bootstrap_standard_error_is_the_spread_over_repetitions():
    """W_1 of N(0, 1) and N(3, 1) with m = 200: spread 0.1 = sqrt(2 / m)."""
    rng = np.random.default_rng(6)
    found = []
    for _ in range(60):
        x, y = rng.standard_normal((2, 200, 1)) + [[[0.0]], [[3.0]]]
        found.append(wasserstein(x, y, order=1, rng=rng, resamples=60))
    values, errors = np.array(found).T
    assert np.mean(errors) == pytest.approx(np.sqrt(2 / 200), rel=0.05)
    assert np.std(values, ddof=1) == pytest.approx(np.mean(errors), rel=0.25)


# --- Gaussians ----------------------------------------------------------------------


def pair(d, seed=0):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((2, d, 2 * d))
    covs = a @ a.T / d, b @ b.T / d
    return *rng.standard_normal((2, d)), *covs


@pytest.mark.parametrize("d", [1, 2, 6])
def test_gaussian_kl_agrees_with_torch(d):
    mp, mq, cp, cq = pair(d)
    laws = [
        torch.distributions.MultivariateNormal(torch.tensor(m), torch.tensor(c))
        for m, c in ((mp, cp), (mq, cq))
    ]
    wanted = float(torch.distributions.kl_divergence(*laws))
    p, q = Gaussian(mp, cp), Gaussian(mq, cq)
    assert gaussian_kl(p, q) == pytest.approx(wanted, rel=1e-11)
    assert kl_divergence(p, q) == Estimate(gaussian_kl(p, q), 0.0)
    assert gaussian_kl(p, p) == pytest.approx(0, abs=1e-12)


def test_gaussian_kl_with_scalar_and_diagonal_covariances():
    p, q = Gaussian([0.0, 0.0], 2.0), Gaussian([1.0, 0.0], [1.0, 4.0])
    wanted = 0.5 * (2 / 1 + 2 / 4 - 2 + 1 + np.log(4) - 2 * np.log(2))
    assert gaussian_kl(p, q) == pytest.approx(wanted, rel=1e-14)


def test_gaussian_kl_is_infinite_without_absolute_continuity():
    """q flat in a slanted direction, p not; q a point mass; p itself flat."""
    turn, _ = np.linalg.qr(np.random.default_rng(7).standard_normal((3, 3)))
    flat = Gaussian([0.0] * 3, turn @ np.diag([1.0, 2.0, 0.0]) @ turn.T)
    full = Gaussian([0.0] * 3)
    assert gaussian_kl(full, flat) == np.inf
    assert gaussian_kl(full, Gaussian([0.0] * 3, 0.0)) == np.inf
    assert gaussian_kl(flat, full) == np.inf


@pytest.mark.parametrize("d", [1, 2, 6])
def test_gaussian_wasserstein_agrees_with_matrix_square_roots(d):
    mp, mq, cp, cq = pair(d, 1)
    root = sqrtm(cq)
    cross = np.trace(np.real(sqrtm(root @ cp @ root)))
    wanted = np.sum((mp - mq) ** 2) + np.trace(cp) + np.trace(cq) - 2 * cross
    found = gaussian_wasserstein(Gaussian(mp, cp), Gaussian(mq, cq))
    assert found == pytest.approx(np.sqrt(wanted), rel=1e-9)


def test_gaussian_wasserstein_limits():
    p, q = Gaussian([0.0, 0.0], [1.0, 9.0]), Gaussian([3.0, 4.0], [4.0, 1.0])
    assert gaussian_wasserstein(p, q) == pytest.approx(np.sqrt(25 + 1 + 4), rel=1e-14)
    point = Gaussian([0.0, 0.0], 0.0)
    assert gaussian_wasserstein(p, point) == pytest.approx(np.sqrt(10), rel=1e-14)
    assert gaussian_wasserstein(p, p) == pytest.approx(0, abs=1e-7)


def test_matching_large_samples_approaches_the_gaussian_distance():
    p, q = Gaussian([0.0], 1.0), Gaussian([2.0], 4.0)
    x = P.ppf((np.arange(20_000) + 0.5) / 20_000)[:, None]  # evenly spread
    shuffled = np.random.default_rng(8).permutation(2 + 2 * x)
    found = wasserstein(x, shuffled).value
    assert found == pytest.approx(gaussian_wasserstein(p, q), rel=1e-4)


# --- the energy test ----------------------------------------------------------------


def test_energy_statistic_is_its_definition():
    rng = np.random.default_rng(9)
    x, y = rng.standard_normal((7, 2)), rng.standard_normal((5, 2)) + 1

    def mean_distance(a, b):
        return np.mean([[np.linalg.norm(p - q) for q in b] for p in a])

    wanted = 2 * mean_distance(x, y) - mean_distance(x, x) - mean_distance(y, y)
    assert energy_test(x, y, rng)[0] == pytest.approx(wanted, rel=1e-12)
    assert energy_test(x, x, rng)[0] == pytest.approx(0, abs=1e-12)


def test_energy_statistic_of_shifted_gaussians_on_a_line():
    """Twice the squared L2 distance of the distribution functions (Szekely)."""
    rng = np.random.default_rng(10)
    x, y = (P.ppf((np.arange(m) + 0.5) / m)[:, None] for m in (800, 700))
    wanted = 2 * integral(lambda t: (P.cdf(t) - P.cdf(t - 2)) ** 2)
    found, p_value = energy_test(x, y + 2, rng, permutations=19)
    assert found == pytest.approx(wanted, rel=1e-4)
    assert p_value == 1 / 20


def test_p_values_are_uniform_under_the_null():
    """300 tiny experiments of unequal sizes, KS at the level 0.001."""
    rng = np.random.default_rng(11)
    found = [
        energy_test(rng.random((8, 2)), rng.random((11, 2)), rng, permutations=199)[1]
        for _ in range(300)
    ]
    assert stats.kstest(found, "uniform").pvalue > 1e-3
    assert np.mean(np.array(found) <= 0.05) < 0.09
    assert min(found) >= 1 / 200


def test_the_energy_test_has_power():
    rng = np.random.default_rng(12)
    for change in (lambda x: x + 0.6, lambda x: 2 * x, np.abs):
        found = [
            energy_test(
                rng.standard_normal((80, 2)),
                change(rng.standard_normal((80, 2))),
                rng,
                permutations=99,
            )[1]
            for _ in range(20)
        ]
        assert np.mean(np.array(found) <= 0.05) > 0.9


def test_gaussian_hellinger_by_quadrature_and_by_monte_carlo():
    p, q = Gaussian([0.3], [[0.5]]), Gaussian([-0.2], [[2.0]])
    one, two = stats.norm(0.3, 0.5**0.5), stats.norm(-0.2, 2**0.5)
    root = integral(lambda x: np.sqrt(one.pdf(x) * two.pdf(x)))
    assert gaussian_hellinger(p, q) == pytest.approx(1 - root, abs=1e-11)
    rng = np.random.default_rng(3)
    factor = rng.standard_normal((4, 4))
    p = Gaussian(rng.standard_normal(4), factor @ factor.T + np.eye(4))
    q = Gaussian(np.zeros(4), 2.0)
    x = p.sample(200_000, rng)
    laws = (stats.multivariate_normal(g.mean, g.cov) for g in (p, q))
    logs = [law.logpdf(x) for law in laws]
    estimate = hellinger(*logs)
    gap = abs(estimate.value - gaussian_hellinger(p, q))
    assert gap < 4 * estimate.standard_error < 0.01


def test_gaussian_hellinger_at_its_ends():
    law = Gaussian(np.zeros(3), [1.0, 2.0, 3.0])
    assert gaussian_hellinger(law, law) == 0
    assert gaussian_hellinger(law, Gaussian(np.zeros(3), [1.0, 0.0, 1.0])) == 1
    near = Gaussian(np.full(3, 1e-4), [1.0, 2.0, 3.0])
    assert gaussian_hellinger(law, near) == pytest.approx(1e-8 / 8 * 11 / 6, rel=1e-5)
    assert gaussian_hellinger(law, Gaussian(np.full(3, 1e3), 1.0)) == 1
    with pytest.raises(TypeError, match="q must be a Gaussian"):
        gaussian_hellinger(law, 1.0)
