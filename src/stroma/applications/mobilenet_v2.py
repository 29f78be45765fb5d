"""Keras' MobileNetV2: TensorFlow's padding, BatchNorm's epsilon 1e-3, a width that can be chosen.

Not `stroma.zoo.mobilenet_v2`, which is torchvision's.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from stroma import layers
from stroma.applications.building import (
    InputShape,
    Pooling,
    Symbolic,
    Weights,
    averaged,
    correct_pad,
    divisible,
    entry,
    finished,
    with_top,
)
from stroma.applications.imagenet_utils import decode_predictions, preprocessing
from stroma.core.checks import check_number
from stroma.core.preprocessing import PREPROCESSING_MODES
from stroma.models import Model

__all__ = ["MobileNetV2", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("tf")
# expansion, filters, blocks, stride of the first: table 2 of the paper
_STAGES = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
    (6, 320, 1, 1),
)  # fmt: skip


def _normalization(x: Symbolic, name: str) -> Symbolic:
    return layers.BatchNormalization(epsilon=1e-3, momentum=0.999, name=name)(x)


def _pointwise(x: Symbolic, filters: int, name: str) -> Symbolic:
    x = layers.Conv2D(filters, 1, padding="same", use_bias=False, name=name)(x)
    return _normalization(x, f"{name}_BN")


def _block(x: Symbolic, expansion: int, filters: int, stride: int, number: int) -> Symbolic:
    """Widen by 1x1, look by 3x3 at each channel alone, narrow by 1x1 without an activation."""
    name, y = "expanded_conv", x
    if number:
        name = f"block_{number}"
        y = _pointwise(y, expansion * x.shape[-1], f"{name}_expand")
        y = layers.ReLU(6.0, name=f"{name}_expand_relu")(y)
    if stride == 2:
        y = layers.ZeroPadding2D(correct_pad(y, 3), name=f"{name}_pad")(y)
    y = layers.DepthwiseConv2D(
        3, stride, "same" if stride == 1 else "valid", use_bias=False, name=f"{name}_depthwise"
    )(y)
    y = _normalization(y, f"{name}_depthwise_BN")
    y = layers.ReLU(6.0, name=f"{name}_depthwise_relu")(y)
    y = _pointwise(y, filters, f"{name}_project")
    if stride != 1 or x.shape[-1] != filters:
        return y
    return layers.Add(name=f"{name}_add")([x, y])


def _features(x: Symbolic, alpha: float) -> Symbolic:
    x = layers.Conv2D(divisible(32 * alpha), 3, 2, "same", use_bias=False, name="Conv1")(x)
    x = layers.ReLU(6.0, name="Conv1_relu")(_normalization(x, "bn_Conv1"))
    number = 0
    for expansion, filters, blocks, first_stride in _STAGES:
        for place in range(blocks):
            stride = first_stride if place == 0 else 1
            x = _block(x, expansion, divisible(int(filters * alpha)), stride, number)
            number += 1
    # the last convolution gets wider with the others, never narrower
    x = layers.Conv2D(divisible(1280 * max(alpha, 1.0)), 1, use_bias=False, name="Conv_1")(x)
    return layers.ReLU(6.0, name="out_relu")(_normalization(x, "Conv_1_bn"))


def MobileNetV2(  # noqa: N802  (Keras' name)
    input_shape: InputShape = None,
    alpha: float = 1.0,
    include_top: bool = True,
    weights: Weights = None,
    input_tensor: Any = None,
    pooling: Pooling = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str | None = None,
) -> Model:
    """Keras' MobileNetV2: 3,538,984 numbers, of which 34,112 are BatchNorm's statistics.

    Args:
        input_shape: (height, width, channels); None: (224, 224, 3), or any size without top.
        alpha: Width: the factor on all numbers of channels, above 0.
        include_top: Whether to end in pooling and a classifier.
        weights: None, or the path of a file with this network's weights; Keras' default,
            "imagenet", would fetch them unasked.
        input_tensor: A symbolic tensor to build on instead of a new `Input`.
        pooling: Without top: None for the feature map, "avg" or "max" for one vector.
        classes: Size of the classifier, >= 1.
        classifier_activation: Activation of the classifier; None for logits.
        name: The model's name; None: Keras', "mobilenetv2_1.00_224".

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 1280) without top
    Raises: WeightsError: the weights do not fit; ArgumentError: a wrong `pooling` or `alpha`.
    Reference: Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks".
    """
    check_number("alpha", alpha, owner="MobileNetV2", minimum=0, exclusive=True)
    x = entry(input_tensor, input_shape, include_top, 224, owner="MobileNetV2")
    y = with_top(
        _features(x, alpha), include_top=include_top, pooling=pooling, classes=classes,
        activation=classifier_activation, owner="MobileNetV2", pool_names=(None, None),
        summary=partial(averaged, name=None),
    )  # fmt: skip
    name = name or f"mobilenetv2_{alpha:0.2f}_{x.shape[1]}"
    return finished(x, y, name, weights, PREPROCESSING_MODES["tf"])
