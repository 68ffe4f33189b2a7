"""The planner's economy: resources, and cases worked out by hand."""

import math

import pytest
import torch

from lectures_lib.economies import Planner


def a_period(economy, seed=0, scale=3.0, batch=(50,)):
    g = torch.Generator().manual_seed(seed)
    state = economy.reset(batch, g, torch.float64)
    role = economy.roles["planner"]
    raw = scale * torch.randn(
        (*batch, role.n_agents, role.n_actions), generator=g, dtype=torch.float64
    )
    shares = role.to_physical(raw)
    return (
        state,
        shares,
        economy.step(state, {"planner": shares}, economy.draw(batch, g, torch.float64)),
    )


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (5, 1)])
def test_resources_are_conserved(size):
    economy = Planner(*size)
    state, shares, step = a_period(economy)
    output = economy.output(state)
    spending = shares * output.unsqueeze(-1)
    consumption, investment = step.info["consumption"], step.info["investment"]
    torch.testing.assert_close(consumption + spending.sum(-1), output, rtol=1e-13, atol=0)
    # All that is spent on a good is used up in producing it.
    cost = economy.phi / 2 * investment.sum(-2).square()
    torch.testing.assert_close(cost, spending.sum(-2), rtol=1e-13, atol=0)
    following = (1 - economy.delta) * state.capital + investment
    torch.testing.assert_close(step.state.capital, following, rtol=1e-14, atol=0)


def test_investment_is_shared_in_proportion_to_spending():
    economy = Planner(3, 2)
    state, shares, step = a_period(economy)
    spending = shares * economy.output(state).unsqueeze(-1)
    part = step.info["investment"] / step.info["investment"].sum(-2, keepdim=True)
    torch.testing.assert_close(part, spending / spending.sum(-2, keepdim=True))


def test_a_period_worked_out_by_hand():
    # Two households, one good, phi = 1/2: X = 0.25 * 2 + 0.25 * 6 = 2, so I = sqrt(2 X / phi) =
    # sqrt(8), of which a quarter and three quarters.
    economy = Planner(2, alpha=0.5, delta=0.1, phi=0.5)
    z, big_z = 1.1, 0.8
    capital = torch.tensor([[2.0 / (z * big_z)], [6.0 / (z * big_z)]], dtype=torch.float64) ** 2
    state = economy.State(capital, torch.tensor([1, 1]), torch.tensor(0))
    shocks = economy.Shocks(torch.tensor([0.05, 0.95]).double(), torch.tensor(0.99).double())
    shares = torch.full((2, 1), 0.25, dtype=torch.float64)
    step = economy.step(state, {"planner": shares}, shocks)
    assert step.info["output"].tolist() == pytest.approx([2.0, 6.0])
    assert step.rewards["planner"].tolist() == pytest.approx([math.log(1.5), math.log(4.5)])
    expected = [0.9 * capital[0, 0] + 8**0.5 / 4, 0.9 * capital[1, 0] + 8**0.5 * 3 / 4]
    assert step.state.capital.flatten().tolist() == pytest.approx([float(k) for k in expected])
    # From the high value a draw below 0.1 falls and one above stays; from the low one 0.99 rises.
    assert step.state.idiosyncratic.tolist() == [0, 1] and step.state.aggregate.item() == 1


def test_nobody_spending_on_a_good_gives_none_of_it():
    economy = Planner(2, 2)
    state = economy.reset((3,), torch.Generator(), torch.float64)
    shares = torch.tensor([0.2, 0.0], dtype=torch.float64).expand(3, 2, 2)
    shocks = economy.draw((3,), torch.Generator(), torch.float64)
    following = economy.step(state, {"planner": shares}, shocks).state.capital
    assert torch.equal(following[..., 1], (1 - economy.delta) * state.capital[..., 1])
    assert (following[..., 0] > (1 - economy.delta) * state.capital[..., 0]).all()


def test_spending_of_one_household_lowers_the_investment_of_another():
    economy = Planner(2)
    state = economy.reset((), torch.Generator(), torch.float64)
    shocks = economy.draw((), torch.Generator(), torch.float64)
    shares = torch.full((2, 1), 0.1, dtype=torch.float64)
    more = shares.clone()
    more[0] += 0.01
    before = economy.step(state, {"planner": shares}, shocks).info
    after = economy.step(state, {"planner": more}, shocks).info
    assert after["investment"][0] > before["investment"][0]
    assert after["investment"][1] < before["investment"][1]
    assert after["consumption"][1] == before["consumption"][1], "no transfers"


def test_each_household_sees_its_own_capital_and_both_productivities_in_logs():
    economy = Planner(2, 2)
    state = economy.reset((4,), torch.Generator().manual_seed(2), torch.float64)
    seen = economy.observe(state)["planner"]
    unit = (2 * 2) ** (-1 / 1.7)
    torch.testing.assert_close(seen[..., :2], (state.capital / unit).log())
    own = torch.tensor([0.9, 1.1]).double()[state.idiosyncratic].log()
    common = torch.tensor([0.8, 1.2]).double()[state.aggregate].log()
    torch.testing.assert_close(seen[..., 2], own)
    torch.testing.assert_close(seen[..., 3], common.unsqueeze(-1).expand(4, 2))


def test_households_are_a_team_of_the_planner():
    (role,) = Planner(3, 2).roles.values()
    assert (role.n_agents, role.n_actions, role.n_features, role.team) == (3, 2, 4, True)
