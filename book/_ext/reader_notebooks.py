"""Write copies of the notebooks that install the package first, for readers on Colab.

    python book/_ext/reader_notebooks.py folder
"""

import sys
from pathlib import Path

import nbformat
from execute import BOOK, find_notebooks
from repository import find_address


def write_copy(path: Path, copy: Path, address: str) -> None:
    notebook = nbformat.read(path, as_version=4)
    install = nbformat.v4.new_code_cell(f"%pip install -q git+{address}", id="install")
    notebook.cells.insert(0, install)
    copy.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, copy)


def main() -> None:
    root = BOOK.parent
    address = find_address(root)
    if address is None:
        sys.exit("No address to install from: set GITHUB_REPOSITORY=owner/name or add a remote.")
    for path in find_notebooks():
        write_copy(path, Path(sys.argv[1]) / path.relative_to(root), address)


if __name__ == "__main__":
    main()
