"""Convolutions over any number of spatial axes."""

from __future__ import annotations

from typing import Any, Unpack

import torch.nn.functional as F
from torch import Tensor

from stroma import activations, constraints, initializers, regularizers
from stroma.core.axes import Shape, shape_text
from stroma.core.checks import check_positive_int, check_tuple
from stroma.core.errors import ArgumentError, ShapeError
from stroma.core.layer import BaseOptions, Layer
from stroma.core.weight import Weight
from stroma.functional.layout import from_channels_first, to_channels_first
from stroma.functional.padding import pad, same_padding, symmetric
from stroma.layers.arguments import (
    Act,
    Con,
    DataFormat,
    Init,
    Padding,
    Reg,
    Sizes,
    check_data_format,
    check_padding,
    check_spatial_rank,
    check_window_fits,
)
from stroma.layers.registry import register_layer

_CONVOLVE = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_LAYOUT = {1: "WIO->OIW", 2: "HWIO->OIHW", 3: "DHWIO->OIDHW"}


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    strides: tuple[int, ...],
    padding: str | tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
) -> Tensor:
    """torch's convolution of any rank, with Keras' paddings by name besides torch's numbers.

    Shape: (B, C, *S) -> (B, filters, *S')
    """
    zeros: Any = padding if isinstance(padding, tuple) else 0
    if padding == "same":
        pads = same_padding(x.shape[2:], weight.shape[2:], strides, dilation)
        zeros = symmetric(pads)
        if zeros is None:  # only then is a padded copy needed
            x, zeros = pad(x, pads), 0
    return _CONVOLVE[x.dim() - 2](x, weight, bias, strides, zeros, dilation, groups)


def bias_weight(layer: Any, size: int | None) -> Weight | None:
    """The bias of a convolution by the settings that all of them share; None without one."""
    if not layer.use_bias:
        return None
    weight: Weight = layer.add_weight(
        shape=(size,),
        initializer=layer.bias_initializer,
        regularizer=layer.bias_regularizer,
        constraint=layer.bias_constraint,
        name="bias",
    )
    return weight


