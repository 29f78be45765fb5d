"""Keras' Xception: residual blocks of separable convolutions."""

from __future__ import annotations

from stroma import layers
from stroma.applications.building import Symbolic, network
from stroma.applications.imagenet_utils import decode_predictions, preprocessing
from stroma.core.preprocessing import PREPROCESSING_MODES

__all__ = ["Xception", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("tf")
_ENTRY = ((2, 128), (3, 256), (4, 728))  # block, filters; each halves the size
_MIDDLE = range(5, 13)


def _convolution(x: Symbolic, filters: int, name: str, stride: int = 1) -> Symbolic:
    x = layers.Conv2D(filters, 3, stride, use_bias=False, name=name)(x)
    return _relu(layers.BatchNormalization(name=f"{name}_bn")(x), f"{name}_act")


def _relu(x: Symbolic, name: str) -> Symbolic:
    return layers.Activation("relu", name=name)(x)


def _separable(x: Symbolic, filters: int, name: str) -> Symbolic:
    x = layers.SeparableConv2D(filters, 3, padding="same", use_bias=False, name=name)(x)
    return layers.BatchNormalization(name=f"{name}_bn")(x)


def _shrinking(
    x: Symbolic, filters: tuple[int, int], name: str, first_relu: bool = True
) -> Symbolic:
    """Two separable convolutions and pooling beside a strided 1x1 convolution."""
    shortcut = layers.Conv2D(filters[1], 1, 2, padding="same", use_bias=False)(x)
    shortcut = layers.BatchNormalization()(shortcut)
    y = _relu(x, f"{name}_sepconv1_act") if first_relu else x
    y = _separable(y, filters[0], f"{name}_sepconv1")
    y = _separable(_relu(y, f"{name}_sepconv2_act"), filters[1], f"{name}_sepconv2")
    y = layers.MaxPooling2D(3, 2, "same", name=f"{name}_pool")(y)
    return layers.Add()([y, shortcut])


def _features(x: Symbolic) -> Symbolic:
    x = _convolution(_convolution(x, 32, "block1_conv1", 2), 64, "block1_conv2")
    for block, filters in _ENTRY:
        # the first has just been through a ReLU
        x = _shrinking(x, (filters, filters), f"block{block}", first_relu=block > 2)
    for block in _MIDDLE:
        y = x
        for number in (1, 2, 3):
            name = f"block{block}_sepconv{number}"
            y = _separable(_relu(y, f"{name}_act"), 728, name)
        x = layers.Add()([y, x])
    x = _shrinking(x, (728, 1024), "block13")
    for number, filters in ((1, 1536), (2, 2048)):
        name = f"block14_sepconv{number}"
        x = _relu(_separable(x, filters, name), f"{name}_act")
    return x


@network("xception", PREPROCESSING_MODES["tf"], size=299, smallest=71, pool_names=(None, None))
def Xception(x: Symbolic) -> Symbolic:  # noqa: N802  (Keras' name)
    """Keras' Xception: 22,910,480 numbers, of which 54,528 are BatchNorm's statistics.

    Arguments as `ResNet50`; the usual picture has 299 x 299 pixels, the smallest 71 x 71.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 2048) without top
    Raises: WeightsError: the weights do not fit.
    Reference: Chollet 2017, "Xception: Deep Learning with Depthwise Separable Convolutions",
        figure 5.
    """
    return _features(x)
