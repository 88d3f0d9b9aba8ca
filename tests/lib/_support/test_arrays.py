"""Bad input: every public function refuses it and says what, why and what instead.

Each refusal is checked for its type and for a message that names the argument and
what was wrong with it.  Below the tables: what the helpers accept.
"""

import re
from functools import partial

import numpy as np
import pytest
import torch

import empirical_score as es
from empirical_score import datasets
from empirical_score._support import arrays as _arrays
from empirical_score._support import draws as _draws

RNG = np.random.default_rng
DATA = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0], [0.5, 0.5]])
X = np.array([[0.1, 0.2], [1.0, 2.0], [-1.0, 0.0]])

LAWS = {
    "empirical": es.EmpiricalScore(DATA),
    "empirical torch": es.EmpiricalScore(torch.tensor(DATA)),
    "gaussian": es.Gaussian([0.0, 0.0], np.eye(2)),
    "mixture": es.GaussianMixture(DATA, 0.1),
}
WEIGHTED = {name: law for name, law in LAWS.items() if name != "gaussian"}


def refused(call, value, kind, *fragments):
    """``call(value)`` raises ``kind`` and the message holds every fragment."""
    with pytest.raises((TypeError, ValueError)) as caught:
        call(value)
    message = str(caught.value)
    assert caught.type is kind, f"{caught.type.__name__}: {message}"
    for fragment in fragments:
        assert re.search(fragment, message), f"{fragment!r} is not in {message!r}"
    assert "empirical_score" in caught.traceback[-1].path.parts


def table(*rows):
    """Parametrize by (value, kind, fragments...), named after the values."""
    return pytest.mark.parametrize(
        ("value", "kind", "fragments"),
        [
            pytest.param(value, kind, fragments, id=label(value))
            for value, kind, *fragments in rows
        ],
    )


def label(value):
    """The value as Python writes it, or its type where that has an address."""
    text = repr(value)
    return type(value).__name__ if text.startswith("<") else " ".join(text.split())


def calls(**named):
    return pytest.mark.parametrize("call", named.values(), ids=named.keys())


# --- points -------------------------------------------------------------------------

NAN, INF = float("nan"), float("inf")
POINTS = [
    ([], ValueError, r"shape \(0,\)", "number of points, dimension"),
    (np.empty((0, 2)), ValueError, "is empty", r"\(0, 2\)"),
    (np.empty((3, 0)), ValueError, r"\(3, 0\)"),
    ([[1.0, 2.0], [3.0]], ValueError, "ragged"),
    ([["a", "b"]], TypeError, "real numbers", "list of dtype <U1"),
    ("points", TypeError, "real numbers", "str"),
    (None, TypeError, "real numbers", "NoneType"),
    (object(), TypeError, "real numbers", "object"),
    ([[True, False]], TypeError, "real numbers", "bool"),
    ([[1j, 0.0]], TypeError, "complex128", "expected real"),
    (torch.tensor([[1j, 0.0]]), TypeError, "complex64", "expected real"),
    ([[NAN, 0.0], [0.0, 0.0]], ValueError, "NaN or infinity in 1 of its 2 rows"),
    ([[INF, 0.0]], ValueError, "NaN or infinity in 1 of its 1 rows"),
    (torch.tensor([[-INF, 0.0]]), ValueError, "NaN or infinity"),
    ([0.0, 1.0], ValueError, r"shape \(2,\)", r"\[:, None\]", r"\[None, :\]"),
    (torch.zeros(2), ValueError, r"shape \(2,\)", r"\[:, None\]"),
    (np.zeros((1, 1, 2)), ValueError, r"shape \(1, 1, 2\)"),
    (3.0, ValueError, r"shape \(\)"),
]
WRONG_DIMENSION = (np.zeros((3, 5)), ValueError, "2 columns", r"shape \(3, 5\)")

