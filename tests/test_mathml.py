"""Formulas without scripts: TeX becomes MathML, and a failure is a warning."""

from __future__ import annotations

import re
import sys

import pytest

import browse_site
from minihouse import CHAPTER, MINIBOOK, ROOT, build, lay_out

sys.path.insert(0, str(ROOT / "_ext"))
import mathml_ext

MACROS = mathml_ext.macros(
    {"tex": {"macros": {"R": r"\mathbb{R}", "norm": [r"\lVert #1 \rVert", 1]}}}
)
needs_browser = pytest.mark.skipif(
    browse_site.find_browser() is None, reason="no Chromium on this machine"
)


@pytest.mark.parametrize(
    ("tex", "expanded"),
    [
        (r"x \in \R^d", r"x \in {\mathbb{R}}^d"),
        (r"\Re x", r"\Re x"),
        (r"\norm{x_{1}}", r"{\lVert x_{1} \rVert}"),
        (r"\norm w", r"{\lVert w \rVert}"),
        (r"\norm\alpha", r"{\lVert \alpha \rVert}"),
        (r"\norm{\norm{x}}", r"{\lVert {\lVert x \rVert} \rVert}"),
    ],
)
def test_macros(tex, expanded):
    assert mathml_ext.expand(tex, MACROS) == expanded


def words(mathml):
    return re.sub(r"<[^>]+>", " ", mathml).split()


def test_inline_and_display():
    inline = mathml_ext.translate(r"\(\sigma^2\)", MACROS)
    assert words(inline) == ["&#x003C3;", "2"] and "<msup>" in inline
    shown = mathml_ext.translate(r"\[\begin{split}a &= b \\ &= c\end{split}\]", MACROS)
    assert 'display="block"' in shown and shown.count("<mtr>") == 2
    assert words(shown) == ["a", "&#x0003D;", "b", "&#x0003D;", "c"]
    inner = (
        r"\[\begin{split}\begin{aligned}a &= b \\[1ex] &= c\end{aligned}\end{split}\]"
    )
    assert words(mathml_ext.translate(inner, MACROS)) == words(shown)


def test_long_formulas_are_those_with_many_signs():
    short = mathml_ext.translate(r"\(\sigma^2 = 1\)", MACROS)
    assert mathml_ext.letters(short) == 4
    long = mathml_ext.translate(r"\(" + "+".join("abcdefghijk") + r"\)", MACROS)
    assert mathml_ext.letters(long) == 21 >= mathml_ext.LONG


def test_an_unknown_command_is_refused():
    with pytest.raises(ValueError, match="nonsense"):
        mathml_ext.translate(r"\(\nonsense{x}\)", MACROS)


def test_an_unknown_command_fails_the_build(tmp_path):
    book = tmp_path / "book"
    lay_out(book)
    page = book / "intro.md"
    page.write_text((MINIBOOK / "intro.md").read_text() + "\n\n$\\nonsense x$\n")
    # Without its notebook the chapter is no page of this book.
    (book / "_toc.yml").write_text("format: jb-book\nroot: intro\n")
    result = build(book)
    assert result.returncode != 0 and "no MathML for" in result.stdout + result.stderr


@needs_browser
def test_a_page_without_scripts_shows_formulas_and_no_tex(built):
    from playwright.sync_api import sync_playwright

    page_path = built / "_build" / "html" / f"{CHAPTER}.html"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browse_site.find_browser(), args=browse_site.FLAGS
        )
        page = browser.new_context(java_script_enabled=False).new_page()
        page.goto(page_path.as_uri())
        text = page.inner_text("article")
        formulas = page.locator("article math")
        shown = [formulas.nth(k).is_visible() for k in range(formulas.count())]
        browser.close()
    assert len(shown) > 5 and any(shown)
    assert "\\(" not in text and "\\frac" not in text and "\\sigma" not in text
