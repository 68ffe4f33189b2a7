"""What each construct of a chapter becomes on paper, and that none of the book is missing."""

import json
import re
from pathlib import Path

import formulas
import nbformat
import paper
import pytest
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils
from typst_page import wrap
from typst_tables import columns_of

BOOK = Path(__file__).parents[2] / "book"

CONFIG = """
extensions = [
    "myst_nb", "sphinx_design", "sphinx_exercise", "sphinx_proof", "sphinxcontrib.bibtex", "paper",
    "findings", "running_times", "sphinx.ext.autodoc",
]
project = "A small book"
author = "Somebody"
proof_title_format = "%t"
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
nb_execution_mode = "off"
nb_mime_priority_overrides = [
    ("paper", "image/png", 0), ("paper", "text/html", 1), ("paper", "text/plain", 2),
]
bibtex_bibfiles = ["references.bib"]
bibtex_reference_style = "author_year"
root_doc = "index"
"""

INDEX = """
# Book

```{toctree}
:numbered:
:caption: Part one
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

# Every directive and role of the book, in the forms in which it occurs.
CHAPTER = r"""
(here)=
## A section

:::{admonition} Before you start
**You should know** what a {term}`decision rule` is ({ref}`here`). #1 costs \$5 @ home.
:::

::::{dropdown} Folded
Within.
::::

{cite:t}`judd`, {cite:p}`judd`, {cite:year}`judd`; {eq}`eq-second` and {eq}`eq-first`;
{numref}`fig-map`, {numref}`tab-rows`, {prf:ref}`alg-q`, [the front](index.md).

$$
a &= \tfrac12 \\
b &= \Bigl[ c \Bigm| d \Bigr]
$$ (eq-second)

```{figure} drawing.svg
:name: fig-map
:alt: A map
The map of $x$.
```

Then rows.

```{list-table} Rows
:header-rows: 1
:name: tab-rows

* - One
  - Two
* - $x$
  - 2
```

```{prf:algorithm} Tables $Q$
:label: alg-q

**Inputs** a table $Q$.

1. For $t = 0, 1, \ldots$:
   1. act, and see $r$;
2. Stop.
```

```{eval-rst}
.. autofunction:: formulas.arguments
```

```{only} paper
On paper only.
```

```{only} html
Not on paper.
```

```{exercise-start} Warm-up: one
:label: ex-one
```
What is $x$?
```{exercise-end}
```

```{solution-start} ex-one
:class: dropdown
```
This.
```{solution-end}
```

## The end
"""

# They need the book's results and notebooks; their words and tables are made of what is tested.
OF_THE_BOOK = {"finding", "running-time", "running-times", "planner-learners", "results-table"}
OF_THE_BOOK |= {"index-of-predictions"}

BIB = "@book{judd, author={Kenneth Judd}, title={Numerical Methods}, publisher={MIT}, year=1998}"
DRAWING = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 50" font-family="sans-serif"/>'
FILES = {"conf.py": CONFIG, "index.md": INDEX, "references.bib": BIB, "drawing.svg": DRAWING}


@pytest.fixture
def build(tmp_path, monkeypatch):
    """`build(*cells)`: Typst's source of a small book whose chapter has these cells."""
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    monkeypatch.setattr(paper, "compile_pdf", lambda source: None)
    monkeypatch.setattr(formulas, "convert", lambda made: {f: f"$ {f[0]} $" for f in made})

    def build(*cells, files=FILES):
        cells = [
            nbformat.v4.new_markdown_cell(cell) if isinstance(cell, str) else cell
            for cell in ("# Chapter", *cells)
        ]
        notebook = nbformat.v4.new_notebook(cells=cells)
        notebook.metadata.language_info = {"name": "python", "pygments_lexer": "ipython3"}
        nbformat.write(notebook, tmp_path / "chapter.ipynb")
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        folder = str(tmp_path)
        folders = (folder, folder, f"{folder}/out", f"{folder}/doctrees")
        with patch_docutils(folder), docutils_namespace():
            Sphinx(*folders, "paper", status=None, warning=None, warningiserror=True).build()
        return (tmp_path / "out" / "book.typ").read_text()

    return build


def code(source="1 + 1", *outputs, **metadata):
    cell = nbformat.v4.new_code_cell(source, metadata=metadata)
    cell.outputs = list(outputs)
    return cell


def html(text):
    return nbformat.v4.new_output("execute_result", {"text/html": text, "text/plain": "table"})


