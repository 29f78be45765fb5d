"""Files fetched on request: hash-checked, kept, unpacked without leaving their folder."""

from __future__ import annotations

import hashlib
import os
import tarfile
import urllib.error
import urllib.parse
import zipfile
from collections.abc import Iterable
from http.client import HTTPException
from pathlib import Path

import torch

from stroma.core.checks import check_choice
from stroma.core.errors import ArgumentError, DataError

_DIGITS = {32: "md5", 40: "sha1", 64: "sha256"}
_ARCHIVES = {"tar": (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"), "zip": (".zip",)}


def keras_home() -> Path:
    """Where Keras keeps its files, and stroma beside it: $KERAS_HOME, or ~/.keras."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")


def get_file(
    fname: str | None = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: str | Iterable[str] | None = "auto",
    cache_dir: str | None = None,
    force_download: bool = False,
) -> str:
    """The path of a file that is fetched once.

    Args:
        fname: Its name in the cache; the address' last part when None. Of an archive that is
            unpacked: the name of the folder.
        origin: Address.
        untar: Keras' older word for extract=True.
        md5_hash: Keras' older word for file_hash.
        file_hash: MD5 or SHA-256 that the file must have; unchecked when None.
        cache_subdir: Folder in the cache, or an absolute one.
        hash_algorithm: "auto", "md5" or "sha256".
        extract: Unpack it beside itself, and give the folder.
        archive_format: "auto", "tar", "zip", several of them, or None.
        cache_dir: The cache: $KERAS_HOME or ~/.keras, which Keras uses too, when None.
        force_download: Fetch it although it is there.
    Raises: DataError: no connection, no such file, another hash, an archive that reaches outside
        of its folder.
    Reference: Keras' `keras.utils.get_file`.
    """
    if not origin:
        raise ArgumentError(
            "get_file needs an address",
            where="get_file(origin=...)",
            why="that is what is fetched",
            fix="get_file('data.zip', origin='https://...')",
        )
    check_choice("hash_algorithm", hash_algorithm, ("auto", "md5", "sha256"), owner="get_file")
    address = Path(urllib.parse.unquote(urllib.parse.urlsplit(origin).path)).name
    folder = Path(cache_dir or keras_home()) / cache_subdir
    unpack = extract or untar
    target = folder / (fname or address)
    archive = folder / (fname or address)
    if unpack and not str(target).endswith(tuple(e for all_ in _ARCHIVES.values() for e in all_)):
        archive = target.with_name(f"{target.name}_archive")
    elif unpack:
        target = target.with_name(f"{target.name.partition('.')[0]}_extracted")
    digest = file_hash or md5_hash
    if force_download or not archive.is_file() or not _has_hash(archive, digest):
        fetch(origin, archive, digest)
    if not unpack:
        return str(archive)
    if force_download or not target.is_dir():
        _unpack(archive, target, archive_format)
    return str(target)


def fetch(origin: str, path: Path, digest: str | None) -> None:
    """Fetch `origin` to `path`, whole and with the right hash, or leave what was there."""
    partial = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        print(f"Fetching {origin} to {path}")
        torch.hub.download_url_to_file(origin, os.fspath(partial), progress=False)
        if not _has_hash(partial, digest):
            raise _unfetched(origin, path, f"what arrived has not the hash {digest}")
        partial.replace(path)
    except urllib.error.HTTPError as error:
        error.close()
        raise _unfetched(origin, path, f"the server answered {error.code}") from error
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise _unfetched(origin, path, f"no connection ({reason})") from error
    finally:
        partial.unlink(missing_ok=True)


def _unfetched(origin: str, path: Path, why: str) -> DataError:
    return DataError(
        f"{path.name} could not be fetched: {why}",
        where=origin,
        why="nothing was kept of the attempt",
        fix=f"fetch it on a machine that can, and put it at {path}",
    )


def _has_hash(path: Path, digest: str | None) -> bool:
    if digest is None:
        return True
    with path.open("rb") as file:
        found = hashlib.file_digest(file, _DIGITS.get(len(digest), "sha256")).hexdigest()
    return found == digest.lower()


def _unpack(archive: Path, folder: Path, formats: str | Iterable[str] | None) -> None:
    """Everything of an archive, into a folder of its own that appears when all of it is there."""
    if formats is None:
        return
    wanted = ["tar", "zip"] if formats == "auto" else formats
    kinds = [wanted] if isinstance(wanted, str) else list(wanted)
    partial = folder.with_name(f"{folder.name}.part")
    partial.mkdir(parents=True, exist_ok=True)
    try:
        if "tar" in kinds and tarfile.is_tarfile(archive):
            with tarfile.open(archive) as file:
                file.extractall(partial, filter="data")  # refuses what leads outside
        elif "zip" in kinds and zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as members:
                _refuse_outside(members, partial, archive)
                members.extractall(partial)
        else:
            raise _unusable(archive, f"it is no archive of {' or '.join(kinds)}")
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise _unusable(archive, str(error)) from error
    partial.replace(folder)


def _refuse_outside(members: zipfile.ZipFile, folder: Path, archive: Path) -> None:
    root = folder.resolve()
    for name in members.namelist():
        if not (root / name).resolve().is_relative_to(root):
            raise _unusable(archive, f"its member {name!r} leads outside of its folder")


def _unusable(archive: Path, why: str) -> DataError:
    return DataError(
        f"{archive.name} cannot be unpacked: {why}",
        where=str(archive),
        why="only what lies inside the archive's own folder is written",
        fix="get it from its source again, or unpack it by hand",
    )
