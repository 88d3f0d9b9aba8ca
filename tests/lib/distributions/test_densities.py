"""Gaussians and mixtures against scipy, quadrature, autograd and joint normal laws."""

import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from oracles import exact_posterior
from scipy import stats
from scipy.integrate import quad

from empirical_score import EmpiricalScore, Gaussian, GaussianMixture

METHODS = ["score", "denoise", "log_density"]


def covariance(rng, d):
    factor = rng.standard_normal((d, d))
    return factor @ factor.T / d


def close(found, wanted, tolerance=1e-11):
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


def gaussians(d, seed=0):
    """Every way to write a covariance, with the matrix that it stands for."""
    rng = np.random.default_rng(seed)
    mean, full = rng.standard_normal(d), covariance(rng, d)
    diagonal = rng.uniform(0.1, 2.0, d)
    low_rank = np.outer(diagonal, diagonal)
    for cov, matrix in (
        (0.0, np.zeros((d, d))),
        (1.7, 1.7 * np.eye(d)),
        (diagonal, np.diag(diagonal)),
        (full, full),
        (low_rank, low_rank),
    ):
        yield Gaussian(mean, cov), mean, matrix


def mixture(d, seed=0):
    """A mixture with full covariances, and its ingredients."""
    rng = np.random.default_rng(seed)
    means, weights = rng.standard_normal((3, d)), np.array([0.5, 0.3, 0.2])
    covs = np.stack([covariance(rng, d) for _ in range(3)])
    return GaussianMixture(means, covs, weights), means, covs, weights


def scipy_log_density(x, sigma, means, covs, weights):
    noise = sigma**2 * np.eye(x.shape[1])
    logs = [
        np.log(w) + stats.multivariate_normal(m, c + noise).logpdf(x)
        for m, c, w in zip(means, covs, weights, strict=True)
    ]
    return np.logaddexp.reduce(np.atleast_2d(logs).reshape(len(means), -1), axis=0)


@pytest.mark.parametrize("d", [1, 2, 5])
@pytest.mark.parametrize("sigma", [0.05, 0.7, 20.0])
def test_log_density_agrees_with_scipy(d, sigma):
    x = 2 * np.random.default_rng(9).standard_normal((8, d))
    for law, mean, cov in gaussians(d):
        wanted = scipy_log_density(x, sigma, [mean], [cov], [1.0])
        close(law.log_density(x, sigma), wanted)
    law, *parts = mixture(d)
    close(law.log_density(x, sigma), scipy_log_density(x, sigma, *parts))


def torch_log_density(x, sigma, means, covs, weights):
    """The textbook formula, by Cholesky factors and in torch."""
    noise = torch.eye(x.shape[1], dtype=torch.float64) * sigma**2
    logs = [
        torch.distributions.MultivariateNormal(
            torch.tensor(m), torch.tensor(c) + noise
        ).log_prob(x)
        + np.log(w)
        for m, c, w in zip(means, covs, weights, strict=True)
    ]
    return torch.logsumexp(torch.stack(logs), 0)


@pytest.mark.parametrize("d", [1, 2, 5])
@pytest.mark.parametrize("sigma", [0.05, 0.7, 20.0])
def test_score_is_the_gradient_of_an_independent_log_density(d, sigma):
    x = 2 * np.random.default_rng(8).standard_normal((8, d))
    law, *parts = mixture(d)
    cases = [(g, [m], [c], [1.0]) for g, m, c in gaussians(d)] + [(law, *parts)]
    for law, *parts in cases:
        place = torch.tensor(x, requires_grad=True)
        torch_log_density(place, sigma, *parts).sum().backward()
        close(law.score(x, sigma), place.grad.numpy(), 1e-10)
        close(law(x, sigma), place.grad.numpy(), 1e-10)


@pytest.mark.parametrize("sigma", [1e-8, 1e-3, 1.0, 1e8])
def test_gradient_of_log_density_is_the_score_at_all_noise_levels(sigma):
    law, means, *_ = mixture(3)
    x = torch.tensor(means + np.array([[0.3], [0.1], [sigma]]), requires_grad=True)
    (gradient,) = torch.autograd.grad(law.log_density(x, sigma).sum(), x)
    close(law.score(x.detach(), sigma), gradient, 1e-10)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 4.0])
