"""Scales on the branches of residual networks, as Keras' applications have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from torch import Tensor

from stroma.core.axes import Shape, shape_text
from stroma.core.checks import check_number, check_positive_int
from stroma.core.errors import ShapeError
from stroma.core.layer import Layer, LayerOptions
from stroma.initializers import Constant
from stroma.layers.registry import register_layer


@register_layer("CustomScaleLayer")
class CustomScaleLayer(Layer):
    """Add a part of the second input to the first: y = a + scale * b.

    Args:
        scale: The part, any number.
    Shape: [(B, *), (B, *)] -> (B, *)
    Raises: ArgumentTypeError: scale is not a number.
    Example:
        >>> from stroma import layers
        >>> layers.CustomScaleLayer(0.5)([torch.ones(2), torch.full((2,), 4.0)])
        tensor([3., 3.])

    Reference: Szegedy et al. 2017, "Inception-v4", section 3.3: residuals scaled down keep a deep
        network from dying in training. Keras keeps it beside `applications.InceptionResNetV2`.
    """

    def __init__(self, scale: float, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.scale = check_number("scale", scale, owner="CustomScaleLayer")

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        first, second = inputs
        return first + second * self.scale


@register_layer("LayerScale")
class LayerScale(Layer):
    """A trained factor for each channel: y = x * gamma.

    Args:
        init_values: First value of every factor: small, so that a deep network starts as the
            identity.
        projection_dim: How many channels there are, >= 1.
    Shape: (B, *, C) -> (B, *, C)
    Raises: ArgumentError: projection_dim below 1; ShapeError: another number of channels.
    Example:
        >>> from stroma import layers
        >>> layers.LayerScale(0.5, 3)(torch.ones(1, 3))
        tensor([[0.5000, 0.5000, 0.5000]], grad_fn=<MulBackward0>)

    Reference: Touvron et al. 2021, "Going deeper with Image Transformers". Keras keeps it beside
        `applications.ConvNeXtTiny`; its arguments have Keras' names.
    """

    def __init__(
        self, init_values: float, projection_dim: int, **options: Unpack[LayerOptions]
    ) -> None:
        super().__init__(**options)
        self.init_values = check_number("init_values", init_values, owner="LayerScale")
        self.projection_dim = check_positive_int(
            "projection_dim", projection_dim, owner="LayerScale"
        )

    def build(self, input_shape: Shape) -> None:
        if input_shape[-1] != self.projection_dim:
            raise ShapeError(
                f"LayerScale: has factors for {self.projection_dim} channels, the input is "
                f"{shape_text(input_shape)}",
                where="LayerScale(projection_dim=...)",
                why="each channel has a factor of its own",
                fix=f"LayerScale({self.init_values}, {input_shape[-1]})",
            )
        self.gamma = self.add_weight(
            (self.projection_dim,), Constant(self.init_values), name="gamma"
        )

    def call(self, inputs: Tensor) -> Tensor:
        return inputs * self.gamma
