"""The contract that every score of the library keeps, whatever it is made of."""

import copy
import importlib
import inspect
import pkgutil

import numpy as np
import pytest
import torch

import empirical_score as es
from empirical_score.exact.score import PathScore
from empirical_score.smoothed import smoothers

RNG = np.random.default_rng(5)
PLANE = RNG.standard_normal((12, 2))
LINE = np.array([[-1.0], [0.4], [1.0]])
EMPIRICAL = es.EmpiricalScore(PLANE)
DRAWS = smoothers.antithetic_draws(6, 2, np.random.default_rng(1))
WIDE = np.random.default_rng(2).standard_normal((30, 12))

SCORES = {
    "gaussian": es.Gaussian([0.5, 0.0], [1.0, 2.0]),
    "mixture": es.GaussianMixture(PLANE[:3], 0.3),
    "empirical": EMPIRICAL,
    "empirical, to a tolerance": es.EmpiricalScore(PLANE, tolerance=1e-6),
    "empirical, many dimensions": es.EmpiricalScore(WIDE, tolerance=1e-6),
    "tempered": es.TemperedScore(PLANE, 2.0),
    "tempered, neighbors": es.TemperedScore(EMPIRICAL, 2.0, neighbors=4),
    "convolved": es.ConvolvedScore(PLANE, 0.3, DRAWS),
    "log smoothed": es.LogSmoothedScore(EMPIRICAL, smoothers.polar_moves([-0.1, 0.1])),
    "switched": es.SwitchedScore(es.Gaussian([0.0, 0.0]), EMPIRICAL, 0.8),
    "graph ramp": es.GraphRampScore(PLANE, [[0, 1], [1, 2]], 0.5),
    "ramp": es.RampScore(LINE, 0.5),
    "smoothest": es.SmoothestScore(LINE, 0.1),
    "unconditional": es.UnconditionalScore(PLANE, weight_power=1.0),
    "unconditional, shared": es.UnconditionalScore(
        PLANE, weight_power=1.0, component="shared"
    ),
    "neighbor target": es.NeighborTarget(PLANE, 3),
    "network": es.Denoiser(2, np.random.default_rng(3), hidden=(4,)),
}
ELSEWHERE = {es.ShardedScore, PathScore}  # need processes or a path: tests of their own
LEVELS = np.array([0.5, 1.3, 0.7, 0.5])


def places(score):
    return np.random.default_rng(7).standard_normal((4, score.dimension))


def numbers(values):
    if isinstance(values, torch.Tensor):
        values = values.detach().numpy()
    return np.asarray(values, float)


def every():
    return pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)


def subclasses(kind):
    for inner in kind.__subclasses__():
        yield inner
        yield from subclasses(inner)


