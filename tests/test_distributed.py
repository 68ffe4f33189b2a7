"""Two processes that train an agent find what one finds, to rounding."""

import math
import re
import runpy
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
import torch

from lectures_lib.agents import PPO
from lectures_lib.distributed import ALONE, Processes, joined, present
from lectures_lib.networks import RunningScale

# With the tests of sweeps in one worker, so that their processes do not start side by side.
pytestmark = pytest.mark.xdist_group("processes")
SCRIPT = Path(__file__).with_name("learn_together.py")
#: What the child processes have learned from, for this one to learn from by itself.
TOGETHER = runpy.run_path(str(SCRIPT))
CASES = TOGETHER["CASES"]
#: Seconds after which a start of torchrun counts as hung.
PATIENCE = 300


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("together")


@pytest.fixture(scope="module")
def found(folder):
    """What each of two processes has found, by rank."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", str(SCRIPT), str(folder)]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said, _ = run.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        run.terminate()  # torchrun then ends its workers, which are in sessions of their own
        said, _ = run.communicate(timeout=60)
        pytest.fail(f"torchrun hung:\n{said}")
    finally:
        run.kill()
    assert run.returncode == 0, said
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


def leaves(x, name=""):
    """Tensors and numbers in nested dicts and lists, with where they are."""
    if isinstance(x, list | tuple):
        x = dict(enumerate(x))
    if isinstance(x, dict):
        for key, value in x.items():
            yield from leaves(value, f"{name}.{key}")
    elif x is not None:
        yield name, torch.as_tensor(x)


def assert_identical(one, other):
    for (name, x), (_, y) in zip(leaves(one), leaves(other), strict=True):
        assert torch.equal(x, y), name


def assert_equal_to_rounding(one, other, config):
    """Differences are small beside the largest number of a network, a scale, a record or a state.

    Sums over groups are taken in another order, and single precision rounds by 6e-8. Adam's first
    steps make more of it, because they are as large for a gradient that is almost zero as for any
    other: with ten pairs of seeds and three kinds of processors, weights differed by 1e-6 as a
    rule and by 1e-4 at worst, and by 9e-6 at worst with these seeds, of which this is three times.
    In double precision, no weight differed by 1e-11.
    """
    gaps, sizes = defaultdict(float), defaultdict(float)
    for (name, x), (_, y) in zip(leaves(one), leaves(other), strict=True):
        if not x.is_floating_point():
            assert torch.equal(x, y), name
        elif "optimizer" not in name and not (config.difference_critic and is_level(name)):
            part = re.sub(r"\.(weights|biases)\.\d+", "", name)
            gaps[part] = max(gaps[part], (x.double() - y.double()).abs().max().item())
            sizes[part] = max(sizes[part], x.double().abs().max().item())
    relative = {part: gaps[part] / sizes[part] for part in gaps if sizes[part]}
    assert len(relative) > 5
    assert {part: gap for part, gap in relative.items() if gap > 3e-5} == {}


def is_level(name):
    """Whether something is the constant in a critic.

    Nothing depends on it if critics are fitted on differences within groups. Its gradient is then
    zero but for rounding, and Adam makes of that a step like any other.
    """
    return f"critic.biases.{len(TOGETHER['SMALL']['hidden'])}" in name


@pytest.mark.parametrize("name", CASES)
def test_two_processes_learn_what_one_learns(found, name):
    agent = TOGETHER["learn"](TOGETHER["made"](name), callback_every=2)
    assert_equal_to_rounding(TOGETHER["outcome"](agent), found[0]["cases"][name], agent.config)


@pytest.mark.parametrize("name", CASES)
def test_both_processes_have_the_same_weights_bit_for_bit(found, name):
    assert found[0]["count"] == found[1]["count"] == 2
    assert_identical(*(each["cases"][name] for each in found))


def test_learning_goes_on_from_a_file_in_as_many_processes_or_another_number(found, folder):
    on, read = found[0]["stored"]
    assert_identical(on, read)
    agent = PPO.load(folder / "agent.pt", CASES["PPO, market"][1], device="cpu")
    assert agent.iteration == 2 and agent.world.state.capital.shape[1] == agent.config.groups
    alone = TOGETHER["outcome"](TOGETHER["learn"](agent))
    assert_equal_to_rounding(alone, read, agent.config)


def test_an_economy_that_breaks_in_one_process_is_blamed_in_all(found):
    both = [each["diverged"] for each in found]
    assert [x["breaks here"] for x in both].count(True) == 1
    for x in both:
        assert "Fragile gives a reward for 'planner' that is not a finite number" in x["said"]
        assert "back at iteration 0" in x["said"] and x["groups"] == 2
        assert_identical(x["after"], x["before"])


def test_all_stop_at_the_same_iteration_when_one_is_interrupted(found):
    assert [each["interrupted"] for each in found] == [3, 3]


def test_what_cannot_be_is_refused_in_every_process(found):
    for each in found:
        said = each["refused"]
        assert said["groups"] == (
            "ValueError: groups=3: expected a multiple of 2, the number of processes that learn "
            "together."
        )
        assert said["kind"].startswith("RuntimeError: SAC learns in one process, and 2 have joined")
        assert said["seeds"].startswith("ValueError: seeds is (0,) and (1,) in processes")
        assert said["callback"].startswith("ValueError: callback_every is 1 and 2 in processes")


# ---------------------------------------------------------------------- a process by itself
def test_who_was_not_started_by_torchrun_is_alone(monkeypatch):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    with joined() as processes:
        assert (processes.rank, processes.count) == (0, 1) == (present().rank, present().count)
    assert not torch.distributed.is_initialized()


def test_a_group_of_processes_that_exists_is_used_and_left_open(tmp_path):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'meet'}", rank=0, world_size=1
    )
    try:
        with joined() as processes:
            assert processes.count == 1
        assert torch.distributed.is_initialized()
    finally:
        torch.distributed.destroy_process_group()


def test_alone_everything_is_as_it_was_handed_in():
    x = torch.arange(6.0).reshape(2, 3)
    for same in (ALONE.mine(x, 1), ALONE.in_everyones_place(x, 1), ALONE.whole(x, 1)):
        assert same is x
    assert ALONE.mean(x) is x and ALONE.any(True) and not ALONE.any(False)
    ALONE.require_alike(steps=math.nan)


def test_shares_are_neighbouring_groups():
    x, two = torch.arange(12).reshape(2, 6), Processes(1, 2)
    assert two.mine(x, 1).tolist() == [[3, 4, 5], [9, 10, 11]]
    assert two.mine(two.in_everyones_place(two.mine(x, 1), 1), 1).equal(two.mine(x, 1))
    with two.apart():
        assert two.mine(x, 1) is x
    assert (two.rank, two.count) == (1, 2)


def test_a_scale_takes_in_what_all_have_seen(monkeypatch):
    x = 5 + torch.randn(2, 10, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    halves = [x[:, :5], x[:, 5:] ** 2]
    pairs = [torch.stack([half.mean(1), half.var(1, correction=0)]) for half in halves]
    two = Processes(0, 2)
    monkeypatch.setattr(two, "_everyones", lambda own: pairs)
    together, alone = (RunningScale(2, 3, torch.device("cpu")) for _ in range(2))
    for _ in range(2):
        together.update(halves[0], two)
        alone.update(torch.cat(halves, 1))
    for name, expected in alone.state_dict().items():
        torch.testing.assert_close(together.state_dict()[name], expected, rtol=1e-12, atol=0)
