"""Scores of a base by its features alone: LogME and the H-score. Beside a head's score, not for it.

Both say how well linear functions of the features explain the labels. Over ten networks and eight
data sets of the Transfer-Learning-Library they order the networks a little worse than their plain
ImageNet accuracy does, so no choice here rests on them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stroma.core.checks import check_number
from stroma.core.optional import require
from stroma.transfer.inputs import as_samples

_MOST_ROUNDS = 200


def log_maximum_evidence(features: Any, labels: Any, classes: int) -> float:
    """LogME: how probable the labels are under a Bayesian linear model, at its best priors.

    For each class, targets y (1 for the class, else 0), y = F w + noise, w ~ N(0, 1/α),
    noise ~ N(0, 1/β): the log evidence log p(y | F, α, β), maximised over α and β by the fixed
    point of MacKay, divided by N; then the mean over classes. One singular value decomposition
    F = U S Vᵀ serves all classes: only S² and (Uᵀy)² enter.

    Args:
        features: (N, D), N >= 2.
        labels: (N,) class indices below `classes`.
        classes: Number K of classes; those without samples are left out.
    Raises: DataError: features and labels do not fit together.
    Example:
        >>> from sklearn.datasets import load_digits
        >>> x, y = load_digits(return_X_y=True)
        >>> shuffled = np.random.default_rng(0).permutation(y)
        >>> log_maximum_evidence(x, y, 10) > log_maximum_evidence(x, shuffled, 10)
        True

    Reference: You et al. 2021, "LogME: Practical Assessment of Pre-trained Models for Transfer
        Learning", algorithm 3; the fixed point: MacKay 1992. As there, features are not centred.
    """
    x, y = as_samples(features, labels, classes, owner="log_maximum_evidence")
    x = np.asarray(x, np.float64)
    left, singular, _ = np.linalg.svd(x, full_matrices=False)
    targets = np.eye(classes)[y][:, np.unique(y)]  # (N, K)
    inside = (left.T @ targets) ** 2  # (R, K)
    outside = np.maximum((targets**2).sum(0) - inside.sum(0), 0.0)  # (K,)
    evidences = [
        _log_evidence(singular**2, inside[:, k], float(outside[k]), *x.shape)
        for k in range(targets.shape[1])
    ]
    return float(np.mean(evidences)) / len(x)


def _log_evidence(
    values: np.ndarray, inside: np.ndarray, outside: float, count: int, size: int
) -> float:
    """max over α, β of log p(y), of squares (Uᵀy)² `inside` the span of F and `outside` it."""
    total = inside.sum() + outside
    least = np.finfo(np.float64).eps * total  # a perfect fit would make the precision infinite
    ratio = 1.0  # t = α / β
    for _ in range(_MOST_ROUNDS):
        squares, residual = _fit(values, inside, outside, ratio)
        effective = (values / (values + ratio)).sum()
        alpha = effective / max(squares, least)
        beta = (count - effective) / max(residual, least)
        before, ratio = ratio, alpha / beta
        if abs(ratio - before) <= 1e-10 * before:
            break
    squares, residual = _fit(values, inside, outside, ratio)
    determinant = np.log(alpha + beta * values).sum() + (size - len(values)) * np.log(alpha)
    return float(
        size * np.log(alpha) + count * np.log(beta / (2 * np.pi))
        - beta * residual - alpha * squares - determinant
    ) / 2  # fmt: skip


def _fit(
    values: np.ndarray, inside: np.ndarray, outside: float, ratio: float
) -> tuple[float, float]:
    """|w|² and |F w - y|² of the ridge solution with penalty `ratio`."""
    shrink = 1 / (values + ratio)
    squares = (values * shrink**2 * inside).sum()
    residual = ((ratio * shrink) ** 2 * inside).sum() + outside
    return float(squares), float(residual)


def h_score(features: Any, labels: Any, classes: int, *, shrinkage: float | None = None) -> float:
    """How much of the features' variation lies between classes: tr(Σ⁻¹ Σ_between), 0 to K - 1.

    Σ is the covariance of the features, Σ_between that of their class means. Estimated from few
    samples Σ is near singular and the score means little, so Σ is shrunk towards a multiple of the
    identity: Σ_a = (1 - a) Σ + a tr(Σ)/D I, and the score is (1 - a) tr(Σ_a⁻¹ Σ_between).

    Args:
        features: (N, D), N >= 2.
        labels: (N,) class indices below `classes`.
        classes: Number K of classes.
        shrinkage: The share a, 0 to 1. None: Ledoit and Wolf's estimate of the best; 0: the
            original score, with a pseudo-inverse where Σ is singular.
    Raises: DataError: features and labels do not fit together. ArgumentError: a share out of range.
    Example:
        >>> from sklearn.datasets import load_digits
        >>> round(h_score(*load_digits(return_X_y=True), 10), 2)
        5.85

    Reference: Bao et al. 2019, "An Information-theoretic Approach to Transferability in Task
        Transfer Learning"; shrinkage: Ibrahim et al. 2021, "Newer is not always better", eq. 5;
        Ledoit & Wolf 2004. All covariances here divide by N.
    """
    x, y = as_samples(features, labels, classes, owner="h_score")
    x = np.asarray(x, np.float64)
    centred = x - x.mean(0)
    if shrinkage is None:
        shrinkages = require("sklearn.covariance")  # on use: a second and more to import
        share = float(shrinkages.ledoit_wolf_shrinkage(centred, assume_centered=True))
    else:
        share = check_number("shrinkage", shrinkage, owner="h_score", minimum=0, maximum=1)
    members = np.eye(classes)[y]  # (N, K)
    counts = members.sum(0)
    means = (members.T @ centred) / np.maximum(counts, 1)[:, None]  # (K, D)
    covariance = centred.T @ centred / len(x)
    shrunk = (1 - share) * covariance
    np.einsum("ii->i", shrunk)[:] += share * np.trace(covariance) / x.shape[1]
    solved = _solve(shrunk, means.T)  # (D, K)
    return float((1 - share) * ((means.T * solved).sum(0) @ counts) / len(x))


def _solve(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """matrix⁺ right for a symmetric matrix; directions of rounding alone are left out."""
    values, axes = np.linalg.eigh(matrix)
    kept = values > values[-1] * len(values) * np.finfo(np.float64).eps
    solved: np.ndarray = axes[:, kept] @ ((axes[:, kept].T @ right) / values[kept, None])
    return solved
