"""Other shapes for the same numbers. The batch axis always stays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Unpack

import torch
from torch import Tensor

from stroma.core.axes import Shape, shape_text
from stroma.core.checks import check_int, check_positive_int
from stroma.core.errors import ArgumentError, ShapeError
from stroma.core.layer import Layer, LayerOptions
from stroma.functional.layout import from_channels_first
from stroma.layers.arguments import DataFormat, check_data_format
from stroma.layers.registry import register_layer


@register_layer("Flatten")
class Flatten(Layer):
    """All axes but the batch in one, rows first, channels running fastest.

    Args:
        data_format: `"channels_first"` moves the channels last before flattening, so that the
            order of the numbers, and with it the Dense after it, does not depend on the format.
    Shape: (B, H, W, C) -> (B, H*W*C)
    Example:
        >>> Flatten()(torch.zeros(2, 4, 4, 3)).shape
        torch.Size([2, 48])
    """

    receptive = "all"

    def __init__(
        self, data_format: DataFormat | None = None, **options: Unpack[LayerOptions]
    ) -> None:
        super().__init__(**options)
        self.data_format = check_data_format(data_format, owner="Flatten")

    def call(self, inputs: Tensor) -> Tensor:
        if inputs.dim() == 1:
            return inputs[:, None]  # (B, 1)
        if self.data_format == "channels_first":
            inputs = from_channels_first(inputs, "channels_last")
        return inputs.flatten(1)  # (B, H*W*C)


@register_layer("Reshape")
class Reshape(Layer):
    """The same numbers in the same order in another shape.

    Args:
        target_shape: Sizes without the batch axis; one may be -1: what is left over.
    Shape: (B, *) -> (B, *target_shape)
    Raises:
        ArgumentError: more than one -1.
        ShapeError: the number of elements does not fit.
    Example:
        >>> Reshape((2, -1))(torch.zeros(3, 8)).shape
        torch.Size([3, 2, 4])
    """

    receptive = "all"

    def __init__(self, target_shape: Sequence[int], **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.target_shape = tuple(
            check_int("target_shape", size, owner="Reshape", minimum=-1) for size in target_shape
        )
        if self.target_shape.count(-1) > 1:
            raise ArgumentError(
                f"Reshape: at most one size may be -1, got {self.target_shape}",
                where="Reshape(target_shape=...)",
                why="-1 stands for what the other sizes leave over",
                fix="give all sizes but one",
            )

    def build(self, input_shape: Shape) -> None:
        sizes = [size for size in input_shape[1:] if size is not None]
        if len(sizes) < len(input_shape) - 1:
            return  # not known before the data is
        given, wanted = math.prod(sizes), math.prod(s for s in self.target_shape if s != -1)
        fits = given % wanted == 0 if -1 in self.target_shape and wanted else given == wanted
        if not fits:
            raise ShapeError(
                f"Reshape{self.target_shape} holds {wanted} numbers"
                + (" times a whole number" if -1 in self.target_shape else "")
                + f", a sample of {shape_text(input_shape)} has {given}",
                where=f"layer {self.name!r}",
                why="reshaping keeps every number and adds none",
                fix="Reshape((-1,)) takes what is there",
            )

    def call(self, inputs: Tensor) -> Tensor:
        flat = inputs.flatten(1) if inputs.dim() > 1 else inputs[:, None]
        # not reshape(B, ...): with -1 in it an empty batch has no answer
        return torch.unflatten(flat, 1, self.target_shape) if self.target_shape else flat.squeeze(1)


@register_layer("Permute")
class Permute(Layer):
    """The axes in another order, the batch axis aside.

    Args:
        dims: Axes of the input, counted from 1, in the order of the output.
    Shape: (B, T, D) -> (B, D, T)
    Raises:
        ArgumentError: dims is not a permutation of 1, 2, ..., n.
        ShapeError: the input has another number of axes.
    Example:
        >>> Permute((2, 1))(torch.zeros(3, 10, 64)).shape
        torch.Size([3, 64, 10])
    """

    receptive = "unknown"

    def __init__(self, dims: Sequence[int], **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.dims = tuple(check_int("dims", axis, owner="Permute") for axis in dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ArgumentError(
                f"Permute: dims must name each of 1..{len(self.dims)} once, got {self.dims}",
                where="Permute(dims=...)",
                why="axis 0 is the batch and stays; the others are counted from 1",
                fix="Permute((2, 1)) swaps the two axes after the batch",
            )

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) != len(self.dims) + 1:
            raise ShapeError(
                f"Permute{self.dims} takes {len(self.dims) + 1} axes, "
                f"got {shape_text(input_shape)}",
                where=f"layer {self.name!r}",
                why="dims names every axis but the batch",
                fix=f"dims with {len(input_shape) - 1} numbers",
            )

    def call(self, inputs: Tensor) -> Tensor:
        return inputs.permute(0, *self.dims)


@register_layer("RepeatVector")
class RepeatVector(Layer):
    """A vector as a sequence of `n` equal steps: what a decoder reads.

    Args:
        n: Steps of the sequence, >= 1.
    Shape: (B, D) -> (B, n, D)
    Raises: ShapeError: not two axes.
    Example:
        >>> RepeatVector(3)(torch.tensor([[1.0, 2.0]])).shape
        torch.Size([1, 3, 2])
    """

    receptive = "unknown"

    def __init__(self, n: int, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.n = check_positive_int("n", n, owner="RepeatVector")

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) != 2:
            raise ShapeError(
                f"RepeatVector takes (batch, features), got {shape_text(input_shape)}",
                where=f"layer {self.name!r}",
                why="it makes a sequence of one vector a sample",
                fix="Flatten() or GlobalAveragePooling1D() before it",
            )

    def call(self, inputs: Tensor) -> Tensor:
        return inputs.unsqueeze(1).expand(-1, self.n, -1)  # (B, n, D), a view
