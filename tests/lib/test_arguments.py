"""What holds for the arguments of all public functions: names in errors, defaults."""

import math
import re
from functools import partial

import numpy as np
import pytest

import empirical_score as es
from empirical_score import curves, graph_ramp, linear, relative, smoothers

DATA = np.random.default_rng(0).standard_normal((6, 2))
LINE = DATA[:, :1]
X = DATA + 0.3
PAIR = np.array([[-1.0], [1.0]])
LAW = es.Gaussian([0.0, 0.0], [1.0, 2.0])
MIX = es.GaussianMixture(DATA, 0.5)
TIME = es.OrnsteinUhlenbeck()
PATH = es.FlowMatching()
DRAWS = smoothers.hermite_draws(3, 2)[0]
LOGS = np.log([0.2, 0.5, 0.3])
UNEVEN = np.log([0.3, 0.3, 0.4])
RAMP = es.RampScore(LINE, 0.5)
END = RAMP.terminal_law(es.Gaussian([0.0]), 0.1)
GRAPH = es.GraphRampScore(DATA, graph_ramp.chain(6), 0.5)
TEMPERED = es.TemperedScore(DATA, 2.0)
TARGET = es.NeighborTarget(DATA, 2)
FREE = es.UnconditionalScore(DATA, weight_power=1)
NETWORK = es.Denoiser(2, np.random.default_rng(0), hidden=(3,))
FIT = es.LinearDenoiser(X + DATA[::-1], DATA)
SIZES = {"n": 9, "d": 3, "nu": 0.7}


def normal(x):
    return -(x**2) / 2


def rng():
    return np.random.default_rng(1)


def train(**options):
    given = {"data": DATA, "sigma": 0.5, "steps": 2} | options
    network = es.Denoiser(2, rng(), hidden=(3,))
    records = list(es.train(network, given.pop("data"), rng=rng(), **given))
    return [record[1:] for record in records], network(X, 0.5)


def network(**options):
    given = {"dimension": 2} | options
    return es.Denoiser(rng=rng(), **given)(X, 0.5)


def levels_of(score):
    return lambda **options: score(X, **options)


