"""Processor seconds of those who learn, and a judge whose time is not counted."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil

#: A learner is asked for its policy after so many seconds at first, and then ever more rarely.
FIRST, GROWTH = 0.5, 1.06

#: How Ray names the processes in which environments live.
WORKER = "ray::SingleAgentEnvRunner"


class Enough(Exception):
    """Ends learning."""


def processor_seconds() -> float:
    """Of this process."""
    return time.process_time()


def with_workers() -> float:
    """Of this process and of the workers that Ray runs for it, as far as they live.

    Ray's own servers are not counted: they do little, but for as long as the machine is busy.
    """
    seconds = time.process_time()
    for child in psutil.Process().children(recursive=True):
        try:
            if child.cmdline()[0].startswith(WORKER):
                used = child.cpu_times()
                seconds += used.user + used.system
        except (psutil.NoSuchProcess, IndexError):
            continue
    return seconds


class Watch:
    """What a learner calls before its first update, and after each.

    Parameters
    ----------
    clock : callable
        Gives processor seconds.
    limit : float
        Seconds after which :class:`Enough` is raised.
    judge : callable, optional
        Gives the error of a policy.

    Attributes
    ----------
    steps, seconds : list
        Of the economy, and of learning, at each call.
    curve : dict
        `steps`, `seconds` and `error` from time to time.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        limit: float,
        judge: Callable | None = None,
    ):
        self.clock, self.limit, self.judge = clock, limit, judge
        self.steps: list[int] = []
        self.seconds: list[float] = []
        self.curve: dict[str, list] = {"steps": [], "seconds": [], "error": []}
        self._paused, self._next = clock(), FIRST

    def __call__(self, steps: int, policy: Callable) -> None:
        """So many steps of the economy have been taken; `policy()` gives what was learned."""
        now = self.clock() - self._paused
        self.steps.append(steps)
        self.seconds.append(now)
        if self.judge is not None and now >= self._next:
            self.note(policy)
            self._next = max(now, self._next) * GROWTH
        if now >= self.limit and len(self.steps) > 1:
            self.note(policy)
            raise Enough

    def note(self, policy: Callable) -> None:
        """Judge what was learned by the last call."""
        if self.judge is None or self.curve["steps"][-1:] == self.steps[-1:]:
            return
        started = self.clock()
        self.curve["steps"].append(self.steps[-1])
        self.curve["seconds"].append(round(self.seconds[-1], 2))
        self.curve["error"].append(float(f"{self.judge(policy()):.4g}"))
        self._paused += self.clock() - started

    @property
    def speed(self) -> float:
        """Steps per second, the first third apart, in which learners warm up."""
        steps, seconds = self.steps, self.seconds
        first = next(i for i, now in enumerate(seconds) if now >= seconds[-1] / 3)
        first = min(first, len(steps) - 2)
        return (steps[-1] - steps[first]) / (seconds[-1] - seconds[first])
