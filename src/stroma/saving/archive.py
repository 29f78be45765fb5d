"""The zip around a `.keras` file: every claim of its directory is checked, nothing is unpacked.

Members are read by name, into memory, after their names, sizes and places were found sound. Files
are written under a temporary name, flushed to the disk and renamed, so that a file is whole or not
there.

Reference: PKWARE's APPNOTE.TXT, sections 4.3 and 4.4.
"""

from __future__ import annotations

import io
import json
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from stroma.core.errors import FileFormatError, WeightsError
from stroma.saving.files import regular_file, sniff

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
MAX_MEMBERS = 10_000
MAX_JSON_BYTES = 16 * 2**20
MAX_JSON_DEPTH = 64
# Weights hardly compress. What grows more than so many times, and is large, was made to do so.
MAX_EXPANSION, FREE_BYTES = 20, 32 * 2**20
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}(/[A-Za-z0-9_.-]{1,128}){0,16}/?")
_LOCAL_HEADER = 30  # bytes before the name


def read_archive(
    path: str | PathLike[str], wanted: Iterable[str] = (CONFIG, METADATA, WEIGHTS)
) -> dict[str, bytes]:
    """The members of a `.keras` file that stroma knows: configuration, metadata and weights.

    Args:
        path: The file.
        wanted: Those that are read, where they are there.
    Raises: FileFormatError: it is no sound zip, or a member's name, size, place or checksum is
        not what it should be.
    """
    path = regular_file(path)
    kind = sniff(path)
    if kind != "zip":
        raise FileFormatError(
            f"{path.name!r} is {_FOREIGN.get(kind, f'no .keras file (it looks like: {kind})')}",
            where=str(path),
            why="a .keras file is a zip; the content decides what a file is, not its name",
            fix=_FIX.get(kind, "fetch or save the file again"),
        )
    try:
        _check_directory_size(path)
        with zipfile.ZipFile(path) as archive:
            _check_members(path, archive.infolist())
            if CONFIG not in archive.NameToInfo:
                raise bad(path, f"it has no {CONFIG}")
            return {name: archive.read(name) for name in wanted if name in archive.NameToInfo}
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise bad(path, str(error) or type(error).__name__) from error
    except (NotImplementedError, RuntimeError) as error:  # encrypted, or an exotic compression
        raise bad(path, str(error)) from error


_FOREIGN = {
    "hdf5": "an HDF5 file: Keras' format before .keras, or weights alone",
    "html": "an HTML page: the download failed and saved its error message",
    "git-lfs": "a Git LFS pointer: the file itself was not fetched",
    "safetensors": "a safetensors file: weights without a network",
}
_FIX = {
    "hdf5": "build the network in code, then model.load_weights(FILE); or save it again with "
    "Keras 3: model.save('model.keras')",
    "safetensors": "build the network in code, then model.load_weights(FILE)",
    "html": "fetch the file again, from a link that answers with the file itself",
    "git-lfs": "run: git lfs pull",
}


def _check_directory_size(path: Path) -> None:
    """Refuse a directory of millions of members before Python's reader makes objects of them."""
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - 65_557 - 20))
        tail = file.read()
        end = tail.rfind(b"PK\x05\x06")
        if end < 0:
            raise bad(path, "it ends before the directory of the zip: it was cut short")
        counts = [struct.unpack_from("<H", tail, end + 10)[0]]
        locator = end - 20
        if locator >= 0 and tail[locator : locator + 4] == b"PK\x06\x07":
            file.seek(min(struct.unpack_from("<Q", tail, locator + 8)[0], size))
            record = file.read(56)
            if not record.startswith(b"PK\x06\x06") or len(record) < 56:
                raise bad(path, "its zip64 directory is not where it says")
            counts.append(struct.unpack_from("<Q", record, 32)[0])
    if max(counts) > MAX_MEMBERS:
        raise bad(path, f"it claims {max(counts):,} members, over {MAX_MEMBERS:,}")


def _check_members(path: Path, members: list[zipfile.ZipInfo]) -> None:
    names = [member.filename for member in members]
    if len(members) > MAX_MEMBERS:
        raise bad(path, f"it has {len(members):,} members, over {MAX_MEMBERS:,}")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise bad(path, f"it holds two members called {twice!r}")
    position = 0
    for member in sorted(members, key=lambda m: m.header_offset):
        name = member.orig_filename  # zipfile cuts `filename` at a NUL byte
        if not _NAME.fullmatch(name) or any(part in (".", "..") for part in name.split("/")):
            raise bad(path, f"a member is called {name!r}, which could lead out of the archive")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise bad(path, f"the member {name!r} is a link")
        if member.header_offset < position:
            raise bad(path, f"the member {name!r} overlaps the one before it")
        position = member.header_offset + _LOCAL_HEADER + len(name) + member.compress_size
        limit = MAX_JSON_BYTES if name in (CONFIG, METADATA) else None
        if limit is not None and member.file_size > limit:
            raise bad(path, f"{name} claims {member.file_size:,} bytes, over {limit:,}")
        large = member.file_size > FREE_BYTES
        if large and member.file_size > MAX_EXPANSION * max(1, member.compress_size):
            raise bad(
                path, f"{name} would grow from {member.compress_size:,} to {member.file_size:,}"
            )


def read_json(path: Path, name: str, content: bytes) -> Any:
    """A JSON member: no name twice, at most `MAX_JSON_DEPTH` deep."""
    try:
        data = json.loads(content.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise bad(path, f"{name} is not sound JSON: {error}") from error
    check_depth(data, where=f"{path.name}: {name}")
    return data


def check_depth(data: Any, *, where: str) -> None:
    """Refuse plain data that is nested deeper than any network needs."""
    level, depth = [data], 0
    while level:
        depth += 1
        if depth > MAX_JSON_DEPTH:
            raise FileFormatError(
                f"the configuration is nested more than {MAX_JSON_DEPTH} deep",
                where=where,
                why="no network needs that, and reading it would exhaust the stack",
                fix="fetch or save the file again",
            )
        level = [
            item
            for node in level
            if isinstance(node, (dict, list))
            for item in (node.values() if isinstance(node, dict) else node)
        ]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("an object names one key twice")
    return table


def write_archive(path: Path, members: Mapping[str, bytes]) -> None:
    """A zip of these members, stored as they are, with the date that zips begin at."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    write_file(path, buffer.getbuffer())


def write_file(path: Path, content: bytes | memoryview) -> None:
    """Write a file so that it is whole or not there, whatever happens in between.

    Raises: WeightsError: it cannot be written; a file that was there before is untouched.
    """
    path = path.resolve()  # through a link, the file behind it is replaced
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise WeightsError(
            f"{path.name!r} could not be written: {error.strerror or error}",
            where=str(path),
            why=f"it needs {len(content):,} bytes; what was there before is untouched",
            fix="make room, or give a path in a folder that exists and can be written to",
        ) from error


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder; its rename is enough
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def bad(path: Path, what: str) -> FileFormatError:
    """The error for a `.keras` file that is not sound."""
    return FileFormatError(
        f"{path.name!r} is not a sound .keras file: {what}",
        where=str(path),
        why="a damaged or hostile file must not be half read",
        fix="fetch or save the file again",
    )
