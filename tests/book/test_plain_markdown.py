"""What each construct of a chapter becomes in plain Markdown, with the numbers of its page."""

import nbformat
import pytest
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

CONFIG = """
extensions = [
    "myst_nb", "sphinx_exercise", "sphinx_proof", "sphinxcontrib.bibtex", "reader_notebooks"
]
proof_title_format = "%t"
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
nb_execution_mode = "off"
nb_mime_priority_overrides = [("notebooks", "text/plain", 0)]
bibtex_bibfiles = ["references.bib"]
bibtex_reference_style = "author_year"
root_doc = "index"
"""

INDEX = """
# Book

```{toctree}
:numbered:
chapter
```

## Elsewhere

$$x$$ (eq-first)

```{glossary}
decision rule
  Says what to do.
```

```{bibliography}
```
"""

ALGORITHM = """
```{prf:algorithm} Tables $Q$
:label: alg-q

**Inputs** a table $Q$.

1. For $t = 0, 1, \\ldots$:
   1. act, and see $r$;
   2. learn:

      $$
      Q \\leftarrow r .
      $$
2. Stop.
```

By {prf:ref}`alg-q`, step 1.
"""

BIB = "@book{judd, author={Kenneth Judd}, title={Numerical Methods}, publisher={MIT}, year=1998}"

FILES = {"conf.py": CONFIG, "index.md": INDEX, "references.bib": BIB, "drawing.svg": "<svg/>"}

PAGE = "https://owner.github.io/name/"


@pytest.fixture
def convert(tmp_path, monkeypatch):
    """`convert(*cells)`: the cells of a small book's chapter as readers get them."""
    monkeypatch.setenv("GITHUB_REPOSITORY", "owner/name")
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)

    def build(*cells):
        cells = [
            nbformat.v4.new_markdown_cell(cell) if isinstance(cell, str) else cell
            for cell in ("# Chapter", *cells)
        ]
        notebook = nbformat.v4.new_notebook(cells=cells)
        notebook.metadata.language_info = {"name": "python", "pygments_lexer": "ipython3"}
        nbformat.write(notebook, tmp_path / "chapter.ipynb")
        for name, text in FILES.items():
            (tmp_path / name).write_text(text)
        folder = str(tmp_path)
        folders = (folder, folder, f"{folder}/out", f"{folder}/doctrees")
        with patch_docutils(folder), docutils_namespace():
            Sphinx(*folders, "notebooks", status=None, warning=None, warningiserror=True).build()
        install, title, *made = nbformat.read(tmp_path / "out" / "chapter.ipynb", 4).cells
        assert install.source.startswith("# A live copy of " + PAGE + "chapter.html")
        assert title.source.startswith("# 1. Chapter")
        title.source = title.source.removeprefix("# 1. Chapter").strip()
        return [title, *made] if title.source else made

    return build


