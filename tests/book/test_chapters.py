"""What makes the book's chapters lectures in an order (CONTRIBUTING.md, "A chapter")."""

import re
from pathlib import Path

import exercise_kinds
import nbformat
import pytest
import yaml

ROOT = Path(__file__).parents[2]
PARTS = yaml.safe_load((ROOT / "_toc.yml").read_text())["parts"]
ORDER = [(ROOT / chapter["file"]) for part in PARTS for chapter in part["chapters"]]
CHAPTERS = [page for page in ORDER if page.with_suffix(".ipynb").exists()]

MOST_WORDS, MOST_LINES, LONGEST_CELL = 3500, 130, 45
FEWEST_WORDS = 3  # that lead to the glossary
FEWEST_EXERCISES, MOST_EXERCISES = 2, 6
WITHOUT_ALGORITHMS = {"Conclusion"}  # parts that teach none

FOLDED = {"hide-input", "hide-cell", "remove-input", "remove-cell"}
KINDS = tuple(f"{kind}: " for kind in exercise_kinds.KINDS)


def read(page):
    return nbformat.read(page.with_suffix(".ipynb"), as_version=4).cells


def texts(cells):
    """All Markdown of a chapter."""
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


@pytest.fixture(params=CHAPTERS, ids=lambda page: f"{page.parent.name}/{page.name}")
def chapter(request):
    return request.param


def prerequisites(page, cells):
    """The pages to which the chapter's paragraph "You should know" links, without suffix."""
    (known,) = re.findall(r"\*\*You should know\*\*(.*?)(?:\n\s*\n|\n:::|\Z)", texts(cells), re.S)
    links = re.findall(r"\]\(([^)\s#:]+)\.(?:ipynb|md)(?:#[^)]*)?\)", known)
    return [(page.parent / link).resolve() for link in links]


def test_no_chapter_needs_itself_or_a_later_one(chapter):
    earlier = ORDER[: ORDER.index(chapter)]
    later = [
        needed.name for needed in prerequisites(chapter, read(chapter)) if needed not in earlier
    ]
    assert not later, f'"You should know" of {chapter.name} leads to what is not read yet'


INTRO = (ROOT / "book/intro.md").read_text()
GUIDE = (ROOT / "book/course_guide.md").read_text()
ROUTES = {
    "the economist's route": INTRO.partition("**You are an economist**")[2].partition("\n\n")[0],
    "the course of thirteen weeks": GUIDE.partition("## Thirteen weeks")[2].partition("\n```\n")[0],
    "the course of six weeks": GUIDE.partition("## Six weeks")[2].partition("\n```\n")[0],
}


@pytest.mark.parametrize("route", ROUTES)
def test_a_route_leads_through_what_its_chapters_need(route):
    links = re.findall(r"\]\(([^)\s#:]+)\.(?:ipynb|md)", ROUTES[route])
    pages = list(dict.fromkeys(ROOT / "book" / link for link in links))
    for i, page in enumerate(pages):
        needed = prerequisites(page, read(page)) if page in CHAPTERS else []
        missing = [other.name for other in needed if other in CHAPTERS and other not in pages[:i]]
        assert not missing, f"{route}: {page.name} needs {missing} before it"


def lengths(cells):
    """Words of text, and lines of code in each visible cell; both outside of solutions."""
    words, lines, in_solution = 0, [], False
    for cell in cells:
        if cell.cell_type == "markdown":
            for line in cell.source.splitlines():
                in_solution = in_solution or "{solution-start}" in line
                words += 0 if in_solution else len(line.split())
                in_solution = in_solution and "{solution-end}" not in line
        elif cell.cell_type == "code" and not in_solution:
            if FOLDED.isdisjoint(cell.metadata.get("tags", ())):
                lines.append(len([line for line in cell.source.splitlines() if line.strip()]))
    return words, lines


def test_a_chapter_is_one_lecture(chapter):
    words, lines = lengths(read(chapter))
    assert words <= MOST_WORDS, "shorten it, fold it, or make two chapters of it"
    assert sum(lines) <= MOST_LINES, "fold code that is not the idea being taught"
    assert max(lines, default=0) <= LONGEST_CELL, "divide the longest visible cell, or fold it"


def exercises(cells):
    return re.findall(r"\{exercise-start\} *(.*)", texts(cells))


def test_an_exercise_says_what_kind_of_work_it_is(chapter):
    titles = exercises(read(chapter))
    assert [title for title in titles if not title.startswith(KINDS)] == []


