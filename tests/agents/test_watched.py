"""An economy that makes nonsense of numbers is blamed, and not the learning rate."""

import pytest
import torch

from lectures_lib.agents import (
    DQN,
    PPO,
    SAC,
    Analytic,
    DQNConfig,
    Probing,
    QLearning,
    TrainingDiverged,
)
from lectures_lib.agents.base import ITERATIONS_BETWEEN_CHECKS
from lectures_lib.agents.watched import NotFinite, Watched
from lectures_lib.economies import Monopolist, Planner


class BadReward(Planner):
    """Its reward is not a number where capital is above what is usual."""

    def transition(self, state, actions, shocks):
        step = super().transition(state, actions, shocks)
        bad = state.capital.squeeze(-1) > 1.2 * self.efficient_capital
        reward = torch.where(bad, torch.nan, step.rewards["planner"])
        return step._replace(rewards={"planner": reward})


class BadState(Planner):
    """Its capital is not a number from some point on."""

    def transition(self, state, actions, shocks):
        step = super().transition(state, actions, shocks)
        bad = state.capital > 1.2 * self.efficient_capital
        capital = torch.where(bad, torch.inf, step.state.capital)
        return step._replace(state=step.state._replace(capital=capital))


class BadLook(Planner):
    """It takes the logarithm of what may be negative."""

    def observe(self, state, moved=None):
        seen = super().observe(state, moved)["planner"]
        bad = state.capital > 1.2 * self.efficient_capital
        return {"planner": torch.where(bad, torch.nan, seen)}


FAULTS = {
    "reward for 'planner'": BadReward(),
    "next state for 'capital'": BadState(),
    "observation for 'planner'": BadLook(),
}
names = ["reward", "state", "observation"]
faults = pytest.mark.parametrize(("what", "broken"), list(FAULTS.items()), ids=names)


@pytest.mark.parametrize("agent_class", [PPO, Probing, SAC, Analytic])
@faults
def test_the_economy_is_blamed_and_the_role_is_named(agent_class, what, broken):
    agent = agent_class(broken, seed=0, device="cpu")
    with pytest.raises(TrainingDiverged, match=f"gives an? {what}") as told:
        agent.learn(26 * agent.steps_per_iteration, show_progress=False)
    assert type(broken).__name__ in str(told.value)
    assert "learning rates are not to blame" in str(told.value)
    # The agent is back at what was good, and its economy is the one it was given.
    assert agent.economy is broken
    assert all(
        torch.isfinite(p).all()
        for x in agent._parts().values()
        if hasattr(x, "parameters")
        for p in x.parameters()
    )


def test_the_economy_is_blamed_where_choices_come_from_a_list():
    class BadProfit(Monopolist):
        def transition(self, state, actions, shocks):
            step = super().transition(state, actions, shocks)
            bad = state.customers > 1.3
            profit = torch.where(bad, torch.inf, step.rewards["firm"])
            return step._replace(rewards={"firm": profit})

    agent = DQN(BadProfit(), device="cpu", config=DQNConfig(groups=8, hidden=(8,), warm_up=1))
    with pytest.raises(TrainingDiverged, match="BadProfit gives a reward for 'firm'"):
        agent.learn(4 * agent.steps_per_iteration, show_progress=False)


def test_a_watched_economy_does_what_it_did():
    economy = Planner()
    watched, generator = Watched(economy), torch.Generator().manual_seed(0)
    state = watched.reset((5,), generator)
    shocks = watched.draw((5,), generator)
    actions = {"planner": torch.full((5, 1, 1), 0.1)}
    step = watched.step(state, actions, shocks)
    expected = economy.step(state, actions, shocks)
    assert torch.equal(step.rewards["planner"], expected.rewards["planner"])
    # What is asked with nonsense may answer with nonsense.
    watched.step(state, {"planner": torch.full((5, 1, 1), torch.nan)}, shocks)
    rich = state._replace(capital=10 * state.capital)
    with pytest.raises(NotFinite, match="BadReward gives a reward for 'planner'"):
        Watched(BadReward()).step(rich, actions, shocks)


def spoiled(make, what, iteration):
    """An agent whose economy makes one NaN, in the last period of an iteration."""
    learning, periods = [], [0]

    class Spoiled(type(make.economy)):
        def transition(self, state, actions, shocks):
            step = super().transition(state, actions, shocks)
            periods[0] += 1
            last = periods[0] % make.config.horizon == 0
            if not (last and learning and learning[0].iteration == iteration):
                return step
            if what == "reward":
                (name,) = step.rewards
                return step._replace(rewards={name: with_a_nan(step.rewards[name])})
            stock = self.fields.moved_by("choice")[0]
            bad = step.state._replace(**{stock: with_a_nan(getattr(step.state, stock))})
            return step._replace(state=bad)

    learning.append(make(Spoiled()))
    return learning[0]


def with_a_nan(x):
    x = x.clone()
    x[(0,) * x.dim()] = torch.nan
    return x


@pytest.mark.parametrize("what", ["reward", "state"])
def test_a_nan_just_before_a_copy_is_kept_is_not_kept_with_it(make_network, what):
    agent = spoiled(make_network, what, ITERATIONS_BETWEEN_CHECKS - 1)
    with pytest.raises(TrainingDiverged, match=f"Spoiled gives a (next )?{what} for"):
        agent.learn(3 * ITERATIONS_BETWEEN_CHECKS * agent.steps_per_iteration, show_progress=False)
    assert agent.iteration == 0
    agent._require_finite(agent._state())


def test_a_callback_is_not_shown_what_is_not_finite(make_network):
    agent, seen = spoiled(make_network, "reward", 3), []
    n = agent.steps_per_iteration
    with pytest.raises(TrainingDiverged, match="Spoiled gives a reward for"):
        agent.learn(
            9 * n, callback=lambda a: seen.append(a.steps), callback_every=1, show_progress=False
        )
    assert seen == [n, 2 * n, 3 * n]


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_tables_have_no_place_for_what_is_not_finite(value):
    class Nowhere(Monopolist):
        def reset(self, batch, generator, dtype=torch.float32):
            state = super().reset(batch, generator, dtype)
            return state._replace(customers=torch.full_like(state.customers, value))

    with pytest.raises(NotFinite, match="Nowhere gives an initial state for 'customers'"):
        QLearning(Nowhere())
