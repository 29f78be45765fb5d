"""Area under the ROC, precision-recall or precision-recall-gain curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from stroma.core.checks import check_choice, check_int
from stroma.core.dtypes import DTypeLike
from stroma.core.errors import ArgumentError, ShapeError
from stroma.functional.pairing import EPSILON, ratio
from stroma.metrics.base import registry
from stroma.metrics.counts import ThresholdMetric, even_thresholds

Curve = Literal["ROC", "PR", "PRGAIN"]
Summation = Literal["interpolation", "majoring", "minoring"]


@registry.register("AUC", "auc")
class AUC(ThresholdMetric):
    """Area under a curve drawn through `num_thresholds` points.

    An ROC area of 0.5 is chance, 1 is perfect. Labels of one class only give 0 (no NaN).

    Args:
        num_thresholds: Points of the curve, 2 or more; more is finer.
        curve: "ROC", "PR" (precision over recall) or "PRGAIN".
        summation_method: "interpolation" (trapezoids; for PR the interpolation of Davis &
            Goadrich), "minoring" or "majoring" (rectangles below or above).
        name, dtype: As for `Metric`.
        thresholds: Own points in (0, 1) instead of even ones.
        multi_label: Whether each column has its own curve; the result is their mean.
        num_labels: Number of columns, if known before the first batch.
        label_weights: Weight of each column, in the counts or (multi_label) in the mean.
        from_logits: Whether predictions are logits.

    Shape: y_true (B, *), y_pred (B, *) -> ()

    Example:
        >>> AUC()([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        tensor(0.7500)

    Reference: Fawcett 2006, algorithm 2; Davis & Goadrich 2006, sec. 4; Flach & Kull 2015.
    """

    _direction = "up"

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: Curve = "ROC",
        summation_method: Summation = "interpolation",
        name: str | None = None,
        dtype: DTypeLike = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Sequence[float] | None = None,
        from_logits: bool = False,
    ) -> None:
        if thresholds is None:
            count = check_int("num_thresholds", num_thresholds, owner="AUC", minimum=2)
            thresholds = even_thresholds(count)[1:-1]
        # beyond 0 and 1, so that the curve has its two ends whatever the rounding
        cuts = [-EPSILON, *sorted(thresholds), 1 + EPSILON]
        if num_labels and not multi_label:
            raise ArgumentError(
                f"AUC: num_labels={num_labels} without multi_label=True",
                where="AUC(num_labels=...)",
                why="columns are counted apart only for several labels",
                fix=f"AUC(multi_label=True, num_labels={num_labels})",
            )
        counts = type(self).kept
        self.kept = () if multi_label else counts  # of unknown width until the first batch
        super().__init__(cuts, name, dtype)
        self.kept = counts
        self.num_thresholds = len(cuts)
        curves = ("ROC", "PR", "PRGAIN")
        self.curve = check_choice("curve", curve.upper(), curves, owner="AUC")
        methods = ("interpolation", "majoring", "minoring")
        self.summation_method = check_choice(
            "summation_method", summation_method.lower(), methods, owner="AUC"
        )
        self.multi_label, self.num_labels, self.from_logits = multi_label, num_labels, from_logits
        self.label_weights = None if label_weights is None else torch.as_tensor(label_weights)
        if num_labels:
            self._widen(num_labels)

    def _widen(self, labels: int) -> None:
        for name in self.kept:
            self.add_variable((len(self.thresholds), labels), dtype=torch.float64, name=name)

    def _count(self, y_true: Any, pred: Tensor, sample_weight: Any, **options: Any) -> None:
        pred = torch.sigmoid(pred.float()) if self.from_logits else pred.clamp(0, 1)
        if self.multi_label:
            if pred.ndim != 2:
                raise ShapeError(
                    f"AUC: y_pred has shape {tuple(pred.shape)}",
                    where="AUC(multi_label=True)",
                    why="expected (samples, labels)",
                    fix="reshape the predictions, or leave multi_label out",
                )
            if self.kept[0] not in self._variables:
                self._widen(pred.shape[1])
                self.to(pred.device)
            options["multi_label"] = True
        else:
            options["label_weights"] = self.label_weights
        super()._count(y_true, pred, sample_weight, **options)

    def result(self) -> Tensor:
        if self.kept[0] not in self._variables:
            return torch.zeros((), dtype=self.dtype)
        if (self.curve, self.summation_method) == ("PR", "interpolation"):
            steps = self._interpolated_precision()
        else:
            x, y = self._points()
            left, right = y[:-1], y[1:]
            height = {
                "interpolation": (left + right) / 2,
                "minoring": torch.minimum(left, right),
                "majoring": torch.maximum(left, right),
            }[self.summation_method]
            steps = (x[:-1] - x[1:]) * height
        areas = steps.sum(0)
        if self.multi_label and self.label_weights is not None:
            weights = self.label_weights.to(areas)
            areas = ratio((areas * weights).sum(), weights.sum())
        return areas.mean().to(self.dtype)

    def _points(self) -> tuple[Tensor, Tensor]:
        recall = self._share("true_positives", "false_negatives")
        if self.curve == "ROC":
            return self._share("false_positives", "true_negatives"), recall
        if self.curve == "PR":
            return recall, self._share("true_positives", "false_positives")
        tp, fp, tn, fn = (self._variables[name] for name in self.kept)
        odds = ratio(tp + fn, tn + fp)
        found = tp > 0
        recall_gain = torch.where(found, 1 - odds * ratio(fn, tp), 0.0).clamp(min=0)
        return recall_gain, torch.where(found, 1 - odds * ratio(fp, tp), 1.0)

    def _interpolated_precision(self) -> Tensor:
        """Area of each step of the PR curve, between whose ends TP is linear in TP + FP."""
        tp, fp, _, fn = (self._variables[name] for name in self.kept)
        predicted = tp + fp
        rise, run = tp[:-1] - tp[1:], predicted[:-1] - predicted[1:]
        slope = ratio(rise, run.clamp(min=0))
        intercept = tp[1:] - slope * predicted[1:]
        growing = (predicted[:-1] > 0) & (predicted[1:] > 0)
        growth = torch.where(growing, ratio(predicted[:-1], predicted[1:].clamp(min=0)), 1.0)
        return ratio(slope * (rise + intercept * torch.log(growth)), (tp + fn)[1:].clamp(min=0))
