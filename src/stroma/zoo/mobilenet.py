"""MobileNets for photos, torchvision's variants: most accuracy for the least work on a CPU.

Both end in logits: give the loss `from_logits=True`.
"""

from __future__ import annotations

from stroma import layers
from stroma.initializers import RandomNormal
from stroma.models import Model
from stroma.zoo.blocks import (
    InputShape,
    Symbolic,
    Weights,
    convolution,
    convolution_unit,
    he_normal_outwards,
    normalization,
    squeeze_excitation,
)
from stroma.zoo.pretrained import load_pretrained
from stroma.zoo.registry import architectures

# expansion, filters, blocks, stride of the first: table 2 of the paper
_V2_STAGES = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
    (6, 320, 1, 1),
)  # fmt: skip
# kernel, expanded channels, channels squeezed to (0: none), activation, filters, stride: table 2
_V3_SMALL_BLOCKS = (
    (3, 16, 8, "relu", 16, 2), (3, 72, 0, "relu", 24, 2), (3, 88, 0, "relu", 24, 1),
    (5, 96, 24, "hard_silu", 40, 2), (5, 240, 64, "hard_silu", 40, 1),
    (5, 240, 64, "hard_silu", 40, 1), (5, 120, 32, "hard_silu", 48, 1),
    (5, 144, 40, "hard_silu", 48, 1), (5, 288, 72, "hard_silu", 96, 2),
    (5, 576, 144, "hard_silu", 96, 1), (5, 576, 144, "hard_silu", 96, 1),
)  # fmt: skip


def linear_bottleneck(
    x: Symbolic, expansion: int, filters: int, stride: int, name: str
) -> Symbolic:
    """Widen by 1x1, look by 3x3 at each channel alone, narrow by 1x1 without an activation.

    Shape: (B, H, W, C) -> (B, ceil(H / stride), ceil(W / stride), filters)
    """
    wide, y, place = expansion * x.shape[-1], x, 0
    if expansion != 1:
        y = convolution_unit(y, wide, 1, name=f"{name}.conv.0", activation="relu6")
        place = 1
    y = convolution_unit(
        y, wide, 3, stride, groups=wide, name=f"{name}.conv.{place}", activation="relu6"
    )
    y = convolution(
        y, filters, 1, name=f"{name}.conv.{place + 1}", use_bias=False,
        kernel_initializer=he_normal_outwards(),
    )  # fmt: skip
    y = normalization(y, f"{name}.conv.{place + 2}")
    if stride != 1 or x.shape[-1] != filters:
        return y
    return layers.Add(name=f"{name}.add")([x, y])


@architectures.register("mobilenet_v2")
def mobilenet_v2(
    weights: Weights = None,
    include_top: bool = True,
    classes: int = 1000,
    input_shape: InputShape = (224, 224, 3),
) -> Model:
    """MobileNet V2 for photos: 3,504,872 parameters with 1000 classes.

    Args:
        weights: None for random ones, the path of a file, or a name ("imagenet-v1").
        include_top: Whether to end in pooling and a classifier; else in the last feature map.
        classes: Size of the classifier, >= 1. Where it is not the file's, it starts untrained.
        input_shape: (height, width, channels); None for a size that may vary.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 1280) without top
    Raises: WeightsError: the weights were not found or do not fit.
    Reference: Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks"; 0.3
        billion multiplications per picture. `stroma.applications.MobileNetV2` has Keras' numbers.
    """
    inputs = layers.Input(input_shape)
    x = convolution_unit(inputs, 32, 3, 2, name="features.0", activation="relu6")
    place = 1
    for expansion, filters, blocks, first_stride in _V2_STAGES:
        for number in range(blocks):
            stride = first_stride if number == 0 else 1
            x = linear_bottleneck(x, expansion, filters, stride, f"features.{place}")
            place += 1
    x = convolution_unit(x, 1280, 1, name=f"features.{place}", activation="relu6")
    if include_top:
        x = layers.GlobalAveragePooling2D(name="avgpool")(x)
        x = layers.Dropout(0.2, name="classifier.0")(x)
        initializer = RandomNormal(stddev=0.01)
        x = layers.Dense(classes, kernel_initializer=initializer, name="classifier.1")(x)
    model = Model(inputs, x, name="mobilenet_v2")
    return load_pretrained(model, "mobilenet_v2", weights, head="classifier.1.")


def _v3_unit(
    x: Symbolic,
    filters: int,
    kernel: int,
    stride: int = 1,
    *,
    name: str,
    activation: str | None,
    groups: int = 1,
) -> Symbolic:
    return convolution_unit(
        x, filters, kernel, stride, name=name, activation=activation, groups=groups,
        epsilon=1e-3, momentum=0.99,
    )  # fmt: skip


def _v3_block(
    x: Symbolic,
    kernel: int,
    wide: int,
    squeezed: int,
    activation: str,
    filters: int,
    stride: int,
    name: str,
) -> Symbolic:
    """V2's block with squeeze and excitation before it narrows."""
    y, place = x, 0
    if wide != x.shape[-1]:
        y = _v3_unit(y, wide, 1, name=f"{name}.block.0", activation=activation)
        place = 1
    y = _v3_unit(
        y, wide, kernel, stride, groups=wide, name=f"{name}.block.{place}", activation=activation
    )
    if squeezed:
        place += 1
        y = squeeze_excitation(
            y, squeezed, name=f"{name}.block.{place}", activation="relu", gate="hard_sigmoid"
        )
    y = _v3_unit(y, filters, 1, name=f"{name}.block.{place + 1}", activation=None)
    if stride != 1 or x.shape[-1] != filters:
        return y
    return layers.Add(name=f"{name}.add")([x, y])


@architectures.register("mobilenet_v3_small")
def mobilenet_v3_small(
    weights: Weights = None,
    include_top: bool = True,
    classes: int = 1000,
    input_shape: InputShape = (224, 224, 3),
) -> Model:
    """MobileNet V3 small for photos: 2,542,856 parameters. Arguments as `mobilenet_v2`.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 576) without top
    Reference: Howard et al. 2019, "Searching for MobileNetV3"; 0.06 billion multiplications.
    """
    inputs = layers.Input(input_shape)
    x = _v3_unit(inputs, 16, 3, 2, name="features.0", activation="hard_silu")
    for number, block in enumerate(_V3_SMALL_BLOCKS):
        x = _v3_block(x, *block, name=f"features.{number + 1}")
    x = _v3_unit(x, 576, 1, name="features.12", activation="hard_silu")
    if include_top:
        x = layers.GlobalAveragePooling2D(name="avgpool")(x)
        initializer = RandomNormal(stddev=0.01)
        x = layers.Dense(1024, kernel_initializer=initializer, name="classifier.0")(x)
        x = layers.Activation("hard_silu", name="classifier.1")(x)
        x = layers.Dropout(0.2, name="classifier.2")(x)
        initializer = RandomNormal(stddev=0.01)
        x = layers.Dense(classes, kernel_initializer=initializer, name="classifier.3")(x)
    model = Model(inputs, x, name="mobilenet_v3_small")
    head = "classifier.3." if include_top else "classifier."
    return load_pretrained(model, "mobilenet_v3_small", weights, head=head)