def written_and_checked(cells):
    """How many exercises "In code" have a claim in their solution."""
    kind, found = "", set()
    for i, cell in enumerate(cells):
        if cell.cell_type == "markdown":
            starts = exercises([cell])
            kind = (i, starts[-1]) if starts else kind
        elif kind and kind[1].startswith("In code: ") and "claim(" in cell.source:
            found.add(kind)
    return len(found)


@pytest.mark.parametrize(
    "part",
    [part for part in PARTS if "numbered" in part and part["caption"] not in WITHOUT_ALGORITHMS],
    ids=lambda part: part["caption"],
)
def test_in_each_part_readers_write_at_least_two_algorithms_that_are_checked(part):
    chapters = [read(ROOT / chapter["file"]) for chapter in part["chapters"]]
    assert sum(map(written_and_checked, chapters)) >= 2


def test_only_exercises_in_code_whose_solution_claims_something_are_counted():
    start, claims = "```{exercise-start} %s\n```\n```{solution-start} ex\n```", code("claim(x)")
    begin = [markdown(start % title) for title in ("Open: a", "In code: b", "In code: c")]
    assert written_and_checked([claims, begin[0], claims, begin[1], code("x = 1")]) == 0
    assert written_and_checked([begin[1], code("x = 1"), claims, claims, begin[2], claims]) == 2


def test_a_chapter_links_words_to_the_glossary(chapter):
    words = set(re.findall(r"\{term\}`(?:[^`<]*<)?([^`<>]+)>?`", texts(read(chapter))))
    assert len(words) >= FEWEST_WORDS, "make the first use of a word of the glossary a {term}"


def markdown(*lines):
    return nbformat.v4.new_markdown_cell("\n".join(lines))


def code(*lines, tags=()):
    return nbformat.v4.new_code_cell("\n".join(lines), metadata={"tags": list(tags)})


def test_solutions_and_folded_code_are_not_counted():
    cells = [
        markdown("one two", "three"),
        code("x = 1", "", "y = 2"),
        code("plot(x)", tags=["hide-input"]),
        markdown("```{exercise-start} In code: four", "```", "```{solution-start} ex", "not this"),
        code("z = 3"),
        markdown("nor this", "```{solution-end}", "```", "last"),
        code("done()"),
    ]
    assert lengths(cells) == (3 + 4 + 1 + 2, [2, 1])


def test_links_of_what_one_should_know_are_found_and_others_are_not():
    page = ROOT / "book/part/chapter"
    known = "**You should know** [a](other.ipynb), [b](../front/notation.md#here), [c](https://d.e)"
    found = prerequisites(page, [markdown(f"{known}.", "", "**The new idea.** [f](later.ipynb).")])
    assert found == [ROOT / "book/part/other", ROOT / "book/front/notation"]


def test_a_chapter_has_the_parts_that_readers_look_for(chapter):
    text = texts(read(chapter))
    for part in ("**You should know**", "**The new idea.**", "**The check.**", "**Time to run.**"):
        assert part in text, f"the box at the beginning lacks {part}"
    assert "## What was found" in text
    assert re.search(r"## Further reading\n.*\{cite:[pt]\}", text, re.S), "nothing to read further"
    assert FEWEST_EXERCISES <= text.count("{exercise-start}") <= MOST_EXERCISES


def test_every_figure_is_referred_to(chapter):
    cells = read(chapter)
    named = re.findall(r":name: (fig-[\w-]+)", texts(cells))
    named += [
        cell.metadata["mystnb"]["figure"]["name"]
        for cell in cells
        if "figure" in cell.metadata.get("mystnb", {})
    ]
    assert [name for name in named if f"{{numref}}`{name}`" not in texts(cells)] == []


def test_running_text_and_results_name_no_commit(chapter):
    printed = [
        output.get("text", "") or output.get("data", {}).get("text/plain", "")
        for cell in read(chapter)
        if cell.cell_type == "code"
        for output in cell.outputs
    ]
    told = texts(read(chapter)) + "\n".join(map("".join, printed))
    assert not re.search(r"-dirty|not yet measured|what we had hoped for", told)


def test_a_chapter_runs_on_a_laptop_and_on_binder(chapter):
    measured = nbformat.read(chapter.with_suffix(".ipynb"), as_version=4).metadata["running_time"]
    assert measured["cpu"]["seconds"] <= 90, "shorten a run, and measure on a quiet machine"
    assert measured["cpu"]["memory"] <= 1.5, "Binder has little more, in gigabytes"
