"""Random changes of colour, pixel by pixel: brightness, contrast, saturation, hue, inversion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import torch
from torch import Generator, Tensor

from stroma.core.checks import check_number
from stroma.core.layer import LayerOptions
from stroma.functional.pictures import hsv_to_rgb, rgb_to_hsv
from stroma.layers.augmenting import (
    Augmentation,
    ColourAugmentation,
    Drawn,
    Factor,
    bounds,
    check_channels,
    chosen,
    each,
    uniform,
)
from stroma.layers.registry import register_layer

_LUMA = (0.2989, 0.587, 0.114)  # ITU-R BT.601


def _grey(images: Tensor, owner: str) -> Tensor:
    """How bright each pixel is, (B, H, W, 1)."""
    check_channels(images, (1, 3), owner=owner)
    if images.shape[-1] == 1:
        return images
    return (images * images.new_tensor(_LUMA)).sum(-1, keepdim=True)


@register_layer("RandomBrightness")
class RandomBrightness(ColourAugmentation):
    """Make each picture brighter or darker: y = x + factor (high - low), held in the range.

    Args:
        factor: In [-1, 1]: f means (-f, f), a pair its bounds; 1 makes every pixel white.
        value_range: Black and white of the pictures: (0, 255) or (0, 1).
        seed: Makes the draws of this layer its own; None: torch's generator.
        data_format: "channels_last" (default) or "channels_first".
    Shape: (B, H, W, C) -> (B, H, W, C); a single picture (H, W, C) may be given too.
    Raises: ArgumentError: a factor outside [-1, 1].
    Example:
        >>> from stroma import layers
        >>> layers.RandomBrightness((0.5, 0.5), value_range=(0, 1))(torch.zeros(1, 1, 2, 1)).sum()
        tensor(1.)

    Reference: Keras 3 `keras.layers.RandomBrightness`.
    """

    def __init__(
        self,
        factor: Factor,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        *,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(value_range, seed, data_format, **options)
        self.factor = bounds("factor", factor, owner="RandomBrightness")

    def draw(self, images: Tensor, generator: Generator | None) -> Drawn:
        return (uniform(self.factor, images, generator),)

    def change(self, images: Tensor, *drawn: Any) -> Tensor:
        low, high = self.value_range
        return self.clamped(images + each(drawn[0], images) * (high - low))


@register_layer("RandomContrast")
class RandomContrast(ColourAugmentation):
    """Pull each channel of each picture away from its mean, or towards it.

    y = mean + factor (x - mean), held in the range, factor in [1 - lower, 1 + upper].

    Args:
        factor: One number in [0, 1] for both lower and upper, or the pair (lower, upper).
        value_range: Black and white of the pictures: (0, 255) or (0, 1).
        seed: Makes the draws of this layer its own; None: torch's generator.
        data_format: "channels_last" (default) or "channels_first".
    Shape: (B, H, W, C) -> (B, H, W, C); a single picture (H, W, C) may be given too.
    Raises: ArgumentError: a factor outside [0, 1].
    Example:
        >>> from stroma import layers
        >>> layers.RandomContrast(0.2)(torch.rand(4, 8, 8, 3)).shape
        torch.Size([4, 8, 8, 3])

    Reference: Keras 3 `keras.layers.RandomContrast`, whose single number is the upper one alone,
        so that it never lowers contrast; here, as its documentation says, it is both.
    """

    def __init__(
        self,
        factor: Factor,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        *,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(value_range, seed, data_format, **options)
        low, high = bounds("factor", factor, owner="RandomContrast", lowest=0)
        self.factor = abs(low), high

    def draw(self, images: Tensor, generator: Generator | None) -> Drawn:
        lower, upper = self.factor
        return (uniform((1 - lower, 1 + upper), images, generator),)

    def change(self, images: Tensor, *drawn: Any) -> Tensor:
        mean = images.mean((1, 2), keepdim=True)
        return self.clamped((images - mean) * each(drawn[0], images) + mean)


@register_layer("RandomSaturation")
class RandomSaturation(ColourAugmentation):
    """Make the colours of each picture stronger or weaker.

    The saturation, in the space of hue, saturation and value, is multiplied by
    factor / (1 - factor) and held in [0, 1].

    Args:
        factor: 0 is grey, 0.5 changes nothing, 1 is full colour: f means (0, f), a pair in
            [-1, 1] its bounds (below 0 is grey too).
        value_range: Black and white of the pictures: (0, 255) or (0, 1).
        data_format: "channels_last" (default) or "channels_first".
        seed: Makes the draws of this layer its own; None: torch's generator.
    Shape: (B, H, W, 3) -> (B, H, W, 3); a single picture (H, W, 3) may be given too.
    Raises: ArgumentError: a factor outside [-1, 1]; ShapeError: not three channels.
    Example:
        >>> from stroma import layers
        >>> x = torch.tensor([200.0, 100.0, 100.0]).reshape(1, 1, 1, 3)
        >>> layers.RandomSaturation((0, 0))(x).flatten()
        tensor([200., 200., 200.])

    Reference: Keras 3 `keras.layers.RandomSaturation`. There a single f means (-f, f), half of
        which is grey, against its documentation, and the saturation is held in `value_range`,
        which with (0, 255) lets colours leave it.
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
        self.factor = bounds("factor", factor, owner="RandomSaturation", symmetric=False)

    def draw(self, images: Tensor, generator: Generator | None) -> Drawn:
        factor = uniform(self.factor, images, generator)
        return (factor / (1 - factor + 1e-7),)

    def change(self, images: Tensor, *drawn: Any) -> Tensor:
        check_channels(images, (3,), owner="RandomSaturation")
        low, high = self.value_range
        hue, saturation, value = rgb_to_hsv((images - low) / (high - low)).unbind(-1)
        stronger = (saturation * each(drawn[0], images).squeeze(-1)).clamp(0, 1)
        return hsv_to_rgb(torch.stack([hue, stronger, value], -1)) * (high - low) + low


