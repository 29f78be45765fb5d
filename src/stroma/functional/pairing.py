"""What losses and metrics share: targets and predictions brought together, weights applied.

Nothing here reads a value back from the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from stroma.core.dtypes import at_least_float32
from stroma.core.errors import ShapeError

EPSILON = 1e-7  # Keras' `backend.epsilon()`: the floor of probabilities and divisors


def as_tensor(value: Any, like: Tensor | None = None) -> Tensor:
    """`value` as a tensor, on the device of `like` where one is given."""
    if isinstance(value, np.ndarray) and not (
        value.flags.writeable and all(step >= 0 for step in value.strides)
    ):
        value = value.copy()  # memory maps and reversed views, which torch cannot share
    return torch.as_tensor(value, device=None if like is None else like.device)


def as_float(value: Any, dtype: torch.dtype | None = None) -> Tensor:
    """`value` as a tensor of `dtype`, or of its own kind but at least float32."""
    tensor = as_tensor(value)
    return tensor.to(dtype or at_least_float32(tensor.dtype))


def same_rank(first: Tensor, second: Tensor, expand: bool = True) -> tuple[Tensor, Tensor]:
    """Keras' rule: where ranks differ by one and the longer shape ends in 1, make them equal.

    A vector (B,) beside (B, 1) becomes (B, 1) (or the other loses its axis if not `expand`); any
    longer shape (..., 1) loses its last axis. Else both stay as they are.
    """
    if first.ndim == second.ndim + 1 and first.shape[-1] == 1:
        if second.ndim == 1 and expand:
            return first, second.unsqueeze(-1)
        return first.squeeze(-1), second
    if second.ndim == first.ndim + 1:
        second, first = same_rank(second, first, expand)
    return first, second


def pair(y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
    """Targets and predictions as floats of one dtype, device and rank.

    Raises: ShapeError: their shapes cannot be broadcast together.
    """
    pred = as_float(y_pred)
    true, pred = same_rank(as_tensor(y_true, pred).to(pred.dtype), pred)
    if true.shape != pred.shape:
        try:
            np.broadcast_shapes(true.shape, pred.shape)
        except ValueError:
            raise mismatch(true, pred, "one target value for each predicted value") from None
    return true, pred


def mismatch(y_true: Tensor, y_pred: Tensor, expected: str, fix: str = "") -> ShapeError:
    """The error for targets that do not fit predictions."""
    return ShapeError(
        f"y_true has shape {tuple(y_true.shape)}, y_pred {tuple(y_pred.shape)}",
        where="y_true, y_pred",
        why=f"expected {expected}",
        fix=fix or "give the last layer as many units as the targets have values",
    )


def ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """numerator / denominator, and 0 where the denominator is 0 (never NaN)."""
    empty = denominator == 0
    return torch.where(empty, 0.0, numerator / torch.where(empty, 1.0, denominator))


def weight_of(
    sample_weight: Tensor | None, mask: Tensor | None, dtype: torch.dtype, rescale: bool
) -> Tensor | None:
    """Sample weights and a mask as one weight, or None where there is neither.

    With `rescale` the valid entries weigh total / valid, so that a mean over all entries is the
    mean over the valid ones.
    """
    if mask is None:
        return sample_weight
    weight = mask.to(dtype)
    if rescale:
        weight = weight * ratio(weight.new_tensor(mask.numel()), weight.sum())
    if sample_weight is None:
        return weight
    weight, sample_weight = same_rank(weight, sample_weight)
    return sample_weight * weight


def weighted(values: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """values * weight, and the weight as it was aligned.

    A weight of fewer axes belongs to the leading ones: (B,) weighs whole rows of (B, T). Keras
    broadcasts it from the right, which fails, or for B = T weighs columns in silence.
    """
    values, weight = same_rank(values, weight)
    if weight.ndim < values.ndim and weight.shape == values.shape[: weight.ndim]:
        weight = weight.reshape(*weight.shape, *[1] * (values.ndim - weight.ndim))
    return values * weight, weight


def target_kind(
    y_true_shape: Sequence[int | None], y_pred_shape: Sequence[int | None]
) -> Literal["binary", "sparse", "categorical"]:
    """Keras' rule for what "accuracy" and "crossentropy" mean.

    One output is binary; targets of fewer axes, or of last size 1 beside several classes, are
    class numbers; all else is one-hot.

    Example:
        >>> target_kind((8, 1), (8, 1)), target_kind((8,), (8, 10)), target_kind((8, 10), (8, 10))
        ('binary', 'sparse', 'categorical')
    """
    if y_pred_shape[-1] == 1:
        return "binary"
    if len(y_true_shape) < len(y_pred_shape) or y_true_shape[-1] == 1:
        return "sparse"
    return "categorical"
