"""Where decoded pictures lie: a memory-mapped file, memory, or nowhere (decoded per batch).

The file is an optimisation and nothing else: it is keyed by the facts of the files and the
transform, written beside its place and renamed when whole, and left out where there is no room.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from stroma.core.checks import check_choice

CacheMode = Literal["auto", "disk", "memory", "none"]
_FORMAT = 1  # raise it when the files change their meaning
_SPARE = 1 << 30  # bytes of disk that a cache never takes
_MEMORY_SHARE = 0.25  # of the free memory that pictures may take


class Store(Protocol):
    """Rows of decoded pictures of one `shape` (H, W, C); `gather(rows, out)` copies some."""

    shape: tuple[int, int, int]

    def gather(self, rows: np.ndarray, out: np.ndarray) -> None: ...


class ArrayStore:
    """Pictures in one array (N, H, W, C), in memory or mapped from a file."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels
        self.shape: tuple[int, int, int] = pixels.shape[1:]

    def gather(self, rows: np.ndarray, out: np.ndarray) -> None:
        # mode="clip" (the rows are in range): "raise" would gather into a buffer and copy that
        np.take(self.pixels, rows, axis=0, out=out, mode="clip")


class Writer(Protocol):
    """Takes decoded rows, from threads, then becomes a store."""

    def put(self, first: int, rows: np.ndarray) -> None: ...
    def finish(self, facts: np.ndarray, reasons: dict[int, tuple[str, str]]) -> Store | None: ...
    def abandon(self) -> None: ...


class NoWriter:
    """Keeps nothing: the caller will decode per batch."""

    def put(self, first: int, rows: np.ndarray) -> None:
        pass

    def finish(self, facts: np.ndarray, reasons: dict[int, tuple[str, str]]) -> Store | None:
        return None

    def abandon(self) -> None:
        pass


class MemoryWriter(NoWriter):
    """Keeps the pictures in memory."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.pixels = np.zeros(shape, np.uint8)

    def put(self, first: int, rows: np.ndarray) -> None:
        self.pixels[first : first + len(rows)] = rows

    def finish(self, facts: np.ndarray, reasons: dict[int, tuple[str, str]]) -> Store | None:
        return ArrayStore(self.pixels)


class DiskWriter:
    """Writes `pixels.u8` in a folder beside its final place, and renames the folder when whole.

    Rows are written, not assigned through a memory map: on a full disk a write raises, where a
    mapped page kills the process.
    """

    def __init__(self, final: Path, shape: tuple[int, ...]) -> None:
        self.final, self.shape = final, shape
        self.folder = Path(tempfile.mkdtemp(prefix=f"{final.name}.tmp-", dir=final.parent))
        # "xb+" and unbuffered: rows go straight to the file, in any order
        self.file = open(self.folder / "pixels.u8", "xb+", buffering=0)  # noqa: SIM115  # kept open
        self.row_bytes = int(np.prod(shape[1:]))
        self.lock = threading.Lock()
        self.full = False

    def put(self, first: int, rows: np.ndarray) -> None:
        if self.full:
            return
        view = rows.data.cast("B")
        try:
            if hasattr(os, "pwrite"):
                written = os.pwrite(self.file.fileno(), view, first * self.row_bytes)
            else:
                with self.lock:
                    self.file.seek(first * self.row_bytes)
                    written = self.file.write(view)
            self.full = written != len(view)
        except OSError:  # no room after all: the scan goes on, the pictures are decoded per batch
            self.full = True

    def finish(self, facts: np.ndarray, reasons: dict[int, tuple[str, str]]) -> Store | None:
        try:
            if self.full:
                raise OSError("the disk is full")
            self.file.truncate(self.shape[0] * self.row_bytes)  # a skipped last row leaves no hole
            os.fsync(self.file.fileno())
            self.file.close()
            np.save(self.folder / "facts.npy", facts, allow_pickle=False)
            header = {"format": _FORMAT, "shape": self.shape, "reasons": reasons}
            marker = self.folder / "stroma-cache.json"  # also tells that this is never data
            marker.write_text(json.dumps(header), encoding="utf-8")
            os.replace(self.folder, self.final)
        except OSError:  # no room, or another process was first and its folder is as good
            self.abandon()
        return open_cache(self.final)[0] if self.final.is_dir() else None

    def abandon(self) -> None:
        self.file.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def cache_root() -> Path:
    """`$STROMA_CACHE`, else the user's cache folder."""
    if chosen := os.environ.get("STROMA_CACHE"):
        return Path(chosen)
    if sys.platform == "win32" and (local := os.environ.get("LOCALAPPDATA")):
        return Path(local) / "stroma" / "cache"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "stroma"


