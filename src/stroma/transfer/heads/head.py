"""What every head does, and what each kind must add."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np

from stroma.core.checks import check_choice, check_int, check_number
from stroma.core.errors import ArgumentError, ArgumentTypeError, DataError, RunError
from stroma.core.layer import Layer
from stroma.transfer.heads.scoring import TARGETS, Target, importance, stratified_folds
from stroma.transfer.heads.solutions import NEVER, Solution
from stroma.transfer.inputs import as_features, as_numbers, as_samples, as_weights

How = Literal["leave-one-out", "5-fold"]
ClassWeight = Literal["balanced"] | Mapping[int, float] | None
_FOLDS = 5
_ROWS = 1 << 14  # samples in one temporary
_MOST_LOGIT = 1e5


@dataclass(frozen=True, slots=True)
class Samples:
    """Checked samples to fit on: every class below `classes` has one or more.

    Args:
        x: (N, D) features as they came (float32, or a memory map).
        y: (N,) int64 class indices.
        weight: (N,) float64 above 0, mean 1.
        classes: Number K of classes.
        target: What settings are chosen by.
        seed: Of folds and projections.
    """

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    classes: int
    target: Target
    seed: int

    @property
    def importance(self) -> np.ndarray:
        return importance(self.y, self.target)

    def moments_of_features(self) -> tuple[np.ndarray, np.ndarray]:
        """(D,) weighted mean and deviation; a feature that does not vary has deviation 1."""
        total = self.weight.sum()
        mean = self.weight @ self.x / total
        squares = np.zeros_like(mean)
        for start in range(0, len(self.x), _ROWS):
            at = slice(start, start + _ROWS)
            squares += self.weight[at] @ (self.x[at] - mean) ** 2
        deviation = np.sqrt(squares / total)
        return mean, np.where(deviation > 1e-7 * np.abs(mean), deviation, 1.0)

    def part(self, rows: np.ndarray) -> tuple[Samples, np.ndarray]:
        """Those at `rows`, their classes numbered anew; and which classes these are."""
        present, y = np.unique(self.y[rows], return_inverse=True)
        kept = replace(self, x=self.x[rows], y=y, weight=self.weight[rows], classes=len(present))
        return kept, present


class Head(ABC):
    """A classifier on features: fitted in seconds, judged on samples it has not seen.

    Every head knows how it does on unseen samples: `held_out` holds, for each sample of the fit,
    the decision values of a head that was fitted without it, by a closed form for leave-one-out
    where there is one, else by stratified 5-fold cross-validation. Settings (a penalty, a number
    of neighbours) are chosen by it, and `sharpness` minimises its cross-entropy, so probabilities
    are not fooled by samples that the head has seen. With a few settings to choose from, the
    score of the best one is a little too good: for a headline use photos that chose nothing.

    Args:
        class_weight: "balanced" weighs a sample of a class by N / (K n), n the samples of that
            class, so that every class counts the same; or a weight for each class index, > 0.
        target: "accuracy", or "balanced_accuracy" (the mean of the recalls of the classes): what
            settings are chosen by.
        seed: Of folds and random projections.

    A subclass gives `name`, `how`, `work` and `_solve`.
    """

    name: ClassVar[str]
    how: ClassVar[How]
    setting: str = ""  # what was chosen, in words
    size: int  # D of the features that it was fitted on
    _solution: Solution | None = None

    def __init__(
        self,
        *,
        class_weight: ClassWeight = None,
        target: Target = "accuracy",
        seed: int = 0,
    ) -> None:
        owner = type(self).__name__
        self.class_weight = _checked_class_weight(class_weight, owner)
        self.target = check_choice("target", target, TARGETS, owner=owner)
        self.seed = check_int("seed", seed, owner=owner, minimum=0)

    def fit(
        self,
        features: Any,
        labels: Any,
        classes: int,
        sample_weight: Sequence[float] | np.ndarray | None = None,
    ) -> Self:
        """Choose the settings on held-out samples, then fit on all.

        Args:
            features: (N, D), N >= 2.
            labels: (N,) class indices below `classes`, of two classes or more.
            classes: Number K of classes, >= 2. One without samples is never predicted.
            sample_weight: (N,) how much each sample counts, >= 0; only ratios matter.
        Raises: DataError: they do not fit together, or a feature is not finite.
        """
        owner = type(self).__name__
        x, y = as_samples(features, labels, classes, owner=owner)
        self.classes, self.size = int(classes), x.shape[1]
        weight = _weights(y, self.classes, self.class_weight, sample_weight, owner)
        samples = Samples(x, y, weight, self.classes, self.target, self.seed)
        counted, present = weight > 0, np.unique(y)
        if len(present) < self.classes or not counted.all():
            samples, present = samples.part(np.flatnonzero(counted))
        solution, held_out = self._solve(samples)
        if len(present) < self.classes:
            solution = solution.spread(present, self.classes)
        self._solution, self.held_out = solution, np.empty((len(y), self.classes))
        self.held_out[counted] = _spread(held_out, present, self.classes)
        if not counted.all():  # they taught nothing, so what was fitted has not seen them
            self.held_out[~counted] = solution.decision(x[~counted])
        return self.calibrate(self.held_out, y, weight)

    @abstractmethod
    def _solve(self, samples: Samples) -> tuple[Solution, np.ndarray]:
        """What fits all samples, and the held-out decisions (N, K)."""

    @abstractmethod
    def work(self, count: int, size: int, classes: int) -> float:
        """Roughly how many multiplications `fit` takes for (N, D, K)."""

    @property
    def solution(self) -> Solution:
        """What was found. Raises: RunError: not fitted."""
        if self._solution is None:
            owner = type(self).__name__
            raise RunError(
                f"{owner}: not fitted",
                where=owner,
                why="there is no solution to decide by yet",
                fix="head.fit(X, y, K)",
            )
        return self._solution

    def decision(self, features: Any) -> np.ndarray:
        """(B, K) values; the largest is the answer. Their unit is the head's own."""
        solution, owner = self.solution, type(self).__name__
        return solution.decision(as_features(features, owner=owner, size=self.size))

    def predict(self, features: Any) -> np.ndarray:
        """(B,) class indices."""
        indices: np.ndarray = self.decision(features).argmax(1)
        return indices

    def probabilities(self, features: Any) -> np.ndarray:
        """(B, K) softmax of `sharpness` times the decision values."""
        return softmax(self.sharpness * self.decision(features))

    def as_layers(self) -> list[Layer]:
        """The head as layers: features (B, D) as they are -> probabilities (B, K)."""
        return self.solution.layers(self.sharpness)

    def calibrate(self, decision: Any, labels: Any, sample_weight: Any = None) -> Self:
        """Set `sharpness`, the inverse temperature, by decisions on samples not fitted on.

        `fit` does it with `held_out`.

        Args:
            decision: (N, K), as `decision` gives.
            labels: (N,) class indices.
            sample_weight: (N,).
        """
        y = np.asarray(labels)
        values = as_numbers(decision, "decision", owner=type(self).__name__)
        known = values[np.arange(len(y)), y] > NEVER / 2  # seen in some fold
        weight = as_weights(sample_weight, len(y), owner=type(self).__name__)
        self.sharpness = _sharpness(values[known], y[known], weight[known])
        return self

    def _fresh(self) -> Self:
        return copy.copy(self)  # fitting replaces attributes, it changes none in place


