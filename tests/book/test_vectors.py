"""That the chapters' figures are kept as vectors, each of the picture that is stored."""

import base64
import io
import xml.etree.ElementTree as ET

import draw_figures
import execute
import nbformat
import numpy as np
import pytest
import vectors
from execute import find_notebooks
from matplotlib.image import imsave

PLOT = """
import matplotlib.pyplot as plt
fig, ax = plt.subplots(layout="constrained")
ax.fill_between([0, 1], [0, SIZE], hatch="//", label="a")
ax.legend()
plt.show()
"""
FIGURE = {"figure": {"name": "fig-s", "caption": "S"}, "image": {"alt": "A wedge."}}


def drawn(source, **metadata):
    return nbformat.v4.new_code_cell(source, metadata={"mystnb": FIGURE} | metadata)


def picture(shade):
    """Of four pixels, in base64."""
    file = io.BytesIO()
    imsave(file, np.full((2, 2, 3), shade), format="png")
    return base64.b64encode(file.getvalue()).decode()


@pytest.fixture
def chapter(tmp_path, monkeypatch):
    """A chapter whose figure has been drawn, and the folder of its vectors."""
    folder = tmp_path / "vectors"
    monkeypatch.setattr(vectors.store, "__defaults__", (folder,))
    monkeypatch.setattr(execute, "describe_device", lambda: ("cpu", {"device": "C", "threads": 1}))
    path = tmp_path / "chapter.ipynb"
    cells = [drawn(PLOT.replace("SIZE", "1")), nbformat.v4.new_code_cell("plt.plot([1]);")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    execute.execute(path)
    return path, folder


def test_a_run_stores_pixels_in_the_notebook_and_vectors_beside_it(chapter, tmp_path):
    path, folder = chapter
    notebook = nbformat.read(path, as_version=4)
    assert [cell.execution_count for cell in notebook.cells] == [1, 2]
    kinds = [set(out.data) for cell in notebook.cells for out in cell.outputs]
    assert kinds == [{"image/png", "text/plain"}] * 2
    pixels = vectors.stored_pixels(path)
    assert list(pixels) == ["fig-s"]
    found = vectors.vector("fig-s", pixels["fig-s"], folder)
    assert found == folder / "fig-s.svg"
    assert ET.parse(found).getroot().tag.endswith("svg")
    assert vectors.vector("fig-s", picture(0.5), folder) is None, "that of another picture"
    assert vectors.vector("fig-other", pixels["fig-s"], folder) is None

    slides = tmp_path / "slides"
    assert draw_figures.export([path], folder, slides) == 1
    assert {file.name for file in slides.iterdir()} == {"fig-s.svg", "captions.md"}
    assert (slides / "captions.md").read_text() == "- `fig-s.svg` (chapter): S\n  *A wedge.*\n"


def test_a_missing_vector_is_drawn_by_another_run_if_that_looks_the_same(chapter):
    path, folder = chapter
    stored, vector = path.read_text(), (folder / "fig-s.svg").read_text()
    (folder / "fig-s.svg").unlink()
    assert draw_figures.missing(path, folder) == ["fig-s"]
    assert draw_figures.draw(path, folder) == []
    assert (folder / "fig-s.svg").read_text() == vector, "it is the same whenever it is drawn"
    assert path.read_text() == stored, "and the notebook is left as it was"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].outputs[0].data["image/png"] = picture(0.5)
    nbformat.write(notebook, path)
    assert draw_figures.draw(path, folder) == ["fig-s"]


def test_a_difference_is_one_that_can_be_seen():
    assert draw_figures.difference(picture(0.5), picture(0.55)) == 0
    assert draw_figures.difference(picture(0.5), picture(0.7)) == 1


MOST = 0.5  # raise it to 0.9 once make slides-figures has drawn what is missing


def test_most_figures_of_the_book_are_vectors():
    """Some may be missing where chapters were run on other branches: make slides-figures."""
    pixels = {n: p for path in find_notebooks() for n, p in vectors.stored_pixels(path).items()}
    found = [name for name, picture in pixels.items() if vectors.vector(name, picture)]
    assert len(found) > MOST * len(pixels), sorted(set(pixels) - set(found))
    assert {path.stem for path in vectors.FOLDER.iterdir()} <= set(pixels), "of no figure"
