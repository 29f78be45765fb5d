"""Transposed convolutions: pictures, sequences and volumes made larger by learned kernels."""

from __future__ import annotations

from typing import Unpack

from torch import Tensor

from stroma.core.axes import Shape
from stroma.core.checks import check_choice, check_tuple
from stroma.core.errors import ArgumentError
from stroma.core.layer import BaseOptions
from stroma.functional.convolution import convolve_transposed
from stroma.functional.layout import from_channels_first, to_channels_first
from stroma.layers.arguments import (
    Act,
    Con,
    DataFormat,
    Init,
    Padding,
    Reg,
    Sizes,
    keras_signature,
)
from stroma.layers.convolution import BaseConv
from stroma.layers.registry import register_layer

_LAYOUT = {1: "WOI->IOW", 2: "HWOI->IOHW", 3: "DHWOI->IODHW"}


class BaseConvTranspose(BaseConv):
    """What transposed convolutions of every rank share: the settings are those of `BaseConv`."""

    padding: str  # by name only

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: Padding = "valid",
        output_padding: Sizes | None = None,
        data_format: DataFormat | None = None,
        dilation_rate: Sizes = 1,
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
            filters,
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            1,
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
        owner = type(self).__name__
        self.padding = check_choice("padding", self.padding, ("valid", "same"), owner=owner)
        self.receptive = "unknown"
        self.output_padding = None
        if output_padding is not None:
            self.output_padding = check_tuple(
                "output_padding", output_padding, self.rank, owner=owner, minimum=0
            )
            if any(more >= step for more, step in zip(self.output_padding, self.strides)):
                raise ArgumentError(
                    f"{owner}: output_padding={self.output_padding} must stay below "
                    f"strides={self.strides}",
                    where=f"{owner}(output_padding=...)",
                    why="a convolution of that stride maps only the sizes in between to one size",
                    fix=f"{owner}(output_padding={tuple(s - 1 for s in self.strides)})",
                )

    def build(self, input_shape: Shape) -> None:
        channels = self._channels(input_shape)
        self._make_weights((*self.kernel_size, self.filters, channels), _LAYOUT[self.rank])

    @property
    def kernel(self) -> Tensor:
        """The weight in Keras' order, (*kernel_size, filters, channels in); the same memory."""
        return self.weight.keras_view

    def call(self, inputs: Tensor) -> Tensor:
        x = to_channels_first(inputs, self.data_format)  # (B, C, *S)
        y = convolve_transposed(
            x,
            self.weight,
            self.bias,
            self.strides,
            self.padding,
            self.output_padding,
            self.dilation_rate,
        )
        return self.activation(from_channels_first(y, self.data_format))  # (B, *S', filters)


@register_layer("Conv1DTranspose", "Convolution1DTranspose")
class Conv1DTranspose(BaseConvTranspose):
    """Transposed convolution of sequences: `Conv2DTranspose` with one spatial axis.

    Args:
        filters: Channels of the output, >= 1.
        kernel_size: Steps in the window.
        strides: By how much the sequence grows. Not above 1 together with `dilation_rate`.
        padding, output_padding, data_format, dilation_rate, activation, use_bias: As in
            `Conv2DTranspose`.
        kernel_initializer, bias_initializer: First values of W and b.
        kernel_regularizer, bias_regularizer, activity_regularizer: Penalties on W, b and y.
        kernel_constraint, bias_constraint: Projections of W and b after each update.
    Shape: (B, T, C) -> (B, T', filters)
    Raises:
        ArgumentError: a size below 1, output_padding that is not below strides.
        ShapeError: not three axes.
    Example:
        >>> Conv1DTranspose(4, 3, strides=2, padding="same")(torch.zeros(2, 50, 8)).shape
        torch.Size([2, 100, 4])

    Reference: Zeiler et al. 2010, "Deconvolutional Networks".
    """

    rank = 1


@register_layer("Conv2DTranspose", "Convolution2DTranspose")
class Conv2DTranspose(BaseConvTranspose):
    """Transposed convolution: the gradient of a convolution by its input, as a layer of its own.

    Every pixel of x lays its multiple of the kernel onto y, `strides` pixels after its neighbour's:
    y[b, i s + u d, j s + v d, f] collects W[u, v, f, c] x[b, i, j, c] over all i, j, u, v, c.

    Args:
        filters: Channels of the output, >= 1.
        kernel_size: Height and width of the window in pixels, one number or two.
        strides: By how much the picture grows. Not above 1 together with `dilation_rate`.
        padding: `"valid"`: all that the kernels cover, (size - 1) s + reach pixels, at least
            size * s; `"same"`: size * s pixels, an odd pixel too many cut at the end.
        output_padding: Pixels beyond (size - 1) s + reach (under `"same"`: beyond
            (size - 1) s + reach mod 2), below `strides`; None: the sizes above.
        data_format: `"channels_last"` (the default) or `"channels_first"`.
        dilation_rate: Distance between the pixels of a window.
        activation: Name or function applied to y; None: the identity.
        use_bias: Whether a bias is added.
        kernel_initializer, bias_initializer: First values of W and b.
        kernel_regularizer, bias_regularizer, activity_regularizer: Penalties on W, b and y.
        kernel_constraint, bias_constraint: Projections of W and b after each update.
    Shape: (B, H, W, C) -> (B, H', W', filters)
    Raises:
        ArgumentError: a size below 1, output_padding that is not below strides.
        ShapeError: not four axes.
    Example:
        >>> Conv2DTranspose(8, 4, strides=2, padding="same")(torch.zeros(2, 16, 16, 3)).shape
        torch.Size([2, 32, 32, 8])

    Reference: Zeiler et al. 2010, "Deconvolutional Networks"; Dumoulin & Visin 2016, chapter 4.
        The weight is kept as torch keeps it, (C, filters, height, width).
    """

    rank = 2
    __init__ = keras_signature(BaseConvTranspose.__init__, strides=(1, 1), dilation_rate=(1, 1))


@register_layer("Conv3DTranspose", "Convolution3DTranspose")
class Conv3DTranspose(BaseConvTranspose):
    """Transposed convolution of volumes: `Conv2DTranspose` with three spatial axes.

    Args:
        filters: Channels of the output, >= 1.
        kernel_size: Depth, height and width of the window in voxels, one number or three.
        strides: By how much the volume grows. Not above 1 together with `dilation_rate`.
        padding, data_format, output_padding, dilation_rate, activation, use_bias: As in
            `Conv2DTranspose`; by position `data_format` comes first here, as in Keras.
        kernel_initializer, bias_initializer: First values of W and b.
        kernel_regularizer, bias_regularizer, activity_regularizer: Penalties on W, b and y.
        kernel_constraint, bias_constraint: Projections of W and b after each update.
    Shape: (B, S, H, W, C) -> (B, S', H', W', filters)
    Raises:
        ArgumentError: a size below 1, output_padding that is not below strides.
        ShapeError: not five axes.
    Example:
        >>> Conv3DTranspose(4, 2, strides=2)(torch.zeros(2, 4, 5, 6, 3)).shape
        torch.Size([2, 8, 10, 12, 4])

    Reference: Zeiler et al. 2010, "Deconvolutional Networks".
    """

    rank = 3
    __init__ = keras_signature(
        BaseConvTranspose.__init__,
        *("filters", "kernel_size", "strides", "padding", "data_format"),
        strides=(1, 1, 1),
        dilation_rate=(1, 1, 1),
    )
