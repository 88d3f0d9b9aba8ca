"""Training targets against mpmath sums by hand, limits and what networks learn."""

import mpmath
import numpy as np
import pytest
import torch

import empirical_score as es

torch.set_num_threads(1)
RNG = np.random.default_rng
DATA = RNG(0).standard_normal((9, 3))


def noised(count, seed=1, data=DATA):
    rng = RNG(seed)
    index = rng.integers(len(data), size=count)
    sigma = rng.uniform(0.1, 1.5, count)
    return data[index] + sigma[:, None] * rng.standard_normal((count, 3)), sigma, index


def squared(a, b):
    return mpmath.fsum(
        (mpmath.mpf(p) - mpmath.mpf(q)) ** 2 for p, q in zip(a, b, strict=True)
    )


def by_hand(x, sigma, chosen, temperature, power=None, implied=False, data=DATA):
    """The aim at one x over the chosen rows, in 40 digits."""
    with mpmath.workdps(40):
        sigma, heat = mpmath.mpf(sigma), mpmath.mpf(temperature)
        squares = [squared(x, data[j]) for j in chosen]
        if power is None:
            weights = [mpmath.exp(-s / (2 * heat * sigma**2)) for s in squares]
        else:
            weights = [mpmath.sqrt(s) ** (-power / heat) for s in squares]
        total = mpmath.fsum(weights)
        shares = [w / total for w in weights]
        if implied:
            shares = [
                w * power * sigma**2 / s for w, s in zip(shares, squares, strict=True)
            ]
        return [
            float(
                x[k]
                + mpmath.fsum(
                    w * (data[j][k] - x[k]) for w, j in zip(shares, chosen, strict=True)
                )
            )
            for k in range(len(x))
        ]


def by_distance(point, k, data=DATA):
    return sorted(range(len(data)), key=lambda j: squared(point, data[j]))[:k]


def close(value, wanted, atol=1e-12):
    np.testing.assert_allclose(np.asarray(value), wanted, rtol=0, atol=atol)


OPTIONS = {
    "gaussian": {},
    "power": {"power": 2.5},
    "implied": {"power": 2.5, "component": "implied"},
}


@pytest.mark.parametrize("around", ["clean", "noised"])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_aims_by_hand(options, around):
    x, sigma, index = noised(12)
    target = es.NeighborTarget(DATA, 4, 3.0, around=around, **options)
    wanted = []
    for row, level, i in zip(x, sigma, index, strict=True):
        chosen = by_distance(DATA[i] if around == "clean" else row, 4)
        implied = options.get("component") == "implied"
        wanted.append(by_hand(row, level, chosen, 3.0, options.get("power"), implied))
    close(target.target(x, sigma, index), wanted)
    tensor = target.target(torch.tensor(x), torch.tensor(sigma), torch.tensor(index))
    assert isinstance(tensor, torch.Tensor)
    close(tensor, wanted)
    close(target.target(x, sigma, index.tolist()), wanted)
    single = target.target(x.astype(np.float32), sigma, index)
    assert single.dtype == np.float32
    close(single, wanted, 2e-4)
    for kind in (np.float64, np.float32):  # one after the other, out of one target
        tensor = torch.tensor(x.astype(kind))
        assert target.target(tensor, 0.5, index).dtype == tensor.dtype
        assert target.denoise(tensor, 0.5).dtype == tensor.dtype


def test_what_is_learned_is_the_posterior_mean_of_the_aims():
    x, sigma, _ = noised(5)
    target = es.NeighborTarget(DATA, 3, lambda s: 1 + s, below=0.9)
    wanted, spread = [], []
    for row, level in zip(x, sigma, strict=True):
        squares = np.sum((row - DATA) ** 2, axis=1)
        posterior = np.exp(-(squares - squares.min()) / (2 * level**2))
        posterior /= posterior.sum()
        aims = [
            DATA[i]
            if level >= 0.9
            else by_hand(row, level, by_distance(DATA[i], 3), 1 + level)
            for i in range(len(DATA))
        ]
        wanted.append(posterior @ aims)
        spread.append(posterior @ np.sum((aims - wanted[-1]) ** 2, axis=1))
    close(target.denoise(x, sigma), wanted)
    close(target.variance(x, sigma), spread)
    close(target(x, sigma), (wanted - x) / sigma[:, None] ** 2, 1e-10)
    blockwise = es.NeighborTarget(DATA, 3, lambda s: 1 + s, below=0.9, memory=1000)
    close(blockwise.denoise(x, sigma), wanted)


def test_one_neighbor_is_denoising_score_matching():
    x, sigma, index = noised(20)
    exact = es.EmpiricalScore(DATA)
    for options in ({}, {"power": 1.0}, {"temperature": 50.0}):
        target = es.NeighborTarget(DATA, 1, **options)
        close(target.target(x, sigma, index), DATA[index])
        close(target.denoise(x, sigma), exact.denoise(x, sigma))


