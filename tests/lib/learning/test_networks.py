"""Networks against plain matrix products, closed forms and the convex program."""

import numpy as np
import pytest
import torch
from scipy import stats

import empirical_score as es
from empirical_score.learning.networks import Record

torch.set_num_threads(1)
PAIR = np.array([[-1.0], [1.0]])
X = np.linspace(-2, 2, 9)[:, None]


def make(dimension=1, seed=0, **options):
    return es.Denoiser(dimension, np.random.default_rng(seed), **options)


def gaussian_rule(count=81, reach=6.0):
    z = np.linspace(-reach, reach, count)
    weight = np.exp(-(z**2) / 2)
    return z[:, None], weight / weight.sum()


def by_hand(network, inputs, activation):
    """The layers as matrix products in NumPy."""
    values = list(network.state().values())
    for matrix, bias in zip(values[:-2:2], values[1:-2:2], strict=True):
        inputs = activation(inputs @ matrix.T + bias)
    return inputs @ values[-2].T + values[-1]


def run(network, data, sigma, seed=1, **options):
    return list(es.train(network, data, sigma, np.random.default_rng(seed), **options))


# --- the function --------------------------------------------------------------------


def test_residual_form_by_hand():
    network = make(2, hidden=(5, 4))
    rng = np.random.default_rng(2)
    x, sigma = rng.standard_normal((7, 2)), rng.uniform(0.1, 3, 7)
    inputs = np.column_stack([x, sigma])
    wanted = x + by_hand(network, inputs, lambda v: np.maximum(v, 0))
    np.testing.assert_allclose(network.denoise(x, sigma), wanted, atol=1e-13)
    score = (wanted - x) / sigma[:, None] ** 2
    np.testing.assert_allclose(network(x, sigma), score, atol=1e-11)


def test_edm_form_by_hand():
    network = make(3, hidden=(6,), form="edm", activation="tanh", scale=0.5)
    rng = np.random.default_rng(3)
    x, sigma = rng.standard_normal((4, 3)), np.array([0.01, 0.5, 1.0, 80.0])
    total = (sigma**2 + 0.25)[:, None]
    inputs = np.column_stack([x / total**0.5, np.log(sigma) / 4])
    output = by_hand(network, inputs, np.tanh)
    wanted = 0.25 / total * x + 0.5 * sigma[:, None] / total**0.5 * output
    np.testing.assert_allclose(network.denoise(x, sigma), wanted, atol=1e-12)


def test_silu_and_blindness_to_the_noise_level():
    network = make(hidden=(3, 3, 3), activation="silu", conditional=False)
    wanted = X + by_hand(network, X, lambda v: v / (1 + np.exp(-v)))
    np.testing.assert_allclose(network.denoise(X, 0.2), wanted, atol=1e-13)
    np.testing.assert_array_equal(network.denoise(X, 7.0), network.denoise(X, 0.2))


def test_what_comes_in_decides_what_goes_out():
    network = make(hidden=(4,))
    assert isinstance(network(X, 0.5), np.ndarray)
    x = torch.tensor(X, requires_grad=True)
    out = network.denoise(x, 0.5)
    np.testing.assert_allclose(out.detach().numpy(), network.denoise(X, 0.5))
    slope = torch.autograd.grad(out.sum(), x)[0].numpy()
    ahead, behind = network.denoise(X + 1e-6, 0.5), network.denoise(X - 1e-6, 0.5)
    np.testing.assert_allclose(slope, (ahead - behind) / 2e-6, atol=1e-6)
    small = make(hidden=(4,), dtype="float32")
    np.testing.assert_allclose(small(X, 0.5), network(X, 0.5), rtol=1e-4, atol=1e-5)
    assert small(torch.tensor(X).float(), 0.5).dtype == torch.float32
    assert {value.dtype for value in small.state().values()} == {np.dtype("float32")}
    # The result is that of x, not that of the weights.
    assert small(X, 0.5).dtype == np.float64
    assert network(X.astype(np.float32), 0.5).dtype == np.float32
    assert network(torch.tensor(X).float(), 0.5).dtype == torch.float32


