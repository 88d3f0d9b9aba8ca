"""Execute the chapters, and check that what is stored is what they say.

    python tools/notebooks.py run            those with changed code, library or pins
    python tools/notebooks.py run --all      every chapter
    python tools/notebooks.py run chapters/score/softmax.md
    python tools/notebooks.py check          the lint; needs no kernel
    python tools/notebooks.py format         lay out the code cells with ruff

A chapter is written in `NAME.md`; its executed notebook `NAME.ipynb` stands beside it
and is never edited. Writing it twice gives the same bytes: cells are numbered by
position and nothing in it depends on the time, the machine or the process. After a
change of prose alone, the outputs stay and nothing is executed. Outputs that changed
are stored only if the chapter gives them under a few other numeric set-ups too: see
`tools/portable.py`.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import nbformat
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

sys.path.insert(0, str(Path(__file__).resolve().parent))
import chapter_rules
import chapters
import execution
import kernel
import numerics
import portable

KEY = "empirical_score"  # where a notebook's metadata keep the digest of its inputs
CODE_CELL = re.compile(
    r"^(?P<open>(?P<fence>`{3,}|:{3,})\{code-cell\}[^\n]*\n"
    r"(?:---\n.*?^---\n|(?::[\w-]+:[^\n]*\n)*\n?))"
    r"(?P<code>.*?)^(?P=fence)[ ]*$",
    re.DOTALL | re.MULTILINE,
)


def stored(path: Path) -> nbformat.NotebookNode | None:
    """The notebook on disk, or None if it is missing or cannot be read."""
    try:
        return nbformat.read(path, as_version=4)
    except (OSError, ValueError, nbformat.reader.NotJSONError):
        return None


def keep_outputs(book: nbformat.NotebookNode, old: nbformat.NotebookNode) -> None:
    """Give a chapter's code cells the outputs that are stored for them."""
    for cell, before in zip(
        chapters.code_cells(book), chapters.code_cells(old), strict=True
    ):
        cell.outputs = before.outputs
        cell.execution_count = before.execution_count


def outputs(book: nbformat.NotebookNode) -> list[list]:
    """What every code cell of a notebook gave."""
    return [cell.outputs for cell in chapters.code_cells(book)]


def refuse_fragile(book: nbformat.NotebookNode, path: Path, root: Path) -> None:
    """Raise an error if a chapter gives something else under other numeric set-ups."""
    found = [
        f"{setup.name}: {line}"
        for setup in numerics.before_storing()
        for line in portable.disagreements(book, path, root, setup)
    ]
    if found:
        raise ValueError("\n".join(["other outputs on other machines:", *found]))


def write(path: Path, root: Path, force: bool) -> str:
    """Bring one chapter's notebook up to date; say what was done."""
    target = path.with_suffix(".ipynb")
    book = chapters.read(path)
    digest = chapters.inputs_digest(book, path, root)
    old = stored(target)
    known = old is not None and old.metadata.get(KEY, {}).get("inputs") == digest
    missing = chapters.missing_data(path) if force or not known else ""
    if missing:
        return f"SKIPPED, the stored outputs stay: {missing}"
    metadata = {key: dict(book.metadata[key]) for key in book.metadata}
    began = time.perf_counter()
    if known and not force:
        keep_outputs(book, old)
    else:
        execution.execute(book, path.parent, root)
        if old is None or outputs(book) != outputs(old):
            refuse_fragile(book, path, root)
    book.metadata = nbformat.from_dict({**metadata, KEY: {"inputs": digest}})
    text = chapters.dumps(book)
    if target.exists() and target.read_text(encoding="utf-8") == text:
        done = "unchanged"
    else:
        target.write_text(text, encoding="utf-8")
        done = "written"
    if known and not force:
        return done if done == "unchanged" else "prose rewritten, outputs kept"
    return f"executed in {time.perf_counter() - began:.1f} s, {done}"


def run(paths: list[Path], root: Path, force: bool, processes: int) -> int:
    """Bring notebooks up to date, several kernels at a time; the ledger comes last."""
    failed = 0
    known = (CellExecutionError, CellTimeoutError, DeadKernelError, ValueError)
    for last in (False, True):
        batch = [path for path in paths if chapters.reads_others(path) is last]
        with ThreadPoolExecutor(max_workers=processes) as pool:
            jobs = {pool.submit(write, path, root, force): path for path in batch}
            for job in as_completed(jobs):
                name = jobs[job].relative_to(root)
                try:
                    print(f"{name}: {job.result()}", flush=True)
                except known as error:
                    failed += 1
                    print(f"{name}: FAILED, notebook not written\n{error}", flush=True)
    return 1 if failed else 0


def check(paths: list[Path], root: Path) -> int:
    """Report every broken rule, one line each."""
    found = [p for path in paths for p in chapter_rules.problems(path, root)]
    found += chapter_rules.orphans(root)
    for problem in found:
        print(problem)
    print(f"{len(paths)} chapters, {len(found)} problems")
    return 1 if found else 0


def lay_out(paths: list[Path], root: Path) -> int:
    """Format the code cells of the chapters' texts with ruff, in place."""
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            text = path.read_text(encoding="utf-8")
            copy = Path(folder) / f"{path.stem}.ipynb"
            copy.write_text(chapters.dumps(chapters.read(path)), encoding="utf-8")
            command = [sys.executable, "-m", "ruff", "format", "--quiet"]
            config = ["--config", str(root / "pyproject.toml")]
            subprocess.run([*command, *config, str(copy)], check=True)
            cells = chapters.code_cells(nbformat.read(copy, as_version=4))
            blocks = CODE_CELL.findall(text)
            if len(blocks) != len(cells):
                print(f"{path}: found {len(blocks)} blocks for {len(cells)} cells")
                return 1
            fresh = iter(cells)
            new = CODE_CELL.sub(
                lambda m, fresh=fresh: (
                    m["open"] + next(fresh).source.strip("\n") + "\n" + m["fence"]
                ),
                text,
            )
            if new != text:
                path.write_text(new, encoding="utf-8")
                print(f"{path.relative_to(root)}: formatted")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("verb", choices=["run", "check", "format"])
    parser.add_argument(
        "files", nargs="*", type=Path, help="chapters (.md); default all"
    )
    parser.add_argument("--all", action="store_true", help="execute unchanged ones too")
    parser.add_argument("-j", "--processes", type=int, default=2, metavar="N")
    parser.add_argument("--root", type=Path, default=kernel.ROOT, help="of the book")
    options = parser.parse_intermixed_args(arguments)
    root = options.root.resolve()
    paths = [p.resolve().with_suffix(".md") for p in options.files]
    missing = [p for p in paths if not p.exists()]
    if missing:
        parser.error("no such chapter: " + ", ".join(map(str, missing)))
    paths = paths or chapters.sources(root)
    if options.verb == "check":
        return check(paths, root)
    if options.verb == "format":
        return lay_out(paths, root)
    return run(paths, root, options.all, options.processes)


if __name__ == "__main__":
    sys.exit(main())
