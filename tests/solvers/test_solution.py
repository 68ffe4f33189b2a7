"""One line that solves: which method it takes, what it returns and what it refuses."""

import importlib
import warnings

import pytest
import torch

from lectures_lib.economies import BrockMirman, FixedAction, Market, MarkovChain, Planner
from lectures_lib.solvers import (
    ConvergenceError,
    ImpreciseSolution,
    OutsideDomain,
    Solution,
    euler_residuals,
    regimes_of,
    solve,
    steady_state,
)
from lectures_lib.solvers.domain import Domain
from lectures_lib.solvers.time_iteration import InvestmentPolicy, can_iterate

capital = importlib.import_module("lectures_lib.solvers.capital")
module = importlib.import_module("lectures_lib.solvers.solution")


def test_brock_and_mirman_consume_a_fixed_share(states):
    economy = BrockMirman(alpha=0.4, beta=0.9)
    state = states(economy, 20)
    solution = solve(economy)
    consumption = solution.policy(state)["planner"].squeeze(-1)
    torch.testing.assert_close(consumption, 0.64 * economy.output(state), rtol=1e-14, atol=0)
    assert solution.iterations == 0 and solution.regime == "planner"


@pytest.mark.parametrize("economy", [Planner(), BrockMirman(), Market(2)], ids=["P", "B", "M"])
def test_the_first_regime_is_solved_by_default(economy, solved):
    assert solve(economy).regime == regimes_of(economy)[0]


@pytest.mark.parametrize("regime", regimes_of(Market()))
def test_a_solution_brings_its_conditions_and_its_steady_state(regime, solved, states):
    economy = Market(2)
    solution = solved(economy, regime)
    state = states(economy, 20)
    assert solution.economy is not None and solution.regime == regime and solution.iterations > 5
    assert solution.steady_state == steady_state(economy, regime)
    own = solution.euler_residuals(state)
    torch.testing.assert_close(own, euler_residuals(economy, solution.policy, state, regime))
    others = [r for r in regimes_of(Market()) if r != regime]
    for other in others:
        wrong = euler_residuals(economy, solution.policy, state, other)
        assert wrong.abs().mean() > 10 * own.abs().mean()


def test_regimes_are_ordered_by_restraint(solved, states):
    state = states(Market(2))
    investment = [
        solved(Market(2), r).policy.investment(state).sum(-2) for r in regimes_of(Market())
    ]
    assert (investment[0] > investment[1]).all() and (investment[1] > investment[2]).all()


def test_few_households_are_solved_by_time_iteration_and_many_by_a_network(monkeypatch):
    asked = []

    def record(method):
        def solver(economy, regime, domain=None):
            asked.append((method, economy.n_households, regime))
            return "policy", 3

        return solver

    monkeypatch.setattr(capital, "time_iteration", record("time iteration"))
    monkeypatch.setattr(capital, "euler_network", record("network"))
    monkeypatch.setattr(module, "residuals_where_it_leads", lambda *_: {})
    solve(Planner())
    solve(Market(3), "nash")
    solve(Market(100))
    solve(Planner(40))
    solve(Market(5), "monopsony")
    solve(Market(2), method="network")
    solution = solve(Planner(40), method="time iteration")
    assert asked == [
        ("time iteration", 1, "planner"),
        ("time iteration", 3, "nash"),
        ("network", 100, "competitive"),
        ("network", 40, "planner"),
        ("network", 5, "monopsony"),
        ("network", 2, "competitive"),
        ("time iteration", 40, "planner"),
    ]
    assert solution == Solution(Planner(40), "planner", "policy", 3, "time iteration")


def test_the_method_is_chosen_by_what_it_costs():
    # 33,614 combinations of productivities: their transition matrix would take nine gigabytes.
    seven = MarkovChain.symmetric(tuple(0.7 + 0.1 * i for i in range(7)), stay=0.7)
    assert can_iterate(Market(5), "competitive")
    assert not can_iterate(Market(5, idiosyncratic=seven), "competitive")
    assert not can_iterate(Planner(3, idiosyncratic=seven), "planner")
    assert can_iterate(Planner(2, idiosyncratic=seven), "planner")
    with pytest.raises(ValueError, match=r"33,614 combinations, .* use method='network'"):
        solve(Market(5, idiosyncratic=seven), method="time iteration")


def test_a_solution_says_how_it_was_found_and_how_good_it_is(solved, states):
    economy = Planner(2)
    solution = solved(economy, "planner")
    assert solution.method == "time iteration"
    start, late = solution.residual["initial distribution"], solution.residual["long run"]
    # Measured again, on other states.
    state = states(economy, 200, seed=9)
    bought = (solution.policy.investment(state) > 0).flatten(-2)
    again = solution.euler_residuals(state).abs()[bought]
    assert 0.3 * again.mean() < start.mean < 3 * again.mean()
    assert late.mean < start.mean < 3e-4 and start.largest < 1e-2
    text = str(solution)
    assert "time iteration" in text and "splines" in text and f"{start.mean:.1e}" in text
    assert solve(BrockMirman()).method == "closed form" and solve(BrockMirman()).residual == {}
    assert "closed form" in str(solve(BrockMirman()))


