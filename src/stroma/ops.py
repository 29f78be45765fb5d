"""Tensors as the field's introductions make them: scalar, vector, matrix, rank 3."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from stroma.core.checks import check_positive_int
from stroma.core.dtypes import dtype_policy, to_dtype


def constant(value: Any, dtype: Any = None, shape: Any = None, name: str | None = None) -> Tensor:
    """A tensor of these numbers.

    Args:
        value: A number, nested lists of numbers, or an array.
        dtype: By default int32 for Python integers, float32 for Python floats, and an array's own.
        shape: Reshape to it; a single number fills it.
        name: Accepted for TensorFlow's signature; tensors have no names.
    Example:
        >>> constant(4), constant([2.0, 3.0]).dtype
        (tensor(4, dtype=torch.int32), torch.float32)
    """
    array: Any = value if isinstance(value, (np.ndarray, Tensor)) else np.asarray(value)
    if dtype is None and array is not value:  # Python numbers: NumPy and torch would widen them
        dtype = {"i": torch.int32, "f": torch.float32}.get(array.dtype.kind)
    tensor = torch.as_tensor(array)
    if dtype is not None:
        tensor = tensor.to(to_dtype(dtype))
    if shape is None:
        return tensor.clone() if array is value else tensor
    size = tuple(shape)
    return tensor.expand(size).clone() if tensor.numel() == 1 else tensor.reshape(size)


def zeros(shape: Any, dtype: Any = None) -> Tensor:
    """A tensor of zeros, float32 when no dtype is given.

    Example:
        >>> zeros((2, 3)).shape
        torch.Size([2, 3])
    """
    return torch.zeros(_size(shape), dtype=_floating(dtype))


def ones(shape: Any, dtype: Any = None) -> Tensor:
    """A tensor of ones, float32 when no dtype is given.

    Example:
        >>> float(ones((2, 3)).sum())
        6.0
    """
    return torch.ones(_size(shape), dtype=_floating(dtype))


def shape(x: Any) -> tuple[int, ...]:
    """The size of each axis.

    Example:
        >>> shape([[1, 2, 3]])
        (1, 3)
    """
    return tuple(x.shape) if hasattr(x, "shape") else np.asarray(x).shape


def rank(x: Any) -> int:
    """The number of axes.

    Example:
        >>> rank(3), rank([1, 2]), rank([[1, 2]])
        (0, 1, 2)
    """
    return len(shape(x))


def one_hot(x: Any, num_classes: int, axis: int = -1, dtype: Any = None) -> Tensor:
    """A 1 at each index and 0 elsewhere, along a new axis; an index out of range gives zeros.

    Args:
        x: Class indices, any shape.
        num_classes: Size of the new axis.
        axis: Where it goes.
        dtype: float32 when None.
    Shape: (*) -> (*, num_classes)
    Example:
        >>> one_hot([0, 2], 3).tolist()
        [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    indices = torch.as_tensor(x).long()
    classes = check_positive_int("num_classes", num_classes, owner="one_hot")
    hot = indices.unsqueeze(-1) == torch.arange(classes, device=indices.device)
    return hot.to(_floating(dtype)).movedim(-1, axis)


def _size(size: Any) -> tuple[int, ...]:
    return (size,) if isinstance(size, int) else tuple(size)


def _floating(dtype: Any) -> torch.dtype:
    return dtype_policy().variable_dtype if dtype is None else to_dtype(dtype)
