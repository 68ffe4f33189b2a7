"""Learning as a team: VDN and QMIX are deep Q-learning with a mixer.

Chapter *Centralised training*. What is new in them stands in `mixers.py`, how they learn in
`dqn.py`. Differences from the papers: no recurrent networks, because an economy's memory is part of
its state; agents tell themselves apart by what they see, or have networks of their own
(``shared=False``); and all that distinguishes :class:`DQN` from its paper.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..parameters import require
from .dqn import DQN, DQNConfig


@dataclass(frozen=True)
class VDNConfig(DQNConfig):
    """Settings of :class:`VDN`: those of :class:`DQN`, with the mixer given."""

    mixer: str | None = "sum"

    def __post_init__(self):
        super().__post_init__()
        require(self.mixer == "sum", "mixer", self.mixer, "'sum'; DQNConfig takes others")


class VDN(DQN):
    """Value decomposition: a team's values add up (Sunehag et al. 2018).

    It is :class:`DQN` with ``mixer="sum"``. Chapter *Centralised training*. Parameters are those
    of :class:`DQN`; each role that learns is a team.

    Examples
    --------
    >>> from lectures_lib.economies import TwoStep
    >>> agent = VDN(TwoStep(), seeds=range(2), device="cpu")
    >>> history = agent.learn(steps=10 * agent.steps_per_iteration)
    """

    config_class = VDNConfig


@dataclass(frozen=True)
class QMIXConfig(DQNConfig):
    """Settings of :class:`QMIX`: those of :class:`DQN`, with the mixer given."""

    mixer: str | None = "monotonic"

    def __post_init__(self):
        super().__post_init__()
        require(
            self.mixer == "monotonic", "mixer", self.mixer, "'monotonic'; DQNConfig takes others"
        )


class QMIX(DQN):
    """A team's value rises in each agent's, by as much as the world state says (Rashid et al.
    2018).

    It is :class:`DQN` with ``mixer="monotonic"``. Chapter *Centralised training*. Parameters are
    those of :class:`DQN`; each role that learns is a team.
    """

    config_class = QMIXConfig