class CrossValidatedHead(Head):
    """A head whose held-out decisions come from fitting it again: stratified 5-fold.

    A subclass gives `settings`, from the simplest on, `_path`, and the two ends of it: what is
    done to the features once, and how a solution for those is one for features as they are.
    """

    how = "5-fold"
    settings: tuple[float, ...]
    setting_name: ClassVar[str]

    @abstractmethod
    def _path(self, samples: Samples, settings: Sequence[float]) -> list[Solution]:
        """A solution for each setting: together, so that one can start where another ended."""

    @abstractmethod
    def _prepare(self, samples: Samples) -> tuple[Samples, Callable[[Any], Solution]]:
        """The samples in the coordinates to solve in, and the way back from a solution there."""

    def _solve(self, samples: Samples) -> tuple[Solution, np.ndarray]:
        samples, back = self._prepare(samples)
        decisions = np.empty((len(self.settings), len(samples.y), samples.classes))
        folds = stratified_folds(samples.y, min(_FOLDS, len(samples.y)), samples.seed)
        for fold in np.unique(folds):
            unseen = np.flatnonzero(folds == fold)
            part, present = samples.part(np.flatnonzero(folds != fold))
            if part.classes < 2:  # two samples of two classes: one alone tells nothing apart
                decisions[:, unseen] = NEVER
                decisions[:, unseen[:, None], present] = 0
                continue
            for at, solution in enumerate(self._path(part, self.settings)):
                values = solution.decision(samples.x[unseen])
                decisions[at, unseen] = _spread(values, present, samples.classes)
        right = decisions.argmax(2) == samples.y
        best = int((right @ samples.importance).argmax())
        self.chosen = self.settings[best]
        self.setting = f"{self.setting_name} {self.chosen:g}"
        return back(self._path(samples, [self.chosen])[0]), decisions[best]


