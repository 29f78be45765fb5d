"""VGG for photos, torchvision's variant: nothing but 3x3 convolutions and pooling; logits."""

from __future__ import annotations

from stroma import layers
from stroma.initializers import RandomNormal
from stroma.models import Model
from stroma.zoo.blocks import InputShape, Weights, convolution, he_normal_outwards, max_pooling
from stroma.zoo.pretrained import load_pretrained
from stroma.zoo.registry import architectures

_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # filters, convolutions: column D


@architectures.register("vgg16")
def vgg16(
    weights: Weights = None,
    include_top: bool = True,
    classes: int = 1000,
    input_shape: InputShape = (224, 224, 3),
) -> Model:
    """VGG-16 for photos: 138,357,544 parameters with 1000 classes, 14,714,688 without top.

    Args:
        weights: None for random ones, the path of a file, or a name ("imagenet-v1").
        include_top: Whether to end in the classifier; else in the last feature map.
        classes: Size of the classifier, >= 1. Where it is not the file's, it starts untrained.
        input_shape: (height, width, channels), at least 32 pixels; None for a size that may vary.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 512) without top
    Raises: WeightsError: the weights were not found or do not fit.
    Reference: Simonyan & Zisserman 2015, "Very Deep Convolutional Networks"; 15.5 billion
        multiplications per picture. The classifier's first layer sees 7 x 7 places, as for 224
        pixels; torchvision pools other sizes to that, and so do we.
    """
    x = inputs = layers.Input(input_shape)
    place = 0
    for filters, depth in _STAGES:
        for _ in range(depth):
            name = f"features.{place}"
            x = convolution(x, filters, 3, kernel_initializer=he_normal_outwards(), name=name)
            x = layers.ReLU(name=f"features.{place + 1}")(x)
            place += 2
        x = max_pooling(x, 2, 2, name=f"features.{place}")
        place += 1
    if include_top:
        x = layers.AdaptiveAveragePooling2D(7, name="avgpool")(x)
        # PyTorch flattens channels first: the order in which its files have the next weights
        x = layers.Permute((3, 1, 2), name="channels_first")(x)
        x = layers.Flatten(name="flatten")(x)  # (B, 25088)
        for place in (0, 3):
            initializer = RandomNormal(stddev=0.01)
            name = f"classifier.{place}"
            x = layers.Dense(4096, kernel_initializer=initializer, name=name)(x)
            x = layers.ReLU(name=f"classifier.{place + 1}")(x)
            x = layers.Dropout(0.5, name=f"classifier.{place + 2}")(x)
        initializer = RandomNormal(stddev=0.01)
        x = layers.Dense(classes, kernel_initializer=initializer, name="classifier.6")(x)
    head = "classifier.6." if include_top else "classifier."
    return load_pretrained(Model(inputs, x, name="vgg16"), "vgg16", weights, head=head)
