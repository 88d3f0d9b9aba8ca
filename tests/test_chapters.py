"""The chapters' tools: writing is repeatable, and every rule of the lint can fail."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path

import nbformat
import pytest

import chapter_rules
import chapters
import code_rules
import notebooks
from minihouse import CHAPTER, call

PLOT = 'ax.set(xlabel="$x$", ylabel="score")'


def rewrite(path: Path, old: str, new: str) -> None:
    """Change a chapter's text, and its notebook's inputs with it."""
    text = path.read_text()
    assert text.count(old) >= 1, f"nothing to replace: {old!r}"
    path.write_text(text.replace(old, new, 1))
    kept = nbformat.read(path.with_suffix(".ipynb"), as_version=4)
    book = chapters.read(path)
    notebooks.keep_outputs(book, kept)
    store(path, book)


def store(path: Path, book) -> None:
    """Write a chapter's notebook."""
    path.with_suffix(".ipynb").write_text(chapters.dumps(book))


def lint(path: Path) -> list[chapter_rules.Problem]:
    """The problems of a lone chapter."""
    return chapter_rules.problems(path, path.parents[2])


def test_small_chapter_keeps_every_rule(chapter):
    assert lint(chapter) == []


FAULTS = {
    "magic": ("python", "root = 1.0", "%matplotlib inline\nroot = 1.0", "magics"),
    "filter": ("python", "root = 1.0", "import warnings\nroot = 1.0", "warnings"),
    "seed": ("python", "root = 1.0", "np.random.seed(0)\nroot = 1.0", "global seed"),
    "path": ("python", "root = 1.0", 'root = open("/home/x/y")', "absolute path"),
    "title": ("python", PLOT, 'ax.set_title("Score")', "no titles"),
    "long": ("cell-size", "root = 1.0", "root = 1.0\n" * 31, "at most 30"),
    "wide": ("cell-size", "root = 1.0", "root = 1.0  # " + "x" * 80, "at most 88"),
    "tag": ("tags", "[hide-input]", "[hide-input, nbval-skip]", "nbval-skip"),
    "reason": ("tags", "[hide-input]", "[hide-input, nbval-ignore-output]", "reason"),
    "measure": ("tags", "[hide-input]", "[hide-input, measurement]", "no decimal"),
    "off": ("tags", "root = 1.0", "# NBVAL_SKIP\nroot = 1.0", "switches nbval off"),
    "metadata": ("tags", ":tags: [hide-input]", ":tags: [hide-input]\n:x: 1", "'x'"),
    "alt": ("figure", "    alt: >-\n", "    title: >-\n", "image.alt"),
    "caption": ("figure", "    caption: |\n", "    legend: |\n", "figure.caption"),
    "name": ("figure", "name: fig-two-points", "name: two-points", "fig-"),
    "show": ("figure", "plt.show()", "plt.show()\nax = None", "ends in plt.show()"),
    "rhythm": (
        "cell-rhythm",
        "## The score of two points",
        "```{code-cell} ipython3\n1\n```\n```{code-cell} ipython3\n2\n```\n\n## The s",
        "follows visible code",
    ),
    "set-up": ("cell-rhythm", ":tags: [hide-input]\n", "", "hide its input"),
    "style": ("cell-rhythm", "figures.setup()", "pass", "figures.setup()"),
    "glue": ("glue-key", "", "", "two_points_"),
    "title-missing": ("structure", "# Two points pull on one", "Two points", "level 1"),
    "second-title": ("structure", "## Summary", "# Summary", "level 1"),
    "result": ("structure", "**Between two", "Between **two", "bold"),
    "section": ("structure", "## What this does not show", "## Limits", "missing"),
    "order": ("structure", "## Summary", "## Notes and sources\n\n## Summary", "order"),
    "exercises": ("exercises", "```{exercise} Un", "```{note} Un", "3 exercises"),
    "difficulty": ("exercises", ":class: hard", ":class: wide", "ex-two-points-open"),
    "kind": ("exercises", "**By hand.** S", "S", "ex-two-points-hand must start"),
    "kinds": ("exercises", "**Open.** W", "**By hand.** W", "kind **Open.**"),
    "level": ("structure", "## Summary", "#### Deep\n\n## Summary", "skips a level"),
    "prefix": ("labels", ":label: thm-two", ":label: theorem-two", "thm-"),
    "label": (
        "labels",
        ":label: lem-two-points-flat",
        ":class: flat",
        "without :label:",
    ),
    "equation": ("labels", "$$ (eq-two-points)", "$$ (two-points)", "eq-"),
    "section-label": ("labels", "## Summary", "(short)=\n## Summary", "sec-"),
    "solution": (
        "labels",
        "-hand\n:class: dropdown",
        "-hand\n:class: wide",
        "dropdown",
    ),
}


