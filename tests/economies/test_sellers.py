"""Those who sell capital: trading posts and posted prices, by hand and by their symmetries."""

import math
import pickle

import pytest
import torch
from registry import close, generator, physical, raw_actions, situation

from lectures_lib.economies import FixedAction, MarkovChain, PostedPrice, TradingPost, play
from lectures_lib.economies.play import neutral

CERTAIN = MarkovChain((1.0,), ((1.0,),))
RISKLESS = {"idiosyncratic": CERTAIN, "aggregate": CERTAIN}


def at(economy, capital):
    """A state with given stocks, in float64."""
    state = economy.reset((1,), generator(), torch.float64)
    return state._replace(capital=torch.tensor(capital, dtype=torch.float64)[None])


def row(*values):
    return torch.tensor([values], dtype=torch.float64)


def tensor(*values):
    return row(*values).unsqueeze(-1)


# ---------------------------------------------------------------------- the trading post
def test_a_trading_post_by_hand():
    economy = TradingPost(2, n_firms=2, alpha=0.5, delta=0.5, phi=0.5, **RISKLESS)
    state = at(economy, [[4.0], [16.0]])  # output 2 and 4
    actions = {"household": tensor(0.25, 0.5), "firm": tensor(2.0, 3.0)}  # bids 0.5 and 2
    step = economy.step(state, actions, economy.no_luck(state))
    close(step.info["price"], row(0.5))
    close(step.state.capital, torch.tensor([[[2 + 1.0], [8 + 4.0]]]).double())
    close(step.info["consumption"], row(1.5, 2.0))
    # Firm f's cost is F phi/2 q^2 = q^2 / 2.
    close(step.rewards["firm"], row(0.5 * 2 - 2, 0.5 * 3 - 4.5))
    close(step.info["markup"], row(0.5 / (0.5 * 5)))


def test_profit_and_households_spending_add_up_whatever_is_done():
    economy = TradingPost(3, 2, n_firms=4)
    state, actions, shocks = situation(economy)
    step = economy.step(state, actions, shocks)
    info = step.info
    spent = (info["output"] - info["consumption"]).sum(-1)
    cost = 4 * economy.phi / 2 * actions["firm"].square().sum((-1, -2))
    close(step.rewards["firm"].sum(-1), spent - cost, 1e-12)
    close(info["investment"].sum(-2), actions["firm"].sum(-2))
    firms_alike = actions | {"firm": actions["firm"].mean(-2, keepdim=True).expand(-1, 4, -1)}
    alike = economy.step(state, firms_alike, shocks)
    # Among firms that offer the same, the industry makes what one would at the same cost.
    made = alike.info["investment"].sum(-2)
    close(spent - alike.rewards["firm"].sum(-1), economy.phi / 2 * made.square().sum(-1), 1e-12)


@pytest.mark.parametrize("bid", [0.0, 0.1])
@pytest.mark.parametrize("offer", [0.0, 0.1])
def test_where_one_side_is_missing_nothing_is_traded_and_all_is_finite(bid, offer):
    economy = TradingPost()
    state = economy.reset((4,), generator())
    policy = FixedAction(economy, {"household": bid, "firm": offer})
    step = economy.step(state, policy(state), economy.draw((4,), generator()))
    everything = [*step.rewards.values(), *step.info.values(), step.state.capital]
    assert all(x.isfinite().all() for x in everything)
    if not (bid and offer):
        close(step.state.capital, economy.survival * state.capital, 1e-6)
        close(step.info["consumption"], step.info["output"], 1e-6)  # bids are returned
        lost = economy.n_firms * economy.phi / 2 * offer**2
        close(step.rewards["firm"], torch.full((4, 2), -lost), 1e-6)


