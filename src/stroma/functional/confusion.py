"""Counts of right and wrong decisions: at thresholds of a score, or between classes."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from stroma.core.errors import ShapeError
from stroma.functional.pairing import as_tensor, same_rank

_OUT = -1e10  # Keras' score of what top_k leaves out: below every threshold in use


class Counts(NamedTuple):
    """Weighted counts at each threshold: (T,), or (T, L) for L labels counted apart."""

    true_positives: Tensor
    false_positives: Tensor
    true_negatives: Tensor
    false_negatives: Tensor


def keep_top_k(pred: Tensor, k: int) -> Tensor:
    """Scores of the k best classes, all others pushed below every threshold."""
    best = pred.topk(k, dim=-1).indices
    keep = torch.zeros_like(pred, dtype=torch.bool).scatter(-1, best, True)
    return torch.where(keep, pred, _OUT)


def threshold_counts(
    y_true: Any,
    y_pred: Any,
    thresholds: Tensor,
    sample_weight: Any = None,
    *,
    top_k: int | None = None,
    class_id: int | None = None,
    label_weights: Tensor | None = None,
    multi_label: bool = False,
) -> Counts:
    """How many samples are positive, truly and by `y_pred > threshold`, at each threshold.

    Each score is put once into the bucket between two thresholds; sums over buckets give every
    threshold at once, in O(N log T) time and O(N + T) memory instead of O(N T).

    Args:
        y_true: Labels; anything but 0 is positive.
        y_pred: Scores of the same shape.
        thresholds: (T,), in any order.
        sample_weight: Weights of samples, of the leading axes of y_pred.
        top_k: Only the k best classes of a sample count as predicted.
        class_id: Only this column counts.
        label_weights: (L,) weights of columns.
        multi_label: Whether columns are counted apart.
    """
    pred = as_tensor(y_pred).float()
    pred, true = same_rank(pred, as_tensor(y_true, pred))
    if pred.shape != true.shape:
        raise ShapeError(
            f"y_true has shape {tuple(true.shape)}, y_pred {tuple(pred.shape)}",
            where="y_true, y_pred",
            why="each score needs its own label 0 or 1",
            fix="one-hot encode class numbers: torch.nn.functional.one_hot(y, classes)",
        )
    weight = _weights(sample_weight, true)
    if top_k is not None:
        pred = keep_top_k(pred, top_k)
    if class_id is not None:
        pred, true = pred[..., class_id, None], true[..., class_id, None]
    weight = weight.broadcast_to(pred.shape)
    if label_weights is not None:
        weight = weight * label_weights.to(weight)
    columns = pred.shape[-1] if multi_label else 1
    ordered, order = thresholds.to(pred).sort()
    bucket = torch.searchsorted(ordered, pred.reshape(-1, columns).contiguous())
    bins = len(ordered) + 1
    index = bucket + bins * torch.arange(columns, device=pred.device)
    positive = torch.where(true != 0, weight, 0.0).reshape(-1, columns)
    negative = torch.where(true != 0, 0.0, weight).reshape(-1, columns)
    back = order.argsort()

    def above(values: Tensor) -> tuple[Tensor, Tensor]:
        sums = values.new_zeros(columns * bins).index_add(0, index.flatten(), values.flatten())
        tail = sums.reshape(columns, bins).flip(1).cumsum(1).flip(1)  # of this bucket and above
        counted = tail[:, 1:].T[back]
        counted = counted if multi_label else counted[:, 0]
        return counted, (tail[:, 0] if multi_label else tail[0, 0]) - counted

    true_positives, false_negatives = above(positive)
    false_positives, true_negatives = above(negative)
    return Counts(true_positives, false_positives, true_negatives, false_negatives)


def _weights(sample_weight: Any, true: Tensor) -> Tensor:
    if sample_weight is None:
        return torch.ones((), dtype=torch.float64, device=true.device)
    weight = as_tensor(sample_weight, true).double()
    if weight.ndim == true.ndim + 1 and weight.shape[-1] == 1:
        return weight.squeeze(-1)
    return weight.reshape(*weight.shape, *[1] * (true.ndim - weight.ndim))


def confusion_matrix(
    true: Tensor, pred: Tensor, num_classes: int, weight: Tensor | None = None
) -> Tensor:
    """(K, K) counts, or sums of weights, of class numbers: rows are the truth.

    Pairs with a class number outside 0 to K - 1 are left out (they would fall into a wrong cell).

    Example:
        >>> confusion_matrix(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]), 2)
        tensor([[1, 0],
                [1, 1]])
    """
    true, pred = true.flatten().long(), pred.flatten().long()
    inside = (true >= 0) & (true < num_classes) & (pred >= 0) & (pred < num_classes)
    cell = torch.where(inside, true * num_classes + pred, 0)
    amount = inside.long() if weight is None else weight.flatten() * inside
    table = torch.zeros(num_classes * num_classes, dtype=amount.dtype, device=true.device)
    return table.index_add(0, cell, amount).reshape(num_classes, num_classes)
