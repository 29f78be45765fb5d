"""`State`: where a training run stands, for the loop and for callbacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn


class LazyLogs(dict[str, float]):
    """Figures that are read from the device only when somebody looks at them.

    Args:
        read: Gives the figures.
    """

    def __init__(self, read: Callable[[], Mapping[str, float]]) -> None:
        super().__init__()
        self._read: Callable[[], Mapping[str, float]] | None = read

    def _fill(self) -> None:
        if self._read is not None:
            read, self._read = self._read, None
            self.update(read())

    def __getitem__(self, key: str) -> float:
        self._fill()
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self._fill()
        return super().__contains__(key)

    def __iter__(self) -> Any:
        self._fill()
        return super().__iter__()

    def __len__(self) -> int:
        self._fill()
        return super().__len__()

    def get(self, key: str, default: Any = None) -> Any:
        self._fill()
        return super().get(key, default)

    def keys(self) -> Any:
        self._fill()
        return super().keys()

    def values(self) -> Any:
        self._fill()
        return super().values()

    def items(self) -> Any:
        self._fill()
        return super().items()


@dataclass
class State:
    """Where a run stands.

    Args:
        model: What is trained.
        optimizer: What changes it.
        objective: Losses and metrics.
        seed: Of everything random in the run.
        epochs: Epoch to stop before.
        epoch: The current one, from 0.
        batch: Batches of it that are done.
        step: Updates since the run began.
        stop_reason: Why training ends early; empty while it goes on.
        callbacks: Those that listen.
        precision: What the steps compute in, by name; a resumed run keeps it.
    """

    model: nn.Module
    optimizer: Any
    objective: Any
    seed: int
    epochs: int
    epoch: int = 0
    batch: int = 0
    step: int = 0
    stop_reason: str = ""
    history: History = field(default_factory=lambda: History())
    callbacks: list[Any] = field(default_factory=list)
    precision: str = "float32"

    def stop(self, reason: str) -> None:
        """End training after this step or epoch."""
        self.stop_reason = reason or "asked to stop"


@dataclass
class History:
    """What `fit` returns: each figure's value after each epoch.

    Args:
        history: Name of the figure to its values, one an epoch.
        epoch: Numbers of the epochs, from 0.
        params: How it was trained.
        findings: What the diagnostics saw.
        stop_reason: Why training ended early; empty if it did not.
        seconds: Duration of each epoch.
    """

    history: dict[str, list[float]] = field(default_factory=dict)
    epoch: list[int] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)
    findings: list[Any] = field(default_factory=list)
    stop_reason: str = ""
    seconds: list[float] = field(default_factory=list)

    def append(self, epoch: int, logs: Mapping[str, float], seconds: float = 0.0) -> None:
        """Enter the figures of one epoch: Keras' order, training first, then validation."""
        self.epoch.append(epoch)
        self.seconds.append(seconds)
        for key in sorted(logs, key=lambda name: (name.startswith("val_"), name)):
            self.history.setdefault(key, []).append(logs[key])
