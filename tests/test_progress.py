"""The progress bar shows where somebody watches and nowhere else."""

import nbformat
import pytest
from nbclient import NotebookClient

from lectures_lib.agents import PPO, PPOConfig
from lectures_lib.economies import Planner
from lectures_lib.progress import progress_bar


def test_a_bar_counts_work_and_leaves_no_trace(capfd):
    with progress_bar(10, "PPO", show=True) as bar:
        bar.update(4)
        assert (bar.n, bar.total, bar.desc) == (4, 10, "PPO")
    err = capfd.readouterr().err
    assert "PPO" in err and err.endswith("\r"), "the line is wiped at the end"


@pytest.mark.parametrize("show", [False, None])
def test_a_bar_is_silent_where_nobody_watches(capfd, show):
    with progress_bar(10, "PPO", show=show) as bar:
        bar.update(4)
    assert capfd.readouterr() == ("", "")


def test_a_notebook_shows_bars():
    code = "from lectures_lib.progress import progress_bar\nprint(not progress_bar(1, 'x').disable)"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    NotebookClient(notebook, timeout=60).execute()
    printed = "".join(o.text for o in notebook.cells[0].outputs if o.get("name") == "stdout")
    assert printed.strip() == "True"


def test_learning_shows_one_bar(capfd):
    config = PPOConfig(groups=1, replicates=2, horizon=2, hidden=(4,))
    agent = PPO(Planner(), device="cpu", config=config)
    agent.learn(3 * agent.steps_per_iteration, show_progress=True)
    err = capfd.readouterr().err
    assert "PPO" in err and "\n" not in err.strip("\r\n")
