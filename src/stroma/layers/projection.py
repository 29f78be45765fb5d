"""The affine maps into and out of heads, as attention uses them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from stroma import activations
from stroma.core.axes import Shape
from stroma.core.layer import Layer, LayerOptions
from stroma.initializers.drawn import VarianceScaling


class Projection(Layer):
    """y = act(x W + b) over the last axes of x: one axis into heads and back.

    Keras' EinsumDense in the only two forms that attention needs, by torch's `linear`: the weight
    is kept as (*outputs, *inputs), `kernel` is Keras' view of it, (*inputs, *outputs).

    Args:
        inputs: How many axes at the end of x are summed over.
        outputs: Sizes of the axes that come instead.
        use_bias: Whether b, of the sizes `outputs`, is added.
        activation: Applied to y; None: the identity.
        settings: Initializers, regularizers and constraints: `kernel_initializer` and so on.
    Shape: (B, *, D) -> (B, *, N, H)
    """

    receptive = None

    def __init__(
        self,
        inputs: int,
        outputs: Sequence[int],
        use_bias: bool,
        settings: dict[str, Any],
        activation: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.inputs, self.outputs, self.use_bias = inputs, tuple(outputs), use_bias
        self.settings = settings
        self.activation = activations.get(activation)

    def build(self, input_shape: Shape) -> None:
        letters = "ABCDEFGH"[: self.inputs + len(self.outputs)]
        summed, made = letters[: self.inputs], letters[self.inputs :]
        settings = _of("kernel", self.settings)
        if isinstance(make := settings["initializer"], VarianceScaling):
            axes = range(len(letters))
            settings["initializer"] = make.over(axes[: self.inputs], axes[self.inputs :])
        self.weight = self.add_weight(
            (*input_shape[-self.inputs :], *self.outputs),
            layout=f"{letters}->{made}{summed}",
            name="kernel",
            **settings,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(self.outputs, name="bias", **_of("bias", self.settings))

    @property
    def kernel(self) -> Tensor:
        """The weight in Keras' order; the same memory."""
        return self.weight.keras_view

    def call(self, inputs: Tensor) -> Tensor:
        x = inputs.flatten(-self.inputs) if self.inputs > 1 else inputs
        weight = self.weight.reshape(math.prod(self.outputs), -1)
        y = F.linear(x, weight, None if self.bias is None else self.bias.flatten())
        return self.activation(torch.unflatten(y, -1, self.outputs))


def _of(kind: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of the kernel or the bias, as `add_weight` takes them."""
    return {
        name.removeprefix(f"{kind}_"): value
        for name, value in settings.items()
        if name.startswith(f"{kind}_")
    }
