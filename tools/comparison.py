"""When two executions of a cell gave the same outputs: all the rules.

What is printed, shown, glued and raised must be the same, in the same order:

* text is the same, character by character;
* except that in a cell tagged ``measurement`` a decimal number (digits, point, digits)
  may differ by one unit in its last place, if it keeps its number of digits. Signs,
  integers, words, and all that stands inside the tags of HTML, are text;
* a PNG figure has the same size, and differs by a root mean square of 1 in 255 at most;
* everything else that a notebook can hold (SVG, JSON and so on) is the same.
"""

from __future__ import annotations

import base64
import io
import itertools
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
from PIL import Image

MEASUREMENT = "measurement"
MAX_RMS = 1.0  # of 255; a parameter changed by one percent gives about 1.4
DECIMAL = r"(?<![\w.])(\d+\.\d+(?:e[+-]\d+)?)(?!\w|\.\d)"
DECIMALS = {  # where a measurement can stand, by the kind of output
    "stdout": re.compile(DECIMAL),
    "text/plain": re.compile(DECIMAL),
    "application/papermill.record/text/plain": re.compile(DECIMAL),
    "text/html": re.compile(DECIMAL + r"(?![^<]*>)"),
}


@dataclass(frozen=True)
class Part:
    """One thing that a cell gave; `label` says which."""

    label: str
    kind: str
    content: object


def parts(outputs: Iterable[dict]) -> list[Part]:
    """What a cell gave, in order."""
    found = []
    for output in outputs:
        if output["output_type"] == "stream":
            found.append(Part(output["name"], output["name"], output["text"]))
        elif output["output_type"] == "error":
            content = f"{output['ename']}: {output['evalue']}"
            found.append(Part("error", "error", content))
        else:
            record = output.get("metadata", {}).get("scrapbook")
            for kind, content in sorted(output["data"].items()):
                found.append(Part(record["name"] if record else kind, kind, content))
    return found


def differences(
    stored: Sequence[dict], fresh: Sequence[dict], tags: Collection[str] = ()
) -> list[str]:
    """What differs between a cell's outputs; nothing if they agree."""
    old, new = parts(stored), parts(fresh)
    labels = [[part.label for part in found] for found in (old, new)]
    if labels[0] != labels[1]:
        names = [", ".join(found) or "nothing" for found in labels]
        return [f"outputs: {names[1]} instead of {names[0]}"]
    problems = []
    for before, after in zip(old, new, strict=True):
        if before.kind == "image/png":
            problem = figures(before.content, after.content)
        else:
            problem = texts(before, after, MEASUREMENT in tags)
        if problem:
            problems.append(f"{before.label}: {problem}")
    return problems


def texts(stored: Part, fresh: Part, measurement: bool) -> str:
    """What is wrong with a text, if anything."""
    if stored == fresh:
        return ""
    if measurement and stored.kind in DECIMALS:
        pattern = DECIMALS[stored.kind]
        old, new = pattern.split(stored.content), pattern.split(fresh.content)
        # Text and numbers, by turns.
        if old[::2] == new[::2] and all(map(near, old[1::2], new[1::2])):
            return ""
    lines = [str(part.content).splitlines(keepends=True) for part in (stored, fresh)]
    pairs = itertools.zip_longest(*lines, fillvalue="")
    before, after = next(pair for pair in pairs if pair[0] != pair[1])
    return f"{after[:200]!r} instead of {before[:200]!r}"


def near(stored: str, fresh: str) -> bool:
    """Whether two decimal numbers differ by a unit in their last place at most."""
    if re.sub(r"\d", "0", stored) != re.sub(r"\d", "0", fresh):
        return False
    numbers = Decimal(stored), Decimal(fresh)
    unit = Decimal(1).scaleb(min(number.as_tuple().exponent for number in numbers))
    return abs(numbers[0] - numbers[1]) <= unit


def figures(stored: str, fresh: str) -> str:
    """What is wrong with a PNG figure, given in base 64, if anything."""
    if stored.strip() == fresh.strip():
        return ""
    pair = [
        Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
        for png in (stored, fresh)
    ]
    if pair[0].size != pair[1].size:
        return f"size changed from {pair[0].size} to {pair[1].size}"
    old, new = (np.asarray(image, dtype=float) for image in pair)
    rms = float(np.sqrt(np.mean((old - new) ** 2)))
    return f"RMS {rms:.2f} of 255" if rms > MAX_RMS else ""


def keep_figures(folder: Path, place: str, stored: Sequence, fresh: Sequence) -> None:
    """Write the figures of a cell that differ into a folder, side by side."""
    pngs = [
        [part.content for part in parts(outputs) if part.kind == "image/png"]
        for outputs in (stored, fresh)
    ]
    for number, pair in enumerate(zip(*pngs, strict=False), start=1):
        if figures(*pair):
            folder.mkdir(parents=True, exist_ok=True)
            for name, png in zip(("stored", "fresh"), pair, strict=True):
                file = folder / f"{place}-{number}-{name}.png"
                file.write_bytes(base64.b64decode(png))
