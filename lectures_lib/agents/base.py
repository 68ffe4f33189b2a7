"""What every learner shares: runs, a training loop that survives, files that are never broken.

Chapter *Learning by a planner*.
"""

from __future__ import annotations

import copy
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from ..device import resolve_device
from ..distributed import present
from ..economies.base import Economy, require_economy
from ..networks import Streams
from ..parameters import entered, require
from ..progress import progress_bar
from . import files
from .history import History
from .policy import NetworkPolicy
from .watched import NotFinite, Watched

# Looking for NaNs makes a GPU wait, so it is done now and then; the last good copy is kept.
ITERATIONS_BETWEEN_CHECKS = 25
# What changes is kept so often at once while a good copy is replaced by a newer one.
COPIES = 3


class TrainingDiverged(RuntimeError):
    """Weights stopped being finite numbers; the agent has gone back to the last good ones."""


class Agent(ABC):
    """A learner: make it with an economy, let it :meth:`learn`, ask for its :attr:`policy`.

    Parameters
    ----------
    economy : Economy
    seed : int, optional
        For a single run; 0 by default.
    seeds : sequence of int, optional
        For several runs at once, one for each seed: weights get a leading *runs* dimension and
        reports come back per run. A seed's draws do not depend on the other seeds.
    device : str or torch.device
        ``"auto"`` uses a GPU when there is one.
    config : dataclass, optional
        Settings of the algorithm, an instance of the class's `config_class`; by default those of
        :meth:`default_config`.

    Raises
    ------
    ValueError
        If both `seed` and `seeds` are given, one of them is no whole number, or a setting is out
        of range.
    TypeError
        If the economy or the config is of the wrong type.
    RuntimeError
        If several processes have :func:`~lectures_lib.distributed.joined` to train it, and it is of
        a kind that one process trains.
    """

    #: Whether several processes may train it, each in its share of the groups.
    shares_groups: ClassVar[bool] = False
    config_class: ClassVar[type]
    config: Any

    def __init__(
        self,
        economy: Economy,
        *,
        seed: int | None = None,
        seeds: Sequence[int] | None = None,
        device: str | torch.device = "auto",
        config: Any = None,
    ):
        require_economy(economy)
        if seed is not None and seeds is not None:
            raise ValueError("give either seed (one run) or seeds (several runs), not both.")
        config = self.default_config(economy) if config is None else config
        if type(config) is not self.config_class:
            raise TypeError(
                f"config is a {type(config).__name__}; {type(self).__name__} needs a "
                f"{self.config_class.__name__}, such as {self.config_class.__name__}()."
            )
        self.economy, self.config = economy, config
        if seeds is None:
            self.seeds = (0 if seed is None else entered("seed", seed, int),)
        else:
            self.seeds = entered("seeds", seeds, tuple[int, ...])
        if not self.seeds:
            raise ValueError("seeds is empty: give at least one seed.")
        self.runs = None if seeds is None else len(self.seeds)
        self.device = resolve_device(device)
        #: Those who train it, which is this process alone unless several had joined.
        self.processes = present()
        if self.processes.count > 1 and not self.shares_groups:
            raise RuntimeError(
                f"{type(self).__name__} learns in one process, and {self.processes.count} have "
                "joined: make it outside of joined(), or take PPO, Probing or Analytic."
            )
        self.streams = Streams(self.seeds, self.device)
        self.history = History()
        self.iteration = self.steps = 0
        self.seconds = 0.0
        #: Share of the training budget that is used up, in [0, 1]; schedules follow it.
        self.progress = 0.0
        self._build()

    @classmethod
    def default_config(cls, economy: Economy):
        """The settings of an agent that is given none; a learner may let the economy choose."""
        return cls.config_class()

    # ------------------------------------------------------------------ what an algorithm provides
    @abstractmethod
    def _build(self) -> None:
        """Make networks, optimisers and the first states."""

    @abstractmethod
    def iterate(self) -> dict[str, Tensor]:
        """One iteration of the algorithm; returns what is worth recording, one number per run."""

    @abstractmethod
    def _parts(self) -> dict[str, Any]:
        """Everything that changes while learning, as objects with a `state_dict`."""

    @property
    @abstractmethod
    def steps_per_iteration(self) -> int:
        """Environment steps that an iteration takes in each run."""

    @property
    def finished(self) -> bool:
        """Whether nothing more can be learned, so that `learn` ends before its steps are taken."""
        return False

    @property
    @abstractmethod
    def policy(self) -> NetworkPolicy:
        """The policy learned so far (a copy, which further learning leaves alone)."""

    # ------------------------------------------------------------------ learning
    def learn(
        self,
        steps: int | None = None,
        *,
        callback: Callable[[Agent], Mapping[str, Any] | None] | None = None,
        callback_every: int = 50,
        checkpoint: str | Path | None = None,
        checkpoint_every: int = 100,
        show_progress: bool | None = None,
    ) -> History:
        """Train until `steps` environment steps have been taken in each run, from the start.

        Interrupting (Ctrl-C, or the stop button of a notebook) ends the training after the
        iteration in hand; calling `learn` again with the same `steps` goes on to the same policy
        as if nothing had happened.

        Parameters
        ----------
        steps : int, optional
            By default the config's `steps`. Schedules of learning rates and exploration are
            stretched over this number.
        callback : callable, optional
            Called with the agent every `callback_every` iterations and at the end; the numbers
            that it returns (one per run), if any, join the history.
        checkpoint : path, optional
            File to which the agent is saved every `checkpoint_every` iterations and at the end. A
            killed process resumes with ``Agent.load(checkpoint, economy).learn(steps)``.
        show_progress : bool, optional
            By default one bar in a terminal or live notebook.

        Returns
        -------
        History

        Raises
        ------
        TrainingDiverged
            If weights, or what is seen and remembered, stop being finite; the agent is back where
            all was good, and the message says whether the economy is to blame.
        ValueError
            If `steps` is no whole number or less than an iteration takes, or another number is
            none of at least one.
        TypeError
            If the callback is no function, or returns something else than numbers by name.
        OSError
            If nothing can be written to the checkpoint.
        """
        total = self.config.steps if steps is None else _count("steps", steps)
        callback_every = _count("callback_every", callback_every)
        checkpoint_every = _count("checkpoint_every", checkpoint_every)
        if callback is not None and not callable(callback):
            raise TypeError(f"callback={callback!r}: expected a function of the agent.")
        if checkpoint is not None:
            checkpoint = files.place(checkpoint)
        if total < self.steps_per_iteration:
            raise ValueError(
                f"steps={total}: one iteration of this {type(self).__name__} takes "
                f"{self.steps_per_iteration:,} steps; ask for at least that many."
            )
        self.processes.require_alike(
            agent=type(self).__name__,
            economy=type(self.economy).__name__,
            agents={name: role.n_agents for name, role in self.economy.roles.items()},
            config=self.config,
            seeds=self.seeds,
            iteration=self.iteration,
            steps=total,
            callback_every=callback_every,
            checkpoint=checkpoint and checkpoint_every,
        )
        good = copy.deepcopy(self._state())
        show_progress = show_progress if self.processes.rank == 0 else False
        bar = progress_bar(total, type(self).__name__, show_progress)
        bar.update(self.steps)
        with bar, _deferred_interrupt() as interrupted:
            while self.steps < total and not self.finished:
                started = time.perf_counter()
                self.progress = self.steps / total
                metrics = self.iterate()
                self.iteration += 1
                self.steps += self.steps_per_iteration
                stopped = self.processes.any(interrupted.is_set())
                last = self.steps >= total or stopped or self.finished
                report = self.iteration % callback_every == 0 or last
                store = checkpoint is not None and (self.iteration % checkpoint_every == 0 or last)
                keep = self.iteration % ITERATIONS_BETWEEN_CHECKS == 0 or store or last
                # A callback judges a policy, and would blame it for what is not finite.
                if keep or report:
                    self._require_finite(good, total)
                if keep:
                    good = copy.deepcopy(self._state())
                self.seconds += time.perf_counter() - started
                bar.update(min(self.steps_per_iteration, total - bar.n))
                if report:
                    values = {n: self.processes.mean(x).cpu() for n, x in metrics.items()}
                    if callback is not None:
                        values |= _recorded(callback(self))
                    self.history.append(self.steps, self.seconds, values)
                if store and checkpoint is not None:
                    self.save(checkpoint)
                if last:
                    break
        return self.history

    def _require_finite(self, good, total=1):
        # All that changes, and not weights alone: a copy that remembers a NaN is no good one.
        for name, part in self._parts().items():
            finite = _finite_runs(part.state_dict(), len(self.seeds))
            if all(finite):
                continue
            bad = [s for s, ok in zip(self.seeds, finite, strict=True) if not ok]
            iteration = self.iteration
            fault = self._fault_of_the_economy(good, iteration, total)
            self._restore(good)
            raise TrainingDiverged(
                f"{name} has values that are not finite numbers after iteration {iteration} (seeds "
                f"{bad}). The agent is back at iteration {self.iteration}. "
                + (
                    fault
                    or "Its policy can be used, or lower the learning rates in its config and "
                    "start anew."
                )
            )

    def _fault_of_the_economy(self, good, until, total) -> str | None:
        """What an economy did that broke learning, if it was the economy.

        Iterations since the last good copy are done again, bit for bit, and watched: in ordinary
        training nobody has to wait for that.
        """
        economy = self.economy
        # Who finds the fault stops, and others would wait for it.
        with self.processes.apart():
            self._restore(good)
            self.economy = cast(Economy, Watched(economy))  # which has all that an economy has
            try:
                while self.iteration < until:
                    self.progress = self.steps / total
                    self.iterate()
                    self.iteration += 1
                    self.steps += self.steps_per_iteration
            except NotFinite as fault:
                return str(fault)
            finally:
                self.economy = economy
        return None

    # ------------------------------------------------------------------ files
    def _state(self) -> dict[str, Any]:
        return {
            "iteration": self.iteration,
            "steps": self.steps,
            "seconds": self.seconds,
            "progress": self.progress,
            "history": copy.deepcopy(vars(self.history)),
            "streams": self.streams.state_dict(),
            "parts": {name: part.state_dict() for name, part in self._parts().items()},
        }

    def _restore(self, state) -> None:
        self.iteration, self.steps = state["iteration"], state["steps"]
        self.seconds, self.progress = state["seconds"], state["progress"]
        vars(self.history).update(copy.deepcopy(state["history"]))
        self.streams.load_state_dict(state["streams"])
        for name, part in self._parts().items():
            part.load_state_dict(copy.deepcopy(state["parts"][name]))

    def save(self, path: str | Path) -> None:
        """Write everything needed to go on learning to `path`, all of it or nothing.

        The file is written beside its final place and moved there when it is complete, so that a
        process killed at any moment leaves the old file or the new one, never a broken one. Of
        several processes that have joined all have to call this, and the first one writes.
        """
        path, content = files.place(path), files.header(self) | self._state()
        if self.processes.rank == 0:
            files.write(path, content)
        self.processes.any(False)  # so that whoever goes on finds the file

    @classmethod
    def load(
        cls,
        path: str | Path,
        economy: Economy,
        device: str | torch.device = "auto",
        *,
        settings: Mapping[str, Any] | None = None,
    ):
        """Read an agent that was saved, ready to be used or to go on learning.

        Parameters
        ----------
        path : path
        economy : Economy
            The economy it was trained in: one with the same parameters.
        device : str or torch.device
            On another kind of device than it was saved from, learning goes on with fresh random
            streams; on the same, it goes on bit for bit.
        settings : dict, optional
            Settings that the file lacks, because the version that wrote it did not have them. None
            is guessed.

        Raises
        ------
        OSError
            If the file cannot be opened.
        ValueError
            If it is no saved agent, is damaged, of another class, of a later version or does not
            fit this one, or belongs to another economy; the message says what to do.
        """
        path, device = Path(path), resolve_device(device)
        require_economy(economy)
        content = files.read(path, cls.__name__, device)
        files.require_same_economy(path, content, economy, device)
        config = files.settings(path, content, cls.config_class, settings or {})
        seeds = {"seed": content["seeds"][0]} if content["single"] else {"seeds": content["seeds"]}
        agent = cls(economy, device=device, config=config, **seeds)
        if content["device"] != agent.device.type:
            content["streams"] = agent.streams.state_dict()
        with files.fitting(path, content):
            agent._restore(content)
        agent._require_finite(agent._state())
        return agent


