"""Tables that name pictures and labels: the columns' meaning, and CSV files."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath

from stroma.core.errors import DataError, did_you_mean
from stroma.data.folder import read_file, stamp_of
from stroma.data.labels import (
    AUTO,
    Asked,
    Reading,
    are_yes_no,
    joined_columns,
    read_labels,
)
from stroma.data.layout import PART_NAMES
from stroma.data.records import AuditEntry, Found, Sample, first_names, printable

PATH_COLUMNS = ("path", "file", "filename", "file_name", "filepath", "image", "image_path", "img",
                "picture", "photo")  # fmt: skip
LABEL_COLUMNS = ("label", "labels", "class", "class_name", "target", "category", "y", "species")
PART_COLUMNS = ("split", "part", "subset", "set", "partition")
MAX_CSV = 1 << 28  # bytes; a table of paths beyond this is some other file


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its name in messages ("labels.csv line 7"), path, label, part, group."""

    where: str
    path: str
    label: str
    part: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Columns:
    """Where a table holds what: positions of columns.

    Args:
        labels: One column, or several of 0 and 1.
        part, group: None: there is none.
        headerless: The first row is data already.
    """

    path: int
    labels: tuple[int, ...]
    part: int | None = None
    group: int | None = None
    headerless: bool = False


def read_csv(path: Path, group: str | None, asked: Asked = AUTO) -> Found:
    """A CSV of `path,label`, paths relative to the CSV's folder; `split` and a group optional."""
    entries: list[AuditEntry] = []
    lines = parse(path, entries)
    if not lines:
        raise DataError(
            f"{path.name} has no rows",
            where=str(path),
            why="a row says where a picture is and what it shows",
            fix="give it the columns path,label",
        )
    header, body = lines[0][1], lines[1:]
    cells_of = [[cells[at] for _, cells in body if at < len(cells)] for at in range(len(header))]
    columns = find_columns(
        header, path, group, asked,
        headerless=_is_data(header, path.parent), are_labels=lambda at: are_yes_no(cells_of[at]),
    )  # fmt: skip
    if columns.headerless:
        body = lines
        entries.append(AuditEntry("inferred", path.name, "no header: columns read as path, label"))
    rows = []
    for line, cells in body:
        if len(cells) != len(header):
            raise DataError(
                f"{path.name} line {line}: {len(cells)} cells, the header has {len(header)}",
                where=f"{path}:{line}",
                why="a missing or extra separator shifts the label into another column",
                fix="mend this line (quote a cell that holds the separator)",
            )
        where = f"{path.name} line {line}"
        rows.append(
            Row(
                where, cells[columns.path].strip(), _label(header, cells, columns, where),
                _cell(cells, columns.part), _cell(cells, columns.group),
            )
        )  # fmt: skip
    return rows_to_found(path, rows, None, entries, *_named(header, columns, asked))


def _label(header: Sequence[str], cells: Sequence[str], columns: Columns, where: str) -> str:
    if len(columns.labels) == 1:
        return cells[columns.labels[0]].strip()
    return joined_columns({header[at].strip(): cells[at] for at in columns.labels}, where)


def _cell(cells: Sequence[str], at: int | None) -> str:
    return "" if at is None else cells[at].strip()


def _named(header: Sequence[str], columns: Columns, asked: Asked) -> tuple[str, Asked]:
    """What the labels are called, and how they are to be read: columns of 0 and 1 say it."""
    if columns.headerless:
        return "label", asked
    named = ",".join(header[at].strip() for at in columns.labels)
    return named, Asked("several") if len(columns.labels) > 1 else asked


