"""`fit`, `evaluate` and `predict` for any `nn.Module`: settings are resolved here, once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from stroma import optimizers
from stroma.core.batches import Batch, Batches
from stroma.core.checks import check_choice, check_int
from stroma.core.errors import ArgumentError, ArgumentTypeError, DataError
from stroma.core.layer import Layer
from stroma.core.seeds import draw_seed
from stroma.training.adapters import ArrayBatches, as_batches, peek, unpack
from stroma.training.arrays import is_arrays, lists_as_arrays, split_arrays
from stroma.training.callbacks import Callback, Hooks
from stroma.training.loop import Settings, evaluate, forward, to_device, train
from stroma.training.objective import Objective
from stroma.training.own_steps import OwnSteps, figures_of, own_predict_step
from stroma.training.precision import Precision, choose_precision
from stroma.training.progress import PassLine, ProgressLine, progress
from stroma.training.run_folder import RunFolder
from stroma.training.state import History, State


@dataclass
class Compiled:
    """What `compile` was given, ready for the loop.

    Args:
        optimizer: The update rule.
        objective: Losses and metrics.
        precision: "auto", or a dtype by name, for `fit`.
        jit_compile: True runs the model through `torch.compile`; "auto" follows static rules.
        choice: The precision that `fit` resolved, with its reason.
    """

    optimizer: Any
    objective: Objective
    precision: str = "auto"
    jit_compile: bool | str = "auto"
    choice: Precision | None = None
    callable: Any = field(default=None, repr=False)


def compiled(
    optimizer: Any,
    loss: Any,
    loss_weights: Any = None,
    metrics: Any = None,
    weighted_metrics: Any = None,
    *,
    precision: str = "auto",
    jit_compile: bool | str = "auto",
    output_names: list[str] | None = None,
    scaled: bool = False,
) -> Compiled:
    """Resolve names to an optimizer, losses and metrics.

    The loss is scaled where `scaled` says so: gradients in float16 vanish below 6e-8.
    """
    check_choice("jit_compile", jit_compile, ("auto", True, False), owner="compile")
    made = optimizers.get(optimizer)
    if scaled and made is not None and not isinstance(made, optimizers.LossScaleOptimizer):
        made = optimizers.LossScaleOptimizer(made)
    return Compiled(
        optimizer=made,
        objective=Objective(loss, loss_weights, metrics, weighted_metrics, output_names),
        precision=precision,
        jit_compile=jit_compile,
    )


def choose_device(device: str | torch.device | None = "auto") -> torch.device:
    """The device asked for; "auto" is `$STROMA_DEVICE`, else CUDA, else the CPU."""
    wanted = os.environ.get("STROMA_DEVICE", "auto") if device in (None, "auto") else device
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(wanted)
        torch.empty(0, device=chosen)  # a name may be known, and the device not be in here
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ArgumentError(
            f"there is no device {wanted!r}",
            where="device=..., --device, or the environment variable STROMA_DEVICE",
            why=f"torch {torch.__version__} finds {_devices()}",
            fix="leave it away: the best one there is is taken",
        ) from error
    return chosen


def _devices() -> str:
    """The devices of this machine, by the names that torch knows."""
    gpus = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return ", ".join(["cpu", *gpus, *(["mps"] if torch.backends.mps.is_available() else [])])


def device_of(module: nn.Module) -> torch.device:
    """Where the module's weights are."""
    for tensor in (*module.parameters(), *module.buffers()):
        return tensor.device
    return torch.device("cpu")


