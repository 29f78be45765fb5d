"""Parameters that move together, and how they are sorted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stroma.core.weight import WeightSpec
from stroma.optimizers.gradients import like
from stroma.optimizers.slots import SlotTable


@dataclass(frozen=True, slots=True)
class Group:
    """Parameters that move in one call: same device, dtype, age, decay, rate and names of slots.

    Args:
        parameters: The tensors to change in place.
        gradients: Their gradients, clipped, in the parameters' dtype and memory layout.
        slots: For each slot's name, one tensor for each parameter; all here have the same names.
        learning_rate: Rate of this update, times the factor of these parameters.
        weight_decay: Decoupled decay of these parameters, 0 when they are excluded from it.
        step: 1 at the first update of these parameters, then 2, 3, ...
        found_inf: Scalar on the parameters' device; where it is not 0 nothing may change.
    """

    parameters: list[Tensor]
    gradients: list[Tensor]
    slots: dict[str, list[Tensor]]
    learning_rate: float
    weight_decay: float
    step: int
    found_inf: Tensor | None

    @property
    def fused(self) -> bool:
        """Whether torch's fused kernels are used: elsewhere (MPS, XPU) they round differently."""
        return self.parameters[0].device.type in ("cpu", "cuda")

    def keras_views(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Tensors in the parameters' layout, one for each, with their axes in Keras' order."""
        orders = map(_keras_order, self.parameters)
        return [t.permute(order) if order else t for t, order in zip(tensors, orders)]

    def decay(self) -> None:
        """Decoupled weight decay, w <- w (1 - η λ), which the flag skips too."""
        if self.weight_decay:
            amount = self.learning_rate * self.weight_decay
            kept = 1 - amount if self.found_inf is None else 1 - amount * (1 - self.found_inf)
            torch._foreach_mul_(self.parameters, kept)


def grouped(
    table: SlotTable,
    active: Sequence[int],
    gradients: Sequence[Tensor],
    decays: Sequence[float],
    *,
    names: Sequence[str],
    learning_rate: float,
    rate_factors: Mapping[Tensor, float],
    iterations: int,
    found_inf: Tensor | None,
) -> list[Group]:
    """Sort the active parameters into groups; a parameter's age counts from its first update.

    Args:
        table: All parameters with their slots.
        active: Indices of the parameters to update.
        gradients: Their gradients.
        decays: Weight decay of every parameter of the table.
        names: The rule's own slots.
        learning_rate: Rate of this update.
        rate_factors: What it is multiplied by, for the parameters that are named.
        iterations: Number of updates done before.
        found_inf: Flag on any device, or None.
    """
    members: dict[tuple[Any, ...], list[tuple[int, Tensor]]] = defaultdict(list)
    for index, gradient in zip(active, gradients, strict=True):
        if table.first[index] < 0:
            table.first[index] = iterations
        parameter = table.parameters[index]
        factor = rate_factors.get(parameter, 1.0)
        kept = tuple(name for name in names if index in table.values[name])
        age = table.first[index]
        kind = parameter.device, parameter.dtype, age, decays[index], factor, kept
        members[kind].append((index, like(gradient, parameter)))
    groups = []
    for (device, dtype, first, decay, factor, kept), pairs in members.items():
        real = _as_real if dtype.is_complex else _unchanged
        groups.append(
            Group(
                parameters=real([table.parameters[index] for index, _ in pairs]),
                gradients=real([gradient for _, gradient in pairs]),
                slots={n: real([table.values[n][index] for index, _ in pairs]) for n in kept},
                learning_rate=learning_rate * factor,
                weight_decay=decay,
                step=iterations - first + 1,
                found_inf=None if found_inf is None else _flag(found_inf, device),
            )
        )
    return groups


def keras_shape(parameter: Tensor) -> tuple[int, ...]:
    """The shape of a parameter with its axes in Keras' order."""
    order = _keras_order(parameter)
    return tuple(parameter.shape[axis] for axis in order) if order else tuple(parameter.shape)


def _keras_order(parameter: Tensor) -> tuple[int, ...] | None:
    spec: WeightSpec | None = getattr(parameter, "spec", None)  # a plain parameter has none
    return None if spec is None else spec.permutation


def _flag(found_inf: Tensor, device: torch.device) -> Tensor:
    """The flag as fused kernels read it: a float32 scalar, 0 or 1, on the parameters' device."""
    return (found_inf != 0).to(device, torch.float32).reshape(())


def _as_real(tensors: Sequence[Tensor]) -> list[Tensor]:
    # kernels are real: a complex number moves as its two parts, as in torch.optim
    return [torch.view_as_real(tensor) for tensor in tensors]


def _unchanged(tensors: Sequence[Tensor]) -> list[Tensor]:
    return list(tensors)
