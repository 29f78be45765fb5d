"""Shapes come from running the code: twice, on torch's meta device, with sizes far apart.

Nothing is computed and no state changes: under `ShapeRun` every real tensor that meets a torch
function is swapped for a meta twin, and new tensors are born on the meta device. Weights are made
outside of it (`real_tensors`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

from stroma.core.axes import Shape
from stroma.core.meta_kernels import spare_the_compiler

# Highly composite and far apart: an unknown size survives many strides, and still differs after.
BATCH_PROBES = (240, 480)
AXIS_PROBES = (1920, 2688)

_state = threading.local()


def in_shape_run() -> bool:
    """Whether the code runs only to learn shapes: losses and metrics are not to be recorded."""
    return getattr(_state, "depth", 0) > 0


class _MetaTwins(TorchFunctionMode):
    """Swap every real tensor among a function's arguments for its twin on the meta device."""

    def __init__(self) -> None:
        super().__init__()
        self.twins: dict[int, tuple[Tensor, Tensor]] = {}

    def twin(self, tensor: Tensor) -> Tensor:
        if tensor.is_meta:
            return tensor
        if id(tensor) not in self.twins:  # the real one is kept alive, so its id stays its own
            meta = torch.empty_strided(
                tensor.size(), tensor.stride(), dtype=tensor.dtype, device="meta"
            )
            self.twins[id(tensor)] = (tensor, meta)
        return self.twins[id(tensor)][1]

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        args, kwargs = tree_map_only(Tensor, self.twin, (args, kwargs or {}))
        return func(*args, **kwargs)


@contextmanager
def shape_run() -> Iterator[None]:
    """Run the body on meta twins, without gradients and without a trace."""
    spare_the_compiler()
    _state.depth = getattr(_state, "depth", 0) + 1
    try:
        # a network that is built within a shape run, in `real_tensors`, makes runs of its own
        with torch._C._EnableTorchFunction(), torch.no_grad(), torch.device("meta"), _MetaTwins():
            yield
    finally:
        _state.depth -= 1


@contextmanager
def real_tensors() -> Iterator[None]:
    """Leave a shape run for a while: what is made here is real (weights)."""
    if not in_shape_run():
        yield
        return
    depth, _state.depth = _state.depth, 0
    try:
        with torch._C.DisableTorchFunction():
            yield
    finally:
        _state.depth = depth


def probes(shape: Shape, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Two meta tensors of this shape, with different sizes where it is unknown."""

    def sized(which: int) -> list[int]:
        return [
            size if size is not None else (AXIS_PROBES if axis else BATCH_PROBES)[which]
            for axis, size in enumerate(shape)
        ]

    return (
        torch.empty(sized(0), dtype=dtype, device="meta"),
        torch.empty(sized(1), dtype=dtype, device="meta"),
    )


def difference(first: Any, second: Any) -> str:
    """What two runs of the same code disagree on, in words; empty when only sizes differ.

    A network is recorded once, for every size: what changes with the size of a probe (a number, how
    many tensors come out) would be frozen as it was for the probe.
    """
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        if first.dim() != second.dim():
            return "tensors whose number of axes depends"
        return "a tensor whose dtype depends" if first.dtype is not second.dtype else ""
    if type(first) is not type(second):
        return "a kind of result that depends"
    if isinstance(first, dict):
        if list(first) != list(second):
            return "a dict whose keys depend"
        return next(filter(None, (difference(first[k], second[k]) for k in first)), "")
    if isinstance(first, (list, tuple)):
        if len(first) != len(second):
            return "a number of tensors that depends"
        return next(filter(None, map(difference, first, second)), "")
    scalar = isinstance(first, (bool, int, float, complex, str))
    both_nan = first != first and second != second
    return "a number that depends" if scalar and first != second and not both_nan else ""


def common_shape(first: Tensor, second: Tensor) -> Shape:
    """The shape that two runs agree on: an axis that differs is unknown."""
    return tuple(a if a == b else None for a, b in zip(first.shape, second.shape))
