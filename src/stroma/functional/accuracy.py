"""Accuracies: 1.0 where a prediction is right, 0.0 where it is wrong, one value per sample."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from stroma.functional.pairing import as_float, as_tensor, same_rank


def accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """Whether y_pred equals y_true, value by value. Shape: (B, *), (B, *) -> (B, *)"""
    pred = as_tensor(y_pred)
    true, pred = same_rank(as_tensor(y_true, pred), pred)
    return (true == pred).float()


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Tensor:
    """Whether (y_pred > threshold) equals the label 0 or 1. Shape: (B, *), (B, *) -> (B, *)

    Example:
        >>> binary_accuracy([1, 0, 1], [0.9, 0.2, 0.4])
        tensor([1., 1., 0.])
    """
    pred = as_tensor(y_pred)
    true, pred = same_rank(as_tensor(y_true, pred), pred)
    return ((pred > threshold) == true).float()


def categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """Whether the largest score is the target's. Shape: (B, *, K), (B, *, K) -> (B, *)"""
    pred = as_tensor(y_pred)
    return accuracy(as_tensor(y_true, pred).argmax(-1), pred.argmax(-1))


def _class_numbers(y_true: Any, pred: Tensor) -> Tensor:
    true = as_tensor(y_true, pred)
    return true.squeeze(-1) if true.ndim == pred.ndim and true.shape[-1] == 1 else true


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """Whether the largest score is that of class y_true. Shape: (B, *), (B, *, K) -> (B, *)

    Example:
        >>> sparse_categorical_accuracy([2, 0], [[0.1, 0.2, 0.7], [0.3, 0.6, 0.1]])
        tensor([1., 0.])
    """
    pred = as_tensor(y_pred)
    right = (_class_numbers(y_true, pred) == pred.argmax(-1)).float()
    return right.squeeze(-1) if right.ndim > 1 and right.shape[-1] == 1 else right


def sparse_top_k_categorical_accuracy(
    y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False
) -> Tensor:
    """Whether the score of class y_true is among the k largest (ties count as right).

    Args:
        y_true: Class numbers.
        y_pred: Scores; or, if `from_sorted_ids`, class numbers from the best to the worst.
        k: How many guesses are allowed, 1 or more; with k >= K every guess is right.
        from_sorted_ids: What y_pred holds.

    Shape: (B, *), (B, *, K) -> (B, *)
    """
    pred = as_tensor(y_pred)
    true = _class_numbers(y_true, pred).unsqueeze(-1)
    if from_sorted_ids:
        return (pred[..., :k] == true).any(-1).float()
    pred = as_float(pred)
    least = pred.topk(min(k, pred.shape[-1]), dim=-1).values[..., -1:]
    return (pred.gather(-1, true.long()) >= least).squeeze(-1).float()


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Tensor:
    """Whether the target's score is among the k largest. Shape: (B, *, K), (B, *, K) -> (B, *)"""
    pred = as_tensor(y_pred)
    return sparse_top_k_categorical_accuracy(as_tensor(y_true, pred).argmax(-1), pred, k)


ACCURACIES = (
    accuracy, binary_accuracy, categorical_accuracy, sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy, top_k_categorical_accuracy,
)  # fmt: skip
