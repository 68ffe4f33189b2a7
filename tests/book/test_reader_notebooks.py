"""Notebooks for readers: their first cell, and their text beside the built pages."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urljoin

import nbformat
import pytest
import reader_notebooks
import yaml
from bs4 import BeautifulSoup
from execute import find_notebooks
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["own environment", "shared environment"])
def fresh_kernel(request, tmp_path, monkeypatch):
    """An empty folder, and the kernel `fresh` to which nothing of this repository is installed.

    What else is installed here stands on its path, and its pip asks no index. Where the environment
    is shared, pip installs for the user alone, into a folder that is not there yet.
    """
    environment, home = tmp_path / "environment", tmp_path / "home"
    python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    command = [sys.executable, "-m", "venv", "--without-pip", environment]
    if request.param == "shared environment":
        command.append("--system-site-packages")
        monkeypatch.setenv("PIP_USER", "1")
    monkeypatch.setenv("PYTHONUSERBASE", str(home))
    subprocess.run(command, check=True)
    ask = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip()
    Path(site, "others.pth").write_text("\n".join(p for p in sys.path if "site-packages" in p))
    spec = {"argv": [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]}
    spec |= {"display_name": "Fresh", "language": "python"}
    file = tmp_path / "jupyter" / "kernels" / "fresh" / "kernel.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(spec))
    for name, value in {
        "JUPYTER_PATH": str(tmp_path / "jupyter"),
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # which is how pip spells "no isolation"
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A repository on this disk that has what is here, committed or not."""
    for name in ("GIT_DIR", "GIT_WORK_TREE"):  # the tests may run in a hook
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "published"
    folder.mkdir()
    for part in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / part, folder)
    for part in ("lectures_lib", "book", "benchmarks/results"):
        ignore = shutil.ignore_patterns("__pycache__", "*.ipynb", "_static")
        shutil.copytree(ROOT / part, folder / part, ignore=ignore)
    (folder / "book" / "section").mkdir()
    (folder / "book" / "section" / "chapter.md").touch()
    settings = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgSign=false"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "All"]):
        subprocess.run(["git", "-C", folder, *settings, *command], check=True)
    return folder


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_first_cell_serves_the_kernel_that_runs_it(fresh_kernel, published):
    cell = reader_notebooks.write_install("https://page", f"file://{published}", "book/section")
    use = (
        "import lectures_lib\n"
        "from lectures_book import claim, stored\n"
        "from pathlib import Path\n"
        "print(Path.cwd(), lectures_lib.__file__, len(stored('planner')) > 0, sep='\\n')"
    )
    absent = "from importlib.util import find_spec\nprint(find_spec('lectures_lib'))"
    cells = [nbformat.v4.new_code_cell(absent), cell, nbformat.v4.new_code_cell(use)]
    cells += [
        nbformat.v4.new_code_cell(cell.source),
        nbformat.v4.new_code_cell(use),
    ]  # run again, it changes nothing
    notebook = nbformat.v4.new_notebook(cells=cells)
    place = {"metadata": {"path": str(fresh_kernel)}}
    NotebookClient(notebook, kernel_name="fresh", timeout=60, resources=place).execute()
    said = ["".join(out.text for out in cell.outputs if "text" in out) for cell in cells]
    assert said[0] == "None\n"
    assert "ERROR" not in said[1] and "fatal" not in said[1] + said[3]
    folder, package, found = said[2].splitlines()
    assert folder == str(fresh_kernel / "lectures" / "book" / "section")
    home = "home" if "PIP_USER" in os.environ else "environment"
    assert package.startswith(str(fresh_kernel.parent / home))
    assert found == "True" and said[4] == said[2] and not said[3]
    assert [path.name for path in fresh_kernel.iterdir()] == ["lectures"]


# Roles, directives, labels, footnotes and substitutions: what only the book's own build reads.
MYST = r"""\{[\w:.-]+\}`|(?:```|~~~|:::)\{|^[\s>]*:::|^\([\w-]+\)=|\[\^\w+\]|\{\{ ?\w+ ?\}\}"""


def build(out, *options):
    """Build the whole book, at an address of its own, next to what was built there before.

    Menus on every page and pages of the library's code take as long as all the rest, and are not
    compared.
    """
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    ours = config["sphinx"]["local_extensions"]
    config["sphinx"]["local_extensions"] = {name: str(ROOT / path) for name, path in ours.items()}
    settings = config["sphinx"]["config"]
    settings["html_sidebars"] = {"**": []}
    settings["extensions"].remove("sphinx.ext.viewcode")
    (out / "_config.yml").write_text(yaml.safe_dump(config, sort_keys=False))
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build"]
    options = ["--config", out / "_config.yml", *options]
    environ = os.environ | {"GITHUB_REPOSITORY": "owner/name"}
    environ.pop("GITHUB_WORKSPACE", None)
    made = subprocess.run(
        [*command, ".", "--path-output", out, *options], cwd=ROOT, env=environ, capture_output=True
    )
    assert made.returncode == 0, made.stderr.decode()


def test_every_notebook_is_plain_markdown_with_the_numbers_and_links_of_its_page(tmp_path):
    build(tmp_path)
    build(tmp_path, "--builder", "custom", "--custom-builder", "notebooks")
    for path in find_notebooks():
        name = path.relative_to(ROOT)
        notebook = nbformat.read(tmp_path / "_build" / "notebooks" / name, as_version=4)
        text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
        assert not re.findall(MYST, text, re.M), name
        assert text.count("$$") % 2 == 0 and text.count("<details>") == text.count("</details>")
        code = [cell.source for cell in notebook.cells if cell.cell_type == "code"][1:]
        source = nbformat.read(path, as_version=4)
        assert code == [cell.source for cell in source.cells if cell.cell_type == "code"], name

        file = (tmp_path / "_build" / "html" / name).with_suffix(".html")
        page = BeautifulSoup(file.read_text(), "html.parser").find("article")
        for note in page.select(".headerlink, .cell_input, .cell_output pre"):
            note.decompose()
        equations = [node.get_text().strip("()") for node in page.select(".eqno")]
        assert re.findall(r"\\tag\{(.*?)\}", text) == equations, name
        captions = [node.get_text().strip() for node in page.select(".caption-number")]
        listed = re.findall(
            r"^(?:\*|> \*\*|<.*<b>)((?:Fig\.|Table|Listing|Exercise|Algorithm) [\d.]*\d)",
            text,
            re.M,
        )
        assert sorted(listed) == sorted(captions), name
        address = f"https://owner.github.io/name/{name.with_suffix('.html')}"
        links = [urljoin(address, node["href"]) for node in page.select("a.reference")]
        there = [link for link in links if not link.startswith(f"{address}#")]
        shown = re.findall(r"!\[[^\]]*\]\((https?:[^)]*)\)", text)
        linked = re.findall(r"\]\((https?:[^)]*)\)", text.split("\n## References\n")[0])
        assert [link for link in linked if link not in shown] == there, name
        for image in shown:
            published = image.removeprefix("https://owner.github.io/name/")
            assert (tmp_path / "_build" / "html" / published).is_file(), image
