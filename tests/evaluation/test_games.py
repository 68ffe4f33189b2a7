"""Every measure takes any game."""

import importlib
import math
from collections import namedtuple
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pytest
import torch
from games import (
    Borrower,
    Reacting,
    Rivals,
    Shop,
    Sticky,
    constant,
    every_game,
    generator,
)

from lectures_lib.economies import (
    Alone,
    Field,
    Fields,
    FixedAction,
    Market,
    Planner,
    Step,
    map_state,
)
from lectures_lib.evaluation import (
    best_fixed_action,
    ergodic_moments,
    evaluate,
    exploitability,
    impulse_response,
    initial_states,
    simulate,
)
from lectures_lib.evaluation.best_response import departed
from lectures_lib.evaluation.best_response_search import Search
from lectures_lib.evaluation.distances import euler_distances
from lectures_lib.evaluation.views import HouseholdView
from lectures_lib.solvers import euler_residuals


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


def test_what_is_remembered_is_expected_as_what_is_chosen(monkeypatch):
    """The same game, whose last price is called a record or a choice, has the same gain."""
    module = importlib.import_module("lectures_lib.evaluation.best_response_search")
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
    found = euler_distances(economy, policy, rich, "planner")
    raw = euler_residuals(economy, policy, rich)
    assert (raw < -spent).all()
    torch.testing.assert_close(found, spent)


def test_policies_may_leave_out_those_who_follow():
    market = Market(2, atomistic=True)
    whole = FixedAction(market, 0.1)

    def policy(state, moved=None):
        return {"household": whole(state)["household"]}

    searches = [Search(p, market, "household", 0, seed=0, paths=8) for p in (policy, whole)]
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
