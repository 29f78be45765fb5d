"""A zip of class folders, read in place: nothing is ever extracted."""

from __future__ import annotations

import stat
import threading
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from stroma.core.errors import DataError, FileFormatError
from stroma.data.folder import stamp_of
from stroma.data.layout import MARKERS, File, sort_files
from stroma.data.records import AuditEntry, Found, printable

MAX_MEMBER = 1 << 28  # bytes of one picture; zipfile never yields more than a member declares
MAX_MEMBERS = 5_000_000
MAX_RATIO, RATIO_FLOOR = 200, 1 << 28  # pictures hardly compress; blank bitmaps may, a little


def read_zip(path: Path) -> Found:
    """The samples of a zip. Unsafe names, encryption and bombs refuse the whole archive."""
    zipped = Zipped.of(path)
    samples, class_names = sort_files(zipped.files, zipped.folders, zipped.entries)
    return Found(
        str(path.resolve()), samples, class_names, lambda at: zipped.read(samples[at].name),
        zipped.entries,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Zipped:
    """A zip that was checked.

    Args:
        files: Its files that may be pictures; `folders` all its folders.
        entries: What was left out.
        read: Bytes of a member, by its name in `files`; safe to call from threads. Raises OSError.
    """

    files: list[File]
    folders: list[tuple[str, ...]]
    entries: list[AuditEntry]
    read: Callable[[str], bytes]

    @classmethod
    def of(cls, path: Path) -> Zipped:
        """Raises: FileFormatError, DataError: damaged, or not safe to open."""
        archive = _open(path)
        files, folders, entries, by_name = _listed(path, archive)
        lock = threading.Lock()

        def read(name: str) -> bytes:
            with lock:  # one file position; decoding, the costly half, runs in parallel
                try:
                    return archive.read(by_name[name])
                except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
                    raise OSError(f"damaged in the zip: {error}") from None
                except Exception as error:  # zlib.error, lzma.LZMAError: damaged compressed bytes
                    raise OSError(f"damaged in the zip ({type(error).__name__})") from None

        return cls(files, folders, entries, read)


def _open(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
        raise FileFormatError(
            f"{path.name} is not a readable zip file ({error})",
            where=str(path),
            why="its table of contents is missing or damaged, as after a broken download",
            fix=f"test it with: python -m zipfile -t {path.name}",
        ) from None


def _listed(
    path: Path, archive: zipfile.ZipFile
) -> tuple[
    list[File], list[tuple[str, ...]], list[AuditEntry], dict[str, zipfile.ZipInfo]
]:  # fmt: skip
    members = archive.infolist()
    _check_archive(path, members)
    entries: list[AuditEntry] = []
    files, folders, by_name = [], [], {}
    outputs = {_parts(m)[:-1] for m in members if _parts(m)[-1:] and _parts(m)[-1] in MARKERS}
    outputs.discard(())
    entries += [
        AuditEntry("stroma_output", "/".join(folder), f"holds {' or '.join(MARKERS)}")
        for folder in sorted(outputs)
    ]
    container = stamp_of(path.stat())
    for member in members:
        parts = _parts(member)
        if any(parts[: len(folder)] == folder for folder in outputs):
            continue
        inner = parts if member.is_dir() else parts[:-1]
        folders += [inner[: n + 1] for n in range(len(inner))]
        if member.is_dir():
            continue
        if stat.S_ISLNK(member.external_attr >> 16):
            entries.append(AuditEntry("special_file", "/".join(parts), "a link inside a zip"))
        elif member.file_size > MAX_MEMBER:
            entries.append(AuditEntry("huge", "/".join(parts), f"{member.file_size:,} bytes"))
        else:
            files.append(File(parts, member.file_size, member.CRC ^ container))
            by_name["/".join(parts)] = member
    return files, folders, entries, by_name


def _parts(member: zipfile.ZipInfo) -> tuple[str, ...]:
    name = member.filename.replace("\\", "/")  # old Windows tools write backslashes
    return tuple(part for part in name.split("/") if part not in ("", "."))


def _check_archive(path: Path, members: list[zipfile.ZipInfo]) -> None:
    if len(members) > MAX_MEMBERS:
        _refuse(path, f"holds {len(members):,} members", "the limit guards against zip bombs")
    names = set()
    for member in members:
        name = member.filename.replace("\\", "/")
        parts = PurePosixPath(name).parts
        if ".." in parts or name.startswith("/") or PureWindowsPath(name).drive:
            _refuse(path, f"member {printable(name)!r} points outside the archive", "unsafe name")
        if name in names:
            _refuse(path, f"member {printable(name)!r} is there twice", "which one is meant?")
        names.add(name)
        if member.flag_bits & 1:
            _refuse(path, f"member {printable(name)!r} is encrypted", "stroma has no password")
    declared = sum(member.file_size for member in members)
    stored = sum(member.compress_size for member in members) or 1
    if declared > RATIO_FLOOR and declared / stored > MAX_RATIO:
        _refuse(path, f"unpacks to {declared:,} bytes from {stored:,}", "this is how bombs look")


def _refuse(path: Path, what: str, why: str) -> None:
    raise DataError(
        f"{path.name}: {what}", where=str(path), why=why, fix="make the zip anew from the folder"
    )
