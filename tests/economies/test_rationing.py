"""Markets that break down: a price that nobody forms, and one that nobody sees in time."""

import pytest
import torch
from registry import close, generator

from lectures_lib.economies import MarkovChain, PostedPrice, Rationing, SimultaneousPrice, play
from lectures_lib.economies.play import neutral

CERTAIN = MarkovChain((1.0,), ((1.0,),))
RISKLESS = {"idiosyncratic": CERTAIN, "aggregate": CERTAIN}


def at(economy, capital):
    state = economy.reset((1,), generator(), torch.float64)
    return state._replace(capital=torch.tensor(capital, dtype=torch.float64)[None])


def column(*values):
    return torch.tensor([values], dtype=torch.float64).unsqueeze(-1)


def row(*values):
    return torch.tensor([values], dtype=torch.float64)


def period(orders, offers, **changes):
    economy = Rationing(2, n_firms=2, alpha=0.5, delta=0.5, phi=0.5, **RISKLESS, **changes)
    state = at(economy, [[4.0], [16.0]])  # output 2 and 4
    actions = {"household": column(*orders), "firm": column(*offers)}
    return economy, economy.step(state, actions, economy.no_luck(state))


def test_the_price_is_that_of_the_competitive_steady_state_times_a_number():
    economy = Rationing(3, relative_price=0.8)
    total = 3 * economy.delta * economy.efficient_capital
    assert economy.price == pytest.approx(0.8 * economy.phi * total)


def test_whoever_is_on_the_long_side_is_rationed_in_proportion():
    economy, step = period((0.6, 0.2), (0.1, 0.3))
    close(step.info["investment"], column(0.3, 0.1))
    close(step.info["orders"], row(0.8))
    p = economy.price
    # Each offer is sold; firm f's cost is F phi/2 q^2 = q^2 / 2.
    close(step.rewards["firm"], row(0.1 * p - 0.005, 0.3 * p - 0.045))
    close(step.info["consumption"], row(2 - 0.3 * p, 4 - 0.1 * p))
    _, step = period((0.06, 0.02), (0.1, 0.3))
    close(step.info["investment"], column(0.06, 0.02))
    close(step.rewards["firm"], row(0.02 * p - 0.005, 0.06 * p - 0.045))


def test_orders_alone_change_nothing_if_all_are_larger_by_the_same_factor():
    few, many = (period((3 * k, k), (0.1, 0.3))[1] for k in (0.2, 200.0))
    for name in ("investment", "consumption"):
        close(few.info[name], many.info[name], 1e-12)


def test_a_fee_is_paid_for_what_is_ordered():
    economy, step = period((0.6, 0.2), (0.1, 0.3), fee=0.5)
    p = economy.price
    close(step.info["consumption"], row(2 - 0.6 * p, 4 - 0.2 * p))


def test_who_cannot_pay_gets_what_it_can_pay_for():
    economy, step = period((60.0, 20.0), (30.0, 10.0), fee=0.1)
    got, p = step.info["investment"].squeeze(-1), economy.price
    assert (step.info["consumption"] > 0).all() and (step.info["consumption"] < 1e-4).all()
    # Half of what was ordered would have come, at 1.2 times the price with the fee.
    close(1.2 * p * got, (1 - 1e-5) * row(2.0, 4.0), 1e-9)


@pytest.mark.parametrize(
    "bad", [{"relative_price": 0.0}, {"relative_price": float("inf")}, {"fee": -0.1}]
)
def test_a_bad_parameter_is_named(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        Rationing(**bad)


def test_prices_at_a_time_are_posted_prices_that_nobody_sees():
    together, in_turn = SimultaneousPrice(2, 2), PostedPrice(2, 2)
    state = at(together, [[4.0, 3.0], [6.0, 5.0]])
    assert together.stages == (("firm", "household"),)
    prices = torch.rand(1, 2, 1, generator=generator(), dtype=torch.float64)
    seen = [play(together, state, neutral(together), m).seen for m in (None, {"firm": prices})]
    close(seen[0]["household"].own, seen[1]["household"].own)
    seen = [play(in_turn, state, neutral(in_turn), m).seen for m in (None, {"firm": prices})]
    assert (seen[0]["household"].own != seen[1]["household"].own).any()
    actions = {"firm": prices, "household": torch.full((1, 2, 2), 0.2).double()}
    one, two = (e.step(state, actions, e.no_luck(state)) for e in (together, in_turn))
    close(one.state.capital, two.state.capital)


def test_a_higher_price_only_lowers_cost_if_spending_is_given():
    economy = SimultaneousPrice(2, **RISKLESS)
    state = at(economy, [[4.0], [6.0]])
    profit = []
    for price in (0.5, 1.0, 2.0, 200.0):
        actions = {"firm": column(price), "household": column(0.2, 0.2)}
        profit.append(economy.step(state, actions, economy.no_luck(state)).rewards["firm"].item())
    assert profit == sorted(profit)
    spent = 0.2 * economy.output(state).sum().item()
    assert profit[-1] == pytest.approx(spent, rel=1e-4)
