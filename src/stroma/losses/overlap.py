"""Losses of overlap, for segmentation masks."""

from __future__ import annotations

from collections.abc import Sequence

from stroma.core.dtypes import DTypeLike
from stroma.functional import losses as formulas
from stroma.losses.base import LossFunctionWrapper, Reduction, registry


@registry.register("Dice")
class Dice(LossFunctionWrapper):
    """1 - 2 overlap / (sum(y_true) + sum(y_pred)).

    Args:
        reduction, name, dtype: As for `Loss`.
        axis: Axes to sum over; None takes the whole batch as one mask.

    Shape: y_true (B, *), y_pred (B, *) -> ()
    Reference: Milletari et al. 2016, sec. 3.
    """

    def __init__(
        self,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "dice",
        axis: int | Sequence[int] | None = None,
        dtype: DTypeLike = None,
    ) -> None:
        self.axis = axis
        super().__init__(formulas.dice, reduction, name, dtype, axis=axis)


@registry.register("Tversky")
class Tversky(LossFunctionWrapper):
    """1 - overlap / (overlap + alpha * missed + beta * invented).

    Args:
        alpha: Price of what the prediction missed, 0 or more.
        beta: Price of what it invented, 0 or more.
        reduction, name, dtype: As for `Loss`.
        axis: Axes to sum over; None takes the whole batch as one mask.

    Shape: y_true (B, *), y_pred (B, *) -> ()
    Reference: Salehi et al. 2017, eq. 4 (whose alpha and beta are the other way round).
    """

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "tversky",
        axis: int | Sequence[int] | None = None,
        dtype: DTypeLike = None,
    ) -> None:
        self.alpha, self.beta, self.axis = alpha, beta, axis
        super().__init__(
            formulas.tversky, reduction, name, dtype, alpha=alpha, beta=beta, axis=axis
        )
