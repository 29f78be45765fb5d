"""A score of a base by its features alone: LogME. Beside a head's score, not for it.

It says how well linear functions of the features explain the labels. Over ten networks and eight
data sets of the Transfer-Learning-Library it orders the networks a little worse than their plain
ImageNet accuracy does, so no choice here rests on it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

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