def softmax(values: np.ndarray) -> np.ndarray:
    """exp(v) / sum exp(v) along the last axis."""
    powers = np.exp(values - values.max(-1, keepdims=True))
    result: np.ndarray = powers / powers.sum(-1, keepdims=True)
    return result


def _checked_class_weight(given: Any, owner: str) -> ClassWeight:
    if given is None or isinstance(given, str):
        return check_choice("class_weight", given, ("balanced", None), owner=owner)
    if not isinstance(given, Mapping):
        raise ArgumentTypeError(
            f"{owner}: class_weight must be 'balanced', a dictionary or None, got {given!r}",
            where=f"{owner}(class_weight=...)",
            why="it says what each class counts, by its index",
            fix=f"{owner}(class_weight={{0: 1.0, 1: 5.0}})",
        )
    for weight in given.values():  # a class of no weight is not learnt
        check_number("class_weight", weight, owner=owner, minimum=0, exclusive=True)
    return given


def _weights(
    y: np.ndarray, classes: int, class_weight: ClassWeight, sample_weight: Any, owner: str
) -> np.ndarray:
    """(N,) the product of both weights, scaled to mean 1."""
    weight = as_weights(sample_weight, len(y), owner=owner)
    if class_weight == "balanced":
        weight = weight / np.maximum(np.bincount(y, weight, classes), 1e-300)[y]
    elif class_weight is not None:
        unknown = [k for k in class_weight if k not in range(classes)]
        if unknown:
            raise ArgumentError(
                f"{owner}: class_weight names {unknown[0]!r}, no class of these {classes}",
                where=f"{owner}(class_weight=...)",
                why=f"its keys are class indices, 0 to {classes - 1}",
                fix=f"{owner}(class_weight={{0: 2.0}})",
            )
        weight = weight * np.array([class_weight.get(k, 1.0) for k in range(classes)])[y]
    if np.unique(y[weight > 0]).size < np.unique(y).size:
        raise DataError(
            f"{owner}: a class has samples, but all of weight 0",
            where=f"{owner}.fit(sample_weight=...)",
            why="it could not be learnt",
            fix="leave these samples out",
        )
    scaled: np.ndarray = weight / weight[weight > 0].mean()
    return scaled


def _spread(values: np.ndarray, present: np.ndarray, classes: int) -> np.ndarray:
    if values.shape[1] == classes:
        return values
    spread = np.full((len(values), classes), NEVER)
    spread[:, present] = values
    return spread


def _sharpness(decision: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    """The factor on decision values whose softmax has the smallest cross-entropy.

    Its derivative, the mean of (expected value under softmax - value of the true class), only
    grows with the factor, so halving an interval finds its zero.
    """
    if not len(decision):  # one sample of each class: nobody is seen by a head that knows it
        return 1.0
    counted = decision[decision > NEVER / 2]
    unit = np.std(counted) or 1.0  # decisions of each head have their own
    # Where none is wrong, "certain" is enough; and float32, in which the head ships, rounds
    # decisions at 1e-7 of the largest
    most = min(1e2 / unit, _MOST_LOGIT / max(np.abs(counted).max(), 1e-300))
    low, high = np.log(1e-5 * most), np.log(most)
    true = decision[np.arange(len(y)), y]
    for _ in range(40):
        middle = (low + high) / 2
        expected = (softmax(np.exp(middle) * decision) * decision).sum(1)
        if weight @ (expected - true) < 0:
            low = middle
        else:
            high = middle
    return float(np.exp((low + high) / 2))
