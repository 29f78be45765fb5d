"""Long short-term memory whose states are pictures: `ConvLSTM1D`, `ConvLSTM2D`, `ConvLSTM3D`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, TypeAlias, Unpack

import torch
from torch import Tensor

from stroma import activations, constraints, initializers, regularizers
from stroma.core.axes import Shape, shape_text
from stroma.core.checks import check_choice, check_positive_int, check_tuple
from stroma.core.errors import ArgumentError, ShapeError
from stroma.core.layer import BaseOptions, LayerOptions
from stroma.functional.convolution import convolve
from stroma.functional.layout import from_channels_first, to_channels_first
from stroma.functional.padding import output_size
from stroma.layers.arguments import (
    Act,
    Con,
    DataFormat,
    Init,
    Reg,
    Sizes,
    check_data_format,
    check_window_fits,
    spatial_sizes,
)
from stroma.layers.cell import DroppingCell, Kept
from stroma.layers.convolution import LAYOUT
from stroma.layers.recurrent import RNN
from stroma.layers.recurrent_cells import lstm_gates, open_forget_gate
from stroma.layers.registry import register_layer

Window: TypeAlias = tuple[tuple[int, ...], str, tuple[int, ...]]  # strides, padding, dilation


class ConvLSTMCell(DroppingCell):
    """One step of a convolutional LSTM over `rank` spatial axes."""

    gates = 4

    def __init__(
        self,
        rank: int,
        owner: str,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes,
        padding: str,
        data_format: DataFormat | None,
        dilation_rate: Sizes,
        activation: Act,
        recurrent_activation: Act,
        use_bias: bool,
        kernel_initializer: Init,
        recurrent_initializer: Init,
        bias_initializer: Init,
        unit_forget_bias: bool,
        kernel_regularizer: Reg,
        recurrent_regularizer: Reg,
        bias_regularizer: Reg,
        kernel_constraint: Con,
        recurrent_constraint: Con,
        bias_constraint: Con,
        dropout: float,
        recurrent_dropout: float,
        seed: int | None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.rank = rank
        self.filters = check_positive_int("filters", filters, owner=owner)
        self.kernel_size = check_tuple("kernel_size", kernel_size, rank, owner=owner)
        self.strides = check_tuple("strides", strides, rank, owner=owner)
        lower = padding.lower() if isinstance(padding, str) else padding
        self.padding = check_choice("padding", lower, ("valid", "same"), owner=owner)
        self.data_format = check_data_format(data_format, owner=owner)
        self.dilation_rate = check_tuple("dilation_rate", dilation_rate, rank, owner=owner)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ArgumentError(
                f"{owner}: strides={self.strides} and dilation_rate={self.dilation_rate} "
                "cannot both be above 1",
                where=f"{owner}(strides=..., dilation_rate=...)",
                why="a dilated kernel with strides leaves pixels that no output ever sees",
                fix="keep one of them at 1",
            )
        self.activation = activations.get(activation)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.use_bias, self.unit_forget_bias = use_bias, unit_forget_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = regularizers.get(recurrent_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.recurrent_constraint = constraints.get(recurrent_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self._read_dropout(dropout, recurrent_dropout, seed, by_gate=True)
        self.state_size = [self.filters, self.filters]

    def build(self, input_shape: Shape) -> None:
        channels = input_shape[-1 if self.data_format == "channels_last" else 1]
        width, layout = 4 * self.filters, LAYOUT[self.rank]
        self.weight_ih = self.add_weight(
            shape=(*self.kernel_size, channels, width),
            layout=layout,
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        self.weight_hh = self.add_weight(
            shape=(*self.kernel_size, self.filters, width),
            layout=layout,
            initializer=self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
            name="recurrent_kernel",
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                shape=(width,),
                initializer=self._first_bias,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )

    def _first_bias(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        initializer: Any = self.bias_initializer
        if self.unit_forget_bias:
            return open_forget_gate(initializer, self.filters, dtype)
        first: Tensor = initializer(shape, dtype=dtype)
        return first

    def zeros(self, x: Tensor) -> list[Tensor]:
        """The first states for pictures (B, *S, C): as large as what the convolution leaves."""
        sizes = spatial_sizes(tuple(x.shape), self.data_format)
        settings = zip(sizes, self.kernel_size, self.strides, self.dilation_rate)
        places = [output_size(size, k, s, d, self.padding) for size, k, s, d in settings]  # type: ignore[arg-type]  # sizes of a tensor are known
        last = self.data_format == "channels_last"
        shape = [x.shape[0], *places, self.filters] if last else [x.shape[0], self.filters, *places]
        return [x.new_zeros(shape), x.new_zeros(shape)]

    def step(self, inputs: Tensor, states: Sequence[Tensor], kept: Kept) -> tuple[Tensor, Any]:
        ones = (1,) * self.rank
        window = (self.strides, self.padding, self.dilation_rate)
        gates = self._gates(inputs, self.weight_ih, self.bias, kept.inputs, window)
        gates = gates + self._gates(
            states[0], self.weight_hh, None, kept.state, (ones, "same", ones)
        )
        c = to_channels_first(states[1], self.data_format)
        h, c = (
            from_channels_first(state, self.data_format) for state in lstm_gates(gates, c, self, 1)
        )
        return h, [h, c]

    def _gates(
        self, x: Tensor, weight: Tensor, bias: Tensor | None, kept: Tensor | None, window: Window
    ) -> Tensor:
        """What the gates receive, side by side (B, 4 filters, *S); each may see an x of its own."""
        if kept is None:
            return convolve(to_channels_first(x, self.data_format), weight, bias, *window, 1)
        biases = [None] * 4 if bias is None else bias.chunk(4)
        parts = [
            convolve(to_channels_first(x * k, self.data_format), w, b, *window, 1)
            for k, w, b in zip(kept, weight.chunk(4), biases)
        ]
        return torch.cat(parts, dim=1)


class BaseConvLSTM(RNN):
    """What the three share; `rank` is the number of spatial axes."""

    rank: ClassVar[int]

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        data_format: DataFormat | None = None,
        dilation_rate: Sizes = 1,
        activation: Act = "tanh",
        recurrent_activation: Act = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Init = "glorot_uniform",
        recurrent_initializer: Init = "orthogonal",
        bias_initializer: Init = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Reg = None,
        recurrent_regularizer: Reg = None,
        bias_regularizer: Reg = None,
        activity_regularizer: Reg = None,
        kernel_constraint: Con = None,
        recurrent_constraint: Con = None,
        bias_constraint: Con = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        *,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **options: Unpack[BaseOptions],
    ) -> None:
        given: Any = {key: options[key] for key in ("dtype", "trainable") if key in options}
        cell = ConvLSTMCell(
            self.rank, type(self).__name__,
            filters, kernel_size, strides, padding, data_format, dilation_rate,
            activation, recurrent_activation, use_bias,
            kernel_initializer, recurrent_initializer, bias_initializer, unit_forget_bias,
            kernel_regularizer, recurrent_regularizer, bias_regularizer,
            kernel_constraint, recurrent_constraint, bias_constraint,
            dropout, recurrent_dropout, seed, **given,
        )  # fmt: skip
        super().__init__(
            cell, return_sequences, return_state, go_backwards, stateful, unroll,
            zero_output_for_mask, activity_regularizer=activity_regularizer, **options,
        )  # fmt: skip
        self.filters, self.data_format = cell.filters, cell.data_format

    def build(self, sequences_shape: Shape, initial_state_shape: Any = None) -> None:
        owner, cell = type(self).__name__, self.cell
        if len(sequences_shape) != self.rank + 3:
            raise ShapeError(
                f"{owner} takes {self.rank + 3} axes, got {shape_text(sequences_shape)}",
                where=f"layer {self.name!r}",
                why=f"they are batch, time, {self.rank} of space, and channels",
                fix="x[..., None] adds an axis of channels, x[:, None] one of time",
            )
        step_shape = (sequences_shape[0], *sequences_shape[2:])
        if cell.padding == "valid":
            check_window_fits(
                step_shape, cell.kernel_size, cell.dilation_rate, cell.data_format, owner=owner
            )
        super().build(sequences_shape, initial_state_shape)

    def _first_states(self, x: Tensor) -> Any:
        return self.cell.zeros(x[:, 0])

    def get_initial_state(self, batch_size: int) -> list[Any]:
        """Zeros for pictures of the size that the layer was built for."""
        zeros: list[Any] = self.cell.zeros(
            self.cell.weight_ih.new_empty(batch_size, *self._build_shape[2:])
        )
        return zeros


@register_layer("ConvLSTM1D")
class ConvLSTM1D(BaseConvLSTM):
    """Convolutional LSTM over rows: what a sensor array sees, moment by moment.

    As `ConvLSTM2D`, with one spatial axis.

    Args:
        filters: Channels of the states and the output, >= 1.
        kernel_size, strides, dilation_rate: Of the convolution of the input, one number.
        padding, data_format, activation, recurrent_activation, use_bias: As in `ConvLSTM2D`.
        kernel_initializer, recurrent_initializer, bias_initializer, unit_forget_bias: As in `LSTM`.
        kernel_regularizer, recurrent_regularizer, bias_regularizer, activity_regularizer:
            Penalties on W, R, b and the output.
        kernel_constraint, recurrent_constraint, bias_constraint: Projections after each update.
        dropout, recurrent_dropout, seed: As in `LSTM` with implementation 1.
        return_sequences, return_state, go_backwards, stateful: As in `RNN`.
        unroll, zero_output_for_mask: As in `RNN`.
    Shape: (B, T, W, C) -> (B, *, W', filters)
    Raises: ShapeError: not four axes, or a window that does not fit. ArgumentError: strides and
        dilation both above 1.
    Example:
        >>> ConvLSTM1D(4, 3)(torch.zeros(2, 5, 8, 3)).shape
        torch.Size([2, 6, 4])

    Reference: Shi et al. 2015.
    """

    rank = 1


@register_layer("ConvLSTM2D")
class ConvLSTM2D(BaseConvLSTM):
    """Convolutional LSTM over pictures: video, weather maps. * is a convolution.

    i, f, g, o = W * x_t + R * h_(t-1) + b, four parts of the channels;
    c_t = σ(f) c_(t-1) + σ(i) act(g); h_t = σ(o) act(c_t), the output.

    Args:
        filters: Channels of the states and the output, >= 1.
        kernel_size: Height and width of both convolutions' windows, one number or two.
        strides: Step of the window over the input. Not above 1 together with `dilation_rate`.
        padding: Of the input's convolution, "valid" or "same"; that of h is "same".
        data_format: "channels_last" (the default) or "channels_first", (B, T, C, H, W).
        dilation_rate: Distance between the pixels of a window over the input.
        activation, recurrent_activation: For g and c, and for the gates.
        use_bias: Whether b is added.
        kernel_initializer, recurrent_initializer, bias_initializer: First values of W, R and b.
        unit_forget_bias: Whether the bias of f begins with 1.
        kernel_regularizer, recurrent_regularizer, bias_regularizer, activity_regularizer:
            Penalties on W, R, b and the output.
        kernel_constraint, recurrent_constraint, bias_constraint: Projections after each update.
        dropout, recurrent_dropout: Fraction of x and of h to drop in training, in [0, 1]: the same
            at every step, for each gate its own.
        seed: Makes the draws of dropout this layer's own.
        return_sequences, return_state, go_backwards, stateful: As in `RNN`.
        unroll, zero_output_for_mask: As in `RNN`.
    Shape: (B, T, H, W, C) -> (B, *, H', W', filters)
    Raises: ShapeError: not five axes, or a window that does not fit. ArgumentError: strides and
        dilation both above 1.
    Example:
        >>> layer = ConvLSTM2D(4, 3, padding="same", return_sequences=True)
        >>> layer(torch.zeros(2, 5, 8, 8, 3)).shape
        torch.Size([2, 5, 8, 8, 4])

    Reference: Shi et al. 2015, "Convolutional LSTM network: a machine learning approach for
        precipitation nowcasting", without its peepholes, as in Keras. Height and width may be
        unknown when it is recorded; Keras wants them known.
    """

    rank = 2


@register_layer("ConvLSTM3D")
class ConvLSTM3D(BaseConvLSTM):
    """Convolutional LSTM over volumes: scans of a body in the course of time.

    As `ConvLSTM2D`, with three spatial axes.

    Args:
        filters: Channels of the states and the output, >= 1.
        kernel_size, strides, dilation_rate: Of the convolution of the input, one number or three.
        padding, data_format, activation, recurrent_activation, use_bias: As in `ConvLSTM2D`.
        kernel_initializer, recurrent_initializer, bias_initializer, unit_forget_bias: As in `LSTM`.
        kernel_regularizer, recurrent_regularizer, bias_regularizer, activity_regularizer:
            Penalties on W, R, b and the output.
        kernel_constraint, recurrent_constraint, bias_constraint: Projections after each update.
        dropout, recurrent_dropout, seed: As in `LSTM` with implementation 1.
        return_sequences, return_state, go_backwards, stateful: As in `RNN`.
        unroll, zero_output_for_mask: As in `RNN`.
    Shape: (B, T, S, H, W, C) -> (B, *, S', H', W', filters)
    Raises: ShapeError: not six axes, or a window that does not fit. ArgumentError: strides and
        dilation both above 1.
    Example:
        >>> ConvLSTM3D(2, 3)(torch.zeros(1, 2, 4, 4, 4, 1)).shape
        torch.Size([1, 2, 2, 2, 2])

    Reference: Shi et al. 2015.
    """

    rank = 3
