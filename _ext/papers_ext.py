"""Which paper says what: ``{from-paper}`` entries, with verdicts from the ledger.

A row of the ledger that a paper's page refers to bears a name, `[words]{#name}` in its
first cell. An entry names its rows; where the book treats them and with what verdict
comes from these rows, so that neither stands twice. A row that does not exist is a
warning, and so is a row of a paper's own (theirs, sharpened or corrected) that no entry
names; a warning fails the build.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import outline
from docutils import nodes
from docutils.parsers.rst import directives
from myst_nb.ext.glue.utils import PendingGlueReference
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

logger = logging.getLogger(__name__)
HEAD = ("Statement", "Whose", "Verdict")  # first, second and last column of a ledger
PAPER = re.compile(r"(.+?) \(\d{4}\)")  # how the section of a paper's rows begins
THEIRS = re.compile(r"theirs|sharpened|corrected")


@dataclass(frozen=True)
class Row:
    """A row of the ledger: what it is called, where it is treated, what it says."""

    name: str
    page: str
    paper: str
    text: str
    labels: tuple[str, ...]
    references: tuple[nodes.Node, ...]
    pages: tuple[str, ...]
    whose: tuple[nodes.Node, ...]
    verdict: tuple[nodes.Node, ...]

    @property
    def theirs(self) -> bool:
        """Whether the paper itself says it: a citation in `whose` names another."""
        words = "".join(node.astext() for node in self.whose)
        cited = any(list(node.findall(addnodes.pending_xref)) for node in self.whose)
        return bool(self.paper and THEIRS.match(words) and not cited)


def cell(entry: nodes.entry) -> tuple[nodes.Node, ...]:
    """What stands in a cell, without the paragraph around it."""
    return tuple(node.deepcopy() for node in next(entry.findall(nodes.paragraph), ()))


def is_ledger(table: nodes.table) -> bool:
    """Whether a table has the columns of the ledger."""
    found = [head.findall(nodes.entry) for head in table.findall(nodes.thead)]
    head = [entry.astext() for entries in found for entry in entries]
    return (*head[:2], *head[-1:]) == HEAD


def read(row: nodes.row, page: str, paper: str) -> Row:
    """A row of the ledger."""
    statement, whose, *_, verdict = row.findall(nodes.entry)
    names = [i for part in statement.findall(nodes.inline) for i in part["ids"]]
    references = [
        node
        for node in statement.findall(addnodes.pending_xref)
        if node.get("refdomain") != "cite"
    ]
    glued = {node.refdoc for node in row.findall(PendingGlueReference)}
    return Row(
        names[0] if names else "",
        page,
        paper,
        statement.astext(),
        tuple(node["reftarget"] for node in references),
        tuple(node.deepcopy() for node in references),
        tuple(sorted(glued)),
        cell(whose),
        cell(verdict),
    )


class Ledger(outline.PerPage):
    """The rows of the ledger, by the page on which they stand."""

    name = "ledger"

    def find(self, env, doctree: nodes.document) -> list[Row]:
        found = []
        for table in filter(is_ledger, doctree.findall(nodes.table)):
            around = table.parent
            while around.parent and around.parent.parent is not doctree:
                around = around.parent
            match = PAPER.match(around[0].astext())
            body = next(table.findall(nodes.tbody))
            paper = match[1] if match else ""
            found += [read(row, env.docname, paper) for row in body]
        return found


def rows(env) -> list[Row]:
    """All rows of the ledger."""
    return [row for page in Ledger.all(env).values() for row in page]


def treated(env, page: str) -> list[str]:
    """The papers whose own claims a chapter treats, in the order of the ledger."""
    found = []
    for row in rows(env):
        places = {outline.label_page(env, label) for label in row.labels}
        if row.theirs and page in (places - {None} or set(row.pages)):
            found += [row.paper] if row.paper not in found else []
    return found


class from_paper_node(nodes.General, nodes.Element):
    """The place of an entry's second line: where in the book, and the verdicts."""


