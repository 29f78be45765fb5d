"""Convolutions that look at each channel by itself, and mix channels afterwards or not at all."""

from __future__ import annotations

from typing import ClassVar, Unpack

from torch import Tensor

from stroma import activations, constraints, initializers, regularizers
from stroma.core.axes import Shape
from stroma.core.checks import check_positive_int, check_tuple
from stroma.core.errors import ShapeError
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
from stroma.layers.convolution import bias_weight
from stroma.layers.registry import register_layer

_LAYOUT = {1: "WCM->CMW", 2: "HWCM->CMHW"}
_POINTWISE_LAYOUT = {1: "WIO->OIW", 2: "HWIO->OIHW"}


class BaseDepthwise(Layer):
    """What these layers share: one small kernel, or several, for each channel by itself.

    The kernels are kept as (C, M, *kernel_size), M of them for each of C channels. With M = 1
    that is how torch keeps the weight of a convolution with as many groups as channels, so
    PyTorch's files load as they are.
    """

    rank: ClassVar[int]

    def __init__(
        self,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: Padding = "valid",
        depth_multiplier: int = 1,
        data_format: DataFormat | None = None,
        dilation_rate: Sizes = 1,
        activation: Act = None,
        use_bias: bool = True,
        depthwise_initializer: Init = "glorot_uniform",
        bias_initializer: Init = "zeros",
        depthwise_regularizer: Reg = None,
        bias_regularizer: Reg = None,
        activity_regularizer: Reg = None,
        depthwise_constraint: Con = None,
        bias_constraint: Con = None,
        **options: Unpack[BaseOptions],
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **options)
        owner, rank = type(self).__name__, self.rank
        self.kernel_size = check_tuple("kernel_size", kernel_size, rank, owner=owner)
        self.strides = check_tuple("strides", strides, rank, owner=owner)
        self.padding = check_padding(padding, rank, owner=owner)
        self.depth_multiplier = check_positive_int(
            "depth_multiplier", depth_multiplier, owner=owner
        )
        self.data_format = check_data_format(data_format, owner=owner)
        self.dilation_rate = check_tuple("dilation_rate", dilation_rate, rank, owner=owner)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.depthwise_constraint = constraints.get(depthwise_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.receptive = (self.kernel_size, self.strides, self.dilation_rate)

    def _check_input(self, shape: Shape) -> int | None:
        """The channels of an input that fits."""
        owner = type(self).__name__
        check_spatial_rank(shape, self.rank, self.data_format, owner=owner)
        if self.padding == "valid":
            check_window_fits(
                shape, self.kernel_size, self.dilation_rate, self.data_format, owner=owner
            )
        channels = shape[-1 if self.data_format == "channels_last" else 1]
        if channels == 0:
            raise ShapeError(
                f"{owner}: the input {tuple(shape)} has no channels",
                where=f"layer {self.name!r}",
                why="each channel has a kernel of its own",
                fix=f"give 1 channel or more, in the order of data_format={self.data_format!r}",
            )
        return channels

    def _depthwise_kernels(self, channels: int | None, name: str) -> Weight:
        return self.add_weight(
            shape=(*self.kernel_size, channels, self.depth_multiplier),
            layout=_LAYOUT[self.rank],
            initializer=self.depthwise_initializer,
            regularizer=self.depthwise_regularizer,
            constraint=self.depthwise_constraint,
            name=name,
        )

    def _each_channel(self, x: Tensor, kernels: Tensor, bias: Tensor | None) -> Tensor:
        """Shape: (B, C, *S) -> (B, C * M, *S')"""
        weight = kernels.flatten(0, 1).unsqueeze(1)  # (C * M, 1, *kernel_size), a view if M = 1
        return convolve(x, weight, bias, self.strides, self.padding, self.dilation_rate, x.shape[1])


class BaseDepthwiseConv(BaseDepthwise):
    """Depthwise convolution over `rank` spatial axes."""

    def build(self, input_shape: Shape) -> None:
        channels = self._check_input(input_shape)
        self.weight = self._depthwise_kernels(channels, "kernel")
        self.bias = bias_weight(self, channels and channels * self.depth_multiplier)

    @property
    def kernel(self) -> Tensor:
        """The weight in Keras' order, (*kernel_size, C, M); the same memory."""
        return self.weight.keras_view

    def call(self, inputs: Tensor) -> Tensor:
        x = to_channels_first(inputs, self.data_format)  # (B, C, *S)
        y = self._each_channel(x, self.weight, self.bias)
        return self.activation(from_channels_first(y, self.data_format))  # (B, *S', C * M)


@register_layer("DepthwiseConv1D")
class DepthwiseConv1D(BaseDepthwiseConv):
    """Convolution of each channel of a sequence by itself: `DepthwiseConv2D` with one axis.

    Args:
        kernel_size: Steps in the window.
        strides: Step of the window.
        padding: As in `Conv2D`: `"valid"`, `"same"`, or a number of zeros on both sides.
        depth_multiplier: Kernels M, and with them outputs, for each channel, >= 1.
        data_format: `"channels_last"` (the default) or `"channels_first"`.
        dilation_rate: Distance between the steps of a window.
        activation: Name or function applied to y; None: the identity.
        use_bias: Whether b is added.
        depthwise_initializer, bias_initializer: First values of W and b.
        depthwise_regularizer, bias_regularizer, activity_regularizer: Penalties on W, b and y.
        depthwise_constraint, bias_constraint: Projections of W and b after each update.
    Shape: (B, T, C) -> (B, T', C * M)
    Raises:
        ArgumentError: a size or a multiplier below 1.
        ShapeError: not three axes, or a window that does not fit.
    Example:
        >>> DepthwiseConv1D(5, padding="same")(torch.zeros(2, 32, 8)).shape
        torch.Size([2, 32, 8])

    Reference: Kaiser, Gomez & Chollet 2018, section 2.1. The weight is kept as (C, M, width).
    """

    rank = 1


@register_layer("DepthwiseConv2D")
class DepthwiseConv2D(BaseDepthwiseConv):
    """Convolution of each channel by itself: no channel sees another.

    y[b, i, j, c M + m] = act(b_cm + sum over u, v of W[u, v, c, m] x[b, i s + u d, j s + v d, c])

    Args:
        kernel_size: Height and width of the window in pixels, one number or two.
        strides: Step of the window in pixels.
        padding: As in `Conv2D`: `"valid"`, `"same"`, or a number of zeros on both sides.
        depth_multiplier: Kernels M, and with them outputs, for each channel, >= 1.
        data_format: `"channels_last"` (the default) or `"channels_first"`.
        dilation_rate: Distance between the pixels of a window.
        activation: Name or function applied to y; None: the identity.
        use_bias: Whether b is added.
        depthwise_initializer, bias_initializer: First values of W and b.
        depthwise_regularizer, bias_regularizer, activity_regularizer: Penalties on W, b and y.
        depthwise_constraint, bias_constraint: Projections of W and b after each update.
    Shape: (B, H, W, C) -> (B, H', W', C * M)
    Raises:
        ArgumentError: a size or a multiplier below 1.
        ShapeError: not four axes, or a window that does not fit.
    Example:
        >>> DepthwiseConv2D(3, strides=2, padding="same")(torch.zeros(2, 32, 32, 8)).shape
        torch.Size([2, 16, 16, 8])

    Reference: Sifre 2014, "Rigid-motion scattering for image classification", section 6.2. Numbers
        are Keras'. The weight is kept as (C, M, height, width), `kernel` is Keras' view of it.
    """

    rank = 2
    __init__ = keras_signature(BaseDepthwiseConv.__init__, strides=(1, 1), dilation_rate=(1, 1))


class BaseSeparableConv(BaseDepthwise):
    """Separable convolution over `rank` spatial axes."""

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: Padding = "valid",
        data_format: DataFormat | None = None,
        dilation_rate: Sizes = 1,
        depth_multiplier: int = 1,
        activation: Act = None,
        use_bias: bool = True,
        depthwise_initializer: Init = "glorot_uniform",
        pointwise_initializer: Init = "glorot_uniform",
        bias_initializer: Init = "zeros",
        depthwise_regularizer: Reg = None,
        pointwise_regularizer: Reg = None,
        bias_regularizer: Reg = None,
        activity_regularizer: Reg = None,
        depthwise_constraint: Con = None,
        pointwise_constraint: Con = None,
        bias_constraint: Con = None,
        **options: Unpack[BaseOptions],
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding,
            depth_multiplier,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            depthwise_initializer,
            bias_initializer,
            depthwise_regularizer,
            bias_regularizer,
            activity_regularizer,
            depthwise_constraint,
            bias_constraint,
            **options,
        )
        self.filters = check_positive_int("filters", filters, owner=type(self).__name__)
        self.pointwise_initializer = initializers.get(pointwise_initializer)
        self.pointwise_regularizer = regularizers.get(pointwise_regularizer)
        self.pointwise_constraint = constraints.get(pointwise_constraint)

    def build(self, input_shape: Shape) -> None:
        channels = self._check_input(input_shape)
        self.depthwise_weight = self._depthwise_kernels(channels, "depthwise_kernel")
        self.pointwise_weight = self.add_weight(
            shape=(*[1] * self.rank, channels and channels * self.depth_multiplier, self.filters),
            layout=_POINTWISE_LAYOUT[self.rank],
            initializer=self.pointwise_initializer,
            regularizer=self.pointwise_regularizer,
            constraint=self.pointwise_constraint,
            name="pointwise_kernel",
        )
        self.bias = bias_weight(self, self.filters)

    @property
    def depthwise_kernel(self) -> Tensor:
        """The first step's weight in Keras' order, (*kernel_size, C, M); the same memory."""
        return self.depthwise_weight.keras_view

    @property
    def pointwise_kernel(self) -> Tensor:
        """The second step's weight in Keras' order, (1, ..., C * M, filters); the same memory."""
        return self.pointwise_weight.keras_view

    def call(self, inputs: Tensor) -> Tensor:
        x, ones = to_channels_first(inputs, self.data_format), (1,) * self.rank  # (B, C, *S)
        z = self._each_channel(x, self.depthwise_weight, None)  # (B, C * M, *S')
        y = convolve(z, self.pointwise_weight, self.bias, ones, "valid", ones, 1)
        return self.activation(from_channels_first(y, self.data_format))  # (B, *S', filters)


