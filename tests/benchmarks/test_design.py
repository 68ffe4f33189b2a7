"""Benchmark `design`: some of its rows are made again."""

from functools import cache

import numpy as np
import pytest

from benchmarks.design import constraints, markets
from benchmarks.harness import stored
from lectures_lib.agents import Probing
from lectures_lib.economies import Rationing
from lectures_lib.solvers import solve, without_risk

#: Found once, so that where it leads is remembered as well.
exact = cache(solve)


@pytest.mark.row
def test_a_seed_that_clips_at_a_borrowing_limit_is_as_precise_as_its_row():
    stored_row = stored("design")["constraints_limit_probing"]["clip"][0]
    agent, way, _ = constraints.learn(
        "saver", "Probing", "clip", 0.0, stored_row["noise"], [stored_row["seed"]]
    )
    found = constraints.errors(agent.policy.on(way.obeyed), "saver")
    assert found["bound"][0] < 1e-4 and found["free"][0] < 2 * stored_row["free"]


def test_the_exact_rule_has_no_errors_where_limits_bind_and_elsewhere():
    _, exact, *_ = constraints.reference("saver")
    found = constraints.errors(exact.policy, "saver")
    assert all(x < 1e-9 for errors in found.values() for x in errors)


@pytest.mark.row
def test_two_other_seeds_order_more_and_more_where_an_order_costs_nothing():
    stored_rows = stored("design")["markets_auctioneer"]["rationing, low, Probing"]
    economy = without_risk(Rationing(relative_price=markets.LOW))
    agent = Probing(economy, seeds=(10, 11), device="cpu", config=markets.PROBES)
    watch = markets.TradeWatch(economy, 2)
    steps = 120 * agent.steps_per_iteration
    agent.learn(steps, callback=watch, callback_every=40, show_progress=False)
    ordered = np.array([look["ordered"] for look in watch.looks])
    # As far as an eighth of the stored iterations carry it, and what is traded is theirs.
    assert (np.diff(ordered[-3:], axis=0) > 0).all() and (ordered[-1] > 5).all()
    assert ordered[-1].max() < min(row["ordered"] for row in stored_rows)
    watch.walk(agent.policy, 200)
    expected = np.mean([row["relative"] for row in stored_rows])
    np.testing.assert_allclose(watch.looks[-1]["relative"], expected, rtol=0.05)
