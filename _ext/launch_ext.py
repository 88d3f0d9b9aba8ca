"""Notebooks that run anywhere: on Colab, on Binder, alone in a folder.

A chapter reads the book around it: the library, the records of long experiments, its
neighbors. The notebook that a reader downloads from a page, and the one that Colab
opens, have none of that, so these copies (and only these) begin with one more cell. It
fetches the book as it was when the page was built, installs the library with what the
chapters import, and goes to the chapter's own folder. Inside the book it does nothing.
A site that does not know its repository has no such cell, nor a button for Colab.

The copies lie under `_sources` in the built site, where the download button points.
Colab opens notebooks of a repository, not of a site: publishing puts the same copies on
a branch of their own, and the Colab buttons point there.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import nbformat
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)
BRANCH = "colab"  # filled by .github/workflows/publish.yml
CELL = """\
# This cell is only in the copies that are opened outside the book: on Colab, or
# downloaded alone. It fetches the book, installs its library and goes to the
# chapter's folder. Inside the book it does nothing.
import os
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

CHAPTER = {chapter!r}
ARCHIVE = {archive!r}
NEEDS = {needs!r}  # image sets

if not Path("{steps}lib", "empirical_score").is_dir():
    folder = Path("the-empirical-score").resolve()
    if not folder.is_dir():
        packed = folder.with_suffix(".zip")
        address = os.environ.get("EMPIRICAL_SCORE_ARCHIVE", ARCHIVE)
        urllib.request.urlretrieve(address, packed)
        zipfile.ZipFile(packed).extractall(folder)
        packed.unlink()
    book = next(folder.glob("*/_toc.yml")).parent
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, f"{{book}}[chapters]"], check=True)
    os.chdir((book / CHAPTER).parent)
    for name in NEEDS:
        import empirical_score as es

        getattr(es.datasets, name)(limit=1, download=True)
"""


def archive(url: str, branch: str) -> str:
    """Where the whole book is, packed: as it was built, or the branch as it is."""
    built = os.environ.get("GITHUB_SHA") if "GITHUB_REPOSITORY" in os.environ else None
    return f"{url.rstrip('/')}/archive/{built or branch}.zip"


def alone(
    book: nbformat.NotebookNode, chapter: str, address: str, needs: list[str]
) -> nbformat.NotebookNode:
    """Put the cell that fetches the book before a notebook's others."""
    code = CELL.format(
        chapter=chapter,
        archive=address,
        needs=needs,
        steps="../" * chapter.count("/"),
    )
    cell = nbformat.v4.new_code_cell(code, id="fetch-the-book")
    book.cells.insert(0, cell)
    return book


def write_notebooks(app: Sphinx, error: Exception | None) -> None:
    """Replace the notebooks under `_sources` by copies that run alone."""
    options = app.config.html_theme_options
    if error or app.builder.name != "html" or not options["repository_url"]:
        return
    sys.path.insert(0, str(Path(app.srcdir) / "tools"))
    import chapters

    address = archive(options["repository_url"], options["repository_branch"])
    for page in sorted(app.env.found_docs):
        source = Path(app.env.doc2path(page))
        target = Path(app.outdir) / "_sources" / f"{page}.ipynb"
        if source.suffix == ".ipynb" and target.exists():
            needs = list(chapters.needed_data(source))
            book = nbformat.read(source, as_version=4)
            text = chapters.dumps(alone(book, f"{page}.ipynb", address, needs))
            target.write_text(text, encoding="utf-8")


def point_colab(app: Sphinx, page: str, template: str, context: dict, doctree) -> None:
    """Let the Colab buttons open the copies that run alone."""
    for group in context.get("header_buttons", []):
        for button in group.get("buttons", []):
            if button.get("text") == "Colab":
                button["url"] = re.sub(
                    r"/blob/[^/]+/", f"/blob/{BRANCH}/", button["url"]
                )


def setup(app: Sphinx) -> dict:
    """Register with Sphinx; the theme makes its buttons at the usual priority."""
    app.connect("html-page-context", point_colab, priority=900)
    app.connect("build-finished", write_notebooks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
