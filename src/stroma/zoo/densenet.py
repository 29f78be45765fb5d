"""DenseNet for photos, torchvision's variant: every layer sees all before it; ends in logits."""

from __future__ import annotations

import re

from stroma import layers
from stroma.initializers import VarianceScaling
from stroma.models import Model
from stroma.zoo.blocks import (
    InputShape,
    Symbolic,
    Weights,
    convolution,
    max_pooling,
    normalization,
)
from stroma.zoo.pretrained import load_pretrained
from stroma.zoo.registry import architectures

_DEPTHS = (6, 12, 24, 16)
_GROWTH = 32  # channels that each layer adds
# torchvision's files are of 2017, when a module's name could hold a dot: "norm.1" is "norm1" now
_OLD_NAME = re.compile(r"(denselayer\d+\.(?:norm|conv))\.(\d)\.")


def _convolution(x: Symbolic, filters: int, kernel: int, name: str, stride: int = 1) -> Symbolic:
    initializer = VarianceScaling(2.0, "fan_in", "untruncated_normal")  # He et al. 2015
    return convolution(
        x, filters, kernel, stride, name=name, use_bias=False, kernel_initializer=initializer
    )


def _activated(x: Symbolic, name: str, number: str = "") -> Symbolic:
    x = normalization(x, f"{name}norm{number}")
    return layers.ReLU(name=f"{name}relu{number}")(x)


def dense_layer(x: Symbolic, name: str) -> Symbolic:
    """x, and beside it 32 new channels made of all of it: 1x1 down to 128, then 3x3.

    Shape: (B, H, W, C) -> (B, H, W, C + 32)
    """
    y = _convolution(_activated(x, f"{name}.", "1"), 4 * _GROWTH, 1, f"{name}.conv1")
    y = _convolution(_activated(y, f"{name}.", "2"), _GROWTH, 3, f"{name}.conv2")
    return layers.Concatenate(name=f"{name}.concatenate")([x, y])


def _transition(x: Symbolic, name: str) -> Symbolic:
    """Half the channels, half the height and width."""
    x = _convolution(_activated(x, f"{name}."), x.shape[-1] // 2, 1, f"{name}.conv")
    return layers.AveragePooling2D(2, name=f"{name}.pool")(x)


@architectures.register("densenet121")
def densenet121(
    weights: Weights = None,
    include_top: bool = True,
    classes: int = 1000,
    input_shape: InputShape = (224, 224, 3),
) -> Model:
    """DenseNet-121 for photos, torchvision's names: 7,978,856 parameters with 1000 classes.

    Args:
        weights: None for random ones, the path of a file, or a name ("imagenet-v1").
        include_top: Whether to end in pooling and a classifier; else in the last feature map.
        classes: Size of the classifier, >= 1. Where it is not the file's, it starts untrained.
        input_shape: (height, width, channels), at least 29 pixels; None for a size that may vary.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 1024) without top
    Raises: WeightsError: the weights were not found or do not fit.
    Reference: Huang et al. 2017, "Densely Connected Convolutional Networks", table 1; 2.8 billion
        multiplications per picture.
    """
    inputs = layers.Input(input_shape)
    x = _activated(_convolution(inputs, 64, 7, "features.conv0", stride=2), "features.", "0")
    x = max_pooling(x, 3, 2, padding=1, name="features.pool0")  # (B, H/4, W/4, 64)
    for block, depth in enumerate(_DEPTHS, start=1):
        for number in range(1, depth + 1):
            x = dense_layer(x, f"features.denseblock{block}.denselayer{number}")
        if block < len(_DEPTHS):
            x = _transition(x, f"features.transition{block}")
    x = _activated(x, "features.", "5")
    if include_top:
        x = layers.GlobalAveragePooling2D(name="avgpool")(x)
        initializer = VarianceScaling(1 / 3, "fan_in", "uniform")  # within 1 / sqrt(features)
        x = layers.Dense(classes, kernel_initializer=initializer, name="classifier")(x)
    return load_pretrained(
        Model(inputs, x, name="densenet121"), "densenet121", weights, head="classifier.",
        rename=lambda name: _OLD_NAME.sub(r"\1\2.", name),
    )  # fmt: skip
