"""Losses of the margin: hinge and its relatives."""

from __future__ import annotations

from stroma.core.dtypes import DTypeLike
from stroma.functional import losses as formulas
from stroma.losses.base import LossFunctionWrapper, Reduction, registry


@registry.register("Hinge")
class Hinge(LossFunctionWrapper):
    """Mean of max(1 - y_true * y_pred, 0), labels -1 and 1 (0 and 1 are converted).

    Shape: y_true (B, *, D), y_pred (B, *, D) -> ()
    """

    def __init__(
        self,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "hinge",
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(formulas.hinge, reduction, name, dtype)


@registry.register("SquaredHinge")
class SquaredHinge(LossFunctionWrapper):
    """Mean of max(1 - y_true * y_pred, 0)^2, labels -1 and 1 (0 and 1 are converted).

    Shape: y_true (B, *, D), y_pred (B, *, D) -> ()
    """

    def __init__(
        self,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "squared_hinge",
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(formulas.squared_hinge, reduction, name, dtype)


@registry.register("CategoricalHinge")
class CategoricalHinge(LossFunctionWrapper):
    """max(1 + largest wrong score - right score, 0), one-hot targets.

    Shape: y_true (B, *, K), y_pred (B, *, K) -> ()
    """

    def __init__(
        self,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "categorical_hinge",
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(formulas.categorical_hinge, reduction, name, dtype)
