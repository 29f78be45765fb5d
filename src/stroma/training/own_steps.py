"""A model that defines its own steps, as the loop sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from stroma.core.batches import Batch
from stroma.core.errors import ArgumentTypeError
from stroma.core.layer import Layer
from stroma.metrics import Metric
from stroma.optimizers import Optimizer
from stroma.training.objective import Objective, as_number
from stroma.training.passes import Settings, to_device


class OwnSteps:
    """Stands where `Objective` stands for other models: figures, and the steps themselves.

    Args:
        model: With `train_step`, `test_step` and `metrics` (`Steps`).
        objective: What it was compiled with.
    """

    built = True

    def __init__(self, model: Any, objective: Objective) -> None:
        self.model, self.objective = model, objective
        self.logs: dict[str, Any] = {}

    def prepare(self, x: Any) -> None:
        """Build the layers of a model that can be called, and is not built, on one sample."""
        if not self.model.built and type(self.model).call is not Layer.call:
            with torch.no_grad():
                self.model(x, training=False)

    def train(self, batch: Batch, settings: Settings) -> None:
        """One update by the model's own `train_step`."""
        with _precision(settings):
            logs = self.model.train_step(_data(batch, settings))
        self.logs = self._checked(logs, "train_step")

    @torch.no_grad()
    def evaluate(self, batch: Batch, settings: Settings) -> None:
        """Measure one batch by the model's own `test_step`."""
        self.logs = self._checked(self.model.test_step(_data(batch, settings)), "test_step")

    def _checked(self, logs: Any, method: str) -> dict[str, Any]:
        if isinstance(logs, dict):
            return logs
        kind = type(self.model).__name__
        raise ArgumentTypeError(
            f"{kind}.{method} returned {type(logs).__name__}, not a dict",
            where=f"{kind}.{method}(data)",
            why="figures are shown, logged and watched by their names",
            fix="return {metric.name: metric.result() for metric in self.metrics}",
        )

    # The figures, as `Objective` gives them

    def trackers(self) -> Iterator[tuple[str, Metric]]:
        return ((metric.name, metric) for metric in self._metrics())

    def _metrics(self) -> list[Metric]:
        known = [metric for _, metric in self.objective.trackers()]
        return [*known, *(m for m in self.model.metrics if not any(m is other for other in known))]

    def reset(self) -> None:
        self.logs = {}
        self.model.reset_metrics()

    def results(self) -> dict[str, float]:
        """Running figures where the last step named just these, else what it returned: Keras' rule.

        The last step's are those of one batch, unless it took them from metrics itself.
        """
        figures = self.model.get_metrics_result()
        logs = figures if set(figures) == set(self.logs) else self.logs
        return {key: as_number(value) for key, value in sorted(_flat(logs))}

    def directions(self) -> dict[str, str]:
        known = {metric.name: metric._direction for metric in self.model.metrics}
        return self.objective.directions() | {key: way for key, way in known.items() if way}

    def state_dict(self) -> dict[str, dict[str, Tensor]]:
        return {str(place): metric.state_dict() for place, metric in enumerate(self._metrics())}

    def load_state_dict(self, state: dict[str, dict[str, Tensor]]) -> None:
        for place, metric in enumerate(self._metrics()):
            if str(place) in state:
                metric.load_state_dict(state[str(place)])


def figures_of(module: nn.Module, objective: Objective) -> Objective | OwnSteps:
    """What steps and measures a module: the objective, or the model's own methods around it."""
    return OwnSteps(module, objective) if getattr(module, "takes_own_steps", False) else objective


def own_predict_step(module: nn.Module) -> Callable[[Any], Any] | None:
    """A model's `predict_step`, when its class overrides it."""
    takes = getattr(module, "takes_own", None)
    return getattr(module, "predict_step", None) if takes and takes("predict_step") else None


def own_optimizers(module: nn.Module) -> dict[str, Optimizer]:
    """Optimizers that a model keeps in attributes: a GAN has two."""
    return {key: value for key, value in vars(module).items() if isinstance(value, Optimizer)}


def _data(batch: Batch, settings: Settings) -> Any:
    """What a step gets: x, (x, y) or (x, y, sample_weight), as Keras packs them."""
    x, y, weight = to_device((batch.x, batch.y, batch.weight), settings.device)
    if weight is not None:
        return x, y, weight
    if y is not None:
        return x, y
    return (x,) if isinstance(x, (list, tuple)) else x


def _precision(settings: Settings) -> Any:
    return torch.autocast(
        settings.device.type, settings.autocast, enabled=settings.autocast is not None
    )


def _flat(logs: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in logs.items():
        if isinstance(value, dict):
            yield from _flat(value)
        else:
            yield key, value