def find_columns(
    header: Sequence[str],
    path: Path,
    group: str | None,
    asked: Asked,
    *,
    headerless: bool = False,
    are_labels: Callable[[int], bool] = lambda at: False,
) -> Columns:
    """Which column is the path, the label, the part and the group.

    Args:
        header: Names of the columns.
        path: Of the table, for messages.
        group: Perhaps the name of a column.
        asked: Names the columns of labels; else they are found by their usual names, or are all
            the columns that nothing else is known of, where each holds 0 and 1.
        headerless: There is no header: path and label.
        are_labels: Whether a column holds 0 and 1.
    """
    if headerless and len(header) >= 2:
        return Columns(0, (1,), headerless=True)
    lower = [name.strip().lower() for name in header]
    at = _usual(lower, path, "path", PATH_COLUMNS)
    part = _usual(lower, path, "part", PART_COLUMNS)
    named = group.strip().lower() if group is not None else ""
    in_group = lower.index(named) if named in lower and named else None
    labels = _asked_columns(header, path, asked)
    if not labels:
        label = _usual(lower, path, "label", LABEL_COLUMNS)
        others = [i for i in range(len(header)) if i not in (at, part, in_group)]
        if label is not None:
            labels = (label,)
        elif len(others) > 1 and all(map(are_labels, others)):
            labels = tuple(others)
    if at is None:
        raise _no_column(header, path, "path", PATH_COLUMNS)
    if not labels:
        raise _no_column(header, path, "label", LABEL_COLUMNS)
    return Columns(at, labels, part, in_group)


def _usual(lower: Sequence[str], path: Path, key: str, names: Sequence[str]) -> int | None:
    """The column that has one of these names."""
    hits = [name for name in names if name in lower]
    if hits and lower.count(hits[0]) > 1:
        raise DataError(
            f"{path.name} has two columns called {hits[0]!r}", where=str(path),
            why="only one of them can be meant", fix="rename or remove one",
        )  # fmt: skip
    return lower.index(hits[0]) if hits else None


def _asked_columns(header: Sequence[str], path: Path, asked: Asked) -> tuple[int, ...]:
    lower = [name.strip().lower() for name in header]
    wanted = [name.strip().lower() for name in asked.columns]
    if len(wanted) == 1 and wanted[0] not in lower:
        wanted = [name.strip() for name in wanted[0].split(",")]  # as typed: a,b,c
    for name in wanted:
        if lower.count(name) != 1:
            raise DataError(
                f"{path.name} has {'no' if name not in lower else 'more than one'} column "
                f"{name!r}.{did_you_mean(name, lower)}",
                where=f"its columns: {first_names(list(header), 12)}",
                why="it was named as the column of the labels",
                fix="name one of its columns: --target-column NAME",
            )
    return tuple(lower.index(name) for name in wanted)


def _no_column(header: Sequence[str], path: Path, key: str, names: Sequence[str]) -> DataError:
    hint = did_you_mean(key, [name.strip().lower() for name in header])
    other = ", or say which it is: --target-column NAME" if key == "label" else ""
    return DataError(
        f"{path.name} has no {key} column.{hint}",
        where=f"its columns: {first_names(list(header), 12)}",
        why=f"a {key} column is called one of {', '.join(names)}",
        fix=f"rename the column that holds the {key} to {key!r}{other}",
    )


def rows_to_found(
    table: Path,
    rows: Sequence[Row],
    names: list[str] | None,
    entries: list[AuditEntry],
    column: str,
    asked: Asked,
) -> Found:
    """Samples of a table of paths: each must be a file inside the table's folder.

    Args:
        names: Class names, where the table gives them in order.
        entries: Findings are appended here.
        column: What the labels are called; `asked` how they are to be read.
    """
    root = table.resolve().parent
    samples: list[Sample] = []
    for row in rows:
        row = replace(row, path=row.path.replace("\\", "/"))  # tables made on Windows
        location = _inside(root, row, table)
        if not row.label:
            entries.append(AuditEntry("no_label", row.path, row.where))
            continue
        try:
            facts = os.stat(location)
        except OSError as error:
            reason = f"{row.where}: {error.strerror}{_other_case(location)}"
            entries.append(AuditEntry("missing", row.path, reason))
            continue
        samples.append(
            Sample(row.path, row.label, part_of(row.part, row.where), facts.st_size,
                   stamp_of(facts), row.group)
        )  # fmt: skip
    if not samples:
        raise DataError(
            f"{table.name} names no picture that exists",
            where=first_names([f"{e.path} ({e.reason})" for e in entries], 3) or str(table),
            why="paths in a table are relative to the table's own folder",
            fix=f"put the pictures where the table says, below {root}",
        )
    reading = reading_of(samples, names, column, asked, table.name)

    def read(index: int) -> bytes:
        return read_file(root / samples[index].name, samples[index].size)

    return Found(
        str(table.resolve()), samples, reading.class_names, read, entries, reading.task,
        reading.said,
    )  # fmt: skip


