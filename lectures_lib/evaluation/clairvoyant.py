r"""What could *any* departure gain? Chapter *How rules are judged*.

Who knows all shocks to come does at least as well on each path as who does not, whatever the latter
does. That bounds every departure's gain from above, uselessly: to know the shocks is worth far more
than to depart. So the clairvoyant pays for what it knows (Brown, Smith and Sun 2010): each period
it pays the surprise in the marginal value of each stock times the distance by which its own
stock is away from that of a given response (the gradient penalties of Brown and Smith 2014). A
distance is known before the surprise is, so that whoever does not see ahead pays zero on average.
The mean over paths of what a paying clairvoyant can gain is therefore an upper bound, *whatever*
marginal values are used; and where they are right and each path's problem is concave, to foresee a
surprise is worth no more than what is paid for it, and the bound is tight.

The response is the one that :class:`~.best_response_search.Search` has found, whose marginal values
are known by then. The clairvoyant's problem has no expectations in it: on each path it is one of
choosing a sequence of actions, which Newton's method solves.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..economies.base import map_state

# Newton steps at most, and what may be left to gain by another one, beside what has been gained.
ROUNDS, LEFT = 8, 0.02
# What is rounding, beside discounted rewards.
NOTHING = 1e-12


class Clairvoyant:
    """The best sequence of actions on paths whose shocks are known, for who pays to know them.

    Parameters
    ----------
    search : Search
        Which has improved its response.
    states : list of State, shape (paths, ...)
        Where its response leads; one more than there are periods.
    shocks : list of Shocks
    """

    def __init__(self, search, states, shocks):
        self.search, self.states, self.shocks = search, states, shocks
        features, surprise = search.features_and_surprises(search.survey, states)
        #: What a clairvoyant pays for each unit of distance, (periods, paths, n), next period.
        self.price = surprise @ search.coefficients
        self.last_worth = features[-1] @ search.coefficients
        self.home = [search.view.position(state) for state in states]
        self.discount = search.discount ** torch.arange(len(shocks) + 1, dtype=torch.float64)

    def excess(self, start: Tensor | None = None) -> Tensor:
        """How much more than the response the clairvoyant gets on each path, net of what it pays.

        Parameters
        ----------
        start : Tensor, shape (periods, paths, m), optional
            Departures from the response at which Newton's method begins; by default none.

        Returns
        -------
        Tensor, shape (paths,)
            In units of discounted reward, with what one more Newton step promises. Infinite if no
            maximum has been found.
        """
        search, plan = self.search, None
        size = (len(self.shocks), *self.home[0].shape[:-1])
        push = torch.zeros(*size, search.m, dtype=torch.float64) if start is None else start
        for _ in range(ROUNDS):
            gained, push, place, reward, capital = self.follow(push, plan)
            promised, gain, feedback = self.newton(reward, capital)
            left = promised.mean()
            if not torch.isfinite(left):
                break
            rounding = NOTHING * reward[:, 0].abs().mean() / (1 - search.discount)
            if left <= max(LEFT * gained.mean(), rounding):
                # What comes after the last period is as long as the whole, and counts for less.
                return (gained + promised) / (1 - self.discount[-1])
            push, plan = push + gain, (feedback, place)
        return torch.full_like(gained, torch.inf)

    def follow(self, push: Tensor, plan: tuple[Tensor, Tensor] | None):
        """Simulate pushes away from the response, and finite departures from them.

        Parameters
        ----------
        push : Tensor, shape (periods, paths, m)
        plan : pair of Tensor, optional
            How the pushes change, (periods, paths, m, n), with the distance from a place.

        Returns
        -------
        gained : Tensor, shape (paths,)
            More than the response gets, net of what is paid.
        push, place : Tensor
            What was pushed, and the distance from the response's path, (periods, paths, m or n).
        reward, capital : Tensor
            As :meth:`Search.record` returns them.
        """
        s = self.search
        points = s.points()
        places, which = torch.unique(points[:, : s.n], dim=0, return_inverse=True)
        state, gained = self.states[0], torch.zeros(())
        pushed, place, reward, capital = [], [], [], []
        for t, shocks in enumerate(self.shocks):
            away, now = s.view.position(state) - self.home[t], push[t]
            if plan is not None:
                feedback, before = (x[t] for x in plan)
                now = now + (feedback @ (away - before).unsqueeze(-1)).squeeze(-1)
            near = s.view.shifted(state, places)
            actions = {name: a[which] for name, a in s.actions(near).items()}
            near = map_state(lambda x: x[which], near)
            moved = s.response.depart(near, actions, now + points[:, None, s.n :])
            step = s.economy.step(near, moved, shocks)
            reward.append(step.rewards[s.role][..., s.agent].clone())
            capital.append(s.view.position(step.state))
            gained = gained + self.discount[t] * (reward[-1][0] - self.reward_at_home(t))
            gained = gained - self.discount[t + 1] * self._paid(t, capital[-1][0])
            state = map_state(lambda x: x[0].clone(), step.state)
            pushed.append(now)
            place.append(away)
        end = ((capital[-1][0] - self.home[-1]) * self.last_worth).sum(-1)
        gained = gained + self.discount[-1] * end
        stacked = (torch.stack(x) for x in (pushed, place, reward, capital))
        return gained, *stacked

    def reward_at_home(self, t: int) -> Tensor:
        """What the response gets in a period, (paths,)."""
        s = self.search
        actions = s.response.depart(self.states[t], s.actions(self.states[t]))
        step = s.economy.step(self.states[t], actions, self.shocks[t])
        return step.rewards[s.role][..., s.agent]

    def _paid(self, t, position):
        return (self.price[t] * (position - self.home[t + 1])).sum(-1)

    def newton(self, reward: Tensor, capital: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A Newton step in the whole sequence, by dynamic programming backwards on each path.

        Returns
        -------
        promised : Tensor, shape (paths,)
            What it gains if discounted rewards are quadratic; NaN where they have no maximum.
        push : Tensor, shape (periods, paths, m)
        feedback : Tensor, shape (periods, paths, m, n)
        """
        s, beta = self.search, self.search.discount
        n = s.n
        slopes, moves = s.slopes(reward), s.slopes(capital)
        bends = torch.stack([s.curvature(capital[..., i]) for i in range(n)], -1)
        curves = s.curvature(reward)
        worth = self.last_worth
        curve = torch.zeros(*worth.shape, n, dtype=torch.float64)
        promised, push, feedback = torch.zeros(()), [], []
        for t in reversed(range(len(reward))):
            net = worth - self.price[t]
            slope = slopes[t] + beta * torch.einsum("pn,pnk->pk", net, moves[t])
            bend = curves[t] + beta * torch.einsum("pn,pkln->pkl", net, bends[t])
            bend = bend + beta * moves[t].mT @ curve @ moves[t]
            own, cross = bend[:, n:, n:], bend[:, n:, :n]
            concave = torch.linalg.eigvalsh(own)[..., -1] < 0
            own = torch.where(concave[:, None, None], own, -torch.eye(s.m, dtype=own.dtype))
            step = torch.linalg.solve(-own, torch.cat([slope[:, n:, None], cross], -1))
            gain = (slope[:, n:] * step[..., 0]).sum(-1) / 2
            promised = promised + self.discount[t] * torch.where(concave, gain, torch.nan)
            push.append(step[..., 0])
            feedback.append(step[..., 1:])
            worth = slope[:, :n] + (cross.mT @ step[..., :1]).squeeze(-1)
            curve = bend[:, :n, :n] + cross.mT @ step[..., 1:]
        return promised, torch.stack(push[::-1]), torch.stack(feedback[::-1])
