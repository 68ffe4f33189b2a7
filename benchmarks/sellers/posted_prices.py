"""Sellers who post prices: what they and their buyers learn, beside what is exact.

Chapter *Sellers who learn: posted prices*. There is no risk, so that a policy has one state of
rest. All seeds of a row train at once; `seconds` are the processor seconds of all of them on one
thread, `steps` the environment steps of each. PPO's rates were chosen on seeds 100 to 103 of one
household and one seller at the calibration "other"; the size of trembles comes from a prototype at
the paper's, so that who trembles is reported on seeds of its own. Errors are in per cent of what is
exact; gains are what one agent gains by multiplying its action by ``exp(a + b log(capital))`` with
the best a and b, in per cent of profit (firm) or consumption (household).
"""

from __future__ import annotations

from dataclasses import replace

import torch

from benchmarks.harness import CALIBRATIONS, rounded, solved, swept, timed
from lectures_lib.agents import PPO, Probing, ProbingConfig
from lectures_lib.economies import PostedPrice, map_state
from lectures_lib.solvers import at_rest, markov_perfect, without_risk
from lectures_lib.solvers.markov_perfect import VALUE_DEGREES, iterate_policy
from lectures_lib.solvers.polynomials import Polynomials
from lectures_lib.solvers.posted_prices import PATIENCE, PostedPricePolicy, PriceTakersGame
from lectures_lib.solvers.productivity import JointChain

