"""Keras' first MobileNet: each channel looked at alone, then mixed by 1x1 convolutions."""

from __future__ import annotations

from typing import Any

from stroma import layers
from stroma.applications.building import (
    InputShape,
    Pooling,
    Symbolic,
    Weights,
    entry,
    finished,
    pooled,
)
from stroma.applications.imagenet_utils import decode_predictions, preprocessing
from stroma.core.checks import check_number, check_positive_int
from stroma.core.preprocessing import PREPROCESSING_MODES
from stroma.models import Model

__all__ = ["MobileNet", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("tf")
# filters and stride of each block: table 1 of the paper
_BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2),
    (1024, 1),
)  # fmt: skip


def _activated(x: Symbolic, name: str) -> Symbolic:
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x)


def _block(x: Symbolic, filters: int, stride: int, multiplier: int, number: int) -> Symbolic:
    padding = "same"
    if stride == 2:
        x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{number}")(x)
        padding = "valid"
    name = f"conv_dw_{number}"
    x = layers.DepthwiseConv2D(
        3, stride, padding, depth_multiplier=multiplier, use_bias=False, name=name
    )(x)
    x = _activated(x, name)
    name = f"conv_pw_{number}"
    x = layers.Conv2D(filters, 1, padding="same", use_bias=False, name=name)(x)
    return _activated(x, name)


def _features(x: Symbolic, alpha: float, multiplier: int) -> Symbolic:
    x = layers.Conv2D(int(32 * alpha), 3, 2, "same", use_bias=False, name="conv1")(x)
    x = _activated(x, "conv1")
    for number, (filters, stride) in enumerate(_BLOCKS, start=1):
        x = _block(x, int(filters * alpha), stride, multiplier, number)
    return x


def _top(x: Symbolic, classes: int, dropout: float, activation: str | None) -> Symbolic:
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.Conv2D(classes, 1, padding="same", name="conv_preds")(x)
    x = layers.Reshape((classes,), name="reshape_2")(x)
    return layers.Activation(activation, name="predictions")(x)


def MobileNet(  # noqa: N802  (Keras' name)
    input_shape: InputShape = None,
    alpha: float = 1.0,
    depth_multiplier: int = 1,
    dropout: float = 0.001,
    include_top: bool = True,
    weights: Weights = None,
    input_tensor: Any = None,
    pooling: Pooling = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str | None = None,
) -> Model:
    """Keras' MobileNet: 4,253,864 numbers, of which 21,888 are BatchNorm's statistics.

    Other arguments as `MobileNetV2`.

    Args:
        alpha: Width: the factor on all numbers of channels, above 0.
        depth_multiplier: How many times each channel is looked at in a block, >= 1.
        dropout: Rate before the classifier, in [0, 1].
        name: The model's name; None: Keras', "mobilenet_1.00_224".

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 1024) without top
    Raises: WeightsError: the weights do not fit; ArgumentError: a setting out of its range.
    Reference: Howard et al. 2017, "MobileNets: Efficient Convolutional Neural Networks for Mobile
        Vision Applications".
    """
    check_number("alpha", alpha, owner="MobileNet", minimum=0, exclusive=True)
    check_positive_int("depth_multiplier", depth_multiplier, owner="MobileNet")
    x = entry(input_tensor, input_shape, include_top, 224, owner="MobileNet")
    y = _features(x, alpha, depth_multiplier)
    if include_top:
        y = _top(y, classes, dropout, classifier_activation)
    else:
        y = pooled(y, pooling, (None, None), owner="MobileNet")
    name = name or f"mobilenet_{alpha:0.2f}_{x.shape[1]}"
    return finished(x, y, name, weights, PREPROCESSING_MODES["tf"])