def cache_key(*facts: Any) -> str:
    """A name for the cache of these facts."""
    text = json.dumps([_FORMAT, *facts], ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def open_cache(final: Path) -> tuple[Store, np.ndarray, dict[int, tuple[str, str]]]:
    """(store, facts, reasons) of a finished cache. Raises OSError or ValueError when damaged."""
    header = json.loads((final / "stroma-cache.json").read_text(encoding="utf-8"))
    facts = np.load(final / "facts.npy", allow_pickle=False)
    shape = tuple(header["shape"])
    size = (final / "pixels.u8").stat().st_size
    if header["format"] != _FORMAT or size != int(np.prod(shape)) or len(facts) != shape[0]:
        raise ValueError(f"the cache {final} is not whole")
    pixels = np.memmap(final / "pixels.u8", np.uint8, mode="r", shape=shape)
    reasons = {int(row): (kind, why) for row, (kind, why) in header["reasons"].items()}
    return ArrayStore(pixels), facts, reasons


def open_writer(mode: CacheMode | Path, key: str, shape: tuple[int, ...]) -> Writer:
    """Disk where there is room, else memory where there is room, else nothing.

    Args:
        mode: "auto"; or "disk", "memory", "none" to allow only that; or a folder for the files.
        key: From `cache_key`.
        shape: (N, H, W, C).
    """
    if isinstance(mode, str):
        check_choice("cache", mode, ("auto", "disk", "memory", "none"), owner="images")
    need = int(np.prod(shape))
    if mode == "memory" or (mode == "auto" and need < 1 << 24):
        return MemoryWriter(shape)  # 16 MB: not worth a file
    if mode in ("auto", "disk") or isinstance(mode, Path):
        try:
            folder = cache_folder(mode)
            folder.mkdir(parents=True, exist_ok=True)
            _sweep(folder)
            if shutil.disk_usage(folder).free - _SPARE > need:
                return DiskWriter(folder / key, shape)
        except OSError:  # no permission, read-only disk: as good as no room
            pass
    if mode == "auto" and need < _MEMORY_SHARE * _free_memory():
        return MemoryWriter(shape)
    return NoWriter()


def cache_folder(mode: CacheMode | Path) -> Path:
    """The folder that holds the caches."""
    return mode if isinstance(mode, Path) else cache_root() / "pictures"


def load_or(
    mode: CacheMode | Path,
    key: str,
    shape: tuple[int, ...],
    fill: Callable[[Writer], tuple[np.ndarray, dict[int, tuple[str, str]]]],
) -> tuple[Store | None, np.ndarray, dict[int, tuple[str, str]]]:
    """The cache of `key`; where there is none, `fill(writer)` makes it and returns its facts."""
    final = cache_folder(mode) / key
    if mode not in ("memory", "none") and final.is_dir():
        try:
            return open_cache(final)
        except (OSError, ValueError, KeyError):
            shutil.rmtree(final, ignore_errors=True)  # ours, and of no use
    writer = open_writer(mode, key, shape)
    try:
        facts, reasons = fill(writer)
    except BaseException:
        writer.abandon()
        raise
    return writer.finish(facts, reasons), facts, reasons


def _sweep(folder: Path) -> None:
    """Remove what killed processes left behind: our own half-written folders, a day old."""
    for leftover in folder.glob("*.tmp-*"):
        if time.time() - leftover.stat().st_mtime > 86_400:
            shutil.rmtree(leftover, ignore_errors=True)


def _free_memory() -> int:
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows
        return 2 << 30
