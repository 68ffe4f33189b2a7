"""Small games with known answers: the test tubes of multi-agent learning."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..parameters import entered, require
from .base import Actions, Economy, Role, Step
from .fields import Field, Fields
from .game_tables import GameTables, tabulate_game
from .role import between
from .tables import number_of


class Stage(NamedTuple):
    """Which game is played, an index (*batch,)."""

    stage: Tensor


class NoShocks(NamedTuple):
    """Nothing is left to chance."""


@dataclass(frozen=True)
class NormalForm(Economy[Stage, NoShocks]):
    """Games in normal form: players choose at the same time, and that says what they get.

    A choice is a number 0, 1, ...; a number between two of them stands for the lottery of both,
    such as 0.3 for the second with probability 0.3. Rewards are then expected ones.
    """

    State = Stage
    Shocks = NoShocks

    @property
    @abstractmethod
    def _payoffs(self) -> np.ndarray:
        """Of each game, shape (games, players, *choices)."""

    @property
    def _team(self) -> bool:
        return False

    @cached_property
    def _shape(self) -> tuple[int, ...]:
        """Number of players and of their choices."""
        _, players, choices, *_ = self._payoffs.shape
        return players, choices

    @cached_property
    def fields(self) -> Fields:
        """Which of the games is played."""
        return Fields(stage=Field((), "index", "choice", size=len(self._payoffs)))

    @cached_property
    def roles(self):
        """One role, the player."""
        players, choices = self._shape
        return {
            "player": Role(
                n_agents=players,
                n_features=len(self._payoffs) + players,
                n_actions=1,
                team=self._team,
                to_physical=partial(between, low=0.0, high=choices - 1.0),
                full_information=False,
                choices=tuple(map(float, range(choices))),
                low=0.0,
                high=float(choices - 1),
                measure="payoff",
            )
        }

    @property
    def discount(self) -> float:
        """The discount factor beta."""
        return self.beta  # type: ignore[attr-defined]  # every game has one

    def consumption_equivalent(self, value: Tensor) -> Tensor:
        """The constant payoff worth `value`."""
        return (1 - self.discount) * value

    def reset(self, batch, generator, dtype=torch.float32) -> Stage:
        """The first game."""
        return Stage(torch.zeros(batch, dtype=torch.int64, device=generator.device))

    def observe(self, state, moved=None):
        """Which game it is, and which player one is, each as a row with a single one."""
        zero = self.zeros(state)
        players, _ = self._shape
        games = torch.eye(len(self._payoffs)).to(zero)[state.stage]
        who = torch.eye(players).to(zero)
        shape = (*zero.shape, players)
        games = games.unsqueeze(-2).expand(*shape, games.shape[-1])
        return {"player": torch.cat([games, who.expand(*shape, players)], -1)}

    def transition(self, state: Stage, actions: Actions, shocks: NoShocks) -> Step[Stage]:
        """One period; `actions["player"]` holds choices (*batch, players, 1)."""
        chosen = actions["player"].squeeze(-1)
        players, choices = self._shape
        table = torch.from_numpy(self._payoffs).to(chosen)[state.stage]
        # The hat of each choice at what was chosen: its probability in the lottery.
        each = torch.arange(choices, device=chosen.device)
        chance = (1 - (chosen.unsqueeze(-1) - each).abs()).clamp_min(0)
        batch = torch.broadcast_shapes(state.stage.shape, chosen.shape[:-1])
        table = table.expand(*batch, *table.shape[-players - 1 :])
        for i in range(players):
            table = torch.einsum(
                "...a,...a->...",
                table.movedim(len(batch) + 1, -1),
                chance[..., i, :].reshape(*chance.shape[:-2], *[1] * (players - i), choices),
            )
        following = self._following(state.stage.expand(batch), chosen.expand(*batch, players))
        return Step(Stage(following), {"player": table}, {"payoff": table})

    def _following(self, stage: Tensor, chosen: Tensor) -> Tensor:
        return stage

    def tables(self) -> GameTables:
        """The game written out."""
        return tabulate_game(self)

    def index(self, state: Stage) -> Tensor:
        """The number of each state in the tables, shape (*batch,)."""
        return number_of(self, state)


@dataclass(frozen=True)
class Matrix(NormalForm):
    """A game in normal form, played again and again by players without memory.

    Chapter *Learners who learn together*.

    Parameters
    ----------
    payoffs : nested tuple of float, shape (players, choices, ..., choices)
        Each player's payoff at everybody's choices, the first player's first.
    beta : float
        Discount factor, in [0, 1).

    Raises
    ------
    ValueError
        If payoffs are no such array of finite numbers, or `beta` is out of range.

    Examples
    --------
    >>> Matrix.matching_pennies().tables().values(np.array([[0, 0]]))
    array([[ 1., -1.]])
    """

    payoffs: Any
    beta: float = 0.0

    def __post_init__(self):
        expected = "finite numbers (players, choices, ..., choices), two or more choices for each"
        try:
            payoffs = _nested(self.payoffs)
            array = np.array(payoffs)
        except (TypeError, ValueError):
            array = np.zeros(())
        good = array.ndim >= 2 and array.ndim == len(array) + 1 and min(array.shape[1:]) >= 2
        good = good and len(set(array.shape[1:])) == 1 and bool(np.isfinite(array).all())
        require(good, "payoffs", self.payoffs, expected)
        object.__setattr__(self, "payoffs", payoffs)
        require(0 <= self.beta < 1, "beta", self.beta, "a number in [0, 1)")

    @cached_property
    def _payoffs(self):
        return np.array(self.payoffs, dtype=float)[None]

    @property
    def _team(self) -> bool:
        """Players who are always paid the same are a team."""
        return len(set(self.payoffs)) == 1

    @classmethod
    def common(cls, payoff, players: int = 2, beta: float = 0.0) -> Matrix:
        """A game in which all are paid the same, shape (choices, ..., choices)."""
        return cls((_nested(payoff),) * players, beta)

    @classmethod
    def matching_pennies(cls) -> Matrix:
        """One wins if both are alike, the other if not; the only equilibrium is to toss coins."""
        return cls((((1, -1), (-1, 1)), ((-1, 1), (1, -1))))

    @classmethod
    def stag_hunt(cls, stag: float = 4.0, alone: float = 0.0, hare: float = 3.0) -> Matrix:
        """Hunt the stag together, or a hare by oneself: two equilibria, one better, one safer."""
        first = ((stag, alone), (hare, hare))
        return cls((first, tuple(zip(*first, strict=True))))

    @classmethod
    def climbing(cls) -> Matrix:
        """A team's best, 11 at (0, 0), lies beside a precipice (Claus and Boutilier 1998)."""
        return cls.common(((11, -30, 0), (-30, 7, 6), (0, 0, 5)))

    @classmethod
    def precipice(cls) -> Matrix:
        """A team's best, 8 at (0, 0), costs 12 if one goes there alone (Son et al. 2019)."""
        return cls.common(((8, -12, -12), (-12, 0, 0), (-12, 0, 0)))

    @classmethod
    def penalty(cls, size: float = -100.0) -> Matrix:
        """A team that has to agree on one of two best, or is fined (Claus and Boutilier 1998)."""
        return cls.common(((10, 0, size), (0, 2, 0), (size, 0, 10)))


