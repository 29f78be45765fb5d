"""PyTorch's padding in Keras' layers.

Keras' "same" puts the odd pixel at the end, PyTorch pads both sides alike; with stride 2 and an
even size the two look at different pixels. Weights trained with one are wrong with the other by
one pixel, so networks that load PyTorch's files pad as PyTorch does.
"""

from __future__ import annotations

from typing import Any

from stroma import layers

Symbolic = Any  # a SymbolicTensor: calling an nn.Module has no types


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
