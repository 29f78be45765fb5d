"""Keras' DenseNet: the layers of torchvision's with Keras' names and epsilon."""

from __future__ import annotations

from stroma import layers
from stroma.applications.building import Symbolic, network
from stroma.applications.imagenet_utils import decode_predictions, preprocessing
from stroma.core.preprocessing import PREPROCESSING_MODES

__all__ = [
    "DenseNet121", "DenseNet169", "DenseNet201", "decode_predictions", "preprocess_input",
]  # fmt: skip

preprocess_input = preprocessing("torch")
_GROWTH = 32  # channels that each layer adds


def _activated(x: Symbolic, name: str) -> Symbolic:
    x = layers.BatchNormalization(epsilon=1.001e-5, name=f"{name}bn")(x)
    return layers.Activation("relu", name=f"{name}relu")(x)


def _layer(x: Symbolic, name: str) -> Symbolic:
    y = _activated(x, f"{name}_0_")
    y = layers.Conv2D(4 * _GROWTH, 1, use_bias=False, name=f"{name}_1_conv")(y)
    y = _activated(y, f"{name}_1_")
    y = layers.Conv2D(_GROWTH, 3, padding="same", use_bias=False, name=f"{name}_2_conv")(y)
    return layers.Concatenate(name=f"{name}_concat")([x, y])


def _transition(x: Symbolic, name: str) -> Symbolic:
    x = _activated(x, f"{name}_")
    x = layers.Conv2D(x.shape[-1] // 2, 1, use_bias=False, name=f"{name}_conv")(x)
    return layers.AveragePooling2D(2, 2, name=f"{name}_pool")(x)


def _features(x: Symbolic, depths: tuple[int, ...]) -> Symbolic:
    x = layers.ZeroPadding2D(3)(x)
    x = layers.Conv2D(64, 7, 2, use_bias=False, name="conv1_conv")(x)
    x = layers.ZeroPadding2D(1)(_activated(x, "conv1_"))
    x = layers.MaxPooling2D(3, 2, name="pool1")(x)
    for stage, depth in enumerate(depths, start=2):
        for number in range(1, depth + 1):
            x = _layer(x, f"conv{stage}_block{number}")
        if stage <= len(depths):
            x = _transition(x, f"pool{stage}")
    return _activated(x, "")


@network("densenet121", PREPROCESSING_MODES["torch"])
def DenseNet121(x: Symbolic) -> Symbolic:  # noqa: N802  (Keras' name)
    """Keras' DenseNet-121: 8,062,504 numbers, of which 83,648 are BatchNorm's statistics.

    Arguments as `ResNet50`.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 1024) without top
    Raises: WeightsError: the weights do not fit, torchvision's among them.
    Reference: Huang et al. 2017, "Densely Connected Convolutional Networks", table 1.
    """
    return _features(x, (6, 12, 24, 16))


@network("densenet169", PREPROCESSING_MODES["torch"])
def DenseNet169(x: Symbolic) -> Symbolic:  # noqa: N802  (Keras' name)
    """Keras' DenseNet-169: 14,307,880 numbers. Arguments as `ResNet50`.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 1664) without top
    """
    return _features(x, (6, 12, 32, 32))


@network("densenet201", PREPROCESSING_MODES["torch"])
def DenseNet201(x: Symbolic) -> Symbolic:  # noqa: N802  (Keras' name)
    """Keras' DenseNet-201: 20,242,984 numbers. Arguments as `ResNet50`.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 1920) without top
    """
    return _features(x, (6, 12, 48, 32))
