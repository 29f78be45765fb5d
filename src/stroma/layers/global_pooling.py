"""Pooling of whole sequences, pictures and volumes: one number per channel, or a fixed grid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Unpack

import torch
from torch import Tensor

from stroma.core.axes import Shape
from stroma.core.casting import floating
from stroma.core.checks import check_tuple
from stroma.core.layer import Layer, LayerOptions
from stroma.functional.layout import from_channels_first, to_channels_first
from stroma.functional.pooling import adaptive_average_pool, adaptive_max_pool
from stroma.layers.arguments import DataFormat, Sizes, check_data_format, check_spatial_rank
from stroma.layers.registry import register_layer


def _mean(x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    return torch.mean(floating(x, torch.float32), axes, keepdims)


class BaseGlobalPooling(Layer):
    """What poolings of everything share; `rank` is the number of spatial axes."""

    rank: ClassVar[int]
    reduce: ClassVar[Callable[..., Tensor]]  # of a tensor over axes
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

    def call(self, inputs: Tensor) -> Tensor:
        return self.reduce(inputs, self.spatial_axes, self.keepdims)  # (B, C)


@register_layer("GlobalMaxPooling1D", "GlobalMaxPool1D")
class GlobalMaxPooling1D(BaseGlobalPooling):
    """The largest number of the whole sequence, per channel: over T.

    Args:
        data_format: `"channels_last"` (the default) or `"channels_first"`.
        keepdims: Whether time stays as an axis of size 1.
    Shape: (B, T, C) -> (B, C)
    Raises: ShapeError: not three axes.
    Example:
        >>> GlobalMaxPooling1D()(torch.arange(8.0).view(1, 4, 2))
        tensor([[6., 7.]])

    Reference: Oquab et al. 2015. Where several are largest the gradient is shared among
        them, as in Keras on every backend.
    """

    rank = 1
    reduce = staticmethod(torch.amax)


@register_layer("GlobalMaxPooling2D", "GlobalMaxPool2D")
class GlobalMaxPooling2D(BaseGlobalPooling):
    """The largest number of the whole picture, per channel: over H and W.

    Args:
        data_format: `"channels_last"` (the default) or `"channels_first"`.
        keepdims: Whether height and width stay as axes of size 1.
    Shape: (B, H, W, C) -> (B, C)
    Raises: ShapeError: not four axes.
    Example:
        >>> GlobalMaxPooling2D()(torch.arange(8.0).view(1, 2, 2, 2))
        tensor([[6., 7.]])

    Reference: Oquab et al. 2015. Where several are largest the gradient is shared among
        them, as in Keras on every backend.
    """

    rank = 2
    reduce = staticmethod(torch.amax)


@register_layer("GlobalMaxPooling3D", "GlobalMaxPool3D")
class GlobalMaxPooling3D(BaseGlobalPooling):
    """The largest number of the whole volume, per channel.

    Args:
        data_format: `"channels_last"` (the default) or `"channels_first"`.
        keepdims: Whether depth, height and width stay as axes of size 1.
    Shape: (B, S, H, W, C) -> (B, C)
    Raises: ShapeError: not five axes.
    Example:
        >>> GlobalMaxPooling3D()(torch.arange(8.0).view(1, 1, 2, 2, 2))
        tensor([[6., 7.]])

    Reference: Oquab et al. 2015. Where several are largest the gradient is shared among
        them, as in Keras on every backend.
    """

    rank = 3
    reduce = staticmethod(torch.amax)


@register_layer("GlobalAveragePooling1D", "GlobalAvgPool1D")
class GlobalAveragePooling1D(BaseGlobalPooling):
    """The mean of the whole sequence, per channel: over T.

    Args:
        data_format: `"channels_last"` (the default) or `"channels_first"`.
        keepdims: Whether time stays as an axis of size 1.
    Call arguments:
        inputs: The sequences.
        mask: (B, T), False where a step does not count; a layer before it may make it.
    Shape: (B, T, C) -> (B, C)
    Raises: ShapeError: not three axes.
    Example:
        >>> GlobalAveragePooling1D()(torch.arange(8.0).view(1, 4, 2))
        tensor([[3., 4.]])

    Reference: Lin, Chen & Yan 2014, section 3.2. A sequence without a valid step has the mean 0,
        where Keras has NaN.
    """

    rank = 1
    reduce = staticmethod(_mean)

    def __init__(
        self,
        data_format: DataFormat | None = None,
        keepdims: bool = False,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(data_format, keepdims, **options)
        self.supports_masking = True

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None:
            return super().call(inputs)
        counted = mask.bool().unsqueeze(-1 if self.data_format == "channels_last" else 1)
        total = torch.where(counted, inputs, 0.0).sum(self.spatial_axes, self.keepdims)
        return total / counted.sum(self.spatial_axes, self.keepdims).clamp(min=1)  # (B, C)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """None: there are no steps any more."""


@register_layer("GlobalAveragePooling2D", "GlobalAvgPool2D")
class GlobalAveragePooling2D(BaseGlobalPooling):
    """The mean of the whole picture, per channel: over H and W.

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
    reduce = staticmethod(_mean)


