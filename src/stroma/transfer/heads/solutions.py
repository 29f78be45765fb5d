"""What a fitted head is: a function from features to decision values, and the layers that ship it.

How to *find* one is the head's affair; heads of one family end in the same solution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from stroma.core.layer import Layer
from stroma.layers import Dense, Normalization, Rescaling

# Decision value of a class that was not there to learn from: in float32 its probability is 0
NEVER = -1e6
_SMALLEST_SCALE = 1e-6  # ten times what `Normalization` takes for no variation


class Solution(Protocol):
    """Features (B, D) -> decision values (B, K); the class with the largest is the answer."""

    def decision(self, x: np.ndarray) -> np.ndarray: ...

    def layers(self, sharpness: float) -> list[Layer]:
        """Features -> softmax(sharpness * decision)."""
        ...

    def spread(self, present: np.ndarray, classes: int) -> Solution:
        """The same for `classes` classes, of which only those in `present` had samples."""
        ...


@dataclass(frozen=True, slots=True)
class Linear:
    """x W + b.

    Args:
        weight: (D, K).
        bias: (K,).
    """

    weight: np.ndarray
    bias: np.ndarray

    def decision(self, x: np.ndarray) -> np.ndarray:
        values: np.ndarray = np.asarray(x, np.float64) @ self.weight + self.bias
        return values

    def layers(self, sharpness: float) -> list[Layer]:
        return [dense(sharpness * self.weight, sharpness * self.bias, "softmax", "head")]

    def spread(self, present: np.ndarray, classes: int) -> Linear:
        weight, bias = np.zeros((len(self.weight), classes)), np.full(classes, NEVER)
        weight[:, present], bias[present] = self.weight, self.bias
        return Linear(weight, bias)

    @classmethod
    def of_standardised(
        cls, weight: np.ndarray, bias: np.ndarray, mean: np.ndarray, scale: np.ndarray
    ) -> Linear:
        """Found on (x - mean) / scale, for features as they are."""
        weight = weight / scale[:, None]
        return cls(weight, bias - mean @ weight)


def dense(weight: np.ndarray, bias: np.ndarray, activation: str | None, name: str) -> Dense:
    """A built `Dense` layer that holds these numbers: weight (D, K), bias (K,)."""
    layer = Dense(len(bias), activation=activation, name=name)
    layer.build((None, len(weight)))
    layer.built = True
    layer.set_weights([weight.astype(np.float32), bias.astype(np.float32)])
    return layer


def standardise(mean: np.ndarray, scale: np.ndarray, name: str) -> list[Layer]:
    """Built layers for (x - mean) / scale.

    `Normalization` holds squares, so scales beyond float32's root are first brought near 1, by
    powers of two: that changes no other bit.
    """
    if scale.min() > _SMALLEST_SCALE and scale.max() < 1 / _SMALLEST_SCALE:
        return [_normalization(mean, scale, name)]
    unit = 2.0 ** -np.clip(np.round(np.log2(scale)), -120, 120)
    return [
        Rescaling(unit.tolist(), name=f"{name}_unit"),
        _normalization(mean * unit, scale * unit, name),
    ]


def _normalization(mean: np.ndarray, scale: np.ndarray, name: str) -> Normalization:
    layer = Normalization(name=name)
    layer.build((None, len(mean)))
    layer.built = True
    layer.set_weights([mean.astype(np.float32), (scale**2).astype(np.float32), np.zeros((), int)])
    return layer