def test_denoiser_is_the_posterior_mean_by_quadrature(sigma):
    """``int y p(y) N(x; y, sigma^2) dy`` over its normalizer, on a line."""
    means, variances, weights = [-1.0, 2.0], [0.2, 0.5], [0.3, 0.7]
    mix = GaussianMixture(np.array(means)[:, None], variances, weights)
    one = Gaussian([2.0], 0.5)

    def normal(y, mean, variance):
        gap = (y - mean) ** 2 / variance
        return math.exp(-gap / 2) / math.sqrt(2 * math.pi * variance)

    def joint(y, x, parts):
        prior = sum(w * normal(y, m, v) for w, m, v in parts)
        return prior * normal(x, y, sigma**2)

    mix_parts = list(zip(weights, means, variances, strict=True))
    for law, parts in ((mix, mix_parts), (one, [(1.0, 2.0, 0.5)])):
        for x in (-2.0, 0.4, 3.0):

            def moment(k, x=x, parts=parts):
                return quad(
                    lambda y: y**k * joint(y, x, parts),
                    *(-15, 15),
                    points=[-1.0, 2.0, x],
                    epsabs=1e-15,
                    epsrel=1e-13,
                )[0]

            mean = moment(1) / moment(0)
            place = np.array([[x]])
            assert law.denoise(place, sigma)[0, 0] == pytest.approx(mean, rel=1e-9)
            variance = moment(2) / moment(0) - mean**2
            product = law.covariance_product(place, sigma, np.ones((1, 1)))[0, 0]
            assert product == pytest.approx(variance, rel=1e-7)
            assert law.log_density(place, sigma)[0] == pytest.approx(
                np.log(moment(0)), abs=1e-10
            )


@pytest.mark.parametrize("sigma", [0.2, 1.0, 9.0])
def test_gaussian_covariance_product_is_the_conditioned_joint_law(sigma):
    """``Cov[Y | X] = C - C (C + sigma^2 I)^{-1} C``, solved as a linear system."""
    rng = np.random.default_rng(3)
    x, v = rng.standard_normal((2, 4, 5))
    for law, _, cov in gaussians(5):
        total = cov + sigma**2 * np.eye(5)
        posterior = cov - cov @ np.linalg.solve(total, cov)
        close(law.covariance_product(x, sigma, v), v @ posterior, 1e-10)
        close(law.cov, cov, 1e-14)


@pytest.mark.parametrize("sigma", [0.2, 1.0, 9.0])
def test_mixture_covariance_product_is_the_hessian(sigma):
    law, *parts = mixture(3)
    rng = np.random.default_rng(4)
    x, v = rng.standard_normal((2, 3, 3))
    found = law.covariance_product(x, sigma, v)
    for i in range(3):
        hessian = torch.autograd.functional.hessian(
            lambda p: torch_log_density(p[None], sigma, *parts)[0], torch.tensor(x[i])
        ).numpy()
        close(found[i], sigma**2 * (v[i] + sigma**2 * hessian @ v[i]), 1e-9)


def test_mixture_weights_are_bayes_rule():
    law, means, covs, weights = mixture(2)
    x, sigma = np.random.default_rng(5).standard_normal((6, 2)), 0.6
    logs = [
        scipy_log_density(x, sigma, [m], [c], [w])
        for m, c, w in zip(means, covs, weights, strict=True)
    ]
    joint = np.exp(np.stack(logs, axis=1))
    wanted = joint / joint.sum(1, keepdims=True)
    close(law.weights(x, sigma), wanted)
    close(law.log_weights(x, sigma), np.log(wanted))


