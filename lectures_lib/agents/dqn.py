"""Deep Q-learning (Mnih et al. 2015): a network for the values of all choices, fitted to targets
that it helps to make.

Chapter *Deep Q-learning* explains each part of this file, which reads from top to bottom.

Differences from the paper: (i) the input is a vector and not an image, so that layers are fully
connected, with SiLU activations; (ii) many economies are stepped at once, and are sent back to
where they may begin now and then, because they never end; (iii) inputs and rewards are
standardised by what has been seen, where the paper clips rewards and errors; (iv) Adam with a
falling learning rate in place of RMSProp; (v) the target network moves a little in every step
(Lillicrap et al. 2016), unless it is asked to jump from time to time; (vi) exploration stays
frequent to the end, because nothing is lost by it here, and all choices need to be seen; (vii)
double Q-learning (van Hasselt et al. 2016) and the dueling network (Wang et al. 2016) are options;
(viii) the economies of a group may receive the same shocks, and values are then fitted on
differences within the group; (ix) a team's joint choice may be valued by a mixture of its agents'
values (`mixer`, chapter *Centralised training*), as in :class:`VDN` and :class:`QMIX`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..economies.base import map_state
from ..economies.play import play
from ..parameters import Parameters, require
from .base import Agent
from .config import cosine, geometric, require_not_negative
from .inputs import input_sizes, network_inputs, pooled_features
from .network_agent import adam, descend, sum_of_run_means
from .q_learner import QLearner, Transitions
from .q_network import GreedyPolicy
from .replay import Replay
from .world import World

#: How the values of a team's agents are mixed.
MIXERS = (None, "sum", "monotonic", "free")


@dataclass(frozen=True)
class DQNConfig(Parameters):
    """Settings of :class:`DQN`."""

    steps: int = 2_048_000
    """Environment steps per run that `learn` takes by default."""
    groups: int = 1024
    """Groups of economies."""
    replicates: int = 1
    """Economies per group."""
    horizon: int = 2
    """Periods between two rounds of learning."""
    hidden: tuple[int, ...] = (32, 32)
    """Units of each hidden layer."""
    capacity: int = 1_000_000
    """Transitions that are remembered. With zero there is no replay, and learning uses what the
    last few periods brought, and forgets it."""
    batch: int = 1024
    """Transitions drawn from memory for a step of the optimiser; groups are drawn whole."""
    updates: int = 8
    """Steps of the optimiser in a round of learning."""
    warm_up: int = 8
    """Rounds at the start in which memory is filled and nothing is learned."""
    target_every: int = 1
    """Steps of the optimiser between two moves of the target network."""
    target_rate: float = 0.01
    """Share of the way to the present network that the target network moves then, in (0, 1]; with
    one, and `target_every` at one, there is no target network."""
    double: bool = False
    """Whether the present network picks the next choice that the target network values."""
    dueling: bool = False
    """Whether the network has one output for the state and one for each choice's advantage."""
    rate: float = 3e-3
    """Adam's learning rate."""
    final_rate: float = 0.01
    """Share of the rate that is left at the end of a cosine schedule."""
    epsilon: tuple[float, float] = (1.0, 0.5)
    """Probability of a choice at random, at the start and at the end; it falls geometrically."""
    restart: float = 0.2
    """Probability per round that a group returns to the initial distribution."""
    common_shocks: bool = False
    """Whether the economies of a group receive the same shocks. Values are then fitted on
    differences within the group, and known but for a function of the exogenous state."""
    shared: bool = True
    """Whether the agents of a role share a network, or each has its own. (There is no central
    critic: the network that values choices is the policy, and sees what the agent sees.)"""
    mixer: str | None = None
    """How the values of a team's agents make up that of their joint choice, which then has one
    error (:mod:`~lectures_lib.agents.mixers`). They are added up (`"sum"`), mixed so that
    more of one is never less of the whole (`"monotonic"`), or drawn after values of joint choices
    that are free of both (`"free"`). Without a mixer each agent has an error of its own."""
    mixing: int = 32
    """Units of the mixing network."""
    weight: float = 0.001
    """With a free mixer, the weight of joint choices that are no better than what the agents would
    choose, where their values are drawn after those of joint choices; in (0, 1]."""
    second_moment_size: float = 0.1
    """Size that a population's second moments are given, beside one for all other inputs."""

    def __post_init__(self):
        require_not_negative(self)
        sizes = all(n >= 1 for n in self.hidden)
        require(sizes, "hidden", self.hidden, "whole numbers of at least 1")
        require(self.mixer in MIXERS, "mixer", self.mixer, f"one of {MIXERS}")
        for name in ("groups", "replicates", "horizon", "batch", "target_every", "mixing"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in ("final_rate", "restart"):
            require(getattr(self, name) <= 1, name, getattr(self, name), "a number in [0, 1]")
        for name in ("target_rate", "weight"):
            value = getattr(self, name)
            require(0 < value <= 1, name, value, "a number in (0, 1]")
        ends = len(self.epsilon) == 2 and all(0 < x <= 1 for x in self.epsilon)
        require(ends, "epsilon", self.epsilon, "two probabilities above zero, first and last")
        require(
            self.replicates >= 2 or not self.common_shocks,
            "replicates",
            self.replicates,
            "at least 2, because common_shocks compares the economies of a group",
        )
        require(
            self.capacity == 0 or self.capacity >= self.groups * self.replicates * self.horizon,
            "capacity",
            self.capacity,
            f"zero, or room for a round's {self.groups * self.replicates * self.horizon} steps",
        )


class DQN(Agent):
    """Deep Q-learning for an economy whose roles choose from a list; agents of a role share a
    network.

    Each agent's value is that of its own choice, given what the others do. In a team its reward is
    the mean of the team's. With a `mixer`, used in learning only, a team has one error, that of
    its joint choice's value; its agents still act on their own values alone.

    Parameters
    ----------
    economy : Economy
        Each role that learns has one action, and `choices`.
    seed, seeds, device
        As for every :class:`Agent`.
    config : DQNConfig, optional

    Raises
    ------
    TypeError
        If a role has no choices, or there is a mixer and a role is no team.

    Examples
    --------
    >>> from lectures_lib.economies import Monopolist
    >>> agent = DQN(Monopolist(), seeds=range(2), device="cpu")
    >>> history = agent.learn(steps=10 * agent.steps_per_iteration)
    >>> state = Monopolist().reset((4,), torch.Generator())
    >>> agent.policy[0].q_values(state)["firm"].shape
    torch.Size([4, 1, 11])
    """

    config_class = DQNConfig
    config: DQNConfig

    # ------------------------------------------------------------------ set-up
    def _build(self):
        c = self.config
        roles = {name: r for name, r in self.economy.roles.items() if r.follows is None}
        for name, role in roles.items():
            if not role.choices or role.n_actions != 1:
                raise TypeError(
                    f"role {name!r} of {type(self.economy).__name__} has choices={role.choices!r} "
                    f"for {role.n_actions} action(s); DQN chooses one action from a list, as in "
                    "Monopolist(). PPO takes any economy."
                )
            if c.mixer is not None and not role.team:
                raise TypeError(
                    f"role {name!r} of {type(self.economy).__name__} is no team, and "
                    f"mixer={c.mixer!r} mixes the values of one: expected a role with team=True, "
                    "as in TwoStep(). Rivals learn with mixer=None."
                )
        sizes = input_sizes(self.economy)
        surveyed = input_sizes(self.economy, survey=True)
        self.learners = nn.ModuleDict(
            {
                name: QLearner(role, c, self.streams, sizes[name], surveyed[name])
                for name, role in roles.items()
            }
        )
        self.optimizer = adam([p for each in self.learners.values() for p in each.learned()])
        # Groups are remembered whole. Without replay there is room for one round only.
        remembered = max(c.capacity // c.replicates, c.horizon * c.groups)
        self.memory = Replay(remembered, self.streams)
        self.world = World(
            self.economy,
            self.streams,
            groups=c.groups,
            replicates=c.replicates,
            common_shocks=c.common_shocks,
            restart=c.restart,
            apart=True,
        )

    def _parts(self):
        return {
            "learners": self.learners,
            "optimizer": self.optimizer,
            "memory": self.memory,
            "states": self.world,
        }

    @property
    def steps_per_iteration(self):
        """Environment steps that an iteration takes in each run."""
        return self.config.groups * self.config.replicates * self.config.horizon

    @property
    def epsilon(self) -> float:
        """Probability of a choice at random now."""
        return geometric(self.config.epsilon, self.progress)

    @property
    def policy(self) -> GreedyPolicy:
        """The policy learned so far; it takes no choice at random."""
        return GreedyPolicy(
            self.economy,
            {name: learner.online for name, learner in self.learners.items()},
            {name: learner.scale for name, learner in self.learners.items()},
            self.runs,
        )

    def q_values(self, state) -> dict[str, Tensor]:
        """Values of all choices at a state (:meth:`GreedyPolicy.q_values`)."""
        return self.policy.q_values(state)

    # ------------------------------------------------------------------ an iteration
    def iterate(self):
        """Live for some periods, remember them, and learn from some batches."""
        c = self.config
        earned = self.collect(self.world.restart(self.economy))
        self._set_scales_and_rate()
        if self.iteration >= c.warm_up:
            for i in range(c.updates):
                self.update()
                taken = (self.iteration - c.warm_up) * c.updates + i + 1
                if taken % c.target_every == 0:
                    self.move_target()
        return {f"{k} reward": r.flatten(1).mean(1) for k, r in earned.items()}

    def _set_scales_and_rate(self):
        for name, learner in self.learners.items():
            learner.set_units(1 / (1 - self.economy.discount_of(name)))
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.rate * cosine(self.config.final_rate, self.progress)

    # ------------------------------------------------------------------ living through the economy
    def _look(self, state, t=None, luck=None):
        """What each role and its mixer see and, given this period's luck, what it chooses and
        does."""
        seen, chosen = {}, {}
        only_look = self.economy.stages[-1] if luck is None else ()

        def choose(name, sight):
            role = self.economy.roles[name]
            learner = self.learners[role.follows or name]
            seen[name] = network_inputs(role, sight, False)
            if name in only_look:
                return None
            chosen[name] = learner.online(learner.scale(seen[name])).argmax(-1)
            if luck is not None and name in luck:
                explore, other = (x[:, t] for x in luck[name])
                chosen[name] = torch.where(explore, other, chosen[name])
            return learner.choices[chosen[name]].unsqueeze(-1)

        mixing = self.config.mixer is not None
        played = play(self.economy, state, choose, survey=mixing)
        world = {name: pooled_features(*sight) for name, sight in played.surveyed.items()}
        return seen, world if mixing else {}, chosen, played.actions

    def _explore(self, name):
        """When agents choose at random, and what: (runs, T, groups, replicates, agents) each."""
        c, role = self.config, self.economy.roles[name]
        shape = (c.horizon, c.groups, c.replicates, role.n_agents)
        device, epsilon = self.device, self.epsilon
        explore = self.streams.stack(
            lambda _, g: torch.rand(shape, generator=g, device=device) < epsilon
        )
        other = self.streams.stack(
            lambda _, g: torch.randint(len(role.choices), shape, generator=g, device=device)
        )
        return explore, other

    @torch.no_grad()
    def collect(self, state):
        """Live for some periods and remember them; returns rewards by role."""
        c = self.config
        shocks = self.world.draw(self.economy, c.horizon)
        luck = {name: self._explore(name) for name in self.learners}
        kept: dict[str, list[Tensor]] = {}
        for t in range(c.horizon):
            seen, world, chosen, actions = self._look(state, t, luck)
            step = self.economy.step(state, actions, map_state(lambda x: x[:, t], shocks))  # noqa: B023
            following, next_world, _, _ = self._look(step.state)
            for name in self.learners:
                reward = step.rewards[name]
                if self.economy.roles[name].team:
                    reward = reward.mean(-1, keepdim=True).expand_as(reward)
                transition = Transitions(
                    seen[name],
                    chosen[name],
                    reward,
                    following[name],
                    world.get(name),
                    next_world.get(name),
                )
                for field, x in transition._asdict().items():
                    if x is not None:
                        kept.setdefault(f"{name} {field}", []).append(x)
            state = step.state
        self.world.state = state
        stacked = {name: torch.stack(x, 1) for name, x in kept.items()}
        rewards = {name: stacked[f"{name} reward"] for name in self.learners}
        for name, learner in self.learners.items():
            learner.scale.update(stacked[f"{name} inputs"])
            learner.reward_scale.update(rewards[name].unsqueeze(-1))
            if learner.mixer is not None:
                learner.world_scale.update(stacked[f"{name} world"])
        self.memory.add(**{name: x.flatten(1, 2) for name, x in stacked.items()})
        return rewards

    # ------------------------------------------------------------------ learning from memory
    def update(self):
        """A step of the optimiser on a batch from memory."""
        groups = self.config.batch // self.config.replicates
        drawn = self.memory.sample(max(1, groups))
        loss = 0.0
        for name, learner in self.learners.items():
            error = self.errors(name, drawn)
            spread = learner.online.spread.reshape(-1, *[1] * (error.dim() - 1))
            loss = loss + sum_of_run_means((error / spread).square())
        descend(self.optimizer, loss)

    def errors(self, name, drawn) -> Tensor:
        """Temporal-difference errors (runs, n, replicates, agents) of a role, in units of reward.

        A team with a mixer has one for all (:meth:`.QLearner.errors`).
        """
        seen = {
            field: drawn[f"{name} {field}"]
            for field in Transitions._fields
            if f"{name} {field}" in drawn
        }
        return self.learners[name].errors(Transitions(**seen), self.economy.discount_of(name))

    def move_target(self):
        """Let the target network follow the present one a little."""
        for learner in self.learners.values():
            learner.move_target(self.config.target_rate)
