"""Callbacks that watch one figure: stop, save or slow down when it stops improving."""

from __future__ import annotations

import os
import string
import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from stroma.core.checks import check_choice, check_number
from stroma.core.errors import ArgumentError, did_you_mean
from stroma.training.callbacks import Callback, Logs, copy_state

Mode = Literal["auto", "min", "max"]


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

    def on_train_begin(self, logs: Any = None) -> None:
        measured = [key for key, _ in self.state.objective.trackers()]
        known = ["epoch", "learning_rate", *measured, *(f"val_{key}" for key in measured)]
        for name in self._fields():  # other callbacks may add figures: only a slip is sure
            if name not in known and did_you_mean(name, known):
                raise self._unknown(name, known)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.save_freq != "epoch" and self.state.step % int(self.save_freq) == 0:
            self._save(self.state.epoch, logs or {})

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch, logs or {})

    def _fields(self) -> list[str]:
        return [name for _, name, _, _ in string.Formatter().parse(self.filepath) if name]

    def _unknown(self, name: str, known: list[str]) -> ArgumentError:
        return ArgumentError(
            f"ModelCheckpoint: {name!r} is not measured.{did_you_mean(name, known)}",
            where=f"ModelCheckpoint({self.filepath!r})",
            why=f"the name is filled in with {', '.join(known)}",
            fix="use those names; val_ figures need validation_data",
        )

    def _save(self, epoch: int, logs: Logs) -> None:
        if self.save_best_only:
            value = self.value(logs)
            if value is None or not self.improves(value, self.best):
                return
            self.best = value
        figures = {**logs, "epoch": epoch + 1}
        for name in self._fields():
            if name not in figures:
                raise self._unknown(name, list(figures))
        path = self.filepath.format(**figures)
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
                why="the rate is multiplied by it, and must fall",
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
