"""Keras' VGG-16, and what it shares with `vgg19`: 3x3 convolutions, and little else."""

from __future__ import annotations

from stroma import layers
from stroma.applications.building import Symbolic, network
from stroma.applications.imagenet_utils import decode_predictions, preprocessing
from stroma.core.preprocessing import PREPROCESSING_MODES

__all__ = ["VGG16", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("caffe")
_FILTERS = (64, 128, 256, 512, 512)


def stages(x: Symbolic, depths: tuple[int, ...]) -> Symbolic:
    """Stages of convolutions; pooling after each halves the size."""
    for stage, (filters, depth) in enumerate(zip(_FILTERS, depths), start=1):
        for number in range(1, depth + 1):
            name = f"block{stage}_conv{number}"
            x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=name)(x)
        x = layers.MaxPooling2D(2, 2, name=f"block{stage}_pool")(x)
    return x


def summary(x: Symbolic) -> Symbolic:
    """Two wide layers over the whole map, which hold nine tenths of the weights."""
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(4096, activation="relu", name="fc1")(x)
    return layers.Dense(4096, activation="relu", name="fc2")(x)


@network("vgg16", PREPROCESSING_MODES["caffe"], summary=summary, pool_names=(None, None))
def VGG16(x: Symbolic) -> Symbolic:  # noqa: N802  (Keras' name)
    """Keras' VGG-16: 138,357,544 numbers. Arguments as `ResNet50`.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 512) without top
    Raises: WeightsError: the weights do not fit, torchvision's among them.
    Reference: Simonyan & Zisserman 2015, "Very Deep Convolutional Networks for Large-Scale Image
        Recognition", table 1, column D.
    """
    return stages(x, (2, 2, 3, 3, 3))
