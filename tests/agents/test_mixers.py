"""Mixtures of a team's values: what they can express, their errors by hand, and known answers."""

import itertools

import pytest
import torch

from lectures_lib.agents import DQN, QMIX, VDN, DQNConfig, QMIXConfig, VDNConfig
from lectures_lib.agents.losses import projection_weights
from lectures_lib.agents.mixers import Free, Monotonic, Sum
from lectures_lib.economies import Bertrand, Discretised, Matrix, Planner, TwoStep
from lectures_lib.networks import Streams

RUNS, AGENTS, CHOICES, FEATURES = 2, 3, 4, 5
SMALL = {"groups": 4, "horizon": 3, "hidden": (8,), "capacity": 60, "warm_up": 1, "batch": 8}
SMALL |= {"updates": 2}
MIXERS = ["sum", "monotonic", "free"]


def streams():
    return Streams(range(RUNS), torch.device("cpu"))


def mixer(kind):
    if kind == "sum":
        return Sum()
    if kind == "monotonic":
        return Monotonic(AGENTS, FEATURES, 6, streams())
    return Free(AGENTS, FEATURES, 6, CHOICES, (8,), streams())


def normal(*shape, seed=0):
    return torch.randn((RUNS, *shape), generator=torch.Generator().manual_seed(seed))


# ---------------------------------------------------------------------- what they can express
@pytest.mark.parametrize("kind", MIXERS)
def test_shapes_are_free_and_runs_apart(kind):
    mix = mixer(kind)
    values, world = normal(7, 4, AGENTS), normal(7, 4, FEATURES, seed=1)
    out = mix(values, world)
    assert out.shape == (RUNS, 7, 4)
    torch.testing.assert_close(mix(values[:, 2], world[:, 2]), out[:, 2])
    # What the first run is given changes nothing for the second.
    values[0] += 1
    assert torch.equal(mix(values, world)[1], out[1]) and not torch.equal(mix(values, world), out)


def test_the_sum_is_exact():
    values = normal(9, AGENTS)
    assert torch.equal(Sum()(values, normal(9, FEATURES)), values.sum(-1))


@pytest.mark.parametrize("kind", MIXERS)
def test_mixtures_rise_in_each_value(kind):
    mix = mixer(kind)
    for scale in (0.1, 1.0, 10.0):
        values = (scale * normal(200, AGENTS)).requires_grad_()
        out = mix(values, scale * normal(200, FEATURES, seed=1))
        (slope,) = torch.autograd.grad(out.sum(), values)
        assert (slope >= 0).all() and (slope > 0).float().mean() > 0.99


@pytest.mark.parametrize("kind", MIXERS)
def test_the_best_joint_choice_is_everybodys_own_best(kind):
    mix = mixer(kind)
    values, world = normal(100, AGENTS, CHOICES), normal(100, FEATURES, seed=1)
    joint = torch.tensor(list(itertools.product(range(CHOICES), repeat=AGENTS)))
    chosen = joint.expand(RUNS, 100, *joint.shape)
    each = values.unsqueeze(2).expand(*chosen.shape, CHOICES)
    each = each.gather(-1, chosen.unsqueeze(-1)).squeeze(-1)
    everywhere = world.unsqueeze(2).expand(*chosen.shape[:3], FEATURES)
    best = joint[mix(each, everywhere).argmax(-1)]
    assert torch.equal(best, values.argmax(-1))
    if kind == "free":  # the value of the joint choice itself knows no such restriction
        free = joint[mix.joint(each, chosen, everywhere).argmax(-1)]
        assert (free != values.argmax(-1)).any(-1).float().mean() > 0.5


