"""Price competition against published numbers, optimisation, and its own tables."""

import numpy as np
import pytest
import torch
from registry import generator
from scipy.optimize import minimize, minimize_scalar

from lectures_lib.economies import Bertrand, MarkovChain
from lectures_lib.economies.game_tables import tabulate_game

DEMAND = MarkovChain.symmetric((-0.2, 0.3), stay=0.7)
MARKETS = {
    "baseline": Bertrand(),
    "three firms": Bertrand(3),
    "other costs": Bertrand(cost=(1.0, 1.3)),
    "other qualities": Bertrand(3, quality=(2.0, 1.8, 2.4), mu=0.4),
    "demand": Bertrand(cost=(0.9, 1.0), outside=DEMAND),
    "nearly alike": Bertrand(mu=0.01),
    "demand of two kinds": Bertrand(
        quality=(2.0, 1.0), mu=0.1, outside=MarkovChain((-5.0, 0.7), ((0.3, 0.7),) * 2)
    ),
}
every_market = pytest.mark.parametrize("market", list(MARKETS.values()), ids=list(MARKETS))


def test_prices_and_profits_of_the_papers_baseline():
    """Calvano et al. (2020), section II: prices 1.473 and 1.925, profits 0.223 and 0.337."""
    market = Bertrand()
    assert market.nash_prices == pytest.approx([1.4729, 1.4729], abs=1e-4)
    assert market.monopoly_prices == pytest.approx([1.9250, 1.9250], abs=1e-4)
    assert market.expected_profits(market.nash_prices) == pytest.approx([0.2229] * 2, abs=1e-4)
    assert market.expected_profits(market.monopoly_prices) == pytest.approx([0.3375] * 2, abs=1e-4)


@every_market
def test_nobody_gains_by_another_price_in_the_one_shot_equilibrium(market):
    nash = market.nash_prices
    for i in range(market.n_firms):

        def loss(p, i=i):
            price = nash.copy()
            price[i] = p
            return -market.expected_profits(price)[i]

        around = (nash[i] - 0.5 * market.mu, nash[i] + 0.5 * market.mu)
        found = minimize_scalar(loss, bounds=around, method="bounded", options={"xatol": 1e-10})
        assert found.x == pytest.approx(nash[i], abs=1e-5 * market.mu)
        anywhere = min(loss(p) for p in np.linspace(0.5, 9, 400))
        assert -anywhere <= market.expected_profits(nash)[i] + 1e-12


@every_market
def test_a_monopoly_cannot_earn_more(market):
    found = minimize(
        lambda p: -market.expected_profits(p).sum(),
        market.monopoly_prices + 0.1 * market.mu,
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 4000},
    )
    best = market.expected_profits(market.monopoly_prices).sum()
    same_markup = [market.costs + m for m in np.linspace(0.01, 9, 900)]
    assert market.expected_profits(same_markup).sum(-1).max() <= best + 1e-12
    assert -found.fun == pytest.approx(best, rel=1e-9)
    assert found.x == pytest.approx(market.monopoly_prices, abs=1e-3 * market.mu)


@every_market
def test_the_gain_is_zero_in_competition_and_one_in_a_monopoly(market):
    both = [market.expected_profits(p) for p in (market.nash_prices, market.monopoly_prices)]
    assert market.profit_gain(both) == pytest.approx([0, 1], abs=1e-12)


def test_prices_reach_beyond_both_ends():
    market = Bertrand()
    low, high = market.nash_prices[0], market.monopoly_prices[0]
    assert market.prices[0] == pytest.approx(low - 0.1 * (high - low))
    assert market.prices[-1] == pytest.approx(high + 0.1 * (high - low))
    assert np.diff(market.prices) == pytest.approx([1.2 * (high - low) / 14] * 14)
    assert len(Bertrand(margin=0.0, n_prices=2).prices) == 2


@pytest.mark.parametrize(
    "market",
    [
        Bertrand(n_prices=4),
        Bertrand(n_prices=3, memory=2),
        Bertrand(n_prices=5, memory=0),
        Bertrand(3, n_prices=3, cost=(1.0, 1.1, 0.9)),
        Bertrand(n_prices=3, outside=DEMAND),
        Bertrand(n_prices=2, memory=2, outside=DEMAND),
    ],
    ids=["two", "memory 2", "memory 0", "three", "demand", "demand, memory 2"],
)
def test_tables_are_what_stepping_gives(market):
    quick, slow = market.tables(), tabulate_game(market)
    np.testing.assert_array_equal(quick.payoffs, slow.payoffs)
    np.testing.assert_array_equal(quick.successors, slow.successors)
    np.testing.assert_allclose(quick.probabilities, slow.probabilities, atol=1e-7)
    assert quick.discounts == slow.discounts and quick.actions == slow.actions


