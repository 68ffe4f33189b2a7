"""Steps of damped least squares: a network's outputs move by what is wanted, at given inputs.

Chapter *Learning by a planner: one household*. Adam moves each weight by about its learning rate,
so that outputs shake by more than what is still to be learned; a Gauss-Newton step moves the
outputs themselves. There are many more weights than examples in a batch, and the step is found in
the space of the latter, as natural gradients with few samples are (Chen and Heyl 2024).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import silu

from ..networks import MLP


@torch.no_grad()
def least_squares_step(
    network: MLP,
    x: Tensor,
    wanted: Tensor,
    damping: float,
    rate: float = 1.0,
    centre: Callable[[Tensor], Tensor] | None = None,
) -> None:
    r"""Change weights by the smallest step that moves a network's outputs by what is wanted.

    .. math:: \Delta\theta = \text{rate} \cdot J' (J J' + \lambda I)^{-1} w,

    where row i of J is the derivative of output i with respect to all weights, w is wanted, and
    :math:`\lambda` is the damping times the mean of the diagonal of :math:`J J'`.

    Parameters
    ----------
    network : MLP
        With one output, and the same weights for all agents.
    x : Tensor, shape (runs, n, inputs)
    wanted : Tensor, shape (runs, n)
    damping : float
    rate : float
        Share of the step that is taken.
    centre : callable, optional
        Subtracts means of groups along dimension 1, if only differences from them are wanted.
    """
    below, slopes = _layers(network, x.double())
    # One layer's part of J J': weights and biases of it.
    products = sum(
        (slope @ slope.mT) * (h @ h.mT + 1) for h, slope in zip(below, slopes, strict=True)
    )
    assert isinstance(products, Tensor)
    if centre is not None:
        products = centre(centre(products).mT)
    size = damping * products.diagonal(dim1=1, dim2=2).mean(1)
    identity = torch.eye(x.shape[1], dtype=products.dtype, device=x.device)
    factor, failed = torch.linalg.cholesky_ex(products + size[:, None, None] * identity)
    weight = rate * torch.cholesky_solve(wanted.double().unsqueeze(-1), factor)
    # A run whose numbers are no longer finite has no step: its weights say so, as Adam's would.
    weight[failed > 0] = torch.nan
    if centre is not None:
        weight = centre(weight)
    layers = zip(network.weights, network.biases, below, slopes, strict=True)
    for w, b, h, slope in layers:
        weighted = weight * slope
        w.add_((h.mT @ weighted).to(w))
        b.add_(weighted.sum(1, keepdim=True).to(b))


def _layers(network, x) -> tuple[list[Tensor], list[Tensor]]:
    """What goes into each layer, and the derivative of the output with respect to what leaves it
    before activation; both (runs, n, units)."""
    weights = [w.to(x) for w in network.weights]
    below, before, h = [], [], x
    for w, b in zip(weights, network.biases, strict=True):
        below.append(h)
        before.append(torch.baddbmm(b.to(x), h, w))
        h = silu(before[-1])
    slope = torch.ones_like(before[-1])
    slopes = [slope]
    for w, z in zip(weights[:0:-1], before[-2::-1], strict=True):
        s = torch.sigmoid(z)
        slope = (slope @ w.mT) * s * (1 + z * (1 - s))
        slopes.append(slope)
    return below, slopes[::-1]
