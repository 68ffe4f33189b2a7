"""What would an agent pay to see everything? Chapter *What is information worth?*"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from ..economies.base import Economy
from ..economies.play import Policy
from ..parameters import require, seeded
from ..solvers import Solution
from .best_response import BestResponse
from .best_response_search import Search, resolve_role
from .finite import is_finite
from .simulation import as_policy
from .views import OwnView


@dataclass(frozen=True)
class InformationValue:
    """What one agent's best responses with and without information are worth.

    Numbers are shares by which the agent's consumption would have to rise in every period and state
    under the policy. The first of a pair is from the economy's initial distribution, the one that
    begins with `ergodic` from when initial capital is forgotten.

    Attributes
    ----------
    value, ergodic_value : float
        By how much more the best response that sees everything gains than the best response that
        sees what the role sees.
    standard_error, ergodic_standard_error : float
        Of the value. Both responses meet the same luck, which the search for them has not seen.
    unlearned, ergodic_unlearned : float
        What the agent gains by its best response to what its role sees: its error in learning.
    unlearned_error, ergodic_unlearned_error : float
        Standard errors of these.
    converged : bool
        Whether both searches have ended in a small step.
    informed, uninformed : BestResponse
        Policies for all roles, with and without the information of the one agent.
    """

    value: float
    standard_error: float
    ergodic_value: float
    ergodic_standard_error: float
    unlearned: float
    unlearned_error: float
    ergodic_unlearned: float
    ergodic_unlearned_error: float
    converged: bool
    informed: BestResponse = field(repr=False)
    uninformed: BestResponse = field(repr=False)


@torch.no_grad()
def value_of_information(
    policy: Policy | Solution,
    economy: Economy,
    role: str = "uninformed",
    seed: int = 0,
    paths: int = 128,
    agent: int = 0,
) -> InformationValue:
    """What it is worth to one agent to see everything, while all others keep to the policy.

    The difference between two best responses, found as by
    :func:`~lectures_lib.evaluation.exploitability`: one among smooth functions of the whole state,
    one among smooth functions of what the role sees. Nobody else learns that the agent knows more,
    and everybody reacts to what it does as the policy says.

    Parameters
    ----------
    policy : callable or Solution
        Of a single run.
    economy : Economy
        Such as an :class:`~lectures_lib.economies.InformationMarket`.
    role : str
        Who does not see everything.
    seed : int
        Of initial states and shocks.
    paths : int
        As for `exploitability`.
    agent : int
        Which one of the role.

    Returns
    -------
    InformationValue

    Raises
    ------
    ValueError
        If the role sees everything, does not move first, or there is no such role or agent; or if
        states and choices are finite, or the policy has several runs.
    """
    policy = as_policy(policy)
    role = resolve_role(policy, economy, role)
    known = economy.roles[role]
    require(0 <= agent < known.n_agents, "agent", agent, f"one of 0..{known.n_agents - 1}")
    if known.full_information or role not in economy.stages[0]:
        raise ValueError(
            f"role={role!r}: expected one that does not see everything and moves first."
        )
    if is_finite(economy, role):
        raise ValueError(f"{type(economy).__name__} has finitely many states and choices.")
    search = Search(policy, economy, role, agent, seed, paths, OwnView(economy, role, agent))
    found, converged = [], True
    for sight in (search.sight, search.view):
        search = search.with_sight(sight)
        converged &= search.improve()
        # The same luck for both.
        search.generator = seeded(seed + 2)
        found.append((search, *search.departures()))
    (without, value, less), (informed, _, more) = found
    gain, error = without.relative(value, less, more)
    unlearned, unlearned_error = without.relative(value, 0 * less, less)
    return InformationValue(
        gain[0],
        error[0],
        gain[1],
        error[1],
        unlearned[0],
        unlearned_error[0],
        unlearned[1],
        unlearned_error[1],
        converged,
        informed.response,
        without.response,
    )
