"""What `add_weight` makes: an `nn.Parameter` with Keras' small protocol and a Keras view."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stroma.core.errors import ArgumentError, ShapeError, WeightsError


@dataclass(frozen=True, slots=True)
class WeightSpec:
    """What a layer knows of one weight besides its numbers.

    Args:
        name: Keras' name of it ("kernel"); torch's name is the attribute it is registered under.
        trainable: Whether training may change it while its layer is trainable.
        permutation: Axes of the torch tensor in the order of the Keras view; None: the same.
        regularizer: Penalty on the Keras view, added to the loss.
        constraint: Projection of the Keras view, applied after every update.
    """

    name: str
    trainable: bool
    permutation: tuple[int, ...] | None = None
    regularizer: Callable[[Tensor], Tensor] | None = None
    constraint: Callable[[Tensor], Tensor] | None = None


class Weight(nn.Parameter):
    """A parameter or a buffer (then it needs no gradient) in torch's layout.

    `keras_view` is the same memory with its axes in Keras' order; `assign`, `assign_add`,
    `assign_sub`, `numpy` and `get_weights` work on that view. Both kinds are `nn.Parameter`s,
    since only those pass through `torch.compile` and `torch.export` unharmed; what makes one a
    buffer is where it is registered.
    """

    spec: WeightSpec
    path: str

    def __new__(cls, data: Tensor, spec: WeightSpec, requires_grad: bool) -> Weight:
        weight: Weight = torch.Tensor._make_subclass(cls, data, requires_grad)
        weight.spec = spec
        weight.path = spec.name
        return weight

    def __init__(self, data: Tensor, spec: WeightSpec, requires_grad: bool) -> None:
        pass  # everything is done in __new__, as torch does for its own tensors

    def __deepcopy__(self, memo: dict[int, Any]) -> Weight:
        copied = Weight(
            self.detach().clone(memory_format=torch.preserve_format), self.spec, self.requires_grad
        )
        copied.path = self.path
        memo[id(self)] = copied
        return copied

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _rebuild, (self.detach(), self.spec, self.requires_grad, self.path)

    @property
    def name(self) -> str:  # torch says None for every tensor
        """Keras' name of it ("kernel"); `path` has the layer's before it."""
        return self.spec.name

    @property
    def value(self) -> Weight:
        """The tensor itself: Keras' spelling."""
        return self

    @property
    def trainable(self) -> bool:
        """Whether training may change it while its layer is trainable."""
        return self.spec.trainable

    @property
    def regularizer(self) -> Callable[[Tensor], Tensor] | None:
        return self.spec.regularizer

    @property
    def constraint(self) -> Callable[[Tensor], Tensor] | None:
        return self.spec.constraint

    @property
    def keras_view(self) -> Tensor:
        """The same memory with its axes in Keras' order; gradients flow through it."""
        if self.spec.permutation is None:
            return self
        view = self.permute(self.spec.permutation)
        if not torch.compiler.is_compiling():
            view.assign = self.assign  # type: ignore[attr-defined]  # layer.kernel.assign(...)
        return view

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """A NumPy copy of the Keras view."""
        view = (
            self.detach()
            if self.spec.permutation is None
            else self.detach().permute(self.spec.permutation)
        )
        return view.cpu().contiguous().numpy().copy()

    def assign(self, value: Any) -> Weight:
        """Set every element from a value of the Keras view's shape, or one that broadcasts."""
        with torch.no_grad():
            target = _view(self)
            target.copy_(_as(value, target))
        return self

    def assign_add(self, value: Any) -> Weight:
        """Add a value of the Keras view's shape in place."""
        with torch.no_grad():
            target = _view(self)
            target.add_(_as(value, target))
        return self

    def assign_sub(self, value: Any) -> Weight:
        """Subtract a value of the Keras view's shape in place."""
        with torch.no_grad():
            target = _view(self)
            target.sub_(_as(value, target))
        return self


