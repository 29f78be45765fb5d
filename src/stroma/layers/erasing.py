"""Covering a window of a picture, or pasting there what another picture shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import torch
from torch import Generator, Tensor

from stroma.core.checks import check_number
from stroma.core.errors import ArgumentError
from stroma.core.layer import LayerOptions
from stroma.functional.geometry import window_mask
from stroma.layers.augmenting import (
    ColourAugmentation,
    Drawn,
    Factor,
    bounds,
    chosen,
    each,
    uniform,
)
from stroma.layers.registry import register_layer


@register_layer("RandomErasing")
class RandomErasing(ColourAugmentation):
    """Cover a window at a random place of some pictures.

    Args:
        factor: Probability, itself drawn for each picture: f means between 0 and f (so 1.0
            erases in every second picture), a pair in [0, 1] its bounds ((1, 1): in each).
        scale: Bounds in [0, 1] of two draws, the squares of the window's height and width as
            parts of the picture's: f means (0, f).
        fill_value: A number, or one per channel; None: noise of mean 0 and deviation `high`.
            What lies outside `value_range` is brought inside.
        value_range: Black and white of the pictures: (0, 255) or (0, 1).
        seed: Makes the draws of this layer its own; None: torch's generator.
        data_format: "channels_last" (default) or "channels_first".
    Shape: (B, H, W, C) -> (B, H, W, C); a single picture (H, W, C) may be given too.
    Raises: ArgumentError: a factor or scale outside [0, 1].
    Example:
        >>> from stroma import layers
        >>> erase = layers.RandomErasing((1, 1), scale=(0.25, 0.25), fill_value=0)
        >>> erase(torch.ones(1, 8, 8, 1)).sum()  # 4 x 4 of 8 x 8 pixels are gone
        tensor(48.)

    Reference: Zhong et al. 2020, "Random erasing data augmentation"; Keras 3
        `keras.layers.RandomErasing`.
    """

    def __init__(
        self,
        factor: Factor = 1.0,
        scale: Factor = (0.02, 0.33),
        fill_value: float | Sequence[float] | None = None,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(value_range, seed, data_format, **options)
        owner = "RandomErasing"
        self.factor = bounds("factor", factor, owner=owner, lowest=0, symmetric=False)
        self.scale = bounds("scale", scale, owner=owner, lowest=0, symmetric=False)
        several = fill_value if isinstance(fill_value, (list, tuple)) else [fill_value]
        for value in several if fill_value is not None else ():
            check_number("fill_value", value, owner=owner)
        if not several:
            raise ArgumentError(
                f"{owner}: fill_value is empty",
                where=f"{owner}(fill_value=...)",
                why="it is one number for every channel, or a number per channel",
                fix=f"{owner}(fill_value=0)",
            )
        self.fill_value = fill_value

    def draw(self, images: Tensor, generator: Generator | None) -> Drawn:
        sizes = uniform(self.scale, images, generator, 2).sqrt()
        places = uniform((0, 1), images, generator, 2)
        which = chosen(self.factor, images, generator)
        if self.fill_value is not None:
            return which, places, sizes
        noise = torch.randn(images.shape, device=images.device, generator=generator)
        return which, places, sizes, noise * self.value_range[1]

    def change(self, images: Tensor, *drawn: Any) -> Tensor:
        which, places, sizes = drawn[:3]
        cover = drawn[3].to(images.dtype) if drawn[3:] else images.new_tensor(self.fill_value)
        erased = window_mask(images, places, sizes) & each(which, images)
        return torch.where(erased, self.clamped(cover), images)