@pytest.mark.parametrize("firms", [2, 3, 5])
@pytest.mark.parametrize("households", [2, 4])
def test_static_best_responses_are_those_of_the_formulas(households, firms):
    """Markup F/(F-1), and buyers who count p/(1 - 1/N) for a unit more."""
    economy = TradingPost(households, n_firms=firms, **RISKLESS)
    state = at(economy, [[8.0]] * households)
    bid = 0.2
    income = economy.income(state)[0, 0].item()
    total = math.sqrt(households * bid * income * (1 - 1 / firms) / economy.phi)
    offer = torch.full((1, firms, 1), total / firms, dtype=torch.float64, requires_grad=True)
    share = torch.full((1, households, 1), bid, dtype=torch.float64, requires_grad=True)
    step = economy.step(state, {"household": share, "firm": offer}, economy.no_luck(state))
    close(step.info["markup"], row(firms / (firms - 1)), 1e-12)
    (slope,) = torch.autograd.grad(step.rewards["firm"][0, 0], offer, retain_graph=True)
    assert slope[0, 0].abs() < 1e-12
    (bought,) = torch.autograd.grad(step.state.capital[0, 0, 0], share)
    price = step.info["price"].item()
    assert income / bought[0, 0].item() == pytest.approx(price / (1 - 1 / households), rel=1e-12)


def test_a_sole_buyer_gets_all_for_any_bid_and_a_sole_seller_all_for_any_offer():
    economy = TradingPost(1, n_firms=1)
    state = economy.reset((3,), generator(), torch.float64)
    shocks = economy.draw((3,), generator(), torch.float64)
    few, many = (
        economy.step(state, FixedAction(economy, a)(state), shocks)
        for a in ({"household": 1e-3, "firm": 0.3}, {"household": 0.3, "firm": 0.3})
    )
    close(few.state.capital, many.state.capital)
    small = economy.step(
        state, FixedAction(economy, {"household": 0.3, "firm": 1e-3})(state), shocks
    )
    assert (small.rewards["firm"] > many.rewards["firm"]).all()


# ---------------------------------------------------------------------- posted prices
def test_posted_prices_by_hand():
    economy = PostedPrice(2, 2, alpha=0.5, delta=0.5, phi=0.5, **RISKLESS)
    state = at(economy, [[4.0, 4.0], [16.0, 16.0]])  # output 2 and 4
    share = torch.tensor([[[0.25, 0.25], [0.5, 0.0]]]).double()
    actions = {"household": share, "firm": tensor(0.5, 1.0)}
    step = economy.step(state, actions, economy.no_luck(state))
    close(step.state.capital, torch.tensor([[[3.0, 2.5], [12.0, 8.0]]]).double())
    close(step.info["consumption"], row(1.0, 2.0))
    close(step.rewards["firm"], row(0.5 * 5 - 6.25, 0.5 - 0.0625))
    close(step.info["markup"], row(0.5 / 2.5, 1.0 / 0.25))


def test_households_see_the_prices_that_were_posted_and_firms_do_not():
    economy = PostedPrice(3, 2)
    state = economy.reset((5,), generator(), torch.float64)
    price = torch.tensor([[0.4], [0.9]]).double().expand(5, 2, 1)
    played, before = play(economy, state, neutral(economy), moved={"firm": price}), economy
    other = play(economy, state, neutral(economy))
    assert torch.equal(played.seen["firm"].own, other.seen["firm"].own)
    seen = played.seen["household"]
    for x in (*seen, economy.observe(state, {"firm": price})["household"]):
        shown = (price / economy.price_unit).log().squeeze(-1)[:, None].expand(5, 3, 2)
        close(x[..., 2:4], shown)
    # Until somebody has posted prices, those of a neutral action stand for them.
    assert torch.equal(other.seen["household"].own, before.observe(state)["household"])


def test_prices_of_other_batch_shapes_than_states_are_seen():
    economy = PostedPrice(2, 2)
    state = economy.reset((4, 1), generator())
    price = torch.rand((3, 4, 5, 2, 1), generator=generator()) + 0.1
    seen = economy.sights(state, {"firm": price})["household"]
    assert seen.own.shape == seen.population.shape == (3, 4, 5, 2, 6)


@pytest.mark.parametrize("households", [1, 3])
def test_permuting_goods_permutes_firms(households):
    economy = PostedPrice(households, 3)
    state, actions, shocks = situation(economy, (7,))
    order = torch.tensor([2, 0, 1])
    step = economy.step(state, actions, shocks)
    swapped = {"firm": actions["firm"][:, order], "household": actions["household"][..., order]}
    there = economy.step(state._replace(capital=state.capital[..., order]), swapped, shocks)
    close(there.rewards["firm"], step.rewards["firm"][:, order], 1e-12)
    close(there.rewards["household"], step.rewards["household"], 1e-12)
    close(there.state.capital, step.state.capital[..., order])
    close(economy.observe(there.state)["firm"], economy.observe(step.state)["firm"][:, order])


