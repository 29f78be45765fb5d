"""Loss formulas: (targets, predictions) -> one value per sample.

Each takes tensors, arrays or lists of any number format and computes in at least float32. The last
axis (or `axis`) is averaged or summed away; losses and metrics of the same name call these.

Shape: y_true (B, *, D), y_pred (B, *, D) -> (B, *)
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stroma.functional.alignment import circle, ctc
from stroma.functional.pairing import EPSILON, as_float, as_tensor, mismatch, pair


def mean_squared_error(y_true: Any, y_pred: Any) -> Tensor:
    """mean((y_true - y_pred)^2).

    Example:
        >>> mean_squared_error([[0.0, 1.0]], [[1.0, 1.0]])
        tensor([0.5000])
    """
    true, pred = pair(y_true, y_pred)
    return torch.square(true - pred).mean(-1)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Tensor:
    """mean(|y_true - y_pred|)."""
    true, pred = pair(y_true, y_pred)
    return torch.abs(true - pred).mean(-1)


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Tensor:
    """100 * mean(|y_true - y_pred| / |y_true|), the divisor at least 1e-7."""
    true, pred = pair(y_true, y_pred)
    return 100 * torch.abs((true - pred) / true.abs().clamp(min=EPSILON)).mean(-1)


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Tensor:
    """mean((log(1 + y_true) - log(1 + y_pred))^2), values below 1e-7 taken as 1e-7."""
    true, pred = pair(y_true, y_pred)
    difference = torch.log1p(pred.clamp(min=EPSILON)) - torch.log1p(true.clamp(min=EPSILON))
    return torch.square(difference).mean(-1)


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Tensor:
    """mean of e^2 / 2 where |e| <= delta, delta * (|e| - delta / 2) beyond.

    Reference: Huber 1964, sec. 1.
    """
    true, pred = pair(y_true, y_pred)
    error = torch.abs(true - pred)
    line = delta * (error - 0.5 * delta)
    return torch.where(error <= delta, 0.5 * torch.square(error), line).mean(-1)


def log_cosh(y_true: Any, y_pred: Any) -> Tensor:
    """mean(log(cosh(y_pred - y_true))), without overflow."""
    true, pred = pair(y_true, y_pred)
    error = pred - true
    return (error + F.softplus(-2 * error) - math.log(2)).mean(-1)


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """Minus the cosine of the angle between y_true and y_pred: -1 when they point the same way.

    0 where either is zero. The vectors lie along `axis`.
    """
    true, pred = pair(y_true, y_pred)
    true_unit = F.normalize(true, dim=axis, eps=EPSILON)
    return -(true_unit * F.normalize(pred, dim=axis, eps=EPSILON)).sum(axis)


def kl_divergence(y_true: Any, y_pred: Any) -> Tensor:
    """sum(y_true * log(y_true / y_pred)), both held within [1e-7, 1]."""
    true, pred = pair(y_true, y_pred)
    true, pred = true.clamp(EPSILON, 1), pred.clamp(EPSILON, 1)
    return (true * torch.log(true / pred)).sum(-1)


def poisson(y_true: Any, y_pred: Any) -> Tensor:
    """mean(y_pred - y_true * log(y_pred + 1e-7)): a Poisson likelihood without its constant."""
    true, pred = pair(y_true, y_pred)
    return (pred - true * torch.log(pred + EPSILON)).mean(-1)


def _signs(true: Tensor) -> Tensor:
    """Labels 0 and 1 as -1 and 1; labels that hold anything else as they are."""
    binary = ((true == 0) | (true == 1)).all()
    return torch.where(binary, 2 * true - 1, true)  # where: no value is read on the host


def hinge(y_true: Any, y_pred: Any) -> Tensor:
    """mean(max(1 - y_true * y_pred, 0)), for labels -1 and 1 (0 and 1 are converted)."""
    true, pred = pair(y_true, y_pred)
    return F.relu(1 - _signs(true) * pred).mean(-1)


def squared_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """mean(max(1 - y_true * y_pred, 0)^2), for labels -1 and 1 (0 and 1 are converted)."""
    true, pred = pair(y_true, y_pred)
    return torch.square(F.relu(1 - _signs(true) * pred)).mean(-1)


def categorical_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """max(1 + largest wrong score - right score, 0), for one-hot targets."""
    true, pred = pair(y_true, y_pred)
    right = (true * pred).sum(-1)
    wrong = ((1 - true) * pred).amax(-1)
    return F.relu(wrong - right + 1)


def smooth_labels(true: Tensor, amount: float, classes: int) -> Tensor:
    """Move `amount` of the targets' mass to a uniform distribution over the classes.

    Reference: Szegedy et al. 2016, sec. 7.
    """
    return true * (1 - amount) + amount / classes if amount else true


def _one_hot_pair(
    y_true: Any, y_pred: Any, label_smoothing: float, name: str
) -> tuple[Tensor, Tensor]:
    pred = as_float(y_pred)
    true = as_tensor(y_true, pred).to(pred.dtype)
    if true.shape != pred.shape:
        raise mismatch(
            true,
            pred,
            "one-hot targets, of the same shape as the predictions",
            f"use 'sparse_{name}' for targets that are class numbers",
        )
    if pred.shape[-1] == 1:
        warnings.warn(
            f"{name}: y_pred has one class only, of shape {tuple(pred.shape)}, so nothing can "
            "be learned; use 'binary_crossentropy' for two classes with one output",
            SyntaxWarning,
            stacklevel=3,
        )
    return smooth_labels(true, label_smoothing, true.shape[-1]), pred


def probabilities(pred: Tensor, axis: int) -> Tensor:
    """Made to sum to 1, and kept off 0 and 1 where the logarithm or its slope is infinite."""
    return (pred / pred.sum(axis, keepdim=True)).clamp(EPSILON, 1 - EPSILON)


def categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """-sum(y_true * log(p)), for targets that are distributions over the classes.

    Args:
        y_true: One-hot or soft targets, of y_pred's shape.
        y_pred: Probabilities (made to sum to 1, held within [1e-7, 1 - 1e-7]), or logits.
        from_logits: Whether y_pred are logits: p = softmax(y_pred), in one fused step.
        label_smoothing: Share of the mass spread over all classes, 0 to 1.
        axis: Axis of the classes.

    Shape: (B, *, K), (B, *, K) -> (B, *)

    Example:
        >>> categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]])
        tensor([0.6931])
    """
    true, pred = _one_hot_pair(y_true, y_pred, label_smoothing, "categorical_crossentropy")
    if from_logits:
        return -(true * F.log_softmax(pred, dim=axis)).sum(axis)
    return -(true * torch.log(probabilities(pred, axis))).sum(axis)


def sparse_categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Tensor:
    """-log(p[y_true]), for targets that are class numbers.

    Args:
        y_true: Class numbers 0 to K - 1, of y_pred's shape without `axis` (or with 1 there). They
            are not checked here: the loader of the data does that, once.
        y_pred: Probabilities (made to sum to 1, held within [1e-7, 1 - 1e-7]), or logits.
        from_logits: Whether y_pred are logits: p = softmax(y_pred), in one fused step.
        ignore_class: A class number whose entries cost nothing and count as masked out.
        axis: Axis of the classes.

    Shape: (B, *), (B, *, K) -> (B, *)

    Example:
        >>> sparse_categorical_crossentropy([1, 0], [[0.5, 0.5], [0.9, 0.1]])
        tensor([0.6931, 0.1054])
    """
    pred = as_float(y_pred)
    true = as_tensor(y_true, pred)
    if true.ndim == pred.ndim and true.shape[axis] == 1:
        true = true.squeeze(axis)
    true = true.long()
    scores = pred.movedim(axis, -1)  # (B, *, K)
    if true.shape != scores.shape[:-1]:
        raise mismatch(
            true,
            pred,
            "class numbers, of the predictions' shape without the class axis",
            "use 'categorical_crossentropy' for one-hot targets",
        )
    valid = None if ignore_class is None else true != ignore_class
    target = true if valid is None else torch.where(valid, true, 0)
    table = F.log_softmax(scores, -1) if from_logits else probabilities(scores, -1)
    chosen = table.gather(-1, target.unsqueeze(-1)).squeeze(-1)
    values = -chosen if from_logits else -torch.log(chosen)
    if valid is None:
        return values
    values = torch.where(valid, values, 0.0)
    values._keras_mask = valid  # type: ignore[attr-defined]  # a loss divides by the valid ones
    return values


def _binary_crossentropy(true: Tensor, probability: Tensor) -> Tensor:
    p = probability.clamp(EPSILON, 1 - EPSILON)
    return -(true * torch.log(p) + (1 - true) * torch.log1p(-p))


def binary_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """mean(-y_true * log(p) - (1 - y_true) * log(1 - p)), for labels 0 and 1, or between.

    Args:
        y_true: Labels.
        y_pred: Probabilities (held within [1e-7, 1 - 1e-7]), or logits.
        from_logits: Whether y_pred are logits: p = sigmoid(y_pred), in one fused step.
        label_smoothing: How far labels move towards 0.5, 0 to 1.
        axis: Axis that is averaged.

    Example:
        >>> binary_crossentropy([[1.0, 0.0]], [[0.5, 0.5]])
        tensor([0.6931])
    """
    true, pred = pair(y_true, y_pred)
    if true.shape != pred.shape:
        raise mismatch(true, pred, "one label for each predicted value")
    true = smooth_labels(true, label_smoothing, 2)
    if from_logits:
        values = F.binary_cross_entropy_with_logits(pred, true, reduction="none")
    else:
        values = _binary_crossentropy(true, pred)
    return values.mean(axis)


def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """Binary cross-entropy times (1 - p of the true label)^gamma: easy samples count less.

    Args:
        y_true: Labels 0 and 1.
        y_pred: Probabilities, or logits.
        apply_class_balancing: Whether label 1 weighs `alpha` and label 0 weighs 1 - alpha.
        alpha: Weight of label 1, 0 to 1.
        gamma: Focus, 0 (plain cross-entropy) or more.
        from_logits: Whether y_pred are logits.
        label_smoothing: How far labels move towards 0.5, 0 to 1.
        axis: Axis that is averaged.

    Reference: Lin et al. 2017, eq. 4 and 5.
    """
    true, pred = pair(y_true, y_pred)
    true = smooth_labels(true, label_smoothing, 2)
    p = torch.sigmoid(pred) if from_logits else pred
    p_true = true * p + (1 - true) * (1 - p)
    values = torch.pow(1 - p_true, gamma) * _binary_crossentropy(true, p)
    if apply_class_balancing:
        values = (true * alpha + (1 - true) * (1 - alpha)) * values
    return values.mean(axis)


def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: float | Sequence[float] = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """-sum(alpha * (1 - p)^gamma * y_true * log(p)): easy samples count less.

    Args:
        y_true: One-hot targets, of y_pred's shape.
        y_pred: Probabilities, or logits.
        alpha: Weight of all classes, or one for each class.
        gamma: Focus, 0 (plain cross-entropy) or more.
        from_logits: Whether y_pred are logits.
        label_smoothing: Share of the mass spread over all classes, 0 to 1.
        axis: Axis of the classes.

    Reference: Lin et al. 2017, eq. 5, over K classes.
    """
    name = "categorical_focal_crossentropy"
    true, pred = _one_hot_pair(y_true, y_pred, label_smoothing, name)
    p = probabilities(F.softmax(pred, dim=axis) if from_logits else pred, axis)
    weight = torch.as_tensor(alpha, dtype=p.dtype, device=p.device) * torch.pow(1 - p, gamma)
    return -(weight * true * torch.log(p)).sum(axis)


def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float = 0.5) -> Tensor:
    """(1 - p[y_true]^q) / q, for class numbers: between cross-entropy (q to 0) and MAE (q = 1).

    Robust to wrong labels. Reference: Zhang & Sabuncu 2018, eq. 6.
    """
    pred = as_float(y_pred)
    target = as_tensor(y_true, pred).long()
    if target.ndim == pred.ndim:
        target = target.squeeze(-1)
    p = pred.gather(-1, target.unsqueeze(-1)).squeeze(-1)
    return (1 - torch.pow(p, q)) / q


def _axes(axis: int | Sequence[int] | None) -> int | tuple[int, ...] | None:
    return axis if axis is None or isinstance(axis, int) else tuple(axis)


def dice(y_true: Any, y_pred: Any, axis: int | Sequence[int] | None = None) -> Tensor:
    """1 - 2 sum(y_true * y_pred) / (sum(y_true) + sum(y_pred)), over `axis` (None: over all).

    Reference: Milletari et al. 2016, sec. 3.
    """
    true, pred = pair(y_true, y_pred)
    axes = _axes(axis)
    overlap = (true * pred).sum(axes)
    return 1 - 2 * overlap / (true.sum(axes) + pred.sum(axes) + EPSILON)


def tversky(
    y_true: Any,
    y_pred: Any,
    alpha: float = 0.5,
    beta: float = 0.5,
    axis: int | Sequence[int] | None = None,
) -> Tensor:
    """1 - overlap / (overlap + alpha * missed + beta * invented), over `axis` (None: over all).

    `missed` is sum(y_true * (1 - y_pred)), `invented` sum(y_pred * (1 - y_true)): Keras' own
    weighting, the other way round than in the paper. Reference: Salehi et al. 2017, eq. 4.
    """
    true, pred = pair(y_true, y_pred)
    axes = _axes(axis)
    overlap = (true * pred).sum(axes)
    missed = (true * (1 - pred)).sum(axes)
    invented = (pred * (1 - true)).sum(axes)
    return 1 - overlap / (overlap + alpha * missed + beta * invented + EPSILON)


FORMULAS = (
    binary_crossentropy, binary_focal_crossentropy, categorical_crossentropy,
    categorical_focal_crossentropy, categorical_generalized_cross_entropy, categorical_hinge,
    circle, cosine_similarity, ctc, dice, hinge, huber, kl_divergence, log_cosh,
    mean_absolute_error, mean_absolute_percentage_error, mean_squared_error,
    mean_squared_logarithmic_error, poisson, sparse_categorical_crossentropy, squared_hinge,
    tversky,
)  # fmt: skip
