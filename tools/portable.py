"""Execute the chapters under every numeric set-up that this machine can run.

    python tools/portable.py                              all chapters, all set-ups
    python tools/portable.py chapters/score/softmax.md    one chapter
    python tools/portable.py --setups own "jitter 7:2:2"  some set-ups
    python tools/portable.py --list                       what can run here

The outputs must agree with the stored ones, by the rules of `comparison.py`. What does
not is said at once, and a table at the end counts the chapters that agree under each
set-up and names the set-ups that could not run.
The set-ups are in `numerics.py`; any `jitter SEED:UNITS:UNITS32` is one too.
"""

from __future__ import annotations

import argparse
import copy
import functools
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import nbformat
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

import chapters
import comparison
import execution
import kernel
import numerics


@functools.cache
def usual(root: Path) -> dict[str, object]:
    """What a kernel's report says without any set-up."""
    code = f"import scipy.linalg.blas, torch; {execution.REPORT}"
    environment = {**os.environ, **kernel.environment(root)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    return json.loads(done.stdout)


def disagreements(
    book: nbformat.NotebookNode, path: Path, root: Path, setup: numerics.Setup
) -> list[str]:
    """What an executed chapter gives otherwise under a set-up, with numbers of cells.

    Cells are numbered as `make test` does: code cells only, from 0. A set-up that took
    no effect is a disagreement too.
    """
    fresh = copy.deepcopy(book)
    cells = chapters.code_cells(fresh)
    for cell in cells:
        cell.outputs = []
    found = []
    try:
        said = execution.execute(fresh, path.parent, root, setup)
        faults = numerics.without_effect(setup, said, usual(root))
        found += [f"the set-up took no effect: {fault}" for fault in faults]
    except CellExecutionError as error:
        last = next(n for n, cell in enumerate(cells) if execution.raised(cell))
        found.append(f"cell {last}: {error.ename}: {error.evalue}")
        cells = cells[:last]
    except (CellTimeoutError, DeadKernelError) as error:
        return [str(error)]
    pairs = zip(chapters.code_cells(book), cells, strict=False)
    for number, (old, new) in enumerate(pairs):
        tags = old.metadata.get("tags", [])
        if "nbval-ignore-output" in tags:
            continue
        differ = comparison.differences(old.outputs, new.outputs, tags)
        found += [f"cell {number}: {difference}" for difference in differ]
        place = re.sub(r"\W+", "-", f"{path.stem}-cell-{number}-{setup.name}")
        folder = root / "_build" / "figure-diffs"
        comparison.keep_figures(folder, place, old.outputs, new.outputs)
    return found


def check(path: Path, root: Path, setup: numerics.Setup) -> list[str] | None:
    """What a stored chapter gives otherwise under a set-up; None without its data."""
    if chapters.missing_data(path):
        return None
    book = nbformat.read(path.with_suffix(".ipynb"), as_version=4)
    return disagreements(book, path, root, setup)


def run(paths: list[Path], root: Path, setups: list, processes: int) -> int:
    """Check chapters under set-ups, print what differs and then the table."""
    usual(root)
    able = [setup for setup in setups if not setup.obstacle]
    results: dict[str, list] = {setup.name: [] for setup in able}
    with ThreadPoolExecutor(max_workers=processes) as pool:
        jobs = {
            pool.submit(check, path, root, setup): (setup.name, path.relative_to(root))
            for setup in able
            for path in paths
        }
        for job in as_completed(jobs):
            name, path = jobs[job]
            results[name].append(job.result())
            for line in job.result() or []:
                print(f"{name}: {path}: {line}", flush=True)
    print(f"\n{'set-up':<24}{'agree':>7}{'differ':>8}{'without data':>14}")
    for setup in setups:
        if setup.obstacle:
            print(f"{setup.name:<24}SKIPPED: {setup.obstacle}")
            continue
        found = results[setup.name]
        agree, missing = found.count([]), found.count(None)
        differ = len(found) - agree - missing
        print(f"{setup.name:<24}{agree:>7}{differ:>8}{missing:>14}")
    return 1 if any(line for found in results.values() for line in found) else 0


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, help="chapters; default all")
    parser.add_argument("--setups", nargs="+", metavar="NAME", help="default all")
    parser.add_argument("--list", action="store_true", help="show the set-ups")
    parser.add_argument("-j", "--processes", type=int, default=2, metavar="N")
    parser.add_argument("--root", type=Path, default=kernel.ROOT, help="of the book")
    options = parser.parse_intermixed_args(arguments)
    known = {setup.name: setup for setup in numerics.setups()}
    for name in options.setups or []:
        if name not in known and (match := re.fullmatch(r"jitter (\d+:\d+:\d+)", name)):
            known[name] = numerics.jitter(match[1])
        if name not in known:
            parser.error(f"no set-up {name!r}; there are {', '.join(known)}")
    chosen = [known[name] for name in options.setups or known]
    if options.list:
        for setup in chosen:
            print(f"{setup.name:<24}{setup.obstacle or 'runs here'}")
        return 0
    root = options.root.resolve()
    paths = [p.resolve().with_suffix(".md") for p in options.files]
    paths = paths or chapters.sources(root)
    if missing := [p for p in paths if not p.with_suffix(".ipynb").exists()]:
        parser.error("not executed yet: " + ", ".join(map(str, missing)))
    return run(paths, root, chosen, options.processes)


if __name__ == "__main__":
    sys.exit(main())
