"""What every economy keeps: one set of tests over all of them (architecture.md, "tests/").

A new economy joins by being added to ECONOMIES in registry.py.
"""

import inspect
import math
from dataclasses import fields, replace
from functools import partial
from operator import sub

import pytest
import torch
from registry import (
    DTYPES,
    ECONOMIES,
    STOCKS,
    every_economy,
    exogenous,
    floats,
    from_elsewhere,
    generator,
    luck,
    moved,
    physical,
    same,
    several_agents,
    situation,
    with_chains,
    with_crowds,
    with_stocks,
)

import lectures_lib.economies as economies
from lectures_lib.agents.inputs import (
    action_features,
    n_action_second_moments,
    n_second_moments,
    pooled_features,
)
from lectures_lib.autoregression import AutoRegression
from lectures_lib.economies import Alone, Economy, Planner, PostedPrice, map_state, play
from lectures_lib.economies.contract import CHECKS, NotChecked
from lectures_lib.economies.play import neutral


# ---------------------------------------------------------------------- the registry
def test_every_public_economy_is_registered():
    public = [getattr(economies, name) for name in economies.__all__]
    concrete = {
        x
        for x in public
        if inspect.isclass(x) and issubclass(x, Economy) and not inspect.isabstract(x)
    }
    # `Alone` is made of another economy: test_games.py.
    assert concrete - {Alone} == {type(e) for e in ECONOMIES.values()}


# ---------------------------------------------------------------------- the contract itself
@pytest.mark.parametrize("name", CHECKS)
@every_economy
def test_an_economy_keeps_what_others_rely_on(economy, name):
    try:
        CHECKS[name](economy)
    except NotChecked:
        assert economy not in STOCKS.values()


# ---------------------------------------------------------------------- parameters
@every_economy
def test_numbers_from_elsewhere_make_the_same_economy(economy):
    given = {f.name: from_elsewhere(getattr(economy, f.name)) for f in fields(economy)}
    again = type(economy)(**given)
    assert again == economy and repr(again) == repr(economy) and hash(again) == hash(economy)


@every_economy
def test_a_parameter_of_another_type_is_named(economy):
    for field in fields(economy):
        value = getattr(economy, field.name)
        others = (1, "much") if isinstance(value, bool) else (True, "much", None, 1j, (1,))
        for wrong in others:
            one = isinstance(value, tuple) and len(value) == 1 and wrong == (1,)
            if (wrong is None and field.default is None) or one:
                continue
            if wrong == (1,) and field.name == "substitution":
                continue  # a world of one country
            # What is no economy is of another type than all that could be one.
            refused = TypeError if field.name == "economy" else ValueError
            with pytest.raises(refused, match=rf"^{field.name}=.*: expected "):
                replace(economy, **{field.name: wrong})


# ---------------------------------------------------------------------- inputs of networks
@several_agents
def test_the_last_inputs_are_second_moments(economy):
    """They vanish where everybody is alike, and what stands before them does not."""
    state, _, _ = situation(economy)
    alike = {name: getattr(state, name) for name in state._fields}
    for name in ("capital", "crowd"):
        if name in alike:
            alike[name] = 2 + 0 * alike[name] + state.aggregate[:, None, None]
    alike["idiosyncratic"] = 0 * state.idiosyncratic
    state = type(state)(**alike)
    played = play(economy, state, neutral(economy), survey=True)
    for name, sight in played.seen.items():
        role = economy.roles[name]
        for x in (sight, played.surveyed[name]):
            inputs, n = pooled_features(*x), n_second_moments(x.population)
            largest = inputs.abs().flatten(0, -2).amax(0)
            assert (largest[len(largest) - n :] < 1e-12).all() and largest[-n - 1] > 0.1
            assert n > 0 or (x is sight and not role.full_information)
        if role.alike_actions:
            # Goods are alike, too, so that the distances before the spreads vanish as well.
            n = n_action_second_moments(sight.population, role.n_actions, role.per_action)
            features = action_features(*sight, role.n_actions, role.per_action)
            assert n > 0 and (features[..., -n:].abs() < 1e-12).all()


# ---------------------------------------------------------------------- shapes, types, randomness
@with_stocks
def test_shocks_broadcast_to_replicates_that_share_their_luck(economy):
    start, _, shocks = situation(economy, (2, 3, 1))
    _, actions, _ = situation(economy, (2, 3, 4), seed=1)
    state = map_state(lambda x: x.expand(2, 3, 4, *x.shape[3:]), start)
    step = economy.step(state, actions, shocks)
    for name in exogenous(economy):
        following = getattr(step.state, name)
        assert torch.equal(following, following[:, :, :1].expand_as(following)), name
    for name in moved(economy):
        assert (getattr(step.state, name).diff(dim=2) != 0).all()
    repeated = map_state(lambda x: x.expand(2, 3, 4, *x.shape[3:]), shocks)
    assert same(floats(step), floats(economy.step(state, actions, repeated)))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@with_stocks
