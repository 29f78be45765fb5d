"""Ridge regression on features for what is not one class: several classes, or numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Self

import numpy as np

from stroma.core.errors import DataError, RunError
from stroma.core.layer import Layer
from stroma.transfer.heads.ridge import (
    RELATIVE_PENALTIES,
    RidgeSystem,
    ridge_penalties,
    row_chunks,
)
from stroma.transfer.heads.solutions import Linear, dense
from stroma.transfer.inputs import as_features, as_numbers
from stroma.transfer.moments import Moments


@dataclass(frozen=True, kw_only=True, slots=True)
class PenaltyScore:
    """How one penalty does when each sample is predicted by the fit on all the others.

    Args:
        penalty: The factor λ on the squared weights.
        squared_error: Mean over samples and targets of (prediction - target)², each target
            divided by its deviation: 1 is as good as predicting the mean.
    """

    penalty: float
    squared_error: float


class RidgeRegression:
    """Ridge regression to one or more targets, its penalty chosen by exact leave-one-out.

    The system of `RidgeHead` with real targets in place of ±1: one eigendecomposition serves all
    penalties and all targets, and the prediction for a sample by a fit that never saw it is
    (ŷ - h t) / (1 - h). One penalty for all targets, which are weighed as if standardised.

    Args:
        penalties: Values of λ to try, > 0; None: 25 from 10⁻⁵ N to 10³ N.
    Shape: `fit`: (N, D), (N,) or (N, K); `predict`: (B, D) -> (B, K)
    Raises: ArgumentError: a penalty that is not > 0. DataError: features and targets that do not
        fit together. RunError: used before `fit`.
    Example:
        >>> x = np.array([[0.0], [1.0], [2.0], [3.0]])
        >>> head = RidgeRegression([1e-9]).fit(x, [1.0, 3.0, 5.0, 7.0])
        >>> head.predict([[10.0]]).round(3), head.held_out.round(3)[:, 0]
        (array([[21.]]), array([1., 3., 5., 7.]))

    Reference: Hoerl & Kennard 1970; Allen 1974 (PRESS). Features are scaled once, by the
        deviations over all samples, also for the predictions that leave one out.
    """

    def __init__(self, penalties: float | Sequence[float] | None = None) -> None:
        self.penalties = None if penalties is None else ridge_penalties(penalties, type(self))
        self._solution: Linear | None = None

    def fit(
        self,
        features: np.ndarray | Sequence[Sequence[float]],
        targets: np.ndarray | Sequence[float],
        *,
        sample_weight: np.ndarray | None = None,
    ) -> Self:
        """Solve for every penalty at once; `scores`, `best` and `held_out` (N, K) say how it does.

        Args:
            features: (N, D).
            targets: (N,) or (N, K), finite.
            sample_weight: (N,), > 0; None: each counts once.
        """
        x, t = _checked(features, targets)
        weight = np.ones(len(x)) if sample_weight is None else np.asarray(sample_weight, float)
        weight = weight / weight.mean()
        nobody = np.zeros(len(x), np.int64)  # classes say nothing here: only features are summed
        chunks = list(row_chunks(len(x), x.shape[1]))
        moments = reduce(
            Moments.merge, (Moments.of(x[at], nobody[at], 1, weight[at]) for at in chunks)
        )
        system = RidgeSystem.of(x, weight, moments, t)
        given = len(x) * RELATIVE_PENALTIES if self.penalties is None else self.penalties
        penalties = np.asarray(given, np.float64)
        self.scores = self._scores(system, x, t, weight, penalties)
        self.best = min(self.scores, key=lambda score: score.squared_error)
        chosen = np.array([self.best.penalty])
        self.held_out = np.concatenate(
            [system.leave_one_out(x[at], t[at], weight[at], chosen)[:, 0] for at in chunks]
        )
        self._solution = system.solve(self.best.penalty)
        return self

    def _scores(
        self, system: RidgeSystem, x: np.ndarray, t: np.ndarray, weight: np.ndarray,
        penalties: np.ndarray,
    ) -> tuple[PenaltyScore, ...]:  # fmt: skip
        spread = np.sqrt(weight @ (t - system.target_mean) ** 2 / weight.sum())
        scale = np.where(spread > 0, spread, 1.0)  # a target that never varies counts as it is
        squares = np.zeros(len(penalties))
        for at in row_chunks(len(x), max(x.shape[1], len(penalties) * t.shape[1])):
            unseen = system.leave_one_out(x[at], t[at], weight[at], penalties)  # (B, L, K)
            squares += weight[at] @ (((unseen - t[at, None, :]) / scale) ** 2).mean(2)
        errors = squares / weight.sum()
        return tuple(
            PenaltyScore(penalty=float(penalty), squared_error=float(error))
            for penalty, error in zip(penalties, errors)
        )

    @property
    def linear(self) -> Linear:
        """The solution. Raises: RunError: not fitted."""
        if self._solution is None:
            raise RunError(
                f"{type(self).__name__} has not been fitted",
                where=f"{type(self).__name__}()",
                why="its weights come from features and targets",
                fix="fit(features, targets) first",
            )
        return self._solution

    def predict(self, features: np.ndarray | Sequence[Sequence[float]]) -> np.ndarray:
        """(B, K) predicted targets."""
        linear = self.linear
        x = as_features(features, owner=type(self).__name__, size=len(linear.weight))
        return linear.decision(x)

    def as_layers(self) -> list[Layer]:
        """Features -> predictions, as layers that ship."""
        return [dense(self.linear.weight, self.linear.bias, None, "head")]


class MultiLabelRidge:
    """Several classes a photo: ridge regression to ±1 for each, calibrated class by class.

    Each class is a question of its own, with the same features: one system, solved once. The
    probability of class k is σ(aₖ d + bₖ) of its decision d, with a and b fitted on leave-one-out
    decisions (Platt scaling), so it is not fooled by photos that the head has seen.

    Args:
        penalties: As in `RidgeRegression`.
    Shape: `fit`: (N, D), (N, K) of 0 and 1; `probabilities`: (B, D) -> (B, K)
    Raises: As `RidgeRegression`; DataError: targets other than 0 and 1.
    Example:
        >>> x = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]] * 5)
        >>> head = MultiLabelRidge().fit(x, x)  # class k is there where feature k is
        >>> (head.probabilities([[1.0, 0.0]]) > 0.5).tolist()
        [[True, False]]

    Reference: Platt 1999; Lin, Lin & Weng 2007 (the targets that keep it from certainty).
    """

    def __init__(self, penalties: Sequence[float] | None = None) -> None:
        self.regression = RidgeRegression(penalties)

    def fit(
        self,
        features: np.ndarray | Sequence[Sequence[float]],
        targets: np.ndarray,
        *,
        sample_weight: np.ndarray | None = None,
    ) -> Self:
        """Solve and calibrate. `held_out` (N, K): probabilities by a fit without the sample."""
        present = np.asarray(targets, np.float64)
        if present.ndim != 2 or not np.isin(present, (0, 1)).all():
            raise DataError(
                f"targets of several classes must be (N, K) of 0 and 1, got {present.shape}",
                where="MultiLabelRidge.fit(targets)",
                why="each number says whether a class is there",
                fix="part.targets of data with several classes",
            )
        self.regression.fit(features, 2 * present - 1, sample_weight=sample_weight)
        decisions = self.regression.held_out
        fitted = [platt(d, t) for d, t in zip(decisions.T, present.T)]
        self.slope, self.offset = np.array(fitted).T
        self.held_out = _sigmoid(self.slope * decisions + self.offset)
        return self

    def probabilities(self, features: np.ndarray | Sequence[Sequence[float]]) -> np.ndarray:
        """(B, K) of each class by itself: a row need not add up to 1."""
        found: np.ndarray = _sigmoid(self.slope * self.regression.predict(features) + self.offset)
        return found

    def as_layers(self) -> list[Layer]:
        """Features -> probabilities, as layers that ship."""
        linear = self.regression.linear
        bias = self.slope * linear.bias + self.offset
        return [dense(linear.weight * self.slope, bias, "sigmoid", "head")]


def platt(decision: np.ndarray, present: np.ndarray) -> tuple[float, float]:
    """(a, b) for which σ(a d + b) has the least cross-entropy, by Newton's method.

    Targets are (N₊ + 1) / (N₊ + 2) and 1 / (N₋ + 2) in place of 1 and 0. A slope below 0 says that
    decisions on unseen samples are no better than none: then a is 0, and b gives the class's share.

    Args:
        decision: (N,) on samples that were not learnt from.
        present: (N,) of 0 and 1.
    """
    yes = present.sum()
    high, low = (yes + 1) / (yes + 2), 1 / (len(present) - yes + 2)
    target = np.where(present > 0, high, low)
    unit = np.std(decision) or 1.0
    design = np.stack([decision / unit, np.ones(len(decision))], axis=1)
    share = target.mean()
    none = np.array([0.0, np.log(share / (1 - share))])
    point = none.copy()
    for _ in range(100):
        p = _sigmoid(design @ point)
        gradient = design.T @ (p - target)
        curvature = (design * (p * (1 - p))[:, None]).T @ design + 1e-12 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        before, size = _cross_entropy(design @ point, target), 1.0
        while _cross_entropy(design @ (point - size * step), target) > before and size > 1e-10:
            size /= 2
        point = point - size * step
        if np.abs(size * step).max() < 1e-10:
            break
    slope, offset = point if point[0] > 0 else none
    return float(slope / unit), float(offset)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    shares: np.ndarray = (1 + np.tanh(logits / 2)) / 2  # never overflows
    return shares


def _cross_entropy(logits: np.ndarray, target: np.ndarray) -> float:
    return float((np.logaddexp(0, logits) - target * logits).sum())


def _checked(features: object, targets: object) -> tuple[np.ndarray, np.ndarray]:
    x = as_features(features, owner="RidgeRegression")
    t = as_numbers(targets, "targets", owner="RidgeRegression").astype(np.float64)
    t = t[:, None] if t.ndim == 1 else t
    if t.ndim != 2 or len(x) != len(t) or len(x) < 2:
        raise DataError(
            f"features {x.shape} and targets {t.shape} do not fit together",
            where="fit(features, targets)",
            why="each of two samples or more has D features and K targets",
            fix="features (N, D), targets (N,) or (N, K)",
        )
    if not np.isfinite(t).all():
        row = int(np.flatnonzero(~np.isfinite(t).all(1))[0])
        raise DataError(
            f"targets hold NaN or infinity, first in row {row}", where="fit(targets)",
            why="one such number spoils every weight", fix="leave the row out, or mend it",
        )  # fmt: skip
    return x, t
