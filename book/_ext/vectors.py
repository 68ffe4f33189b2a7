"""Keep each named figure of the chapters as a vector, too, for paper and for slides.

Notebooks store pictures made of pixels. While `make execute` runs one, it draws both, and the
vector goes to `book/_figures/NAME.svg`. Its first line says of which stored picture it is, so that
one that is out of date is found: see `vector`.
"""

import hashlib
import re
from pathlib import Path

import nbformat

FOLDER = Path(__file__).resolve().parents[1] / "_figures"
PNG, SVG = "image/png", "image/svg+xml"
# For a kernel, as it starts. The vector comes last, since a figure that is drawn a second time may
# be moved by a pixel.
DRAW = """
from matplotlib_inline.config import InlineBackend
_formatters = get_ipython().display_formatter.formatters
_formatters["image/svg+xml"] = _formatters.pop("image/svg+xml")
InlineBackend.instance(parent=get_ipython()).figure_formats = {"png", "svg"}
del InlineBackend, _formatters
"""
HEAD = '<?xml version="1.0" encoding="utf-8"?><!-- of the picture {} -->\n'


def digest(picture: str) -> str:
    """Of a stored picture, in base64."""
    return hashlib.sha256("".join(picture.split()).encode()).hexdigest()[:16]


def pictures(notebook: nbformat.NotebookNode):
    """Names, cells and drawn outputs of a notebook's figures that have a name."""
    for cell in notebook.cells:
        figure = cell.metadata.get("mystnb", {}).get("figure", {})
        for output in cell.get("outputs", ()):
            if "name" in figure and PNG in output.get("data", {}):
                yield figure["name"], cell, output.data


def tidy(svg: str) -> str:
    """A vector that is the same whenever it is drawn: without date, and its ids by number."""
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.S)
    drawn_by_chance = dict.fromkeys(re.findall(r'id="([a-z][0-9a-f]{10})"', svg))
    for number, name in enumerate(drawn_by_chance):
        svg = re.sub(rf"\b{name}\b", f"i{number}", svg)
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def take(notebook: nbformat.NotebookNode) -> dict[str, str]:
    """Take the vectors out of a notebook that has been run; those of figures with a name."""
    named = {name: data[SVG] for name, _, data in pictures(notebook) if SVG in data}
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if PNG in output.get("data", {}):
                output.data.pop(SVG, None)
                output.metadata.pop(SVG, None)
    return named


def store(drawn: dict[str, str], pixels: dict[str, str], folder: Path = FOLDER) -> None:
    """Write vectors, each as that of the stored picture of the same name."""
    folder.mkdir(exist_ok=True)
    for name, svg in drawn.items():
        text = HEAD.format(digest(pixels[name])) + tidy(svg)
        (folder / f"{name}.svg").write_text(text, encoding="utf-8")


def stored_pixels(path: Path) -> dict[str, str]:
    """Names of a notebook's figures and, in base64, their pictures."""
    notebook = nbformat.read(path, as_version=4)
    return {name: data[PNG] for name, _, data in pictures(notebook)}


def vector(name: str, picture: str, folder: Path = FOLDER) -> Path | None:
    """The vector of a stored picture, unless there is none or that of another picture."""
    path = folder / f"{name}.svg"
    head = HEAD.format(digest(picture))
    return path if path.exists() and path.read_text(encoding="utf-8").startswith(head) else None
