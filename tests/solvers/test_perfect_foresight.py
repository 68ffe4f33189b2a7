"""Rest points and perfect-foresight paths of the economy with an externality."""

import numpy as np
import pytest
import torch

from lectures_lib.economies import Externality, Market
from lectures_lib.solvers import (
    perfect_foresight,
    rest_points,
    solve,
    steady_state,
    without_risk,
)

WAITING = Externality(endowment=20.0)


def test_there_are_three_rest_points_and_the_endowment_moves_none_of_them():
    plain, waiting = (rest_points(e) for e in (Externality(), WAITING))
    assert [round(x.capital, 1) for x in plain] == [25.9, 34.5, 43.8]
    assert [x.kind for x in plain] == ["saddle", "source", "saddle"]
    for one, other in zip(plain, waiting, strict=True):
        assert one.capital == pytest.approx(other.capital, rel=1e-12)
        assert one.kind == other.kind


def test_who_can_wait_circles_the_unstable_point():
    for economy, circles in ((Externality(), False), (WAITING, True)):
        middle = rest_points(economy)[1]
        assert (abs(middle.eigenvalues[0].imag) > 0) == circles


def test_without_spillovers_the_rest_point_is_that_of_a_market():
    economy = Externality(2, gain=0.0)
    (point,) = rest_points(economy)
    market = steady_state(Market(2), "competitive")
    assert point.capital == pytest.approx(market.capital, rel=1e-10)
    assert point.price == pytest.approx(market.price, rel=1e-10)


@pytest.mark.parametrize("capital", [26.0, 33.0, 34.0, 36.0, 50.0])
@pytest.mark.parametrize("changes", [{}, {"n_households": 2, "risk_aversion": 2.0}], ids=str)
def test_paths_keep_the_economys_own_law_of_motion_and_euler_equation(capital, changes):
    # Two households make the price of two, so that thresholds move with their steady state.
    scale = Externality(**changes).efficient_capital / Externality().efficient_capital
    economy = Externality(
        endowment=20.0 if not changes else 0.0,
        threshold=35.0 * scale,
        width=2.0 * scale,
        **changes,
    )
    riskless = without_risk(economy)
    for path in perfect_foresight(economy, capital * scale):
        k = torch.tensor(path.capital).reshape(-1, 1, 1).repeat(1, economy.n_households, 1)
        state = riskless.reset((len(k),), torch.Generator().manual_seed(0), torch.float64)
        state = state._replace(capital=k.requires_grad_(True), crowd=k.detach())
        bought = torch.tensor(path.investment).reshape(-1, 1, 1).expand(k.shape)
        actions = riskless.actions_for(state, bought)
        actions = {name: x.detach() for name, x in actions.items()}
        share = actions["household"].requires_grad_(True)
        luck = riskless.draw((len(k),), torch.Generator().manual_seed(0), torch.float64)
        step = riskless.step(state, actions | {"household": share}, luck)
        utility = step.rewards["household"].sum()
        following = step.state.capital.detach()
        assert torch.allclose(following[:-1], k[1:], rtol=1e-7)
        # Spending buys capital: its worth tomorrow is what it costs today.
        by_share, by_capital = torch.autograd.grad(utility, (share, k), retain_graph=True)
        bought_by = torch.autograd.grad(step.state.capital.sum(), (share, k))
        worth = -by_share / bought_by[0]
        today = by_capital + bought_by[1] * worth
        ratio = (economy.beta * today[1:] / worth[:-1]).squeeze(-1)
        assert (ratio - 1).abs().max() < 1e-6
        assert path.capital[0] == pytest.approx(capital * scale, rel=1e-9)
        assert path.capital[-1] == pytest.approx(path.end.capital, rel=2e-6)


def ends(economy, capital):
    return {
        path.end.kind + f"{path.end.capital:.0f}" for path in perfect_foresight(economy, capital)
    }


def test_history_alone_decides_without_an_endowment():
    middle = rest_points(Externality())[1].capital
    for capital in np.linspace(20, 50, 31):
        expected = "saddle26" if capital < middle else "saddle44"
        assert ends(Externality(), capital) == {expected}


def test_expectations_decide_where_waiting_is_cheap():
    both = [k for k in np.linspace(30, 40, 201) if len(ends(WAITING, k)) == 2]
    assert min(both) == pytest.approx(32.9, abs=0.1) and max(both) == pytest.approx(36.25, abs=0.1)


def test_only_an_externality_without_risk_is_followed():
    with pytest.raises(TypeError, match=r"expected an Externality"):
        rest_points(Market(atomistic=True))
    with pytest.raises(ValueError, match=r"capital=-1"):
        perfect_foresight(WAITING, -1)
    with pytest.raises(TypeError):
        solve(Externality())