def code(source="1 + 1", **metadata):
    return nbformat.v4.new_code_cell(source, metadata=metadata)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        # Nothing that a reader sees is lost, and no sign becomes markup.
        ("*One* **two** `th_ree` $f_{*}(x)$.", "*One* **two** `th_ree` $f_{*}(x)$."),
        (r"2 \* 3, \$5, a_b, \_c", r"2 \* 3, \$5, a_b, \_c"),
        ("``a`b``", "`` a`b ``"),
        (r"1\. No list, and \<b> no tag.", r"1\. No list, and \<b> no tag."),
        (r"\# No heading, C# *-free*", r"\# No heading, C# *-free*"),
        ("- one\n- two\n  more", "- one\n- two more"),
        ("3. one\n\n   more\n4. two", "3. one\n\n   more\n\n4. two"),
        ("Term\n: What it is.", "- **Term**\n\n  What it is."),
        ("> Said.", "> Said."),
        ("```python\nx = 1\n```", "```python\nx = 1\n```"),
        (
            "| a | b |\n| :- | -: |\n| $\\|x$ | \\| |",
            "| a | b |\n| --- | ---: |\n| $\\vert x$ | \\| |",
        ),
        # Numbers and addresses are the built page's.
        ("$$y$$ (eq-second)\n\nSee {eq}`eq-second`.", "$$\ny \\tag{1.1}\n$$\n\nSee (1.1)."),
        ("By {eq}`eq-first`.", f"By [(1)]({PAGE}index.html#equation-eq-first)."),
        ("$$a &= b \\\\ c &= d$$", "$$\n\\begin{aligned}\na &= b \\\\ c &= d\n\\end{aligned}\n$$"),
        (
            "A {term}`decision rule`, {term}`rules <decision rule>`.",
            f"A [decision rule]({PAGE}index.html#term-decision-rule), "
            f"[rules]({PAGE}index.html#term-decision-rule).",
        ),
        (
            "[the front](index.md), {doc}`index`",
            f"[the front]({PAGE}index.html), [Book]({PAGE}index.html)",
        ),
        ("(here)=\n## Section\n\n{ref}`here`", "## 1.1. Section\n\nSection"),
        # Boxes.
        (":::{note}\n$$y$$\n:::", "> **Note**\n>\n> $$y$$"),
        (":::{admonition} Before\nText.\n:::", "> **Before**\n>\n> Text."),
        (
            ":::{admonition} More\n:class: dropdown\nText.\n:::",
            "<details>\n<summary><b>More</b></summary>\n\nText.\n\n</details>",
        ),
        (
            "Said.[^note]\n\n[^note]: So *there*.",
            "Said.<sup>1</sup>\n\n---\n\n<sup>1</sup> So *there*.",
        ),
        (
            "```{code-block} text\n:caption: Steps\n:linenos:\none\n  two\n```",
            "*Listing 1.1.* Steps\n\n```\n1  one\n2    two\n```",
        ),
        (
            ALGORITHM,
            "> **Algorithm 1.1 Tables $Q$**\n>\n> **Inputs** a table $Q$.\n>\n"
            "> 1. For $t = 0, 1, \\ldots$:\n>\n>    1. act, and see $r$;\n>\n>    2. learn:\n>\n"
            ">       $$Q \\leftarrow r .$$\n>\n> 2. Stop.\n\nBy Algorithm 1.1, step 1.",
        ),
        ("```{image} drawing.svg\n:alt: A map\n```", f"![A map]({PAGE}_images/drawing.svg)"),
    ],
)
def test_text(convert, written, shown):
    cells = convert(written)
    assert "\n\n".join(cell.source for cell in cells) == shown


def test_a_citation_is_the_books_and_its_reference_ends_the_notebook(convert):
    text, references = convert("{cite:t}`judd` and {cite:t}`judd`.")
    link = f"Judd [[1998]({PAGE}index.html#id2)]"
    assert text.source == f"{link} and {link}."
    assert references.source == "## References\n\n- Kenneth Judd. *Numerical Methods*. MIT, 1998."


def test_a_figure_has_its_number_and_caption_below_it(convert):
    output = nbformat.v4.new_output("display_data", {"text/plain": "<Figure>"})
    drawing = code(mystnb={"figure": {"caption": "Saving $s$.", "name": "fig-s"}})
    drawing.outputs = [output]
    before, figure, caption = convert("See {numref}`fig-s`.", drawing)
    assert before.source == "See Fig. 1.1."
    assert figure.outputs == [output] and not figure.metadata
    assert caption.source == "*Fig. 1.1.* Saving $s$."


GATED = """
```{exercise-start} Warm-up
:label: ex-one
```
What is

$$
x
$$
```{exercise-end}
```

```{solution-start} ex-one
:class: dropdown
```
This:

$$
y
$$
"""


def test_a_solution_is_folded_over_all_of_its_cells(convert):
    text, inside, end, outside = convert(
        GATED, code("2"), "That.\n```{solution-end}\n```", code("3")
    )
    title = "Solution to Exercise 1.1 (Warm-up)"
    assert text.source == (
        "> **Exercise 1.1 (Warm-up)**\n>\n> What is\n>\n> $$x$$\n\n"
        f"<details>\n<summary><b>{title}</b></summary>\n\nThis:\n\n$$\ny\n$$\n\n</details>"
    )
    assert inside.metadata == {
        "cellView": "form",
        "jupyter": {"source_hidden": True, "outputs_hidden": True},
    }
    assert f"<b>{title} (continued)</b>" in end.source and "That." in end.source
    assert (inside.source, outside.source, outside.metadata) == ("2", "3", {})


def test_tags_are_said_in_the_services_words_and_no_code_is_lost(convert):
    hidden, removed, plain = convert(
        code("1", tags=["hide-input"]), code("2", tags=["remove-cell"]), code("3")
    )
    assert [cell.source for cell in (hidden, removed, plain)] == ["1", "2", "3"]
    assert hidden.metadata["cellView"] == "form"
    assert hidden.metadata["jupyter"] == {"source_hidden": True}
    assert removed.metadata["jupyter"] == {"source_hidden": True, "outputs_hidden": True}
    assert not plain.metadata


def test_what_has_no_markdown_is_an_error_that_says_where(convert):
    with pytest.raises(Exception, match=r"cannot show <hlist> .*chapter.ipynb"):
        convert("```{hlist}\n- one\n- two\n```")
