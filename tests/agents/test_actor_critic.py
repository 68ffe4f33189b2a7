"""Credit, shared and separate networks, what critics see, and weights that move to other sizes."""

from collections import namedtuple
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import pytest
import torch

from lectures_lib.agents import (
    PPO,
    SAC,
    Analytic,
    PPOConfig,
    Probing,
    ProbingConfig,
)
from lectures_lib.agents.network_agent import follow
from lectures_lib.economies import (
    Economy,
    Field,
    Fields,
    Market,
    Planner,
    PostedPrice,
    Role,
    Step,
    TradingPost,
    play,
)
from lectures_lib.economies.play import neutral

SMALL = {"groups": 2, "replicates": 4, "horizon": 3, "hidden": (8,), "warm_up": 1}


def states(economy, batch=(16,)):
    return economy.reset(batch, torch.Generator().manual_seed(9))


def trained(economy, kind=Probing, config=None, iterations=3, **changes):
    config = (config or kind.config_class)(**SMALL | changes)
    agent = kind(economy, seed=0, device="cpu", config=config)
    agent.learn(iterations * agent.steps_per_iteration)
    return agent


# ---------------------------------------------------------------------- credit
@pytest.mark.parametrize("kind", [PPO, Probing])
def test_the_role_says_what_an_action_is_judged_by_unless_the_config_does(kind):
    for economy, usual, other in (
        (Planner(3), "team", "own"),
        (Market(3), "own", "team"),
    ):
        (role,) = economy.roles
        asked = {"role": {}, "own": {}, "team": {} if usual == "team" else {"cartel": (role,)}}
        agents = {c: trained(economy, kind, credit=c, **more) for c, more in asked.items()}
        action = {c: a.policy(states(economy)) for c, a in agents.items()}
        assert torch.equal(action["role"][role], action[usual][role])
        assert not torch.equal(action["role"][role], action[other][role])


def test_credit_is_checked():
    with pytest.raises(ValueError, match=r"credit='mine': expected 'role', 'own' or 'team'"):
        PPOConfig(credit="mine")


@pytest.mark.parametrize("kind", [PPO, Probing, SAC])
def test_team_credit_outside_a_team_has_to_be_asked_for_twice(kind):
    economy = TradingPost(2, n_firms=3)
    message = (
        r"credit='team': \('household', 'firm'\) of TradingPost are no team, .* say it again: "
        r"cartel=\('household', 'firm'\)"
    )
    with pytest.raises(ValueError, match=message):
        kind(economy, config=kind.config_class(**SMALL, credit="team"))
    with pytest.raises(ValueError, match=r"credit='team': \('household',\) of TradingPost"):
        kind(economy, config=kind.config_class(**SMALL, credit="team", cartel=("firm",)))
    gain = torch.arange(6.0).reshape(2, 3)
    for config, pooled in (
        ({"credit": "team", "cartel": ("firm", "household")}, {"firm", "household"}),
        ({"cartel": ("firm",)}, {"firm"}),
        ({"credit": "own", "cartel": ("household",)}, {"household"}),
        ({}, set()),
    ):
        agent = kind(economy, device="cpu", config=kind.config_class(**SMALL, **config))
        for name in economy.roles:
            mean = agent.credit(name, gain).shape[-1] == 1
            assert mean == (name in pooled)
    # One agent is judged by its own gain in either way, and a team by the mean of its members'.
    kind(Market(1), config=kind.config_class(**SMALL, credit="team"))
    kind(Planner(2), config=kind.config_class(**SMALL, credit="team"))
    with pytest.raises(ValueError, match=r"cartel=\('seller',\): expected roles that learn"):
        kind(economy, config=kind.config_class(**SMALL, cartel=("seller",)))


# ---------------------------------------------------------------------- rates and noise by role
@pytest.mark.parametrize("kind", [PPO, Probing])
def test_roles_have_rates_and_noise_of_their_own(kind):
    economy = TradingPost()
    more = {"relative_rates": {"firm": 0.5}, "relative_noise": {"household": 2}}
    agent = trained(economy, kind, **more)
    rates = dict(
        zip(agent.learners, (g["lr"] for g in agent.policy_optimizer.param_groups), strict=True)
    )
    assert rates["firm"] == pytest.approx(0.5 * rates["household"])
    assert agent.noise_of("household") == 2 * agent.noise_of("firm") == 2 * agent.noise
    usual = trained(economy, kind).policy(states(economy))
    for name, wrong in (("relative_rates", "crowd"), ("relative_noise", "crowd")):
        with pytest.raises(ValueError, match=rf"{name}=.*crowd.*expected roles that learn"):
            kind(economy, config=kind.config_class(**SMALL, **{name: {wrong: 2.0}}))
        for bad in ({"firm": 0.0}, {"firm": "fast"}, (0.5,), 0.5):
            with pytest.raises(ValueError, match=rf"^{name}.*: expected"):
                kind.config_class(**{name: bad})
        # Who has a setting of its own learns something else from the first step on.
        changed = trained(economy, kind, **{name: {"firm": 0.5}}).policy(states(economy))
        assert not torch.equal(changed["firm"], usual["firm"])
        one = trained(economy, kind, **{name: {"firm": 1.0}}).policy(states(economy))
        assert all(torch.equal(one[x], usual[x]) for x in usual)


