"""Ways to make actions feasible; test_contract.py holds what all economies keep."""

import numpy as np
import pytest
import torch
from registry import situation
from scipy.optimize import minimize

from lectures_lib.economies import Constrained, Market, Planner, TradingPost
from lectures_lib.economies.constrained import nearest_shares

RAW = torch.linspace(-40, 40, 801, dtype=torch.float64)[:, None]


@pytest.mark.parametrize("how", ["squash", "stretch", "clip"])
def test_ways_between_bounds_start_in_the_middle_and_rise_to_the_ends(how):
    done = Constrained(Planner(), how).roles["planner"].to_physical(RAW).squeeze(-1)
    assert abs(done[400] - 0.5) < 1e-12
    assert (done.diff() >= 0).all() and done.min() > 0 and done.max() < 1
    assert done[0] < 2e-5 and done[-1] > 1 - 2e-5
    slope = (done[401] - done[399]) / (RAW[401] - RAW[399])
    assert abs(slope - {"squash": 0.25, "stretch": 0.3, "clip": 0.25}[how]) < 1e-3


@pytest.mark.parametrize("how", ["softmax", "rescale", "project"])
@pytest.mark.parametrize("goods", [2, 3])
def test_ways_for_shares_start_at_equal_ones_and_leave_something(how, goods):
    generator = torch.Generator().manual_seed(0)
    raw = 10 * torch.randn(500, 1, goods, generator=generator, dtype=torch.float64)
    raw[0] = 0
    done = Constrained(Planner(1, goods), how).roles["planner"].to_physical(raw)
    assert torch.allclose(done[0], torch.full_like(done[0], 1 / (goods + 1)), atol=1e-4)
    assert (done > 0).all() and (done.sum(-1) < 1).all()


def test_projection_is_the_nearest_point():
    points = 1.5 * torch.randn(20, 3, generator=torch.Generator().manual_seed(0)).double()
    for x, found in zip(points.numpy(), nearest_shares(points).numpy(), strict=True):
        best = minimize(
            lambda y, x=x: ((y - x) ** 2).sum(),
            np.full(3, 0.2),
            jac=lambda y, x=x: 2 * (y - x),
            bounds=[(0, 1)] * 3,
            constraints={"type": "ineq", "fun": lambda y: 1 - y.sum()},
            options={"ftol": 1e-14},
        )
        assert np.abs(found - best.x).max() < 1e-6


def test_projection_of_large_numbers_leaves_something():
    huge = torch.tensor([[1e4, 1e4 - 1, 0.0], [1e7, -1e7, 1e7]])
    assert (nearest_shares(huge).sum(-1) <= 1 + 1e-6).all()


@pytest.mark.parametrize("economy, how", [(Planner(2), "clip"), (Planner(2, 2), "project")])
def test_a_penalty_is_for_what_is_cut_and_nothing_else_changes(economy, how):
    wishing = Constrained(economy, how, 3.0)
    state, _, shocks = situation(economy)
    raw = 4 * torch.randn(
        50, 2, economy.n_goods, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    wish = {"planner": wishing.roles["planner"].to_physical(raw)}
    done = {"planner": wishing.obeyed.roles["planner"].to_physical(raw)}
    one, other = wishing.step(state, wish, shocks), economy.step(state, done, shocks)
    assert torch.equal(one.state.capital, other.state.capital)
    off = (wish["planner"] - done["planner"]).abs().sum(-1)
    assert (off > 0.1).any() and (off < 1e-4).any()
    assert torch.allclose(one.rewards["planner"], other.rewards["planner"] - 3 * off)


def test_the_start_moves_the_neutral_action():
    moved, plain = (
        Constrained(Market(2), "squash", start=x).roles["household"] for x in (2.0, 0.0)
    )
    assert torch.equal(moved.to_physical(RAW), plain.to_physical(RAW + 2))


@pytest.mark.parametrize(
    "economy, how, penalty, said",
    [
        (Planner(), "softmax", 0.0, r"how='softmax': expected one of \('squash', 'stretch', 'clip"),
        (Planner(1, 2), "clip", 0.0, "how='clip': expected one of .*'project.* role 'planner'"),
        (
            Planner(),
            "squash",
            1.0,
            r"penalty=1.0: expected zero, or one of the ways \('clip', 'pro",
        ),
        (Planner(), "clip", -1.0, "penalty=-1.0: expected a finite number that is not negative"),
        (TradingPost(), "clip", 0.0, "economy=.*expected an economy whose actions have bounds; th"),
    ],
)
def test_what_is_no_way_is_refused(economy, how, penalty, said):
    with pytest.raises(ValueError, match=said):
        Constrained(economy, how, penalty)
