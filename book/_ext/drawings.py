"""Write the drawings of `book/_static/drawings` into the pages that show them.

A page that holds a drawing, instead of a reference to its file, lends it its own ink and font, so
that it can be read on a dark page and on a phone. As a file of its own, on GitHub or in a
notebook, a drawing brings its white paper.
"""

import xml.etree.ElementTree as ET
from pathlib import Path

from docutils import nodes
from sphinx.util import logging

FOLDER = "book/_static/drawings"
SVG = "http://www.w3.org/2000/svg"

logger = logging.getLogger(__name__)


def inline(path: str | Path, alt: str) -> str:
    """The drawing for a page: without its paper, and with the text for those who cannot see it."""
    drawing = ET.parse(path).getroot()
    paper = drawing.find(f"{{{SVG}}}rect[@class='paper']")
    if paper is None:
        raise ValueError(f"{path} has no <rect class='paper'> behind its lines: add one.")
    drawing.remove(paper)
    # Scripts for reading aloud take it for one image with one text.
    drawing.attrib.update({"class": "drawing", "role": "img", "aria-label": alt})
    ET.register_namespace("", SVG)
    return ET.tostring(drawing, encoding="unicode")


def write_into_page(app, doctree, docname):
    if app.builder.format != "html":
        return
    for image in list(doctree.findall(nodes.image)):
        if Path(image["uri"]).parent.as_posix() != FOLDER:
            continue
        if not image.get("alt"):
            logger.warning("a drawing needs an alt text", location=image)
        html = inline(Path(app.srcdir) / image["uri"], image.get("alt", ""))
        image.replace_self(nodes.raw("", html, format="html"))


def setup(app):
    app.connect("doctree-resolved", write_into_page)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
