"""Losses between distributions: cross-entropies, focal losses, divergences."""

from __future__ import annotations

from collections.abc import Sequence

from stroma.core.checks import check_number
from stroma.core.dtypes import DTypeLike
from stroma.functional import losses as formulas
from stroma.losses.base import LossFunctionWrapper, Reduction, registry


def _share(value: float, owner: str) -> float:
    return check_number("label_smoothing", value, owner=owner, minimum=0, maximum=1)


@registry.register("BinaryCrossentropy")
class BinaryCrossentropy(LossFunctionWrapper):
    """Mean of -y log(p) - (1 - y) log(1 - p): labels 0 and 1, one or more outputs.

    Args:
        from_logits: Whether predictions are logits rather than probabilities.
        label_smoothing: How far labels move towards 0.5, 0 to 1.
        axis: Axis that is averaged.
        reduction, name, dtype: As for `Loss`.

    Shape: y_true (B, *, D), y_pred (B, *, D) -> ()
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "binary_crossentropy",
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(
            formulas.binary_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=_share(label_smoothing, "BinaryCrossentropy"),
            axis=axis,
        )
        self.from_logits, self.label_smoothing, self.axis = from_logits, label_smoothing, axis


@registry.register("BinaryFocalCrossentropy")
class BinaryFocalCrossentropy(LossFunctionWrapper):
    """Binary cross-entropy in which well-predicted samples count less: times (1 - p_true)^gamma.

    Args:
        apply_class_balancing: Whether label 1 weighs `alpha` and label 0 weighs 1 - alpha.
        alpha: Weight of label 1, 0 to 1.
        gamma: Focus, 0 or more.
        from_logits: Whether predictions are logits rather than probabilities.
        label_smoothing: How far labels move towards 0.5, 0 to 1.
        axis: Axis that is averaged.
        reduction, name, dtype: As for `Loss`.

    Shape: y_true (B, *, D), y_pred (B, *, D) -> ()
    Reference: Lin et al. 2017, eq. 4 and 5.
    """

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "binary_focal_crossentropy",
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(
            formulas.binary_focal_crossentropy,
            reduction,
            name,
            dtype,
            apply_class_balancing=apply_class_balancing,
            alpha=alpha,
            gamma=check_number("gamma", gamma, owner="BinaryFocalCrossentropy", minimum=0),
            from_logits=from_logits,
            label_smoothing=_share(label_smoothing, "BinaryFocalCrossentropy"),
            axis=axis,
        )
        self.from_logits, self.label_smoothing, self.axis = from_logits, label_smoothing, axis
        self.apply_class_balancing, self.alpha, self.gamma = apply_class_balancing, alpha, gamma


@registry.register("CategoricalCrossentropy")
class CategoricalCrossentropy(LossFunctionWrapper):
    """-sum(y log(p)): one-hot (or soft) targets.

    Args:
        from_logits: Whether predictions are logits rather than probabilities.
        label_smoothing: Share of the targets' mass spread over all classes, 0 to 1.
        axis: Axis of the classes.
        reduction, name, dtype: As for `Loss`.

    Shape: y_true (B, *, K), y_pred (B, *, K) -> ()
    Raises: ShapeError: the targets are class numbers; the message names the sparse loss.

    Example:
        >>> CategoricalCrossentropy()([[0.0, 1.0]], [[0.25, 0.75]])
        tensor(0.2877)
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "categorical_crossentropy",
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(
            formulas.categorical_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=_share(label_smoothing, "CategoricalCrossentropy"),
            axis=axis,
        )
        self.from_logits, self.label_smoothing, self.axis = from_logits, label_smoothing, axis


@registry.register("CategoricalFocalCrossentropy")
class CategoricalFocalCrossentropy(LossFunctionWrapper):
    """Categorical cross-entropy in which well-predicted samples count less.

    Args:
        alpha: Weight of all classes, or one for each class.
        gamma: Focus, 0 or more.
        from_logits: Whether predictions are logits rather than probabilities.
        label_smoothing: Share of the targets' mass spread over all classes, 0 to 1.
        axis: Axis of the classes.
        reduction, name, dtype: As for `Loss`.

    Shape: y_true (B, *, K), y_pred (B, *, K) -> ()
    Reference: Lin et al. 2017, eq. 5, over K classes.
    """

    def __init__(
        self,
        alpha: float | Sequence[float] = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "categorical_focal_crossentropy",
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(
            formulas.categorical_focal_crossentropy,
            reduction,
            name,
            dtype,
            alpha=alpha,
            gamma=check_number("gamma", gamma, owner="CategoricalFocalCrossentropy", minimum=0),
            from_logits=from_logits,
            label_smoothing=_share(label_smoothing, "CategoricalFocalCrossentropy"),
            axis=axis,
        )
        self.from_logits, self.label_smoothing, self.axis = from_logits, label_smoothing, axis
        self.alpha, self.gamma = alpha, gamma


@registry.register("SparseCategoricalCrossentropy")
class SparseCategoricalCrossentropy(LossFunctionWrapper):
    """-log(p[y]): targets are class numbers.

    Args:
        from_logits: Whether predictions are logits rather than probabilities.
        ignore_class: A class number that costs nothing; the mean is over the other entries.
        reduction, name, dtype: As for `Loss`.
        axis: Axis of the classes.

    Shape: y_true (B, *), y_pred (B, *, K) -> ()

    Example:
        >>> SparseCategoricalCrossentropy(ignore_class=255)([1, 255], [[0.25, 0.75], [0.5, 0.5]])
        tensor(0.2877)
    """

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: Reduction = "sum_over_batch_size",
        axis: int = -1,
        name: str = "sparse_categorical_crossentropy",
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(
            formulas.sparse_categorical_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )
        self.from_logits, self.ignore_class, self.axis = from_logits, ignore_class, axis


@registry.register("CategoricalGeneralizedCrossEntropy")
class CategoricalGeneralizedCrossEntropy(LossFunctionWrapper):
    """(1 - p[y]^q) / q: targets are class numbers, some of them wrong.

    Args:
        q: Between 0 (cross-entropy) and 1 (mean absolute error), both excluded.
        reduction, name, dtype: As for `Loss`.

    Shape: y_true (B, *), y_pred (B, *, K) -> ()
    Reference: Zhang & Sabuncu 2018, eq. 6.
    """

    def __init__(
        self,
        q: float = 0.5,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "categorical_generalized_cross_entropy",
        dtype: DTypeLike = None,
    ) -> None:
        owner = "CategoricalGeneralizedCrossEntropy"
        self.q = check_number("q", q, owner=owner, minimum=0, maximum=1, exclusive=True)
        formula = formulas.categorical_generalized_cross_entropy
        super().__init__(formula, reduction, name, dtype, q=q)


@registry.register("KLDivergence")
class KLDivergence(LossFunctionWrapper):
    """sum(y log(y / p)): how far predicted distributions are from the targets.

    Shape: y_true (B, *, K), y_pred (B, *, K) -> ()
    """

    def __init__(
        self,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "kl_divergence",
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(formulas.kl_divergence, reduction, name, dtype)


@registry.register("Poisson")
class Poisson(LossFunctionWrapper):
    """Mean of p - y log(p): counts y, predicted rates p.

    Shape: y_true (B, *, D), y_pred (B, *, D) -> ()
    """

    def __init__(
        self,
        reduction: Reduction = "sum_over_batch_size",
        name: str = "poisson",
        dtype: DTypeLike = None,
    ) -> None:
        super().__init__(formulas.poisson, reduction, name, dtype)
