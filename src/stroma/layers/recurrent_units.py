"""`SimpleRNN`, `LSTM`, `GRU`: the recurrent layers with one cell each."""

from __future__ import annotations

from typing import Any, Unpack

from stroma.core.axes import Shape, shape_text
from stroma.core.checks import check_choice
from stroma.core.errors import ArgumentError, ShapeError
from stroma.core.layer import BaseOptions
from stroma.layers.arguments import Act, Con, Init, Reg
from stroma.layers.recurrent import RNN
from stroma.layers.recurrent_cells import GRUCell, LSTMCell, SimpleRNNCell
from stroma.layers.registry import register_layer


def _of_cell(name: str) -> Any:
    return property(lambda layer: getattr(layer.cell, name), doc=f"The cell's `{name}`.")


class _UnitsLayer(RNN):
    """What the three share: their settings are their cell's."""

    units, activation, use_bias = map(_of_cell, ("units", "activation", "use_bias"))
    dropout, recurrent_dropout = map(_of_cell, ("dropout", "recurrent_dropout"))

    def build(self, sequences_shape: Shape, initial_state_shape: Any = None) -> None:
        if len(sequences_shape) > 3:
            raise ShapeError(
                f"{type(self).__name__} takes (batch, time, features), "
                f"got {shape_text(sequences_shape)}",
                where=f"layer {self.name!r}",
                why="each moment is one row of features",
                fix="Reshape((time, features)) before it, ConvLSTM2D for pictures, or "
                f"TimeDistributed({type(self).__name__}(...)) for sequences of sequences",
            )
        super().build(sequences_shape, initial_state_shape)

    def _choose_kernel(self, use_cudnn: bool | str) -> None:
        """Keras' switch: "auto" and True torch's kernel, False the loop."""
        owner = type(self).__name__
        self.use_cudnn = check_choice("use_cudnn", use_cudnn, ("auto", True, False), owner=owner)
        self.native = use_cudnn is not False
        if use_cudnn is True and not self.cell.is_native(training=True):
            raise ArgumentError(
                f"{owner}(use_cudnn=True): no kernel computes these settings",
                where=f"{owner}(use_cudnn=True)",
                why="kernels know tanh, sigmoid and reset_after=True, and drop no state",
                fix='use_cudnn="auto", which falls back to a loop over time',
            )


@register_layer("SimpleRNN")
class SimpleRNN(_UnitsLayer):
    """Elman's network: h_t = act(x_t W + h_(t-1) R + b), the output is h.

    With tanh or relu it runs on torch's kernel, masked or not.

    Args:
        units: Size of the state and the output, >= 1.
        activation: Name or function applied to the new state.
        use_bias: Whether b is added.
        kernel_initializer, recurrent_initializer, bias_initializer: First values of W, R and b.
        kernel_regularizer, recurrent_regularizer, bias_regularizer, activity_regularizer:
            Penalties on W, R, b and the output.
        kernel_constraint, recurrent_constraint, bias_constraint: Projections after each update.
        dropout: Fraction of the inputs to drop in training, in [0, 1]: the same at every step.
        recurrent_dropout: The same for the state. In training it needs the loop over time.
        return_sequences, return_state, go_backwards, stateful, unroll: As in `RNN`.
        seed: Makes the draws of dropout this layer's own.
        zero_output_for_mask: As in `RNN`.
    Shape: (B, T, D) -> (B, *, units)
    Raises: ShapeError: the input has not three axes.
    Example:
        >>> SimpleRNN(4)(torch.zeros(2, 5, 3)).shape
        torch.Size([2, 4])

    Reference: Elman 1990, "Finding structure in time".
    """

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
        activity_regularizer: Reg = None,
        kernel_constraint: Con = None,
        recurrent_constraint: Con = None,
        bias_constraint: Con = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        *,
        zero_output_for_mask: bool = False,
        **options: Unpack[BaseOptions],
    ) -> None:
        cell = SimpleRNNCell(
            units, activation, use_bias,
            kernel_initializer, recurrent_initializer, bias_initializer,
            kernel_regularizer, recurrent_regularizer, bias_regularizer,
            kernel_constraint, recurrent_constraint, bias_constraint,
            dropout, recurrent_dropout, seed, **_for_cell(options),
        )  # fmt: skip
        super().__init__(
            cell, return_sequences, return_state, go_backwards, stateful, unroll,
            zero_output_for_mask, activity_regularizer=activity_regularizer, **options,
        )  # fmt: skip


