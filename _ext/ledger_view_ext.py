"""The ledger as a page to use: an overview, a filter, and a fold for bookkeeping.

``{ledger-overview}`` counts the rows of each section by whose they are and links to
every claim that the book corrects; where scripts are on, `static/js/ledger.js` makes a
filter of the box that it leaves. In each table a row that belongs to no paper, holds,
and shows one and the same number twice is put into a fold below. Numbers like 1.0e-08
are set as powers of ten.
"""

from __future__ import annotations

import json
import re
from html import escape

import outline
import papers_ext
from docutils import nodes
from ledger_ext import WHOSE
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

PAPERS = {"whose-theirs", "whose-sharpened", "whose-corrected"}
POWER = re.compile(r"(?<![\w.])(-?\d+(?:\.\d+)?)e([+-])0*(\d+)\b")
BOX = re.compile(r'class="ledger-filter"')


class overview_node(nodes.General, nodes.Element):
    """The place of the overview."""


class Overview(SphinxDirective):
    """``{ledger-overview}``: counts, claims that are corrected, and the filter."""

    def run(self) -> list[nodes.Node]:
        return [overview_node()]


def tables(document: nodes.document) -> list[nodes.table]:
    """The tables of a ledger."""
    found = document.findall(nodes.table)
    return [table for table in found if "ledger" in table["classes"]]


def body(table: nodes.table) -> nodes.tbody:
    return next(table.findall(nodes.tbody))


def chapter(table: nodes.table) -> nodes.section:
    """The outermost section of a table, below the title of the page."""
    around = table.parent
    while isinstance(around.parent.parent, nodes.section):
        around = around.parent
    return around


def powers(text: str) -> list[nodes.Node]:
    """A text, with numbers like 1.0e-08 as powers of ten."""
    made, last = [], 0
    for found in POWER.finditer(text):
        mantissa, sign, exponent = found.groups()
        times = "" if float(mantissa) == 1 else f"{mantissa} × "
        made.append(nodes.Text(text[last : found.start()] + times + "10"))
        minus = "−" if sign == "-" else ""
        made.append(nodes.superscript("", nodes.Text(minus + exponent)))
        last = found.end()
    return [*made, nodes.Text(text[last:])] if text[last:] or not made else made


def set_powers(table: nodes.table) -> None:
    """Set the numbers of a table, outside of formulas."""
    for text in list(table.findall(nodes.Text)):
        if POWER.search(text) and not isinstance(text.parent, nodes.math):
            text.parent.replace(text, powers(str(text)))


def bookkeeping(row: nodes.row) -> bool:
    """Whether a row is of no paper, holds, and shows the same number twice."""
    predicted, measured = row[2].astext(), row[3].astext()
    same = predicted == measured and any(c.isdigit() for c in predicted)
    return (
        same and row[-1].astext().startswith("holds") and not PAPERS & {*row["classes"]}
    )


def fold(table: nodes.table) -> None:
    """Move the bookkeeping of a table into a fold below it."""
    moved = [row for row in body(table) if bookkeeping(row)]
    if not moved:
        return
    below = table.deepcopy()
    body(below)[:] = [row.deepcopy() for row in moved]
    body(table)[:] = [row for row in body(table) if not bookkeeping(row)]
    rows = "1 more row" if len(moved) == 1 else f"{len(moved)} more rows"
    words = f"{rows} in which prediction and measurement agree in all digits shown"
    start = f'<details class="ledger-more"><summary>{words}</summary>'
    opened = nodes.raw("", start, format="html")
    closed = nodes.raw("", "</details>", format="html")
    kept = [table] if len(body(table)) else []
    table.parent.replace(table, [*kept, opened, below, closed])


