"""The ramp on a graph against the ramp on a line, brute force and scipy's trees."""

import numpy as np
import pytest
import torch
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import cdist
from scipy.special import softmax
from scipy.stats import ortho_group

import empirical_score as es
from empirical_score import graph_ramp

RNG = np.random.default_rng(5)
DATA, X = RNG.standard_normal((30, 4)), RNG.standard_normal((200, 4))


@pytest.mark.parametrize("kappa", [0.0, 0.5, 2.0, np.inf])
def test_on_a_line_it_is_the_ramp_across_it_the_exact_score(kappa):
    frame = ortho_group.rvs(4, random_state=1)
    places = np.array([[-1.0], [-0.2], [0.1], [1.5]])
    line = 0.3 + places @ frame[:1]
    graph = es.GraphRampScore(line, es.graph_ramp.chain(4), kappa)
    on_line = (X - 0.3) @ frame.T
    for sigma in (1e-6, 0.01, 0.06):
        if kappa == np.inf and sigma > 0.01:
            continue
        low = graph.switch_levels()[graph.nearest_edge(X)[0]] >= sigma
        tangent = es.RampScore(places, kappa).denoise(on_line[:, :1], sigma)
        want = 0.3 + tangent @ frame[:1]
        got = graph.denoise(X, sigma)
        assert np.allclose(got[low], want[low], atol=1e-9)
        exact = es.EmpiricalScore(line).denoise(X, sigma)
        assert np.allclose(got[~low], exact[~low])


def test_switch_levels_are_those_of_the_line():
    places = np.array([[-1.0], [-0.2], [0.1], [1.5]])
    for kappa in (0.0, 0.7, 3.0):
        graph = es.GraphRampScore(places, graph_ramp.chain(4), kappa)
        ramp = es.RampScore(places, kappa)
        assert np.allclose(graph.switch_levels(), ramp.switch_levels())


def test_nearest_edge_is_the_nearest():
    edges = graph_ramp.neighbor_graph(DATA, 3)
    # Blocks of three rows: the last one is short.
    graph = es.GraphRampScore(DATA, edges, 0.0, memory=8 * 3 * 4 * len(edges))
    fine = np.linspace(0, 1, 2001)
    start, end = DATA[graph.edges[:, 0]], DATA[graph.edges[:, 1]]
    edge, place = graph.nearest_edge(X)
    for x, number, t in zip(X[:40], edge, place, strict=False):
        line = start[:, None] + fine[:, None] * (end - start)[:, None]
        brute = np.sum((line - x) ** 2, axis=2)
        own = np.sum((start[number] + t * (end - start)[number] - x) ** 2)
        assert own <= brute.min() + 1e-12 and own > brute.min() - 1e-5
    # With no collar the denoiser at low noise is the foot itself.
    foot = start[edge] + place[:, None] * (end - start)[edge]
    assert np.allclose(graph.denoise(X, 1e-7), foot)


def by_hand(graph, x, sigma):
    """The denoiser from direct differences to all edges, row by row."""
    out, kappa = [], graph.kappa
    for row, edge in zip(x, graph.nearest_edge(x)[0], strict=True):
        steps = np.maximum(np.sum(graph.steps**2, axis=1), 1e-300)
        t = np.clip(np.sum((row - graph.starts) * graph.steps, axis=1) / steps, 0, 1)
        gaps = np.linalg.norm(graph.starts + t[:, None] * graph.steps - row, axis=1)
        assert gaps[edge] < gaps.min() + 1e-12  # two edges may share the nearest end
        half = graph.half_gaps[edge]
        if sigma > half * (np.sqrt(kappa**2 + 4) - kappa) / 2:
            weights = softmax(-np.sum((row - DATA) ** 2, axis=1) / (2 * sigma**2))
            out.append(weights @ DATA)
        else:
            place = np.clip((2 * t[edge] - 1) * half / (half - kappa * sigma), -1, 1)
            out.append(graph.starts[edge] + (1 + place) / 2 * graph.steps[edge])
    return np.array(out)


