"""How the chapters are compared with their stored outputs.

nbval executes every notebook and compares text and glued numbers exactly, but it skips
images. Here its comparison is extended: a cell must give as many PNG figures as it
stores, of the same size, and equal to them up to a root mean square of 1 in 255.
"""

from __future__ import annotations

import base64
import io
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "tools"))
import chapters  # noqa: E402
import kernel  # noqa: E402

MAX_RMS = 1.0  # of 255; a parameter changed by one percent gives about 1.4
DIFFERENCES = ROOT / "_build" / "figure-diffs"

os.environ.update(kernel.environment(ROOT))


def pngs(outputs) -> list[bytes]:
    """The PNG images among a cell's outputs."""
    data = [dict(output.get("data", {})).get("image/png") for output in outputs]
    return [base64.b64decode(png) for png in data if png]


def distance(stored: bytes, fresh: bytes) -> tuple[float, str]:
    """Root mean square difference of two PNG images, and what is wrong, if anything."""
    if stored == fresh:
        return 0.0, ""
    pair = [Image.open(io.BytesIO(png)).convert("RGB") for png in (stored, fresh)]
    if pair[0].size != pair[1].size:
        return float("inf"), f"size changed from {pair[0].size} to {pair[1].size}"
    first, second = (np.asarray(image, dtype=float) for image in pair)
    rms = float(np.sqrt(np.mean((first - second) ** 2)))
    return rms, f"RMS {rms:.2f} of 255" if rms > MAX_RMS else ""


def compare_figures(cell, stored: list[bytes], fresh: list[bytes]) -> list[str]:
    """What differs between stored and fresh figures; both are written out then."""
    if len(stored) != len(fresh):
        return [f"{len(stored)} figures stored, {len(fresh)} produced"]
    found = []
    for number, pair in enumerate(zip(stored, fresh, strict=True), start=1):
        _, message = distance(*pair)
        if message:
            DIFFERENCES.mkdir(parents=True, exist_ok=True)
            place = re.sub(r"\W+", "-", cell.nodeid).strip("-") + f"-{number}"
            for name, png in zip(("stored", "fresh"), pair, strict=True):
                (DIFFERENCES / f"{place}-{name}.png").write_bytes(png)
            shown = DIFFERENCES.relative_to(ROOT)
            found.append(f"figure {number}: {message}; see {shown}/{place}-*.png")
    return found


def pytest_collection_modifyitems(items) -> None:
    """Skip, and say so, the cells of chapters whose data are not on this machine."""
    reasons: dict[Path, str] = {}
    for item in items:
        if item.path.suffix == ".ipynb" and item.path.with_suffix(".md").exists():
            if item.path not in reasons:
                reasons[item.path] = chapters.missing_data(item.path)
            if reasons[item.path]:
                item.add_marker(pytest.mark.skip(reason=reasons[item.path]))


def pytest_configure(config) -> None:
    """Extend nbval's comparison of outputs, if nbval is there."""
    try:
        from nbval.plugin import IPyNbCell
    except ImportError:
        return
    if hasattr(IPyNbCell, "compare_text"):
        return
    IPyNbCell.compare_text = IPyNbCell.compare_outputs

    def compare_outputs(self, test, ref, skip_compare=None) -> bool:
        same = IPyNbCell.compare_text(self, test, ref, skip_compare)
        found = compare_figures(self, pngs(ref), pngs(test))
        self.comparison_traceback.extend(found)
        return same and not found

    IPyNbCell.compare_outputs = compare_outputs
