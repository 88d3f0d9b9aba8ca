"""Where the chapters are, and how a chapter's text becomes an empty notebook."""

from __future__ import annotations

import copy
import hashlib
import re
from pathlib import Path

import jupytext
import nbformat
import yaml

import library

KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE_INFO = {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"}
FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)


def sources(root: Path) -> list[Path]:
    """Every chapter's text: `chapters/**/*.md`, and the ledger."""
    found = sorted((root / "chapters").rglob("*.md"))
    ledger = root / "ledger.md"
    hidden = (".ipynb_checkpoints", "_build")
    kept = [p for p in found if not any(part in hidden for part in p.parts)]
    return kept + ([ledger] if ledger.exists() else [])


def notebooks(root: Path) -> list[Path]:
    """Every notebook that exists beside the chapters, whether it should or not."""
    found = sorted((root / "chapters").rglob("*.ipynb"))
    ledger = root / "ledger.ipynb"
    kept = [p for p in found if ".ipynb_checkpoints" not in p.parts]
    return kept + ([ledger] if ledger.exists() else [])


def is_notebook_text(text: str) -> bool:
    """Whether a Markdown text carries the front matter of a notebook."""
    match = FRONT_MATTER.match(text)
    return bool(match and "kernelspec:" in match[1] and "format_name: myst" in match[1])


def read(path: Path) -> nbformat.NotebookNode:
    """The notebook without outputs that a chapter's text stands for.

    Cell identifiers count the cells, and notebook metadata are the same for every
    chapter, so that the same text always gives the same bytes.
    """
    text = path.read_text(encoding="utf-8")
    if not is_notebook_text(text):
        raise ValueError(f"{path}: no notebook front matter (jupytext and kernelspec)")
    parsed = jupytext.reads(text, fmt="md:myst")
    book = nbformat.v4.new_notebook()
    book.nbformat_minor = 5
    book.metadata = nbformat.from_dict(
        {"kernelspec": dict(KERNELSPEC), "language_info": dict(LANGUAGE_INFO)}
    )
    for number, cell in enumerate(parsed.cells, start=1):
        make = getattr(nbformat.v4, f"new_{cell.cell_type}_cell")
        metadata = copy.deepcopy(dict(cell.metadata))
        metadata.pop("lines_to_next_cell", None)
        made = make(cell.source, metadata=nbformat.from_dict(metadata))
        made.id = f"cell-{number:03d}"
        book.cells.append(made)
    return book


def needed_data(path: Path) -> dict[str, str]:
    """The image sets that a chapter is computed from: name and fingerprint of each.

    They are declared in the front matter, under ``needs``. The fingerprint is the
    start of the one that ``empirical_score.datasets`` gives.
    """
    declared = front_matter(path).get("needs", {})
    return {name: str(mark) for name, mark in declared.items()}


def front_matter(path: Path) -> dict:
    """What a chapter's text declares at its head; nothing where there is no text."""
    source = path.with_suffix(".md")
    text = source.read_text(encoding="utf-8") if source.exists() else ""
    match = FRONT_MATTER.match(text)
    return yaml.safe_load(match[1]) if match else {}


def missing_data(path: Path) -> str:
    """Why a chapter cannot be executed on this machine, or nothing if it can be."""
    needs = needed_data(path)
    if not needs:
        return ""
    from empirical_score import datasets

    found = []
    for name, mark in needs.items():
        if not datasets.available(name):
            found.append(f"{name} is not on this machine")
        elif not datasets.fingerprint(name, "train").startswith(mark):
            found.append(f"{name} is not the set that the stored outputs come from")
    return "; ".join(found)


def dumps(book: nbformat.NotebookNode) -> str:
    """The one way in which a notebook is written to disk."""
    return nbformat.writes(book, version=4, indent=1, sort_keys=True) + "\n"


def code_cells(book: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """The code cells of a notebook, in order."""
    return [cell for cell in book.cells if cell.cell_type == "code"]


def reads_others(path: Path) -> bool:
    """Whether a page is computed from the other chapters' outputs: the ledger is."""
    return path.stem == "ledger"


def inputs_digest(book: nbformat.NotebookNode, chapter: Path, root: Path) -> str:
    """A digest of all that can change a chapter's outputs: its code, library, pins.

    Of the library those modules count that the code can reach, without docstrings
    unless they are shown. With the long experiment of the same name, where there is
    one, the files that the front matter lists under ``reads``, and for the ledger the
    outputs of all chapters.
    """
    digest = hashlib.sha256()
    for cell in code_cells(book):
        raises = "raises-exception" in cell.metadata.get("tags", [])
        digest.update(f"cell {raises}\n{cell.source}\n".encode())
    code = "\n".join(cell.source for cell in code_cells(book))
    folder = root / "lib" / library.PACKAGE
    for path in library.reached(code, folder):
        name = path.relative_to(folder).as_posix()
        module = path.read_text(encoding="utf-8")
        if not re.search(r"\b(show_source|getsource|__doc__)\b", code):
            module = library.without_docstrings(module)
        digest.update(f"module {name}\n{module}".encode())
    pins = root / "requirements.txt"
    if pins.exists():
        digest.update(b"requirements\n" + pins.read_bytes())
    for path in sorted((root / "tools" / "experiments").glob(f"{chapter.stem}.*")):
        digest.update(f"experiment {path.name}\n".encode() + path.read_bytes())
    for name in front_matter(chapter).get("reads", []):
        digest.update(f"record {name}\n".encode() + (root / name).read_bytes())
    for path in notebooks(root) if reads_others(chapter) else []:
        if not reads_others(path):
            digest.update(f"notebook {path.relative_to(root)}\n".encode())
            for cell in code_cells(nbformat.read(path, as_version=4)):
                digest.update(repr(cell.outputs).encode())
    return digest.hexdigest()
