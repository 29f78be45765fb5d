"""Keras' EfficientNet: it takes pixels from 0 to 255 and scales them itself.

Not `stroma.zoo.efficientnet_b0`, which is torchvision's.
"""

from __future__ import annotations

from typing import Any

from stroma import layers
from stroma.applications.building import (
    InputShape,
    Pooling,
    Symbolic,
    Weights,
    correct_pad,
    entry,
    loaded,
    with_top,
)
from stroma.core.preprocessing import Preprocessing
from stroma.initializers import VarianceScaling
from stroma.models import Model

# expansion, kernel, stride of the first block, filters, blocks: table 1 of the paper
_STAGES = (
    (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4), (6, 3, 1, 320, 1),
)  # fmt: skip
_DROP = 0.2  # of the deepest block's samples in training; earlier ones in proportion to depth


def _he_normal() -> VarianceScaling:
    return VarianceScaling(2.0, "fan_out", "truncated_normal")


def _convolution(x: Symbolic, filters: int, name: str, activation: str | None = None) -> Symbolic:
    """1x1, with a bias only where no BatchNormalization follows."""
    return layers.Conv2D(
        filters, 1, padding="same", activation=activation, use_bias=activation is not None,
        kernel_initializer=_he_normal(), name=name,
    )(x)  # fmt: skip


def _activated(x: Symbolic, name: str, normalization: str) -> Symbolic:
    x = layers.BatchNormalization(name=normalization)(x)
    return layers.Activation("silu", name=f"{name}activation")(x)


def _excited(x: Symbolic, squeezed: int, name: str) -> Symbolic:
    """Channels weighed by what the whole picture holds (squeeze and excitation)."""
    filters = x.shape[-1]
    y = layers.GlobalAveragePooling2D(name=f"{name}se_squeeze")(x)
    y = layers.Reshape((1, 1, filters), name=f"{name}se_reshape")(y)
    y = _convolution(y, squeezed, f"{name}se_reduce", "silu")
    y = _convolution(y, filters, f"{name}se_expand", "sigmoid")
    return layers.Multiply(name=f"{name}se_excite")([x, y])


def _block(
    x: Symbolic, expansion: int, kernel: int, stride: int, filters: int, drop: float, name: str
) -> Symbolic:
    y = x
    if expansion != 1:
        y = _convolution(y, expansion * x.shape[-1], f"{name}expand_conv")
        y = _activated(y, f"{name}expand_", f"{name}expand_bn")
    if stride == 2:
        y = layers.ZeroPadding2D(correct_pad(y, kernel), name=f"{name}dwconv_pad")(y)
    y = layers.DepthwiseConv2D(
        kernel, stride, "valid" if stride == 2 else "same", use_bias=False,
        depthwise_initializer=_he_normal(), name=f"{name}dwconv",
    )(y)  # fmt: skip
    y = _activated(y, name, f"{name}bn")
    y = _excited(y, x.shape[-1] // 4, name)
    y = _convolution(y, filters, f"{name}project_conv")
    y = layers.BatchNormalization(name=f"{name}project_bn")(y)
    if stride != 1 or x.shape[-1] != filters:
        return y
    if drop:
        y = layers.Dropout(drop, noise_shape=(None, 1, 1, 1), name=f"{name}drop")(y)
    return layers.Add(name=f"{name}add")([y, x])


def _features(x: Symbolic) -> Symbolic:
    x = layers.Rescaling(1 / 255)(x)
    x = layers.Normalization(axis=3)(x)
    x = layers.ZeroPadding2D(correct_pad(x, 3), name="stem_conv_pad")(x)
    x = layers.Conv2D(
        32, 3, 2, use_bias=False, kernel_initializer=_he_normal(), name="stem_conv"
    )(x)  # fmt: skip
    x = _activated(x, "stem_", "stem_bn")
    total, done = sum(blocks for *_, blocks in _STAGES), 0
    for stage, (expansion, kernel, first_stride, filters, blocks) in enumerate(_STAGES):
        for number in range(blocks):
            name = f"block{stage + 1}{'abcd'[number]}_"
            stride = first_stride if number == 0 else 1
            x = _block(x, expansion, kernel, stride, filters, _DROP * done / total, name)
            done += 1
    x = _convolution(x, 1280, "top_conv")
    return _activated(x, "top_", "top_bn")


def EfficientNetB0(  # noqa: N802  (Keras' name)
    include_top: bool = True,
    weights: Weights = None,
    input_tensor: Any = None,
    input_shape: InputShape = None,
    pooling: Pooling = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "efficientnetb0",
) -> Model:
    """Keras' EfficientNet-B0: 5,330,571 numbers, 42,023 of them statistics of its inputs.

    Pixels go in as they are, from 0 to 255. Arguments as `ResNet50`.

    Shape: (B, H, W, 3) -> (B, classes), or (B, H/32, W/32, 1280) without top
    Raises: WeightsError: the weights do not fit, torchvision's among them.
    Reference: Tan & Le 2019, "EfficientNet". Keras adds a second `Rescaling` when it fetches its
        own ImageNet weights, and none otherwise; here there is none.
    """
    inputs = entry(input_tensor, input_shape, include_top, 224)
    x = with_top(
        _features(inputs), include_top=include_top, pooling=pooling, classes=classes,
        activation=classifier_activation, owner=name, dropout=0.2,
        kernel_initializer=VarianceScaling(1 / 3, "fan_out", "uniform"),
    )  # fmt: skip
    return loaded(Model(inputs, x, name=name), weights, Preprocessing(scale=1.0))
