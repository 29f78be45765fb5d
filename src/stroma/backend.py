"""Keras' older path to what holds everywhere, and questions about dtypes."""

from __future__ import annotations

from typing import Any

import torch

from stroma.config import (
    backend,
    epsilon,
    floatx,
    image_data_format,
    set_epsilon,
    set_floatx,
    set_image_data_format,
)
from stroma.core.dtypes import dtype_name, to_dtype
from stroma.core.symbolic import SymbolicTensor

__all__ = [
    "backend", "clear_session", "epsilon", "floatx", "image_data_format", "is_float_dtype",
    "is_int_dtype", "is_keras_tensor", "result_type", "set_epsilon", "set_floatx",
    "set_image_data_format", "standardize_dtype",
]  # fmt: skip


def clear_session(free_memory: bool = True) -> None:
    """Nothing to clear: names are numbered within a network, and no graph is kept globally.

    Args:
        free_memory: Give memory that torch keeps for later back to the GPU.
    """
    if free_memory and torch.cuda.is_available():
        torch.cuda.empty_cache()


def standardize_dtype(dtype: Any) -> str:
    """The name of a dtype; None is `floatx`.

    Example:
        >>> standardize_dtype(torch.int64), standardize_dtype(None)
        ('int64', 'float32')
    """
    return floatx() if dtype is None else dtype_name(to_dtype(dtype))


def is_float_dtype(dtype: Any) -> bool:
    """Whether it is a floating-point dtype.

    Example:
        >>> is_float_dtype("bfloat16"), is_float_dtype("int8")
        (True, False)
    """
    return to_dtype(dtype).is_floating_point


def is_int_dtype(dtype: Any) -> bool:
    """Whether it is an integer dtype; bool is none.

    Example:
        >>> is_int_dtype("uint8"), is_int_dtype("bool")
        (True, False)
    """
    found = to_dtype(dtype)
    return not (found.is_floating_point or found.is_complex or found is torch.bool)


def is_keras_tensor(x: Any) -> bool:
    """Whether it is a symbolic tensor: what `Input` gives.

    Example:
        >>> is_keras_tensor(torch.ones(1))
        False
    """
    return isinstance(x, SymbolicTensor)


def result_type(*dtypes: Any) -> str:
    """The dtype of an operation between tensors of these dtypes, by torch's rule.

    Example:
        >>> result_type("int32", "float16"), result_type("int64", "int8")
        ('float16', 'int64')
    """
    found = to_dtype(standardize_dtype(dtypes[0] if dtypes else None))
    for dtype in dtypes[1:]:
        found = torch.promote_types(found, to_dtype(standardize_dtype(dtype)))
    return dtype_name(found)
