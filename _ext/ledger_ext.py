"""The ledger as it is read: what would have refuted a row, and what kind of row it is.

A row that shows predictions of a chapter's checks (records `NAME_predicted`) is refuted
by a gap above the tolerance that the check allows, `NAME_tolerance`, which is recorded
beside them. Any other row says it in words, `[more than six]{.refuted}`, in one of its
cells. The column is made of both, so that no tolerance is written twice. A row that
says neither is a warning, and a warning fails the build.

Each row bears classes for whose it is and how it fared, by which `ledger_view_ext.py`
counts, folds and filters; within a table claims that the book corrects come first.
"""

from __future__ import annotations

import re

from docutils import nodes
from myst_nb.ext.glue.utils import PendingGlueReference
from papers_ext import is_ledger, read
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

logger = logging.getLogger(__name__)
TITLE = "Refuted by"
WHOSE = ("theirs", "sharpened", "corrected", "ours", "known")
VERDICTS = ("holds", "qualified", "otherwise")
HOLDS = re.compile(r"(?:holds|reproduced)\b")


def tolerances(row: nodes.row) -> list[nodes.Node]:
    """A gap above the tolerances of the checks whose predictions a row shows."""
    made: list[nodes.Node] = []
    for shown in row.findall(PendingGlueReference):
        if shown.key.endswith("_predicted"):
            made.append(nodes.Text("; " if made else "a gap above "))
            made.append(shown.deepcopy())
            made[-1]["key"] = shown.key.removesuffix("predicted") + "tolerance"
    return made


def words(row: nodes.row) -> list[nodes.Node]:
    """What a row says in words, taken out of its cell."""
    made: list[nodes.Node] = []
    for said in list(row.findall(nodes.inline)):
        if "refuted" in said["classes"]:
            said.parent.remove(said)
            made += [nodes.Text("; ")] if made else []
            made += said.children
    return made


def whose(row: nodes.row) -> list[str]:
    """Whose a statement is: what its cell names, or known to others.

    What the cell calls theirs with a citation is of none of the four papers.
    """
    cell = row[1].astext()
    named = [word for word in WHOSE if re.search(rf"\b{word}\b", cell)]
    if re.match("theirs, (?:elsewhere|restated)", cell):
        named.remove("theirs")
    return named or ["known"]


def verdict(row: nodes.row) -> str:
    """Whether the verdict is that a row holds, holds with words added, or another."""
    said = row[-1].astext()
    found = HOLDS.match(said)
    if not found:
        return "otherwise"
    return "holds" if found[0] == said else "qualified"


def mark(row: nodes.row, page: str) -> None:
    """Give a row the classes of what it is; keep what it refers to."""
    found = read(row, page, "")
    row["labels"], row["pages"] = list(found.labels), list(found.pages)
    row["classes"] += [f"whose-{word}" for word in whose(row)]
    row["classes"].append(f"verdict-{verdict(row)}")


def corrected_first(body: nodes.tbody) -> None:
    """Put the claims that the book corrects before the other rows of a table."""
    body[:] = sorted(body, key=lambda row: "whose-corrected" not in row["classes"])


class AddColumn(SphinxTransform):
    """Puts the column before the verdict, in every table of the ledger; marks rows."""

    default_priority = 500

    def apply(self, **_: object) -> None:
        for table in list(filter(is_ledger, self.document.findall(nodes.table))):
            (group,) = table.findall(nodes.tgroup)
            group["cols"] += 1
            group.insert(-3, next(group.findall(nodes.colspec)).deepcopy())
            (head,) = next(table.findall(nodes.thead))
            head.insert(-1, nodes.entry("", nodes.paragraph("", TITLE)))
            table["classes"].append("ledger")
            for row in next(table.findall(nodes.tbody)):
                said = [tolerances(row), words(row)]
                if not any(said):
                    self.warn(row)
                both = [nodes.Text("; ")] if all(said) else []
                cell = nodes.paragraph("", "", *said[0], *both, *said[1])
                row.insert(-1, nodes.entry("", cell))
                mark(row, self.env.docname)
            corrected_first(next(table.findall(nodes.tbody)))

    def warn(self, row: nodes.row) -> None:
        """A warning, for the build to fail on."""
        logger.warning(
            "nothing would refute this row: %s",
            row[0].astext()[:90],
            location=self.env.docname,
            type="book",
            subtype="ledger",
        )


def setup(app: Sphinx) -> dict:
    """Register with Sphinx."""
    app.add_transform(AddColumn)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