@given(
    st.integers(0, 2**32 - 1), st.integers(1, 8), st.floats(-3, 3).map(lambda e: 10**e)
)
def test_mixture_of_point_masses_is_the_empirical_score(seed, d, sigma):
    rng = np.random.default_rng(seed)
    data = rng.standard_normal((6, d))
    x = data[:3] + sigma * rng.standard_normal((3, d))
    points, law = GaussianMixture(data, 0.0), EmpiricalScore(data)
    scale = 1 + np.abs(law.score(x, sigma)).max()
    close(points.score(x, sigma) / scale, law.score(x, sigma) / scale)
    for method in ("denoise", "weights", "log_density"):
        close(getattr(points, method)(x, sigma), getattr(law, method)(x, sigma), 1e-9)
    product = law.covariance_product(x, sigma, x)
    close(points.covariance_product(x, sigma, x), product, 1e-9)
    true = exact_posterior(data, x[0], sigma)
    close(points.denoise(x, sigma)[0], true.denoise, 1e-9)


def exact_law(x, sigma, v, means, covs, weights):
    """Log density, score, denoiser and covariance times v of a mixture, 80 digits."""
    with mpmath.workdps(80):
        x, v, noise = mpmath.matrix(x), mpmath.matrix(v), mpmath.mpf(sigma) ** 2
        parts = []
        for mean, cov, weight in zip(means, covs, weights, strict=True):
            gap, cov = x - mpmath.matrix(mean), mpmath.matrix(cov)
            total = cov + noise * mpmath.eye(len(x))
            pull = mpmath.lu_solve(total, gap)
            log = mpmath.log(weight) - mpmath.log(mpmath.det(total * 2 * mpmath.pi)) / 2
            within = cov * v - cov * mpmath.lu_solve(total, cov * v)
            parts.append((log - (gap.T * pull)[0] / 2, pull, within))
        top = max(log for log, *_ in parts)
        total = mpmath.fsum(mpmath.exp(log - top) for log, *_ in parts)
        shares = [mpmath.exp(log - top) / total for log, *_ in parts]
        score, product = 0 * x, 0 * x
        for share, (_, pull, _) in zip(shares, parts, strict=True):
            score -= share * pull
        for share, (_, pull, within) in zip(shares, parts, strict=True):
            offset = -noise * (pull + score)
            product += share * (within + offset * (offset.T * v)[0])
        values = [top + mpmath.log(total)], score, x + noise * score, product
        return [np.array([float(number) for number in part]) for part in values]


@pytest.mark.parametrize("sigma", [1e-8, 1e-4, 1e4, 1e8])
def test_extreme_noise_against_80_digits(sigma):
    places = np.array([[0.3, -1e4, 2.0], [1e6, 0.0, 1.0], [0.5, 0.25, -1.0]])
    mean, ray = np.array([0.5, -1.0, 2.0]), np.array([1.0, 2.0, -0.5])
    full = np.diag([1.0, 2.0, 0.5]) + np.outer(ray, ray)
    laws = [
        (Gaussian(mean, cov), [mean], [cov if np.ndim(cov) else cov * np.eye(3)], [1.0])
        for cov in (0.0, 1.75, np.diag([0.5, 1.0, 8.0]), full, np.outer(ray, ray))
    ]
    laws.append((mixture(3)[0], *mixture(3)[1:]))
    for law, *parts in laws:
        for x in places:
            methods = [
                getattr(law, name) for name in ("log_density", "score", "denoise")
            ]
            found = [method(x[None], sigma)[0] for method in methods]
            found += [law.covariance_product(x[None], sigma, ray[None])[0]]
            wanted = exact_law(x, sigma, ray, *parts)
            sizes = [np.linalg.norm(value) + 1e-100 for value in wanted]
            sizes[2] += np.linalg.norm(x) / 100  # the denoiser is x and a shift
            for one, other, size in zip(found, wanted, sizes, strict=True):
                assert np.linalg.norm(one - other) < 1e-9 * size


def test_small_covariances_are_kept():
    """The threshold that cleans singular matrices is relative, not absolute."""
    close(Gaussian([0.0, 0.0], 1e-14 * np.eye(2)).variances, [1e-14, 1e-14], 1e-20)
    singular = Gaussian([0.0, 0.0], 1e-14 * np.ones((2, 2)))
    assert singular.variances[0] == 0


