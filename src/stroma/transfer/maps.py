"""Maps at an inner layer, one for each picture: computed once, kept on disk, read by the batch.

They are what training is given when the layers below are frozen. They lie under the hash of all
they depend on, the pixels included, so another run with the same lower layers finds them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from stroma.core.errors import GraphError, ShapeError
from stroma.core.layer import Layer
from stroma.core.tracking import Container
from stroma.data import Part
from stroma.data.cache import cache_key, cache_root
from stroma.models import Model
from stroma.network.network import Network
from stroma.training.fitting import device_of

MOST_BYTES = 1 << 33  # of maps on disk, of all runs together; the oldest make room
MOST_MEMORY = 1 << 31  # of maps that are kept in memory where the disk has no room
_SPARE = 1 << 30  # bytes of disk that are never taken
_AT_ONCE = 64  # pictures
_PROBES = 8  # pictures that are computed again where code is involved that no hash sees
_FILE = "maps.npy"


def boundary_maps(below: Model, part: Part, *, cache: bool = True) -> np.ndarray:
    """What `below` makes of each picture, in the part's order, in float32.

    With `cache` it is a file that is mapped: no more of it is in memory than is looked at.

    Args:
        below: Pictures (B, H, W, C) -> what is kept of each; it infers.
        part: The pictures.
        cache: Whether to look on disk first, and to leave the maps there.
    Shape: -> (N, h, w, D), or what `below` gives
    Raises: ShapeError: `below` does not say the size of its maps.
    """
    shape = (len(part), *known_size(below))
    if not cache or not len(part):
        return _in_memory(below, part, shape)
    final = cache_root() / "maps" / _key(below, part)
    if (kept := _opened(final, shape, below, part)) is not None:
        os.utime(final)  # the least recently used make room
        return kept
    if not _has_room(4 * int(np.prod(shape))):
        return _in_memory(below, part, shape)
    try:
        _write(final, below, part, shape)
    except OSError:  # no room, no permission: in memory, then
        return _in_memory(below, part, shape)
    kept = _opened(final, shape, below, part)
    return _in_memory(below, part, shape) if kept is None else kept


def maps_fit(below: Model, pictures: int) -> bool:
    """Whether the maps of so many pictures find room, on disk or in memory."""
    need = 4 * pictures * int(np.prod(known_size(below)))
    return need <= MOST_MEMORY or _has_room(need)


def known_size(below: Model) -> list[int]:
    """The size of one map. Raises: ShapeError: it is open."""
    shape = below.output_shape[1:]
    if None not in shape:
        return [int(size) for size in shape]
    raise ShapeError(
        f"the map has no fixed size: {tuple(shape)}",
        where=f"the output of {below.name!r}",
        why="maps are kept as one array",
        fix="build the base with input_shape=(height, width, channels), or cache=False",
    )


def _has_room(need: int) -> bool:
    folder = cache_root() / "maps"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return need <= MOST_BYTES and shutil.disk_usage(folder).free - _SPARE > need
    except OSError:
        return False


@torch.no_grad()
def _rows(below: Model, part: Part) -> Iterator[np.ndarray]:
    device = device_of(below)
    for batch in part.batches(_AT_ONCE, shuffle=False).epoch(0):
        yield below(batch.x.to(device).float(), training=False).float().cpu().numpy()


def _in_memory(below: Model, part: Part, shape: tuple[int, ...]) -> np.ndarray:
    found, done = np.empty(shape, np.float32), 0
    for rows in _rows(below, part):
        found[done : done + len(rows)] = rows
        done += len(rows)
    return found


def _write(final: Path, below: Model, part: Part, shape: tuple[int, ...]) -> None:
    """Written row by row beside its place and renamed when whole.

    A full disk makes a write fail, where a mapped page would kill the process.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"{final.name}.tmp-", dir=final.parent))
    try:
        with (folder / _FILE).open("wb") as file:
            _write_rows(file, below, part, shape)
        shutil.rmtree(final, ignore_errors=True)  # damaged, or it would have been taken
        try:
            os.replace(folder, final)
        except OSError:  # another process was first, and its maps are as good
            if not final.is_dir():
                raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _make_room(final)


def _write_rows(file: BinaryIO, below: Model, part: Part, shape: tuple[int, ...]) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    for rows in _rows(below, part):
        file.write(np.ascontiguousarray(rows, "<f4").data)


def _make_room(final: Path) -> None:
    """Remove the maps that were used least recently, and what killed processes left."""
    folders = sorted(final.parent.iterdir(), key=lambda folder: folder.stat().st_mtime)
    sizes = {folder: sum(f.stat().st_size for f in folder.iterdir()) for folder in folders}
    total = sum(sizes.values())
    for folder in folders:
        if total > MOST_BYTES and folder != final:
            total -= sizes[folder]
            shutil.rmtree(folder, ignore_errors=True)


def _opened(final: Path, shape: tuple[int, ...], below: Model, part: Part) -> np.ndarray | None:
    """What was kept, when it is whole and still what `below` gives."""
    try:
        # "c": torch takes it without a warning, and what is changed never reaches the file
        kept: np.ndarray = np.load(final / _FILE, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None  # none there, or damaged: as good as none
    if kept.shape != shape or kept.dtype != np.float32:
        return None
    if _settings(below) is None:
        probe = next(_rows(below, part.take(slice(_PROBES))))
        slack = 1e-3 * max(float(np.abs(probe).max()), 1e-6)
        if not np.allclose(kept[: len(probe)], probe, rtol=0, atol=slack):
            shutil.rmtree(final, ignore_errors=True)
            return None
    return kept


def _key(below: Model, part: Part) -> str:
    content = hashlib.sha256()
    for name, tensor in below.state_dict().items():
        values = tensor.detach().cpu().contiguous()
        content.update(f"{name} {values.dtype} {tuple(values.shape)}\n".encode())
        content.update(values.reshape(-1).view(torch.uint8).numpy())
    for batch in part.batches(256, shuffle=False).epoch(0):
        content.update(batch.x.numpy())
    facts = (str(below.graph), part.shape, len(part), device_of(below).type, torch.__version__)
    return cache_key(content.hexdigest(), *facts, str(_settings(below)))


def _settings(below: Model) -> list[Any] | None:
    """The settings of all layers; None where code takes part that is not stroma's."""
    parts = [part for part in below.modules() if not isinstance(part, Container)]
    if not all(type(part).__module__.startswith("stroma.") for part in parts):
        return None
    layers = [part for part in parts if isinstance(part, Layer) and not isinstance(part, Network)]
    try:
        return [(type(layer).__name__, layer.get_config()) for layer in layers]
    except GraphError:  # a wrapped module has none
        return None
