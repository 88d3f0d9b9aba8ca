"""Open every page of a built site in headless Chromium and watch what goes wrong.

    python tools/browse_site.py _build/html [--screenshots FOLDER] [PAGE ...]

Each page is opened at desktop and phone width and seen in light and dark. It fails on
an error in the console, an uncaught exception, a formula with an error or without
typesetting, a page wider than the screen, something clipped, too little contrast of
text, a fault that axe-core finds, or a request to another host (all of which are
refused). Exit status: 0 good, 1 problems, 77 no Chromium on this machine (1 where
CI=true).
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent))
import accessibility

SKIPPED = 77
WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}
SCHEMES = ("light", "dark")
OWN = ("file:", "data:", "blob:", "http://localhost", "http://127.0.0.1")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
# The theme's script follows the color scheme in its own time, and colors fade over.
SETTLED = """async scheme => {
  const frame = () => new Promise(requestAnimationFrame);
  const theme = () => document.documentElement.dataset.theme ?? scheme;
  for (let k = 0; k < 120 && theme() !== scheme; k++) await frame();
  await frame();
  await frame();
  const fades = document.getAnimations().map(a => a.finished);
  const patience = new Promise(resolve => setTimeout(resolve, 2000));
  await Promise.race([Promise.allSettled(fades), patience]);
}"""
BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
TYPESET = """async () => {
    if (!document.querySelector('.math')) return {left: 0, errors: []};
    if (!window.MathJax || !MathJax.startup)
        return {left: document.querySelectorAll('.math').length, errors: []};
    await MathJax.startup.promise;
    const math = [...document.querySelectorAll('span.math, div.math')];
    const left = math.filter(m => !m.querySelector('mjx-container'));
    const bad = [...document.querySelectorAll('mjx-merror, [data-mjx-error]')];
    return {left: left.length, errors: bad.map(b => b.textContent.slice(0, 60))};
}"""
OVERFLOW = """() => {
    const root = document.documentElement, wide = root.clientWidth;
    const clipped = e => {
        for (let p = e.parentElement; p && p !== document.body; p = p.parentElement)
            if (getComputedStyle(p).overflowX !== 'visible') return true;
        return false;
    };
    const culprits = [...document.querySelectorAll('article *')]
        .filter(e => e.getBoundingClientRect().right > wide + 1 && !clipped(e))
        .map(e => e.tagName.toLowerCase() + '.' + (e.getAttribute('class') || ''));
    return {by: root.scrollWidth - wide, culprits: culprits.slice(0, 3)};
}"""
# What hides below an edge that does not scroll, proofs and solutions included.
CLIPPED = """() => {
    for (const folded of document.querySelectorAll('details')) folded.open = true;
    for (const folded of document.querySelectorAll('.toggle-hidden'))
        folded.classList.remove('toggle-hidden');
    const hidden = e => {
        const {right} = e.getBoundingClientRect();
        for (let p = e.parentElement; p; p = p.parentElement) {
            const flow = getComputedStyle(p).overflowX;
            if (flow === 'auto' || flow === 'scroll') return false;
            const edge = p.getBoundingClientRect().right;
            if (flow !== 'visible' && right > edge + 1) return true;
        }
        return right > document.documentElement.clientWidth + 1;
    };
    return [...document.querySelectorAll('article :is(mjx-container, table, pre, img)')]
        .filter(hidden).map(e => e.textContent.trim().slice(0, 40) || e.src);
}"""
WIDE_MATH = """() => [...document.querySelectorAll('div.math')].filter(m => {
    const set = m.querySelector('mjx-container'), line = set && set.firstElementChild;
    const room = m.clientWidth + 2;
    return m.scrollWidth > room || (set && set.scrollWidth > set.clientWidth + 2)
        || (line && line.getBoundingClientRect().width > room);
}).map(m => m.id || m.previousElementSibling?.textContent.trim().slice(-40) || '?')"""
CONTRAST = """() => {
    const parse = c => (c.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
    const light = c => {
        const [r, g, b] = c.map(v => {
            v /= 255;
            return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const over = (top, base) => {
        const a = top.length > 3 ? top[3] : 1;
        return [0, 1, 2].map(i => top[i] * a + base[i] * (1 - a));
    };
    const behind = e => {
        const layers = [];
        for (; e; e = e.parentElement) {
            const c = parse(getComputedStyle(e).backgroundColor);
            layers.push(c);
            if (c.length < 4 || c[3] === 1) break;
        }
        return layers.reverse().reduce((base, c) => over(c, base), [255, 255, 255]);
    };
    const bad = new Map();
    for (const e of document.querySelectorAll('article *')) {
        const own = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
        if (!own || !e.getClientRects().length || e.closest('mjx-container')) continue;
        const style = getComputedStyle(e), size = parseFloat(style.fontSize);
        let seen = 1;
        for (let p = e; p; p = p.parentElement) seen *= getComputedStyle(p).opacity;
        if (style.visibility === 'hidden' || seen === 0) continue;
        const need = size >= 24 || (size >= 18.6 && style.fontWeight >= 700) ? 3 : 4.5;
        const back = behind(e), ink = parse(style.color);
        const front = over([...ink.slice(0, 3), (ink[3] ?? 1) * seen], back);
        const [a, b] = [light(front), light(back)].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        const what = e.tagName.toLowerCase() + '.' + (e.getAttribute('class') || '');
        if (ratio < need - 0.05 && !bad.has(what))
            bad.set(what, ratio.toFixed(2) + ' ' + e.textContent.trim().slice(0, 30));
    }
    return [...bad].map(([what, value]) => what + ' ' + value).slice(0, 8);
}"""


def find_browser() -> str | None:
    """Chromium on this machine: the variable CHROMIUM, or a usual name."""
    own = os.environ.get("CHROMIUM")
    names = (own, *BROWSERS) if own else BROWSERS
    return next((path for path in map(shutil.which, names) if path), None)


def look(
    page, name: str, size: str, folder: Path | None
) -> tuple[list[str], list[str]]:
    """What is wrong with an open page at one width; and hints that are no errors."""
    found, hints = [], []
    state = page.evaluate(TYPESET)
    if state["left"]:
        found.append(f"{state['left']} formulas not typeset")
    found += [f"error in a formula: {text}" for text in state["errors"]]
    wide = page.evaluate(OVERFLOW)
    if wide["by"] > 1:
        found.append(f"page {wide['by']} px wider than the screen: {wide['culprits']}")
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.evaluate(SETTLED, scheme)
        found += [f"{scheme}: low contrast: {c}" for c in page.evaluate(CONTRAST)]
        if folder:
            shot = name.replace("/", "-").removesuffix(".html")
            path = folder / f"{shot}-{size}-{scheme}.png"
            page.screenshot(path=str(path), full_page=True)
    found += [f"clipped: {what}" for what in page.evaluate(CLIPPED)]
    if size == "phone":
        hints += [f"formula scrolls on a phone: {m}" for m in page.evaluate(WIDE_MATH)]
    accessibility.prepare(page)
    if size == "desktop":
        found += accessibility.violations(page)
    for scheme in reversed(SCHEMES):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.evaluate(SETTLED, scheme)
        wrong = accessibility.violations(page, around=True)
        found += [f"{scheme}: {what}" for what in wrong]
    return found, hints


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
    site: Path, names: list[str], folder: Path | None, executable: str
) -> tuple[list[str], list[str]]:
    """Problems and hints of all pages, one browser a width, side by side."""
    with ThreadPoolExecutor(max_workers=len(WIDTHS)) as pool:
        jobs = [
            pool.submit(browse_width, site, names, folder, executable, size)
            for size in WIDTHS
        ]
        results = [job.result() for job in jobs]
    return [f for found, _ in results for f in found], [
        h for _, n in results for h in n
    ]


def browse_width(
    site: Path, names: list[str], folder: Path | None, executable: str, size: str
) -> tuple[list[str], list[str]]:
    """Problems and hints of all pages at one width."""
    from playwright.sync_api import sync_playwright

    found: list[str] = []
    hints: list[str] = []
    refused: list[str] = []
    width, height = WIDTHS[size]

    def guard(route, request):
        if request.url.startswith("file:") and (file := published(site, request.url)):
            route.fulfill(path=file)
        elif request.url.startswith(OWN):
            route.continue_()
        else:
            refused.append(f"request to another host: {request.url}")
            route.abort()

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        context = browser.new_context(viewport={"width": width, "height": height})
        context.route("**/*", guard)
        for name in names:
            seen: list[str] = []
            page = context.new_page()
            page.on("pageerror", lambda e, s=seen: s.append(f"exception: {e}"))
            page.on(
                "console",
                lambda m, s=seen: (
                    s.append(f"console: {m.text}") if m.type == "error" else None
                ),
            )
            refused.clear()
            page.emulate_media(color_scheme="light", reduced_motion="reduce")
            page.goto((site / name).as_uri(), wait_until="load")
            wrong, notes = look(page, name, size, folder)
            found += [f"{name} ({size}): {w}" for w in [*refused, *seen, *wrong]]
            hints += [f"{name} ({size}): {note}" for note in notes]
            page.close()
        browser.close()
    return found, hints


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
    found, hints = browse(site, names, options.screenshots, executable)
    for line in [*(f"hint: {hint}" for hint in hints), *found]:
        print(line)
    print(f"{len(names)} pages at {len(WIDTHS)} widths, {len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
