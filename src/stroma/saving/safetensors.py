"""safetensors files: the header is checked here, in full, before a byte of weights is read.

The format is 8 bytes of header length (little-endian), a JSON header naming each tensor's dtype,
shape and span of bytes, then the bytes. The `safetensors` library maps the bytes without a copy;
it accepts some headers that mean two things at once (a name given twice), so stroma reads the
header itself.

Reference: https://github.com/huggingface/safetensors, "Format".
"""

from __future__ import annotations

import json
import math
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from stroma.core.errors import FileFormatError
from stroma.saving.files import regular_file

# The library's own cap is 100 MB, which takes seconds and a gigabyte to parse as JSON. 16 MB
# names some 150,000 tensors.
MAX_HEADER_BYTES = 16 * 2**20
_ITEM_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "I16": 2, "F16": 2,
    "BF16": 2, "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8,
}  # fmt: skip


def read_safetensors(path: str | PathLike[str]) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file, by name, mapped from disk without a copy.

    Args:
        path: The file.

    Raises:
        FileFormatError: the header is not what the format says, or does not fit the file.

    Example:
        >>> import tempfile, pathlib, safetensors.torch
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = pathlib.Path(folder.name, "w.safetensors")
        >>> safetensors.torch.save_file({"fc.bias": torch.zeros(3)}, path)
        >>> read_safetensors(path)
        {'fc.bias': tensor([0., 0., 0.])}
        >>> folder.cleanup()
    """
    path = regular_file(path)
    read_header(path)
    return load_file(path)


def read_header(path: Path) -> dict[str, Any]:
    """The checked header: tensor name -> `{"dtype", "shape", "data_offsets"}`."""
    return _read(path)[0]


def read_metadata(path: Path) -> dict[str, str]:
    """The texts that stand beside the tensors in a checked header."""
    return _read(path)[1]


def _read(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 10 or length > size - 8:
            raise _bad(path, f"its header claims {length:,} bytes, the file has {size:,}")
        if length > MAX_HEADER_BYTES:
            raise _bad(path, f"its header claims {length:,} bytes, over {MAX_HEADER_BYTES:,}")
        text = file.read(length)
    if not text.startswith(b"{"):
        raise _bad(path, "its header does not start with '{' at byte 8")
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise _bad(path, f"its header is not sound JSON: {error}") from error
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise _bad(path, "its __metadata__ is not a table from text to text")
    _check_spans(path, header, size - 8 - length)
    return header, metadata


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice!r} occurs twice")
    return table


def _check_spans(path: Path, header: dict[str, Any], data_bytes: int) -> None:
    """Tensors must lie one after the other and fill the data exactly: no overlap, hole or rest."""
    spans = []
    for name, entry in header.items():
        begin, end = _span(path, name, entry, data_bytes)
        spans.append((begin, end, name))
    position = 0
    for begin, end, name in sorted(spans):
        if begin != position:
            kind = "overlaps the tensor before it" if begin < position else "leaves a hole before"
            raise _bad(path, f"tensor {name!r} starts at byte {begin:,}: it {kind} {position:,}")
        position = end
    if position != data_bytes:
        raise _bad(path, f"tensors end at byte {position:,}, the data at byte {data_bytes:,}")


def _span(path: Path, name: str, entry: Any, data_bytes: int) -> tuple[int, int]:
    fields = {"dtype", "shape", "data_offsets"}
    if not isinstance(entry, dict) or entry.keys() != fields:
        raise _bad(path, f"tensor {name!r} must have exactly {', '.join(sorted(fields))}")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _ITEM_BYTES:
        raise _bad(path, f"tensor {name!r} has the unknown dtype {dtype!r}")
    if not _counts(shape) or not _counts(offsets) or len(offsets) != 2:
        raise _bad(path, f"tensor {name!r} has shape {shape!r} and data_offsets {offsets!r}")
    begin, end = offsets
    if not begin <= end <= data_bytes:
        raise _bad(path, f"tensor {name!r} spans {begin:,} to {end:,} of {data_bytes:,} bytes")
    if math.prod(shape) * _ITEM_BYTES[dtype] != end - begin:  # Python's integers cannot overflow
        raise _bad(path, f"tensor {name!r}: {dtype} of shape {shape} is not {end - begin:,} bytes")
    return begin, end


def _counts(value: Any) -> bool:
    """Whether `value` is a short list of integers that fit 63 bits."""
    return (
        isinstance(value, list)
        and len(value) <= 64
        and all(type(item) is int and 0 <= item < 2**63 for item in value)
    )


def _bad(path: Path, what: str) -> FileFormatError:
    return FileFormatError(
        f"{path.name!r} is not a sound safetensors file: {what}",
        where=str(path),
        why="a damaged or cut file would give wrong weights",
        fix="fetch or write the file again",
    )