def test_all_neighbors_are_the_exact_denoiser_at_a_higher_level():
    x, sigma, index = noised(20)
    exact = es.EmpiricalScore(DATA)
    for around in ("clean", "noised"):
        target = es.NeighborTarget(DATA, 9, 4.0, around=around)
        close(target.target(x, sigma, index), exact.denoise(x, 2 * sigma))
        close(target.denoise(x, sigma), exact.denoise(x, 2 * sigma))
        close(target.variance(x, sigma), 0)


def test_lists_that_are_a_partition_change_nothing_but_the_variance():
    cells = np.array([[0, 3, 4], [1, 2, 8], [5, 6, 7]])
    lists = np.empty((9, 3), int)
    for cell in cells:
        lists[cell] = cell
    x, sigma, _ = noised(20)
    exact = es.EmpiricalScore(DATA)
    target = es.NeighborTarget(DATA, lists)
    close(target.denoise(x, sigma), exact.denoise(x, sigma))
    plain = es.NeighborTarget(DATA, 1).variance(x, sigma)
    assert np.all(target.variance(x, sigma) < plain)
    nearest = es.NeighborTarget(DATA, 3)
    assert np.max(np.abs(nearest.denoise(x, sigma) - exact.denoise(x, sigma))) > 0.01


def test_neighbors_in_a_feature_space():
    features = DATA[:, :1] * 5
    target = es.NeighborTarget(DATA, 3, features=features)
    for i in range(9):
        order = np.argsort(np.abs(DATA[:, 0] - DATA[i, 0]), kind="stable")
        assert list(target.lists[i]) == list(order[:3])


@pytest.mark.parametrize("around", ["clean", "noised"])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_extreme_levels_by_hand(options, around):
    x, _, index = noised(6)
    power, implied = options.get("power"), "component" in options
    target = es.NeighborTarget(DATA, 4, 2.0, around=around, **options)
    for level in (1e-8, 1e8):
        wanted = [
            by_hand(
                row,
                level,
                by_distance(DATA[i] if around == "clean" else row, 4),
                *(2.0, power, implied),
            )
            for row, i in zip(x, index, strict=True)
        ]
        found = target.target(x, level, index)
        np.testing.assert_allclose(found, wanted, rtol=1e-11)


def test_what_is_learned_at_extreme_levels():
    """The aim of the nearest point; the mean of all aims."""
    x, _, _ = noised(6)
    target = es.NeighborTarget(DATA, 4, 2.0)
    nearest = [by_distance(row, 1)[0] for row in x]
    close(target.denoise(x, 1e-8), target.target(x, 1e-8, nearest), 1e-14)
    means = [DATA[by_distance(y, 4)].mean(axis=0) for y in DATA]
    close(target.denoise(x, 1e8), np.broadcast_to(np.mean(means, axis=0), x.shape))
    spread = np.mean(np.sum((means - np.mean(means, axis=0)) ** 2, axis=1))
    close(target.variance(x, 1e8), spread)


@pytest.mark.parametrize(
    "options", [{"power": 2.5}, {"power": 2.5, "component": "implied"}]
)
def test_a_power_law_aims_at_the_point_that_x_is(options):
    target = es.NeighborTarget(DATA, 4, 2.0, **options)
    np.testing.assert_array_equal(target.target(DATA, 0.5, np.arange(9)), DATA)


@pytest.mark.parametrize("around", ["clean", "noised"])
def test_blocks_of_rows_change_nothing(around):
    """Seven rows in blocks of two: the last one is short."""
    x, sigma, _ = noised(7)
    memory = 2 * 8 * 3 * 9 * (4 + 3)
    for options in OPTIONS.values():
        one = es.NeighborTarget(DATA, 4, 3.0, around=around, **options)
        cut = es.NeighborTarget(DATA, 4, 3.0, around=around, memory=memory, **options)
        assert len(list(cut._outcomes(*cut._arguments(x, sigma)))) == 4
        for method in ("denoise", "variance", "score"):
            close(getattr(cut, method)(x, sigma), getattr(one, method)(x, sigma))


# --- training ------------------------------------------------------------------------


class Watched(es.NeighborTarget):
    """Keeps what the training loop asks."""

    def target(self, x, sigma, index):
        self.seen = x, sigma, index
        return super().target(x, sigma, index)


def test_training_tells_the_target_the_clean_point():
    network = es.Denoiser(3, RNG(0), hidden=(4,))
    for options in ({}, {"batch": 7}, {"noise": 2}, {"noise": 2, "batch": 5}):
        target = Watched(DATA, 2)
        rng = RNG(3)
        run = es.train(network, DATA, 1e-6, rng, steps=1, target=target, **options)
        list(run)
        x, _, index = target.seen
        close(x, DATA[np.asarray(index)], 1e-4)


