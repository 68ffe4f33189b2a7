"""Technology and preferences that economies with capital share."""

import pytest
import torch

from lectures_lib.economies import Market, Planner

from .registry import close, generator, situation


@pytest.mark.parametrize("kind", [Planner, Market])
def test_in_its_units_technology_does_not_depend_on_how_many_there_are(kind):
    small, large = kind(2), kind(6, 3)
    (role,) = small.roles

    def copied(x, goods=True):
        x = x.repeat_interleave(3, 1)
        return x.repeat_interleave(3, 2) if goods else x

    g = generator()
    state, shocks = small.reset((50,), g, torch.float64), small.draw((50,), g, torch.float64)
    share = 0.3 * torch.rand(50, 2, 1, generator=g, dtype=torch.float64)
    step = small.step(state, {role: share}, shocks)
    # Every household and every good three times, in the larger economy's units.
    ratio = large.capital_unit / small.capital_unit
    many = large.step(
        state._replace(
            capital=ratio * copied(state.capital), idiosyncratic=copied(state.idiosyncratic, False)
        ),
        {role: copied(share) / 3},
        shocks._replace(idiosyncratic=copied(shocks.idiosyncratic, False)),
    )
    close(many.state.capital, ratio * copied(step.state.capital))
    consumption = copied(step.info["consumption"], False)
    close(many.info["consumption"], ratio**small.alpha * consumption)


def test_the_unit_of_one_household_and_one_good_is_one():
    assert Planner().capital_unit == 1 and Market(alpha=0.4).capital_unit == 1


def test_households_are_perturbed_and_so_are_their_goods():
    economy = Planner(100, 10)
    state = economy.reset((8,), generator(), torch.float64)
    state = state._replace(capital=torch.ones_like(state.capital))
    logs = economy.perturb(state, generator(1), 0.3).capital.log()
    uniform = 0.3 * 3**-0.5
    among = logs.mean(-1).std(-1)
    # The means of ten goods' own shifts add a little to the household's.
    assert torch.allclose(among, torch.full_like(among, uniform * 1.1**0.5), rtol=0.25)
    within = (logs - logs.mean(-1, keepdim=True)).square().mean((-1, -2)).sqrt()
    assert torch.allclose(within, torch.full_like(within, uniform * 0.9**0.5), rtol=0.1)


LANDED = [
    Planner(),
    Planner(3, 2),
    Market(3, 2),
    Market(3, 2, action="quantity"),
    Market(2, rebate_profits=True),
    Market(2, action="quantity", rebate_profits=True),
]


@pytest.mark.parametrize("economy", LANDED)
def test_the_accounts_are_those_of_a_period_and_balance(economy):
    state, actions, shocks = situation(economy)
    info = economy.step(state, actions, shocks).info
    price = info["price"].unsqueeze(-2) if "price" in info else None
    income, bought = economy.income(state), info["investment"]
    books = economy.accounts(income, bought, price)
    close(books.consumption, info["consumption"], rtol=1e-12)
    close(books.spending / income, info["saving_share"], rtol=1e-12)
    if price is not None:
        close(books.profit, info["profit"], rtol=1e-11)
    # All that is earned is consumed, used up in production, or leaves as profit.
    earned, used = income.sum(-1), economy.production_cost(bought.sum(-2)).sum(-1)
    kept = books.profit.sum(-1) - economy.n_households * torch.as_tensor(books.rebate).sum(-1)
    close(books.consumption.sum(-1) + used + kept, earned, rtol=1e-12)
    assert (books.profit.sum(-1).abs() > 1e-9).all() == isinstance(economy, Market)


@pytest.mark.parametrize("economy", LANDED)
def test_who_meets_others_prices_pays_them(economy):
    state, _, _ = situation(economy)
    income, bought = economy.income(state), torch.full_like(state.capital, 0.1)
    price = torch.linspace(0.5, 1.5, economy.n_goods, dtype=torch.float64).expand(50, 1, -1)
    books = economy.accounts(income, bought, price, rebate=0.25)
    close(books.consumption, income + 0.25 - 0.1 * price.sum(-1))


@pytest.mark.parametrize("economy", [Planner(2, 3), Market(3)])
def test_marginal_products_and_unit_costs_are_derivatives(economy):
    state, _, _ = situation(economy)
    capital = state.capital.clone().requires_grad_(True)
    output = economy.output(state._replace(capital=capital))
    (slope,) = torch.autograd.grad(output.sum(), capital)
    close(economy.marginal_product(output, capital).detach(), slope, rtol=1e-12)
    spending = 0.1 * torch.rand(state.capital.shape, generator=generator(), dtype=torch.float64)
    cost = economy.unit_cost_of(spending)
    close(economy.unit_cost((spending / cost).sum(-2, keepdim=True)), cost, rtol=1e-12)


def test_capital_that_is_replaced_stays():
    economy = Market(2, 3, delta=0.1)
    state, _, _ = situation(economy)
    kept = economy.next_capital(state.capital, economy.replacement(state.capital))
    close(kept, state.capital)
    assert economy.survival == 0.9
