"""Any game is an economy: stages, memory, own goals, no shocks; and one agent alone in it."""

import math
import pickle
from collections import namedtuple

import pytest
import torch
from games import TASTE, Borrower, Reacting, Rivals, Shop, Sticky, constant, every_game, generator

from lectures_lib.economies import (
    Alone,
    Field,
    Fields,
    FixedAction,
    Market,
    Planner,
    TooManyOutcomes,
    play,
)
from lectures_lib.economies.play import neutral
from lectures_lib.solvers import solve


@every_game
def test_a_period_has_the_shapes_that_roles_and_fields_say(game):
    for batch in ((), (4,), (2, 3)):
        state = game.reset(batch, generator(), torch.float64)
        game.check_state(state)
        played = play(game, state, neutral(game), survey=True)
        # A state of indices does not say of which type numbers are.
        kind = game.zeros(state).dtype
        step = game.step(state, played.actions, game.draw(batch, generator(1), kind))
        game.check_state(step.state)
        assert tuple(played.seen) == tuple(played.surveyed) == tuple(game.roles)
        for name, role in game.roles.items():
            assert played.seen[name].own.shape == (*batch, role.n_agents, role.n_features)
            assert played.actions[name].shape == (*batch, role.n_agents, role.n_actions)
            assert step.rewards[name].shape == (*batch, role.n_agents)
            action = played.actions[name]
            assert (action > role.low).all() and (action < role.high).all()
        shocks, probability = game.outcomes(state)
        assert probability.shape[1:] == batch
        torch.testing.assert_close(probability.sum(0), torch.ones_like(probability[0]))
        assert game.step(state, played.actions, shocks).state is not None


def test_followers_see_what_leaders_have_done_and_leaders_do_not():
    game = Shop()
    state = game.reset((5,), generator())
    dear = {"shop": torch.full((5, 1, 2), 0.9)}
    played = play(game, state, neutral(game), moved=dear)
    other = play(game, state, neutral(game))
    assert torch.equal(played.seen["shop"].own, other.seen["shop"].own)
    assert not torch.equal(played.seen["customer"].own, other.seen["customer"].own)
    assert played.actions["shop"] is dear["shop"]


def test_assets_are_moved_in_units_and_memory_is_left_alone():
    game = Borrower()
    state = game.reset((40, 8), generator(), torch.float64)
    state = state._replace(assets=state.assets - 3)
    nearby = game.perturb(state, generator(1), 0.3)
    game.check_state(nearby)
    shift = (nearby.assets - state.assets) / (0.3 * 0.5)
    assert shift.abs().max() <= 1 and shift.std() > 0.4
    shop = Shop()
    state = shop.reset((3,), generator())
    assert torch.equal(shop.perturb(state, generator(1), 0.3).last_offer, state.last_offer)


def test_each_domain_is_checked():
    shop, rivals, borrower = Shop(), Rivals(), Borrower()
    state = shop.reset((3,), generator())
    with pytest.raises(ValueError, match=r"state\.last_offer must be positive"):
        shop.check_state(state._replace(last_offer=-state.last_offer))
    state = rivals.reset((3,), generator())
    with pytest.raises(ValueError, match=r"indices from 0 to 3; there are 3 values"):
        rivals.check_state(state._replace(last=torch.tensor([[0, 3]] * 3)))
    state = borrower.reset((3,), generator())
    with pytest.raises(ValueError, match=r"state\.assets has entries that are not finite"):
        borrower.check_state(state._replace(assets=state.assets * math.inf))


@pytest.mark.parametrize(
    ("game", "role", "agent"),
    [(Shop(), "shop", 0), (Shop(), "customer", 1), (Rivals(), "firm", 1), (Market(3), None, 2)],
    ids=["leader", "follower", "finite", "market"],
)
def test_alone_is_the_game_with_everybody_else_on_a_policy(game, role, agent):
    policy = constant(game) if game.roles.keys() != {"household"} else FixedAction(game, 0.1)
    alone = Alone(game, policy, role, agent)
    (role,) = alone.roles
    assert alone.roles[role].n_agents == 1
    state = game.reset((6,), generator(), torch.float64)
    shocks = game.draw((6,), generator(1), torch.float64)
    actions = policy(state)
    own = {role: actions[role][..., agent : agent + 1, :]}
    step, whole = alone.step(state, own, shocks), game.step(state, actions, shocks)
    assert torch.equal(step.rewards[role][..., 0], whole.rewards[role][..., agent])
    for x, y in zip(step.state, whole.state, strict=True):
        assert torch.equal(x, y)
    sight = play(game, state, lambda name, _: actions[name]).seen[role]
    mine = alone.sights(state)[role]
    assert torch.equal(mine.own, sight.own[..., agent : agent + 1, :])
    assert (mine.population is None) == (sight.population is None)
    again = pickle.loads(pickle.dumps(alone))
    assert torch.equal(again.step(state, own, shocks).rewards[role], step.rewards[role])


def test_those_who_move_later_see_what_the_one_has_done():
    game = Shop()
    alone = Alone(game, Reacting(game, 0.6), "shop")
    state = game.reset((4,), generator(), torch.float64)
    dear = torch.tensor([0.9, 0.5]).double().expand(4, 1, 2)
    done = alone.actions(state, {"shop": dear})
    assert torch.equal(done["shop"], dear)
    assert torch.equal(done["customer"], game.best_share(state, dear.squeeze(-2)))


def test_outcomes_take_fields_that_broadcast():
    market = Market(2)
    state = market.reset((4, 3), generator())
    narrow = state._replace(aggregate=state.aggregate[0])
    wide = state._replace(aggregate=state.aggregate[:1].expand(4, 3))
    chance = market.outcomes(narrow)[1]
    assert torch.equal(chance, market.outcomes(wide)[1])
    torch.testing.assert_close(chance.sum(0), torch.ones(4, 3))


def test_shocks_that_follow_no_chain_are_too_many_to_list():
    class Noisy(Sticky):
        Shocks = namedtuple("NoisyLuck", "demand cost")

        @property
        def shock_shapes(self):
            return {"demand": (), "cost": ()}

        def move_chance(self, state, shocks):
            return {"demand": self.demand.next(state.demand, shocks.demand)}

    game = Noisy()
    with pytest.raises(TooManyOutcomes, match=r"Noisy's shocks \['cost'\] follow no chain"):
        game.outcomes(game.reset((2,), generator()))


def test_alone_restarts_as_the_economy_does():
    class Still(Planner):
        def perturb(self, state, generator, scale):
            return state

    economy = Still()
    alone = Alone(economy, FixedAction(economy, 0.1))
    state = economy.reset((4,), generator())
    assert alone.perturb(state, generator(), 0.5) is state
    with pytest.raises(ValueError, match=r"(?s)policy.*such as solution\.policy"):
        Alone(economy, solve(economy))


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda: Field(3), r"shape=3: .*such as \(\) or \(3,\)"),
        (lambda: Field((0,)), r"shape=\(0,\)"),
        (lambda: Field((), size=5), "size=5: expected None but for an index"),
        (lambda: Field((), "index", size=0), "size=0: expected at least 1"),
        (lambda: Field((), "index", chain=TASTE), "moved_by='choice': expected chance or memory"),
        (lambda: Fields(a=Field(copies="b")), r"a\.copies='b': expected one of \('a',\)"),
    ],
)
def test_fields_that_cannot_be_are_refused(mistake, message):
    with pytest.raises(ValueError, match=message):
        mistake()
