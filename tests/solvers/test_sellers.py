"""Those who sell capital know what they do to tomorrow's demand; checked by the games' own code."""

import importlib
import math
from itertools import pairwise

import pytest
import torch

from lectures_lib.economies import FixedAction, Market, PostedPrice, TradingPost, map_state
from lectures_lib.solvers import (
    at_rest,
    markov_perfect,
    solve,
    steady_state,
    without_risk,
)

# Capital, and price over marginal cost, at rest: capital per household at a trading post of two
# households, relative to the planner's where prices are posted. Solved before by other code.
POSTS = {
    (2, None): (6.411, 2.456),
    (3, None): (8.148, 1.635),
    (5, None): (9.336, 1.297),
    (2, 0.0): (7.238, 2.0),
    (3, 0.0): (8.572, 1.5),
    (5, 0.0): (9.543, 1.25),
}
PRICES = {
    (False, None): (0.8141, 1.6599),
    (True, None): (0.7586, 1.5995),
    (False, 0.0): (0.9204, 1.3372),
    (True, 0.0): (0.8637, 1.2830),
}


def post(firms, patience):
    return without_risk(TradingPost(2, n_firms=firms, seller_discount=patience))


def posted(massless, patience):
    return without_risk(PostedPrice(atomistic=massless, seller_discount=patience))


def markup(economy, rest):
    total = economy.n_households * rest.investment
    return rest.price / (economy.phi * total)


def near(policy, economy, spread=0.2):
    """A few states around rest, households apart from each other."""
    rest = at_rest(economy, policy).capital
    state = economy.reset((4,), torch.Generator().manual_seed(3), torch.float64)
    log = spread * (2 * torch.rand(state.capital.shape, generator=torch.Generator()).double() - 1)
    return state._replace(**{n: rest * log.exp() for n in economy.fields.moved_by("choice")})


def gains(economy, policy, role, state, factors, periods=200):
    """What one agent gains by one action times a factor, after which all do as the policy says.

    Relative to a period's consumption or profit; shape (factors, states). Those who move later see
    it, and rewards are those of the economy's own code.
    """
    start = map_state(lambda x: x.expand(1 + len(factors), *x.shape), state)
    change = torch.tensor([1.0, *factors]).double()[:, None, None]
    done = policy(start)
    own = done[role].clone()
    own[..., 0, :] = own[..., 0, :] * change
    later = [name for stage in economy.stages if role not in stage for name in stage]
    sees = role in economy.stages[0] and later
    actions = policy(start, {role: own}) if sees else done | {role: own}
    value, discount = 0.0, economy.discount_of(role)
    for t in range(periods):
        step = economy.step(start, actions, economy.no_luck(start))
        value = value + discount**t * step.rewards[role][..., 0]
        start = step.state
        if discount == 0:
            break
        actions = policy(start)
    size = value[0].abs() * (1 - discount) if role == "firm" else 1.0
    return (value[1:] - value[0]) / size


# ---------------------------------------------------------------------- the trading post
@pytest.mark.parametrize(("firms", "patience"), POSTS, ids=str)
def test_a_trading_post_rests_where_it_was_found_to_rest(firms, patience, equilibrium, states):
    economy = post(firms, patience)
    policy = equilibrium(economy).policy
    rest = at_rest(economy, policy)
    capital, relative = POSTS[firms, patience]
    assert rest.capital == pytest.approx(capital, abs=1e-3)
    assert markup(economy, rest) == pytest.approx(relative, abs=5e-4)
    assert policy.own_gradients(states(economy, 20)).abs().max() < 1e-6
    if patience == 0:
        # Who is myopic charges the static markup in every state, and sells less than in open loop,
        # because households know what their capital does to prices.
        step = economy.step(state := states(economy, 5), policy(state), economy.no_luck(state))
        same = torch.full_like(step.info["markup"], firms / (firms - 1))
        torch.testing.assert_close(step.info["markup"], same, rtol=1e-9, atol=0)
        assert rest.capital < steady_state(economy).capital


@pytest.mark.parametrize(("firms", "patience"), [(2, None), (3, None), (2, 0.0)], ids=str)
@pytest.mark.parametrize("role", ["household", "firm"])
def test_nobody_at_a_trading_post_gains_by_one_other_action(firms, patience, role, equilibrium):
    economy = post(firms, patience)
    policy = equilibrium(economy).policy
    found = gains(economy, policy, role, near(policy, economy), (0.8, 0.95, 1.05, 1.2), 150)
    assert found.max() < 0
    # A second-order loss: four times the change, about 16 times the loss.
    assert ((found[0] + found[3]) / (found[1] + found[2]) > 10).all()