def test_settings_by_role_are_stored(tmp_path):
    agent = trained(TradingPost(), relative_rates={"firm": 0.5}, cartel=("firm",))
    agent.save(tmp_path / "agent")
    again = Probing.load(tmp_path / "agent", TradingPost(), "cpu")
    assert again.config == agent.config and hash(again.config) == hash(agent.config)
    steps = agent.steps + 2 * agent.steps_per_iteration
    found = []
    for a in (agent, again):
        a.learn(steps)
        found.append(a.policy(states(TradingPost()))["firm"])
    assert torch.equal(*found)


@pytest.mark.parametrize("kind", [PPO, Probing, SAC])
@pytest.mark.parametrize(
    "game",
    [PostedPrice(2, 3), PostedPrice(atomistic=True), TradingPost(2, 2, n_firms=3)],
    ids=["goods", "massless", "post"],
)
def test_agents_learn_where_sellers_decide(kind, game):
    config = {"batch": 8, "memory": 64} if kind is SAC else {}
    policy = trained(game, kind, **config).policy
    state = states(game, (5,))
    actions = policy(state)
    assert actions.keys() == game.roles.keys()
    assert all(x.isfinite().all() for x in actions.values())
    if game.n_goods == 3 and kind.by_action:
        order = torch.tensor([2, 0, 1])
        swapped = policy(state._replace(capital=state.capital[..., order]))
        torch.testing.assert_close(swapped["firm"], actions["firm"][:, order])
        torch.testing.assert_close(swapped["household"], actions["household"][..., order])
        dear = actions["firm"] * torch.tensor([1.0, 2.0, 1.0])[:, None]
        answer = policy(state, {"firm": dear})["household"]
        assert not torch.equal(answer, actions["household"])


def test_followers_learn_what_to_do_at_other_prices_from_trembles():
    """Without them probing's followers see no price but that which is posted."""
    economy = PostedPrice()
    agent = trained(economy, Probing, tremble=0.5)
    rollout = agent.collect(agent.world.restart(economy))
    trembles, seen = agent.look_again("household", rollout)
    before = rollout.observations["household"][:, :-1]
    assert set(trembles) == {"firm"} and seen.shape == before.shape
    moved = (seen - before).abs().amax((0, 1, 2, 3, 4))
    assert moved[1] > 0.1 and (moved[[0, 2, 3]] < 1e-6).all()  # the price alone
    assert agent.look_again("firm", rollout)[0] == {}
    plain = trained(economy, Probing)
    rollout = plain.collect(plain.world.restart(economy))
    trembles, seen = plain.look_again("household", rollout)
    assert trembles == {} and torch.equal(seen, rollout.observations["household"][:, :-1])


# ---------------------------------------------------------------------- networks of one's own
@pytest.mark.parametrize("kind", [Probing, SAC])
@pytest.mark.parametrize("game", [Market(3), Planner(3, 2)], ids=["Market", "goods"])
def test_agents_with_networks_of_their_own_choose_differently_in_the_same_place(game, kind):
    (role,) = game.roles
    alike = states(game, (1,))
    alike = alike._replace(
        capital=torch.ones_like(alike.capital), idiosyncratic=torch.zeros_like(alike.idiosyncratic)
    )
    shared = trained(game, kind).policy(alike)[role]
    own = trained(game, kind, shared=False).policy(alike)[role]
    assert torch.allclose(shared[:, 0], shared[:, 1]) and torch.allclose(shared[:, 0], shared[:, 2])
    assert not torch.allclose(own[:, 0], own[:, 1])
    again = trained(game, kind, shared=False).policy(states(game))[role]
    assert again.shape == (16, 3, game.n_goods)


