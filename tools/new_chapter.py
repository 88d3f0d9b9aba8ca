"""Begin a chapter: a text with the parts that a chapter has, and its line in the toc.

    python tools/new_chapter.py chapters/smoothing/my_idea "What my idea shows"

The text is a start: it names what a chapter needs, and the gates say what is missing.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import kernel

TEXT = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

(sec-{label})=
# {title}

**One claim, at most thirty words, and no word that is defined only later.**

```{{code-cell}} ipython3
:tags: [hide-cell]

import numpy as np

import empirical_score as es
from empirical_score._book import figures

figures.setup()
```

The smallest concrete case, and the picture that shows the idea.

```{{admonition}} Before and after
- You need: links.
- Afterwards you can: two or three things.
```

## The idea

## What this does not show

## Summary

## Exercises

## Notes and sources
"""


def begin(place: str, title: str, root: Path) -> Path:
    """Write the text of a new chapter and put it behind the last one of its folder."""
    path = root / f"{place.removesuffix('.md')}.md"
    name = path.relative_to(root).with_suffix("").as_posix()
    if not re.fullmatch(r"chapters/[a-z_]+/[a-z][a-z0-9_]*", name):
        raise ValueError(
            f"place must be chapters/FOLDER/name_in_lower_case, got {place}"
        )
    if path.exists():
        raise ValueError(f"{name}.md is there already")
    toc = root / "_toc.yml"
    lines = toc.read_text(encoding="utf-8").splitlines(keepends=True)
    folder = f"- file: {name.rpartition('/')[0]}/"
    last = [number for number, line in enumerate(lines) if folder in line]
    if not last:
        raise ValueError(
            f"no chapter of {folder[8:]} is in _toc.yml: add its part first"
        )
    indent = lines[last[-1]].partition("-")[0]
    lines.insert(last[-1] + 1, f"{indent}- file: {name}\n")
    label = path.stem.replace("_", "-")
    path.write_text(TEXT.format(label=label, title=title), encoding="utf-8")
    toc.write_text("".join(lines), encoding="utf-8")
    return path


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("place", help="chapters/FOLDER/name")
    parser.add_argument("title")
    options = parser.parse_args(arguments)
    try:
        path = begin(options.place, options.title, kernel.ROOT)
    except ValueError as error:
        parser.error(str(error))
    print(f"{path.relative_to(kernel.ROOT)}: write it, then `make run`")
    return 0


if __name__ == "__main__":
    sys.exit(main())
