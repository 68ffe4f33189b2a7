"""The files of the top level say the same thing, and each thing once."""

import hashlib
import importlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from docstrings import escape_stars
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(" ".join(re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.M)).split())
REQUIREMENTS = [
    Requirement(line)
    for group in [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    for line in group
]


def name(requirement):
    return re.sub(r"[-_.]+", "-", requirement.name).lower()


def test_constraints_pin_everything_that_the_project_asks_for():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {name(r): r for line in lines if line[0] != "#" for r in [Requirement(line)]}
    assert str(pins["torch"].specifier) == "==2.13.0"
    for pin in pins.values():
        assert re.fullmatch(r"==[\w.]+", str(pin.specifier)), "one version, for every platform"
    for requirement in REQUIREMENTS:
        version = str(pins[name(requirement)].specifier).removeprefix("==")
        assert requirement.specifier.contains(version), requirement


def test_the_oldest_versions_that_are_tested_are_the_lowest_that_are_allowed():
    allowed = {}
    for requirement in map(Requirement, PROJECT["dependencies"]):
        (bound,) = requirement.specifier  # and no upper one: Colab brings versions of its own
        assert bound.operator == ">=", requirement
        allowed[name(requirement)] = f"=={bound.version}"
    lines = (ROOT / "constraints-oldest.txt").read_text().splitlines()
    tested = [Requirement(line) for line in lines if line[0] != "#"]
    assert {name(r): str(r.specifier) for r in tested} == allowed


def test_every_python_that_is_named_is_tested():
    declared = [c for c in PROJECT["classifiers"] if c.startswith("Programming Language :: ")]
    pythons = [c.removeprefix("Programming Language :: Python :: ") for c in declared]
    assert PROJECT["requires-python"] == f">={pythons[0]}"
    jobs, published = (
        yaml.safe_load((ROOT / f".github/workflows/{file}.yml").read_text())["jobs"]
        for file in ("test", "publish")
    )
    assert jobs["test"]["strategy"]["matrix"]["python"] == pythons
    (publish,) = [step["with"] for step in published["publish"]["steps"] if "with" in step][:1]
    assert publish["python-version"] in pythons
    readme = (ROOT / "README.md").read_text()
    assert f"Python {', '.join(pythons[:-1])} or {pythons[-1]}" in readme


def test_compiled_code_lies_where_the_readme_lets_it_lie(tmp_path):
    (variable,) = re.findall(r"`export (\w+)=[\w/]+`", (ROOT / "README.md").read_text())
    script, cache = tmp_path / "compiled.py", tmp_path / "cache"
    script.write_text("import numba\n\n@numba.njit(cache=True)\ndef f():\n    pass\n\nf()\n")
    environ = os.environ | {variable: str(cache)}
    subprocess.run([sys.executable, script], env=environ, check=True)
    assert list(cache.rglob("compiled*.nbi")) and not (tmp_path / "__pycache__").exists()


def test_binder_installs_the_package_from_here_and_repeats_no_version():
    lines = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    conda = {line for line in lines if isinstance(line, str)}
    (pip,) = [line["pip"] for line in lines if isinstance(line, dict)]
    assert pip == ["-e .[book]"] and "book" in PROJECT["optional-dependencies"]
    (python,) = [line for line in conda if line.startswith("python=")]
    assert conda == {python, "pip", "pytorch-cpu"}  # torch's CPU build, at no version of its own
    assert SpecifierSet(PROJECT["requires-python"]).contains(python.removeprefix("python="))


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "book/results.md", ".ci/run"])
def test_the_commands_that_are_named_exist(document):
    text = (ROOT / document).read_text()
    named = set(re.findall(r"(?:^|`)make ([\w-]+)", text, re.M))
    assert named and named <= TARGETS


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_links_within_the_repository_lead_somewhere(document):
    text = re.sub(r"```.*?```", "", (ROOT / document).read_text(), flags=re.S)
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        # GitHub's pages of a repository, seen from where GitHub shows its files.
        link = re.sub(
            r"^\.\./\.\./actions/(workflows/\w+\.yml)(/badge\.svg)?$", r".github/\1", link
        )
        if not link.startswith("https://"):
            assert (ROOT / link).exists(), link