def test_goods_are_treated_alike():
    economy = Planner(2, 3)
    policy = trained(economy).policy
    state = states(economy)
    swapped = state._replace(capital=state.capital.flip(-1))
    torch.testing.assert_close(policy(swapped)["planner"], policy(state)["planner"].flip(-1))


# ---------------------------------------------------------------------- what critics see
def test_a_central_critic_sees_what_policies_do_not():
    economy = Market(3, n_uninformed=3)
    state = states(economy)
    others = state._replace(idiosyncratic=state.idiosyncratic.clone())
    others.idiosyncratic[:, 2] = 1 - others.idiosyncratic[:, 2]
    for central in (False, True):
        agent = trained(economy, central_critic=central)
        agent._prepare()
        values = []
        for s in (state, others):
            s = type(s)(*(x[None, None] for x in s))
            survey = agent.decide(s, {}, look_only=True).surveyed["uninformed"]
            values.append(
                agent.values("uninformed", agent.standardise_survey("uninformed", survey))
            )
        same = torch.equal(values[0][..., 0], values[1][..., 0])
        assert same is not central


def test_sacs_critics_can_see_what_policies_do_not():
    economy = Market(3, n_uninformed=3)
    for central, inputs in ((False, 4), (True, 12)):
        agent = trained(economy, SAC, central_critic=central)
        networks = agent.learners["uninformed"]
        assert networks.actor.weights[0].shape[-2] == 4
        assert networks.critic.weights[0].shape[-2] == inputs + 1
        assert ("uninformed surveyed" in agent.replay.fields) is central


def test_by_default_a_critic_sees_what_the_policy_sees():
    economy = Planner(3)
    state = states(economy)
    played = play(economy, state, neutral(economy), survey=True)
    for x, y in zip(played.seen["planner"], played.surveyed["planner"], strict=True):
        assert torch.equal(x, y)


# ---------------------------------------------------------------------- other sizes
@pytest.mark.parametrize("small, large", [(Planner(3), Planner(7)), (Planner(2, 2), Planner(3, 4))])
def test_a_policy_serves_another_number_of_households_and_goods(small, large):
    policy = trained(small).policy
    moved = policy.on(large)
    state = states(large)
    actions = moved(state)["planner"]
    assert actions.shape == (16, large.n_households, large.n_goods)
    assert torch.isfinite(actions).all()
    torch.testing.assert_close(
        moved(
            state._replace(capital=state.capital.flip(1), idiosyncratic=state.idiosyncratic.flip(1))
        )["planner"],
        actions.flip(1),
    )
    # Back where it was learned, it is the policy that it was.
    back = moved.on(small)(states(small))["planner"]
    assert torch.equal(back, policy(states(small))["planner"])


def test_a_policy_that_does_not_fit_says_why():
    with pytest.raises(
        ValueError, match=r"numbers of inputs and actions are .* A single agent sees"
    ):
        trained(Planner(1)).policy.on(Planner(2))
    with pytest.raises(ValueError, match="role 'planner' does not fit"):
        trained(Planner(2)).policy.on(Market(2))
    with pytest.raises(ValueError, match="does not fit"):
        trained(Market(2), shared=False).policy.on(Market(3))


def test_learning_can_start_from_another_agents_networks():
    small, large = Market(2), Market(5)
    teacher = trained(small)
    pupil = Probing(large, seed=1, device="cpu", config=ProbingConfig(**SMALL))
    pupil.start_from(teacher)
    state = states(large)
    expected = teacher.policy.on(large)(state)["household"]
    torch.testing.assert_close(pupil.policy(state)["household"], expected)
    pupil.learn(3 * pupil.steps_per_iteration)
    assert not torch.equal(pupil.policy(state)["household"], expected)
    with pytest.raises(ValueError, match="the other agent's networks have other shapes"):
        pupil.start_from(trained(Market(1)))


# ---------------------------------------------------------------------- rewards without spread
class Nothing(NamedTuple):
    place: torch.Tensor


@dataclass(frozen=True)
class Still(Economy):
    """One state and no luck: at the price p a seller earns p (2 - p), the most at p = 1."""

    State = Nothing
    Shocks = namedtuple("NoLuck", ())
    discount = 0.5
    fields = Fields(place=Field((1,), "real", "chance"))
    shock_shapes: ClassVar = {}

    @property
    def roles(self):
        positive = {"to_physical": torch.nn.functional.softplus, "low": 0.0}
        return {"seller": Role(1, 1, 1, team=False, full_information=False, **positive)}

    def reset(self, batch, generator, dtype=torch.float32):
        return Nothing(torch.zeros((*batch, 1), dtype=dtype, device=generator.device))

    def observe(self, state, moved=None):
        return {"seller": state.place.unsqueeze(-1)}

    def transition(self, state, actions, shocks):
        price = actions["seller"].squeeze(-1)
        return Step(state, {"seller": price * (2 - price)}, {})

    def consumption_equivalent(self, value):
        return value


