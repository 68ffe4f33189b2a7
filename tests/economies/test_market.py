"""The market: clearing, resources and market power."""

import math

import pytest
import torch
from registry import apart, close, situation

from lectures_lib.economies import Market, Planner
from lectures_lib.economies.capital import SMALLEST_SHARE

SIZES = [(1, 1), (2, 1), (3, 2)]
ACTIONS = ["spending", "quantity"]


# ---------------------------------------------------------------------- clearing and resources
@pytest.mark.parametrize("size", SIZES)
def test_bids_buy_everything_at_marginal_cost(size):
    economy = Market(*size)
    state, actions, shocks = situation(economy, scale=3.0)
    info = economy.step(state, actions, shocks).info
    bids = actions["household"] * economy.output(state).unsqueeze(-1)
    price, total = info["price"], info["investment"].sum(-2)
    close(price * total, bids.sum(-2))
    close(price, economy.phi * total)
    close(price, (economy.phi * bids.sum(-2)).sqrt())
    close(info["investment"] * price.unsqueeze(-2), bids)
    close(info["saving_share"], actions["household"].sum(-1))
    close(info["profit"], price * total / 2)


@pytest.mark.parametrize("size", SIZES)
def test_orders_that_can_be_paid_are_filled_at_marginal_cost(size):
    economy = Market(*size, action="quantity")
    state, actions, shocks = situation(economy, scale=0.3)
    info = economy.step(state, actions, shocks).info
    assert (info["saving_share"] < 0.9).all()
    assert torch.equal(info["investment"], actions["household"])
    close(info["price"], economy.phi * actions["household"].sum(-2))
    spending = (info["price"].unsqueeze(-2) * actions["household"]).sum(-1)
    close(info["consumption"], info["output"] - spending)
    close(info["profit"], info["price"].square() / (2 * economy.phi))


@pytest.mark.parametrize("rebate", [False, True])
@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("size", SIZES)
def test_resources_are_conserved(size, action, rebate):
    economy = Market(*size, action=action, rebate_profits=rebate)
    state, actions, shocks = situation(economy, scale=3.0)  # some orders are cut
    step = economy.step(state, actions, shocks)
    info = step.info
    cost = economy.phi / 2 * info["investment"].sum(-2).square().sum(-1)
    leaves = 0.0 if rebate else info["profit"].sum(-1)
    close(info["output"].sum(-1), info["consumption"].sum(-1) + cost + leaves)
    close(step.state.capital, (1 - economy.delta) * state.capital + info["investment"])
    close(step.rewards["household"], info["consumption"].log())
    assert (info["profit"] > 0).all()


def test_a_rebate_is_the_same_for_everybody_and_changes_nothing_else():
    keeps, gives = Market(3, 2), Market(3, 2, rebate_profits=True)
    state, actions, shocks = situation(keeps)
    a, b = keeps.step(state, actions, shocks), gives.step(state, actions, shocks)
    received = b.info["consumption"] - a.info["consumption"]
    close(received, (a.info["profit"].sum(-1, keepdim=True) / 3).expand_as(received), 1e-12)
    assert torch.equal(a.state.capital, b.state.capital)


def test_a_period_worked_out_by_hand():
    # Bids 0.5 and 1.5 make X = 2, p = sqrt(X / 2) = 1: as many units as were bid, of which the
    # firms' cost is 2 * 2 / 4 = 1, half of the revenue. The rest is their profit.
    z, big_z = 1.1, 0.8
    capital = torch.tensor([[2.0 / (z * big_z)], [6.0 / (z * big_z)]], dtype=torch.float64) ** 2
    for rebate, consumption in [(False, [1.5, 4.5]), (True, [2.0, 5.0])]:
        economy = Market(2, alpha=0.5, delta=0.1, phi=0.5, rebate_profits=rebate)
        state = economy.State(capital, torch.tensor([1, 1]), torch.tensor(0))
        shocks = economy.Shocks(torch.tensor([0.05, 0.95]).double(), torch.tensor(0.99).double())
        shares = torch.full((2, 1), 0.25, dtype=torch.float64)
        step = economy.step(state, {"household": shares}, shocks)
        assert step.info["output"].tolist() == pytest.approx([2.0, 6.0])
        assert step.info["price"].tolist() == pytest.approx([1.0])
        assert step.info["profit"].tolist() == pytest.approx([1.0])
        assert step.info["consumption"].tolist() == pytest.approx(consumption)
        following = (0.9 * capital.flatten() + torch.tensor([0.5, 1.5])).tolist()
        assert step.state.capital.flatten().tolist() == pytest.approx(following)
        assert step.state.idiosyncratic.tolist() == [0, 1] and step.state.aggregate.item() == 1


def test_nobody_bidding_for_a_good_gives_none_of_it():
    for action in ACTIONS:
        economy = Market(2, 2, action=action)
        state, _, shocks = situation(economy, batch=(3,))
        bids = torch.tensor([0.2, 0.0], dtype=torch.float64).expand(3, 2, 2)
        following = economy.step(state, {"household": bids}, shocks).state.capital
        assert torch.equal(following[..., 1], (1 - economy.delta) * state.capital[..., 1])
        assert (following[..., 0] > (1 - economy.delta) * state.capital[..., 0]).all()


