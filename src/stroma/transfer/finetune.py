"""Fine-tuning a pretrained network, with the head solved before the first step."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import torch
from torch import nn

from stroma import layers, optimizers
from stroma.core.axes import shape_text
from stroma.core.checks import (
    check_bool,
    check_choice,
    check_int,
    check_number,
    check_positive_int,
)
from stroma.core.errors import ArgumentError, ArgumentTypeError, RunError
from stroma.core.layer import Layer
from stroma.core.plain import Record
from stroma.core.preprocessing import Preprocessing
from stroma.core.records import Score
from stroma.core.seeds import set_random_seed
from stroma.data import ImageData
from stroma.layers.torch_module import Layout
from stroma.models import Model
from stroma.network.copying import copied
from stroma.network.freezing import freeze, unfreeze
from stroma.training.callbacks import Callback
from stroma.training.fitting import choose_device
from stroma.training.state import History
from stroma.transfer.compose import feature_extractor, with_head
from stroma.transfer.features import features
from stroma.transfer.forgetting import SecondHead
from stroma.transfer.halves import Halves
from stroma.transfer.heads import Head, kinds
from stroma.transfer.inputs import as_base, as_image_data, as_tuple, check_pictures
from stroma.transfer.learning import Recipe, learn
from stroma.transfer.penalties import Penalty
from stroma.transfer.stages import Stage, stages
from stroma.transfer.wise import Average, best_of, choose_average

HeadStart = Head | Layer | Sequence[Layer] | str


@dataclass(frozen=True, kw_only=True, slots=True)
class StageRow(Record):
    """How one stage was treated.

    Args:
        start: Its first layer.
        parameters: How many it has.
        rate: Its learning rate as a multiple of the head's; 0: frozen throughout.
    """

    start: str
    parameters: int
    rate: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Finetuned:
    """What `finetune` made.

    Args:
        model: Pictures 0 to 255 (B, H, W, C) -> what the head gives (B, K).
        start: Accuracy on validation before the first step: of the linear probe.
        validation: Accuracy on validation of `model`. The average was chosen on it, so it is a
            little too good: the test part is for the headline.
        averages: Every average that was tried; empty without averaging.
        stages: How each stage was treated, from the input on.
        history: Of the training.
        cached: Whether only the layers above the boundary were run in training.
        seconds: That all of it took.
    """

    model: Model
    start: Score
    validation: Score
    averages: tuple[Average, ...]
    stages: tuple[StageRow, ...]
    history: History
    cached: bool
    seconds: float

    @property
    def alpha(self) -> float:
        """The share of the fine-tuned weights in `model`; the rest is the linear probe's."""
        return best_of(self.averages).alpha if self.averages else 1.0