def test_the_world_says_how_much_each_counts():
    mix = mixer("monotonic")
    values = normal(1, AGENTS).expand(RUNS, 50, AGENTS).clone().requires_grad_()
    out = mix(values, normal(50, FEATURES))
    (slope,) = torch.autograd.grad(out.sum(), values)
    assert (slope.std(1) > 0.1 * slope.mean(1)).all()
    # Where nothing is out of the ordinary, values still count.
    still = values.detach().requires_grad_()
    (slope,) = torch.autograd.grad(mix(still, torch.zeros(RUNS, 50, FEATURES)).sum(), still)
    assert (slope > 0).all()


def test_joint_values_are_of_choices_and_not_of_the_agents_values():
    mix = mixer("free")
    world, chosen = normal(6, FEATURES), torch.arange(6 * AGENTS).reshape(6, AGENTS) % CHOICES
    chosen = chosen.expand(RUNS, 6, AGENTS)
    out = mix.joint(normal(6, AGENTS), chosen, world)
    assert torch.equal(out, mix.joint(normal(6, AGENTS, seed=3), chosen, world))
    assert not torch.equal(out, mix.joint(normal(6, AGENTS), chosen.flip(-1), world))


def test_weights_by_hand():
    joint = torch.tensor([1.0, 2.0, 3.0, 3.05])
    same = torch.tensor([True, False, False, False])
    weight = projection_weights(joint, torch.tensor([1.0, 2.5, 2.5, 3.0]), same, 0.2, tie=0.1)
    assert weight.tolist() == pytest.approx([1.0, 0.2, 1.0, 0.2])


# ---------------------------------------------------------------------- errors
def small(economy=None, kind=DQN, seeds=(0, 1), **changes):
    config = kind.config_class(**(SMALL | changes))
    return kind(economy or TwoStep(), seeds=seeds, config=config, device="cpu")


def iterate(agent, n):
    for _ in range(n):
        agent.iterate()
        agent.iteration += 1


def of(values, chosen):
    return values.gather(-1, chosen.unsqueeze(-1)).squeeze(-1)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("double", [False, True])
def test_a_teams_error_by_hand(double, shared):
    agent = small(mixer="sum", double=double, target_every=1000, shared=shared, dueling=True)
    iterate(agent, 4)
    drawn = agent.memory.sample(6)
    inputs, following, choice, reward = (
        drawn[f"player {x}"] for x in ("inputs", "following", "choice", "reward")
    )
    learner = agent.learners["player"]
    error = agent.errors("player", drawn)
    assert error.shape == (2, 6, 1, 1)
    now = learner.online(learner.scale(inputs))
    ahead = learner.target(learner.scale(following))
    best = (learner.online(learner.scale(following)) if double else ahead).argmax(-1)
    total = of(now, choice).sum(-1)
    expected = total - reward.mean(-1) - agent.economy.beta * of(ahead, best).sum(-1)
    torch.testing.assert_close(error.squeeze(-1), expected, rtol=1e-4, atol=1e-2)


def test_a_mixture_counts_in_units_of_reward():
    agent = small(mixer="monotonic", target_every=1000)
    iterate(agent, 4)
    drawn = agent.memory.sample(6)
    learner = agent.learners["player"]
    world = [learner.world_scale(drawn[f"player {x}"]) for x in ("world", "next_world")]
    assert torch.equal(drawn["player world"], drawn["player inputs"])  # all see the same here
    assert torch.equal(drawn["player next_world"], drawn["player following"])
    level, spread = (x.reshape(-1, 1, 1, 1) for x in (learner.online.level, learner.online.spread))
    q = of(learner.online(learner.scale(drawn["player inputs"])), drawn["player choice"])
    ahead = learner.target(learner.scale(drawn["player following"])).amax(-1)
    first, second = (
        2 * level[..., 0] + spread[..., 0] * mix((x - level) / spread, s.flatten(-2))
        for mix, x, s in zip((learner.mixer, learner.target_mixer), (q, ahead), world, strict=True)
    )
    expected = first - drawn["player reward"][..., 0] - agent.economy.beta * second
    error = agent.errors("player", drawn).squeeze(-1)
    torch.testing.assert_close(error, expected, rtol=1e-4, atol=1e-2)


