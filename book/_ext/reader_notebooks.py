"""Write copies of the notebooks that fetch and install the repository first, for Colab.

python book/_ext/reader_notebooks.py folder
"""

import sys
from pathlib import Path

import nbformat
from execute import BOOK, find_notebooks
from repository import find_repository


def write_copy(path: Path, copy: Path, address: str, folder: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    # Chapters read stored results from the repository, so the package alone would not do. An
    # editable install would be seen only by the next kernel.
    install = nbformat.v4.new_code_cell(
        f"!git clone -q --depth 1 {address} /content/lectures\n"
        "%pip install -q /content/lectures\n"
        f"%cd -q /content/lectures/{folder}",
        id="install",
    )
    notebook.cells.insert(0, install)
    copy.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, copy)


def main() -> None:
    root = BOOK.parent
    repository = find_repository(root)
    if repository is None:
        sys.exit(
            "No address to install from: set GITHUB_REPOSITORY=owner/name, or add the remote "
            f"'origin' on GitHub to a repository whose top folder is {root}."
        )
    for path in find_notebooks():
        relative = path.relative_to(root)
        write_copy(path, Path(sys.argv[1]) / relative, repository.address, relative.parent)


if __name__ == "__main__":
    main()
