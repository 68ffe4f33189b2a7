"""Soft actor-critic: its densities, its critics, its temperature, and an exact answer."""

import math
import signal

import pytest
import torch
from torch.distributions import AffineTransform, ComposeTransform, Normal, TransformedDistribution
from torch.distributions.transforms import TanhTransform

from lectures_lib.agents.losses import (
    soft_targets,
    squash,
    squashed_log_prob,
    temperature_loss,
    twin_minimum,
)
from lectures_lib.agents.sac import SAC, SACConfig
from lectures_lib.agents.squashed import GaussianActor, TwinCritics
from lectures_lib.economies import BrockMirman, Market, Monopolist, Planner
from lectures_lib.evaluation import evaluate
from lectures_lib.networks import MLP, Streams
from lectures_lib.solvers import solve

SMALL = {
    "groups": 2,
    "replicates": 4,
    "horizon": 3,
    "hidden": (8,),
    "warm_up": 1,
    "batch": 8,
    "memory": 64,
}
CPU = torch.device("cpu")


def make(economy=None, config=None, **options):
    config = SACConfig(**SMALL) if config is None else config
    return SAC(economy or BrockMirman(), config=config, device="cpu", **options)


def iterations(agent, n):
    return n * agent.steps_per_iteration


# ---------------------------------------------------------------------- densities
@pytest.mark.parametrize("bound", [1.0, 5.0])
def test_the_squashed_density_is_that_of_torch_distributions(bound):
    g = torch.Generator().manual_seed(0)
    mean, log_sd, noise = (torch.randn(50, 3, generator=g, dtype=torch.float64) for _ in range(3))
    z = mean + log_sd.exp() * noise
    squashing = ComposeTransform(
        [AffineTransform(0.0, 1 / bound), TanhTransform(), AffineTransform(0.0, bound)]
    )
    other = TransformedDistribution(Normal(mean, log_sd.exp()), squashing)
    keep = (z / bound).abs().amax(-1) < 8  # beyond, torch's own inverse loses its digits
    ours = squashed_log_prob(noise, log_sd, z, bound)
    theirs = other.log_prob(squash(z, bound)).sum(-1)
    assert keep.sum() > 20
    torch.testing.assert_close(ours[keep], theirs[keep], rtol=1e-6, atol=1e-6)


def test_the_squashed_density_integrates_to_one():
    bound, mean, sd = 2.0, 0.7, 0.9
    u = torch.linspace(-bound, bound, 200_003, dtype=torch.float64)[1:-1, None]
    z = bound * torch.atanh(u / bound)
    density = squashed_log_prob((z - mean) / sd, torch.full_like(z, math.log(sd)), z, bound).exp()
    assert torch.trapezoid(density, u.squeeze()).item() == pytest.approx(1, abs=1e-6)


def test_the_log_density_stays_finite_far_out():
    z = torch.tensor([[-1e4], [1e4]])
    assert torch.isfinite(squashed_log_prob(torch.zeros(2, 1), torch.zeros(2, 1), z, 5.0)).all()


def test_an_actors_samples_have_its_mean_and_spread():
    streams = Streams([0, 1], CPU)
    actor = GaussianActor((3, 8, 2), streams, 5.0, 0.3)
    x = torch.randn(2, 4, 3)
    noise = torch.randn(2, 4, 3)[..., :2]
    raw, _ = actor.sample(x, noise)
    mean, log_sd = actor.gaussian(x)
    torch.testing.assert_close(raw, squash(mean + log_sd.exp() * noise, 5.0))
    torch.testing.assert_close(actor.sample(x, 0 * noise)[0], actor(x))
    assert actor(x).abs().max() < 0.05, "neutral at first"
    torch.testing.assert_close(log_sd.exp(), torch.full_like(log_sd, 0.3), rtol=0.1, atol=0)