def reading_of(
    samples: Sequence[Sample], names: list[str] | None, column: str, asked: Asked, table: str
) -> Reading:
    """How the labels of a table are read; `names` are its own class names, in order."""
    if names is not None and asked.are == "auto":
        asked = Asked("class")  # a table that brings the names of its classes has classes
    reading = read_labels([sample.label for sample in samples], column, asked, table)
    if names is None or reading.task == "number":
        return reading
    return replace(reading, class_names=names)


def part_of(text: str, where: str) -> str | None:
    """The part that a table's cell names; an empty cell leaves the choice to the split."""
    if not text.strip():
        return None
    if text.strip().lower() not in PART_NAMES:
        raise DataError(
            f"{where}: {printable(text)!r} is no part", where=where,
            why="a split column holds train, val or test", fix="mend the cell, or leave it empty",
        )  # fmt: skip
    return PART_NAMES[text.strip().lower()]


def _inside(root: Path, row: Row, table: Path) -> Path:
    def refuse(what: str) -> DataError:
        return DataError(
            f"{row.where}: {printable(row.path)!r} {what}",
            where=str(table),
            why="a table may only name files inside its own folder",
            fix="copy the pictures next to the table and give relative paths",
        )

    if re.match(r"[A-Za-z][A-Za-z0-9+.\-]+://", row.path):
        raise refuse("is an address; stroma downloads nothing")
    if not row.path or "\0" in row.path:
        raise refuse("is no path")
    if PurePosixPath(row.path).is_absolute() or PureWindowsPath(row.path).drive:
        raise refuse("is an absolute path")
    if ".." in PurePosixPath(row.path).parts:
        raise refuse("leads out of the folder")
    return root / row.path


def _other_case(path: Path) -> str:
    try:
        names = os.listdir(path.parent)
    except OSError:
        return ""
    same = [name for name in names if name.lower() == path.name.lower()]
    return f"; there is {same[0]!r}" if same else ""


def _is_data(cells: Sequence[str], root: Path) -> bool:
    """Whether a first row is data already: its first cell is a file that exists."""
    known = {*PATH_COLUMNS, *LABEL_COLUMNS}
    if any(cell.strip().lower() in known for cell in cells) or not cells or not cells[0].strip():
        return False
    try:
        return (root / cells[0].strip()).is_file()
    except (OSError, ValueError):
        return False


def parse(path: Path, entries: list[AuditEntry]) -> list[tuple[int, list[str]]]:
    """(line number, cells) of every row of a CSV file that is not blank."""
    text = text_of(path, entries)
    try:
        head = text[: 1 << 16]
        delimiter = max(",;\t|", key=lambda char: head.split("\n", 1)[0].count(char))
        if delimiter != "," and delimiter in head.split("\n", 1)[0]:
            entries.append(AuditEntry("inferred", path.name, f"cells parted by {delimiter!r}"))
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        rows = []
        start = 1
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((start, cells))
            start = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{path.name} line {start}: {error}", where=f"{path}:{start}",
            why="the line cannot be parted into cells", fix="mend the quotes on this line",
        ) from None  # fmt: skip
    return rows


def text_of(path: Path, entries: list[AuditEntry]) -> str:
    """The text of a table or list, whatever it is encoded in."""
    size = path.stat().st_size
    if size > MAX_CSV:
        raise DataError(
            f"{path.name} has {size:,} bytes", where=str(path),
            why=f"a table of paths is smaller than {MAX_CSV:,} bytes",
            fix="give the table of paths and labels",
        )  # fmt: skip
    data = read_file(path)
    encodings: dict[str, Callable[[bytes], bool]] = {
        "utf-16": lambda d: d[:2] in (b"\xff\xfe", b"\xfe\xff"),
        "utf-8-sig": lambda d: True,
        "latin-1": lambda d: True,
    }
    for encoding, applies in encodings.items():
        try:
            text = data.decode(encoding) if applies(data) else None
        except UnicodeDecodeError:
            continue
        if text is not None:
            if encoding != "utf-8-sig":
                entries.append(AuditEntry("inferred", path.name, f"read as {encoding}"))
            return text
    raise AssertionError("latin-1 decodes every byte")
