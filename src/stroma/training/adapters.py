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
from stroma.core.errors import ArgumentError, ArgumentTypeError, DataError, ShapeError
from stroma.core.seeds import mix_array


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
        self.arrays = tree_map(_tensor, (x, y, weight))
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
            raise DataError("there are no samples: x is empty", where="fit(x, ...)")

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

    def __len__(self) -> int:
        if self.steps is not None:
            return self.steps
        try:
            return len(self.source)  # type: ignore[arg-type]  # a TypeError is handled
        except TypeError:
            return 0  # unknown: it ends when it ends

    def name_of(self, index: int) -> str:
        return f"sample {index}"

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        items = self._once if self._once is not None else iter(self.source)
        for item in itertools.islice(items, first, self.steps):
            yield _batch_of(item)

    def peek(self) -> Batch | None:
        """The first batch; an iterator still gives it afterwards."""
        items = self._once if self._once is not None else iter(self.source)
        item = next(items, None)
        if self._once is not None and item is not None:
            self._once = itertools.chain([item], self._once)
        return None if item is None else _batch_of(item)


def _batch_of(item: Any) -> Batch:
    x, y, weight = tree_map(_tensor, unpack(item))
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
        size = max(class_weight) + 1
        self.table = torch.ones(size)
        for label, weight in class_weight.items():
            self.table[int(label)] = float(weight)

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
    batches = _adapt(x, y, sample_weight, batch_size or 32, shuffle, seed, steps)
    if steps is not None and not isinstance(batches, IterableBatches):
        batches = _Limited(batches, steps)
    return batches if class_weight is None else ClassWeighted(batches, class_weight)


def _adapt(
    x: Any, y: Any, weight: Any, batch_size: int, shuffle: bool, seed: int, steps: int | None
) -> Batches:
    if _is_arrays(x):
        return ArrayBatches(x, y, weight, batch_size=batch_size, shuffle=shuffle, seed=seed)
    if y is not None or weight is not None:
        raise ArgumentError(
            f"y and sample_weight come with the data when x is a {type(x).__name__}",
            where="fit(x, y)",
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
            x, y, weight = tree_map(_tensor, unpack(item))
            yield Batch(x=x, y=y, weight=weight, size=rows.size, indices=rows.indices)


class _Limited:
    """The first `steps` batches of each epoch; goes round when the data has fewer."""

    def __init__(self, batches: Batches, steps: int) -> None:
        self.batches, self.steps = batches, steps
        self.samples: int | None = None

    def __len__(self) -> int:
        return self.steps

    def name_of(self, index: int) -> str:
        return self.batches.name_of(index)

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        per_round = max(len(self.batches), 1)
        rounds = -(-self.steps // per_round)
        endless = itertools.chain.from_iterable(
            self.batches.epoch(epoch * rounds + turn) for turn in range(rounds)
        )
        yield from itertools.islice(endless, first, self.steps)


def split_arrays(x: Any, y: Any, weight: Any, fraction: float) -> tuple[Any, Any]:
    """((x, y, w) to train on, (x, y, w) to validate on): the *last* rows, before any shuffling.

    Raises: ArgumentError: not arrays, a fraction outside (0, 1), or a part left empty.
    """
    if not _is_arrays(x):
        raise ArgumentError(
            f"validation_split needs arrays, not {type(x).__name__}",
            where="fit(validation_split=...)",
            fix="give validation_data=...",
        )
    count = len(tree_flatten(x)[0][0])
    at = int(np.floor(count * (1 - fraction)))
    if not 0 < fraction < 1 or at in (0, count):
        raise ArgumentError(
            f"validation_split={fraction} of {count} samples leaves a part empty",
            where="fit(validation_split=...)",
            fix="give a fraction between 0 and 1 that leaves samples on both sides",
        )
    whole = (x, y, weight)
    return (
        tree_map(lambda leaf: leaf if leaf is None else leaf[:at], whole),
        tree_map(lambda leaf: leaf if leaf is None else leaf[at:], whole),
    )


def _is_arrays(x: Any) -> bool:
    leaves = tree_flatten(x)[0] if isinstance(x, (list, tuple, dict)) else [x]
    return bool(leaves) and all(
        isinstance(leaf, (np.ndarray, Tensor, int, float)) or _is_frame(leaf) for leaf in leaves
    )


def _is_frame(leaf: Any) -> bool:
    return hasattr(leaf, "to_numpy") and hasattr(leaf, "iloc")  # a pandas frame or series


def _tensor(leaf: Any) -> Any:
    if _is_frame(leaf):
        leaf = leaf.to_numpy()
    if isinstance(leaf, np.ndarray):
        if not leaf.flags.writeable:  # torch warns about memory that it may not write
            leaf = leaf.copy()
        return torch.from_numpy(np.ascontiguousarray(leaf))
    return leaf


def _slice(leaf: Any, start: int, stop: int) -> Any:
    return leaf[start:stop] if isinstance(leaf, Tensor) else leaf


def _gather(leaf: Any, chosen: Tensor) -> Any:
    return leaf.index_select(0, chosen.to(leaf.device)) if isinstance(leaf, Tensor) else leaf
