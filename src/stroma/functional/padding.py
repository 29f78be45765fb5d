"""Arithmetic of windows that slide over space: output sizes and 'same' padding, for any rank."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def reach(kernel: int, dilation: int = 1) -> int:
    """How many input positions a dilated kernel spans.

    Example:
        >>> reach(3, dilation=2)
        5
    """
    return (kernel - 1) * dilation + 1


def output_size(size: int, kernel: int, stride: int, dilation: int, padding: str) -> int:
    """How many places a window takes on an axis: 'same' ceil(n/s), 'valid' (n - reach) // s + 1.

    Example:
        >>> output_size(224, 7, 2, 1, "same"), output_size(224, 7, 2, 1, "valid")
        (112, 109)
    """
    if padding == "same":
        return -(-size // stride)
    return (size - reach(kernel, dilation)) // stride + 1


def same_padding(
    sizes: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
) -> list[tuple[int, int]]:
    """Padding (before, after) per spatial axis that gives ceil(size / stride) outputs.

    total = max(0, reach - 1 - (size - 1) mod stride); an odd one has its extra pixel at the end.
    It depends on the size when stride > 1, so no fixed padding of a torch layer can stand for it.

    Example:
        >>> same_padding((224, 224), (7, 3), (2, 1), (1, 1))
        [(2, 3), (1, 1)]
    """
    pads = []
    for size, k, stride, d in zip(sizes, kernel, strides, dilation):
        total = reach(k, d) - 1
        if stride > 1:  # else it must stay a plain number, whatever the size is
            total -= (size - 1) % stride
        if reach(k, d) < stride:  # else it is never negative, and an open size needs no maximum
            total = torch.sym_max(total, 0)  # type: ignore[no-untyped-call]
        pads.append((total // 2, total - total // 2))
    return pads


def symmetric(pads: Sequence[tuple[int, int]]) -> tuple[int, ...] | None:
    """The padding per axis when both ends get the same, else None.

    None also where an exported network leaves the size open: to ask whether the padding of an
    unknown size is even would nail that size down.
    """
    if any(isinstance(after, torch.SymInt) for _, after in pads):
        return None
    if any(before != after for before, after in pads):
        return None
    return tuple(before for before, _ in pads)


def pad(x: Tensor, pads: Sequence[tuple[int, int]], value: float = 0.0) -> Tensor:
    """Pad the spatial axes of a channels-first view, (B, C, *S)."""
    return F.pad(x, [end for pair in reversed(pads) for end in pair], value=value)
