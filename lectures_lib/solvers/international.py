"""What solvers know of the international real business cycle: projection on Euler residuals."""

from __future__ import annotations

from ..economies import InternationalCycle
from ..parameters import require
from .regimes import regimes_of, resolve_regime
from .residual_fit import fit_residuals
from .solution import Solution, require_no_choice, solve

#: Degree of complete polynomials by the number of countries.
DEGREES = {1: 7, 2: 5, 3: 3}
# Capital and luck that are seldom met, and rounds, after which more of them gain nothing.
SPREAD, STRETCH, ROUNDS = 0.1, 1.7, 3


@regimes_of.register(InternationalCycle)
def _(economy):
    return ("planner",)


@solve.register(InternationalCycle)
def _(economy, regime, method, domain):
    require_no_choice(economy, method, domain)
    n = economy.n_countries
    expected = f"at most {max(DEGREES)} countries; fit_residuals takes networks"
    require(n in DEGREES, "n_countries", n, expected)
    policy, rounds = fit_residuals(
        economy, degree=DEGREES[n], spread=SPREAD, stretch=STRETCH, rounds=ROUNDS
    )
    return Solution(economy, resolve_regime(economy, regime), policy, rounds, "projection")
