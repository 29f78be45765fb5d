"""A linear head in closed form: every penalty, and every leave-one-out prediction, at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Self

import numpy as np

from stroma.core.checks import check_int, check_number
from stroma.core.errors import ArgumentError, DataError, RunError
from stroma.core.layer import Layer
from stroma.layers import Dense
from stroma.transfer.moments import Moments

# Penalties per sample: features are standardised, so 1 weighs as much as one more average sample
# direction. The ends are flat on every data set tried; a step is a factor of 10^(1/3).
_RELATIVE_PENALTIES = np.logspace(-5, 3, 25)
_NUMBERS_AT_ONCE = 1 << 22  # float64 in one temporary: 32 MiB


@dataclass(frozen=True, kw_only=True, slots=True)
class LeaveOneOut:
    """How one penalty does when each sample is predicted by the head fitted on all the others.

    Args:
        penalty: The factor λ on the squared weights.
        accuracy: Share of samples whose own class gets the highest decision value.
        squared_error: Mean over samples and classes of (decision - target)², targets ±1.
    """

    penalty: float
    accuracy: float
    squared_error: float


class RidgeHead:
    """One-versus-all ridge regression on features, its penalty chosen by exact leave-one-out.

    With Z the standardised features and T the targets (+1 for the class, -1 for the others),
    W = (ZᵀZ + λI)⁻¹ Zᵀ(T - mean T), and the intercept is the mean of T. One eigendecomposition
    ZᵀZ = QΛQᵀ (or that of ZZᵀ, where there are fewer samples than features) serves all λ:
    leverages h = 1/N + Σⱼ (ZQ)ⱼ² / (Λⱼ + λ), and the prediction for a sample by a head that never
    saw it is (ŷ - h t) / (1 - h), without fitting again. All in float64.

    Args:
        penalties: Values of λ to try, > 0; None: 25 from 10⁻⁵ N to 10³ N.
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

    loo_scores: tuple[LeaveOneOut, ...] = ()
    _fitted: bool = False

    def __init__(self, penalties: Sequence[float] | None = None) -> None:
        self.penalties = penalties
        if penalties is not None:
            for penalty in penalties:
                check_number("penalty", penalty, owner="RidgeHead", minimum=0, exclusive=True)
            if not len(penalties):
                raise ArgumentError(
                    "RidgeHead: no penalties to try",
                    where="RidgeHead(penalties=[])",
                    why="the one with the best leave-one-out accuracy is taken",
                    fix="RidgeHead(penalties=None) tries a range that suits the data",
                )

    def fit(self, features: Any, labels: Any, classes: int) -> Self:
        """Choose the penalty by leave-one-out accuracy, then by squared error, and solve.

        Args:
            features: (N, D), N >= 2.
            labels: (N,) class indices below `classes`.
            classes: Number K of classes, >= 2.
        """
        x, y = _checked(features, labels, check_int("classes", classes, owner="fit", minimum=2))
        chunks = list(_chunks(len(x), x.shape[1]))
        moments = reduce(Moments.merge, (Moments.of(x[at], y[at], classes) for at in chunks))
        system = _System.of(x, moments)
        penalties = np.asarray(
            len(x) * _RELATIVE_PENALTIES if self.penalties is None else self.penalties, np.float64
        )
        self.loo_scores = _leave_one_out_scores(system, x, y, penalties)
        self.best = max(self.loo_scores, key=lambda score: (score.accuracy, -score.squared_error))
        self.classes = classes
        self.weight, self.bias = system.solve(self.best.penalty)
        self.loo_decision = np.concatenate([  # (N, K), by heads that never saw the sample
            system.leave_one_out(x[at], y[at], np.array([self.best.penalty]))[:, 0] for at in chunks
        ])  # fmt: skip
        self.sharpness = _calibrate(self.loo_decision, y)
        self._fitted = True
        return self

    def decision(self, features: Any) -> np.ndarray:
        """(B, K) values, trained towards +1 for the class and -1 for the others."""
        if not self._fitted:
            raise RunError(
                "RidgeHead: not fitted",
                where="RidgeHead",
                why="there is no solution yet",
                fix="head.fit(X, y, K)",
            )
        values: np.ndarray = np.asarray(features, np.float64) @ self.weight + self.bias
        return values

    def predict(self, features: Any) -> np.ndarray:
        """(B,) class indices."""
        indices: np.ndarray = self.decision(features).argmax(1)
        return indices

    def probabilities(self, features: Any) -> np.ndarray:
        """(B, K) softmax of `sharpness` times the decision values.

        The one number `sharpness` (an inverse temperature) minimises the cross-entropy of the
        leave-one-out decisions, so it is not fooled by samples that the head has seen.
        """
        return _softmax(self.sharpness * self.decision(features))

    def as_layers(self) -> list[Layer]:
        """The head as layers: features (B, D) as they are -> probabilities (B, K)."""
        weight, bias = self.sharpness * self.weight, self.sharpness * self.bias
        layer = Dense(self.classes, activation="softmax", name="head")
        layer.build((None, len(weight)))
        layer.built = True
        layer.set_weights([weight.astype(np.float32), bias.astype(np.float32)])
        return [layer]


