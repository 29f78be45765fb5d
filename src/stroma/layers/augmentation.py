"""Random changes of pictures in training: a whole batch at once, on its device, each picture by
its own draw.

As in Keras, a layer called on its own augments (it is born in training mode); in a model the
model's `training` decides. In `fit` the draws are a function of (seed, step, rank). Pictures come
out in the layer's dtype, float32 unless told otherwise; `dtype="uint8"` keeps bytes bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias, Unpack

import torch
from torch import Generator, Tensor

from stroma.core.checks import check_choice, check_int, check_number, check_positive_int
from stroma.core.errors import ArgumentError
from stroma.core.layer import Layer, LayerOptions
from stroma.core.seeds import Draws
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
from stroma.layers.arguments import check_data_format
from stroma.layers.pictures import as_pictures
from stroma.layers.registry import register_layer

Factor: TypeAlias = float | Sequence[float]  # f means (-f, f)
FlipMode: TypeAlias = Literal["horizontal", "vertical", "horizontal_and_vertical"]


class _Augmentation(Layer):
    """What augmentations share: subclasses say what happens to (B, H, W, C) pictures."""

    receptive: str | None = None

    def __init__(
        self, seed: int | None, data_format: str | None, **options: Unpack[LayerOptions]
    ) -> None:
        super().__init__(**options)
        owner = type(self).__name__
        self.seed = None if seed is None else check_int("seed", seed, owner=owner)
        self.data_format = check_data_format(data_format, owner=owner)
        self._draws = Draws(self.seed)
        self.training = True

    def call(self, inputs: Tensor, training: bool = True) -> Tensor:
        images, restore = as_pictures(inputs, self.data_format, owner=type(self).__name__)
        if training:
            images = self.augment(images, self._draws.generator(images.device))
        else:
            images = self.leave(images)
        return restore(images.to(self._compute_dtype))

    def augment(self, images: Tensor, generator: Generator | None) -> Tensor:
        """What happens in training."""
        raise NotImplementedError

    def leave(self, images: Tensor) -> Tensor:
        """What happens in inference."""
        return images


class _Affine(_Augmentation):
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

    def augment(self, images: Tensor, generator: Generator | None) -> Tensor:
        matrices = self.matrices(images, generator)
        images = images.to(self._compute_dtype)  # before it, so that floats are not rounded
        return affine(images, matrices, self.fill_mode, self.interpolation, self.fill_value)

    def matrices(self, images: Tensor, generator: Generator | None) -> Tensor:
        """Where each output pixel comes from, (B, 2, 3)."""
        raise NotImplementedError


@register_layer("RandomFlip")
class RandomFlip(_Augmentation):
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

    def augment(self, images: Tensor, generator: Generator | None) -> Tensor:
        for axis, name in ((2, "horizontal"), (1, "vertical")):
            if name in self.mode:
                draw = torch.rand(len(images), device=images.device, generator=generator)
                images = flip(images, draw < 0.5, axis)
        return images


@register_layer("RandomCrop")
class RandomCrop(_Augmentation):
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

    def augment(self, images: Tensor, generator: Generator | None) -> Tensor:
        batch, height, width, _ = images.shape
        if height < self.height or width < self.width:
            return self.leave(images)
        top, left = (
            torch.randint(room + 1, (batch,), device=images.device, generator=generator)
            for room in (height - self.height, width - self.width)
        )
        return crop(images, top, left, self.height, self.width)

    def leave(self, images: Tensor) -> Tensor:
        size = (self.height, self.width)
        images = crop_to_aspect(images, size)
        if images.shape[1:3] == size:
            return images
        return resize(images.to(self._compute_dtype), size)


@register_layer("RandomRotation")
class RandomRotation(_Affine):
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
        self.factor = _bounds("factor", factor, owner="RandomRotation")

    def matrices(self, images: Tensor, generator: Generator | None) -> Tensor:
        turns = _uniform(self.factor, images, generator)
        return rotation_matrices(turns * (2 * math.pi), images.shape[1], images.shape[2])


@register_layer("RandomZoom")
class RandomZoom(_Affine):
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
        self.height_factor = _bounds("height_factor", height_factor, owner=owner, open_below=True)
        self.width_factor = (
            None
            if width_factor is None
            else _bounds("width_factor", width_factor, owner=owner, open_below=True)
        )

    def matrices(self, images: Tensor, generator: Generator | None) -> Tensor:
        rows = 1 + _uniform(self.height_factor, images, generator)
        columns = (
            rows
            if self.width_factor is None
            else 1 + _uniform(self.width_factor, images, generator)
        )
        return zoom_matrices(rows, columns, images.shape[1], images.shape[2])


@register_layer("RandomTranslation")
class RandomTranslation(_Affine):
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
        self.height_factor = _bounds("height_factor", height_factor, owner=owner)
        self.width_factor = _bounds("width_factor", width_factor, owner=owner)

    def matrices(self, images: Tensor, generator: Generator | None) -> Tensor:
        down = _uniform(self.height_factor, images, generator) * images.shape[1]
        right = _uniform(self.width_factor, images, generator) * images.shape[2]
        return translation_matrices(down, right)


def _bounds(
    name: str, factor: Factor, *, owner: str, open_below: bool = False
) -> tuple[float, float]:
    """f as (-f, f), a pair in order; each in [-1, 1], or in (-1, 1] with `open_below`."""
    if isinstance(factor, (list, tuple)) and len(factor) != 2:
        raise ArgumentError(
            f"{owner}: {name} must be a number or two, got {factor!r}",
            where=f"{owner}({name}=...)",
            why="two numbers are the bounds of the draw",
            fix=f"{owner}({name}=(-0.1, 0.1))",
        )
    lowest = math.nextafter(-1, 0) if open_below else -1.0

    def checked(bound: float) -> float:
        return check_number(name, bound, owner=owner, minimum=lowest, maximum=1)

    if isinstance(factor, (list, tuple)):
        low, high = sorted(checked(bound) for bound in factor)
    else:
        high = abs(checked(factor))  # type: ignore[arg-type]  # a sequence that is neither raises
        low = -high  # -1 is reached only so, as in Keras: RandomZoom(1.0)
    return low, high


def _uniform(bounds: tuple[float, float], images: Tensor, generator: Generator | None) -> Tensor:
    """One number between the bounds for each picture, (B,)."""
    empty = torch.empty(len(images), dtype=torch.float32, device=images.device)
    return empty.uniform_(*bounds, generator=generator)
