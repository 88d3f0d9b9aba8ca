"""The statistics of copying by brute force, and what they make of copies."""

import audit_oracle
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from empirical_score import copy_statistics

RNG = np.random.default_rng


@pytest.fixture
def sets():
    rng = RNG(0)
    return rng.standard_normal((80, 4)), rng.standard_normal((30, 4))


def brute(x, data, k, h):
    """All four statistics of one sample, from their definitions."""
    e = np.sort(cdist([x], data)[0])[:k]
    y = np.argmin(cdist([x], data)[0])
    o = np.sort(cdist([data[y]], np.delete(data, y, axis=0))[0])[:k]
    p, q = (np.sum(np.exp(-(v**2) / (2 * h**2))) for v in (e, o))
    return e[0] / e[-1], e[0] / np.mean(o), e[0] / o[0], np.log(q) - np.log(p)


def test_the_statistics_by_their_definitions(sets):
    data, x = sets
    found = copy_statistics.measure(x, data, neighbors=6, tolerance=0.0, bandwidth=0.8)
    expected = np.array([brute(row, data, 6, 0.8) for row in x]).T
    np.testing.assert_allclose(found.values(), expected, rtol=1e-10, atol=1e-12)
    distances = cdist(x, data)
    np.testing.assert_array_equal(found.nearest, np.argmin(distances, axis=1))
    np.testing.assert_allclose(found.distance, distances.min(axis=1), rtol=1e-12)
    assert not found.flipped.any()


def test_copies_are_small_in_every_statistic(sets):
    data, x = sets
    options = {"neighbors": 5, "tolerance": 0.01, "bandwidth": 0.5}
    fresh = copy_statistics.measure(x, data, **options).values()
    exact = copy_statistics.measure(data[:9], data, **options)
    assert np.all(exact.values()[:3] == 0)
    assert np.all(exact.density < np.median(fresh[3]))
    near = copy_statistics.measure(data[:9] + 0.02, data, **options).values()
    assert np.all(near.max(axis=1) < np.median(fresh, axis=1))


def test_copies_of_an_image_that_the_training_set_repeats_are_no_less_copies(sets):
    data, _ = sets
    jitter = 1e-3 * RNG(5).standard_normal((8, 9, 4))
    repeated = np.concatenate([data, *(data[:9] + jitter[:7])])
    options = {"neighbors": 3, "bandwidth": 0.5}
    x = data[:9] + jitter[7]
    hidden = copy_statistics.measure(x, repeated, tolerance=0.0, **options)
    seen = copy_statistics.measure(x, repeated, tolerance=0.05, **options)
    once = copy_statistics.measure(x, data, tolerance=0.05, **options)
    assert np.all(hidden.ratio > 1 / 5)  # and so not always below the usual 1/3
    assert np.all(seen.ratio < 0.1)
    assert np.all(once.ratio < 0.1) and np.all(seen.distance <= once.distance)


def test_blur_looks_like_copying_but_hardly_in_the_ratio():
    """Half of the axes are noise that a smooth generator leaves out."""
    rng = RNG(1)
    data, fresh = rng.standard_normal((400, 30)), rng.standard_normal((200, 30))
    smooth = fresh.copy()
    smooth[:, 15:] = 0
    options = {"neighbors": 5, "tolerance": 0.1, "bandwidth": 1.0}
    ours = copy_statistics.measure(smooth, data, **options)
    theirs = copy_statistics.measure(fresh, data, **options)
    nearer = {
        name: np.mean(getattr(ours, name)[:, None] < getattr(theirs, name))
        for name in copy_statistics.NAMES
    }
    excess = {name: share - 0.5 for name, share in nearer.items()}
    others = excess["relative"], excess["authenticity"], excess["density"]
    assert min(others) > 0.25 and abs(excess["ratio"]) < min(others) / 3


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3), (3, 4, 5)])
def test_mirror_images(shape):
    rng = RNG(2)
    data = rng.random((60, int(np.prod(shape))))
    images = data.reshape(60, *shape)
    columns = 2 if shape[0] == 3 else 1
    mirrored = np.flip(images, columns + 1).reshape(60, -1)
    np.testing.assert_array_equal(copy_statistics.flip(data, shape), mirrored)
    options = {"neighbors": 3, "tolerance": 0.0, "bandwidth": 1.0}
    found = copy_statistics.measure(mirrored[:7], data, shape=shape, **options)
    assert np.all(found.distance == 0) and np.all(found.flipped)
    np.testing.assert_array_equal(found.nearest, np.arange(7))
    as_is = copy_statistics.measure(data[:7], data, shape=shape, **options)
    assert np.all(as_is.distance == 0) and not np.any(as_is.flipped)
    assert np.all(copy_statistics.measure(mirrored[:7], data, **options).distance > 0)