@pytest.mark.parametrize("sigma", [1e-8, 1e-3, 0.3, 0.6, 1e3, 1e8])
def test_all_levels_by_hand(sigma):
    graph = es.GraphRampScore(DATA, graph_ramp.spanning_tree(DATA), 0.5)
    wanted = by_hand(graph, X, sigma)
    assert np.allclose(graph.denoise(X, sigma), wanted, rtol=1e-9, atol=1e-9)
    assert np.allclose(sigma**2 * graph(X, sigma), wanted - X, rtol=1e-9, atol=1e-9)
    if sigma == 1e-8:
        assert np.array_equal(graph.denoise(DATA, sigma), DATA)
    if sigma == 0.6:  # both kinds of edges are there
        chosen = graph.switch_levels()[graph.nearest_edge(X)[0]] < sigma
        assert 0.1 < np.mean(chosen) < 0.9


def test_far_from_the_origin_nothing_changes():
    edges = graph_ramp.neighbor_graph(DATA, 3)
    near = es.GraphRampScore(DATA, edges, 0.0)
    far = es.GraphRampScore(DATA + 1e7, edges, 0.0)
    feet = far.denoise(X + 1e7, 1e-9) - 1e7
    assert np.allclose(feet, near.denoise(X, 1e-9), atol=1e-7)


def test_torch_in_torch_out():
    graph = es.GraphRampScore(DATA, graph_ramp.spanning_tree(DATA), 0.5)
    out = graph(torch.tensor(X), torch.full((200,), 0.2, dtype=torch.float64))
    assert isinstance(out, torch.Tensor) and np.allclose(out.numpy(), graph(X, 0.2))


def test_chain():
    assert graph_ramp.chain(3).tolist() == [[0, 1], [1, 2]]
    assert graph_ramp.chain(3, closed=True).tolist() == [[0, 1], [1, 2], [2, 0]]
    assert graph_ramp.chain(2, closed=True).tolist() == [[0, 1]]


def test_spanning_tree_is_minimal():
    tree = graph_ramp.spanning_tree(DATA)
    length = np.linalg.norm(DATA[tree[:, 0]] - DATA[tree[:, 1]], axis=1).sum()
    assert np.isclose(length, minimum_spanning_tree(cdist(DATA, DATA)).sum())
    twins = np.concatenate([DATA, DATA])
    tree = graph_ramp.spanning_tree(twins)
    assert len(tree) == 59
    assert np.isclose(
        np.linalg.norm(twins[tree[:, 0]] - twins[tree[:, 1]], axis=1).sum(), length
    )
    assert graph_ramp.spanning_tree([[1.0, 2.0]]).shape == (0, 2)


def test_neighbor_graph():
    edges = graph_ramp.neighbor_graph(DATA, 2)
    order = np.argsort(cdist(DATA, DATA), axis=1)[:, 1:3]
    want = {tuple(sorted((i, j))) for i in range(30) for j in order[i]}
    assert {tuple(edge) for edge in edges.tolist()} == want
    twins = graph_ramp.neighbor_graph(np.zeros((4, 1)), 2)
    assert twins.tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3]]


def test_a_point_without_edges_is_its_own():
    graph = es.GraphRampScore([[0.0, 0.0], [1.0, 0.0], [5.0, 5.0]], [[0, 1]], 0.3)
    assert graph.denoise([[4.0, 5.0]], 1e-3).tolist() == [[5.0, 5.0]]
    lonely = es.GraphRampScore([[2.0]], [], 0.0)
    assert lonely.denoise([[7.0]], 0.1).tolist() == [[2.0]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: es.GraphRampScore(DATA, [[0, 30]], 0.1), "edges must be pairs"),
        (lambda: es.GraphRampScore(DATA, [[0, 0.5]], 0.1), "edges must be pairs"),
        (lambda: es.GraphRampScore(DATA, [0, 1, 2], 0.1), "edges must be pairs"),
        (lambda: es.GraphRampScore(DATA, [[0, 1]], -1), "kappa must be at least 0"),
        (lambda: es.GraphRampScore(DATA, [[0, 1]], 1)(X[:, :2], 1.0), "4 columns"),
        (lambda: graph_ramp.chain(1), "count must be an integer of at least 2"),
        (lambda: graph_ramp.neighbor_graph(DATA, 30), "k must be at most the 29"),
        (lambda: graph_ramp.spanning_tree([[np.nan]]), "data holds NaN"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_former_name_of_path_graph_serves():
    assert graph_ramp.chain is graph_ramp.path_graph


@pytest.mark.parametrize("memory", [0, -1, np.nan, np.inf, "much", [1, 2]])
def test_a_bad_memory_is_named(memory):
    with pytest.raises((TypeError, ValueError), match="^memory "):
        es.GraphRampScore(np.eye(2), [[0, 1]], 0.5, memory=memory)
