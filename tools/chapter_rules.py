"""The rules that every chapter keeps, and which `make test` enforces.

Each rule is a small function that takes a `Chapter` and yields problems. A problem
names the file, the cell (counting all cells from 1) and the rule, so that it can be
found and read about here. Rules on Python code are in `code_rules.py`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nbformat

import chapters
import code_rules
import comparison

MAX_LINES, MAX_COLUMNS, MAX_PNG_BYTES, MIN_ALT = 30, 88, 100_000, 40
TAGS = {
    "hide-input",
    "hide-cell",
    "remove-cell",
    "remove-output",
    "raises-exception",
    "nbval-ignore-output",
    comparison.MEASUREMENT,
}
HIDDEN = {"hide-input", "hide-cell", "remove-cell"}
CELL_METADATA = {"tags", "mystnb"}
SECTIONS = (
    "What this does not show",
    "Summary",
    "Exercises",
    "Notes and sources",
)
PREFIXES = {
    "prf:theorem": "thm-",
    "prf:lemma": "lem-",
    "prf:proposition": "prop-",
    "prf:definition": "def-",
    "prf:corollary": "cor-",
    "prf:algorithm": "alg-",
    "prf:remark": "rem-",
    "prf:example": "exa-",
    "prf:assumption": "asm-",
    "prf:conjecture": "conj-",
    "prf:observation": "obs-",
    "exercise": "ex-",
    "exercise-start": "ex-",
    "math": "eq-",
    "figure": "fig-",
    "table": "tab-",
    "list-table": "tab-",
}
NEEDS_LABEL = {f"prf:{k}" for k in ("theorem", "lemma", "proposition", "definition")}
NEEDS_LABEL |= {"prf:corollary", "prf:algorithm", "exercise", "exercise-start"}
DIRECTIVE = re.compile(
    r"^(?P<fence>`{3,}|:{3,})\{(?P<name>[\w:-]+)\}(?P<title>[^\n]*)\n"
    r"(?P<options>(?:[ ]*:[\w-]+:[^\n]*\n)*)",
    re.MULTILINE,
)
LABEL = re.compile(r"^[ ]*:(?:label|name):[ ]*(\S+)", re.MULTILINE)
DIFFICULTIES = ("easy", "medium", "hard")
KINDS = ("By hand", "Change the code", "Explore in the lab", "Open")
KIND = re.compile(rf"\*\*({'|'.join(KINDS)})(, then in code)?\.\*\* ")
REASON = re.compile(r"#\s*nbval:\s*\S.{10,}")
MACHINE_TEXT = re.compile(
    r"(?:/(?:home|root|Users|tmp|usr|opt|var|work|private)/[\w./-]+)|site-packages"
    r"|\bat 0x[0-9a-f]{6,}|[A-Z]:\\\\?Users"
)


@dataclass(frozen=True)
class Problem:
    """One broken rule at one place."""

    file: str
    cell: int
    rule: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}: cell {self.cell}" if self.cell else self.file
        return f"{where}: [{self.rule}] {self.message}"


@dataclass
class Chapter:
    """A chapter's text, the notebook it stands for, and the notebook stored."""

    path: Path
    root: Path

    @property
    def name(self) -> str:
        return str(self.path.relative_to(self.root))

    @property
    def is_ledger(self) -> bool:
        return self.path.stem == "ledger"

    @cached_property
    def source(self) -> nbformat.NotebookNode:
        return chapters.read(self.path)

    @cached_property
    def stored(self) -> nbformat.NotebookNode | None:
        target = self.path.with_suffix(".ipynb")
        return nbformat.read(target, as_version=4) if target.exists() else None

    def numbered(self, kind: str) -> Iterator[tuple[int, nbformat.NotebookNode]]:
        """Cells of one kind with outputs where stored, numbered from 1 among all."""
        book = self.stored or self.source
        for number, cell in enumerate(book.cells, start=1):
            if cell.cell_type == kind:
                yield number, cell


Found = Iterator[tuple[int, str]]


def tags(cell: nbformat.NotebookNode) -> set[str]:
    """The tags of a cell."""
    return set(cell.metadata.get("tags", []))


