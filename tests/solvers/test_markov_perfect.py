"""Markov-perfect equilibrium: everybody knows that capital changes what the others do."""

import importlib
import warnings

import pytest
import torch
from scipy.optimize import brentq

from lectures_lib.economies import Market, map_state
from lectures_lib.solvers import ConvergenceError, OutsideDomain, markov_perfect, steady_state
from lectures_lib.solvers.steady_state import without_risk

OTHER = {"alpha": 0.36, "beta": 0.95, "delta": 0.08, "phi": 0.8}
ECONOMIES = {
    "spending": Market(2),
    "quantities": Market(2, action="quantity"),
    "rebate": Market(2, rebate_profits=True),
    "other calibration": Market(2, **OTHER),
    "risk aversion 2": Market(2, risk_aversion=2.0),
}


def resting_capital(economy, policy):
    """Symmetric capital that the policy keeps."""

    def growth(k):
        capital = torch.full((1, economy.n_households, 1), k, dtype=torch.float64)
        state = economy.reset((1,), torch.Generator(), torch.float64)._replace(capital=capital)
        return policy.investment(state).mean().item() - economy.delta * k

    centre = economy.efficient_capital
    return brentq(growth, 0.6 * centre, 1.2 * centre, xtol=1e-9)


@pytest.mark.parametrize("economy", list(ECONOMIES.values()), ids=list(ECONOMIES))
def test_nobody_gains_by_another_choice(economy, equilibrium, ergodic_states, states):
    policy = equilibrium(economy).policy
    start = states(economy, 20)
    for state in (start, ergodic_states(economy, policy, paths=4, periods=(60, 90))):
        assert policy.own_gradients(state).abs().max() < 1e-6


def test_the_open_loop_rule_leaves_something_to_gain(equilibrium, solved, states):
    # The measure that the equilibrium passes is one that another rule fails.
    economy = Market(2)
    policy, open_loop = equilibrium(economy).policy, solved(economy, "nash").policy
    state = states(economy, 10)

    class OpenLoop(type(policy)):
        def choose(self, capital, index):
            return self.game.chosen(open_loop.pieces[0].invest(capital.detach(), index))

    other = OpenLoop(policy.game, policy._guess)
    assert other.own_gradients(state).abs().max() > 1e-4


@pytest.mark.parametrize(
    ("economy", "below"),
    [(Market(2), 0.0121), (Market(2, action="quantity"), 0.0118)],
    ids=["spending", "quantities"],
)
def test_two_households_own_about_a_hundredth_less_than_in_open_loop(economy, below, equilibrium):
    riskless = without_risk(economy)
    rest = resting_capital(riskless, equilibrium(riskless).policy)
    open_loop = steady_state(riskless, "nash").capital
    assert 1 - rest / open_loop == pytest.approx(below, abs=1e-4)


def test_the_gap_to_open_loop_is_as_large_where_there_is_risk(equilibrium, solved, ergodic_states):
    economy = Market(2)
    found = equilibrium(economy)
    state = ergodic_states(economy, solved(economy, "nash").policy)
    change = found.policy.investment(state) / solved(economy, "nash").policy.investment(state)
    # Where the open-loop rule keeps capital, the other lets it shrink towards its own level: the
    # gap closes by about 3.5% of its size in a period.
    assert -0.03 < change.mean() - 1 < -0.005


def test_value_functions_are_discounted_utility(equilibrium, states):
    economy = without_risk(Market(2))
    policy, state, value = equilibrium(economy).policy, states(economy, 3), 0.0
    periods, shocks = 40, economy.draw((3,), torch.Generator(), torch.float64)

    def worth(state):
        return policy.game.polynomials.basis(state.capital.flatten(-2)) @ policy.game.values[0]

    first = worth(state)
    for t in range(periods):
        step = economy.step(state, policy(state), shocks)
        value = value + economy.beta**t * step.rewards["household"]
        state = step.state
    value = value + economy.beta**periods * worth(state)
    torch.testing.assert_close(first, value, rtol=0, atol=1e-6)


def test_one_household_is_a_monopsonist(equilibrium, solved, states):
    state = states(Market(1))
    exact = solved(Market(1), "monopsony").policy.investment(state)
    for action in ("spending", "quantity"):
        policy = equilibrium(Market(1, action=action)).policy
        torch.testing.assert_close(policy.investment(state), exact, rtol=1e-6, atol=0)


