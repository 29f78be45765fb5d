"""How a network is trained from scratch: the settings, the network, and what `fit` needs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from stroma import layers, zoo
from stroma.core.plain import Record
from stroma.core.seeds import mix
from stroma.core.tasks import Task
from stroma.jobs.questions import QUESTIONS
from stroma.jobs.views import RandomView
from stroma.losses import LossFunctionWrapper
from stroma.models import Model
from stroma.optimizers import SGD
from stroma.schedules import CosineDecay
from stroma.training import fitting
from stroma.zoo.blocks import Symbolic
from stroma.zoo.resnet import basic_block

SMALL = "small residual network"


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe(Record):
    """Every setting of a training from scratch: from it and the data, the weights follow.

    Args:
        model: `SMALL`, or a name of the zoo.
        shape: (height, width, channels) of the stored pictures: what the finished network sees.
        classes: Number of classes; 1 of a number.
        task: What is learnt of the photos.
        scale: (mean, deviation) that targets are learnt by, of a number.
        width: Channels of the first stage; each further stage has twice as many.
        blocks: Residual blocks in each stage.
        stem: By how much the first layers reduce the picture: 1, 2 or 4.
        view: (height, width) of the views in training; `visible` to `mirror` as in `RandomView`.
        learning_rate: Its top, after the warm-up.
        weight_decay: Decoupled: a step takes learning_rate · weight_decay off convolutions.
        label_smoothing: Share of the target that is spread over all classes.
        warm_up: Share of the steps in which the rate rises.
        validate_every: Epochs from one validation to the next; the last is always validated.
        precision: A dtype by name, resolved: never "auto".
    """

    model: str = SMALL
    shape: tuple[int, ...]
    classes: int
    task: Task = "one class"
    scale: tuple[float, ...] = (0.0, 1.0)
    width: int = 32
    blocks: tuple[int, ...] = (1, 1, 1)
    stem: int = 1
    view: tuple[int, ...]
    visible: tuple[float, ...] = (1.0, 1.0)
    stretch: float = 1.0
    turn: float = 0.0
    shift: float = 0.0
    mirror: bool = False
    epochs: int = 1
    batch_size: int = 64
    learning_rate: float = 0.1
    weight_decay: float = 5e-3
    label_smoothing: float = 0.1
    warm_up: float = 0.2
    validate_every: int = 1
    precision: str = "float32"
    seed: int = 0

    @property
    def validated(self) -> tuple[int, ...]:
        """The epochs, counted from 1, after which validation is measured."""
        return tuple(sorted({self.epochs, *range(0, self.epochs, self.validate_every)} - {0}))


def network(recipe: Recipe, *, any_size: bool = False) -> Model:
    """The network, pictures 0 to 255 in, logits out, with the first weights of the recipe's seed.

    Of a number the one output is standardised, by `Recipe.scale`.

    Shape: (B, H, W, C) -> (B, K)
    """
    height, width, channels = recipe.shape
    shape = (None, None, channels) if any_size else (height, width, channels)
    with _own_randomness(recipe.seed):
        inputs = layers.Input(shape)
        x = layers.Rescaling(1 / 127.5, -1.0, name="rescaling")(inputs)
        if recipe.model != SMALL:
            build = zoo.architectures.lookup(recipe.model)
            core = build(weights=None, classes=recipe.classes, input_shape=shape)
            return Model(inputs, core(x), name=recipe.model)
        return Model(inputs, _small_residual(x, recipe), name="small_residual")


def shipped(recipe: Recipe) -> Model:
    """The same with what makes answers of several classes, or a number, of its outputs."""
    core, question = network(recipe), QUESTIONS.get(recipe.task)
    if question is None:
        return core
    return Model(core.input, question.ending(recipe.scale)(core.output), name=core.name)


def _small_residual(x: Symbolic, recipe: Recipe) -> Symbolic:
    """A stem, stages of basic blocks, average pooling, a classifier (He et al. 2016)."""
    x = layers.Conv2D(
        recipe.width, 3 if recipe.stem < 4 else 5, min(recipe.stem, 2), "same", use_bias=False,
        kernel_initializer="he_normal", name="conv1",
    )(x)  # fmt: skip
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="bn1")(x)
    x = layers.ReLU(name="relu")(x)
    if recipe.stem == 4:
        x = layers.MaxPooling2D(3, 2, "same", name="maxpool")(x)
    for stage, depth in enumerate(recipe.blocks):
        for number in range(depth):
            stride = 2 if stage and number == 0 else 1
            x = basic_block(x, recipe.width * 2**stage, stride, f"layer{stage + 1}.{number}")
    x = layers.GlobalAveragePooling2D(name="avgpool")(x)
    return layers.Dense(recipe.classes, name="fc")(x)


def pupil(recipe: Recipe) -> tuple[Model, Model]:
    """(what is trained, the network in it): in training, random views come before the network."""
    core = network(recipe, any_size=recipe.view != recipe.shape[:2])
    inputs = layers.Input(recipe.shape)
    view = RandomView(
        (recipe.view[0], recipe.view[1]), (recipe.visible[0], recipe.visible[1]),
        recipe.stretch, recipe.turn, recipe.shift, recipe.mirror, name="view",
    )  # fmt: skip
    return Model(inputs, core(view(inputs)), name="training"), core


def how_to_train(recipe: Recipe, steps: int) -> fitting.Compiled:
    """Nesterov momentum under one warm-up and one cosine to zero over all `steps`.

    Reference: Sutskever et al. 2013 (momentum); Smith & Topin 2019 (one cycle); Szegedy et al.
    2016 (label smoothing). Decay spares biases and normalisation, as in He et al. 2019.
    """
    rise = round(recipe.warm_up * steps)
    rate = CosineDecay(
        recipe.learning_rate / 20, max(1, steps - rise), warmup_target=recipe.learning_rate,
        warmup_steps=rise,
    )  # fmt: skip
    optimizer = SGD(rate, momentum=0.9, nesterov=True, weight_decay=recipe.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])

    question = QUESTIONS.get(recipe.task)

    def loss(y_true: Tensor, y_pred: Tensor) -> Tensor:
        if question is not None:
            return question.loss(y_true, y_pred.float(), recipe.scale)
        return F.cross_entropy(
            y_pred, y_true.long(), label_smoothing=recipe.label_smoothing, reduction="none"
        )

    named = LossFunctionWrapper(loss, name="sparse_categorical_crossentropy")
    metrics = ["accuracy"] if question is None else None
    return fitting.compiled(
        optimizer, named, metrics=metrics, precision=recipe.precision, jit_compile=False
    )


@contextmanager
def _own_randomness(seed: int) -> Iterator[None]:
    """The first weights depend on the seed alone, and nobody else's draws depend on them."""
    before = random.getstate()  # initializers take their seeds from Python's generator, as in Keras
    random.seed(mix(seed, 1))
    try:
        yield
    finally:
        random.setstate(before)
