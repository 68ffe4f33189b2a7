"""Benchmark `sellers`: some of its rows are made again."""

from functools import cache

import pytest
import torch

from benchmarks.harness import stored
from benchmarks.sellers import posted_prices, trading_post
from lectures_lib.agents import PPO, PPOConfig
from lectures_lib.economies import PostedPrice, map_state
from lectures_lib.solvers import solve, without_risk

#: Found once, so that where it leads is remembered as well.
exact = cache(solve)


@pytest.mark.row
def test_rows_of_exact_posted_prices():
    rows = stored("sellers")["posted_prices_exact"]
    for label, economy in (
        ("strategic, myopic, 1 x 1", without_risk(PostedPrice(seller_discount=0.0))),
        ("strategic, patient, 1 x 1", without_risk(PostedPrice())),
    ):
        capital, markup = posted_prices.rest(economy)
        assert capital / economy.efficient_capital == pytest.approx(
            rows[label]["relative"], rel=1e-5
        )
        assert markup == pytest.approx(rows[label]["markup"], rel=1e-5)
    # By the other code for price takers, who have a rule of their own there.
    economy = without_risk(PostedPrice(atomistic=True))
    assert posted_prices.rest(economy)[1] == pytest.approx(
        rows["price takers, patient, M = 1"]["markup"], rel=1e-5
    )


@pytest.mark.row
def test_nobody_gains_by_the_departures_of_the_table_from_the_exact_rule():
    economy = posted_prices.sellers()
    exact = posted_prices.solved(economy, "markov perfect").policy

    class OneRun:
        runs = 1

        def __call__(self, state, moved=None):
            return exact(state, moved)

    capital, _ = posted_prices.rest(economy)
    state = economy.reset((2,), torch.Generator(), torch.float64)
    state = map_state(lambda x: x.expand(1, 3, *x.shape), state)
    change = torch.tensor([(0.0, 0.0), (0.05, 0.0), (-0.05, 0.1)], dtype=torch.float64)
    centre = torch.full((1, 1, 1), capital, dtype=torch.float64)
    for role in ("firm", "household"):
        value = posted_prices.worth(economy, OneRun(), role, change, centre, state)
        assert (value[0, 1:] < value[0, 0]).all()


@pytest.mark.row
def test_the_exact_row_of_two_sellers_at_a_trading_post():
    stored_row = stored("sellers")["trading_post_2"]["F = 2, exact"]
    found = trading_post.exact(trading_post.post())
    for name, x in found.items():
        assert x == pytest.approx(stored_row[name], rel=1e-3)


@pytest.mark.row
@pytest.mark.parametrize("label", ["own gain", "firms as one"])
def test_four_other_seeds_at_a_trading_post_do_as_fifty_did(label):
    stored_row, economy = stored("sellers")["trading_post_credit"][label], trading_post.post()
    config = PPOConfig.sellers(cartel=trading_post.CARTELS[label], **trading_post.QUICK)
    agent = PPO(economy, seeds=range(100, 104), device="cpu", config=config)
    agent.learn(stored_row["steps"], show_progress=False)
    found = trading_post.long_run(economy, agent.policy, paths=1, first=400, periods=1)
    share = trading_post.COLLAPSE * trading_post.exact(economy)["capital"]
    assert (found["capital"] < share).double().mean() == stored_row["collapsed"]