@dataclass(frozen=True)
class TwoStep(NormalForm):
    """The first player says which of two games a team plays next (Rashid et al. 2018, section 5).

    After choice 0 both get 7 whatever they do; after choice 1 they get 0 if both choose 0, 8 if
    both choose 1, and 1 otherwise. Then all begins anew. Chapter *Centralised training*.

    Parameters
    ----------
    beta : float
        Discount factor, in [0, 1).

    Raises
    ------
    ValueError
        If `beta` is out of range.
    """

    beta: float = 0.99

    def __post_init__(self):
        require(0 <= self.beta < 1, "beta", self.beta, "a number in [0, 1)")

    @cached_property
    def _payoffs(self):
        games = (((0, 0), (0, 0)), ((7, 7), (7, 7)), ((0, 1), (1, 8)))
        return np.array([[game, game] for game in games], dtype=float)

    @property
    def _team(self) -> bool:
        return True

    def _following(self, stage, chosen):
        second = (chosen[..., 0] >= 0.5).long()
        return torch.where(stage == 0, 1 + second, torch.zeros_like(stage))

    def index(self, state: Stage) -> Tensor:
        """The number of the game, shape (*batch,)."""
        return state.stage


def _nested(x):
    """Nested tuples of floats, from what nests numbers."""
    if isinstance(x, np.ndarray | Tensor):
        x = x.tolist()
    return tuple(map(_nested, x)) if isinstance(x, list | tuple) else entered("payoffs", x, float)
