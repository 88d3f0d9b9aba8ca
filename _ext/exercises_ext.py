"""Exercises: how hard each is, at the exercise, and the page that lists them all.

An exercise says how hard it is by its one class (easy, medium, hard), and what kind of
work it asks for by the bold words with which it begins. Without either it is a warning,
and a warning fails the build. ``{exercise-list}`` makes a section for each part.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import outline
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx_exercise.nodes import exercise_enumerable_node, exercise_subtitle

logger = logging.getLogger(__name__)
DIFFICULTIES = ("easy", "medium", "hard")
KINDS = (
    "By hand",
    "By hand, then in code",
    "Change the code",
    "Explore in the lab",
    "Open",
)


@dataclass(frozen=True)
class Exercise:
    """What the list shows of an exercise."""

    label: str
    kind: str
    difficulty: str
    title: tuple[nodes.Node, ...]
    task: tuple[nodes.Node, ...]


def difficulty(node: exercise_enumerable_node) -> str:
    """How hard an exercise is, or nothing if it does not say."""
    return next((name for name in DIFFICULTIES if name in node["classes"]), "")


def label(difficulty: str) -> nodes.inline:
    """The quiet word that says how hard an exercise is."""
    return nodes.inline("", difficulty, classes=["difficulty"])


def complain(node: nodes.Node, message: str, *values: object) -> None:
    """A warning, for the build to fail on."""
    logger.warning(message, *values, location=node, type="book", subtype="exercise")


def read(node: exercise_enumerable_node) -> Exercise:
    """An exercise, as far as the list needs it."""
    paragraph = next(node.findall(nodes.paragraph), ())
    inside = [child for child in paragraph if child.astext()]
    begins_bold = inside and isinstance(inside[0], nodes.strong)
    bold = inside[0].astext().rstrip(".") if begins_bold else ""
    if bold not in KINDS:
        complain(
            node,
            "exercise %s begins with none of: %s (in bold, with a full stop)",
            node["label"],
            "; ".join(KINDS),
        )
    if not difficulty(node):
        complain(
            node,
            "exercise %s does not say how hard it is: :class: %s",
            node["label"],
            ", ".join(DIFFICULTIES),
        )
    title = next(node.findall(exercise_subtitle), ())
    task = outline.opening(inside[1:] if bold in KINDS else inside)
    return Exercise(node["label"], bold, difficulty(node), tuple(title), tuple(task))


class Exercises(outline.PerPage):
    """All exercises of each page, in order."""

    name = "exercises"

    def find(self, env, doctree: nodes.document) -> list[Exercise]:
        return [read(node) for node in doctree.findall(exercise_enumerable_node)]


class ShowDifficulty(SphinxPostTransform):
    """Puts the difficulty behind the title of every exercise."""

    default_priority = 25  # sphinx-exercise writes the titles at 20

    def run(self, **kwargs) -> None:
        for node in self.document.findall(exercise_enumerable_node):
            if name := difficulty(node):
                node[0] += [nodes.Text(" "), label(name)]


class exercise_list_node(nodes.General, nodes.Element):
    """The place of one list: that of a chapter, the table, or the kinds."""


class ExerciseList(SphinxDirective):
    """``{exercise-list}``: the counts, then sections: kinds, and each part."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()  # it shows what other pages say
        made: list[nodes.Node] = [exercise_list_node(what="counts")]
        kinds = [exercise_list_node(what="kinds")]
        made.append(outline.section(self, "By kind", "kinds", kinds))
        for part in outline.chapter_parts(self.env):
            places = [exercise_list_node(what=page) for page in part.pages]
            made.append(outline.section(self, part.title, part.name, places))
        return made


def anchor(kind: str) -> str:
    """The identifier of a kind's list."""
    return "kind-" + nodes.make_id(kind)


