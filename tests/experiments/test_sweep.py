"""Sweeps: every engine gives the same rows, and nothing that can be lost is lost."""

import importlib.util
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path
from unittest.mock import Mock, call

import numpy as np
import pytest
import torch

from lectures_lib.experiments import RunsFailed, read, sweep

# With the tests of torchrun in one worker, so that their processes do not start side by side.
pytestmark = pytest.mark.xdist_group("processes")
CELLS = {"small": {"size": 2}, "large": {"size": 3}}
ENGINES = [
    "serial",
    "processes",
    pytest.param(
        "ray", marks=pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="needs Ray")
    ),
]


@pytest.fixture(scope="module")
def cluster():
    """Ray on two cores, for all tests that want it."""
    ray = pytest.importorskip("ray")
    for attempts_left in (2, 1, 0):
        try:
            ray.init("local", num_cpus=2, include_dashboard=False, object_store_memory=80 * 2**20)
            break
        except Exception:  # on a busy computer its servers may take longer than Ray waits
            ray.shutdown()
            if not attempts_left:
                raise
    yield ray
    ray.shutdown()


@pytest.fixture(params=ENGINES)
def engine(request):
    if request.param == "ray":
        request.getfixturevalue("cluster")
    return request.param


# ---------------------------------------------------------------------- what is run
def norm(size, seed, power=2):
    """A number that depends on rounding and luck, of a run that is over soon."""
    x = torch.randn(200, size, generator=torch.Generator().manual_seed(seed))
    return {"norm": (x**power).sum(), "all": np.arange(size), "threads": torch.get_num_threads()}


def counted(folder, size, seed):
    """The same for who counts calls."""
    (Path(folder) / f"{size} {seed} {time.time_ns()}").touch()
    return size * seed


def killed(folder, size, seed):
    """A run in the middle of which its process is killed, once."""
    marker = Path(folder) / "killed"
    (Path(folder) / f"{size} {seed} {time.time_ns()}").touch()
    if (size, seed) == (3, 0) and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return size * seed


def always_killed(seed):
    if seed == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return seed


def fails(size, seed):
    if size * seed == 2:
        raise ArithmeticError("two is too many")
    return size * seed


def together(size, seed=None, seeds=()):
    return [size * s for s in seeds] if seed is None else size * seed


def names(path):
    return sorted(file.name.rsplit(" ", 1)[0] for file in path.iterdir() if " " in file.name)


@pytest.fixture
def calls(tmp_path):
    """A folder in which each call leaves a file."""
    (tmp_path / "calls").mkdir()
    return tmp_path / "calls"


def cells_in(folder, **more):
    return {name: cell | {"folder": str(folder)} | more for name, cell in CELLS.items()}


# ---------------------------------------------------------------------- rows
def test_every_engine_gives_the_rows_that_calls_by_hand_give(engine, tmp_path):
    rows = sweep(norm, CELLS, range(2), engine, path=tmp_path / "rows.jsonl", workers=2)
    assert [(row["cell"], row["seed"]) for row in rows] == [
        ("small", 0),
        ("small", 1),
        ("large", 0),
        ("large", 1),
    ]
    for row in rows:
        by_hand = norm(**CELLS[row["cell"]], seed=row["seed"])
        assert row["result"] == {
            "norm": by_hand["norm"].item(),
            "all": by_hand["all"].tolist(),
            "threads": 1,
        }
        assert row["settings"] == {"size": CELLS[row["cell"]]["size"], "power": 2}
        assert row["seconds"] > 0
    here = {row["worker"].endswith(f":{os.getpid()}") for row in rows}
    assert here == {engine == "serial"}
    assert sorted(map(str, read(tmp_path / "rows.jsonl"))) == sorted(map(str, rows))


def test_a_sweep_leaves_threads_as_they_are():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        sweep(norm, CELLS, range(1))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_seeds_are_handed_over_one_by_one_or_together():
    seeds = [4, np.int64(5), range(2), np.array([7, 8])]
    rows = sweep(together, {"a": {"size": 10}}, seeds)
    assert [row["seed"] for row in rows] == [4, 5, [0, 1], [7, 8]]
    assert [row["result"] for row in rows] == [40, 50, [0, 10], [70, 80]]
    (row,) = sweep(together, {"a": {"size": 10, "seeds": (1,)}})
    assert row["seed"] is None and row["result"] == [10]


