"""What all losses share: reduction, sample weights, masks, and the wrapper around a formula."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Self, TypeAlias

import torch
from torch import Tensor

from stroma.core.checks import check_choice
from stroma.core.config import Configurable
from stroma.core.dtypes import DTypeLike, as_policy, at_least_float32
from stroma.core.errors import not_defined
from stroma.core.names import snake_case
from stroma.core.registry import Registry
from stroma.functional.pairing import as_float, as_tensor, ratio, same_rank, weight_of, weighted

Reduction: TypeAlias = (
    Literal["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none"] | None
)
Formula: TypeAlias = Callable[..., Tensor]

registry: Registry[Any] = Registry("loss", "keras.losses")

_REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)


class Loss(Configurable):
    """Base of all losses: override `call(y_true, y_pred)`, which gives one value per sample.

    Args:
        name: Name in messages and logs; the snake-case class name by default.
        reduction: "sum_over_batch_size" or "mean" (the sum over the number of *elements*, also
            with sample weights), "sum", "mean_with_sample_weight" (the sum over the sum of the
            weights), "none" or None (one value per sample).
        dtype: Number format to compute in, at least float32; by default that of the predictions.

    Example:
        >>> class Quartic(Loss):
        ...     def call(self, y_true, y_pred):
        ...         return ((y_true - y_pred) ** 4).mean(-1)
        >>> Quartic()([[0.0], [0.0]], [[1.0], [2.0]], sample_weight=[1.0, 0.5])
        tensor(4.5000)
    """

    def __init__(
        self,
        name: str | None = None,
        reduction: Reduction = "sum_over_batch_size",
        dtype: DTypeLike = None,
    ) -> None:
        owner = type(self).__name__
        self.name = name or snake_case(owner)
        self.reduction = check_choice("reduction", reduction, _REDUCTIONS, owner=owner)
        self._dtype = None if dtype is None else at_least_float32(as_policy(dtype).compute_dtype)

    @property
    def dtype(self) -> torch.dtype:
        """The number format asked for, float32 if none was."""
        return self._dtype or torch.float32

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """One value per sample."""
        raise not_defined(self, "call(self, y_true, y_pred)", "it is the loss of each sample")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """The loss as one number, or one per sample if the reduction is "none".

        Args:
            y_true: Targets.
            y_pred: Predictions. A mask in their attribute `_keras_mask` leaves entries out.
            sample_weight: A weight for each sample, or for each of the values of `call`.
        """
        mask = getattr(y_pred, "_keras_mask", None)
        # an array's float64 is what nobody chose; a tensor's was chosen
        chosen = self._dtype or (None if isinstance(y_pred, Tensor) else self.dtype)
        y_pred = as_float(y_pred, chosen)
        y_true = as_tensor(y_true, y_pred).to(y_pred.dtype)
        values = self.call(y_true, y_pred)
        own_mask = getattr(values, "_keras_mask", None)
        if own_mask is not None:
            mask = own_mask if mask is None else mask & own_mask
        return self._reduce(values.to(at_least_float32(values.dtype)), sample_weight, mask)

    def _reduce(self, values: Tensor, sample_weight: Any, mask: Tensor | None) -> Tensor:
        if sample_weight is not None:
            sample_weight = as_tensor(sample_weight, values).to(values.dtype)
        rescale = self.reduction in ("mean", "sum_over_batch_size")
        weight = weight_of(sample_weight, mask, values.dtype, rescale)
        if weight is not None:
            values, weight = weighted(values, weight)
        if self.reduction in (None, "none") or values.ndim == 0:
            return values
        if self.reduction == "sum":
            return values.sum()
        if self.reduction == "mean_with_sample_weight" and weight is not None:
            return ratio(values.sum(), weight.sum())
        return values.sum() / max(1, values.numel())


class LossFunctionWrapper(Loss):
    """A loss made of a formula `fn(y_true, y_pred, **kwargs)` that gives one value per sample.

    Args:
        fn: The formula.
        reduction, name, dtype: As for `Loss`.
        **kwargs: Passed on to the formula.
    """

    def __init__(
        self,
        fn: Formula,
        reduction: Reduction = "sum_over_batch_size",
        name: str | None = None,
        dtype: DTypeLike = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name or getattr(fn, "__name__", None), reduction, dtype)
        self.fn, self._fn_kwargs = fn, kwargs

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        y_true, y_pred = same_rank(y_true, y_pred)
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        if isinstance(config.get("fn"), str):
            config = {**config, "fn": registry.lookup(config["fn"])}
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"
