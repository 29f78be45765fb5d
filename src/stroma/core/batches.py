"""What the training loop reads: batches in an order that is a pure function of (seed, epoch)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch.

    Args:
        x: Inputs: a tensor, or a list or dict of tensors, (B, ...).
        y: Targets of the same first axis, or None.
        weight: Sample weights (B,), or None.
        size: B, the number of samples.
        indices: Which samples these are, where the source knows: errors name them.
    """

    x: Any
    y: Any
    weight: Any
    size: int
    indices: np.ndarray | None = None


class Batches(Protocol):
    """A source of batches. `epoch(e, first)` yields epoch e's batches from number `first` on,
    and gives the same ones whenever it is asked: a resumed run goes on where it stopped.
    `len()` is the number of batches in an epoch, `samples` the number of samples (None: unknown).
    """

    samples: int | None

    def __len__(self) -> int: ...

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]: ...

    def name_of(self, index: int) -> str:
        """What an error calls sample `index`: a path, or `"sample 17"`."""
        ...