@pytest.mark.parametrize("kind", [PPO, Probing, Analytic, SAC])
def test_who_earns_the_same_everywhere_learns_all_the_same(kind):
    agent = trained(Still(), kind, iterations=1)
    start = agent.policy(states(Still()))["seller"]
    agent.learn(150 * agent.steps_per_iteration)
    price = agent.policy(states(Still()))["seller"]
    assert (price - 1).abs().max() < 0.5 * (start - 1).abs().max()


def test_a_network_follows_another_one_by_a_share_of_the_way():
    slow, present = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
    expected = 0.75 * slow.weight.detach() + 0.25 * present.weight.detach()
    before = [x.clone() for x in present.parameters()]
    follow(slow, present, 0.25)
    torch.testing.assert_close(slow.weight.detach(), expected)
    assert all(map(torch.equal, present.parameters(), before))


# ---------------------------------------------------------------------- antithetic pairs
def test_the_economies_of_a_pair_can_start_from_the_same_state():
    for paired in (False, True):
        agent = trained(Planner(3), PPO, paired_starts=paired)
        capital = agent.world.restart(agent.economy).capital.unflatten(2, (-1, 2))
        assert torch.equal(capital[:, :, :, 0], capital[:, :, :, 1]) is paired
        assert not torch.equal(capital[:, :, 0], capital[:, :, 1])
    with pytest.raises(ValueError, match="paired_starts=True: expected antithetic=True"):
        PPOConfig.ordinary(paired_starts=True)


# ---------------------------------------------------------------------- settings that suit
def test_where_several_roles_learn_side_by_side_ppo_has_settings_of_its_own():
    assert PPO(TradingPost(2, n_firms=2), device="cpu").config == PPOConfig.sellers()
    # Sellers who move first learn more slowly than those who answer.
    for economy in (PostedPrice(1), PostedPrice(1, atomistic=True)):
        leaders = PPOConfig.sellers(steps=640_000, relative_rates={"firm": 0.3})
        assert PPO(economy, device="cpu").config == leaders
    # A crowd does not learn, and nothing changes elsewhere or for other learners.
    for economy in (Planner(2), Market(2), Market(2, atomistic=True)):
        assert PPO(economy, device="cpu").config == PPOConfig()
    assert Probing(TradingPost(2, n_firms=2), device="cpu").config == ProbingConfig()
    assert PPO(Market(2), device="cpu", config=PPOConfig.sellers()).config.jitter == 0.7
    assert PPOConfig.sellers(jitter=0.5, lam=0.9) == PPOConfig(
        steps=512_000, groups=4, replicates=8, horizon=8, jitter=0.5, lam=0.9
    )


@pytest.mark.parametrize("n", [2, 3, 5])
def test_split_probes_find_each_slope_and_keep_the_common_one_apart(n):
    economy = Planner(n, 2)
    config = ProbingConfig(groups=40, replicates=10, horizon=50, split_probes=True)
    agent = Probing(economy, seed=0, config=config)
    agent._prepare()
    rollout = agent.collect(agent.world.restart(economy))
    probe, weight = agent.probes("planner", rollout)
    slopes = torch.randn(n, 2, generator=torch.Generator().manual_seed(1))
    gain = (probe * slopes).sum((-1, -2), keepdim=True)
    torch.testing.assert_close((gain * weight).mean((0, 1, 2, 3)), slopes, atol=0.15, rtol=0)
    even, odd = (probe[:, i::2] for i in (0, 1))
    assert (even == even[..., :1, :]).all()  # everybody in the same direction,
    assert (odd.sum(-2) == 0).all()  # in directions that cancel out,
    agent.iteration += 1  # and the other way round
    assert (agent.probes("planner", rollout)[0][:, ::2].sum(-2) == 0).all()


@pytest.mark.parametrize(
    "game, changes",
    [(Planner(3), {"credit": "own"}), (Planner(3), {"shared": False}), (Planner(), {})],
)
def test_who_is_judged_alone_probes_alone(game, changes):
    found = []
    for split in (False, True):
        config = ProbingConfig(groups=2, replicates=2, horizon=4, split_probes=split, **changes)
        agent = Probing(game, seed=0, config=config)
        agent._prepare()
        rollout = agent.collect(agent.world.restart(game))
        found.append(agent.probes("planner", rollout))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)
