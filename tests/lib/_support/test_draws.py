"""A generator or a seed: one generator is made of a seed, before the first draw."""

import numpy as np
import pytest
import torch

import empirical_score as es
from empirical_score import curves, datasets, linear
from empirical_score._support.draws import as_generator, as_numpy_generator, normal

DATA = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0], [0.5, 0.5]])
X = np.array([[0.1, 0.2], [1.0, 2.0], [-1.0, 0.0]])
LEVELS = [2.0, 1.0, 0.5]
GAUSSIAN = es.Gaussian([0.0, 0.0], np.eye(2))
MIXTURE = es.GaussianMixture(DATA, 0.1)


def network(rng):
    return es.Denoiser(2, rng, hidden=(3, 3))(X, 0.5)


def trained(rng):
    run = es.train(es.Denoiser(2, 0, hidden=(3,)), DATA, (0.1, 1), rng, steps=3)
    return [record.loss for record in run]


# Every public function of these packages that draws.
DRAWS = {
    "gaussian.sample": lambda rng: GAUSSIAN.sample(5, rng),
    "gaussian.posterior": lambda rng: GAUSSIAN.sample_posterior(X, 1.0, 0.5, rng),
    "mixture.sample": lambda rng: MIXTURE.sample(5, rng),
    "mixture.posterior": lambda rng: MIXTURE.sample_posterior(X, 1.0, 0.5, rng),
    "leakage": lambda rng: es.leakage_bounds(MIXTURE, 1.0, 3, rng, draws=9),
    "wasserstein": lambda rng: es.wasserstein(
        X[:, :1], 2 * X[:, 1:], rng=rng, resamples=5
    ),
    "energy": lambda rng: es.energy_test(X, 2 * X, rng, permutations=19),
    "euler": lambda rng: es.sample_sde(GAUSSIAN, X, LEVELS, rng),
    "ancestral": lambda rng: es.sample_sde(GAUSSIAN, X, LEVELS, rng, "ancestral"),
    "corrected": lambda rng: es.sample_corrected(GAUSSIAN, X, LEVELS, rng),
    "curve": lambda rng: curves.two_moons().sample(5, rng),
    "linear": lambda rng: linear.generator(DATA, 1.0, rng).variances,
    "network": network,
    "train": trained,
    "datasets.gaussian": lambda rng: datasets.gaussian(5, rng),
    "datasets.mixture": lambda rng: datasets.mixture(5, rng),
    "datasets.two_moons": lambda rng: datasets.two_moons(5, rng),
    "datasets.circle": lambda rng: datasets.circle(5, rng, noise=0.1),
    "datasets.swiss_roll": lambda rng: datasets.swiss_roll(5, rng, noise=0.1),
    "datasets.segments": lambda rng: datasets.segments(5, rng),
    "datasets.color_patches": lambda rng: datasets.color_patches(5, rng),
}


@pytest.mark.parametrize("name", DRAWS)
def test_a_seed_is_its_numpy_generator(name):
    """Also where several numbers are drawn: the seed does not start anew."""
    draw = DRAWS[name]
    wanted = draw(np.random.default_rng(7))
    for seed in (7, np.int64(7)):
        np.testing.assert_array_equal(draw(seed), wanted)
    assert not np.array_equal(draw(8), wanted)


@pytest.mark.parametrize("name", DRAWS)
def test_no_seed_is_no_seed(name):
    for rng in (True, "7", 7.0):
        kind = type(rng).__name__
        message = rf"^rng must be a numpy.random.Generator .*int seed, got {kind}$"
        with pytest.raises(TypeError, match=message):
            DRAWS[name](rng)
    if name != "datasets.circle":
        with pytest.raises(TypeError, match="^rng must be .* got NoneType$"):
            DRAWS[name](None)
    with pytest.raises(ValueError, match="^rng must be .* seed >= 0, got -1$"):
        DRAWS[name](-1)


def test_a_generator_stays_itself():
    rng, tensor = np.random.default_rng(0), torch.Generator()
    assert as_generator(rng) is rng and as_numpy_generator(rng) is rng
    assert as_generator(tensor) is tensor
    with pytest.raises(TypeError, match="int seed, got Generator$"):
        as_numpy_generator(tensor)


def test_a_draw_within_a_function_takes_no_seed():
    """Two draws of one seed would be the same numbers: the face makes a generator."""
    with pytest.raises(TypeError, match="^rng must be .* got int$"):
        normal(7, (3,), X)


def test_the_generator_of_a_seed_reaches_a_function_of_levels():
    seen = []

    def levels(count, rng):
        seen.append(rng)
        return rng.uniform(0.5, 1.0, count)

    run = es.train(es.Denoiser(2, 0, hidden=(3,)), DATA, levels, 3, steps=2)
    assert len(list(run)) == 2
    assert len(seen) == 2 and seen[0] is seen[1]
    assert isinstance(seen[0], np.random.Generator)
