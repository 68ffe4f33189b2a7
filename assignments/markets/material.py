"""Code that is given in the assignment on planners and markets."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import torch
from course import my_market, pick, place, shuffled

from lectures_lib.plotting import COLOURS, DASHES, EXACT
from lectures_lib.solvers import steady_state, without_risk

#: Whose reward an action is judged by, and among how many buyers; in the figure.
LISTENERS = {
    "own reward, 2 buyers": (2, "own"),
    "own reward, 4 buyers": (4, "own"),
    "own reward, 20 buyers": (20, "own"),
    "everybody's reward, 2 buyers": (2, "all"),
}


class GrowthWorld:
    """The growth model as a learner meets it: actions go in, a return comes out.

    In the first period the share of output that is eaten is the logistic function of the action,
    and in all others it is `eaten[0]` in slumps and `eaten[1]` in booms. Every path begins in a
    slump, with the capital of the steady state.
    """

    def __init__(self, economy, eaten, periods=80):
        self.economy, self.eaten, self.periods = economy, np.asarray(eaten), periods

    def draw(self, rng, n):
        """The luck of n paths."""
        return rng.random((n, self.periods))

    def returns(self, actions, luck):
        """Discounted utility of each path, (n,), for its action (n,) and its luck."""
        e = self.economy
        levels, chances = np.log(e.aggregate.values), np.array(e.aggregate.transition)
        z, k, total = np.zeros(len(luck), int), np.zeros(len(luck)), 0.0
        for t in range(self.periods):
            share = 1 / (1 + np.exp(-np.asarray(actions))) if t == 0 else self.eaten[z]
            output = levels[z] + e.alpha * k
            total = total + e.beta**t * (np.log(share) + output)
            k = np.log((1 - share) / (e.alpha * e.beta)) + output
            z = (luck[:, t] >= chances[z, 0]).astype(int)
        return total


def lstd_with_mistakes(features, rewards, discount, lam):
    """Weights of a linear critic on differences within groups. Two lines are wrong."""
    x = features - features.mean(1, keepdims=True)
    r = rewards - rewards.mean(2, keepdims=True)
    trace, A, y = 0.0, 0.0, 0.0
    for t in range(len(rewards)):
        trace = lam * trace + x[t]
        z = trace.reshape(-1, x.shape[-1])
        change = x[t] - discount * x[t + 1]
        A = A + z.T @ change.reshape(z.shape)
        y = y + z.T @ r[t].reshape(-1)
    return np.linalg.solve(A, y)


def listened(number, name, shares, size=0.05, periods=300):
    """What a little more of household 1's raw action does to the reward that is listened to.

    All always spend the same share, the logistic function of the raw action, and rest there; once,
    household 1's raw action is a little larger. An array over `shares`, per unit of the action.
    """
    n, whose = LISTENERS[name]
    market = without_risk(my_market(number, n))
    shares = torch.as_tensor(shares, dtype=torch.float64)
    state = market.reset((2, len(shares)), torch.Generator().manual_seed(0), torch.float64)
    competitive = steady_state(market)
    at_rest = (shares / competitive.saving_share) ** (1 / (2 - market.alpha))
    capital = (competitive.capital * at_rest)[None, :, None, None].expand_as(state.capital)
    state, total = state._replace(capital=capital.clone()), 0.0
    always = shares[None, :, None, None].expand(2, -1, n, 1)
    for t in range(periods):
        raw = torch.logit(always.clone())
        if t == 0:
            raw[:, :, 0, 0] += torch.tensor([[size], [-size]])
        step = market.step(state, {"household": torch.sigmoid(raw)}, market.no_luck(state))
        reward = step.rewards["household"]
        total = total + market.beta**t * (reward[..., 0] if whose == "own" else reward.sum(-1))
        state = step.state
    return ((total[0] - total[1]) / (2 * size)).numpy()


def mystery(number):
    """The shares, and for each letter what :func:`listened` says of one of the four listeners."""
    most = steady_state(without_risk(my_market(number))).saving_share
    shares = np.round(np.linspace(0.3, 1.25, 20) * most, 3)
    names = shuffled(number, "listeners", list(LISTENERS))
    return shares, {
        letter: listened(number, name, shares) for letter, name in zip("ABCD", names, strict=True)
    }


def draw_mystery(shares, lines):
    """One line for each letter, over the share that all spend."""
    _, ax = plt.subplots()
    for (letter, line), colour, dash in zip(lines.items(), COLOURS, DASHES, strict=False):
        ax.plot(shares, line, color=colour, linestyle=dash)
        ax.annotate(letter, (shares[0], line[0]), (-12, 0), textcoords="offset points")
    ax.axhline(0, color=EXACT, linewidth=0.8)
    ax.set(xlabel="share of output that all spend", ylabel="slope of the reward in the raw action")
    plt.show()


def buyers(number):
    """How many buyers there are in the market whose checkpoints are judged."""
    return pick(number, "buyers", (2, 3, 4))


def checkpoints(number):
    """Shares of output that all spend at ten moments of a noisy learner's training, in turn."""
    market = without_risk(my_market(number))
    most = steady_state(market).saving_share
    cartel = steady_state(market, "monopsony").saving_share
    nash = steady_state(without_risk(my_market(number, buyers(number))), "nash").saving_share
    around = [0.3 * most, 0.39 * most, 0.62 * most, 1.06 * most, 1.3 * most, 1.6 * most, 2 * most]
    all_of_them = [*around, 2.4 * most, cartel, nash]
    luck = [place(number, f"checkpoint {i}", 1000) / 1000 - 0.5 for i in range(10)]
    moved = [round(s * (1 + 0.02 * x), 4) for s, x in zip(all_of_them, luck, strict=True)]
    return np.array(shuffled(number, "checkpoints", moved))
