"""Keras' ResNets of the second kind: normalise and activate before each convolution, not after.

Reference: He et al. 2016, "Identity Mappings in Deep Residual Networks".
"""

from __future__ import annotations

from stroma import layers
from stroma.applications.building import Symbolic, network
from stroma.applications.imagenet_utils import decode_predictions, preprocessing
from stroma.core.preprocessing import PREPROCESSING_MODES

__all__ = ["ResNet50V2", "ResNet101V2", "ResNet152V2", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("tf")
_TF = PREPROCESSING_MODES["tf"]


def _activated(x: Symbolic, normalization: str, activation: str) -> Symbolic:
    x = layers.BatchNormalization(epsilon=1.001e-5, name=normalization)(x)
    return layers.Activation("relu", name=activation)(x)


def _block(x: Symbolic, filters: int, stride: int, project: bool, name: str) -> Symbolic:
    """1x1, 3x3 with the stride, 1x1 up to four times as many, beside the shortcut."""
    active = _activated(x, f"{name}_preact_bn", f"{name}_preact_relu")
    if project:
        shortcut = layers.Conv2D(4 * filters, 1, stride, name=f"{name}_0_conv")(active)
    else:
        shortcut = layers.MaxPooling2D(1, stride)(x) if stride > 1 else x
    y = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_1_conv")(active)
    y = _activated(y, f"{name}_1_bn", f"{name}_1_relu")
    y = layers.ZeroPadding2D(1, name=f"{name}_2_pad")(y)
    y = layers.Conv2D(filters, 3, stride, use_bias=False, name=f"{name}_2_conv")(y)
    y = _activated(y, f"{name}_2_bn", f"{name}_2_relu")
    y = layers.Conv2D(4 * filters, 1, name=f"{name}_3_conv")(y)
    return layers.Add(name=f"{name}_out")([shortcut, y])


def _features(x: Symbolic, depths: tuple[int, int, int, int]) -> Symbolic:
    x = layers.ZeroPadding2D(3, name="conv1_pad")(x)
    x = layers.Conv2D(64, 7, 2, name="conv1_conv")(x)
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = layers.MaxPooling2D(3, 2, name="pool1_pool")(x)
    for stage, depth in enumerate(depths):
        for number in range(depth):
            # the last block of a stage halves the size, not the first of the next
            stride = 2 if stage < 3 and number == depth - 1 else 1
            name = f"conv{stage + 2}_block{number + 1}"
            x = _block(x, 64 * 2**stage, stride, number == 0, name)
    return _activated(x, "post_bn", "post_relu")


@network("resnet50v2", _TF)
def ResNet50V2(x: Symbolic) -> Symbolic:  # noqa: N802  (Keras' name)
    """Keras' ResNet-50 V2: 25,613,800 numbers. Arguments as `ResNet50`.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 2048) without top
    """
    return _features(x, (3, 4, 6, 3))


@network("resnet101v2", _TF)
def ResNet101V2(x: Symbolic) -> Symbolic:  # noqa: N802  (Keras' name)
    """Keras' ResNet-101 V2: 44,675,560 numbers. Arguments as `ResNet50`.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 2048) without top
    """
    return _features(x, (3, 4, 23, 3))


@network("resnet152v2", _TF)
def ResNet152V2(x: Symbolic) -> Symbolic:  # noqa: N802  (Keras' name)
    """Keras' ResNet-152 V2: 60,380,648 numbers. Arguments as `ResNet50`.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 2048) without top
    """
    return _features(x, (3, 8, 36, 3))
