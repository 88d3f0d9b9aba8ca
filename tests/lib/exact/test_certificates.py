"""Certificates of the denoiser to a tolerance, where they are hardest to keep."""

from itertools import product

import numpy as np
import pytest
import torch
from adversary import KINDS, PLAYS, Search
from oracles import deviations

import empirical_score as es

ARRAYS = {"numpy": np.asarray, "torch": torch.as_tensor}


def test_no_state_of_a_short_search_breaks_a_certificate():
    """And some come close: a bound of a third of what it has to be would be seen.

    ``python tests/lib/adversary.py`` searches for longer.
    """
    search = Search(seed=0, largest=2.6, climbs=2)
    search.known()
    for way, kind, d, offset in product(PLAYS, KINDS, (2, 9, 200), (0.0, 300.0)):
        for _ in range(2):
            search.step(play=way, kind=kind, d=d, offset=offset)
    assert search.worst <= 1, search.table()
    assert search.bite > 0.3, search.table()
    assert search.told <= 1.001, search.table()


def smooth(n, d, rng):
    """Points whose variance falls from axis to axis, in turned coordinates, clustered.

    Like images: a few directions carry most of the spread.
    """
    scales = 3.0 / np.arange(1, d + 1)
    centers = scales * rng.standard_normal((8, d))
    points = centers[rng.integers(8, size=n)] + 0.3 * scales * rng.standard_normal(
        (n, d)
    )
    return points @ np.linalg.qr(rng.standard_normal((d, d)))[0] + 0.5


def directly(data, x, sigma):
    """The denoiser by differences, in float64."""
    squares = np.array([np.sum((data - row) ** 2, axis=1) for row in x])
    logs = -squares / (2 * sigma**2)
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True) @ data


@pytest.mark.parametrize("tolerance", [1e-1, 1e-2, 1e-4])
@pytest.mark.parametrize(("n", "d"), [(901, 200), (1501, 40)])
def test_a_long_path_is_certified_at_every_step(n, d, tolerance):
    """Where weights are taken from products of earlier steps, up to bounds."""
    rng = np.random.default_rng(d)
    data, m = smooth(n, d, rng), 4
    law = es.EmpiricalScore(data, tolerance=tolerance)
    x = 80 * rng.standard_normal((m, d))
    path, levels = law.starting_from(x), es.karras_levels(60, 80.0, 0.01)
    shares = []
    for level, below in zip(levels[:-1], levels[1:], strict=True):
        if below == 0:
            break
        found = path.denoise(x, level)
        told = path.certificates[-1]
        off = np.mean((found - directly(data, x, level)) ** 2, axis=1) ** 0.5
        assert np.all(off <= told.error + 1e-13), level
        assert np.all(told.error <= 1.0001 * tolerance), level
        shares.append(told.share)
        x = found + below / level * (x - found)
    assert shares[-1] < 0.1  # of the work at low noise


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("d", [2, 9, 120])
def test_what_is_certain_of_each_row(array, kind, d):
    """One number a row and fact, whatever was done for it, in rows of many levels."""
    rng = np.random.default_rng(d)
    data = smooth(1201, d, rng).astype(kind)
    law, m = es.EmpiricalScore(array(data), tolerance=1e-3), 14
    sigma = rng.permutation(np.geomspace(0.01, 50, m)).astype(kind)
    x = (data[:m] + sigma[:, None] * rng.standard_normal((m, d))).astype(kind)
    for some in (slice(0, m), slice(0, 1), slice(0, 2)):
        asked = array(x[some]), array(sigma[some])
        found, told = law.certified(*asked)
        count = len(x[some])
        assert tuple(found.shape) == (count, d)
        assert str(found.dtype).endswith(kind)
        for fact in (told.error, told.discarded, told.rigorous):
            assert type(fact) is type(found)
            assert tuple(fact.shape) == (count,)
        discarded = np.asarray(told.discarded)
        assert np.all((discarded >= 0) & (discarded <= 1))
        assert np.asarray(told.rigorous).dtype == bool
        assert isinstance(told.share, float) and 0 <= told.share < 1.5
        off = deviations(np.asarray(found), data, x[some], sigma[some])
        assert np.all(off <= np.asarray(told.error))
        same = law.denoise(*asked)
        np.testing.assert_allclose(np.asarray(same), np.asarray(found), atol=3e-3)


