"""What is wrong with a shape, and the line of code that mends it."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_flatten

from stroma.core.axes import Shape, shape_text
from stroma.core.errors import ShapeError, StromaError
from stroma.core.names import numbered
from stroma.core.shape_run import in_shape_run
from stroma.core.symbolic import Node, is_symbolic


def advice(given: Shape, wanted: Shape) -> tuple[str, str] | None:
    """(why, fix) of data that lack an axis or have their channels first; None: neither is the case.

    Example:
        >>> advice((32, 3, 8, 8), (None, 8, 8, 3))[1]
        'x.permute(0, 2, 3, 1)'
        >>> advice((32, 8, 8), (None, 8, 8, 1))[1]
        'x[..., None]'
    """
    short = len(wanted) - len(given)
    if short == 0 and len(given) == 4 and given[1] == wanted[3] != given[3]:
        return _CHANNELS_FIRST, "x.permute(0, 2, 3, 1)"
    if short == 2 and _agree(given, wanted[1:-1]):
        return "the axes of the batch and of the channels are missing", "x[None, ..., None]"
    if short != 1:
        return None
    no_channels, no_batch = _agree(given, wanted[:-1]), _agree(given, wanted[1:])
    if len(given) == 3 and not no_batch and given[0] == wanted[3] != 1:
        return f"{_CHANNELS_FIRST}, and a batch", "x.permute(1, 2, 0)[None]"
    if no_batch and no_channels:
        fix = "x[None] for one sample, x[..., None] for samples without channels"
        return "one axis is missing: the batch, or the channels", fix
    if no_channels:
        channels = wanted[-1]
        fix = "x[..., None]" + (f", and {channels} channels" if channels not in (1, None) else "")
        return "the axis of the channels is missing", fix
    return "a batch axis is missing", "x[None]"


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
    why, fix = advice(given, built) or (str(error).splitlines()[0], _OTHER_SIZE)
    raise ShapeError(
        f"{kind} was built for {shape_text(built)}, got {shape_text(given)}",
        where=f"layer {layer!r}",
        why=why,
        fix=fix,
    ) from error


def tell_what_fits(error: StromaError, layer: Any, args: tuple[Any, ...]) -> None:
    """Put the layers that work, then the one that does not, into an error's `where`."""
    given = [leaf for leaf in tree_flatten(args)[0] if is_symbolic(leaf)]
    nodes: dict[int, Node] = {}
    waiting = list(given)
    while waiting:
        node = waiting.pop().node
        if node.index not in nodes:
            nodes[node.index] = node
            waiting += node.inputs()
    if len(nodes) < 2 or "\n" in error.where:  # nothing to tell, or told by a network inside
        return
    names = _Names()
    rows = [
        (names.label(node.target, node.label()), shape_text(node.outputs.shape))
        for _, node in sorted(nodes.items())
        if is_symbolic(node.outputs)
    ]
    rows.append((names.label(layer, f"{layer.name} ({type(layer).__name__})"), "does not fit"))
    width = max(len(label) for label, _ in rows)
    lines = [f"    {label.ljust(width)}  {shape}" for label, shape in rows]
    error.where = "\n".join([f"{error.where}, after the layers that fit:".lstrip(", "), *lines])


class _Names:
    """Labels of layers, those of different layers told apart as their network would number them."""

    def __init__(self) -> None:
        self._by_layer: dict[int, str] = {}

    def label(self, target: Any, label: str) -> str:
        name = getattr(target, "name", None)
        if not isinstance(name, str):
            return label
        if id(target) not in self._by_layer:
            self._by_layer[id(target)] = numbered(name, self._by_layer.values())
        return f"{self._by_layer[id(target)]} ({type(target).__name__})"


_CHANNELS_FIRST = (
    "the data is channels-first; stroma is channels-last: (batch, height, width, channels)"
)
_OTHER_SIZE = "give it the same last axis, or make another layer for this input"


def _agree(given: Shape, wanted: Shape) -> bool:
    return all(a == b for a, b in zip(given, wanted) if a is not None and b is not None)


def _is_shape(thing: Any) -> bool:
    return isinstance(thing, tuple) and all(size is None or type(size) is int for size in thing)