LEVELS = [2.0, 1.0]
AT_X = {
    f"{name}.{method}": partial(
        lambda x, law, method: getattr(law, method)(x, 1.0), law=law, method=method
    )
    for name, law in LAWS.items()
    for method in ("__call__", "score", "denoise", "log_density")
}
AT_X |= {
    f"{name}.{method}": partial(
        lambda x, law, method: getattr(law, method)(x, 1.0), law=law, method=method
    )
    for name, law in WEIGHTED.items()
    for method in ("weights", "log_weights")
}
AT_X |= {
    f"{name}.covariance_product": partial(
        lambda x, law: law.covariance_product(x, 1.0, X), law=law
    )
    for name, law in LAWS.items()
}
AT_X |= {
    f"{name}.sample_posterior": partial(
        lambda x, law: law.sample_posterior(x, 1.0, 0.5, RNG(0)), law=law
    )
    for name, law in LAWS.items()
}
AT_X |= {
    "empirical.effective_points": lambda x: LAWS["empirical"].effective_points(x, 1.0)
}
START = {
    "sample_ode": lambda x: es.sample_ode(LAWS["empirical"], x, LEVELS),
    "sample_sde": lambda x: es.sample_sde(LAWS["empirical"], x, LEVELS, RNG(0)),
    "wasserstein": lambda x: es.wasserstein(x, X),
    "energy_test": lambda x: es.energy_test(x, X, RNG(0)),
}


@table(*POINTS)
@calls(**AT_X, **START)
def test_x_is_refused(call, value, kind, fragments):
    refused(call, value, kind, r"^x ", *fragments)


@calls(**AT_X)
def test_x_of_a_wrong_dimension_is_refused(call):
    value, kind, *fragments = WRONG_DIMENSION
    refused(call, value, kind, r"^x ", *fragments)


@table(*POINTS, WRONG_DIMENSION)
@calls(
    wasserstein=lambda y: es.wasserstein(X, y),
    energy_test=lambda y: es.energy_test(X, y, RNG(0)),
)
def test_y_is_refused(call, value, kind, fragments):
    refused(call, value, kind, r"^y ", *fragments)


@table(*POINTS)
@pytest.mark.parametrize(
    ("name", "call"), [("data", es.EmpiricalScore), ("means", es.GaussianMixture)]
)
def test_data_and_means_are_refused(name, call, value, kind, fragments):
    refused(call, value, kind, f"^{name} ", *fragments)


@table(*POINTS, WRONG_DIMENSION, (X[:2], ValueError, r"row of x \(3\)", r"\(2, 2\)"))
@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_v_is_refused(law, value, kind, fragments):
    call = partial(law.covariance_product, X, 1.0)
    refused(call, value, kind, r"^v ", *fragments)


def test_samples_of_unequal_sizes_are_refused():
    call = partial(es.wasserstein, X)
    refused(call, X[:2], ValueError, "x and y", "equally many", "3 and 2")


# --- noise levels -------------------------------------------------------------------

SIGMA = [
    (0.0, ValueError, "finite and positive", "got 0.0"),
    (-1.0, ValueError, "finite and positive", "got -1.0"),
    (NAN, ValueError, "finite and positive", "got nan"),
    (INF, ValueError, "finite and positive", "got inf"),
    ([1.0, -2.0, 1.0], ValueError, "finite and positive", "from -2.0 to 1.0"),
    ([1.0, INF, 1.0], ValueError, "finite and positive", "to inf"),
    ([1.0, NAN, 1.0], ValueError, "finite and positive", "nan"),
    (torch.tensor([1.0, 0.0, 1.0]), ValueError, "finite and positive", "from 0.0"),
    ([1.0, 1.0], ValueError, r"scalar or have shape \(3,\)", r"got shape \(2,\)"),
    ([], ValueError, r"\(3,\)", r"got shape \(0,\)"),
    ([[1.0], [1.0], [1.0]], ValueError, r"\(3,\)", r"got shape \(3, 1\)"),
    ([1.0, [2.0, 3.0]], ValueError, "ragged"),
    ("1.0", TypeError, "real numbers", "str"),
    (None, TypeError, "real numbers", "NoneType"),
    (1j, TypeError, "complex"),
]
AT_SIGMA = {
    f"{name}.{method}": partial(getattr(law, method), X)
    for name, law in LAWS.items()
    for method in ("__call__", "score", "denoise", "log_density")
}
AT_SIGMA |= {
    f"{name}.{method}": partial(getattr(law, method), X)
    for name, law in WEIGHTED.items()
    for method in ("weights", "log_weights")
}
AT_SIGMA["empirical.effective_points"] = partial(LAWS["empirical"].effective_points, X)
AT_SIGMA |= {
    f"{name}.covariance_product": partial(
        lambda s, law: law.covariance_product(X, s, X), law=law
    )
    for name, law in LAWS.items()
}
AT_SIGMA |= {
    f"{name}.sample_posterior": partial(
        lambda s, law: law.sample_posterior(X, s, 0.0, RNG(0)), law=law
    )
    for name, law in LAWS.items()
}


