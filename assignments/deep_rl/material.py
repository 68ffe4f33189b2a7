"""Code that is given in the assignment on deep reinforcement learning."""

from __future__ import annotations

from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import torch
from course import my_firm, my_saver, pick, shuffled
from torch import Tensor

from lectures_lib.plotting import COLOURS, DASHES
from lectures_lib.solvers.dynamic_programming import expectation, with_payoff

#: In the figure.
ESTIMATES = (
    "own shocks, returns as they are",
    "own shocks, less the group's mean",
    "common shocks, less the group's mean",
    "common shocks, noise in pairs",
)
SIZES = (0.02, 0.04, 0.08, 0.16, 0.32)


class Transitions(NamedTuple):
    """A batch of n transitions from a memory.

    Attributes
    ----------
    state, next_state : Tensor, shape (n, features)
    choice : Tensor of int64, shape (n,)
        The number of the price that was charged.
    reward : Tensor, shape (n,)
    closed : Tensor of bool, shape (n,)
        Whether the firm was closed for good after this reward.
    """

    state: Tensor
    choice: Tensor
    reward: Tensor
    next_state: Tensor
    closed: Tensor


def exact(tables):
    """v*(s) and Q*(s, u), by policy iteration; ndarrays (states,) and (states, actions)."""
    v = tables.discrete_dp().solve("policy_iteration").v
    return v, with_payoff(tables, expectation(tables, v))


def network_of(table):
    """A linear network whose input says which state it is, and whose weights are a table."""
    table = torch.as_tensor(table)
    return lambda state: state @ table


def memory_of(tables, n, rng):
    """Transitions of a firm: states and prices at random, all alike, and nobody is closed."""
    s = rng.integers(tables.n_states, size=n)
    u = rng.integers(tables.n_actions, size=n)
    draws = rng.random((n, 1))
    t = (tables.transitions[s, u].cumsum(1) < draws).sum(1).clip(max=tables.n_states - 1)
    one_hot = torch.eye(tables.n_states, dtype=torch.float64)
    reward = torch.from_numpy(tables.payoffs[s, u])
    never = torch.zeros(n, dtype=torch.bool)
    return Transitions(one_hot[s], torch.from_numpy(u), reward, one_hot[t], never)


def my_measured_loss(number):
    """The loss that somebody's network has reached."""
    return pick(number, "measured loss", (0.07, 0.08, 0.09, 0.1, 0.11, 0.12))


def my_logits(number):
    """A policy for the firm: logits of prices in each state, ndarray (states, actions)."""
    tables = my_firm(number).tables()
    rng = np.random.default_rng(pick(number, "logits", range(1000)))
    return rng.normal(size=tables.payoffs.shape)


def my_trials(number):
    """Size of the noise, and the number of trials in a group."""
    return pick(number, "noise", (0.1, 0.15, 0.2)), pick(number, "trials", (8, 12, 16, 20))


def live(economy, raw, common, rng):
    """Discounted utility of each trial, an ndarray (groups, trials).

    All begin in a slump, with the steady state's capital. In the first period trial i of group g
    eats the share 1 / (1 + exp(-raw[g, i])) of output, and ever after the exact rule's share.

    Parameters
    ----------
    economy : BrockMirman
    raw : ndarray, shape (groups, trials)
    common : bool
        Whether the trials of a group have the same shocks, or each its own.
    rng : numpy.random.Generator
    """
    alpha, beta = economy.alpha, economy.beta
    z, stay = np.log(economy.aggregate.values), economy.aggregate.transition[0][0]
    groups, trials = np.shape(raw)
    boom = np.zeros((groups, 1 if common else trials), dtype=int)
    k, total = np.zeros((groups, trials)), np.zeros((groups, trials))
    # The logarithms of what is eaten and of what is kept, as shares.
    eaten, kept = -np.logaddexp(0.0, -np.asarray(raw)), -np.logaddexp(0.0, raw)
    for t in range(int(np.log(1e-5) / np.log(beta))):
        output = z[boom] + alpha * k
        total += beta**t * (eaten + output)
        k = kept - np.log(alpha * beta) + output
        eaten, kept = np.log(1 - alpha * beta), np.log(alpha * beta)
        boom = np.where(rng.random(boom.shape) < stay, boom, 1 - boom)
    return total


def mystery(number, groups=300):
    """For each letter, the standard deviation of one estimate of the slope, over `SIZES`.

    The estimates have the group's size of :func:`my_trials`, and are made at the exact rule.
    """
    economy, (_, n) = my_saver(number), my_trials(number)
    rest = np.log(1 / (economy.alpha * economy.beta) - 1)
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(groups, n))
    paired = np.concatenate([noise[:, : n // 2], -noise[:, : n // 2]], 1)
    found = {name: [] for name in ESTIMATES}
    for sigma in SIZES:
        own = live(economy, rest + sigma * noise, False, rng)
        common = live(economy, rest + sigma * noise, True, rng)
        pairs = live(economy, rest + sigma * paired, True, rng)
        slopes = {
            ESTIMATES[0]: noise * own,
            ESTIMATES[1]: noise * (own - own.mean(1, keepdims=True)),
            ESTIMATES[2]: noise * (common - common.mean(1, keepdims=True)),
            ESTIMATES[3]: paired * pairs,
        }
        for name, terms in slopes.items():
            found[name].append(terms.mean(1).std() / sigma)
    order = shuffled(number, "estimates", ESTIMATES)
    return {letter: np.array(found[name]) for letter, name in zip("ABCD", order, strict=True)}


def draw_mystery(lines):
    """One line for each letter, over the size of the noise."""
    _, ax = plt.subplots()
    for (letter, noise), colour, dash in zip(lines.items(), COLOURS, DASHES, strict=False):
        ax.plot(SIZES, noise, color=colour, linestyle=dash, marker="o", markersize=4)
        ax.annotate(letter, (SIZES[-1], noise[-1]), xytext=(6, 0), textcoords="offset points")
    ax.set(xscale="log", yscale="log", xlabel="size of the noise")
    ax.set_xticks(SIZES, SIZES)
    ax.minorticks_off()
    ax.set_ylabel("standard deviation of an estimate")
    plt.show()


def ppo_with_mistakes(logits, values, batch, discount, clip, epochs, rate):
    """A round of PPO on one batch, with tables for actor and critic. Two lines are wrong."""
    s, u, r, following = batch
    values = values.clone()
    delta = r + discount * values[following] - values[s]
    scaled = (delta - delta.mean()) / delta.square().mean().sqrt()
    goal = values[s] + scaled
    for _ in range(epochs):
        logits = logits.detach().requires_grad_()
        log_new = logits.log_softmax(1)[s, u]
        log_old = log_new.detach()
        ratio = (log_new - log_old).exp()
        clipped = ratio.clamp(1 - clip, 1 + clip)
        gain = torch.minimum(ratio * scaled, clipped * scaled).mean()
        logits = logits + rate * torch.autograd.grad(gain, logits)[0]
        values = values.index_add(0, s, rate * (goal - values[s]) / len(s))
    return logits.detach(), values
