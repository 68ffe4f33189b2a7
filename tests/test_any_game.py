"""Every agent and measure takes any game: stages, memory, own goals, negative assets, no shocks."""

import importlib
import math
import pickle
from collections import namedtuple
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pytest
import torch
from games import GAMES, TASTE, Borrower, Rivals, Shop, Sticky

from lectures_lib.agents import (
    DQN,
    PPO,
    SAC,
    Analytic,
    AnalyticConfig,
    DQNConfig,
    PPOConfig,
    Probing,
    ProbingConfig,
    QLearning,
    SACConfig,
)
from lectures_lib.economies import (
    Alone,
    Field,
    Fields,
    FixedAction,
    Market,
    Planner,
    Step,
    TooManyOutcomes,
    map_state,
    play,
)
from lectures_lib.economies.play import neutral
from lectures_lib.evaluation import (
    best_fixed_action,
    ergodic_moments,
    evaluate,
    exploitability,
    impulse_response,
    initial_states,
    report,
    simulate,
)
from lectures_lib.evaluation.best_response import departed
from lectures_lib.evaluation.exploitability import _Search
from lectures_lib.evaluation.views import HouseholdView
from lectures_lib.solvers import euler_residuals, solve

every_game = pytest.mark.parametrize("game", list(GAMES.values()), ids=list(GAMES))
SMALL = {"groups": 2, "replicates": 4, "horizon": 3, "hidden": (8,), "warm_up": 1}
CONFIGS = {PPO: PPOConfig, Probing: ProbingConfig, SAC: SACConfig, Analytic: AnalyticConfig}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def constant(game):
    """Some interior action of every role."""
    values = {"shop": 0.3, "customer": 0.45, "household": 0.4, "firm": 0.6}
    return FixedAction(game, {name: values[name] for name in game.roles})


def make(kind, game, **options):
    changes = SMALL if kind is not SAC else SMALL | {"batch": 16, "memory": 64}
    if kind is DQN:
        config = DQNConfig(groups=8, horizon=2, hidden=(8,), batch=16, capacity=64, warm_up=1)
    else:
        config = CONFIGS[kind](**changes | options)
    return kind(game, seeds=(1, 2), device="cpu", config=config)


def players(game):
    """The learners that can play."""
    kinds = [PPO, Probing, SAC]
    if all(role.choices for role in game.roles.values()):
        kinds.append(DQN)
    if sum(role.n_agents for role in game.roles.values()) == 1:
        kinds.append(Analytic)
    return kinds


# ---------------------------------------------------------------------- the contract
@every_game
def test_a_period_has_the_shapes_that_roles_and_fields_say(game):
    for batch in ((), (4,), (2, 3)):
        state = game.reset(batch, generator(), torch.float64)
        game.check_state(state)
        played = play(game, state, neutral(game), survey=True)
        step = game.step(state, played.actions, game.draw(batch, generator(1), torch.float64))
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


