"""The training loop, readable from top to bottom: one file for `Model.fit` and `stroma.fit`."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor, nn

from stroma.core.batches import Batch, Batches
from stroma.core.seeds import seed_step
from stroma.training.callbacks import Hooks
from stroma.training.checkpoints import restore
from stroma.training.interrupt import Interrupt, Interrupted
from stroma.training.objective import Objective
from stroma.training.own_steps import OwnSteps
from stroma.training.passes import (
    Settings,
    constrain,
    constrained_weights,
    forward,
    no_batch,
    nothing_to_train,
    own_randomness,
    ran_out,
    to_device,
)
from stroma.training.run_folder import RunFolder
from stroma.training.state import History, LazyLogs, State

__all__ = [
    "Settings", "evaluate", "evaluate_batch", "forward", "own_randomness", "step", "to_device",
    "train",
]  # fmt: skip


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
    objective: Objective | OwnSteps = state.objective
    epoch_logs: dict[str, float] = {}
    with Interrupt() as interrupt, own_randomness(settings.device):
        hooks("on_train_begin")
        if resume is not None:
            restore(state, resume)
        while state.epoch < state.epochs and not state.stop_reason:
            began = time.perf_counter()
            if not isinstance(objective, OwnSteps):  # which parameters it moves, the model decides
                state.optimizer.build(state.model.parameters())
            constrained = constrained_weights(state.model)
            hooks("on_epoch_begin", state.epoch)
            if state.batch == 0:
                objective.reset()
            for batch in data.epoch(state.epoch, state.batch):
                hooks("on_train_batch_begin", state.batch)
                step(state, batch, settings)
                constrain(constrained)
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
                state.stop(ran_out(state))
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
    if state.optimizer.built:
        state.optimizer.finalize_variable_values()  # with use_ema the averages are the result
    hooks("on_train_end", epoch_logs)
    state.history.stop_reason = state.stop_reason
    return state.history


def step(state: State, batch: Batch, settings: Settings) -> Tensor | None:
    """One update: forward, loss, backward, optimizer, metrics. Nothing waits for the device.

    Returns: the loss; None after a step of the model's own.
    """
    seed_step(state.seed, state.step)
    if isinstance(state.objective, OwnSteps):
        state.objective.train(batch, settings)
        return None
    x, y, weight = to_device((batch.x, batch.y, batch.weight), settings.device)
    state.optimizer.zero_grad()
    outputs = forward(state.model, x, settings, training=True)
    state.objective.match(batch.y, outputs)
    state.objective.check_labels(batch.y, batch.indices)  # on the host: nothing waits
    loss: Tensor = state.objective.loss(state.model, y, outputs, weight, batch.size)
    if not state.optimizer.built:  # layers may have been built by this very forward pass
        state.optimizer.build(state.model.parameters())
    if not loss.requires_grad:
        raise nothing_to_train(state.model)
    state.optimizer.scale_loss(loss).backward()
    state.optimizer.step()
    state.objective.total.update_state(loss.detach(), batch.size)
    state.objective.measure(y, outputs, weight)
    return loss


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
        raise no_batch("to evaluate")
    results: dict[str, float] = state.objective.results()
    hooks("on_test_end", results)
    if was_built:
        state.objective.load_state_dict(training_figures)
    return results


@torch.no_grad()
def evaluate_batch(
    model: nn.Module, objective: Objective | OwnSteps, batch: Batch, settings: Settings
) -> None:
    """Enter one batch into the loss and the metrics, without learning from it."""
    if isinstance(objective, OwnSteps):
        objective.evaluate(batch, settings)
        return
    x, y, weight = to_device((batch.x, batch.y, batch.weight), settings.device)
    outputs = forward(model, x, settings, training=False)
    objective.match(batch.y, outputs)
    objective.check_labels(batch.y, batch.indices)
    loss = objective.loss(model, y, outputs, weight, batch.size)
    objective.total.update_state(loss, batch.size)
    objective.measure(y, outputs, weight)


def _is_due(epoch: int, frequency: int | tuple[int, ...]) -> bool:
    if isinstance(frequency, int):
        return (epoch + 1) % frequency == 0
    return epoch + 1 in frequency
