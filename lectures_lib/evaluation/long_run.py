"""When has an economy forgotten where it began? Chapter *What rules look like*.

Moments of the long run must not depend on the first period. How fast an economy forgets it depends
on depreciation, on productivity and on the policy, but it need not be known: shocks are inputs, so
that two copies of an economy can begin in different states and live through the same shocks. What
is left of their difference is what is left of the beginning, without any noise (a coupling, as in
Propp and Wilson 1996).
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import torch
from torch import Tensor

from ..economies.base import Economy, map_state
from ..economies.play import Policy
from ..solvers import Solution
from .simulation import as_policy, batch_shape, initial_states, walk

#: Periods that are left out at least.
SHORTEST = 200
#: Periods after which a policy counts as one that never forgets.
LONGEST = 20_000
# By then at least a tenth of what was left half as many periods ago must be gone.
PATIENCE = 5_000
# Copies of so many economies, of which one begins and the other has lived for so many periods; they
# are compared every so many periods.
PATHS, LIVED, EVERY = 32, 50, 50
# What is left of the beginning is forgotten if it is this small beside the spread that shocks make.
# It then biases a mean over 512 paths and 500 periods by a twentieth of its standard error, or by a
# fifth where capital remembers all of these periods ...
FORGOTTEN = 0.01
# ... or, where there are no shocks, in logarithms. Rounding in a policy's float32 network may keep
# copies apart by a few ROUNDING; what is smaller and shrinks no more is rounding.
NOTHING, ROUNDING = 1e-12, 1e-6


class _Part(NamedTuple):
    """Part of what agents own, in pairs of economies.

    Attributes
    ----------
    place : Tensor, shape (*runs, 2, paths, entries)
        In logarithms of what is positive (:meth:`.Field.position`).
    spread : Tensor, shape (*runs,)
        Standard deviation, over paths, beside which differences are small or large.
    """

    place: Tensor
    spread: Tensor


class _Left(NamedTuple):
    """What is left of the beginning in a stock, for each run of the policy.

    Attributes
    ----------
    share : Tensor, shape (runs,)
        Distance between copies, relative to that at the beginning.
    distance : Tensor, shape (runs,)
        The same share of how far economies have moved, in logarithms.
    forgotten : Tensor of bool, shape (runs,)
    """

    share: Tensor
    distance: Tensor
    forgotten: Tensor

    @property
    def remembered(self) -> float:
        """The largest distance that is not forgotten."""
        return torch.where(self.forgotten, 0.0, self.distance).max().item()

    def is_over(self, half: _Left) -> bool:
        """Whether nothing more will be forgotten, `half` being what was left at half this time."""
        rounding = (self.distance < ROUNDING) & (self.distance > half.distance / 2)
        return bool((self.forgotten | rounding).all())

    def lasts(self, half: _Left) -> bool:
        """Whether hardly anything has been forgotten since half this time."""
        return bool(((self.distance > 0.9 * half.distance) & ~self.forgotten).any())


def burn_in(policy: Policy | Solution, economy: Economy, least: int = SHORTEST) -> int:
    r"""Periods until a policy has led an economy so far that its beginning is forgotten.

    Economies from the initial distribution and others that have lived for some time receive the
    same shocks, the poorer of each pair from the lowest and the richer from the highest
    productivity. The burn-in ends when the mean difference :math:`d_t` of their log stocks, of all
    agents together and of each beside the others, obeys

    .. math:: \frac{|d_t|}{d_0}\, |\log K_t - \log K_0| \le 0.01\,\text{s.d.}(\log K_t)

    (root mean square and standard deviation over economies), or :math:`10^{-12}` without shocks;
    or when it is within a standard error of zero, as with policies that jump, whose copies need
    never meet.

    As both copies have the same luck, chance gives no false alarm: a policy is warned about only if
    by this measure it needs more than 20,000 periods.

    Parameters
    ----------
    policy : callable or Solution
        With several runs, the slowest counts.
    economy : Economy
    least : int
        Fewer periods are never returned.

    Returns
    -------
    int

    Warns
    -----
    RuntimeWarning
        If the beginning is not forgotten: a stock falls or rises for ever, stays where it is, or
        ends where its beginning decides. The periods that have been tried are returned.

    Raises
    ------
    ValueError
        If a stock becomes zero, negative, infinite or NaN.
    """
    policy = as_policy(policy)
    if not economy.fields.moved_by("choice", "memory"):  # chains begin in their long run
        return least
    begun: dict[str, _Part] = {}
    past: list[dict[str, _Left]] = []
    listed = _OneList(policy, economy)
    for t, state, _ in walk(listed, economy, _copies(policy, economy), LONGEST + 1, seed=2):
        if t % EVERY:
            continue
        now = _parts(economy, state)
        begun = begun or now
        left = {name: _left(begun[name], part) for name, part in now.items()}
        past.append(left)
        if t == 0:
            continue
        half = past[(len(past) - 1) // 2]
        if all(x.is_over(half[name]) for name, x in left.items()):
            return max(t, least)
        if t >= PATIENCE and any(x.lasts(half[name]) for name, x in left.items()):
            break
    name, worst = max(left.items(), key=lambda item: item[1].remembered)
    if worst.remembered > ROUNDING:
        far = ""
        if name in economy.fields:  # a distribution's mean moves nowhere
            moved = (now[name].place - begun[name].place).mean((-2, -1)).flatten()
            most, field = moved[moved.abs().argmax()], economy.fields[name]
            positive = field.domain == "positive"
            by = f"a factor of {most.exp():.2g}" if positive else f"{most * field.unit:.2g}"
            far = f" (by now it has moved by {by})"
        warnings.warn(
            f"after {t:,} periods the policy has not forgotten where it began: economies that "
            f"differ at first, and then have the same luck, still differ in {name} by "
            f"{100 * worst.share.max():.3g}% of their first distance{far}. Averages after "
            f"{max(t, least):,} periods are not those of a long run. If there is one, and the "
            "policy is merely slow in leading there, choose the periods, as in "
            "ergodic_moments(..., first=100_000).",
            RuntimeWarning,
            stacklevel=3,
        )
    return max(t, least)


def ergodic_states(policy: Policy, economy: Economy, start, seed: int):
    """Where a policy has led when the beginning is forgotten.

    Parameters
    ----------
    policy : callable
    economy : Economy
    start : State, shape (paths, ...) or (runs, paths, ...)
    seed : int
        Of the shocks.

    Returns
    -------
    State, of the same shape

    Warns
    -----
    RuntimeWarning
        If it is not (:func:`burn_in`).
    """
    for period in walk(policy, economy, start, burn_in(policy, economy) + 1, seed):
        start = period.state
    return start


class _OneList:
    """A policy that is asked about both copies of all economies as one list of paths.

    A reader's own function may rely on states of the shapes that `simulate` documents.
    """

    def __init__(self, policy, economy):
        self.policy, self.economy = policy, economy

    def __call__(self, state, moved=None):
        """Actions (*runs, copies, paths, agents, actions)."""
        shape = batch_shape(self.economy, state)
        n = len(shape)
        every = type(state)(*(x.expand(*shape, *x.shape[n:]).flatten(n - 2, n - 1) for x in state))
        actions = self.policy(every)
        return {name: x.unflatten(n - 2, shape[-2:]) for name, x in actions.items()}


def _copies(policy, economy):
    """Pairs of economies that differ as much as those in use, shape (*runs, 2, paths, ...)."""
    new = initial_states(policy, economy, PATHS, seed=0)
    for period in walk(policy, economy, new, LIVED + 1, seed=1):
        lived = period.state
    runs = len(batch_shape(economy, new)) - 1
    # The pair are strangers, because in a slow economy nobody is far from their own beginning.
    lived = map_state(lambda x: x.roll(1, runs), lived)
    before, after = _positions(economy, new), _positions(economy, lived)
    gap = sum((after[name] - before[name]).mean(-1) for name in before)
    richer = torch.stack([gap <= 0, gap > 0], runs)

    def pair(name):
        field, x = economy.fields[name], getattr(new, name)
        if field.moved_by != "chance":
            return torch.stack([x, getattr(lived, name)], runs)
        x = torch.stack([x, x], runs)
        if field.chain is None:
            return x
        rich = richer.reshape(richer.shape + (1,) * (x.dim() - richer.dim()))
        return torch.where(rich.expand_as(x), field.chain.high, field.chain.low).to(x.dtype)

    return type(new)(*map(pair, new._fields))


def _parts(economy, state) -> dict[str, _Part]:
    """Positions in two parts: the mean over agents, and each one's difference from it."""
    parts = {}
    for name, x in _positions(economy, state).items():
        mean = x.mean(-1, keepdim=True)
        parts[name] = _Part(mean, _spread(mean))
        if x.shape[-1] > 1:
            # Beside that of whole stocks: nothing need move two goods apart once they are equal.
            parts[f"the distribution of {name}"] = _Part(x - mean, _spread(x))
    return parts


