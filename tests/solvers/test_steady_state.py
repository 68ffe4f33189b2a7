"""Deterministic steady states: formula, root finder and simulation agree."""

import pytest
import torch

from lectures_lib.economies import BrockMirman, FixedAction, MarkovChain, Planner
from lectures_lib.solvers import euler_residuals, steady_state
from lectures_lib.solvers.steady_state import without_risk

OTHER = Planner(alpha=0.36, beta=0.95, delta=0.08, phi=0.8)
CALIBRATIONS = {
    "paper": Planner(),
    "other": OTHER,
    "three households, two goods": Planner(3, 2),
    "five households": Planner(5),
    "full depreciation": Planner(delta=1.0),
    "risk averse": Planner(2, risk_aversion=3.0),
    "productive": Planner(aggregate=MarkovChain.symmetric((1.0, 2.0), stay=0.5)),
    "growth": BrockMirman(),
    "growth, other": BrockMirman(alpha=0.5, beta=0.9),
}
every = pytest.mark.parametrize("economy", list(CALIBRATIONS.values()), ids=list(CALIBRATIONS))


@every
def test_the_formula_is_the_root_of_the_codes_own_euler_equation(economy):
    formula = steady_state(economy)
    root = steady_state(economy, method="root finder")
    # brentq's tolerance on capital, widened by what residuals of rounding size move the root.
    assert root.capital == pytest.approx(formula.capital, rel=1e-10)


def test_capital_at_the_papers_calibration():
    assert round(steady_state(Planner()).capital, 3) == 25.634


@pytest.mark.parametrize(("n", "total"), [(2, 34.10), (3, 40.30), (4, 45.37), (5, 49.73)])
def test_total_capital_of_several_households(n, total):
    assert round(n * steady_state(Planner(n)).capital, 2) == total


@every
def test_capital_stays_where_it_is_without_risk(economy):
    riskless, rest = without_risk(economy), steady_state(economy)
    state = riskless.reset((3,), torch.Generator(), torch.float64)
    state = state._replace(capital=torch.full_like(state.capital, rest.capital))
    if isinstance(economy, BrockMirman):
        action = rest.consumption
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
    for name in ("output", "consumption", "saving_share", "investment"):
        expected = torch.full_like(first[name], getattr(rest, name))
        torch.testing.assert_close(first[name], expected, rtol=1e-12, atol=0)
    assert euler_residuals(riskless, policy, state).abs().max() < 1e-11


def test_without_risk_keeps_everything_but_the_risk():
    riskless = without_risk(OTHER)
    assert riskless.aggregate.values == (pytest.approx(1.0),) and len(riskless.idiosyncratic) == 1
    assert (riskless.alpha, riskless.phi) == (OTHER.alpha, OTHER.phi)
    assert riskless.efficient_capital == pytest.approx(OTHER.efficient_capital, rel=1e-14)


def test_errors_name_what_is_known():
    with pytest.raises(ValueError, match="regime='market': Planner knows 'planner' only"):
        steady_state(Planner(), regime="market")
    with pytest.raises(ValueError, match="method='guess': expected 'closed form' or"):
        steady_state(Planner(), method="guess")
    with pytest.raises(TypeError, match="no steady state is known for float"):
        steady_state(1.0)
