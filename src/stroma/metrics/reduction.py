"""Sums and means over all samples seen, and the wrapper that makes a metric of a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor

from stroma.core.dtypes import DTypeLike, at_least_float32
from stroma.core.registry import registries
from stroma.functional.accuracy import ACCURACIES
from stroma.functional.losses import FORMULAS
from stroma.functional.pairing import as_tensor, ratio, same_rank, weight_of
from stroma.metrics.base import Metric, registry

Reduce = Callable[[Tensor, tuple[int, ...]], Tensor]


def _per_sample(
    values: Tensor, sample_weight: Tensor | None, mask: Tensor | None, reduce: Reduce
) -> tuple[Tensor, Tensor | None]:
    """Keras' rule: values reduced to the axes that the weights have, weighted, then to (B,)."""
    values = values.to(at_least_float32(values.dtype))
    if sample_weight is not None:
        weight = weight_of(sample_weight.to(values.dtype), mask, values.dtype, rescale=False)
        assert weight is not None
        values, weight = same_rank(values, weight)
        if values.ndim > weight.ndim:
            values = reduce(values, tuple(range(weight.ndim, values.ndim)))
        weight = weight.broadcast_to(values.shape)
        values = values * weight
        sample_weight = reduce(weight, tuple(range(1, weight.ndim))) if weight.ndim > 1 else weight
    if values.ndim > 1:
        values = reduce(values, tuple(range(1, values.ndim)))
    return values, sample_weight


@registry.register("Sum", "sum")
class Sum(Metric):
    """Sum of all values, weighted.

    Example:
        >>> metric = Sum()
        >>> metric([1.0, 2.0]), metric([3.0])
        (tensor(3.), tensor(6.))
    """

    def __init__(self, name: str | None = "sum", dtype: DTypeLike = None) -> None:
        super().__init__(dtype, name)
        self.add_variable((), dtype=torch.float64, name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        mask = getattr(values, "_keras_mask", None)
        values = self._place(values)
        weight = None if sample_weight is None else as_tensor(sample_weight, values)
        values, _ = _per_sample(values, weight, mask, torch.sum)
        self._add("total", values.sum(dtype=torch.float64))

    def result(self) -> Tensor:
        total: Tensor = self.total
        return total.to(self.dtype)


@registry.register("Mean", "mean")
class Mean(Metric):
    """Weighted mean of all values; 0 before the first.

    Example:
        >>> metric = Mean()
        >>> metric([1.0, 2.0]), metric([6.0])
        (tensor(1.5000), tensor(3.))
    """

    def __init__(self, name: str | None = "mean", dtype: DTypeLike = None) -> None:
        super().__init__(dtype, name)
        self.add_variable((), dtype=torch.float64, name="total")
        self.add_variable((), dtype=torch.float64, name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        mask = getattr(values, "_keras_mask", None)
        values = self._place(values)
        weight = None if sample_weight is None else as_tensor(sample_weight, values)
        values, weight = _per_sample(values, weight, mask, torch.mean)
        self._add("total", values.sum(dtype=torch.float64))
        if weight is not None:
            self._add("count", weight.sum(dtype=torch.float64))
        else:
            self._add("count", len(values) if values.ndim else 1)

    def result(self) -> Tensor:
        return ratio(self.total, self.count).to(self.dtype)


@registry.register("MeanMetricWrapper", "mean_metric_wrapper")
class MeanMetricWrapper(Mean):
    """Mean over all samples of a function `fn(y_true, y_pred, **kwargs)` with a value for each.

    Args:
        fn: The function.
        name, dtype: As for `Metric`.
        **kwargs: Passed on to the function.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        name: str | None = None,
        dtype: DTypeLike = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name or getattr(fn, "__name__", None), dtype)
        self._fn, self._fn_kwargs = fn, kwargs
        losses = registries().get("loss")
        if fn in FORMULAS or (losses and losses.name_of(type(fn))):
            self._direction = self._direction or "down"

    def update_state(  # type: ignore[override]  # Keras: a mean of values, a metric of pairs
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        mask = getattr(y_pred, "_keras_mask", None)
        pred = self._place(y_pred)
        values = self._fn(y_true, pred, **self._fn_kwargs)
        if mask is not None or sample_weight is not None:
            weight = None if sample_weight is None else as_tensor(sample_weight, pred)
            sample_weight = weight_of(weight, mask, torch.float32, rescale=False)
        super().update_state(values, sample_weight)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        if isinstance(config.get("fn"), str):  # a closed table: a file never names other code
            known = {function.__name__: function for function in (*FORMULAS, *ACCURACIES)}
            config = {**config, "fn": known[config["fn"]]}
        return cls(**config)
