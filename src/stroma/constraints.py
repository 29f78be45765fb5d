"""Projections applied to a weight after each update, looked up by name.

They see a weight in its Keras view: `axis=0` of a Dense kernel, `axis=[0, 1, 2]` of a Conv2D
kernel, are the axes of the weights that feed one unit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from stroma.core.checks import check_number
from stroma.core.config import Configurable, serialise
from stroma.core.errors import not_defined
from stroma.core.registry import Registry, resolve

Axes: TypeAlias = int | Sequence[int]

registry: Registry[type[Constraint]] = Registry("constraint", "keras.constraints")

_EPSILON = 1e-7  # keeps an all-zero vector at zero


class Constraint(Configurable):
    """Base of all constraints: override `__call__(w)`. A plain function serves as well."""

    def __call__(self, w: Tensor) -> Tensor:
        raise not_defined(self, "__call__(self, w)", "it says what the weight becomes")


def _norm(w: Tensor, axis: Axes) -> Tensor:
    axes = axis if isinstance(axis, int) else tuple(axis)
    norm: Tensor = torch.linalg.vector_norm(w, dim=axes, keepdim=True)
    return norm


@registry.register("MaxNorm", "max_norm")
class MaxNorm(Constraint):
    """Weight vectors longer than `max_value` are shortened to it.

    Args:
        max_value: Largest norm, 0 or more.
        axis: Axis or axes that make one vector.

    Example:
        >>> MaxNorm(1.0)(torch.tensor([[3.0], [4.0]]))
        tensor([[0.6000],
                [0.8000]])

    Reference: Srebro & Shraibman 2005; Srivastava et al. 2014, sec. 5.1.
    """

    def __init__(self, max_value: float = 2, axis: Axes = 0) -> None:
        self.max_value = check_number("max_value", max_value, owner="MaxNorm", minimum=0)
        self.axis = axis

    def __call__(self, w: Tensor) -> Tensor:
        norm = _norm(w, self.axis)
        return w * (norm.clamp(max=self.max_value) / (_EPSILON + norm))


@registry.register("NonNeg", "non_neg")
class NonNeg(Constraint):
    """Negative weights become zero."""

    def __call__(self, w: Tensor) -> Tensor:
        return w.clamp(min=0)


@registry.register("UnitNorm", "unit_norm")
class UnitNorm(Constraint):
    """Weight vectors along `axis` get norm 1 (all-zero ones stay zero)."""

    def __init__(self, axis: Axes = 0) -> None:
        self.axis = axis

    def __call__(self, w: Tensor) -> Tensor:
        return w / (_EPSILON + _norm(w, self.axis))


@registry.register("MinMaxNorm", "min_max_norm")
class MinMaxNorm(Constraint):
    """Norms are drawn into [min_value, max_value], by the share `rate` at each step.

    Args:
        min_value: Smallest norm, 0 or more.
        max_value: Largest norm.
        rate: 1 enforces the bounds at once, less moves towards them step by step.
        axis: Axis or axes that make one vector.
    """

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: Axes = 0,
    ) -> None:
        self.min_value = check_number("min_value", min_value, owner="MinMaxNorm", minimum=0)
        self.max_value = check_number("max_value", max_value, owner="MinMaxNorm", minimum=min_value)
        self.rate = check_number("rate", rate, owner="MinMaxNorm", minimum=0, maximum=1)
        self.axis = axis

    def __call__(self, w: Tensor) -> Tensor:
        norm = _norm(w, self.axis)
        wanted = self.rate * norm.clamp(self.min_value, self.max_value) + (1 - self.rate) * norm
        return w * (wanted / (_EPSILON + norm))


def get(identifier: Any) -> Callable[[Tensor], Tensor] | None:
    """The constraint named by a string, config, class, instance or function; None is None.

    Example:
        >>> get("non_neg")(torch.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """
    return resolve(registry, identifier)  # type: ignore[no-any-return]


def serialize(constraint: Any) -> Any:
    """What a file holds for a constraint."""
    return serialise(constraint)


def deserialize(config: Any) -> Callable[[Tensor], Tensor] | None:
    """The constraint that `serialize` wrote."""
    return get(config)


max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm

__all__ = [
    "Constraint", "get", "serialize", "deserialize", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm",
    "max_norm", "min_max_norm", "non_neg", "unit_norm",
]  # fmt: skip
