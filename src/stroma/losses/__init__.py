"""Losses: what training makes small. Keras' names, signatures and numbers.

Classes hold reduction, weights and masks; the functions of the same names in small letters give
one value per sample. `get` looks either up by a string.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stroma.core.config import serialise
from stroma.core.errors import ArgumentError
from stroma.core.registry import resolve as _resolve
from stroma.functional.alignment import circle, ctc
from stroma.functional.losses import (
    FORMULAS,
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
    categorical_hinge,
    cosine_similarity,
    dice,
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
    tversky,
)
from stroma.functional.pairing import target_kind
from stroma.losses.alignment import CTC, Circle
from stroma.losses.base import Loss, LossFunctionWrapper, registry
from stroma.losses.margin import CategoricalHinge, Hinge, SquaredHinge
from stroma.losses.overlap import Dice, Tversky
from stroma.losses.probabilistic import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    KLDivergence,
    Poisson,
    SparseCategoricalCrossentropy,
)
from stroma.losses.regression import (
    CosineSimilarity,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
)

_SHORT = {
    "binary_crossentropy": "bce",
    "kl_divergence": "kld",
    "mean_absolute_error": "mae",
    "mean_squared_error": "mse",
    "mean_absolute_percentage_error": "mape",
    "mean_squared_logarithmic_error": "msle",
}
for _formula in FORMULAS:
    _name = _formula.__name__
    _short = _SHORT.get(_name)
    registry.register(_name, *((_short, _short.upper()) if _short else ()))(_formula)
registry.register("LossFunctionWrapper")(LossFunctionWrapper)

_BY_TARGETS = {
    "binary": binary_crossentropy,
    "sparse": sparse_categorical_crossentropy,
    "categorical": categorical_crossentropy,
}


def get(identifier: Any) -> Any:
    """The loss named by a string, config, class, instance or function; None is None.

    As in Keras a name in small letters gives the function, a class name an instance.

    Example:
        >>> get("mse") is mean_squared_error, get("MeanSquaredError").name
        (True, 'mean_squared_error')
    """
    return _resolve(registry, identifier)


def resolve(
    identifier: Any,
    y_true_shape: Sequence[int | None],
    y_pred_shape: Sequence[int | None],
) -> Loss:
    """The loss that `compile(loss=identifier)` means for targets and predictions of these shapes.

    "crossentropy" (or "ce") becomes the binary, sparse or categorical one by Keras' rule; a
    function is wrapped under the name that was given.

    Args:
        identifier: Name, config, class, function or loss.
        y_true_shape, y_pred_shape: Shapes with the batch axis; None: unknown.

    Example:
        >>> resolve("crossentropy", (None,), (None, 10)).fn.__name__
        'sparse_categorical_crossentropy'
    """
    if isinstance(identifier, str) and identifier.lower() in ("crossentropy", "ce"):
        found: Any = _BY_TARGETS[target_kind(y_true_shape, y_pred_shape)]
    else:
        found = get(identifier)
    if found is None:
        raise ArgumentError(
            "no loss was given",
            where="compile(loss=...)",
            why="training makes the loss small, so it must know which",
            fix="loss='sparse_categorical_crossentropy' for class numbers, loss='mse' for values",
        )
    if isinstance(found, Loss):
        return found
    name = identifier if isinstance(identifier, str) else None
    return LossFunctionWrapper(found, name=name)


def serialize(loss: Any) -> Any:
    """What a file holds for a loss."""
    return serialise(loss)


def deserialize(config: Any) -> Any:
    """The loss that `serialize` wrote."""
    return get(config)


__all__ = [
    "Loss", "LossFunctionWrapper", "get", "resolve", "serialize", "deserialize", "registry",
    "BinaryCrossentropy", "BinaryFocalCrossentropy", "CTC", "CategoricalCrossentropy", "Circle",
    "CategoricalFocalCrossentropy", "CategoricalGeneralizedCrossEntropy", "CategoricalHinge",
    "CosineSimilarity", "Dice", "Hinge", "Huber", "KLDivergence", "LogCosh", "MeanAbsoluteError",
    "MeanAbsolutePercentageError", "MeanSquaredError", "MeanSquaredLogarithmicError", "Poisson",
    "SparseCategoricalCrossentropy", "SquaredHinge", "Tversky",
    "binary_crossentropy", "binary_focal_crossentropy", "categorical_crossentropy",
    "categorical_focal_crossentropy", "categorical_generalized_cross_entropy",
    "categorical_hinge", "circle", "cosine_similarity", "ctc", "dice", "hinge", "huber",
    "kl_divergence", "log_cosh", "mean_absolute_error", "mean_absolute_percentage_error",
    "mean_squared_error", "mean_squared_logarithmic_error", "poisson",
    "sparse_categorical_crossentropy", "squared_hinge", "tversky",
]  # fmt: skip