@table(*SIGMA)
@calls(**AT_SIGMA)
def test_sigma_is_refused(call, value, kind, fragments):
    refused(call, value, kind, r"^sigma ", *fragments)


@table(
    (-0.1, ValueError, "at least 0 and below sigma", "sigma_end=-0.1"),
    (1.0, ValueError, "below sigma", "sigma_end=1.0", "sigma=1.0"),
    (2.0, ValueError, "below sigma", "sigma_end=2.0"),
    (NAN, ValueError, "sigma_end=nan"),
    (INF, ValueError, "sigma_end=inf"),
    ([0.1, 0.1, 0.1], ValueError, "one number", r"\(3,\)"),
    ("0.1", TypeError, "real numbers", "str"),
    (None, TypeError, "real numbers", "NoneType"),
    (1j, TypeError, "complex"),
)
@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_sigma_end_is_refused(law, value, kind, fragments):
    def call(end):
        return law.sample_posterior(X, [3.0, 1.0, 2.0], end, RNG(0))

    refused(call, value, kind, r"^sigma_end ", *fragments)


@table(
    ([1.0], ValueError, "at least two", r"shape \(1,\)"),
    ([], ValueError, "at least two", r"shape \(0,\)"),
    (1.0, ValueError, "at least two", r"shape \(\)"),
    ([[2.0, 1.0]], ValueError, "at least two", r"shape \(1, 2\)"),
    ([1.0, 2.0], ValueError, "fall strictly", "2.0 after 1.0"),
    ([2.0, 1.0, 1.0], ValueError, "fall strictly", "1.0 after 1.0"),
    ([1.0, -1.0], ValueError, "not negative", "-1.0"),
    ([NAN, 1.0], ValueError, "finite"),
    ([INF, 1.0], ValueError, "finite", "inf"),
    ([[2.0], [1.0, 0.5]], ValueError, "ragged"),
    (["a", "b"], TypeError, "real numbers"),
    ("levels", TypeError, "real numbers", "str"),
    (None, TypeError, "real numbers", "NoneType"),
    ([1j, 0.0], TypeError, "complex"),
)
@calls(
    sample_ode=partial(es.sample_ode, LAWS["empirical"], X),
    sample_sde=lambda levels: es.sample_sde(LAWS["empirical"], X, levels, RNG(0)),
    ou=partial(es.sample_ode, LAWS["gaussian"], X, process=es.OrnsteinUhlenbeck()),
)
def test_levels_are_refused(call, value, kind, fragments):
    refused(call, value, kind, r"^levels ", *fragments)


@table(("rk4", ValueError, "'rk4'"), ("Heun", ValueError, "'Heun'"), (None, ValueError))
def test_unknown_methods_are_refused(value, kind, fragments):
    law = LAWS["empirical"]
    call = partial(es.sample_ode, law, X, LEVELS)
    refused(call, value, kind, "method must be 'euler' or 'heun'", *fragments)
    call = partial(es.sample_sde, law, X, LEVELS, RNG(0))
    refused(call, value, kind, "method must be 'euler' or 'ancestral'", *fragments)
    refused(call, "heun", ValueError, "'ancestral', got 'heun'")


@pytest.mark.parametrize("make", [es.geometric_levels, es.karras_levels])
def test_ends_of_the_levels_are_refused(make):
    refused(lambda v: make(5, v), "80", TypeError, "^sigma_max ", "str")
    refused(lambda v: make(5, v), INF, ValueError, "^sigma_max ", "inf")
    refused(lambda v: make(5, v), NAN, ValueError, "^sigma_max ", "nan")
    refused(lambda v: make(5, 1.0, v), 0.0, ValueError, "^sigma_min ", "positive")
    refused(lambda v: make(5, 1.0, v), -1.0, ValueError, "^sigma_min ", "-1.0")
    refused(lambda v: make(5, 1.0, v), None, TypeError, "^sigma_min ", "NoneType")
    for low in (1.0, 2.0):
        message = f"sigma_max > sigma_min > 0, got sigma_max=1.0, sigma_min={low}"
        refused(lambda v: make(5, 1.0, v), low, ValueError, message)


