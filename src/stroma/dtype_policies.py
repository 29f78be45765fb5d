"""Keras' dtype policies: in which dtype weights are kept, and in which layers compute."""

from __future__ import annotations

from typing import Any

from stroma.core.dtypes import DTypePolicy, as_policy

FloatDTypePolicy = DTypePolicy  # Keras' older name

__all__ = ["DTypePolicy", "FloatDTypePolicy", "deserialize", "get", "serialize"]


def get(identifier: Any) -> DTypePolicy:
    """A policy from its name, config or itself; None is the policy of now.

    Example:
        >>> get("mixed_bfloat16").compute_dtype
        torch.bfloat16
    """
    return as_policy(identifier)


def serialize(dtype_policy: DTypePolicy) -> dict[str, Any]:
    """The policy as plain data, as Keras' files write it.

    Example:
        >>> serialize(get("float64"))["config"]
        {'name': 'float64'}
    """
    return {
        "module": "keras",
        "class_name": "DTypePolicy",
        "config": dtype_policy.get_config(),
        "registered_name": None,
    }


def deserialize(config: dict[str, Any]) -> DTypePolicy:
    """The policy that `serialize` described."""
    return as_policy(config)
