"""What would have refuted a row of the ledger: its last column but one.

A row that shows predictions of a chapter's checks (records `NAME_predicted`) is refuted
by a gap above the tolerance that the check allows, `NAME_tolerance`, which is recorded
beside them. Any other row says it in words, `[more than six]{.refuted}`, in one of its
cells. The column is made of both, so that no tolerance is written twice. A row that
says neither is a warning, and a warning fails the build.
"""

from __future__ import annotations

from docutils import nodes
from myst_nb.ext.glue.utils import PendingGlueReference
from papers_ext import is_ledger
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

logger = logging.getLogger(__name__)
TITLE = "Refuted by"


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


class AddColumn(SphinxTransform):
    """Puts the column before the verdict, in every table of the ledger."""

    default_priority = 500

    def apply(self, **_: object) -> None:
        for table in list(filter(is_ledger, self.document.findall(nodes.table))):
            (group,) = table.findall(nodes.tgroup)
            group["cols"] += 1
            group.insert(-3, next(group.findall(nodes.colspec)).deepcopy())
            (head,) = next(table.findall(nodes.thead))
            head.insert(-1, nodes.entry("", nodes.paragraph("", TITLE)))
            for row in next(table.findall(nodes.tbody)):
                said = [tolerances(row), words(row)]
                if not any(said):
                    self.warn(row)
                both = [nodes.Text("; ")] if all(said) else []
                cell = nodes.paragraph("", "", *said[0], *both, *said[1])
                row.insert(-1, nodes.entry("", cell))

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
