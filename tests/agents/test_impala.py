"""Actors that lag: who acts, how likely the present policy does it, and what is refused."""

import pytest
import torch
from torch.distributions import Normal

from lectures_lib.agents import IMPALA, PPO, IMPALAConfig, PPOConfig
from lectures_lib.agents.losses import demean
from lectures_lib.economies import Market, Planner, TradingPost

SMALL = {"groups": 2, "replicates": 4, "horizon": 3, "hidden": (8,), "warm_up": 0}


def small(economy=None, seeds=range(2), **changes):
    config = IMPALAConfig(**(SMALL | changes))
    return IMPALA(economy or Planner(2), seeds=seeds, device="cpu", config=config)


def learned(agent, iterations=5):
    agent.learn(iterations * agent.steps_per_iteration)
    return agent


def weights(module):
    return [p.detach().clone() for p in module.parameters()]


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_without_delay_and_correction_it_is_ppo():
    ppo = PPO(Planner(2), seeds=range(2), device="cpu", config=PPOConfig(**SMALL))
    assert same(
        weights(learned(ppo).learners), weights(learned(small(delay=0, correction="none")).learners)
    )


@pytest.mark.parametrize("group_trace", [True, False])
def test_without_delay_vtrace_is_what_ppo_does(group_trace):
    agent = learned(small(delay=0, group_trace=group_trace))
    rollout = agent.collect(agent.world.restart(agent.economy))
    for mine, ppos in (
        (agent.returns, super(IMPALA, agent).returns),
        (agent.gains, super(IMPALA, agent).gains),
    ):
        a, b = (demean(f("planner", rollout), 3) for f in (mine, ppos))
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("delay", [1, 3])
def test_the_weights_that_act_are_so_many_iterations_old(delay, monkeypatch):
    agent, acted, learned_from = small(delay=delay), [], []
    collect = PPO.collect

    def watched(self, state):
        acted.append(weights(self.learners["planner"].actor))
        return collect(self, state)

    monkeypatch.setattr(PPO, "collect", watched)
    for _ in range(6):
        learned_from.append(weights(agent.learners["planner"].actor))
        agent.learn((len(acted) + 1) * agent.steps_per_iteration)
    assert not same(learned_from[0], learned_from[-1])
    for i in range(6):
        assert same(acted[i], learned_from[max(i - delay, 0)])


@pytest.mark.parametrize("game", [Planner(2), Market(2, n_uninformed=1), TradingPost(2, n_firms=2)])
def test_ratios_are_those_of_the_densities(game):
    agent = learned(small(game, delay=2, policy_rate=0.05), 4)
    agent._prepare()
    rollout, told = None, agent._retold

    def kept(x):
        nonlocal rollout
        rollout = x
        return told(x)

    agent._retold = kept
    oldest = {n: x for n, x in agent.past[agent.iteration % 2].items()}
    present = {n: x.actor for n, x in agent.learners.items()}
    before = {n: weights(x) for n, x in oldest.items()}
    agent.collect(agent.world.restart(game))
    log = 0.0
    for name, e in rollout.noise.items():
        seen, sd = rollout.observations[name][:, :-1], agent.noise_of(name)
        new = agent.act(name, seen)
        agent.learners[name].actor = oldest[name]
        for p, x in zip(oldest[name].parameters(), before[name], strict=True):
            p.data.copy_(x)
        old = agent.act(name, seen)
        agent.learners[name].actor = present[name]
        taken = old + sd * e
        density = Normal(new, sd).log_prob(taken) - Normal(old, sd).log_prob(taken)
        log = log + density.sum((-1, -2))
    torch.testing.assert_close(agent.ratio.squeeze(-1), log.exp(), rtol=1e-3, atol=1e-4)
    assert (agent.ratio - 1).abs().max() > 0.01


def test_corrections_differ_once_actors_lag():
    found = [
        weights(learned(small(delay=2, correction=x, policy_rate=0.05)).learners)
        for x in ("v-trace", "ratio", "none")
    ]
    assert all(torch.isfinite(p).all() for each in found for p in each)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert not same(found[a], found[b])


@pytest.mark.parametrize("correction", ["ratio", "none"])
def test_ppos_first_ratio_is_that_to_whom_the_correction_says(correction):
    agent = learned(small(Planner(), delay=2, correction=correction, policy_rate=0.05))
    agent._prepare()
    rollout = agent.collect(agent.world.restart(agent.economy))
    e, seen = rollout.noise["planner"], rollout.observations["planner"][:, :-1]
    apart = agent.acted("planner", seen) - agent.act("planner", seen)
    moved = e + apart / agent.noise_of("planner")
    ratio = ((e.square() - moved.square()) / 2).sum(-1).exp()
    expected = agent.ratio if correction == "ratio" else torch.ones_like(agent.ratio)
    torch.testing.assert_close(ratio, expected, rtol=1e-4, atol=1e-5)
    assert (agent.ratio - 1).abs().max() > 0.01


@pytest.mark.parametrize("group_trace", [True, False])
def test_gains_are_weighted_and_compared_after_that(group_trace):
    agent = learned(small(Planner(), delay=2, group_trace=group_trace, policy_rate=0.05))
    agent._prepare()
    gains = agent.gains("planner", agent.collect(agent.world.restart(agent.economy)))
    size = gains.abs().mean()
    compared = 3 if group_trace else (1, 2, 3)
    assert gains.mean(compared).abs().max() < 1e-4 * size


def test_who_acts_begins_where_the_learner_begins():
    teacher, pupil = learned(small()), small()
    pupil.start_from(teacher)
    for actors in pupil.past:
        assert same(weights(actors["planner"]), weights(teacher.learners["planner"].actor))


def test_ordinary_has_no_control_of_the_shocks():
    config = IMPALAConfig.ordinary(delay=3)
    assert not (config.common_shocks or config.group_advantage or config.group_trace)
    assert config.delay == 3


@pytest.mark.parametrize(
    "wrong, message",
    [
        (
            {"correction": "vtrace"},
            "correction='vtrace': expected one of 'v-trace', 'ratio', 'none'",
        ),
        ({"delay": -1}, "delay"),
        ({"delay": 1.5}, "delay"),
        ({"ratio_clip": 0.0}, "ratio_clip=0.0: expected a positive"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises((ValueError, TypeError), match=message):
        IMPALAConfig(**wrong)
