"""How the chapters are compared with their stored outputs.

nbval executes every notebook; what counts as the same outputs is in
`tools/comparison.py`. Figures that differ are written out, side by side.
"""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "tools"))
import chapters  # noqa: E402
import comparison  # noqa: E402
import kernel  # noqa: E402

DIFFERENCES = ROOT / "_build" / "figure-diffs"

os.environ.update(kernel.environment(ROOT))


def pytest_collection_modifyitems(items) -> None:
    """Skip, and say so, the cells of chapters whose data are not on this machine."""
    reasons: dict[Path, str] = {}
    for item in items:
        if item.path.suffix == ".ipynb" and item.path.with_suffix(".md").exists():
            if item.path not in reasons:
                reasons[item.path] = chapters.missing_data(item.path)
            if reasons[item.path]:
                item.add_marker(pytest.mark.skip(reason=reasons[item.path]))


def compare_outputs(cell, fresh, stored, skip_compare=None) -> bool:
    """Whether a cell's outputs agree; nbval shows what we found if they do not."""
    found = comparison.differences(stored, fresh, cell.cell.metadata.get("tags", []))
    cell.comparison_traceback = found
    place = re.sub(r"\W+", "-", cell.nodeid).strip("-")
    comparison.keep_figures(DIFFERENCES, place, stored, fresh)
    return not found


def pytest_configure(config) -> None:
    """Replace nbval's comparison of outputs, if nbval is there."""
    try:
        from nbval.plugin import IPyNbCell
    except ImportError:
        return
    IPyNbCell.compare_outputs = compare_outputs


def pytest_terminal_summary(terminalreporter) -> None:
    """Name the ten chapters that took longest, after the cells that did."""
    seconds: Counter = Counter()
    for report in (r for group in terminalreporter.stats.values() for r in group):
        place = getattr(report, "nodeid", "").partition("::")[0]
        if place.endswith(".ipynb"):
            seconds[place] += getattr(report, "duration", 0.0)
    if seconds:
        terminalreporter.section("slowest 10 chapters")
    for place, taken in seconds.most_common(10):
        terminalreporter.line(f"{taken:6.1f} s  {place}")
