"""Pooling of channels-first views over any number of spatial axes, with 'same' done right."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch.nn.functional as F
from torch import Tensor

from stroma.functional.padding import pad, same_padding

Sizes: TypeAlias = tuple[int, ...]  # one number per spatial axis

_MAX: dict[int, Callable[..., Tensor]] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_AVERAGE: dict[int, Callable[..., Tensor]] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def _without_copy(
    pads: Sequence[tuple[int, int]], strides: Sizes, sizes: Sequence[int], kernel: Sizes
) -> Sizes | None:
    """torch's `padding` under which `ceil_mode` gives 'same', or None where there is none.

    With `ceil_mode` a window may hang over the end, which is the extra pixel of an odd padding;
    a stride of 1 leaves no room for it, an open size (exported networks) cannot be asked, and
    torch refuses a window of three axes that is larger than the volume.
    """
    if any(type(end) is not int for pair in pads for end in pair):
        return None
    if any(before != after and stride == 1 for (before, after), stride in zip(pads, strides)):
        return None
    if len(kernel) == 3 and any(n < k for n, k in zip(sizes, kernel)):
        return None
    return tuple(before for before, _ in pads)


def max_pool(x: Tensor, size: Sizes, strides: Sizes, padding: str | Sizes) -> Tensor:
    """The largest number in each window of (B, C, *S); padding never wins."""
    pool = _MAX[len(size)]
    if padding == "valid":
        return pool(x, size, strides)
    if isinstance(padding, tuple):
        return pool(x, size, strides, padding)
    pads = same_padding(x.shape[2:], size, strides, [1] * len(size))
    before = _without_copy(pads, strides, x.shape[2:], size)
    if before is None:
        return pool(pad(x, pads, value=-math.inf), size, strides)
    return pool(x, size, strides, before, ceil_mode=True)


def average_pool(x: Tensor, size: Sizes, strides: Sizes, padding: str | Sizes) -> Tensor:
    """The mean of each window of (B, C, *S); padding is not counted, as in TensorFlow and JAX."""
    pool = _AVERAGE[len(size)]
    if padding == "valid":
        return pool(x, size, strides)
    if isinstance(padding, tuple):
        return pool(x, size, strides, padding, count_include_pad=False)
    pads = same_padding(x.shape[2:], size, strides, [1] * len(size))
    before = _without_copy(pads, strides, x.shape[2:], size)
    if before is None:
        inside = x.new_ones((1, 1, *x.shape[2:]))
        return pool(pad(x, pads), size, strides) / pool(pad(inside, pads), size, strides)
    return pool(x, size, strides, before, ceil_mode=True, count_include_pad=False)


_ADAPTIVE_MAX: dict[int, Callable[..., Tensor]] = {
    2: F.adaptive_max_pool2d,
    3: F.adaptive_max_pool3d,
}
_ADAPTIVE_AVERAGE: dict[int, Callable[..., Tensor]] = {
    2: F.adaptive_avg_pool2d,
    3: F.adaptive_avg_pool3d,
}


def adaptive_max_pool(x: Tensor, size: Sizes) -> Tensor:
    """The largest number in each of `size` windows that cover (B, C, *S)."""
    return _adaptive(_ADAPTIVE_MAX, x, size)


def adaptive_average_pool(x: Tensor, size: Sizes) -> Tensor:
    """The mean of each of `size` windows that cover (B, C, *S)."""
    return _adaptive(_ADAPTIVE_AVERAGE, x, size)


def _adaptive(kernels: dict[int, Callable[..., Tensor]], x: Tensor, size: Sizes) -> Tensor:
    if len(size) == 1:  # torch's own for sequences copies a channels-last view
        return kernels[2](x.unsqueeze(2), (1, *size)).squeeze(2)
    return kernels[len(size)](x, size)
