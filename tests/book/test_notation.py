"""Every letter of a chapter is explained once on the page *Notation*, and none there is idle."""

import os
import re
from pathlib import Path

import nbformat
import pytest

from tests.book.test_chapters import CHAPTERS, ROOT, texts

PAGE = (ROOT / "book/front/notation.md").read_text()
TABLES, _, CHAPTER_BY_CHAPTER = PAGE.partition("## Chapter by chapter")
#: What counts or stands in a derivative, and the base of the logarithm.
COUNTERS = set("ijkltde")
GREEK = {
    *"alpha beta gamma delta epsilon varepsilon zeta eta theta iota kappa lambda mu nu xi".split(),
    *"pi rho sigma tau phi varphi chi psi omega ell Delta Phi".split(),
}


def formulas(text):
    """What stands between dollars or in a block of mathematics; never code."""
    blocks = re.findall(r"\$\$(.*?)\$\$|```\{math\}(.*?)```", text, re.S)
    text = re.sub(r"\$\$.*?\$\$", "", text, flags=re.S)
    text = re.sub(r"^ *[`~:]{3,}.*$", "", text, flags=re.M)
    text = re.sub(r"`[^`\n]*`", "", text)
    return ["".join(block) for block in blocks] + re.findall(r"\$([^$\n]+)\$", text)


def letters(text):
    """The letters in all formulas, Greek ones with their backslash."""
    found = set()
    for formula in formulas(text):
        formula = re.sub(r"\\(text|mathrm|operatorname|begin|end)\*?\{[^}]*\}", " ", formula)
        for name, letter in re.findall(r"\\([A-Za-z]+)|([A-Za-z])", formula):
            found |= {letter} if letter else {f"\\{name}"} & {f"\\{x}" for x in GREEK}
    return found


def paragraph(page):
    """What the page says of a chapter."""
    link = Path(os.path.relpath(page, ROOT / "book/front")).as_posix()
    (found,) = re.findall(rf"^\[[^\]]*\]\({re.escape(link)}\.ipynb\).*$", PAGE, re.M)
    return found


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.name)
def test_each_letter_of_a_chapter_is_explained_and_no_other(page):
    used = letters(texts(nbformat.read(page.with_suffix(".ipynb"), as_version=4).cells))
    own = letters(paragraph(page))
    assert used - own - letters(TABLES) - COUNTERS == set()
    assert own - used == set()


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.name)
def test_no_letter_has_two_meanings_in_a_chapter(page):
    items = re.findall(r"[:;,] (?:and )?(\$[^$]+\$)", paragraph(page))
    assert sorted(items) == sorted(set(items))


def test_letters_of_formulas_and_not_those_of_code_or_words():
    text = "Let $x_i$ be `$y$`:\n\n$$\n\\text{zero} \\le \\rho\\,W\n$$\n\n```{note}\n$q$\n```"
    assert letters(text) == {"x", "i", "\\rho", "W", "q"}