def test_a_solution_that_is_not_the_first_choice_is_announced(monkeypatch):
    class Rule:
        domain = Domain(0.0, float("inf"))

        def __call__(self, state, moved=None):
            return FixedAction(Planner(), 0.1)(state)

        def investment(self, state):
            return torch.ones_like(state.capital)

    def fail(economy, regime, domain=None):
        raise ConvergenceError("it has not converged.")

    monkeypatch.setattr(capital, "time_iteration", fail)
    monkeypatch.setattr(capital, "euler_network", lambda *_: (Rule(), 3))
    with pytest.warns(ImpreciseSolution) as told:
        solution = solve(Planner())
    assert solution.method == "network"
    assert "it has not converged. A network" in str(told[0].message)
    # A constant share is no solution, and that is measured.
    assert "leaves Euler residuals of initial distribution" in str(told[1].message)
    # Neither a method nor a domain is asked of time iteration and then left to a network.
    for asked in ({"method": "time iteration"}, {"domain": (3.0, 20.0)}):
        with warnings.catch_warnings(), pytest.raises(ConvergenceError):
            warnings.simplefilter("error", ImpreciseSolution)
            solve(Planner(), **asked)


@pytest.mark.parametrize("economy", [Planner(2), Market(2, atomistic=True)], ids=["P", "M"])
def test_any_policy_can_be_a_solution_and_says_how_good_it_is(economy):
    solution = Solution(economy, None, FixedAction(economy, 0.1), method="time iteration")
    assert "Euler residuals, long run" in repr(solution)
    assert solution.residual["long run"].mean > 0.01


def test_where_there_is_no_capital_that_is_bought_there_are_no_residuals():
    economy = BrockMirman()
    assert Solution(economy, "planner", solve(economy).policy, method="network").residual == {}


def test_large_and_persistent_risk_is_solved_with_the_constraint_and_told():
    # Without a bound on sales some households of a market would buy less than nothing.
    economy = Market(2, idiosyncratic=MarkovChain.symmetric((0.6, 1.4), stay=0.985))
    with pytest.warns(ImpreciseSolution, match="leaves Euler residuals of initial distribution"):
        solution = solve(economy)
    assert solution.method == "time iteration" and solution.policy.pieces[0].bounded
    assert all(3e-4 < found.mean < 2e-3 for found in solution.residual.values())


@pytest.mark.parametrize(
    ("economy", "kwargs", "message"),
    [
        (Planner(), {"regime": "nash"}, r"regime='nash': Planner knows \('planner',\)"),
        (Market(), {"regime": "planner"}, "regime='planner': Market knows"),
        (Market(), {"method": "guess"}, "method='guess': expected 'time iteration' or 'network'"),
        (Market(50), {"method": "time iteration"}, r"n_households=50, .*use method='network'"),
    ],
)
def test_what_is_unknown_is_refused(economy, kwargs, message):
    with pytest.raises(ValueError, match=message):
        solve(economy, **kwargs)


def test_what_is_no_economy_is_refused():
    with pytest.raises(TypeError, match="no solver for dict"):
        solve({})


# ---------------------------------------------------------------------- where a rule holds
def share(solution, ratio, index=0):
    """The planner's share at a multiple of efficient capital and the lowest productivity."""
    economy = solution.economy
    k = torch.tensor([[ratio * economy.efficient_capital]], dtype=torch.float64)
    return solution.policy(economy.State(k, torch.tensor([index]), torch.tensor(0)))[
        "planner"
    ].item()


def test_the_planners_rule_holds_far_from_the_steady_state(solved):
    # By value-function iteration on a wide grid, in code that shares nothing with this.
    solution = solved(Planner(), "planner")
    for ratio, known in ((0.1, 0.246), (3, 0.029), (10, 0.007)):
        assert share(solution, ratio) == pytest.approx(known, abs=6e-4)


def test_who_asks_outside_is_told_the_range_once(solved):
    economy = Planner(2)
    policy = InvestmentPolicy(economy, solved(economy).policy.pieces)  # which nobody has asked
    k = economy.efficient_capital * torch.tensor([[[0.1], [1.5]]], dtype=torch.float64)
    state = economy.State(k, torch.tensor([[0, 0]]), torch.tensor([0]))
    low, high = policy.domain.low, policy.domain.high
    with pytest.warns(OutsideDomain, match=rf"from {low:.4g} to {high:.4g} and is extrapolated"):
        policy(state)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        policy(state)


def test_a_rule_is_extended_to_what_is_asked(states):
    economy = Market(2)
    lowest, highest = (x * economy.efficient_capital for x in (0.1, 3.0))
    solution = solve(economy, domain=(lowest, highest))
    generator = torch.Generator().manual_seed(0)
    state = states(economy, 200)
    wide = torch.rand(state.capital.shape, generator=generator, dtype=torch.float64)
    state = state._replace(capital=lowest * (highest / lowest) ** wide)
    with warnings.catch_warnings():
        warnings.simplefilter("error", OutsideDomain)
        bought = (solution.policy.investment(state) > 0).flatten(-2)
        residual = solution.euler_residuals(state).abs()[bought]
    assert residual.mean() < 1e-3


@pytest.mark.parametrize("domain", [(2.0, 1.0), (0.0, 3.0), (-1.0, 3.0)])
def test_an_impossible_domain_is_refused(domain):
    with pytest.raises(ValueError, match=r"domain=\(.*expected the smallest and the largest"):
        solve(Market(2), domain=domain)


@pytest.mark.parametrize("economy", [BrockMirman(), Market(2, 2), Market(50)])
def test_a_domain_where_there_is_no_choice_is_refused(economy):
    with pytest.raises(ValueError, match="domain="):
        solve(economy, domain=(1.0, 2.0))