@pytest.mark.parametrize(
    ("patience", "capital", "relative"), [(None, 5.667, 1.1265), (0.0, 5.713, 1.1111)]
)
def test_many_rest_where_they_were_found_to_rest(patience, capital, relative, equilibrium):
    economy = without_risk(TradingPost(10, n_firms=10, seller_discount=patience))
    policy = equilibrium(economy).policy
    rest = at_rest(economy, policy)
    assert rest.capital == pytest.approx(capital, abs=1e-3)
    assert markup(economy, rest) == pytest.approx(relative, abs=5e-5)
    alike = near(policy, economy)
    alike = alike._replace(capital=alike.capital[:, :1].expand_as(alike.capital))
    assert policy.own_gradients(alike).abs().max() < 1e-7
    # Where all are alike, nobody gains by leaving the rest once.
    for role in ("household", "firm"):
        found = gains(economy, policy, role, alike, (0.8, 0.95, 1.05, 1.2), 120)
        assert found.max() < 0
        assert ((found[0] + found[3]) / (found[1] + found[2]) > 8).all()


def test_symmetry_finds_for_three_households_what_is_found_without_it(equilibrium, monkeypatch):
    economy = without_risk(TradingPost(3, n_firms=3))
    one = at_rest(economy, equilibrium(economy).policy)
    module = importlib.import_module("lectures_lib.solvers.trading_post")
    monkeypatch.setattr(module, "MANY", 2)
    other = at_rest(economy, markov_perfect(economy).policy)
    assert other.capital == pytest.approx(one.capital, rel=1e-4)
    assert other.price == pytest.approx(one.price, rel=1e-4)


def test_the_open_loop_rule_of_a_trading_post_leaves_something_to_gain(equilibrium):
    # The check fails for another rule: constant actions at the open-loop steady state.
    economy = post(2, None)
    rest = steady_state(economy)
    rule = FixedAction(
        economy, {"household": rest.saving_share, "firm": economy.delta * rest.capital}
    )
    for role in ("household", "firm"):
        found = gains(economy, rule, role, near(rule, economy, 0.0), (0.95, 1.05), 150)
        assert found.max() > 1e-4


def test_patient_sellers_withhold_more_where_there_is_risk_too(equilibrium, states):
    economy = TradingPost()
    policy = equilibrium(economy).policy
    assert policy.own_gradients(states(economy, 20)).abs().max() < 1e-4
    state = states(economy, 50)
    step = economy.step(state, policy(state), economy.draw((50,), torch.Generator(), torch.float64))
    assert (step.info["markup"] > 2).all()
    rewards = step.rewards["firm"]
    torch.testing.assert_close(rewards[:, 0], rewards[:, 1], rtol=1e-7, atol=0)


@pytest.mark.parametrize("firms", [2, 3])
@pytest.mark.parametrize("households", [2, 4])
@pytest.mark.parametrize("goods", [1, 2])
def test_the_open_loop_steady_state_of_a_trading_post(firms, households, goods):
    """Nobody gains by other bids or offers at one date, if all others are as they are for ever."""
    economy = without_risk(TradingPost(households, goods, n_firms=firms))
    rest = steady_state(economy, "nash")
    n, f = households, firms
    formula = ((1 - 1 / f) * (1 - 1 / n)) ** (1 / (2 - economy.alpha))
    assert rest.capital == pytest.approx(economy.efficient_capital * formula, rel=1e-12)
    assert markup(economy, rest) == pytest.approx(f / (f - 1), rel=1e-12)
    state = economy.reset((), torch.Generator(), torch.float64)
    state = state._replace(capital=torch.full_like(state.capital, rest.capital))
    bid = rest.price * rest.investment
    one_bid = torch.zeros(n, goods, dtype=torch.float64, requires_grad=True)
    offer = torch.full((f, goods), n * rest.investment / f, dtype=torch.float64)
    one_offer = torch.zeros(f, goods, dtype=torch.float64, requires_grad=True)
    worth = {"household": 0.0, "firm": 0.0}
    for t in range(600):
        # Bids, and not shares, are what others keep.
        bids = bid + (one_bid if t == 0 else 0) * torch.ones(n, goods).double()
        share = bids / economy.income(state).unsqueeze(-1)
        actions = {"household": share, "firm": offer + (one_offer if t == 0 else 0)}
        step = economy.step(state, actions, economy.no_luck(state))
        for name in worth:
            worth[name] = worth[name] + economy.beta**t * step.rewards[name][0]
        state = step.state
    (bids,) = torch.autograd.grad(worth["household"], one_bid, retain_graph=True)
    (offers,) = torch.autograd.grad(worth["firm"], one_offer)
    assert bids[0].abs().max() * rest.consumption < 1e-8
    assert offers[0].abs().max() / rest.price < 1e-8


