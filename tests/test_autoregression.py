"""Autoregressive productivity: moments that are known, and a chain's manners."""

import math

import numpy as np
import pytest
import torch

from lectures_lib.autoregression import (
    LARGEST,
    MOST_NODES,
    SMALLEST,
    AutoRegression,
    require_productivity,
)
from lectures_lib.economies import BrockMirman, Field
from lectures_lib.evaluation import impulse_response
from lectures_lib.markov import MarkovChain
from lectures_lib.solvers import solve, without_risk

PROCESS = AutoRegression(0.9, 0.04)


def uniform(n, seed=0):
    return torch.rand(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_draws_have_the_stationary_and_the_conditional_distribution():
    x = PROCESS.initial(uniform(200_000))
    assert x.mean().abs() < 4 * PROCESS.spread / 200_000**0.5
    assert x.std().item() == pytest.approx(0.04 / (1 - 0.81) ** 0.5, rel=0.01)
    later = PROCESS.next(x, uniform(200_000, 1))
    assert later.std().item() == pytest.approx(PROCESS.spread, rel=0.01)
    slope = (x * later).mean() / x.square().mean()
    assert slope.item() == pytest.approx(0.9, abs=0.005)


def test_outcomes_give_moments_of_the_innovation():
    x = torch.tensor([0.0, 0.3], dtype=torch.float64)
    draws, weight = PROCESS.outcomes(x, torch.float64)
    assert draws.shape == weight.shape == (len(PROCESS), 2)
    innovation = (PROCESS.next(x, draws) - 0.9 * x) / 0.04
    for power, moment in ((0, 1), (1, 0), (2, 1), (4, 3), (6, 15), (8, 105)):
        found = (weight * innovation**power).sum(0)
        torch.testing.assert_close(found, torch.full_like(found, moment), rtol=1e-9, atol=1e-9)
    # A lognormal's mean.
    level = (weight * PROCESS.level(PROCESS.next(x, draws), torch.float64)).sum(0)
    torch.testing.assert_close(level, (0.9 * x + 0.04**2 / 2).exp(), rtol=1e-12, atol=0)


def test_the_mean_level_is_that_of_draws():
    found = PROCESS.level(PROCESS.initial(uniform(200_000)), torch.float64).mean()
    assert found.item() == pytest.approx(PROCESS.mean, rel=1e-3)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_the_smallest_and_the_largest_draw_are_finite(kind):
    ends = torch.tensor([0.0, 1.0 - 2**-24, 1.0], dtype=kind)
    assert torch.isfinite(PROCESS.next(torch.zeros(3, dtype=kind), ends)).all()


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_no_node_is_cut_even_where_there_are_most(kind):
    process = AutoRegression(0.9, 0.04, MOST_NODES)
    draws, weight = process.outcomes(torch.zeros((), dtype=kind), kind)
    assert SMALLEST < draws.min() and draws.max() < LARGEST
    innovation = process.next(torch.zeros((), dtype=kind), draws) / 0.04
    known = torch.tensor(np.polynomial.hermite_e.hermegauss(MOST_NODES)[0], dtype=kind)
    # A float32 just below one is a coarse draw: six parts in a hundred million, of which the
    # outermost quantile makes one part in a hundred, where almost no weight is.
    near = {torch.float32: 2e-2, torch.float64: 1e-7}[kind]
    torch.testing.assert_close(innovation, known, rtol=near, atol=near)
    assert (weight * innovation.square()).sum().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"persistence": 1.0, "deviation": 0.1}, "persistence=1.0"),
        ({"persistence": 0.5, "deviation": 0.0}, "deviation=0.0"),
        ({"persistence": 0.5, "deviation": 0.1, "nodes": 1}, "nodes=1"),
        ({"persistence": 0.5, "deviation": 0.1, "nodes": MOST_NODES + 1}, "nodes=12"),
        ({"persistence": "much", "deviation": 0.1}, "persistence='much'"),
    ],
)
def test_a_bad_parameter_is_named(given, named):
    with pytest.raises(ValueError, match=named):
        AutoRegression(**given)


def test_a_field_holds_its_real_number_and_no_index():
    field = Field.of(PROCESS, (2,))
    assert (field.domain, field.moved_by, field.unit) == ("real", "chance", PROCESS.spread)
    with pytest.raises(ValueError, match="domain='index'"):
        Field((), "index", "chance", PROCESS)
    with pytest.raises(ValueError, match="chain="):
        Field((), "real", "choice", PROCESS)


def test_an_economy_takes_it_or_a_positive_chain():
    require_productivity("aggregate", PROCESS)
    with pytest.raises(ValueError, match="aggregate="):
        require_productivity("aggregate", MarkovChain((-1.0, 1.0), ((0.5, 0.5), (0.5, 0.5))))


@pytest.mark.parametrize("action", ["consumption", "share"])
def test_brock_and_mirmans_rule_holds_whatever_moves_productivity(action):
    economy = BrockMirman(aggregate=PROCESS, action=action)
    solution = solve(economy)
    state = economy.reset((50,), torch.Generator().manual_seed(0), torch.float64)
    assert solution.euler_residuals(state).abs().max() < 1e-12
    step = economy.step(state, solution.policy(state), economy.no_luck(state))
    saved = step.state.capital / step.info["output"]
    torch.testing.assert_close(saved, torch.full_like(saved, 0.36 * 0.96), rtol=1e-12, atol=0)


def test_risk_can_be_taken_out_and_shocked():
    economy = BrockMirman(aggregate=PROCESS)
    assert without_risk(economy).aggregate.values == (PROCESS.mean,)
    response = impulse_response(solve(economy).policy, economy, "aggregate", periods=3, paths=64)
    # Log output rises by the log of productivity, two standard deviations less where it was.
    assert 0 < response["output"][0] < math.exp(3 * PROCESS.spread)
