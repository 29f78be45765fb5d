"""One step of a model, method by method, under Keras' names: what a subclass overrides.

`fit` takes the loop's own step, which waits for nothing, as long as nobody overrides one of these
methods or keeps metrics of its own. A model that does is stepped through them (`own_steps.py`).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_flatten

from stroma import optimizers
from stroma.core.errors import RunError
from stroma.core.layer import Layer
from stroma.metrics import Metric
from stroma.training.adapters import unpack
from stroma.training.fitting import Compiled
from stroma.training.objective import CompiledMetrics
from stroma.training.passes import nothing_to_train
from stroma.training.state import History, State


class Steps(Layer):
    """Mixed into `Model`: what it was compiled with, and its steps.

    Override `compute_loss`, `compute_metrics`, `train_step`, `test_step` or `predict_step`, or the
    property `metrics`: `fit`, `evaluate`, `predict` and the methods for one batch follow. A step
    gets what the data gave, `x`, `(x, y)` or `(x, y, sample_weight)` as tensors on the model's
    device, and returns its figures by name.

    Example:
        >>> import numpy as np
        >>> from stroma import layers, models
        >>> class Halved(models.Model):
        ...     def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        ...         return super().compute_loss(x, y, y_pred, sample_weight) / 2
        >>> x = layers.Input((3,))
        >>> model = Halved(x, layers.Dense(1, kernel_initializer="zeros")(x))
        >>> model.compile("sgd", "mse")
        >>> model.evaluate(np.ones((4, 3)), np.ones((4, 1)), verbose=0)
        0.5
    """

    _compiled: Compiled | None = None
    _state: State | None = None

    # What it was compiled with

    @property
    def compiled(self) -> bool:
        return self._compiled is not None

    @property
    def optimizer(self) -> Any:
        return self._require_compiled().optimizer

    @optimizer.setter
    def optimizer(self, value: Any) -> None:
        compiled = replace(self._require_compiled(), optimizer=optimizers.get(value))
        object.__setattr__(self, "_compiled", compiled)
        object.__setattr__(self, "_state", None)

    @property
    def loss(self) -> Any:
        """What `compile` was given as `loss`."""
        return self._require_compiled().objective.given["loss"]

    @property
    def history(self) -> History | None:
        """What the last `fit` returned; None before it."""
        return None if self._state is None else self._state.history

    @property
    def stop_training(self) -> bool:
        """Set it to True in a callback to end `fit` after this step."""
        return self._state is not None and bool(self._state.stop_reason)

    @stop_training.setter
    def stop_training(self, value: bool) -> None:
        if self._state is not None:
            self._state.stop_reason = "stop_training was set" if value else ""

    def __getstate__(self) -> dict[str, Any]:
        """A copy has the optimizer, not the run that goes on nor compiled code."""
        compiled = self._compiled and replace(self._compiled, callable=None)
        return {**super().__getstate__(), "_state": None, "_compiled": compiled}

    def _require_compiled(self) -> Compiled:
        if self._compiled is None:
            raise RunError(
                f"{self.name!r} is not compiled",
                where=f"{type(self).__name__}",
                why="the loss and the optimizer are not known yet",
                fix='model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")',
            )
        return self._compiled

    # What it measures

    @property
    def metrics(self) -> list[Metric]:
        """The mean loss, the metrics given to `compile` as one, the mean loss of each of several
        outputs, then the metrics that are attributes of the model or of its layers."""
        found: list[Metric] = []
        if self._compiled is not None:
            objective = self._compiled.objective
            found = [objective.total, *objective.compiled_metrics, *objective.parts]
        return [*found, *_own_metrics(self)]

    @property
    def metrics_names(self) -> list[str]:
        """The names of all figures in the order of `metrics`; all of them once data were seen."""
        names: list[str] = []
        for metric in self.metrics:
            inner = isinstance(metric, CompiledMetrics)
            names += metric.names() if inner else [metric.name]
        return names

    def reset_metrics(self) -> None:
        """Begin the running figures anew."""
        for metric in self.metrics:
            metric.reset_state()

    def get_metrics_result(self) -> dict[str, Any]:
        """The figures of `metrics` now, by name, as tensors."""
        figures: dict[str, Any] = {}
        for metric in self.metrics:
            result = metric.result()
            figures.update(result if isinstance(result, dict) else {metric.name: result})
        return figures

    # One step

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """What is minimised: the losses given to `compile`, weighted, plus `self.losses`.

        Args:
            x: The inputs, for those who override it.
            y: The targets.
            y_pred: The outputs.
            sample_weight: A weight for each sample.
            training: Whether the model learns from it, for those who override it.
        """
        size = len(tree_flatten(y_pred)[0][0])
        return self._require_compiled().objective.loss(self, y, y_pred, sample_weight, size)

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Enter one batch into the metrics given to `compile`; returns all figures by name."""
        for metric in self._require_compiled().objective.compiled_metrics:
            metric.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def train_step(self, data: Any) -> dict[str, Any]:
        """One update: outputs, loss, gradients, optimizer, figures."""
        x, y, weight = unpack(data)
        self.zero_grad()
        outputs = self(x, training=True)
        loss = self._noted_loss(x, y, outputs, weight, training=True)
        if not loss.requires_grad:
            raise nothing_to_train(self)
        self.optimizer.scale_loss(loss).backward()
        weights = [parameter for parameter in self.parameters() if parameter.requires_grad]
        self.optimizer.apply([parameter.grad for parameter in weights], weights)
        return self.compute_metrics(x, y, outputs, sample_weight=weight)

    def test_step(self, data: Any) -> dict[str, Any]:
        """The figures of one batch, without learning from it."""
        x, y, weight = unpack(data)
        outputs = self(x, training=False)
        self._noted_loss(x, y, outputs, weight, training=False)
        return self.compute_metrics(x, y, outputs, sample_weight=weight)

    def predict_step(self, data: Any) -> Any:
        """The outputs for one batch."""
        x, _, _ = unpack(data)
        return self(x, training=False)

    def _noted_loss(self, x: Any, y: Any, outputs: Any, weight: Any, *, training: bool) -> Tensor:
        """`compute_loss`, whose `training` an override may leave out, entered in the mean loss."""
        takes = "training" in inspect.signature(self.compute_loss).parameters
        options = {"training": training} if takes else {}
        loss: Tensor = self.compute_loss(x, y, outputs, weight, **options)
        size = len(tree_flatten(x)[0][0])
        self._require_compiled().objective.total.update_state(loss.detach(), size)
        return loss

    def takes_own(self, *methods: str) -> bool:
        """Whether its class overrides one of these methods."""
        return any(getattr(type(self), name) is not getattr(Steps, name) for name in methods)

    @property
    def takes_own_steps(self) -> bool:
        """Whether the loop must step through its methods instead of by itself."""
        return self.takes_own(*OWN) or any(True for _ in _own_metrics(self))


OWN = ("train_step", "test_step", "compute_loss", "compute_metrics", "metrics",
            "reset_metrics", "get_metrics_result")  # fmt: skip


def _own_metrics(model: Layer) -> Iterator[Metric]:
    """Metrics in attributes of a model and of its layers; a model inside has a loop of its own."""
    for module in model.modules():
        if isinstance(module, Layer) and (module is model or not isinstance(module, Steps)):
            for value in vars(module).values():
                yield from _metrics_in(value)


def _metrics_in(value: Any) -> Iterator[Metric]:
    if isinstance(value, Metric):
        yield value
    elif type(value) in (list, tuple, dict):
        for item in value.values() if isinstance(value, dict) else value:
            if isinstance(item, Metric):
                yield item
