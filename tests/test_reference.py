"""The pages of the library reference: equations, names, and what chapters use."""

from __future__ import annotations

import sys

import nbformat
import pytest

from minihouse import ROOT

sys.path[:0] = [str(ROOT / "_ext")]
import reference_ext  # noqa: E402

DOCSTRING = """Return the mean.

It is the sum

    m = (1/n) sum_j y_j,

    in units of the data,

and obeys::

    m >= 0.

Parameters
----------
x : array
    The points.
"""


def test_equations_become_blocks_and_nothing_else_does():
    lines = DOCSTRING.splitlines()
    reference_ext.show_equations(lines)
    added = [n for n, line in enumerate(lines) if line == "::"]
    assert added == [4] and lines[5] == ""
    kept = [line for n, line in enumerate(lines) if n not in (4, 5)]
    assert kept == DOCSTRING.splitlines()


def test_a_module_stands_for_its_names_that_are_on_no_other_line():
    names = reference_ext.expanded("linear.*")
    assert "linear.kl" in names and "linear.LinearDenoiser" not in names
    assert reference_ext.expanded("Score") == ["Score"]
    assert reference_ext.expanded("") == []
    assert reference_ext.find("linear.kl").__name__ == "kl"
    with pytest.raises(AttributeError):
        reference_ext.expanded("nothing.*")


def test_every_public_name_is_on_one_page_of_the_reference():
    """As the pages are written; the build warns of names that are on none."""
    found = []
    for page in (ROOT / "reference").glob("*.md"):
        text = page.read_text(encoding="utf-8")
        for block in text.split("```{library}")[1:]:
            for line in block.partition("```")[0].split():
                found += reference_ext.expanded(line)
    assert sorted(found) == sorted(reference_ext.public_names())


def test_a_notebook_uses_the_names_of_its_cells(tmp_path):
    cells = [
        nbformat.v4.new_markdown_cell("`es.Gaussian` is only spoken of"),
        nbformat.v4.new_code_cell("es.EmpiricalScore(data)\nes.linear.kl(3, 2, 1.0)"),
        nbformat.v4.new_code_cell("yes.train, es.nothing, es.datasets.mnist()"),
    ]
    path = tmp_path / "page.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    names = ["EmpiricalScore", "datasets.mnist", "linear.kl"]
    assert reference_ext.used_in(path) == names
