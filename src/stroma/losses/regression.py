"""Losses between real values."""

from __future__ import annotations

from stroma.core.checks import check_number
from stroma.core.dtypes import DTypeLike
from stroma.functional import losses as formulas
from stroma.losses.base import LossFunctionWrapper, Reduction, registry


@registry.register("MeanSquaredError")
class MeanSquaredError(LossFunctionWrapper):
    """Mean of (y_true - y_pred)^2.

    Shape: y_true (B, *, D), y_pred (B, *, D) -> ()
    """

    def __init__(
        self,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "mean_squared_error",
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(formulas.mean_squared_error, reduction, name, dtype)


@registry.register("MeanAbsoluteError")
class MeanAbsoluteError(LossFunctionWrapper):
    """Mean of |y_true - y_pred|.

    Shape: y_true (B, *, D), y_pred (B, *, D) -> ()
    """

    def __init__(
        self,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "mean_absolute_error",
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(formulas.mean_absolute_error, reduction, name, dtype)


@registry.register("MeanAbsolutePercentageError")
class MeanAbsolutePercentageError(LossFunctionWrapper):
    """100 times the mean of |y_true - y_pred| / |y_true|: in percent.

    Shape: y_true (B, *, D), y_pred (B, *, D) -> ()
    """

    def __init__(
        self,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "mean_absolute_percentage_error",
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(formulas.mean_absolute_percentage_error, reduction, name, dtype)


@registry.register("MeanSquaredLogarithmicError")
class MeanSquaredLogarithmicError(LossFunctionWrapper):
    """Mean of (log(1 + y_true) - log(1 + y_pred))^2: for values over many orders of magnitude.

    Shape: y_true (B, *, D), y_pred (B, *, D) -> ()
    """

    def __init__(
        self,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "mean_squared_logarithmic_error",
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(formulas.mean_squared_logarithmic_error, reduction, name, dtype)


@registry.register("LogCosh")
class LogCosh(LossFunctionWrapper):
    """Mean of log(cosh(y_pred - y_true)): squared for small errors, absolute for large.

    Shape: y_true (B, *, D), y_pred (B, *, D) -> ()
    """

    def __init__(
        self,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "log_cosh",
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(formulas.log_cosh, reduction, name, dtype)


@registry.register("Huber")
class Huber(LossFunctionWrapper):
    """Mean of e^2 / 2 up to `delta`, of a straight line beyond: outliers pull less.

    Args:
        delta: Where the line starts, in the unit of the targets, > 0.
        reduction, name, dtype: As for `Loss`.

    Shape: y_true (B, *, D), y_pred (B, *, D) -> ()
    Reference: Huber 1964.
    """

    def __init__(
        self,
        delta: float = 1.0,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "huber_loss",
        dtype: DTypeLike = None,
    ) -> None:
        self.delta = check_number("delta", delta, owner="Huber", minimum=0)
        super().__init__(formulas.huber, reduction, name, dtype, delta=delta)


@registry.register("CosineSimilarity")
class CosineSimilarity(LossFunctionWrapper):
    """Minus the cosine between y_true and y_pred: -1 same direction, 0 orthogonal, 1 opposite.

    Args:
        axis: Axis along which the vectors lie.
        reduction, name, dtype: As for `Loss`.

    Shape: y_true (B, *, D), y_pred (B, *, D) -> ()
    """

    def __init__(
        self,
        axis: int = -1,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "cosine_similarity",
        dtype: DTypeLike = None,
    ) -> None:
        self.axis = axis
        super().__init__(formulas.cosine_similarity, reduction, name, dtype, axis=axis)