class FillExercises(outline.Fill):
    """Writes the lists."""

    place = exercise_list_node

    def make(self, place: nodes.Element) -> list[nodes.Node]:
        if place["what"] == "counts":
            return [self.counts()]
        if place["what"] == "kinds":
            return [self.kinds()]
        return self.chapter(place["what"])

    def everything(self) -> list[Exercise]:
        known = Exercises.all(self.env)
        pages = [p for part in outline.chapter_parts(self.env) for p in part.pages]
        return [exercise for page in pages for exercise in known.get(page, [])]

    def link(self, exercise: Exercise) -> nodes.Node:
        return outline.label_link("std", "numref", exercise.label, self.env.docname)

    def short(self, exercise: Exercise) -> list[nodes.Node]:
        """A link that bears the number, and the title, if there is one."""
        made = self.link(exercise)
        made["refexplicit"], made[0] = True, nodes.inline("", "{number}")
        title = outline.copied(exercise.title, self.env.docname)
        return [made, *([nodes.Text(" "), *title] if title else [])]

    def counts(self) -> nodes.table:
        """How many there are of each kind and difficulty; a number leads to them."""
        count = Counter((e.kind, e.difficulty) for e in self.everything())
        head = ["Kind", *DIFFICULTIES, "all"]
        kinds = [kind for kind in KINDS if any(k == kind for k, _ in count)]
        rows = []
        for kind in kinds:
            numbers = [count[kind, name] for name in DIFFICULTIES]
            cells = [self.inside(kind, anchor(kind))]
            for name, number in zip(DIFFICULTIES, numbers, strict=True):
                target = f"{anchor(kind)}-{name}"
                cells.append(self.inside(str(number), target) if number else "0")
            rows.append([*cells, str(sum(numbers))])
        sums = [sum(count[kind, name] for kind in kinds) for name in DIFFICULTIES]
        rows.append(["all", *map(str, sums), str(sum(sums))])
        return outline.table(head, rows, classes=["exercise-counts"])

    def inside(self, text: str, target: str) -> nodes.reference:
        return nodes.reference("", text, refid=target, internal=True)

    def kinds(self) -> nodes.bullet_list:
        """For each kind its exercises, by number and title, in order of difficulty."""
        exercises, made = self.everything(), nodes.bullet_list(classes=["plain-list"])
        for kind in KINDS:
            lines = []
            for name in DIFFICULTIES:
                have = [e for e in exercises if (e.kind, e.difficulty) == (kind, name)]
                line = nodes.paragraph(ids=[f"{anchor(kind)}-{name}"])
                line += [
                    nodes.inline("", name, classes=["difficulty"]),
                    nodes.Text(" "),
                ]
                for k, exercise in enumerate(have):
                    line += [*([nodes.Text(" · ")] if k else []), *self.short(exercise)]
                lines += [line] if have else []
            if lines:
                title = nodes.paragraph("", "", nodes.strong("", kind))
                made += nodes.list_item("", title, *lines, ids=[anchor(kind)])
        return made

    def chapter(self, page: str) -> list[nodes.Node]:
        """A chapter's exercises: number, title, kind, difficulty, what is asked."""
        here, have = self.env.docname, Exercises.all(self.env).get(page, [])
        if not have:
            return []
        head = nodes.rubric("", "", outline.chapter_link(self.env, page, here))
        made = nodes.bullet_list(classes=["exercise-list", "plain-list"])
        for exercise in have:
            line = nodes.paragraph("", "", self.link(exercise))
            if exercise.title:
                title = outline.copied(exercise.title, here)
                line += [nodes.Text(" ("), *title, nodes.Text(")")]
            line += [nodes.Text(" "), nodes.inline("", exercise.kind, classes=["kind"])]
            line += [nodes.Text(" "), label(exercise.difficulty)]
            task = nodes.paragraph("", "", *outline.copied(exercise.task, here))
            made += nodes.list_item("", line, task)
        return [head, made]


def setup(app: Sphinx) -> dict:
    """Register with Sphinx."""
    app.add_node(exercise_list_node)
    app.add_directive("exercise-list", ExerciseList)
    app.add_env_collector(Exercises)
    app.add_post_transform(FillExercises)
    app.add_post_transform(ShowDifficulty)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
