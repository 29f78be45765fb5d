"""HDF5 files of weights, as Keras lays them out: checked in full before a number is read.

HDF5 can point into other files, make arrays up from a fill value, and share groups in circles. A
weight file needs none of this: here it is plain groups and plain arrays whose bytes are all there.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from stroma.core.errors import FileFormatError
from stroma.core.optional import require

MAX_ARRAYS, MAX_DEPTH = 200_000, 64


class StoredArrays(Mapping[str, np.ndarray]):
    """The arrays of an HDF5 file by path; each is read when it is asked for.

    Args:
        content: The file.
        where: Its name, for messages.
    Raises: FileFormatError: it is no HDF5 file, or holds a link, an array in another file, or an
        array whose bytes are not all there.
    """

    def __init__(self, content: bytes, *, where: str) -> None:
        self._h5py = require("h5py")
        self.where = where
        try:
            self._file = self._h5py.File(io.BytesIO(content), "r")
            self._arrays: dict[str, Any] = {}
            self._index(self._file, "", set(), 0)
        except FileFormatError:
            raise
        except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
            raise self._bad(f"it cannot be read as HDF5: {error}") from error

    def _index(self, group: Any, path: str, seen: set[int], depth: int) -> None:
        if depth > MAX_DEPTH:
            raise self._bad(f"its groups are nested more than {MAX_DEPTH} deep")
        address = self._h5py.h5o.get_info(group.id).addr
        if address in seen:
            raise self._bad(f"the group {path!r} can be reached twice")
        seen.add(address)
        for name in group:
            inner = f"{path}/{name}" if path else name
            link = group.get(name, getlink=True)
            if not isinstance(link, self._h5py.HardLink):
                raise self._bad(f"{inner!r} is a {type(link).__name__}, which leads elsewhere")
            item = group[name]
            if isinstance(item, self._h5py.Group):
                self._index(item, inner, seen, depth + 1)
            elif isinstance(item, self._h5py.Dataset):
                self._check_array(inner, item)
                self._arrays[inner] = item
            else:
                raise self._bad(f"{inner!r} is neither a group nor an array")
            if len(self._arrays) > MAX_ARRAYS:
                raise self._bad(f"it holds more than {MAX_ARRAYS:,} arrays")

    def _check_array(self, path: str, array: Any) -> None:
        if array.external or array.is_virtual:
            raise self._bad(f"the numbers of {path!r} are in another file")
        if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8 or array.shape is None:
            raise self._bad(f"{path!r} holds {array.dtype}, not numbers")
        declared = math.prod(array.shape) * array.dtype.itemsize
        stored = array.id.get_storage_size()
        if declared > stored:
            raise self._bad(f"{path!r} declares {declared:,} bytes, {stored:,} are stored")

    def _bad(self, what: str) -> FileFormatError:
        return FileFormatError(
            f"the weights are not sound: {what}",
            where=self.where,
            why="weights are plain arrays, each stored whole in this file",
            fix="fetch or save the file again",
        )

    def __getitem__(self, path: str) -> np.ndarray:
        try:
            value = np.asarray(self._arrays[path][()])
            return value.astype(value.dtype.newbyteorder("="), copy=False)
        except OSError as error:
            raise self._bad(f"{path!r} cannot be read: {error}") from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def shape(self, path: str) -> tuple[int, ...]:
        """The shape of an array, without reading it."""
        return tuple(self._arrays[path].shape)

    def elements(self) -> int:
        """How many numbers all arrays hold."""
        return sum(math.prod(array.shape) for array in self._arrays.values())


Arrays = list[np.ndarray] | dict[str, np.ndarray]  # by number, or by names of their own


def write_hdf5(groups: Mapping[str, tuple[str, Arrays]]) -> bytes:
    """Keras' layout: group path -> (name, arrays), written as `<path>/vars/<i>`."""
    h5py = require("h5py")
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for path, (name, arrays) in groups.items():
            group = file.create_group(f"{path}/vars" if path else "vars")
            group.attrs["name"] = name
            for index, array in arrays.items() if isinstance(arrays, dict) else enumerate(arrays):
                group.create_dataset(str(index), data=array)
    return buffer.getvalue()
