"""One batch at a time, for loops that the user writes: train, measure, predict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from stroma.core.batches import Batch
from stroma.core.seeds import draw_seed
from stroma.training.adapters import as_batches
from stroma.training.fitting import Compiled, device_of
from stroma.training.loop import Settings, evaluate_batch, own_randomness, step
from stroma.training.state import State


def train_on_batch(
    model: nn.Module, compiled: Compiled, state: State | None, x: Any, y: Any, weight: Any,
    class_weight: Mapping[int, float] | None,
) -> State:  # fmt: skip
    """One update; the objective holds the batch's own figures.

    Args:
        state: Of the run of batches so far; None: this is its first.
    Returns: The state to hand over with the next batch.
    """
    batch = _batch(x, y, weight, class_weight)
    compiled.objective.reset()
    state = state or State(
        model, compiled.optimizer, compiled.objective, seed=draw_seed(), epochs=0
    )
    settings = Settings(device=device_of(model))
    with own_randomness(settings.device):
        step(state, batch, settings)
    state.step += 1
    return state


def test_on_batch(model: nn.Module, compiled: Compiled, x: Any, y: Any, weight: Any) -> None:
    """Measure without learning; the objective holds the batch's figures."""
    batch = _batch(x, y, weight, None)
    compiled.objective.reset()
    evaluate_batch(model, compiled.objective, batch, Settings(device=device_of(model)))


def predict_on_batch(model: nn.Module, x: Any) -> Any:
    """Outputs as NumPy arrays."""
    with torch.no_grad():
        outputs = model(tree_map(_tensor, x), training=False)
    return tree_map(lambda leaf: leaf.cpu().numpy(), outputs)


def _batch(x: Any, y: Any, weight: Any, class_weight: Mapping[int, float] | None) -> Batch:
    rows = len(x[0] if isinstance(x, (list, tuple)) else x)
    data = as_batches(x, y, weight, batch_size=rows, class_weight=class_weight)
    return next(iter(data.epoch(0)))


def _tensor(leaf: Any) -> Any:
    return torch.as_tensor(leaf) if isinstance(leaf, (np.ndarray, list, Tensor)) else leaf
