"""A linear head in closed form: every penalty, and every leave-one-out prediction, at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Self

import numpy as np

from stroma.core.checks import check_number
from stroma.transfer.heads.head import ClassWeight, Head, Samples
from stroma.transfer.heads.scoring import Target
from stroma.transfer.heads.solutions import Linear, Solution
from stroma.transfer.inputs import several_numbers
from stroma.transfer.moments import Moments

# Penalties per sample: features are standardised, so 1 weighs as much as one more average sample
# direction. The ends are flat on every data set tried; a step is a factor of 10^(1/3).
RELATIVE_PENALTIES = np.logspace(-5, 3, 25)
_NUMBERS_AT_ONCE = 1 << 22  # float64 in one temporary: 32 MiB


@dataclass(frozen=True, kw_only=True, slots=True)
class LeaveOneOut:
    """How one penalty does when each sample is predicted by the head fitted on all the others.

    Args:
        penalty: The factor λ on the squared weights.
        accuracy: Share of samples whose own class gets the highest decision value.
        score: The same, or the balanced accuracy where that is the target.
        squared_error: Weighted mean over samples and classes of (decision - target)², targets ±1.
    """

    penalty: float
    accuracy: float
    score: float
    squared_error: float


class RidgeHead(Head):
    """One-versus-all ridge regression on features, its penalty chosen by exact leave-one-out.

    With Z the standardised features and T the targets (+1 for the class, -1 for the others),
    W = (ZᵀZ + λI)⁻¹ Zᵀ(T - mean T), and the intercept is the mean of T. One eigendecomposition
    ZᵀZ = QΛQᵀ (or that of ZZᵀ, where there are fewer samples than features) serves all λ:
    leverages h = 1/N + Σⱼ (ZQ)ⱼ² / (Λⱼ + λ), and the prediction for a sample by a head that never
    saw it is (ŷ - h t) / (1 - h), without fitting again. All in float64. With weights w every sum
    over samples is weighted, and h is w times the above with Σw for N.

    Args:
        penalties: Values of λ to try, > 0; None: 25 from 10⁻⁵ N to 10³ N.
        class_weight, target, seed: As in `Head`.
    Shape: `fit`: (N, D), (N,); `decision`, `probabilities`: (B, D) -> (B, K)
    Raises: ArgumentError: a penalty that is not > 0. DataError: features and labels that do not
        fit together. RunError: used before `fit`.
    Example:
        >>> x = np.array([[0.0], [1.0], [9.0], [10.0]])
        >>> head = RidgeHead().fit(x, [0, 0, 1, 1], classes=2)
        >>> head.best.accuracy, head.predict([[2.0], [8.0]])
        (1.0, array([0, 1]))

    Reference: Hoerl & Kennard 1970; leave-one-out: Allen 1974 (PRESS); one-versus-all ±1 targets:
        Rifkin et al. 2003. Features are scaled once, by the deviations over all N samples, also
        for the predictions that leave one out; their mean and the intercept are left out exactly.
    """

    name, how = "ridge", "leave-one-out"
    loo_scores: tuple[LeaveOneOut, ...] = ()

    def __init__(
        self,
        penalties: float | Sequence[float] | None = None,
        *,
        class_weight: ClassWeight = None,
        target: Target = "accuracy",
        seed: int = 0,
    ) -> None:
        super().__init__(class_weight=class_weight, target=target, seed=seed)
        self.penalties = None if penalties is None else ridge_penalties(penalties, type(self))

    def fit_moments(self, moments: Moments) -> Self:
        """Solve from sums alone: samples that fit no memory, or lie on several machines.

        The penalty is chosen by generalised cross-validation, which needs no sample again:
        (1/N) Σ residual² / (1 - mean leverage)². There are no held-out decisions, so `sharpness`
        stays 1 until `calibrate` sees decisions on samples outside these moments.

        Args:
            moments: Of all samples: `Moments.of` each part, merged. Class weights go into them.
        Example:
            >>> x, y = np.array([[0.0], [1.0], [9.0], [10.0]]), np.array([0, 0, 1, 1])
            >>> parts = Moments.of(x[:3], y[:3], 2), Moments.of(x[3:], y[3:], 2)
            >>> RidgeHead().fit_moments(parts[0].merge(parts[1])).predict([[2.0], [8.0]])
            array([0, 1])

        Reference: Golub, Heath & Wahba 1979.
        """
        system = RidgeSystem.of_moments(moments)
        penalties = self._penalties(moments.count)
        chosen = float(penalties[np.argmin(system.generalised_errors(penalties))])
        self.classes, self.size = len(moments.class_counts), len(moments.mean)
        self.sharpness = 1.0
        self.setting = f"penalty {chosen:g}"
        self._solution = system.solve(chosen)
        return self

    @property
    def weight(self) -> np.ndarray:
        """(D, K) for features as they are."""
        return self.linear.weight

    @property
    def bias(self) -> np.ndarray:
        """(K,)"""
        return self.linear.bias

    @property
    def linear(self) -> Linear:
        """The solution. Raises: RunError: not fitted."""
        assert isinstance(self.solution, Linear)
        return self.solution

    def work(self, count: int, size: int, classes: int) -> float:
        least = min(count, size)
        return count * size * least * 2 + 10.0 * least**3 + 30.0 * count * least * classes

    def _penalties(self, count: float) -> np.ndarray:
        given = count * RELATIVE_PENALTIES if self.penalties is None else self.penalties
        return np.asarray(given, np.float64)

    def _solve(self, samples: Samples) -> tuple[Solution, np.ndarray]:
        x, y, weight = samples.x, samples.y, samples.weight
        chunks = list(row_chunks(len(x), x.shape[1]))
        parts = (Moments.of(x[at], y[at], samples.classes, weight[at]) for at in chunks)
        system = RidgeSystem.of(x, weight, reduce(Moments.merge, parts))
        self.loo_scores = _leave_one_out_scores(system, samples, self._penalties(len(x)))
        self.best = max(self.loo_scores, key=lambda score: (score.score, -score.squared_error))
        self.setting = f"penalty {self.best.penalty:g}"
        held_out = np.concatenate([
            system.leave_one_out(
                x[at], plus_minus_one(y[at], samples.classes), weight[at],
                np.array([self.best.penalty]),
            )[:, 0]
            for at in chunks
        ])  # fmt: skip
        return system.solve(self.best.penalty), held_out


@dataclass(frozen=True, slots=True)
class RidgeSystem:
    """The standardised problem in the axes of its Gram matrix: ZᵀZ = QΛQᵀ.

    Args:
        axes: (D, R) columns of Q that carry anything.
        values: (R,) their Λ.
        projected: (R, K) Qᵀ Zᵀ (T - mean T).
        target_mean: (K,) mean of T.
        moments: Of all samples.
    """

    axes: np.ndarray
    values: np.ndarray
    projected: np.ndarray
    target_mean: np.ndarray
    moments: Moments

    @classmethod
    def of(
        cls, x: np.ndarray, weight: np.ndarray, moments: Moments, targets: np.ndarray | None = None
    ) -> RidgeSystem:
        """The problem of these samples; `targets` (N, K) in place of ±1 for their classes."""
        goal = None if targets is None else _Goal.of(x, weight, moments, targets)
        if x.shape[1] <= len(x):
            return cls.of_moments(moments, goal)
        # ZZᵀ is smaller and has the same eigenvalues; its axes are turned into Q's
        z = (x - moments.mean) / moments.scale * np.sqrt(weight)[:, None]
        values, left = np.linalg.eigh(z @ z.T)
        axes = z.T @ (left / np.sqrt(np.maximum(values, np.finfo(np.float64).tiny)))
        return cls._of_axes(values, axes, moments, goal)

    @classmethod
    def of_moments(cls, moments: Moments, goal: _Goal | None = None) -> RidgeSystem:
        """The problem from sums alone; the targets are ±1 for the classes, or `goal`."""
        scale = moments.scale
        values, axes = np.linalg.eigh(moments.scatter / np.outer(scale, scale))
        return cls._of_axes(values, axes, moments, goal)

    @classmethod
    def _of_axes(
        cls, values: np.ndarray, axes: np.ndarray, moments: Moments, goal: _Goal | None
    ) -> RidgeSystem:
        goal = goal or _Goal(moments.cross, moments.target_mean)
        size = max(moments.count, len(moments.mean))
        # below this is rounding: no sample reaches along these axes
        kept = values > max(values[-1], 0.0) * size * np.finfo(np.float64).eps
        values, axes = values[kept], axes[:, kept]
        projected = axes.T @ (goal.cross / moments.scale[:, None])
        return cls(axes, values, projected, goal.mean, moments)

    def solve(self, penalty: float) -> Linear:
        """Weights (D, K) and bias (K,) for features as they are."""
        moments = self.moments
        weight = self.axes @ (self.projected / (self.values + penalty)[:, None])
        return Linear.of_standardised(weight, self.target_mean, moments.mean, moments.scale)

    def leave_one_out(
        self, x: np.ndarray, targets: np.ndarray, weight: np.ndarray, penalties: np.ndarray
    ) -> np.ndarray:
        """(B, L, K) predictions for samples of the fit by heads fitted without them."""
        moments = self.moments
        shrink = 1 / (self.values[:, None] + penalties)  # (R, L)
        rows = ((x - moments.mean) / moments.scale) @ self.axes  # (B, R)
        leverage = weight[:, None] * (1 / moments.count + rows**2 @ shrink)  # (B, L)
        solutions = shrink[:, :, None] * self.projected[:, None, :]  # (R, L, K)
        seen = np.tensordot(rows, solutions, 1) + self.target_mean  # (B, L, K)
        # A sample that alone spans an axis is fitted perfectly by itself: keep 1 - h above 0
        own = np.minimum(leverage, 1 - 1e-12)[:, :, None]
        unseen: np.ndarray = (seen - own * targets[:, None, :]) / (1 - own)
        return unseen

    def generalised_errors(self, penalties: np.ndarray) -> np.ndarray:
        """(L,) generalised cross-validation: what leave-one-out gives if all leverages are even.

        The residual sum of squares needs only sums: with P = QᵀZᵀT and s = 1 / (Λ + λ) it is
        Σ(T - mean T)² - 2 Σ s P² + Σ Λ s² P².
        """
        moments, squares = self.moments, (self.projected**2).sum(1)[:, None]  # (R, 1)
        shrink = 1 / (self.values[:, None] + penalties)  # (R, L)
        around_mean = moments.count * (1 - moments.target_mean**2).sum()  # targets are ±1
        fitted = (squares * shrink * (2 - self.values[:, None] * shrink)).sum(0)
        leverage = (1 + (self.values[:, None] * shrink).sum(0)) / moments.count
        errors: np.ndarray = (around_mean - fitted) / np.maximum(1 - leverage, 1e-12) ** 2
        return errors


def _leave_one_out_scores(
    system: RidgeSystem, samples: Samples, penalties: np.ndarray
) -> tuple[LeaveOneOut, ...]:
    x, y, classes = samples.x, samples.y, samples.classes
    importance, weight = samples.importance, samples.weight
    right, score, squares = (np.zeros(len(penalties)) for _ in range(3))
    for at in row_chunks(len(x), max(x.shape[1], len(penalties) * classes)):
        targets = plus_minus_one(y[at], classes)
        unseen = system.leave_one_out(x[at], targets, weight[at], penalties)
        correct = unseen.argmax(2) == y[at, None]
        right += correct.sum(0)
        score += importance[at] @ correct
        errors = ((unseen - targets[:, None, :]) ** 2).sum(2)
        squares += weight[at] @ errors
    return tuple(
        LeaveOneOut(
            penalty=float(penalty),
            accuracy=float(right[i] / len(x)),
            score=float(score[i]),
            squared_error=float(squares[i] / (len(x) * classes)),
        )
        for i, penalty in enumerate(penalties)
    )


@dataclass(frozen=True, slots=True)
class _Goal:
    """What is fitted: cross (D, K) = Σ (x - mean)(t - mean of t)ᵀ, and the mean (K,) of t."""

    cross: np.ndarray
    mean: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, weight: np.ndarray, moments: Moments, targets: np.ndarray) -> _Goal:
        mean = weight @ targets / moments.count
        cross = np.zeros((x.shape[1], targets.shape[1]))
        for at in row_chunks(len(x), x.shape[1]):
            cross += ((x[at] - moments.mean) * weight[at, None]).T @ (targets[at] - mean)
        return cls(cross, mean)


def ridge_penalties(values: float | Sequence[float], owner: type) -> tuple[float, ...]:
    """The penalties to try, in the order given."""
    given = several_numbers("penalties", values, owner=owner.__name__)
    return tuple(
        check_number("penalty", value, owner=owner.__name__, minimum=0, exclusive=True)
        for value in given
    )


def plus_minus_one(y: np.ndarray, classes: int) -> np.ndarray:
    """(N, K) targets: +1 for the class, -1 for the others."""
    targets: np.ndarray = 2 * np.eye(classes)[y] - 1
    return targets


def row_chunks(count: int, numbers_each: int) -> Iterator[slice]:
    """Slices of rows that keep a temporary small."""
    step = max(1, _NUMBERS_AT_ONCE // max(numbers_each, 1))
    return (slice(start, start + step) for start in range(0, count, step))