@pytest.mark.parametrize("way", ["calls", "path"])
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("d", [2, 12, 120])
@pytest.mark.parametrize(("n", "offset"), [(2, 0.0), (1301, 0.0), (2, 256.0)])
def test_what_is_left_out_weighs_no_more_than_is_said(n, offset, d, kind, array, way):
    """One point, and one or many in one place farther away.

    With their weight known, the deviation is this weight times the gap.  Left out, a
    single one reaches the bound; of many all terms of sums round alike.
    """
    gap, tolerance, left = 4.0, 1e-3, 0
    data, x = np.zeros((n, d), kind) + offset, np.zeros((2, d), kind) + offset
    data[1:, 0] += gap
    law = es.EmpiricalScore(array(data), tolerance=tolerance)
    score = law if way == "calls" else law.starting_from(array(x))
    for lead in np.geomspace(4, 50, 60):
        sigma = float(np.asarray(gap / np.sqrt(2 * lead), kind))
        if score is law:
            found, told = law.certified(array(x), sigma)
        else:
            found = score.denoise(array(x), sigma)
            told = score.certificates[-1]
        behind = (n - 1) * np.exp(-(gap**2) / (2 * sigma**2))
        other = behind / (1 + behind)
        found = np.asarray(found, float) - offset
        wanted = gap * other * (np.arange(d) == 0)
        off = np.sqrt(np.mean((found - wanted) ** 2, axis=1))
        error, discarded = np.asarray(told.error), np.asarray(told.discarded)
        assert np.all(off <= error * (1 + 1e-9) + 1e-17), lead
        assert np.all(error <= 1.0001 * tolerance), lead
        if offset == 0 and np.all(found == 0):
            left += 1  # all of them were left out
            assert np.all(other <= discarded * (1 + 1e-9) + 1e-9)
    assert left > 3 or d < 100 or offset > 0


@pytest.mark.parametrize("memory", [6_000, 40_000, 3_000_000, 2**27])
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_a_path_in_any_memory_is_certified(memory, array):
    rng = np.random.default_rng(11)
    data, noise = smooth(803, 40, rng), rng.standard_normal((6, 40))
    law = es.EmpiricalScore(array(data), tolerance=1e-3, memory=memory)
    path = law.starting_from(array(3 * noise + data[:6]))
    for sigma in (3.0, 1.0, 0.3, 0.1, 0.02):
        x = sigma * noise + data[:6]
        found, told = np.asarray(path.denoise(array(x), sigma)), path.certificates[-1]
        off = np.mean((found - directly(data, x, sigma)) ** 2, axis=1) ** 0.5
        assert np.all(off <= np.asarray(told.error) + 1e-14)
        assert np.all(np.asarray(told.error) <= 1e-3)
    assert len(path.certificates) == 5
    assert path.certificates[-1].share < 0.1 or memory < 10**6


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_the_score_is_that_of_a_denoiser_to_the_tolerance(array):
    rng = np.random.default_rng(1)
    for d in (2, 60):
        data, m = smooth(1003, d, rng), 9
        sigma = rng.permutation(np.geomspace(20, 0.02, m))
        x = data[:m] + sigma[:, None] * rng.standard_normal((m, d))
        law = es.EmpiricalScore(array(data), tolerance=1e-3)
        path = law.starting_from(array(x))
        wanted = np.array([directly(data, x[i : i + 1], sigma[i])[0] for i in range(m)])
        for score in (law, path):
            found = np.asarray(score(array(x), array(sigma))) * sigma[:, None] ** 2 + x
            off = np.mean((found - wanted) ** 2, axis=1) ** 0.5
            assert np.all(off <= 1e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("d", [1, 2, 3])
def test_clouds_that_stand_for_their_points_are_within_what_is_said(kind, d):
    """Tight groups of 64: most of the work is left out, and the errors are certain."""
    rng = np.random.default_rng(d)
    places = rng.uniform(-3, 3, (320, d))
    data = np.repeat(places, 64, axis=0) + 0.02 * rng.standard_normal((20_480, d))
    data, shares = data[9:].astype(kind), []
    corners = [(data @ w).argmax() for w in (np.ones(d), -np.ones(d), np.arange(d) - 1)]
    near = np.concatenate([data[::1024], data[corners], data[data.argmax(0)]])
    for tolerance in (3e-2, 1e-3):
        law = es.EmpiricalScore(data, tolerance=tolerance)
        for sigma in (0.1, 0.3, 1.0, 3.0):
            x = near + sigma * rng.standard_normal(near.shape)
            x[20:] = near[20:] + sigma / 4
            x = x.astype(kind)
            found, told = law.certified(x, sigma)
            off = deviations(found, data, x, np.asarray(sigma, kind))
            assert np.all(off <= told.error)
            assert np.all(told.error <= tolerance)
            shares.append(told.share)
    assert min(shares) < 0.1


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
@pytest.mark.parametrize("d", [2, 8, 40])
def test_a_point_just_out_of_reach_of_float32_is_in_the_error(d, array):
    """From far away: of two points the nearer one is returned, the other is not lost.

    The result is a number of float32, so that its rounding hides nothing.
    """
    rng = np.random.default_rng(d)
    for lead, way in product(np.linspace(18, 45, 28), (40.0, 4e3, 4e4)):
        data = rng.standard_normal((2, d)).astype(np.float32)
        away = rng.standard_normal(d)
        gap = data[1].astype(float) - data[0]
        away -= gap * (away @ gap) / (gap @ gap)
        x = (data[:1] + way * away).astype(np.float32)
        squares = np.sum((data - x.astype(float)) ** 2, axis=1)
        sigma = np.float32(np.sqrt(abs(squares[1] - squares[0]) / (2 * lead)))
        law = es.EmpiricalScore(array(data), tolerance=1e-2)
        found, told = law.certified(array(x), float(sigma))
        off = deviations(np.asarray(found), data, x, sigma)
        assert np.all(off <= np.asarray(told.error)), lead
