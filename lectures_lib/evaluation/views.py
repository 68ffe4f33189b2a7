"""The state of an economy as a few numbers: where it stands, and what a departure may depend on.

A best response is found by derivatives along the directions in which somebody's departure moves
the state. In an economy with many households they are few: the household's own capital, and
everybody else's together. In other economies they are all that choices move or memory keeps.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..economies.base import Economy
from ..economies.capital import CapitalEconomy
from ..economies.information import InformationMarket


class HouseholdView:
    """The state of an economy with capital as one household sees it.

    As numbers: how far own log capital is from the others' mean, that mean and its variance; own
    and the others' mean log productivity; aggregate productivity. As directions: own stocks and, if
    the household has mass, everybody else's in proportion.

    Parameters
    ----------
    economy : CapitalEconomy
    household : int
    """

    def __init__(self, economy: CapitalEconomy, household: int):
        self.economy, self.household = economy, household
        goods = torch.arange(economy.n_goods)
        shape = (economy.n_goods, economy.n_households, economy.n_goods)
        own, everybody = torch.zeros(2, *shape, dtype=torch.float64)
        own[goods, household, goods] = 1
        everybody[goods, :, goods] = 1
        alone = "crowd" in economy.fields or economy.n_households == 1
        self._directions = own if alone else torch.cat([own, everybody - own])
        #: Number of directions.
        self.n = len(self._directions)

    @staticmethod
    def suits(economy: Economy) -> bool:
        """Whether households, their stocks and their luck are all that an economy consists of."""
        if not isinstance(economy, CapitalEconomy):
            return False
        deciding = sum(r.n_agents for r in economy.roles.values() if r.follows is None)
        known = {"capital", "crowd", "idiosyncratic", "aggregate"}
        return set(economy.fields) <= known and deciding == economy.n_households

    def __call__(self, state) -> Tensor:
        """Numbers (*batch, numbers) that features are made of."""
        i, own = self.household, state.capital.log()
        others = state.crowd.log() if hasattr(state, "crowd") else _without(own, i, -2)
        capital = own[..., i, :]
        if others.shape[-2] > 0:
            variance, mean = torch.var_mean(others, -2, correction=0)
            capital = torch.cat([capital - mean, mean, variance], -1)
        return torch.cat([capital, self._productivity(state)], -1)

    def _productivity(self, state):
        own, common = (
            chain.level(torch.arange(len(chain)), torch.float64).log()
            for chain in (self.economy.idiosyncratic, self.economy.aggregate)
        )
        levels = own[state.idiosyncratic]
        others = _without(levels, self.household, -1)
        seen = [levels[..., self.household], common[state.aggregate]]
        return torch.stack([*seen, others.mean(-1)] if others.shape[-1] else seen, -1)

    def position(self, state) -> Tensor:
        """Log capital in each direction, shape (*batch, n)."""
        weights = self._directions / self._directions.sum((-1, -2), keepdim=True)
        return torch.einsum("...ij,nij->...n", state.capital.log(), weights)

    def shifted(self, state, shifts: Tensor):
        """States moved by `shifts` (places, n) in the directions, shape (places, *batch, ...)."""
        factors = torch.einsum("pn,nij->pij", shifts, self._directions).exp()
        capital = state.capital
        factors = factors.reshape(len(shifts), *[1] * (capital.dim() - 2), *factors.shape[1:])
        wide = type(state)(*(x.expand(len(shifts), *x.shape) for x in state))
        return wide._replace(capital=capital * factors)


class InformationView(HouseholdView):
    """The state of a market with private information as one household sees it, if it sees all.

    As numbers: those of a household's view, the log cost if it moves, and what the uninformed
    remember. As directions: those of a household's view, the same of a period ago if that is
    remembered, and last prices if they are seen.

    Parameters
    ----------
    economy : InformationMarket
    household : int
    """

    economy: InformationMarket

    def __init__(self, economy: InformationMarket, household: int):
        super().__init__(economy, household)
        self._prices = economy.n_goods if economy.sees_price else 0
        self.n = self.n * (1 + economy.memory) + self._prices

    @staticmethod
    def suits(economy: Economy) -> bool:
        """Whether it is a market with private information."""
        return isinstance(economy, InformationMarket)

    def __call__(self, state) -> Tensor:
        """Numbers (*batch, numbers) that features are made of."""
        numbers, e = [super().__call__(state)], self.economy
        if e.cost is not None:
            numbers.append(e.cost.level(state.cost, torch.float64).log().unsqueeze(-1))
        numbers.append(e.remembered(state)[..., self.household, :])
        return torch.cat(numbers, -1)

    def position(self, state) -> Tensor:
        """Logs in each direction, shape (*batch, n)."""
        parts = [super().position(state)]
        if self.economy.memory:
            parts.append(super().position(state._replace(capital=state.last_capital)))
        if self._prices:
            parts.append(state.last_price[..., 0, :].log())
        return torch.cat(parts, -1)

    def shifted(self, state, shifts: Tensor):
        """States moved by `shifts` (places, n) in the directions, shape (places, *batch, ...)."""
        present, shifts = shifts.split([len(self._directions), self.n - len(self._directions)], -1)
        wide = super().shifted(state, present)
        if self.economy.memory:
            past, shifts = shifts.split([len(self._directions), self._prices], -1)
            image = super().shifted(state._replace(capital=state.last_capital), past)
            wide = wide._replace(last_capital=image.capital)
        if self._prices:
            ahead = [1] * (state.last_price.dim() - 1)
            factor = shifts.exp().reshape(len(shifts), *ahead, self._prices)
            wide = wide._replace(last_price=wide.last_price * factor)
        return wide


class WholeView:
    """The whole state of any economy, number by number.

    Positive fields in logarithms, real ones in their units, chains as their levels, other indices
    by an indicator of each value but the first. The directions are the entries of positive and
    real fields that choices move or memory keeps.

    Parameters
    ----------
    economy : Economy
        Whose chance moves by chains alone.

    Raises
    ------
    TypeError
        If something else moves by chance, whose next value nobody could expect.
    """

    def __init__(self, economy: Economy):
        self.economy = economy
        fields = economy.fields
        strange = set(fields.moved_by("chance")) - set(fields.chains)
        if strange:
            raise TypeError(
                f"{type(economy).__name__}: chance moves {sorted(strange)}, which follow no "
                "MarkovChain, so that what is expected of them is not known. Make them indices of "
                "a chain (Field.of)."
            )
        self._moved = [
            n for n in fields.moved_by("choice", "memory") if fields[n].domain != "index"
        ]
        # Where nothing is moved there is one direction, in which nothing changes.
        self.n = max(1, sum(torch.Size(fields[name].shape).numel() for name in self._moved))

    def _flat(self, state, name) -> Tensor:
        """A field as (*batch, entries)."""
        x, batch = getattr(state, name), self.economy.zeros(state).shape
        return x.expand(*batch, *self.economy.fields[name].shape).reshape(*batch, -1)

    def __call__(self, state) -> Tensor:
        """Numbers (*batch, numbers) that features are made of."""
        numbers = [self.position(state)]
        for name, field in self.economy.fields.items():
            if field.domain != "index" and field.chain is None:
                continue
            x = self._flat(state, name)
            if field.chain is not None:
                numbers.append(field.chain.level(x, torch.float64))
            else:
                values = torch.arange(1, field.values, device=x.device)
                numbers.append((x.unsqueeze(-1) == values).double().flatten(-2))
        return torch.cat(numbers, -1)

    def position(self, state) -> Tensor:
        """Where the state stands in each direction, shape (*batch, n)."""
        fields, zero = self.economy.fields, self.economy.zeros(state).double()
        parts = [fields[name].position(self._flat(state, name)).double() for name in self._moved]
        return torch.cat(parts, -1) if parts else zero.unsqueeze(-1)

    def shifted(self, state, shifts: Tensor):
        """States moved by `shifts` (places, n) in the directions, shape (places, *batch, ...)."""
        fields, batch = self.economy.fields, self.economy.zeros(state).shape
        wide = type(state)(*(x.expand(len(shifts), *x.shape) for x in state))
        moved, begin = {}, 0
        for name in self._moved:
            shape = torch.Size(fields[name].shape)
            part = shifts[:, begin : begin + shape.numel()]
            part = part.reshape(len(shifts), *[1] * len(batch), *shape)
            moved[name] = fields[name].shifted(getattr(wide, name), part)
            begin += shape.numel()
        return wide._replace(**moved)


class OwnView:
    """What one agent's role sees of the state, number by number.

    Parameters
    ----------
    economy : Economy
        In which the role moves first and sees no population.
    role : str
    agent : int
    """

    def __init__(self, economy: Economy, role: str, agent: int):
        self.economy, self.role, self.agent = economy, role, agent

    def __call__(self, state) -> Tensor:
        """Numbers (*batch, numbers) that features are made of."""
        return self.economy.sights(state)[self.role].own[..., self.agent, :].double()


def _without(x, i, dim):
    """A tensor without entry i of a dimension."""
    return torch.cat([x.narrow(dim, 0, i), x.narrow(dim, i + 1, x.shape[dim] - i - 1)], dim)
