"""What all initializers share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self, TypeAlias

from torch import Tensor

from stroma.core.config import Configurable
from stroma.core.dtypes import DTypeLike
from stroma.core.errors import not_defined
from stroma.core.registry import Registry

Shape: TypeAlias = Sequence[int]

registry: Registry[type[Initializer]] = Registry("initializer", "keras.initializers")


class Initializer(Configurable):
    """Base of all initializers: override `__call__(shape, dtype=None)`.

    A plain function `f(shape, dtype)` serves as well wherever an initializer is asked for.
    """

    def __call__(self, shape: Shape, dtype: DTypeLike = None) -> Tensor:
        raise not_defined(self, "__call__(self, shape, dtype=None)", "it makes the first values")

    def clone(self) -> Self:
        """A new object made with the same arguments (without a seed it draws its own)."""
        return self.from_config(self.get_config())
