"""Impulse responses in nonlinear economies. Chapter *What rules look like*."""

from __future__ import annotations

import torch
from torch import Tensor

from ..economies.base import Economy
from ..economies.play import Policy
from ..solvers import Solution
from .long_run import ergodic_states
from .simulation import as_policy, batch_shape, initial_states, learned_roles, walk

#: What impulse responses are computed of, where an economy has it.
RESPONSES = (
    *("capital", "output", "consumption", "investment", "saving_share"),
    *("price", "customers", "sales"),
)


def impulse_response(
    policy: Policy | Solution,
    economy: Economy,
    shock: str = "aggregate",
    periods: int = 60,
    paths: int = 4096,
    seed: int = 0,
    household: int | None = None,
) -> dict[str, Tensor]:
    r"""Generalised impulse responses to the highest value of a productivity chain.

    .. math:: \frac{E[x_t \mid s_0 = s_{\max}]}{E[x_t]} - 1,

    expectations over the policy's ergodic distribution and over all later shocks, which both
    paths of a pair share.

    Parameters
    ----------
    policy : callable or Solution
    economy : Economy
    shock : str
        Name of the state's field that is moved in period 0.
    periods, paths, seed : int
    household : int, optional
        The one household whose own productivity is moved, and whose quantities respond, where
        each has its own; by default those of all.

    Returns
    -------
    dict of str to Tensor, shape (periods,) or (runs, periods)
        Relative deviations of what the economy has of capital, output, consumption, investment,
        saving share, price, customers and sales, and of stocks with other names; of stocks that
        may be negative, deviations in their units (:class:`.Field`).

    Warns
    -----
    RuntimeWarning
        If the policy never forgets where it began, so that it has no ergodic distribution.

    Raises
    ------
    TypeError
        If nothing in the economy's state follows a chain.
    ValueError
        If the economy has no such chain or household.
    """
    policy = as_policy(policy)
    kind = type(economy).__name__
    chains = economy.fields.chains
    if not chains:
        raise TypeError(
            f"no field of the state of {kind} is the index of a MarkovChain, so that there is "
            "no shock to respond to."
        )
    if shock not in chains:
        raise ValueError(f"shock={shock!r}: expected one of {list(chains)}.")
    # Where the shock has no dimension of its own, households are those of the only role.
    own = economy.fields[shock].shape
    n = own[0] if own else sum(economy.roles[r].n_agents for r in learned_roles(economy))
    if household is not None and not 0 <= household < n:
        raise ValueError(f"household={household!r}: expected one of 0..{n - 1}.")
    if household is not None and n == 1:
        household = None  # it is everybody
    start = initial_states(policy, economy, paths, seed)
    base = ergodic_states(policy, economy, start, seed)
    index = getattr(base, shock).clone()
    who = index[..., household] if household is not None and economy.fields[shock].shape else index
    who.fill_(chains[shock].high)
    batch = batch_shape(economy, base)
    others = [name for name in economy.fields.stocks if name not in RESPONSES]
    # Of what may be zero or negative there is no relative deviation.
    units = {name: f.unit for name, f in economy.fields.items() if f.domain == "real"}
    responses: dict[str, list] = {}
    pairs = zip(
        walk(policy, economy, base, periods, seed + 1),
        walk(policy, economy, base._replace(**{shock: index}), periods, seed + 1),
        strict=True,
    )
    for pair in pairs:
        quantities = [{name: getattr(p.state, name) for name in others} | p.step.info for p in pair]
        for name in (*RESPONSES, *others):
            if name not in quantities[0]:
                continue
            x = [q[name].double() for q in quantities]  # it may be a number of things
            # What households do not have each for themselves is the response of all.
            theirs = name != "price" and x[0].shape[len(batch) : len(batch) + 1] == (n,)
            if household is not None and theirs:
                x = [q.select(len(batch), household) for q in x]
            before, after = (q.reshape(*batch[:-1], -1).mean(-1) for q in x)
            unit = units.get(name)
            change = after / before - 1 if unit is None else (after - before) / unit
            responses.setdefault(name, []).append(change)
    return {name: torch.stack(response, -1) for name, response in responses.items()}
