"""What Probing does with luck that it draws itself, and with scales that settle."""

from typing import NamedTuple

import pytest
import torch

from lectures_lib.agents import PPO, SAC, Probing, ProbingConfig
from lectures_lib.agents.world import spread_evenly
from lectures_lib.economies import Planner

SMALL = {"groups": 4, "replicates": 2, "horizon": 5, "hidden": (8,), "warm_up": 0}


def small(**changes):
    return Probing(Planner(), seed=0, device="cpu", config=ProbingConfig(**(SMALL | changes)))


def uniform(draws=4, periods=3, groups=5, rest=(2,)):
    generator = torch.Generator().manual_seed(0)
    return torch.rand((draws, periods, groups, *rest), generator=generator), generator


def test_draws_lie_in_parts_of_equal_size():
    even = spread_evenly(*uniform())
    own = (even * 4).floor().sort(0).values
    assert (own == torch.arange(4.0).reshape(4, 1, 1, 1)).all()
    of_a_group = (even * 12).floor().flatten(0, 1).sort(0).values
    assert (of_a_group == torch.arange(12.0).reshape(12, 1, 1)).all()
    everybodys = (even * 60).floor().flatten(0, 2).sort(0).values
    assert (everybodys == torch.arange(60.0).reshape(60, 1)).all()


def test_a_draw_by_itself_is_uniform_and_unrelated_to_another_shock():
    independent, generator = uniform(2, 2, 2, rest=(2, 2000))
    even = spread_evenly(independent, generator)[0, 0, 0]
    assert even.mean(-1).tolist() == pytest.approx([1 / 2, 1 / 2], abs=0.02)
    assert even.var(-1).tolist() == pytest.approx([1 / 12, 1 / 12], abs=0.005)
    assert abs(torch.corrcoef(even)[0, 1]) < 0.07


def test_one_draw_in_twenty_changes_what_stays_with_nineteen_in_twenty():
    agent, economy = small(draws=20), Planner()
    agent._prepare()
    rollout = agent.collect(agent.world.restart(economy))
    luck = agent._ahead.aggregate.unflatten(1, (20, 5))
    now = rollout.states.aggregate[..., :1].unsqueeze(1).expand_as(luck)
    changed = (economy.aggregate.next(now, luck) != now).sum(1)
    assert (changed == 1).all()


def test_only_shocks_with_the_name_of_a_chain_are_spread():
    class Shocks(NamedTuple):
        fortune: torch.Tensor
        aggregate: torch.Tensor

    class Renamed(Planner):
        @property
        def shock_shapes(self):
            return {"fortune": (), "aggregate": ()}

    Renamed.Shocks = Shocks
    luck = small().world.draw_ahead(Renamed(), 5, 20)
    parts = [
        (x.unflatten(1, (20, 5)) * 20).floor().sort(1).values
        == torch.arange(20.0).reshape(20, 1, 1, 1)
        for x in luck
    ]
    assert not parts[0].all() and parts[1].all()


def test_with_many_draws_worth_is_nearly_the_exact_expectation():
    agent, economy = small(draws=20), Planner()
    agent._prepare()
    rollout = agent.collect(agent.world.restart(economy))
    found = agent.worth("planner", rollout, {})
    luck, chance = economy.outcomes(rollout.states)
    actions = agent.decide(rollout.states, {}).actions
    exact = 0.0
    for i, weight in enumerate(chance):
        step = economy.step(rollout.states, actions, type(luck)(*(x[i] for x in luck)))
        after = agent.standardise_survey("planner", agent.decide(step.state, {}).seen["planner"])
        worth = step.rewards["planner"] + economy.beta * agent.values("planner", after)
        exact = exact + weight.unsqueeze(-1) * worth
    # Each shock has its exact frequency; only that both change at once has not.
    agent._ahead = None
    by_the_paths_luck = agent.worth("planner", rollout, {})
    missed = [(x - exact).square().mean().sqrt() for x in (found, by_the_paths_luck)]
    assert missed[0] < missed[1] / 10


def test_steps_of_all_draws_are_counted():
    states = 4 * 2 * 5
    assert small().steps_per_iteration == 3 * states
    assert small(draws=6).steps_per_iteration == (1 + 2 * 6 + 6) * states
    newton = small(draws=6, optimizer="gauss-newton")
    assert newton.steps_per_iteration == (1 + 3 * 6 + 6) * states


@pytest.mark.parametrize("kind", [PPO, Probing, SAC])
def test_scales_settle_when_they_are_told_to(kind):
    options = {"groups": 2, "replicates": 2, "horizon": 3, "hidden": (8,), "settled": 0.5}
    options |= {"batch": 8, "memory": 64} if kind is SAC else {}
    agent = kind(Planner(), seed=0, device="cpu", config=kind.config_class(**options))
    seen = []

    def look(agent):
        learner = agent.learners["planner"]
        seen.append([x.count.item() for x in (learner.scale, learner.reward_scale)])

    agent.learn(8 * agent.steps_per_iteration, callback=look, callback_every=1)
    own = [[x[i] for x in seen] for i in (0, 1)]
    for counts in own:
        assert counts[:4] == sorted(set(counts[:4]))
        assert len(set(counts[3:])) == 1
