"""What is asked of photos that have several classes or a number each: one object a question.

One class a photo takes the long road (ladder, folds, calibration, audit). The others share a
shorter one, `jobs.measuring`, and all in which they differ is here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from stroma import layers
from stroma.core.layer import Layer
from stroma.core.measured import Measured
from stroma.core.tasks import Task
from stroma.diagnostics import score_number, score_several
from stroma.transfer.heads import MultiLabelRidge, RidgeRegression

Scale = tuple[float, ...]  # (mean, deviation) of the targets that were learnt from


class Question(Protocol):
    """How it is learnt, on both roads, and how its answers are measured."""

    noun: str  # what a photo has
    rate: float  # learning rate from scratch, as a multiple of the usual one

    def head(self) -> RidgeRegression | MultiLabelRidge:
        """On features; its penalty is chosen by exact leave-one-out."""

    def scale(self, targets: np.ndarray) -> Scale:
        """What a network from scratch learns targets by."""

    def loss(self, y_true: Tensor, y_pred: Tensor, scale: Scale) -> Tensor:
        """(B,) of targets (B, K) and the outputs of a network before its `ending`."""

    def ending(self, scale: Scale) -> Layer:
        """The layer that makes answers of the outputs, in the network that ships."""

    def score(
        self, truth: np.ndarray, answers: np.ndarray, class_names: list[str], mean: float
    ) -> Measured:
        """Figures of answers (N, K) beside those of answers that see no photo.

        Args:
            truth: (N, K).
            answers: What the network that ships says.
            class_names: K names.
            mean: Of the targets that were learnt from.
        """


class SeveralClasses:
    """Each class is a question of its own: sigmoids, and binary cross-entropy."""

    noun, rate = "several classes", 1.0

    def head(self) -> MultiLabelRidge:
        return MultiLabelRidge()

    def scale(self, targets: np.ndarray) -> Scale:
        return 0.0, 1.0

    def loss(self, y_true: Tensor, y_pred: Tensor, scale: Scale) -> Tensor:
        return F.binary_cross_entropy_with_logits(
            y_pred, y_true.to(y_pred.dtype), reduction="none"
        ).mean(1)

    def ending(self, scale: Scale) -> Layer:
        return layers.Activation("sigmoid", name="probabilities")

    def score(
        self, truth: np.ndarray, answers: np.ndarray, class_names: list[str], mean: float
    ) -> Measured:
        return score_several(truth, answers, class_names)


class Number:
    """One linear output, and squared errors of standardised targets."""

    # The squared error curves 8 times as much as cross-entropy: at the usual rate it would diverge
    noun, rate = "a number", 0.125

    def head(self) -> RidgeRegression:
        return RidgeRegression()

    def scale(self, targets: np.ndarray) -> Scale:
        return float(targets.mean()), float(targets.std()) or 1.0

    def loss(self, y_true: Tensor, y_pred: Tensor, scale: Scale) -> Tensor:
        mean, deviation = scale
        return ((y_pred - (y_true - mean) / deviation) ** 2).mean(1)

    def ending(self, scale: Scale) -> Layer:
        mean, deviation = scale
        return layers.Rescaling(deviation, mean, name="number")

    def score(
        self, truth: np.ndarray, answers: np.ndarray, class_names: list[str], mean: float
    ) -> Measured:
        return score_number(truth[:, 0], answers[:, 0], mean)


QUESTIONS: Mapping[Task, Question] = {"several classes": SeveralClasses(), "number": Number()}
