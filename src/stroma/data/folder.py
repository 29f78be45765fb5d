"""A folder of class folders, read where it lies."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from stroma.core.errors import DataError
from stroma.data.cache import cache_root
from stroma.data.layout import MARKERS, File, is_system, sort_files
from stroma.data.records import AuditEntry, Found

MAX_FILE = 1 << 30  # bytes of one picture file; a larger one is not read into memory


def read_folder(root: Path) -> Found:
    """The samples of a folder. Links are followed, loops are not; special files never opened."""
    entries: list[AuditEntry] = []
    folders: list[tuple[str, ...]] = []
    files = list(walk(root, folders, entries))
    samples, class_names = sort_files(files, folders, entries)

    def read(index: int) -> bytes:
        return read_file(root / samples[index].name, samples[index].size)

    return Found(str(root.resolve()), samples, class_names, read, entries)


def read_file(path: Path, expected: int | None = None) -> bytes:
    """The bytes of a regular file; a file that changed its size since it was listed is an error."""
    # O_NONBLOCK: a pipe put in the file's place must not hang the reader
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags), "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise OSError(f"{path} is not a regular file")
        if facts.st_size > MAX_FILE:
            raise OSError(f"{facts.st_size:,} bytes, the limit is {MAX_FILE:,}")
        data = file.read(facts.st_size)
    if expected is not None and len(data) != expected:
        raise DataError(
            f"{path} changed while it was in use: {expected:,} bytes before, {len(data):,} now",
            where=str(path),
            why="the audit and the split no longer describe it",
            fix="run again, so that the data is looked at afresh",
        )
    return data


def stamp_of(facts: os.stat_result) -> int:
    """Changes whenever the file does: ctime too, since archives and copies restore mtime."""
    return facts.st_mtime_ns ^ (facts.st_ctime_ns << 1)


def walk(root: Path, folders: list[tuple[str, ...]], entries: list[AuditEntry]) -> Iterator[File]:
    """Every regular file below `root`; the folders, and what is odd, go to the lists."""
    root = root.resolve()
    return _walk(root, (), (), folders, entries, root)


def _walk(
    folder: Path,
    parts: tuple[str, ...],
    above: tuple[tuple[int, int], ...],
    folders: list[tuple[str, ...]],
    entries: list[AuditEntry],
    root: Path,
) -> Iterator[File]:
    name = "/".join(parts) or "."
    try:
        facts = os.stat(folder)
        listing = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        entries.append(AuditEntry("unreadable", name, error.strerror or str(error)))
        return
    identity = (facts.st_dev, facts.st_ino)
    if identity in above:
        entries.append(AuditEntry("link_loop", name, "leads back to a folder above it"))
        return
    if parts and any(entry.name in MARKERS for entry in listing):
        entries.append(AuditEntry("stroma_output", name, f"holds {' or '.join(MARKERS)}"))
        return
    if parts and folder.resolve() == cache_root().resolve():
        entries.append(AuditEntry("stroma_output", name, "the folder of stroma's caches"))
        return
    if parts:
        folders.append(parts)
    for entry in listing:
        inner = (*parts, entry.name)
        try:
            facts = entry.stat()
        except OSError as error:
            reason = "broken link" if entry.is_symlink() else error.strerror or str(error)
            entries.append(AuditEntry("unreadable", "/".join(inner), reason))
            continue
        if entry.is_symlink() and not Path(os.path.realpath(entry.path)).is_relative_to(root):
            entries.append(AuditEntry("link_outside", "/".join(inner), "followed"))
        if stat.S_ISDIR(facts.st_mode):
            if is_system(entry.name):
                entries.append(AuditEntry("system_file", "/".join(inner), "a system's own folder"))
            else:
                yield from _walk(
                    Path(entry.path), inner, (*above, identity), folders, entries, root
                )
        elif stat.S_ISREG(facts.st_mode):
            yield File(inner, facts.st_size, stamp_of(facts))
        else:
            entries.append(AuditEntry("special_file", "/".join(inner), "never opened"))
