"""Toy data and images: shapes, supports, laws and repeatability."""

import numpy as np
import pytest
from scipy import stats

from empirical_score import datasets

TOYS = {
    "gaussian": datasets.gaussian,
    "mixture": datasets.mixture,
    "two_moons": datasets.two_moons,
    "circle": datasets.circle,
    "swiss_roll": datasets.swiss_roll,
    "segments": datasets.segments,
}
MANY = 20_000


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("make", TOYS.values(), ids=TOYS)
def test_toys_have_the_right_shape_and_repeat_under_one_seed(make):
    for n in (1, 7, np.int64(50)):
        points = make(n, rng())
        assert points.shape == (n, 2) and points.dtype == np.float64
        assert np.all(np.isfinite(points))
        np.testing.assert_array_equal(points, make(n, rng()))
        assert not np.array_equal(points, make(n, rng(1)))


DEFAULTS = {
    "gaussian": {"dimension": 2, "mean": 0.0, "scale": 1.0},
    "mixture": {"components": 5, "radius": 2.0, "scale": 0.15},
    "two_moons": {"noise": 0.05},
    "circle": {"radius": 1.0, "noise": 0.0},
    "swiss_roll": {"noise": 0.0, "turns": 1.5},
    "segments": {"count": 3, "gap": 0.5, "noise": 0.0},
}


@pytest.mark.parametrize("name", TOYS)
def test_what_is_not_said_has_a_default(name):
    found = TOYS[name](50, rng())
    np.testing.assert_array_equal(found, TOYS[name](50, rng(), **DEFAULTS[name]))


@pytest.mark.parametrize("name", TOYS)
def test_bad_arguments_are_refused_by_name(name):
    make = TOYS[name]
    for n in (0, 2.5, -1):
        with pytest.raises(ValueError, match="n must be a positive integer, got"):
            make(n, rng())
    with pytest.raises(TypeError, match="rng must be a numpy.random.Generator"):
        make(5, np.random.RandomState(0))
    counts = {"dimension", "components", "count"} & set(DEFAULTS[name])
    for setting in counts:
        with pytest.raises(ValueError, match=f"{setting} must be a positive integer"):
            make(5, rng(), **{setting: 0})
    for setting in set(DEFAULTS[name]) - counts - {"mean"}:
        make(5, rng(), **{setting: 0})
        for value in (-1, np.inf, np.nan):
            message = f"{setting} must be finite and at least 0, got {value}"
            with pytest.raises(ValueError, match=message):
                make(5, rng(), **{setting: value})


def test_a_circle_without_a_generator_has_no_noise():
    with pytest.raises(ValueError, match="noise > 0 needs rng"):
        datasets.circle(5, noise=0.1)
    with pytest.raises(ValueError, match="n must be a positive integer, got 0"):
        datasets.circle(0)
    with pytest.raises(ValueError, match="radius must be finite and at least 0"):
        datasets.circle(5, radius=np.nan)


def test_gaussian_has_its_mean_scale_and_dimension():
    points = datasets.gaussian(MANY, rng(), dimension=3, mean=[1, 2, 3], scale=0.5)
    z = (points - [1, 2, 3]) / 0.5
    assert np.all(np.abs(z.mean(0)) < 4 / np.sqrt(MANY))
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-3
    assert datasets.gaussian(4, rng()).shape == (4, 2)


def test_mixture_has_equal_components_on_a_circle():
    points = datasets.mixture(MANY, rng(), components=7, radius=3.0, scale=0.01)
    angle = 2 * np.pi * np.arange(7) / 7
    centers = 3 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    gaps = np.linalg.norm(points[:, None] - centers, axis=2)
    assert stats.chisquare(np.bincount(gaps.argmin(1), minlength=7)).pvalue > 1e-3
    z = (points - centers[gaps.argmin(1)]) / 0.01
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-3


def test_circle_without_a_generator_is_evenly_spaced():
    points = datasets.circle(8, radius=2.0)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 2.0, rtol=1e-15)
    steps = np.linalg.norm(points - np.roll(points, 1, axis=0), axis=1)
    np.testing.assert_allclose(steps, 4 * np.sin(np.pi / 8), rtol=1e-14)
    np.testing.assert_array_equal(points[0], [2.0, 0.0])


def test_circle_with_a_generator_is_uniform():
    points = datasets.circle(MANY, rng(), radius=2.0)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 2.0, rtol=1e-14)
    angle = np.arctan2(points[:, 1], points[:, 0]) / (2 * np.pi) + 0.5
    assert stats.kstest(angle, "uniform").pvalue > 1e-3


