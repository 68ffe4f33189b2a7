"""Time iteration: as precise as the chapter says, by conditions that it has not seen."""

import importlib
from dataclasses import replace

import numpy as np
import pytest
import quantecon
import torch
from scipy import sparse

from lectures_lib.economies import Market, Planner, map_state
from lectures_lib.solvers import (
    ConvergenceError,
    OutsideDomain,
    euler_residuals,
    steady_state,
    time_iteration,
)
from lectures_lib.solvers.euler import in_state
from lectures_lib.solvers.visited import visited_states

piece = importlib.import_module("lectures_lib.solvers.piece")
module = importlib.import_module("lectures_lib.solvers.time_iteration")
OTHER = {"alpha": 0.36, "beta": 0.95, "delta": 0.08, "phi": 0.8}
# Economy, regime and the largest residual on the ergodic set.
CASES = {
    "planner": (Planner(), "planner", 1e-8),
    "planner, other calibration": (Planner(**OTHER), "planner", 1e-8),
    "planner, risk aversion 2": (Planner(risk_aversion=2.0), "planner", 1e-8),
    "planner, risk aversion 1/2": (Planner(risk_aversion=0.5), "planner", 1e-8),
    "planner, two goods": (Planner(1, 2), "planner", 1e-7),
    "1 household": (Market(1), "competitive", 1e-8),
    "1, nash": (Market(1), "nash", 1e-8),
    "1, quantities": (Market(1, action="quantity"), "nash", 1e-8),
    "2 households": (Market(2), "competitive", 1e-6),
    "2, nash": (Market(2), "nash", 1e-6),
    "2, quantities": (Market(2, action="quantity"), "nash", 1e-6),
    "2, rebate": (Market(2, rebate_profits=True), "nash", 1e-6),
    "2, other calibration": (Market(2, **OTHER), "competitive", 1e-6),
    "2, risk aversion 2": (Market(2, risk_aversion=2.0), "nash", 1e-6),
    "2, atomistic": (Market(2, atomistic=True), "competitive", 1e-6),
    "2, half informed": (Market(2, n_uninformed=1), "nash", 1e-6),
    "3 households": (Market(3), "competitive", 1e-6),
    "1 household, two goods": (Market(1, 2), "competitive", 1e-7),
    "2 households, two goods": (Market(2, 2), "competitive", 1e-5),
}


# With two goods there are initial states that are imprecise or outside, and not judged here.
@pytest.mark.filterwarnings("ignore::lectures_lib.solvers.ImpreciseSolution")
@pytest.mark.filterwarnings("ignore::lectures_lib.solvers.OutsideDomain")
@pytest.mark.parametrize(("economy", "regime", "largest"), list(CASES.values()), ids=list(CASES))
def test_residuals_on_the_ergodic_set(economy, regime, largest, solved, ergodic_states):
    policy = solved(economy, regime).policy
    residual = euler_residuals(economy, policy, ergodic_states(economy, policy), regime)
    print(f"largest residual {residual.abs().max():.1e}")
    assert residual.abs().max() < largest


@pytest.mark.parametrize(
    ("economy", "regime"),
    [(Planner(2), "planner"), (Planner(2, **OTHER), "planner"), (Market(2), "monopsony")],
    ids=["planner", "planner, other calibration", "monopsony"],
)
def test_residuals_of_two_who_decide_together(economy, regime, solved, ergodic_states):
    policy = solved(economy, regime).policy
    state = ergodic_states(economy, policy)
    residual = euler_residuals(economy, policy, state, regime).abs()
    free = policy.investment(state).flatten(-2) > 1e-6
    print(f"largest {residual[free].max():.1e}, mean {residual.mean():.1e}")
    assert free.double().mean() > 0.97
    assert residual[free].max() < 1e-3 and residual.mean() < 3e-5


def test_where_a_household_would_like_to_sell_it_buys_nothing(solved):
    # A poor and lucky household beside a rich and unlucky one, for whom the planner would like to
    # take capital apart.
    economy = Planner(2)
    policy = solved(economy, "planner").policy
    k = economy.efficient_capital * torch.tensor([[0.55, 1.6]], dtype=torch.float64).unsqueeze(-1)
    state = economy.State(k, torch.tensor([[1, 0]]), torch.tensor([0]))
    investment = policy.investment(state).flatten()
    assert investment[0] > 0.3 and investment[1] == 0
    residual = euler_residuals(economy, policy, state).flatten()
    assert residual[1] < -0.005, "it would like to consume more"


