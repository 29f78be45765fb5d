"""Keras' NASNet-A: two kinds of cells, found by search on small pictures and stacked for large.

Reference: Zoph et al. 2018, "Learning Transferable Architectures for Scalable Image Recognition",
figure 4.
"""

from __future__ import annotations

from dataclasses import replace
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
    entry,
    finished,
    with_top,
)
from stroma.applications.imagenet_utils import decode_predictions, preprocessing
from stroma.core.preprocessing import PREPROCESSING_MODES
from stroma.models import Model

__all__ = ["NASNetLarge", "NASNetMobile", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("tf")


def _normalization(x: Symbolic, name: str) -> Symbolic:
    return layers.BatchNormalization(momentum=0.9997, epsilon=1e-3, name=name)(x)


def _pointwise(x: Symbolic, filters: int, name: str) -> Symbolic:
    return layers.Conv2D(
        filters, 1, padding="same", use_bias=False, kernel_initializer="he_normal", name=name
    )(x)


def _separable(x: Symbolic, filters: int, kernel: int, name: str, stride: int = 1) -> Symbolic:
    """ReLU, separable convolution, normalization; and once more without the stride."""
    for number, step in ((1, stride), (2, 1)):
        x = layers.Activation("relu")(x)
        padding = "same"
        if step == 2:
            pad = correct_pad(x, kernel)
            x = layers.ZeroPadding2D(pad, name=f"separable_conv_{number}_pad_{name}")(x)
            padding = "valid"
        x = layers.SeparableConv2D(
            filters, kernel, step, padding, use_bias=False, name=f"separable_conv_{number}_{name}"
        )(x)
        x = _normalization(x, f"separable_conv_{number}_bn_{name}")
    return x


def _halved(p: Symbolic, filters: int, name: str) -> Symbolic:
    """Every other pixel, and every other one shifted by a pixel, side by side."""
    p = layers.Activation("relu", name=f"adjust_relu_1_{name}")(p)
    shifted = layers.Cropping2D(((1, 0), (1, 0)))(layers.ZeroPadding2D(((0, 1), (0, 1)))(p))
    parts: list[Symbolic] = []
    for number, pixels in enumerate((p, shifted), start=1):
        pixels = layers.AveragePooling2D(1, 2, name=f"adjust_avg_pool_{number}_{name}")(pixels)
        parts.append(_pointwise(pixels, filters // 2, f"adjust_conv_{number}_{name}"))
    return _normalization(layers.Concatenate()(parts), f"adjust_bn_{name}")


def _adjusted(p: Symbolic | None, x: Symbolic, filters: int, name: str) -> Symbolic:
    """The result of the cell before the last, in the last one's size."""
    if p is None:
        return x
    if p.shape[-2] != x.shape[-2]:
        return _halved(p, filters, name)
    if p.shape[-1] == filters:
        return p
    p = layers.Activation("relu")(p)
    p = _pointwise(p, filters, f"adjust_conv_projection_{name}")
    return _normalization(p, f"adjust_bn_{name}")


def _entered(x: Symbolic, filters: int, cell: str, name: str) -> Symbolic:
    x = _pointwise(layers.Activation("relu")(x), filters, f"{cell}_conv_1_{name}")
    return _normalization(x, f"{cell}_bn_1_{name}")


def _average(x: Symbolic, name: str) -> Symbolic:
    return layers.AveragePooling2D(3, 1, "same", name=name)(x)


def _normal(x: Symbolic, p: Symbolic | None, filters: int, name: str) -> Symbolic:
    """The cell that keeps the size."""
    p = _adjusted(p, x, filters, name)
    h = _entered(x, filters, "normal", name)

    def add(number: int, left: Symbolic, right: Symbolic) -> Symbolic:
        return layers.Add(name=f"normal_add_{number}_{name}")([left, right])

    left, right = (f"normal_{side}{{}}_{name}".format for side in ("left", "right"))
    parts = [
        p,
        add(1, _separable(h, filters, 5, left(1)), _separable(p, filters, 3, right(1))),
        add(2, _separable(p, filters, 5, left(2)), _separable(p, filters, 3, right(2))),
        add(3, _average(h, left(3)), p),
        add(4, _average(p, left(4)), _average(p, right(4))),
        add(5, _separable(h, filters, 3, left(5)), h),
    ]
    return layers.Concatenate(name=f"normal_concat_{name}")(parts)


def _reduction(x: Symbolic, p: Symbolic | None, filters: int, name: str) -> Symbolic:
    """The cell that halves the size."""
    p = _adjusted(p, x, filters, name)
    h = _entered(x, filters, "reduction", name)
    padded = layers.ZeroPadding2D(correct_pad(h, 3), name=f"reduction_pad_1_{name}")(h)

    def add(title: str | None, left: Symbolic, right: Symbolic) -> Symbolic:
        return layers.Add(name=title and f"reduction_{title}_{name}")([left, right])

    def halving(source: Symbolic, kernel: int, place: str) -> Symbolic:
        return _separable(source, filters, kernel, f"reduction_{place}_{name}", stride=2)

    first = add("add_1", halving(h, 5, "left1"), halving(p, 7, "right1"))
    largest = layers.MaxPooling2D(3, 2, name=f"reduction_left2_{name}")(padded)
    second = add("add_2", largest, halving(p, 7, "right2"))
    mean = layers.AveragePooling2D(3, 2, name=f"reduction_left3_{name}")(padded)
    third = add("add3", mean, halving(p, 5, "right3"))
    fourth = add(None, second, _average(first, f"reduction_left4_{name}"))
    narrow = _separable(first, filters, 3, f"reduction_left4_{name}")
    largest = layers.MaxPooling2D(3, 2, name=f"reduction_right5_{name}")(padded)
    fifth = add("add4", narrow, largest)
    parts = [second, third, fourth, fifth]
    return layers.Concatenate(name=f"reduction_concat_{name}")(parts)


def _features(x: Symbolic, stem: int, filters: int, blocks: int, skip_reduction: bool) -> Symbolic:
    """Three stages of `blocks` cells; a cell sees the two before it, x and p.

    Args:
        skip_reduction: Whether the first cell of a stage sees, as the cell before the last, not
            the one before the reduction but that one's own.
    """
    x = layers.Conv2D(
        stem, 3, 2, use_bias=False, kernel_initializer="he_normal", name="stem_conv1"
    )(x)  # fmt: skip
    x = _normalization(x, "stem_bn1")
    p, x = x, _reduction(x, None, filters // 4, "stem_1")
    p, x = x, _reduction(x, p, filters // 2, "stem_2")
    for stage in range(3):
        if stage:
            reduced = _reduction(x, p, filters * 2**stage, f"reduce_{stage * blocks}")
            p, x = p if skip_reduction else x, reduced
        for number in range(blocks):
            count = stage * blocks + number + (stage > 0)  # Keras' count leaves one number out
            p, x = x, _normal(x, p, filters * 2**stage, str(count))
    return layers.Activation("relu")(x)


def _network(
    input_shape: InputShape, include_top: bool, weights: Weights, input_tensor: Any,
    pooling: Pooling, classes: int, activation: str | None, name: str, *, owner: str, size: int,
    stem: int, last_filters: int, blocks: int, skip_reduction: bool,
) -> Model:  # fmt: skip
    # sizes decide where pixels are halved, so they must be known, without top too
    shape = input_shape or (size, size, 3)
    x = entry(input_tensor, shape, include_top, size, owner=owner)
    y = with_top(
        _features(x, stem, last_filters // 24, blocks, skip_reduction), include_top=include_top,
        pooling=pooling, classes=classes, activation=activation, owner=owner,
        summary=partial(averaged, name=None), pool_names=(None, None),
    )  # fmt: skip
    return finished(x, y, name, weights, replace(PREPROCESSING_MODES["tf"], size=(size, size)))


def NASNetMobile(  # noqa: N802  (Keras' name)
    input_shape: InputShape = None,
    include_top: bool = True,
    weights: Weights = None,
    input_tensor: Any = None,
    pooling: Pooling = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "nasnet_mobile",
) -> Model:
    """Keras' small NASNet-A (4 @ 1056): 5,326,716 numbers. Other arguments as `ResNet50`.

    Args:
        input_shape: (height, width, channels), sizes known; None: (224, 224, 3).

    Shape: (B, H, W, C) -> (B, classes), or (B, H', W', 1056) without top, about H/32
    Raises: WeightsError: the weights do not fit; ShapeError: pictures below 32 x 32 pixels.
    Reference: Zoph et al. 2018. Keras on torch refuses to build it.
    """
    return _network(
        input_shape, include_top, weights, input_tensor, pooling, classes, classifier_activation,
        name, owner="NASNetMobile", size=224, stem=32, last_filters=1056, blocks=4,
        skip_reduction=False,
    )  # fmt: skip


def NASNetLarge(  # noqa: N802  (Keras' name)
    input_shape: InputShape = None,
    include_top: bool = True,
    weights: Weights = None,
    input_tensor: Any = None,
    pooling: Pooling = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "nasnet_large",
) -> Model:
    """Keras' large NASNet-A (6 @ 4032): 88,949,818 numbers. Arguments as `NASNetMobile`.

    Shape: (B, H, W, C) -> (B, classes), or (B, H', W', 4032) without top, about H/32
    """
    return _network(
        input_shape, include_top, weights, input_tensor, pooling, classes, classifier_activation,
        name, owner="NASNetLarge", size=331, stem=96, last_filters=4032, blocks=6,
        skip_reduction=True,
    )  # fmt: skip
