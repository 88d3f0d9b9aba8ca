"""Numeric set-ups take effect, and outputs that depend on them are refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import execution
import kernel
import numerics
from minihouse import CHAPTER, ROOT, call

ABLE = {setup.name: setup for setup in numerics.setups() if not setup.obstacle}
JITTERS = [name for name in ABLE if name.startswith("jitter")]
no_jitter = pytest.mark.skipif(not JITTERS, reason=numerics.jitter_library()[1])


def printed(code: str, setup: numerics.Setup):
    """What some code prints, as JSON, in a process started as a kernel is."""
    environment = {**os.environ, **kernel.environment(ROOT), **setup.variables}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def report(setup: numerics.Setup, imports: str = "scipy.linalg.blas, torch") -> dict:
    """What a kernel's report says under a set-up."""
    return printed(f"import {imports}; {execution.REPORT}", setup)


@pytest.fixture(scope="module")
def usual() -> dict:
    return report(numerics.OWN)


@pytest.mark.parametrize("name", [name for name in ABLE if name != "own"])
def test_set_up_takes_effect(name, usual):
    whole = name in ("Prescott, two threads", *JITTERS[:1])  # importing torch is slow
    said = report(ABLE[name], *([] if whole else ["scipy.linalg.blas"]))
    assert numerics.without_effect(ABLE[name], said, usual) == []
    assert said.keys() & ABLE[name].expects.keys()
    if whole:
        assert said.keys() >= ABLE[name].expects.keys()


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("OpenBLAS", ["Katmai"]), ("threads", [2]), ("exp", numerics.MOVED)],
)
def test_set_up_without_effect_is_reported(name, wanted):
    said = {"OpenBLAS": ["Haswell"], "threads": [1], "exp": "a", "product": "b"}
    usual = {**said, "product": "c"}
    expects = {"product": numerics.MOVED, "torch": "AVX2", name: wanted}
    [fault] = numerics.without_effect(numerics.Setup("", {}, expects), said, usual)
    assert fault.startswith(f"{name}: ")
    expects[name] = said[name]
    assert not numerics.without_effect(numerics.Setup("", {}, expects), said, usual)


JITTERED = """
import json
import numpy as np
import scipy.linalg.blas as blas

x = np.sin(np.arange(1.0, 401.0)).reshape(20, 20)
whole = np.arange(400.0).reshape(20, 20)
singles = x.astype(np.float32)
values = [x @ x[::-1], x @ x.T, x.T @ x[0], [y @ x[0] for y in x], np.dot(x, x[3])]
values += [blas.dgemm(1.0, x, x[::-1]), np.exp(x), np.log(x**2), np.tanh(x)]
singles = [singles @ singles[::-1], singles @ singles[0], np.exp(singles)]
exact = [whole @ whole, whole.T @ whole[0], np.exp(0 * x), np.log2(2**whole)]
square = x @ x.T
print(json.dumps([[np.ravel(v).tolist() for v in kind]
                  for kind in (values, singles, exact, [square - square.T])]))
"""


@no_jitter
def test_jitter_moves_last_digits_by_its_seed_and_no_exact_number():
    plain = printed(JITTERED, numerics.OWN)
    moved, again, other = (
        printed(JITTERED, numerics.jitter(spec)) for spec in ("1:2:2", "1:2:2", "2:2:2")
    )
    assert moved == again
    for kind, unit in ((0, 2.0**-52), (1, 2.0**-23)):
        for old, new, third in zip(plain[kind], moved[kind], other[kind], strict=True):
            old, new, third = map(np.array, (old, new, third))
            assert np.any(old != new) and np.any(new != third)
            assert np.max(np.abs(new - old)) < 60 * unit * np.max(np.abs(old))
    assert moved[2:] == plain[2:]


FRAGILE = "print(repr(np.exp(np.linspace(0, 1, 99)) @ np.linspace(1, 2, 99)))"


@no_jitter
def test_outputs_of_one_machine_are_not_stored(book):
    path, before = (book / CHAPTER).with_suffix(".md"), {}
    for suffix in (".md", ".ipynb"):
        before[suffix] = path.with_suffix(suffix).read_text()
    path.write_text(before[".md"].replace('print(f"{root:.3f}")', FRAGILE))
    result = call(book, "python", "tools/notebooks.py", "run")
    assert result.returncode == 1
    assert "FAILED, notebook not written" in result.stdout
    assert "jitter 1:2:2: cell 3: stdout: " in result.stdout
    assert path.with_suffix(".ipynb").read_text() == before[".ipynb"]


def test_portable_prints_what_ran_what_could_not_and_what_differs(book):
    path = (book / CHAPTER).with_suffix(".ipynb")
    for old, new in (('"1.856', '"1.857'), ("root = 1.0", "root = 1 / 0")):
        path.write_text(path.read_text().replace(old, new, 1))
    options = ("--setups", "own", "SkylakeX")
    result = call(book, "python", "tools/portable.py", *options)
    assert result.returncode == 1, result.stderr
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert {
        f"own: {CHAPTER}.md: cell 1: stdout: '1.856\\n' instead of '1.857\\n'",
        f"own: {CHAPTER}.md: cell 3: ZeroDivisionError: division by zero",
        "own 0 1 0",
    } <= set(lines)
    if "SkylakeX" not in ABLE:
        assert lines[-1].startswith("SkylakeX SKIPPED: no")


TYPO = """
import sys
import numerics, portable
typo = numerics.Setup("typo", {"OPENBLAS_CORTYPE": "Prescott"}, {"OpenBLAS": ["x"]})
numerics.setups = lambda: [typo]
sys.exit(portable.main([]))
"""


def test_portable_reports_a_set_up_without_effect(book):
    result = call(book, "python", "-c", TYPO, PYTHONPATH=str(book / "tools"))
    assert result.returncode == 1, result.stderr
    assert "the set-up took no effect: OpenBLAS: ['x'] wanted" in result.stdout