def test_a_free_mixer_has_two_errors():
    agent = small(Matrix.climbing(), mixer="free", weight=0.25)
    iterate(agent, 4)
    drawn = agent.memory.sample(20)
    learner, chosen = agent.learners["player"], drawn["player choice"]
    world = learner.world_scale(drawn["player world"]).flatten(-2)
    level, spread = (x.reshape(-1, 1, 1) for x in (learner.online.level, learner.online.spread))
    q = learner.online(learner.scale(drawn["player inputs"]))

    def joint(choice):
        return 2 * level + spread * learner.mixer.joint(None, choice, world)

    error, gap = agent.errors("player", drawn).unbind(-1)
    torch.testing.assert_close(error, joint(chosen) - drawn["player reward"][..., 0])
    z = (of(q, chosen) - level.unsqueeze(-1)) / spread.unsqueeze(-1)
    mixed = 2 * level + spread * learner.mixer(z, world)
    own = q.argmax(-1)
    counts = (chosen == own).all(-1) | (joint(chosen) > joint(own) + 0.01 * spread)
    assert 0 < counts.float().mean() < 1
    root = torch.where(counts, 1.0, 0.5)
    torch.testing.assert_close(gap, root * (mixed - joint(chosen)), rtol=1e-4, atol=1e-4)
    # The agents' values move nothing but the gap, and joint values nothing but the error.
    for network, what in ((learner.mixer.of_choices, gap), (learner.online, error)):
        slopes = torch.autograd.grad(what.sum(), list(network.parameters()), retain_graph=True)
        assert all((slope == 0).all() for slope in slopes)


@pytest.mark.parametrize("kind", MIXERS)
def test_common_luck_is_taken_off_a_teams_error(kind):
    economy = Discretised(Planner(2), (0.05, 0.1, 0.2))
    agent = small(economy, mixer=kind, replicates=3, common_shocks=True, capacity=200)
    iterate(agent, 4)
    error = agent.errors("planner", agent.memory.sample(6))
    assert error.shape == (2, 6, 3, 2 if kind == "free" else 1)
    assert error[..., 0].mean(2).abs().max() < 1e-4 < error[..., 0].abs().max()


# ---------------------------------------------------------------------- parts
@pytest.mark.parametrize("kind", ["monotonic", "free"])
def test_target_mixers_wait_and_jump_with_their_networks(kind):
    agent = small(mixer=kind, target_every=6, target_rate=1.0, updates=3, warm_up=0)
    learner = agent.learners["player"]

    def alike():
        pairs = zip(learner.mixer.parameters(), learner.target_mixer.parameters(), strict=True)
        return [torch.equal(x, y) for x, y in pairs]

    assert all(alike())
    iterate(agent, 1)
    assert not any(alike())
    iterate(agent, 1)
    assert all(alike())


@pytest.mark.parametrize(("kind", "name"), [(VDN, "sum"), (QMIX, "monotonic")])
def test_vdn_and_qmix_are_deep_q_learning_with_a_mixer(kind, name, identical):
    one, other = small(kind=kind), small(mixer=name)
    for agent in (one, other):
        agent.learn(4 * agent.steps_per_iteration, show_progress=False)
    identical(one, other)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("kind", MIXERS)
def test_a_stopped_team_goes_on_bit_for_bit(tmp_path, identical, kind, shared):
    options = {"mixer": kind, "shared": shared, "dueling": True, "double": True}
    whole, stopped = (small(**options) for _ in range(2))
    total = 6 * whole.steps_per_iteration
    whole.learn(total, show_progress=False)

    class Stop(Exception):
        pass

    def stop(agent):
        if agent.iteration == 3:
            agent.save(tmp_path / "agent.pt")
            raise Stop

    with pytest.raises(Stop):
        stopped.learn(total, callback=stop, callback_every=1, show_progress=False)
    again = DQN.load(tmp_path / "agent.pt", TwoStep(), device="cpu")
    again.learn(total, show_progress=False)
    identical(whole, again)