def test_without_cross_household_terms_the_planners_problem_is_a_game(solved, states):
    # Who counts its own effect on the average cost phi/2 I, and nobody else's, plays the quantity
    # game of a market at half the marginal cost: the mistake of an early draft.
    economy = Planner(2)
    game = Market(2, action="quantity", phi=economy.phi / 2)
    rule = solved(game, "nash").policy
    state = states(game)
    assert euler_residuals(game, rule, state, "nash").abs().max() < 1e-5

    def draft(state, moved=None):
        return economy.actions_for(state, rule.investment(state))

    residual = euler_residuals(economy, draft, state)
    assert residual.abs().max() > 0.02 and residual.abs().mean() > 0.01
    # With equal households it would own (4/3)^(1/(2 - alpha)) times too much capital.
    ratio = steady_state(game, "nash").capital / steady_state(economy).capital
    assert ratio == pytest.approx((4 / 3) ** (1 / (2 - economy.alpha)), rel=1e-12)


def test_the_initial_distribution_of_capital_is_solved_as_well(solved, states):
    for economy, regime, largest in [
        (Planner(), "planner", 1e-8),
        (Market(1), "competitive", 1e-8),
        (Market(2), "competitive", 1e-5),
    ]:
        policy = solved(economy, regime).policy
        residual = euler_residuals(economy, policy, states(economy, 200), regime)
        assert residual.abs().max() < largest


def test_equal_households_do_the_same_and_names_do_not_matter(solved, states):
    economy = Market(3)
    policy = solved(economy, "competitive").policy
    state = states(economy, 30)
    order = [2, 0, 1]
    renamed = state._replace(
        capital=state.capital[:, order], idiosyncratic=state.idiosyncratic[:, order]
    )
    expected = policy.investment(state)[:, order]
    torch.testing.assert_close(policy.investment(renamed), expected, rtol=1e-4, atol=0)
    equal = state._replace(
        capital=state.capital[:, :1].expand(-1, 3, -1),
        idiosyncratic=state.idiosyncratic[:, :1].expand(-1, 3),
    )
    invest = policy.investment(equal)
    torch.testing.assert_close(invest, invest[:, :1].expand(-1, 3, -1), rtol=1e-4, atol=0)


def test_one_household_is_the_same_in_every_strategic_regime(solved, states):
    # Its spending, its orders and a cartel of one move the price by as much.
    state = states(Market(1))
    nash = solved(Market(1), "nash").policy.investment(state)
    for economy, regime in ((Market(1, action="quantity"), "nash"), (Market(1), "monopsony")):
        other = solved(economy, regime).policy.investment(state)
        torch.testing.assert_close(other, nash, rtol=1e-6, atol=0)


def test_how_a_price_takers_choice_is_called_does_not_matter(solved, states):
    state = states(Market(2))
    spending = solved(Market(2), "competitive").policy.investment(state)
    for other in ({"action": "quantity"}, {"atomistic": True}, {"n_uninformed": 2}):
        policy = solved(Market(2, **other), "competitive").policy
        torch.testing.assert_close(policy.investment(state), spending, rtol=1e-9, atol=0)


# ---------------------------------------------------------------------- the policy as a function
POLICIES = {
    "planner": (Planner(), "planner"),
    "two planned households": (Planner(2), "planner"),
    "market": (Market(2), "competitive"),
    "strategic": (Market(2, action="quantity"), "nash"),
    "two goods": (Market(2, 2), "competitive"),
}
policies = pytest.mark.parametrize(
    ("economy", "regime"), list(POLICIES.values()), ids=list(POLICIES)
)


@policies
def test_derivatives_in_capital_are_those_of_finite_differences(economy, regime, solved, states):
    policy = solved(economy, regime).policy
    state = states(economy, 6)
    near = economy.efficient_capital * (0.9 + 0.2 * torch.rand(state.capital.shape).double())
    k = near.requires_grad_(True)
    investment = policy.investment(state._replace(capital=k)).flatten(1)
    slopes = torch.stack(
        [torch.autograd.grad(c.sum(), k, retain_graph=True)[0].flatten(1) for c in investment.T], 1
    )
    for j in range(slopes.shape[-1]):
        step = torch.zeros(slopes.shape[-1], dtype=torch.float64)
        step[j] = 1e-4
        up, down = (
            policy.investment(state._replace(capital=k.detach() + s * step.reshape(k.shape[1:])))
            for s in (1, -1)
        )
        torch.testing.assert_close(
            (up - down).flatten(1) / 2e-4, slopes[..., j], rtol=1e-4, atol=1e-6
        )
    share = policy(state._replace(capital=k))
    assert all(a.requires_grad for a in share.values())