def fit(
    module: nn.Module,
    compiled: Compiled,
    x: Any = None,
    y: Any = None,
    *,
    batch_size: int | None = None,
    epochs: int = 1,
    verbose: str | int = "auto",
    callbacks: Sequence[Callback] | Callback | None = None,
    validation_split: float = 0.0,
    validation_data: Any = None,
    shuffle: bool = True,
    class_weight: Mapping[int, float] | None = None,
    sample_weight: Any = None,
    initial_epoch: int = 0,
    steps_per_epoch: int | None = None,
    validation_steps: int | None = None,
    validation_batch_size: int | None = None,
    validation_freq: int | Sequence[int] = 1,
    run: str | Path | RunFolder | None = None,
    resume: str | Path | None = None,
    seed: int | None = None,
    device: str | None = "auto",
    layout: str | None = None,
) -> History:
    """Train a module; the arguments are those of `Model.fit` and `stroma.fit`."""
    folder = RunFolder(Path(resume)) if resume is not None else None
    saved = folder.newest() if folder is not None else None
    seed = int(saved["seed"]) if saved else draw_seed() if seed is None else seed
    if validation_split and validation_data is None:
        (x, y, sample_weight), validation_data = split_arrays(x, y, sample_weight, validation_split)
    data = as_batches(
        x, y, sample_weight, batch_size=batch_size, shuffle=shuffle, seed=seed,
        steps=steps_per_epoch, class_weight=class_weight,
    )  # fmt: skip
    size = batch_size if validation_batch_size is None else validation_batch_size
    validation = _validation(validation_data, size, validation_steps, targets=y is not None)
    module.to(choose_device(device) if device_of(module).type == "cpu" else device_of(module))
    first = peek(data)
    precision = str(saved["precision"]) if saved else compiled.precision  # a plan is obeyed
    figures = figures_of(module, compiled.objective)
    settings = _settings(module, compiled, figures, first, layout, validation_freq, precision)
    listeners = as_listeners(callbacks)
    if not any(isinstance(listener, ProgressLine) for listener in listeners):
        listeners += progress(ProgressLine, verbose, len(data), owner="fit")
    state = State(
        module, compiled.optimizer, figures, seed=seed, epoch=initial_epoch,
        epochs=check_int("epochs", epochs, owner="fit", minimum=0), callbacks=listeners,
        precision=compiled.choice.name if compiled.choice is not None else "float32",
    )  # fmt: skip
    state.history.params = {"verbose": verbose, "epochs": epochs, "steps": len(data)}
    _attach(state)
    if isinstance(module, Layer):
        object.__setattr__(module, "_state", state)
    if figures is compiled.objective:
        for source in (data, validation):
            _check_all_labels(compiled.objective, source)
    if folder is None and run is not None:  # only now: data that does not fit leaves no folder
        folder = run if isinstance(run, RunFolder) else RunFolder.create(run)
    return train(state, data, settings, validation=validation, run=folder, resume=saved)


def as_listeners(callbacks: Any) -> list[Callback]:
    """The callbacks given, None and lists of them, as one list.

    Raises: ArgumentTypeError: one is not a callback, or is the class of one.
    """
    given = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]
    listeners = [callback for callback in given if callback is not None]
    for callback in listeners:
        if not isinstance(callback, Callback):
            is_class = isinstance(callback, type) and issubclass(callback, Callback)
            raise ArgumentTypeError(
                f"callbacks must be Callback objects, got {callback!r}",
                where="callbacks=[...]",
                why="it is a class, not an object" if is_class else "it has no hooks to call",
                fix=f"{callback.__name__}()" if is_class else "class Mine(Callback): ...",
            )
    return listeners


def _attach(state: State) -> None:
    """Let the callbacks know what they listen to."""
    for listener in state.callbacks:
        listener.state = state
        listener.set_params(state.history.params)
        listener.set_model(state.model)


def _validation(
    data: Any, batch_size: int | None, steps: int | None, targets: bool
) -> Batches | None:
    if data is None:
        return None
    x, y, weight = unpack(data) if isinstance(data, (tuple, list)) else (data, None, None)
    if targets and y is None and is_arrays(lists_as_arrays(x)):
        raise DataError(
            "validation_data has no targets",
            where="fit(validation_data=...)",
            why="the training data have them, and the loss compares with them",
            fix="validation_data=(x_val, y_val)",
        )
    return as_batches(x, y, weight, batch_size=batch_size, steps=steps)


def _settings(
    module: nn.Module,
    compiled: Compiled,
    figures: Objective | OwnSteps,
    first: Batch | None,
    layout: str | None,
    validation_freq: int | Sequence[int],
    precision: str,
) -> Settings:
    device = device_of(module)
    choice = Precision(None, "there is no data")
    if first is not None:
        x = to_device(first.x, device)
        layout = check_layout(module, x, layout)
        plain = Settings(device=device, layout=layout)
        one = tree_map(lambda leaf: leaf[:1], x)
        shown = tree_map(lambda leaf: leaf.permute(0, 3, 1, 2), x) if layout == "NCHW" else x
        if isinstance(figures, OwnSteps):
            figures.prepare(one)
            own = "float32" if precision == "auto" else precision
            choice = choose_precision(own, module, shown, device)
        else:
            with torch.no_grad():  # builds layers that are not built yet, and the metrics
                outputs = forward(module, one, plain, training=False)
                compiled.objective.match(to_device(first.y, device), outputs)
            choice = choose_precision(precision, module, shown, device)
    compiled.choice = choice
    if compiled.jit_compile is True and compiled.callable is None:
        compiled.callable = torch.compile(module)
    frequency = validation_freq if isinstance(validation_freq, int) else tuple(validation_freq)
    return Settings(
        device=device,
        autocast=choice.dtype,
        layout=layout,
        validation_freq=frequency,
        compiled=compiled.callable,
    )


