"""Accuracies: the share of samples predicted right."""

from __future__ import annotations

from stroma.core.checks import check_positive_int
from stroma.core.dtypes import DTypeLike
from stroma.functional import accuracy as formulas
from stroma.metrics.base import registry
from stroma.metrics.reduction import MeanMetricWrapper


@registry.register("Accuracy", "accuracy")
class Accuracy(MeanMetricWrapper):
    """Share of predictions that equal the target exactly."""

    _direction = "up"

    def __init__(
        self,
        name: str | None = "accuracy",
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(formulas.accuracy, name, dtype)


@registry.register("BinaryAccuracy", "binary_accuracy")
class BinaryAccuracy(MeanMetricWrapper):
    """Share of labels 0 and 1 that y_pred > threshold gets right."""

    _direction = "up"

    def __init__(
        self,
        name: str | None = "binary_accuracy",
        dtype: DTypeLike = None,
        threshold: float = 0.5,
    ) -> None:
        super().__init__(formulas.binary_accuracy, name, dtype, threshold=threshold)


@registry.register("CategoricalAccuracy", "categorical_accuracy")
class CategoricalAccuracy(MeanMetricWrapper):
    """Share of samples whose largest score is the one-hot target's."""

    _direction = "up"

    def __init__(
        self,
        name: str | None = "categorical_accuracy",
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(formulas.categorical_accuracy, name, dtype)


@registry.register("SparseCategoricalAccuracy", "sparse_categorical_accuracy")
class SparseCategoricalAccuracy(MeanMetricWrapper):
    """Share of samples whose largest score is that of the class number y_true."""

    _direction = "up"

    def __init__(
        self,
        name: str | None = "sparse_categorical_accuracy",
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(formulas.sparse_categorical_accuracy, name, dtype)


@registry.register("TopKCategoricalAccuracy", "top_k_categorical_accuracy")
class TopKCategoricalAccuracy(MeanMetricWrapper):
    """Share of samples whose one-hot target is among the k largest scores.

    Args:
        k: How many guesses are allowed, 1 or more.
        name, dtype: As for `Metric`.
    """

    _direction = "up"

    def __init__(
        self,
        k: int = 5,
        name: str | None = "top_k_categorical_accuracy",
        dtype: DTypeLike = None,
    ) -> None:
        self.k = check_positive_int("k", k, owner="TopKCategoricalAccuracy")
        super().__init__(formulas.top_k_categorical_accuracy, name, dtype, k=self.k)


@registry.register("SparseTopKCategoricalAccuracy", "sparse_top_k_categorical_accuracy")
class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """Share of samples whose class number is among the k largest scores.

    Args:
        k: How many guesses are allowed, 1 or more.
        name, dtype: As for `Metric`.
        from_sorted_ids: Whether predictions are class numbers, best first, instead of scores.
    """

    _direction = "up"

    def __init__(
        self,
        k: int = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype: DTypeLike = None,
        from_sorted_ids: bool = False,
    ) -> None:
        self.k = check_positive_int("k", k, owner="SparseTopKCategoricalAccuracy")
        super().__init__(
            formulas.sparse_top_k_categorical_accuracy,
            name,
            dtype,
            k=self.k,
            from_sorted_ids=from_sorted_ids,
        )
