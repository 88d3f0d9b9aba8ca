"""A new chapter is a text that the tools accept, in its place in the book's order."""

from __future__ import annotations

import pytest
import yaml

import chapters
import new_chapter

TOC = """format: jb-book
root: intro
parts:
  - caption: One
    chapters:
      - file: chapters/score/first
      - file: chapters/score/second
  - caption: Two
    chapters:
      - file: papers
"""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "chapters" / "score").mkdir(parents=True)
    (tmp_path / "_toc.yml").write_text(TOC)
    return tmp_path


def test_a_chapter_begins_behind_the_last_of_its_folder(root):
    path = new_chapter.begin("chapters/score/my_idea.md", "What my idea shows", root)
    assert path == root / "chapters" / "score" / "my_idea.md"
    book = chapters.read(path)
    assert "# What my idea shows" in book.cells[0].source
    assert "(sec-my-idea)=" in book.cells[0].source
    [code] = chapters.code_cells(book)
    assert "import empirical_score as es" in code.source
    [one, two] = yaml.safe_load((root / "_toc.yml").read_text())["parts"]
    names = [entry["file"].rpartition("/")[2] for entry in one["chapters"]]
    assert names == ["first", "second", "my_idea"] and len(two["chapters"]) == 1


@pytest.mark.parametrize(
    ("place", "word"),
    [
        ("elsewhere/my_idea", "place must be chapters/FOLDER"),
        ("chapters/score/My-Idea", "place must be chapters/FOLDER"),
        ("chapters/copying/my_idea", "no chapter of chapters/copying/"),
    ],
)
def test_a_bad_place_is_refused_and_nothing_is_written(root, place, word):
    with pytest.raises(ValueError, match=word):
        new_chapter.begin(place, "T", root)
    assert (root / "_toc.yml").read_text() == TOC
    assert not list(root.rglob("*.md"))


def test_a_chapter_that_is_there_is_left_alone(root):
    new_chapter.begin("chapters/score/my_idea", "T", root)
    with pytest.raises(ValueError, match="is there already"):
        new_chapter.begin("chapters/score/my_idea", "U", root)
