"""Random changes of sharpness: blurred, smoothed, sharpened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import torch
from torch import Generator, Tensor

from stroma.core.checks import check_tuple
from stroma.core.errors import ArgumentError
from stroma.core.layer import LayerOptions
from stroma.functional.blurring import blur, smooth
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


@register_layer("RandomSharpness")
class RandomSharpness(ColourAugmentation):
    """Make each picture smoother or sharper: y = s + 2 factor (x - s), s the smoothed picture.

    s is the mean of 3 x 3 pixels where the middle one counts five times and those beyond the edge
    are 0. y is held in the range.

    Args:
        factor: 0 is smooth, 0.5 changes nothing, 1 is sharp: f means (0, f), a pair in [0, 1] its
            bounds.
        value_range: Black and white of the pictures: (0, 255) or (0, 1).
        data_format: "channels_last" (default) or "channels_first".
        seed: Makes the draws of this layer its own; None: torch's generator.
    Shape: (B, H, W, C) -> (B, H, W, C); a single picture (H, W, C) may be given too.
    Raises: ArgumentError: a factor outside [0, 1].
    Example:
        >>> from stroma import layers
        >>> layers.RandomSharpness((0.5, 0.5))(torch.full((1, 1, 2, 1), 7.0)).flatten()
        tensor([7., 7.])

    Reference: Keras 3 `keras.layers.RandomSharpness`.
    """

    def __init__(
        self,
        factor: Factor,
        value_range: Sequence[float] = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(value_range, seed, data_format, **options)
        self.factor = bounds("factor", factor, owner="RandomSharpness", lowest=0, symmetric=False)

    def draw(self, images: Tensor, generator: Generator | None) -> Drawn:
        return (uniform(self.factor, images, generator),)

    def change(self, images: Tensor, *drawn: Any) -> Tensor:
        towards = 1 - 2 * each(drawn[0], images)
        return self.clamped(images + towards * (smooth(images) - images))


@register_layer("RandomGaussianBlur")
class RandomGaussianBlur(ColourAugmentation):
    """Blur some pictures with a bell-shaped kernel, its width drawn for each.

    Args:
        factor: Probability, itself drawn for each picture: f means between 0 and f (so 1.0
            blurs every second picture), a pair in [0, 1] its bounds ((1, 1): every picture).
        kernel_size: Height and width of the kernel in pixels, odd; one number for both.
        sigma: Standard deviation in pixels, drawn down and across: f means (0, f), a pair in
            [0, 1] its bounds.
        value_range: Black and white of the pictures: (0, 255) or (0, 1).
        data_format: "channels_last" (default) or "channels_first".
        seed: Makes the draws of this layer its own; None: torch's generator.
    Shape: (B, H, W, C) -> (B, H, W, C); a single picture (H, W, C) may be given too.
    Raises: ArgumentError: an even size, a factor or sigma outside [0, 1].
    Example:
        >>> from stroma import layers
        >>> layers.RandomGaussianBlur((1, 1), kernel_size=5)(torch.rand(4, 8, 8, 3)).shape
        torch.Size([4, 8, 8, 3])

    Reference: Keras 3 `keras.layers.RandomGaussianBlur`, which draws one width for the whole
        batch, and returns another size where the kernel is not square; what lies beyond the edge
        counts as 0 in both.
    """

    def __init__(
        self,
        factor: Factor = 1.0,
        kernel_size: int | Sequence[int] = 3,
        sigma: Factor = 1.0,
        value_range: Sequence[float] = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(value_range, seed, data_format, **options)
        owner = "RandomGaussianBlur"
        self.factor = bounds("factor", factor, owner=owner, lowest=0, symmetric=False)
        self.sigma = bounds("sigma", sigma, owner=owner, lowest=0, symmetric=False)
        self.kernel_size = check_tuple("kernel_size", kernel_size, 2, owner=owner)
        if any(size % 2 == 0 for size in self.kernel_size):
            raise ArgumentError(
                f"{owner}: kernel_size must be odd, got {kernel_size!r}",
                where=f"{owner}(kernel_size=...)",
                why="the kernel has a middle, which lies on the pixel that it blurs",
                fix=f"{owner}(kernel_size=3)",
            )

    def draw(self, images: Tensor, generator: Generator | None) -> Drawn:
        sigmas = uniform(self.sigma, images, generator, 2) + 1e-6
        return chosen(self.factor, images, generator), sigmas

    def change(self, images: Tensor, *drawn: Any) -> Tensor:
        which, sigmas = drawn
        halves = torch.tensor(self.kernel_size, device=images.device).expand_as(sigmas) // 2
        blurred = torch.where(each(which, images), blur(images, sigmas, halves), images)
        return self.clamped(blurred)
