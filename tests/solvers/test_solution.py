"""The exact solution: accurate, and not to be improved upon."""

import numpy as np
import pytest
import quantecon
import torch
from scipy import sparse

from lectures_lib.economies import BrockMirman, Planner, map_state
from lectures_lib.evaluation import initial_states, simulate
from lectures_lib.solvers import solve, steady_state, time_iteration

OTHER = Planner(alpha=0.36, beta=0.95, delta=0.08, phi=0.8)
CALIBRATIONS = {
    "paper": Planner(),
    "other": OTHER,
    "risk aversion 2": Planner(risk_aversion=2.0),
    "risk aversion 1/2": Planner(risk_aversion=0.5),
}


def ergodic_states(economy, policy, paths=64):
    start = initial_states(policy, economy, paths, seed=0)
    kept = simulate(policy, economy, start, 600, seed=1, first=200, every=20).states
    return map_state(lambda *x: torch.cat(x), *kept)


@pytest.mark.parametrize("economy", list(CALIBRATIONS.values()), ids=list(CALIBRATIONS))
def test_residuals_on_the_ergodic_set_are_below_one_part_in_a_hundred_million(economy):
    solution = solve(economy)
    residual = solution.euler_residuals(ergodic_states(economy, solution.policy)).abs().max()
    print(f"largest residual {residual:.1e} after {solution.iterations} iterations")
    assert residual < 1e-8
    assert solution.steady_state == steady_state(economy) and solution.economy is economy


def test_the_initial_distribution_of_capital_is_solved_as_well():
    solution = solve(Planner())
    state = Planner().reset((500,), torch.Generator().manual_seed(0), torch.float64)
    assert solution.euler_residuals(state).abs().max() < 1e-8


class Changed:
    """The exact share times a factor, one table of factors (own, aggregate) for each run."""

    def __init__(self, policy, factors):
        self.policy, self.factors, self.runs = policy, factors, len(factors)

    def __call__(self, state, moved=None):
        run = torch.arange(self.runs)[:, None, None]
        factor = self.factors[run, state.idiosyncratic, state.aggregate.unsqueeze(-1)]
        return {"planner": factor.unsqueeze(-1) * self.policy(state)["planner"]}


def test_saving_one_per_cent_more_or_less_in_any_productivity_state_lowers_welfare():
    economy, paths = Planner(), 64
    factors = torch.ones(9, 2, 2, dtype=torch.float64)
    for state in range(4):
        factors[1 + 2 * state, state // 2, state % 2] = 0.99
        factors[2 + 2 * state, state // 2, state % 2] = 1.01
    policy = Changed(solve(economy).policy, factors)
    start = initial_states(policy, economy, paths, seed=0)
    value = simulate(policy, economy, start, 700, seed=1, first=700).value["planner"].squeeze(-1)
    change = value[1:] - value[0]  # common shocks make this sharp
    less, more = change.reshape(4, 2, paths).unbind(1)
    # To first order nothing is gained either way, to second order both ways lose.
    slope, curvature = (more - less) / 2, (more + less) / 2
    assert (slope.mean(-1).abs() < 4 * slope.std(-1) / paths**0.5).all()
    assert (curvature.mean(-1) < -4 * curvature.std(-1) / paths**0.5).all()


def discrete_programme(economy, points=600):
    """Next capital on a grid by quantecon's policy iteration, which shares no code with ours."""
    a, d, phi = economy.alpha, economy.delta, economy.phi
    z = np.kron(economy.aggregate.values, economy.idiosyncratic.values)
    p = np.kron(economy.aggregate.transition, economy.idiosyncratic.transition)
    grid = np.linspace(0.55, 1.5, points) * steady_state(economy).capital
    k, k1 = grid[:, None, None], grid[None, None, :]
    invest = k1 - (1 - d) * k
    output = z[None, :, None] * k**a
    consumption = output - phi / 2 * invest**2
    feasible = (invest >= 0) & (consumption > 0.5 * output)
    i, s, j = feasible.nonzero()
    reward = np.log(consumption[feasible])
    columns = (j[:, None] * len(z) + np.arange(len(z))).ravel()
    rows = np.repeat(np.arange(len(i)), len(z))
    q = sparse.csr_matrix((p[s].ravel(), (rows, columns)), shape=(len(i), points * len(z)))
    ddp = quantecon.markov.DiscreteDP(reward, q, economy.beta, i * len(z) + s, j)
    result = ddp.solve(method="policy_iteration")
    return grid, grid[result.sigma].reshape(points, len(z))


def test_brute_force_on_a_grid_finds_the_same_rule():
    economy = Planner()
    grid, next_capital = discrete_programme(economy)
    step = grid[1] - grid[0]
    policy = solve(economy).policy
    inside = slice(60, -60)
    for joint in range(4):
        k = torch.tensor(grid).reshape(-1, 1, 1)
        index = torch.full((len(grid),), joint)
        state = economy.State(k, (index % 2).unsqueeze(-1), index // 2)
        shocks = economy.draw((len(grid),), torch.Generator(), torch.float64)
        exact = economy.step(state, policy(state), shocks)
        gap = next_capital[inside, joint] - exact.state.capital.flatten().numpy()[inside]
        assert np.abs(gap).max() < step, "next capital is the exact one to the grid's accuracy"
        invest = exact.info["investment"].flatten().numpy()[inside]
        # Rounding to the grid averages out, so that the mean is far sharper than a step.
        assert abs(gap.mean()) < 0.1 * step and step < 0.1 * invest.mean()


def test_brock_and_mirman_consume_a_fixed_share():
    economy = BrockMirman(alpha=0.4, beta=0.9)
    state = economy.reset((20,), torch.Generator().manual_seed(0), torch.float64)
    solution = solve(economy)
    consumption = solution.policy(state)["planner"].squeeze(-1)
    torch.testing.assert_close(consumption, 0.64 * economy.output(state), rtol=1e-14, atol=0)
    assert solution.iterations == 0


def test_policies_keep_shapes_and_types():
    policy = solve(Planner()).policy
    for dtype in (torch.float32, torch.float64):
        share = policy(Planner().reset((2, 3), torch.Generator(), dtype))["planner"]
        assert share.shape == (2, 3, 1, 1) and share.dtype == dtype


def test_what_cannot_be_solved_is_refused():
    with pytest.raises(ValueError, match=r"n_households=2, n_goods=1.*one household and one good"):
        solve(Planner(2))
    with pytest.raises(TypeError, match="no solver for dict"):
        solve({})


def test_iteration_that_has_not_converged_says_so():
    with pytest.raises(RuntimeError, match=r"still changes by .* after 3 iterations"):
        time_iteration(Planner(), max_iterations=3)
