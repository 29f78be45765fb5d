"""`RNN`: a cell taken through a sequence, on torch's kernels where one computes the cell."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Unpack

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten

from stroma.core.axes import Shape, shape_text
from stroma.core.checks import check_bool
from stroma.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from stroma.core.layer import Layer, LayerOptions
from stroma.core.registry import resolve
from stroma.core.shape_run import in_shape_run
from stroma.functional.recurrent import (
    Step,
    compress,
    like,
    run_steps,
    spread,
    step_for_all,
)
from stroma.layers.registry import layers_registry, register_layer


def as_cell(cell: Any, *, owner: str) -> Any:
    """A cell: an object with `call` and `state_size`, or the config of one."""
    if isinstance(cell, dict):
        cell = resolve(layers_registry, cell)
    for attribute, why in (
        ("call", "call(inputs, states) is its step: it returns the output and the new states"),
        ("state_size", "state_size says how large its states are: a number, or a list of them"),
    ):
        if not hasattr(cell, attribute):
            raise ArgumentTypeError(
                f"{owner} takes a cell, got {type(cell).__name__}, which has no {attribute}",
                where=f"{owner}(cell)",
                why=why,
                fix=f"{owner}(LSTMCell(32))" if owner == "RNN" else f"{owner}([LSTMCell(32)])",
            )
    return cell


def build_cell(cell: Any, step_shape: Shape) -> None:
    """Build a cell that is a layer for the shape of one moment."""
    if isinstance(cell, Layer) and not cell.built:
        cell.build(step_shape)
        cell.built, cell._build_shape = True, step_shape


def stepper_of(cell: Any, training: bool) -> Step:
    """The cell's step for one sequence."""
    if hasattr(cell, "stepper"):
        stepper: Step = cell.stepper(training)
        return stepper
    if isinstance(cell, Layer):
        return lambda inputs, states: cell(inputs, states, training=training)
    return lambda inputs, states: cell.call(inputs, states)  # any object may be a cell


def first_states(cell: Any, x: Tensor) -> Any:
    """The states before the first step: the cell's own, else zeros; a list of structures."""
    if hasattr(cell, "get_initial_state"):
        states = cell.get_initial_state(batch_size=x.shape[0])
        states = tree_map(lambda state: state.to(x.device), states)
    else:
        states = tree_map(lambda size: x.new_zeros(x.shape[0], size), cell.state_size)
    return list(states) if isinstance(states, (list, tuple)) else [states]


