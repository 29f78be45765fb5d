"""What the arguments of layers may be, and the checks that several families share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias, TypeVar

from torch import Tensor

from stroma.core.axes import Shape, shape_text
from stroma.core.checks import check_choice, check_tuple
from stroma.core.errors import ShapeError
from stroma.functional.padding import reach

Act: TypeAlias = str | dict[str, Any] | Callable[..., Tensor] | None
Init: TypeAlias = str | dict[str, Any] | Callable[..., Tensor]
Reg: TypeAlias = str | dict[str, Any] | Callable[[Tensor], Tensor] | None
Con: TypeAlias = str | dict[str, Any] | Callable[[Tensor], Tensor] | None
Sizes: TypeAlias = int | Sequence[int]  # one number for every spatial axis, or one per axis
Pairs: TypeAlias = int | Sequence[int | Sequence[int]]  # per axis one number or (before, after)
DataFormat: TypeAlias = Literal["channels_last", "channels_first"]
# numbers: PyTorch's, on both sides alike; "causal" for sequences only
Padding: TypeAlias = Literal["valid", "same", "causal"] | Sizes
Constructor = TypeVar("Constructor", bound=Callable[..., None])

_AXES = {1: "steps", 2: "height, width", 3: "depth, height, width"}


def keras_signature(init: Constructor, *first: str, **defaults: Any) -> Constructor:
    """The same `__init__` as Keras' classes of another rank show it: other defaults, other order.

    Args:
        init: The `__init__` of a base class.
        first: Its parameters in their new order, as far as that is another.
        defaults: New defaults; they mean the same as the old (one number for every axis).
    """
    signature = inspect.signature(init)
    order = [*signature.parameters][:1] + list(first)
    order += [name for name in signature.parameters if name not in order]
    shown = signature.replace(
        parameters=[
            (p := signature.parameters[name]).replace(default=defaults.get(name, p.default))
            for name in order
        ]
    )
    (options,) = [p.name for p in shown.parameters.values() if p.kind is p.VAR_KEYWORD]

    @functools.wraps(init)
    def shown_init(self: Any, *args: Any, **kwargs: Any) -> None:
        bound = shown.bind(self, *args, **kwargs)
        bound.apply_defaults()
        _, *named = bound.arguments.items()
        given = dict(named)
        init(self, **given.pop(options), **given)

    shown_init.__signature__ = shown  # type: ignore[attr-defined]
    return shown_init  # type: ignore[return-value]


def check_data_format(value: Any, *, owner: str) -> DataFormat:
    """`data_format`, where None means `"channels_last"`."""
    if value is None:
        return "channels_last"
    return check_choice("data_format", value, ("channels_last", "channels_first"), owner=owner)


def check_padding(
    value: Any, rank: int, *, owner: str, causal: bool = False
) -> str | tuple[int, ...]:
    """`padding` by name in any case of letters, as Keras takes it, or as numbers."""
    if isinstance(value, int) or (isinstance(value, Sequence) and not isinstance(value, str)):
        return check_tuple("padding", value, rank, owner=owner, minimum=0)
    lower = value.lower() if isinstance(value, str) else value
    names = ("valid", "same", "causal") if causal else ("valid", "same")
    return check_choice("padding", lower, names, owner=owner)


def check_spatial_rank(shape: Shape, rank: int, data_format: str, *, owner: str) -> None:
    """Raise unless a shape has a batch axis, `rank` spatial axes and one of channels."""
    if len(shape) == rank + 2:
        return
    space = _AXES[rank]
    order = f"{space}, channels" if data_format == "channels_last" else f"channels, {space}"
    raise ShapeError(
        f"{owner} takes {rank + 2} axes, got {len(shape)}: {shape_text(shape)}",
        where=f"{owner}: input",
        why=f"its input is (batch, {order})",
        fix="x[None] adds a batch axis, x[..., None] an axis of channels"
        if len(shape) == rank + 1
        else "Reshape(...) before it"
        if len(shape) < rank + 1
        else "Flatten or Reshape the extra axes away",
    )


def spatial_sizes(shape: Shape, data_format: str) -> Shape:
    """The spatial part of a shape."""
    return tuple(shape[1:-1]) if data_format == "channels_last" else tuple(shape[2:])


def check_window_fits(
    shape: Shape,
    kernel: Sequence[int],
    dilation: Sequence[int],
    data_format: str,
    *,
    owner: str,
) -> None:
    """Raise when an unpadded window is larger than the input: nothing would come out."""
    for size, k, d in zip(spatial_sizes(shape, data_format), kernel, dilation):
        if size is not None and reach(k, d) > size:
            raise ShapeError(
                f"{owner}: a window of {reach(k, d)} does not fit an axis of {size} "
                f"in {shape_text(shape)}",
                where=f"{owner}: input",
                why=f"with padding='valid' the output has size - {reach(k, d)} + 1 places, "
                "which is none",
                fix="padding='same', a smaller window, a larger picture, or one pooling less "
                "before it",
            )