@register_layer("RandomHue")
class RandomHue(ColourAugmentation):
    """Turn the colours of each picture around the circle of hues, either way.

    Args:
        factor: Turn as a part of half the circle, in [0, 1]: f means (0, f), a pair its bounds.
        value_range: Black and white of the pictures: (0, 255) or (0, 1).
        data_format: "channels_last" (default) or "channels_first".
        seed: Makes the draws of this layer its own; None: torch's generator.
    Shape: (B, H, W, 3) -> (B, H, W, 3); a single picture (H, W, 3) may be given too.
    Raises: ArgumentError: a factor outside [0, 1]; ShapeError: not three channels.
    Example:
        >>> from stroma import layers
        >>> red = torch.tensor([255.0, 0.0, 0.0]).reshape(1, 1, 1, 3)
        >>> layers.RandomHue((1, 1))(red).flatten()  # half the circle: its complement
        tensor([  0., 255., 255.])

    Reference: Keras 3 `keras.layers.RandomHue`.
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
        self.factor = bounds("factor", factor, owner="RandomHue", lowest=0, symmetric=False)

    def draw(self, images: Tensor, generator: Generator | None) -> Drawn:
        turn = uniform(self.factor, images, generator) * 0.5
        return (torch.where(uniform((-1, 1), images, generator) < 0, -turn, turn),)

    def change(self, images: Tensor, *drawn: Any) -> Tensor:
        check_channels(images, (3,), owner="RandomHue")
        low, high = self.value_range
        hue, saturation, value = rgb_to_hsv((images - low) / (high - low)).unbind(-1)
        turned = hue + each(drawn[0], images).squeeze(-1)  # of a circle: what follows wraps it
        colours = hsv_to_rgb(torch.stack([turned, saturation, value], -1))
        return colours.clamp(0, 1) * (high - low) + low


@register_layer("RandomGrayscale")
class RandomGrayscale(Augmentation):
    """Make some pictures grey, with as many channels as before.

    y = 0.2989 red + 0.587 green + 0.114 blue, in each channel.

    Args:
        factor: Probability, in [0, 1].
        data_format: "channels_last" (default) or "channels_first".
        seed: Makes the draws of this layer its own; None: torch's generator.
    Shape: (B, H, W, 3) -> (B, H, W, 3); a single picture (H, W, 3) may be given too.
    Raises: ArgumentError: a factor outside [0, 1]; ShapeError: neither one nor three channels.
    Example:
        >>> from stroma import layers
        >>> layers.RandomGrayscale(1.0)(torch.ones(1, 1, 1, 3)).flatten()
        tensor([0.9999, 0.9999, 0.9999])

    Reference: Keras 3 `keras.layers.RandomGrayscale`.
    """

    def __init__(
        self,
        factor: float = 0.5,
        data_format: str | None = None,
        seed: int | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed, data_format, **options)
        self.factor = check_number("factor", factor, owner="RandomGrayscale", minimum=0, maximum=1)

    def draw(self, images: Tensor, generator: Generator | None) -> Drawn:
        return (chosen((self.factor, self.factor), images, generator),)

    def change(self, images: Tensor, *drawn: Any) -> Tensor:
        return torch.where(each(drawn[0], images), _grey(images, "RandomGrayscale"), images)


@register_layer("RandomColorDegeneration")
class RandomColorDegeneration(ColourAugmentation):
    """Take colour out of each picture: y = x + factor (grey - x), held in the range.

    Args:
        factor: 0 changes nothing, 1 is grey: f means (0, f), a pair in [-1, 1] its bounds (below
            0 colours get stronger).
        value_range: Black and white of the pictures: (0, 255) or (0, 1).
        data_format: "channels_last" (default) or "channels_first".
        seed: Makes the draws of this layer its own; None: torch's generator.
    Shape: (B, H, W, 3) -> (B, H, W, 3); a single picture (H, W, 3) may be given too.
    Raises: ArgumentError: a factor outside [-1, 1]; ShapeError: neither one nor three channels.
    Example:
        >>> from stroma import layers
        >>> x = torch.tensor([100.0, 0.0, 0.0]).reshape(1, 1, 1, 3)
        >>> layers.RandomColorDegeneration((0.5, 0.5))(x).flatten()
        tensor([64.9450, 14.9450, 14.9450])

    Reference: Keras 3 `keras.layers.RandomColorDegeneration`. There a single f means (-f, f);
        here (0, f), as its documentation says.
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
        self.factor = bounds("factor", factor, owner="RandomColorDegeneration", symmetric=False)

    def draw(self, images: Tensor, generator: Generator | None) -> Drawn:
        return (uniform(self.factor, images, generator),)

    def change(self, images: Tensor, *drawn: Any) -> Tensor:
        grey = _grey(images, "RandomColorDegeneration")
        return self.clamped(images + each(drawn[0], images) * (grey - images))


