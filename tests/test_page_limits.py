"""The limits of a chapter's page, measured as a reader sees it: each can be broken."""

from __future__ import annotations

import pytest

import browse_site
import page_limits
from minihouse import CHAPTER, ROOT

needs_browser = pytest.mark.skipif(
    browse_site.find_browser() is None, reason="no Chromium on this machine"
)
HEAD = "<!doctype html><html lang='en'><head><title>t</title></head><body><main>"
LEAD = "<h1>One</h1><p><strong>{}</strong></p>".format(" ".join(30 * ["lead"]))
FIGURE = "<figure style='height: 50px; margin: 0'></figure>"
# With the words of title, lead and fold there are 2,500.
WORDS = "<p>{}</p>".format(" ".join(2468 * ["word"]))
CODE = "<div class='highlight' style='height: {}px'><pre>x = 1</pre></div>"
AROUND = (  # of this one word counts, that which is always seen
    f"<details><summary>Fold</summary>{WORDS}</details><pre>a b</pre>"
    "<table><tr><td>e f</td></tr></table>"
)
FAIR = f"{LEAD}{FIGURE}{WORDS}{AROUND}"
PAGES = {
    "fair": (FAIR, None),
    "long": (FAIR + "<p>more</p>", "2501 visible words of text, 2500 at most"),
    "wordy": (
        FAIR.replace("lead</", "lead lead</").replace("<p>word", "<p>", 1),
        "31 words in the bold lead",
    ),
    "code": (FAIR + CODE.format(2000), "percent of the page are visible code"),
    "late": (
        FAIR.replace(FIGURE, f"<div style='height: 900px'></div>{FIGURE}"),
        "pixels from the top to the first figure or lab, 900 at most",
    ),
    "bare": (FAIR.replace(FIGURE, ""), "no figure or lab"),
    "leadless": (FAIR.replace("strong>", "em>"), "no lead"),
    "folded": (FAIR.replace("</summary>", "</summary>" + CODE.format(2000)), None),
}


@needs_browser
def test_each_limit_can_be_broken(tmp_path, capsys):
    (tmp_path / "chapters").mkdir()
    (tmp_path / "allowed.toml").write_text(
        "['chapters/allowed']\nwords = 2600\nreason = 'because'\n"
        "['chapters/fair']\nwords = 2600\nreason = 'because'\n"
        "['chapters/more']\nwords = 2600\nreason = 'because'\n"
    )
    more = f"<p>{' '.join(100 * ['word'])}</p>"
    pages = {f"chapters/{name}": body for name, (body, _) in PAGES.items()}
    pages["chapters/allowed"] = FAIR + more
    pages["chapters/more"] = FAIR + more + "<p>more</p>"
    pages["elsewhere"] = FAIR + more
    for name, body in pages.items():
        article = f"<article class='bd-article'>{body}</article></main></body></html>"
        (tmp_path / f"{name}.html").write_text(HEAD + article)
    names = [f"{name}.html" for name in pages]
    options = ["--jobs", "1", "--allowed", str(tmp_path / "allowed.toml")]
    assert browse_site.main([str(tmp_path), *names, *options]) == 1
    lines = capsys.readouterr().out.splitlines()
    problems = lines[: lines.index("Slowest pages:")]
    for name, (_, message) in PAGES.items():
        told = [li for li in problems if li.startswith(f"chapters/{name}.html")]
        assert len(told) == bool(message), (name, problems)
        assert not message or message in told[0]
    ours = [li for li in problems if "allowed.html" in li or "elsewhere" in li]
    assert ours == [], "within its allowance; no chapter"
    assert any("more.html: 2601 visible words of text, 2600" in li for li in problems)
    spare = "hint: chapters/fair: words is 2500; its allowance can go"
    assert spare in problems


@pytest.mark.parametrize(
    "entry",
    ["words = 2600", "reason = 'because'", "wrods = 3\nreason = 'a'"]
    + ["words = 2500\nreason = 'no more than all'", "words = 2600\nreason = ''"],
)
def test_an_allowance_has_a_limit_and_a_reason(entry, tmp_path):
    path = tmp_path / "allowed.toml"
    path.write_text(f"['{CHAPTER}']\n{entry}\n")
    with pytest.raises(ValueError, match="allowed.toml"):
        page_limits.allowances(path)


def test_every_allowance_is_of_a_chapter_that_is_there():
    for page in page_limits.allowances():
        assert (ROOT / f"{page}.md").exists(), page
