"""Benchmark `primer`: some of its rows are made again."""

from functools import cache

import numpy as np
import pytest

from benchmarks.harness import stored
from benchmarks.primer import probing
from lectures_lib.agents import DQN, SAC, QLearning
from lectures_lib.economies import BrockMirman, Monopolist
from lectures_lib.evaluation import evaluate
from lectures_lib.solvers import solve
from lectures_lib.solvers.dynamic_programming import expectation, with_payoff
from lectures_lib.solvers.enhanced_policy_iteration import enhanced_policy_iteration

PRIMER = stored("primer")
#: Found once, so that where it leads is remembered as well.
exact = cache(solve)


def test_a_row_of_the_tables():
    """Deterministic, but for rounding that may cost a round."""
    prices = tuple(np.linspace(0.2, 0.7, 51).round(4))
    tables = Monopolist(levels=100, prices=prices).tables()
    v = tables.discrete_dp().solve("policy_iteration").v
    exact = with_payoff(tables, expectation(tables, v))
    start = np.zeros(exact.shape)
    found = enhanced_policy_iteration(tables, 20, start, exact=exact, tolerance=1e-8)
    stored = PRIMER["dynamic_programming"]["large: enhanced, 20 evaluations, from below"]
    assert abs(found.count - stored["iterations"]) <= 1


@pytest.mark.learning
def test_a_row_of_q_learning():
    stored = PRIMER["q_learning"]["1,000 learners, 1 million updates"]
    economy = Monopolist()
    tables = economy.tables()
    exact = with_payoff(
        tables, expectation(tables, tables.discrete_dp().solve("policy_iteration").v)
    )
    agent = QLearning(economy, seeds=range(100, 124))
    agent.learn(stored["steps"], show_progress=False)
    errors = 100 * np.abs(agent.q_values - exact).max((1, 2)) / exact.max()
    assert np.median(errors) == pytest.approx(stored["error"], rel=0.2)


@pytest.mark.row
def test_a_seed_of_dqn_loses_as_little_as_its_row():
    stored = PRIMER["dqn"]["whole"]
    economy = Monopolist()
    agent = DQN(economy, seed=stored["seeds"][0], device="cpu")
    agent.learn(stored["steps"], show_progress=False)
    report = evaluate(agent.policy, economy, solve(economy))
    # The bound leaves room for another processor's rounding, as for PPO above.
    assert 100 * report.consumption_equivalent_loss < 2 * max(stored["losses_to_any_price"])


@pytest.mark.row
def test_a_seed_of_sac_is_as_precise_as_its_row():
    stored = PRIMER["actor_critics"]["Brock-Mirman: SAC, common shocks, default"]
    economy = BrockMirman()
    agent = SAC(economy, seed=stored["seeds"][0], device="cpu")
    agent.learn(stored["steps"], show_progress=False)
    report = evaluate(agent.policy, economy, solve(economy))
    assert 100 * report.policy_error_mean < 2 * max(stored["curve"]["error_percent"][-1])


@pytest.mark.row
def test_a_seed_of_ppo_is_as_precise_as_its_row_beside_probing():
    stored = PRIMER["probing"]["PPO, best"]
    history, _, _ = probing.trained("PPO", stored["changes"], stored["seeds"][:1])
    assert 100 * history["error"][-1].max() < 2 * max(stored["curve"]["error_percent"][-1])
