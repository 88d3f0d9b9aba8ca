"""The small book of `tests/minibook`, and the house around it, put into a folder."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
MINIBOOK = ROOT / "tests" / "minibook"
HOUSE = (
    "_config.yml",
    "_ext",
    "conftest.py",
    "pyproject.toml",
    "requirements.txt",
    "static",
    "tools",
)
CHAPTER = "chapters/score/two_points"
ALLOWED = ("--allowed", str(MINIBOOK / "page_limits.toml"))
FORK = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "Some/fork"}


def call(folder: Path, *command: str, **variables: str) -> subprocess.CompletedProcess:
    """Run a command in a folder; a leading `python` is this Python.

    Where this book itself is built and published is none of the small book's business.
    """
    first = {"python": [sys.executable]}.get(command[0], [command[0]])
    ours = ("PYTEST_", "GITHUB_", "BOOK_")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    return subprocess.run(
        [*first, *command[1:]],
        cwd=folder,
        env={**inherited, "NO_COLOR": "1", **variables},
        capture_output=True,
        text=True,
        timeout=300,
    )


def build(book: Path, **variables: str) -> subprocess.CompletedProcess:
    """The strict build of a book, as `make test` does it."""
    program = str(Path(sys.executable).parent / "jupyter-book")
    options = ("--all", "-W", "-n", "--keep-going", "-q")
    return call(book, program, "build", ".", *options, **variables)


def lay_out(book: Path) -> None:
    """Put the small book and the house around it into a folder."""
    ignored = shutil.ignore_patterns("_build", "__pycache__", "*.ipynb")
    shutil.copytree(MINIBOOK, book, ignore=ignored)
    for name in HOUSE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, book / name, ignore=ignored)
        else:
            shutil.copy(source, book / name)


def once(folder: Path, make) -> Path:
    """Make a folder once for all test processes, and return it."""
    done, lock = folder.with_suffix(".done"), folder.with_suffix(".lock")
    try:
        lock.mkdir()
    except FileExistsError:
        deadline = time.monotonic() + 240
        while not done.exists():
            assert time.monotonic() < deadline, f"nobody finished {folder}"
            time.sleep(0.1)
        assert done.read_text() == "good", "the small book could not be made"
        return folder
    try:
        make(folder)
    except BaseException:
        done.write_text("bad")
        raise
    done.write_text("good")
    return folder


def load(path: Path, name: str) -> ModuleType:
    """A Python file that is on no path, as a module."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
