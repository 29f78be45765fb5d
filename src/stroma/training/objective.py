"""Losses, metrics and weights as `compile` got them, matched to the outputs of a network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stroma import losses as losses_room
from stroma import metrics as metrics_room
from stroma.core.errors import ArgumentError, ShapeError
from stroma.core.layer import Layer
from stroma.core.masks import attach_masks
from stroma.metrics import Mean, Metric
from stroma.training.labels import check_labels, classes_of


class Objective:
    """What is minimised and what is measured.

    The loss of a batch is Σ over outputs of weight · loss, plus the penalties of the layers. The
    reported `loss` is the mean over batches, weighted by their sizes; metrics stream.

    Args:
        loss: Name, object or function; a list or dict of them for several outputs.
        loss_weights: A float each, in the same structure.
        metrics: Names or objects; a list of lists or a dict for several outputs.
        weighted_metrics: The same, measured with the sample weights.
        output_names: Names of the outputs, for dicts and for the prefixes of their metrics.
    """

    def __init__(
        self,
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        output_names: list[str] | None = None,
    ) -> None:
        self.given = {
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
        }
        _check_names(loss, losses_room.resolve)
        _check_names([metrics, weighted_metrics], metrics_room.resolve)
        self.output_names = output_names or []
        self.total = Mean(name="loss")
        self.losses: list[Any] = []
        self.classes: list[tuple[int, int | None] | None] = []  # of outputs that want class numbers
        self.weights: list[float] = []
        self.parts: list[Mean] = []  # the loss of each output, when there are several
        self.measured: list[tuple[int, bool, str, Metric]] = []  # output, weighted, key, metric
        given = metrics is not None or weighted_metrics is not None
        self.compiled_metrics = [CompiledMetrics(self)] if given else []
        self.built = False
        self._waiting: dict[str, dict[str, Tensor]] = {}  # state loaded before the metrics exist

    def build(self, y: list[Any], outputs: list[Tensor]) -> None:
        """Match losses and metrics to the outputs, once their shapes are known."""
        count = len(outputs)
        names = self.output_names if len(self.output_names) == count else _numbered(count)
        self.losses = [
            None if item is None else losses_room.resolve(item, tuple(y[i].shape), outputs[i].shape)
            for i, item in enumerate(self._spread("loss", count, names))
        ]
        self.classes = [classes_of(loss, output) for loss, output in zip(self.losses, outputs)]
        self.weights = [
            1.0 if item is None else float(item)
            for item in self._spread("loss_weights", count, names)
        ]
        if count > 1:
            self.parts = [Mean(name=f"{name}_loss") for name in names]
        for kind in ("metrics", "weighted_metrics"):
            for index, wanted in enumerate(self._spread(kind, count, names)):
                for item in wanted if isinstance(wanted, (list, tuple)) else [wanted]:
                    if item is not None and y[index] is not None:
                        self._measure(index, kind, item, y[index], outputs[index], names, count)
        self.built = True
        self.load_state_dict(self._waiting)

    def _measure(
        self, index: int, kind: str, item: Any, y: Any, output: Tensor, names: list[str], count: int
    ) -> None:
        metric = metrics_room.resolve(item, tuple(y.shape), tuple(output.shape))
        key = item if isinstance(item, str) else metric.name
        key = f"{names[index]}_{key}" if count > 1 else key
        taken = {other for _, _, other, _ in self.measured}
        if key in taken:
            key = f"weighted_{key}" if kind == "weighted_metrics" else f"{key}_1"
        self.measured.append((index, kind == "weighted_metrics", key, metric))

    def _spread(self, kind: str, count: int, names: list[str]) -> list[Any]:
        """One entry per output, from a single one, a list or a dict by output name."""
        given = self.given[kind]
        if isinstance(given, dict):
            unknown = set(given) - set(names)
            if unknown:
                raise ArgumentError(
                    f"{kind} names outputs that do not exist: {sorted(unknown)}",
                    where=f"compile({kind}=...)",
                    why=f"the outputs are {names}",
                    fix="use those names as keys",
                )
            return [given.get(name) for name in names]
        if kind == "loss" and not isinstance(given, (list, tuple)):
            return [given] * count
        if given is None:
            return [None] * count
        nested = isinstance(given, (list, tuple))
        if count == 1:
            return [given[0] if kind.startswith("loss") and nested else given]
        if nested and len(given) == count and kind.startswith("loss"):
            return list(given)
        if nested and len(given) == count and any(isinstance(g, (list, tuple)) for g in given):
            return list(given)
        if kind.startswith("loss"):
            raise ArgumentError(
                f"{kind} has {len(given) if nested else 1} entries for {count} outputs",
                where=f"compile({kind}=...)",
                why="entries and outputs are matched by position",
                fix=f"give {count} entries, or a dict by output name: {names}",
            )
        return [given] * count

    def loss(self, module: nn.Module, y: Any, outputs: Any, weight: Any, size: int) -> Tensor:
        """The loss of one batch; those of several outputs are entered into their running means."""
        ys, outs, weights = self._matched(y, outputs, weight)
        total: Any = None
        for index, function in enumerate(self.losses):
            if function is None:
                continue
            value = function(ys[index], outs[index], sample_weight=weights[index])
            value = value.mean() if value.dim() else value
            if self.parts:
                self.parts[index].update_state(value.detach(), size)
            value = value * self.weights[index] if self.weights[index] != 1.0 else value
            total = value if total is None else total + value
        for layer in outermost_layers(module):
            for penalty in layer.losses:
                total = penalty if total is None else total + penalty
        if total is None:
            raise ArgumentError(
                "there is nothing to minimise: no loss was given",
                where="compile(loss=...)",
                why="no layer adds a penalty either, so no weight has a gradient",
                fix='compile(optimizer="adam", loss="sparse_categorical_crossentropy")',
            )
        return total  # type: ignore[no-any-return]  # a Tensor from here on

    @torch.no_grad()
    def measure(self, y: Any, outputs: Any, weight: Any) -> None:
        """Enter one batch into the metrics."""
        if not self.measured:
            return
        ys, outs, weights = self._matched(y, outputs, weight)
        for index, weighted, _, metric in self.measured:
            target, output = ys[index], outs[index].detach()
            attach_masks(output, getattr(outs[index], "_keras_mask", None))
            if weighted:
                metric.update_state(target, output, sample_weight=weights[index])
            else:
                metric.update_state(target, output)

    def match(self, y: Any, outputs: Any) -> None:
        """Know the outputs before the first step, from one sample of them."""
        self._matched(y, outputs, None)

    def check_labels(self, y: Any, indices: np.ndarray | None = None) -> None:
        """Labels of a batch that lie in host memory, for outputs that are known."""
        ys = self._flat(y) if isinstance(y, (list, tuple, dict)) else [y]
        for target, classes in zip(ys, self.classes):
            if classes is not None:
                check_labels(target, *classes, indices)

    def _matched(self, y: Any, outputs: Any, weight: Any) -> tuple[list[Any], list[Any], list[Any]]:
        outs = self._flat(outputs)
        ys = self._flat(y) if isinstance(y, (list, tuple, dict)) else [y]
        if len(ys) != len(outs):
            if len(outs) == 1 and isinstance(y, (list, tuple)):
                ys = [torch.as_tensor(y)]
            else:
                raise ShapeError(
                    f"the network has {len(outs)} outputs, y has {len(ys)} targets",
                    where="fit(x, y)",
                    why="each output is compared with a target of its own",
                    fix=f"give one target per output, in this order: {self.output_names}",
                )
        weights = self._flat(weight) if isinstance(weight, (list, tuple, dict)) else [weight]
        weights = weights * len(outs) if len(weights) == 1 else weights
        if not self.built:
            self.build(ys, outs)
        return ys, outs, weights

    def _flat(self, tree: Any) -> list[Any]:
        if isinstance(tree, dict):
            order = self.output_names if set(self.output_names) == set(tree) else list(tree)
            return [tree[name] for name in order]
        return list(tree) if isinstance(tree, (list, tuple)) else [tree]

    # Reading the figures

    def trackers(self) -> Iterator[tuple[str, Metric]]:
        """Every running figure under its key in the logs."""
        yield "loss", self.total
        for part in self.parts:
            yield part.name, part
        for _, _, key, metric in self.measured:
            yield key, metric

    def reset(self) -> None:
        """Begin a new epoch."""
        for _, tracker in self.trackers():
            tracker.reset_state()

    def results(self) -> dict[str, float]:
        """The figures now, by key in alphabetical order; this waits for the device."""
        found: dict[str, Any] = {}
        for key, tracker in self.trackers():
            value = tracker.result()
            if isinstance(value, dict):
                found.update({name: as_number(item) for name, item in value.items()})
            else:
                found[key] = as_number(value)
        return dict(sorted(found.items()))

    def directions(self) -> dict[str, str]:
        """Key to "up" or "down", for callbacks that look for the best."""
        known = {key: getattr(tracker, "_direction", None) for key, tracker in self.trackers()}
        known.update({"loss": "down"} | {part.name: "down" for part in self.parts})
        return {key: direction for key, direction in known.items() if direction}

    def state_dict(self) -> dict[str, dict[str, Tensor]]:
        return {key: tracker.state_dict() for key, tracker in self.trackers()}

    def load_state_dict(self, state: dict[str, dict[str, Tensor]]) -> None:
        self._waiting = {} if self.built else state
        for key, tracker in self.trackers():
            if key in state:
                tracker.load_state_dict(state[key])


class CompiledMetrics(Metric):
    """The metrics given to `compile` as one, Keras' "compile_metrics"; its result is a dict.

    Args:
        objective: Where they are, matched to the outputs at the first batch.
    """

    def __init__(self, objective: Objective) -> None:
        super().__init__(name="compile_metrics")
        self._objective = objective

    def names(self) -> list[str]:
        """Their keys in the logs; none before the first batch."""
        return [key for _, _, key, _ in self._objective.measured]

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self._objective.match(y_true, y_pred)
        self._objective.measure(y_true, y_pred, sample_weight)

    def result(self) -> dict[str, Tensor]:
        return {key: metric.result() for _, _, key, metric in self._objective.measured}

    def reset_state(self) -> None:
        for _, _, _, metric in self._objective.measured:
            metric.reset_state()


def outermost_layers(module: nn.Module) -> list[Layer]:
    """stroma's layers in a module that lie in no other of them: each speaks for those within."""
    if isinstance(module, Layer):
        return [module]
    layers = [layer for layer in module.modules() if isinstance(layer, Layer)]
    within = {id(inner) for layer in layers for inner in layer.modules() if inner is not layer}
    return [layer for layer in layers if id(layer) not in within]


def _check_names(given: Any, resolve: Any) -> None:
    """A name that is not known is an error of `compile`, not of the first step."""
    if isinstance(given, str):
        resolve(given, (None,), (None, 2))
    elif isinstance(given, (list, tuple)):
        for item in given:
            _check_names(item, resolve)
    elif isinstance(given, dict) and "class_name" not in given:
        _check_names(list(given.values()), resolve)


def _numbered(count: int) -> list[str]:
    return [f"output_{index}" for index in range(count)] if count > 1 else ["output"]


def as_number(value: Any) -> Any:
    """A figure as Python's number, or a list of them; this waits for the device."""
    tensor = torch.as_tensor(value)
    return tensor.item() if tensor.numel() == 1 else tensor.tolist()
