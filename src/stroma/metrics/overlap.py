"""Counts between classes: the confusion matrix, and intersection over union drawn from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from stroma.core.checks import check_positive_int
from stroma.core.dtypes import DTypeLike
from stroma.core.errors import ArgumentError
from stroma.functional.confusion import confusion_matrix
from stroma.functional.pairing import EPSILON, as_tensor
from stroma.metrics.base import Metric, registry


@registry.register("ConfusionMatrix", "confusion_matrix")
class ConfusionMatrix(Metric):
    """How often class i was predicted as class j: rows are the truth, columns the prediction.

    Args:
        num_classes: K, 2 or more to be of use.
        name: As for `Metric`.

    y_true are class numbers, or one-hot where they have y_pred's shape. y_pred are scores
    (B, *, K); class numbers, if of an integer type; or, for two classes, probabilities of the
    second (B, *, 1). A sample counts once unless its weight is 0; class numbers out of range do
    not count.

    Shape: y_true (B, *), y_pred (B, *, K) -> (K, K) int64

    Example:
        >>> ConfusionMatrix(2)([0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
        tensor([[1, 0],
                [1, 1]])
    """

    def __init__(self, num_classes: int, name: str | None = "confusion_matrix") -> None:
        super().__init__("int64", name)
        self.num_classes = check_positive_int("num_classes", num_classes, owner="ConfusionMatrix")
        shape = (self.num_classes, self.num_classes)
        self.add_variable(shape, dtype=torch.int64, name="counts")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        pred = self._place(y_pred)
        true = as_tensor(y_true, pred)
        if pred.is_floating_point():
            if true.shape == pred.shape and pred.shape[-1] > 1:
                true = true.argmax(-1)
            scores = pred
            pred = scores.argmax(-1) if scores.shape[-1] > 1 else (scores[..., 0] > 0.5).long()
        counted = None
        if sample_weight is not None:
            weight = as_tensor(sample_weight, pred) != 0
            weight = weight.reshape(*weight.shape, *[1] * (pred.ndim - weight.ndim))
            counted = weight.broadcast_to(pred.shape).long()
        self._add("counts", confusion_matrix(true, pred, self.num_classes, counted))

    def result(self) -> Tensor:
        counts: Tensor = self.counts
        return counts.detach().clone()


@registry.register("IoU", "io_u", "iou")
class IoU(Metric):
    """Mean over the target classes of intersection / union, of those that occur.

    Args:
        num_classes: K.
        target_class_ids: Class numbers to average over.
        name, dtype: As for `Metric`.
        ignore_class: A class number whose true entries do not count.
        sparse_y_true, sparse_y_pred: Whether these are class numbers, not one-hot or scores.
        axis: Axis of the classes where they are not.

    Weights are added up as they are; Keras cuts them to whole numbers unless dtype says otherwise.
    Shape: y_true (B, *), y_pred (B, *) -> ()

    Example:
        >>> IoU(2, [0])([0, 0, 1, 1], [0, 1, 0, 1])
        tensor(0.3333)
    """

    _direction = "up"

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: DTypeLike = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(dtype, name)
        owner = type(self).__name__
        self.num_classes = check_positive_int("num_classes", num_classes, owner=owner)
        self.target_class_ids = list(target_class_ids)
        if max(self.target_class_ids) >= num_classes:
            raise ArgumentError(
                f"{owner}: target class {max(self.target_class_ids)} of {num_classes} classes",
                where=f"{owner}(target_class_ids=...)",
                why=f"class numbers go from 0 to {num_classes - 1}",
                fix=f"{owner}({num_classes}, target_class_ids=[{num_classes - 1}])",
            )
        self.ignore_class, self.axis = ignore_class, axis
        self.sparse_y_true, self.sparse_y_pred = sparse_y_true, sparse_y_pred
        shape = (self.num_classes, self.num_classes)
        self.add_variable(shape, dtype=torch.float64, name="total_confusion_matrix")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        pred = self._place(y_pred)
        true = as_tensor(y_true, pred)
        true = true if self.sparse_y_true else true.argmax(self.axis)
        pred = pred if self.sparse_y_pred else pred.argmax(self.axis)
        weight = torch.ones(true.shape, dtype=torch.float64, device=pred.device)
        if sample_weight is not None:
            given = as_tensor(sample_weight, pred)
            if given.numel() == true.numel():
                weight = weight * given.reshape(true.shape)
            else:  # one weight for each sample of several entries
                weight = weight * given.reshape(*given.shape, *[1] * (true.ndim - given.ndim))
        if self.ignore_class is not None:
            weight = weight * (true != self.ignore_class)
        table = confusion_matrix(true, pred, self.num_classes, weight)
        self._add("total_confusion_matrix", table)

    def result(self) -> Tensor:
        table: Tensor = self.total_confusion_matrix
        shared = table.diagonal()
        union = table.sum(0) + table.sum(1) - shared
        shared, union = shared[self.target_class_ids], union[self.target_class_ids]
        scores = torch.where(union > 1e-9, shared / (union + EPSILON), 0.0)
        mean = scores.sum() / ((union > 1e-9).sum() + EPSILON)
        return mean.float()  # whatever dtype: Keras' files say "int" here, for its counts


@registry.register("BinaryIoU", "binary_io_u", "binary_iou")
class BinaryIoU(IoU):
    """Intersection over union of labels 0 and 1, from scores.

    Args:
        target_class_ids: Which of 0 and 1 to average over.
        threshold: Scores from here on mean 1.
        name, dtype: As for `Metric`.
    """

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        super().update_state(y_true, as_tensor(y_pred) >= self.threshold, sample_weight)


@registry.register("MeanIoU", "mean_io_u", "mean_iou")
class MeanIoU(IoU):
    """Mean intersection over union of all classes that occur. Arguments as for `IoU`."""

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: DTypeLike = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        every = range(num_classes)
        super().__init__(
            num_classes, every, name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis
        )


@registry.register("OneHotIoU", "one_hot_io_u", "one_hot_iou")
class OneHotIoU(IoU):
    """`IoU` of one-hot targets. Arguments as for `IoU`."""

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: DTypeLike = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis
        )


@registry.register("OneHotMeanIoU", "one_hot_mean_io_u", "one_hot_mean_iou")
class OneHotMeanIoU(MeanIoU):
    """`MeanIoU` of one-hot targets. Arguments as for `IoU`."""

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: DTypeLike = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)
