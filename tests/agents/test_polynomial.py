"""The polynomial critic against linear equations solved by hand, and against simulated values."""

from dataclasses import replace

import pytest
import torch

from lectures_lib.agents import Probing, ProbingConfig
from lectures_lib.agents.polynomial import PolynomialCritic
from lectures_lib.economies import Planner
from lectures_lib.economies.base import map_state
from lectures_lib.economies.play import FixedAction
from lectures_lib.evaluation import simulate

SETTINGS = ProbingConfig(groups=16, replicates=4, horizon=8, critic="polynomial")


def critic_of(inputs, second_moments=0, runs=1):
    critic = PolynomialCritic(runs, inputs, torch.device("cpu"), second_moments)
    critic.varies[:] = True
    return critic


def test_terms_are_all_products_of_up_to_three_inputs():
    critic = critic_of(2)
    a, b = 2.0, 5.0
    found = critic.features(torch.tensor([[a, b]]))[0]
    expected = [a, b, a * a, a * b, b * b, a**3, a * a * b, a * b * b, b**3]
    assert found.tolist() == expected


def test_a_second_moment_is_a_product_of_two():
    # Of two inputs and a second moment m: nine terms as above, and m, am, bm.
    assert len(critic_of(3, second_moments=1).terms) == 12


def test_inputs_that_never_move_are_left_out():
    critic = critic_of(3)
    critic.varies[1] = False
    x = torch.randn(1, 5, 3)
    assert critic.features(x).shape[-1] == len(critic_of(2).terms)
    assert torch.equal(critic.features(x), critic_of(2).features(x[..., [0, 2]]))


def test_it_finds_a_polynomial_value_exactly():
    critic, g = critic_of(3, runs=2), torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 2, 400, 3, generator=g)
    truth = torch.randn(2, len(critic.terms), 1, generator=g)
    now, later = critic.features(x), 0.9 * critic.features(y)
    critic.fit(now, later, ((now - later) @ truth).squeeze(-1))
    torch.testing.assert_close(critic.weights.unsqueeze(-1), truth, atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(critic(x), now @ truth, atol=2e-2, rtol=2e-3)


def test_differences_in_value_are_those_of_a_simulation():
    economy = Planner(2)
    # A policy that does not learn: half of output is spent.
    agent = Probing(economy, seed=0, device="cpu", config=replace(SETTINGS, policy_rate=0.0))
    agent.learn(150 * agent.steps_per_iteration, show_progress=False)
    state = map_state(lambda x: x[:, :, :2], agent.world.restart(economy))
    one, other = (map_state(lambda x, i=i: x[0, :, i], state) for i in (0, 1))

    def value(s):
        s = map_state(lambda x: x[None, None, :, None], s)
        seen = agent.decide(s, {}).surveyed["planner"]
        with torch.no_grad():
            return agent.values("planner", agent.standardise_survey("planner", seen)).mean(-1)

    learned = (value(one) - value(other)).flatten().double()
    half = FixedAction(economy, 0.5)

    def lived(s):
        s = s._replace(capital=s.capital.double())
        copies = map_state(lambda x: x.repeat(50, *[1] * (x.dim() - 1)), s)
        total = simulate(half, economy, copies, 300, seed=1).value["planner"].mean(-1)
        return total.reshape(50, -1).mean(0)

    exact = lived(one) - lived(other)
    assert exact.abs().mean() > 0.1
    torch.testing.assert_close(learned, exact, atol=0.03 * exact.abs().max().item(), rtol=0)


@pytest.mark.parametrize("game", [Planner(), Planner(30), Planner(2, 2)], ids=["1", "30", "2 x 2"])
def test_agents_learn_with_it(game):
    config = replace(SETTINGS, split_probes=True, policy_rate=2e-2, groups=4)
    agent = Probing(game, seeds=(0, 1), device="cpu", config=config)
    agent.learn(80 * agent.steps_per_iteration, show_progress=False)
    # At first half of output is consumed; a planner consumes nine tenths. So short a run is still
    # off, by how much depends on rounding.
    state = game.reset((2, 50), torch.Generator().manual_seed(1))
    consumed = 1 - agent.policy(state)["planner"].sum(-1).mean((1, 2))
    assert (consumed - 0.9).abs().max() < 0.15


def test_it_is_stored_with_the_agent(tmp_path):
    economy = Planner(2)
    agent = Probing(economy, seed=0, device="cpu", config=SETTINGS)
    agent.learn(4 * agent.steps_per_iteration, show_progress=False)
    agent.save(tmp_path / "agent.pt")
    again = Probing.load(tmp_path / "agent.pt", economy, "cpu")
    for x in (agent, again):
        x.learn(8 * x.steps_per_iteration, show_progress=False)
    one, other = (x.learners["planner"].critic.weights for x in (agent, again))
    assert one.abs().max() > 0 and torch.equal(one, other)


@pytest.mark.parametrize("name", ["difference_critic", "common_shocks", "shared"])
def test_what_it_needs_is_said(name):
    with pytest.raises(ValueError, match=f"{name}=False: expected True, which a polynomial"):
        replace(SETTINGS, **{name: False})
    with pytest.raises(ValueError, match="critic='table': expected 'network' or 'polynomial'"):
        replace(SETTINGS, critic="table")
