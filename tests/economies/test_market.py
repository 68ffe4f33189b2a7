"""The market: clearing, resources, market power, massless households, and who sees what."""

import math

import pytest
import torch

from lectures_lib.economies import Market, Planner
from lectures_lib.economies.capital import SMALLEST_SHARE
from lectures_lib.economies.market import CrowdState

SIZES = [(1, 1), (2, 1), (3, 2)]
ACTIONS = ["spending", "quantity"]


def situation(economy, seed=0, batch=(50,), scale=1.0, centre=-1.0):
    """A state, feasible actions of every role that differ everywhere, and shocks."""
    g = torch.Generator().manual_seed(seed)
    state = economy.reset(batch, g, torch.float64)
    actions = {}
    for name, role in economy.roles.items():
        shape = (*batch, role.n_agents, role.n_actions)
        raw = centre + scale * torch.randn(shape, generator=g, dtype=torch.float64)
        actions[name] = role.to_physical(raw)
    return state, actions, economy.draw(batch, g, torch.float64)


def apart(economy, state, seed=5):
    """The state with households that no longer own what the crowd owns."""
    return economy.perturb(state, torch.Generator().manual_seed(seed), 0.5)


def close(a, b, rtol=1e-13):
    torch.testing.assert_close(a, b, rtol=rtol, atol=0)


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
    for name in economy.endogenous:
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


# ---------------------------------------------------------------------- massless households
@pytest.mark.parametrize("rebate", [False, True])
@pytest.mark.parametrize("action", ACTIONS)
def test_a_massless_household_moves_its_own_fate_only(action, rebate):
    outcomes = {}
    for atomistic in (True, False):
        economy = Market(3, action=action, rebate_profits=rebate, atomistic=atomistic)
        state, actions, shocks = situation(economy, scale=0.3)
        more = actions["household"].clone()
        more[:, 0] *= 1.2
        a = economy.step(state, actions, shocks)
        b = economy.step(state, actions | {"household": more}, shocks)
        assert (a.state.capital[:, 0] < b.state.capital[:, 0]).all()
        assert (a.rewards["household"][:, 0] > b.rewards["household"][:, 0]).all()
        outcomes[atomistic] = [
            (a.info["price"], b.info["price"]),
            (a.info["profit"], b.info["profit"]),
            (a.rewards["household"][:, 1:], b.rewards["household"][:, 1:]),
        ]
        if atomistic:
            assert torch.equal(a.state.crowd, b.state.crowd)
            assert torch.equal(a.state.capital[:, 1:], b.state.capital[:, 1:])
            assert torch.equal(a.rewards["household_crowd"], b.rewards["household_crowd"])
    assert all(torch.equal(x, y) for x, y in outcomes[True])
    for x, y in outcomes[False][:2] + outcomes[False][2:] * (action == "quantity" or rebate):
        assert (x != y).all(), "the same household has market power where it has mass"


def test_a_massless_household_buys_at_the_crowds_price():
    economy = Market(2, atomistic=True)
    state, actions, shocks = situation(economy)
    state = apart(economy, state)
    step = economy.step(state, actions, shocks)
    crowd_output = economy.output(state._replace(capital=state.crowd))
    bids = actions["household_crowd"] * crowd_output.unsqueeze(-1)
    price = (economy.phi * bids.sum(-2)).sqrt()
    close(step.info["price"], price)
    own = actions["household"] * economy.output(state).unsqueeze(-1)
    close(step.info["investment"], own / price.unsqueeze(-2))
    close(step.rewards["household"], (economy.output(state) - own.sum(-1)).log())
    close(step.rewards["household_crowd"], (crowd_output - bids.sum(-1)).log())
    # It takes the price as given: a bid buys its worth, whatever its size.
    double = economy.step(state, actions | {"household": 2 * actions["household"]}, shocks)
    close(double.info["investment"], 2 * step.info["investment"])