@register_layer("SeparableConv1D", "SeparableConvolution1D")
class SeparableConv1D(BaseSeparableConv):
    """A convolution of sequences in two cheap steps: `SeparableConv2D` with one spatial axis.

    Args:
        filters: Channels of the output, >= 1.
        kernel_size: Steps in the depthwise window.
        strides: Step of the window.
        padding: As in `Conv2D`: `"valid"`, `"same"`, or a number of zeros on both sides.
        data_format: `"channels_last"` (the default) or `"channels_first"`.
        dilation_rate: Distance between the steps of a window.
        depth_multiplier: Kernels M for each channel in the first step, >= 1.
        activation: Name or function applied to y; None: the identity. None between the steps.
        use_bias: Whether b is added.
        depthwise_initializer, pointwise_initializer, bias_initializer: First values.
        depthwise_regularizer, pointwise_regularizer, bias_regularizer, activity_regularizer:
            Penalties on the kernels, b and y.
        depthwise_constraint, pointwise_constraint, bias_constraint: Projections after updates.
    Shape: (B, T, C) -> (B, T', filters)
    Raises:
        ArgumentError: a size, a multiplier or filters below 1.
        ShapeError: not three axes, or a window that does not fit.
    Example:
        >>> SeparableConv1D(16, 3, padding="same")(torch.zeros(2, 32, 8)).shape
        torch.Size([2, 32, 16])

    Reference: Kaiser, Gomez & Chollet 2018, "Depthwise Separable Convolutions for NMT".
    """

    rank = 1


