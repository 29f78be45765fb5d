"""What an optimizer keeps for each parameter: the table of slots, and its state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
    """Parameters in the order in which they came, each with one tensor for every slot name."""

    def __init__(self) -> None:
        self.parameters: list[nn.Parameter] = []
        self.index: dict[Tensor, int] = {}
        self.values: dict[str, list[Tensor]] = {}
        self.first: list[int] = []  # number of updates done before each one's first; -1: none yet

    @torch.no_grad()
    def add(self, parameters: Iterable[nn.Parameter], starts: Mapping[str, float | None]) -> None:
        """Take in unknown parameters; a start value of None is the parameter itself."""
        for parameter in parameters:
            if parameter in self.index:
                continue
            self.index[parameter] = len(self.parameters)
            self.parameters.append(parameter)
            self.first.append(-1)
            for name, start in starts.items():
                # preserve_format: fused kernels walk slot and weight in step, without strides
                slot = torch.empty_like(parameter.detach(), memory_format=torch.preserve_format)
                if start is None:
                    slot.copy_(parameter)
                else:  # a complex number counts as two real ones
                    slot.fill_(complex(start, start) if slot.is_complex() else start)
                self.values.setdefault(name, []).append(slot)

    def at(self, name: str, indices: Iterable[int]) -> list[Tensor]:
        """The slots called `name` of the chosen parameters."""
        column = self.values[name]
        return [column[index] for index in indices]

    def ordered(self, names: Sequence[str]) -> list[Slot]:
        """The slots of these names, parameter by parameter."""
        return [
            Slot(name, parameter, self.values[name][index])
            for index, parameter in enumerate(self.parameters)
            for name in names
        ]

    def state(self) -> dict[str, Tensor]:
        """`first_iterations` and one `{parameter index}.{slot name}` for each slot."""
        state = {"first_iterations": torch.tensor(self.first, dtype=torch.int64)}
        for name, column in self.values.items():
            state |= {f"{index}.{name}": value for index, value in enumerate(column)}
        return state

    def check(self, state: Mapping[str, Tensor], *, owner: str) -> None:
        """Raise `WeightsError` unless `state` has this table's keys and shapes."""
        own = self.state()
        wrong = sorted(own.keys() ^ state.keys())
        wrong += [key for key in own if key in state and own[key].shape != state[key].shape]
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
        for name, column in self.values.items():
            for index, value in enumerate(column):
                value.copy_(state[f"{index}.{name}"])
