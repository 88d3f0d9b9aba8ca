"""The one PDF of the book: it has its pages, parts and working references."""

from __future__ import annotations

import re
import shutil

import pytest

import browse_site
import pdf
from minihouse import call

pytestmark = pytest.mark.skipif(
    browse_site.find_browser() is None, reason="no Chromium on this machine"
)


def test_pdf_of_the_small_book(written, tmp_path):
    book = tmp_path / "book"
    shutil.copytree(written, book)
    result = call(book, "python", "tools/pdf.py")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 problems" in result.stdout
    content = (book / "_build" / "pdf" / "the-empirical-score.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    pages, weight = pdf.size(content)
    assert pages >= 5  # title, contents, and at least a page for each file
    assert weight == len(content) and f": {pages} pages, " in result.stdout
    assert content.count(b"/StructElem") < 1000, "code as text, not word by word"
    assert content.count(b"/Outlines") and content.count(b"/Dest")
    assert not re.search(rb"/URI\s*\(file:", content)  # no reference to this machine
    page = book / "_build" / "one-page" / "_build" / "singlehtml" / "intro.html"
    references = page.read_text().count('class="reference internal"')
    assert len(re.findall(rb"/Subtype\s*/Link\b", content)) >= references > 20


def test_a_long_or_heavy_pdf_is_a_problem():
    assert pdf.too_much(400, 20_000_000) == []
    assert pdf.too_much(401, 20_000_000) == ["401 pages, 400 at most"]
    (heavy,) = pdf.too_much(400, 20_000_001)
    assert heavy.startswith("20,000,001 bytes")


def test_parts_are_numbered_as_books_number_them(tmp_path):
    part = "- {caption: Middle, numbered: 1, chapters: [{file: a}]}\n"
    ends = "- {caption: End, chapters: [{file: b}]}\n"
    more = "- {caption: More, numbered: 1, style: alphaupper, chapters: [{file: c}]}\n"
    (tmp_path / "_toc.yml").write_text("parts:\n" + ends + 6 * part + more + ends)
    first, *middle, appendix, last = pdf.table_of_contents(tmp_path)
    assert appendix == {"name": "More", "numbered": True, "files": ["c"]}
    assert first["name"] == last["name"] == "End" and not first["numbered"]
    names = [name["name"].removesuffix(". Middle") for name in middle]
    assert names == ["Part I", "Part II", "Part III", "Part IV", "Part V", "Part VI"]


def test_a_broken_formula_is_found(written, tmp_path):
    book = tmp_path / "book"
    shutil.copytree(written, book)
    page = book / "intro.md"
    page.write_text(page.read_text() + "\n\nBroken: $\\frac{1}{$ here.\n")
    result = call(book, "python", "tools/pdf.py")
    said = result.stdout + result.stderr
    assert result.returncode == 1 and "no MathML" in said and "no PDF" in said
