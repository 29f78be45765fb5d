"""Random flips, crops, rotations, zooms, translations: pictures moved, not recoloured."""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias, Unpack

import torch
from torch import Generator, Tensor

from stroma.core.checks import check_choice, check_number, check_positive_int
from stroma.core.layer import LayerOptions
from stroma.functional.geometry import (
    AFFINE_INTERPOLATIONS,
    FILL_MODES,
    affine,
    crop,
    flip,
    rotation_matrices,
    translation_matrices,
    zoom_matrices,
)
from stroma.functional.resizing import crop_to_aspect, resize
from stroma.layers.augmenting import Augmentation, Drawn, Factor, bounds, uniform
from stroma.layers.registry import register_layer

_ABOVE = math.nextafter(-1, 0)  # a zoom by -1 would show nothing

FlipMode: TypeAlias = Literal["horizontal", "vertical", "horizontal_and_vertical"]


class Affine(Augmentation):
    """Augmentations that are an affine map: subclasses draw the matrices."""

    def __init__(
        self,
        fill_mode: str,
        interpolation: str,
        seed: int | None,
        fill_value: float,
        data_format: str | None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed, data_format, **options)
        owner = type(self).__name__
        self.fill_mode = check_choice("fill_mode", fill_mode, FILL_MODES, owner=owner)
        self.interpolation = check_choice(
            "interpolation", interpolation, AFFINE_INTERPOLATIONS, owner=owner
        )
        self.fill_value = check_number("fill_value", fill_value, owner=owner)

    def draw(self, images: Tensor, generator: Generator | None) -> Drawn:
        return (self.matrices(images, generator),)

    def change(self, images: Tensor, *drawn: Any) -> Tensor:
        return affine(images, drawn[0], self.fill_mode, self.interpolation, self.fill_value)

    def matrices(self, images: Tensor, generator: Generator | None) -> Tensor:
        """Where each output pixel comes from, (B, 2, 3)."""
        raise NotImplementedError


@register_layer("RandomFlip")
class RandomFlip(Augmentation):
    """Mirror each picture with probability 1/2.

    Args:
        mode: "horizontal" (left-right), "vertical" (top-bottom) or "horizontal_and_vertical"
            (each with its own draw).
        seed: Makes the draws of this layer its own; None: torch's generator.
        data_format: "channels_last" (default) or "channels_first".
    Shape: (B, H, W, C) -> (B, H, W, C); a single picture (H, W, C) may be given too.
    Raises: ArgumentError: an unknown mode.
    Example:
        >>> from stroma import layers
        >>> x = torch.tensor([1.0, 2.0]).reshape(1, 1, 2, 1)
        >>> layers.RandomFlip("horizontal")(x).flatten().tolist() in ([1.0, 2.0], [2.0, 1.0])
        True

    Reference: Keras 3 `keras.layers.RandomFlip`, which in "horizontal_and_vertical" flips a
        picture along both axes or along none; here, as its documentation says, each by itself.
    """

    calculates = False

    def __init__(
        self,
        mode: FlipMode = "horizontal_and_vertical",
        seed: int | None = None,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed, data_format, **options)
        modes: tuple[FlipMode, ...] = ("horizontal", "vertical", "horizontal_and_vertical")
        self.mode = check_choice("mode", mode, modes, owner="RandomFlip")

    def _axes(self) -> list[int]:
        return [axis for axis, name in ((2, "horizontal"), (1, "vertical")) if name in self.mode]

    def draw(self, images: Tensor, generator: Generator | None) -> Drawn:
        return tuple(
            torch.rand(len(images), device=images.device, generator=generator) < 0.5
            for _ in self._axes()
        )

    def change(self, images: Tensor, *drawn: Any) -> Tensor:
        for axis, which in zip(self._axes(), drawn):
            images = flip(images, which, axis)
        return images


@register_layer("RandomCrop")
class RandomCrop(Augmentation):
    """Cut a window of a fixed size out of each picture, at a random place.

    In inference, and where a picture is smaller than the window, the largest centred window of
    the same aspect ratio is taken and resized (bilinear).

    Args:
        height, width: Size of the window in pixels, >= 1.
        seed: Makes the draws of this layer its own; None: torch's generator.
        data_format: "channels_last" (default) or "channels_first".
    Shape: (B, H, W, C) -> (B, height, width, C); a single picture (H, W, C) may be given too.
    Raises: ArgumentTypeError: a size is not a whole number.
    Example:
        >>> from stroma import layers
        >>> layers.RandomCrop(32, 32)(torch.zeros(8, 40, 40, 3)).shape
        torch.Size([8, 32, 32, 3])

    Reference: Keras 3 `keras.layers.RandomCrop`, which cuts a whole batch at one place; here each
        picture has its own. Keras 3.15 returns pictures uncut in inference and does not cut to
        the aspect ratio before it enlarges; here both are as its documentation says.
    """

    calculates = False
    receptive = "unknown"

    def __init__(
        self,
        height: int,
        width: int,
        seed: int | None = None,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed, data_format, **options)
        self.height = check_positive_int("height", height, owner="RandomCrop")
        self.width = check_positive_int("width", width, owner="RandomCrop")

    def draw(self, images: Tensor, generator: Generator | None) -> Drawn:
        batch, height, width, _ = images.shape
        rooms = (height - self.height, width - self.width)
        if min(rooms) < 0:
            return ()
        return tuple(
            torch.randint(room + 1, (batch,), device=images.device, generator=generator)
            for room in rooms
        )

    def change(self, images: Tensor, *drawn: Any) -> Tensor:
        if not drawn:
            return self.leave(images)
        top, left = drawn
        return crop(images, top, left, self.height, self.width)

    def leave(self, images: Tensor) -> Tensor:
        size = (self.height, self.width)
        images = crop_to_aspect(images, size)
        if images.shape[1:3] == size:
            return images
        return resize(images.to(self._compute_dtype), size)


