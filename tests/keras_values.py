"""What a value of Keras or of stroma is, in plain data, and how two such values differ."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from oracle import keras


@dataclass(frozen=True)
class Array:
    """An array or a tensor; no values for a symbolic one."""

    shape: tuple[int | None, ...]
    dtype: str
    values: Any = field(default=None, compare=False)


def describe(value: Any) -> Any:
    """Plain data that say what a value is, the same words for both libraries."""
    if isinstance(value, (type(None), bool, int, float, complex, str, bytes)):
        return value
    if isinstance(value, (list, tuple, set, frozenset)):
        items = sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value
        return [describe(v) for v in items]
    if isinstance(value, dict):
        return {str(k): describe(v) for k, v in value.items()}
    if isinstance(value, keras.Variable):
        value = value.value
    if isinstance(value, torch.Tensor) and value.is_sparse:
        value = value.to_dense()
    if isinstance(value, torch.Tensor):
        kind = str(value.dtype).removeprefix("torch.")
        plain = value.detach().to(torch.float32) if kind == "bfloat16" else value.detach()
        return Array(tuple(value.shape), kind, plain.cpu().numpy().copy())
    if isinstance(value, (np.ndarray, np.generic)):
        return Array(value.shape, str(value.dtype), np.array(value))
    if hasattr(value, "shape") and hasattr(value, "dtype"):  # symbolic, in either library
        shape = tuple(None if n is None else int(n) for n in value.shape)
        return Array(shape, str(value.dtype).removeprefix("torch."))
    if inspect.isroutine(value):
        return "<function>"
    name = getattr(value, "__name__", type(value).__name__)
    return f"<{ {'Functional': 'Model'}.get(name, name) }>"  # Keras' inner class of a Model


def difference(ours: Any, theirs: Any, numbers: bool = True) -> str | None:
    """What differs, or None. Without `numbers`, only kinds, shapes and dtypes count."""
    pair = isinstance(ours, Array), isinstance(theirs, Array)
    if any(pair) and not all(pair):  # a number and an array without axes are alike
        ours, theirs = (bare(side) for side in (ours, theirs))
    if isinstance(theirs, Array):
        return _array_difference(ours, theirs, numbers)
    if isinstance(theirs, (list, dict)) and isinstance(ours, type(theirs)):
        keys = list(theirs) if isinstance(theirs, dict) else list(range(len(theirs)))
        if len(ours) != len(theirs) or (isinstance(ours, dict) and list(ours) != keys):
            return f"{short(ours)} instead of {short(theirs)}"
        found = (difference(ours[key], theirs[key], numbers) for key in keys)
        return next((f for f in found if f), None)
    if isinstance(theirs, (int, float)) and isinstance(ours, (int, float)):
        near = not numbers or np.allclose(ours, theirs, rtol=1e-4, atol=1e-6, equal_nan=True)
        return None if near else f"{ours!r} instead of {theirs!r}"
    if isinstance(theirs, str) and isinstance(ours, str) and not numbers:
        return None
    return None if ours == theirs else f"{short(ours)} instead of {short(theirs)}"


def bare(described: Any) -> Any:
    of_numbers = isinstance(described, Array) and described.values is not None
    return described.values.item() if of_numbers and described.shape == () else described


def _array_difference(ours: Any, theirs: Array, numbers: bool) -> str | None:
    if ours != theirs:  # shape and dtype
        return f"{short(ours)} instead of {short(theirs)}"
    if theirs.values is None or ours.values is None:
        both = theirs.values is None and ours.values is None
        return None if both else "symbolic on one side only"
    if not numbers or np.array_equal(ours.values, theirs.values):  # texts too
        return None
    scale = max(float(np.abs(theirs.values).max()), 1e-2) if theirs.values.size else 1.0
    scale = scale if np.isfinite(scale) else 1.0
    close = np.allclose(ours.values, theirs.values, rtol=1e-4, atol=1e-4 * scale, equal_nan=True)
    return None if close else f"{short(ours, True)} instead of {short(theirs, True)}"


def short(described: Any, values: bool = False) -> str:
    if isinstance(described, Array):
        shown = f"{described.dtype}{list(described.shape)}"
        flat = described.values.ravel()[:4].tolist() if values else ""
        return f"{shown} {flat}".strip()
    if isinstance(described, list):
        return f"[{', '.join(short(item) for item in described[:6])}]"[:120]
    return repr(described)[:120]
