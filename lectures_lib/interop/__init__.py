"""The same economies for other libraries, and their agents before our judge.

``pip install 'lectures-lib[interop]'`` installs what the environments need, Gymnasium and
PettingZoo. Nothing of it is imported before it is used, but for Gymnasium, so that
``gymnasium.make("lectures_lib/Planner-v0", n_households=4)`` knows the economies once this room is
imported.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from .policies import ModelPolicy, policy_of

if TYPE_CHECKING:
    from .baselines import StableBaselines
    from .single import Gym
    from .vector import VectorGym
    from .zoo import Parallel, Turns

__all__ = [
    "Gym",
    "ModelPolicy",
    "Parallel",
    "StableBaselines",
    "Turns",
    "VectorGym",
    "policy_of",
]
_WHERE = {
    "Gym": "single",
    "Parallel": "zoo",
    "StableBaselines": "baselines",
    "Turns": "zoo",
    "VectorGym": "vector",
}


def __getattr__(name: str):
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f".{_WHERE[name]}", __name__), name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("lectures_lib"):
            raise
        wanted = "stable-baselines3" if name == "StableBaselines" else "'lectures-lib[interop]'"
        raise ImportError(
            f"lectures_lib.interop.{name} needs {error.name}: pip install {wanted}"
        ) from error


try:
    import_module(".registration", __name__)
except ModuleNotFoundError as error:
    if error.name != "gymnasium":
        raise
