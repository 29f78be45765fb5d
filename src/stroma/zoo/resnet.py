"""Residual networks: torchvision's variant for photos, and the paper's own for 32x32 pictures.

Both have the weight names of the PyTorch files that hold them, so those load as they are. The
networks end in logits: give the loss `from_logits=True`.

Reference: He, Zhang, Ren & Sun 2016, "Deep Residual Learning for Image Recognition". Where we
differ from the paper, as torchvision and everyone after Goyal et al. 2017 do: in bottlenecks the
stride is on the 3x3 convolution, not on the first 1x1 ("ResNet v1.5"). `stroma.applications` has
the paper's placement, with Keras' names.
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F

from stroma import layers
from stroma.models import Model
from stroma.zoo.blocks import (
    InputShape,
    Symbolic,
    Weights,
    convolution,
    he_normal_outwards,
    max_pooling,
    normalization,
)
from stroma.zoo.pretrained import load_pretrained
from stroma.zoo.registry import architectures

Block = Callable[[Symbolic, int, int, str], Symbolic]


def _convolution(x: Symbolic, filters: int, kernel: int, stride: int, name: str) -> Symbolic:
    initializer = he_normal_outwards()
    return convolution(
        x, filters, kernel, stride, name=name, use_bias=False, kernel_initializer=initializer
    )


def _projection(x: Symbolic, filters: int, stride: int, name: str) -> Symbolic:
    """The shortcut: the identity, or a 1x1 convolution where shapes would not fit (option B)."""
    if stride == 1 and x.shape[-1] == filters:
        return x
    x = _convolution(x, filters, 1, stride, f"{name}.downsample.0")
    return normalization(x, f"{name}.downsample.1")


def basic_block(x: Symbolic, filters: int, stride: int, name: str) -> Symbolic:
    """Two 3x3 convolutions beside the shortcut.

    Shape: (B, H, W, C) -> (B, ceil(H / stride), ceil(W / stride), filters)
    """
    y = _convolution(x, filters, 3, stride, f"{name}.conv1")
    y = layers.ReLU(name=f"{name}.relu1")(normalization(y, f"{name}.bn1"))
    y = normalization(_convolution(y, filters, 3, 1, f"{name}.conv2"), f"{name}.bn2")
    y = layers.Add(name=f"{name}.add")([y, _projection(x, filters, stride, name)])
    return layers.ReLU(name=f"{name}.relu")(y)


def bottleneck(x: Symbolic, filters: int, stride: int, name: str) -> Symbolic:
    """1x1 down to `filters`, 3x3, 1x1 up to four times as many, beside the shortcut.

    Shape: (B, H, W, C) -> (B, ceil(H / stride), ceil(W / stride), 4 * filters)
    """
    y = normalization(_convolution(x, filters, 1, 1, f"{name}.conv1"), f"{name}.bn1")
    y = layers.ReLU(name=f"{name}.relu1")(y)
    y = normalization(_convolution(y, filters, 3, stride, f"{name}.conv2"), f"{name}.bn2")
    y = layers.ReLU(name=f"{name}.relu2")(y)
    y = normalization(_convolution(y, 4 * filters, 1, 1, f"{name}.conv3"), f"{name}.bn3")
    y = layers.Add(name=f"{name}.add")([y, _projection(x, 4 * filters, stride, name)])
    return layers.ReLU(name=f"{name}.relu")(y)


def padded_block(x: Symbolic, filters: int, stride: int, name: str) -> Symbolic:
    """A basic block whose shortcut has no weights: it skips pixels and fills channels with zeros.

    The paper's option A.

    Shape: (B, H, W, C) -> (B, ceil(H / stride), ceil(W / stride), filters)
    """
    y = _convolution(x, filters, 3, stride, f"{name}.conv1")
    y = layers.ReLU(name=f"{name}.relu1")(normalization(y, f"{name}.bn1"))
    y = normalization(_convolution(y, filters, 3, 1, f"{name}.conv2"), f"{name}.bn2")
    if stride != 1 or x.shape[-1] != filters:
        side = (filters - x.shape[-1]) // 2
        x = F.pad(x[:, ::stride, ::stride], (side, side))
    y = layers.Add(name=f"{name}.add")([y, x])
    return layers.ReLU(name=f"{name}.relu")(y)


def _stages(x: Symbolic, block: Block, depths: tuple[int, ...], filters: int) -> Symbolic:
    for stage, depth in enumerate(depths):
        for number in range(depth):
            stride = 2 if stage > 0 and number == 0 else 1
            x = block(x, filters * 2**stage, stride, f"layer{stage + 1}.{number}")
    return x


def _photo_resnet(
    name: str,
    block: Block,
    depths: tuple[int, int, int, int],
    weights: Weights,
    include_top: bool,
    classes: int,
    input_shape: InputShape,
) -> Model:
    inputs = layers.Input(input_shape)
    x = _convolution(inputs, 64, 7, 2, "conv1")  # (B, H/2, W/2, 64)
    x = layers.ReLU(name="relu")(normalization(x, "bn1"))
    x = max_pooling(x, 3, 2, padding=1, name="maxpool")  # (B, H/4, W/4, 64)
    x = _stages(x, block, depths, 64)  # (B, H/32, W/32, C)
    if include_top:
        x = layers.GlobalAveragePooling2D(name="avgpool")(x)
        x = layers.Dense(classes, name="fc")(x)
    return load_pretrained(Model(inputs, x, name=name), name, weights, head="fc.")


@architectures.register("resnet18")
def resnet18(
    weights: Weights = None,
    include_top: bool = True,
    classes: int = 1000,
    input_shape: InputShape = (224, 224, 3),
) -> Model:
    """ResNet-18 for photos, as torchvision has it: 11,689,512 parameters with 1000 classes.

    Args:
        weights: None for random ones, the path of a file, or a name ("imagenet-v1").
        include_top: Whether to end in pooling and a classifier; else in the last feature map.
        classes: Size of the classifier, >= 1. Where it is not the file's, it starts untrained.
        input_shape: (height, width, channels); None for a size that may vary.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 512) without top
    Raises: WeightsError: the weights were not found or do not fit.
    Reference: He et al. 2016, table 1; 1.8 billion multiplications per picture.
    """
    return _photo_resnet(
        "resnet18", basic_block, (2, 2, 2, 2), weights, include_top, classes, input_shape
    )


@architectures.register("resnet34")
def resnet34(
    weights: Weights = None,
    include_top: bool = True,
    classes: int = 1000,
    input_shape: InputShape = (224, 224, 3),
) -> Model:
    """ResNet-34 for photos: 21,797,672 parameters. Arguments as `resnet18`.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 512) without top
    """
    return _photo_resnet(
        "resnet34", basic_block, (3, 4, 6, 3), weights, include_top, classes, input_shape
    )


@architectures.register("resnet50")
def resnet50(
    weights: Weights = None,
    include_top: bool = True,
    classes: int = 1000,
    input_shape: InputShape = (224, 224, 3),
) -> Model:
    """ResNet-50 for photos: 25,557,032 parameters. Arguments as `resnet18`.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 2048) without top
    """
    return _photo_resnet(
        "resnet50", bottleneck, (3, 4, 6, 3), weights, include_top, classes, input_shape
    )


@architectures.register("resnet101")
def resnet101(
    weights: Weights = None,
    include_top: bool = True,
    classes: int = 1000,
    input_shape: InputShape = (224, 224, 3),
) -> Model:
    """ResNet-101 for photos: 44,549,160 parameters. Arguments as `resnet18`.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 2048) without top
    """
    return _photo_resnet(
        "resnet101", bottleneck, (3, 4, 23, 3), weights, include_top, classes, input_shape
    )


@architectures.register("resnet152")
def resnet152(
    weights: Weights = None,
    include_top: bool = True,
    classes: int = 1000,
    input_shape: InputShape = (224, 224, 3),
) -> Model:
    """ResNet-152 for photos: 60,192,808 parameters. Arguments as `resnet18`.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 2048) without top
    """
    return _photo_resnet(
        "resnet152", bottleneck, (3, 8, 36, 3), weights, include_top, classes, input_shape
    )


def _small_resnet(
    depth: int, weights: Weights, include_top: bool, classes: int, input_shape: InputShape
) -> Model:
    inputs = layers.Input(input_shape)
    x = _convolution(inputs, 16, 3, 1, "conv1")
    x = layers.ReLU(name="relu")(normalization(x, "bn1"))
    x = _stages(x, padded_block, ((depth - 2) // 6,) * 3, 16)  # (B, H/4, W/4, 64)
    if include_top:
        x = layers.GlobalAveragePooling2D(name="avgpool")(x)
        x = layers.Dense(classes, name="linear")(x)
    name = f"resnet{depth}"
    return load_pretrained(Model(inputs, x, name=name), name, weights, head="linear.")


@architectures.register("resnet20")
def resnet20(
    weights: Weights = None,
    include_top: bool = True,
    classes: int = 10,
    input_shape: InputShape = (32, 32, 3),
) -> Model:
    """ResNet-20 for small pictures (CIFAR-10): 269,722 parameters with 10 classes.

    Shortcuts carry no weights (option A of the paper). The files of
    github.com/akamaster/pytorch_resnet_cifar10 load as they are.

    Args:
        weights: None for random ones, the path of a file, or a name ("cifar10").
        include_top: Whether to end in pooling and a classifier; else in the last feature map.
        classes: Size of the classifier, >= 1. Where it is not the file's, it starts untrained.
        input_shape: (height, width, channels); None for a size that may vary.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/4, W/4, 64) without top
    Raises: WeightsError: the weights were not found or do not fit.
    Reference: He et al. 2016, section 4.2.
    """
    return _small_resnet(20, weights, include_top, classes, input_shape)


@architectures.register("resnet32")
def resnet32(
    weights: Weights = None,
    include_top: bool = True,
    classes: int = 10,
    input_shape: InputShape = (32, 32, 3),
) -> Model:
    """ResNet-32 for small pictures: 464,154 parameters. Arguments as `resnet20`.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/4, W/4, 64) without top
    """
    return _small_resnet(32, weights, include_top, classes, input_shape)


@architectures.register("resnet44")
def resnet44(
    weights: Weights = None,
    include_top: bool = True,
    classes: int = 10,
    input_shape: InputShape = (32, 32, 3),
) -> Model:
    """ResNet-44 for small pictures: 658,586 parameters. Arguments as `resnet20`.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/4, W/4, 64) without top
    """
    return _small_resnet(44, weights, include_top, classes, input_shape)


@architectures.register("resnet56")
def resnet56(
    weights: Weights = None,
    include_top: bool = True,
    classes: int = 10,
    input_shape: InputShape = (32, 32, 3),
) -> Model:
    """ResNet-56 for small pictures: 853,018 parameters. Arguments as `resnet20`.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/4, W/4, 64) without top
    """
    return _small_resnet(56, weights, include_top, classes, input_shape)


@architectures.register("resnet110")
def resnet110(
    weights: Weights = None,
    include_top: bool = True,
    classes: int = 10,
    input_shape: InputShape = (32, 32, 3),
) -> Model:
    """ResNet-110 for small pictures: 1,727,962 parameters. Arguments as `resnet20`.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/4, W/4, 64) without top
    """
    return _small_resnet(110, weights, include_top, classes, input_shape)
