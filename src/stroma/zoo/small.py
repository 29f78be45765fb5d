"""Small networks, for learning and as a first thing to try."""

from __future__ import annotations

from os import PathLike

from stroma import layers
from stroma.models import Model
from stroma.zoo.pretrained import load_pretrained
from stroma.zoo.registry import architectures


@architectures.register("lenet5")
def lenet5(
    weights: str | PathLike[str] | None = None,
    include_top: bool = True,
    classes: int = 10,
    input_shape: tuple[int, int, int] = (32, 32, 1),
) -> Model:
    """LeNet-5, the network that read cheques: 61,706 parameters; ends in logits.

    Args:
        weights: None for random ones, or the path of a file.
        include_top: Whether to end in the classifier; else in the 84 features before it.
        classes: Size of the classifier, >= 1.
        input_shape: (height, width, channels), at least 16 pixels; the digits were 32 x 32.

    Shape: (B, H, W, C) -> (B, classes), or (B, 84) without top
    Reference: LeCun et al. 1998, "Gradient-based learning applied to document recognition". As in
        everyone's version today, and unlike the paper: every map of the second convolution sees
        all six of the first, pooling has no weights, the last layer is an affine map.
    """
    inputs = layers.Input(input_shape)
    x = layers.Conv2D(6, 5, activation="tanh", name="conv1")(inputs)
    x = layers.AveragePooling2D(2, name="pool1")(x)
    x = layers.Conv2D(16, 5, activation="tanh", name="conv2")(x)
    x = layers.Flatten(name="flatten")(layers.AveragePooling2D(2, name="pool2")(x))
    x = layers.Dense(120, activation="tanh", name="fc1")(x)
    x = layers.Dense(84, activation="tanh", name="fc2")(x)
    if include_top:
        x = layers.Dense(classes, name="fc3")(x)
    return load_pretrained(Model(inputs, x, name="lenet5"), "lenet5", weights, head="fc3.")


@architectures.register("small_cnn")
def small_cnn(
    weights: str | PathLike[str] | None = None,
    include_top: bool = True,
    classes: int = 10,
    input_shape: tuple[int | None, int | None, int] = (32, 32, 3),
) -> Model:
    """A plain convolutional network: three times two 3x3 convolutions, then pooling; logits.

    Args:
        weights: None for random ones, or the path of a file.
        include_top: Whether to end in pooling and a classifier; else in the last feature map.
        classes: Size of the classifier, >= 1.
        input_shape: (height, width, channels), at least 4 pixels; None for one that may vary.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/4, W/4, 128) without top
    Reference: the plain design of Simonyan & Zisserman 2015, small, with BatchNormalization.
    """
    x = inputs = layers.Input(input_shape)
    for stage, filters in enumerate((32, 64, 128)):
        if stage:
            x = layers.MaxPooling2D(2, name=f"pool{stage}")(x)
        for number in (0, 1):
            name = f"stage{stage + 1}.{number}"
            x = layers.Conv2D(
                filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal",
                name=f"{name}.conv",
            )(x)  # fmt: skip
            x = layers.BatchNormalization(momentum=0.9, name=f"{name}.bn")(x)
            x = layers.ReLU(name=f"{name}.relu")(x)
    if include_top:
        x = layers.GlobalAveragePooling2D(name="avgpool")(x)
        x = layers.Dense(classes, name="fc")(x)
    return load_pretrained(Model(inputs, x, name="small_cnn"), "small_cnn", weights, head="fc.")
