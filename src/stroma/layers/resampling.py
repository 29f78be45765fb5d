"""Larger and smaller sequences, pictures and volumes without weights: repeat, pad, crop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Unpack

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
    keras_signature,
    spatial_sizes,
)
from stroma.layers.registry import register_layer


class BaseUpSampling(Layer):
    """What up-sampling over `rank` spatial axes shares: numbers repeated."""

    rank: ClassVar[int]
    receptive = "unknown"

    def __init__(
        self,
        size: Sizes = 2,
        data_format: DataFormat | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        owner = type(self).__name__
        self.size = check_tuple("size", size, self.rank, owner=owner)
        self.data_format = check_data_format(data_format, owner=owner)

    def build(self, input_shape: Shape) -> None:
        check_spatial_rank(input_shape, self.rank, self.data_format, owner=type(self).__name__)

    def call(self, inputs: Tensor) -> Tensor:
        first = 1 if self.data_format == "channels_last" else 2
        for axis, factor in enumerate(self.size, start=first):
            inputs = inputs.repeat_interleave(factor, dim=axis) if factor > 1 else inputs
        return inputs


@register_layer("UpSampling1D")
class UpSampling1D(BaseUpSampling):
    """Sequences longer by a whole factor: each step repeated.

    Args:
        size: The factor, >= 1.
    Shape: (B, T, C) -> (B, size * T, C)
    Raises: ShapeError: not three axes.
    Example:
        >>> UpSampling1D(2)(torch.tensor([[1.0], [2.0]])[None]).flatten()
        tensor([1., 1., 2., 2.])
    """

    rank = 1

    def __init__(self, size: Sizes = 2, **options: Unpack[LayerOptions]) -> None:
        super().__init__(size, None, **options)


@register_layer("UpSampling2D")
class UpSampling2D(BaseUpSampling):
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

    rank = 2

    def __init__(
        self,
        size: Sizes = (2, 2),
        data_format: DataFormat | None = None,
        interpolation: str = "nearest",
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(size, data_format, **options)
        self.interpolation = check_choice(
            "interpolation",
            interpolation.lower(),
            RESIZE_INTERPOLATIONS,
            owner="UpSampling2D",
        )

    def call(self, inputs: Tensor) -> Tensor:
        first = self.data_format == "channels_first"
        x = inputs.permute(0, 2, 3, 1) if first else inputs  # (B, H, W, C)
        size = (x.shape[1] * self.size[0], x.shape[2] * self.size[1])
        y = resize(x, size, self.interpolation)  # (B, H', W', C)
        return y.permute(0, 3, 1, 2) if first else y


@register_layer("UpSampling3D")
class UpSampling3D(BaseUpSampling):
    """Volumes larger by whole factors: each voxel repeated.

    Args:
        size: Factors of depth, height and width, one number or three, >= 1.
        data_format: `"channels_last"` (the default) or `"channels_first"`.
    Shape: (B, S, H, W, C) -> (B, size * S, size * H, size * W, C)
    Raises: ShapeError: not five axes.
    Example:
        >>> UpSampling3D((1, 2, 3))(torch.zeros(1, 4, 4, 4, 2)).shape
        torch.Size([1, 4, 8, 12, 2])
    """

    rank = 3
    __init__ = keras_signature(BaseUpSampling.__init__, size=(2, 2, 2))


def _pairs(name: str, value: Pairs, rank: int, *, owner: str) -> tuple[tuple[int, int], ...]:
    """One number, one per axis, or (before, after) per axis, as (before, after) per axis."""
    axes: Sequence[int | Sequence[int]] = value if isinstance(value, Sequence) else (value,) * rank
    if rank == 1 and len(axes) == 2:  # of a sequence two numbers are its two ends
        axes = (check_tuple(name, axes, 2, owner=owner, minimum=0),)
    if len(axes) != rank:
        ends = ("(front, back)", "(top, bottom)", "(left, right)")[-rank:]
        raise ArgumentError(
            f"{owner}: {name} must be one number, {rank}, or {rank} pairs, got {value!r}",
            where=f"{owner}({name}=...)",
            why=f"there are {rank} spatial axes",
            fix=f"{owner}({name}=({', '.join(ends)}))",
        )
    pairs = []
    for axis in axes:
        if isinstance(axis, Sequence):
            before, after = check_tuple(name, axis, 2, owner=owner, minimum=0)
        else:
            before = after = check_int(name, axis, owner=owner, minimum=0)
        pairs.append((before, after))
    return tuple(pairs)


class BaseZeroPadding(Layer):
    """What padding of `rank` spatial axes shares."""

    rank: ClassVar[int]
    receptive = None

    def __init__(
        self,
        padding: Pairs = 1,
        data_format: DataFormat | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        owner = type(self).__name__
        self.padding = _pairs("padding", padding, self.rank, owner=owner)
        self.data_format = check_data_format(data_format, owner=owner)

    def build(self, input_shape: Shape) -> None:
        check_spatial_rank(input_shape, self.rank, self.data_format, owner=type(self).__name__)

    def call(self, inputs: Tensor) -> Tensor:
        around = [end for pair in reversed(self.padding) for end in pair]  # from the last axis on
        return F.pad(inputs, [0, 0, *around] if self.data_format == "channels_last" else around)


@register_layer("ZeroPadding1D")
class ZeroPadding1D(BaseZeroPadding):
    """Zeros before and after each sequence.

    Args:
        padding: Steps to add: one number for both ends, or (before, after); >= 0.
        data_format: `"channels_last"` (the default) or `"channels_first"`.
    Shape: (B, T, C) -> (B, before + T + after, C)
    Raises: ShapeError: not three axes.
    Example:
        >>> ZeroPadding1D((2, 0))(torch.ones(1, 2, 1)).flatten()
        tensor([0., 0., 1., 1.])
    """

    rank = 1


@register_layer("ZeroPadding2D")
class ZeroPadding2D(BaseZeroPadding):
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

    rank = 2
    __init__ = keras_signature(BaseZeroPadding.__init__, padding=(1, 1))


@register_layer("ZeroPadding3D")
class ZeroPadding3D(BaseZeroPadding):
    """Zeros around each volume.

    Args:
        padding: Voxels to add: one number for all sides, (depth, height, width) for both sides of
            each, or three pairs (before, after); >= 0.
        data_format: `"channels_last"` (the default) or `"channels_first"`.
    Shape: (B, S, H, W, C) -> (B, front + S + back, top + H + bottom, left + W + right, C)
    Raises: ShapeError: not five axes.
    Example:
        >>> ZeroPadding3D((1, 0, 2))(torch.ones(1, 4, 4, 4, 3)).shape
        torch.Size([1, 6, 4, 8, 3])
    """

    rank = 3
    __init__ = keras_signature(BaseZeroPadding.__init__, padding=((1, 1), (1, 1), (1, 1)))


class BaseCropping(Layer):
    """What cropping of `rank` spatial axes shares."""

    rank: ClassVar[int]
    receptive = None

    def __init__(
        self,
        cropping: Pairs = 1,
        data_format: DataFormat | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        owner = type(self).__name__
        self.cropping = _pairs("cropping", cropping, self.rank, owner=owner)
        self.data_format = check_data_format(data_format, owner=owner)

    def build(self, input_shape: Shape) -> None:
        owner = type(self).__name__
        check_spatial_rank(input_shape, self.rank, self.data_format, owner=owner)
        for size, ends in zip(spatial_sizes(input_shape, self.data_format), self.cropping):
            if size is not None and sum(ends) >= size:
                raise ShapeError(
                    f"{owner}({self.cropping}) leaves nothing of {shape_text(input_shape)}",
                    where=f"layer {self.name!r}",
                    why=f"{ends[0]} + {ends[1]} is taken from an axis of {size}",
                    fix=f"take less than {size} from it",
                )

    def call(self, inputs: Tensor) -> Tensor:
        first = 1 if self.data_format == "channels_last" else 2
        for axis, (before, after) in enumerate(self.cropping, start=first):
            # a view: what follows reads the inner part in place
            inputs = inputs.narrow(axis, before, inputs.shape[axis] - before - after)
        return inputs


@register_layer("Cropping1D")
class Cropping1D(BaseCropping):
    """The inner part of each sequence.

    Args:
        cropping: Steps to take away: one number for both ends, or (before, after); >= 0.
    Shape: (B, T, C) -> (B, T - before - after, C)
    Raises: ShapeError: not three axes, or nothing is left.
    Example:
        >>> Cropping1D((1, 0))(torch.tensor([[1.0], [2.0], [3.0]])[None]).flatten()
        tensor([2., 3.])
    """

    rank = 1

    def __init__(self, cropping: Pairs = (1, 1), **options: Unpack[LayerOptions]) -> None:
        super().__init__(cropping, None, **options)


@register_layer("Cropping2D")
class Cropping2D(BaseCropping):
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

    rank = 2
    __init__ = keras_signature(BaseCropping.__init__, cropping=((0, 0), (0, 0)))


@register_layer("Cropping3D")
class Cropping3D(BaseCropping):
    """The inner part of each volume.

    Args:
        cropping: Voxels to take away: one number for all sides, (depth, height, width) for both
            sides of each, or three pairs (before, after); >= 0.
        data_format: `"channels_last"` (the default) or `"channels_first"`.
    Shape: (B, S, H, W, C) -> (B, S - front - back, H - top - bottom, W - left - right, C)
    Raises: ShapeError: not five axes, or nothing is left.
    Example:
        >>> Cropping3D((1, 0, 2))(torch.ones(1, 4, 4, 6, 3)).shape
        torch.Size([1, 2, 4, 2, 3])
    """

    rank = 3
    __init__ = keras_signature(BaseCropping.__init__, cropping=((1, 1), (1, 1), (1, 1)))