def test_two_moons_lie_on_two_half_circles():
    points = datasets.two_moons(MANY, rng(), noise=0.0) + [0.5, 0.25]
    upper = np.abs(np.linalg.norm(points, axis=1) - 1) < 1e-12
    lower = np.abs(np.linalg.norm(points - [1.0, 0.5], axis=1) - 1) < 1e-12
    assert np.all(upper | lower)
    assert np.all(points[upper & ~lower, 1] >= 0)
    assert np.all(points[lower & ~upper, 1] <= 0.5)
    assert abs(upper.mean() - 0.5) < 4 * 0.5 / np.sqrt(MANY)
    for moon, center, turn in ((upper, [0, 0], 1), (lower & ~upper, [1, 0.5], -1)):
        across, up = turn * (points[moon] - center).T
        angle = np.arctan2(up, across) / np.pi
        assert stats.kstest(angle, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("turns", [0.5, 1.5, 3.0])
def test_swiss_roll_radius_is_proportional_to_its_angle(turns):
    """``r = s / s_end``, and the direction is the angle ``s`` up to whole turns."""
    points = datasets.swiss_roll(MANY, rng(), turns=turns)
    radius = np.linalg.norm(points, axis=1)
    end = 2 * np.pi * (0.5 + turns)
    angle = radius * end
    assert angle.min() >= np.pi * (1 - 1e-12) and radius.max() <= 1 + 1e-12
    direction = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    np.testing.assert_allclose(points, radius[:, None] * direction, atol=1e-12)
    spread = (angle - np.pi) / (end - np.pi)
    assert stats.kstest(spread, "uniform").pvalue > 1e-3


def test_segments_are_parallel_and_a_gap_apart():
    points = datasets.segments(MANY, rng(), count=4, gap=0.3)
    heights, counts = np.unique(points[:, 1], return_counts=True)
    np.testing.assert_allclose(heights, [-0.45, -0.15, 0.15, 0.45], rtol=1e-14)
    assert stats.chisquare(counts).pvalue > 1e-3
    assert stats.kstest((points[:, 0] + 1) / 2, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("name", ["two_moons", "circle", "swiss_roll", "segments"])
def test_noise_is_added_gaussian_noise(name):
    clean = TOYS[name](MANY, rng(), noise=0.0)
    noisy = TOYS[name](MANY, rng(), noise=0.2)
    z = (noisy - clean) / 0.2
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-3


# --- images -------------------------------------------------------------------------


def test_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    images, labels = datasets.digits()
    assert images.shape == (1797, 64) and labels.shape == (1797,)
    assert images.min() == -1 and images.max() == 1
    bunch = load_digits()
    np.testing.assert_array_equal(8 * (images + 1), bunch.data)
    np.testing.assert_array_equal(labels, bunch.target)


def test_color_patches_have_32_rows_and_are_not_more_than_there_are():
    assert datasets.color_patches(3, rng()).shape == (3, 3072)
    message = "n must be at most the 48 patches of size 100, got 49"
    with pytest.raises(ValueError, match=message):
        datasets.color_patches(49, rng(), size=100)
    with pytest.raises(ValueError, match="size must be a positive integer, got 0"):
        datasets.color_patches(3, rng(), size=0)
    with pytest.raises(ValueError, match="n must be a positive integer, got 0"):
        datasets.color_patches(0, rng())
    with pytest.raises(TypeError, match="rng must be a numpy.random.Generator"):
        datasets.color_patches(3, None)


def photographs():
    from sklearn.datasets import load_sample_images

    return [np.asarray(photo) for photo in load_sample_images().images]


@pytest.mark.parametrize(("size", "count"), [(32, 520), (64, 120), (100, 48)])
def test_color_patches_put_together_are_the_photographs(size, count):
    """Every cell of the grid appears exactly once among all patches."""
    patches = datasets.color_patches(count, rng(), size=size)
    assert patches.shape == (count, 3 * size**2)
    assert patches.min() >= -1 and patches.max() <= 1
    pixels = np.round((patches + 1) * 127.5).astype(np.uint8)
    np.testing.assert_allclose(pixels / 127.5 - 1, patches, atol=1e-15)
    left = {p.tobytes() for p in pixels}
    assert len(left) == count
    for photo in photographs():
        for top in range(0, photo.shape[0] - size + 1, size):
            for side in range(0, photo.shape[1] - size + 1, size):
                cell = photo[top : top + size, side : side + size]
                left.remove(cell.tobytes())
    assert not left


def test_color_patches_are_drawn_without_replacement():
    first, again = (datasets.color_patches(200, rng()) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert len(np.unique(first, axis=0)) == 200
    assert not np.array_equal(first, datasets.color_patches(200, rng(1)))