#: What PPO has by default where roles learn side by side and sellers move first.
ORDINARY = PPO.default_config(PostedPrice())
TREMBLING = ProbingConfig(
    groups=4, replicates=8, horizon=8, jitter=0.7, relative_rates={"firm": 0.3}, tremble=0.5
)
ITERATIONS = {PPO: 2500, Probing: 1500}
#: The first of the seeds on which nothing was tried before.
FRESH = 50
# Iterations of more than one household and good, each of which takes longer: cut short.
TWO, TEN = 1500, 300
#: The discount factor up to which equilibrium of two households and two goods is found.
SOME = 0.9
#: How often a learner is looked at on its way, and for how many periods its path goes on then.
LOOKS, WALK = 20, 60
#: Which of the looks lies a quarter of the way before the last of learning.
LATE = -(LOOKS // 4) - 2
PERIODS = 250


def sellers(massless=False, patience=None, size=1, calibration="paper"):
    """An economy of one seller and household, or of more of both."""
    return without_risk(
        PostedPrice(
            size,
            size,
            atomistic=massless,
            seller_discount=patience,
            **CALIBRATIONS[calibration],
        )
    )


CASES = {
    f"{'price taker' if massless else 'strategic'}, {'myopic' if patience == 0 else 'patient'}": (
        massless,
        patience,
    )
    for massless in (False, True)
    for patience in (None, 0.0)
}


def rest(economy, policy=None) -> tuple[float, float]:
    """Capital and markup where a policy rests, by default that of Markov-perfect equilibrium."""
    found = at_rest(economy, policy or solved(economy, "markov perfect").policy)
    total = economy.n_households * found.investment
    return found.capital, found.price / (economy.phi * total)


# ---------------------------------------------------------------------- learning
class Watch:
    """Where policies rest while they learn: a path that goes on from look to look."""

    def __init__(self, economy, runs):
        self.economy, self.seconds = economy, 0.0
        self.state = economy.reset((runs,), torch.Generator())
        self.looks: list[dict[str, list[float]]] = []

    @torch.no_grad()
    def walk(self, policy, periods):
        """Go on for so many periods, and note what the last of them was like."""
        for _ in range(periods):
            actions = policy(self.state)
            step = self.economy.step(self.state, actions, self.economy.no_luck(self.state))
            self.state = step.state
        self.looks.append({name: x.tolist() for name, x in self.noted(step).items()})

    def noted(self, step):
        """What is noted of a period: means over households and goods, shape (runs,)."""
        return {
            "capital": step.state.capital.mean((-1, -2)),
            "markup": step.info["markup"].mean(-1),
        }

    def __call__(self, agent):
        """Look at an agent that is learning."""
        _, seconds = timed(self.walk, agent.policy, WALK)
        self.seconds += seconds


def learned(economy, kind, config, iterations, seeds, watch=Watch):
    """Seeds that have learned, who has watched them, and processor seconds without watching."""
    agent = kind(economy, seeds=seeds, device="cpu", config=config)
    watching, every = watch(economy, len(seeds)), iterations // LOOKS
    steps = iterations * agent.steps_per_iteration
    _, seconds = timed(
        agent.learn, steps, callback=watching, callback_every=every, show_progress=False
    )
    watching.walk(agent.policy, PERIODS)
    return agent, watching, seconds - watching.seconds


# ---------------------------------------------------------------------- departures
@torch.no_grad()
def worth(economy, policy, role, change, centre, state):
    """Discounted rewards of a role's first agent that multiplies its action.

    Parameters
    ----------
    policy : callable
        Of all runs.
    change : Tensor, shape (tries, 2) or (runs, tries, 2)
        Its logarithm is ``a + b log(capital / centre)``, in which capital is everybody's mean.
    centre : Tensor, shape (runs, 1, 1)
    state : State, shape (runs, tries, starts, ...)

    Returns
    -------
    Tensor, shape (runs, tries)
    """
    discount, total, weight = economy.discount_of(role), 0.0, 1.0
    a, b = change[..., None, :].unbind(-1)
    for _ in range(PERIODS):
        away = (state.capital.mean((-1, -2)) / centre).log()
        actions = policy(state)
        own = actions[role].clone()
        own[..., 0, :] = own[..., 0, :] * (a + b * away).exp()[..., None]
        # Households see what firms have done.
        actions = policy(state, {role: own}) if role == "firm" else actions | {role: own}
        step = economy.step(state, actions, economy.no_luck(state))
        reward = step.rewards[role][..., 0].double()
        total, weight, state = total + weight * reward, weight * discount, step.state
        if discount == 0:
            break
    return (total + weight / (1 - discount) * reward).mean(-1)


def gains(economy, policy, role, centre, starts=6):
    """What the best a and b are worth to a role's first agent, in per cent, for each run.

    The best point of a quadratic through nine tries, twice, the second time around the first.
    """
    runs = policy.runs
    offsets = torch.tensor([(x, y) for x in (-1.0, 0.0, 1.0) for y in (-1.0, 0.0, 1.0)])
    start = economy.reset((starts,), torch.Generator().manual_seed(11))
    state = map_state(lambda x: x.expand(runs, len(offsets), *x.shape), start)
    middle = torch.tensor(centre)[:, None, None]
    best, found, base = torch.zeros(runs, 1, 2), torch.zeros(runs).double(), None
    for size in (torch.tensor([0.05, 0.1]), torch.tensor([0.02, 0.05])):
        tried = best + offsets * size
        value = worth(economy, policy, role, tried, middle, state)
        base = value[:, 4] if base is None else base
        found = torch.maximum(found, (value - base[:, None]).amax(-1))
        x, y = offsets.double().unbind(-1)
        design = torch.stack([x**0, x, y, x * x / 2, x * y, y * y / 2], -1)
        _, gx, gy, xx, xy, yy = (torch.linalg.pinv(design) @ value.T).unbind(0)
        curve = torch.stack([torch.stack([xx, xy], -1), torch.stack([xy, yy], -1)], -1)
        top = -torch.linalg.solve(curve, torch.stack([gx, gy], -1)).clamp(-3, 3)
        # Where it is no hill the best try is the middle of the next.
        hill = (xx < 0) & (xx * yy > xy * xy)
        top = torch.where(hill[:, None], top, offsets[value.argmax(-1)].double())
        best = best + (top.float() * size)[:, None]
    last = worth(economy, policy, role, best, middle, map_state(lambda x: x[:, :1], state))
    found = torch.maximum(found, last[:, 0] - base)
    if role == "firm":
        return (100 * found / base).tolist()
    return (100 * ((1 - economy.beta) * found).expm1()).tolist()


# ---------------------------------------------------------------------- rows
def rows(economy, kind, config, iterations, seeds, compared=True):
    """What each seed has learned, compared with what is exact unless nobody knows that."""
    exact = rest(economy) if compared else None
    agent, watch, seconds = learned(economy, kind, config, iterations, seeds)
    (capital, markup), late = watch.looks[-1].values(), watch.looks[LATE]["markup"]
    gained = {role: gains(economy, agent.policy, role, capital) for role in ("firm", "household")}
    found = []
    for i, seed in enumerate(seeds):
        row = {
            "seed": seed,
            "markup": markup[i],
            "relative": capital[i] / economy.efficient_capital,
        }
        if exact is not None:
            row["capital_error"] = 100 * (capital[i] / exact[0] - 1)
            row["markup_error"] = 100 * (markup[i] / exact[1] - 1)
        row["moved_late"] = 100 * (markup[i] / late[i] - 1)
        row |= {f"{role}_gain": gained[role][i] for role in gained}
        row |= {"steps": agent.steps, "seconds": seconds}
        found.append(row | {"path": rounded(x["markup"][i] for x in watch.looks)})
    return found


def _rows(economies, kind, config, iterations, seeds):
    """The same by economy."""
    same = {"kind": kind, "config": config, "iterations": iterations}
    cells = {label: {"economy": economy, **same} for label, economy in economies.items()}
    return swept(rows, cells, [seeds])


def posted_prices_one(seeds=5):
    """One household and one seller: ordinary PPO, strategic or not, patient or not."""
    economies = {label: sellers(*case) for label, case in CASES.items()}
    yield from _rows(economies, PPO, ORDINARY, ITERATIONS[PPO], range(seeds))


def posted_prices_longer(seeds=5):
    """The same four with twice the iterations, over which rates and noise fall half as fast."""
    economies = {f"{label}, twice": sellers(*case) for label, case in CASES.items()}
    yield from _rows(economies, PPO, ORDINARY, 2 * ITERATIONS[PPO], range(seeds))


def posted_prices_exact():
    """Markov-perfect capital (relative to the planner's) and markup at rest, by size."""
    for patience, word in ((None, "patient"), (SOME, f"discount {SOME}"), (0.0, "myopic")):
        for size in ((1, 1), (2, 1), (1, 2), (2, 2)):
            if size == (2, 2) and patience is None:
                continue  # not found for sellers as patient as that
            economy = without_risk(PostedPrice(*size, seller_discount=patience))
            tolerance = {"tolerance": 1e-6} if size == (2, 2) else {}
            found, seconds = timed(markov_perfect, economy, show_progress=False, **tolerance)
            yield (
                f"strategic, {word}, {size[0]} x {size[1]}",
                _exact(economy, found.policy, seconds),
            )
        for goods in (1, 2):
            economy = without_risk(PostedPrice(1, goods, seller_discount=patience))
            policy, seconds = timed(price_takers, economy)
            yield f"price takers, {word}, M = {goods}", _exact(economy, policy, seconds)


def _exact(economy, policy, seconds):
    capital, markup = rest(economy, policy)
    state = economy.reset((1,), torch.Generator(), torch.float64)
    state = state._replace(capital=torch.full_like(state.capital, capital))
    return {
        "relative": capital / economy.efficient_capital,
        "markup": markup,
        # Of a choice's gain, at rest; zero in an equilibrium without any error.
        "own_gradient": policy.own_gradients(state).abs().max().item(),
        "seconds": seconds,
    }


def price_takers(economy):
    """Markov-perfect prices, and what a crowd of price takers spends, for one good or two.

    All households being alike, it takes one of them: with N, a unit of a good costs each as much as
    if the slope of cost were N times as large, which changes capital and leaves markups alone.
    """
    low, high = 0.32 * economy.efficient_capital, 1.3 * economy.efficient_capital
    box = Polynomials.on_cube(low, high, economy.n_goods, VALUE_DEGREES[economy.n_goods])
    patience, guess = economy.discount_of("firm"), None
    for d in (*(d for d in PATIENCE if d < patience), patience):
        game = PriceTakersGame(replace(economy, seller_discount=d), JointChain(economy), box)

        def first(capital, index, income, guess=guess):
            if guess is not None:
                return (box.at_nodes @ guess).reshape(len(index), -1, economy.n_goods)
            # Everybody replaces what is lost, at a price a little above cost.
            price = 1.3 * economy.phi * economy.delta * capital
            return torch.cat([price * economy.delta * capital, price], -2)

        guess, _ = iterate_policy(game, first, 1e-5 if d < patience else 1e-9, False)
    return PostedPricePolicy(game, guess)


def posted_prices_trembles(seeds=5):
    """Probing, with trembles of the seller's price; without them the chapter shows it."""
    cases = ("strategic, patient", "price taker, patient")
    economies = {f"{label}, trembles": sellers(*CASES[label]) for label in cases}
    fresh = range(FRESH, FRESH + seeds)
    yield from _rows(economies, Probing, TREMBLING, ITERATIONS[Probing], fresh)


def posted_prices_calibration(seeds=5):
    """The calibration on which settings were chosen, with other seeds; and one that none was on."""
    economies = {name: sellers(calibration=name) for name in ("other", "annual")}
    yield from _rows(economies, PPO, ORDINARY, ITERATIONS[PPO], range(seeds))


def posted_prices_two(seeds=3):
    """Two households and two goods with a seller each, as patient as the exact solution allows."""
    yield f"2 x 2, discount {SOME}", _of_size(2, seeds, TWO, SOME)


def posted_prices_two_longer(seeds=5):
    """The same with as many iterations as one of each had at most."""
    yield f"2 x 2, discount {SOME}, longer", _of_size(2, seeds, 2 * ITERATIONS[PPO], SOME)


def posted_prices_two_quiet(seeds=3):
    """The same as at first, but with noise that falls to a fifth of what it does elsewhere."""
    economy = sellers(size=2, patience=SOME)
    config = PPO.default_config(economy)
    config = replace(config, noise=(config.noise[0], config.noise[1] / 5))
    found = rows(economy, PPO, config, TWO, range(FRESH, FRESH + seeds), compared=False)
    yield f"2 x 2, discount {SOME}, less noise", found


def posted_prices_two_trembles(seeds=3):
    """The same by Probing with trembles, as with one of each."""
    economy, fresh = sellers(size=2, patience=SOME), range(FRESH, FRESH + seeds)
    found = rows(economy, Probing, TREMBLING, ITERATIONS[Probing], fresh, compared=False)
    yield f"2 x 2, discount {SOME}, trembles", found


def posted_prices_two_patient(seeds=3):
    """The same with sellers as patient as households."""
    yield "2 x 2, patient", _of_size(2, seeds, TWO)


def posted_prices_ten(seeds=2):
    """Ten households and ten goods, for which no exact solution is known."""
    yield "10 x 10, patient", _of_size(10, seeds, TEN)


def _of_size(size, seeds, iterations, patience=None):
    economy = sellers(size=size, patience=patience)
    config = PPO.default_config(economy)
    return rows(economy, PPO, config, iterations, range(seeds), compared=False)


PARTS = {
    f.__name__: f
    for f in (
        posted_prices_exact,
        posted_prices_one,
        posted_prices_longer,
        posted_prices_trembles,
        posted_prices_calibration,
        posted_prices_two,
        posted_prices_two_longer,
        posted_prices_two_quiet,
        posted_prices_two_trembles,
        posted_prices_two_patient,
        posted_prices_ten,
    )
}
