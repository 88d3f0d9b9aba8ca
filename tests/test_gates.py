"""The gates of `make test` around the chapters: each fails on a planted fault."""

from __future__ import annotations

import json
import re
import shutil
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
    slowest = lines[next(k for k, li in enumerate(lines) if "slowest 10 ch" in li) :]
    assert all(any(name in line for line in slowest[1:3]) for name in files), slowest
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


def python(code: str) -> list[str]:
    """A command line that runs some code."""
    return [sys.executable, "-c", "import pathlib, sys, time\n" + code]


def stages(**statuses):
    """Gates that only say their name and exit with a given status."""
    code = "print('{} speaks'); sys.exit({})"
    return [(name, python(code.format(name, s))) for name, s in statuses.items()]


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize(
    ("statuses", "ci", "status"),
    [
        ({"a": 0, "b": 0, "unit tests": 0}, "", 0),
        ({"a": 1, "b": 0, "unit tests": 0}, "", 1),
        ({"a": 0, "b": 0, "unit tests": 1}, "", 1),
        ({"a": 0, "b": 77}, "", 0),
        ({"a": 0, "b": 77}, "true", 1),
    ],
)
def test_table_of_gates(statuses, ci, status, jobs, monkeypatch, capfd):
    monkeypatch.setattr(gates, "stages", lambda root, jobs: stages(**statuses))
    monkeypatch.setenv("CI", ci)
    assert gates.main(["--jobs", jobs]) == status
    said, _, table = capfd.readouterr().out.partition("-" * 44)
    words = {0: "passed", 1: "FAILED", 77: "SKIPPED"}
    rows = [line.split("  ")[0] for line in table.splitlines()[1:-1]]
    assert rows == list(statuses), "each in its place, those after a failure too"
    for name, value in statuses.items():
        assert f"== {name}: {words[value]}" in said and f"{name} speaks" in said
        assert re.search(rf"^{name} +{words[value]}", table, re.MULTILINE)


WAIT = """
for k in range(600):
    if pathlib.Path('{other}').exists(): break
    print('{name} waits', flush=True)
    pathlib.Path('{name}').touch()
    time.sleep(0.01)
else:
    sys.exit(1)
pathlib.Path('{name}').touch()
print('{name} is done')
"""


def test_tests_run_beside_the_other_gates_and_each_speaks_in_one_block(
    monkeypatch, capfd, tmp_path
):
    pair = [
        (name, python(WAIT.format(name=name, other=other)))
        for name, other in [("site", "unit tests"), ("unit tests", "site")]
    ]
    after = ("browser", python("sys.exit(not pathlib.Path('site').exists())"))
    planned = [pair[0], after, pair[1]]
    monkeypatch.setattr(gates, "stages", lambda root, jobs: planned)
    assert gates.main(["--root", str(tmp_path)]) == 0
    blocks = re.split("^== ", capfd.readouterr().out, flags=re.MULTILINE)[1:]
    said = {block.partition(":")[0]: block for block in blocks}
    for name, other in [("site", "unit tests"), ("unit tests", "site")]:
        assert f"{name} is done" in said[name] and f"{other} waits" not in said[name]


def test_one_gate_alone_and_a_gate_that_is_none(monkeypatch, capfd):
    monkeypatch.setattr(gates, "stages", lambda root, jobs: stages(a=0, b=1))
    assert gates.main(["--only", "a"]) == 0
    assert "b speaks" not in capfd.readouterr().out
    with pytest.raises(SystemExit):
        gates.main(["--only", "a", "c"])
    assert "no such gate: c" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("gate", "module", "fault"),
    [
        ("layers", "sampling/noise.py", "from ..exact import score as later"),
        ("layers", "exact/points.py", "def late():\n    from . import tree"),
        ("types", "sampling/levels.py", "HIGHEST: int = 'high'"),
    ],
)
def test_an_upward_import_and_a_wrong_type_are_found(gate, module, fault, tmp_path):
    [command] = [line for name, line in gates.stages(ROOT, 1) if name == gate]
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "lib" / "empirical_score", tmp_path / "lib/empirical_score")
    assert call(tmp_path, *command, PYTHONPATH="lib").returncode == 0
    path = tmp_path / "lib" / "empirical_score" / module
    path.write_text(f"{path.read_text()}\n{fault}\n")
    result = call(tmp_path, *command, PYTHONPATH="lib")
    assert result.returncode == 1, result.stdout


def test_every_gate_is_called():
    names = [name for name, _ in gates.stages(ROOT, 2)]
    assert names == [
        "style",
        "format",
        "layers",
        "types",
        "chapter lint",
        "strict build",
        "site",
        "site in a browser",
        "chapters re-executed",
        "unit tests",
    ]
    assert set(gates.TESTS) < set(names)


def test_chapters_are_all_compared(book):
    gate = dict(gates.stages(book, 2))["chapters re-executed"]
    assert gate[-1] == f"{CHAPTER}.ipynb"
    assert "loadscope" in gate and "--nbval" in gate


def test_chapters_on_image_sets_come_first_as_they_take_longest(book):
    place = book / "chapters" / "years"
    place.mkdir()
    (place / "large.md").write_text("---\nneeds:\n  mnist: 0\n---\n")
    (place / "large.ipynb").touch()
    gate = dict(gates.stages(book, 2))["chapters re-executed"]
    assert gate[-2:] == ["chapters/years/large.ipynb", f"{CHAPTER}.ipynb"]
    assert "--no-loadscope-reorder" in gate


def test_stored_notebooks_are_plain_json(written):
    text = (written / CHAPTER).with_suffix(".ipynb").read_text()
    book = json.loads(text)
    assert [cell["id"] for cell in book["cells"]] == [
        f"cell-{number:03d}" for number in range(1, len(book["cells"]) + 1)
    ]
    assert "execution" not in json.dumps([c["metadata"] for c in book["cells"]])
