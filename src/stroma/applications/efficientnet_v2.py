"""Keras' EfficientNetV2: early blocks look and widen in one convolution ("fused").

It takes pixels from 0 to 255 and scales them itself, unless told not to.
Reference: Tan & Le 2021, "EfficientNetV2: Smaller Models and Faster Training".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, cast

from stroma import layers
from stroma.applications.building import (
    InputShape,
    Part,
    Pooling,
    Symbolic,
    Weights,
    as_builder,
    entry,
    finished,
    with_top,
)
from stroma.applications.efficientnet import (
    DROP,
    activated,
    dense_initializer,
    excited,
    he_normal,
    skipped,
    summary,
)
from stroma.applications.imagenet_utils import decode_predictions, preprocessing
from stroma.core.preprocessing import PREPROCESSING_MODES, Preprocessing
from stroma.models import Model

__all__ = [
    "EfficientNetV2B0", "EfficientNetV2B1", "EfficientNetV2B2", "EfficientNetV2B3",
    "EfficientNetV2S", "EfficientNetV2M", "EfficientNetV2L", "decode_predictions",
    "preprocess_input",
]  # fmt: skip

preprocess_input = preprocessing(None)
Stages = tuple[tuple[int, int, int, int], ...]
_FUSED = 3  # stages that begin a network
# expansion, stride of the first block, filters, blocks
_BASE: Stages = (
    (1, 1, 16, 1), (4, 2, 32, 2), (4, 2, 48, 2), (4, 2, 96, 3), (6, 1, 112, 5), (6, 2, 192, 8),
)  # fmt: skip
_SMALL: Stages = (
    (1, 1, 24, 2), (4, 2, 48, 4), (4, 2, 64, 4), (4, 2, 128, 6), (6, 1, 160, 9), (6, 2, 256, 15),
)  # fmt: skip
_MEDIUM: Stages = (
    (1, 1, 24, 3), (4, 2, 48, 5), (4, 2, 80, 5), (4, 2, 160, 7), (6, 1, 176, 14), (6, 2, 304, 18),
    (6, 1, 512, 5),
)  # fmt: skip
_LARGE: Stages = (
    (1, 1, 32, 4), (4, 2, 64, 7), (4, 2, 96, 7), (4, 2, 192, 10), (6, 1, 224, 19), (6, 2, 384, 25),
    (6, 1, 640, 7),
)  # fmt: skip
# how the weights of the base networks, and of the others, want their pictures
_SCALED = {True: PREPROCESSING_MODES["torch"], False: Preprocessing(scale=1 / 128, mean=(1, 1, 1))}


def _convolution(x: Symbolic, filters: int, kernel: int, stride: int, name: str) -> Symbolic:
    return layers.Conv2D(
        filters, kernel, stride, "same", use_bias=False, kernel_initializer=he_normal(), name=name
    )(x)


def _activated(x: Symbolic, name: str, normalization: str) -> Symbolic:
    return activated(x, name, normalization, momentum=0.9)


def _fused(x: Symbolic, expansion: int, stride: int, filters: int, name: str) -> Symbolic:
    """3x3 up, 1x1 down; without expansion a single 3x3."""
    if expansion == 1:
        y = _convolution(x, filters, 3, stride, f"{name}project_conv")
        return _activated(y, f"{name}project_", f"{name}project_bn")
    y = _convolution(x, expansion * x.shape[-1], 3, stride, f"{name}expand_conv")
    y = _activated(y, f"{name}expand_", f"{name}expand_bn")
    y = _convolution(y, filters, 1, 1, f"{name}project_conv")
    return layers.BatchNormalization(momentum=0.9, name=f"{name}project_bn")(y)


def _separate(x: Symbolic, expansion: int, stride: int, filters: int, name: str) -> Symbolic:
    """1x1 up, 3x3 at each channel alone, channels weighed, 1x1 down."""
    y = _convolution(x, expansion * x.shape[-1], 1, 1, f"{name}expand_conv")
    y = _activated(y, f"{name}expand_", f"{name}expand_bn")
    y = layers.DepthwiseConv2D(
        3, stride, "same", use_bias=False, depthwise_initializer=he_normal(),
        name=f"{name}dwconv2",
    )(y)  # fmt: skip
    y = excited(_activated(y, name, f"{name}bn"), x.shape[-1] // 4, name)
    y = _convolution(y, filters, 1, 1, f"{name}project_conv")
    return layers.BatchNormalization(momentum=0.9, name=f"{name}project_bn")(y)


def _features(x: Symbolic, stages: Stages, width: float = 1.0, depth: float = 1.0) -> Symbolic:
    def wide(filters: int) -> int:  # without `divisible`'s limit of 90 %, as Keras has it
        return max(8, int(filters * width + 4) // 8 * 8)

    stem = 32 if stages is _BASE else stages[0][2]
    x = _convolution(x, wide(stem), 3, 2, "stem_conv")
    x = _activated(x, "stem_", "stem_bn")
    # Keras' quirk: depth scales the blocks, but not their number in the proportion of dropping
    total, done = sum(blocks for *_, blocks in stages), 0
    for stage, (expansion, first_stride, filters, blocks) in enumerate(stages):
        block = _fused if stage < _FUSED else _separate
        for number in range(math.ceil(depth * blocks)):
            name = f"block{stage + 1}{chr(ord('a') + number)}_"
            stride = first_stride if number == 0 else 1
            y = block(x, expansion, stride, wide(filters), name)
            same = stride == 1 and x.shape[-1] == y.shape[-1]
            x = skipped(y, x, DROP * done / total, name) if same else y
            done += 1
    x = _convolution(x, wide(1280), 1, 1, "top_conv")
    return _activated(x, "top_", "top_bn")


def _scaled(x: Symbolic, base: bool) -> Symbolic:
    if not base or x.shape[-1] != 3:
        return layers.Rescaling(1 / 128, offset=-1)(x)
    how = PREPROCESSING_MODES["torch"]
    x = layers.Rescaling(how.scale)(x)
    variance = [deviation**2 for deviation in how.std]
    return layers.Normalization(mean=list(how.mean), variance=variance, axis=3)(x)


class _Builder(Protocol):
    def __call__(
        self,
        include_top: bool = True,
        weights: Weights = None,
        input_tensor: Any = None,
        input_shape: InputShape = None,
        pooling: Pooling = None,
        classes: int = 1000,
        classifier_activation: str | None = "softmax",
        include_preprocessing: bool = True,
        name: str = ...,
    ) -> Model: ...


def _network(version: str, size: int) -> Callable[[Part], _Builder]:
    """`building.network`, with the choice of who scales the pixels."""
    base = version.startswith("b")

    def decorate(features: Part) -> _Builder:
        def build(
            include_top: bool = True,
            weights: Weights = None,
            input_tensor: Any = None,
            input_shape: InputShape = None,
            pooling: Pooling = None,
            classes: int = 1000,
            classifier_activation: str | None = "softmax",
            include_preprocessing: bool = True,
            name: str = f"efficientnetv2-{version}",
        ) -> Model:
            owner = build.__name__
            x = entry(input_tensor, input_shape, include_top, size, owner=owner)
            y = with_top(
                features(_scaled(x, base) if include_preprocessing else x),
                include_top=include_top, pooling=pooling, classes=classes,
                activation=classifier_activation, owner=owner,
                summary=partial(summary, dropout=0.2), kernel_initializer=dense_initializer(),
            )  # fmt: skip
            scale = Preprocessing(scale=1.0) if include_preprocessing else _SCALED[base]
            return finished(x, y, name, weights, replace(scale, size=(size, size)))

        return cast(_Builder, as_builder(build, features))

    return decorate


@_network("b0", 224)
def EfficientNetV2B0(x: Symbolic) -> Symbolic:  # noqa: N802  (Keras' name)
    """Keras' EfficientNetV2-B0: 7,200,312 numbers. Other arguments as `ResNet50`.

    Args:
        include_preprocessing: Whether the network scales pixels from 0 to 255 itself.

    Shape: (B, H, W, 3) -> (B, classes), or (B, H/32, W/32, 1280) without top
    Raises: WeightsError: the weights do not fit.
    Reference: Tan & Le 2021, table 4. In Keras the given `name` decides how pixels are scaled;
        here the network does, and its name is free.
    """
    return _features(x, _BASE)


@_network("b1", 240)
def EfficientNetV2B1(x: Symbolic) -> Symbolic:  # noqa: N802  (Keras' name)
    """Keras' EfficientNetV2-B1: 8,212,124 numbers; 240 x 240 pixels as `EfficientNetV2B0`.

    Shape: (B, H, W, 3) -> (B, classes), or (B, H/32, W/32, 1280) without top
    """
    return _features(x, _BASE, 1.0, 1.1)


@_network("b2", 260)
def EfficientNetV2B2(x: Symbolic) -> Symbolic:  # noqa: N802  (Keras' name)
    """Keras' EfficientNetV2-B2: 10,178,374 numbers; 260 x 260 pixels as `EfficientNetV2B0`.

    Shape: (B, H, W, 3) -> (B, classes), or (B, H/32, W/32, 1408) without top
    """
    return _features(x, _BASE, 1.1, 1.2)


@_network("b3", 300)
def EfficientNetV2B3(x: Symbolic) -> Symbolic:  # noqa: N802  (Keras' name)
    """Keras' EfficientNetV2-B3: 14,467,622 numbers; 300 x 300 pixels as `EfficientNetV2B0`.

    Shape: (B, H, W, 3) -> (B, classes), or (B, H/32, W/32, 1536) without top
    """
    return _features(x, _BASE, 1.2, 1.4)


@_network("s", 384)
def EfficientNetV2S(x: Symbolic) -> Symbolic:  # noqa: N802  (Keras' name)
    """Keras' EfficientNetV2-S: 21,612,360 numbers; 384 x 384 pixels as `EfficientNetV2B0`.

    Shape: (B, H, W, 3) -> (B, classes), or (B, H/32, W/32, 1280) without top
    """
    return _features(x, _SMALL)


@_network("m", 480)
def EfficientNetV2M(x: Symbolic) -> Symbolic:  # noqa: N802  (Keras' name)
    """Keras' EfficientNetV2-M: 54,431,388 numbers; 480 x 480 pixels as `EfficientNetV2B0`.

    Shape: (B, H, W, 3) -> (B, classes), or (B, H/32, W/32, 1280) without top
    """
    return _features(x, _MEDIUM)


@_network("l", 480)
def EfficientNetV2L(x: Symbolic) -> Symbolic:  # noqa: N802  (Keras' name)
    """Keras' EfficientNetV2-L: 119,027,848 numbers; 480 x 480 pixels as `EfficientNetV2B0`.

    Shape: (B, H, W, 3) -> (B, classes), or (B, H/32, W/32, 1280) without top
    """
    return _features(x, _LARGE)