def finetune(
    base: nn.Module,
    data: ImageData,
    *,
    head: HeadStart = "ridge",
    until: str | None = None,
    epochs: int = 10,
    in_place: bool = False,
    batch_size: int = 32,
    learning_rate: float = 1e-3,
    rate_decay: float = 1 / 2.6,
    warmup: float = 0.1,
    gradual: bool = False,
    batch_normalization: bool = False,
    average: bool = True,
    penalties: Penalty | SecondHead | Sequence[Penalty | SecondHead] = (),
    augment: Layer | Sequence[Layer] = (),
    cache: bool | None = None,
    optimizer: Any = "adamw",
    layer: str | None = None,
    preprocessing: Preprocessing | None = None,
    layout: Layout | None = None,
    precision: str = "auto",
    device: str = "auto",
    seed: int = 0,
    callbacks: Callback | Sequence[Callback] = (),
    verbose: str | int = 0,
) -> Finetuned:
    """Fine-tune a pretrained network on labelled pictures; the test part is not touched.

    The head starts at the closed-form solution on the frozen features (LP-FT): a random one would
    first push wrong gradients through everything that the base has learnt. Each stage below moves
    more slowly than the one above. In the end the weights are averaged with those of the start,
    the share chosen on validation (WiSE-FT). A copy of `base` is tuned: its own weights, and what
    in it is frozen, stay as they are.

    Args:
        base: As for `transfer`; with `head="own"` a classifier that is tuned as it is.
        data: Train is learnt from, validation chooses.
        head: "ridge", "lda" or another head to fit, as in `choose_head` (it must come as layers
            that can learn); or the layers of one that is fitted (`head.as_layers()`), of which new
            ones start at random; "random" is what plain fine-tuning does; "own" keeps the head
            that `base` has.
        until: First layer that is tuned, best a stage's `start`: all before it is frozen and, where
            that can be, run only once: its maps are kept on disk, for this run and later ones (at
            most 8 GB in all), or in memory where that has no room. None: everything is tuned.
        epochs: How often each picture is seen, >= 1.
        in_place: Tune `base` itself, which saves its size in memory. Then it ends with the tuned
            weights, frozen before `until`; other models that share its layers change with it.
        batch_size: Pictures a step, >= 1.
        learning_rate: Of the head, at its highest, > 0; then down a cosine to 0.
        rate_decay: What the rate of each stage is of that above it, in [0, 1]; 1: all the same.
        warmup: Share of the steps over which the rate rises from 0, in [0, 1).
        gradual: Begin with the head alone and thaw one more stage, from the top, with each epoch.
        batch_normalization: Whether BatchNormalization learns too: scale, centre and statistics.
            False keeps those of the base, which few photos cannot improve on.
        average: Whether to average with the start (WiSE-FT); else the last weights stay.
        penalties: Terms of the loss against forgetting: `L2SP`, `EWC`, and one of `LwF`, `Replay`.
        augment: Layers that change pictures in training; then no maps are kept.
        cache: Whether to keep the maps at the boundary; None: where it is right and they fit.
        optimizer: Name or object; its learning rate is replaced.
        layer, preprocessing, layout, device: As in `feature_extractor` and `features`.
        precision: "auto", "float32" or "bfloat16", of the training.
        seed: Of the order, of random heads and of augmentation.
        callbacks: Hooks into the loop; of these, of penalties and of augmentation, a single one
            needs no list.
        verbose: As in `Model.fit`.
    Shape: pictures (N, H, W, C), labels (N,)
    Raises: ArgumentError: a number out of its range, or options that exclude each other.
        GraphError: the network cannot be cut at `until`. RunError: training diverged.
    Example:
        >>> from stroma.data import digits
        >>> x = layers.Input((8, 8, 1))
        >>> y = layers.Conv2D(8, 3, activation="relu", name="conv")(x)
        >>> result = finetune(Model(x, layers.Flatten()(y)), digits(), epochs=1)
        >>> result.validation.value >= result.start.value
        True

    Reference: LP-FT: Kumar et al. 2022 (they fit the head by gradient descent or logistic
        regression). Rates, gradual thawing: Howard & Ruder 2018, ULMFiT, section 3. Averaging:
        Wortsman et al. 2022. That BatchNorm rests is the advice of Keras' guide; fastai trains it.
    """
    began = time.perf_counter()
    check_positive_int("epochs", epochs, owner="finetune")
    check_positive_int("batch_size", batch_size, owner="finetune")
    check_number("learning_rate", learning_rate, owner="finetune", minimum=0, exclusive=True)
    check_int("seed", seed, owner="finetune", minimum=0)
    check_number("rate_decay", rate_decay, owner="finetune", minimum=0, maximum=1)
    check_number("warmup", warmup, owner="finetune", minimum=0, maximum=0.99)
    extras: tuple[Penalty | SecondHead, ...] = as_tuple(
        "penalties", penalties, (Penalty, SecondHead), owner="finetune"
    )
    changes = as_tuple("augment", augment, Layer, owner="finetune")
    hooks = as_tuple("callbacks", callbacks, Callback, owner="finetune")
    _check_optimizer(optimizer)
    as_base(base, owner="finetune")
    as_image_data(data, owner="finetune")
    check_pictures(base, data.shape, owner="finetune")
    if not check_bool("in_place", in_place, owner="finetune"):
        base, head = copied(base), copy.deepcopy(head)
    set_random_seed(seed)
    with torch.random.fork_rng():
        model, top = _start(
            base, data, head, layer=layer, preprocessing=preprocessing, layout=layout, device=device
        )
    halves = Halves.of(model, top, until, bool(changes), cache, data)
    every = stages(model, top)
    freeze(model)  # or normalization that was never frozen would learn
    unfreeze(model, batch_normalization=batch_normalization)
    if until is not None:
        freeze(model, until)
    rates = [rate_decay ** (len(every) - 1 - at) for at in range(len(every))]
    rows = tuple(_row(stage, rate) for stage, rate in zip(every, rates))
    score = halves.scorer(data.validation)
    first = {key: value.detach().clone() for key, value in halves.tuned.state_dict().items()}
    start = score()
    recipe = Recipe(
        epochs=epochs, batch_size=batch_size, optimizer=optimizer, learning_rate=learning_rate,
        warmup=warmup, penalties=extras, augment=changes, precision=precision, seed=seed,
        factors={p: rate for stage, rate in zip(every, rates) for p in stage.parameters},
        verbose=verbose, callbacks=[
            _StopsOnNaN(learning_rate), *([GradualUnfreezing(every)] if gradual else []), *hooks
        ],
    )  # fmt: skip
    try:
        history = learn(halves, data, recipe)
        if not all(p.isfinite().all() for p in halves.tuned.parameters()):
            raise _diverged("the last steps left weights that are not finite", learning_rate)
    except RunError:
        halves.tuned.load_state_dict(first)
        raise
    chooses = average and len(data.validation) > 0
    averages = choose_average(halves.tuned, first, score) if chooses else ()
    count = len(data.validation)
    accuracy = best_of(averages).accuracy if averages else score()[0]
    return Finetuned(
        model=model, averages=averages, stages=rows, history=history, cached=halves.cached,
        start=Score.of("validation accuracy of the start", round(start[0] * count), count),
        validation=Score.of("validation accuracy", round(accuracy * count), count),
        seconds=time.perf_counter() - began,
    )  # fmt: skip


