"""Larger and smaller pictures without weights: repeating, padding, cropping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import torch.nn.functional as F
from torch import Tensor

from stroma.core.axes import Shape, shape_text
from stroma.core.checks import check_choice, check_int, check_tuple
from stroma.core.errors import ArgumentError, ShapeError
from stroma.core.layer import Layer, LayerOptions
from stroma.functional.resizing import RESIZE_INTERPOLATIONS, resize
from stroma.layers.arguments import (
    DataFormat,
    Pairs,
    Sizes,
    check_data_format,
    check_spatial_rank,
    spatial_sizes,
)
from stroma.layers.registry import register_layer


@register_layer("UpSampling2D")
class UpSampling2D(Layer):
    """Pictures larger by whole factors.

    Args:
        size: Factors of height and width, one number or two, >= 1.
        data_format: `"channels_last"` (the default) or `"channels_first"`.
        interpolation: `"nearest"` repeats pixels; `"bilinear"`, `"bicubic"`, `"lanczos3"` and
            `"lanczos5"` draw smooth surfaces through them.
    Shape: (B, H, W, C) -> (B, size * H, size * W, C)
    Raises: ShapeError: not four axes.
    Example:
        >>> UpSampling2D(2)(torch.tensor([[1.0, 2.0]]).view(1, 1, 2, 1)).flatten()
        tensor([1., 1., 2., 2., 1., 1., 2., 2.])

    Reference: Keys 1981 for bicubic (a = -0.5, as in TensorFlow and JAX; torch's own has -0.75).
    """

    receptive = "unknown"

    def __init__(
        self,
        size: Sizes = (2, 2),
        data_format: DataFormat | None = None,
        interpolation: str = "nearest",
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.size = check_tuple("size", size, 2, owner="UpSampling2D")
        self.data_format = check_data_format(data_format, owner="UpSampling2D")
        self.interpolation = check_choice(
            "interpolation",
            interpolation.lower(),
            RESIZE_INTERPOLATIONS,
            owner="UpSampling2D",
        )

    def build(self, input_shape: Shape) -> None:
        check_spatial_rank(input_shape, 2, self.data_format, owner="UpSampling2D")

    def call(self, inputs: Tensor) -> Tensor:
        first = self.data_format == "channels_first"
        x = inputs.permute(0, 2, 3, 1) if first else inputs  # (B, H, W, C)
        size = (x.shape[1] * self.size[0], x.shape[2] * self.size[1])
        y = resize(x, size, self.interpolation)  # (B, H', W', C)
        return y.permute(0, 3, 1, 2) if first else y


def _pairs(name: str, value: Pairs, *, owner: str) -> tuple[tuple[int, int], ...]:
    """One number, one per axis, or (before, after) per axis, as (before, after) per axis."""
    axes = value if isinstance(value, Sequence) else (value, value)
    if len(axes) != 2:
        raise ArgumentError(
            f"{owner}: {name} must be one number, two, or two pairs, got {value!r}",
            where=f"{owner}({name}=...)",
            why="a picture has two spatial axes",
            fix=f"{owner}({name}=((top, bottom), (left, right)))",
        )
    pairs = []
    for axis in axes:
        if isinstance(axis, Sequence):
            before, after = check_tuple(name, axis, 2, owner=owner, minimum=0)
        else:
            before = after = check_int(name, axis, owner=owner, minimum=0)
        pairs.append((before, after))
    return tuple(pairs)


@register_layer("ZeroPadding2D")
class ZeroPadding2D(Layer):
    """Zeros around each picture.

    Args:
        padding: Pixels to add: one number for all sides, (height, width) for both sides of each,
            or ((top, bottom), (left, right)); >= 0.
        data_format: `"channels_last"` (the default) or `"channels_first"`.
    Shape: (B, H, W, C) -> (B, top + H + bottom, left + W + right, C)
    Raises: ShapeError: not four axes.
    Example:
        >>> ZeroPadding2D(((1, 0), (2, 0)))(torch.ones(1, 4, 4, 3)).shape
        torch.Size([1, 5, 6, 3])
    """

    receptive = None

    def __init__(
        self,
        padding: Pairs = (1, 1),
        data_format: DataFormat | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.padding = _pairs("padding", padding, owner="ZeroPadding2D")
        self.data_format = check_data_format(data_format, owner="ZeroPadding2D")

    def build(self, input_shape: Shape) -> None:
        check_spatial_rank(input_shape, 2, self.data_format, owner="ZeroPadding2D")

    def call(self, inputs: Tensor) -> Tensor:
        (top, bottom), (left, right) = self.padding
        around = [left, right, top, bottom]  # torch counts from the last axis
        return F.pad(inputs, [0, 0, *around] if self.data_format == "channels_last" else around)


@register_layer("Cropping2D")
class Cropping2D(Layer):
    """The inner part of each picture.

    Args:
        cropping: Pixels to take away: one number for all sides, (height, width) for both sides of
            each, or ((top, bottom), (left, right)); >= 0.
        data_format: `"channels_last"` (the default) or `"channels_first"`.
    Shape: (B, H, W, C) -> (B, H - top - bottom, W - left - right, C)
    Raises: ShapeError: not four axes, or nothing is left.
    Example:
        >>> Cropping2D(1)(torch.ones(1, 4, 4, 3)).shape
        torch.Size([1, 2, 2, 3])
    """

    receptive = None

    def __init__(
        self,
        cropping: Pairs = ((0, 0), (0, 0)),
        data_format: DataFormat | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.cropping = _pairs("cropping", cropping, owner="Cropping2D")
        self.data_format = check_data_format(data_format, owner="Cropping2D")

    def build(self, input_shape: Shape) -> None:
        check_spatial_rank(input_shape, 2, self.data_format, owner="Cropping2D")
        for size, ends in zip(spatial_sizes(input_shape, self.data_format), self.cropping):
            if size is not None and sum(ends) >= size:
                raise ShapeError(
                    f"Cropping2D({self.cropping}) leaves nothing of {shape_text(input_shape)}",
                    where=f"layer {self.name!r}",
                    why=f"{ends[0]} + {ends[1]} is taken from an axis of {size}",
                    fix=f"take less than {size} from it",
                )

    def call(self, inputs: Tensor) -> Tensor:
        (top, bottom), (left, right) = self.cropping
        first = 1 if self.data_format == "channels_last" else 2
        height, width = inputs.shape[first], inputs.shape[first + 1]
        # a view: what follows reads the inner part in place
        rows = inputs.narrow(first, top, height - top - bottom)
        return rows.narrow(first + 1, left, width - left - right)
