"""The economies in which a learner lives, and its control over their luck.

Chapter *Learning when shocks are inputs*. Economies come in groups of replicates. Those of a group
may receive the same shocks; now and then they return to where the economy begins, or are scattered
around a state that one of them has reached.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..distributed import ALONE, Processes
from ..economies.base import Economy, map_state
from ..networks import Streams
from ..parameters import require


class World:
    """Groups of economies of several runs, and the states in which they stand.

    Methods are given the economy, so that a learner can have it watched.

    Parameters
    ----------
    economy : Economy
    streams : Streams
        One random stream for each run.
    groups, replicates : int
        Of each run.
    common_shocks : bool
        Whether the replicates of a group receive the same shocks.
    restart : float
        Probability that a group, or a replicate that has its own luck, returns to the initial
        distribution when :meth:`restart` is called.
    jitter : float
        Half-width of the range in which a group's replicates are scattered then
        (:meth:`~lectures_lib.economies.Economy.perturb`) around the state of one of them;
        with zero each goes on from where it was.
    paired : bool
        Whether replicates are scattered in pairs that start from the same state.
    apart : bool
        Whether the replicates of a group begin in initial states of their own, and return together.
        If they receive the same shocks, what chance moves is the same for all.
    processes : Processes
        Among whom the groups are divided. Each draws the random numbers of all of them.

    Raises
    ------
    ValueError
        If there are not as many groups for each process.
    """

    def __init__(
        self,
        economy: Economy,
        streams: Streams,
        *,
        groups: int,
        replicates: int,
        common_shocks: bool,
        restart: float,
        jitter: float = 0.0,
        paired: bool = False,
        apart: bool = False,
        processes: Processes = ALONE,
    ):
        among = f"a multiple of {processes.count}, the number of processes that learn together"
        require(groups % processes.count == 0, "groups", groups, among)
        self.streams, self.groups, self.replicates = streams, groups, replicates
        self.common_shocks, self.probability = common_shocks, restart
        self.jitter, self.paired, self.apart = jitter, paired, apart
        self.processes = processes
        #: The states in which the economies stand, shape (runs, groups, replicates, ...); of this
        #: process's groups, as is all that methods return.
        self.state = self._fresh(economy)

    @property
    def _own_luck(self) -> int:
        return 1 if self.common_shocks else self.replicates

    def draw(self, economy: Economy, periods: int):
        """Shocks of some periods, shape (runs, periods, groups, replicates or 1, ...)."""
        shape = (periods, self.groups, self._own_luck)
        return self._mine(self.streams.stack(lambda _, g: economy.draw(shape, g)), 2)

    def draw_ahead(self, economy: Economy, periods: int, draws: int):
        """Luck of several next periods for each of some periods.

        Shape (runs, draws * periods, groups, replicates or 1, ...), each draw's periods together.
        Shocks that have the name of a chain have to be uniform on [0, 1), as those are by which
        chains move, and are spread evenly (`spread_evenly`); others stay as drawn.
        """
        shape = (draws * periods, self.groups, self._own_luck)

        def drawn(_, generator):
            shocks = economy.draw(shape, generator)
            even = {
                name: spread_evenly(getattr(shocks, name).unflatten(0, (draws, periods)), generator)
                for name in economy.fields.chains
                if name in shocks._fields
            }
            return shocks._replace(**{name: x.flatten(0, 1) for name, x in even.items()})

        return self._mine(self.streams.stack(drawn), 2)

    # ------------------------------------------------------------------ where they begin
    def _fresh(self, economy):
        n = self.replicates if self.apart else self._own_luck
        state = self._mine(self.streams.stack(lambda _, g: economy.reset((self.groups, n), g)))
        if not self.apart:
            return self._expand(state)
        if not self.common_shocks:
            return state
        # Who has the same luck has had it before.
        chance = economy.fields.moved_by("chance")
        return state._replace(
            **{
                name: getattr(state, name)[:, :, :1].expand_as(getattr(state, name))
                for name in chance
            }
        )

    def _expand(self, state):
        return map_state(lambda x: x.expand(-1, -1, self.replicates, *x.shape[3:]), state)

    def _mine(self, drawn, dim=1):
        return map_state(lambda x: self.processes.mine(x, dim), drawn)

    def restart(self, economy: Economy):
        """Where the economies stand when a new iteration begins.

        Returns
        -------
        State, shape (runs, groups, replicates, ...)
        """
        if self.apart:
            new = self._returning(1)
            return _choose(new, self._fresh(economy), self.state)
        state, fresh = self.state, self._fresh(economy)
        if self.jitter > 0:
            state = self._expand(self._one_of_each_group(state))
        state = _choose(self._returning(self._own_luck), fresh, state)
        if self.jitter > 0:
            everywhere = map_state(lambda x: self.processes.in_everyones_place(x, 1), state)
            state = self.streams.stack(
                lambda run, g: economy.perturb(
                    map_state(lambda x: x[run], everywhere), g, self.jitter
                )
            )
            state = self._mine(state)
        return map_state(_first_of_pair, state) if self.paired else state

    def _one_of_each_group(self, state):
        device = self.streams.generators[0].device
        chosen = self.streams.stack(
            lambda _, g: torch.randint(
                self.replicates, (self.groups, 1), generator=g, device=device
            )
        )
        chosen = self.processes.mine(chosen, 1)
        run = torch.arange(len(chosen), device=device)[:, None, None]
        group = torch.arange(chosen.shape[1], device=device)[:, None]
        return map_state(lambda x: x[run, group, chosen], state)

    def _returning(self, n) -> Tensor:
        """Which of the n economies in each group begin anew, shape (runs, groups, n)."""
        new = self.streams.stack(
            lambda _, g: (
                torch.rand((self.groups, n), generator=g, device=g.device) < self.probability
            )
        )
        return self.processes.mine(new, 1)

    # ------------------------------------------------------------------ a part that can be saved
    def state_dict(self) -> dict[str, Tensor]:
        """Where the economies stand, those of all processes."""
        fields = self.state._asdict().items()
        return {name: self.processes.whole(x, 1) for name, x in fields}

    def load_state_dict(self, stored: dict[str, Tensor]) -> None:
        """Return to where they stood."""
        self.state = self._mine(type(self.state)(**stored))


def spread_evenly(uniform: Tensor, generator: torch.Generator) -> Tensor:
    """Uniform numbers, of which those that are averaged with each other lie far apart.

    Each is uniform on [0, 1). Of an economy's draws in one period, one lies in each of as many
    equal parts of the range, and of those that a group's periods have, one in each of parts that
    are finer by the number of periods; so, by groups, those of all.

    Parameters
    ----------
    uniform : Tensor, shape (draws, periods, groups, ...)
        Independent draws, of which the first draw's are used.
    generator : torch.Generator

    Returns
    -------
    Tensor of the same shape
    """
    draws, periods, groups, *rest = uniform.shape

    def shuffled(*shape, dim):
        draw = torch.rand((*shape, *rest), generator=generator, device=uniform.device)
        return draw.argsort(dim)

    of_group = (shuffled(1, 1, groups, dim=2) + uniform[:1]) / groups
    of_period = (shuffled(1, periods, groups, dim=1) + of_group) / periods
    even = (shuffled(draws, periods, groups, dim=0) + of_period) / draws
    return even.clamp(max=1 - torch.finfo(even.dtype).eps / 2)


def _choose(new, fresh, state):
    """Fresh states where `new` (runs, groups, n) says so."""
    return map_state(
        lambda x, old: torch.where(new.reshape(*new.shape, *[1] * (x.dim() - 3)), x, old),
        fresh,
        state,
    )


def _first_of_pair(x):
    pairs = x.unflatten(2, (-1, 2))
    return pairs[:, :, :, :1].expand_as(pairs).flatten(2, 3)
