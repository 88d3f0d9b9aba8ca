"""Executing a chapter: every cell in a fresh kernel, under a numeric set-up."""

from __future__ import annotations

import json
import os
from pathlib import Path

import nbformat
from nbclient import NotebookClient

import chapters
import kernel
import numerics

REPORT = (
    "import json, runpy; print(json.dumps("
    f"runpy.run_path({numerics.__file__!r})['report']()))"
)


def execute(
    book: nbformat.NotebookNode,
    folder: Path,
    root: Path,
    setup: numerics.Setup = numerics.OWN,
) -> dict[str, object]:
    """Run every cell of a chapter in its folder; what the kernel computed with.

    Other set-ups than the machine's own may take ten times as long.
    """
    probe = nbformat.v4.new_code_cell(REPORT)
    book.cells.append(probe)
    client = NotebookClient(
        book,
        timeout=kernel.CELL_TIMEOUT * (1 if setup is numerics.OWN else 10),
        # On a busy machine outputs come late: by default they would be lost silently.
        iopub_timeout=kernel.CELL_TIMEOUT,
        raise_on_iopub_timeout=True,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
    )
    environment = {**os.environ, **kernel.environment(root), **setup.variables}
    try:
        client.execute(env=environment)
    finally:
        book.cells.pop()
        for number, cell in enumerate(chapters.code_cells(book), start=1):
            tidy(cell, number)
    return json.loads(probe.outputs[0].text)


def raised(cell: nbformat.NotebookNode) -> bool:
    """Whether a cell raised an error that it was not to raise."""
    expected = "raises-exception" in cell.metadata.get("tags", [])
    kinds = [output.output_type for output in cell.outputs]
    return "error" in kinds and not expected


def tidy(cell: nbformat.NotebookNode, number: int) -> None:
    """Number a cell, and take from its outputs what differs between machines."""
    cell.execution_count = number
    cell.metadata.pop("execution", None)
    cell.outputs = [normalized(output) for output in cell.outputs]
    for output in cell.outputs:
        if output.output_type == "execute_result":
            output.execution_count = number


def normalized(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """An output without what differs between machines: paths inside a traceback."""
    output.pop("transient", None)
    if output.output_type == "error":
        output.traceback = [f"{output.ename}: {output.evalue}"]
    for mime, value in output.get("data", {}).items():
        if mime.startswith("image/") and isinstance(value, str):
            output.data[mime] = value.strip()
    return output
