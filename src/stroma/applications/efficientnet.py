"""Keras' EfficientNet: it takes pixels from 0 to 255 and scales them itself.

Not `stroma.zoo.efficientnet_b0`, which is torchvision's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from stroma import layers
from stroma.applications.building import (
    Builder,
    Part,
    Symbolic,
    averaged,
    correct_pad,
    divisible,
    network,
)
from stroma.applications.imagenet_utils import decode_predictions, preprocessing
from stroma.core.preprocessing import Preprocessing
from stroma.initializers import VarianceScaling

__all__ = [
    "EfficientNetB0", "EfficientNetB1", "EfficientNetB2", "EfficientNetB3", "EfficientNetB4",
    "EfficientNetB5", "EfficientNetB6", "EfficientNetB7", "decode_predictions", "preprocess_input",
]  # fmt: skip

preprocess_input = preprocessing(None)
# expansion, kernel, stride of the first block, filters, blocks: table 1 of the paper
_STAGES = (
    (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4), (6, 3, 1, 320, 1),
)  # fmt: skip
DROP = 0.2  # of the deepest block's samples in training; earlier ones in proportion to depth


def he_normal() -> VarianceScaling:
    return VarianceScaling(2.0, "fan_out", "truncated_normal")


def convolution(x: Symbolic, filters: int, name: str, activation: str | None = None) -> Symbolic:
    """1x1, with a bias only where no BatchNormalization follows."""
    return layers.Conv2D(
        filters, 1, padding="same", activation=activation, use_bias=activation is not None,
        kernel_initializer=he_normal(), name=name,
    )(x)  # fmt: skip


def activated(x: Symbolic, name: str, normalization: str, momentum: float = 0.99) -> Symbolic:
    """BatchNormalization under its own name, then SiLU under the block's."""
    x = layers.BatchNormalization(momentum=momentum, name=normalization)(x)
    return layers.Activation("silu", name=f"{name}activation")(x)


def skipped(y: Symbolic, x: Symbolic, drop: float, name: str) -> Symbolic:
    """A block's result beside its input; in training a sample goes past the block at times."""
    if drop:
        y = layers.Dropout(drop, noise_shape=(None, 1, 1, 1), name=f"{name}drop")(y)
    return layers.Add(name=f"{name}add")([y, x])


def excited(x: Symbolic, squeezed: int, name: str) -> Symbolic:
    """Channels weighed by what the whole picture holds (squeeze and excitation)."""
    filters = x.shape[-1]
    y = layers.GlobalAveragePooling2D(name=f"{name}se_squeeze")(x)
    y = layers.Reshape((1, 1, filters), name=f"{name}se_reshape")(y)
    y = convolution(y, squeezed, f"{name}se_reduce", "silu")
    y = convolution(y, filters, f"{name}se_expand", "sigmoid")
    return layers.Multiply(name=f"{name}se_excite")([x, y])


