"""Every gate of the book, one after the other, and how long each took.

    python tools/gates.py [--jobs 2] [--only NAME ...]

All gates run even when one fails, so that one run tells everything. The exit status
is 0 only if none failed. A gate that cannot run on this machine (no Chromium) is shown
as skipped, and counts as failed where CI=true.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import chapters
import kernel

SKIPPED = 77
SITE = "_build/html"


def stages(root: Path, jobs: int) -> list[tuple[str, list[str]]]:
    """The gates: a name and a command line each."""
    python = sys.executable
    pytest = [python, "-m", "pytest", "-q", "-n", str(jobs)]
    book = str(Path(python).parent / "jupyter-book")
    notebooks = [str(p.relative_to(root)) for p in chapters.notebooks(root)]
    comparison = [*pytest, "--dist", "loadscope", "--nbval", "--nbval-current-env"]
    comparison += [
        f"--nbval-cell-timeout={kernel.CELL_TIMEOUT}",
        "-p",
        "no:cacheprovider",
    ]
    site = [python, "tools/check_site.py", SITE, "--toc", "_toc.yml"]
    return [
        ("style", [python, "-m", "ruff", "check", "--quiet", "."]),
        ("format", [python, "-m", "ruff", "format", "--check", "--quiet", "."]),
        ("unit tests", [*pytest, "tests"]),
        ("chapter lint", [python, "tools/notebooks.py", "check"]),
        ("chapters re-executed", [*comparison, *(notebooks or ["chapters"])]),
        (
            "strict build",
            [book, "build", ".", "--all", "-W", "-n", "--keep-going", "-q"],
        ),
        ("site", site),
        ("site in a browser", [python, "tools/browse_site.py", SITE]),
    ]


def run(command: list[str], root: Path) -> tuple[str, float]:
    """One gate: its verdict and its seconds."""
    began = time.perf_counter()
    environment = {**os.environ, **kernel.environment(root)}
    status = subprocess.run(command, cwd=root, env=environment).returncode
    verdict = {0: "passed", SKIPPED: "SKIPPED"}.get(status, "FAILED")
    return verdict, time.perf_counter() - began


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2, help="processes for the tests")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these gates")
    parser.add_argument("--root", type=Path, default=kernel.ROOT, help="of the book")
    options = parser.parse_args(arguments)
    root = options.root.resolve()
    rows = []
    for name, command in stages(root, options.jobs):
        if options.only and name not in options.only:
            continue
        print(f"\n== {name}", flush=True)
        rows.append((name, *run(command, root)))
    if not rows:
        parser.error("no such gate")
    print("\n" + "-" * 44)
    for name, verdict, seconds in rows:
        print(f"{name:<24}{verdict:>9}{seconds:>9.1f} s")
    print(f"{'in all':<33}{sum(row[2] for row in rows):>9.1f} s")
    verdicts = {row[1] for row in rows}
    bad = "FAILED" in verdicts or (
        "SKIPPED" in verdicts and os.environ.get("CI") == "true"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
