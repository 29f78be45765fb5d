"""Keras' ResNets: the paper's placement of strides, biases in convolutions, Keras' layer names.

Reference: He et al. 2016, "Deep Residual Learning for Image Recognition". Not the networks of
`stroma.zoo`, which are torchvision's: there the stride of a block is on the 3x3 convolution and
convolutions have no biases. Weights of one are refused by the other.
"""

from __future__ import annotations

from typing import Any

from stroma import layers
from stroma.applications.building import (
    InputShape,
    Pooling,
    Symbolic,
    Weights,
    entry,
    loaded,
    with_top,
)
from stroma.core.preprocessing import PREPROCESSING_MODES
from stroma.models import Model


def _convolution(x: Symbolic, filters: int, kernel: int, name: str, stride: int = 1) -> Symbolic:
    x = layers.Conv2D(filters, kernel, stride, padding="same", name=f"{name}_conv")(x)
    return layers.BatchNormalization(epsilon=1.001e-5, name=f"{name}_bn")(x)


def _block(x: Symbolic, filters: int, stride: int, project: bool, name: str) -> Symbolic:
    """1x1 with the stride, 3x3, 1x1 up to four times as many, beside the shortcut."""
    shortcut = _convolution(x, 4 * filters, 1, f"{name}_0", stride) if project else x
    x = layers.Activation("relu", name=f"{name}_1_relu")(
        _convolution(x, filters, 1, f"{name}_1", stride)
    )
    x = layers.Activation("relu", name=f"{name}_2_relu")(_convolution(x, filters, 3, f"{name}_2"))
    x = _convolution(x, 4 * filters, 1, f"{name}_3")
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.Activation("relu", name=f"{name}_out")(x)


def _features(x: Symbolic, depths: tuple[int, int, int, int]) -> Symbolic:
    x = layers.ZeroPadding2D(3, name="conv1_pad")(x)
    x = layers.Conv2D(64, 7, 2, name="conv1_conv")(x)
    x = layers.BatchNormalization(epsilon=1.001e-5, name="conv1_bn")(x)
    x = layers.Activation("relu", name="conv1_relu")(x)
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = layers.MaxPooling2D(3, 2, name="pool1_pool")(x)
    for stage, depth in enumerate(depths):
        for number in range(depth):
            stride = 2 if stage > 0 and number == 0 else 1
            name = f"conv{stage + 2}_block{number + 1}"
            x = _block(x, 64 * 2**stage, stride, number == 0, name)
    return x


def _resnet(
    depths: tuple[int, int, int, int],
    include_top: bool,
    weights: Weights,
    input_tensor: Any,
    input_shape: InputShape,
    pooling: Pooling,
    classes: int,
    classifier_activation: str | None,
    name: str,
) -> Model:
    inputs = entry(input_tensor, input_shape, include_top, 224)
    x = with_top(
        _features(inputs, depths), include_top=include_top, pooling=pooling, classes=classes,
        activation=classifier_activation, owner=name,
    )  # fmt: skip
    # "caffe" is what Keras' own weights were trained with
    return loaded(Model(inputs, x, name=name), weights, PREPROCESSING_MODES["caffe"])


def ResNet50(  # noqa: N802  (Keras' name)
    include_top: bool = True,
    weights: Weights = None,
    input_tensor: Any = None,
    input_shape: InputShape = None,
    pooling: Pooling = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "resnet50",
) -> Model:
    """Keras' ResNet-50: 25,636,712 numbers, of which 53,120 are BatchNorm's statistics.

    Args:
        include_top: Whether to end in pooling and a classifier.
        weights: None, or the path of a file with this network's weights. Keras' default,
            "imagenet", would fetch 100 MB unasked, so here the default is None.
        input_tensor: A symbolic tensor to build on instead of a new `Input`.
        input_shape: (height, width, channels); None: (224, 224, 3), or any size without top.
        pooling: Without top: None for the feature map, "avg" or "max" for one vector.
        classes: Size of the classifier, >= 1.
        classifier_activation: Activation of the classifier; None for logits.
        name: The model's name.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 2048) without top
    Raises: WeightsError: the weights do not fit, torchvision's among them.
    Reference: He et al. 2016, table 1.
    """
    return _resnet(
        (3, 4, 6, 3), include_top, weights, input_tensor, input_shape, pooling, classes,
        classifier_activation, name,
    )  # fmt: skip


def ResNet101(  # noqa: N802  (Keras' name)
    include_top: bool = True,
    weights: Weights = None,
    input_tensor: Any = None,
    input_shape: InputShape = None,
    pooling: Pooling = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "resnet101",
) -> Model:
    """Keras' ResNet-101: 44,707,176 numbers. Arguments as `ResNet50`.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 2048) without top
    """
    return _resnet(
        (3, 4, 23, 3), include_top, weights, input_tensor, input_shape, pooling, classes,
        classifier_activation, name,
    )  # fmt: skip


def ResNet152(  # noqa: N802  (Keras' name)
    include_top: bool = True,
    weights: Weights = None,
    input_tensor: Any = None,
    input_shape: InputShape = None,
    pooling: Pooling = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "resnet152",
) -> Model:
    """Keras' ResNet-152: 60,419,944 numbers. Arguments as `ResNet50`.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 2048) without top
    """
    return _resnet(
        (3, 8, 36, 3), include_top, weights, input_tensor, input_shape, pooling, classes,
        classifier_activation, name,
    )  # fmt: skip
