"""The benchmark of the engine: it is fair to its competitors, and it tells on them."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from harness import exact, report, timing  # noqa: E402
from harness.cases import judged, measured  # noqa: E402
from harness.peers import PEERS, Peer, TorchProducts  # noqa: E402
from harness.problems import Problem  # noqa: E402

SIGMA = 0.7


@pytest.fixture(scope="module")
def tiny():
    """A tiny training set, points to ask at, and the float64 truth there."""
    problem = Problem("tiny", lambda: np.random.default_rng(1).random((300, 3)), 20)
    data = problem.data()
    x = problem.queries(data, SIGMA, mixed=True)
    mean, log_density = exact.posterior(data, x, SIGMA)
    return data, x, {"denoise": mean, "log_density": log_density}


def test_the_truth_is_the_formula_by_direct_differences(tiny):
    data, x, truths = tiny
    logits = -cdist(x, data, "sqeuclidean") / (2 * SIGMA**2)
    total = logsumexp(logits, axis=1)
    mean = np.exp(logits - total[:, None]) @ data
    log_density = total - np.log(len(data)) - 1.5 * np.log(2 * np.pi * SIGMA**2)
    np.testing.assert_allclose(truths["denoise"], mean, rtol=0, atol=1e-12)
    np.testing.assert_allclose(truths["log_density"], log_density, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", PEERS)
def test_every_installed_competitor_computes_what_it_claims(name, tiny):
    data, x, truths = tiny
    kind = PEERS[name]
    if kind.missing():
        pytest.skip(f"{kind.label}: {kind.missing()}")
    peer = kind(data)
    value = peer(peer.adapt(x), SIGMA)
    found = exact.error(value, truths[peer.value], exact.spread(data))
    said = exact.verdict(kind, found)
    if kind.exact:
        assert said == ("exact" if kind.bound is None else "certified"), found
    else:
        assert said == "inexact" and found["relative"] > kind.tolerance


def test_a_wrong_competitor_is_reported_as_wrong(tiny):
    data, x, truths = tiny

    class Planted(TorchProducts):
        def __call__(self, x, sigma):
            return super().__call__(x, 1.01 * sigma)

    class Broken(TorchProducts):
        def __call__(self, x, sigma):
            raise RuntimeError("no such kernel")

    ready = {"ours": PEERS["ours"](data), "torch": Planted(data), "jax": Broken(data)}
    rows = {name: {"label": name} for name in ready}
    found = measured(ready, rows, x, SIGMA, truths, exact.spread(data), 2, 1.0)
    for name, (times, error) in found.items():
        rows[name] |= timing.summary(times) | judged(name, error)
    assert rows["ours"]["verdict"] == "exact"
    assert rows["torch"]["verdict"] == "wrong"
    assert rows["jax"]["skipped"] == "failed: RuntimeError"
    setting = {"problem": "tiny", "size": [300, 3, 20], "sigma": SIGMA, "rows": rows}
    lines = {line.split("|")[1].strip(): line for line in report.table(setting)[2:]}
    assert "| wrong |" in lines["torch"] and "| exact |" in lines["ours"]
    assert "failed" in lines["jax"]


def test_a_broken_certificate_or_a_nan_is_wrong(tiny):
    _, _, truths = tiny
    certified = PEERS["ours-certified"]
    mean = truths["denoise"]
    for shift, said in ((0.5, "certified"), (2.0, "wrong"), (np.nan, "wrong")):
        found = exact.error(mean + shift * certified.bound, mean, 1.0)
        assert exact.verdict(certified, found) == said
    assert exact.verdict(Peer, exact.error(mean * np.nan, mean, 1.0)) == "wrong"


def test_what_would_need_too_much_is_not_run():
    assert "2 GiB" in PEERS["numpy-broadcast"].too_much(100_000, 256, 256)
    assert "coordinates" in PEERS["keops"].too_much(100, 784, 8)
    assert PEERS["torch-attention"].too_much(1_000_000, 2, 1000) is None


def test_rounds_take_turns_and_spare_the_slow():
    order = []
    calls = {name: lambda name=name: order.append(name) for name in ("a", "b", "slow")}
    warm = {"a": 0.0, "b": 0.0, "slow": 9.0}
    times = timing.interleaved(calls, warm, rounds=3, patience=8.0)
    assert order == ["a", "b"] * 3
    assert len(times["a"]) == 3 and times["slow"] == [9.0]


FORKED = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from harness import timing
print(timing.peak_memory(lambda: float(np.ones(2**22).sum())))  # 32 MiB
print(timing.peak_memory(lambda: 1 / 0))
"""


def test_memory_is_that_of_a_child():
    # In a process of its own: children are forked before anything is computed.
    command = [sys.executable, "-c", FORKED, str(BENCHMARKS)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found, failed = map(ast.literal_eval, said.splitlines())
    assert found["result"] == 2**22
    assert 0.9 * 2**25 < found["resident"] < 2 * 2**25
    assert failed["failed"].startswith("ZeroDivisionError")


def test_the_report_is_drawn_from_the_record_alone(tmp_path):
    def row(name, median):
        return {
            "label": name,
            "median": median,
            "quartiles": [median, 2 * median],
            "rounds": 5,
            "rms": 1e-7,
            "relative": 1e-7,
            "verdict": "exact",
        }

    rows = {"ours": row("ours", 1.0), "torch": row("torch", 4.0)}
    rows["ours-certified"] = row("certified", 0.5)
    setting = {"problem": "p", "size": [10, 2, 3], "sigma": 1.0, "rows": rows}
    machine = {
        "processor": "P",
        "cores": 2,
        "threads": 2,
        "load": 0.1,
        "square": 1e11,
        "versions": {"numpy": "2"},
    }
    for name in ("dense", "sweep"):
        settings = [{**setting, "sigma": s} for s in (4.0, 3.0, 2.0, 1.0)]
        settings = settings[: 4 if name == "sweep" else 1]
        settings.append({"skipped": "q: skipped"})
        record = {"title": name, "machine": machine, "settings": settings}
        report.store(tmp_path, name, record)
    report.draw(tmp_path)
    page = (tmp_path / "engine.md").read_text()
    assert "| torch | 4 s | 4 s to 8 s | 5 | 4.00 |" in page and "*q: skipped*" in page
    assert "Torch attention: not measured." in page
    sweep = [line for line in page.splitlines() if "(1e-07)" in line]
    assert len(sweep) == 4
    assert sweep[0] == "| 4 | 1 s (1e-07) | 500 ms (1e-07) | 0.50 | 4 s (1e-07) |"
    assert (tmp_path / "engine.png").stat().st_size > 10_000
    assert set(json.loads((tmp_path / "engine.json").read_text())) == {"dense", "sweep"}
