"""The mutation tester finds a planted hole in the tests of a tiny library."""

from __future__ import annotations

import subprocess
import sys

import pytest

import kernel

TESTER = kernel.ROOT / "_build" / "mutants" / "tester" / "installed"
LIBRARY = '''
def price(count, each):
    """A discount from ten on."""
    if not count >= 0:
        raise ValueError("count must be at least 0")
    return count * each - (count >= 10)
'''
TESTS = """
import pytest
from empirical_score.tiny import price

def test_price():
    assert price(3, 2) == 6 and price(11, 2) == 21
    with pytest.raises(ValueError):
        price(-1, 2)
    assert price(0, 2) == 0
"""
KNOWN = """
[[mutant]]
module = "tiny"
old = "return count * each - (count >= 10)"
new = "return count * each - (count >= 11)"
why = "planted"
"""


@pytest.mark.skipif(not TESTER.exists(), reason="installed by `make mutants`")
def test_a_planted_hole_is_found(tmp_path):
    files = {
        "lib/empirical_score/__init__.py": "",
        "lib/empirical_score/tiny.py": LIBRARY,
        "tests/lib/test_tiny.py": TESTS,
        "tests/mutants.toml": KNOWN,
        "pyproject.toml": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    command = [sys.executable, kernel.ROOT / "tools" / "mutants.py"]
    command += ["--root", tmp_path, "--record", tmp_path / "record.md"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    # Not among the mutants: the words of the error.  The tests miss count == 10.
    record = (tmp_path / "record.md").read_text()
    assert "| tiny | 7 | 5 | 0 | 1 | 1 | 83.3% |" in record
    report = (tmp_path / "_build" / "mutants" / "report.md").read_text()
    assert "+    return count * each - (count > 10)" in report
    assert report.count("```diff") == 1
