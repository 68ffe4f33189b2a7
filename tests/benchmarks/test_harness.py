"""What all benchmarks share: the command line, the place of results, and the table."""

import json
import os
import time
from pathlib import Path

import pytest

from benchmarks.harness import CALIBRATIONS, record, rounded, run, stored, sweeping, swept, table
from benchmarks.harness.table import summary
from lectures_lib.economies import Market


def squares(count=3):
    """Numbers and their squares."""
    for n in range(count):
        yield f"{n}", {"square": n**2, "path": [n]}


def one():
    """A number."""
    yield "one", 1.0


PARTS = {"squares": squares, "one": one}
FOLDER = "FOLDER_OF_CALLS"


def power(exponent, seed):
    """A run that leaves a file, and is interrupted if there is one that says so."""
    folder = Path(os.environ[FOLDER])
    if (folder / "stop").exists() and (exponent, seed) == (3, 1):
        raise KeyboardInterrupt
    (folder / f"{exponent} {seed} {os.getpid()} {time.time_ns()}").touch()
    return {"power": seed**exponent}


def powers(seeds=3):
    """Squares and cubes."""
    cells = {"squares": {"exponent": 2}, "cubes": {"exponent": 3}}
    yield "zero", {"power": 0}
    yield from swept(power, cells, range(seeds))


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A place for results, and code that a commit holds."""
    tmp_path = tmp_path / "results"
    tmp_path.mkdir()
    monkeypatch.setattr(sweeping, "JOURNALS", tmp_path.parent / "journals")
    monkeypatch.setattr(sweeping, "commit", lambda: "abc")
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    monkeypatch.setattr("benchmarks.harness.command.uncommitted", lambda: "")
    monkeypatch.setattr("benchmarks.harness.command.provenance", lambda: {"code": "abc"})
    return tmp_path


def ask(*arguments):
    run("sums", "What are squares?", PARTS, arguments)


def test_a_part_is_stored_with_the_command_that_makes_it(results):
    ask("--only", "squares", "--count", "2")
    assert stored("sums") == {
        "squares": {"0": {"square": 0, "path": [0]}, "1": {"square": 1, "path": [1]}},
        "made": {
            "squares": {
                "command": "python -m benchmarks.sums --only squares --count 2",
                "code": "abc",
            }
        },
    }


def test_a_part_replaces_itself_and_keeps_the_others(results):
    (results / "sums.json").write_text(json.dumps({"one": {"two": 2}, "made": {"one": {}}}))
    ask("--only", "squares")
    assert stored("sums")["one"] == {"two": 2}
    ask()
    assert stored("sums")["one"] == {"one": 1.0}
    assert stored("sums").keys() == {"one", "squares", "made"}
    assert [path.name for path in results.iterdir()] == ["sums.json"]


def test_a_list_of_numbers_is_stored_in_one_line_and_read_as_it_was(results):
    rows = {
        "a, [b": {"path": [1.5, None, 3], "none": [], "names": ["[1,\n2]", "x"], "deep": [[1, 2]]}
    }
    record.store("sums", "lists", rows, {})
    assert stored("sums")["lists"] == rows
    assert '"path": [ 1.5, null, 3 ]' in (results / "sums.json").read_text()


def test_what_another_process_stores_meanwhile_is_kept(results):
    def slow():
        """Meanwhile, another part is stored."""
        record.store("sums", "other", {"x": 1}, {"code": "def"})
        yield "y", 2

    run("sums", "", {"slow": slow}, [])
    assert stored("sums")["other"] == {"x": 1}
    assert stored("sums")["made"].keys() == {"other", "slow"}


def test_a_trial_prints_and_stores_nothing(results, capsys):
    ask("--trial", "--only", "squares")
    assert not list(results.iterdir())
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "0             0",
        "1             1",
        "2             4",
    ]


def test_nothing_is_made_to_be_printed(results, capsys):
    ask("--print")
    assert capsys.readouterr().out == "squares: not stored yet\n\none: not stored yet\n"


def test_code_that_no_commit_holds_stores_nothing(results, monkeypatch, capsys):
    monkeypatch.setattr("benchmarks.harness.command.uncommitted", lambda: " M lectures_lib/x.py")
    with pytest.raises(SystemExit):
        ask()
    assert "lectures_lib/x.py\nCommit them, or add --trial" in capsys.readouterr().err
    assert not list(results.iterdir())


# ---------------------------------------------------------------------- parts of many runs
@pytest.fixture
def calls(tmp_path, monkeypatch):
    """The folder in which runs leave their files."""
    (tmp_path / "calls").mkdir()
    monkeypatch.setenv(FOLDER, str(tmp_path / "calls"))
    return tmp_path / "calls"


MADE = {
    "zero": {"power": 0},
    "squares": [{"power": 0}, {"power": 1}, {"power": 4}],
    "cubes": [{"power": 0}, {"power": 1}, {"power": 8}],
}


def ask_for_powers(*arguments):
    run("sums", "What are powers?", {"powers": powers}, arguments)


def journals(results):
    return [path.name for path in (results.parent / "journals").glob("*")]


@pytest.mark.parametrize("arguments", [(), ("--processes", "2")])
def test_runs_of_a_part_may_be_made_in_processes(results, calls, arguments):
    ask_for_powers(*arguments)
    assert stored("sums")["powers"] == MADE
    assert stored("sums")["made"]["powers"]["command"].endswith(" --only powers")
    workers = {path.name.split()[2] for path in calls.iterdir()}
    assert (workers == {str(os.getpid())}) == (not arguments)
    assert not journals(results), "nothing is left to be continued"


def test_a_part_that_was_interrupted_goes_on(results, calls, monkeypatch):
    (calls / "stop").touch()
    with pytest.raises(KeyboardInterrupt):
        ask_for_powers()
    assert journals(results) == ["sums.powers.abc.jsonl"] and stored("sums") == {}
    (calls / "stop").unlink()
    done = {path.name for path in calls.iterdir()}
    assert len(done) == 4
    ask_for_powers()
    assert stored("sums")["powers"] == MADE and not journals(results)
    again = [path.name[:3] for path in calls.iterdir() if path.name not in done]
    assert sorted(again) == ["3 1", "3 2"]


def test_a_part_begins_anew_with_another_commit_and_as_a_trial(results, calls, monkeypatch):
    (calls / "stop").touch()
    with pytest.raises(KeyboardInterrupt):
        ask_for_powers()
    (calls / "stop").unlink()
    ask_for_powers("--trial")
    assert len(list(calls.iterdir())) == 4 + 6
    monkeypatch.setattr(sweeping, "commit", lambda: "def")
    ask_for_powers()
    assert len(list(calls.iterdir())) == 4 + 6 + 6
    assert journals(results) == ["sums.powers.abc.jsonl"]


def test_one_call_for_all_seeds_gives_what_it_returns():
    cells = {"a": {"size": 2}, "b": {"size": 3}}
    found = swept(lambda size, seeds: [size * s for s in seeds], cells, [range(3)])
    assert dict(found) == {"a": [0, 2, 4], "b": [0, 3, 6]}
    assert dict(swept(lambda size: size, cells)) == {"a": 2, "b": 3}
    assert dict(swept(lambda size, seed: size, cells, range(1))) == {"a": [2], "b": [3]}


def test_without_a_repository_no_code_is_committed(results):
    assert record.uncommitted() == "everything, because this is no git repository"


@pytest.mark.parametrize(
    ("arguments", "blame"),
    [
        (("--only", "one", "--count", "2"), "no part of one has the option --count"),
        (("--only", "cubes"), "invalid choice: 'cubes'"),
        (("--count", "many"), "invalid int value: 'many'"),
    ],
)
def test_wrong_arguments_are_named(results, arguments, blame, capsys):
    with pytest.raises(SystemExit):
        ask(*arguments)
    assert blame in capsys.readouterr().err


def test_a_row_is_a_number_or_numbers_or_those_of_seeds():
    rows = {
        "number": 2.0,
        "numbers": {"loss": 0.5, "path": [1, 2]},
        "seeds": [{"seed": s, "loss": x, "seconds": 4} for s, x in enumerate((1.0, 2.0, -5.0))],
        "regimes": [{"seed": "nash", "loss": 3.0}, {"seed": "competitive", "loss": 4.0}],
    }
    assert table("part", rows).splitlines() == [
        "part           seeds       loss  seconds",
        "number                2",
        "numbers                     0.5",
        "seeds          0,1,2     1 (-5)        4",
        "regimes         nash          3",
        "regimes  competitive          4",
    ]


def test_the_worst_seed_is_the_furthest_from_exact():
    results = [{"spread": x, "seconds": x} for x in (0.9, 1.0, 1.02)]
    assert summary("spread", results) == "1 (0.9)"
    assert summary("seconds", results) == "1"
    assert summary("loss", results) == ""


def test_rounding_reaches_nested_numbers():
    assert rounded([[1.23456, 2], [1e-7 / 3]]) == [[1.235, 2.0], [3.333e-08]]


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_calibrations_are_markets(name):
    economy = Market(2, **CALIBRATIONS[name])
    assert (economy == Market(2)) == (name == "paper")