class ShowLedger(SphinxPostTransform):
    """Fills in the overview; then folds, and sets numbers."""

    default_priority = 7  # numbers are there from 5 on, references are resolved at 10

    def run(self, **kwargs: object) -> None:
        found = tables(self.document)
        if not found:
            return
        for table in found:
            for row in body(table):
                row["classes"] += self.parts(row)
        for place in list(self.document.findall(overview_node)):
            place.replace_self(self.overview(found))
        for table in found:
            set_powers(table)
            fold(table)

    def parts(self, row: nodes.row) -> list[str]:
        """Classes for the parts of the book in which a row is treated."""
        places = {outline.label_page(self.env, label) for label in row["labels"]}
        pages = places - {None} or set(row["pages"])
        return [
            nodes.make_id(f"part-{part.name}")
            for part in outline.chapter_parts(self.env)
            if pages & {*part.pages}
        ]

    def overview(self, found: list[nodes.table]) -> list[nodes.Node]:
        corrected = [
            nodes.list_item("", *self.correction(row))
            for table in found
            for row in body(table)
            if "whose-corrected" in row["classes"]
        ]
        head = [nodes.rubric("", "Claims that the book corrects")] if corrected else []
        listed = nodes.bullet_list("", *corrected, classes=["plain-list"])
        counts = [nodes.rubric("", "What is where"), self.counts(found)]
        return [*head, *([listed] if corrected else []), *counts, self.filter()]

    def correction(self, row: nodes.row) -> list[nodes.paragraph]:
        """A claim that is corrected: its words lead to the row; and the verdict."""
        here = self.env.docname
        named = [part for part in row[0].findall(nodes.inline) if part["ids"]]
        words = named[0].astext() if named else row[0].astext()
        name = named[0]["ids"][0] if named else ""
        link = nodes.reference("", words, refid=name, internal=True)
        verdict = outline.copied(papers_ext.cell(row[-1]), here)
        rest = outline.copied(self.rest(row[0], named), here)
        claim = nodes.paragraph("", "", link, *rest)
        return [
            claim,
            nodes.paragraph("", "", nodes.emphasis("", "Verdict: "), *verdict),
        ]

    def rest(self, cell: nodes.entry, named: list) -> list[nodes.Node]:
        """What a statement says after the words that bear its name."""
        inside = list(next(cell.findall(nodes.paragraph)))
        return inside[inside.index(named[0]) + 1 :] if named else []

    def counts(self, found: list[nodes.table]) -> nodes.bullet_list:
        """How many rows of each kind a section has; its title leads there."""
        sections: dict[str, list] = {}
        for table in found:
            section = chapter(table)
            kept = sections.setdefault(section["ids"][0], [section[0].astext(), []])
            kept[1] += list(body(table))
        made = nodes.bullet_list(classes=["plain-list", "statement-list"])
        for name, (title, inside) in sections.items():
            link = nodes.reference("", title, refid=name, internal=True)
            counted = [
                f"{number} {word}"
                for word in WHOSE
                if (number := sum(f"whose-{word}" in row["classes"] for row in inside))
            ]
            said = nodes.Text(f": {len(inside)} rows ({', '.join(counted)})")
            made += nodes.list_item("", nodes.paragraph("", "", link, said))
        return made

    def filter(self) -> nodes.raw:
        """An empty box for the script, which is told what the parts are."""
        parts = outline.chapter_parts(self.env)
        told = [[nodes.make_id(f"part-{part.name}"), part.title] for part in parts]
        data = escape(json.dumps(told, ensure_ascii=False))
        box = f'<div class="ledger-filter" data-parts="{data}"></div>'
        return nodes.raw("", box, format="html")


def add_script(app: Sphinx, page: str, template: str, context: dict, doctree) -> None:
    """Load the filter on the page that has a place for it."""
    if BOX.search(context.get("body", "")):
        app.add_js_file("js/ledger.js", loading_method="defer")


def setup(app: Sphinx) -> dict:
    """Register with Sphinx."""
    app.add_node(overview_node)
    app.add_directive("ledger-overview", Overview)
    app.add_post_transform(ShowLedger)
    app.connect("html-page-context", add_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
