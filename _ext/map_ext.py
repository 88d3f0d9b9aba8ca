"""The map of the chapters: ``{chapter-map}`` on the front page, made of links.

A row is a chapter, an arc joins it to a chapter that it needs, a letter is a paper
whose claims it treats. What a chapter needs is read from its list *You need*, what it
treats from the ledger, so the map follows the book. It is drawn by the style sheet
alone: it works without scripts, in print, on a phone, and reads as a list where nothing
is drawn. The content of the directive has a line for each part: the question it asks.
"""

from __future__ import annotations

import outline
import papers_ext
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)
HEADS = ("You need", "What you need")


def needed_labels(doctree: nodes.document) -> list[str]:
    """The labels to which a chapter's list of what one needs refers."""
    for head in doctree.findall(nodes.strong):
        if head.astext() in HEADS:
            after = head.parent.parent[head.parent.parent.index(head.parent) + 1 :]
            inside = [
                x for node in after[:1] for x in node.findall(addnodes.pending_xref)
            ]
            return [node["reftarget"] for node in inside]
    return []


class Needs(outline.PerPage):
    """What each page says that one needs, as labels."""

    name = "needs"

    def find(self, env, doctree: nodes.document) -> list[str]:
        return needed_labels(doctree)


def needs(env, pages: list[str]) -> dict[str, set[str]]:
    """The chapters that each chapter needs."""
    found = {}
    for page in pages:
        labels = Needs.all(env).get(page, [])
        places = {outline.label_page(env, label) for label in labels}
        found[page] = places.intersection(pages) - {page}
    return found


def direct(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """The graph without what follows from the rest of it."""

    def behind(page: str, seen: set[str]) -> set[str]:
        for other in graph[page] - seen:
            seen = behind(other, seen | {other})
        return seen

    return {
        page: {
            other
            for other in others
            if not any(other in behind(via, set()) for via in others - {other})
        }
        for page, others in graph.items()
    }


class chapter_map_node(nodes.General, nodes.Element):
    """The place of the map."""


class ChapterMap(SphinxDirective):
    """``{chapter-map}``, with the question of each part as its content."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()  # it shows what other pages say
        questions = [line for line in self.content if line.strip()]
        number = len(outline.main_parts(self.env))
        if len(questions) != number:
            raise self.error(f"{len(questions)} questions for {number} parts")
        place = chapter_map_node(questions=questions)
        self.set_source_info(place)
        return [place]


class box(nodes.General, nodes.Element):
    """An HTML element; in other formats its content stands for itself."""


def visit_box(translator, node: box) -> None:
    attributes = dict(node.get("attributes", {}))
    translator.body.append(translator.starttag(node, node["tag"], "", **attributes))


def depart_box(translator, node: box) -> None:
    translator.body.append(f"</{node['tag']}>")


def pass_over(translator, node: box) -> None:
    """In other formats the content stands for itself."""


def element(tag: str, kind: str, *inside: nodes.Node, **attributes: str) -> box:
    return box("", *inside, tag=tag, classes=[kind], attributes=attributes)


class FillMap(outline.Fill):
    """Draws the map: a grid with a line for each part and each chapter."""

    place = chapter_map_node

    def make(self, place: nodes.Element) -> list[nodes.Node]:
        env, parts = self.env, outline.main_parts(self.env)
        pages = [page for part in parts for page in part.pages]
        joined = direct(needs(env, pages))
        lines = [name for part in parts for name in (part.title, *part.pages)]
        line = {name: k for k, name in enumerate(lines, start=1)}
        spans = [abs(line[p] - line[o]) for p in pages for o in joined[p]]
        rows = element("div", "map-rows")
        for part, question in zip(parts, place["questions"], strict=True):
            title = element("span", "map-title", nodes.Text(part.title))
            asked = element("span", "map-question", nodes.Text(question))
            head = element("div", "map-part", title, nodes.Text(" "), asked)
            rows += placed(head, f"{line[part.title]}")
            for page in part.pages:
                rows += placed(self.row(page, joined[page]), f"{line[page]}")
                for other in sorted(joined[page], key=line.get):
                    rows += arc(line[page], line[other], max(spans))
        made = element("nav", "chapter-map", self.legend(pages), rows)
        made["attributes"]["aria-label"] = "Map of the chapters"
        return [made]

    def row(self, page: str, needed: set[str]) -> box:
        """A chapter: its title, what it needs in words, its papers."""
        title = outline.chapter_link(self.env, page, self.env.docname)
        line = nodes.paragraph("", "", title)
        numbers = sorted(int(outline.chapter_number(self.env, o)) for o in needed)
        if numbers:
            words = f" (needs {' and '.join(map(str, numbers))})"
            line += element("span", "map-words", nodes.Text(words))
        papers = [letter(paper) for paper in papers_ext.treated(self.env, page)]
        return element("div", "map-row", line, *papers)

    def legend(self, pages: list[str]) -> box:
        """Which letter is which paper."""
        found = [p for page in pages for p in papers_ext.treated(self.env, page)]
        made = element("p", "map-legend")
        for paper in dict.fromkeys(found):
            key = letter(paper)
            key["attributes"]["aria-hidden"] = "true"
            made += element("span", "map-key", key, nodes.Text(f" {paper}"))
            made += nodes.Text(" ")
        return made


def placed(made: box, lines: str) -> box:
    """An element on given lines of the grid."""
    made["attributes"]["style"] = f"grid-row: {lines}"
    return made


def arc(line: int, other: int, longest: int) -> box:
    """An arc from a chapter to one that it needs: up or, dashed, down."""
    made = element("span", "map-arc" if other < line else "map-arc-ahead")
    made["attributes"]["aria-hidden"] = "true"
    first, last = sorted((line, other))
    reach = ((last - first) / longest) ** 0.6
    return placed(made, f"{first} / {last}; --reach: {reach:.3f}")


def letter(paper: str) -> box:
    """The initial of a paper's first author, and the rest for those who listen."""
    made = element("span", "map-paper", nodes.Text(paper[0]), title=paper)
    made["classes"].append(f"paper-{paper[0].lower()}")
    made += element("span", "map-words", nodes.Text(paper[1:]))
    return made


def setup(app: Sphinx) -> dict:
    """Register with Sphinx."""
    shown, words = (visit_box, depart_box), (pass_over, pass_over)
    app.add_node(chapter_map_node)
    app.add_node(box, html=shown, latex=words, text=words, epub=shown)
    app.add_directive("chapter-map", ChapterMap)
    app.add_env_collector(Needs)
    app.add_post_transform(FillMap)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
