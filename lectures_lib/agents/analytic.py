"""Analytic: the gradient of utility with respect to the policy, straight through the simulator.

Chapter *Learning by a planner*. This learner may differentiate the economy, which a model-free
learner may not: it is the benchmark of an agent that knows the model but not its solution. Paths
of a few periods end in the critic's value (the short-horizon actor-critic of Xu et al. 2022).
"""

from __future__ import annotations

from dataclasses import dataclass

from ..economies.base import map_state
from .actor_critic import ActorCritic
from .config import ActorCriticConfig
from .network_agent import descend, sum_of_run_means


@dataclass(frozen=True)
class AnalyticConfig(ActorCriticConfig):
    """Settings of :class:`Analytic`: those of :class:`ActorCriticConfig`."""

    steps: int = 4_000_000
    """Environment steps per run that `learn` takes by default."""
    policy_rate: float = 6e-3
    """Adam's learning rate for the policy."""
    replicates: int = 8
    """Economies per group; an even number."""


class Analytic(ActorCritic):
    """Gradient ascent on discounted utility through the simulator.

    Restarts and critic are PPO's; there is no noise in the actions.

    Parameters
    ----------
    economy : Economy
    seed, seeds, device
        As for every :class:`Agent`.
    config : AnalyticConfig, optional

    Raises
    ------
    ValueError
        If agents with different interests affect each other: the derivative of the sum of their
        rewards is not what any of them wants. Massless agents, whom a crowd follows, do not.
    """

    config_class = AnalyticConfig
    config: AnalyticConfig

    def _build(self):
        roles = self.economy.roles
        learners = {name: role for name, role in roles.items() if role.follows is None}
        massless = learners.keys() <= {role.follows for role in roles.values()}
        interests = sum(1 if role.team else role.n_agents for role in learners.values())
        if interests > 1 and not massless:
            raise ValueError(
                f"{type(self.economy).__name__} has agents with interests of their own that affect "
                f"each other (roles {tuple(learners)}); Analytic needs a team, a single agent or "
                "massless agents. Use PPO or Probing."
            )
        super()._build()

    @property
    def steps_per_iteration(self):
        """Environment steps per iteration and run, with and without derivatives."""
        return 2 * super().steps_per_iteration

    def improve(self, rollout):
        """A step up the slope of utility along the paths that the iteration has taken."""
        c = self.config
        state = map_state(lambda x: x[:, 0], rollout.states)
        total = dict.fromkeys(self.learners, 0.0)
        for t in range(c.horizon):
            decided = self.decide(state, {})
            luck = map_state(lambda x: x[:, t], rollout.shocks)  # noqa: B023
            step = self.economy.step(state, decided.actions, luck)
            state = step.state
            for name in total:
                total[name] = total[name] + self.economy.discount_of(name) ** t * step.rewards[name]
        last = self.decide(state, {}, look_only=True).surveyed
        loss = 0.0
        for name, utility in total.items():
            survey = self.standardise_survey(name, last[name]).unsqueeze(1)
            final = self.values(name, survey).squeeze(1)
            discount = self.economy.discount_of(name) ** c.horizon
            loss = loss - sum_of_run_means(utility + discount * final)
        descend(self.policy_optimizer, loss)
