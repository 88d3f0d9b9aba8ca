"""The index of statements: ``{statement-list}`` lists each with its title and content.

It takes the place of the index that sphinx-proof makes, which shows labels only. A
statement without a title, or of which no words can be shown, is a warning, and a
warning fails the build.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import outline
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)
PLURALS = {"corollary": "corollaries"}
LEAST, MOST = 90, 360  # characters of a statement that are shown
WIDEST = 38  # of a formula, for the width of a phone


@dataclass(frozen=True)
class Statement:
    """A theorem, lemma, definition and so on."""

    label: str
    kind: str
    title: tuple[nodes.Node, ...]
    content: tuple[nodes.Node, ...]


def inline(block: nodes.math_block) -> nodes.Node:
    """A displayed formula within a line, or dots if it has no room in one."""
    rows = re.sub(r"\\(?:begin|end)\{(?:aligned|split|gathered)\}", "", block.astext())
    line = re.sub(r"\\\\(?:\[[^]]*\])?|(?<!\\)&|\\q?quad\b|\s+", " ", rows).strip()
    fits = "\\begin" not in line and shown(line) <= WIDEST
    return nodes.math("", line) if fits else nodes.Text("…")


def flow(box: nodes.Element) -> list[nodes.Node]:
    """What a statement says, its formulas and lists within one line."""
    made: list[nodes.Node] = []
    for node in box.findall(
        lambda n: isinstance(n, nodes.paragraph | nodes.math_block)
    ):
        made += [nodes.Text(" ")] if made else []
        made += [inline(node)] if isinstance(node, nodes.math_block) else node.children
    return made


def shown(text: str) -> int:
    """About how many characters a formula or a reference takes on the page."""
    return len(re.sub(r"\\[a-zA-Z]+|[{}^_\\]", "x", text)) // 2


def begins(given: list[nodes.Node]) -> list[nodes.Node]:
    """The first sentences, until there is enough; cut where one is very long."""
    taken: list[nodes.Node] = []
    length = 0
    for node in given:
        if node.astext() == "…":
            return [*taken, node]
        text = str(node) if isinstance(node, nodes.Text) else ""
        for end in outline.SENTENCE_END.finditer(text):
            if length + end.end() >= LEAST:
                return [*taken, nodes.Text(text[: end.end()])]
        length += len(text) or shown(node.astext())
        if length > MOST:
            cut = text[: max(0, len(text) - (length - MOST))].rpartition(" ")[0]
            return [*taken, nodes.Text(f"{cut} …")]
        taken.append(node)
    return taken


def bare(title: nodes.title) -> list[nodes.Node]:
    """A title without the parentheses that sphinx-proof puts around it."""
    inside = [node.deepcopy() for node in title.children if node.astext()]
    if inside and isinstance(inside[0], nodes.Text):
        inside[0] = nodes.Text(inside[0].lstrip().removeprefix("("))
    if inside and isinstance(inside[-1], nodes.Text):
        inside[-1] = nodes.Text(inside[-1].removesuffix(")"))
    return [node for node in inside if node.astext()]


def read(node: nodes.Element) -> Statement:
    """A statement, as far as the index needs it."""
    title = bare(node[0])
    said = [part for child in node.children[1:] for part in flow(child)]
    content = begins([part.deepcopy() for part in said])
    for have, what in ((title, "title"), (content, "words of its own")):
        if not have:
            complain(node, what)
    return Statement(node["label"], node["realtype"], tuple(title), tuple(content))


def complain(node: nodes.Element, what: str) -> None:
    """A warning, for the build to fail on."""
    logger.warning(
        "%s %s has no %s",
        node["realtype"],
        node["label"],
        what,
        location=node,
        type="book",
        subtype="statement",
    )


class Statements(outline.PerPage):
    """All statements of each page, in order."""

    name = "statements"

    def find(self, env, doctree: nodes.document) -> list[Statement]:
        found = doctree.findall(nodes.Element)
        return [read(node) for node in found if node.get("realtype")]


class statement_list_node(nodes.General, nodes.Element):
    """The place of the statements of one chapter, or of their count."""


class StatementList(SphinxDirective):
    """``{statement-list}``: how many there are, and a section for each part."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()  # it shows what other pages say
        made: list[nodes.Node] = [statement_list_node(page="")]
        for part in outline.chapter_parts(self.env):
            places = [statement_list_node(page=page) for page in part.pages]
            made.append(outline.section(self, part.title, part.name, places))
        return made


class FillStatements(outline.Fill):
    """Writes the index."""

    place = statement_list_node

    def make(self, place: nodes.Element) -> list[nodes.Node]:
        known = Statements.all(self.env)
        if not place["page"]:
            return [self.counts([s for page in known.values() for s in page])]
        have, here = known.get(place["page"], []), self.env.docname
        if not have:
            return []
        title = outline.chapter_link(self.env, place["page"], here)
        made = nodes.bullet_list(classes=["plain-list", "statement-list"])
        for statement in have:
            line = nodes.paragraph()
            line += outline.label_link("prf", "ref", statement.label, here)
            named = nodes.strong("", "", *outline.copied(statement.title, here))
            line += [nodes.Text(" "), named]
            content = nodes.paragraph("", "", *outline.copied(statement.content, here))
            made += nodes.list_item("", line, content)
        return [nodes.rubric("", "", title), made]

    def counts(self, statements: list[Statement]) -> nodes.paragraph:
        """How many there are of each kind, the most frequent first."""
        count = Counter(statement.kind for statement in statements)
        words = [
            f"{number} {PLURALS.get(kind, kind + 's') if number > 1 else kind}"
            for kind, number in sorted(count.items(), key=lambda item: -item[1])
        ]
        text = ", ".join(words[:-1]) + (" and " if words[1:] else "") + words[-1]
        return nodes.paragraph("", f"There are {text}.")


def setup(app: Sphinx) -> dict:
    """Register with Sphinx."""
    app.add_node(statement_list_node)
    app.add_directive("statement-list", StatementList)
    app.add_env_collector(Statements)
    app.add_post_transform(FillStatements)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
