"""Benchmark `market`: some of its rows are made again."""

from dataclasses import replace
from functools import cache

import pytest

from benchmarks.harness import stored
from benchmarks.market.buyers import PROBING
from lectures_lib.agents import Probing
from lectures_lib.economies import Market
from lectures_lib.evaluation import evaluate, exploitability
from lectures_lib.solvers import markov_perfect, solve

MARKET = stored("market")
#: Found once, so that where it leads is remembered as well.
exact = cache(solve)


@pytest.mark.row
def test_a_seed_of_the_team_that_colludes_is_as_near_to_monopsony_as_its_row():
    rows = MARKET["collusion"]["team credit, N = 1"]
    (exact,) = (r for r in MARKET["collusion"]["exact, N = 1"] if r["seed"] == "monopsony")
    config = replace(PROBING, cartel=("household",))
    agent = Probing(Market(1), seed=rows[0]["seed"], device="cpu", config=config)
    agent.learn(rows[0]["steps"], show_progress=False)
    report = evaluate(agent.policy, Market(1), solve(Market(1), "monopsony"), paths=64)
    ratio = report.moments["mean of capital"] / report.reference_moments["mean of capital"]
    furthest = max(abs(r["capital"] / exact["capital"] - 1) for r in rows)
    assert abs(ratio - 1) < 2 * furthest


def test_of_the_solver_s_rule_the_interval_is_as_narrow_as_its_row():
    (row,) = MARKET["certified"]["N = 2, markov perfect"]
    rule = markov_perfect(Market(2), show_progress=False).policy
    found = exploitability(rule, Market(2), paths=16, interval=True)
    # Fewer paths know less of what capital is worth, and the clairvoyant finds more.
    assert 100 * found.interval[1] < 10 * row["high"]
