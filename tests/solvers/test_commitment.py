"""A seller who can commit: formulas against a search over paths and households' own choices."""

import pytest
import torch

from lectures_lib.economies import FixedAction, PostedPrice
from lectures_lib.solvers import announced_prices, steady_state, without_risk
from lectures_lib.solvers.commitment import _Announcements

CALIBRATIONS = {"paper": {}, "other": {"alpha": 0.36, "beta": 0.95, "delta": 0.08, "phi": 0.8}}


def economy(name="paper", households=1):
    return PostedPrice(households, atomistic=True, **CALIBRATIONS[name])


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_the_best_announcement_comes_to_rest_where_the_formula_says(name):
    e = economy(name, households=3)
    rest = steady_state(e, "commitment")
    share = e.alpha * e.beta * e.delta / (1 - e.beta * e.survival)
    assert rest.saving_share == pytest.approx(share, rel=1e-12)
    assert rest.price / (e.phi * 3 * rest.investment) == pytest.approx(1 / share, rel=1e-12)
    # It begins with more than twice as much, and the end of the horizon is far away. One household
    # will do, since the formula has no number of them.
    e = economy(name)
    rest = steady_state(e, "commitment")
    found = announced_prices(e, steady_state(e, "competitive").capital, periods=300)
    assert found.capital[0] > 2 * rest.capital
    assert found.capital[250].item() == pytest.approx(rest.capital, rel=0.01)
    assert found.markup[250].item() == pytest.approx(1 / share, rel=0.005)
    # Cheap at first, for those who buy today are promised that it will be dear.
    assert found.markup[0] < 0.5 / share


def test_no_path_near_the_best_announcement_is_worth_more():
    e = without_risk(economy())
    found = announced_prices(e, periods=120)
    problem = _Announcements(e, found.capital[0].item())
    log = found.investment.log()
    assert problem.worth(log).item() == pytest.approx(found.value, rel=1e-12)
    generator = torch.Generator().manual_seed(0)
    for size in (1e-3, 1e-2, 0.1):
        for _ in range(5):
            change = size * torch.randn(120, generator=generator, dtype=torch.float64)
            assert problem.worth(log + change) < found.value


def test_households_buy_what_the_announcement_says():
    """A household's utility is highest with these purchases, in the economy's own code."""
    e = without_risk(economy())
    found = announced_prices(e, periods=150)
    extra = torch.zeros(140, dtype=torch.float64, requires_grad=True)
    state = e.reset((), torch.Generator(), torch.float64)
    start = torch.full_like(state.capital, found.capital[0].item())
    state, utility = state._replace(capital=start, crowd=start), 0.0
    for t in range(140):
        spent = found.price[t] * (found.investment[t] + extra[t])
        crowd = found.price[t] * found.investment[t]
        actions = {
            "firm": found.price[t].reshape(1, 1),
            "household": (spent / e.income(state)).reshape(1, 1),
            "household_crowd": (crowd / e.income(e.crowd(state))).reshape(1, 1),
        }
        step = e.step(state, actions, e.no_luck(state))
        assert step.rewards["firm"].item() == pytest.approx(found.profit[t].item(), rel=1e-9)
        utility = utility + e.beta**t * step.rewards["household"].sum()
        state = step.state
    # A unit that is left at the end is worth its product, and the price of what is left of it.
    consumption = e.income(state).item() - (found.price[140] * found.investment[140]).item()
    product = e.alpha * e.income(state).item() / found.capital[140].item()
    worth = (product + e.survival * found.price[140].item()) / consumption
    utility = utility + e.beta**140 * worth * state.capital.sum()
    (slope,) = torch.autograd.grad(utility, extra)
    paid = e.beta ** torch.arange(140) * found.price[:140]
    assert (slope / paid).abs().max() < 1e-6


def test_a_promise_is_worth_breaking():
    e = economy("other")
    found = announced_prices(e, periods=150)
    again = announced_prices(e, found.capital[30].item(), periods=150)
    weights = e.beta ** torch.arange(30, dtype=torch.float64)
    kept = (found.value - (weights @ found.profit[:30]).item()) / e.beta**30
    assert again.value > 1.01 * kept


@pytest.mark.parametrize("change", [{"n_goods": 2}, {"risk_aversion": 2.0}], ids=str)
def test_what_is_announced_is_not_known_everywhere(change):
    e = PostedPrice(**change)
    for ask in (announced_prices, lambda x: steady_state(x, "commitment")):
        with pytest.raises(ValueError, match=f"^{next(iter(change))}=2.*: what a seller announces"):
            ask(e)


def test_the_formula_is_that_of_a_fixed_price_and_share():
    e = without_risk(economy())
    rest = steady_state(e, "commitment")
    state = e.reset((), torch.Generator(), torch.float64)
    stocks = torch.full_like(state.capital, rest.capital)
    state = state._replace(capital=stocks, crowd=stocks)
    rule = FixedAction(
        e,
        {
            "firm": rest.price,
            "household": rest.saving_share,
            "household_crowd": rest.saving_share,
        },
    )
    step = e.step(state, rule(state), e.no_luck(state))
    assert step.state.capital.item() == pytest.approx(rest.capital, rel=1e-9)
