"""One part of a data set: labels in memory, pictures read from the store by the batch."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from stroma.core.batches import Batch, Batches
from stroma.core.checks import check_positive_int
from stroma.core.errors import DataError
from stroma.core.seeds import mix_array
from stroma.data.cache import Store
from stroma.data.records import printable


class Reads:
    """Counts the readings of a part. With a limit, one more reading is an error."""

    def __init__(self, limit: int | None = None) -> None:
        self.count, self.limit = 0, limit

    def note(self, again: bool = False) -> None:
        """Count one reading; `again` allows one beyond the limit."""
        if self.limit is not None and self.count >= self.limit and not again:
            raise DataError(
                f"the test part has been read {self.count} time{'s' * (self.count > 1)} already",
                where="data.test",
                why="a choice made after a look at the test part makes its figure too good",
                fix="choose on data.validation; to look again all the same: "
                "data.open_test(again=True)",
            )
        self.count += 1


class Part:
    """Samples of one part, in the order of the source.

    Args:
        store: Where the pictures lie.
        rows: (N,) row of each sample in the store.
        labels: (N,) class indices, int64; where `targets` are given, the groups that a split
            spreads evenly.
        names: N names, relative to the source.
        units: (N,) samples of one unit (copies, groups) must not be parted by a further split.
        reads: Counts each call of `images` and each epoch of `batches`.
        targets: What is learnt where it is not one class: (N, K) of 0 and 1, or (N,) numbers.
    """

    def __init__(
        self,
        store: Store,
        rows: np.ndarray,
        labels: np.ndarray,
        names: Sequence[str],
        units: np.ndarray | None = None,
        reads: Reads | None = None,
        targets: np.ndarray | None = None,
    ) -> None:
        self._store, self.rows, self.shape = store, rows, store.shape
        self.strata = labels.astype(np.int64)
        self._targets = targets
        self.names = list(names)
        self.units = np.arange(len(rows)) if units is None else units
        self._reads = reads if reads is not None else Reads()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labels(self) -> np.ndarray:
        """(N,) class indices. Raises: DataError: the photos have several classes, or numbers."""
        if self._targets is None:
            return self.strata
        kind = "several classes each" if self._targets.ndim == 2 else "a number each"
        raise DataError(
            f"these photos have {kind}, not one class",
            where="part.labels",
            why="what asks for labels expects one class index a photo",
            fix="part.targets has what is to be learnt",
        )

    @property
    def targets(self) -> np.ndarray:
        """What is learnt: (N,) int64 class indices, (N, K) float32 of 0 and 1, (N,) numbers."""
        return self.strata if self._targets is None else self._targets

    @property
    def reads(self) -> int:
        """How often pictures of this part were asked for."""
        return self._reads.count

    def images(self, indices: Any = None) -> np.ndarray:
        """The pictures (all, or those at `indices`), uint8.

        Shape: -> (N, H, W, C)
        """
        self._reads.note()
        chosen = self.rows if indices is None else self.rows[indices]
        pixels = np.empty((len(chosen), *self.shape), np.uint8)
        self._store.gather(chosen, pixels)
        return pixels

    def take(self, indices: Any, reads: Reads | None = None) -> Part:
        """The part that holds only these samples; its readings count with this part's, or with
        `reads`."""
        at = np.arange(len(self))[indices]
        names = [self.names[i] for i in at.tolist()]
        reads = self._reads if reads is None else reads
        targets = None if self._targets is None else self._targets[at]
        return Part(
            self._store, self.rows[at], self.strata[at], names, self.units[at], reads, targets
        )

    def open(self, again: bool = False) -> Part:
        """Count one reading; the same samples, free to be read as often as that one needs."""
        self._reads.note(again)
        return self.take(slice(None), Reads())

    def batches(
        self, batch_size: int, *, seed: int = 0, shuffle: bool = True, drop_last: bool = False
    ) -> Batches:
        """Batches of x uint8 (B, H, W, C) and y, gathered one ahead by a thread.

        y is int64 (B,) where each photo has one class, else float32 (B, K) or (B, 1).

        The order is a function of (seed, epoch) alone. A last batch of one sample is joined to
        the batch before it, since BatchNorm cannot train on one.

        Args:
            batch_size: Samples a batch, 1 or more.
            seed: Of the order.
            shuffle: False keeps the order of the part.
            drop_last: Leave out a last batch that is not full.
        """
        size = check_positive_int("batch_size", batch_size, owner="batches")
        return PartBatches(self, size, seed, shuffle, drop_last)


def joined(parts: Sequence[Part]) -> Part:
    """All samples of parts that share a store."""
    return Part(
        parts[0]._store,
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.strata for part in parts]),
        [name for part in parts for name in part.names],
        np.concatenate([part.units for part in parts]),
        targets=None
        if parts[0]._targets is None
        else np.concatenate([part.targets for part in parts]),
    )


class PartBatches:
    """`Batches` over a part; see `Part.batches`."""

    def __init__(
        self, part: Part, batch_size: int, seed: int, shuffle: bool, drop_last: bool
    ) -> None:
        self.part, self.seed, self.shuffle = part, seed, shuffle
        self.bounds = batch_bounds(len(part), batch_size, drop_last)
        self.samples: int | None = self.bounds[-1][1] if self.bounds else 0

    def __len__(self) -> int:
        return len(self.bounds)

    def name_of(self, index: int) -> str:
        return printable(self.part.names[index])

    def order(self, epoch: int) -> np.ndarray:
        """(N,) positions in the order of this epoch."""
        positions = np.arange(len(self.part))
        if not self.shuffle:
            return positions
        return np.argsort(mix_array(self.seed, epoch, positions), kind="stable")

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        self.part._reads.note()
        order = self.order(epoch)
        return ahead(self._gather(order[start:stop]) for start, stop in self.bounds[first:])

    def _gather(self, indices: np.ndarray) -> Batch:
        # A fresh tensor each time: a caller may keep a batch while the next is being filled.
        x = torch.empty((len(indices), *self.part.shape), dtype=torch.uint8)
        self.part._store.gather(self.part.rows[indices], x.numpy())
        y = torch.from_numpy(self.part.targets[indices])
        if y.dtype == torch.float64:  # numbers: one output, and a loss that compares (B, 1)
            y = y.float()[:, None]
        return Batch(x=x, y=y, weight=None, size=len(indices), indices=indices)


def batch_bounds(count: int, batch_size: int, drop_last: bool = False) -> list[tuple[int, int]]:
    """[start, stop) of each batch.

    Example:
        >>> batch_bounds(9, 4), batch_bounds(9, 4, drop_last=True)
        ([(0, 4), (4, 9)], [(0, 4), (4, 8)])
    """
    starts = list(range(0, count, batch_size))
    stops = [min(start + batch_size, count) for start in starts]
    if starts and stops[-1] - starts[-1] < batch_size and drop_last:
        return list(zip(starts[:-1], stops[:-1]))
    if len(starts) > 1 and batch_size > 1 and stops[-1] - starts[-1] == 1:
        starts.pop()
        stops.pop(-2)
    return list(zip(starts, stops))


def ahead(batches: Iterator[Batch], depth: int = 2) -> Iterator[Batch]:
    """The same batches, up to `depth` of them made ahead by a thread.

    An error in the thread is raised where the batch would have come; leaving the loop early
    stops the thread.
    """
    ready: queue.Queue[Batch | BaseException | None] = queue.Queue(depth)
    stop = threading.Event()

    def put(item: Batch | BaseException | None) -> None:
        while not stop.is_set():
            try:
                return ready.put(item, timeout=0.1)
            except queue.Full:
                continue

    def fill() -> None:
        try:
            for batch in batches:
                put(batch)
                if stop.is_set():
                    return
            put(None)
        except BaseException as error:  # carried to the reader, whatever it is
            put(error)

    thread = threading.Thread(target=fill, name="stroma-prefetch", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()
