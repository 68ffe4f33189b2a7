"""Words of the glossary in the index and in the search, in a small book."""

import json
import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from glossary_index import ALSO, GLOSSARY, explained
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

ROOT = Path(__file__).parents[2]

FILES = {
    "conf.py": 'extensions = ["myst_nb", "glossary_index"]\nroot_doc = "index"',
    "index.md": "# Book\n\n```{toctree}\nbook/front/glossary\nbook/a\nbook/b\n```",
    f"{GLOSSARY}.md": """# Glossary

```{glossary}
Q-function
action value
  What an action is worth, unlike a {term}`return`. Explained in [A](../a.md).

return
  What was received, however it came. Explained in [B](../b.md), and not in [A](../a.md).
```
""",
    "book/a.md": "# A\n\nOf returns, too: the {term}`Q-function`.",
    "book/b.md": "# B\n\nOther words for an action's value.",
}


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    folder = tmp_path_factory.mktemp("book")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    folders = (str(folder), str(folder), f"{folder}/html", f"{folder}/doctrees")
    with patch_docutils(str(folder)), docutils_namespace():
        Sphinx(*folders, "html", status=None, warning=None, warningiserror=True).build()
    return folder / "html"


def test_each_word_leads_to_the_first_page_that_its_entry_names():
    assert explained(FILES[f"{GLOSSARY}.md"], "book/front") == {
        "Q-function": "book/a",
        "action value": "book/a",
        "return": "book/b",
    }


def test_other_names_lead_where_a_word_of_the_glossary_is_explained():
    places = explained((ROOT / f"{GLOSSARY}.md").read_text(encoding="utf-8"), "book/front")
    assert set(ALSO.values()) <= set(places) and set(ALSO) <= set(places)
    assert all((ROOT / page).with_suffix(".ipynb").exists() for page in places.values())


def test_the_search_knows_which_page_explains_a_word_with_and_without_its_hyphen(html):
    text = (html / "searchindex.js").read_text()
    index = json.loads(re.fullmatch(r"Search\.setIndex\((.*)\)", text)[1])

    def pages(word):
        return {index["docnames"][page] for page, _, main in index["indexentries"][word] if main}

    assert pages("q-function") == pages("action value") == {GLOSSARY, "book/a"}
    assert pages("q function") == {"book/a"}
    assert pages("return") == {GLOSSARY, "book/b"}


def test_the_index_shows_a_word_once(html):
    page = BeautifulSoup((html / "genindex.html").read_text(), "html.parser")
    links = [link.get("href", "").split("#")[0] for link in page.select(".genindextable a")]
    assert sorted(links) == sorted([f"{GLOSSARY}.html"] * 3 + ["book/a.html"] * 2 + ["book/b.html"])
