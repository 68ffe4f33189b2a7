"""Draw the chapters' figures as vectors, for slides and for the book on paper.

    python book/_ext/draw_figures.py [notebook ...]     (or: make slides-figures)

Notebooks keep pictures made of pixels. Here each of them runs once more, is left as it was, and
leaves `_build/figures/NAME.svg` for each of its figures that has a name, with caption and text for
readers who cannot see it in `figures.json` and `captions.md`. A figure that does not look as the
stored one does, since it shows seconds or another machine's rounding, is kept and said to differ.
Where no notebook is named, those are passed over whose stored figures have all been drawn.
"""

import argparse
import base64
import hashlib
import io
import json
from pathlib import Path

import nbformat
import numpy as np
from execute import BOOK, find_notebooks, run
from matplotlib.image import imread

FIGURES = BOOK.parent / "_build" / "figures"
LIST = "figures.json"
# The vector comes last, since a picture that is drawn again may be moved by a pixel.
FORMATS = """
from matplotlib_inline.config import InlineBackend

formatters = get_ipython().display_formatter.formatters
formatters["image/svg+xml"] = formatters.pop("image/svg+xml")
InlineBackend.instance(parent=get_ipython()).figure_formats = {"png", "svg"}
"""
SAME = 0.01  # share of pixels that may look another way where it is still the same figure
SEEN = 0.1  # of black to white: a difference that can be seen


def digest(picture: str) -> str:
    """Of a stored picture, in base64: the drawing was compared with this one and no other."""
    return hashlib.sha256(picture.encode()).hexdigest()


def pictures(notebook: nbformat.NotebookNode):
    """Names, cells and drawn outputs of a notebook's figures that have a name."""
    for cell in notebook.cells:
        figure = cell.metadata.get("mystnb", {}).get("figure", {})
        for output in cell.get("outputs", ()):
            if "name" in figure and "image/png" in output.get("data", {}):
                yield figure["name"], cell, output.data


def difference(one: str, other: str) -> float:
    """Share of the pixels of two pictures that differ, given as base64; 1 if their sizes do."""
    one, other = (imread(io.BytesIO(base64.b64decode(text)))[..., :3] for text in (one, other))
    return float((np.abs(one - other).max(-1) > SEEN).mean()) if one.shape == other.shape else 1.0


def draw(path: Path, folder: Path = FIGURES) -> dict:
    """Run a notebook and write its figures into a folder; what is to be known of each."""
    notebook = nbformat.read(path, as_version=4)
    stored = stored_pictures(path)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(FORMATS))
    run(notebook, path.parent)
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for name, cell, data in pictures(notebook):
        (folder / f"{name}.svg").write_text(data["image/svg+xml"], encoding="utf-8")
        found[name] = {
            "notebook": path.resolve().relative_to(BOOK.parent).as_posix(),
            "stored": digest(stored.get(name, "")),
            "caption": cell.metadata["mystnb"]["figure"].get("caption", ""),
            "alt": cell.metadata["mystnb"].get("image", {}).get("alt", ""),
            "differs": difference(data["image/png"], stored[name]) if name in stored else 1.0,
        }
    return found


def read(folder: Path = FIGURES) -> dict:
    """What is known of each figure that has been drawn."""
    path = folder / LIST
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def stored_pictures(path: Path) -> dict[str, str]:
    """Names of a notebook's figures and, in base64, their pictures."""
    notebook = nbformat.read(path, as_version=4)
    return {name: data["image/png"] for name, _, data in pictures(notebook)}


def is_drawn(path: Path, folder: Path = FIGURES) -> bool:
    """Whether each figure that a notebook stores has been drawn, be it the same or another."""
    found = read(folder)
    return all(
        name in found and found[name]["stored"] == digest(picture)
        for name, picture in stored_pictures(path).items()
    )


def vector(name: str, notebook: Path, folder: Path = FIGURES) -> Path | None:
    """The drawing of a figure, where there is one that looks as the notebook's does."""
    found = read(folder).get(name)
    path = folder / f"{name}.svg"
    if not found or found["differs"] > SAME or not path.exists():
        return None
    return path if found["stored"] == digest(stored_pictures(notebook)[name]) else None


def write_list(found: dict, folder: Path = FIGURES) -> None:
    (folder / LIST).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    lines = [f"- `{name}.svg` ({of['notebook']}): {of['caption']}" for name, of in found.items()]
    (folder / "captions.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="which to run")
    named = parser.parse_args().notebooks
    for path in named or [path for path in find_notebooks() if not is_drawn(path)]:
        new = draw(path)
        write_list(dict(sorted({**read(), **new}.items())))
        other = [name for name, of in new.items() if of["differs"] > SAME]
        print(
            f"{path}: {len(new)} figures"
            + (f", of which another run draws differently: {', '.join(other)}" if other else ""),
            flush=True,
        )


if __name__ == "__main__":
    main()