# ---------------------------------------------------------------------- every agent
@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name, game in GAMES.items() for kind in players(game)]
)
def test_every_agent_learns_saves_and_resumes_bit_for_bit(tmp_path, name, kind):
    game = GAMES[name]
    whole, half = make(kind, game), make(kind, game)
    total = 6 * whole.steps_per_iteration
    whole.learn(total, show_progress=False)
    half.learn(total // 2, show_progress=False)
    # Schedules follow the budget, so that the rest has to be told from the start.
    again = make(kind, game)
    again.learn(total, show_progress=False)
    path = tmp_path / "agent.pt"
    again.save(path)
    loaded = kind.load(path, game, device="cpu")
    state = initial_states(whole.policy, game, 6, seed=0)
    for role, action in whole.policy(state).items():
        assert action.shape == (2, 6, game.roles[role].n_agents, game.roles[role].n_actions)
        assert torch.isfinite(action).all()
        assert torch.equal(action, loaded.policy(state)[role])
    before = make(kind, game).policy(state)
    after = whole.policy(state)
    assert any(not torch.equal(before[role], after[role]) for role in after)


@every_game
@pytest.mark.parametrize("options", [{"shared": False}, {"central_critic": True}], ids=str)
def test_networks_of_ones_own_and_central_critics(game, options):
    for kind in (PPO, SAC):
        agent = make(kind, game, **options)
        agent.learn(3 * agent.steps_per_iteration, show_progress=False)
        state = initial_states(agent.policy, game, 6, seed=0)
        assert all(torch.isfinite(a).all() for a in agent.policy(state).values())


def test_a_central_critic_sees_what_leaders_did():
    agent = make(PPO, Shop(), central_critic=True)
    agent.learn(2 * agent.steps_per_iteration, show_progress=False)
    assert agent.learners["customer"].critic.weights[0].shape[-2] == 4 + 4 + 10


@pytest.mark.learning
def test_a_follower_learns_to_respond_to_offers():
    """With noisy offers, customers find the closed form of their share."""
    game = Shop()
    config = PPOConfig(noise=(0.4, 0.3), final_rate=0.1)
    agent = PPO(game, seed=0, device="cpu", config=config)
    agent.learn(400_000, show_progress=False)
    state = game.reset((200,), generator(3))
    offer = 0.4 + 0.6 * torch.rand((200, 2), generator=generator(4))
    share = agent.policy(state, {"shop": offer.unsqueeze(-2)})["customer"]
    exact = game.best_share(state, offer)
    assert (share - exact).abs().mean() < 0.06
    centred = [x.flatten() - x.mean() for x in (share, exact)]
    assert torch.corrcoef(torch.stack(centred))[0, 1] > 0.8


def test_a_role_has_its_own_discount():
    """With a discount of zero a critic learns the reward of the period and no more."""
    game = Shop()
    agent = make(PPO, game)
    agent.learn(2 * agent.steps_per_iteration, show_progress=False)
    assert agent.economy.discount_of("shop") == 0.5
    assert agent.economy.discount_of("customer") == 0.9
    ratio = agent._value_scale["shop"] * 0.5
    spread = agent.learners["shop"].reward_scale.variance.sqrt().float()
    # The scale of the last iteration is that of the rewards before it.
    assert ratio.shape[0] == spread.shape[0] and torch.isfinite(ratio).all()


# ---------------------------------------------------------------------- every measure
@every_game
def test_reports_are_by_role(game):
    policy = constant(game)
    better = evaluate(policy, game, policy, paths=32)
    assert np.abs(np.nan_to_num(better.consumption_equivalent_loss)) < 1e-12
    if len(game.roles) == 1:
        assert better.roles == {}
        return
    worse = FixedAction(game, {"shop": 0.3, "customer": 0.2})
    report = evaluate(worse, game, policy, paths=32)
    assert math.isnan(report.consumption_equivalent_loss)
    assert set(report.roles) == {"shop", "customer"}
    assert report.roles["shop"].measure == "profit"
    assert report.roles["customer"].measure == "consumption"
    assert report.roles["customer"].loss > 0.01
    assert report.roles["shop"].policy_error_mean == pytest.approx(0, abs=1e-6)
    assert report.roles["customer"].policy_error_mean == pytest.approx(1 - 0.2 / 0.45, rel=1e-5)
    assert "shop: loss in profit" in str(report)


def test_a_roles_loss_is_by_its_own_discount_and_measure():
    game = Shop()
    dear, cheap = (FixedAction(game, {"shop": p, "customer": 0.45}) for p in (0.3, 0.4))
    report = evaluate(cheap, game, dear, paths=64)
    start = initial_states(None, game, 64, seed=0)
    values = [simulate(p, game, start, 300, 1).value["shop"].mean() for p in (cheap, dear)]
    assert report.roles["shop"].loss == pytest.approx(1 - (values[0] / values[1]).item(), rel=1e-9)
    # Both actions of the shop are the same number: a price and a promotion.
    profit = [2 * ((p - 0.2) * 0.45 / p - p**2 / 2) for p in (0.4, 0.3)]
    assert report.roles["shop"].loss == pytest.approx(1 - profit[0] / profit[1], rel=1e-6)


def test_less_of_a_loss_is_a_gain():
    """A shop that sells below cost: what it gains is relative to the size of what it loses."""
    game = Shop()
    bad, worse = (FixedAction(game, {"shop": p, "customer": 0.45}) for p in (0.15, 0.1))
    profit = [2 * ((p - 0.2) * 0.45 / p - p**2 / 2) for p in (0.15, 0.1)]
    report = evaluate(worse, game, bad, paths=64)
    assert report.roles["shop"].loss == pytest.approx(profit[1] / profit[0] - 1, rel=1e-6)
    assert report.roles["shop"].loss > 1 > report.roles["shop"].loss_standard_error >= 0
    assert exploitability(worse, game, role="shop", paths=16).gain > 1


def test_moments_are_by_role():
    game = Shop()
    moments = ergodic_moments(constant(game), game, paths=8, periods=20)
    # Both actions of the shop are .3: a price and a promotion.
    profit = 2 * ((0.3 - 0.2) * 0.45 / 0.3 - 0.3**2 / 2)
    assert moments["mean of reward of shop"].value == pytest.approx(profit, rel=1e-6)
    assert moments["s.d. of reward of shop"].value == pytest.approx(0, abs=1e-6)
    assert moments["s.d. of reward of customer"].value > 0.01
    alone = ergodic_moments(constant(Borrower()), Borrower(), paths=8, periods=20)
    assert not any("reward" in name for name in alone)


@every_game
def test_moments_and_responses(game):
    moments = ergodic_moments(constant(game), game, paths=8, periods=20)
    assert all(np.isfinite(x.value).all() for x in moments.values())
    if not game.fields.chains:
        with pytest.raises(TypeError, match="no shock to respond to"):
            impulse_response(constant(game), game)
        return
    (shock,) = game.fields.chains
    response = impulse_response(constant(game), game, shock, periods=5, paths=64)
    assert all(torch.isfinite(x).all() for x in response.values())


def test_the_best_fixed_action_of_a_role():
    game = Shop()
    with pytest.raises(ValueError, match="role=None: expected one of"):
        best_fixed_action(game)
    with pytest.raises(ValueError, match="others=None: expected an action for each"):
        best_fixed_action(game, role="customer")
    found = best_fixed_action(game, role="customer", others={"shop": 0.6}, paths=64)
    assert found.value["shop"] == 0.6
    start = initial_states(found, game, 64, seed=0)

    def welfare(share):
        policy = FixedAction(game, {"shop": 0.6, "customer": share})
        return simulate(policy, game, start, 132, seed=0).value["customer"].mean()

    best = found.value["customer"]
    assert welfare(best) > max(welfare(best - 0.02), welfare(best + 0.02))


# ---------------------------------------------------------------------- one among others
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


class Reacting:
    """A shop that always makes the same offer, and customers who respond to any in the best way."""

    def __init__(self, game, value):
        self.game, self.value = game, value

    def __call__(self, state, moved=None):
        usual = torch.full((*state.taste.shape, 1, 2), self.value, dtype=torch.float64)
        offer = (moved or {}).get("shop", usual)
        return {"shop": offer, "customer": self.game.best_share(state, offer.squeeze(-2))}


def test_those_who_move_later_see_what_the_one_has_done():
    game = Shop()
    alone = Alone(game, Reacting(game, 0.6), "shop")
    state = game.reset((4,), generator(), torch.float64)
    dear = torch.tensor([0.9, 0.5]).double().expand(4, 1, 2)
    done = alone.actions(state, {"shop": dear})
    assert torch.equal(done["shop"], dear)
    assert torch.equal(done["customer"], game.best_share(state, dear.squeeze(-2)))


def test_who_is_alone_is_checked():
    game = Shop()
    policy = constant(game)
    with pytest.raises(ValueError, match="role='seller': expected one of"):
        Alone(game, policy, "seller")
    with pytest.raises(ValueError, match=r"agent=2: expected one of 0\.\.1"):
        Alone(game, policy, "customer", 2)
    with pytest.raises(ValueError, match=r"one run, such as policy\[0\]"):
        Alone(game, make(PPO, game).policy, "shop")


def test_a_learner_and_a_table_can_take_one_agents_place():
    game = Rivals()
    alone = Alone(game, FixedAction(game, 0.6), "firm")
    for kind in (PPO, SAC, DQN):
        agent = make(kind, alone)
        agent.learn(3 * agent.steps_per_iteration, show_progress=False)
    learner = QLearning(alone, seed=0)
    learner.learn(200_000, show_progress=False)
    state = game.reset((20,), generator())
    # Against .6 for ever, .6 earns .2, .4 earns .18 and .8 earns .06.
    assert (learner.policy(state)["firm"] == 0.6).all()


# ---------------------------------------------------------------------- exploitability
def test_a_finite_games_best_response_is_exact():
    game = Rivals()
    found = exploitability(FixedAction(game, 0.8), game)
    # Undercutting for ever by a step: .4 * .9 against .6 * .5.
    assert found.gain == pytest.approx(0.2, rel=1e-5) and found.converged
    assert found.ergodic_gain == pytest.approx(found.gain, rel=1e-6)
    state = game.reset((5,), generator())
    actions = found.best_response(state)["firm"]
    torch.testing.assert_close(actions[:, 0], torch.full((5, 1), 0.6))
    torch.testing.assert_close(actions[:, 1], torch.full((5, 1), 0.8))
    # At .6 each, nobody gains by .4 or .8.
    assert exploitability(FixedAction(game, 0.6), game, agent=1).gain == pytest.approx(0, abs=1e-6)


def test_memory_makes_punishment_possible():
    """Who undercuts is met with the lowest price for ever: the patient do not."""
    game = Rivals()

    def grim(state, moved=None):
        peace = (state.last == 2).all(-1)[..., None, None]
        return {"firm": torch.where(peace, 0.8, 0.4).expand(*peace.shape[:-2], 2, 1)}

    assert exploitability(grim, game).ergodic_gain == pytest.approx(0, abs=1e-6)
    impatient = replace(game, patience=0.2)
    at_peace = exploitability(grim, impatient).best_response
    state = game.State(torch.full((1, 2), 2))
    assert at_peace(state)["firm"][0, 0, 0].item() == pytest.approx(0.6)


def test_a_followers_best_response_is_its_closed_form():
    game = Shop()
    found = exploitability(constant(game), game, "customer", paths=64)
    assert found.converged and found.gain > 1e-3
    state = game.reset((200,), generator(1), torch.float64)
    offer = torch.full((200, 2), 0.3, dtype=torch.float64)
    state = state._replace(last_offer=offer)  # where the policy leads
    share = found.best_response(state)["customer"][:, :1]
    exact = game.best_share(state, offer)[:, :1]
    assert (share - exact).abs().max() < 5e-3
    # Where it already does the best, there is nothing to gain.
    nothing = exploitability(Reacting(game, 0.3), game, "customer", paths=64)
    assert abs(nothing.gain) < 1e-5


def test_a_leaders_gain_takes_followers_reactions_into_account():
    game = Shop()
    found = exploitability(Reacting(game, 0.5), game, "shop", paths=512)
    state = game.reset((50,), generator(1), torch.float64)
    state = state._replace(last_offer=torch.full((50, 2), 0.5, dtype=torch.float64))
    actions = found.best_response(state)
    assert found.converged and found.gain > 0.1
    offer = actions["shop"].squeeze(-2)
    torch.testing.assert_close(actions["customer"], game.best_share(state, offer))
    # Given promotion m, the best price is the root of c (z + m) (1 + b) / b.
    liking = game._z(state) + offer[:, 1]
    exact = (game.cost * liking * (1 + game.bottom) / game.bottom).sqrt()
    assert (offer[:, 0] / exact - 1).abs().max() < 0.03


def test_departures_stay_feasible():
    push = torch.linspace(-30, 30, 61).double()[:, None, None]
    shop, customer = Shop().roles.values()
    for role, action in ((shop, 0.6), (customer, 0.5)):
        moved = departed(role, torch.full((61, 1, 1), action).double(), push)
        assert (moved > role.low).all() and (moved <= role.high).all()
        assert (moved.diff(dim=0) > 0).all()
        assert moved[30].item() == pytest.approx(action)
    free = replace(shop, low=-math.inf)
    assert torch.equal(departed(free, torch.zeros(61, 1, 1).double(), push), push)
    below = replace(shop, low=-math.inf, high=1.0)
    moved = departed(below, torch.zeros(61, 1, 1).double(), push)
    assert (moved < 1).all() and moved[30].item() == pytest.approx(0)


def test_states_of_a_batch_are_judged_alike():
    game = Borrower()
    state = game.reset((3, 4), generator(), torch.float64)
    actions = constant(game)(state)
    step = game.step(state, actions, game.draw((3, 4), generator(1), torch.float64))
    one = game.step(
        map_state(lambda x: x[1], state),
        {name: a[1] for name, a in actions.items()},
        map_state(lambda x: x[1], game.draw((3, 4), generator(1), torch.float64)),
    )
    assert torch.equal(step.rewards["household"][1], one.rewards["household"])


# ---------------------------------------------------------------------- what a review found
def test_what_is_remembered_is_expected_as_what_is_chosen(monkeypatch):
    """The same game, whose last price is called a record or a choice, has the same gain."""
    module = importlib.import_module("lectures_lib.evaluation.exploitability")
    monkeypatch.setattr(module, "SEARCH_PERIODS", 40)
    monkeypatch.setattr(module, "MAX_RECORDS", 3)
    found = []
    for moved_by in ("memory", "choice"):
        game = Sticky(moved_by)

        def policy(state, moved=None, game=game):
            return {"firm": (0.15 + 0.3 * state.last + 0.25 * game.level(state)).unsqueeze(-1)}

        found.append(exploitability(policy, game, paths=16))
    assert found[0].gain == pytest.approx(found[1].gain, rel=1e-6)
    assert 0 < found[0].gain < 0.1


def test_outcomes_take_fields_that_broadcast():
    market = Market(2)
    state = market.reset((4, 3), generator())
    narrow = state._replace(aggregate=state.aggregate[0])
    wide = state._replace(aggregate=state.aggregate[:1].expand(4, 3))
    chance = market.outcomes(narrow)[1]
    assert torch.equal(chance, market.outcomes(wide)[1])
    torch.testing.assert_close(chance.sum(0), torch.ones(4, 3))


def test_households_are_seen_as_such_only_where_there_is_nothing_else():
    @dataclass(frozen=True)
    class Remembering(Market):
        """A market that remembers something."""

        State = namedtuple("Remembered", "capital idiosyncratic aggregate last")

        @cached_property
        def fields(self):
            return Fields(**super().fields, last=Field((), "real", "memory"))

    assert HouseholdView.suits(Market(3, n_uninformed=1, atomistic=True))
    assert not HouseholdView.suits(Remembering(2))
    assert not HouseholdView.suits(Borrower())


def test_an_endowment_counts_as_income_in_reports():
    """Who would like to sell capital counts with what it spends, an endowment's part included."""

    @dataclass(frozen=True)
    class Endowed(Planner):
        """A planner whose household gets three units of the good each period."""

        def income(self, state, output=None):
            return super().income(state, output) + 3

    economy = Endowed()
    state = economy.reset((50,), generator(), torch.float64)
    rich = state._replace(capital=20 * state.capital)
    policy = FixedAction(economy, 0.01)
    info = economy.step(rich, policy(rich), economy.no_luck(rich)).info
    spent = (economy.income(rich) - info["consumption"]) / info["consumption"]
    found = report._residuals(economy, policy, rich, "planner")
    raw = euler_residuals(economy, policy, rich)
    assert (raw < -spent).all()
    torch.testing.assert_close(found, spent)


def test_policies_may_leave_out_those_who_follow():
    market = Market(2, atomistic=True)
    whole = FixedAction(market, 0.1)

    def policy(state, moved=None):
        return {"household": whole(state)["household"]}

    searches = [_Search(p, market, "household", 0, seed=0, paths=8) for p in (policy, whole)]
    with torch.no_grad():
        rewards = [search.record()[1] for search in searches]
    assert torch.equal(*rewards)
    alone = Alone(market, policy)
    state, luck = market.reset((3,), generator()), market.draw((3,), generator(1))
    own = {"household": torch.full((3, 1, 1), 0.2)}
    rewards = [Alone(market, p).step(state, own, luck).rewards for p in (policy, whole)]
    assert torch.equal(*(r["household"] for r in rewards))
    assert alone.actions(state, own)["household_crowd"].eq(0.1).all()


def test_finite_games_take_actions_of_any_type():
    game = Rivals()
    single = FixedAction(game, 0.6)

    def double(state, moved=None):
        return {"firm": single(state)["firm"].double()}

    gains = [exploitability(policy, game, paths=8).gain for policy in (double, single)]
    assert gains[0] == pytest.approx(gains[1], abs=1e-6)
    evaluate(double, game, single, paths=8)


def test_a_repeated_game_without_shocks_can_be_exploited():
    """Actions from an interval in a state of indices, without any luck."""

    class Repeated(Rivals):
        @cached_property
        def roles(self):
            return {"firm": replace(super().roles["firm"], choices=None)}

    gain = exploitability(FixedAction(Repeated(), 0.6), Repeated(), paths=4).gain
    # Who is a little cheaper sells nine in ten; the derivative sees only the dearer's margin.
    assert math.isfinite(gain)


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


def test_responses_of_what_may_be_negative_are_in_units():
    game = Borrower()
    response = impulse_response(constant(game), game, *game.fields.chains, periods=4, paths=64)
    # Its mean is nearly zero, so that relative deviations would be of any size.
    assert 0 < response["assets"].abs().max() < 1


def test_a_stock_may_be_a_number_of_things():
    @dataclass(frozen=True)
    class Store(Sticky):
        """A firm that also counts what it has in store."""

        State = namedtuple("StoreState", "last demand stock")

        @cached_property
        def fields(self):
            return Fields(**super().fields, stock=Field((), "index", size=3))

        def reset(self, batch, generator, dtype=torch.float32):
            start = Sticky(demand=self.demand).reset(batch, generator, dtype)
            return self.State(*start, torch.ones(batch, device=generator.device).long())

        def transition(self, state, actions, shocks):
            short = Sticky.State(state.last, state.demand)
            price = actions["firm"].squeeze(-1)
            profit = price * (self.level(short) - price) + state.stock.unsqueeze(-1)
            stock = (state.stock + state.demand) % 3
            return Step(
                self.State(price, **self.move_chance(state, shocks), stock=stock),
                {"firm": profit},
                {"price": price},
            )

    store = Store()
    policy = FixedAction(store, 0.5)
    assert np.isfinite(ergodic_moments(policy, store, paths=8, periods=20)["mean of stock"].value)
    evaluate(policy, store, policy, paths=8)
    impulse_response(policy, store, "demand", periods=3, paths=8)


@pytest.mark.filterwarnings("ignore:after .* periods the policy has not forgotten:RuntimeWarning")
def test_a_reference_that_does_nothing_has_no_relative_errors():
    game = Borrower()
    nothing = FixedAction(game, 0.0)
    assert math.isnan(evaluate(FixedAction(game, 0.3), game, nothing, paths=8).policy_error_mean)


def test_roles_with_the_economys_discount_are_alike():
    class Pair(Rivals):
        """Firms of which one says its discount, and the other has the economy's."""

        @cached_property
        def roles(self):
            one = replace(super().roles["firm"], n_agents=1)
            return {"north": one, "south": replace(one, discount=0.9)}

        def observe(self, state, moved=None):
            both = super().observe(state)["firm"]
            return {"north": both[..., :1, :], "south": both[..., 1:, :]}

        def transition(self, state, actions, shocks):
            both = torch.cat([actions["north"], actions["south"]], -2)
            step = super().transition(state, {"firm": both}, shocks)
            rewards = step.rewards["firm"]
            return step._replace(rewards={"north": rewards[..., :1], "south": rewards[..., 1:]})

    game = Pair()
    report = evaluate(FixedAction(game, 0.4), game, FixedAction(game, 0.6), paths=8)
    assert report.consumption_equivalent_loss == pytest.approx(0.5, rel=1e-5)
    with pytest.raises(ValueError, match=r"others=.*expected nothing unless"):
        best_fixed_action(game, others={"south": 0.4})
    with pytest.raises(ValueError, match=r"others=None: .*each of \['south'\]"):
        best_fixed_action(game, role="north")


def test_a_state_that_is_worth_nothing_does_not_spoil_the_standard_error():
    class Closed(Rivals):
        """Where both were dearest nobody is rewarded, and the shops stay closed."""

        def transition(self, state, actions, shocks):
            step = super().transition(state, actions, shocks)
            closed = (state.last == 2).all(-1, keepdim=True)
            rewards = torch.where(closed, 0.0, step.rewards["firm"])
            return Step(
                self.State(torch.where(closed, 2, step.state.last)), {"firm": rewards}, step.info
            )

    found = exploitability(FixedAction(Closed(), 0.8), Closed(), paths=64)
    assert math.isfinite(found.standard_error) and found.standard_error > 0
    assert found.gain > 0.1