@pytest.mark.parametrize("name", [name for name in FAULTS if name != "rhythm"])
def test_lint_fails_on(name, chapter):
    rule, old, new, message = FAULTS[name]
    if name == "glue":
        chapter = chapter.rename(chapter.with_stem("three_points"))
        chapter.with_name("two_points.ipynb").rename(chapter.with_suffix(".ipynb"))
    else:
        rewrite(chapter, old, new)
    found = [p for p in lint(chapter) if p.rule == rule and message in p.message]
    assert found, f"not found by the lint: {lint(chapter)}"
    assert str(found[0]).startswith("chapters/score/t")


def test_lint_fails_on_two_visible_code_cells_in_a_row(chapter):
    _, old, new, message = FAULTS["rhythm"]
    chapter.write_text(chapter.read_text().replace(old, new, 1))
    assert any(p.rule == "cell-rhythm" and message in p.message for p in lint(chapter))


def test_lint_fails_on_text_changed_without_a_run(chapter):
    chapter.write_text(chapter.read_text().replace("0.8**2", "0.7**2"))
    assert [p.rule for p in lint(chapter)] == ["same-inputs"]


def test_lint_fails_on_a_changed_notebook(chapter):
    target = chapter.with_suffix(".ipynb")
    target.write_text(target.read_text().replace("0.8**2", "0.7**2"))
    assert [p.rule for p in lint(chapter)] == ["same-inputs"]


def test_lint_fails_on_a_missing_notebook_and_on_an_orphan(chapter):
    target = chapter.with_suffix(".ipynb")
    moved = target.rename(target.with_stem("other"))
    assert any("make run" in p.message for p in lint(chapter))
    assert [p.file for p in chapter_rules.orphans(chapter.parents[2])] == [
        str(moved.relative_to(chapter.parents[2]))
    ]


def test_lint_fails_on_text_without_front_matter(chapter):
    chapter.write_text(chapter.read_text().split("---\n", 2)[2])
    assert [p.rule for p in lint(chapter)] == ["front-matter"]


def change_outputs(path: Path, change) -> None:
    """Apply a function to every code cell of a stored notebook."""
    book = nbformat.read(path.with_suffix(".ipynb"), as_version=4)
    for cell in chapters.code_cells(book):
        change(cell)
    store(path, book)


def strip(cell) -> None:
    cell.outputs, cell.execution_count = [], None


def warn(cell) -> None:
    cell.outputs.append(nbformat.v4.new_output("stream", name="stderr", text="Warning"))


def fail(cell) -> None:
    cell.outputs.append(
        nbformat.v4.new_output("error", ename="E", evalue="", traceback=["E"])
    )


def tell(cell) -> None:
    text = "<object at 0x7f00aa11bb22>"
    cell.outputs.append(nbformat.v4.new_output("stream", name="stdout", text=text))


def fatten(cell) -> None:
    big = base64.b64encode(bytes(101_000)).decode()
    for output in cell.outputs:
        if "image/png" in output.get("data", {}):
            output.data["image/png"] = big


def double(cell) -> None:
    if any("image/png" in output.get("data", {}) for output in cell.outputs):
        cell.outputs = cell.outputs * 2


@pytest.mark.parametrize(
    ("change", "rule", "message"),
    [
        (strip, "executed", "stripped"),
        (warn, "clean-outputs", "stderr"),
        (fail, "clean-outputs", "stored error"),
        (tell, "clean-outputs", "machine"),
        (fatten, "figure", "at most 100 kB"),
        (double, "figure", "2 images"),
    ],
)
def test_lint_fails_on_stored_outputs(change, rule, message, chapter):
    change_outputs(chapter, change)
    assert any(p.rule == rule and message in p.message for p in lint(chapter))


@pytest.mark.parametrize(
    "code",
    [
        "import random",
        "from tqdm import tqdm",
        "import time",
        "from time import perf_counter",
        "import urllib.request",
        "from numpy.random import randn",
        "numpy.random.rand(3)",
        "np.random.default_rng()",
        "torch.manual_seed(0)",
        "torch.randn(3)",
        "np.seterr(all='ignore')",
        "open('~/data.csv')",
        "open('C:\\\\data')",
        "datasets.fetch_openml('mnist')",
        "MNIST(download=True)",
        "plt.suptitle('x')",
        "print(np.__version__)",
        "!ls",
        "print('\\r50 %')",
        "load('https://example.org/x.npz')",
    ],
)
def test_code_rules_refuse(code):
    assert list(code_rules.problems(code))


@pytest.mark.parametrize(
    "code",
    [
        "rng = np.random.default_rng(0)\nx = rng.standard_normal(3)",
        "torch.randn(3, generator=torch.Generator().manual_seed(0))",
        "ax.set(xlabel='$t$', ylabel='a/b')",
        "figures.setup()",
        "x = 1  # see https://example.org",
        "title = 'a / b'",
    ],
)
def test_code_rules_allow(code):
    assert list(code_rules.problems(code)) == []