@table((0.0, ValueError, "0.0"), (NAN, ValueError), ("7", TypeError), (None, TypeError))
def test_rho_is_refused(value, kind, fragments):
    call = partial(lambda rho: es.karras_levels(5, rho=rho))
    refused(call, value, kind, "^rho ", *fragments)


@table(
    (-1.0, ValueError, "at least 0", "-1.0"),
    (NAN, ValueError, "nan"),
    (INF, ValueError, "inf"),
    (np.array([1.0, -1.0]), ValueError, "at least 0"),
    ("1", TypeError, "str"),
    (None, TypeError, "NoneType"),
)
def test_times_are_refused(value, kind, fragments):
    ou = es.OrnsteinUhlenbeck()
    for method in (ou.alpha, ou.sigma, ou.noise_level):
        refused(method, value, kind, "^t ", *fragments)
    refused(partial(ou.to_noise_level, X), value, kind, "^t ", *fragments)
    refused(partial(ou.score, LAWS["gaussian"], X), value, kind, "^t ", *fragments)
    refused(ou.time, value, kind, "^sigma ", *fragments)
    refused(partial(ou.from_noise_level, X), value, kind, "^sigma ", *fragments)


# --- laws ---------------------------------------------------------------------------

COVARIANCES = [
    ([[1.0, 2.0], [0.0, 1.0]], ValueError, "symmetric", "2 apart"),
    ([[1.0, 2.0], [2.0, 1.0]], ValueError, "positive semidefinite", "variance -1"),
    (-1.0, ValueError, "positive semidefinite", "-1"),
    ([[NAN, 0.0], [0.0, 1.0]], ValueError, "NaN or infinity"),
    (INF, ValueError, "NaN or infinity"),
    (np.eye(3), ValueError, "a number or have shape", r"got shape \(3, 3\)"),
    (np.ones((2, 1)), ValueError, "a number or have shape", r"got shape \(2, 1\)"),
    ([[1.0], [1.0, 2.0]], ValueError, "ragged"),
    ("eye", TypeError, "real numbers", "str"),
    (None, TypeError, "real numbers", "NoneType"),
    (1j, TypeError, "complex"),
]


@table(*COVARIANCES, ([1.0, -1.0], ValueError, "positive semidefinite", "-1"))
def test_cov_is_refused(value, kind, fragments):
    refused(partial(es.Gaussian, [0.0, 0.0]), value, kind, "^cov ", *fragments)


@table(
    *COVARIANCES,
    ([1.0, 1.0, -1.0], ValueError, "positive semidefinite", "-1"),
    (np.ones(4), ValueError, r"shape \(3,\), \(2, 2\) or \(3, 2, 2\)", r"\(4,\)"),
    (np.zeros((2, 2, 2)), ValueError, r"\(3, 2, 2\)", r"got shape \(2, 2, 2\)"),
)
def test_covs_are_refused(value, kind, fragments):
    refused(partial(es.GaussianMixture, X), value, kind, "^covs? ", *fragments)


@table(
    ([], ValueError, "empty"),
    (0.0, ValueError, r"shape \(d,\)", r"got shape \(\)"),
    ([[0.0]], ValueError, r"shape \(d,\)", r"got shape \(1, 1\)"),
    ([NAN], ValueError, "NaN or infinity"),
    ([0.0, [1.0]], ValueError, "ragged"),
    ("zero", TypeError, "real numbers"),
    (None, TypeError, "real numbers", "NoneType"),
    ([1j], TypeError, "complex"),
)
def test_mean_is_refused(value, kind, fragments):
    refused(es.Gaussian, value, kind, "^mean ", *fragments)


