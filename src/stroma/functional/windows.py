"""Convolutions, pooling and folding of tensors in Keras' layout, as operations without a layer.

Inputs come by position, settings by keyword: a file keeps the two apart.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stroma.functional.convolution import convolve, convolve_transposed
from stroma.functional.pooling import adaptive_average_pool as _adaptive_average
from stroma.functional.pooling import adaptive_max_pool as _adaptive_max
from stroma.functional.rearranging import rearrange

FIRST = "channels_first"


def _sizes(value: Any, rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value)


def _last_to_first(x: Tensor, data_format: str | None) -> Tensor:
    return x if data_format == FIRST else x.movedim(-1, 1)


def _first_to_last(x: Tensor, data_format: str | None) -> Tensor:
    return x if data_format == FIRST else x.movedim(1, -1)


def _kernel(kernel: Tensor) -> Tensor:
    """(*S, in, out), as Keras has it, to torch's (out, in, *S)."""
    rank = kernel.dim() - 2
    return kernel.permute(rank + 1, rank, *range(rank))


def conv(inputs: Tensor, kernel: Tensor, *, strides: Any = 1, padding: str = "valid",
         data_format: str | None = None, dilation_rate: Any = 1) -> Tensor:  # fmt: skip
    """Kernels (*S, C / groups, filters) moved over (B, *S, C)."""
    rank = kernel.dim() - 2
    x = _last_to_first(inputs, data_format)
    groups = x.shape[1] // kernel.shape[-2]
    y = convolve(x, _kernel(kernel), None, _sizes(strides, rank), padding.lower(),
                 _sizes(dilation_rate, rank), groups)  # fmt: skip
    return _first_to_last(y, data_format)


def depthwise_conv(inputs: Tensor, kernel: Tensor, *, strides: Any = 1, padding: str = "valid",
                   data_format: str | None = None, dilation_rate: Any = 1) -> Tensor:  # fmt: skip
    """Kernels (*S, C, multiplier), each over a channel of its own."""
    spread = kernel.flatten(-2).unsqueeze(-2)
    return conv(inputs, spread, strides=strides, padding=padding, data_format=data_format,
                dilation_rate=dilation_rate)  # fmt: skip


def separable_conv(inputs: Tensor, depthwise_kernel: Tensor, pointwise_kernel: Tensor, *,
                   strides: Any = 1, padding: str = "valid", data_format: str | None = None,
                   dilation_rate: Any = 1) -> Tensor:  # fmt: skip
    """A depthwise convolution, then kernels (1, ..., C * multiplier, filters)."""
    y = depthwise_conv(inputs, depthwise_kernel, strides=strides, padding=padding,
                       data_format=data_format, dilation_rate=dilation_rate)  # fmt: skip
    return conv(y, pointwise_kernel, data_format=data_format)


def conv_transpose(inputs: Tensor, kernel: Tensor, *, strides: Any = 1, padding: str = "valid",
                   output_padding: Any = None, data_format: str | None = None,
                   dilation_rate: Any = 1) -> Tensor:  # fmt: skip
    """The gradient of a convolution as an operation: kernels (*S, filters, C)."""
    rank = kernel.dim() - 2
    added = None if output_padding is None else _sizes(output_padding, rank)
    x = _last_to_first(inputs, data_format)
    y = convolve_transposed(x, _kernel(kernel), None, _sizes(strides, rank), padding.lower(), added,
                            _sizes(dilation_rate, rank))  # fmt: skip
    return _first_to_last(y, data_format)


def adaptive_average_pool(inputs: Tensor, *, output_size: Any,
                          data_format: str | None = None) -> Tensor:  # fmt: skip
    x = _last_to_first(inputs, data_format)
    return _first_to_last(_adaptive_average(x, _sizes(output_size, x.dim() - 2)), data_format)


def adaptive_max_pool(inputs: Tensor, *, output_size: Any,
                      data_format: str | None = None) -> Tensor:  # fmt: skip
    x = _last_to_first(inputs, data_format)
    return _first_to_last(_adaptive_max(x, _sizes(output_size, x.dim() - 2)), data_format)


def unfold(x: Tensor, *, kernel_size: Any, dilation: Any = 1, padding: Any = 0,
           stride: Any = 1) -> Tensor:  # fmt: skip
    """Windows of (B, C, H, W) as columns (B, C * h * w, windows)."""
    return F.unfold(x, kernel_size, dilation, padding, stride)


def fold(x: Tensor, *, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0,
         stride: Any = 1) -> Tensor:  # fmt: skip
    """Columns of windows added where they lie: (B, C * h * w, windows) -> (B, C, H, W)."""
    return F.fold(x, output_size, kernel_size, dilation, padding, stride)


def depth_to_space(x: Tensor, *, block_size: int, data_format: str = "channels_last") -> Tensor:
    """Channels become blocks of pixels: (B, H, W, b² C) -> (B, b H, b W, C)."""
    first = data_format == FIRST
    pattern = "n (c a b) h w -> n c (h a) (w b)" if first else "n h w (a b c) -> n (h a) (w b) c"
    return rearrange(x, pattern, {"a": block_size, "b": block_size})


def space_to_depth(x: Tensor, *, block_size: int, data_format: str = "channels_last") -> Tensor:
    """Blocks of pixels become channels: (B, b H, b W, C) -> (B, H, W, b² C)."""
    first = data_format == FIRST
    pattern = "n c (h a) (w b) -> n (c a b) h w" if first else "n (h a) (w b) c -> n h w (a b c)"
    return rearrange(x, pattern, {"a": block_size, "b": block_size})


def extract_patches(images: Tensor, *, size: Any, strides: Any = None, dilation_rate: Any = 1,
                    padding: str = "valid", data_format: str | None = None) -> Tensor:  # fmt: skip
    """Windows of pictures or volumes, each flattened into the channels of one place.

    Shape: (B, *S, C) -> (B, *S', window * C); without B too
    """
    rank = 2 if isinstance(size, int) else len(size)
    return _patches(images, _sizes(size, rank), strides, dilation_rate, padding, data_format)


def extract_volume_patches(volumes: Tensor, *, size: Any, strides: Any = None,
                           dilation_rate: Any = 1, padding: str = "valid",
                           data_format: str | None = None) -> Tensor:  # fmt: skip
    """The same of volumes, where one number is the size along all three axes."""
    return _patches(volumes, _sizes(size, 3), strides, dilation_rate, padding, data_format)


def _patches(images: Tensor, window: tuple[int, ...], strides: Any, dilation_rate: Any,
             padding: str, data_format: str | None) -> Tensor:  # fmt: skip
    rank, single = len(window), images.dim() == len(window) + 1
    x = _last_to_first(images[None] if single else images, data_format)
    channels, count = x.shape[1], 1
    for n in window:
        count *= n
    # a kernel that picks: output channel (place, channel) is that place of that channel
    pick = torch.eye(count * channels, dtype=x.dtype, device=x.device)
    kernel = pick.reshape(count * channels, *window, channels).movedim(-1, 1)
    steps = window if strides is None else _sizes(strides, rank)
    y = convolve(x, kernel, None, steps, padding, _sizes(dilation_rate, rank), 1)
    y = _first_to_last(y, data_format)
    return y[0] if single else y
