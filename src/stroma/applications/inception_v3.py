"""Keras' Inception v3: blocks of branches that look at several sizes at once."""

from __future__ import annotations

from typing import Literal

from stroma import layers
from stroma.applications.building import Symbolic, network
from stroma.applications.imagenet_utils import decode_predictions, preprocessing
from stroma.core.preprocessing import PREPROCESSING_MODES

__all__ = ["InceptionV3", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("tf")
Padding = Literal["same", "valid"]
Unit = tuple[int, int, int]  # filters, height and width of the window
Branch = tuple[Unit, ...]


def _unit(x: Symbolic, unit: Unit, stride: int = 1, padding: Padding = "same") -> Symbolic:
    filters, height, width = unit
    x = layers.Conv2D(filters, (height, width), stride, padding, use_bias=False)(x)
    x = layers.BatchNormalization(scale=False)(x)  # the next convolution can scale
    return layers.Activation("relu")(x)


def _branch(x: Symbolic, units: Branch) -> Symbolic:
    for unit in units:
        x = _unit(x, unit)
    return x


def _pooled(x: Symbolic, filters: int) -> Symbolic:
    return _unit(layers.AveragePooling2D(3, 1, "same")(x), (filters, 1, 1))


def _mixed(x: Symbolic, branches: tuple[Branch, ...], pooled: int, name: str) -> Symbolic:
    """Branches of convolutions, and one of pooling, side by side."""
    parts = [*(_branch(x, units) for units in branches), _pooled(x, pooled)]
    return layers.Concatenate(axis=3, name=name)(parts)


def _shrinking(x: Symbolic, branches: tuple[Branch, ...], name: str) -> Symbolic:
    """Branches that end in a stride of 2, and pooling with the same."""
    parts = [_unit(_branch(x, units[:-1]), units[-1], 2, "valid") for units in branches]
    return layers.Concatenate(axis=3, name=name)([*parts, layers.MaxPooling2D(3, 2)(x)])


def _forked(x: Symbolic, name: str | None) -> Symbolic:
    """A row of three and a column of three, side by side."""
    parts = [_unit(x, (384, 1, 3)), _unit(x, (384, 3, 1))]
    return layers.Concatenate(axis=3, name=name)(parts)


def _stem(x: Symbolic) -> Symbolic:
    x = _unit(_unit(x, (32, 3, 3), 2, "valid"), (32, 3, 3), padding="valid")
    x = layers.MaxPooling2D(3, 2)(_unit(x, (64, 3, 3)))
    x = _unit(_unit(x, (80, 1, 1), padding="valid"), (192, 3, 3), padding="valid")
    return layers.MaxPooling2D(3, 2)(x)


def _sevens(narrow: int) -> tuple[Branch, ...]:
    """1x1; 7x7 as a row and a column; and that twice over."""
    once = ((narrow, 1, 1), (narrow, 1, 7), (192, 7, 1))
    twice = ((narrow, 1, 1), (narrow, 7, 1), (narrow, 1, 7), (narrow, 7, 1), (192, 1, 7))
    return (((192, 1, 1),), once, twice)


def _features(x: Symbolic) -> Symbolic:
    x = _stem(x)  # (B, 35, 35, 192) of 299 pixels
    double: Branch = ((64, 1, 1), (96, 3, 3), (96, 3, 3))
    for number, pooled in enumerate((32, 64, 64)):
        branches: tuple[Branch, ...] = (((64, 1, 1),), ((48, 1, 1), (64, 5, 5)), double)
        x = _mixed(x, branches, pooled, f"mixed{number}")
    x = _shrinking(x, (((384, 3, 3),), double), "mixed3")  # (B, 17, 17, 768)
    for number, narrow in enumerate((128, 160, 160, 192), start=4):
        x = _mixed(x, _sevens(narrow), 192, f"mixed{number}")
    sevens = ((192, 1, 1), (192, 1, 7), (192, 7, 1), (192, 3, 3))
    x = _shrinking(x, (((192, 1, 1), (320, 3, 3)), sevens), "mixed8")  # (B, 8, 8, 1280)
    for number in (0, 1):
        parts = [
            _unit(x, (320, 1, 1)),
            _forked(_unit(x, (384, 1, 1)), f"mixed9_{number}"),
            _forked(_branch(x, ((448, 1, 1), (384, 3, 3))), None),
            _pooled(x, 192),
        ]
        x = layers.Concatenate(axis=3, name=f"mixed{9 + number}")(parts)
    return x


@network("inception_v3", PREPROCESSING_MODES["tf"], size=299, smallest=75, pool_names=(None, None))
def InceptionV3(x: Symbolic) -> Symbolic:  # noqa: N802  (Keras' name)
    """Keras' Inception v3: 23,851,784 numbers, of which 34,432 are BatchNorm's statistics.

    Arguments as `ResNet50`; the usual picture has 299 x 299 pixels, the smallest 75 x 75.

    Shape: (B, H, W, C) -> (B, classes), or (B, H', W', 2048) without top, about H/32
    Raises: WeightsError: the weights do not fit.
    Reference: Szegedy et al. 2016, "Rethinking the Inception Architecture", table 1; without the
        auxiliary classifier, which Keras leaves out.
    """
    return _features(x)
