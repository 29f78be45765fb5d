"""How two series of numbers go together, one value for each pair of series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from stroma.functional.pairing import EPSILON, pair, ratio


def pearson_correlation(y_true: Any, y_pred: Any, axis: int | Sequence[int] = -1) -> Tensor:
    """cov(y, p) / √(var(y) var(p)), from -1 to 1; 0 where one of the two never changes.

    Shape: (B, D), (B, D) -> (B,)
    Example:
        >>> pearson_correlation([[0.0, 1.0, 2.0]], [[1.0, 3.0, 5.0]])
        tensor([1.])

    Reference: Pearson 1895. A constant series gives NaN in Keras, which stays in its mean.
    """
    true, pred, axes = *pair(y_true, y_pred), _axes(axis)
    true, pred = (x - x.mean(axes, keepdim=True) for x in (true, pred))
    product = (true * pred).mean(axes)
    return ratio(product, true.square().mean(axes).sqrt() * pred.square().mean(axes).sqrt())


def concordance_correlation(y_true: Any, y_pred: Any, axis: int | Sequence[int] = -1) -> Tensor:
    """2 cov(y, p) / (var(y) + var(p) + (mean(y) - mean(p))² + 1e-7): 1 only where y = p.

    Shape: (B, D), (B, D) -> (B,)
    Example:
        >>> concordance_correlation([[0.0, 1.0, 2.0]], [[1.0, 3.0, 5.0]])
        tensor([0.3636])

    Reference: Lin 1989, eq. 2.1.
    """
    true, pred, axes = *pair(y_true, y_pred), _axes(axis)
    apart = (true.mean(axes) - pred.mean(axes)).square()
    true, pred = (x - x.mean(axes, keepdim=True) for x in (true, pred))
    spread = true.square().mean(axes) + pred.square().mean(axes)
    return 2 * (true * pred).mean(axes) / (spread + apart + EPSILON)


def _axes(axis: int | Sequence[int]) -> tuple[int, ...]:
    return (axis,) if isinstance(axis, int) else tuple(axis)
