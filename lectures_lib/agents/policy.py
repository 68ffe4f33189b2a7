"""What a learner has learned: networks that act. Chapter *Learning by a planner*."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Self

from torch import Tensor, nn

from ..economies.base import Economy, require_economy
from ..economies.play import play
from ..networks import RunningScale
from ..parameters import entered
from .inputs import input_sizes, network_inputs


def which_run(run: int, runs: int | None) -> int:
    """The number of a run, counted from the first, in a policy that has `runs`.

    Raises
    ------
    IndexError
        If it has no such run.
    ValueError
        If `run` is no whole number.
    """
    run = entered("run", run, int)
    if runs is None or not -runs <= run < runs:
        raise IndexError(f"there is no run {run}: this policy has {runs or 'only one'}.")
    return run % runs


class NetworkPolicy:
    """A learned policy: networks' mean actions, in physical units.

    Parameters
    ----------
    economy : Economy
    actors : dict of str to nn.Module
        For each role that learns, a network from (runs, *any, features) to (runs, *any, actions);
        a role that follows another one plays by the other's.
    scales : dict of str to RunningScale
        Standardisation of each role's features.
    runs : int or None
        Number of runs, which is then the first batch dimension of every state; None for a single
        run, whose states have any batch shape.
    by_action : bool
        Whether networks are applied to each action where actions are alike (`Role.alike_actions`).
    """

    def __init__(
        self,
        economy: Economy,
        actors: Mapping[str, nn.Module],
        scales: Mapping[str, RunningScale],
        runs: int | None,
        by_action: bool = False,
    ):
        self.economy, self.runs, self._by_action = economy, runs, by_action
        # Copies: a policy is a result and stays what it was when training goes on.
        self._actors = {
            name: copy.deepcopy(net).requires_grad_(False) for name, net in actors.items()
        }
        self._scales = {name: copy.deepcopy(scale) for name, scale in scales.items()}

    def __getitem__(self, run: int) -> NetworkPolicy:
        """The policy of one run."""
        run = which_run(run, self.runs)
        one = type(self)(self.economy, self._actors, self._scales, None, self._by_action)
        for module in (*one._actors.values(), *one._scales.values()):
            for p in module.parameters():
                p.data = p.data[run : run + 1]
            for name, b in module.named_buffers():
                if b.dim():  # all but the count of observations
                    setattr(module, name, b[run : run + 1])
        return one

    def on(self, economy: Economy) -> Self:
        """The same networks, unchanged, in another economy: with more households, for example.

        Parameters
        ----------
        economy : Economy
            Its roles have the names and the network inputs of this policy's economy: a network
            that treats agents alike serves any number of them from two.

        Raises
        ------
        ValueError
            If a network does not fit.
        """
        require_economy(economy)
        sizes = [input_sizes(e, self._by_action) for e in (self.economy, economy)]
        for name, actor in self._actors.items():
            role, other = self.economy.roles[name], economy.roles.get(name)
            mine: tuple[int, ...] = (sizes[0][name].inputs, role.n_actions)
            theirs: tuple[int, ...] | None = None
            if other is not None:
                theirs = (sizes[1][name].inputs, other.n_actions)
                if getattr(actor, "separate", None) is not None:
                    mine, theirs = (*mine, role.n_agents), (*theirs, other.n_agents)
                if self._by_action and role.alike_actions and other.alike_actions:
                    mine, theirs = mine[:1] + mine[2:], theirs[:1] + theirs[2:]
            if mine != theirs:
                raise ValueError(
                    f"the network of role {name!r} does not fit {economy!r}: its numbers of inputs "
                    f"and actions are {mine}, and {theirs} are needed. A single agent sees no "
                    "population, so that its network serves no other number of agents."
                )
        return type(self)(economy, self._actors, self._scales, self.runs, self._by_action)

    def __call__(self, state, moved: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Actions of every role; those of roles that have `moved` are taken as given."""
        self.economy.check_form(state)

        def choose(name, sight):
            role = self.economy.roles[name]
            return role.to_physical(self._raw(role, role.follows or name, sight))

        return play(self.economy, state, choose, moved).actions

    def _raw(self, role, leader, sight):
        """What the network of `leader` puts out for a role."""
        x = network_inputs(role, sight, self._by_action)
        batch = sight.own.shape[:-2]
        if self.runs is None:
            x = x.unsqueeze(0)
        elif not batch or batch[0] != self.runs:
            raise ValueError(
                f"this policy has {self.runs} runs, so states need a first dimension of "
                f"{self.runs}; got {tuple(batch)}. Take policy[i] for a single run."
            )
        weight = next(self._actors[leader].parameters())
        # States may live elsewhere than the networks: a GPU's policy is judged on the CPU.
        raw = self._actors[leader](self._scales[leader](x.to(weight.device)).to(weight)).to(x)
        raw = raw.squeeze(-1) if self._by_action and role.alike_actions else raw
        return raw.squeeze(0) if self.runs is None else raw