def _rebuild(data: Tensor, spec: WeightSpec, requires_grad: bool, path: str) -> Weight:
    weight = Weight(data, spec, requires_grad)
    weight.path = path
    return weight


@dataclass(slots=True)
class _Later:
    left: float  # how many numbers the file being read still has
    device: str


_loading = threading.local()  # .later: _Later


@contextmanager
def values_come_later(elements: float = math.inf, *, device: str = "cpu") -> Iterator[None]:
    """Weights made here get memory, no values: a file has these, `elements` in all.

    So a network is rebuilt without drawing numbers that are overwritten at once, and a file whose
    description asks for more weights than it stores is refused before they are allocated. On the
    device "meta" they get no memory either: a network that is only looked at.
    """
    before = getattr(_loading, "later", None)
    _loading.later = _Later(elements, device)
    try:
        yield
    finally:
        _loading.later = before


def first_values(
    make: Callable[..., Any], shape: Sequence[int], dtype: torch.dtype, owner: str
) -> Tensor:
    """A new weight's numbers: from its initializer, or none yet under `values_come_later`."""
    later: _Later | None = getattr(_loading, "later", None)
    if later is None:
        return torch.as_tensor(make(shape, dtype=dtype)).to(dtype)
    count = math.prod(shape)
    if count > later.left:
        raise WeightsError(
            f"{owner} wants {count:,} numbers of shape {tuple(shape)}, "
            f"the file has {later.left:,} left",
            where="the weights of the file",
            why="the description of the network and its weights are not of one model",
            fix="fetch or save the file again",
        )
    later.left -= count
    return torch.empty(tuple(shape), dtype=dtype, device=later.device)


PROTOCOL = ("assign", "assign_add", "assign_sub")


def _view(weight: Tensor) -> Tensor:
    spec: WeightSpec | None = getattr(weight, "spec", None)
    return weight if spec is None or spec.permutation is None else weight.permute(spec.permutation)


def _as(value: Any, like: Tensor) -> Tensor:
    tensor = torch.as_tensor(value, dtype=like.dtype, device=like.device)
    if not _broadcasts(tuple(tensor.shape), tuple(like.shape)):
        raise ShapeError(
            f"cannot assign a value of shape {tuple(tensor.shape)} to a weight of shape "
            f"{tuple(like.shape)}",
            where="weight.assign(value)",
            why="weights keep their shape",
            fix=f"give a value of shape {tuple(like.shape)} (Keras' order of axes)",
        )
    return tensor


def _broadcasts(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    pairs = zip(reversed(shape), reversed(target))
    return len(shape) <= len(target) and all(size in (1, wanted) for size, wanted in pairs)


def layout_permutation(layout: str | None, rank: int) -> tuple[int, ...] | None:
    """From `"HWIO->OIHW"` (Keras' axes -> torch's axes) to the permutation torch -> Keras.

    Example:
        >>> layout_permutation("HWIO->OIHW", 4)
        (2, 3, 1, 0)
    """
    if layout is None:
        return None
    keras_axes, _, torch_axes = layout.partition("->")
    if len(keras_axes) != rank or sorted(keras_axes) != sorted(torch_axes):
        raise ArgumentError(
            f"layout {layout!r} does not fit a weight of rank {rank}",
            where="add_weight(layout=...)",
            why="it names each axis once in Keras' order, then '->', then torch's order",
            fix='layout="HWIO->OIHW" for a 2-D convolution kernel',
        )
    return tuple(torch_axes.index(axis) for axis in keras_axes)


def to_torch_layout(data: Tensor, permutation: tuple[int, ...] | None) -> Tensor:
    """Keras-ordered numbers in torch's layout; kernels of rank 4 and 5 in channels-last memory."""
    if permutation is None:
        return data
    inverse = [permutation.index(axis) for axis in range(len(permutation))]
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    return data.permute(inverse).contiguous(
        memory_format=formats.get(data.dim(), torch.contiguous_format)
    )
