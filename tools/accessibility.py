"""What axe-core, an independent checker, finds on a page that shuts readers out.

Formulas are left to MathJax, which gives each of them to screen readers as MathML, and
code is looked at as plain text: its colors are checked by `browse_site.py`, and with a
node for each symbol an analysis takes four times as long. The page is spoiled
afterwards.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

SHOWN = 3  # places of one fault
PREPARE = """() => {
    for (const formula of document.querySelectorAll('mjx-container'))
        formula.replaceWith('x');
    for (const code of document.querySelectorAll('.highlight pre'))
        code.textContent = code.textContent;
}"""
# The whole page by all rules, colors apart; or what stands around the article, by the
# rules of WCAG with colors, for a width and a color scheme.
RUN = """async around => {
    const options = around
        ? {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']}
        : {rules: {'color-contrast': {enabled: false}}};
    const where = around ? {exclude: ['article']} : document;
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
    """Make an open page ready for the analysis."""
    page.evaluate(PREPARE)
    page.evaluate(axe())


def violations(page, around: bool = False) -> list[str]:
    """One line for each rule that a prepared page breaks, or its frame alone."""
    return [
        f"axe: {rule['id']}: {rule['help']}, {len(rule['places'])} times: "
        + ", ".join(rule["places"][:SHOWN])
        for rule in page.evaluate(RUN, around)
    ]
