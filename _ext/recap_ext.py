"""At the foot of a page, what its neighbors found: their bold sentences, not copied.

The result of a chapter is the bold sentence under its title. The template beside this
file shows it with the links to the previous and to the next page.
"""

from __future__ import annotations

import outline
from docutils import nodes
from sphinx.application import Sphinx


class Results(outline.PerPage):
    """The bold sentence under the title of each page, if it has one."""

    name = "results"

    def find(self, env, doctree: nodes.document) -> list[nodes.Node]:
        title = next(doctree.findall(nodes.title), None)
        after = title and title.next_node(descend=False, siblings=True)
        if not isinstance(after, nodes.paragraph):
            return []
        inside = [child for child in after if child.astext()]
        if len(inside) != 1 or not isinstance(inside[0], nodes.strong):
            return []
        return outline.copied(inside[0].children, env.docname)


def neighbors(app: Sphinx, page: str) -> dict[str, str]:
    """The pages before and after a page."""
    _, before, after = app.builder.relations.get(page, (None, None, None))
    return {"prev": before, "next": after}


def add_recaps(app: Sphinx, page: str, template: str, context: dict, doctree) -> None:
    """Hand the neighbors' results to the template."""
    if doctree is None or app.builder.name == "singlehtml":
        return
    for side, other in neighbors(app, page).items():
        result = Results.all(app.env).get(other, [])
        if result and outline.chapter_number(app.env, other):
            made = nodes.inline("", "", *outline.copied(result, page))
            if list(made.findall(nodes.math)):
                outline.show_formulas(app.env, page)
            context[f"recap_of_{side}"] = app.builder.render_partial(made)["fragment"]


def setup(app: Sphinx) -> dict:
    """Register with Sphinx."""
    app.add_env_collector(Results)
    app.connect("html-page-context", add_recaps, priority=400)  # before MathJax
    return {"parallel_read_safe": True, "parallel_write_safe": True}
