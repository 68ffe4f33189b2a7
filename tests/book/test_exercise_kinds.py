"""The kind of an exercise as a badge in its title, in a small book."""

import pytest
from bs4 import BeautifulSoup
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

PAGE = """# Page

```{exercise} %s
:label: ex-one
What is asked.
```

```{solution} ex-one
That.
```
"""


@pytest.fixture
def titles(tmp_path):
    """`titles(written)`: the exercise's title on the page, its badges, the solution's title."""

    def build(written):
        (tmp_path / "conf.py").write_text(
            'extensions = ["myst_nb", "sphinx_exercise", "exercise_kinds"]\n'
            'myst_enable_extensions = ["dollarmath"]'
        )
        (tmp_path / "index.md").write_text(PAGE % written)
        folder = str(tmp_path)
        folders = (folder, folder, f"{folder}/html", f"{folder}/doctrees")
        with patch_docutils(folder), docutils_namespace():
            Sphinx(*folders, "html", status=None, warning=None, warningiserror=True).build()
        page = BeautifulSoup((tmp_path / "html" / "index.html").read_text(), "html.parser")
        exercise, solution = page.select("p.admonition-title")
        badges = [badge.extract().get_text() for badge in exercise.select(".exercise-kind")]
        return (" ".join(exercise.get_text().split()), badges, solution.get_text())

    return build


@pytest.mark.parametrize(
    ("written", "title", "badges"),
    [
        ("In code: the *best* $x$", r"Exercise 1 The best \(x\)", ["In code"]),
        ("Open", "Exercise 1 (Open)", []),
        ("Twice: a title", "Exercise 1 (Twice: a title)", []),
        ("", "Exercise 1", []),
    ],
)
def test_the_kind_is_a_badge_and_the_rest_is_the_title(titles, written, title, badges):
    shown, found, solution = titles(written)
    assert (shown, found) == (title, badges)
    assert solution.startswith("Solution to Exercise 1") and written.split(":")[0] in solution
