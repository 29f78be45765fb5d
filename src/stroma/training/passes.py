"""What the loop's steps stand on: settings, the forward pass, the device, the end of the data."""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map

from stroma.core.errors import DataError, RunError
from stroma.core.layer import Layer
from stroma.core.masks import attach_masks
from stroma.core.weight import Weight
from stroma.training.objective import outermost_layers
from stroma.training.state import State


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How the loop runs.

    Args:
        device: Where it computes.
        autocast: Dtype of torch's autocast; None: float32.
        layout: "NCHW" when rank-4 inputs are to be permuted for a PyTorch module.
        validation_freq: Validate every so many epochs, or after the epochs (from 1) listed.
        compiled: What is called instead of the model: the same, compiled.
    """

    device: torch.device
    autocast: torch.dtype | None = None
    layout: str | None = None
    validation_freq: int | tuple[int, ...] = 1
    compiled: Any = None


def forward(model: nn.Module, x: Any, settings: Settings, *, training: bool) -> Any:
    """The model's outputs for one batch, in the run's precision and layout."""
    if settings.layout == "NCHW":
        x = tree_map(lambda leaf: leaf.permute(0, 3, 1, 2) if leaf.dim() == 4 else leaf, x)
    run = settings.compiled if settings.compiled is not None else model
    with torch.autocast(
        settings.device.type, settings.autocast, enabled=settings.autocast is not None
    ):
        for layer in outermost_layers(model):
            layer.clear_losses()
        if isinstance(model, Layer):
            if settings.compiled is None or not model.masks_come_out(None):
                return run(x, training=training)
            outputs, masks = run(x, training=training, with_masks=True)
            for output, mask in zip(tree_flatten(outputs)[0], masks):
                attach_masks(output, mask)  # for the loss; compiled code cannot do it
            return outputs
        if model.training is not training:
            model.train(training)
        return run(x)


def to_device(tree: Any, device: torch.device) -> Any:
    """Tensors of a structure on the device; a copy only where they are elsewhere."""
    return tree_map(
        lambda leaf: leaf.to(device, non_blocking=True) if isinstance(leaf, Tensor) else leaf, tree
    )


def own_randomness(device: torch.device) -> AbstractContextManager[None]:
    """Inside, steps seed torch's generators; outside, the user's draws go on as if they had not."""
    return torch.random.fork_rng([device] if device.type == "cuda" else [])


def ran_out(state: State) -> str:
    """Why a run ends whose data ended first; an error when there were none at all."""
    if state.step == 0:
        raise no_batch("to train on")
    reason = f"the data ran out before epoch {state.epoch + 1} of {state.epochs}"
    warnings.warn(
        f"{reason}: a generator gives its batches once. Let it go on for ever and give "
        "steps_per_epoch, or give a DataLoader or a list.",
        stacklevel=4,
    )
    return reason


def no_batch(purpose: str) -> DataError:
    """What to raise when data gave nothing."""
    return DataError(
        f"there is no batch {purpose}: the data are empty, or have run out",
        where="the data given",
        why="a generator gives its batches once",
        fix="give arrays or a DataLoader, or a generator without end and a number of steps",
    )


def nothing_to_train(model: nn.Module) -> RunError:
    """What to raise when the loss depends on no weight that may change."""
    weights = list(model.parameters())
    frozen = bool(weights) and not any(weight.requires_grad for weight in weights)
    return RunError(
        "every weight of the model is frozen"
        if frozen
        else "the loss depends on no weight of the model that may change",
        where="fit(...)",
        why="there is no gradient to follow",
        fix='model.unfreeze(), or model.unfreeze(from_="NAME")'
        if frozen
        else "compute the loss from the model's outputs, without detach() or no_grad()",
    )


def constrained_weights(model: nn.Module) -> list[tuple[Weight, Any]]:
    """Weights that a constraint is applied to after each step, with it."""
    return [
        (weight, weight.spec.constraint)
        for weight in model.parameters()
        if isinstance(weight, Weight) and weight.spec.constraint is not None
    ]


def constrain(weights: list[tuple[Weight, Any]]) -> None:
    """Apply the constraints of `constrained_weights`."""
    for weight, constraint in weights:
        if weight.requires_grad:  # projecting twice may round: frozen stays bit for bit
            weight.assign(constraint(weight.keras_view))
