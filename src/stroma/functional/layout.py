"""Views between the public order of axes and torch's. Never a copy.

An NHWC-contiguous tensor seen as NCHW *is* PyTorch's `channels_last` memory format, its fastest.
"""

from __future__ import annotations

from torch import Tensor


def to_channels_first(x: Tensor, data_format: str) -> Tensor:
    """(B, *S, C) as a (B, C, *S) view; `"channels_first"` tensors are so already."""
    return x.movedim(-1, 1) if data_format == "channels_last" else x


def from_channels_first(x: Tensor, data_format: str) -> Tensor:
    """The way back: (B, C, *S) as a view in the order of `data_format`."""
    return x.movedim(1, -1) if data_format == "channels_last" else x
