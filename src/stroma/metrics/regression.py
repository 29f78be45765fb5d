"""Errors of real-valued predictions."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import torch
from torch import Tensor

from stroma.core.checks import check_choice, check_int
from stroma.core.dtypes import DTypeLike
from stroma.core.errors import ShapeError
from stroma.functional import losses as formulas
from stroma.functional.pairing import as_tensor, pair, ratio
from stroma.metrics.base import Metric, registry
from stroma.metrics.reduction import Mean, MeanMetricWrapper


@registry.register("MeanSquaredError", "mean_squared_error", "mse", "MSE")
class MeanSquaredError(MeanMetricWrapper):
    """Mean of (y_true - y_pred)^2."""

    _direction = "down"

    def __init__(
        self,
        name: str | None = "mean_squared_error",
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(formulas.mean_squared_error, name, dtype)


@registry.register("MeanAbsoluteError", "mean_absolute_error", "mae", "MAE")
class MeanAbsoluteError(MeanMetricWrapper):
    """Mean of |y_true - y_pred|."""

    _direction = "down"

    def __init__(
        self,
        name: str | None = "mean_absolute_error",
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(formulas.mean_absolute_error, name, dtype)


@registry.register("MeanAbsolutePercentageError", "mean_absolute_percentage_error", "mape", "MAPE")
class MeanAbsolutePercentageError(MeanMetricWrapper):
    """Mean of 100 |y_true - y_pred| / |y_true|, in percent."""

    _direction = "down"

    def __init__(
        self,
        name: str | None = "mean_absolute_percentage_error",
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(formulas.mean_absolute_percentage_error, name, dtype)


@registry.register("MeanSquaredLogarithmicError", "mean_squared_logarithmic_error", "msle", "MSLE")
class MeanSquaredLogarithmicError(MeanMetricWrapper):
    """Mean of (log(1 + y_true) - log(1 + y_pred))^2."""

    _direction = "down"

    def __init__(
        self,
        name: str | None = "mean_squared_logarithmic_error",
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(formulas.mean_squared_logarithmic_error, name, dtype)


@registry.register("LogCoshError", "log_cosh_error")
class LogCoshError(MeanMetricWrapper):
    """Mean of log(cosh(y_pred - y_true))."""

    _direction = "down"

    def __init__(
        self,
        name: str | None = "logcosh",
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(formulas.log_cosh, name, dtype)


def _cosine(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    return -formulas.cosine_similarity(y_true, y_pred, axis)


@registry.register("CosineSimilarity", "cosine_similarity")
class CosineSimilarity(MeanMetricWrapper):
    """Mean cosine of the angle between y_true and y_pred: 1 is best (the loss has the minus).

    Args:
        name, dtype: As for `Metric`.
        axis: Axis of the vectors.
    """

    _direction = "up"

    def __init__(
        self,
        name: str | None = "cosine_similarity",
        dtype: DTypeLike = None,
        axis: int = -1,
    ) -> None:
        super().__init__(_cosine, name, dtype, axis=axis)


@registry.register("RootMeanSquaredError", "root_mean_squared_error")
class RootMeanSquaredError(Mean):
    """sqrt(mean((y_true - y_pred)^2)), in the unit of the targets.

    Example:
        >>> RootMeanSquaredError()([[0.0], [0.0]], [[3.0], [4.0]])
        tensor(3.5355)
    """

    _direction = "down"

    def __init__(
        self, name: str | None = "root_mean_squared_error", dtype: DTypeLike = None
    ) -> None:
        super().__init__(name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        true, pred = pair(y_true, self._place(y_pred))
        super().update_state(torch.square(pred - true), sample_weight)

    def result(self) -> Tensor:
        return torch.sqrt(ratio(self.total, self.count)).to(self.dtype)


@registry.register("R2Score", "r2_score")
class R2Score(Metric):
    """1 - sum((y - p)^2) / sum((y - mean(y))^2): 1 is perfect, 0 as good as the mean.

    A target that never changes scores 1 if predicted exactly, else 0 (Keras gives NaN for the
    first), as in scikit-learn.

    Args:
        class_aggregation: "uniform_average" of the outputs, "variance_weighted_average", or None
            for one score for each output.
        num_regressors: Number of predictors for the adjusted score, 0 for the plain one.
        name, dtype: As for `Metric`.

    Shape: y_true (B, D), y_pred (B, D) -> ()
    Raises: ShapeError: the inputs are not matrices.
    """

    _direction = "up"

    def __init__(
        self,
        class_aggregation: Literal["uniform_average", "variance_weighted_average"]
        | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(dtype, name)
        choices = ("uniform_average", "variance_weighted_average", None)
        self.class_aggregation = check_choice(
            "class_aggregation", class_aggregation, choices, owner="R2Score"
        )
        self.num_regressors = check_int(
            "num_regressors", num_regressors, owner="R2Score", minimum=0
        )
        self.add_variable((), dtype=torch.float64, name="num_samples")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        true, pred = pair(y_true, self._place(y_pred))
        if true.ndim != 2 or pred.ndim != 2:
            raise ShapeError(
                f"R2Score: y_true has shape {tuple(true.shape)}, y_pred {tuple(pred.shape)}",
                where="R2Score.update_state",
                why="expected (samples, outputs)",
                fix="add an axis: y[:, None]",
            )
        if "sum" not in self._variables:
            for name in ("squared_sum", "sum", "residual", "count"):
                self.add_variable((pred.shape[1],), dtype=torch.float64, name=name)
            self.to(pred.device)
        true, pred = true.double(), pred.double()
        weight = torch.ones_like(true)
        if sample_weight is not None:
            given = as_tensor(sample_weight, true).double()
            weight = weight * (given[:, None] if given.ndim == 1 else given)
        self._add("sum", (true * weight).sum(0))
        self._add("squared_sum", (true * true * weight).sum(0))
        self._add("residual", (torch.square(true - pred) * weight).sum(0))
        self._add("count", weight.sum(0))
        self._add("num_samples", true.numel())

    def result(self) -> Tensor:
        if "sum" not in self._variables:
            return torch.zeros((), dtype=self.dtype)
        total = self.squared_sum - ratio(torch.square(self.sum), self.count)
        constant = torch.where((self.residual == 0) & (self.count > 0), 1.0, 0.0).double()
        scores = torch.where(total == 0, constant, 1 - ratio(self.residual, total))
        if self.class_aggregation == "uniform_average":
            scores = scores.mean()
        elif self.class_aggregation == "variance_weighted_average":
            scores = ratio((total * scores).sum(), total.sum())
        return self._adjusted(scores).to(self.dtype)

    def _adjusted(self, scores: Tensor) -> Tensor:
        if self.num_regressors == 0:
            return scores
        samples = float(self.num_samples)
        if self.num_regressors >= samples - 1:
            warnings.warn(
                f"R2Score: {self.num_regressors} regressors need more than "
                f"{self.num_regressors + 1} samples, got {samples:g}; this is the plain score",
                stacklevel=3,
            )
            return scores
        return 1 - (1 - scores) * (samples - 1) / (samples - self.num_regressors - 1)
