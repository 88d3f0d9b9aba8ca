"""How long, how wordy and how full of code the page of a chapter may be.

Measured on the built page at desktop width by `metrics` in `checks.js`, while
`browse_site.py` has the page open:

words   visible words of running text: not in folds, code, tables, figures, formulas
lead    words of the bold sentence below the title
code    visible code and its output as text, percent of the article's height
first   pixels from the top of the article to the first figure or lab

A page that may go beyond is listed in `page_limits.toml`, with how far and the reason.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

LIMITS = {"words": 2500, "lead": 30, "code": 15, "first": 900}
WORDS = {
    "words": "visible words of text",
    "lead": "words in the bold lead sentence",
    "code": "percent of the page are visible code and its output",
    "first": "pixels from the top to the first figure or lab",
}
ALLOWED = Path(__file__).with_suffix(".toml")
CHAPTERS = "chapters/"


def allowances(path: Path = ALLOWED) -> dict[str, dict]:
    """What pages may go beyond: limits by page, each page with its reason."""
    given = tomllib.loads(path.read_text(encoding="utf-8"))
    for page, entry in given.items():
        numbers = {key: value for key, value in entry.items() if key != "reason"}
        if not entry.get("reason") or not numbers or numbers.keys() - LIMITS.keys():
            raise ValueError(f"{path.name}: {page} needs a reason and limits: {entry}")
        if lower := [key for key in numbers if numbers[key] <= LIMITS[key]]:
            raise ValueError(f"{path.name}: {page}: not above the limit: {lower}")
    return given


def beyond(page: str, measured: dict, allowed: dict[str, dict]) -> list[str]:
    """What of a page, as `metrics` measured it, is beyond its limits."""
    if not page.startswith(CHAPTERS):
        return []
    own = allowed.get(page.removesuffix(".html"), {})
    found = []
    for key, most in LIMITS.items():
        value, most = measured[key], own.get(key, most)
        if value is None:
            found.append(f"no {'figure or lab' if key == 'first' else key}")
        elif value > most:
            found.append(f"{value} {WORDS[key]}, {most} at most")
    return found


def spare(measured: dict[str, dict], allowed: dict[str, dict]) -> list[str]:
    """Allowances of measured pages that are not needed (any more)."""
    return [
        f"{page}: {key} is {measured[name][key]}; its allowance can go"
        for page, entry in allowed.items()
        if (name := f"{page}.html") in measured
        for key in entry.keys() & LIMITS.keys()
        if (measured[name][key] or 0) <= LIMITS[key]
    ]


def table(measured: dict[str, dict]) -> list[str]:
    """The measures of all chapters, in columns."""
    rows = ["".join(f"{key:>8}" for key in LIMITS) + "  page"]
    for name, values in measured.items():
        numbers = "".join(f"{values[key]!s:>8}" for key in LIMITS)
        rows.append(f"{numbers}  {name}")
    return rows
