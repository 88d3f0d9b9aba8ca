"""Print the whole book into one PDF, with Chromium.

    python tools/pdf.py [--root .] [--output _build/pdf/the-empirical-score.pdf]

Sphinx makes one page of all chapters, strictly; Chromium sets its formulas and prints
it. Added for paper: a title page, contents, pages that open the parts, page numbers.
References lead where they should, labs are left out in favor of the figures beside
them, and code that is folded away on the pages is left out too. Code is printed in
black, as plain text, since each word of it would need a tag. More than MOST_PAGES pages
or MOST_BYTES are a problem. Exit status: 0 good, 1 problems, 77 no Chromium on this
machine.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent))
import browse_site
import kernel

STYLE = Path(__file__).with_suffix(".css")
ROMAN = "I II III IV V VI VII VIII IX X".split()
PATIENCE = 900_000  # milliseconds; two busy cores set some thousand formulas in 100 s
MOST_PAGES, MOST_BYTES = 400, 20_000_000
LIGHTEN = """() => {
    for (const code of document.querySelectorAll('.highlight pre'))
        code.textContent = code.textContent;
    for (const p of document.querySelectorAll(':is(td, th) > p:only-child'))
        p.replaceWith(...p.childNodes);
}"""
FRONT = """([title, subtitle, parts]) => {
    const make = (tag, kind, ...inside) => {
        const node = document.createElement(tag);
        node.className = kind;
        node.append(...inside);
        return node;
    };
    const article = document.querySelector('article.bd-article');
    const anchor = file => document.getElementById('document-' + file);
    const heading = file => anchor(file)?.nextElementSibling?.querySelector('h1, h2');
    const contents = make('nav', 'pdf-contents', make('div', 'pdf-title', 'Contents'));
    const missing = [];
    for (const {name, numbered, files} of parts) {
        const list = make('ol', '');
        contents.append(make('h2', '', name), list);
        for (const file of files) {
            const h = heading(file);
            if (!h) { missing.push(file); continue; }
            const text = h.cloneNode(true);
            text.querySelectorAll('.headerlink').forEach(e => e.remove());
            const link = make('a', '', text.textContent.trim());
            link.href = '#document-' + file;
            list.append(make('li', '', link));
        }
        const page = make('div', 'pdf-part', make('div', 'pdf-title', name));
        if (numbered && files.length && anchor(files[0]))
            anchor(files[0]).before(page);
    }
    const first = article.querySelector('section');
    first.classList.add('pdf-intro');
    const cover = make('header', 'pdf-cover', make('div', 'pdf-title', title));
    cover.append(make('p', '', subtitle));
    // A link to a file of this machine leads nowhere once the book is printed, except
    // to a place on this page.
    for (const a of article.querySelectorAll('a[href]'))
        if (a.pathname === location.pathname && a.hash) a.setAttribute('href', a.hash);
        else if (a.protocol === 'file:' && !a.getAttribute('href').startsWith('#'))
            a.replaceWith(...a.childNodes);
    article.prepend(cover, contents);
    return missing;
}"""


def table_of_contents(root: Path) -> list[dict]:
    """The parts of the book: name, whether its chapters are numbered, and files.

    The name has a number, but where the chapters have letters: that is the appendix.
    """
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    numbers, found = iter(ROMAN), []
    for part in toc.get("parts", []):
        name, numbered = part.get("caption", ""), "numbered" in part
        if numbered and part.get("style") != "alphaupper":
            name = f"Part {next(numbers)}. {name}"
        files = [chapter["file"] for chapter in part["chapters"]]
        found.append({"name": name, "numbered": numbered, "files": files})
    return found


def one_page(root: Path) -> Path:
    """Build all chapters as one page and return its path."""
    program = str(Path(sys.executable).parent / "jupyter-book")
    options = ["--builder", "singlehtml", "--all", "-W", "-n", "--keep-going", "-q"]
    # Jupyter Book's builders share a folder of doctrees; the pages keep theirs.
    folder = root / "_build" / "one-page"
    command = [program, "build", ".", *options, "--path-output", str(folder)]
    if subprocess.run(command, cwd=root).returncode:
        raise SystemExit("no PDF: the one page of all chapters could not be built")
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    return folder / "_build" / "singlehtml" / f"{toc['root']}.html"


def print_page(source: Path, output: Path, executable: str, root: Path) -> list[str]:
    """Set the formulas, add what paper needs, print; return what went wrong."""
    from playwright.sync_api import sync_playwright

    settings = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=browse_site.FLAGS
        )
        page = browser.new_page(color_scheme="light")
        page.set_default_timeout(PATIENCE)
        found: list[str] = []
        page.on("pageerror", lambda error: found.append(f"exception: {error}"))
        page.goto(source.as_uri())
        math = browse_site.check(page, "typeset")
        if math["left"] or math["errors"]:
            found.append(f"formulas: {math['left']} not set, errors {math['errors']}")
        page.evaluate(LIGHTEN)
        front = [settings["title"], settings["author"], table_of_contents(root)]
        for file in page.evaluate(FRONT, front):
            found.append(f"{file} is not in the book")
        page.add_style_tag(path=str(STYLE))
        page.emulate_media(media="print")
        output.parent.mkdir(parents=True, exist_ok=True)
        part = output.with_suffix(".part")
        page.pdf(
            path=str(part),
            prefer_css_page_size=True,
            print_background=True,
            outline=True,
            tagged=True,
        )
        browser.close()
    part.replace(output)
    return found


def size(content: bytes) -> tuple[int, int]:
    """The pages and the bytes of a PDF."""
    return len(re.findall(rb"/Type\s*/Page\b", content)), len(content)


def too_much(pages: int, weight: int) -> list[str]:
    """What of a PDF is more than a reader carries about."""
    found = []
    if pages > MOST_PAGES:
        found.append(f"{pages} pages, {MOST_PAGES} at most")
    if weight > MOST_BYTES:
        found.append(f"{weight:,} bytes, {MOST_BYTES:,} at most")
    return found


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=kernel.ROOT, help="of the book")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args(arguments)
    root = options.root.resolve()
    output = options.output or root / "_build" / "pdf" / "the-empirical-score.pdf"
    executable = browse_site.find_browser()
    if executable is None:
        print("no PDF: no Chromium found (install it, or set CHROMIUM)")
        return browse_site.SKIPPED
    found = print_page(one_page(root), output.resolve(), executable, root)
    pages, weight = size(output.read_bytes())
    found += too_much(pages, weight)
    for line in found:
        print(line)
    length = f"{pages} pages, {weight / 1e6:.1f} MB"
    print(f"{output}: {length}, {len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
