"""Multinomial logistic regression, by L-BFGS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from stroma.core.checks import check_number
from stroma.core.optional import require
from stroma.transfer.heads.head import ClassWeight, CrossValidatedHead, Samples
from stroma.transfer.heads.scoring import Target
from stroma.transfer.heads.solutions import Linear, Solution
from stroma.transfer.inputs import several_numbers

_STEPS = 200  # where it has not converged by then, the score no longer moves
# Relative gain below which it stops: float32 cannot tell smaller ones from rounding
_LEAST_GAIN = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-11}


class LogisticHead(CrossValidatedHead):
    """Softmax regression: min mean of w (-log p of the own class) + λ/2 |W|², on scaled features.

    Smooth and convex, so L-BFGS finds the one solution; each penalty starts where the stronger
    one before it ended. The intercept is not penalised.

    Args:
        penalties: Values of λ to try, > 0; they are tried from the largest on.
        class_weight, target, seed: As in `Head`.
    Shape: `fit`: (N, D), (N,); `decision`, `probabilities`: (B, D) -> (B, K)
    Raises: ArgumentError: a penalty that is not > 0. DataError: features and labels that do not
        fit together. RunError: used before `fit`.
    Example:
        >>> x = np.array([[0.0], [1.0], [9.0], [10.0]])
        >>> LogisticHead().fit(x, [0, 0, 1, 1], classes=2).predict([[2.0], [8.0]])
        array([0, 1])

    Reference: Cox 1958; L-BFGS: Liu & Nocedal 1989, SciPy's. scikit-learn's `LogisticRegression`
        with C = 1 / (N λ) has the same solution. Features are scaled once, by the deviations over
        all samples.
    """

    name, setting_name = "logistic", "penalty"

    def __init__(
        self,
        penalties: float | Sequence[float] = (0.1, 0.01, 0.001),
        *,
        class_weight: ClassWeight = None,
        target: Target = "accuracy",
        seed: int = 0,
    ) -> None:
        super().__init__(class_weight=class_weight, target=target, seed=seed)
        self.settings = check_penalties(penalties, owner="LogisticHead")

    def work(self, count: int, size: int, classes: int) -> float:
        steps = 15 * len(self.settings) * 5  # measured: some 15 a penalty and fold
        return 4.0 * count * size * classes * steps + 2.0 * count * size * min(count, size)

    def _prepare(self, samples: Samples) -> tuple[Samples, Callable[[Any], Solution]]:
        mean, scale = samples.moments_of_features()
        precise = samples.x.dtype == np.float64
        z = np.asarray((samples.x - mean) / scale, np.float64 if precise else np.float32)
        axes, values = principal_axes(z * np.sqrt(samples.weight).astype(z.dtype)[:, None])
        # The Hessian is at most half the covariance (Böhning 1992). In coordinates in which that
        # bound is the identity, L-BFGS needs a tenth of the steps.
        self._lengths = 1 / np.sqrt(values / (2 * len(z)) + self.settings[0])
        axes = axes * self._lengths

        def back(found: Linear) -> Linear:
            return Linear.of_standardised(axes @ found.weight, found.bias, mean, scale)

        return replace(samples, x=z @ axes), back

    def _path(self, samples: Samples, settings: Sequence[float]) -> list[Solution]:
        x, classes = samples.x, samples.classes
        loss = _Loss(x, np.eye(classes, dtype=x.dtype)[samples.y], samples.weight, self._lengths)
        at = np.zeros((x.shape[1] + 1) * classes)
        found: list[Solution] = []
        for penalty in settings:
            at = require("scipy.optimize").minimize(
                loss, at, (penalty,), "L-BFGS-B", jac=True,
                options={"maxiter": _STEPS, "gtol": 1e-7, "ftol": _LEAST_GAIN[x.dtype]},
            ).x  # fmt: skip
            found.append(loss.solution(at))
        return found


class _Loss:
    """Mean weighted cross-entropy and penalty, and their gradient, at (W, b) laid in a row."""

    def __init__(
        self, x: np.ndarray, members: np.ndarray, weight: np.ndarray, lengths: np.ndarray
    ) -> None:
        self.x, self.members = x, members
        self.weight = (weight / weight.sum()).astype(x.dtype)[:, None]
        self.squares = lengths[:, None] ** 2  # |W|² of the weights for standardised features

    def __call__(self, at: np.ndarray, penalty: float) -> tuple[float, np.ndarray]:
        found = self.solution(at)
        logits = self.x @ found.weight.astype(self.x.dtype) + found.bias.astype(self.x.dtype)
        logits -= logits.max(1, keepdims=True)
        powers = np.exp(logits)
        sums = powers.sum(1, keepdims=True)
        own = (logits * self.members).sum(1, keepdims=True)
        shrunk = penalty * self.squares * found.weight
        value = (self.weight * (np.log(sums) - own)).sum() + (shrunk * found.weight).sum() / 2
        error = self.weight * (powers / sums - self.members)  # (N, K)
        slope = np.concatenate([self.x.T @ error + shrunk, error.sum(0, keepdims=True)])
        return float(value), slope.ravel().astype(np.float64)

    def solution(self, at: np.ndarray) -> Linear:
        table = at.reshape(-1, self.members.shape[1])
        return Linear(table[:-1], table[-1])


def principal_axes(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Axes Q (D, R) and values Λ (R,) with zᵀz = QΛQᵀ, R = min(N, D)."""
    if z.shape[1] <= len(z):
        values, axes = np.linalg.eigh(z.T @ z)
        return axes, np.maximum(values, 0)
    _, lengths, transposed = np.linalg.svd(z, full_matrices=False)
    return transposed.T, lengths**2


def check_penalties(values: float | Sequence[float], *, owner: str) -> tuple[float, ...]:
    """The penalties from the largest, so the simplest solution, on."""
    checked = [
        check_number("penalty", value, owner=owner, minimum=0, exclusive=True)
        for value in several_numbers("penalties", values, owner=owner)
    ]
    return tuple(sorted(checked, reverse=True))
