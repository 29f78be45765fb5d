"""Convolutions of channels-first views over any number of spatial axes, with Keras' paddings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch.nn.functional as F
from torch import Tensor

from stroma.functional.padding import pad, reach, same_padding, symmetric

Sizes: TypeAlias = tuple[int, ...]  # one number per spatial axis

_CONVOLVE: dict[int, Callable[..., Tensor]] = {2: F.conv2d, 3: F.conv3d}
_TRANSPOSED: dict[int, Callable[..., Tensor]] = {2: F.conv_transpose2d, 3: F.conv_transpose3d}


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    strides: Sizes,
    padding: str | Sizes,
    dilation: Sizes,
    groups: int,
) -> Tensor:
    """torch's convolution of any rank, with Keras' paddings by name besides torch's numbers.

    Shape: (B, C, *S) -> (B, filters, *S')
    """
    if x.dim() == 3:  # torch's own for sequences copies a channels-last view, that of pictures not
        x, weight = x.unsqueeze(2), weight.unsqueeze(2)
        strides, dilation = (1, *strides), (1, *dilation)
        padding = padding if isinstance(padding, str) else (0, *padding)
        return convolve(x, weight, bias, strides, padding, dilation, groups).squeeze(2)
    zeros: Any = padding if isinstance(padding, tuple) else 0
    if padding == "same":
        pads = same_padding(x.shape[2:], weight.shape[2:], strides, dilation)
        zeros = symmetric(pads)
        if zeros is None:  # only then is a padded copy needed
            x, zeros = pad(x, pads), 0
    elif padding == "causal":
        x = pad(x, [(reach(k, d) - 1, 0) for k, d in zip(weight.shape[2:], dilation)])
    return _CONVOLVE[x.dim() - 2](x, weight, bias, strides, zeros, dilation, groups)


def convolve_transposed(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    strides: Sizes,
    padding: str,
    output_padding: Sizes | None,
    dilation: Sizes,
) -> Tensor:
    """torch's transposed convolution of any rank, cut to the sizes that Keras gives.

    Args:
        weight: Kernels (C, filters, *kernel).
        padding: `"valid"`: (size - 1) stride + reach outputs, or size * stride where that is more;
            `"same"`: size * stride.
        output_padding: Added to (size - 1) stride + reach, or, under `"same"`, to
            (size - 1) stride + reach mod 2; None: as above.
    Shape: (B, C, *S) -> (B, filters, *S')
    """
    if x.dim() == 3:
        x, weight = x.unsqueeze(2), weight.unsqueeze(2)
        strides, dilation = (1, *strides), (1, *dilation)
        output_padding = None if output_padding is None else (0, *output_padding)
        y = convolve_transposed(x, weight, bias, strides, padding, output_padding, dilation)
        return y.squeeze(2)
    ends = transposed_ends(weight.shape[2:], strides, padding, output_padding, dilation)
    # torch takes the same from both ends, and can give some of it back at the far end
    cut = tuple(before for before, _ in ends)
    back = tuple(max(before - after, 0) for before, after in ends)
    y = _TRANSPOSED[x.dim() - 2](x, weight, bias, strides, cut, back, 1, dilation)
    for axis, (before, after) in enumerate(ends, start=2):
        if after > before:
            y = y.narrow(axis, 0, y.shape[axis] - (after - before))
    return y


def transposed_ends(
    kernel: Sequence[int],
    strides: Sizes,
    padding: str,
    output_padding: Sizes | None,
    dilation: Sizes,
) -> list[tuple[int, int]]:
    """What is cut from (before, after) the whole output, (size - 1) stride + reach places an axis.

    Under 'same' it is the padding of a convolution whose gradient this is: an odd one has the
    extra place at the end. A negative number is what is added.

    Example:
        >>> transposed_ends((3,), (2,), "same", None, (1,))
        [(0, 1)]
    """
    ends = []
    for axis, (k, stride, d) in enumerate(zip(kernel, strides, dilation)):
        span, given = reach(k, d), None if output_padding is None else output_padding[axis]
        if padding == "valid":
            ends.append((0, -max(stride - span, 0) if given is None else -given))
            continue
        kept = stride if given is None else span % 2 + given  # beyond (size - 1) stride
        before = max(span - 1 - -(-(span - 2 + kept) // 2), 0)
        ends.append((before, span - kept - before))
    return ends