@table(
    ([0.5, 0.6, 0.1], ValueError, "positive and sum to 1", "sum 1.2"),
    ([0.5, 0.5, 0.0], ValueError, "positive and sum to 1", "minimum 0"),
    ([1.5, -1.0, 0.5], ValueError, "positive and sum to 1", "minimum -1"),
    ([0.5, 0.5], ValueError, r"shape \(3,\)", r"\(2,\)"),
    (1.0, ValueError, r"shape \(d,\)", r"\(\)"),
    ([0.5, NAN, 0.5], ValueError, "NaN"),
    (["a", "b", "c"], TypeError, "real numbers"),
    ([1j, 0.0, 0.0], TypeError, "complex"),
)
def test_weights_are_refused(value, kind, fragments):
    refused(partial(es.GaussianMixture, X, 1.0), value, kind, "^weights ", *fragments)


@table(
    (0, ValueError, "positive", "got 0"),
    (-5, ValueError, "positive", "got -5"),
    (NAN, ValueError, "nan"),
    (INF, ValueError, "inf"),
    ([1, 2], ValueError, "one number", r"\(2,\)"),
    ("1 GB", TypeError, "str"),
)
def test_memory_is_refused(value, kind, fragments):
    def call(memory):
        return es.EmpiricalScore(DATA, memory=memory)

    refused(call, value, kind, "^memory ", *fragments)


# --- counts and generators ----------------------------------------------------------

COUNTS = [
    (0, ValueError, "integer", "got 0"),
    (-3, ValueError, "integer", "got -3"),
    (2.5, ValueError, "integer", "got 2.5"),
    (4.0, ValueError, "integer", "got 4.0"),
    (NAN, ValueError, "integer", "got nan"),
    (INF, ValueError, "integer", "got inf"),
    ([3], ValueError, "one number", r"shape \(1,\)"),
    ("3", TypeError, "real numbers", "str"),
    (None, TypeError, "real numbers", "NoneType"),
    (True, TypeError, "real numbers", "bool"),
    (1j, TypeError, "complex"),
]
TOYS = ["gaussian", "mixture", "two_moons", "circle", "swiss_roll", "segments"]
DRAWS = {f"{name}.sample": law.sample for name, law in LAWS.items()}
DRAWS |= {f"datasets.{name}": getattr(datasets, name) for name in TOYS}
DRAWS["datasets.color_patches"] = datasets.color_patches


@table(*COUNTS)
@calls(**DRAWS)
def test_n_is_refused(call, value, kind, fragments):
    refused(lambda n: call(n, RNG(0)), value, kind, "^n ", *fragments)


@table(*COUNTS)
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("n", datasets.circle),
        ("count", es.geometric_levels),
        ("count", es.karras_levels),
        ("components", lambda k: datasets.mixture(5, RNG(0), components=k)),
        ("count", lambda k: datasets.segments(5, RNG(0), count=k)),
        ("dimension", lambda k: datasets.gaussian(5, RNG(0), dimension=k)),
        ("size", lambda k: datasets.color_patches(5, RNG(0), size=k)),
        ("permutations", lambda k: es.energy_test(X, X, RNG(0), permutations=k)),
    ],
)
def test_counts_are_refused(name, call, value, kind, fragments):
    refused(call, value, kind, f"^{name} ", *fragments)


def test_counts_below_their_least_value_are_refused():
    for make in (es.geometric_levels, es.karras_levels):
        refused(make, 1, ValueError, "^count must be an integer of at least 2, got 1")
    call = partial(lambda k: es.energy_test(X, X, RNG(0), permutations=k))
    refused(call, 18, ValueError, "^permutations .* at least 19, got 18")
    call = partial(lambda k: es.wasserstein(X, X, rng=RNG(0), resamples=k))
    refused(call, -1, ValueError, "^resamples .* at least 0, got -1")
    call = partial(lambda n: datasets.color_patches(n, RNG(0)))
    refused(call, 521, ValueError, "^n .* 520 patches of size 32, got 521")
    call = partial(lambda size: datasets.color_patches(1, RNG(0), size=size))
    refused(call, 1000, ValueError, "0 patches of size 1000")


GENERATORS = [
    (None, TypeError, "NoneType"),
    (True, TypeError, "got bool"),
    (0.0, TypeError, "got float"),
    ("seed", TypeError, "got str"),
    (np.random, TypeError, "got module"),
    (np.random.RandomState, TypeError, "got type"),
]


