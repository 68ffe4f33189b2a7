"""Put what can be moved on the pages that have it, beside the picture that cannot.

A chapter's cell shows a figure by `lectures_book.explorable`, with a specification in Vega-Lite. A
page keeps the figure for paper and for readers without scripts, and gets the specification and the
scripts that draw it; no other page is given them.
"""

import json
from pathlib import Path

import nbformat
from docutils import nodes
from sphinx.util import logging

from lectures_book.explorable import MIME

SCRIPTS = ("vega/vega.min.js", "vega/vega-lite.min.js", "explorables.js")
CLASS = "explorable"

logger = logging.getLogger(__name__)


def specifications(path: Path) -> dict[int, dict]:
    """The specification of each cell of a notebook that has one, by the cell's place."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb" or MIME not in text:
        return {}
    cells = nbformat.reads(text, as_version=4).cells
    return {
        index: output.data[MIME]
        for index, cell in enumerate(cells)
        for output in cell.get("outputs", ())
        if MIME in output.get("data", {})
    }


def write(spec: dict) -> str:
    """HTML that carries a specification and shows nothing until a script draws it."""
    # The address of its schema is for editors, and no text may end the script.
    text = json.dumps({key: value for key, value in spec.items() if key != "$schema"})
    text = text.replace("<", "\\u003c")
    return f'<script type="application/json">{text}</script>'


def write_into_page(app, doctree, docname):
    if app.builder.format != "html":
        return
    found = specifications(Path(app.env.doc2path(docname)))
    for cell in doctree.findall(nodes.container) if found else ():
        if cell.get("cell_index") not in found or cell.get("nb_element") != "cell_code":
            continue
        images = list(cell.findall(nodes.image))
        if len(images) != 1 or not images[0].get("alt"):
            logger.warning("what moves needs one figure with an alt text", location=cell)
            continue
        image = images[0]
        spec = {"description": image["alt"], **found[cell["cell_index"]]}
        # With a class it is written as a division of its own.
        node = nodes.raw("", write(spec), format="html", classes=[CLASS])
        image.parent.insert(image.parent.index(image) + 1, node)


def add_scripts(app, pagename, templatename, context, doctree):
    if doctree is not None and any(CLASS in x["classes"] for x in doctree.findall(nodes.raw)):
        for script in SCRIPTS:
            app.add_js_file(script, loading_method="defer")


def setup(app):
    app.connect("doctree-resolved", write_into_page)
    app.connect("html-page-context", add_scripts)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
