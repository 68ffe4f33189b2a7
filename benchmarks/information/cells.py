"""Markets in which households see different things: what learners do, and what seeing is worth.

Chapter *What is information worth?* In each cell some populations of ten households learn at once,
by probing. Settings are those of chapter *Learning in a market* with fewer and shorter paths,
chosen on seeds 100 and 101. Then one household, the first uninformed, departs and all others keep
to what they have learned. `value` is by how much more its best response that sees everything gains
than its best response that sees what it always sees, under the same luck, in per cent of
consumption and from ergodic states; `unlearned` is what the latter gains over the rule that was
learned, the error of learning. Both have Monte Carlo standard errors. `gap` is by how much
consumption of the two responses differs in the same state, in logs, and `unforeseen` how much log
prices vary around what a quadratic in all that the uninformed see explains. `seconds` are the
processor seconds for a population to learn, all populations' divided by their number, and `judged`
those of judging one.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from benchmarks.harness import CALIBRATIONS, swept, timed
from lectures_lib.agents import Probing, ProbingConfig
from lectures_lib.economies import InformationMarket, MarkovChain
from lectures_lib.evaluation import exploitability, initial_states, simulate, value_of_information
from lectures_lib.evaluation.best_response import Look
from lectures_lib.evaluation.views import InformationView, OwnView

CONFIG = ProbingConfig(policy_rate=2e-2, horizon=8, groups=4, replicates=4)
ITERATIONS, PATHS = 300, 32
#: For those who remember: longer paths that begin nearer to each other, and smaller steps. Chosen
#: on seed 100, with the cost process.
CAREFUL = replace(CONFIG, horizon=16, policy_rate=1e-2, jitter=0.1)
#: The cost that only the informed observe: it moves as often as an individual productivity.
COST = MarkovChain.symmetric((0.7, 1.3), stay=0.9)
HALF = InformationMarket()
OTHER = CALIBRATIONS["other"]


def learn(economy, seeds, iterations=ITERATIONS, config=CONFIG):
    """Populations that have learned, and the processor seconds that each took."""
    agent = Probing(economy, seeds=seeds, config=config, device="cpu")
    steps = iterations * agent.steps_per_iteration
    _, seconds = timed(agent.learn, steps, show_progress=False)
    return agent, seconds / len(seeds)


# ---------------------------------------------------------------------- what households do
def ergodic(policy, economy, paths=128, periods=60, seed=7):
    """States and actions along paths from when the beginning is forgotten, with the periods' info.

    Returns
    -------
    states : State, shape (periods * paths, ...)
    price : Tensor, shape (periods * paths,)
        Log price.
    bids : Tensor, shape (periods * paths, households)
        Log spending.
    """
    start = initial_states(policy, economy, paths, seed)
    state = simulate(policy, economy, start, 301, seed + 1, first=300).states[0]
    states, prices, bids = [], [], []
    generator = torch.Generator().manual_seed(seed + 2)
    for _ in range(periods):
        actions = {name: a.double() for name, a in policy(state).items()}
        step = economy.step(state, actions, economy.draw((paths,), generator, torch.float64))
        states.append(state)
        prices.append(step.info["price"].log().squeeze(-1))
        bids.append((step.info["saving_share"] * step.info["output"]).log())
        state = step.state
    flat = type(state)(*(torch.cat(x) for x in zip(*states, strict=True)))
    return flat, torch.cat(prices), torch.cat(bids)


def residual(features, y):
    """Standard deviation of what a regression does not explain."""
    solution = torch.linalg.lstsq(features, y.unsqueeze(-1)).solution
    return (y - (features @ solution).squeeze(-1)).std().item()


def rules(policy, economy) -> dict:
    """How uncertain prices are to the uninformed, and elasticities of both groups' spending.

    Elasticities of what a household spends: in its own productivity, others' mean productivity,
    aggregate productivity, own and others' mean capital, and the cost; from linear regressions of
    logs along ergodic paths.
    """
    states, price, bids = ergodic(policy, economy)
    n = economy.n_households - economy.n_uninformed
    row = {"unforeseen": residual(Look(OwnView(economy, "uninformed", 0), states)(states), price)}
    row["price_sd"] = price.std().item()
    names = ["z", "others' z", "Z", "K", "others' K"] + ["cost"] * (economy.cost is not None)
    for label, i in (("uninformed", n), ("informed", 0)):
        if label not in economy.roles:
            continue
        view = InformationView(replace(economy, memory=False, sees_price=False), i)
        distance, mean, _, own, common, others, *cost = view(states).unbind(-1)
        x = torch.stack([own, others, common, distance + mean, mean, *cost], -1)
        x = torch.cat([torch.ones_like(x[:, :1]), x], -1)
        slopes = torch.linalg.lstsq(x, bids[:, i : i + 1]).solution[1:, 0]
        row |= {f"{label} {name}": y for name, y in zip(names, slopes.tolist(), strict=True)}
    return row


# ---------------------------------------------------------------------- what seeing is worth
def gap(found, policy, economy) -> tuple[float, float]:
    """How much consumption of the two best responses differs at the same states (sd of the log
    ratio), and its mean."""
    states, _, _ = ergodic(policy, economy, periods=20)
    consumption = [
        1 - response(states)["uninformed"][:, 0, 0].double()
        for response in (found.informed, found.uninformed)
    ]
    ratio = (consumption[1] / consumption[0]).log()
    return ratio.std().item(), ratio.mean().item()


def judged(policy, economy, both=True, paths=PATHS) -> dict:
    """A row: what one household's best responses are worth, in per cent of consumption.

    If `both` is true, also what an informed household gains by its best response.
    """
    found, seconds = timed(value_of_information, policy, economy, paths=paths)
    row = {
        "value": 100 * found.ergodic_value,
        "value_error": 100 * found.ergodic_standard_error,
        "unlearned": 100 * found.ergodic_unlearned,
        "unlearned_error": 100 * found.ergodic_unlearned_error,
        "value_from_start": 100 * found.value,
        "unlearned_from_start": 100 * found.unlearned,
        "converged": found.converged,
    }
    row["gap"], row["mean_gap"] = gap(found, policy, economy)
    if both and "informed" in economy.roles:
        informed = exploitability(policy, economy, "informed", paths=paths)
        row["informed_unlearned"] = 100 * informed.ergodic_gain
        row["informed_unlearned_error"] = 100 * informed.ergodic_standard_error
    return row | rules(policy, economy) | {"judged": seconds}


def cell(economy, seeds, iterations=ITERATIONS, config=CONFIG) -> list[dict]:
    """A row for each population."""
    agent, seconds = learn(economy, seeds, iterations, config)
    rows = []
    for i, seed in enumerate(agent.seeds):
        row = judged(agent.policy[i], economy, both=i == 0)
        steps = iterations * agent.steps_per_iteration
        row = {"seed": seed} | row | {"steps": steps, "seconds": seconds}
        rows.append({k: float(f"{x:.4g}") if isinstance(x, float) else x for k, x in row.items()})
    return rows


def _cells(economies, seeds, first, **same):
    """Rows by economy, all populations of which learn at once."""
    cells = {label: {"economy": economy, **same} for label, economy in economies.items()}
    return swept(cell, cells, [range(first, first + seeds)])


def half(seeds=5, first=0):
    """Half are informed: constant cost and cost process, the paper's calibration and another."""
    economies = {
        "constant cost": HALF,
        "cost process": replace(HALF, cost=COST),
        "constant cost, other calibration": replace(HALF, **OTHER),
    }
    yield from _cells(economies, seeds, first)


