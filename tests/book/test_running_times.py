"""How a running time is worded, and how `make execute` measures and stores it."""

import json

import execute
import nbformat
import pytest
import running_times
from nbclient.exceptions import CellExecutionError

CPU = {"seconds": 35, "memory": 0.6, "device": "Some CPU", "threads": 1, "date": "2026-01-31"}
GPU = {"seconds": 9, "device": "Some GPU", "date": "2026-02-01"}


def test_a_time_is_worded_with_its_device_and_its_memory():
    assert running_times.sentence({"cpu": CPU}) == (
        "35 s on a CPU (one thread, Some CPU), with 0.6 GB of memory"
    )
    assert running_times.sentence({"cpu": {**CPU, "threads": 16}, "gpu": GPU}) == (
        "35 s on a CPU (16 threads, Some CPU), with 0.6 GB of memory; 9 s on a GPU (Some GPU)"
    )


@pytest.fixture
def notebook(tmp_path):
    """Writes a notebook with the given cells, which has been measured on a GPU before."""

    def write(*sources):
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        path = tmp_path / "chapter.ipynb"
        metadata = {running_times.KEY: {"gpu": GPU}}
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)
        return path

    return write


def test_a_run_stores_outputs_and_time_and_keeps_the_other_device(notebook, monkeypatch):
    monkeypatch.setattr(execute, "describe_device", lambda: ("cpu", {"device": "C", "threads": 1}))
    progress = "import sys; print('10%\\r20%', file=sys.stderr)"
    path = notebook("print(1 + 1)", progress, "hoard = bytearray(b'x' * 300_000_000)")
    execute.execute(path)
    stored = json.loads(path.read_text())
    answer, bar, _ = stored["cells"]
    assert answer["outputs"][0]["text"] == ["2\n"] and not bar["outputs"]
    assert answer["metadata"] == {} and "widgets" not in stored["metadata"]
    times = running_times.read(path)
    assert times["gpu"] == GPU
    assert times["cpu"].keys() == {"seconds", "memory", "device", "threads", "date"}
    assert 0.3 < times["cpu"]["memory"] < 1


def test_an_error_leaves_the_file_as_it_was(notebook):
    path = notebook("print(1)", "1 / 0")
    before = path.read_bytes()
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        execute.execute(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
