"""The checks of the built site: clean on the small book, and each of them can fail."""

from __future__ import annotations

from pathlib import Path

import pytest

import browse_site
import check_site
from minihouse import ALLOWED, CHAPTER, MINIBOOK, ROOT, load

PAGE = f"{CHAPTER}.html"
needs_browser = pytest.mark.skipif(
    browse_site.find_browser() is None, reason="no Chromium on this machine"
)


def edit(path: Path, old: str, new: str) -> None:
    """Replace text in a file of the site."""
    text = path.read_text()
    assert old in text, f"nothing to replace: {old!r}"
    path.write_text(text.replace(old, new, 1))


def test_site_of_the_small_book_is_clean(built):
    found = check_site.problems(built / "_build" / "html", MINIBOOK / "_toc.yml")
    assert found == []


END = "</article>"
FAULTS = {
    "missing alt": ('alt="Three curves', 'data-was="Three curves', "without real alt"),
    "path as alt": ('alt="Three curves', 'alt="a.png" data-was="', "without real alt"),
    "script": (END, '<script src="https://cdn.example.org/x.js"></script>', "<script>"),
    "style sheet": (END, '<link rel="stylesheet" href="//x.example/a.css">', "<link>"),
    "frame": (END, '<iframe src="https://example.org"></iframe>', "<iframe>"),
    "inline style": (
        END,
        "<style>@import 'https://x.example/a';</style>",
        "style loads",
    ),
    "inline script": (
        END,
        '<script>fetch("https://x.example")</script>',
        "script loads",
    ),
    "broken link": (END, '<a href="nowhere.html">x</a></article>', "broken link"),
    "missing image": (
        END,
        '<img alt="A picture that is not there" src="n.png">',
        "brok",
    ),
    "anchor": (END, '<a href="../../references.html#no">x</a></article>', "anchor"),
    "duplicate id": (END, '<p id="summary"></p></article>', "duplicate id 'summary'"),
    "raw math": (END, "<p>where $\\sigma$ is small</p></article>", "math left as text"),
    "raw markup": (END, "<p>see {prf:ref}`thm-x`</p></article>", "markup left as text"),
    "second title": (END, "<h1>Again</h1></article>", "2 headings of level 1"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_check_site_fails_on(name, site):
    old, new, message = FAULTS[name]
    edit(site / PAGE, old, new)
    assert any(message in line for line in check_site.problems(site))


def test_check_site_fails_on_a_page_that_was_not_built(site):
    (site / "references.html").unlink()
    found = check_site.problems(site, MINIBOOK / "_toc.yml")
    assert "references: in the table of contents, but not built" in found


def test_check_site_fails_on_foreign_addresses_in_assets(site):
    (site / "_static" / "a.css").write_text(
        "p { background: url(https://x.example/a) }"
    )
    (site / "_static" / "a.js").write_text('import("https://x.example/a.js")')
    found = check_site.problems(site)
    assert [line.split(":")[0] for line in found] == ["_static/a.css", "_static/a.js"]


def test_check_site_fails_on_a_heavy_figure_but_not_on_shared_files(site, monkeypatch):
    def heavy() -> list[str]:
        return [line for line in check_site.problems(site) if "bytes to load" in line]

    monkeypatch.setattr(check_site, "HEAVIEST", 300_000)
    assert heavy() == []
    for name in ("shared.js", "grains.png"):
        (site / "_static" / name).write_bytes(b" " * 300_000)
    for page in ("intro.html", "references.html", PAGE):
        up = "../" * page.count("/")
        edit(site / page, END, f'<script src="{up}_static/shared.js"></script>{END}')
    assert heavy() == []
    image = '<img alt="A picture with many, many grains" src="_static/grains.png">'
    edit(site / "intro.html", END, image + END)
    (line,) = heavy()
    assert line.startswith("intro.html: 3")


def test_check_site_fails_on_an_empty_site(tmp_path):
    assert check_site.problems(tmp_path)


def test_formulas_and_proofs_are_as_the_extension_makes_them(built):
    text = (built / "_build" / "html" / PAGE).read_text()
    assert '<details class="proof-details"><summary>Proof</summary>' in text
    assert "_static/mathjax/tex-chtml-full.js" in text
    assert '<span class="together">' in text
    assert "unpkg.com" not in text and "cdn.jsdelivr.net" not in text
    fonts = built / "_build/html/_static/mathjax/output/chtml/fonts/woff-v2"
    assert len(list(fonts.glob("*.woff"))) > 20


def test_repository_address_follows_the_environment(monkeypatch):
    extension = load(ROOT / "_ext" / "book_ext.py", "book_ext")
    for name in ("BOOK_REPOSITORY_URL", "GITHUB_SERVER_URL", "GITHUB_REPOSITORY"):
        monkeypatch.delenv(name, raising=False)
    assert extension.repository_url() is None
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.com")
    monkeypatch.setenv("GITHUB_REPOSITORY", "fork/book")
    assert extension.repository_url() == "https://github.com/fork/book"
    monkeypatch.setenv("BOOK_REPOSITORY_URL", "https://git.example/book")
    assert extension.repository_url() == "https://git.example/book"


TINY = "<!doctype html><html><head><title>t</title></head><body><article>{}</article>"
BROWSED = {
    "console.html": ("<script>console.error('lost')</script>", "console: lost"),
    "exception.html": ("<script>throw Error('lost')</script>", "exception"),
    "foreign.html": ("<img src='http://example.org/a.png'>", "request to another host"),
    "wide.html": ("<p style='width: 2000px'>wide</p>", "wider than the screen"),
    "clipped.html": (
        "<details><div style='overflow: hidden; width: 9em'>"
        "<pre style='width: 20em'>let no one see the end</pre></div></details>",
        "clipped: let no one",
    ),
    "math.html": ("<span class='math'>\\(x\\)</span>", "1 formulas not typeset"),
    "nameless.html": ("<p><button></button></p>", "axe: button-name"),
    "heading.html": ("<h1>One</h1><h4>Four</h4>", "axe: heading-order"),
    "folded.html": (
        "<details><summary>S</summary><img src='#'></details>",
        "image-alt",
    ),
    "around.html": (
        "</article><nav style='color: #ccc; background: #fff'>pale</nav><article>",
        "dark): axe: color-contrast",
    ),
    "pale.html": ("<p style='color: #ccc; background: #fff'>pale</p>", "low contrast"),
    "hidden.html": (
        "<details><summary>S</summary><p style='color: #eee'>pale</p></details>",
        "(phone, dark): low contrast",
    ),
    "token.html": (
        "<div class='highlight'><pre><span class='a'>a</span>"
        "<span class='a' style='color: #eee'>pale</span></pre></div>",
        "low contrast: span.a",
    ),
}
# Faults in one view alone: where, and what is said of it.
PHONE, DARK = "@media (max-width: 400px)", "@media (prefers-color-scheme: dark)"
ONE_VIEW = {
    "narrow.html": ("<p style='width: 600px'>wide</p>", "phone", "wider than"),
    "cut.html": (
        f"<style>{PHONE} {{ div {{ overflow: hidden; width: 9em }} }}</style>"
        "<div><pre style='width: 20em'>let no one see the end</pre></div>",
        "phone",
        "clipped",
    ),
    "night.html": (
        f"<style>{PHONE} {{ {DARK} {{ p {{ color: #ccc }} }} }}</style><p>pale</p>",
        "phone, dark",
        "low contrast",
    ),
    "frame.html": (
        f"</article><style>{DARK} {{ nav {{ color: #ccc }} }} "
        f"{PHONE} {{ nav {{ color: #000 }} }}</style><nav>pale</nav><article>",
        "desktop, dark",
        "axe: color-contrast",
    ),
}


@needs_browser
def test_browse_site_fails_on_each_planted_fault(site, capsys):
    for name, (body, *_) in {**BROWSED, **ONE_VIEW}.items():
        (site / name).write_text(TINY.format(body))
    broken = (site / PAGE).read_text().replace("../../", "./")
    (site / "error.html").write_text(broken.replace(r"\(x\)", r"\(\nonsense x\)", 1))
    pages = [PAGE, *BROWSED, *ONE_VIEW, "error.html"]
    assert browse_site.main([str(site), *pages, *ALLOWED]) == 1
    lines = capsys.readouterr().out.splitlines()
    for name, (_, message) in BROWSED.items():
        assert any(li.startswith(name) and message in li for li in lines), (name, lines)
    for name, (_, view, message) in ONE_VIEW.items():
        told = [li for li in lines if li.startswith(name) and message in li]
        assert len(told) == 1 and told[0].startswith(f"{name} ({view}): "), told
    around = [li for li in lines if li.startswith("around") and "color-contrast" in li]
    assert len(around) == 4, "at both widths and in both color schemes"
    assert any("error.html" in li and "error in a formula" in li for li in lines), lines
    assert not [li for li in lines if li.startswith(PAGE)], "the real page is clean"
    slowest, measures = lines[lines.index("Slowest pages:") + 1 :][:10], lines[-3:-1]
    assert measures[0].split()[-1] == "page" and measures[1].split()[-1] == PAGE
    assert (
        all(" s  " in line for line in slowest)
        and sum(PAGE in line for line in slowest) == 1
    )


@pytest.mark.parametrize(("ci", "status"), [("", 77), ("true", 1)])
def test_browse_site_says_when_there_is_no_browser(ci, status, monkeypatch, capsys):
    monkeypatch.setattr(browse_site, "find_browser", lambda: None)
    monkeypatch.setenv("CI", ci)
    assert browse_site.main(["nowhere"]) == status
    assert "NOT CHECKED" in capsys.readouterr().out
