"""The repository's address, and what is absent without one."""

import subprocess
from pathlib import Path

import nbformat
import pytest
import reader_notebooks
import repository

ADDRESS = "https://github.com/owner/some.name"


@pytest.mark.parametrize(
    "remote",
    [
        "git@github.com:owner/some.name.git",
        "https://github.com/owner/some.name",
        "https://github.com/owner/some.name.git\n",
        "https://user:secret@github.com/owner/some.name.git",
        "ssh://git@github.com/owner/some.name.git",
    ],
)
def test_a_github_remote_gives_the_page_and_no_secret(remote):
    assert repository.from_remote(remote) == ADDRESS


@pytest.mark.parametrize(
    "remote", ["", "/srv/git/book.git", "https://example.org/owner/name.git", "https://github.com/"]
)
def test_other_remotes_give_no_address(remote):
    assert repository.from_remote(remote) is None


def test_the_environment_comes_before_the_remote(tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    assert repository.find_address(tmp_path, {}) is None
    subprocess.run(
        ["git", "-C", tmp_path, "remote", "add", "origin", "git@github.com:owner/some.name.git"],
        check=True,
    )
    assert repository.find_address(tmp_path, {}) == ADDRESS
    other = repository.find_address(tmp_path, {"GITHUB_REPOSITORY": "fork/name"})
    assert other == "https://github.com/fork/name"


class Config:
    def __init__(self):
        self.html_theme_options = {"home_page_in_toc": True}


@pytest.mark.parametrize("address", [None, ADDRESS])
def test_buttons_need_an_address(address, monkeypatch):
    monkeypatch.setattr(repository, "find_address", lambda folder: address)
    config = Config()
    repository.add_buttons(type("App", (), {"srcdir": "."}), config)
    assert config.html_theme_options["home_page_in_toc"]
    assert ("launch_buttons" in config.html_theme_options) == bool(address)
    assert config.html_theme_options.get("repository_url") == address


def test_colab_opens_the_copy_that_installs_the_package(tmp_path):
    colab = {
        "text": "Colab",
        "url": f"https://colab/github/owner/some.name/blob/{repository.BRANCH}/x",
    }
    context = {"header_buttons": [{"type": "link"}, {"buttons": [colab]}]}
    repository.open_colab_with_the_package(None, None, None, context, None)
    assert colab["url"].endswith(f"/blob/{repository.COLAB_BRANCH}/x")

    cells = [nbformat.v4.new_markdown_cell("# Title"), nbformat.v4.new_code_cell("1 + 1")]
    path = tmp_path / "chapter.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    out, folder = tmp_path / "out" / "chapter.ipynb", Path("book/section")
    reader_notebooks.write_copy(path, out, ADDRESS, folder)
    copy = nbformat.read(tmp_path / "out" / "chapter.ipynb", as_version=4)
    assert f"git clone -q --depth 1 {ADDRESS} " in copy.cells[0].source
    assert copy.cells[0].source.endswith("/book/section")
    assert [cell.source for cell in copy.cells[1:]] == ["# Title", "1 + 1"]
