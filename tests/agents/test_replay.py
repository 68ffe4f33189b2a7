"""Remembered transitions."""

import copy

import pytest
import torch

from lectures_lib.agents.replay import Replay
from lectures_lib.networks import Streams


def replay(capacity=5, seeds=(0, 1)):
    return Replay(capacity, Streams(seeds, torch.device("cpu")))


def transitions(first, n, runs=2):
    x = (torch.arange(first, first + n) + 100 * torch.arange(runs).unsqueeze(-1)).float()
    return {"state": x, "pair": torch.stack([x, -x], -1)}


def test_the_oldest_are_forgotten_first():
    memory = replay()
    for first in (0, 3, 6):
        memory.add(**transitions(first, 3))
    assert len(memory) == 5
    kept = memory.sample(400)
    assert set(kept["state"][0].tolist()) == {4, 5, 6, 7, 8}
    assert set(kept["state"][1].tolist()) == {104, 105, 106, 107, 108}
    torch.testing.assert_close(kept["pair"], torch.stack([kept["state"], -kept["state"]], -1))


def test_every_transition_is_equally_likely():
    memory = replay(4, (3,))
    memory.add(**transitions(0, 4, runs=1))
    share = torch.bincount(memory.sample(40_000)["state"][0].long()) / 40_000
    assert ((share - 0.25).abs() < 0.012).all()


def test_a_runs_draws_do_not_depend_on_the_other_runs():
    together, alone = replay(seeds=(7, 8)), replay(seeds=(8,))
    together.add(**transitions(0, 5))
    alone.add(**transitions(0, 5, runs=1))
    drawn = together.sample(20)["state"][1] - 100
    assert torch.equal(drawn, alone.sample(20)["state"][0])


def test_it_goes_on_from_where_it_was_stored():
    memory = replay()
    memory.add(**transitions(0, 4))
    stored = copy.deepcopy((memory.state_dict(), memory.streams.state_dict()))
    memory.add(**transitions(4, 2))
    expected = memory.sample(10)
    other = replay()
    other.load_state_dict(stored[0])
    other.streams.load_state_dict(stored[1])
    other.add(**transitions(4, 2))
    for name, x in other.sample(10).items():
        assert torch.equal(x, expected[name])


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="capacity=0"):
        replay(0)
    with pytest.raises(ValueError, match="call add first"):
        replay().sample(1)
    with pytest.raises(ValueError, match=r"6 transitions .* capacity=5"):
        replay().add(**transitions(0, 6))


def test_a_memory_that_will_not_fit_is_refused_before_it_is_filled():
    memory = replay(10**15)
    with pytest.raises(MemoryError, match=r"1,000,000,000,000,000 transitions of 2 runs .* GB"):
        memory.add(x=torch.zeros(2, 1, 3))
    assert not len(memory) and not memory.fields
