"""The first interrupt lets the step finish; the second stops at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self


class Interrupt:
    """While it is entered, SIGINT and SIGTERM are noted in `asked` instead of raised.

    The second signal raises KeyboardInterrupt where the program stands. Outside the main thread
    it does nothing: Python hands signals to the main thread alone.
    """

    def __init__(self) -> None:
        self.asked: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for kind in (signal.SIGINT, signal.SIGTERM):
                self._before[kind] = signal.signal(kind, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked is not None:
            raise KeyboardInterrupt
        self.asked = signal.Signals(number)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for signal_kind, handler in self._before.items():
            signal.signal(signal_kind, handler)


class Interrupted(KeyboardInterrupt):
    """Training was asked to stop and did, after a whole step.

    Args:
        by: The signal; the command line's exit code follows from it (128 + its number).
        saved: Whether everything needed to go on lies in the run folder.
    """

    def __init__(self, by: signal.Signals, saved: str = "") -> None:
        super().__init__(f"interrupted by {by.name}")
        self.by, self.saved = by, saved
