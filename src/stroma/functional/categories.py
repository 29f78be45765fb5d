"""Whole numbers as vectors of zeros, ones and counts; numbers into bins; bins from a stream."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Mode = Literal["int", "one_hot", "multi_hot", "count"]
Summary = NDArray[np.float32]  # (2, N): values in order, and how many numbers each stands for


def encode(
    indices: Tensor, mode: Mode, depth: int, dtype: torch.dtype, weights: Tensor | None = None
) -> Tensor:
    """Indices in [0, depth) as `mode` says; others count nowhere.

    Args:
        indices: Whole numbers of any shape.
        mode: "int": as they are; "one_hot": a vector each; "multi_hot" and "count": a vector for
            all along the last axis: whether, or how often, each index is there.
        depth: Length of a vector.
        dtype: Of the result.
        weights: What each index counts, in "count"; None: 1.
    Shape: (*, L) -> (*, L, depth), or (*, depth)
    Example:
        >>> encode(torch.tensor([[0, 2, 2]]), "count", 4, torch.int64)
        tensor([[1, 0, 2, 0]])
    """
    if mode == "int":
        return indices.to(dtype)
    indices = indices if indices.dim() else indices[None]
    if mode == "one_hot":
        last_alone = indices.dim() > 1 and indices.shape[-1] == 1
        indices = indices if last_alone else indices.unsqueeze(-1)  # (*, L, 1)
    outside = (indices < 0) | (indices >= depth)
    places = torch.where(outside, depth, indices).long()
    if weights is None:
        weights = torch.ones((), dtype=dtype, device=indices.device).expand(indices.shape)
    zeros = torch.zeros(
        (*indices.shape[:-1], depth + 1), dtype=weights.dtype, device=indices.device
    )
    counts = zeros.scatter_add(-1, places, weights)[..., :depth]
    return (counts != 0).to(dtype) if mode == "multi_hot" else counts


def summarize(values: NDArray[np.float32], epsilon: float) -> Summary:
    """At most about 1/epsilon of the values, evenly spread, with what each stands for."""
    ordered = np.sort(values.astype(np.float32).ravel())
    step = max(ordered.size * epsilon, 1.0)
    chosen = ordered[int(step - 1) :: int(step)]
    return np.stack([chosen, np.full_like(chosen, step)])


def merge(first: Summary, second: Summary, epsilon: float) -> Summary:
    """One summary of two."""
    both = np.concatenate([first, second], axis=1)
    return compress(both[:, np.argsort(both[0])], epsilon)


def compress(summary: Summary, epsilon: float) -> Summary:
    """A summary of about 1/epsilon values, by interpolating the cumulative weights."""
    if summary.shape[1] * epsilon < 1:
        return summary
    parts = epsilon + np.arange(0.0, 1.0, epsilon)
    weights = summary[1].cumsum()
    shares = weights / weights[-1]
    values = np.interp(parts, shares, summary[0])
    sums = np.interp(parts, shares, weights)
    return np.stack([values, np.diff(sums, prepend=0.0)]).astype(np.float32)


def boundaries(summary: Summary, bins: int) -> list[float]:
    """What separates `bins` bins that hold equally many numbers."""
    inner: list[float] = compress(summary, 1.0 / bins)[0, :-1].tolist()
    return inner
