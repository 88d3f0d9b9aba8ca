"""Notebooks outside the book: they fetch it, and then run as they do inside it."""

from __future__ import annotations

import json
import sys
import venv
import zipfile
from pathlib import Path

import nbformat
import pytest

from minihouse import CHAPTER, ROOT, call, load

launch = load(ROOT / "_ext" / "launch_ext.py", "launch_ext")
RECORDS = "../../tools/experiments"
RUN = """
import json, sys
scope = {"__name__": "__main__"}
for number, code in enumerate(json.load(open(sys.argv[1]))):
    exec(compile(code, f"cell {number}", "exec"), scope)
import os, empirical_score
print(os.getcwd(), empirical_score.__file__, sep="\\n")
"""


def code_cells(path: Path) -> list[str]:
    cells = nbformat.read(path, as_version=4).cells
    return [cell.source for cell in cells if cell.cell_type == "code"]


def test_archive_is_the_book_as_it_was_built(monkeypatch):
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    monkeypatch.setenv("GITHUB_SHA", "abc")
    url = "https://github.com/some/book/"
    assert launch.archive(url, "main") == f"{url}archive/main.zip"
    monkeypatch.setenv("GITHUB_REPOSITORY", "some/book")
    assert launch.archive(url, "main") == f"{url}archive/abc.zip"


def test_site_of_an_unknown_repository_makes_up_no_address(built):
    copy = built / "_build" / "html" / "_sources" / f"{CHAPTER}.ipynb"
    assert code_cells(copy) == code_cells((built / CHAPTER).with_suffix(".ipynb"))
    page = (built / "_build" / "html" / f"{CHAPTER}.html").read_text()
    assert f'href="../../_sources/{CHAPTER}.ipynb"' in page
    for absent in ("github.com", "mybinder.org", "colab.research.google.com"):
        assert absent not in page


def test_buttons_lead_to_the_fork_that_builds_the_site(written, published):
    page = (published / f"{CHAPTER}.html").read_text()
    assert f'href="../../_sources/{CHAPTER}.ipynb"' in page
    colab = "https://colab.research.google.com/github/Some/fork/blob/colab/"
    assert f'href="{colab}{CHAPTER}.ipynb"' in page
    binder = "https://mybinder.org/v2/gh/Some/fork/main?urlpath=lab/tree/"
    assert f'href="{binder}{CHAPTER}.ipynb"' in page
    assert 'href="https://github.com/Some/fork"' in page
    copy = published / "_sources" / f"{CHAPTER}.ipynb"
    first, *rest = code_cells(copy)
    assert rest == code_cells((written / CHAPTER).with_suffix(".ipynb"))
    assert f"CHAPTER = '{CHAPTER}.ipynb'" in first
    assert "github.com/Some/fork/archive/abc123.zip" in first


@pytest.fixture
def elsewhere(tmp_path) -> Path:
    """A Python with all that is installed here, except the library of this book."""
    venv.create(tmp_path / "env", with_pip=False)
    program = tmp_path / "env" / "bin" / "python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = Path(call(tmp_path, str(program), "-c", where).stdout.strip())
    # A folder that a .pth file names has its own .pth files left unread, and with
    # them the library that is installed in place.
    found = [path for path in sys.path if path.endswith("site-packages")]
    (own / "others.pth").write_text("\n".join(found))
    return program


def test_a_chapter_alone_in_a_folder_reads_its_records(elsewhere, tmp_path):
    chapter = "chapters/smoothing/why_networks_smooth.ipynb"
    packed = tmp_path / "book.zip"
    kept = ("lib", "tools/experiments", chapter)
    files = [ROOT / f for f in ("pyproject.toml", "README.md", "LICENSE", "_toc.yml")]
    with zipfile.ZipFile(packed, "w") as archive:
        files += [p for name in kept for p in [ROOT / name, *(ROOT / name).rglob("*")]]
        for path in files:
            if path.is_file() and path.suffix not in (".pyc", ".so"):
                archive.write(path, Path("book-main") / path.relative_to(ROOT))
    book = nbformat.read(ROOT / chapter, as_version=4)
    book = launch.alone(book, chapter, "https://example.invalid/book.zip", [])
    cells = [cell.source for cell in book.cells if cell.cell_type == "code"]
    number = next(k for k, code in enumerate(cells) if k and RECORDS in code)
    folder = tmp_path / "downloads"
    folder.mkdir()
    (folder / "cells.json").write_text(json.dumps(cells[: number + 1]))
    (folder / "run.py").write_text(RUN)
    variables = {
        "EMPIRICAL_SCORE_ARCHIVE": packed.as_uri(),
        "MPLBACKEND": "agg",
        "PYTHONPATH": "",
        # Nothing is asked of a network here: what the library needs is installed.
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "false",  # pip's way of saying yes to it
    }
    result = call(folder, str(elsewhere), "run.py", "cells.json", **variables)
    assert result.returncode == 0, result.stdout + result.stderr
    place, library = result.stdout.splitlines()[-2:]
    assert Path(place) == folder / "the-empirical-score/book-main/chapters/smoothing"
    assert Path(library).is_relative_to(elsewhere.parents[1])


def test_inside_the_book_the_cell_does_nothing(tmp_path, monkeypatch):
    book = nbformat.v4.new_notebook()
    code = launch.alone(book, "chapters/score/x.ipynb", "none://", []).cells[0].source
    (tmp_path / "lib" / "empirical_score").mkdir(parents=True)
    (tmp_path / "chapters" / "score").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "chapters" / "score")
    exec(compile(code, "cell", "exec"), {})
    assert Path.cwd() == tmp_path / "chapters" / "score"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError, match="none"):  # elsewhere it would fetch the book
        exec(compile(code, "cell", "exec"), {})


def test_binder_installs_the_pins_and_no_graphics_libraries():
    lines = (ROOT / ".binder" / "requirements.txt").read_text().splitlines()
    assert "-r ../requirements.txt" in lines
    assert any(
        line.startswith("--extra-index-url") and "/cpu" in line for line in lines
    )
