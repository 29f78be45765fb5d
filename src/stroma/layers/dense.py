"""Fully connected layers."""

from __future__ import annotations

from typing import Unpack

import torch.nn.functional as F
from torch import Tensor

from stroma import activations, constraints, initializers, regularizers
from stroma.core.axes import Shape, shape_text
from stroma.core.casting import floating
from stroma.core.checks import check_positive_int
from stroma.core.errors import ShapeError
from stroma.core.layer import BaseOptions, Layer
from stroma.layers.arguments import Act, Con, Init, Reg
from stroma.layers.registry import register_layer


@register_layer("Dense")
class Dense(Layer):
    """Affine map of the last axis: y = act(x W + b).

    Args:
        units: Size D_out of the output axis, >= 1.
        activation: Name or function applied to y; None: the identity.
        use_bias: Whether b is added.
        kernel_initializer, bias_initializer: First values of W and b.
        kernel_regularizer, bias_regularizer, activity_regularizer: Penalties on W, b and y.
        kernel_constraint, bias_constraint: Projections of W and b after each update.
    Shape: (B, *, D) -> (B, *, units)
    Raises: ShapeError: input has fewer than 2 axes.
    Example:
        >>> Dense(4, activation="relu")(torch.zeros(2, 3)).shape
        torch.Size([2, 4])

    Reference: Rosenblatt 1958; init: Glorot & Bengio 2010, eq. 16. The weight is kept as torch
        keeps it, (units, D); `kernel` is Keras' view of it, (D, units).
    """

    receptive = None

    def __init__(
        self,
        units: int,
        activation: Act = None,
        use_bias: bool = True,
        kernel_initializer: Init = "glorot_uniform",
        bias_initializer: Init = "zeros",
        kernel_regularizer: Reg = None,
        bias_regularizer: Reg = None,
        activity_regularizer: Reg = None,
        kernel_constraint: Con = None,
        bias_constraint: Con = None,
        **options: Unpack[BaseOptions],
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **options)
        self.units = check_positive_int("units", units, owner="Dense")
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) < 2:
            raise ShapeError(
                f"Dense takes (batch, ..., features), got {shape_text(input_shape)}",
                where=f"layer {self.name!r}",
                why="the last axis is mapped, the first is the batch",
                fix="x[:, None] makes each number a sample of one feature",
            )
        self.weight = self.add_weight(
            shape=(input_shape[-1], self.units),
            layout="IO->OI",
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                shape=(self.units,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )

    @property
    def kernel(self) -> Tensor:
        """The weight in Keras' order, (D, units); the same memory."""
        return self.weight.keras_view

    def call(self, inputs: Tensor) -> Tensor:
        x = floating(inputs, self._compute_dtype)
        return self.activation(F.linear(x, self.weight, self.bias))  # (B, *, units)