# ---------------------------------------------------------------------- critics
def test_twin_critics_are_two_networks():
    streams, again = Streams([0, 1], CPU), Streams([0, 1], CPU)
    twins = TwinCritics((4, 8, 1), streams)
    pair = [MLP((4, 8, 1), again, last_scale=0.01) for _ in range(2)]
    x, action = torch.randn(2, 5, 6, 3), torch.randn(2, 5, 6, 1)
    both = twins(x, action)
    assert both.shape == (2, 2, 5, 6)
    for i, one in enumerate(pair):
        torch.testing.assert_close(both[:, i], one(torch.cat([x, action], -1)).squeeze(-1))


def test_the_twin_minimum_ignores_levels_within_a_group():
    values = torch.tensor([[[1.0, 5.0], [2.0, 3.0]]])  # (1, twin, group of two)
    assert twin_minimum(values, 1).tolist() == [[1.0, 3.0]]
    # Differences: -2, 2 and -0.5, 0.5.
    assert twin_minimum(values, 1, group=2).tolist() == [[-2.0, 0.5]]
    moved = values + torch.tensor([100.0, -7.0])[None, :, None]
    torch.testing.assert_close(twin_minimum(moved, 1, group=2), twin_minimum(values, 1, group=2))


def test_soft_targets_by_hand():
    target = soft_targets(*map(torch.tensor, (1.0, 10.0, -2.0, 0.5)), 0.9)
    assert target.item() == pytest.approx(1 + 0.9 * (10 + 0.5 * 2))


def test_target_critics_follow_slowly():
    agent = make(config=SACConfig(**SMALL, track=0.25))
    learner = agent.learners["planner"]
    old = [p.clone() for p in learner.targets.parameters()]
    with torch.no_grad():
        for p in learner.critic.parameters():
            p.add_(1.0)
    agent.move_targets()
    for before, after in zip(old, learner.targets.parameters(), strict=True):
        torch.testing.assert_close(after, before + 0.25)


@pytest.mark.parametrize("differences", [True, False])
def test_only_critics_on_levels_notice_luck_common_to_a_group(differences):
    agent = make(config=SACConfig(**SMALL, difference_critic=differences))
    agent.learn(iterations(agent, 2))
    batch = agent.replay.sample(4)
    lucky = batch | {"planner reward": batch["planner reward"] + 10.0}
    losses = []
    for each in (batch, lucky):
        state = agent.streams.state_dict()
        losses.append(agent.critic_loss("planner", each).item())
        agent.streams.load_state_dict(state)
    assert (losses[0] == pytest.approx(losses[1], rel=1e-3)) is differences


def test_whole_groups_are_remembered_with_the_same_luck():
    agent = make()
    agent.learn(iterations(agent, 1))
    seen, following = (agent.replay.fields[f"planner {k}"][0, :6] for k in ("seen", "next"))
    assert seen.shape == (6, 4, 1, 2), "three periods of two groups of four economies"
    for x in (seen, following):
        assert (x[..., 1] == x[:, :1, :, 1]).all(), "productivity is the group's"
        assert (x[..., 0].std(1) > 0).all(), "capital is each economy's own"
    # One period's following state is the next period's.
    torch.testing.assert_close(following[:2], seen[2:4])
    single = make(config=SACConfig.ordinary(**SMALL))
    single.learn(iterations(single, 1))
    assert single.replay.fields["planner seen"].shape == (1, 64, 1, 1, 2)


# ---------------------------------------------------------------------- temperature
@pytest.mark.parametrize(("entropy", "rises"), [(-3.0, True), (1.0, False)])
def test_the_temperature_rises_when_entropy_is_below_its_target(entropy, rises):
    heat = torch.zeros(1, requires_grad=True)
    temperature_loss(heat, torch.tensor([-entropy]), target_entropy=-1.0).sum().backward()
    assert (heat.grad.item() < 0) is rises, "descent moves against the gradient"