def test_a_linear_network_reaches_the_line_nearest_to_the_aims():
    data, sigma = np.array([[-1.0], [0.5], [2.0]]), 0.4
    target = es.NeighborTarget(data, 2, 3.0)
    noise = np.linspace(-2, 2, 9)[:, None]
    network = es.Denoiser(1, RNG(0), hidden=(), conditional=False)
    options = {"steps": 500, "rate": lambda done: 0.05 * (1 - done), "noise": noise}
    list(es.train(network, data, sigma, RNG(1), target=target, **options))
    x = (data + sigma * noise.T).reshape(-1, 1)
    aims = [
        by_hand(x[k], sigma, by_distance(data[k // 9], 2, data), 3.0, data=data)
        for k in range(27)
    ]
    slope, offset = np.polyfit(x[:, 0], np.ravel(aims), 1)
    close(network.denoise(x, sigma), slope * x + offset, 1e-4)


@pytest.mark.parametrize(
    ("form", "power"), [("residual", 0), ("noise", 1), ("score", 2)]
)
def test_forms_of_output_by_hand(form, power):
    network = es.Denoiser(3, RNG(0), hidden=(), form=form, conditional=False)
    matrix, bias = network.state().values()
    x, sigma, _ = noised(4)
    wanted = x + sigma[:, None] ** power * (x @ matrix.T + bias)
    close(network.denoise(x, sigma), wanted)


# --- bad input -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "options", "kind", "words"),
    [
        (([[1.0], [np.nan]], 1), {}, ValueError, "data"),
        ((DATA, 0), {}, ValueError, "neighbors must be a positive integer"),
        ((DATA, 10), {}, ValueError, "at most the 9 rows of data, got 10"),
        ((DATA, 2.5), {}, ValueError, "neighbors"),
        ((DATA, 2, 0.0), {}, ValueError, "temperature"),
        ((DATA, 2), {"power": -1}, ValueError, "power"),
        ((DATA, 2), {"component": "implied"}, ValueError, "needs power"),
        ((DATA, 2), {"component": "own"}, ValueError, "component must be one of"),
        ((DATA, 2), {"around": "x"}, ValueError, "around must be one of"),
        ((DATA, 2), {"below": 0}, ValueError, "below"),
        ((DATA, 2), {"features": DATA[:5]}, ValueError, "one row for each of the 9"),
        ((DATA, 2), {"features": DATA, "around": "noised"}, ValueError, "features"),
        ((DATA, np.zeros((3, 2))), {}, ValueError, r"got shape \(3, 2\)"),
        ((DATA, np.full((9, 2), 9)), {}, ValueError, "0 to 8"),
        ((DATA, np.full((9, 2), 0.5)), {}, ValueError, "row numbers"),
    ],
)
def test_bad_arguments_are_refused(arguments, options, kind, words):
    with pytest.raises(kind, match=words):
        es.NeighborTarget(*arguments, **options)


@pytest.mark.parametrize(
    ("index", "words"),
    [
        ([0], "index must be 2"),
        ([0, 9], "0 to 8"),
        ([0.5, 1], "whole"),
        ([-1, 0], "0 to"),
    ],
)
def test_bad_index_is_refused(index, words):
    target = es.NeighborTarget(DATA, 2)
    with pytest.raises(ValueError, match=words):
        target.target(DATA[:2], 1.0, index)


def test_a_temperature_of_wrong_values_is_refused():
    target = es.NeighborTarget(DATA, 2, lambda sigma: -sigma)
    with pytest.raises(ValueError, match="temperature"):
        target.denoise(DATA, 1.0)


def test_a_target_of_other_points_is_refused():
    network = es.Denoiser(3, RNG(0), hidden=(4,))
    target = es.NeighborTarget(DATA, 2)
    one_off = DATA + np.arange(9)[:, None] // 8 * [[0, 0, 1e-9]]
    for data in (DATA[:5], DATA + 1, one_off):
        with pytest.raises(ValueError, match="target must be made from the data"):
            es.train(network, data, 1.0, RNG(1), steps=1, target=target)


def test_the_former_name_of_the_target_stays():
    target = es.NeighborTarget(DATA, 2)
    index = np.arange(len(DATA))
    np.testing.assert_array_equal(
        target.aim(DATA, 0.5, index), target.target(DATA, 0.5, index)
    )


class Former:
    """A target of one's own under the former name."""

    def aim(self, x, sigma, index):
        return 0 * x + 7


class Present(Former):
    """The same under the present one, which is asked first."""

    def target(self, x, sigma, index):
        return super().aim(x, sigma, index)

    def aim(self, x, sigma, index):
        raise AssertionError


def test_training_takes_a_target_under_either_name():
    losses = []
    for target in (Former(), Present(), None):
        network = es.Denoiser(3, RNG(0), hidden=(4,))
        run = es.train(network, DATA, 0.5, RNG(3), steps=2, target=target)
        losses.append([record.loss for record in run])
    assert losses[0] == losses[1] != losses[2]
