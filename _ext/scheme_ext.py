"""The reader's color scheme where scripts are off.

The theme's script marks a page as light or dark, and all style sheets color by that
mark. Until it has run, and where it never does, the page is marked `auto`. One more
style sheet is made here from theirs: each rule for a light or a dark page once more,
for a page marked `auto` on a system of that scheme. In print the rules for light pages
hold on all pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from sphinx.application import Sphinx

SHEETS = (  # in the order in which pages load them
    "styles/theme.css",
    "styles/pydata-sphinx-theme.css",
    "pygments.css",
    "styles/sphinx-book-theme.css",
    "css/book.css",
)
TARGET = "css/auto.css"
AUTO = '[data-theme="auto"]'
ALWAYS = "[data-theme][data-theme]"  # twice, to outweigh the rules for dark pages
MARK = re.compile(r"\[data-theme=[\"']?(light|dark)[\"']?\]")
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def rules(css: str) -> Iterator[tuple[str, str]]:
    """The rules of a style sheet: what stands before the braces, and in them."""
    depth, start = 0, 0
    head = ""
    for match in re.finditer(r"[{};]", css):
        if match[0] == "{":
            if depth == 0:
                head, start = css[start : match.start()].strip(), match.end()
            depth += 1
        elif match[0] == "}":
            depth -= 1
            if depth == 0:
                yield head, css[start : match.start()]
                start = match.end()
        elif depth == 0:  # an @import or @charset
            start = match.end()


def selectors(head: str) -> list[str]:
    """Split a list of selectors at its outer commas."""
    parts, depth = [""], 0
    for letter in head:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def unmarked(css: str, scheme: str, mark: str = AUTO) -> str:
    """The rules of a style sheet for one scheme, rewritten for pages marked `auto`."""
    kept = []
    for head, body in rules(COMMENT.sub("", css)):
        if head.startswith("@"):
            media = head.startswith("@media")
            inside = unmarked(body, scheme, mark) if media else ""
            kept += [f"{head} {{\n{inside}}}\n"] if inside else []
            continue
        fitting = [s for s in selectors(head) if scheme in MARK.findall(s)]
        if fitting:
            names = [MARK.sub(mark, s) for s in fitting]
            kept.append(f"{', '.join(names)} {{{body}}}\n")
    return "".join(kept)


def write_sheet(app: Sphinx, error: Exception | None) -> None:
    """Make the style sheet from those that lie in the built site."""
    static = Path(app.outdir) / "_static"
    if error or app.builder.format != "html" or not static.is_dir():
        return
    sheets = [(static / s).read_text("utf-8") for s in SHEETS if (static / s).exists()]
    text = ""
    for scheme in ("light", "dark"):
        inside = "".join(unmarked(css, scheme) for css in sheets)
        text += f"@media (prefers-color-scheme: {scheme}) {{\n{inside}}}\n"
    inside = "".join(unmarked(css, "light", ALWAYS) for css in sheets)
    text += f"@media print {{\n{inside}}}\n"
    (static / TARGET).parent.mkdir(exist_ok=True)
    (static / TARGET).write_text(text, encoding="utf-8")


def link_sheet(app: Sphinx, page: str, template: str, context: dict, doctree) -> None:
    """Load the style sheet on every page, after all others."""
    address = context["pathto"](f"_static/{TARGET}", resource=True)
    link = f'<link rel="stylesheet" href="{address}" />\n'
    context["metatags"] = context.get("metatags", "") + link


def setup(app: Sphinx) -> dict:
    """Register with Sphinx, after the theme has written its own style sheets."""
    app.connect("html-page-context", link_sheet)
    app.connect("build-finished", write_sheet, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
