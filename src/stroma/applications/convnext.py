"""Keras' ConvNeXt: a convolutional network after the manner of transformers.

It takes pixels from 0 to 255 and scales them itself, unless told not to. Not
`stroma.zoo.convnext_tiny`, which is torchvision's.
Reference: Liu et al. 2022, "A ConvNet for the 2020s".
"""

from __future__ import annotations

from typing import Any

from stroma import layers
from stroma.applications.building import (
    InputShape,
    Pooling,
    Symbolic,
    Weights,
    averaged,
    entry,
    finished,
    with_top,
)
from stroma.applications.imagenet_utils import decode_predictions, preprocessing
from stroma.core.preprocessing import PREPROCESSING_MODES, Preprocessing
from stroma.models import Model, Sequential

__all__ = [
    "ConvNeXtTiny", "ConvNeXtSmall", "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtXLarge",
    "decode_predictions", "preprocess_input",
]  # fmt: skip

preprocess_input = preprocessing(None)


def _normalization(name: str | None) -> layers.LayerNormalization:
    return layers.LayerNormalization(epsilon=1e-6, name=name)


def _scaled(x: Symbolic, name: str) -> Symbolic:
    how = PREPROCESSING_MODES["torch"]
    mean = [number / how.scale for number in how.mean]
    variance = [(number / how.scale) ** 2 for number in how.std]
    name = f"{name}_prestem_normalization"
    return layers.Normalization(mean=mean, variance=variance, name=name)(x)


def _block(x: Symbolic, filters: int, name: str) -> Symbolic:
    """7x7 at each channel alone, normalise, widen fourfold, narrow, scale; beside the input."""
    y = layers.Conv2D(
        filters, 7, padding="same", groups=filters, name=f"{name}_depthwise_conv"
    )(x)  # fmt: skip
    y = _normalization(f"{name}_layernorm")(y)
    y = layers.Dense(4 * filters, name=f"{name}_pointwise_conv_1")(y)
    y = layers.Activation("gelu", name=f"{name}_gelu")(y)
    y = layers.Dense(filters, name=f"{name}_pointwise_conv_2")(y)
    y = layers.LayerScale(1e-6, filters, name=f"{name}_layer_scale")(y)
    return x + layers.Activation("linear", name=f"{name}_identity")(y)


def _features(
    x: Symbolic, depths: tuple[int, ...], filters: tuple[int, ...], name: str
) -> Symbolic:
    for stage, (depth, width) in enumerate(zip(depths, filters)):
        if stage:
            number = stage - 1
            shrinking = [
                _normalization(f"{name}_downsampling_layernorm_{number}"),
                layers.Conv2D(width, 2, 2, name=f"{name}_downsampling_conv_{number}"),
            ]
            x = Sequential(shrinking, name=f"{name}_downsampling_block_{number}")(x)
        else:
            stem = layers.Conv2D(width, 4, 4, name=f"{name}_stem_conv")
            x = Sequential(
                [stem, _normalization(f"{name}_stem_layernorm")], name=f"{name}_stem"
            )(x)  # fmt: skip
        for number in range(depth):
            x = _block(x, width, f"{name}_stage_{stage}_block_{number}")
    return x


def _network(
    depths: tuple[int, ...], filters: tuple[int, ...], owner: str, include_top: bool,
    include_preprocessing: bool, weights: Weights, input_tensor: Any, input_shape: InputShape,
    pooling: Pooling, classes: int, activation: str | None, name: str,
) -> Model:  # fmt: skip
    x = entry(input_tensor, input_shape, include_top, 224, owner=owner)
    y = _scaled(x, name) if include_preprocessing and x.shape[-1] == 3 else x

    def summary(y: Symbolic) -> Symbolic:
        return _normalization(f"{name}_head_layernorm")(averaged(y, f"{name}_head_gap"))

    y = with_top(
        _features(y, depths, filters, name), include_top=include_top, pooling=pooling,
        classes=classes, activation=activation, owner=owner, summary=summary,
        pool_names=(None, None), classifier=f"{name}_head_dense",
    )  # fmt: skip
    if not include_top:
        y = _normalization(None)(y)
    scaled = Preprocessing(scale=1.0) if include_preprocessing else PREPROCESSING_MODES["torch"]
    return finished(x, y, name, weights, scaled, head=f"{name}_head_dense.")


