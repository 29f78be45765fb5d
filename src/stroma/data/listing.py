"""Pictures without labels: a file, a folder, a zip or a list, for a model to answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stroma.core.errors import DataError
from stroma.data.archive import Zipped
from stroma.data.folder import read_file, walk
from stroma.data.layout import is_picture
from stroma.data.records import AuditEntry
from stroma.data.table import PATH_COLUMNS, parse, text_of

LISTS = (".txt", ".lst", ".csv", ".tsv")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+://")


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures that can be read one by one.

    Args:
        names: What each is called in answers and messages.
        reads: Bytes of each; safe to call from threads. Raises OSError, DataError.
        entries: Files that are no pictures, by name.
    """

    names: list[str] = field(default_factory=list)
    reads: list[Callable[[], bytes]] = field(default_factory=list)
    entries: list[AuditEntry] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.names)

    def take(self, at: Iterable[int]) -> Pictures:
        """Only those at these positions."""
        chosen = list(at)
        return Pictures(
            [self.names[i] for i in chosen], [self.reads[i] for i in chosen], self.entries
        )

    def _add(self, name: str, read: Callable[[], bytes]) -> None:
        self.names.append(name)
        self.reads.append(read)


def pictures(paths: Sequence[str | Path]) -> Pictures:
    """What is to be answered at each path, in the order of the paths.

    A folder gives every picture below it, a zip its members (called `photos.zip/cat/1.jpg`), a
    list (`.txt`: one path a line; `.csv`: its column of paths, else the first) the files that it
    names, relative to the list's own folder. Anything else is a picture file; whether it is there
    and can be read shows when it is read.

    Raises: DataError, FileFormatError: a zip or a list that cannot be read, or a folder, zip or
        list that names no picture.
    """
    found = Pictures()
    for path in map(Path, paths):
        before = len(found)
        if path.is_dir():
            _add_folder(found, path)
        elif path.suffix.lower() == ".zip" and path.is_file():
            _add_zip(found, path)
        elif path.suffix.lower() in LISTS and path.is_file():
            _add_list(found, path)
        else:
            found._add(str(path), _reader(path, str(path)))
        if len(found) == before:
            raise _nothing(path, found.entries)
    return found


def _add_folder(found: Pictures, root: Path) -> None:
    entries: list[AuditEntry] = []
    for file in sorted(walk(root, [], entries), key=lambda file: file.parts):
        if is_picture(file, entries):
            path = root / file.name
            found._add(str(path), _reader(path, str(path)))
    found.entries.extend(_below(root, entries))


def _add_zip(found: Pictures, path: Path) -> None:
    zipped = Zipped.of(path)
    for file in sorted(zipped.files, key=lambda file: file.parts):
        if is_picture(file, zipped.entries):
            found._add(str(path / file.name), _member(zipped, file.name))
    found.entries.extend(_below(path, zipped.entries))


def _add_list(found: Pictures, path: Path) -> None:
    if path.suffix.lower() in (".csv", ".tsv"):
        names = _column(path, found.entries)
    else:
        lines = enumerate(text_of(path, found.entries).splitlines(), 1)
        names = [(number, line.strip()) for number, line in lines if line.strip()]
    for number, name in names:
        where = f"{path} line {number}"
        found._add(name, _reader(path.parent / name.replace("\\", "/"), name, where))


def _column(path: Path, entries: list[AuditEntry]) -> list[tuple[int, str]]:
    lines = parse(path, entries)
    header = [cell.strip().lower() for cell in lines[0][1]] if lines else []
    known = next((header.index(name) for name in PATH_COLUMNS if name in header), None)
    rows = lines if known is None else lines[1:]
    at = known or 0
    return [(n, cells[at].strip()) for n, cells in rows if len(cells) > at and cells[at].strip()]


def _reader(path: Path, name: str, where: str = "") -> Callable[[], bytes]:
    def read() -> bytes:
        if where and (_ADDRESS.match(name) or "\0" in name):
            raise DataError(
                f"{name} is {'no path' if chr(0) in name else 'an address'}", where=where,
                why="a line is the path of a file on this machine: stroma downloads nothing",
                fix="fetch the picture, and name the file",
            )  # fmt: skip
        try:
            return read_file(path)
        except (FileNotFoundError, NotADirectoryError):
            raise DataError(
                f"{name} is not there",
                where=where or str(path.absolute()),
                why="paths in a list are relative to the list's own folder"
                if where
                else "a picture was expected",
                fix="check the path",
            ) from None

    return read


def _member(zipped: Zipped, name: str) -> Callable[[], bytes]:
    return lambda: zipped.read(name)


def _below(root: Path, entries: Iterable[AuditEntry]) -> list[AuditEntry]:
    return [AuditEntry(e.kind, str(root / e.path), e.reason, e.where) for e in entries]


def _nothing(path: Path, entries: Sequence[AuditEntry]) -> DataError:
    seen = ", ".join(f"{entry.path} ({entry.reason})" for entry in entries[:3])
    return DataError(
        f"{path} holds no picture",
        where=seen or str(path.resolve()),
        why="there is nothing that a model could look at",
        fix="give a picture file, or a folder, zip or list with pictures",
    )
