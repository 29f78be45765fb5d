"""Callbacks: hooks of the loop, with Keras' names, arguments and meaning.

A callback reads `self.state` (or `self.model`, as in Keras) and returns nothing. What it must
remember over a resume it gives in `state_dict`.
"""

from __future__ import annotations

import csv
import math
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from stroma.core.checks import check_choice, check_number
from stroma.core.errors import ArgumentError, did_you_mean
from stroma.training.checkpoints import read_newest, restore, write_checkpoint
from stroma.training.state import State

Logs = Mapping[str, float]
Mode = Literal["auto", "min", "max"]


class Callback:
    """Base of callbacks: override the hooks you need.

    `self.state` tells where the run stands, `self.model` is what is trained, and
    `self.state.stop(reason)` (or Keras' `self.model.stop_training = True`) ends it.
    """

    state: State
    params: dict[str, Any]

    def __init__(self) -> None:
        self.params = {}

    @property
    def model(self) -> Any:
        return self.state.model

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params

    def set_model(self, model: Any) -> None:
        """Keras' hook; the model is reached through `self.state` here."""

    def on_train_begin(self, logs: Any = None) -> None: ...
    def on_train_end(self, logs: Any = None) -> None: ...
    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None: ...
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None: ...
    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None: ...
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None: ...
    def on_test_begin(self, logs: Any = None) -> None: ...
    def on_test_end(self, logs: Any = None) -> None: ...
    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None: ...
    def on_test_batch_end(self, batch: int, logs: Any = None) -> None: ...
    def on_predict_begin(self, logs: Any = None) -> None: ...
    def on_predict_end(self, logs: Any = None) -> None: ...
    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None: ...
    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None: ...

    def state_dict(self) -> dict[str, Any]:
        """What must survive a resume, as plain data."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""


class _Monitor(Callback):
    """Watches one figure and knows when it improves."""

    def __init__(
        self,
        monitor: str = "val_loss",
        mode: Mode = "auto",
        baseline: float | None = None,
        min_delta: float = 0.0,
    ) -> None:
        super().__init__()
        self.monitor = monitor
        self.mode = check_choice("mode", mode, ("auto", "min", "max"), owner=type(self).__name__)
        self.min_delta = abs(min_delta)
        self.baseline = self.best = baseline
        self._sign = {"min": -1.0, "max": 1.0}.get(mode, 0.0)

    def value(self, logs: Logs) -> float | None:
        """The figure; None (and a word on stderr) when it is not measured."""
        value = logs.get(self.monitor)
        if value is None:
            hint = did_you_mean(self.monitor, logs)
            print(
                f"{type(self).__name__}: {self.monitor!r} is not measured.{hint} "
                f"There is: {', '.join(sorted(logs))}",
                file=sys.stderr,
            )
        return value

    def improves(self, value: float, best: float | None, min_delta: float | None = None) -> bool:
        """Whether `value` is better than `best` by more than `min_delta`."""
        if self._sign == 0.0:
            self._sign = self._direction()
        margin = self.min_delta if min_delta is None else min_delta
        return best is None or self._sign * (value - best) > margin

    def _direction(self) -> float:
        key = self.monitor.removeprefix("val_")
        direction = self.state.objective.directions().get(key)
        if direction is None:
            raise ArgumentError(
                f"{type(self).__name__} does not know whether {self.monitor!r} should rise or fall",
                where=f"{type(self).__name__}(mode='auto')",
                why="the metric does not say",
                fix=f"{type(self).__name__}(monitor={self.monitor!r}, mode='max') or mode='min'",
            )
        return 1.0 if direction == "up" else -1.0

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best = state["best"]


class EarlyStopping(_Monitor):
    """Stop when a figure has not improved for a while.

    Args:
        monitor: Key of the figure.
        min_delta: Smallest change that counts as an improvement, >= 0.
        patience: Epochs without one, counted from the last; training never stops at epoch 0.
        verbose: 1 says when it stops.
        mode: "min", "max" or "auto" (by the metric's own direction).
        baseline: The figure must beat it, or patience runs.
        restore_best_weights: Go back to the best epoch's weights at the end, stopped or not.
        start_from_epoch: Epochs before it are not watched.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: Mode = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights, self.start_from_epoch = restore_best_weights, start_from_epoch
        self.on_train_begin()

    def on_train_begin(self, logs: Any = None) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best: float | None = None
        self.best_weights: dict[str, torch.Tensor] | None = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        value = self.value(logs or {})
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self._keep(epoch)  # a first epoch of NaN still leaves weights to go back to
        self.wait += 1
        if self.improves(value, self.best):
            self.best = value
            self._keep(epoch)
            if self.baseline is None or self.improves(value, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.state.stop(f"{self.monitor} did not improve for {self.wait} epochs")

    def _keep(self, epoch: int) -> None:
        self.best_epoch = epoch
        if self.restore_best_weights:
            self.best_weights = copy_state(self.model)

    def on_train_end(self, logs: Any = None) -> None:
        if self.stopped_epoch > 0 and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)
            if self.verbose:
                print(f"Restoring the weights of epoch {self.best_epoch + 1}, the best.")

    def state_dict(self) -> dict[str, Any]:
        names = ("best", "wait", "best_epoch", "stopped_epoch", "best_weights")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


class ModelCheckpoint(_Monitor):
    """Save the model or its weights as training goes on.

    Args:
        filepath: Name, with figures filled in: "{epoch:02d}-{val_loss:.2f}.keras" (epochs from 1).
        monitor: Figure that decides which is best.
        verbose: 1 says what is saved.
        save_best_only: Save only when the figure improves.
        save_weights_only: Save weights (".weights.h5", ".safetensors") instead of a model.
        mode: "min", "max" or "auto".
        save_freq: "epoch", or a number of batches.
        initial_value_threshold: The figure must beat it first.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: Mode = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode, baseline=initial_value_threshold)
        self.filepath, self.verbose = os.fspath(filepath), verbose
        self.save_best_only, self.save_weights_only = save_best_only, save_weights_only
        self.save_freq = save_freq
        suffixes = (".weights.h5", ".safetensors") if save_weights_only else (".keras",)
        if not self.filepath.endswith(suffixes):
            raise ArgumentError(
                f"ModelCheckpoint: {self.filepath!r} must end in {' or '.join(suffixes)}",
                where="ModelCheckpoint(filepath=...)",
                why="the ending says which format is written",
                fix=f"ModelCheckpoint({os.path.splitext(self.filepath)[0] + suffixes[0]!r})",
            )

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.save_freq != "epoch" and self.state.step % int(self.save_freq) == 0:
            self._save(self.state.epoch, logs or {})

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch, logs or {})

    def _save(self, epoch: int, logs: Logs) -> None:
        if self.save_best_only:
            value = self.value(logs)
            if value is None or not self.improves(value, self.best):
                return
            self.best = value
        path = self.filepath.format(epoch=epoch + 1, **logs)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)
        if self.verbose:
            print(f"Epoch {epoch + 1}: saved {path}")


class ReduceLROnPlateau(_Monitor):
    """Multiply the learning rate when a figure stops improving; `learning_rate` joins the logs.

    Args:
        monitor: Key of the figure.
        factor: new rate = rate · factor, in (0, 1).
        patience: Epochs without improvement before it acts.
        verbose: 1 says when it acts.
        mode: "min", "max" or "auto".
        min_delta: Smallest change that counts.
        cooldown: Epochs to wait after it acted.
        min_lr: The rate never falls below.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: Mode = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        if factor >= 1.0:
            raise ArgumentError(
                f"ReduceLROnPlateau: factor must be below 1, got {factor}",
                where="ReduceLROnPlateau(factor=...)",
                fix="ReduceLROnPlateau(factor=0.1)",
            )
        self.factor = check_number("factor", factor, owner="ReduceLROnPlateau", minimum=0.0)
        self.patience, self.verbose, self.cooldown, self.min_lr = (
            patience,
            verbose,
            cooldown,
            min_lr,
        )
        self.wait = self.cooldown_counter = 0

    def on_train_begin(self, logs: Any = None) -> None:
        self.wait = self.cooldown_counter = 0
        self.best = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if isinstance(logs, dict):
            logs["learning_rate"] = float(self.state.optimizer.learning_rate)
        value = self.value(logs or {})
        if value is None:
            return
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if self.improves(value, self.best):
            self.best, self.wait = value, 0
        elif self.cooldown_counter == 0:
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        old = float(np.float32(self.state.optimizer.learning_rate))
        if old > float(np.float32(self.min_lr)):
            new = max(old * self.factor, self.min_lr)
            self.state.optimizer.learning_rate = new
            self.cooldown_counter, self.wait = self.cooldown, 0
            if self.verbose:
                print(f"Epoch {epoch + 1}: learning rate {old:g} -> {new:g}")

    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("best", "wait", "cooldown_counter")}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