NUMBERS = [
    (es.information_density, {"x": X, "y": DATA, "sigma": 1.0}, {"law": LAW}),
    (es.mutual_information, {"variances": [1.0, 2.0], "sigma": 1.0}, {}),
    (es.renyi_information, {"variances": [1.0], "sigma": 1.0, "order": 1.5}, {}),
    (es.leakage_bounds, {"sigma": 1.0, "n": 3}, {"law": [1.0]}),
    (es.leakage_bounds, {"draws": 5}, {"law": LAW, "sigma": 1.0, "n": 3, "rng": rng()}),
    (es.collapse_level, {"variances": [1.0], "n": 3}, {}),
    (es.score_error_constant, {"variances": [1.0], "sigma": 1.0}, {}),
    (es.log_wills_functional, {"dimension": 2, "radius": 1.0, "sigma": 1.0}, {}),
    (
        es.sample_corrected,
        {"x": X, "levels": [2.0, 1.0], "size": 0.1, "temperature": 1.0},
        {"score": LAW, "rng": rng()},
    ),
    (es.sample_fixed_point, {"x": X, "steps": 2, "rate": 0.3}, {"denoise": np.sin}),
    (partial(curves.Curve, np.sin), {"count": 9}, {}),
    (curves.circle, {"radius": 1.0}, {}),
    (curves.swiss_roll, {"turns": 1.0}, {}),
    (curves.circle().sample, {"n": 3}, {"rng": rng()}),
    (curves.circle().equally_spaced, {"count": 3}, {}),
    (curves.circle().distance, {"x": X}, {}),
    (curves.circle().coverage, {"x": X, "radius": 0.5}, {}),
    (es.Gaussian, {"mean": [0.0, 1.0], "cov": np.eye(2)}, {}),
    (
        es.GaussianMixture,
        {"means": DATA[:2], "covs": 1.0, "weights": [0.5, 0.5]},
        {},
    ),
    (
        partial(es.total_variation_1d, normal, normal),
        {"low": -1, "high": 1, "tolerance": 1e-3},
        {},
    ),
    (es.kl_divergence, {"log_p": LOGS, "log_q": LOGS}, {}),
    (es.wasserstein, {"x": X, "y": DATA, "order": 2, "resamples": 3}, {"rng": rng()}),
    (es.energy_test, {"x": X, "y": DATA, "permutations": 19}, {"rng": rng()}),
    (es.GraphRampScore, {"data": DATA, "edges": [[0, 1]], "kappa": 0.1}, {}),
    (GRAPH.nearest_edge, {"x": X}, {}),
    (graph_ramp.chain, {"count": 3}, {}),
    (graph_ramp.spanning_tree, {"data": DATA}, {}),
    (graph_ramp.neighbor_graph, {"data": DATA, "k": 2}, {}),
    (es.LinearDenoiser, {"x": X, "y": DATA}, {}),
    (FIT, {"x": X}, {}),
    (FIT.generated, {"start_variance": 1.0}, {}),
    (
        linear.generator,
        {"data": DATA, "sigma": 1.0, "start_variance": 1.0},
        {"rng": rng()},
    ),
    (linear.population_kl, {"nu": 1.0}, {}),
    (linear.expected_trace, SIZES, {}),
    (linear.span_kl, SIZES, {}),
    (linear.log_det_limit, {"gamma": 2.0, "nu": 1.0}, {}),
    (linear.log_det_bound, SIZES, {}),
    (linear.log_det_estimate, SIZES, {}),
    (linear.kl, SIZES, {}),
    (linear.kl_limit, {"gamma": 2.0, "nu": 1.0}, {}),
    (linear.best_ratio, {"nu": 6.0}, {}),
    (linear.many_draws_kl_limit, {"gamma": 2.0, "nu": 1.0, "steps": 1}, {}),
    (network, {"dimension": 2, "hidden": [3], "scale": 1.0}, {}),
    (NETWORK, {"x": X, "sigma": 1.0}, {}),
    (
        train,
        {"data": DATA, "sigma": 1.0, "steps": 1, "rate": 0.1, "weight_decay": 0.1},
        {},
    ),
    (train, {"batch": 2, "noise": DRAWS, "noise_weights": [1 / 9] * 9}, {}),
    (train, {"noise": 2}, {}),
    (TIME.alpha, {"t": 1.0}, {}),
    (TIME.sigma, {"t": 1.0}, {}),
    (TIME.noise_level, {"t": 1.0}, {}),
    (TIME.time, {"sigma": 1.0}, {}),
    (PATH.alpha, {"t": 0.5}, {}),
    (PATH.sigma, {"t": 0.5}, {}),
    (PATH.noise_level, {"t": 0.5}, {}),
    (PATH.time, {"sigma": 1.0}, {}),
    (PATH.added_variance, {"t": 0.5, "s": 0.2}, {}),
    (PATH.from_velocity(lambda x, t: x), {"x": X, "sigma": 1.0}, {}),
    (es.geometric_levels, {"count": 3, "sigma_max": 2.0, "sigma_min": 0.1}, {}),
    (es.karras_levels, {"count": 3, "sigma_max": 2.0, "sigma_min": 1, "rho": 2}, {}),
    (relative.kernel_width, {"n": 3, "d": 2, "spread": 1.0}, {}),
    (relative.log_pairs, {"data": DATA, "width": 1.0}, {}),
    (relative.log_overlap, {"data": DATA, "width": 1.0, "sigma": 0.1}, {"law": LAW}),
    (relative.RelativeDistance, {"fresh": DATA, "spread": 1.0}, {}),
    (relative.RelativeDistance(X), {"train": DATA, "sigma": 0.1}, {"law": LAW}),
    (
        relative.expected_difference,
        {"n": 3, "n0": 9, "d": 2, "copied": 0.1, "blur": 0.1, "width": 1.0},
        {},
    ),
    (relative.difference_deviation, {"n": 3, "n0": 9, "d": 2, "width": 1.0}, {}),
    (relative.overfit_covariance, SIZES, {}),
    (relative.overlap_balance, {**SIZES, "n0": 9}, {}),
    (es.sample_ode, {"x": X, "levels": [2.0, 1.0]}, {"score": LAW}),
    (es.sample_sde, {"x": X, "levels": [2.0, 1.0]}, {"score": LAW, "rng": rng()}),
    (
        es.ConvolvedScore,
        {"data": DATA, "width": 1.0, "draws": DRAWS, "weights": [1] * 9, "memory": 9},
        {},
    ),
    (es.LogSmoothedScore, {"weights": [1.0]}, {"score": LAW, "moves": [None]}),
    (es.SwitchedScore, {"level": 1.0}, {"above": LAW, "below": LAW}),
    (smoothers.antithetic_draws, {"count": 2, "dimension": 1}, {"rng": rng()}),
    (smoothers.spiral_draws, {"count": 2}, {}),
    (smoothers.hermite_draws, {"order": 2, "dimension": 1}, {}),
    (smoothers.polar_moves, {"angles": [0.1]}, {}),
    (es.RampScore, {"points": LINE, "kappa": 0.5}, {}),
    (RAMP.flow, {"x": LINE, "sigma": 1.0, "sigma_end": 0.5}, {}),
    (RAMP.kinks, {"sigma": 1e-3}, {}),
    (RAMP.terminal_law, {"sigma": 1.0}, {"start": es.Gaussian([0.0])}),
    (END.density, {"x": LINE}, {}),
    (END.cdf, {"x": LINE}, {}),
    (es.ramp_loss, {"kappa": 1.0}, {}),
    (
        es.NeighborTarget,
        {
            "data": DATA,
            "neighbors": 2,
            "temperature": 1.0,
            "power": 1.0,
            "below": 1.0,
            "memory": 99,
        },
        {},
    ),
    (es.NeighborTarget, {"features": DATA}, {"data": DATA, "neighbors": 2}),
    (TARGET.target, {"x": X, "sigma": 1.0, "index": np.arange(6)}, {}),
    (TARGET.variance, {"x": X, "sigma": 1.0}, {}),
    (es.PowerTemperature, {"sigma_c": 1.0, "exponent": 1.0}, {}),
    (es.PowerTemperature(1.0, 1.0), {"sigma": 1.0}, {}),
    (
        es.TemperedScore,
        {"data": DATA, "temperature": 1.0, "neighbors": 2, "memory": 99},
        {},
    ),
    (TEMPERED.effective_level, {"sigma": 1.0}, {}),
    (
        es.UnconditionalScore,
        {
            "data": DATA,
            "weight_power": 1.0,
            "temperature": 1.0,
            "levels": (0.1, 1.0),
            "memory": 99,
        },
        {},
    ),
    (FREE.denoise, {"x": X, "sigma": 1.0}, {}),
    (FREE.weights, {"x": X}, {}),
    (FREE.log_density, {"x": X}, {}),
    (FREE.implied_level, {"x": X}, {}),
    (es.SmoothestScore, {"points": LINE, "penalty": 1.0, "step": 0.1}, {}),
    (es.SmoothestScore, {"loss": 1.0}, {"points": LINE}),
    (es.SmoothestScore(PAIR, 1.0).solve, {"sigma": 1.0}, {}),
    (es.score_loss, {"points": PAIR, "sigma": 1.0}, {"score": RAMP}),
    (es.variation_bound, {"sigma": 1.0, "loss": 0.1}, {}),
    (es.kink_place, {"sigma": 0.1}, {}),
]
for law in (LAW, MIX):
    NUMBERS += [
        (law.score, {"x": X, "sigma": 1.0}, {}),
        (law.denoise, {"x": X, "sigma": 1.0}, {}),
        (law.log_density, {"x": X, "sigma": 1.0}, {}),
        (law.covariance_product, {"x": X, "sigma": 1.0, "v": X}, {}),
        (law.sample, {"n": 3}, {"rng": rng()}),
        (
            law.sample_posterior,
            {"x": X, "sigma": 1.0, "sigma_end": 0.5},
            {"rng": rng()},
        ),
    ]