@table(*GENERATORS)
@calls(
    **{
        name: partial(lambda rng, draw: draw(5, rng), draw=draw)
        for name, draw in DRAWS.items()
        if name != "datasets.circle"
    },
    **{
        f"{name}.sample_posterior": partial(law.sample_posterior, X, 1.0, 0.5)
        for name, law in LAWS.items()
    },
    euler=partial(es.sample_sde, LAWS["gaussian"], X, LEVELS),
    ancestral=partial(es.sample_sde, LAWS["gaussian"], X, LEVELS, method="ancestral"),
    energy_test=partial(es.energy_test, X, X),
    wasserstein=lambda rng: es.wasserstein(X, X, rng=rng, resamples=5),
)
def test_rng_is_refused(call, value, kind, fragments):
    message = r"^rng must be a numpy.random.Generator"
    refused(call, value, kind, message, r"default_rng\(seed\)", *fragments)


def test_circle_takes_no_generator_or_a_real_one():
    refused(partial(datasets.circle, 5), "0", TypeError, "^rng must be", "got str")

    def noisy(noise):
        return datasets.circle(5, noise=noise)

    refused(noisy, 0.1, ValueError, "noise > 0 needs rng")


@table(
    (-0.1, ValueError, "at least 0", "-0.1"),
    (NAN, ValueError, "nan"),
    (INF, ValueError, "inf"),
    ([0.1, 0.2], ValueError, "one number"),
    ("0.1", TypeError, "str"),
    (None, TypeError, "NoneType"),
)
@pytest.mark.parametrize(
    ("make", "name"),
    [
        (datasets.gaussian, "scale"),
        (datasets.mixture, "scale"),
        (datasets.mixture, "radius"),
        (datasets.two_moons, "noise"),
        (datasets.circle, "noise"),
        (datasets.circle, "radius"),
        (datasets.swiss_roll, "noise"),
        (datasets.swiss_roll, "turns"),
        (datasets.segments, "noise"),
    ],
)
def test_sizes_of_toys_are_refused(make, name, value, kind, fragments):
    def call(size):
        return make(5, RNG(0), **{name: size})

    refused(call, value, kind, f"^{name} ", *fragments)


# --- divergences --------------------------------------------------------------------

LOGS = np.zeros(3)


@table(
    ([], ValueError, "m >= 2", r"shape \(0,\)"),
    ([0.0], ValueError, "m >= 2", r"shape \(1,\)"),
    (0.0, ValueError, "m >= 2", r"shape \(\)"),
    ([[0.0, 0.0]], ValueError, r"shape \(1, 2\)"),
    ([0.0, NAN, 0.0], ValueError, "NaN"),
    ([0.0, INF, 0.0], ValueError, "plus infinity"),
    ([0.0, [1.0]], ValueError, "ragged"),
    (["a", "b", "c"], TypeError, "real numbers"),
    (None, TypeError, "NoneType"),
    ([1j, 0.0, 0.0], TypeError, "complex"),
)
@pytest.mark.parametrize(
    "measure", [es.kl_divergence, es.total_variation, es.hellinger]
)
def test_log_densities_are_refused(measure, value, kind, fragments):
    refused(lambda v: measure(v, LOGS), value, kind, "^log_p ", *fragments)
    refused(lambda v: measure(LOGS, v), value, kind, "^log_q ", *fragments)


@pytest.mark.parametrize(
    "measure", [es.kl_divergence, es.total_variation, es.hellinger]
)
def test_impossible_pairs_of_log_densities_are_refused(measure):
    message = r"the same samples, got shapes \(3,\) and \(4,\)"
    refused(lambda v: measure(LOGS, v), np.zeros(4), ValueError, message)
    message = "log_p is minus infinity at a sample"
    refused(lambda v: measure(v, LOGS), [0.0, -INF, 0.0], ValueError, message)


