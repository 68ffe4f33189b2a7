"""Size limits that are told before the work begins."""

from __future__ import annotations

import os
from pathlib import Path

import torch


def free_memory(device: str | torch.device = "cpu") -> int | None:
    """Bytes that can still be taken on a device; None where the system does not tell."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type != "cpu":
        return None
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        lines = dict(line.split(":") for line in meminfo.read_text().splitlines())
        if "MemAvailable" in lines:
            return 1024 * int(lines["MemAvailable"].split()[0])
    try:  # all there is, where nobody tells how much of it is free
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def require_memory(size: int, device: str | torch.device, what: str, advice: str) -> None:
    """Refuse work that will not fit into memory.

    Systems hand out memory that they do not have and end the process when it is used, long after
    the work has begun; so the size is asked about beforehand.

    Parameters
    ----------
    size : int
        Bytes that will be needed.
    device : str or torch.device
    what, advice : str
        What needs them, and what to do if there are too few.

    Raises
    ------
    MemoryError
    """
    free = free_memory(device)
    if free is not None and size > free:
        raise MemoryError(
            f"{what} would take {size / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB of memory are free "
            f"on {device}: {advice}."
        )