def test_outcomes_and_neighbours_keep_the_floating_type(economy, dtype):
    state, _, _ = situation(economy, (4,), dtype)
    tensors = [*economy.outcomes(state)[0], economy.outcomes(state)[1]]
    tensors += economy.perturb(state, generator(), 0.1)
    assert {x.dtype for x in tensors if x.is_floating_point()} == {dtype}


@with_stocks
def test_another_seed_is_another_luck(economy):
    state, actions, shocks = situation(economy, (64,))
    other = situation(economy, (64,), seed=1)
    assert not same(state, other[0])
    step = economy.step(state, actions, shocks)
    assert not same(step.state, economy.step(state, actions, other[2]).state)


# ---------------------------------------------------------------------- actions
@with_stocks
def test_zero_is_an_interior_action(economy):
    state, _, shocks = situation(economy, (200,))
    zero = {n: torch.zeros_like(a) for n, a in situation(economy, (200,))[1].items()}
    actions = {n: a.requires_grad_() for n, a in physical(economy, zero).items()}
    step = economy.step(state, actions, shocks)
    for name in {"consumption", "investment", "sales"} & set(step.info):
        assert (step.info[name] > 0).all()
    # At a corner the action would have no effect on rewards or on capital.
    rewards = sum(r.sum() for r in step.rewards.values())
    # Weights, because what somebody bids more may be taken from the others, or from the households
    # that a crowd stands for.
    following = 0.0
    for i, n in enumerate(moved(economy), 1):
        stock = getattr(step.state, n).flatten(1)
        following = following + i * (stock @ torch.linspace(1, 2, stock.shape[-1]).double()).sum()
    for outcome in (rewards, following):
        for slope in torch.autograd.grad(outcome, tuple(actions.values()), retain_graph=True):
            assert (slope != 0).all()


# ---------------------------------------------------------------------- expectations
def conditional_mean(economy, state):
    """E[product of next levels | state], from the chains' own matrices."""
    mean = torch.ones((), dtype=torch.float64)
    for name in exogenous(economy):
        chain = economy.fields[name].chain
        if isinstance(chain, AutoRegression):  # the mean of a lognormal
            log = chain.persistence * getattr(state, name) + chain.deviation**2 / 2
            factor = log.exp()
            mean = mean * (factor if economy.fields.shapes[name] else factor.unsqueeze(-1))
            continue
        as_tensor = partial(torch.tensor, dtype=torch.float64)
        following = as_tensor(chain.transition) @ as_tensor(chain.values)
        factor = following[getattr(state, name)]
        mean = mean * (factor if economy.fields.shapes[name] else factor.unsqueeze(-1))
    return mean


@with_chains
def test_outcomes_give_exact_expectations(economy):
    state, actions, _ = situation(economy, (3, 2))
    shocks, probability = economy.outcomes(state)
    assert probability.shape[1:] == (3, 2) and (probability > 0).all()
    torch.testing.assert_close(probability.sum(0), torch.ones(3, 2, dtype=torch.float64))
    following = economy.step(state, actions, shocks).state
    exact = (probability.unsqueeze(-1) * luck(economy, following)).sum(0)
    expected = conditional_mean(economy, state).expand_as(exact)
    # Some nodes are not exact for an exponential, nor are normal quantiles to the last digit.
    drawn = any(isinstance(c, AutoRegression) for c in economy.fields.chains.values())
    torch.testing.assert_close(exact, expected, rtol=1e-11 if drawn else 1e-14, atol=0)


@with_stocks
def test_outcomes_are_all_different(economy):
    state, actions, _ = situation(economy, ())
    shocks, probability = economy.outcomes(state)
    following = economy.step(state, actions, shocks).state
    reached = torch.cat(
        [getattr(following, n).reshape(len(probability), -1) for n in exogenous(economy)], 1
    )
    reached = reached[probability > 0]
    assert len(reached.unique(dim=0)) == len(reached) > 0


def test_too_many_outcomes_are_refused_with_the_way_out():
    economy = Planner(12)
    state = economy.reset((1,), generator())
    with pytest.raises(ValueError, match=r"8,192 combinations.*more than 4,096.*economy\.draw"):
        economy.outcomes(state)


