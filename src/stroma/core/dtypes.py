"""Keras' dtype policies: in which dtype weights are kept, and in which a layer computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import torch

from stroma.core.errors import ArgumentError, did_you_mean

DTypeLike: TypeAlias = "torch.dtype | str | DTypePolicy | None"

_NAMES: dict[str, torch.dtype] = {
    name: getattr(torch, name)
    for name in (
        "float16", "bfloat16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8",
        "bool", "complex64", "complex128",
    )
}  # fmt: skip


def to_dtype(dtype: Any) -> torch.dtype:
    """A torch dtype from a torch dtype, a NumPy dtype or a name such as `"float32"`."""
    if isinstance(dtype, torch.dtype):
        return dtype
    name = str(getattr(dtype, "name", None) or getattr(dtype, "__name__", None) or dtype)
    if name in _NAMES:
        return _NAMES[name]
    if name in ("string", "str"):
        raise ArgumentError(
            "PyTorch has no tensors of text",
            where=f"dtype={name!r}",
            why="what reads text runs before the network, as part of preparing the data",
            fix="numbers = layers.TextVectorization(...)(texts), and the network begins with "
            "Input((None,), dtype='int64')",
        )
    raise ArgumentError(
        f"unknown dtype {dtype!r}.{did_you_mean(name, _NAMES)}",
        where="dtype=...",
        why="numbers are kept in one of torch's types",
        fix=f"one of: {', '.join(_NAMES)}",
    )


def dtype_name(dtype: torch.dtype) -> str:
    """The name files and people use: `"float32"` for `torch.float32`."""
    return str(dtype).removeprefix("torch.")


def at_least_float32(dtype: torch.dtype) -> torch.dtype:
    """float32 for integers and short floats; float64 stays float64."""
    return torch.promote_types(dtype, torch.float32)


@dataclass(frozen=True, slots=True)
class DTypePolicy:
    """`"float32"`, any float dtype, `"mixed_bfloat16"` or `"mixed_float16"`.

    A mixed policy keeps weights in float32 and computes in the 16-bit type.
    """

    name: str

    def __post_init__(self) -> None:
        to_dtype(self.name.removeprefix("mixed_"))

    @property
    def compute_dtype(self) -> torch.dtype:
        return to_dtype(self.name.removeprefix("mixed_"))

    @property
    def variable_dtype(self) -> torch.dtype:
        return torch.float32 if self.is_mixed else to_dtype(self.name)

    @property
    def is_mixed(self) -> bool:
        return self.name.startswith("mixed_")

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}


_default: DTypePolicy | None = None  # None: as `floatx` says
_floatx = "float32"


def floatx() -> str:
    """The dtype of weights and computations where no policy is set: "float32" at first."""
    return _floatx


def set_floatx(value: Any) -> None:
    """Set the dtype that layers made from now on have where no policy is set.

    Args:
        value: "float16", "bfloat16", "float32" or "float64".
    Raises: ArgumentError: it is another.
    """
    global _floatx
    known = ("float16", "bfloat16", "float32", "float64")
    if value not in known:
        raise ArgumentError(
            f"{value!r} is not a dtype for weights",
            where="set_floatx(value)",
            why="weights learn by small steps: they are floating-point numbers",
            fix=f"one of: {', '.join(known)}",
        )
    _floatx = str(value)


def dtype_policy() -> DTypePolicy:
    """The policy of layers made without `dtype=`."""
    return DTypePolicy(_floatx) if _default is None else _default


def set_dtype_policy(policy: Any) -> None:
    """Set the policy of layers made from now on without `dtype=`; None: as `floatx` says."""
    global _default
    _default = None if policy is None else as_policy(policy)


def as_policy(policy: Any) -> DTypePolicy:
    """A policy from None (the default), a policy, its config, a name or a dtype."""
    if policy is None:
        return dtype_policy()
    if isinstance(policy, DTypePolicy):
        return policy
    if isinstance(policy, dict):  # as in files: {"class_name": "DTypePolicy", "config": {...}}
        return DTypePolicy(str(policy.get("config", policy)["name"]))
    name = getattr(policy, "name", policy)
    if isinstance(name, str) and name.startswith("mixed_"):
        return DTypePolicy(name)
    return DTypePolicy(dtype_name(to_dtype(policy)))
