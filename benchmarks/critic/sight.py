"""What a critic sees, whose reward an action is judged by, and whose luck.

Five buyers whose policies see themselves, aggregate productivity and mean capital; their critics
see no more, or everything. Every learner gets the same processor seconds; all seeds train at once,
and the seconds stored are those that one of them needs alone. Settings are those that were tuned
for planners and markets, on another seed.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from benchmarks.harness import CALIBRATIONS, solved, swept, train
from lectures_lib.agents import PPO, PPOConfig, Probing, ProbingConfig
from lectures_lib.economies import Market, MarkovChain, map_state
from lectures_lib.evaluation import ergodic_moments, exploitability

#: Households of very unequal and lasting luck, so that it matters what is hidden.
UNEQUAL = {"idiosyncratic": MarkovChain.symmetric((0.6, 1.4), stay=0.95)}
OTHER = CALIBRATIONS["other"]
PATHS, PERIODS = 128, 200

ALGORITHMS = {
    "Probing": (
        Probing,
        ProbingConfig(groups=4, horizon=16, policy_rate=2e-2, noise=(0.3, 0.08), average=0.99),
    ),
    "PPO": (PPO, PPOConfig(groups=4, horizon=16, policy_rate=1e-2, noise=(0.37, 0.07))),
}
SIGHT = {"local critic": False, "central critic": True}
#: With luck of its own, a replicate cannot be compared with the others of its group.
LUCK = {"common shocks": {}, "own shocks": {"common_shocks": False, "difference_critic": False}}


def market(**parameters):
    """Five buyers, none of whom sees the others."""
    return Market(5, n_uninformed=5, **parameters)


@torch.no_grad()
def marginal_gain(policy, economy, groups=384, draws=16, periods=200, probe=0.1, seed=7):
    """What a buyer would gain by bidding more once, on average over the ergodic distribution.

    Discounted utility per unit of raw action, by two simulations under the same shocks, one with
    the first household's first action a little up and one with it down. In an equilibrium of
    households that see no more than the policy does, it is zero.

    Returns
    -------
    mean, standard error
    """
    (role,) = economy.roles
    generator = torch.Generator().manual_seed(seed)
    state = economy.reset((groups,), generator)
    for _ in range(150):
        state = economy.step(state, policy(state), economy.draw((groups,), generator)).state
    # Up, down; groups; the same draws of what comes.
    state = map_state(lambda x: x[None, :, None].expand(2, groups, draws, *x.shape[1:]), state)
    total = 0.0
    for t in range(periods):
        action = policy(state)[role]
        if t == 0:
            raw = torch.logit(action)
            raw[0, ..., 0, :] += probe
            raw[1, ..., 0, :] -= probe
            action = economy.roles[role].to_physical(raw)
        step = economy.step(state, {role: action}, economy.draw((1, groups, draws), generator))
        state = step.state
        total = total + economy.beta**t * step.rewards[role][..., 0].double()
    gain = ((total[0] - total[1]) / (2 * probe)).mean(1)
    return gain.mean().item(), (gain.std() / groups**0.5).item()


def judged(policy, economy):
    """Long-run capital and what there is to gain, by seed."""
    moments = ergodic_moments(policy, economy, paths=PATHS, periods=PERIODS, seed=3)
    found = []
    for i in range(policy.runs):
        gain, error = marginal_gain(policy[i], economy)
        best = exploitability(policy[i], economy, paths=32)
        found.append(
            {
                "capital": float(moments["mean of capital"].value[i]),
                "capital_sd": float(moments["s.d. of capital"].value[i]),
                "saving_share": float(moments["mean of saving share"].value[i]),
                "marginal_gain": gain,
                "marginal_gain_error": error,
                "exploitability": 100 * best.gain,
                "exploitability_error": 100 * best.standard_error,
            }
        )
    return found


def long_run(economy, regime):
    """The exact solution's long-run capital, under the shocks that learners are judged by."""
    moments = ergodic_moments(
        solved(economy, regime), economy, paths=PATHS, periods=PERIODS, seed=3
    )
    capital, share = (moments[f"mean of {x}"].value for x in ("capital", "saving share"))
    return [{"seed": 0, "capital": capital, "saving_share": share}]


def learned(name, economy, changes, seeds, seconds):
    """A row for each seed of a learner, some of whose settings are changed."""
    kind, config = ALGORITHMS[name]
    agent, took = train(kind, economy, replace(config, **changes), seeds, seconds=seconds)
    more = {"steps": agent.steps, "seconds": took}
    found = judged(agent.policy, economy)
    return [{"seed": s, **more, **found[i]} for i, s in enumerate(agent.seeds)]


def critic(seeds=3, seconds=12):
    """What critics see, common luck and whose reward, with five buyers."""
    for regime in ("nash", "markov perfect", "monopsony"):
        yield f"paper, exact: {regime}", long_run(Market(5), regime)
    yield "unequal, exact: nash", long_run(Market(5, **UNEQUAL), "nash")
    yield "other, exact: nash", long_run(Market(5, **OTHER), "nash")
    cells = {}

    def add(label, name, economy, **changes):
        cells[label] = {"name": name, "economy": economy, "changes": changes, "seconds": seconds}

    for sight, central in SIGHT.items():
        for name, credit in (("Probing", "own"), ("PPO", "own"), ("Probing", "team")):
            label = f"paper, {name}, {credit} reward, {sight}"
            cartel = tuple(market().roles) if credit == "team" else ()
            add(label, name, market(), cartel=cartel, central_critic=central)
    for name in ALGORITHMS:
        for luck, setting in LUCK.items():
            for sight, central in SIGHT.items():
                label = f"unequal, {name}, {luck}, {sight}"
                add(label, name, market(**UNEQUAL), central_critic=central, **setting)
    # Does a network that takes more steps towards the same noisy targets do better?
    label = "unequal, Probing, own shocks, central critic, more critic steps"
    more = {"central_critic": True, "critic_epochs": 12, **LUCK["own shocks"]}
    add(label, "Probing", market(**UNEQUAL), **more)
    for luck, setting in LUCK.items():
        for sight, central in SIGHT.items():
            label = f"other, Probing, {luck}, {sight}"
            add(label, "Probing", market(**OTHER), central_critic=central, **setting)
    yield from swept(learned, cells, [range(seeds)])


PARTS = {"critic": critic}
