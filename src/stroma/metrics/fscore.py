"""F-scores: precision and recall in one number."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from stroma.core.checks import check_choice, check_number
from stroma.core.dtypes import DTypeLike
from stroma.core.errors import ArgumentError, ShapeError
from stroma.functional.pairing import EPSILON, as_tensor
from stroma.metrics.base import Metric, registry

Average = Literal["micro", "macro", "weighted"] | None

_COUNTS = ("true_positives", "false_positives", "false_negatives", "intermediate_weights")


@registry.register("FBetaScore", "f_beta_score", "fbeta_score")
class FBetaScore(Metric):
    """(1 + beta^2) P R / (beta^2 P + R), of each class or averaged; 0 for a class never seen.

    Args:
        average: None (one score for each class), "macro" (their mean), "weighted" (mean by how
            often a class is true) or "micro" (all decisions counted together).
        beta: How many times recall matters as much as precision, > 0.
        threshold: Scores above it are predictions, in (0, 1]; None takes the largest score.
        name, dtype: As for `Metric`.

    Shape: y_true (B, K), y_pred (B, K) -> (K) or ()
    Raises: ShapeError: the inputs are not matrices.
    """

    _direction = "up"

    def __init__(
        self,
        average: Average = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(dtype, name)
        owner = type(self).__name__
        choices = (None, "micro", "macro", "weighted")
        self.average = check_choice("average", average, choices, owner=owner)
        self.beta = check_number("beta", beta, owner=owner)
        if self.beta <= 0:
            raise ArgumentError(
                f"{owner}: beta must be above 0, got {beta!r}",
                where=f"{owner}(beta=...)",
                why="recall counts beta times as much as precision",
                fix=f"{owner}(beta=1.0)",
            )
        if threshold is not None and not 0 < threshold <= 1:
            raise ArgumentError(
                f"{owner}: threshold must lie in (0, 1], got {threshold!r}",
                where=f"{owner}(threshold=...)",
                why="predictions are probabilities, and those above it count as yes",
                fix=f"{owner}(threshold=0.5)",
            )
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        pred = self._place(y_pred).float()
        true = as_tensor(y_true, pred).to(pred.dtype)
        if pred.ndim != 2 or true.shape != pred.shape:
            raise ShapeError(
                f"{type(self).__name__}: y_true has shape {tuple(true.shape)}, y_pred "
                f"{tuple(pred.shape)}",
                where=f"{type(self).__name__}.update_state",
                why="expected one-hot targets and scores, both (samples, classes)",
                fix="one-hot encode class numbers: torch.nn.functional.one_hot(y, classes)",
            )
        if _COUNTS[0] not in self._variables:
            shape = () if self.average == "micro" else (pred.shape[1],)
            for name in _COUNTS:
                self.add_variable(shape, dtype=torch.float64, name=name)
            self.to(pred.device)
        if self.threshold is None:  # a row of zeros predicts nothing
            chosen = ((pred >= pred.amax(-1, keepdim=True)) & (pred.abs() > 1e-9)).to(true.dtype)
        else:
            chosen = (pred > self.threshold).to(true.dtype)
        parts = (chosen * true, chosen * (1 - true), (1 - chosen) * true, true)
        for name, part in zip(_COUNTS, parts):
            part = part.double()
            if sample_weight is not None:
                part = part * as_tensor(sample_weight, pred).reshape(-1, 1)
            self._add(name, part.sum() if self.average == "micro" else part.sum(0))

    def result(self) -> Tensor:
        if _COUNTS[0] not in self._variables:
            return torch.zeros((), dtype=self.dtype)
        tp, fp, fn, weight = (self._variables[name] for name in _COUNTS)
        precision, recall = tp / (tp + fp + EPSILON), tp / (tp + fn + EPSILON)
        square = self.beta**2
        score = (1 + square) * precision * recall / (square * precision + recall + EPSILON)
        if self.average == "weighted":
            score = (score * weight / (weight.sum() + EPSILON)).sum()
        elif self.average is not None:
            score = score.mean()
        return score.to(self.dtype)


@registry.register("F1Score", "f1_score")
class F1Score(FBetaScore):
    """2 P R / (P + R), the harmonic mean of precision and recall.

    Args:
        average: None (one score for each class), "macro", "weighted" or "micro".
        threshold: Scores above it are predictions, in (0, 1]; None takes the largest score.
        name, dtype: As for `Metric`.

    Shape: y_true (B, K), y_pred (B, K) -> (K) or ()

    Example:
        >>> F1Score("macro")([[1, 0], [0, 1]], [[0.9, 0.1], [0.6, 0.4]])
        tensor(0.3333)
    """

    def __init__(
        self,
        average: Average = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)
