"""Benchmark `critic`: some of its rows are made again."""

import numpy as np
import pytest

from benchmarks.critic import sight
from benchmarks.harness import stored
from lectures_lib.evaluation import ergodic_moments


@pytest.mark.row
def test_a_seed_with_a_critic_that_sees_little_holds_as_much_capital_as_its_row():
    rows = stored("critic")["critic"]["other, Probing, common shocks, local critic"]
    economy, (kind, config) = sight.market(**sight.OTHER), sight.ALGORITHMS["Probing"]
    agent = kind(economy, seeds=[rows[0]["seed"]], config=config, device="cpu")
    agent.learn(rows[0]["steps"], show_progress=False)
    moments = ergodic_moments(agent.policy, economy, paths=64, periods=sight.PERIODS, seed=3)
    (capital,) = moments["mean of capital"].value
    assert capital == pytest.approx(np.median([row["capital"] for row in rows]), rel=0.02)
