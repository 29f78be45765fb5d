"""EfficientNet for photos, torchvision's variant; ends in logits."""

from __future__ import annotations

from stroma import layers
from stroma.initializers import VarianceScaling
from stroma.models import Model
from stroma.zoo.blocks import (
    InputShape,
    Symbolic,
    Weights,
    convolution_unit,
    squeeze_excitation,
)
from stroma.zoo.pretrained import load_pretrained
from stroma.zoo.registry import architectures

# expansion, kernel, stride of the first block, filters, blocks: table 1 of the paper
_STAGES = (
    (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4), (6, 3, 1, 320, 1),
)  # fmt: skip
_DROP = 0.2  # of the deepest block's samples in training; earlier ones in proportion to depth


def _block(
    x: Symbolic, expansion: int, kernel: int, stride: int, filters: int, drop: float, name: str
) -> Symbolic:
    """MobileNetV2's block with squeeze and excitation, skipped by some samples in training.

    Shape: (B, H, W, C) -> (B, ceil(H / stride), ceil(W / stride), filters)
    """
    wide, y, place = expansion * x.shape[-1], x, 0
    if expansion != 1:
        y = convolution_unit(y, wide, 1, name=f"{name}.block.0", activation="silu")
        place = 1
    y = convolution_unit(
        y, wide, kernel, stride, groups=wide, name=f"{name}.block.{place}", activation="silu"
    )
    y = squeeze_excitation(
        y, x.shape[-1] // 4, name=f"{name}.block.{place + 1}", activation="silu", gate="sigmoid"
    )
    y = convolution_unit(y, filters, 1, name=f"{name}.block.{place + 2}", activation=None)
    if stride != 1 or x.shape[-1] != filters:
        return y
    y = layers.StochasticDepth(drop, name=f"{name}.stochastic_depth")(y)
    return layers.Add(name=f"{name}.add")([x, y])


@architectures.register("efficientnet_b0")
def efficientnet_b0(
    weights: Weights = None,
    include_top: bool = True,
    classes: int = 1000,
    input_shape: InputShape = (224, 224, 3),
) -> Model:
    """EfficientNet-B0 for photos, torchvision's names: 5,288,548 parameters with 1000 classes.

    Args:
        weights: None for random ones, the path of a file, or a name ("imagenet-v1").
        include_top: Whether to end in pooling and a classifier; else in the last feature map.
        classes: Size of the classifier, >= 1. Where it is not the file's, it starts untrained.
        input_shape: (height, width, channels); None for a size that may vary.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 1280) without top
    Raises: WeightsError: the weights were not found or do not fit.
    Reference: Tan & Le 2019, "EfficientNet"; 0.39 billion multiplications per picture. BatchNorm's
        epsilon is PyTorch's 1e-5, with which torchvision's weights were trained; the paper's code
        and `stroma.applications.EfficientNetB0` have 1e-3.
    """
    inputs = layers.Input(input_shape)
    x = convolution_unit(inputs, 32, 3, 2, name="features.0", activation="silu")
    total = sum(blocks for *_, blocks in _STAGES)
    done = 0
    for stage, (expansion, kernel, first_stride, filters, blocks) in enumerate(_STAGES):
        for number in range(blocks):
            stride = first_stride if number == 0 else 1
            name = f"features.{stage + 1}.{number}"
            x = _block(x, expansion, kernel, stride, filters, _DROP * done / total, name)
            done += 1
    x = convolution_unit(x, 1280, 1, name="features.8", activation="silu")
    if include_top:
        x = layers.GlobalAveragePooling2D(name="avgpool")(x)
        x = layers.Dropout(0.2, name="classifier.0")(x)
        initializer = VarianceScaling(1 / 3, "fan_out", "uniform")  # within 1 / sqrt(classes)
        x = layers.Dense(classes, kernel_initializer=initializer, name="classifier.1")(x)
    model = Model(inputs, x, name="efficientnet_b0")
    return load_pretrained(model, "efficientnet_b0", weights, head="classifier.1.")
