"""ConvNeXt for photos, torchvision's variant; ends in logits."""

from __future__ import annotations

from stroma import layers
from stroma.initializers import RandomNormal
from stroma.models import Model
from stroma.zoo.blocks import InputShape, Symbolic, Weights
from stroma.zoo.pretrained import load_pretrained
from stroma.zoo.registry import architectures

_STAGES = ((96, 3), (192, 3), (384, 9), (768, 3))  # filters, blocks
_DROP = 0.1  # of the deepest block's samples in training; earlier ones in proportion to depth


def _patches(x: Symbolic, filters: int, size: int, name: str) -> Symbolic:
    """Each square of `size` pixels becomes one."""
    initializer = RandomNormal(stddev=0.02)
    return layers.Conv2D(filters, size, size, kernel_initializer=initializer, name=name)(x)


def _normalization(x: Symbolic, name: str) -> Symbolic:
    return layers.LayerNormalization(epsilon=1e-6, name=name)(x)


@architectures.register("convnext_tiny")
def convnext_tiny(
    weights: Weights = None,
    include_top: bool = True,
    classes: int = 1000,
    input_shape: InputShape = (224, 224, 3),
) -> Model:
    """ConvNeXt-Tiny for photos, torchvision's names: 28,589,128 parameters with 1000 classes.

    Args:
        weights: None for random ones, the path of a file, or a name ("imagenet-v1").
        include_top: Whether to end in pooling and a classifier; else in the last feature map.
        classes: Size of the classifier, >= 1. Where it is not the file's, it starts untrained.
        input_shape: (height, width, channels), at least 32 pixels; None for a size that may vary.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 768) without top
    Raises: WeightsError: the weights were not found or do not fit.
    Reference: Liu et al. 2022, "A ConvNet for the 2020s"; 4.5 billion multiplications per picture.
    """
    inputs = layers.Input(input_shape)
    x = _normalization(_patches(inputs, 96, 4, "features.0.0"), "features.0.1")
    last = sum(blocks for _, blocks in _STAGES) - 1
    done = 0
    for stage, (filters, blocks) in enumerate(_STAGES):
        if stage:
            x = _normalization(x, f"features.{2 * stage}.0")
            x = _patches(x, filters, 2, f"features.{2 * stage}.1")
        for number in range(blocks):
            name = f"features.{2 * stage + 1}.{number}"
            x = layers.ConvNeXtBlock(_DROP * done / last, name=name)(x)
            done += 1
    if include_top:
        x = layers.GlobalAveragePooling2D(name="avgpool")(x)
        x = _normalization(x, "classifier.0")
        initializer = RandomNormal(stddev=0.02)
        x = layers.Dense(classes, kernel_initializer=initializer, name="classifier.2")(x)
    head = "classifier.2." if include_top else "classifier."
    model = Model(inputs, x, name="convnext_tiny")
    return load_pretrained(model, "convnext_tiny", weights, head=head)
