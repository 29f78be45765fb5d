"""Sums over samples, from which linear heads are solved: streamed, and merged without error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stroma.core.errors import DataError
from stroma.transfer.inputs import as_features, as_labels, as_weights


@dataclass(frozen=True, slots=True)
class Moments:
    """What a linear head needs to know of any number of samples, in memory of size D².

    Two of them merge into that of all samples together, so parts, machines and later photos cost
    one addition.

    Args:
        count: Number N of samples, or the sum of their weights.
        mean: (D,) mean of the features.
        scatter: (D, D) sum over samples of (x - mean)(x - mean)ᵀ.
        class_counts: (K,) samples of each class, or the sum of their weights.
        class_sums: (D, K) sum of the features of each class.

    Example:
        >>> x, y = np.array([[0.0], [2.0], [7.0]]), np.array([0, 0, 1])
        >>> merged = Moments.of(x[:2], y[:2], 2).merge(Moments.of(x[2:], y[2:], 2))
        >>> merged.mean, merged.scatter
        (array([3.]), array([[26.]]))

    Reference: Chan, Golub & LeVeque 1983, "Algorithms for computing the sample variance": centred
        sums are merged, since raw ones cancel.
    """

    count: float
    mean: np.ndarray
    scatter: np.ndarray
    class_counts: np.ndarray
    class_sums: np.ndarray

    @classmethod
    def of(
        cls,
        features: np.ndarray,
        labels: np.ndarray,
        classes: int,
        weight: np.ndarray | None = None,
    ) -> Moments:
        """The moments of these samples: features (N, D), labels and weights (N,).

        A weight of 2 counts a sample twice; None: each counts once.
        """
        x = as_features(features, owner="Moments.of").astype(np.float64)
        y = as_labels(labels, len(x), classes, owner="Moments.of")
        w = as_weights(weight, len(x), owner="Moments.of")
        count = float(w.sum())
        mean = w @ x / count if count else np.zeros(x.shape[1])
        centred = x - mean
        members = np.eye(classes)[y] * w[:, None]  # (N, K)
        scatter = centred.T @ (centred * w[:, None])
        return cls(count, mean, scatter, members.sum(0), x.T @ members)

    def merge(self, other: Moments) -> Moments:
        """The moments of the samples of both. Raises: DataError: of other features or classes."""
        if self.class_sums.shape != other.class_sums.shape:
            ours, theirs = self.class_sums.shape, other.class_sums.shape
            raise DataError(
                f"Moments: {ours[0]} features of {ours[1]} classes, and {theirs[0]} of {theirs[1]}",
                where="Moments.merge(other)",
                why="both must be of the same features and the same classes",
                fix="Moments.of(features, labels, classes) with the same layer and classes",
            )
        count = self.count + other.count
        gap = other.mean - self.mean
        return Moments(
            count,
            self.mean + gap * (other.count / (count or 1)),
            self.scatter
            + other.scatter
            + np.outer(gap, gap) * (self.count * other.count / (count or 1)),
            self.class_counts + other.class_counts,
            self.class_sums + other.class_sums,
        )

    @property
    def scale(self) -> np.ndarray:
        """(D,) standard deviations; 1 for a feature that does not vary."""
        deviation = np.sqrt(np.diag(self.scatter) / (self.count or 1))
        # Rounding alone gives a constant feature a deviation of some 1e-16 of its size.
        return np.where(deviation > 1e-7 * np.abs(self.mean), deviation, 1.0)

    @property
    def target_mean(self) -> np.ndarray:
        """(K,) mean of targets that are +1 for the sample's class and -1 for the others."""
        return 2 * self.class_counts / self.count - 1

    @property
    def cross(self) -> np.ndarray:
        """(D, K) sum over samples of (x - mean)(t - mean of t)ᵀ with these targets."""
        return 2 * (self.class_sums - np.outer(self.mean, self.class_counts))
