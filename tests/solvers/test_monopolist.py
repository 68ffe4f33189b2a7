"""The exact price against closed forms, fine tables and the loss of moving away from it."""

import numpy as np
import pytest
import torch

from lectures_lib.economies import MarkovChain, Monopolist
from lectures_lib.solvers import OutsideDomain, solve
from lectures_lib.solvers.monopolist import PriceRule

CERTAIN = MarkovChain((1.0,), ((1.0,),))
# Three times the polynomial's error where it is largest, at a discount factor of .8.
CLOSE = 3.5e-4


def prices(economy, customers, demand):
    x = torch.as_tensor(customers, dtype=torch.float64)[:, None]
    s = economy.State(x, torch.full(x.shape[:1], demand))
    return solve(economy).policy(s)["firm"].flatten().numpy()


def patient_price(firm):
    """Where the first-order condition holds for ever, with demand that does not move."""
    kappa = firm.beta * firm.turnover / (1 - firm.beta * (1 - firm.turnover))
    return (1 + firm.cost + kappa * firm.cost) / (2 + kappa)


@pytest.mark.parametrize(
    "parameters", [{}, {"cost": 0.0}, {"turnover": 0.05}, {"beta": 0.8}, {"beta": 0.5}]
)
def test_without_fluctuations_the_steady_price_has_a_closed_form(parameters):
    firm = Monopolist(demand=CERTAIN, **parameters)
    price = patient_price(firm)
    found = prices(firm, [firm.attracted(price)], 0)[0]
    assert found == pytest.approx(price, abs=CLOSE)


def test_it_settles_at_the_steady_price():
    firm = Monopolist(demand=CERTAIN)
    policy = solve(firm).policy
    s = firm.State(torch.ones(1, 1, dtype=torch.float64), torch.zeros(1).long())
    shocks = firm.draw((1,), torch.Generator().manual_seed(0), torch.float64)
    for _ in range(200):
        s = firm.step(s, policy(s), shocks).state
    assert policy(s)["firm"].item() == pytest.approx(patient_price(firm), abs=CLOSE)


def test_an_impatient_firm_asks_the_price_of_the_day():
    firm = Monopolist(beta=1e-4)
    for demand in (0, 1):
        found = prices(firm, np.linspace(0.6, 2.0, 20), demand)
        np.testing.assert_allclose(found, firm.price_of_the_day, atol=1e-4)


def test_more_patience_means_a_lower_price():
    x = np.linspace(0.8, 1.6, 9)
    found = [prices(Monopolist(beta=b), x, 0) for b in (0.3, 0.6, 0.9)]
    assert (found[0] > found[1]).all() and (found[1] > found[2]).all()
    assert (found[0] < Monopolist().price_of_the_day).all()


def test_the_price_rises_with_customers_and_with_demand():
    x = np.linspace(0.8, 2.0, 30)
    weak, strong = (prices(Monopolist(), x, d) for d in (0, 1))
    assert (np.diff(weak) > 0).all() and (np.diff(strong) > 0).all()
    assert (strong > weak).all()


@pytest.mark.parametrize("turnover", [0.1, 0.2])
def test_fine_tables_come_to_the_same_price(turnover):
    """Mean error of a list with gaps h: about h / 4, as if the exact price fell anywhere."""
    errors, gaps = [], []
    for levels, count in ((12, 15), (48, 57)):
        firm = Monopolist(
            turnover=turnover, levels=levels, prices=tuple(np.linspace(0.1, 0.8, count).round(6))
        )
        tables = firm.tables()
        best = tables.actions[tables.discrete_dp().solve("policy_iteration").sigma]
        exact = np.stack([prices(firm, firm.customer_levels, d) for d in (0, 1)], 1).ravel()
        # Where the rule asks for less than the list has, the list's end is the best.
        errors.append(np.abs(best - exact.clip(0.1, 0.8)).mean())
        gaps.append(0.7 / (count - 1))
    np.testing.assert_allclose(np.array(errors) / np.array(gaps), 0.25, rtol=0.3)


def test_no_constant_shift_of_the_rule_earns_more():
    firm = Monopolist()
    exact = solve(firm).policy
    g = torch.Generator().manual_seed(0)
    start = firm.reset((4000,), g, torch.float64)
    draws = [firm.draw((4000,), g, torch.float64) for _ in range(120)]

    def value(shift):
        s, total = start, 0.0
        for t, shocks in enumerate(draws):
            step = firm.step(s, {"firm": exact(s)["firm"] + shift}, shocks)
            total, s = total + firm.beta**t * step.rewards["firm"].mean().item(), step.state
        return total

    best = value(0.0)
    losses = [best - value(shift) for shift in (-0.04, -0.02, 0.02, 0.04)]
    assert min(losses) > 0
    # A parabola: twice the distance, four times the loss.
    assert losses[0] / losses[1] == pytest.approx(4, rel=0.15)
    assert losses[3] / losses[2] == pytest.approx(4, rel=0.15)


def test_who_has_more_customers_than_any_price_attracts_is_told():
    firm = Monopolist()
    policy = solve(firm).policy
    low, high = policy.domain.low, policy.domain.high
    assert (low, high) == pytest.approx((firm.attracted(0.95), firm.attracted(0.05)))
    state = firm.State(torch.tensor([[high], [2 * high]]).double(), torch.zeros(2).long())
    with pytest.warns(OutsideDomain, match=rf"degree 24\) was found for customers from {low:.4g}"):
        at_the_end, beyond = policy(state)["firm"]
    assert torch.equal(at_the_end, beyond)


def test_a_rule_of_any_degree_is_evaluated():
    firm = Monopolist()
    rule = PriceRule(firm, np.array([[0.5, 0.4], [0.1, 0.2]]), (1.0, 2.0))
    state = firm.State(torch.full((2, 1), 1.75).double(), torch.tensor([0, 1]))
    torch.testing.assert_close(rule(state)["firm"].flatten(), torch.tensor([0.55, 0.5]).double())
