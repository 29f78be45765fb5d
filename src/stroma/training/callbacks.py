"""Callbacks: hooks of the loop, with Keras' names, arguments and meaning.

A callback reads `self.state` (or `self.model`, as in Keras) and returns nothing. What it must
remember over a resume it gives in `state_dict`.
"""

from __future__ import annotations

import csv
import math
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from stroma.core.errors import ArgumentError, RunError, did_you_mean
from stroma.training.checkpoints import read_newest, restore, write_checkpoint
from stroma.training.state import State

Logs = Mapping[str, float]


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
    def on_batch_begin(self, batch: int, logs: Any = None) -> None: ...
    def on_batch_end(self, batch: int, logs: Any = None) -> None: ...
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
    """Stop when the loss is not a finite number.

    Args:
        raise_error: Raise instead of ending `fit` in order.
    Raises: RunError: the loss is not finite, and `raise_error` was asked for.
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = raise_error

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        reason = f"the loss is {loss} at batch {batch} of epoch {self.state.epoch + 1}"
        if self.raise_error:
            raise RunError(
                reason,
                where="TerminateOnNaN(raise_error=True)",
                why="a step went so far that the numbers ran out of range",
                fix="a lower learning rate, or clipnorm=1.0 in the optimizer",
            )
        self.state.stop(reason)


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
                    why="a function that no hook calls would never run",
                    fix="one of: "
                    + ", ".join(sorted(n for n in dir(Callback) if n.startswith("on_"))),
                )
            if function is not None:
                setattr(self, name, function)


class BackupAndRestore(Callback):
    """Save everything needed to go on, and go on by itself when `fit` is run again.

    Args:
        backup_dir: Folder for it; removed when training ends well.
        save_freq: "epoch", or a number of batches.
        double_checkpoint: Accepted for Keras' signature: the newest two are always kept.
        delete_checkpoint: Remove the folder at the end.
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
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


class Hooks:
    """The hooks that are really defined, by name: the loop calls nothing else.

    Keras' older `on_batch_begin` and `on_batch_end` are called where a callback defines them and
    not the names that took their place.

    Args:
        callbacks: Those that listen.
    """

    def __init__(self, callbacks: list[Callback]) -> None:
        names = [name for name in vars(Callback) if name.startswith("on_")]
        used = {name: [c for c in callbacks if _defines(c, name)] for name in names}
        self._hooks = {name: [getattr(c, name) for c in used[name]] for name in names}
        for new, old in _OLD_NAMES.items():
            self._hooks[new] += [getattr(c, old) for c in used[old] if c not in used[new]]

    @property
    def names(self) -> list[str]:
        """Every hook there is."""
        return list(self._hooks)

    def __contains__(self, name: str) -> bool:
        return bool(self._hooks[name])

    def __call__(self, name: str, *arguments: Any) -> None:
        for hook in self._hooks[name]:
            hook(*arguments)


_OLD_NAMES = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}


def _defines(callback: Callback, name: str) -> bool:
    base = getattr(Callback, name)
    return getattr(type(callback), name, base) is not base or name in vars(callback)
