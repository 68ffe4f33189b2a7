"""Euler residuals from automatic differentiation against formulas written by hand."""

import pytest
import torch

from lectures_lib.economies import BrockMirman, FixedAction, Planner, map_state
from lectures_lib.solvers import euler_residuals, marginal_values, solve
from lectures_lib.solvers.steady_state import without_risk


def states(economy, n=40, seed=0):
    return economy.reset((n,), torch.Generator().manual_seed(seed), torch.float64)


def saves_more_when_rich(state, moved=None):
    """A rule that depends on everything in the state and solves nothing."""
    z = 0.02 * state.idiosyncratic.unsqueeze(-1) + 0.03 * state.aggregate[..., None, None]
    return {"planner": 0.05 + 0.002 * state.capital + z}


def residuals_by_hand(economy, policy, state):
    """phi I U'(C) = beta E[U'(C') (alpha Y'/K' + (1 - delta) phi I')], one household and good."""
    a, b, d, phi, sigma = (
        getattr(economy, n) for n in ("alpha", "beta", "delta", "phi", "risk_aversion")
    )
    own, common = economy.idiosyncratic, economy.aggregate

    def quantities(k, z, big_z):
        index = [torch.full(k.shape, z), torch.full(k.shape, big_z)]
        at = economy.State(k.reshape(-1, 1, 1), index[0].reshape(-1, 1), index[1])
        y = own.values[z] * common.values[big_z] * k**a
        spending = policy(at)["planner"].flatten() * y
        return y, y - spending, torch.sqrt(2 * spending / phi)

    residuals = []
    for i in range(state.capital.shape[0]):
        k = state.capital[i].flatten()
        z, big_z = state.idiosyncratic[i].item(), state.aggregate[i].item()
        _, c, invest = quantities(k, z, big_z)
        following, expected = (1 - d) * k + invest, 0.0
        for z1, p in enumerate(own.transition[z]):
            for big_z1, q in enumerate(common.transition[big_z]):
                y1, c1, invest1 = quantities(following, z1, big_z1)
                worth = a * y1 / following + (1 - d) * phi * invest1
                expected = expected + p * q * c1**-sigma * worth
        residuals.append(1 - (b * expected / (phi * invest * c**-sigma)) ** (-1 / sigma))
    return torch.stack(residuals)


@pytest.mark.parametrize("sigma", [1.0, 2.5])
def test_residuals_are_those_of_the_hand_written_euler_equation(sigma):
    economy = Planner(risk_aversion=sigma)
    state = states(economy)
    by_code = euler_residuals(economy, saves_more_when_rich, state)
    by_hand = residuals_by_hand(economy, saves_more_when_rich, state)
    assert by_hand.abs().max() > 0.02
    torch.testing.assert_close(by_code, by_hand, rtol=1e-10, atol=1e-12)


def test_the_costate_solves_first_order_conditions_with_all_cross_household_terms():
    economy = Planner(2)
    n, phi = 2, economy.phi
    state = states(economy)
    costate, _ = marginal_values(economy, saves_more_when_rich, state)
    output = economy.output(state)
    x = saves_more_when_rich(state)["planner"].squeeze(-1) * output
    total = x.sum(-1, keepdim=True)
    unit = torch.sqrt(phi / 2 * total)
    own = (1 - x / (2 * total)) / unit  # dI_i / dx_i
    other = -x.flip(-1) / (2 * total) / unit  # dI_k / dx_i
    assert (other < -0.01).all()
    gain = costate * own + costate.flip(-1) * other
    torch.testing.assert_close(gain, 1 / (n * (output - x)), rtol=1e-11, atol=0)


def test_the_value_of_capital_is_its_product_and_what_is_left_of_it():
    # Envelope theorem with spending shares fixed, dx = s dY: written for two goods, one household.
    economy = Planner(1, 2)
    state = states(economy)
    share = 0.1
    policy = FixedAction(economy, share)
    costate, value = marginal_values(economy, policy, state)
    k, y = state.capital.squeeze(-2), economy.output(state)
    x = share * y
    slope = 1 / torch.sqrt(economy.phi / 2 * x) / 2  # dI_j / dx_j when one household buys
    product = economy.alpha / 2 * y / k  # dY / dK_j
    c = y * (1 - 2 * share)
    torch.testing.assert_close(costate, (1 / (c * slope)).expand(-1, 2), rtol=1e-12, atol=0)
    direct = (1 - 2 * share) * product / c
    through = product * share * (slope * costate).sum(-1, keepdim=True)
    kept = (1 - economy.delta) * costate
    torch.testing.assert_close(value, direct + through + kept, rtol=1e-12, atol=0)


def test_the_closed_form_of_brock_and_mirman_has_no_residual():
    economy = BrockMirman()
    solution = solve(economy)
    assert solution.euler_residuals(states(economy, 200)).abs().max() < 1e-14


def test_a_share_that_is_not_the_closed_form_has_the_residual_of_its_formula():
    # With C = kappa Y and full depreciation, 1 = beta E[C/C' alpha Y'/K'] fails by the factor
    # alpha beta / (1 - kappa), whatever the state.
    economy = BrockMirman()
    kappa = 0.7

    def policy(state, moved=None):
        return {"planner": (kappa * economy.output(state)).unsqueeze(-1)}

    expected = 1 - (1 - kappa) / (economy.alpha * economy.beta)
    residual = euler_residuals(economy, policy, states(economy))
    torch.testing.assert_close(residual, torch.full_like(residual, expected), rtol=1e-12, atol=0)


def test_residuals_are_computed_in_double_precision_from_single_precision_states():
    economy = Planner()
    single = economy.reset((8,), torch.Generator().manual_seed(0))
    double = map_state(lambda x: x.double() if x.is_floating_point() else x, single)
    solution = solve(economy)
    assert torch.equal(solution.euler_residuals(single), solution.euler_residuals(double))


def test_residuals_have_one_entry_for_each_stock_and_free_leading_dimensions():
    economy = without_risk(Planner(2, 2))
    state = economy.reset((2, 3), torch.Generator(), torch.float64)
    residual = euler_residuals(economy, FixedAction(economy, 0.1), state)
    assert residual.shape == (2, 3, 4) and residual.dtype == torch.float64
    alone = euler_residuals(economy, FixedAction(economy, 0.1), map_state(lambda x: x[1, 2], state))
    torch.testing.assert_close(residual[1, 2], alone)