@pytest.mark.learning
def test_entropy_arrives_at_its_target():
    config = SACConfig(**SMALL | {"batch": 64, "memory": 960}, noise=(0.3, 0.1))
    agent = make(config=config, seeds=range(2))
    agent.learn(iterations(agent, 400))
    learner, batch = agent.learners["planner"], agent.replay.sample(32)
    x = agent.standardise("planner", batch["planner seen"])
    noise = torch.randn(*x.shape[:-1], 1, generator=torch.Generator().manual_seed(0))
    entropy = -learner.actor.sample(x, noise)[1].mean(dim=(1, 2, 3))
    expected = math.log(0.1) + 0.5 * math.log(2 * math.pi * math.e)
    assert agent.target_entropy == pytest.approx(expected, abs=0.01)
    assert (entropy - expected).abs().max() < 0.5
    assert agent.temperature["planner"].shape == (2,)


# ---------------------------------------------------------------------- the agent
@pytest.mark.parametrize("config", [SACConfig(**SMALL), SACConfig.ordinary(**SMALL)])
def test_learning_resumes_bit_for_bit(config, tmp_path, identical):
    whole, half = (make(config=config, seeds=[1, 2]) for _ in range(2))
    whole.learn(iterations(whole, 12))
    half.learn(iterations(half, 12), callback_every=5, callback=_stop_at(half, 5))
    assert half.iteration == 6, "the iteration in hand is finished"
    half.save(tmp_path / "sac.pt")
    other = SAC.load(tmp_path / "sac.pt", BrockMirman(), device="cpu")
    other.learn(iterations(other, 12))
    identical(whole, other)


def _stop_at(_, iteration):
    """A callback that interrupts training as Ctrl-C does."""

    def callback(agent):
        if agent.iteration == iteration:
            signal.raise_signal(signal.SIGINT)
        return {}

    return callback


@pytest.mark.parametrize(
    "model",
    [Planner(2, 2), Market(2), Market(2, n_uninformed=1, atomistic=True), Monopolist()],
    ids=repr,
)
@pytest.mark.parametrize("kind", [SACConfig, SACConfig.ordinary])
def test_every_kind_of_role_learns(model, kind):
    agent = make(model, kind(**SMALL), seeds=[0, 1])
    agent.learn(iterations(agent, 4))
    state = model.reset((2, 5), torch.Generator().manual_seed(0))
    for action in agent.policy(state).values():
        assert torch.isfinite(action).all()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"lam": 0.9}, r"^lam=0.9: expected zero"),
        ({"batch": 10}, r"^batch=10: expected a positive multiple of replicates=4"),
        ({"memory": 0}, r"^memory=0: expected a positive multiple"),
        ({"memory": 20}, r"^memory=20: expected room for an iteration's 24"),
        ({"bound": 0.0}, r"^bound=0.0: expected a positive number"),
        ({"unit": 0.0}, r"^unit=0.0: expected a positive number"),
        ({"temperature": 0.0}, r"^temperature=0.0: expected a positive number"),
        ({"track": 1.5}, r"^track=1.5: expected a number in \[0, 1\]"),
        ({"noise": (0.1, 0.0)}, r"^noise=.*two positive numbers"),
        ({"twin": 1}, r"^twin=1: expected True or False"),
    ],
)
def test_a_bad_setting_is_named(setting, words):
    with pytest.raises(ValueError, match=words):
        SACConfig(**SMALL | setting)


def test_utility_may_be_measured_in_any_units():
    class Scaled(BrockMirman):
        def transition(self, state, actions, shocks):
            step = super().transition(state, actions, shocks)
            return step._replace(rewards={"planner": 1000 * step.rewards["planner"] + 7})

    agents = [make(economy, seed=1) for economy in (BrockMirman(), Scaled())]
    for agent in agents:
        agent.learn(iterations(agent, 6))
    state = BrockMirman().reset((16,), torch.Generator().manual_seed(0))
    one, other = (agent.policy(state)["planner"] for agent in agents)
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.learning
def test_sac_finds_the_monopolists_price_in_seconds():
    economy = Monopolist()
    exact = solve(economy)
    agent = make(economy, SACConfig(warm_up=30, noise=(0.4, 0.1)), seed=0)
    start = evaluate(agent.policy, economy, exact, paths=32).policy_error_mean
    agent.learn(iterations(agent, 150))
    error = evaluate(agent.policy, economy, exact, paths=32).policy_error_mean
    assert error < 0.03 < start