def test_the_tolerance_is_a_share_of_the_median_spacing(sets):
    data, _ = sets
    distances = cdist(data, data) + 1e9 * np.eye(80)
    expected = np.median(distances.min(axis=1)) / 3
    found = copy_statistics.estimate_tolerance(data, RNG(0))
    assert found == pytest.approx(expected, rel=1e-12)
    assert copy_statistics.estimate_tolerance(data, RNG(0), share=0.5) == pytest.approx(
        1.5 * found
    )


@pytest.mark.parametrize("neighbors", [2, 20])
def test_the_bandwidth_maximizes_the_left_out_likelihood(sets, neighbors):
    data, _ = sets
    found = copy_statistics.estimate_bandwidth(
        data, RNG(0), neighbors=neighbors, tolerance=0.0
    )
    best = audit_oracle.bandwidth(data, neighbors, 0.0)
    assert found == pytest.approx(best, rel=1e-7)


class Chosen(np.random.Generator):
    """A generator whose choice is known."""

    def __init__(self):
        super().__init__(np.random.PCG64(0))

    rows = np.array([50, 3, 77, 12, 13, 40, 8])

    def choice(self, count, size, replace):
        assert (count, size, replace) == (80, 7, False)
        return self.rows


def test_estimates_from_some_points_only(sets):
    """Of these, the neighbors in all data count."""
    data, _ = sets
    rows, distances = Chosen.rows, cdist(data, data)
    others = np.sort(distances[rows], axis=1)[:, 1:]
    found = copy_statistics.estimate_tolerance(data, Chosen(), draws=7)
    assert found == pytest.approx(np.median(others[:, 0]) / 3, rel=1e-12)
    options = {"neighbors": 3, "tolerance": 0.0, "draws": 7}
    width = copy_statistics.estimate_bandwidth(data, Chosen(), **options)
    squares = others[:, :3] ** 2
    weights = np.exp(-squares / (2 * width**2))
    weights /= weights.sum(axis=1, keepdims=True)
    fixed = np.sqrt(np.mean(np.sum(weights * squares, axis=1)) / 4)
    assert width == pytest.approx(fixed, rel=1e-9)
    # As many draws as points are all of them, and need no choice.
    every = copy_statistics.estimate_tolerance(data, 0, draws=80)
    assert every == copy_statistics.estimate_tolerance(data, 1)


def test_a_thousand_points_are_drawn():
    line = np.arange(1500.0)[:, None] ** 1.1

    class Counting(np.random.Generator):
        def choice(self, count, size, replace):
            self.size = size
            return np.arange(size)

    for estimate, options in (
        (copy_statistics.estimate_tolerance, {}),
        (copy_statistics.estimate_bandwidth, {"neighbors": 2, "tolerance": 0}),
    ):
        rng = Counting(np.random.PCG64(0))
        estimate(line, rng, **options)
        assert rng.size == 1000


def test_one_point_has_no_spacing():
    assert copy_statistics.estimate_tolerance(np.ones((1, 2)), 0) == 0


def test_a_tolerance_that_leaves_no_neighbors(sets):
    data, x = sets
    options = {"neighbors": 2, "tolerance": 100.0}
    for call in (
        lambda: copy_statistics.estimate_bandwidth(data, 0, **options),
        lambda: copy_statistics.measure(x, data, bandwidth=1.0, **options),
    ):
        with pytest.raises(ValueError, match="tolerance 100 is so large that training"):
            call()


@pytest.mark.parametrize(
    ("shape", "first"),
    [((3, 8, 6), True), ((1, 8, 6), True), ((8, 6), False), ((8, 6, 3), False)]
    + [((8, 6, 1), False), ((3, 6, 3), False), ((1, 1, 3), False), ((4, 8, 6), False)],
)
def test_where_the_channels_are(shape, first):
    assert copy_statistics.channels_first(shape) is first


def test_parts_and_thresholds():
    x = RNG(4).standard_normal((20, 2))
    every = copy_statistics.measure(x, x, neighbors=2, tolerance=0, bandwidth=1.0)
    part = every.part(slice(3, 5))
    assert part.nearest.tolist() == [3, 4]
    columns = every.ratio, every.relative, every.authenticity, every.density
    np.testing.assert_array_equal(part.values(), np.stack(columns)[:, 3:5])
    assert copy_statistics.thresholds(100) == {
        "ratio": 1 / 3,
        "relative": 1 / 2,
        "authenticity": 1,
        "density": -25,
    }
