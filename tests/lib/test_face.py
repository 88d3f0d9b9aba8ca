"""The library's face: every name is there, and nothing is imported before its use."""

import subprocess
import sys

import pytest

import empirical_score as es

SLOW = {"matplotlib", "scipy", "sklearn", "torch"}


def imported(code):
    """The slow packages and the library's modules that a new Python has after it."""
    code = (
        f"import sys, numpy as np, empirical_score as es\n{code}\nprint(*sys.modules)"
    )
    run = [sys.executable, "-c", code]
    said = subprocess.run(run, check=True, capture_output=True, text=True, timeout=120)
    names = said.stdout.split()
    return {n for n in names if n in SLOW or n.startswith("empirical_score.")}


def test_the_package_alone_imports_none_of_its_modules():
    assert imported("") == set()


@pytest.mark.parametrize(
    "code",
    [
        "es.EmpiricalScore(np.eye(2)).log_density(np.eye(2), 0.5)",
        "es.sample_ode(es.EmpiricalScore(np.eye(2)), np.eye(2), [2.0, 1.0])",
        "es.Denoiser, es.train, es.karras_levels(5, 2.0, 0.1)",
    ],
)
def test_nothing_slow_is_imported_for(code):
    assert not imported(code) & SLOW


@pytest.mark.parametrize(
    ("code", "slow"),
    [
        ("es.linear.best_ratio(20)", {"scipy"}),
        ("es.Denoiser(1, np.random.default_rng(0))", {"torch"}),
        ("from empirical_score._book import figures", {"matplotlib"}),
    ],
)
def test_what_is_slow_is_imported_by_what_needs_it(code, slow):
    assert imported(code) & SLOW == slow


def test_every_name_is_there_and_no_other():
    assert len(es.__all__) > 60 and dir(es) == es.__all__
    for name in es.__all__:
        assert getattr(es, name) is not None
    with pytest.raises(AttributeError, match="attribute Denoise$"):
        es.Denoise  # noqa: B018