def told(seeds=3, first=0):
    """The uninformed remember last period, or see its price; without and with the cost process."""
    economies = {
        f"{label}, {what}": replace(HALF, cost=chain, **how)
        for label, chain in (("constant cost", None), ("cost process", COST))
        for what, how in (("memory", {"memory": True}), ("last price", {"sees_price": True}))
    }
    yield from _cells(economies, seeds, first)


def remember(seeds=3, first=0):
    """The uninformed remember last period, and learn for three times as long and more carefully."""
    economies = {
        f"{label}, memory": replace(HALF, cost=chain, memory=True)
        for label, chain in (("constant cost", None), ("cost process", COST))
    }
    yield from _cells(economies, seeds, first, iterations=3 * ITERATIONS, config=CAREFUL)


def share(seeds=3, first=0):
    """None, 2 and 8 of ten households are informed, at constant cost."""
    economies = {f"{n} informed": replace(HALF, n_uninformed=10 - n) for n in (0, 2, 8)}
    yield from _cells(economies, seeds, first)


def share_with_cost(seeds=3, first=0):
    """The same with the cost process."""
    some = {f"{n} informed": replace(HALF, cost=COST, n_uninformed=10 - n) for n in (0, 2, 8)}
    yield from _cells(some, seeds, first)


PARTS = {
    "half": half,
    "share": share,
    "told": told,
    "remember": remember,
    "share_with_cost": share_with_cost,
}
