"""What a file really is: its first bytes decide, never its name.

A header is a claim, the file's length is a fact. Readers here check the claim against the fact
before they allocate anything, and read ordinary files only.
"""

from __future__ import annotations

import stat
from os import PathLike
from pathlib import Path

from stroma.core.errors import ArgumentTypeError, FileFormatError

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
ZIP_MAGIC = b"PK\x03\x04"
# torch.save's legacy format starts with its magic number, itself pickled with protocol 2
LEGACY_TORCH_MAGIC = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."


def regular_file(path: str | PathLike[str]) -> Path:
    """`path` when it is an ordinary, readable, non-empty file (links are followed).

    A pipe or a device is refused before it is opened: opening one can block for ever.

    Raises:
        FileFormatError: it is missing, empty, not readable, a folder, a pipe or a device.
    """
    if not isinstance(path, (str, PathLike)):
        raise ArgumentTypeError(
            f"{path!r:.60} is no path of a file",
            where="weights=..., or the path that is read",
            why="weights are read from a file",
            fix='weights="FILE.safetensors"; None for none',
        )
    path = Path(path).expanduser()
    try:
        found = path.stat()
        if stat.S_ISREG(found.st_mode):
            with path.open("rb"):
                pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FileFormatError(
            f"cannot read {path.name!r}: {reason}",
            where=str(path),
            why="the file must exist and be readable",
            fix="check the path and its permissions",
        ) from error
    if stat.S_ISDIR(found.st_mode):
        raise FileFormatError(
            f"{path.name!r} is a folder, not a file",
            where=str(path),
            why="weights are read from one file",
            fix="name the file inside it (a distributed checkpoint must first be merged into one)",
        )
    if not stat.S_ISREG(found.st_mode):
        raise FileFormatError(
            f"{path.name!r} is a pipe, a socket or a device, not a file",
            where=str(path),
            why="only an ordinary file has a length that its header can be checked against",
            fix="copy its content to a file first",
        )
    if found.st_size == 0:
        raise FileFormatError(
            f"{path.name!r} is empty (0 bytes)",
            where=str(path),
            why="a download or a copy was probably cut short",
            fix="fetch the file again",
        )
    return path


def sniff(path: Path) -> str:
    """The format of a file by its content: one word, `"unknown"` when nothing matches."""
    with path.open("rb") as file:
        head = file.read(512)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith(ZIP_MAGIC):
        return "zip"
    if head.startswith(HDF5_MAGIC):
        return "hdf5"
    if head.startswith(LEGACY_TORCH_MAGIC):
        return "torch-legacy"
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<body")):
        return "html"
    if head[257:262] == b"ustar":
        return "tar"
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if text.startswith(b"version https://git-lfs"):
        return "git-lfs"
    if head[8:9] == b"{":
        return "safetensors"
    if head.startswith(b"\x80") and head[1:2] in b"\x02\x03\x04\x05":
        return "pickle"
    return "unknown"
