"""The procedure of the paper's author, written anew from its public description.

The author's program (github.com/marketsAI/marketsAI, August 2021) ran RLlib's PPO on the market
with N = 1..5 households. Its settings are public, and this file follows them, though not a line of
it is the author's or RLlib's:

- one network for all households; each is rewarded for its own utility; it sees all stocks, its own
  first, and all shocks;
- the network's output plus Gaussian noise is *clipped* to [-1, 1] and mapped to a share in
  [0, 0.9]; the noise, of standard deviation one at first, is learned with the rest;
- 300 iterations of five episodes of 1,000 periods, and for each 5,000 decisions a single gradient
  step (Adam, 0.0005), with lambda = 0.98 beside a discount factor of 0.98;
- of the policies of every second iteration, the one is kept under which the *first household's*
  discounted utility is highest, on one path of given shocks and without noise.

What could not be taken over are RLlib's defaults of the day; we use two hidden layers of 256 tanh
units for policy and value each, advantages with mean zero and standard deviation one, and a penalty
on the Kullback-Leibler divergence that adapts to its target of 0.01.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from scipy.signal import lfilter
from torch import Tensor

from benchmarks.harness import rounded, swept, timed
from lectures_lib.economies import Market

#: Numbers of households for which the author reports results.
HOUSEHOLDS = range(1, 6)
PERIODS, EPISODES, CHECKPOINT_EVERY = 1000, 5, 2
LARGEST_SHARE = 0.9
# The two paths of given shocks: the one that chooses, and the one on which results were reported.
CHOOSING, REPORTED = EPISODES, EPISODES + 1


@dataclass(frozen=True)
class Settings:
    """What is varied; the defaults are the author's."""

    iterations: int = 300
    lam: float = 0.98
    rate: float = 5e-4
    clip: float = 0.2
    target: float = 0.01
    hidden: tuple[int, int] = (256, 256)


class Networks:
    """Tanh networks, one for each seed; columns of normal weights are scaled to a given length."""

    def __init__(self, sizes, generators):
        self.layers = []
        for i, (n_in, n_out) in enumerate(pairwise(sizes)):
            weight = torch.stack([torch.randn(n_in, n_out, generator=g) for g in generators])
            length = 1.0 if i < len(sizes) - 2 else 0.01
            weight = length * weight / weight.square().sum(1, keepdim=True).sqrt()
            bias = torch.zeros(len(generators), 1, n_out)
            self.layers += [weight.requires_grad_(True), bias.requires_grad_(True)]

    def __call__(self, x: Tensor) -> Tensor:
        """Map (seeds, *any, inputs) to (seeds, *any, outputs)."""
        h = x.flatten(1, -2)
        for i in range(0, len(self.layers), 2):
            h = torch.baddbmm(self.layers[i + 1], h, self.layers[i])
            h = torch.tanh(h) if i < len(self.layers) - 2 else h
        return h.unflatten(1, x.shape[1:-1])