def _block(
    x: Symbolic, expansion: int, kernel: int, stride: int, filters: int, drop: float, name: str
) -> Symbolic:
    y = x
    if expansion != 1:
        y = convolution(y, expansion * x.shape[-1], f"{name}expand_conv")
        y = activated(y, f"{name}expand_", f"{name}expand_bn")
    if stride == 2:
        y = layers.ZeroPadding2D(correct_pad(y, kernel), name=f"{name}dwconv_pad")(y)
    y = layers.DepthwiseConv2D(
        kernel, stride, "valid" if stride == 2 else "same", use_bias=False,
        depthwise_initializer=he_normal(), name=f"{name}dwconv",
    )(y)  # fmt: skip
    y = activated(y, name, f"{name}bn")
    y = excited(y, x.shape[-1] // 4, name)
    y = convolution(y, filters, f"{name}project_conv")
    y = layers.BatchNormalization(name=f"{name}project_bn")(y)
    if stride != 1 or x.shape[-1] != filters:
        return y
    return skipped(y, x, drop, name)


def _features(x: Symbolic, width: float, depth: float) -> Symbolic:
    x = layers.Rescaling(1 / 255)(x)
    x = layers.Normalization(axis=3)(x)
    x = layers.ZeroPadding2D(correct_pad(x, 3), name="stem_conv_pad")(x)
    x = layers.Conv2D(
        divisible(32 * width), 3, 2, use_bias=False, kernel_initializer=he_normal(),
        name="stem_conv",
    )(x)  # fmt: skip
    x = activated(x, "stem_", "stem_bn")
    depths = [math.ceil(depth * blocks) for *_, blocks in _STAGES]
    done = 0
    for stage, (expansion, kernel, first_stride, filters, _) in enumerate(_STAGES):
        for number in range(depths[stage]):
            name = f"block{stage + 1}{chr(ord('a') + number)}_"
            stride = first_stride if number == 0 else 1
            drop = DROP * done / sum(depths)
            x = _block(x, expansion, kernel, stride, divisible(filters * width), drop, name)
            done += 1
    x = convolution(x, divisible(1280 * width), "top_conv")
    return activated(x, "top_", "top_bn")


def summary(x: Symbolic, dropout: float) -> Symbolic:
    """The means of the channels, some of them dropped in training."""
    return layers.Dropout(dropout, name="top_dropout")(averaged(x))


def dense_initializer() -> VarianceScaling:
    """Of the classifier."""
    return VarianceScaling(1 / 3, "fan_out", "uniform")


def _network(version: int, size: int, dropout: float) -> Callable[[Part], Builder]:
    return network(
        f"efficientnetb{version}", Preprocessing(scale=1.0), size=size,
        summary=partial(summary, dropout=dropout), kernel_initializer=dense_initializer(),
    )  # fmt: skip


@_network(0, 224, 0.2)
def EfficientNetB0(x: Symbolic) -> Symbolic:  # noqa: N802  (Keras' name)
    """Keras' EfficientNet-B0: 5,330,571 numbers, 42,023 of them statistics of its inputs.

    Pixels go in as they are, from 0 to 255. Arguments as `ResNet50`.

    Shape: (B, H, W, 3) -> (B, classes), or (B, H/32, W/32, 1280) without top
    Raises: WeightsError: the weights do not fit, torchvision's among them.
    Reference: Tan & Le 2019, "EfficientNet"; B1 to B7 are wider, deeper and see larger pictures.
        Keras adds a second `Rescaling` when it fetches its own ImageNet weights, and none
        otherwise; here there is none.
    """
    return _features(x, 1.0, 1.0)


@_network(1, 240, 0.2)
def EfficientNetB1(x: Symbolic) -> Symbolic:  # noqa: N802  (Keras' name)
    """Keras' EfficientNet-B1: 7,856,239 numbers; 240 x 240 pixels as `EfficientNetB0`.

    Shape: (B, H, W, 3) -> (B, classes), or (B, H/32, W/32, 1280) without top
    """
    return _features(x, 1.0, 1.1)


@_network(2, 260, 0.3)
def EfficientNetB2(x: Symbolic) -> Symbolic:  # noqa: N802  (Keras' name)
    """Keras' EfficientNet-B2: 9,177,569 numbers; 260 x 260 pixels as `EfficientNetB0`.

    Shape: (B, H, W, 3) -> (B, classes), or (B, H/32, W/32, 1408) without top
    """
    return _features(x, 1.1, 1.2)


@_network(3, 300, 0.3)
def EfficientNetB3(x: Symbolic) -> Symbolic:  # noqa: N802  (Keras' name)
    """Keras' EfficientNet-B3: 12,320,535 numbers; 300 x 300 pixels as `EfficientNetB0`.

    Shape: (B, H, W, 3) -> (B, classes), or (B, H/32, W/32, 1536) without top
    """
    return _features(x, 1.2, 1.4)


@_network(4, 380, 0.4)
def EfficientNetB4(x: Symbolic) -> Symbolic:  # noqa: N802  (Keras' name)
    """Keras' EfficientNet-B4: 19,466,823 numbers; 380 x 380 pixels as `EfficientNetB0`.

    Shape: (B, H, W, 3) -> (B, classes), or (B, H/32, W/32, 1792) without top
    """
    return _features(x, 1.4, 1.8)


@_network(5, 456, 0.4)
def EfficientNetB5(x: Symbolic) -> Symbolic:  # noqa: N802  (Keras' name)
    """Keras' EfficientNet-B5: 30,562,527 numbers; 456 x 456 pixels as `EfficientNetB0`.

    Shape: (B, H, W, 3) -> (B, classes), or (B, H/32, W/32, 2048) without top
    """
    return _features(x, 1.6, 2.2)


@_network(6, 528, 0.5)
def EfficientNetB6(x: Symbolic) -> Symbolic:  # noqa: N802  (Keras' name)
    """Keras' EfficientNet-B6: 43,265,143 numbers; 528 x 528 pixels as `EfficientNetB0`.

    Shape: (B, H, W, 3) -> (B, classes), or (B, H/32, W/32, 2304) without top
    """
    return _features(x, 1.8, 2.6)


@_network(7, 600, 0.5)
def EfficientNetB7(x: Symbolic) -> Symbolic:  # noqa: N802  (Keras' name)
    """Keras' EfficientNet-B7: 66,658,687 numbers; 600 x 600 pixels as `EfficientNetB0`.

    Shape: (B, H, W, 3) -> (B, classes), or (B, H/32, W/32, 2560) without top
    """
    return _features(x, 2.0, 3.1)
