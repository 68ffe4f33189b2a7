"""The front page, the glossary and the notation speak of all that there is."""

import re
from pathlib import Path

import pytest
import yaml

from lectures_book.findings import findings, percent, whole
from lectures_book.results import names

BOOK = Path(__file__).parents[2] / "book"
FRONT = BOOK / "front"
NOTEBOOKS = sorted(p for p in BOOK.rglob("*.ipynb") if "checkpoints" not in str(p))


def linked(page):
    links = re.findall(r"\]\(([^)\s]+\.ipynb)\)", page.read_text())
    return {(page.parent / link).resolve() for link in links}


def test_every_chapter_has_its_letters():
    assert linked(FRONT / "notation.md") == set(NOTEBOOKS)


def test_a_route_leads_through_every_chapter_that_is_not_optional():
    on_a_way = linked(BOOK / "intro.md") | linked(BOOK / "course_guide.md")
    left_out = {p.stem for p in set(NOTEBOOKS) - on_a_way}
    assert left_out <= {"cross_terms"}


def glossary():
    text = (FRONT / "glossary.md").read_text()
    blocks = re.findall(r"```\{glossary\}\n(.*?)\n```", text, re.DOTALL)
    return [entry for block in blocks for entry in block.split("\n\n")]


def test_every_word_of_the_glossary_leads_to_the_chapter_that_explains_it():
    for entry in glossary():
        words, _, meaning = entry.partition("\n  ")
        place = re.search(r"\b(?:Explained|Defined) in \[.+\]\(.+\.ipynb\)", meaning)
        assert words and place, entry
    assert linked(FRONT / "glossary.md") <= set(NOTEBOOKS)


def test_no_word_is_explained_twice():
    words = [w for entry in glossary() for w in entry.partition("\n  ")[0].split("\n")]
    assert len(words) == len(set(words))


def shown(*pages):
    """The names of the findings on pages."""
    return set(re.findall(r"\{finding\}`(.+?)`", "".join(page.read_text() for page in pages)))


def test_the_findings_of_the_front_page_are_those_of_the_table_of_results():
    on_front = shown(BOOK / "intro.md")
    assert on_front and on_front <= names()


def test_no_finding_is_idle():
    assert shown(*NOTEBOOKS, *BOOK.rglob("*.md")) | names() == set(findings())


@pytest.mark.parametrize(
    ("number", "printed"), [(6735.6, "6,700"), (13.55e6, "14 million"), (2012.1, "2,000")]
)
def test_a_large_finding_is_printed_with_two_digits(number, printed):
    assert whole(number) == printed


def test_the_front_matter_comes_first():
    parts = yaml.safe_load((BOOK.parent / "_toc.yml").read_text())["parts"]
    names = [chapter["file"] for chapter in parts[0]["chapters"]]
    assert [Path(n).name for n in names] == ["how_rules_are_judged", "notation", "glossary"]


@pytest.mark.parametrize(
    ("number", "printed"),
    [(4.2e-5, "0.000042%"), (0.0916, "0.092%"), (16.6, "17%"), (4e-8, "below 0.000001%")],
)
def test_a_finding_is_printed_with_two_digits_and_no_power_of_ten(number, printed):
    assert percent(number) == printed
