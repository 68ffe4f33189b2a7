"""Deep Q-learning: its targets by hand, its parts one by one, and answers that are known."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
import torch

from lectures_lib.agents.dqn import DQN, DQNConfig
from lectures_lib.agents.losses import dueling_values, q_target
from lectures_lib.agents.q_network import GreedyPolicy
from lectures_lib.economies import BrockMirman, Economy, Field, Fields, Monopolist, map_state
from lectures_lib.economies.base import Role, Step

SMALL = {"groups": 4, "horizon": 3, "hidden": (8,), "capacity": 60, "warm_up": 1, "batch": 8}
SMALL |= {"updates": 2}


def small(economy=None, seeds=(0,), **changes):
    config = DQNConfig(**(SMALL | changes))
    return DQN(economy or Monopolist(), seeds=seeds, config=config, device="cpu")


def iterate(agent, n):
    for _ in range(n):
        agent.iterate()
        agent.iteration += 1


# ---------------------------------------------------------------------- targets and losses
def test_targets_by_hand():
    rewards = torch.tensor([1.0, -1.0])
    following = torch.tensor([[2.0, 5.0, 3.0], [0.0, -4.0, -2.0]])
    assert q_target(rewards, following, 0.5).tolist() == [1 + 2.5, -1 + 0.0]
    picked = torch.tensor([2, 1])
    assert q_target(rewards, following, 0.5, picked).tolist() == [1 + 1.5, -1 - 2.0]


def test_targets_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"following \(3, 2\) must have the shape of rewards \(2,"):
        q_target(torch.zeros(2), torch.zeros(3, 2), 0.9)


def test_dueling_advantages_have_mean_zero():
    value, advantages = torch.tensor([[2.0]]), torch.tensor([[1.0, 4.0, -2.0]])
    q = dueling_values(value, advantages)
    assert q.tolist() == [[2.0, 5.0, -1.0]]
    torch.testing.assert_close(q.mean(-1, keepdim=True), value)
    # A constant in all advantages changes nothing: the state's value is identified.
    torch.testing.assert_close(dueling_values(value, advantages + 7), q)


@pytest.mark.parametrize("double", [False, True])
def test_errors_by_hand(double):
    agent = small(double=double, target_every=1000, seeds=(0, 1))
    iterate(agent, 4)
    drawn = agent.memory.sample(5)
    learner = agent.learners["firm"]
    errors = agent.errors("firm", drawn)
    assert errors.shape == (2, 5, 1, 1)
    online = learner.online(learner.scale(drawn["firm following"]))
    target = learner.target(learner.scale(drawn["firm following"]))
    now = learner.online(learner.scale(drawn["firm inputs"]))
    differ = False
    for run in range(2):
        for i in range(5):
            ahead = target[run, i, 0, 0]
            best = online[run, i, 0, 0].argmax() if double else ahead.argmax()
            differ = differ or online[run, i, 0, 0].argmax() != ahead.argmax()
            expected = now[run, i, 0, 0, drawn["firm choice"][run, i, 0, 0]]
            expected = expected - drawn["firm reward"][run, i, 0, 0] - 0.9 * ahead[best]
            torch.testing.assert_close(errors[run, i, 0, 0], expected)
    assert differ, "the two networks pick differently somewhere, or the test sees no difference"


def test_remembered_transitions_are_the_economys_own():
    economy = Monopolist()
    agent = small(economy)
    iterate(agent, 5)
    drawn = agent.memory.sample(50)
    inputs, following = (drawn[f"firm {x}"][0, :, 0, 0] for x in ("inputs", "following"))
    price = torch.tensor(economy.prices)[drawn["firm choice"][0, :, 0, 0]]
    customers, intensity = inputs.unbind(-1)
    profit = intensity * customers * (1 - price) * (price - economy.cost)
    torch.testing.assert_close(drawn["firm reward"][0, :, 0, 0], profit)
    ahead = 0.8 * customers + 0.2 * economy.attracted(price)
    torch.testing.assert_close(following[:, 0], ahead)


# ---------------------------------------------------------------------- the parts
def copied(network):
    return [p.detach().clone() for p in network.parameters()]


def equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_the_target_network_waits_and_then_jumps():
    agent = small(target_every=6, target_rate=1.0, updates=3, warm_up=0)
    learner = agent.learners["firm"]
    start = copied(learner.target)
    iterate(agent, 1)
    assert equal(copied(learner.target), start)
    assert not equal(copied(learner.online), start)
    iterate(agent, 1)
    assert equal(copied(learner.target), copied(learner.online))


def test_a_soft_target_network_goes_a_share_of_the_way():
    agent = small(target_every=1, target_rate=0.25, updates=1, warm_up=0)
    learner = agent.learners["firm"]
    old = copied(learner.target)
    iterate(agent, 1)
    for before, after, present in zip(
        old, learner.target.parameters(), learner.online.parameters(), strict=True
    ):
        torch.testing.assert_close(after.data, 0.75 * before + 0.25 * present.data)


def test_without_replay_only_the_last_round_is_remembered():
    agent = small(capacity=0)
    iterate(agent, 3)
    assert len(agent.memory) == 4 * 3
    before = agent.memory.fields["firm inputs"].clone()
    iterate(agent, 1)
    assert not (agent.memory.fields["firm inputs"] == before).flatten(2).all(-1).any()
    assert len(small().memory.fields) == 0 and small(capacity=100).memory.capacity == 100


def test_exploration_falls_and_is_as_frequent_as_it_says():
    agent = small(epsilon=(0.8, 0.2), groups=500, capacity=0)
    explore, other = agent._explore("firm")
    assert abs(explore.float().mean() - 0.8) < 0.03
    assert set(other.flatten().tolist()) == set(range(11))
    agent.progress = 1.0
    assert agent.epsilon == pytest.approx(0.2)
    agent.progress = 0.5
    assert agent.epsilon == pytest.approx(0.4)


def test_common_shocks_are_common_and_errors_differences():
    agent = small(replicates=3, common_shocks=True, capacity=200)
    iterate(agent, 4)
    state = agent.world.state
    assert (state.demand == state.demand[..., :1]).all()
    assert (state.customers.std(2) > 0).all()
    errors = agent.errors("firm", agent.memory.sample(6))
    assert errors.shape == (1, 6, 3, 1)
    assert errors.mean(2).abs().max() < 1e-6 and errors.abs().max() > 1e-3
    apart = small(replicates=3, groups=20, capacity=200)
    iterate(apart, 4)
    assert not (apart.world.state.demand == apart.world.state.demand[..., :1]).all()


def test_policy_and_values_belong_together():
    economy = Monopolist()
    agent = small(economy, seeds=range(3), dueling=True)
    iterate(agent, 4)
    state = economy.reset((7,), torch.Generator().manual_seed(1), torch.float64)
    all_runs = map_state(lambda x: x.expand(3, *x.shape), state)
    q, policy = agent.q_values(all_runs)["firm"], agent.policy
    assert q.shape == (3, 7, 1, 11) and q.dtype == torch.float64
    best = torch.tensor(economy.prices, dtype=torch.float64)[q.argmax(-1)]
    assert torch.equal(policy(all_runs)["firm"].squeeze(-1), best)
    for run in (0, -1):
        one = policy[run]
        assert isinstance(one, GreedyPolicy) and one.runs is None
        torch.testing.assert_close(one.q_values(state)["firm"], q[run])
        assert torch.equal(one(state)["firm"].squeeze(-1), best[run])


def test_a_policy_moves_only_to_an_economy_with_the_same_choices():
    policy = small().policy[0]
    cheaper = Monopolist(cost=0.2)
    state = cheaper.reset((7,), torch.Generator().manual_seed(1))
    moved = policy.on(cheaper)
    assert moved.economy is cheaper and torch.equal(moved(state)["firm"], policy(state)["firm"])
    for prices in ((0.5, 0.6), tuple(1.1 * p for p in Monopolist().prices)):
        with pytest.raises(ValueError, match=r"role 'firm' values the choices .*Learn anew there"):
            policy.on(Monopolist(prices=prices))


# ---------------------------------------------------------------------- known answers
@pytest.mark.learning
def test_an_impatient_monopolists_values_are_its_profits():
    # With almost no future, Q is today's profit and the best price that of the day.
    economy = Monopolist(beta=1e-3)
    agent = small(
        economy, rate=1e-2, groups=64, capacity=20_000, hidden=(32,), batch=128, updates=8
    )
    agent.learn(100 * agent.steps_per_iteration, show_progress=False)
    state = economy.reset((500,), torch.Generator().manual_seed(1))
    price, a = torch.tensor(economy.prices), torch.tensor(economy.demand.values)
    profit = (a[state.demand] * state.customers.squeeze(-1)).unsqueeze(-1)
    profit = profit * (1 - price) * (price - economy.cost)
    error = (agent.policy[0].q_values(state)["firm"].squeeze(-2) - profit).abs()
    assert error.max() < 0.02 * profit.max()
    # At most one step of the list away from the best price of the day.
    chosen = agent.policy[0](state)["firm"]
    assert (chosen - economy.price_of_the_day).abs().max() < 0.051


class Empty(NamedTuple):
    luck: torch.Tensor


@dataclass(frozen=True)
class Dilemma(Economy):
    """Two prisoners: what one gains by defecting, the other loses twice; a crowd follows them."""

    team: bool = True
    State = Empty
    Shocks = Empty
    discount = 0.5
    fields = Fields(luck=Field((1,), "real", "chance"))
    shock_shapes = {"luck": (1,)}  # noqa: RUF012

    @property
    def roles(self):
        same = {"to_physical": torch.sigmoid, "full_information": False}
        return {
            "players": Role(2, 1, 1, team=self.team, choices=(0.0, 1.0), **same),
            "crowd": Role(3, 1, 1, team=False, follows="players", **same),
        }

    def reset(self, batch, generator, dtype=torch.float32):
        return Empty(torch.rand((*batch, 1), generator=generator, dtype=dtype))

    def observe(self, state, moved=None):
        x = state.luck.unsqueeze(-2)
        return {"players": x.expand(*x.shape[:-2], 2, 1), "crowd": x.expand(*x.shape[:-2], 3, 1)}

    def transition(self, state, actions, shocks):
        a = actions["players"].squeeze(-1)
        reward = a - 2 * a.flip(-1)
        batch = torch.broadcast_shapes(state.luck.shape, shocks.luck.shape)
        return Step(
            Empty(shocks.luck.expand(batch)),
            {"players": reward, "crowd": actions["crowd"].squeeze(-1)},
            {},
        )

    def outcomes(self, state):
        # Luck changes no reward, so that one draw stands for all.
        luck = torch.full_like(state.luck, 0.5).unsqueeze(0)
        return Empty(luck), torch.ones_like(luck.squeeze(-1))

    def consumption_equivalent(self, value):
        return value


@pytest.mark.learning
@pytest.mark.parametrize(("team", "expected"), [(True, 0.0), (False, 1.0)])
def test_a_team_cooperates_and_individuals_defect(team, expected):
    agent = small(Dilemma(team), groups=16, capacity=2000, batch=64, rate=1e-2)
    agent.learn(60 * agent.steps_per_iteration, show_progress=False)
    state = agent.economy.reset((20,), torch.Generator().manual_seed(0))
    actions = agent.policy[0](state)
    assert actions["players"].shape == (20, 2, 1) and actions["crowd"].shape == (20, 3, 1)
    assert (actions["players"] == expected).all() and (actions["crowd"] == expected).all()


# ---------------------------------------------------------------------- files, refusals
@pytest.mark.parametrize("options", [{}, {"capacity": 0}, {"replicates": 2, "common_shocks": True}])
def test_a_stopped_agent_goes_on_bit_for_bit(tmp_path, identical, options):
    whole, stopped = (small(seeds=(3, 4), **options) for _ in range(2))
    total = 6 * whole.steps_per_iteration
    whole.learn(total, show_progress=False)
    stopped.progress = 0.0

    class Stop(Exception):
        pass

    def stop(agent):
        if agent.iteration == 3:
            agent.save(tmp_path / "agent.pt")
            raise Stop
        return {}

    with pytest.raises(Stop):
        stopped.learn(total, callback=stop, callback_every=1, show_progress=False)
    again = DQN.load(tmp_path / "agent.pt", Monopolist(), device="cpu")
    assert again.steps == 3 * whole.steps_per_iteration
    again.learn(total, show_progress=False)
    identical(whole, again)
    state = Monopolist().reset((2, 9), torch.Generator().manual_seed(0))
    assert torch.equal(whole.q_values(state)["firm"], again.q_values(state)["firm"])


def test_learning_records_rewards_and_moves_every_run():
    agent = small(seeds=(1, 2))
    before = copied(agent.learners["firm"].online)
    history = agent.learn(4 * agent.steps_per_iteration, show_progress=False)
    assert history["firm reward"].shape == (1, 2) and np.isfinite(history["firm reward"]).all()
    for old, new in zip(before, agent.learners["firm"].online.parameters(), strict=True):
        assert (old != new).flatten(1).any(1).all()


def test_an_economy_without_choices_is_refused():
    with pytest.raises(TypeError, match=r"'planner' of BrockMirman has choices=None.*Monopolist"):
        DQN(BrockMirman())


@pytest.mark.parametrize(
    ("name", "value", "others"),
    [
        ("groups", 0, {}),
        ("batch", 2.5, {}),
        ("target_every", 0, {}),
        ("target_rate", 0.0, {}),
        ("target_rate", 1.5, {}),
        ("rate", float("nan"), {}),
        ("double", 1, {}),
        ("hidden", (8, 0), {}),
        ("epsilon", (1.0,), {}),
        ("epsilon", (1.0, 0.0), {}),
        ("replicates", 1, {"common_shocks": True}),
        ("capacity", 10, {"groups": 4, "horizon": 3}),
    ],
)
def test_a_bad_setting_is_named(name, value, others):
    with pytest.raises(ValueError, match=f"^{name}=.*expected"):
        DQNConfig(**{name: value}, **others)