def test_a_module_of_your_own():
    class Half(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.factor = torch.nn.Parameter(torch.tensor(0.5))

        def forward(self, x, noise):
            return self.factor * x * noise

    network = make(2, module=Half())
    x = np.ones((3, 2))
    np.testing.assert_allclose(network.denoise(x, 3.0), 2.5 * x)


def test_a_sampler_takes_it():
    network = make(hidden=(4,), conditional=False)
    x = X
    for sigma, end in [(1.0, 0.5), (0.5, 0.1)]:
        inside = by_hand(network, x, lambda v: np.maximum(v, 0))
        x = x + (sigma - end) / sigma * inside  # Euler's step of dx/ds = -(D - x) / s
    out = es.sample_ode(network, X, [1.0, 0.5, 0.1], "euler")
    np.testing.assert_allclose(out, x, atol=1e-13)


def test_first_weights_are_repeatable_and_leave_global_state_alone():
    before = torch.random.get_rng_state()
    one, same, other = make(seed=5), make(seed=5), make(seed=6)
    run(one, PAIR, 0.5, steps=3)
    run(same, PAIR, 0.5, steps=3)
    assert torch.equal(before, torch.random.get_rng_state())
    np.testing.assert_array_equal(one(X, 0.5), same(X, 0.5))
    assert np.max(np.abs(other(X, 0.5) - one(X, 0.5))) > 1e-3
    torched = [
        es.Denoiser(1, torch.Generator().manual_seed(4), hidden=(4,)) for _ in range(2)
    ]
    np.testing.assert_array_equal(*(network(X, 1.0) for network in torched))
    # Uniform in +-1/sqrt(inputs): both ends are nearly reached.
    inner, bias, outer, _ = make(hidden=(400,)).state().values()
    for part, inputs in [(inner, 2), (bias, 2), (outer, 400)]:
        scaled = np.sort(part.ravel()) * inputs**0.5
        assert -1 <= scaled[0] < -0.97 and 0.97 < scaled[-1] <= 1
        assert abs(scaled.mean()) < 4 * (1 / 3 / scaled.size) ** 0.5


def test_state_makes_a_round_trip_without_pickle(tmp_path):
    network, other = make(seed=1), make(seed=2)
    np.savez(tmp_path / "weights.npz", **network.state())
    with np.load(tmp_path / "weights.npz", allow_pickle=False) as stored:
        assert other.load_state(stored) is other
    np.testing.assert_array_equal(network(X, 0.5), other(X, 0.5))
    with pytest.raises(ValueError, match="^arrays do not fit"):
        make(hidden=(3,)).load_state(network.state())
    with pytest.raises(ValueError, match="^arrays do not fit"):
        make().load_state({})


# --- training ------------------------------------------------------------------------


def test_first_record_and_first_step():
    """Loss and penalty by NumPy; Adam's first step is the sign of the gradient."""
    network = make(hidden=(3,), conditional=False)
    z, weight = gaussian_rule(7, 2.0)
    options = {"noise": z, "noise_weights": weight, "weight_decay": 0.3, "steps": 2}

    def objective(state):
        inner, bias, outer, offset = state.values()
        x = (PAIR + 0.5 * z[:, 0]).ravel()[:, None]
        out = x + np.maximum(x @ inner.T + bias, 0) @ outer.T + offset
        square = (out - np.repeat(PAIR, 7, axis=0))[:, 0] ** 2 / 0.25
        penalty = 0.15 * (np.sum(inner**2) + np.sum(outer**2))
        return np.tile(weight, 2) @ square / 2, penalty

    before = network.state()
    training = es.train(network, PAIR, 0.5, np.random.default_rng(1), **options)
    assert all(
        np.array_equal(*pair)
        for pair in zip(before.values(), network.state().values(), strict=True)
    )
    first = next(training)
    after = network.state()
    second = next(training)
    assert isinstance(first, Record) and (first.step, second.step) == (1, 2)
    np.testing.assert_allclose(first[1:], objective(before), rtol=1e-12)
    np.testing.assert_allclose(second[1:], objective(after), rtol=1e-12)
    for name, value in after.items():
        for place in np.ndindex(value.shape):
            nudged = {key: array.copy() for key, array in before.items()}
            nudged[name][place] += 1e-6
            slope = sum(objective(nudged)) - sum(objective(before))
            moved = value[place] - before[name][place]
            if abs(slope) > 1e-9:
                assert moved == pytest.approx(-1e-3 * np.sign(slope), rel=1e-3)


@pytest.mark.parametrize("aim", [None, es.EmpiricalScore(PAIR)])
@pytest.mark.parametrize("decay", [0.0, 0.4])
def test_a_line_learns_the_ridge_regression(aim, decay):
    """``F = a x`` minimizes ``E((1 + a) X - Y)^2 / s^2 + decay a^2 / 2``."""
    sigma, (z, weight) = 0.5, gaussian_rule()
    network = make(hidden=(), conditional=False)
    run(
        network,
        PAIR,
        sigma,
        steps=900,
        rate=lambda u: 0.03 * (1 - u),
        target=aim,
        noise=z,
        noise_weights=weight,
        weight_decay=decay,
    )
    second = 1 + sigma**2
    wanted = (1 - second) / (second + decay * sigma**2 / 2)
    matrix, offset = network.state().values()
    assert matrix.item() == pytest.approx(wanted, abs=2e-4)
    assert offset.item() == pytest.approx(0, abs=2e-4)


def test_weight_decay_learns_the_total_variation_optimum():
    sigma, decay, (z, weight) = 0.3, 0.1, gaussian_rule(101)
    network = make(hidden=(80,), conditional=False, seed=3)
    records = run(
        network,
        PAIR,
        sigma,
        steps=800,
        rate=lambda u: 0.01 * (1 - u),
        target=es.EmpiricalScore(PAIR),
        noise=z,
        noise_weights=weight,
        weight_decay=decay,
    )
    best = es.SmoothestScore(PAIR, decay).solve(sigma)
    reached, least = sum(records[-1][1:]), best.loss + decay * best.variation
    assert least * (1 - 1e-3) < reached < 1.02 * least
    x = np.linspace(-1.5, 1.5, 61)
    learned = network.denoise(x[:, None], sigma)[:, 0]
    assert np.max(np.abs(learned - best.denoise(x))) < 0.05


def test_noise_drawn_once_or_anew():
    seen = {}
    for name, noise in [("once", 5), ("anew", None)]:
        records = run(make(), PAIR, (0.1, 1.0), steps=3, rate=1e-12, noise=noise)
        seen[name] = [record.loss for record in records]
    assert np.ptp(seen["once"]) < 1e-9
    assert np.ptp(seen["anew"]) > 1e-3


def test_noise_levels_follow_the_law_asked_for():
    """A network that returns sigma tells which levels it was shown."""

    class Spy(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.free = torch.nn.Parameter(torch.zeros(1, 1))
            self.levels = []

        def forward(self, x, noise):
            self.levels.append(noise.detach().numpy().ravel())
            return self.free * x

    spy = Spy()
    run(make(module=spy), PAIR, (0.01, 10.0), steps=4, batch=500)
    logs = np.log10(np.concatenate(spy.levels))
    assert logs.size == 2000 and -2 <= logs.min() and logs.max() <= 1
    assert logs.mean() == pytest.approx(-0.5, abs=0.06)
    assert logs.std() == pytest.approx(3 / 12**0.5, abs=0.03)
    spy = Spy()
    run(make(module=spy), PAIR, lambda count, rng: 1 + rng.random(count), steps=2)
    assert np.all(np.concatenate(spy.levels) >= 1)


class Watcher(torch.nn.Module):
    """A network that returns its input, and an aim beside it: every loss is known."""

    def __init__(self, shift=(0.6, 0.8)):
        super().__init__()
        self.free = torch.nn.Parameter(torch.zeros(1, 1, dtype=torch.float64))
        self.shift, self.seen = torch.tensor(shift, dtype=torch.float64), []

    def forward(self, x):
        return self.free * x

    def aim(self, x, sigma, index):
        self.seen.append((x, sigma, index))
        return x + sigma[:, None] * self.shift


def watched(data, sigma, rate=1e-12, **options):
    watcher = Watcher()
    network = make(2, module=watcher, conditional=False)
    records = run(network, data, sigma, rate=rate, target=watcher, **options)
    return [record.loss for record in records], watcher.seen


@pytest.mark.parametrize(
    "options",
    [{}, {"batch": 3}, {"noise": 4}, {"noise": 4, "batch": 7}]
    + [{"noise": [[1.0, 2.0], [3.0, 4.0]], "noise_weights": [0.3, 0.7]}]
    + [{"noise": [[1.0, 2.0]], "batch": 11}],
)
def test_the_loss_is_a_mean_over_the_rows(options):
    """Every row is off by exactly sigma, so that every weighted mean is 1."""
    losses, _ = watched(DATA, (0.1, 2.0), steps=2, **options)
    np.testing.assert_allclose(losses, 1, rtol=1e-9)


DATA = np.arange(10.0).reshape(5, 2)


def test_fixed_rows_pair_every_point_with_every_noise():
    noise, sigma = np.array([[1.0, -1.0], [0.0, 3.0], [2.0, 2.0]]), 0.5
    _, ((x, level, index),) = watched(DATA, sigma, steps=3, noise=noise)
    np.testing.assert_array_equal(index, np.repeat(np.arange(5), 3))
    np.testing.assert_allclose(x, np.repeat(DATA, 3, 0) + 0.5 * np.tile(noise, (5, 1)))
    np.testing.assert_array_equal(level, np.full(15, sigma))


def test_fresh_rows_are_all_in_order_or_a_batch_of_them_alike():
    _, seen = watched(DATA, 1e-9, steps=2)
    for x, _, index in seen:
        np.testing.assert_array_equal(index, np.arange(5))
        np.testing.assert_allclose(x, DATA, atol=1e-8)
    assert not torch.equal(seen[0][0], seen[1][0])
    _, seen = watched(DATA, 1e-9, steps=3, batch=4000)
    index = np.concatenate([index for _, _, index in seen])
    assert stats.chisquare(np.bincount(index)).pvalue > 1e-3
    for x, _, index in seen:
        np.testing.assert_allclose(x, DATA[index], atol=1e-8)


def test_a_batch_of_fixed_rows_carries_the_weights_of_its_rows():
    """One row at a time: each loss tells its row, and their mean is the whole loss."""
    noise, weights, sigma = (
        np.array([[1.0], [2.0], [4.0]]),
        np.array([0.2, 0.3, 0.5]),
        2,
    )
    data = np.array([[1.0], [10.0]])
    options = {"noise": noise, "noise_weights": weights, "rate": 1e-300}

    def losses(**more):
        network = make(conditional=False, hidden=())
        network.load_state({"0.weight": [[1.0]], "0.bias": [0.0]})  # D = 2 x
        return [r.loss for r in run(network, data, sigma, **options, **more)]

    x = data + sigma * noise[:, 0]  # (points, noises)
    rows = (weights * 6 / 2 * (2 * x - data) ** 2 / sigma**2).ravel()
    (whole,) = losses(steps=1)
    assert whole == pytest.approx(rows.mean(), rel=1e-12)
    found = np.array(losses(steps=600, batch=1))
    number = np.argmin(np.abs(found[:, None] - rows), axis=1)
    np.testing.assert_allclose(found, rows[number], rtol=1e-12)
    assert stats.chisquare(np.bincount(number, minlength=6)).pvalue > 1e-3


def test_the_rate_is_asked_for_the_share_that_is_done():
    asked = []
    network = make(hidden=(), conditional=False)
    before = network.state()["0.bias"]

    def rate(share):
        asked.append(share)
        return 0.0 if share else 0.5

    run(network, PAIR + 9, 0.1, steps=4, rate=rate)
    assert asked == [0, 0.25, 0.5, 0.75]
    # Adam's first step is the rate; at rate 0 nothing moves any more.
    np.testing.assert_allclose(
        np.abs(network.state()["0.bias"] - before), 0.5, rtol=1e-6
    )


def test_the_weight_of_a_level_by_hand():
    """1 / sigma^2; for "edm" that of Karras and others."""
    sigma, s = 0.3, 0.7
    for form, wanted in [
        ("residual", sigma**-2),
        ("edm", (sigma**2 + s**2) / (sigma * s) ** 2),
    ]:
        network = make(form=form, scale=s)
        (record,) = run(network, PAIR, sigma, steps=1, rate=1e-300, noise=[[0.4]])
        x = PAIR + 0.4 * sigma
        gap = network.denoise(x, sigma) - PAIR
        assert record.loss == pytest.approx(wanted * np.mean(gap**2), rel=1e-12)


def test_an_infinite_loss_stops_the_training():
    class Broken:
        def denoise(self, x, sigma):
            return x * float("nan")

    with pytest.raises(FloatingPointError, match="the loss is nan at step 1"):
        run(make(), PAIR, 0.5, steps=2, target=Broken())
    with pytest.raises(FloatingPointError, match="the loss is inf at step 3"):
        run(
            make(hidden=(), conditional=False),
            PAIR,
            0.5,
            steps=5,
            rate=lambda share: 1e200 if share == 0.2 else 0.0,
        )


RNG = np.random.default_rng(0)
LINE = make(hidden=())


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: make(0), ValueError, "^dimension must be a positive integer"),
        (lambda: make(hidden=(0,)), ValueError, "^hidden must be a positive integer"),
        (lambda: make(form="ddpm"), ValueError, "^form must be one of 'residual'"),
        (lambda: make(activation="sin"), ValueError, "^activation must be one of"),
        (lambda: make(dtype="int8"), ValueError, "^dtype must be one of 'float32'"),
        (lambda: make(scale=0), ValueError, "^scale must be finite and positive"),
        (lambda: es.Denoiser(1, None), TypeError, "^rng must be a numpy.random.Gen"),
        (lambda: LINE([[1.0, 2.0]], 1.0), ValueError, "^x must have 1 columns"),
        (lambda: LINE(X, -1.0), ValueError, "^sigma must be finite and positive"),
        (
            lambda: es.train(LINE, PAIR, (0, 1), RNG, steps=1),
            ValueError,
            "^sigma must be a positive number, a pair 0 < low < high",
        ),
        (
            lambda: es.train(LINE, PAIR, (1, 1), RNG, steps=1),
            ValueError,
            "^sigma must be a positive number, a pair",
        ),
        (
            lambda: es.train(LINE, PAIR, (1, np.inf), RNG, steps=1),
            ValueError,
            "^sigma must be a positive number, a pair",
        ),
        (
            lambda: es.train(LINE, PAIR, (1, 2, 3), RNG, steps=1),
            ValueError,
            "^sigma must be a positive number, a pair",
        ),
        (
            lambda: run(LINE, PAIR, lambda count, rng: np.zeros(count), steps=1),
            ValueError,
            "^sigma must be finite and positive",
        ),
        (
            lambda: es.train(LINE, PAIR, 1, RNG, steps=1, weight_decay=np.inf),
            ValueError,
            "^weight_decay must be at least 0, got inf",
        ),
        (lambda: es.train(None, PAIR, 1, RNG, steps=1), TypeError, "^denoiser must"),
        (lambda: es.train(LINE, [[1, 2]], 1, RNG, steps=1), ValueError, "^data must"),
        (lambda: es.train(LINE, PAIR, 1, RNG, steps=0), ValueError, "^steps must"),
        (lambda: es.train(LINE, PAIR, 1, None, steps=1), TypeError, "^rng must be"),
        (lambda: es.train(LINE, PAIR, 0, RNG, steps=1), ValueError, "^sigma must"),
        (
            lambda: es.train(LINE, PAIR, (2, 1), RNG, steps=1),
            ValueError,
            "^sigma must be a positive number, a pair",
        ),
        (
            lambda: es.train(LINE, PAIR, 1, RNG, steps=1, target=3),
            TypeError,
            "^target must have denoise",
        ),
        (
            lambda: es.train(LINE, PAIR, 1, RNG, steps=1, weight_decay=-1),
            ValueError,
            "^weight_decay must be at least 0",
        ),
        (
            lambda: es.train(LINE, PAIR, 1, RNG, steps=1, rate=0),
            ValueError,
            "^rate must be finite and positive",
        ),
        (
            lambda: es.train(LINE, PAIR, 1, RNG, steps=1, batch=0),
            ValueError,
            "^batch must be a positive integer",
        ),
        (
            lambda: es.train(LINE, PAIR, 1, RNG, steps=1, noise_weights=[1.0]),
            ValueError,
            "^noise_weights need noise",
        ),
        (
            lambda: es.train(
                LINE, PAIR, 1, RNG, steps=1, noise=[[0.0]], noise_weights=[1.0, 2.0]
            ),
            ValueError,
            "^noise_weights must have shape",
        ),
    ],
)
def test_bad_input_is_refused_at_once(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
