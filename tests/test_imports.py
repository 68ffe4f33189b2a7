"""What it costs to import a room: nothing heavy but torch, and what torch itself imports."""

import subprocess
import sys

import pytest

# Run in a process of its own, as this one has imported everything.
WHAT_ELSE = """
import sys
import torch
before = set(sys.modules)
import lectures_lib.{room}
{then}
new = {{name.split(".")[0] for name in set(sys.modules) - before}}
known = {{name.split(".")[0] for name in before}} | set(sys.stdlib_module_names)
print(*sorted(new - known))
"""


def what_else(room, then=""):
    code = WHAT_ELSE.format(room=room, then=then)
    run = [sys.executable, "-c", code]
    found = subprocess.run(run, capture_output=True, text=True, check=True)
    return set(found.stdout.split())


@pytest.mark.parametrize("room", ["economies", "solvers"])
def test_a_room_brings_nothing_that_torch_does_not(room):
    assert what_else(room) == {"lectures_lib"}


def test_quantecon_comes_when_a_chain_is_asked():
    then = "lectures_lib.economies.Planner().efficient_capital"
    assert {"quantecon", "numba"} <= what_else("economies", then)