def test_covariances_of_a_mixture_in_every_form():
    means, x = np.array([[0.0, 1.0], [2.0, 0.0], [1.0, 1.0]]), np.array([[0.5, 0.5]])
    shared = np.array([[1.0, 0.3], [0.3, 0.5]])
    forms = [
        (0.7, [0.7 * np.eye(2)] * 3),
        ([0.1, 0.2, 0.3], [v * np.eye(2) for v in (0.1, 0.2, 0.3)]),
        (shared, [shared] * 3),
        ([shared, 2 * shared, np.eye(2)], [shared, 2 * shared, np.eye(2)]),
    ]
    for covs, matrices in forms:
        wanted = scipy_log_density(x, 0.4, means, matrices, [1 / 3] * 3)
        close(GaussianMixture(means, covs).log_density(x, 0.4), wanted)


# --- kinds --------------------------------------------------------------------------


def test_torch_gives_what_numpy_gives():
    x, sigma = np.random.default_rng(6).standard_normal((5, 3)), np.full(5, 0.8)
    tensors = torch.tensor(x), torch.tensor(sigma)
    for law in [g for g, *_ in gaussians(3)] + [mixture(3)[0]]:
        for method in METHODS:
            found = getattr(law, method)(*tensors)
            assert isinstance(found, torch.Tensor) and found.dtype == torch.float64
            close(found.numpy(), getattr(law, method)(x, sigma), 1e-12)
        wanted = law.covariance_product(x, sigma, x)
        found = law.covariance_product(*tensors, tensors[0])
        close(found.numpy(), wanted, 1e-12)
        draws = [
            law.sample_posterior(a, b, 0.3, np.random.default_rng(1))
            for a, b in ((x, sigma), tensors)
        ]
        close(draws[1].numpy(), draws[0], 1e-12)


def test_float32_points_give_float32_answers():
    x = np.ones((2, 3), np.float32)
    for law in [g for g, *_ in gaussians(3)] + [mixture(3)[0]]:
        found = [getattr(law, m)(x, 0.5) for m in METHODS]
        found += [law.covariance_product(x, 0.5, x)]
        found += [law.sample_posterior(x, 0.5, 0.1, np.random.default_rng(0))]
        assert {f.dtype for f in found} == {np.dtype(np.float32)}
        place = torch.tensor(x)
        assert law.score(place, 0.5).dtype == torch.float32


# --- sampling -----------------------------------------------------------------------


def assert_moments(drawn, mean, cov):
    """All z-scores of mean and covariance below 4.5 (of at most 20 numbers each)."""
    m = len(drawn)
    scale = np.sqrt(np.diag(cov) / m)
    still = np.diag(cov) < 1e-12 * np.diag(cov).max(initial=1e-300)
    moving = ~still
    z = (drawn.mean(0) - mean)[moving] / scale[moving]
    assert np.all(np.abs(z) < 4.5)
    close(drawn[:, still], np.broadcast_to(mean[still], (m, still.sum())), 1e-12)
    centered = drawn - mean
    products = centered[:, :, None] * centered[:, None, :]
    error = products.std(0) / np.sqrt(m)
    assert np.all(np.abs(products.mean(0) - cov) <= 4.5 * error + 1e-12)


def test_samples_have_the_moments_of_the_law():
    m = 40_000
    for law, mean, cov in gaussians(3):
        assert_moments(law.sample(m, np.random.default_rng(0)), mean, cov)
    law, means, covs, weights = mixture(3)
    mean = weights @ means
    between = np.einsum("k,ki,kj->ij", weights, means - mean, means - mean)
    cov = np.einsum("k,kij->ij", weights, covs) + between
    assert_moments(law.sample(m, np.random.default_rng(1)), mean, cov)
    assert_moments(law.sample(m, torch.Generator().manual_seed(1)), mean, cov)


def joint_posterior(mean, cov, x, sigma, end):
    """Mean and covariance of ``X_end`` given ``X_sigma = x`` by the block formula.

    ``X_end = Y + end Z`` and ``X_sigma = X_end + sqrt(sigma^2 - end^2) Z'``.
    """
    d = len(mean)
    first = cov + end**2 * np.eye(d)
    joint = np.block([[first, first], [first, cov + sigma**2 * np.eye(d)]])
    a, b, c = joint[:d, :d], joint[:d, d:], joint[d:, d:]
    gain = b @ np.linalg.inv(c)
    return mean + gain @ (x - mean), a - gain @ b.T


