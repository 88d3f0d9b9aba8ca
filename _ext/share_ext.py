"""What other sites see of this one: previews of links, a site map, a page for the lost.

Where the site is published follows from the environment, as the repository's address
does: BOOK_SITE_URL, or GitHub Pages of GITHUB_REPOSITORY. Where neither is set, nothing
that needs a full address is written, and none is made up.
"""

from __future__ import annotations

import html
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

sys.path.insert(0, str(Path(__file__).resolve().parent))
import mathml_ext

PICTURE = "_static/social.png"  # drawn by tools/cover.py
SIZE = (1200, 630)
ALT = (
    "One sampler with two scores: with the exact score of twelve training points every "
    "path ends on a training point; with that of their law, paths end along two moons."
)
LONGEST = 300  # characters of a description
LOST = "404"
LOST_PAGE = """<section><h1>This page is not here</h1>
<p>The address leads to nothing in this book; chapters move now and then. What you look
for may be in the <a href="{root}">contents</a>, in the <a href="{index}">index of
statements</a>, or found by the <a href="{search}">search</a>.</p></section>"""
RELATIONS = set("=<>≤≥≈∼→≪≫∈")


def site_url() -> str | None:
    """Where the site is published, with a slash at the end, if that is known."""
    own = os.environ.get("BOOK_SITE_URL")
    if own:
        return own.rstrip("/") + "/"
    server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
    owner, _, name = os.environ.get("GITHUB_REPOSITORY", "").partition("/")
    if not name or server != "https://github.com":
        return None
    host = f"{owner.lower()}.github.io"
    return f"https://{host}/" if name.lower() == host else f"https://{host}/{name}/"


def set_base(app: Sphinx, config: Config) -> None:
    """Tell Sphinx, which then writes canonical addresses."""
    config.html_baseurl = site_url() or ""


def in_words(element: ElementTree.Element) -> str:
    """A formula on one line of plain text."""
    tag = element.tag.rpartition("}")[2]
    parts = [in_words(child) for child in element]
    if tag in ("msup", "msub", "mfrac"):
        sign = {"msup": "^", "msub": "_", "mfrac": "/"}[tag]
        return sign.join(parts)
    text = "".join(parts) or (element.text or "").strip()
    return f" {text} " if text in RELATIONS or text == "log" else text


def plain(node: nodes.Node, macros: dict) -> str:
    """The text of a paragraph, formulas included, without markup."""
    if isinstance(node, nodes.math):
        tree = ElementTree.fromstring(
            mathml_ext.translate(rf"\({node.astext()}\)", macros)
        )
        return " ".join(in_words(tree).split())
    if isinstance(node, nodes.Text):
        return node.astext()
    return "".join(plain(child, macros) for child in node.children)


def description(doctree: nodes.document, macros: dict) -> str:
    """A page's first paragraph, in a chapter its result, cut at a word if long."""
    for paragraph in doctree.findall(nodes.paragraph):
        if not isinstance(paragraph.parent, nodes.section):
            continue  # a reference, a caption
        text = " ".join(plain(paragraph, macros).split())
        if len(text) > LONGEST:
            text = text[:LONGEST].rpartition(" ")[0].rstrip(",;:") + " …"
        return text
    return ""


def add_preview(app: Sphinx, page: str, template: str, context: dict, doctree) -> None:
    """Say what a page is about to those who show a link to it."""
    if doctree is None:
        return
    macros = mathml_ext.macros(app.config.mathjax3_config or {})
    about = description(doctree, macros)
    title = next(doctree.findall(nodes.title)).astext()
    tags = {"og:type": "article", "og:site_name": app.config.project}
    tags |= {"og:title": title, "og:description": about}
    base = app.config.html_baseurl
    if base:
        tags |= {"og:url": f"{base}{page}.html", "og:image": base + PICTURE}
        tags |= {"og:image:width": str(SIZE[0]), "og:image:height": str(SIZE[1])}
        tags |= {"og:image:alt": ALT}
    named = {"description": about} if about else {}
    named |= {"twitter:card": "summary_large_image"} if base else {}
    lines = [
        f'<meta {kind}="{name}" content="{html.escape(value)}" />\n'
        for kind, group in (("name", named), ("property", tags))
        for name, value in group.items()
        if value
    ]
    context["metatags"] = context.get("metatags", "") + "".join(lines)


def add_lost_page(app: Sphinx) -> Iterator[tuple[str, dict, str]]:
    """The page that GitHub Pages shows for an address that leads nowhere."""
    pages = {"root": app.config.root_doc, "index": "statements", "search": "search"}
    addresses = {k: app.builder.get_target_uri(p) for k, p in pages.items()}
    context = {"title": "Not here", "body": LOST_PAGE.format(**addresses)}
    yield LOST, context, "page.html"


def set_lost_base(app: Sphinx, page: str, template: str, context: dict, _) -> None:
    """It is shown at any depth: all its addresses are taken from the site's root."""
    if page == LOST and app.config.html_baseurl:
        root = urlsplit(app.config.html_baseurl).path
        base = f'<base href="{html.escape(root)}" />\n'
        context["metatags"] = base + context.get("metatags", "")


def write_site_map(app: Sphinx, error: Exception | None) -> None:
    """List all pages for search engines; let GitHub serve the files as they are."""
    if error or app.builder.name != "html":
        return
    target = Path(app.outdir)
    (target / ".nojekyll").touch()
    base = app.config.html_baseurl
    if base:
        pages = sorted(app.env.found_docs)
        rows = [f"<url><loc>{html.escape(base + p)}.html</loc></url>\n" for p in pages]
        space = "http://www.sitemaps.org/schemas/sitemap/0.9"
        text = f'<?xml version="1.0" encoding="utf-8"?>\n<urlset xmlns="{space}">\n'
        (target / "sitemap.xml").write_text(f"{text}{''.join(rows)}</urlset>\n")


def setup(app: Sphinx) -> dict:
    """Register with Sphinx; the base of the lost page comes before all addresses."""
    app.connect("config-inited", set_base)
    app.connect("html-collect-pages", add_lost_page)
    app.connect("html-page-context", add_preview)
    app.connect("html-page-context", set_lost_base, priority=900)
    app.connect("build-finished", write_site_map)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
