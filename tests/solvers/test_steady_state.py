"""Deterministic steady states: formula, root finder and simulation agree."""

import pytest
import torch

from lectures_lib.economies import BrockMirman, FixedAction, Market, MarkovChain, Planner
from lectures_lib.solvers import euler_residuals, steady_state
from lectures_lib.solvers.steady_state import without_risk

OTHER = {"alpha": 0.36, "beta": 0.95, "delta": 0.08, "phi": 0.8}
CALIBRATIONS = {
    "paper": Planner(),
    "other": Planner(**OTHER),
    "three households, two goods": Planner(3, 2),
    "five households": Planner(5),
    "full depreciation": Planner(delta=1.0),
    "risk averse": Planner(2, risk_aversion=3.0),
    "productive": Planner(aggregate=MarkovChain.symmetric((1.0, 2.0), stay=0.5)),
    "growth": BrockMirman(),
    "growth, other": BrockMirman(alpha=0.5, beta=0.9),
    "market": Market(3, 2),
    "quantities": Market(3, 2, action="quantity"),
    "rebate": Market(3, 2, rebate_profits=True),
    "atomistic": Market(3, atomistic=True),
    "half informed": Market(4, n_uninformed=2),
}
every = pytest.mark.parametrize("economy", list(CALIBRATIONS.values()), ids=list(CALIBRATIONS))
# Kind of economy and regime, capital relative to the planner's with N households.
REGIMES = {
    "planner": (Planner, {}, "planner", lambda n: 1.0),
    "competitive": (Market, {}, "competitive", lambda n: 1.0),
    "nash in spending": (Market, {}, "nash", lambda n: 1 - 1 / (2 * n)),
    "nash in quantities": (Market, {"action": "quantity"}, "nash", lambda n: 1 / (1 + 1 / n)),
    "monopsony": (Market, {}, "monopsony", lambda n: 0.5),
    "monopsony in quantities": (Market, {"action": "quantity"}, "monopsony", lambda n: 0.5),
    **{
        f"{regime}, {action}, rebate": (
            Market,
            {"action": action, "rebate_profits": True},
            regime,
            lambda n: 1.0,
        )
        for regime in ("competitive", "nash", "monopsony")
        for action in ("spending", "quantity")
    },
}


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (5, 1), (1, 2), (2, 2), (5, 2)], ids=str)
@pytest.mark.parametrize("case", list(REGIMES.values()), ids=list(REGIMES))
def test_the_formula_is_the_root_of_the_codes_own_euler_equation(case, size):
    kind, kwargs, regime, relative = case
    for calibration in ({}, OTHER) if size in ((2, 1), (2, 2)) else ({},):
        economy = kind(*size, **kwargs, **calibration)
        formula = steady_state(economy, regime)
        factor = relative(economy.n_households) ** (1 / (2 - economy.alpha))
        assert formula.capital == pytest.approx(factor * economy.efficient_capital, rel=1e-14)
        root = steady_state(economy, regime, "root finder")
        assert root.capital == pytest.approx(formula.capital, rel=1e-12)


@every
def test_every_economy_has_the_root_of_its_formula(economy):
    root = steady_state(economy, method="root finder")
    assert root.capital == pytest.approx(steady_state(economy).capital, rel=1e-12)


# Total capital with 1, ..., 5 households (economics.md, section 3.3).
TOTALS = {
    "planner": (25.63, 34.10, 40.30, 45.37, 49.73),
    "competitive": (25.63, 34.10, 40.30, 45.37, 49.73),
    "nash in spending": (17.05, 28.79, 36.20, 41.94, 46.74),
    "nash in quantities": (17.05, 26.87, 34.02, 39.79, 44.67),
    "monopsony": (17.05, 22.68, 26.80, 30.18, 33.08),
}


@pytest.mark.parametrize("case", TOTALS)
def test_total_capital_of_several_households(case):
    kind, kwargs, regime, _ = REGIMES[case]
    for n, total in enumerate(TOTALS[case], 1):
        assert round(n * steady_state(kind(n, **kwargs), regime).capital, 2) == total


def test_capital_at_the_papers_calibration():
    assert round(steady_state(Planner()).capital, 3) == 25.634


def test_by_default_households_take_prices_as_given():
    assert steady_state(Market(2)) == steady_state(Market(2), "competitive")


@every
def test_capital_stays_where_it_is_without_risk(economy):
    riskless, rest = without_risk(economy), steady_state(economy)
    state = riskless.reset((3,), torch.Generator(), torch.float64)
    stocks = {
        n: torch.full_like(state.capital, rest.capital) for n in riskless.fields.moved_by("choice")
    }
    state = state._replace(**stocks)
    if isinstance(economy, BrockMirman):
        action = rest.consumption
    elif getattr(economy, "action", "spending") == "quantity":
        action = rest.investment
    else:
        action = rest.saving_share / economy.n_goods
    policy = FixedAction(riskless, action)
    first = None
    for _ in range(50):
        shocks = riskless.draw((3,), torch.Generator(), torch.float64)
        step = riskless.step(state, policy(state), shocks)
        first = first or step.info
        state = step.state
    torch.testing.assert_close(
        state.capital, torch.full_like(state.capital, rest.capital), rtol=1e-12, atol=0
    )
    names = ["output", "consumption", "saving_share", "investment"]
    for name in [*names, "price"] if "price" in first else names:
        expected = torch.full_like(first[name], getattr(rest, name))
        torch.testing.assert_close(first[name], expected, rtol=1e-12, atol=0)
    regime = "competitive" if isinstance(economy, Market) else None
    assert euler_residuals(riskless, policy, state, regime).abs().max() < 1e-11


@pytest.mark.parametrize(
    "case", ["planner", "competitive", "nash in spending", "nash in quantities"]
)
def test_the_exact_rule_leads_there_from_afar(case, solved):
    kind, kwargs, regime, _ = REGIMES[case]
    economy = without_risk(kind(1 if kind is Planner else 2, **kwargs))
    rest = steady_state(economy, regime)
    state = economy.reset((1,), torch.Generator().manual_seed(0), torch.float64)
    start = torch.tensor([0.6, 1.4], dtype=torch.float64)[: economy.n_households]
    state = state._replace(capital=rest.capital * start[None, :, None])
    policy = solved(economy, regime).policy
    shocks = economy.draw((1,), torch.Generator(), torch.float64)
    for _ in range(500):
        state = economy.step(state, policy(state), shocks).state
    # Differences between households shrink by 2.8% a period, e^-14 in 500.
    expected = torch.full_like(state.capital, rest.capital)
    torch.testing.assert_close(state.capital, expected, rtol=2e-6, atol=0)


def test_without_risk_keeps_everything_but_the_risk():
    risky = Market(2, **OTHER, action="quantity", rebate_profits=True)
    riskless = without_risk(risky)
    assert riskless.aggregate.values == (pytest.approx(1.0),) and len(riskless.idiosyncratic) == 1
    assert (riskless.alpha, riskless.phi) == (risky.alpha, risky.phi)
    assert riskless.action == "quantity" and riskless.rebate_profits
    assert riskless.efficient_capital == pytest.approx(risky.efficient_capital, rel=1e-14)


def test_errors_name_what_is_known():
    with pytest.raises(ValueError, match=r"regime='market': Planner knows \('planner',\)"):
        steady_state(Planner(), regime="market")
    with pytest.raises(ValueError, match="method='guess': expected 'closed form' or"):
        steady_state(Planner(), method="guess")
    with pytest.raises(TypeError, match=r"steady_state is for a Planner or a .*got float"):
        steady_state(1.0)