@register_layer("RandomInvert")
class RandomInvert(ColourAugmentation):
    """Turn some pictures into their negatives: y = low + high - x.

    Args:
        factor: Probability, itself drawn for each picture: f means between 0 and f (so 1.0
            inverts every second picture), a pair in [0, 1] its bounds ((1, 1): every picture).
        value_range: Black and white of the pictures: (0, 255) or (0, 1).
        seed: Makes the draws of this layer its own; None: torch's generator.
        data_format: "channels_last" (default) or "channels_first".
    Shape: (B, H, W, C) -> (B, H, W, C); a single picture (H, W, C) may be given too.
    Raises: ArgumentError: a factor outside [0, 1].
    Example:
        >>> from stroma import layers
        >>> layers.RandomInvert((1, 1))(torch.zeros(1, 1, 1, 3)).flatten()
        tensor([255., 255., 255.])

    Reference: Keras 3 `keras.layers.RandomInvert`; it leaves `low` out, which is 0 in most ranges.
    """

    def __init__(
        self,
        factor: Factor = 1.0,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(value_range, seed, data_format, **options)
        self.factor = bounds("factor", factor, owner="RandomInvert", lowest=0, symmetric=False)

    def draw(self, images: Tensor, generator: Generator | None) -> Drawn:
        return (chosen(self.factor, images, generator),)

    def change(self, images: Tensor, *drawn: Any) -> Tensor:
        low, high = self.value_range
        return torch.where(each(drawn[0], images), low + high - images, images)


@register_layer("RandomColorJitter")
class RandomColorJitter(ColourAugmentation):
    """Brightness, contrast, saturation and hue at random, in this order; None leaves one out.

    Args:
        value_range: Black and white of the pictures: (0, 255) or (0, 1).
        brightness_factor, contrast_factor, saturation_factor, hue_factor: As for
            `RandomBrightness`, `RandomContrast`, `RandomSaturation` and `RandomHue`.
        seed: Makes the draws of this layer its own; None: torch's generator.
        data_format: "channels_last" (default) or "channels_first".
    Shape: (B, H, W, 3) -> (B, H, W, 3); a single picture (H, W, 3) may be given too.
    Raises: ArgumentError: a factor outside its range.
    Example:
        >>> from stroma import layers
        >>> jitter = layers.RandomColorJitter(brightness_factor=0.2, hue_factor=0.1)
        >>> jitter(torch.rand(4, 8, 8, 3)).shape
        torch.Size([4, 8, 8, 3])

    Reference: Keras 3 `keras.layers.RandomColorJitter`.
    """

    def __init__(
        self,
        value_range: Sequence[float] = (0, 255),
        brightness_factor: Factor | None = None,
        contrast_factor: Factor | None = None,
        saturation_factor: Factor | None = None,
        hue_factor: Factor | None = None,
        seed: int | None = None,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(value_range, seed, data_format, **options)
        kinds = (
            (RandomBrightness, brightness_factor),
            (RandomContrast, contrast_factor),
            (RandomSaturation, saturation_factor),
            (RandomHue, hue_factor),
        )
        self._parts = [kind(factor, value_range) for kind, factor in kinds if factor is not None]

    def draw(self, images: Tensor, generator: Generator | None) -> Drawn:
        return tuple(part.draw(images, generator) for part in self._parts)

    def change(self, images: Tensor, *drawn: Any) -> Tensor:
        for part, its_draw in zip(self._parts, drawn):
            images = part.change(images, *its_draw)
        return images
