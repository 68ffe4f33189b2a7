"""What solvers do with any economy with capital whose first-order conditions are known.

Chapters *Steady state* and *Global solution*.
"""

from __future__ import annotations

import warnings

import torch

from ..economies.capital import CapitalEconomy, CapitalState
from .euler import in_state
from .euler_network import euler_network
from .piece import ConvergenceError
from .regimes import resolve_regime
from .solution import ImpreciseSolution, Solution
from .steady_state import SteadyState, find, without_risk
from .time_iteration import can_iterate, time_iteration

# Mean Euler residual beyond which a rule is called imprecise.
IMPRECISE = 3e-4


def solve_with_capital(economy: CapitalEconomy, regime, method, domain) -> Solution:
    """By time iteration where that is affordable, and by a network elsewhere.

    Parameters, warnings and errors are those of :func:`~lectures_lib.solvers.solve`.
    """
    regime = resolve_regime(economy, regime)
    if method not in (None, "time iteration", "network"):
        raise ValueError(f"method={method!r}: expected 'time iteration' or 'network'.")
    solution = None
    if method == "time iteration" or (method is None and can_iterate(economy, regime)):
        try:
            found = time_iteration(economy, regime, domain=domain)
            solution = Solution(economy, regime, *found, "time iteration")
        except ConvergenceError as error:
            if method is not None or domain is not None:
                raise  # no network takes its place
            warnings.warn(
                f"{error} A network trained on Euler residuals takes its place.",
                ImpreciseSolution,
                stacklevel=4,
            )
    if solution is None:
        if domain is not None:
            raise ValueError(
                f"domain={domain}: a network learns the states that the economy visits, and no "
                "others; only time iteration can be asked for a domain."
            )
        solution = Solution(economy, regime, *euler_network(economy, regime), "network")
    _warn_if_imprecise(solution)
    return solution


def _warn_if_imprecise(solution):
    # What is not a number is not precise either.
    if not all(found.mean <= IMPRECISE for found in solution.residual.values()):
        measured = "; ".join(f"{where}: {x}" for where, x in solution.residual.items())
        warnings.warn(
            f"the solution of {solution.economy} (regime {solution.regime!r}, found by "
            f"{solution.method}) leaves Euler residuals of {measured}. Rely on it only where they "
            "are small enough for you.",
            ImpreciseSolution,
            stacklevel=5,
        )


def rest(economy: CapitalEconomy, regime, method, formula: float) -> SteadyState:
    """The symmetric steady state of a regime.

    Parameters
    ----------
    economy : CapitalEconomy
    regime, method
        As in :func:`~lectures_lib.solvers.steady_state`.
    formula : float
        Capital per household and good, in closed form.
    """
    riskless = without_risk(economy)
    n, m = economy.n_households, economy.n_goods

    def at(capital):
        stocks = torch.full((n, m), capital, dtype=torch.float64)
        first = torch.zeros(n, dtype=torch.int64)
        state = in_state(riskless, CapitalState(stocks, first, first.sum()))
        return state, riskless.replacement(stocks)

    def action(capital):
        state, investment = at(capital)
        every = riskless.actions_for(state, investment)
        return next(iter(every.values())).mean().item()

    regime = resolve_regime(economy, regime)
    state, investment = at(find(economy, regime, method, formula, action))
    output = riskless.output(state)
    income = riskless.income(state, output)
    books = riskless.accounts(income, investment)
    return SteadyState(
        capital=state.capital.mean().item(),
        investment=investment.mean().item(),
        output=output.mean().item(),
        consumption=books.consumption.mean().item(),
        saving_share=(books.spending / income).mean().item(),
        price=books.price.mean().item(),
    )


def rest_with_markup(
    economy: CapitalEconomy, method: str, markup: float, counted: float | None = None
) -> SteadyState:
    r"""The symmetric steady state where prices are a multiple of marginal cost.

    It is :math:`K_c\, m^{-1/(2-\alpha)}` where a unit more costs a buyer m times marginal cost.

    Parameters
    ----------
    economy : CapitalEconomy
    method : {"closed form"}
    markup : float
        The price that is paid, relative to marginal cost.
    counted : float, optional
        What a unit more costs its buyer, relative to marginal cost; the markup by default.

    Raises
    ------
    ValueError
        If another method is asked for: sellers have no Euler equation.
    """
    if method != "closed form":
        raise ValueError(
            f"method={method!r}: the steady state of {type(economy).__name__} is known in "
            "'closed form' alone."
        )
    capital = economy.efficient_capital * (counted or markup) ** (1 / (economy.alpha - 2))
    riskless = without_risk(economy)
    n, m = economy.n_households, economy.n_goods
    stocks = torch.full((n, m), capital, dtype=torch.float64)
    first = torch.zeros(n, dtype=torch.int64)
    state = in_state(riskless, CapitalState(stocks, first, first.sum()))
    investment = riskless.replacement(stocks)
    price = markup * riskless.unit_cost(investment.sum(-2, keepdim=True))
    output = riskless.output(state)
    income = riskless.income(state, output)
    books = riskless.accounts(income, investment, price)
    return SteadyState(
        capital=capital,
        investment=investment.mean().item(),
        output=output.mean().item(),
        consumption=books.consumption.mean().item(),
        saving_share=(books.spending / income).mean().item(),
        price=price.mean().item(),
    )
