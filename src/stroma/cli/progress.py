"""How far a job is: a live bar on a terminal, a line now and then everywhere else."""

from __future__ import annotations

import time
from collections import deque
from types import TracebackType
from typing import Any, Self, TextIO

from stroma.core.optional import require
from stroma.core.text import display_width, printable

_REDRAW_SECONDS = 0.1
_FIRST_LINE_SECONDS = 2.0
_LINE_SECONDS = 5.0
_LEFT_WIDTH = len("about 12 min 34 s left")
_NARROWEST_BAR, _WIDEST_BAR = 5, 30


def duration(seconds: float) -> str:
    """Seconds for people.

    Example:
        >>> duration(0.42), duration(42), duration(125), duration(7260)
        ('0.4 s', '42 s', '2 min 5 s', '2 h 1 min')
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class Remaining:
    """Time left, from the median pace of the last updates.

    A mean over the whole job never forgets a slow first step (a compilation, a cold disk), and one
    over the last step jumps; the median of the last 30 does neither.
    """

    def __init__(self, total: int, start: float) -> None:
        self.total = total
        self._last = (start, 0)
        self._paces: deque[float] = deque(maxlen=30)  # seconds per unit
        self._shortest = 0.05  # of what is measured: below it the clock's grain shows

    def update(self, done: int, now: float) -> None:
        time_before, done_before = self._last
        if done > done_before and now - time_before >= self._shortest:
            self._paces.append((now - time_before) / (done - done_before))
            self._last = (now, done)

    def seconds(self, done: int) -> float | None:
        """None while there is nothing to judge by."""
        if len(self._paces) < 3:  # the first often holds a start-up that the others do not
            return None
        return sorted(self._paces)[len(self._paces) // 2] * (self.total - done)


class Progress:
    """What both writers share; use it as a context."""

    def __init__(self, stream: TextIO, total: int, label: str) -> None:
        self.stream, self.total, self.label = stream, total, printable(label)
        self.done, self.note = 0, ""
        self.start = self._shown = time.monotonic()
        self._remaining = Remaining(total, self.start)

    def update(self, done: int, note: str = "") -> None:
        """Say that `done` units are finished; `note` is shown beside it ("loss 0.31")."""
        now = time.monotonic()
        self.done, self.note = done, printable(note) or self.note
        self._remaining.update(done, now)
        if now - self._shown >= self._pause():
            self._show()
            self._shown = now

    def update_total(self, done: int, total: int) -> None:
        """`update` for jobs that learn their size as they begin."""
        self.total = self._remaining.total = total
        self.update(done)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        raise NotImplementedError

    def _pause(self) -> float:
        raise NotImplementedError

    def _show(self) -> None:
        raise NotImplementedError

    def _amount(self) -> str:
        share = f" ({self.done / self.total:.0%})" if self.total else ""
        return f"{self.done:,} of {self.total:,}{share}"

    def _left(self) -> str:
        seconds = self._remaining.seconds(self.done)
        if self.done >= self.total:
            return duration(time.monotonic() - self.start)
        return f"about {duration(seconds)} left" if seconds is not None else ""


class PlainProgress(Progress):
    """Whole lines, never redrawn: the first after two seconds, then one every five."""

    def __init__(self, stream: TextIO, total: int, label: str) -> None:
        super().__init__(stream, total, label)
        self._lines = 0

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lines and kind is None:  # a quick job has said nothing and needs no end
            self._show()

    def _pause(self) -> float:
        return _LINE_SECONDS if self._lines else _FIRST_LINE_SECONDS

    def _show(self) -> None:
        parts = [self._amount(), self._left(), self.note]
        self.stream.write(f"{self.label}: {', '.join(part for part in parts if part)}\n")
        self.stream.flush()
        self._lines += 1


class LiveProgress(Progress):
    """A bar that redraws itself, by hand rather than from a thread that would slow training."""

    def __init__(self, stream: TextIO, total: int, label: str, *, colour: bool) -> None:
        super().__init__(stream, total, label)
        console = require("rich.console").Console(file=stream, no_color=not colour)
        self._live = require("rich.live").Live(console=console, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        self._show()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._show()
        self._live.stop()

    def _pause(self) -> float:
        return _REDRAW_SECONDS

    def _show(self) -> None:
        self._live.update(self._picture(), refresh=True)

    def _picture(self) -> Any:
        """Label, bar, amount and time on one line; the note below it, wrapped, never cut off."""
        text = require("rich.text").Text
        label, amount, left = self.label, self._amount(), self._left()
        used = display_width(label) + display_width(amount) + _LEFT_WIDTH
        room = self._live.console.width - used - 7  # three gaps of two, and the last column
        grid = require("rich.table").Table.grid(padding=(0, 2))
        if room >= _NARROWEST_BAR:  # the words matter more than the bar
            width = min(room, _WIDEST_BAR)
            bar = require("rich.progress_bar").ProgressBar(max(self.total, 1), self.done, width)
            grid.add_row(text(label), bar, text(amount), text(left))
        else:
            grid.add_row(text("  ".join([label, amount, left])))
        return require("rich.console").Group(grid, *([text(self.note)] if self.note else []))
