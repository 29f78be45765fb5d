"""Batch statistics: fused where torch's kernel can do it, by formula under a mask."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.distributed.nn.functional import all_reduce


def batch_norm_training(
    x: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    momentum: float,
    epsilon: float,
) -> Tensor:
    """Normalise by the batch's own statistics and move the running ones, with *biased* variance.

    y = (x - mean) / sqrt(var + epsilon) * weight + bias;
    running = momentum * running + (1 - momentum) * batch.

    torch's kernel would store n/(n-1) var. It is handed n/(n-1) running_var instead, so what it
    writes is n/(n-1) times what is wanted everywhere, and one more product on C numbers sets it
    right: no second pass over the data, no private function, and cuDNN stays in use. The buffer
    handed in is a new one, because autograd keeps it for backward: changing the real one in
    between would break a layer that is called twice before one backward.

    Args:
        x: Activations (B, C, *), at least two per channel; a channels-last view is not copied.
        running_mean, running_var: Running statistics (C,), changed in place.
        weight, bias: Scale and shift (C,), or None.
        momentum: Keras' momentum, the part of the old that is kept, in [0, 1].
        epsilon: Added to the variance.
    """
    count = x.numel() // x.shape[1]
    variance = running_var * (count / (count - 1))
    y = F.batch_norm(
        x, running_mean, variance, weight, bias, True, momentum=1 - momentum, eps=epsilon
    )
    torch.mul(variance, (count - 1) / count, out=running_var)
    return y


def moments(
    x: Tensor, axes: list[int], mask: Tensor | None = None, synchronized: bool = False
) -> tuple[Tensor, Tensor]:
    """Mean and biased variance over `axes` (kept with size 1), in two passes so that a large mean
    does not swallow a small variance.

    Args:
        x: Floating tensor.
        axes: Axes to reduce.
        mask: True where x counts; x's shape without its last axis.
        synchronized: Over all processes of torch.distributed together.
    """
    valid = None if mask is None else mask.bool().unsqueeze(-1).expand(x.shape)
    total = (x if valid is None else torch.where(valid, x, 0)).sum(axes, keepdim=True)
    if valid is None:
        count = torch.full_like(total, x.numel() // total.numel())
    else:
        count = valid.sum(axes, keepdim=True).to(x.dtype)
    together = synchronized and dist.is_initialized()
    if together:
        total, count = _over_processes(torch.stack([total, count])).unbind()
    count = count.clamp(min=1)
    mean = total / count
    difference = x - mean if valid is None else torch.where(valid, x - mean, 0)
    squares = difference.square().sum(axes, keepdim=True)
    return mean, (_over_processes(squares) if together else squares) / count


def _over_processes(x: Tensor) -> Tensor:
    """The sum over all processes; its gradient is summed likewise."""
    total: Tensor = all_reduce(x)  # type: ignore[no-untyped-call]  # torch's own is untyped
    return total


def normalize(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    epsilon: float,
) -> Tensor:
    """(x - mean) / sqrt(variance + epsilon) * weight + bias, by broadcasting."""
    inverse = torch.rsqrt(variance + epsilon)
    y = (x - mean) * (inverse if weight is None else inverse * weight)
    return y if bias is None else y + bias


def unit_length(x: Tensor, axes: Sequence[int], smallest: float) -> Tensor:
    """x / max(|x|, smallest), |x| the Euclidean length over `axes`."""
    length: Tensor = torch.linalg.vector_norm(x, dim=list(axes), keepdim=True)
    return x / length.clamp(min=smallest)
