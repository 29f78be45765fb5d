"""One pass over the pictures: hash, decode, look, keep. Audit and cache are made together."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import PurePosixPath

import numpy as np

from stroma.core.errors import DataError
from stroma.data.cache import Writer
from stroma.data.decode import Decoded, DecodeError, Decoder, Note, quiet_pillow
from stroma.data.records import Found, printable

Progress = Callable[[int, int], None]
Reasons = dict[int, tuple[str, str]]  # row -> (kind of the audit, one line)

FACTS = np.dtype(
    [
        ("height", "<i4"), ("width", "<i4"),  # upright, as in the file; 0 where not decoded
        ("notes", "<u4"),
        ("hash", "<u8"),  # perceptual
        ("bytes", "V16"), ("pixels", "V16"),  # SHA-256, its first half
    ]
)  # fmt: skip
_EXTENSIONS = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"}, "PNG": {".png", ".apng"},
    "GIF": {".gif"}, "BMP": {".bmp", ".dib"}, "DIB": {".bmp", ".dib"}, "WEBP": {".webp"},
    "TIFF": {".tif", ".tiff"}, "AVIF": {".avif", ".heif", ".hif"},
    "HEIF": {".heic", ".heif", ".hif"},
}  # fmt: skip


def scan(
    found: Found, decoder: Decoder, writer: Writer, progress: Progress | None = None
) -> tuple[np.ndarray, Reasons]:
    """Decode every sample once, into `writer`; returns the facts and the reasons of failures."""
    count = len(found.samples)
    facts, reasons = np.zeros(count, FACTS), Reasons()

    def work(rows: range) -> int:
        block = np.zeros((len(rows), *decoder.size, 3), np.uint8)
        for row, pixels in zip(rows, block):
            try:
                facts[row] = _look(found, row, decoder, pixels)
            except DecodeError as error:
                reasons[row] = (error.kind, error.what)
            except DataError as error:
                reasons[row] = ("unreadable", error.what)
            except OSError as error:
                reasons[row] = ("unreadable", error.strerror or str(error))
        writer.put(rows.start, block)  # by the chunk: small pictures are not worth a call each
        return len(rows)

    done = 0
    with quiet_pillow():
        for finished in run_chunks(work, count):
            done += finished
            if progress is not None:
                progress(done, count)
    return facts, reasons


def run_chunks(work: Callable[[range], int], count: int, chunk: int = 32) -> Iterator[int]:
    """`work(range)` over 0..count in threads, few chunks in flight; yields what each returns.

    Decoding, hashing and file access release Python's lock, so threads are enough.
    """
    chunks = (range(at, min(at + chunk, count)) for at in range(0, count, chunk))
    pool = ThreadPoolExecutor(max_workers=worker_count(), thread_name_prefix="stroma-decode")
    pending: set[Future[int]] = set()
    try:
        for rows in chunks:
            pending.add(pool.submit(work, rows))
            if len(pending) >= 4 * worker_count():
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        for future in pending:
            yield future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def worker_count() -> int:
    """Threads that decode: two per core that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return 2 * min(cores or 1, 16)


def _look(found: Found, row: int, decoder: Decoder, out: np.ndarray) -> tuple[object, ...]:
    data = found.read(row)
    decoded = decoder(data)
    out[:] = decoded.pixels
    notes = decoded.notes | _extension_note(found.samples[row].name, decoded)
    return (
        *decoded.original,
        int(notes),
        perceptual_hash(out),
        hashlib.sha256(data).digest()[:16],
        hashlib.sha256(out.data.cast("B")).digest()[:16],
    )


def _extension_note(name: str, decoded: Decoded) -> Note:
    suffix = PurePosixPath(name).suffix.lower()
    expected = _EXTENSIONS.get(decoded.format)
    wrong = expected is not None and suffix != "" and suffix not in expected
    return Note.WRONG_EXTENSION if wrong else Note(0)


def perceptual_hash(pixels: np.ndarray) -> int:
    """64 bits of (H, W, C) pixels: is a cell of the 8 x 9 grid brighter than its right neighbour?

    The green channel stands for brightness, sampled at up to 8 pixels a cell and side. Survives
    scaling, recompression and a change of brightness; not a flip, a turn or another cut.
    Reference: Krawetz 2013, "Kind of like that" (difference hash).
    """
    height, width = pixels.shape[:2]
    green = pixels[:: max(1, height // 64), :: max(1, width // 72), min(1, pixels.shape[2] - 1)]
    cells = _cell_means(_cell_means(green, 8, 0), 9, 1)
    bits = np.packbits(cells[:, :-1] > cells[:, 1:])
    return int.from_bytes(bits.tobytes(), "big")


def _cell_means(values: np.ndarray, cells: int, axis: int) -> np.ndarray:
    length = values.shape[axis]
    if length < cells:  # smaller than the grid: nearest neighbours
        nearest: np.ndarray = values.take(np.arange(cells) * length // cells, axis=axis)
        return nearest
    edges = np.arange(cells + 1) * length // cells
    sums = np.add.reduceat(values, edges[:-1], axis=axis, dtype=np.float32)
    widths = np.diff(edges).astype(np.float32)
    means: np.ndarray = sums / (widths[:, None] if axis == 0 else widths)
    return means


class StreamStore:
    """Decodes pictures when they are asked for: what is left where a cache has no room."""

    def __init__(self, found: Found, decoder: Decoder, facts: np.ndarray) -> None:
        self.found, self.decoder, self.facts = found, decoder, facts
        self.shape = (*decoder.size, 3)

    def gather(self, rows: np.ndarray, out: np.ndarray) -> None:
        order = np.argsort(rows)  # neighbours share a row group of a Parquet file

        def work(positions: range) -> int:
            for at in order[positions.start : positions.stop]:
                out[at] = self._decode(int(rows[at]))
            return len(positions)

        with quiet_pillow():
            for _ in run_chunks(work, len(rows), chunk=8):
                pass

    def _decode(self, row: int) -> np.ndarray:
        try:
            data = self.found.read(row)
            if hashlib.sha256(data).digest()[:16] == self.facts["bytes"][row].tobytes():
                return self.decoder(data).pixels
            what = "has changed since it was looked at"
        except OSError as error:
            what = f"can no longer be read ({error.strerror or error})"
        name = printable(self.found.samples[row].name)
        raise DataError(
            f"{name} {what}",
            where=self.found.root,
            why="the audit and the split no longer describe it",
            fix="run again, so that the data is looked at afresh",
        )