def sources():
    for path in BOOK.rglob("*.md"):
        yield path.read_text(encoding="utf-8")
    for path in BOOK.rglob("*.ipynb"):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "markdown":
                yield "".join(cell["source"])


def names(text):
    fences = re.findall(r"^\s*(?:`{3,}|:{3,})\{([\w:-]+)\}", text, re.M)
    return set(fences) | set(re.findall(r"\{([\w:-]+)\}`", text))


def test_every_directive_and_role_of_the_book_is_shown_on_paper(build):
    used = set().union(*map(names, sources()))
    assert used - names(CHAPTER + INDEX) - OF_THE_BOOK == set(), "add them to CHAPTER"
    made = build(CHAPTER)
    for shown in [
        '#heading-of(3, "1.1", [#anchor("chapter#a-section");#anchor("chapter#here");])[A',
        '#box-of("admonition", [Before you start])[#strong[You should know];',
        "\\#1 costs \\$5 \\@ home\\.",
        '#link(label("index#term-decision-rule"))[',
        '#link(label("chapter#equation-eq-second"))[\\(1\\.1\\)];',
        '#link(label("index#equation-eq-first"))[\\(1\\)];',
        '#chapter-link("index#")[the front];',
        '#equation("(1.1)", [#anchor("chapter#equation-eq-second");])[$ \\begin{aligned}',
        '#picture("Fig. 1.1", [#anchor("chapter#fig-map");The map of $ x $.])'.replace(
            "x $.", "x $\\."
        ),
        '-drawing.svg", "A map", width: 60pt);',
        "#lead[Then rows\\.];",
        '#titled-table("Table 1.1", [#anchor("chapter#tab-rows");Rows])[#data-table((auto, auto, )',
        '#box-of("algorithm", [#anchor("chapter#alg-q");Algorithm 1\\.1 Tables $ Q $])[',
        '#box-of("exercise", [#anchor("chapter#ex-one");Exercise 1\\.1 \\(Warm\\-up\\: one',
        "#solutions[",
        '#described([#anchor("chapter#formulas.arguments");formulas\\.arguments])[The first arg',
        "\n\nOn paper only\\.",
        '#contents-part("part-1")[Part one];',
        '#index-word("0", ("index#term-decision-rule", ))[decision rule];',
        "Numerical Methods",
    ]:
        assert shown in made
    solution = made.index('#box-of("solution"')
    assert made.index("The end") < solution, "solutions stand at the chapter's end"
    assert "\ue000" not in made


def test_code_is_shown_unless_the_page_folds_it(build):
    stream = nbformat.v4.new_output("stream", name="stdout", text='say "x\\y"\n')
    made = build(
        code("shown = 1", stream),
        code("folded = 1", stream, tags=["hide-input"]),
        code("print(2)", stream, tags=["hide-output"]),
    )
    assert '#code("python", "shown = 1");' in made
    assert "folded" not in made and "print(2)" in made
    assert made.count(r'#output("say \"x\\y\"");') == 2


def test_tables_that_code_makes_are_tables(build):
    head = "<thead><tr><th></th><th>error, %</th></tr></thead>"
    rows = "<tr><td>a &lt; b</td><td>1.5</td></tr><tr><td>c</td><td>-2e-05</td></tr>"
    made = build(code("1", html(f"<table>{head}<tbody>{rows}</tbody></table>")))
    assert (
        "#data-table((auto, auto, ), size: 1.00, align: (left, right,), "
        "table.header[#strong[];][#strong[error, %];], "
        "[a \\< b], [1\\.5], [c], [\\-2e\\-05]);" in made
    )


def test_a_picture_that_can_be_moved_is_still_on_paper(build):
    pixel = (
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
        "rkJggg=="
    )
    moving = {"text/html": "<div id='moves'></div>", "image/png": pixel, "text/plain": "Chart"}
    made = build(code("1", nbformat.v4.new_output("display_data", moving)))
    assert '#image-of("/images/' in made and "moves" not in made


def test_columns_with_more_to_say_get_more_of_the_room():
    long, number = " ".join(["word"] * 20), "4.02 (3.91 to 4.13)"
    assert columns_of(["a", "b"], [["a", "b" * 60]], [False] * 2) == ("(auto, auto, )", "1.00")
    assert columns_of(["a", "b"], [["a", "b" * 99]], [False] * 2) == ("(auto, auto, )", "0.95")
    head = ["name", "says", "means"]
    found = columns_of(head, [["x", long, long[:49]]], [False] * 3)
    assert found == ("(6fr, 63fr, 31fr, )", "1.00")
    found = columns_of(head, [["x", long, number]], [False, False, True])
    assert found == ("(6fr, 72fr, 22fr, )", "1.00"), "a number stays on one line"
    head, row = ["name", *("n" * 8)], [long, *[number] * 8]
    assert columns_of(head[:5], [row[:5]], [False] + [True] * 4)[1] == "0.96"
    assert columns_of(head, [row], [False] + [True] * 8)[1] == "0.75", "where that can be read"


