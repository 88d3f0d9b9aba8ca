"""Open every page of a built site in headless Chromium and watch what goes wrong.

    python tools/browse_site.py _build/html [--screenshots FOLDER] [--jobs 2] [PAGE ...]

Each page is loaded once and then seen at desktop and phone width, in light and dark. It
fails on an error in the console, an uncaught exception, a formula with an error or
without typesetting, a page wider than the screen, something clipped, too little
contrast of text, a fault that axe-core finds, a request to another host (all of which
are refused), or a chapter beyond the limits of `page_limits.py`. Exit status: 0 good,
1 problems, 77 no Chromium on this machine (1 where CI=true).
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent))
import accessibility
import page_limits

SKIPPED = 77
WIDTHS = {
    "desktop": {"width": 1280, "height": 900},
    "phone": {"width": 390, "height": 844},
}
SCHEMES = ("light", "dark")
VIEWS = (  # each differs from the one before in one thing
    ("desktop", "light"),
    ("desktop", "dark"),
    ("phone", "dark"),
    ("phone", "light"),
)
CHECKS = Path(__file__).with_name("checks.js").read_text(encoding="utf-8")
OWN = ("file:", "data:", "blob:", "http://localhost", "http://127.0.0.1")
PATIENCE = 300_000  # milliseconds, for the largest page on a busy machine
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)


def find_browser() -> str | None:
    """Chromium on this machine: the variable CHROMIUM, or a usual name."""
    own = os.environ.get("CHROMIUM")
    names = (own, *BROWSERS) if own else BROWSERS
    return next((path for path in map(shutil.which, names) if path), None)


@dataclass
class Sight:
    """What one page showed: problems and hints, each with where it was seen."""

    name: str
    problems: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    seconds: float = 0.0
    metrics: dict = field(default_factory=dict)

    def add(self, *what: str, view: str = "") -> None:
        where = f"{self.name} ({view})" if view else self.name
        self.problems += [f"{where}: {line}" for line in what]


def check(page, name: str, *given):
    """What a function of `checks.js` says of an open page."""
    return page.evaluate(f"given => {{ {CHECKS}\nreturn {name}(...given) }}", given)


def show(page, size: str, scheme: str) -> None:
    """Let an open page be seen at a width and in a color scheme."""
    if page.viewport_size != WIDTHS[size]:
        page.set_viewport_size(WIDTHS[size])
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    check(page, "settled", scheme)


def look(page, sight: Sight, folder: Path | None = None) -> None:
    """Note all that is wrong with an open page, which is taken apart by and by.

    What concerns formulas comes first, then the colors, with little left of formulas
    and code; last the frame, without the article in it.
    """
    state = check(page, "typeset")
    if state["left"]:
        sight.add(f"{state['left']} formulas not typeset")
    sight.add(*(f"error in a formula: {text}" for text in state["errors"]))
    if sight.name.startswith(page_limits.CHAPTERS):
        show(page, "desktop", "light")
        sight.metrics = check(page, "metrics")
    for size, scheme in VIEWS if folder else ():
        show(page, size, scheme)
        shot = sight.name.replace("/", "-").removesuffix(".html")
        path = folder / f"{shot}-{size}-{scheme}.png"
        page.screenshot(path=str(path), full_page=True)
    for size in WIDTHS:
        show(page, size, "light")
        wide = check(page, "overflow")
        if wide["by"] > 1:
            what = f"page {wide['by']} px wider than the screen: {wide['culprits']}"
            sight.add(what, view=size)
        clipped = check(page, "clipped")
        sight.add(*(f"clipped: {what}" for what in clipped), view=size)
    scrolling = check(page, "wideMath")
    sight.hints += [f"{sight.name}: formula scrolls on a phone: {m}" for m in scrolling]
    check(page, "simplify")
    for size, scheme in reversed(VIEWS):
        show(page, size, scheme)
        pale = check(page, "contrast")
        sight.add(*(f"low contrast: {what}" for what in pale), view=f"{size}, {scheme}")
    accessibility.prepare(page)
    sight.add(*accessibility.whole(page))
    accessibility.drop_article(page)
    for size, scheme in VIEWS:
        show(page, size, scheme)
        sight.add(*accessibility.frame(page), view=f"{size}, {scheme}")


def published(site: Path, url: str) -> Path | None:
    """The file of the site that an address of the page for the lost stands for.

    That page takes its addresses from the root of the place where it is published.
    """
    page = site / "404.html"
    if url.startswith(site.as_uri()) or not page.exists():
        return None
    base = re.search(r'<base href="(/[^"]*)"', page.read_text(encoding="utf-8"))
    path = unquote(urlsplit(url).path)
    if not base or not path.startswith(base[1]):
        return None
    file = site / path.removeprefix(base[1])
    return file if file.is_file() else None


def browse(
    site: Path, names: list[str], folder: Path | None, executable: str, jobs: int = 2
) -> list[Sight]:
    """What every page showed, in the order of the names; some browsers side by side."""
    heavy_last = sorted(names, key=lambda name: (site / name).stat().st_size)
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        work = [(site, heavy_last, folder, executable)] * min(jobs, len(names))
        seen = [s for part in pool.map(lambda w: list(visit(*w)), work) for s in part]
    return sorted(seen, key=lambda sight: names.index(sight.name))


def visit(
    site: Path, names: list[str], folder: Path | None, executable: str
) -> Iterator[Sight]:
    """Open one page after the other, as long as there are names, the last one first."""
    from playwright.sync_api import sync_playwright

    sight = Sight("")

    def guard(route, request):
        if file := published(site, request.url):
            route.fulfill(path=file)
        elif request.url.startswith(OWN):
            route.continue_()
        else:
            sight.add(f"request to another host: {request.url}")
            route.abort()

    def listen(message):
        if message.type == "error":
            sight.add(f"console: {message.text}")

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.route(re.compile(f"^(?!{re.escape(site.as_uri())}/|data:|blob:)"), guard)
        page.on("pageerror", lambda error: sight.add(f"exception: {error}"))
        page.on("console", listen)
        while names:
            began = time.perf_counter()
            sight = Sight(names.pop())
            page.set_viewport_size(WIDTHS["desktop"])
            page.emulate_media(color_scheme="light", reduced_motion="reduce")
            page.goto((site / sight.name).as_uri(), wait_until="load")
            look(page, sight, folder)
            sight.seconds = time.perf_counter() - began
            yield sight
        browser.close()


def page_names(site: Path) -> list[str]:
    """Every page with content of its own (index.html only leads to the first one)."""
    found = [str(p.relative_to(site)) for p in sorted(site.rglob("*.html"))]
    return [n for n in found if not n.startswith("_static") and n != "index.html"]


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("pages", nargs="*", help="such as intro.html; default all")
    parser.add_argument("--screenshots", type=Path, metavar="FOLDER")
    parser.add_argument("--jobs", type=int, default=2, help="browsers side by side")
    parser.add_argument("--allowed", type=Path, default=page_limits.ALLOWED)
    options = parser.parse_intermixed_args(arguments)
    executable = find_browser()
    if executable is None:
        print(
            "NOT CHECKED in a browser: no Chromium found (install it, or set CHROMIUM)"
        )
        return 1 if os.environ.get("CI") == "true" else SKIPPED
    site = options.site.resolve()
    names = options.pages or page_names(site)
    if options.screenshots:
        options.screenshots.mkdir(parents=True, exist_ok=True)
    seen = browse(site, names, options.screenshots, executable, options.jobs)
    for hint in (hint for sight in seen for hint in sight.hints):
        print(f"hint: {hint}")
    allowed = page_limits.allowances(options.allowed)
    measured = {sight.name: sight.metrics for sight in seen if sight.metrics}
    for sight in seen:
        if sight.metrics:
            sight.add(*page_limits.beyond(sight.name, sight.metrics, allowed))
    for line in page_limits.spare(measured, allowed):
        print(f"hint: {line}")
    problems = [line for sight in seen for line in sight.problems]
    for line in problems:
        print(line)
    print("Slowest pages:")
    for sight in sorted(seen, key=lambda sight: -sight.seconds)[:10]:
        print(f"{sight.seconds:6.1f} s  {sight.name}")
    for line in page_limits.table(measured) if measured else ():
        print(line)
    views = f"{len(WIDTHS)} widths and {len(SCHEMES)} color schemes"
    print(f"{len(seen)} pages, {views}, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
