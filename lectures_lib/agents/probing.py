"""Probing: try each action a little higher and a little lower, from every state visited.

Chapter *Probing*. PPO's noise runs along whole paths, so that an advantage
collects the effects of many actions. A simulator that can restart from any state allows a cleaner
experiment (simultaneous perturbation, Spall 1992): from each visited state take the mean action
plus and minus a probe, under the *same* shocks, and compare reward plus discounted value of what
comes after. The path itself follows the mean policy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..economies.base import map_state
from ..parameters import require
from .actor_critic import ActorCritic
from .config import ActorCriticConfig, enter_multiples, geometric, require_noise
from .gauss_newton import least_squares_step
from .losses import demean, expected_returns
from .network_agent import descend, sum_of_run_means
from .polynomial import AGENTS, PolynomialCritic

#: The furthest that a Gauss-Newton step aims: a raw action, and a critic's output.
FURTHEST_ACTION, FURTHEST_VALUE = 0.3, 1.0
#: The most outputs that one may move: a matrix with as many rows and columns has to be factorised.
MOST_OUTPUTS = 5_000


@dataclass(frozen=True)
class ProbingConfig(ActorCriticConfig):
    """Settings of :class:`Probing`, beside those of :class:`ActorCriticConfig`."""

    steps: int = 7_400_000
    """Environment steps per run that `learn` takes by default, probes counted."""
    policy_rate: float = 6e-3
    """Adam's learning rate for the policy."""
    replicates: int = 8
    """Economies per group; an even number."""
    noise: tuple[float, float] = (0.15, 0.03)
    """Size of the probe before squashing, at the start and at the end; it falls geometrically."""
    relative_noise: Mapping[str, float] | tuple[tuple[str, float], ...] = ()
    """By role, a multiple of the probe's size, such as ``{"firm": 0.5}``."""
    tremble: float = 0.0
    """Standard deviation of noise in what others have done earlier in a period, before squashing,
    while those probe who have seen it. Paths have none, so that without it they learn nothing of
    what to do when others do something else."""
    draws: int = 0
    """Next periods that are simulated from each state visited, to average over luck what probes
    are worth and what the critic should say. With zero, the luck of the path stands for all."""
    optimizer: str = "adam"
    """How weights move. It is `"adam"`, or `"gauss-newton"`: steps of damped least squares, towards
    the top of the parabola through three probes and towards the critic's targets. One curvature
    stands for all states of a run, the mean of what probes find in an iteration. Rates are then
    shares of the full step, at most 1, which each critic takes `critic_epochs` times an iteration.
    For roles of one agent, and teams with `split_probes`: in other roles the probes of others
    would enter the curvature that each finds."""
    damping: float = 1e-4
    """Of Gauss-Newton steps, relative to the mean square of the derivatives of an output."""
    split_probes: bool = False
    """Whether the agents of a team probe all in the same direction in every other period, and in
    directions that cancel out in the others. What all should do together and what each should do
    beside the others are then learned from probes of their own: neither is noise in the other. For
    teams of several agents that share their networks; others probe as ever."""
    critic: str = "network"
    """What values are, a `"network"`, fitted by steps to lambda-returns, or a `"polynomial"` of
    degree three in the same inputs, fitted by least squares
    (:class:`~lectures_lib.agents.polynomial.PolynomialCritic`). The latter knows slopes far more
    precisely where values are smooth. It has no use for `critic_rate`, `critic_epochs` and `lam`,
    and needs `difference_critic`, `common_shocks` and `shared`."""

    def __post_init__(self):
        super().__post_init__()
        expected = "'network' or 'polynomial'"
        require(self.critic in ("network", "polynomial"), "critic", self.critic, expected)
        if self.critic == "polynomial":
            for name in ("difference_critic", "common_shocks", "shared"):
                value = getattr(self, name)
                require(value, name, value, "True, which a polynomial critic needs")
        require_noise(self.noise)
        enter_multiples(self, "relative_noise")
        known = self.optimizer in ("adam", "gauss-newton")
        require(known, "optimizer", self.optimizer, "'adam' or 'gauss-newton'")
        require(self.damping > 0, "damping", self.damping, "a positive number")
        if self.optimizer == "gauss-newton":
            expected = "at most 1, the full step, with optimizer='gauss-newton'"
            for name in ("policy_rate", "critic_rate"):
                require(getattr(self, name) <= 1, name, getattr(self, name), expected)
            short = all(self.policy_rate * x <= 1 for _, x in self.relative_rates)
            expected = f"multiples of policy_rate={self.policy_rate} that are {expected}"
            require(short, "relative_rates", self.relative_rates, expected)

    @classmethod
    def precise(cls, **changes) -> ProbingConfig:
        """Settings for a rule that is known to a few hundredths of a per cent.

        For economies with one agent that takes one action; chapter *Learning by a planner: one
        household*. Iterations cost more, and few are needed.
        """
        exact: dict[str, Any] = {
            "steps": 20_000_000,
            "horizon": 4,
            "noise": (0.1, 0.01),
            "settled": 0.3,
            "draws": 20,
            "optimizer": "gauss-newton",
            "policy_rate": 0.2,
            "critic_rate": 0.5,
            "final_rate": 0.01,
            "critic_epochs": 1,
            "average": 0.9,
        }
        return cls(**(exact | changes))


