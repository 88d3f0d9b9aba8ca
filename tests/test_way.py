"""The pages that lead through the book say what the pages they speak of say."""

from __future__ import annotations

import re
import shutil
import sys

import pytest
from docutils import nodes

import browse_site
from minihouse import CHAPTER, ROOT, build

sys.path.insert(0, str(ROOT / "_ext"))
import ledger_view_ext
import map_ext
import outline


def page(built, name):
    """A page of the small book's site."""
    return (built / "_build" / "html" / f"{name}.html").read_text()


def words(text):
    """The text of an HTML fragment."""
    plain = re.sub(r"<noscript>.*?</noscript>|<[^>]+>", "", text, flags=re.DOTALL)
    return " ".join(plain.split())


def article(text):
    return words(text.split("<article", 1)[1].split("</article>")[0])


# --- Pieces -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("paragraph", "begins"),
    [
        ("One. Two.", "One. Two."),
        ("Is it? Yes.", "Is it?"),
        ("For e.g. two points it holds. More.", "For e.g. two points it holds. More."),
        (f"{'x' * 280}. More. And more.", f"{'x' * 280}."),
    ],
)
def test_how_a_paragraph_begins(paragraph, begins):
    found = outline.opening([nodes.Text(paragraph)])
    assert "".join(node.astext() for node in found) == begins


def test_a_formula_is_no_end_of_a_sentence():
    inside = [nodes.Text("Show "), nodes.math("", "a. b?"), nodes.Text(" now? Later.")]
    assert [n.astext() for n in outline.opening(inside)] == ["Show ", "a. b?", " now?"]


def test_copies_have_no_identifiers_and_leave_the_original_alone():
    original = nodes.inline("", "a", ids=["x"], names=["x"])
    (made,) = outline.copied([original], "elsewhere")
    assert made["ids"] == [] and original["ids"] == ["x"]


def test_the_map_leaves_out_what_follows():
    graph = {"a": set(), "b": {"a"}, "c": {"a", "b"}, "d": {"a", "c"}, "e": {"a"}}
    assert map_ext.direct(graph) == {**graph, "c": {"b"}, "d": {"c"}}


def test_the_map_bears_a_circle():
    graph = {"a": {"b"}, "b": {"a"}, "c": {"a"}}
    assert map_ext.direct(graph) == graph


# --- Pages --------------------------------------------------------------------------


def test_exercises_are_listed_by_chapter_and_kind(built):
    text = page(built, "exercises")
    said = article(text)
    assert "Exercise 1.1 By hand easy Show that the slope at the origin" in said
    assert "Exercise 1.2 (By machine) Change the code easy Find the positive" in said
    assert "Kind easy medium hard all By hand 1 1 0 2" in said
    assert "By hand easy 1.1 medium A.1" in said
    assert "Change the code easy 1.2 By machine" in said, "a title, where there is one"
    assert text.count(f'href="{CHAPTER}.html#ex-two-points-open"') == 2
    assert '<span class="math notranslate nohighlight"><span class="tex">' in text


def test_an_exercise_says_how_hard_it_is(built):
    found = re.findall(r'<span class="difficulty">(\w+)</span>', page(built, CHAPTER))
    assert found == ["easy", "easy", "medium", "hard"]


def test_statements_are_listed_with_their_titles(built):
    said = article(page(built, "statements"))
    assert "1. Two points pull on one Definition 1.1 Score The score of a" in said
    assert "Theorem 1.2 Two points Let \\(p_\\sigma\\) be the density" in said
    assert re.search(r"There are [\w ,]+ and \d+ \w+\.", said)


def test_the_chapters_of_the_appendix_have_letters(built):
    first, second = (
        page(built, "companion/three_points"),
        page(built, "companion/n_points"),
    )
    assert "<title>A. Three points pull on one &#8212;" in first
    said = article(first)
    assert "A. Three points pull on one#" in said and "B. Any number" in article(second)
    assert "to Theorem 1.2. In Figure A.1 it has two" in said
    assert "Figure A.1 Three points, as far" in said
    assert "Proposition A.1 (Three points)" in said and "(A.1)#" in said
    assert "By hand. Derive (A.1). For \\(n\\) points see Proposition B.1." in said
    assert "those of Proposition A.1 ((A.1), Exercise A.1)" in article(second)


