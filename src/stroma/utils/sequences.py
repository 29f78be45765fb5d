"""Lists of different lengths as one array, and batches by number."""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf
from typing import Any

import numpy as np

from stroma.core.checks import check_choice
from stroma.core.errors import ArgumentError, not_defined


def pad_sequences(
    sequences: SequenceOf[Any],
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Sequences filled or cut to one length.

    Args:
        sequences: Lists or arrays (T, *), each of its own T.
        maxlen: Their length; that of the longest when None.
        dtype: Of the array.
        padding: Where `value` goes: "pre" or "post".
        truncating: What is cut from longer ones: "pre" or "post".
        value: What they are filled with.
    Shape: N of (T, *) -> (N, maxlen, *)
    Raises: ArgumentError: they are no sequences, or their entries differ in shape.
    Example:
        >>> pad_sequences([[1], [2, 3], [4, 5, 6]], maxlen=2)
        array([[0, 1],
               [2, 3],
               [5, 6]], dtype=int32)
    """
    check_choice("padding", padding, ("pre", "post"), owner="pad_sequences")
    check_choice("truncating", truncating, ("pre", "post"), owner="pad_sequences")
    try:
        lengths = [len(sequence) for sequence in sequences]
        rows = [np.asarray(sequence, dtype=dtype) for sequence in sequences]
        shapes = {row.shape[1:] for row in rows if len(row)} or {()}
        (entry,) = shapes
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"these are no sequences of one kind ({error})",
            where="pad_sequences(sequences)",
            why="each must have a length, and entries of one shape that fit the dtype",
            fix="pad_sequences([[1, 2], [3]]); dtype=object and value='' for texts",
        ) from error
    size = max(lengths, default=0) if maxlen is None else maxlen
    padded = np.full((len(rows), size, *entry), value, dtype=dtype)
    for target, row in zip(padded, rows):
        kept = row[max(len(row) - size, 0) :] if truncating == "pre" else row[:size]
        if len(kept):
            target[slice(-len(kept), None) if padding == "pre" else slice(len(kept))] = kept
    return padded


class PyDataset:
    """Batches by number: a subclass defines `__len__` and `__getitem__`, and `fit` takes it.

    Args:
        workers, use_multiprocessing, max_queue_size: Accepted for Keras' signature: batches are
            made by the process that trains.
    Example:
        >>> class Squares(PyDataset):
        ...     def __len__(self):
        ...         return 3
        ...     def __getitem__(self, index):
        ...         return np.array([[index]]), np.array([[index**2]])
        >>> [int(y[0, 0]) for _, y in Squares()]
        [0, 1, 4]
    """

    def __init__(
        self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10
    ) -> None:
        self.workers, self.use_multiprocessing = workers, use_multiprocessing
        self.max_queue_size = max_queue_size

    def __len__(self) -> int:
        raise not_defined(self, "__len__(self)", "fit asks how many batches there are")

    @property
    def num_batches(self) -> int:
        """How many batches there are."""
        return len(self)

    def __getitem__(self, index: int) -> Any:
        raise not_defined(self, "__getitem__(self, index)", "fit takes batch after batch")

    def __iter__(self) -> Any:
        for index in range(len(self)):
            yield self[index]
        self.on_epoch_end()

    def on_epoch_begin(self) -> None:
        """Called before the first batch of an epoch."""

    def on_epoch_end(self) -> None:
        """Called after the last batch of an epoch."""


Sequence = PyDataset


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """(x, y, sample_weight) as `fit` takes it from an iterable: without what is None.

    Example:
        >>> pack_x_y_sample_weight(1, 2), pack_x_y_sample_weight(1)
        ((1, 2), 1)
    """
    if y is None and sample_weight is None:
        return (x,) if isinstance(x, (tuple, list)) else x
    return (x, y) if sample_weight is None else (x, y, sample_weight)


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """The parts of one element of a data set, None for what it has not.

    Example:
        >>> unpack_x_y_sample_weight((1, 2))
        (1, 2, None)
    """
    parts = tuple(data) if isinstance(data, (tuple, list)) else (data,)
    if 1 <= len(parts) <= 3:
        x, y, weight = (*parts, None, None)[:3]
        return x, y, weight
    raise ArgumentError(
        f"a batch of {len(parts)} parts",
        where="unpack_x_y_sample_weight(data)",
        why="it is x, (x, y) or (x, y, sample_weight)",
        fix="several inputs go into one dict or tuple: ((a, b), y)",
    )
