"""What torch says about shapes, said in the layer's own terms."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from stroma.core.axes import Shape, shape_text
from stroma.core.errors import ShapeError, StromaError
from stroma.core.shape_run import in_shape_run


def explain_misfit(
    error: RuntimeError, layer: str, kind: str, built: Any, args: tuple[Any, ...]
) -> None:
    """Raise a ShapeError when the input is not of the kind that `build` saw, else do nothing."""
    if isinstance(error, StromaError) or in_shape_run() or not args:
        return
    if not isinstance(args[0], Tensor) or not _is_shape(built):
        return
    given: Shape = tuple(args[0].shape)
    if len(built) == len(given) and built[-1] in (given[-1], None):
        return
    channels_first = len(built) == len(given) == 4 and built[-1] == given[1]
    raise ShapeError(
        f"{kind} was built for {shape_text(built)}, got {shape_text(given)}",
        where=f"layer {layer!r}",
        why=str(error).splitlines()[0],
        fix="x.permute(0, 2, 3, 1): stroma is channels-last"
        if channels_first
        else "x[None] adds the batch axis"
        if len(given) == len(built) - 1
        else "give it the same last axis, or make another layer for this input",
    ) from error


def _is_shape(thing: Any) -> bool:
    return isinstance(thing, tuple) and all(size is None or type(size) is int for size in thing)