def pictures(cell: nbformat.NotebookNode) -> list[bytes]:
    """The PNG images among a cell's outputs."""
    data = [output.get("data", {}).get("image/png") for output in cell.outputs]
    return [base64.b64decode(png) for png in data if png]


def same_inputs(chapter: Chapter) -> Found:
    """The notebook has exactly the cells of the text, in the one normal form."""
    if chapter.stored is None:
        yield 0, "no notebook beside it: run `make run`"
        return
    text, kept = chapter.source.cells, chapter.stored.cells
    for number, (new, old) in enumerate(zip(text, kept, strict=False), start=1):
        for part in ("cell_type", "source", "metadata", "id"):
            if new.get(part) != old.get(part):
                yield number, f"{part} differs from the text: run `make run`"
                return
    if len(text) != len(kept):
        yield 0, f"text has {len(text)} cells, notebook {len(kept)}: run `make run`"
        return
    target = chapter.path.with_suffix(".ipynb")
    if chapters.dumps(chapter.stored) != target.read_text(encoding="utf-8"):
        yield 0, "notebook is not in normal form: run `make run`"


def executed(chapter: Chapter) -> Found:
    """Every code cell was executed, from the first to the last; none is stripped.

    A cell without a count would be run but not compared by nbval.
    """
    if chapter.stored is None:
        return
    for want, (number, cell) in enumerate(chapter.numbered("code"), start=1):
        if cell.execution_count != want:
            count = cell.execution_count
            yield number, f"execution count is {count}, expected {want}: stripped?"


def clean_outputs(chapter: Chapter) -> Found:
    """No error, nothing on stderr, nothing that tells of the machine."""
    for number, cell in chapter.numbered("code"):
        for output in cell.outputs:
            kind = output.output_type
            if kind == "error" and "raises-exception" not in tags(cell):
                yield number, f"stored error output: {output.ename}"
            if kind == "stream" and output.name == "stderr":
                yield number, f"output on stderr (a warning is a bug): {output.text!r}"
            texts = [output.get("text", ""), *output.get("traceback", [])]
            data = output.get("data", {}).items()
            texts += [v for k, v in data if k.startswith("text/")]
            for found in (MACHINE_TEXT.search(str(t)) for t in texts):
                if found:
                    yield number, f"output depends on the machine: {found[0]!r}"
        if "raises-exception" in tags(cell) and not any(
            output.output_type == "error" for output in cell.outputs
        ):
            yield number, "tagged raises-exception but stores no error"


def tag_whitelist(chapter: Chapter) -> Found:
    """Only known tags and metadata; an ignored output states its reason."""
    for number, cell in chapter.numbered("code"):
        for tag in sorted(tags(cell) - TAGS):
            yield number, f"tag {tag!r} is not one of {', '.join(sorted(TAGS))}"
        for key in sorted(set(cell.metadata) - CELL_METADATA):
            yield number, f"cell metadata {key!r}: only tags and mystnb are known"
        if "nbval-ignore-output" in tags(cell) and not REASON.search(cell.source):
            yield number, "nbval-ignore-output needs a comment `# nbval: <reason>`"
        if re.search(r"#\s*(NBVAL|PYTEST_VALIDATE)_", cell.source):
            yield number, "comment switches nbval off: use a tag with its reason"
        if comparison.MEASUREMENT in tags(cell) and not any(
            part.kind in comparison.DECIMALS
            and comparison.DECIMALS[part.kind].search(part.content)
            for part in comparison.parts(cell.outputs)
        ):
            yield number, "tagged measurement, but gives no decimal number"


