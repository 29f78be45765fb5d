"""Keras' MobileNetV3: blocks of MobileNetV2, found by search, that weigh their channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stroma import layers
from stroma.applications.building import (
    InputShape,
    Pooling,
    Symbolic,
    Weights,
    correct_pad,
    divisible,
    entry,
    finished,
    pooled,
)
from stroma.applications.imagenet_utils import decode_predictions, preprocessing
from stroma.core.checks import check_number
from stroma.core.preprocessing import PREPROCESSING_MODES, Preprocessing
from stroma.models import Model

__all__ = ["decode_predictions", "preprocess_input"]

preprocess_input = preprocessing(None)
Activation = Callable[[Symbolic], Symbolic]
# expansion, filters, kernel, stride, weighs its channels, hard swish: tables 1 and 2 of the paper
_LARGE = (
    (1, 16, 3, 1, False, False), (4, 24, 3, 2, False, False), (3, 24, 3, 1, False, False),
    (3, 40, 5, 2, True, False), (3, 40, 5, 1, True, False), (3, 40, 5, 1, True, False),
    (6, 80, 3, 2, False, True), (2.5, 80, 3, 1, False, True), (2.3, 80, 3, 1, False, True),
    (2.3, 80, 3, 1, False, True), (6, 112, 3, 1, True, True), (6, 112, 3, 1, True, True),
    (6, 160, 5, 2, True, True), (6, 160, 5, 1, True, True), (6, 160, 5, 1, True, True),
)  # fmt: skip
_SMALL = (
    (1, 16, 3, 2, True, False), (72 / 16, 24, 3, 2, False, False),
    (88 / 24, 24, 3, 1, False, False), (4, 40, 5, 2, True, True), (6, 40, 5, 1, True, True),
    (6, 40, 5, 1, True, True), (3, 48, 5, 1, True, True), (3, 48, 5, 1, True, True),
    (6, 96, 5, 2, True, True), (6, 96, 5, 1, True, True), (6, 96, 5, 1, True, True),
)  # fmt: skip


def _relu(x: Symbolic) -> Symbolic:
    return layers.ReLU()(x)


def _hard_swish(x: Symbolic) -> Symbolic:
    return layers.Activation("hard_swish")(x)


def _normalization(x: Symbolic, name: str) -> Symbolic:
    return layers.BatchNormalization(epsilon=1e-3, momentum=0.999, name=f"{name}_bn")(x)


def _pointwise(x: Symbolic, filters: int, name: str) -> Symbolic:
    x = layers.Conv2D(filters, 1, padding="same", use_bias=False, name=name)(x)
    return _normalization(x, name)


def _excited(x: Symbolic, name: str) -> Symbolic:
    """Channels weighed by what the whole picture holds (squeeze and excitation)."""
    filters = x.shape[-1]
    name = f"{name}squeeze_excite_"
    y = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}avg_pool")(x)
    y = layers.Conv2D(divisible(filters * 0.25), 1, padding="same", name=f"{name}conv")(y)
    y = layers.ReLU(name=f"{name}relu")(y)
    y = layers.Conv2D(filters, 1, padding="same", name=f"{name}conv_1")(y)
    y = layers.ReLU(6.0)(y + 3.0) * (1 / 6)  # the hard sigmoid
    return layers.Multiply(name=f"{name}mul")([x, y])


def _block(
    x: Symbolic, expansion: float, filters: int, kernel: int, stride: int, excite: bool,
    activation: Activation, number: int,
) -> Symbolic:  # fmt: skip
    """Widen by 1x1, look at each channel alone, narrow by 1x1 without an activation."""
    name, y = "expanded_conv_", x
    if number:
        name = f"expanded_conv_{number}_"
        y = activation(_pointwise(y, divisible(x.shape[-1] * expansion), f"{name}expand"))
    if stride == 2:
        y = layers.ZeroPadding2D(correct_pad(y, kernel), name=f"{name}depthwise_pad")(y)
    y = layers.DepthwiseConv2D(
        kernel, stride, "same" if stride == 1 else "valid", use_bias=False, name=f"{name}depthwise"
    )(y)
    y = activation(_normalization(y, f"{name}depthwise"))
    if excite:
        y = _excited(y, name)
    y = _pointwise(y, filters, f"{name}project")
    if stride != 1 or x.shape[-1] != filters:
        return y
    return layers.Add(name=f"{name}add")([x, y])


def _features(
    x: Symbolic, blocks: tuple[Any, ...], alpha: float, minimalistic: bool, activation: Activation
) -> Symbolic:
    """Without "advanced" parts if minimalistic: kernels of 5, hard swish and excitation."""
    x = layers.Conv2D(16, 3, 2, "same", use_bias=False, name="conv")(x)
    x = activation(_normalization(x, "conv"))
    for number, (expansion, filters, kernel, stride, excite, swish) in enumerate(blocks):
        x = _block(
            x, expansion, divisible(filters * alpha), 3 if minimalistic else kernel, stride,
            excite and not minimalistic, activation if swish else _relu, number,
        )  # fmt: skip
    return activation(_pointwise(x, divisible(6 * x.shape[-1]), "conv_1"))


def _network(
    blocks: tuple[Any, ...], width: int, owner: str, input_shape: InputShape, alpha: float,
    minimalistic: bool, include_top: bool, weights: Weights, input_tensor: Any, classes: int,
    pooling: Pooling, dropout_rate: float, classifier_activation: str | None,
    include_preprocessing: bool, name: str,
) -> Model:  # fmt: skip
    check_number("alpha", alpha, owner=owner, minimum=0, exclusive=True)
    activation = _relu if minimalistic else _hard_swish
    # unlike the others it takes any size with its top too: the classifier is a convolution
    x = entry(input_tensor, input_shape, False, 224, owner=owner)
    y = layers.Rescaling(1 / 127.5, offset=-1.0)(x) if include_preprocessing else x
    y = _features(y, blocks, alpha, minimalistic, activation)
    if include_top:
        y = layers.GlobalAveragePooling2D(keepdims=True)(y)
        # the last convolution gets wider with the others, never narrower
        width = divisible(width * alpha) if alpha > 1 else width
        y = activation(layers.Conv2D(width, 1, padding="same", name="conv_2")(y))
        y = layers.Dropout(dropout_rate)(y) if dropout_rate else y
        y = layers.Flatten()(layers.Conv2D(classes, 1, padding="same", name="logits")(y))
        y = layers.Activation(classifier_activation, name="predictions")(y)
    else:
        y = pooled(y, pooling, ("avg_pool", "max_pool"), owner=owner)
    scaled = Preprocessing(scale=1.0) if include_preprocessing else PREPROCESSING_MODES["tf"]
    return finished(x, y, name, weights, scaled)


def MobileNetV3Large(  # noqa: N802  (Keras' name)
    input_shape: InputShape = None,
    alpha: float = 1.0,
    minimalistic: bool = False,
    include_top: bool = True,
    weights: Weights = None,
    input_tensor: Any = None,
    classes: int = 1000,
    pooling: Pooling = None,
    dropout_rate: float = 0.2,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "MobileNetV3Large",
) -> Model:
    """Keras' large MobileNetV3: 5,507,432 numbers. Other arguments as `MobileNetV2`.

    Args:
        input_shape: (height, width, channels); None: any size, with the top too.
        minimalistic: Without the parts that are slow on some processors: kernels of 5 x 5, hard
            swish, and channels weighed by the whole picture.
        dropout_rate: Before the classifier, in [0, 1].
        include_preprocessing: Whether the network scales pixels from 0 to 255 itself; False: it
            wants them from -1 to 1.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 960) without top
    Raises: WeightsError: the weights do not fit; ArgumentError: a wrong `pooling` or `alpha`.
    Reference: Howard et al. 2019, "Searching for MobileNetV3".
    """
    return _network(
        _LARGE, 1280, "MobileNetV3Large", input_shape, alpha, minimalistic, include_top, weights,
        input_tensor, classes, pooling, dropout_rate, classifier_activation,
        include_preprocessing, name,
    )  # fmt: skip


def MobileNetV3Small(  # noqa: N802  (Keras' name)
    input_shape: InputShape = None,
    alpha: float = 1.0,
    minimalistic: bool = False,
    include_top: bool = True,
    weights: Weights = None,
    input_tensor: Any = None,
    classes: int = 1000,
    pooling: Pooling = None,
    dropout_rate: float = 0.2,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "MobileNetV3Small",
) -> Model:
    """Keras' small MobileNetV3: 2,554,968 numbers. Arguments as `MobileNetV3Large`.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 576) without top
    """
    return _network(
        _SMALL, 1024, "MobileNetV3Small", input_shape, alpha, minimalistic, include_top, weights,
        input_tensor, classes, pooling, dropout_rate, classifier_activation,
        include_preprocessing, name,
    )  # fmt: skip
