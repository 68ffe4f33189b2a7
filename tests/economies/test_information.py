"""A market in which households see different things."""

from dataclasses import replace

import pytest
import torch
from registry import apart, close, situation

from lectures_lib.economies import InformationMarket, Market, MarkovChain
from lectures_lib.solvers import solve, steady_state

COST = MarkovChain.symmetric((0.7, 1.3), stay=0.9)
ALL = InformationMarket(4, 2, n_uninformed=2, memory=True, sees_price=True, cost=COST)


def test_without_a_cost_that_moves_a_period_is_the_markets():
    economy, market = InformationMarket(3, n_uninformed=1), Market(3, n_uninformed=1)
    state, actions, shocks = situation(economy)
    plain = market.State(state.capital, state.idiosyncratic, state.aggregate)
    luck = market.Shocks(shocks.idiosyncratic, shocks.aggregate)
    ours, theirs = economy.step(state, actions, shocks), market.step(plain, actions, luck)
    for name in plain._fields:
        close(getattr(ours.state, name), getattr(theirs.state, name))
    for name, reward in theirs.rewards.items():
        close(ours.rewards[name], reward)
    for name in theirs.info:
        close(ours.info[name], theirs.info[name])
    for name, seen in market.observe(plain).items():
        close(economy.observe(state)[name], seen)


def test_all_pay_by_the_cost_and_only_the_informed_see_it():
    state, actions, shocks = situation(ALL)
    low, high = (state._replace(cost=torch.full_like(state.cost, k)) for k in (0, 1))
    steps = [ALL.step(s, actions, shocks) for s in (low, high)]
    ratio = steps[1].info["price"] / steps[0].info["price"]
    close(ratio, torch.full_like(ratio, (1.3 / 0.7) ** 0.5))
    bought = steps[0].info["investment"] / steps[1].info["investment"]
    close(bought, torch.full_like(bought, (1.3 / 0.7) ** 0.5))
    # Price is marginal cost.
    for step in steps:
        total = step.info["investment"].sum(-2)
        close(step.info["price"], step.info["cost"].unsqueeze(-1) * total)
    seen = [ALL.observe(s) for s in (low, high)]
    assert torch.equal(seen[0]["uninformed"], seen[1]["uninformed"])
    close(seen[1]["informed"][..., -1].exp(), torch.full((50, 2), 1.3, dtype=torch.float64))


def test_the_uninformed_remember_last_period_and_its_price():
    state, actions, shocks = situation(ALL)
    state = apart(ALL, state)
    step = ALL.step(state, actions, shocks)
    now, m = ALL.observe(step.state)["uninformed"], ALL.n_goods
    before = ALL.observe(state)["uninformed"]
    remembered = now[..., 2 * m + 2 :]
    assert remembered.shape[-1] == ALL.roles["uninformed"].n_features - 2 * m - 2
    close(remembered[..., :m], now[..., :m] - before[..., :m])
    close(remembered[..., m : m + 2], before[..., m : m + 2])
    mean = slice(m + 2, 2 * m + 2)
    close(remembered[..., mean], now[..., mean] - before[..., mean])
    price = (step.info["price"] / (ALL.phi * ALL.capital_unit * ALL.n_households)).log()
    close(remembered[..., -m:], price.unsqueeze(-2).expand(50, 2, m))
    # Who forgets sees nothing of it.
    forgets = replace(ALL, memory=False, sees_price=False)
    close(forgets.observe(step.state)["uninformed"], now[..., : 2 * m + 2])


def test_memory_of_mean_capital_reveals_last_periods_price():
    economy = InformationMarket(4, n_uninformed=4, memory=True)
    state, actions, shocks = situation(economy)
    step = economy.step(state, actions, shocks)
    mean = [s.capital.mean((-2, -1)) for s in (step.state, state)]
    total = economy.n_households * (mean[0] - economy.survival * mean[1])
    close(economy.phi * total, step.info["price"].squeeze(-1))


def test_nobody_remembers_a_shift_of_capital():
    state, actions, shocks = situation(ALL)
    state = ALL.step(state, actions, shocks).state
    near = ALL.perturb(state, torch.Generator().manual_seed(0), 0.3)
    assert (near.capital / state.capital - 1).abs().max() > 0.1
    close(near.capital / near.last_capital, state.capital / state.last_capital)
    remembered = [ALL.observe(s)["uninformed"][..., 6:10] for s in (near, state)]
    torch.testing.assert_close(*remembered, rtol=0, atol=1e-13)


def test_where_nothing_happens_there_is_nothing_to_know():
    assert steady_state(ALL).capital == pytest.approx(steady_state(Market(4, 2)).capital)
    dearer = replace(ALL, cost=MarkovChain.symmetric((1.0, 3.0), stay=0.9))
    expected = steady_state(Market(4, 2, phi=1.0)).capital
    assert steady_state(dearer).capital == pytest.approx(expected)


def test_no_exact_solution_is_known_and_solve_says_so():
    with pytest.raises(
        TypeError, match=r"solve knows no market in which households see diff.*plain"
    ):
        solve(ALL)
    assert ALL.plain == Market(4, 2)


@pytest.mark.parametrize(
    "name, value",
    [("action", "quantity"), ("rebate_profits", True), ("atomistic", True)],
)
def test_what_it_has_not_is_refused(name, value):
    with pytest.raises(ValueError, match=f"{name}.*Market has the others"):
        InformationMarket(**{name: value})


def test_a_cost_is_a_chain_with_positive_values():
    with pytest.raises(ValueError, match="cost"):
        InformationMarket(cost=MarkovChain.symmetric((-1.0, 1.0), 0.9))