def given_shocks(n: int, reported: bool) -> tuple[Tensor, Tensor]:
    """Aggregate (periods + 1,) and own (periods + 1, n) productivity of the author's two paths.

    Aggregate productivity is low and high for 20 periods in turn. Own productivity alternates every
    10 periods, high for every other household, where a policy is chosen; where results are
    reported it is low for everybody all the time.
    """
    t, i = torch.arange(PERIODS + 1), torch.arange(n)
    aggregate = (t // 20) % 2
    own = (t[:, None] // 10 + i + 1) % 2
    return aggregate, torch.zeros_like(own) if reported else own


@torch.no_grad()
def along_given_path(policy, economy: Market, reported: bool = True) -> dict[str, np.ndarray]:
    """What a policy does on one of the author's two paths of shocks.

    Parameters
    ----------
    policy : callable
        With one run or several.
    economy : Market
    reported : bool
        The path on which results were reported, and otherwise the one that chose among policies.

    Returns
    -------
    dict of str to ndarray, shape (runs,)
        The means over periods of ``capital``, the households' total, and of the aggregate saving
        ``share``; and the first household's discounted utility, ``reward``.
    """
    runs = getattr(policy, "runs", None)
    batch = (runs, 1) if runs else (1,)
    state = economy.reset(batch, torch.Generator(), torch.float64)
    aggregate, own = given_shocks(economy.n_households, reported)
    start = initial_capital(economy).double()[:, None].expand_as(state.capital)
    state = state._replace(capital=start)
    luck = economy.draw((1,), torch.Generator().manual_seed(0), torch.float64)
    totals, shares, rewards = [], [], []
    for t in range(PERIODS):
        state = state._replace(
            aggregate=aggregate[t].expand_as(state.aggregate),
            idiosyncratic=own[t].expand_as(state.idiosyncratic),
        )
        step = economy.step(state, policy(state), luck)
        output, saved = step.info["output"], step.info["saving_share"]
        totals.append(state.capital.sum((-1, -2)).reshape(-1))
        shares.append(((output * saved).sum(-1) / output.sum(-1)).reshape(-1))
        rewards.append(step.rewards["household"][..., 0].reshape(-1))
        state = step.state
    # The author's sum begins with the second period.
    discount = economy.beta ** torch.arange(PERIODS - 1, dtype=torch.float64)
    return {
        "capital": torch.stack(totals).mean(0).numpy(),
        "share": torch.stack(shares).mean(0).numpy(),
        "reward": (discount @ torch.stack(rewards[1:])).numpy(),
    }


def initial_capital(economy: Market) -> Tensor:
    """What households own at the beginning of the given paths."""
    return economy.efficient_capital * torch.tensor(
        [0.9 if i % 2 == 0 else 0.8 for i in range(economy.n_households)]
    )


class Procedure:
    """The author's program for a market of N households and several seeds at once.

    Parameters
    ----------
    economy : Market
        With one good.
    seeds : sequence of int
    settings : Settings
    """

    def __init__(self, economy: Market, seeds, settings: Settings | None = None):
        self.economy, self.settings = economy, settings or Settings()
        self.generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
        n = economy.n_households
        inputs = 3 * n + 2
        self.policy = Networks((inputs, *self.settings.hidden, 2), self.generators)
        self.value = Networks((inputs, *self.settings.hidden, 1), self.generators)
        weights = [*self.policy.layers, *self.value.layers]
        self.optimizer = torch.optim.Adam(weights, lr=self.settings.rate)
        self.penalty = torch.full((len(self.generators),), 0.2)
        # Each household sees itself first, then the others in their order.
        self.order = torch.tensor([[i, *(j for j in range(n) if j != i)] for i in range(n)])

    def _draw(self, function) -> Tensor:
        return torch.stack([function(g) for g in self.generators])

    def _chain(self, shape, stay) -> Tensor:
        """A two-state chain (seeds, episodes, periods + 1, ...) that moves with chance 1 - stay."""
        u = self._draw(lambda g: torch.rand(EPISODES, PERIODS + 1, *shape, generator=g))
        moves = torch.cat([u[:, :, :1] < 0.5, u[:, :, 1:] > stay], 2)
        return moves.long().cumsum(2) % 2

    def _exogenous(self):
        """Productivity indices of the episodes and of both given paths, and initial capital."""
        e, n, seeds = self.economy, self.economy.n_households, len(self.generators)
        own = [self._chain((n,), e.idiosyncratic.transition[0][0])]
        aggregate = [self._chain((), e.aggregate.transition[0][0])]
        for reported in (False, True):
            common, each = given_shocks(n, reported)
            aggregate.append(common.expand(seeds, 1, -1))
            own.append(each.expand(seeds, 1, -1, -1))
        u = self._draw(lambda g: torch.rand(EPISODES, n, generator=g))
        start = torch.cat([e.efficient_capital * (0.5 + 0.75 * u), self._given_start()], 1)
        return torch.cat(own, 1), torch.cat(aggregate, 1), start

    def _given_start(self):
        return initial_capital(self.economy).expand(len(self.generators), 2, -1)

    @torch.no_grad()
    def _simulate(self) -> dict[str, Tensor]:
        """Episodes with noise and both given paths without, (seeds, paths, periods, n, ...)."""
        e = self.economy
        own, aggregate, k = self._exogenous()
        productivity = torch.tensor(e.idiosyncratic.values)[own]
        productivity = productivity * torch.tensor(e.aggregate.values)[aggregate].unsqueeze(-1)
        one_hot = torch.eye(2)
        shocks = torch.cat(
            [
                one_hot[own[..., self.order]].flatten(-2),
                one_hot[aggregate].unsqueeze(3).expand(*own.shape, 2),
            ],
            -1,
        )
        shape = (PERIODS, EPISODES, e.n_households)
        noise = self._draw(lambda g: torch.randn(shape, generator=g))
        noise = torch.cat([noise, torch.zeros_like(noise[:, :, :2])], 2)
        seen = {name: [] for name in ("input", "output", "action", "reward", "k", "share", "y")}
        for t in range(PERIODS):
            x = torch.cat([k[..., self.order], shocks[:, :, t]], -1)
            out = self.policy(x)
            action = out[..., 0] + out[..., 1].exp() * noise[:, t]
            share = LARGEST_SHARE * (action.clamp(-1, 1) + 1) / 2
            y = productivity[:, :, t] * k**e.alpha
            bid = share * y
            price = (e.phi * bid.sum(-1, keepdim=True)).sqrt().clamp_min(1e-4)
            now = (x, out, action, ((1 - share) * y).log(), k, share, y)
            for name, value in zip(seen, now, strict=True):
                seen[name].append(value)
            k = (1 - e.delta) * k + bid / price
        return {name: torch.stack(values, 2) for name, values in seen.items()}

    def _report(self, seen) -> dict[str, list[float]]:
        """What is known of a policy from the two given paths, one number for each seed."""
        discount = self.economy.beta ** torch.arange(PERIODS - 1)
        shares = seen["share"] * seen["y"]
        share = shares.sum(-1) / seen["y"].sum(-1)
        return {
            # The author's sum begins with the second period.
            "reward": (discount * seen["reward"][:, CHOOSING, 1:, 0]).sum(-1).tolist(),
            "capital": seen["k"][:, REPORTED].sum(-1).mean(-1).tolist(),
            "share": share[:, REPORTED].mean(-1).tolist(),
            "noise": seen["output"][:, CHOOSING, ..., 1].exp().mean((-1, -2)).tolist(),
        }

    def _learn(self, seen) -> None:
        s, beta = self.settings, self.economy.beta
        x, out, action, reward = (
            seen[name][:, :EPISODES] for name in ("input", "output", "action", "reward")
        )
        with torch.no_grad():
            value = self.value(x).squeeze(-1)
            after = torch.cat([value[:, :, 1:], torch.zeros_like(value[:, :, :1])], 2)
            surprise = (reward + beta * after - value).flip(2).numpy()
            summed = lfilter([1.0], [1.0, -beta * s.lam], surprise, axis=2).astype("float32")
            advantage = torch.from_numpy(summed).flip(2)
            target = advantage + value
            spread, centre = torch.std_mean(advantage, (1, 2, 3), keepdim=True)
            advantage = (advantage - centre) / spread
        sample = [
            x.flatten(1, -2),
            out.flatten(1, -2),
            *(v.flatten(1).unsqueeze(-1) for v in (action, advantage, target)),
        ]
        size, batch = sample[0].shape[1], EPISODES * PERIODS
        shuffled = self._draw(lambda g: torch.randperm(size, generator=g))
        moved = 0.0
        for which in shuffled.split(batch, 1):
            part = (v.gather(1, which.unsqueeze(-1).expand(-1, -1, v.shape[-1])) for v in sample)
            moved = moved + self._step(*part) * batch / size
        faster, slower = moved < s.target / 2, moved > 2 * s.target
        self.penalty = self.penalty * (1 + 0.5 * slower.float() - 0.5 * faster.float())

    def _step(self, x, old, action, advantage, target) -> Tensor:
        """One gradient step; returns the divergence of the new policy from the old."""
        new = self.policy(x)
        ratio = (_log_density(new, action) - _log_density(old, action)).exp()
        band = ratio.clamp(1 - self.settings.clip, 1 + self.settings.clip)
        surrogate = torch.minimum(ratio * advantage, band * advantage).mean((1, 2))
        gap = (old[..., :1] - new[..., :1]).square() + (2 * old[..., 1:]).exp()
        divergence = new[..., 1:] - old[..., 1:] + gap / (2 * (2 * new[..., 1:]).exp()) - 0.5
        divergence = divergence.mean((1, 2))
        error = (self.value(x) - target).square().mean((1, 2))
        # Seeds share no weights, so that the sum of their losses has their gradients side by side.
        loss = (self.penalty * divergence - surrogate + error).sum()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return divergence.detach()

    def run(self) -> list[dict[str, list[float]]]:
        """Reports of the policy before each iteration, as :meth:`_report` makes them."""
        reports = []
        for _ in range(self.settings.iterations):
            seen = self._simulate()
            reports.append(self._report(seen))
            self._learn(seen)
        return reports


def _log_density(output, action) -> Tensor:
    """Of a Gaussian whose mean and log standard deviation are a network's outputs."""
    mean, log_sd = output.split(1, -1)
    return -((action - mean) / log_sd.exp()).square() / 2 - log_sd


def chosen(reports) -> np.ndarray:
    """The iteration of each seed whose policy the author's rule keeps."""
    rewards = np.array([r["reward"] for r in reports])[1::CHECKPOINT_EVERY]
    return 1 + CHECKPOINT_EVERY * rewards.argmax(0)


def reproduce(n: int, seeds, settings: Settings | None = None) -> list[dict]:
    """Run the procedure; for each seed the policy that is kept, and the last one."""
    reports, seconds = timed(Procedure(Market(n), seeds, settings).run)
    paths = {name: np.array([r[name] for r in reports]) for name in reports[0]}
    results = []
    for run, kept in enumerate(chosen(reports)):
        row = {"seed": int(seeds[run]), "steps": len(reports) * EPISODES * PERIODS}
        row |= {"seconds": seconds / len(seeds), "kept_iteration": int(kept)}
        for name, values in paths.items():
            row |= {name: float(values[kept, run]), f"last_{name}": float(values[-1, run])}
            row[f"path_of_{name}"] = rounded(values[::6, run])
        results.append(row)
    return results


def published(seeds=3, iterations=300):
    """The author's procedure, with one to five households."""
    settings = Settings(iterations=iterations)
    cells = {f"N = {n}": {"n": n, "settings": settings} for n in HOUSEHOLDS}
    yield from swept(reproduce, cells, [range(seeds)])


PARTS = {"published": published}
