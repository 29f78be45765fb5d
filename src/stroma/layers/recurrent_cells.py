"""Cells: one step of a recurrence. `RNN` takes them through a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack, cast

import torch
from torch import Tensor

from stroma import activations
from stroma.core.layer import LayerOptions
from stroma.functional.recurrent import at_length, gru, lstm, simple_rnn
from stroma.layers.arguments import Act, Con, Init, Reg
from stroma.layers.cell import Kept, UnitsCell, project
from stroma.layers.registry import register_layer

_TANH, _SIGMOID = (activations.tanh, torch.tanh), (activations.sigmoid, torch.sigmoid)


@register_layer("SimpleRNNCell")
class SimpleRNNCell(UnitsCell):
    """One step of Elman's network: h = act(x W + h R + b). For its arguments see `SimpleRNN`.

    Shape: (B, D), (B, units) -> (B, units), (B, units)
    Example:
        >>> output, states = SimpleRNNCell(4)(torch.zeros(2, 3), [torch.zeros(2, 4)])
        >>> output.shape, len(states)
        (torch.Size([2, 4]), 1)

    Reference: Elman 1990.
    """

    gates = 1

    def __init__(
        self,
        units: int,
        activation: Act = "tanh",
        use_bias: bool = True,
        kernel_initializer: Init = "glorot_uniform",
        recurrent_initializer: Init = "orthogonal",
        bias_initializer: Init = "zeros",
        kernel_regularizer: Reg = None,
        recurrent_regularizer: Reg = None,
        bias_regularizer: Reg = None,
        kernel_constraint: Con = None,
        recurrent_constraint: Con = None,
        bias_constraint: Con = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(
            units, activation, None, use_bias,
            kernel_initializer, recurrent_initializer, bias_initializer,
            kernel_regularizer, recurrent_regularizer, bias_regularizer,
            kernel_constraint, recurrent_constraint, bias_constraint,
            dropout, recurrent_dropout, seed, None, **options,
        )  # fmt: skip

    def step(self, inputs: Tensor, states: Sequence[Tensor], kept: Kept) -> tuple[Tensor, Any]:
        x = project(inputs, self.weight_ih, self.bias, kept.inputs)
        h = self.activation(x + project(states[0], self.weight_hh, None, kept.state))
        return h, [h]

    def is_native(self, training: bool) -> bool:
        known = (*_TANH, activations.relu, torch.relu)
        return self.activation in known and super().is_native(training)

    def _run(
        self, x: Tensor, states: Any, lengths: Tensor | None, keep: bool
    ) -> tuple[Tensor, Any]:
        name = "tanh" if self.activation in _TANH else "relu"
        outputs, _ = simple_rnn(x, states[0], self.weight_ih, self.weight_hh, self.bias, name)
        return outputs, [at_length(outputs, lengths, states[0])]


@register_layer("LSTMCell")
class LSTMCell(UnitsCell):
    """One step of long short-term memory. For its formula and arguments see `LSTM`.

    Shape: (B, D), (B, units) -> (B, units), (B, units)
    Example:
        >>> h, c = torch.zeros(2, 4), torch.zeros(2, 4)
        >>> output, states = LSTMCell(4)(torch.zeros(2, 3), [h, c])
        >>> output.shape, len(states)
        (torch.Size([2, 4]), 2)

    Reference: Hochreiter & Schmidhuber 1997; Gers et al. 2000 (the forget gate).
    """

    gates = 4

    def __init__(
        self,
        units: int,
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
        kernel_constraint: Con = None,
        recurrent_constraint: Con = None,
        bias_constraint: Con = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        *,
        implementation: int = 2,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(
            units, activation, recurrent_activation, use_bias,
            kernel_initializer, recurrent_initializer, bias_initializer,
            kernel_regularizer, recurrent_regularizer, bias_regularizer,
            kernel_constraint, recurrent_constraint, bias_constraint,
            dropout, recurrent_dropout, seed, implementation, **options,
        )  # fmt: skip
        self.unit_forget_bias = unit_forget_bias
        self.state_size = [self.units, self.units]

    def _first_bias(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        if not self.unit_forget_bias:
            return super()._first_bias(shape, dtype)
        return open_forget_gate(self.bias_initializer, self.units, dtype)

    def step(self, inputs: Tensor, states: Sequence[Tensor], kept: Kept) -> tuple[Tensor, Any]:
        h, c = states
        x = project(inputs, self.weight_ih, self.bias, kept.inputs)
        h, c = lstm_gates(x + project(h, self.weight_hh, None, kept.state), c, self, -1)
        return h, [h, c]

    def is_native(self, training: bool) -> bool:
        standard = self.activation in _TANH and self.recurrent_activation in _SIGMOID
        return standard and super().is_native(training)

    def _run(
        self, x: Tensor, states: Any, lengths: Tensor | None, keep: bool
    ) -> tuple[Tensor, Any]:
        held = lengths if keep else None
        outputs, (_, c) = lstm(x, states, self.weight_ih, self.weight_hh, self.bias, held)
        return outputs, [at_length(outputs, lengths, states[0]), c]


def open_forget_gate(initializer: Any, units: int, dtype: Any) -> Tensor:
    """The first bias of gates i, f, g, o, with ones for f: it remembers before it has learned."""
    parts = [initializer((units,), dtype=dtype), torch.ones(units, dtype=dtype)]
    return torch.cat([*parts, initializer((2 * units,), dtype=dtype)])


def lstm_gates(gates: Tensor, c: Tensor, cell: Any, axis: int) -> tuple[Tensor, Tensor]:
    """The new h and c from what the gates i, f, g, o receive, side by side along an axis."""
    i, f, g, o = gates.chunk(4, axis)
    c = cell.recurrent_activation(f) * c + cell.recurrent_activation(i) * cell.activation(g)
    return cell.recurrent_activation(o) * cell.activation(c), c


@register_layer("GRUCell")
class GRUCell(UnitsCell):
    """One step of a gated recurrent unit. For its formula and arguments see `GRU`.

    Shape: (B, D), (B, units) -> (B, units), (B, units)
    Example:
        >>> output, states = GRUCell(4)(torch.zeros(2, 3), [torch.zeros(2, 4)])
        >>> output.shape, len(states)
        (torch.Size([2, 4]), 1)

    Reference: Cho et al. 2014.
    """

    gates = 3

    def __init__(
        self,
        units: int,
        activation: Act = "tanh",
        recurrent_activation: Act = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Init = "glorot_uniform",
        recurrent_initializer: Init = "orthogonal",
        bias_initializer: Init = "zeros",
        kernel_regularizer: Reg = None,
        recurrent_regularizer: Reg = None,
        bias_regularizer: Reg = None,
        kernel_constraint: Con = None,
        recurrent_constraint: Con = None,
        bias_constraint: Con = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        seed: int | None = None,
        *,
        implementation: int = 2,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(
            units, activation, recurrent_activation, use_bias,
            kernel_initializer, recurrent_initializer, bias_initializer,
            kernel_regularizer, recurrent_regularizer, bias_regularizer,
            kernel_constraint, recurrent_constraint, bias_constraint,
            dropout, recurrent_dropout, seed, implementation, **options,
        )  # fmt: skip
        self.reset_after = reset_after

    def _bias_shape(self, width: int) -> tuple[int, ...]:
        return (2, width) if self.reset_after else (width,)

    def step(self, inputs: Tensor, states: Sequence[Tensor], kept: Kept) -> tuple[Tensor, Any]:
        h, bias, state_bias = states[0], cast(Tensor | None, self.bias), None
        if bias is not None and self.reset_after:
            bias, state_bias = bias.unbind()
        x_z, x_r, x_n = project(inputs, self.weight_ih, bias, kept.inputs).chunk(3, -1)
        if self.reset_after:
            h_z, h_r, h_n = project(h, self.weight_hh, state_bias, kept.state).chunk(3, -1)
            reset = self.recurrent_activation(x_r + h_r) * h_n
        else:
            both, candidate = torch.split(self.weight_hh, [2 * self.units, self.units])
            first, last = (None, None) if kept.state is None else (kept.state[:2], kept.state[2])
            h_z, h_r = project(h, both, None, first).chunk(2, -1)
            reset = project(self.recurrent_activation(x_r + h_r) * h, candidate, None, last)
        z = self.recurrent_activation(x_z + h_z)
        h = z * h + (1 - z) * self.activation(x_n + reset)
        return h, [h]

    def is_native(self, training: bool) -> bool:
        standard = self.activation in _TANH and self.recurrent_activation in _SIGMOID
        return standard and self.reset_after and super().is_native(training)

    def _run(
        self, x: Tensor, states: Any, lengths: Tensor | None, keep: bool
    ) -> tuple[Tensor, Any]:
        outputs, _ = gru(x, states[0], self.weight_ih, self.weight_hh, self.bias)
        return outputs, [at_length(outputs, lengths, states[0])]
