"""Check a built site without a browser: pages, links, images, hosts, weight.

    python tools/check_site.py _build/html [--toc _toc.yml]

Needs nothing but Python. Every problem is one line; the exit status is 1 if there is
any. What needs a browser is checked by `browse_site.py`.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

MIN_ALT = 20
HEAVIEST = 1_000_000  # bytes of a page and of what is loaded for it alone
VOID = set("area base br col embed hr img input link meta source track wbr".split())
LOADED = {  # attributes from which a browser fetches something on its own
    "audio": ("src",),
    "embed": ("src",),
    "iframe": ("src",),
    "img": ("src", "srcset"),
    "input": ("src",),
    "link": ("href",),
    "object": ("data",),
    "script": ("src",),
    "source": ("src", "srcset"),
    "track": ("src",),
    "video": ("src", "poster"),
    "image": ("href", "xlink:href"),
    "use": ("href", "xlink:href"),
}
NOT_LOADED_LINKS = {"canonical", "next", "prev", "author", "license", "index", "search"}
VERBATIM = {"pre", "code", "script", "style", "textarea", "kbd", "samp"}
RAW_MATH = re.compile(r"\\[(\[]|\$\$|\\begin\{|\\(?:sigma|frac|mathbb|nabla|sum|int)\b")
RAW_MARKUP = re.compile(r"\{[a-z]+(?::[a-z]+)?\}`|^:{3,}|\[\^[\w-]+\]|\?\?")
CSS_FOREIGN = re.compile(r"(?:url\(\s*|@import\s+)[\"']?((?:https?:)?//[^\"')\s]+)")
JS_FOREIGN = re.compile(
    r"(?:\bimport\s*\(?|\bfrom\s|\bfetch\s*\(|\.src\s*=|\.open\(\s*[\"'][A-Z]+[\"'],"
    r"|importScripts\(|new\s+(?:Worker|WebSocket|EventSource)\()"
    r"\s*[\"'`]((?:https?:|wss?:)?//[^\"'`\s]+)"
)


@dataclass
class Page:
    """What one HTML file holds, as far as the checks care."""

    ids: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    loads: list[tuple[str, str]] = field(default_factory=list)
    images: list[tuple[str, str | None, bool]] = field(default_factory=list)
    titles: int = 0
    language: str | None = None
    text: list[str] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)
    styles: list[str] = field(default_factory=list)


class Reader(HTMLParser):
    """Collect a `Page` from its HTML."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page = Page()
        self.open: list[tuple[str, bool]] = []  # tag, and whether it holds math

    def inside(self, *tags: str) -> bool:
        return any(tag in tags for tag, _ in self.open)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        have = {key: value or "" for key, value in attrs}
        page = self.page
        if have.get("id"):
            page.ids.append(have["id"])
        if tag == "a" and have.get("name") and have["name"] != have.get("id"):
            page.ids.append(have["name"])
        if tag == "a" and "href" in have:
            page.links.append(have["href"])
        if tag == "html":
            page.language = have.get("lang")
        if tag == "h1" and self.inside("article"):
            page.titles += 1
        if tag == "img":
            article = self.inside("article")
            page.images.append((have.get("src", ""), have.get("alt"), article))
        relations = set(have.get("rel", "").split())
        if tag != "link" or not relations & NOT_LOADED_LINKS:
            for name in LOADED.get(tag, ()):
                for part in have.get(name, "").split(","):
                    if part.strip():
                        page.loads.append((tag, part.split()[0]))
        if "style" in have:
            page.styles.append(have["style"])
        if tag not in VOID:
            self.open.append((tag, "math" in have.get("class", "").split()))

    def handle_endtag(self, tag: str) -> None:
        while self.open and tag in [name for name, _ in self.open]:
            if self.open.pop()[0] == tag:
                break

    def handle_data(self, data: str) -> None:
        if self.inside("script"):
            self.page.scripts.append(data)
        elif self.inside("style"):
            self.page.styles.append(data)
        elif self.inside("article") and not self.inside(*VERBATIM):
            if not any(math for _, math in self.open):
                self.page.text.append(data)


def read(path: Path) -> Page:
    """Parse one HTML file."""
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader.page


def foreign(address: str) -> bool:
    """Whether fetching this address asks another host."""
    parts = urlsplit(address)
    return bool(parts.netloc) or parts.scheme in ("http", "https", "ftp", "ws", "wss")


def toc_pages(toc: Path) -> list[str]:
    """Names of the pages in a table of contents."""
    text = toc.read_text(encoding="utf-8")
    return re.findall(r"^\s*-?\s*(?:root|file):\s*[\"']?([^\s\"'#]+)", text, re.M)


