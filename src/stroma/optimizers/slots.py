"""What an optimizer keeps for each parameter: the table of slots, and its state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from stroma.core.errors import WeightsError


class Slot(NamedTuple):
    """One tensor that an optimizer keeps for one parameter, in the parameter's own layout."""

    name: str
    parameter: nn.Parameter
    value: Tensor


class SlotTable:
    """Parameters in the order in which they came, with one tensor for every slot name.

    A parameter has its slots from the first time that it may change: what is frozen from the
    beginning costs no memory, and what is frozen later keeps them.

    Args:
        shape_of: Gives the shape of a parameter's slot by its name; None: it has no such slot.
    """

    def __init__(self, shape_of: Callable[[str, Tensor], tuple[int, ...] | None]) -> None:
        self._shape_of = shape_of
        self.parameters: list[nn.Parameter] = []
        self.index: dict[Tensor, int] = {}
        self.values: dict[str, dict[int, Tensor]] = {}  # slot name -> parameter's index -> slot
        self.first: list[int] = []  # number of updates done before each one's first; -1: none yet
        self._starts: dict[str, float | None] = {}
        self._made: set[int] = set()

    def add(self, parameters: Iterable[nn.Parameter], starts: Mapping[str, float | None]) -> None:
        """Take in unknown parameters, and make the slots of those that may change now.

        A start value of None is the parameter itself.
        """
        self._starts = dict(starts)
        for name in starts:
            self.values.setdefault(name, {})
        for parameter in parameters:
            if parameter not in self.index:
                self.index[parameter] = len(self.parameters)
                self.parameters.append(parameter)
                self.first.append(-1)
            if parameter.requires_grad:
                self.make([self.index[parameter]])

    @torch.no_grad()
    def make(self, indices: Iterable[int]) -> None:
        """Make the slots of parameters that have none yet."""
        for index in indices:
            if index in self._made:
                continue
            self._made.add(index)
            parameter = self.parameters[index]
            for name, start in self._starts.items():
                shape = self._shape_of(name, parameter)
                if shape is None:
                    continue
                slot = _empty(parameter.detach(), shape)
                if start is None:
                    slot.copy_(parameter)
                else:  # a complex number counts as two real ones
                    slot.fill_(complex(start, start) if slot.is_complex() else start)
                self.values[name][index] = slot

    def at(self, name: str, indices: Iterable[int]) -> list[Tensor]:
        """The slots called `name` of the chosen parameters."""
        column = self.values[name]
        return [column[index] for index in indices]

    def ordered(self, names: Sequence[str]) -> list[Slot]:
        """The slots of these names, parameter by parameter."""
        return [
            Slot(name, parameter, self.values[name][index])
            for index, parameter in enumerate(self.parameters)
            if index in self._made
            for name in names
            if index in self.values[name]
        ]

    def state(self) -> dict[str, Tensor]:
        """`first_iterations` and one `{parameter index}.{slot name}` for each slot."""
        state = {"first_iterations": torch.tensor(self.first, dtype=torch.int64)}
        for name, column in self.values.items():
            state |= {f"{index}.{name}": column[index] for index in sorted(column)}
        return state

    def check(self, state: Mapping[str, Tensor], *, owner: str) -> None:
        """Raise `WeightsError` unless `state` has the keys and shapes of this table.

        A parameter that was never updated may have no slots; any other has all of them.
        """
        first = state.get("first_iterations", torch.tensor([]))
        known = first.tolist() if len(first) == len(self.parameters) else self.first
        shapes: dict[str, tuple[int, ...]] = {"first_iterations": (len(self.parameters),)}
        for index, parameter in enumerate(self.parameters):
            if known[index] >= 0 or self._is_in(state, index):
                found = {name: self._shape_of(name, parameter) for name in self.values}
                shapes |= {f"{index}.{n}": shape for n, shape in found.items() if shape is not None}
        wrong = sorted(shapes.keys() ^ state.keys())
        wrong += [key for key in shapes if key in state and shapes[key] != tuple(state[key].shape)]
        if wrong:
            raise WeightsError(
                f"{owner}: the state does not fit: {', '.join(wrong[:5])}"
                + (f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""),
                where=f"{owner}.load_state_dict(state)",
                why=f"this optimizer has {len(self.parameters)} parameters with the slots "
                f"{', '.join(self.values) or 'none'}; keys and shapes must be the same",
                fix="optimizer.build(model.parameters()) on the same model and options, then load",
            )

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Copy a state that `check` found right into the slots."""
        self.first = state["first_iterations"].tolist()
        chosen = [i for i in range(len(self.parameters)) if self._is_in(state, i)]
        self.make(chosen)
        for name, column in self.values.items():
            for index in column.keys() & chosen:
                column[index].copy_(state[f"{index}.{name}"])
            for index in column.keys() - chosen:  # it had none then: it begins anew
                del column[index]
        if self.values:
            self._made = set(chosen)

    def _is_in(self, state: Mapping[str, Tensor], index: int) -> bool:
        return any(f"{index}.{name}" in state for name in self.values)


def _empty(parameter: Tensor, shape: tuple[int, ...]) -> Tensor:
    if shape == parameter.shape:
        # preserve_format: fused kernels walk slot and weight in step, without strides
        return torch.empty_like(parameter, memory_format=torch.preserve_format)
    return parameter.new_empty(shape)