# ---------------------------------------------------------------------- known answers
#: With these settings all of seeds 0 to 49 play as said below, and of 100 to 149 all but one.
SETTINGS = {"groups": 16, "hidden": (16,), "batch": 32, "updates": 4, "warm_up": 4}
SETTINGS |= {"capacity": 4000, "epsilon": (1.0, 1.0), "rate": 1e-2, "target_rate": 0.05}


def earned(game, mixer, rounds, periods=1, seeds=5):
    """What each seed's greedy team earns in so many periods."""
    config = DQNConfig(mixer=mixer, **SETTINGS)
    agent = DQN(game, seeds=range(seeds), config=config, device="cpu")
    agent.learn(rounds * agent.steps_per_iteration, show_progress=False)
    luck = torch.Generator()
    state, total = game.reset((seeds,), luck), torch.zeros(seeds)
    for _ in range(periods):
        step = game.step(state, agent.policy(state), game.draw((seeds,), luck))
        state, total = step.state, total + step.rewards["player"].mean(-1)
    return total


@pytest.mark.learning
@pytest.mark.parametrize(("mixer", "expected"), [("sum", 7), ("monotonic", 8), ("free", 8)])
def test_two_steps(mixer, expected):
    """The sum cannot express that only both together earn 8 (Rashid et al. 2018, section 5)."""
    assert (earned(TwoStep(), mixer, 400, periods=2) == expected).all()


@pytest.mark.learning
@pytest.mark.parametrize("mixer", MIXERS)
@pytest.mark.parametrize(("game", "best"), [(Matrix.climbing(), 11), (Matrix.precipice(), 8)])
def test_only_the_free_find_what_lies_beside_a_precipice(game, best, mixer):
    found = (earned(game, mixer, 300) == best).float().mean()
    assert found >= 0.8 if mixer == "free" else found == 0


@pytest.mark.learning
def test_values_do_not_run_away():
    """Without bounds on what the world state does to a mixture, these errors grow to thirty."""
    economy = Discretised(Planner(2), tuple(0.02 * k for k in range(1, 12)))
    options = {"groups": 64, "replicates": 8, "common_shocks": True, "capacity": 100_000}
    options |= {"batch": 256, "rate": 1e-3, "target_rate": 0.1, "steps": 614_400}
    agent = QMIX(economy, seed=0, config=QMIXConfig(**options), device="cpu")
    agent.learn(100 * agent.steps_per_iteration, show_progress=False)
    error = agent.errors("planner", agent.memory.sample(64))
    assert error.square().mean().sqrt() < 0.01 * agent.learners["planner"].online.spread


# ---------------------------------------------------------------------- refusals
@pytest.mark.parametrize("game", [Matrix.stag_hunt(), Bertrand()], ids=["stag hunt", "Bertrand"])
def test_rivals_are_no_team(game):
    for kind in (VDN, QMIX):
        with pytest.raises(TypeError, match=r"is no team.*expected a role with team=True"):
            kind(game)


@pytest.mark.parametrize(
    ("name", "value"),
    [("mixer", "product"), ("mixing", 0), ("weight", 0.0), ("weight", 1.5), ("mixer", 1)],
)
def test_a_bad_setting_is_named(name, value):
    with pytest.raises(ValueError, match=f"^{name}=.*expected"):
        DQNConfig(**{name: value})


@pytest.mark.parametrize(("config", "value"), [(VDNConfig, "monotonic"), (QMIXConfig, None)])
def test_what_makes_an_algorithm_is_no_setting(config, value):
    with pytest.raises(ValueError, match=r"^mixer=.*DQNConfig takes others"):
        config(mixer=value)