def figure_cells(chapter: Chapter) -> Found:
    """A figure has one image, a name, a caption and a real alternative text."""
    for number, cell in chapter.numbered("code"):
        images = pictures(cell)
        for png in images:
            if len(png) > MAX_PNG_BYTES:
                size, most = len(png) / 1000, MAX_PNG_BYTES / 1000
                yield number, f"PNG of {size:.0f} kB, at most {most:.0f} kB"
        if not images and not re.search(r"\.show\(\)\s*$", cell.source):
            continue
        if len(images) > 1:
            yield number, f"{len(images)} images in one cell: one figure, one caption"
        mystnb = cell.metadata.get("mystnb", {})
        figure, image = mystnb.get("figure", {}), mystnb.get("image", {})
        alt, caption = str(image.get("alt", "")), str(figure.get("caption", ""))
        if not str(figure.get("name", "")).startswith("fig-"):
            yield number, "figure without mystnb.figure.name that starts with fig-"
        if len(caption.split()) < 5:
            yield number, "figure without mystnb.figure.caption (a sentence: the claim)"
        if len(alt) < MIN_ALT:
            yield (
                number,
                f"mystnb.image.alt under {MIN_ALT} characters: say what is seen",
            )
        elif alt.strip() == caption.strip():
            yield number, "alternative text repeats the caption: say what is seen"
        if images and not re.search(r"\.show\(\)\s*$", cell.source):
            yield number, "a cell with a figure ends in plt.show()"


def cell_size(chapter: Chapter) -> Found:
    """Small cells: at most 30 lines of at most 88 columns."""
    for number, cell in chapter.numbered("code"):
        lines = cell.source.splitlines()
        if len(lines) > MAX_LINES:
            yield number, f"{len(lines)} lines, at most {MAX_LINES}: move code to lib"
        for line in lines:
            if len(line) > MAX_COLUMNS:
                yield number, f"line of {len(line)} columns, at most {MAX_COLUMNS}"


def cell_rhythm(chapter: Chapter) -> Found:
    """Prose between visible code cells; no empty cells; a hidden set-up cell first."""
    book = chapter.source
    for number, cell in enumerate(book.cells, start=1):
        if not cell.source.strip():
            yield number, "empty cell"
        before = book.cells[number - 2] if number > 1 else None
        if cell.cell_type != "code" or before is None or before.cell_type != "code":
            continue
        if not (tags(cell) | tags(before)) & HIDDEN:
            yield number, "visible code follows visible code: say what comes next"
    first = next(iter(chapter.numbered("code")), None)
    if first and not tags(first[1]) & HIDDEN:
        yield first[0], "the first code cell is the set-up cell: hide its input"
    if first and "figures.setup()" not in first[1].source:
        yield first[0], "the set-up cell calls figures.setup()"


def python_rules(chapter: Chapter) -> Found:
    """No magics, filters, global seeds, progress bars, timings, paths, network."""
    for number, cell in chapter.numbered("code"):
        for message in code_rules.problems(cell.source):
            yield number, message


def glue_keys(chapter: Chapter) -> Found:
    """Glued quantities are named after the chapter: `<chapter>_<quantity>`."""
    for number, cell in chapter.numbered("code"):
        for output in cell.outputs:
            key = output.get("metadata", {}).get("scrapbook", {}).get("name")
            if key is not None and not key.startswith(chapter.path.stem + "_"):
                yield number, f"glue key {key!r} must start with {chapter.path.stem}_"


def prose(chapter: Chapter) -> str:
    """All Markdown of a chapter, without the insides of plain code fences."""
    return "\n\n".join(
        cell.source for cell in chapter.source.cells if cell.cell_type == "markdown"
    )


def headings(text: str) -> list[tuple[int, str]]:
    """Headings of a Markdown text as (level, title), outside of fences."""
    found, fence = [], None
    for line in text.splitlines():
        mark = re.match(r"(`{3,}|~{3,}|:{3,})", line)
        if mark and fence is None and not mark[1].startswith(":"):
            fence = mark[1]
        elif fence and line.strip() == fence:
            fence = None
        elif fence is None and (title := re.match(r"(#{1,6}) +(.+?)\s*$", line)):
            found.append((len(title[1]), title[2]))
    return found


def structure(chapter: Chapter) -> Found:
    """One title, one bold sentence with the result, and the closing sections."""
    text = prose(chapter)
    titles = headings(text)
    tops = [title for level, title in titles if level == 1]
    if len(tops) != 1 or titles[0][0] != 1:
        yield 1, f"one heading of level 1, and it comes first; found {len(tops)}"
        return
    for (level, _), (deeper, title) in zip(titles, titles[1:], strict=False):
        if deeper > level + 1:
            yield 0, f"heading {title!r} skips a level"
    if chapter.is_ledger:
        return
    after = text.split(tops[0], 1)[1].strip()
    if not re.match(r"\*\*[^*]+\*\*\s*(\n\n|\Z)", after):
        yield 1, "after the title: one paragraph, bold, one sentence: the result"
    seconds = [title for level, title in titles if level == 2]
    places = [seconds.index(title) for title in SECTIONS if title in seconds]
    for title in SECTIONS:
        if title not in seconds:
            yield 0, f"section missing: ## {title}"
    if places != sorted(places):
        yield 0, f"sections in this order: {', '.join(SECTIONS)}"


