"""Schedules that learners share."""

import pytest

from lectures_lib.agents.config import cosine, geometric


def test_schedules_by_hand():
    assert [cosine(0.2, x) for x in (0.0, 0.5, 1.0)] == pytest.approx([1.0, 0.6, 0.2])
    assert cosine(0.2, 0.25) == pytest.approx(0.2 + 0.8 * (1 + 0.5**0.5) / 2)
    assert [geometric((0.4, 0.1), x) for x in (0.0, 0.5, 1.0)] == pytest.approx([0.4, 0.2, 0.1])


def test_rates_fall_along_half_a_cosine(make_network):
    agent = make_network()
    optimizer = vars(agent)["optimizer" if hasattr(agent, "optimizer") else "policy_optimizer"]
    c = agent.config
    rate = c.rate if hasattr(c, "rate") else c.policy_rate
    for progress in (0.0, 0.5):
        agent.progress = progress
        agent.iterate()
        expected = rate * (1 - (1 - c.final_rate) * progress)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(expected)
