"""A market in which capital makes others productive, so that more than one future fits the past."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..parameters import require
from .market import Market


@dataclass(frozen=True)
class Externality(Market):
    r"""A market whose productivity rises with the capital that everybody owns on average.

    Household :math:`i` produces :math:`Y_i = z_i Z\, A(\bar K) K_i^\alpha` and has the endowment
    :math:`e` besides. What it owns does not move :math:`\bar K`, the mean of a crowd of massless
    households, in

    .. math:: A(\bar K) = 1 + \frac{\gamma}{1 + e^{-(\bar K - \kappa)/w}} .

    With the default parameters and one household there are three steady states, at capital of
    about 25.9, 34.5 and 43.8. Without an endowment history alone decides which of the outer two is
    reached. With :math:`e = 20`, which leaves the steady states where they are but makes waiting
    cheap, both can be reached from some initial capital, and expectations decide. Chapter *Which
    equilibrium?*; the exact paths are :func:`lectures_lib.solvers.perfect_foresight`'s.

    Parameters not listed are those of :class:`~lectures_lib.economies.Market`, with one good and
    massless households.

    Parameters
    ----------
    gain : float
        By how much productivity can rise, :math:`\gamma`, not negative.
    threshold : float
        Mean capital at which half of it is reached, :math:`\kappa`, positive.
    width : float
        How gradually, :math:`w`, in units of capital, positive.
    endowment : float
        Units of the final good that each household has in every period, :math:`e`, not negative.

    Raises
    ------
    ValueError
        If a parameter is outside its range; the message names it.

    Examples
    --------
    >>> import torch
    >>> round(float(Externality().spillover(torch.tensor(35.0))), 6)
    1.75
    """

    atomistic: bool = True
    gain: float = 1.5
    threshold: float = 35.0
    width: float = 2.0
    endowment: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        require(
            self.atomistic,
            "atomistic",
            self.atomistic,
            "True: who has mass knows that its own capital makes it more productive",
        )
        require(self.n_goods == 1, "n_goods", self.n_goods, "1")
        finite = float("inf")
        require(0 <= self.gain < finite, "gain", self.gain, "a number of at least 0")
        require(0 < self.threshold < finite, "threshold", self.threshold, "a positive number")
        require(0 < self.width < finite, "width", self.width, "a positive number")
        require(0 <= self.endowment < finite, "endowment", self.endowment, "a number of at least 0")

    def spillover(self, mean_capital):
        """What others' capital multiplies productivity by, of the shape of `mean_capital`."""
        return 1 + self.gain * torch.sigmoid((mean_capital - self.threshold) / self.width)

    def productivity(self, state):
        """Total productivity of each household, shape (*batch, households)."""
        crowd = getattr(state, "crowd", state.capital)
        return super().productivity(state) * self.spillover(crowd.mean((-2, -1))).unsqueeze(-1)

    def income(self, state, output=None):
        """What each household produces, and its endowment, shape (*batch, households)."""
        return super().income(state, output) + self.endowment

    def reset(self, batch, generator, dtype=torch.float32):
        r"""Capital uniform from half of the steady state without spillovers to 1.25 times that with
        all of them, :math:`K_c(1+\gamma)^{1/(2-\alpha)}`; productivity stationary."""
        state = super().reset(batch, generator, dtype)
        top = (1 + self.gain) ** (1 / (2 - self.alpha))
        uniform = (state.capital / self.efficient_capital - 0.5) / 0.75
        capital = self.efficient_capital * (0.5 + (1.25 * top - 0.5) * uniform)
        return state._replace(capital=capital, crowd=capital)
