"""Anything a user trains on, as `Batches`: arrays, datasets, loaders, generators, parts."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map
from torch.utils.data import DataLoader, Dataset, IterableDataset, default_collate

from stroma.core.batches import Batch, Batches
from stroma.core.checks import check_int, check_number, check_positive_int
from stroma.core.errors import ArgumentError, ArgumentTypeError, DataError, ShapeError
from stroma.core.seeds import mix_array
from stroma.training.arrays import as_tensors, is_arrays, lists_as_arrays


class ArrayBatches:
    """Batches of arrays that lie in memory: one gather per array and batch.

    The order of epoch e is a function of (seed, e) alone; the last batch may be smaller.

    Args:
        x, y, weight: Arrays or tensors, or lists and dicts of them, (N, ...); None where missing.
        batch_size: Samples a batch.
        shuffle: Whether each epoch has its own order.
        seed: Of the order.
    """

    def __init__(
        self, x: Any, y: Any, weight: Any, *, batch_size: int, shuffle: bool = False, seed: int = 0
    ) -> None:
        self.arrays = as_tensors([x, y, weight])
        self.batch_size, self.shuffle, self.seed = batch_size, shuffle, seed
        sizes = {leaf.shape[0] for leaf in tree_flatten(self.arrays)[0] if isinstance(leaf, Tensor)}
        if len(sizes) != 1:
            raise ShapeError(
                f"x, y and sample_weight must have the same number of samples, got {sorted(sizes)}",
                where="fit(x, y, sample_weight)",
                why="sample i of x belongs to target i of y",
                fix="check x.shape[0] == y.shape[0]",
            )
        self.samples: int | None = sizes.pop()
        if self.samples == 0:
            raise DataError(
                "there are no samples: x is empty",
                where="x",
                why="there is nothing to compute",
                fix="look at x.shape: the first axis counts the samples",
            )

    def __len__(self) -> int:
        return -(-(self.samples or 0) // self.batch_size)

    def name_of(self, index: int) -> str:
        return f"sample {index}"

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        count = self.samples or 0
        order = None
        if self.shuffle:
            keys = mix_array(self.seed, epoch, np.arange(count))
            order = torch.from_numpy(np.argsort(keys, kind="stable"))
        for number in range(first, len(self)):
            start, stop = number * self.batch_size, min((number + 1) * self.batch_size, count)
            if order is None:
                x, y, weight = tree_map(partial(_slice, start=start, stop=stop), self.arrays)
                indices = np.arange(start, stop)
            else:
                chosen = order[start:stop]
                x, y, weight = tree_map(partial(_gather, chosen=chosen), self.arrays)
                indices = chosen.numpy()
            yield Batch(x=x, y=y, weight=weight, size=stop - start, indices=indices)


class IterableBatches:
    """Batches of anything that can be iterated anew each epoch, or that goes on for ever.

    Args:
        source: A loader (iterated once an epoch) or an iterator (taken `steps` at a time).
        steps: Batches an epoch; needed for an iterator that does not end.
    """

    def __init__(self, source: Iterable[Any], steps: int | None = None) -> None:
        self.source, self.steps = source, steps
        self.samples: int | None = None
        self._once = iter(source) if isinstance(source, Iterator) else None

    @property
    def runs_once(self) -> bool:
        """Whether it is an iterator, which cannot begin anew."""
        return self._once is not None

    def __len__(self) -> int:
        if self.steps is not None and self.runs_once:
            return self.steps
        try:
            return len(self.source)  # type: ignore[arg-type]  # a TypeError is handled
        except TypeError:
            return 0  # unknown: it ends when it ends

    def name_of(self, index: int) -> str:
        return f"sample {index}"

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        items = self._once if self._once is not None else iter(self.source)
        steps = self.steps if self.runs_once else None
        for item in itertools.islice(items, first, steps):
            yield _batch_of(item)

    def peek(self) -> Batch | None:
        """The first batch; an iterator still gives it afterwards."""
        items = self._once if self._once is not None else iter(self.source)
        item = next(items, None)
        if self._once is not None and item is not None:
            self._once = itertools.chain([item], self._once)
        return None if item is None else _batch_of(item)


def _batch_of(item: Any) -> Batch:
    x, y, weight = as_tensors(list(unpack(item)))
    leaves = [leaf for leaf in tree_flatten(x)[0] if isinstance(leaf, Tensor)]
    return Batch(x=x, y=y, weight=weight, size=len(leaves[0]) if leaves else 0)


class _Indexed:
    """A Keras-style sequence (`len`, `[i]` gives batch i), iterated once an epoch."""

    def __init__(self, sequence: Any) -> None:
        self.sequence = sequence

    def __len__(self) -> int:
        return len(self.sequence)

    def __iter__(self) -> Iterator[Any]:
        yield from (self.sequence[i] for i in range(len(self.sequence)))


class ClassWeighted:
    """Batches whose sample weights are looked up by the label.

    Args:
        batches: Where the samples come from.
        class_weight: Class index to weight; a class that is not named has 1.
    """

    def __init__(self, batches: Batches, class_weight: Mapping[int, float]) -> None:
        self.batches, self.samples = batches, batches.samples
        if not isinstance(class_weight, Mapping) or not class_weight:
            raise ArgumentTypeError(
                f"class_weight must be a dict, got {class_weight!r}",
                where="fit(class_weight=...)",
                why="it gives each class number its weight",
                fix="class_weight={0: 1.0, 1: 2.5}; balanced ones: "
                "dict(enumerate(len(y) / (classes * np.bincount(y))))",
            )
        weights = {
            check_int("a class in class_weight", label, owner="fit", minimum=0): check_number(
                "a weight in class_weight", weight, owner="fit"
            )
            for label, weight in class_weight.items()
        }
        self.table = torch.ones(max(weights) + 1)
        for label, weight in weights.items():
            self.table[label] = weight

    def __len__(self) -> int:
        return len(self.batches)

    def name_of(self, index: int) -> str:
        return self.batches.name_of(index)

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        return map(self._weighted, self.batches.epoch(epoch, first))

    def peek(self) -> Batch | None:
        first = peek(self.batches)
        return None if first is None else self._weighted(first)

    def _weighted(self, batch: Batch) -> Batch:
        if batch.weight is not None:
            raise ArgumentError(
                "class_weight and sample_weight cannot both be given",
                where="fit(class_weight=..., sample_weight=...)",
                why="it is not clear which of them decides",
                fix="multiply them yourself and give sample_weight",
            )
        labels = batch.y.argmax(-1) if batch.y.dim() > 1 and batch.y.shape[-1] > 1 else batch.y
        labels = labels.reshape(-1).long()
        known = labels < len(self.table)
        weight = torch.where(known, self.table[labels.clamp(max=len(self.table) - 1)], 1.0)
        return replace(batch, weight=weight)


def peek(batches: Batches) -> Batch | None:
    """The first batch of the first epoch, without taking it away; None when there is none."""
    if isinstance(batches, (IterableBatches, ClassWeighted)):
        return batches.peek()
    return next(iter(batches.epoch(0)), None)


def unpack(item: Any) -> tuple[Any, Any, Any]:
    """(x, y, weight) of one item of a data set: x alone, (x,), (x, y) or (x, y, weight).

    Raises: DataError: a tuple of another length.
    """
    if not isinstance(item, (tuple, list)) or (isinstance(item, list) and len(item) > 3):
        return item, None, None
    if 1 <= len(item) <= 3:
        x, y, weight = (*item, None, None)[:3]
        return x, y, weight
    raise DataError(
        f"a batch must be x, (x, y) or (x, y, sample_weight), got a tuple of {len(item)}",
        where="the data given to fit",
        why="the place in the tuple says what is the input, the target and the weight",
        fix="several inputs go into one list: ([a, b], y)",
    )


def as_batches(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int | None = None,
    shuffle: bool = False,
    seed: int = 0,
    steps: int | None = None,
    class_weight: Mapping[int, float] | None = None,
) -> Batches:
    """Whatever a user gives, as batches in an order that can be repeated.

    Args:
        x: Arrays or tensors (nested too), a torch `Dataset` or `DataLoader`, a generator or other
            iterable of batches, a `stroma.data` part, or `Batches`.
        y, sample_weight: With arrays only; the others bring theirs.
        batch_size: 32 when None; loaders and generators have their own.
        shuffle, seed: Order of arrays, datasets and parts.
        steps: Batches an epoch, for what has no end.
        class_weight: Class index to weight.
    """
    size = 32 if batch_size is None else check_positive_int("batch_size", batch_size, owner="fit")
    if steps is not None:
        steps = check_positive_int("steps", steps, owner="fit")
    x, y, sample_weight = map(lists_as_arrays, (x, y, sample_weight))
    batches = _adapt(x, y, sample_weight, size, shuffle, seed, steps)
    if steps is not None and not (isinstance(batches, IterableBatches) and batches.runs_once):
        batches = _Limited(batches, steps)
    return batches if class_weight is None else ClassWeighted(batches, class_weight)


def _adapt(
    x: Any, y: Any, weight: Any, batch_size: int, shuffle: bool, seed: int, steps: int | None
) -> Batches:
    if is_arrays(x):
        return ArrayBatches(x, y, weight, batch_size=batch_size, shuffle=shuffle, seed=seed)
    if y is not None or weight is not None:
        raise ArgumentError(
            f"y and sample_weight come with the data when x is a {type(x).__name__}",
            where="fit(x, y)",
            why="its batches are (x, y) or (x, y, sample_weight) already",
            fix="leave y out: fit(loader)",
        )
    if hasattr(x, "epoch") and hasattr(x, "name_of"):
        return x  # type: ignore[no-any-return]  # it is Batches: the protocol was just checked
    if hasattr(x, "batches"):  # a part of stroma.data
        return x.batches(batch_size, seed=seed, shuffle=shuffle)  # type: ignore[no-any-return]
    if isinstance(x, IterableDataset):
        return IterableBatches(DataLoader(x, batch_size=batch_size), steps)
    if isinstance(x, Dataset):
        return _DatasetBatches(x, batch_size, shuffle, seed)
    if not isinstance(x, Iterable) and hasattr(x, "__getitem__") and hasattr(x, "__len__"):
        return IterableBatches(_Indexed(x), steps)
    if isinstance(x, Iterable):
        return IterableBatches(x, steps)
    raise ArgumentTypeError(
        f"cannot read data from {type(x).__name__}",
        where="fit(x, ...)",
        why="batches are taken by index or by iterating, and it allows neither",
        fix="give arrays, tensors, a torch Dataset or DataLoader, a generator of batches, or a "
        "part of stroma.data.images(...)",
    )


class _DatasetBatches:
    """A map-style torch dataset, in an order that can be repeated."""

    def __init__(self, dataset: Any, batch_size: int, shuffle: bool, seed: int) -> None:
        self.dataset = dataset
        self.rows = ArrayBatches(
            torch.arange(len(dataset)),
            None,
            None,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
        )
        self.samples: int | None = len(dataset)

    def __len__(self) -> int:
        return len(self.rows)

    def name_of(self, index: int) -> str:
        return f"sample {index}"

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        for rows in self.rows.epoch(epoch, first):
            item = default_collate([self.dataset[int(i)] for i in rows.x])
            x, y, weight = as_tensors(list(unpack(item)))
            yield Batch(x=x, y=y, weight=weight, size=rows.size, indices=rows.indices)


class _Limited:
    """`steps` batches an epoch: each goes on where the one before it ended, round after round.

    Step s of epoch e is batch e · steps + s of the endless rounds: a resumed run finds its place.
    """

    def __init__(self, batches: Batches, steps: int) -> None:
        self.batches, self.steps = batches, steps
        self.samples: int | None = None
        self._position = -1  # where the rounds that are under way stand
        self._running: Iterator[Batch] = iter(())

    def __len__(self) -> int:
        return self.steps

    def name_of(self, index: int) -> str:
        return self.batches.name_of(index)

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        position = epoch * self.steps + first
        if position != self._position:
            self._position, self._running = position, self._rounds(position)
        for batch in itertools.islice(self._running, self.steps - first):
            self._position += 1
            yield batch

    def _rounds(self, position: int) -> Iterator[Batch]:
        length = len(self.batches)
        turn, skip = divmod(position, length) if length else (0, position)
        while True:
            seen = skip
            for batch in self.batches.epoch(turn, skip):
                seen += 1
                yield batch
            if seen == 0:
                return
            turn, skip = turn + 1, 0


def _slice(leaf: Any, start: int, stop: int) -> Any:
    return leaf[start:stop] if isinstance(leaf, Tensor) else leaf


def _gather(leaf: Any, chosen: Tensor) -> Any:
    return leaf.index_select(0, chosen.to(leaf.device)) if isinstance(leaf, Tensor) else leaf