@register_layer("StackedRNNCells")
class StackedRNNCells(Layer):
    """Several cells as one: each takes the output of the one before it, at the same moment.

    Its state is the list of theirs.

    Args:
        cells: Cells, or their configs, from the input upwards.
    Shape: (B, D), (B, units) -> (B, units), (B, units)
    Raises: ArgumentTypeError: one of them is no cell. ArgumentError: there is none.
    Example:
        >>> from stroma import layers
        >>> stack = layers.StackedRNNCells([layers.GRUCell(8), layers.LSTMCell(4)])
        >>> stack.state_size, stack.output_size
        ([8, [4, 4]], 4)
    """

    def __init__(self, cells: Iterable[Any], **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.cells = [as_cell(cell, owner="StackedRNNCells") for cell in cells]
        if not self.cells:
            raise ArgumentError(
                "StackedRNNCells has no cells",
                where="StackedRNNCells(cells=[])",
                why="the last cell's output is the stack's",
                fix="StackedRNNCells([LSTMCell(64), LSTMCell(32)])",
            )

    @property
    def state_size(self) -> list[Any]:
        """The sizes of each cell's states."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        """The size of the last cell's output."""
        return _output_size(self.cells[-1])

    def build(self, input_shape: Shape) -> None:
        for cell in self.cells:
            build_cell(cell, input_shape)
            input_shape = (input_shape[0], _output_size(cell))

    def get_initial_state(self, batch_size: int | None = None) -> list[Any]:
        """The first states of each cell."""
        x = next(iter(self.parameters()), torch.empty(0)).new_empty(batch_size or 0)
        states = [first_states(cell, x) for cell in self.cells]
        several = [isinstance(cell.state_size, (list, tuple)) for cell in self.cells]
        return [state if many else state[0] for many, state in zip(several, states)]

    def stepper(self, training: bool = False) -> Step:
        """One step of all cells, with what each one drops for a sequence."""
        steps = [stepper_of(cell, training) for cell in self.cells]

        def step(inputs: Tensor, states: Any) -> tuple[Tensor, Any]:
            new = []
            for one, state in zip(steps, states):
                inputs, state = one(inputs, state if isinstance(state, list) else [state])
                new.append(state)
            return inputs, new

        return step

    def call(self, inputs: Tensor, states: Any, training: bool = False) -> Any:
        return self.stepper(training)(inputs, states)

    def is_native(self, training: bool) -> bool:
        """Whether torch's kernels compute every cell."""
        return all(hasattr(cell, "sweep") and cell.is_native(training) for cell in self.cells)

    def sweep(
        self, x: Tensor, states: Any, lengths: Tensor | None, training: bool, keep: bool
    ) -> tuple[Tensor, Any]:
        """The cells over a whole sequence, one after the other; arguments as in `UnitsCell`."""
        new = []
        for cell, state in zip(self.cells, states):
            listed = state if isinstance(state, list) else [state]
            x, state = cell.sweep(x, listed, lengths, training, keep)
            new.append(state)
        return x, like(states, new)


def _output_size(cell: Any) -> int:
    size = getattr(cell, "output_size", None)
    if size is None:
        size = cell.state_size
    return int(size[0] if isinstance(size, (list, tuple)) else size)


@register_layer("RNN")
class RNN(Layer):
    """A cell taken through a sequence: at each moment output, states = cell(x[:, t], states).

    Where one of torch's kernels computes the cell (those of `SimpleRNN`, `LSTM`, `GRU` with their
    usual activations, and stacks of them) it runs over the whole sequence, masked or not;
    any other cell runs in a loop over time. A masked step leaves the states as they are, and its
    output is that of the step before.

    Args:
        cell: An object with `call(inputs, states)`, which returns the output and the new states,
            and `state_size`, a size or a list of sizes; a list of cells is a stack of them.
            `output_size` and `get_initial_state(batch_size)` are used where it has them.
        return_sequences: Whether the output is that of every step, or of the last alone.
        return_state: Whether the states after the last step come out as well.
        go_backwards: Whether the sequence is read from its end; outputs then stand in that order.
        stateful: Whether a batch begins with the states that the batch before it left, sample by
            sample; gradients stop between batches. `reset_state()` begins anew.
        unroll: Accepted for Keras' signature: a kernel has nothing to unroll, a loop always is.
        zero_output_for_mask: Whether outputs of masked steps are 0.
    Call arguments:
        sequences: (B, T, D).
        initial_state: The states before the first step, in a list; zeros by default.
        mask: (B, T), true where a step counts; by default the one that the input carries.
        training: Whether dropout drops.
    Shape: (B, T, D) -> (B, *, units)
    Raises: ArgumentTypeError: the cell has no `call` or `state_size`. ShapeError: the input has no
        axis of time, or states do not fit the batch.
    Example:
        >>> from stroma import layers
        >>> layer = layers.RNN([layers.GRUCell(8), layers.GRUCell(4)], return_sequences=True)
        >>> layer(torch.zeros(2, 5, 3)).shape
        torch.Size([2, 5, 4])

    Reference: Keras 3 `keras.layers.RNN`, which on torch is a loop in Python wherever there is a
        mask. A stateful layer may be recorded without `batch_size`: its first batch says it.
    """

    native = True  # False: always the loop

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        owner = type(self).__name__
        if isinstance(cell, (list, tuple)):
            cell = StackedRNNCells(cell)
        self.cell = as_cell(cell, owner=owner)
        self.return_sequences = check_bool("return_sequences", return_sequences, owner=owner)
        self.return_state = check_bool("return_state", return_state, owner=owner)
        self.go_backwards = check_bool("go_backwards", go_backwards, owner=owner)
        self.stateful = check_bool("stateful", stateful, owner=owner)
        self.unroll = check_bool("unroll", unroll, owner=owner)
        self.zero_output_for_mask = zero_output_for_mask
        self.supports_masking = True
        self._state_places: Any = None  # the states' structure, with the numbers of their buffers

    @property
    def state_size(self) -> list[Any]:
        """The sizes of the cell's states, in a list."""
        size = self.cell.state_size
        return list(size) if isinstance(size, (list, tuple)) else [size]

    def build(self, sequences_shape: Shape, initial_state_shape: Any = None) -> None:
        if len(sequences_shape) < 3:
            raise ShapeError(
                f"{type(self).__name__} takes (batch, time, features), "
                f"got {shape_text(sequences_shape)}",
                where=f"layer {self.name!r}",
                why="it goes through the axis of time, a cell sees the features of a moment",
                fix="x[..., None] makes each number a moment of one feature; x[None] adds a batch; "
                "word numbers go through Embedding first",
            )
        build_cell(self.cell, (sequences_shape[0], *sequences_shape[2:]))

    def call(
        self,
        sequences: Tensor,
        initial_state: Any = None,
        mask: Any = None,
        training: bool = False,
    ) -> Any:
        x = sequences if sequences.is_floating_point() else sequences.to(self._compute_dtype)
        states = self._states_before(x, initial_state)
        seen = self._check_mask(mask, x)
        if self.go_backwards:
            x, seen = x.flip(1), None if seen is None else seen.flip(1)
        outputs, states = self._sweep(x, states, seen, training)
        if self.stateful:
            self._keep(states)
        return (outputs, *states) if self.return_state else outputs

    def _sweep(
        self, x: Tensor, states: Any, seen: Tensor | None, training: bool
    ) -> tuple[Tensor, Any]:
        """All outputs or the last one, as asked for, and the states at the end."""
        if in_shape_run():
            step = stepper_of(self.cell, training)
            return step_for_all(step, x, states, every=self.return_sequences)
        if not (self.native and self._has_kernel(x, training)):
            return run_steps(
                stepper_of(self.cell, training),
                x,
                states,
                seen,
                zero_masked=self.zero_output_for_mask,
                every=self.return_sequences,
            )
        lengths, keep = None, self.return_state or self.stateful
        if seen is not None:
            x, lengths = compress(x, seen)
        outputs, states = self.cell.sweep(x, states, lengths, training, keep)
        if seen is None:
            return (outputs if self.return_sequences else outputs[:, -1]), states
        count = seen.cumsum(1)
        if not self.return_sequences:
            count, seen = count[:, -1:], seen[:, -1:]
        outputs = spread(outputs, count, seen if self.zero_output_for_mask else count > 0)
        return (outputs if self.return_sequences else outputs[:, 0]), states

    def _has_kernel(self, x: Tensor, training: bool) -> bool:
        # oneDNN's kernel on a CPU cannot be traced for gradients: AOTAutograd raises (torch 2.13)
        untraceable = (
            torch.compiler.is_compiling() and torch.is_grad_enabled() and x.device.type == "cpu"
        )
        known = hasattr(self.cell, "sweep") and not untraceable
        return bool(known and self.cell.is_native(training))

    def _check_mask(self, given: Any, x: Tensor) -> Tensor | None:
        given = given[0] if isinstance(given, (list, tuple)) else given
        if given is None:
            return None
        mask: Tensor = torch.as_tensor(given, device=x.device).bool()
        if mask.dim() == 3 and mask.shape[-1] == 1:
            mask = mask[..., 0]
        if mask.shape != x.shape[:2]:
            raise ShapeError(
                f"{type(self).__name__}: the mask is {shape_text(mask.shape)}, the sequences "
                f"{shape_text(x.shape)}",
                where=f"layer {self.name!r}: mask",
                why="it says of each moment whether it counts, so it is (batch, time)",
                fix=f"a mask of shape {tuple(x.shape[:2])}",
            )
        return mask

    # States

    def get_initial_state(self, batch_size: int) -> list[Any]:
        """What a batch of this size begins with: zeros, where the cell says nothing else."""
        x = next(iter(self.parameters()), torch.empty(0)).new_empty(batch_size)
        states: list[Any] = first_states(self.cell, x)
        return states

    def _first_states(self, x: Tensor) -> Any:
        return first_states(self.cell, x)

    def _states_before(self, x: Tensor, given: Any) -> Any:
        if given is None:
            kept = self.states
            if kept is None or in_shape_run():
                given = self._first_states(x)
            else:
                self._check_batch(kept, x)
                given = tree_map(torch.clone, kept)  # the kept ones change before backward
        elif not isinstance(given, (list, tuple)):
            given = [given]
        return tree_map(lambda s: torch.as_tensor(s, device=x.device, dtype=x.dtype), list(given))

    def _check_batch(self, kept: Any, x: Tensor) -> None:
        expected = tree_leaves(kept)[0].shape[0]
        if x.shape[0] != expected:
            raise ShapeError(
                f"a stateful {type(self).__name__} goes on with {expected} samples, "
                f"got a batch of {x.shape[0]}",
                where=f"layer {self.name!r}",
                why="each sample begins with the state that the one before it left, "
                "so all batches are of one size",
                fix=f"batch_size={expected} and a number of samples that it divides",
            )

    @property
    def states(self) -> list[Any] | None:
        """What the next batch of a stateful layer begins with; None before the first."""
        if self._state_places is None:
            return None
        states: list[Any] = tree_map(lambda n: getattr(self, f"rnn_state_{n}"), self._state_places)
        return states

    def _keep(self, states: Any) -> None:
        if in_shape_run():
            return
        leaves, structure = tree_flatten(states)
        with torch.no_grad():
            for index, state in enumerate(leaves):
                name = f"rnn_state_{index}"
                if self._state_places is None:
                    self.register_buffer(name, state.detach().clone(), persistent=False)
                else:
                    getattr(self, name).copy_(state)
        self._state_places = tree_unflatten(range(len(leaves)), structure)

    def reset_state(self) -> None:
        """Let the next batch of a stateful layer begin with zeros."""
        for state in tree_leaves(self.states):
            if state is not None:
                state.zero_()

    reset_states = reset_state

    # Masks

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The input's, where every step comes out; states have none."""
        mask = previous_mask[0] if isinstance(previous_mask, (list, tuple)) else previous_mask
        mask = mask if self.return_sequences else None
        return [mask, *[None] * len(self.state_size)] if self.return_state else mask
