"""The library's reference: pages made from the docstrings, and links to the chapters.

```{library}
EmpiricalScore
linear.*
```

lists these names with their first lines, and documents each of them below; `linear.*`
stands for all public names of a public module. In docstrings equations stand indented,
as one reads them in a terminal: they are shown as they are. What a name is used for is
told by the chapters whose cells use it; and a chapter links, at its foot, to the names
that it uses.
"""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import nbformat
import outline
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

import empirical_score

LOG = logging.getLogger(__name__)
PACKAGE = "empirical_score"
USE = re.compile(r"\bes\.([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)?)")


class Library(SphinxDirective):
    """The documentation of the names that stand in it, a line each."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        names = [name for line in self.content for name in expanded(line.strip())]
        rows = ["| | |", "|---|---|"]
        blocks: list[str] = []
        for name in names:
            thing = find(name)
            first = (inspect.getdoc(thing) or "").split("\n\n")[0].replace("\n", " ")
            link = f"{{py:obj}}`es.{name} <{PACKAGE}.{name}>`"
            rows.append(f"| {link} | {first.replace('|', chr(92) + '|')} |")
            kind = "class" if inspect.isclass(thing) else "function"
            blocks += ["", "```{eval-rst}", f".. auto{kind}:: {PACKAGE}.{name}"]
            blocks += (
                ["   :members:", "   :show-inheritance:"] if kind == "class" else []
            )
            blocks += ["```", ""]
        text = [":::{div} library-table", *rows, ":::", *blocks]
        return self.parse_text_to_nodes("\n".join(text))


def find(name: str):
    """The object of a public name, such as `linear.kl`."""
    thing = empirical_score
    for part in name.split("."):
        thing = getattr(thing, part)
    return thing


def expanded(line: str) -> list[str]:
    """The public names that a line of the directive stands for."""
    if not line.endswith(".*"):
        return [line] if line else []
    module = find(line.removesuffix(".*"))
    return [
        f"{line.removesuffix('*')}{name}"
        for name in module.__all__
        if callable(getattr(module, name)) and name not in empirical_score.__all__
    ]


@cache
def public_names() -> list[str]:
    """All names that have to be documented: those of the face and of its modules."""
    names: list[str] = []
    for name in empirical_score.__all__:
        thing = getattr(empirical_score, name)
        names += expanded(f"{name}.*") if inspect.ismodule(thing) else [name]
    return names


def show_equations(lines: list[str]) -> None:
    """Make of each indented paragraph of a docstring a block that is shown as it is."""
    made: list[str] = []
    inside = False
    for number, line in enumerate(lines):
        after_blank = number > 0 and not lines[number - 1].strip()
        if line.strip() and not line.startswith("    "):
            inside = line.rstrip().endswith("::")
        elif line.startswith("    ") and after_blank and not inside:
            made += ["::", ""]
            inside = True
        made.append(line)
    lines[:] = made


@cache
def uses(app: Sphinx) -> dict[str, list[str]]:
    """The names that chapters use: for each, the pages, in reading order."""
    found: dict[str, list[str]] = defaultdict(list)
    for part in outline.parts(app.env):
        for page in part.pages:
            path = Path(app.srcdir, f"{page}.ipynb")
            if path.exists() and page.startswith("chapters/"):
                for name in used_in(path):
                    found[name].append(page)
    return found


@cache
def used_in(path: Path) -> list[str]:
    """The public names that a notebook's cells use, sorted."""
    known, names = set(public_names()), set()
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            for match in USE.findall(cell.source):
                names |= {match, match.partition(".")[0]} & known
    return sorted(names)


def complete(app: Sphinx, what, name: str, thing, options, lines: list[str]) -> None:
    """Show a docstring's equations, and name the chapters that use what it tells of."""
    if not name.startswith(f"{PACKAGE}."):
        return
    show_equations(lines)
    pages = uses(app).get(name.removeprefix(f"{PACKAGE}."), [])
    if pages:
        links = ", ".join(f":doc:`/{page}`" for page in pages)
        lines += ["", f"*Used in* {links}.", ""]


def skip(app: Sphinx, what, name: str, thing, skipped: bool, options) -> bool | None:
    """Leave out the fields of named tuples: their class tells of them."""
    return True if "Alias for field number" in (inspect.getdoc(thing) or "") else None


def add_names(app: Sphinx, page: str, template: str, context: dict, doctree) -> None:
    """Hand a chapter's names to the template, with links to what tells of them."""
    path = Path(app.srcdir, f"{page}.ipynb")
    if doctree is None or not page.startswith("chapters/") or not path.exists():
        return
    objects = app.env.get_domain("py").objects
    names = []
    for name in used_in(path):
        entry = objects.get(f"{PACKAGE}.{name}")
        if entry and app.builder.name != "singlehtml":
            uri = app.builder.get_relative_uri(page, entry.docname)
            names.append((f"es.{name}", f"{uri}#{entry.node_id}"))
    context["library_names"] = names


def all_documented(app: Sphinx, env) -> None:
    """Warn of public names that no page of the reference tells of."""
    objects = env.get_domain("py").objects
    pages = [page for page in env.found_docs if page.startswith("reference/")]
    for name in public_names() if pages else []:
        if f"{PACKAGE}.{name}" not in objects:
            LOG.warning("es.%s is on no page of the library reference", name)


def setup(app: Sphinx) -> dict:
    """Register with Sphinx."""
    app.add_directive("library", Library)
    # Before napoleon, which makes fields of the sections.
    app.connect("autodoc-process-docstring", complete, priority=400)
    app.connect("autodoc-skip-member", skip)
    app.connect("env-check-consistency", all_documented)
    app.connect("html-page-context", add_names, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
