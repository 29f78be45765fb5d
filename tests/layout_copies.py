"""Which activations does a training step copy? Layers must change layout by views only."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.profiler import ProfilerActivity, profile


class Copy(NamedTuple):
    """A copied activation: the operation that asked for the copy, and the shape."""

    asked_by: str
    shape: tuple[int, ...]


def layout_copies(step: Callable[[], object], batch: int, rank: int = 4) -> list[Copy]:
    """Activations of `rank` axes that one call of `step` (forward and backward) copies.

    Every copy, `clone`, `contiguous`, `to`, those inside other operations included, ends in
    `aten::copy_`, which the profiler sees with its shapes (a dispatch mode would miss those made
    inside a kernel). Activations are told from weights by their first axis: give a batch size
    that is no number of channels.
    """
    step()  # the first step also makes gradients and buffers
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as trace:
        step()
    found = []
    for event in trace.events():
        shape = tuple(event.input_shapes[0]) if event.name == "aten::copy_" else ()
        if len(shape) == rank and shape[0] == batch:
            found.append(Copy(_asked_by(event), shape))
    return found


def _asked_by(event: torch.autograd.profiler_util.FunctionEvent) -> str:
    """The outermost operation around an event."""
    while event.cpu_parent is not None and event.cpu_parent.name.startswith("aten::"):
        event = event.cpu_parent
    return str(event.name)
