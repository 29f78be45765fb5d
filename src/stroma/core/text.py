"""Text for terminals: safe characters, widths as people see them, tables that are never cut off."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Collection, Sequence

# The narrowest that a wrapped column becomes before the table turns into a list of records.
_MIN_COLUMN = 8
_GAP = "  "


def printable(text: str) -> str:
    r"""`text` with control characters and lone surrogates shown as escapes.

    File names are other people's text: one may hold an escape sequence that repaints a terminal.

    Example:
        >>> print(printable("a\x1b[2Jb"))
        a\x1b[2Jb
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def display_width(text: str) -> int:
    """Columns that `text` takes on a terminal: 2 for wide characters, 0 for combining ones.

    Example:
        >>> display_width("cat"), display_width("猫")
        (3, 2)
    """
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def wrap(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width`; a word longer than that keeps a line of its own."""
    lines = textwrap.wrap(text, max(width, 1), break_long_words=False, break_on_hyphens=False)
    return lines or [""]


def facts(pairs: Sequence[tuple[str, object]], width: int, *, indent: int = 2) -> list[str]:
    """Name and value, one pair a line, values aligned and wrapped under themselves.

    Example:
        >>> print("\\n".join(facts([("photos", 12), ("classes", "cat, dog")], 40)))
          photos   12
          classes  cat, dog
    """
    column = max((display_width(name) for name, _ in pairs), default=0)
    start = indent + column + len(_GAP)
    lines: list[str] = []
    for name, value in pairs:
        head = " " * indent + _padded(name, column) + _GAP
        for line in wrap(printable(str(value)), width - start):
            lines.append((head + line).rstrip())
            head = " " * start
    return lines


def table(
    headers: Sequence[str],
    rows: Sequence[Sequence[object]],
    width: int,
    *,
    right: Collection[int] = (),
    indent: int = 2,
) -> list[str]:
    """Rows under headers, in lines of at most `width` where words allow.

    Too wide, columns of text wrap inside themselves; still too wide, each row becomes a block of
    `header  value` lines. Nothing is ever cut off.

    Args:
        headers: One per column.
        rows: Cells, as many as headers; shown by `str`.
        width: Columns of the terminal.
        right: Indices of columns of numbers: aligned right, never wrapped.
        indent: Spaces before every line.

    Example:
        >>> print("\\n".join(table(["class", "photos"], [["cat", 7], ["dog", 12]], 40, right=[1])))
          class  photos
          cat         7
          dog        12
    """
    cells = [list(headers), *([printable(str(cell)) for cell in row] for row in rows)]
    widths = _column_widths(cells, width - indent, right)
    if widths is None:
        return _records(cells, width, indent)
    lines: list[str] = []
    for row in cells:
        wrapped = [wrap(cell, size) for cell, size in zip(row, widths)]
        for depth in range(max(map(len, wrapped))):
            parts = [column[depth] if depth < len(column) else "" for column in wrapped]
            padded = [
                _padded(part, size, right=index in right)
                for index, (part, size) in enumerate(zip(parts, widths))
            ]
            lines.append((" " * indent + _GAP.join(padded)).rstrip())
    return lines


def _column_widths(cells: list[list[str]], width: int, right: Collection[int]) -> list[int] | None:
    """Widths that fit, taken from the widest text column first; None when no widths fit."""
    columns = list(zip(*cells))
    widths = [max(map(display_width, column)) for column in columns]
    floors = [
        widths[index]
        if index in right
        else min(widths[index], max(_MIN_COLUMN, *(_longest_word(cell) for cell in column)))
        for index, column in enumerate(columns)
    ]
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - width
    while excess > 0:
        shrinkable = [index for index, size in enumerate(widths) if size > floors[index]]
        if not shrinkable:
            return None
        widths[max(shrinkable, key=widths.__getitem__)] -= 1
        excess -= 1
    return widths


def _longest_word(text: str) -> int:
    return max(map(display_width, text.split()), default=0)


def _records(cells: list[list[str]], width: int, indent: int) -> list[str]:
    headers, *rows = cells
    lines: list[str] = []
    for row in rows:
        said = [(header, cell) for header, cell in zip(headers, row) if cell]
        lines += [*([""] if lines else []), *facts(said, width, indent=indent)]
    return lines or [" " * indent + ", ".join(headers)]


def _padded(text: str, width: int, *, right: bool = False) -> str:
    space = " " * (width - display_width(text))
    return space + text if right else text + space
