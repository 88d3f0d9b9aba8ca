"""Interactive figures: the directive ``{lab} NAME``, and the scripts that it needs.

The directive leaves a box in the page, with its content in it, which says what the lab
shows; the scripts of ``static/js`` turn the box into the lab. Where scripts are off,
in print and in other formats, the content stays, or the box is left out.
"""

from __future__ import annotations

import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

FRAME = ("js/scores.js", "js/labs.js")
BOX = re.compile(r'class="lab" data-lab="(\w+)"')


class lab_node(nodes.General, nodes.Element):
    """The box of one lab."""


def script(name: str) -> str:
    """The path of a lab's own script, below the static folder."""
    return f"js/lab_{name}.js"


class Lab(SphinxDirective):
    """``{lab} NAME``, with text for readers without scripts as its content."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        folders = [Path(self.env.srcdir) / p for p in self.config.html_static_path]
        known = sorted(
            p.stem.removeprefix("lab_")
            for folder in folders
            for p in folder.glob(script("*"))
        )
        if name not in known:
            raise self.error(f"no lab {name!r}; there are {', '.join(known)}")
        self.assert_has_content()
        box = lab_node(name=name)
        self.state.nested_parse(self.content, self.content_offset, box)
        return [box]


def open_box(translator, node: lab_node) -> None:
    translator.body.append(
        f'<div class="lab" data-lab="{node["name"]}"><div class="lab-without">'
    )


def close_box(translator, node: lab_node) -> None:
    translator.body.append("</div></div>\n")


def leave_out(translator, node: lab_node) -> None:
    raise nodes.SkipNode


def add_scripts(app: Sphinx, page: str, template: str, context: dict, doctree) -> None:
    """Load the frame and the labs' own scripts on the pages that have one."""
    names = list(dict.fromkeys(BOX.findall(context.get("body", ""))))
    for path in (*FRAME, *map(script, names)) if names else ():
        app.add_js_file(path, loading_method="defer")


def setup(app: Sphinx) -> dict:
    """Register with Sphinx."""
    app.add_directive("lab", Lab)
    shown, left_out = (open_box, close_box), (leave_out, None)
    app.add_node(lab_node, html=shown, latex=left_out, text=left_out, epub=left_out)
    app.connect("html-page-context", add_scripts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