class BaseConv(Layer):
    """What convolutions of every rank share; `rank` is the number of spatial axes."""

    def __init__(
        self,
        rank: int,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: Padding = "valid",
        data_format: DataFormat | None = None,
        dilation_rate: Sizes = 1,
        groups: int = 1,
        activation: Act = None,
        use_bias: bool = True,
        kernel_initializer: Init = "glorot_uniform",
        bias_initializer: Init = "zeros",
        kernel_regularizer: Reg = None,
        bias_regularizer: Reg = None,
        activity_regularizer: Reg = None,
        kernel_constraint: Con = None,
        bias_constraint: Con = None,
        **options: Unpack[BaseOptions],
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **options)
        owner = type(self).__name__
        self.rank = rank
        self.filters = check_positive_int("filters", filters, owner=owner)
        self.kernel_size = check_tuple("kernel_size", kernel_size, rank, owner=owner)
        self.strides = check_tuple("strides", strides, rank, owner=owner)
        self.padding = check_padding(padding, rank, owner=owner)
        self.data_format = check_data_format(data_format, owner=owner)
        self.dilation_rate = check_tuple("dilation_rate", dilation_rate, rank, owner=owner)
        self.groups = check_positive_int("groups", groups, owner=owner)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.receptive = (self.kernel_size, self.strides, self.dilation_rate)
        self._check_settings(owner)

    def _check_settings(self, owner: str) -> None:
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ArgumentError(
                f"{owner}: strides={self.strides} and dilation_rate={self.dilation_rate} "
                "cannot both be above 1",
                where=f"{owner}(strides=..., dilation_rate=...)",
                why="a dilated kernel with strides leaves pixels that no output ever sees",
                fix="keep one of them at 1",
            )
        if self.filters % self.groups:
            raise ArgumentError(
                f"{owner}: filters={self.filters} cannot be shared among groups={self.groups}",
                where=f"{owner}(groups=...)",
                why="every group makes the same number of filters",
                fix=f"{owner}(filters={-(-self.filters // self.groups) * self.groups})",
            )

    def build(self, input_shape: Shape) -> None:
        owner = type(self).__name__
        check_spatial_rank(input_shape, self.rank, self.data_format, owner=owner)
        if self.padding == "valid":
            check_window_fits(
                input_shape, self.kernel_size, self.dilation_rate, self.data_format, owner=owner
            )
        channels = input_shape[-1 if self.data_format == "channels_last" else 1]
        if channels is not None and channels % self.groups:
            raise ShapeError(
                f"{owner}: {channels} channels cannot be shared among groups={self.groups}",
                where=f"layer {self.name!r}, input {shape_text(input_shape)}",
                why="every group reads the same number of channels",
                fix=f"groups that divide {channels}",
            )
        self.weight = self.add_weight(
            shape=(
                *self.kernel_size,
                None if channels is None else channels // self.groups,
                self.filters,
            ),
            layout=_LAYOUT[self.rank],
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        self.bias = bias_weight(self, self.filters)

    @property
    def kernel(self) -> Tensor:
        """The weight in Keras' order, (*kernel_size, channels in, filters); the same memory."""
        return self.weight.keras_view

    def call(self, inputs: Tensor) -> Tensor:
        x = to_channels_first(inputs, self.data_format)  # (B, C, *S)
        y = convolve(
            x, self.weight, self.bias, self.strides, self.padding, self.dilation_rate, self.groups
        )
        return self.activation(from_channels_first(y, self.data_format))  # (B, *S, filters)


@register_layer("Conv2D", "Convolution2D")
class Conv2D(BaseConv):
    """Convolution of pictures: each filter slides over them and gives one channel.

    y[b, i, j, f] = act(b_f + sum over u, v, c of W[u, v, c, f] x[b, i s + u d, j s + v d, c])

    Args:
        filters: Channels of the output, >= 1.
        kernel_size: Height and width of the window in pixels, one number or two.
        strides: Step of the window in pixels. Not above 1 together with `dilation_rate`.
        padding: `"valid"`: only whole windows; `"same"`: zeros around, ceil(size / stride)
            outputs, the extra pixel at the end where the padding is odd. Ours: a number (or one
            per axis) of zeros on both sides, as PyTorch has it; files with it are not Keras'.
        data_format: `"channels_last"` (the default) or `"channels_first"`.
        dilation_rate: Distance between the pixels of a window.
        groups: Parts into which channels and filters are split; each part sees only itself.
        activation: Name or function applied to y; None: the identity.
        use_bias: Whether b is added.
        kernel_initializer, bias_initializer: First values of W and b.
        kernel_regularizer, bias_regularizer, activity_regularizer: Penalties on W, b and y.
        kernel_constraint, bias_constraint: Projections of W and b after each update.
    Shape: (B, H, W, C) -> (B, H', W', filters)
    Raises:
        ArgumentError: strides and dilation both above 1, or filters that groups do not divide.
        ShapeError: not four axes, channels that groups do not divide, a window that does not fit.
    Example:
        >>> Conv2D(8, 3, strides=2, padding="same")(torch.zeros(2, 32, 32, 3)).shape
        torch.Size([2, 16, 16, 8])

    Reference: LeCun et al. 1989. Numbers are Keras'; the weight is kept as torch keeps it
        (filters, C / groups, height, width), `kernel` is Keras' view of it.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = (1, 1),
        padding: Padding = "valid",
        data_format: DataFormat | None = None,
        dilation_rate: Sizes = (1, 1),
        groups: int = 1,
        activation: Act = None,
        use_bias: bool = True,
        kernel_initializer: Init = "glorot_uniform",
        bias_initializer: Init = "zeros",
        kernel_regularizer: Reg = None,
        bias_regularizer: Reg = None,
        activity_regularizer: Reg = None,
        kernel_constraint: Con = None,
        bias_constraint: Con = None,
        **options: Unpack[BaseOptions],
    ) -> None:
        super().__init__(
            2,
            filters,
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            groups,
            activation,
            use_bias,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            bias_regularizer,
            activity_regularizer,
            kernel_constraint,
            bias_constraint,
            **options,
        )
