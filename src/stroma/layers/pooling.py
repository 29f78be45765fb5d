"""Pooling: windows of pixels, or whole pictures, to one number per channel."""

from __future__ import annotations

from typing import ClassVar, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from stroma.core.axes import Shape
from stroma.core.checks import check_tuple
from stroma.core.layer import Layer, LayerOptions, UnnamedOptions
from stroma.functional.layout import from_channels_first, to_channels_first
from stroma.functional.pooling import average_pool, max_pool
from stroma.layers.arguments import (
    DataFormat,
    Padding,
    Sizes,
    check_data_format,
    check_padding,
    check_spatial_rank,
    check_window_fits,
)
from stroma.layers.registry import register_layer


class BasePooling(Layer):
    """What windowed poolings of every rank share; `rank` is the number of spatial axes."""

    def __init__(
        self,
        rank: int,
        pool_size: Sizes,
        strides: Sizes | None = None,
        padding: Padding = "valid",
        data_format: DataFormat | None = None,
        name: str | None = None,
        **options: Unpack[UnnamedOptions],
    ) -> None:
        super().__init__(name=name, **options)
        owner = type(self).__name__
        self.rank = rank
        self.pool_size = check_tuple("pool_size", pool_size, rank, owner=owner)
        self.strides = (
            self.pool_size
            if strides is None
            else check_tuple("strides", strides, rank, owner=owner)
        )
        self.padding = check_padding(padding, rank, owner=owner)
        self.data_format = check_data_format(data_format, owner=owner)
        self.receptive = (self.pool_size, self.strides, (1,) * rank)

    def build(self, input_shape: Shape) -> None:
        owner = type(self).__name__
        check_spatial_rank(input_shape, self.rank, self.data_format, owner=owner)
        if self.padding == "valid":
            check_window_fits(
                input_shape, self.pool_size, (1,) * self.rank, self.data_format, owner=owner
            )


@register_layer("MaxPooling2D", "MaxPool2D")
class MaxPooling2D(BasePooling):
    """The largest number of each window, per channel.

    Args:
        pool_size: Height and width of the window in pixels, one number or two.
        strides: Step of the window in pixels; None: `pool_size`.
        padding: `"valid"`: only whole windows; `"same"`: ceil(size / stride) outputs, and pixels
            outside the picture never win. Ours: a number of pixels on both sides, as PyTorch.
        data_format: `"channels_last"` (the default) or `"channels_first"`.
    Shape: (B, H, W, C) -> (B, H', W', C)
    Raises: ShapeError: not four axes, or a window that does not fit.
    Example:
        >>> MaxPooling2D(2)(torch.zeros(1, 5, 5, 3)).shape
        torch.Size([1, 2, 2, 3])

    Reference: Riesenhuber & Poggio 1999.
    """

    def __init__(
        self,
        pool_size: Sizes = (2, 2),
        strides: Sizes | None = None,
        padding: Padding = "valid",
        data_format: DataFormat | None = None,
        name: str | None = None,
        **options: Unpack[UnnamedOptions],
    ) -> None:
        super().__init__(2, pool_size, strides, padding, data_format, name, **options)

    def call(self, inputs: Tensor) -> Tensor:
        x = to_channels_first(inputs, self.data_format)  # (B, C, H, W)
        y = max_pool(x, self.pool_size, self.strides, self.padding)
        return from_channels_first(y, self.data_format)  # (B, H', W', C)


@register_layer("AveragePooling2D", "AvgPool2D")
class AveragePooling2D(BasePooling):
    """The mean of each window, per channel.

    Args:
        pool_size: Height and width of the window in pixels, one number or two.
        strides: Step of the window in pixels; None: `pool_size`.
        padding: `"valid"`: only whole windows; `"same"`: ceil(size / stride) outputs, each the
            mean of the pixels inside the picture.
        data_format: `"channels_last"` (the default) or `"channels_first"`.
    Shape: (B, H, W, C) -> (B, H', W', C)
    Raises: ShapeError: not four axes, or a window that does not fit.
    Example:
        >>> AveragePooling2D(3, 2, "same")(torch.arange(1.0, 17).view(1, 4, 4, 1)).flatten()
        tensor([ 6.0000,  7.5000, 12.0000, 13.5000])

    Reference: LeCun et al. 1998, section II-B. Keras on torch counts a copied edge pixel where the
        padding is odd; these are the numbers of Keras on TensorFlow and JAX.
    """

    def __init__(
        self,
        pool_size: Sizes,
        strides: Sizes | None = None,
        padding: Padding = "valid",
        data_format: DataFormat | None = None,
        name: str | None = None,
        **options: Unpack[UnnamedOptions],
    ) -> None:
        super().__init__(2, pool_size, strides, padding, data_format, name, **options)

    def call(self, inputs: Tensor) -> Tensor:
        x = to_channels_first(inputs, self.data_format)  # (B, C, H, W)
        y = average_pool(x, self.pool_size, self.strides, self.padding)
        return from_channels_first(y, self.data_format)  # (B, H', W', C)


