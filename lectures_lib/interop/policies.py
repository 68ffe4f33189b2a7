"""Other libraries' agents as policies of ours, for `evaluate`, `exploitability` and figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..economies.base import Economy, require_economy
from ..economies.play import in_actions, play
from ..parameters import require
from .seat import Seat, deciding, rule_of


def policy_of(
    model: Any,
    economy: Economy,
    role: str | None = None,
    *,
    others: Any = None,
    actions: str = "auto",
    apart: bool = False,
) -> ModelPolicy:
    """A policy of what has learned in an environment of this room.

    It sees and acts as it does there: observations go to it as float32, and its actions are
    written as the environment's `actions` were. All agents of the role act by it.

    Parameters
    ----------
    model : object or dict of str to object
        A model of stable-baselines3, which acts deterministically, with the normalisation of
        observations that it has learned (`VecNormalize`); an RLModule of RLlib (the mean of the
        distribution that `forward_inference` gives); a torch module, from observations (n,
        features) to actions (n, actions), or to the values or logits of all choices, of which the
        largest is taken; or a function of observations as NumPy arrays, that returns an array or a
        tensor. Or one of them for each of several roles, by its name.
    economy : Economy
    role : str, optional
        Whose it is; needed if several decide.
    others : callable, Solution or Agent, optional
        What all other roles do; needed if there are some that decide.
    actions : {"auto", "choices", "unit", "physical"}
        As it was in the environment. By default what the model's own `action_space` says if it has
        one, and otherwise the environments' default.
    apart : bool
        Whether agents of a team decide each for itself, as in :class:`Parallel`, and not one for
        all, as in :class:`Gym`.

    Returns
    -------
    ModelPolicy

    Raises
    ------
    ValueError
        If it is not said whose the model is, or what others do.
    TypeError
        If the model is nothing that acts.
    """
    require_economy(economy)
    known = deciding(economy)
    if not isinstance(model, Mapping):
        require(role is not None or len(known) == 1, "role", role, f"one of {known}")
        model = {known[0] if role is None else role: model}
    else:
        require(role is None, "role", role, "None, as the models are given by role")
    for name in model:
        require(name in known, "role", name, f"one of {known}")
    missing = [name for name in known if name not in model]
    expected = f"what the roles {missing} do, such as solve(economy).policy"
    require(others is not None or not missing, "others", others, expected)
    seats = {
        name: Seat(
            economy, name, _written(one) if actions == "auto" else actions, False if apart else None
        )
        for name, one in model.items()
    }
    return ModelPolicy(model, seats, None if others is None else rule_of(others, "others"))


class ModelPolicy:
    """Models of other libraries as a policy (:func:`policy_of`).

    Parameters
    ----------
    models : dict of str to object
        By role.
    seats : dict of str to Seat
        How each sees and acts.
    others : callable, optional
        The policy of roles that have no model.
    """

    def __init__(self, models: Mapping[str, Any], seats: Mapping[str, Seat], others: Any = None):
        self.models, self.seats, self.others = dict(models), dict(seats), others
        self.economy = next(iter(self.seats.values())).economy
        self._asked = {name: asking(model) for name, model in self.models.items()}

    def __repr__(self):
        models = {name: type(model).__name__ for name, model in self.models.items()}
        return f"{type(self).__name__}({self.economy!r}, {models})"

    @torch.no_grad()
    def __call__(self, state: Any, moved: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Actions of every role; those of roles that have `moved` are taken as given."""
        economy, done = self.economy, dict(moved or {})
        economy.check_form(state)

        def choose(name, sight):
            leader = economy.roles[name].follows or name
            if leader in self.seats:
                done[name] = self._act(leader, sight)
            else:
                before = {earlier: done[earlier] for earlier in _earlier(economy, name)}
                done[name] = in_actions(economy, self.others(state, before))[name]
            return done[name]

        return play(economy, state, choose, moved).actions

    def _act(self, name, sight) -> Tensor:
        """What the model of a role does, in physical units (*batch, agents, actions)."""
        seat = self.seats[name]
        seen = seat.look(sight)
        found = self._asked[name](seen.reshape(-1, seen.shape[-1]).float())
        if not isinstance(found, Tensor):
            found = torch.from_numpy(np.asarray(found))
        n, expected, valued = len(found), f"{seat.n_actions} actions", False
        if seat.choices is not None:
            valued = found.is_floating_point()
            expected = f"{seat.n_actions} whole numbers, or {seat.choices} values of each choice,"
        each = seat.n_actions * (seat.choices if valued and seat.choices else 1)
        if n != seen[..., 0].numel() or found.numel() != n * each:
            raise ValueError(
                f"the model of role {name!r} returned {found.dtype} of shape {tuple(found.shape)} "
                f"for {seen[..., 0].numel()} observations: expected {expected} for each."
            )
        if valued:
            found = found.reshape(n, seat.n_actions, -1).argmax(-1)
        shape = (*seen.shape[:-1], seat.n_actions)
        return seat.physical(found.reshape(shape)).to(seen)


def _earlier(economy, name) -> list[str]:
    """Roles that move in earlier stages of a period."""
    stages = economy.stages
    now = next(k for k, stage in enumerate(stages) if name in stage)
    return [earlier for stage in stages[:now] for earlier in stage]


def _written(model: Any) -> str:
    """How a model's actions are written, as far as it says so itself."""
    space = getattr(model, "action_space", None)
    if space is None:
        return "auto"
    if not hasattr(space, "high"):
        return "choices"
    normal = bool(np.all(space.low == -1) and np.all(space.high == 1))
    return "unit" if normal else "physical"


def asking(model: Any) -> Callable[[Tensor], Any]:
    """How to ask a model: a function of observations, float32 (n, features).

    Raises
    ------
    TypeError
        If it is nothing that acts.
    """
    if hasattr(model, "predict"):
        normal = getattr(model, "get_vec_normalize_env", lambda: None)()

        def predicted(x: Tensor):
            seen = x.cpu().numpy()
            seen = seen if normal is None else normal.normalize_obs(seen)
            return model.predict(seen, deterministic=True)[0]

        return predicted
    if hasattr(model, "forward_inference"):
        return lambda x: _mean(model, model.forward_inference({"obs": x})["action_dist_inputs"])
    if isinstance(model, nn.Module):
        like = next(model.parameters(), torch.zeros(()))
        return lambda x: model(x.to(like)).to(x.device)
    if callable(model):
        return lambda x: model(x.cpu().numpy())
    raise TypeError(
        f"model is a {type(model).__name__}: expected a model of stable-baselines3, an RLModule, a "
        "torch module or a function of observations."
    )


def _mean(module, inputs: Tensor) -> Tensor:
    """The mean of a normal distribution, whose other half is log deviations; or logits."""
    if hasattr(getattr(module, "action_space", None), "high"):
        return inputs[..., : inputs.shape[-1] // 2]
    return inputs
