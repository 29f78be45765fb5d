"""The keyword arguments that every layer takes, checked and read."""

from __future__ import annotations

import inspect
from typing import Any, TypedDict

from stroma.core.axes import Shape
from stroma.core.errors import ArgumentTypeError, did_you_mean


class UnnamedOptions(TypedDict, total=False):
    """Keyword arguments of a layer that has `name` in its own signature."""

    dtype: Any
    trainable: bool
    autocast: bool
    input_shape: Any
    batch_input_shape: Any
    batch_shape: Any
    batch_size: int | None
    input_dim: int | None


class BaseOptions(UnnamedOptions, total=False):
    """Keyword arguments of a layer that has `activity_regularizer` in its own signature."""

    name: str | None


class LayerOptions(BaseOptions, total=False):
    """Keyword arguments that every layer takes."""

    activity_regularizer: Any


def check_options(layer_class: type, options: LayerOptions) -> None:
    """Raise an ArgumentTypeError for an option that no layer has."""
    for option in options:
        if option not in LayerOptions.__annotations__:
            owner = layer_class.__name__
            known = {*LayerOptions.__annotations__, *inspect.signature(layer_class).parameters}
            raise ArgumentTypeError(
                f"{owner} has no argument {option!r}.{did_you_mean(option, known)}",
                where=f"{owner}({option}=...)",
                why="an argument that is silently ignored hides a mistake",
                fix=f"one of: {', '.join(sorted(known - {'options', 'kwargs'}))}",
            )


def declared_batch_shape(options: LayerOptions) -> Shape | None:
    """The input's shape with its batch axis, however it was given; None when it was not."""
    batch = options.get("batch_input_shape") or options.get("batch_shape")
    if batch is not None:
        return tuple(batch)
    if options.get("input_dim") is not None:
        return (options.get("batch_size"), options["input_dim"])
    shape = options.get("input_shape")
    if shape is None:
        return None
    return (options.get("batch_size"), *((shape,) if isinstance(shape, int) else shape))
