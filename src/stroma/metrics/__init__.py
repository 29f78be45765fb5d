"""Metrics: what training reports. Keras' names, signatures and numbers, exact over batches.

`get` looks a metric up by a string; `resolve` is what `compile(metrics=[...])` does with one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stroma.core.config import serialise
from stroma.core.errors import ArgumentError
from stroma.core.registry import resolve as _resolve
from stroma.functional.accuracy import (
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from stroma.functional.correlation import concordance_correlation, pearson_correlation
from stroma.functional.losses import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from stroma.functional.pairing import target_kind
from stroma.metrics.accuracies import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from stroma.metrics.area import AUC
from stroma.metrics.base import Metric, registry
from stroma.metrics.correlation import ConcordanceCorrelation, PearsonCorrelation
from stroma.metrics.counts import (
    FalseNegatives,
    FalsePositives,
    Precision,
    PrecisionAtRecall,
    Recall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
    TrueNegatives,
    TruePositives,
)
from stroma.metrics.fscore import F1Score, FBetaScore
from stroma.metrics.overlap import (
    BinaryIoU,
    ConfusionMatrix,
    IoU,
    MeanIoU,
    OneHotIoU,
    OneHotMeanIoU,
)
from stroma.metrics.probabilistic import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    Hinge,
    KLDivergence,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from stroma.metrics.reduction import Mean, MeanMetricWrapper, Sum
from stroma.metrics.regression import (
    CosineSimilarity,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    R2Score,
    RootMeanSquaredError,
)

_BY_TARGETS: dict[str, dict[str, Any]] = {
    "accuracy": {
        "binary": BinaryAccuracy,
        "sparse": SparseCategoricalAccuracy,
        "categorical": CategoricalAccuracy,
    },
    "crossentropy": {
        "binary": BinaryCrossentropy,
        "sparse": SparseCategoricalCrossentropy,
        "categorical": CategoricalCrossentropy,
    },
}
_BY_TARGETS |= {"acc": _BY_TARGETS["accuracy"], "ce": _BY_TARGETS["crossentropy"]}


def get(identifier: Any) -> Any:
    """The metric named by a string, config, class, instance or function; None is None.

    Example:
        >>> get("mse"), get("AUC")
        (<MeanSquaredError name=mean_squared_error>, <AUC name=auc>)
    """
    return _resolve(registry, identifier)


def resolve(
    identifier: Any,
    y_true_shape: Sequence[int | None],
    y_pred_shape: Sequence[int | None],
) -> Metric:
    """The metric that `compile(metrics=[identifier])` means for these shapes.

    "accuracy" (or "acc") and "crossentropy" (or "ce") become the binary, sparse or categorical
    one by Keras' rule. A metric named by a string is called by that string; a function is wrapped.

    Args:
        identifier: Name, config, class, function or metric.
        y_true_shape, y_pred_shape: Shapes with the batch axis; None: unknown.

    Example:
        >>> resolve("acc", (None,), (None, 10))
        <SparseCategoricalAccuracy name=acc>
    """
    if identifier is None:
        raise ArgumentError(
            "a metric is None",
            where="compile(metrics=[...])",
            why="there is nothing to measure by it",
            fix="metrics=['accuracy'], or leave it out of the list",
        )
    if not isinstance(identifier, str):
        found = get(identifier)
        return found if isinstance(found, Metric) else MeanMetricWrapper(found)
    if (kinds := _BY_TARGETS.get(identifier.lower())) is not None:
        metric: Metric = kinds[target_kind(y_true_shape, y_pred_shape)]()
    else:
        metric = get(identifier)
    metric.name = identifier
    return metric


def serialize(metric: Any) -> Any:
    """What a file holds for a metric."""
    return serialise(metric)


def deserialize(config: Any) -> Any:
    """The metric that `serialize` wrote."""
    return get(config)


__all__ = [
    "Metric", "get", "resolve", "serialize", "deserialize", "registry",
    "AUC", "Accuracy", "BinaryAccuracy", "BinaryCrossentropy", "BinaryIoU", "CategoricalAccuracy",
    "CategoricalCrossentropy", "CategoricalHinge", "ConcordanceCorrelation", "ConfusionMatrix",
    "CosineSimilarity", "PearsonCorrelation",
    "F1Score", "FBetaScore", "FalseNegatives", "FalsePositives", "Hinge", "IoU", "KLDivergence",
    "LogCoshError", "Mean", "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanIoU",
    "MeanMetricWrapper", "MeanSquaredError", "MeanSquaredLogarithmicError", "OneHotIoU",
    "OneHotMeanIoU", "Poisson", "Precision", "PrecisionAtRecall", "R2Score", "Recall",
    "RecallAtPrecision", "RootMeanSquaredError", "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy", "SparseCategoricalCrossentropy", "SparseTopKCategoricalAccuracy",
    "SpecificityAtSensitivity", "SquaredHinge", "Sum", "TopKCategoricalAccuracy", "TrueNegatives",
    "TruePositives",
    "binary_accuracy", "binary_crossentropy", "binary_focal_crossentropy", "categorical_accuracy",
    "categorical_crossentropy", "categorical_focal_crossentropy", "categorical_hinge",
    "concordance_correlation", "hinge", "pearson_correlation",
    "huber", "kl_divergence", "log_cosh", "mean_absolute_error", "mean_absolute_percentage_error",
    "mean_squared_error", "mean_squared_logarithmic_error", "poisson",
    "sparse_categorical_accuracy", "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy", "squared_hinge", "top_k_categorical_accuracy",
]  # fmt: skip