def test_writing_twice_gives_the_same_bytes(book):
    target = (book / CHAPTER).with_suffix(".ipynb")
    first = target.read_bytes()
    result = call(book, "python", "tools/notebooks.py", "run", "--all")
    assert result.returncode == 0 and "executed" in result.stdout
    assert target.read_bytes() == first


def test_prose_is_rewritten_without_execution(book):
    path = (book / CHAPTER).with_suffix(".md")
    before = nbformat.read(path.with_suffix(".ipynb"), as_version=4)
    path.write_text(path.read_text().replace("Put one training point", "Put a point"))
    result = call(book, "python", "tools/notebooks.py", "run")
    assert "prose rewritten, outputs kept" in result.stdout
    after = nbformat.read(path.with_suffix(".ipynb"), as_version=4)
    assert "Put a point" in after.cells[0].source
    pairs = zip(chapters.code_cells(before), chapters.code_cells(after), strict=True)
    assert all(old == new for old, new in pairs)
    again = call(book, "python", "tools/notebooks.py", "run")
    assert again.stdout.strip() == f"{CHAPTER}.md: unchanged"


def test_a_failing_cell_leaves_the_notebook_alone(book):
    path = (book / CHAPTER).with_suffix(".md")
    before = path.with_suffix(".ipynb").read_bytes()
    path.write_text(path.read_text().replace("root = 1.0", "root = 1 / 0"))
    result = call(book, "python", "tools/notebooks.py", "run", str(path))
    assert result.returncode == 1 and "ZeroDivisionError" in result.stdout
    assert path.with_suffix(".ipynb").read_bytes() == before


def test_digest_follows_code_library_pins_and_other_chapters(written, tmp_path):
    root = tmp_path / "root"
    (root / "lib" / "empirical_score").mkdir(parents=True)
    (root / "chapters" / "score").mkdir(parents=True)
    module = root / "lib" / "empirical_score" / "noise.py"
    pins, other = root / "requirements.txt", root / f"{CHAPTER}.ipynb"
    shutil.copy((written / CHAPTER).with_suffix(".ipynb"), other)
    text = chapters.read((written / CHAPTER).with_suffix(".md"))

    experiments = root / "tools" / "experiments"
    experiments.mkdir(parents=True)

    def digest(chapter: str = "ledger.md") -> str:
        return chapters.inputs_digest(text, root / chapter, root)

    seen = [digest(f"{CHAPTER}.md"), digest()]
    (experiments / f"{Path(CHAPTER).name}.py").write_text("x = 1\n")
    seen.append(digest(f"{CHAPTER}.md"))
    (root / "record.json").write_text("{}")
    (root / f"{CHAPTER}.md").write_text("---\nreads: [record.json]\n---\n")
    seen.append(digest(f"{CHAPTER}.md"))
    (root / "record.json").write_text("[]")
    seen.append(digest(f"{CHAPTER}.md"))
    text.cells[1].source += "\nimport empirical_score as es\nes.price"
    (module.parent / "__init__.pyi").write_text("from .exact.dense import price\n")
    seen.append(digest())  # the module is not there yet
    nested = module.parent / "exact" / "dense.py"
    nested.parent.mkdir()
    for text_ in ("price = 1\n", "from ..noise import price\n"):
        nested.write_text(text_)
        seen.append(digest())
    for text_ in ("price = 1\n", "price = 2\n"):
        module.write_text(text_)
        seen.append(digest())
    pins.write_text("numpy==2\n")
    seen.append(digest())
    other.write_text(other.read_text().replace("1.856", "1.857"))
    seen.append(digest())
    text.cells[1].source += "\n1"
    seen.append(digest())
    assert len(set(seen)) == len(seen)
    # What changes nothing: a docstring, and a module that the chapter cannot reach.
    module.write_text('"""Prices."""\nprice = 2\n')
    (module.parent / "other.py").write_text("x = 1\n")
    assert digest() == seen[-1]
    text.cells[0].source += "\nmore prose"
    assert digest() == seen[-1]


def test_format_lays_out_the_code_of_the_text(book):
    path = (book / CHAPTER).with_suffix(".md")
    good = path.read_text()
    path.write_text(good.replace('print(f"{root:.3f}")', "print( f'{root:.3f}' )"))
    assert path.read_text() != good
    result = call(book, "python", "tools/notebooks.py", "format")
    assert result.returncode == 0, result.stderr
    assert path.read_text() == good


def test_check_names_file_cell_and_rule(book):
    path = (book / CHAPTER).with_suffix(".md")
    good = call(book, "python", "tools/notebooks.py", "check")
    assert good.returncode == 0 and "0 problems" in good.stdout
    rewrite(path, "root = 1.0", "import time\nroot = 1.0")
    bad = call(book, "python", "tools/notebooks.py", "check")
    assert bad.returncode == 1
    assert f"{CHAPTER}.md: cell 8: [python] import time: no timings" in bad.stdout
