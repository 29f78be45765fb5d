"""Layers that prepare data inside a model: scale, normalise, resize."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Unpack

import numpy as np
import torch
from torch import Tensor

from stroma.core.axes import Shape, shape_text
from stroma.core.batches import Batch
from stroma.core.casting import floating
from stroma.core.checks import check_choice, check_int, check_number, check_positive_int
from stroma.core.errors import ArgumentError, DataError, ShapeError
from stroma.core.layer import Layer, LayerOptions
from stroma.functional.resizing import (
    RESIZE_INTERPOLATIONS,
    crop_to_aspect,
    pad_to_aspect,
    resize,
)
from stroma.layers.arguments import check_data_format
from stroma.layers.pictures import as_pictures
from stroma.layers.registry import register_layer

_CHUNK = 1 << 22  # numbers turned into float64 at a time while adapting: 32 MiB
_SMALLEST_DEVIATION = 1e-7  # Keras' epsilon: a constant feature is not divided by zero


@register_layer("Rescaling")
class Rescaling(Layer):
    """Bring values to another range: y = x * scale + offset, in training and inference.

    Args:
        scale: Factor, a number or one per channel: 1/255 brings bytes to [0, 1].
        offset: Added afterwards, a number or one per channel: 1/127.5 and -1 give [-1, 1].
    Shape: (B, *) -> (B, *)
    Raises: ArgumentTypeError: scale or offset is not a number.
    Example:
        >>> from stroma import layers
        >>> layers.Rescaling(1 / 255)(torch.tensor([[0, 255]], dtype=torch.uint8))
        tensor([[0., 1.]])

    Reference: Keras 3 `keras.layers.Rescaling`.
    """

    receptive = None

    def __init__(self, scale: Any, offset: Any = 0.0, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.supports_masking = True
        self.scale, self.offset = scale, offset
        self._keep("_scale", "scale", scale)
        self._keep("_offset", "offset", offset)

    def _keep(self, attribute: str, name: str, value: Any) -> None:
        """A number stays a number; several become a constant that moves with the layer."""
        if np.ndim(value) == 0:
            setattr(self, attribute, check_number(name, value, owner="Rescaling"))
        else:
            constant = torch.as_tensor(value, dtype=self._policy.variable_dtype)
            self.register_buffer(attribute, constant, persistent=False)

    def call(self, inputs: Tensor) -> Tensor:
        x = floating(inputs, self._compute_dtype)
        y: Tensor = x * self._scale + self._offset
        return y.to(x.dtype)


@register_layer("Normalization")
class Normalization(Layer):
    """Bring features to mean 0 and standard deviation 1: y = (x - mean) / sqrt(variance).

    Mean and variance are given, or learned once from data by `adapt`.

    Args:
        axis: The axis or axes that have a mean for each index (-1: one per feature); None: one
            mean for all numbers.
        mean, variance: Known values, a number or as many as `axis` has; both or neither.
        invert: Go back instead: y = x * sqrt(variance) + mean.
    Shape: (B, *) -> (B, *)
    Raises: ArgumentError: only one of mean and variance is given; ShapeError: the size of a kept
        axis is not known, or the input has no such axis.
    Example:
        >>> from stroma import layers
        >>> layer = layers.Normalization()
        >>> layer.adapt(torch.tensor([[0.0, 7.0], [2.0, 9.0]]))
        >>> layer(torch.tensor([[0.0, 9.0]]))
        tensor([[-1.,  1.]])

    Reference: Keras 3 `keras.layers.Normalization`. `adapt` adds up in float64 and merges parts
        exactly (Chan, Golub & LeVeque 1983), so a stream gives what the whole array gives.
    """

    receptive = None

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        given = () if axis is None else axis if isinstance(axis, (list, tuple)) else (axis,)
        self.axis = tuple(check_int("axis", item, owner="Normalization") for item in given)
        self.input_mean, self.input_variance, self.invert = mean, variance, invert
        self.supports_masking = True
        if (mean is None) != (variance is None) or np.shape(mean) != np.shape(variance):
            raise ArgumentError(
                f"Normalization: mean={mean!r} and variance={variance!r} do not belong together",
                where="Normalization(mean=..., variance=...)",
                why="both are needed, in one shape",
                fix="give both, or neither and call adapt(data)",
            )

    def build(self, input_shape: Shape) -> None:
        rank = len(input_shape)
        kept = sorted({axis % rank for axis in self.axis}) if rank else []
        if any(not -rank <= axis < rank for axis in self.axis) or any(
            input_shape[axis] is None for axis in kept
        ):
            raise ShapeError(
                f"Normalization: axis {self.axis} needs a known size in {shape_text(input_shape)}",
                where="Normalization(axis=...)",
                why="each index of these axes has a mean of its own",
                fix="axis=None for one mean of all numbers, or an axis whose size is fixed",
            )
        self._kept = kept
        sizes = {axis: size for axis, size in enumerate(input_shape) if axis in kept and size}
        self._shape = [sizes.get(axis, 1) for axis in range(rank)]
        shape = tuple(sizes.values())
        if self.input_mean is None:
            self.adapt_mean = self.add_weight(shape, "zeros", trainable=False, name="mean")
            self.adapt_variance = self.add_weight(shape, "ones", trainable=False, name="variance")
            # kept so that Keras' files have a place for every number they hold
            self.count = self.add_weight((), "zeros", dtype="int32", trainable=False, name="count")
            return
        for name, value in (("_mean", self.input_mean), ("_variance", self.input_variance)):
            constant = torch.as_tensor(value, dtype=self._policy.variable_dtype)
            whole = constant.expand(shape).clone()
            self.register_buffer(name, whole, persistent=False)

    @property
    def mean(self) -> Tensor:
        """The mean, in a shape that broadcasts with the input."""
        value = self.adapt_mean if self.input_mean is None else self._mean
        return value.reshape(self._shape)

    @property
    def variance(self) -> Tensor:
        """The variance, in a shape that broadcasts with the input."""
        value = self.adapt_variance if self.input_mean is None else self._variance
        return value.reshape(self._shape)

    def call(self, inputs: Tensor) -> Tensor:
        x = floating(inputs, self._compute_dtype)
        deviation = self.variance.sqrt().clamp(min=_SMALLEST_DEVIATION)
        y = x * deviation + self.mean if self.invert else (x - self.mean) / deviation
        return y.to(x.dtype)

    def adapt(self, data: Any) -> None:
        """Learn mean and variance from data; what was learned before is forgotten.

        Args:
            data: An array or tensor, an iterable of batches (arrays, or tuples of which the first
                entry is used), or stroma batches.
        Raises: DataError: there is no data; ArgumentError: mean and variance were given.
        """
        if self.input_mean is not None:
            raise ArgumentError(
                "Normalization: adapt() on a layer that was given mean and variance",
                where="adapt",
                why="they would be overwritten",
                fix="Normalization() without mean= and variance=",
            )
        batches = _batches(data)
        first = next(batches, None)
        if first is None:
            raise DataError(
                "Normalization: adapt() got no data",
                where="adapt",
                why="a mean needs at least one batch",
                fix="give an array, or an iterable that is not used up",
            )
        if not self.built:
            self.build_from((first,), {})
        mean, variance = self._merged(itertools.chain([first], batches))
        self.adapt_mean.assign(mean)
        self.adapt_variance.assign(variance)

    def _merged(self, batches: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
        """Mean and variance of everything, part by part, in float64."""
        count = 0
        mean = squares = torch.zeros((), dtype=torch.float64)
        for part in batches:
            if part.dim() != len(self._shape) or any(
                part.shape[axis] != self._shape[axis] for axis in self._kept
            ):
                raise ShapeError(
                    f"Normalization: a batch of shape {tuple(part.shape)} after axes of "
                    f"{tuple(self._shape)}",
                    where="adapt",
                    why=f"axis {self.axis} has one mean for each index",
                    fix="give batches that differ in their number of samples only",
                )
            reduced = [axis for axis in range(part.dim()) if axis not in self._kept]
            x = part.to("cpu", torch.float64)
            size = part.numel() // max(1, self.adapt_mean.numel())
            part_mean = x.mean(reduced) if reduced else x
            centred = x - part_mean.reshape(self._shape)
            part_squares = centred.square().sum(reduced) if reduced else torch.zeros_like(part_mean)
            count += size
            delta = part_mean - mean
            mean = mean + delta * (size / count)
            squares = squares + part_squares + delta.square() * (size * (count - size) / count)
        return mean, squares / max(count, 1)


def _batches(data: Any) -> Iterator[Tensor]:
    """Parts of any source, none too large to be turned into float64."""
    if hasattr(data, "epoch"):  # stroma.core.batches.Batches
        data = data.epoch(0)
    whole = isinstance(data, (np.ndarray, Tensor))
    for item in [data] if whole else data:
        tensor = torch.as_tensor(_inputs_of(item))
        rows = len(tensor) if tensor.dim() else 1
        if not tensor.numel():
            continue
        if tensor.dim() < 2:
            yield tensor
            continue
        rows_at_once = max(1, _CHUNK // (tensor.numel() // rows))
        yield from torch.split(tensor, rows_at_once)


def _inputs_of(batch: Any) -> Any:
    """x of a batch that may be a (x, y) tuple, or a [x, y] list as torch's loader makes it."""
    if isinstance(batch, Batch):
        return batch.x
    paired = isinstance(batch, tuple) or (isinstance(batch, list) and hasattr(batch[0], "shape"))
    return batch[0] if paired else batch


