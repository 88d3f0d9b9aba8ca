"""Plant faults in the library, one at a time, and see whether a unit test notices.

    python tools/mutants.py [--seed 1] [--count 150] [--modules NAME ...]

mutmut makes the faults and runs, for each, the tests that reach the changed function.
Tried is a random sample of them.  Left out are faults in words (error messages, text
with a space in it) and in the guard ``strict=`` of ``zip``; mutmut itself changes
nothing outside functions, and no annotation, docstring or decorated function.

The table by module and the survivors, as diffs, go to _build/mutants/report.md.
Survivors that tests/mutants.toml argues to be equivalent are counted apart.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import kernel

PACKAGE = "empirical_score"
CAUGHT = ("killed", "segfault")
COLUMNS = ("mutants", "caught", "timeouts", "equivalent", "survived")


def install(target: Path) -> None:
    """Install the tester, unless what is there is what the requirements ask for."""
    asked = kernel.ROOT / "tools" / "mutants-requirements.txt"
    stamp = target / "installed"
    if not stamp.exists() or stamp.read_text() != asked.read_text():
        shutil.rmtree(target, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        subprocess.run([*pip, "--target", target, "-r", asked], check=True)
        stamp.write_text(asked.read_text())


def lay_out(root: Path, work: Path, modules: list[str], tests: list[str]) -> None:
    """Copy the library and its tests to where mutmut expects them, and its settings."""
    shutil.rmtree(work, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__")
    for source, target in (("lib", "src"), ("tests/lib", "tests/lib")):
        shutil.copytree(root / source, work / target, ignore=ignored)
    shutil.copy(root / "pyproject.toml", work)
    settings = (kernel.ROOT / "tools" / "mutants.cfg").read_text()
    lists = {
        "only_mutate": [f"src/{PACKAGE}/{name}.py" for name in modules],
        "pytest_add_cli_args_test_selection": tests,
    }
    for name, values in lists.items():
        if values:
            settings += "\n    ".join([f"{name}=", *values]) + "\n"
    (work / "setup.cfg").write_text(settings)


class Meaning(ast.NodeTransformer):
    """A function without its words: a fault that leaves this alone is none."""

    def visit_Raise(self, node):
        if isinstance(node.exc, ast.Call):
            node.exc = node.exc.func
        return node

    def visit_Constant(self, node):
        if isinstance(node.value, str) and " " in node.value:
            node.value = ""
        return node

    def visit_keyword(self, node):
        return None if node.arg == "strict" else self.generic_visit(node)


def meaningful(path: Path) -> list[str]:
    """The mutants in a file of mutmut's that change more than words."""
    meanings = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and "__mutmut_" in node.name:
            name, node.name, node.decorator_list = node.name, "", []
            meanings[name] = ast.dump(Meaning().visit(node))
    return [
        name
        for name, meaning in meanings.items()
        if not name.endswith("_orig")
        and meaning != meanings[name.rpartition("_")[0] + "_orig"]
    ]


def mutate(modules: list[str]) -> list[str]:
    """Write the mutants of these modules, or of all; the names of the meaningful."""
    from mutmut import __main__ as mutmut

    package = Path("src", PACKAGE)
    named = {name: package / f"{name.replace('.', '/')}.py" for name in modules}
    every = sorted(package.rglob("*.py"))
    paths = named or {
        ".".join(p.relative_to(package).with_suffix("").parts): p for p in every
    }
    if missing := [name for name, path in paths.items() if not path.exists()]:
        sys.exit(f"no such module of {PACKAGE}: {', '.join(missing)}")
    with contextlib.redirect_stdout(io.StringIO()):
        mutmut.copy_src_dir()
        mutmut.create_mutants(2)
    return [
        f"{PACKAGE}.{module}.{name}"
        for module, path in paths.items()
        for name in meaningful("mutants" / path)
    ]


