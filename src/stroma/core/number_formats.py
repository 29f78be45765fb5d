"""Number formats, given as torch's objects, Keras' strings or a dtype policy."""

from __future__ import annotations

from typing import Any, TypeAlias

import torch

from stroma.core.errors import ArgumentError, did_you_mean

DTypeLike: TypeAlias = torch.dtype | str | None

_BY_NAME: dict[str, torch.dtype] = {
    name: getattr(torch, name)
    for name in (
        "float16", "bfloat16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8",
        "bool",
    )
} | {"float": torch.float32, "int": torch.int32}  # fmt: skip  # Keras' short names


def as_dtype(value: Any, default: torch.dtype = torch.float32) -> torch.dtype:
    """`value` as a torch dtype; None gives `default`; a policy gives its compute dtype.

    Example:
        >>> as_dtype("bfloat16"), as_dtype(None), as_dtype(torch.int64)
        (torch.bfloat16, torch.float32, torch.int64)
    """
    if value is None:
        return default
    value = getattr(value, "compute_dtype", value)
    if isinstance(value, torch.dtype):
        return value
    name = str(value).removeprefix("torch.")
    if name in _BY_NAME:
        return _BY_NAME[name]
    raise ArgumentError(
        f"unknown dtype {value!r}.{did_you_mean(name, _BY_NAME)}",
        where=f"dtype={value!r}",
        why="a dtype says in which number format to compute",
        fix=f"one of: {', '.join(_BY_NAME)}",
    )


def at_least_float32(dtype: torch.dtype) -> torch.dtype:
    """float32 for integers and short floats; float64 stays float64."""
    return torch.promote_types(dtype, torch.float32)
