"""Precision, recall and their parts: counts of decisions `y_pred > threshold`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from stroma.core.checks import check_number, check_positive_int
from stroma.core.dtypes import DTypeLike
from stroma.functional.confusion import threshold_counts
from stroma.functional.pairing import ratio
from stroma.metrics.base import Metric, registry

Thresholds = float | Sequence[float] | None

_EVERYTHING = -1e10  # with top_k, what is left of a sample is predicted whatever its score


def threshold_list(thresholds: Thresholds, default: float, owner: str) -> list[float]:
    """Thresholds as a list of numbers in [0, 1], or the default alone."""
    if thresholds is None:
        return [default]
    listed = [thresholds] if isinstance(thresholds, (int, float)) else list(thresholds)
    return [check_number("thresholds", t, owner=owner, minimum=0, maximum=1) for t in listed]


class ThresholdMetric(Metric):
    """Base of metrics that add up counts at thresholds; `kept` names the counts in use."""

    kept: tuple[str, ...] = (
        "true_positives",
        "false_positives",
        "true_negatives",
        "false_negatives",
    )

    def __init__(
        self,
        thresholds: list[float],
        name: str | None,
        dtype: DTypeLike,
        top_k: int | None = None,
        class_id: int | None = None,
    ) -> None:
        super().__init__(dtype, name)
        self.thresholds = thresholds
        self.top_k = (
            None if top_k is None else check_positive_int("top_k", top_k, owner=type(self).__name__)
        )
        self.class_id = class_id
        self._cuts = torch.tensor(thresholds)
        for count in self.kept:
            self.add_variable((len(thresholds),), dtype=torch.float64, name=count)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        pred = self._place(y_pred)
        if self._cuts.device != pred.device:
            self._cuts = self._cuts.to(pred.device)
        self._count(y_true, pred, sample_weight)

    def _count(self, y_true: Any, pred: Tensor, sample_weight: Any, **options: Any) -> None:
        counts = threshold_counts(
            y_true,
            pred,
            self._cuts,
            sample_weight,
            top_k=self.top_k,
            class_id=self.class_id,
            **options,
        )
        for name in self.kept:
            self._add(name, getattr(counts, name))

    def _share(self, part: str, other: str) -> Tensor:
        """part / (part + other) at each threshold, 0 where both are empty."""
        counted = self._variables[part]
        return ratio(counted, counted + self._variables[other])

    def _at_thresholds(self, values: Tensor) -> Tensor:
        return (values[0] if len(self.thresholds) == 1 else values).to(self.dtype)


class _OneCount(ThresholdMetric):
    def __init__(
        self, thresholds: Thresholds = None, name: str | None = None, dtype: DTypeLike = None
    ) -> None:
        super().__init__(threshold_list(thresholds, 0.5, type(self).__name__), name, dtype)

    def result(self) -> Tensor:
        return self._at_thresholds(self._variables[self.kept[0]])


@registry.register("TruePositives", "true_positives")
class TruePositives(_OneCount):
    """Number (or weight) of positive samples predicted positive, at each threshold."""

    kept = ("true_positives",)


@registry.register("FalsePositives", "false_positives")
class FalsePositives(_OneCount):
    """Number (or weight) of negative samples predicted positive, at each threshold."""

    kept = ("false_positives",)


@registry.register("TrueNegatives", "true_negatives")
class TrueNegatives(_OneCount):
    """Number (or weight) of negative samples predicted negative, at each threshold."""

    kept = ("true_negatives",)


@registry.register("FalseNegatives", "false_negatives")
class FalseNegatives(_OneCount):
    """Number (or weight) of positive samples predicted negative, at each threshold."""

    kept = ("false_negatives",)


class _ShareOfTruePositives(ThresholdMetric):
    _direction = "up"

    def __init__(
        self,
        thresholds: Thresholds = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: DTypeLike = None,
    ) -> None:
        default = 0.5 if top_k is None else _EVERYTHING
        listed = threshold_list(thresholds, default, type(self).__name__)
        super().__init__(listed, name, dtype, top_k, class_id)

    def result(self) -> Tensor:
        return self._at_thresholds(self._share(*self.kept))


@registry.register("Precision", "precision")
class Precision(_ShareOfTruePositives):
    """Of what was predicted positive, the share that is: TP / (TP + FP); 0 if nothing was.

    Args:
        thresholds: Score above which a prediction is positive, 0 to 1; or several, for a result
            with a value for each. 0.5 by default.
        top_k: Count as predicted only the k best classes of each sample.
        class_id: Count one class only.
        name, dtype: As for `Metric`.

    Example:
        >>> Precision()([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.1])
        tensor(0.6667)
    """

    kept = ("true_positives", "false_positives")


@registry.register("Recall", "recall")
class Recall(_ShareOfTruePositives):
    """Of what is positive, the share that was predicted so: TP / (TP + FN); 0 if nothing is.

    Args:
        thresholds: Score above which a prediction is positive, 0 to 1; or several, for a result
            with a value for each. 0.5 by default.
        top_k: Count as predicted only the k best classes of each sample.
        class_id: Count one class only.
        name, dtype: As for `Metric`.
    """

    kept = ("true_positives", "false_negatives")


def even_thresholds(count: int) -> list[float]:
    """`count` thresholds from 0 to 1; a single one is 0.5."""
    return [0.5] if count == 1 else [i / (count - 1) for i in range(count)]


class _BestUnderConstraint(ThresholdMetric):
    """The best value of one share over the thresholds at which another reaches a bound."""

    _direction = "up"
    _bounded: tuple[str, str]
    _wanted: tuple[str, str]

    def __init__(
        self,
        bounded: str,
        bound: float,
        num_thresholds: int,
        class_id: int | None,
        name: str | None,
        dtype: DTypeLike,
    ) -> None:
        owner = type(self).__name__
        self.bound = check_number(bounded, bound, owner=owner, minimum=0, maximum=1)
        self.num_thresholds = check_positive_int("num_thresholds", num_thresholds, owner=owner)
        cuts = even_thresholds(self.num_thresholds)
        super().__init__(cuts, name, dtype, class_id=class_id)

    def _count(self, y_true: Any, pred: Tensor, sample_weight: Any, **options: Any) -> None:
        super()._count(y_true, pred.clamp(0, 1), sample_weight, **options)

    def result(self) -> Tensor:
        feasible = self._share(*self._bounded) >= self.bound
        return torch.where(feasible, self._share(*self._wanted), 0.0).max().to(self.dtype)


_SENSITIVITY = ("true_positives", "false_negatives")
_SPECIFICITY = ("true_negatives", "false_positives")
_PRECISION = ("true_positives", "false_positives")


@registry.register("SensitivityAtSpecificity", "sensitivity_at_specificity")
class SensitivityAtSpecificity(_BestUnderConstraint):
    """The best TP / (TP + FN) over the thresholds with TN / (TN + FP) >= specificity.

    Args:
        specificity: The least specificity that counts, 0 to 1.
        num_thresholds: How many thresholds are tried, evenly over 0 to 1.
        class_id: The class that is measured, of several; None: all together.
        name, dtype: As for `Metric`.
    """

    _bounded, _wanted = _SPECIFICITY, _SENSITIVITY

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__("specificity", specificity, num_thresholds, class_id, name, dtype)


@registry.register("SpecificityAtSensitivity", "specificity_at_sensitivity")
class SpecificityAtSensitivity(_BestUnderConstraint):
    """The best TN / (TN + FP) over the thresholds with TP / (TP + FN) >= sensitivity.

    Args:
        sensitivity: The least sensitivity that counts, 0 to 1.
        num_thresholds: How many thresholds are tried, evenly over 0 to 1.
        class_id: The class that is measured, of several; None: all together.
        name, dtype: As for `Metric`.
    """

    _bounded, _wanted = _SENSITIVITY, _SPECIFICITY

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__("sensitivity", sensitivity, num_thresholds, class_id, name, dtype)


@registry.register("PrecisionAtRecall", "precision_at_recall")
class PrecisionAtRecall(_BestUnderConstraint):
    """The best precision over the thresholds with at least this recall.

    Args:
        recall: The least recall that counts, 0 to 1.
        num_thresholds: How many thresholds are tried, evenly over 0 to 1.
        class_id: The class that is measured, of several; None: all together.
        name, dtype: As for `Metric`.
    """

    _bounded, _wanted = _SENSITIVITY, _PRECISION

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__("recall", recall, num_thresholds, class_id, name, dtype)


@registry.register("RecallAtPrecision", "recall_at_precision")
class RecallAtPrecision(_BestUnderConstraint):
    """The best recall over the thresholds with at least this precision.

    Args:
        precision: The least precision that counts, 0 to 1.
        num_thresholds: How many thresholds are tried, evenly over 0 to 1.
        class_id: The class that is measured, of several; None: all together.
        name, dtype: As for `Metric`.
    """

    _bounded, _wanted = _PRECISION, _SENSITIVITY

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__("precision", precision, num_thresholds, class_id, name, dtype)