class Probing(ActorCritic):
    """Policy improvement by antithetic probes from visited states.

    Restarts, paths and critic are PPO's; paths have no noise, and the policy takes one step per
    iteration along the probes' finite differences.

    Parameters
    ----------
    economy : Economy
    seed, seeds, device
        As for every :class:`Agent`.
    config : ProbingConfig, optional
    """

    config_class = ProbingConfig
    config: ProbingConfig

    def _build(self):
        super()._build()
        self._ahead = None
        if self.config.optimizer == "adam":
            return
        for name in self.learners:
            role = self.economy.roles[name]
            one_output = role.n_actions == 1 or role.alike_actions
            fits = one_output and self.config.shared and self.processes.count == 1
            expected = f"'adam', as {name!r} has several outputs, networks or processes"
            require(fits, "optimizer", self.config.optimizer, expected)
            alone = role.n_agents == 1 or self.splits(name)
            expected = f"'adam', as {name!r} has several agents, or a team and split_probes=True"
            require(alone, "optimizer", self.config.optimizer, expected)
            self._require_few_outputs(name, role)

    def _require_few_outputs(self, name, role):
        c, each = self.config, role.n_agents * role.n_actions
        n = c.horizon * c.groups * c.replicates * each
        expected = (
            f"so few that horizon={c.horizon} times groups times replicates={c.replicates} times "
            f"{each} actions of {name!r}, now {n:,}, is at most {MOST_OUTPUTS:,} with "
            "optimizer='gauss-newton'"
        )
        require(n <= MOST_OUTPUTS, "groups", c.groups, expected)

    def make_networks(self, role, seen, surveyed):
        """Networks, and a polynomial in the place of the critic if the config says so."""
        networks = super().make_networks(role, seen, surveyed)
        if self.config.critic == "polynomial":
            sizes = surveyed.inputs, self.device, surveyed.second_moments
            networks.critic = PolynomialCritic(len(self.seeds), *sizes)
        return networks

    @property
    def steps_per_iteration(self):
        """Environment steps per iteration and run, with all probes of every learner and what is
        simulated to average over luck."""
        probes = 2 if self.config.optimizer == "adam" else 3
        luck = max(self.config.draws, 1)
        per_learner = probes * luck + self.config.draws
        return super().steps_per_iteration * (1 + per_learner * len(self.learners))

    @property
    def noise(self) -> float:
        """Size of the probe now, before squashing."""
        return geometric(self.config.noise, self.progress)

    def collect(self, state):
        """Let the economies run, and draw the luck by which what follows is averaged."""
        rollout = super().collect(state)
        c = self.config
        self._ahead = self.world.draw_ahead(self.economy, c.horizon, c.draws) if c.draws else None
        return rollout

    def returns(self, name, rollout):
        """The critic's targets; averaged over luck if so configured."""
        if self._ahead is None:
            return super().returns(name, rollout)
        worth = self.worth(name, rollout, {}).movedim(1, 0)
        values = self.values(name, rollout.surveys[name]).movedim(1, 0)
        discount = self.economy.discount_of(name)
        return expected_returns(worth, values, discount, self.config.lam).movedim(0, 1)

    @torch.no_grad()
    def fit_critic(self, rollout):
        """Move the critic towards what has followed, by the config's optimiser, or solve for it."""
        if self.config.critic == "polynomial":
            # Before anything has been seen inputs have no scale.
            for name in rollout.rewards if self.iteration else ():
                self._solve_for_critic(name, rollout)
            return
        if self.config.optimizer == "adam":
            with torch.enable_grad():
                super().fit_critic(rollout)
            return
        c, rate = self.config, self.critic_optimizer.param_groups[0]["lr"]
        targets = {n: self.returns(n, rollout) for n in rollout.rewards}
        for name, target in c.critic_epochs * [*targets.items()]:
            learner, survey = self.learners[name], rollout.surveys[name][:, :-1]
            wanted = target - self.values(name, rollout.surveys[name][:, :-1])
            wanted = wanted / self._value_scale[name]
            if c.difference_critic:
                wanted = demean(wanted, dim=3)
            wanted = wanted.clamp(-FURTHEST_VALUE, FURTHEST_VALUE)
            if learner.critic_each:
                wanted = wanted.unsqueeze(-1).expand(survey.shape[:-1])
            rows = wanted.shape[3:]

            def centre(x, rows=rows):
                return demean(x.unflatten(1, (-1, *rows)), 2).flatten(1, 1 + len(rows))

            move = survey.flatten(1, -2), wanted.flatten(1), c.damping, rate
            least_squares_step(learner.critic, *move, centre if c.difference_critic else None)

    @torch.no_grad()
    def _solve_for_critic(self, name, rollout):
        learner, survey = self.learners[name], rollout.surveys[name]
        critic: PolynomialCritic = learner.critic
        critic.varies |= (learner.critic_scale.variance > 1e-10).any(0)
        n = self.economy.roles[name].n_agents
        some = self.streams.stack(
            lambda _, g: torch.randperm(n, generator=g, device=self.device)[:AGENTS]
        )
        run = torch.arange(len(some), device=self.device).unsqueeze(-1)

        def of_some(x):
            return x if n <= AGENTS else x.movedim(4, 1)[run, some].movedim(1, 4)

        def features(x):
            found = critic.features(of_some(x))
            return demean(found.mean(-2) if learner.critic_each else found, dim=3)

        if self._ahead is None:
            seen = features(survey)
            now, later = seen[:, :-1], seen[:, 1:]
        else:
            now, later = features(survey[:, :-1]), features(self._look_ahead(name, rollout, {})[1])
            later = later.unflatten(1, (self.config.draws, -1)).mean(1)
        earned = rollout.rewards[name].movedim(0, 1) / self._value_scale[name]
        earned = demean(of_some(earned), dim=3)
        later = self.economy.discount_of(name) * later
        now, later = (x.flatten(1, -2) for x in (now, later))
        critic.fit(now, later, earned.flatten(1), self.processes)

    def improve(self, rollout):
        """A step along the slopes that the probes have found."""
        if self.config.optimizer == "gauss-newton":
            return self._go_to_the_top(rollout)
        loss = 0.0
        for name in self.learners:
            sd = self.noise_of(name)
            trembles, observations = self.look_again(name, rollout)
            with torch.no_grad():
                probe, weight = self.probes(name, rollout)
                more, less = (
                    self.worth(name, rollout, trembles | {name: x})
                    for x in (sd * probe, -sd * probe)
                )
                gain = self.credit(name, more - less)
                slope = gain.unsqueeze(-1) * weight / (2 * sd)
            mean = self.act(name, observations)
            loss = loss - sum_of_run_means((slope * mean).sum(-1))
        descend(self.policy_optimizer, loss)

    def _go_to_the_top(self, rollout):
        """A Gauss-Newton step to where the probes' slopes vanish."""
        rates = [group["lr"] for group in self.policy_optimizer.param_groups]
        moves = {name: self._moves(name, rollout) for name in self.learners}
        for rate, (name, (inputs, move)) in zip(rates, moves.items(), strict=True):
            actor, damping = self.learners[name].actor, self.config.damping
            least_squares_step(actor, inputs.flatten(1, -2), move.flatten(1), damping, rate)

    @torch.no_grad()
    def _moves(self, name, rollout) -> tuple[Tensor, Tensor]:
        """Inputs of a policy, and how far away is the top of the parabola through its probes."""
        sd = self.noise_of(name)
        trembles, observations = self.look_again(name, rollout)
        probe, weight = self.probes(name, rollout)
        more, same, less = (
            self.credit(name, self.worth(name, rollout, trembles | {name: x * sd * probe}, False))
            for x in (1, 0, -1)
        )
        slope = ((more - less) / (2 * sd)).unsqueeze(-1) * weight
        # All actions probe at once, so that each has its share of the curvature; which is another
        # one where all move together than where they move apart.
        bend = (2 * same - more - less).mean(-1) / (sd * probe).square().sum((-1, -2))
        kinds = 2 if self.splits(name) else 1
        bend = torch.cat(
            [bend[:, t::kinds].mean((1, 2, 3)).unsqueeze(-1) for t in range(kinds)], -1
        )
        bend = bend[:, torch.arange(self.config.horizon, device=self.device) % kinds]
        # Without a top, as far as is allowed in the right direction.
        bend = bend.clamp_min(torch.finfo(bend.dtype).tiny)
        bend = bend.reshape(*bend.shape, *[1] * (slope.dim() - 2))
        return observations, (slope / bend).clamp(-FURTHEST_ACTION, FURTHEST_ACTION)

    def splits(self, name: str) -> bool:
        """Whether a role's agents probe together and apart by turns."""
        several = self.economy.roles[name].n_agents > 1
        c = self.config
        return c.split_probes and c.shared and several and self.judged_together(name)

    def probes(self, name, rollout) -> tuple[Tensor, Tensor]:
        """Probes, and what to multiply their gains by: the product's mean is the gradient."""
        signs = self._drawn(name, rollout, _signs)
        if not self.splits(name):
            return signs, signs
        n = self.economy.roles[name].n_agents
        half = n // 2
        rank = self._drawn(name, rollout, torch.rand).argsort(-2).argsort(-2)
        apart = (rank < half).to(signs) - (rank >= n - half).to(signs)
        together = signs[..., :1, :].expand_as(signs)
        period = torch.arange(self.config.horizon, device=self.device) + self.iteration
        is_common = (period % 2 == 0).reshape(1, -1, *[1] * (signs.dim() - 2))
        # Each kind is seen half of the time. Where directions cancel out, the mean product of a
        # gain with one's own is (2 half / n) (n / (n - 1)) times how far one's slope is from the
        # mean of all; where all have one direction it is n times this mean.
        return (
            torch.where(is_common, together, apart),
            torch.where(is_common, 2 / n * together, (n - 1) / half * apart),
        )

    @torch.no_grad()
    def look_again(self, name, rollout) -> tuple[dict[str, Tensor], Tensor]:
        """Trembles of those who move earlier, and what a role then sees."""
        size, stages = self.config.tremble, self.economy.stages
        turn = next(i for i, stage in enumerate(stages) if name in stage)
        before = [x for stage in stages[:turn] for x in stage]
        earlier = [x for x in before if x in self.learners]
        if not (earlier and size):
            return {}, rollout.observations[name][:, :-1]
        draw = torch.randn
        trembles = {x: size * self._drawn(x, rollout, draw) for x in earlier}
        seen = self.decide(rollout.states, trembles).seen[name]
        return trembles, self.standardise(name, seen)

    def _drawn(self, name, rollout, draw):
        """For each action of a role, shape (runs, T, groups, replicates, agents, actions)."""
        groups, *rest = rollout.rewards[name].shape[2:]
        groups *= self.processes.count
        shape = (self.config.horizon, groups, *rest, self.economy.roles[name].n_actions)
        drawn = self.streams.stack(lambda _, g: draw(shape, generator=g, device=self.device))
        return self.processes.mine(drawn, 2)

    def worth(self, name, rollout, offsets, level=True) -> Tensor:
        """Reward and discounted value after offsets, (runs, T, groups, replicates, agents).

        Without the level that all values share, and in float64, for second differences: in those of
        small probes little else than the rounding of the level would be left.
        """
        rewards, survey = self._look_ahead(name, rollout, offsets)
        if level:
            values = self.values(name, survey)
        else:
            values = self.relative_values(name, survey).double()
        worth = rewards + self.economy.discount_of(name) * values
        draws = self.config.draws
        return worth if self._ahead is None else worth.unflatten(1, (draws, -1)).mean(1)

    def _look_ahead(self, name, rollout, offsets) -> tuple[Tensor, Tensor]:
        """Rewards after offsets, and what the critic then sees; all draws' periods, one after the
        other, where there are several."""
        actions = self.decide(rollout.states, offsets).actions
        states, shocks, draws = rollout.states, rollout.shocks, self.config.draws
        if self._ahead is not None:

            def again(x):
                return x.unsqueeze(1).expand(-1, draws, *x.shape[1:]).flatten(1, 2)

            states, shocks = map_state(again, states), self._ahead
            actions = {role: again(x) for role, x in actions.items()}
        step = self.economy.step(states, actions, shocks)
        after = self.decide(step.state, {}, look_only=True).surveyed[name]
        return step.rewards[name], self.standardise_survey(name, after)


def _signs(shape, **how) -> Tensor:
    """Plus or minus one at random."""
    return 2.0 * torch.randint(2, shape, **how) - 1