def test_a_steady_state_with_competition_is_the_planners():
    for economy in (TradingPost(3, 2), PostedPrice(3, 2)):
        rest, market = steady_state(economy, "competitive"), steady_state(Market(3, 2))
        assert rest == market


@pytest.mark.parametrize("name", ["n_households", "n_firms"])
def test_a_post_with_one_buyer_or_one_seller_has_no_trade(name):
    economy = TradingPost(**{name: 1})
    for ask in (steady_state, markov_perfect):
        with pytest.raises(ValueError, match=rf"^{name}=1: whoever is alone"):
            ask(economy)


# ---------------------------------------------------------------------- posted prices
@pytest.mark.parametrize(("massless", "patience"), PRICES, ids=str)
def test_posted_prices_rest_where_they_were_found_to_rest(massless, patience, equilibrium):
    economy = posted(massless, patience)
    policy = equilibrium(economy).policy
    rest = at_rest(economy, policy)
    relative, charged = PRICES[massless, patience]
    assert rest.capital / economy.efficient_capital == pytest.approx(relative, abs=5e-5)
    assert markup(economy, rest) == pytest.approx(charged, abs=5e-5)
    if massless:
        formula = markup(economy, rest) ** (-1 / (2 - economy.alpha))
        assert rest.capital / economy.efficient_capital == pytest.approx(formula, rel=1e-6)
    state = near(policy, economy)
    assert policy.own_gradients(state).abs().max() < 1e-8


@pytest.mark.parametrize(("massless", "patience"), PRICES, ids=str)
@pytest.mark.parametrize("role", ["household", "firm"])
def test_nobody_gains_by_one_other_price_or_purchase(massless, patience, role, equilibrium):
    economy = posted(massless, patience)
    policy = equilibrium(economy).policy
    changes = (0.8, 0.95, 1.05, 1.2) if role == "household" else (0.92, 0.98, 1.02, 1.08)
    found = gains(economy, policy, role, near(policy, economy, 0.1), changes, 120)
    assert found.max() < 0
    assert ((found[0] + found[3]) / (found[1] + found[2]) > 8).all()


def test_households_answer_to_prices_that_nobody_should_post(equilibrium):
    for massless in (False, True):
        economy = posted(massless, None)
        policy = equilibrium(economy).policy
        state = near(policy, economy)
        usual = policy(state)
        again = policy(state, {"firm": usual["firm"]})
        shares = []
        for factor in (0.7, 0.9, 1.0, 1.1, 1.5, 4.0):
            price = factor * usual["firm"]
            actions = policy(state, {"firm": price})
            assert torch.equal(actions["firm"], price)
            shares.append(actions["household"])
        for one, other in pairwise(shares):
            assert (one >= other).all()
        for name in usual:
            torch.testing.assert_close(again[name], usual[name], rtol=1e-8, atol=0)
        # Prices of several tries for each state.
        many = torch.stack([0.9 * usual["firm"], 1.1 * usual["firm"]])
        both = policy(state, {"firm": many})["household"]
        torch.testing.assert_close(both, torch.stack([shares[1], shares[3]]), rtol=1e-8, atol=0)


def test_a_massless_household_has_a_rule_of_its_own(equilibrium):
    economy = posted(True, None)
    policy = equilibrium(economy).policy
    state = near(policy, economy)
    alike = policy(state)
    torch.testing.assert_close(alike["household"], alike["household_crowd"], rtol=1e-6, atol=0)
    poor = policy(state._replace(capital=0.9 * state.capital))
    assert (poor["household"] > alike["household"]).all()
    for name in ("firm", "household_crowd"):
        assert torch.equal(poor[name], alike[name])


