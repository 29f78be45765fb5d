"""One batch at a time, for loops that the user writes: train, measure, predict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map

from stroma.core.batches import Batch
from stroma.core.seeds import draw_seed
from stroma.training.adapters import as_batches
from stroma.training.fitting import Compiled, device_of
from stroma.training.loop import Settings, evaluate_batch, own_randomness, step
from stroma.training.own_steps import figures_of, own_predict_step
from stroma.training.passes import constrain, constrained_weights
from stroma.training.state import State


def train_on_batch(
    model: nn.Module, compiled: Compiled, state: State | None, x: Any, y: Any, weight: Any,
    class_weight: Mapping[int, float] | None,
) -> State:  # fmt: skip
    """One update; the state's objective holds the batch's own figures.

    Args:
        state: Of the run of batches so far; None: this is its first.
    Returns: The state to hand over with the next batch.
    """
    batch = _batch(x, y, weight, class_weight)
    if state is None:
        figures = figures_of(model, compiled.objective)
        state = State(model, compiled.optimizer, figures, seed=draw_seed(), epochs=0)
    state.objective.reset()
    settings = Settings(device=device_of(model))
    with own_randomness(settings.device):
        step(state, batch, settings)
    constrain(constrained_weights(model))
    state.step += 1
    return state


def test_on_batch(
    model: nn.Module, compiled: Compiled, x: Any, y: Any, weight: Any
) -> dict[str, float]:
    """Measure without learning: the batch's figures."""
    batch = _batch(x, y, weight, None)
    figures = figures_of(model, compiled.objective)
    figures.reset()
    evaluate_batch(model, figures, batch, Settings(device=device_of(model)))
    return figures.results()


def predict_on_batch(model: nn.Module, x: Any) -> Any:
    """Outputs as NumPy arrays."""
    x, own = tree_map(_tensor, x), own_predict_step(model)
    with torch.no_grad():
        outputs = own(x) if own is not None else model(x, training=False)
    return tree_map(lambda leaf: leaf.cpu().numpy(), outputs)


def _batch(x: Any, y: Any, weight: Any, class_weight: Mapping[int, float] | None) -> Batch:
    rows = len(tree_flatten(x)[0][0] if isinstance(x, dict) else x[0] if _listed(x) else x)
    data = as_batches(x, y, weight, batch_size=rows, class_weight=class_weight)
    return next(iter(data.epoch(0)))


def _listed(x: Any) -> bool:
    return isinstance(x, (list, tuple))


def _tensor(leaf: Any) -> Any:
    return torch.as_tensor(leaf) if isinstance(leaf, (np.ndarray, list, Tensor)) else leaf