def test_ends_of_an_integral_are_refused():
    def call(ends, tolerance=1e-8):
        logs = [lambda x: -(x**2)] * 2
        return es.total_variation_1d(*logs, *ends, tolerance=tolerance)

    for ends in ((1.0, 0.0), (0.0, 0.0), (-INF, 1.0), (0.0, INF), (NAN, 1.0)):
        refused(call, ends, ValueError, "low < high", f"low={ends[0]}")
    refused(call, ("0", 1.0), TypeError, "^low ", "str")
    refused(call, (0.0, None), TypeError, "^high ", "NoneType")
    for tolerance in (0.0, -1.0, NAN):
        refused(partial(call, (0.0, 1.0)), tolerance, ValueError, "^tolerance ")


@table(
    (0.5, ValueError, "at least 1", "0.5"),
    (0, ValueError, "at least 1"),
    (INF, ValueError, "finite"),
    (NAN, ValueError, "nan"),
    ("2", TypeError, "str"),
    (None, TypeError, "NoneType"),
)
def test_order_is_refused(value, kind, fragments):
    call = partial(lambda order: es.wasserstein(X, X, order=order))
    refused(call, value, kind, "^order ", *fragments)


@pytest.mark.parametrize("measure", [es.gaussian_kl, es.gaussian_wasserstein])
def test_laws_that_are_not_gaussian_or_differ_in_dimension_are_refused(measure):
    law = es.Gaussian([0.0, 0.0])
    for value in (None, "normal", LAWS["mixture"], X):
        name = type(value).__name__
        refused(lambda v: measure(v, law), value, TypeError, f"^p .*Gaussian.* {name}")
        refused(lambda v: measure(law, v), value, TypeError, f"^q .*Gaussian.* {name}")
    other = es.Gaussian([0.0])
    refused(lambda v: measure(law, v), other, ValueError, "dimension, got 2 and 1")


# --- what is accepted ---------------------------------------------------------------


def test_sigma_may_be_a_scalar_or_one_number_a_row():
    for sigma in (1, 1.0, np.float32(1), np.ones(()), [1.0], np.ones(3), torch.ones(3)):
        for law in LAWS.values():
            np.testing.assert_array_equal(law(X, sigma), law(X, 1.0))


def test_points_become_float64_or_stay_float32():
    for value in ([[1, 2]], np.ones((1, 2), np.int8), np.ones((1, 2), np.float16)):
        assert _arrays.as_points(value, "x").dtype == np.float64
    assert _arrays.as_points(np.ones((1, 2), np.float32), "x").dtype == np.float32
    assert _arrays.as_points(torch.ones(1, 2).half(), "x").dtype == torch.float64
    kept = np.ones((1, 2))
    assert _arrays.as_points(kept, "x") is kept


def test_choose_follows_the_weights_and_never_takes_a_weight_of_zero():
    weights = np.tile([0.0, 0.25, 0.0, 0.75, 0.0], (40_000, 1))
    for kind in (np.asarray, torch.as_tensor):
        chosen = np.asarray(_draws.choose(RNG(0), kind(weights)))
        assert set(chosen) == {1, 3}
        assert abs(np.mean(chosen == 3) - 0.75) < 4 * np.sqrt(0.75 * 0.25 / 40_000)


def test_choose_sees_small_float32_weights_behind_a_large_one():
    """In a float32 sum each 2^-23 is lost against 2, and with them a fifth of all."""
    weights = np.full((1, 1 + 2**22), 2.0**-23, np.float32)
    weights[0, 0] = 2.0
    rng = RNG(0)
    chosen = np.array([_draws.choose(rng, weights)[0] for _ in range(16)])
    assert np.any(chosen > 0) and np.any(chosen == 0)


def test_row_blocks_cover_every_row_once_within_the_budget():
    for count, width, budget in ((10, 3, 7), (5, 100, 1), (4, 1, 1000), (1, 0, 5)):
        blocks = list(_arrays.row_blocks(count, width, budget))
        rows = [i for block in blocks for i in range(count)[block]]
        assert rows == list(range(count))
        for block in blocks:
            size = block.stop - block.start
            assert size == 1 or size * width <= budget


def test_largest_finds_the_largest_of_each_row():
    values = np.random.default_rng(0).random((6, 9))
    for count in (1, 4, 9):
        wanted = np.sort(np.argsort(values, axis=1)[:, -count:], axis=1)
        for kind in (np.asarray, torch.as_tensor):
            found = np.asarray(_arrays.largest(kind(values), count))
            np.testing.assert_array_equal(np.sort(found, axis=1), wanted)
