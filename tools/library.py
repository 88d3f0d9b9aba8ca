"""Which modules of the library a piece of code can reach, told from the imports.

A chapter's outputs can change only with these. Names of the face (`es.sample_ode`) are
looked up in the stub beside `__init__.py`; what a module imports, at its head or inside
a function, is followed to the end. Code that does something else with the package than
ask for its names reaches all of it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "empirical_score"


def modules(library: Path) -> dict[str, Path]:
    """All modules of the library: dotted names below the package, and their files."""
    found = {}
    for path in sorted(library.rglob("*.py")):
        parts = path.relative_to(library).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def reached(code: str, library: Path) -> list[Path]:
    """The files of the library that the code can reach, sorted."""
    known = modules(library)
    stub = library / "__init__.pyi"
    face = dict(_face(stub, known)) if stub.exists() else {}
    try:
        wanted = set(_asked(ast.parse(code), face, known))
    except (SyntaxError, LookupError):
        return sorted(known.values())
    seen: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name in known and name not in seen:
            seen.add(name)
            wanted.add(name.rpartition(".")[0])  # its package
            tree = ast.parse(known[name].read_text(encoding="utf-8"))
            package = known[name].name == "__init__.py"
            base = name if package else name.rpartition(".")[0]
            wanted.update(imported(tree, base, known))
    return sorted(known[name] for name in seen)


def without_docstrings(source: str) -> str:
    """A module's text without its docstrings, which no computation depends on."""
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source)):
        kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        if isinstance(node, kinds) and ast.get_docstring(node, clean=False):
            text = node.body[0]
            for number in range(text.lineno - 1, text.end_lineno):
                lines[number] = ""
    return "".join(lines)


def _face(stub: Path, known: dict[str, Path]) -> Iterator[tuple[str, str]]:
    """Each public name, and the module that holds it or that it is."""
    for node in ast.parse(stub.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, _module(node.module, alias, known)


def _asked(tree: ast.Module, face: dict, known: dict) -> Iterator[str]:
    """The modules that the code asks for; LookupError where that cannot be told."""
    aliases, attributes = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name == PACKAGE:
                    aliases.add(alias.asname or alias.name)
                elif alias.name.startswith(f"{PACKAGE}."):
                    raise LookupError(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            top, _, below = (node.module or "").partition(".")
            if top == PACKAGE:
                for alias in node.names:
                    inside = _module(below, alias, known)
                    yield inside or face[alias.name]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id in aliases:
                attributes.add(id(node.value))
                yield face[node.attr]
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in aliases:
            if id(node) not in attributes:
                raise LookupError(node.id)


def imported(tree: ast.Module, base: str, known: dict) -> Iterator[str]:
    """The modules that a module in the package `base` imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            above = base.split(".") if base else []
            above = above[: len(above) - node.level + 1]
            start = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield _module(start, alias, known)


def _module(start: str, alias: ast.alias, known: dict) -> str:
    """The module that `from start import alias` needs."""
    inner = f"{start}.{alias.name}" if start else alias.name
    return inner if inner in known else start
