"""Exact solutions, one line away: ``solve(economy).policy``. Chapter *Global solution*."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from ..economies.base import Economy
from ..economies.capital import CapitalEconomy
from ..economies.play import Policy
from .euler import euler_residuals
from .registry import by_kind, expected_kinds
from .steady_state import SteadyState, steady_state
from .visited import Residual, residuals_where_it_leads


class ImpreciseSolution(UserWarning):
    """A solution is not as good as it should be; the message says how good it is."""


@dataclass(frozen=True, repr=False)
class Solution:
    """What somebody who knows the mathematics of an economy would do in it.

    Attributes
    ----------
    economy : Economy
    regime : str
        Who takes what as given.
    policy : callable
        ``policy(state)`` gives physical actions by role, as a learned policy does.
    iterations : int
        Iterations of the solver; zero for a closed form.
    method : {"closed form", "policy iteration", "time iteration", "network", "projection"}
        How it was found.
    """

    economy: Economy
    regime: str
    policy: Policy
    iterations: int = 0
    method: str = "closed form"

    @cached_property
    def residual(self) -> dict[str, Residual]:
        """How good it is, in Euler residuals on the initial distribution and in the long run.

        They are those of the code of an economy with capital, found by time iteration or by a
        network. There are none for what has no Euler equation of this form: a monopolist's price,
        and a Markov-perfect equilibrium, of which `policy.own_gradients` says how good it is.
        """
        has_some = isinstance(self.economy, CapitalEconomy)
        if not has_some or self.method not in ("time iteration", "network"):
            return {}
        return residuals_where_it_leads(self.economy, self.policy, self.regime)

    def __str__(self):
        how = f" ({self.iterations} iterations, {self.policy!r})" if self.iterations else ""
        lines = [f"{self.economy}", f"regime: {self.regime}", f"found by {self.method}{how}"]
        lines += [f"Euler residuals, {where}: {found}" for where, found in self.residual.items()]
        return "\n".join(lines)

    __repr__ = __str__

    def euler_residuals(self, state) -> Tensor:
        """Unit-free residuals at `state` (:func:`lectures_lib.solvers.euler_residuals`)."""
        return euler_residuals(self.economy, self.policy, state, self.regime)

    @property
    def steady_state(self) -> SteadyState:
        """The deterministic steady state."""
        return steady_state(self.economy, self.regime)


@by_kind
def solve(
    economy: Economy,
    regime: str | None = None,
    method: str | None = None,
    domain: tuple[float, float] | None = None,
) -> Solution:
    """Solve an economy exactly.

    Parameters
    ----------
    economy : Economy
        A Planner, Market, BrockMirman, KrusellSmith, InternationalCycle or Monopolist, or another
        that has registered its solver (``solve.register``).
    regime : {"planner", "competitive", "nash", "monopsony"}, optional
        Whose choices rule: the planner's; or, in a market, those of households that take prices
        as given (the default), that know their own effect on prices and take the others' spending
        or orders as given (open-loop Nash equilibrium; see :func:`markov_perfect` for the other
        kind), or that collude.
    method : {"time iteration", "network"}, optional
        By default time iteration for a few households with one or two goods, and few levels of
        productivity; a network elsewhere.
    domain : tuple of float, optional
        Smallest and largest stock of capital for which the rule is needed, where it is found by
        time iteration. By default those that the economy visits from its initial distribution.

    Returns
    -------
    Solution

    Warns
    -----
    ImpreciseSolution
        If time iteration was the first choice and has failed, or if Euler residuals are large.

    Raises
    ------
    TypeError
        If there is no solver for the economy, or for rules that a derived class has changed.
    ValueError
        If the regime or method is unknown, or time iteration is asked for at too large a size.
    ConvergenceError
        If time iteration is asked for, or a domain, and it does not converge.

    Examples
    --------
    >>> from lectures_lib.economies import Planner
    >>> round(solve(Planner()).steady_state.capital, 3)
    25.634
    """
    raise TypeError(
        f"there is no solver for {type(economy).__name__}: {expected_kinds(solve.registry)}. PPO "
        "learns in any economy, euler_residuals judges any policy, and solve.register adds a "
        "solver."
    )


def require_no_choice(economy, method, domain) -> None:
    """Refuse a method or domain where there is one solution, for all states.

    Raises
    ------
    ValueError
    """
    for name, value in (("method", method), ("domain", domain)):
        if value is not None:
            raise ValueError(
                f"{name}={value!r}: {type(economy).__name__} has one solution for all states, so "
                "say none."
            )
