"""The monopolist against its formulas, and the finite version against the continuous one."""

import numpy as np
import pytest
import torch

from lectures_lib.economies import MarkovChain, Monopolist
from lectures_lib.economies.monopolist import MonopolistShocks, MonopolistState

FIRM = Monopolist()
TABLES = FIRM.tables()


def state(customers, demand):
    return MonopolistState(
        torch.tensor(customers, dtype=torch.float64)[:, None], torch.tensor(demand)
    )


def at_price(economy, s, price):
    """One period at the same price in all states; demand stays or moves by a draw of 0.5."""
    action = {"firm": torch.full((len(s.demand), 1, 1), price, dtype=torch.float64)}
    return economy.step(s, action, MonopolistShocks(torch.full(s.demand.shape, 0.5).double()))


def test_a_period_by_hand():
    step = at_price(FIRM, state([1.5, 0.8], [1, 0]), 0.5)
    sales = np.array([1.5 * 1.5 * 0.5, 0.5 * 0.8 * 0.5])
    np.testing.assert_allclose(step.info["sales"].squeeze(), sales)
    np.testing.assert_allclose(step.rewards["firm"].squeeze(), 0.3 * sales)
    following = 0.8 * np.array([1.5, 0.8]) + 0.2 * 0.5 / 0.4
    np.testing.assert_allclose(step.state.customers.squeeze(), following)


@pytest.mark.parametrize("cost", [0.0, 0.2, 0.5])
def test_the_price_of_the_day_maximises_profit_and_keeps_one_customer(cost):
    firm = Monopolist(cost=cost)
    prices = np.linspace(0, 1, 1001)
    assert prices[np.argmax((1 - prices) * (prices - cost))] == pytest.approx(
        (1 + cost) / 2, abs=1e-3
    )
    assert firm.price_of_the_day == pytest.approx((1 + cost) / 2)
    step = at_price(firm, state([1.0], [0]), firm.price_of_the_day)
    assert step.state.customers.item() == pytest.approx(1.0)


@pytest.mark.parametrize("turnover", [0.1, 0.5, 1.0])
def test_customers_renew_at_the_turnover(turnover):
    firm, price = Monopolist(turnover=turnover), 0.4
    s = state([0.8], [0])
    gaps = []
    for _ in range(4):
        gaps.append(s.customers.item() - firm.attracted(price))
        s = at_price(firm, s, price).state
    np.testing.assert_allclose(gaps[1:], (1 - turnover) * np.array(gaps[:-1]), atol=1e-14)


def test_the_constant_profit_worth_a_value():
    value = torch.tensor(2.0)
    assert FIRM.consumption_equivalent(value).item() == pytest.approx(2.0 * (1 - FIRM.beta))


# ---------------------------------------------------------------------- the finite version
def every_state():
    levels = np.repeat(FIRM.customer_levels, len(FIRM.demand))
    return state(levels, np.tile(np.arange(len(FIRM.demand)), FIRM.levels))


def test_tables_pay_what_the_economy_pays():
    for i, price in enumerate(TABLES.actions):
        step = at_price(FIRM, every_state(), price)
        np.testing.assert_allclose(TABLES.payoffs[:, i], step.rewards["firm"].squeeze(), rtol=1e-13)


def test_tables_keep_the_mean_of_customers_and_the_chain_of_demand():
    n = len(FIRM.demand)
    split = TABLES.transitions.reshape(TABLES.n_states, TABLES.n_actions, FIRM.levels, n)
    for i, price in enumerate(TABLES.actions):
        expected = at_price(FIRM, every_state(), price).state.customers.squeeze()
        mean = split[:, i].sum(-1) @ FIRM.customer_levels
        np.testing.assert_allclose(mean, expected, rtol=1e-12)
    demand = split.sum(2)
    rows = np.array(FIRM.demand.transition)[every_state().demand]
    np.testing.assert_allclose(demand, np.repeat(rows[:, None], TABLES.n_actions, 1), atol=1e-12)


def test_tables_move_to_neighbouring_levels_only():
    n = len(FIRM.demand)
    split = TABLES.transitions.reshape(TABLES.n_states, TABLES.n_actions, FIRM.levels, n).sum(-1)
    assert ((split > 0).sum(-1) <= 2).all()
    first = (split > 0).argmax(-1)
    last = FIRM.levels - 1 - (split[..., ::-1] > 0).argmax(-1)
    assert (last - first <= 1).all()
    assert TABLES.transitions.min() >= 0
    np.testing.assert_allclose(TABLES.transitions.sum(-1), 1)


def test_the_index_inverts_the_order_of_states_and_rounds_to_the_nearest():
    assert FIRM.index(every_state()).tolist() == list(range(TABLES.n_states))
    gap = FIRM.customer_levels[1] - FIRM.customer_levels[0]
    s = every_state()
    for shift in (0.4, -0.4):
        moved = s._replace(customers=s.customers + shift * gap)
        assert FIRM.index(moved).tolist() == list(range(TABLES.n_states))
    assert FIRM.index(state([0.0, 99.0], [1, 0])).tolist() == [1, TABLES.n_states - 2]


def test_levels_are_all_that_the_prices_lead_to():
    low, high = FIRM.customer_levels[[0, -1]]
    assert low == pytest.approx(FIRM.attracted(FIRM.prices[-1]))
    assert high == pytest.approx(FIRM.attracted(FIRM.prices[0]))
    drawn = FIRM.reset((2000,), torch.Generator().manual_seed(0), torch.float64).customers
    assert low <= drawn.min() and drawn.max() <= high
    assert FIRM.roles["firm"].choices == FIRM.prices


@pytest.mark.parametrize(
    "bad, message",
    [
        ({"beta": 1.0}, "beta"),
        ({"beta": 0.0}, "beta"),
        ({"cost": 1.0}, "cost"),
        ({"cost": -0.1}, "cost"),
        ({"turnover": 0.0}, "turnover"),
        ({"turnover": 1.1}, "turnover"),
        ({"demand": 1.0}, "demand"),
        ({"demand": MarkovChain((-1.0, 1.0), ((0.5, 0.5), (0.5, 0.5)))}, "demand"),
        ({"prices": (0.5,)}, "prices"),
        ({"prices": (0.5, 0.4)}, "prices"),
        ({"prices": (0.5, 1.0)}, "prices"),
        ({"levels": 1}, "levels"),
        ({"levels": 2.5}, "levels"),
    ],
)
def test_wrong_parameters_are_named(bad, message):
    with pytest.raises(ValueError, match=message):
        Monopolist(**bad)
