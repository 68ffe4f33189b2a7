"""Who decides, what that one sees, and what its actions mean."""

import math

import pytest
import torch
from registry import ECONOMIES, neutral_policy, of

from lectures_lib.agents import PPO
from lectures_lib.economies import (
    Alone,
    BrockMirman,
    Economy,
    FixedAction,
    Market,
    Monopolist,
    Planner,
    PostedPrice,
)
from lectures_lib.economies.role import Role
from lectures_lib.interop.seat import KINDS, LEAST, Seat, rule_of, seat_of
from lectures_lib.solvers import solve

SEATS = {
    f"{name} {role} {kind}": (economy, role, kind)
    for name, economy in ECONOMIES.items()
    for role, r in economy.roles.items()
    if r.follows is None
    for kind in KINDS
    if kind != "choices" or r.choices is not None
}


def written(seat, batch, generator):
    """Random actions as the seat has them, with the ends among those that are units."""
    shape = (*batch, seat.rows, seat.n_actions)
    if seat.choices is not None:
        return torch.randint(seat.choices, shape, generator=generator)
    x = 2 * torch.rand(shape, generator=generator) - 1
    x[0], x[1], x[2] = -1, 1, 0
    if seat.kind == "unit":
        return x
    raw = x.reshape(*batch, seat.role.n_agents, seat.role.n_actions)
    return seat.role.to_physical(raw).reshape(shape)


@of(SEATS)
def test_whatever_is_written_can_be_done(economy):
    economy, role, kind = economy
    g, seat = torch.Generator().manual_seed(0), Seat(economy, role, kind)
    physical = seat.physical(written(seat, (6,), g)).float()
    r = economy.roles[role]
    assert physical.shape == (6, r.n_agents, r.n_actions)
    assert ((physical >= r.low - 1e-6) & (physical <= r.high + 1e-6)).all()
    assert not r.shares or (physical.sum(-1) <= 1 + 1e-6).all()
    state = economy.reset((6,), g)
    actions = neutral_policy(economy)(state) | {role: physical}
    step = economy.step(state, actions, economy.draw((6,), g))
    assert all(torch.isfinite(x).all() for x in step.rewards.values())


def test_what_is_bounded_is_linear_in_units():
    seat = Seat(Monopolist(), "firm", "unit")
    units = torch.tensor([-1.0, -0.5, 0.0, 0.25, 1.0]).reshape(5, 1, 1)
    share = ((1 + units) / 2).clamp(LEAST, 1 - LEAST)
    assert torch.equal(seat.physical(units), share)
    assert torch.equal(seat.physical(7 * units), ((1 + 7 * units) / 2).clamp(LEAST, 1 - LEAST))


def test_elsewhere_units_are_logits_of_shares_and_zero_is_the_middle():
    economy = BrockMirman()
    seat = Seat(economy, "planner", "unit")
    found = seat.physical(torch.tensor([-1.0, 0.0, 0.6, 1.0]).reshape(4, 1, 1)).flatten().tolist()
    # softplus of the logit of u is -log(1 - u), and the action is half of it.
    expected = [-math.log(1 - u) / 2 for u in (LEAST, 0.5, 0.8, 1 - LEAST)]
    assert found == pytest.approx(expected, rel=1e-3)
    assert found[1] == economy.roles["planner"].to_physical(torch.zeros(1)).item()


def test_goods_compete_for_what_there_is():
    seat = Seat(Planner(1, 3), "planner")
    all_of_it = seat.physical(torch.ones(1, 1, 3))
    assert all_of_it.sum() < 1 and torch.allclose(all_of_it, torch.tensor(1 / 3), atol=1e-4)


def test_a_planner_is_one_who_decides_for_all_households():
    economy = Planner(3, 2)
    seat = seat_of(economy)
    state = economy.reset((5,), torch.Generator())
    sight = economy.sights(state)["planner"]
    row = seat.look(sight)
    assert row.shape == (5, 1, 12) and (seat.n_features, seat.n_actions) == (12, 6)
    assert torch.equal(row[:, 0, 4:8], sight.own[:, 1])
    actions = torch.linspace(-0.9, -0.5, 6).expand(5, 1, 6)
    assert torch.equal(seat.physical(actions)[0, 1], seat.physical(actions[..., [2, 3] * 3])[0, 0])