def test_long_lines_that_code_prints_are_broken_unless_they_are_a_table():
    assert wrap("✓ " + "word " * 17 + "word") == "✓ " + "word " * 15 + "word\n  word word"
    assert wrap("name  " + "1.0  " * 20) == "name  " + "1.0  " * 20
    assert wrap("short  line ") == "short  line "


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("```{hlist}\n- one\n- two\n```", r"cannot show <hlist> .*chapter.ipynb"),
        (code("1", html("<b>bold</b>")), r"cannot show the html of .*chapter.ipynb.*Table"),
        (code("1", html("<table><tr><td><i>x</i></td></tr></table>")), r"cannot show .* with i"),
    ],
)
def test_what_paper_cannot_show_is_an_error_that_says_where(build, cell, said):
    with pytest.raises(Exception, match=said):
        build(cell)


def test_formulas_are_turned_into_typsts():
    pytest.importorskip("pypandoc")
    inline = r"\tfrac12 \bigl( x_{\text{old}} \Bigm| y \bigr)", False
    display = "\\begin{aligned} a &= 1 \\\\ b &\\odot 2 \\end{aligned}", True
    made = formulas.convert([inline, display, inline])
    assert list(made) == [inline, display]
    assert made[inline].startswith('$inline(1 / 2) class("opening", lr(\\(, size: #1.2em)) x_(')
    assert 'x_(upright("old")) class("relation", lr(\\|, size: #1.8em)) y' in made[inline]
    bars = r"|\mu|^2 + \bigl|a\bigr|", True
    big = r'class("normal", lr(\|, size: #1.2em))'
    assert formulas.convert([bars])[bars] == rf"$ \|mu\|^2 + {big} a {big} $"
    assert formulas.convert([(r"a\!b", False)])[r"a\!b", False] == "$a #h(-0.1667em) b$"
    assert made[display] == "$ a & = 1\\\nb & dot.o 2 $"
    with pytest.raises(Exception, match=r"accent .*breve"):
        formulas.convert([(r"\breve x", False)])
    with pytest.raises(Exception, match=r"does not understand the formula .*\\unheard"):
        formulas.convert([(r"\unheard{x}", False)])


def test_the_front_page_leads_to_the_book_on_paper_where_it_is(tmp_path):
    front = '# Book\n\n```{only} with_pdf\n<a href="book.pdf">PDF</a>\n```\n'
    config = 'extensions = ["myst_nb", "paper"]\nroot_doc = "index"\nhtml_theme = "basic"\n'
    (tmp_path / "conf.py").write_text(config)
    (tmp_path / "index.md").write_text(front)
    pdf, out = tmp_path / "paper" / "book.pdf", tmp_path / "html"

    def offered():
        folders = map(str, (tmp_path, tmp_path, out, tmp_path / "doctrees"))
        with docutils_namespace():
            Sphinx(*folders, "html", status=None, warning=None, warningiserror=True).build()
        return 'href="book.pdf"' in (out / "index.html").read_text()

    assert not offered()
    pdf.parent.mkdir()
    pdf.write_bytes(b"%PDF")
    assert offered() and (out / "book.pdf").read_bytes() == b"%PDF"


def test_arguments_of_fractions():
    assert formulas.arguments("1{2n}+x", 2) == (["{1}", "{2n}"], "+x")
    assert formulas.arguments(r" \alpha {\{n\}} y", 2) == ([r"{\alpha}", r"{\{n\}}"], " y")


def test_a_small_book_becomes_a_pdf(build, tmp_path, monkeypatch):
    typst = pytest.importorskip("typst")
    pytest.importorskip("pypandoc")
    monkeypatch.undo()
    build(CHAPTER, code("x = 1"))
    pdf = tmp_path / "out" / "book.pdf"
    assert pdf.read_bytes().startswith(b"%PDF")
    pages = typst.Compiler(str(pdf.with_suffix(".typ")), root=str(pdf.parent)).query("<head>")
    heads = [head["value"]["level"] for head in json.loads(pages)]
    assert heads.count(2) >= 3  # the front, the chapter and the index
