"""Answers as lines, CSV or JSON, to a stream or to a file that a later call can go on with."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any, TextIO

from stroma.core.errors import ArgumentError, DataError, StromaError
from stroma.core.plain import Record
from stroma.core.runs import cut_torn_line
from stroma.core.text import printable

_SAME = 1e-2  # a probability moves less than this between machines, libraries and batches


class Answers:
    """Writes one line an answer; each is in the file before the next is computed.

    Args:
        stream: Where to write.
        as_json: JSON lines; else CSV, with a header line where the stream is empty.
        header: Whether the header is still to be written.
    """

    def __init__(self, stream: TextIO, as_json: bool, header: bool = True) -> None:
        self.stream, self.as_json, self._header = stream, as_json, header and not as_json

    def write(self, said: Record) -> None:
        fields = said.to_json()
        if self._header:
            self.stream.write(_csv_line(list(fields)))
            self._header = False
        self.stream.write(line_of(fields, self.as_json))
        self.stream.flush()


def line_of(fields: dict[str, Any], as_json: bool) -> str:
    """One answer as a line of its own: control characters in names are escaped."""
    if as_json:
        return json.dumps(fields, allow_nan=False) + "\n"
    return _csv_line([_cell(name, value) for name, value in fields.items()])


def _cell(name: str, value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}" if name == "value" else f"{value:.4f}"
    return printable(str(value))


def _csv_line(cells: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


class Kept:
    """What a file of answers holds already.

    Args:
        path: The file; it may be missing. Half a line at its end, left by a kill, does not count.
        as_json: Whether it holds JSON lines.
    Raises: ArgumentError: the file holds something else than answers.
    """

    def __init__(self, path: Path, as_json: bool) -> None:
        self.path, self.as_json = path, as_json
        self.header: list[str] = []
        self.rows: dict[str, list[str]] = {}
        if path.is_file():
            self._read()

    def has(self, name: str) -> bool:
        """Whether the photo of this name is answered."""
        return self._key(name) in self.rows

    def last_of(self, names: list[str]) -> int | None:
        """Position in `names` of the photo that was answered last."""
        at = {self._key(name): index for index, name in enumerate(names)}
        return next((at[key] for key in reversed(self.rows) if key in at), None)

    def check(self, said: Record) -> None:
        """Raises: DataError: the model says something else of a photo than the file does."""
        fields = said.to_json()
        header, row = list(fields), [_cell(*field) for field in fields.items()]
        old = self.rows[self._key(str(fields["path"]))]
        if header != self.header or not all(map(_alike, row, old)):
            raise DataError(
                f"{self.path} was written by another model",
                where=f"{self.path}: {fields['path']}: {', '.join(old[1:])}; "
                f"now {', '.join(row[1:])}",
                why="one table with the answers of two models would mislead",
                fix="name the run that began it, or another file: --out other.csv",
            )

    def open(self) -> TextIO:
        """The file, to be added to. Half a line at its end is cut off."""
        cut_torn_line(self.path)
        return self.path.open("a", encoding="utf-8", newline="")

    def _key(self, name: str) -> str:
        return printable(name)

    def _read(self) -> None:
        lines = self.path.read_text("utf-8", errors="surrogateescape").split("\n")[:-1]
        try:
            if self.as_json:
                for line in lines:
                    fields = json.loads(line)
                    self.header = list(fields)
                    row = [_cell(*field) for field in fields.items()]
                    self.rows[self._key(fields["path"])] = row
                return
            self.header, *rows = list(csv.reader(lines)) or [[]]
            self.rows = {row[0]: row for row in rows}
            good = not lines or self.header[:1] == ["path"]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, csv.Error):
            good = False
        if not good:
            raise ArgumentError(
                f"{self.path} holds no answers that can be gone on with",
                where=f"--out {self.path} --resume",
                why=f"it was expected to hold {'JSON lines' if self.as_json else 'CSV'} as "
                "`stroma predict` writes them",
                fix="another name: --out other.csv",
            )


def _alike(new: str, old: str) -> bool:
    try:
        return abs(float(new) - float(old)) <= _SAME * max(1.0, abs(float(old)))
    except ValueError:
        return new == old


def check_out(path: Path | None, resume: bool, overwrite: bool) -> None:
    """Whether `--out`, `--resume` and `--overwrite` go together, before any work is done."""
    error: StromaError | None = None
    if path is None and (resume or overwrite):
        name = "--resume" if resume else "--overwrite"
        error = ArgumentError(
            f"{name} needs a file", where=name, why="it says what becomes of the file of answers",
            fix=f"{name} --out answers.csv",
        )  # fmt: skip
    elif resume and overwrite:
        error = ArgumentError(
            "--resume and --overwrite cannot both be meant", where="--resume --overwrite",
            why="one keeps the answers of the file, the other does not", fix="leave one away",
        )  # fmt: skip
    elif path is not None and not path.parent.is_dir():
        error = ArgumentError(
            f"there is no folder {path.parent}", where=f"--out {path}",
            why="answers are written into a folder that is there",
            fix=f"mkdir -p {path.parent}",
        )  # fmt: skip
    elif path is not None and path.exists() and not (path.is_file() and (resume or overwrite)):
        folder = path.is_dir()
        error = ArgumentError(
            f"{path} is {'a folder' if folder else 'there already'}", where=str(path.resolve()),
            why="nothing of yours is overwritten unless you say so",
            fix=f"--out {path / 'answers.csv'}" if folder
            else "--resume goes on with it, --overwrite writes it anew",
        )  # fmt: skip
    if error is not None:
        raise error