@pytest.mark.parametrize("rebate", [False, True])
@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("n_uninformed", [0, 1])
def test_households_that_do_what_the_crowd_does_live_in_the_ordinary_market(
    n_uninformed, action, rebate
):
    parameters = {"n_uninformed": n_uninformed, "action": action, "rebate_profits": rebate}
    with_mass = Market(3, 2, **parameters)
    massless = Market(3, 2, **parameters, atomistic=True)
    state, _, _ = situation(with_mass, batch=(4,))
    image = massless.with_crowd(state)
    g = torch.Generator().manual_seed(7)
    start = state.capital
    for _ in range(100):
        # A rule by which households differ; `actions_for` prices it in either kind of market.
        wanted = 0.03 * state.capital.sqrt() * (1 + state.idiosyncratic.unsqueeze(-1))
        actions = with_mass.actions_for(state, wanted)
        crowds = {f"{name}_crowd": a for name, a in actions.items()}
        shocks = with_mass.draw((4,), g, torch.float64)
        step = with_mass.step(state, actions, shocks)
        copy = massless.step(image, actions | crowds, shocks)
        state, image = step.state, copy.state
        assert torch.equal(image.crowd, state.capital)
        assert torch.equal(image.capital, state.capital)
        for name, reward in step.rewards.items():
            assert torch.equal(copy.rewards[name], reward)
            assert torch.equal(copy.rewards[f"{name}_crowd"], reward)
    assert (state.capital / start - 1).abs().mean() > 0.1, "capital has moved"


def test_initially_a_household_owns_what_its_member_of_the_crowd_owns():
    economy, ordinary = Market(3, 2, atomistic=True), Market(3, 2)
    state = economy.reset((5,), torch.Generator().manual_seed(1))
    same = ordinary.reset((5,), torch.Generator().manual_seed(1))
    assert isinstance(state, CrowdState) and torch.equal(state.crowd, state.capital)
    assert torch.equal(state.capital, same.capital)
    assert all(torch.equal(x, y) for x, y in zip(economy.with_crowd(same), state, strict=True))
    assert economy.endogenous == ("capital", "crowd") and ordinary.endogenous == ("capital",)


# ---------------------------------------------------------------------- who sees what
def seen_after(economy, state, capital):
    """Which roles' last agent sees something else if the population owns `capital` instead."""
    field = "crowd" if economy.atomistic else "capital"
    before = economy.observe(state)
    after = economy.observe(state._replace(**{field: capital}))
    return {
        name: not torch.allclose(after[name][..., -1, :], before[name][..., -1, :], rtol=1e-12)
        for name in before
    }


@pytest.mark.parametrize("atomistic", [False, True])
def test_the_uninformed_see_aggregate_capital_and_not_its_distribution(atomistic):
    economy = Market(4, n_uninformed=1, atomistic=atomistic)
    state, _, _ = situation(economy)
    # Households 2 (informed) and 3 (not) look while capital changes hands between 0 and 1, who
    # keep their productivities.
    swapped = state.capital[:, [1, 0, 2, 3]]
    spread = state.capital.clone()
    spread[:, 0] += 1.0
    spread[:, 1] -= 1.0
    richer = state.capital.clone()
    richer[:, 0] += 1.0
    for capital, uninformed in [(swapped, False), (spread, False), (richer, True)]:
        seen = seen_after(economy, state, capital)
        assert seen["informed"] and seen["uninformed"] == uninformed
    # The others' productivity is the informed's business, too.
    other = state.idiosyncratic.clone()
    other[:, 0] = 1 - other[:, 0]
    after, before = (economy.observe(s) for s in (state._replace(idiosyncratic=other), state))
    assert torch.equal(after["uninformed"], before["uninformed"])
    assert not torch.allclose(after["informed"][:, 1:], before["informed"][:, 1:])