def test_the_readme_links_to_every_chapter():
    readme = (ROOT / "README.md").read_text()
    for notebook in (ROOT / "book").rglob("*.ipynb"):
        if "checkpoints" not in str(notebook):
            assert f"({notebook.relative_to(ROOT)})" in readme


def test_ci_runs_the_commands_of_readme_and_contributing_and_nothing_else():
    commands = (ROOT / ".ci/run").read_text().splitlines()[3:]
    expected = ["test", "book", "test-pages", "test-assignments"]
    assert commands == [f"make {target}" for target in expected]
    # What CI has no time for, in jobs of their own.
    apart = {job: f"make test-{job}" for job in ("oldest", "rounding", "rows")}
    told = (ROOT / "README.md").read_text() + (ROOT / "CONTRIBUTING.md").read_text()
    assert all(f"`{command}`" in told for command in [*commands, *apart.values()])
    jobs = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())["jobs"]
    assert jobs["test"]["steps"][-1] == {"run": ".ci/run"}
    assert {job: jobs[job]["steps"][-1] for job in apart} == {
        job: {"run": command} for job, command in apart.items()
    }


def test_every_week_the_notebooks_run_as_on_colab_and_a_failure_opens_an_issue():
    workflow = yaml.safe_load((ROOT / ".github/workflows/notebooks.yml").read_text())
    (when,) = workflow[True]["schedule"]  # to YAML "on" is a truth value
    assert re.fullmatch(r"\d+ \d+ \* \* [0-6]", when["cron"]), "once a week"
    steps = workflow["jobs"]["run"]["steps"]
    (python,) = [step["with"]["python-version"] for step in steps if "with" in step]
    assert f"Programming Language :: Python :: {python}" in PROJECT["classifiers"]
    (command,) = [step["run"] for step in steps if "if" not in step and "run" in step]
    assert command == "make test-notebooks"
    (newest,) = re.findall(r"^test-notebooks:.*\n((?:\t.*\n)+)", MAKEFILE, re.M)
    assert newest.startswith("\trm -rf .venv-reader ") and "--nbval-lax $(COPIES)" in newest
    assert "constraints" not in newest and "[book" not in newest and "torch" not in newest
    report = steps[-1]
    assert report["if"] == "failure()" and workflow["permissions"]["issues"] == "write"
    assert "gh issue create" in report["run"] and "gh issue comment" in report["run"]
    assert subprocess.run(["bash", "-n", "-c", report["run"]]).returncode == 0


def test_mathjax_is_the_one_that_its_note_names():
    folder = ROOT / "book/_static/mathjax"
    note = (folder / "README.md").read_text()
    script = (folder / "tex-svg-full.js").read_bytes()
    assert hashlib.sha256(script).hexdigest() in note
    (version,) = set(re.findall(r"mathjax@([\d.]+)", note))
    assert f'"{version}"'.encode() in script
    config = yaml.safe_load((ROOT / "_config.yml").read_text())["sphinx"]["config"]
    assert config["mathjax_path"] == "mathjax/tex-svg-full.js"


@pytest.mark.parametrize(
    "room", ["economies", "agents", "solvers", "evaluation", "interop", "experiments"]
)
def test_the_api_reference_has_every_public_name(room):
    public = set(importlib.import_module(f"lectures_lib.{room}").__all__)
    reference = (ROOT / "book/api.md").read_text()
    section = reference.split(f"currentmodule:: lectures_lib.{room}\n")[1].split("```")[0]
    assert public <= set(re.findall(r"auto\w+:: (?:[\w.]+\.)?(\w+)$", section, re.M))


def test_versions_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == PROJECT["version"]
    assert PROJECT["version"] in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize(
    ("written", "escaped"),
    [
        ("x : Tensor, shape (*batch, agents)", r"x : Tensor, shape (\*batch, agents)"),
        ("shape (n, *batch) and *much* more", r"shape (n, \*batch) and *much* more"),
        ("``(*batch, agents)``, (*batch,)", r"``(*batch, agents)``, (\*batch,)"),
    ],
)
def test_shapes_in_docstrings_are_escaped_outside_literals(written, escaped):
    assert escape_stars(written) == escaped