def _finite_runs(stored, runs: int) -> list[bool]:
    """Which runs have finite numbers only in what is stored of a part; a device waits once."""
    # A sum is finite if all of it is, and memories are large: no flag for each of their numbers.
    sums = [
        x.reshape(runs, -1).sum(1, dtype=torch.float64)
        for x in _tensors(stored)
        if x.is_floating_point() and x.dim()  # numbers without runs are counts
    ]
    return torch.stack(sums).isfinite().all(0).tolist() if sums else [True] * runs


def _tensors(stored) -> Iterator[Tensor]:
    if isinstance(stored, Tensor):
        yield stored
    elif isinstance(stored, Mapping):
        for x in stored.values():
            yield from _tensors(x)


def _count(name, value) -> int:
    """A whole number of at least one; ``1e6`` is one, too."""
    count = entered(name, value, float)
    require(count.is_integer() and count >= 1, name, value, "a whole number of at least 1")
    return int(count)


def _recorded(values) -> Mapping[str, Any]:
    """What a callback has returned, for the history."""
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise TypeError(
            f"the callback returned {values!r}: expected a dictionary of numbers, such as "
            '{"loss": 0.1}, or None.'
        )
    return values


class _deferred_interrupt:
    """While inside, Ctrl-C sets a flag instead of breaking an iteration in the middle."""

    def __enter__(self):
        self.flag = threading.Event()
        self.previous = None
        if threading.current_thread() is threading.main_thread():
            self.previous = signal.signal(signal.SIGINT, lambda *_: self.flag.set())
        return self.flag

    def __exit__(self, *exc):
        if self.previous is not None:
            signal.signal(signal.SIGINT, self.previous)