@pytest.mark.parametrize("size", [(2, 1), (1, 2)], ids=str)
def test_two_buyers_or_two_goods(size, equilibrium):
    economy = without_risk(PostedPrice(*size, seller_discount=0.0))
    policy = equilibrium(economy).policy
    state = near(policy, economy, 0.03)
    assert policy.own_gradients(state).abs().max() < 1e-5
    for role, changes in (("household", (0.8, 1.2)), ("firm", (0.98, 1.02))):
        assert gains(economy, policy, role, state, changes, 90).max() < 0


def test_two_buyers_and_two_goods(equilibrium):
    """Their goods are near substitutes, and a myopic seller charges little more than cost."""
    economy = without_risk(PostedPrice(2, 2, seller_discount=0.0))
    policy = equilibrium(economy).policy
    rest = at_rest(economy, policy)
    assert markup(economy, rest) == pytest.approx(1.044, abs=5e-4)
    state = near(policy, economy, 0.005)
    assert policy.own_gradients(state).abs().max() < 2e-3
    assert gains(economy, policy, "firm", state, (0.98, 0.995, 1.005, 1.02)).max() < 0
    with pytest.raises(ValueError, match="two households with two goods are found without risk"):
        markov_perfect(PostedPrice(2, 2))


@pytest.mark.parametrize("goods", [1, 2, 5])
def test_the_best_constant_price_is_that_of_the_formula(goods):
    """By what a firm earns at rest with its own price and the others'."""
    economy = without_risk(PostedPrice(1, goods))
    rest = steady_state(economy, "constant price")
    factor = 1 + goods * (1 - economy.alpha) / economy.alpha
    assert markup(economy, rest) == pytest.approx(factor, rel=1e-12)
    others, e = rest.price, economy

    def earned(price):
        # At rest p_j (1 - beta (1 - delta)) = beta alpha/M Y/K_j; Y depends on all stocks.
        prices = torch.tensor([price, *[others] * (goods - 1)]).double()
        scale = e.beta * e.alpha / goods / (prices * (1 - e.beta * e.survival))
        output = (scale.log().mean() * e.alpha / (1 - e.alpha)).exp()
        sold = e.delta * (scale * output)[0]
        return (prices[0] * sold - e.phi / 2 * sold**2).item()

    best = max((earned(p), p) for p in torch.linspace(0.8, 1.25, 901).double().mul(others).tolist())
    assert best[1] == pytest.approx(others, rel=1e-3)
    assert rest.capital == pytest.approx(
        e.efficient_capital * factor ** (-1 / (2 - e.alpha)), rel=1e-12
    )


# ---------------------------------------------------------------------- what is refused
def test_sizes_that_are_not_solved_are_refused():
    for economy in (PostedPrice(2, 3), PostedPrice(2, atomistic=True)):
        with pytest.raises(ValueError, match=r"n_households=2, .*prices are found for the sizes"):
            markov_perfect(economy)
    for economy in (TradingPost(6), without_risk(TradingPost(3, 2))):
        with pytest.raises(ValueError, match=r"n_households=\d, n_goods=\d: .* up to 5 stocks"):
            markov_perfect(economy)


@pytest.mark.parametrize("economy", [TradingPost(), PostedPrice()], ids=lambda e: type(e).__name__)
def test_what_is_not_known_of_sellers_is_said(economy):
    with pytest.raises(ValueError, match="method='root finder': the steady state of"):
        steady_state(economy, method="root finder")
    with pytest.raises(ValueError, match="regime='monopsony'"):
        steady_state(economy, "monopsony")
    with pytest.raises(TypeError, match="there is no solver for"):
        solve(economy)


def test_a_rule_is_asked_where_it_rests_without_risk_alone():
    economy = Market(2)
    rest = steady_state(without_risk(economy), "nash")
    rule = FixedAction(without_risk(economy), rest.saving_share)
    found = at_rest(without_risk(economy), rule)
    assert math.isclose(found.capital, rest.capital, rel_tol=1e-9)
    assert math.isclose(found.price, rest.price, rel_tol=1e-9)
    with pytest.raises(ValueError, match=r"\['idiosyncratic', 'aggregate'\] are left to chance"):
        at_rest(economy, rule)
    with pytest.raises(ValueError, match="keeps no capital within a factor of a hundred"):
        at_rest(without_risk(economy), FixedAction(economy, 0.0))
