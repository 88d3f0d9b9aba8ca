"""What axe-core, an independent checker, finds on a page that shuts readers out.

Formulas are left to MathJax, which gives each of them to screen readers as MathML, and
code is looked at as plain text: the colors of both are checked by `browse_site.py`, and
with a node for each symbol an analysis takes four times as long.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

SHOWN = 3  # places of one fault
PREPARE = """() => {
    for (const folded of document.querySelectorAll('details')) folded.open = true;
    for (const folded of document.querySelectorAll('.toggle-hidden'))
        folded.classList.remove('toggle-hidden');
    for (const code of document.querySelectorAll('.highlight pre'))
        code.textContent = code.textContent;
}"""
DROP_ARTICLE = """() => {
    for (const article of document.querySelectorAll('article'))
        article.replaceChildren(...article.querySelectorAll('h1'));
}"""
RUN = """async ([where, options]) => {
    const {violations} = await axe.run(
        where, {resultTypes: ['violations'], preload: false, ...options});
    return violations.map(({id, help, nodes}) => ({
        id, help, places: nodes.map(node => node.target.join(' ')),
    }));
}"""


@cache
def axe() -> str:
    """The script of axe-core, from the Python package that carries it."""
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


def prepare(page) -> None:
    """Make an open page ready for the analysis: with all unfolded, and code as text."""
    page.evaluate(PREPARE)
    page.evaluate(axe())


def whole(page) -> list[str]:
    """What is wrong by any rule but that of colors, which `browse_site.py` checks."""
    return violations(page, {}, {"rules": {"color-contrast": {"enabled": False}}})


def drop_article(page) -> None:
    """Leave the frame of a page, and nothing in it but the title."""
    page.evaluate(DROP_ARTICLE)


def frame(page) -> list[str]:
    """What is wrong around the article by the rules of WCAG, colors included."""
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
    return violations(page, {"exclude": ["article"]}, {"runOnly": rules})


def violations(page, where: dict, options: dict) -> list[str]:
    """One line for each rule that a prepared page breaks."""
    return [
        f"axe: {rule['id']}: {rule['help']}, {len(rule['places'])} times: "
        + ", ".join(rule["places"][:SHOWN])
        for rule in page.evaluate(RUN, [where or "html", options])
    ]