@register_layer("LSTM")
class LSTM(_UnitsLayer):
    """Long short-term memory: a state c that gates write, keep and show.

    i, f, g, o = x_t W + h_(t-1) R + b, four parts side by side;
    c_t = σ(f) c_(t-1) + σ(i) act(g); h_t = σ(o) act(c_t), the output.

    With tanh and sigmoid it runs on torch's kernel (oneDNN on a CPU, cuDNN on a GPU), masked or
    not; `recurrent_dropout` in training and other activations need a loop over time.

    Args:
        units: Size of each state and of the output, >= 1.
        activation: Name or function for g and for c on its way out.
        recurrent_activation: Name or function of the gates, σ above.
        use_bias: Whether b is added.
        kernel_initializer, recurrent_initializer, bias_initializer: First values of W, R and b.
        unit_forget_bias: Whether the bias of f begins with 1, so that c is kept at first.
        kernel_regularizer, recurrent_regularizer, bias_regularizer, activity_regularizer:
            Penalties on W, R, b and the output.
        kernel_constraint, recurrent_constraint, bias_constraint: Projections after each update.
        dropout: Fraction of the inputs to drop in training, in [0, 1]: the same at every step.
        recurrent_dropout: The same for h.
        seed: Makes the draws of dropout this layer's own.
        return_sequences, return_state, go_backwards, stateful, unroll: As in `RNN`; the states
            are h and c.
        use_cudnn: "auto": torch's kernel where it can; True: an error where it cannot; False:
            the loop.
        zero_output_for_mask: As in `RNN`.
        implementation: 1: each gate drops inputs of its own; 2: all the same ones.
    Shape: (B, T, D) -> (B, *, units)
    Raises: ShapeError: the input has not three axes. ArgumentError: `use_cudnn=True` with settings
        that no kernel knows.
    Example:
        >>> output, h, c = LSTM(4, return_sequences=True, return_state=True)(torch.zeros(2, 5, 3))
        >>> output.shape, h.shape, c.shape
        (torch.Size([2, 5, 4]), torch.Size([2, 4]), torch.Size([2, 4]))

    Reference: Hochreiter & Schmidhuber 1997; Gers et al. 2000 (f); Jozefowicz et al. 2015 (its
        bias). Weights are those of `nn.LSTMCell`, with one bias for its two.
    """

    recurrent_activation, unit_forget_bias = map(
        _of_cell, ("recurrent_activation", "unit_forget_bias")
    )

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
        unroll: bool = False,
        use_cudnn: bool | str = "auto",
        *,
        zero_output_for_mask: bool = False,
        implementation: int = 2,
        **options: Unpack[BaseOptions],
    ) -> None:
        cell = LSTMCell(
            units, activation, recurrent_activation, use_bias,
            kernel_initializer, recurrent_initializer, bias_initializer, unit_forget_bias,
            kernel_regularizer, recurrent_regularizer, bias_regularizer,
            kernel_constraint, recurrent_constraint, bias_constraint,
            dropout, recurrent_dropout, seed,
            implementation=implementation, **_for_cell(options),
        )  # fmt: skip
        super().__init__(
            cell, return_sequences, return_state, go_backwards, stateful, unroll,
            zero_output_for_mask, activity_regularizer=activity_regularizer, **options,
        )  # fmt: skip
        self._choose_kernel(use_cudnn)


@register_layer("GRU")
class GRU(_UnitsLayer):
    """Gated recurrent unit: a state that one gate keeps, and another hides from its successor.

    z, r = σ(x_t W + h_(t-1) R + b), two parts side by side;
    n = act(x_t W_n + b_n + r (h_(t-1) R_n + b'_n)); h_t = z h_(t-1) + (1 - z) n, the output.

    With tanh, sigmoid and `reset_after=True` it runs on torch's kernel, masked or not;
    `recurrent_dropout` in training and other settings need a loop over time.

    Args:
        units: Size of the state and the output, >= 1.
        activation: Name or function for n.
        recurrent_activation: Name or function of the gates, σ above.
        use_bias: Whether b is added.
        kernel_initializer, recurrent_initializer, bias_initializer: First values of W, R and b.
        kernel_regularizer, recurrent_regularizer, bias_regularizer, activity_regularizer:
            Penalties on W, R, b and the output.
        kernel_constraint, recurrent_constraint, bias_constraint: Projections after each update.
        dropout: Fraction of the inputs to drop in training, in [0, 1]: the same at every step.
        recurrent_dropout: The same for the state.
        seed: Makes the draws of dropout this layer's own.
        return_sequences, return_state, go_backwards, stateful, unroll: As in `RNN`.
        reset_after: Whether r is applied after the matrix R_n, as above, or before: (r h) R_n.
            With it, x and h have a bias each.
        use_cudnn: "auto": torch's kernel where it can; True: an error where it cannot; False:
            the loop.
        zero_output_for_mask: As in `RNN`.
        implementation: 1: each gate drops inputs of its own; 2: all the same ones.
    Shape: (B, T, D) -> (B, *, units)
    Raises: ShapeError: the input has not three axes. ArgumentError: `use_cudnn=True` with settings
        that no kernel knows.
    Example:
        >>> GRU(4, return_sequences=True)(torch.zeros(2, 5, 3)).shape
        torch.Size([2, 5, 4])

    Reference: Cho et al. 2014; v1 of the paper applies r after the matrix, v3 before. Weights have
        torch's layout with Keras' order of gates, z, r, n (torch: r, z, n, and 1 - z for z).
    """

    recurrent_activation, reset_after = map(_of_cell, ("recurrent_activation", "reset_after"))

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
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: bool | str = "auto",
        *,
        zero_output_for_mask: bool = False,
        implementation: int = 2,
        **options: Unpack[BaseOptions],
    ) -> None:
        cell = GRUCell(
            units, activation, recurrent_activation, use_bias,
            kernel_initializer, recurrent_initializer, bias_initializer,
            kernel_regularizer, recurrent_regularizer, bias_regularizer,
            kernel_constraint, recurrent_constraint, bias_constraint,
            dropout, recurrent_dropout, reset_after, seed,
            implementation=implementation, **_for_cell(options),
        )  # fmt: skip
        super().__init__(
            cell, return_sequences, return_state, go_backwards, stateful, unroll,
            zero_output_for_mask, activity_regularizer=activity_regularizer, **options,
        )  # fmt: skip
        self._choose_kernel(use_cudnn)


def _for_cell(options: BaseOptions) -> Any:
    """The options of a layer that its cell has, too."""
    return {key: options[key] for key in ("dtype", "trainable") if key in options}
