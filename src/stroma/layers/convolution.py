"""Convolutions over any number of spatial axes."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

from torch import Tensor

from stroma import activations, constraints, initializers, regularizers
from stroma.core.axes import Shape, shape_text
from stroma.core.checks import check_positive_int, check_tuple
from stroma.core.errors import ArgumentError, ShapeError
from stroma.core.layer import BaseOptions, Layer
from stroma.core.weight import Weight
from stroma.functional.convolution import convolve
from stroma.functional.layout import from_channels_first, to_channels_first
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
    keras_signature,
)
from stroma.layers.registry import register_layer

LAYOUT = {1: "WIO->OIW", 2: "HWIO->OIHW", 3: "DHWIO->OIDHW"}


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

    rank: ClassVar[int]

    def __init__(
        self,
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
        rank = self.rank
        self.filters = check_positive_int("filters", filters, owner=owner)
        self.kernel_size = check_tuple("kernel_size", kernel_size, rank, owner=owner)
        self.strides = check_tuple("strides", strides, rank, owner=owner)
        self.padding = check_padding(padding, rank, owner=owner, causal=rank == 1)
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

    def _channels(self, input_shape: Shape) -> int | None:
        """The channels of an input that fits."""
        owner = type(self).__name__
        check_spatial_rank(input_shape, self.rank, self.data_format, owner=owner)
        return input_shape[-1 if self.data_format == "channels_last" else 1]

    def _make_weights(self, shape: Shape, layout: str) -> None:
        self.weight = self.add_weight(
            shape=shape,
            layout=layout,
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        self.bias = bias_weight(self, self.filters)

    def build(self, input_shape: Shape) -> None:
        owner = type(self).__name__
        channels = self._channels(input_shape)
        if self.padding == "valid":
            check_window_fits(
                input_shape, self.kernel_size, self.dilation_rate, self.data_format, owner=owner
            )
        if channels is not None and channels % self.groups:
            raise ShapeError(
                f"{owner}: {channels} channels cannot be shared among groups={self.groups}",
                where=f"layer {self.name!r}, input {shape_text(input_shape)}",
                why="every group reads the same number of channels",
                fix=f"groups that divide {channels}",
            )
        each = None if channels is None else channels // self.groups
        self._make_weights((*self.kernel_size, each, self.filters), LAYOUT[self.rank])

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


@register_layer("Conv1D", "Convolution1D")
class Conv1D(BaseConv):
    """Convolution of sequences: each filter slides over time and gives one channel.

    y[b, t, f] = act(b_f + sum over u, c of W[u, c, f] x[b, t s + u d, c])

    Args:
        filters: Channels of the output, >= 1.
        kernel_size: Steps in the window.
        strides: Step of the window. Not above 1 together with `dilation_rate`.
        padding: As in `Conv2D`, or `"causal"`: zeros in front, so that y at t sees x up to t
            and nothing later.
        data_format, groups, activation, use_bias: As in `Conv2D`.
        dilation_rate: Distance between the steps of a window.
        kernel_initializer, bias_initializer: First values of W and b.
        kernel_regularizer, bias_regularizer, activity_regularizer: Penalties on W, b and y.
        kernel_constraint, bias_constraint: Projections of W and b after each update.
    Shape: (B, T, C) -> (B, T', filters)
    Raises:
        ArgumentError: a size below 1, `filters` that `groups` does not divide.
        ShapeError: not three axes, or a window that does not fit.
    Example:
        >>> Conv1D(16, 3, padding="causal", dilation_rate=4)(torch.zeros(2, 100, 8)).shape
        torch.Size([2, 100, 16])

    Reference: Waibel et al. 1989 (time delay networks); "causal": van den Oord et al. 2016,
        "WaveNet", section 2.1. The weight is kept as torch keeps it, (filters, C / groups, width).
    """

    rank = 1


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

    rank = 2
    __init__ = keras_signature(BaseConv.__init__, strides=(1, 1), dilation_rate=(1, 1))


@register_layer("Conv3D", "Convolution3D")
class Conv3D(BaseConv):
    """Convolution of volumes, or of pictures in a row: each filter slides over depth as well.

    Args:
        filters: Channels of the output, >= 1.
        kernel_size: Depth, height and width of the window in voxels, one number or three.
        strides: Step of the window. Not above 1 together with `dilation_rate`.
        padding, data_format, dilation_rate, groups, activation, use_bias: As in `Conv2D`.
        kernel_initializer, bias_initializer: First values of W and b.
        kernel_regularizer, bias_regularizer, activity_regularizer: Penalties on W, b and y.
        kernel_constraint, bias_constraint: Projections of W and b after each update.
    Shape: (B, S, H, W, C) -> (B, S', H', W', filters)
    Raises:
        ArgumentError: a size below 1, `filters` that `groups` does not divide.
        ShapeError: not five axes, or a window that does not fit.
    Example:
        >>> Conv3D(8, 3, strides=2, padding="same")(torch.zeros(2, 16, 16, 16, 1)).shape
        torch.Size([2, 8, 8, 8, 8])

    Reference: Ji et al. 2013, "3D Convolutional Neural Networks for Human Action Recognition".
    """

    rank = 3
    __init__ = keras_signature(BaseConv.__init__, strides=(1, 1, 1), dilation_rate=(1, 1, 1))
