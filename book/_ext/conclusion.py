"""Show what the book has found, and how each of its predictions fared.

The directive `results-table` prints the rows of :mod:`lectures_book.results`, and
`index-of-predictions` all that :mod:`lectures_book.predictions` finds in the notebooks, with links
to the cells that check them.
"""

import re
from itertools import groupby
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from running_times import table
from sphinx import addnodes
from sphinx.transforms import SphinxTransform
from sphinx.util.docutils import SphinxDirective

from lectures_book.predictions import chapters, read, stated
from lectures_book.results import HEAD, results

CAPTION = "The book's results"
LOOK = "in-words"  # of tables whose cells hold sentences
FARED = {True: "held", False: "missed"}


def anchor(chapter: str, cell: str) -> str:
    """What a cell of claims is called in links."""
    return nodes.make_id(f"predictions-{chapter}-{cell}")


def text(words: str) -> nodes.Text:
    """With signs in the place of hyphens."""
    return nodes.Text(re.sub(r"(?<![\w.])-(?=[\d.])", "−", words))


def link(words: str, domain_type: str, target: str, page: str) -> nodes.Node:
    return addnodes.pending_xref(
        "",
        nodes.inline("", words),
        refdomain="std",
        reftype=domain_type,
        reftarget=target,
        refdoc=page,
        refexplicit=True,
        refwarn=True,
    )


class NameTheCells(SphinxTransform):
    """Give the cells of a chapter that check predictions a name to link to."""

    default_priority = 500

    def apply(self, **kwargs):
        path, chapter = self.env.doc2path(self.env.docname), self.env.docname.removeprefix("book/")
        if not path.endswith(".ipynb"):
            return
        cells = read(path)
        checked = {one.cell for one in stated(chapter, cells)}
        labels = self.env.get_domain("std").anonlabels
        for box in self.document.findall(nodes.container):
            if box.get("nb_element") == "cell_code":
                cell = cells[box["cell_index"]].get("id")
                if cell in checked:
                    name = anchor(chapter, cell)
                    box["ids"].append(name)
                    labels[name] = self.env.docname, name


class ResultsTable(SphinxDirective):
    option_spec: ClassVar = {"name": directives.unchanged}

    def run(self):
        self.env.note_reread()  # the table changes when any result does
        titles = {chapter.name: chapter.title for chapter in chapters()}
        rows = []
        for row in results():
            name = row.chapter
            chapter = link(titles[name], "doc", f"/book/{name}", self.env.docname)
            rows.append([*map(text, row[1:]), chapter])
        shown = table(HEAD, rows)
        shown["classes"].append(LOOK)
        shown.insert(0, nodes.title("", "", nodes.Text(CAPTION)))
        self.add_name(shown)
        return [shown]


class IndexOfPredictions(SphinxDirective):
    def run(self):
        self.env.note_reread()
        page, shown = self.env.docname, []
        for part, members in groupby(chapters(), lambda chapter: chapter.part):
            for chapter in members:
                made = list(stated(chapter.name, chapter.cells))
                if made and part:
                    shown.append(nodes.rubric("", part))
                    part = ""
                if made:
                    shown.append(self.heading(chapter, made, page))
                    listed = table(("Predicted", "Measured", "Outcome"), self.rows(made, page))
                    listed["classes"].append(LOOK)
                    shown.append(listed)
        return shown

    @staticmethod
    def heading(chapter, made, page):
        held = sum(one.held for one in made)
        title = link(chapter.title, "doc", f"/book/{chapter.name}", page)
        return nodes.paragraph("", "", title, nodes.Text(f": {held} of {len(made)} held"))

    @staticmethod
    def rows(made, page):
        for one in made:
            fared = link(FARED[one.held], "ref", anchor(one.chapter, one.cell), page)
            measured = one.measured or ("as predicted" if one.held else "not so")
            yield [text(one.text), text(measured), fared]


def setup(app):
    app.add_transform(NameTheCells)
    app.add_directive("results-table", ResultsTable)
    app.add_directive("index-of-predictions", IndexOfPredictions)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
