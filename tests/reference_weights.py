"""Weights and pictures that every machine makes alike: how two networks are compared far apart."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor


def _uniform(key: str, shape: tuple[int, ...], low: float, high: float) -> Tensor:
    generator = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode())))
    drawn = generator.random(shape, dtype=np.float32)
    return torch.from_numpy(drawn * np.float32(high - low) + np.float32(low))


def _range(key: str, value: Tensor) -> tuple[float, float]:
    if value.dim() in (2, 4):  # keeps the size of activations (He et al. 2015)
        bound = math.sqrt(6 / math.prod(value.shape[1:]))
        return -bound, bound
    if key.endswith(("running_var", "layer_scale")) or (
        key.endswith("weight") and value.dim() == 1
    ):
        return 0.5, 1.5
    return -0.1, 0.1


def fill(state: Mapping[str, Tensor]) -> None:
    """Overwrite a `state_dict` in place: each tensor by its name, so that order does not matter."""
    with torch.no_grad():
        for key, value in state.items():
            if value.is_floating_point():
                value.copy_(_uniform(key, tuple(value.shape), *_range(key, value)))


def pictures(height: int, width: int) -> Tensor:
    """Two pictures, (2, height, width, 3)."""
    return _uniform(f"{height} x {width}", (2, height, width, 3), -2.0, 2.0)
