"""The training loop, readable from top to bottom: one file for `Model.fit` and `stroma.fit`."""

from __future__ import annotations

import time
import warnings
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from stroma.core.batches import Batch, Batches
from stroma.core.errors import DataError
from stroma.core.layer import Layer
from stroma.core.seeds import seed_step
from stroma.core.weight import Weight
from stroma.training.callbacks import Hooks
from stroma.training.checkpoints import restore
from stroma.training.interrupt import Interrupt, Interrupted
from stroma.training.objective import Objective
from stroma.training.run_folder import RunFolder
from stroma.training.state import History, LazyLogs, State


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


def train(
    state: State,
    data: Batches,
    settings: Settings,
    *,
    validation: Batches | None = None,
    run: RunFolder | None = None,
    resume: dict[str, Any] | None = None,
) -> History:
    """Train until `state.epochs`, a stop, or an interrupt.

    `resume` is a checkpoint's content: the run goes on there, in mid-epoch too.
    """
    hooks = Hooks(state.callbacks)
    objective: Objective = state.objective
    epoch_logs: dict[str, float] = {}
    with Interrupt() as interrupt, own_randomness(settings.device):
        hooks("on_train_begin")
        if resume is not None:
            restore(state, resume)
        while state.epoch < state.epochs and not state.stop_reason:
            began = time.perf_counter()
            state.optimizer.build(state.model.parameters())
            constrained = _constrained(state.model)
            hooks("on_epoch_begin", state.epoch)
            if state.batch == 0:
                objective.reset()
            for batch in data.epoch(state.epoch, state.batch):
                hooks("on_train_batch_begin", state.batch)
                step(state, batch, settings)
                for weight, constraint in constrained:
                    weight.assign(constraint(weight.keras_view))
                state.batch, state.step = state.batch + 1, state.step + 1
                if "on_train_batch_end" in hooks:
                    hooks("on_train_batch_end", state.batch - 1, LazyLogs(objective.results))
                if run is not None and run.is_due():
                    run.save(state)
                if interrupt.asked is not None:
                    raise Interrupted(interrupt.asked, run.save(state) if run is not None else "")
                if state.stop_reason:
                    break
            if state.batch == 0:  # a generator gives its batches once
                state.stop(_ran_out(state))
                break
            epoch_logs = objective.results()
            if validation is not None and _is_due(state.epoch, settings.validation_freq):
                figures = evaluate(state, validation, settings, hooks)
                epoch_logs |= {f"val_{key}": value for key, value in figures.items()}
            hooks("on_epoch_end", state.epoch, epoch_logs)
            seconds = time.perf_counter() - began
            state.history.append(state.epoch, epoch_logs, seconds)
            state.epoch, state.batch = state.epoch + 1, 0
            if run is not None:
                run.end_epoch(state, epoch_logs, seconds)
    hooks("on_train_end", epoch_logs)
    state.history.stop_reason = state.stop_reason
    return state.history


def step(state: State, batch: Batch, settings: Settings) -> Tensor:
    """One update: forward, loss, backward, optimizer, metrics. Nothing waits for the device."""
    seed_step(state.seed, state.step)
    x, y, weight = to_device((batch.x, batch.y, batch.weight), settings.device)
    state.optimizer.zero_grad()
    outputs = forward(state.model, x, settings, training=True)
    loss: Tensor = state.objective.loss(state.model, y, outputs, weight, batch.size)
    if not state.optimizer.built:  # layers may have been built by this very forward pass
        state.optimizer.build(state.model.parameters())
    state.optimizer.scale_loss(loss).backward()
    state.optimizer.step()
    state.objective.measure(y, outputs, weight)
    return loss


def forward(model: nn.Module, x: Any, settings: Settings, *, training: bool) -> Any:
    """The model's outputs for one batch, in the run's precision and layout."""
    if settings.layout == "NCHW":
        x = tree_map(lambda leaf: leaf.permute(0, 3, 1, 2) if leaf.dim() == 4 else leaf, x)
    run = settings.compiled if settings.compiled is not None else model
    with torch.autocast(
        settings.device.type, settings.autocast, enabled=settings.autocast is not None
    ):
        if isinstance(model, Layer):
            model.clear_losses()
            return run(x, training=training)
        if model.training is not training:
            model.train(training)
        return run(x)


def evaluate(
    state: State, data: Batches, settings: Settings, hooks: Hooks | None = None
) -> dict[str, float]:
    """Loss and metrics over `data`, on figures of their own: those of training are kept."""
    hooks = hooks or Hooks(state.callbacks)
    training_figures = {
        key: {name: value.clone() for name, value in figures.items()}
        for key, figures in state.objective.state_dict().items()
    }
    was_built = state.objective.built
    state.objective.reset()
    hooks("on_test_begin")
    number = -1
    for number, batch in enumerate(data.epoch(0)):
        hooks("on_test_batch_begin", number)
        evaluate_batch(state.model, state.objective, batch, settings)
        hooks("on_test_batch_end", number, LazyLogs(state.objective.results))
    if number < 0:
        raise _no_batch("to evaluate")
    results: dict[str, float] = state.objective.results()
    hooks("on_test_end", results)
    if was_built:
        state.objective.load_state_dict(training_figures)
    return results


@torch.no_grad()
def evaluate_batch(
    model: nn.Module, objective: Objective, batch: Batch, settings: Settings
) -> None:
    """Enter one batch into the loss and the metrics, without learning from it."""
    x, y, weight = to_device((batch.x, batch.y, batch.weight), settings.device)
    outputs = forward(model, x, settings, training=False)
    objective.loss(model, y, outputs, weight, batch.size)
    objective.measure(y, outputs, weight)


def to_device(tree: Any, device: torch.device) -> Any:
    """Tensors of a structure on the device; a copy only where they are elsewhere."""
    return tree_map(
        lambda leaf: leaf.to(device, non_blocking=True) if isinstance(leaf, Tensor) else leaf, tree
    )


def own_randomness(device: torch.device) -> AbstractContextManager[None]:
    """Inside, steps seed torch's generators; outside, the user's draws go on as if they had not."""
    return torch.random.fork_rng([device] if device.type == "cuda" else [])


def _ran_out(state: State) -> str:
    if state.step == 0:
        raise _no_batch("to train on")
    reason = f"the data ran out before epoch {state.epoch + 1} of {state.epochs}"
    warnings.warn(
        f"{reason}: a generator gives its batches once. Let it go on for ever and give "
        "steps_per_epoch, or give a DataLoader or a list.",
        stacklevel=4,
    )
    return reason


def _no_batch(purpose: str) -> DataError:
    return DataError(
        f"there is no batch {purpose}: the data are empty, or have run out",
        where="the data given",
        why="a generator gives its batches once",
        fix="give arrays or a DataLoader, or a generator without end and a number of steps",
    )


def _is_due(epoch: int, frequency: int | tuple[int, ...]) -> bool:
    if isinstance(frequency, int):
        return (epoch + 1) % frequency == 0
    return epoch + 1 in frequency


def _constrained(model: nn.Module) -> list[tuple[Weight, Any]]:
    return [
        (weight, weight.spec.constraint)
        for weight in model.parameters()
        if isinstance(weight, Weight) and weight.spec.constraint is not None
    ]