def ConvNeXtTiny(  # noqa: N802  (Keras' name)
    include_top: bool = True,
    include_preprocessing: bool = True,
    weights: Weights = None,
    input_tensor: Any = None,
    input_shape: InputShape = None,
    pooling: Pooling = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "convnext_tiny",
) -> Model:
    """Keras' ConvNeXt-Tiny: 28,589,128 numbers. Other arguments as `ResNet50`.

    Args:
        include_preprocessing: Whether the network scales pixels from 0 to 255 itself.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 768) without top
    Raises: WeightsError: the weights do not fit, torchvision's among them.
    Reference: Liu et al. 2022, section 3. Keras' networks skip no block in training, unlike the
        paper's, and without top they end in a normalization after the pooling.
    """
    return _network(
        (3, 3, 9, 3), (96, 192, 384, 768), "ConvNeXtTiny", include_top,
        include_preprocessing, weights, input_tensor, input_shape, pooling, classes,
        classifier_activation, name,
    )  # fmt: skip


def ConvNeXtSmall(  # noqa: N802  (Keras' name)
    include_top: bool = True,
    include_preprocessing: bool = True,
    weights: Weights = None,
    input_tensor: Any = None,
    input_shape: InputShape = None,
    pooling: Pooling = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "convnext_small",
) -> Model:
    """Keras' ConvNeXt-Small: 50,223,688 numbers. Arguments as `ConvNeXtTiny`.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 768) without top
    """
    return _network(
        (3, 3, 27, 3), (96, 192, 384, 768), "ConvNeXtSmall", include_top,
        include_preprocessing, weights, input_tensor, input_shape, pooling, classes,
        classifier_activation, name,
    )  # fmt: skip


def ConvNeXtBase(  # noqa: N802  (Keras' name)
    include_top: bool = True,
    include_preprocessing: bool = True,
    weights: Weights = None,
    input_tensor: Any = None,
    input_shape: InputShape = None,
    pooling: Pooling = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "convnext_base",
) -> Model:
    """Keras' ConvNeXt-Base: 88,591,464 numbers. Arguments as `ConvNeXtTiny`.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 1024) without top
    """
    return _network(
        (3, 3, 27, 3), (128, 256, 512, 1024), "ConvNeXtBase", include_top,
        include_preprocessing, weights, input_tensor, input_shape, pooling, classes,
        classifier_activation, name,
    )  # fmt: skip


def ConvNeXtLarge(  # noqa: N802  (Keras' name)
    include_top: bool = True,
    include_preprocessing: bool = True,
    weights: Weights = None,
    input_tensor: Any = None,
    input_shape: InputShape = None,
    pooling: Pooling = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "convnext_large",
) -> Model:
    """Keras' ConvNeXt-Large: 197,767,336 numbers. Arguments as `ConvNeXtTiny`.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 1536) without top
    """
    return _network(
        (3, 3, 27, 3), (192, 384, 768, 1536), "ConvNeXtLarge", include_top,
        include_preprocessing, weights, input_tensor, input_shape, pooling, classes,
        classifier_activation, name,
    )  # fmt: skip


def ConvNeXtXLarge(  # noqa: N802  (Keras' name)
    include_top: bool = True,
    include_preprocessing: bool = True,
    weights: Weights = None,
    input_tensor: Any = None,
    input_shape: InputShape = None,
    pooling: Pooling = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "convnext_xlarge",
) -> Model:
    """Keras' ConvNeXt-XLarge: 350,196,968 numbers. Arguments as `ConvNeXtTiny`.

    Shape: (B, H, W, C) -> (B, classes), or (B, H/32, W/32, 2048) without top
    """
    return _network(
        (3, 3, 27, 3), (256, 512, 1024, 2048), "ConvNeXtXLarge", include_top,
        include_preprocessing, weights, input_tensor, input_shape, pooling, classes,
        classifier_activation, name,
    )  # fmt: skip