@register_layer("Resizing")
class Resizing(Layer):
    """Change the size of pictures, in training and inference.

    Args:
        height, width: Size of the output in pixels, >= 1.
        interpolation: "bilinear", "nearest", "bicubic" (Keys, a = -0.5), "lanczos3", "lanczos5".
        crop_to_aspect_ratio: Cut the longer side evenly first, so that nothing is distorted.
        pad_to_aspect_ratio: Fill the shorter side evenly with `fill_value` first, instead.
        fill_mode: Must be "constant".
        fill_value: What is filled in, in the units of the pixels.
        antialias: Average over all pixels that fall on one when the picture shrinks.
        data_format: "channels_last" (default) or "channels_first".
    Shape: (B, H, W, C) -> (B, height, width, C); a single picture (H, W, C) may be given too.
    Raises: ArgumentError: an unknown interpolation, a size below 1, or both ratios at once.
    Example:
        >>> from stroma import layers
        >>> layers.Resizing(2, 2)(torch.arange(16.0).reshape(1, 4, 4, 1)).flatten()
        tensor([ 2.5000,  4.5000, 10.5000, 12.5000])

    Reference: Keras 3 `keras.layers.Resizing`; integers stay integers, rounded. "bicubic" and
        "lanczos" are those of TF and JAX: Keras on torch has another bicubic and no Lanczos.
    """

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        owner = "Resizing"
        self.height = check_positive_int("height", height, owner=owner)
        self.width = check_positive_int("width", width, owner=owner)
        self.interpolation = check_choice(
            "interpolation", interpolation, RESIZE_INTERPOLATIONS, owner=owner
        )
        self.fill_mode = check_choice("fill_mode", fill_mode, ("constant",), owner=owner)
        self.fill_value = check_number("fill_value", fill_value, owner=owner)
        self.crop_to_aspect_ratio = crop_to_aspect_ratio
        self.pad_to_aspect_ratio = pad_to_aspect_ratio
        self.antialias = antialias
        self.data_format = check_data_format(data_format, owner=owner)
        if crop_to_aspect_ratio and pad_to_aspect_ratio:
            raise ArgumentError(
                "Resizing: crop_to_aspect_ratio and pad_to_aspect_ratio exclude each other",
                where="Resizing(...)",
                why="either the longer side is cut or the shorter one is filled",
                fix="keep one of the two",
            )

    def call(self, inputs: Tensor) -> Tensor:
        images, restore = as_pictures(inputs, self.data_format, owner="Resizing")
        size = (self.height, self.width)
        if self.crop_to_aspect_ratio:
            images = crop_to_aspect(images, size)
        elif self.pad_to_aspect_ratio:
            images = pad_to_aspect(images, size, self.fill_value)
        return restore(resize(images, size, self.interpolation, self.antialias))
