"""Technology and preferences that economies with capital share."""

import pytest
import torch

from lectures_lib.economies import Market, Planner

from .registry import close, generator


@pytest.mark.parametrize("kind", [Planner, Market])
def test_in_its_units_technology_does_not_depend_on_how_many_there_are(kind):
    small, large = kind(2), kind(6, 3)
    (role,) = small.roles

    def copied(x, goods=True):
        x = x.repeat_interleave(3, 1)
        return x.repeat_interleave(3, 2) if goods else x

    g = generator()
    state, shocks = small.reset((50,), g, torch.float64), small.draw((50,), g, torch.float64)
    share = 0.3 * torch.rand(50, 2, 1, generator=g, dtype=torch.float64)
    step = small.step(state, {role: share}, shocks)
    # Every household and every good three times, in the larger economy's units.
    ratio = large.capital_unit / small.capital_unit
    many = large.step(
        state._replace(
            capital=ratio * copied(state.capital), idiosyncratic=copied(state.idiosyncratic, False)
        ),
        {role: copied(share) / 3},
        shocks._replace(idiosyncratic=copied(shocks.idiosyncratic, False)),
    )
    close(many.state.capital, ratio * copied(step.state.capital))
    consumption = copied(step.info["consumption"], False)
    close(many.info["consumption"], ratio**small.alpha * consumption)


def test_the_unit_of_one_household_and_one_good_is_one():
    assert Planner().capital_unit == 1 and Market(alpha=0.4).capital_unit == 1


def test_households_are_perturbed_and_so_are_their_goods():
    economy = Planner(100, 10)
    state = economy.reset((8,), generator(), torch.float64)
    state = state._replace(capital=torch.ones_like(state.capital))
    logs = economy.perturb(state, generator(1), 0.3).capital.log()
    uniform = 0.3 * 3**-0.5
    among = logs.mean(-1).std(-1)
    # The means of ten goods' own shifts add a little to the household's.
    assert torch.allclose(among, torch.full_like(among, uniform * 1.1**0.5), rtol=0.25)
    within = (logs - logs.mean(-1, keepdim=True)).square().mean((-1, -2)).sqrt()
    assert torch.allclose(within, torch.full_like(within, uniform * 0.9**0.5), rtol=0.1)
