"""What every economy refuses where it enters, and says of it (registry.py)."""

import math
import re
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from registry import every_economy, exogenous, generator, same, situation, with_stocks

from lectures_lib.economies import FixedAction, MarkovChain, map_state


@with_stocks
def test_a_misfit_is_refused_with_its_value_and_a_remedy(economy):
    state, actions, shocks = situation(economy, (4,))
    name, role = next(iter(economy.roles.items()))
    action = actions[name]
    needs = re.escape(str(tuple(economy.roles)))
    shape = f"{role.n_agents}, {role.n_actions}"

    def refuses(match, state=state, actions=actions, shocks=shocks):
        with pytest.raises(ValueError, match=match):
            economy.step(state, actions, shocks)

    refuses(rf"no entry for role '{name}'.*needs {needs}", actions={})
    refuses(
        rf"\(4, {role.n_agents}, {role.n_actions + 1}\).*{shape}\)",
        actions=actions | {name: torch.cat([action, action[..., :1]], -1)},
    )
    refuses(
        r"float32.*shocks are torch.float64.*\.to\(torch.float64\)",
        actions=actions | {name: action.float()},
    )
    refuses(r"float64.*shocks are torch.float32", shocks=map_state(torch.Tensor.float, shocks))
    index = exogenous(economy)[-1]
    narrow = state._replace(**{index: getattr(state, index).int()})
    refuses(rf"state.{index} is torch.int32", state=narrow)
    refuses(r"on meta.*on cpu", actions=actions | {name: action.to("meta")})
    refuses(r"batch shape \(3,\).*broadcast against \(4,\)", actions=actions | {name: action[:3]})
    refuses(r"batch shape \(3,\).*broadcast", shocks=map_state(lambda x: x[:3], shocks))
    field = economy.fields.moved_by("choice")[0]
    longer = torch.cat([getattr(state, field)] * 2, -1)
    refuses(rf"state\.{field} has shape", state=state._replace(**{field: longer}))
    refuses(rf"state has no field '{field}'", state=shocks)


def indices(economy):
    return [n for n in exogenous(economy) if economy.fields[n].domain == "index"]


@with_stocks
def test_impossible_states_are_refused_where_data_enters(economy):
    state = economy.reset((4,), generator())
    economy.check_state(state)
    name = economy.fields.moved_by("choice")[0]
    for value, message in [(-1.0, "smallest entry is -1"), (math.nan, "not finite")]:
        x = getattr(state, name).clone()
        x[2] = value
        with pytest.raises(ValueError, match=f"state.{name}.*{message}"):
            economy.check_state(state._replace(**{name: x}))
    fields = {n: economy.fields[n] for n in indices(economy)}
    sizes = {n: x.size or len(x.chain) for n, x in fields.items()}
    index = next((n for n in reversed(sizes) if sizes[n] == 2), None)
    if index is None:
        return  # its productivity is a real number
    with pytest.raises(ValueError, match=rf"state.{index} holds indices from 2 to 2.*0\.\.1"):
        economy.check_state(state._replace(**{index: torch.full_like(getattr(state, index), 2)}))


@every_economy
def test_a_number_is_a_batch_of_one_dimension(economy):
    for make in (economy.reset, economy.draw):
        one, other = make(7, generator()), make((7,), generator())
        assert type(one) is type(other) and same(one, other)
        for wrong in (2.5, "7", None, (2.5,)):
            with pytest.raises(TypeError, match=r"batch=.*: expected a whole number or a tuple"):
                make(wrong, generator())
        with pytest.raises(ValueError, match=r"batch=\(3, -1\): .* not negative"):
            make((3, -1), generator())


@every_economy
def test_what_draws_no_numbers_of_torch_is_refused(economy):
    for make in (economy.reset, economy.draw):
        for wrong in (0, None, np.random.default_rng(0)):
            with pytest.raises(TypeError, match=r"generator=.*expected a torch\.Generator"):
                make(3, wrong)
        for wrong in (np.float64, torch.int64, "float32"):
            with pytest.raises(
                TypeError, match=r"dtype=.*expected torch\.float32 or torch\.float64"
            ):
                make(3, generator(), wrong)


@every_economy
def test_what_is_no_state_is_refused(economy):
    state = economy.reset((3,), generator())
    field = state._fields[0]
    listed = state._replace(**{field: getattr(state, field).tolist()})
    for wrong in (listed, [1.0, 2.0], None):
        for entrance in (economy.check_state, FixedAction(economy, 0.1)):
            with pytest.raises(TypeError, match=f"expected a state of {type(economy).__name__}"):
                entrance(wrong)


@with_stocks
def test_numbers_of_another_type_are_no_state(economy):
    state = economy.reset((3,), generator())
    stock = economy.fields.moved_by("choice")[0]
    for field, dtype, words in [
        (stock, torch.int64, "floating-point"),
        *((n, torch.float32, "indices of type torch.int64") for n in indices(economy)[-1:]),
    ]:
        wrong = state._replace(**{field: getattr(state, field).to(dtype)})
        with pytest.raises(ValueError, match=f"state.{field} is {dtype}: expected {words}"):
            FixedAction(economy, 0.1)(wrong)


@with_stocks
def test_a_period_takes_tensors_and_says_so(economy):
    state, actions, shocks = situation(economy, (3,))
    name = next(iter(actions))
    for wrong, shown in [
        (actions[name], "Tensor"),
        (actions | {name: actions[name].tolist()}, f"'{name}': 'list'"),
        (actions | {name: actions[name].numpy()}, f"'{name}': 'ndarray'"),
    ]:
        with pytest.raises(TypeError, match=f"actions are .*{shown}.* for each role"):
            economy.step(state, wrong, shocks)
    with pytest.raises(ValueError, match=f"role 'planer'.*its roles are .*{name!r}"):
        economy.step(state, actions | {"planer": actions[name]}, shocks)
    field = state._fields[0]
    listed = state._replace(**{field: getattr(state, field).tolist()})
    with pytest.raises(TypeError, match=rf"state.{field} is a list: expected a tensor"):
        economy.step(listed, actions, shocks)


@every_economy
def test_types_that_never_change_are_refused_where_they_enter(economy):
    permanent = MarkovChain((0.5, 0.9), ((1.0, 0.0), (0.0, 1.0)))
    for field in fields(economy):
        if isinstance(getattr(economy, field.name), MarkovChain):
            message = rf"^{field.name}=.*one stationary distribution.*economies of their own"
            with pytest.raises(ValueError, match=message):
                replace(economy, **{field.name: permanent})
