"""What happens to gradients before an update rule sees them: clipping, layout, the skip flag."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor


def clip_each_norm(gradients: list[Tensor], limit: float) -> list[Tensor]:
    """Each gradient scaled so that its own L2 norm is at most `limit`: g · limit / max(‖g‖, limit).

    Example:
        >>> clip_each_norm([torch.tensor([3.0, 4.0]), torch.tensor([0.6, 0.8])], 1.0)
        [tensor([0.6000, 0.8000]), tensor([0.6000, 0.8000])]
    """
    norms = list(torch._foreach_norm(gradients))
    torch._foreach_clamp_min_(norms, limit)
    torch._foreach_reciprocal_(norms)
    torch._foreach_mul_(norms, limit)
    return list(torch._foreach_mul(gradients, norms))


def clip_global_norm(gradients: list[Tensor], limit: float) -> list[Tensor]:
    """All gradients scaled by one factor, so that their joint L2 norm is at most `limit`.

    A norm that is not finite makes every gradient NaN, as in Keras: one infinite gradient would
    otherwise silently set all the others to zero.

    Example:
        >>> clip_global_norm([torch.tensor([3.0]), torch.tensor([4.0])], 1.0)
        [tensor([0.6000]), tensor([0.8000])]
    """
    device = gradients[0].device
    norms = [norm.to(device, torch.float32) for norm in torch._foreach_norm(gradients)]
    total = torch.linalg.vector_norm(torch.stack(norms))
    factor = limit / total.clamp_min(limit) + (total - total)
    if all(gradient.device == device for gradient in gradients):
        return list(torch._foreach_mul(gradients, factor))  # one kernel
    return [gradient * factor.to(gradient.device) for gradient in gradients]


def clip_values(gradients: list[Tensor], limit: float) -> list[Tensor]:
    """Every element of every gradient held within [-limit, limit]."""
    clipped = torch._foreach_clamp_min(gradients, -limit)
    torch._foreach_clamp_max_(clipped, limit)
    return list(clipped)


def like(gradient: Tensor, parameter: Tensor) -> Tensor:
    """`gradient` in the dtype and memory layout of `parameter`; itself when it has them already.

    torch's fused kernels walk the memory of both in step and do not look at strides: a contiguous
    gradient on a channels-last weight would update the wrong elements (measured on torch 2.13).
    """
    if gradient.dtype == parameter.dtype and gradient.layout is torch.strided:
        if gradient.stride() == parameter.stride():
            return gradient
        pairs = zip(gradient.shape, gradient.stride(), parameter.stride(), strict=True)
        if all(size == 1 or mine == its for size, mine, its in pairs):
            return gradient  # an axis of size 1 may carry any stride
    dense = gradient.to_dense() if gradient.layout is not torch.strided else gradient
    return torch.empty_like(parameter, memory_format=torch.preserve_format).copy_(dense)


@contextmanager
def undone_if(found_inf: Tensor | None, *lists: Sequence[Tensor]) -> Iterator[None]:
    """Put the tensors back as they were where the device flag `found_inf` is not 0.

    For rules that have no fused kernel with such a flag. It costs one copy of the tensors, and
    never asks the device for the flag's value.
    """
    if found_inf is None:
        yield
        return
    tensors = [tensor for tensors in lists for tensor in tensors]
    before = [tensor.clone() for tensor in tensors]
    yield
    skip = found_inf != 0
    for tensor, old in zip(tensors, before, strict=True):
        torch.where(skip, old, tensor, out=tensor)