def exercises(chapter: Chapter) -> Found:
    """Four to six exercises, each of a known kind, which says how hard it is."""
    kinds = []
    for number, cell in chapter.numbered("markdown"):
        for match in DIRECTIVE.finditer(cell.source):
            if match["name"] not in ("exercise", "exercise-start"):
                continue
            label = LABEL.search(match["options"])
            name = label[1] if label else "without a label"
            level = re.search(r"^[ ]*:class:[ ]*(.*?)[ ]*$", match["options"], re.M)
            if not level or level[1] not in DIFFICULTIES:
                yield number, f"exercise {name}: :class: {', '.join(DIFFICULTIES)}?"
            kind = KIND.match(cell.source[match.end() :].lstrip("`:\n "))
            kinds.append(kind and kind[1])
            if not kind:
                yield number, f"exercise {name} must start with **KIND.**: {KINDS}"
    if chapter.is_ledger:
        return
    if not 4 <= len(kinds) <= 6:
        yield 0, f"{len(kinds)} exercises, expected 4 to 6"
    for kind in ("By hand", "Change the code", "Open"):
        if kind not in kinds:
            yield 0, f"no exercise of the kind **{kind}.**"


def labels(chapter: Chapter) -> Found:
    """Labels tell by their prefix what they label; statements have one."""
    for number, cell in chapter.numbered("markdown"):
        for match in DIRECTIVE.finditer(cell.source):
            name, label = match["name"], LABEL.search(match["options"])
            prefix = PREFIXES.get(name)
            if name in NEEDS_LABEL and not label:
                yield number, f"{name} without :label: {prefix}..."
            if prefix and label and not label[1].startswith(prefix):
                yield number, f"{name} label {label[1]!r} must start with {prefix}"
            if name in ("solution", "solution-start") and not re.search(
                r":class:.*\bdropdown\b", match["options"]
            ):
                yield number, f"{name} {match['title'].strip()}: add :class: dropdown"
        for label in re.findall(r"\$\$[ ]*\(([^()\s]+)\)[ ]*$", cell.source, re.M):
            if not label.startswith("eq-"):
                yield number, f"equation label {label!r} must start with eq-"
        for label in re.findall(r"\\label\{([^}]*)\}", cell.source):
            if not label.startswith("eq-"):
                yield number, f"equation label {label!r} must start with eq-"
        for label in re.findall(r"^\(([\w-]+)\)=[ ]*$", cell.source, re.M):
            if not label.startswith(("sec-", "ch-")):
                yield number, f"section label {label!r} must start with sec- or ch-"


RULES = {
    "same-inputs": same_inputs,
    "executed": executed,
    "clean-outputs": clean_outputs,
    "tags": tag_whitelist,
    "figure": figure_cells,
    "cell-size": cell_size,
    "cell-rhythm": cell_rhythm,
    "python": python_rules,
    "glue-key": glue_keys,
    "structure": structure,
    "exercises": exercises,
    "labels": labels,
}


def problems(path: Path, root: Path) -> list[Problem]:
    """Every broken rule of one chapter."""
    chapter = Chapter(path, root)
    if not chapters.is_notebook_text(path.read_text(encoding="utf-8")):
        message = "no notebook front matter (jupytext: format_name: myst; kernelspec)"
        return [Problem(chapter.name, 0, "front-matter", message)]
    return [
        Problem(chapter.name, number, rule, message)
        for rule, find in RULES.items()
        for number, message in find(chapter)
    ]


def orphans(root: Path) -> list[Problem]:
    """Notebooks whose text is gone."""
    return [
        Problem(str(path.relative_to(root)), 0, "orphan", "no text (.md) beside it")
        for path in chapters.notebooks(root)
        if not path.with_suffix(".md").exists()
    ]
