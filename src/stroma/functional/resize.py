"""Resizing of channels-first views by the conventions of Keras: pixel centres at half."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch.nn.functional as F
from torch import Tensor

Interpolation: TypeAlias = Literal["nearest", "bilinear", "bicubic"]


def enlarge(x: Tensor, factors: Sequence[int], interpolation: Interpolation) -> Tensor:
    """(B, C, H, W) -> (B, C, H * factor, W * factor), whole factors.

    Bicubic is Keys' kernel with a = -0.5 and weights that sum to one at the border, as in
    TensorFlow and JAX. torch's own bicubic has a = -0.75; its antialiasing one is Keys' kernel
    exactly when a picture grows.
    """
    if interpolation == "nearest":
        return F.interpolate(x, scale_factor=[float(factor) for factor in factors], mode="nearest")
    size = [size * factor for size, factor in zip(x.shape[2:], factors)]
    return F.interpolate(
        x, size, mode=interpolation, align_corners=False, antialias=interpolation == "bicubic"
    )