def test_letters_are_in_the_sidebar_and_in_the_lists(built):
    text = page(built, "statements")
    side = words(text.split('aria-label="Main">')[1].split("</nav>")[0])
    assert (
        "1. Two points pull on one Companion A. Three points pull on one B. Any" in side
    )
    said = article(text)
    assert "Companion# A. Three points pull on one Proposition A.1 Three points" in said
    assert "B. Any number of points Proposition B.1 Many points" in said
    assert " Part I. A part 1. Two points" in side, "as the text calls it"
    assert "Companion# A. Three" in article(page(built, "exercises"))
    assert "Three points" not in article(page(built, "intro")), "no place on the map"


def test_the_map_is_made_of_links(built):
    text = page(built, "index") + page(built, "intro")
    row = re.search(r'<div class="map-row".*?</div>', text, re.DOTALL)[0]
    assert f'href="{CHAPTER}.html"' in row
    assert "Part I. A part What do two points do?" in article(text)


def test_a_neighbor_says_its_result_with_its_formulas(built):
    text = page(built, "intro")
    foot = text.split('class="prev-next-area"')[1]
    assert "is a straight line bent by a hyperbolic tangent, " in words(foot)
    assert r'<span class="tex">\(\tanh\)</span><noscript><math' in foot
    assert "tex-chtml-full.js" in text


def test_entries_lead_to_the_ledgers_rows(built):
    text = page(built, "papers")
    said = article(text)
    assert "Theorem 1. The score of two points is a bent line. Here: 1. Two" in said
    assert "(Theorem 1.2). Verdict: sharpened: holds" in said
    assert '"results.html#somebody-theorem-1"' in text
    assert 'id="somebody-theorem-1"' in page(built, "results")


def test_a_row_of_the_ledger_says_what_would_refute_it(built):
    said = article(page(built, "results"))
    assert "Predicted Measured Refuted by Verdict" in said
    assert re.search(r"sharpened 1 1 more than \W*2\W* holds", said)
    assert "ours 0 0 a gap above 0.25 holds" in said


def test_the_ledger_is_counted_and_its_corrections_come_first(built):
    text = page(built, "results")
    said = article(text)
    assert "Corollary 2 (Theorem 1.2) Verdict: 2 after all" in said
    counted = "3 rows (1 sharpened, 1 corrected, 1 ours)"
    assert f"Somebody (2024): two points: {counted}" in said
    rows = re.findall(r'<tr class="([^"]*)"', text)
    kinds = [re.findall(r"(?:whose|part|verdict)-(\S+)", row) for row in rows]
    assert [kind for kind in kinds if kind] == [
        ["corrected", "otherwise", "i"],
        ["sharpened", "holds", "i"],
        ["ours", "holds", "i"],
    ]


def test_bookkeeping_is_folded_and_small_numbers_are_powers(built):
    text = page(built, "results")
    shown, _, folded = text.partition('<details class="ledger-more">')
    assert "At a point nothing pulls" not in shown, (
        "of no paper: 0 predicted, 0 measured"
    )
    assert words(folded).startswith("1 more row in which prediction and measurement")
    assert "At a point nothing pulls" in words(folded.split("</details>")[0])
    assert "more than 10<sup>−8</sup>" in shown and "3.0 × 10<sup>−5</sup>" in shown
    assert not re.search(r"\d\.\de-\d", words(text))


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("1.0e-08", "10^−8"),
        ("a gap above -7.3e+05; 2", "a gap above -7.3 × 10^5; 2"),
        ("version 1e2x, 0.05, abc1e-5", "version 1e2x, 0.05, abc1e-5"),
    ],
)
def test_powers_of_ten(text, made):
    found = ledger_view_ext.powers(text)
    raised = nodes.superscript
    parts = [("^" if isinstance(n, raised) else "") + n.astext() for n in found]
    assert "".join(parts) == made


