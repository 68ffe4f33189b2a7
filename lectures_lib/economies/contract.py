"""What every economy keeps, as checks that say in plain words what is wrong.

:func:`check` is for an economy of one's own, and the tests of the library's economies call the same
functions. Chapter *Bring your own economy*.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .base import Economy, TooManyOutcomes, map_state, require_economy
from .play import neutral, play

#: Raw actions; the first ones leave a float32 nothing of an exponential.
EXTREMES = (1e4, -1e4, 100.0, -100.0, 50.0, -50.0, 25.0, -25.0, 0.0)
PERIODS, DRAWS = 300, 20_000
#: Standard errors between a mean of draws and an expectation that are no chance.
SURPRISING = 5.0


class BrokenRules(ValueError):
    """An economy does not keep what learners and measures rely on; the message says what."""


class NotChecked(Exception):
    """A check is not about this economy; the message says why."""


def _require(good: bool | Tensor, message: str) -> None:
    if not good:
        raise BrokenRules(message)


def _require_state(economy: Economy, state, what: str) -> None:
    try:
        economy.check_state(state)
    except ValueError as error:
        raise BrokenRules(f"{what} what is no state: {error}") from error


def situation(economy: Economy, batch=(50,), dtype=torch.float64, seed=0, scale=0.2, centre=-0.5):
    """A state, feasible interior actions that differ everywhere, and shocks."""
    g = torch.Generator().manual_seed(seed)
    state, actions = economy.reset(batch, g, dtype), {}
    for name, role in economy.roles.items():
        shape = (*batch, role.n_agents, role.n_actions)
        noise = torch.randn(shape, generator=g, dtype=dtype)
        action = role.to_physical(centre + scale * noise)
        # Where a raw action is cut there is a kink: a little away from it.
        actions[name] = torch.where(action <= role.low, role.low + 0.01 * noise.abs(), action)
    return state, actions, economy.draw(batch, g, dtype)


def period(economy: Economy, state, actions, shocks) -> dict[str, Tensor]:
    """All that a period brings, and what is seen after it, by names that messages show."""
    step = economy.step(state, actions, shocks)
    found = {f"the next {name}": getattr(step.state, name) for name in economy.fields}
    found |= {f"the reward of {name!r}": x for name, x in step.rewards.items()}
    found |= {f"info[{name!r}]": x for name, x in step.info.items()}
    seen = play(economy, step.state, neutral(economy)).seen
    return found | {f"what {name!r} sees": sight.own for name, sight in seen.items()}


def stocks(economy: Economy) -> list[str]:
    """The fields of real numbers that choices move."""
    moved = economy.fields.moved_by("choice")
    return [name for name in moved if economy.fields[name].domain != "index"]


def shapes_and_types(economy: Economy) -> None:
    """Leading dimensions are free, those behind them are as declared, and types are kept."""
    declared = {f"the next {name}": s for name, s in economy.fields.shapes.items()}
    for name, role in economy.roles.items():
        declared[f"the reward of {name!r}"] = (role.n_agents,)
        declared[f"what {name!r} sees"] = (role.n_agents, role.n_features)
    for batch, dtype in (((), torch.float32), ((5,), torch.float64), ((2, 3, 4), torch.float32)):
        state, actions, shocks = situation(economy, batch, dtype)
        for x, names in ((state, economy.fields), (shocks, economy.shock_shapes)):
            kind, own = type(x).__name__, getattr(x, "_fields", ())
            _require(own == tuple(names), f"{kind} has the fields {own}; expected {tuple(names)}")
        found = period(economy, state, actions, shocks)
        _require(declared.keys() <= found.keys(), f"a period lacks {declared.keys() - found}")
        for name, x in found.items():
            shape = batch + declared.get(name, tuple(x.shape[len(batch) :]))
            said = f"{name} has shape {tuple(x.shape)}; expected {shape} for a batch {batch}"
            _require(x.shape == shape, said)
        found |= {f"reset's {name}": x for name, x in state._asdict().items()}
        found |= {f"to_physical of {name!r}": x for name, x in actions.items()}
        for name, x in found.items() if stocks(economy) else ():
            kept = x.dtype == dtype or not x.is_floating_point()
            _require(kept, f"{name} is {x.dtype} where the economy was begun in {dtype}")


def numbers(economy: Economy) -> None:
    """Whatever learners do is feasible, and leads to states, numbers and finite derivatives."""
    g, sizes = torch.Generator().manual_seed(0), torch.tensor(EXTREMES)
    batch = (len(EXTREMES), 8)
    state = economy.reset(batch, g)
    _require_state(economy, state, "reset gives")
    _require_state(economy, economy.perturb(state, g, 0.5), "perturb gives")
    for t in range(PERIODS):
        raw, actions, where = {}, {}, f"in period {t} of extreme actions (float32)"
        for name, role in economy.roles.items():
            shape = (*batch, role.n_agents, role.n_actions)
            x = sizes[torch.randint(len(sizes), shape, generator=g)]
            x[:, :4] = sizes[:, None, None, None]  # everybody the same, or each its own
            raw[name] = x.requires_grad_(t == 0)
            a = actions[name] = role.to_physical(x)
            inside = ((role.low - 1e-5 <= a) & (a <= role.high + 1e-5)).all()
            ends = f"{a.min().item():g} to {a.max().item():g}; expected {role.low} to {role.high}"
            _require(inside, f"to_physical of {name!r} goes from {ends}, its low and high")
        found = period(economy, state, actions, economy.draw(batch, g))
        for name, x in found.items():
            bad, way = x[~torch.isfinite(x)], "let to_physical end before what rules cannot bear"
            if len(bad):
                raise BrokenRules(f"{name} is {bad[0].item()} {where}: {way}")
            if name in ("info['consumption']", "info['sales']"):
                _require(x.min() >= 0, f"{name} is {x.min().item():g} {where}: {way}")
        if t == 0 and stocks(economy):
            total = torch.stack([x.sum() for n, x in found.items() if n[:4] != "info"]).sum()
            _require(total.requires_grad, "rewards and states do not follow from actions in torch")
            for name, x in zip(raw, torch.autograd.grad(total, [*raw.values()]), strict=True):
                finite = torch.isfinite(x).all()
                _require(finite, f"derivatives in actions of {name!r} are not finite {where}")
        state = type(state)(*(found[f"the next {name}"].detach() for name in state._fields))
    _require_state(economy, state, "extreme actions lead to")


def copies_apart(economy: Economy) -> None:
    """Copies in a batch do not touch, and may have the same luck."""
    state, actions, _ = situation(economy, (2, 3))
    luck = situation(economy, (2, 1))[2]
    together = period(economy, state, actions, luck)
    state, actions = map_state(lambda x: x[1, 2], state), {n: a[1, 2] for n, a in actions.items()}
    alone = period(economy, state, actions, map_state(lambda x: x[1, 0], luck))
    for name, x in alone.items():
        same = torch.allclose(x, together[name][1, 2], rtol=1e-13, atol=1e-15)
        _require(same, f"{name} depends on other copies, or differs where luck is shared")


def luck_is_given(economy: Economy) -> None:
    """All randomness is the generator's and the shocks'."""
    before, (one, two) = torch.get_rng_state(), (situation(economy, (64,)) for _ in range(2))
    same = all(torch.equal(x, y) for i in (0, 2) for x, y in zip(one[i], two[i], strict=True))
    _require(same, "reset or draw give other numbers from an equal generator")
    found, again = period(economy, *one), period(economy, *one)
    for name, x in found.items():
        _require(torch.equal(x, again[name]), f"{name} differs under equal shocks")
    unused = torch.equal(before, torch.get_rng_state())
    _require(unused, "torch's own generator is used: draw from the one that is handed in")


def slopes(economy: Economy) -> None:
    """Derivatives are those of finite differences."""
    names, (state, actions, shocks) = stocks(economy), situation(economy, (2,))
    if not names:
        raise NotChecked("choices move no real number")
    for wanted in (*(f"the next {n}" for n in names), *(f"the reward of {n!r}" for n in actions)):

        def one(*given, wanted=wanted):
            moved = state._replace(**dict(zip(names, given, strict=False)))
            acts = dict(zip(actions, given[len(names) :], strict=True))
            return period(economy, moved, acts, shocks)[wanted]

        leaves = [*(getattr(state, name) for name in names), *actions.values()]
        leaves = [x.clone().requires_grad_() for x in leaves]
        # Rounding in quantities of size 30 over steps of 2e-6 leaves errors of some 1e-8.
        agree = torch.autograd.gradcheck(
            one, leaves, eps=1e-6, atol=1e-7, rtol=1e-6, raise_exception=False
        )
        cause = "detach(), item(), NumPy or a rounding on the way to it cuts them"
        _require(agree, f"derivatives of {wanted} are not those of finite differences: {cause}")


def values_unseen(economy: Economy) -> None:
    """A period looks at no value, which would make a GPU wait."""
    # Tensors on this device have none.
    meta = lambda x: x.to("meta")  # noqa: E731
    state, actions, shocks = situation(economy, (2, 3))
    actions = {name: meta(a) for name, a in actions.items()}
    try:
        found = period(economy, map_state(meta, state), actions, map_state(meta, shocks))
    except (RuntimeError, NotImplementedError, TypeError) as error:
        way = "if, item() and NumPy do, torch.where and clamp do not"
        raise BrokenRules(f"a period looks at values ({way}): {error}") from error
    for name, x in found.items():
        _require(x.is_meta, f"{name} is not on the device of states and actions")


def expectations(economy: Economy) -> None:
    """Outcomes are the distribution of draws."""
    # In float32, because a state of indices alone knows of no other type.
    state, actions, _ = situation(economy, (3, 2), torch.float32)
    try:
        listed, probability = economy.outcomes(state)
    except TooManyOutcomes as error:
        raise NotChecked(str(error)) from error
    proper = (probability >= 0).all() and torch.allclose(probability.sum(0), torch.ones(3, 2))
    _require(proper, "probabilities of outcomes are negative, or do not add up to one")
    luck = economy.draw((DRAWS, 3, 2), torch.Generator().manual_seed(5))
    both = []
    for n, these in ((len(probability), listed), (DRAWS, luck)):
        many = lambda x: x.expand(n, *x.shape)  # noqa: B023, E731
        acts = {name: many(a) for name, a in actions.items()}
        both.append(period(economy, map_state(many, state), acts, these))
    for name, x in both[1].items():
        weight = probability.reshape(*probability.shape, *[1] * (x.dim() - 3))
        exact = (weight * both[0][name].double()).sum(0)
        chance = SURPRISING * x.double().std(0) / math.sqrt(DRAWS)
        near = (x.double().mean(0) - exact).abs() < chance + 1e-5 * (1 + exact.abs())
        _require(near.all(), f"{name} has another mean over draws than over outcomes")


def welfare(economy: Economy) -> None:
    """What welfare is measured in rises with it."""
    for name, reward in economy.step(*situation(economy)).rewards.items():
        value = reward.double().flatten().unique() / (1 - economy.discount_of(name))
        found = economy.equivalent(name, value)
        rises = torch.isfinite(found).all() and (found.diff() > 0).all()
        _require(rises, f"the equivalent of what {name!r} may get is not finite, or does not rise")


#: Each raises BrokenRules, or NotChecked where it is not about the economy.
CHECKS = {
    one.__name__.replace("_", " "): one
    for one in (
        *(shapes_and_types, numbers, copies_apart, luck_is_given),
        *(slopes, values_unseen, expectations, welfare),
    )
}
#: Where they find something, the others would find its consequences.
PRESUPPOSED = ("shapes and types", "numbers")


def check(economy: Economy) -> dict[str, str]:
    """Whether an economy of one's own keeps what learners and measures rely on; takes a second.

    Parameters
    ----------
    economy : Economy

    Returns
    -------
    dict of str to str
        By check, what holds, or why it was not looked at.

    Raises
    ------
    BrokenRules
        If something does not hold; the message lists what is wrong. It is a ValueError.
    TypeError
        If it is no economy.

    Examples
    --------
    >>> from lectures_lib.economies import BrockMirman
    >>> check(BrockMirman())["slopes"]
    'Derivatives are those of finite differences.'
    """
    require_economy(economy)
    found, broken = {}, []
    for name, one in CHECKS.items():
        try:
            one(economy)
            found[name] = str(one.__doc__)
        except NotChecked as reason:
            found[name] = f"not looked at: {reason}"
        except BrokenRules as error:
            broken.append(f"- {name}: {error}")
        except Exception as error:  # whatever somebody's code may raise
            broken.append(f"- {name}: {type(error).__name__}: {error}")
        if broken and name in PRESUPPOSED:
            break
    if broken:
        kind = type(economy).__name__
        raise BrokenRules("\n".join([f"{kind} does not keep what others rely on.", *broken]))
    return found
