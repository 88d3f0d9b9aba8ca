"""A bare page with every lab on it, open in Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import browse_site

ROOT = Path(__file__).resolve().parents[1]
JS = ROOT / "static" / "js"
LABS = sorted(p.stem.removeprefix("lab_") for p in JS.glob("lab_*.js"))
PAGE = """<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8">
<title>Labs</title><link rel="stylesheet" href="{css}"><article class="bd-article">
{boxes}</article>{scripts}</html>"""
BOX = '<div class="lab" data-lab="{}"><div class="lab-without">none</div></div>'
READY = f"document.querySelectorAll('[data-live]').length === {len(LABS)}"


@contextmanager
def opened(folder: Path, executable: str, said: list[str] | None = None) -> Iterator:
    """The page, once all labs are live; ``said`` collects what the console says."""
    from playwright.sync_api import sync_playwright

    said = [] if said is None else said
    files = ["scores.js", "labs.js", *(f"lab_{name}.js" for name in LABS)]
    scripts = [f'<script defer src="{(JS / f).as_uri()}"></script>' for f in files]
    parts = {
        "css": (ROOT / "static" / "css" / "book.css").as_uri(),
        "boxes": "".join(map(BOX.format, LABS)),
        "scripts": "".join(scripts),
    }
    path = folder / "labs.html"
    path.write_text(PAGE.format(**parts), encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=browse_site.FLAGS
        )
        page = browser.new_page(viewport={"width": 900, "height": 900})
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda line: said.append(line.text))
        page.goto(path.as_uri())
        page.wait_for_function(READY)
        yield page
        browser.close()