def check_links(site: Path, pages: dict[Path, Page]) -> list[str]:
    """Links and loaded files inside the site lead somewhere, anchors included."""
    found = []
    for path, page in pages.items():
        for address in [*page.links, *(address for _, address in page.loads)]:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc or address == "#":
                continue
            target = path
            if parts.path:
                base = site if parts.path.startswith("/") else path.parent
                target = (base / unquote(parts.path).lstrip("/")).resolve()
                if target.is_dir():
                    target = target / "index.html"
            if not target.exists():
                found.append(f"{path.relative_to(site)}: broken link {address}")
            elif parts.fragment and target in pages:
                if unquote(parts.fragment) not in pages[target].ids:
                    found.append(f"{path.relative_to(site)}: no such anchor {address}")
    return found


def check_page(name: str, page: Page) -> list[str]:
    """Identifiers, images, titles, hosts and leftovers of one page."""
    found = []
    for double in sorted({i for i in page.ids if page.ids.count(i) > 1}):
        found.append(f"{name}: duplicate id {double!r}")
    for source, alt, article in page.images:
        text = (alt or "").strip()
        short = len(text) < (MIN_ALT if article else 1)
        if short or re.search(r"\.(png|svg|jpe?g|webp)$", text):
            found.append(f"{name}: image {source} without real alt text ({text!r})")
    if page.titles != 1 and page.text:
        found.append(f"{name}: {page.titles} headings of level 1")
    for tag, address in page.loads:
        if foreign(address):
            found.append(f"{name}: <{tag}> loads from another host: {address}")
    for style in page.styles:
        for match in CSS_FOREIGN.finditer(style):
            found.append(f"{name}: style loads from another host: {match[1]}")
    for script in page.scripts:
        for match in JS_FOREIGN.finditer(script):
            found.append(f"{name}: script loads from another host: {match[1]}")
    for text in page.text:
        for what, pattern in (("math", RAW_MATH), ("markup", RAW_MARKUP)):
            if pattern.search(text):
                shown = " ".join(text.split())[:60]
                found.append(f"{name}: {what} left as text: {shown!r}")
    return found


def check_assets(site: Path) -> list[str]:
    """Style sheets and scripts of the site fetch nothing from another host."""
    found = []
    for pattern, glob in ((CSS_FOREIGN, "*.css"), (JS_FOREIGN, "*.js")):
        for path in sorted(site.rglob(glob)):
            text = path.read_text(encoding="utf-8", errors="replace")
            for match in pattern.finditer(text):
                name = path.relative_to(site)
                found.append(f"{name}: loads from another host: {match[1]}")
    return found


def weights(site: Path, pages: dict[Path, Page]) -> dict[str, int]:
    """Bytes of each page with all that is loaded for this page and no other."""
    loaded = {}
    for path, page in pages.items():
        own = [unquote(urlsplit(a).path) for _, a in page.loads if not foreign(a)]
        loaded[path] = {(path.parent / address).resolve() for address in own}
    users = Counter(file for files in loaded.values() for file in files)
    return {
        str(path.relative_to(site)): path.stat().st_size
        + sum(f.stat().st_size for f in files if users[f] == 1 and f.is_file())
        for path, files in loaded.items()
    }


def too_heavy(weight: dict[str, int]) -> list[str]:
    """Pages that take long to arrive."""
    return [
        f"{name}: {size:,} bytes to load, {HEAVIEST:,} at most"
        for name, size in weight.items()
        if size > HEAVIEST
    ]


def read_all(site: Path) -> dict[Path, Page]:
    """Every page of a site, parsed."""
    paths = [p for p in sorted(site.rglob("*.html")) if "_static" not in p.parts]
    return {path: read(path) for path in paths}


def problems(site: Path, toc: Path | None = None) -> list[str]:
    """Everything that is wrong with a built site."""
    return check(site.resolve(), read_all(site.resolve()), toc)


def check(site: Path, pages: dict[Path, Page], toc: Path | None) -> list[str]:
    """Everything that is wrong with the pages of a site and with its assets."""
    if not pages:
        return [f"{site}: no pages"]
    found = []
    for name in toc_pages(toc) if toc else []:
        if site / f"{name}.html" not in pages:
            found.append(f"{name}: in the table of contents, but not built")
    for path, page in pages.items():
        found += check_page(str(path.relative_to(site)), page)
    found += too_heavy(weights(site, pages))
    return found + check_links(site, pages) + check_assets(site)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("--toc", type=Path)
    options = parser.parse_args(arguments)
    site = options.site.resolve()
    pages = read_all(site)
    found = check(site, pages, options.toc)
    for line in found:
        print(line)
    weight = weights(site, pages)
    for name in sorted(weight, key=weight.get, reverse=True)[:5]:
        print(f"{weight[name] / 1e6:.2f} MB  {name}")
    print(f"{len(weight)} pages, {len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
