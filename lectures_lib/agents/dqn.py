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
differences within the group.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..economies.base import map_state
from ..economies.play import play
from ..networks import RunningScale
from ..parameters import Parameters, require
from .base import Agent
from .config import cosine, geometric, require_not_negative
from .inputs import input_sizes, network_inputs
from .losses import demean, q_target
from .network_agent import adam, descend, follow, sum_of_run_means
from .q_network import GreedyPolicy, QNetwork
from .replay import Replay
from .world import World

# What is remembered of a transition, in this order.
_FIELDS = ("inputs", "choice", "reward", "following")


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
    second_moment_size: float = 0.1
    """Size that a population's second moments are given, beside one for all other inputs."""

    def __post_init__(self):
        require_not_negative(self)
        sizes = all(n >= 1 for n in self.hidden)
        require(sizes, "hidden", self.hidden, "whole numbers of at least 1")
        for name in ("groups", "replicates", "horizon", "batch", "target_every"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in ("final_rate", "restart", "target_rate"):
            require(getattr(self, name) <= 1, name, getattr(self, name), "a number in [0, 1]")
        require(self.target_rate > 0, "target_rate", self.target_rate, "a number in (0, 1]")
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


class _Learner(nn.Module):
    """One role's networks, present and target, the scales of inputs and rewards, its choices."""

    def __init__(self, role, config, streams, device, seen):
        super().__init__()
        runs = len(streams.generators)
        sizes = (seen.inputs, *config.hidden, len(role.choices))
        own = None if config.shared else (role.n_agents, -2)
        self.online = QNetwork(sizes, config.dueling, streams, own)
        self.target = copy.deepcopy(self.online).requires_grad_(False)
        self.scale = RunningScale(
            runs, seen.inputs, device, seen.second_moments, config.second_moment_size
        )
        self.reward_scale = RunningScale(runs, 1, device)
        choices = torch.tensor(role.choices, device=device)
        self.register_buffer("choices", choices, persistent=False)


class DQN(Agent):
    """Deep Q-learning for an economy whose roles choose from a list; agents of a role share a
    network.

    Each agent's value is that of its own choice, given what the others do. In a team its reward is
    the mean of the team's.

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
        If a role has no choices.

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
        sizes = input_sizes(self.economy)
        self.learners = nn.ModuleDict(
            {
                name: _Learner(role, c, self.streams, self.device, sizes[name])
                for name, role in roles.items()
            }
        )
        weights = [p for each in self.learners.values() for p in each.online.parameters()]
        self.optimizer = adam(weights)
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
        c = self.config
        # A target network that differs in its weights alone: both count in the same units.
        for name, learner in self.learners.items():
            horizon = 1 / (1 - self.economy.discount_of(name))
            mean, inverse = learner.reward_scale.moments(2, torch.float32)
            for network in (learner.online, learner.target):
                network.level.copy_(horizon * mean[:, 0])
                network.spread.copy_(horizon / inverse[:, 0])
        for group in self.optimizer.param_groups:
            group["lr"] = c.rate * cosine(c.final_rate, self.progress)

    # ------------------------------------------------------------------ living through the economy
    def _look(self, state, t=None, luck=None):
        """What each role sees and, given this period's luck, what it chooses and does."""
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

        return seen, chosen, play(self.economy, state, choose).actions

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
            seen, chosen, actions = self._look(state, t, luck)
            step = self.economy.step(state, actions, map_state(lambda x: x[:, t], shocks))  # noqa: B023
            following, _, _ = self._look(step.state)
            for name in self.learners:
                reward = step.rewards[name]
                if self.economy.roles[name].team:
                    reward = reward.mean(-1, keepdim=True).expand_as(reward)
                transition = (seen[name], chosen[name], reward, following[name])
                for field, x in zip(_FIELDS, transition, strict=True):
                    kept.setdefault(f"{name} {field}", []).append(x)
            state = step.state
        self.world.state = state
        stacked = {name: torch.stack(x, 1) for name, x in kept.items()}
        rewards = {name: stacked[f"{name} reward"] for name in self.learners}
        for name, learner in self.learners.items():
            learner.scale.update(stacked[f"{name} inputs"])
            learner.reward_scale.update(rewards[name].unsqueeze(-1))
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
        """Temporal-difference errors (runs, n, replicates, agents).

        In units of reward.
        """
        c, learner = self.config, self.learners[name]
        fields = [drawn[f"{name} {field}"] for field in _FIELDS]
        inputs, chosen, reward, following = fields
        with torch.no_grad():
            next_inputs = learner.scale(following)
            picked = None
            if c.double:
                picked = learner.online(next_inputs).argmax(-1)
            target = q_target(
                reward,
                learner.target(next_inputs),
                self.economy.discount_of(name),
                picked,
            )
        values = learner.online(learner.scale(inputs))
        error = values.gather(-1, chosen.unsqueeze(-1)).squeeze(-1) - target
        # What luck does to all economies of a group is no choice's merit.
        return demean(error, dim=2) if c.common_shocks else error

    def move_target(self):
        """Let the target network follow the present one a little."""
        for learner in self.learners.values():
            follow(learner.target, learner.online, self.config.target_rate)
