"""Formulas for readers without scripts: MathML beside the TeX that MathJax reads.

MathJax sets the formulas where scripts run. Where they do not, the TeX is hidden by the
style sheet and the browser shows the MathML, which is made here, when the book is
built. A formula that cannot be translated is a warning, and so fails the build.

A formula in the text cannot break. Long ones are marked, so that the style sheet lets
them scroll where they are wider than the line.
"""

from __future__ import annotations

import html
import re
from functools import cache

from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)
FORMULA = re.compile(
    r'(?P<open><(?P<tag>span|div) class="[^"]*\bmath\b[^"]*"[^>]*>)'
    r"(?P<before>\s*(?:<span class=\"eqno\">.*?</span>)?\s*)"
    r"(?P<tex>\\\(.*?\\\)|\\\[.*?\\\]|\\begin\{.*?)(?P<close></(?P=tag)>)",
    re.DOTALL,
)
PARTS = ("body", "recap_of_prev", "recap_of_next")  # of a page, with formulas in them
# Large delimiters are known by fewer names than delimiters are.
BARS = {r"\\(lVert|rVert)": r"\\|", r"\\(lvert|rvert)": "|"}
# Environments under names that the translator knows.
ENVIRONMENTS = {"aligned": "align*", "gathered": "matrix"}
NUMBERED = re.compile(r"\\(?:label|tag|nonumber|notag)\b(?:\{[^}]*\})?")
LONG = 20  # signs of a formula in the text that may be wider than a phone
UNKNOWN = re.compile(r"<m[ion][^>]*>\s*(\\[a-zA-Z]+|&(?=<))")


def macros(config: dict) -> dict[str, tuple[str, int]]:
    """The book's TeX macros: name, replacement and number of arguments."""
    given = config.get("tex", {}).get("macros", {})
    return {k: (v, 0) if isinstance(v, str) else (v[0], v[1]) for k, v in given.items()}


def argument(tex: str, start: int) -> tuple[str, int]:
    """The argument of a macro that begins at or after ``start``, and where it ends."""
    while tex[start].isspace():
        start += 1
    if tex[start] != "{":
        word = re.match(r"\\[a-zA-Z]+|\\.|.", tex[start:], re.DOTALL)[0]
        return word, start + len(word)
    depth = 0
    for k in range(start, len(tex)):
        depth += {"{": 1, "}": -1}.get(tex[k], 0) * (tex[k - 1] != "\\")
        if depth == 0:
            return tex[start + 1 : k], k + 1
    raise ValueError("a brace is not closed")


def expand(tex: str, known: dict[str, tuple[str, int]]) -> str:
    """Replace the book's macros by what they stand for."""
    pattern = re.compile(r"\\(" + "|".join(map(re.escape, known)) + r")(?![a-zA-Z])")
    while known and (match := pattern.search(tex)):
        body, count = known[match[1]]
        end = match.end()
        for k in range(1, count + 1):
            given, end = argument(tex, end)
            body = body.replace(f"#{k}", given)
        whole = body if body.startswith("^") else f"{{{body}}}"
        tex = tex[: match.start()] + whole + tex[end:]
    return tex


def translate(tex: str, known: dict[str, tuple[str, int]]) -> str:
    """A formula in MathML; ``tex`` with its delimiters, as Sphinx writes it."""
    display = not tex.startswith(r"\(")
    inside = re.sub(r"^\\[(\[]|\\[)\]]$", "", tex.strip())
    inside = NUMBERED.sub("", inside)
    # Sphinx puts `split` around a formula of several lines, ours have `aligned` inside.
    around = re.fullmatch(r"\s*\\begin\{split\}(.*)\\end\{split\}\s*", inside, re.S)
    inside = around[1] if around and r"\begin{aligned}" in inside else inside
    for name, known_name in ENVIRONMENTS.items():
        pattern = rf"\\(begin|end)\{{{name}\}}"
        inside = re.sub(pattern, rf"\\\1{{{known_name}}}", inside)
    inside = re.sub(r"\\\\\[[^\]]*\]", r"\\\\", inside)  # no extra space after a line
    inside = expand(inside, known)
    for name, bar in BARS.items():
        inside = re.sub(rf"(\\[bB]ig+[lr]?\s*){name}", rf"\g<1>{bar}", inside)
    result = convert(inside, display="block" if display else "inline")
    if unknown := UNKNOWN.search(result):
        raise ValueError(f"{unknown[1]} is not known")
    return result


def letters(mathml: str) -> int:
    """How many signs a formula has."""
    return len("".join(html.unescape(re.sub(r"<[^>]+>", "", mathml)).split()))


def add_mathml(app: Sphinx, page: str, template: str, context: dict, doctree) -> None:
    """Put MathML into every formula of a page."""
    known = macros(app.config.mathjax3_config or {})

    @cache
    def mathml(tex: str) -> str:
        try:
            return translate(html.unescape(tex), known)
        except Exception as error:  # the library raises many kinds
            logger.warning(
                "no MathML for %s (%s: %s)",
                tex,
                type(error).__name__,
                error,
                location=page,
                type="book",
                subtype="mathml",
            )
            return ""

    def both(match: re.Match) -> str:
        tex = match["tex"].strip()
        shown = f'<span class="tex">{match["tex"]}</span>'
        plain = f"<noscript>{mathml(tex)}</noscript>"
        opened = match["open"]
        if match["tag"] == "span" and letters(mathml(tex)) >= LONG:
            opened = opened.replace('class="', 'class="long ', 1)
        return opened + match["before"] + shown + plain + match["close"]

    for part in PARTS:
        if context.get(part):
            context[part] = FORMULA.sub(both, context[part])


def setup(app: Sphinx) -> dict:
    """Register with Sphinx, after all else that looks at formulas."""
    app.connect("html-page-context", add_mathml, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
