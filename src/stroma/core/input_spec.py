"""`InputSpec`: what a layer says of its inputs, checked whenever it is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.utils._pytree import tree_flatten

from stroma.core.axes import Shape, shape_text
from stroma.core.config import Configurable
from stroma.core.errors import ShapeError


class InputSpec(Configurable):
    """What one input of a layer must be; kept as `self.input_spec`, or a list of them.

    Args:
        dtype: By name; noted, not checked: layers cast their inputs.
        shape: Sizes with the batch; None is any size.
        ndim, min_ndim, max_ndim: How many axes, exactly, at least, at most.
        axes: Sizes of single axes, by axis.
        allow_last_axis_squeeze: Whether a last axis of 1 may be missing or be one too many.
        name: Of the input, where a dict is given.
        optional: Whether it may be None.
    Example:
        >>> InputSpec(ndim=4, axes={-1: 3}).misfit((None, 32, 32, 1))
        'axis -1 must be 3'
    """

    def __init__(
        self,
        dtype: Any = None,
        shape: Shape | None = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: Mapping[int, int | None] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ) -> None:
        self.dtype, self.name, self.optional = dtype, name, optional
        self.shape = None if shape is None else tuple(shape)
        self.ndim = ndim if self.shape is None else len(self.shape)
        self.max_ndim, self.min_ndim = max_ndim, min_ndim
        self.axes = {int(axis): size for axis, size in (axes or {}).items()}
        self.allow_last_axis_squeeze = allow_last_axis_squeeze

    def misfit(self, shape: Shape) -> str:
        """In words what an input's shape should be and is not; empty where it fits."""
        wanted, rank = self.shape, len(shape)
        if self.allow_last_axis_squeeze and self.ndim is not None:
            if rank == self.ndim + 1 and shape[-1] == 1:
                shape, rank = shape[:-1], rank - 1
            elif wanted is not None and rank == self.ndim - 1 and wanted[-1] == 1:
                shape, rank = (*shape, 1), rank + 1
        if self.ndim is not None and rank != self.ndim:
            return f"it must have {self.ndim} axes"
        if self.min_ndim is not None and rank < self.min_ndim:
            return f"it must have {self.min_ndim} axes or more"
        if self.max_ndim is not None and rank > self.max_ndim:
            return f"it must have {self.max_ndim} axes or fewer"
        sizes = {**dict(enumerate(wanted or ())), **self.axes}
        for axis, size in sizes.items():
            if not -rank <= axis < rank or (
                None not in (size, shape[axis]) and shape[axis] != size
            ):
                return f"axis {axis} must be {size}"
        return ""


def check_input_spec(specs: Any, inputs: Any, *, layer: str) -> None:
    """Raise where an input is not what the layer says of its inputs.

    Raises: ShapeError: another number of inputs, or a shape that does not fit.
    """
    listed = specs if isinstance(specs, (list, tuple)) else [specs]
    if isinstance(inputs, dict) and all(spec.name in inputs for spec in listed):
        inputs = [inputs[spec.name] for spec in listed]
    given = tree_flatten(inputs)[0]
    if len(given) != len(listed):
        raise ShapeError(
            f"layer {layer!r} takes {len(listed)} inputs, got {len(given)}",
            where=f"layer {layer!r}",
            why="its input_spec describes each of them",
            fix=f"layer([{', '.join('xyzuvw'[: len(listed)])}])",
        )
    for spec, x in zip(listed, given):
        shape = tuple(getattr(x, "shape", ()))
        problem = "" if x is None and spec.optional else spec.misfit(shape)
        if problem:
            raise ShapeError(
                f"layer {layer!r} cannot take {shape_text(shape)}: {problem}",
                where=f"layer {layer!r}: input {spec.name or ''}".rstrip(),
                why="its input_spec says so",
                fix="give an input of that shape, or set another input_spec in its __init__",
            )
