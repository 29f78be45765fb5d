"""What Keras' applications share: how they begin, how they end, and weights from a file."""

from __future__ import annotations

from os import PathLike
from typing import Any, Literal

from stroma import layers
from stroma.core.checks import check_choice
from stroma.core.errors import WeightsError
from stroma.core.preprocessing import Preprocessing
from stroma.models import Model
from stroma.saving.weights import load_into, read_weights

Symbolic = Any  # a SymbolicTensor: calling an nn.Module has no types
Weights = str | PathLike[str] | None
InputShape = tuple[int | None, int | None, int] | None
Pooling = Literal["avg", "max"] | None


def entry(
    input_tensor: Symbolic | None, input_shape: InputShape, include_top: bool, size: int
) -> Symbolic:
    """The symbolic input: the one given, or a new one of the given or the usual shape."""
    if input_tensor is not None:
        return input_tensor
    usual = (size, size, 3) if include_top else (None, None, 3)
    return layers.Input(input_shape or usual)


def correct_pad(x: Symbolic, kernel: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """The zeros before and after that make an unpadded stride-2 convolution TensorFlow's "same".

    Where the size is not known it is taken as even.
    """
    (top, left), after = ((size is None or size % 2 == 0) for size in x.shape[1:3]), kernel // 2
    return (after - top, after), (after - left, after)


def with_top(
    x: Symbolic,
    *,
    include_top: bool,
    pooling: Pooling,
    classes: int,
    activation: str | None,
    owner: str,
    pool_names: tuple[str | None, str | None, str | None] = ("avg_pool", "avg_pool", "max_pool"),
    dropout: float = 0.0,
    kernel_initializer: Any = "glorot_uniform",
) -> Symbolic:
    """The end of a network: pooling and a classifier, pooling alone, or nothing.

    Args:
        x: The last feature map.
        include_top, pooling, classes, activation: As in `ResNet50`.
        owner: The builder, for messages.
        pool_names: Names of the pooling before a classifier, of "avg" and of "max".
        dropout: Rate before the classifier.
        kernel_initializer: Of the classifier.
    """
    check_choice("pooling", pooling, (None, "avg", "max"), owner=owner)
    before, average, largest = pool_names
    if include_top:
        x = layers.GlobalAveragePooling2D(name=before)(x)
        if dropout:
            x = layers.Dropout(dropout, name="top_dropout")(x)
        return layers.Dense(
            classes, activation=activation, kernel_initializer=kernel_initializer,
            name="predictions",
        )(x)  # fmt: skip
    if pooling == "avg":
        return layers.GlobalAveragePooling2D(name=average)(x)
    if pooling == "max":
        return layers.GlobalMaxPooling2D(name=largest)(x)
    return x


def loaded(model: Model, weights: Weights, preprocessing: Preprocessing) -> Model:
    """`model`, with the weights of a file if one is given, and how these want their pictures.

    Raises: WeightsError: the weights do not fit, or are Keras' own by name.
    """
    if weights is None:
        return model
    if weights == "imagenet":
        raise WeightsError(
            "Keras' ImageNet weights are not fetched by stroma",
            where=f"applications.{model.name}(weights='imagenet')",
            why="nothing is downloaded that was not named file by file",
            fix="stroma.zoo has pretrained networks by name; or give weights= the path of a file",
        )
    model.load_report = load_into(
        model, read_weights(weights), head="predictions.", source=str(weights)
    )
    model.preprocessing = preprocessing
    return model
