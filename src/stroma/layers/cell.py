"""What recurrent cells share: dropout that lasts a sequence, weights, and torch's kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from stroma import activations, constraints, initializers, regularizers
from stroma.core.axes import Shape, shape_text
from stroma.core.checks import check_choice, check_int, check_number, check_positive_int
from stroma.core.errors import ShapeError, not_defined
from stroma.core.layer import Layer, LayerOptions
from stroma.core.seeds import Draws
from stroma.functional.recurrent import Step
from stroma.layers.arguments import Act, Con, Init, Reg


class Kept(NamedTuple):
    """What dropout keeps, scaled, for a whole sequence: of the inputs and of the state.

    Each (B, D), or (G, B, D) where every gate drops for itself; None: nothing is dropped.
    """

    inputs: Tensor | None = None
    state: Tensor | None = None


class DroppingCell(Layer):
    """What cells with dropout share: `step` is their mathematics.

    Called by itself a cell draws anew what to drop; `RNN` draws once for a sequence (`stepper`).
    """

    gates: ClassVar[int]
    state_size: Any

    def _read_dropout(
        self, dropout: float, recurrent_dropout: float, seed: int | None, *, by_gate: bool
    ) -> None:
        owner = type(self).__name__
        self.dropout = check_number("dropout", dropout, owner=owner, minimum=0, maximum=1)
        self.recurrent_dropout = check_number(
            "recurrent_dropout", recurrent_dropout, owner=owner, minimum=0, maximum=1
        )
        self.seed = None if seed is None else check_int("seed", seed, owner=owner)
        self._by_gate = by_gate
        self._draws = Draws(self.seed)

    def _draw(self, like: Tensor, rate: float) -> Tensor | None:
        if rate == 0:
            return None
        shape = (self.gates, *like.shape) if self._by_gate else like.shape
        generator = self._draws.generator(like.device)
        kept = like.new_empty(shape).bernoulli_(1 - rate, generator=generator)
        return kept / (1 - rate) if rate < 1 else kept

    def stepper(self, training: bool = False) -> Step:
        """`step` for one sequence: what dropout drops is drawn at its first step."""
        kept = None if training else Kept()

        def step(inputs: Tensor, states: Any) -> tuple[Tensor, Any]:
            nonlocal kept
            listed = states if isinstance(states, (list, tuple)) else [states]
            if kept is None:
                kept = Kept(
                    self._draw(inputs, self.dropout),
                    self._draw(listed[0], self.recurrent_dropout),
                )
            output, new = self.step(inputs, listed, kept)
            return output, new if listed is states else new[0]

        return step

    def call(self, inputs: Tensor, states: Any, training: bool = False) -> Any:
        return self.stepper(training)(inputs, states)

    def step(self, inputs: Tensor, states: Sequence[Tensor], kept: Kept) -> tuple[Tensor, Any]:
        """One step: the output and the list of new states."""
        raise not_defined(self, "step(self, inputs, states, kept)", "it is the recurrence")


class UnitsCell(DroppingCell):
    """What the cells with `units` share: settings, weights, zeros as the first state.

    Args:
        units: Size of each state and of the output, >= 1.
        activation, recurrent_activation: Names or functions: of what is new, and of the gates.
        use_bias, unit_forget_bias: Whether a bias is added, and the forget gate's begins at 1.
        kernel_initializer, recurrent_initializer, bias_initializer: First values of W, R and b.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Penalties on W, R and b.
        kernel_constraint, recurrent_constraint, bias_constraint: Projections after each update.
        dropout, recurrent_dropout: Fractions of the inputs and of h to drop in training, in [0, 1].
        reset_after: Whether the reset gate acts after the product with R.
        seed: Makes the draws of dropout this cell's own.
        implementation: 1: each gate drops inputs of its own; 2: all the same ones.
    """

    def __init__(
        self,
        units: int,
        activation: Act,
        recurrent_activation: Act,
        use_bias: bool,
        kernel_initializer: Init,
        recurrent_initializer: Init,
        bias_initializer: Init,
        kernel_regularizer: Reg,
        recurrent_regularizer: Reg,
        bias_regularizer: Reg,
        kernel_constraint: Con,
        recurrent_constraint: Con,
        bias_constraint: Con,
        dropout: float,
        recurrent_dropout: float,
        seed: int | None,
        implementation: int | None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        owner = type(self).__name__
        self.units = check_positive_int("units", units, owner=owner)
        self.activation = activations.get(activation)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = regularizers.get(recurrent_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.recurrent_constraint = constraints.get(recurrent_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        if implementation is not None:
            check_choice("implementation", implementation, (1, 2), owner=owner)
            implementation = 1 if recurrent_dropout else implementation
        self.implementation = implementation
        self._read_dropout(dropout, recurrent_dropout, seed, by_gate=implementation == 1)
        self.state_size: Any = self.units
        self.output_size = self.units

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) != 2:
            raise ShapeError(
                f"{type(self).__name__} takes one moment, (batch, features), "
                f"got {shape_text(input_shape)}",
                where=f"layer {self.name!r}",
                why="a cell is one step; RNN takes it through a sequence",
                fix=f"RNN({type(self).__name__}({self.units}))(x) for x (batch, time, features)",
            )
        width = self.gates * self.units
        self.weight_ih = self.add_weight(
            shape=(input_shape[-1], width),
            layout="IO->OI",
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        self.weight_hh = self.add_weight(
            shape=(self.units, width),
            layout="IO->OI",
            initializer=self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
            name="recurrent_kernel",
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                shape=self._bias_shape(width),
                initializer=self._first_bias,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )

    def _bias_shape(self, width: int) -> tuple[int, ...]:
        return (width,)

    def _first_bias(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        initializer: Any = self.bias_initializer
        first: Tensor = initializer(shape, dtype=dtype)
        return first

    @property
    def kernel(self) -> Tensor:
        """W in Keras' order, (D, gates * units); the same memory."""
        return self.weight_ih.keras_view

    @property
    def recurrent_kernel(self) -> Tensor:
        """R in Keras' order, (units, gates * units); the same memory."""
        return self.weight_hh.keras_view

    def get_initial_state(self, batch_size: int | None = None) -> list[Tensor]:
        """Zeros, (B, units), for each state."""
        count = len(self.state_size) if isinstance(self.state_size, list) else 1
        return [self.weight_hh.new_zeros(batch_size or 0, self.units) for _ in range(count)]

    def is_native(self, training: bool) -> bool:
        """Whether one of torch's kernels computes this cell over a whole sequence."""
        gates_differ = self.dropout and self._by_gate
        return not (training and (self.recurrent_dropout or gates_differ))

    def sweep(
        self, x: Tensor, states: Any, lengths: Tensor | None, training: bool, keep: bool
    ) -> tuple[Tensor, Any]:
        """The cell over a whole sequence by torch's kernel.

        Args:
            x: (B, T, D).
            states: Before the first step.
            lengths: (B,) how many steps count, from the left; None: all.
            training: Whether dropout drops.
            keep: Whether the states at the end are wanted; else they may be wrong.
        Returns: Outputs (B, T, units), wrong where no step counts, and the states.
        """
        kept = self._draw(x[:, 0], self.dropout) if training else None
        x = x if kept is None else x * kept[:, None]
        return self._run(x, states, lengths, keep)

    def _run(
        self, x: Tensor, states: Any, lengths: Tensor | None, keep: bool
    ) -> tuple[Tensor, Any]:
        raise not_defined(self, "_run(self, x, states, lengths, keep)", "it calls torch's kernel")


def project(x: Tensor, weight: Tensor, bias: Tensor | None, kept: Tensor | None) -> Tensor:
    """x W + b for all gates side by side; with (G, B, D) kept each gate sees another x."""
    if kept is None or kept.dim() == x.dim():
        return F.linear(x if kept is None else x * kept, weight, bias)
    parts = torch.matmul(x * kept, torch.unflatten(weight, 0, (len(kept), -1)).mT)  # (G, B, U)
    projected = parts.movedim(0, 1).flatten(1)
    return projected if bias is None else projected + bias