@register_layer("GlobalAveragePooling3D", "GlobalAvgPool3D")
class GlobalAveragePooling3D(BaseGlobalPooling):
    """The mean of the whole volume, per channel.

    Args:
        data_format: `"channels_last"` (the default) or `"channels_first"`.
        keepdims: Whether depth, height and width stay as axes of size 1.
    Shape: (B, S, H, W, C) -> (B, C)
    Raises: ShapeError: not five axes.
    Example:
        >>> GlobalAveragePooling3D()(torch.arange(8.0).view(1, 1, 2, 2, 2))
        tensor([[3., 4.]])

    Reference: Lin, Chen & Yan 2014, section 3.2.
    """

    rank = 3
    reduce = staticmethod(_mean)


class BaseAdaptivePooling(Layer):
    """What poolings to a fixed size share; `rank` is the number of spatial axes."""

    rank: ClassVar[int]
    pool: ClassVar[Callable[..., Tensor]]  # adaptive_max_pool or adaptive_average_pool
    receptive = "unknown"  # the windows depend on the size of the input

    def __init__(
        self,
        output_size: Sizes,
        data_format: DataFormat | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        owner = type(self).__name__
        self.output_size = check_tuple("output_size", output_size, self.rank, owner=owner)
        self.data_format = check_data_format(data_format, owner=owner)

    def build(self, input_shape: Shape) -> None:
        check_spatial_rank(input_shape, self.rank, self.data_format, owner=type(self).__name__)

    def call(self, inputs: Tensor) -> Tensor:
        x = to_channels_first(inputs, self.data_format)  # (B, C, *S)
        return from_channels_first(self.pool(x, self.output_size), self.data_format)


@register_layer("AdaptiveAveragePooling1D")
class AdaptiveAveragePooling1D(BaseAdaptivePooling):
    """The means of a row of windows laid over the whole sequence: any size in, one size out.

    y[t] = mean of x over steps floor(t T / T') to ceil((t + 1) T / T').

    Args:
        output_size: Steps T' of the output, >= 1.
        data_format: `"channels_last"` (the default) or `"channels_first"`.
    Shape: (B, T, C) -> (B, T', C)
    Raises: ShapeError: not three axes.
    Example:
        >>> AdaptiveAveragePooling1D(2)(torch.arange(3.0).view(1, 3, 1)).flatten()
        tensor([0.5000, 1.5000])

    Reference: He et al. 2014, "Spatial Pyramid Pooling", section 2.2, one level of it.
    """

    rank = 1
    pool = staticmethod(adaptive_average_pool)


@register_layer("AdaptiveAveragePooling2D")
class AdaptiveAveragePooling2D(BaseAdaptivePooling):
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

    rank = 2
    pool = staticmethod(adaptive_average_pool)


@register_layer("AdaptiveAveragePooling3D")
class AdaptiveAveragePooling3D(BaseAdaptivePooling):
    """The means of a grid of windows laid over the whole volume: any size in, one size out.

    y[d, i, j] = mean of x over slices floor(d S / S') to ceil((d + 1) S / S'), rows and
    columns likewise.

    Args:
        output_size: Depth S', height H' and width W' of the output, one number or three, >= 1.
        data_format: `"channels_last"` (the default) or `"channels_first"`.
    Shape: (B, S, H, W, C) -> (B, S', H', W', C)
    Raises: ShapeError: not five axes.
    Example:
        >>> AdaptiveAveragePooling3D((1, 2, 3))(torch.zeros(2, 5, 6, 7, 4)).shape
        torch.Size([2, 1, 2, 3, 4])

    Reference: He et al. 2014, "Spatial Pyramid Pooling", section 2.2, one level of it.
    """

    rank = 3
    pool = staticmethod(adaptive_average_pool)


@register_layer("AdaptiveMaxPooling1D")
class AdaptiveMaxPooling1D(BaseAdaptivePooling):
    """The largest of each of a row of windows over the whole sequence: any size in, one size out.

    y[t] = maximum of x over steps floor(t T / T') to ceil((t + 1) T / T').

    Args:
        output_size: Steps T' of the output, >= 1.
        data_format: `"channels_last"` (the default) or `"channels_first"`.
    Shape: (B, T, C) -> (B, T', C)
    Raises: ShapeError: not three axes.
    Example:
        >>> AdaptiveMaxPooling1D(2)(torch.arange(3.0).view(1, 3, 1)).flatten()
        tensor([1., 2.])

    Reference: He et al. 2014, "Spatial Pyramid Pooling", section 2.2, one level of it.
    """

    rank = 1
    pool = staticmethod(adaptive_max_pool)


@register_layer("AdaptiveMaxPooling2D")
class AdaptiveMaxPooling2D(BaseAdaptivePooling):
    """The largest of each of a grid of windows over the whole picture: any size in, one size out.

    y[i, j] = maximum of x over rows floor(i H / H') to ceil((i + 1) H / H'), columns likewise.

    Args:
        output_size: Height H' and width W' of the output in pixels, one number or two, >= 1.
        data_format: `"channels_last"` (the default) or `"channels_first"`.
    Shape: (B, H, W, C) -> (B, H', W', C)
    Raises: ShapeError: not four axes.
    Example:
        >>> AdaptiveMaxPooling2D(2)(torch.arange(9.0).view(1, 3, 3, 1)).flatten()
        tensor([4., 5., 7., 8.])

    Reference: He et al. 2014, "Spatial Pyramid Pooling", section 2.2, one level of it.
    """

    rank = 2
    pool = staticmethod(adaptive_max_pool)


@register_layer("AdaptiveMaxPooling3D")
class AdaptiveMaxPooling3D(BaseAdaptivePooling):
    """The largest of each of a grid of windows over the whole volume: any size in, one size out.

    y[d, i, j] = maximum of x over slices floor(d S / S') to ceil((d + 1) S / S'), rows and
    columns likewise.

    Args:
        output_size: Depth S', height H' and width W' of the output, one number or three, >= 1.
        data_format: `"channels_last"` (the default) or `"channels_first"`.
    Shape: (B, S, H, W, C) -> (B, S', H', W', C)
    Raises: ShapeError: not five axes.
    Example:
        >>> AdaptiveMaxPooling3D((1, 2, 3))(torch.zeros(2, 5, 6, 7, 4)).shape
        torch.Size([2, 1, 2, 3, 4])

    Reference: He et al. 2014, "Spatial Pyramid Pooling", section 2.2, one level of it.
    """

    rank = 3
    pool = staticmethod(adaptive_max_pool)