def test_in_a_game_one_sees_oneself_first_and_then_the_population():
    economy = Market(3)
    alone = seat_of(economy, FixedAction(economy, 0.1), agent=2)
    state = economy.reset((4,), torch.Generator())
    everybody = Seat(economy, "household").look(economy.sights(state)["household"])
    mine = alone.look(alone.economy.sights(state)["household"])
    assert everybody.shape == (4, 3, 12) and torch.equal(mine[:, 0], everybody[:, 2])
    assert torch.equal(mine[:, 0, :3], mine[:, 0, 9:])


def test_a_role_that_declares_nothing_of_its_actions_is_taken_by_its_map():
    class Declares(type(Planner())):
        @property
        def roles(self):
            return {"planner": Role(1, 3, 1, True, torch.sigmoid)}

    found = Seat(Declares(), "planner").physical(torch.tensor([[[0.5]]]))
    assert found.item() == pytest.approx(0.75, rel=1e-6)


@pytest.mark.parametrize(
    ("economy", "kind", "actions", "message"),
    [
        (Planner(), "unit", math.nan, r"role 'planner' is nan: expected numbers in \[-1, 1\]"),
        (Planner(), "physical", 1.2, "is 1.2: expected numbers from 0.0 to 1.0"),
        (Planner(1, 2), "physical", 0.6, "is 1.2: expected shares whose sum is at most one"),
        (BrockMirman(), "physical", -0.1, "is -0.1: expected numbers from 0.0 to inf"),
        (BrockMirman(), "physical", math.inf, "is inf: expected numbers"),
        (Monopolist(), "choices", 11, r"is 11: expected places 0\.\.10 \(actions='choices'\)"),
        (Monopolist(), "choices", -1, "is -1: expected places"),
    ],
)
def test_an_action_that_cannot_be_is_named(economy, kind, actions, message):
    (role,) = economy.roles
    seat = Seat(economy, role, kind)
    x = torch.full((2, 1, seat.n_actions), actions)
    with pytest.raises(ValueError, match=message):
        seat.physical(x)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: seat_of(Market(2)), r"Market has several who decide.*'household': 2.*policy="),
        (lambda: seat_of(Market(1, atomistic=True)), "or crowds"),
        (lambda: seat_of(Planner(), role="firm"), "role='firm': expected 'planner'"),
        (lambda: seat_of(Planner(2), agent=1), "agent=1: expected 0, as one decides for all"),
        (lambda: seat_of(Market(2), FixedAction(Market(2), 0.1), agent=2), "agent=2: expected"),
        (
            lambda: seat_of(PostedPrice(), FixedAction(PostedPrice(), 0.1)),
            r"role=None: expected one of \['firm', 'household'\]",
        ),
        (lambda: Seat(Planner(), "planner", "raw"), "actions='raw': expected 'auto' or one of"),
        (lambda: Seat(Planner(), "planner", "choices"), "'planner' has no list of choices"),
        (lambda: Seat(Market(2, atomistic=True), "household_crowd"), "role='household_crowd'"),
    ],
)
def test_a_place_that_is_not_there_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_policy_may_be_a_solutions_or_an_agents():
    solution = solve(BrockMirman())
    assert rule_of(solution) is solution.policy
    agent = PPO(BrockMirman(), seed=0, device="cpu")
    assert rule_of(agent)(BrockMirman().reset((2,), torch.Generator())).keys() == {"planner"}
    with pytest.raises(TypeError, match="policy is a float: expected a function of a state"):
        rule_of(0.3)
    several = PPO(BrockMirman(), seeds=range(2), device="cpu").policy
    with pytest.raises(TypeError, match=r"has 2 runs: expected one of them, such as policy\[0\]"):
        rule_of(several)
    with pytest.raises(TypeError, match="expected an Economy"):
        seat_of(Planner)


def test_what_a_policy_would_do_in_a_place_after_others_have_moved():
    economy = PostedPrice(2)
    low, high = (FixedAction(economy, {"firm": p, "household": 0.1}) for p in (0.5, 2.0))

    def answers(state, moved=None):
        price = (moved or {}).get("firm", high(state)["firm"])
        return high(state) | {"firm": price, "household": 0.1 * price.mean() * torch.ones(3, 2, 1)}

    seat = seat_of(economy, low, "household", agent=1)
    state = economy.reset((3,), torch.Generator())
    assert torch.allclose(seat.own(answers, state), torch.tensor(0.05))
    assert isinstance(seat.economy, Alone) and isinstance(seat.economy, Economy)
    # A policy for the place alone is taken as it is.
    assert torch.equal(
        seat.own(lambda state, moved: {"household": torch.full((3, 1, 1), 0.3)}, state),
        torch.full((3, 1, 1), 0.3),
    )
