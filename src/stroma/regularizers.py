"""Penalties on weights or activations, looked up by name. Each gives a scalar in its input's dtype.

They see a weight in its Keras view (a kernel's last axis is its outputs).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from stroma.core.checks import check_choice, check_number
from stroma.core.config import Configurable, serialise
from stroma.core.errors import ShapeError, not_defined
from stroma.core.registry import Registry, resolve

registry: Registry[type[Regularizer]] = Registry("regularizer", "keras.regularizers")


class Regularizer(Configurable):
    """Base of all regularizers: override `__call__(x)`. A plain function serves as well."""

    def __call__(self, x: Tensor) -> Tensor:
        raise not_defined(self, "__call__(self, x)", "it says what the weight costs")


def _factor(name: str, value: float, owner: str) -> float:
    return check_number(name, value, owner=owner, minimum=0, maximum=sys.float_info.max)


@registry.register("L1", "l1")
class L1(Regularizer):
    """l1 * sum(|x|): drives weights to exactly zero.

    Args:
        l1: Factor, 0 or more.

    Example:
        >>> L1(0.1)(torch.tensor([1.0, -2.0]))
        tensor(0.3000)
    """

    def __init__(self, l1: float = 0.01) -> None:
        self.l1 = _factor("l1", 0.01 if l1 is None else l1, "L1")

    def __call__(self, x: Tensor) -> Tensor:
        return self.l1 * torch.sum(torch.abs(x))


@registry.register("L2", "l2")
class L2(Regularizer):
    """l2 * sum(x^2), without the half that some books put before it.

    Args:
        l2: Factor, 0 or more.

    Example:
        >>> L2(0.1)(torch.tensor([1.0, -2.0]))
        tensor(0.5000)
    """

    def __init__(self, l2: float = 0.01) -> None:
        self.l2 = _factor("l2", 0.01 if l2 is None else l2, "L2")

    def __call__(self, x: Tensor) -> Tensor:
        return self.l2 * torch.sum(torch.square(x))


@registry.register("L1L2", "l1_l2", "l1l2")
class L1L2(Regularizer):
    """l1 * sum(|x|) + l2 * sum(x^2), the elastic net. Both factors are 0 unless given.

    Reference: Zou & Hastie 2005, eq. 3.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1 = _factor("l1", l1 or 0.0, "L1L2")
        self.l2 = _factor("l2", l2 or 0.0, "L1L2")

    def __call__(self, x: Tensor) -> Tensor:
        penalty = x.new_zeros(())
        if self.l1:
            penalty = penalty + self.l1 * torch.sum(torch.abs(x))
        if self.l2:
            penalty = penalty + self.l2 * torch.sum(torch.square(x))
        return penalty


@registry.register("OrthogonalRegularizer", "orthogonal_regularizer")
class OrthogonalRegularizer(Regularizer):
    """factor * mean |cosine| between all pairs of rows (or columns) of a matrix.

    Args:
        factor: Factor, 0 or more.
        mode: Which vectors to make orthogonal: "rows" or "columns".

    Raises: ShapeError: the weight is not a matrix.
    """

    def __init__(self, factor: float = 0.01, mode: Literal["rows", "columns"] = "rows") -> None:
        self.factor = _factor("factor", factor, "OrthogonalRegularizer")
        self.mode = check_choice("mode", mode, ("rows", "columns"), owner="OrthogonalRegularizer")

    def __call__(self, x: Tensor) -> Tensor:
        if x.ndim != 2:
            raise ShapeError(
                f"OrthogonalRegularizer: the weight must be a matrix, got shape {tuple(x.shape)}",
                where="OrthogonalRegularizer()(weight)",
                why="it compares the rows or columns of a matrix",
                fix="use it on Dense kernels, or flatten the weight in a function of your own",
            )
        unit = F.normalize(x if self.mode == "rows" else x.T, dim=1, eps=1e-7)
        pairs = torch.triu(unit @ unit.T, diagonal=1)
        count = len(unit) * (len(unit) - 1) / 2
        return self.factor * torch.sum(torch.abs(pairs)) / count


def get(identifier: Any) -> Callable[[Tensor], Tensor] | None:
    """The regularizer named by a string, config, class, instance or function; None is None.

    Example:
        >>> get("l2").l2
        0.01
    """
    return resolve(registry, identifier)  # type: ignore[no-any-return]


def serialize(regularizer: Any) -> Any:
    """What a file holds for a regularizer."""
    return serialise(regularizer)


def deserialize(config: Any) -> Callable[[Tensor], Tensor] | None:
    """The regularizer that `serialize` wrote."""
    return get(config)


l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer

__all__ = [
    "Regularizer", "get", "serialize", "deserialize", "L1", "L1L2", "L2", "OrthogonalRegularizer",
    "l1", "l1_l2", "l2", "orthogonal_regularizer",
]  # fmt: skip
