"""What the commands write with: answers go to stdout, talk goes to stderr.

Output survives what a terminal or a pipe may be: a code page that lacks a character, 60 columns,
`TERM=dumb`, `NO_COLOR`, no terminal at all. Meaning is never in colour alone.
"""

from __future__ import annotations

import codecs
import json
import os
import shutil
import sys
from collections.abc import Collection, Sequence
from typing import Any, TextIO

from stroma.cli.progress import LiveProgress, PlainProgress, Progress
from stroma.core.text import facts, printable, table, wrap

# What a code page lacks is written so that it still reads. Anything else becomes "?".
_PLAIN_SPELLING = {
    "…": "...", "–": "-", "—": "-", "−": "-", "×": "x", "→": "->", "·": "|", "≥": ">=", "≤": "<=",
    "±": "+-", "²": "2", "“": '"', "”": '"', "’": "'", "‘": "'", "█": "#", "─": "-", "│": "|",
    "├": "|", "└": "`", "✓": "ok", "•": "*", "µ": "u", "α": "alpha", "≈": "~",
}  # fmt: skip


def _spell_plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(_PLAIN_SPELLING.get(char, "?") for char in missing), error.end


codecs.register_error("stroma.spell", _spell_plainly)


def make_streams_safe() -> None:
    """From here on, no character can make `print` to stdout or stderr fail."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # absent on a test's StringIO
        if reconfigure is not None:
            reconfigure(errors="stroma.spell")


class Console:
    """Text on one stream: lines, headings, facts, tables.

    Args:
        stream: Where to write.
        plain: For screen readers and logs: no redrawing, no styles.
        width: Columns; None asks the terminal (80 where there is none).
    """

    def __init__(self, stream: TextIO, *, plain: bool = False, width: int | None = None) -> None:
        self.stream = stream
        self.plain = plain
        self.width = width or min(shutil.get_terminal_size((80, 24)).columns, 120)

    @property
    def live(self) -> bool:
        """Whether lines may be redrawn: a terminal that knows how, and a user who wants it."""
        dumb = os.environ.get("TERM") == "dumb"
        return not self.plain and not dumb and self.stream.isatty()

    @property
    def styled(self) -> bool:
        """Whether headings may be bold. Windows' old console would print the codes."""
        old_windows = os.name == "nt" and "WT_SESSION" not in os.environ
        return self.live and not os.environ.get("NO_COLOR") and not old_windows

    def line(self, text: str = "") -> None:
        """One line as it is, made safe to print; the terminal may wrap it."""
        self._write([printable(text)])

    def paragraph(self, text: str, *, indent: int = 0) -> None:
        """Text wrapped at the width."""
        lines = wrap(printable(text), self.width - indent)
        self._write([" " * indent + line for line in lines])

    def heading(self, text: str) -> None:
        """A title, after an empty line."""
        text = printable(text)
        self._write(["", f"\x1b[1m{text}\x1b[0m" if self.styled else text])

    def facts(self, pairs: Sequence[tuple[str, object]]) -> None:
        """Names and values, aligned."""
        self._write(facts(pairs, self.width))

    def table(
        self,
        headers: Sequence[str],
        rows: Sequence[Sequence[object]],
        *,
        right: Collection[int] = (),
    ) -> None:
        """A table that is never cut off; `right` are the columns of numbers."""
        self._write(table(headers, rows, self.width, right=right))

    def json(self, value: Any) -> None:
        """One JSON document, in ASCII so that every code page can carry it."""
        self._write([json.dumps(value, indent=1, allow_nan=False)])

    def _write(self, lines: Sequence[str]) -> None:
        self.stream.write("\n".join(lines) + "\n")
        self.stream.flush()  # talk must be seen when it is said, before a long import or step


class Talk(Console):
    """The one writer to stderr, which can also show how far a job is."""

    def progress(self, total: int, label: str) -> Progress:
        """A context in which `update(done, note)` shows a bar, or a line now and then in a pipe.

        Args:
            total: Units of work.
            label: What is being done ("training").
        """
        if self.live:
            return LiveProgress(self.stream, total, label, colour=self.styled)
        return PlainProgress(self.stream, total, label)