def test_equal_households_do_the_same_and_names_do_not_matter(equilibrium, states):
    economy = Market(2)
    policy, state = equilibrium(economy).policy, states(economy, 20)
    exchanged = map_state(lambda x: x.flip(1) if x.dim() > 1 else x, state)
    expected = policy.investment(state).flip(1)
    torch.testing.assert_close(policy.investment(exchanged), expected, rtol=1e-6, atol=0)
    equal = state._replace(
        capital=state.capital[:, :1].expand(-1, 2, -1),
        idiosyncratic=state.idiosyncratic[:, :1].expand(-1, 2),
    )
    one, other = policy.investment(equal).unbind(1)
    torch.testing.assert_close(one, other, rtol=1e-6, atol=0)


@pytest.mark.parametrize("action", ["spending", "quantity"])
def test_derivatives_in_capital_are_those_of_finite_differences(action, equilibrium, states):
    economy = Market(2, action=action)
    policy, state = equilibrium(economy).policy, states(economy, 5)
    k = state.capital.clone().requires_grad_(True)
    invest = policy.investment(state._replace(capital=k)).squeeze(-1)
    slopes = [torch.autograd.grad(x.sum(), k, retain_graph=True)[0] for x in invest.unbind(-1)]
    for j in range(2):
        step = torch.zeros(2, 1, dtype=torch.float64)
        step[j] = 1e-4
        up, down = (
            policy.investment(state._replace(capital=k.detach() + sign * step)) for sign in (1, -1)
        )
        difference = ((up - down) / 2e-4).squeeze(-1)
        slope = torch.stack([s[:, j, 0] for s in slopes], -1)
        torch.testing.assert_close(difference, slope, rtol=1e-5, atol=1e-7)


def test_policies_keep_shapes_and_types(equilibrium):
    economy = Market(2)
    policy = equilibrium(economy).policy
    for dtype in (torch.float32, torch.float64):
        state = economy.reset((2, 3), torch.Generator().manual_seed(0), dtype)
        share = policy(state)["household"]
        assert share.shape == (2, 3, 2, 1) and share.dtype == dtype
        assert (0 < share).all() and (share < 1).all()
        shocks = economy.draw((2, 3), torch.Generator(), dtype)
        bought = economy.step(state, policy(state), shocks).info["investment"]
        torch.testing.assert_close(bought, policy.investment(state).to(dtype))


def test_who_asks_outside_is_told_and_gets_no_garbage(states):
    economy = Market(2)
    policy = markov_perfect(economy, degree=6).policy
    state = states(economy, 20)
    with warnings.catch_warnings():
        warnings.simplefilter("error", OutsideDomain)
        policy(state)
    centre = economy.efficient_capital
    nearby = state._replace(capital=0.4 * centre * torch.ones_like(state.capital))
    with pytest.warns(OutsideDomain, match=r"degree 6\) was found for capital .* finds no more"):
        policy(nearby)
    uniform = torch.rand(state.capital.shape, generator=torch.Generator().manual_seed(1))
    far = state._replace(capital=centre * (0.1 + 1.4 * uniform.double()))
    with pytest.raises(ConvergenceError, match=r"no equilibrium of one period .* capital \[\d"):
        policy(far)


def test_a_solution_says_what_it_is(equilibrium):
    found = equilibrium(Market(2))
    assert repr(found.policy) == "MarkovPerfectPolicy(polynomials of degree 9)"
    assert found.regime == "markov perfect" and found.economy == Market(2)
    assert 2 < found.iterations < 30


@pytest.mark.parametrize(
    ("economy", "message"),
    [
        (
            Market(2, atomistic=True),
            "atomistic=True, n_uninformed=0: Markov-perfect equilibrium is",
        ),
        (Market(2, n_uninformed=1), "atomistic=False, n_uninformed=1: Markov-perfect"),
        (Market(6), r"n_households=6, n_goods=1: .* up to 5 stocks"),
        (Market(3, 2), r"n_households=3, n_goods=2: .* up to 5 stocks"),
        (Market(1, 3), r"n_households=1, n_goods=3: .* of the sizes \(\(1, 1\), .*\(2, 2\)\)"),
    ],
)
def test_markets_that_are_too_large_or_another_game_are_refused(economy, message):
    with pytest.raises(ValueError, match=message):
        markov_perfect(economy)


def test_iteration_that_has_not_converged_says_so(monkeypatch):
    module = importlib.import_module("lectures_lib.solvers.markov_perfect")
    monkeypatch.setattr(module, "MAX_ITERATIONS", 2)
    with pytest.raises(ConvergenceError, match=r"still change by .* after 2 policy iterations"):
        markov_perfect(Market(2), degree=4)
