"""What several architectures are built of, and PyTorch's padding in Keras' layers.

Keras' "same" puts the odd pixel at the end, PyTorch pads both sides alike; with stride 2 and an
even size the two look at different pixels. Weights trained with one are wrong with the other by
one pixel, so networks that load PyTorch's files pad as PyTorch does.
"""

from __future__ import annotations

from os import PathLike
from typing import Any

from stroma import layers
from stroma.initializers import VarianceScaling

Symbolic = Any  # a SymbolicTensor: calling an nn.Module has no types
Weights = str | PathLike[str] | None
InputShape = tuple[int | None, int | None, int]


def he_normal_outwards() -> VarianceScaling:
    """He et al. 2015 by the outputs, as torchvision has it: keeps gradients' size on the way back.

    A new one for each layer: one object called twice gives the same numbers twice.
    """
    return VarianceScaling(2.0, "fan_out", "untruncated_normal")


def convolution(
    x: Symbolic, filters: int, kernel: int, stride: int = 1, *, name: str, **options: Any
) -> Symbolic:
    """A convolution with `kernel // 2` zeros on each side, whatever the stride; `kernel` is odd."""
    # with a stride of 1 "same" is the same, and Keras can read it
    padding: Any = "same" if stride == 1 or kernel == 1 else kernel // 2
    return layers.Conv2D(filters, kernel, stride, padding, name=name, **options)(x)


def max_pooling(x: Symbolic, size: int, stride: int, *, padding: int = 0, name: str) -> Symbolic:
    """Max pooling with `padding` pixels on each side that never win."""
    return layers.MaxPooling2D(size, stride, padding or "valid", name=name)(x)


def normalization(
    x: Symbolic, name: str, *, epsilon: float = 1e-5, momentum: float = 0.9
) -> Symbolic:
    """BatchNormalization with PyTorch's defaults."""
    return layers.BatchNormalization(momentum=momentum, epsilon=epsilon, name=name)(x)


def convolution_unit(
    x: Symbolic,
    filters: int,
    kernel: int,
    stride: int = 1,
    *,
    name: str,
    activation: str | None,
    groups: int = 1,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
) -> Symbolic:
    """Convolution, normalisation, activation: `name.0`, `.1` and `.2`, as torchvision has them.

    Shape: (B, H, W, C) -> (B, ceil(H / stride), ceil(W / stride), filters)
    """
    x = convolution(
        x, filters, kernel, stride, name=f"{name}.0", groups=groups, use_bias=False,
        kernel_initializer=he_normal_outwards(),
    )  # fmt: skip
    x = normalization(x, f"{name}.1", epsilon=epsilon, momentum=momentum)
    return x if activation is None else layers.Activation(activation, name=f"{name}.2")(x)


def squeeze_excitation(
    x: Symbolic, squeezed: int, *, name: str, activation: str, gate: str
) -> Symbolic:
    """Channels weighed by what the whole picture holds: x * gate(fc2 act(fc1 mean(x))).

    Shape: (B, H, W, C) -> (B, H, W, C)
    Reference: Hu, Shen & Sun 2018, "Squeeze-and-Excitation Networks".
    """
    y = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}.avgpool")(x)
    for part, filters, function in (("fc1", squeezed, activation), ("fc2", x.shape[-1], gate)):
        y = convolution(
            y, filters, 1, name=f"{name}.{part}", activation=function,
            kernel_initializer=he_normal_outwards(),
        )  # fmt: skip
    return layers.Multiply(name=f"{name}.multiply")([x, y])
