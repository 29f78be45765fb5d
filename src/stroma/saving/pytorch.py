"""PyTorch checkpoints (`.pth`, `.pt`, `.th`, `.bin`): weights only, and never anything else.

Both of `torch.save`'s formats are read: the zip archive (since 1.6) and the row of pickles before
it. Every size is checked here; then `torch.load(weights_only=True)` reads. When it refuses, so do
we: trying again without that guard is how such loaders get exploited.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from stroma.core.errors import FileFormatError
from stroma.saving.files import regular_file, sniff
from stroma.saving.pickles import PickleError, PickleReader, StorageClaim

MAX_PICKLE_BYTES = 16 * 2**20
_MAX_MEMBERS = 100_000
_NESTED = ("state_dict", "model_state_dict", "model")  # where training scripts put the weights
_PREFIXES = ("module.", "_orig_mod.")  # DataParallel's and torch.compile's


def read_pytorch(path: str | PathLike[str]) -> dict[str, torch.Tensor]:
    """The weights of a PyTorch checkpoint, by name, on the CPU.

    A table nested under `state_dict`, `model_state_dict` or `model` is taken out, and the
    prefixes `module.` (DataParallel) and `_orig_mod.` (torch.compile) are taken off.

    Args:
        path: A file written by `torch.save`.

    Raises:
        FileFormatError: it is damaged, holds more than weights, or is a program.

    Example:
        >>> import tempfile, pathlib
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = pathlib.Path(folder.name, "checkpoint.pth")
        >>> torch.save({"epoch": 3, "state_dict": {"module.fc.bias": torch.zeros(2)}}, path)
        >>> read_pytorch(path)
        {'fc.bias': tensor([0., 0.])}
        >>> folder.cleanup()
    """
    path = regular_file(path)
    try:
        if sniff(path) == "zip":
            _check_archive(path)
        else:
            _check_legacy(path)
    except PickleError as error:
        raise _refused(path, str(error)) from error
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, KeyError, EOFError, OSError) as error:
        raise _refused(path, str(error).splitlines()[0]) from error
    return _strip(_unwrap(loaded, path))


def _check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            pickles = [name for name in names if name.count("/") == 1 and _is(name, "data.pkl")]
            if not pickles:
                raise _refused(path, "this zip archive was not written by torch.save")
            prefix = pickles[0].removesuffix("data.pkl")
            if any(name.startswith((f"{prefix}code/", f"{prefix}constants")) for name in names):
                raise _program(path)
            members = _check_members(path, archive)
            if len(pickles) > 1:
                raise _refused(path, "it holds several checkpoints")
            if members[pickles[0]].file_size > MAX_PICKLE_BYTES:
                raise _refused(path, f"its data.pkl is over {MAX_PICKLE_BYTES:,} bytes")
            reader = PickleReader(io.BytesIO(archive.read(pickles[0])))
            reader.load()
            for claim in reader.storages.values():
                member = members.get(f"{prefix}data/{claim.key}")
                _check_size(path, claim, member.file_size if member else None)
            if (damaged := archive.testzip()) is not None:
                raise _refused(path, f"its part {damaged!r} does not match its stored checksum")
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError) as error:
        if isinstance(error, (FileFormatError, PickleError)):
            raise
        raise _refused(path, f"the zip archive is damaged or cut short ({error})") from error


def _check_members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The archive's members by name, when each is stored as it is, once, in its own bytes."""
    infos = archive.infolist()
    if len(infos) > _MAX_MEMBERS:
        raise _refused(path, f"it has {len(infos):,} parts, over {_MAX_MEMBERS:,}")
    members = {info.filename: info for info in infos}
    if len(members) != len(infos):
        raise _refused(path, "two of its parts have the same name")
    position = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        # torch.save never compresses, so a part can claim no more bytes than the file has
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise _refused(path, f"its part {info.filename!r} is compressed")
        if info.header_offset < position:
            raise _refused(path, f"its part {info.filename!r} overlaps another")
        position = info.header_offset + 30 + info.file_size
    if infos and min(info.header_offset for info in infos) != 0:
        raise _refused(path, "something lies before the zip archive")
    return members


def _check_legacy(path: Path) -> None:
    """Five pickles (magic, version, system, object, keys), then each storage: count and bytes."""
    size = path.stat().st_size
    with path.open("rb") as file:
        # A copy in memory: a length that lies would make a file object allocate it first
        head = io.BytesIO(file.read(MAX_PICKLE_BYTES))
        reader = PickleReader(head)
        *_, keys = [reader.load() for _ in range(5)]
        if not isinstance(keys, list) or set(keys) != set(reader.storages):
            raise PickleError("its list of storages does not name those its tensors use")
        file.seek(head.tell())
        for key in keys:
            claim = reader.storages[key]
            found = int.from_bytes(file.read(8), "little", signed=True)
            _check_size(path, claim, found * claim.dtype.itemsize)
            if file.tell() + claim.bytes > size:
                raise PickleError(
                    f"storage {key!r} ends at byte {file.tell() + claim.bytes:,},"
                    f" the file at byte {size:,}"
                )
            file.seek(claim.bytes, io.SEEK_CUR)
        if file.tell() != size:
            raise PickleError(f"{size - file.tell():,} bytes follow the last storage")


def _check_size(path: Path, claim: StorageClaim, found: int | None) -> None:
    if found != claim.bytes:
        has = "is missing" if found is None else f"has {found:,} bytes"
        raise _refused(
            path,
            f"storage {claim.key!r} {has}; {claim.count:,} numbers of {claim.dtype} take"
            f" {claim.bytes:,}",
        )


def _unwrap(loaded: Any, path: Path) -> dict[str, torch.Tensor]:
    while isinstance(loaded, dict):
        inner = next((loaded[key] for key in _NESTED if isinstance(loaded.get(key), dict)), None)
        if inner is None:
            break
        loaded = inner
    if isinstance(loaded, dict):
        named = {str(key): item for key, item in loaded.items() if isinstance(item, torch.Tensor)}
        if named:
            return named
    found = ", ".join(map(str, list(loaded)[:8])) if isinstance(loaded, dict) else type(loaded)
    raise FileFormatError(
        f"no weights by name in {path.name!r}; it holds {found}",
        where=str(path),
        why=f"a table from name to tensor was expected, or one under {', '.join(_NESTED)}",
        fix="save model.state_dict(), and load that file",
    )


def _strip(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    while prefix := next((p for p in _PREFIXES if _all_start(weights, p)), ""):
        weights = {name.removeprefix(prefix): tensor for name, tensor in weights.items()}
    return weights


def _all_start(names: Iterable[str], prefix: str) -> bool:
    return all(name.startswith(prefix) for name in names)


def _is(name: str, last: str) -> bool:
    return name.rpartition("/")[2] == last


def _program(path: Path) -> FileFormatError:
    return FileFormatError(
        f"{path.name!r} is a TorchScript archive: a program, not weights",
        where=str(path),
        why="loading it would mean running it",
        fix="where you trust it: torch.save(torch.jit.load(FILE).state_dict(), 'weights.pth')",
    )


def _refused(path: Path, what: str) -> FileFormatError:
    return FileFormatError(
        f"{path.name!r} is not a sound file of PyTorch weights: {what}",
        where=str(path),
        why="only tensors, numbers and text are read; nothing in a file is ever run",
        fix="fetch the file again, or save model.state_dict() alone (best as .safetensors)",
    )
