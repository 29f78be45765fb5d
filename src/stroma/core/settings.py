"""How much is shown, for everything from now on: `stroma.config` is its face."""

from __future__ import annotations

_interactive_logging = True


def is_interactive_logging_enabled() -> bool:
    """Whether `verbose="auto"` shows a line that moves, in a terminal."""
    return _interactive_logging


def enable_interactive_logging() -> None:
    """Let `verbose="auto"` show a line that moves, in a terminal: so it is at first."""
    global _interactive_logging
    _interactive_logging = True


def disable_interactive_logging() -> None:
    """Let `verbose="auto"` print one line a pass."""
    global _interactive_logging
    _interactive_logging = False
