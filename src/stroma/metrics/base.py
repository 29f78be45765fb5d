"""What all metrics share: states that add up over batches, and how they are kept and resumed."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from stroma import initializers
from stroma.core.config import Configurable
from stroma.core.dtypes import DTypeLike, as_policy, to_dtype
from stroma.core.errors import WeightsError, not_defined
from stroma.core.names import snake_case
from stroma.core.registry import Registry
from stroma.core.weight import Weight, WeightSpec
from stroma.functional.pairing import as_tensor

registry: Registry[Any] = Registry("metric", "keras.metrics")


class Metric(Configurable):
    """Base of all metrics: override `update_state` and `result`.

    States are made by `add_variable`, live on the device of the predictions, and are read under
    their names (`self.total`). stroma's own add up in float64: an epoch in partial batches gives
    the same number as one pass. Updating never waits for the device; reading a result does.

    Args:
        dtype: Number format of the result, float32 by default.
        name: Name in logs; the snake-case class name by default.

    Example:
        >>> class Positives(Metric):
        ...     def __init__(self, name="positives", dtype=None):
        ...         super().__init__(name=name, dtype=dtype)
        ...         self.count = self.add_variable(shape=(), name="count")
        ...     def update_state(self, y_true, y_pred, sample_weight=None):
        ...         self.count.assign_add((y_pred > 0).sum())
        ...     def result(self):
        ...         return self.count.value
        >>> metric = Positives()
        >>> _ = metric(None, torch.tensor([1.0, -1.0]))
        >>> float(metric(None, torch.tensor([2.0])))
        2.0
    """

    _direction: Literal["up", "down"] | None = None  # which way is better, for mode="auto"

    def __init__(self, dtype: DTypeLike = None, name: str | None = None) -> None:
        self.name = name or snake_case(type(self).__name__)
        self._dtype = as_policy(dtype or "float32").compute_dtype
        self._variables: dict[str, Weight] = {}
        self._restored: set[str] = set()

    @property
    def dtype(self) -> torch.dtype:
        """Number format of the result."""
        return self._dtype

    def add_variable(
        self,
        shape: Any = (),
        initializer: Any = None,
        dtype: DTypeLike = None,
        aggregation: str = "sum",
        name: str | None = None,
    ) -> Weight:
        """A state of the given shape, zeros unless an initializer is named.

        `aggregation` says how states of several machines become one; stroma sums them.
        """
        name = name or f"variable_{len(self._variables)}"
        if name in self._restored:  # load_state_dict came before the metric knew its shapes
            self._restored.discard(name)
            return self._variables[name]
        make = initializers.get(initializer) or initializers.Zeros()
        values = make(tuple(shape), to_dtype(dtype or "float32"))
        self._variables[name] = Weight(values, WeightSpec(name, trainable=False), False)
        return self._variables[name]

    add_weight = add_variable

    def __getattr__(self, name: str) -> Any:
        variables = self.__dict__.get("_variables", {})
        if name in variables:
            return variables[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def variables(self) -> list[Weight]:
        """All states, those of metrics inside this one last."""
        inner = [variable for metric in self._inner().values() for variable in metric.variables]
        return [*self._variables.values(), *inner]

    def _inner(self) -> dict[str, Metric]:
        return {key: value for key, value in vars(self).items() if isinstance(value, Metric)}

    def to(self, device: torch.device | str) -> None:
        """Move all states (for Apple's MPS, which has no float64, they stay on the host)."""
        device = torch.device(device)
        device = torch.device("cpu") if device.type in ("mps", "meta") else device
        for variable in self.variables:
            if variable.device != device:
                variable.data = variable.data.to(device)

    def _place(self, values: Any) -> Tensor:
        """`values` as a tensor without history, with this metric's states on the same device."""
        tensor = as_tensor(values).detach()
        self.to(tensor.device)
        return tensor.cpu() if tensor.device.type == "mps" else tensor

    @torch.no_grad()
    def _add(self, name: str, value: Tensor | float) -> None:
        self._variables[name].add_(value)

    def update_state(self, *args: Any, **kwargs: Any) -> Any:
        """Take in one batch."""
        raise not_defined(
            self,
            "update_state(self, y_true, y_pred, sample_weight=None)",
            "it enters one batch into the figure",
        )

    def result(self) -> Any:
        """The value over all batches since the last reset: a tensor, or a dict of tensors."""
        raise not_defined(self, "result(self)", "it is the figure over all batches so far")

    def reset_state(self) -> None:
        """Forget all batches."""
        for variable in self.variables:
            variable.assign(0)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.update_state(*args, **kwargs)
        return self.result()

    def state_dict(self) -> dict[str, Tensor]:
        """Copies of all states by name, for a checkpoint."""
        states = {name: value.detach().clone() for name, value in self._variables.items()}
        for key, metric in self._inner().items():
            states |= {f"{key}.{name}": value for name, value in metric.state_dict().items()}
        return states

    def load_state_dict(self, states: dict[str, Tensor]) -> None:
        """Go on from what `state_dict` gave.

        Raises: WeightsError: a state is missing.
        """
        inner = self._inner()
        own = {name: value for name, value in states.items() if name.split(".")[0] not in inner}
        missing = sorted(self._variables.keys() - own.keys())
        if missing:
            raise WeightsError(
                f"metric {self.name!r}: the checkpoint lacks the states {missing}",
                where=f"{type(self).__name__}.load_state_dict",
                why="its value would start from zero in the middle of an epoch",
                fix="compile the model with the metrics it was saved with",
            )
        for name, value in own.items():
            if name not in self._variables:
                self.add_variable(value.shape, dtype=value.dtype, name=name)
                self._restored.add(name)
            self._variables[name].data = value.detach().to(self._variables[name].device).clone()
        for key, metric in inner.items():
            start = f"{key}."
            nested = {k.removeprefix(start): v for k, v in states.items() if k.startswith(start)}
            metric.load_state_dict(nested)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"
