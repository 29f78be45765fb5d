"""What `fit` prints: one line an epoch in a pipe, a live line in a terminal."""

from __future__ import annotations

import shutil
import statistics
import sys
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from stroma.training.callbacks import Callback

_SECONDS_BETWEEN_LINES = 0.1


class ProgressLine(Callback):
    """Epoch, steps, remaining time and figures on standard output.

    Args:
        verbose: 1 for a live line, 2 for one line an epoch.
        steps: Batches an epoch; 0 when unknown.
    """

    def __init__(self, verbose: int, steps: int) -> None:
        super().__init__()
        self.live = verbose == 1 and sys.stdout.isatty()
        self.verbose, self.steps = verbose, steps
        self._printed = 0.0
        self._durations: deque[float] = deque(maxlen=50)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        print(f"Epoch {epoch + 1}/{self.state.epochs}", flush=True)
        self._began = self._step_began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if not self.live:
            return  # reading the figures would make the loop wait for the device
        now = time.perf_counter()
        self._durations.append(now - self._step_began)
        self._step_began = now
        if now - self._printed < _SECONDS_BETWEEN_LINES:
            return
        self._printed = now
        remaining = ""
        if self.steps:
            left = statistics.median(self._durations) * (self.steps - batch - 1)
            remaining = f" {_duration(left)} left"
        self._rewrite(f"{batch + 1}/{self.steps or '?'}{remaining} - {_figures(logs or {})}")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        seconds = time.perf_counter() - self._began
        done = self.steps or self.state.batch
        line = f"{done}/{done} {_duration(seconds)} - {_figures(logs or {})}"
        if self.live:
            self._rewrite(line)
            print(flush=True)
        else:
            print(line, flush=True)

    def _rewrite(self, line: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        print("\r" + line[:width].ljust(width), end="", flush=True)


def _figures(logs: Mapping[str, float]) -> str:
    return " - ".join(f"{key}: {value:.4g}" for key, value in logs.items() if _is_number(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02d}s"
