"""Roles that follow another role: a crowd plays the mean policy, learns nothing and is given."""

import pytest
import torch

from lectures_lib.agents import Analytic
from lectures_lib.economies import Market, map_state

ATOMISTIC = Market(2, n_uninformed=1, atomistic=True)
LEARNERS = {"informed", "uninformed"}


def apart(batch=(16,), seed=9):
    """States in which households own something else than their members of the crowd."""
    g = torch.Generator().manual_seed(seed)
    return ATOMISTIC.perturb(ATOMISTIC.reset(batch, g), g, 0.5)


def in_the_crowds_place(state):
    return state._replace(capital=state.crowd)


def record_periods(monkeypatch):
    """What `Market.step` is given from now on, as a list of (state, actions)."""
    periods, step = [], Market.step

    def recorded(self, state, actions, shocks):
        periods.append((state, actions))
        return step(self, state, actions, shocks)

    monkeypatch.setattr(Market, "step", recorded)
    return periods


def test_no_networks_are_made_for_a_crowd(make_actor_critic):
    agent = make_actor_critic(ATOMISTIC)
    assert set(agent.learners) == LEARNERS
    assert agent.policy(apart()).keys() == {*LEARNERS, "informed_crowd", "uninformed_crowd"}


def test_a_crowd_plays_its_leaders_policy_in_its_own_place(make_actor_critic):
    agent = make_actor_critic(ATOMISTIC, seeds=[1, 2])
    agent.learn(2 * agent.steps_per_iteration)
    for policy, batch in [(agent.policy, (2, 16)), (agent.policy[1], (16,))]:
        state = apart(batch)
        actions, swapped = policy(state), policy(in_the_crowds_place(state))
        for name in LEARNERS:
            assert torch.equal(actions[f"{name}_crowd"], swapped[name])
            assert not torch.allclose(actions[f"{name}_crowd"], actions[name], rtol=1e-6)


def test_a_crowd_does_not_explore_while_its_leaders_learn(make_actor_critic, monkeypatch):
    # Without a learning rate the mean policy stays what it is; the market is watched in rollouts
    # and in whatever an algorithm does to improve.
    before = make_actor_critic.config
    config = type(before)(**vars(before) | {"policy_rate": 0.0, "warm_up": 0})
    agent = make_actor_critic(ATOMISTIC, config=config)
    periods = record_periods(monkeypatch)
    agent.learn(agent.steps_per_iteration)
    assert len(periods) >= config.horizon
    explored = dict.fromkeys(LEARNERS, False)
    for state, actions in periods:
        with torch.no_grad():
            mean = agent.decide(state, {}).actions
            swapped = agent.decide(in_the_crowds_place(state), {}).actions
        for name in LEARNERS:
            assert torch.equal(actions[f"{name}_crowd"], swapped[name])
            explored[name] |= not torch.allclose(actions[name], mean[name], rtol=1e-3)
    assert set(explored.values()) == {not isinstance(agent, Analytic)}


# ---------------------------------------------------------------------- gradients
@pytest.fixture
def make_analytic(agents):
    return agents["Analytic"]


def test_analytic_takes_the_crowd_as_given(make_analytic, monkeypatch):
    agent = make_analytic(ATOMISTIC)
    agent.learn(2 * agent.steps_per_iteration)  # one iteration of warm-up
    periods = record_periods(monkeypatch)
    agent.learn(3 * agent.steps_per_iteration)
    improving = periods[agent.config.horizon :]
    assert len(improving) == agent.config.horizon
    for t, (state, actions) in enumerate(improving):
        for name in LEARNERS:
            assert actions[name].requires_grad
            assert not actions[f"{name}_crowd"].requires_grad
        assert state.capital.requires_grad == (t > 0) and not state.crowd.requires_grad


def test_analytic_refuses_agents_that_affect_each_other_and_takes_massless_ones(make_analytic):
    for economy in (Market(2), Market(2, n_uninformed=1)):
        with pytest.raises(ValueError, match=r"affect each other.*informed|affect.*household"):
            make_analytic(economy)
    for economy in (Market(), Market(3, atomistic=True), ATOMISTIC):
        make_analytic(economy)


def test_the_analytic_gradient_is_each_households_own(make_analytic):
    """It is the derivative in one household's actions, all others' and the crowd's held fixed."""
    economy = Market(2, atomistic=True)
    agent = make_analytic(economy)
    agent.learn(agent.steps_per_iteration)  # makes standardisation known
    g = torch.Generator().manual_seed(0)
    state, shocks = (
        map_state(lambda x: x.unsqueeze(0), x)
        for x in (economy.reset((3, 4), g), economy.draw((3, 4), g))
    )

    def slopes(mover=None):
        """Of three periods' utility, of all or of the one household that moves."""
        now, total = state, 0.0
        for _ in range(3):
            actions = agent.decide(now, {}).actions
            if mover is not None:
                moves = torch.arange(2).unsqueeze(-1) == mover
                fixed = {name: x.detach() for name, x in actions.items()}
                own = torch.where(moves, actions["household"], fixed["household"])
                actions = fixed | {"household": own}
            step = economy.step(now, actions, shocks)
            now, total = step.state, total + step.rewards["household"]
        total = total.sum() if mover is None else total[..., mover].sum()
        return torch.autograd.grad(total, tuple(agent.learners["household"].actor.parameters()))

    for together, first, second in zip(slopes(), slopes(0), slopes(1), strict=True):
        assert (together != 0).any()
        torch.testing.assert_close(together, first + second, rtol=1e-4, atol=1e-5)
