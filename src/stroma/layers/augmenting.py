"""What augmentations share: a whole batch at once, on its device, each picture by its own draw.

As in Keras, a layer called on its own augments (it is born in training mode); in a model the
model's `training` decides. In `fit` the draws are a function of (seed, step, rank). Pictures come
out in the layer's dtype, float32 unless told otherwise; `dtype="uint8"` keeps bytes bytes. What
calculates with pixels does so in at least float32.

A dictionary with "images" and "labels" comes back as one, as in Keras. Bounding boxes and
segmentation masks are not moved along: a dictionary that holds some is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias, Unpack

import torch
from torch import Generator, Tensor

from stroma.core.checks import check_int, check_number
from stroma.core.errors import ArgumentError, DataError, ShapeError
from stroma.core.layer import Layer, LayerOptions
from stroma.core.seeds import Draws
from stroma.functional.geometry import to_dtype
from stroma.layers.arguments import check_data_format
from stroma.layers.pictures import as_pictures

Factor: TypeAlias = float | Sequence[float]
Range: TypeAlias = tuple[float, float]
Drawn: TypeAlias = tuple[Any, ...]  # tensors whose first axis is the batch


class Augmentation(Layer):
    """Subclasses say what is drawn for (B, H, W, C) pictures and how the draw changes them."""

    receptive: Any = None
    calculates = True  # False where pixels only move: then their dtype is kept
    always = False  # True for what Keras does in inference too

    def __init__(
        self, seed: int | None, data_format: str | None, **options: Unpack[LayerOptions]
    ) -> None:
        super().__init__(**options)
        owner = type(self).__name__
        self.seed = None if seed is None else check_int("seed", seed, owner=owner)
        self.data_format = check_data_format(data_format, owner=owner)
        self._draws = Draws(self.seed)
        self.training = True

    def call(self, inputs: Any, training: bool = True) -> Any:
        named = isinstance(inputs, dict)
        if named:
            self._check_keys(inputs)
        given = inputs["images"] if named else inputs
        images, restore = as_pictures(given, self.data_format, owner=type(self).__name__)
        drawn: Drawn | None = None
        if training or self.always:
            drawn = self.draw(images, self._draws.generator(images.device))
            images = self.change(self._prepared(images), *drawn)
        else:
            images = self.leave(images)
        pictures = restore(to_dtype(images, self._compute_dtype))
        if not named:
            return pictures
        answer = {**inputs, "images": pictures}
        if drawn is not None and "labels" in inputs:
            answer["labels"] = self.change_labels(inputs["labels"], *drawn)
        return answer

    def _check_keys(self, inputs: dict[str, Any]) -> None:
        owner = type(self).__name__
        for key in ("bounding_boxes", "segmentation_masks"):
            if key in inputs:
                raise DataError(
                    f"{owner}: the dictionary holds {key!r}",
                    where=f"{owner}: input",
                    why="it moves pictures and labels only, and would leave these out of place",
                    fix='layer({"images": images, "labels": labels})',
                )
        if "images" not in inputs:
            raise DataError(
                f"{owner}: the dictionary has no 'images', only {sorted(inputs)}",
                where=f"{owner}: input",
                why="the pictures to change are looked up under this name",
                fix='layer({"images": images, "labels": labels})',
            )

    def _prepared(self, images: Tensor) -> Tensor:
        if not self.calculates:
            return images
        double = torch.float64 in (images.dtype, self._compute_dtype)
        return images.to(torch.float64 if double else torch.float32)

    def draw(self, images: Tensor, generator: Generator | None) -> Drawn:
        """The random numbers of one call, each tensor with the batch as its first axis."""
        return ()

    def change(self, images: Tensor, *drawn: Any) -> Tensor:
        """The pictures as the draw changes them."""
        raise NotImplementedError

    def change_labels(self, labels: Tensor, *drawn: Any) -> Tensor:
        """The labels of the changed pictures."""
        return labels

    def leave(self, images: Tensor) -> Tensor:
        """The pictures in inference."""
        return images


class ColourAugmentation(Augmentation):
    """Augmentations of colours, which must know between which values these lie."""

    def __init__(
        self,
        value_range: Sequence[float],
        seed: int | None,
        data_format: str | None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed, data_format, **options)
        self.value_range = check_value_range(value_range, owner=type(self).__name__)

    def clamped(self, images: Tensor) -> Tensor:
        """Inside the value range."""
        return images.clamp(*self.value_range)


def check_value_range(value_range: Sequence[float], *, owner: str) -> Range:
    """Two numbers in order, that differ."""
    if isinstance(value_range, (list, tuple)) and len(value_range) == 2:
        low, high = sorted(check_number("value_range", v, owner=owner) for v in value_range)
        if low < high:
            return low, high
    raise ArgumentError(
        f"{owner}: value_range must be two numbers that differ, got {value_range!r}",
        where=f"{owner}(value_range=...)",
        why="it says which values are black and white",
        fix=f"{owner}(value_range=(0, 255)), or (0, 1)",
    )


def bounds(
    name: str,
    factor: Factor,
    *,
    owner: str,
    lowest: float = -1.0,
    highest: float = 1.0,
    symmetric: bool = True,
) -> Range:
    """A pair in order; one number f as (-f, f) where symmetric, else from 0 (or `lowest`) to f."""
    if isinstance(factor, (list, tuple)) and len(factor) != 2:
        raise ArgumentError(
            f"{owner}: {name} must be a number or two, got {factor!r}",
            where=f"{owner}({name}=...)",
            why="two numbers are the bounds of the draw",
            fix=f"{owner}({name}=({max(lowest, -0.1):g}, {max(lowest, 0.1):g}))",
        )

    def checked(bound: float) -> float:
        return check_number(name, bound, owner=owner, minimum=lowest, maximum=highest)

    if isinstance(factor, (list, tuple)):
        low, high = sorted(checked(bound) for bound in factor)
        return low, high
    high = abs(checked(factor))  # type: ignore[arg-type]  # a sequence that is neither raises
    # below `lowest` only so, as in Keras: RandomZoom(1.0)
    return (-high if symmetric else max(0.0, lowest)), high


def uniform(bounds: Range, images: Tensor, generator: Generator | None, *shape: int) -> Tensor:
    """Numbers between the bounds for each picture, (B, *shape)."""
    empty = torch.empty(len(images), *shape, dtype=torch.float32, device=images.device)
    return empty.uniform_(*bounds, generator=generator)


def chosen(probability: Range, images: Tensor, generator: Generator | None) -> Tensor:
    """Which pictures are changed, (B,), each with a probability drawn between the bounds."""
    odds = uniform(probability, images, generator)
    return torch.rand(len(images), device=images.device, generator=generator) < odds


def each(values: Tensor, images: Tensor) -> Tensor:
    """(B,) as (B, 1, 1, 1), to meet pictures; floats in the dtype of the pictures."""
    values = values.to(images.dtype) if values.is_floating_point() else values
    return values.reshape(-1, *[1] * (images.dim() - 1))


def check_channels(images: Tensor, allowed: tuple[int, ...], *, owner: str) -> None:
    """Refuse pictures without red, green and blue where these are needed."""
    if images.shape[-1] not in allowed:
        counts = " or ".join(str(count) for count in allowed)
        raise ShapeError(
            f"{owner}: pictures have {images.shape[-1]} channels, not {counts}",
            where=f"{owner}: input",
            why="it mixes red, green and blue",
            fix="give pictures (B, H, W, 3)",
        )
