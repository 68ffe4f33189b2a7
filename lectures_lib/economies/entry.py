"""What users hand to an economy: refused where it enters, with what was expected in its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import index

import torch
from torch import Tensor


def as_batch(batch) -> tuple[int, ...]:
    """The shape of a batch; a number is that of a batch with one dimension.

    Raises
    ------
    TypeError
        If it is neither a whole number nor a sequence of them.
    ValueError
        If one of them is negative.
    """
    try:
        sizes = tuple(map(index, batch if isinstance(batch, Iterable) else (batch,)))
    except TypeError:
        sizes = None
    if sizes is None or isinstance(batch, bool):
        raise TypeError(
            f"batch={batch!r}: expected a whole number or a tuple of them, such as (2048,)."
        )
    if min(sizes, default=0) < 0:
        raise ValueError(f"batch={batch!r}: expected sizes that are not negative.")
    return torch.Size(sizes)


def require_source(generator, dtype) -> None:
    """Refuse what draws no random numbers of torch, or is no type for them.

    Raises
    ------
    TypeError
    """
    if not isinstance(generator, torch.Generator):
        raise TypeError(
            f"generator={generator!r}: expected a torch.Generator, such as "
            "torch.Generator().manual_seed(0)."
        )
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise TypeError(f"dtype={dtype!r}: expected torch.float32 or torch.float64.")


def require_tensor(x, name: str) -> None:
    """Refuse what looks like a tensor and is none: a list, an array, a number.

    Raises
    ------
    TypeError
    """
    if not isinstance(x, Tensor):
        raise TypeError(
            f"{name} is a {type(x).__name__}: expected a tensor, such as torch.as_tensor makes."
        )


def require_actions(actions, economy, what: str = "actions are") -> None:
    """Refuse what is no dictionary of tensors by role.

    Raises
    ------
    TypeError
        It says `what` was given.
    ValueError
        If the economy has no such role.
    """
    by_name = isinstance(actions, Mapping)
    if not (by_name and all(isinstance(x, Tensor) for x in actions.values())):
        kinds = {name: type(x).__name__ for name, x in actions.items()} if by_name else None
        raise TypeError(
            f"{what} {kinds or type(actions).__name__}: expected a dictionary with a Tensor "
            f"(*batch, agents, actions) for each role of {type(economy).__name__}, "
            f"{tuple(economy.roles)}."
        )
    for name in actions:
        if name not in economy.roles:
            raise ValueError(
                f"{what} for a role {name!r}, which {type(economy).__name__} does not have: its "
                f"roles are {tuple(economy.roles)}."
            )


def broadcast(batch, other, what: str) -> torch.Size:
    """The shape to which two batches broadcast.

    Raises
    ------
    ValueError
        If they do not; the message names the second, `what`.
    """
    # Nearly always one shape ends in the other, and to see that is much faster.
    more = len(batch) - len(other)
    if more >= 0 and batch[more:] == other:
        return batch
    if more < 0 and other[-more:] == batch:
        return other
    try:
        return torch.broadcast_shapes(batch, other)
    except RuntimeError:
        raise ValueError(
            f"{what} has batch shape {tuple(other)}, which does not broadcast against "
            f"{tuple(batch)}."
        ) from None


def require_device_and_type(x: Tensor, like: Tensor, what: str) -> None:
    """Refuse a tensor that has another type than the shocks, or lives elsewhere.

    Raises
    ------
    ValueError
    """
    if x.dtype != like.dtype or x.device != like.device:
        name = str(like.dtype).removeprefix("torch.")
        raise ValueError(
            f"{what} is {x.dtype} on {x.device}, but the shocks are {like.dtype} on "
            f"{like.device}: convert one of them, for example with .to(torch.{name})."
        )
