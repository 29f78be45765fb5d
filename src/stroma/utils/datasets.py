"""Elements one after the other, as the data pipelines of tutorials chain them."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from stroma.core.errors import ArgumentTypeError, DataError
from stroma.core.seeds import mix

_END = object()


class Dataset:
    """An iterable of elements that is made anew in each pass; each method gives another one.

    An element is a sample or a batch: a tensor, or a tuple (x, y). `fit` takes one whose elements
    are batches.

    Args:
        passing: Gives the elements of pass number 0, 1, 2, ...
        length: How many there are; None: not known.
        class_names: Names of the classes, in the order of their numbers.
        file_paths: Files of the samples, in their order.
    Example:
        >>> numbers = Dataset(lambda turn: iter(range(10)), 10)
        >>> [batch.tolist() for batch in numbers.map(lambda n: n * n).take(4).batch(3)]
        [[0, 1, 4], [9]]
    """

    def __init__(
        self,
        passing: Callable[[int], Iterator[Any]],
        length: int | None = None,
        *,
        class_names: list[str] | None = None,
        file_paths: list[str] | None = None,
    ) -> None:
        self._passing, self._length, self._passes = passing, length, 0
        self.class_names, self.file_paths = class_names, file_paths

    def __iter__(self) -> Iterator[Any]:
        turn, self._passes = self._passes, self._passes + 1
        return self._passing(turn)

    def __len__(self) -> int:
        if self._length is None:
            raise ArgumentTypeError(  # a TypeError, by which list() knows that it must not ask
                "how many elements there are is not known",
                where="len(dataset)",
                why="they were filtered, or taken out of batches",
                fix="count them: sum(1 for _ in dataset)",
            )
        return self._length

    def cardinality(self) -> int:
        """How many elements there are; -2 where it is not known, as in tf.data."""
        return -2 if self._length is None else self._length

    def _then(self, passing: Callable[[int], Iterator[Any]], length: int | None) -> Dataset:
        return Dataset(passing, length, class_names=self.class_names, file_paths=self.file_paths)

    def map(self, function: Callable[..., Any], num_parallel_calls: int | None = None) -> Dataset:
        """function(x, y) of each (x, y), function(x) of each x.

        Args:
            function: Of one element.
            num_parallel_calls: Accepted for tf.data's signature.
        """

        def passing(turn: int) -> Iterator[Any]:
            for item in self._passing(turn):
                yield function(*item) if isinstance(item, tuple) else function(item)

        return self._then(passing, self._length)

    def filter(self, predicate: Callable[..., Any]) -> Dataset:
        """The elements of which predicate holds."""

        def passing(turn: int) -> Iterator[Any]:
            for item in self._passing(turn):
                if predicate(*item) if isinstance(item, tuple) else predicate(item):
                    yield item

        return self._then(passing, None)

    def take(self, count: int) -> Dataset:
        """The first `count` elements; all for -1."""
        if count < 0:
            return self
        length = None if self._length is None else min(count, self._length)
        return self._then(lambda turn: itertools.islice(self._passing(turn), count), length)

    def skip(self, count: int) -> Dataset:
        """All elements but the first `count`."""
        length = None if self._length is None else max(self._length - count, 0)
        return self._then(lambda turn: itertools.islice(self._passing(turn), count, None), length)

    def repeat(self, count: int | None = None) -> Dataset:
        """`count` passes as one; without end for None."""

        def passing(turn: int) -> Iterator[Any]:
            for n in itertools.count() if count is None else range(count):
                yield from self._passing(turn * (count or 0) + n)

        known = count is not None and self._length is not None
        return self._then(passing, self._length * count if known else None)  # type: ignore[operator]  # both are numbers

    def enumerate(self) -> Dataset:
        """(number, element)."""
        return self._then(lambda turn: iter(enumerate(self._passing(turn))), self._length)

    def cache(self) -> Dataset:
        """The elements of the first whole pass, kept in memory for all others."""
        kept: list[Any] = []

        def passing(turn: int) -> Iterator[Any]:
            if kept:
                yield from kept
                return
            seen = []
            for item in self._passing(turn):
                seen.append(item)
                yield item
            kept[:] = seen

        return self._then(passing, self._length)

    def prefetch(self, buffer_size: int) -> Dataset:
        """Up to `buffer_size` elements made ahead, by a thread; -1 for two."""
        ahead = 2 if buffer_size < 0 else buffer_size

        def passing(turn: int) -> Iterator[Any]:
            items = self._passing(turn)
            with ThreadPoolExecutor(1) as pool:
                waiting = deque(pool.submit(next, items, _END) for _ in range(ahead + 1))
                while (item := waiting.popleft().result()) is not _END:
                    waiting.append(pool.submit(next, items, _END))
                    yield item

        return self._then(passing, self._length)

    def shuffle(
        self,
        buffer_size: int,
        seed: int | None = None,
        reshuffle_each_iteration: bool = True,
    ) -> Dataset:
        """Elements drawn from a buffer that is filled up again: the same for the same seed.

        Args:
            buffer_size: Elements in the buffer; all of them for a perfect shuffle.
            seed: Of the order; drawn once for None.
            reshuffle_each_iteration: Whether each pass has an order of its own.
        """
        start = int(np.random.randint(1 << 31)) if seed is None else seed

        def passing(turn: int) -> Iterator[Any]:
            draw = np.random.default_rng(mix(start, turn if reshuffle_each_iteration else 0))
            buffer: list[Any] = []
            for item in self._passing(turn):
                buffer.append(item)
                if len(buffer) >= buffer_size:
                    yield buffer.pop(int(draw.integers(len(buffer))))
            draw.shuffle(buffer)
            yield from buffer

        return self._then(passing, self._length)

    def batch(
        self, batch_size: int, drop_remainder: bool = False, num_parallel_calls: int | None = None
    ) -> Dataset:
        """`batch_size` elements stacked to one; the last may be smaller.

        Args:
            batch_size: 1 or more.
            drop_remainder: Leave a smaller last batch out.
            num_parallel_calls: Accepted for tf.data's signature.
        """

        def passing(turn: int) -> Iterator[Any]:
            items = self._passing(turn)
            while rows := list(itertools.islice(items, batch_size)):
                if len(rows) == batch_size or not drop_remainder:
                    yield stacked(rows)

        whole = None if self._length is None else self._length // batch_size
        partial = 0 if drop_remainder or self._length is None else self._length % batch_size > 0
        return self._then(passing, None if whole is None else whole + int(partial))

    def unbatch(self) -> Dataset:
        """The rows of each batch."""

        def passing(turn: int) -> Iterator[Any]:
            for item in self._passing(turn):
                leaves, nesting = tree_flatten(item)
                for row in zip(*leaves):
                    yield tree_unflatten(row, nesting)

        return self._then(passing, None)

    def as_numpy_iterator(self) -> Iterator[Any]:
        """The elements as NumPy arrays."""
        for item in self:
            yield tree_map(
                lambda leaf: leaf.numpy() if isinstance(leaf, torch.Tensor) else leaf, item
            )


def stacked(rows: list[Any]) -> Any:
    """Elements of one structure as one batch of it: tensors, or arrays of text."""
    leaves = [tree_flatten(row)[0] for row in rows]
    nesting = tree_flatten(rows[0])[1]
    return tree_unflatten([_column(column) for column in zip(*leaves)], nesting)


def _column(column: tuple[Any, ...]) -> Any:
    if isinstance(column[0], (str, bytes)):
        return np.array(column)
    return torch.stack([torch.as_tensor(value) for value in column])


def split_dataset(
    dataset: Any,
    left_size: float | int | None = None,
    right_size: float | int | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    preferred_backend: str | None = None,
) -> tuple[Dataset, Dataset]:
    """Two parts of a data set.

    Args:
        dataset: Arrays (a tuple of them: samples go together), a list, a `Dataset`, or a torch
            `Dataset`.
        left_size: Share (a float below 1) or number of the elements on the left.
        right_size: The same on the right; the rest where one of both is None.
        shuffle: In an order drawn from `seed`, before it is split.
        seed: Of that order.
        preferred_backend: Accepted for Keras' signature.
    Raises: DataError: the sizes are none, or more than there is.
    Example:
        >>> left, right = split_dataset(np.arange(10), left_size=0.8)
        >>> len(left), [int(n) for n in right]
        (8, [8, 9])
    """
    rows = _rows(dataset)
    if shuffle:
        np.random.default_rng(seed).shuffle(rows)
    left, right = _sizes(len(rows), left_size, right_size)
    parts = rows[:left], rows[len(rows) - right :] if left_size is None else rows[left:][:right]
    made = [Dataset(lambda turn, part=part: iter(part), len(part)) for part in parts]  # type: ignore[misc]  # mypy asks for the default's type
    return made[0], made[1]


def _rows(dataset: Any) -> list[Any]:
    if isinstance(dataset, (np.ndarray, torch.Tensor)):
        return list(torch.as_tensor(dataset))
    if isinstance(dataset, tuple):
        return list(zip(*(torch.as_tensor(part) for part in dataset)))
    if hasattr(dataset, "__getitem__") and not hasattr(dataset, "__iter__"):
        return [dataset[i] for i in range(len(dataset))]
    return list(dataset)


def _sizes(count: int, left: float | None, right: float | None) -> tuple[int, int]:
    def number(size: float) -> int:
        return round(size * count) if isinstance(size, float) else int(size)

    if left is None and right is None:
        raise _wrong_sizes("neither left_size nor right_size is given")
    if left is None:
        first, second = count - number(right or 0), number(right or 0)
    else:
        first = number(left)
        second = count - first if right is None else number(right)
    if min(first, second) < 0 or first + second > count:
        raise _wrong_sizes(f"{left} and {right} of {count} elements are more than there are")
    return first, second


def _wrong_sizes(what: str) -> DataError:
    return DataError(
        f"split_dataset: {what}",
        where="split_dataset(left_size=..., right_size=...)",
        why="a part is a share below 1, or a number of elements",
        fix="split_dataset(data, left_size=0.8)",
    )
