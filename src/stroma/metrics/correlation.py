"""How far predictions rise and fall with their targets."""

from __future__ import annotations

from collections.abc import Sequence

from stroma.core.dtypes import DTypeLike
from stroma.functional import correlation as formulas
from stroma.metrics.base import registry
from stroma.metrics.reduction import MeanMetricWrapper


@registry.register("PearsonCorrelation", "pearson_correlation")
class PearsonCorrelation(MeanMetricWrapper):
    """Mean over the samples of the linear correlation along `axis`: 1 is best.

    Args:
        name, dtype: As for `Metric`.
        axis: Axis, or axes, along which a series runs.

    Shape: y_true (B, D), y_pred (B, D) -> ()
    """

    _direction = "up"

    def __init__(
        self,
        name: str | None = "pearson_correlation",
        dtype: DTypeLike = None,
        axis: int | Sequence[int] = -1,
    ) -> None:
        super().__init__(formulas.pearson_correlation, name, dtype, axis=axis)


@registry.register("ConcordanceCorrelation", "concordance_correlation")
class ConcordanceCorrelation(MeanMetricWrapper):
    """Mean over the samples of the agreement along `axis`, in place and in scale: 1 is best.

    Args:
        name, dtype: As for `Metric`.
        axis: Axis, or axes, along which a series runs.

    Shape: y_true (B, D), y_pred (B, D) -> ()
    """

    _direction = "up"

    def __init__(
        self,
        name: str | None = "concordance_correlation",
        dtype: DTypeLike = None,
        axis: int | Sequence[int] = -1,
    ) -> None:
        super().__init__(formulas.concordance_correlation, name, dtype, axis=axis)
