"""Cutting the middle out of pictures; random shears, perspectives and elastic deformations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import torch
from torch import Generator, Tensor

from stroma.core.checks import check_choice, check_number, check_positive_int
from stroma.core.layer import LayerOptions
from stroma.functional.blurring import blur
from stroma.functional.geometry import (
    AFFINE_INTERPOLATIONS,
    FILL_MODES,
    perspective,
    resample,
    shear_matrices,
)
from stroma.functional.resizing import crop_to_aspect, resize
from stroma.layers.augmentation import Affine
from stroma.layers.augmenting import (
    Augmentation,
    ColourAugmentation,
    Drawn,
    Factor,
    bounds,
    chosen,
    each,
    uniform,
)
from stroma.layers.registry import register_layer


@register_layer("CenterCrop")
class CenterCrop(Augmentation):
    """Cut the middle out of each picture, in training and inference.

    Where a picture is smaller than the window, the largest centred window of the same aspect
    ratio is taken and resized (bilinear).

    Args:
        height, width: Size of the window in pixels, >= 1.
        data_format: "channels_last" (default) or "channels_first".
    Shape: (B, H, W, C) -> (B, height, width, C); a single picture (H, W, C) may be given too.
    Raises: ArgumentTypeError: a size is not a whole number.
    Example:
        >>> from stroma import layers
        >>> layers.CenterCrop(2, 2)(torch.arange(16.0).reshape(1, 4, 4, 1)).flatten()
        tensor([ 5.,  6.,  9., 10.])

    Reference: Keras 3 `keras.layers.CenterCrop`.
    """

    receptive = "unknown"
    calculates = False
    always = True

    def __init__(
        self,
        height: int,
        width: int,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(None, data_format, **options)
        self.height = check_positive_int("height", height, owner="CenterCrop")
        self.width = check_positive_int("width", width, owner="CenterCrop")

    def change(self, images: Tensor, *drawn: Any) -> Tensor:
        size = (self.height, self.width)
        top, left = (
            (there - wanted) // 2 for there, wanted in zip(images.shape[1:3], size, strict=True)
        )
        if top < 0 or left < 0:
            return resize(crop_to_aspect(images, size), size)
        return images[:, top : top + self.height, left : left + self.width]


@register_layer("RandomShear")
class RandomShear(Affine):
    """Shear each picture: rows slide against one another, columns too.

    Output pixel (x, y) shows input pixel (x + a y, y + b x).

    Args:
        x_factor: a, in [-1, 1]: f means (-f, f); of a pair the sign is drawn besides, together
            for both factors.
        y_factor: b.
        interpolation: "bilinear" or "nearest".
        fill_mode: What appears beyond the edge: "reflect" (b a|a b c|c b), "constant",
            "nearest" (a a|a b c|c c) or "wrap" (b c|a b c|a b).
        fill_value: For "constant", in the units of the pixels.
        data_format: "channels_last" (default) or "channels_first".
        seed: Makes the draws of this layer its own; None: torch's generator.
    Shape: (B, H, W, C) -> (B, H, W, C); a single picture (H, W, C) may be given too.
    Raises: ArgumentError: a factor outside [-1, 1], an unknown mode.
    Example:
        >>> from stroma import layers
        >>> layers.RandomShear(0.2, 0.1)(torch.zeros(4, 8, 8, 3)).shape
        torch.Size([4, 8, 8, 3])

    Reference: Keras 3 `keras.layers.RandomShear`, which cannot load the file of a layer that was
        given single numbers, since its pairs must be positive; here they need not.
    """

    def __init__(
        self,
        x_factor: Factor = 0.0,
        y_factor: Factor = 0.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        data_format: str | None = None,
        seed: int | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **options)
        self.x_factor = bounds("x_factor", x_factor, owner="RandomShear")
        self.y_factor = bounds("y_factor", y_factor, owner="RandomShear")

    def matrices(self, images: Tensor, generator: Generator | None) -> Tensor:
        sign = torch.where(uniform((-1, 1), images, generator) < 0, -1.0, 1.0)
        across, down = (
            uniform(factor, images, generator) * sign for factor in (self.x_factor, self.y_factor)
        )
        return shear_matrices(across, down)


@register_layer("RandomPerspective")
class RandomPerspective(Augmentation):
    """Show some pictures as if seen from aside: three corners move, each by itself.

    A corner at (x, y), from 0 at the first pixel, moves to (x (1 + u), y (1 + v)), u and v in
    [-scale / 2, scale / 2]; so the corner at the top left stays.

    Args:
        factor: Probability, itself drawn for each picture: f means between 0 and f (so 1.0
            changes every second picture), a pair in [0, 1] its bounds ((1, 1): every picture).
        scale: How far corners move, in [0, 1].
        interpolation: "bilinear" or "nearest".
        fill_value: What appears beyond the edge, in the units of the pixels.
        seed: Makes the draws of this layer its own; None: torch's generator.
        data_format: "channels_last" (default) or "channels_first".
    Shape: (B, H, W, C) -> (B, H, W, C); a single picture (H, W, C) may be given too.
    Raises: ArgumentError: a factor or scale outside [0, 1], an unknown interpolation.
    Example:
        >>> from stroma import layers
        >>> layers.RandomPerspective(scale=0.5)(torch.zeros(4, 8, 8, 3)).shape
        torch.Size([4, 8, 8, 3])

    Reference: Keras 3 `keras.layers.RandomPerspective`.
    """

    def __init__(
        self,
        factor: Factor = 1.0,
        scale: float = 1.0,
        interpolation: str = "bilinear",
        fill_value: float = 0.0,
        seed: int | None = None,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed, data_format, **options)
        owner = "RandomPerspective"
        self.factor = bounds("factor", factor, owner=owner, lowest=0, symmetric=False)
        self.scale = check_number("scale", scale, owner=owner, minimum=0, maximum=1)
        self.interpolation = check_choice(
            "interpolation", interpolation, AFFINE_INTERPOLATIONS, owner=owner
        )
        self.fill_value = check_number("fill_value", fill_value, owner=owner)

    def draw(self, images: Tensor, generator: Generator | None) -> Drawn:
        reach = self.scale / 2
        moved = 1 + uniform((-reach, reach), images, generator, 4, 2)
        corners = moved.new_tensor([[0, 0], [1, 0], [0, 1], [1, 1]])
        return chosen(self.factor, images, generator), corners * moved

    def change(self, images: Tensor, *drawn: Any) -> Tensor:
        which, corners = drawn
        columns, rows = perspective(images, corners)
        seen = resample(images, columns, rows, "constant", self.interpolation, self.fill_value)
        return torch.where(each(which, images), seen, images)


@register_layer("RandomElasticTransform")
class RandomElasticTransform(ColourAugmentation):
    """Deform some pictures as if drawn on rubber: neighbouring pixels move alike, all at random.

    Pixels move by alpha times noise of deviation sigma that is blurred with a bell of deviation
    sigma, where alpha = 0.1 max(H, W) scale and sigma = 0.05 min(H, W) scale.

    Args:
        factor: Probability, itself drawn for each picture: f means between 0 and f (so 1.0
            changes every second picture), a pair in [0, 1] its bounds ((1, 1): every picture).
        scale: Strength, drawn for each picture: f means (0, f), a pair in [0, 1] its bounds.
        interpolation: "bilinear" or "nearest".
        fill_mode: What appears beyond the edge: "reflect" (b a|a b c|c b), "constant",
            "nearest" (a a|a b c|c c), "wrap" (b c|a b c|a b) or "mirror" (c b|a b c|b a).
        fill_value: For "constant", in the units of the pixels.
        value_range: Black and white of the pictures: (0, 255) or (0, 1).
        seed: Makes the draws of this layer its own; None: torch's generator.
        data_format: "channels_last" (default) or "channels_first".
    Shape: (B, H, W, C) -> (B, H, W, C); a single picture (H, W, C) may be given too.
    Raises: ArgumentError: a factor or scale outside [0, 1], an unknown mode.
    Example:
        >>> from stroma import layers
        >>> layers.RandomElasticTransform(scale=0.5)(torch.zeros(4, 8, 8, 3)).shape
        torch.Size([4, 8, 8, 3])

    Reference: Simard, Steinkraus & Platt 2003, section 2; Keras 3
        `keras.layers.RandomElasticTransform`, which draws one strength for the whole batch.
    """

    def __init__(
        self,
        factor: Factor = 1.0,
        scale: Factor = 1.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(value_range, seed, data_format, **options)
        owner = "RandomElasticTransform"
        self.factor = bounds("factor", factor, owner=owner, lowest=0, symmetric=False)
        self.scale = bounds("scale", scale, owner=owner, lowest=0, symmetric=False)
        self.interpolation = check_choice(
            "interpolation", interpolation, AFFINE_INTERPOLATIONS, owner=owner
        )
        self.fill_mode = check_choice("fill_mode", fill_mode, (*FILL_MODES, "mirror"), owner=owner)
        self.fill_value = check_number("fill_value", fill_value, owner=owner)

    def draw(self, images: Tensor, generator: Generator | None) -> Drawn:
        scale = uniform(self.scale, images, generator)
        shape = (*images.shape[:3], 2)
        noise = torch.randn(shape, device=images.device, generator=generator)
        return chosen(self.factor, images, generator), scale, noise

    def change(self, images: Tensor, *drawn: Any) -> Tensor:
        which, scale, noise = drawn
        height, width = images.shape[1:3]
        sigma = 0.05 * min(height, width) * scale
        halves = torch.floor(3 * sigma)[:, None].expand(-1, 2)
        safe = sigma.clamp(min=1e-6)[:, None].expand(-1, 2)
        alpha = 0.1 * max(height, width) * scale
        away = blur(noise * each(sigma, noise), safe, halves) * each(alpha, noise)
        columns = torch.arange(width, device=images.device) + away[..., 0]
        rows = torch.arange(height, device=images.device)[:, None] + away[..., 1]
        moved = resample(images, columns, rows, self.fill_mode, self.interpolation, self.fill_value)
        return self.clamped(torch.where(each(which, images), moved, images))
