"""What `check` says of economies that are broken on purpose, each in one place."""

from dataclasses import dataclass, replace

import pytest
import torch
from foreign import CHAIN, Gambler, RiskySaver

from lectures_lib.economies import BrokenRules, Field, Fields, MarkovChain, Planner, check
from lectures_lib.economies.contract import CHECKS
from lectures_lib.economies.role import between


@dataclass(frozen=True)
class Good(RiskySaver):
    """Its share ends before nothing is left to eat, or to save."""

    @property
    def roles(self):
        role = super().roles["saver"]
        ends = {"low": 0.01, "high": 0.99}
        return {"saver": replace(role, to_physical=lambda x: between(x, 0.01, 0.99), **ends)}


def changed(**rules):
    """A class like Good with some of its rules replaced."""
    return type("Broken", (Good,), rules)()


def step_with(change):
    """A transition after which `change(step)` has been at work."""
    return lambda self, state, actions, shocks: change(
        Good.transition(self, state, actions, shocks)
    )


def in_wealth(change):
    return step_with(lambda s: s._replace(state=s.state._replace(wealth=change(s.state.wealth))))


def in_reward(change):
    return step_with(lambda s: s._replace(rewards={"saver": change(s.rewards["saver"])}))


def of_role(**changes):
    return property(lambda self: {"saver": replace(Good.roles.fget(self)["saver"], **changes)})


def own_luck(self, batch, generator, dtype=torch.float32):
    return self.Shocks(torch.rand(batch, dtype=dtype))


def skewed(self, batch, generator, dtype=torch.float32):
    uniform = torch.rand(batch, generator=generator, dtype=dtype)
    return self.Shocks(uniform**2)


def half_of_outcomes(self, state):
    shocks, probability = Good.outcomes(self, state)
    return shocks, probability / 2


def poor(self, batch, generator, dtype=torch.float32):
    state = Good.reset(self, batch, generator, dtype)
    return state._replace(wealth=state.wealth - 1)


def unlike(self, state, moved=None):
    return {"saver": Good.observe(self, state)["saver"].repeat_interleave(2, -1)}


def in_double(self, state, moved=None):
    return {"saver": Good.observe(self, state)["saver"].double()}


def looks(x):
    return x * 1.5 if x.max() > 1e6 else x


BROKEN = {
    # what is changed: (the check that finds it, what it says, the economy)
    "reward without agents": (
        "shapes and types",
        r"the reward of 'saver' has shape \(\); expected \(1,\) for a batch \(\)",
        changed(transition=in_reward(lambda r: r.squeeze(-1))),
    ),
    "too many features": (
        "shapes and types",
        r"what 'saver' sees has shape \(1, 2\); expected \(1, 1\)",
        changed(observe=unlike),
    ),
    "fields in another order": (
        "shapes and types",
        r"RiskyWealth has the fields .*; expected \('aggregate', 'wealth'\)",
        changed(
            fields=property(lambda self: Fields(aggregate=Field.of(CHAIN), wealth=Field((1,))))
        ),
    ),
    "seen in double": (
        "shapes and types",
        r"what 'saver' sees is torch.float64 .* begun in torch.float32",
        changed(observe=in_double),
    ),
    "a mean over copies": (
        "copies apart",
        "the next wealth depends on other copies",
        changed(transition=in_wealth(lambda w: 0.9 * w + 0.1 * w.mean())),
    ),
    "luck of its own in a period": (
        "luck is given",
        "the next wealth differs under equal shocks",
        changed(transition=in_wealth(lambda w: w * (1 + torch.rand(w.shape)))),
    ),
    "luck of its own in draw": (
        "luck is given",
        "reset or draw give other numbers",
        changed(draw=own_luck),
    ),
    "a share that may be one": (
        "numbers",
        r"the reward of 'saver' is -inf in period 0 .*to_physical",
        RiskySaver(),
    ),
    "debts": (
        "numbers",
        "reset gives what is no state: state.wealth must be positive",
        changed(reset=poor, observe=lambda self, s, moved=None: {"saver": s.wealth.unsqueeze(-1)}),
    ),
    "negative consumption": (
        "numbers",
        r"info\['consumption'\] is -\d.* in period 0",
        changed(
            transition=step_with(lambda s: s._replace(info={"consumption": -s.info["consumption"]}))
        ),
    ),
    "an action beyond its ends": (
        "numbers",
        r"to_physical of 'saver' goes from 0.01 to 0.99; expected 0.1 to 0.99",
        changed(roles=of_role(low=0.1)),
    ),
    "an infinite slope": (
        "numbers",
        "derivatives in actions of 'saver' are not finite",
        changed(
            roles=of_role(to_physical=lambda x: 0.01 + 0.97 * torch.sigmoid(x).clamp_min(0).sqrt())
        ),
    ),
    "a choice that is cut off from its consequences": (
        "slopes",
        "derivatives of the next wealth are not those of finite differences: detach",
        changed(transition=in_wealth(torch.Tensor.detach)),
    ),
    "a rounded reward": (
        "slopes",
        "derivatives of the reward of 'saver' are not",
        changed(transition=in_reward(lambda r: r + (3 * r).detach())),
    ),
    "an if": ("values unseen", "a period looks at values", changed(transition=in_wealth(looks))),
    "draws that are not what the chain says": (
        "expectations",
        "the next (wealth|aggregate) has another mean over draws",
        changed(draw=skewed),
    ),
    "half of a probability": (
        "expectations",
        "probabilities of outcomes are negative, or do not add up",
        changed(outcomes=half_of_outcomes),
    ),
    "a loss taken for a gain": (
        "welfare",
        "the equivalent of what 'saver' may get .* does not rise",
        changed(consumption_equivalent=lambda self, value: (-value).exp()),
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_broken_is_named(kind):
    name, message, economy = BROKEN[kind]
    with pytest.raises(BrokenRules, match=f"(?s)does not keep what.*- {name}: .*{message}"):
        check(economy)


def test_every_check_finds_something_and_a_good_economy_passes_all():
    assert {name for name, _, _ in BROKEN.values()} == set(CHECKS)
    assert check(Good()) == {name: one.__doc__ for name, one in CHECKS.items()}


def test_all_that_is_broken_is_listed_but_for_consequences():
    both = {"draw": skewed, "consumption_equivalent": lambda self, value: -value}
    with pytest.raises(BrokenRules, match=r"(?s)- expectations: .*\n- welfare: "):
        check(changed(**both))
    with pytest.raises(BrokenRules) as caught:
        check(changed(observe=unlike, **both))
    assert str(caught.value).count("\n- ") == 1


def test_what_somebodys_code_raises_is_passed_on_by_name():
    def lost(self, state, moved=None):
        raise KeyError("wealht")

    with pytest.raises(BrokenRules, match="- shapes and types: KeyError: 'wealht'"):
        check(changed(observe=lost))


def test_what_is_not_looked_at_says_why():
    assert check(Gambler())["slopes"] == "not looked at: choices move no real number"
    many = Planner(12, idiosyncratic=MarkovChain.symmetric((0.9, 1.1), 0.9))
    assert "economy.draw" in check(many)["expectations"]


def test_what_is_no_economy_is_refused():
    with pytest.raises(TypeError, match="expected an Economy"):
        check(Good)
