"""Which modules a piece of code can reach: found by reading, checked by planting."""

from __future__ import annotations

from pathlib import Path

import pytest

import library

FILES = {
    "__init__.py": "",
    "__init__.pyi": "from .low import data\nfrom .low.points import Points\n"
    "from .high.score import Score as Best\n",
    "low/__init__.py": "",
    "low/data.py": "",
    "low/points.py": "def ask():\n    from . import data\n",
    "low/lonely.py": "",
    "high/__init__.py": "from ..low.lonely import x\n",
    "high/score.py": "from ..low import points as p\nfrom ..missing import y\n",
}
ALL = ["", "high", "high.score", "low", "low.data", "low.lonely", "low.points"]


@pytest.fixture
def planted(tmp_path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def names(code: str, folder: Path) -> list[str]:
    known = {path: name for name, path in library.modules(folder).items()}
    return sorted(known[path] for path in library.reached(code, folder))


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ("import numpy as es; es.data", []),
        ("import empirical_score as es\nes.data.x", ["", "low", "low.data"]),
        ("from empirical_score import data", ["", "low", "low.data"]),
        ("from empirical_score.low import lonely", ["", "low", "low.lonely"]),
        (
            "import empirical_score as es\nes.Points",
            ["", "low", "low.data", "low.points"],
        ),
        ("from empirical_score import Best", ALL),
        ("import empirical_score as es\nes.unknown", ALL),
        ("import empirical_score as es\ngetattr(es, 'data')", ALL),
        ("import empirical_score.low.data", ALL),
        ("import empirical_score as es\nes.data (", ALL),
    ],
)
def test_what_code_reaches(planted, code, wanted):
    assert names(code, planted) == wanted


def test_docstrings_are_left_out_and_nothing_else():
    kept = ['x = """B."""\n', "\n", "\n", "def f():\n", "    return x\n"]
    inner = ['    """C.\n', "\n", "    D.\n", '    """\n']
    text = ['"""A."""\n', *kept[:4], *inner, *kept[4:]]
    assert library.without_docstrings("".join(text)) == "".join(kept)
