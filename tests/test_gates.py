"""The gates of `make test` around the chapters: each fails on a planted fault."""

from __future__ import annotations

import json
import sys

import pytest

import gates
from minihouse import CHAPTER, ROOT, build, call

COMPARE = ("-m", "pytest", "-q", "-rA", "--nbval", "--nbval-current-env")


def plant(book, name: str, changes: dict[str, str]) -> None:
    """A copy of the small chapter's notebook with some changes."""
    text = (book / CHAPTER).with_suffix(".ipynb").read_text()
    for old, new in changes.items():
        assert old in text, f"nothing to replace: {old!r}"
        text = text.replace(old, new, 1)
    (book / "chapters" / "score" / f"{name}.ipynb").write_text(text)


def test_comparison_fails_on_changed_formula_figure_number_and_output(book):
    formula = {"(np.tanh(x / sigma**2) - x)": "(np.tanh(x / sigma) - x)"}
    number, output = {"'12.0'": "'12.1'"}, {'"0.880\\n"': '"0.881\\n"'}
    figure = {r"rf\"$\\sigma = {sigma}$\"": r"rf\"$\\sigma\\, {sigma}$\""}
    plant(book, "formula", formula)  # all three cells that show something
    plant(book, "outputs", {**number, **figure, **output})  # one fault in each
    files = [f"chapters/score/{name}.ipynb" for name in ("formula", "outputs")]
    result = call(book, "python", *COMPARE, *files)
    lines = result.stdout.splitlines()
    failed = {line.split(" - ")[0] for line in lines if line.startswith("FAILED")}
    want = {f"FAILED {name}::Cell {number}" for name in files for number in (1, 2, 3)}
    assert failed == want, result.stdout[-3000:]
    assert result.returncode == 1
    written = {p.name for p in (book / "_build" / "figure-diffs").glob("*.png")}
    for kind in ("stored", "fresh"):
        assert f"chapters-score-outputs-ipynb-Cell-2-1-{kind}.png" in written


def test_strict_build_fails_on_every_kind_of_broken_reference(book):
    faults = {
        "{ref}`sec-nowhere`": "sec-nowhere",
        "{eq}`eq-nowhere`": "eq-nowhere",
        "{numref}`fig-nowhere`": "fig-nowhere",
        "{prf:ref}`thm-nowhere`": "thm-nowhere",
        "{cite}`nobody1900nothing`": "nobody1900nothing",
        "[a page](nowhere.md)": "nowhere.md",
        "{glue:text}`missing_number`": "missing_number",
        "```{nonsense}\n```": "nonsense",
        "![](static/favicon.svg)": "without alternative text",
    }
    intro = book / "intro.md"
    intro.write_text(intro.read_text() + "\n\n" + "\n\n".join(faults) + "\n")
    result = build(book)
    assert result.returncode != 0
    warnings = [li for li in result.stderr.splitlines() if "WARNING" in li]
    for text, word in faults.items():
        assert any(word in line for line in warnings), (text, result.stderr)


@pytest.mark.parametrize(
    ("gate", "old", "new"),
    [
        ("style", "root = 1.0", "import os\\nroot = 1.0"),
        ("format", "root = 1.0", "root  =  1.0"),
    ],
)
def test_ruff_fails_on_notebooks(gate, old, new, book):
    [command] = [line for name, line in gates.stages(book, 1) if name == gate]
    assert call(book, *command).returncode == 0
    path = (book / CHAPTER).with_suffix(".ipynb")
    path.write_text(path.read_text().replace(old, new, 1))
    assert call(book, *command).returncode == 1


def stages(**statuses):
    """Gates that only exit with a given status."""
    code = "import sys; sys.exit({})"
    return [
        (name, [sys.executable, "-c", code.format(s)]) for name, s in statuses.items()
    ]


@pytest.mark.parametrize(
    ("statuses", "ci", "status"),
    [
        ({"a": 0, "b": 0}, "", 0),
        ({"a": 1, "b": 0}, "", 1),
        ({"a": 0, "b": 77}, "", 0),
        ({"a": 0, "b": 77}, "true", 1),
    ],
)
def test_table_of_gates(statuses, ci, status, monkeypatch, capsys):
    monkeypatch.setattr(gates, "stages", lambda root, jobs: stages(**statuses))
    monkeypatch.setenv("CI", ci)
    assert gates.main([]) == status
    table = capsys.readouterr().out
    words = {0: "passed", 1: "FAILED", 77: "SKIPPED"}
    for name, value in statuses.items():
        assert any(
            line.startswith(name) and words[value] in line
            for line in table.splitlines()
        )


def test_every_gate_is_called():
    names = [name for name, _ in gates.stages(ROOT, 2)]
    assert names == [
        "style",
        "format",
        "unit tests",
        "chapter lint",
        "chapters re-executed",
        "strict build",
        "site",
        "site in a browser",
    ]


def test_chapters_are_all_compared(book):
    gate = dict(gates.stages(book, 2))["chapters re-executed"]
    assert gate[-1] == f"{CHAPTER}.ipynb"
    assert "loadscope" in gate and "--nbval" in gate


def fake_python(folder, refuse: str) -> str:
    """A Python that fails on code that contains a word."""
    path = folder / "python-fake"
    path.write_text(
        f'#!/bin/sh\ncase "$2" in *{refuse}*) exit 1 ;; esac\n'
        f'exec {sys.executable} "$@"\n'
    )
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("refuse", "message"),
    [
        ("*", "No Python found"),
        ("version_info", "Python 3.11 or newer is needed"),
        ("ensurepip", "has no venv module"),
    ],
)
def test_environment_says_what_is_missing(refuse, message, book, tmp_path):
    (book / "constraints.txt").write_text("")
    python = fake_python(tmp_path, refuse)
    result = call(book, "sh", "tools/environment.sh", PYTHON=python)
    assert result.returncode == 1
    assert message in result.stderr


def test_stored_notebooks_are_plain_json(written):
    text = (written / CHAPTER).with_suffix(".ipynb").read_text()
    book = json.loads(text)
    assert [cell["id"] for cell in book["cells"]] == [
        f"cell-{number:03d}" for number in range(1, len(book["cells"]) + 1)
    ]
    assert "execution" not in json.dumps([c["metadata"] for c in book["cells"]])
