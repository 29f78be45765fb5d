"""Operations that count, order and compare whole sequences, under NumPy's names.

Inputs come by position, settings by keyword: a file keeps the two apart.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def histogram(x: Tensor, *, bins: int = 10, range: Any = None) -> tuple[Tensor, Tensor]:
    """How many numbers each bin holds, and the bins' edges; `range` is (lowest, highest)."""
    counts, edges = torch.histogram(x, bins, range=range)
    return counts, edges


def bincount(x: Tensor, weights: Tensor | None = None, *, minlength: int = 0,
             sparse: bool = False) -> Tensor:  # fmt: skip
    """How often each number occurs in (T,), or in each row of (B, T); weights are summed.

    Sparse tensors are not made: the counts are the same.
    """
    rows = x if x.dim() == 2 else x[None]
    size = max(minlength, int(x.max()) + 1 if x.numel() else 0)
    amounts = torch.ones_like(rows, dtype=torch.int32) if weights is None else weights.view_as(rows)
    counts = amounts.new_zeros((len(rows), size)).scatter_add(1, rows.long(), amounts)
    return counts if x.dim() == 2 else counts[0]


def correlation(x: Tensor) -> Tensor:
    """Pearson's r of each pair of rows."""
    return torch.corrcoef(x)


def correlate(x1: Tensor, x2: Tensor, *, mode: str = "valid") -> Tensor:
    """sum_t x1[t + k] x2[t] of two sequences for each shift k: "valid", "same" or "full"."""
    dtype = torch.promote_types(x1.dtype, torch.float32)
    size, other = len(x1), len(x2)
    whole = F.conv1d(x1.to(dtype)[None, None], x2.to(dtype)[None, None], padding=other - 1)[0, 0]
    if mode == "full":
        return whole
    if mode == "valid":
        return whole[min(size, other) - 1 : max(size, other)]
    start = (len(whole) - max(size, other)) // 2
    return whole[start : start + max(size, other)]


def argpartition(x: Tensor, *, kth: int, axis: int | None = -1) -> Tensor:
    """Places such that those before number `kth` hold nothing larger; here: the whole order."""
    x, dim = (x.flatten(), -1) if axis is None else (x, axis)
    return torch.argsort(x, dim=dim, stable=True)


def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float = 1.0, axis: int = -1) -> Tensor:
    """sum (y[i] + y[i + 1]) / 2 times the steps."""
    if x is not None and x.dim() == 1 < y.dim():
        x = x.reshape([-1 if d == axis % y.dim() else 1 for d in range(y.dim())])
    steps = dx if x is None else torch.diff(x, dim=axis)
    size = y.shape[axis]
    heights = (y.narrow(axis, 0, size - 1) + y.narrow(axis, 1, size - 1)) / 2
    return torch.sum(heights * steps, axis)


def unique(x: Tensor, *, return_index: bool = False, return_inverse: bool = False,
           return_counts: bool = False, axis: int | None = None, size: int | None = None,
           fill_value: Any = None) -> Any:  # fmt: skip
    """Each number once, in rising order; see `stroma.ops.unique`."""
    if axis is None:
        x, axis = x.reshape(-1), 0
    found, inverse, counts = torch.unique(x, return_inverse=True, return_counts=True, dim=axis)
    places = torch.arange(len(inverse), device=x.device)
    first = places.new_full((found.shape[axis],), len(inverse))
    first = first.scatter_reduce(0, inverse, places, "amin")
    if size is not None:
        found = _of_size(found, axis, size, 0 if fill_value is None else fill_value)
        counts, first = _of_size(counts, 0, size, 0), _of_size(first, 0, size, 1)
    wanted = [(return_index, first), (return_inverse, inverse), (return_counts, counts)]
    others = [part for is_wanted, part in wanted if is_wanted]
    return (found, *others) if others else found


def _of_size(x: Tensor, axis: int, size: int, value: Any) -> Tensor:
    """The first `size` places along an axis, filled up with `value`."""
    missing = size - x.shape[axis]
    if missing <= 0:
        return x.narrow(axis, 0, size)
    shape = [missing if d == axis % x.dim() else n for d, n in enumerate(x.shape)]
    return torch.cat([x, x.new_full(shape, value)], axis)
