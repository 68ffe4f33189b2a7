"""The assignments, built once for each process of the tests."""

import sys
from pathlib import Path

import pytest

from assignments.build import HERE, build, names
from assignments.grade import read, sources

# What the notebooks import is handed out beside them.
sys.path.insert(0, str(HERE))


def pytest_generate_tests(metafunc):
    """Tests of every assignment: one at a time in a process, which builds it once."""
    if "name" in metafunc.fixturenames:
        group = pytest.mark.xdist_group
        metafunc.parametrize("name", [pytest.param(name, marks=group(name)) for name in names()])


@pytest.fixture(scope="session")
def _built(tmp_path_factory):
    folder, made = tmp_path_factory.mktemp("assignments"), {}

    def find(name) -> Path:
        if name not in made:
            made[name] = build(name, folder)
        return made[name]

    return find


@pytest.fixture
def built(_built, name):
    """The folder with both versions of the assignment."""
    return _built(name)


@pytest.fixture
def solution(built, name):
    """The code of the solution's cells."""
    return sources(read(built / "autograder" / f"{name}.ipynb"))
