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


def test_precise_settings_find_the_rule_in_seconds():
    economy = Planner()
    agent = Probing(economy, seeds=range(2), config=ProbingConfig.precise(), device="cpu")
    agent.learn(250 * agent.steps_per_iteration, show_progress=False)
    report = evaluate(agent.policy, economy, solve(economy), paths=32)
    # As many steps of Adam leave more than ten per cent.
    assert report.policy_error_mean.max() < 0.005
