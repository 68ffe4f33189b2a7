"""The economies by name: ``gymnasium.make("lectures_lib/Planner-v0", n_households=4)``.

Since version 1.0 Gymnasium reads no entry points of other packages: names are known once this room
is imported, which ``gymnasium.make("lectures_lib.interop:lectures_lib/Planner-v0")`` does by
itself.
"""

from __future__ import annotations

import inspect
from typing import Any

import gymnasium

from .. import economies
from ..economies import Economy
from ..parameters import require
from .single import Gym
from .vector import VectorGym

NAMESPACE = "lectures_lib"
#: Names by which economies are known; any other one, or a user's own, is "lectures_lib/Economy-v0".
NAMES = tuple(
    name
    for name in economies.__all__
    if inspect.isclass(kind := getattr(economies, name))
    and issubclass(kind, Economy)
    and not inspect.isabstract(kind)
    # They are made of another economy.
    and name not in ("Alone", "Constrained", "Discretised", "Respecified")
)


def make(economy: str | Economy, **options: Any) -> Gym:
    """A :class:`Gym` of an economy, or of one that is known by its name.

    Parameters
    ----------
    economy : str or Economy
    **options
        What :class:`Gym` takes, and the parameters of an economy that is named.
    """
    economy, rest = _economy(economy, options, Gym)
    return Gym(economy, **rest)


def make_vector(economy: str | Economy, num_envs: int = 1, **options: Any) -> VectorGym:
    """A :class:`VectorGym` of an economy, or of one that is known by its name."""
    economy, rest = _economy(economy, options, VectorGym)
    return VectorGym(economy, num_envs, **rest)


def _economy(economy, options, kind) -> tuple[Economy, dict[str, Any]]:
    ours = set(inspect.signature(kind).parameters) - {"economy", "num_envs"}
    rest = {name: value for name, value in options.items() if name in ours}
    own = {name: value for name, value in options.items() if name not in ours}
    if isinstance(economy, str):
        require(economy in NAMES, "economy", economy, f"one of {NAMES}")
        return getattr(economies, economy)(**own), rest
    require(not own, "options", own, f"what {kind.__name__} takes: {sorted(ours)}")
    return economy, rest


def register() -> None:
    """Tell Gymnasium of all economies."""
    for name in ("Economy", *NAMES):
        where = f"{NAMESPACE}/{name}-v0"
        if where not in gymnasium.registry:
            gymnasium.register(
                where,
                entry_point=f"{__name__}:make",
                vector_entry_point=f"{__name__}:make_vector",
                kwargs={} if name == "Economy" else {"economy": name},
            )


register()