@register_layer("RandomRotation")
class RandomRotation(Affine):
    """Turn each picture about its centre by a random angle.

    Args:
        factor: Largest turn as a part of a full one, in [-1, 1]: f means (-f, f), a pair its
            bounds; positive is counter-clockwise. 0.1 turns by up to 36 degrees.
        fill_mode: What appears beyond the edge: "reflect" (b a|a b c|c b), "constant",
            "nearest" (a a|a b c|c c) or "wrap" (b c|a b c|a b).
        interpolation: "bilinear" or "nearest".
        seed: Makes the draws of this layer its own; None: torch's generator.
        fill_value: For "constant", in the units of the pixels.
        data_format: "channels_last" (default) or "channels_first".
    Shape: (B, H, W, C) -> (B, H, W, C); a single picture (H, W, C) may be given too.
    Raises: ArgumentError: a factor outside [-1, 1], an unknown mode.
    Example:
        >>> from stroma import layers
        >>> layers.RandomRotation(0.1)(torch.zeros(4, 8, 8, 3)).shape
        torch.Size([4, 8, 8, 3])

    Reference: Keras 3 `keras.layers.RandomRotation`.
    """

    def __init__(
        self,
        factor: Factor,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **options)
        self.factor = bounds("factor", factor, owner="RandomRotation")

    def matrices(self, images: Tensor, generator: Generator | None) -> Tensor:
        turns = uniform(self.factor, images, generator)
        return rotation_matrices(turns * (2 * math.pi), images.shape[1], images.shape[2])


@register_layer("RandomZoom")
class RandomZoom(Affine):
    """Zoom each picture in or out about its centre.

    Args:
        height_factor: Relative change of the visible height, in (-1, 1]: f means (-f, f), a pair
            its bounds; positive zooms out, negative zooms in.
        width_factor: The same for the width; None: as the height, so that nothing is distorted.
        fill_mode: What appears beyond the edge: "reflect" (b a|a b c|c b), "constant",
            "nearest" (a a|a b c|c c) or "wrap" (b c|a b c|a b).
        interpolation: "bilinear" or "nearest".
        seed: Makes the draws of this layer its own; None: torch's generator.
        fill_value: For "constant", in the units of the pixels.
        data_format: "channels_last" (default) or "channels_first".
    Shape: (B, H, W, C) -> (B, H, W, C); a single picture (H, W, C) may be given too.
    Raises: ArgumentError: a factor outside (-1, 1], an unknown mode.
    Example:
        >>> from stroma import layers
        >>> layers.RandomZoom((-0.2, 0.0))(torch.zeros(4, 8, 8, 3)).shape
        torch.Size([4, 8, 8, 3])

    Reference: Keras 3 `keras.layers.RandomZoom`.
    """

    def __init__(
        self,
        height_factor: Factor,
        width_factor: Factor | None = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **options)
        owner = "RandomZoom"
        self.height_factor = bounds("height_factor", height_factor, owner=owner, lowest=_ABOVE)
        self.width_factor = (
            None
            if width_factor is None
            else bounds("width_factor", width_factor, owner=owner, lowest=_ABOVE)
        )

    def matrices(self, images: Tensor, generator: Generator | None) -> Tensor:
        rows = 1 + uniform(self.height_factor, images, generator)
        columns = (
            rows if self.width_factor is None else 1 + uniform(self.width_factor, images, generator)
        )
        return zoom_matrices(rows, columns, images.shape[1], images.shape[2])


@register_layer("RandomTranslation")
class RandomTranslation(Affine):
    """Shift each picture.

    Args:
        height_factor: Shift as a part of the height, in [-1, 1]: f means (-f, f), a pair its
            bounds; positive shifts down.
        width_factor: Shift as a part of the width; positive shifts to the right.
        fill_mode: What appears beyond the edge: "reflect" (b a|a b c|c b), "constant",
            "nearest" (a a|a b c|c c) or "wrap" (b c|a b c|a b).
        interpolation: "bilinear" or "nearest".
        seed: Makes the draws of this layer its own; None: torch's generator.
        fill_value: For "constant", in the units of the pixels.
        data_format: "channels_last" (default) or "channels_first".
    Shape: (B, H, W, C) -> (B, H, W, C); a single picture (H, W, C) may be given too.
    Raises: ArgumentError: a factor outside [-1, 1], an unknown mode.
    Example:
        >>> from stroma import layers
        >>> layers.RandomTranslation(0.1, 0.1)(torch.zeros(4, 8, 8, 3)).shape
        torch.Size([4, 8, 8, 3])

    Reference: Keras 3 `keras.layers.RandomTranslation`.
    """

    def __init__(
        self,
        height_factor: Factor,
        width_factor: Factor,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **options)
        owner = "RandomTranslation"
        self.height_factor = bounds("height_factor", height_factor, owner=owner)
        self.width_factor = bounds("width_factor", width_factor, owner=owner)

    def matrices(self, images: Tensor, generator: Generator | None) -> Tensor:
        down = uniform(self.height_factor, images, generator) * images.shape[1]
        right = uniform(self.width_factor, images, generator) * images.shape[2]
        return translation_matrices(down, right)
