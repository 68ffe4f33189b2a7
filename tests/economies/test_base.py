"""Small pieces that every economy uses."""

import pytest
import torch

from lectures_lib.economies import BrockMirman, FixedAction, Market, Planner, map_state


def test_map_state_keeps_the_type_and_goes_field_by_field():
    economy = Planner(2)
    a = economy.reset((3,), torch.Generator().manual_seed(0))
    b = economy.reset((3,), torch.Generator().manual_seed(1))
    total = map_state(torch.add, a, b)
    assert type(total) is type(a)
    for x, y, z in zip(a, b, total, strict=True):
        assert torch.equal(x + y, z)


@pytest.mark.parametrize(
    "economy",
    [Planner(2, 3), BrockMirman(), Market(3, 2, n_uninformed=1, atomistic=True)],
    ids=["planner", "growth", "market"],
)
def test_a_fixed_action_is_the_same_for_everybody_everywhere(economy):
    state = economy.reset((4, 5), torch.Generator(), torch.float64)
    actions = FixedAction(economy, 0.2)(state)
    assert actions.keys() == economy.roles.keys()
    for name, role in economy.roles.items():
        expected = torch.full((4, 5, role.n_agents, role.n_actions), 0.2, dtype=torch.float64)
        assert torch.equal(actions[name], expected) and actions[name].dtype == torch.float64


def test_everybody_moves_at_once_unless_an_economy_says_otherwise():
    assert Planner().stages == (("planner",),)
    assert Market(atomistic=True).stages == (("household", "household_crowd"),)


@pytest.mark.parametrize("value", ["0.1", [0.1, 0.2], None, True])
def test_a_fixed_action_is_a_number_in_an_economy(value):
    with pytest.raises(ValueError, match=r"^value=.*expected a number"):
        FixedAction(Planner(), value)
    with pytest.raises(TypeError, match=r"expected an Economy, such as Planner\(\)"):
        FixedAction(Planner, 0.1)


def test_a_draw_of_ones_own_takes_a_number_for_a_batch_too():
    class Lucky(Planner):
        def draw(self, batch, generator, dtype=torch.float32):
            assert isinstance(batch, tuple)
            return map_state(torch.ones_like, super().draw(batch, generator, dtype))

    assert Lucky().draw(4, torch.Generator()).aggregate.tolist() == [1.0] * 4
