"""Cross-entropies, divergences and hinges as metrics: means over all samples."""

from __future__ import annotations

from stroma.core.dtypes import DTypeLike
from stroma.functional import losses as formulas
from stroma.metrics.base import registry
from stroma.metrics.reduction import MeanMetricWrapper


@registry.register("KLDivergence", "kl_divergence")
class KLDivergence(MeanMetricWrapper):
    """Mean of sum(y log(y / p))."""

    _direction = "down"

    def __init__(
        self,
        name: str | None = "kl_divergence",
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(formulas.kl_divergence, name, dtype)


@registry.register("Poisson", "poisson")
class Poisson(MeanMetricWrapper):
    """Mean of p - y log(p)."""

    _direction = "down"

    def __init__(
        self,
        name: str | None = "poisson",
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(formulas.poisson, name, dtype)


@registry.register("BinaryCrossentropy", "binary_crossentropy", "bce", "BCE")
class BinaryCrossentropy(MeanMetricWrapper):
    """Mean of -y log(p) - (1 - y) log(1 - p).

    Args:
        name, dtype: As for `Metric`.
        from_logits: Whether predictions are logits rather than probabilities.
        label_smoothing: How far labels move towards 0.5, 0 to 1.
    """

    _direction = "down"

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: DTypeLike = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ) -> None:
        super().__init__(
            formulas.binary_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
        )


@registry.register("CategoricalCrossentropy", "categorical_crossentropy")
class CategoricalCrossentropy(MeanMetricWrapper):
    """Mean of -sum(y log(p)), one-hot targets.

    Args:
        name, dtype: As for `Metric`.
        from_logits: Whether predictions are logits rather than probabilities.
        label_smoothing: Share of each target spread evenly over the classes, 0 to 1.
        axis: Axis of the classes.
    """

    _direction = "down"

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: DTypeLike = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ) -> None:
        super().__init__(
            formulas.categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


@registry.register("SparseCategoricalCrossentropy", "sparse_categorical_crossentropy")
class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """Mean of -log(p[y]), targets are class numbers.

    Args:
        name, dtype: As for `Metric`.
        from_logits: Whether predictions are logits rather than probabilities.
        ignore_class: Class number of samples that do not count.
        axis: Axis of the classes.
    """

    _direction = "down"

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: DTypeLike = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(
            formulas.sparse_categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )


@registry.register("Hinge", "hinge")
class Hinge(MeanMetricWrapper):
    """Mean of max(1 - y_true * y_pred, 0)."""

    _direction = "down"

    def __init__(
        self,
        name: str | None = "hinge",
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(formulas.hinge, name, dtype)


@registry.register("SquaredHinge", "squared_hinge")
class SquaredHinge(MeanMetricWrapper):
    """Mean of max(1 - y_true * y_pred, 0)^2."""

    _direction = "down"

    def __init__(
        self,
        name: str | None = "squared_hinge",
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(formulas.squared_hinge, name, dtype)


@registry.register("CategoricalHinge", "categorical_hinge")
class CategoricalHinge(MeanMetricWrapper):
    """Mean of max(1 + largest wrong score - right score, 0)."""

    _direction = "down"

    def __init__(
        self,
        name: str | None = "categorical_hinge",
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(formulas.categorical_hinge, name, dtype)
