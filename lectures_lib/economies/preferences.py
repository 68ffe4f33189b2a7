"""Preferences of households over consumption, written once."""

from __future__ import annotations

from torch import Tensor


class Preferences:
    """Discounted utility of consumption with constant relative risk aversion.

    An economy that derives from it has the parameters `beta` and `risk_aversion`.
    """

    beta: float
    risk_aversion: float

    @property
    def discount(self) -> float:
        """The discount factor beta."""
        return self.beta

    def utility(self, consumption: Tensor) -> Tensor:
        """Period utility, logarithmic or of constant relative risk aversion."""
        # Zero consumption is feasible for an action chosen by hand; its utility is finite but
        # worse than that of anything a squashed action can do.
        c = consumption.clamp_min(1e-7)
        if self.risk_aversion == 1:
            return c.log()
        return c.pow(1 - self.risk_aversion) / (1 - self.risk_aversion)

    def consumption_equivalent(self, value: Tensor) -> Tensor:
        r"""The constant consumption worth `value`: :math:`u(c)/(1-\beta)=` value."""
        flow = (1 - self.beta) * value
        if self.risk_aversion == 1:
            return flow.exp()
        return ((1 - self.risk_aversion) * flow).pow(1 / (1 - self.risk_aversion))
