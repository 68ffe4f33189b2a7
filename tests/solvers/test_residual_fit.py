"""Rules fitted to Euler residuals, against finite differences and closed forms."""

import math
import pickle
from dataclasses import replace

import pytest
import torch

from lectures_lib.economies import (
    AutoRegression,
    BrockMirman,
    InternationalCycle,
    Market,
    map_state,
)
from lectures_lib.solvers import (
    ImpreciseSolution,
    euler_residuals,
    fit_residuals,
    residual_fit,
    solve,
    without_risk,
)
from lectures_lib.solvers.euler import NoEulerEquation
from lectures_lib.solvers.residual_fit import PolynomialMap, ResidualPolicy

GROWTH = BrockMirman(aggregate=AutoRegression(0.9, 0.04))
SHARE = replace(GROWTH, action="share")
CASES = [(GROWTH, None), (GROWTH, 3), (BrockMirman(), 2), (InternationalCycle(), 2)]


def roughened(economy, degree):
    policy = ResidualPolicy(economy, degree, width=4, seed=1)
    noise = torch.randn(policy.weights.shape, generator=torch.Generator().manual_seed(2))
    policy.weights = policy.weights + 0.02 * noise
    return policy


def states(economy, n=5):
    return economy.reset((n,), torch.Generator().manual_seed(0), torch.float64)


@pytest.mark.parametrize(("economy", "degree"), CASES)
def test_derivatives_in_the_weights_are_those_of_finite_differences(economy, degree):
    policy, state = roughened(economy, degree), states(economy)
    _, jacobian = policy.jacobian(state)
    g = torch.Generator().manual_seed(3)
    towards = torch.randn(policy.weights.shape, generator=g, dtype=torch.float64)
    before, ends = policy.weights, []
    for step in (1e-5, -1e-5):
        policy.weights = before + step * towards
        ends.append(policy.residuals(state)[0].detach().flatten())
    torch.testing.assert_close((ends[0] - ends[1]) / 2e-5, jacobian @ towards, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("economy", "degree"), CASES)
def test_residuals_are_those_of_any_policy(economy, degree):
    policy, state = roughened(economy, degree), states(economy)
    with torch.no_grad():
        known = euler_residuals(economy, policy, state)
    worth = -economy.risk_aversion * (1 - known).log()
    torch.testing.assert_close(policy.residuals(state)[0].detach(), worth, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(("economy", "degree"), [(GROWTH, None), (SHARE, None), (SHARE, 3)])
def test_it_finds_brock_and_mirmans_rule(economy, degree):
    policy, _ = fit_residuals(economy, degree=degree, tolerance=1e-4, show_progress=False)
    state = states(economy, 200)
    exact = solve(economy).policy(state)["planner"]
    assert (policy(state)["planner"] / exact - 1).abs().mean() < 2e-4


def test_a_rule_that_is_none_is_said_to_be_none():
    with pytest.warns(ImpreciseSolution, match="BrockMirman are .* on average"):
        fit_residuals(GROWTH, degree=5, rounds=2, show_progress=False)


def test_two_countries_agree_with_a_published_sparse_grid():
    from lectures_book.published import SPARSE_GRID_RULE
    from lectures_book.published_errors import chosen, sparse_grid_states

    economy = InternationalCycle()
    policy, _ = fit_residuals(
        economy, degree=3, spread=0.1, stretch=1.7, rounds=3, show_progress=False
    )
    state = sparse_grid_states(economy)
    with torch.no_grad():
        growth, _, marginal = chosen(economy, policy, state)
    rule = torch.tensor(SPARSE_GRID_RULE, dtype=torch.float64)
    # Theirs has Euler errors of up to 1e-4, ours of this degree some more.
    assert (state.capital * (1 + growth) / rule[:, :2] - 1).abs().max() < 4e-3
    assert (marginal / rule[:, 2] - 1).abs().max() < 1e-2


def test_polynomials_are_complete():
    one = PolynomialMap(3, 2)
    assert len(one.weights) == 10 and repr(one) == "polynomials of degree 2"
    x = torch.tensor([2.5, 0.0, -2.5], dtype=torch.float64)  # one, zero, minus one
    products = dict(zip(map(tuple, one.powers.tolist()), one.slopes(x).tolist(), strict=True))
    assert products[1, 0, 1] == -1 and products[0, 2, 0] == -1 and products[2, 0, 0] == 1


def test_it_stops_at_the_tolerance_and_keeps_what_it_has_seen_to_be_best():
    with pytest.warns(ImpreciseSolution):
        _, rounds = fit_residuals(GROWTH, tolerance=1.0, show_progress=False)
    assert rounds == 0
    _, rounds = fit_residuals(SHARE, rounds=2, tolerance=0.0, show_progress=False)
    assert rounds == 2


def test_what_never_varies_is_an_input_like_others():
    certain = without_risk(InternationalCycle())
    policy = ResidualPolicy(certain, degree=2)
    state = states(certain)
    assert torch.isfinite(policy.inputs(state)).all()
    assert torch.isfinite(policy.residuals(state)[0]).all()
    growth, _ = fit_residuals(without_risk(SHARE), tolerance=1e-6, show_progress=False)
    saved = growth(states(without_risk(SHARE)))["planner"]
    torch.testing.assert_close(saved, torch.full_like(saved, 0.36 * 0.96), rtol=1e-4, atol=0)


def test_many_inputs_do_not_take_long_to_be_listed():
    # Of 7 ** 16 tuples of degrees, C(22, 6) sum to six or less.
    assert PolynomialMap(16, 6).powers.shape == (math.comb(22, 6), 16)


def test_no_jacobian_is_computed_twice(monkeypatch):
    policy, state = roughened(GROWTH, None), states(GROWTH)
    kept, count, first = policy.weights, [], policy.jacobian
    monkeypatch.setattr(policy, "jacobian", lambda state: count.append(1) or first(state))
    # No step is one forward, so that weights, and with them the Jacobian, stay.
    nowhere = policy.residuals(state)[0].detach() * math.nan
    found = policy.residuals
    monkeypatch.setattr(
        policy, "residuals", lambda s, *plan: found(s, *plan) if plan else (nowhere, None)
    )
    damping = residual_fit._fit(policy, state, 1e-5)
    assert len(count) == 1 and damping > 1 and torch.equal(policy.weights, kept)


def test_a_game_and_a_bad_number_are_refused():
    with pytest.raises(NoEulerEquation, match="one role that decides for everybody"):
        fit_residuals(Market(2))
    for given in ({"degree": 0}, {"spread": -1.0}, {"stretch": 0.5}, {"rounds": 0}, {"width": 0}):
        (name,) = given
        with pytest.raises(ValueError, match=name):
            fit_residuals(GROWTH, **given)


def test_a_fitted_rule_is_pickled_and_keeps_the_states_type():
    policy, state = roughened(InternationalCycle(), 2), states(InternationalCycle())
    again = pickle.loads(pickle.dumps(policy))
    assert torch.equal(again(state)["planner"], policy(state)["planner"])
    single = map_state(torch.Tensor.float, state)
    assert policy(single)["planner"].dtype == torch.float32


def test_too_many_countries_have_a_way_out():
    with pytest.raises(ValueError, match="fit_residuals takes networks"):
        solve(InternationalCycle((0.5,) * 4))
