"""Reading arrays and pickles of known data sets without running what they say."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from stroma.core.errors import FileFormatError

GOOGLE = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
Pair = tuple[np.ndarray, np.ndarray]
_MOST_BYTES = 2 << 30  # of one array; the largest of these data sets has 0.2 GB


def _reconstruct(kind: Any, shape: Any, dtype: Any) -> np.ndarray:
    """NumPy's way to begin an array: only an empty one, which its state then fills."""
    if kind is not _ARRAY or shape != (0,):
        raise pickle.UnpicklingError("an array begins otherwise than NumPy writes it")
    return np.ndarray((0,), _dtype(dtype))


def _dtype(name: Any, *flags: Any) -> np.dtype[Any]:
    return np.dtype(name.decode("ascii") if isinstance(name, bytes) else name)


def _encode(text: str, encoding: str) -> bytes:
    """Bytes as protocol 2 keeps them: text in latin-1."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in {encoding!r}")
    return text.encode("latin1")


_ARRAY = object()  # stands for NumPy's class, which a file must not call with a size of its own
_ALLOWED: dict[tuple[str, str], Any] = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _reconstruct for core in ("core", "_core")},
    ("numpy", "ndarray"): _ARRAY,
    ("numpy", "dtype"): _dtype,
    ("_codecs", "encode"): _encode,
}


class _Unpickler(pickle.Unpickler):
    """Lists, dicts, texts, numbers and NumPy's arrays; no name outside of a list of four."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return _ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to another file")


def unpickle(file: BinaryIO, where: str, encoding: str = "ASCII") -> Any:
    """What a pickle of plain values and arrays holds.

    Raises: FileFormatError: it holds anything else, or is damaged.
    """
    try:
        return _Unpickler(file, encoding=encoding).load()
    except Exception as error:  # a damaged program fails in as many ways as there are
        raise _refused(where, str(error)) from error


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file, arrays of lists too.

    Raises: FileFormatError: it is damaged, holds what is no array, or claims more than 2 GB.
    """
    try:
        with zipfile.ZipFile(path) as file:
            for member in file.infolist():
                if member.file_size > _MOST_BYTES:
                    raise _refused(str(path), f"{member.filename} claims {member.file_size} bytes")
            return {n.removesuffix(".npy"): _array(io.BytesIO(file.read(n)), f"{path}: {n}")
                    for n in file.namelist()}  # fmt: skip
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise _refused(str(path), str(error)) from error


def _array(file: BinaryIO, where: str) -> np.ndarray:
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0}.get(
        version, np.lib.format.read_array_header_2_0
    )
    _, _, dtype = read(file)
    if dtype.hasobject:
        values = unpickle(file, where)
        if not isinstance(values, np.ndarray):
            raise _refused(where, "it is no array")
        return values
    file.seek(0)
    return np.asarray(np.load(file, allow_pickle=False))


def _refused(where: str, why: str) -> FileFormatError:
    return FileFormatError(
        f"this is not the data set's file: {why}",
        where=where,
        why="only arrays, lists and numbers are read, and nothing is run",
        fix="remove the file and load the data again",
    )


def parted(x: Any, y: Any, test_split: float) -> tuple[Any, Any]:
    """((x, y) for training, (x, y) for testing): the last share."""
    cut = int(len(x) * (1 - test_split))
    return (x[:cut], y[:cut]), (x[cut:], y[cut:])
