"""The economies by name, and what happens without the libraries that others have."""

import subprocess
import sys

import gymnasium
import pytest

import lectures_lib.interop
from lectures_lib import economies
from lectures_lib.economies import FixedAction, Market, Matrix, Planner
from lectures_lib.interop.registration import NAMES


def run(code):
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return found.stdout.split()


@pytest.mark.parametrize("name", NAMES)
def test_every_public_economy_is_made_by_its_name(name):
    needed = {"payoffs": Matrix.stag_hunt().payoffs} if name == "Matrix" else {}
    economy = getattr(economies, name)(**needed)
    others = {n: 0.3 for n in economy.roles}
    roles = [n for n, r in economy.roles.items() if r.follows is None]
    many = len(economy.roles) > 1 or not (
        economy.roles[roles[0]].team or economy.roles[roles[0]].n_agents == 1
    )
    place = {"policy": FixedAction(economy, others), "role": roles[-1]} if many else {}
    env = gymnasium.make(f"lectures_lib/{name}-v0", **needed, **place, horizon=5)
    assert env.unwrapped.economy == economy
    env.reset(seed=0)
    env.step(env.action_space.sample())


def test_parameters_and_options_find_their_places():
    env = gymnasium.make("lectures_lib/Planner-v0", n_households=4, phi=0.3, horizon=7)
    assert env.unwrapped.economy == Planner(4, phi=0.3)
    policy = FixedAction(Market(3), 0.1)
    env = gymnasium.make("lectures_lib/Market-v0", n_households=3, policy=policy, agent=2)
    assert env.observation_space.shape == (12,)
    with pytest.raises(TypeError, match="n_houses"):
        gymnasium.make("lectures_lib/Planner-v0", n_houses=4)
    with pytest.raises(ValueError, match=r"options={'beta': 0.9}: expected what Gym takes"):
        gymnasium.make("lectures_lib/Economy-v0", economy=Planner(), beta=0.9)
    with pytest.raises(ValueError, match="economy='Fishery': expected one of"):
        gymnasium.make("lectures_lib/Economy-v0", economy="Fishery")


def test_the_name_of_the_room_before_it_is_enough_and_nothing_else_is_imported():
    code = """
import sys, lectures_lib.economies
known = ("gymnasium", "pettingzoo", "stable_baselines3")
print(*(name for name in known if name in sys.modules))
import gymnasium
env = gymnasium.make("lectures_lib.interop:lectures_lib/Planner-v0", n_households=4)
print(*env.reset(seed=0)[0].shape, *(name for name in known if name in sys.modules))
"""
    assert run(code) == ["12", "gymnasium"]


def test_without_other_libraries_it_says_what_to_install():
    code = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("gymnasium", "pettingzoo", "stable_baselines3"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.split(".")[0])
sys.meta_path.insert(0, Missing())
from lectures_lib import interop
assert interop.policy_of
for name in ("Gym", "VectorGym", "Parallel", "Turns", "StableBaselines"):
    try:
        getattr(interop, name)
    except ImportError as error:
        print(error)
"""
    told = " ".join(run(code))
    for name in ("Gym", "VectorGym", "Parallel", "Turns"):
        assert f"interop.{name} needs gymnasium: pip install 'lectures-lib[interop]'" in told
    assert "StableBaselines needs gymnasium: pip install stable-baselines3" in told


def test_names_are_listed_and_others_are_not_there():
    room = lectures_lib.interop
    assert all(getattr(room, name) for name in room.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Gymnasium'"):
        room.Gymnasium  # noqa: B018
