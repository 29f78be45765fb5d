"""The `TensorBoard` callback."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import Tensor, nn

from stroma.core.checks import check_bool, check_int
from stroma.core.errors import ArgumentError
from stroma.core.optional import require
from stroma.training.callbacks import Callback
from stroma.training.event_file import EventFile


class TensorBoard(Callback):
    """Write curves, histograms and pictures of the weights for TensorBoard to show.

    `LOG_DIR/train` and `LOG_DIR/validation` get one event file each. Curves have Keras' names:
    `epoch_loss`, `batch_loss`, `epoch_learning_rate`, `evaluation_loss_vs_iterations`.

    Args:
        log_dir: Folder of the event files.
        histogram_freq: Histograms of the weights every so many epochs; 0: never.
        write_graph: Write the model's summary as text.
        write_images: Weights as pictures too, with each histogram.
        write_steps_per_second: Curves of the speed.
        update_freq: "epoch"; "batch", or a number of batches, for curves of the steps too. Each
            point waits for the device.
        profile_batch: 0. Profile with `torch.profiler` around `fit`.
        embeddings_freq, embeddings_metadata: 0 and None: nothing is written for the projector.

    Raises: ArgumentError: profiling or the projector is asked for.
    Example:
        >>> TensorBoard("logs", update_freq=100).update_freq
        100

    Then `tensorboard --logdir logs` shows them. Reference: Keras' callback of this name, whose
    files TensorFlow writes; these are written by stroma.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: int | Literal["epoch", "batch"] = "epoch",
        profile_batch: int | str | tuple[int, int] = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ) -> None:
        super().__init__()
        owner = "TensorBoard"
        _refuse("profile_batch", profile_batch, "wrap fit(...) in torch.profiler.profile()")
        _refuse("embeddings_freq", embeddings_freq, "save layer.get_weights() and load them there")
        _refuse("embeddings_metadata", embeddings_metadata, "leave it away")
        self.log_dir = Path(log_dir)
        check_int("histogram_freq", histogram_freq, owner=owner, minimum=0)
        self.histogram_freq = histogram_freq
        self.write_graph = check_bool("write_graph", write_graph, owner=owner)
        self.write_images = check_bool("write_images", write_images, owner=owner)
        self.write_steps_per_second = write_steps_per_second
        if update_freq not in ("epoch", "batch"):
            check_int("update_freq", update_freq, owner=owner, minimum=1)
        self.update_freq = 1 if update_freq == "batch" else update_freq
        self._files: dict[str, EventFile] = {}
        self._epoch_began = self._batch_began = 0.0
        self._epoch_step = 0

    def on_train_begin(self, logs: Any = None) -> None:
        if self.write_graph and hasattr(self.model, "summary"):
            lines: list[str] = []
            self.model.summary(print_fn=lambda text, **_: lines.append(text))
            table = "\n".join(f"    {line}" for text in lines for line in text.splitlines())
            self._file("train").text("model", table, 0)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch_began, self._epoch_step = time.perf_counter(), self.state.step

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._batch_began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        step = self.state.step
        if isinstance(self.update_freq, str) or step % self.update_freq:
            return
        file = self._file("train")
        if self.write_steps_per_second:
            seconds = time.perf_counter() - self._batch_began
            file.scalar("batch_steps_per_second", 1 / seconds, step)
        self._scalars("train", "batch_", logs or {}, step)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs = dict(logs or {})
        validation = {k.removeprefix("val_"): v for k, v in logs.items() if k.startswith("val_")}
        training = {key: value for key, value in logs.items() if not key.startswith("val_")}
        training.setdefault("learning_rate", float(self.state.optimizer.learning_rate))
        if self.write_steps_per_second:
            seconds = time.perf_counter() - self._epoch_began
            training["steps_per_second"] = (self.state.step - self._epoch_step) / seconds
        self._scalars("train", "epoch_", training, epoch)
        if validation:
            self._scalars("validation", "epoch_", validation, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._weights(epoch)
        for file in self._files.values():
            file.flush()

    def on_test_end(self, logs: Any = None) -> None:
        if self.state.optimizer is not None:
            named = {f"{key}_vs_iterations": value for key, value in (logs or {}).items()}
            self._scalars("validation", "evaluation_", named, self.state.optimizer.iterations)
            self._file("validation").flush()

    def on_train_end(self, logs: Any = None) -> None:
        while self._files:
            self._files.popitem()[1].close()

    def _file(self, part: str) -> EventFile:
        if part not in self._files:
            self._files[part] = EventFile(self.log_dir / part)
        return self._files[part]

    def _scalars(self, part: str, prefix: str, logs: Mapping[str, Any], step: int) -> None:
        for name, value in logs.items():
            if np.ndim(value) == 0:  # a figure for each class has no curve
                self._file(part).scalar(prefix + name, float(value), step)

    def _weights(self, epoch: int) -> None:
        file = self._file("train")
        for name, weight in _named_weights(self.model):
            file.histogram(f"{name}/histogram", weight, epoch)
            if self.write_images and weight.ndim:
                matrix = np.atleast_2d(weight.reshape(-1, weight.shape[-1]))
                height, width = matrix.shape
                file.image(f"{name}/image", _png(matrix), height, width, epoch)


def _refuse(name: str, value: Any, fix: str) -> None:
    if value:
        raise ArgumentError(
            f"TensorBoard: {name} is not supported, got {value!r}",
            where=f"TensorBoard({name}=...)",
            why="stroma writes curves, histograms, pictures and text",
            fix=fix,
        )


def _named_weights(model: nn.Module) -> list[tuple[str, np.ndarray]]:
    """Every weight under its layer's name and Keras' name of it, in Keras' order of axes."""
    found = []
    for key, weight in model.named_parameters():
        *place, own = key.split(".")
        spec = getattr(weight, "spec", None)
        found.append(("/".join([*place, spec.name if spec else own]), _array(weight)))
    return found


def _array(weight: Tensor) -> np.ndarray:
    view = getattr(weight, "keras_view", weight)
    return np.asarray(view.detach().float().cpu())


def _png(matrix: np.ndarray) -> bytes:
    """A matrix as a grey picture, the smallest value black and the largest white."""
    low, high = float(matrix.min()), float(matrix.max())
    scaled = (matrix - low) * (255 / (high - low) if high > low else 0.0)
    content = io.BytesIO()
    require("PIL.Image").fromarray(scaled.astype(np.uint8)).save(content, "PNG")
    return content.getvalue()
