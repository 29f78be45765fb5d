"""Pooling of windows: of each, one number per channel."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Unpack

from torch import Tensor

from stroma.core.axes import Shape
from stroma.core.checks import check_tuple
from stroma.core.layer import Layer, UnnamedOptions
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
    keras_signature,
)
from stroma.layers.registry import register_layer


class BasePooling(Layer):
    """What windowed poolings of every rank share; `rank` is the number of spatial axes."""

    rank: ClassVar[int]
    pool: ClassVar[Callable[..., Tensor]]  # max_pool or average_pool

    def __init__(
        self,
        pool_size: Sizes,
        strides: Sizes | None = None,
        padding: Padding = "valid",
        data_format: DataFormat | None = None,
        name: str | None = None,
        **options: Unpack[UnnamedOptions],
    ) -> None:
        super().__init__(name=name, **options)
        owner, rank = type(self).__name__, self.rank
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

    def call(self, inputs: Tensor) -> Tensor:
        x = to_channels_first(inputs, self.data_format)  # (B, C, *S)
        y = self.pool(x, self.pool_size, self.strides, self.padding)
        return from_channels_first(y, self.data_format)  # (B, *S', C)


@register_layer("MaxPooling1D", "MaxPool1D")
class MaxPooling1D(BasePooling):
    """The largest number of each window, per channel, of sequences: `MaxPooling2D` over one axis.

    Args:
        pool_size: Steps in the window.
        strides: Step of the window in steps; None: `pool_size`.
        padding: `"valid"`: only whole windows; `"same"`: ceil(size / stride) outputs, and steps
            outside the sequence never win. Ours: a number of steps on both sides, as PyTorch.
        data_format: `"channels_last"` (the default) or `"channels_first"`.
    Shape: (B, T, C) -> (B, T', C)
    Raises: ShapeError: not three axes, or a window that does not fit.
    Example:
        >>> MaxPooling1D(2)(torch.tensor([1.0, 3.0, 2.0, 0.0, 5.0]).view(1, 5, 1)).flatten()
        tensor([3., 2.])

    Reference: Riesenhuber & Poggio 1999.
    """

    rank = 1
    pool = staticmethod(max_pool)
    __init__ = keras_signature(BasePooling.__init__, pool_size=2)


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

    rank = 2
    pool = staticmethod(max_pool)
    __init__ = keras_signature(BasePooling.__init__, pool_size=(2, 2))


@register_layer("MaxPooling3D", "MaxPool3D")
class MaxPooling3D(BasePooling):
    """The largest number of each window, per channel, of volumes: `MaxPooling2D` over three axes.

    Args:
        pool_size: Depth, height and width of the window, one number or three.
        strides: Step of the window in voxels; None: `pool_size`.
        padding: `"valid"`: only whole windows; `"same"`: ceil(size / stride) outputs, and voxels
            outside the volume never win. Ours: a number of voxels on both sides, as PyTorch.
        data_format: `"channels_last"` (the default) or `"channels_first"`.
    Shape: (B, S, H, W, C) -> (B, S', H', W', C)
    Raises: ShapeError: not five axes, or a window that does not fit.
    Example:
        >>> MaxPooling3D(2)(torch.zeros(1, 4, 6, 8, 3)).shape
        torch.Size([1, 2, 3, 4, 3])

    Reference: Riesenhuber & Poggio 1999.
    """

    rank = 3
    pool = staticmethod(max_pool)
    __init__ = keras_signature(BasePooling.__init__, pool_size=(2, 2, 2))


@register_layer("AveragePooling1D", "AvgPool1D")
class AveragePooling1D(BasePooling):
    """The mean of each window, per channel, of sequences: `AveragePooling2D` over one axis.

    Args:
        pool_size: Steps in the window.
        strides: Step of the window in steps; None: `pool_size`.
        padding: `"valid"`: only whole windows; `"same"`: ceil(size / stride) outputs, each the
            mean of the steps inside the sequence. Ours: a number of steps on both sides.
        data_format: `"channels_last"` (the default) or `"channels_first"`.
    Shape: (B, T, C) -> (B, T', C)
    Raises: ShapeError: not three axes, or a window that does not fit.
    Example:
        >>> AveragePooling1D(2)(torch.tensor([1.0, 3.0, 2.0, 0.0, 5.0]).view(1, 5, 1)).flatten()
        tensor([2., 1.])

    Reference: LeCun et al. 1998, section II-B. Keras on torch counts a copied edge where the
        padding is odd; these are the numbers of Keras on TensorFlow and JAX.
    """

    rank = 1
    pool = staticmethod(average_pool)


@register_layer("AveragePooling2D", "AvgPool2D")
class AveragePooling2D(BasePooling):
    """The mean of each window, per channel.

    Args:
        pool_size: Height and width of the window in pixels, one number or two.
        strides: Step of the window in pixels; None: `pool_size`.
        padding: `"valid"`: only whole windows; `"same"`: ceil(size / stride) outputs, each the
            mean of the pixels inside the picture. Ours: a number of pixels on both sides.
        data_format: `"channels_last"` (the default) or `"channels_first"`.
    Shape: (B, H, W, C) -> (B, H', W', C)
    Raises: ShapeError: not four axes, or a window that does not fit.
    Example:
        >>> AveragePooling2D(3, 2, "same")(torch.arange(1.0, 17).view(1, 4, 4, 1)).flatten()
        tensor([ 6.0000,  7.5000, 12.0000, 13.5000])

    Reference: LeCun et al. 1998, section II-B. Keras on torch counts a copied edge where the
        padding is odd; these are the numbers of Keras on TensorFlow and JAX.
    """

    rank = 2
    pool = staticmethod(average_pool)


@register_layer("AveragePooling3D", "AvgPool3D")
class AveragePooling3D(BasePooling):
    """The mean of each window, per channel, of volumes: `AveragePooling2D` over three axes.

    Args:
        pool_size: Depth, height and width of the window, one number or three.
        strides: Step of the window in voxels; None: `pool_size`.
        padding: `"valid"`: only whole windows; `"same"`: ceil(size / stride) outputs, each the
            mean of the voxels inside the volume. Ours: a number of voxels on both sides.
        data_format: `"channels_last"` (the default) or `"channels_first"`.
    Shape: (B, S, H, W, C) -> (B, S', H', W', C)
    Raises: ShapeError: not five axes, or a window that does not fit.
    Example:
        >>> AveragePooling3D(2)(torch.ones(1, 4, 6, 8, 3)).shape
        torch.Size([1, 2, 3, 4, 3])

    Reference: LeCun et al. 1998, section II-B. Keras on torch counts a copied edge where the
        padding is odd; these are the numbers of Keras on TensorFlow and JAX.
    """

    rank = 3
    pool = staticmethod(average_pool)
