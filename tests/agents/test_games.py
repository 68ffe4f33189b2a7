"""Every agent takes any game."""

import pytest
import torch
from games import GAMES, Rivals, Shop, constant, every_game, generator

from lectures_lib.agents import (
    DQN,
    PPO,
    SAC,
    Analytic,
    AnalyticConfig,
    DQNConfig,
    PPOConfig,
    Probing,
    ProbingConfig,
    QLearning,
    SACConfig,
)
from lectures_lib.economies import (
    Alone,
    FixedAction,
)
from lectures_lib.evaluation import (
    initial_states,
)

SMALL = {"groups": 2, "replicates": 4, "horizon": 3, "hidden": (8,), "warm_up": 1}


CONFIGS = {PPO: PPOConfig, Probing: ProbingConfig, SAC: SACConfig, Analytic: AnalyticConfig}


def make(kind, game, **options):
    changes = SMALL if kind is not SAC else SMALL | {"batch": 16, "memory": 64}
    if kind is DQN:
        config = DQNConfig(groups=8, horizon=2, hidden=(8,), batch=16, capacity=64, warm_up=1)
    else:
        config = CONFIGS[kind](**changes | options)
    return kind(game, seeds=(1, 2), device="cpu", config=config)


def players(game):
    """The learners that can play."""
    kinds = [PPO, Probing, SAC]
    if all(role.choices for role in game.roles.values()):
        kinds.append(DQN)
    if sum(role.n_agents for role in game.roles.values()) == 1:
        kinds.append(Analytic)
    return kinds


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name, game in GAMES.items() for kind in players(game)]
)
def test_every_agent_learns_saves_and_resumes_bit_for_bit(tmp_path, name, kind):
    game = GAMES[name]
    whole, half = make(kind, game), make(kind, game)
    total = 6 * whole.steps_per_iteration
    whole.learn(total, show_progress=False)
    half.learn(total // 2, show_progress=False)
    # Schedules follow the budget, so that the rest has to be told from the start.
    again = make(kind, game)
    again.learn(total, show_progress=False)
    path = tmp_path / "agent.pt"
    again.save(path)
    loaded = kind.load(path, game, device="cpu")
    state = initial_states(whole.policy, game, 6, seed=0)
    for role, action in whole.policy(state).items():
        assert action.shape == (2, 6, game.roles[role].n_agents, game.roles[role].n_actions)
        assert torch.isfinite(action).all()
        assert torch.equal(action, loaded.policy(state)[role])
    before = make(kind, game).policy(state)
    after = whole.policy(state)
    assert any(not torch.equal(before[role], after[role]) for role in after)


@every_game
@pytest.mark.parametrize("options", [{"shared": False}, {"central_critic": True}], ids=str)
def test_networks_of_ones_own_and_central_critics(game, options):
    for kind in (PPO, SAC):
        agent = make(kind, game, **options)
        agent.learn(3 * agent.steps_per_iteration, show_progress=False)
        state = initial_states(agent.policy, game, 6, seed=0)
        assert all(torch.isfinite(a).all() for a in agent.policy(state).values())


def test_a_central_critic_sees_what_leaders_did():
    agent = make(PPO, Shop(), central_critic=True)
    agent.learn(2 * agent.steps_per_iteration, show_progress=False)
    assert agent.learners["customer"].critic.weights[0].shape[-2] == 4 + 4 + 10


@pytest.mark.learning
def test_a_follower_learns_to_respond_to_offers():
    """With noisy offers, customers find the closed form of their share."""
    game = Shop()
    config = PPOConfig(noise=(0.4, 0.3), final_rate=0.1)
    agent = PPO(game, seed=0, device="cpu", config=config)
    agent.learn(400_000, show_progress=False)
    state = game.reset((200,), generator(3))
    offer = 0.4 + 0.6 * torch.rand((200, 2), generator=generator(4))
    share = agent.policy(state, {"shop": offer.unsqueeze(-2)})["customer"]
    exact = game.best_share(state, offer)
    assert (share - exact).abs().mean() < 0.06
    centred = [x.flatten() - x.mean() for x in (share, exact)]
    assert torch.corrcoef(torch.stack(centred))[0, 1] > 0.8


def test_a_role_has_its_own_discount():
    """With a discount of zero a critic learns the reward of the period and no more."""
    game = Shop()
    agent = make(PPO, game)
    agent.learn(2 * agent.steps_per_iteration, show_progress=False)
    assert agent.economy.discount_of("shop") == 0.5
    assert agent.economy.discount_of("customer") == 0.9
    ratio = agent._value_scale["shop"] * 0.5
    spread = agent.learners["shop"].reward_scale.variance.sqrt().float()
    # The scale of the last iteration is that of the rewards before it.
    assert ratio.shape[0] == spread.shape[0] and torch.isfinite(ratio).all()


def test_who_is_alone_is_checked():
    game = Shop()
    policy = constant(game)
    with pytest.raises(ValueError, match="role='seller': expected one of"):
        Alone(game, policy, "seller")
    with pytest.raises(ValueError, match=r"agent=2: expected one of 0\.\.1"):
        Alone(game, policy, "customer", 2)
    with pytest.raises(ValueError, match=r"one run, such as policy\[0\]"):
        Alone(game, make(PPO, game).policy, "shop")


def test_a_learner_and_a_table_can_take_one_agents_place():
    game = Rivals()
    alone = Alone(game, FixedAction(game, 0.6), "firm")
    for kind in (PPO, SAC, DQN):
        agent = make(kind, alone)
        agent.learn(3 * agent.steps_per_iteration, show_progress=False)
    learner = QLearning(alone, seed=0)
    learner.learn(200_000, show_progress=False)
    state = game.reset((20,), generator())
    # Against .6 for ever, .6 earns .2, .4 earns .18 and .8 earns .06.
    assert (learner.policy(state)["firm"] == 0.6).all()
