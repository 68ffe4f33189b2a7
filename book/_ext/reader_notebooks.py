"""Build the notebooks that readers run where the book is not: on Colab, on a laptop, anywhere.

    jupyter-book build . --builder custom --custom-builder notebooks        (or: make notebooks)

Each is a chapter whose text is plain Markdown with the numbers and links of the built pages, and
whose first cell fetches the book and installs it for the kernel that runs.
"""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import nbformat
from docutils import nodes
from plain_markdown import PlainMarkdown, is_folded
from pybtex.plugin import find_plugin
from repository import find_pages, find_repository
from sphinx.builders import Builder
from sphinx.errors import ExtensionError

INSTALL = """\
# A live copy of {page}
# Run this cell first: it fetches the book and installs what the chapter needs, in about a minute.
import site
from pathlib import Path

if not Path("../../lectures_lib").exists():
    if not Path("lectures").exists():
        !git clone -q --depth 1 {address} lectures
    %pip install -q ./lectures
    site.addsitedir(site.getusersitepackages())
    %cd -q lectures/{folder}"""

HIDDEN_INPUT = {"hide-input", "hide-cell", "remove-input", "remove-cell"}
HIDDEN_OUTPUT = {"hide-output", "hide-cell", "remove-output", "remove-cell"}


def write_install(page: str, address: str, folder: str) -> nbformat.NotebookNode:
    """The cell that a reader runs first: the repository at `address`, its `folder` the current one.

    Chapters read stored results, so the package alone would not do. An editable install would be
    seen only by the next kernel, and so would the user's folder of packages, in which pip installs
    on a shared machine, where it is new. No version is named: a service's own torch stays.
    """
    source = INSTALL.format(page=page, address=address, folder=folder)
    return nbformat.v4.new_code_cell(source, id="install")


class Cell(NamedTuple):
    """The place of a code cell: which of the chapter's, and whether in a box that is folded."""

    index: int
    is_folded: bool = False


def is_cell(node: nodes.Node) -> bool:
    return isinstance(node, nodes.container) and node.get("nb_element") == "cell_code"


def has_cells(node: nodes.Node) -> bool:
    return any(node.findall(is_cell))


def unwrap(box: nodes.Element) -> Iterator[nodes.Node]:
    """What stands in a box, and the code cells among it on the first level."""
    for child in box.children:
        if has_cells(child) and not is_cell(child):
            yield from unwrap(child)
        else:
            yield child


class ReaderNotebooks(Builder):
    name = "notebooks"
    format = "notebook"
    epilog = "The notebooks for readers are in %(outdir)s."
    allow_parallel = True
    supported_image_types = ("image/svg+xml", "image/png", "image/gif", "image/jpeg")

    def init(self):
        repository = find_repository(self.srcdir)
        if repository is None:
            raise ExtensionError(
                "No address to install from: set GITHUB_REPOSITORY=owner/name, or add the remote "
                f"'origin' on GitHub to a repository whose top folder is {self.srcdir}."
            )
        self.address = repository.address
        self.pages = find_pages(repository.address)

    def get_outdated_docs(self):
        return self.env.found_docs  # numbers may have changed in any

    def get_target_uri(self, docname, typ=None):
        return f"{self.pages}{docname}.html"

    def get_relative_uri(self, from_, to, typ=None):
        return self.get_target_uri(to)  # no address is relative where a notebook may lie

    def get_image_uri(self, node):
        uri = node["uri"]
        if uri.startswith("book/_static/"):  # a drawing, which a page has in itself
            return f"{self.pages}{uri.removeprefix('book/')}"
        return f"{self.pages}_images/{self.env.images[uri][1]}" if uri in self.env.images else uri

    def prepare_writing(self, docnames):
        domain, backend = self.env.get_domain("cite"), find_plugin("pybtex.backends", "docutils")()
        self.references = {
            f"{self.get_target_uri(citation.bibliography_key.docname)}#{citation.citation_id}": (
                backend.paragraph(citation.formatted_entry)
            )
            for citation in domain.citations
        }

    def write_doc(self, docname, doctree):
        path = Path(self.env.doc2path(docname))
        if path.suffix != ".ipynb":
            return
        # Where Sphinx's own builder of pages keeps them, for what is shared with it.
        self.page = self.get_target_uri(docname)
        self.fignumbers = self.env.toc_fignumbers.get(docname, {})
        self.secnumbers = self.env.toc_secnumbers.get(docname, {})
        chapter = nbformat.read(path, as_version=4)
        install = write_install(self.page, self.address, os.path.dirname(docname))
        chapter.cells = [install, *self.cells(doctree, chapter.cells)]
        copy = Path(self.outdir, f"{docname}.ipynb")
        copy.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(chapter, copy)

    def cells(self, doctree, cells) -> Iterator[nbformat.NotebookNode]:
        """The chapter's code cells, all of them and in their order, between cells of Markdown."""
        code = {index: cell for index, cell in enumerate(cells) if cell.cell_type == "code"}
        count, text = itertools.count(1), []
        for part in [*self.parts(doctree, PlainMarkdown(self)), Cell(len(cells))]:
            if isinstance(part, Cell) or part.startswith("#"):
                if text:
                    name = f"text-{next(count)}"
                    yield nbformat.v4.new_markdown_cell("\n\n".join(text), id=name)
                text = []
            if isinstance(part, Cell):
                # Those before it that are not shown on the page have to run as well.
                for index in [index for index in code if index <= part.index]:
                    yield hide(code.pop(index), part.is_folded and index == part.index)
            else:
                text.append(part)

    def parts(self, doctree, markdown) -> Iterator[Cell | str]:
        """Blocks of Markdown, and the places of the cells of code between them."""
        yield from self.walk(doctree, markdown)
        links = {node.get("refuri") for node in doctree.findall(nodes.reference)}
        cited = [entry for uri, entry in self.references.items() if uri in links]
        if cited:
            yield "## References"
            yield "\n".join(f"- {markdown.block(entry)}" for entry in cited)

    def walk(self, node, markdown, level=0, folded=False) -> Iterator[Cell | str]:
        for child in node.children:
            if isinstance(child, nodes.section):
                yield from self.walk(child, markdown, level + 1)
            elif level and isinstance(child, nodes.title):
                yield markdown.heading(child, level)
            elif is_cell(child):
                yield Cell(child["cell_index"], folded)
                yield from map(markdown.block, child.findall(nodes.caption))
            elif isinstance(child, nodes.Admonition) and has_cells(child):
                note = ""
                for are_cells, group in itertools.groupby(unwrap(child), is_cell):
                    if are_cells:
                        group = nodes.container("", *group)
                        yield from self.walk(group, markdown, folded=is_folded(child))
                    else:
                        yield markdown.box(child, group, note)
                    note = "(continued)"
            elif has_cells(child):
                yield from self.walk(child, markdown, folded=folded)
            elif block := markdown.block(child):
                yield block


def hide(cell: nbformat.NotebookNode, folded: bool) -> nbformat.NotebookNode:
    """Say in the services' own words what the book's tags say, and fold a solution's code."""
    tags = set(cell.metadata.get("tags", ()))
    jupyter = {}
    if folded or tags & HIDDEN_INPUT:
        jupyter["source_hidden"] = True
        cell.metadata["cellView"] = "form"  # Colab's word
    if folded or tags & HIDDEN_OUTPUT:
        jupyter["outputs_hidden"] = True
    if jupyter:
        cell.metadata["jupyter"] = jupyter
    cell.metadata.pop("mystnb", None)
    return cell


def setup(app):
    app.add_builder(ReaderNotebooks)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
