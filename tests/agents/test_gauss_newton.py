"""Steps of damped least squares against Jacobians that autograd finds."""

import pytest
import torch

from lectures_lib.agents import Probing, ProbingConfig
from lectures_lib.agents.gauss_newton import least_squares_step
from lectures_lib.agents.losses import demean
from lectures_lib.economies import Market, Planner
from lectures_lib.evaluation import evaluate
from lectures_lib.networks import MLP, Streams
from lectures_lib.solvers import solve

N = 12


def networks(seeds=(0, 1)):
    return MLP((2, 5, 4, 1), Streams(seeds, torch.device("cpu"))).double()


def examples(runs=2):
    g = torch.Generator().manual_seed(3)
    x = torch.randn(runs, N, 2, generator=g, dtype=torch.float64)
    return x, torch.randn(runs, N, generator=g, dtype=torch.float64)


def by_autograd(network, x, wanted, damping, differences):
    """Weights' changes, one list for each run, from the normal equations of all weights."""
    weights = dict(network.named_parameters())
    found = []
    for run in range(len(x)):
        own = {name: w[run : run + 1].detach() for name, w in weights.items()}

        def outputs(w, run=run):
            y = torch.func.functional_call(network, w, (x[run : run + 1],)).flatten()
            return demean(y.unflatten(0, (-1, 4)), 1).flatten() if differences else y

        parts = torch.func.jacrev(outputs)(own)
        jacobian = torch.cat([part.flatten(1) for part in parts.values()], 1)
        size = damping * jacobian.square().sum() / N
        identity = torch.eye(jacobian.shape[1], dtype=torch.float64)
        normal = jacobian.T @ jacobian + size * identity
        found.append(torch.linalg.solve(normal, jacobian.T @ wanted[run]))
    return found


@pytest.mark.parametrize("differences", [False, True])
def test_the_step_is_that_of_the_normal_equations(differences):
    network, (x, wanted) = networks(), examples()
    before = torch.cat([w.detach().flatten(1) for w in network.parameters()], 1).clone()
    expected = by_autograd(network, x, wanted, 1e-2, differences)

    def centre(y):
        return demean(y.unflatten(1, (-1, 4)), 2).flatten(1, 2)

    least_squares_step(network, x, wanted, 1e-2, 0.5, centre if differences else None)
    moved = torch.cat([w.detach().flatten(1) for w in network.parameters()], 1) - before
    for run in range(2):
        torch.testing.assert_close(moved[run], 0.5 * expected[run], rtol=1e-7, atol=1e-9)


def test_outputs_move_by_what_is_wanted():
    network, (x, wanted) = networks(), examples()
    # Few enough that the network can give each what is wanted.
    x, small = x[:, :3], 1e-4 * wanted[:, :3]
    before = network(x).squeeze(-1).detach()
    least_squares_step(network, x, small, 1e-8)
    torch.testing.assert_close(network(x).squeeze(-1) - before, small, rtol=0.02, atol=1e-7)


@pytest.mark.parametrize(
    "change", [{"optimizer": "newton"}, {"damping": 0.0}, {"draws": -1}, {"settled": 1.5}]
)
def test_settings_that_make_no_sense_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        ProbingConfig(**change)


def test_networks_of_ones_own_take_no_such_steps():
    config = ProbingConfig.precise(shared=False)
    with pytest.raises(ValueError, match="optimizer='gauss-newton'"):
        Probing(Market(2), config=config, device="cpu")


@pytest.mark.parametrize("change", [{"policy_rate": 1.5}, {"critic_rate": 2.0}])
def test_more_than_the_full_step_is_refused(change):
    with pytest.raises(ValueError, match=f"{next(iter(change))}=.*at most 1, the full step"):
        ProbingConfig.precise(**change)
    assert ProbingConfig(**change).optimizer == "adam"


def test_a_roles_multiple_of_the_rate_takes_no_more_than_the_full_step():
    assert ProbingConfig.precise(policy_rate=0.5, relative_rates={"planner": 2.0})
    with pytest.raises(ValueError, match=r"relative_rates=.*multiples of policy_rate=0.5"):
        ProbingConfig.precise(policy_rate=0.5, relative_rates={"planner": 2.1})


def test_several_agents_take_such_steps_only_where_their_probes_are_kept_apart():
    few = {"groups": 2, "replicates": 2, "draws": 0}
    for economy, split in ((Planner(3), False), (Market(3), True), (Market(3), False)):
        config = ProbingConfig.precise(**few, split_probes=split)
        with pytest.raises(ValueError, match="has several agents, or a team and split_probes=True"):
            Probing(economy, config=config, device="cpu")
    config = ProbingConfig.precise(**few, split_probes=True)
    assert Probing(Planner(3), config=config, device="cpu").splits("planner")


def test_a_matrix_that_is_too_large_is_refused():
    size = {"horizon": 25, "replicates": 10}
    Probing(Planner(), config=ProbingConfig.precise(**size, groups=20), device="cpu")
    expected = "groups=21: .*horizon=25 times groups times replicates=10 times 1 .*5,250.*5,000"
    with pytest.raises(ValueError, match=expected):
        Probing(Planner(), config=ProbingConfig.precise(**size, groups=21), device="cpu")


def test_the_level_of_values_leaves_no_trace_in_the_parabola():
    config = ProbingConfig.precise(groups=4, replicates=2, draws=2, noise=(0.01, 0.01))
    agent = Probing(Planner(), seed=0, config=config, device="cpu")
    agent._prepare()
    rollout = agent.collect(agent.world.restart(agent.economy))
    found = []
    for level in (0.0, 1e4):
        agent.learners["planner"].reward_scale.mean.fill_(level)
        # The same probes each time.
        states = [g.get_state() for g in agent.streams.generators]
        found.append(agent._moves("planner", rollout)[1])
        for g, state in zip(agent.streams.generators, states, strict=True):
            g.set_state(state)
    assert found[0].abs().max() > 0
    assert torch.equal(*found)


def test_precise_settings_find_the_rule_in_seconds():
    economy = Planner()
    agent = Probing(economy, seeds=range(2), config=ProbingConfig.precise(), device="cpu")
    agent.learn(250 * agent.steps_per_iteration, show_progress=False)
    report = evaluate(agent.policy, economy, solve(economy), paths=32)
    # As many steps of Adam leave more than ten per cent.
    assert report.policy_error_mean.max() < 0.005
