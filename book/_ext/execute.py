"""Run the book's notebooks in place, and record in each what it took and on what.

Its figures are stored as vectors as well: see `vectors.py`.

    python book/_ext/execute.py [notebook ...]      (all notebooks when none is named)

A notebook is written only after all of its cells have run, so an error leaves the file as it was.
"""

import argparse
import os
import platform
import re
import sys
import time
from datetime import date
from pathlib import Path

import nbformat
import torch
import vectors
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from running_times import KEY

BOOK = Path(__file__).resolve().parents[1]
CELL_TIMEOUT = 900  # seconds; ten times what a whole chapter may take
# The most memory that a kernel has held, in bytes. Where there is no /proc, the system counts that
# of the process from which the kernel was started as well.
PEAK = """
import re, resource
try:
    print(1024 * int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]))
except OSError:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
WIDGET = "application/vnd.jupyter.widget-view+json"


def find_notebooks(book: Path = BOOK) -> list[Path]:
    return sorted(p for p in book.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)


def describe_device() -> tuple[str, dict]:
    """The device that a notebook will choose by itself: its kind and its description."""
    if torch.cuda.is_available():
        return "gpu", {"device": torch.cuda.get_device_name()}
    return "cpu", {"device": cpu_name(), "threads": torch.get_num_threads()}


def cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        match = re.search(r"model name\s*:\s*(.+)", cpuinfo.read_text())
        if match:
            return re.sub(r"\((R|TM)\)", "", match[1]).strip()
    return platform.processor() or platform.machine()


def run(notebook: nbformat.NotebookNode, folder: Path) -> tuple[float, int]:
    """Run all cells in a new kernel; seconds from its start to the end, and bytes at its peak."""
    notebook.cells.append(nbformat.v4.new_code_cell(PEAK))
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        store_widget_state=False,
        extra_arguments=["--log-level=ERROR", f"--IPKernelApp.exec_lines={vectors.DRAW}"],
    )
    start = time.perf_counter()
    client.execute()
    seconds = time.perf_counter() - start
    return seconds, int(notebook.cells.pop().outputs[0].text)


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Drop what differs from run to run or machine to machine and tells a reader nothing."""
    notebook.metadata.kernelspec = {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    }
    notebook.metadata.language_info = {"name": "python", "pygments_lexer": "ipython3"}
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [out for out in cell.outputs if not is_progress(out)]


def is_progress(output: nbformat.NotebookNode) -> bool:
    """Whether an output is a progress bar: a widget, or text that overwrites its own line."""
    if output.output_type == "stream":
        return output.name == "stderr" and "\r" in output.text
    return WIDGET in output.get("data", {})


def write(notebook: nbformat.NotebookNode, path: Path) -> None:
    scratch = path.with_suffix(".ipynb.tmp")
    nbformat.write(notebook, scratch)
    os.replace(scratch, path)


def execute(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    kind, record = describe_device()
    seconds, peak = run(notebook, path.parent)
    drawn = vectors.take(notebook)
    tidy(notebook)
    today = date.today().isoformat()
    record = {"seconds": round(seconds), "memory": round(peak / 1e9, 1), **record, "date": today}
    notebook.metadata[KEY] = {**notebook.metadata.get(KEY, {}), kind: record}
    nbformat.validate(notebook)
    write(notebook, path)
    vectors.store(drawn, vectors.stored_pixels(path))
    print(f"{seconds:6.1f} s {peak / 1e9:5.1f} GB  {path}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="which to run (default: all)")
    for path in parser.parse_args().notebooks or find_notebooks():
        try:
            execute(path)
        except (CellExecutionError, CellTimeoutError) as error:
            sys.exit(f"{path} was left as it was, because one of its cells failed:\n\n{error}")


if __name__ == "__main__":
    main()
