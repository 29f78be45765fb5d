"""Linear discriminant analysis with shrinkage, every leave-one-out prediction in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal, Self

import numpy as np

from stroma.core.checks import check_number
from stroma.core.optional import require
from stroma.transfer.heads.head import ClassWeight, Head, Samples
from stroma.transfer.heads.scoring import Target
from stroma.transfer.heads.solutions import NEVER, Linear, Solution
from stroma.transfer.moments import Moments

_SHRINKAGES = (1.0, 0.6, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)  # from the simplest on
_SMALLEST_VARIANCE = 1e-10  # of features that vary by about 1: classes without any spread
_NUMBERS_AT_ONCE = 1 << 22

Shrinkage = float | Literal["leave-one-out", "ledoit-wolf"]


class LDAHead(Head):
    """Normal distributions around the class means, with one shrunk covariance for all classes.

    Σ = (1 - a) S / N + a μ I, with S the scatter within classes of the standardised features and
    μ = tr(S) / (N D). The decision is the log posterior up to a constant:
    zᵀΣ⁻¹m - ½ mᵀΣ⁻¹m + log π, with m the class mean and π the share of the class. Leaving one
    sample out moves one class mean and takes a matrix of rank one from S, so the decision without
    it follows from the same eigendecomposition (Sherman & Morrison 1950), trace included.

    Args:
        shrinkage: a in (0, 1]; "leave-one-out": the best of 8 from 0.001 to 1; "ledoit-wolf":
            the one that is closest to the true covariance in the mean.
        class_weight, target, seed: As in `Head`; "balanced" makes all π equal.
    Shape: `fit`: (N, D), (N,); `decision`, `probabilities`: (B, D) -> (B, K)
    Raises: ArgumentError: a shrinkage outside (0, 1]. DataError: features and labels that do not
        fit together. RunError: used before `fit`.
    Example:
        >>> x = np.array([[0.0], [1.0], [9.0], [10.0]])
        >>> LDAHead().fit(x, [0, 0, 1, 1], classes=2).predict([[2.0], [8.0]])
        array([0, 1])

    Reference: Fisher 1936; shrinkage: Friedman 1989; its choice: Ledoit & Wolf 2004, on the
        residuals of all classes together (scikit-learn shrinks each class by itself). Features
        are scaled once, by the deviations over all samples, as in `RidgeHead`.
    """

    name, how = "lda", "leave-one-out"

    def __init__(
        self,
        shrinkage: Shrinkage = "leave-one-out",
        *,
        class_weight: ClassWeight = None,
        target: Target = "accuracy",
        seed: int = 0,
    ) -> None:
        super().__init__(class_weight=class_weight, target=target, seed=seed)
        if shrinkage not in ("leave-one-out", "ledoit-wolf"):
            shrinkage = check_number(
                "shrinkage", shrinkage, owner="LDAHead", minimum=1e-9, maximum=1
            )
        self.shrinkage: Shrinkage = shrinkage

    def fit_moments(self, moments: Moments) -> Self:
        """Solve from sums alone: samples that fit no memory, or lie on several machines.

        A shrinkage that is not a number is 0.1 then. `sharpness` is 1: decisions are log
        posteriors already.

        Args:
            moments: Of all samples: `Moments.of` each part, merged; every class present.
        """
        given = self.shrinkage
        self.chosen = given if isinstance(given, float) else 0.1
        self.setting = f"shrinkage {self.chosen:g}"
        self.classes, self.size = len(moments.class_counts), len(moments.mean)
        self.sharpness = 1.0
        self._solution = _Classes.of(moments).solve(self.chosen)
        return self

    def work(self, count: int, size: int, classes: int) -> float:
        least = min(count, size)
        tried = len(_SHRINKAGES) if self.shrinkage == "leave-one-out" else 1
        return count * size * least * 2 + 10.0 * least**3 + 8.0 * tried * count * least * classes

    def _solve(self, samples: Samples) -> tuple[Solution, np.ndarray]:
        x, y, weight = samples.x, samples.y, samples.weight
        step = max(1, _NUMBERS_AT_ONCE // x.shape[1])
        chunks = [slice(start, start + step) for start in range(0, len(x), step)]
        parts = (Moments.of(x[at], y[at], samples.classes, weight[at]) for at in chunks)
        moments = reduce(Moments.merge, parts)
        if x.shape[1] > len(x):
            system = _Classes.of(moments, (x - moments.mean) / moments.scale)
        else:
            system = _Classes.of(moments)
        best, score, held_out = 0.0, -1.0, np.empty(0)
        for shrinkage in self._tried(samples, moments):
            decision = np.concatenate(
                [system.leave_one_out(x[at], y[at], weight[at], shrinkage) for at in chunks]
            )
            reached = float((decision.argmax(1) == y) @ samples.importance)
            if reached > score:
                best, score, held_out = shrinkage, reached, decision
        self.chosen, self.setting = best, f"shrinkage {best:.3g}"
        return system.solve(best), held_out

    def _tried(self, samples: Samples, moments: Moments) -> tuple[float, ...]:
        if isinstance(self.shrinkage, float):
            return (self.shrinkage,)
        if self.shrinkage == "leave-one-out":
            return _SHRINKAGES
        means = moments.class_sums / moments.class_counts
        residuals = (samples.x - means.T[samples.y]) / moments.scale
        residuals *= np.sqrt(samples.weight)[:, None]
        found = require("sklearn.covariance").ledoit_wolf_shrinkage(residuals, assume_centered=True)
        return (max(float(found), 1e-9),)


@dataclass(frozen=True, slots=True)
class _Classes:
    """The classes in the axes of their common scatter S = QΛQᵀ of standardised features.

    Args:
        axes: (D, R) Q. `values`: (R,) Λ.
        means: (K, R) of the classes, along the axes.
        moments: Of all samples.
    """

    axes: np.ndarray
    values: np.ndarray
    means: np.ndarray
    moments: Moments

    @classmethod
    def of(cls, moments: Moments, z: np.ndarray | None = None) -> _Classes:
        """Args: z: (N, D) standardised samples where N < D: nothing lies outside their span."""
        means = (moments.class_sums / moments.class_counts).T - moments.mean
        means /= moments.scale
        scatter = moments.scatter / np.outer(moments.scale, moments.scale)
        scatter -= means.T @ (means * moments.class_counts[:, None])  # that between the classes
        if z is None:
            values, axes = np.linalg.eigh(scatter)
        else:
            span, _ = np.linalg.qr(z.T)  # (D, N)
            values, inner = np.linalg.eigh(span.T @ scatter @ span)
            axes = span @ inner
        return cls(axes, np.maximum(values, 0.0), means @ axes, moments)

    def solve(self, shrinkage: float) -> Linear:
        moments = self.moments
        count, size = moments.count, len(moments.mean)
        values = self.values / count
        average = _average_variance(values.sum(), size)
        variances = (1 - shrinkage) * values + shrinkage * average
        variances = np.maximum(variances, _SMALLEST_VARIANCE)
        weight = self.means / variances  # (K, R)
        bias = np.log(moments.class_counts / count) - (weight * self.means).sum(1) / 2
        return Linear.of_standardised(self.axes @ weight.T, bias, moments.mean, moments.scale)

    def leave_one_out(
        self, x: np.ndarray, y: np.ndarray, weight: np.ndarray, shrinkage: float
    ) -> np.ndarray:
        """(B, K) decisions for samples of the fit by heads fitted without them.

        <u, v> below is uᵀA⁻¹v with A = (1 - a) S + a tr(S') / D I, diagonal along the axes; what
        S' = S - c ddᵀ lacks besides the trace is mended by r = β / (1 - β <d, d>), β = (1 - a) c.
        """
        moments, means = self.moments, self.means
        rows = ((x - moments.mean) / moments.scale) @ self.axes  # (B, R)
        d = rows - means[y]
        before = moments.class_counts[y]
        rest = before - weight  # of the own class, without the sample
        alone = rest <= 1e-9 * before
        rest = np.where(alone, before, rest)
        share, c = np.where(alone, 0, weight / rest), np.where(alone, 0, weight * before / rest)
        count = moments.count - weight
        trace = np.maximum(self.values.sum() - c * (d * d).sum(1), 0)
        shrunk = shrinkage * count * _average_variance(trace / count, len(moments.mean))
        inverse = (1 - shrinkage) * self.values + shrunk[:, None]  # (B, R)
        inverse = 1 / np.maximum(inverse, _SMALLEST_VARIANCE * count[:, None])
        xm, dm = (inverse * rows) @ means.T, (inverse * d) @ means.T  # (B, K) <x, m>, <d, m>
        mm = inverse @ (means**2).T  # <m, m>
        xd, dd = (inverse * rows * d).sum(1), (inverse * d * d).sum(1)  # (B,)
        own = np.arange(len(y)), y  # the mean that moves: m' = m - share d
        xm[own] -= share * xd
        mm[own] += share * (share * dd - 2 * dm[own])
        dm[own] -= share * dd
        beta = (1 - shrinkage) * c
        mend = (beta / np.maximum(1 - beta * dd, 1e-12))[:, None]  # (B, 1)
        quadratic = xm + mend * xd[:, None] * dm - (mm + mend * dm**2) / 2
        shares = np.tile(moments.class_counts, (len(y), 1))
        shares[own] = rest
        decision: np.ndarray = count[:, None] * quadratic + np.log(shares / count[:, None])
        decision -= decision.max(1, keepdims=True)  # log posteriors: any constant will do
        decision[own] = np.where(alone, NEVER, decision[own])
        return decision


def _average_variance(trace: Any, size: int) -> Any:
    """The mean of variances; where classes have no spread, that of all samples together: 1."""
    average = np.asarray(trace) / size
    return np.where(average > _SMALLEST_VARIANCE, average, 1.0)
