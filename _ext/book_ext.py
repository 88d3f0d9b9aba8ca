"""What the book needs from Sphinx beyond its extensions.

- MathJax is copied into the site, so that no other host is asked for it.
- The repository's address follows the environment, so that forks link to themselves
  and no address is made up.
- An image without alternative text is a warning, and a warning fails the build.
- No line begins with the full stop of a formula.
- Long proofs fold; identifiers that extensions write twice are dropped.
- Captions of parts in the sidebar bear the numeral by which the text refers to them.
- Roles and landmarks that screen readers go by, where docutils and the theme miss them.
- The one-page build (for printing) gets the handlers that some extensions forget.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from pathlib import Path

import outline
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging
from sphinx_proof.nodes import proof_node

logger = logging.getLogger(__name__)
MATHJAX_PARTS = ("tex-chtml-full.js", "output/chtml/fonts/woff-v2")
MIN_ALT = 20


def repository_url() -> str | None:
    """The repository's address as the environment gives it, if it does."""
    own = os.environ.get("BOOK_REPOSITORY_URL")
    server = os.environ.get("GITHUB_SERVER_URL")
    name = os.environ.get("GITHUB_REPOSITORY")
    return own or (f"{server}/{name}" if server and name else None)


def set_repository(app: Sphinx, config: Config) -> None:
    """Let the pages' buttons lead to the repository; without one there are none."""
    options = config.html_theme_options
    options["repository_url"] = url = repository_url() or ""
    options["use_repository_button"] = options["use_issues_button"] = bool(url)
    if not url:
        options["launch_buttons"] = {}


def copy_mathjax(app: Sphinx) -> None:
    """Copy MathJax and its fonts (1.7 MB) from the Python package into the site."""
    if app.builder.format != "html":
        return
    spec = importlib.util.find_spec("sphinx-mathjax-offline")
    if spec is None:
        raise RuntimeError("MathJax not found: pip install sphinx-mathjax-offline")
    source = Path(spec.origin).parent / "static" / "mathjax"
    target = Path(app.outdir) / "_static" / "mathjax"
    for part in MATHJAX_PARTS:
        if (target / part).exists():
            continue
        (target / part).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (source / part).is_dir() else shutil.copy2
        copy(source / part, target / part)


def check_alt_texts(app: Sphinx, doctree: nodes.document) -> None:
    """Warn of every image whose alternative text is missing, or is only its path."""
    for image in doctree.findall(nodes.image):
        alt = image.get("alt", "").strip()
        if len(alt) < MIN_ALT or alt == image.get("uri"):
            logger.warning(
                "image %s without alternative text (at least %d characters)",
                image.get("uri"),
                MIN_ALT,
                location=image,
                type="book",
                subtype="alt",
            )


def number_parts(app: Sphinx, doctree: nodes.document) -> None:
    """Put the numeral of each part before its caption in the sidebar."""
    titles = {part.caption: part.title for part in outline.parts(app.env)}
    for tree in doctree.findall(addnodes.toctree):
        tree["caption"] = titles.get(tree.get("caption"), tree.get("caption"))


def fold_proofs(app: Sphinx, doctree: nodes.document) -> None:
    """Fold a proof of class `dropdown` with plain HTML, and set off the word Proof.

    sphinx-proof gives a proof no title, on which sphinx-togglebutton stumbles.
    """
    for proof in list(doctree.findall(proof_node)):
        box = proof.children[0]
        first = next(box.findall(nodes.Text), None)
        if first is not None and first.startswith("Proof. "):
            rest = nodes.Text(first[len("Proof. ") :])
            folded = "dropdown" in box["classes"]
            word = [] if folded else [nodes.emphasis("", "Proof."), nodes.Text(" ")]
            first.parent.replace(first, [*word, rest])
        if "dropdown" in box["classes"]:
            start = '<details class="proof-details"><summary>Proof</summary>'
            opened = nodes.raw("", start, format="html")
            closed = nodes.raw("", "</details>", format="html")
            proof.replace_self([opened, *box.children, closed])


def single_ids(app: Sphinx, page: str, template: str, context: dict, doctree) -> None:
    """Drop the identifiers that sphinx-proof and sphinx-exercise give to every box."""
    body = context.get("body")
    if body:
        body = re.sub(r' id="(?:proof|exercise|solution)-content"', "", body)
        context["body"] = re.sub(r'(<div class="proof [^"]*") id="proof"', r"\1", body)


def set_roles(app: Sphinx, page: str, template: str, context: dict, doctree) -> None:
    """Make references the items of their list, and empty corners of tables no headings.

    Docutils gives references a role that is deprecated and allowed on no such element.
    """
    body = context.get("body")
    if body:
        body = body.replace('role="doc-biblioentry"', 'role="listitem"')
        context["body"] = re.sub(r"<th[^>]*>(<p></p>)?</th>", "<td></td>", body)


def add_templates(app: Sphinx, config: Config) -> None:
    """Use the templates beside this file in place of the theme's."""
    config.templates_path.append(str(Path(__file__).parent / "templates"))


INLINE_MATH = r'<span class="math [^"]*">\\\([^<]*\\\)</span>'
BOUND = re.compile(rf"([(\[“‘]?)({INLINE_MATH})((?:[.,;:!?)\]”’]|[-–][\w]+)+|)")


def bind_punctuation(app: Sphinx, page: str, template: str, context: dict, _) -> None:
    """Keep a formula and the punctuation at its sides on one line."""

    def bound(match: re.Match) -> str:
        if not match[1] and not match[3]:
            return match[0]
        return f'<span class="together">{match[0]}</span>'

    if context.get("body"):
        context["body"] = BOUND.sub(bound, context["body"])


def share_handlers(app: Sphinx) -> None:
    """Give singlehtml and epub the node handlers that were registered for html only."""
    handlers = app.registry.translation_handlers
    for builder in ("singlehtml", "epub"):
        for name, pair in handlers.get("html", {}).items():
            handlers.setdefault(builder, {}).setdefault(name, pair)


def setup(app: Sphinx) -> dict:
    """Register with Sphinx."""
    app.connect("config-inited", set_repository, priority=100)
    app.connect("config-inited", add_templates)
    app.connect("builder-inited", copy_mathjax)
    app.connect("builder-inited", share_handlers)
    app.connect("doctree-read", check_alt_texts)
    app.connect("doctree-read", fold_proofs)
    app.connect("doctree-read", number_parts, priority=900)  # once they are there
    app.connect("html-page-context", single_ids)
    app.connect("html-page-context", set_roles)
    app.connect("html-page-context", bind_punctuation)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
