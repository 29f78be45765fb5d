"""What `fit`, `evaluate` and `predict` print: a line that moves in a terminal, or one in a pipe."""

from __future__ import annotations

import shutil
import statistics
import sys
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from stroma.core.checks import check_choice
from stroma.core.settings import is_interactive_logging_enabled
from stroma.training.callbacks import Callback

_SECONDS_BETWEEN_LINES = 0.1


class _Line:
    """Steps, time and figures of one pass over data.

    Args:
        live: Rewrite the line while the pass goes on.
        steps: Batches in the pass; 0 when unknown.
    """

    def __init__(self, live: bool, steps: int) -> None:
        self.live, self.steps = live, steps
        self._printed = 0.0
        self._durations: deque[float] = deque(maxlen=50)
        self.begin()

    def begin(self) -> None:
        self._began = self._step_began = time.perf_counter()

    def step(self, done: int, figures: Any) -> None:
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
            left = statistics.median(self._durations) * (self.steps - done)
            remaining = f" {_duration(left)} left"
        self._rewrite(f"{done}/{self.steps or '?'}{remaining}{_figures(figures or {})}")

    def end(self, done: int, figures: Any) -> None:
        seconds = time.perf_counter() - self._began
        line = f"{done}/{done} {_duration(seconds)}{_figures(figures or {})}"
        if self.live:
            self._rewrite(line)
            print(flush=True)
        else:
            print(line, flush=True)

    def _rewrite(self, line: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        print("\r" + line[:width].ljust(width), end="", flush=True)


class ProgressLine(Callback):
    """Epoch, steps, remaining time and figures of `fit` on standard output.

    Args:
        verbose: 1 for a live line, 2 for one line an epoch.
        steps: Batches an epoch; 0 when unknown.
    """

    def __init__(self, verbose: int, steps: int) -> None:
        super().__init__()
        self._line = _Line(_is_live(verbose), steps)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        print(f"Epoch {epoch + 1}/{self.state.epochs}", flush=True)
        self._line.begin()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._line.step(batch + 1, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._line.end(self._line.steps or self.state.batch, logs)


class ProgbarLogger(ProgressLine):
    """What `fit` prints, as a callback; `fit` prints nothing of its own beside it.

    Example:
        >>> ProgbarLogger().params
        {}
    """

    def __init__(self) -> None:
        super().__init__(0, 0)

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        verbose = params.get("verbose", "auto")
        self._line = _Line(_is_live(1 if verbose == "auto" else verbose), params.get("steps") or 0)


class PassLine(Callback):
    """Steps, remaining time and figures of `evaluate` or `predict` on standard output.

    Args:
        verbose: 1 for a live line, 2 for one line at the end.
        steps: Batches; 0 when unknown.
    """

    def __init__(self, verbose: int, steps: int) -> None:
        super().__init__()
        self._line, self._done = _Line(_is_live(verbose), steps), 0

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self._done = batch + 1
        self._line.step(self._done, logs)

    def on_test_end(self, logs: Any = None) -> None:
        self._line.end(self._done, logs)

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self._done = batch + 1
        self._line.step(self._done, None)  # its logs are the outputs

    def on_predict_end(self, logs: Any = None) -> None:
        if self._done:  # else an error follows that says why
            self._line.end(self._done, None)


def progress(
    kind: type[ProgressLine] | type[PassLine], verbose: Any, steps: int, *, owner: str
) -> list[Callback]:
    """The callback that `verbose` asks for; none when it is 0.

    Raises: ArgumentError: verbose is none of 0, 1, 2 and "auto".
    """
    check_choice("verbose", verbose, ("auto", 0, 1, 2), owner=owner)
    if verbose == "auto" and not is_interactive_logging_enabled():
        verbose = 2
    return [kind(2 if verbose == 2 else 1, steps)] if verbose else []


def _is_live(verbose: int) -> bool:
    return verbose == 1 and sys.stdout.isatty()


def _figures(logs: Mapping[str, float]) -> str:
    return "".join(f" - {key}: {value:.4g}" for key, value in logs.items() if _is_number(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02d}s"
