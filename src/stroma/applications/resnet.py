"""Keras' ResNets: the paper's placement of strides, biases in convolutions, Keras' layer names.

Reference: He et al. 2016, "Deep Residual Learning for Image Recognition". Not the networks of
`stroma.zoo`, which are torchvision's: there the stride of a block is on the 3x3 convolution and
convolutions have no biases. Weights of one are refused by the other.
"""

from __future__ import annotations

from stroma import layers
from stroma.applications.building import Symbolic, network
from stroma.applications.imagenet_utils import decode_predictions, preprocessing
from stroma.core.preprocessing import PREPROCESSING_MODES

__all__ = ["ResNet50", "ResNet101", "ResNet152", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("caffe")
_CAFFE = PREPROCESSING_MODES["caffe"]


def _convolution(x: Symbolic, filters: int, kernel: int, name: str, stride: int = 1) -> Symbolic:
    padding = "same" if kernel == 3 else "valid"
    x = layers.Conv2D(filters, kernel, stride, padding, name=f"{name}_conv")(x)
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


@network("resnet50", _CAFFE)
def ResNet50(x: Symbolic) -> Symbolic:  # noqa: N802  (Keras' name)
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
    Raises: WeightsError: the weights do not fit, torchvision's among them; ShapeError: pictures
        below 32 x 32 pixels; ArgumentError: another `pooling`.
    Reference: He et al. 2016, table 1.
    """
    return _features(x, (3, 4, 6, 3))


@network("resnet101", _CAFFE)
def ResNet101(x: Symbolic) -> Symbolic:  # noqa: N802  (Keras' name)
    """Keras' ResNet-101: 44,707,176 numbers. Arguments as `ResNet50`.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 2048) without top
    """
    return _features(x, (3, 4, 23, 3))


@network("resnet152", _CAFFE)
def ResNet152(x: Symbolic) -> Symbolic:  # noqa: N802  (Keras' name)
    """Keras' ResNet-152: 60,419,944 numbers. Arguments as `ResNet50`.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 2048) without top
    """
    return _features(x, (3, 8, 36, 3))