def test_a_cell_without_a_name_is_called_by_its_settings():
    rows = sweep(norm, [{"size": 2}, {"size": 2, "power": 1}], [0])
    assert [row["cell"] for row in rows] == ["size=2", "size=2, power=1"]


def test_each_row_is_told_when_it_is_there(tmp_path):
    path, seen = tmp_path / "rows.jsonl", []

    def tell(row):
        seen.append((row["cell"], len(read(path))))

    sweep(norm, CELLS, [0], path=path, callback=tell)
    assert seen == [("small", 1), ("large", 2)]


def test_one_bar_counts_runs_and_failures(capfd):
    with pytest.raises(RunsFailed):
        sweep(fails, CELLS, range(2), show_progress=True)
    err = capfd.readouterr().err
    assert "sweep" in err and "/4.00" in err and "failed=1" in err
    sweep(norm, CELLS, range(2))
    assert capfd.readouterr() == ("", "")


# ---------------------------------------------------------------------- what can be lost
@pytest.mark.parametrize("engine", ENGINES[1:], indirect=True)
def test_a_killed_process_loses_nothing(engine, calls, tmp_path):
    rows = sweep(killed, cells_in(calls), range(3), engine, path=tmp_path / "rows.jsonl", workers=2)
    assert [row["result"] for row in rows] == [0, 2, 4, 0, 3, 6]
    assert len(read(tmp_path / "rows.jsonl")) == 6
    every = [f"{size} {seed}" for size in (2, 3) for seed in range(3)]
    assert names(calls) == sorted([*every, "3 0"])


@pytest.mark.parametrize("engine", ENGINES[1:], indirect=True)
def test_a_run_that_always_loses_its_process_is_given_up(engine):
    retries = 0 if engine == "ray" else 1  # of which Ray makes pauses
    blame = rf"seed 1: lost: its process was killed \(attempts: {retries + 1}\)"
    with pytest.raises(RunsFailed, match=blame) as failed:
        sweep(always_killed, {"a": {}}, range(3), engine, retries=retries, workers=2)
    assert [row["result"] for row in failed.value.rows] == [0, 2]


def test_errors_are_told_when_all_else_is_done_and_are_not_retried(engine, tmp_path):
    path = tmp_path / "rows.jsonl"
    with pytest.raises(RunsFailed) as failed:
        sweep(fails, CELLS, range(3), engine, path=path, workers=1)
    told = str(failed.value)
    assert "1 of 6 runs failed" in told
    assert "\n  cell 'small', seed 1: ArithmeticError: two is too many\n" in told
    assert "in fails" in failed.value.failures["small", 1], "the traceback"
    assert [row["result"] for row in failed.value.rows] == [0, 4, 0, 3, 6]
    assert len(read(path)) == 5


# ---------------------------------------------------------------------- resumption
@pytest.mark.parametrize("engine", ENGINES[:2])
def test_an_interrupted_sweep_goes_on_with_what_is_missing(engine, calls, tmp_path):
    path, seen = tmp_path / "rows.jsonl", []

    def interrupt(row):
        seen.append(row)
        if len(seen) == 2:
            raise KeyboardInterrupt

    how = {"engine": engine, "workers": 1, "path": path}
    with pytest.raises(KeyboardInterrupt):
        sweep(counted, cells_in(calls), range(2), callback=interrupt, **how)
    assert not multiprocessing.active_children()
    assert read(path) == seen and len(names(calls)) == 2
    rows = sweep(counted, cells_in(calls), range(2), **how)
    assert [row["result"] for row in rows] == [0, 2, 0, 3] and rows[:2] == seen
    assert names(calls) == ["2 0", "2 1", "3 0", "3 1"]


def test_what_is_done_is_not_done_again(calls, tmp_path):
    path, some = tmp_path / "rows.jsonl", cells_in(calls)
    first = sweep(counted, some, range(2), path=path)
    assert sweep(counted, some, range(2), path=path) == first
    assert len(names(calls)) == 4
    # More seeds and another cell add theirs.
    more = some | {"third": some["small"] | {"size": 5}}
    rows = sweep(counted, more, range(3), path=path)
    assert [row["result"] for row in rows] == [0, 2, 4, 0, 3, 6, 0, 5, 10]
    assert len(names(calls)) == 9 and len(read(path)) == 9


