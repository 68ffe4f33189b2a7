"""A list of choices changes nothing else; test_contract.py holds what all economies keep."""

import pytest
import torch
from registry import same, situation

from lectures_lib.economies import Discretised, Market, Planner

SHARES = (0.05, 0.1, 0.2)


@pytest.mark.parametrize(
    "economy", [Planner(2), Market(2, n_uninformed=1, atomistic=True)], ids=["planner", "market"]
)
def test_everything_but_the_choices_is_the_original_economys(economy):
    listed = Discretised(economy, SHARES)
    state, actions, shocks = situation(economy)
    one, other = (e.step(state, actions, shocks) for e in (economy, listed))
    assert same(one.state, other.state)
    for name, role in economy.roles.items():
        assert torch.equal(one.rewards[name], other.rewards[name])
        for look in ("sights", "observe_centrally"):
            pairs = zip(*(getattr(e, look)(state)[name] for e in (economy, listed)), strict=True)
            assert all(x is y is None or torch.equal(x, y) for x, y in pairs)
        # A crowd picks from its leader's list.
        assert listed.roles[name].choices == (None if role.follows else SHARES)
        assert (listed.roles[name].team, listed.discount_of(name)) == (
            role.team,
            economy.discount_of(name),
        )
    assert listed.stages == economy.stages


@pytest.mark.parametrize("choices", [(), (0.1,), (0.2, 0.1), (0.1, 0.1), (0.0, 0.1), (0.5, 1.0)])
def test_a_list_that_is_none_is_refused(choices):
    with pytest.raises(ValueError, match=r"^choices=.*expected (two or more numbers|numbers betw)"):
        Discretised(Planner(2), choices)


def test_several_actions_are_refused():
    with pytest.raises(ValueError, match=r"^economy=.*one action each; 'planner' has 2"):
        Discretised(Planner(2, 2), SHARES)