@policies
def test_policies_keep_shapes_and_types(economy, regime, solved):
    policy = solved(economy, regime).policy
    single = economy.reset((2, 3), torch.Generator().manual_seed(0))
    double = map_state(lambda x: x.double() if x.is_floating_point() else x, single)
    shape = (2, 3, economy.n_households, economy.n_goods)
    for name, action in policy(single).items():
        assert action.shape == shape and action.dtype == torch.float32
        exact = policy(double, {})[name]
        assert exact.shape == shape and exact.dtype == torch.float64
        torch.testing.assert_close(action, exact.float())
        alone = policy(map_state(lambda x: x[1, 2], double))[name]
        torch.testing.assert_close(alone, exact[1, 2], rtol=1e-9, atol=1e-12)
    assert policy.investment(single).shape == shape


def test_massless_households_do_what_their_crowd_does(solved, states):
    economy = Market(2, atomistic=True)
    policy = solved(economy, "competitive").policy
    state = states(economy, 5)
    apart = state._replace(capital=0.8 * state.capital)
    actions = policy(apart)
    assert set(actions) == {"household", "household_crowd"}
    finite = solved(Market(2), "competitive").policy(
        Market(2).State(apart.crowd, apart.idiosyncratic, apart.aggregate)
    )
    torch.testing.assert_close(actions["household_crowd"], finite["household"])
    assert torch.equal(actions["household"], actions["household_crowd"])


@pytest.mark.parametrize("regime", ["nash", "monopsony"])
def test_massless_households_can_play_the_rules_of_others(regime, solved, states):
    finite, massless = Market(2), Market(2, atomistic=True)
    solution, state = solved(massless, regime), states(massless, 5)
    expected = solved(finite, regime)
    assert solution.residual == expected.residual
    alike = in_state(finite, state)
    for asked in (state, alike):  # either kind of state
        found = solution.policy(asked)
        assert torch.equal(found["household_crowd"], expected.policy(alike)["household"])


# ---------------------------------------------------------------------- not to be improved upon
class Changed:
    """The exact share times a factor for each productivity (own, aggregate)."""

    def __init__(self, policy, factors):
        self.policy, self.factors = policy, factors

    def __call__(self, state, moved=None):
        run = torch.arange(len(self.factors))[:, None, None]
        factor = self.factors[run, state.idiosyncratic, state.aggregate.unsqueeze(-1)]
        return {"planner": factor.unsqueeze(-1) * self.policy(state)["planner"]}