def test_every_score_of_the_library_is_tried():
    for module in pkgutil.walk_packages(es.__path__, "empirical_score."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    made = {kind for kind in subclasses(es.Score) if "empirical" in kind.__module__}
    assert made - {type(s) for s in SCORES.values()} - ELSEWHERE == {es.Density}


@every()
def test_the_call_is_the_score_and_has_the_shape_of_x(score):
    x = places(score)
    found = numbers(score(x, 0.7))
    assert found.shape == x.shape and np.all(np.isfinite(found))
    np.testing.assert_array_equal(found, numbers(score.score(x, 0.7)))
    assert numbers(score.denoise(x, 0.7)).shape == x.shape


@pytest.mark.parametrize("name", [name for name in SCORES if name != "unconditional"])
def test_score_and_denoiser_obey_tweedie(name):
    """All but the score whose level is that which x implies."""
    score = SCORES[name]
    x = places(score)
    by_score = x + 0.49 * numbers(score(x, 0.7))
    np.testing.assert_allclose(by_score, numbers(score.denoise(x, 0.7)), atol=1e-5)


@every()
def test_rows_do_not_see_each_other(score):
    x = places(score)
    whole = numbers(score(x, LEVELS))
    for row in range(4):
        alone = numbers(score(x[row : row + 1], float(LEVELS[row])))
        np.testing.assert_allclose(alone[0], whole[row], rtol=1e-5, atol=1e-5)


@every()
def test_numpy_and_torch_agree_and_x_is_left_alone(score):
    x = places(score)
    kept = x.copy()
    found = score(torch.tensor(x), torch.tensor(LEVELS))
    assert isinstance(found, torch.Tensor)
    expected = numbers(score(x, LEVELS))
    np.testing.assert_allclose(numbers(found), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(x, kept)


@every()
@pytest.mark.parametrize("call", ["__call__", "score", "denoise"])
def test_bad_arguments_are_named(score, call):
    x, ask = places(score), getattr(score, call)
    for bad in (x[0], x[:, :0], np.hstack([x, x]), np.where(x == x, np.nan, x)):
        with pytest.raises(ValueError, match=r"^x "):
            ask(bad, 0.7)
    with pytest.raises(TypeError, match=r"^x "):
        ask(x.astype(complex), 0.7)
    for bad in (0.0, -1.0, np.nan, np.inf, np.ones(3)):
        with pytest.raises(ValueError, match=r"^sigma "):
            ask(x, bad)


@every()
def test_a_copy_is_the_same_score(score):
    x = places(score)
    again = numbers(copy.deepcopy(score)(x, 0.7))
    np.testing.assert_array_equal(again, numbers(score(x, 0.7)))


@every()
def test_what_is_made_of_it_is_said_in_a_line(score):
    assert repr(score).startswith(type(score).__name__) and "\n" not in repr(score)


@pytest.mark.parametrize(
    "score", [s for s in SCORES.values() if isinstance(s, es.Density)]
)
def test_a_density_has_its_score_for_gradient(score):
    x, step = places(score), 1e-4
    for axis in range(score.dimension):
        shift = step * np.eye(score.dimension)[axis]
        rise = score.log_density(x + shift, 0.7) - score.log_density(x - shift, 0.7)
        slope = numbers(score(x, 0.7))[:, axis]
        np.testing.assert_allclose(rise / (2 * step), slope, rtol=1e-4, atol=1e-5)


def test_a_score_of_ones_own_needs_a_denoiser_only():
    class Half(es.Score):
        dimension = 1

        def denoise(self, x, sigma):
            x, _ = self._arguments(x, sigma)
            return x / 2

    np.testing.assert_allclose(Half()(np.array([[4.0]]), 2.0), [[-0.5]])
    levels = [2.0, 1.0, 0.5]
    assert es.sample_ode(Half(), np.array([[4.0]]), levels).shape == (1, 1)
    assert inspect.signature(Half().score) == inspect.signature(es.Score().score)


def test_a_score_without_a_denoiser_says_what_is_missing():
    class Nothing(es.Density):
        dimension = 1

    for ask in (Nothing().score, Nothing().denoise, Nothing().log_density):
        with pytest.raises(NotImplementedError, match=r"Nothing must define \w+\(x, s"):
            ask(np.array([[4.0]]), 2.0)


def test_smoothers_take_the_points_or_their_score():
    x = places(EMPIRICAL)
    for make in (
        lambda data: es.TemperedScore(data, 2.0),
        lambda data: es.ConvolvedScore(data, 0.3, DRAWS),
        lambda data: es.GraphRampScore(data, [[0, 1]], 0.5),
        lambda data: es.UnconditionalScore(data, weight_power=1.0),
        lambda data: es.NeighborTarget(data, 2),
    ):
        np.testing.assert_array_equal(make(PLANE)(x, 0.7), make(EMPIRICAL)(x, 0.7))
        with pytest.raises(TypeError, match="an EmpiricalScore, .* got Gaussian"):
            make(es.Gaussian([0.0, 0.0]))
    rough = es.EmpiricalScore(PLANE, tolerance=0.1)
    assert es.TemperedScore(rough, 2.0)._base is rough
    with pytest.raises(ValueError, match="memory is that of the score"):
        es.TemperedScore(EMPIRICAL, 2.0, memory=10**6)