# ---------------------------------------------------------------------- orders beyond one's means
def test_unaffordable_orders_are_cut_in_proportion_at_the_price_that_all_orders_made():
    economy = Market(2, 2, action="quantity")
    state, _, shocks = situation(economy)
    orders = torch.tensor([[4.0, 8.0], [0.02, 0.01]], dtype=torch.float64).expand(50, 2, 2)
    info = economy.step(state, {"household": orders}, shocks).info
    close(info["price"], economy.phi * orders.sum(-2))
    close(info["consumption"][:, 0], SMALLEST_SHARE * info["output"][:, 0], 1e-9)
    assert (info["consumption"] > 0).all()
    close(info["investment"][:, 0, 1], 2 * info["investment"][:, 0, 0])
    assert (info["investment"][:, 0] < orders[:, 0]).all()
    assert torch.equal(info["investment"][:, 1], orders[:, 1]), "the other's order is filled"


def test_nothing_jumps_where_the_cut_begins():
    economy = Market(2, action="quantity")
    state, _, shocks = situation(economy, batch=())
    other = 0.1
    # The order q whose cost phi (q + other) q is what may be spent.
    limit = (1 - SMALLEST_SHARE) * economy.output(state)[0].item()
    q = (-other + math.sqrt(other**2 + 4 * limit / economy.phi)) / 2

    def outcome(order):
        orders = torch.tensor([[order], [other]], dtype=torch.float64)
        step = economy.step(state, {"household": orders}, shocks)
        assert (step.info["investment"][0] < order).item() == (order > q)
        return torch.cat([step.state.capital.flatten(), step.info["consumption"]])

    below, above = outcome(q * (1 - 1e-9)), outcome(q * (1 + 1e-9))
    torch.testing.assert_close(below, above, rtol=1e-7, atol=1e-7)
    assert not torch.allclose(outcome(q * 0.9), below, rtol=1e-3)


def test_the_smallest_order_is_not_zero_and_zero_costs_nearly_half():
    economy = Market(2, 3, action="quantity")
    to_physical = economy.roles["household"].to_physical
    assert (to_physical(torch.full((2, 3), -1e4)) > 0).all()
    # Productivity and capital one: output is one.
    order = to_physical(torch.zeros(2, 3, dtype=torch.float64))
    cost = (economy.unit_cost(order.sum(-2)) * order).sum(-1)
    assert ((cost > 0.45) & (cost < 0.5)).all()


# ---------------------------------------------------------------------- one allocation, two actions
@pytest.mark.parametrize(
    "economy",
    [
        Planner(3, 2),
        Market(3, 2),
        Market(3, 2, action="quantity"),
        Market(3, 2, n_uninformed=1),
        Market(3, 2, atomistic=True),
        Market(3, 2, action="quantity", n_uninformed=2, atomistic=True),
    ],
    ids=["planner", "spending", "quantity", "uninformed", "atomistic", "atomistic quantity"],
)
def test_actions_for_an_investment_make_that_investment(economy):
    state, _, shocks = situation(economy)
    state = apart(economy, state)
    g = torch.Generator().manual_seed(3)
    wanted = 0.05 + 0.2 * torch.rand((50, 3, 2), generator=g, dtype=torch.float64)
    actions = economy.actions_for(state, wanted)
    assert actions.keys() == economy.roles.keys()
    step = economy.step(state, actions, shocks)
    close(step.info["investment"], wanted)
    for name in economy.fields.moved_by("choice"):
        close(getattr(step.state, name), (1 - economy.delta) * getattr(state, name) + wanted)
    # What a unit costs is what is spent on it.
    price = economy.unit_cost(wanted.sum(-2, keepdim=True))
    close(step.info["saving_share"], (price * wanted).sum(-1) / economy.output(state))


@pytest.mark.parametrize("rebate", [False, True])
def test_quantities_ordered_reach_the_allocation_of_the_bids_that_bought_them(rebate):
    bids, orders = (Market(3, 2, action=a, rebate_profits=rebate) for a in ACTIONS)
    state, actions, shocks = situation(bids)
    by_bids = bids.step(state, actions, shocks)
    by_orders = orders.step(state, {"household": by_bids.info["investment"]}, shocks)
    close(by_bids.state.capital, by_orders.state.capital)
    close(by_bids.rewards["household"], by_orders.rewards["household"], 1e-12)
    for name in by_bids.info:
        close(by_bids.info[name], by_orders.info[name], 1e-12)


# ---------------------------------------------------------------------- market power
def test_slopes_of_investment_in_bids_are_the_formulas():
    economy = Market(3)
    state, actions, shocks = situation(economy, batch=())
    output = economy.output(state)

    def investment(bids):
        shares = {"household": (bids / output).unsqueeze(-1)}
        return economy.step(state, shares, shocks).info["investment"].squeeze(-1)

    x = actions["household"].squeeze(-1) * output
    total = x.sum()
    price = (economy.phi * total).sqrt()
    slopes = torch.autograd.functional.jacobian(investment, x)  # [k, i]: of I_k in x_i
    close(slopes.diagonal(), (1 - x / (2 * total)) / price)
    others = (-x / (2 * total) / price).unsqueeze(-1).expand(3, 3)
    off = ~torch.eye(3, dtype=torch.bool)
    close(slopes[off], others[off])


def test_slopes_of_consumption_in_orders_are_the_formulas():
    economy = Market(3, action="quantity")
    state, actions, shocks = situation(economy, batch=(), scale=0.3)

    def consumption(orders):
        actions = {"household": orders.unsqueeze(-1)}
        return economy.step(state, actions, shocks).info["consumption"]

    q = actions["household"].squeeze(-1)
    price = economy.phi * q.sum()
    slopes = torch.autograd.functional.jacobian(consumption, q)
    close(-slopes.diagonal(), price * (1 + q / q.sum()))
    off = ~torch.eye(3, dtype=torch.bool)
    close(-slopes[off], (economy.phi * q).unsqueeze(-1).expand(3, 3)[off])
