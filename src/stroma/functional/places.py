"""Operations that read or write chosen places, under Keras' names.

Inputs come by position, settings by keyword: a file keeps the two apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from stroma.core.dtypes import to_dtype
from stroma.core.errors import ArgumentError


def diagflat(x: Tensor, *, k: int = 0) -> Tensor:
    return torch.diagflat(x, k)


def vander(x: Tensor, *, N: int | None = None, increasing: bool = False) -> Tensor:
    """x to the powers 0 to N - 1, the largest first unless `increasing`."""
    return torch.vander(x, N, increasing)


def unravel_index(indices: Tensor, *, shape: Sequence[int] | int) -> tuple[Tensor, ...]:
    shape = (shape,) if isinstance(shape, int) else shape
    left = torch.where(indices < 0, indices + math.prod(shape), indices)
    dtype = torch.int32 if indices.dtype == torch.int64 else indices.dtype  # as Keras: places fit
    found: list[Tensor] = []
    for size in reversed(shape):
        found.insert(0, (left % size).to(dtype))
        left = left // size
    return tuple(found)


def slice_update(inputs: Tensor, start_indices: Any, updates: Tensor) -> Tensor:
    corner = zip(start_indices, updates.shape)
    y = inputs.clone()
    y[tuple(slice(start, start + size) for start, size in corner)] = updates.to(y.dtype)
    return y


def scatter(indices: Tensor, values: Tensor, *, shape: Sequence[int]) -> Tensor:
    """Zeros of a shape with values added at places (*, axes)."""
    depth = indices.shape[-1]
    rows = indices.reshape(-1, depth).long().unbind(1)
    parts = values.reshape(-1, *shape[depth:])
    return values.new_zeros(tuple(shape)).index_put(rows, parts, accumulate=True)


_COMBINE = {"max": "amax", "min": "amin", "mul": "prod"}


def scatter_update(inputs: Tensor, indices: Tensor, updates: Tensor, *,
                   reduction: str | None = None) -> Tensor:  # fmt: skip
    """With updates (N, *) at places (N, axes), or combined with what is there.

    Args:
        reduction: None to replace, "add", "max", "min" or "mul".
    """
    depth = indices.shape[-1]
    rows = indices.reshape(-1, depth).long().unbind(1)
    parts = updates.to(inputs.dtype)
    if reduction in (None, "add"):
        return inputs.index_put(rows, parts, accumulate=reduction == "add")
    if reduction not in _COMBINE:
        raise ArgumentError(
            f"scatter_update: reduction must be None, 'add', 'max', 'min' or 'mul', got "
            f"{reduction!r}",
            where="scatter_update(..., reduction=...)",
            why="it says how updates join what is there",
            fix="reduction='add'",
        )
    lead, rest = inputs.shape[:depth], inputs.shape[depth:]
    flat = torch.zeros_like(rows[0])
    for row, size in zip(rows, lead):
        flat = flat * size + torch.where(row < 0, row + size, row)
    table = inputs.reshape(math.prod(lead), *rest)
    where = flat.reshape(-1, *[1] * len(rest)).expand(len(flat), *rest)
    y = table.scatter_reduce(0, where, parts.expand(where.shape), _COMBINE[reduction])
    return y.reshape(inputs.shape)


def _by_segment(data: Tensor, segment_ids: Tensor, size: int | None, how: str) -> Tensor:
    """Rows with one number combined; numbers outside of 0 to size - 1 are left out."""
    count = int(segment_ids.max()) + 1 if size is None else size
    ids = segment_ids.long()
    ids = torch.where((ids < 0) | (ids >= count), count, ids)  # one row more, cut off again
    empty: Any = {"sum": 0, "prod": 1}.get(how)
    if empty is None:
        limits: Any = torch.finfo if data.is_floating_point() else torch.iinfo
        empty = limits(data.dtype).min if how == "amax" else limits(data.dtype).max
        if data.is_floating_point():
            empty = -math.inf if how == "amax" else math.inf
    start = data.new_full((count + 1, *data.shape[1:]), empty)
    where = ids.reshape(-1, *[1] * (data.dim() - 1)).expand(data.shape)
    return start.scatter_reduce(0, where, data, how)[:-1]


def segment_sum(data: Tensor, segment_ids: Tensor, *, num_segments: int | None = None,
                sorted: bool = False) -> Tensor:  # fmt: skip
    """`sorted` promises rising numbers, which changes nothing here; so in the next three."""
    return _by_segment(data, segment_ids, num_segments, "sum")


def segment_max(data: Tensor, segment_ids: Tensor, *, num_segments: int | None = None,
                sorted: bool = False) -> Tensor:  # fmt: skip
    return _by_segment(data, segment_ids, num_segments, "amax")


def segment_min(data: Tensor, segment_ids: Tensor, *, num_segments: int | None = None,
                sorted: bool = False) -> Tensor:  # fmt: skip
    return _by_segment(data, segment_ids, num_segments, "amin")


def segment_prod(data: Tensor, segment_ids: Tensor, *, num_segments: int | None = None,
                 sorted: bool = False) -> Tensor:  # fmt: skip
    return _by_segment(data, segment_ids, num_segments, "prod")


def extract_sequences(x: Tensor, *, sequence_length: int, sequence_stride: int) -> Tensor:
    """Windows of the last axis: (*, T) -> (*, windows, sequence_length)."""
    return x.unfold(-1, sequence_length, sequence_stride)


def view(x: Tensor, dtype: Any = None) -> Tensor:
    """The same bytes read as another dtype."""
    return x if dtype is None else x.view(to_dtype(dtype))
