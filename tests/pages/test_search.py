"""The search of the built book, with words typed into its field as readers type them."""

from pathlib import Path

import pytest
from glossary_index import GLOSSARY, explained

ROOT = Path(__file__).parents[2]
PLACES = explained((ROOT / f"{GLOSSARY}.md").read_text(encoding="utf-8"), "book/front")

# What is typed, and as what the glossary has it.
TYPED = {
    "policy": "policy",
    "Bellman equation": "Bellman operator",
    "regret": "regret",
    "target network": "target network",
    "common random numbers": "common shocks",
    "PPO": "policy gradient",
    "temporal difference": "temporal-difference error",
    "price taker": "price taker",
    "steady state": "steady state",
    "credit assignment": "credit assignment",
    "centralised critic": "centralised critic",
    "euler residual": "Euler residual",
}


@pytest.mark.parametrize("typed", TYPED)
def test_the_chapter_that_explains_a_word_is_found_first(typed, address, browser):
    tab = browser.new_page()
    tab.goto(f"{address}book/intro.html")
    tab.get_by_role("button", name="Search").first.click()
    tab.locator("input[name=q]:visible").fill(typed)
    tab.keyboard.press("Enter")
    first = tab.locator("#search-results li a").first
    assert first.get_attribute("href").split("#")[0] == f"{PLACES[TYPED[typed]]}.html"
    tab.close()
