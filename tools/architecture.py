"""The packages of the library and their imports, as a table and as a picture.

    python tools/architecture.py            modules, lines, floors and imports
    python tools/architecture.py --draw     writes static/packages.svg

The picture is drawn from the imports and the layers in `pyproject.toml`: a package
stands above all that it imports.
"""

from __future__ import annotations

import argparse
import ast
import html
import sys
import tomllib
from collections import Counter
from pathlib import Path

import kernel
import library

WIDE, HIGH, GAP = 320, 34, 14
WORDS = {
    "auditing": "does a model copy?",
    "learning": "networks and targets",
    "solvable": "models in closed form",
    "smoothed": "smoothed scores",
    "exact": "the exact score",
    "data": "toys, curves, image sets",
    "sampling": "noise levels, samplers",
    "distributions": "base classes, divergences",
    "_support": "arrays, random numbers",
}


def layers(root: Path) -> list[str]:
    """The packages from the top down, as the contract lists them."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    [first, *_] = settings["tool"]["importlinter"]["contracts"]
    return [name for name in first["layers"] if name in WORDS]


def imports(root: Path) -> Counter:
    """How many imports lead from one package to another."""
    folder = root / "lib" / library.PACKAGE
    known, found = library.modules(folder), Counter()
    for name, path in known.items():
        base = name if path.name == "__init__.py" else name.rpartition(".")[0]
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for other in set(library.imported(tree, base, known)):
            ends = name.partition(".")[0], other.partition(".")[0]
            if ends[0] != ends[1] and all(end in WORDS for end in ends):
                found[ends] += 1
    return found


def table(root: Path) -> str:
    """Modules, lines and imports of each package, and how deep imports reach."""
    folder, edges = root / "lib" / library.PACKAGE, imports(root)
    rows = [f"{'package':<16}{'modules':>8}{'lines':>7}{'longest':>9}  imports from"]
    floor: dict[str, int] = {}
    for name in reversed(layers(root)):
        paths = sorted((folder / name).glob("*.py"))
        sizes = [len(path.read_text(encoding="utf-8").splitlines()) for path in paths]
        below = [end for start, end in edges if start == name]
        floor[name] = 1 + max((floor[end] for end in below), default=0)
        row = f"{name:<16}{len(paths) - 1:>8}{sum(sizes):>7}{max(sizes):>9}  "
        rows.insert(1, row + ", ".join(sorted(below)))
    rows.append(
        f"{len(floor)} packages on {max(floor.values())} floors, {len(edges)} arrows, "
        f"{sum(edges.values())} imports between packages"
    )
    return "\n".join(rows)


def picture(root: Path) -> str:
    """The packages as boxes, the upper ones first, with lines to what they import."""
    names, edges = layers(root), imports(root)
    top = {name: 10 + i * (HIGH + GAP) for i, name in enumerate(names)}
    height = 10 + len(names) * (HIGH + GAP)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 480 {height}" '
        'font-family="sans-serif" font-size="13" role="img">'
    ]
    for rank, (start, end) in enumerate(sorted(edges, key=lambda e: top[e[1]])):
        y, z = top[start] + HIGH / 2, top[end] + HIGH / 2
        x = 10 + WIDE
        reach = x + 14 + 120 * (z - y) / height
        shade = 90 + 40 * (rank % 3)
        out.append(
            f'<path d="M{x} {y:.0f}C{reach:.0f} {y:.0f} {reach:.0f} {z:.0f} {x} '
            f'{z:.0f}" fill="none" stroke="rgb({shade},{shade},{shade})"/>'
        )
    for name in names:
        y = top[name]
        out.append(
            f'<rect x="10" y="{y}" width="{WIDE}" height="{HIGH}" rx="5" '
            'fill="#eef4fb" stroke="#1f5f99"/>'
            f'<text x="20" y="{y + 22}" fill="#111"><tspan font-weight="bold">{name}'
            f"</tspan> {html.escape(WORDS[name])}</text>"
        )
    return "\n".join([*out, "</svg>"]) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draw", action="store_true", help="write the picture")
    options = parser.parse_args(arguments)
    print(table(kernel.ROOT))
    if options.draw:
        path = kernel.ROOT / "static" / "packages.svg"
        path.write_text(picture(kernel.ROOT), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
