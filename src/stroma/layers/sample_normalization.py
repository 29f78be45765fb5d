"""Normalisation of each sample by itself: in groups of channels, by its root mean square, to 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from stroma import constraints, initializers, regularizers
from stroma.core.axes import Shape, shape_text
from stroma.core.casting import floating
from stroma.core.checks import check_int, check_number, check_positive_int
from stroma.core.errors import ShapeError
from stroma.core.layer import Layer, LayerOptions
from stroma.core.weight import Weight
from stroma.functional.normalization import unit_length
from stroma.layers.arguments import Con, Init, Reg
from stroma.layers.normalization import positive_axes
from stroma.layers.registry import register_layer


@register_layer("GroupNormalization")
class GroupNormalization(Layer):
    """Normalise each sample over groups of channels and all places:
    y = gamma (x - mean) / sqrt(var + epsilon) + beta, mean and var of one sample's one group.

    Args:
        groups: Groups into which the channels are split; -1: one group a channel (instance
            normalisation), 1: nearly LayerNormalization.
        axis: The channel axis.
        epsilon: Added to the variance, >= 0.
        center, scale: Whether beta is added, gamma multiplied; each has a number a channel.
        beta_initializer, gamma_initializer: First values.
        beta_regularizer, gamma_regularizer: Penalties; beta_constraint, gamma_constraint:
            projections after each update.
    Shape: (B, *, C) -> (B, *, C)
    Raises: ArgumentError: no groups; ShapeError: groups that do not divide the channels.
    Example:
        >>> x = torch.tensor([[1.0, 3.0, 10.0, 30.0]])
        >>> GroupNormalization(2, epsilon=0.0)(x).detach()
        tensor([[-1.,  1., -1.,  1.]])

    Reference: Wu & He 2018, eq. 7. Like Keras in all numbers; the batch may be of one sample.
    """

    receptive = None

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Init = "zeros",
        gamma_initializer: Init = "ones",
        beta_regularizer: Reg = None,
        gamma_regularizer: Reg = None,
        beta_constraint: Con = None,
        gamma_constraint: Con = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        owner = "GroupNormalization"
        self.groups = -1 if groups == -1 else check_positive_int("groups", groups, owner=owner)
        self.axis = check_int("axis", axis, owner=owner)
        self.epsilon = check_number("epsilon", epsilon, owner=owner, minimum=0)
        self.center, self.scale = center, scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        (axis,) = positive_axes([self.axis], input_shape, owner="GroupNormalization")
        channels = input_shape[axis]
        if channels is not None and (channels < self.groups or channels % self.groups):
            raise ShapeError(
                f"GroupNormalization: {channels} channels cannot be split into {self.groups} "
                "groups",
                where=f"layer {self.name!r}, input {shape_text(input_shape)}",
                why="every group has the same number of channels",
                fix=f"groups that divide {channels}; -1 makes every channel its own group",
            )
        self.weight = self.bias = None
        if self.scale:
            self.weight = self.add_weight(
                (channels,),
                self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
                name="gamma",
            )
        if self.center:
            self.bias = self.add_weight(
                (channels,),
                self.beta_initializer,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
                name="beta",
            )

    def call(self, inputs: Tensor) -> Tensor:
        x = floating(inputs, self._compute_dtype)
        wide = x.to(torch.promote_types(x.dtype, torch.float32)).movedim(self.axis, 1)  # (B, C, *)
        groups = wide.shape[1] if self.groups == -1 else self.groups
        weight: Tensor | None = self.weight
        if weight is None and self.bias is not None:  # torch's backward knows both or neither
            weight = torch.ones_like(self.bias)
        y = F.group_norm(wide, groups, weight, self.bias, self.epsilon)
        return y.movedim(1, self.axis).to(x.dtype)

    @property
    def gamma(self) -> Weight | None:
        """Keras' name of `weight`."""
        return self.weight

    @property
    def beta(self) -> Weight | None:
        """Keras' name of `bias`."""
        return self.bias


@register_layer("RMSNormalization")
class RMSNormalization(Layer):
    """Divide each sample by its root mean square: y = scale x / sqrt(mean(x²) + epsilon).

    Args:
        axis: The axis or axes over which the mean is taken; `scale` has their sizes.
        epsilon: Added to the mean of squares, >= 0.
    Shape: (B, *, D) -> (B, *, D)
    Raises: ShapeError: the input has no such axis, or an axis is named twice.
    Example:
        >>> RMSNormalization(epsilon=0.0)(torch.tensor([[3.0, -3.0]])).detach()
        tensor([[ 1., -1.]])

    Reference: Zhang & Sennrich 2019, eq. 4. Axes that are not the last ones work, where Keras on
        torch fails.
    """

    receptive = None

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-6,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.axis = _axes(axis, owner="RMSNormalization")
        self.epsilon = check_number("epsilon", epsilon, owner="RMSNormalization", minimum=0)

    def build(self, input_shape: Shape) -> None:
        axes = positive_axes(self.axis, input_shape, owner="RMSNormalization")
        self.weight = self.add_weight(
            tuple(input_shape[axis] for axis in axes), "ones", name="scale"
        )

    def call(self, inputs: Tensor) -> Tensor:
        x = floating(inputs, self._compute_dtype)
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        axes = sorted(axis % x.dim() for axis in self.axis)
        if axes == list(range(x.dim() - len(axes), x.dim())):
            return F.rms_norm(wide, x.shape[axes[0] :], self.weight, self.epsilon).to(x.dtype)
        sizes = [x.shape[axis] if axis in axes else 1 for axis in range(x.dim())]
        mean = wide.square().mean(axes, keepdim=True)
        return (wide * torch.rsqrt(mean + self.epsilon) * self.weight.reshape(sizes)).to(x.dtype)

    @property
    def scale(self) -> Weight:
        """Keras' name of `weight`."""
        return self.weight


@register_layer("UnitNormalization")
class UnitNormalization(Layer):
    """Scale each sample to length 1: y = x / sqrt(sum of x² over `axis`).

    Args:
        axis: The axis or axes of a vector.
    Shape: (B, *, D) -> (B, *, D)
    Raises: ShapeError: the input has no such axis, or an axis is named twice.
    Example:
        >>> UnitNormalization()(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor([[0.6000, 0.8000],
                [0.0000, 0.0000]])

    Reference: the cosine of Salton, Wong & Yang 1975 is then a dot product. The gradient of a
        vector of zeros is finite, where Keras' is NaN.
    """

    receptive = None

    def __init__(self, axis: int | Sequence[int] = -1, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.axis = _axes(axis, owner="UnitNormalization")
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        positive_axes(self.axis, input_shape, owner="UnitNormalization")

    def call(self, inputs: Tensor) -> Tensor:
        return unit_length(floating(inputs, self._compute_dtype), self.axis, 1e-12)


def _axes(axis: int | Sequence[int], *, owner: str) -> list[int]:
    axes = axis if isinstance(axis, (list, tuple)) else [axis]
    return [check_int("axis", item, owner=owner) for item in axes]