def _spread(x):
    """Standard deviation over paths, (*runs,) from (*runs, 2, paths, entries)."""
    return x.std(-2).square().mean((-2, -1)).sqrt()


def _positions(economy, state) -> dict[str, Tensor]:
    """Where what agents move, or remember, lies on lines, shape (*batch, entries)."""
    positions = {}
    for name in economy.fields.moved_by("choice", "memory"):
        x, field = getattr(state, name), economy.fields[name]
        # A last dimension of one for what has no agents.
        x = field.position(x.reshape(*batch_shape(economy, state), -1)).double()
        if not torch.isfinite(x).all():
            positive = "positive and " if field.domain == "positive" else ""
            raise ValueError(f"the policy leads to values of {name} that are not {positive}finite.")
        positions[name] = x
    return positions


def _left(begun: _Part, now: _Part) -> _Left:
    """What is left of the beginning."""
    first, x = begun.place, now.place
    apart = first[..., 1, :, :] - first[..., 0, :, :]
    # Differences count in the direction that they had at first, so that they do not cancel.
    still = (apart.sign() * (x[..., 1, :, :] - x[..., 0, :, :])).mean(-1)
    error, mean = torch.std_mean(still, -1)
    error = error / still.shape[-1] ** 0.5
    share = mean.abs() / apart.abs().mean((-2, -1)).clamp_min(1e-300)
    moved = (x - first)[..., 0, :, :].square().mean((-2, -1)).sqrt()
    distance = torch.maximum(share * moved, mean.abs())
    forgotten = (distance <= FORGOTTEN * now.spread) | (mean.abs() <= error)
    return _Left(share, distance, forgotten | (distance <= NOTHING))