@dataclass(frozen=True, slots=True)
class _System:
    """The standardised problem in the axes of its Gram matrix: ZᵀZ = QΛQᵀ.

    Args:
        axes: (D, R) columns of Q that carry anything.
        values: (R,) their Λ.
        projected: (R, K) Qᵀ Zᵀ (T - mean T).
        moments: Of all samples.
    """

    axes: np.ndarray
    values: np.ndarray
    projected: np.ndarray
    moments: Moments

    @classmethod
    def of(cls, x: np.ndarray, moments: Moments) -> _System:
        scale = moments.scale
        count, size = x.shape
        if size <= count:
            values, axes = np.linalg.eigh(moments.scatter / np.outer(scale, scale))
        else:  # ZZᵀ is smaller and has the same eigenvalues; its axes are turned into Q's
            z = (x - moments.mean) / scale
            values, left = np.linalg.eigh(z @ z.T)
            axes = z.T @ (left / np.sqrt(np.maximum(values, np.finfo(np.float64).tiny)))
        floor = max(values[-1], 0.0) * max(count, size) * np.finfo(np.float64).eps
        kept = values > floor  # the rest is rounding: no sample reaches along these axes
        values, axes = values[kept], axes[:, kept]
        return cls(axes, values, axes.T @ (moments.cross / scale[:, None]), moments)

    def solve(self, penalty: float) -> tuple[np.ndarray, np.ndarray]:
        """Weights (D, K) and bias (K,) for features as they are."""
        moments = self.moments
        weight = self.axes @ (self.projected / (self.values + penalty)[:, None])
        weight /= moments.scale[:, None]
        return weight, moments.target_mean - moments.mean @ weight

    def leave_one_out(self, x: np.ndarray, y: np.ndarray, penalties: np.ndarray) -> np.ndarray:
        """(B, L, K) predictions for samples of the fit by heads fitted without them."""
        moments, classes = self.moments, self.projected.shape[1]
        shrink = 1 / (self.values[:, None] + penalties)  # (R, L)
        rows = ((x - moments.mean) / moments.scale) @ self.axes  # (B, R)
        leverage = 1 / moments.count + rows**2 @ shrink  # (B, L)
        solutions = shrink[:, :, None] * self.projected[:, None, :]  # (R, L, K)
        seen = np.tensordot(rows, solutions, 1) + moments.target_mean  # (B, L, K)
        # A sample that alone spans an axis is fitted perfectly by itself: keep 1 - h above 0
        own = np.minimum(leverage, 1 - 1e-12)[:, :, None]
        unseen: np.ndarray = (seen - own * _targets(y, classes)[:, None, :]) / (1 - own)
        return unseen


def _leave_one_out_scores(
    system: _System, x: np.ndarray, y: np.ndarray, penalties: np.ndarray
) -> tuple[LeaveOneOut, ...]:
    classes = system.projected.shape[1]
    right, squares = np.zeros(len(penalties)), np.zeros(len(penalties))
    for at in _chunks(len(x), max(x.shape[1], len(penalties) * classes)):
        unseen = system.leave_one_out(x[at], y[at], penalties)
        right += (unseen.argmax(2) == y[at, None]).sum(0)
        squares += ((unseen - _targets(y[at], classes)[:, None, :]) ** 2).sum((0, 2))
    return tuple(
        LeaveOneOut(
            penalty=float(penalty),
            accuracy=float(right[i] / len(x)),
            squared_error=float(squares[i] / (len(x) * classes)),
        )
        for i, penalty in enumerate(penalties)
    )


def _targets(y: np.ndarray, classes: int) -> np.ndarray:
    targets: np.ndarray = 2 * np.eye(classes)[y] - 1
    return targets


def _chunks(count: int, numbers_each: int) -> Iterator[slice]:
    step = max(1, _NUMBERS_AT_ONCE // max(numbers_each, 1))
    return (slice(start, start + step) for start in range(0, count, step))


def _calibrate(decision: np.ndarray, y: np.ndarray) -> float:
    """The factor on decision values whose softmax has the smallest cross-entropy.

    Its derivative, the mean of (expected value under softmax - value of the true class), only
    grows with the factor, so halving an interval finds its zero.
    """
    low, high = np.log(1e-2), np.log(1e3)  # 1e3: where no sample is wrong, "certain" is enough
    true = decision[np.arange(len(y)), y]
    for _ in range(40):
        middle = (low + high) / 2
        expected = (_softmax(np.exp(middle) * decision) * decision).sum(1)
        if (expected - true).mean() < 0:
            low = middle
        else:
            high = middle
    return float(np.exp((low + high) / 2))


def _softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max(1, keepdims=True))
    result: np.ndarray = powers / powers.sum(1, keepdims=True)
    return result


def _checked(features: Any, labels: Any, classes: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(features), np.asarray(labels)
    if x.ndim != 2 or y.shape != (len(x),) or len(x) < 2 or y.dtype.kind not in "iu":
        raise DataError(
            f"RidgeHead: features {x.shape} and labels {y.shape} of {y.dtype} do not fit together",
            where="RidgeHead.fit",
            why="there must be two samples or more, a row of features and a class index for each",
            fix="features (N, D), labels (N,) of whole numbers",
        )
    if y.min() < 0 or y.max() >= classes:
        raise DataError(
            f"RidgeHead: labels from {y.min()} to {y.max()} for {classes} classes",
            where="RidgeHead.fit",
            why=f"a label is the index of a class, 0 to {classes - 1}",
            fix=f"classes={int(y.max()) + 1}, if the labels are right",
        )
    finite = np.isfinite(x).all(1)
    if not finite.all():
        raise DataError(
            f"RidgeHead: {(~finite).sum()} of {len(x)} samples have features that are not finite",
            where=f"RidgeHead.fit, the first in row {int(np.argmin(finite))}",
            why="the base network overflowed, or its weights are damaged",
            fix='precision="float32" for the features, or other weights',
        )
    return x, y.astype(np.int64)