def test_half_a_line_is_ignored_and_done_again(calls, tmp_path):
    path = tmp_path / "rows.jsonl"
    first = sweep(counted, cells_in(calls), range(2), path=path)
    whole = path.read_text()
    path.write_text(whole[:-30])
    assert read(path) == first[:3]
    again = sweep(counted, cells_in(calls), range(2), path=path)
    assert [row["result"] for row in again] == [0, 2, 0, 3] and len(names(calls)) == 5
    assert path.read_text().splitlines()[:3] == whole.splitlines()[:3]
    assert read(path) == again


def test_a_line_of_something_else_is_an_error(tmp_path):
    path = tmp_path / "rows.jsonl"
    sweep(norm, CELLS, range(1), path=path)
    for text in ('{"a": 1}\n', "[1]\n", "half a li\n"):
        path.write_text(path.read_text() + text)
        for use in (read, lambda path: sweep(norm, CELLS, range(1), path=path)):
            with pytest.raises(ValueError, match=r"line 3 of .*rows.jsonl is no row of a sweep"):
                use(path)
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    assert len(read(path)) == 2


def test_other_settings_under_the_same_name_are_other_runs(tmp_path):
    path = tmp_path / "rows.jsonl"
    (two,) = sweep(norm, {"a": {"size": 2}}, [0], path=path)
    (three,) = sweep(norm, {"a": {"size": 3}}, [0], path=path)
    assert two["result"]["all"] == [0, 1] and three["result"]["all"] == [0, 1, 2]
    assert read(path) == [three]
    # A default counts as a setting, whether it is written or not.
    assert sweep(norm, {"a": {"size": 3, "power": 2}}, [0], path=path) == [three]
    (cubes,) = sweep(norm, {"a": {"size": 3, "power": 3}}, [0], path=path)
    assert cubes["result"]["norm"] != three["result"]["norm"]
    # Whoever goes back finds what there was, and so does whoever reads.
    assert sweep(norm, {"a": {"size": 2}}, [0], path=path) == [two] == read(path)
    assert len(path.read_text().splitlines()) == 4


def test_an_edited_function_is_another_one(tmp_path):
    path, file = tmp_path / "rows.jsonl", tmp_path / "edited.py"
    for text in ("1", "1 + 1", "1"):
        file.write_text(f"def run(seed):\n    return {text}\n")
        spec = importlib.util.spec_from_file_location("edited", file)
        module = importlib.util.module_from_spec(spec)
        exec(compile(file.read_text(), file, "exec"), vars(module))
        rows = sweep(module.run, {"a": {}}, [0], path=path)
        assert [row["result"] for row in rows] == [eval(text)] and read(path) == rows
    assert len(path.read_text().splitlines()) == 3


# ---------------------------------------------------------------------- what is refused
Pair = namedtuple("Pair", "first second")


def test_results_are_what_json_can_hold():
    def run(what):
        return what

    for what, stored in (
        (Pair(1, (2.5, None)), [1, [2.5, None]]),
        ({"a": torch.ones(2, requires_grad=True)}, {"a": [1.0, 1.0]}),
        ([np.float32(0.5), np.bool_(True), "x"], [0.5, True, "x"]),
    ):
        (row,) = sweep(run, {"a": {"what": what}})
        assert row["result"] == stored and json.loads(json.dumps(row)) == row


@pytest.mark.parametrize(
    ("result", "blame"),
    [
        (
            {"loss": 1.0, "who": [1, Path()]},
            r"the result\['who'\]\[1\] is a \w*Path: expected numb",
        ),
        ({"by": {3: 1}}, r"the result\['by'\] has the key 3: expected strings"),
        (1j, "the result is a complex"),
    ],
)
def test_a_result_that_is_not_json_is_named(result, blame):
    with pytest.raises(RunsFailed, match=blame):
        sweep(lambda: result, {"a": {}})


def inner():
    def local(seed):
        return seed

    return local


