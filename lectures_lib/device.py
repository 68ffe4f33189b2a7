"""Where tensors live: the choice of a device, made once, at construction."""

from __future__ import annotations

import torch


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """Turn the user's wish into a device that this machine has.

    Parameters
    ----------
    device : str or torch.device
        ``"auto"`` takes a CUDA GPU when there is one and the CPU otherwise; anything else that
        ``torch.device`` understands is taken literally.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        If the device is unknown, or is a GPU that this machine does not have.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device={device!r} is unknown: use 'auto', 'cpu' or 'cuda'.") from error
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"device={device!r} needs a CUDA GPU and torch finds none here: use 'auto' or 'cpu'."
        )
    return resolved