@register_layer("SeparableConv2D", "SeparableConvolution2D")
class SeparableConv2D(BaseSeparableConv):
    """A convolution in two cheap steps: each channel by itself, then a 1x1 mix of channels.

    y = act(b + P z), z = the depthwise convolution of x, P the pointwise kernel. It takes
    C M (height * width + filters) multiplications a pixel, `Conv2D` C * height * width * filters.

    Args:
        filters: Channels of the output, >= 1.
        kernel_size: Height and width of the depthwise window in pixels, one number or two.
        strides: Step of the window in pixels.
        padding: As in `Conv2D`: `"valid"`, `"same"`, or a number of zeros on both sides.
        data_format: `"channels_last"` (the default) or `"channels_first"`.
        dilation_rate: Distance between the pixels of a window.
        depth_multiplier: Kernels M for each channel in the first step, >= 1.
        activation: Name or function applied to y; None: the identity. None between the steps.
        use_bias: Whether b is added.
        depthwise_initializer, pointwise_initializer, bias_initializer: First values.
        depthwise_regularizer, pointwise_regularizer, bias_regularizer, activity_regularizer:
            Penalties on the kernels, b and y.
        depthwise_constraint, pointwise_constraint, bias_constraint: Projections after updates.
    Shape: (B, H, W, C) -> (B, H', W', filters)
    Raises:
        ArgumentError: a size, a multiplier or filters below 1.
        ShapeError: not four axes, or a window that does not fit.
    Example:
        >>> SeparableConv2D(16, 3, padding="same")(torch.zeros(2, 32, 32, 8)).shape
        torch.Size([2, 32, 32, 16])

    Reference: Chollet 2017, "Xception: Deep Learning with Depthwise Separable Convolutions".
    """

    rank = 2
    __init__ = keras_signature(BaseSeparableConv.__init__, strides=(1, 1), dilation_rate=(1, 1))
