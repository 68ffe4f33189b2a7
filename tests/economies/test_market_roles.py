"""Who plays in the market: massless households, and who sees what."""

import math

import pytest
import torch
from registry import apart, close, situation

from lectures_lib.agents.inputs import pooled_features
from lectures_lib.economies import Market, play
from lectures_lib.economies.crowds import CrowdState
from lectures_lib.economies.play import neutral

ACTIONS = ["spending", "quantity"]


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
    moved = [e.fields.moved_by("choice") for e in (economy, ordinary)]
    assert moved == [("capital", "crowd"), ("capital",)]
    assert economy.fields.stocks == ordinary.fields.stocks == ("capital",)


# ---------------------------------------------------------------------- who sees what
def inputs(economy, state):
    """What networks would be given, by role."""
    seen = play(economy, state, neutral(economy)).seen
    return {name: pooled_features(*sight) for name, sight in seen.items()}


def seen_after(economy, state, capital):
    """Which roles' last agent sees something else if the population owns `capital` instead."""
    field = "crowd" if economy.atomistic else "capital"

    before, after = inputs(economy, state), inputs(economy, state._replace(**{field: capital}))
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
    after, before = (
        play(economy, s, neutral(economy)).seen
        for s in (state._replace(idiosyncratic=other), state)
    )
    assert torch.equal(after["uninformed"].own, before["uninformed"].own)
    assert not torch.allclose(after["informed"].population, before["informed"].population)


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
    unit = (3 * 2) ** (-1 / 1.7)
    close(seen[..., :2], (state.capital[:, 1:] / unit).log())
    own = torch.tensor([0.9, 1.1], dtype=torch.float64)[state.idiosyncratic[:, 1:]]
    common = torch.tensor([0.8, 1.2], dtype=torch.float64)[state.aggregate].log()
    close(seen[..., 2], own.log())
    close(seen[..., 3], common.unsqueeze(-1).expand(50, 2))
    close(seen[..., 4:], (crowd.mean(-2, keepdim=True) / unit).log().expand(50, 2, 2))


def test_the_informed_see_what_a_household_with_full_information_sees():
    everybody, some = Market(4, 2), Market(4, 2, n_uninformed=1)
    state, _, _ = situation(everybody)
    seen, informed = (play(e, state, neutral(e)).seen for e in (everybody, some))
    own, population = informed["informed"]
    # With three informed of four, the population is still everybody.
    assert torch.equal(population, seen["household"].population)
    assert torch.equal(own, seen["household"].own[:, :3])
    assert informed["uninformed"].population is None


def test_massless_households_see_themselves_and_the_crowd():
    for n in (1, 3):
        economy = Market(n, atomistic=True)
        state, _, _ = situation(economy)
        state = apart(economy, state)

        before = inputs(economy, state)
        richer = inputs(economy, state._replace(crowd=1.1 * state.crowd))
        unit = n ** (-1 / 1.7)
        logs, theirs = (x[..., 0].div(unit).log() for x in (state.capital, state.crowd))
        mean = theirs.mean(-1, keepdim=True)
        close(before["household"][..., 0], logs - mean)
        close(before["household_crowd"][..., 0], theirs - mean)
        close(before["household"][..., 3], mean.expand_as(logs))
        # A crowd that is richer by a tenth is further away and has another mean, and that is all.
        change = (richer["household"] - before["household"])[..., :4]
        expected = math.log(1.1) * torch.tensor([-1.0, 0, 0, 1], dtype=change.dtype)
        torch.testing.assert_close(change, expected.expand_as(change))
        alone = inputs(economy, state._replace(capital=1.1 * state.capital))
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
        assert role.full_information == ("uninformed" not in name)
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
