"""Every gate of the book, the tests beside the site, and how long each took.

    python tools/gates.py [--jobs 2] [--only NAME ...]

Tests use all processes; the other gates, most of which can use only one, run beside
them. Each gate's output is shown as one block when the gate has ended. All gates run
even when one fails, so that one run tells everything. The exit status is 0 only if none
failed. A gate that cannot run on this machine (no Chromium) is shown as skipped, and
counts as failed where CI=true.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path
from typing import NamedTuple

import chapters
import kernel

SKIPPED = 77
SITE = "_build/html"
TESTS = ("chapters re-executed", "unit tests")


class Result(NamedTuple):
    """What came out of a gate."""

    verdict: str
    seconds: float


def stages(root: Path, jobs: int) -> list[tuple[str, list[str]]]:
    """The gates: a name and a command line each."""
    python = sys.executable
    pytest = [python, "-m", "pytest", "-q", "-n", str(jobs), "--durations", "10"]
    book = str(Path(python).parent / "jupyter-book")
    # Chapters on image sets take longest: they come first, so that none is waited for.
    paths = sorted(chapters.notebooks(root), key=lambda p: not chapters.needed_data(p))
    notebooks = [str(path.relative_to(root)) for path in paths]
    comparison = [*pytest, "--nbval", "--nbval-current-env"]
    comparison += ["--dist", "loadscope", "--no-loadscope-reorder"]
    comparison += [
        f"--nbval-cell-timeout={kernel.CELL_TIMEOUT}",
        "-p",
        "no:cacheprovider",
    ]
    build = [book, "build", ".", "--all", "-W", "-n", "--keep-going", "-q"]
    site = [python, "tools/check_site.py", SITE, "--toc", "_toc.yml"]
    browser = [python, "tools/browse_site.py", SITE, "--jobs", str(jobs)]
    return [
        ("style", [python, "-m", "ruff", "check", "--quiet", "."]),
        ("format", [python, "-m", "ruff", "format", "--check", "--quiet", "."]),
        ("layers", [str(Path(python).parent / "lint-imports"), "--no-cache"]),
        ("types", [python, "-m", "mypy"]),
        ("chapter lint", [python, "tools/notebooks.py", "check"]),
        ("strict build", build),
        ("site", site),
        ("site in a browser", browser),
        ("chapters re-executed", [*comparison, *(notebooks or ["chapters"])]),
        ("unit tests", [*pytest, "tests"]),
    ]


async def run(name: str, command: list[str], root: Path, alone: bool) -> Result:
    """Run one gate; its output is shown at the end, or as it comes if it is alone."""
    print(f"   {name} ...", flush=True)
    began = time.perf_counter()
    environment = {**os.environ, **kernel.environment(root)}
    streams = {} if alone else {"stdout": PIPE, "stderr": STDOUT}
    process = await asyncio.create_subprocess_exec(
        *command, cwd=root, env=environment, **streams
    )
    said, _ = await process.communicate()
    verdict = {0: "passed", SKIPPED: "SKIPPED"}.get(process.returncode, "FAILED")
    result = Result(verdict, time.perf_counter() - began)
    text = (said or b"").decode(errors="replace").strip("\n")
    print(f"\n== {name}: {verdict}, {result.seconds:.1f} s\n{text}\n", flush=True)
    return result


async def run_all(
    gates: list[tuple[str, list[str]]], root: Path, jobs: int
) -> dict[str, Result]:
    """Run all gates: the tests, and beside them the others, in their order."""
    results = {}

    async def one_by_one(names: list[str]) -> None:
        for name in names:
            results[name] = await run(name, commands[name], root, len(gates) == 1)

    commands = dict(gates)
    others = [name for name in commands if name not in TESTS]
    tests = [name for name in commands if name in TESTS]
    lanes = [others, tests] if jobs > 1 else [others + tests]
    await asyncio.gather(*map(one_by_one, lanes))
    return {name: results[name] for name in commands}


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2, help="processes for the tests")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these gates")
    parser.add_argument("--root", type=Path, default=kernel.ROOT, help="of the book")
    options = parser.parse_args(arguments)
    root = options.root.resolve()
    gates = stages(root, options.jobs)
    chosen = options.only or [name for name, _ in gates]
    if unknown := set(chosen) - {name for name, _ in gates}:
        parser.error(f"no such gate: {', '.join(sorted(unknown))}")
    began = time.perf_counter()
    gates = [gate for gate in gates if gate[0] in chosen]
    results = asyncio.run(run_all(gates, root, options.jobs))
    print("-" * 44)
    for name, (verdict, seconds) in results.items():
        print(f"{name:<24}{verdict:>9}{seconds:>9.1f} s")
    print(f"{'in all':<33}{time.perf_counter() - began:>9.1f} s")
    verdicts = {result.verdict for result in results.values()}
    bad = "FAILED" in verdicts or (
        "SKIPPED" in verdicts and os.environ.get("CI") == "true"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
