"""A small book on which the gates are tried: written, executed and built once.

With several test processes, the first to need it makes it and the others wait.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import notebooks
from minihouse import CHAPTER, FORK, build, lay_out, once


def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all test processes of this run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base


@pytest.fixture(scope="session")
def written(tmp_path_factory) -> Path:
    """The small book with its chapter executed. Copy it before changing it."""

    def make(book: Path) -> None:
        lay_out(book)
        with pytest.MonkeyPatch.context() as patch:
            # The other numeric set-ups are the business of test_numerics.
            patch.setattr(notebooks, "refuse_fragile", lambda *_: None)
            notebooks.write((book / CHAPTER).with_suffix(".md"), book, force=True)

    return once(shared(tmp_path_factory) / "written", make)


@pytest.fixture(scope="session")
def built(written, tmp_path_factory) -> Path:
    """The small book with its site. Copy it before changing it."""

    def make(book: Path) -> None:
        shutil.copytree(written, book)
        result = build(book)
        assert result.returncode == 0, result.stdout + result.stderr

    return once(shared(tmp_path_factory) / "built", make)


@pytest.fixture(scope="session")
def published(written, tmp_path_factory) -> Path:
    """The small book's site as a fork's workflow builds it. Copy before changing it."""

    def make(book: Path) -> None:
        shutil.copytree(written, book)
        result = build(book, **FORK, GITHUB_SHA="abc123")
        assert result.returncode == 0, result.stdout + result.stderr

    return once(shared(tmp_path_factory) / "published", make) / "_build" / "html"


@pytest.fixture
def book(written, tmp_path) -> Path:
    """A copy of the executed small book, to plant a fault in."""
    shutil.copytree(written, tmp_path / "book")
    return tmp_path / "book"


@pytest.fixture
def site(built, tmp_path) -> Path:
    """A copy of the small book's site, to plant a fault in."""
    ignored = shutil.ignore_patterns("*.map")
    shutil.copytree(built / "_build" / "html", tmp_path / "site", ignore=ignored)
    return tmp_path / "site"


@pytest.fixture
def chapter(written, tmp_path) -> Path:
    """A copy of the executed chapter alone, to plant a fault in: its text's path."""
    target = tmp_path / f"{CHAPTER}.md"
    target.parent.mkdir(parents=True)
    for suffix in (".md", ".ipynb"):
        shutil.copy((written / CHAPTER).with_suffix(suffix), target.parent)
    return target
