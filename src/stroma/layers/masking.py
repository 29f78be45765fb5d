"""Layers that change nothing, or only what is looked at."""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Tensor

from stroma.core.checks import check_number
from stroma.core.layer import Layer, LayerOptions
from stroma.layers.registry import register_layer


@register_layer("Identity")
class Identity(Layer):
    """What comes in goes out: a place to be filled by another layer.

    Shape: (B, *) -> (B, *)
    Example:
        >>> Identity()(torch.tensor([1.0, 2.0]))
        tensor([1., 2.])
    """

    receptive = None

    def __init__(self, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        return inputs


@register_layer("Masking")
class Masking(Layer):
    """Skip the steps of a sequence in which every number is `mask_value`.

    mask[b, t] = any over d of x[b, t, d] != mask_value. It goes to the layers behind (recurrent
    ones, attention, `GlobalAveragePooling1D`); the skipped steps come out as 0.

    Args:
        mask_value: The number that stands for "nothing here".
    Shape: (B, T, D) -> (B, T, D)
    Raises: ArgumentTypeError: mask_value is no number.
    Example:
        >>> layer, x = Masking(-1.0), torch.tensor([[[-1.0, -1.0], [-1.0, 3.0]]])
        >>> layer(x).tolist(), layer.compute_mask(x).tolist()
        ([[[0.0, 0.0], [-1.0, 3.0]]], [[False, True]])
    """

    receptive = None

    def __init__(self, mask_value: float = 0.0, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.mask_value = check_number("mask_value", mask_value, owner="Masking")
        self.supports_masking = True

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return torch.any(inputs != self.mask_value, dim=-1)

    def call(self, inputs: Tensor) -> Tensor:
        seen = (inputs != self.mask_value).any(dim=-1, keepdim=True)  # (B, T, 1)
        return torch.where(seen, inputs, 0.0)  # (B, T, D)