@pytest.mark.parametrize("end", [0.0, 0.4])
def test_posterior_samples_have_the_moments_of_the_joint_law(end):
    x, sigma, m = np.array([0.4, -1.0, 0.7]), 0.9, 40_000
    places = np.tile(x, (m, 1))
    for law, mean, cov in gaussians(3):
        drawn = law.sample_posterior(places, sigma, end, np.random.default_rng(2))
        mean, cov = joint_posterior(mean, cov, x, sigma, end)
        if end == 0:  # singular covariances: compare along the axes that move
            cov = np.where(np.abs(cov) < 1e-14, 0, cov)
        assert_moments(drawn, mean, cov)


def test_each_row_has_its_own_place_and_level():
    rng = np.random.default_rng(11)
    x, sigma, end = rng.standard_normal((5, 3)), np.linspace(0.3, 2.0, 5), 0.2
    for law in [g for g, *_ in gaussians(3)] + [mixture(3)[0]]:
        for name in (*METHODS, "covariance_product"):
            method, more = getattr(law, name), ([x] if name[0] == "c" else [])
            alone = [
                method(x[[i]], sigma[i], *(v[[i]] for v in more))[0] for i in range(5)
            ]
            close(method(x, sigma, *more), alone)
    # Interleaved rows of two kinds, each with the moments of its own posterior.
    m, (law, mean, cov) = 20_000, list(gaussians(3))[3]
    places, levels = np.tile(x[:2], (m, 1)), np.tile([0.9, 0.4], m)
    drawn = law.sample_posterior(places, levels, end, np.random.default_rng(12))
    for k, level in enumerate((0.9, 0.4)):
        assert_moments(drawn[k::2], *joint_posterior(mean, cov, x[k], level, end))


def test_mixture_posterior_samples_stay_with_the_component_of_their_row():
    law = GaussianMixture([[-50.0, 0.0], [50.0, 0.0], [0.0, 50.0]], 0.01)
    x = law.means[[0, 2, 1, 1, 0, 2, 2]] + [0.5, -0.5]
    sigma = np.linspace(0.5, 1.0, 7)
    drawn = law.sample_posterior(x, sigma, 0.0, np.random.default_rng(13))
    nearest = np.argmin(np.linalg.norm(drawn[:, None] - law.means, axis=2), axis=1)
    assert nearest.tolist() == [0, 2, 1, 1, 0, 2, 2]
    assert np.all(np.abs(drawn - law.means[nearest]) < 0.5)


def test_mixture_posterior_samples_have_the_law_of_the_conditioned_mixture():
    """One coordinate against its exact distribution function, KS level 0.001."""
    law, means, covs, weights = mixture(2)
    x, sigma, end, m = np.array([0.3, -0.4]), 0.8, 0.3, 20_000
    parts = [
        joint_posterior(a, c, x, sigma, end) for a, c in zip(means, covs, strict=True)
    ]
    prior = [
        w * np.exp(scipy_log_density(x[None], sigma, [a], [c], [1.0])[0])
        for a, c, w in zip(means, covs, weights, strict=True)
    ]
    posterior = np.array(prior) / np.sum(prior)

    def cdf(values):
        columns = [stats.norm.cdf(values, a[0], c[0, 0] ** 0.5) for a, c in parts]
        return np.stack(columns, axis=1) @ posterior

    places, rng = np.tile(x, (m, 1)), np.random.default_rng(3)
    drawn = law.sample_posterior(places, sigma, end, rng)
    assert stats.kstest(drawn[:, 0], cdf).pvalue > 1e-3
    middle = law.sample_posterior(places, sigma, 0.5, rng)
    drawn = law.sample_posterior(middle, 0.5, end, rng)
    assert stats.kstest(drawn[:, 0], cdf).pvalue > 1e-3
    assert stats.kstest(1.05 * drawn[:, 0], cdf).pvalue < 1e-3  # it can reject