class FromPaper(SphinxDirective):
    """``{from-paper} Theorem 3.1`` with ``:rows:`` and what the paper says."""

    required_arguments = 1
    final_argument_whitespace = True
    option_spec = {"rows": directives.unchanged_required}
    has_content = True

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()  # it shows what the ledger says
        self.assert_has_content()
        entry = nodes.container(classes=["from-paper"])
        self.state.nested_parse(self.content, self.content_offset, entry)
        title, _ = self.state.inline_text(self.arguments[0] + ".", self.lineno)
        entry[0].insert(0, [nodes.strong("", "", *title), nodes.Text(" ")])
        place = from_paper_node(rows=self.options.get("rows", "").split())
        self.set_source_info(place)
        entry += place
        return [entry]


class Entries(outline.PerPage):
    """The names of the rows that each page's entries show."""

    name = "paper_entries"

    def find(self, env, doctree: nodes.document) -> list[str]:
        places = doctree.findall(from_paper_node)
        return [name for place in places for name in place["rows"]]


class FillEntries(outline.Fill):
    """Writes where the book treats what an entry says, and with what verdict."""

    place = from_paper_node

    def make(self, place: nodes.Element) -> list[nodes.Node]:
        known = {row.name: row for row in rows(self.env) if row.name}
        found = [known[name] for name in place["rows"] if name in known]
        line, last = nodes.paragraph(classes=["where"]), None
        if chapters := self.chapters(found):
            line += [nodes.Text("Here: "), *chapters, nodes.Text(". ")]
        for row in found:
            whose = outline.copied(row.whose, self.env.docname)
            verdict = outline.copied(row.verdict, self.env.docname)
            if last != "".join(node.astext() for node in whose):
                last = "".join(node.astext() for node in whose)
                line += nodes.Text("Verdict: " if row is found[0] else " · ")
                line += [nodes.emphasis("", "", *whose), nodes.Text(": ")]
            else:
                line += nodes.Text(", ")
            line += self.to_ledger(row, verdict)
        return [line] if found else []

    def chapters(self, found: list[Row]) -> list[nodes.Node]:
        """The chapters that treat the rows, each with what to look up in it."""
        here, places = self.env.docname, {}
        for row in found:
            for label, reference in zip(row.labels, row.references, strict=True):
                page = outline.label_page(self.env, label)
                places.setdefault(page, {}).setdefault(label, reference)
            if not row.labels:
                for page in row.pages:
                    places.setdefault(page, {})
        made: list[nodes.Node] = []
        for page, references in places.items():
            made += [nodes.Text("; ")] if made else []
            made.append(outline.chapter_link(self.env, page, here))
            for k, node in enumerate(references.values()):
                made += [nodes.Text(", " if k else " ("), *outline.copied([node], here)]
            made += [nodes.Text(")")] if references else []
        return made

    def to_ledger(self, row: Row, inside: list[nodes.Node]) -> nodes.reference:
        here = self.env.docname
        return make_refnode(self.app.builder, here, row.page, row.name, inside)


def check(app: Sphinx, env) -> None:
    """Warn of rows that are named but not there, and of a paper's rows not shown."""
    entries, known = Entries.all(env), {row.name for row in rows(env)}
    shown = {name for names in entries.values() for name in names}
    for page, names in entries.items():
        for name in names:
            if name not in known:
                warn(page, "the ledger has no row %s", name)
    if shown:
        for row in rows(env):
            if row.theirs and row.name not in shown:
                warn(
                    row.page, "no entry {from-paper} names this row: %s", row.text[:90]
                )


def warn(page: str, message: str, *values: str) -> None:
    """A warning, for the build to fail on."""
    logger.warning(message, *values, location=page, type="book", subtype="papers")


def setup(app: Sphinx) -> dict:
    """Register with Sphinx."""
    app.add_node(from_paper_node)
    app.add_directive("from-paper", FromPaper)
    app.add_env_collector(Ledger)
    app.add_env_collector(Entries)
    app.add_post_transform(FillEntries)
    app.connect("env-check-consistency", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
