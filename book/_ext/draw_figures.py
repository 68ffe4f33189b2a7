"""Every figure of the chapters as a vector, for slides.

    python book/_ext/draw_figures.py [notebook ...]     (or: make slides-figures)

Copies them to `_build/figures/NAME.svg`, with their captions and texts for readers who cannot see
them in `captions.md`. `make execute` stores vectors with the pictures: see `vectors.py`. Where
some are missing, since a notebook was run elsewhere, it runs once more here and is left as it was.
A figure that then does not look as the stored one does is not kept.
"""

import argparse
import base64
import io
import shutil
from pathlib import Path

import nbformat
import numpy as np
import vectors
from execute import BOOK, find_notebooks, run
from matplotlib.image import imread

SLIDES = BOOK.parent / "_build" / "figures"
SAME = 0.01  # share of pixels that may look another way where it is still the same figure
SEEN = 0.1  # of black to white: a difference that can be seen


def difference(one: str, other: str) -> float:
    """Share of the pixels of two pictures that differ, given as base64; 1 if their sizes do."""
    one, other = (imread(io.BytesIO(base64.b64decode(text)))[..., :3] for text in (one, other))
    return float((np.abs(one - other).max(-1) > SEEN).mean()) if one.shape == other.shape else 1.0


def missing(path: Path, folder: Path = vectors.FOLDER) -> list[str]:
    """Names of a notebook's figures whose stored picture has no vector."""
    pixels = vectors.stored_pixels(path)
    return [name for name, picture in pixels.items() if not vectors.vector(name, picture, folder)]


def draw(path: Path, folder: Path = vectors.FOLDER) -> list[str]:
    """Run a notebook for the vectors that it lacks; names of those that could not be had."""
    wanted, pixels = missing(path, folder), vectors.stored_pixels(path)
    notebook = nbformat.read(path, as_version=4)
    run(notebook, path.parent)
    drawn = vectors.take(notebook)
    new = {name: data[vectors.PNG] for name, _, data in vectors.pictures(notebook)}
    same = [n for n in wanted if n in drawn and difference(new[n], pixels[n]) <= SAME]
    vectors.store({name: drawn[name] for name in same}, pixels, folder)
    return [name for name in wanted if name not in same]


def export(paths: list[Path], folder: Path = vectors.FOLDER, slides: Path = SLIDES) -> int:
    """Copy the vectors of these notebooks and their captions; how many there are."""
    slides.mkdir(parents=True, exist_ok=True)
    lines = []
    for path in paths:
        for name, cell, data in vectors.pictures(nbformat.read(path, as_version=4)):
            if source := vectors.vector(name, data[vectors.PNG], folder):
                shutil.copyfile(source, slides / source.name)
                shown = cell.metadata["mystnb"]
                caption, alt = shown["figure"].get("caption", ""), shown["image"]["alt"]
                lines.append(f"- `{source.name}` ({path.stem}): {caption}\n  *{alt}*\n")
    (slides / "captions.md").write_text("\n".join(lines), encoding="utf-8")
    return len(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="which may run (default: all)")
    for path in parser.parse_args().notebooks or find_notebooks():
        if missing(path):
            other = draw(path)
            said = (
                f", without vectors of {', '.join(other)}, which are no drawings or look otherwise"
            )
            print(f"{path} was run once more{said if other else ''}", flush=True)
    print(f"{export(find_notebooks())} figures are in {SLIDES}, and their captions in captions.md")


if __name__ == "__main__":
    main()
