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