def test_saving_one_per_cent_more_or_less_in_any_productivity_state_lowers_welfare(solved, states):
    economy, paths, periods = Planner(beta=0.93), 32, 150
    factors = torch.ones(9, 2, 2, dtype=torch.float64)
    for state in range(4):
        factors[1 + 2 * state, state // 2, state % 2] = 0.99
        factors[2 + 2 * state, state // 2, state % 2] = 1.01
    policy, generator = (
        Changed(solved(economy, "planner").policy, factors),
        torch.Generator().manual_seed(1),
    )
    state = map_state(lambda x: x.expand(9, *x.shape), states(economy, paths))
    value = 0.0
    for t in range(periods):
        step = economy.step(state, policy(state), economy.draw((paths,), generator, torch.float64))
        value = value + economy.beta**t * step.rewards["planner"].squeeze(-1)
        state = step.state
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


def test_brute_force_on_a_grid_finds_the_same_rule(solved):
    economy = Planner()
    grid, next_capital = discrete_programme(economy)
    step = grid[1] - grid[0]
    policy = solved(economy, "planner").policy
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


# ---------------------------------------------------------------------- degrees and errors
def test_a_higher_degree_is_more_precise(ergodic_states):
    economy, residuals = Market(2), []
    for degree in (3, 5):
        policy, iterations = time_iteration(economy, "competitive", degrees=(degree,))
        state = ergodic_states(economy, policy)
        residual = euler_residuals(economy, policy, state, "competitive")
        residuals.append(residual.abs().max())
        assert 5 < iterations < 100
    assert residuals[1] < residuals[0] / 10


def test_a_second_box_serves_where_it_lies_and_the_first_elsewhere(solved, states):
    economy = Market(2, 2)
    policy = solved(economy, "competitive").policy
    outer, inner = policy.pieces
    state = states(economy, 200)
    flat, index = module.flatten_state(inner.chain, state)
    inside = inner.basis.inside(flat.flatten(-2))
    assert 0 < inside.sum() < len(inside)
    found = policy.investment(state)
    assert torch.equal(found[inside], inner.invest(flat[inside], index[inside]))
    assert torch.equal(found[~inside], outer.invest(flat[~inside], index[~inside]))


def test_what_the_unit_of_capital_is_does_not_matter(states):
    # phi only sets that unit: shares at a given K / K_c cannot depend on it.
    # On any grid, and so on one of few nodes.
    for economy, regime in ((Planner(2), "planner"), (Market(2), "monopsony")):
        shares = []
        for phi in (0.4999999, 0.5, 5.0):
            other = replace(economy, phi=phi)
            policy, _ = time_iteration(other, regime, degrees=(16,))
            state = states(economy, 100)
            k = state.capital * other.efficient_capital / economy.efficient_capital
            shares.append(next(iter(policy(state._replace(capital=k)).values())))
        for other in shares:
            # Newton stops at 1e-9; a unit of worth moves investment by some twenty units.
            torch.testing.assert_close(other, shares[0], rtol=0, atol=1e-7)


def test_the_second_households_share_where_two_answers_once_differed(solved):
    # By a network with residuals of 4e-4, .0601; polynomials without the kink gave .0869.
    economy = Market(2)
    policy = solved(economy, "monopsony").policy
    k = economy.efficient_capital * torch.tensor([[[0.604], [0.895]]], dtype=torch.float64)
    state = economy.State(k, torch.tensor([[0, 1]]), torch.tensor([0]))
    assert policy(state)["household"][0, 1, 0] == pytest.approx(0.0601, abs=1e-3)
    residual = euler_residuals(economy, policy, state, "monopsony")
    assert residual.abs().max() < 3e-3


@pytest.mark.parametrize("economy", [Planner(3), Planner(2, risk_aversion=5.0)], ids=["3", "ra"])
def test_kinked_rules_are_good_where_economies_begin(economy, solved):
    found = solved(economy, "planner").residual
    assert found["initial distribution"].mean < 3e-4 and found["long run"].mean < 1e-4
    assert found["initial distribution"].largest < 1e-2


def test_the_box_covers_where_an_economy_begins():
    class Poor(Planner):
        def reset(self, batch, generator, dtype=torch.float32):
            state = super().reset(batch, generator, dtype)
            return state._replace(capital=0.2 * state.capital)

    economy = Poor(2)
    policy, _ = time_iteration(economy, "planner", degrees=(16,))
    sample = economy.reset((100,), torch.Generator().manual_seed(3), torch.float64)
    assert policy.domain.low < sample.capital.min()


def test_the_box_covers_where_an_economy_goes(solved):
    # High risk aversion: capital in booms is twice what it is in the steady state.
    economy = Planner(2, risk_aversion=5.0)
    policy = solved(economy, "planner").policy
    *_, late = visited_states(economy, policy)
    assert late.capital.max() > 1.7 * economy.efficient_capital
    assert late.capital.max() <= policy.domain.high


def test_goods_out_of_balance_are_told_apart_from_what_can_be_asked_for(solved):
    economy = Market(2, 2)
    policy, _ = time_iteration(economy, "competitive", degrees=(2, 2))
    k = economy.efficient_capital * torch.tensor([[[0.8, 1.4], [1.4, 0.8]]], dtype=torch.float64)
    assert policy.domain.low < k.min() and k.max() < policy.domain.high
    state = economy.reset((1,), torch.Generator(), torch.float64)._replace(capital=k)
    with pytest.warns(OutsideDomain, match="near balance, .* there is no domain to ask for"):
        policy(state)


def test_iteration_that_has_not_converged_says_so(monkeypatch):
    monkeypatch.setattr(piece, "MAX_ITERATIONS", 3)
    with pytest.raises(ConvergenceError, match=r"'competitive'\) has not converged to 1e-09 in 3"):
        time_iteration(Market(2), "competitive")


@pytest.mark.parametrize("economy", [Market(20), Market(1, 5), Planner(4)], ids=str)
def test_sizes_that_take_too_many_polynomials_are_refused(economy):
    regime = "planner" if isinstance(economy, Planner) else "competitive"
    with pytest.raises(ValueError, match=rf"n_households={economy.n_households}, .*is for the si"):
        time_iteration(economy, regime)
