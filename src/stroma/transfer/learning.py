"""The training inside fine-tuning: a network with what only training needs, and what it is fed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from stroma import layers, optimizers
from stroma.core.errors import ArgumentError
from stroma.core.layer import Layer
from stroma.data import ImageData, Part
from stroma.losses import SparseCategoricalCrossentropy
from stroma.models import Model
from stroma.schedules import CosineDecay
from stroma.training.callbacks import Callback
from stroma.training.state import History
from stroma.transfer.forgetting import SecondHead, Targets, soft_cross_entropy
from stroma.transfer.halves import Halves, are_probabilities
from stroma.transfer.penalties import Penalised, Penalty, Tuning


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How to train; `finetune` says what each means. `factors`: rate of each parameter, times."""

    epochs: int
    batch_size: int
    optimizer: Any
    learning_rate: float
    warmup: float
    factors: dict[Tensor, float]
    penalties: Sequence[Penalty | SecondHead]
    augment: Sequence[Layer]
    precision: str
    seed: int
    verbose: str | int
    callbacks: list[Callback]


@dataclass(frozen=True, slots=True)
class _Fed:
    """What `fit` is given; `scales`: what keeps the mean of each loss over its own samples."""

    x: Any
    y: Any
    weight: Any
    rows: int
    scales: tuple[float, float] = (1.0, 1.0)


def learn(halves: Halves, data: ImageData, recipe: Recipe) -> History:
    """Train `halves.tuned` in place."""
    second = _only([extra for extra in recipe.penalties if isinstance(extra, SecondHead)])
    added = [extra for extra in recipe.penalties if isinstance(extra, Penalty)]
    tuning = Tuning(halves.body, halves.top, halves.photos, data.train)
    for penalty in added:
        penalty.begin(tuning)
    inputs = layers.Input(batch_shape=halves.body.input_shape)
    x = inputs
    for change in recipe.augment:
        x = change(x)
    x = halves.body(x)
    x = Penalised(added)(x) if added else x
    outputs = [halves.top(x), *([second(x)] if second else [])]
    trained = Model(inputs, outputs if second else outputs[0])
    fed = (
        _with_targets(halves, data.train, second.targets(tuning), outputs[1].shape[-1])
        if second
        else _plain(halves, data.train)
    )
    few = fed.x[:2] if second or halves.cached else fed.x.take(slice(2))
    first = halves.tuned.predict(few, verbose=0)
    loss = SparseCategoricalCrossentropy(from_logits=not are_probabilities(first))
    trained.compile(
        _paced(recipe, fed.rows),
        [loss, soft_cross_entropy] if second else loss,
        loss_weights=[fed.scales[0], fed.scales[1] * second.strength] if second else None,
        weighted_metrics=[["accuracy"], []] if second else ["accuracy"],
        precision=recipe.precision,
    )
    return trained.fit(
        fed.x, fed.y, sample_weight=fed.weight, batch_size=recipe.batch_size, epochs=recipe.epochs,
        seed=recipe.seed, verbose=recipe.verbose, callbacks=recipe.callbacks,
    )  # fmt: skip


def _only(seconds: list[SecondHead]) -> SecondHead | None:
    if len(seconds) > 1:
        raise ArgumentError(
            f"{len(seconds)} second heads: {', '.join(type(s).__name__ for s in seconds)}",
            where="finetune(penalties=[...])",
            why="each wants the old head to itself",
            fix="give one of LwF, Replay",
        )
    return seconds[0] if seconds else None


def _paced(recipe: Recipe, rows: int) -> optimizers.Optimizer:
    """The optimizer with its schedule (a rise, then half a cosine) and the stages' rates."""
    rule: optimizers.Optimizer = optimizers.get(recipe.optimizer)
    steps = recipe.epochs * -(-rows // recipe.batch_size)
    rising = int(recipe.warmup * steps)
    rule.learning_rate = (
        CosineDecay(0.0, steps - rising, warmup_target=recipe.learning_rate, warmup_steps=rising)
        if rising
        else CosineDecay(recipe.learning_rate, steps)
    )
    rule.set_rate_factors(recipe.factors)
    return rule


def _plain(halves: Halves, train: Part) -> _Fed:
    x = halves.inputs_of(train)
    return _Fed(x, train.labels if halves.cached else None, None, len(train))


def _with_targets(halves: Halves, train: Part, targets: Targets, old_classes: int) -> _Fed:
    """Pictures, or maps, in memory, with what both heads should say of each."""
    x = halves.inputs_of(train) if halves.cached else train.images()
    count, labels = len(train), train.labels
    if targets.old is None:
        return _Fed(x, [labels, np.asarray(targets.soft, np.float32)], None, count)
    again = halves.inputs_of(targets.old) if halves.cached else targets.old.images()
    old, total = len(again), count + len(again)
    said = np.zeros((total, old_classes), np.float32)
    said[np.arange(count, total), targets.old.labels] = 1
    is_new = (np.arange(total) < count).astype(np.float32)
    return _Fed(
        np.concatenate([x, again]),
        [np.concatenate([labels, np.zeros(old, np.int64)]), said],
        [is_new, 1 - is_new],
        total,
        (total / count, total / old),
    )