class LearningRateScheduler(Callback):
    """Set the learning rate before each epoch.

    Args:
        schedule: `f(epoch, rate) -> rate`, or `f(epoch) -> rate`; epochs from 0.
        verbose: 1 says what was set.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        self.schedule, self.verbose = schedule, verbose

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        rate = float(self.state.optimizer.learning_rate)
        try:
            new = self.schedule(epoch, rate)
        except TypeError:
            new = self.schedule(epoch)
        self.state.optimizer.learning_rate = float(new)
        if self.verbose:
            print(f"Epoch {epoch + 1}: learning rate {float(new):g}")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if isinstance(logs, dict):
            logs["learning_rate"] = float(self.state.optimizer.learning_rate)


class CSVLogger(Callback):
    """Write each epoch's figures as a row of a CSV file.

    Args:
        filename: The file.
        separator: Between fields.
        append: Go on with a file that is there (its header is kept).
    """

    def __init__(
        self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False
    ) -> None:
        super().__init__()
        self.filename, self.separator, self.append = os.fspath(filename), separator, append
        self._columns: list[str] = []

    def on_train_begin(self, logs: Any = None) -> None:
        path = Path(self.filename)
        if self.append and path.exists() and path.stat().st_size:
            with path.open(newline="", encoding="utf-8") as file:
                self._columns = next(csv.reader(file, delimiter=self.separator))
        else:
            path.write_text("", encoding="utf-8")
            self._columns = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        row = {"epoch": epoch, **dict(logs or {})}
        first = not self._columns
        self._columns = self._columns or ["epoch", *sorted(set(row) - {"epoch"})]
        with open(self.filename, "a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(
                file, self._columns, restval="NA", extrasaction="ignore", delimiter=self.separator
            )
            if first:
                writer.writeheader()
            writer.writerow(row)


class TerminateOnNaN(Callback):
    """Stop when the loss is not a finite number."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            self.state.stop(f"the loss is {loss} at batch {batch} of epoch {self.state.epoch + 1}")