@pytest.mark.parametrize("run", [lambda seed: seed, inner()], ids=["lambda", "local"])
def test_a_function_that_cannot_be_sent_says_what_to_do(run):
    assert [row["result"] for row in sweep(run, {"a": {}}, range(2))] == [0, 1]
    with pytest.raises(ValueError, match=r"cannot be sent .* file of its own.*engine='serial'"):
        sweep(run, {"a": {}}, range(2), "processes")
    with pytest.raises(ValueError, match="settings of cell 'a', seed 0 cannot be sent"):
        sweep(together, {"a": {"size": run}}, range(2), "processes")


def test_a_function_of_a_notebook_says_what_to_do(tmp_path):
    code = (
        "from lectures_lib.experiments import sweep\ndef run(seed): return seed\n"
        "print(sweep(run, {'a': {}}, [3])[0]['result'])\n"
        "sweep(run, {'a': {}}, [3], 'processes')"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300
    )
    assert found.stdout == "3\n"
    assert "it is defined in a notebook or console. Define it with `def`" in found.stderr


def test_a_script_that_is_not_guarded_is_told_so(tmp_path):
    (tmp_path / "script.py").write_text(
        "from lectures_lib.experiments import sweep\ndef run(seed): return seed\n"
        "sweep(run, {'a': {}}, [3], 'processes', workers=1, retries=0)"
    )
    command = [sys.executable, tmp_path / "script.py"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert "processes died while they started (attempts: 1)" in found.stderr
    assert '`if __name__ == "__main__":`' in found.stderr


def test_ray_sends_functions_that_are_in_no_module(cluster):
    rows = sweep(inner(), {"a": {}}, range(2), "ray", options={"num_cpus": 2})
    assert [row["result"] for row in rows] == [0, 1]


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ({}, call.init(None)),
        ({"address": "auto"}, call.init("auto")),
        ({"workers": 2}, call.init("local", num_cpus=2, include_dashboard=False)),
    ],
)
def test_a_cluster_is_found_or_started_and_left_again(cluster, monkeypatch, given, asked):
    seen, connected = Mock(), iter([False])
    monkeypatch.setattr(cluster, "is_initialized", lambda: next(connected, True))
    monkeypatch.setattr(cluster, "init", seen.init)
    monkeypatch.setattr(cluster, "shutdown", seen.shutdown)
    (row,) = sweep(together, {"a": {"size": 2}}, [3], "ray", **given)
    assert row["result"] == 6
    assert seen.mock_calls == [asked, call.shutdown()]


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"pip install 'lectures-lib\[cluster\]'"):
        sweep(norm, CELLS, range(1), "ray")


@pytest.mark.parametrize(
    ("change", "blame"),
    [
        ({"engine": "thread"}, "engine='thread': expected one of 'serial', 'processes', 'ray'"),
        ({"address": "auto"}, "address='auto': expected None unless engine='ray'"),
        ({"workers": 0}, "workers=0: expected at least 1"),
        ({"retries": -1}, "retries=-1: expected at least 0"),
        ({"seeds": 5}, r"seeds=5: expected several, such as range\(5\)"),
        ({"seeds": [1.5]}, "seed=1.5: expected a whole number"),
        ({"seeds": [0, 1, 0]}, "seeds=0: expected every seed only once"),
        ({"cells": [{"size": 2}, {"size": 2}]}, "two cells are called 'size=2'"),
        ({"cells": {"a": 3}}, "cell 'a'=3: expected a dictionary of settings"),
        ({"cells": {"a": {"size": 1, "seed": 2}}}, "cell 'a' sets 'seed', and so do the seeds"),
    ],
)
def test_what_is_wrong_is_named_before_anything_is_run(change, blame):
    arguments = {"cells": CELLS, "seeds": range(2)} | change
    with pytest.raises(ValueError, match=blame):
        sweep(lambda size, seed: pytest.fail("was run"), **arguments)


def test_settings_that_a_function_does_not_take_are_named():
    with pytest.raises(TypeError, match=r"cell 'a' does not fit .*norm: .*'depth'"):
        sweep(norm, {"a": {"size": 1, "depth": 3}}, range(2))


def stops(seed):
    sys.exit(f"seed {seed} has had enough")


@pytest.mark.parametrize("engine", ["serial", "processes"])
def test_a_run_that_exits_has_failed_and_was_not_lost(engine):
    with pytest.raises(RunsFailed, match="seed 0 has had enough"):
        sweep(stops, {"only": {}}, range(1), engine, workers=1)