EACH = [
    pytest.param(call, name, numbers, others, id=f"{call_name}-{name}")
    for call, numbers, others in NUMBERS
    for call_name in [getattr(call, "__qualname__", type(call).__name__)]
    for name in numbers
]


@pytest.mark.parametrize(("call", "name", "numbers", "others"), EACH)
def test_nan_is_refused_by_the_name_of_the_argument(call, name, numbers, others):
    nan = np.full(np.shape(numbers[name]), math.nan)[()]
    with pytest.raises(ValueError) as caught:
        call(**others, **{**numbers, name: nan})
    assert re.search(rf"(^|\W){name}\b", str(caught.value)), caught.value


# A call, and for each argument that may be left out its value in the docstring and
# another one.
DEFAULTS = [
    (
        lambda **o: es.leakage_bounds(LAW, 1.0, 3, rng(), **o),
        {"draws": (100_000, 99_999)},
    ),
    (
        lambda **o: es.sample_corrected(LAW, X, [2.0, 1.0], rng(), **o),
        {
            "predictor": ("sde", "ode"),
            "corrector": ("annealed", "langevin"),
            "size": (0.16, 0.17),
            "temperature": (1.0, 1.1),
            "trajectory": (False, True),
        },
    ),
    (
        lambda **o: es.sample_fixed_point(np.sin, X, 3, **o),
        {"rate": (0.2, 0.21), "trajectory": (False, True)},
    ),
    (lambda **o: curves.circle(**o).equally_spaced(3), {"radius": (1.0, 1.1)}),
    (lambda **o: curves.swiss_roll(**o).equally_spaced(3), {"turns": (1.5, 1.6)}),
    (
        lambda **o: curves.Curve(lambda u: np.c_[u, np.sin(9999 * u)], **o).length,
        {"count": (4000, 3999)},
    ),
    (
        lambda **o: curves.circle().coverage([[1.0, 0.0]], 0.1, **o),
        {"count": (2000, 1990)},
    ),
    (lambda **o: es.Gaussian([0.0, 0.0], **o)(X, 0.5), {"cov": (1.0, 1.1)}),
    (
        lambda **o: es.GaussianMixture(DATA, **o)(X, 0.5),
        {"covs": (1.0, 1.1), "weights": ([1 / 6] * 6, np.arange(1, 7) / 21)},
    ),
    (
        lambda **o: es.wasserstein(LINE, 2 * X[:, :1], rng=rng(), **o),
        {"order": (2, 3), "resamples": (0, 2)},
    ),
    (
        lambda **o: es.energy_test(X, 1.2 * DATA, rng(), **o),
        {"permutations": (199, 200)},
    ),
    (lambda **o: graph_ramp.chain(4, **o), {"closed": (False, True)}),
    (
        lambda **o: linear.generator(DATA, 1.0, rng(), **o).variances,
        {"start_variance": (np.mean(np.var(DATA, axis=0, ddof=1)) + 1, 2.0)},
    ),
    (
        lambda **o: linear.kl(9, 3, 0.7, **o),
        {
            "log_det": (
                lambda n, d, nu: linear.log_det_limit((n - 1) / d, nu),
                linear.log_det_bound,
            )
        },
    ),
    (
        lambda **o: linear.many_draws_kl_limit(2.0, 1.0, **o),
        {"steps": (1, math.inf)},
    ),
    (
        network,
        {
            "hidden": ((64, 64), (64, 65)),
            "activation": ("relu", "silu"),
            "form": ("residual", "noise"),
            "conditional": (True, False),
            "dtype": ("float64", "float32"),
        },
    ),
    (lambda **o: network(form="edm", **o), {"scale": (1.0, 1.1)}),
    (
        train,
        {
            "rate": (1e-3, 2e-3),
            "batch": (None, 6),
            "target": (None, es.EmpiricalScore(DATA)),
            "noise": (None, 1),
            "weight_decay": (0.0, 0.1),
        },
    ),
    (
        lambda **o: train(noise=DRAWS, **o),
        {"noise_weights": ([1 / 9] * 9, np.arange(1, 10) / 45)},
    ),
    (
        lambda **o: es.geometric_levels(4, **o),
        {"sigma_max": (80.0, 79.0), "sigma_min": (0.002, 0.003), "zero": (False, True)},
    ),
    (
        lambda **o: es.karras_levels(4, **o),
        {
            "sigma_max": (80.0, 79.0),
            "sigma_min": (0.002, 0.003),
            "rho": (7.0, 6.0),
            "zero": (False, True),
        },
    ),
    (lambda **o: relative.kernel_width(9, 2, **o), {"spread": (1.0, 1.1)}),
    (lambda **o: relative.log_overlap(LAW, DATA, 1.0, **o), {"sigma": (0.0, 0.1)}),
    (
        lambda **o: relative.RelativeDistance(X, **o)(LAW, DATA),
        {"spread": (1.0, 1.1)},
    ),
    (lambda **o: relative.RelativeDistance(X)(LAW, DATA, **o), {"sigma": (0.0, 0.1)}),
    (
        lambda **o: relative.expected_difference(9, 99, 2, **o),
        {"copied": (0.0, 0.1), "width": (1.0, 1.1)},
    ),
    (
        lambda **o: relative.expected_difference(9, 99, 2, copied=0.5, **o),
        {"blur": (0.0, 0.1)},
    ),
    (lambda **o: relative.difference_deviation(9, 99, 2, **o), {"width": (1.0, 1.1)}),
    (
        lambda **o: es.sample_ode(LAW, X, [2.0, 1.0, 0.5], **o),
        {
            "method": ("heun", "euler"),
            "process": (es.VarianceExploding(), TIME),
            "trajectory": (False, True),
        },
    ),
    (
        lambda **o: es.sample_sde(LAW, X, [2.0, 1.0, 0.5], rng(), **o),
        {
            "method": ("euler", "ancestral"),
            "process": (es.VarianceExploding(), TIME),
            "trajectory": (False, True),
        },
    ),
    (
        lambda **o: es.ConvolvedScore(DATA, 0.5, DRAWS, **o)(X, 0.5),
        {"weights": ([1 / 9] * 9, [1, 2, 1, 2, 4, 2, 1, 2, 1])},
    ),
    (
        lambda **o: es.LogSmoothedScore(LAW, smoothers.polar_moves([0.1, 1]), **o)(
            X, 1
        ),
        {"weights": ([0.5, 0.5], [1, 2])},
    ),
    (lambda **o: smoothers.hermite_draws(3, **o)[0], {"dimension": (1, 2)}),
    (
        lambda **o: smoothers.polar_moves([0.3], **o)[0](X)[0],
        {"center": ((0.0, 0.0), (0.1, 0.0)), "pitch": (0.0, 0.1)},
    ),
    (lambda **o: RAMP.flow(LINE + 0.01, 0.1, **o), {"sigma_end": (0.0, 0.01)}),
    (
        lambda **o: es.NeighborTarget(DATA, 3, power=1.0, **o).target(X, 1, range(6)),
        {
            "temperature": (1.0, 2.0),
            "component": ("shared", "implied"),
            "around": ("clean", "noised"),
            "features": (DATA, DATA[:, :1]),
            "below": (1e9, 0.5),
        },
    ),
    (
        lambda **o: es.NeighborTarget(DATA, 3, **o).target(X, 1, range(6)),
        {"power": (None, 1.0)},
    ),
    (lambda **o: es.TemperedScore(DATA, 2.0, **o)(X, 1.0), {"neighbors": (6, 2)}),
    (
        lambda **o: es.UnconditionalScore(np.c_[DATA, LINE], **o)(np.c_[X, LINE], 1.0),
        {
            "weight_power": (2.0, 1.9),
            "temperature": (1.0, 1.1),
            "component": ("implied", "shared"),
        },
    ),
    (
        lambda **o: es.SmoothestScore(PAIR, 0.1, **o)(LINE, 0.5),
        {"step": (0.05, 0.09)},
    ),
    (
        lambda **o: es.total_variation_1d(normal, lambda x: -abs(x), -9, 9, **o),
        {"tolerance": (1e-8, 1e-3)},
    ),
]
LEFT_OUT = [
    pytest.param(call, name, *values, id=f"{number}-{name}")
    for number, (call, arguments) in enumerate(DEFAULTS)
    for name, values in arguments.items()
]


def flat(result):
    """All the numbers of a result."""
    if isinstance(result, (tuple, list)):
        return np.concatenate([flat(part) for part in result])
    return np.ravel(np.asarray(result, float))


@pytest.mark.parametrize(("call", "name", "documented", "other"), LEFT_OUT)
def test_an_argument_left_out_is_its_documented_default(call, name, documented, other):
    left_out, given, changed = (
        flat(call(**o)) for o in ({}, {name: documented}, {name: other})
    )
    np.testing.assert_allclose(left_out, given, rtol=1e-12, atol=1e-12)
    same = left_out.shape == changed.shape
    assert not (same and np.allclose(left_out, changed, rtol=1e-9, atol=1e-9))