def test_what_states_share_is_stored_once():
    tables = Bertrand(3).tables()
    assert tables.payoffs.shape == (3375, 3375, 1, 3)
    assert tables.payoffs.strides[0] == tables.successors.strides[0] == 0


def test_firms_see_their_own_prices_first_and_remember_the_newest_first():
    market = Bertrand(3, memory=2, n_prices=7)
    state = market.reset((5,), generator())
    seen = market.observe(state)["firm"]
    prices = torch.tensor(market.prices)[state.last]
    assert torch.equal(seen[:, 1], prices[:, :, [1, 0, 2]].flatten(1))
    chosen = torch.tensor([2, 5, 6])
    action = {"firm": torch.tensor(market.prices)[chosen].expand(5, 3).unsqueeze(-1)}
    following = market.step(state, action, market.draw((5,), generator())).state
    assert torch.equal(following.last[:, 0], chosen.expand(5, 3))
    assert torch.equal(following.last[:, 1], state.last[:, 0])


def test_costs_and_demand_are_seen_where_they_differ():
    market = Bertrand(cost=(1.0, 1.2), outside=DEMAND, memory=0)
    state = market.reset((4,), generator())
    seen = market.observe(state)["firm"]
    assert seen.shape == (4, 2, 3)
    assert seen[0, :, :2].tolist() == pytest.approx(np.array([[2, 1.0], [2, 1.2]]))
    assert torch.equal(seen[:, 0, 2], torch.tensor(DEMAND.values)[state.demand])
    assert torch.equal(Bertrand(memory=0).observe(state)["firm"], torch.ones(4, 2, 1))


def test_permuting_firms_permutes_what_they_earn():
    market = Bertrand(3, on_grid=False)
    state = market.reset((6,), generator(), torch.float64)
    price = 1.4 + 0.5 * torch.rand((6, 3, 1), generator=generator(1), dtype=torch.float64)
    luck = market.draw((6,), generator(2), torch.float64)
    here = market.step(state, {"firm": price}, luck)
    there = market.step(
        state._replace(last=state.last.roll(1, -1)), {"firm": price.roll(1, -2)}, luck
    )
    torch.testing.assert_close(there.rewards["firm"], here.rewards["firm"].roll(1, -1))
    torch.testing.assert_close(there.state.last, here.state.last.roll(1, -1))
    seen = market.observe(state)["firm"]
    mirrored = market.observe(state._replace(last=state.last.flip(-1)))["firm"]
    torch.testing.assert_close(mirrored[:, 1, 0], seen[:, 1, 0])


def test_profits_have_the_slopes_of_finite_differences():
    market = Bertrand(cost=(1.0, 1.1), outside=DEMAND, on_grid=False)
    state = market.reset((3,), generator(), torch.float64)
    luck = market.draw((3,), generator(1), torch.float64)
    price = torch.full((3, 2, 1), 1.6, dtype=torch.float64, requires_grad=True)

    def profits(p):
        return market.step(state, {"firm": p}, luck).rewards["firm"]

    assert torch.autograd.gradcheck(profits, price)


def test_prices_off_the_list_are_moved_to_the_nearest():
    market = Bertrand(n_prices=3)
    state = market.reset((1,), generator())
    p = torch.tensor([[[market.prices[1] + 0.01], [9.0]]])
    step = market.step(state, {"firm": p}, market.draw((1,), generator()))
    expected = torch.tensor([[market.prices[1], market.prices[2]]])
    torch.testing.assert_close(step.info["price"], expected)
    assert step.state.last[:, 0].tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_firms": 1}, "n_firms=1: expected a whole number of at least 2"),
        ({"memory": -1}, "memory=-1"),
        ({"beta": 1.0}, r"beta=1\.0"),
        ({"cost": (1.0,)}, r"cost=\(1\.0,\): expected a finite number, or one for each of 2"),
        ({"quality": float("inf")}, "quality=inf"),
        ({"mu": 0.0}, r"mu=0\.0"),
        ({"n_prices": 1}, "n_prices=1"),
        ({"margin": -0.1}, r"margin=-0\.1"),
        ({"outside": 0.0}, r"outside=0\.0: expected a MarkovChain"),
    ],
    ids=str,
)
def test_what_is_no_market_is_refused(changes, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        Bertrand(**changes)


def test_continuous_prices_are_no_finite_game():
    with pytest.raises(TypeError, match=r"on_grid=False.*no finite game.*PPO"):
        Bertrand(on_grid=False).tables()