def _start(
    base: nn.Module, data: ImageData, head: HeadStart, *, device: str, **options: Any
) -> tuple[Model, list[Layer]]:
    """The model with its head, and the layers that are the head."""
    place = choose_device(device)
    if isinstance(head, str) and head == "own":
        if not isinstance(base, Model):
            raise ArgumentError(
                f'head="own" needs a model, got {type(base).__name__}',
                where='finetune(base, data, head="own")',
                why="the head is the last of its layers that has weights",
                fix='head="ridge"',
            )
        classes, shape = len(data.class_names), base.output_shape
        if len(shape) != 2 or shape[1] != classes:
            raise ArgumentError(
                f"this base has no head for {classes} classes: it gives {shape_text(shape)}",
                where='finetune(base, data, head="own")',
                why="its own head would have to give one number for each class",
                fix='head="ridge"',
            )
        last = [call for call in stages(base)[-1].layers if list(call.parameters())][-1:]
        return base.to(place), last
    extractor = feature_extractor(base, input_shape=data.shape, **options).to(place)
    classes = len(data.class_names)
    if isinstance(head, str):
        check_choice("head", head, (*kinds, "random", "own"), owner="finetune")
    if isinstance(head, str) and head == "random":
        dense = layers.Dense(classes, activation="softmax", name="head")
        return with_head(extractor, [dense]), [dense]
    if isinstance(head, (Head, str)):
        solver = head if isinstance(head, Head) else kinds.lookup(head)()
        found = features(extractor, data.train, device=device)
        own = solver.fit(found, data.train.labels, classes).as_layers()
    else:
        own = list(as_tuple("head", head, Layer, owner="finetune"))
    whole = with_head(extractor, own)
    if not any(list(part.parameters()) for part in own):
        raise ArgumentError(
            "the head has no weights that could learn",
            where="finetune(head=...)",
            why="fine-tuning moves the head together with the features",
            fix='head="ridge"',
        )
    if whole.output_shape[1:] != (classes,):
        raise ArgumentError(
            f"the head gives {shape_text(whole.output_shape)} for {classes} classes",
            where="finetune(head=...)",
            why="it has one number for each class",
            fix=f"head=[stroma.layers.Dense({classes}, activation='softmax')]",
        )
    return whole, own


def _check_optimizer(given: Any) -> None:
    if not isinstance(given, (str, dict, optimizers.Optimizer)):
        raise ArgumentTypeError(
            f"finetune: optimizer {given!r} is none of stroma's",
            where="finetune(optimizer=...)",
            why="each stage has a rate of its own, which they know",
            fix="finetune(optimizer='sgd'), or stroma.optimizers.SGD(momentum=0.9)",
        )


class _StopsOnNaN(Callback):
    """Ends the training in an error at the first step whose loss is not finite."""

    def __init__(self, learning_rate: float) -> None:
        super().__init__()
        self._rate = learning_rate

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            what = f"the loss is {loss} at batch {batch} of epoch {self.state.epoch + 1}"
            raise _diverged(what, self._rate)


def _diverged(what: str, learning_rate: float) -> RunError:
    return RunError(
        f"fine-tuning diverged: {what}",
        where=f"finetune(learning_rate={learning_rate:g})",
        why="a step went so far that the numbers ran out of range; the weights are as they were",
        fix=f"finetune(learning_rate={learning_rate / 10:g})",
    )


def _row(stage: Stage, rate: float) -> StageRow:
    learns = any(parameter.requires_grad for parameter in stage.parameters)
    count = sum(parameter.numel() for parameter in stage.parameters)
    return StageRow(start=stage.start, parameters=count, rate=rate if learns else 0.0)


class GradualUnfreezing(Callback):
    """Thaw a network from the top: in epoch e, counted from 0, the last e + 1 stages learn.

    What is frozen when training begins, such as BatchNormalization, stays frozen.

    Args:
        stages: From the input on, as `transfer.stages.stages` gives them.
    Reference: Howard & Ruder 2018, "Universal language model fine-tuning", section 3.3.
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        super().__init__()
        self._stages = list(stages)
        self._learning = [
            [part for layer in stage.layers for part in layer.modules() if _learns(part)]
            for stage in stages
        ]

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        resting = len(self._stages) - 1 - epoch
        for at, parts in enumerate(self._learning):
            for part in parts:
                part.trainable = at >= resting


def _learns(part: nn.Module) -> TypeGuard[Layer]:
    """Whether it is a layer that learns as a whole: thawing it thaws nothing that should rest."""
    return (
        isinstance(part, Layer)
        and part.trainable
        and all(parameter.requires_grad for parameter in part.parameters())
        and not any(isinstance(inner, Layer) and not inner.trainable for inner in part.modules())
    )
