"""Labels as vectors, and vectors of unit length."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from stroma.core.casting import floating
from stroma.core.checks import check_positive_int
from stroma.core.errors import ArgumentError


def to_categorical(x: Any, num_classes: int | None = None) -> Any:
    """Class numbers as one-hot vectors: 1 at the class, 0 elsewhere.

    Args:
        x: Class numbers from 0 in any shape; a last axis of 1 is dropped.
        num_classes: Length of the vectors; the largest class number and 1 when None.
    Shape: (*) -> (*, num_classes); a tensor for a tensor, else a NumPy array, in float32.
    Raises: ArgumentError: a label is not a class number from 0 to num_classes - 1.
    Example:
        >>> to_categorical([2, 0])
        array([[0., 0., 1.],
               [1., 0., 0.]], dtype=float32)

    Reference: Keras' `keras.utils.to_categorical`, which gives float64 arrays and counts negative
    labels from the end: here they are refused, and arrays are float32 like all others.
    """
    labels = x.detach().cpu().numpy() if isinstance(x, Tensor) else np.asarray(x)
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    numbers = labels.astype(np.int64)
    count = int(numbers.max(initial=-1)) + 1 if num_classes is None else num_classes
    check_positive_int("num_classes", count, owner="to_categorical")
    wrong = labels[(numbers != labels) | (numbers < 0) | (numbers >= count)]
    if wrong.size:
        raise ArgumentError(
            f"to_categorical: {wrong.flat[0]} is not a class number",
            where="to_categorical(x)",
            why=f"with num_classes={count}, class numbers are 0 to {count - 1}",
            fix="number the classes: np.unique(labels, return_inverse=True)[1]",
        )
    vectors = (numbers[..., None] == np.arange(count)).astype(np.float32)
    return torch.from_numpy(vectors).to(x.device) if isinstance(x, Tensor) else vectors


def normalize(x: Any, axis: int = -1, order: int = 2) -> Any:
    """x / ‖x‖ along an axis; a vector of zeros stays as it is.

    Args:
        x: An array or tensor.
        axis: Along which the norms are taken.
        order: Of the norm: 2 for Euclidean length, 1 for the sum of magnitudes.
    Shape: (*) -> (*)
    Example:
        >>> normalize(np.array([[3.0, 4.0]]))
        array([[0.6, 0.8]])

    Reference: Keras' `keras.utils.normalize`.
    """
    if isinstance(x, Tensor):
        x = floating(x, torch.float32)
        norm = torch.linalg.vector_norm(x, ord=order, dim=axis, keepdim=True)
        return x / norm.masked_fill(norm == 0, 1)
    values = np.asarray(x)
    lengths = (np.abs(values) ** order).sum(axis=axis, keepdims=True) ** (1 / order)
    return values / np.where(lengths == 0, 1, lengths)
