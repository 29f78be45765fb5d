"""Augmentations that redistribute brightness: stretched, even, turned over, in fewer steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import torch
from torch import Generator, Tensor

from stroma.core.checks import check_int, check_number, check_tuple
from stroma.core.layer import LayerOptions
from stroma.functional.tones import equalize, equalize_tiles, stretch
from stroma.layers.augmenting import ColourAugmentation, Drawn, Factor, bounds, each, uniform
from stroma.layers.registry import register_layer

_WHITE = 255.0  # what these calculate in: bytes


class _InBytes(ColourAugmentation):
    """Augmentations that are defined on values from 0 to 255."""

    def change(self, images: Tensor, *drawn: Any) -> Tensor:
        low, high = self.value_range
        if (low, high) == (0, _WHITE):
            return self.change_bytes(images, *drawn)
        changed = self.change_bytes((images - low) / (high - low) * _WHITE, *drawn)
        return changed / _WHITE * (high - low) + low

    def change_bytes(self, images: Tensor, *drawn: Any) -> Tensor:
        """The pictures, from 0 to 255, as the draw changes them."""
        raise NotImplementedError


@register_layer("AutoContrast")
class AutoContrast(ColourAugmentation):
    """Stretch each channel of each picture over the whole range of values.

    y = low + (x - min) (high - low) / (max - min), in training and inference; a channel of one
    value stays as it is.

    Args:
        value_range: Black and white of the pictures: (0, 255) or (0, 1).
        data_format: "channels_last" (default) or "channels_first".
    Shape: (B, H, W, C) -> (B, H, W, C); a single picture (H, W, C) may be given too.
    Raises: ArgumentError: a range that is not two numbers.
    Example:
        >>> from stroma import layers
        >>> x = torch.tensor([0.2, 0.3, 0.4]).reshape(1, 3, 1, 1)
        >>> layers.AutoContrast(value_range=(0, 1))(x).flatten()
        tensor([0.0000, 0.5000, 1.0000])

    Reference: Keras 3 `keras.layers.AutoContrast`, which with "channels_first" takes minimum and
        maximum along the wrong axes; here both layouts give the same.
    """

    always = True

    def __init__(
        self,
        value_range: Sequence[float] = (0, 255),
        *,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(value_range, None, data_format, **options)

    def change(self, images: Tensor, *drawn: Any) -> Tensor:
        return stretch(images, *self.value_range)


@register_layer("Equalization")
class Equalization(_InBytes):
    """Make all brightnesses about equally frequent, in each channel of each picture.

    A value becomes the share of the pixels that are not brighter, times 255, rounded; the darkest
    becomes 0. Differentiable nowhere: gradients are 0.

    Args:
        value_range: Black and white of the pictures: (0, 255) or (0, 1).
        bins: How many values are told apart, >= 1.
        data_format: "channels_last" (default) or "channels_first".
    Shape: (B, H, W, C) -> (B, H, W, C); a single picture (H, W, C) may be given too.
    Raises: ArgumentError: a range that is not two numbers.
    Example:
        >>> from stroma import layers
        >>> x = torch.tensor([10.0, 11.0, 11.0, 13.0]).reshape(1, 4, 1, 1)
        >>> layers.Equalization()(x).flatten()
        tensor([  0., 170., 170., 255.])

    Reference: Keras 3 `keras.layers.Equalization`, which counts the pixels of the whole batch in
        one histogram; here, as its documentation says, each picture has its own.
    """

    def __init__(
        self,
        value_range: Sequence[float] = (0, 255),
        bins: int = 256,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(value_range, None, data_format, **options)
        self.bins = check_int("bins", bins, owner="Equalization", minimum=1)

    def change_bytes(self, images: Tensor, *drawn: Any) -> Tensor:
        return equalize(images, self.bins)


@register_layer("ContrastLimitedAdaptiveHistogramEqualization")
class ContrastLimitedAdaptiveHistogramEqualization(_InBytes):
    """Make brightnesses about equally frequent tile by tile, no more than a limit allows.

    In training and inference. Between the centres of tiles their answers are mixed. Differentiable
    nowhere.

    Args:
        value_range: Black and white of the pictures: (0, 255) or (0, 1).
        clip_limit: How many times the mean count one brightness may count, >= 0; 0: no limit.
        tile_grid_size: Tiles down and across, >= 1.
        data_format: "channels_last" (default) or "channels_first".
    Shape: (B, H, W, C) -> (B, H, W, C); a single picture (H, W, C) may be given too.
    Raises: ArgumentError: a negative limit, fewer than one tile.
    Example:
        >>> from stroma import layers
        >>> layer = layers.ContrastLimitedAdaptiveHistogramEqualization(tile_grid_size=(2, 2))
        >>> layer(torch.zeros(4, 16, 16, 3)).shape
        torch.Size([4, 16, 16, 3])

    Reference: Zuiderveld 1994, "Contrast limited adaptive histogram equalization". Keras 3 on
        torch rounds the limit down to whole pixels; here, as on TF and JAX, it may be a fraction.
    """

    always = True

    def __init__(
        self,
        value_range: Sequence[float] = (0, 255),
        clip_limit: float = 4.0,
        tile_grid_size: Sequence[int] = (8, 8),
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(value_range, None, data_format, **options)
        owner = type(self).__name__
        self.clip_limit = check_number("clip_limit", clip_limit, owner=owner, minimum=0)
        down, across = check_tuple("tile_grid_size", tile_grid_size, 2, owner=owner)
        self.tile_grid_size = down, across

    def change_bytes(self, images: Tensor, *drawn: Any) -> Tensor:
        return equalize_tiles(images, self.clip_limit, self.tile_grid_size)


@register_layer("Solarization")
class Solarization(_InBytes):
    """Turn what is brighter than a threshold into its negative.

    y = x + addition, held within the range; then y = low + high - y where y is at or above the
    threshold.

    Args:
        addition_factor: How much brighter first, as a part of the range, in [0, 1]: f means
            (0, f), a pair its bounds.
        threshold_factor: Threshold as a part of the range; f means (0, f), a pair its bounds.
        value_range: Black and white of the pictures: (0, 255) or (0, 1).
        seed: Makes the draws of this layer its own; None: torch's generator.
        data_format: "channels_last" (default) or "channels_first".
    Shape: (B, H, W, C) -> (B, H, W, C); a single picture (H, W, C) may be given too.
    Raises: ArgumentError: a factor outside [0, 1].
    Example:
        >>> from stroma import layers
        >>> x = torch.tensor([10.0, 200.0]).reshape(1, 2, 1, 1)
        >>> layers.Solarization(threshold_factor=(0.5, 0.5))(x).flatten()
        tensor([10., 55.])

    Reference: Keras 3 `keras.layers.Solarization`, which scales only the upper bounds of the two
        factors to the range; here both, so that (0.5, 0.5) is always half.
    """

    def __init__(
        self,
        addition_factor: Factor = 0.0,
        threshold_factor: Factor = 0.0,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        *,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(value_range, seed, data_format, **options)
        self.addition_factor, self.threshold_factor = (
            bounds(name, factor, owner="Solarization", lowest=0, symmetric=False)
            for name, factor in (
                ("addition_factor", addition_factor),
                ("threshold_factor", threshold_factor),
            )
        )

    def draw(self, images: Tensor, generator: Generator | None) -> Drawn:
        return tuple(
            uniform(factor, images, generator) * _WHITE
            for factor in (self.addition_factor, self.threshold_factor)
        )

    def change_bytes(self, images: Tensor, *drawn: Any) -> Tensor:
        addition, threshold = (each(values, images) for values in drawn)
        brighter = (images + addition).clamp(0, _WHITE)
        return torch.where(brighter < threshold, brighter, _WHITE - brighter)


@register_layer("RandomPosterization")
class RandomPosterization(_InBytes):
    """Keep the leading bits of each value only.

    y = floor(x / 2^(8 - bits)) 2^(8 - bits), on bytes. Differentiable nowhere: gradients are 0.

    Args:
        factor: Bits to keep, in [1, 8]: a pair (a, b) draws from a to b - 1, (b, b) always keeps
            b; one number f means (1, f).
        value_range: Black and white of the pictures: (0, 255) or (0, 1).
        seed: Makes the draws of this layer its own; None: torch's generator.
        data_format: "channels_last" (default) or "channels_first".
    Shape: (B, H, W, C) -> (B, H, W, C); a single picture (H, W, C) may be given too.
    Raises: ArgumentError: a factor outside [1, 8].
    Example:
        >>> from stroma import layers
        >>> x = torch.tensor([10.0, 100.0, 200.0]).reshape(1, 3, 1, 1)
        >>> layers.RandomPosterization((2, 2))(x).flatten()
        tensor([  0.,  64., 192.])

    Reference: Keras 3 `keras.layers.RandomPosterization`.
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
        owner = "RandomPosterization"
        low, high = bounds("factor", factor, owner=owner, lowest=1, highest=8, symmetric=False)
        self.factor = tuple(check_int("factor", bound, owner=owner) for bound in (low, high))

    def draw(self, images: Tensor, generator: Generator | None) -> Drawn:
        low, high = self.factor
        stop = max(high, low + 1)
        size = (len(images),)
        return (torch.randint(low, stop, size, device=images.device, generator=generator),)

    def change_bytes(self, images: Tensor, *drawn: Any) -> Tensor:
        step = each(torch.exp2(8.0 - drawn[0]), images)
        return (images.clamp(0, _WHITE) / step).floor() * step