FAULTS = {
    f"{CHAPTER}.md": [
        (":class: easy", ":class: wide", "ex-two-points-hand does not say how hard"),
        ("**Open.** What", "What", "ex-two-points-open begins with none of"),
        (
            "{prf:theorem} Two points\n",
            "{prf:theorem}\n",
            "thm-two-points has no title",
        ),
    ],
    "papers.md": [
        (":rows: somebody-theorem-1", ":rows: nobody", "has no row nobody"),
    ],
    "results.md": [
        (
            "| sharpened |",
            "| theirs |",
            "no entry {from-paper} names this row: Theorem 1",
        ),
        (" [more than $2$]{.refuted}", "", "nothing would refute this row: Theorem 1"),
    ],
    "intro.md": [
        ("What do two points do?\n", "", "0 questions for 1 parts"),
    ],
    "companion/n_points.md": [
        (
            "{prf:proposition} Many points\n",
            "{prf:proposition}\n",
            "prop-n-points has no",
        ),
    ],
}


def test_every_planted_fault_fails_the_build(written, tmp_path):
    book = tmp_path / "book"
    shutil.copytree(written, book)
    # Without its notebook the chapter is a page of plain text.
    (book / f"{CHAPTER}.ipynb").unlink()
    config = book / "_config.yml"
    config.write_text(config.read_text().replace('"chapters/**.md"', '"nothing"'))
    for name, faults in FAULTS.items():
        text = (book / name).read_text()
        for old, new, _ in faults:
            assert old in text, old
            text = text.replace(old, new, 1)
        (book / name).write_text(text)
    result = build(book)
    said = " ".join((result.stdout + result.stderr).split())
    assert result.returncode != 0
    for message in (m for faults in FAULTS.values() for _, _, m in faults):
        assert message in said


def test_every_word_of_the_glossary_says_where_it_is_taught():
    text = (ROOT / "glossary.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```\{glossary\}\n(.*?)^```", text, re.M | re.S)
    entries = [e for block in blocks for e in re.split(r"\n\n(?=\S)", block.strip())]
    assert len(entries) > 40
    for entry in entries:
        word, taught = entry.split("\n", 1)
        link = r"\{(?:prf:ref|numref|ref|doc|term)\}`"
        assert re.search(link, taught), f"{word}: no link"
        assert taught.count(". ") < 4, f"{word}: too long for a glossary"


def test_papers_have_one_order():
    """That of the book, in the ledger and on the page of the papers."""

    def order(name: str) -> list[str]:
        text = (ROOT / name).read_text(encoding="utf-8")
        return re.findall(r"^## (.+?) \(\d{4}\)", text, re.M)

    assert order("ledger.md") == order("papers.md") and len(order("papers.md")) == 4


@pytest.mark.skipif(browse_site.find_browser() is None, reason="no Chromium")
@pytest.mark.parametrize("width", [390, 1280])
def test_the_filter_of_the_ledger_leaves_what_is_asked_for(built, width):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browse_site.find_browser(), args=browse_site.FLAGS
        )
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.goto((built / "_build" / "html" / "results.html").as_uri())

        def left() -> list[str]:
            rows = page.locator("table.ledger tbody tr:visible")
            told = page.locator(".ledger-status").inner_text()
            assert told.startswith(f"{rows.count()} of 3 rows"), told
            return [text.split()[0] for text in rows.all_inner_texts()]

        def choose(label: str, words: str) -> None:
            page.get_by_label(label, exact=True).select_option(label=words)

        choose("Whose", "ours")
        assert left() == ["At"], "out of its fold"
        choose("Verdict", "anything else")
        assert left() == []
        choose("Whose", "all")
        assert left() == ["Corollary"]
        page.focus("#ledger-filter-3")
        page.keyboard.press("ArrowUp")
        page.keyboard.press("ArrowUp")
        assert left() == ["Theorem", "At"]
        choose("Part", "Companion")
        assert left() == []
        assert page.locator("#somebody-2024-two-points").is_hidden()
        page.get_by_role("button", name="Show all rows").click()
        assert page.locator(".ledger-status").inner_text() == "3 rows"
        assert page.locator("table.ledger tbody tr:visible").count() == 2
        browser.close()
