"""Keras' Inception-ResNet v2: Inception's branches, added to their input a little at a time."""

from __future__ import annotations

from typing import Literal

from stroma import layers
from stroma.applications.building import Symbolic, network
from stroma.applications.imagenet_utils import decode_predictions, preprocessing
from stroma.core.preprocessing import PREPROCESSING_MODES

__all__ = ["InceptionResNetV2", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("tf")
Unit = tuple[int, int | tuple[int, int]]  # filters, window
Branch = tuple[Unit, ...]
# branches of the residual blocks: figures 16, 17 and 19 of the paper
_BLOCK_35: tuple[Branch, ...] = (
    ((32, 1),), ((32, 1), (32, 3)), ((32, 1), (48, 3), (64, 3)),
)  # fmt: skip
_BLOCK_17: tuple[Branch, ...] = (((192, 1),), ((128, 1), (160, (1, 7)), (192, (7, 1))))
_BLOCK_8: tuple[Branch, ...] = (((192, 1),), ((192, 1), (224, (1, 3)), (256, (3, 1))))


def _unit(
    x: Symbolic, unit: Unit, stride: int = 1, padding: Literal["same", "valid"] = "same",
    name: str | None = None,
) -> Symbolic:  # fmt: skip
    filters, window = unit
    x = layers.Conv2D(filters, window, stride, padding, use_bias=False, name=name)(x)
    x = layers.BatchNormalization(scale=False, name=name and f"{name}_bn")(x)
    return layers.Activation("relu", name=name and f"{name}_ac")(x)


def _branch(x: Symbolic, units: Branch) -> Symbolic:
    for unit in units:
        x = _unit(x, unit)
    return x


def _residual(
    x: Symbolic, branches: tuple[Branch, ...], scale: float, name: str, last: bool = False
) -> Symbolic:
    """x + scale * 1x1(branches): added whole, so many blocks would not train."""
    y = layers.Concatenate(axis=3, name=f"{name}_mixed")([_branch(x, b) for b in branches])
    y = layers.Conv2D(x.shape[-1], 1, padding="same", name=f"{name}_conv")(y)
    x = layers.CustomScaleLayer(scale)([x, y])
    return x if last else layers.Activation("relu", name=f"{name}_ac")(x)


def _shrinking(x: Symbolic, branches: tuple[Branch, ...], name: str) -> Symbolic:
    """Branches that end in a stride of 2, and pooling with the same."""
    parts = [_unit(_branch(x, units[:-1]), units[-1], 2, "valid") for units in branches]
    return layers.Concatenate(axis=3, name=name)([*parts, layers.MaxPooling2D(3, 2)(x)])


def _stem(x: Symbolic) -> Symbolic:
    x = _unit(_unit(x, (32, 3), 2, "valid"), (32, 3), padding="valid")
    x = layers.MaxPooling2D(3, 2)(_unit(x, (64, 3)))
    x = _unit(_unit(x, (80, 1), padding="valid"), (192, 3), padding="valid")
    x = layers.MaxPooling2D(3, 2)(x)
    branches: tuple[Branch, ...] = (((96, 1),), ((48, 1), (64, 5)), ((64, 1), (96, 3), (96, 3)))
    parts = [_branch(x, units) for units in branches]
    average = _unit(layers.AveragePooling2D(3, 1, "same")(x), (64, 1))
    return layers.Concatenate(axis=3, name="mixed_5b")([*parts, average])


@network(
    "inception_resnet_v2", PREPROCESSING_MODES["tf"], size=299, smallest=75,
    pool_names=(None, None),
)  # fmt: skip
def InceptionResNetV2(x: Symbolic) -> Symbolic:  # noqa: N802  (Keras' name)
    """Keras' Inception-ResNet v2: 55,873,736 numbers, of which 60,544 are BatchNorm's statistics.

    Arguments as `ResNet50`; the usual picture has 299 x 299 pixels, the smallest 75 x 75.

    Shape: (B, H, W, C) -> (B, classes), or (B, H', W', 1536) without top, about H/32
    Raises: WeightsError: the weights do not fit.
    Reference: Szegedy et al. 2017, "Inception-v4, Inception-ResNet and the Impact of Residual
        Connections on Learning"; Keras' blocks have one scale each, and its stem is that of v3.
    """
    x = _stem(x)  # (B, 35, 35, 320) of 299 pixels
    for number in range(1, 11):
        x = _residual(x, _BLOCK_35, 0.17, f"block35_{number}")
    x = _shrinking(x, (((384, 3),), ((256, 1), (256, 3), (384, 3))), "mixed_6a")
    for number in range(1, 21):  # (B, 17, 17, 1088)
        x = _residual(x, _BLOCK_17, 0.1, f"block17_{number}")
    fork: tuple[Branch, ...] = (
        ((256, 1), (384, 3)), ((256, 1), (288, 3)), ((256, 1), (288, 3), (320, 3)),
    )  # fmt: skip
    x = _shrinking(x, fork, "mixed_7a")
    for number in range(1, 10):  # (B, 8, 8, 2080)
        x = _residual(x, _BLOCK_8, 0.2, f"block8_{number}")
    x = _residual(x, _BLOCK_8, 1.0, "block8_10", last=True)
    return _unit(x, (1536, 1), name="conv_7b")
