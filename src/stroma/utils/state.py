"""Questions about tensors and dtypes, and the state of a session."""

from __future__ import annotations

import gc
from typing import Any

import torch

from stroma.core.dtypes import dtype_name, floatx, to_dtype
from stroma.core.symbolic import SymbolicTensor, is_symbolic


def is_keras_tensor(x: Any) -> bool:
    """Whether it is a symbolic tensor: one that `Input` or a layer on one gave.

    Example:
        >>> is_keras_tensor(3)
        False
    """
    return is_symbolic(x)


def standardize_dtype(dtype: Any) -> str:
    """The name of a dtype, whatever it is given as; the default one for None.

    Example:
        >>> standardize_dtype(torch.int32), standardize_dtype(None), standardize_dtype(np.uint8)
        ('int32', 'float32', 'uint8')
    """
    named = {int: "int32", float: "float32"}.get(dtype, dtype)
    return floatx() if dtype is None else dtype_name(to_dtype(named))


def get_source_inputs(tensor: Any) -> list[Any]:
    """The inputs that a symbolic tensor is computed from.

    Args:
        tensor: A symbolic tensor.
    """
    found: dict[int, Any] = {}
    seen, left = set(), [tensor.node]
    while left:
        node = left.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if node.kind == "input" and isinstance(node.outputs, SymbolicTensor):
            found[node.index] = node.outputs
        left += [source.node for source in node.inputs()]
    return [found[index] for index in sorted(found)]


def clear_session(free_memory: bool = True) -> None:
    """Forget what is no longer used; names and layers need no clearing: each network has its own.

    Args:
        free_memory: Collect what Python and the GPU's allocator hold on to.
    """
    if free_memory:
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
