"""What other sites see of this one, and the color scheme of pages without scripts."""

from __future__ import annotations

import re
import shutil
import sys

import pytest
from docutils import nodes

import browse_site
import check_site
from minihouse import ALLOWED, CHAPTER, FORK, ROOT

sys.path.insert(0, str(ROOT / "_ext"))
import scheme_ext
import share_ext

COLORS = """() => [
    'body', 'h1', '.highlight', '.highlight .kn, .highlight .nn', 'div.admonition',
].flatMap(where => {
    const style = getComputedStyle(document.querySelector(where));
    return [style.color, style.backgroundColor];
})"""
HOME = "https://some.github.io/fork/"
needs_browser = pytest.mark.skipif(
    browse_site.find_browser() is None, reason="no Chromium on this machine"
)


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, None),
        (FORK, HOME),
        ({**FORK, "GITHUB_REPOSITORY": "Some/some.github.io"}, HOME[:-5]),
        ({**FORK, "GITHUB_SERVER_URL": "https://git.example"}, None),
        ({**FORK, "BOOK_SITE_URL": "https://book.example"}, "https://book.example/"),
    ],
)
def test_address_of_the_site_follows_the_environment(variables, url, monkeypatch):
    for name in ("BOOK_SITE_URL", *FORK):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert share_ext.site_url() == url


def test_description_is_the_first_paragraph_in_plain_text():
    formula = nodes.math("", r"\norm{x} \le \sigma^{-2}")
    result = nodes.paragraph("", "", nodes.strong("", "It is "), formula)
    caption = nodes.caption("", "", nodes.paragraph("", "not this"))
    section = nodes.section("", nodes.title("", "T"), caption, result)
    macros = {"norm": (r"\lVert #1 \rVert", 1)}
    document = nodes.document(None, None)
    document += section
    assert share_ext.description(document, macros) == "It is ‖x‖ ≤ σ^−2"
    result += nodes.Text(" and" * share_ext.LONGEST)
    long = share_ext.description(document, macros)
    assert len(long) <= share_ext.LONGEST + 2 and long.endswith(" and …")


def test_published_site_says_where_it_is(published):
    page = (published / f"{CHAPTER}.html").read_text()
    assert f'<link rel="canonical" href="{HOME}{CHAPTER}.html" />' in page
    assert f'property="og:url" content="{HOME}{CHAPTER}.html"' in page
    assert f'property="og:image" content="{HOME}{share_ext.PICTURE}"' in page
    assert (published / share_ext.PICTURE).is_file()
    listed = re.findall("<loc>(.*?)</loc>", (published / "sitemap.xml").read_text())
    assert f"{HOME}{CHAPTER}.html" in listed and f"{HOME}intro.html" in listed
    assert all((published / url.removeprefix(HOME)).is_file() for url in listed)
    assert (published / ".nojekyll").is_file()
    assert check_site.problems(published) == []


def test_site_of_an_unknown_place_makes_up_no_address(built):
    site = built / "_build" / "html"
    assert not (site / "sitemap.xml").exists()
    page = (site / f"{CHAPTER}.html").read_text()
    assert 'property="og:title"' in page and 'name="description"' in page
    for absent in ("canonical", "og:url", "og:image", "github.io"):
        assert absent not in page
    assert "<base" not in (site / "404.html").read_text()


@needs_browser
def test_page_for_the_lost_works_at_any_depth(published, tmp_path, capsys):
    # The gate reads it below the site's root; moved elsewhere it must still find all.
    text = (published / "404.html").read_text()
    assert '<base href="/fork/" />' in text
    style = published / "_static" / "css" / "book.css"
    found = browse_site.published(published, "file:///fork/_static/css/book.css?v=1")
    assert found == style
    assert browse_site.published(published, "file:///fork/nowhere.css") is None
    assert browse_site.published(published, "file:///other/css/book.css") is None
    broken = text.replace('<base href="/fork/" />', '<base href="/other/" />')
    site = tmp_path / "site"
    shutil.copytree(published, site)
    (site / "lost.html").write_text(broken)
    # A chapter's page here has the buttons that one without a repository has not.
    pages = ["404.html", "lost.html", f"{CHAPTER}.html"]
    assert browse_site.main([str(site), *pages, "--jobs", "1", *ALLOWED]) == 1
    said = capsys.readouterr().out.splitlines()
    problems = said[: said.index("Slowest pages:")]
    assert any("Failed to load resource" in line for line in problems)
    assert all(line.startswith(("lost.html", "hint")) for line in problems), problems


def test_rules_for_a_scheme_are_rewritten_for_pages_without_a_mark():
    css = """/* html[data-theme="dark"] a { color: no } */
    @charset "utf-8";
    html[data-theme=dark] a, html[data-theme="light"] b { color: red }
    p { color: blue }
    @media print { html[data-theme="dark"]:is(.a, .b) { x: y } i { z: 0 } }
    @keyframes dark { from { left: 0 } }"""
    assert (
        scheme_ext.unmarked(css, "dark").split()
        == (
            'html[data-theme="auto"] a { color: red } @media print { '
            'html[data-theme="auto"]:is(.a, .b) { x: y } }'
        ).split()
    )
    assert scheme_ext.unmarked(css, "light").split() == (
        'html[data-theme="auto"] b { color: red }'.split()
    )


@needs_browser
def test_pages_without_scripts_follow_the_color_scheme(built):
    from playwright.sync_api import sync_playwright

    address = (built / "_build" / "html" / f"{CHAPTER}.html").as_uri()
    seen = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browse_site.find_browser(), args=browse_site.FLAGS
        )
        for scripts in (True, False):
            for scheme in browse_site.SCHEMES:
                context = browser.new_context(
                    java_script_enabled=scripts, color_scheme=scheme
                )
                page = context.new_page()
                page.goto(address)
                if scripts:
                    browse_site.check(page, "settled", scheme)
                seen[scripts, scheme] = page.evaluate(COLORS)
                context.close()
        browser.close()
    assert seen[True, "dark"] != seen[True, "light"]
    for scheme in browse_site.SCHEMES:
        assert seen[False, scheme] == seen[True, scheme]


@needs_browser
def test_print_of_a_dark_page_is_that_of_a_light_one(built):
    from playwright.sync_api import sync_playwright

    seen = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browse_site.find_browser(), args=browse_site.FLAGS
        )
        for scheme in browse_site.SCHEMES:
            page = browser.new_page(color_scheme=scheme)
            page.goto((built / "_build" / "html" / f"{CHAPTER}.html").as_uri())
            browse_site.check(page, "settled", scheme)
            page.emulate_media(media="print")
            seen.append(page.evaluate(COLORS))
            title = page.locator("article h1").first
            assert title.is_visible() and not page.locator("nav").first.is_visible()
        browser.close()
    assert seen[0] == seen[1]
