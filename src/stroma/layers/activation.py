"""Activations as layers. Each works element by element, except Softmax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from stroma import activations, constraints, initializers, regularizers
from stroma.core.axes import Shape, shape_text
from stroma.core.checks import check_number, check_positive_int
from stroma.core.errors import ShapeError
from stroma.core.layer import Layer, LayerOptions
from stroma.core.weight import Weight
from stroma.layers.arguments import Act, Con, Init, Reg
from stroma.layers.registry import register_layer


@register_layer("Activation")
class Activation(Layer):
    """Any activation function as a layer: y = f(x).

    Args:
        activation: Name or function; None: the identity.
    Shape: (B, *) -> (B, *)
    Raises: ArgumentError: an unknown name; the message says the closest ones.
    Example:
        >>> Activation("relu")(torch.tensor([[-1.0, 2.0]]))
        tensor([[0., 2.]])
    """

    receptive = None

    def __init__(self, activation: Act, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.supports_masking = True
        self.activation = activations.get(activation)

    def call(self, inputs: Tensor) -> Tensor:
        return self.activation(inputs)


@register_layer("ReLU")
class ReLU(Layer):
    """Rectifier: x above `threshold`, at most `max_value`; a line of `negative_slope` below.

    Args:
        max_value: Largest output, >= 0; None for no cap.
        negative_slope: Slope below the threshold, >= 0.
        threshold: Value at or below which the slope applies, >= 0.
    Shape: (B, *) -> (B, *)
    Raises: ArgumentError: a negative setting.
    Example:
        >>> ReLU(max_value=6.0)(torch.tensor([[-1.0, 2.0, 9.0]]))
        tensor([[0., 2., 6.]])

    Reference: Nair & Hinton 2010.
    """

    receptive = None

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.supports_masking = True
        self.max_value = (
            None
            if max_value is None
            else check_number("max_value", max_value, owner="ReLU", minimum=0)
        )
        self.negative_slope = check_number(
            "negative_slope", negative_slope, owner="ReLU", minimum=0
        )
        self.threshold = check_number("threshold", threshold, owner="ReLU", minimum=0)

    def call(self, inputs: Tensor) -> Tensor:
        return activations.relu(inputs, self.negative_slope, self.max_value, self.threshold)


@register_layer("LeakyReLU")
class LeakyReLU(Layer):
    """Leaky rectifier: x above zero, negative_slope * x below.

    Args:
        negative_slope: Slope below zero, >= 0. (The *function* `leaky_relu` has slope 0.2.)
    Shape: (B, *) -> (B, *)
    Raises: ArgumentError: a negative slope.
    Example:
        >>> LeakyReLU(0.5)(torch.tensor([[-1.0, 2.0]]))
        tensor([[-0.5000,  2.0000]])

    Reference: Maas, Hannun & Ng 2013.
    """

    receptive = None

    def __init__(self, negative_slope: float = 0.3, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.supports_masking = True
        self.negative_slope = check_number(
            "negative_slope", negative_slope, owner="LeakyReLU", minimum=0
        )

    def call(self, inputs: Tensor) -> Tensor:
        return F.leaky_relu(inputs, self.negative_slope)


@register_layer("ELU")
class ELU(Layer):
    """Exponential linear unit: x above zero, alpha (exp(x) - 1) below.

    Args:
        alpha: Minus the value that it tends to far below zero.
    Shape: (B, *) -> (B, *)
    Raises: ArgumentTypeError: alpha is no number.
    Example:
        >>> ELU()(torch.tensor([[-100.0, 2.0]]))
        tensor([[-1.,  2.]])

    Reference: Clevert, Unterthiner & Hochreiter 2016, eq. 15.
    """

    receptive = None

    def __init__(self, alpha: float = 1.0, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.supports_masking = True
        self.alpha = check_number("alpha", alpha, owner="ELU")

    def call(self, inputs: Tensor) -> Tensor:
        return activations.elu(inputs, self.alpha)


@register_layer("PReLU")
class PReLU(Layer):
    """Leaky rectifier whose slope is learned: x above zero, alpha x below.

    Args:
        alpha_initializer: First slopes.
        alpha_regularizer, alpha_constraint: Penalty on the slopes, projection after updates.
        shared_axes: Axes along which one slope serves all, counted from 1 (0 is the batch);
            `[1, 2]` gives each channel of a picture one. None: each number has its own.
    Shape: (B, *) -> (B, *)
    Raises: ShapeError: an axis that the input has not, or a size that is not known.
    Example:
        >>> PReLU(alpha_initializer="ones")(torch.tensor([[-1.0, 2.0]])).tolist()
        [[-1.0, 2.0]]

    Reference: He et al. 2015, eq. 1.
    """

    receptive = None

    def __init__(
        self,
        alpha_initializer: Init = "Zeros",
        alpha_regularizer: Reg = None,
        alpha_constraint: Con = None,
        shared_axes: int | Sequence[int] | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.supports_masking = True
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        axes = [shared_axes] if isinstance(shared_axes, int) else shared_axes or []
        self.shared_axes = [check_positive_int("shared_axes", a, owner="PReLU") for a in axes]

    def build(self, input_shape: Shape) -> None:
        if max(self.shared_axes, default=0) >= len(input_shape):
            raise ShapeError(
                f"PReLU: shared_axes {self.shared_axes} does not fit {shape_text(input_shape)}",
                where=f"layer {self.name!r}",
                why=f"the axes after the batch are 1 to {len(input_shape) - 1}",
                fix=f"PReLU(shared_axes={list(range(1, len(input_shape) - 1))})",
            )
        sizes = [
            1 if axis in self.shared_axes else size
            for axis, size in enumerate(input_shape[1:], start=1)
        ]
        self.weight = self.add_weight(
            tuple(sizes),
            self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
            name="alpha",
        )

    @property
    def alpha(self) -> Weight:
        """Keras' name of `weight`."""
        return self.weight

    def call(self, inputs: Tensor) -> Tensor:
        return F.relu(inputs) - self.weight * F.relu(-inputs)


@register_layer("Softmax")
class Softmax(Layer):
    """Softmax: exp(x) / sum of exp(x) over `axis`, stable for any size of x.

    Args:
        axis: Axis or axes that sum to one.
    Call arguments:
        inputs: The logits.
        mask: Boolean, broadcastable to inputs; where it is False the output is 0 and the rest sums
            to one. Where all of it is False all outputs are 0.
    Shape: (B, *) -> (B, *)
    Example:
        >>> Softmax()(torch.tensor([[0.0, 0.0]]))
        tensor([[0.5000, 0.5000]])

    Reference: Bridle 1990.
    """

    receptive = None

    def __init__(self, axis: int | Sequence[int] = -1, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.supports_masking = True
        self.axis = axis if isinstance(axis, int) else tuple(axis)

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        x = inputs
        if mask is not None:
            mask = mask if mask.dtype == torch.bool else mask > 0.5
            # not -inf: a row with nothing to keep would be NaN, in its gradient too
            x = torch.where(mask, x, -3e4 if x.dtype == torch.float16 else -1e9)
        if isinstance(self.axis, int):
            y = torch.softmax(x, self.axis)
        else:
            y = torch.exp(x - torch.logsumexp(x, self.axis, keepdim=True))
        return y if mask is None else torch.where(mask, y, 0.0)
