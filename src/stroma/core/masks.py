"""How masks travel: as values of the graph, and on tensors in a user's own eager code."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map

from stroma.core.call_spec import CallSpec
from stroma.core.symbolic import any_symbolic, is_symbolic

WITH_MASKS = "with_masks"  # asks a network for (outputs, their masks in flat order)


class _Unset:
    """Marks `mask=` as not given: then masks travel on the tensors themselves."""


UNSET = _Unset()


def eager_masks(args: tuple[Any, ...]) -> Any:
    """The masks that the first argument's tensors carry; None when none does."""
    if not args or torch.compiler.is_compiling():
        return None
    if isinstance(args[0], Tensor):
        return getattr(args[0], "_keras_mask", None)
    masks = tree_map(lambda leaf: getattr(leaf, "_keras_mask", None), args[0])
    return masks if any(mask is not None for mask in tree_flatten(masks)[0]) else None


def symbolic_masks(args: tuple[Any, ...]) -> Any:
    """The same for symbolic tensors."""
    first = args[0] if args else None
    masks = tree_map(lambda leaf: leaf.mask if is_symbolic(leaf) else None, first)
    return masks if any_symbolic(masks) else None


def add_argument_masks(spec: CallSpec, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Enter `<argument>_mask` into `kwargs` for each argument whose mask `call` asks for."""
    if not spec.argument_masks or torch.compiler.is_compiling():
        return
    for name, arg in zip(spec.arguments, args):
        if f"{name}_mask" in spec.argument_masks:
            mask = arg.mask if is_symbolic(arg) else getattr(arg, "_keras_mask", None)
            kwargs.setdefault(f"{name}_mask", mask)


def attach_masks(outputs: Any, masks: Any) -> None:
    """Put masks on the tensors they belong to, symbolic or eager."""
    if masks is None or torch.compiler.is_compiling():
        return
    if is_symbolic(outputs):
        outputs.mask = masks
    elif isinstance(outputs, Tensor):
        outputs._keras_mask = masks  # type: ignore[attr-defined]
    elif isinstance(outputs, (list, tuple)):
        for output, mask in zip(outputs, masks if isinstance(masks, (list, tuple)) else [masks]):
            attach_masks(output, mask)
