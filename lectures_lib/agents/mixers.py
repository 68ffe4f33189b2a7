"""What a team's joint choice is worth, from the values of its agents' own choices.

Chapter *Centralised training*. Each agent keeps values of its own choices and acts on them alone;
a mixer, used in training only, says what the values of all agents' choices amount to, so that one
temporal-difference error teaches the whole team. What a mixer can express decides what can be
learned:

- :class:`Sum` adds them up (VDN, Sunehag et al. 2018);
- :class:`Monotonic` lets the world state say how much each counts, but never less than nothing
  (QMIX, Rashid et al. 2018);
- :class:`Free` values joint choices by a network without any such restriction, and draws the
  agents' values after it (CW-QMIX, Rashid et al. 2020).

Values are of order one here; :class:`~lectures_lib.agents.q_learner.QLearner` gives them units.
Whatever stands first in a shape is a run.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.functional import elu, one_hot

from ..networks import MLP, Streams


class Mixer(nn.Module):
    """From the values of a team's agents to that of their joint choice, for each run."""

    @abstractmethod
    def forward(self, values: Tensor, world: Tensor) -> Tensor:
        """What values amount to.

        Parameters
        ----------
        values : Tensor, shape (runs, *any, agents)
        world : Tensor, shape (runs, *any, features)
            The world state.

        Returns
        -------
        Tensor, shape (runs, *any)
        """

    def joint(self, values: Tensor, chosen: Tensor, world: Tensor) -> Tensor:
        """Value (runs, *any) of a joint choice; by default what the agents' values amount to.

        Parameters
        ----------
        values : Tensor, shape (runs, *any, agents)
            Each agent's value of its choice.
        chosen : Tensor of int64, shape (runs, *any, agents)
            Its number in the list.
        world : Tensor, shape (runs, *any, features)
        """
        return self(values, world)


class Sum(Mixer):
    """The sum of the agents' values (Sunehag et al. 2018, equation 2), whatever the world."""

    def forward(self, values, world):
        """The sum (runs, *any)."""
        return values.sum(-1)


class Monotonic(Mixer):
    r"""A mixture that rises in each agent's value (Rashid et al. 2018, section 4).

    .. math:: Q(s, q) = w_2(s)^\top \mathrm{elu}\bigl(W_1(s) q + b_1(s)\bigr) + b_2(s),
              \qquad W_1, w_2 \ge 0,

    where :math:`W_1`, :math:`w_2` are absolute values of linear functions of the world state, as
    is :math:`b_1` without them, and :math:`b_2` is a network with one hidden layer. Since Q rises
    in each value, the best joint choice is that of which each agent's choice is its own best.

    Differences from the paper: weights are divided by the number of what they add up, so that
    mixtures begin of order one; the world state enters through tanh, because Q multiplies what is
    made of it twice, and values of states out of the ordinary otherwise grow with every target; the
    hidden layer of :math:`b_2` has SiLU activations.

    Parameters
    ----------
    agents, features, units : int
        Numbers of values, of features of the world state, and of hidden units.
    streams : Streams
    """

    def __init__(self, agents: int, features: int, units: int, streams: Streams):
        super().__init__()
        self.agents, self.units = agents, units
        # Linear in the world state and a one: where all features are zero, weights are not.
        self.first = MLP((features + 1, agents * units), streams)
        self.first_bias = MLP((features + 1, units), streams)
        self.last = MLP((features + 1, units), streams)
        self.last_bias = MLP((features + 1, units, 1), streams, 0.1)

    def forward(self, values, world):
        """The mixture (runs, *any)."""
        one = torch.ones_like(world[..., :1])
        world = torch.cat([torch.tanh(world), one], -1)
        first = self.first(world).abs().unflatten(-1, (self.agents, self.units))
        mixed = (values.unsqueeze(-1) * first).mean(-2)
        hidden = elu(mixed + self.first_bias(world))
        out = (hidden * self.last(world).abs()).mean(-1)
        return out + self.last_bias(world).squeeze(-1)


class Free(Monotonic):
    """Joint choices have any values, and the agents' values are drawn after them.

    The values of joint choices come from a network of the world state and of who has chosen what,
    which learns from experience; nothing relates them to the agents' values. These are mixed
    monotonically, and the mixture is fitted to the values of joint choices where that matters for
    what is best (:func:`~lectures_lib.agents.losses.projection_weights`): CW-QMIX of Rashid et al.
    (2020), section 5. Agents act on their own values, in training and later; nobody looks for the
    best of all joint choices.

    Differences from the paper: the joint value is a network of choices and not of other agents'
    networks' values; it, and not the target of a transition, is what mixtures are fitted to and
    what weights compare, so that luck is nobody's merit; choices that are better by next to
    nothing weigh as if they were not, so that agents do not waver between equals.

    Parameters
    ----------
    agents, features, units : int
        As for :class:`Monotonic`.
    choices : int
        Number of each agent's choices.
    hidden : tuple of int
        Units of the hidden layers of the network for joint choices.
    streams : Streams
    """

    def __init__(self, agents, features, units, choices, hidden, streams: Streams):
        super().__init__(agents, features, units, streams)
        self.choices = choices
        self.of_choices = MLP((features + agents * choices, *hidden, 1), streams, 0.1)

    def joint(self, values, chosen, world):
        """Value (runs, *any) of a joint choice, whatever the agents' values are."""
        who = one_hot(chosen, self.choices).flatten(-2).to(world)
        return self.of_choices(torch.cat([world, who], -1)).squeeze(-1)


def make_mixer(config, agents: int, features: int, choices: int, streams: Streams) -> Mixer:
    """The mixer that a :class:`~lectures_lib.agents.DQNConfig` names.

    Parameters
    ----------
    config : DQNConfig
    agents, features, choices : int
        Numbers of agents, of features of the world state, and of each agent's choices.
    streams : Streams
    """
    if config.mixer == "sum":
        return Sum()
    if config.mixer == "monotonic":
        return Monotonic(agents, features, config.mixing, streams)
    return Free(agents, features, config.mixing, choices, config.hidden, streams)
