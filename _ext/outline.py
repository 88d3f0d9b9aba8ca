"""What the extensions that lead through the book share: its order, and copies of it.

The order of parts and chapters is that of `_toc.yml`. What a page shows of other pages
(their exercises, statements, results) is collected while these are read, and put into
its place before references are resolved, so that a copied formula, number or reference
is set as it is where it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.environment.collectors import EnvironmentCollector
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective
from sphinx_external_toc.api import TocTree

SENTENCE_END = re.compile(r"(?<!e\.g)(?<!i\.e)[.?!][\"”’)]?(?=\s|$)")
NUMERALS = "I II III IV V VI VII VIII IX X".split()


@dataclass(frozen=True)
class Part:
    """A part of the book and its pages.

    Parts with chapters are numbered. They have a numeral, but for the appendix, whose
    chapters have letters (`style: alphaupper` in `_toc.yml`).
    """

    caption: str
    numeral: str
    numbered: bool
    pages: tuple[str, ...]

    @property
    def title(self) -> str:
        return f"Part {self.numeral}. {self.caption}" if self.numeral else self.caption

    @property
    def name(self) -> str:
        """A word for identifiers."""
        return self.numeral or self.caption


def has_letters(tree: TocTree) -> bool:
    """Whether the chapters of a part have letters in place of numbers."""
    styles = [tree.style] if isinstance(tree.style, str) else tree.style
    return bool(tree.numbered) and styles[0] == "alphaupper"


def parts(env: BuildEnvironment) -> list[Part]:
    """All parts, in reading order."""
    numerals = iter(NUMERALS)
    return [
        Part(
            tree.caption or "",
            next(numerals) if tree.numbered and not has_letters(tree) else "",
            bool(tree.numbered),
            tuple(tree.files()),
        )
        for tree in env.external_site_map.root.subtrees
    ]


def chapter_parts(env: BuildEnvironment) -> list[Part]:
    """The parts that hold chapters, with numbers or with letters."""
    return [part for part in parts(env) if part.numbered]


def main_parts(env: BuildEnvironment) -> list[Part]:
    """The parts that hold the numbered chapters, without the appendix."""
    return [part for part in parts(env) if part.numeral]


def show_formulas(env: BuildEnvironment, page: str) -> None:
    """Let a page load what sets formulas, though it has none of its own."""
    env.get_domain("math").data["has_equations"][page] = True


def chapter_number(env: BuildEnvironment, page: str) -> str:
    """The number of a chapter, known once all pages are read."""
    return ".".join(map(str, env.toc_secnumbers.get(page, {}).get("", ())))


def chapter_link(env: BuildEnvironment, page: str, here: str) -> addnodes.pending_xref:
    """A reference to a page, by its number, if it has one, and its title."""
    number = chapter_number(env, page)
    title = copied(env.titles[page].children, here)
    before = [nodes.Text(f"{number}. ")] if number else []
    return addnodes.pending_xref(
        "",
        nodes.inline("", "", *before, *title),
        refdomain="std",
        reftype="doc",
        reftarget=f"/{page}",
        refdoc=here,
        refexplicit=True,
        refwarn=True,
    )


def label_link(domain: str, kind: str, label: str, here: str) -> addnodes.pending_xref:
    """A reference to something with a number: a statement, a figure, an exercise."""
    return addnodes.pending_xref(
        "",
        nodes.inline("", label),
        refdomain=domain,
        reftype=kind,
        reftarget=label,
        refdoc=here,
        refexplicit=False,
        refwarn=True,
    )


def label_page(env: BuildEnvironment, label: str) -> str | None:
    """The page on which a labeled statement, figure, exercise or equation stands."""
    if label in getattr(env, "proof_list", {}):
        return env.proof_list[label]["docname"]
    if label in env.get_domain("std").anonlabels:
        return env.get_domain("std").anonlabels[label][0]
    return env.get_domain("math").equations.get(label, (None,))[0]


def copied(given: Iterable[nodes.Node], here: str) -> list[nodes.Node]:
    """Copies of nodes for another page: without identifiers, references from there."""
    found = [node.deepcopy() for node in given]
    for node in found:
        for part in node.findall(nodes.Element):
            part["ids"], part["names"] = [], []
            if isinstance(part, addnodes.pending_xref):
                part["refdoc"] = here
    return found


def opening(paragraph: Iterable[nodes.Node], enough: int = 280) -> list[nodes.Node]:
    """How a paragraph begins: sentences up to a question, or until there are enough."""
    taken, length = [], 0
    for node in paragraph:
        text = str(node) if isinstance(node, nodes.Text) else ""
        for end in SENTENCE_END.finditer(text):
            if "?" in end[0] or length + end.end() >= enough:
                return [*taken, nodes.Text(text[: end.end()])]
        taken.append(node)
        length += len(node.astext())
    return taken


def section(
    directive: SphinxDirective, title: str, name: str, inside: list[nodes.Node]
) -> nodes.section:
    """A section that a directive makes, for the contents in the margin too."""
    made = nodes.section("", nodes.title("", title), *inside)
    made["ids"].append(nodes.make_id(f"made-{name}"))
    directive.state.document.note_explicit_target(made)
    return made


def table(head: list, rows: list[list], classes: list[str]) -> nodes.table:
    """A table; a cell is a text, a node or a list of nodes."""

    def row(cells: list) -> nodes.row:
        made = nodes.row()
        for cell in cells:
            inside = nodes.Text(cell) if isinstance(cell, str) else cell
            inside = inside if isinstance(inside, list) else [inside]
            made += nodes.entry("", nodes.paragraph("", "", *inside))
        return made

    group = nodes.tgroup(cols=len(head))
    group += [nodes.colspec(colwidth=1) for _ in head]
    group += nodes.thead("", row(head))
    group += nodes.tbody("", *map(row, rows))
    return nodes.table("", group, classes=classes)


class PerPage(EnvironmentCollector):
    """Keeps what `find` finds on each page, and forgets it when the page goes."""

    name: str

    @classmethod
    def all(cls, env: BuildEnvironment) -> dict[str, Any]:
        """What was found, by page."""
        if not hasattr(env, f"book_{cls.name}"):
            setattr(env, f"book_{cls.name}", {})
        return getattr(env, f"book_{cls.name}")

    def find(self, env: BuildEnvironment, doctree: nodes.document) -> Any:
        raise NotImplementedError

    def process_doc(self, app: Sphinx, doctree: nodes.document) -> None:
        self.all(app.env)[app.env.docname] = self.find(app.env, doctree)

    def clear_doc(self, app: Sphinx, env: BuildEnvironment, docname: str) -> None:
        self.all(env).pop(docname, None)

    def merge_other(self, app: Sphinx, env, docnames: set[str], other) -> None:
        self.all(env).update({page: self.all(other)[page] for page in docnames})


class Fill(SphinxPostTransform):
    """Makes something from the whole book for each place that a directive left."""

    default_priority = 4  # glued numbers are put in at 5, references resolved at 10
    place: type[nodes.Element]

    def make(self, place: nodes.Element) -> list[nodes.Node]:
        raise NotImplementedError

    def run(self, **kwargs: Any) -> None:
        for place in list(self.document.findall(self.place)):
            show_formulas(self.env, self.env.docname)
            place.replace_self(self.make(place))