# ---------------------------------------------------------------------- perturbed states
@with_stocks
def test_perturbed_states_lie_around_a_state_and_cover_the_range_evenly(economy):
    scale, groups, n = 0.3, 2000, 8
    state = map_state(
        lambda x: x.expand(groups, n, *x.shape[2:]),
        economy.reset((groups, 1), generator(), torch.float64),
    )
    nearby = economy.perturb(state, generator(1), scale)
    for name in exogenous(economy):
        assert torch.equal(getattr(nearby, name), getattr(state, name)), name
    shifts = {}
    for name in moved(economy):
        places = (economy.fields[name].position(getattr(x, name)) for x in (nearby, state))
        shifts[name] = sub(*places).flatten(2) / scale
    stratum = torch.arange(n).unsqueeze(-1)
    centre = 2 * (stratum.squeeze() + 0.5) / n - 1
    for i, shift in enumerate(shifts.values()):
        entries = shift.shape[-1]
        several = sum(n > 1 for n in economy.fields.shapes[moved(economy)[0]])
        assert shift.abs().max() <= 1 + several
        if entries == 1:
            covered = ((shift + 1) / 2 * n).floor()
            # The second variable's strata come in another order, so that both move apart.
            covered = covered.sort(1).values if i else covered
            assert torch.equal(covered, stratum.expand_as(shift))
        else:
            assert (shift.std(-1) > 0).all(), "each stock also moves on its own"
        mean = shift.mean(-1)
        expected = torch.zeros(n) if i else centre
        assert ((mean.mean(0) - expected).abs() < 4.5 * mean.std(0) / math.sqrt(groups)).all()
    if len(shifts) > 1:
        one, two = (shift.mean(-1).flatten() for shift in shifts.values())
        assert torch.corrcoef(torch.stack([one, two]))[0, 1].abs() < 0.05


@with_stocks
def test_a_single_state_can_be_perturbed(economy):
    state = economy.reset((), generator())
    nearby = economy.perturb(state, generator(1), 0.1)
    for name in moved(economy):
        assert getattr(nearby, name).shape == getattr(state, name).shape
        assert not torch.equal(getattr(nearby, name), getattr(state, name))


# ---------------------------------------------------------------------- symmetry
@several_agents
def test_permuting_agents_permutes_outcomes(economy):
    state, actions, shocks = situation(economy, (7,))
    # Agents of a role change places: in the role, and in the population that all roles but firms
    # make up. A good's only firm has its place, with the good.
    within = {name: torch.arange(role.n_agents).roll(1) for name, role in economy.roles.items()}
    if isinstance(economy, PostedPrice):
        within["firm"] = torch.arange(economy.n_goods)
    order = torch.empty(0, dtype=torch.int64)
    for name, role in economy.roles.items():
        if role.follows is None and name != "firm":
            order = torch.cat([order, len(order) + within[name]])

    def permute(fields, shapes):
        return type(fields)(
            *(x[:, order] if shapes[n] else x for n, x in zip(fields._fields, fields, strict=True))
        )

    def permute_roles(by_role):
        return {name: x[:, within[name]] for name, x in by_role.items()}

    moved_state = permute(state, economy.fields.shapes)
    step = economy.step(state, actions, shocks)
    there = economy.step(moved_state, permute_roles(actions), permute(shocks, economy.shock_shapes))
    for name, role in economy.roles.items():
        alike = torch.allclose(step.rewards[name], there.rewards[name], rtol=1e-13, atol=0)
        stayed = torch.equal(within[name], torch.arange(role.n_agents))
        assert alike == stayed, name
    pairs = [
        *zip(there.state, permute(step.state, economy.fields.shapes), strict=True),
        (there.info["consumption"], step.info["consumption"][:, order]),
    ]
    for here, other in [
        (there.rewards, permute_roles(step.rewards)),
        (economy.observe(moved_state), permute_roles(economy.observe(state))),
    ]:
        pairs += [(here[name], other[name]) for name in economy.roles]
    for a, b in pairs:
        torch.testing.assert_close(a, b, rtol=1e-13, atol=1e-15)


# ---------------------------------------------------------------------- crowds
@with_crowds
def test_a_crowd_is_like_the_role_that_it_follows(economy):
    state = economy.reset((4,), generator(), torch.float64)
    seen = economy.observe(state)
    for name, role in economy.roles.items():
        if role.follows is None:
            continue
        leader = economy.roles[role.follows]
        assert leader.follows is None, "a leader plays by its own policy"
        assert role == replace(leader, follows=role.follows)
        assert torch.equal(seen[name], seen[role.follows]), "they begin as each other's image"


@with_crowds
def test_agents_whom_a_crowd_follows_affect_nobody_but_themselves(economy):
    state, actions, shocks = situation(economy, (5,))
    before = economy.step(state, actions, shocks)
    followed = {role.follows for role in economy.roles.values()} - {None}
    for name in followed:
        changed = actions[name].clone()
        changed[:, 0] *= 1.1
        after = economy.step(state, actions | {name: changed}, shocks)
        seen, were_seen = economy.observe(after.state), economy.observe(before.state)
        for other, role in economy.roles.items():
            others = slice(int(other == name), role.n_agents)
            assert torch.equal(after.rewards[other][:, others], before.rewards[other][:, others])
            assert torch.equal(seen[other][:, others], were_seen[other][:, others])
        assert (after.rewards[name][:, 0] != before.rewards[name][:, 0]).all()
        assert (seen[name][:, 0] != were_seen[name][:, 0]).any(-1).all()