def test_a_massless_household_buys_at_the_price_and_moves_no_profit():
    economy = PostedPrice(2, atomistic=True)
    state, actions, shocks = situation(economy)
    step = economy.step(state, actions, shocks)
    more = actions | {"household": 2 * actions["household"]}
    double = economy.step(state, more, shocks)
    close(double.info["investment"], 2 * step.info["investment"])
    for name in ("firm", "household_crowd"):
        assert torch.equal(double.rewards[name], step.rewards[name])
    assert torch.equal(double.state.crowd, step.state.crowd)
    assert torch.equal(double.info["markup"], step.info["markup"])
    finite = PostedPrice(2)
    same = finite.step(
        finite.State(state.crowd, state.idiosyncratic, state.aggregate),
        {"firm": actions["firm"], "household": actions["household_crowd"]},
        shocks,
    )
    close(same.rewards["firm"], step.rewards["firm"])
    close(same.rewards["household"], step.rewards["household_crowd"])


# ---------------------------------------------------------------------- both
@pytest.mark.parametrize(
    "economy",
    [TradingPost(3, 2, n_firms=2), PostedPrice(3, 2), PostedPrice(3, 2, atomistic=True)],
    ids=lambda e: type(e).__name__,
)
def test_actions_for_an_investment_make_it_at_marginal_cost(economy):
    state, _, shocks = situation(economy)
    wanted = 0.1 + 0.1 * torch.rand(state.capital.shape, generator=generator()).double()
    actions = economy.actions_for(state, wanted)
    step = economy.step(state, actions, shocks)
    close(step.info["investment"], wanted, 1e-12)
    close(step.info["markup"], torch.ones_like(step.info["markup"]), 1e-12)


@pytest.mark.parametrize("kind", [TradingPost, PostedPrice])
def test_firms_have_their_own_discount_and_are_measured_in_profit(kind):
    assert kind().discount_of("firm") == kind().discount_of("household") == 0.98
    myopic = kind(seller_discount=0.0)
    assert myopic.discount_of("firm") == 0 and myopic.discount_of("household") == 0.98
    patient = kind(seller_discount=0.9)
    assert patient.roles["firm"].measure == "profit"
    assert patient.equivalent("firm", torch.tensor(30.0)).item() == pytest.approx(3.0)
    again = pickle.loads(pickle.dumps(patient))
    assert again == patient and again.roles.keys() == patient.roles.keys()
    with pytest.raises(ValueError, match=r"^seller_discount=1\.0: expected"):
        kind(seller_discount=1.0)


def test_a_post_has_at_least_one_firm():
    with pytest.raises(ValueError, match=r"^n_firms=0: expected"):
        TradingPost(n_firms=0)


@pytest.mark.parametrize(
    "economies",
    [
        [TradingPost(n, n_firms=f) for n, f in ((2, 2), (10, 3), (10, 10))],
        [PostedPrice(n, m) for n, m in ((1, 1), (2, 2), (10, 10))],
    ],
    ids=["trading post", "posted prices"],
)
def test_neutral_actions_mean_the_same_at_every_size(economies):
    """In units, prices and what is bought do not depend on how many there are."""
    found = []
    for economy in economies:
        economy = type(economy)(
            economy.n_households,
            economy.n_goods,
            **({"n_firms": economy.n_firms} if hasattr(economy, "n_firms") else {}),
            **RISKLESS,
        )
        k = economy.capital_unit
        state = at(economy, [[k] * economy.n_goods] * economy.n_households)
        # At a given share in all goods together: zero divides income equally among all uses.
        raw = raw_actions(economy, (1,), torch.float64, generator(), scale=0.0, centre=0.0)
        actions = physical(economy, raw)
        actions["household"] = torch.full_like(actions["household"], 0.3 / economy.n_goods)
        step = economy.step(state, actions, economy.no_luck(state))
        found.append(
            [
                (step.info["price"] / economy.price_unit).mean().item(),
                (step.info["investment"] / k).mean().item(),
            ]
        )
    for other in found[1:]:
        assert other == pytest.approx(found[0], rel=1e-12)