def check_layout(module: nn.Module, x: Any, layout: str | None) -> str | None:
    """The layout for a module's inputs: stroma's own are channels-last, others must say.

    Raises: ArgumentError: rank-4 data for a PyTorch module, and no layout.
    """
    if layout is not None:
        check_choice("layout", layout, ("NCHW", "NHWC"), owner="fit")
        return None if layout == "NHWC" else layout
    images = any(isinstance(leaf, Tensor) and leaf.dim() == 4 for leaf in tree_flatten(x)[0])
    if isinstance(module, Layer) or not images:
        return None
    raise ArgumentError(
        f"{type(module).__name__} gets images: say in which layout it takes them",
        where="fit(layout=...)",
        why="stroma's data is (batch, height, width, channels); PyTorch's own networks take "
        "(batch, channels, height, width), and a wrong guess trains without an error",
        fix='layout="NCHW" (the data is permuted, without a copy) or layout="NHWC"',
    )


def _check_all_labels(objective: Objective, data: Batches | None) -> None:
    """Labels that lie in memory as one array are all looked at before the first step."""
    if isinstance(data, ArrayBatches) and data.samples is not None:
        objective.check_labels(data.arrays[1], np.arange(data.samples))


def evaluate_data(
    module: nn.Module,
    compiled: Compiled,
    data: Batches,
    *,
    layout: str | None = None,
    callbacks: Any = None,
    verbose: str | int = 0,
) -> dict[str, float]:
    """Loss and metrics of a module over batches, in float32."""
    listeners = as_listeners(callbacks)
    listeners += progress(PassLine, verbose, len(data), owner="evaluate")
    state = State(
        module, compiled.optimizer, figures_of(module, compiled.objective), seed=0, epochs=0,
        callbacks=listeners,
    )  # fmt: skip
    _attach(state)
    return evaluate(state, data, Settings(device=device_of(module), layout=layout))


@torch.no_grad()
def predict_batches(
    module: nn.Module, data: Batches, *, layout: str | None = None, hooks: Hooks | None = None
) -> Iterator[Any]:
    """Outputs batch by batch as NumPy arrays, moved to host memory as they come, in float32."""
    hooks = hooks or Hooks([])
    settings = Settings(device=device_of(module), layout=layout)
    predict_step = own_predict_step(module)
    for number, batch in enumerate(data.epoch(0)):
        hooks("on_predict_batch_begin", number)
        x = to_device(batch.x, settings.device)
        if predict_step is not None:
            outputs = predict_step(x)
        else:
            outputs = forward(module, x, settings, training=False)
        moved = tree_map(lambda leaf: leaf.detach().cpu().numpy(), outputs)
        hooks("on_predict_batch_end", number, {"outputs": moved})
        yield moved


def predict(
    module: nn.Module,
    data: Batches,
    *,
    layout: str | None = None,
    callbacks: Any = None,
    verbose: str | int = 0,
) -> Any:
    """All outputs, joined along the first axis."""
    listeners = as_listeners(callbacks)
    listeners += progress(PassLine, verbose, len(data), owner="predict")
    state = State(module, None, None, seed=0, epochs=0, callbacks=listeners)
    _attach(state)
    hooks = Hooks(state.callbacks)
    parts: list[list[np.ndarray]] = []
    structure = None
    hooks("on_predict_begin")
    for outputs in predict_batches(module, data, layout=layout, hooks=hooks):
        leaves, structure = tree_flatten(outputs)
        parts.append(leaves)
    hooks("on_predict_end")
    if structure is None:
        raise DataError(
            "there is nothing to predict: the data are empty, or have run out",
            where="predict(x)",
            why="a generator gives its batches once",
            fix="give an array with samples, or a new generator",
        )
    return tree_unflatten([np.concatenate(column) for column in zip(*parts)], structure)