@pytest.mark.parametrize("atomistic", [False, True])
def test_what_the_uninformed_see_is_own_state_and_aggregates_in_logs(atomistic):
    economy = Market(3, 2, n_uninformed=2, atomistic=atomistic)
    state, _, _ = situation(economy)
    crowd = state.capital
    if atomistic:
        state = apart(economy, state)
        crowd = state.crowd
    seen = economy.observe(state)["uninformed"]
    assert seen.shape == (50, 2, 2 + 2 + 2)
    close(seen[..., :2], state.capital[:, 1:].log())
    own = torch.tensor([0.9, 1.1], dtype=torch.float64)[state.idiosyncratic[:, 1:]]
    common = torch.tensor([0.8, 1.2], dtype=torch.float64)[state.aggregate].log()
    close(seen[..., 2], own.log())
    close(seen[..., 3], common.unsqueeze(-1).expand(50, 2))
    close(seen[..., 4:], crowd.mean(-2, keepdim=True).log().expand(50, 2, 2))


def test_the_informed_see_what_a_household_with_full_information_sees():
    everybody, some = Market(4, 2), Market(4, 2, n_uninformed=1)
    state, _, _ = situation(everybody)
    household = everybody.roles["household"]
    seen = household.inputs(everybody.observe(state)["household"])
    informed = some.observe(state)["informed"]
    assert some.roles["informed"].inputs(informed) is informed
    # With three informed of four, the moments are still everybody's.
    assert torch.equal(informed, seen[:, :3])


def test_massless_households_see_themselves_and_the_crowd():
    for n in (1, 3):
        economy = Market(n, atomistic=True)
        state, _, _ = situation(economy)
        state = apart(economy, state)
        before = economy.observe(state)
        richer = economy.observe(state._replace(crowd=1.1 * state.crowd))
        close(before["household"][..., 0], state.capital[..., 0].log())
        close(before["household_crowd"][..., 0], state.crowd[..., 0].log())
        assert torch.equal(before["household"][..., :3], richer["household"][..., :3])
        assert (before["household"][..., 3:] != richer["household"][..., 3:]).any(-1).all()
        alone = economy.observe(state._replace(capital=1.1 * state.capital))
        assert torch.equal(alone["household_crowd"], before["household_crowd"])


# ---------------------------------------------------------------------- roles and parameters
@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ({}, {"household": 5}),
        ({"n_uninformed": 2}, {"informed": 3, "uninformed": 2}),
        ({"n_uninformed": 5}, {"uninformed": 5}),
        ({"atomistic": True}, {"household": 5, "household_crowd": 5}),
        (
            {"n_uninformed": 1, "atomistic": True},
            {"informed": 4, "uninformed": 1, "informed_crowd": 4, "uninformed_crowd": 1},
        ),
    ],
)
def test_roles(options, sizes):
    roles = Market(5, 2, **options).roles
    assert {name: role.n_agents for name, role in roles.items()} == sizes
    for name, role in roles.items():
        assert not role.team and role.n_actions == 2
        assert role.full_information == (name == "household" and not options)
        assert role.follows == (name.removesuffix("_crowd") if "_crowd" in name else None)


def test_a_households_last_members_are_the_uninformed():
    economy = Market(3, n_uninformed=1)
    state, actions, shocks = situation(economy)
    step = economy.step(state, actions, shocks)
    shares = torch.cat([actions["informed"], actions["uninformed"]], -2)
    together = Market(3).step(state, {"household": shares}, shocks)
    assert torch.equal(step.state.capital, together.state.capital)
    assert torch.equal(step.rewards["informed"], together.rewards["household"][:, :2])
    assert torch.equal(step.rewards["uninformed"], together.rewards["household"][:, 2:])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("action", "price"),
        ("action", None),
        ("n_uninformed", -1),
        ("n_uninformed", 4),
        ("n_uninformed", 0.5),
        ("rebate_profits", "no"),
        ("atomistic", 1),
        ("phi", 0.0),
        ("n_households", 0),
    ],
)
def test_a_bad_parameter_is_named(name, value):
    with pytest.raises(ValueError, match=f"^{name}=.*expected"):
        Market(**{"n_households": 3, name: value})