class BaseGlobalPooling(Layer):
    """What poolings of whole pictures share."""

    rank: ClassVar[int]
    receptive = "all"

    def __init__(
        self,
        data_format: DataFormat | None = None,
        keepdims: bool = False,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.data_format = check_data_format(data_format, owner=type(self).__name__)
        self.keepdims = keepdims
        first = 1 if self.data_format == "channels_last" else 2
        self.spatial_axes = tuple(range(first, first + self.rank))

    def build(self, input_shape: Shape) -> None:
        check_spatial_rank(input_shape, self.rank, self.data_format, owner=type(self).__name__)


@register_layer("GlobalMaxPooling2D", "GlobalMaxPool2D")
class GlobalMaxPooling2D(BaseGlobalPooling):
    """The largest number of the whole picture, per channel.

    Args:
        data_format: `"channels_last"` (the default) or `"channels_first"`.
        keepdims: Whether height and width stay as axes of size 1.
    Shape: (B, H, W, C) -> (B, C)
    Raises: ShapeError: not four axes.
    Example:
        >>> GlobalMaxPooling2D()(torch.arange(8.0).view(1, 2, 2, 2))
        tensor([[6., 7.]])

    Reference: Oquab et al. 2015. Where several pixels are largest the gradient is shared among
        them, as in Keras on every backend.
    """

    rank = 2

    def call(self, inputs: Tensor) -> Tensor:
        return torch.amax(inputs, self.spatial_axes, self.keepdims)  # (B, C)


@register_layer("GlobalAveragePooling2D", "GlobalAvgPool2D")
class GlobalAveragePooling2D(BaseGlobalPooling):
    """The mean of the whole picture, per channel: mean over H and W of x.

    Args:
        data_format: `"channels_last"` (the default) or `"channels_first"`.
        keepdims: Whether height and width stay as axes of size 1.
    Shape: (B, H, W, C) -> (B, C)
    Raises: ShapeError: not four axes.
    Example:
        >>> GlobalAveragePooling2D()(torch.arange(8.0).view(1, 2, 2, 2))
        tensor([[3., 4.]])

    Reference: Lin, Chen & Yan 2014, section 3.2.
    """

    rank = 2

    def call(self, inputs: Tensor) -> Tensor:
        return inputs.mean(self.spatial_axes, self.keepdims)  # (B, C)


@register_layer("AdaptiveAveragePooling2D")
class AdaptiveAveragePooling2D(Layer):
    """The means of a grid of windows laid over the whole picture: any size in, one size out.

    y[i, j] = mean of x over rows floor(i H / H') to ceil((i + 1) H / H'), columns likewise.

    Args:
        output_size: Height H' and width W' of the output in pixels, one number or two, >= 1.
        data_format: `"channels_last"` (the default) or `"channels_first"`.
    Shape: (B, H, W, C) -> (B, H', W', C)
    Raises: ShapeError: not four axes.
    Example:
        >>> AdaptiveAveragePooling2D(2)(torch.arange(9.0).view(1, 3, 3, 1)).flatten()
        tensor([2., 3., 5., 6.])

    Reference: He et al. 2014, "Spatial Pyramid Pooling", section 2.2, one level of it.
    """

    receptive = "unknown"  # the windows depend on the size of the picture

    def __init__(
        self,
        output_size: Sizes,
        data_format: DataFormat | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        owner = "AdaptiveAveragePooling2D"
        height, width = check_tuple("output_size", output_size, 2, owner=owner)
        self.output_size = (height, width)
        self.data_format = check_data_format(data_format, owner=owner)

    def build(self, input_shape: Shape) -> None:
        check_spatial_rank(input_shape, 2, self.data_format, owner="AdaptiveAveragePooling2D")

    def call(self, inputs: Tensor) -> Tensor:
        x = to_channels_first(inputs, self.data_format)  # (B, C, H, W)
        y = F.adaptive_avg_pool2d(x, self.output_size)
        return from_channels_first(y, self.data_format)  # (B, H', W', C)
