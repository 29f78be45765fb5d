"""What Keras' applications share: how they begin, how they end, and weights from a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from os import PathLike
from typing import Any, Literal, Protocol, cast

from stroma import layers
from stroma.core.checks import check_choice
from stroma.core.errors import ShapeError, WeightsError
from stroma.core.preprocessing import Preprocessing
from stroma.models import Model
from stroma.network.order import sources
from stroma.saving.weights import load_into, read_weights

Symbolic = Any  # a SymbolicTensor: calling an nn.Module has no types
Weights = str | PathLike[str] | None
InputShape = tuple[int | None, int | None, int] | None
Pooling = Literal["avg", "max"] | None
Part = Callable[[Symbolic], Symbolic]  # some layers in a row


class Builder(Protocol):
    """How most of Keras' networks are called; `ResNet50` says what each argument means."""

    def __call__(
        self,
        include_top: bool = True,
        weights: Weights = None,
        input_tensor: Any = None,
        input_shape: InputShape = None,
        pooling: Pooling = None,
        classes: int = 1000,
        classifier_activation: str | None = "softmax",
        name: str = ...,
    ) -> Model: ...


def network(
    usual_name: str, preprocessing: Preprocessing, *, size: int = 224, smallest: int = 32,
    **ending: Any,
) -> Callable[[Part], Builder]:  # fmt: skip
    """Decorator: the feature layers of a network, written as a function, become its builder.

    Args:
        usual_name: The model's name if none is given.
        preprocessing: How Keras' weights for this network want their pictures.
        size: Side of the usual picture, pixels.
        smallest: Side of the smallest picture, pixels.
        ending: Of `with_top`.
    """

    def decorate(features: Part) -> Builder:
        def build(
            include_top: bool = True,
            weights: Weights = None,
            input_tensor: Any = None,
            input_shape: InputShape = None,
            pooling: Pooling = None,
            classes: int = 1000,
            classifier_activation: str | None = "softmax",
            name: str = usual_name,
        ) -> Model:
            owner = build.__name__
            x = entry(input_tensor, input_shape, include_top, size, smallest, owner=owner)
            y = with_top(
                features(x), include_top=include_top, pooling=pooling, classes=classes,
                activation=classifier_activation, owner=owner, **ending,
            )  # fmt: skip
            return finished(x, y, name, weights, replace(preprocessing, size=(size, size)))

        return cast(Builder, as_builder(build, features))

    return decorate


def as_builder(build: Any, documented: Any) -> Any:
    """`build` under the name, the module and the docstring of the function that it stands for."""
    for attribute in ("__module__", "__name__", "__qualname__", "__doc__"):
        setattr(build, attribute, getattr(documented, attribute))
    return build


def entry(
    input_tensor: Symbolic | None,
    input_shape: InputShape,
    include_top: bool,
    size: int,
    smallest: int = 32,
    *,
    owner: str,
) -> Symbolic:
    """The symbolic tensor to build on: the one given, or a new input of the given or usual shape.

    Raises: ShapeError: a picture smaller than the network can halve it.
    """
    if input_tensor is not None:
        return input_tensor
    usual = (size, size, 3) if include_top else (None, None, 3)
    shape = input_shape or usual
    if any(side is not None and side < smallest for side in shape[:2]):
        raise ShapeError(
            f"{owner}: pictures of {shape[0]} x {shape[1]} pixels are too small",
            where=f"applications.{owner}(input_shape={shape})",
            why="the network halves their size until nothing would be left",
            fix=f"applications.{owner}(input_shape=({smallest}, {smallest}, {shape[-1]})) or more",
        )
    return layers.Input(shape)


def correct_pad(x: Symbolic, kernel: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """The zeros before and after that make an unpadded stride-2 convolution TensorFlow's "same".

    Where the size is not known it is taken as even.
    """
    (top, left), after = ((size is None or size % 2 == 0) for size in x.shape[1:3]), kernel // 2
    return (after - top, after), (after - left, after)


def divisible(channels: float, divisor: int = 8) -> int:
    """The multiple of `divisor` nearest to `channels` that is not below 90 % of it.

    Example:
        >>> divisible(22), divisible(12), divisible(3)
        (24, 16, 8)
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor


def averaged(x: Symbolic, name: str | None = "avg_pool") -> Symbolic:
    """One vector per picture: the mean of each channel."""
    return layers.GlobalAveragePooling2D(name=name)(x)


def pooled(
    x: Symbolic, pooling: Pooling, names: tuple[str | None, str | None], *, owner: str
) -> Symbolic:
    """The end without a classifier: the feature map itself, or its means or maxima.

    Args:
        names: Of the layer for "avg" and of that for "max".
    """
    check_choice("pooling", pooling, (None, "avg", "max"), owner=owner)
    if pooling == "avg":
        return averaged(x, names[0])
    return x if pooling is None else layers.GlobalMaxPooling2D(name=names[1])(x)


def with_top(
    x: Symbolic,
    *,
    include_top: bool,
    pooling: Pooling,
    classes: int,
    activation: str | None,
    owner: str,
    summary: Part = averaged,
    pool_names: tuple[str | None, str | None] = ("avg_pool", "max_pool"),
    kernel_initializer: Any = "glorot_uniform",
    classifier: str = "predictions",
) -> Symbolic:
    """The end of a network: a classifier, pooling alone, or nothing.

    Args:
        x: The last feature map.
        include_top, pooling, classes, activation: As in `ResNet50`.
        owner: The builder, for messages.
        summary: From the feature map to the vector that the classifier sees.
        pool_names: Names of the pooling without top, "avg" and "max".
        kernel_initializer: Of the classifier.
        classifier: Name of the classifier.
    """
    if not include_top:
        return pooled(x, pooling, pool_names, owner=owner)
    return layers.Dense(
        classes, activation=activation, kernel_initializer=kernel_initializer, name=classifier
    )(summary(x))


def finished(
    x: Symbolic,
    y: Symbolic,
    name: str,
    weights: Weights,
    preprocessing: Preprocessing,
    head: str = "predictions.",
) -> Model:
    """The model from the inputs behind `x` to `y`, with the weights of a file if one is given.

    Args:
        head: Begin of the classifier's keys, which a file without top need not have.

    Raises: WeightsError: the weights do not fit, or are Keras' own by name.
    """
    model = Model(_inputs(x), y, name=name)
    if weights is None:
        return model
    if weights == "imagenet":
        raise WeightsError(
            "Keras' ImageNet weights are not fetched by stroma",
            where=f"applications.{model.name}(weights='imagenet')",
            why="nothing is downloaded that was not named file by file",
            fix="stroma.zoo has pretrained networks by name; or give weights= the path of a file",
        )
    model.load_report = load_into(model, read_weights(weights), head=head, source=str(weights))
    model.preprocessing = preprocessing
    return model


def _inputs(x: Symbolic) -> Any:
    """The inputs that `x` was computed from; `x` itself, if it is one."""
    reached = {id(x): x}
    waiting = [x]
    while waiting:
        new = {id(tensor): tensor for tensor in sources(waiting.pop().node)}
        waiting += [tensor for key, tensor in new.items() if key not in reached]
        reached |= new
    inputs = [tensor for tensor in reached.values() if tensor.node.kind == "input"]
    return inputs[0] if len(inputs) == 1 else inputs