def run(names: list[str], log: Path) -> dict[str, str]:
    """The verdict of the tests on each of these mutants."""
    from mutmut.stats import status_by_exit_code

    paths = [Path("mutants/src").resolve(), *sys.path[:1]]
    environment = {
        **os.environ,
        **kernel.environment(),
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
    }
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", "2", *names]
    with log.open("w") as output:
        done = subprocess.run(command, env=environment, stdout=output, stderr=output)
    if done.returncode:
        sys.exit(f"mutmut stopped early; its last words, all in {log}:\n"
                 + "\n".join(log.read_text().splitlines()[-30:]))  # fmt: skip
    codes = {}
    for path in Path("mutants").rglob("*.meta"):
        codes |= json.loads(path.read_text())["exit_code_by_key"]
    return {name: status_by_exit_code[codes[name]] for name in names}


def difference(name: str) -> tuple[str, str, str]:
    """A mutant's diff, and of it the lines removed and those added."""
    from mutmut.mutation.diff_apply import get_diff_for_mutant

    lines = get_diff_for_mutant(name).splitlines()[2:]
    parts = [" ".join(x[1:].strip() for x in lines if x[0] == sign) for sign in "-+"]
    return "\n".join(lines), *parts


def tabulate(verdicts: dict[str, str], equivalents: set[tuple]) -> tuple[str, dict]:
    """The table by module, and the diffs of the survivors that are not equivalent."""
    counts: dict[str, Counter] = {}
    survivors = {}
    for name, verdict in sorted(verdicts.items()):
        module = name.removeprefix(f"{PACKAGE}.").rpartition(".")[0]
        if verdict in CAUGHT:
            kind = "caught"
        elif verdict == "timeout":
            kind = "timeouts"
        else:
            diff, old, new = difference(name)
            kind = "equivalent" if (module, old, new) in equivalents else "survived"
            if kind == "survived":
                survivors[name] = f"{name} ({verdict})\n\n```diff\n{diff}\n```\n"
        counts.setdefault(module, Counter()).update(("mutants", kind))
    counts["**all**"] = sum(counts.values(), Counter())
    lines = [f"| module | {' | '.join(COLUMNS)} | score |", "|---" * 7 + "|"]
    for module, count in counts.items():
        judged = count["mutants"] - count["equivalent"]
        score = f"{1 - count['survived'] / judged:.1%}" if judged else ""
        cells = [str(count[column]) for column in COLUMNS]
        lines.append(f"| {module} | {' | '.join(cells)} | {score} |")
    return "\n".join(lines) + "\n", survivors


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--count", type=int, default=150, help="of mutants")
    parser.add_argument(
        "--modules", nargs="+", default=[], metavar="NAME", help="these"
    )
    parser.add_argument("--tests", nargs="+", default=["tests/lib"], metavar="PATH")
    parser.add_argument("--again", action="store_true", help="the last run's survivors")
    parser.add_argument(
        "--record", type=Path, help="file to write the table to as well"
    )
    parser.add_argument("--root", type=Path, default=kernel.ROOT, help="of the project")
    options = parser.parse_args(arguments)
    root = options.root.resolve()
    build = root / "_build" / "mutants"
    tester = kernel.ROOT / "_build" / "mutants" / "tester"
    install(tester)
    lay_out(root, build / "work", options.modules, options.tests)
    sys.path.insert(0, str(tester))
    left = build / "survivors.json"
    with contextlib.chdir(build / "work"):
        names = mutate(options.modules)
        if options.again:
            sample = json.loads(left.read_text())
        else:
            count = min(options.count, len(names))
            sample = random.Random(options.seed).sample(names, count)
        verdicts = run(sample, build / "mutmut.log")
        known = root / "tests" / "mutants.toml"
        argued = tomllib.loads(known.read_text())["mutant"] if known.exists() else []
        keys = {(each["module"], each["old"], each["new"]) for each in argued}
        table, survivors = tabulate(verdicts, keys)
    words = f"{len(sample)} of {len(names)} mutants, seed {options.seed}.\n\n{table}"
    left.write_text(json.dumps(list(survivors)))
    (build / "report.md").write_text("\n".join([words, *survivors.values()]))
    if options.record:
        options.record.write_text(
            f"# Planted faults that the unit tests catch\n\n{words}"
        )
    print(f"{words}\nThe survivors, as diffs: {build / 'report.md'}")


if __name__ == "__main__":
    main()
