"""A bar for loops of one's own."""

from __future__ import annotations

import sys
import time
from typing import Any


class Progbar:
    """How far a loop is, how long it takes, and means of its figures.

    Args:
        target: Steps in all; None where it is not known.
        width: Characters of the bar.
        verbose: 0 nothing, 1 a bar, 2 one line at the end.
        interval: Seconds between two bars.
        stateful_metrics: Names of figures that are shown as they are, not as means.
        stateless_metrics: Accepted for Keras' signature: all other figures are.
        unit_name: What a step is.
    Example:
        >>> bar = Progbar(4, verbose=2)
        >>> bar.update(4, [("loss", 0.5)])  # doctest: +ELLIPSIS
        4/4 ... loss: 0.5000
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Any = None,
        stateless_metrics: Any = None,
        unit_name: str = "step",
    ) -> None:
        self.target, self.width, self.verbose = target, width, verbose
        self.interval, self.unit_name = interval, unit_name
        self.stateful_metrics = set(stateful_metrics or ())
        self._figures: dict[str, tuple[float, int]] = {}  # sum, weight
        self._began = time.perf_counter()
        self._shown = 0.0
        self._done = 0

    def add(self, n: int, values: Any = None) -> None:
        """`n` steps more."""
        self.update(self._done + n, values)

    def update(self, current: int, values: Any = None, finalize: bool | None = None) -> None:
        """`current` steps are done.

        Args:
            current: Steps so far.
            values: (name, number) pairs of the steps since the last call.
            finalize: Whether it was the last; when None, if `target` is reached.
        """
        steps = max(current - self._done, 1)
        for name, value in values or ():
            total, weight = self._figures.get(name, (0.0, 0))
            if name in self.stateful_metrics:
                total, weight = float(value), 1
            else:
                total, weight = total + float(value) * steps, weight + steps
            self._figures[name] = (total, weight)
        self._done = current
        last = finalize if finalize is not None else current == self.target
        now = time.perf_counter()
        if self.verbose == 1 and (last or now - self._shown >= self.interval):
            self._shown = now
            sys.stdout.write("\r" + self._line(now) + ("\n" if last else ""))
            sys.stdout.flush()
        elif self.verbose == 2 and last:
            print(self._line(now))

    def _line(self, now: float) -> str:
        seconds = (now - self._began) / max(self._done, 1)
        pace = f"{seconds * 1000:.0f}ms/{self.unit_name}"
        parts = [f"{self._done}/{self.target or '?'}", pace]
        if self.verbose == 1 and self.target:
            full = self.width * min(self._done, self.target) // self.target
            parts.insert(1, "━" * full + "─" * (self.width - full))
        parts += [f"{name}: {s / n:.4f}" for name, (s, n) in self._figures.items()]
        return " ".join(parts)