class LambdaCallback(Callback):
    """A callback made of functions.

    Args:
        on_epoch_begin, on_epoch_end: `f(epoch, logs)`.
        on_train_begin, on_train_end: `f(logs)`.
        on_train_batch_begin, on_train_batch_end: `f(batch, logs)`.
        hooks: Any other hook by its name.
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **hooks: Callable[..., Any],
    ) -> None:
        super().__init__()
        given = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **hooks,
        }
        for name, function in given.items():
            if not hasattr(Callback, name):
                raise ArgumentError(
                    f"LambdaCallback: there is no hook {name!r}."
                    f"{did_you_mean(name, [n for n in dir(Callback) if n.startswith('on_')])}",
                    where=f"LambdaCallback({name}=...)",
                )
            if function is not None:
                setattr(self, name, function)


class BackupAndRestore(Callback):
    """Save everything needed to go on, and go on by itself when `fit` is run again.

    Args:
        backup_dir: Folder for it; removed when training ends well.
        save_freq: "epoch", or a number of batches.
        delete_checkpoint: Remove the folder at the end.
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        delete_checkpoint: bool = True,
    ) -> None:
        super().__init__()
        self.backup_dir, self.save_freq = Path(backup_dir), save_freq
        self.delete_checkpoint = delete_checkpoint

    def on_train_begin(self, logs: Any = None) -> None:
        saved = read_newest(self.backup_dir)
        if saved is not None:
            restore(self.state, saved)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.save_freq != "epoch" and self.state.step % int(self.save_freq) == 0:
            write_checkpoint(self.backup_dir, self.state)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self.save_freq == "epoch" and self.state.batch == 0 and self.state.step:
            write_checkpoint(self.backup_dir, self.state)

    def on_train_end(self, logs: Any = None) -> None:
        if self.delete_checkpoint:
            shutil.rmtree(self.backup_dir, ignore_errors=True)


def copy_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """A copy of the weights as they are now."""
    return {
        key: value.detach().clone(memory_format=torch.preserve_format)
        for key, value in model.state_dict().items()
    }


def used_hooks(callbacks: list[Callback], name: str) -> list[Any]:
    """The hooks of this name that are really defined: the loop calls nothing else."""
    base = getattr(Callback, name)
    return [
        getattr(callback, name)
        for callback in callbacks
        if getattr(type(callback), name, base) is not base or name in vars(callback)
    ]
