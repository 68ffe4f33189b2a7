"""Several processes that train one agent, each in its share of the groups of economies.

``torchrun --nproc-per-node 2 script.py`` starts a script several times, on one machine or on many.
Agents that the script makes inside of :func:`joined` learn together: all processes draw the same
random numbers for all groups, each lives in its own groups, and means over groups are taken over
all processes, those of gradients among them. So every process has the same weights at every moment,
and they are those of one process with all groups, but for rounding: sums are taken in another
order.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class Processes:
    """Who we are among the processes that train an agent; a single process needs nobody else.

    Parameters
    ----------
    rank : int
        Our number, from zero.
    count : int
        How many there are.
    """

    def __init__(self, rank: int = 0, count: int = 1):
        self.rank, self.count = rank, count

    # ------------------------------------------------------------------ shares
    def mine(self, x: Tensor, dim: int) -> Tensor:
        """Our groups of what has been made for all, along dimension `dim`."""
        if self.count == 1:
            return x
        share = x.shape[dim] // self.count
        # A copy, so that the others' need not be kept.
        return x.narrow(dim, self.rank * share, share).contiguous()

    def in_everyones_place(self, x: Tensor, dim: int) -> Tensor:
        """Our groups where all are wanted, and of the others' only that there are so many."""
        return x if self.count == 1 else torch.cat([x] * self.count, dim)

    def whole(self, x: Tensor, dim: int) -> Tensor:
        """Everybody's groups, of which each process has given its own."""
        return x if self.count == 1 else torch.cat(self._everyones(x), dim)

    # ------------------------------------------------------------------ means
    def mean(self, x: Tensor) -> Tensor:
        """The mean over processes, and so over all groups if `x` is a mean over ours."""
        if self.count == 1:
            return x
        self._require_meeting()
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total / self.count

    def moments(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of all that processes have seen, from those of what each has."""
        if self.count == 1:
            return mean, variance
        means, variances = torch.stack(self._everyones(torch.stack([mean, variance])), 1)
        centre = means.mean(0)
        return centre, (variances + (means - centre).square()).mean(0)

    def average_gradients_of(self, optimizer: torch.optim.Optimizer) -> None:
        """From now on, let each of an optimiser's steps follow the mean gradient of all."""
        if self.count > 1:
            optimizer.register_step_pre_hook(self._average_gradients)

    def _average_gradients(self, optimizer, *_):
        if self.count == 1:  # while we are apart
            return
        every = [p.grad for group in optimizer.param_groups for p in group["params"]]
        gradients = [x for x in every if x is not None]
        mean = self.mean(torch.cat([x.flatten() for x in gradients]))
        parts = mean.split([x.numel() for x in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    # ------------------------------------------------------------------ keeping in step
    def any(self, flag: bool) -> bool:
        """Whether something is so in any process; waits until all have come here."""
        if self.count == 1:
            return flag
        self._require_meeting()
        # On the CPU, so that a GPU goes on with its work.
        flags = torch.tensor(float(flag))
        dist.all_reduce(flags)
        return bool(flags > 0)

    def require_alike(self, **values: Any) -> None:
        """Refuse what is not the same in all processes.

        Raises
        ------
        ValueError
            In every process, with the name of what differs and its values by rank.
        """
        if self.count == 1:
            return
        self._require_meeting()
        everyones: list[Any] = [None] * self.count
        dist.all_gather_object(everyones, values)
        for name in values:
            found = [theirs[name] for theirs in everyones]
            if any(x != found[0] for x in found):
                raise ValueError(
                    f"{name} is {' and '.join(map(repr, found))} in processes that learn together: "
                    "let all of them make the same agent and call it with the same numbers."
                )

    @contextmanager
    def apart(self) -> Iterator[None]:
        """While inside, we live in all groups ourselves and ask nobody."""
        rank, count = self.rank, self.count
        self.rank, self.count = 0, 1
        try:
            yield
        finally:
            self.rank, self.count = rank, count

    def _require_meeting(self):
        if not dist.is_initialized():
            raise RuntimeError(
                f"this agent learns in {self.count} processes, which have parted: call it inside "
                "of joined(), or load what it has saved outside."
            )

    def _everyones(self, x):
        self._require_meeting()
        x = x.contiguous()
        every = [torch.empty_like(x) for _ in range(self.count)]
        dist.all_gather(every, x)
        return every


#: A single process.
ALONE = Processes()
_joined = ALONE


def present() -> Processes:
    """Who trains the agents that are made now: more than one process inside of :func:`joined`."""
    return Processes(_joined.rank, _joined.count)


@contextmanager
def joined(timeout: float = 1800.0) -> Iterator[Processes]:
    """While inside, agents that are made learn in all processes that torchrun has started.

    Afterwards they cannot go on: load what they have saved.

    PPO, Probing and Analytic do. Everything is called by every process alike: making the agent,
    `learn`, `save` (which one of them does, while the others wait) and `load`. Who was not started
    by torchrun, or anything else that sets RANK and WORLD_SIZE, is a single process, as if nothing
    had been said. Tensors travel by gloo from CPUs and by nccl from GPUs, of which each process
    takes the one with its local rank. A process group that exists already is used and left open;
    it has to serve CPUs as well (``"cpu:gloo,cuda:nccl"``).

    Parameters
    ----------
    timeout : float
        Seconds for which a process waits for the others before it gives up.

    Returns
    -------
    context manager
        Of :class:`Processes`; ``rank`` is zero in the one that should print.

    Examples
    --------
    >>> from lectures_lib.agents import PPO, PPOConfig
    >>> from lectures_lib.economies import Planner
    >>> with joined() as processes:
    ...     config = PPOConfig(groups=4, horizon=8)
    ...     agent = PPO(Planner(), seed=0, config=config, device="cpu")
    ...     history = agent.learn(steps=2 * agent.steps_per_iteration)
    >>> processes.count
    1
    """
    global _joined
    opened = _open(timeout)
    before = _joined
    if dist.is_available() and dist.is_initialized():
        _joined = Processes(dist.get_rank(), dist.get_world_size())
    try:
        yield present()
    finally:
        _joined = before
    # Only if all is well: who fails must not wait for others, who wait for it.
    if opened:
        dist.destroy_process_group()


def _open(timeout) -> bool:
    """Meet the others, if the environment tells of some; whether a group was opened for it."""
    told = "RANK" in os.environ and "WORLD_SIZE" in os.environ
    if not told or dist.is_initialized():
        return False
    local = int(os.environ.get("LOCAL_RANK", 0))
    if local < torch.cuda.device_count():
        torch.cuda.set_device(local)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, timeout=timedelta(seconds=timeout))
    return True
