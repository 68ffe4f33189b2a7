"""What is stored of every benchmark: who made it, from which code, and that it can be printed."""

import re
import subprocess
import sys
from importlib import import_module

import pytest

from benchmarks.harness import RESULTS, run, stored

FOLDER = RESULTS.parent
QUESTIONS = sorted(path.parent.name for path in FOLDER.glob("*/__main__.py"))


def question(name):
    """The module that `python -m benchmarks.name` runs."""
    return import_module(f"benchmarks.{name}.__main__")


def test_every_folder_is_a_question_that_can_be_run_and_every_file_of_results_belongs_to_one():
    folders = {path.parent.name for path in FOLDER.glob("*/*.py")} - {"harness"}
    assert folders == set(QUESTIONS)
    assert {path.stem for path in RESULTS.iterdir()} <= folders


def test_a_question_is_run_from_the_root():
    command = [sys.executable, "-m", "benchmarks.critic", "--print"]
    found = subprocess.run(command, cwd=FOLDER.parent, capture_output=True, text=True, check=True)
    assert found.stdout.startswith("critic ") and len(found.stdout.splitlines()) > 20


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_stored_part_can_be_printed(name, capsys):
    parts = question(name).PARTS
    run(name, question(name).__doc__, parts, ["--print"])
    blocks = capsys.readouterr().out.strip().split("\n\n")
    for part, block in zip(parts, blocks, strict=True):
        head, *lines = block.splitlines()
        if part in stored(name):
            assert head.split()[0] == part
            for label in stored(name)[part]:
                assert any(line.startswith(label) for line in lines)
        else:
            assert head == f"{part}: not stored yet"


@pytest.mark.parametrize("name", QUESTIONS)
def test_help_lists_every_part(name, capsys):
    with pytest.raises(SystemExit):
        run(name, question(name).__doc__, question(name).PARTS, ["--help"])
    shown = capsys.readouterr().out
    assert all(f"\n  {part} " in shown for part in question(name).PARTS)


@pytest.mark.parametrize(
    ("name", "part"), [(n, part) for n in QUESTIONS for part in stored(n) if part != "made"]
)
def test_every_stored_part_says_where_it_comes_from_and_can_be_made_again(name, part):
    assert part in question(name).PARTS
    made = stored(name)["made"][part]
    assert re.fullmatch(rf"python -m benchmarks\.{name} --only .*", made["command"])
    assert re.fullmatch("[0-9a-f]{7,}", made["code"]), "not from a clean commit"
    assert made["date"]
    assert made["device"] and made["versions"]["torch"]


@pytest.mark.parametrize("name", QUESTIONS)
def test_nothing_is_said_of_the_origin_of_what_is_not_stored(name):
    assert stored(name).get("made", {}).keys() == stored(name).keys() - {"made"}
