"""Keras' VGG-19."""

from __future__ import annotations

from stroma.applications.building import Symbolic, network
from stroma.applications.imagenet_utils import decode_predictions, preprocessing
from stroma.applications.vgg16 import stages, summary
from stroma.core.preprocessing import PREPROCESSING_MODES

__all__ = ["VGG19", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("caffe")


@network("vgg19", PREPROCESSING_MODES["caffe"], summary=summary, pool_names=(None, None))
def VGG19(x: Symbolic) -> Symbolic:  # noqa: N802  (Keras' name)
    """Keras' VGG-19: 143,667,240 numbers. Arguments as `ResNet50`.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 512) without top
    Reference: Simonyan & Zisserman 2015, table 1, column E.
    """
    return stages(x, (2, 2, 4, 4, 4))
